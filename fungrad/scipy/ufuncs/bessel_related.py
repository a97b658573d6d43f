"""Derivatives of functions related to Bessel's: Struve, Kelvin, Airy functions, and integrals of these. DLMF 9-11."""

from __future__ import annotations

import math
from typing import Any

from fungrad.primitives.arithmetic import add, div, mul, neg, power, sub
from fungrad.primitives.comparison import equal, greater, less
from fungrad.primitives.complex_parts import is_complex, real
from fungrad.primitives.exponential import sqrt, square
from fungrad.primitives.rounding import abs, sign
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.bessel import i0, j0, k0, y0
from fungrad.scipy.ufuncs.declared import declare, declare_several, special
from fungrad.scipy.ufuncs.integrals import over
from fungrad.scipy.ufuncs.polynomials import signed

struve, modstruve, rgamma = special("struve"), special("modstruve"), special("rgamma")
bei, beip, ber, berp = special("bei"), special("beip"), special("ber"), special("berp")
kei, keip, ker, kerp = special("kei"), special("keip"), special("ker"), special("kerp")
airy, besselpoly = special("airy"), special("besselpoly")

# Struve: f_(v-1) - v f / x by 11.4.27, 11.4.28 (and 29, 30); at 0, where 0/0 stands, (x/2)**v / (sqrt(pi) gamma(v+1/2))


def _struve_slope(function: Any, v: Any, x: Any, value: Any) -> Any:
    v = signed(v)
    zero = equal(x, 0)
    safe = where(zero, 1, x)
    at_zero = mul(mul(power(where(zero, 0.0, 1.0), where(zero, v, 0)), rgamma(add(v, 1.5))), 0.5 / math.sqrt(math.pi))
    at_zero = add(at_zero, mul(function(sub(v, 1), where(zero, x, 1)), 0.5))
    return where(zero, at_zero, sub(function(sub(v, 1), safe), mul(div(v, safe), value)))


declare("struve", "v x", x=lambda t, v, x, out: mul(t, _struve_slope(struve, v, x, out)))
declare("modstruve", "v x", x=lambda t, v, x, out: mul(t, _struve_slope(modstruve, v, x, out)))


def _struve_quotient(x: Any) -> Any:
    """``H_0(x) / x``, 2/pi at x = 0; near it by its power series (11.2.1)."""
    near = less(abs(x), 1)
    u = square(where(near, x, 0))
    series: Any = 0.0
    for k in range(9, -1, -1):
        series = add(mul(u, series), (-1) ** k * 2 / math.pi / math.prod(range(1, 2 * k + 2, 2)) ** 2)
    far = where(near, 1, x)
    return where(near, series, div(struve(0, far), far))


declare("itstruve0", "x", x=lambda t, x: mul(t, struve(0, x)))
declare("itmodstruve0", "x", x=lambda t, x: mul(t, modstruve(0, x)))
declare("it2struve0", "x", x=lambda t, x: neg(mul(t, _struve_quotient(x))))


# Kelvin: f'' = i f - f'/x for ber + i bei and ker + i kei (10.61.3); at 0 the first one has f''(0) = i/2


def _by_zero(x: Any, derivative: Any, second: complex) -> Any:
    """``f'/x`` with its limit for x = 0."""
    zero = equal(x, 0)
    return where(zero, second, div(derivative, where(zero, 1, x)))


declare("ber", "x", x=lambda t, x: mul(t, berp(x)))
declare("bei", "x", x=lambda t, x: mul(t, beip(x)))
declare("ker", "x", x=lambda t, x: mul(t, kerp(x)))
declare("kei", "x", x=lambda t, x: mul(t, keip(x)))
declare("berp", "x", x=lambda t, x, out: neg(mul(t, add(bei(x), _by_zero(x, out, 0.0)))))
declare("beip", "x", x=lambda t, x, out: mul(t, sub(ber(x), _by_zero(x, out, 0.5))))
declare("kerp", "x", x=lambda t, x, out: neg(mul(t, add(kei(x), div(out, x)))))
declare("keip", "x", x=lambda t, x, out: mul(t, sub(ker(x), div(out, x))))


def _kelvin(t: Any, x: Any, out: Any) -> tuple[Any, ...]:
    be, ke, bep, kep = out
    second = (sub(mul(be, 1j), _by_zero(x, bep, 0.5j)), sub(mul(ke, 1j), over(kep, x)))
    return tuple([mul(t, d) for d in (bep, kep, *second)])


declare_several("kelvin", "x", x=_kelvin)

# Airy (Ai, Ai', Bi, Bi'): 9.2.1


def _airy(t: Any, z: Any, out: Any) -> tuple[Any, ...]:
    a, ap, b, bp = out
    return mul(t, ap), mul(t, mul(z, a)), mul(t, bp), mul(t, mul(z, b))


declare_several("airy", "z", z=_airy)


def _airye(t: Any, z: Any, out: Any) -> tuple[Any, ...]:
    """Ai and Ai' are scaled by exp(s), Bi and Bi' by exp(-|Re s|), s = 2/3 z sqrt(z); of real z < 0 nothing is."""
    a, ap, b, bp = out
    ta, tap, tb, tbp = _airy(t, z, out)
    if is_complex(z):
        root = sqrt(z)
        turn = mul(real(mul(root, t)), sign(real(mul(z, root))))
    else:
        positive = greater(z, 0)
        root = where(positive, sqrt(where(positive, z, 1)), 0)
        turn = mul(root, t)
    growth = mul(root, t)
    return add(ta, mul(growth, a)), add(tap, mul(growth, ap)), sub(tb, mul(turn, b)), sub(tbp, mul(turn, bp))


declare_several("airye", "z", z=_airye)


def _airy_integrals(t: Any, x: Any) -> tuple[Any, ...]:
    """The integrals from 0 to x of Ai(s), Bi(s), Ai(-s) and Bi(-s)."""
    (a, _, b, _), (a_minus, _, b_minus, _) = airy(x), airy(neg(x))
    return mul(t, a), mul(t, b), mul(t, a_minus), mul(t, b_minus)


declare_several("itairy", "x", x=_airy_integrals)

# integrals from 0 to x of J_0 and Y_0, I_0 and K_0; then of (1 - J_0(s))/s, from x on of Y_0(s)/s, so of I and K

declare_several("itj0y0", "x", x=lambda t, x: (mul(t, j0(x)), mul(t, y0(x))))
declare_several("iti0k0", "x", x=lambda t, x: (mul(t, i0(x)), mul(t, k0(x))))


def _rest_quotient(function: Any, x: Any, sign_: int) -> Any:
    """``sign (f(x) - 1) / x`` for f = J_0 (sign -1) and I_0 (sign 1); near 0 by its power series (10.2.2, 10.25.2)."""
    near = less(abs(x), 2)
    u = mul(square(where(near, x, 0)), 0.25 * sign_)
    series: Any = 0.0
    for k in range(14, 0, -1):
        series = add(mul(u, series), 1 / math.factorial(k) ** 2)
    far = where(near, 2, x)
    return where(near, mul(mul(series, x), 0.25), mul(div(sub(function(far), 1), far), sign_))


declare_several("it2j0y0", "x", x=lambda t, x: (mul(t, _rest_quotient(j0, x, -1)), mul(t, over(neg(y0(x)), x))))
declare_several("it2i0k0", "x", x=lambda t, x: (mul(t, _rest_quotient(i0, x, 1)), neg(mul(t, over(k0(x), x)))))

# the integral over s from 0 to 1 of s**lmb J_nu(2 a s): 10.6.1 under the integral


def _besselpoly_slope(a: Any, lmb: Any, nu: Any) -> Any:
    nu = signed(nu)
    return sub(besselpoly(a, add(lmb, 1), sub(nu, 1)), besselpoly(a, add(lmb, 1), add(nu, 1)))


declare("besselpoly", "a lmb nu", a=lambda t, a, lmb, nu: mul(t, _besselpoly_slope(a, lmb, nu)))

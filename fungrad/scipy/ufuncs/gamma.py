"""Derivatives of the gamma function and its kin: logarithm, reciprocal, digamma, beta, Hurwitz zeta. DLMF 5.

The derivative of digamma is the Hurwitz zeta function of real numbers (5.15.1, 25.11.1); of complex ones it is summed
here (`polygamma_p`), as SciPy has nothing for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal, greater, less, logical_and, logical_not, logical_or
from fungrad.primitives.complex_parts import is_complex, real
from fungrad.primitives.exponential import log1p, square
from fungrad.primitives.extrema import minimum
from fungrad.primitives.rounding import rint
from fungrad.primitives.selection import where
from fungrad.primitives.trigonometric import cos, sin
from fungrad.scipy.ufuncs.declared import declare, declare_constant, special

gamma, psi, rgamma, zeta = special("gamma"), special("psi"), special("rgamma"), special("_zeta")

declare_constant("gammasgn", "x")


# polygamma of complex numbers, Re(z) > 0

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _polygamma(z: Any, *, order: int) -> Any:
    """The asymptotic series 5.15.8 at z + shift, and back by the recurrence 5.15.5."""
    given = np.asarray(z)
    w = given.astype(np.result_type(given.dtype, np.complex128))
    shift = 20 + order
    total: Any = 0.0
    for k in range(shift):
        total = total + (w + k) ** -(order + 1.0)
    total = math.factorial(order) * total
    w = w + shift
    total = total + math.factorial(order - 1) * w**-order + math.factorial(order) / 2 * w ** -(order + 1.0)
    for k, bernoulli in enumerate(_BERNOULLI, 1):
        factor = bernoulli * math.factorial(2 * k + order - 1) / math.factorial(2 * k)
        total = total + factor * w ** -(2.0 * k + order)
    return ((-1) ** (order + 1) * total).astype(given.dtype)[()]


polygamma_p: General = General(
    "complex_polygamma",
    _polygamma,
    abstract=lambda z, *, order: ShapedArray(z.shape, z.dtype),
    jvp=lambda primals, tangents, out, *, order: mul(tangents[0], polygamma_p.bind(primals[0], order=order + 1)),
    batch=lambda axis, batched, z, *, order: polygamma_p.bind(z, order=order),
)


def trigamma(x: Any) -> Any:
    """The derivative of digamma; left of 0 by reflection (5.15.6), with the sine taken of what rounding leaves of x."""
    left = less(real(x), 0)
    right = where(left, sub(1, x), x)
    direct = polygamma_p.bind(right, order=1) if is_complex(x) else zeta(2.0, right)
    nearest = rint(real(x))
    s = sin(mul(sub(where(left, x, 0.5), where(left, nearest, 0)), math.pi))
    return where(left, sub(div(math.pi**2, square(s)), direct), direct)


declare("psi", "z", z=lambda t, z: mul(t, trigamma(z)))

declare("gamma", "z", z=lambda t, z, out: mul(t, mul(out, psi(z))))
declare("gammaln", "x", x=lambda t, x: mul(t, psi(x)))
declare("loggamma", "z", z=lambda t, z: mul(t, psi(z)))


# 1 / gamma is entire; left of 1/2 by reflection (5.5.3), as digamma has poles at its zeros


def _rgamma_slope(x: Any) -> Any:
    left = less(real(x), 0.5)
    right = where(left, 1.5, x)
    mirrored = sub(1, where(left, x, 0))
    nearest = where(left, rint(real(x)), 0)
    angle = mul(sub(where(left, x, 0), nearest), math.pi)
    sign_ = cos(mul(nearest, math.pi))
    reflected = mul(mul(gamma(mirrored), sign_), sub(cos(angle), mul(mul(psi(mirrored), sin(angle)), 1 / math.pi)))
    return where(left, reflected, neg(mul(psi(right), rgamma(right))))


declare("rgamma", "z", z=lambda t, z: mul(t, _rgamma_slope(z)))


def psi_difference(a: Any, m: Any) -> Any:
    """``psi(a + m) - psi(a)``.

    Where both are large it comes from the asymptotic series (5.11.2), as they nearly cancel; where both have a pole, so
    that m is an integer, by reflection.
    """
    b = add(a, m)
    poles = logical_and(at_pole(a), at_pole(b))
    far = greater(minimum(a, b), 25)
    direct = sub(psi(where(far, 1, where(poles, sub(1, a), b))), psi(where(far, 1, where(poles, sub(1, b), a))))
    direct = where(poles, neg(direct), direct)
    a, b, m = where(far, a, 25), where(far, b, 25), where(far, m, 0)
    u, v = square(div(1, a)), square(div(1, b))
    # sum of -B_2k / 2k (v**k - u**k), with v - u = -m (a + b) u v taken out of all terms
    factor = mul(mul(mul(m, add(a, b)), u), v)
    cubic = add(add(square(u), square(v)), mul(u, v))
    quartic = mul(add(u, v), add(square(u), square(v)))
    series = add(add(1 / 12, mul(add(u, v), -1 / 120)), add(mul(cubic, 1 / 252), mul(quartic, -1 / 240)))
    asymptotic = add(add(log1p(div(m, a)), div(m, mul(mul(a, b), 2))), mul(factor, series))
    return where(far, asymptotic, direct)


def at_pole(x: Any) -> Any:
    """Where x is 0, -1, -2, ..., the poles of gamma."""
    return logical_and(less(x, 0.5), equal(x, rint(x)))


# beta, binomial coefficient and Pochhammer symbol: ratios of gamma functions

declare(
    "beta",
    "a b",
    a=lambda t, a, b, out: neg(mul(t, mul(out, psi_difference(a, b)))),
    b=lambda t, a, b, out: neg(mul(t, mul(out, psi_difference(b, a)))),
)
declare(
    "betaln",
    "a b",
    a=lambda t, a, b: neg(mul(t, psi_difference(a, b))),
    b=lambda t, a, b: neg(mul(t, psi_difference(b, a))),
)


def _ratio_slope(numerator: Any, denominator: Any) -> Any:
    """The derivative of gamma(x) / gamma(y) along x = y + const, at a pole of gamma(y) alone, where the ratio is 0."""
    return mul(gamma(numerator), add(mul(psi(numerator), rgamma(denominator)), _rgamma_slope(denominator)))


def _binom_by_n(t: Any, n: Any, k: Any, out: Any) -> Any:
    """out (psi(n+1) - psi(n-k+1)), or at a zero as above."""
    upper, rest = add(n, 1), add(sub(n, k), 1)
    vanishes = logical_and(at_pole(rest), logical_not(at_pole(upper)))
    inside = mul(out, psi_difference(where(vanishes, 1, rest), where(vanishes, 0, k)))
    at_zero = mul(rgamma(add(k, 1)), _ratio_slope(where(vanishes, upper, 1), where(vanishes, rest, 1)))
    return mul(t, where(vanishes, at_zero, inside))


def _binom_by_k(t: Any, n: Any, k: Any, out: Any) -> Any:
    """out (psi(n-k+1) - psi(k+1)); where one of these has a pole the value is 0, and 1/gamma has a derivative."""
    rest, lower = add(sub(n, k), 1), add(k, 1)
    vanishes = logical_or(at_pole(rest), at_pole(lower))
    inside = mul(out, sub(psi(where(vanishes, 1, rest)), psi(where(vanishes, 1, lower))))
    rest, lower = where(vanishes, rest, 1), where(vanishes, lower, 1)
    slope = sub(mul(rgamma(rest), _rgamma_slope(lower)), mul(rgamma(lower), _rgamma_slope(rest)))
    return mul(t, where(vanishes, mul(gamma(where(vanishes, add(n, 1), 1)), slope), inside))


declare("binom", "n k", n=_binom_by_n, k=_binom_by_k)


def _poch_by_a(t: Any, a: Any, m: Any, out: Any) -> Any:
    """out (psi(a+m) - psi(a)), or at a zero as above."""
    upper = add(a, m)
    vanishes = logical_and(at_pole(a), logical_not(at_pole(upper)))
    inside = mul(out, psi_difference(where(vanishes, 1, a), m))
    return mul(t, where(vanishes, _ratio_slope(where(vanishes, upper, 1), where(vanishes, a, 1)), inside))


declare("poch", "a m", a=_poch_by_a, m=lambda t, a, m, out: mul(t, mul(out, psi(add(a, m)))))

# Hurwitz zeta: 25.11.17. That in the exponent is not elementary, nor is that of Riemann's zeta function.

declare("_zeta", "x q", q=lambda t, x, q: neg(mul(t, mul(x, zeta(add(x, 1), q)))))
declare("_riemann_zeta", "x")
declare("zetac", "x")

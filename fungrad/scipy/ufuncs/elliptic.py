"""Derivatives of elliptic integrals and functions, in Carlson's symmetric integrals: no 0/0 at m = 0. DLMF 19, 22."""

from __future__ import annotations

import math
from typing import Any

from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal, less, logical_and
from fungrad.primitives.complex_parts import imag, is_complex, real
from fungrad.primitives.exponential import sqrt, square
from fungrad.primitives.rounding import rint
from fungrad.primitives.selection import where
from fungrad.primitives.trigonometric import cos, sin
from fungrad.scipy.ufuncs.carlson import carlson
from fungrad.scipy.ufuncs.declared import declare, declare_several, special

elliprf, elliprd, elliprj = special("elliprf"), special("elliprd"), special("elliprj")

# Carlson's integrals: 19.18.1 differentiates under the integral


declare(
    "elliprf",
    "x y z",
    x=lambda t, x, y, z: mul(t, mul(elliprd(y, z, x), -1 / 6)),
    y=lambda t, x, y, z: mul(t, mul(elliprd(x, z, y), -1 / 6)),
    z=lambda t, x, y, z: mul(t, mul(elliprd(x, y, z), -1 / 6)),
)
declare(
    "elliprd",
    "x y z",
    x=lambda t, x, y, z: mul(t, mul(carlson((x, y, z), (3, 1, 3)), -3 / 4)),
    y=lambda t, x, y, z: mul(t, mul(carlson((x, y, z), (1, 3, 3)), -3 / 4)),
    z=lambda t, x, y, z: mul(t, mul(carlson((x, y, z), (1, 1, 5)), -9 / 4)),
)


def _principal(p: Any) -> Any:
    """Where an integral is a principal value: for a negative real last argument."""
    return logical_and(less(real(p), 0), equal(imag(p), 0)) if is_complex(p) else less(p, 0)


def _rj_by(k: int, x: Any, y: Any, z: Any, p: Any, value: Any) -> Any:
    """In x, y or z (k = 0, 1, 2); for p < 0 by 19.18.5, which divides by the difference of arguments."""
    exponents = [1, 1, 1, 2]
    exponents[k] = 3
    negative = _principal(p)
    ordinary = mul(carlson((x, y, z, where(negative, 1, p)), exponents), -3 / 4)
    mine, *others = ((x, y, z), (y, x, z), (z, x, y))[k]
    principal = div(mul(sub(elliprd(*others, mine), value), 0.5), sub(mine, where(negative, p, sub(mine, 1))))
    return where(negative, principal, ordinary)


def _rj_by_p(x: Any, y: Any, z: Any, p: Any, value: Any) -> Any:
    """For p < 0 as the function is homogeneous of degree -3/2 (19.18.4)."""
    negative = _principal(p)
    ordinary = mul(carlson((x, y, z, where(negative, 1, p)), (1, 1, 1, 4)), -3 / 2)
    total = mul(value, -1.5)
    for k, operand in enumerate((x, y, z)):
        total = sub(total, mul(operand, _rj_by(k, x, y, z, where(negative, p, -1), value)))
    return where(negative, div(total, where(negative, p, 1)), ordinary)


declare(
    "elliprj",
    "x y z p",
    x=lambda t, x, y, z, p, out: mul(t, _rj_by(0, x, y, z, p, out)),
    y=lambda t, x, y, z, p, out: mul(t, _rj_by(1, x, y, z, p, out)),
    z=lambda t, x, y, z, p, out: mul(t, _rj_by(2, x, y, z, p, out)),
    p=lambda t, x, y, z, p, out: mul(t, _rj_by_p(x, y, z, p, out)),
)


def _rg_by(x: Any, y: Any, z: Any) -> Any:
    """In x: (R_F(x,y,z) - x R_D(y,z,x) / 3) / 4, by 19.16.3 differentiated."""
    return mul(sub(elliprf(x, y, z), mul(mul(x, elliprd(y, z, x)), 1 / 3)), 0.25)


declare(
    "elliprg",
    "x y z",
    x=lambda t, x, y, z: mul(t, _rg_by(x, y, z)),
    y=lambda t, x, y, z: mul(t, _rg_by(y, x, z)),
    z=lambda t, x, y, z: mul(t, _rg_by(z, x, y)),
)

# R_C(x, y) = R_F(x, y, y), for y < 0 its principal value: there by 19.6.15 differentiated, which is 0/0 only at x = y


def _rc_by_x(x: Any, y: Any, value: Any) -> Any:
    negative = _principal(y)
    safe = where(negative, 1, y)
    ordinary = mul(elliprd(safe, safe, x), -1 / 6)
    gap = mul(sub(where(negative, y, add(x, 1)), x), 2)
    return where(negative, div(sub(value, div(1, sqrt(x))), gap), ordinary)


def _rc_by_y(x: Any, y: Any, value: Any) -> Any:
    negative = _principal(y)
    safe = where(negative, 1, y)
    ordinary = mul(elliprd(x, safe, safe), -1 / 3)
    gap = mul(sub(where(negative, y, add(x, 1)), x), 2)
    return where(negative, div(sub(div(sqrt(x), where(negative, y, 1)), value), gap), ordinary)


declare(
    "elliprc",
    "x y",
    x=lambda t, x, y, out: mul(t, _rc_by_x(x, y, out)),
    y=lambda t, x, y, out: mul(t, _rc_by_y(x, y, out)),
)

# complete integrals, y = 1 - m: 19.4.1 with 19.25.1


def _k_slope(y: Any) -> Any:
    return mul(elliprd(0.0, 1.0, y), 1 / 6)


def _e_slope(y: Any) -> Any:
    return mul(elliprd(0.0, y, 1.0), -1 / 6)


declare("ellipk", "m", m=lambda t, m: mul(t, _k_slope(sub(1, m))))
declare("ellipkm1", "p", p=lambda t, p: neg(mul(t, _k_slope(p))))
declare("ellipe", "m", m=lambda t, m: mul(t, _e_slope(sub(1, m))))

# incomplete integrals: with phi = n pi + rest they are 2 n of the complete ones and that of the rest (19.2.10, 19.25.5,
# 19.25.9)


def _reduced(phi: Any) -> tuple[Any, Any, Any]:
    """n, and sine and squared cosine of the rest."""
    n = rint(mul(phi, 1 / math.pi))
    rest = sub(phi, mul(n, math.pi))
    return n, sin(rest), square(cos(rest))


def _delta_square(phi: Any, m: Any) -> Any:
    return sub(1, mul(m, square(sin(phi))))


def _f_by_m(phi: Any, m: Any) -> Any:
    n, s, c2 = _reduced(phi)
    inside = mul(mul(mul(square(s), s), 1 / 6), elliprd(c2, 1.0, sub(1, mul(m, square(s)))))
    return _with_periods(inside, n, m, _k_slope)


def _e_by_m(phi: Any, m: Any) -> Any:
    n, s, c2 = _reduced(phi)
    inside = mul(mul(mul(square(s), s), -1 / 6), elliprd(c2, sub(1, mul(m, square(s))), 1.0))
    return _with_periods(inside, n, m, _e_slope)


def _with_periods(inside: Any, n: Any, m: Any, complete: Any) -> Any:
    none = equal(n, 0)
    return add(inside, where(none, 0, mul(mul(n, 2), complete(sub(1, where(none, 0, m))))))


declare(
    "ellipkinc",
    "phi m",
    phi=lambda t, phi, m: div(t, sqrt(_delta_square(phi, m))),
    m=lambda t, phi, m: mul(t, _f_by_m(phi, m)),
)
declare(
    "ellipeinc",
    "phi m",
    phi=lambda t, phi, m: mul(t, sqrt(_delta_square(phi, m))),
    m=lambda t, phi, m: mul(t, _e_by_m(phi, m)),
)

# Jacobi's functions and the amplitude (sn, cn, dn, ph): 22.13.1-3; in m as F(ph, m) = u


def _ellipj_by_u(t: Any, m: Any, out: Any) -> tuple[Any, ...]:
    sn, cn, dn, _ = out
    return mul(t, mul(cn, dn)), neg(mul(t, mul(sn, dn))), neg(mul(t, mul(m, mul(sn, cn)))), mul(t, dn)


def _ellipj_by_m(t: Any, m: Any, out: Any) -> tuple[Any, ...]:
    sn, cn, dn, ph = out
    by_m = neg(mul(dn, _f_by_m(ph, m)))
    dn_by_m = div(mul(add(square(sn), mul(mul(mul(sn, cn), mul(m, 2)), by_m)), -0.5), dn)
    return mul(t, mul(cn, by_m)), neg(mul(t, mul(sn, by_m))), mul(t, dn_by_m), mul(t, by_m)


declare_several("ellipj", "u m", u=_ellipj_by_u, m=_ellipj_by_m)

# the arithmetic-geometric mean M(a, b) = pi (a + b) / (4 K(k**2)), k = (a - b) / (a + b): 19.8.5, differentiated


def _agm_by_first(a: Any, b: Any, value: Any) -> Any:
    total = add(a, b)
    k, y = div(sub(a, b), total), mul(mul(div(a, total), div(b, total)), 4)
    loss = mul(mul(mul(k, div(b, total)), mul(div(value, total), 16 / math.pi)), _k_slope(y))
    return mul(div(value, total), sub(1, loss))


declare(
    "agm",
    "a b",
    a=lambda t, a, b, out: mul(t, _agm_by_first(a, b, out)),
    b=lambda t, a, b, out: mul(t, _agm_by_first(b, a, out)),
)

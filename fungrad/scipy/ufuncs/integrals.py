"""Derivatives of exponential, sine, logarithmic and Fresnel integrals, of Lambert's W and Wright's omega. DLMF 6-8.

The integrands are the derivatives; where they are quotients that are 0/0 at the origin, they are written so that
they and their own derivatives are right there.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

from fungrad.primitives.arithmetic import add, div, log, mul, neg, sub
from fungrad.primitives.comparison import equal, less
from fungrad.primitives.exponential import exp, square
from fungrad.primitives.rounding import abs
from fungrad.primitives.selection import where
from fungrad.primitives.trigonometric import cos, cosh, sin, sinc
from fungrad.scipy.ufuncs.declared import declare, declare_several, special
from fungrad.scipy.ufuncs.error_functions import erfcx_slope
from fungrad.scipy.ufuncs.polynomials import signed
from fungrad.scipy.ufuncs.quotients import expm1_quotient, log1p_quotient

expn = special("expn")

# 6.2.1, 6.2.5; 8.19.13, and for n = 0, where E_0(x) = exp(-x)/x, by hand

declare("exp1", "z", z=lambda t, z: neg(mul(t, div(exp(neg(z)), z))))
declare("expi", "x", x=lambda t, x: mul(t, div(exp(x), x)))


def _expn_slope(n: Any, x: Any) -> Any:
    n = signed(n)
    first = equal(n, 0)
    safe = where(first, x, 1)
    zeroth = div(mul(exp(neg(safe)), add(div(1, safe), 1)), safe)
    return neg(where(first, zeroth, expn(sub(where(first, 1, n), 1), x)))


declare("expn", "n x", x=lambda t, n, x: mul(t, _expn_slope(n, x)))
declare("_scaled_exp1", "x", x=lambda t, x, out: mul(t, sub(add(out, div(out, x)), 1)))

# 6.2.9-6.2.16


def sine_quotient(x: Any) -> Any:
    """``sin(x) / x``: near 0 by sinc, whose derivatives are right there."""
    near = less(abs(x), 1)
    far = where(near, 1, x)
    return where(near, sinc(mul(where(near, x, 0), 1 / math.pi)), div(sin(far), far))


def over(numerator: Any, x: Any) -> Any:
    """``numerator / x``, inf at x = 0 without NumPy's warning: the other result may be all that is wanted there."""
    zero = equal(x, 0)
    return where(zero, math.inf, div(numerator, where(zero, 1, x)))


def _sinh_quotient(x: Any) -> Any:
    return mul(add(expm1_quotient(x), expm1_quotient(neg(x))), 0.5)


declare_several("sici", "x", x=lambda t, x: (mul(t, sine_quotient(x)), mul(t, over(cos(x), x))))
declare_several("shichi", "x", x=lambda t, x: (mul(t, _sinh_quotient(x)), mul(t, over(cosh(x), x))))


def _spence_slope(z: Any) -> Any:
    """``log(z) / (1 - z)``, the derivative of the dilogarithm of 1 - z (25.12.2), -1 at z = 1."""
    near = less(abs(sub(z, 1)), 0.5)
    far = where(near, 2, z)
    return where(near, neg(log1p_quotient(sub(where(near, z, 1), 1))), div(log(far), sub(1, far)))


declare("spence", "z", z=lambda t, z: mul(t, _spence_slope(z)))

# 4.13.4 for W, in the form that holds at z = 0 too; omega(z) is W(exp(z))

declare("_lambertw", "z k tol", z=lambda t, out: mul(t, div(exp(neg(out)), add(out, 1))))
declare("wrightomega", "z", z=lambda t, out: mul(t, div(out, add(out, 1))))

# Fresnel integrals (S, C): 7.2.7, 7.2.8


def _fresnel(t: Any, z: Any) -> tuple[Any, Any]:
    angle = mul(square(z), math.pi / 2)
    return mul(t, sin(angle)), mul(t, cos(angle))


declare_several("fresnel", "z", z=_fresnel)

# modified: F(x), the integral of exp(+-i s**2) over s from x on, and K(x) = erfcx(exp(-+i pi/4) x) / 2


def _modified_fresnel(t: Any, x: Any, sign: int, value: Any) -> tuple[Any, Any]:
    turn = cmath.exp(-0.25j * math.pi * sign)
    slope = erfcx_slope(mul(x, turn), mul(value, 2))
    return neg(mul(t, exp(mul(square(x), 1j * sign)))), mul(t, mul(slope, turn / 2))


declare_several("modfresnelp", "x", x=lambda t, x, out: _modified_fresnel(t, x, 1, out[1]))
declare_several("modfresnelm", "x", x=lambda t, x, out: _modified_fresnel(t, x, -1, out[1]))

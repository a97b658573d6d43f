"""Derivatives of the elementary functions of SciPy: logistic, entropies, power transforms, angles in degrees."""

from __future__ import annotations

import math
from typing import Any

from fungrad.primitives.arithmetic import add, div, log, mul, neg, power, sub
from fungrad.primitives.comparison import equal, less, less_equal
from fungrad.primitives.exponential import exp, log1p, square
from fungrad.primitives.rounding import abs, sign
from fungrad.primitives.selection import where
from fungrad.primitives.trigonometric import hypot, sin
from fungrad.scipy.ufuncs.declared import declare, declare_constant, special
from fungrad.scipy.ufuncs.quotients import expm1_quotient, log1p_quotient

_DEGREE = math.pi / 180

expit, exprel = special("expit"), special("exprel")
cosdg, sindg = special("cosdg"), special("sindg")

declare_constant("round", "x")

# exponentials and logarithms

declare("exp2", "x", x=lambda t, out: mul(t, mul(out, math.log(2.0))))
declare("exp10", "x", x=lambda t, out: mul(t, mul(out, math.log(10.0))))
declare("expm1", "x", x=lambda t, x: mul(t, exp(x)))
declare("log1p", "x", x=lambda t, x: div(t, add(x, 1)))
declare("exprel", "x", x=lambda t, x: mul(t, expm1_quotient(x, 1)))
declare("cosm1", "x", x=lambda t, x: neg(mul(t, sin(x))))
declare("cbrt", "x", x=lambda t, out: div(t, mul(square(out), 3)))

# powm1: x**y - 1, with the conventions of power: y x**(y-1) is 0 for y = 0, and x**y log(x) is 0 for x = 0


def _powm1_by_x(t: Any, x: Any, y: Any) -> Any:
    zero = equal(y, 0)
    return mul(t, mul(y, power(x, sub(where(zero, 1, y), 1))))


declare(
    "powm1",
    "x y",
    x=_powm1_by_x,
    y=lambda t, x, out: mul(t, mul(add(out, 1), log(where(equal(x, 0), 1, x)))),
)

# the logistic function; out * (1 - out) would lose the right tail

declare("expit", "x", x=lambda t, x, out: mul(t, mul(out, expit(neg(x)))))
declare("log_expit", "x", x=lambda t, x: mul(t, expit(neg(x))))
declare("logit", "x", x=lambda t, x: div(t, mul(x, sub(1, x))))

# x log(y) and x log(1 + y), 0 for x = 0 whatever y; the partial in x is the logarithm, infinite as it may be


def _ratio_or_zero(t: Any, x: Any, y: Any) -> Any:
    zero = equal(x, 0)
    return mul(t, where(zero, 0, div(x, where(zero, 1, y))))


declare("xlogy", "x y", x=lambda t, y: mul(t, log(y)), y=_ratio_or_zero)
declare("xlog1py", "x y", x=lambda t, y: mul(t, log1p(y)), y=lambda t, x, y: _ratio_or_zero(t, x, add(y, 1)))


# entropies: entr = -x log(x), rel_entr = x log(x/y), kl_div = rel_entr - x + y


def _log_ratio(x: Any, y: Any) -> Any:
    """``log(x / y)``, where the quotient is near 1 without the cancellation of log(x) - log(y)."""
    difference = sub(log(x), log(y))
    near = less(abs(difference), 1)
    return where(near, log(div(where(near, x, 1), where(near, y, 1))), difference)


declare("entr", "x", x=lambda t, x: neg(mul(t, add(log(x), 1))))
declare("rel_entr", "x y", x=lambda t, x, y: mul(t, add(_log_ratio(x, y), 1)), y=lambda t, x, y: neg(mul(t, div(x, y))))
declare(
    "kl_div",
    "x y",
    x=lambda t, x, y: mul(t, _log_ratio(x, y)),
    y=lambda t, x, y: mul(t, div(sub(y, x), y)),
)

# huber: r**2 / 2 up to |r| = delta, then delta (|r| - delta / 2)

declare(
    "huber",
    "delta r",
    delta=lambda t, delta, r: mul(t, where(less_equal(abs(r), delta), 0, sub(abs(r), delta))),
    r=lambda t, delta, r: mul(t, where(less_equal(abs(r), delta), r, mul(delta, sign(r)))),
)

# pseudo_huber: delta**2 (s - 1) with s = sqrt(1 + u**2), u = r / delta; for delta = 0 it is 0


def _pseudo_huber_u(delta: Any, r: Any) -> tuple[Any, Any]:
    zero = equal(delta, 0)
    u = div(where(zero, 0, r), where(zero, 1, delta))
    return u, hypot(u, 1.0)


def _pseudo_huber_by_r(t: Any, delta: Any, r: Any) -> Any:
    u, s = _pseudo_huber_u(delta, r)
    return mul(t, mul(delta, div(u, s)))


def _pseudo_huber_by_delta(t: Any, delta: Any, r: Any) -> Any:
    """delta (s - 1)**2 / s, its limit |r| for delta = 0."""
    u, s = _pseudo_huber_u(delta, r)
    s_minus_1 = mul(u, div(u, add(s, 1)))
    return mul(t, where(equal(delta, 0), abs(r), mul(delta, mul(s_minus_1, div(s_minus_1, s)))))


declare("pseudo_huber", "delta r", delta=_pseudo_huber_by_delta, r=_pseudo_huber_by_r)

# boxcox: (x**p - 1) / p, log(x) for p = 0; with l = log(x) it is l q(p l), q(u) = expm1(u) / u


def _by_exponent(t: Any, logarithm: Any, p: Any) -> Any:
    return mul(t, mul(square(logarithm), expm1_quotient(mul(p, logarithm), 1)))


def _boxcox_by_lambda(t: Any, x: Any, lmbda: Any) -> Any:
    """At x = 0, where the value is -1/lmbda for lmbda > 0, the derivative is 1/lmbda**2."""
    zero = equal(x, 0)
    inside = _by_exponent(t, log(where(zero, 1, x)), lmbda)
    return where(zero, div(t, square(where(zero, lmbda, 1))), inside)


declare(
    "boxcox",
    "x lmbda",
    x=lambda t, x, lmbda: mul(t, power(x, sub(lmbda, 1))),
    lmbda=_boxcox_by_lambda,
)
declare(
    "boxcox1p",
    "x lmbda",
    x=lambda t, x, lmbda: mul(t, exp(mul(sub(lmbda, 1), log1p(x)))),
    lmbda=lambda t, x, lmbda: _by_exponent(t, log1p(x), lmbda),
)

# their inverses: log(inv_boxcox) = log1p(p y) / p = y q(p y), q(u) = log1p(u) / u

declare(
    "inv_boxcox",
    "y lmbda",
    y=lambda t, y, lmbda, out: mul(t, div(out, add(mul(lmbda, y), 1))),
    lmbda=lambda t, y, lmbda, out: mul(t, mul(out, mul(square(y), log1p_quotient(mul(lmbda, y), 1)))),
)
declare(
    "inv_boxcox1p",
    "y lmbda",
    y=lambda t, y, lmbda, out: mul(t, div(add(out, 1), add(mul(lmbda, y), 1))),
    lmbda=lambda t, y, lmbda, out: mul(t, mul(add(out, 1), mul(square(y), log1p_quotient(mul(lmbda, y), 1)))),
)

# angles in degrees

declare("sindg", "x", x=lambda t, x: mul(t, mul(cosdg(x), _DEGREE)))
declare("cosdg", "x", x=lambda t, x: mul(t, mul(sindg(x), -_DEGREE)))
declare("tandg", "x", x=lambda t, out: mul(t, mul(add(square(out), 1), _DEGREE)))
declare("cotdg", "x", x=lambda t, out: mul(t, mul(add(square(out), 1), -_DEGREE)))
declare(
    "radian",
    "d m s",
    d=lambda t: mul(t, _DEGREE),
    m=lambda t: mul(t, _DEGREE / 60),
    s=lambda t: mul(t, _DEGREE / 3600),
)

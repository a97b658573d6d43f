"""Trigonometric and hyperbolic functions, their inverses, and what goes with them.

The rules avoid squares of large numbers where the derivative is finite: ``x / (x**2 + y**2)`` is written as
``(x / r) / r`` with r = hypot(x, y), ``1 - x**2`` as ``(1 - x) (1 + x)``, which is also exact near 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.elementwise import Elementwise
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import is_complex
from fungrad.primitives.exponential import sqrt, square
from fungrad.primitives.selection import where

sin_p = Elementwise("sin", np.sin, lambda t, x: mul(t, cos(x)), scalar="sin({0})", cost=7.0)
sin = sin_p.function

cos_p = Elementwise("cos", np.cos, lambda t, x: neg(mul(t, sin(x))), scalar="cos({0})", cost=7.0)
cos: Callable[..., Any] = cos_p.function

tan_p = Elementwise("tan", np.tan, lambda t, out: mul(t, add(square(out), 1)), scalar="tan({0})", cost=10.0)
tan = tan_p.function


def _one_minus_square(x: Any) -> Any:
    return mul(sub(1, x), add(x, 1))


def _cathetus(x: Any) -> Any:
    """``sqrt(1 - x**2)``.

    Complex numbers that are real and beyond 1 lie on the branch cut: the sign of their imaginary zero says on which
    side, and a difference ``1 - x`` would lose it.
    """
    if is_complex(x):
        return mul(sqrt(neg(sub(x, 1))), sqrt(add(x, 1)))
    return sqrt(_one_minus_square(x))


arcsin_p = Elementwise("arcsin", np.arcsin, lambda t, x: div(t, _cathetus(x)), scalar="asin({0})", cost=10.0)
arcsin = arcsin_p.function

arccos_p = Elementwise("arccos", np.arccos, lambda t, x: neg(div(t, _cathetus(x))), scalar="acos({0})", cost=10.0)
arccos = arccos_p.function

arctan_p = Elementwise("arctan", np.arctan, lambda t, x: div(t, add(square(x), 1)), scalar="atan({0})", cost=8.0)
arctan = arctan_p.function

# hyperbolic

sinh_p = Elementwise("sinh", np.sinh, lambda t, x: mul(t, cosh(x)), scalar="sinh({0})", cost=15.0)
sinh = sinh_p.function

cosh_p = Elementwise("cosh", np.cosh, lambda t, x: mul(t, sinh(x)), scalar="cosh({0})", cost=10.0)
cosh: Callable[..., Any] = cosh_p.function

tanh_p = Elementwise("tanh", np.tanh, lambda t, out: mul(t, sub(1, square(out))), scalar="tanh({0})", cost=0.8)
tanh = tanh_p.function

arcsinh_p = Elementwise("arcsinh", np.arcsinh, lambda t, x: div(t, _hypot_one(x)), scalar="asinh({0})", cost=15.0)
arcsinh = arcsinh_p.function

# sqrt(x - 1) sqrt(x + 1): the square root of the product is on the wrong branch for complex x with Re(x) < 0

arccosh_p = Elementwise(
    "arccosh", np.arccosh, lambda t, x: div(t, mul(sqrt(sub(x, 1)), sqrt(add(x, 1)))), scalar="acosh({0})", cost=15.0
)
arccosh = arccosh_p.function

arctanh_p = Elementwise(
    "arctanh", np.arctanh, lambda t, x: div(t, _one_minus_square(x)), scalar="atanh({0})", cost=10.0
)
arctanh = arctanh_p.function


# hypot: sqrt(x**2 + y**2); its derivatives at (0, 0) are 0, as those of abs


def _direction(t: Any, x: Any, out: Any) -> Any:
    zero = equal(out, 0)
    return mul(t, where(zero, 0, div(x, where(zero, 1, out))))


hypot_p = Elementwise(
    "hypot",
    np.hypot,
    lambda t, x, out: _direction(t, x, out),
    lambda t, y, out: _direction(t, y, out),
    scalar="hypot({0}, {1})",
    cost=8.0,
)
hypot: Callable[..., Any] = hypot_p.function


def _hypot_one(x: Any) -> Any:
    """``sqrt(x**2 + 1)`` without overflow."""
    return sqrt(add(square(x), 1)) if is_complex(x) else hypot(x, 1.0)


# arctan2: the angle of the point (y, x), operands in this order; at (0, 0) it has no derivative (nan)


def _arctan2_by_first(t: Any, x: Any, y: Any) -> Any:
    r = hypot(x, y)
    return mul(t, div(div(y, r), r))


def _arctan2_by_second(t: Any, x: Any, y: Any) -> Any:
    r = hypot(x, y)
    return neg(mul(t, div(div(x, r), r)))


arctan2_p = Elementwise(
    "arctan2", np.arctan2, _arctan2_by_first, _arctan2_by_second, scalar="atan2({0}, {1})", cost=15.0
)
arctan2 = arctan2_p.function

# degrees and radians; NumPy has each twice

deg2rad_p = Elementwise("deg2rad", np.deg2rad, lambda t: deg2rad(t))
deg2rad: Callable[..., Any] = deg2rad_p.function

rad2deg_p = Elementwise("rad2deg", np.rad2deg, lambda t: rad2deg(t))
rad2deg: Callable[..., Any] = rad2deg_p.function


# sinc: sin(pi x) / (pi x) and its derivatives of every order, which the quotient gives only away from 0


def _sinc(x: Any, *, order: int) -> Any:
    """Derivative ``order`` of sinc: pi**n g_n(pi x) where g_n is the n-th derivative of g(u) = sin(u) / u.

    Near 0 it is summed from the series of g_n(u), the integral of s**n cos(u s + n pi/2) over s from 0 to 1; away
    from 0 by the recurrence u g_n = sin(u + n pi/2) - n g_(n-1), which multiplies an error by n / |u| at each step.
    Where the two meet both are accurate.
    """
    value = np.sinc(x)
    if order == 0:
        return value
    u = np.pi * np.asarray(x)
    near = np.abs(u) <= order / 2 + 1
    small, large = np.where(near, u, 0), np.where(near, 1, u)
    series: Any = 0.0
    for m in range(order % 2, 3 * order + 30, 2):  # until the terms are negligible
        series = series + (-1) ** ((m + order) // 2) / (math.factorial(m) * (m + order + 1)) * small**m
    sine, cosine = np.sin(large), np.cos(large)
    far = sine / large
    for n in range(1, order + 1):
        far = ((sine, cosine, -sine, -cosine)[n % 4] - n * far) / large
    return (np.pi**order * np.where(near, series, far)).astype(value.dtype)[()]


sinc_p = General(
    "sinc",
    _sinc,
    abstract=lambda x, *, order: ShapedArray(x.shape, np.sinc(np.ones((1,), x.dtype)).dtype),
    jvp=lambda primals, tangents, out, *, order: mul(tangents[0], sinc(primals[0], order + 1)),
    batch=lambda axis, batched, x, *, order: sinc(x, order),
)


def sinc(x: Any, order: int = 0) -> Any:
    """sin(pi x) / (pi x), 1 at x = 0, or its derivative of this order."""
    return sinc_p.bind(x, order=order)

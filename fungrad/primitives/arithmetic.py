"""Arithmetic: sums, products, quotients, remainders, powers (and the logarithm, which the rule of a power needs).

The implementations are Python's operators, which on arrays are NumPy's ufuncs, on NumPy scalars are several
times faster than those, and on Python numbers keep them Python numbers (NEP 50: they do not promote).
Where Python raises for numbers that NumPy has a result for (1.0 / 0.0), NumPy's result is taken.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.core.elementwise import Elementwise, NoTangent
from fungrad.core.trace import Tracer
from fungrad.primitives.comparison import equal, logical_and
from fungrad.primitives.selection import where

add_p = Elementwise("add", operator.add, lambda t: t, lambda t: t, joint=True, ufunc=np.add, scalar="{0} + {1}")
add = add_p.function

sub_p = Elementwise(
    "sub", operator.sub, lambda t: t, lambda t: neg(t), joint=True, ufunc=np.subtract, scalar="{0} - {1}"
)
sub = sub_p.function

neg_p = Elementwise("neg", operator.neg, lambda t: neg(t), ufunc=np.negative, scalar="-{0}")
neg: Callable[..., Any] = neg_p.function

positive_p = Elementwise("positive", operator.pos, lambda t: t, ufunc=np.positive, scalar="{0}")
positive = positive_p.function

mul_p = Elementwise(
    "mul", operator.mul, lambda t, y: mul(t, y), lambda t, x: mul(t, x), ufunc=np.multiply, scalar="{0} * {1}"
)
mul: Callable[..., Any] = mul_p.function


def _div(x: Any, y: Any) -> Any:
    try:
        return x / y
    except ZeroDivisionError:
        return np.divide(x, y).item()  # Python numbers: NumPy's inf or nan, and its warning


div_p = Elementwise(
    "div",
    _div,
    lambda t, y: div(t, y),
    lambda t, y, out: mul(t, div(out, neg(y))),
    ufunc=np.true_divide,
    scalar="{0} / {1}",
    cost=0.4,
)
div: Callable[..., Any] = div_p.function


# floor_divide: floor(x / y), and what it leaves: x = y * floor_divide(x, y) + remainder(x, y)


def _floor_divide(x: Any, y: Any) -> Any:
    try:
        return x // y
    except ZeroDivisionError:
        return np.floor_divide(x, y).item()


def _remainder(x: Any, y: Any) -> Any:
    try:
        return x % y
    except ZeroDivisionError:
        return np.remainder(x, y).item()


floor_divide_p = NoTangent("floor_divide", _floor_divide, elementwise=True, ufunc=np.floor_divide, cost=3.0)
floor_divide = floor_divide_p.function

remainder_p = Elementwise(
    "remainder",
    _remainder,
    lambda t: t,
    lambda t, x, y: neg(mul(t, floor_divide(x, y))),
    ufunc=np.remainder,
    cost=5.0,
)
remainder = remainder_p.function


# log: here rather than in exponential.py because of power

log_p = Elementwise("log", np.log, lambda t, x: div(t, x), scalar="log({0})", cost=0.7)
log = log_p.function


# power: d(x**y) = y x**(y-1) dx + x**y log(x) dy


_CONSTANT_EXPONENTS, _PYTHON_NUMBERS = (int, float), (int, float, complex)


def _power(x: Any, y: Any) -> Any:
    if type(x) is np.ndarray and (type(y) not in _CONSTANT_EXPONENTS or x.dtype.kind == "b"):
        return np.power(x, y)  # of booleans, and in NumPy 2.0, the operator's dtype depends on the value of y
    try:
        out = x**y
    except (ZeroDivisionError, OverflowError):
        return np.power(x, y).item()
    kind = type(out)
    # Python numbers, of which Python makes a complex root of a negative number (NumPy: nan) and 2 ** -1 (an error).
    if kind is complex and type(x) is not complex and type(y) is not complex:
        return np.power(x, y).item()
    if kind is float and type(x) is type(y) is int:
        return np.power(x, y).item()
    return out


def _power_by_base(t: Any, x: Any, y: Any) -> Any:
    """``y x**(y-1)``; at y = 0 it is 0 for all x, also where x**-1 is infinite."""
    if type(y) in _CONSTANT_EXPONENTS:
        if y == 2:
            return mul(t, mul(x, 2))
        if y == 0:
            return _zeros_like(t)
        return mul(t, mul(power(x, y - 1), y))
    exponent = where(logical_and(equal(x, 0), equal(y, 0)), 1, y)
    return mul(t, mul(y, power(x, sub(exponent, 1))))


def _power_by_exponent(t: Any, x: Any, y: Any, out: Any) -> Any:
    """``x**y log(x)``; at x = 0 it is 0, which is the limit for y > 0 and keeps y = 0 finite."""
    base = where(equal(x, 0), 1, x)
    if typeof(out).dtype.kind == "c":
        base = add(base, 0j)  # the logarithm of a negative real base of a complex exponent is complex
    factor = log(base)
    return mul(t, mul(out, factor.item() if type(x) in _PYTHON_NUMBERS else factor))  # Python's: it does not promote


def _zeros_like(t: Any) -> Any:
    # where, not t * 0: that would be nan for an infinite t.
    return where(False, t, 0) if type(t) is Tracer else np.zeros_like(t)[()]


power_p = Elementwise(
    "power", _power, _power_by_base, _power_by_exponent, ufunc=np.power, scalar="pow({0}, {1})", cost=8.0
)
power: Callable[..., Any] = power_p.function


def add_into(total: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Add x into total in place, for sums of cotangents that nothing else refers to."""
    np.add(total, x, out=total)
    return total

"""Arithmetic: sums, products, quotients, powers, remainders.

The implementations are Python's operators, which on arrays are NumPy's ufuncs, on NumPy scalars are several
times faster than those, and on Python numbers keep them Python numbers (NEP 50: they do not promote).
Where Python raises for numbers that NumPy has a result for (1.0 / 0.0), NumPy's result is taken.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise

add_p = Elementwise("add", operator.add, lambda t: t, lambda t: t, joint=True)
add = add_p.function

sub_p = Elementwise("sub", operator.sub, lambda t: t, lambda t: neg(t), joint=True)
sub = sub_p.function

neg_p = Elementwise("neg", operator.neg, lambda t: neg(t))
neg = neg_p.function

mul_p = Elementwise("mul", operator.mul, lambda t, y: mul(t, y), lambda t, x: mul(t, x))
mul = mul_p.function


def _div(x: Any, y: Any) -> Any:
    try:
        return x / y
    except ZeroDivisionError:
        return np.divide(x, y).item()  # Python numbers: NumPy's inf or nan, and its warning


div_p = Elementwise("div", _div, lambda t, y: div(t, y), lambda t, y, out: neg(div(mul(t, out), y)))
div = div_p.function


def add_into(total: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Add x into total in place, for sums of cotangents that nothing else refers to."""
    return np.add(total, x, out=total)

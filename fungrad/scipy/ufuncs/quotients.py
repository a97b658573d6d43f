"""Two quotients and their derivatives of every order, accurate also near 0 where both sides of the fraction vanish.

    expm1(u) / u     the integral of exp(u s) over s from 0 to 1
    log1p(u) / u     the integral of 1 / (1 + u s)

They are what derivatives in an exponent are made of: d(x**p / p) / dp and the like.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import mul


def _series_exp(u: Any, order: int) -> Any:
    """The integral of s**order exp(u s) by powers of u."""
    total: Any = 0.0
    for m in range(3 * order + 28, -1, -1):
        total = total * u + 1 / (math.factorial(m) * (m + order + 1))
    return total


def _series_log(u: Any, order: int) -> Any:
    """Derivative ``order`` of sum((-u)**m / (m + 1))."""
    total: Any = 0.0
    for m in range(70 + 6 * order, order - 1, -1):
        total = total * u + (-1) ** m * math.perm(m, order) / (m + 1)
    return total


def _quotient(u: Any, *, name: str, order: int) -> Any:
    """By the series near 0, elsewhere by u q_n = g_n - n q_(n-1), where g_n is derivative n of u q."""
    given = np.asarray(u)
    dtype = np.result_type(given.dtype, np.float32) if given.dtype.kind in "fc" else np.dtype(np.float64)
    u = given.astype(np.result_type(dtype, np.float64))
    near = np.abs(u) <= (order / 2 + 1 if name == "expm1" else 0.5)
    small, large = np.where(near, u, 0), np.where(near, 1, u)
    series = (_series_exp if name == "expm1" else _series_log)(small, order)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        far = (np.expm1 if name == "expm1" else np.log1p)(large) / large
        for n in range(1, order + 1):
            if name == "expm1":
                derivative = np.exp(large)
            else:
                derivative = (-1) ** (n - 1) * math.factorial(n - 1) / (1 + large) ** n
            far = (derivative - n * far) / large
    return np.where(near, series, far).astype(dtype)[()]


def _abstract(u: ShapedArray, *, name: str, order: int) -> ShapedArray:
    return ShapedArray(u.shape, _quotient(np.ones((1,), u.dtype), name=name, order=order).dtype)


quotient_p: General = General(
    "quotient",
    _quotient,
    abstract=_abstract,
    jvp=lambda primals, tangents, out, *, name, order: mul(
        tangents[0], quotient_p.bind(primals[0], name=name, order=order + 1)
    ),
    batch=lambda axis, batched, u, *, name, order: quotient_p.bind(u, name=name, order=order),
)


def expm1_quotient(u: Any, order: int = 0) -> Any:
    """``expm1(u) / u``, 1 at u = 0, or its derivative of this order."""
    return quotient_p.bind(u, name="expm1", order=order)


def log1p_quotient(u: Any, order: int = 0) -> Any:
    """``log1p(u) / u``, 1 at u = 0, or its derivative of this order."""
    return quotient_p.bind(u, name="log1p", order=order)

"""Exponentials, logarithms and roots. Powers, and log itself, are in arithmetic.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise, broadcasting_rows
from fungrad.core.lowering import NEW, Emission, Lowering
from fungrad.primitives.arithmetic import add, div, log, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.selection import where

__all__ = [
    "cbrt", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2",
    "reciprocal", "sqrt", "square",
]  # fmt: skip

_LOG_2, _LOG_10 = math.log(2.0), math.log(10.0)

exp_p = Elementwise("exp", np.exp, lambda t, out: mul(t, out), scalar="exp({0})", cost=0.7)
exp = exp_p.function

exp2_p = Elementwise("exp2", np.exp2, lambda t, out: mul(t, mul(out, _LOG_2)), cost=4.0)
exp2: Callable[..., Any] = exp2_p.function

# exp(x), not out + 1: that cancels for very negative x

expm1_p = Elementwise("expm1", np.expm1, lambda t, x: mul(t, exp(x)), scalar="expm1({0})", cost=8.0)
expm1 = expm1_p.function

log2_p = Elementwise("log2", np.log2, lambda t, x: div(t, mul(x, _LOG_2)), scalar="log2({0})", cost=4.0)
log2 = log2_p.function

log10_p = Elementwise("log10", np.log10, lambda t, x: div(t, mul(x, _LOG_10)), scalar="log10({0})", cost=8.0)
log10 = log10_p.function

log1p_p = Elementwise("log1p", np.log1p, lambda t, x: div(t, add(x, 1)), scalar="log1p({0})", cost=8.0)
log1p = log1p_p.function


# logaddexp: log(exp(x) + exp(y)); the partials are the softmax weights exp(x - out)


def _weight_exponent(x: Any, out: Any) -> Any:
    """``x - out``; where both are -inf (log of a sum of zeros) -inf, so that the weights are 0 instead of nan."""
    return sub(x, where(equal(out, -math.inf), 0, out))


def is_finite(x: Any) -> bool:
    """Whether x is a real number, and a finite one in half precision, too."""
    return isinstance(x, (int, float, np.floating)) and abs(float(x)) < 65504


def _logaddexp(x: Any, y: Any, out: Any = None) -> Any:
    """``numpy.logaddexp`` by its formula, ``max + log1p(exp(min - max))``: its own loop takes seven times as long."""
    high, low = np.maximum(x, y), np.minimum(x, y, out=out)
    if not -math.inf < high.min(initial=0) <= high.max(initial=0) < math.inf:  # inf - inf; nan
        return np.logaddexp(high, low, out)
    return _from_extremes(high, low)


def _logaddexp_of_number(x: Any, y: Any, out: Any = None) -> Any:
    """The same where x or y is a finite number: no difference of infinities."""
    return _from_extremes(np.maximum(x, y), np.minimum(x, y, out=out))


def _from_extremes(high: Any, low: Any) -> Any:
    np.subtract(low, high, low)
    np.exp(low, low)
    np.log1p(low, low)
    return np.add(high, low, low)


def _logaddexp_text(e: Emission, out: str | None, x: str, y: str) -> str:
    (result,) = e.out_avals
    into = "" if out is None else f", {out}"
    if (
        result.dtype.kind != "f"
        or result.dtype.itemsize not in (4, 8)
        or any(a.dtype.kind != "f" and not a.weak for a in e.avals)
    ):
        return f"{e.const(np.logaddexp, 'logaddexp')}({x}, {y}{into})"
    impl = _logaddexp_of_number if is_finite(e.number(0)) or is_finite(e.number(1)) else _logaddexp
    return f"{e.const(impl, 'logaddexp')}({x}, {y}{into})"


logaddexp_p = Elementwise(
    "logaddexp",
    np.logaddexp,
    lambda t, x, out: mul(t, exp(_weight_exponent(x, out))),
    lambda t, y, out: mul(t, exp(_weight_exponent(y, out))),
    lowering=Lowering(
        _logaddexp_text,
        NEW,
        into=True,
        pointwise=True,
        rows=broadcasting_rows,
        cost=3.0,
        temporary=lambda x, y: max(x.size, y.size) * 8,
    ),
)
logaddexp = logaddexp_p.function

logaddexp2_p = Elementwise(
    "logaddexp2",
    np.logaddexp2,
    lambda t, x, out: mul(t, exp2(_weight_exponent(x, out))),
    lambda t, y, out: mul(t, exp2(_weight_exponent(y, out))),
    cost=20.0,
)
logaddexp2 = logaddexp2_p.function


# roots and squares; sqrt'(0) = cbrt'(0) = inf

sqrt_p = Elementwise("sqrt", np.sqrt, lambda t, out: div(mul(t, 0.5), out), scalar="sqrt({0})", cost=0.9)
sqrt = sqrt_p.function

cbrt_p = Elementwise("cbrt", np.cbrt, lambda t, out: div(t, mul(square(out), 3)), cost=12.0)
cbrt = cbrt_p.function


def _square(x: Any) -> Any:
    return x * x if type(x) is np.float64 else np.square(x)  # the ufunc is slow on scalars


square_p = Elementwise("square", _square, lambda t, x: mul(t, mul(x, 2)), ufunc=np.square, scalar="{0} * {0}")
square: Callable[..., Any] = square_p.function

reciprocal_p = Elementwise(
    "reciprocal", np.reciprocal, lambda t, out: neg(mul(t, square(out))), scalar="1.0 / {0}", cost=0.4
)
reciprocal = reciprocal_p.function

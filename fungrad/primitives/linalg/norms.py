"""What norms and condition numbers consist of, where a primitive is better than a composition.

length           the square root of the sum of |x|^2 along axes, with the derivative 0 at 0
condition        a quotient that may be inf or nan without a warning, as in numpy.linalg.cond
inf_for_nan      what cond makes of nan; its derivative is that of the nan, not zero
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import Elementwise
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import div, mul, neg
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import conj, real
from fungrad.primitives.reductions import Axes, sum_of_products, without
from fungrad.primitives.rounding import abs as modulus
from fungrad.primitives.selection import where

# length: a primitive because its derivative is one product, Re sum t conj(x) / |x|; that of a sum of squares takes more
# passes over memory


def _length(x: Any, *, axes: Axes) -> Any:
    if x.dtype.kind == "c":
        squares = sum_of_products(x.real, x.real, axes) + sum_of_products(x.imag, x.imag, axes)
    else:
        squares = sum_of_products(x, x, axes)
    return np.sqrt(squares)


def _length_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    along = real(sum_of_products(tangents[0], conj(primals[0]), axes))
    zero = equal(out, 0)
    return div(where(zero, 0, along), where(zero, 1, out))


length_p = General(
    "length",
    _length,
    abstract=lambda x, *, axes: ShapedArray(without(x.shape, axes), np.dtype(x.dtype.char.lower())),
    jvp=_length_jvp,
    batch=lambda axis, batched, x, *, axes: length(x, tuple([k + 1 for k in axes])),
)


def length(x: Any, axes: Axes) -> Any:
    """The Euclidean length along axes (counted from 0, sorted) of an array of an inexact dtype; derivative 0 at 0."""
    return length_p.bind(x, axes=axes) if typeof(x).ndim else modulus(x)


# condition: x / y


def _quotient(x: Any, y: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.divide(x, y)


condition_p = Elementwise("condition", _quotient, lambda t, y: div(t, y), lambda t, y, out: neg(mul(t, div(out, y))))
condition = condition_p.function

# inf_for_nan: the rule hands on t, into which nan has gone or will go

inf_for_nan_p = Elementwise("inf_for_nan", lambda x: np.where(np.isnan(x), np.inf, x).astype(x.dtype)[()], lambda t: t)
inf_for_nan = inf_for_nan_p.function

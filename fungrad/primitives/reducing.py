"""Compiled reductions over adjacent axes: sums as products with ones, extrema by their positions.

NumPy reduces an array in loops over its last axis, which are over as soon as they begin where that one is short. The
sum of 2000 x 32 elements takes 33 us along either axis; as a product of the matrix with a vector of ones, which BLAS
does, it takes 5 us. Only the order of the sum differs. The largest element of each row takes 90 us, its position 14 us.

BLAS would use threads of its own for large matrices, and the order of the sum would depend on their number. So a large
matrix is given to it as a stack of pieces that are below its bound.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.lowering import SHORT_AXIS, Emission, Lowering, reduction_lowering

PIECE = 1 << 13
"""Elements of a matrix that OpenBLAS multiplies by a vector on one thread (it is fewer than 9216)."""

LONGEST = 1 << 10
"""Elements of a row up to which NumPy's loops are slower."""

SMALLEST = 1 << 8
"""Elements of an array from which on the call of a Python function pays."""

_add_up: Any = np.add.reduce
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


@lru_cache(maxsize=256)
def _ones(n: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def sum_over(x: np.ndarray[Any, Any], first: int, last: int, out: np.ndarray[Any, Any] | None = None) -> Any:
    """The sum over the axes first ... last-1 of an array of floats, some of whose axes remain."""
    shape = x.shape
    if not x.flags.c_contiguous or not (out is None or out.flags.c_contiguous):
        return _add_up(x, tuple(range(first, last)), None, out)
    if out is None:
        out = np.empty((*shape[:first], *shape[last:]), x.dtype)
    n, after = math.prod(shape[first:last]), math.prod(shape[last:])
    if after == 1:
        _sum_rows(x.reshape(-1, n), out.reshape(-1))
    elif first:
        np.matmul(_ones(n, x.dtype), x.reshape(-1, n, after), out.reshape(-1, after))
    else:
        _sum_columns(x.reshape(n, after), out.reshape(-1))
    return out


def _sum_rows(x: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
    """The sum of each row of a matrix."""
    rows, n = x.shape
    ones, piece = _ones(n, x.dtype), max(PIECE // n, 1)
    if rows <= piece:
        x.dot(ones, out)
        return
    whole = rows - rows % piece
    np.matmul(x[:whole].reshape(-1, piece, n), ones, out[:whole].reshape(-1, piece))
    if whole < rows:
        x[whole:].dot(ones, out[whole:])


def _sum_columns(x: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
    """The sum of each column of a matrix."""
    rows, n = x.shape
    piece = max(PIECE // n, 1)
    if rows <= piece:
        _ones(rows, x.dtype).dot(x, out)
        return
    whole = rows - rows % piece
    _add_up(np.matmul(_ones(piece, x.dtype), x[:whole].reshape(-1, piece, n)), 0, None, out)
    if whole < rows:
        out += _ones(rows - whole, x.dtype).dot(x[whole:])


def extremum_over(ufunc: np.ufunc, x: np.ndarray[Any, Any], first: int, out: np.ndarray[Any, Any] | None = None) -> Any:
    """The largest (`numpy.maximum`) or smallest elements over the last axes, from ``first`` on."""
    if not x.flags.c_contiguous:
        return ufunc.reduce(x, tuple(range(first, x.ndim)), None, out)
    rows = x.reshape(-1, math.prod(x.shape[first:]))
    places = rows.argmax(1) if ufunc is np.maximum else rows.argmin(1)  # of the first nan, if there is one
    places += np.arange(0, rows.size, rows.shape[1])
    found = x.reshape(-1).take(places).reshape(x.shape[:first])
    if out is None:
        return found
    out[...] = found
    return out


def is_product(x: ShapedArray, axes: tuple[int, ...]) -> bool:
    """Whether a sum over these axes is compiled as a product with ones."""
    if not axes or len(axes) == x.ndim or axes[-1] - axes[0] != len(axes) - 1:
        return False
    if x.dtype not in _FLOATS or x.size < SMALLEST:
        return False
    n, after = math.prod(x.shape[axes[0] : axes[-1] + 1]), math.prod(x.shape[axes[-1] + 1 :])
    if after == 1:
        return 1 < n <= LONGEST
    return after <= LONGEST and n > 1 and (axes[0] == 0 or n * after <= PIECE)


def _is_by_position(x: ShapedArray, axes: tuple[int, ...]) -> bool:
    """Whether an extremum over these axes is compiled as a look-up of its positions."""
    if not axes or len(axes) == x.ndim or axes != tuple(range(axes[0], x.ndim)) or x.size < SMALLEST:
        return False
    return x.dtype in _FLOATS and SHORT_AXIS - 8 < math.prod(x.shape[axes[0] :]) <= LONGEST // 2


def extremum_lowering(ufunc: np.ufunc) -> Lowering:
    """How the extremum that a ufunc finds over the parameter ``axes`` compiles."""
    lowering = reduction_lowering(ufunc)
    plain, copied = lowering.text, lowering.temporary

    def text(e: Emission, out: str | None, x: str, *, axes: tuple[int, ...]) -> str:
        if e.rows_last or not _is_by_position(e.avals[0], axes):
            return plain(e, out, x, axes=axes)
        into = "" if out is None else f", {out}"
        found, name = e.const(extremum_over, "extremum_over"), e.const(ufunc, ufunc.__name__)
        return f"{found}({name}, {x}, {axes[0]}{into})"

    def temporary(x: ShapedArray, *, axes: tuple[int, ...]) -> int:
        if not _is_by_position(x, axes):
            return copied(x, axes=axes) if copied is not None else 0
        return (16 + x.dtype.itemsize) * (x.size // math.prod(x.shape[axes[0] :]))

    lowering.text, lowering.temporary = text, temporary
    return lowering


def sum_lowering() -> Lowering:
    """How a sum over the parameter ``axes`` compiles."""
    lowering = reduction_lowering(np.add)
    plain, copied = lowering.text, lowering.temporary

    def text(e: Emission, out: str | None, x: str, *, axes: tuple[int, ...]) -> str:
        if e.rows_last or not is_product(e.avals[0], axes):
            return plain(e, out, x, axes=axes)
        into = "" if out is None else f", {out}"
        return f"{e.const(sum_over, 'sum_over')}({x}, {axes[0]}, {axes[-1] + 1}{into})"

    def temporary(x: ShapedArray, *, axes: tuple[int, ...]) -> int:
        if not is_product(x, axes):
            return copied(x, axes=axes) if copied is not None else 0
        n = math.prod(x.shape[axes[-1] + 1 :])
        return x.size * n * x.dtype.itemsize // PIECE if axes[0] == 0 and n > 1 else 0

    lowering.text, lowering.temporary = text, temporary
    return lowering

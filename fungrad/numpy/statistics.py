"""NumPy's functions composed of reductions: average, median, differences, integrals, and those that skip nan."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad.core.aval import Shape, ShapedArray, is_inexact, typeof
from fungrad.core.trace import known_value
from fungrad.numpy import reductions
from fungrad.numpy.dispatch import implements
from fungrad.numpy.reductions import Axis, axes_of
from fungrad.numpy.shaping import as_array, promote, refuse
from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.comparison import isnan, logical_not, not_equal
from fungrad.primitives.reductions import merged_last
from fungrad.primitives.selection import where as select
from fungrad.primitives.sorting import sort
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    ones,
    reshape,
    slice_axis,
    transpose,
    zeros,
)

# Averages and medians


@implements(np.average)
def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Average the elements along axes with weights.

    Parameters
    ----------
    weights : array, optional
        Of the shape of a, or of its axes ``axis``. The result has a derivative in the weights as well.
    returned : bool
        Whether to return the sums of the weights too.
    """
    x = as_array(a)
    shape = typeof(x).shape
    axes = axes_of(axis, len(shape))
    if weights is None:
        mean = reductions.mean(x, axes, keepdims=keepdims)
        aval = typeof(mean)
        return (mean, broadcast_to(aval.dtype.type(typeof(x).size / aval.size), aval.shape)) if returned else mean
    w = as_array(weights)
    dtype = np.result_type(typeof(x).dtype, typeof(w).dtype, *([] if is_inexact(typeof(x).dtype) else [np.float64]))
    if typeof(w).shape != shape:
        w = _along_axes(w, shape, axis)
    total = reductions.sum(w, axes, dtype=dtype, keepdims=keepdims)
    known = known_value(total)
    if not isinstance(known, ShapedArray) and np.any(known == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    weighted = mul(convert(x, dtype), convert(w, dtype))
    mean = div(reductions.sum(weighted, axes, keepdims=keepdims), total)
    return (mean, total) if returned else mean


def _along_axes(w: Any, shape: Shape, axis: Axis) -> Any:
    """Weights for some axes, in the order in which ``axis`` names them, broadcast to the whole shape."""
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = [normalize_axis_index(operator.index(k), len(shape)) for k in (axis if isinstance(axis, tuple) else (axis,))]
    if typeof(w).shape != tuple([shape[k] for k in axes]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    w = transpose(w, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
    return broadcast_to(expand_dims(w, tuple([k for k in range(len(shape)) if k not in axes])), shape)


@implements(np.median)
def median(a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """Take the middle element along axes, or the mean of the two in the middle; its derivative goes to those alone."""
    refuse("median", out=(out, None))
    x = as_array(a)
    axes = axes_of(axis, len(x.shape))
    if not is_inexact(typeof(x).dtype):
        x = convert(x, np.dtype(np.float64))
    ordered = merged_last(x, axes)
    last = len(ordered.shape) - 1
    n = ordered.shape[last]
    if n == 0:
        return reductions.mean(x, axes, keepdims=keepdims)
    ordered = sort(ordered, last)

    def element(k: int) -> Any:
        return reshape(slice_axis(ordered, last, k, k + 1), ordered.shape[:last])

    middle = element(n // 2) if n % 2 else mul(add(element(n // 2 - 1), element(n // 2)), 0.5)
    largest = element(n - 1)
    middle = select(isnan(largest), largest, middle)  # nan is sorted last
    return expand_dims(middle, axes) if keepdims else middle


# Differences and integrals


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtract from each element the one before it along an axis, n times; booleans: whether they differ.

    Parameters
    ----------
    prepend, append : array, optional
        Joined to a before and behind; a scalar stands for one element everywhere.
    """
    x = as_array(a)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if not x.shape:
        raise ValueError("diff requires input that is at least one dimensional")
    if n == 0:
        return x
    axis = normalize_axis_index(operator.index(axis), len(x.shape))
    ends = [x if e is x else _end(e, x.shape, axis) for e in (prepend, x, append) if e is not None]
    x = concatenate(promote(ends), axis)
    difference = not_equal if typeof(x).dtype == np.bool_ else sub
    for _ in range(n):
        size = x.shape[axis]
        x = difference(slice_axis(x, axis, min(1, size), size), slice_axis(x, axis, 0, max(size - 1, 0)))
    return x


def _end(value: Any, shape: Shape, axis: int) -> Any:
    value = as_array(value)
    return value if value.shape else broadcast_to(value, (*shape[:axis], 1, *shape[axis + 1 :]))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Take the differences of neighbours in the flattened array, with values joined before and behind."""
    x = as_array(ary)
    n = x.size
    x = reshape(x, (n,))
    x = sub(slice_axis(x, 0, min(1, n), n), slice_axis(x, 0, 0, max(n - 1, 0)))
    ends = [None if e is None else convert(as_array(e), typeof(x).dtype) for e in (to_begin, to_end)]
    begin, end = (None if e is None else reshape(e, (e.size,)) for e in ends)
    return concatenate([e for e in (begin, x, end) if e is not None], 0)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate along an axis by the trapezoidal rule; it has a derivative in the points x too."""
    y = as_array(y)
    k = normalize_axis_index(operator.index(axis), len(y.shape))
    if x is None:
        width = dx
    else:
        x = as_array(x)
        width = (
            diff(x, axis=k) if len(x.shape) != 1 else reshape(diff(x), (-1 + x.size, *(1,) * (len(y.shape) - 1 - k)))
        )
    n = y.shape[k]
    sides = add(slice_axis(y, k, 1, n), slice_axis(y, k, 0, n - 1))
    return reductions.sum(div(mul(width, sides), 2.0), axis=k)


# Accumulations of the array API


def _cumulative(
    name: str,
    fun: Callable[..., Any],
    first: Callable[[ShapedArray], Any],
    x: Any,
    axis: Any,
    dtype: Any,
    include_initial: bool,
) -> Any:
    x = as_array(x)
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(
                f"{name}: axis is needed for an array of {len(x.shape)} axes; it may be left out for one axis only"
            )
        axis = 0
    out = fun(x, axis, dtype)
    if not include_initial:
        return out
    k = normalize_axis_index(operator.index(axis), len(x.shape))
    return concatenate([first(ShapedArray((*x.shape[:k], 1, *x.shape[k + 1 :]), typeof(out).dtype)), out], k)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Add up the elements along an axis, keeping all partial sums (``include_initial``: from that of none)."""
    refuse("cumulative_sum", out=(out, None))
    return _cumulative("cumulative_sum", reductions.cumsum, zeros, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Multiply the elements along an axis, keeping all partial products (``include_initial``: from that of none)."""
    refuse("cumulative_prod", out=(out, None))
    return _cumulative("cumulative_prod", reductions.cumprod, ones, x, axis, dtype, include_initial)


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    implements(np.cumulative_sum)(cumulative_sum)
    implements(np.cumulative_prod)(cumulative_prod)


# Without nan: the same functions with a mask


def _known(x: Any) -> Any:
    return logical_not(isnan(x))


@implements(np.nansum)
def nansum(a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Add the elements along axes that are not nan."""
    x = as_array(a)
    return reductions.sum(x, axis, dtype, out, keepdims, where=_known(x))


@implements(np.nanprod)
def nanprod(a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Multiply the elements along axes that are not nan."""
    x = as_array(a)
    return reductions.prod(x, axis, dtype, out, keepdims, where=_known(x))


@implements(np.nanmean)
def nanmean(a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Average the elements along axes that are not nan."""
    x = as_array(a)
    return reductions.mean(x, axis, dtype, out, keepdims, where=_known(x))


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    """Take the variance along axes of the elements that are not nan."""
    x = as_array(a)
    return reductions.var(x, axis, dtype, out, ddof, keepdims, where=_known(x))


@implements(np.nanstd)
def nanstd(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    """Take the standard deviation along axes of the elements that are not nan."""
    x = as_array(a)
    return reductions.std(x, axis, dtype, out, ddof, keepdims, where=_known(x))


def _nan_extremum(fun: Callable[..., Any], worst: float, a: Any, axis: Axis, keepdims: bool) -> Any:
    x = as_array(a)
    if not is_inexact(typeof(x).dtype):
        return fun(x, axis, keepdims=keepdims)
    unknown = isnan(x)
    found = fun(select(unknown, worst, x), axis, keepdims=keepdims)
    return select(reductions.all(unknown, axis, keepdims=keepdims), np.nan, found)


@implements(np.nanmax)
def nanmax(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Take the maximum along axes of the elements that are not nan; nan where there is none."""
    refuse("nanmax", out=(out, None))
    return _nan_extremum(reductions.max, -np.inf, a, axis, keepdims)


@implements(np.nanmin)
def nanmin(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Take the minimum along axes of the elements that are not nan; nan where there is none."""
    refuse("nanmin", out=(out, None))
    return _nan_extremum(reductions.min, np.inf, a, axis, keepdims)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Add up the elements along an axis, with nan as 0."""
    x = as_array(a)
    return reductions.cumsum(select(isnan(x), 0, x), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Multiply the elements along an axis, with nan as 1."""
    x = as_array(a)
    return reductions.cumprod(select(isnan(x), 1, x), axis, dtype, out)

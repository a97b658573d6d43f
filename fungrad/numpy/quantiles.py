"""NumPy's quantiles, percentiles and medians, with nan and without.

A quantile stands between two neighbours in the sorted sample, at a position that is not an integer:

    position = f(n, q)        lower = floor(position)        gamma = position - lower
    quantile = x[lower] + gamma (x[lower + 1] - x[lower])

with an f for each of the thirteen methods (R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The
American Statistician 50, 1996, pp. 361-365). So it has a derivative in the two elements, and, where the method
interpolates, in q: ``(x[lower + 1] - x[lower]) f'(q)``, at an element the one from above, outside of the sample 0.
Where elements are equal it goes to those which sorting puts there. Which elements these are has no derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

import fungrad.numpy.reductions as reductions
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.nan_statistics import nanmean
from fungrad.numpy.reductions import Axis
from fungrad.numpy.shaping import as_array, refuse
from fungrad.numpy.statistics import along_axes, warn_where
from fungrad.primitives.arithmetic import add, div, floor_divide, mul, remainder, sub
from fungrad.primitives.comparison import equal, greater_equal, isnan, less, logical_and, logical_not
from fungrad.primitives.cumulative import cumsum
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.indexing import gather
from fungrad.primitives.reductions import Axes, count_nonzero, merged_last
from fungrad.primitives.rounding import ceil, floor, rint
from fungrad.primitives.selection import where as select
from fungrad.primitives.sorting import argpartition, argsort, permute, sort
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import convert, expand_dims, reshape, slice_axis, stack, transpose

INDEX = np.dtype(np.intp)

# The positions of the methods. n is the number of elements: an integer, or an array of them (nanquantile).


def _step(position: Any, stays: Any) -> Any:
    """The element at a position, where a condition on (gamma, lower) holds; else the next one."""
    lower = floor(position)
    return maximum(select(stays(sub(position, lower), lower), lower, add(lower, 1)), 0)


def _at_element(gamma: Any, lower: Any) -> Any:
    return equal(gamma, 0)


def _at_odd_element(gamma: Any, lower: Any) -> Any:
    return logical_and(equal(gamma, 0), equal(remainder(lower, 2), 1))


_DISCRETE: dict[str, Callable[[Any, Any], Any]] = {
    "inverted_cdf": lambda n, q: _step(sub(mul(n, q), 1), _at_element),
    "closest_observation": lambda n, q: _step(sub(sub(mul(n, q), 1), 0.5), _at_odd_element),
    "lower": lambda n, q: floor(mul(sub(n, 1), q)),
    "higher": lambda n, q: ceil(mul(sub(n, 1), q)),
    "nearest": lambda n, q: rint(mul(sub(n, 1), q)),
}
"""Methods that take one element: its position."""


def _plotting(alpha: float, beta: float) -> Callable[[Any, Any], Any]:
    return lambda n, q: sub(add(mul(n, q), add(alpha, mul(q, 1 - alpha - beta))), 1)


_INTERPOLATING: dict[str, Callable[[Any, Any], Any]] = {
    "averaged_inverted_cdf": lambda n, q: sub(mul(n, q), 1),
    "interpolated_inverted_cdf": _plotting(0, 1),
    "hazen": _plotting(0.5, 0.5),
    "weibull": _plotting(0, 0),
    "linear": lambda n, q: mul(sub(n, 1), q),
    "median_unbiased": _plotting(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _plotting(3 / 8.0, 3 / 8.0),
    "midpoint": lambda n, q: mul(add(floor(mul(sub(n, 1), q)), ceil(mul(sub(n, 1), q))), 0.5),
}
"""Methods that interpolate between two elements: their position."""

_GAMMAS: dict[str, Callable[[Any], Any]] = {
    "averaged_inverted_cdf": lambda gamma: select(equal(gamma, 0), 0.5, 1.0),
    "midpoint": lambda gamma: select(equal(gamma, 0), 0.0, 0.5),
}
"""Those of them that interpolate by one of two fixed fractions."""


def _position(method: str, n: Any, q: Any) -> tuple[Any, Any, Any]:
    """The positions of the lower and the upper element, and the fraction between them; one position has no fraction."""
    if method in _DISCRETE:
        position = convert(_DISCRETE[method](n, q), INDEX)
        return position, position, None
    position = _INTERPOLATING[method](n, q)
    if method == "linear" and not is_inexact(typeof(position).dtype):
        position = convert(position, INDEX)
        return position, position, None
    below, last = floor(position), sub(n, 1)
    lower, upper = (convert(minimum(maximum(k, 0), last), INDEX) for k in (below, add(below, 1)))
    gamma = sub(position, below)
    return lower, upper, _GAMMAS[method](gamma) if method in _GAMMAS else gamma


def _interpolate(a: Any, b: Any, gamma: Any, weak: bool) -> Any:
    """``a + gamma (b - a)``, computed from the nearer end as NumPy does; a weak fraction does not promote."""
    width, rest, nearer = sub(b, a), sub(1, gamma), greater_equal(gamma, 0.5)
    if weak and is_inexact(typeof(a).dtype):
        gamma, rest = (convert(g, typeof(a).dtype) for g in (gamma, rest))
    return select(nearer, sub(b, mul(width, rest)), add(a, mul(width, gamma)))


@lru_cache(maxsize=256)
def _result_dtype(call: str, dtype: np.dtype[Any], q_dtype: np.dtype[Any], q_kind: str, method: str) -> np.dtype[Any]:
    """The dtype that NumPy gives for a q that is an array, a scalar of NumPy, or a number of Python."""
    q: Any = np.zeros(1, q_dtype)
    if q_kind != "array":
        q = q[0] if q_kind == "scalar" else q[0].item()
    return np.dtype(getattr(np, call)(np.zeros(2, dtype), q, method=method).dtype)


# Arguments


class _Fractions:
    """The argument q, checked: its value between 0 and 1, and whether it is a Python number."""

    def __init__(self, q: Any, percent: bool) -> None:
        self.weak = q.aval.weak if type(q) is Tracer else type(q) in (int, float)
        self.is_scalar = isinstance(q, np.generic) or (type(q) is Tracer and not q.shape)
        q = q if self.weak else as_array(q)
        self.call, self.dtype = "percentile" if percent else "quantile", typeof(q).dtype
        self.value = div(q, 100) if percent else q
        self.shape = typeof(q).shape
        if len(self.shape) > 2:
            raise ValueError("q must be a scalar or 1d")
        known = known_value(self.value)
        if not isinstance(known, ShapedArray) and not np.all((np.asarray(known) >= 0) & (np.asarray(known) <= 1)):
            raise ValueError(
                f"{'Percentiles' if percent else 'Quantiles'} must be in the range [0, {100 if percent else 1}]"
            )

    def result_dtype(self, dtype: np.dtype[Any], method: str) -> np.dtype[Any]:
        """The dtype of the quantiles of an array of this dtype."""
        kind = "number" if self.weak else "scalar" if self.is_scalar else "array"
        return _result_dtype(self.call, dtype, self.dtype, kind, method)


def _sample(call: str, a: Any, axis: Axis) -> tuple[Any, Axes]:
    x = as_array(a)
    ndim = typeof(x).ndim
    return x, tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def _check_method(method: str, weights: Any) -> None:
    if method not in _DISCRETE and method not in _INTERPOLATING:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {[*_DISCRETE, *_INTERPOLATING]}")
    if weights is not None and method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")


def _finish(result: Any, added: int, axes: Axes, keepdims: bool) -> Any:
    """The result with the reduced axes kept behind those of q."""
    return expand_dims(result, tuple([k + added for k in axes])) if keepdims else result


def _take_last(x: Any, indices: Any) -> Any:
    """``x[i, p[i, j]]``: elements of each sample by different positions along a last axis."""
    rest = typeof(x).shape[:-1]
    grids = [np.arange(n).reshape(n, *(1,) * (len(rest) - k)) for k, n in enumerate(rest)]
    return gather(x, *grids, indices, unique=True)


def _elements(x: Any, positions: list[Any]) -> list[Any]:
    """The elements at these positions of the samples along the last axis, sorted: axes of the positions come first."""
    last = typeof(x).ndim - 1
    if any(type(p) is Tracer for p in positions):
        ordered = sort(x, last)
    else:
        # Known positions need no sort, and only what stands there enters the derivative.
        kth, inverse = np.unique(np.concatenate([np.reshape(p, -1) for p in positions]), return_inverse=True)
        kth = kth if kth.size else np.zeros(1, INDEX)  # q=[]
        order = argpartition(x, tuple(kth.tolist()), last)
        ordered = _take_last(x, gather(order, kth, axis=last))
        ends = np.cumsum([np.size(p) for p in positions])[:-1]
        positions = [k.reshape(np.shape(p)) for k, p in zip(np.split(inverse, ends), positions, strict=True)]
    found = []
    for p in positions:
        rank = typeof(p).ndim
        y = gather(ordered, p, axis=last)
        found.append(transpose(y, (*range(last, last + rank), *range(last))))
    return found


# quantile, percentile


def _quantile(call: str, a: Any, q: _Fractions, axis: Axis, out: Any, method: str, keepdims: bool, weights: Any) -> Any:
    refuse(call, out=(out, None))
    x, axes = _sample(call, a, axis)
    dtype = typeof(x).dtype
    if dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    _check_method(method, weights)
    if weights is not None:
        result = _weighted(x, axis, axes, q, weights, False)
        return _finish(result, len(q.shape), axes, keepdims)
    result_dtype = q.result_dtype(dtype, method)
    x = merged_last(x, axes)
    rest, n = typeof(x).shape[:-1], typeof(x).shape[-1]
    if n == 0:
        raise IndexError(f"index -1 is out of bounds for axis 0 with size 0: numpy.{call} of an empty sample")
    lower, upper, gamma = _position(method, n, q.value)
    last = [np.intp(n - 1)] if is_inexact(dtype) else []
    below, *above = _elements(x, [lower, *([] if gamma is None else [upper]), *last])
    result = below
    if gamma is not None:
        gamma = reshape(gamma, (*q.shape, *(1,) * len(rest))) if q.shape else gamma
        result = _interpolate(below, above[0], gamma, q.weak)
    result = convert(result, result_dtype)
    if last:
        largest = above[-1]  # nan is sorted last
        result = select(isnan(largest), convert(largest, result_dtype), result)
    return _finish(result, len(q.shape), axes, keepdims)


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Find the values below which fractions of the elements along axes lie.

    Parameters
    ----------
    q : array
        Fractions between 0 and 1, of at most two axes; they become the first axes of the result, which has
        a derivative in them where the method interpolates.
    method : str
        One of NumPy's thirteen; see the module.
    weights : array, optional
        With ``method="inverted_cdf"``: of the shape of a, or of its axes ``axis``. The result is an element, so it
        does not change with the weights but where it jumps.

    Examples
    --------
    >>> import numpy as np, fungrad
    >>> x = np.array([4.0, 1.0, 2.0])
    >>> fungrad.grad(np.quantile)(x, 0.75)
    array([0.5, 0. , 0.5])
    >>> fungrad.grad(np.quantile, argnums=1)(x, 0.75)
    np.float64(4.0)
    """
    return _quantile("quantile", a, _Fractions(q, False), axis, out, method, keepdims, weights)


@implements(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Find the values below which parts of the elements along axes lie, given in percent; see `quantile`."""
    return _quantile("percentile", a, _Fractions(q, True), axis, out, method, keepdims, weights)


def _weighted(x: Any, axis: Axis, axes: Axes, q: _Fractions, weights: Any, skip_nan: bool) -> Any:
    """The smallest element such that it and those before it have the fraction q of the weight."""
    w = as_array(weights)
    shape = typeof(x).shape
    if typeof(w).shape != shape:
        w = along_axes(w, shape, None if axis is None else normalize_axis_tuple(axis, len(shape)))
    w = stop_gradient_p.bind(w)  # what is compared with q has no derivative
    x, w = merged_last(x, axes), merged_last(w, axes)
    last = typeof(x).ndim - 1
    n = typeof(x).shape[last]
    if n == 0:
        raise IndexError("index -1 is out of bounds for axis 0 with size 0: numpy.quantile of an empty sample")
    known = known_value(w)
    if not isinstance(known, ShapedArray) and np.any(known < 0):
        raise ValueError("Weights must be non-negative.")
    order = argsort(x, last)
    x, w = permute(x, order, last), convert(permute(w, order, last), np.dtype(np.float64))
    unknown = isnan(x) if is_inexact(typeof(x).dtype) else None
    if skip_nan and unknown is not None:
        w = select(unknown, 0.0, w)
    total = cumsum(w, last)
    whole = slice_axis(total, last, n - 1, n)
    if skip_nan and unknown is not None:
        whole = select(slice_axis(unknown, last, 0, 1), 1.0, whole)  # nothing but nan
    known = known_value(whole)
    if not isinstance(known, ShapedArray) and not np.all(np.isfinite(known) & (known != 0)):
        raise ValueError("Weights included NaN, inf or were all zero.")
    share = div(total, whole)
    fractions = stop_gradient_p.bind(q.value)
    if not q.weak and is_inexact(typeof(fractions).dtype):
        share = convert(share, typeof(fractions).dtype)
    share = select(equal(share, 0), -1, share)  # what has no weight is not taken, not even for q = 0
    fractions = reshape(fractions, (*q.shape, *(1,) * (last + 1)))
    position = count_nonzero(less(share, fractions), (len(q.shape) + last,))
    result = _take_at(x, minimum(position, n - 1))
    if unknown is None:
        return result
    largest = reshape(slice_axis(x, last, n - 1, n), typeof(x).shape[:last])
    if skip_nan:
        return select(reshape(slice_axis(unknown, last, 0, 1), typeof(x).shape[:last]), np.nan, result)
    return select(isnan(largest), largest, result)


def _take_at(x: Any, positions: Any) -> Any:
    """``x[i, p[q, i]]``: an element of each sample for each of the first axes of the positions."""
    rest = typeof(x).shape[:-1]
    grids = [np.arange(n).reshape(n, *(1,) * (len(rest) - k - 1)) for k, n in enumerate(rest)]
    return gather(x, *grids, positions)


# nanquantile, nanpercentile


def _nanquantile(
    call: str, a: Any, q: _Fractions, axis: Axis, out: Any, method: str, keepdims: bool, weights: Any
) -> Any:
    refuse(call, out=(out, None))
    x, axes = _sample(call, a, axis)
    dtype = typeof(x).dtype
    if dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if not is_inexact(dtype) and typeof(x).size:
        return _quantile(call, x, q, axis, out, method, keepdims, weights)
    _check_method(method, weights)
    if not typeof(x).size:
        return nanmean(x, axes, keepdims=keepdims)  # as in NumPy, without axes for q
    count = count_nonzero(logical_not(isnan(x)), axes)
    nothing = equal(count, 0)
    warn_where(nothing, "All-NaN slice encountered")
    if weights is not None:
        return _finish(_weighted(x, axis, axes, q, weights, True), len(q.shape), axes, keepdims)
    result_dtype = q.result_dtype(dtype, method)
    x = merged_last(x, axes)
    rank = typeof(x).ndim - 1
    ordered = sort(x, rank)  # nan is sorted last
    count = maximum(count, 1)
    fractions = q.value if q.weak else reshape(q.value, (*q.shape, *(1,) * rank))
    if not q.weak and is_inexact(typeof(fractions).dtype):
        count = convert(count, typeof(fractions).dtype)
    lower, upper, gamma = _position(method, count, fractions)
    result = _take_at(ordered, lower)
    if gamma is not None:
        result = _interpolate(result, _take_at(ordered, upper), gamma, q.weak)
    result = select(nothing, np.nan, convert(result, result_dtype))
    return _finish(result, len(q.shape), axes, keepdims)


@implements(np.nanquantile)
def nanquantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Find the quantiles of the elements along axes that are not nan, and nan where there is none; see `quantile`."""
    return _nanquantile("nanquantile", a, _Fractions(q, False), axis, out, method, keepdims, weights)


@implements(np.nanpercentile)
def nanpercentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Find the percentiles of the elements along axes that are not nan; see `quantile`."""
    return _nanquantile("nanpercentile", a, _Fractions(q, True), axis, out, method, keepdims, weights)


# Medians


@implements(np.median)
def median(a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """Take the middle element along axes, or the mean of the two in the middle; its derivative goes to those alone."""
    refuse("median", out=(out, None))
    x, axes = _sample("median", a, axis)
    if not is_inexact(typeof(x).dtype):
        x = convert(x, np.dtype(np.float64))
    x = merged_last(x, axes)
    n = typeof(x).shape[-1]
    if n == 0:
        return _finish(reductions.mean(x, -1), 0, axes, keepdims)
    middle = np.array([n // 2] if n % 2 else [n // 2 - 1, n // 2])
    found, largest = _elements(x, [middle, np.intp(n - 1)])
    result = reductions.mean(found, 0)
    return _finish(select(isnan(largest), largest, result), 0, axes, keepdims)


@implements(np.nanmedian)
def nanmedian(a: Any, axis: Axis = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """Take the median along axes of the elements that are not nan; nan where there is none. See `median`."""
    refuse("nanmedian", out=(out, None))
    x, axes = _sample("nanmedian", a, axis)
    if not typeof(x).size:
        return nanmean(x, axes, keepdims=keepdims)
    if not is_inexact(typeof(x).dtype):
        return median(x, axis, keepdims=keepdims)
    x = merged_last(x, axes)
    last = typeof(x).ndim - 1
    count = count_nonzero(logical_not(isnan(x)), (last,))
    nothing = equal(count, 0)
    warn_where(nothing, "All-NaN slice encountered")
    x = sort(x, last)  # nan is sorted last
    lower, upper = maximum(floor_divide(sub(count, 1), 2), 0), floor_divide(count, 2)
    below = _take_at(x, lower)
    result = select(equal(lower, upper), below, reductions.mean(stack([below, _take_at(x, upper)]), 0))
    return _finish(select(nothing, np.nan, result), 0, axes, keepdims)

"""NumPy's functions that sort and search.

Sorted values have a derivative: that of the elements which they are. Orders and positions have none. Where the *shape*
of a result depends on the values (nonzero, unique) these must be known, so not under vmap.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives import sorting
from fungrad.primitives.arithmetic import sub as subtract
from fungrad.primitives.comparison import less
from fungrad.primitives.indexing import gather
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert, flip, moveaxis, reshape, slice_axis


def _along(a: Any, axis: int | None) -> tuple[Any, int]:
    x = as_array(a)
    if axis is None:
        return reshape(x, (typeof(x).size,)), 0
    return x, normalize_axis_index(operator.index(axis), typeof(x).ndim)


def _stable(kind: str | None, stable: bool | None) -> bool:
    return bool(stable) or kind in ("stable", "mergesort")


@implements(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    """Sort along an axis (None: the flattened array). Among equal elements one order is taken."""
    refuse("sort", order=(order, None))
    return sorting.sort(*_along(a, axis), _stable(kind, stable))


@implements(np.argsort)
def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    """Find the order that sorts along an axis (``kind="stable"``: equal elements keep theirs). It has no derivative."""
    refuse("argsort", order=(order, None))
    x = as_array(a)
    x, k = _along(x if typeof(x).shape else reshape(x, (1,)), axis)  # a scalar has one position
    return sorting.argsort(x, k, _stable(kind, stable))


def _kth(kth: Any, size: int) -> tuple[int, ...]:
    positions = [operator.index(k) for k in (kth if isinstance(kth, (Sequence, np.ndarray)) else (kth,))]
    for k in positions:
        if not -size <= k < size:
            raise ValueError(f"kth(={k}) out of bounds ({size})")
    return tuple(sorted({k % size for k in positions}))


@implements(np.partition)
def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Put the elements at positions ``kth`` where sorting would, with smaller ones before and larger ones behind."""
    refuse("partition", order=(order, None))
    x, k = _along(a, axis)
    return sorting.permute(x, sorting.argpartition(x, _kth(kth, x.shape[k]), k), k)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Find an order that partitions; see `partition`. It has no derivative."""
    refuse("argpartition", order=(order, None))
    x, k = _along(a, axis)
    return sorting.argpartition(x, _kth(kth, x.shape[k]), k)


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """Sort along the last axis by the real part, then by the imaginary part; the result is complex."""
    x = as_array(a)
    dtype = typeof(x).dtype
    if dtype.kind != "c":
        x = convert(x, np.dtype({"g": "G"}.get(dtype.char, "F" if dtype.char in "bhBH" else "D")))
    return sort(x)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Find the order that sorts by the last key, then by the one before it, and so on. It has no derivative."""
    keys = as_array(keys) if not isinstance(keys, (tuple, list)) else keys
    order = None
    for key in keys:
        x, k = _along(key, axis)
        if order is None:
            order = sorting.argsort(x, k, stable=True)
        else:
            order = sorting.permute(order, sorting.argsort(sorting.permute(x, order, k), k, stable=True), k)
    if order is None:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    return order


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Find where elements could be inserted into a sorted vector; no derivative.

    Parameters
    ----------
    side : {"left", "right"}
        Before or behind elements of the vector that are equal.
    sorter : array of integers, optional
        The order that sorts the vector, if it is not sorted.
    """
    a, v = as_array(a), as_array(v)
    if typeof(a).ndim != 1:
        raise ValueError(f"searchsorted: the sorted array must have one axis, got shape {typeof(a).shape}")
    if side not in ("left", "right"):
        raise ValueError(f"search side must be one of 'left' or 'right' (got {side!r})")
    if sorter is not None:
        a = gather(a, as_array(sorter))
    return sorting.searchsorted(a, v, side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Find the bin of each element, for bins in increasing or in decreasing order; no derivative.

    Bins whose values are not known are taken to be in one of the two orders.
    """
    x, bins = as_array(x), as_array(bins)
    if typeof(x).dtype.kind == "c":
        raise TypeError("x may not be complex")
    if typeof(bins).ndim != 1:
        raise ValueError(f"digitize: the bins must have one axis, got shape {typeof(bins).shape}")
    side = "left" if right else "right"
    known = known_value(bins)
    if not isinstance(known, ShapedArray):
        falls, rises = bool((known[1:] < known[:-1]).any()), bool((known[1:] > known[:-1]).any())
        if falls and rises:
            raise ValueError("bins must be monotonically increasing or decreasing")
        return _falling(bins, x, side) if falls else searchsorted(bins, x, side)
    n = known.shape[0]
    if n < 2:
        return searchsorted(bins, x, side)
    falls = less(slice_axis(bins, 0, n - 1, n), slice_axis(bins, 0, 0, 1))
    return where(reshape(falls, ()), _falling(bins, x, side), searchsorted(bins, x, side))


def _falling(bins: Any, x: Any, side: str) -> Any:
    """How many bins of a decreasing sequence stand before each element."""
    return subtract(typeof(bins).size, searchsorted(flip(bins, (0,)), x, side))


# Where the shape of the result depends on the values


def _known(call: str, x: Any) -> Any:
    value = known_value(as_array(x))
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.{call} at {here()}: the shape of the result depends on the values of this traced array of type "
            f"{value!r}, which are not known under vmap and other recordings without values. Keep the shape: use "
            "np.where(mask, x, 0) and masked reductions, np.argmax, np.sort; or keep that argument out of the "
            "transform."
        )
    return value


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Any, ...]:
    """Find the indices of the elements that are not zero, an array for each axis; no derivative."""
    return np.nonzero(_known("nonzero", a))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    """Find the indices in the flattened array of the elements that are not zero; no derivative."""
    return np.flatnonzero(_known("flatnonzero", a))


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    """Find the indices of the elements that are not zero, a row for each; no derivative."""
    return np.argwhere(_known("argwhere", a))


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """Find the different elements (or, with an axis, the different slices along it), sorted.

    The derivative is that of the first of equal elements.
    """
    x = as_array(ar)
    known = _known("unique", x)
    distinct: Any = np.unique  # NumPy's stub has no overload for flags that are variables
    _, first, *others = distinct(known, True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    if axis is None:
        values = gather(reshape(x, (typeof(x).size,)), first)
    else:
        k = normalize_axis_index(operator.index(axis), typeof(x).ndim)
        values = moveaxis(gather(moveaxis(x, k, 0), first), 0, k)
    results = (values, *([first] if return_index else []), *others)
    return results if len(results) > 1 else values

"""NumPy's functions that apply functions of the user to parts of an array: along an axis, over axes, piece by piece.

The functions are called with traced arrays, so that what they compute is recorded as all else is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, expand_dims
from fungrad.primitives.comparison import logical_not, logical_or, not_equal
from fungrad.primitives.indexing import gather, scatter_add
from fungrad.primitives.selection import where
from fungrad.primitives.structural import broadcast_to, convert, moveaxis, reshape, slice_, stack, transpose


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply a function to each line of an array along an axis, one after the other.

    Parameters
    ----------
    func1d : callable
        ``func1d(line, *args, **kwargs)`` of an array with one axis; all its results are of the shape and dtype of the
        first one. Their axes take the place of ``axis``.
    """
    x = as_array(arr)
    rank = typeof(x).ndim
    k = normalize_axis_index(operator.index(axis), rank)
    lines = moveaxis(x, k, rank - 1)
    outer = typeof(lines).shape[:-1]
    count = math.prod(outer)
    if not count:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    lines = reshape(lines, (count, typeof(lines).shape[-1]))
    results = [as_array(func1d(slice_(lines, (i,)), *args, **kwargs)) for i in range(count)]
    first = typeof(results[0])
    table = stack([broadcast_to(convert(y, first.dtype), first.shape) for y in results])
    table = reshape(table, (*outer, *first.shape))
    n = len(outer)
    return transpose(table, (*range(k), *range(n, n + first.ndim), *range(k, n)))


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """Apply ``func(a, axis)`` for each of some axes in turn; an axis that it drops comes back with size 1."""
    x = as_array(a)
    rank = typeof(x).ndim
    for axis in np.atleast_1d(axes):
        k = int(axis) + rank if axis < 0 else int(axis)
        result = as_array(func(x, k))
        if typeof(result).ndim != typeof(x).ndim:
            result = expand_dims(result, k)
            if typeof(result).ndim != typeof(x).ndim:
                raise ValueError("function is not returning an array of the correct shape")
        x = result
    return x


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Evaluate one of several functions at each element, as conditions say; of those that hold the last one counts.

    Parameters
    ----------
    condlist : list of boolean arrays, or one
        Of the shape of x. Where their values are known, a function sees only the elements that it is for, as in NumPy.
        Else it sees all of x and the elements are selected from its result: keep it finite everywhere, see `where`.
    funclist : list of callables and numbers
        One for each condition; one more is for the elements at which none holds, which otherwise are 0.

    Notes
    -----
    The derivative is that of the piece at each element, also at the borders. Results are cast to the dtype of x.
    """
    x = as_array(x)
    shape, dtype = typeof(x).shape, typeof(x).dtype
    conditions = _conditions(condlist, shape)
    if len(conditions) == len(funclist) - 1:
        some: Any = np.zeros(shape, bool)
        for condition in conditions:
            some = logical_or(some, condition)
        conditions.append(logical_not(some))
    elif len(conditions) != len(funclist):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y: Any = dtype.type(0)
    for condition, piece in zip(conditions, funclist, strict=True):
        known = known_value(condition)
        if not callable(piece):
            value = convert(as_array(piece), dtype)
        elif isinstance(known, ShapedArray):
            value = convert(as_array(piece(x, *args, **kw)), dtype)
        else:
            value = _on_selected(piece, x, np.broadcast_to(known, shape), args, kw)
        y = where(condition, value, y)
    return broadcast_to(y, shape)


def _conditions(condlist: Any, shape: tuple[int, ...]) -> list[Any]:
    """The conditions as boolean arrays: a list of them, one array of them all, or a single one."""
    single = not isinstance(condlist, (list, tuple)) and not typeof(as_array(condlist)).ndim
    if (
        single
        or (shape and not isinstance(condlist[0], (list, np.ndarray, Tracer)))
        or (shape and not _rank(condlist[0]))
    ):
        condlist = [condlist]
    parts = [as_array(c) for c in condlist]
    return [c if typeof(c).dtype.kind == "b" else not_equal(c, 0) for c in parts]


def _rank(x: Any) -> int:
    return typeof(as_array(x)).ndim


def _on_selected(
    piece: Callable[..., Any], x: Any, selected: np.ndarray[Any, Any], args: tuple[Any, ...], kw: dict[str, Any]
) -> Any:
    """The function's values at the selected elements, each in its place, and zeros elsewhere."""
    shape, dtype = typeof(x).shape, typeof(x).dtype
    (places,) = np.nonzero(selected.reshape(-1))
    if not places.size:
        return dtype.type(0)
    values = as_array(piece(gather(reshape(x, (selected.size,)), places, unique=True), *args, **kw))
    carried = np.dtype(np.int8) if dtype.kind == "b" else dtype
    spread = broadcast_to(convert(convert(values, dtype), carried), places.shape)
    return convert(reshape(scatter_add(spread, places, shape=(selected.size,), unique=True), shape), dtype)

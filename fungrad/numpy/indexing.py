"""Indexing a traced array in every way that NumPy has, and NumPy's functions that select elements.

    x[key]  =  slices and integers          slice, pick, flip        basic indexing
            ;  new axes                     reshape
            ;  integer arrays and masks     gather                   advanced indexing

Basic indexing comes first, with a full slice in the place of each array; then one gather looks the arrays up in the
axes that they stand for. All of this is linear in x, and no derivative belongs to an index. A mask stands for the
positions at which it is true, so its value must be known.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad.core.aliasing import returns_views, view
from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.masked import MaskedElements, in_augmented_assignment, is_unknown_mask, unknown
from fungrad.numpy.shaping import as_array, ravel, refuse
from fungrad.primitives import structural
from fungrad.primitives.indexing import check_bounds, gather, index_within, scatter_add, take_along
from fungrad.primitives.selection import where


def getitem(x: Any, key: Any) -> Any:
    """``x[key]`` for any key that NumPy accepts; integers in it may be traced.

    Raises
    ------
    IndexError
        As in NumPy, for an index out of bounds, too many indices, or one that is no index.
    NonConcreteBooleanIndexError
        For a mask whose value is not known: the shape of the result would depend on it.
    """
    if type(key) is int:  # the commonest case by far, and the one that loops run
        shape = x.shape
        if shape:
            y = structural.slice_(x, (_position(key, 0, shape[0]),))
            return y if len(shape) == 1 else view(x, y, lambda parent: getitem(parent, key))
    if is_unknown_mask(key, x.shape) and in_augmented_assignment():
        return MaskedElements(x, key)
    plan = plan_of(key, x.shape)
    y = structural.slice_(x, plan.basic) if plan.basic else x
    if plan.flips:
        y = structural.flip(y, plan.flips)
    if plan.new_axes:
        y = structural.expand_dims(y, plan.new_axes)
    if plan.arrays:
        return _look_up(x, y, plan)
    return view(x, y, lambda parent: getitem(parent, key)) if y.shape or plan.ellipsis else y


def plan_of(key: Any, shape: Shape) -> _Plan:
    """What a key selects from an array of this shape."""
    return _parse(key if type(key) is tuple else (key,), shape)


class _Plan(NamedTuple):
    """A key in terms of the primitives."""

    basic: structural.Index
    flips: tuple[int, ...]  # axes of the slice
    new_axes: tuple[int, ...] = ()  # positions among the axes of the basic result
    arrays: tuple[tuple[int, int, Any], ...] = ()  # its axis in the basic result, in x (-1: a new one), the index
    front: bool = False  # the axes of the index arrays come first, as a slice separates them
    unique: bool = False  # no element is addressed twice
    ellipsis: bool = False  # the result is an array even if it has no axes


def _position(i: int, axis: int, n: int) -> int:
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
    return i + n if i < 0 else i


def _range(item: slice, n: int) -> tuple[tuple[int, int, int] | None, bool]:
    """The elements of a slice in their order in the array (None for all), and whether it reverses them."""
    start, stop, step = item.indices(n)
    if step == 1:
        return (None if not start and stop == n else (start, max(start, stop), 1)), False
    count = len(range(start, stop, step))
    if not count:
        return (0, 0, 1), False
    if step > 0:
        return (start, stop, step), False
    return (start + (count - 1) * step, start + 1, -step), True


def _parse(items: tuple[Any, ...], shape: Shape) -> _Plan:
    if len(items) > len(shape) or not all(type(item) is int or type(item) is slice for item in items):
        return _parse_any(_expand_ellipsis([_as_index(item) for item in items], len(shape)), shape)
    index: list[int | tuple[int, int, int] | None] = []
    flips = []
    out = 0
    for n, item in zip(shape, items, strict=False):
        if type(item) is int:
            index.append(_position(item, len(index), n))
        else:
            part, reverse = _range(item, n)
            index.append(part)
            if reverse:
                flips.append(out)
            out += 1
    return _Plan(tuple(index) if any(i is not None for i in index) else (), tuple(flips))


def _parse_any(items: list[Any], shape: Shape) -> _Plan:
    """The plan for a key with new axes, an ellipsis or arrays, one item for each axis."""
    index: list[int | tuple[int, int, int] | None] = []
    flips: list[int] = []
    new_axes: list[int] = []
    arrays: list[tuple[int, int, Any]] = []
    advanced: list[int] = []  # which items are integers or arrays
    out = 0  # the axis of the basic result that the item gives
    for k, item in enumerate(items):
        axis = len(index)
        if item is Ellipsis:
            continue
        if item is None:
            new_axes.append(out)
            out += 1
        elif type(item) is int:
            index.append(_position(item, axis, shape[axis]))
            advanced.append(k)
        elif type(item) is slice:
            part, reverse = _range(item, shape[axis])
            index.append(part)
            if reverse:
                flips.append(out - len(new_axes))
            out += 1
        elif _is_mask(item) and not item.ndim:  # True or False is a mask without axes: a new axis that is kept or not
            advanced.append(k)
            new_axes.append(out)
            arrays.append((out, -1, np.zeros(int(item), np.intp)))
            out += 1
        else:
            advanced.append(k)
            for part in _true_positions(item, axis, shape) if _is_mask(item) else (item,):
                arrays.append((out, len(index), part))
                index.append(None)
                out += 1
    return _Plan(
        tuple(index) if any(i is not None for i in index) else (),
        tuple(flips),
        tuple(new_axes),
        tuple(arrays),
        front=bool(advanced) and advanced[-1] - advanced[0] >= len(advanced),
        unique=sum(type(items[k]) is not int for k in advanced) == 1 and _is_mask(items[advanced[-1]]),
        ellipsis=any(item is Ellipsis for item in items),
    )


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.kind == "b"


def _as_index(item: Any) -> Any:
    """An item of a key as None, Ellipsis, slice, int, an integer or boolean ndarray, or an integer tracer."""
    if item is None or item is Ellipsis or type(item) is slice or type(item) is int:
        return item
    if type(item) is Tracer:
        return _as_traced_index(item)
    if isinstance(item, (bool, np.bool_)):
        return np.array(item)
    if isinstance(item, (list, tuple, np.ndarray)):
        array = as_array(item)
        if type(array) is Tracer:
            return _as_traced_index(array)
        if not array.size and not isinstance(item, np.ndarray):
            array = array.astype(np.intp)  # the empty list has no integer type
        if array.dtype.kind not in "biu":
            raise IndexError("arrays used as indices must be of integer (or boolean) type")
        return int(array) if not array.ndim and array.dtype.kind != "b" else array
    try:
        return operator.index(item)
    except TypeError:
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are "
            f"valid indices, got {type(item).__name__}"
        ) from None


def _as_traced_index(item: Tracer) -> Any:
    kind = item.dtype.kind
    if kind == "b":
        return known_mask(item, "x[mask]")
    if kind not in "iu":
        raise IndexError(
            f"arrays used as indices must be of integer (or boolean) type, got a traced array of type {item.aval!r}"
        )
    return item


def known_mask(mask: Any, call: str) -> np.ndarray[Any, Any]:
    """The value of a mask, or an error that says what to write instead of selecting by an unknown one."""
    mask = as_array(mask)
    value = known_value(mask)
    if isinstance(value, ShapedArray):
        raise unknown(mask, call)
    return np.asarray(value)


def _expand_ellipsis(items: list[Any], rank: int) -> list[Any]:
    """Full slices behind the ellipsis or the last item. The ellipsis stays: it separates even without an axis."""
    used = 0
    for item in items:
        if item is not None and item is not Ellipsis:
            used += item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1
    if used > rank:
        raise IndexError(f"too many indices for array: array is {rank}-dimensional, but {used} were indexed")
    places = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    missing = [slice(None)] * (rank - used)
    return [*items[: places[0] + 1], *missing, *items[places[0] + 1 :]] if places else [*items, *missing]


def _true_positions(mask: np.ndarray[Any, Any], axis: int, shape: Shape) -> tuple[Any, ...]:
    for k, n in enumerate(mask.shape):
        if shape[axis + k] != n:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis + k}; size of axis is {shape[axis + k]} "
                f"but size of corresponding boolean axis is {n}"
            )
    return mask.nonzero()


def _look_up(x: Any, y: Any, plan: _Plan) -> Any:
    """Gather by the index arrays from the result of the basic part."""
    axes = [out for out, _, _ in plan.arrays]
    indices = [index for _, _, index in plan.arrays]
    if isinstance(known_value(x), ShapedArray):
        # Only the types are known, so that NumPy does not look at the indices now.
        for _, axis, index in plan.arrays:
            if type(index) is not Tracer and axis >= 0:
                check_bounds(index, typeof(x).shape[axis], axis)
    first = axes[0]
    if plan.front or axes[-1] - first >= len(axes):
        y = structural.transpose(y, (*axes, *[k for k in range(typeof(y).ndim) if k not in axes]))
        first = 0
    return gather(y, *indices, axis=first, unique=plan.unique)


# Functions that select along an axis


def _as_indices(indices: Any) -> Any:
    """An integer array; what NumPy does not cast safely to one is a TypeError."""
    array = as_array(indices)
    dtype = typeof(array).dtype
    if type(array) is not Tracer and not array.size and not isinstance(indices, np.ndarray):
        return array.astype(np.intp)
    if dtype.kind not in "biu":
        raise TypeError(f"Cannot cast array data from {dtype!r} to dtype('int64') according to the rule 'safe'")
    return structural.convert(array, np.dtype(np.intp)) if dtype.kind == "b" else array


@implements(np.take)
def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    """Take elements along an axis, or of the flattened array.

    Parameters
    ----------
    indices : integer array
        May be traced; its axes replace the axis.
    mode : {"raise", "wrap", "clip"}
        What becomes of an index out of bounds: IndexError, modulo the size, the nearest.
    """
    refuse("take", out=(out, None))
    x, index = as_array(a), _as_indices(indices)
    if axis is None or (not typeof(x).shape and axis in (0, -1)):
        x, axis = ravel(x), 0
    shape = typeof(x).shape
    axis = normalize_axis_index(axis, len(shape))
    if mode != "raise":
        if mode not in ("wrap", "clip"):
            raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
        index = index_within(index, shape[axis], mode)
    elif type(index) is not Tracer and isinstance(known_value(x), ShapedArray):
        check_bounds(index, shape[axis], axis)
    return gather(x, index, axis=axis)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Take elements along an axis at positions that differ from line to line, such as argsort returns."""
    x, index = as_array(arr), as_array(indices)
    if typeof(index).dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        if typeof(index).ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        x, axis = ravel(x), 0
    rank = typeof(x).ndim
    if typeof(index).ndim != rank:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return take_along(x, index, normalize_axis_index(axis, rank))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """Take the elements along an axis at which a condition of known value is true."""
    refuse("compress", out=(out, None))
    mask = known_mask(condition, "numpy.compress")
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, np.flatnonzero(mask), axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Take the elements of the flattened array at which a condition of known value is true."""
    return take(ravel(arr), np.flatnonzero(known_mask(condition, "numpy.extract")), 0)


# Diagonals and triangles


@implements(np.diagonal)
@returns_views(read_only=True, always=True)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonal of two axes, as the last axis."""
    x = as_array(a)
    shape = typeof(x).shape
    if len(shape) < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = normalize_axis_index(axis1, len(shape), "axis1"), normalize_axis_index(axis2, len(shape), "axis2")
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same")
    x = structural.transpose(x, (*[k for k in range(len(shape)) if k not in (i, j)], i, j))
    rows, columns = _diagonal_indices(shape[i], shape[j], operator.index(offset))
    return gather(x, rows, columns, axis=len(shape) - 2, unique=True)


def _diagonal_indices(m: int, n: int, offset: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    first, count = (0, min(m, n - offset)) if offset >= 0 else (-offset, min(m + offset, n))
    rows = np.arange(first, first + max(count, 0))
    return rows, rows + offset


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Return the k-th diagonal of a matrix, or a matrix with a vector on it."""
    x = as_array(v)
    shape = typeof(x).shape
    if len(shape) == 2:
        return diagonal(x, k)
    if len(shape) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = shape[0] + abs(k)
    if typeof(x).dtype.kind == "b":
        return structural.convert(diag(structural.convert(x, np.dtype(np.int8)), k), typeof(x).dtype)
    return scatter_add(x, *_diagonal_indices(n, n, k), shape=(n, n), unique=True)


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """Return a matrix with the flattened array on its k-th diagonal."""
    return diag(ravel(v), k)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """Return the sum along the diagonal of two axes."""
    refuse("trace", out=(out, None))
    x = diagonal(a, offset, axis1, axis2)
    rank = typeof(x).ndim
    if dtype is None:
        return structural.reduce_sum(x, (rank - 1,))
    return structural.convert(
        structural.reduce_sum(structural.convert(x, np.dtype(dtype)), (rank - 1,)), np.dtype(dtype)
    )


def _triangle(m: Any, mask: Any) -> Any:
    x = as_array(m)
    if type(x) is not Tracer:
        return np.where(mask, x, x.dtype.type(0))
    return where(mask, x, x.dtype.type(0))


def _lower(m: Any, k: int) -> np.ndarray[Any, Any]:
    shape = typeof(as_array(m)).shape
    if not shape:
        raise TypeError("tril and triu expect an array of at least one axis")
    mask: np.ndarray[Any, Any] = np.tri(shape[-min(2, len(shape))], shape[-1], k, bool)
    return mask


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Keep the elements on and below the k-th diagonal; the others, and their derivatives, are zero."""
    return _triangle(m, _lower(m, k))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Keep the elements on and above the k-th diagonal; the others, and their derivatives, are zero."""
    return _triangle(m, ~_lower(m, k - 1))


# Choosing among arrays


def _common_dtype(choices: Sequence[Any]) -> list[Any]:
    """Arrays of the dtype that NumPy promotes the choices to; Python numbers among them do not count."""
    arrays = [c if type(c) is Tracer or type(c) in (int, float, complex) else as_array(c) for c in choices]
    avals = [typeof(c) for c in arrays]
    dtype = np.result_type(*[a.dtype.type(0).item() if a.weak else a.dtype for a in avals])
    return [structural.convert(c, dtype) for c in arrays]


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Take each element from the array among ``choices`` that the integer in ``a`` numbers; all broadcast."""
    refuse("choose", out=(out, None))
    number = _as_indices(a)
    arrays = _common_dtype(
        [getitem(choices, k) for k in range(choices.shape[0])] if type(choices) is Tracer else choices
    )
    shape = np.broadcast_shapes(typeof(number).shape, *[typeof(c).shape for c in arrays])
    number = index_within(number, len(arrays), "strict" if mode == "raise" else mode)
    stacked = structural.stack([structural.broadcast_to(c, shape) for c in arrays])
    places = [np.arange(n).reshape(n, *(1,) * (len(shape) - k - 1)) for k, n in enumerate(shape)]
    return gather(stacked, structural.broadcast_to(number, shape), *places, unique=True)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Take each element from the choice of the first condition that holds there, or from the default.

    The derivative is that of the chosen element; the others contribute zero (not zero times their derivative).
    """
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions = [as_array(c) for c in condlist]
    for k, c in enumerate(conditions):
        if typeof(c).dtype.kind != "b":
            raise TypeError(f"invalid entry {k} in condlist: should be boolean ndarray")
    *cases, result = _common_dtype([*choicelist, default])
    for condition, case in zip(conditions[::-1], cases[::-1], strict=True):
        result = where(condition, case, result)
    return result

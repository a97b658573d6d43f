"""NumPy's functions that put arrays together and take them apart: concatenate, stack, block, split, pad, insert.

All are linear maps that move elements, so the derivative of each piece of the result is that of the piece it came from.
Dtypes promote as in NumPy, where a Python number in a list counts as the array that NumPy makes of it.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad._util import here
from fungrad.core.aliasing import returns_views
from fungrad.core.aval import typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import (
    as_array,
    as_shape,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    plain,
    promote,
    ravel,
    refuse,
)
from fungrad.primitives import structural
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.indexing import gather


def _arrays(call: str, arrays: Any) -> list[Any]:
    """The arrays of a sequence, or along the first axis of an array."""
    if type(arrays) is Tracer or isinstance(arrays, np.ndarray):
        if not arrays.shape:
            raise TypeError(f"{call}: expected a sequence of arrays, got one array without axes")
        return list(unstack(arrays))
    if not hasattr(arrays, "__getitem__"):
        raise TypeError('arrays to stack must be passed as a "sequence" type such as list or tuple.')
    return [as_array(x) for x in arrays]


def _join(call: str, arrays: Sequence[Any], axis: int, dtype: Any = None, casting: Any = "same_kind") -> Any:
    if not arrays:
        raise ValueError("need at least one array to concatenate")
    shapes = [typeof(x).shape for x in arrays]
    rank = len(shapes[0])
    if not rank:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis_index(axis, rank)
    for k, own in enumerate(shapes):
        if len(own) != rank or any(n != m for j, (n, m) in enumerate(zip(own, shapes[0], strict=True)) if j != axis):
            raise ValueError(
                f"{call}: all the input arrays must have the same shape but for axis {axis}; "
                f"array at index 0 has shape {shapes[0]} and array at index {k} has shape {own}"
            )
    out = structural.concatenate(promote(arrays, dtype, casting), axis)
    return out.again() if len(arrays) == 1 and type(out) is Tracer else out  # a new array, and no view


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: int | None = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    """Join arrays along an axis that they have; flattened if the axis is None."""
    refuse("concatenate", out=(out, None))
    parts = _arrays("concatenate", arrays)
    if axis is None:
        parts, axis = [ravel(x) for x in parts], 0
    return _join("concatenate", parts, operator.index(axis), dtype, casting)


concat = concatenate


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join arrays of one shape along a new axis."""
    refuse("stack", out=(out, None))
    parts = _arrays("stack", arrays)
    if not parts:
        raise ValueError("need at least one array to stack")
    if len({typeof(x).shape for x in parts}) > 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis_index(axis, typeof(parts[0]).ndim + 1)
    return structural.moveaxis(structural.stack(promote(parts, dtype, casting)), 0, axis)


def _several(x: Any) -> list[Any]:
    """The result of an ``atleast`` function, always as a list."""
    return list(x) if isinstance(x, tuple) else [x]


@implements(np.vstack, *filter(None, [np.__dict__.get("row_stack")]))
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join along the first axis; vectors become rows."""
    return _join("vstack", _several(atleast_2d(*_arrays("vstack", tup))), 0, dtype, casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Join along the second axis, vectors along their only one."""
    parts = _several(atleast_1d(*_arrays("hstack", tup)))
    return _join("hstack", parts, 0 if parts and typeof(parts[0]).ndim == 1 else 1, dtype, casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Join along the third axis."""
    return _join("dstack", _several(atleast_3d(*_arrays("dstack", tup))), 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Join along the second axis; vectors become columns."""
    parts = [
        structural.reshape(x, (typeof(x).size, 1)) if typeof(x).ndim < 2 else x for x in _arrays("column_stack", tup)
    ]
    return _join("column_stack", parts, 1)


@implements(np.block)
def block(arrays: Any) -> Any:
    """Assemble an array of nested lists of blocks: the innermost lists join along the last axis."""
    depth = _block_depth(arrays)
    rank = max(depth, _block_rank(arrays))
    return _block(arrays, depth, rank)


def _block_depth(arrays: Any) -> int:
    if isinstance(arrays, tuple):
        raise TypeError("numpy.block takes nested lists; a tuple among them is neither a list nor an array")
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError("List depths are mismatched or a list is empty.")
    depths = {_block_depth(x) for x in arrays}
    if len(depths) > 1:
        raise ValueError("List depths are mismatched. Each block must stand at the same depth.")
    return 1 + depths.pop()


def _block_rank(arrays: Any) -> int:
    return max(_block_rank(x) for x in arrays) if isinstance(arrays, list) else typeof(as_array(arrays)).ndim


def _block(arrays: Any, depth: int, rank: int) -> Any:
    if depth == 0:
        x = as_array(arrays)
        own = typeof(x).shape
        return structural.reshape(x, (1,) * (rank - len(own)) + own)
    return _join("block", [_block(x, depth - 1, rank) for x in arrays], -depth)


@implements(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join values behind an array along an axis, or both flattened."""
    if axis is None:
        return _join("append", [ravel(arr), ravel(values)], 0)
    return _join("append", [as_array(arr), as_array(values)], axis)


@implements(np.array_split)
@returns_views
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut along an axis, at the given positions or into nearly equal sections."""
    x = as_array(ary)
    own = typeof(x).shape
    axis = normalize_axis_index(axis, len(own))
    n = own[axis]
    if np.ndim(indices_or_sections) == 0:
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        each, extra = divmod(n, sections)
        cuts = [0, *np.cumsum([each + 1] * extra + [each] * (sections - extra)).tolist()]
        bounds = list(itertools.pairwise(cuts))
    else:
        at = [operator.index(i) for i in plain(indices_or_sections, "split", "indices_or_sections").tolist()]
        bounds = [slice(a, b).indices(n)[:2] for a, b in zip([0, *at], [*at, n], strict=True)]
    return [structural.slice_axis(x, axis, a, max(a, b)) for a, b in bounds]


@implements(np.split)
@returns_views
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut along an axis, at the given positions or into equal sections."""
    if np.ndim(indices_or_sections) == 0:
        own = typeof(as_array(ary)).shape
        if own[normalize_axis_index(axis, len(own))] % operator.index(indices_or_sections):
            raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
@returns_views
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the second axis, a vector along its only one."""
    rank = typeof(as_array(ary)).ndim
    if rank == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if rank > 1 else 0)


@implements(np.vsplit)
@returns_views
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the first axis."""
    if typeof(as_array(ary)).ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
@returns_views
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut along the third axis."""
    if typeof(as_array(ary)).ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


@returns_views
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Cut into the elements along an axis, which they lose."""
    x = as_array(x)
    own = typeof(x).shape
    if not own:
        raise ValueError("Input array must be at least 1-d.")
    axis = normalize_axis_index(axis, len(own))
    return tuple([structural.slice_(x, (None,) * axis + (i,)) for i in range(own[axis])])


if hasattr(np, "unstack"):
    implements(np.unstack)(unstack)


# Padding

_BY_INDEX = ("edge", "reflect", "symmetric", "wrap")


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Extend an array at its edges.

    Parameters
    ----------
    pad_width : int, sequence or dict
        How many elements before and after, for all axes or each, as in NumPy.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap", "linear_ramp"}
        ``constant_values`` and ``end_values`` may be traced and then carry their derivatives.
    """
    x = as_array(array)
    rank = typeof(x).ndim
    widths = _pad_widths(pad_width, rank)
    _check_pad_arguments(mode, kwargs)
    if mode in _BY_INDEX:
        return _pad_by_index(x, widths, mode)
    fill = _pad_values(x, kwargs.get("constant_values" if mode == "constant" else "end_values", 0), rank)
    if mode == "constant" and type(fill) is np.ndarray and not fill.any() and not np.signbit(fill.real).any():
        own = typeof(x).shape
        whole = tuple([a + n + b for (a, b), n in zip(widths, own, strict=True)])
        return structural.unslice_(x, whole, tuple([(a, a + n, 1) for (a, _), n in zip(widths, own, strict=True)]))
    side = _constant_side if mode == "constant" else _ramp_side
    for axis, (before, after) in enumerate(widths):
        parts = [
            side(x, axis, before, structural.slice_(fill, (axis, 0)), False) if before else None,
            x,
            side(x, axis, after, structural.slice_(fill, (axis, 1)), True) if after else None,
        ]
        x = structural.concatenate([p for p in parts if p is not None], axis)
    return x


def _pad_widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        widths = [(0, 0)] * rank
        for axis, width in pad_width.items():
            pair = as_shape(width)
            widths[normalize_axis_index(axis, rank)] = (pair[0], pair[-1])
    else:
        array = plain(pad_width, "pad", "pad_width")
        if array.dtype.kind not in "iu":
            raise TypeError("`pad_width` must be of integral type.")
        widths = [(int(a), int(b)) for a, b in np.broadcast_to(array, (rank, 2))]
    if any(n < 0 for pair in widths for n in pair):
        raise ValueError("index can't contain negative values")
    return widths


def _check_pad_arguments(mode: Any, kwargs: dict[str, Any]) -> None:
    allowed = {
        "constant": {"constant_values"},
        "linear_ramp": {"end_values"},
        "reflect": {"reflect_type"},
        "symmetric": {"reflect_type"},
    }
    if mode not in (*allowed, *_BY_INDEX):
        raise UnsupportedOperationError(
            f"numpy.pad(..., mode={mode!r}) at {here()} is not supported on traced arrays; constant, linear_ramp and "
            f"{', '.join(_BY_INDEX)} are. Write np.concatenate([left, x, right]) for others."
        )
    unknown = set(kwargs) - allowed.get(mode, set())
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    refuse("pad", reflect_type=(kwargs.get("reflect_type", "even"), "even"))


def _pad_values(x: Any, values: Any, rank: int) -> Any:
    """The values at both ends of each axis, in the dtype of x: (rank, 2)."""
    return broadcast_to(structural.convert(as_array(values), typeof(x).dtype), (rank, 2))


def _pad_by_index(x: Any, widths: list[tuple[int, int]], mode: str) -> Any:
    for axis, (width, n) in enumerate(zip(widths, typeof(x).shape, strict=True)):
        if any(width):
            if not n:
                raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
            x = gather(x, np.pad(np.arange(n), width, mode=mode), axis=axis)  # type: ignore[call-overload]
    return x


def _constant_side(x: Any, axis: int, width: int, value: Any, after: bool) -> Any:
    own = typeof(x).shape
    return structural.broadcast_to(value, (*own[:axis], width, *own[axis + 1 :]))


def _ramp_side(x: Any, axis: int, width: int, end: Any, after: bool) -> Any:
    """From the edge of x in equal steps to the end value."""
    aval = typeof(x)
    if aval.dtype.kind not in "fc":
        raise UnsupportedOperationError(
            f"numpy.pad(..., mode='linear_ramp') at {here()} is supported on floating-point arrays, not on {aval!r}"
        )
    n = aval.shape[axis]
    if not n:
        raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
    edge = structural.slice_axis(x, axis, n - 1 if after else 0, n if after else 1)
    steps = np.arange(width, dtype=np.zeros(0, aval.dtype).real.dtype) / width
    steps = (steps[::-1] if after else steps).reshape(width, *(1,) * (aval.ndim - axis - 1))
    return add(end, mul(sub(edge, end), steps))


# Inserting and deleting


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """Insert values before the given positions along an axis, or into the flattened array."""
    x, new = as_array(arr), as_array(values)
    if axis is None:
        x, axis = ravel(x), 0
    own = typeof(x).shape
    axis = normalize_axis_index(axis, len(own))
    new = structural.convert(new, typeof(x).dtype)
    shape = typeof(new).shape
    new = structural.reshape(new, (1,) * (len(own) - len(shape)) + shape)
    n = own[axis]
    at = _positions(obj, "insert", n)
    if at.ndim == 0:
        new = structural.moveaxis(new, 0, axis)
    count = typeof(new).shape[axis] if at.size == 1 else at.size
    new = broadcast_to(new, (*own[:axis], count, *own[axis + 1 :]))
    # NumPy inserts the positions instead of the elements, and so decides their order.
    order = np.insert(np.arange(n), at, np.arange(n, n + count))
    return gather(structural.concatenate([x, new], axis), order, axis=axis, unique=True)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Drop the elements at the given positions along an axis, or of the flattened array."""
    x = as_array(arr)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normalize_axis_index(axis, typeof(x).ndim)
    n = typeof(x).shape[axis]
    kept = np.delete(np.arange(n), _positions(obj, "delete", n))
    return gather(x, kept, axis=axis, unique=True)


def _positions(obj: Any, call: str, n: int) -> np.ndarray[Any, Any]:
    """The positions along an axis of size n that a slice, an integer, a list or a mask names."""
    if isinstance(obj, slice):
        return np.arange(*obj.indices(n))
    at: np.ndarray[Any, Any] = plain(obj, call, "obj")
    return at if at.size else at.astype(np.intp)  # the empty list has no integer type


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Cut off the zeros, which must be known, at the front ("f") and the back ("b")."""
    x = as_array(filt)
    value = known_value(x)
    if typeof(value) is value:
        raise ConcretizationTypeError(
            f"numpy.trim_zeros at {here()}: the zeros of a traced array of type {value!r} are not known, and the "
            "shape of the result depends on them. Cut it where you know: x[start:stop]"
        )
    if set(trim.lower()) - {"f", "b"}:
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    rank = typeof(x).ndim
    axes = range(rank) if axis is None else [normalize_axis_index(k, rank) for k in as_shape(axis)]
    positions = np.nonzero(value)
    for k in axes:
        n = typeof(x).shape[k]
        found = positions[k].size > 0
        start = (int(positions[k].min()) if found else n) if "f" in trim.lower() else 0
        stop = (
            (int(positions[k].max()) + 1 if found else start if "f" in trim.lower() else 0)
            if "b" in trim.lower()
            else n
        )
        x = _part(x, k, start, stop)
    return x


@returns_views
def _part(x: Any, axis: int, start: int, stop: int) -> Any:
    return structural.slice_axis(x, axis, start, stop)

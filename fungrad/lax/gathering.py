"""Gather in XLA's general form: slices at computed starts, looked up in an array.

    out[batch, offset] = operand[start(batch) + offset]

The last axis of the indices holds a start for some axes of the operand (``start_index_map``); the others start at 0.
Axes of size 1 of a slice may be dropped (``collapsed_slice_dims``), the rest stand in the result at ``offset_dims``.
Axes of the operand may also go along with axes of the indices (``operand_batching_dims``). All becomes a lookup by
broadcast index arrays along the axes of which a slice does not take everything; see `lookup`.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import numpy as np

from fungrad.core.aval import Shape, is_inexact, typeof
from fungrad.lax.arguments import array, integers, known, require
from fungrad.primitives import indexing
from fungrad.primitives.arithmetic import add
from fungrad.primitives.comparison import greater_equal, less_equal, logical_and
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.reductions import reduce_all
from fungrad.primitives.selection import where
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    slice_,
    transpose,
)


class GatherDimensionNumbers(NamedTuple):
    """Which axes of a gather are what; see `gather`."""

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class GatherScatterMode(enum.Enum):
    """What becomes of slices that reach out of the array."""

    CLIP = enum.auto()
    FILL_OR_DROP = enum.auto()
    PROMISE_IN_BOUNDS = enum.auto()
    ONE_HOT = enum.auto()

    @staticmethod
    def from_any(s: str | GatherScatterMode | None) -> GatherScatterMode:
        """The mode of a name: "clip", "fill" or "drop" (also None), "promise_in_bounds"."""
        if isinstance(s, GatherScatterMode):
            return s
        modes = {
            "clip": GatherScatterMode.CLIP,
            None: GatherScatterMode.FILL_OR_DROP,
            "fill": GatherScatterMode.FILL_OR_DROP,
            "drop": GatherScatterMode.FILL_OR_DROP,
            "promise_in_bounds": GatherScatterMode.PROMISE_IN_BOUNDS,
        }
        if s not in modes:
            raise ValueError(f"the mode must be one of {', '.join(map(repr, modes))}, got {s!r}")
        return modes[s]


class Lookup(NamedTuple):
    """A gather or scatter as a lookup along the first axes of a transposed operand.

    ``indices`` broadcast to (batch..., offsets of the indexed axes...); behind these stand the axes that are taken
    whole. ``inside`` tells which slices lie within the array (None: all do, as far as is known).
    """

    order: tuple[int, ...]
    indices: list[Any]
    inside: Any
    shape: Shape
    axes: tuple[int, ...]
    """The order of the axes of the gathered slices that gives that of the result."""


def lookup(
    function: str, x: Any, starts: Any, numbers: GatherDimensionNumbers, sizes: Shape, mode: GatherScatterMode
) -> Lookup:
    """What a gather with these numbers is, in primitive terms; errors name the function."""
    shape, index_shape = typeof(x).shape, typeof(starts).shape
    offset, collapsed, mapped, along, index_along = (
        integers(function, name, value) for name, value in zip(numbers._fields, numbers, strict=True)
    )
    require(
        typeof(starts).dtype.kind in "iu",
        function,
        lambda: f"indices must be integers, got {typeof(starts).dtype}",
        TypeError,
    )
    require(
        bool(index_shape) and index_shape[-1] == len(mapped),
        function,
        lambda: (
            f"the last axis of the indices, of shape {index_shape}, must hold a start for each of the axes {mapped}"
        ),
        TypeError,
    )
    require(
        len(sizes) == len(shape) and all(0 <= m <= n for m, n in zip(sizes, shape, strict=True)),
        function,
        lambda: f"slice sizes {sizes} do not fit an operand of shape {shape}",
        TypeError,
    )
    require(
        len(offset) == len(shape) - len(collapsed) - len(along)
        and all(sizes[k] == 1 for k in (*collapsed, *along))
        and len(along) == len(index_along),
        function,
        lambda: f"dimension numbers {numbers} do not fit an operand of shape {shape} and slice sizes {sizes}",
        TypeError,
    )
    batch = index_shape[:-1]
    require(
        all(shape[k] == batch[j] for k, j in zip(along, index_along, strict=True)),
        function,
        lambda: (
            f"axes {along} of an operand of shape {shape} and "
            f"{index_along} of indices of shape {index_shape} must agree"
        ),
        TypeError,
    )
    indexed = [k for k in range(len(shape)) if k in (*mapped, *along, *collapsed) or sizes[k] != shape[k]]
    whole = [k for k in range(len(shape)) if k not in indexed]
    window = [k for k in indexed if k not in collapsed and k not in along]
    rank = len(batch) + len(window)
    inside = None
    if mode is GatherScatterMode.FILL_OR_DROP and mapped:
        inside = _inside(starts, np.array([shape[k] - sizes[k] for k in mapped]))
    indices = []
    for k in indexed:
        index: Any = np.zeros((1,) * rank, np.intp)
        if k in mapped:
            start = slice_(starts, (*(None,) * len(batch), mapped.index(k)))
            start = minimum(maximum(start, 0), shape[k] - sizes[k]) if shape[k] else start
            index = expand_dims(convert(start, np.dtype(np.intp)), tuple(range(len(batch), rank)))
        if k in along:
            j = index_along[along.index(k)]
            index = add(index, np.arange(shape[k]).reshape((1,) * j + (-1,) + (1,) * (rank - j - 1)))
        if k in window and sizes[k] > 1:
            j = len(batch) + window.index(k)
            index = add(index, np.arange(sizes[k]).reshape((1,) * j + (-1,) + (1,) * (rank - j - 1)))
        indices.append(index)
    gathered = (*batch, *[sizes[k] for k in window], *[shape[k] for k in whole])
    if indices:  # so that the indices have the whole shape, also along axes where only size 1 is taken
        indices[0] = broadcast_to(add(indices[0], np.zeros((1,) * rank, np.intp)), gathered[:rank])
    # The result: offsets in the order of the operand's axes at offset_dims, the batch axes at the others.
    offsets = {
        k: j for j, k in zip(offset, [k for k in range(len(shape)) if k not in (*collapsed, *along)], strict=True)
    }
    where_from = {j: rank + whole.index(k) if k in whole else len(batch) + window.index(k) for k, j in offsets.items()}
    rest = [j for j in range(len(gathered)) if j not in where_from]
    where_from |= dict(zip(rest, range(len(batch)), strict=True))
    axes = tuple([where_from[j] for j in range(len(gathered))])
    return Lookup((*indexed, *whole), indices, inside, gathered, axes)


def _inside(starts: Any, limits: Any) -> Any:
    """For each slice whether it lies within the array; None if that is known of all of them."""
    last = typeof(starts).ndim - 1
    if typeof(starts).dtype.kind == "u":
        starts = convert(starts, np.dtype(np.int64))
    inside = reduce_all(logical_and(greater_equal(starts, 0), less_equal(starts, limits)), (last,))
    value = known(inside)
    return None if value is not None and np.all(value) else inside


def _fill_of(dtype: np.dtype[Any]) -> Any:
    if is_inexact(dtype):
        return np.nan
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: GatherDimensionNumbers,
    slice_sizes: Any,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: str | GatherScatterMode | None = None,
    fill_value: Any = None,
) -> Any:
    """Look up slices at computed starts.

    Parameters
    ----------
    operand : array
    start_indices : array of integers (batch..., number of starts)
    dimension_numbers : GatherDimensionNumbers
        ``start_index_map``: the axes of the operand that the starts are for. ``collapsed_slice_dims``: axes of slices
        of size 1 that are dropped. ``offset_dims``: where the others stand in the result; the batch axes fill the
        rest. ``operand_batching_dims`` and ``start_indices_batching_dims``: axes that go along with each other.
    slice_sizes : sequence of int
        For each axis of the operand.
    unique_indices, indices_are_sorted : bool
        Promises. The first one makes the adjoint faster: no element is looked up twice.
    mode : str or GatherScatterMode, optional
        "fill" (also None): slices that reach out of the array hold ``fill_value``. "clip": they are moved into it.
        "promise_in_bounds": there are none; they are moved too.
    fill_value : number, optional
        By default nan, of signed integers the smallest, of unsigned ones the largest, of booleans True.

    Notes
    -----
    Linear in the operand; its adjoint adds the cotangent at the same places.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> rows = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> lax.gather(np.eye(3), np.array([[2], [0]]), rows, (1, 3))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    x, starts = array(operand), array(start_indices)
    mode = GatherScatterMode.from_any(mode)
    sizes = integers("gather", "slice_sizes", slice_sizes)
    plan = lookup("gather", x, starts, dimension_numbers, sizes, mode)
    found = transpose(x, plan.order)
    if plan.indices:
        if typeof(found).size == 0 and 0 not in plan.shape:
            found = broadcast_to(convert(0, typeof(x).dtype), plan.shape)  # all of it is out of bounds
        else:
            found = indexing.gather(found, *plan.indices, unique=unique_indices)
    found = broadcast_to(found, plan.shape)
    if plan.inside is not None:
        dtype = typeof(x).dtype
        fill = dtype.type(_fill_of(dtype) if fill_value is None else fill_value)
        behind = len(plan.shape) - typeof(plan.inside).ndim
        inside = expand_dims(plan.inside, tuple(range(typeof(plan.inside).ndim, typeof(plan.inside).ndim + behind)))
        found = where(inside, found, fill)
    return transpose(found, plan.axes)


def index_take(src: Any, idxs: Any, axes: Any) -> Any:
    """Look up along some axes by vectors of indices, modulo the sizes: out[j, rest] = src[..., idxs[k][j], ...]."""
    x = array(src)
    axes = integers("index_take", "axes", axes)
    shape = typeof(x).shape
    columns = [
        expand_dims(convert(np.mod(array(i), shape[k]), np.dtype(np.intp)), (1,))
        for i, k in zip(idxs, axes, strict=True)
    ]
    numbers = GatherDimensionNumbers(tuple(range(1, len(shape) - len(axes) + 1)), axes, axes)
    sizes = tuple([1 if k in axes else n for k, n in enumerate(shape)])
    return gather(x, concatenate(columns, 1), numbers, sizes, mode=GatherScatterMode.PROMISE_IN_BOUNDS)

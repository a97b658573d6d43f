"""Gather and scatter in XLA's general form: slices at computed starts, read from an array or combined with it.

    gather      out[batch, offset] = operand[start(batch) + offset]
    scatter     operand[start(batch) + offset] combined with updates[batch, offset]

The last axis of the indices holds a start for some axes of the operand (``start_index_map``); the others start at 0.
Axes of size 1 of a slice may be dropped (``collapsed_slice_dims``), the rest stand in the result at ``offset_dims``.
Axes of the operand may also go along with axes of the indices (``operand_batching_dims``). All becomes a lookup by
broadcast index arrays along the axes of which a slice does not take everything.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fungrad._util import here
from fungrad.core.aval import Shape, is_inexact, typeof
from fungrad.errors import ConcretizationTypeError
from fungrad.lax.arguments import array, integers, known, require
from fungrad.primitives import indexing
from fungrad.primitives.arithmetic import add, mul, neg
from fungrad.primitives.assignment import put
from fungrad.primitives.comparison import greater_equal, less_equal, logical_and, logical_or, not_equal
from fungrad.primitives.cumulative import scan_pairs
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.reductions import reduce_all
from fungrad.primitives.selection import where
from fungrad.primitives.sorting import argsort
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    reshape,
    slice_,
    slice_axis,
    transpose,
)


class GatherDimensionNumbers(NamedTuple):
    """Which axes of a gather are what; see `gather`."""

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """Which axes of a scatter are what; see `scatter`."""

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


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


class _Lookup(NamedTuple):
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


def _lookup(
    function: str, x: Any, starts: Any, numbers: GatherDimensionNumbers, sizes: Shape, mode: GatherScatterMode
) -> _Lookup:
    shape, index_shape = typeof(x).shape, typeof(starts).shape
    offset, collapsed, mapped, along, index_along = (
        integers(function, name, value) for name, value in zip(numbers._fields, numbers, strict=True)
    )
    require(
        typeof(starts).dtype.kind in "iu", function, f"indices must be integers, got {typeof(starts).dtype}", TypeError
    )
    require(
        bool(index_shape) and index_shape[-1] == len(mapped),
        function,
        f"the last axis of the indices, of shape {index_shape}, must hold a start for each of the axes {mapped}",
        TypeError,
    )
    require(
        len(sizes) == len(shape) and all(0 <= m <= n for m, n in zip(sizes, shape, strict=True)),
        function,
        f"slice sizes {sizes} do not fit an operand of shape {shape}",
        TypeError,
    )
    require(
        len(offset) == len(shape) - len(collapsed) - len(along)
        and all(sizes[k] == 1 for k in (*collapsed, *along))
        and len(along) == len(index_along),
        function,
        f"dimension numbers {numbers} do not fit an operand of shape {shape} and slice sizes {sizes}",
        TypeError,
    )
    batch = index_shape[:-1]
    require(
        all(shape[k] == batch[j] for k, j in zip(along, index_along, strict=True)),
        function,
        f"axes {along} of an operand of shape {shape} and {index_along} of indices of shape {index_shape} must agree",
        TypeError,
    )
    indexed = [k for k in range(len(shape)) if k in mapped or k in along or sizes[k] != shape[k]]
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
    return _Lookup((*indexed, *whole), indices, inside, gathered, axes)


def _inside(starts: Any, limits: Any) -> Any:
    """For each slice whether it lies within the array; None if that is known of all of them."""
    last = typeof(starts).ndim - 1
    if typeof(starts).dtype.kind == "u":
        starts = convert(starts, np.dtype(np.int64))
    inside = reduce_all(logical_and(greater_equal(starts, 0), less_equal(starts, limits)), (last,))
    value = known(inside)
    return None if value is not None and np.all(value) else inside


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.argsort(order).tolist())


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
    plan = _lookup("gather", x, starts, dimension_numbers, sizes, mode)
    found = transpose(x, plan.order)
    if plan.indices:
        if typeof(found).size == 0 and math.prod(plan.shape):
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


# scatter


class _Placed(NamedTuple):
    """A scatter as an update of the first axes of a transposed operand, with a row for those that are dropped."""

    x: Any
    places: Any
    updates: Any
    restore: Callable[[Any], Any]
    unique: bool


def _placed(
    function: str,
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    numbers: ScatterDimensionNumbers,
    unique: bool,
    mode: str | GatherScatterMode | None,
    spare: bool = False,
) -> _Placed:
    x, starts, v = array(operand), array(scatter_indices), array(updates)
    mode = GatherScatterMode.from_any(mode)
    window, inserted, mapped, along, index_along = (
        integers(function, name, value) for name, value in zip(numbers._fields, numbers, strict=True)
    )
    shape, own = typeof(x).shape, typeof(v).shape
    kept = [k for k in range(len(shape)) if k not in inserted and k not in along]
    require(
        len(window) == len(kept) and all(j < len(own) for j in window),
        function,
        f"dimension numbers {numbers} do not fit an operand of shape {shape} and updates of shape {own}",
        TypeError,
    )
    require(
        np.can_cast(typeof(v).dtype, typeof(x).dtype, "same_kind"),
        function,
        f"updates of {typeof(v).dtype} do not fit into an array of {typeof(x).dtype}; convert one of them",
        TypeError,
    )
    sizes = [1] * len(shape)
    for k, j in zip(kept, window, strict=True):
        sizes[k] = own[j]
    plan = _lookup(
        function,
        x,
        starts,
        GatherDimensionNumbers(window, inserted, mapped, along, index_along),
        tuple(sizes),
        mode,
    )
    require(
        tuple([plan.shape[k] for k in plan.axes]) == own,
        function,
        f"expected updates of shape {tuple([plan.shape[k] for k in plan.axes])}, got {own}",
        TypeError,
    )
    v = transpose(convert(v, typeof(x).dtype), _inverse(plan.axes))
    turned = transpose(x, plan.order)
    count = len(plan.indices)
    first, rest = typeof(turned).shape[:count], typeof(turned).shape[count:]

    # All indexed axes as one, so that there can be a place behind the last one for what is dropped.
    size = math.prod(first)
    places = plan.shape[: len(plan.shape) - len(rest)]
    flat: Any = np.zeros((1,) * len(places), np.intp)
    for i, n in zip(plan.indices, first, strict=True):
        flat = add(mul(flat, n), i)
    flat = reshape(broadcast_to(flat, places), (math.prod(places),))
    merged = reshape(turned, (size, *rest))
    v = reshape(v, (math.prod(places), *rest))
    dropping = plan.inside is not None
    if dropping:
        inside = expand_dims(plan.inside, tuple(range(typeof(plan.inside).ndim, len(places))))
        flat = where(reshape(broadcast_to(inside, places), (math.prod(places),)), flat, size)
    if dropping or spare:
        merged = concatenate([merged, np.zeros((1, *rest), typeof(x).dtype)], 0)

    def restore(result: Any) -> Any:
        if dropping or spare:
            result = slice_axis(result, 0, 0, size)
        return transpose(reshape(result, (*first, *rest)), _inverse(plan.order))

    return _Placed(merged, flat, v, restore, unique and not dropping)


def scatter(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Replace slices at computed starts; of updates of one element the last one stands.

    Parameters
    ----------
    operand : array
    scatter_indices : array of integers (batch..., number of starts)
    updates : array
        As `gather` would return it; converted to the dtype of the operand.
    dimension_numbers : ScatterDimensionNumbers
        ``scatter_dims_to_operand_dims``: the axes of the operand that the starts are for. ``update_window_dims``: the
        axes of the updates that are axes of slices. ``inserted_window_dims``: those of the operand that slices lack,
        where they have size 1. ``operand_batching_dims`` and ``scatter_indices_batching_dims`` go along with each
        other.
    indices_are_sorted, unique_indices : bool
        Promises. The second one, that no element is updated twice, makes derivatives faster.
    mode : str or GatherScatterMode, optional
        "drop" (also None): updates of slices that reach out of the array are dropped. "clip": the slices are moved
        into it.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> rows = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    >>> lax.scatter(np.zeros((3, 2)), np.array([[1], [7]]), np.array([[1.0, 2.0], [3.0, 4.0]]), rows)
    array([[0., 0.],
           [1., 2.],
           [0., 0.]])
    """
    p = _placed("scatter", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)
    return p.restore(put(p.x, p.updates, p.places, unique=p.unique))


def scatter_add(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Add to slices at computed starts, to an element that is addressed twice both. See `scatter`."""
    p = _placed("scatter_add", operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)
    total = indexing.scatter_add(p.updates, p.places, shape=typeof(p.x).shape, unique=p.unique)
    return p.restore(add(p.x, total))


def scatter_sub(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Subtract from slices at computed starts, from an element that is addressed twice both. See `scatter`."""
    return scatter_add(
        operand, scatter_indices, neg(array(updates)), dimension_numbers, unique_indices=unique_indices, mode=mode
    )


def scatter_mul(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Multiply slices at computed starts, an element that is addressed twice by both. See `scatter`."""
    return _combined("scatter_mul", mul, operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_min(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Take the minimum of slices at computed starts and all their updates. See `scatter`.

    Equal values share the derivative, two by two.
    """
    return _combined("scatter_min", minimum, operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def scatter_max(
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    dimension_numbers: ScatterDimensionNumbers,
    *,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Take the maximum of slices at computed starts and all their updates. See `scatter_min`."""
    return _combined("scatter_max", maximum, operand, scatter_indices, updates, dimension_numbers, unique_indices, mode)


def _combined(
    name: str,
    combine: Callable[[Any, Any], Any],
    operand: Any,
    scatter_indices: Any,
    updates: Any,
    numbers: ScatterDimensionNumbers,
    unique: bool,
    mode: str | GatherScatterMode | None,
) -> Any:
    p = _placed(name, operand, scatter_indices, updates, numbers, unique, mode, spare=not unique)
    count = typeof(p.places).shape[0]
    if p.unique or count == 0:
        present = indexing.gather(p.x, p.places, unique=True)
        return p.restore(put(p.x, combine(present, p.updates), p.places, unique=True))
    # Updates of one place stand together after sorting. They are combined by a scan that begins anew at each place
    # (Blelloch 1990, section 1.5); the last of each place goes there, the others to the spare place.
    order = argsort(p.places, 0, stable=True)
    places = indexing.gather(p.places, order, unique=True)
    values = indexing.gather(p.updates, order, unique=True)
    change = not_equal(slice_axis(places, 0, 1, count), slice_axis(places, 0, 0, count - 1))
    first, last = concatenate([_TRUE, change], 0), concatenate([change, _TRUE], 0)

    def joined(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
        (x, begins), (y, anew) = a, b
        mask = expand_dims(anew, tuple(range(1, typeof(x).ndim)))
        return where(mask, y, combine(x, y)), logical_or(begins, anew)

    combined, _ = scan_pairs(joined, (values, first), 0)
    out = combine(indexing.gather(p.x, places), combined)
    return p.restore(put(p.x, out, where(last, places, typeof(p.x).shape[0] - 1)))


_TRUE = np.array([True])


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Any = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: str | GatherScatterMode | None = None,
) -> Any:
    """Apply a function to slices at computed starts, to an element that is addressed twice two times. See `scatter`.

    Parameters
    ----------
    func : callable
        An elementwise function of one array.
    update_shape : sequence of int
        The shape that updates would have.

    Raises
    ------
    ConcretizationTypeError
        If the indices are not known and not promised to be unique.
    """
    x = array(operand)
    shape = integers("scatter_apply", "update_shape", update_shape)
    nothing = np.zeros(shape, typeof(x).dtype)
    p = _placed("scatter_apply", x, scatter_indices, nothing, dimension_numbers, unique_indices, mode)
    if unique_indices:
        applied = func(indexing.gather(p.x, p.places))
        return p.restore(put(p.x, convert(array(applied), typeof(x).dtype), p.places, unique=p.unique))
    value = known(p.places)
    if value is None:
        raise ConcretizationTypeError(
            f"lax.scatter_apply at {here()}: the indices are not known, and so not which elements they address twice; "
            "pass unique_indices=True if none is"
        )
    out = p.x
    for turn in _turns(value):
        applied = func(indexing.gather(out, value[turn], unique=True))
        out = put(out, convert(array(applied), typeof(x).dtype), value[turn], unique=True)
    return p.restore(out)


def _turns(flat: Any) -> list[Any]:
    """The positions of the first updates of all places, of the second ones, and so on."""
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = np.flatnonzero(np.concatenate([_TRUE, ordered[1:] != ordered[:-1]])[: len(flat)])
    lengths = np.diff(np.append(starts, len(flat)))
    turn = np.arange(len(flat)) - np.repeat(starts, lengths)
    return [order[turn == k] for k in range(int(turn.max(initial=-1)) + 1)]

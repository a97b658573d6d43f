"""Scatter in XLA's general form: slices at computed starts, replaced or combined with updates.

    operand[start(batch) + offset] combined with updates[batch, offset]

The numbers are those of a gather (see ``gathering``) that would return the updates. All indexed axes are merged into
one, with a place behind the last one for updates that are dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fungrad._util import here
from fungrad.core.aval import typeof
from fungrad.errors import ConcretizationTypeError
from fungrad.lax.arguments import array, integers, known, require
from fungrad.lax.gathering import GatherDimensionNumbers, GatherScatterMode, lookup
from fungrad.primitives import indexing
from fungrad.primitives.arithmetic import add, mul, neg
from fungrad.primitives.assignment import put
from fungrad.primitives.comparison import logical_or, not_equal
from fungrad.primitives.cumulative import scan_pairs
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.selection import where
from fungrad.primitives.sorting import argsort
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    reshape,
    slice_axis,
    transpose,
)


class ScatterDimensionNumbers(NamedTuple):
    """Which axes of a scatter are what; see `scatter`."""

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.argsort(order).tolist())


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
        lambda: f"dimension numbers {numbers} do not fit an operand of shape {shape} and updates of shape {own}",
        TypeError,
    )
    require(
        np.can_cast(typeof(v).dtype, typeof(x).dtype, "same_kind"),
        function,
        lambda: f"updates of {typeof(v).dtype} do not fit into an array of {typeof(x).dtype}; convert one of them",
        TypeError,
    )
    sizes = [1] * len(shape)
    for k, j in zip(kept, window, strict=True):
        sizes[k] = own[j]
    plan = lookup(
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
        lambda: f"expected updates of shape {tuple([plan.shape[k] for k in plan.axes])}, got {own}",
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

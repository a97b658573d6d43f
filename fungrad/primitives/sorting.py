"""Sorting: the orders that sort an array (no derivative), and the linear map that applies an order.

    sort(x)  =  permute(x, argsort(x))

so that a sort is differentiated by its permutation. Where elements are equal it has no derivative, and this is that of
the one order among theirs that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.primitive import Linear
from fungrad.primitives.comparison import less, less_equal
from fungrad.primitives.reductions import INDEX, count_nonzero
from fungrad.primitives.structural import broadcast_to, reshape

# argsort, argpartition

argsort_p = NoTangent(
    "argsort",
    lambda x, *, axis, stable: np.argsort(x, axis, "stable" if stable else None),
    abstract=lambda x, *, axis, stable: ShapedArray(x.shape, INDEX),
    batch=lambda axis_, batched, x, *, axis, stable: argsort(x, axis + 1, stable),
)

argpartition_p = NoTangent(
    "argpartition",
    lambda x, *, kth, axis: np.argpartition(x, kth, axis),
    abstract=lambda x, *, kth, axis: ShapedArray(x.shape, INDEX),
    batch=lambda axis_, batched, x, *, kth, axis: argpartition(x, kth, axis + 1),
)


def argsort(x: Any, axis: int, stable: bool = False) -> Any:
    """The order that sorts x along an axis; equal elements keep theirs if it is to be stable."""
    return argsort_p.bind(x, axis=axis, stable=stable)


def argpartition(x: Any, kth: tuple[int, ...], axis: int) -> Any:
    """An order that puts the elements at positions ``kth`` (from 0) where sorting would, smaller ones before them."""
    return argpartition_p.bind(x, kth=kth, axis=axis)


# permute: reorder along an axis by permutations of the shape of x; unpermute, its adjoint and inverse, undoes that


def _all_batched(axis_: Any, batched: Sequence[bool], x: Any, order: Any) -> tuple[Any, Any]:
    size = axis_.size
    return (
        x if batched[0] else broadcast_to(x, (size, *typeof(x).shape)),
        order if batched[1] else broadcast_to(order, (size, *typeof(order).shape)),
    )


permute_p = Linear(
    "permute",
    lambda x, order, *, axis: np.take_along_axis(x, order, axis),
    abstract=lambda x, order, *, axis: ShapedArray(x.shape, x.dtype),
    transpose=lambda ct, x, order, *, axis: unpermute(ct, order, axis),
    batch=lambda axis_, batched, x, order, *, axis: permute(*_all_batched(axis_, batched, x, order), axis + 1),
    linear_in=(0,),
)


def _unpermute(x: Any, order: Any, *, axis: int) -> Any:
    out = np.empty_like(x)
    np.put_along_axis(out, order, x, axis)
    return out


unpermute_p = Linear(
    "unpermute",
    _unpermute,
    abstract=lambda x, order, *, axis: ShapedArray(x.shape, x.dtype),
    transpose=lambda ct, x, order, *, axis: permute(ct, order, axis),
    batch=lambda axis_, batched, x, order, *, axis: unpermute(*_all_batched(axis_, batched, x, order), axis + 1),
    linear_in=(0,),
)


def permute(x: Any, order: Any, axis: int) -> Any:
    """Element k along the axis is element ``order[k]`` of x; ``order`` holds permutations and has the shape of x."""
    return permute_p.bind(x, order, axis=axis)


def unpermute(x: Any, order: Any, axis: int) -> Any:
    """Element ``order[k]`` along the axis is element k of x: the inverse of `permute`."""
    return unpermute_p.bind(x, order, axis=axis)


def sort(x: Any, axis: int, stable: bool = False) -> Any:
    """Sort along an axis; ``stable`` decides which of equal elements is which, and so only where a derivative goes."""
    return permute(x, argsort(x, axis, stable), axis)


# searchsorted: where the elements of v would stand in the sorted vector a


def _searchsorted_batch(axis: Any, batched: Sequence[bool], a: Any, v: Any, *, side: str) -> Any:
    if not batched[0]:
        return searchsorted(a, v, side)
    # A vector for each example: count the elements before, which is what the position is.
    shape = typeof(v).shape
    rows = shape if batched[1] else (1, *shape)
    v = reshape(v, (*rows, 1))
    n = typeof(a).shape[1]
    a = reshape(a, (axis.size, *(1,) * (len(rows) - 1), n))
    before = less(a, v) if side == "left" else less_equal(a, v)
    return count_nonzero(before, (len(rows),))


searchsorted_p = NoTangent(
    "searchsorted",
    lambda a, v, *, side: np.searchsorted(a, v, side),
    abstract=lambda a, v, *, side: ShapedArray(v.shape, INDEX),
    batch=_searchsorted_batch,
)


def searchsorted(a: Any, v: Any, side: str) -> Any:
    """Positions at which v could be inserted into the sorted vector a, before ("left") or behind equal elements."""
    return searchsorted_p.bind(a, v, side=side)

"""Indexing by integer arrays: gather, its adjoint, and arithmetic on indices.

    gather(x, i1, ..., ik; start)       out[a, j, b] = x[a, i1[j], ..., ik[j], b]
    scatter_add(t, i1, ..., ik; start)  out = 0;  out[a, i1[j], ..., ik[j], b] += t[a, j, b]

``a`` runs over the first ``start`` axes and ``b`` over those behind the indexed ones; ``j`` runs over the shape that
the index arrays broadcast to. So these always stand for adjacent axes; the caller transposes where they do not.
Negative indices count from the end and an index out of bounds is an IndexError, as in NumPy. ``unique`` promises that
no element is addressed twice, and saves the adjoint the search for duplicates.

Basic indexing (integers and slices that are known) is ``pick``, ``slice`` and ``flip`` of the structural primitives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import INT, Shape, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.primitive import Linear
from fungrad.primitives.structural import broadcast_to, expand_dims, moveaxis, reshape

_ALL = slice(None)


def index_shape(indices: Sequence[Any]) -> Shape:
    """The shape that index arrays broadcast to; an IndexError in NumPy's words when there is none."""
    shapes = [typeof(i).shape for i in indices]
    if len(shapes) == 1:
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " ".join(str(s).replace(" ", "") for s in shapes)
        raise IndexError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {text}"
        ) from None


def check_bounds(index: np.ndarray[Any, Any], size: int, axis: int) -> tuple[int, int]:
    """The smallest and largest index; an IndexError in NumPy's words if one is out of bounds."""
    if not index.size:
        return 0, 0
    low, high = int(index.min()), int(index.max())
    if low < -size or high >= size:
        bad = high if high >= size else low
        raise IndexError(f"index {bad} is out of bounds for axis {axis} with size {size}")
    return low, high


# gather: x[:, i1, ..., ik]


def _as_index(i: Any) -> Any:
    """NumPy indexes by any integers, but is fastest (and ``take`` works) with its own index type."""
    return i if type(i) is int else np.asarray(i).astype(np.intp, copy=False)


def _gather(x: Any, *indices: Any, start: int, unique: bool) -> Any:
    if len(indices) == 1:
        return x.take(_as_index(indices[0]), start)[()]
    return x[key_of(indices, start)]


def key_of(indices: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """What NumPy takes for these indices of adjacent axes."""
    return (*(_ALL,) * axis, *[_as_index(i) for i in indices])


def _gather_abstract(x: ShapedArray, *indices: ShapedArray, start: int, unique: bool) -> ShapedArray:
    return ShapedArray((*x.shape[:start], *index_shape(indices), *x.shape[start + len(indices) :]), x.dtype)


def _gather_batch(axis: Any, batched: Sequence[bool], x: Any, *indices: Any, start: int, unique: bool) -> Any:
    if not any(batched[1:]):
        return gather(x, *indices, axis=start + 1, unique=unique)
    aligned = align_indices(indices, batched[1:])
    if batched[0]:
        # The batch axis becomes one more indexed axis: element n of the batch is looked up in array n.
        aligned = [iota(axis.size, index_rank(indices, batched[1:])), *aligned]
        x = moveaxis(x, 0, start)
    return moveaxis(gather(x, *aligned, axis=start, unique=unique and batched[0]), start, 0)


def index_rank(indices: Sequence[Any], batched: Sequence[bool]) -> int:
    """The rank that index arrays broadcast to, batch axes not counted."""
    return max(typeof(i).ndim - b for i, b in zip(indices, batched, strict=True))


def iota(size: int, rank: int) -> np.ndarray[Any, Any]:
    """0 ... size-1 along a first axis, followed by ``rank`` axes of size 1."""
    return np.arange(size).reshape(size, *(1,) * rank)


def align_indices(indices: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """Batched indices with axes of size 1 behind the batch axis, so that all broadcast behind it."""
    rank = index_rank(indices, batched)
    aligned = []
    for i, b in zip(indices, batched, strict=True):
        shape = typeof(i).shape
        aligned.append(reshape(i, (shape[0], *(1,) * (rank + 1 - len(shape)), *shape[1:])) if b else i)
    return aligned


def _gather_transpose(ct: Any, x: ShapedArray, *indices: Any, start: int, unique: bool) -> Any:
    return scatter_add(ct, *indices, shape=x.shape, axis=start, unique=unique)


def _gather_accumulate(total: Any, ct: Any, x: ShapedArray, *indices: Any, start: int, unique: bool) -> None:
    _add_at(total, ct, indices, start, unique)


gather_p = Linear(
    "gather",
    _gather,
    abstract=_gather_abstract,
    transpose=_gather_transpose,
    batch=_gather_batch,
    linear_in=(0,),
    accumulate=_gather_accumulate,
)


def gather(x: Any, *indices: Any, axis: int = 0, unique: bool = False) -> Any:
    """``x[:, ..., :, i1, ..., ik]`` with ``axis`` colons: look up along adjacent axes by broadcast integer arrays."""
    return gather_p.bind(x, *indices, start=axis, unique=unique)


# scatter_add: add t into zeros at x[:, i1, ..., ik]


def _scatter_add(t: Any, *indices: Any, shape: Shape, start: int, unique: bool) -> Any:
    out = np.zeros(shape, typeof(t).dtype)
    if out.dtype.kind == "b":
        raise TypeError("scatter_add of booleans: use integers")
    if unique:
        out[key_of(indices, start)] = t
    else:
        _add_at(out, t, indices, start, unique)
    return out


def _add_at(total: np.ndarray[Any, Any], t: Any, indices: Sequence[Any], axis: int, unique: bool) -> None:
    """``total[:, i1, ..., ik] += t`` where an element that is addressed twice gets both."""
    key = key_of(indices, axis)
    if unique or all(np.ndim(i) == 0 for i in key[axis:]):
        total[key] += t
        return
    if not np.size(t):
        return
    # numpy.add.at is fast for one flat index array into one axis, and slow for everything else.
    if not total.flags.c_contiguous:
        np.add.at(total, key, t)
        return
    # So spell the addresses out. Where whole rows move, look for duplicates first: without any, indexed += is right.
    k = len(indices)
    sizes = total.shape[axis : axis + k]
    flat = flat_index(key[axis:], sizes, axis)
    before, after, n = math.prod(total.shape[:axis]), math.prod(total.shape[axis + k :]), math.prod(sizes)
    if before * after >= 4 and not _has_duplicates(flat, n):
        total.reshape(before, n, after)[:, flat] += np.reshape(t, (before, flat.size, after))
        return
    if before > 1:
        flat = (np.arange(before)[:, None] * n + flat).reshape(-1)
        n *= before
    np.add.at(total.reshape(-1), _elements_of_rows(flat, n, after), np.reshape(t, -1))


def _elements_of_rows(flat: np.ndarray[Any, Any], n: int, columns: int) -> np.ndarray[Any, Any]:
    """The positions of the elements of some of n rows, in all rows one after the other."""
    if columns == 1:
        return flat
    if n > 2 * flat.size:
        return (flat[:, None] * columns + np.arange(columns)).reshape(-1)
    return np.arange(n * columns).reshape(n, columns).take(flat, 0).reshape(-1)  # copies of rows are faster


def flat_index(indices: Sequence[Any], sizes: Shape, axis: int) -> np.ndarray[Any, Any]:
    """The positions, in one axis of all ``sizes`` together, that the broadcast indices address."""
    flat: Any = 0
    for k, (i, n) in enumerate(zip(indices, sizes, strict=True)):
        low, _ = check_bounds(np.asarray(i), n, axis + k)
        flat = flat * n + (np.where(i < 0, i + n, i) if low < 0 else i)
    return np.reshape(flat, -1)


def _has_duplicates(flat: np.ndarray[Any, Any], size: int) -> bool:
    if flat.size > size:
        return True
    if (
        flat.size * 8 > size
    ):  # counting is linear in the size of the array, sorting nearly linear in the number of indices
        return bool(np.bincount(flat, minlength=1).max() > 1)
    ordered = np.sort(flat)
    return bool((ordered[1:] == ordered[:-1]).any())


def _scatter_add_batch(
    axis: Any, batched: Sequence[bool], t: Any, *indices: Any, shape: Shape, start: int, unique: bool
) -> Any:
    if not any(batched[1:]):
        return scatter_add(t, *indices, shape=(axis.size, *shape), axis=start + 1, unique=unique)
    rank = index_rank(indices, batched[1:])
    aligned = [iota(axis.size, rank), *align_indices(indices, batched[1:])]
    if batched[0]:
        t = moveaxis(t, 0, start)
    else:
        own = typeof(t).shape
        t = broadcast_to(expand_dims(t, (start,)), (*own[:start], axis.size, *own[start:]))
    total = scatter_add(t, *aligned, shape=(*shape[:start], axis.size, *shape[start:]), axis=start, unique=unique)
    return moveaxis(total, start, 0)


scatter_add_p = Linear(
    "scatter_add",
    _scatter_add,
    abstract=lambda t, *indices, shape, start, unique: ShapedArray(shape, t.dtype),
    transpose=lambda ct, t, *indices, shape, start, unique: gather(ct, *indices, axis=start, unique=unique),
    batch=_scatter_add_batch,
    linear_in=(0,),
)


def scatter_add(t: Any, *indices: Any, shape: Shape, axis: int = 0, unique: bool = False) -> Any:
    """The adjoint of `gather`: zeros of this shape with t added at the indices, duplicates adding up."""
    return scatter_add_p.bind(t, *indices, shape=shape, start=axis, unique=unique)


# index_within: indices brought into [0, size): "wrap" modulo the size, "clip" to the nearest, "strict" refuses


def _index_within(i: Any, *, size: int, mode: str) -> Any:
    i = np.asarray(i).astype(np.intp, copy=False)
    if mode == "wrap":
        return (i % size)[()] if size else i[()]
    if mode == "clip":
        return np.clip(i, 0, max(size - 1, 0))[()]
    if i.size and (i.min() < 0 or i.max() >= size):
        raise ValueError("invalid entry in choice array")
    return i[()]


index_within_p = NoTangent(
    "index_within",
    _index_within,
    abstract=lambda i, *, size, mode: ShapedArray(i.shape, INT),
    batch=lambda axis, batched, i, *, size, mode: index_within(i, size, mode),
)


def index_within(i: Any, size: int, mode: str) -> Any:
    """Indices in [0, size): "wrap" takes them modulo the size, "clip" the nearest, "strict" refuses those outside."""
    return index_within_p.bind(i, size=size, mode=mode)


def take_along(x: Any, indices: Any, axis: int, unique: bool = False) -> Any:
    """Look up along one axis (counted from 0) by an index array of x's rank: argsort's result sorts x.

    ``unique`` promises that no element is taken twice (a permutation).
    """
    shape = typeof(x).shape
    if len(shape) == 1:
        return gather(x, indices, unique=unique)
    every = [
        indices if k == axis else np.arange(n).reshape((1,) * k + (n,) + (1,) * (len(shape) - k - 1))
        for k, n in enumerate(shape)
    ]
    return gather(x, *every, unique=unique)

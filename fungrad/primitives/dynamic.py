"""Slices whose place is computed: of fixed sizes, from starts that are operands.

    dynamic_slice(x, s1, ..., sk)         out[a, j, b] = x[a, s1 + j1, ..., sk + jk, b]
    dynamic_unslice(t, s1, ..., sk)       zeros with t at that place
    dynamic_put(x, v, s1, ..., sk)        x with v at that place

``a`` runs over the first ``lead`` axes and ``b`` over those behind the sliced ones. ``place`` holds for each sliced
axis the size of the slice and the largest start; starts beyond that, or below 0, are moved there (clamped), so that the
slice lies within the array. With ``wrap`` negative starts count from the end first. The adjoint of the first is the
second. Under vmap with starts that differ these are `gather` and `put`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.lowering import NEW, VIEW, Emission, Lowering
from fungrad.core.primitive import Linear
from fungrad.primitives.arithmetic import add
from fungrad.primitives.assignment import Replacement, put_p
from fungrad.primitives.comparison import less
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.indexing import gather_p
from fungrad.primitives.selection import where
from fungrad.primitives.structural import expand_dims, zeros

Place = tuple[tuple[int, int], ...]
"""For each sliced axis the size of the slice, and the largest start that it can have."""


def clamped(start: Any, size: int, limit: int, wrap: bool) -> int:
    """A known start within bounds."""
    s = operator.index(start)
    if wrap and s < 0:
        s += size + limit
    return min(max(s, 0), limit)


def _key(*starts: Any, place: Place, lead: int, wrap: bool) -> tuple[slice, ...]:
    """What NumPy takes for the slice."""
    key = [slice(None)] * lead
    for s, (size, limit) in zip(starts, place, strict=True):
        s = clamped(s, size, limit, wrap)
        key.append(slice(s, s + size))
    return tuple(key)


def _indices(starts: Sequence[Any], batched: Sequence[bool], place: Place, wrap: bool) -> list[Any]:
    """Index arrays of what the slice takes along each axis, batch axes of starts in front."""
    found = []
    for k, (s, is_batched, (size, limit)) in enumerate(zip(starts, batched, place, strict=True)):
        if wrap:
            s = where(less(s, 0), add(s, size + limit), s)
        s = minimum(maximum(s, 0), limit)
        rank = len(place)
        offsets = np.arange(size).reshape((1,) * k + (-1,) + (1,) * (rank - k - 1))
        found.append(add(expand_dims(s, tuple(range(1, rank + 1))) if is_batched else s, offsets))
    return found


# dynamic_slice


def _slice_abstract(x: ShapedArray, *starts: ShapedArray, place: Place, lead: int, wrap: bool) -> ShapedArray:
    sizes = [size for size, _ in place]
    return ShapedArray((*x.shape[:lead], *sizes, *x.shape[lead + len(sizes) :]), x.dtype)


def _slice_batch(axis: Any, batched: Sequence[bool], x: Any, *starts: Any, place: Place, lead: int, wrap: bool) -> Any:
    if not any(batched[1:]):
        return dynamic_slice_p.bind(x, *starts, place=place, lead=lead + 1, wrap=wrap)
    indices = _indices(starts, batched[1:], place, wrap)
    return gather_p.batch(axis, batched, x, *indices, start=lead, unique=True)


def _slice_text(e: Emission, out: str | None, x: str, *starts: str, **params: Any) -> str:
    keywords = [f"{k}={e.const(v)}" for k, v in params.items()]
    return f"{x}[{e.const(_key, 'place')}({', '.join([*starts, *keywords])})]"


def _slice_accumulate(total: Any, ct: Any, x: ShapedArray, *starts: Any, **params: Any) -> None:
    total[_key(*starts, **params)] += ct


dynamic_slice_p = Linear(
    "dynamic_slice",
    lambda x, *starts, **params: x[_key(*starts, **params)],
    abstract=_slice_abstract,
    transpose=lambda ct, x, *starts, place, lead, wrap: dynamic_unslice_p.bind(
        ct, *starts, shape=x.shape, place=place, lead=lead, wrap=wrap
    ),
    batch=_slice_batch,
    linear_in=(0,),
    accumulate=_slice_accumulate,
    lowering=Lowering(_slice_text, VIEW, cost=0.0),
)


def _place(shape: Shape, sizes: Shape, lead: int) -> Place:
    return tuple([(size, n - size) for size, n in zip(sizes, shape[lead:], strict=False)])


def dynamic_slice(x: Any, starts: Sequence[Any], sizes: Shape, lead: int = 0, wrap: bool = False) -> Any:
    """The slice of these sizes at these starts, along the axes behind the first ``lead`` ones."""
    return dynamic_slice_p.bind(x, *starts, place=_place(typeof(x).shape, sizes, lead), lead=lead, wrap=wrap)


# dynamic_unslice


def _unslice(t: Any, *starts: Any, shape: Shape, **params: Any) -> Any:
    out = np.zeros(shape, typeof(t).dtype)
    out[_key(*starts, **params)] = t
    return out


def _unslice_text(e: Emission, out: str | None, t: str, *starts: str, shape: Shape, **params: Any) -> str:
    keywords = [f"{k}={e.const(v)}" for k, v in params.items()]
    if out is None:
        return f"{e.const(_unslice, 'unslice')}({', '.join([t, *starts, f'shape={shape}', *keywords])})"
    return f"{out}[...] = 0; {out}[{e.const(_key, 'place')}({', '.join([*starts, *keywords])})] = {t}"


def _unslice_batch(
    axis: Any, batched: Sequence[bool], t: Any, *starts: Any, shape: Shape, place: Place, lead: int, wrap: bool
) -> Any:
    if not any(batched[1:]):
        return dynamic_unslice_p.bind(t, *starts, shape=(axis.size, *shape), place=place, lead=lead + 1, wrap=wrap)
    indices = _indices(starts, batched[1:], place, wrap)
    x = zeros(ShapedArray(shape, typeof(t).dtype))
    return put_p.batch(axis, (False, *batched), x, t, *indices, start=lead, unique=True)


dynamic_unslice_p: Linear = Linear(
    "dynamic_unslice",
    _unslice,
    abstract=lambda t, *starts, shape, place, lead, wrap: ShapedArray(shape, t.dtype),
    transpose=lambda ct, t, *starts, shape, place, lead, wrap: dynamic_slice_p.bind(
        ct, *starts, place=place, lead=lead, wrap=wrap
    ),
    batch=_unslice_batch,
    linear_in=(0,),
    lowering=Lowering(_unslice_text, NEW, into=True),
)


# dynamic_put


def _put_taken(ct: Any, x: ShapedArray, v: ShapedArray, *starts: Any, **params: Any) -> Any:
    v_bar = dynamic_slice_p.bind(ct, *starts, **params)
    return v_bar.copy() if type(v_bar) is np.ndarray else v_bar


def _put_batch(
    axis: Any, batched: Sequence[bool], x: Any, v: Any, *starts: Any, place: Place, lead: int, wrap: bool
) -> Any:
    indices = _indices(starts, batched[2:], place, wrap)
    return put_p.batch(axis, batched, x, v, *indices, start=lead, unique=True)


dynamic_put_p = Replacement(
    "dynamic_put",
    key=_key,
    taken=_put_taken,
    behind=lambda *, place, lead, wrap: {"place": place, "lead": lead + 1, "wrap": wrap},
    with_indices=_put_batch,
)


def dynamic_put(x: Any, v: Any, starts: Sequence[Any], lead: int = 0, wrap: bool = False) -> Any:
    """``x`` with ``v`` at these starts, along the axes behind the first ``lead`` ones; v has as many axes as x."""
    place = _place(typeof(x).shape, typeof(v).shape[lead : lead + len(starts)], lead)
    return dynamic_put_p.bind(x, v, *starts, place=place, lead=lead, wrap=wrap)

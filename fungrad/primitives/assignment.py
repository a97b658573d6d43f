"""Assignment: arrays with some elements replaced, linear in the array and in what replaces them.

    put_slice(x, v; index)                   out = x;  out[index] = v
    put(x, v, i1, ..., ik; start, unique)    out = x;  out[a, i1[j], ..., ik[j], b] = v[a, j, b]
    add_slice(x, v; index)                   out = x;  out[index] += v

The labels are those of ``indexing``. ``v`` has the dtype of x and the shape of what it replaces. Where an element is
addressed twice the last one stands, as in NumPy, and the others have no effect and no derivative. In reverse the
cotangent of x is that of the result with zeros at the replaced elements, that of v is what stands there.

To copy all of x for each element would make a loop that fills an array quadratic in its size. An array that only one
tracer refers to, a cotangent that only the backward walk refers to, and a tangent or a value that only the interpreter
refers to which reads it for the last time, are written into instead; see `Replacement`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import BOOL, Shape, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.lowering import NEW, NO_WAYS, ROWS, Emission, Lowering, Ways, call_of
from fungrad.core.primitive import Linear
from fungrad.core.trace import Application, Tracer, newest
from fungrad.primitives.indexing import align_indices, flat_index, gather, index_rank, index_shape, iota, key_of
from fungrad.primitives.selection import where
from fungrad.primitives.structural import Index, broadcast_to, expand_dims, key_text, moveaxis, slice_, slice_key, zeros


def _both_batched(axis: Any, batched: Sequence[bool], x: Any, v: Any) -> tuple[Any, Any]:
    return (
        x if batched[0] else broadcast_to(x, (axis.size, *typeof(x).shape)),
        v if batched[1] else broadcast_to(v, (axis.size, *typeof(v).shape)),
    )


def _count(x: Tracer) -> int:
    return sys.getrefcount(x.value)


def _count_in(cell: list[Any]) -> int:
    return sys.getrefcount(cell[0])


def _calibrated(count: Callable[[Any], int], holder: Any) -> int:
    """What ``count`` gives if the holder alone refers to its array; -1, which never is, without the global lock."""
    locked: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return count(holder) if locked() else -1


_ALONE = _calibrated(_count, Tracer(None, 0, np.zeros(2)))  # type: ignore[arg-type]
_ALONE_IN = _calibrated(_count_in, [np.zeros(2)])


def _is_own(x: Any) -> bool:
    """Whether x is an array with memory of its own."""
    if type(x) is not np.ndarray:
        return False
    flags = x.flags
    return flags.owndata and flags.writeable


def _slice_ways(x: ShapedArray, v: ShapedArray, *indices: ShapedArray, index: Index = (0,), **params: Any) -> Ways:
    """Blocks of rows where a slice takes all rows."""
    return (((True, True), ROWS),) if not indices and index and index[0] is None and v.ndim else NO_WAYS


class Replacement(Linear):
    """``(x, v, ...) -> x with v at some elements``, done in place where nobody can tell.

    Parameters
    ----------
    key : callable
        ``key(*indices, **params)``: what NumPy takes for the replaced elements.
    taken : callable
        ``taken(ct, x, v, *indices, **params)``: the cotangent of v, in memory of its own.
    behind : callable
        ``behind(**params)``: the parameters where x and v have a batch axis in front and no index has.
    with_indices : callable, optional
        ``with_indices(axis, batched, x, v, *indices, **params)``: the batching rule where an index has one.
    """

    overwrites = True

    def __init__(
        self,
        name: str,
        *,
        key: Callable[..., Any],
        taken: Callable[..., Any],
        behind: Callable[..., dict[str, Any]],
        with_indices: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(
            name,
            self._replaced,
            abstract=lambda x, v, *indices, **params: ShapedArray(x.shape, x.dtype),
            transpose=self._transposed,
            batch=self._batched,
            linear_in=(0, 1),
            lowering=Lowering(self._text, NEW, into=True, updates=True, rows=_slice_ways),
        )
        self.key = key
        self.taken = taken
        self.behind = behind
        self.with_indices = with_indices

    def _replaced(self, x: Any, v: Any, *indices: Any, **params: Any) -> Any:
        out = np.array(x)
        out[self.key(*indices, **params)] = v
        return out

    def _text(self, e: Emission, out: str | None, x: str, v: str, *indices: str, **params: Any) -> str:
        if out is None:
            return call_of(self._replaced)(e, out, x, v, *indices, **params)
        if not indices:
            return copy_text(e, out, x) + f"{out}{key_text(params['index'])} = {v}"
        keywords = [f"{k}={e.const(value)}" for k, value in params.items()]
        key = f"{e.const(self.key, 'key')}({', '.join([*indices, *keywords])})"
        return copy_text(e, out, x) + f"{out}[{key}] = {v}"

    def _transposed(self, ct: Any, x: ShapedArray, v: ShapedArray, *indices: Any, **params: Any) -> Any:
        return self.bind(ct, zeros(v), *indices, **params), self.taken(ct, x, v, *indices, **params)

    def _batched(self, axis: Any, batched: Sequence[bool], x: Any, v: Any, *indices: Any, **params: Any) -> Any:
        if self.with_indices is not None and any(batched[2:]):
            return self.with_indices(axis, batched, x, v, *indices, **params)
        return self.bind(*_both_batched(axis, batched, x, v), *indices, **self.behind(**params))

    def bind_last(self, cell: list[Any], v: Any, *indices: Any, **params: Any) -> Any:
        """Apply to the one element of a list: in its own memory, if nothing but the list refers to it."""
        if sys.getrefcount(cell[0]) == _ALONE_IN:
            if type(cell[0]) is Tracer:
                if self.overwrite(cell[0], v, *indices, **params):
                    return cell[0]
            elif _is_own(cell[0]) and type(v) is not Tracer and newest(indices) is None:
                cell[0][self.key(*indices, **params)] = v
                return cell[0]
        return self.bind(cell[0], v, *indices, **params)

    def batch_last(
        self, axis: Any, batched: Sequence[bool], cell: list[Any], v: Any, *indices: Any, **params: Any
    ) -> Any:
        """The batched application to the one element of a list, as `bind_last`."""
        if not batched[0] or any(batched[2:]):
            return self.batch(axis, batched, cell[0], v, *indices, **params)
        if not batched[1]:
            v = broadcast_to(v, (axis.size, *typeof(v).shape))
        return self.bind_last(cell, v, *indices, **self.behind(**params))

    def overwrite(self, x: Tracer, v: Any, *indices: Any, **params: Any) -> bool:
        """Make x stand for the result by writing into its array; False, and nothing done, unless x alone refers to it.

        Residuals, views (through ``base``), copies, results and enclosing recordings all count as references. Under
        nested recordings this holds for the tracer on every level.
        """
        recording = x.recording
        # No local name for the value before this count: it would count as well.
        if sys.getrefcount(x.value) != _ALONE or recording.abstract or recording.ended:
            return False
        value, v_id = x.value, None
        aval = typeof(v)
        if type(v) is Tracer:
            if v.recording is recording:
                v, v_id = v.value, v.id
            elif v.recording.level > recording.level:
                return False
        if type(value) is Tracer:
            if not self.overwrite(value, v, *indices, **params):
                return False
        elif type(v) is Tracer or not _is_own(value) or (indices and newest(indices) is not None):
            return False
        else:
            value[self.key(*indices, **params)] = v
        take = recording.constants.take
        operands = (typeof(value), aval, *[take(i) for i in indices]) if indices else (typeof(value), aval)
        ids = (x.id, v_id, *(None,) * len(indices))
        x.id = i = recording.fresh()
        recording.append((self, i, Application(ids, operands, params, None, None)))
        return True

    def clear(self, ct: np.ndarray[Any, Any], *indices: Any, **params: Any) -> None:
        """Make the cotangent of the result that of x, in place."""
        ct[self.key(*indices, **params)] = 0


def copy_text(e: Emission, out: str, x: str) -> str:
    """The statement that makes ``out`` a copy of x, where it is not x itself."""
    return "" if out == x else f"{e.const(np.copyto, 'copyto')}({out}, {x}); "


# put_slice


def _slice_taken(ct: Any, x: ShapedArray, v: ShapedArray, *, index: Index) -> Any:
    v_bar = slice_(ct, index)
    return v_bar.copy() if type(v_bar) is np.ndarray else v_bar


put_slice_p = Replacement(
    "put_slice",
    key=lambda *, index: slice_key(index),
    taken=_slice_taken,
    behind=lambda *, index: {"index": (None, *index)},
)


def put_slice(x: Any, v: Any, index: Index) -> Any:
    """``x`` with ``v`` at ``[index]``: known integers and slices along the first axes."""
    return put_slice_p.bind(x, v, index=index)


# add_slice: out = x;  out[index] += v


def _add_slice(x: Any, v: Any, *, index: Index) -> Any:
    out = np.array(x)
    out[slice_key(index)] += v
    return out


def _add_slice_text(e: Emission, out: str | None, x: str, v: str, *, index: Index) -> str:
    if out is None:
        return call_of(_add_slice)(e, out, x, v, index=index)
    part = out + key_text(index)
    if all(isinstance(k, int) for k in index) and len(index) == e.avals[0].ndim:
        return copy_text(e, out, x) + f"{part} += {v}"
    return copy_text(e, out, x) + f"{e.const(np.add, 'add')}({part}, {v}, {part})"


add_slice_p = Linear(
    "add_slice",
    _add_slice,
    abstract=lambda x, v, *, index: ShapedArray(x.shape, x.dtype),
    transpose=lambda ct, x, v, *, index: (ct, slice_(ct, index)),
    batch=lambda axis, batched, x, v, *, index: add_slice(*_both_batched(axis, batched, x, v), (None, *index)),
    lowering=Lowering(_add_slice_text, NEW, into=True, updates=True, rows=_slice_ways),
)


def add_slice(x: Any, v: Any, index: Index) -> Any:
    """``x`` with ``v`` added at ``[index]``: known integers and slices along the first axes; both of one dtype."""
    return add_slice_p.bind(x, v, index=index)


# last: which of the elements that broadcast indices address are addressed for the last time


def _last(*indices: Any, sizes: Shape) -> Any:
    flat = flat_index(indices, sizes, 0)
    order = np.arange(flat.size)
    final = np.zeros(int(np.prod(sizes)), np.intp)
    final[flat] = order
    return (final[flat] == order).reshape(np.broadcast_shapes(*[np.shape(i) for i in indices]))[()]


def _last_batch(axis: Any, batched: Sequence[bool], *indices: Any, sizes: Shape) -> Any:
    rank = index_rank(indices, batched)
    return last_p.bind(iota(axis.size, rank), *align_indices(indices, batched), sizes=(axis.size, *sizes))


last_p = NoTangent(
    "last",
    _last,
    abstract=lambda *indices, sizes: ShapedArray(np.broadcast_shapes(*[i.shape for i in indices]), BOOL),
    batch=_last_batch,
)


# put


def _put_taken(ct: Any, x: ShapedArray, v: ShapedArray, *indices: Any, start: int, unique: bool) -> Any:
    v_bar = gather(ct, *indices, axis=start, unique=unique)
    if unique:
        return v_bar
    kept = last_p.bind(*indices, sizes=x.shape[start : start + len(indices)])
    behind = len(v.shape) - start - len(index_shape(indices))
    return where(expand_dims(kept, tuple(range(kept.ndim, kept.ndim + behind))), v_bar, 0)


def _put_batch(axis: Any, batched: Sequence[bool], x: Any, v: Any, *indices: Any, start: int, unique: bool) -> Any:
    x, v = _both_batched(axis, batched, x, v)
    aligned = [iota(axis.size, index_rank(indices, batched[2:])), *align_indices(indices, batched[2:])]
    out = put(moveaxis(x, 0, start), moveaxis(v, 0, start), *aligned, axis=start, unique=unique)
    return moveaxis(out, start, 0)


put_p = Replacement(
    "put",
    key=lambda *indices, start, unique: key_of(indices, start),
    taken=_put_taken,
    behind=lambda *, start, unique: {"start": start + 1, "unique": unique},
    with_indices=_put_batch,
)


def put(x: Any, v: Any, *indices: Any, axis: int = 0, unique: bool = False) -> Any:
    """``x`` with ``v`` at ``[:, ..., :, i1, ..., ik]``, ``axis`` colons: broadcast integer arrays."""
    return put_p.bind(x, v, *indices, start=axis, unique=unique)

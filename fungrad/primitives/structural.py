"""Structural primitives: linear maps that move elements without computing with them.

All are linear in their array operands, so each declares its transpose; adjoint pairs stand together.

    reshape      <->  reshape
    transpose    <->  transpose by the inverse permutation
    broadcast_to <->  sum over the broadcast axes
    convert      <->  convert back
    concatenate  <->  slices
    stack        <->  slices
    slice        <->  unslice (zeros with a slice written into)
    flip         <->  flip
    roll         <->  roll the other way
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from fungrad.core.aval import BOOL, FLOAT, Shape, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.lowering import (
    NEW,
    NO_WAYS,
    ONE_BY_ONE,
    ROWS,
    VIEW,
    Emission,
    Lowering,
    Ways,
    call_of,
)
from fungrad.core.primitive import Linear
from fungrad.core.trace import Tracer
from fungrad.primitives.complex_parts import real
from fungrad.primitives.reducing import sum_lowering


def zeros(aval: ShapedArray) -> Any:
    """A plain array of zeros of this type (a NumPy scalar when it has no axes)."""
    return np.zeros(aval.shape, aval.dtype) if aval.shape else aval.dtype.type(0)


def ones(aval: ShapedArray) -> Any:
    """A plain array of ones of this type (a NumPy scalar when it has no axes)."""
    return np.ones(aval.shape, aval.dtype) if aval.shape else aval.dtype.type(1)


# reshape: (n elements) -> (n elements), in C order


def _reshape(x: Any, *, shape: Shape) -> Any:
    x = np.asarray(x).reshape(shape)
    return x if shape else x[()]


def _reshape_text(e: Emission, out: str | None, x: str, *, shape: Shape) -> str:
    if not e.avals[0].ndim:
        return f"{e.const(np.full, 'full')}({shape}, {x}, {e.const(e.avals[0].dtype, 'dtype')})"
    if shape:
        return f"{x}.reshape({e.shape(shape)})"
    return f"{x}.item()" if e.avals[0].dtype in (FLOAT, BOOL) else f"{x}.reshape(())[()]"  # as numbers are held


def _reshape_rows(x: ShapedArray, *, shape: Shape) -> Ways:
    return ONE_BY_ONE if shape and x.ndim and shape[0] == x.shape[0] else NO_WAYS


reshape_p = Linear(
    "reshape",
    _reshape,
    abstract=lambda x, *, shape: ShapedArray(shape, x.dtype),
    transpose=lambda ct, x, *, shape: reshape(ct, x.shape),
    batch=lambda axis, batched, x, *, shape: reshape(x, (axis.size, *shape)),
    lowering=Lowering(_reshape_text, VIEW, rows=_reshape_rows, cost=0.0),
)


def reshape(x: Any, shape: Shape) -> Any:
    """The elements of x in C order with another shape (complete: no -1)."""
    return x if typeof(x).shape == shape else reshape_p.bind(x, shape=shape)


# transpose: out[i[perm]] = x[i]

transpose_p = Linear(
    "transpose",
    lambda x, *, permutation: x.transpose(permutation),
    abstract=lambda x, *, permutation: ShapedArray(tuple([x.shape[k] for k in permutation]), x.dtype),
    transpose=lambda ct, x, *, permutation: transpose(ct, _inverse(permutation)),
    batch=lambda axis, batched, x, *, permutation: transpose(x, (0, *(k + 1 for k in permutation))),
    lowering=Lowering(
        lambda e, out, x, *, permutation: f"{x}.transpose({permutation})",
        VIEW,
        rows=lambda x, *, permutation: ONE_BY_ONE if permutation[0] == 0 else NO_WAYS,
        cost=0.0,
    ),
)


def _inverse(permutation: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(permutation)
    for new, old in enumerate(permutation):
        inverse[old] = new
    return tuple(inverse)


def transpose(x: Any, permutation: tuple[int, ...]) -> Any:
    """Axis k of the result is axis ``permutation[k]`` of x."""
    return x if permutation == tuple(range(len(permutation))) else transpose_p.bind(x, permutation=permutation)


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """Move one axis (both counted from 0) and keep the order of the others."""
    order = [k for k in range(typeof(x).ndim) if k != source]
    order.insert(destination, source)
    return transpose(x, tuple(order))


# broadcast_to: repeat along new leading axes and along axes of size 1


def _broadcast_to(x: Any, *, shape: Shape) -> Any:
    x = np.asarray(x)
    if x.ndim:
        return np.broadcast_to(x, shape)
    # The same for a scalar, five times as fast as the general function: what the gradient of every sum begins with.
    out: np.ndarray[Any, Any] = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
    out.flags.writeable = False
    return out


def _broadcast_to_transpose(ct: Any, x: ShapedArray, *, shape: Shape) -> Any:
    new = len(shape) - x.ndim
    stretched = [k for k, n in enumerate(x.shape) if n == 1 and shape[k + new] != 1]
    ct = reduce_sum(ct, (*range(new), *[k + new for k in stretched]))
    return expand_dims(ct, tuple(stretched)) if stretched else ct


def _broadcast_to_batch(axis: Any, batched: Sequence[bool], x: Any, *, shape: Shape) -> Any:
    own = typeof(x).shape[1:]
    x = reshape(x, (axis.size, *(1,) * (len(shape) - len(own)), *own))
    return broadcast_to(x, (axis.size, *shape))


def _broadcast_to_text(e: Emission, out: str | None, x: str, *, shape: Shape) -> str:
    return f"{e.const(_broadcast_to, 'broadcast_to')}({x}, shape={e.shape(shape)})"


def _broadcast_to_rows(x: ShapedArray, *, shape: Shape) -> Ways:
    return ONE_BY_ONE if x.ndim and x.ndim == len(shape) and x.shape[0] != 1 else NO_WAYS


broadcast_to_p = Linear(
    "broadcast_to",
    _broadcast_to,
    abstract=lambda x, *, shape: ShapedArray(shape, x.dtype),
    transpose=_broadcast_to_transpose,
    batch=_broadcast_to_batch,
    lowering=Lowering(_broadcast_to_text, VIEW, rows=_broadcast_to_rows, cost=0.0),
)


def broadcast_to(x: Any, shape: Shape) -> Any:
    """Broadcast x to a shape; plain arrays give a read-only view, as in NumPy."""
    if typeof(x).shape == shape:
        return x
    if type(x) is Tracer:
        np.broadcast_shapes(typeof(x).shape, shape)
    return broadcast_to_p.bind(x, shape=shape)


# sum: the adjoint of broadcasting, declared here beside it


@cache
def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    result: np.dtype[Any] = np.add.reduce(np.zeros(1, dtype)).dtype
    return result


def _reduce_sum_transpose(ct: Any, x: ShapedArray, *, axes: tuple[int, ...]) -> Any:
    # Leading axes come back by broadcasting alone.
    if axes and axes[-1] != len(axes) - 1:
        ct = expand_dims(ct, axes)
    return broadcast_to(ct, x.shape)


reduce_sum_p = Linear(
    "sum",
    lambda x, *, axes: np.add.reduce(x, axes),
    abstract=lambda x, *, axes: ShapedArray(
        tuple([n for k, n in enumerate(x.shape) if k not in axes]), _sum_dtype(x.dtype)
    ),
    transpose=_reduce_sum_transpose,
    batch=lambda axis, batched, x, *, axes: reduce_sum(x, tuple([k + 1 for k in axes])),
    lowering=sum_lowering(),
)


def reduce_sum(x: Any, axes: tuple[int, ...]) -> Any:
    """Sum over these axes (counted from 0, sorted); the result drops them."""
    return reduce_sum_p.bind(x, axes=axes)


def expand_dims(x: Any, axes: tuple[int, ...]) -> Any:
    """Insert axes of size 1 so that they stand at these positions of the result (sorted)."""
    shape = list(typeof(x).shape)
    for k in axes:
        shape.insert(k, 1)
    return reshape(x, tuple(shape))


# convert: another dtype; onto integers and booleans it is another primitive, since that has no derivative


def _convert_text(e: Emission, out: str | None, x: str, *, dtype: np.dtype[Any]) -> str:
    name = e.const(dtype, "dtype")
    return f"{x}.astype({name})" if e.avals[0].ndim else f"{e.const(np.asarray, 'asarray')}({x}).astype({name})[()]"


_CONVERSION = Lowering(_convert_text, NEW, rows=lambda x, *, dtype: ONE_BY_ONE)

convert_p = Linear(
    "convert",
    lambda x, *, dtype: np.asarray(x, dtype)[()],
    abstract=lambda x, *, dtype: ShapedArray(x.shape, dtype),
    transpose=lambda ct, x, *, dtype: convert(ct, x.dtype),
    batch=lambda axis, batched, x, *, dtype: convert(x, dtype),
    lowering=_CONVERSION,
)

truncate_p = NoTangent(
    "truncate",
    lambda x, *, dtype: np.asarray(x).astype(dtype)[()],
    abstract=lambda x, *, dtype: ShapedArray(x.shape, dtype),
    batch=lambda axis, batched, x, *, dtype: convert(x, dtype),
    lowering=_CONVERSION,
)


def convert(x: Any, dtype: np.dtype[Any]) -> Any:
    """x with another dtype; from complex to real its real part (the transpose of real to complex)."""
    aval = typeof(x)
    if aval.dtype == dtype and not aval.weak:
        return x
    if dtype.kind not in "fc":
        return truncate_p.bind(x, dtype=dtype)
    if aval.dtype.kind == "c" and dtype.kind == "f":
        return convert(real(x), dtype)
    return convert_p.bind(x, dtype=dtype)


# concatenate: one after the other along an axis; its adjoint cuts the pieces out again


def _concatenate_transpose(ct: Any, *operands: ShapedArray, dimension: int) -> Any:
    cts, start = [], 0
    for x in operands:
        stop = start + x.shape[dimension]
        cts.append(slice_axis(ct, dimension, start, stop))
        start = stop
    return tuple(cts)


def _concatenate_batch(axis: Any, batched: Sequence[bool], *operands: Any, dimension: int) -> Any:
    full = [x if b else broadcast_to(x, (axis.size, *typeof(x).shape)) for x, b in zip(operands, batched, strict=True)]
    return concatenate(full, dimension + 1)


def _concatenate_text(e: Emission, out: str | None, *operands: str, dimension: int) -> str:
    into = "" if out is None else f", {out}"
    return f"{e.const(np.concatenate, 'concatenate')}(({', '.join(operands)},), {dimension}{into})"


def _concatenate_rows(*avals: ShapedArray, dimension: int) -> Ways:
    return (((True,) * len(avals), ROWS),) if dimension else NO_WAYS


concatenate_p = Linear(
    "concatenate",
    lambda *operands, dimension: np.concatenate(operands, dimension),
    abstract=lambda *avals, dimension: ShapedArray(
        (*avals[0].shape[:dimension], sum(a.shape[dimension] for a in avals), *avals[0].shape[dimension + 1 :]),
        avals[0].dtype,
    ),
    transpose=_concatenate_transpose,
    batch=_concatenate_batch,
    lowering=Lowering(_concatenate_text, NEW, into=True, rows=_concatenate_rows, cost=0.5),
)


def concatenate(operands: Sequence[Any], axis: int) -> Any:
    """Join arrays of one dtype, and of one shape but for this axis (counted from 0)."""
    return operands[0] if len(operands) == 1 else concatenate_p.bind(*operands, dimension=axis)


# stack: out[k] = operand k


def _stack_transpose(ct: Any, *operands: ShapedArray) -> Any:
    return tuple([slice_(ct, (k,)) for k in range(len(operands))])


def _stack_batch(axis: Any, batched: Sequence[bool], *operands: Any) -> Any:
    full = [x if b else broadcast_to(x, (axis.size, *typeof(x).shape)) for x, b in zip(operands, batched, strict=True)]
    return moveaxis(stack(full), 0, 1)


stack_p = Linear(
    "stack",
    lambda *operands: np.array(operands),
    abstract=lambda *avals: ShapedArray((len(avals), *avals[0].shape), avals[0].dtype),
    transpose=_stack_transpose,
    batch=_stack_batch,
    lowering=Lowering(lambda e, out, *operands: f"{e.const(np.array, 'array')}(({', '.join(operands)},))", NEW),
)


def stack(operands: Sequence[Any]) -> Any:
    """Stand arrays of one shape and dtype side by side along a new first axis."""
    return stack_p.bind(*operands)


# slice: x[1:5:2, :, 3] with numbers that are known; its adjoint pads with zeros

Index = tuple[int | tuple[int, int, int] | None, ...]
"""What a slice takes along the first axes: one element (the axis is dropped), (start, stop, step), or everything.

Normalised: 0 <= start <= stop <= size and step >= 1, elements counted from 0.
"""

_ALL = slice(None)


def slice_key(index: Index) -> tuple[Any, ...]:
    """What NumPy takes for this index."""
    return tuple([_ALL if i is None else i if isinstance(i, int) else slice(*i) for i in index])


def _slice_abstract(x: ShapedArray, *, index: Index) -> ShapedArray:
    kept = []
    for n, part in zip(x.shape, index, strict=False):
        if part is None:
            kept.append(n)
        elif not isinstance(part, int):
            kept.append(len(range(*part)))
    return ShapedArray((*kept, *x.shape[len(index) :]), x.dtype)


def _slice_accumulate(total: Any, ct: Any, x: ShapedArray, *, index: Index) -> None:
    total[slice_key(index)] += ct


def key_text(index: Index) -> str:
    """The source of ``[index]``."""
    parts = [":" if i is None else str(i) if isinstance(i, int) else f"{i[0]}:{i[1]}:{i[2]}" for i in index]
    return f"[{', '.join(parts)}]" if parts else "[...]"


def _slice_text(e: Emission, out: str | None, x: str, *, index: Index) -> str:
    return x + key_text(index)


slice_p = Linear(
    "slice",
    lambda x, *, index: x[slice_key(index)],
    abstract=_slice_abstract,
    transpose=lambda ct, x, *, index: unslice_(ct, x.shape, index),
    batch=lambda axis, batched, x, *, index: slice_(x, (None, *index)),
    accumulate=_slice_accumulate,
    lowering=Lowering(
        _slice_text,
        VIEW,
        rows=lambda x, *, index: ONE_BY_ONE if index and index[0] is None else NO_WAYS,
        cost=0.0,
    ),
)


def slice_(x: Any, index: Index) -> Any:
    """``x[index]`` for known integers and slices along the first axes, see `Index`."""
    return slice_p.bind(x, index=index)


def slice_axis(x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    """The slice along one axis (counted from 0)."""
    if start == 0 and step == 1 and stop == typeof(x).shape[axis]:
        return x
    return slice_(x, (None,) * axis + ((start, stop, step),))


# unslice: zeros of this shape with x written at the slice


def _unslice(x: Any, *, shape: Shape, index: Index) -> Any:
    out = np.zeros(shape, typeof(x).dtype)
    out[slice_key(index)] = x
    return out


def _unslice_text(e: Emission, out: str | None, x: str, *, shape: Shape, index: Index) -> str:
    if out is None:
        return f"{e.const(_unslice, 'unslice')}({x}, shape={e.shape(shape)}, index={index})"
    if len(index) == 1 and isinstance(index[0], tuple) and index[0][2] == 1:  # zeros only where x does not stand
        start, stop, _ = index[0]
        return f"{out}[:{start}] = 0; {out}[{start}:{stop}] = {x}; {out}[{stop}:] = 0"
    return f"{out}[...] = 0; {out}{key_text(index)} = {x}"


def _unslice_rows(x: ShapedArray, *, shape: Shape, index: Index) -> Ways:
    return ONE_BY_ONE if index and index[0] is None and x.ndim else NO_WAYS


unslice_p = Linear(
    "unslice",
    _unslice,
    abstract=lambda x, *, shape, index: ShapedArray(shape, x.dtype),
    transpose=lambda ct, x, *, shape, index: slice_(ct, index),
    batch=lambda axis, batched, x, *, shape, index: unslice_(x, (axis.size, *shape), (None, *index)),
    lowering=Lowering(_unslice_text, NEW, into=True, rows=_unslice_rows),
)


def unslice_(x: Any, shape: Shape, index: Index) -> Any:
    """The adjoint of `slice_`: x at ``[index]`` of an array of zeros."""
    return unslice_p.bind(x, shape=shape, index=index)


def unslice(x: Any, shape: Shape, starts: Shape, stops: Shape, steps: Shape) -> Any:
    """x at the slice of an array of zeros, given by a start, a stop and a step for each axis."""
    index = zip(starts, stops, steps, strict=True)
    return unslice_(x, shape, tuple([None if i == (0, n, 1) else i for i, n in zip(index, shape, strict=True)]))


# flip: reverse the order along axes


def _flip(x: Any, *, axes: tuple[int, ...]) -> Any:
    return x[tuple([slice(None, None, -1) if k in axes else _ALL for k in range(axes[-1] + 1)])]


flip_p = Linear(
    "flip",
    _flip,
    lowering=Lowering(call_of(_flip), VIEW, rows=lambda x, *, axes: NO_WAYS if 0 in axes else ONE_BY_ONE),
    abstract=lambda x, *, axes: ShapedArray(x.shape, x.dtype),
    transpose=lambda ct, x, *, axes: flip(ct, axes),
    batch=lambda axis, batched, x, *, axes: flip(x, tuple([k + 1 for k in axes])),
)


def flip(x: Any, axes: tuple[int, ...]) -> Any:
    """Reverse the order of the elements along these axes (counted from 0, sorted)."""
    return flip_p.bind(x, axes=axes) if axes else x


# roll: shift the elements along axes, those that fall off come in at the other end


def _roll(x: Any, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    for shift, k in zip(shifts, axes, strict=True):
        before = (_ALL,) * k
        cut = x.shape[k] - shift
        x = np.concatenate((x[(*before, slice(cut, None))], x[(*before, slice(cut))]), k)
    return x


def _roll_transpose(ct: Any, x: ShapedArray, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return roll(ct, tuple([-s for s in shifts]), axes)


roll_p = Linear(
    "roll",
    _roll,
    abstract=lambda x, *, shifts, axes: ShapedArray(x.shape, x.dtype),
    transpose=_roll_transpose,
    batch=lambda axis, batched, x, *, shifts, axes: roll(x, shifts, tuple([k + 1 for k in axes])),
)


def roll(x: Any, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Move element i to position (i + shift) modulo the size, along each of these axes (counted from 0)."""
    shape = typeof(x).shape
    total: dict[int, int] = {}
    for s, k in zip(shifts, axes, strict=True):
        total[k] = (total.get(k, 0) + s) % max(shape[k], 1)
    moved = {k: s for k, s in sorted(total.items()) if s}
    return roll_p.bind(x, shifts=tuple(moved.values()), axes=tuple(moved)) if moved else x

"""Rewrite rules of views, broadcasts and reductions."""

from __future__ import annotations

import math
from typing import Any

from fungrad.core.elementwise import broadcast_shapes
from fungrad.core.ir import Atom, Equation, Literal
from fungrad.primitives.arithmetic import div_p, mul_p, neg_p, sub_p
from fungrad.primitives.contraction import alphabet, contract_p
from fungrad.primitives.exponential import square_p
from fungrad.primitives.structural import (
    broadcast_to_p,
    concatenate_p,
    reduce_sum_p,
    reshape_p,
    slice_p,
    transpose_p,
    unslice_p,
)


def _reshape(b: Any, eqn: Equation) -> Atom | None:
    # reshape(x, x.shape) -> x      reshape(reshape(x)) -> reshape(x)
    (x,) = eqn.inputs
    shape = eqn.params["shape"]
    if x.aval.shape == shape and not x.aval.weak:
        return x
    inner = b.made_by(x, "reshape")
    return b.apply(reshape_p, inner.inputs[0], shape=shape) if inner and inner.inputs[0].aval.shape else None


def _transpose(b: Any, eqn: Equation) -> Atom | None:
    # transpose(x, identity) -> x      transpose(transpose(x, p), q) -> transpose(x, p[q])
    (x,) = eqn.inputs
    order = eqn.params["permutation"]
    if order == tuple(range(len(order))):
        return x
    inner = b.made_by(x, "transpose")
    if not inner:
        return None
    composed = tuple([inner.params["permutation"][k] for k in order])
    return b.apply(transpose_p, inner.inputs[0], permutation=composed)  # type: ignore[no-any-return]


def _broadcast(b: Any, eqn: Equation) -> Atom | None:
    # broadcast(x, x.shape) -> x      broadcast(broadcast(x)) -> broadcast(x)
    (x,) = eqn.inputs
    shape = eqn.params["shape"]
    if x.aval.shape == shape and not x.aval.weak:
        return x
    inner = b.made_by(x, "broadcast_to")
    return b.apply(broadcast_to_p, inner.inputs[0], shape=shape) if inner else None


_PUTS = 8
"""Assignments through which an element is looked for."""


def _is_everything(index: Any, shape: tuple[int, ...]) -> bool:
    return all(part is None or part == (0, n, 1) for part, n in zip(index, shape, strict=False))


def _slice(b: Any, eqn: Equation) -> Atom | None:
    # x[:] -> x
    (x,) = eqn.inputs
    index = eqn.params["index"]
    if _is_everything(index, x.aval.shape):
        return x
    # put(x, v, i)[i] -> v      put(x, v, j)[i] -> x[i] for different elements i and j
    original = x
    for _ in range(_PUTS):
        before = b.made_by(x, "put_slice")
        if not before:
            break
        if before.params["index"] == index:
            return before.inputs[1]  # type: ignore[no-any-return]
        if not all(isinstance(k, int) for k in (*index, *before.params["index"])) or len(index) != x.aval.ndim:
            break
        x = before.inputs[0]
    return None if x is original else b.apply(slice_p, x, index=index)


def _slice_of_unsliced(b: Any, eqn: Equation) -> Atom | None:
    # zeros with x at i, sliced -> zeros with a slice of x: what is shifted is not written among zeros twice
    (x,) = eqn.inputs
    inner = b.made_by(x, "unslice")
    if not inner or not b.is_used_once(x):
        return None
    ndim = x.aval.ndim
    puts, takes = (_ranges(e.params["index"], x.aval.shape) for e in (inner, eqn))
    if puts is None or takes is None:
        return None
    both = [(max(p[0], t[0]), min(p[1], t[1])) for p, t in zip(puts, takes, strict=True)]
    if any(start >= stop for start, stop in both):
        return None
    of_x = tuple([(both[k][0] - puts[k][0], both[k][1] - puts[k][0], 1) for k in range(ndim)])
    of_result = tuple([(both[k][0] - takes[k][0], both[k][1] - takes[k][0], 1) for k in range(ndim)])
    piece = b.apply(slice_p, inner.inputs[0], index=of_x)
    return b.apply(unslice_p, piece, shape=eqn.outputs[0].aval.shape, index=of_result)  # type: ignore[no-any-return]


def _ranges(index: Any, shape: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """The start and stop on each axis of a slice with steps of 1; None if it is none."""
    if any(type(k) is int or (k is not None and k[2] != 1) for k in index):
        return None
    given = [(0, n) if k is None else (k[0], k[1]) for k, n in zip(index, shape, strict=False)]
    return given + [(0, n) for n in shape[len(index) :]]


def _unslice(b: Any, eqn: Equation) -> Atom | None:
    # zeros with x written everywhere -> x
    (x,) = eqn.inputs
    shape = eqn.params["shape"]
    return x if x.aval.shape == shape and _is_everything(eqn.params["index"], shape) and not x.aval.weak else None


def _tiles(b: Any, eqn: Equation) -> Atom | None:
    # zeros with x added here, y there, ... until an axis is full -> concatenate(x, y, ...)
    shape, dtype = eqn.outputs[0].aval.shape, eqn.outputs[0].aval.dtype
    pieces: dict[tuple[int, int], Atom] = {}
    axis = None
    at: Any = eqn
    while True:
        index, piece = at.params["index"], at.inputs[-1]
        cut = [k for k, i in enumerate(index) if i is not None]
        if len(cut) != 1 or type(index[cut[0]]) is not tuple or index[cut[0]][2] != 1 or piece.aval.dtype != dtype:
            return None
        start, stop, _ = index[cut[0]]
        if axis not in (None, cut[0]) or (start, stop) in pieces or len(pieces) > _PUTS:
            return None
        axis = cut[0]
        pieces[start, stop] = piece
        if at.primitive is unslice_p:
            break
        whole = at.inputs[0]
        at = b.made_by(whole, "add_slice") or b.made_by(whole, "unslice")
        if not at or not b.is_used_once(whole):
            return None
    ordered = sorted(pieces)
    bounds = [0, *[stop for _, stop in ordered]]
    if [start for start, _ in ordered] != bounds[:-1] or bounds[-1] != shape[axis]:
        return None
    return b.apply(concatenate_p, *[pieces[k] for k in ordered], dimension=axis)  # type: ignore[no-any-return]


def _source_of_broadcast(b: Any, atom: Atom) -> Atom:
    """What an operand was broadcast of: NumPy's functions broadcast themselves."""
    eqn = b.made_by(atom, "broadcast_to")
    return atom if eqn is None else eqn.inputs[0]


def _absorb_broadcasts(b: Any, eqn: Equation) -> Atom | None:
    # f(broadcast(x), y) -> f(x, y)      f(broadcast(x)) -> broadcast(f(x))
    out = eqn.outputs[0].aval
    if not out.shape:
        return None
    sources = [_source_of_broadcast(b, a) for a in eqn.inputs]
    if all(s is a for s, a in zip(sources, eqn.inputs, strict=True)):
        return None
    if any(s.aval.dtype != a.aval.dtype or s.aval.weak for s, a in zip(sources, eqn.inputs, strict=True) if s is not a):
        return None
    shape = broadcast_shapes(eqn.primitive.name, [s.aval.shape for s in sources])
    if eqn.primitive.abstract(*[s.aval for s in sources]).dtype != out.dtype:
        return None
    small = b.apply(eqn.primitive, *sources)
    return small if shape == out.shape else b.apply(broadcast_to_p, small, shape=out.shape)


def _sum(b: Any, eqn: Equation) -> Atom | None:
    (x,) = eqn.inputs
    axes = eqn.params["axes"]
    aval, out = x.aval, eqn.outputs[0].aval
    if aval.dtype != out.dtype or aval.dtype.kind not in "fc":
        return None
    # a sum over axes of size 1 -> reshape
    if axes and all(aval.shape[k] == 1 for k in axes):
        return b.apply(reshape_p, x, shape=out.shape)  # type: ignore[no-any-return]
    # sum(-x) -> -sum(x)
    minus = b.made_by(x, "neg")
    if minus and aval.dtype.kind == "f":
        return b.apply(neg_p, b.apply(reduce_sum_p, minus.inputs[0], axes=axes))  # type: ignore[no-any-return]
    return _sum_of_broadcast(b, x, axes, out) or _sum_of_products(b, x, axes)


def _sum_of_broadcast(b: Any, x: Atom, axes: tuple[int, ...], out: Any) -> Atom | None:
    # sum(broadcast(x)) -> n * sum(x), over the axes along which x was repeated n times
    wide = b.made_by(x, "broadcast_to")
    if not wide:
        return None
    (small,) = wide.inputs
    shape, extra = x.aval.shape, x.aval.ndim - small.aval.ndim
    repeated = [k for k in axes if k < extra or (small.aval.shape[k - extra] == 1 and shape[k] != 1)]
    count = math.prod([shape[k] for k in repeated])
    if not repeated or small.aval.weak or not count or small.aval.dtype.kind != "f":
        return None
    rest = tuple([k - extra for k in axes if k >= extra])
    summed = b.apply(reduce_sum_p, small, axes=rest) if rest else small
    kept = b.apply(broadcast_to_p, summed, shape=out.shape) if summed.aval.shape != out.shape else summed
    return b.apply(mul_p, kept, Literal(count))  # type: ignore[no-any-return]


def _sum_of_products(b: Any, x: Atom, axes: tuple[int, ...]) -> Atom | None:
    # the sum of all elements of x * y -> the inner product of x and y
    if len(axes) != x.aval.ndim or not b.is_used_once(x):
        return None
    product, power = b.made_by(x, "mul"), b.made_by(x, "square")
    if power:
        p = q = power.inputs[0]
    elif product:
        p, q = product.inputs
    else:
        return None
    if p.aval.shape != x.aval.shape or q.aval.shape != x.aval.shape or p.aval.dtype != q.aval.dtype:
        return None
    labels = alphabet(x.aval.ndim)
    return b.apply(contract_p, p, q, spec=f"{labels},{labels}->")  # type: ignore[no-any-return]


def _squared_deviations(b: Any, eqn: Equation) -> Atom | None:
    # -> sum((x - mean)**2): the mean and what deviates from it are mostly there already
    (x,), axes = eqn.inputs, eqn.params["axes"]
    shape = x.aval.shape
    if x.aval.dtype.kind != "f" or not x.aval.size or not axes:
        return None
    mean = b.apply(div_p, b.apply(reduce_sum_p, x, axes=axes), Literal(math.prod([shape[k] for k in axes])))
    kept = tuple([1 if k in axes else n for k, n in enumerate(shape)])
    deviation = b.apply(sub_p, x, b.apply(reshape_p, mean, shape=kept))
    return b.apply(reduce_sum_p, b.apply(square_p, deviation), axes=axes)  # type: ignore[no-any-return]


RULES: dict[str, list[Any]] = {
    "reshape": [_reshape],
    "transpose": [_transpose],
    "broadcast_to": [_broadcast],
    "sum": [_sum],
    "slice": [_slice, _slice_of_unsliced],
    "squared_deviations": [_squared_deviations],
    "unslice": [_unslice],
    "add_slice": [_tiles],
    "elementwise": [_absorb_broadcasts],  # all functions of elements
}

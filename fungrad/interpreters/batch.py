"""Batching (vmap): walk a jaxpr with operands that carry a batch axis in front.

    batch : ClosedJaxpr, axis, arguments, which are batched -> results, which are batched

The batch axis is always axis 0. Equations none of whose operands is batched are bound as they are, once for the
whole batch. The elementwise family is batched here: ranks are aligned behind the batch axis, NumPy's broadcasting
does the rest. The other primitives declare their rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import Elementwise
from fungrad.core.evaluate import reads_last, rules_recordings
from fungrad.core.ir import Atom, ClosedJaxpr, Literal, Var
from fungrad.primitives.structural import reshape, slice_, stack, zeros


class BatchAxis(NamedTuple):
    """The axis that is being mapped: its size, and its AxisName for collectives (or None)."""

    size: int
    name: Any


def batch(
    closed: ClosedJaxpr, axis: BatchAxis, args: Sequence[Any], batched: Sequence[bool]
) -> tuple[list[Any], list[bool]]:
    """Evaluate a jaxpr on arguments of which those with ``batched[i]`` carry the batch axis in front."""
    jaxpr = closed.jaxpr
    env: dict[Var, tuple[Any, bool]] = {v: (c, False) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)}
    env.update(zip(jaxpr.invars, zip(args, batched, strict=True), strict=True))

    def read(atom: Atom) -> tuple[Any, bool]:
        return (atom.value, False) if type(atom) is Literal else env[atom]  # type: ignore[index]

    recordings = rules_recordings(args)
    for eqn, dead in zip(jaxpr.eqns, jaxpr.last_uses(), strict=True):
        for recording in recordings:
            recording.source = eqn.source
        prim = eqn.primitive
        cell = []
        if prim.overwrites and reads_last(eqn, dead):
            first = eqn.inputs[0]
            cell.append(env[first][0])  # type: ignore[index]
            env[first] = (None, env[first][1])  # type: ignore[index]
        pairs = [read(a) for a in eqn.inputs]
        flags = [b for _, b in pairs]
        operands = [x for x, _ in pairs]
        mapped = any(flags)
        if cell:
            last = partial(prim.batch_last, axis, flags) if mapped else prim.bind_last
            out = last(cell, *operands[1:], **eqn.params)
            cell.clear()
        elif not mapped:
            out = prim.bind(*operands, **eqn.params)
        elif getattr(prim, "elementwise", False) or isinstance(prim, Elementwise):
            out = prim.bind(*align(operands, flags))
        elif prim.collective and eqn.params["axis_name"] == axis.name:
            out, mapped = prim.reduce_axis(operands[0]), False
        elif prim.has_batch or prim.kind == "primitive":
            out = prim.batch(axis, flags, *operands, **eqn.params)
        else:
            out = one_by_one(prim, axis, flags, operands, eqn.params)
        if prim.multiple:
            env.update({v: (o, mapped) for v, o in zip(eqn.outputs, out, strict=True)})
        else:
            env[eqn.outputs[0]] = (out, mapped)
        for var in dead:
            del env[var]
    results = [read(v) for v in jaxpr.outvars]
    return [x for x, _ in results], [b for _, b in results]


def one_by_one(
    prim: Any, axis: BatchAxis, batched: Sequence[bool], operands: Sequence[Any], params: dict[str, Any]
) -> Any:
    """Apply a primitive without a batching rule to one example after the other, and stack the results."""
    rows = []
    for i in range(axis.size):
        example = [slice_(x, (i,)) if b else x for x, b in zip(operands, batched, strict=True)]
        outs = prim.bind(*example, **params)
        rows.append(outs if prim.multiple else (outs,))
    if not rows:
        avals = [
            ShapedArray(a.shape[1:], a.dtype) if b else a for a, b in zip(map(typeof, operands), batched, strict=True)
        ]
        types = prim.abstract(*avals, **params)
        found = [zeros(ShapedArray((0, *a.shape), a.dtype)) for a in (types if prim.multiple else (types,))]
    else:
        found = [stack(column) for column in zip(*rows, strict=True)]
    return tuple(found) if prim.multiple else found[0]


def align(operands: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """Give batched operands axes of size 1 behind the batch axis, so that all have the rank of the result."""
    shapes = [typeof(x).shape for x in operands]
    rank = max(len(s) - b for s, b in zip(shapes, batched, strict=True))
    return [
        reshape(x, (s[0], *(1,) * (rank + 1 - len(s)), *s[1:])) if b and len(s) < rank + 1 else x
        for x, s, b in zip(operands, shapes, batched, strict=True)
    ]

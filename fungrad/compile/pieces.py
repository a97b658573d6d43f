"""Results that are written straight into the array that they are a piece of: no copy of them is made later.

concatenate([a, b, 0])      a, b are written where the array has them
unslice(a)                  a is written among zeros
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fungrad.compile.schedule import Group, Step
from fungrad.core.ir import Atom, Equation, Var

JOINS = frozenset({"concatenate", "unslice"})
"""The primitives whose results have their operands as pieces."""


class Piece(NamedTuple):
    """A result that is a piece of an array: the equation that makes the array, and the key of the piece."""

    joined: Equation
    key: str


def parts_of(eqn: Equation) -> list[tuple[Atom | None, str]]:
    """The parts of which one of `JOINS` is put together: operand (None: zeros) and key; none if they are no slices."""
    shape = eqn.outputs[0].aval.shape
    if eqn.primitive.name == "concatenate":
        axis, start = eqn.params["dimension"], 0
        parts: list[tuple[Atom | None, str]] = []
        for atom in eqn.inputs:
            stop = start + atom.aval.shape[axis]
            parts.append((atom, _key(axis, start, stop)))
            start = stop
        return parts
    *before, last = eqn.params["index"]
    if any(k is not None for k in before) or type(last) is not tuple or last[2] != 1:
        return []
    start, stop, _ = last
    axis, zeros = len(before), [(0, start), (stop, shape[len(before)])]
    return [(eqn.inputs[0], _key(axis, start, stop)), *[(None, _key(axis, a, b)) for a, b in zeros if a < b]]


def _key(axis: int, start: int, stop: int) -> str:
    return f"[{':, ' * axis}{start}:{stop}]"


def pieces(steps: Sequence[Step], uses: Mapping[Var, int]) -> dict[Var, Piece]:
    """The results that can be written as pieces: nothing else reads them, and their step can write into a slice."""
    maker = {v: step for step in steps for eqn in step.eqns for v in eqn.outputs}
    found: dict[Var, Piece] = {}
    for step in steps:
        if isinstance(step, Group) or step.eqn.primitive.name not in JOINS:
            continue
        for atom, key in parts_of(step.eqn):
            if isinstance(atom, Var) and uses[atom] == 1 and _writes_slices(maker.get(atom), atom, key):
                found[atom] = Piece(step.eqn, key)
    return found


def _writes_slices(step: Step | None, var: Var, key: str) -> bool:
    if isinstance(step, Group):  # a flat one takes arrays as one axis of elements: a slice of rows is one, too
        return var in step.members and (not step.flat or not key.startswith("[:, "))
    return step is not None and step.eqn.primitive.lowering.pointwise and step.eqn.primitive.lowering.into

"""Where the arrays of a program live: which results share memory, when each is dead, and the slots of the workspace.

A result is NEW (memory of its own), a VIEW of its first operand, or UNKNOWN (perhaps in the memory of any operand). Its
owners are the variables in whose memory it may live. The memory of an owner is free after the last step that reads any
array in it. New arrays that are no results of the program go into slots of a workspace that is kept between calls.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Atom, Equation, Jaxpr, Var
from fungrad.core.lowering import NEW, VIEW

Owners = tuple[Var, ...]


def owners_of(
    jaxpr: Jaxpr, in_blocks: Collection[Equation] = (), in_place: Collection[Equation] = ()
) -> dict[Var, Owners]:
    """For each array of a program the variables in whose memory it may live; none for scalars.

    What equations ``in_blocks`` make is written into arrays of its own, block by block, whatever they are. Equations
    ``in_place`` write their result into their first operand.
    """
    owners: dict[Var, Owners] = {v: (v,) for v in (*jaxpr.constvars, *jaxpr.invars) if v.aval.shape}
    for eqn in jaxpr.eqns:
        memory = NEW if eqn in in_blocks else eqn.primitive.lowering.memory
        for out in eqn.outputs:
            if not out.aval.shape:
                continue
            if (memory == NEW and eqn not in in_place) or not any(a.aval.shape for a in eqn.inputs):
                owners[out] = (out,)
            elif memory == VIEW or eqn in in_place:
                owners[out] = _owners(eqn.inputs[0], owners)
            else:
                found = [o for a in eqn.inputs for o in _owners(a, owners)]
                owners[out] = tuple(dict.fromkeys([out, *found]))
    return owners


def _owners(atom: Atom, owners: dict[Var, Owners]) -> Owners:
    return owners.get(atom, ()) if isinstance(atom, Var) else ()


def deaths(steps: Sequence[Sequence[Equation]], owners: dict[Var, Owners], outvars: Sequence[Atom]) -> list[list[Var]]:
    """For each step the owners whose memory nothing after it reads."""
    alive = {o for v in outvars for o in _owners(v, owners)}
    dead: list[list[Var]] = []
    for eqns in reversed(steps):
        mine = []
        for eqn in eqns:
            for atom in (*eqn.inputs, *eqn.outputs):
                for o in _owners(atom, owners):
                    if o not in alive:
                        alive.add(o)
                        mine.append(o)
        dead.append(mine)
    dead.reverse()
    return dead


def updates_in_place(
    jaxpr: Jaxpr,
    steps: Sequence[Sequence[Equation]],
    owners: dict[Var, Owners],
    dead: Sequence[Sequence[Var]],
    owned: Sequence[Var] = (),
) -> set[Equation]:
    """The equations that change elements of an array of the program's own that nothing reads afterwards.

    ``owned`` are the arguments whose memory is the program's.
    """
    new = {v for e in jaxpr.eqns if e.primitive.lowering.memory == NEW for v in e.outputs} | set(owned)
    found = set()
    for eqns, gone in zip(steps, dead, strict=True):
        for eqn in eqns:
            if not eqn.primitive.lowering.updates:
                continue
            x = eqn.inputs[0]
            own = isinstance(x, Var) and owners.get(x) == (x,) and x in gone and x in new
            if own and not any(x in _owners(v, owners) for v in eqn.inputs[1:]):
                found.add(eqn)
    return found


class Slot:
    """A piece of the workspace, and the array types that it is used as."""

    __slots__ = ("bytes", "index")

    def __init__(self, index: int, size: int) -> None:
        self.index = index
        self.bytes = size


class Workspace:
    """The plan of the memory that a program uses between its steps.

    Attributes
    ----------
    slots : list of Slot
        Pieces of memory, each used for one array after another.
    views : list
        (slot, shape, dtype) of the arrays that the program has names for.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.views: list[tuple[Slot, tuple[int, ...], np.dtype[Any]]] = []
        self._free: dict[int, list[Slot]] = {}
        self._known: dict[tuple[int, tuple[int, ...], np.dtype[Any]], int] = {}

    def take(self, aval: ShapedArray) -> tuple[Slot, int]:
        """A free slot for an array of this type, and the number of its view."""
        size = _size_class(aval.size * aval.dtype.itemsize)
        free = self._free.get(size)
        if free:
            slot = free.pop()
        else:
            slot = Slot(len(self.slots), size)
            self.slots.append(slot)
        key = slot.index, aval.shape, aval.dtype
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self.views)
            self.views.append((slot, aval.shape, aval.dtype))
        return slot, number

    def give_back(self, slot: Slot) -> None:
        """The slot may be used again."""
        self._free.setdefault(slot.bytes, []).append(slot)

    @property
    def bytes(self) -> int:
        """The size of the workspace."""
        return sum([s.bytes for s in self.slots])

    def allocate(self) -> list[np.ndarray[Any, Any]]:
        """A workspace: an array for each view."""
        memory = [np.empty(slot.bytes, np.uint8) for slot in self.slots]
        return [
            memory[slot.index][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
            for slot, shape, dtype in self.views
        ]


def _size_class(size: int) -> int:
    """Sizes are rounded up by at most an eighth, so that arrays of about one size can share a slot."""
    if size <= 512:
        return 64 * -(-size // 64) or 64
    step = 1 << max((size - 1).bit_length() - 4, 6)
    return step * -(-size // step)

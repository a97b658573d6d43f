"""Programs that may write into some of their arguments.

    build_donated : ClosedJaxpr, which arguments -> Executable

The memory of such an argument is the program's after its last use: for an intermediate array or a result of the same
type, and for changes of some of its elements. A group that reads it row by row may write rows over those that it has
read. What the argument contains afterwards is not defined; a result may be the argument itself.

The arguments that are given must be arrays in C order that can be written into and overlap with nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from fungrad.compile.emit import Emitter
from fungrad.compile.executable import Executable
from fungrad.compile.memory import updates_in_place
from fungrad.compile.schedule import Group
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import ClosedJaxpr, Equation, Var
from fungrad.core.lowering import NEW


class DonatedEmitter(Emitter):
    """Writes a program whose arguments at these positions are its own."""

    def __init__(self, closed: ClosedJaxpr, name: str, safe: bool, donated: Iterable[int]) -> None:
        invars = closed.jaxpr.invars
        self.waiting: set[Var] = {invars[k] for k in donated if invars[k].aval.shape}
        """Donated arguments that are still read."""
        self.donated = frozenset(self.waiting)
        self.free: dict[Any, list[str]] = {}
        """Names of arrays that may be written into, by type."""
        self.lent: dict[Var, str] = {}
        """Intermediate arrays that live in donated memory, and its name."""
        super().__init__(closed, name, safe)

    def _in_place(self, owners: dict[Var, tuple[Var, ...]], dead: list[list[Var]]) -> set[Equation]:
        """Also donated arguments may be changed where they are."""
        steps = [s.eqns for s in self.steps]
        return updates_in_place(self.jaxpr, steps, owners, dead, list(self.donated))

    def _begin(self) -> None:
        super()._begin()
        read = {v for e in self.jaxpr.eqns for v in e.inputs}
        self._release_slots([v for v in self.jaxpr.invars if v not in read and v not in self.kept])

    # memory

    def _release_slots(self, owners: Sequence[Var]) -> None:
        super()._release_slots(owners)
        for v in owners:
            name = self.lent.pop(v, None)
            if v in self.waiting:
                self.waiting.discard(v)
                name = self.source.name(v)
            if name is not None:
                self.free.setdefault(_type(v.aval), []).append(name)

    def _claim(self, out: Var) -> str | None:
        """The name of donated memory for a new array, if there is some that fits."""
        free = self.free.get(_type(out.aval))
        if not free or self.owners.get(out) != (out,):
            return None
        name = free.pop()
        self._lend(out, name)
        return name

    def _lend(self, out: Var, name: str) -> None:
        self.names[out] = name
        if out not in self.kept:
            self.lent[out] = name

    def _take_slot(self, out: Var) -> str:
        return self._claim(out) or super()._take_slot(out)

    # equations

    def _write_single(self, eqn: Equation, gone: Sequence[Var]) -> None:
        """A result of the program is written into donated memory too."""
        out, lowering = eqn.outputs[0], eqn.primitive.lowering
        if out in self.kept and lowering.into and not eqn.primitive.multiple and eqn not in self.in_place:
            if lowering.pointwise:
                self._release_slots(gone)
            name = self._claim(out)
            if name is not None:
                self.given[out] = name
        super()._write_single(eqn, gone)

    def _write_group(self, group: Group, gone: Sequence[Var]) -> None:
        outputs = self.read_outside(group)
        for k, eqn in enumerate(group.eqns):
            (out,) = eqn.outputs
            if out not in group.members or out not in outputs or self.owners.get(out) != (out,):
                continue
            over = next((x for x in gone if x in self.waiting and self._can_write_over(x, k, group)), None)
            if over is not None:
                self.waiting.discard(over)
                self.given[out] = self.source.name(over)
                self._lend(out, self.given[out])
            elif out in self.kept:
                name = self._claim(out)
                if name is not None:
                    self.given[out] = name
        super()._write_group(group, gone)

    def _can_write_over(self, x: Var, k: int, group: Group) -> bool:
        """Whether the rows of equation k may be written over those of x: nothing reads these after that."""
        writer = group.eqns[k]
        if _type(x.aval) != _type(writer.outputs[0].aval) or x not in group.inputs or x in group.whole:
            return False
        if any(x in self.owners.get(v, ()) for v in (*group.inputs, *group.whole) if v is not x):
            return False
        readers = [(j, e) for j, e in enumerate(group.eqns) if x in e.inputs]
        if any(e.primitive.lowering.memory != NEW for _, e in readers):
            return False  # what it makes may be a view of x, read later
        last = max([j for j, _ in readers], default=-1)
        return last < k or (last == k and writer.primitive.lowering.pointwise)

    # results

    def _foreign(self) -> set[Var]:
        return super()._foreign() - self.donated


def _type(aval: ShapedArray) -> Any:
    return aval.shape, aval.dtype


def build_donated(closed: ClosedJaxpr, name: str, donated: Iterable[int]) -> Executable:
    """Compile a jaxpr to a program that may write into these arguments."""
    make = partial(DonatedEmitter, donated=tuple(donated))
    executable = Executable(closed, name, make=make)
    if executable.emitter.source.may_raise:
        # Where Python's numbers raise, the program would begin again, with arguments that it has written into.
        executable = Executable(closed, name, True, make)
    return executable

"""From a jaxpr to the source of a Python function that calls NumPy.

    emit : ClosedJaxpr -> source, names in it, plan of its memory

The generated function takes the arguments of the jaxpr and returns a tuple of its results: new arrays (or NumPy
scalars) that share memory neither with each other nor with anything else. Its intermediate arrays live in a workspace
that a call takes from a list of spare ones and puts back: two calls at the same time have two of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fungrad.compile.blocks import BlockLoop, is_worth_threads, without_single_blocks
from fungrad.compile.executor import run_blocks, thread_count
from fungrad.compile.memory import Slot, Workspace, deaths, owners_of, updates_in_place
from fungrad.compile.pieces import JOINS, parts_of, pieces
from fungrad.compile.products import Division, division, run_product
from fungrad.compile.results import LARGEST, SMALLEST, Results
from fungrad.compile.schedule import LARGE, Group, Step, readers_of, schedule
from fungrad.compile.source import FLOAT_ERRORS, MATH, NESTING, Source, Text, as_python, is_python
from fungrad.compile.turned import Turned
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Literal, Var
from fungrad.core.lowering import NEW, VIEW
from fungrad.primitives.contraction import product_of
from fungrad.primitives.structural import broadcast_to_p

HEAVY = 1 << 12
"""Bytes of an array from which on it is worth a line to let it go."""

PROGRAM = "program"
"""The name of the function in the source."""


FLOATS = 100
"""Numbers that Python keeps the memory of for the next ones: programs with more use names of dead ones again."""


class Nested(NamedTuple):
    """The text of a number that is written into the line that reads it."""

    text: str
    depth: int
    """How many operations it has."""
    reads: list[Var]


def copy_if_shared(x: Any, *others: Any) -> Any:
    """An array in memory of its own, for results of functions that may return (a view of) their operand."""
    if type(x) is not np.ndarray:
        return x
    if x.base is not None or not x.flags.owndata or any(x is y for y in others):
        return x.copy(order="K")
    return x


def _whole(owners: tuple[Var, ...], aval: ShapedArray) -> bool:
    """Whether a view shows all of the memory that it lives in, and nothing twice."""
    return len(owners) == 1 and owners[0].aval.size == aval.size


class Emitter:
    """Writes the source of a program, and plans its memory."""

    keeps_memory = True
    """Whether memory of intermediate arrays and results is kept for the next call."""

    large = LARGE
    """Elements of an array from which on equations run block by block."""

    def __init__(self, closed: ClosedJaxpr, name: str, safe: bool) -> None:
        self.closed = closed
        self.jaxpr = closed.jaxpr
        self.safe = safe
        self.source = Source()
        self.source.namespace.update(MATH)
        self.workspace = Workspace()
        self.loops: list[BlockLoop] = []
        self.steps: list[Step] = without_single_blocks(schedule(self.jaxpr, self.large))
        eqns = [s.eqns for s in self.steps]
        in_blocks = {e for s in self.steps if isinstance(s, Group) for e in s.eqns}
        owners = owners_of(self.jaxpr, in_blocks)
        self.given: dict[Var, str] = {}
        """Names of memory that results are to be written into."""
        self.in_place = self._in_place(owners, deaths(eqns, owners, self.jaxpr.outvars))
        self.owners = owners_of(self.jaxpr, in_blocks, self.in_place) if self.in_place else owners
        self.returned = {v for v in self.jaxpr.outvars if isinstance(v, Var)}
        self.slots: dict[Var, Slot] = {}
        self.held: dict[Var, list[str]] = {}
        """Names of the arrays in the memory of an owner that is neither a slot nor a result."""
        self.fresh = self.peak = 0
        """Bytes of new arrays outside of the workspace, now and at most."""
        self.names: dict[Var, str] = {}
        self.threads = thread_count()
        self.divides = self.threads == 1 or any(isinstance(s, Group) and is_worth_threads(s) for s in self.steps)
        """Whether products are for our threads. BLAS's are faster at short ones: they wait in a busy loop, which is in
        the way if ours have other work."""
        self.kept = {o for v in self.returned for o in self.owners.get(v, ())}
        """The owners of the results of the program."""
        self.uses = Counter([v for e in self.jaxpr.eqns for v in e.inputs if type(v) is Var])
        self.uses.update(self.returned)
        self.nested: dict[Var, Nested] = {}
        """Scalars that are read once, not yet written."""
        self.reuses_names = len(self.jaxpr.eqns) > FLOATS
        self.numbers: set[Var] = set()
        """Scalars whose names may be used again once they have been read for the last time."""
        self.reads = self.uses.copy()
        """How often each variable is still to be read by equations of numbers, or at least once by something else."""
        self.free_names: list[str] = []
        self._functions: list[Source] = []
        self.pieces = pieces(self.steps, self.uses)
        self.turned = Turned(self.jaxpr.eqns)

    def _in_place(self, owners: dict[Var, tuple[Var, ...]], dead: list[list[Var]]) -> set[Equation]:
        """The equations that write their result into their first operand."""
        return updates_in_place(self.jaxpr, [s.eqns for s in self.steps], owners, dead)

    # names

    def name(self, atom: Atom) -> str:
        """The text of an operand."""
        if isinstance(atom, Literal):
            return self.source.const(atom.value, "c")
        if atom in self.nested:
            return f"({self.nested.pop(atom).text})"
        return self.names.get(atom) or self.source.name(atom)

    def emit(self) -> None:
        """Write the program."""
        source, jaxpr = self.source, self.jaxpr
        for var, value in zip(jaxpr.constvars, self.closed.consts, strict=True):
            self.names[var] = source.const(value, "constant")
        dead = deaths([s.eqns for s in self.steps], self.owners, jaxpr.outvars)
        self._begin()
        for step, gone in zip(self.steps, dead, strict=True):
            if isinstance(step, Group):
                self._write_group(step, gone)
            else:
                source.source = step.eqn.source
                if not self._write_scalar(step.eqn):
                    self._write_single(step.eqn, gone)
        source.source = None
        results = self._results()
        self._finish(results)

    def _begin(self) -> None:
        source = self.source
        source.indent = "    "
        for var in self.jaxpr.invars:
            name, aval = source.name(var), var.aval
            if is_python(aval):
                source.write(f"{name} = {as_python(aval, name)}")
            elif not aval.shape and not aval.weak:
                source.write(f"{name} = {source.const(np.asarray, 'asarray')}({name})[()]")

    # equations

    def _piece(self, out: Var) -> str:
        """The name of the place that a result has in the array that it is a piece of."""
        eqn, key = self.pieces[out]
        (whole,) = eqn.outputs
        if whole not in self.names:
            self.names[whole] = self._destination(whole)
        self.names[out] = f"{self.names[whole]}{key}"
        return self.names[out]

    def _write_rest(self, eqn: Equation) -> None:
        """What of an array is no piece that was written where it has it."""
        name = self.names[eqn.outputs[0]]
        for atom, key in parts_of(eqn):
            if atom is None:
                self.source.write(f"{name}{key} = 0")
            elif atom not in self.pieces:
                self.source.write(f"{self.source.const(np.copyto, 'copyto')}({name}{key}, {self.name(atom)})")

    def _release_slots(self, owners: Sequence[Var]) -> None:
        for v in owners:
            slot = self.slots.pop(v, None)
            if slot is not None:
                self.workspace.give_back(slot)

    def _release(self, owners: Sequence[Var]) -> None:
        self._release_slots(owners)
        for v in owners:
            names = self.held.pop(v, None)
            if names is not None:
                self.source.write(f"del {', '.join(names)}")
                self.fresh -= v.aval.size * v.aval.dtype.itemsize

    def _assign(self, out: Var, text: str) -> None:
        """Give a result its name; large arrays that are no results of the program are let go when they are dead."""
        name = self.source.name(out)
        self.source.write(f"{name} = {text}")
        self._note(out, name)

    def _note(self, out: Var, name: str) -> None:
        owners = self.owners.get(out, ())
        if out in owners:
            self.fresh += out.aval.size * out.aval.dtype.itemsize
            self.peak = max(self.peak, self.fresh)
            if out not in self.kept and out.aval.size * out.aval.dtype.itemsize >= HEAVY:
                self.held[out] = [name]
                return
        for owner in owners:
            if owner in self.held:
                self.held[owner].append(name)
                return

    def _take_slot(self, out: Var) -> str:
        slot, number = self.workspace.take(out.aval)
        self.slots[out] = slot
        name = f"b{number}"
        self.names[out] = name
        return name

    def _in_slot(self, out: Var) -> bool:
        """Whether the memory of a result can be a slot: no result of the program lives in it."""
        return self.owners.get(out) == (out,) and out not in self.kept

    def _write_scalar(self, eqn: Equation) -> bool:
        """Write an equation of Python numbers, or keep its text for the one line that reads it; False if it is none."""
        out = eqn.outputs[0]
        if out.aval.shape or len(eqn.outputs) != 1:
            return False
        inner = [self.nested[v] for v in eqn.inputs if v in self.nested]  # type: ignore[index]
        text = self.source.scalar(eqn, self.name, self.safe)
        if text is None:
            return False
        depth = 1 + sum([n.depth for n in inner])
        reads = [v for n in inner for v in n.reads] + [v for v in eqn.inputs if type(v) is Var and v in self.numbers]
        if self.uses[out] == 1 and depth < NESTING and out not in self.returned and not self._is_repeated(out):
            self.nested[out] = Nested(text, depth, reads)
            return True
        for v in reads:
            self.reads[v] -= 1
            if not self.reads[v]:
                self.free_names.append(self.name(v))
        if self.free_names and out not in self.returned:
            self.names[out] = self.free_names.pop()
        source = self.source
        source.write(f"{self.name(out)} = {text}")
        if self.reuses_names and out not in self.returned:
            self.numbers.add(out)
        return True

    def _is_repeated(self, var: Var) -> bool:
        """Whether the text of the equation that reads this scalar would have it twice, or would not read it at once."""
        (reader,) = self._readers[var]
        scalar = reader.primitive.lowering.scalar
        return scalar is None or "{0}" in scalar.replace("{0}", "", 1) or "{1}" in scalar.replace("{1}", "", 1)

    def turn(self, eqn: Equation, operand: int, name: str) -> str:
        """The text of an operand, transposed: of a small matrix a copy, which all products share."""
        atom = eqn.inputs[operand]
        if not self.turned.is_worth_a_copy(eqn, operand, self._stays(atom)):
            return f"{name}.T"
        known = self.turned.names.get(atom)
        if known is None:
            known = self.turned.names[atom] = f"{self.source.name(atom)}t"  # type: ignore[arg-type]
            self._write_once(atom, f"{known} = {name}.T.copy()")
            self.fresh += atom.aval.size * atom.aval.dtype.itemsize
            self.peak = max(self.peak, self.fresh)
        return known

    def _stays(self, atom: Atom) -> bool:
        """Whether an operand is the same for many products."""
        return False

    def _write_once(self, atom: Atom, line: str) -> None:
        self.source.write(line)

    def _write_single(self, eqn: Equation, gone: Sequence[Var]) -> None:
        source, lowering = self.source, eqn.primitive.lowering
        text = Text(source, eqn, self.name, safe=self.safe, turn=self.turn)
        if eqn.primitive.multiple:
            names = [source.name(v) for v in eqn.outputs]
            source.write(f"({', '.join(names)},) = {text.text()}")
            for v, name in zip(eqn.outputs, names, strict=True):
                self._hold(v.aval, name)
                self._note(v, name)
            if lowering.temporary is not None:
                self.peak = max(self.peak, self.fresh + lowering.temporary(*text.avals, **eqn.params))
            self._release(gone)
            return
        (out,) = eqn.outputs
        divided = division(eqn) if self.divides and eqn.primitive.name == "contract" else None
        if divided is not None:
            self._write_product(eqn, divided, gone)
            return
        if eqn in self.in_place:
            self.names[out] = self.name(eqn.inputs[0])
            source.write(text.text(self.names[out]))
            self._release(gone)
            return
        if lowering.temporary is not None:
            self.peak = max(self.peak, self.fresh + lowering.temporary(*text.avals, **eqn.params))
        if out in self.pieces:
            source.write(text.text(self._piece(out)))
            self._release(gone)
            return
        if out in self.names and eqn.primitive.name in JOINS:
            self._write_rest(eqn)
            self._release(gone)
            return
        if out in self.given and lowering.into:
            source.write(text.text(self._destination(out)))
            self._release(gone)
            return
        if out.aval.shape and lowering.into and self._in_slot(out):
            if lowering.pointwise:  # the result may stand where an operand stood
                self._release_slots(gone)
            source.write(text.text(self._take_slot(out)))
            self._release(gone)
            return
        if lowering.into and out.aval.size * out.aval.dtype.itemsize >= SMALLEST:
            source.write(text.text(self._destination(out)))
        else:
            self._assign(out, text.text())
        self._release(gone)

    def _destination(self, out: Var) -> str:
        """The name of memory for a result that is to be written into."""
        if out in self.given:
            self.names[out] = self.given[out]
            return self.given[out]
        if self._in_slot(out):
            return self._take_slot(out)
        source, dtype, shape = self.source, out.aval.dtype, out.aval.shape
        if self.keeps_memory and SMALLEST <= out.aval.size * dtype.itemsize <= LARGEST:
            self._assign(out, f"{source.const(Results(shape, dtype), 'result')}()")
        else:
            self._assign(out, f"{source.const(np.empty, 'empty')}({shape}, {source.const(dtype, dtype.name)})")
        return source.name(out)

    def _write_product(self, eqn: Equation, divided: Division, gone: Sequence[Var]) -> None:
        source = self.source
        (out,) = eqn.outputs
        operands = [self.name(a) for a in eqn.inputs]
        destination = self._destination(out)
        product = source.const(product_of(eqn.params["spec"]), "product")
        how = [product, source.const(divided, "division"), str(self.threads)]
        source.write(f"{source.const(run_product, 'run_product')}({', '.join([*how, *operands, destination])})")
        self._release(gone)

    def _hold(self, aval: ShapedArray, name: str) -> None:
        if is_python(aval):
            self.source.write(f"{name} = {as_python(aval, name)}")

    def _write_group(self, group: Group, gone: Sequence[Var]) -> None:
        source = self.source
        read_later = self.read_outside(group)
        functions = Source(source)
        loop = BlockLoop(group, functions, f"group{len(self.loops)}", read_later, self.names)
        self.loops.append(loop)
        self._functions.append(functions)
        arguments = []
        for v in loop.arguments:
            name = self.name(v)
            arguments.append(f"{name}.reshape(-1)" if loop.flat and v.aval.shape else name)
        for v in loop.outputs:
            name = self._piece(v) if v in self.pieces else self._destination(v)
            arguments.append(f"{name}.reshape(-1)" if loop.flat else name)
        part_slots = []
        for v in loop.parts:
            slot, number = self.workspace.take(ShapedArray(loop.part_shape(v), v.aval.dtype))
            part_slots.append((v, slot, f"b{number}"))
            arguments.append(f"b{number}")
        parts = len(loop.bounds) - 1
        scratch = f"scratch{len(self.loops) - 1}"
        multiplies = any(e.primitive.name == "contract" for e in group.eqns)
        call = [loop.name, str(parts), scratch, str(multiplies), *arguments]
        source.write(f"{source.const(run_blocks, 'run_blocks')}({', '.join(call)})")
        for v, slot, parts_name in part_slots:
            reduce = source.const(group.ends[v].reduce, f"{group.ends[v].__name__}_reduce")
            text = f"{reduce}({parts_name}, 0)"
            self._store_end(v, text)
            self.workspace.give_back(slot)
        self._release(gone)

    def _store_end(self, v: Var, text: str) -> None:
        self._assign(v, as_python(v.aval, text))

    def read_outside(self, group: Group) -> set[Var]:
        """The results of a group that anything outside of it reads."""
        mine, readers = set(group.eqns), self._readers
        made = [v for e in group.eqns for v in e.outputs]
        return {v for v in made if v in self.returned or not mine.issuperset(readers.get(v, ()))}

    @cached_property
    def _readers(self) -> dict[Var, list[Equation]]:
        return readers_of(self.jaxpr.eqns)

    # results

    def _foreign(self) -> set[Var]:
        """The arrays whose memory is not the program's."""
        return {*self.jaxpr.invars, *self.jaxpr.constvars}

    def _results(self) -> list[str]:
        """The text of each result; those that would share memory with something are copied."""
        taken = self._foreign()
        memory = {v: e.primitive.lowering.memory for e in self.jaxpr.eqns for v in e.outputs}
        repeats: set[Atom] = set()  # broadcast views: one element stands at many places, and they are read-only
        for e in self.jaxpr.eqns:
            if e.primitive is broadcast_to_p or (e.primitive.lowering.memory == VIEW and e.inputs[0] in repeats):
                repeats.update(e.outputs)
        texts = []
        for atom in self.jaxpr.outvars:
            name, aval = self.name(atom), atom.aval
            if not aval.shape:
                texts.append(self._scalar_result(atom, name))
                continue
            owners = self.owners.get(atom, ()) if isinstance(atom, Var) else ()
            if isinstance(atom, Literal) or atom in repeats or not taken.isdisjoint(owners):
                texts.append(f"{name}.copy()")
            elif owners == (atom,) or (memory.get(atom) in (VIEW, NEW) and _whole(owners, aval)):
                texts.append(name)
            else:
                operands = [self.name(o) for o in owners if o is not atom]
                copied = self.source.const(copy_if_shared, "copy_if_shared")
                texts.append(f"{copied}({', '.join([name, *operands])})")
            taken.update(owners)
        return texts

    def _scalar_result(self, atom: Atom, name: str) -> str:
        aval = atom.aval
        if isinstance(atom, Literal):
            value = atom.value
            return self.source.const(aval.dtype.type(value), "c")
        return f"{self.source.const(aval.dtype.type, aval.dtype.name)}({name})"

    # assembly

    def _arguments(self) -> str:
        return ", ".join(self.source.name(v) for v in self.jaxpr.invars)

    def _finish(self, results: list[str]) -> None:
        source = self.source
        lines, sources = source.lines, source.sources
        source.lines, source.sources = [], []
        for functions in self._functions:
            source.lines.extend(functions.lines)
            source.sources.extend(functions.sources)
        source.indent = ""
        arguments = self._arguments()
        source.write(f"def {PROGRAM}({arguments}):")
        source.indent = "    "
        uses_workspace = bool(self.workspace.views) or bool(self.loops)
        if uses_workspace:
            source.write("try: workspace = take()")
            source.write("except IndexError: workspace = make()")
            names = [f"b{k}" for k in range(len(self.workspace.views))]
            names += [f"scratch{k}" for k in range(len(self.loops))]
            source.write(f"({', '.join(names)},) = workspace")
        guarded = source.may_raise and not self.safe
        if guarded:
            source.write("try:")
        deeper = "    " if guarded else ""
        source.lines.extend([deeper + line for line in lines])
        source.sources.extend(sources)
        source.indent = "    " + deeper
        source.write(f"results = ({', '.join(results)}{',' if results else ''})")
        source.indent = "    "
        if guarded:
            source.write(f"except {source.const(FLOAT_ERRORS, 'FLOAT_ERRORS')}:")
            if uses_workspace:
                source.write("    give_back(workspace)")
            source.write(f"    return safe({arguments})")
        if uses_workspace:
            source.write("give_back(workspace)")
        source.write("return results")

    def peak_bytes(self) -> int:
        """The most memory that a call takes beyond its arguments: workspace, scratch arrays, new arrays."""
        return self.workspace_bytes() + self.peak

    def workspace_bytes(self) -> int:
        """The memory that a call takes from the start to the end: workspace and scratch arrays."""
        scratch = sum([loop.scratch.row_bytes() * loop.block * loop.threads(self.threads) for loop in self.loops])
        return self.workspace.bytes + scratch

    def make_workspace(self) -> tuple[Any, ...]:
        """The memory of one call: the arrays of the slots and, for each group, scratch arrays for each thread."""
        scratch = [tuple([loop.make_scratch() for _ in range(loop.threads(self.threads))]) for loop in self.loops]
        return (*self.workspace.allocate(), *scratch)


class Transient(Emitter):
    """Writes a program that lets all memory go at the end of a call: the purpose of some is to use little."""

    keeps_memory = False

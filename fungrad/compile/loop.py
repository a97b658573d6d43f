"""From the body of a loop to a Python function that runs it: compiled once, with memory that all iterations share.

    build_scan  : ClosedJaxpr (consts, carry, x -> carry, y) -> call(length, reverse, consts, carry, xs)
    build_while : ClosedJaxpr (consts, carry -> carry, go on) -> call(go on, consts, carry)

The number of iterations is not part of the program. Each iteration

    reads      rows of xs: views; of arrays with one axis Python floats, made at once
    writes     rows of ys: straight into the array that is returned
    carries    float64 scalars as Python floats; arrays in two buffers in turn, one read and one written; in one buffer
               where the equation that makes the new carry changes some elements of the old one, or may stand where it
               stood
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fungrad.compile.emit import Emitter
from fungrad.compile.executable import Executable
from fungrad.compile.memory import deaths, updates_in_place
from fungrad.compile.results import Stacks
from fungrad.compile.schedule import Group
from fungrad.compile.source import as_python, is_python
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Literal, Var
from fungrad.core.lowering import NEW
from fungrad.passes.carries import split_carries

LONGEST_LIST = 1 << 14
"""Numbers that are made before a loop begins: faster, but each takes 32 bytes."""


def _numbers(x: np.ndarray[Any, Any]) -> Any:
    """An array with one axis as a sequence of Python's numbers."""
    return x.tolist() if x.size <= LONGEST_LIST else x.data


class LoopEmitter(Emitter):
    """Writes a loop around a body.

    Parameters
    ----------
    n_consts, n_carry : int
        The first arguments of the body: those that stay, and those that its first results replace.
    endless : bool
        Whether the loop runs until the last result of the body is false, instead of over rows.
    """

    large = 1 << 15  # what an iteration makes is still in the cache when the next one begins

    def __init__(self, closed: ClosedJaxpr, name: str, safe: bool, n_consts: int, n_carry: int, endless: bool) -> None:
        closed, self.widths = split_carries(closed, n_consts, n_carry)
        n_carry = sum([1 if w is None else w for w in self.widths])
        invars = closed.jaxpr.invars
        self.consts = invars[:n_consts]
        self.carry = invars[n_consts : n_consts + n_carry]
        self.rows = invars[n_consts + n_carry :]
        self.carried = closed.jaxpr.outvars[:n_carry]
        self.stacked = closed.jaxpr.outvars[n_carry : len(closed.jaxpr.outvars) - endless]
        self.endless = endless
        self.updated: set[int] = set()
        """The carries that are made by changing elements of the old ones in place."""
        super().__init__(closed, name, safe)
        self.buffered: list[int] = []
        """The carries that are written into two buffers in turn."""
        self.in_rows: list[int] = []
        """The carries that are rows of what is stacked."""
        self._plan()

    def _in_place(self, owners: dict[Var, tuple[Var, ...]], dead: list[list[Var]]) -> set[Equation]:
        """Also carries may be changed where they are, as the loop has them in memory of its own."""
        outvars = self.jaxpr.outvars
        owned = [v for v in self.carry if v.aval.shape and v not in outvars]
        found = updates_in_place(self.jaxpr, [s.eqns for s in self.steps], owners, dead, owned)
        made = {v: e for e in self.jaxpr.eqns for v in e.outputs}

        def chain(v: Any) -> tuple[Any, list[Any]]:
            """The array that a chain of updates in place begins with, and the updates."""
            eqns = []
            while v in made and made[v] in found:
                eqns.append(made[v])
                v = made[v].inputs[0]
            return v, eqns

        kept = set()
        for k, (old, new) in enumerate(zip(self.carry, self.carried, strict=True)):
            start, eqns = chain(new)
            if eqns and start is old:
                self.updated.add(k)
                kept.update(eqns)
        # An update that does not end as the same carry would write into what the next iteration takes for another.
        return {e for e in found if e in kept or chain(e.outputs[0])[0] not in self.carry}

    def _plan(self) -> None:
        """Choose where the results of an iteration are written."""
        writable = self._writable()
        for k, v in enumerate(self.stacked):
            if isinstance(v, Var) and v in writable and v not in self.given:
                self.given[v] = f"y{k}"
                if self.carried.count(v) == 1:
                    self.in_rows.append(self.carried.index(v))
        for k, v in enumerate(self.carried):
            if not v.aval.shape or k in self.updated or k in self.in_rows:
                continue
            if isinstance(v, Var) and v in writable and v not in self.given:
                if self._may_replace(self.carry[k], v):
                    self.given[v] = self.source.name(self.carry[k])
                    self.updated.add(k)
                else:
                    self.given[v] = f"n{k}"
                    self.buffered.append(k)

    def _may_replace(self, old: Var, new: Var) -> bool:
        """Whether nothing reads an old carry any more when the new one is written, or only what writes it."""
        shown = {o for v in self.jaxpr.outvars if isinstance(v, Var) for o in self.owners.get(v, ())}
        if old in shown or self.jaxpr.outvars.count(new) > 1:
            return False
        dead = deaths([s.eqns for s in self.steps], self.owners, self.jaxpr.outvars)
        last = max([k for k, gone in enumerate(dead) if old in gone], default=-1)
        written = next(k for k, s in enumerate(self.steps) if any(new in e.outputs for e in s.eqns))
        step = self.steps[written]
        return last < written or (
            last == written and not isinstance(step, Group) and step.eqn.primitive.lowering.pointwise
        )

    def _writable(self) -> set[Any]:
        """The results that their equation can write into memory that it is given."""
        found = set()
        for step in self.steps:
            if isinstance(step, Group):
                found.update([v for e in step.eqns for v in e.outputs if v in step.members and v.aval.shape])
                continue
            eqn = step.eqn
            if eqn.primitive.lowering.into and not eqn.primitive.multiple and eqn not in self.in_place:
                found.update([v for v in eqn.outputs if v.aval.shape])
        return found

    # text

    def _arguments(self) -> str:
        start = ["go_on"] if self.endless else ["length", "reverse"]
        return ", ".join([*start, *[f"a{k}" for k in range(len(self.consts) + len(self.widths) + len(self.rows))]])

    def _begin(self) -> None:
        source = self.source
        source.indent = "    "
        for k, var in enumerate(self.consts):
            self._take(source.name(var), var.aval, f"a{k}", own=False)
        carry = iter(self.carry)
        for k, width in enumerate(self.widths, len(self.consts)):
            if width is None:
                var = next(carry)
                self._take(source.name(var), var.aval, f"a{k}", own=True)
            else:
                source.write(f"{', '.join([source.name(next(carry)) for _ in range(width)])}, = a{k}.tolist()")
        empty = source.const(np.empty, "empty")
        for k in self.buffered:
            aval = self.carried[k].aval
            dtype = source.const(aval.dtype, aval.dtype.name)
            source.write(f"n{k}, m{k} = {empty}({aval.shape}, {dtype}), {empty}({aval.shape}, {dtype})")
        self._before = len(source.lines)
        if self.endless:
            source.write("count, going = 0, go_on")
            source.write("while going:")
        else:
            self._begin_rows()
        source.indent = "        "

    def _stays(self, atom: Atom) -> bool:
        return isinstance(atom, Literal) or atom in self.consts or atom in self.jaxpr.constvars

    def _write_once(self, atom: Atom, line: str) -> None:
        if not self._stays(atom):
            return super()._write_once(atom, line)
        self.source.lines.insert(self._before, f"    {line}")
        self.source.sources.insert(self._before, None)
        return None

    def _take(self, name: str, aval: ShapedArray, argument: str, own: bool) -> None:
        """Name an argument as generated code holds it, an array that is to be ``own`` memory as a copy."""
        if is_python(aval):
            text = as_python(aval, argument)
        elif not aval.shape:
            text = f"{self.source.const(np.asarray, 'asarray')}({argument})[()]"
        else:
            text = f"{argument}.copy()" if own else argument
        self.source.write(f"{name} = {text}")

    def _begin_rows(self) -> None:
        source = self.source
        targets, sources = [], []
        for k, v in enumerate(self.rows):
            number = f"a{len(self.consts) + len(self.widths) + k}"
            source.write(
                f"x{k}s = {source.const(_numbers, 'numbers')}({number})" if is_python(v.aval) else f"x{k}s = {number}"
            )
            targets.append(source.name(v))
            sources.append(f"x{k}s")
        for k, y in enumerate(self.stacked):
            aval = y.aval
            if aval.shape:
                source.write(f"y{k}s = {source.const(Stacks(aval.shape, aval.dtype), 'stack')}(length)")
                targets.append(f"y{k}")
                sources.append(f"y{k}s")
            else:
                source.write(f"y{k}s = []")
        iterated = f"zip({', '.join(sources)})" if len(sources) > 1 else sources[0] if sources else "range(length)"
        if sources:
            backwards = [f"{s}[::-1]" for s in sources]
            turned = f"zip({', '.join(backwards)})" if len(sources) > 1 else backwards[0]
            source.write(f"for {', '.join(targets)} in ({turned} if reverse else {iterated}):")
        else:
            source.write(f"for _ in {iterated}:")

    def _results(self) -> list[str]:
        """The end of an iteration, and what is returned after the last one."""
        source = self.source
        copyto = source.const(np.copyto, "copyto")
        for k, v in enumerate(self.stacked):
            if not v.aval.shape:
                source.write(f"y{k}s.append({self.name(v)})")
            elif not isinstance(v, Var) or self.given.get(v) != f"y{k}":
                source.write(f"{copyto}(y{k}, {self.name(v)})")
        targets, values = [], []
        for k, (old, new) in enumerate(zip(self.carry, self.carried, strict=True)):
            if new is old:
                continue
            name = source.name(old)
            if not new.aval.shape:
                value = self._carried_scalar(new)
            elif k in self.buffered:
                value = f"n{k}"
                targets += [f"n{k}", f"m{k}"]
                values += [f"m{k}", f"n{k}"]
            elif k in self.in_rows or k in self.updated or self._is_fresh(new):
                value = self.name(new)
            else:
                value = f"{self.name(new)}.copy()"
            if value != name:
                targets.append(name)
                values.append(value)
        if targets:
            source.write(f"{', '.join(targets)} = {', '.join(values)}")
        if self.endless:
            source.write(f"going = {self.name(self.jaxpr.outvars[-1])}")
            source.write("count += 1")
        elif not targets and not self.stacked:
            source.write("pass")
        source.indent = "    "
        return self._final()

    def _carried_scalar(self, new: Atom) -> str:
        aval = new.aval
        if isinstance(new, Literal):
            return self.source.const(new.value if is_python(aval) else aval.dtype.type(new.value), "c")
        name = self.name(new)
        if aval.weak and not is_python(aval):
            return f"{self.source.const(aval.dtype.type, aval.dtype.name)}({name})"
        return name

    def _is_fresh(self, new: Atom) -> bool:
        """Whether a new carry is in new memory that nothing else shows."""
        if not isinstance(new, Var) or self.owners.get(new) != (new,):
            return False
        made = {v: e for e in self.jaxpr.eqns for v in e.outputs}
        if new in self.given or new not in made:  # what is an argument or a constant of the body is not new
            return False
        return made[new].primitive.lowering.memory == NEW and self.jaxpr.outvars.count(new) == 1

    def _final(self) -> list[str]:
        source = self.source
        results = []
        carry = iter(enumerate(self.carry))
        array = source.const(np.array, "array")
        for width in self.widths:
            if width is not None:
                results.append(f"{array}(({', '.join([source.name(next(carry)[1]) for _ in range(width)])},))")
                continue
            k, v = next(carry)
            aval = v.aval
            if aval.shape:
                results.append(f"{source.name(v)}.copy()" if k in self.in_rows else source.name(v))
            else:
                results.append(f"{source.const(aval.dtype.type, aval.dtype.name)}({source.name(v)})")
        if self.endless:
            return [*results, f"{source.const(np.int64, 'int64')}(count)"]
        for k, y in enumerate(self.stacked):
            if not y.aval.shape:
                turned = f"y{k}s[::-1] if reverse else y{k}s"
                results.append(f"{array}({turned}, {source.const(y.aval.dtype, y.aval.dtype.name)})")
            else:
                results.append(f"y{k}s")
        return results

    def _scalar_result(self, atom: Atom, name: str) -> str:
        raise AssertionError("the results of a loop are those of its last iteration")


def build_scan(closed: ClosedJaxpr, name: str, n_consts: int, n_carry: int) -> Executable:
    """Compile a loop over rows; see the module."""
    return Executable(closed, name, False, partial(LoopEmitter, n_consts=n_consts, n_carry=n_carry, endless=False))


def build_while(closed: ClosedJaxpr, name: str, n_consts: int, n_carry: int) -> Executable:
    """Compile a loop that runs until the last result of its body is false; it returns the number of iterations, too."""
    return Executable(closed, name, False, partial(LoopEmitter, n_consts=n_consts, n_carry=n_carry, endless=True))

"""The text of a group: a loop over blocks of rows.

    def group(part, scratch, v1, v2, ...):
        for i in range(bounds[part], bounds[part + 1], block):
            ...                                              the equations on rows i ... j-1

What passes between the equations goes into scratch arrays of one block each, which stay in the cache. Rows are cut into
at most `PARTS` parts, whatever the number of threads: a result that is combined of parts is the same for any of them.

Where rows are short (`layout`) the scratch arrays hold them along the last axis of memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.compile.schedule import Group, Single, Step, eqn_cost, is_large_product, multiplications
from fungrad.compile.source import Source, Text
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Var
from fungrad.core.lowering import UNKNOWN, VIEW

PARTS = 16
CACHE = 1 << 23
"""Bytes that the arrays of one block may take together."""

BLOCK = 1 << 17
"""Elements of an array of one block, at most: the time of a call of NumPy should be small beside that of its work."""

FEWEST_BLOCKS = 2
"""Blocks of a group that is worth more than one thread; their number is a multiple of this."""

PRODUCT_BLOCK, PRODUCT_PARTS = 128, 4
"""Rows of a block with a large contraction, at least, and the number of blocks that there should be."""

ALONE = 9216
"""Multiplications of a contraction from which on BLAS may use threads of its own, outside of a group."""

WORTH_A_THREAD = 1e5
"""Nanoseconds of a group, for each thread, from which on another thread pays."""

WORTH_SHARING = 2e3
"""Nanoseconds of one equation on one block from which on threads pay: the mean over the time that is spent.

Threads wait for Python's lock between the calls of NumPy; where these are short they wait most of the time.
"""


def is_worth_threads(group: Group) -> bool:
    """Whether a group has enough work for two threads."""
    return sum([eqn_cost(e) for e in group.eqns]) > 2 * WORTH_A_THREAD


def without_single_blocks(steps: Sequence[Step]) -> list[Step]:
    """The steps, with groups that would run as one block taken apart: a loop takes microseconds to call."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Group) and _is_one_block(step):
            found.extend([Single(e) for e in step.eqns])
        else:
            found.append(step)
    return found


def _is_one_block(group: Group) -> bool:
    if group.rows_last or group.turned or is_worth_threads(group):
        return False
    if any(e.primitive.name == "contract" and multiplications(e) >= ALONE for e in group.eqns):
        return False
    arrays = (*group.members, *group.inputs)
    if max([v.aval.size for v in arrays], default=0) > BLOCK:
        return False
    return sum([v.aval.size * v.aval.dtype.itemsize for v in arrays]) <= CACHE


class Scratch:
    """The scratch arrays of a group: types of their rows, and which are free."""

    def __init__(self) -> None:
        self.rows: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
        self._free: dict[Any, list[int]] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        """The number of a free scratch array for rows of this type."""
        free = self._free.get((shape, dtype))
        if free:
            return free.pop()
        self.rows.append((shape, dtype))
        return len(self.rows) - 1

    def give_back(self, k: int) -> None:
        """Scratch array k may be used again."""
        self._free.setdefault(self.rows[k], []).append(k)

    def row_bytes(self) -> int:
        """Bytes of one row in all scratch arrays together."""
        return sum([math.prod(shape) * dtype.itemsize for shape, dtype in self.rows])


class BlockLoop:
    """The generated function of one group, and what it must be called with.

    Attributes
    ----------
    arguments : list of Var
        The arrays that it reads, in order.
    outputs : list of Var
        The arrays of rows that it writes.
    parts : list of Var
        The results that are combined of parts.
    """

    def __init__(self, group: Group, source: Source, name: str, wanted: set[Var], slots: dict[Var, str]) -> None:
        self.group = group
        self.source = source
        self.name = name
        self.wanted = wanted
        self.flat = group.flat
        self.scratch = Scratch()
        self.rows_last = group.rows_last
        self.outputs = [v for e in group.eqns for v in e.outputs if v in wanted and v in group.members]
        self.parts = [v for e in group.eqns for v in e.outputs if v in wanted and v in group.ends]
        self.arguments: list[Var] = []
        self._names: dict[Var, str] = {}
        self._slot: dict[Var, int] = {}
        self._root: dict[Var, Var] = {}
        """For views within a block the array that they show."""
        self._body = Source(source)
        self._write_body()
        self.block = self._block_rows()
        self._write_function()

    def _row_shape(self, aval: ShapedArray) -> tuple[int, ...]:
        return () if self.flat else aval.shape[1:]

    def _name(self, var: Var) -> str:
        name = self._names.get(var)
        if name is None:  # an array from outside, whole
            name = self._names[var] = self.source.name(var)
            self.arguments.append(var)
        return name

    def _load_inputs(self) -> None:
        body = self._body
        for var in sorted(self.group.inputs, key=self.source.name):
            outer = self.source.name(var)
            self.arguments.append(var)
            self._names[var] = f"{outer}_"
            body.write(f"{outer}_ = {outer}[i:j]")
            if (self.rows_last or var in self.group.turned) and var.aval.ndim > 1:
                k = self.scratch.take(self._row_shape(var.aval), var.aval.dtype)
                body.write(f"s{k}[...] = {outer}_; {outer}_ = s{k}")

    def _write_body(self) -> None:
        group, body = self.group, self._body
        body.indent = " " * 8
        self._load_inputs()
        last_use: dict[Var, int] = {}
        root = self._root
        for k, eqn in enumerate(group.eqns):
            for v in (*eqn.inputs, *eqn.outputs):
                if isinstance(v, Var):
                    last_use[root.get(v, v)] = k
            (out,) = eqn.outputs
            if eqn.primitive.lowering.memory == VIEW and out in group.members:
                first = next((v for v in eqn.inputs if isinstance(v, Var) and v.aval.shape), out)
                root[out] = root.get(first, first)
                last_use[root[out]] = k
        dying: dict[int, list[Var]] = {}
        for v, k in last_use.items():
            dying.setdefault(k, []).append(v)
        for k, eqn in enumerate(group.eqns):
            body.source = eqn.source
            self._write_equation(eqn, dying.get(k, []))

    def _release(self, dead: Sequence[Var]) -> None:
        for v in dead:
            slot = self._slot.pop(v, None)
            if slot is not None:
                self.scratch.give_back(slot)

    def _write_equation(self, eqn: Any, dead: Sequence[Var]) -> None:
        group, body, prim = self.group, self._body, eqn.primitive
        (out,) = eqn.outputs
        name = f"{self.source.name(out)}_"
        text = Text(body, eqn, self._name, block="m", rows_last=self.rows_last)
        if self.flat:
            text = _FlatText(body, eqn, self._name, block="m")
        if out in group.ends:
            self._write_part(out, text.text(), group.ends[out])
            self._release(dead)
            return
        lowering = prim.lowering
        if lowering.pointwise:
            self._release(dead)  # the result may overwrite an operand
            dead = ()
        if lowering.updates and self._takes_over(eqn, dead):
            body.write(text.text(self._names[out]))
            self._release([v for v in dead if v is not out])
            return
        is_output = out in self.wanted
        if self.flat and prim.name == "reshape":
            body.write(f"{name} = {text.names(eqn.inputs[0])}")
        elif is_output and not self.rows_last and lowering.into:
            body.write(f"{name} = {self.source.name(out)}[i:j]")
            body.write(text.text(name))
            is_output = False
        elif lowering.into or lowering.memory == UNKNOWN:
            k = self._slot[out] = self.scratch.take(self._row_shape(out.aval), out.aval.dtype)
            body.write(f"{name} = s{k}")
            body.write(text.text(name) if lowering.into else f"{name}[...] = {text.text()}")
        else:
            body.write(f"{name} = {text.text()}")
        if is_output:
            body.write(f"{self.source.name(out)}[i:j] = {name}")
        self._names[out] = name
        self._release([v for v in dead if v is not out])
        if out in dead and not is_output:
            self._release([out])

    def _takes_over(self, eqn: Any, dead: Sequence[Var]) -> bool:
        """Write the result into the first operand, if that is scratch which nothing reads afterwards."""
        x, (out,) = eqn.inputs[0], eqn.outputs
        if x not in dead or x not in self._slot or out in self.wanted:
            return False
        if any(self._root.get(v, v) is x for v in eqn.inputs[1:]):
            return False
        self._slot[out] = self._slot.pop(x)
        self._names[out] = self._names[x]
        return True

    def _write_part(self, out: Var, text: str, ufunc: np.ufunc) -> None:
        name = self.source.name(out)
        combine = self._body.const(ufunc, ufunc.__name__)
        self._body.write(f"r = {text}")
        self._body.write(f"{name}[part] = r if i == start else {combine}({name}[part], r)")

    def _block_rows(self) -> int:
        group = self.group
        held = self.scratch.row_bytes()
        passing = sum(
            [math.prod(self._row_shape(v.aval)) * v.aval.dtype.itemsize for v in (*group.inputs, *self.outputs)]
        )
        rows = max(1, CACHE // max(held + passing, 1))
        rows = min(rows, max(1, BLOCK // (1 if self.flat else max(group.row_size(), 1))))
        if is_worth_threads(group):
            blocks = -(-group.rows // rows)
            blocks = FEWEST_BLOCKS * -(-blocks // FEWEST_BLOCKS)  # so that threads have equal shares
            rows = max(-(-group.rows // blocks), 1)
        if any(is_large_product(e, group.rows) for e in group.eqns):
            rows = max(PRODUCT_BLOCK, min(rows, -(-group.rows // PRODUCT_PARTS)))
        return min(rows, group.rows)

    def _bounds(self) -> list[int]:
        """Where the parts of the rows begin: multiples of the block."""
        blocks = -(-self.group.rows // self.block)
        parts = min(PARTS, blocks)
        return [min(blocks * k // parts * self.block, self.group.rows) for k in range(parts + 1)]

    def _write_function(self) -> None:
        source, body = self.source, self._body
        self.bounds = self._bounds()
        source.source = None
        outer = [source.name(v) for v in (*self.arguments, *self.outputs, *self.parts)]
        source.indent = ""
        source.write(f"def {self.name}({', '.join(['part', 'scratch', *outer])}):")
        source.indent = "    "
        n = len(self.scratch.rows)
        whole = [f"t{k}" for k in range(n)]
        current = [f"s{k}" for k in range(n)]
        if n:
            source.write(f"({', '.join(whole)},) = scratch")
        source.write(
            f"start, stop = {source.const(self.bounds, 'bounds')}[part], {source.const(self.bounds)}[part + 1]"
        )
        source.write(f"for i in range(start, stop, {self.block}):")
        source.indent = " " * 8
        source.write(f"j = min(i + {self.block}, stop)")
        source.write("m = j - i")
        if n:
            cut = ", ".join([f"{s}[:m]" for s in whole])
            source.write(f"({', '.join(current)},) = scratch if m == {self.block} else ({cut},)")
        for line, where in zip(body.lines, body.sources, strict=True):
            source.lines.append(line)
            source.sources.append(where)
        source.indent = "    "

    def part_shape(self, var: Var) -> tuple[int, ...]:
        """The shape of the array that holds the parts of a result."""
        return (len(self.bounds) - 1, *var.aval.shape)

    def make_scratch(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Scratch arrays for one thread."""
        arrays = []
        for shape, dtype in self.scratch.rows:
            if self.rows_last:
                order = (len(shape), *range(len(shape)))
                arrays.append(np.empty((*shape, self.block), dtype).transpose(order))
            else:
                arrays.append(np.empty((self.block, *shape), dtype))
        return tuple(arrays)

    def threads(self, available: int) -> int:
        """How many threads are worth while."""
        costs = [eqn_cost(e) for e in self.group.eqns]
        cost, blocks = sum(costs), -(-self.group.rows // self.block)
        if sum([c * c for c in costs]) < WORTH_SHARING * cost * blocks:
            return 1
        return max(1, min(available, int(cost / WORTH_A_THREAD), len(self.bounds) - 1))


class _FlatText(Text):
    """The text of an equation whose arrays have become one axis of elements."""

    def text(self, out: str | None = None) -> str:
        prim = self.eqn.primitive
        if self.out_avals[0].shape == ():
            names = [str(self.names(v)) for v in self.eqn.inputs]
            if prim.name == "contract":
                return f"{names[0]}.dot({names[1]})"
            self.avals = [ShapedArray((a.size,), a.dtype, a.weak) for a in self.avals]
            return str(prim.lowering.text(self, None, *names, axes=(0,)))
        return super().text(out)

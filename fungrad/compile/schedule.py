"""Which equations run together: single steps, and groups that run block by block of rows.

    schedule : Jaxpr -> Step*
    Step     ::= Single(equation) | Group(equations)

A group is a set of equations whose arrays have a common first axis, the rows, and each of which can be computed some
rows at a time (`Lowering.rows`): pointwise functions with what they broadcast, reductions of the other axes, small
contractions; a reduction over the rows ends it, as a part for each block. Run block by block, what passes between the
equations of a group stays in the cache, and different blocks can run on different threads.

Equations join a group in the order of the program. One must not join where it would depend on the group through an
equation outside of it. For this each variable knows, as a set of bits, the groups that it depends on; only the
`OPEN` newest groups can still be joined, so that the bits are few and the whole is linear in the number of equations.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any

from fungrad.compile.layout import are_rows_short, short_loops
from fungrad.core.ir import Atom, Equation, Jaxpr, Var
from fungrad.core.lowering import ROWS, VIEW
from fungrad.passes.rows import LONGEST_ROW
from fungrad.primitives.contraction import parse_spec

LARGE = 1 << 13
"""Elements of an array from which on it is worth while to run in blocks."""

MAX_ROW = LONGEST_ROW
"""Elements of a row above which a group is not run in blocks."""

OPEN = 24
SMALL_PRODUCT = 1 << 12
"""Multiplications of a contraction, for each row, up to which blocks of few rows do."""

SHORT_LOOPS = 5e3
"""Nanoseconds lost with short rows from which on a smaller array is worth a group, too."""

PRODUCT_ROWS, PRODUCT_OPERAND = 256, 1 << 17
"""A larger contraction runs in blocks if there are this many rows, and its other operand (or the sum) fits a cache."""


class Single:
    """One equation."""

    __slots__ = ("eqn",)

    def __init__(self, eqn: Equation) -> None:
        self.eqn = eqn

    @property
    def eqns(self) -> list[Equation]:
        """The equation."""
        return [self.eqn]


class Group:
    """Equations that run block by block of rows.

    Attributes
    ----------
    eqns : list of Equation
    rows : int
        The size of the first axis; for a flat group the number of elements.
    carried : dict
        For each equation the operands that carry rows (a tuple of bools).
    ends : dict
        For the results that are combined from parts: the ufunc that combines them.
    members : set of Var
        The results that are rows.
    flat : bool
        Whether every array of rows may be taken as one long axis of elements.
    rows_last : bool
        Whether blocks have their rows last in memory.
    turned : set of Var
        Transposed arrays of which several equations read the rows: these are better copied first.
    """

    __slots__ = (
        "bit",
        "carried",
        "depends",
        "ends",
        "eqns",
        "flat",
        "inputs",
        "members",
        "rows",
        "rows_last",
        "turned",
        "whole",
    )

    def __init__(self, rows: int, bit: int) -> None:
        self.rows = rows
        self.bit = bit
        self.eqns: list[Equation] = []
        self.carried: dict[Equation, tuple[bool, ...]] = {}
        self.ends: dict[Var, Any] = {}
        self.members: set[Var] = set()
        self.inputs: set[Var] = set()
        self.whole: set[Var] = set()  # what is read whole, beside the rows of others
        self.depends = 0
        self.flat = self.rows_last = False
        self.turned: set[Var] = set()

    def add(self, eqn: Equation, carry: tuple[bool, ...], kind: Any) -> None:
        """Take an equation in."""
        self.eqns.append(eqn)
        self.carried[eqn] = carry
        (out,) = eqn.outputs
        if kind == ROWS:
            self.members.add(out)
        else:
            self.ends[out] = kind
        for v, c in zip(eqn.inputs, carry, strict=True):
            if isinstance(v, Var) and v not in self.members:
                (self.inputs if c else self.whole).add(v)

    def row_size(self) -> int:
        """Elements of the longest row."""
        sizes = [math.prod(v.aval.shape[1:]) for v in (*self.members, *self.inputs)]
        return max(sizes, default=1)


Step = Single | Group


def eqn_cost(eqn: Equation) -> float:
    """About how many nanoseconds an equation takes on one core."""
    size = max([a.aval.size for a in (*eqn.inputs, *eqn.outputs)], default=1)
    if eqn.primitive.name == "contract":
        return max(0.025 * multiplications(eqn), 0.2 * size)
    return float(eqn.primitive.lowering.cost) * size


def _is_large(eqn: Equation, large: int) -> bool:
    return max([a.aval.size for a in (*eqn.inputs, *eqn.outputs)], default=0) >= large


def _is_worth_a_group(eqn: Equation, large: int) -> bool:
    return _is_large(eqn, large) or short_loops(eqn) > SHORT_LOOPS


def _row_ways(eqn: Equation) -> list[tuple[int, tuple[bool, ...], Any]]:
    """The ways in which an equation can run in blocks: (number of rows, carry, kind)."""
    avals = [a.aval for a in eqn.inputs]
    ways: list[tuple[int, tuple[bool, ...], Any]] = []
    if not all(a.size for a in avals) or not eqn.outputs[0].aval.size:
        return ways
    for carry, kind in eqn.primitive.lowering.rows(*avals, **eqn.params):
        sizes = {a.shape[0] if a.shape else 1 for a, c in zip(avals, carry, strict=True) if c}
        if len(sizes) != 1 or sizes == {1}:
            continue
        (n,) = sizes
        if eqn.primitive.name == "contract":
            whole = [a.size for a, c in zip(avals, carry, strict=True) if not c]
            if kind != ROWS:
                whole.append(eqn.outputs[0].aval.size)
            if is_large_product(eqn, n) and (n < PRODUCT_ROWS or max(whole, default=0) > PRODUCT_OPERAND):
                continue
        by_rows = {v for v, c in zip(eqn.inputs, carry, strict=True) if c}
        if any(v in by_rows for v, c in zip(eqn.inputs, carry, strict=True) if not c):
            continue
        ways.append((n, carry, kind))
    return ways


def multiplications(eqn: Equation) -> int:
    """How many multiplications a contraction takes."""
    a, b, _ = parse_spec(eqn.params["spec"])
    shapes = eqn.inputs[0].aval.shape, eqn.inputs[1].aval.shape
    sizes = {**dict(zip(a, shapes[0], strict=True)), **dict(zip(b, shapes[1], strict=True))}
    return math.prod(sizes.values())


def is_large_product(eqn: Equation, rows: int) -> bool:
    """Whether an equation is a contraction with many multiplications for each row."""
    return eqn.primitive.name == "contract" and multiplications(eqn) > SMALL_PRODUCT * rows


def readers_of(eqns: Sequence[Equation]) -> dict[Var, list[Equation]]:
    """The equations that read a variable."""
    found: dict[Var, list[Equation]] = {}
    for eqn in eqns:
        for v in eqn.inputs:
            if type(v) is Var:
                found.setdefault(v, []).append(eqn)
    return found


class _Scheduler:
    def __init__(self, large: int) -> None:
        self.large = large
        self.groups: list[Group] = []
        self.open: list[Group] = []
        self.group_of: dict[Var, Group] = {}
        self.mask: dict[Var, int] = {}

    def closure(self, mask: int) -> int:
        """With the groups that these groups depend on."""
        if not mask:
            return 0
        for g in self.open:
            if mask >> g.bit & 1:
                mask |= g.depends
        return mask

    def visit(self, eqn: Equation) -> Group | None:
        """Put an equation into a group, or (None) leave it alone; note what its results depend on."""
        operands = [a for a in eqn.inputs if isinstance(a, Var)]
        # Only large equations begin a group, but small ones join it: else they would cut it in two.
        rows = len(eqn.outputs) == 1 and eqn.primitive.lowering.rows is not None
        large = rows and _is_worth_a_group(eqn, self.large)
        ways = _row_ways(eqn) if large or (rows and self.open) else []
        chosen = self._joinable(eqn, operands, ways) or (self._new(operands, ways) if ways and large else None)
        mask = 0
        for v in operands:
            mask |= self.mask.get(v, 0)
            group = self.group_of.get(v)
            if group is not None and (chosen is None or group is not chosen[0]) and group in self.open:
                mask |= 1 << group.bit
        mask = self.closure(mask)
        if chosen is None:
            for out in eqn.outputs:
                if mask:
                    self.mask[out] = mask
            return None
        group, carry, kind = chosen
        group.add(eqn, carry, kind)
        group.depends |= mask
        for other in self.open:
            if other.depends >> group.bit & 1:
                other.depends |= group.depends
        (out,) = eqn.outputs
        self.group_of[out] = group
        self.mask[out] = 0 if kind == ROWS else 1 << group.bit
        return group

    def _joinable(self, eqn: Equation, operands: list[Var], ways: Any) -> Any:
        related: list[Group] = []
        others: list[Group] = []
        sizes = {way[0] for way in ways}
        made = {self.group_of.get(v) for v in operands}
        for group in reversed(self.open):
            if group.rows in sizes:
                shares = group in made or not group.inputs.isdisjoint(operands)
                (related if shares else others).append(group)
        for group in (*related, *others):
            for n, carry, kind in ways:
                if n == group.rows and self._fits(group, eqn.inputs, carry):
                    return group, carry, kind
        return None

    def _fits(self, group: Group, inputs: tuple[Atom, ...], carry: tuple[bool, ...]) -> bool:
        for v, c in zip(inputs, carry, strict=True):
            if not isinstance(v, Var):
                continue
            origin = self.group_of.get(v)
            if origin is group:
                if v not in group.members or not c:
                    return False
            elif v in (group.whole if c else group.inputs):
                return False  # a name for its rows, and another for all of it: not in one loop
            else:
                mask = self.mask.get(v, 0)
                if origin is not None and origin in self.open:
                    mask |= 1 << origin.bit
                if self.closure(mask) >> group.bit & 1:
                    return False
        return True

    def _new(self, operands: list[Var], ways: Any) -> Any:
        if len(self.open) == OPEN:
            self.open = []
            self.mask = {}
        n, carry, kind = max(ways, key=lambda way: way[0])
        group = Group(n, len(self.open))
        self.open.append(group)
        self.groups.append(group)
        return group, carry, kind


def scattered(eqns: Sequence[Equation]) -> set[Var]:
    """The arrays that are views whose elements do not stand one after the other in memory."""
    found: set[Var] = set()
    for eqn in eqns:
        prim = eqn.primitive
        if prim.multiple or prim.lowering.memory != VIEW:
            continue
        if prim.name == "slice":
            scatters = any(type(k) is tuple for k in eqn.params["index"][1:])
        else:
            scatters = prim.name not in ("reshape", "name")
        if scatters or eqn.inputs[0] in found:
            found.update(eqn.outputs)
    return found


def _transposed(eqns: Sequence[Equation]) -> set[Var]:
    """The arrays whose rows do not lie along the last axis of memory."""
    found: set[Var] = set()
    for eqn in eqns:
        if eqn.primitive.multiple or eqn.primitive.lowering.memory != VIEW:
            continue
        order = eqn.params["permutation"] if eqn.primitive.name == "transpose" else ()
        if (order and order[-1] != len(order) - 1) or eqn.inputs[0] in found:
            found.update(eqn.outputs)
    return found


def _is_flat(group: Group, apart: set[Var]) -> bool:
    """Whether every equation treats each element alone (or sums up all of them)."""
    if len({v.aval.size for v in (*group.members, *group.inputs)}) != 1:
        return False
    if any(v in apart and v.aval.ndim > 1 for v in group.inputs):
        return False  # as one axis of elements they would be copied
    for eqn in group.eqns:
        prim, (out,) = eqn.primitive, eqn.outputs
        carry = group.carried[eqn]
        shapes = [a.aval.shape for a, c in zip(eqn.inputs, carry, strict=True) if c]
        if any(a.aval.ndim for a, c in zip(eqn.inputs, carry, strict=True) if not c):
            return False
        if out in group.ends:
            whole = out.aval.shape == () and (prim.name != "contract" or len(set(shapes)) == 1)
            if not whole or (prim.name == "contract" and not _same_labels(eqn)):
                return False
        elif prim.name == "reshape" or prim.name in ("convert", "truncate"):
            continue
        elif prim.lowering.rows.__name__ != "broadcasting_rows" or any(s != out.aval.shape for s in shapes):
            return False
    return True


def _same_labels(eqn: Equation) -> bool:
    operands, _, result = eqn.params["spec"].partition("->")
    a, _, b = operands.partition(",")
    return a == b and not result


def _dissolve(group: Group, large: int) -> bool:
    """Whether a group is better run as single equations."""
    if group.flat:
        return False
    if len(group.eqns) == 1 and group.eqns[0].primitive.name == "contract":
        return True
    return group.row_size() > MAX_ROW or not (group.rows_last or any(_is_large(e, large) for e in group.eqns))


def _has_short_rows(group: Group, readers: dict[Var, list[Equation]], returned: set[Var]) -> bool:
    mine = set(group.eqns)
    left = [v for v in group.members if v in returned or not mine.issuperset(readers.get(v, ()))]
    return are_rows_short(group.eqns, (*group.inputs, *left))


def schedule(jaxpr: Jaxpr, large: int = LARGE) -> list[Step]:
    """The steps of a program, in an order in which they can run; ``large`` arrays are worth a group."""
    scheduler = _Scheduler(large)
    steps: list[Step] = []
    order: dict[int, int] = {}
    step_of: dict[Var, Step] = {}
    for eqn in jaxpr.eqns:
        group = scheduler.visit(eqn)
        if group is None:
            steps.append(Single(eqn))
        elif len(group.eqns) == 1:
            steps.append(group)
    apart, turned = (scattered(jaxpr.eqns), _transposed(jaxpr.eqns)) if scheduler.groups else (set(), set())
    returned = {v for v in jaxpr.outvars if isinstance(v, Var)}
    readers = readers_of(jaxpr.eqns if scheduler.groups else ())
    flattened: list[Step] = []
    for step in steps:
        if isinstance(step, Group):
            step.flat = _is_flat(step, apart)
            step.turned = {v for v in step.inputs & turned if sum([e.inputs.count(v) for e in step.eqns]) > 1}
            step.rows_last = not step.flat and _has_short_rows(step, readers, returned)
            if step.flat:
                step.rows = max([v.aval.size for v in (*step.members, *step.inputs)])
            elif _dissolve(step, large):
                flattened.extend([Single(e) for e in step.eqns])
                continue
        flattened.append(step)
    for step in flattened:
        for eqn in step.eqns:
            for out in eqn.outputs:
                step_of[out] = step
    if all(isinstance(s, Single) for s in flattened) and not scheduler.groups:
        return flattened
    index = {id(e): k for k, e in enumerate(jaxpr.eqns)}
    for step in flattened:
        order[id(step)] = index[id(step.eqns[0])]
    return _sorted(flattened, step_of, order)


def _sorted(steps: list[Step], step_of: dict[Var, Step], order: dict[int, int]) -> list[Step]:
    """A topological order that stays as near to the program's as it can."""
    waits: dict[int, int] = {}
    readers: dict[int, list[Step]] = {id(s): [] for s in steps}
    for step in steps:
        sources = {id(step_of[v]) for e in step.eqns for v in e.inputs if isinstance(v, Var) and v in step_of} - {
            id(step)
        }
        waits[id(step)] = len(sources)
        for s in sources:
            readers[s].append(step)
    by_id = {id(s): s for s in steps}
    ready = [(order[i], i) for i, n in waits.items() if n == 0]
    heapq.heapify(ready)
    result = []
    while ready:
        _, i = heapq.heappop(ready)
        result.append(by_id[i])
        for reader in readers[i]:
            waits[id(reader)] -= 1
            if not waits[id(reader)]:
                heapq.heappush(ready, (order[id(reader)], id(reader)))
    assert len(result) == len(steps), "a cycle among the groups"
    return result

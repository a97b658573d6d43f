"""What a compiled program costs: floating-point operations, bytes moved, and the most memory at one time.

    cost_of : Executable -> Cost

Operations are counted as one for each element that is computed (a multiplication and an addition for each product of a
contraction), whatever the function. Bytes are those that an equation reads from and writes to memory: within a group,
where blocks stay in the cache, only what comes in and what goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fungrad.compile.executable import Executable
from fungrad.compile.schedule import Group, multiplications
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Equation, Var
from fungrad.core.lowering import VIEW

_CUBIC = {
    "cholesky": 1 / 3, "solve": 2 / 3, "inv": 2.0, "eigh": 9.0, "eig": 25.0, "svd": 20.0, "qr": 4 / 3, "det": 2 / 3,
    "slogdet": 2 / 3, "inv_triangular": 2 / 3, "cholesky_tangent": 3.0, "cholesky_cotangent": 7 / 3,
}  # fmt: skip
"""Operations of factorisations, times the size of the first operand and its last axis (Golub & Van Loan, 4th ed.)."""


class EquationCost(NamedTuple):
    """The cost of one equation; ``group`` numbers the loop over blocks that it is in, if it is in one."""

    text: str
    flops: int
    bytes: int
    group: int | None


class Cost(NamedTuple):
    """The cost of a program: totals, and for each equation."""

    flops: int
    bytes: int
    peak_bytes: int
    equations: tuple[EquationCost, ...]

    def __str__(self) -> str:
        rows = [f"{'flops':>14} {'bytes':>14}  equation"]
        for e in self.equations:
            where = "" if e.group is None else f"    (blocks of group {e.group})"
            rows.append(f"{e.flops:14,d} {e.bytes:14,d}  {e.text}{where}")
        rows.append(f"{self.flops:14,d} {self.bytes:14,d}  in all; at most {self.peak_bytes:,d} bytes at one time")
        return "\n".join(rows)


def _bytes(aval: ShapedArray) -> int:
    return aval.size * aval.dtype.itemsize


def flops_of(eqn: Equation) -> int:
    """The operations of an equation."""
    prim = eqn.primitive
    if prim.lowering.memory == VIEW:
        return 0
    if prim.name == "contract":
        return 2 * multiplications(eqn)
    if prim.name == "solve_triangular":
        return eqn.inputs[0].aval.shape[-1] * eqn.inputs[1].aval.size
    sizes = [a.aval.size for a in (*eqn.inputs, *eqn.outputs)]
    if prim.name in _CUBIC:
        first = eqn.inputs[0].aval
        return int(_CUBIC[prim.name] * first.size * first.shape[-1]) + sum([v.aval.size for v in eqn.outputs])
    return max(sizes, default=0)


def cost_of(executable: Executable) -> Cost:
    """The cost of a compiled program."""
    emitter = executable.emitter
    rows: list[EquationCost] = []
    groups = 0
    for step in emitter.steps:
        number = None
        written: set[Var] = {v for e in step.eqns for v in e.outputs}
        if isinstance(step, Group):
            number, groups = groups, groups + 1
            stored = emitter.read_outside(step)
        else:
            stored = written
        loaded: set[Var] = set()
        for eqn in step.eqns:
            rows.append(_row(eqn, number, written if number is not None else set(), stored, loaded))
    flops, moved = sum([r.flops for r in rows]), sum([r.bytes for r in rows])
    return Cost(flops, moved, emitter.peak_bytes(), tuple(rows))


def _row(eqn: Equation, group: int | None, inside: set[Var], stored: set[Var], loaded: set[Var]) -> EquationCost:
    moved = 0
    if eqn.primitive.lowering.memory != VIEW:
        for v in eqn.inputs:
            if isinstance(v, Var) and v not in inside and (group is None or v not in loaded):
                moved += _bytes(v.aval)
                loaded.add(v)
        moved += sum([_bytes(v.aval) for v in eqn.outputs if v in stored])
    outs = " ".join([repr(v.aval) for v in eqn.outputs])
    operands: Sequence[str] = [repr(a.aval) for a in eqn.inputs]
    return EquationCost(f"{outs} = {eqn.primitive} {' '.join(operands)}", flops_of(eqn), moved, group)

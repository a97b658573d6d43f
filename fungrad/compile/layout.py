"""Short rows: where NumPy's loops over the last axis are over as soon as they begin.

An array of 10000 x 3 whose rows are scaled, or a difference of points, is worked on three elements at a time, and to
begin a loop takes as long as ten elements. The first axis is long then: blocks whose rows lie along the *last* axis of
memory have the same shapes, and loops as long as the block. What enters such a block, or leaves it, is copied.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from fungrad.core.ir import Equation, Var
from fungrad.core.lowering import VIEW
from fungrad.primitives.contraction import SMALL_STACKED, stack_of
from fungrad.primitives.reducing import is_product

SHORT = 24
"""Elements of the last axis below which loops over it are short."""

STACKED, STRIDED = 15.0, 0.25
"""Nanoseconds that BLAS takes to begin with an element of a stack of small products, and that each multiplication of
larger ones takes more where the stack lies along the last axis."""

BEGIN = 3.0
"""Nanoseconds to begin a loop where operands broadcast."""

REDUCE = 0.6
"""Nanoseconds for each element of a reduction of short rows."""

COPY = 0.4
"""Nanoseconds for each element that enters or leaves a block with its rows last."""


def short_loops(eqn: Equation) -> float:
    """The nanoseconds that an equation loses with loops over a short last axis."""
    shapes = [a.aval.shape for a in eqn.inputs if a.aval.shape]
    if not shapes or eqn.primitive.multiple:
        return 0.0
    shape = max([*shapes, eqn.outputs[0].aval.shape], key=math.prod)
    lowering = eqn.primitive.lowering
    if len(shape) < 2 or not 0 < shape[-1] < SHORT or lowering.rows is None or lowering.memory == VIEW:
        return 0.0
    if eqn.primitive.name == "contract":
        x, y = eqn.inputs
        stack = stack_of(x.aval.shape, y.aval.shape, eqn.params["spec"])
        if stack is None or shape[0] != stack[0]:
            return 0.0
        return stack[0] * (STACKED if stack[1] <= SMALL_STACKED else -STRIDED * stack[1])
    axes = eqn.params.get("axes")
    if axes is not None:
        reduced = len(shape) - 1 in axes and not (eqn.primitive.name == "sum" and is_product(eqn.inputs[0].aval, axes))
        return REDUCE * math.prod(shape) if reduced else 0.0
    if not lowering.pointwise or all(s == shape for s in shapes):
        return 0.0
    return BEGIN * (math.prod(shape) // shape[-1])


def are_rows_short(eqns: Sequence[Equation], copied: Iterable[Var]) -> bool:
    """Whether blocks with rows last in memory are worth the copies of what enters and leaves them."""
    lost = sum([short_loops(e) for e in eqns])
    return lost > 0 and lost > COPY * sum([v.aval.size for v in copied if v.aval.ndim > 1])

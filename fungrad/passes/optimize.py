"""The passes in their order.

optimize : ClosedJaxpr -> ClosedJaxpr
"""

from __future__ import annotations

from fungrad.core.ir import ClosedJaxpr
from fungrad.passes.algebra import algebra
from fungrad.passes.cse import cse
from fungrad.passes.dce import dce
from fungrad.passes.fold import fold
from fungrad.passes.scalars import scalars

PASSES = (dce, fold, cse, algebra, dce, scalars, algebra, cse, dce)


def optimize(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, cheaper."""
    for run in PASSES:
        closed = run(closed)
    return closed

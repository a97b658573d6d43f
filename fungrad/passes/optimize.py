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
from fungrad.passes.shifts import shifts

SIMPLIFY = (dce, fold, cse, shifts, algebra, cse, dce)
BEFORE, AFTER = (dce, fold, cse, shifts, algebra, dce), (cse, dce)


def simplify(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, cheaper, with arrays as they are: a form to go on from."""
    for run in SIMPLIFY:
        closed = run(closed)
    return closed


def optimize(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, cheaper."""
    for run in BEFORE:
        closed = run(closed)
    apart = scalars(closed)
    if apart is not closed:
        closed = algebra(apart)  # numbers have rules that vectors have not
    for run in AFTER:
        closed = run(closed)
    return closed

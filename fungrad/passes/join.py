"""Loops that are better run at once.

    join : ClosedJaxpr -> ClosedJaxpr

A primitive may say with which other equations it is run: ``joined(eqn, eqns)`` returns the equations of the program
with some of them in one, or None.
"""

from __future__ import annotations

from fungrad.core.ir import ClosedJaxpr, Jaxpr


def join(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function with loops joined."""
    loops = [e for e in closed.eqns if hasattr(e.primitive, "joined")]
    eqns = list(closed.eqns)
    for loop in loops:
        found = loop.primitive.joined(loop, eqns)
        if found is not None:
            eqns = found
    jaxpr = closed.jaxpr
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars), closed.consts) if loops else closed

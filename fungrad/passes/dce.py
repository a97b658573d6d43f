"""Dead code: drop the equations that no result depends on.

dce : ClosedJaxpr -> ClosedJaxpr
"""

from __future__ import annotations

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr


def dce(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function without what it does not need, constants included; the arguments stay."""
    jaxpr = closed.jaxpr
    needed: set[Atom] = set(jaxpr.outvars)
    kept: list[Equation] = []
    for eqn in reversed(jaxpr.eqns):
        if not needed.isdisjoint(eqn.outputs):
            needed.update(eqn.inputs)
            kept.append(eqn)
    kept.reverse()
    consts = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True) if v in needed]
    if len(kept) == len(jaxpr.eqns) and len(consts) == len(closed.consts):
        return closed
    return ClosedJaxpr(Jaxpr([v for v, _ in consts], jaxpr.invars, kept, jaxpr.outvars), [c for _, c in consts])

"""Common subexpressions: compute each thing once.

cse : ClosedJaxpr -> ClosedJaxpr
"""

from __future__ import annotations

from collections.abc import Hashable

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.passes.keys import equation_key


def cse(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, in which no two equations apply a primitive to the same operands with the same parameters."""
    jaxpr = closed.jaxpr
    known: dict[Hashable, Equation] = {}
    same: dict[Var, Var] = {}
    by_value: dict[int, Var] = {}
    constvars, consts = [], []
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        first = by_value.setdefault(id(value), var)
        if first is not var:
            same[var] = first
        else:
            constvars.append(var)
            consts.append(value)

    def read(atom: Atom) -> Atom:
        return same.get(atom, atom) if isinstance(atom, Var) else atom

    kept: list[Equation] = []
    for eqn in jaxpr.eqns:
        if same:
            inputs = tuple([read(a) for a in eqn.inputs])
            if inputs != eqn.inputs:
                eqn = Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source)
        key = equation_key(eqn)
        earlier = None if key is None else known.get(key)
        if earlier is None:
            kept.append(eqn)
            if key is not None:
                known[key] = eqn
        else:
            same.update(zip(eqn.outputs, earlier.outputs, strict=True))
    if not same:
        return closed
    return ClosedJaxpr(Jaxpr(constvars, jaxpr.invars, kept, [read(v) for v in jaxpr.outvars]), consts)

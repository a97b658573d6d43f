"""Carries of a loop that are short vectors, as numbers.

    split_carries : body of a loop -> body with a scalar for each element, how many scalars each carry became

A vector of up to six numbers that the body only takes apart, and that it puts together anew at the end, need not be
built in each iteration (see `scalars`, which makes such bodies).
"""

from __future__ import annotations

from fungrad.core.aval import FLOAT, ShapedArray
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.passes.dce import dce
from fungrad.passes.scalars import LONGEST


def split_carries(closed: ClosedJaxpr, n_consts: int, n_carry: int) -> tuple[ClosedJaxpr, list[int | None]]:
    """The body, and for each carry the number of scalars in its place (None: it is as it was)."""
    jaxpr = closed.jaxpr
    carry = jaxpr.invars[n_consts : n_consts + n_carry]
    made = {v: e for e in jaxpr.eqns for v in e.outputs}
    readers: dict[Var, list[Equation]] = {}
    for eqn in jaxpr.eqns:
        for v in eqn.inputs:
            if isinstance(v, Var):
                readers.setdefault(v, []).append(eqn)
    widths: list[int | None] = []
    same: dict[Var, Atom] = {}
    invars: list[Var] = list(jaxpr.invars[:n_consts])
    outvars: list[Atom] = []
    for old, new in zip(carry, jaxpr.outvars, strict=False):
        parts = _parts(old, new, made, readers.get(old, []), jaxpr)
        if parts is None:
            widths.append(None)
            invars.append(old)
            outvars.append(new)
            continue
        scalars = [Var(ShapedArray((), FLOAT)) for _ in parts]
        for eqn in readers.get(old, []):
            same[eqn.outputs[0]] = scalars[eqn.params["index"][0]]
        widths.append(len(parts))
        invars += scalars
        outvars += parts
    if not same:
        return closed, [None] * n_carry
    outvars += jaxpr.outvars[n_carry:]
    invars += jaxpr.invars[n_consts + n_carry :]

    def read(atom: Atom) -> Atom:
        return same.get(atom, atom) if isinstance(atom, Var) else atom

    eqns = [
        Equation(e.primitive, [read(a) for a in e.inputs], e.params, e.outputs, e.source)
        for e in jaxpr.eqns
        if e.outputs[0] not in same
    ]
    new_jaxpr = Jaxpr(jaxpr.constvars, invars, eqns, [read(v) for v in outvars])
    return dce(ClosedJaxpr(new_jaxpr, closed.consts)), widths


def _parts(
    old: Var, new: Atom, made: dict[Var, Equation], readers: list[Equation], jaxpr: Jaxpr
) -> tuple[Atom, ...] | None:
    """The scalars that a new carry is made of, if the old one is only taken apart."""
    aval = old.aval
    if len(aval.shape) != 1 or not 0 < aval.shape[0] <= LONGEST or aval.dtype != FLOAT:
        return None
    if not readers or old in jaxpr.outvars or not isinstance(new, Var) or new not in made:
        return None
    for eqn in readers:
        if eqn.primitive.name != "slice" or len(eqn.params["index"]) != 1 or type(eqn.params["index"][0]) is not int:
            return None
        if not 0 <= eqn.params["index"][0] < aval.shape[0]:
            return None
    eqn = made[new]
    put_together = eqn.primitive.name == "stack" or (eqn.primitive.name == "reshape" and aval.shape == (1,))
    if not put_together or any(a.aval.shape or a.aval.dtype != FLOAT for a in eqn.inputs):
        return None
    return eqn.inputs

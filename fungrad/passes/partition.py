"""Partial evaluation: split a program into what can be computed of its known arguments, and the rest.

    partition : ClosedJaxpr, which arguments are known -> ClosedJaxpr, ClosedJaxpr

    whole(known, unknown)  =  first(known) -> results, residuals;  rest(residuals, unknown) -> results

The residuals are the values that the rest reads. What is cheap is not kept but computed again in the rest: views, and
broadcasts. A residual that is an argument is one all the same, so that the rest can be called alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.passes.dce import dce

_VIEWS = frozenset({"reshape", "transpose", "broadcast_to"})


def partition(closed: ClosedJaxpr, known: Sequence[bool], n_first: int) -> tuple[ClosedJaxpr, ClosedJaxpr]:
    """Split; the first ``n_first`` results depend on known arguments alone and are those of the first program."""
    jaxpr = closed.jaxpr
    consts = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    available: set[Var] = {v for v, k in zip(jaxpr.invars, known, strict=True) if k}
    defined: dict[Var, Equation] = {}
    first: list[Equation] = []
    rest: list[Equation] = []
    for eqn in jaxpr.eqns:
        if all(_is_known(a, available, consts) for a in eqn.inputs):
            first.append(eqn)
            available.update(eqn.outputs)
            defined.update(dict.fromkeys(eqn.outputs, eqn))
        else:
            rest.append(eqn)
    results = jaxpr.outvars[n_first:]
    wanted = [v for eqn in rest for v in eqn.inputs] + list(results)
    residuals: dict[Var, None] = {}
    again: dict[Equation, None] = {}

    def need(atom: Atom) -> None:
        if not isinstance(atom, Var) or atom not in available:
            return
        eqn = defined.get(atom)
        if eqn is not None and eqn.primitive.name in _VIEWS:
            if eqn not in again:
                for a in eqn.inputs:
                    need(a)
                again[eqn] = None
        else:
            residuals[atom] = None

    for atom in wanted:
        need(atom)
    kept = list(residuals)
    unknown = [v for v, k in zip(jaxpr.invars, known, strict=True) if not k]
    known_vars = [v for v, k in zip(jaxpr.invars, known, strict=True) if k]
    head = Jaxpr(list(consts), known_vars, first, [*jaxpr.outvars[:n_first], *kept])
    order = {id(e): k for k, e in enumerate(first)}
    repeated = sorted(again, key=lambda e: order[id(e)])
    fresh = {v: Var(v.aval) for v in kept}

    def read(atom: Atom) -> Atom:
        return fresh.get(atom, atom) if isinstance(atom, Var) else atom

    tail_eqns = [
        Equation(e.primitive, [read(a) for a in e.inputs], e.params, e.outputs, e.source) for e in (*repeated, *rest)
    ]
    tail = Jaxpr(list(consts), [*fresh.values(), *unknown], tail_eqns, [read(v) for v in results])
    values = list(consts.values())
    return dce(ClosedJaxpr(head, values)), dce(ClosedJaxpr(tail, values))


def _is_known(atom: Atom, available: set[Var], consts: dict[Var, object]) -> bool:
    return isinstance(atom, Literal) or atom in available or atom in consts

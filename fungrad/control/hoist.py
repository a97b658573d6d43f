"""What a loop would compute anew in each iteration although it never changes, computed before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Jaxpr, Var
from fungrad.core.lowering import VIEW


def hoisted(closed: ClosedJaxpr, consts: Sequence[Any]) -> tuple[ClosedJaxpr, list[Any]]:
    """A body that runs at least once, without what depends on its constants alone: that is computed here."""
    found = invariants(closed, len(consts))
    if found is None:
        return closed, list(consts)
    outer, inner = found
    return inner, [*consts, *evaluate(outer, consts)]


def invariants(closed: ClosedJaxpr, n: int) -> tuple[ClosedJaxpr, ClosedJaxpr] | None:
    """The equations of a body that depend on its first n arguments alone, and the body that takes their results.

    Its constants are those n, and then the results. Views are cheap, and may be larger than what they show: they stay
    unless a result that moves needs them. None if there is nothing to move.
    """
    jaxpr = closed.jaxpr
    known: set[Var] = {*jaxpr.constvars, *jaxpr.invars[:n]}
    before, within = [], []
    for eqn in jaxpr.eqns:
        if all(a in known for a in eqn.inputs if isinstance(a, Var)):
            known.update(eqn.outputs)
            before.append(eqn)
        else:
            within.append(eqn)
    made = {v: e for e in before for v in e.outputs}
    views = {e for e in before if e.primitive.lowering.memory == VIEW and e.outputs[0].aval.shape}
    if len(views) == len(before):
        return None
    read = [v for e in within for v in e.inputs] + list(jaxpr.outvars)
    # Views that the loop reads are made within it.
    again: dict[Any, None] = {}
    moved: dict[Var, None] = {}
    todo = [v for v in read if isinstance(v, Var) and v in made]
    while todo:
        v = todo.pop()
        if made[v] in views:
            again[made[v]] = None
            todo += [a for a in made[v].inputs if isinstance(a, Var) and a in made]
        else:
            moved[v] = None
    results = list(moved)
    outer = ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars[:n], before, results), closed.consts)
    inner = Jaxpr(
        jaxpr.constvars,
        [*jaxpr.invars[:n], *results, *jaxpr.invars[n:]],
        [*[e for e in before if e in again], *within],
        jaxpr.outvars,
    )
    return outer, ClosedJaxpr(inner, closed.consts)

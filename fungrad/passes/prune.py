"""Results of loops that nothing reads, and what only they need.

    prune : ClosedJaxpr -> ClosedJaxpr

A primitive with several results may say how it is without some of them: ``pruned(used, **params)`` returns its new
parameters, the operands and the results that are left.
"""

from __future__ import annotations

from collections.abc import Sequence

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var


def prune(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function without unused results of loops, and without equations that only those read."""
    jaxpr = closed.jaxpr
    used: set[Atom] = set(jaxpr.outvars)
    eqns: list[Equation] = []
    for eqn in reversed(jaxpr.eqns):
        if used.isdisjoint(eqn.outputs):
            continue
        pruned = getattr(eqn.primitive, "pruned", None)
        if pruned is not None and not used.issuperset(eqn.outputs):
            flags = [v in used for v in eqn.outputs]
            params, kept_in, kept_out = pruned(flags, **eqn.params)
            inputs = [eqn.inputs[k] for k in kept_in]
            eqn = Equation(eqn.primitive, inputs, params, [eqn.outputs[k] for k in kept_out], eqn.source)
        eqns.append(eqn)
        used.update(eqn.inputs)
    eqns.reverse()
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars), closed.consts)


def read_by(jaxpr: Jaxpr, wanted: Sequence[bool] | None = None) -> set[Var]:
    """The variables that (wanted) results depend on, and these."""
    flags = [True] * len(jaxpr.outvars) if wanted is None else wanted
    found = {v for v, w in zip(jaxpr.outvars, flags, strict=True) if w and isinstance(v, Var)}
    for eqn in reversed(jaxpr.eqns):
        if not found.isdisjoint(eqn.outputs):
            found.update([v for v in eqn.inputs if isinstance(v, Var)])
    return found


def needed(
    closed: ClosedJaxpr, n_consts: int, n_carry: int, used: list[bool], always: int = 0
) -> tuple[ClosedJaxpr, list[bool], list[bool]]:
    """The body of a loop without what its used results do not need.

    Parameters
    ----------
    used : list of bool
        The results of the loop that are read: carries, then others.
    always : int
        Results behind those that are always needed.

    Returns
    -------
    closed, kept_in, kept_out
        The body, and the operands and the results that are left.
    """
    jaxpr = closed.jaxpr
    carry = jaxpr.invars[n_consts : n_consts + n_carry]
    kept = [*used, *[True] * always]

    while True:
        found = read_by(jaxpr, kept)
        grown = [k or (i < n_carry and carry[i] in found) for i, k in enumerate(kept)]
        if grown == kept:
            break
        kept = grown
    eqns = [e for e in jaxpr.eqns if not found.isdisjoint(e.outputs)]
    kept_in = [
        kept[i - n_consts] if n_consts <= i < n_consts + n_carry else v in found for i, v in enumerate(jaxpr.invars)
    ]
    smaller = Jaxpr(
        jaxpr.constvars,
        [v for v, k in zip(jaxpr.invars, kept_in, strict=True) if k],
        eqns,
        [v for v, k in zip(jaxpr.outvars, kept, strict=True) if k],
    )
    return ClosedJaxpr(smaller, closed.consts), kept_in, kept[: len(used)]

"""What the end of an iteration computes and the beginning of the next one would compute again.

    onward : body of a loop -> how that begins, body that hands it on

    while |f(x)| > t:  x = x - f(x) / g(x)        f = f(x)
                                                  while |f| > t:  x = x - f / g(x);  f = f(x)

The condition of a loop is computed of the new carry, and the next iteration often begins with the same functions of it.
What is equal so far becomes part of the carry.
"""

from __future__ import annotations

from collections.abc import Hashable

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.lowering import VIEW
from fungrad.passes.dce import dce
from fungrad.passes.keys import equation_key


def onward(closed: ClosedJaxpr, n_consts: int, n_carry: int) -> tuple[ClosedJaxpr, ClosedJaxpr] | None:
    """What is handed on, as a function of the constants and the carry, and the body that takes and returns it.

    It stands behind the carry, among the arguments and among the results. None if there is nothing of the kind.
    """
    jaxpr = closed.jaxpr
    carry = jaxpr.invars[n_consts:]
    later: dict[Var, Atom] = {v: v for v in (*jaxpr.constvars, *jaxpr.invars[:n_consts])}
    later.update(zip(carry, jaxpr.outvars, strict=False))
    known: dict[Hashable, Equation] = {equation_key(e): e for e in jaxpr.eqns}
    again: list[Equation] = []
    for eqn in jaxpr.eqns:
        found = _later(eqn, later, known)
        if found is not None:
            (out,) = eqn.outputs
            later[out] = found
            again.append(eqn)
    if all(e.primitive.lowering.memory == VIEW for e in again):
        return None
    left = [e for e in jaxpr.eqns if e not in set(again)]
    read = {a for e in left for a in e.inputs} | set(jaxpr.outvars)
    handed = [v for e in again for v in e.outputs if v in read]
    first = ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, again, handed), closed.consts)
    results = [*jaxpr.outvars[:n_carry], *[later[v] for v in handed], *jaxpr.outvars[n_carry:]]
    body = ClosedJaxpr(Jaxpr(jaxpr.constvars, [*jaxpr.invars, *handed], left, results), closed.consts)
    return dce(first), dce(body)


def _later(eqn: Equation, later: dict[Var, Atom], known: dict[Hashable, Equation]) -> Var | None:
    """What has, at the end of the iteration, the value that an equation will have in the next one."""
    read = [a for a in eqn.inputs if isinstance(a, Var)]
    if len(eqn.outputs) != 1 or not all(a in later for a in read) or all(later[a] is a for a in read):
        return None
    inputs = [later[a] if isinstance(a, Var) else a for a in eqn.inputs]
    key = equation_key(Equation(eqn.primitive, inputs, eqn.params, eqn.outputs))
    other = known.get(key) if key is not None else None
    if other is None or other.outputs[0].aval != eqn.outputs[0].aval:
        return None
    return other.outputs[0]

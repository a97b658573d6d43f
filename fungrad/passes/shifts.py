"""Maxima that only shift: leave out the derivative through a maximum on which nothing depends.

    shifts : ClosedJaxpr -> ClosedJaxpr

A softmax, or the logarithm of a sum of exponentials, subtracts the maximum of each row first, so that nothing
overflows. The result does not depend on what is subtracted: the cotangent of the maximum is 0. In the program this is
a sum over each row that comes out as some 1e-17, and is then spread over the elements that attain the maximum:

    m = max(a);  s = sum(exp(a - m));  a_bar = g / s * exp(a - m) + where(a == m, (g - sum(g / s * exp(a - m))) / n, 0)

Here g - g / s * s is 0 if the sum is that of which s is the name; `polynomial` finds that out. What is left out is
rounding error, and with it the comparisons, counts and selections, which cost as much as the rest. A maximum whose
cotangent is another (one that is a result, say) keeps its derivative.
"""

from __future__ import annotations

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.passes.dce import dce
from fungrad.passes.polynomial import is_zero

DEPTHS = 32, 80
"""How many equations are looked into: few at first, so that what these are made of does not get in the way."""


def shifts(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function up to rounding, without the derivatives through maxima and minima on which nothing depends."""
    jaxpr = closed.jaxpr
    if not any(e.primitive.name in ("max", "min") for e in jaxpr.eqns):
        return closed
    definition = {v: e for e in jaxpr.eqns for v in e.outputs}
    zeros: set[Var] = set()
    same: dict[Var, Atom] = {}
    eqns: list[Equation] = []
    for eqn in jaxpr.eqns:
        if same:
            inputs = [same.get(a, a) if isinstance(a, Var) else a for a in eqn.inputs]
            eqn = Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source)
        (out, *_) = eqn.outputs
        name = eqn.primitive.name
        if name == "where" and _is_idle(eqn, definition):
            zeros.add(out)
        elif zeros and name in ("add", "sub"):
            left = _without_zero(eqn, zeros)
            if left is not None:
                same[out] = left
                continue
        eqns.append(eqn)
    if not same:
        return closed
    outvars = [same.get(v, v) if isinstance(v, Var) else v for v in jaxpr.outvars]
    return dce(ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, outvars), closed.consts))


def _without_zero(eqn: Equation, zeros: set[Var]) -> Atom | None:
    """The other operand of ``x + zero`` or ``x - zero``, if it has the type of the sum."""
    x, y = eqn.inputs
    if eqn.primitive.name == "add" and x in zeros:
        x, y = y, x
    return x if y in zeros and isinstance(x, Var) and x.aval == eqn.outputs[0].aval else None


def _is_idle(eqn: Equation, definition: dict[Var, Equation]) -> bool:
    """Whether an equation is ``where(a == max(a), cotangent / count, 0)`` with a cotangent that is 0."""
    condition, share, rest = eqn.inputs
    if not isinstance(rest, Literal) or rest.aval.shape or rest.value != 0 or not isinstance(share, Var):
        return False
    if not _is_attained(definition.get(condition), definition):  # type: ignore[arg-type]
        return False
    quotient = _before_reshapes(share, definition)
    if quotient is None or quotient.primitive.name != "div" or not isinstance(quotient.inputs[0], Var):
        return False
    return any(is_zero(quotient.inputs[0], definition, count) for count in DEPTHS)


def _is_attained(eqn: Equation | None, definition: dict[Var, Equation]) -> bool:
    """Whether an equation is ``a == max(a)``, or of a minimum."""
    if eqn is None or eqn.primitive.name != "equal":
        return False
    x, y = eqn.inputs
    for a, top in ((x, y), (y, x)):
        extremum = _before_reshapes(top, definition)
        if extremum is not None and extremum.primitive.name in ("max", "min") and extremum.inputs[0] is a:
            return True
    return False


def _before_reshapes(atom: Atom, definition: dict[Var, Equation]) -> Equation | None:
    """The equation that makes an array which is then reshaped or broadcast."""
    eqn = definition.get(atom) if isinstance(atom, Var) else None
    while eqn is not None and eqn.primitive.name in ("reshape", "broadcast_to"):
        (atom,) = eqn.inputs
        eqn = definition.get(atom) if isinstance(atom, Var) else None
    return eqn

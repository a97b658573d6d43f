"""Constants: compute what depends on no argument, once, and show arrays of one repeated number as such.

fold : ClosedJaxpr -> ClosedJaxpr

Results of more than `LARGEST` elements are not kept, unless they are no larger than what they are computed from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.primitives.structural import broadcast_to_p

LARGEST = 1 << 16


def fold(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function with the equations of constants replaced by their values."""
    jaxpr = closed.jaxpr
    values: dict[Var, Any] = {}
    literals: dict[Var, Literal] = {}
    consts: dict[Var, Any] = {}
    eqns: list[Equation] = []
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        repeated = _repeated(value)
        if repeated is not None:
            eqns.append(Equation(broadcast_to_p, [Literal(repeated)], {"shape": var.aval.shape}, [var]))
        else:
            values[var] = consts[var] = value

    def read(atom: Atom) -> Atom:
        return literals.get(atom, atom) if isinstance(atom, Var) else atom

    for eqn in jaxpr.eqns:
        inputs = tuple([read(a) for a in eqn.inputs])
        if inputs != eqn.inputs:
            eqn = Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source)
        folded = _computed(eqn, values)
        if folded is None:
            eqns.append(eqn)
            continue
        for var, value in zip(eqn.outputs, folded, strict=True):
            if var.aval.shape:
                values[var] = consts[var] = value
            else:
                literals[var] = Literal(value)
    outvars = [read(v) for v in jaxpr.outvars]
    return ClosedJaxpr(Jaxpr(list(consts), jaxpr.invars, eqns, outvars), list(consts.values()))


def _repeated(value: Any) -> Any:
    """The number that an array repeats, or None."""
    if not isinstance(value, np.ndarray) or not value.size or not value.ndim:
        return None
    first = value[(0,) * value.ndim]
    if not any(value.strides):
        return first
    patterns = np.ascontiguousarray(value).reshape(-1).view(f"V{value.itemsize}")  # 0.0 is not -0.0
    return first if (patterns == patterns[0]).all() else None


def _computed(eqn: Equation, values: dict[Var, Any]) -> list[Any] | None:
    if not all(isinstance(a, Literal) or a in values for a in eqn.inputs) or eqn.primitive.collective:
        return None
    if eqn.primitive is broadcast_to_p:
        return None
    size = sum([v.aval.size for v in eqn.outputs])
    if size > LARGEST and size > sum([a.aval.size for a in eqn.inputs]):
        return None
    operands = [a.value if isinstance(a, Literal) else values[a] for a in eqn.inputs]
    try:
        with np.errstate(all="ignore"):
            outs = eqn.primitive.bind(*operands, **eqn.params)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # it is the program's to raise, when it runs
        return None
    outs = list(outs) if eqn.primitive.multiple else [outs]
    if any(not _is(out, v.aval) for out, v in zip(outs, eqn.outputs, strict=True)):
        return None
    return outs


def _is(value: Any, aval: ShapedArray) -> bool:
    return typeof(value) == aval

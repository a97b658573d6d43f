"""Check that a jaxpr is well formed: variables defined once and before use, types as the rules say.

check : Jaxpr | ClosedJaxpr -> None, or a JaxprTypeError that shows the equations around the fault
"""

from __future__ import annotations

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.show import show_equations
from fungrad.errors import JaxprTypeError


def check(jaxpr: Jaxpr | ClosedJaxpr) -> None:
    """Raise a JaxprTypeError unless the jaxpr is well formed."""
    if isinstance(jaxpr, ClosedJaxpr):
        _check_consts(jaxpr)
        jaxpr = jaxpr.jaxpr
    defined: set[Var] = set()
    for var in (*jaxpr.constvars, *jaxpr.invars):
        if var in defined:
            raise JaxprTypeError(f"{var!r} is an input twice")
        defined.add(var)
    for k, eqn in enumerate(jaxpr.eqns):
        problem = _problem(eqn, defined)
        if problem:
            near = show_equations(jaxpr, max(0, k - 3), k + 4, mark=k)
            raise JaxprTypeError(f"equation {k} ({eqn.primitive}): {problem}\n{near}")
        defined.update(eqn.outputs)
    for atom in jaxpr.outvars:
        if not isinstance(atom, (Var, Literal)):
            raise JaxprTypeError(f"the result {atom!r} is neither a variable nor a literal")
        if isinstance(atom, Var) and atom not in defined:
            raise JaxprTypeError(f"the result {atom!r} is not defined")


def _check_consts(closed: ClosedJaxpr) -> None:
    if len(closed.consts) != len(closed.jaxpr.constvars):
        raise JaxprTypeError(f"{len(closed.jaxpr.constvars)} constvars but {len(closed.consts)} constants")
    for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
        if typeof(value) != var.aval:
            raise JaxprTypeError(f"a constant of type {typeof(value)!r} for a constvar of type {var.aval!r}")


def _problem(eqn: Equation, defined: set[Var]) -> str | None:
    for atom in eqn.inputs:
        if not isinstance(atom, (Var, Literal)):
            return f"{atom!r} is neither a variable nor a literal"
        if isinstance(atom, Var) and atom not in defined:
            return f"reads {atom!r} before it is defined"
    arity = getattr(eqn.primitive, "arity", len(eqn.inputs))
    if arity != len(eqn.inputs):
        return f"has {len(eqn.inputs)} operands, expected {arity}"
    try:
        outs = eqn.primitive.abstract(*[_aval(a) for a in eqn.inputs], **eqn.params)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        return f"its abstract rule refuses these operands and parameters: {error}"
    expected = tuple(outs) if eqn.primitive.multiple else (outs,)
    received = tuple([v.aval for v in eqn.outputs])
    if expected != received:
        return f"gives {received}, but its abstract rule says {expected}"
    for var in eqn.outputs:
        if var in defined:
            return f"defines {var!r} a second time"
    return None


def _aval(atom: Atom) -> ShapedArray:
    return atom.aval

"""Forward mode of a while loop as one loop.

    outs, count = while[test, body] operands
    dots        = repeat[tangents of body] count, operands, tangents

    ->  outs, dots, count = while[test, body with tangents] operands, tangents

The derivative of a loop is recorded as a body that is repeated, since that can be transposed. Where it is not, and the
loop itself is run as well, both are run at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fungrad.control.call import Program
from fungrad.control.repeat import Arranged, Family, Repeated, repeat_p
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.primitives.structural import broadcast_to_p


def with_tangents(loop: Equation, eqns: Sequence[Equation], body: Repeated) -> list[Equation] | None:
    """The equations with a while loop and the tangents of its body, repeated, in one; None without such tangents."""
    for tangent in eqns:
        if tangent.primitive is not repeat_p or tangent.inputs[0] is not loop.outputs[-1]:
            continue
        family = _family(loop, tangent, body)
        if family is None:
            continue
        first, last = eqns.index(loop), eqns.index(tangent)
        before = _needed(tangent.inputs[1:], eqns[first:last])
        if loop not in before:
            rest = [e for e in eqns[first + 1 : last] if e not in before]
            return [*eqns[:first], *before, *_joint(loop, tangent, family), *rest, *eqns[last + 1 :]]
    return None


def _family(loop: Equation, tangent: Equation, body: Repeated) -> Arranged | None:
    """The tangents of a loop, if that is what an equation repeats, for the same operands."""
    family: Family = tangent.params["family"]
    operands = loop.inputs[loop.params["n_test"] :]
    if not isinstance(family, Arranged) or not isinstance(family.base, Repeated) or family.base.n_counts:
        return None
    if not body.has_derived("linear", family):
        return None
    again = tangent.inputs[1 : 1 + len(operands)]
    return family if all(_is_same(a, b) for a, b in zip(again, operands, strict=True)) else None


def _is_same(a: Atom, b: Atom) -> bool:
    if isinstance(a, Literal) and isinstance(b, Literal):
        return type(a.value) is type(b.value) and bool(a.value == b.value)
    return a is b


def _needed(atoms: Sequence[Atom], eqns: Sequence[Equation]) -> list[Equation]:
    """Those of these equations that the atoms depend on."""
    wanted, found = {a for a in atoms if isinstance(a, Var)}, []
    for eqn in reversed(eqns):
        if not wanted.isdisjoint(eqn.outputs):
            found.append(eqn)
            wanted.update([v for v in eqn.inputs if isinstance(v, Var)])
    return found[::-1]


def _joint(loop: Equation, tangent: Equation, family: Arranged) -> list[Equation]:
    """The loop with its tangents beside its carry."""
    base: Any = family.base
    test, n_test, n_carry = loop.params["test"], loop.params["n_test"], len(loop.outputs) - 1
    eqns, operands = [], list(loop.inputs[:n_test])
    for place, aval in zip(family.places, base.in_avals, strict=True):
        if place is not None:
            operands.append(tangent.inputs[1 + place])
            continue
        zeros: Atom = Literal(aval.dtype.type(0))
        if aval.shape:
            out = Var(ShapedArray(aval.shape, aval.dtype))
            eqns.append(Equation(broadcast_to_p, [zeros], {"shape": aval.shape}, [out], loop.source))
            zeros = out
        operands.append(zeros)
    results = dict(zip(family.results, tangent.outputs, strict=True))
    dots = [results.get(k) or Var(a) for k, a in enumerate(base.body.out_avals) if k >= n_carry]
    test = _widened(test, base.body, n_test, n_carry)
    params = {**loop.params, "test": test, "body": base.body, "n_body": base.n_consts}
    *outs, count = loop.outputs
    return [*eqns, Equation(loop.primitive, operands, params, [*outs, *dots, count], loop.source)]


def _widened(test: Program, body: Program, n_test: int, n_carry: int) -> Program:
    """A condition that takes no notice of the tangents."""

    def make() -> Program:
        jaxpr = test.jaxpr
        invars = [*jaxpr.invars, *[Var(a) for a in body.out_avals[n_carry:]]]
        widened = Jaxpr(jaxpr.constvars, invars, jaxpr.eqns, jaxpr.outvars)
        return Program(ClosedJaxpr(widened, test.closed.consts), test.name)

    return body.once(("joint test", test, n_test), make)  # type: ignore[no-any-return]

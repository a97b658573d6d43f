"""Known terms and factors first: what is known before a loop, or before the tangents are, is put together there.

    gather : ClosedJaxpr, which arguments are known -> ClosedJaxpr

    (x + a) + b  ->  x + (a + b)        (x * a) * b  ->  x * (a * b)        -(x * a)  ->  x * (-a)        a, b known

The factors are those of the chain rule: a loop over tangents is left with one multiplication for each chain of
elementwise functions, and one residual. They are only gathered where ``factors`` says that the order is not the
user's. Sums may be reordered anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import Primitive
from fungrad.passes.dce import dce
from fungrad.primitives.arithmetic import add_p, div_p, mul_p, neg_p, sub_p


def gather(closed: ClosedJaxpr, known: Sequence[bool], factors: bool = False) -> ClosedJaxpr:
    """The same function up to the order of sums and, with ``factors``, of products."""
    return _Gatherer(closed, known, factors).run()


class _Gatherer:
    def __init__(self, closed: ClosedJaxpr, known: Sequence[bool], factors: bool) -> None:
        self.closed = closed
        self.factors = factors
        jaxpr = closed.jaxpr
        self.known = {*jaxpr.constvars, *[v for v, k in zip(jaxpr.invars, known, strict=True) if k]}
        self.made: dict[Var, Equation] = {}
        self.uses = Counter([a for e in jaxpr.eqns for a in e.inputs if isinstance(a, Var)])
        self.uses.update([v for v in jaxpr.outvars if isinstance(v, Var)])
        self.eqns: list[Equation] = []

    def run(self) -> ClosedJaxpr:
        """Walk the equations in order."""
        jaxpr = self.closed.jaxpr
        for eqn in jaxpr.eqns:
            if all(self._is_known(a) for a in eqn.inputs):
                self.known.update(eqn.outputs)
                self.eqns.append(eqn)
            else:
                self._append(self._rewritten(eqn) or eqn)
        gathered = Jaxpr(jaxpr.constvars, jaxpr.invars, self.eqns, jaxpr.outvars)
        return dce(ClosedJaxpr(gathered, self.closed.consts))

    def _append(self, eqn: Equation) -> None:
        self.eqns.append(eqn)
        for v in eqn.outputs:
            self.made[v] = eqn

    def _is_known(self, atom: Atom) -> bool:
        return isinstance(atom, Literal) or atom in self.known

    def _parts(self, atom: Atom, primitive: Primitive, dtype: Any) -> tuple[Atom, Atom] | None:
        """The unknown and the known operand of the equation that makes a value of a type, if nothing else reads it."""
        eqn = self.made.get(atom) if isinstance(atom, Var) and self.uses[atom] == 1 else None
        if eqn is None or eqn.primitive is not primitive or atom.aval.dtype != dtype:
            return None  # another type wraps around or rounds elsewhere, and sums of truth values are truth values
        return self._sides(eqn)

    def _sides(self, eqn: Equation) -> tuple[Atom, Atom] | None:
        x, y = eqn.inputs
        if self._is_known(y) and not self._is_known(x):
            return x, y
        return (y, x) if self._is_known(x) and not self._is_known(y) else None

    def _rewritten(self, eqn: Equation) -> Equation | None:
        prim = eqn.primitive
        dtype = eqn.outputs[0].aval.dtype
        if prim is neg_p and self.factors:
            # -(x * a) -> x * (-a)
            parts = self._parts(eqn.inputs[0], mul_p, dtype)
            return None if parts is None else self._joined(eqn, mul_p, parts[0], neg_p, [parts[1]])
        if prim in (add_p, mul_p) and (prim is add_p or self.factors):
            # (x + a) + b -> x + (a + b)
            sides = self._sides(eqn)
            parts = self._parts(sides[0], prim, dtype) if sides is not None else None
            if sides is None or parts is None:
                return None
            return self._joined(eqn, prim, parts[0], prim, [parts[1], sides[1]])
        inverse = {sub_p: add_p, **({div_p: mul_p} if self.factors else {})}.get(prim)
        if inverse is not None and self._is_known(eqn.inputs[1]):
            # (x + a) - b -> x + (a - b)
            parts = self._parts(eqn.inputs[0], inverse, dtype)
            if parts is not None:
                return self._joined(eqn, inverse, parts[0], prim, [parts[1], eqn.inputs[1]])
        return None

    def _joined(
        self, eqn: Equation, outer: Primitive, x: Atom, inner: Primitive, operands: list[Atom]
    ) -> Equation | None:
        """``outer(x, inner(*operands))`` instead of an equation, unless that is of another type, larger or an error."""
        made = Var(inner.abstract(*[a.aval for a in operands]))
        (out,) = eqn.outputs
        found = outer.abstract(x.aval, made.aval)
        if found.shape != out.aval.shape or found.dtype != out.aval.dtype or made.aval.dtype != out.aval.dtype:
            return None
        if made.aval.size > max(a.aval.size for a in operands):
            return None
        if made.aval.weak and made.aval.dtype.kind == "i":
            return None  # Python's integers do not wrap around, and too large ones are an error
        self.eqns.append(Equation(inner, operands, {}, [made], eqn.source))
        self.known.add(made)
        return Equation(outer, [x, made], {}, [out], eqn.source)

"""Algebra: cheaper forms of the same values.

    algebra : ClosedJaxpr -> ClosedJaxpr

The equations are walked in order and built anew, each through the rewrite rules of its primitive (`passes/rules`). A
rule sees the definitions of its operands. It returns an atom, or what `Builder.apply` made, or None to leave the
equation as it is. What a rule makes is put through the rules again, so the result is a fixed point.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from fungrad.core.elementwise import Elementwise
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.passes.rules import contractions, indexing, linalg, pointwise, shapes, spectra

Rule = Callable[..., Any]

RULES: dict[str, list[Rule]] = {}
for _table in (pointwise.RULES, shapes.RULES, indexing.RULES, contractions.RULES, linalg.RULES, spectra.RULES):
    for _name, _rules in _table.items():
        RULES.setdefault(_name, []).extend(_rules)


def rules_of(primitive: Any) -> list[Rule]:
    """The rules of a primitive, in the order in which they are tried: its own, then those of its kind."""
    own = RULES.get(primitive.name, [])
    if isinstance(primitive, Elementwise) or getattr(primitive, "elementwise", False):
        return own + RULES["elementwise"]
    return own


class Builder:
    """The program that is being built: definitions, how often each variable is read, and a way to add equations."""

    def __init__(self, closed: ClosedJaxpr) -> None:
        self.eqns: list[Equation] = []
        self.applied: set[str] = set()
        """The names of the primitives of these equations."""
        self._rules: dict[Any, list[Rule]] = {}
        self.definition: dict[Var, Equation] = {}
        self.same: dict[Var, Atom] = {}
        self.source: Any = None
        self.uses = Counter([a for e in closed.eqns for a in e.inputs if isinstance(a, Var)])
        self.uses.update([v for v in closed.jaxpr.outvars if isinstance(v, Var)])
        self._unread: set[Var] = set()
        """Variables that nothing reads any more: what makes them does not count as a reader."""

    def made_by(self, atom: Atom, name: str) -> Equation | None:
        """The equation that defines an operand, if it applies the primitive of this name."""
        eqn = self.definition.get(atom) if isinstance(atom, Var) else None
        return eqn if eqn is not None and eqn.primitive.name == name else None

    def is_used_once(self, atom: Atom) -> bool:
        """Whether only one operand is this variable."""
        return isinstance(atom, Var) and self.uses[atom] <= 1

    def apply(self, primitive: Any, *inputs: Atom, **params: Any) -> Atom:
        """The result of a primitive, simplified."""
        avals = [a.aval for a in inputs]
        out = Var(primitive.abstract(*avals, **params))
        found = self.add(Equation(primitive, inputs, params, [out], self.source))
        if found is out:
            self._read(inputs)
        return found

    def _read(self, atoms: Iterable[Atom]) -> None:
        """Count one more reader of these."""
        left = [a for a in atoms if isinstance(a, Var)]
        while left:
            v = left.pop()
            self.uses[v] += 1
            if v in self._unread:  # what makes it is wanted again
                self._unread.remove(v)
                left.extend([a for a in self.definition[v].inputs if isinstance(a, Var)])

    def replace(self, eqn: Equation, found: Atom) -> None:
        """Count what reads the result of an equation as readers of what was found in its place."""
        (out,) = eqn.outputs
        self.same[out] = found
        if isinstance(found, Var) and self.uses[out]:
            self._read([found])
            self.uses[found] += self.uses[out] - 1
        left = [a for a in eqn.inputs if isinstance(a, Var)]
        while left:
            v = left.pop()
            self.uses[v] -= 1
            made = self.definition.get(v)
            if not self.uses[v] and made is not None and len(made.outputs) == 1:
                self._unread.add(v)
                left.extend([a for a in made.inputs if isinstance(a, Var)])

    def add(self, eqn: Equation) -> Atom:
        """The result of an equation with one result, simplified."""
        for rule in self.rules(eqn.primitive):
            found = rule(self, eqn)
            if found is not None:
                assert found.aval.shape == eqn.outputs[0].aval.shape
                return found  # type: ignore[no-any-return]
        self.define(eqn)
        return eqn.outputs[0]

    def rules(self, primitive: Any) -> list[Rule]:
        """The rules of a primitive."""
        found = self._rules.get(primitive)
        if found is None:
            found = self._rules[primitive] = rules_of(primitive)
        return found

    def define(self, eqn: Equation) -> None:
        """Append an equation as it is."""
        self.eqns.append(eqn)
        self.applied.add(eqn.primitive.name)
        for v in eqn.outputs:
            self.definition[v] = eqn


def algebra(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function up to rounding, with the rewrite rules applied."""
    jaxpr = closed.jaxpr
    builder = Builder(closed)
    same = builder.same
    for eqn in jaxpr.eqns:
        inputs = [same.get(a, a) if type(a) is Var else a for a in eqn.inputs]
        eqn = Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source)
        if len(eqn.outputs) != 1 or not builder.rules(eqn.primitive):
            builder.define(eqn)
            continue
        builder.source = eqn.source
        (out,) = eqn.outputs
        found = builder.add(eqn)
        if found is not out:
            builder.replace(eqn, found)
    outvars = [same.get(v, v) if isinstance(v, Var) else v for v in jaxpr.outvars]
    outvars = [_typed(v, o) for v, o in zip(outvars, jaxpr.outvars, strict=True)]
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, builder.eqns, outvars), closed.consts)


def _typed(found: Atom, original: Atom) -> Atom:
    assert isinstance(found, Literal) or found.aval.dtype == original.aval.dtype
    return found

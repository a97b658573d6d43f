"""Programs whose batched form is given by a rule, also that of their derivatives.

    MappedByRule(closed, rule)    rule(axis, flags, operands) -> results, batched all

The derivative of such a program computes its tangents from the operands again, so that its batched form is the
derivative of what the rule computes; the transpose of that likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fungrad.control.call import LinearForm, Program, call_p
from fungrad.control.rule_program import spread
from fungrad.core.aval import ShapedArray, is_inexact
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.record import record_jaxpr, record_values
from fungrad.interpreters.fit import fit_tangent
from fungrad.interpreters.jvp import forward
from fungrad.primitives.structural import zeros

Rule = Callable[[Any, tuple[bool, ...], Sequence[Any]], Any]


class MappedByRule(Program):
    """A program with a batching rule."""

    keeps_rules = True

    def __init__(self, closed: ClosedJaxpr, name: str, rule: Rule) -> None:
        super().__init__(closed, name)
        self.rule = rule

    def __reduce__(self) -> Any:
        return MappedByRule, (self.closed, self.name, self.rule)

    def mapped(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> Any:
        """Run the rule on the operands, values where they are known."""
        return self.rule(axis, flags, operands)

    def _batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        avals = [
            ShapedArray((axis.size, *a.shape), a.dtype) if b else a.strong()
            for a, b in zip(self.in_avals, flags, strict=True)
        ]
        closed = record_jaxpr("custom_vmap", lambda *xs: list(self.rule(axis, flags, xs)), avals, self)
        return Program(closed, f"vmap({self.name})")

    def _linearized(self, active: tuple[bool, ...], gathered: bool = False) -> LinearForm:
        positions = tuple([k for k, a in enumerate(self.out_avals) if is_inexact(a.dtype)])
        tangent = MappedByRule(self._tangents(active), f"jvp({self.name})", _TangentRule(self, active))
        return LinearForm(self, tangent, positions, takes_operands=True)

    def _tangents(self, active: tuple[bool, ...]) -> ClosedJaxpr:
        """Of the operands and the active tangents: the tangents of the results that can have one."""
        chosen = [k for k, a in enumerate(active) if a]

        def flat(*args: Any) -> list[Any]:
            primals, tangents = args[: len(active)], args[len(active) :]

            def of_active(*xs: Any) -> list[Any]:
                operands = list(primals)
                for k, x in zip(chosen, xs, strict=True):
                    operands[k] = x
                return evaluate(self.closed, operands)

            _, tape = record_values("jit", of_active, [primals[k] for k in chosen], self)
            known: list[Any] = [None] * tape.size
            for k, t in zip(tape.in_ids, tangents, strict=True):
                known[k] = t
            forward(tape.entries, known, tape.out_ids, consume=True)
            found = {k: known[i] for k, i in enumerate(tape.out_ids) if i is not None and known[i] is not None}
            return _filled(found, self.out_avals)

        avals = [*self.in_avals, *[self.in_avals[k].strong() for k in chosen]]
        return record_jaxpr("jit", flat, avals, self, of_user=False)

    def _transposed(self, linear: tuple[bool, ...], given: tuple[bool, ...]) -> tuple[Program, tuple[int, ...]]:
        plain, positions = super()._transposed(linear, given)
        rule = _TransposeRule(self, linear, given, positions)
        return MappedByRule(plain.closed, plain.name, rule), positions


def _filled(found: dict[int, Any], avals: Sequence[ShapedArray]) -> list[Any]:
    """The tangents of all results that can have one."""
    return [fit_tangent(found[k], a) if k in found else zeros(a) for k, a in enumerate(avals) if is_inexact(a.dtype)]


class _TangentRule:
    """The derivative of what the rule of a program computes."""

    def __init__(self, program: MappedByRule, active: tuple[bool, ...]) -> None:
        self.program, self.active = program, active

    def __call__(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> list[Any]:
        """See `MappedByRule`."""
        n = len(self.active)
        chosen = [k for k, a in enumerate(self.active) if a]
        primals, tangents = list(operands[:n]), list(operands[n:])
        mapped = list(flags[:n])
        for i, k in enumerate(chosen):
            either = mapped[k] or flags[n + i]
            if either:
                primals[k] = spread(primals[k], mapped[k], axis)
                tangents[i] = spread(tangents[i], flags[n + i], axis)
            mapped[k] = either
        batched = self.program.batched(axis, tuple(mapped))
        form = batched.linear_form(self.active)
        known: Sequence[Any] = primals
        if not form.takes_operands:
            known = call_p.bind(*primals, program=form.forward)[len(batched.out_avals) :]
        dots = call_p.bind(*known, *tangents, program=form.tangent)
        return _filled(dict(zip(form.positions, dots, strict=True)), batched.out_avals)


class _TransposeRule:
    """The transpose of what the rule of a linear program computes."""

    def __init__(
        self, program: MappedByRule, linear: tuple[bool, ...], given: tuple[bool, ...], positions: tuple[int, ...]
    ) -> None:
        self.program, self.linear, self.given, self.positions = program, linear, given, positions

    def __call__(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> list[Any]:
        """See `MappedByRule`; all linear operands are batched."""
        n = len(self.linear) - sum(self.linear)
        others, cts = operands[:n], operands[n:]
        rest = iter(flags[:n])
        whole = self.program.batched(axis, tuple([True if m else next(rest) for m in self.linear]))
        transposed, positions = whole.transposed(self.linear, self.given)
        cts = [spread(ct, b, axis) for ct, b in zip(cts, flags[n:], strict=True)]
        found = dict(zip(positions, call_p.bind(*others, *cts, program=transposed), strict=True))
        return [found[k] if k in found else zeros(whole.in_avals[k].strong()) for k in self.positions]

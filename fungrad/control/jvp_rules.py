"""The rule of a custom_jvp function at one call: run on values, and as programs of a recorded call.

JvpRule   the rule, called, checked, and recorded in the tangents
JvpRules  the same recorded in the arguments too: joint(operands, tangents) -> results, tangents of the results
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.call import LinearForm, Program, inline
from fungrad.control.rule_program import (
    RuleProgram,
    Rules,
    Selected,
    collect,
    hoisted,
    with_unused,
)
from fungrad.control.rule_site import (
    Site,
    check_same_results,
    fitting,
    pair,
    tangent_arguments,
)
from fungrad.control.symbolic_zero import SymbolicZero
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import arrays, path_of
from fungrad.core.primitive import Linear
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer
from fungrad.errors import NonLinearError, TransformTypeError
from fungrad.passes.optimize import optimize
from fungrad.passes.partition import partition
from fungrad.primitives.structural import convert


class JvpRule(NamedTuple):
    """A rule for tangents."""

    fun: Callable[..., Any]
    symbolic: bool

    @classmethod
    def of(cls, custom: Any) -> JvpRule:
        """That of a function."""
        return cls(custom.jvp, custom.symbolic_zeros)

    def active(self, avals: Sequence[ShapedArray], active: Sequence[bool]) -> tuple[int, ...]:
        """The leaves that get tangents: all that can have one, or those that have."""
        return tuple([k for k, a in enumerate(avals) if (active[k] if self.symbolic else is_inexact(a.dtype))])

    def run(self, site: Site, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
        """The result's tree and leaves, and the tangents of the leaves (None: zero)."""

        def what() -> str:
            return f"the jvp rule {describe_function(self.fun)} of {site.described()}"

        filled = tangent_arguments(site, primals, tangents, self.symbolic)
        returned = self.fun(*site.nondiff, site.primals(primals), site.primals(filled))
        out, out_dot = pair(site, self.fun, "the jvp rule", returned, "result, tangent of the result")
        leaves, out_tree = tree.flatten(out)
        leaves = arrays("custom_jvp", self.fun, out, leaves, "result")
        dots, dot_tree = tree.flatten(out_dot)
        if dot_tree != out_tree:
            raise TransformTypeError(
                f"{what()}: the tangent must have the tree structure of the result, {out_tree}, got {dot_tree}"
            )
        dots = [
            x if type(x) is SymbolicZero else y
            for x, y in zip(dots, _arrays_of_tangents(self.fun, out_dot, dots), strict=True)
        ]
        dots = [
            fitting(
                t,
                typeof(x).strong(),
                lambda k=k: f"{what()}: the tangent{path_of(out, k)}",  # type: ignore[misc]
                "the result that it belongs to",
            )
            for k, (x, t) in enumerate(zip(leaves, dots, strict=True))
        ]
        used = {t.recording for t in tangents if type(t) is Tracer}
        for k, (x, t) in enumerate(zip(leaves, dots, strict=True)):
            if type(x) is Tracer and x.recording in used:
                raise NonLinearError(
                    f"{what()}: the result{path_of(out, k)} depends on the tangents, not on the primals alone"
                )
            if t is not None and not (type(t) is Tracer and t.recording in used):
                _check_zero(t, lambda k=k: f"{what()}: the tangent{path_of(out, k)}")  # type: ignore[misc]
                dots[k] = None
        return out_tree, leaves, dots

    def record(
        self, site: Site, primals: Sequence[Any], chosen: Sequence[int], transform: str = "custom_jvp"
    ) -> tuple[Any, list[Any], ClosedJaxpr, tuple[int, ...]]:
        """Run it on values and record it in the tangents of the chosen leaves.

        Returns the result's tree and leaves, the jaxpr, and the positions of the results that it returns tangents of.
        """
        found: list[Any] = []

        def flat(*tangents: Any) -> list[Any]:
            filled: list[Any] = [None] * len(primals)
            for k, t in zip(chosen, tangents, strict=True):
                filled[k] = t
            out_tree, leaves, dots = self.run(site, primals, filled)
            positions = tuple([k for k, t in enumerate(dots) if t is not None])
            found.extend([out_tree, leaves, positions])
            return [dots[k] for k in positions]

        closed = record_jaxpr(transform, flat, [typeof(primals[k]).strong() for k in chosen], self.fun)
        out_tree, leaves, positions = found
        return out_tree, leaves, closed, positions


def _arrays_of_tangents(fun: Any, out_dot: Any, dots: Sequence[Any]) -> list[Any]:
    return arrays(
        "custom_jvp", fun, out_dot, [0.0 if type(t) is SymbolicZero else t for t in dots], "the tangent of the result"
    )


def _check_zero(t: Any, what: Callable[[], str]) -> None:
    """Zero is the one tangent that may be independent of the tangents of the arguments."""
    if not _is_zero(t):
        raise NonLinearError(
            f"{what()} is not zero and does not depend on the tangents of the arguments: a jvp rule must be linear in "
            "the tangents. Where the derivative is zero return np.zeros_like(result)."
        )


def _is_zero(t: Any) -> bool:
    """Whether an array is known to be zero: by its value, or as what np.zeros_like recorded."""
    while type(t) is Tracer and not t.recording.abstract:
        t = t.value
    if type(t) is not Tracer:
        return not np.any(t)
    for prim, out_id, app in reversed(t.recording.entries):
        if out_id == t.id:
            return isinstance(prim, Linear) and all(i is None for i in app.ids) and all(map(_is_zero, app.operands))
    return False


def not_linear(site: Site, rule: Any, error: NonLinearError) -> NonLinearError:
    """The error of a rule that reverse mode cannot transpose."""
    return NonLinearError(
        f"the jvp rule {describe_function(rule)} of {site.described()} is not linear in the tangents, so that reverse "
        f"mode cannot transpose it: {error}"
    )


# --- recorded -------------------------------------------------------------------------------------------------------


class Joint(NamedTuple):
    """A jvp rule as a program of the operands, and of the tangents of the leaves ``chosen``.

    It returns the results, and tangents of those at ``positions``.
    """

    program: Program
    chosen: tuple[int, ...]
    positions: tuple[int, ...]


class JvpRules(Rules):
    """The rule of a recorded function."""

    def __init__(
        self, site: Site, rule: JvpRule, avals: Sequence[ShapedArray], out_tree: Any, out_avals: Sequence[ShapedArray]
    ) -> None:
        self.site, self.rule, self.avals = site, rule, tuple(avals)
        self.out_tree, self.out_avals = out_tree, tuple(out_avals)
        self.arity = len(avals)
        self._closure_avals: list[ShapedArray] = []
        self._now: tuple[ClosedJaxpr, tuple[int, ...], tuple[int, ...]] | None = None
        self._joints: dict[tuple[int, ...], Joint] = {}

    def __reduce__(self) -> Any:
        return _rebuilt, (
            self.site,
            self.rule,
            self.avals,
            self.out_tree,
            self.out_avals,
            self._closure_avals,
            self._joints if self._now else {},
        )

    def record_now(self, closures: list[Tracer]) -> None:
        """Record the rule with the call; append what it closes over to the operands behind the arguments."""
        chosen = tuple([k for k, a in enumerate(self.avals) if is_inexact(a.dtype)])
        closed, positions = self._record(chosen)
        collect(closed, closures, True, "")
        self._now = closed, chosen, positions

    def close_over(self, closures: Sequence[Tracer]) -> None:
        """Take note of the operands behind the arguments."""
        self._closure_avals = [t.aval for t in closures]
        if self._now is not None:
            closed, chosen, positions = self._now
            program = Program(hoisted(closed, closures, self.arity), self.site.name)
            self._joints[chosen] = Joint(program, chosen, positions)

    def _record(self, chosen: tuple[int, ...]) -> tuple[ClosedJaxpr, tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        n = self.arity

        def flat(*args: Any) -> list[Any]:
            out_tree, leaves, tangent, positions = self.rule.record(self.site, args[:n], chosen)
            check_same_results(
                self.site, self.rule.fun, "the jvp rule", (self.out_tree, self.out_avals), (out_tree, leaves)
            )
            found.append(positions)
            leaves = [convert(x, a.dtype) for x, a in zip(leaves, self.out_avals, strict=True)]
            return [*leaves, *evaluate(tangent, args[n:])]

        avals = [*self.avals, *[self.avals[k].strong() for k in chosen]]
        return record_jaxpr("custom_jvp", flat, avals, self.rule.fun), found[0]

    def joint(self, active: Sequence[bool]) -> Joint:
        """The rule for tangents of at least the active operands."""
        chosen = self.rule.active(self.avals, active)
        if self._now is not None and chosen not in self._joints:
            chosen = self._now[1]
        found = self._joints.get(chosen)
        if found is None:
            closed, positions = self._record(chosen)
            collect(closed, [], False, f"the jvp rule {describe_function(self.rule.fun)} of {self.site.described()}")
            program = Program(with_unused(closed, self._closure_avals, self.arity), self.site.name)
            found = self._joints[chosen] = Joint(program, chosen, positions)
        return found

    def not_linear(self, error: NonLinearError) -> NonLinearError:
        """The error of a rule that cannot be transposed."""
        return not_linear(self.site, self.rule.fun, error)

    def by_rule(self, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
        """See `Rules`."""
        return linear_form_of(self.joint(active), program, active, self.not_linear)

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Rules:
        """See `Rules`."""
        return BatchedJvpRules(self, axis, flags)


def _rebuilt(
    site: Site,
    rule: JvpRule,
    avals: Any,
    out_tree: Any,
    out_avals: Any,
    closure_avals: Any,
    joints: dict[tuple[int, ...], Joint],
) -> JvpRules:
    rules = JvpRules(site, rule, avals, out_tree, out_avals)
    rules._closure_avals = closure_avals
    for chosen, joint in joints.items():
        rules._now = joint.program.closed, chosen, joint.positions
        rules._joints[chosen] = joint
    return rules


class BatchedJvpRules(Rules):
    """The rules of a batched function."""

    def __init__(self, inner: Any, axis: Any, flags: tuple[bool, ...]) -> None:
        self.inner, self.axis, self.flags, self.arity = inner, axis, flags, inner.arity

    def joint(self, active: Sequence[bool]) -> Joint:
        """The batched rule; tangents of operands that all examples share are shared as well."""
        program, chosen, positions = self.inner.joint(active)
        flags = (*self.flags, *[self.flags[k] for k in chosen])
        return Joint(program.batched(self.axis, flags), chosen, positions)

    def not_linear(self, error: NonLinearError) -> NonLinearError:
        """See `JvpRules`."""
        return self.inner.not_linear(error)  # type: ignore[no-any-return]

    def by_rule(self, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
        """See `Rules`."""
        return linear_form_of(self.joint(active), program, active, self.not_linear)

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Rules:
        """See `Rules`."""
        return BatchedJvpRules(self, axis, flags)


def linear_form_of(
    joint: Joint, program: RuleProgram, active: Sequence[bool], explain: Callable[[NonLinearError], NonLinearError]
) -> LinearForm:
    """The rule, split into what the primals determine and what is linear in the tangents."""
    n_in, n_out = len(program.in_avals), len(program.out_avals)
    known = [True] * n_in + [False] * len(joint.chosen)
    first, second = partition(optimize(inline(joint.program.closed)), known, n_out)
    whole = Program(second, f"jvp({program.name})")
    chosen = [i for i, k in enumerate(joint.chosen) if active[k]]
    tangent = JvpTangent(whole, len(second.in_avals) - len(joint.chosen), chosen, explain)
    return LinearForm(Program(first, program.name), tangent, joint.positions)


class JvpTangent(Selected):
    """The part of a rule that is linear in the tangents."""

    def __init__(
        self,
        whole: Program,
        n_known: int,
        chosen: Sequence[int],
        explain: Callable[[NonLinearError], NonLinearError],
    ) -> None:
        super().__init__(whole, n_known, chosen)
        self.explain = explain

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """See `LinearProgram`."""
        try:
            return super().transposed_by_rule(given)
        except NonLinearError as error:
            raise self.explain(error) from None

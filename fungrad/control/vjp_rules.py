"""The rules of a custom_vjp function at one call: run on values, and as programs of a recorded call.

VjpRule   the forward and the backward rule, called and checked
VjpRules  the same recorded: forward(operands) -> results, residuals;  backward(residuals, cts) -> cotangents
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.call import LinearForm, Program, call_p
from fungrad.control.jvp_rules import BatchedJvpRules, JvpRule, JvpRules
from fungrad.control.rule_program import (
    LinearProgram,
    RuleProgram,
    Rules,
    collect,
    hoisted,
    summed,
    with_unused,
)
from fungrad.control.rule_site import Site, check_same_results, fitting, pair
from fungrad.control.symbolic_zero import CustomVJPPrimal, SymbolicZero
from fungrad.core.aval import FLOAT0, ShapedArray, is_inexact
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Jaxpr
from fungrad.core.leaves import arrays
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer
from fungrad.errors import NonLinearError, TransformTypeError, UnexpectedTracerError
from fungrad.primitives.structural import convert, zeros


class VjpRule:
    """The rules at one call."""

    def __init__(self, site: Site) -> None:
        custom: Any = site.custom
        self.site, self.fwd, self.bwd, self.symbolic = site, custom.fwd, custom.bwd, custom.symbolic_zeros
        self.jvp = None if custom.jvp is None else JvpRule(custom.jvp, custom.symbolic_zeros_of_jvp)

    def forward(self, primals: Sequence[Any], active: Sequence[bool]) -> tuple[Any, list[Any], Any]:
        """The result's tree and leaves, and the residuals, a pytree."""
        marked = [CustomVJPPrimal(x, a) for x, a in zip(primals, active, strict=True)] if self.symbolic else primals
        returned = self.fwd(*self.site.args(marked))
        out, residuals = pair(self.site, self.fwd, "the forward rule", returned, "result, residuals")
        leaves, out_tree = tree.flatten(out)
        return out_tree, arrays("custom_vjp", self.fwd, out, leaves, "result"), residuals

    def backward(
        self,
        residuals: Any,
        cts: Sequence[Any],
        out_tree: Any,
        out_avals: Sequence[ShapedArray],
        in_avals: Sequence[ShapedArray],
    ) -> list[Any]:
        """The cotangents of all leaves of the arguments (None: zero), for those of the result (None: zero)."""
        filled = []
        for ct, aval in zip(cts, out_avals, strict=True):
            if not is_inexact(aval.dtype):
                ct = SymbolicZero(ShapedArray(aval.shape, FLOAT0)) if self.symbolic else np.zeros(aval.shape, FLOAT0)
            elif ct is None:
                ct = SymbolicZero(aval) if self.symbolic else zeros(aval)
            filled.append(ct)
        try:
            returned = self.bwd(*self.site.nondiff, residuals, out_tree.unflatten(filled))
        except UnexpectedTracerError as error:
            error.add_note(
                f"In {self._what()}: it may use its arguments, and what forward rule hands on as residuals; what it "
                "closes over has ended."
            )
            raise
        return self._checked(returned, in_avals)

    def _what(self) -> str:
        return f"the backward rule {describe_function(self.bwd)} of {self.site.described()}"

    def _checked(self, returned: Any, in_avals: Sequence[ShapedArray]) -> list[Any]:
        treedef = self.site.treedef
        count = len(treedef.children())
        if not isinstance(returned, (tuple, list)) or len(returned) != count:
            size = f" of length {len(returned)}" if isinstance(returned, (tuple, list)) else ""
            raise TransformTypeError(
                f"{self._what()} must return a tuple of {count} cotangents, one for each differentiable argument (None "
                f"for zero), got {type(returned).__name__}{size}"
            )
        leaves = self._leaves(tuple(returned), treedef)
        checked: list[Any] = []
        for k, (aval, ct) in enumerate(zip(in_avals, leaves, strict=True)):
            if ct is None or not is_inexact(aval.dtype):
                checked.append(None)
                continue
            checked.append(
                fitting(
                    _as_array(ct, self.bwd),
                    aval.strong(),
                    lambda k=k: f"{self._what()}: the cotangent of {self.site.argument(k)}",  # type: ignore[misc]
                    "the argument that it belongs to",
                )
            )
        return checked

    def _leaves(self, returned: tuple[Any, ...], treedef: Any) -> list[Any]:
        leaves, received = tree.flatten(returned)
        if received == treedef:
            return leaves
        reason = ""
        try:
            spread = tree.flatten_prefix(returned, treedef, "the cotangent")
        except ValueError as error:
            reason = f": {error}"
        else:
            places = {tree.keystr(p) for p, _ in tree.leaves_with_path(treedef.unflatten(range(treedef.num_leaves)))}
            if {tree.keystr(p) for p, _ in tree.leaves_with_path(returned)} <= places:
                return spread
        raise TransformTypeError(
            f"{self._what()} must return cotangents with the tree structure of the arguments, {treedef} (None in the "
            f"place of what is zero), got {received}{reason}"
        )


def _as_array(ct: Any, bwd: Any) -> Any:
    return ct if type(ct) is SymbolicZero else arrays("custom_vjp", bwd, ct, [ct], "the cotangent")[0]


def no_forward_mode(rule: VjpRule, error: Exception) -> NonLinearError:
    """The error of forward mode where the backward rule cannot be transposed."""
    return NonLinearError(
        f"forward mode (jvp, jacfwd, hessian, hvp) of {rule.site.described()} transposes its backward rule "
        f"{describe_function(rule.bwd)}, which is not linear in the cotangent: {error} Give the function a rule for "
        f"forward mode as well: {rule.site.name}.defjvp(rule) with rule(primals, tangents) -> (result, tangent)."
    )


# --- recorded -------------------------------------------------------------------------------------------------------


class VjpRules(Rules):
    """The rules of a recorded function."""

    def __init__(
        self, rule: VjpRule, avals: Sequence[ShapedArray], out_tree: Any, out_avals: Sequence[ShapedArray]
    ) -> None:
        self.rule, self.avals, self.out_tree, self.out_avals = rule, tuple(avals), out_tree, tuple(out_avals)
        self.arity = len(avals)
        self.diff = tuple([k for k, a in enumerate(avals) if is_inexact(a.dtype)])
        self.out_diff = tuple([k for k, a in enumerate(out_avals) if is_inexact(a.dtype)])
        self.jvp: Any = None if rule.jvp is None else JvpRules(rule.site, rule.jvp, avals, out_tree, out_avals)
        self._closure_avals: list[ShapedArray] = []
        self._forward: dict[Any, Recorded] = {}
        self._backward: dict[Any, Program] = {}
        self._now: tuple[Recorded, ClosedJaxpr] | None = None

    def __reduce__(self) -> Any:
        if self._now is not None:
            raise TypeError(f"{self.rule.site.described()} closes over traced arrays: its call cannot be pickled")
        return _rebuilt, (self.rule.site, self.avals, self.out_tree, self.out_avals, self._closure_avals)

    def record_now(self, closures: list[Tracer]) -> None:
        """Record the rules with the call; append what they close over to the operands behind the arguments."""
        forward = self._record_forward(tuple([is_inexact(a.dtype) for a in self.avals]))
        collect(forward.closed, closures, True, "")
        backward = self._record_backward(forward, (True,) * len(self.out_diff))
        collect(backward, closures, True, "")
        self._now = forward, backward
        if self.jvp is not None:
            self.jvp.record_now(closures)

    def close_over(self, closures: Sequence[Tracer]) -> None:
        """Take note of the operands behind the arguments; those that the backward rule uses are residuals too."""
        self._closure_avals = [t.aval for t in closures]
        if self.jvp is not None:
            self.jvp.close_over(closures)
        if self._now is None:
            return
        forward, backward = self._now
        mine: list[Tracer] = []
        collect(backward, mine, True, "")
        place = {(id(t.recording), t.id): k for k, t in enumerate(closures)}
        jaxpr = hoisted(forward.closed, closures, self.arity).jaxpr
        handed_on = [jaxpr.invars[self.arity + place[id(t.recording), t.id]] for t in mine]
        consts = hoisted(forward.closed, closures, self.arity).consts
        jaxpr = hoisted_jaxpr(jaxpr, handed_on)
        whole = hoisted(backward, mine, len(forward.closed.out_avals) - len(self.out_avals))
        self._now = Recorded(ClosedJaxpr(jaxpr, consts), forward.res_tree, forward.fixed), whole

    def _record_forward(self, active: tuple[bool, ...]) -> Recorded:
        found: list[Any] = []
        rule, site = self.rule, self.rule.site

        def flat(*primals: Any) -> list[Any]:
            out_tree, leaves, residuals = rule.forward(primals, active)
            check_same_results(site, rule.fwd, "the forward rule", (self.out_tree, self.out_avals), (out_tree, leaves))
            res, res_tree = tree.flatten(residuals)
            fixed = [None if _is_array(x) else x for x in res]
            res = arrays("custom_vjp", rule.fwd, residuals, [x if _is_array(x) else 0.0 for x in res], "the residual")
            found.extend([res_tree, fixed])
            leaves = [convert(x, a.dtype) for x, a in zip(leaves, self.out_avals, strict=True)]
            return [*leaves, *[x for x, f in zip(res, fixed, strict=True) if f is None]]

        closed = record_jaxpr("custom_vjp", flat, self.avals, rule.fwd)
        return Recorded(closed, *found)

    def _record_backward(self, forward: Recorded, given: tuple[bool, ...]) -> ClosedJaxpr:
        n_out = len(self.out_avals)
        res_avals = [a.strong() for a in forward.closed.out_avals[n_out : n_out + forward.count]]
        wanted = [k for k, g in zip(self.out_diff, given, strict=True) if g]
        strong = [a.strong() for a in self.out_avals]

        def flat(*args: Any) -> list[Any]:
            residuals = forward.residuals(args[: forward.count])
            cts: list[Any] = [None] * n_out
            for k, ct in zip(wanted, args[forward.count :], strict=True):
                cts[k] = ct
            bars = self.rule.backward(residuals, cts, self.out_tree, strong, self.avals)
            return [zeros(self.avals[k].strong()) if bars[k] is None else bars[k] for k in self.diff]

        return record_jaxpr("custom_vjp", flat, [*res_avals, *[strong[k] for k in wanted]], self.rule.bwd)

    def _pattern(self, active: Sequence[bool]) -> tuple[bool, ...]:
        return tuple(active[: self.arity]) if self.rule.symbolic else tuple([is_inexact(a.dtype) for a in self.avals])

    def _recorded_forward(self, active: Sequence[bool]) -> Recorded:
        if self._now is not None:
            return self._now[0]
        pattern = self._pattern(active)
        if pattern not in self._forward:
            rule = self.rule
            forward = self._record_forward(pattern)
            collect(
                forward.closed, [], False, f"the forward rule {describe_function(rule.fwd)} of {rule.site.described()}"
            )
            closed = with_unused(forward.closed, self._closure_avals, self.arity)
            self._forward[pattern] = Recorded(closed, forward.res_tree, forward.fixed)
        return self._forward[pattern]

    def forward(self, active: Sequence[bool]) -> Program:
        """A program of the operands: results, residuals."""
        return Program(self._recorded_forward(active).closed, self.rule.site.name)

    def backward(self, active: Sequence[bool], given: tuple[bool, ...]) -> Program:
        """A program of residuals and given cotangents: the cotangents of all arguments that can have one."""
        key = self._pattern(active), given
        if key not in self._backward:
            name = f"transpose(jvp({self.rule.site.name}))"
            if self._now is None:
                closed = self._record_backward(self._recorded_forward(active), given)
                what = f"the backward rule {describe_function(self.rule.bwd)} of {self.rule.site.described()}"
                collect(closed, [], False, what)
                self._backward[key] = Program(closed, name)
            else:
                self._backward[key] = _with_zeros(Program(self._now[1], name), given)
        return self._backward[key]

    def no_forward_mode(self, error: Exception) -> NonLinearError:
        """The error of forward mode."""
        return no_forward_mode(self.rule, error)

    def by_rule(self, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
        """See `Rules`."""
        return linear_form_of(self, program, active)

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Rules:
        """See `Rules`."""
        return BatchedVjpRules(self, axis, flags)


class Recorded:
    """A forward rule as a jaxpr, and how residuals are put together from what it returns behind the results."""

    def __init__(self, closed: ClosedJaxpr, res_tree: Any, fixed: list[Any]) -> None:
        self.closed, self.res_tree, self.fixed = closed, res_tree, fixed
        self.count = len([f for f in fixed if f is None])

    def residuals(self, arrays: Sequence[Any]) -> Any:
        """The residuals' pytree; leaves that are no arrays are those that the forward rule returned."""
        rest = iter(arrays)
        return self.res_tree.unflatten([next(rest) if f is None else f for f in self.fixed])


def _is_array(x: Any) -> bool:
    return isinstance(x, (Tracer, np.ndarray, np.generic))


def hoisted_jaxpr(jaxpr: Jaxpr, more: Sequence[Any]) -> Jaxpr:
    """The jaxpr that returns some of its operands, too."""
    return Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.eqns, [*jaxpr.outvars, *more])


def _with_zeros(whole: Program, given: tuple[bool, ...]) -> Program:
    """A backward program with zeros for the cotangents that are not given."""
    if all(given):
        return whole
    n_res = len(whole.in_avals) - len(given)
    cts = whole.in_avals[n_res:]

    def flat(*args: Any) -> list[Any]:
        rest = iter(args[n_res:])
        filled = [next(rest) if g else zeros(a) for a, g in zip(cts, given, strict=True)]
        return evaluate(whole.closed, [*args[:n_res], *filled])

    avals = [*whole.in_avals[:n_res], *[a for a, g in zip(cts, given, strict=True) if g]]
    return Program(record_jaxpr("jit", flat, avals, whole, of_user=False), whole.name)


def _rebuilt(site: Site, avals: Any, out_tree: Any, out_avals: Any, closure_avals: list[ShapedArray]) -> VjpRules:
    rules = VjpRules(VjpRule(site), avals, out_tree, out_avals)
    rules._closure_avals = closure_avals
    return rules


class BatchedVjpRules(Rules):
    """The rules of a batched function."""

    def __init__(self, inner: Any, axis: Any, flags: tuple[bool, ...]) -> None:
        self.inner, self.axis, self.flags = inner, axis, flags
        self.arity, self.diff, self.out_diff = inner.arity, inner.diff, inner.out_diff
        self.jvp = None if inner.jvp is None else BatchedJvpRules(inner.jvp, axis, flags)

    def forward(self, active: Sequence[bool]) -> Program:
        """See `VjpRules`."""
        return self.inner.forward(active).batched(self.axis, self.flags)  # type: ignore[no-any-return]

    def backward(self, active: Sequence[bool], given: tuple[bool, ...]) -> Program:
        """See `VjpRules`; cotangents of what all examples share are summed."""
        inner = self.inner.backward(active, given)
        whole = inner.batched(self.axis, (True,) * len(inner.in_avals))
        return summed(whole, [self.flags[k] for k in self.diff])

    def no_forward_mode(self, error: Exception) -> NonLinearError:
        """See `VjpRules`."""
        return self.inner.no_forward_mode(error)  # type: ignore[no-any-return]

    def by_rule(self, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
        """See `Rules`."""
        return linear_form_of(self, program, active)

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Rules:
        """See `Rules`."""
        return BatchedVjpRules(self, axis, flags)


def linear_form_of(rules: Any, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
    """The forward rule, and the program whose transpose is the backward rule."""
    forward = rules.forward(active)
    if rules.jvp is not None:  # its rule reads the operands
        jaxpr = forward.closed.jaxpr
        forward = Program(ClosedJaxpr(hoisted_jaxpr(jaxpr, jaxpr.invars), forward.closed.consts), program.name)
    return LinearForm(forward, VjpTangent(rules, forward, program, active), rules.out_diff)


class VjpTangent(LinearProgram):
    """The derivative of a function whose backward rule is given: of residuals and tangents."""

    def __init__(self, rules: Any, forward: Program, program: RuleProgram, active: tuple[bool, ...]) -> None:
        residuals = forward.out_avals[len(program.out_avals) :]
        tangents = [a.strong() for a, m in zip(program.in_avals, active, strict=True) if m]
        outs = [program.out_avals[k].strong() for k in rules.out_diff]
        super().__init__(f"jvp({program.name})", [*residuals, *tangents], outs, len(residuals))
        self.rules, self.active = rules, active
        self.n_operands = 0 if rules.jvp is None else len(program.in_avals)
        self.n_results = len(program.out_avals)
        self.chosen = [i for i, k in enumerate(rules.diff) if active[k]]

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """See `LinearProgram`."""
        whole = self.rules.backward(self.active, given)
        n = self.n_known

        def pull(*args: Any) -> list[Any]:
            outs = call_p.bind(*args[: n - self.n_operands], *args[n:], program=whole)
            return [outs[k] for k in self.chosen]

        avals = [*self.in_avals[:n], *[a for a, g in zip(self.out_avals, given, strict=True) if g]]
        return Program(record_jaxpr("jit", pull, avals, self, of_user=False), whole.name)

    def make_closed(self) -> ClosedJaxpr:
        """See `LinearProgram`."""
        flat = self._by_transposing if self.rules.jvp is None else self._by_jvp_rule
        return record_jaxpr("jit", flat(), self.in_avals, self, of_user=False)

    def _by_jvp_rule(self) -> Any:
        program, chosen, positions = self.rules.jvp.joint(self.active)
        place = {k: i for i, k in enumerate([k for k, a in enumerate(self.active) if a])}

        def flat(*args: Any) -> list[Any]:
            operands, tangents = args[self.n_known - self.n_operands : self.n_known], args[self.n_known :]
            filled = [tangents[place[k]] if k in place else zeros(program.in_avals[k].strong()) for k in chosen]
            outs = evaluate(program.closed, [*operands, *filled])[self.n_results :]
            return self._all(dict(zip(positions, outs, strict=True)))

        return flat

    def _by_transposing(self) -> Any:
        whole = self.rules.backward(self.active, (True,) * len(self.out_avals))
        given = tuple([i in self.chosen for i in range(len(self.rules.diff))])
        n = self.n_known
        try:
            program, positions = whole.transposed((*[False] * n, *[True] * len(self.out_avals)), given)
        except NonLinearError as error:
            raise self.rules.no_forward_mode(error) from error
        out_diff = self.rules.out_diff

        def flat(*args: Any) -> list[Any]:
            outs = call_p.bind(*args, program=program)
            return self._all({out_diff[k - n]: x for k, x in zip(positions, outs, strict=True)})

        return flat

    def _all(self, found: dict[int, Any]) -> list[Any]:
        pairs = zip(self.rules.out_diff, self.out_avals, strict=True)
        return [found[k] if k in found else zeros(a) for k, a in pairs]

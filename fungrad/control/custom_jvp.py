"""custom_jvp: a function whose derivative is given by a rule for its tangents.

Where values are known (`grad`, `jvp` and the others outside of `jit` and `vmap`) the rule runs on them, one level down,
and is recorded in its tangents alone: Python control flow on values works in it. The function itself is not run.

In an abstract recording (`jit`, `vmap`, `make_jaxpr`) the function is recorded into a `RuleProgram`, and the rule when
its derivative is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import describe_function, fun_name
from fungrad.control.call import LinearForm, Program, inline
from fungrad.control.rule_program import (
    ClosesOver,
    RuleEntry,
    RuleProgram,
    Rules,
    Selected,
    bind_with_rules,
    check_older,
    collect,
    hoisted,
    transpose_at,
    with_unused,
)
from fungrad.control.rule_site import (
    CustomFunction,
    Names,
    Positions,
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
from fungrad.core.primitive import lower
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import MissingDerivativeError, NonLinearError, TransformTypeError
from fungrad.passes.optimize import optimize
from fungrad.passes.partition import partition
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import convert, zeros


class custom_jvp(CustomFunction):
    """Give a function a derivative of its own: a rule for its tangents, which serves forward and reverse mode.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays. Without it a decorator is returned.
    nondiff_argnums : int or sequence of int
        Positional arguments that are not differentiated, such as functions; the rule gets them first, by themselves.
    nondiff_argnames : str or sequence of str
        The same by name.

    Returns
    -------
    custom_jvp
        A function with the arguments of ``fun``. `defjvp` or `defjvps` must give it a rule before it is called.

    Raises
    ------
    MissingDerivativeError
        An AttributeError: the function is called and has no rule.
    TransformTypeError, TransformValueError
        If what the rule returns does not fit: a tangent must have the tree, shapes and dtypes of the result.
    NonLinearError
        If reverse mode meets a rule that is not linear in its tangents.

    Notes
    -----
    The rule speaks of the arguments. What the function closes over is differentiated as in any function: through the
    code that computes the result, which is the function's where no argument is traced and the rule's where one is.

    Integer and boolean arguments have tangents of dtype float0.

    Examples
    --------
    The derivative of log(1 + exp(x)) as it is written overflows:

    >>> import numpy as np, fungrad as fg
    >>> @fg.custom_jvp
    ... def log1pexp(x):
    ...     return np.log(1.0 + np.exp(x))
    >>> @log1pexp.defjvp
    ... def log1pexp_jvp(primals, tangents):
    ...     (x,), (x_dot,) = primals, tangents
    ...     return log1pexp(x), (1.0 - 1.0 / (1.0 + np.exp(x))) * x_dot
    >>> fg.grad(log1pexp)(0.0), fg.vmap(fg.grad(fg.grad(log1pexp)))(np.zeros(2))
    (np.float64(0.5), array([0.25, 0.25]))
    """

    transform = "custom_jvp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Positions = (), nondiff_argnames: Names = ()) -> None:
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = False

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Give the rule.

        Parameters
        ----------
        jvp : callable
            ``jvp(*nondiff, primals, tangents) -> (result, tangent of the result)``: primals and tangents are tuples
            with one entry per argument. It must be linear in the tangents.
        symbolic_zeros : bool
            Whether tangents that are known to be zero are given as `SymbolicZero` instead of arrays; the rule may
            return it as well.

        Returns
        -------
        callable
            The rule, so that this is a decorator.
        """
        self.jvp, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Give a rule for each argument by itself; the tangent of the result is their sum.

        Parameters
        ----------
        *jvps : callable or None
            ``jvp(t, ans, *primals)`` -> the tangent of the result for a tangent ``t`` of that argument; None where the
            derivative is zero.

        Examples
        --------
        >>> import fungrad as fg
        >>> @fg.custom_jvp
        ... def product(x, y):
        ...     return x * y
        >>> product.defjvps(lambda t, ans, x, y: t * y, lambda t, ans, x, y: x * t)
        >>> fg.grad(product, (0, 1))(2.0, 3.0)
        (np.float64(3.0), np.float64(2.0))
        """
        if self.nondiff_argnums:
            raise TransformTypeError(
                f"fungrad.custom_jvp: defjvps gives a rule for each argument, but {describe_function(self.fun)} has "
                f"nondiff_argnums={self.nondiff_argnums}; give it one rule with defjvp"
            )
        self.jvp, self.symbolic_zeros = _RulePerArgument(self, jvps), True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if self.jvp is None:
            raise MissingDerivativeError(
                f"No JVP defined for custom_jvp function {describe_function(self.fun)} using defjvp."
            )
        site, leaves = self._site(args, kwargs)
        if site is None:
            return leaves
        recording = newest(leaves)
        assert recording is not None
        if not recording.abstract:
            try:
                return _on_values(site, JvpRule.of(self), recording, leaves)
            except ClosesOver:
                pass  # the recorded function takes what it closes over as operands
        return _recorded(site, JvpRule.of(self), leaves)


class _RulePerArgument:
    """The rule of `custom_jvp.defjvps`."""

    def __init__(self, custom: custom_jvp, jvps: tuple[Callable[..., Any] | None, ...]) -> None:
        self.custom, self.jvps = custom, jvps
        self.__name__ = f"defjvps of {fun_name(custom.fun)}"

    def __call__(self, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        """The rule for all arguments."""
        if len(self.jvps) != len(primals):
            raise TransformTypeError(
                f"defjvps of {self.custom!r} gave {len(self.jvps)} rules, one for each argument, but the call has "
                f"{len(primals)} arguments"
            )
        ans = self.custom(*primals)
        total: Any = None
        for jvp, t in zip(self.jvps, tangents, strict=True):
            if jvp is None or all(type(x) is SymbolicZero for x in tree.leaves(t)):
                continue
            term = jvp(tree.map(_instantiated, t), ans, *primals)
            total = term if total is None else tree.map(_sum, total, term)
        return ans, tree.map(lambda x: SymbolicZero(typeof(x)), ans) if total is None else total


def _instantiated(t: Any) -> Any:
    if type(t) is not SymbolicZero:
        return t
    return zeros(t.aval) if is_inexact(t.dtype) else np.zeros(t.shape, t.dtype)


def _sum(a: Any, b: Any) -> Any:
    return (
        b if type(a) is SymbolicZero else a if type(b) is SymbolicZero or not is_inexact(typeof(a).dtype) else add(a, b)
    )


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
                dots[k] = _checked_zero(t, lambda k=k: f"{what()}: the tangent{path_of(out, k)}")  # type: ignore[misc]
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


def _checked_zero(t: Any, what: Callable[[], str]) -> None:
    """Zero is the one tangent that may be independent of the tangents of the arguments."""
    if type(t) is Tracer or np.any(t):
        nonzero = "" if type(t) is Tracer else " and is not zero"
        raise NonLinearError(
            f"{what()} does not depend on the tangents of the arguments{nonzero}: "
            "a jvp rule must be linear in the tangents. Where the derivative is zero return np.zeros_like(result)."
        )


def _on_values(site: Site, rule: JvpRule, recording: Recording, operands: list[Any]) -> Any:
    """Run the rule one level down and record its linear map."""
    values, ids = lower(recording, tuple(operands))
    active = [i is not None for i in ids]
    chosen = rule.active([typeof(v) for v in values], active)
    out_tree, leaves, closed, positions = rule.record(site, values, chosen)
    check_older([*leaves, *closed.consts], recording)
    tangents = JvpMap(site, rule, closed, [active[k] for k in chosen])
    return out_tree.unflatten(record_entry(recording, values, ids, leaves, positions, tangents))


_entry = RuleEntry("custom_jvp")


def record_entry(
    recording: Recording,
    values: Sequence[Any],
    ids: Sequence[int | None],
    leaves: Sequence[Any],
    positions: Sequence[int],
    tangents: Any,
    entry: RuleEntry = _entry,
) -> list[Any]:
    """Append a linear map to a recording with values; the results, those at the positions traced."""
    traced = [(i, typeof(v).strong()) for i, v in zip(ids, values, strict=True) if i is not None]
    outs = [recording.constants.take(x) for x in leaves]
    out_ids = tuple([recording.fresh() for _ in positions])
    if not positions:
        return outs
    avals = tuple([typeof(outs[k]).strong() for k in positions])
    recording.append(
        (
            entry,
            out_ids,
            Application(tuple([i for i, _ in traced]), tuple([a for _, a in traced]), {"map": tangents}, avals, None),
        )
    )
    for k, i in zip(positions, out_ids, strict=True):
        outs[k] = Tracer(recording, i, outs[k])
    return outs


class JvpMap:
    """The linear map of a rule at a point: a jaxpr of the tangents, of which only some are traced."""

    def __init__(self, site: Site, rule: JvpRule, closed: ClosedJaxpr, active: Sequence[bool]) -> None:
        self.site, self.rule, self.closed, self.active = site, rule, closed, active

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the results."""
        rest = iter(tangents)
        filled = [next(rest) if a else None for a in self.active]
        return evaluate(
            self.closed,
            [zeros(a.strong()) if t is None else t for t, a in zip(filled, self.closed.in_avals, strict=True)],
        )

    def pull(self, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the traced leaves."""
        linear = range(len(self.active))
        try:
            bars = transpose_at(self.closed, cts, linear, ())
        except NonLinearError as error:
            raise not_linear(self.site, self.rule.fun, error) from None
        return [b for b, a in zip(bars, self.active, strict=True) if a]


def not_linear(site: Site, rule: Any, error: NonLinearError) -> NonLinearError:
    """The error of a rule that reverse mode cannot transpose."""
    return NonLinearError(
        f"the jvp rule {describe_function(rule)} of {site.described()} is not linear in the tangents, so that reverse "
        f"mode cannot transpose it: {error}"
    )


# --- recorded -------------------------------------------------------------------------------------------------------


def _recorded(site: Site, rule: JvpRule, leaves: list[Any]) -> Any:
    """Record a call of the function's program, with its rule."""
    trees: list[Any] = []
    avals = [typeof(x) for x in leaves]
    custom = site.custom
    closed = record_jaxpr("custom_jvp", lambda *xs: site.flat(custom.fun, trees, xs), avals, custom.fun)
    rules = JvpRules(site, rule, avals, trees[0], closed.out_avals)
    return trees[0].unflatten(bind_with_rules(site, leaves, closed, rules, (rule.fun,)))


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

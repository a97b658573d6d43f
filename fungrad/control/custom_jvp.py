"""custom_jvp: a function whose derivative is given by a rule for its tangents.

Where values are known (`grad`, `jvp` and the others outside of `jit` and `vmap`) the rule runs on them, one level down,
and is recorded in its tangents alone: Python control flow on values works in it. The function itself is not run.

In an abstract recording (`jit`, `vmap`, `make_jaxpr`) the function is recorded into a `RuleProgram`, and the rule when
its derivative is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function, fun_name
from fungrad.control.jvp_rules import JvpRule, JvpRules, not_linear
from fungrad.control.rule_program import (
    ClosesOver,
    RuleEntry,
    bind_with_rules,
    check_older,
    transpose_at,
)
from fungrad.control.rule_site import (
    CustomFunction,
    Names,
    Positions,
    Site,
)
from fungrad.control.symbolic_zero import SymbolicZero
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.primitive import lower
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import MissingCustomRuleError, NonLinearError, TransformTypeError
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import zeros


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
    MissingCustomRuleError
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
            raise MissingCustomRuleError(
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


# --- recorded -------------------------------------------------------------------------------------------------------


def _recorded(site: Site, rule: JvpRule, leaves: list[Any]) -> Any:
    """Record a call of the function's program, with its rule."""
    trees: list[Any] = []
    avals = [typeof(x) for x in leaves]
    custom = site.custom
    closed = record_jaxpr("custom_jvp", lambda *xs: site.flat(custom.fun, trees, xs), avals, custom.fun)
    rules = JvpRules(site, rule, avals, trees[0], closed.out_avals)
    return trees[0].unflatten(bind_with_rules(site, leaves, closed, rules, (rule.fun,)))

"""custom_vjp: a function whose derivative is given by a rule for cotangents.

Where values are known the forward rule runs on them, one level down, and reverse mode calls the backward rule as it is:
Python control flow works in both, and the backward rule may be any function (clipped, rounded).

Forward mode transposes the backward rule, which must be linear in the cotangent for that, or uses a jvp rule that was
given as well. In an abstract recording the function is recorded into a `RuleProgram`, and the rules when they are
needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.custom_jvp import record_entry
from fungrad.control.jvp_rules import JvpRule
from fungrad.control.rule_program import (
    ClosesOver,
    RuleEntry,
    bind_with_rules,
    check_closures,
    check_older,
    transpose_at,
)
from fungrad.control.rule_site import CustomFunction, Names, Positions
from fungrad.control.vjp_rules import VjpRule, VjpRules, no_forward_mode
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.primitive import lower
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Recording, Tracer, newest
from fungrad.errors import (
    ConcretizationTypeError,
    MissingCustomRuleError,
    NonLinearError,
)
from fungrad.primitives.structural import zeros


class custom_vjp(CustomFunction):
    """Give a function a derivative of its own: a rule for cotangents, for reverse mode.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays. Without it a decorator is returned.
    nondiff_argnums : int or sequence of int
        Positional arguments that are not differentiated, such as functions; the backward rule gets them first.
    nondiff_argnames : str or sequence of str
        The same by name.

    Returns
    -------
    custom_vjp
        A function with the arguments of ``fun``. `defvjp` must give it its rules before it is called.

    Raises
    ------
    MissingCustomRuleError
        An AttributeError: the function is called and has no rules.
    TransformTypeError, TransformValueError
        If what the rules return does not fit: a cotangent must have the tree, shapes and dtypes of its argument.
    NonLinearError
        By forward mode, if the backward rule is not linear in the cotangent and there is no jvp rule (`defjvp`).

    Notes
    -----
    Reverse mode calls the backward rule as it is, linear or not. Forward mode transposes it.

    The rules speak of the arguments. What the function closes over is differentiated as in any function: through the
    code that computes the result, which is the function's where no argument is traced and the forward rule's where one
    is.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> @fg.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1.0, 1.0),))
    >>> fg.grad(lambda x: clip_gradient(x) ** 2)(3.0)
    np.float64(1.0)
    """

    transform = "custom_vjp"

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Positions = (), nondiff_argnames: Names = ()) -> None:
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.jvp: Callable[..., Any] | None = None
        self.symbolic_zeros = self.symbolic_zeros_of_jvp = False

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Give the rules.

        Parameters
        ----------
        fwd : callable
            ``fwd(*args) -> (result, residuals)``: all arguments in their order; residuals are a pytree.
        bwd : callable
            ``bwd(*nondiff, residuals, ct)`` -> a tuple of cotangents, one for each differentiable argument; None is
            zero, also in the place of a part of an argument.
        symbolic_zeros : bool
            Whether ``fwd`` is given a `CustomVJPPrimal` for each leaf (its ``value``, and whether it is ``perturbed``)
            and ``bwd`` a `SymbolicZero` for each cotangent that is known to be zero.
        optimize_remat : bool
            Accepted for compatibility: has no effect.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Give a rule for forward mode too, as that of `custom_jvp.defjvp`; reverse mode does not use it.

        Examples
        --------
        >>> import numpy as np, fungrad as fg
        >>> @fg.custom_vjp
        ... def clip_gradient(x):
        ...     return x
        >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1.0, 1.0),))
        >>> @clip_gradient.defjvp
        ... def clip_gradient_jvp(primals, tangents):
        ...     return primals[0], tangents[0]
        >>> fg.jvp(clip_gradient, (3.0,), (5.0,))
        (3.0, np.float64(5.0))
        """
        self.jvp, self.symbolic_zeros_of_jvp = jvp, symbolic_zeros
        return jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if self.fwd is None or self.bwd is None:
            raise MissingCustomRuleError(
                f"No VJP defined for custom_vjp function {describe_function(self.fun)} using defvjp."
            )
        site, leaves = self._site(args, kwargs)
        if site is None:
            return leaves
        recording = newest(leaves)
        assert recording is not None
        rule = VjpRule(site)
        if not recording.abstract:
            try:
                return _on_values(rule, recording, leaves)
            except ClosesOver:
                pass  # the recorded function takes what it closes over as operands
        return _recorded(rule, leaves)


_entry = RuleEntry("custom_vjp")


def _on_values(rule: VjpRule, recording: Recording, operands: list[Any]) -> Any:
    """Run the forward rule one level down, and record that the backward rule is the transpose."""
    values, ids = lower(recording, tuple(operands))
    active = [i is not None for i in ids]
    out_tree, leaves, residuals = rule.forward(values, active)
    kept = tree.leaves(residuals)
    check_older([*leaves, *kept], recording)
    check_closures(recording, rule.bwd, rule.jvp and rule.jvp.fun, [x for x in kept if not isinstance(x, np.ndarray)])
    residuals = tree.map(_kept(recording), residuals)
    primals = None if rule.jvp is None else [recording.constants.take(v) for v in values]
    vjp_map = VjpMap(rule, residuals, out_tree, leaves, [typeof(v).strong() for v in values], active, primals)
    return out_tree.unflatten(record_entry(recording, values, ids, leaves, vjp_map.positions, vjp_map, _entry))


def _kept(recording: Recording) -> Callable[[Any], Any]:
    """Residuals as they are now."""
    take = recording.constants.take
    return lambda x: take(x) if type(x) is Tracer or type(x) is np.ndarray else x


class VjpMap:
    """The linear map of the rules at a point."""

    def __init__(
        self,
        rule: VjpRule,
        residuals: Any,
        out_tree: Any,
        leaves: Sequence[Any],
        in_avals: Sequence[ShapedArray],
        active: Sequence[bool],
        primals: Sequence[Any] | None,
    ) -> None:
        self.rule, self.residuals, self.out_tree, self.in_avals = rule, residuals, out_tree, in_avals
        self.out_avals = [typeof(x).strong() for x in leaves]
        self.active, self.primals = active, primals
        self.positions = [k for k, a in enumerate(self.out_avals) if is_inexact(a.dtype)]

    def pull(self, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the traced leaves, as the backward rule says."""
        filled: list[Any] = [None] * len(self.out_avals)
        for k, ct in zip(self.positions, cts, strict=True):
            filled[k] = ct
        bars = self.rule.backward(self.residuals, filled, self.out_tree, self.out_avals, self.in_avals)
        return [b for b, a in zip(bars, self.active, strict=True) if a]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the results: by the jvp rule if there is one, else by transposing the backward rule."""
        rest = iter(tangents)
        filled = [next(rest) if a else None for a in self.active]
        if self.rule.jvp is not None:
            return self._push_by_rule(self.rule.jvp, filled)
        found: list[tuple[int, ...]] = []

        def flat(*cts: Any) -> list[Any]:
            every: list[Any] = [None] * len(self.out_avals)
            for k, ct in zip(self.positions, cts, strict=True):
                every[k] = ct
            bars = self.rule.backward(self.residuals, every, self.out_tree, self.out_avals, self.in_avals)
            found.append(tuple([k for k, b in enumerate(bars) if b is not None and filled[k] is not None]))
            return [bars[k] for k in found[-1]]

        try:
            closed = record_jaxpr("custom_vjp", flat, [self.out_avals[k] for k in self.positions], self.rule.bwd)
            outs = transpose_at(closed, [filled[k] for k in found[0]], range(len(self.positions)), ())
        except (NonLinearError, ConcretizationTypeError) as error:
            raise no_forward_mode(self.rule, error) from error
        return [zeros(self.out_avals[k]) if t is None else t for k, t in zip(self.positions, outs, strict=True)]

    def _push_by_rule(self, jvp: JvpRule, filled: Sequence[Any]) -> list[Any]:
        assert self.primals is not None
        chosen = jvp.active(self.in_avals, [t is not None for t in filled])
        _, _, closed, positions = jvp.record(self.rule.site, self.primals, chosen)
        tangents = [zeros(self.in_avals[k]) if filled[k] is None else filled[k] for k in chosen]
        found = dict(zip(positions, evaluate(closed, tangents), strict=True))
        return [found[k] if k in found else zeros(self.out_avals[k]) for k in self.positions]


def _recorded(rule: VjpRule, leaves: list[Any]) -> Any:
    """Record a call of the function's program, with its rules."""
    site, custom = rule.site, rule.site.custom
    trees: list[Any] = []
    avals = [typeof(x) for x in leaves]
    closed = record_jaxpr("custom_vjp", lambda *xs: site.flat(custom.fun, trees, xs), avals, custom.fun)
    rules = VjpRules(rule, avals, trees[0], closed.out_avals)
    return trees[0].unflatten(
        bind_with_rules(site, leaves, closed, rules, (rule.fwd, rule.bwd, rule.jvp and rule.jvp.fun))
    )

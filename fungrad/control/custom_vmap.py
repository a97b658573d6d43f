"""custom_vmap: a function whose batched form is given by a rule. sequential_vmap: one whose batch is a loop.

In the abstract recording of `vmap` the function is recorded into a program; where its call is mapped, the rule runs on
the batched operands, on their values if they are known. Derivatives of the program keep the rule: those of a mapped
call are the derivatives of what the rule computes, in either order of `vmap` and `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.call import call_p
from fungrad.control.mapped_by_rule import MappedByRule
from fungrad.control.rule_program import collect, hoisted, spread
from fungrad.control.rule_site import CustomFunction, Site, check_same_results, pair
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import arrays, path_of
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import MissingCustomRuleError, TransformTypeError, UnsupportedOperationError
from fungrad.primitives.structural import convert, slice_, stack, zeros


class custom_vmap(CustomFunction):
    """Give a function a batched form of its own: a rule that `vmap` calls instead of mapping what it does.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays.

    Returns
    -------
    custom_vmap
        A function with the arguments of ``fun``. `def_vmap` must give it a rule before it is called.

    Raises
    ------
    MissingCustomRuleError, TransformTypeError, TransformValueError
        If it has no rule, or the rule's result does not have the tree, shapes and dtypes of the batched function's.

    Notes
    -----
    Derivatives are those of the function, and of the rule where the call is mapped.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> @fg.custom_vmap
    ... def total(x, y):
    ...     return np.sum(x) + y
    >>> @total.def_vmap
    ... def total_vmap(axis_size, in_batched, x, y):
    ...     x_batched, y_batched = in_batched
    ...     sums = np.sum(x, axis=1) if x_batched else np.full(axis_size, np.sum(x))
    ...     return sums + y, True
    >>> fg.vmap(total)(np.ones((2, 3)), np.array([0.0, 1.0]))
    array([3., 4.])
    """

    transform = "custom_vmap"

    def __init__(self, fun: Callable[..., Any]) -> None:
        super().__init__(fun)
        self.vmap_rule: Callable[..., Any] | None = None

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule.

        Parameters
        ----------
        vmap_rule : callable
            ``vmap_rule(axis_size, in_batched, *args) -> (result, out_batched)``. Leaves of the arguments that are
            batched have the axis in front; ``in_batched`` is a list with a tree of booleans for each argument,
            ``out_batched`` one for the result, or one boolean for all of it.

        Returns
        -------
        callable
            The rule, so that this is a decorator.
        """
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        if self.vmap_rule is None:
            raise MissingCustomRuleError(
                f"No vmap rule defined for custom_vmap function {describe_function(self.fun)} using def_vmap."
            )
        site, leaves = self._site(args, kwargs)
        if site is None:
            return leaves
        if not any(isinstance(known_value(x), ShapedArray) for x in leaves):
            return self.fun(*site.args(leaves))  # no vmap is on its way
        return _recorded(site, leaves)


def sequential_vmap(fun: Callable[..., Any]) -> Any:
    """Make a function that `vmap` calls for one example after the other.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays.

    Returns
    -------
    custom_vmap
        A function with the arguments of ``fun``.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.vmap(fg.sequential_vmap(np.sin))(np.zeros(2))
    array([0., 0.])
    """
    mapped = custom_vmap(fun)
    mapped.def_vmap(_OneByOne(fun))
    return mapped


class _OneByOne:
    """The rule of `sequential_vmap`."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.fun = fun

    def __call__(self, axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        """Call the function for each example and stack the results."""
        leaves, treedef = tree.flatten(args)
        flags = tree.leaves(in_batched)
        rows = []
        for i in range(axis_size):
            example = [slice_(x, (i,)) if b else x for x, b in zip(leaves, flags, strict=True)]
            rows.append(self.fun(*treedef.unflatten(example)))
        if not rows:
            return self._empty(leaves, flags, treedef)
        return tree.map(lambda *xs: stack(xs), *rows), True

    def _empty(self, leaves: Sequence[Any], flags: Sequence[bool], treedef: Any) -> tuple[Any, Any]:
        trees: list[Any] = []
        avals = [typeof(x) for x in leaves]
        avals = [ShapedArray(a.shape[1:], a.dtype) if b else a for a, b in zip(avals, flags, strict=True)]

        def flat(*xs: Any) -> list[Any]:
            found, out_tree = tree.flatten(self.fun(*treedef.unflatten(xs)))
            trees.append(out_tree)
            return found

        closed = record_jaxpr("sequential_vmap", flat, avals, self.fun)
        return trees[0].unflatten([zeros(ShapedArray((0, *a.shape), a.dtype)) for a in closed.out_avals]), True


# --- recorded -------------------------------------------------------------------------------------------------------


def _recorded(site: Site, leaves: list[Any]) -> Any:
    """Record a call of the function's program, with its rule."""
    trees: list[Any] = []
    custom: Any = site.custom
    avals = [typeof(x) for x in leaves]
    closed = record_jaxpr("custom_vmap", lambda *xs: site.flat(custom.fun, trees, xs), avals, custom.fun)
    closures: list[Tracer] = []
    collect(closed, closures, True, "")
    rule = VmapRule(site, trees[0], closed.out_avals)
    program = MappedByRule(hoisted(closed, closures, len(avals)), site.name, rule)
    return trees[0].unflatten(call_p.bind(*leaves, *closures, program=program))


class VmapRule:
    """The rule at one call."""

    def __init__(self, site: Site, out_tree: Any, out_avals: Sequence[ShapedArray]) -> None:
        self.site, self.out_tree, self.out_avals = site, out_tree, tuple(out_avals)

    def __call__(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> list[Any]:
        """The results for operands of which those with a flag are batched; so are all results."""
        site = self.site
        rule: Any = site.custom.vmap_rule  # type: ignore[attr-defined]
        n = site.treedef.num_leaves
        if any(flags[n:]):
            raise UnsupportedOperationError(
                f"{site.described()} closes over an array that is mapped, of which its vmap rule cannot know; pass it "
                "as an argument"
            )
        in_batched = list(site.primals(flags[:n]))
        returned = rule(axis.size, in_batched, *site.args(operands[:n]))
        out, out_batched = pair(site, rule, "the vmap rule", returned, "result, out_batched")
        leaves, out_tree = tree.flatten(out)
        leaves = arrays("custom_vmap", rule, out, leaves, "result")
        marks = tree.flatten_prefix(out_batched, out, "out_batched")
        for k, mark in enumerate(marks):
            if not isinstance(mark, (bool, np.bool_)):
                raise TransformTypeError(
                    f"the vmap rule {describe_function(rule)} of {site.described()}: out_batched{path_of(out, k)} must "
                    f"be True or False, got {mark!r}"
                )
        expected = [
            ShapedArray((axis.size, *a.shape), a.dtype) if b else a.strong()
            for a, b in zip(self.out_avals, marks, strict=False)
        ]
        check_same_results(site, rule, "the vmap rule", (self.out_tree, expected), (out_tree, leaves))
        return [
            spread(convert(x, a.dtype), bool(b), axis) for x, a, b in zip(leaves, self.out_avals, marks, strict=True)
        ]

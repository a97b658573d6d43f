"""What `custom_root` and `custom_linear_solve` share: equations, recorded, and the solvers' answers, checked.

    record_flat : function of pytrees, types -> closed jaxpr, tree of the result
    Recorded    ::= closed jaxpr of what the function closes over and then the leaves of its argument

The implicit function theorem differentiates the equation, f(x, p) = 0, and not the solver: x' = -f_x^-1 f_p p'. So
the equation is recorded, once, with what it closes over (p) as operands. Then it can be evaluated, pushed and pulled
through at any values of these, one level down where they are traced with values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.bodies import check_same
from fungrad.control.rule_program import collect, hoisted
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import arrays
from fungrad.core.record import record_jaxpr, record_values
from fungrad.core.trace import Tracer
from fungrad.errors import TransformTypeError
from fungrad.interpreters.linearize import Linearization
from fungrad.primitives.structural import convert


def record_flat(
    transform: str, fun: Callable[..., Any], in_tree: Any, avals: Sequence[ShapedArray], user_fun: Any
) -> tuple[ClosedJaxpr, Any]:
    """Record a function whose arguments have this tree (of a tuple); what it closes over are constants."""
    trees: list[Any] = []

    def flat(*leaves: Any) -> list[Any]:
        out = fun(*in_tree.unflatten(leaves))
        found, out_tree = tree.flatten(out)
        trees.append(out_tree)
        return arrays(transform, user_fun, out, found, "result")

    return record_jaxpr(transform, flat, avals, user_fun), trees[0]


class Recorded(NamedTuple):
    """A function of one pytree that returns one of the same type.

    ``closed`` takes ``n_known`` operands, what the function closes over, and then the leaves. ``fun`` is the user's.
    """

    transform: str
    fun: Any
    closed: ClosedJaxpr
    n_known: int
    treedef: Any

    @property
    def avals(self) -> tuple[ShapedArray, ...]:
        """The types of the argument's leaves."""
        return self.closed.in_avals[self.n_known :]

    def at(self, known: Sequence[Any]) -> Callable[[Any], Any]:
        """The function, with these in the place of what it closes over."""
        return lambda x: self.treedef.unflatten(evaluate(self.closed, [*known, *self.leaves(x)]))

    def leaves(self, x: Any) -> list[Any]:
        """The leaves of an argument that a solver gave to the function."""
        leaves, treedef = tree.flatten(x)
        if treedef == self.treedef:
            leaves = arrays(self.transform, self.fun, x, leaves, "argument")
        avals = [typeof(leaf) for leaf in leaves] if treedef == self.treedef else []
        check_same(
            self.transform,
            (f"the argument that {describe_function(self.fun)} was recorded for", self.treedef, self.avals),
            (
                "the one that a solver gave it",
                treedef,
                [_fitting(a, b) for a, b in zip(avals, self.avals, strict=False)],
            ),
        )
        return [convert(leaf, a.dtype) for leaf, a in zip(leaves, self.avals, strict=True)]

    def linearized(self, known: Sequence[Any], x: Sequence[Any]) -> Callable[[Any], Any]:
        """The derivative in the argument at ``x``, a function of tangents."""
        map_ = self._linearization(lambda *xs: evaluate(self.closed, [*known, *xs]), x)
        linear = self._replace(closed=map_.linear_jaxpr(), n_known=0)
        return linear.at(())

    def push(self, known: Sequence[Any], x: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the result for those (None: zero) of what the function closes over."""
        active = [k for k, t in enumerate(tangents) if t is not None]
        return self._in_known(known, x, active).push([tangents[k] for k in active], consume=True)

    def pull(self, known: Sequence[Any], x: Sequence[Any], active: Sequence[int], cts: Sequence[Any]) -> list[Any]:
        """The cotangents of some of what the function closes over."""
        return self._in_known(known, x, active).pull(cts, consume=True)

    def _in_known(self, known: Sequence[Any], x: Sequence[Any], active: Sequence[int]) -> Linearization:
        def of_active(*values: Any) -> list[Any]:
            operands = [*known, *x]
            for k, value in zip(active, values, strict=True):
                operands[k] = value
            return evaluate(self.closed, operands)

        return self._linearization(of_active, [known[k] for k in active])

    def _linearization(self, flat: Callable[..., list[Any]], point: Sequence[Any]) -> Linearization:
        _, tape = record_values(self.transform, flat, point, self.fun)
        in_avals = [typeof(v).strong() for v in point]
        return Linearization(tape, in_avals, [a.strong() for a in self.avals], self.transform, self.fun)


def _fitting(received: ShapedArray, expected: ShapedArray) -> ShapedArray:
    """The type of a Python number where an array is expected: that of the array, if no digit is lost."""
    fits = received.weak and "biufc".index(received.dtype.kind) <= "biufc".index(expected.dtype.kind)
    return ShapedArray(received.shape, expected.dtype) if fits else received


def record_equation(
    transform: str, fun: Callable[..., Any], argument: Any, what: str
) -> tuple[Recorded, list[Tracer], list[Any]]:
    """Record a function that returns what it takes, at an example; also what it closes over, and the example's leaves.

    The leaves have floating-point dtypes: numbers take that of the result.
    """
    found, treedef = tree.flatten(argument)
    leaves = arrays(transform, fun, argument, found, what)
    in_tree = tree.structure((argument,))
    avals = [typeof(x).strong() for x in leaves]
    closed, out_tree = record_flat(transform, fun, in_tree, avals, fun)
    if out_tree == treedef and not all(is_inexact(a.dtype) for a in avals):
        grown = [
            a if is_inexact(a.dtype) or not is_inexact(o.dtype) else ShapedArray(a.shape, o.dtype)
            for a, o in zip(avals, closed.out_avals, strict=True)
        ]
        if grown != avals:
            avals = grown
            closed, out_tree = record_flat(transform, fun, in_tree, avals, fun)
    check_same(
        transform,
        (what, treedef, avals),
        (f"what {describe_function(fun)} returns for it", out_tree, [a.strong() for a in closed.out_avals]),
    )
    for aval in avals:
        if not is_inexact(aval.dtype):
            raise TransformTypeError(
                f"fungrad.{transform}: {what} must be of floating-point numbers, got {aval!r}; convert it with "
                ".astype(float)"
            )
    closures: list[Tracer] = []
    collect(closed, closures, True, "")
    recorded = Recorded(transform, fun, hoisted(closed, closures, 0), len(closures), treedef)
    return recorded, closures, [convert(x, a.dtype) for x, a in zip(leaves, avals, strict=True)]


class Solution(NamedTuple):
    """What a solver returned: the leaves of the solution, and of what it returned beside it, with the tree of that."""

    leaves: list[Any]
    aux: list[Any]
    aux_tree: Any

    def result(self, treedef: Any, has_aux: bool) -> Any:
        """What the user is given."""
        x = treedef.unflatten(self.leaves)
        return (x, self.aux_tree.unflatten(self.aux)) if has_aux else x


def checked_solution(
    transform: str, solver: Any, returned: Any, has_aux: bool, expected: tuple[str, Any, Sequence[ShapedArray]]
) -> Solution:
    """What a solver returned, or an error unless the solution is like what is expected: (what it is, tree, types)."""
    aux: Any = None
    if has_aux:
        if not isinstance(returned, tuple) or len(returned) != 2:
            size = f" of length {len(returned)}" if isinstance(returned, (tuple, list)) else ""
            raise TransformTypeError(
                f"fungrad.{transform}(has_aux=True): {describe_function(solver)} must return a pair (solution, aux), "
                f"got {type(returned).__name__}{size}"
            )
        returned, aux = returned
    found, treedef = tree.flatten(returned)
    what, expected_tree, avals = expected
    mine: list[ShapedArray] = []
    if treedef == expected_tree:
        found = arrays(transform, solver, returned, found, "result")
        mine = [typeof(x) for x in found]
        # In a plain call nothing has told which dtype an integer stands for.
        avals = [a if is_inexact(a.dtype) else ShapedArray(a.shape, m.dtype) for a, m in zip(avals, mine, strict=True)]
    check_same(
        transform,
        (what, expected_tree, avals),
        (
            f"the solution that {describe_function(solver)} returns",
            treedef,
            [_fitting(m, a) for m, a in zip(mine, avals, strict=False)],
        ),
    )
    leaves = [convert(x, a.dtype) for x, a in zip(found, avals, strict=True)]
    aux_leaves, aux_tree = tree.flatten(aux)
    return Solution(leaves, arrays(transform, solver, aux, aux_leaves, "aux of result"), aux_tree)


def solved_plainly(
    transform: str, fun: Any, argument: Any, solve: Callable[..., Any], has_aux: bool, what: str
) -> Solution | None:
    """The answer of the solver for the function as it is, or None if anything in it is traced."""
    leaves, treedef = tree.flatten(argument)
    leaves = arrays(transform, fun, argument, leaves, what)
    if any(type(x) is Tracer for x in leaves):
        return None
    expected = what, treedef, [typeof(x).strong() for x in leaves]
    solution = checked_solution(transform, solve, solve(fun, argument), has_aux, expected)
    return None if any(type(x) is Tracer for x in (*solution.leaves, *solution.aux)) else solution

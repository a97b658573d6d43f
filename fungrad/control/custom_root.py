"""custom_root: the solution of an equation, differentiated by the implicit function theorem and not through its solver.

    f(x, p) = 0    =>    f_x x' + f_p p' = 0    =>    x' = -tangent_solve(t -> f_x t, f_p p')

p is what f closes over: f is recorded with it as operands (`implicit.Recorded`). Where values are known the solver runs
on them, one level down, as it is written, and -tangent_solve is recorded in the tangents p'. In an abstract recording
all three functions are recorded, into a call of a `custom_jvp` function of everything that they close over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.custom_jvp import custom_jvp, record_entry
from fungrad.control.implicit import (
    Recorded,
    Solution,
    checked_solution,
    record_equation,
    record_flat,
    solved_plainly,
)
from fungrad.control.rule_program import (
    ClosesOver,
    RuleEntry,
    check_older,
    collect,
    hoisted,
    transpose_at,
)
from fungrad.control.symbolic_zero import SymbolicZero
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import check_callable
from fungrad.core.primitive import lower
from fungrad.core.record import is_recording, record_jaxpr
from fungrad.core.trace import Recording, Tracer, newest
from fungrad.errors import NonLinearError
from fungrad.primitives.arithmetic import neg
from fungrad.primitives.structural import zeros

_NAME = "lax.custom_root"


def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """Solve ``f(x) = 0``, and differentiate the solution in what ``f`` closes over, whatever the solver does.

    Parameters
    ----------
    f : callable
        ``f(x)`` has the tree, shapes and dtypes of ``x``. The parameters of the equation are what it closes over.
    initial_guess : pytree of floating-point arrays
        Where the solver begins. A Python number takes the dtype that ``f`` makes of it.
    solve : callable
        ``solve(f, initial_guess)`` -> the solution, or the pair (solution, aux).
    tangent_solve : callable
        ``tangent_solve(g, y)`` -> the ``x`` with ``g(x) = y``, for ``g`` the derivative of ``f`` at the solution, a
        linear function. For scalars it is ``lambda g, y: y / g(1.0)``; for vectors ``np.linalg.solve`` with the
        Jacobian of ``g``, or `custom_linear_solve`.
    has_aux : bool
        Whether ``solve`` returns something beside the solution; it is given back and has no derivative.

    Returns
    -------
    pytree
        The solution, as ``initial_guess``; with ``has_aux`` the pair (solution, aux).

    Raises
    ------
    TransformTypeError
        If ``f``, ``solve`` or ``tangent_solve`` does not return what ``initial_guess`` is like; the message names the
        leaf.
    NonLinearError
        By reverse mode, if ``tangent_solve`` is not linear in ``y``.

    Notes
    -----
    With f(x, p) = 0 the derivative is ``x' = -f_x^-1 f_p p'``, at every order. The guess has no influence on it, nor
    has what ``solve`` closes over. If the Jacobian is singular at the solution there is no derivative.

    Where nothing is traced ``f`` and ``solve`` run as they are written. Under a derivative outside of `jit` and `vmap`
    so does ``solve``, on values (Python control flow, SciPy), unless it closes over what is traced and this gets into
    the solution; ``f`` and ``tangent_solve`` are recorded once, on types alone. Within `jit` and `vmap` all are.

    References
    ----------
    Griewank & Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, chapter 15.

    Examples
    --------
    Kepler's equation, by Newton's method in plain Python:

    >>> import numpy as np, fungrad as fg
    >>> def newton(f, x):
    ...     while abs(f(x)) > 1e-12:
    ...         x = x - f(x) / fg.grad(f)(x)
    ...     return x
    >>> def anomaly(m, e):
    ...     f = lambda x: x - e * np.sin(x) - m
    ...     return fg.lax.custom_root(f, m, newton, lambda g, y: y / g(1.0))
    >>> [x.round(8) for x in fg.grad(anomaly, (0, 1))(1.0, 0.3)]
    [np.float64(1.0913293), np.float64(1.04800831)]
    """
    for fun in (f, solve, tangent_solve):
        check_callable(_NAME, fun)
    what = f"the initial guess of {describe_function(f)}"
    if not is_recording():
        found = solved_plainly(_NAME, f, initial_guess, solve, has_aux, what)
        if found is not None:
            return found.result(tree.structure(initial_guess), has_aux)
    recorded, params, guess = record_equation(_NAME, f, initial_guess, what)
    root = _Root(recorded, what, solve, tangent_solve, has_aux)
    try:
        solution = root.at(params, guess)
    except ClosesOver:  # what the solvers close over must be operands too
        solution = root.recorded(params, guess)
    return solution.result(recorded.treedef, has_aux)


class _Root:
    """The equation and its solvers. ``params`` are what f closes over, at some level."""

    def __init__(self, f: Recorded, what: str, solve: Any, tangent_solve: Any, has_aux: bool) -> None:
        self.f, self.what, self.solve, self.tangent_solve, self.has_aux = f, what, solve, tangent_solve, has_aux

    def at(self, params: Sequence[Any], guess: Sequence[Any]) -> Solution:
        """The solution, with its derivative in the parameters."""
        recording = newest([*params, *guess])
        if recording is None:
            solution = self._solved(params, guess)
            if any(type(x) is Tracer for x in (*solution.leaves, *solution.aux)):
                raise ClosesOver
            return solution
        return self.recorded(params, guess) if recording.abstract else self._on_values(recording, params, guess)

    def _solved(self, params: Sequence[Any], guess: Sequence[Any]) -> Solution:
        f = self.f
        returned = self.solve(f.at(params), f.treedef.unflatten(guess))
        return checked_solution(_NAME, self.solve, returned, self.has_aux, (self.what, f.treedef, f.avals))

    def _tangents(self, params: Sequence[Any], x: Sequence[Any], y: Any) -> Any:
        f = self.f
        returned = self.tangent_solve(f.linearized(params, x), y)
        checked = checked_solution(_NAME, self.tangent_solve, returned, False, (self.what, f.treedef, f.avals))
        return f.treedef.unflatten(checked.leaves)

    def _on_values(self, recording: Recording, operands: Sequence[Any], guess: Sequence[Any]) -> Solution:
        """Solve one level down and record the tangents of the solution."""
        f = self.f
        params, ids = lower(recording, tuple(operands))
        solution = self.at(params, lower(recording, tuple(guess))[0])
        check_older([*solution.leaves, *solution.aux], recording)
        active = [k for k, i in enumerate(ids) if i is not None and is_inexact(typeof(params[k]).dtype)]
        if not active:
            return solution

        def flat(*tangents: Any) -> list[Any]:
            dots: list[Any] = [None] * len(params)
            for k, t in zip(active, tangents, strict=True):
                dots[k] = t
            y = f.treedef.unflatten(f.push(params, solution.leaves, dots))
            return [neg(t) for t in tree.leaves(self._tangents(params, solution.leaves, y))]

        closed = record_jaxpr(_NAME, flat, [typeof(params[k]).strong() for k in active], self.tangent_solve)
        check_older(closed.consts, recording)
        leaves = record_entry(
            recording,
            [params[k] for k in active],
            [ids[k] for k in active],
            solution.leaves,
            range(len(solution.leaves)),
            _RootMap(closed, self.tangent_solve),
            _entry,
        )
        return solution._replace(leaves=leaves)

    def recorded(self, params: Sequence[Any], guess: Sequence[Any]) -> Solution:
        """A call of a function of everything that is closed over, with a rule."""
        f, n = self.f, len(guess)
        found: list[Solution] = []

        def flat(x: Any) -> list[Any]:
            found.append(self._solved(params, tree.leaves(x)))
            return [*found[0].leaves, *found[0].aux]

        guess_tree = tree.structure((f.treedef.unflatten(guess),))
        both = tree.structure((f.treedef.unflatten(guess),) * 2)
        solve, _ = record_flat(_NAME, flat, guess_tree, f.avals, self.solve)
        tangent, _ = record_flat(
            _NAME,
            lambda x, y: self._tangents(params, tree.leaves(x), y),
            both,
            [*f.avals, *f.avals],
            self.tangent_solve,
        )
        closures: list[Tracer] = []
        collect(solve, closures, True, "")
        collect(tangent, closures, True, "")
        solve, tangent = hoisted(solve, closures, 0), hoisted(tangent, closures, 0)

        def root(params: Any, closures: Any, guess: Any) -> list[Any]:
            return evaluate(solve, [*closures, *guess])

        def rule(primals: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
            params, closures, _ = primals
            outs = ruled(*primals)
            dots: list[Any] = [SymbolicZero(typeof(x)) for x in outs]
            given = [None if type(t) is SymbolicZero else t for t in tangents[0]]
            if any(t is not None for t in given):
                y = f.push(params, outs[:n], given)
                dots[:n] = [neg(t) for t in evaluate(tangent, [*closures, *outs[:n], *y])]
            return outs, dots

        ruled = custom_jvp(root)
        ruled.defjvp(rule, symbolic_zeros=True)
        # Messages describe the user's functions.
        root.__wrapped__, rule.__wrapped__ = self.solve, self.tangent_solve  # type: ignore[attr-defined]
        outs = ruled(list(params), list(closures), list(guess))
        return Solution(outs[:n], outs[n:], found[0].aux_tree)


_entry = RuleEntry("custom_root")


class _RootMap:
    """The derivative of a solution at a point: a jaxpr of the parameters' tangents."""

    def __init__(self, closed: ClosedJaxpr, tangent_solve: Any) -> None:
        self.closed, self.tangent_solve = closed, tangent_solve

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the solution."""
        filled = [zeros(a) if t is None else t for t, a in zip(tangents, self.closed.in_avals, strict=True)]
        return evaluate(self.closed, filled)

    def pull(self, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the parameters."""
        try:
            return transpose_at(self.closed, cts, range(len(self.closed.in_avals)), ())
        except NonLinearError as error:
            raise NonLinearError(
                f"the tangent_solve {describe_function(self.tangent_solve)} of fungrad.{_NAME} is not linear in its "
                f"second argument, so that reverse mode cannot transpose it: {error} Use custom_linear_solve for an "
                "iterative solver, with its transpose_solve or symmetric=True."
            ) from None

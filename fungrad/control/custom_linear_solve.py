"""custom_linear_solve: the solution of a linear system, differentiated as such and not through its solver.

    A x = b    =>    x' = A^-1 (b' - A' x)        w = A^-T x_bar,    b_bar = w,    A_bar = -w x^T

The derivatives are solutions again, of the same system and of the transposed one (Giles 2008, section 2.3.1). A is a
function, ``matvec``; what it closes over is what A' is of. It is recorded with that as operands (`implicit.Recorded`).

Where values are known the solvers run on them, one level down, as they are written: forwards, and on the values of
tangents and cotangents. In an abstract recording they are recorded, into a call of a `SolveProgram`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.call import LinearForm, Program, call_p
from fungrad.control.custom_jvp import record_entry
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
    LinearProgram,
    RuleEntry,
    check_closures,
    check_older,
    collect,
    hoisted,
    spread,
    transpose_at,
    with_unused,
)
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import check_callable
from fungrad.core.primitive import lower
from fungrad.core.record import is_recording, record_jaxpr
from fungrad.core.trace import Recording, Tracer, newest
from fungrad.errors import NonLinearError, TransformTypeError
from fungrad.primitives.arithmetic import neg, sub
from fungrad.primitives.structural import zeros

_NAME = "lax.custom_linear_solve"

Solver = Callable[[Callable[[Any], Any], Any], Any]


def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Solver,
    transpose_solve: Solver | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """Solve ``matvec(x) = b``, and differentiate the solution in ``b`` and in what ``matvec`` closes over.

    Parameters
    ----------
    matvec : callable
        A linear function; ``matvec(x)`` has the tree, shapes and dtypes of ``x``.
    b : pytree of floating-point arrays
        The right-hand side. A number takes the dtype of ``matvec(b)``.
    solve : callable
        ``solve(matvec, b)`` -> the solution, or the pair (solution, aux).
    transpose_solve : callable, optional
        ``transpose_solve(vecmat, b)`` -> the solution of the transposed system, as ``solve``; ``vecmat`` is the
        transpose of ``matvec``. Reverse mode needs it.
    symmetric : bool
        Whether ``matvec`` is its own transpose; then ``solve`` serves for both.
    has_aux : bool
        Whether the solvers return something beside the solution; that of ``solve`` is given back and has no
        derivative.

    Returns
    -------
    pytree
        The solution, as ``b``; with ``has_aux`` the pair (solution, aux).

    Raises
    ------
    TransformTypeError
        If ``matvec`` or a solver does not return what ``b`` is like (the message names the leaf), or reverse mode has
        no ``transpose_solve``.
    NonLinearError
        If ``matvec`` is not linear.

    Notes
    -----
    With A x = b the tangent is ``x' = A^-1 (b' - A' x)``, the cotangents are ``b_bar = A^-T x_bar`` and
    ``A_bar = -b_bar x^T``, at every order. For complex numbers the transpose is not conjugated. What the solvers close
    over has no influence on the derivative.

    Where nothing is traced everything runs as it is written. Under a derivative outside of `jit` and `vmap` the solvers
    still do, on values (Python control flow, SciPy); ``matvec`` is recorded once, on types alone. Within `jit` and
    `vmap`, which includes what makes Jacobians, and where a solver closes over what is traced, all are recorded.

    References
    ----------
    M. B. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation, 2008.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> def conjugate_gradients(matvec, b):
    ...     x, r, p = 0.0 * b, b, b
    ...     while r @ r > 1e-24:
    ...         q = matvec(p)
    ...         step = (r @ r) / (p @ q)
    ...         x, new = x + step * p, r - step * q
    ...         r, p = new, new + (new @ new) / (r @ r) * p
    ...     return x
    >>> def energy(stiffness, load):
    ...     def matvec(x):
    ...         return stiffness * x - 0.5 * (np.roll(x, 1) + np.roll(x, -1))
    ...     return load @ fg.lax.custom_linear_solve(matvec, load, conjugate_gradients, symmetric=True)
    >>> fg.grad(energy)(np.full(4, 2.0), np.ones(4)).round(6)
    array([-1., -1., -1., -1.])
    """
    if symmetric:
        transpose_solve = solve
    for fun in (matvec, solve, *(() if transpose_solve is None else (transpose_solve,))):
        check_callable(_NAME, fun)
    what = f"the right-hand side of {describe_function(matvec)}"
    if not is_recording():
        found = solved_plainly(_NAME, matvec, b, solve, has_aux, what)
        if found is not None:
            return found.result(tree.structure(b), has_aux)
    recorded, params, leaves = record_equation(_NAME, matvec, b, what)
    system = _System(recorded, what, solve, transpose_solve, symmetric, has_aux)
    return system.solution(params, leaves).result(recorded.treedef, has_aux)


class _System:
    """The system and its solvers. ``params`` are what matvec closes over, at some level."""

    def __init__(
        self, matvec: Recorded, what: str, solve: Solver, transpose_solve: Solver | None, symmetric: bool, has_aux: bool
    ) -> None:
        self.matvec, self.what, self.solve, self.transpose_solve = matvec, what, solve, transpose_solve
        self.symmetric, self.has_aux = symmetric, has_aux
        self._transposed: _System | None = self if symmetric else None

    def transposed(self) -> _System:
        """The transposed system."""
        if self._transposed is None:
            if self.transpose_solve is None:
                raise _no_transpose(self.matvec.fun)
            other = _System(
                _transposed(self.matvec), self.what, self.transpose_solve, self.solve, self.symmetric, self.has_aux
            )
            self._transposed, other._transposed = other, self
        return self._transposed

    def solution(self, params: Sequence[Any], b: Sequence[Any]) -> Solution:
        """The solution, with its derivatives."""
        try:
            return self._at(params, b)
        except ClosesOver:  # what the solvers close over must be operands too
            return self._recorded(params, b)

    def _at(self, params: Sequence[Any], b: Sequence[Any]) -> Solution:
        recording = newest([*params, *b])
        if recording is None:
            solution = self._solved(params, b)
            check_plain(solution)
            return solution
        return self._recorded(params, b) if recording.abstract else self._on_values(recording, params, b)

    def _solved(self, params: Sequence[Any], b: Sequence[Any]) -> Solution:
        matvec = self.matvec
        returned = self.solve(matvec.at(params), matvec.treedef.unflatten(b))
        return checked_solution(_NAME, self.solve, returned, self.has_aux, (self.what, matvec.treedef, matvec.avals))

    def _on_values(self, recording: Recording, operands: Sequence[Any], b_operands: Sequence[Any]) -> Solution:
        """Solve one level down and record that the derivatives are solutions."""
        check_closures(recording, self.solve, self.transpose_solve)  # they run later, too
        params, ids = lower(recording, tuple(operands))
        b, b_ids = lower(recording, tuple(b_operands))
        solution = self._at(params, b)
        check_older([*solution.leaves, *solution.aux], recording)
        take = recording.constants.take
        active = [k for k, i in enumerate(ids) if i is not None and is_inexact(typeof(params[k]).dtype)]
        active_b = [k for k, i in enumerate(b_ids) if i is not None]
        if not active and not active_b:
            return solution
        at_point = _SystemMap(self, [take(p) for p in params], [take(x) for x in solution.leaves], active, active_b)
        leaves = record_entry(
            recording,
            [*[params[k] for k in active], *[b[k] for k in active_b]],
            [*[ids[k] for k in active], *[b_ids[k] for k in active_b]],
            solution.leaves,
            range(len(b)),
            at_point,
            _entry,
        )
        return solution._replace(leaves=leaves)

    def _recorded(self, params: Sequence[Any], b: Sequence[Any]) -> Solution:
        """A call of a program of everything that is closed over."""
        matvec, n = self.matvec, len(b)
        aux_trees: list[Any] = []

        def solver(system: _System) -> ClosedJaxpr:
            def flat(*leaves: Any) -> list[Any]:
                solution = system._solved(params, leaves)
                aux_trees.append(solution.aux_tree)
                return [*solution.leaves, *solution.aux]

            return record_flat(_NAME, flat, tree.structure((0,) * n), matvec.avals, system.solve)[0]

        systems = [self] if self.transpose_solve is None or self.symmetric else [self, self.transposed()]
        solvers = [solver(s) for s in systems]
        closures: list[Tracer] = []
        for closed in solvers:
            collect(closed, closures, True, "")
        more = [t.aval for t in closures]
        name = describe_function(matvec.fun)
        products = [Program(with_unused(s.matvec.closed, more, matvec.n_known), name) for s in systems]
        solves = [
            Program(with_unused(hoisted(c, closures, 0), matvec.closed.in_avals[: matvec.n_known], 0), name)
            for c in solvers
        ]
        if self.symmetric:
            products, solves = products * 2, solves * 2
        program = SolveProgram(tuple(products), tuple(solves), matvec.n_known, n)
        outs = call_p.bind(*params, *closures, *b, program=program)
        return Solution(list(outs[:n]), list(outs[n:]), aux_trees[0])


def check_plain(solution: Solution) -> None:
    """Raise `ClosesOver` if a solver that was given values returns what is traced."""
    if any(type(x) is Tracer for x in (*solution.leaves, *solution.aux)):
        raise ClosesOver


def _no_transpose(matvec: Any) -> TransformTypeError:
    return TransformTypeError(
        f"fungrad.{_NAME}: reverse mode (grad, vjp, jacrev) through the system of {describe_function(matvec)} solves "
        "the transposed system; give transpose_solve=, or symmetric=True if matvec is its own transpose"
    )


def _transposed(matvec: Recorded) -> Recorded:
    """The transpose of a linear function, with the same operands before the leaves."""
    avals = matvec.closed.in_avals
    linear = range(matvec.n_known, len(avals))

    def flat(*args: Any) -> list[Any]:
        bars = transpose_at(matvec.closed, args[matvec.n_known :], linear, args[: matvec.n_known])
        return [zeros(avals[k]) if bar is None else bar for k, bar in zip(linear, bars, strict=True)]

    try:
        return matvec._replace(closed=record_jaxpr(_NAME, flat, avals, matvec.fun))
    except NonLinearError as error:
        raise NonLinearError(
            f"fungrad.{_NAME}: matvec must be linear, which {describe_function(matvec.fun)} is not: {error}"
        ) from None


_entry = RuleEntry("custom_linear_solve")


class _SystemMap:
    """The derivative of a solution at a point; operands are the active parameters, and the active leaves of b."""

    def __init__(
        self, system: _System, params: list[Any], x: list[Any], active: Sequence[int], active_b: Sequence[int]
    ) -> None:
        self.system, self.params, self.x, self.active, self.active_b = system, params, x, active, active_b

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """``A^-1 (b' - A' x)``."""
        n = len(self.active)
        dots: list[Any] = [None] * len(self.params)
        b_dots: list[Any] = [None] * len(self.x)
        for k, t in zip(self.active, tangents[:n], strict=True):
            dots[k] = t
        for k, t in zip(self.active_b, tangents[n:], strict=True):
            b_dots[k] = t
        rhs = tangent_of_rhs(self.system.matvec, self.params, self.x, dots, b_dots)
        return self.system.solution(self.params, rhs).leaves

    def pull(self, cts: Sequence[Any]) -> list[Any]:
        """``b_bar = A^-T x_bar`` and ``-b_bar x^T`` in what A is made of."""
        matvec = self.system.matvec
        filled = [zeros(a) if ct is None else ct for ct, a in zip(cts, matvec.avals, strict=True)]
        bars = self.system.transposed().solution(self.params, filled).leaves
        of_params = matvec.pull(self.params, self.x, self.active, [neg(w) for w in bars]) if self.active else []
        return [*of_params, *[bars[k] for k in self.active_b]]


def tangent_of_rhs(
    matvec: Recorded, known: Sequence[Any], x: Sequence[Any], dots: Sequence[Any], b_dots: Sequence[Any]
) -> list[Any]:
    """``b' - A' x``; None is zero."""
    rhs = [zeros(a) if t is None else t for t, a in zip(b_dots, matvec.avals, strict=True)]
    if all(t is None for t in dots):
        return rhs
    return [sub(t, p) for t, p in zip(rhs, matvec.push(known, x, dots), strict=True)]


# --- recorded -------------------------------------------------------------------------------------------------------


class SolveProgram(LinearProgram):
    """The solution of a linear system, recorded: ``known, b -> x, aux``, linear in ``b``.

    Parameters
    ----------
    products : tuple of Program
        ``known, x -> A x``, and the transposed one if there is a solver for that.
    solves : tuple of Program
        ``known, b -> x, aux``, and the transposed one.
    n_params : int
        How many of the known operands A is made of, the first ones. The others are what solvers close over.
    count : int
        How many leaves x has.
    """

    def __init__(self, products: tuple[Program, ...], solves: tuple[Program, ...], n_params: int, count: int) -> None:
        avals = solves[0].in_avals
        super().__init__(f"solve({solves[0].name})", avals, solves[0].out_avals, len(avals) - count)
        self.products, self.solves, self.n_params, self.count = products, solves, n_params, count

    def __reduce__(self) -> Any:
        return SolveProgram, (self.products, self.solves, self.n_params, self.count)

    def make_closed(self) -> ClosedJaxpr:
        """See `LinearProgram`."""
        return self.solves[0].closed

    def swapped(self) -> SolveProgram:
        """The transposed system."""
        if len(self.solves) == 1:
            raise _no_transpose(self.products[0])
        return self.once(  # type: ignore[no-any-return]
            "swapped", lambda: SolveProgram(self.products[::-1], self.solves[::-1], self.n_params, self.count)
        )

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """See `LinearProgram`."""
        n, count, other = self.n_known, self.count, self.swapped()

        def pull(*args: Any) -> list[Any]:
            rest = iter(args[n:])
            cts = [next(rest) if g else zeros(a) for g, a in zip(given, self.out_avals, strict=True)]
            return list(call_p.bind(*args[:n], *cts[:count], program=other)[:count])  # aux has no cotangent

        avals = [*self.in_avals[:n], *[a for a, g in zip(self.out_avals, given, strict=True) if g]]
        return Program(record_jaxpr("jit", pull, avals, self, of_user=False), f"transpose({self.name})")

    def _linearized(self, active: tuple[bool, ...], gathered: bool = False) -> LinearForm:
        n, count = self.n_known, self.count
        chosen = [k for k, a in enumerate(active) if a]
        relevant = [k for k in chosen if k < self.n_params or k >= n]  # that are in the equation
        matvec = Recorded(_NAME, self.products[0], self.products[0].closed, n, None)

        def first(*operands: Any) -> list[Any]:
            outs = call_p.bind(*operands, program=self)
            return [*outs, *operands[:n], *outs[:count]]

        def second(*args: Any) -> list[Any]:
            known, x, tangents = args[:n], args[n : n + count], args[n + count :]
            dots: list[Any] = [None] * len(active)
            for k, t in zip(chosen, tangents, strict=True):
                if k in relevant and is_inexact(self.in_avals[k].dtype):
                    dots[k] = t
            rhs = tangent_of_rhs(matvec, known, x, dots[:n], dots[n:])
            return list(call_p.bind(*known, *rhs, program=self)[:count]) if relevant else []

        forward = Program(record_jaxpr("jit", first, self.in_avals, self, of_user=False), self.name)
        avals = [*self.in_avals[:n], *self.out_avals[:count], *[self.in_avals[k].strong() for k in chosen]]
        tangent = Program(record_jaxpr("jit", second, avals, self, of_user=False), f"jvp({self.name})")
        return LinearForm(forward, tangent.made_linear(), tuple(range(count)) if relevant else ())

    def _batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        n, count = self.n_known, self.count
        every = (*flags[:n], *[True] * count)
        products, solves = ([p.batched(axis, every) for p in group] for group in (self.products, self.solves))
        whole = SolveProgram(tuple(products), tuple(solves), self.n_params, count)
        if flags == every:
            return whole

        def flat(*args: Any) -> Any:
            b = [spread(x, f, axis) for x, f in zip(args[n:], flags[n:], strict=True)]
            return call_p.bind(*args[:n], *b, program=whole)

        avals = [
            *whole.in_avals[:n],
            *[w if f else a for w, f, a in zip(whole.in_avals[n:], flags[n:], self.in_avals[n:], strict=True)],
        ]
        shared: Sequence[ShapedArray] = avals
        return Program(record_jaxpr("jit", flat, shared, self, of_user=False), whole.name)

"""Every row of the catalogue under every transform: each test states one fact, for all dtypes and shapes of the row.

Oracles are NumPy itself on plain arrays (values, and loops instead of vmap), finite differences of it, complex steps
where the function is holomorphic, and the duality of forward and reverse mode. No test uses the formula of a rule.
"""

from __future__ import annotations

import itertools
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from catalogue import ROWS, Row
from catalogue.cases import DOUBLE, Case, assert_close, cases, inexact_leaves, pairing, random_like

import fungrad as fg
from fungrad import tree
from fungrad.core.primitive import PRIMITIVES, Primitive
from fungrad.numpy.dispatch import LATER, load_later
from fungrad.testing import numerical_jvp

VALUE = {"d": 1e-12, "D": 1e-12, "f": 2e-5, "F": 2e-5}  # for the same computation in another order
BATCH = 3

# Their operands belong to a named axis, which no row has: tests/transforms covers them.
COLLECTIVES = {"psum", "pmax", "pmin"}
CALLS = {"call", "cond", "loop", "repeat", "reversed", "scan", "while"}  # of programs: test_jit_catalogue.py, control/


def for_each_case(
    dtypes: str = "dfDF", main_only: bool = False, rows: Callable[[Row], bool] = lambda row: True
) -> Callable[[Callable[[Case], None]], Any]:
    """Make a test of one case a test of a row: of all its cases, naming the one that failed."""

    def decorate(check: Callable[[Case], None]) -> Any:
        @pytest.mark.parametrize(
            "row", [pytest.param(r, id=r.name) for r in ROWS if rows(r) and set(r.dtypes) & set(dtypes)]
        )
        def test(row: Row) -> None:
            for case in cases(row, dtypes, main_only):
                try:
                    check(case)
                except Exception as error:
                    error.add_note(f"in the case: {case}")
                    raise

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def differentiable(row: Row) -> bool:
    """Rows with a derivative."""
    return row.differentiable


def abstractable(row: Row) -> bool:
    """Rows that can run without values."""
    return row.batched


def both(row: Row) -> bool:
    """Rows with a derivative that can run without values."""
    return row.differentiable and row.batched


# Values


@for_each_case()
def test_value_under_jvp(case: Case) -> None:
    """Recorded with values, a function returns what NumPy returns: tree, shapes, dtypes and values."""
    args = case.args()
    value, tangent = fg.jvp(case.row.fun, args, case.tangents(args))
    expected = case.row.fun(*args)
    assert_close(value, expected, VALUE[case.dtype], "value")
    for t, y in zip(tree.leaves(tangent), tree.leaves(expected), strict=True):
        y = np.asarray(y)
        assert t.shape == y.shape
        assert t.dtype == (y.dtype if y.dtype.kind in "fc" else fg.float0)


@for_each_case(rows=abstractable)
def test_value_under_make_jaxpr(case: Case) -> None:
    """Recorded on types alone, a function has NumPy's shapes and dtypes, and its jaxpr computes NumPy's values.

    The jaxpr is well formed, and a pickled copy does the same.
    """
    args = case.args()
    expected = case.row.fun(*args)
    closed, types = fg.make_jaxpr(case.row.fun, return_shape=True)(*args)
    fg.check_jaxpr(closed)
    assert tree.structure(types) == tree.structure(expected)
    for aval, y in zip(closed.out_avals, tree.leaves(expected), strict=True):
        assert (aval.shape, aval.dtype) == (np.shape(y), np.asarray(y).dtype)
    values = fg.eval_jaxpr(closed, (), *args)
    assert_close(values, tree.leaves(expected), VALUE[case.dtype], "evaluated")
    copied = pickle.loads(pickle.dumps(closed))
    assert str(copied) == str(closed)
    assert_close(fg.eval_jaxpr(copied, (), *args), values, 0.0, "evaluated after pickling")


# What differs from NumPy where operands are not floating-point numbers.
NOT_FOR_INTEGERS = {
    "pad linear_ramp": "refused, with a message",
    "power 2": "the dtype of NumPy's `bools ** 2` depends on the value of the exponent; here it is that of np.power",
    "power 2.0": "the same, in NumPy 2.0",
    "select values": "the same",
    "lstsq tall": "NumPy has no residuals where the rank is deficient, as it often is for few small integers",
    "lstsq rank 2": "the same: other integers have another rank",
}


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint16", "bool"])
@pytest.mark.parametrize(
    "row", [pytest.param(r, id=r.name) for r in ROWS if r.batched and r.name not in NOT_FOR_INTEGERS]
)
def test_integers_and_booleans(row: Row, dtype: str) -> None:
    """Where NumPy takes integers, so do a recording on types alone and a batch, with NumPy's values and dtypes."""
    case = next(cases(row))
    xs = []
    for draw in range(BATCH):
        args, rng = case.args(draw), case.rng(300 + draw)
        xs.append(case.merge(args, tuple([rng.integers(1, 4, np.shape(x)).astype(dtype)[()] for x in case.pick(args)])))
    try:
        expected = loop(row.fun, xs)
    except (TypeError, ValueError, ArithmeticError, Warning):
        pytest.skip("NumPy does not take this dtype")
    closed = fg.make_jaxpr(row.fun)(*xs[0])
    fg.check_jaxpr(closed)
    evaluated = fg.eval_jaxpr(closed, (), *xs[0])
    assert_close(evaluated, [np.asarray(y)[()] for y in tree.leaves(row.fun(*xs[0]))], 1e-12, "evaluated")
    for aval, y in zip(closed.out_avals, evaluated, strict=True):
        assert (aval.shape, aval.dtype) == (np.shape(y), y.dtype)
    mapped = fg.vmap(row.fun)(*[np.stack(x) for x in zip(*xs, strict=True)])
    assert_close(mapped, expected, 1e-12, "vmap")


# First derivatives


@for_each_case("dD", rows=differentiable)
def test_jvp_against_differences(case: Case) -> None:
    """The tangent is the limit of the difference quotients of NumPy's own function."""
    args = case.args()
    fun, active, tangents = case.smooth(args), case.pick(args), case.pick(case.tangents(args))
    _, exact = fg.jvp(fun, active, tangents)
    assert_close(exact, numerical_jvp(fun, active, tangents), case.row.tolerance, "tangent")


@for_each_case("D", main_only=True, rows=differentiable)
def test_jvp_against_complex_step(case: Case) -> None:
    """Where the function is holomorphic its derivative on the real axis is Im f(x + ihv) / h, without cancellation."""
    args = case.args()
    fun, z, v = case.smooth(args), case.pick(args), case.pick(case.tangents(args))
    along, across = (numerical_jvp(fun, z, tuple([unit * t for t in v])) for unit in (1, 1j))
    if not all(np.allclose(1j * np.asarray(a), b, rtol=1e-6, atol=1e-6) for a, b in zip(along, across, strict=True)):
        return  # not holomorphic: the equations of Cauchy and Riemann do not hold
    x, v = tuple([t.real for t in z]), tuple([t.real for t in v])
    values, exact = fg.jvp(fun, x, v)
    if any(np.asarray(y).dtype.kind == "c" for y in values):
        return
    stepped = [np.imag(y) / 1e-30 for y in fun(*[a + 1e-30j * b for a, b in zip(x, v, strict=True)])]
    assert_close(exact, stepped, 1e-11, "tangent")


@for_each_case(rows=differentiable)
def test_vjp_is_the_transpose_of_jvp(case: Case) -> None:
    """<J v, w> = <v, J^T w>, and cotangents have the shapes and dtypes of the operands."""
    args = case.args()
    fun, active, tangents = case.smooth(args), case.pick(args), case.pick(case.tangents(args))
    value, pushed = fg.jvp(fun, active, tangents)
    pulled_value, pull = fg.vjp(fun, *active)
    assert_close(pulled_value, value, 0.0, "value")
    w = [random_like(y, case.rng(200)) for y in value]
    pulled = pull(w)
    for ct, x in zip(pulled, active, strict=True):
        assert (np.shape(ct), ct.dtype) == (np.shape(x), x.dtype)
    (left, scale), (right, _) = pairing(pushed, w), pairing(tangents, pulled)
    assert abs(left - right) <= (1e-4 if case.single else 1e-11) * max(1.0, scale), f"{left} against {right}"
    assert_close(pull(w), pulled, 0.0, "cotangents of a second call")


@for_each_case("fF", rows=differentiable)
def test_single_precision(case: Case) -> None:
    """In single precision derivatives are those of double precision up to rounding."""
    args = case.args()
    double = tuple([x.astype(DOUBLE[case.dtype]) if k in case.active else x for k, x in enumerate(args)])
    tangents = case.pick(case.tangents(args))
    value, pushed = fg.jvp(case.smooth(args), case.pick(args), tangents)
    reference = fg.jvp(case.smooth(double), case.pick(double), tuple([t.astype(DOUBLE[case.dtype]) for t in tangents]))[
        1
    ]
    assert_close(
        pushed,
        [t.astype(y.dtype)[()] for t, y in zip(reference, value, strict=True)],
        max(2e-4, case.row.tolerance),
        "tangent",
    )
    w = [random_like(y, case.rng(200)) for y in value]
    _, pull = fg.vjp(case.smooth(double), *case.pick(double))
    reference = pull([random_like(y, case.rng(200)) for y in case.smooth(double)(*case.pick(double))])
    expected = [t.astype(x.dtype)[()] for t, x in zip(reference, case.pick(args), strict=True)]
    assert_close(
        list(fg.vjp(case.smooth(args), *case.pick(args))[1](w)), expected, max(2e-4, case.row.tolerance), "cotangent"
    )


@for_each_case("fF", main_only=True, rows=both)
def test_single_precision_throughout(case: Case) -> None:
    """The derivative of a function that computes in single precision computes in single precision."""
    args = case.args()
    fun, active, tangents = case.smooth(args), case.pick(args), case.pick(case.tangents(args))
    if wide_types(fg.make_jaxpr(fun)(*active)):
        return
    w = [random_like(y, case.rng(200)) for y in fun(*active)]
    assert not wide_types(fg.make_jaxpr(lambda x, v: fg.jvp(fun, x, v)[1])(active, tangents))
    assert not wide_types(fg.make_jaxpr(lambda x, ct: fg.vjp(fun, *x)[1](ct))(active, w))


def wide_types(closed: fg.ClosedJaxpr) -> list[Any]:
    """The equations that compute something in double precision (Python numbers aside)."""
    return [eqn for eqn in closed.eqns for v in eqn.outputs if v.aval.dtype.char in "dD" and not v.aval.weak]


@for_each_case(rows=differentiable)
def test_linearize(case: Case) -> None:
    """The linearized function is the jvp, for any tangent; its transpose is the vjp; its jaxpr is well formed."""
    args = case.args()
    fun, active = case.smooth(args), case.pick(args)
    value, linear = fg.linearize(fun, *active)
    tolerance = VALUE[case.dtype]
    for draw in (100, 101):
        tangents = case.pick(case.tangents(args, draw))
        expected_value, expected = fg.jvp(fun, active, tangents)
        assert_close(value, expected_value, 0.0, "value")
        assert_close(linear(*tangents), expected, tolerance, "tangent")
    fg.check_jaxpr(linear.jaxpr)
    w = [random_like(y, case.rng(200)) for y in value]
    assert_close(fg.linear_transpose(linear, *tangents)(w), fg.vjp(fun, *active)[1](w), tolerance, "cotangent")


@for_each_case(rows=both)
def test_derivatives_under_make_jaxpr(case: Case) -> None:
    """jvp and vjp can be recorded on types alone: their jaxprs are well formed, pickle, and compute the same."""
    args = case.args()
    fun, active, tangents = case.smooth(args), case.pick(args), case.pick(case.tangents(args))
    value, pull = fg.vjp(fun, *active)
    w = [random_like(y, case.rng(200)) for y in value]
    for derivative, vectors, expected in (
        (lambda x, v: fg.jvp(fun, x, v)[1], tangents, fg.jvp(fun, active, tangents)[1]),
        (lambda x, ct: fg.vjp(fun, *x)[1](ct), w, pull(w)),
    ):
        closed = fg.make_jaxpr(derivative)(active, vectors)
        fg.check_jaxpr(closed)
        copied = pickle.loads(pickle.dumps(closed))
        assert_close(fg.eval_jaxpr(copied, (), *active, *vectors), list(expected), VALUE[case.dtype], "evaluated")


# Second derivatives


@for_each_case("dD", rows=lambda row: row.differentiable and row.order >= 2)
def test_second_order(case: Case) -> None:
    """Forward over reverse is the limit of difference quotients of the gradient; the other three nestings agree."""
    args = case.args()
    fun, x = case.smooth(args), case.pick(args)
    u, v = (case.pick(case.tangents(args, draw)) for draw in (100, 101))
    w = [random_like(y, case.rng(200)) for y in fun(*x)]

    def pushed(*x: Any) -> Any:
        return fg.jvp(fun, x, v)[1]

    def pulled(*x: Any) -> Any:
        return fg.vjp(fun, *x)[1](w)

    exact = fg.jvp(pulled, x, u)[1]
    assert_close(exact, numerical_jvp(pulled, x, u), case.row.tolerance, "forward over reverse")
    numbers = {
        "forward over reverse": pairing(exact, v),
        "forward over forward": pairing(fg.jvp(pushed, x, u)[1], w),
        "reverse over forward": pairing(fg.vjp(pushed, *x)[1](w), u),
        "reverse over reverse": pairing(fg.vjp(pulled, *x)[1](v), u),
    }
    scale = max(1.0, *[s for _, s in numbers.values()])
    expected = numbers["forward over reverse"][0]
    for name, (number, _) in numbers.items():
        assert abs(number - expected) <= 1e-9 * scale, f"{name}: {number} instead of {expected}"


# Batching


def subsets(n: int) -> Iterator[tuple[bool, ...]]:
    """Which operands are batched: all choices for up to three operands, else all of them and each one alone."""
    for flags in itertools.product((True, False), repeat=n):
        if any(flags) and (n <= 3 or all(flags) or sum(flags) == 1):
            yield flags


def examples(case: Case, flags: tuple[bool, ...]) -> list[tuple[Any, ...]]:
    """The operands of each example of a batch; those that are not batched are the same in all."""
    first = case.args()
    return [
        tuple([x if f else y for f, x, y in zip(flags, case.args(draw), first, strict=True)]) for draw in range(BATCH)
    ]


def batched(xs: list[tuple[Any, ...]], flags: tuple[bool, ...], axes: list[int | None]) -> list[Any]:
    """The operands with those that are batched stacked along their axes."""
    return [np.stack(x, axis) if f else x[0] for x, f, axis in zip(zip(*xs, strict=True), flags, axes, strict=True)]


def loop(fun: Callable[..., Any], xs: list[tuple[Any, ...]], out_axis: int = 0) -> Any:
    """What vmap must give: the results of a Python loop, stacked."""
    return tree.map(lambda *ys: np.stack(ys, out_axis), *[fun(*x) for x in xs])


@for_each_case(rows=abstractable)
def test_vmap(case: Case) -> None:
    """vmap is a loop, whichever operands are batched, wherever their batch axes stand and the result's shall stand."""
    for number, flags in enumerate(subsets(len(case.shapes))):
        xs = examples(case, flags)
        for turn in range(2 if case.dtype == case.row.dtypes[0] else 1):
            places = [range(-len(s) - 1, len(s) + 1) for s in case.shapes]
            axes = [
                p[(number + k + 3 * turn + 1) % len(p)] if f else None
                for k, (p, f) in enumerate(zip(places, flags, strict=True))
            ]
            out_axis = (0, -1)[(number + turn) % 2]
            mapped = fg.vmap(case.row.fun, in_axes=tuple(axes), out_axes=out_axis)(*batched(xs, flags, axes))
            assert_close(
                mapped, loop(case.row.fun, xs, out_axis), VALUE[case.dtype], f"in_axes={axes}, out_axes={out_axis}"
            )


@for_each_case("dD", rows=both)
def test_vmap_of_derivatives(case: Case) -> None:
    """vmap of jvp and of vjp is a loop over the examples, whichever operands are batched."""
    for flags in subsets(len(case.shapes)):
        xs = examples(case, flags)
        tangents = [case.pick(case.tangents(x, 100 + k)) for k, x in enumerate(xs)]
        xs_in = batched(xs, flags, [0] * len(flags))
        axes = tuple([0 if f else None for f in flags])

        def push(args: Any, vectors: Any) -> Any:
            return fg.jvp(case.smooth(args), case.pick(args), vectors)[1]

        mapped = fg.vmap(push, in_axes=(axes, 0))(
            tuple(xs_in), tuple([np.stack(t) for t in zip(*tangents, strict=True)])
        )
        assert_close(
            mapped, loop(push, list(zip(xs, tangents, strict=True))), VALUE[case.dtype], f"vmap of jvp, batched {flags}"
        )

        def pull(args: Any, w: Any) -> Any:
            return fg.vjp(case.smooth(args), *case.pick(args))[1](w)

        ws = [[random_like(y, case.rng(200 + k)) for y in inexact_leaves(case.row.fun(*x))] for k, x in enumerate(xs)]
        mapped = fg.vmap(pull, in_axes=(axes, 0))(tuple(xs_in), [np.stack(w) for w in zip(*ws, strict=True)])
        assert_close(
            mapped, loop(pull, list(zip(xs, ws, strict=True))), VALUE[case.dtype], f"vmap of vjp, batched {flags}"
        )


@for_each_case("dD", rows=both)
def test_derivatives_of_vmap(case: Case) -> None:
    """jvp and vjp of a vmapped function are those of the loop: examples do not mix, shared operands collect."""
    for flags in subsets(len(case.shapes)):
        xs = examples(case, flags)
        args = tuple(batched(xs, flags, [0] * len(flags)))
        axes = tuple([0 if f else None for f in flags])

        def mapped(*active: Any, args: Any = args, axes: Any = axes) -> Any:
            return inexact_leaves(fg.vmap(case.row.fun, in_axes=axes)(*case.merge(args, active)))

        def looped(*active: Any, args: Any = args, flags: Any = flags) -> Any:
            def example(k: int) -> list[Any]:
                return inexact_leaves(
                    case.row.fun(*[x[k] if f else x for x, f in zip(case.merge(args, active), flags, strict=True)])
                )

            return [np.stack(ys) for ys in zip(*[example(k) for k in range(BATCH)], strict=True)]

        active = case.pick(args)
        tangents = case.pick(tuple([random_like(x, case.rng(100)) for x in args]))
        expected = numerical_jvp(looped, active, tangents)
        _, pushed = fg.jvp(mapped, active, tangents)
        assert_close(pushed, expected, case.row.tolerance, f"jvp of vmap, batched {flags}")
        w = [random_like(y, case.rng(200)) for y in pushed]
        (left, scale), (right, _) = pairing(pushed, w), pairing(tangents, fg.vjp(mapped, *active)[1](w))
        assert abs(left - right) <= 1e-11 * max(1.0, scale), f"vjp of vmap, batched {flags}: {left} against {right}"


# No derivative


@for_each_case(rows=lambda row: not row.differentiable)
def test_no_derivative(case: Case) -> None:
    """A result without a derivative has a float0 tangent if it is no floating-point number, else a zero one.

    Its operands get zeros.
    """
    args = case.args()
    value, tangent = fg.jvp(case.row.fun, args, case.tangents(args))
    for t, y in zip(tree.leaves(tangent), tree.leaves(value), strict=True):
        y = np.asarray(y)
        assert t.dtype == (y.dtype if y.dtype.kind in "fc" else fg.float0)
        assert t.dtype == fg.float0 or not np.any(t)
    ct = tree.map(lambda y: random_like(y, case.rng(200)), value)
    for x, x_bar in zip(args, fg.vjp(case.row.fun, *args)[1](ct), strict=True):
        assert (np.shape(x_bar), x_bar.dtype) == (np.shape(x), x.dtype if x.dtype.kind in "fc" else fg.float0)
        assert x_bar.dtype == fg.float0 or not np.any(x_bar)


# The catalogue itself


def primitives_of(closed: fg.ClosedJaxpr) -> set[str]:
    """The names of the primitives in a jaxpr, and in the jaxprs in it."""
    names = set()
    for eqn in closed.eqns:
        names.add(eqn.primitive.name)
        for param in eqn.params.values():
            if isinstance(param, fg.ClosedJaxpr):
                names |= primitives_of(param)
    return names


@pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in ROWS if r.primitives and r.batched])
def test_row_covers_what_it_says(row: Row) -> None:
    """A row that claims to cover a primitive uses it, itself or in one of its derivatives."""
    case = next(cases(row))
    args = case.args()
    fun, active = case.smooth(args), case.pick(args)

    def pull(*x: Any) -> Any:
        value, pullback = fg.vjp(fun, *x)
        return pullback([y * 0.5 for y in value])

    used = primitives_of(fg.make_jaxpr(row.fun)(*args))
    if row.differentiable:
        tangents = case.pick(case.tangents(args))
        used |= primitives_of(fg.make_jaxpr(lambda x, v: fg.jvp(fun, x, v)[1])(active, tangents))
        used |= primitives_of(fg.make_jaxpr(pull)(*active))
    if row.differentiable and row.order >= 2:
        used |= primitives_of(fg.make_jaxpr(lambda x, v: fg.vjp(pull, *x)[1](v))(active, tangents))
    assert set(row.primitives) <= used, f"{set(row.primitives) - used} are not among {sorted(used)}"


def test_every_primitive_has_a_row() -> None:
    """Each primitive that a module of fungrad defines is covered by a row, and each row's primitives exist."""
    for module in LATER:
        load_later(module)
    modules = [m for name, m in sys.modules.items() if name == "fungrad" or name.startswith("fungrad.")]
    own = {
        p.name for m in modules for p in vars(m).values() if isinstance(p, Primitive) and p is PRIMITIVES.get(p.name)
    }
    covered = {name for row in ROWS for name in row.primitives}
    missing = own - covered - COLLECTIVES - CALLS
    assert not missing, f"without a row: {sorted(missing)}"
    assert not covered - own, f"unknown primitives: {sorted(covered - own)}"


def test_names_are_unique() -> None:
    """A row's name is the id of its tests."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})

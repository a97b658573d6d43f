"""cond and switch: which branch runs, types of results, derivatives at the edge, batches, errors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from support.loops import A, Counter, V, W, assert_no_alias, assert_same

import fungrad as fg
from fungrad.control.cond import cond, switch
from fungrad.control.while_loop import while_loop
from fungrad.errors import (
    NonDifferentiableError,
    NonLinearError,
    TracerBoolConversionError,
    TransformTypeError,
    TransformValueError,
)
from fungrad.testing import check_grads


def under_jit(true_fun, false_fun, *operands, pred=True):
    """A cond whose predicate is not known when it is recorded."""
    return fg.jit(lambda p, *o: cond(p, true_fun, false_fun, *o))(pred, *operands)


@pytest.mark.parametrize("pred", [True, False, 1, 0, 2.5, 0.0, np.True_, np.float64(-1), np.array(0), np.nan, 1j])
def test_predicates(pred):
    """Numbers are true unless zero, as in Python; known or not."""
    expected = 1.0 if pred else 2.0
    assert cond(pred, lambda: 1.0, lambda: 2.0) == expected
    assert under_jit(lambda: 1.0, lambda: 2.0, pred=pred) == expected


def test_operands():
    """Pytrees, several of them, none, or one by keyword."""
    for run in (cond, fg.jit(cond, static_argnums=(1, 2))):
        assert_same(run(True, lambda a, b: a["x"] + b, lambda a, b: b, {"x": V}, V), 2 * V)
        assert run(False, lambda: None, lambda: None) is None
        assert_same(run(False, lambda a: (a, (), None), lambda a: (a * 2, (), None), V), (2 * V, (), None))
    assert_same(cond(False, lambda x: x, lambda x: x * 2, operand=V), 2 * V)
    assert cond(True, lambda x: x, lambda x: 1, operand=None) is None


def test_a_known_predicate_runs_one_branch_as_python_does():
    """The other one is not called; what it returns may be anything; Python's control flow works inside."""
    count = Counter()
    assert cond(True, lambda x: "text" if x > 0 else x, lambda x: count(), 1.0) == "text"
    assert switch(1, [count, lambda: "one", count]) == "one"
    assert fg.grad(lambda x: cond(x > 0, lambda x: x * x if x > 1 else x, lambda x: count() or x, x))(3.0) == 6.0
    assert count.n == 0


def factorial(n):
    """Recursion ends where the predicate is known."""
    return cond(n <= 1, lambda: 1, lambda: n * factorial(n - 1))


def test_recursion():
    """A branch that is not taken is not called, so that a recursive function ends."""
    assert factorial(5) == 120


def test_an_unknown_predicate_records_both_and_runs_one():
    """Both are recorded, once; an error of the branch that is not taken does not happen."""
    count = Counter()
    f = fg.jit(lambda w: cond(w.sum() > 0, lambda w: count() or np.linalg.inv(w), lambda w: count() or w, w))
    assert_same(f(np.zeros((2, 2))), np.zeros((2, 2)))
    assert_same(f(np.eye(2) * 2), np.eye(2) / 2)
    assert count.n == 2
    with pytest.raises(np.linalg.LinAlgError) as caught:
        f(np.ones((2, 2)))
    assert any("test_cond.py" in note for note in caught.value.__notes__)


def test_closed_over_values_are_computed_in_the_branch():
    """Branches without operands do what they do when they are taken alone: no errors, warnings, nan of the other."""

    def f(w):
        return cond(w > 0, lambda: np.sqrt(w), lambda: 2 * w)

    assert_same(fg.jit(f)(-1.0), np.float64(-2.0))
    assert_same(fg.jit(fg.grad(f))(0.0), np.float64(2.0))
    assert_same(fg.jit(fg.grad(f))(4.0), np.float64(0.25))
    assert_same(fg.grad(fg.jit(f))(0.0), np.float64(2.0))
    assert_same(fg.jit(fg.hessian(f))(0.0), np.float64(0.0))
    inverse = fg.jit(lambda w: cond(w.sum() > 0, lambda: np.linalg.inv(w), lambda: w))
    assert_same(inverse(np.zeros((3, 3))), np.zeros((3, 3)))
    jaxpr = fg.make_jaxpr(f)(1.0)
    assert "sqrt" not in [e.primitive.name for e in jaxpr.jaxpr.eqns]


def test_results_are_apart():
    """What a branch passes on is copied under jit."""
    for pred in (True, False):
        got = under_jit(lambda x: (x, x, W), lambda x: (x[::-1], x, W), V, pred=pred)
        assert_no_alias(got, V, W)
        assert_same(got, (V if pred else V[::-1], V, W))


def test_numbers_take_the_dtype_of_the_other_branch():
    """A Python number in one result is of the dtype of the array or the number in the other."""
    assert_same(under_jit(lambda: 1.5, lambda: np.float32(2)), np.float32(1.5))
    assert_same(under_jit(lambda: 1, lambda: 2.5), np.float64(1.0))
    assert_same(under_jit(lambda: {"a": 3}, lambda: {"a": np.int8(2)}), {"a": np.int8(3)})
    got = fg.jit(lambda i: switch(i, [lambda: 1, lambda: 2.0, lambda: 3j]))(0)
    assert_same(got, np.complex128(1))


def test_derivatives():
    """The derivative is that of the branch taken, to second order, in both modes, with closures and operands."""

    def f(a, v):
        return cond(a > 0, lambda v: np.sin(v) * a, lambda v: v * v * a**3, v)

    for a in (A, -A):
        check_grads(fg.jit(f), (a, V), order=2)
        expected = fg.hessian(lambda a: np.sum(f(a, V)))(a)
        assert_same(fg.jit(fg.hessian(lambda a: np.sum(f(a, V))))(a), expected)
        third = fg.grad(fg.grad(fg.grad(lambda a: np.sum(f(a, V)))))
        assert_same(fg.jit(third)(a), third(a))


def test_derivatives_with_integers_and_constants():
    """Results that are integers or do not depend on the operands have none; operands of one branch alone have zero."""

    def f(x, y):
        return cond(x > 0, lambda x, y: (x * 2, 3, W[0]), lambda x, y: (y, 4, W[1] * y), x, y)[0]

    for x, expected in ((1.0, (2.0, 0.0)), (-1.0, (0.0, 1.0))):
        got = fg.jit(fg.grad(lambda x, y: f(x, y), (0, 1)))(x, 5.0)
        assert_same(got, tuple(map(np.float64, expected)))
    nothing = fg.jit(fg.grad(lambda x: cond(x > 0, lambda x: 1.0, lambda x: 2.0, x)))
    assert nothing(1.0) == 0.0


def test_a_batched_predicate_selects():
    """Each example has its own branch, in values and derivatives; both branches run."""
    xs = np.array([-2.0, -0.5, 0.5, 2.0])

    def f(x):
        return cond(x > 0, lambda x: (np.sin(x), x), lambda x: (x * x, -x), x)

    rows = [f(x) for x in xs]
    expected = tuple(np.array([r[k] for r in rows]) for k in range(2))
    assert_same(fg.vmap(f)(xs), expected)
    assert_same(fg.jit(fg.vmap(f))(xs), expected)
    expected = np.stack([fg.grad(lambda x: f(x)[0])(x) for x in xs])
    assert_same(fg.vmap(fg.grad(lambda x: f(x)[0]))(xs), expected)
    assert_same(fg.vmap(fg.jit(fg.grad(lambda x: f(x)[0])))(xs), expected)


def test_a_predicate_that_is_not_batched_runs_one_branch():
    """Under vmap with a predicate of the outside one branch runs, for the whole batch."""
    f = fg.jit(lambda p, xs: fg.vmap(lambda x: cond(p, lambda x: np.log(x), lambda x: x * 2, x))(xs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(f(False, -V), -2 * V)


def test_switch():
    """An index out of range is clamped, known or not or batched, of any integer dtype."""
    branches = [lambda: 0, lambda: 1, lambda: 2]
    cases = {-3: 0, -1: 0, 0: 0, 1: 1, 2: 2, 3: 2, 1000: 2}
    for index, expected in cases.items():
        assert switch(index, branches) == expected
        assert fg.jit(lambda k: switch(k, branches))(index) == expected
        assert fg.jit(lambda k: switch(k, branches))(np.int16(index)) == expected
    assert fg.jit(lambda k: switch(k, branches))(np.uint8(200)) == 2
    batched = fg.vmap(lambda k: switch(k, branches))(np.array(list(cases)))
    assert np.array_equal(batched, list(cases.values()))
    assert fg.jit(lambda k: switch(k, [lambda: 7]))(3) == 7


def test_switch_derivatives():
    """Derivatives of the branch chosen, residuals of different types in one cond."""
    branches = [
        lambda x: np.sin(x) * x[::-1],
        lambda x: np.linalg.solve(np.eye(3) + np.outer(x, x), x),
        lambda x: np.float64(2) * x,
        lambda x: np.sort(x) ** 3,
    ]
    f = fg.jit(lambda k, x: fg.jacrev(lambda x: switch(k, branches, x))(x))
    g = fg.jit(lambda k, x: fg.jacfwd(fg.jacrev(lambda x: switch(k, branches, x)))(x))
    for k, branch in enumerate(branches):
        assert_same(f(k, V), fg.jacrev(branch)(V))
        assert_same(g(k, V), fg.jacfwd(fg.jacrev(branch))(V))
    ks = np.array([0, 1, 2, 3, 9])
    expected = np.stack([fg.jacrev(branches[min(k, 3)])(V) for k in ks])
    assert_same(fg.vmap(lambda k: fg.jacrev(lambda x: switch(k, branches, x))(V))(ks), expected)
    expected = np.stack([fg.jacfwd(fg.jacrev(branches[min(k, 3)]))(V) for k in ks])
    assert_same(fg.jit(fg.vmap(lambda k: fg.jacfwd(fg.jacrev(lambda x: switch(k, branches, x)))(V)))(ks), expected)


def test_batched_residuals_are_those_of_the_branch():
    """With a batched index each linear branch gets its own residuals: no errors, no warnings where all are finite."""
    xs = np.array([-1.0, 2.0])
    branches = [
        lambda x: x * x,
        lambda x: np.linalg.solve(np.eye(2) * x + 3 * np.eye(2)[::-1], np.ones(2)).sum(),
        lambda x: np.sin(x) / x,
    ]
    for k in (1, 2):

        def f(x, k=k):
            return cond(x > 0, branches[k], branches[0], x)

        for order in range(1, 3):
            g = f
            for _ in range(order):
                g = fg.grad(g)
            assert_same(fg.vmap(g)(xs), np.stack([g(x) for x in xs]))
            assert_same(fg.jit(fg.vmap(g))(xs), np.stack([g(x) for x in xs]))


def test_collectives():
    """A branch may use the names of the axes around it."""
    got = fg.vmap(lambda x: cond(x > 0, lambda c: fg.psum(c, "i"), lambda c: c, x), axis_name="i")(V)
    assert_same(got, np.array([0.7, -0.7, 0.7]))


def test_linear_transpose():
    """Of linear branches; a predicate that depends on what it is to be linear in is refused, affine branches too."""
    f = fg.jit(lambda p, x: cond(p, lambda x: W @ x, lambda x: 2 * x, x))
    assert_same(fg.linear_transpose(lambda x: f(True, x), V)(V)[0], W.T @ V)
    assert_same(fg.linear_transpose(lambda x: f(False, x), V)(V)[0], 2 * V)
    with pytest.raises(NonLinearError, match=r"predicate of a lax\.cond .* depends on"):
        fg.linear_transpose(lambda x: cond(x.sum() > 0, lambda x: W @ x, lambda x: 2 * x, x), V)(V)
    g = fg.jit(lambda p, x: cond(p, lambda x: W @ x + 1, lambda x: 2 * x, x))
    with pytest.raises(NonLinearError, match="adds a constant"):
        fg.linear_transpose(lambda x: g(True, x), V)(V)


def test_linear_transpose_of_a_constant_branch():
    """A branch that returns a constant is not linear."""
    f = fg.jit(lambda p, x: cond(p, lambda x: W @ x, lambda x: np.ones(3), x))
    with pytest.raises(NonLinearError):
        fg.linear_transpose(lambda x: f(False, x), V)(V)


def test_a_loop_in_a_branch_that_is_not_taken():
    """It does not run."""
    f = fg.jit(lambda p, x: cond(p, lambda x: x, lambda x: while_loop(lambda c: c == c, lambda c: c + 1, x), x))
    assert f(True, 1.0) == 1.0


UNKNOWN = {
    "tree": (
        lambda: under_jit(lambda: {"a": 1.0}, lambda: {"b": 1.0}),
        TransformTypeError,
        r"result of true_fun .*test_cond\.py.* result of false_fun .*only the first has a leaf \['a'\]",
    ),
    "None": (lambda: under_jit(lambda: None, lambda: 1.0), TransformTypeError, "same tree structure"),
    "shape": (
        lambda: under_jit(lambda: {"a": {"q": V}}, lambda: {"a": {"q": V[:2]}}),
        TransformTypeError,
        r"the leaf \['a'\]\['q'\] is f64\[3\] in the first and f64\[2\] in the second; use the same shape",
    ),
    "dtype": (
        lambda: under_jit(lambda: [V], lambda: [V.astype("f4")]),
        TransformTypeError,
        r"the leaf \[0\] is f64\[3\] in the first and f32\[3\] in the second; .*astype\(np\.float64\)",
    ),
    "switch shape": (
        lambda: fg.jit(lambda k: switch(k, [lambda: V, lambda: V, lambda: V[0]]))(1),
        TransformTypeError,
        r"result of branches\[0\] .*result of branches\[2\] .*its only leaf is f64\[3\] in the first and f64\[\]",
    ),
    "string": (lambda: under_jit(lambda: "a", lambda: 1.0), NonDifferentiableError, "result is not an array"),
    "if": (
        lambda: under_jit(lambda x: x if x > 0 else -x, lambda x: x, 1.0),
        TracerBoolConversionError,
        r"fungrad\.lax\.cond of .*test_cond\.py",
    ),
}

ALWAYS = {
    "array": (
        lambda: cond(V > 0, lambda: 1, lambda: 2),
        TransformTypeError,
        r"got bool\[3\]; to choose by element use np\.where",
    ),
    "string": (lambda: cond("a", lambda: 1, lambda: 2), TransformTypeError, "pred must be a scalar, got str: 'a'"),
    "list": (lambda: cond([True], lambda: 1, lambda: 2), TransformTypeError, "pred must be a scalar"),
    "None": (lambda: cond(None, lambda: 1, lambda: 2), TransformTypeError, "pred must be a scalar, got .*None"),
    "function": (lambda: cond(lambda: True, lambda: 1, lambda: 2), TransformTypeError, "got function"),
    "no function": (lambda: cond(True, 1, 2), TransformTypeError, "expects a function, got int"),
    "twice": (lambda: cond(True, abs, abs, 1, operand=1), TransformTypeError, "by position or operand= by keyword"),
    "no branches": (lambda: switch(0, []), TransformValueError, "at least one branch"),
    "float index": (
        lambda: switch(0.5, [abs]),
        TransformTypeError,
        r"integer, got f64\[\]; for a boolean use lax\.cond",
    ),
    "bool index": (lambda: switch(True, [abs, abs]), TransformTypeError, r"integer, got bool\[\]"),
    "no function in switch": (lambda: switch(0, [3]), TransformTypeError, "expects a function, got int"),
}


@pytest.mark.parametrize("name", [*sorted(UNKNOWN), *[f"{n} always" for n in sorted(ALWAYS)]])
def test_errors(name):
    """A wrong use says what it was given, what is expected, and what to write."""
    run, error, message = ALWAYS[name.removesuffix(" always")] if name.endswith(" always") else UNKNOWN[name]
    with pytest.raises(error, match=message):
        run()

"""Evaluation of jaxprs: results, nesting, freeing."""

import weakref

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import PRIMITIVES, Primitive


def _f(x, y):
    return np.sin(x) @ y + np.arange(3.0), x[0], 5.0


@pytest.fixture
def registry():
    """Forget the primitives that a test declares."""
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


def test_gives_what_the_function_gives():
    """Evaluating the jaxpr of a function on other values is calling the function."""
    closed = fg.make_jaxpr(_f)(np.zeros((2, 4)), np.zeros((4, 3)))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4)), rng.normal(size=(4, 3))
    for got, want in zip(evaluate(closed, [x, y]), _f(x, y), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15)


def test_results_may_be_inputs_constants_and_literals():
    """All kinds of atoms can be results."""
    c = np.arange(2.0)
    a, k = Var(ShapedArray((), np.float64)), Var(ShapedArray((2,), np.float64))
    assert evaluate(ClosedJaxpr(Jaxpr([k], [a], [], [a, k, Literal(3), a]), [c]), [7.0])[::2] == [7.0, 3]
    assert evaluate(ClosedJaxpr(Jaxpr([k], [a], [], [k]), [c]), [7.0])[0] is c


def test_evaluation_on_tracers_records_anew():
    """The jaxpr of a function is as differentiable as the function."""
    closed = fg.make_jaxpr(lambda x: np.sum(np.sin(x) ** 2))(np.zeros(3))
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(fg.grad(lambda x: evaluate(closed, [x])[0])(x), np.sin(2 * x))
    np.testing.assert_allclose(fg.hessian(lambda x: evaluate(closed, [x])[0])(x), np.diag(2 * np.cos(2 * x)))
    assert str(fg.make_jaxpr(lambda x: evaluate(closed, [x])[0])(x)) == str(closed)


def test_values_are_dropped_after_their_last_use(registry):
    """While a later equation runs, an intermediate that nothing reads any more is gone."""
    aval = ShapedArray((4,), np.float64)
    alive = []

    class Array(np.ndarray):
        pass

    def make(x):
        y = (x + 1.0).view(Array)
        alive.append(weakref.ref(y))
        return y

    def watch(x):
        counts.append(sum(r() is not None for r in alive))
        return x

    counts = []
    first = Primitive("test_make", make, abstract=lambda x: x)
    second = Primitive("test_watch", watch, abstract=lambda x: x)
    a, b, c, d, e = (Var(aval) for _ in range(5))
    eqns = [
        Equation(first, [a], {}, [b]),
        Equation(first, [b], {}, [c]),
        Equation(first, [c], {}, [d]),
        Equation(second, [d], {}, [e]),
    ]
    evaluate(ClosedJaxpr(Jaxpr([], [a], eqns, [e]), []), [np.zeros(4)])
    assert counts == [1]


def test_eval_jaxpr_takes_open_and_closed():
    """Constants are given for an open jaxpr and may be replaced for a closed one."""
    closed = fg.make_jaxpr(lambda x: x * np.arange(3.0))(np.ones(3))
    x = np.full(3, 2.0)
    for out in (
        fg.eval_jaxpr(closed, (), x),
        fg.eval_jaxpr(closed.jaxpr, closed.consts, x),
        fg.eval_jaxpr(closed, closed.consts, x),
    ):
        np.testing.assert_array_equal(out[0], [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(fg.eval_jaxpr(closed, [np.ones(3)], x)[0], x)


def test_eval_jaxpr_counts_its_arguments():
    """Too few arguments or constants are a TypeError with both numbers."""
    closed = fg.make_jaxpr(lambda x: x * np.arange(3.0))(np.ones(3))
    with pytest.raises(TypeError, match="the jaxpr has 1 arguments, got 2"):
        fg.eval_jaxpr(closed, (), 1.0, 2.0)
    with pytest.raises(TypeError, match="the jaxpr has 1 constants, got 0"):
        fg.eval_jaxpr(closed.jaxpr, (), 1.0)

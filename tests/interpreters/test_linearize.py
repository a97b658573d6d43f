"""Linearizations: the tangent map at a point, pushed, pulled, and as a jaxpr."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.record import record_values
from fungrad.interpreters.linearize import Linearization


def _linearize(fun, values):
    outs, tape = record_values("test", fun, values, fun)
    return outs, Linearization(tape, [typeof(v) for v in values], [typeof(o) for o in outs], "test", fun)


def _f(x, y):
    return [np.sin(x) * y, x, np.ones(2)]


X, Y = 0.5, np.array([1.0, 3.0])


def test_push_and_pull():
    """Both directions agree with the formulae; results that do not depend on the input have zero tangents."""
    outs, lin = _linearize(_f, [X, Y])
    np.testing.assert_allclose(outs[0], np.sin(X) * Y)
    t = lin.push([2.0, np.ones(2)])
    np.testing.assert_allclose(t[0], 2 * np.cos(X) * Y + np.sin(X))
    assert t[1] == 2.0
    np.testing.assert_array_equal(t[2], [0.0, 0.0])
    x_bar, y_bar = lin.pull([np.ones(2), 1.0, np.ones(2)])
    assert x_bar == pytest.approx(np.cos(X) * Y.sum() + 1.0)
    np.testing.assert_allclose(y_bar, np.sin(X) * np.ones(2))


def test_zeros_have_the_type_of_what_they_belong_to():
    """None in, zeros out, of the right shape and dtype."""
    _, lin = _linearize(lambda x, y: [x * 2.0, y], [np.ones((2, 3), np.float32), 1j])
    t = lin.push([None, None])
    assert (t[0].shape, t[0].dtype, type(t[1])) == ((2, 3), np.float32, np.complex128)
    x_bar, y_bar = lin.pull([None, None])
    assert (x_bar.shape, x_bar.dtype, type(y_bar)) == ((2, 3), np.float32, np.complex128)
    assert not x_bar.any() and not y_bar


def test_results_that_share_a_variable_add_up():
    """The same traced array returned twice gets the sum of both cotangents."""
    _, lin = _linearize(lambda x: [x, x, x * 2.0], [1.0])
    assert lin.pull([1.0, 10.0, 100.0]) == [211.0]


def test_linear_jaxpr_holds_only_linear_work():
    """What depends on the point alone is a constant: no sin, cos or exp is left."""
    _, lin = _linearize(lambda x: [np.sin(x) * np.exp(x)], [np.ones(3)])
    jaxpr = lin.linear_jaxpr()
    fg.check_jaxpr(jaxpr)
    assert {e.primitive.name for e in jaxpr.eqns} <= {"mul", "add"}
    assert jaxpr.in_avals == jaxpr.out_avals == (ShapedArray((3,), np.float64),)
    transposed = lin.transposed_jaxpr()
    fg.check_jaxpr(transposed)
    assert {e.primitive.name for e in transposed.eqns} <= {"mul", "add"}
    t = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(fg.eval_jaxpr(jaxpr, (), t)[0], lin.push([t])[0])
    np.testing.assert_array_equal(fg.eval_jaxpr(transposed, (), t)[0], lin.pull([t])[0])


def test_the_function_is_run_once():
    """However often the map is used, the function is not run again."""
    calls = []

    def f(x):
        calls.append(1)
        return np.exp(x) * x

    y, push = fg.linearize(f, np.ones(2))
    for _ in range(3):
        push(np.ones(2))
    y, pull = fg.vjp(f, np.ones(2))
    for _ in range(3):
        pull(np.ones(2))
    fg.jacfwd(f)(np.ones(5))
    fg.jacrev(f)(np.ones(5))
    assert len(calls) == 4


def test_linear_jaxpr_of_a_linear_function_is_that_function():
    """No residuals, no constants: the tangent map of a linear function is itself."""
    _, push = fg.linearize(lambda x: 2.0 * x[1:] - x[0], np.arange(3.0))
    assert push.jaxpr.consts == ()
    np.testing.assert_array_equal(push(np.array([1.0, 2.0, 3.0])), [3.0, 5.0])


def test_linear_jaxpr_inside_another_recording_closes_over_its_tracers():
    """linearize inside grad: residuals are tracers of the outer recording."""

    def f(x):
        _, push = fg.linearize(np.sin, x)
        fg.check_jaxpr(push.jaxpr)
        return push(1.0)

    assert fg.grad(f)(0.5) == pytest.approx(-np.sin(0.5))
    np.testing.assert_allclose(fg.vmap(f)(np.array([0.5, 1.0])), np.cos([0.5, 1.0]))
    fg.check_jaxpr(fg.make_jaxpr(f)(0.5))

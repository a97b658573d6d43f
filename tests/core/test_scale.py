"""Long programs: no recursion limit, and time that grows linearly with the number of equations."""

import gc
import os
import pickle
import sys
import time

import numpy as np
import pytest

import fungrad as fg

LONG = 200_000


def _chain(n):
    """x -> x * 0.5 + 1.0, n / 2 times: n equations, value 2 - 2^-(n/2) (2 - x)."""

    def f(x):
        for _ in range(n // 2):
            x = x * 0.5 + 1.0
        return x

    return f


def _products(n):
    """x * (1 + eps) n times: the derivative is not zero at the end of a long chain."""

    def f(x):
        for _ in range(n):
            x = x * 1.00001
        return x

    return f


def _seconds(run, n):
    """The least processor time of a few runs, without the garbage collector (its passes come when they like)."""
    best = np.inf
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            start = time.process_time()
            run(n)
            best = min(best, time.process_time() - start)
    finally:
        gc.enable()
    return best


def _make_jaxpr(n):
    closed = fg.make_jaxpr(_products(n))(1.0)
    assert len(closed.eqns) == n
    return closed


def _grad(n):
    assert fg.grad(_products(n))(1.0) == pytest.approx(1.00001**n, rel=1e-9)


def _vjp(n):
    y, pull = fg.vjp(_products(n), 1.0)
    assert pull(2.0)[0] == pytest.approx(2 * 1.00001**n, rel=1e-9)
    assert pull(1.0)[0] == pytest.approx(1.00001**n, rel=1e-9)


def _jvp(n):
    assert fg.jvp(_products(n), (1.0,), (3.0,))[1] == pytest.approx(3 * 1.00001**n, rel=1e-9)


def _linearize(n):
    _, push = fg.linearize(_products(n), 1.0)
    assert push(1.0) == pytest.approx(1.00001**n, rel=1e-9)


def _linear_transpose(n):
    assert fg.linear_transpose(_products(n), 1.0)(1.0)[0] == pytest.approx(1.00001**n, rel=1e-9)


def _vmap(n):
    np.testing.assert_allclose(
        fg.vmap(_products(n))(np.array([1.0, 2.0])), 1.00001**n * np.array([1.0, 2.0]), rtol=1e-9
    )


def _jacobian(n):
    assert fg.jacfwd(_products(n))(np.ones(1))[0, 0] == pytest.approx(1.00001**n, rel=1e-9)


def _grad_of_grad(n):
    assert fg.grad(fg.grad(lambda x: _products(n)(x) * x))(1.0) == pytest.approx(2 * 1.00001**n, rel=1e-9)


def _pickle(n):
    closed = _make_jaxpr(n)
    again = pickle.loads(pickle.dumps(closed))
    assert fg.eval_jaxpr(again, (), 1.0)[0] == pytest.approx(1.00001**n, rel=1e-9)


def _show_and_check(n):
    closed = _make_jaxpr(n)
    fg.check_jaxpr(closed)
    assert str(closed).count("\n") == n + 1


ROUTES = [
    _make_jaxpr,
    _grad,
    _vjp,
    _jvp,
    _linearize,
    _linear_transpose,
    _vmap,
    _jacobian,
    _grad_of_grad,
    _pickle,
    _show_and_check,
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__[1:])
def test_two_hundred_thousand_equations(route):
    """A chain far longer than the recursion limit passes, with the right derivative."""
    assert 100 * sys.getrecursionlimit() <= LONG
    route(LONG)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__[1:])
def test_time_is_linear(route):
    """Eight times the equations take about eight times as long; quadratic work would take 64 times."""
    small, large = _seconds(route, 2_000), _seconds(route, 16_000)
    assert large < 40 * small  # between 8 and 64, with room for a busy machine


@pytest.mark.skipif("FUNGRAD_TEST_SLOW" not in os.environ, reason="set FUNGRAD_TEST_SLOW=1 to run it (a minute, 2 GB)")
@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__[1:])
def test_a_million_equations(route):
    """The design's bound: a million equations without a recursion error."""
    route(1_000_000)


def test_a_wide_fan_in_is_linear():
    """One variable that is read n times accumulates n cotangents, in time linear in n."""

    def f(x):
        total = 0.0
        for k in range(20_000):
            total = total + x * k
        return total

    assert fg.grad(f)(1.0) == pytest.approx(sum(range(20_000)))


def test_deep_nesting_of_transforms():
    """Ten derivatives of x^12 nest without trouble."""
    f, want = (lambda x: x**12), 1.0
    for k in range(6):
        f = fg.grad(f)
        want *= 12 - k
    assert f(1.0) == pytest.approx(want)


def test_indexing_in_a_loop_is_not_quadratic_in_memory_traffic():
    """Reading every element of a vector in a Python loop takes time linear in its length."""

    def run(n):
        def f(x):
            total = 0.0
            for k in range(n):
                total = total + x[k] * x[k]
            return total

        x = np.arange(n) / n
        np.testing.assert_allclose(fg.grad(f)(x), 2 * x)

    assert _seconds(run, 8_000) < 24 * _seconds(run, 1_000)


def test_long_recursion_in_user_code_is_the_users_limit():
    """A recursive user function of depth 200 is fine: fungrad adds few frames of its own per call."""

    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    assert fg.grad(power)(1.0, 200) == pytest.approx(200.0)
    assert fg.grad(fg.grad(power))(1.0, 100) == pytest.approx(9900.0)
    assert np.isfinite(fg.value_and_grad(_chain(10))(1.0)[1])

"""Maxima that only shift lose their derivative; others keep it."""

from __future__ import annotations

import numpy as np
import pytest
from support.jaxprs import assert_same_meaning

import fungrad as fg
from fungrad.control.call import inline
from fungrad.passes.optimize import optimize
from fungrad.passes.shifts import shifts

X, Y = np.random.default_rng(0).standard_normal((2, 4, 5))


def logsumexp(x, axis):
    """As people write it."""
    top = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(x - top), axis=axis))


def softmax(x, axis=-1):
    """As people write it."""
    weights = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return weights / np.sum(weights, axis=axis, keepdims=True)


def softmin(x):
    """With what is positive."""
    weights = np.exp(np.min(x, axis=1)[:, None] - x)
    return weights / np.sum(weights, axis=1)[:, None]


def log_softmax(x):
    """As people write it."""
    x = x - np.max(x, axis=1, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))


def sinkhorn(x, y):
    """Logarithms of sums of exponentials in a row, each of what the one before gave."""
    v = np.zeros(5)
    for _ in range(3):
        u = -logsumexp(v - x, 1)
        v = -logsumexp(u[:, None] - x, 0)
    return np.sum(np.exp(u[:, None] + v - x) * x)


def masked(x, y):
    """An attention that may not look everywhere."""
    allowed = y > -0.5
    seen = np.where(allowed, x, -30.0)
    weights = np.where(allowed, np.exp(seen - np.max(seen, axis=1, keepdims=True)), 0)
    return weights / np.sum(weights, axis=1, keepdims=True)


SHIFTS = {
    "logsumexp of rows": lambda x, y: np.sum(np.sin(logsumexp(x, 1))),
    "logsumexp of columns": lambda x, y: np.sum(np.sin(logsumexp(x, 0))),
    "logsumexp of all": lambda x, y: logsumexp(x.ravel(), 0) ** 2,
    "softmax": lambda x, y: np.sum(softmax(x) * y),
    "softmax of columns": lambda x, y: np.sum(softmax(x, 0) ** 2 * y),
    "products with a softmax": lambda x, y: np.sum(np.tanh(softmax(x @ y.T) @ y)),
    "softmax of a softmax": lambda x, y: np.sum(softmax(3 * softmax(x)) * y),
    "log_softmax": lambda x, y: np.sum(log_softmax(x) * y) + np.sum(np.cos(log_softmax(x))),
    "by the smallest": lambda x, y: -np.sum(np.sin(-softmin(x) @ np.arange(5.0))),
    "sinkhorn": sinkhorn,
    "masked": lambda x, y: np.sum(masked(x, y) * np.cos(y)),
    "mapped": lambda x, y: np.sum(fg.vmap(lambda row: softmax(row) @ np.arange(5.0))(x)),
    "in a call": lambda x, y: np.sum(fg.jit(softmax)(x) * y),
}  # fmt: skip

OTHERS = {
    "the maximum itself": lambda x, y: np.sum(np.max(x, axis=1) ** 2),
    "exponentials that are not divided": lambda x, y: np.sum(np.exp(x - np.max(x, axis=1, keepdims=True))),
    "another sum": lambda x, y: np.sum(np.log(np.sum(np.exp(2 * (x - np.max(x, axis=1, keepdims=True))), axis=1))),
    "half of it": lambda x, y: np.sum(
        0.5 * np.max(x, axis=1) + np.log(np.sum(np.exp(x - np.max(x, 1, keepdims=True)), 1))
    ),
    "the softmax and the maximum": lambda x, y: np.sum(softmax(x) * y * np.max(x, axis=1, keepdims=True)),
}


def program_of(f):
    """The value and gradient of a function, with calls replaced by their equations."""
    return inline(fg.make_jaxpr(fg.value_and_grad(f))(X, Y))


def comparisons(closed):
    """How many times elements are compared with the largest."""
    return sum(e.primitive.name == "equal" for e in closed.eqns)


@pytest.mark.parametrize("name", list(SHIFTS))
def test_left_out(name):
    """No comparison is left, also after the other passes, and the gradient is the same."""
    closed = program_of(SHIFTS[name])
    assert comparisons(closed)
    for run in (shifts, optimize):
        after = run(closed)
        assert comparisons(optimize(after)) == 0
        assert_same_meaning(after, closed, (X, Y))
    fg.testing.check_grads(fg.jit(SHIFTS[name]), (X, Y), order=1)


@pytest.mark.parametrize("name", list(OTHERS))
def test_kept(name):
    """The derivative of a maximum that matters."""
    closed = program_of(OTHERS[name])
    assert comparisons(optimize(closed)) >= 1
    assert_same_meaning(optimize(closed), closed, (X, Y))
    fg.testing.check_grads(fg.jit(OTHERS[name]), (X, Y), order=1)


def test_ties_and_infinities():
    """Several largest elements, elements of minus infinity, rows that give nan: as without the pass."""
    x = np.array([[1.0, 1.0, 0.0], [-np.inf, 2.0, 1.0], [np.inf, 1.0, 0.0], [np.nan, 1.0, 0.0], [-np.inf] * 3])
    y = np.arange(15.0).reshape(5, 3)
    for f in (lambda x: np.sum(softmax(x) * y, axis=1), lambda x: logsumexp(x, 1)):
        closed = inline(fg.make_jaxpr(lambda x, f=f: fg.vjp(f, x)[1](np.ones(5)))(x))
        assert_same_meaning(optimize(closed), closed, (x,))


def test_what_zeros_are_added_to():
    """Only what has the type of the sum is the sum."""

    def f(x, y):
        y = y[:, :1]
        shares = np.where(x == np.max(x, axis=1, keepdims=True), (y - y) / 2.0, 0)
        return shares - x, x[0] + shares, x - shares, shares + shares, shares * 2.0 + x

    closed = inline(fg.make_jaxpr(f)(X, Y))
    after = shifts(closed)
    assert_same_meaning(after, closed, (X, Y))
    assert len(after.eqns) == len(closed.eqns) - 2


def test_second_derivatives():
    """Hessians go through the maxima that are left."""
    f = lambda x: logsumexp(x, 0) + softmax(x) @ np.arange(5.0)
    np.testing.assert_allclose(fg.jit(fg.hessian(f))(X[0]), fg.hessian(f)(X[0]), atol=1e-12)
    np.testing.assert_allclose(
        fg.jit(fg.grad(lambda x: fg.grad(f)(x) @ Y[0]))(X[0]), fg.hessian(f)(X[0]) @ Y[0], atol=1e-12
    )

"""Forward mode of while loops in compiled programs: one loop for the carry and its tangents."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad import lax


def root(a, x=1.0):
    """The cube root, by Newton's iteration."""
    return lax.while_loop(
        lambda x: np.abs(x**3 - a) > 1e-9 * np.abs(a), lambda x: x - (x**3 - a) / (3 * x**2), x + 0 * a
    )


def power(x, n, scale=1.0):
    """The n-th power, by a loop with an integer and an array in its carry."""
    return lax.while_loop(
        lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * x * scale, c[2] + np.sum(c[1])), (0, x + 1.0, 0.0)
    )[1:]


def loops_of(f, *args):
    """The names of the loops in an optimised program."""
    jaxpr = fg.jit(f).lower(*args).optimized.jaxpr
    return [e.primitive.name for e in jaxpr.eqns if e.primitive.name in ("while", "repeat")]


X = np.array([0.7, 1.9, 30.0])
CASES = {
    "of the condition's constants": (lambda a: fg.jvp(root, (a,), (1.0,)), (8.0,)),
    "of the carry": (lambda x: fg.jvp(lambda x: root(27.0, x), (x,), (2.0,)), (2.0,)),
    "over a batch": (lambda a: fg.jvp(fg.vmap(root), (a,), (np.ones(3),)), (X,)),
    "an integer in the carry": (lambda x: fg.jvp(lambda x: power(x, 4), (x,), (X,)), (X,)),
    "constants without tangents": (lambda x, s: fg.jvp(lambda x: power(x, 3, s), (x,), (X,)), (X, 0.5)),
    "no iteration": (lambda x: fg.jvp(lambda x: power(x, 0), (x,), (X,)), (X,)),
    "two loops": (lambda x: fg.jvp(lambda x: root(root(x)) + root(x, 2.0), (x,), (1.0,)), (9.0,)),
    "tangents alone": (lambda a: fg.jvp(root, (a,), (1.0,))[1], (8.0,)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_one_loop(name):
    """The same numbers as step by step, in as many loops as there are."""
    f, args = CASES[name]
    for got, want in zip(fg.tree.leaves(fg.jit(f)(*args)), fg.tree.leaves(f(*args)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10)
    assert loops_of(f, *args) == ["while"] * (3 if name == "two loops" else 1)


def test_tangents_that_depend_on_the_loop_stay_apart():
    """They are not known when it begins."""
    f = lambda a: (lambda y: fg.jvp(root, (a,), (y,)))(root(a))
    np.testing.assert_allclose(fg.jit(f)(8.0), f(8.0), rtol=1e-10)
    assert sorted(loops_of(f, 8.0)) == ["repeat", "while"]


def test_batches_of_tangents_stay_apart():
    """The loop itself has no batch."""
    f = fg.jacfwd(fg.vmap(root))
    np.testing.assert_allclose(fg.jit(f)(X), np.diag(X ** (-2 / 3) / 3), rtol=1e-8)


def test_other_modes():
    """Reverse mode and higher derivatives are what they were."""
    for f, x in (
        (fg.grad(root), 8.0),
        (fg.grad(fg.grad(root)), 8.0),
        (fg.hessian(lambda x: np.sum(power(x, 3)[0])), X),
    ):
        np.testing.assert_allclose(fg.jit(f)(x), f(x), rtol=1e-8)
    second = lambda a: fg.jvp(lambda a: fg.jvp(root, (a,), (1.0,))[1], (a,), (1.0,))
    np.testing.assert_allclose(fg.jit(second)(8.0), second(8.0), rtol=1e-8)
    np.testing.assert_allclose(second(8.0)[1], -2 / 9 * 8.0 ** (-5 / 3), rtol=1e-6)

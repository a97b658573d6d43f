"""What iterations hand on to the next ones changes nothing but the time."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import evaluated

import fungrad as fg
from fungrad import lax
from fungrad.control.onward import onward
from fungrad.passes.optimize import optimize
from fungrad.testing import random_program

A, X = np.array([2.0, 3.0, 5.0]), np.array([1.0, 1.5, 2.0])


def divided(body, consts, carry):
    """The body of a loop with the condition as last result, optimised, and what `onward` makes of it."""
    closed = optimize(fg.make_jaxpr(body)(*consts, *carry))
    return closed, onward(closed, len(consts), len(carry))


def iterated(closed, consts, carry, n, handed=()):
    """The carry and the last result after some iterations; what is handed on stands behind the carry."""
    state = [*carry, *handed]
    last = None
    for _ in range(n):
        *state, last = evaluated(closed, [*consts, *state])
    return [*state[: len(carry)], last]


def assert_same(body, consts, carry, n=3):
    """The same carries and conditions, iteration by iteration; how many equations are saved in each."""
    closed, found = divided(body, consts, carry)
    if found is None:
        return 0
    first, rest = found
    fg.check_jaxpr(first)
    fg.check_jaxpr(rest)
    handed = evaluated(first, [*consts, *carry])
    for k in range(1, n + 1):
        for a, b in zip(iterated(rest, consts, carry, k, handed), iterated(closed, consts, carry, k), strict=True):
            np.testing.assert_array_equal(a, b)
    return len(closed.eqns) - len(rest.eqns)


BODIES = {
    "the function and its derivative": (
        lambda a, x: ((y := x - (x * x - a) / (2 * x)), np.any(np.abs(y * y - a) > 1e-9)),
        (A,),
        (X,),
        2,
    ),
    "nothing in common": (lambda a, x: (np.cos(x * a), np.any(x > 0.5)), (A,), (X,), 0),
    "carries that move on": (lambda x, y: (y, np.sin(x) + np.sin(y), np.any(y > 0)), (), (A, X), 1),
    "a carry that stays": (lambda x, y: (x, y + np.sin(x), np.any(np.sin(x) > 0)), (), (A, X), 0),
    "a carry that becomes a number": (lambda x, y: (np.zeros(3), y + np.sin(x), np.any(y > 9)), (), (A, X), 0),
    "views alone": (lambda x: (x + np.sum(x.reshape(3, 1)), np.any((x + 1).T > 0)), (), (X,), 0),
    "what is a result, too": (lambda x, y: ((z := x * 0.5), np.exp(x) + np.exp(z) + y, np.any(y < 0)), (), (X, A), 1),
    "a result that is handed on": (lambda x, y: ((z := x * 0.5), np.exp(x), np.any(np.exp(z) < y)), (), (X, A), 1),
    "numbers": (lambda a, x: ((y := 0.5 * (x + a / x)), np.abs(y - a / y) > 1e-9), (2.0,), (1.0,), 1),
}


@pytest.mark.parametrize("name", list(BODIES))
def test_bodies(name):
    """The values are the same bit by bit, and what can be handed on is."""
    body, consts, carry, saved = BODIES[name]
    assert assert_same(body, consts, carry) == saved


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_law(seed):
    """Random bodies, whose conditions share what the bodies begin with."""
    program = random_program(random.Random(seed).choice, 2, shapes=((3,),))
    share = lambda x, y: np.tanh(program(x, y))

    def body(a, x, y):
        new = 0.5 * x + 0.1 * np.sum(share(x, a)) * y
        return new, 0.5 * y + np.mean(share(x, a)), np.any(share(new, a) > 0.1)

    assert_same(body, (program.args[0],), program.args)


LOOPS = {
    "scalars": lambda a: lax.while_loop(lambda x: np.abs(x * x - a) > 1e-12, lambda x: x - (x * x - a) / (2 * x), a),
    "arrays": lambda a: np.sum(
        lax.while_loop(lambda x: np.any(np.abs(x**3 - a) > 1e-10), lambda x: x - (x**3 - a) / (3 * x**2), 1.0 + 0 * A)
    ),
    "mapped": lambda a: np.sum(
        fg.vmap(
            lambda b: lax.while_loop(
                lambda x: np.abs(x**3 - b * a) > 1e-10, lambda x: x - (x**3 - b * a) / (3 * x**2), 1.0
            )
        )(A)
    ),
    "no iteration": lambda a: lax.while_loop(lambda x: x * a < 0, lambda x: x * a, a),
    "one constant twice": lambda a: lax.while_loop(
        lambda x: np.sum(A * x - A * a) > 1e-3, lambda x: x - 0.3 * np.sum(A * x - A * a) / np.sum(A), 9.0
    ),
}


@pytest.mark.parametrize("name", list(LOOPS))
def test_loops(name):
    """Compiled or not, and their derivatives in both modes."""
    f = LOOPS[name]
    want = f(2.0)
    np.testing.assert_allclose(fg.jit(f)(2.0), want, rtol=1e-12)
    slope = (f(2.0 + 1e-5) - f(2.0 - 1e-5)) / 2e-5
    for g in (fg.grad(f), fg.jit(fg.grad(f)), lambda a: fg.jit(lambda a: fg.jvp(f, (a,), (1.0,)))(a)[1]):
        np.testing.assert_allclose(g(2.0), slope, rtol=1e-6, atol=1e-8)


def test_operands_that_are_one_array():
    """A loop compiled for constants that are one array is not taken for others."""
    f = lambda a, b, x: lax.while_loop(lambda x: np.any(x - a > 0) & np.all(x > -1e4), lambda x: x - b, x)
    closed = fg.make_jaxpr(f)(A, 2 * A, X)
    for g in (lambda *args: fg.eval_jaxpr(closed, (), *args)[0], f, fg.jit(f)):
        for a, b in ((A, A), (A, 2 * A), (A.copy(), A), (A, A)):
            want = X * 100
            while np.any(want - a > 0):
                want = want - b
            np.testing.assert_array_equal(g(a, b, X * 100), want)

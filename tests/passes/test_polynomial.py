"""What is told to be zero is zero, and what is zero by the rules of arithmetic is told."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import evaluated

import fungrad as fg
from fungrad.core.ir import Var
from fungrad.passes.cse import cse
from fungrad.passes.fold import fold
from fungrad.passes.polynomial import is_zero

X, Y, S = (np.random.default_rng(k).uniform(0.5, 2.0, shape) for k, shape in enumerate([(3, 4), (3, 4), 3]))


def is_told(f, *args, count=40):
    """Whether the result of a function is found to be zero."""
    closed = cse(fold(fg.make_jaxpr(f)(*args)))
    (out,) = closed.jaxpr.outvars
    return isinstance(out, Var) and is_zero(out, {v: e for e in closed.eqns for v in e.outputs}, count)


ZEROS = {
    "signs": lambda x, y, s: (x - y) + -(x - y),
    "products": lambda x, y, s: (x + y) * (x - y) - (np.square(x) - y * y),
    "quotients": lambda x, y, s: x / y * y - x,
    "quotients of sums": lambda x, y, s: np.sum(x, axis=1) / np.sum(x, axis=1) - 1.0,
    "factors out of sums": lambda x, y, s: np.sum(x * s[:, None], axis=1) - s * np.sum(x, axis=1),
    "factors of columns": lambda x, y, s: np.sum(x * y[0], axis=0) / y[0] - np.sum(x, axis=0),
    "sums in sums": lambda x, y, s: (
        np.sum(x * np.sum(y, axis=1, keepdims=True), axis=1) - np.sum(np.sum(x, axis=1, keepdims=True) * y, axis=1)
    ),
    "products in sums": lambda x, y, s: x @ np.sum(y, axis=0) - np.sum(np.sum(y, axis=0) * x, axis=1),
    "transposed": lambda x, y, s: np.sum(x.T * s, axis=0) - np.sum(x, axis=1) * s,
    "transposed products": lambda x, y, s: (x @ y.T).T - y @ x.T,
    "counted": lambda x, y, s: np.sum(np.broadcast_to(s[:, None], (3, 4)), axis=1) - (s + s + s + s),
    "axes of size one": lambda x, y, s: np.sum(s.reshape(3, 1) * x, axis=1) - (x[None] @ np.ones(4)).reshape(3) * s,
    "choices": lambda x, y, s: np.where(x > y, x, 0) + np.where(x > y, 0, x) - x,
    "chosen twice": lambda x, y, s: np.where(x > y, np.where(x > y, x, 0), 0) - np.where(x > y, x, y - y),
    "of what is not looked into": lambda x, y, s: (
        np.sum(np.exp(x) / s[:, None], axis=1) * s - np.sum(np.exp(x), axis=1)
    ),
    "softmax": lambda x, y, s: np.sum(
        np.exp(x)
        * (
            y / np.sum(np.exp(x), axis=1, keepdims=True)
            - np.sum(y * np.exp(x), axis=1, keepdims=True) / np.sum(np.exp(x), axis=1, keepdims=True) ** 2
        ),
        axis=1,
    ),
}

OTHERS = {
    "other axes": lambda x, y, s: np.sum(x[:, :3], axis=0) - np.sum(x[:, :3], axis=1),
    "transposed": lambda x, y, s: x[:, :3] - x[:, :3].T,
    "other rows": lambda x, y, s: np.sum(x * s[:, None], axis=0) - np.sum(x, axis=0) * s[0],
    "squares of sums": lambda x, y, s: np.sum(x, axis=1) ** 2 - np.sum(x * x, axis=1),
    "products of sums": lambda x, y, s: np.sum(x, axis=1) * np.sum(y, axis=1) - np.sum(x * y, axis=1),
    "one summed for both": lambda x, y, s: np.sum(x[:, :3] @ x[:, :3], axis=0) - np.sum(x[:, :3], axis=0) ** 2,
    "numbers of terms": lambda x, y, s: np.sum(np.broadcast_to(s[:, None], (3, 4)), axis=1) - (s + s + s),
    "numbers": lambda x, y, s: x * 2.0 - x * 2.0000001,
    "choices": lambda x, y, s: np.where(x > y, x, 0) - np.where(x > 1.0, x, 0),
    "quotients of choices": lambda x, y, s: x / np.where(x > y, y, 0) * np.where(x > y, y, 0) - x,
    "quotients of multiples": lambda x, y, s: y / (x + x) - (y / x + y / x),
    "not zero everywhere": lambda x, y, s: np.where(x > y, x - x, x),
}


@pytest.mark.parametrize("name", list(ZEROS))
def test_zeros(name):
    """Told, and zero."""
    assert is_told(ZEROS[name], X, Y, S)
    np.testing.assert_allclose(ZEROS[name](X, Y, S), 0, atol=1e-12)


@pytest.mark.parametrize("name", list(OTHERS))
def test_what_is_not_zero(name):
    """Not told."""
    assert not is_told(OTHERS[name], X, Y, S)
    with np.errstate(all="ignore"):
        assert not np.abs(OTHERS[name](X, Y, S)).max() < 1e-9


def _draw(choose, depth):
    """A formula for an array of three rows of four."""
    if depth == 0:
        return choose(("x", "y", "s[:, None]", "x", "y", "y[0]", "np.exp(x)"))
    form = choose((
        "({a} + {b})", "({a} - {b})", "({a} * {b})", "({a} / ({c}))", "(-{a})", "np.square({a})", "(2.0 * {a})",
        "np.sum({a} + x * 0, axis=1, keepdims=True)", "np.sum({a} * {b} * np.ones((3, 4)), axis=0)",
        "np.where(x > y, {a}, {b})", "np.where(x > y, 0, {a})", "(({a} + np.zeros((3, 4))).T * s).T",
        "((({a}) + x * 0) @ y.T @ x)", "(s[:, None] * (x @ y.T).T @ ({a} + x * 0))",
    ))  # fmt: skip
    a, b = _draw(choose, depth - 1), _draw(choose, choose(range(depth)))
    return form.format(a=a, b=b, c=choose(("y", "s[:, None]", "x")))


def _rewritten(text, choose):
    """The same by the rules of arithmetic, written otherwise."""
    return choose((
        "({a} + x - x)", "-(-({a}))", "({a}) * s[:, None] / s[:, None]",
        "({a} * y + {a} * x) / (y * 1.0) - {a} * x / y",
        "np.where(x > y, {a}, 0) + np.where(x > y, 0, {a})", "(({a} + np.zeros((3, 4))).T + 0.0).T",
    )).format(a=text)  # fmt: skip


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_law(seed):
    """Of random formulae: differences that are told to be zero are, of two ways to write one and of others."""
    draw = random.Random(seed)
    text = _draw(draw.choice, draw.choice((1, 2, 3)))
    other = _rewritten(text, draw.choice) if draw.random() < 0.5 else _draw(draw.choice, 2)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        f = eval(f"lambda x, y, s: ({text}) * np.ones((3, 4)) - ({other})", {"np": np})
        scale = np.abs(eval(text, {"np": np, "x": X, "y": Y, "s": S})).max()
        if is_told(f, X, Y, S, count=60):
            (value,) = evaluated(fg.make_jaxpr(f)(X, Y, S), (X, Y, S))
            np.testing.assert_allclose(value, 0, atol=1e-9 * max(1.0, scale))


def test_only_the_nearest_equations():
    """What is further away is not looked into, wherever it is used."""
    f = lambda x: (np.sin(x) * 2.0) / x * x - np.sin(x) * 2.0
    assert is_told(f, X, count=4)
    assert not is_told(f, X, count=3)


def test_of_many_terms_nothing_is_told():
    """They are not multiplied out."""
    f = lambda *xs: (sum(xs) * sum(xs)) * sum(xs) - sum(xs) * (sum(xs) * sum(xs))
    args = [np.arange(1.0, 3.0) + k for k in range(9)]
    assert not is_told(f, *args, count=100)
    assert is_told(f, *args[:3], count=100)

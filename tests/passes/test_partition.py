"""partition: what is computed first, what is kept, and what is computed again."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.evaluate import evaluate
from fungrad.passes.partition import partition

LARGE = np.linspace(0.1, 2.0, 5000)
SMALL = LARGE[:10]


def split(f, x, may_save=None):
    """A function of a known and an unknown argument, taken apart; checked to compute the same."""
    closed = fg.make_jaxpr(f)(x, x)
    first, rest = partition(closed, [True, False], 0, may_save)
    for part in (first, rest):
        fg.check_jaxpr(part)
    (expected,) = evaluate(closed, [x, x + 1.0])
    (found,) = evaluate(rest, [*evaluate(first, [x]), x + 1.0])
    np.testing.assert_array_equal(found, expected)
    return first, rest


def names(closed):
    """The primitives of the equations."""
    return [e.primitive.name for e in closed.eqns]


def kept(f, x, may_save=None):
    """What the residuals are made by."""
    first, _ = split(f, x, may_save)
    made = {v: e.primitive.name for e in first.eqns for v in e.outputs}
    return [made.get(v, "argument") for v in first.jaxpr.outvars]


def test_residuals_are_what_the_rest_reads():
    """Intermediate values that only known ones read are not kept."""
    assert kept(lambda x, t: np.exp(np.sin(x)) * t, SMALL) == ["exp"]
    assert kept(lambda x, t: x * t, SMALL) == ["argument"]
    assert kept(lambda x, t: np.sin(t), SMALL) == []


def test_views_are_made_again():
    """Of what is kept; so it is kept once."""
    first, rest = split(lambda x, t: (np.sin(x).reshape(2, -1) * t.reshape(2, -1)).sum() * np.sin(x), SMALL)
    assert [v.aval.shape for v in first.jaxpr.outvars] == [(10,)] * len(first.jaxpr.outvars)
    assert "reshape" in names(rest)


@pytest.mark.parametrize(
    ("f", "large", "small"),
    [
        (lambda x, t: t * x + t * -x, ["argument"], ["argument", "neg"]),
        (lambda x, t: t * x + t * (x * x), ["argument"], ["argument", "mul"]),
        (lambda x, t: (lambda y: y * t + (1.0 - y * y) * t)(np.tanh(x)), ["tanh"], ["tanh", "sub"]),
        (lambda x, t: t * np.sin(x) * np.cos(x), ["sin", "cos"], ["sin", "cos"]),
        (lambda x, t: (lambda y: t * y + t * np.exp(y))(np.sin(x)), ["sin", "exp"], ["sin", "exp"]),
        (lambda x, t: t * (np.sin(x) * 2.0), ["mul"], ["mul"]),
        (lambda x, t: t * (x * 2.0), ["mul"], ["mul"]),
        (lambda x, t: (lambda y, z: t * y + z * (y + t) + t * (y - z))(np.sin(x), np.exp(x)), ["sin", "exp"], None),
    ],
)
def test_cheap_arrays_are_made_again(f, large, small):
    """If they are large, and of other residuals; nothing else becomes one for that, and no sin or exp is repeated."""
    assert sorted(kept(f, LARGE)) == sorted(large)
    if small is not None:
        assert sorted(kept(f, SMALL)) == sorted(small)


def test_a_mask_is_kept():
    """A byte for each element is less than a comparison takes."""
    assert kept(lambda x, t: np.where(x > 1.0, t, 0.0) * x, LARGE).count("greater") == 1


def test_long_chains_are_not_made_again():
    """Eight operations take longer than an array."""

    def f(x, t):
        y = x
        for _ in range(9):
            y = y * x + 1.0
        return t * x + t * y

    assert "add" in kept(f, LARGE)


def test_each_of_many_residuals_may_come_of_the_last():
    """Where all are read anyway, each is made once; the number of equations stays linear."""

    def f(x, t):
        y, total = x, t * x
        for _ in range(30):
            y = y * x
            total = total + t * y
        return total

    first, rest = split(f, LARGE)
    assert len(first.jaxpr.outvars) == 1
    assert names(rest).count("mul") == 61


def test_a_predicate_says_what_is_kept():
    """Everything else is computed again from that and the arguments, also sin and exp."""
    f = lambda x, t: t * np.exp(np.cos(np.sin(x)))
    assert kept(f, LARGE, lambda e: False) == ["argument"]
    assert kept(f, LARGE, lambda e: e.primitive.name == "sin") == ["sin"]
    assert kept(f, LARGE, lambda e: True) == ["exp"]
    _, rest = split(f, LARGE, lambda e: e.primitive.name == "sin")
    assert names(rest) == ["cos", "exp", "mul"]


def test_long_programs():
    """Thousands of views of views need no recursion."""

    def f(x, t):
        y = x
        for k in range(3000):
            y = y.reshape((10, 1) if k % 2 == 0 else (10,))
        return t * y

    first, rest = split(f, SMALL)
    assert len(rest.eqns) == 3001 and not first.eqns

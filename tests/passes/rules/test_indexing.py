"""Rules of what indices add up: sums of scattered arrays with the same indices become one."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.passes.algebra import algebra
from fungrad.passes.cse import cse
from fungrad.passes.dce import dce
from fungrad.primitives.indexing import scatter_add

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.integers(0, 5, 12), RNG.integers(0, 5, 12)
X, Y, Z = (RNG.standard_normal((12, 3)) for _ in range(3))


def S(x, i):
    """Rows added up into five."""
    return scatter_add(x, i, shape=(5, 3))


CASES = {
    "same indices": (lambda x, y, z, i, j: S(x, i) + S(y, i), 1),
    "a difference": (lambda x, y, z, i, j: S(x, i) - S(y, i), 1),
    "other indices": (lambda x, y, z, i, j: S(x, i) + S(y, j), 2),
    "among others": (lambda x, y, z, i, j: S(x, i) + S(y, j) + S(z, i), 2),
    "on the right": (lambda x, y, z, i, j: S(x, i) + (S(y, j) + S(z, i)), 2),
    "subtracted before": (lambda x, y, z, i, j: S(x, j) - S(y, i) + S(z, i), 2),
    "subtracted twice": (lambda x, y, z, i, j: S(x, j) - S(y, i) - S(z, i), 2),
    "subtracted from": (lambda x, y, z, i, j: S(x, i) - S(y, j) - S(z, i), 2),
    "negative": (lambda x, y, z, i, j: S(-x, i) + S(y, i), 1),
    "read elsewhere": (lambda x, y, z, i, j: (lambda a: (a + S(y, i), a))(S(x, i)), 2),
    "a sum that is read elsewhere": (lambda x, y, z, i, j: (lambda a: (a + S(z, i), a))(S(x, i) + S(y, j)), 3),
    "integers": (lambda x, y, z, i, j: S(np.sign(x).astype(int), i) + S(np.sign(y).astype(int), i), 2),
    "broadcast": (lambda x, y, z, i, j: S(x, i) + np.float64(2.0) * S(y[0, 0] + 0 * z, i).sum(), 2),
}


@pytest.mark.parametrize("name", list(CASES))
def test_sums(name):
    """How many are left, and the same values."""
    f, expected = CASES[name]
    closed = fg.make_jaxpr(f)(X, Y, Z, FIRST, SECOND)
    after = dce(algebra(cse(closed)))
    fg.check_jaxpr(after)
    assert sum(e.primitive.name == "scatter_add" for e in after.eqns) == expected
    values = X, Y, Z, FIRST, SECOND
    for a, b in zip(fg.eval_jaxpr(after, (), *values), fg.eval_jaxpr(closed, (), *values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_negatives_are_taken_out_where_that_is_smaller():
    """Of many rows into few, not of few into many."""

    def negations(rows):
        f = lambda x, i: scatter_add(-x, i, shape=(rows, 3))
        after = dce(algebra(fg.make_jaxpr(f)(X, FIRST)))
        return [e.outputs[0].aval.shape for e in after.eqns if e.primitive.name == "neg"]

    assert negations(5) == [(5, 3)]
    assert negations(50) == [(12, 3)]


def test_gradients_of_looked_up_rows():
    """A table that is looked up twice with each of two sets of indices: one sum for each set."""
    f = lambda e, i, j: np.sum((e[i] - e[j]) ** 2) + np.sum(np.sin(e[i]) * np.cos(e[j]))
    table = RNG.standard_normal((5, 3))
    jitted = fg.jit(fg.grad(f))
    np.testing.assert_allclose(jitted(table, FIRST, SECOND), fg.grad(f)(table, FIRST, SECOND), rtol=1e-12)
    assert jitted.lower(table, FIRST, SECOND).as_text().split("# optimised")[1].count("scatter_add[") == 2

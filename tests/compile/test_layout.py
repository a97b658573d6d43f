"""Short rows: when blocks with their rows last in memory are chosen, and that results are the same in them."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.compile.schedule import Group, schedule

RNG = np.random.default_rng(0)


def groups_of(f, *args):
    """The groups of a compiled function."""
    jaxpr = fg.jit(f).lower(*args).optimized.jaxpr
    return [s for s in schedule(jaxpr) if isinstance(s, Group)]


def energies(q):
    """Of points that repel each other."""
    d = q[:, None] - q
    return np.sum(1.0 / np.sqrt(np.sum(d * d, -1) + 0.1))


def scaled(x, w):
    """Rows times numbers."""
    return np.sin(x * w[:, None]) * w[:, None]


def products(a, v):
    """Stacks of small matrices times vectors."""
    return np.sum(np.einsum("nij,nj->ni", a, v) ** 2)


def small_products(a, b):
    """Stacks of small matrices."""
    return np.einsum("nij,njk->nik", a, b) * 2.0


def outer(a, b):
    """Stacks of outer products."""
    return np.sum(np.sin(np.einsum("ni,nj->nij", a, b)), 0)


CASES = {
    "points": (energies, [(120, 3)]),
    "fewer points": (fg.grad(energies), [(50, 3)]),
    "scaled rows": (fg.grad(lambda x, w: np.sum(scaled(x, w))), [(6000, 3), (6000,)]),
    "matrices and vectors": (fg.grad(products), [(3000, 3, 3), (3000, 3)]),
    "matrices": (small_products, [(3000, 2, 2), (3000, 2, 2)]),
    "outer products": (outer, [(3000, 3), (3000, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16"])
def test_results(name, dtype):
    """What NumPy gives."""
    f, shapes = CASES[name]
    if dtype == "c16" and name not in ("matrices", "outer products"):
        pytest.skip("a real function")
    args = [RNG.standard_normal(s).astype(dtype) for s in shapes]
    tolerance = {"f8": 1e-11, "f4": 1e-3, "c16": 1e-11}[dtype]
    np.testing.assert_allclose(fg.jit(f)(*args), f(*args), rtol=tolerance, atol=tolerance)


def chosen(f, *shapes):
    """Whether a group with rows last is chosen."""
    return any(g.rows_last for g in groups_of(f, *[np.ones(s) for s in shapes]))


def test_which_groups():
    """Where short loops cost more than the copies of what enters and leaves."""
    assert chosen(energies, (120, 3))
    assert chosen(fg.grad(energies), (50, 3))  # small arrays, too
    assert not chosen(energies, (20, 3))  # but not the smallest
    assert chosen(fg.grad(products), (3000, 3, 3), (3000, 3))
    assert not chosen(fg.grad(products), (3000, 16, 16), (3000, 16))  # BLAS is fast at these
    assert not chosen(lambda x, w: x * w[:, None], (50_000, 20), (50_000,))  # three copies for one operation
    assert not chosen(lambda x: np.sin(x) * x, (50_000, 3))  # no loops over rows
    assert not chosen(scaled, (600, 100), (600,))
    assert not groups_of(lambda x, w: x + w, np.ones((1000, 4)), np.ones((1000, 4)))


def test_transposed_arrays_are_copied_once():
    """Of a transposed array that is read several times."""
    f = lambda x: (np.sin(x.T) * 2.0 - np.max(x.T, 1, keepdims=True)) / x.T
    x = RNG.standard_normal((300, 400)) + 9.0
    (group,) = groups_of(f, x)
    assert len(group.turned) == 1
    np.testing.assert_allclose(fg.jit(f)(x), f(x), rtol=1e-12)
    (group,) = groups_of(lambda x: np.sin(x.T) * np.arange(400.0)[:, None], x)
    assert not group.turned

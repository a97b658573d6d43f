"""Results that are written straight into the array that they are a piece of."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg

pytestmark = pytest.mark.usefixtures("groups")


def check(f, *args):
    """The compiled function gives what it gives without; its source."""
    jitted = fg.jit(f)
    for _ in range(2):
        for a, b in zip(fg.tree.leaves(jitted(*args)), fg.tree.leaves(f(*args)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    return jitted.lower(*args).source


SMALL, LARGE = np.linspace(0.1, 1.0, 60), np.linspace(0.1, 1.0, 30000)
SHAPES = [(SMALL, (5, 12)), (LARGE, (100, 300)), (LARGE, (3, 10000))]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("x", "shape"), SHAPES)
def test_concatenate(x, shape, axis):
    """Pieces that are computed are not copied; those that are arguments are."""
    x = x.reshape(shape)
    source = check(lambda x: np.sin(np.concatenate([np.exp(x), x, x * 2.0], axis=axis)), x)
    if x.size == SMALL.size:  # large ones are joined block by block
        assert "concatenate(" not in source
        assert source.count("copyto(") == 1


@pytest.mark.parametrize(
    "key", [np.s_[1:], np.s_[:-1], np.s_[2:-1], np.s_[:, 1:], np.s_[:, 2:-2], np.s_[::2], np.s_[0]]
)
@pytest.mark.parametrize(("x", "shape"), SHAPES)
def test_unslice(x, shape, key):
    """The gradient of a slice: what it comes from stands among zeros."""
    x = x.reshape(shape)
    check(fg.grad(lambda x: np.sum(np.sin(x[key]) ** 2)), x)
    check(fg.grad(lambda x: np.sum(np.sin(x[key]) ** 2) + np.sum(x**3)), x)


def test_zeros_are_written_once():
    """The rest of the array is zero, whatever was in its memory before."""
    f = fg.jit(fg.grad(lambda x: np.sum(np.exp(x[1:-1]))))
    for k in range(1, 4):
        x = LARGE * k
        result = f(x)
        assert result[0] == result[-1] == 0.0
        np.testing.assert_allclose(result[1:-1], np.exp(x[1:-1]))
        result[...] = np.nan
        del result
    assert "unslice" not in f.lower(LARGE).source


def test_a_result_that_is_read_twice_is_copied():
    """What is a piece of two arrays, or a result of its own, is no piece."""

    def f(x):
        y = np.exp(x)
        return y, np.concatenate([y, y * 2.0]), np.concatenate([y, x])

    check(f, SMALL)
    check(f, LARGE)


def test_difference_quotients(groups):
    """A chain of neighbours, as in Rosenbrock's function: two pieces that overlap are added."""
    f = lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    source = check(fg.grad(f), LARGE)
    assert ("group0" in source) == (groups != "as planned")
    assert f"[0:{LARGE.size - 1}]" in source
    check(fg.hessian(f), SMALL)

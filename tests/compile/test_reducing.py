"""Compiled reductions: NumPy's sums, extrema and counts over any axes, in any layout, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray
from fungrad.primitives.reducing import LONGEST, PIECE, extremum_over, is_product, sum_over

RNG = np.random.default_rng(0)

SHAPES = [
    ((300, 7), 1, 2),
    ((300, 7), 0, 1),
    ((5, 60, 4), 1, 2),
    ((5, 60, 4), 0, 2),
    ((5, 60, 4), 1, 3),
    ((PIECE // 8 * 3 + 5, 8), 1, 2),  # three pieces and some rows
    ((PIECE // 8 * 3 + 5, 8), 0, 1),
    ((PIECE // 8, 8), 1, 2),  # one piece
    ((3, LONGEST), 1, 2),
    ((40, LONGEST), 0, 1),
    ((2, 3, 4, 50), 1, 3),
]


@pytest.mark.parametrize(("shape", "first", "last"), SHAPES)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("into", [False, True])
def test_sums(shape, first, last, dtype, into):
    """As NumPy's, with and without memory for the result."""
    x = RNG.standard_normal(shape).astype(dtype)
    axes = tuple(range(first, last))
    assert is_product(ShapedArray(shape, x.dtype), axes)
    want = x.astype("f8").sum(axes)
    out = np.full(want.shape, 7.0, dtype) if into else None
    got = sum_over(x, first, last, out)
    assert got.dtype == dtype
    assert out is None or got is out
    np.testing.assert_allclose(got, want, rtol=1e-12 if dtype == "f8" else 1e-4, atol=1e-12 if dtype == "f8" else 1e-4)


LAYOUTS = {
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "turned": lambda x: x[::-1],
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "read only": lambda x: (x.setflags(write=False), x)[1],
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("axis", [0, 1])
def test_layouts(layout, axis):
    """Arrays and results that BLAS cannot take as they are."""
    x = LAYOUTS[layout](RNG.standard_normal((200, 9)))
    np.testing.assert_allclose(sum_over(x, axis, axis + 1), x.sum(axis), rtol=1e-12, atol=1e-12)
    out = np.zeros((x.sum(axis).size, 2))[:, 0]
    assert sum_over(x, axis, axis + 1, out) is out
    np.testing.assert_allclose(out, x.sum(axis), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
def test_special_values(axis):
    """NaN and infinities stay in their own rows and columns, and become what they become in NumPy."""
    x = RNG.standard_normal((120, 30))
    x[3, 4], x[50, 7], x[60, 8], x[61, 8], x[60, 9] = np.nan, np.inf, np.inf, -np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        want, got = x.sum(axis), fg.jit(lambda x: np.sum(x, axis))(x)
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((300, 7), "i8", (1,)),  # exact
        ((300, 7), "c16", (1,)),
        ((300, 7), "f2", (1,)),
        ((300, 7), "f8", (0, 1)),  # NumPy is as fast
        ((300,), "f8", (0,)),
        ((4, LONGEST + 1), "f8", (1,)),
        ((4, LONGEST + 1), "f8", (0,)),
        ((4, 5), "f8", (1,)),
        ((6, 60, 7), "f8", (0, 2)),
        ((300, 0), "f8", (1,)),
        ((0, 300), "f8", (1,)),
        ((3, 100, 100), "f8", (1,)),
    ],
)
def test_left_to_numpy(shape, dtype, axes):
    """What is no product, or would not gain."""
    assert not is_product(ShapedArray(shape, np.dtype(dtype)), axes)
    x = RNG.standard_normal(shape).astype(dtype)
    np.testing.assert_allclose(fg.jit(lambda x: np.sum(x, axes))(x), np.sum(x, axes), rtol=1e-2, atol=1e-2)


def test_one_order_for_any_number_of_threads(monkeypatch):
    """BLAS's own threads would change the order of a large sum."""
    x = RNG.standard_normal((50_000, 30))
    results = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("FUNGRAD_NUM_THREADS", threads)
        results.append(fg.jit(lambda x: (np.sum(x, 1), np.sum(np.sin(x), 0)))(x))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_text_names_it():
    """The compiled program calls it, in blocks and outside of them."""
    f = fg.jit(lambda x: np.sum(x, 1))
    assert "sum_over(" in f.lower(np.ones((30, 20))).source
    assert "sum_over(" in f.lower(np.ones((3000, 20))).source
    assert "sum_over(" not in f.lower(np.ones((3, 20))).source


EXTREMA = [((300, 40), 1), ((3, 50, 60), 2), ((20, 6, 9), 1), ((40, LONGEST // 2), 1)]


@pytest.mark.parametrize(("shape", "first"), EXTREMA)
@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
@pytest.mark.parametrize("into", [False, True])
def test_extrema(shape, first, ufunc, into):
    """As NumPy's, with ties, infinities and nan."""
    x = np.round(RNG.standard_normal(shape), 1)
    x.reshape(-1)[::97] = np.inf
    x.reshape(-1)[5::131] = -np.inf
    x.reshape(-1)[7::171] = np.nan
    want = ufunc.reduce(x, tuple(range(first, x.ndim)))
    out = np.zeros(want.shape) if into else None
    got = extremum_over(ufunc, x, first, out)
    assert out is None or got is out
    np.testing.assert_array_equal(got, want)
    turned = np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0)
    np.testing.assert_array_equal(extremum_over(ufunc, turned, first, out), want)
    f = fg.jit(lambda x: ufunc.reduce(x, tuple(range(first, x.ndim))))
    assert "extremum_over(" in f.lower(x).source
    np.testing.assert_array_equal(f(x), want)


@pytest.mark.parametrize(
    ("shape", "axes"), [((300, 40), (1,)), ((300, 40), (0,)), ((4, 50, 60), (1,)), ((9, 5000), (1,))]
)
def test_counts(shape, axes):
    """Exact, in any layout."""
    x = RNG.random(shape) > 0.3
    np.testing.assert_array_equal(fg.jit(lambda x: np.count_nonzero(x, axes))(x), np.count_nonzero(x, axes))
    turned = np.ascontiguousarray(x.T).T
    np.testing.assert_array_equal(fg.jit(lambda x: np.count_nonzero(x, axes))(turned), np.count_nonzero(x, axes))
    assert fg.jit(lambda x: np.count_nonzero(x, axes))(x).dtype == np.intp


@pytest.mark.parametrize("shape", [(20_000, 1), (1, 20_000), (20_000, 3), (3, 20_000)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("wrap", [lambda f: f, fg.jit])
def test_gradients_of_extrema_of_long_rows(shape, axis, wrap):
    """One for each extremum: those that attain it are counted."""
    x = RNG.permutation(np.arange(float(np.prod(shape)))).reshape(shape)
    gradient = wrap(fg.grad(lambda x: np.sum(np.max(x, axis))))(x)
    np.testing.assert_array_equal(gradient, (x == np.max(x, axis, keepdims=True)).astype(float))


def test_sums_of_rows_longer_than_a_piece():
    """Never asked for by compiled sums, but right."""
    x = RNG.standard_normal((3, 2 * PIECE))
    np.testing.assert_allclose(sum_over(x, 1, 2), x.sum(1), rtol=1e-11)
    np.testing.assert_allclose(sum_over(x.T.copy(), 0, 1), x.sum(1), rtol=1e-11)
    np.testing.assert_allclose(sum_over(x, 0, 1), x.sum(0), rtol=1e-11, atol=1e-12)

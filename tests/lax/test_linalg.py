"""fungrad.lax.linalg: decompositions put together again, and triangular systems."""

import itertools

import numpy as np
import pytest

import fungrad as fg
from fungrad.lax import linalg
from fungrad.testing import check_grads

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5), (5, 3), (2, 3, 4, 4), (70, 70), (40, 90), (90, 40), (0, 3)])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_lu(shape, kind):
    """The factors make the matrix with its rows in the order that is returned; pivots are the largest ones."""
    a = RNG.standard_normal(shape) + (1j * RNG.standard_normal(shape) if kind == "complex" else 0)
    kept = a.copy()
    lu, pivots, order = linalg.lu(a)
    np.testing.assert_array_equal(a, kept)
    m, n = shape[-2:]
    k = min(m, n)
    lower = np.tril(lu[..., :k], -1) + np.eye(m, k)
    product = lower @ np.triu(lu[..., :k, :])
    np.testing.assert_allclose(product, np.take_along_axis(a, order[..., None], -2), atol=1e-12)
    assert (np.abs(lower) <= 1 + 1e-12).all()
    np.testing.assert_array_equal(linalg.lu_pivots_to_permutation(pivots, m), order)
    np.testing.assert_allclose(linalg.lu(np.asfortranarray(a))[0], lu, atol=1e-12)


def test_lu_of_a_singular_matrix():
    """It is decomposed; a column without a pivot is left."""
    a = np.array([[0.0, 1.0], [0.0, 2.0]])
    lu, pivots, _ = linalg.lu(a)
    np.testing.assert_array_equal(lu, [[0, 1], [0, 2]])
    assert pivots.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (2, 3, 3)])
def test_derivative_of_lu(shape):
    """For square, wide and tall matrices, and stacks; the determinant has the right gradient."""
    a = RNG.standard_normal(shape)
    check_grads(lambda a: linalg.lu(a)[0], (a,), 2)
    if shape[-1] == shape[-2] and a.ndim == 2:
        det = fg.grad(lambda a: np.prod(np.diagonal(linalg.lu(a)[0])))(a)
        np.testing.assert_allclose(np.abs(det), np.abs(np.linalg.det(a) * np.linalg.inv(a).T))


@pytest.mark.parametrize("options", list(itertools.product([False, True], repeat=4)))
def test_triangular_solve(options):
    """From both sides, with each triangle, transposed, with a diagonal of ones."""
    left, lower, transposed, unit = options
    a = RNG.standard_normal((2, 3, 3)) + 3 * np.eye(3)
    b = RNG.standard_normal((2, 3, 2) if left else (2, 2, 3))
    t = np.tril(a) if lower else np.triu(a)
    if unit:
        t = t - t * np.eye(3) + np.eye(3)
    t = np.swapaxes(t, -1, -2) if transposed else t
    keywords = {"left_side": left, "lower": lower, "transpose_a": transposed, "unit_diagonal": unit}
    x = linalg.triangular_solve(a, b, **keywords)
    np.testing.assert_allclose(t @ x if left else x @ t, b, atol=1e-12)
    check_grads(lambda a, b: linalg.triangular_solve(a, b, **keywords), (a, b), 2)


def test_conjugate_triangular_solve():
    """The conjugate matrix."""
    a, b = RNG.standard_normal((3, 3)) + 1j * RNG.standard_normal((3, 3)), RNG.standard_normal((3, 1))
    x = linalg.triangular_solve(a, b, left_side=True, lower=True, conjugate_a=True)
    np.testing.assert_allclose(np.tril(a).conj() @ x, b, atol=1e-12)


def test_the_other_decompositions():
    """Those of numpy.linalg in the order and with the arguments of JAX."""
    a = RNG.standard_normal((4, 4))
    s = a @ a.T + np.eye(4)
    lower = linalg.cholesky(s)
    np.testing.assert_allclose(lower @ lower.T, s)
    gradient = fg.grad(lambda s: linalg.cholesky(s).sum())(s)
    np.testing.assert_allclose(gradient, gradient.T)
    v, w = linalg.eigh(s)
    np.testing.assert_allclose(v * w @ v.T, s)
    q, r = linalg.qr(a[:, :2])
    assert q.shape == (4, 4) and linalg.qr(a[:, :2], full_matrices=False)[0].shape == (4, 2)
    np.testing.assert_allclose(q @ r, a[:, :2])
    u, d, vh = linalg.svd(a)
    np.testing.assert_allclose(u * d @ vh, a)
    np.testing.assert_allclose(linalg.svd(a, compute_uv=False), d)
    w, left, right = linalg.eig(a)
    np.testing.assert_allclose(a @ right, right * w)
    np.testing.assert_allclose(left.conj().T @ a, w[:, None] * left.conj().T)
    np.testing.assert_allclose(np.linalg.norm(left, axis=0), 1)
    assert len(linalg.eig(a, compute_left_eigenvectors=False)) == 2
    x = RNG.standard_normal(4)
    np.testing.assert_allclose(linalg.cholesky_update(lower.T, x), np.linalg.cholesky(s + np.outer(x, x)).T)
    np.testing.assert_allclose(linalg.symmetric_product(a, s, alpha=2.0, beta=3.0), 2 * a @ a.T + 3 * s)
    np.testing.assert_allclose(linalg.symmetric_product(a, s, beta=1.0, symmetrize_output=True), a @ a.T + s)


def test_what_is_not_supported_is_said():
    """And what does not fit."""
    a = np.eye(3)
    for call, error, text in (
        (lambda: linalg.qr(a, pivoting=True), NotImplementedError, "pivoting=True is not supported"),
        (lambda: linalg.eigh(a, subset_by_index=(0, 1)), NotImplementedError, "subset_by_index"),
        (lambda: linalg.triangular_solve(a, a[:2], left_side=True), TypeError, "do not fit with left_side=True"),
        (lambda: linalg.cholesky(-a), np.linalg.LinAlgError, "positive definite"),
        (lambda: linalg.lu_pivots_to_permutation(np.arange(4), 3), ValueError, "at most 3 integers"),
    ):
        with pytest.raises(error, match=text):
            call()

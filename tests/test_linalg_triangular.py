"""Triangular systems and inverses by blocks, and Cholesky's derivative at the sizes where blocks are used."""

from typing import Any

import numpy as np
import pytest

import fungrad as fg
from fungrad.primitives.linalg.triangular import BLOCK, PAYS, inv_triangular, solve_triangular
from fungrad.testing import check_grads, numerical_jvp

SIZES = [PAYS - 1, PAYS + 1, 3 * BLOCK]
EPS = {"d": 2.0**-53, "D": 2.0**-53, "f": 2.0**-24, "F": 2.0**-24}


def draw(*shape: int, dtype: str = "d", seed: int = 0) -> Any:
    """Normally distributed elements."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype in "DF" else x).astype(dtype)


def smooth_kernel(n: int, noise: float) -> Any:
    """The covariance of a Gaussian process, close to singular without noise."""
    x = np.sort(np.random.default_rng(0).uniform(0, 10, n))
    return np.exp(-((x[:, None] - x) ** 2) / 2) + noise * np.eye(n)


def kahan(n: int, angle: float) -> Any:
    """A lower triangular matrix which is far more ill-conditioned than its diagonal tells (Kahan 1966)."""
    s, c = np.sin(angle), np.cos(angle)
    return (np.eye(n) - c * np.tri(n, k=-1)) * s ** np.arange(n)


def factors() -> dict[str, Any]:
    """Lower triangular matrices whose condition numbers are 1e7 to 1e28."""
    n = 3 * BLOCK + 5
    return {
        "smooth kernel": np.linalg.cholesky(smooth_kernel(n, 1e-12)),
        "unit diagonal": np.tril(draw(n, n), -1) + np.eye(n),
        "kahan": kahan(n, 1.2),
        "graded rows": np.tril(draw(n, n)) * 10.0 ** -np.linspace(0, 12, n)[:, None],
        "graded columns": (np.tril(draw(n, n)) + 5 * np.eye(n)) * 10.0 ** -np.linspace(0, 12, n),
    }


def oriented(t: Any, lower: bool) -> Any:
    """A lower triangular matrix, or its transpose; in the other triangle what must not be read."""
    mask = np.tri(t.shape[-1], dtype=bool)
    t = np.where(mask, t, np.array(np.nan, t.dtype))
    return t if lower else np.swapaxes(t, -1, -2)


def clean(t: Any, lower: bool) -> Any:
    """The named triangle."""
    return np.tril(t) if lower else np.triu(t)


def assert_backward_stable(t: Any, x: Any, b: Any, dtype: str = "d", factor: float = 1) -> None:
    """``|t x - b| <= c eps |t| |x|``, element by element."""
    n = t.shape[-1]
    wide = np.clongdouble if dtype in "DF" else np.longdouble
    residual = np.abs(t.astype(wide) @ x.astype(wide) - b)
    assert (residual <= factor * n * EPS[dtype] * (np.abs(t).astype(np.longdouble) @ np.abs(x) + np.abs(b))).all()


# Values


@pytest.mark.parametrize("dtype", "dfDF")
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("n", SIZES)
def test_solutions(n, lower, dtype):
    """Of one and of many columns, of a stack and of each matrix in it; the other triangle is not read."""
    t = oriented(draw(2, n, n, dtype=dtype) + np.eye(n, dtype=dtype) * 9, lower)
    for k in (0, 1, n):
        b = draw(2, n, k, dtype=dtype, seed=1)
        x = solve_triangular(t, b, lower)
        assert (x.shape, x.dtype) == (b.shape, b.dtype)
        for one, rhs, found in zip(t, b, x, strict=True):
            assert_backward_stable(clean(one, lower), found, rhs, dtype)
            np.testing.assert_allclose(solve_triangular(one, rhs, lower), found, rtol=0, atol=1e3 * EPS[dtype])


@pytest.mark.parametrize("dtype", "dfDF")
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("n", SIZES)
def test_inverses(n, lower, dtype):
    """Of a stack; they are triangular, exactly."""
    t = oriented(draw(2, n, n, dtype=dtype) + np.eye(n, dtype=dtype) * 9, lower)
    x = inv_triangular(t, lower)
    assert (x.shape, x.dtype) == (t.shape, t.dtype)
    assert (clean(x, lower) == x).all()
    for one, found in zip(t, x, strict=True):
        a, c = (one, found) if lower else (one.T, found.T)
        assert_backward_stable(np.tril(a), c, np.eye(n), dtype)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("name", factors())
def test_ill_conditioned_systems(name, lower):
    """The residual is as small as that of substitution, however ill-conditioned the matrix."""
    t = factors()[name] if lower else factors()[name].T
    for k in (1, 2 * BLOCK):
        b = draw(len(t), k)
        assert_backward_stable(t, solve_triangular(t, b, lower), b, factor=1 if k == 1 else 4)
    x = inv_triangular(t, lower)
    a, c = (t, x) if lower else (t.T, x.T)
    assert_backward_stable(a, c, np.eye(len(t)), factor=4)


def test_against_many_digits():
    """A solution whose condition number (Skeel's) is small is right to all digits, near singular as the matrix is."""
    mp = pytest.importorskip("mpmath")
    n = PAYS + 10
    t = kahan(n, 1.0) * 10.0 ** -np.linspace(0, 20, n)[:, None]
    b = np.abs(draw(n, 1)) * 10.0 ** -np.linspace(0, 20, n)[:, None]
    with mp.workdps(60):
        x: list[Any] = []
        for i in range(n):
            known = mp.fsum([mp.mpf(t[i, j]) * x[j] for j in range(i)])
            x.append((mp.mpf(b[i, 0]) - known) / mp.mpf(t[i, i]))
        expected = np.array([[float(v)] for v in x])
    np.testing.assert_allclose(solve_triangular(t, b), expected, rtol=1e-13)


def test_singular_matrices():
    """A zero on the diagonal raises NumPy's error, at every size; nothing else does."""
    for n in (3, PAYS + 5):
        t = np.eye(n)
        t[-2, -2] = 0
        for call in (lambda t=t: solve_triangular(t, np.ones((len(t), 1))), lambda t=t: inv_triangular(t)):
            with pytest.raises(np.linalg.LinAlgError, match="Singular"):
                call()


def test_one_matrix_for_a_batch_is_one_system():
    """A batch of right-hand sides becomes columns."""
    t = np.eye(3)
    batched = fg.vmap(lambda b: solve_triangular(t, b))
    (eqn,) = [e for e in fg.make_jaxpr(batched)(draw(5, 3, 2)).eqns if e.primitive.name == "solve_triangular"]
    assert [a.aval.shape for a in eqn.inputs] == [(3, 3), (3, 10)]


# Derivatives by blocks


@pytest.mark.parametrize("dtype", "dD")
@pytest.mark.parametrize("lower", [True, False])
def test_derivatives_by_blocks(lower, dtype):
    """Both modes, both orders, of both operands."""
    n = PAYS + 3
    t, b = draw(n, n, dtype=dtype) / n + np.eye(n), draw(n, 2, dtype=dtype, seed=1)
    check_grads(lambda t, b: solve_triangular(t, b, lower), (t, b), order=2)
    check_grads(lambda t: inv_triangular(t, lower)[:5], (t,), order=2)


@pytest.mark.parametrize("dtype", "dD")
@pytest.mark.parametrize("n", [5, 2 * PAYS + 7])
def test_cholesky_by_blocks(n, dtype):
    """Its derivatives to second order in both modes; one tangent and many; the upper triangle has none."""
    x = draw(n, n, dtype=dtype) / np.sqrt(n)
    a = x @ np.conj(x.T) + np.eye(n)
    check_grads(np.linalg.cholesky, (a,), order=2)
    directions = draw(3, n, n, dtype=dtype, seed=2)
    found = fg.vmap(lambda v: fg.jvp(np.linalg.cholesky, (a,), (v,))[1])(directions)
    for v, tangent in zip(directions, found, strict=True):
        expected = numerical_jvp(np.linalg.cholesky, (a,), (v,))
        np.testing.assert_allclose(tangent, expected, atol=1e-6 * np.abs(expected).max())
    _, pull = fg.vjp(np.linalg.cholesky, a)
    (bar,) = pull(directions[0])
    assert (np.tril(bar) == bar).all()


def test_many_tangents_of_one_factor():
    """Tangents and cotangents in a batch, and factors in an outer one, give what a loop gives."""
    a = np.stack([smooth_kernel(4, 1.0), 2 * smooth_kernel(4, 0.5)])
    jacobians = fg.vmap(fg.jacfwd(np.linalg.cholesky))(a)
    np.testing.assert_allclose(fg.vmap(fg.jacrev(np.linalg.cholesky))(a), jacobians, atol=1e-14)
    hessians = fg.vmap(fg.jacfwd(fg.jacrev(np.linalg.cholesky)))(a)
    for one, jacobian, hessian in zip(a, jacobians, hessians, strict=True):
        np.testing.assert_allclose(fg.jacfwd(np.linalg.cholesky)(one), jacobian, atol=1e-14)
        np.testing.assert_allclose(fg.jacrev(fg.jacfwd(np.linalg.cholesky))(one), hessian, atol=1e-13)
        v = draw(4, 4)
        expected = numerical_jvp(np.linalg.cholesky, (one,), (v,))
        np.testing.assert_allclose(np.einsum("ijkl,kl", jacobian, v), expected, atol=1e-7)


def test_gradient_of_an_ill_conditioned_cholesky():
    """Of a kernel with the condition number 1e10 it has ten digits, as the recurrence in extended precision tells."""
    n = PAYS + 20
    factor = np.linalg.cholesky(smooth_kernel(n, 1e-8))
    a = (factor.astype(np.longdouble) @ factor.T).astype(float)
    factor = np.linalg.cholesky(a)
    weight = np.tril(draw(n, n))
    (found,) = fg.vjp(np.linalg.cholesky, a)[1](weight)
    wide, bar = factor.astype(np.longdouble), weight.astype(np.longdouble)
    for j in reversed(range(n)):  # Murray 2016, section 3.1
        bar[j + 1 :, j] /= wide[j, j]
        bar[j + 1 :, :j] -= np.outer(bar[j + 1 :, j], wide[j, :j])
        bar[j, j] -= bar[j + 1 :, j] @ wide[j + 1 :, j]
        bar[j, :j] -= bar[j + 1 :, j] @ wide[j + 1 :, :j]
        bar[j, j] /= 2 * wide[j, j]
        bar[j, :j] -= 2 * bar[j, j] * wide[j, :j]
    assert np.linalg.norm((found - bar).astype(float)) <= 1e-10 * np.linalg.norm(bar.astype(float))

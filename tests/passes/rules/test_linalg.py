"""Rules of numpy.linalg: what a system or an inverse of a triangular matrix becomes, by the text of the program."""

from typing import Any

import numpy as np
import pytest

import fungrad as fg
from fungrad.passes.optimize import optimize
from fungrad.primitives.linalg.triangular import PAYS

N = PAYS + 4


def optimised(fun: Any, *args: Any) -> list[str]:
    """The equations of the optimised program that solve or invert something, as they print."""
    lines = str(optimize(fg.make_jaxpr(fun)(*args))).splitlines()
    return [line.split(" = ")[1] for line in lines if " solve" in line or " inv" in line]


def positive(n: int = N, dtype: str = "d") -> Any:
    """A positive definite matrix."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(n, n)).astype(dtype)
    if dtype == "D":
        x = x + 1j * draw.normal(size=(n, n))
    return x @ np.conj(x.T) / n + np.eye(n, dtype=dtype)


def T(x: Any) -> Any:
    """The transposed matrices of a stack."""
    return np.swapaxes(x, -1, -2)


chol, solve, inv = np.linalg.cholesky, np.linalg.solve, np.linalg.inv


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (lambda a: solve(chol(a), a), ["solve_triangular[lower=True] b a"]),
        (lambda a: solve(chol(a).T, a), ["solve_triangular[lower=False] c a"]),
        (lambda a: solve(chol(a).T.T, a), ["solve_triangular[lower=True] b a"]),
        (lambda a: inv(chol(a)), ["inv_triangular[lower=True] b"]),
        (lambda a: inv(chol(a).T), ["inv_triangular[lower=False] c"]),
        (lambda a: solve(inv(chol(a)).T, a), ["inv_triangular[lower=True] b", "solve_triangular[lower=False] d a"]),
        (lambda a: inv(np.linalg.qr(a).R), ["inv_triangular[lower=False] c"]),
        (lambda a: solve(np.linalg.qr(a).R.T, a), ["solve_triangular[lower=True] d a"]),
        # of nothing else
        (lambda a: solve(np.linalg.qr(a).Q, a), ["solve b a"]),
        (lambda a: solve(chol(a) @ chol(a), a), ["solve c a"]),
        (lambda a: inv(a + chol(a)), ["inv c"]),
    ],
)
def test_systems_of_factors(fun, expected):
    """solve(L, y) -> solve_triangular; the transpose of a lower triangular matrix is an upper one."""
    assert optimised(fun, positive()) == expected


@pytest.mark.parametrize(
    ("fun", "lower"),
    [
        (lambda a: solve(np.conj(chol(a)), a), True),
        (lambda a: solve(np.conj(chol(a)).T, a), False),
        (lambda a: solve(np.conj(chol(a).T), a), False),
        (lambda a: solve(chol(a).T, a), False),
        (lambda a: inv(np.conj(chol(a).T)), False),
    ],
)
def test_complex_factors(fun, lower):
    """Conjugates are triangular too, and the values are those of the program as it was written."""
    a = positive(dtype="D")
    (line,) = optimised(fun, a)
    assert f"_triangular[lower={lower}]" in line
    np.testing.assert_allclose(fg.jit(fun)(a), fun(a), rtol=1e-12, atol=1e-12)


def test_stacks_of_factors():
    """The last two axes are the matrix: only their exchange is a transpose of it."""
    a = np.stack([positive(), 2 * positive()])
    assert optimised(lambda a: solve(T(chol(a)), a), a) == ["solve_triangular[lower=False] c a"]
    turned = np.broadcast_to(positive(), (N, N, N))
    assert optimised(lambda a: inv(np.swapaxes(chol(a), 0, 1)), turned) == ["inv c"]


def test_small_matrices_stay():
    """Below the size from which on blocks are faster, numpy.linalg is."""
    a = positive(PAYS - 1)
    assert optimised(lambda a: solve(chol(a), a), a) == ["solve b a"]
    assert optimised(lambda a: inv(chol(a)), a) == ["inv b"]


def test_gradient_of_a_gaussian_process():
    """Both systems of the value and gradient are triangular ones, and nothing is inverted."""
    y = np.sin(np.arange(N))

    def loss(a):
        factor = chol(a)
        z = solve(factor, y)
        return 0.5 * z @ z + np.sum(np.log(np.diag(factor)))

    found = optimised(fg.value_and_grad(loss), positive())
    assert [line.split(" ")[0] for line in found] == ["solve_triangular[lower=True]", "solve_triangular[lower=False]"]
    value, gradient = fg.jit(fg.value_and_grad(loss))(positive())
    expected_value, expected = fg.value_and_grad(loss)(positive())
    np.testing.assert_allclose(value, expected_value, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-12)

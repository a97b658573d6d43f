"""Spectra and norms where the catalogue does not go: equal eigenvalues, zeros, gauges, defective matrices, errors.

At equal eigenvalues the oracle is the finite difference of a function that is smooth there, at that very matrix. What
first derivatives of eigenvalues and eigenvectors do not contain must come out as nan, never as a number.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from catalogue.cases import assert_close

import fungrad as fg
from fungrad.testing import numerical_jvp

RNG = np.random.default_rng(7)
INF = np.inf


@pytest.fixture(autouse=True)
def _drawn_anew():
    """Each test draws from the same state, whichever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(8).bit_generator.state


def _orthogonal(n, dtype="d"):
    z = RNG.normal(size=(n, n)) + (1j * RNG.normal(size=(n, n)) if dtype == "D" else 0)
    return np.linalg.qr(z)[0]


def _with_spectrum(w, dtype="d"):
    q = _orthogonal(len(w), dtype)
    a = (q * np.array(w)) @ q.conj().T
    return (a + a.conj().T) / 2


def _random(shape, dtype="d"):
    return RNG.normal(size=shape) + (1j * RNG.normal(size=shape) if dtype == "D" else 0)


def _hermitian(n, dtype="d"):
    z = _random((n, n), dtype)
    return z + z.conj().T


def _agrees(f, a, tolerance=2e-7, forward=True):
    """Reverse mode (and forward mode) agree with finite differences of a real function at this point."""
    t = _random(a.shape, "D" if np.iscomplexobj(a) else "d")
    expected = numerical_jvp(f, (a,), (t,))
    pulled = np.sum(fg.vjp(f, a)[1](np.float64(1.0))[0] * t).real
    np.testing.assert_allclose(pulled, expected, rtol=tolerance, atol=tolerance)
    if forward:
        np.testing.assert_allclose(fg.jvp(f, (a,), (t,))[1], expected, rtol=tolerance, atol=tolerance)


def _symmetrised(x):
    return (x + np.conj(x.T)) / 2


DEGENERATE = [
    pytest.param(np.eye(3), id="identity"),
    pytest.param(np.diag([1.0, 1.0, 3.0]), id="diagonal"),
    pytest.param(_with_spectrum([2.0, 2.0, 5.0, 5.0]), id="two ties"),
    pytest.param(_with_spectrum([0.5, 2.0, 2.0, 2.0], "D"), id="complex"),
    pytest.param(np.diag([1e3, 1e3, 1.0]), id="ties of large numbers"),
]

# Equal eigenvalues


@pytest.mark.parametrize("a", DEGENERATE)
@pytest.mark.parametrize("f", [np.tanh, lambda w: w**3 / (1 + w**2), np.sqrt], ids=["tanh", "rational", "sqrt"])
def test_symmetric_functions_of_equal_eigenvalues(a, f):
    """sum(f(w)) has its derivative at equal eigenvalues, by eigvalsh and by eigh, in both modes."""
    _agrees(lambda x: np.sum(f(np.linalg.eigvalsh(_symmetrised(x)))), a)
    _agrees(lambda x: np.prod(np.tanh(np.linalg.eigh(_symmetrised(x))[0])), a)


def test_lower_triangle_is_what_counts_at_equal_eigenvalues_too():
    """Without symmetrising, the derivative is that of what NumPy reads."""
    _agrees(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3), np.eye(3))
    _agrees(lambda x: np.sum(np.linalg.eigvalsh(x, "U") ** 3), np.eye(3))
    g = fg.grad(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3))(_hermitian(3))
    assert not np.any(np.triu(g, 1)) and np.all(g[np.tri(3, dtype=bool)])


def _projector(x, k):
    v = np.linalg.eigh(_symmetrised(x)).eigenvectors[:, :k]
    return v @ np.conj(v.T)


@pytest.mark.parametrize("dtype", "dD")
def test_projector_on_an_eigenspace(dtype):
    """The projector on a whole eigenspace has its gradient; on a part of one there is none: nan."""
    m = _random((4, 4), dtype)
    for a in (_with_spectrum([1.0, 1.0, 3.0, 4.0], dtype), np.diag([1.0, 1.0, 3.0, 4.0])):
        a = a.astype(dtype)
        _agrees(lambda x: np.sum(_projector(x, 2) * m).real, a, forward=False)
        _agrees(lambda x: np.sum(_projector(x, 3) * m).real, a, forward=False)
        assert np.isnan(fg.grad(lambda x: np.sum(_projector(x, 1) * m).real)(a)).any()


def test_vectors_of_other_eigenvalues():
    """An eigenvector without a tie has its derivative whatever ties there are elsewhere; in forward mode too."""
    m = _hermitian(4)
    a = _with_spectrum([1.0, 3.0, 3.0, 4.0])

    def observable(x):
        v = np.linalg.eigh(_symmetrised(x))[1][:, 0]
        return v @ m @ v

    _agrees(observable, a)
    t = _hermitian(4)
    np.testing.assert_allclose(
        fg.jvp(observable, (a,), (t,))[1], numerical_jvp(observable, (a,), (t,)), rtol=1e-7, atol=1e-7
    )


def test_vector_and_value_with_a_tie_elsewhere():
    """Both together: where LAPACK separates a tie by rounding errors only, vectors that do not take part are exact."""
    m = _hermitian(4)
    a = _with_spectrum([1.0, 3.0, 3.0, 4.0])
    gap = np.diff(np.linalg.eigh(a)[0])[1]

    def f(x):
        w, v = np.linalg.eigh(_symmetrised(x))
        return w[0] + v[:, 0] @ m @ v[:, 0]

    if gap:
        _agrees(f, a, forward=True)
    else:
        assert np.isnan(fg.grad(f)(a)).any()


@pytest.mark.parametrize("a", DEGENERATE)
def test_matrix_functions_at_equal_eigenvalues(a):
    """v f(w) v^H has its derivative there, in both modes, whole and by elements; one decomposition or two of them."""
    largest = np.max(np.abs(a))

    def matrix(x, f=np.exp):
        w, v = np.linalg.eigh(_symmetrised(x))
        return (v * f(w / largest)) @ np.conj(v.T)

    m = _random(a.shape, a.dtype.char)
    _agrees(lambda x: np.sum(matrix(x) * m).real, a, tolerance=1e-6)
    _agrees(lambda x: np.sum(np.sin(matrix(x).real)) * np.sum(matrix(x, np.tanh) * m).real, a, tolerance=1e-6)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        _agrees(lambda x, i=i, j=j: matrix(x)[i, j].real, a, tolerance=1e-6)
    t = _random(a.shape, a.dtype.char)
    _, linear = fg.linearize(matrix, a)
    expected = numerical_jvp(matrix, (a,), (t,))
    np.testing.assert_allclose(linear(t), expected, atol=1e-6 * np.max(np.abs(expected)))
    value, pull = fg.vjp(matrix, a)
    for _ in range(2):  # a second call sees nothing of the first one
        (pulled,) = pull(m)
        np.testing.assert_allclose(np.sum(pulled * t).real, np.sum(m * expected).real, rtol=1e-6)
    np.testing.assert_allclose(value, matrix(a), rtol=1e-14)


def test_matrix_functions_recorded_on_types_are_nan_at_ties():
    """Where values are not known nothing tells the missing part of the derivative: nan, never a wrong number."""

    def matrix(x):
        w, v = np.linalg.eigh(x)
        return (v * np.exp(w)) @ v.T

    element = lambda x: matrix(x)[0, 1]
    assert np.isnan(fg.vmap(fg.grad(element))(np.stack([np.eye(2), np.diag([1.0, 2.0])]))[0]).any()
    assert np.isfinite(fg.vmap(fg.grad(element))(np.stack([np.eye(2), np.diag([1.0, 2.0])]))[1]).all()
    derivative = fg.make_jaxpr(fg.grad(element))(np.eye(2))
    assert np.isnan(fg.eval_jaxpr(derivative, (), np.eye(2))[0]).any()


def test_function_that_vanishes_at_the_tie():
    """log(1) = 0 hides the eigenvectors from the cotangents, an element off the diagonal the eigenvalues."""

    def logarithm(x):
        w, v = np.linalg.eigh(_symmetrised(x))
        return (v * np.log(w)) @ v.T

    _agrees(lambda x: logarithm(x)[0, 1], np.eye(2))
    _agrees(lambda x: logarithm(x)[0, 0], np.eye(2))


def test_a_decomposition_of_what_a_tie_gave():
    """A function of a matrix function is right where the second spectrum has no tie, and nan where it has one."""

    def matrix(x, shift):
        w, v = np.linalg.eigh(_symmetrised(x))
        y = (v * np.exp(w)) @ v.T + shift
        w, v = np.linalg.eigh(y)
        return ((v * np.sin(w)) @ v.T)[0, 1]

    _agrees(lambda x: matrix(x, np.diag([0.0, 1.0, 3.0])), np.eye(3))
    t = _hermitian(3)
    assert np.isnan(fg.jvp(lambda x: matrix(x, 0.0), (np.eye(3),), (t,))[1])
    assert np.isnan(fg.grad(lambda x: matrix(x, 0.0))(np.eye(3))).any()


def test_directions_that_keep_the_tie():
    """In forward mode vectors need not move along a direction that does not mix them: then the derivative is right."""

    def matrix(x):
        w, v = np.linalg.eigh(x)
        return (v * np.exp(w)) @ v.T

    for t in (np.eye(3), np.diag([1.0, 2.0, 3.0]), np.diag([0.0, 0.0, 1.0])):
        _, pushed = fg.jvp(matrix, (np.eye(3),), (t,))
        np.testing.assert_allclose(pushed, np.e * t, atol=1e-14)


def test_gauge_dependent_functions_at_equal_eigenvalues_are_nan():
    """A component of a vector depends on the basis that LAPACK took of the eigenspace."""
    a = _with_spectrum([1.0, 1.0, 3.0])
    m = _random((3, 3))
    vectors = lambda x: np.linalg.eigh(x)[1] * m
    assert np.isnan(fg.grad(lambda x: np.sum(vectors(x)))(a)).any()
    assert np.isnan(fg.jvp(vectors, (a,), (_hermitian(3),))[1]).any()
    assert np.isnan(fg.jacfwd(vectors)(a)).any()
    both = lambda x: np.sum(np.linalg.eigh(x)[1] * m * np.linalg.eigh(x)[0])
    assert np.isnan(fg.grad(both)(a)).any()
    assert np.isnan(fg.jvp(both, (a,), (_hermitian(3),))[1])
    assert np.isfinite(fg.grad(lambda x: np.linalg.eigvalsh(x)[0])(a)).all()


def test_second_derivatives_at_equal_eigenvalues():
    """The Hessian of sum(f(w)) is right, reverse mode inside; by other routes it is right or nan."""
    f = lambda x: np.sum(np.linalg.eigvalsh(x) ** 3)
    full = lambda x: np.tril(x, -1) + np.tril(x).T
    lower = np.tril(np.ones((2, 2))) * (2 - np.eye(2))
    exact = fg.jacfwd(lambda x: 3 * full(x) @ full(x))(np.eye(2)) * lower[:, :, None, None]
    for hessian in (fg.jacfwd(fg.grad(f)), fg.jacrev(fg.grad(f)), fg.hessian(f)):
        np.testing.assert_allclose(hessian(np.eye(2)), exact, atol=1e-12)
    staged = fg.make_jaxpr(f)(np.eye(2))
    again = lambda x: fg.eval_jaxpr(staged, (), x)[0]
    vectors = lambda x: np.sum((lambda w, v: (v * w**3) @ v.T)(*np.linalg.eigh(x)) * np.eye(2))
    for fun in (f, again, vectors):
        for hessian in (
            fg.jacfwd(fg.grad(fun)),
            fg.jacrev(fg.grad(fun)),
            fg.jacfwd(fg.jacfwd(fun)),
            fg.jacrev(fg.jacfwd(fun)),
        ):
            got = hessian(np.eye(2))
            known = np.isfinite(got)
            np.testing.assert_allclose(got[known], exact[known], atol=1e-12)


def test_batches_are_separate():
    """A tie in one matrix of a stack does not touch the derivatives of the others."""
    stack = np.stack([np.eye(3), _with_spectrum([1.0, 2.0, 3.0]), 2 * np.eye(3)])

    def f(x):
        w, v = np.linalg.eigh(x)
        return np.sum((v * np.exp(w)[..., None, :]) @ np.swapaxes(v, -1, -2) * np.arange(9.0).reshape(3, 3))

    g = fg.grad(f)(stack)
    for each, x in zip(g, stack, strict=True):
        np.testing.assert_allclose(each, fg.grad(f)(x), rtol=1e-12)
    assert np.isnan(fg.vmap(fg.grad(f))(stack)[0]).any()
    np.testing.assert_allclose(fg.vmap(fg.grad(f))(stack)[1], g[1], rtol=1e-12)


# Equal and zero singular values


SINGULAR = [
    pytest.param(np.eye(3), id="identity"),
    pytest.param(_orthogonal(3), id="orthogonal"),
    pytest.param(2.0 * _orthogonal(4)[:, :2], id="tall"),
    pytest.param(_orthogonal(4, "D")[:3], id="wide, unitary"),
]


@pytest.mark.parametrize("a", SINGULAR)
def test_symmetric_functions_of_equal_singular_values(a):
    """sum(f(s)) has its derivative at equal singular values, in both modes."""
    _agrees(lambda x: np.sum(np.linalg.svdvals(x) ** 3), a)
    _agrees(lambda x: np.sum(np.tanh(np.linalg.svd(x)[1])), a)
    _agrees(lambda x: np.linalg.norm(x, "nuc"), a)


@pytest.mark.parametrize("a", SINGULAR)
def test_polar_factor_of_equal_singular_values(a):
    """u v^H is smooth at matrices of full rank: its gradient is right also where singular values are equal."""
    m = _random(a.shape)

    def f(x):
        u, _, vh = np.linalg.svd(x, full_matrices=False)
        return np.sum((u @ vh) * m).real

    _agrees(f, a)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("a", SINGULAR)
def test_matrix_functions_of_equal_singular_values(a, full):
    """u f(s) v^H has its derivative, in both modes, also among the vectors that full_matrices adds."""
    m = _random(a.shape)
    k = min(a.shape)

    def f(x):
        u, s, vh = np.linalg.svd(x, full_matrices=full)
        return np.sum(((u[:, :k] * np.exp(s)) @ vh[:k]) * m).real

    _agrees(f, a, tolerance=1e-6)


def test_zero_singular_values():
    """Singular values that are 0 have a finite derivative, and norms of low rank get a subgradient."""
    for a in (np.zeros((3, 2)), np.outer([1.0, 2.0, 3.0], [1.0, -1.0]), np.diag([2.0, 0.0, 0.0])):
        m, n = a.shape
        assert np.isfinite(fg.jacrev(np.linalg.svdvals)(a)).all()
        assert np.isfinite(fg.jacfwd(np.linalg.svdvals)(a)).all()
        g = fg.grad(lambda x: np.linalg.norm(x, "nuc"))(a)
        for b in RNG.normal(size=(10, m, n)):
            assert np.linalg.norm(b, "nuc") >= np.linalg.norm(a, "nuc") + np.sum(g * (b - a)) - 1e-12
    a = np.diag([2.0, 1.0, 0.0])
    _agrees(lambda x: np.sum(np.linalg.svdvals(x) ** 2), a)


def test_second_derivatives_at_equal_singular_values():
    """As those of eigenvalues: right or nan, recorded with values or on types alone."""
    f = lambda x: np.sum(np.linalg.svdvals(x) ** 4)
    exact = fg.hessian(lambda x: np.trace(x @ x.T @ x @ x.T))(np.eye(2))
    np.testing.assert_allclose(fg.jacfwd(fg.grad(f))(np.eye(2)), exact, atol=1e-12)
    staged = fg.make_jaxpr(f)(np.eye(2))
    for fun in (f, lambda x: fg.eval_jaxpr(staged, (), x)[0]):
        for derivative in (fg.jacfwd, fg.jacrev):
            got = derivative(fg.grad(fun))(np.eye(2))
            known = np.isfinite(got)
            np.testing.assert_allclose(got[known], exact[known], atol=1e-12)


def test_range_of_a_matrix_of_low_rank():
    """The projector on the range of the larger singular values has its gradient though others are exactly 0."""
    m = _hermitian(3)

    def f(x):
        u = np.linalg.svd(x)[0][:, :2]
        return np.sum((u @ u.T) * m)

    _agrees(f, np.diag([2.0, 1.0, 0.0]), forward=False)


def test_polar_factor_of_a_singular_matrix_is_nan():
    """It jumps there."""

    def f(x):
        u, _, vh = np.linalg.svd(x)
        return np.sum((u @ vh) * np.arange(9.0).reshape(3, 3))

    assert np.isnan(fg.grad(f)(np.diag([2.0, 0.0, 0.0]))).any()


# Non-Hermitian matrices


def test_equal_eigenvalues_of_matrices_that_are_not_symmetric():
    """Symmetric functions of eigenvalues that are equal, with a full set of eigenvectors."""
    q = RNG.normal(size=(3, 3))
    for a in (np.eye(3), np.diag([1.0, 1.0, 2.0]), q @ np.diag([2.0, 2.0, 1.0]) @ np.linalg.inv(q)):
        _agrees(lambda x: np.sum(np.linalg.eigvals(x) ** 3).real, a, tolerance=1e-6)
        _agrees(lambda x: np.sum(np.exp(np.linalg.eig(x)[0])).real, a, tolerance=1e-6)


def test_matrix_functions_by_eig_at_equal_eigenvalues_are_nan():
    """As with eigh."""

    def f(x):
        w, v = np.linalg.eig(x)
        return (v * np.exp(w)) @ np.linalg.inv(v)

    assert np.isnan(fg.grad(lambda x: f(x)[0, 1].real)(np.eye(2))).any()
    assert np.isnan(fg.jvp(f, (np.eye(2),), (np.ones((2, 2)),))[1]).any()


def test_defective_matrices_are_nan():
    """Without a full set of eigenvectors there is no derivative, not even of the sum of f(w) by these formulae."""
    jordan = np.array([[1.0, 1.0], [0.0, 1.0]])
    for f in (lambda x: np.sum(np.linalg.eigvals(x) ** 3).real, lambda x: np.linalg.eig(x)[1][0, 0].real):
        assert np.isnan(fg.grad(f)(jordan)).all()
        assert np.isnan(fg.jvp(f, (jordan,), (np.ones((2, 2)),))[1])
    assert np.isfinite(fg.grad(lambda x: np.sum(np.linalg.eigvals(x) ** 3).real)(jordan + np.diag([0, 1]))).all()
    stack = np.stack([jordan, np.diag([1.0, 2.0])])
    g = fg.grad(lambda x: np.sum(np.linalg.eigvals(x) ** 3).real)(stack)
    assert np.isnan(g[0]).all() and np.isfinite(g[1]).all()


@pytest.mark.parametrize(
    "a",
    [
        np.array([[1.0, -2.0, 0.3], [2.0, 1.0, 0.1], [0.2, -0.4, 3.0]]),
        np.array([[1.0, 2.0, 0.3], [0.7, 3.0, 0.1], [0.2, -0.4, 5.0]]),
        np.array([[1.0, -2.0 + 1j, 0.3], [2.0, 1.0j, 0.1j], [0.2, -0.4, 3.0 + 2j]]),
    ],
    ids=["complex pair", "all real", "complex"],
)
def test_eig_keeps_the_gauge_of_lapack(a):
    """The vectors that NumPy returns are differentiated as they are: length 1, largest component real."""
    t = _random(a.shape, a.dtype.char)
    assert_close(fg.jvp(np.linalg.eig, (a,), (t,))[1], numerical_jvp(np.linalg.eig, (a,), (t,)), 1e-7)


def test_eig_of_a_rotation():
    """Both components are of one size; the one that LAPACK made real stays real, and the lengths stay 1."""
    c, s = np.cos(0.4), np.sin(0.4)
    (_, v), (w_dot, v_dot) = fg.jvp(np.linalg.eig, (np.array([[c, -s], [s, c]]),), (np.array([[-s, -c], [c, -s]]),))
    np.testing.assert_allclose(np.sum(v.conj() * v_dot, 0).real, 0, atol=1e-15)
    assert not np.any(v_dot[v.imag == 0].imag)
    np.testing.assert_allclose(np.sort_complex(w_dot), np.sort_complex([1j * np.exp(0.4j), -1j * np.exp(-0.4j)]))


def test_eig_with_components_of_equal_size():
    """Of eigenvectors whose components are all of one size (circulant matrices) LAPACK rotates any; that one counts."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        c = rng.normal(size=3) + 1j * rng.normal(size=3)
        (_, v), (_, v_dot) = fg.jvp(np.linalg.eig, (c[np.subtract.outer(range(3), range(3))],), (_random((3, 3), "D"),))
        assert (np.min(np.where(v.imag == 0, abs(v_dot.imag), 1), axis=0) < 1e-14).all()


def test_eigh_gauge():
    """The phases of complex eigenvectors do not turn: diag(v^H v_dot) = 0."""
    a, t = _hermitian(3, "D"), _hermitian(3, "D")
    (_, v), (_, v_dot) = fg.jvp(np.linalg.eigh, (a,), (t,))
    np.testing.assert_allclose(np.diag(v.conj().T @ v_dot), 0, atol=1e-14)


def test_real_matrices_without_values():
    """The dtype of eig's result for real matrices depends on their values: an error, and what it says works."""
    a = np.array([[1.0, 2.0], [0.5, 4.0]])
    for f in (np.linalg.eig, np.linalg.eigvals):
        for transform in (fg.vmap, lambda f: fg.vmap(fg.jacfwd(f))):
            with pytest.raises(fg.errors.ConcretizationTypeError, match=re.escape("np.linalg.eig(x.astype(complex))")):
                transform(f)(a[None])
    assert fg.vmap(lambda x: np.linalg.eigvals(x.astype(complex)))(a[None]).dtype == complex
    assert fg.jvp(np.linalg.eigvals, (a,), (a,))[0].dtype == float


# Results and arguments


def test_result_tuples():
    """NumPy's own tuples, with traced arrays in them."""
    a = _hermitian(3)
    seen = []
    for f in (np.linalg.eigh, np.linalg.eig, np.linalg.svd, lambda x: np.linalg.svd(x, hermitian=True)):
        fg.grad(lambda x, f=f: (seen.append(f(x)), np.sum(x))[1])(a)
        assert type(seen[-1]) is type(f(a)) and seen[-1]._fields == f(a)._fields
        assert all(type(y) is fg.Tracer for y in seen[-1])


def test_hermitian_svd_of_a_singular_matrix():
    """The sign of a zero eigenvalue is NumPy's."""
    a = np.diag([2.0, 0.0, -3.0])
    value, _ = fg.jvp(lambda x: np.linalg.svd(x, hermitian=True), (a,), (np.eye(3),))
    assert_close(value, np.linalg.svd(a, hermitian=True), 0.0)


def _abstract(f, *args):
    return lambda: fg.make_jaxpr(f)(*args)


@pytest.mark.parametrize(
    "f, shape",
    [
        (lambda x: np.linalg.eigh(x, "X"), (2, 2)),
        (np.linalg.eigh, (3,)),
        (np.linalg.eigvalsh, (2, 3)),
        (np.linalg.eig, (2, 3)),
        (np.linalg.eigvals, ()),
        (np.linalg.svd, (3,)),
        (lambda x: np.linalg.svd(x, hermitian=True), (3, 2)),
        (lambda x: np.linalg.norm(x, "fro"), (3,)),
        (lambda x: np.linalg.norm(x, 3), (2, 2)),
        (lambda x: np.linalg.norm(x, 2), (2, 2, 2)),
        (lambda x: np.linalg.norm(x, "abc", axis=0), (2, 2)),
        (lambda x: np.linalg.norm(x, "abc"), (2, 2)),
        (lambda x: np.linalg.norm(x, axis=(0, 0)), (2, 2)),
        (lambda x: np.linalg.norm(x, axis=(0, 1, 2)), (2, 2, 2)),
        (lambda x: np.linalg.norm(x, axis=2), (2, 2)),
        (lambda x: np.linalg.norm(x, axis=[0]), (2, 2)),
        (lambda x: np.linalg.norm(x, -INF), (0,)),
        (lambda x: np.linalg.norm(x, -2), (0, 2)),
        (lambda x: np.linalg.vector_norm(x, axis=(0, 0)), (2, 2)),
        (lambda x: np.linalg.vector_norm(x, axis=3), (2, 2)),
        (np.linalg.matrix_norm, (2,)),
        (np.linalg.cond, (3,)),
        (np.linalg.cond, (0, 0)),
        (lambda x: np.linalg.cond(x, 1), (2, 3)),
        (lambda x: np.linalg.cond(x, "abc"), (2, 2)),
        (lambda x: np.linalg.matrix_rank(x, 0.1, rtol=0.1), (2, 2)),
    ],
)
def test_bad_arguments(f, shape):
    """NumPy's own errors, with values and without."""
    x = np.ones(shape)
    with pytest.raises(Exception) as expected:
        f(x)
    kind = type(expected.value)
    assert issubclass(kind, (ValueError, TypeError, np.linalg.LinAlgError))
    with pytest.raises(kind):
        fg.make_jaxpr(f)(x)
    with pytest.raises(kind):
        fg.jvp(f, (x,), (x,))


@pytest.mark.parametrize("dtype", ["e", "g"])
def test_precisions_that_lapack_has_not(dtype):
    """numpy.linalg does not take them, norms do."""
    x = np.ones((2, 2), dtype)
    for f in (np.linalg.eigh, np.linalg.eig, np.linalg.svd, lambda x: np.linalg.norm(x, 2)):
        with pytest.raises(TypeError, match="unsupported in linalg"):
            fg.make_jaxpr(f)(x)
    for order in (None, 1, "fro", INF):
        value, tangent = fg.jvp(lambda x, order=order: np.linalg.norm(x, order), (x,), (x,))
        assert value.dtype == tangent.dtype == np.linalg.norm(x, order).dtype
    for order in (1, 2, 3, 0, -INF):
        f = lambda x, order=order: np.linalg.norm(x, order, axis=0)
        assert_close(fg.jvp(f, (x,), (x,))[0], f(x), 1e-3)
        assert fg.make_jaxpr(f)(x).out_avals[0].dtype == f(x).dtype


def test_traced_order():
    """The order of a norm decides what it is: the error says what has a derivative in it."""
    with pytest.raises(fg.errors.UnsupportedOperationError, match=re.escape("np.sum(np.abs(x) ** p) ** (1 / p)")):
        fg.grad(lambda p: np.linalg.norm(np.ones(3) * p, ord=p))(3.0)


# Norms


KINKS = [
    (None, [0.0, 0.0], [0.0, 0.0]),
    (2, [0.0, 0.0], [0.0, 0.0]),
    (1, [0.0, -2.0], [0.0, -1.0]),
    (3, [0.0, 0.0], [0.0, 0.0]),
    (1.5, [0.0, -1.0], [0.0, -1.0]),
    (0.5, [0.0, 4.0], [0.0, 1.0]),
    (0.5, [0.0, 0.0], [0.0, 0.0]),
    (-1, [0.0, 2.0], [0.0, 0.0]),
    (INF, [3.0, -3.0, 1.0], [0.5, -0.5, 0.0]),
    (-INF, [3.0, -1.0, 1.0], [0.0, -0.5, 0.5]),
    (INF, [0.0, 0.0], [0.0, 0.0]),
    (0, [0.0, 2.0], [0.0, 0.0]),
]


@pytest.mark.parametrize("order, x, expected", KINKS)
def test_kinks_of_vector_norms(order, x, expected):
    """At zeros and ties, in both modes and along an axis, without warnings."""
    x = np.array(x)
    f = lambda x: np.linalg.norm(x, order)
    np.testing.assert_allclose(fg.grad(f)(x), expected, atol=1e-15)
    np.testing.assert_allclose(fg.jacfwd(f)(x), expected, atol=1e-15)
    np.testing.assert_allclose(fg.grad(f)(x + 0j), expected, atol=1e-15)
    rows = np.stack([x, np.arange(1.0, 1 + len(x))])
    np.testing.assert_allclose(fg.grad(lambda x: np.linalg.norm(x, order, axis=1)[0])(rows)[0], expected, atol=1e-15)


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, 2, INF, -1, -2, -INF])
def test_matrix_norms_of_zero(order):
    """All are finite at a matrix of zeros, and the 2-norm and the Frobenius norm have the derivative 0 there."""
    g = fg.grad(lambda x: np.linalg.norm(x, order))(np.zeros((3, 2)))
    assert np.isfinite(g).all()
    if order in (None, "fro"):
        assert not g.any()


def test_equal_rows_and_singular_values_share():
    """The maximum column sum, and the spectral norm at equal singular values, share the derivative equally."""
    np.testing.assert_allclose(fg.grad(lambda x: np.linalg.norm(x, 1))(np.ones((2, 2))), np.full((2, 2), 0.5))
    np.testing.assert_allclose(fg.grad(lambda x: np.linalg.norm(x, 2))(np.eye(2)), np.eye(2) / 2)


@pytest.mark.parametrize("scale", [1e-160, 1e-100, 1e100, 1e150])
@pytest.mark.parametrize("order", [None, 2, 1, INF])
def test_norms_of_tiny_and_huge_vectors(scale, order):
    """The gradient does not depend on the scale, as long as NumPy's value is finite."""
    x = np.array([3.0, -4.0])
    f = lambda x: np.linalg.norm(x, order)
    np.testing.assert_allclose(fg.grad(f)(x * scale), fg.grad(f)(x), rtol=1e-3)


def test_hessian_of_the_norm():
    """(1 - u u^T) / |x|, at a place where the naive formula is right too; 0 at the kink."""
    x = np.array([3.0, 4.0])
    u = x / 5
    np.testing.assert_allclose(fg.hessian(np.linalg.norm)(x), (np.eye(2) - np.outer(u, u)) / 5, atol=1e-15)
    assert not fg.hessian(np.linalg.norm)(np.zeros(2)).any()


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, INF, "fro"])
def test_condition_number_of_singular_matrices(p):
    """NumPy's value without a warning (inf where it divides by 0), and no finite derivative of an infinite value."""
    for a in (np.zeros((2, 2)), np.diag([1.0, 0.0]), np.stack([np.eye(2), np.zeros((2, 2))])):
        expected = np.linalg.cond(a, p)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value, tangent = fg.jvp(lambda x: np.linalg.cond(x, p), (a,), (np.ones_like(a) + a,))
        assert_close(value, expected, 1e-12)
        assert not np.isfinite(np.asarray(tangent)[np.isinf(expected)]).any()
        assert_close(fg.vmap(lambda x: np.linalg.cond(x, p))(np.stack([a, a])), np.stack([expected] * 2), 1e-12)


def test_condition_number_of_nan():
    """nan stays nan."""
    a = np.full((2, 2), np.nan)
    for p in (1, "fro"):
        assert np.isnan(np.linalg.cond(a, p))
        assert np.isnan(fg.vmap(lambda x, p=p: np.linalg.cond(x, p))(a[None])).all()


def test_rank():
    """An integer as NumPy gives it; an array where only types are known."""
    for x in (np.zeros(3), np.ones(3), np.float64(0.0), np.diag([1.0, 0.0])):
        seen = []
        fg.grad(lambda x, seen=seen: (seen.append(np.linalg.matrix_rank(x)), np.sum(x))[1])(x)
        assert seen == [np.linalg.matrix_rank(x)] and type(seen[0]) is type(np.linalg.matrix_rank(x))
        assert fg.vmap(np.linalg.matrix_rank)(np.stack([x, x])).tolist() == seen * 2
    stack = np.stack([np.eye(2), np.diag([1.0, 1e-3])])
    for f in (lambda x, tol: np.linalg.matrix_rank(x, tol), lambda x, tol: np.linalg.matrix_rank(x, rtol=tol)):
        assert fg.vmap(f)(stack, np.array([0.5, 0.5])).tolist() == [2, 1]


def test_norms_of_nothing():
    """Of no elements NumPy's maximum norms (and ranks) are 0 or an error, by its version; so here."""
    for f in (
        lambda x: np.linalg.norm(x, INF, axis=0),
        lambda x: np.linalg.norm(x, 1, axis=(0, 1)),
        lambda x: np.linalg.norm(x, 2, axis=(0, 1)),
        lambda x: np.linalg.norm(x, "nuc", axis=(0, 1)),
        np.linalg.matrix_rank,
    ):
        x = np.zeros((0, 2))
        try:
            expected = f(x)
        except ValueError:
            with pytest.raises(ValueError):
                fg.make_jaxpr(f)(x)
            continue
        assert_close(fg.vmap(f)(np.zeros((3, 0, 2))), np.stack([expected] * 3), 0.0)
        assert_close(fg.jvp(f, (x,), (x,))[0], expected, 0.0)

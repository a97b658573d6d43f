"""numpy.linalg, systems: degenerate matrices, errors, refusals, result types, and what a derivative costs."""

from typing import Any

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.testing import check_grads, numerical_jvp

LinAlgError = np.linalg.LinAlgError


def rng(seed: int = 0) -> Any:
    """Random numbers, the same in each run."""
    return np.random.default_rng(seed)


def of_rank(n: int, rank: int, dtype: str, seed: int = 0) -> Any:
    """A random square matrix of this rank."""
    draw = rng(seed)
    u, v = draw.normal(size=(n, rank)), draw.normal(size=(rank, n))
    if dtype == "D":
        u, v = u + 1j * draw.normal(size=u.shape), v + 1j * draw.normal(size=v.shape)
    return u @ v


def equations(fun: Any, *args: Any) -> list[tuple[str, tuple[int, ...]]]:
    """(primitive, shape of the first result) for each equation."""
    return [(e.primitive.name, e.outputs[0].aval.shape) for e in fg.make_jaxpr(fun)(*args).eqns]


def count(name: str, fun: Any, *args: Any) -> int:
    """How many equations have this primitive."""
    return [n for n, _ in equations(fun, *args)].count(name)


# Determinants of singular matrices


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (3, 0), (4, 3), (4, 2)])
def test_det_of_a_singular_matrix(n, rank, dtype):
    """Its derivatives to second order are right, of whatever rank the matrix is."""
    check_grads(np.linalg.det, (of_rank(n, rank, dtype),), order=2)


def test_gradient_of_det_is_the_matrix_of_cofactors():
    """Signed minors, for regular and singular matrices in one stack."""
    stack = np.stack([of_rank(4, 3, "d"), rng(1).normal(size=(4, 4)), np.zeros((4, 4)), of_rank(4, 2, "d")])
    found = fg.grad(lambda a: np.sum(np.linalg.det(a)))(stack)
    for a, cofactors in zip(stack, found, strict=True):
        for i in range(4):
            for j in range(4):
                minor = np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))
                np.testing.assert_allclose(cofactors[i, j], (-1) ** (i + j) * minor, atol=1e-12)


def test_det_of_an_exactly_singular_matrix_of_integers():
    """The elimination of this one meets an exact zero, so that the inverse does not exist at all."""
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(fg.grad(np.linalg.det)(a), [[4, -2], [-2, 1]], atol=1e-14)
    np.testing.assert_allclose(
        fg.hessian(np.linalg.det)(a).reshape(4, 4),
        [[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]],
        atol=1e-14,
    )


def test_gradient_of_det_of_an_ill_conditioned_matrix():
    """Cofactors of a Hilbert matrix, against 50 digits."""
    mp = pytest.importorskip("mpmath")
    n = 6
    a = np.array([[1 / (i + j + 1) for j in range(n)] for i in range(n)])
    with mp.workdps(50):
        exact = mp.matrix(a.tolist())
        exact = (exact**-1).T * mp.det(exact)
        expected = np.array([[float(exact[i, j]) for j in range(n)] for i in range(n)])
    np.testing.assert_allclose(fg.grad(np.linalg.det)(a), expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_higher_derivatives_of_det():
    """The third and fourth need a regular matrix; at a singular one there is an error, not a zero."""
    check_grads(np.linalg.det, (rng().normal(size=(3, 3)),), order=3)
    check_grads(np.linalg.det, (rng().normal(size=(2, 2)) + 1j,), order=4)
    one = np.ones((3, 3))

    def along(fun):
        return lambda a: fg.jvp(fun, (a,), (one,))[1]

    with pytest.raises(LinAlgError, match="Singular"):
        along(along(along(np.linalg.det)))(np.zeros((3, 3)))


def test_det_with_nan_has_a_nan_gradient():
    """And no error from inside the derivative."""
    a = np.array([[1.0, np.nan], [0.0, 2.0]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(fg.grad(np.linalg.det)(a)).any()


# Where there is no derivative


@pytest.mark.parametrize(
    "fun",
    [
        np.linalg.inv,
        lambda a: np.linalg.solve(a, np.ones(2)),
        lambda a: np.linalg.matrix_power(a, -1),
        np.linalg.cholesky,
    ],
)
def test_numpys_errors_of_matrices(fun):
    """A singular matrix, and one that is not positive definite, raise NumPy's error under every transform."""
    a = -np.ones((2, 2))
    for call in (
        lambda: fg.vjp(fun, a),
        lambda: fg.jvp(fun, (a,), (a,)),
        lambda: fg.vmap(fun)(a[None]),
        lambda: fg.eval_jaxpr(fg.make_jaxpr(fun)(a), (), a),
    ):
        with pytest.raises(LinAlgError):
            call()


def test_slogdet_of_a_singular_matrix_has_no_derivative():
    """The value is NumPy's (0, -inf); asking for the derivative raises."""
    a = np.ones((2, 2))
    value, pull = fg.vjp(lambda a: np.linalg.slogdet(a).logabsdet, a)
    assert value == -np.inf
    with pytest.raises(LinAlgError, match="Singular"):
        pull(1.0)


def test_qr_of_a_deficient_matrix_has_no_derivative():
    """Where the first columns are linearly dependent; not where later ones are."""
    a = np.zeros((3, 2))
    value, pull = fg.vjp(lambda a: np.linalg.qr(a).R, a)
    assert not value.any()
    with pytest.raises(LinAlgError, match="Singular"):
        pull(np.ones((2, 2)))
    wide = np.hstack([np.eye(2) + 0.5, np.zeros((2, 2))])
    check_grads(lambda a: np.linalg.qr(a).R, (wide,), order=2)


# Cholesky and QR


def test_cholesky_reads_one_triangle():
    """The other one, and the imaginary part of the diagonal, have the derivative zero."""
    a = np.eye(3) * 4 + 0.1j + np.tri(3) * 0.2
    ct = rng().normal(size=(3, 3)) + 1j * rng(1).normal(size=(3, 3))
    (lower,) = fg.vjp(np.linalg.cholesky, a)[1](ct)
    assert not np.triu(lower, 1).any() and lower[np.tri(3, 3, -1, bool)].all()
    assert not np.diagonal(lower).imag.any()
    (upper,) = fg.vjp(lambda a: np.linalg.cholesky(a, upper=True), a)[1](ct)
    assert not np.tril(upper, -1).any() and upper.T[np.tri(3, 3, -1, bool)].all()


def test_cholesky_of_the_symmetric_part_has_a_symmetric_gradient():
    """As the docstring says how to have it."""
    a = np.eye(3) * 4 + 0.3
    gradient = fg.grad(lambda a: np.sum(np.linalg.cholesky((a + a.T) / 2) ** 3))(a)
    np.testing.assert_allclose(gradient, gradient.T, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("shape", [(5, 2), (4, 3), (3, 3), (2, 5), (2, 1)])
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr_is_numpys_own(shape, mode, dtype):
    """Both derivatives are those of NumPy's factors with its choice of signs, and of its Q2."""
    a = rng(3).normal(size=shape)
    if dtype == "D":
        a = a + 1j * rng(4).normal(size=shape)
    check_grads(lambda a: list(np.linalg.qr(a, mode)) if mode != "r" else np.linalg.qr(a, mode), (a,), order=2)


@pytest.mark.parametrize("dtype", ["d", "D"])
def test_complete_qr_where_a_reflection_is_none(dtype):
    """At a triangular matrix LAPACK's Q2 jumps; what does not depend on the basis has its derivative all the same."""
    a = np.triu(rng(2).normal(size=(4, 2))).astype(dtype)
    a[:2] += 1.5 * np.eye(2)

    def projector(a):
        q = np.linalg.qr(a, "complete").Q[:, 2:]
        return q @ np.conj(q.T)

    direction = rng(5).normal(size=a.shape).astype(dtype)
    pushed = fg.jvp(projector, (a,), (direction,))[1]
    np.testing.assert_allclose(pushed, numerical_jvp(projector, (a,), (direction,)), atol=1e-9)
    check_grads(projector, (a,), order=1)


def test_modes_of_qr():
    """Those that return LAPACK's vectors are refused; the deprecated name warns as in NumPy; others are errors."""
    a = rng().normal(size=(3, 2))
    for mode in ("raw", "economic", "e"):
        with pytest.raises(UnsupportedOperationError, match=rf"numpy\.linalg\.qr\(\.\.\., mode='{mode}'\).*'reduced'"):
            fg.make_jaxpr(lambda a, mode=mode: np.linalg.qr(a, mode))(a)
    with pytest.warns(DeprecationWarning, match="reduced") as caught:
        value = fg.vmap(lambda a: np.linalg.qr(a, "full"))(a[None])
    assert caught[0].filename == __file__
    np.testing.assert_allclose(value.Q[0], np.linalg.qr(a).Q)
    with pytest.raises(ValueError, match="Unrecognized mode"):
        fg.vmap(lambda a: np.linalg.qr(a, "other"))(a[None])


# Least squares and pseudo-inverses


def test_pinv_jumps_at_a_change_of_rank_and_is_smooth_along_one():
    """The derivative at a deficient matrix is the one along matrices of its rank."""
    u, v = rng().normal(size=(4, 2)), rng(1).normal(size=(2, 3))
    check_grads(lambda u: np.linalg.pinv(u @ v, rcond=1e-8), (u,), order=2)
    check_grads(lambda u: np.linalg.pinv(u @ np.conj(u.T), 1e-8, True), (u + 1j,), order=2)


def test_the_cut_off_of_pinv_may_be_traced():
    """The result is locally constant in it."""
    a = np.diag([1.0, 0.1])
    value, pull = fg.vjp(lambda a, r: np.linalg.pinv(a, r), a, 0.5)
    np.testing.assert_allclose(value, np.diag([1.0, 0.0]))
    assert pull(np.ones((2, 2)))[1] == 0
    cuts = np.array([0.5, 0.01])
    np.testing.assert_allclose(
        fg.vmap(np.linalg.pinv)(np.stack([a, a]), cuts), np.stack([np.linalg.pinv(a, r) for r in cuts]), atol=1e-14
    )
    with pytest.raises(ValueError, match="both"):
        fg.vmap(lambda a: np.linalg.pinv(a, 0.1, rtol=0.1))(a[None])


def test_residuals_of_lstsq_depend_on_the_rank():
    """With values they have NumPy's shape; without, under vmap, they are the sums of squares if there may be any."""
    full = rng().normal(size=(4, 2))
    deficient = np.ones((4, 2))
    b = rng(1).normal(size=(4, 3))
    for a in (full, deficient):
        expected = np.linalg.lstsq(a, b)
        value, _ = fg.vjp(lambda a: np.linalg.lstsq(a, b), a)
        assert [np.shape(x) for x in value] == [np.shape(x) for x in expected]
        assert [x.dtype for x in value] == [x.dtype for x in expected]
        np.testing.assert_allclose(value[1], expected[1])
    x, residuals, rank, s = fg.vmap(lambda a: np.linalg.lstsq(a, b))(np.stack([full, deficient]))
    assert rank.tolist() == [2, 1] and rank.dtype == expected[2].dtype
    np.testing.assert_allclose(x, [np.linalg.lstsq(a, b)[0] for a in (full, deficient)], atol=1e-14)
    np.testing.assert_allclose(
        residuals, [np.sum((b - a @ y) ** 2, 0) for a, y in zip((full, deficient), x, strict=True)]
    )


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3)])
def test_lstsq_is_differentiable_in_both_operands(shape, dtype):
    """Full rank, tall, wide and square."""
    a, b = rng().normal(size=shape).astype(dtype), rng(1).normal(size=(shape[0], 2)).astype(dtype)
    if dtype == "D":
        a, b = a + 0.3j * rng(2).normal(size=shape), b * (1 + 1j)
    check_grads(lambda a, b: [*np.linalg.lstsq(a, b)[:2]], (a, b), order=2)


def test_the_cut_off_of_lstsq_is_a_number():
    """A traced one is an error that says so."""
    a = rng().normal(size=(4, 2))
    with pytest.raises(ConcretizationTypeError):
        fg.vmap(lambda a, r: np.linalg.lstsq(a, a, r)[0])(np.stack([a, a]), np.ones(2))


# Types


@pytest.mark.parametrize(
    "fun",
    [
        lambda a: np.linalg.solve(a, a),
        np.linalg.inv,
        np.linalg.det,
        lambda a: tuple(np.linalg.slogdet(a)),
        np.linalg.cholesky,
        np.linalg.qr,
        np.linalg.pinv,
        lambda a: np.linalg.lstsq(a, a),
        np.linalg.matrix_power,
    ][:-1],
)
def test_dtypes(fun):
    """Integers are computed in double precision; half and extended precision are NumPy's TypeError."""
    a = np.array([[4, 1], [1, 3]])
    for dtype in ("i1", "u8", "l", "f", "d", "F", "D"):
        expected = fg.tree.leaves(fun(a.astype(dtype)))
        found = fg.make_jaxpr(fun)(a.astype(dtype)).out_avals
        assert [(t.shape, t.dtype) for t in found] == [(np.shape(x), np.asarray(x).dtype) for x in expected]
    for dtype in ("e", "g"):
        with pytest.raises(TypeError, match="unsupported in linalg"):
            fun(a.astype(dtype))
        with pytest.raises(TypeError, match="unsupported in linalg"):
            fg.make_jaxpr(fun)(a.astype(dtype))


def test_named_results():
    """NumPy's named tuples, with traced arrays in them."""
    a = np.eye(2)
    for fun in (np.linalg.slogdet, np.linalg.qr):
        seen = []
        out = fg.vmap(lambda a, fun=fun, seen=seen: seen.append(fun(a)) or fun(a))(a[None])
        assert type(seen[0]) is type(fun(a)) is type(out)


def test_matrix_power_of_integers_stays_integer():
    """As NumPy's, which inverts in double precision for a negative power only."""
    a = np.array([[2, 1], [1, 1]])
    found = fg.vmap(lambda a: np.linalg.matrix_power(a, 7))(a[None])[0]
    assert found.dtype == a.dtype and np.array_equal(found, np.linalg.matrix_power(a, 7))
    assert fg.vmap(lambda a: np.linalg.matrix_power(a, 0))(a[None]).dtype == a.dtype
    assert count("contract", lambda a: np.linalg.matrix_power(a, 16), a) == 4
    with pytest.raises(TypeError):
        fg.grad(lambda a: np.sum(np.linalg.matrix_power(a, 0.5)))(a * 1.0)


# Arguments

BAD = {
    "solve not square": (lambda x: np.linalg.solve(x, x), (2, 3)),
    "solve of a vector": (lambda x: np.linalg.solve(x, x), (2,)),
    "solve sizes": (lambda x: np.linalg.solve(x, np.ones((3, 1))), (2, 2)),
    "solve vector sizes": (lambda x: np.linalg.solve(x, np.ones(3)), (2, 2)),
    "solve scalar": (lambda x: np.linalg.solve(x, 1.0), (2, 2)),
    "solve a stack of vectors": (lambda x: np.linalg.solve(x, np.ones((5, 2))), (5, 2, 2)),
    "solve broadcast": (lambda x: np.linalg.solve(x, np.ones((3, 2, 1))), (5, 2, 2)),
    "inv not square": (np.linalg.inv, (2, 3)),
    "det not square": (np.linalg.det, (2, 3)),
    "slogdet of a vector": (np.linalg.slogdet, (3,)),
    "cholesky not square": (np.linalg.cholesky, (2, 3)),
    "qr of a vector": (np.linalg.qr, (3,)),
    "pinv of a vector": (np.linalg.pinv, (3,)),
    "pinv hermitian not square": (lambda x: np.linalg.pinv(x, hermitian=True), (2, 3)),
    "matrix_power not square": (lambda x: np.linalg.matrix_power(x, 2), (2, 3)),
    "lstsq of stacks": (lambda x: np.linalg.lstsq(x, x), (2, 3, 2)),
    "lstsq rows": (lambda x: np.linalg.lstsq(x, np.ones(2)), (3, 2)),
    "tensorsolve": (lambda x: np.linalg.tensorsolve(x, np.ones(2)), (2, 3)),
    "tensorsolve axes": (lambda x: np.linalg.tensorsolve(x, np.ones(2), axes=(5,)), (2, 2)),
    "tensorinv ind": (lambda x: np.linalg.tensorinv(x, 0), (2, 2)),
    "tensorinv not square": (lambda x: np.linalg.tensorinv(x, 1), (2, 3)),
    "tensorinv empty": (lambda x: np.linalg.tensorinv(x, 1), (2, 0)),
    "multi_dot of one": (lambda x: np.linalg.multi_dot([x]), (2, 2)),
    "multi_dot of stacks": (lambda x: np.linalg.multi_dot([x, x, x]), (2, 2, 2)),
    "multi_dot sizes": (lambda x: np.linalg.multi_dot([x, x, x]), (2, 3)),
    "outer of matrices": (lambda x: np.linalg.outer(x, x), (2, 2)),
    "cross of pairs": (lambda x: np.linalg.cross(x, x), (2,)),
    "diagonal of a vector": (np.linalg.diagonal, (2,)),
    "matrix_transpose of a vector": (np.linalg.matrix_transpose, (2,)),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_numpys_errors(name):
    """Also where only types are known."""
    fun, shape = BAD[name]
    x = rng().normal(size=shape)
    with pytest.raises(Exception) as numpys:
        fun(x)
    for call in (lambda: fg.make_jaxpr(fun)(x), lambda: fg.vjp(fun, x)):
        with pytest.raises(numpys.type) as ours:
            call()
        assert isinstance(ours.value, ValueError)


def test_out_is_refused():
    """The text names the function and the argument."""
    x = np.eye(2)
    with pytest.raises(UnsupportedOperationError, match=r"numpy\.linalg\.multi_dot\(\.\.\., out="):
        fg.vmap(lambda x: np.linalg.multi_dot([x, x, x], out=np.empty((2, 2))))(x[None])


# What it costs


def test_a_gradient_of_solve_solves_once_more():
    """Reverse mode reads both cotangents off one system; with a held it needs no matrix product either."""
    a, b = np.eye(3) * 2, np.ones((3, 2))
    total = lambda a, b: np.sum(np.linalg.solve(a, b))
    assert count("solve", fg.grad(total, (0, 1)), a, b) == 2
    assert count("solve", fg.grad(total, 1), a, b) == 2
    assert count("contract", fg.grad(total, 1), a, b) == 0
    assert count("solve", lambda a, b: fg.jvp(total, (a, b), (a, b)), a, b) == 2


def test_one_matrix_is_factorised_once_for_a_batch():
    """Right-hand sides become columns: of vmap, of broadcasting, of the rows of a Jacobian."""
    a, b = np.eye(3) * 2, np.ones((5, 3))
    assert ("solve", (3, 5)) in equations(fg.vmap(lambda b: np.linalg.solve(a, b)), b)
    assert ("solve", (3, 20)) in equations(lambda b: np.linalg.solve(a, b), np.ones((5, 3, 4)))
    jacobian = equations(lambda a: fg.jacrev(lambda b: np.linalg.solve(a, b))(np.ones(3)), a)
    assert ("solve", (3, 3)) in jacobian
    x = fg.vmap(lambda b: np.linalg.lstsq(a, b)[0])(b)
    np.testing.assert_allclose(x, b / 2)
    assert ("lstsq", (3, 5)) in equations(fg.vmap(lambda b: np.linalg.lstsq(a, b)[0]), b)


def test_the_derivative_of_an_inverse_reuses_it():
    """And that of log det takes one inverse, that of a determinant one matrix of cofactors."""
    a = np.eye(3) * 2
    assert count("inv", fg.grad(lambda a: np.sum(np.linalg.inv(a))), a) == 1
    assert count("inv", fg.grad(lambda a: np.linalg.slogdet(a).logabsdet), a) == 1
    assert count("cofactors", fg.grad(np.linalg.det), a) == 1
    assert count("cholesky_cotangent", fg.grad(lambda a: np.sum(np.linalg.cholesky(a))), a) == 1


def test_multi_dot_takes_the_cheapest_order():
    """(x (y z)) for a thin z: no product is larger than need be."""
    shapes = [
        shape
        for name, shape in equations(
            lambda x, y, z, w: np.linalg.multi_dot([x, y, z, w]),
            np.ones((6, 5)),
            np.ones((5, 4)),
            np.ones((4, 3)),
            np.ones((3, 1)),
        )
        if name == "contract"
    ]
    assert shapes == [(4, 1), (5, 1), (6, 1)]

"""Polynomials: degenerate cases, what depends on values, refusals, and comparison with mpmath."""

import functools
import warnings

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors

P = np.array([1.0, -3.0, 0.5, 2.0])


def differences(f, x, v, h=1e-6):
    """The directional derivative by central differences."""
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


def same(f, *args):
    """The value under jvp, which must have NumPy's shape and dtype."""
    expected = f(*args)
    value = fg.jvp(f, args, args)[0]
    assert (np.shape(value), np.asarray(value).dtype) == (np.shape(expected), np.asarray(expected).dtype)
    np.testing.assert_allclose(value, expected, rtol=1e-13, atol=1e-13)
    return value


# Roots


@pytest.mark.parametrize(
    "p", [[1, -3, 2], [1, 0, 1], [0, 0, 2, 3], [2, 3, 0, 0], [0, 1, 2, 0], [0, 0, 3, 0, 0], [4], [0, 0], [1, 2, 3, 4]]
)
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex64", "complex128"])
def test_roots_of_special_polynomials(p, dtype):
    """Zeros in front and at the end, constants, real and complex roots: NumPy's values, lengths and dtypes."""
    p = np.array(p, dtype)
    expected = np.roots(p)
    with np.errstate(all="ignore"):  # a double zero at the end has no derivative
        value = fg.jvp(np.roots, (p,), (np.ones_like(p),))[0]
    assert (value.shape, value.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(value, expected)


def test_a_zero_in_front_has_a_derivative():
    """The finite roots move with the coefficient that NumPy leaves out: -r**n / p'(r)."""
    p, e = np.array([0.0, 1.0, -3.0, 2.0]), np.array([1.0, 0.0, 0.0, 0.0])
    pushed = fg.jvp(np.roots, (p,), (e,))[1]
    h = 1e-6
    plus, minus = (np.sort(np.roots(p + sign * h * e).real) for sign in (1, -1))  # the third root is far away
    numerical = (plus[1:] - minus[:2]) / (2 * h)
    np.testing.assert_allclose(np.sort(pushed), np.sort(numerical), rtol=1e-4)


def test_roots_against_mpmath():
    """The derivatives of all roots of a polynomial of degree 7, to 12 digits."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    p, v = rng.normal(size=8), rng.normal(size=8)
    value, pushed = fg.jvp(np.roots, (p,), (v,))
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -20

        def near(sign, root):
            coefficients = [mpmath.mpf(a) + sign * h * mpmath.mpf(b) for a, b in zip(p, v, strict=True)]
            return mpmath.findroot(lambda z: functools.reduce(lambda s, c: s * z + c, coefficients), mpmath.mpc(root))

        exact = [complex((near(1, r) - near(-1, r)) / (2 * h)) for r in value]
    np.testing.assert_allclose(pushed, exact, rtol=1e-12)


def test_sums_of_roots_are_coefficients():
    """Vieta: the sum of the roots is -p1/p0, whose derivatives of first and second order are known."""

    def f(p):
        return np.sum(np.roots(p)).real

    p = np.array([2.0, 3.0, 5.0, 7.0])
    np.testing.assert_allclose(fg.grad(f)(p), [3 / 4, -1 / 2, 0, 0], atol=1e-14)
    np.testing.assert_allclose(fg.hessian(f)(p)[:2, :2], [[-3 / 4, 1 / 4], [1 / 4, 0]], atol=1e-13)
    np.testing.assert_allclose(fg.hessian(f)(p)[2:], 0, atol=1e-13)


def test_a_multiple_root_has_no_derivative():
    """It is infinite or nan, never a finite number."""
    with np.errstate(all="ignore"):
        pushed = fg.jvp(np.roots, (np.array([1.0, 0.0, 0.0]),), (np.array([0.0, 0.0, 1.0]),))[1]
    assert not np.isfinite(pushed).any()


def test_roots_without_values():
    """Real coefficients: the dtype is not known. Complex ones: vmap is a loop; a zero in front is an error."""
    ps = np.stack([P, P[::-1]])
    with pytest.raises(errors.ConcretizationTypeError, match=r"np\.roots\(p\.astype\(complex\)\)"):
        fg.vmap(np.roots)(ps)
    mapped = fg.vmap(lambda p: np.roots(p.astype(complex)))(ps)
    np.testing.assert_allclose(mapped, [np.roots(p.astype(complex)) for p in ps])
    with pytest.raises(ValueError, match="first coefficient"):
        fg.vmap(lambda p: np.roots(p.astype(complex)))(np.stack([P, 0 * P]))
    closed = fg.make_jaxpr(np.roots)(P + 0j)
    with pytest.raises(ValueError, match="first coefficient"):
        fg.eval_jaxpr(closed, (), np.array([0, 1.0, 2.0, 3.0]) + 0j)


# Characteristic polynomials


@pytest.mark.parametrize("matrix", [np.eye(3), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0]), np.triu(np.ones((4, 4)))])
def test_poly_of_a_matrix_with_equal_eigenvalues(matrix):
    """The derivative of the determinant is finite and right where eigenvalues have none."""
    v = np.random.default_rng(1).normal(size=matrix.shape)

    def coefficients(a):
        traces = [np.trace(np.linalg.matrix_power(a, k + 1)) for k in range(len(a))]  # Newton's identities
        c = [1.0]
        for k in range(1, len(a) + 1):
            c.append(-sum(c[k - 1 - i] * traces[i] for i in range(k)) / k)
        return np.array(c)

    np.testing.assert_allclose(fg.jvp(np.poly, (matrix,), (v,))[1], differences(coefficients, matrix, v), atol=1e-8)


def test_poly_depends_on_values_for_complex_roots_only():
    """Conjugate pairs make a real result."""
    assert same(np.poly, np.array([1 + 2j, 1 - 2j])).dtype == float
    assert same(np.poly, np.array([1 + 2j, 1 - 1j])).dtype == complex
    assert same(np.poly, np.diag([1.0, 2.0]) + 0j).dtype == float
    np.testing.assert_allclose(fg.vmap(np.poly)(np.eye(2)), [np.poly(r) for r in np.eye(2)])
    with pytest.raises(errors.ConcretizationTypeError, match=r"np\.convolve"):
        fg.vmap(np.poly)(np.eye(2) + 0j)
    with pytest.raises(ValueError, match="square"):
        fg.grad(lambda x: np.poly(x).sum())(np.ones((2, 3)))


# What drops zeros


def test_products_drop_zeros_in_front():
    """The lengths are NumPy's; the derivative in a coefficient that is dropped is not zero."""
    for a, b in (([0.0, 0.0, 1.0], [0.0, 2.0]), ([0.0, 0.0], [1.0, 2.0]), ([0.0], [0.0]), ([], [1.0, 2.0])):
        expected = np.polymul(a, b)
        value = fg.jvp(np.polymul, (np.array(a), np.array(b)), (np.ones(len(a)), np.ones(len(b))))[0]
        assert value.shape == expected.shape
        np.testing.assert_array_equal(value, expected)
    b = np.array([1.0, 2.0])
    pushed = fg.jvp(lambda a: np.polymul(a, b), (np.array([0.0, 3.0]),), (np.array([1.0, 0.0]),))[1]
    np.testing.assert_array_equal(pushed, [2.0, 0.0])  # (e z + 3) (z + 2) = e z**2 + (2 e + 3) z + 6
    with pytest.raises(errors.ConcretizationTypeError, match=r"np\.convolve"):
        fg.vmap(lambda p: np.polymul(p, p))(np.eye(2))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "complex64"])
def test_division(dtype):
    """u = q v + r in NumPy's shapes and dtypes; an exact division leaves one zero."""
    u, v = np.array([2, 7, 7, 2], dtype), np.array([1, 2], dtype)
    for a, b in ((u, v), (v, u), (u, u), (u, v[:1])):
        actual = fg.jvp(lambda z, a=a, b=b: np.polydiv(a + 0 * z, b), (1.0,), (1.0,))[0]
        for x, y in zip(actual, np.polydiv(a, b), strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_allclose(x, y, atol=1e-6)
    with pytest.raises(errors.ConcretizationTypeError, match="remainder"):
        fg.vmap(lambda p: np.polydiv(p, v))(np.ones((2, 4)))


# Fits


def test_polyfit_of_everything_that_lstsq_returns():
    """full=True: NumPy's five results."""
    x, y = np.linspace(-1, 1, 7), np.random.default_rng(2).normal(size=7)
    expected = np.polyfit(x, y, 2, full=True)
    actual = fg.jvp(lambda y: np.polyfit(x, y, 2, full=True)[:4], (y,), (y,))[0]
    for a, b in zip(actual, expected, strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_polyfit_is_linear_in_y_and_exact_for_polynomials():
    """The coefficients of values of a polynomial are those of the polynomial, and so is the derivative."""
    x = np.linspace(-1, 2, 9)
    q = np.array([0.3, -1.0, 2.0])
    value, pushed = fg.jvp(lambda p: np.polyfit(x, np.polyval(p, x), 2), (P[:3],), (q,))
    np.testing.assert_allclose(value, P[:3], rtol=1e-12)
    np.testing.assert_allclose(pushed, q, rtol=1e-12)
    moved = fg.jacfwd(lambda s: np.polyfit(x + s, np.polyval(P[:3], x), 1))(0.0)
    np.testing.assert_allclose(
        moved, differences(lambda s: np.polyfit(x + s, np.polyval(P[:3], x), 1), 0.0, 1.0), atol=1e-8
    )


def test_polyfit_warns_of_a_deficient_rank():
    """NumPy's warning, where the rank is known."""
    y = np.ones(3)
    with pytest.warns(np.exceptions.RankWarning, match="poorly conditioned"):
        fg.grad(lambda y: np.polyfit(np.ones(3), y, 2).sum())(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fg.grad(lambda y: np.polyfit(np.arange(3.0), y, 1).sum())(y)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (ValueError, lambda y: np.polyfit(y, y, -1)),
        (TypeError, lambda y: np.polyfit(np.ones((2, 2)), y, 1)),
        (TypeError, lambda y: np.polyfit(np.ones(2), y, 1)),
        (TypeError, lambda y: np.polyfit(np.arange(3.0), y, 1, w=np.ones(2))),
        (TypeError, lambda y: np.polyfit(np.arange(3.0), y[0], 1)),
        (ValueError, lambda y: np.polyfit(np.arange(3.0), y, 2, cov=True)),
        (ValueError, lambda y: np.polyder(y, -1)),
        (ValueError, lambda y: np.polyint(y, -1)),
        (ValueError, lambda y: np.polyint(y, 3, [1.0, 2.0])),
        (TypeError, lambda y: np.polyder(y[0])),
        (TypeError, lambda y: np.polyval(y[0], y)),
        (ValueError, lambda y: np.roots(np.stack([y, y]))),
        (ValueError, lambda y: np.vander(np.stack([y, y]))),
        (ValueError, lambda y: np.vander(y, -1)),
        (ValueError, lambda y: np.polyadd(np.stack([y, y]), y)),
    ],
)
def test_bad_arguments(kind, call):
    """NumPy's kind of error, with and without known values."""
    if "polyadd" not in call.__code__.co_names:
        with pytest.raises(kind):
            call(np.ones(3))
    for run in (lambda: fg.jvp(call, (np.ones(3),), (np.ones(3),)), lambda: fg.make_jaxpr(call)(np.ones(3))):
        with pytest.raises(kind):
            run()


def test_poly1d_beside_a_traced_array():
    """A poly1d cannot hold traced coefficients: refused where the result would be one, else taken as a vector."""
    q = np.poly1d([1.0, 2.0])
    for call in (np.polyadd, np.polysub, np.polymul, np.polydiv):
        with pytest.raises(errors.UnsupportedOperationError, match=r"p\.coeffs"):
            fg.grad(lambda x, call=call: call(q, x)[0])(P)
    with pytest.raises(errors.UnsupportedOperationError, match=r"p\.coeffs"):
        fg.grad(lambda x: np.polyval(x, q)[0])(P)
    np.testing.assert_array_equal(fg.grad(lambda x: np.polyval(q, x).sum())(P), np.ones(4))


def test_polyval_follows_numpys_horner():
    """Single precision stays so; at infinity it is nan, as in NumPy."""
    x = np.float32([0.1, 2.0])
    assert same(np.polyval, np.float32([1, 2, 3]), x).dtype == np.float32
    with np.errstate(all="ignore"):
        assert np.isnan(np.polyval([1.0, 1.0], np.inf)) and np.isnan(
            fg.jvp(lambda x: np.polyval([1.0, 1.0], x), (np.inf,), (1.0,))[0]
        )

"""custom_root and custom_linear_solve: solutions are differentiated by what they solve, not by how."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.errors import NonLinearError, TracerBoolConversionError, TransformTypeError
from fungrad.testing import check_grads

RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 4)) + 4.0 * np.eye(4)
B = RNG.normal(size=4)


def _newton(f, x):
    """Newton's method that stops by value."""
    while abs(f(x)) > 1e-13:
        x = x - f(x) / fg.grad(f)(x)
    return x


def _recorded_newton(f, x):
    """The same as a loop that is recorded."""
    return lax.while_loop(lambda x: abs(f(x)) > 1e-13, lambda x: x - f(x) / fg.grad(f)(x), x)


def _kepler(solve):
    """The eccentric anomaly x - e sin x = m."""

    def anomaly(m, e):
        return lax.custom_root(lambda x: x - e * np.sin(x) - m, m, solve, lambda g, y: y / g(1.0))

    return anomaly


def _kepler_gradient(m, e):
    """dx/dm = 1 / (1 - e cos x), dx/de = sin x dx/dm."""
    x = _kepler(_newton)(m, e)
    slope = 1.0 / (1.0 - e * np.cos(x))
    return slope, np.sin(x) * slope


def _conjugate_gradients(matvec, b):
    """Hestenes & Stiefel 1952, as a loop that is recorded."""

    def body(carry):
        x, r, p, rr = carry
        q = matvec(p)
        alpha = rr / (p @ q)
        r = r - alpha * q
        new = r @ r
        return x + alpha * p, r, r + new / rr * p, new

    return lax.while_loop(lambda c: c[3] > 1e-28, body, (np.zeros_like(b), b, b, b @ b))[0]


def _plain_conjugate_gradients(matvec, b):
    """The same in plain Python, which stops by value."""
    x, r, p = np.zeros_like(b), b, b
    while r @ r > 1e-28:
        q = matvec(p)
        alpha = (r @ r) / (p @ q)
        x, new = x + alpha * p, r - alpha * q
        p = new + (new @ new) / (r @ r) * p
        r = new
    return x


def _dense(matvec, b):
    """The matrix of a linear function, and LAPACK."""
    return np.linalg.solve(fg.jacobian(matvec)(b), b)


def _sum_of_sines(x):
    return np.sum(np.sin(x))


def _reference(a, b):
    """What all systems below compute."""
    return _sum_of_sines(np.linalg.solve(a, b))


def _by_root(a, b):
    """A linear system as an equation, from an oracle whose own derivative is wrong."""
    solution = fg.stop_gradient(np.linalg.solve(a, b))
    return _sum_of_sines(lax.custom_root(lambda x: a @ x - b, np.zeros(4), lambda f, x: solution, _dense))


def _by_root_with_linear_solve(a, b):
    """A linear system as an equation, whose tangents are solutions of linear systems again."""

    def tangent_solve(g, y):
        return lax.custom_linear_solve(g, y, _dense, _dense)

    def solve(f, x):
        return -_dense(lambda x: f(x) - f(0.0 * x), f(0.0 * x))

    return _sum_of_sines(lax.custom_root(lambda x: a @ x - b, np.zeros(4), solve, tangent_solve))


def _by_linear_solve(a, b):
    """By the solvers' own arguments alone."""
    return _sum_of_sines(lax.custom_linear_solve(lambda x: a @ x, b, _dense, _dense))


def _by_closures(a, b):
    """By solvers that close over the matrix, and whose own derivative is wrong."""
    matrix = fg.stop_gradient(a)
    return _sum_of_sines(
        lax.custom_linear_solve(
            lambda x: a @ x,
            b,
            lambda f, b: np.linalg.solve(matrix, b),
            lambda f, b: np.linalg.solve(matrix.T, b),
        )
    )


def _by_traced_closures(a, b):
    """By solvers that close over what is differentiated, and would give the right hand side a derivative twice."""
    return _sum_of_sines(
        lax.custom_linear_solve(
            lambda x: a @ x, b, lambda f, c: np.linalg.solve(a, c), lambda f, c: np.linalg.solve(a.T, c)
        )
    )


def _by_one_traced_closure(a, b):
    """Only the solver of the transposed system closes over what is differentiated."""
    return _sum_of_sines(lax.custom_linear_solve(lambda x: a @ x, b, _dense, lambda f, c: np.linalg.solve(a.T, c)))


def _by_root_of_traced_closures(a, b):
    """An equation whose solver, and whose tangent_solve, close over what is differentiated."""
    return _sum_of_sines(
        lax.custom_root(
            lambda x: a @ x - b,
            np.zeros(4),
            lambda f, x: np.linalg.solve(a, b),
            lambda g, y: np.linalg.solve(a, y),
        )
    )


def _by_pytrees(a, b):
    """The vector in two parts."""

    def matvec(x):
        y = a @ np.concatenate([x["head"], x["tail"]])
        return {"head": y[:1], "tail": y[1:]}

    def solve(f, b):
        def flat(x):
            y = f({"head": x[:1], "tail": x[1:]})
            return np.concatenate([y["head"], y["tail"]])

        x = _dense(flat, np.concatenate([b["head"], b["tail"]]))
        return {"head": x[:1], "tail": x[1:]}

    x = lax.custom_linear_solve(matvec, {"head": b[:1], "tail": b[1:]}, solve, solve)
    return _sum_of_sines(x["head"]) + _sum_of_sines(x["tail"])


SYSTEMS = [
    _by_root,
    _by_root_with_linear_solve,
    _by_root_of_traced_closures,
    _by_linear_solve,
    _by_closures,
    _by_traced_closures,
    _by_one_traced_closure,
    _by_pytrees,
]

WORDS = {
    "value": lambda f: f,
    "jit": fg.jit,
    "grad": lambda f: fg.grad(f, (0, 1)),
    "grad of the matrix": lambda f: fg.grad(f, 0),
    "grad of the right-hand side": lambda f: fg.grad(f, 1),
    "jvp": lambda f: lambda a, b: fg.jvp(f, (a, b), (a * a, np.sin(b))),
    "jit(grad)": lambda f: fg.jit(fg.grad(f, (0, 1))),
    "grad(jit)": lambda f: fg.grad(fg.jit(f), (0, 1)),
    "grad(jvp)": lambda f: fg.grad(lambda a, b: fg.jvp(f, (a, b), (a * a, np.sin(b)))[1], (0, 1)),
    "jvp(grad)": lambda f: lambda a, b: fg.jvp(fg.grad(f, (0, 1)), (a, b), (a * a, np.sin(b))),
    "hessian": lambda f: fg.hessian(f, (0, 1)),
    "jit(hessian)": lambda f: fg.jit(fg.hessian(f, (0, 1))),
    "jacrev(jit(grad))": lambda f: fg.jacrev(fg.jit(fg.grad(f, 1)), 1),
    "jacfwd(jacrev)": lambda f: fg.jacfwd(fg.jacrev(f, 1), 0),
    "vmap over b": lambda f: lambda a, b: fg.vmap(f, (None, 0))(a, np.stack([b, 2 * b])),
    "vmap(grad) over a": lambda f: lambda a, b: fg.vmap(fg.grad(f, (0, 1)), (0, None))(np.stack([a, a.T]), b),
    "grad(vmap) over a": lambda f: fg.grad(
        lambda a, b: fg.vmap(f, (0, None))(np.stack([a, 2 * a]), b) @ np.array([1.0, 3.0]), (0, 1)
    ),
    "jit(grad(vmap(vmap)))": lambda f: fg.jit(
        fg.grad(
            lambda a, b: fg.vmap(fg.vmap(f, (None, 0)), (0, None))(
                np.stack([a, 2 * a]), np.stack([b, -b, b * b])
            ).sum(),
            (0, 1),
        )
    ),
    "grad(grad(grad))": lambda f: (
        lambda a, b: fg.grad(fg.grad(fg.grad(lambda t: f(a + t * np.eye(4), (1 + t) * b))))(0.1)
    ),
    "grad(checkpoint)": lambda f: fg.grad(fg.checkpoint(f), (0, 1)),
    "linearize": lambda f: lambda a, b: fg.linearize(f, a, b)[1](b * a, b),
    "jit(grad(cond))": lambda f: fg.jit(
        fg.grad(lambda a, b: lax.cond(b[0] > 0, f, lambda a, b: -f(a, b), a, b), (0, 1))
    ),
    "grad(while_loop)": lambda f: fg.grad(
        lambda a, b: lax.while_loop(lambda c: c < 5.0, lambda c: c + 0.3 + 0.1 * f(a, c * b) ** 2, 1.0), (0, 1)
    ),
    "vmap(grad) with a collective": lambda f: (
        lambda a, b: fg.vmap(
            fg.grad(lambda a, b: f(a + lax.psum(b, "i")[0], b) * lax.psum(f(a, b), "i"), (0, 1)),
            (None, 0),
            axis_name="i",
        )(a, np.stack([b, 2 * b]))
    ),
    "in a scan": lambda f: fg.grad(
        lambda a, b: lax.scan(lambda c, k: (c + k * f(a, c * b), c), 1.0, np.array([0.5, 1.5]))[0], (0, 1)
    ),
}


def _same(x, y, tolerance=1e-9):
    pairs = zip(fg.tree.leaves(x), fg.tree.leaves(y), strict=True)
    for p, q in pairs:
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("system", "word"), list(itertools.product(SYSTEMS, WORDS)), ids=lambda x: getattr(x, "__name__", x)
)
def test_derivatives_are_those_of_solve(system, word):
    """Each word of transforms gives what it gives for np.linalg.solve, whose rules are its own."""
    _same(WORDS[word](system)(A, B), WORDS[word](_reference)(A, B))


@pytest.mark.parametrize("word", WORDS)
def test_conjugate_gradients(word):
    """A symmetric system by conjugate gradients in a while_loop needs one solver for both directions."""

    def symmetrized(a):
        return (a + a.T) / 2

    def by_cg(a, b):
        s = symmetrized(a)
        return _sum_of_sines(lax.custom_linear_solve(lambda x: s @ x, b, _conjugate_gradients, symmetric=True))

    f, g = by_cg, lambda a, b: _reference(symmetrized(a), b)
    _same(WORDS[word](f)(A @ A.T / 9, B), WORDS[word](g)(A @ A.T / 9, B), 1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**31), st.booleans())
def test_systems_of_any_size(n, seed, jitted):
    """Value, tangent and cotangents of a system agree with np.linalg.solve on values."""
    rng = np.random.default_rng(seed)
    a, a_dot = rng.normal(size=(n, n)) + 3.0 * n * np.eye(n), rng.normal(size=(n, n))
    b, b_dot, w = rng.normal(size=(3, n))

    def f(a, b):
        return lax.custom_linear_solve(lambda x: a @ x, b, _dense, _dense)

    f = fg.jit(f) if jitted else f
    x = np.linalg.solve(a, b)
    out, out_dot = fg.jvp(f, (a, b), (a_dot, b_dot))
    np.testing.assert_allclose(out, x, atol=1e-10)
    np.testing.assert_allclose(out_dot, np.linalg.solve(a, b_dot - a_dot @ x), atol=1e-10)
    b_bar = np.linalg.solve(a.T, w)
    _, pull = fg.vjp(f, a, b)
    _same(pull(w), (-np.outer(b_bar, x), b_bar))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 6.0), st.floats(0.0, 0.8))
def test_keplers_equation(m, e):
    """The derivative of the eccentric anomaly is that of the formula, by both solvers and both modes."""
    expected = _kepler_gradient(m, e)
    for solve in (_newton, _recorded_newton):
        anomaly = _kepler(solve)
        _same(fg.grad(anomaly, (0, 1))(m, e), expected, 1e-8)
        _same(fg.jvp(anomaly, (m, e), (0.0, 1.0))[1], expected[1], 1e-8)


@pytest.mark.parametrize("solve", [_newton, _recorded_newton])
def test_higher_orders_of_kepler(solve):
    """Second and third order by differences of the order below."""
    anomaly = _kepler(solve)
    check_grads(anomaly, (1.0, 0.3), order=3)
    second = fg.hessian(_kepler(_recorded_newton), (0, 1))(1.0, 0.3)
    _same(second, fg.jit(fg.hessian(_kepler(_recorded_newton), (0, 1)))(1.0, 0.3))
    for k in range(2):
        shift = np.eye(2)[k] * 1e-5
        ahead, behind = (_kepler_gradient(*(np.array([1.0, 0.3]) + s)) for s in (shift, -shift))
        _same([row[k] for row in second], [(p - q) / 2e-5 for p, q in zip(ahead, behind, strict=True)], 1e-6)


def test_batches_of_kepler():
    """vmap of a solver whose loop ends at another time for each example."""
    m, e = np.linspace(0.5, 6.0, 7), np.linspace(0.0, 0.9, 7)
    anomaly = _kepler(_recorded_newton)
    expected = np.array([_kepler_gradient(x, y) for x, y in zip(m, e, strict=True)])
    _same(fg.vmap(fg.grad(anomaly, (0, 1)))(m, e), [expected[:, 0], expected[:, 1]], 1e-8)
    shared = fg.grad(lambda e: fg.vmap(anomaly, (0, None))(m, e).sum())(0.3)
    _same(shared, sum(_kepler_gradient(x, 0.3)[1] for x in m), 1e-8)


def test_solvers_see_values_under_derivatives():
    """Outside of jit and vmap solvers get plain arrays, at every order, and are not differentiated."""
    seen = []

    def solve(f, x):
        seen.append((type(x), type(f(x))))
        return _newton(f, x)

    fg.grad(fg.grad(_kepler(solve), 1), 1)(1.0, 0.3)
    assert len(seen) == 1
    assert not any(t.__name__ == "Tracer" for t in seen[0])

    def linear(f, b):
        seen.append((type(b), type(f(b))))
        return _plain_conjugate_gradients(f, b)

    def energy(s):
        return lax.custom_linear_solve(lambda x: s * x, np.ones(3), linear, symmetric=True).sum()

    s = np.array([1.0, 2.0, 4.0])
    del seen[:]
    _same(fg.grad(energy)(s), -1 / s**2)
    assert len(seen) == 2, "once forwards and once backwards"
    assert {t for pair in seen for t in pair} == {np.ndarray}
    _same(fg.jvp(fg.grad(energy), (s,), (np.ones(3),))[1], 2 / s**3)


def test_scipy_solves():
    """Solvers of SciPy serve under derivatives, to second order."""
    optimize = pytest.importorskip("scipy.optimize")
    anomaly = _kepler(lambda f, x: optimize.brentq(f, 0.0, 7.0, xtol=1e-14))
    _same(fg.grad(anomaly, (0, 1))(1.0, 0.3), _kepler_gradient(1.0, 0.3))
    _same(fg.grad(fg.grad(anomaly, 1), 1)(1.0, 0.3), fg.grad(fg.grad(_kepler(_recorded_newton), 1), 1)(1.0, 0.3))
    with pytest.raises(TracerBoolConversionError, match=r"fungrad\.jit"):
        fg.jit(anomaly)(1.0, 0.3)


def test_the_solver_has_no_influence():
    """What solvers close over, and the guess, have a derivative of zero, also where the solver stops too early."""

    def root(guess, damping, p):
        def solve(f, x):
            return lax.fori_loop(0, 2, lambda _, x: x - damping * f(x) / fg.grad(f)(x), x)

        return lax.custom_root(lambda x: x * x - p, guess, solve, lambda g, y: y / g(1.0))

    slope = 0.5 / root(1.0, 0.9, 4.0)
    for transform in (lambda f: f, fg.jit):
        _same(fg.grad(transform(root), (0, 1, 2))(1.0, 0.9, 4.0), (0.0, 0.0, slope))
    _same(fg.grad(lambda q: root(1.0, q, 4.0))(0.9), 0.0)
    _same(fg.grad(lambda q: q * lax.custom_linear_solve(lambda x: 2.0 * x, 3.0, lambda f, b: b / 2.0 * q))(1.0), 1.5)
    slopes = fg.vmap(fg.grad(root, 2), (None, 0, None))(1.0, np.array([0.9, 0.9]), 4.0)
    _same(slopes, np.array([slope, slope]))


def test_one_of_two_recordings():
    """The equation is of the outer variable, the solver of the inner one, and the other way round."""

    def inner(p, q):
        def solve(f, x):
            return lax.fori_loop(0, 60, lambda _, x: x - q * f(x) / fg.grad(f)(x), x)

        return p * q * lax.custom_root(lambda x: x * x - p, 1.0, solve, lambda g, y: y / g(1.0))

    _same(fg.grad(lambda p: fg.grad(inner, 1)(p, 0.9))(4.0), 3.0)  # d/dp p sqrt(p) = 3/2 sqrt(p)
    _same(fg.grad(lambda q: fg.grad(inner, 0)(4.0, q))(0.9), 3.0)
    _same(fg.jit(fg.grad(lambda p: fg.grad(inner, 1)(p, 0.9)))(4.0), 3.0)
    _same(fg.vmap(lambda p: fg.grad(inner, 1)(p, 0.9))(np.array([1.0, 4.0])), np.array([1.0, 8.0]))


def test_auxiliary_results():
    """What solvers return beside the solution is given back, without a derivative."""

    def root(p):
        def solve(f, x):
            return lax.fori_loop(0, 20, lambda _, x: x - f(x) / fg.grad(f)(x), x), {"steps": 20, "p": p * 1.0}

        return lax.custom_root(lambda x: x * x - p, 1.0, solve, lambda g, y: y / g(1.0), has_aux=True)

    def system(p):
        def solve(f, b):
            return b / p, [p, 7]

        return lax.custom_linear_solve(lambda x: p * x, 3.0, solve, symmetric=True, has_aux=True)

    for transform in (lambda f: f, fg.jit):
        value, aux = transform(root)(4.0)
        assert (value, aux) == (2.0, {"steps": 20, "p": 4.0})
        assert transform(system)(2.0) == (1.5, [2.0, 7])
        assert fg.grad(transform(root), has_aux=True)(4.0) == (0.25, {"steps": 20, "p": 4.0})
        assert fg.grad(transform(system), has_aux=True)(2.0) == (-0.75, [2.0, 7])
        assert fg.grad(lambda p, transform=transform: transform(root)(p)[1]["p"])(4.0) == 0.0
        assert fg.grad(lambda p, transform=transform: transform(system)(p)[1][0])(4.0) == 0.0
    _same(fg.vmap(root)(np.array([1.0, 4.0]))[1]["p"], np.array([1.0, 4.0]))


def test_numbers_and_dtypes():
    """A number takes the dtype that the function makes of it; float32 and complex numbers stay what they are."""
    for transform in (lambda f: f, fg.jit, fg.grad):
        assert transform(lambda p: lax.custom_root(lambda x: x - p, 1, lambda f, x: x - f(x), lambda g, y: y))(2.5) in (
            2.5,
            1.0,
        )
    single = fg.jit(
        lambda p: lax.custom_linear_solve(lambda x: p * x, np.float32(3), lambda f, b: b / p, symmetric=True)
    )
    assert single(np.float32(2)).dtype == np.float32

    def part(z):
        x = lax.custom_linear_solve(lambda x: (z * z) @ x, np.array([1.0, 1j]), _complex_dense, _complex_dense)
        return (x * np.array([1.0, 2.0 + 1j])).sum().imag

    def expected(z):
        return (np.linalg.solve(z * z, np.array([1.0, 1j])) * np.array([1.0, 2.0 + 1j])).sum().imag

    z = np.array([[2.0 + 1j, 1j], [0.5, 3.0]])
    _same(fg.grad(part)(z), fg.grad(expected)(z))
    _same(fg.jit(fg.grad(part))(z), fg.grad(expected)(z))


def _complex_dense(matvec, b):
    """Column by column: the function is linear in complex numbers."""
    return np.linalg.solve(fg.vmap(matvec, out_axes=1)(np.eye(2, dtype=complex)), b)


def test_forward_mode_needs_no_transpose():
    """transpose_solve is asked for by reverse mode only."""

    def f(p):
        return lax.custom_linear_solve(lambda x: p * x, p + 1.0, lambda f, b: b / f(1.0))

    for transform in (lambda f: f, fg.jit):
        _same(fg.jvp(transform(f), (2.0,), (1.0,)), (1.5, -0.25))
        with pytest.raises(TransformTypeError, match=r"reverse mode .* of .*f.<locals>.* solves the transposed system"):
            fg.grad(transform(f))(2.0)


def test_residuals_are_as_they_were():
    """Arrays that are assigned to afterwards do not change the derivative."""
    a, b = A.copy(), B.copy()
    _, pull = fg.vjp(lambda b: lax.custom_linear_solve(lambda x: a @ x, b, _dense, _dense), b)
    a[:] = 0.0
    _same(pull(np.ones(4))[0], np.linalg.solve(A.T, np.ones(4)))
    for system in (_by_linear_solve, _by_root):
        a = A.copy()
        expected = fg.grad(_reference, (0, 1))(A, B)
        value, pull = fg.vjp(system, a, b)
        a[:] = b[:] = 0.0
        _same(pull(np.ones_like(value)), expected)
        b[:] = B


def test_a_recorded_system_is_pickled():
    """A jaxpr with a system holds everything."""
    closed = fg.make_jaxpr(lambda a, b: _by_linear_solve(a, b))(A, B)
    again = pickle.loads(pickle.dumps(closed))
    assert str(again) == str(closed)


def _root_of(f=lambda x: x, guess=None, solve=lambda f, x: x, tangent_solve=lambda g, y: y, **options):
    guess = np.ones(2) if guess is None else guess
    return lambda p: fg.tree.leaves(lax.custom_root(lambda x: f(x * p), guess, solve, tangent_solve, **options))[
        0
    ].sum()


def _system_of(matvec=lambda x: x, solve=lambda f, b: b, transpose_solve=lambda f, b: b, **options):
    return lambda p: fg.tree.leaves(
        lax.custom_linear_solve(lambda x: matvec(x * p), np.ones(2), solve, transpose_solve, **options)
    )[0].sum()


@pytest.mark.parametrize(
    ("fun", "error", "text"),
    [
        (_root_of(lambda x: x[:1]), TransformTypeError, r"initial guess of .* what .* returns.*f64\[2\].*f64\[1\]"),
        (_root_of(lambda x: {"a": x}), TransformTypeError, r"not TreeDef\(\{'a': \*\}\)"),
        (
            _root_of(lambda x: x * np.ones(2), guess=np.ones(2, np.float32)),
            TransformTypeError,
            r"f32\[2\] in the first and f64\[2\]",
        ),
        (_root_of(lambda x: (x > 0).astype(int), guess=np.ones(2, int)), TransformTypeError, "floating-point numbers"),
        (_root_of(solve=lambda f, x: x[:1]), TransformTypeError, r"the solution that .* returns .*f64\[1\]"),
        (_root_of(solve=lambda f, x: (x, x)), TransformTypeError, "the solution that .* same tree structure"),
        (_root_of(solve=lambda f, x: f([x])), TransformTypeError, "the one that a solver gave it"),
        (_root_of(solve=lambda f, x: f(x[0])), TransformTypeError, r"solver gave it .* f64\[2\] .* f64\[\]"),
        (_root_of(has_aux=True), TransformTypeError, r"must return a pair \(solution, aux\), got ndarray"),
        (_root_of(tangent_solve=lambda g, y: y[0]), TransformTypeError, r"the solution that .* f64\[\] in the second"),
        (_root_of(tangent_solve=lambda g, y: g(y, y)), TypeError, "takes 1 positional argument"),
        (_root_of(tangent_solve=lambda g, y: y * y), NonLinearError, "tangent_solve .* is not linear in its second"),
        (_root_of(solve=3), TransformTypeError, "expects a function, got int"),
        (_system_of(lambda x: x[:1]), TransformTypeError, "right-hand side of .* must have the same types"),
        (_system_of(lambda x: x * x), NonLinearError, "matvec must be linear, which .* is not"),
        (_system_of(lambda x: x + 1.0), NonLinearError, "matvec must be linear, which .* is not"),
        (_system_of(solve=lambda f, b: b[0]), TransformTypeError, r"the solution that .* f64\[\] in the second"),
        (_system_of(transpose_solve=lambda f, b: b[0]), TransformTypeError, r"the solution that .* f64\[\]"),
        (_system_of(transpose_solve=3), TransformTypeError, "expects a function, got int"),
        (_system_of(has_aux=True), TransformTypeError, r"must return a pair \(solution, aux\)"),
    ],
)
def test_refusals(fun, error, text):
    """What does not fit is refused with a text that says what and where."""
    with pytest.raises(error, match=text):
        fg.grad(fun)(2.0)


def test_refusals_within_jit():
    """A tangent_solve that is not linear is refused in a compiled function too, by its name."""
    with pytest.raises(NonLinearError, match=r"test_custom_root\.py.* is not linear"):
        fg.grad(fg.jit(_root_of(tangent_solve=lambda g, y: y * y)))(2.0)
    with pytest.raises(NonLinearError, match="matvec must be linear"):
        fg.grad(fg.jit(_system_of(lambda x: x * x)))(2.0)


def test_without_tracing_functions_run_as_written():
    """A plain call records nothing: f may be any Python code."""

    def f(x):
        return x - 2.0 if x > 1.0 else x - 2.0 + 0.0 * float(x)

    assert lax.custom_root(f, 0.5, lambda f, x: x - f(x), None.__class__) == 2.0
    assert lax.custom_linear_solve(lambda x: float(x) * 2.0, 3.0, lambda f, b: b / f(1.0)) == 1.5
    with pytest.raises(TransformTypeError, match="the solution that"):
        lax.custom_root(f, 0.5, lambda f, x: np.ones(2), lambda g, y: y)


def test_linear_transpose():
    """A solution is linear in the right-hand side; its transpose is that of the transposed system."""

    def solution(b):
        return lax.custom_linear_solve(lambda x: A @ x, b, _dense, _dense)

    for f in (solution, fg.jit(solution)):
        _same(fg.linear_transpose(f, B)(B)[0], np.linalg.solve(A.T, B))


def test_a_system_over_a_named_axis():
    """matvec and the solver may sum over the examples of a vmap: then it is one system in all of them."""

    def coupled(b):
        return lax.custom_linear_solve(
            lambda x: 3 * x + lax.psum(x, "i"), b, lambda f, b: (b - lax.psum(b, "i") / 5) / 3, symmetric=True
        )

    w = np.array([1.0, 2.0])
    inverse = np.linalg.inv(3 * np.eye(2) + np.ones((2, 2)))
    _same(fg.vmap(coupled, axis_name="i")(w), inverse @ w)
    _same(fg.grad(lambda b: fg.vmap(coupled, axis_name="i")(b) @ w)(w), inverse @ w)

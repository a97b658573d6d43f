"""Dtypes: NumPy's promotion (NEP 50) through every transform, Python numbers weak, results of the right type."""

import numpy as np
import pytest

import fungrad as fg

X32 = np.array([1.0, 2.0], np.float32)
C64 = np.array([1.0 + 1j, 2.0], np.complex64)


def _same_type(got, want):
    assert np.asarray(got).dtype == np.asarray(want).dtype
    assert np.shape(got) == np.shape(want)


# Functions in which a Python number meets a float32 or complex64 array: NumPy does not promote.
WEAK = {
    "mul": lambda x: x * 2.0,
    "rmul": lambda x: 2.0 * x,
    "add": lambda x: x + 1,
    "sub": lambda x: 1 - x,
    "div": lambda x: 1.0 / x,
    "power": lambda x: x**2,
    "power float": lambda x: x**2.5,
    "chain": lambda x: (x * 3.0 + 1) / 7 - 0.5,
    "where": lambda x: np.where(np.abs(x) > 1.5, x, 0.0),
    "sin": lambda x: np.sin(x) * np.pi,
    "sum": lambda x: x.sum() * 2.0,
    "mean": lambda x: x.mean() + 1.0,
    "sqrt": lambda x: np.sqrt(x + 3.0),
    "stack": lambda x: np.stack([x[0], x[1] * 2.0]),
    "concatenate": lambda x: np.concatenate([x, x * 2.0]),
    "dot": lambda x: x @ x,
    "index": lambda x: x[0] * 2.0 + x[1],
    "abs": lambda x: np.abs(x) + 1.0,
    "exp": lambda x: np.exp(-0.5 * x * x),
}


@pytest.fixture(params=list(WEAK))
def f(request):
    """A function that mixes arrays with Python numbers."""
    return WEAK[request.param]


@pytest.mark.parametrize("x", [X32, C64, X32.astype(np.float16), X32.astype(np.float64)], ids=lambda x: x.dtype.name)
def test_results_have_numpys_dtype(f, x):
    """Recorded with values, abstractly, and in a batch: dtype and shape are those of plain NumPy."""
    want = f(x)
    _same_type(fg.jvp(f, (x,), (x,))[0], want)
    _same_type(fg.eval_jaxpr(fg.make_jaxpr(f)(x), (), x)[0], want)
    spec = fg.eval_shape(f, x)
    assert (spec.shape, spec.dtype) == (np.shape(want), want.dtype)
    out = fg.vmap(f)(np.stack([x, x, x]))
    assert (out.shape, out.dtype) == ((3, *np.shape(want)), want.dtype)
    np.testing.assert_allclose(out[1], want, rtol=1e-2 if x.dtype == np.float16 else 1e-5)


@pytest.mark.parametrize("x", [X32, C64], ids=lambda x: x.dtype.name)
def test_derivatives_have_the_arguments_dtype(f, x):
    """Tangents have the result's dtype, cotangents the argument's, in every mode."""
    want = f(x)
    _same_type(fg.jvp(f, (x,), (x,))[1], want)
    ct = np.ones(np.shape(want), want.dtype)
    y, pull = fg.vjp(f, x)
    _same_type(pull(ct[()])[0], x)
    _same_type(fg.linearize(f, x)[1](x), want)
    assert fg.vmap(lambda x: fg.vjp(f, x)[1](ct[()])[0])(np.stack([x, x])).dtype == x.dtype
    fg.check_jaxpr(fg.make_jaxpr(lambda x: fg.vjp(f, x)[1](ct[()])[0])(x))


def test_gradients_of_float32_functions(f):
    """grad, hessian and Jacobians of a float32 function are float32."""
    assert fg.grad(lambda x: f(x).sum())(X32).dtype == np.float32
    assert fg.hessian(lambda x: f(x).sum())(X32).dtype == np.float32
    assert fg.jacfwd(f)(X32).dtype == np.float32
    assert fg.jacrev(f)(X32).dtype == np.float32
    assert fg.vmap(fg.grad(lambda x: f(x).sum()))(np.stack([X32, X32])).dtype == np.float32


@pytest.mark.parametrize("op", [
    lambda s, x: s * x, lambda s, x: x + s, lambda s, x: x / s, lambda s, x: x**s, lambda s, x: s**x,
    lambda s, x: np.maximum(x, s), lambda s, x: np.where(x > 1, x, s), lambda s, x: (s * 2.0 + 1.0) * x,
    lambda s, x: x - s / 3, lambda s, x: np.hypot(x, s), lambda s, x: -s * x, lambda s, x: abs(s) * x,
], ids=["mul", "add", "div", "power", "rpower", "maximum", "where", "chain", "sub", "hypot", "neg", "abs"])  # fmt: skip
def test_a_differentiated_python_float_stays_weak(op):
    """float32 array times a differentiated Python float: the result is float32, the derivative float64."""
    s = 1.5
    want = op(s, X32)
    assert want.dtype == np.float32
    seen = []

    def loss(s):
        y = op(s, X32)
        seen.append((y.dtype, y.shape))
        return y.sum()

    g = fg.grad(loss)(s)
    assert type(g) is np.float64
    assert seen == [(np.dtype(np.float32), (2,))]
    eps = 1e-3
    assert g == pytest.approx(
        (op(s + eps, X32.astype(float)) - op(s - eps, X32.astype(float))).sum() / (2 * eps), rel=1e-4
    )
    value, tangent = fg.jvp(lambda s: op(s, X32), (s,), (1.0,))
    _same_type(value, want)
    _same_type(tangent, want)
    _same_type(fg.jacfwd(lambda s: op(s, X32))(s), want)
    jaxpr = fg.make_jaxpr(op)(s, X32)
    assert jaxpr.out_avals[0].dtype == np.float32
    _same_type(fg.eval_jaxpr(jaxpr, (), s, X32)[0], want)
    out = fg.vmap(op, in_axes=(None, 0))(s, X32)
    _same_type(out, want)
    assert fg.vmap(lambda x: fg.grad(lambda s: op(s, x))(s))(X32).dtype == np.float64
    jaxpr = fg.make_jaxpr(fg.grad(lambda s, x: op(s, x).sum()))(s, X32)
    fg.check_jaxpr(jaxpr)
    assert jaxpr.out_avals[0].dtype == np.float64
    assert type(fg.grad(fg.grad(loss))(s)) is np.float64


def test_numpy_scalars_are_not_weak():
    """np.float64 promotes a float32 array, np.float32 does not; the gradients have their own dtypes."""
    for s, want in ((np.float64(2), np.float64), (np.float32(2), np.float32), (np.float16(2), np.float32)):
        out = fg.jvp(lambda s: s * X32, (s,), (type(s)(1),))
        assert out[0].dtype == out[1].dtype == want
        assert fg.grad(lambda s: (s * X32).sum())(s).dtype == s.dtype
        assert fg.grad(lambda x, s: (s * x).sum())(X32, s).dtype == np.float32
        assert fg.vmap(lambda x, s: x * s, in_axes=(0, None))(X32, s).dtype == want
        assert fg.make_jaxpr(lambda x, s: x * s)(X32, s).out_avals[0].dtype == want


def test_mixed_dtypes():
    """float32 with float64, real with complex, integers with floats: NumPy's result, each argument's gradient."""
    args = [X32, X32.astype(np.float64), C64, np.array([1, 2]), np.array([1, 2], np.int8), np.array([True, False])]
    for a in args:
        for b in args:
            want = a * b
            jaxpr = fg.make_jaxpr(lambda a, b: a * b)(a, b)
            assert jaxpr.out_avals[0].dtype == want.dtype
            assert fg.vmap(lambda a, b: a * b)(a, b).dtype == want.dtype
            if want.dtype.kind not in "fc":
                continue
            value, pull = fg.vjp(lambda a, b: a * b, a, b)
            assert value.dtype == want.dtype
            bars = pull(np.ones(2, want.dtype))
            assert [x.dtype for x in bars] == [x.dtype if x.dtype.kind in "fc" else fg.float0 for x in (a, b)]


def test_integers_divide_to_floats():
    """True division of integers is float64, sums of bool are int64, as in NumPy, also abstractly."""
    n = np.array([1, 2], np.int32)
    for f in (
        *(lambda n: n / 2, lambda n: n**2, lambda n: n // 2, lambda n: n % 2, lambda n: n * 1.5, lambda n: n & 1),
        *(lambda n: (n > 1).sum(), lambda n: n.sum(), lambda n: n.mean(), lambda n: n.prod(), lambda n: n.max()),
        *(lambda n: np.sin(n), lambda n: np.sqrt(n), lambda n: -n, lambda n: abs(n), lambda n: ~n),
    ):
        want = f(n)
        out = fg.eval_shape(f, n)
        assert (out.shape, out.dtype) == (np.shape(want), np.result_type(want))
        assert fg.vmap(f)(np.stack([n, n])).dtype == np.result_type(want)


def test_astype():
    """A cast is linear; back to the argument's dtype on the way back; onto integers there is no derivative."""
    x = X32.astype(np.float64)
    assert fg.grad(lambda x: (x.astype(np.float32) ** 2).sum().astype(np.float64))(x).dtype == np.float64
    np.testing.assert_array_equal(fg.grad(lambda x: (x.astype(np.float32) ** 2).sum())(x), 2 * x)
    np.testing.assert_array_equal(fg.grad(lambda x: (x.astype(int) * x).sum())(x), x)
    np.testing.assert_array_equal(fg.grad(lambda x: (x.astype(complex) * 1j).imag.sum())(x), [1.0, 1.0])


def test_float0_goes_through_transforms():
    """Derivatives of integers, of dtype float0, are results like any other of a mapped or recorded function."""

    def f(p):
        return p["x"] * p["n"]

    p = {"x": 2.0, "n": 3}
    batch = {"x": np.array([1.0, 2.0]), "n": np.array([3, 4])}
    mapped = fg.vmap(fg.grad(f, allow_int=True))(batch)
    np.testing.assert_array_equal(mapped["x"], [3.0, 4.0])
    assert (mapped["n"].dtype, mapped["n"].shape) == (fg.float0, (2,))
    value, tangent = fg.vmap(lambda x: fg.jvp(lambda x: (x, x > 0), (x,), (x,)))(batch["x"])
    assert (tangent[1].dtype, tangent[1].shape) == (fg.float0, (2,))
    jaxpr = fg.make_jaxpr(fg.grad(f, allow_int=True))(p)
    fg.check_jaxpr(jaxpr)
    assert jaxpr.out_avals[0].dtype == fg.float0
    assert fg.eval_shape(fg.grad(f, allow_int=True), p)["n"].dtype == fg.float0
    nested = fg.grad(lambda x: fg.grad(f, allow_int=True)({"x": x, "n": 3})["x"] * x)(2.0)
    assert nested == 3.0
    _, aux = fg.grad(lambda x: (x, fg.grad(f, allow_int=True)({"x": x, "n": 3})), has_aux=True)(2.0)
    assert aux["n"].dtype == fg.float0


# --- complex --------------------------------------------------------------------------------------------------------


def test_complex_conventions():
    """JAX's: grad of a real function is df/dx - i df/dy; jvp is real-linear; vjp is its transpose, not conjugated."""
    z, t = 1 + 2j, 0.5 - 0.25j
    assert fg.grad(lambda z: abs(z) ** 2)(z) == pytest.approx(2 - 4j)
    assert fg.grad(lambda z: (z * z.conj()).real)(z) == pytest.approx(2 - 4j)
    assert fg.grad(np.abs)(z) == pytest.approx(z.conjugate() / abs(z))
    assert fg.grad(np.angle)(z) == pytest.approx((-z.imag - 1j * z.real) / abs(z) ** 2)
    assert fg.jvp(np.conj, (z,), (t,))[1] == t.conjugate()
    assert fg.vjp(np.conj, z)[1](t)[0] == t.conjugate()
    assert fg.vjp(lambda z: z**2, z)[1](t)[0] == pytest.approx(2 * z * t)


def test_descent_on_a_complex_argument():
    """z -= conj(grad) goes downhill."""
    z = np.array([3 + 4j, -1j])
    target = np.array([1 + 1j, 2.0])

    def loss(z):
        return (np.abs(z - target) ** 2).sum()

    for _ in range(60):
        z = z - 0.2 * np.conj(fg.grad(loss)(z))
    np.testing.assert_allclose(z, target, atol=1e-9)


def test_real_arguments_in_complex_functions():
    """A real argument of a complex computation gets a real gradient."""
    g = fg.grad(lambda x: abs(np.exp(1j * x) + 1) ** 2)(0.3)
    assert type(g) is np.float64
    assert g == pytest.approx(-2 * np.sin(0.3))
    j = fg.jvp(lambda x: x * (1 + 2j), (1.0,), (1.0,))[1]
    assert j == 1 + 2j
    assert fg.vjp(lambda x: x * (1 + 2j), 1.0)[1](1j)[0] == -2.0


def _back_and_forth(z):
    """Complex to real to complex to real ..., so that a missing real part on the way shows at the end."""
    r = np.abs(z * (1 + 2j))
    w = r * (0.5 + 1j) + z * np.angle(z + 3.0)
    s = np.imag(w) * np.real(z)
    return (s * 1j * w + np.conj(z) * r).imag * np.abs(w)


def test_real_parts_are_taken_on_the_way():
    """jvp against differences in two directions, vjp against jvp, for compositions that change the kind of dtype."""
    z = np.array([0.5 + 0.3j, -0.2 + 1.1j])
    eps = 1e-6
    for t in (np.array([1.0, 0.5]) + 0j, np.array([1j, -2j]), np.array([0.3 + 1j, 1.0 - 0.5j])):
        want = (_back_and_forth(z + eps * t) - _back_and_forth(z - eps * t)) / (2 * eps)
        value, tangent = fg.jvp(_back_and_forth, (z,), (t,))
        assert tangent.dtype == value.dtype == np.float64
        np.testing.assert_allclose(tangent, want, rtol=1e-7)
        ct = np.array([0.7, -1.3])
        (z_bar,) = fg.vjp(_back_and_forth, z)[1](ct)
        assert z_bar.dtype == np.complex128
        assert (z_bar @ t).real == pytest.approx(ct @ tangent)
        batched = fg.vmap(lambda z, t: fg.jvp(_back_and_forth, (z,), (t,))[1])(z, t)
        np.testing.assert_allclose(batched, tangent)
    x = np.array([0.5, -0.2])
    want = (_back_and_forth(x + eps + 0j) - _back_and_forth(x - eps + 0j)) / (2 * eps)
    np.testing.assert_allclose(fg.elementwise_grad(lambda x: _back_and_forth(x + 0j))(x), want, rtol=1e-7)


def test_cauchy_riemann():
    """For holomorphic functions the real Jacobian has the form [[u, -v], [v, u]]."""

    def f(z):
        return np.sin(z) * z + np.exp(z) / (z - 3)

    z = 0.3 - 0.7j
    d = fg.grad(f, holomorphic=True)(z)
    real = fg.jvp(f, (z,), (1.0 + 0j,))[1]
    imaginary = fg.jvp(f, (z,), (1j,))[1]
    assert real == pytest.approx(d)
    assert imaginary == pytest.approx(1j * d)


# --- types of results -----------------------------------------------------------------------------------------------


def test_results_outside_recordings_are_plain():
    """No tracer leaves a transform: ndarrays and NumPy scalars only, of exactly these classes."""
    x = np.ones((2, 2))
    results = [
        fg.grad(lambda x: (x @ x).sum())(x),
        fg.grad(np.sin)(1.0),
        fg.value_and_grad(lambda x: np.sin(x).sum())(x),
        fg.jvp(np.sin, (x,), (x,)),
        fg.jvp(np.sin, (1.0,), (1.0,)),
        fg.vjp(np.sin, x)[1](x),
        fg.linearize(np.sin, x)[1](x),
        fg.jacfwd(np.sin)(x),
        fg.hessian(lambda x: (x**3).sum())(x),
        fg.hessian(lambda x: x**3)(1.0),
        fg.vmap(lambda r: (r.sum(), r, 1.0))(x),
        fg.elementwise_grad(np.exp)(x),
        fg.hvp(lambda x: (x**3).sum(), (x,), (x,)),
        fg.linear_transpose(lambda x: x.sum(), x)(1.0),
        fg.eval_jaxpr(fg.make_jaxpr(np.sin)(x), (), x),
    ]
    for leaf in fg.tree.leaves(results):
        assert type(leaf) in (np.ndarray, np.float64), type(leaf)


def test_scalars_are_numpy_scalars_not_arrays():
    """Results with shape () are NumPy scalars, gradients with respect to 0-d arrays included."""
    for x in (1.0, np.float64(1), np.array(1.0)):
        assert type(fg.grad(lambda x: x * x)(x)) is np.float64
        assert type(fg.jvp(lambda x: np.sin(x) * x, (x,), (1.0,))[1]) is np.float64
        assert type(fg.jacfwd(np.sin)(x)) is np.float64
        assert type(fg.hessian(np.sin)(x)) is np.float64


def test_subclasses_of_ndarray_are_taken_as_arrays():
    """A subclass instance is an argument like any array; results are plain."""

    class Sub(np.ndarray):
        pass

    x = np.arange(3.0).view(Sub)
    g = fg.grad(lambda x: (x * x).sum())(x)
    assert type(g) is np.ndarray
    np.testing.assert_array_equal(g, [0.0, 2.0, 4.0])
    np.testing.assert_array_equal(fg.grad(lambda y: (y * x).sum())(np.ones(3)), [0.0, 1.0, 2.0])


def test_kinds_of_memory_layout():
    """Fortran order, strides, read-only, big-endian arrays are arguments like any other."""
    base = np.arange(12.0).reshape(3, 4)
    read_only = base.copy()
    read_only.flags.writeable = False
    for x in (
        np.asfortranarray(base),
        base[::-1, ::2],
        base.T,
        read_only,
        base.astype(">f8"),
        np.broadcast_to(base[0], (2, 4)),
    ):
        g = fg.grad(lambda x: (x * x[0]).sum() + x[-1, -1])(x)
        want = np.tile(np.asarray(x, float)[0], (x.shape[0], 1))
        want[0] += np.asarray(x, float).sum(0)
        want[-1, -1] += 1
        np.testing.assert_array_equal(g, want)
        np.testing.assert_array_equal(fg.vmap(lambda r: r * 2)(x), 2 * x)

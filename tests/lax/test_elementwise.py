"""fungrad.lax: elementwise functions, what they refuse, and where they differ from NumPy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.testing import check_grads

SMOOTH = {
    "acos": (-0.8, 0.8), "acosh": (1.2, 3.0), "asin": (-0.8, 0.8), "asinh": (-2, 2), "atan": (-2, 2),
    "atanh": (-0.8, 0.8), "bessel_i0e": (0.2, 3), "bessel_i1e": (0.2, 3), "cbrt": (0.3, 3), "cos": (-2, 2),
    "cosh": (-2, 2), "digamma": (0.5, 3), "erf": (-2, 2), "erf_inv": (-0.8, 0.8), "erfc": (-2, 2), "exp": (-2, 2),
    "exp2": (-2, 2), "expm1": (-2, 2), "lgamma": (0.5, 3), "log": (0.3, 3), "log1p": (-0.5, 2), "logistic": (-2, 2),
    "neg": (-2, 2), "reciprocal": (0.4, 2), "rsqrt": (0.3, 3), "sin": (-2, 2), "sinh": (-2, 2), "sqrt": (0.3, 3),
    "square": (-2, 2), "tan": (-1, 1), "tanh": (-2, 2),
}  # fmt: skip
BINARY = {
    "add": (-2, 2), "atan2": (0.3, 2), "div": (0.4, 2), "max": (-2, 2), "min": (-2, 2), "mul": (-2, 2), "pow": (0.3, 2),
    "rem": (0.4, 0.9), "sub": (-2, 2),
}  # fmt: skip
WITHOUT_NUMPY_NAME = {
    "bessel_i0e", "bessel_i1e", "digamma", "erf", "erf_inv", "erfc", "lgamma", "logistic", "rsqrt",
}  # fmt: skip
NUMPY_NAMES = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan", "atanh": "arctanh",
    "neg": "negative", "atan2": "arctan2", "div": "divide", "max": "maximum", "min": "minimum", "mul": "multiply",
    "pow": "power", "rem": "fmod", "sub": "subtract",
}  # fmt: skip


@pytest.mark.parametrize("name", [*SMOOTH, *BINARY])
def test_value_and_derivatives(name):
    """NumPy's values, derivatives to second order, and the same compiled and in a batch."""
    function = getattr(lax, name)
    low, high = SMOOTH.get(name) or BINARY[name]
    rng = np.random.default_rng(0)
    args = [rng.uniform(low, high, (2, 3)) for _ in range(2 if name in BINARY else 1)]
    if name == "rem":
        args[0] = 2.4 * args[1] + 0.1 * args[0]
    out = function(*args)
    assert type(out) is np.ndarray
    if name not in WITHOUT_NUMPY_NAME:
        np.testing.assert_allclose(out, getattr(np, NUMPY_NAMES.get(name, name))(*args))
    np.testing.assert_allclose(fg.jit(function)(*args), out, rtol=1e-14)
    np.testing.assert_allclose(fg.vmap(function)(*args), out, rtol=1e-14)
    check_grads(function, tuple(args), 2)


def test_special_functions_of_several_operands():
    """They take their operands in the order of jax.lax."""
    np.testing.assert_allclose(lax.zeta(2.0, 1.0), math.pi**2 / 6)
    np.testing.assert_allclose(lax.polygamma(1, 1.0), math.pi**2 / 6)
    np.testing.assert_allclose(lax.igamma(1.0, 2.0), 1 - math.exp(-2))
    np.testing.assert_allclose(lax.igammac(1.0, 2.0), math.exp(-2))
    np.testing.assert_allclose(lax.betainc(2.0, 1.0, 0.5), 0.25)
    np.testing.assert_allclose(fg.grad(lambda x: lax.betainc(2.0, 1.0, x))(0.5), 1.0)


def test_shapes_do_not_broadcast():
    """Operands of one shape, or scalars; the error names the function, the shapes and the way out."""
    x = np.ones((2, 3))
    assert lax.add(x, 1).shape == lax.add(np.float32(1), x).shape == (2, 3)
    for fun in (lax.add, fg.jit(lax.add)):
        with pytest.raises(TypeError, match=r"lax.add at .*: expected operands of one shape.*\(2, 3\), \(1, 3\)"):
            fun(x, np.ones((1, 3)))
    with pytest.raises(TypeError, match="lax.clamp"):
        lax.clamp(np.ones(3), x, 2.0)


def test_dtypes_are_numpys():
    """Python numbers do not promote, arrays do."""
    x = np.ones(2, np.float32)
    assert lax.mul(x, 2.0).dtype == np.float32
    assert lax.mul(x, np.ones(2)).dtype == np.float64
    assert lax.exp(np.ones(2, int)).dtype == np.float64
    assert lax.mul(np.int8([100]), np.int8([100]), out_dtype=np.int32).tolist() == [10000]


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1).filter(bool))
def test_division_of_integers_is_cut_off(x, y):
    """Towards zero, as in C; ``x = y div(x, y) + rem(x, y)``."""
    quotient, remainder = lax.div(np.int64(x), np.int64(y)), lax.rem(np.int64(x), np.int64(y))
    assert quotient == abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    assert quotient * y + remainder == x
    assert quotient.dtype == np.int64


@given(st.sampled_from(["int8", "uint8", "int32", "uint32", "int64", "uint64"]), st.data())
def test_bits_against_pythons_integers(name, data):
    """Counting, shifting and the upper half of products, for negative numbers as for unsigned ones."""
    dtype = np.dtype(name)
    info, width = np.iinfo(dtype), dtype.itemsize * 8
    integers = st.integers(info.min, info.max)
    x, y, shift = data.draw(integers), data.draw(integers), data.draw(st.integers(0, width - 1))
    bits = x % 2**width
    a, b, s = (np.array([v], dtype) for v in (x, y, shift))
    assert lax.population_count(a) == bits.bit_count()
    assert lax.clz(a) == width - bits.bit_length()
    assert lax.shift_right_logical(a, s) == np.array([bits >> shift]).astype(dtype)
    signed = bits - 2**width if bits >> (width - 1) else bits
    assert lax.shift_right_arithmetic(a, s) == np.array([(signed >> shift) % 2**width], f"u{dtype.itemsize}").astype(
        dtype
    )
    assert lax.shift_left(a, s) == np.array([(bits << shift) % 2**width], f"u{dtype.itemsize}").astype(dtype)
    assert lax.mulhi(a, b) == x * y >> width
    for f in (lax.population_count, lax.clz):
        assert f(a).dtype == dtype
    assert fg.jit(lax.mulhi)(a, b) == x * y >> width


def test_bits_are_of_integers():
    """Others are refused."""
    for f in (lax.clz, lax.population_count):
        with pytest.raises(TypeError, match="expected integers, got float64"):
            f(np.ones(2))


def test_rounding():
    """Half way from zero by default, to even if asked; whole, infinite and undefined numbers stay."""
    x = np.array([0.5, 1.5, -0.5, -2.5, 2.4, 0.49999999999999994, np.inf, 4503599627370497.5])
    np.testing.assert_array_equal(lax.round(x), [1, 2, -1, -3, 2, 0, np.inf, 4503599627370498])
    np.testing.assert_array_equal(
        lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), [0, 2, 0, -2, 2, 0, np.inf, 4503599627370498]
    )
    assert np.isnan(lax.round(np.nan))
    np.testing.assert_array_equal(fg.vmap(fg.grad(lambda x: lax.round(x) + x))(x[:3]), 1)


def test_complex_numbers():
    """Made of infinite parts too; the derivative is that of x + iy."""
    z = lax.complex(np.array([np.inf, 1.0]), np.array([2.0, np.inf]))
    np.testing.assert_array_equal(z.real, [np.inf, 1])
    np.testing.assert_array_equal(z.imag, [2, np.inf])
    assert lax.complex(np.float32(1), 2.0).dtype == np.complex64
    check_grads(lambda x, y: lax.real(lax.complex(x, y) ** 2 * (1 + 2j)), (np.ones(2), np.full(2, 0.5)), 2)
    assert lax.conj(1.0).dtype == complex


def test_select():
    """From two cases by booleans, from many by integers; the derivative is that of what is taken."""
    a, b, c = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), np.array([np.inf, 8.0, np.nan])
    np.testing.assert_array_equal(lax.select(np.array([True, False, True]), a, b), [1, 5, 3])
    for fun in (lax.select_n, fg.jit(lax.select_n)):
        np.testing.assert_array_equal(fun(np.array([0, 2, 1]), a, b, c), [1, 8, 6])
        np.testing.assert_array_equal(fun(np.array([-1, 7, 1]), a, b, c), [1, 8, 6])
        np.testing.assert_array_equal(fun(True, a, b), b)
    grad = fg.grad(lambda a: lax.select_n(np.array([0, 1, 0]), a, c).sum())(a)
    np.testing.assert_array_equal(grad, [1, 0, 1])
    for call, text in (
        (lambda: lax.select_n(np.zeros(2, int), a, b), "which has shape"),
        (lambda: lax.select_n(True, a, b, c), "select from two cases, got 3"),
        (lambda: lax.select_n(0.5, a, b), "must be booleans or integers"),
        (lambda: lax.select_n(0, a, b[:2]), "must have one shape"),
        (lambda: lax.select(1, a, b), "must be boolean"),
    ):
        with pytest.raises(TypeError, match=text):
            call()


def test_clamp_at_the_limits():
    """Half of the derivative there, as `clip`."""
    np.testing.assert_array_equal(
        fg.grad(lambda x: lax.clamp(0.0, x, 1.0).sum())(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])), [0, 0.5, 1, 0.5, 0]
    )


def test_integer_pow():
    """For Python integers only."""
    assert lax.integer_pow(3.0, -2) == 3.0**-2
    check_grads(lambda x: lax.integer_pow(x, 3), (np.array([0.0, -1.5]),), 2)
    with pytest.raises(TypeError, match="must be an integer"):
        lax.integer_pow(3.0, 2.5)

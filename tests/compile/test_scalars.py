"""Programs of numbers and small arrays: Python's arithmetic with NumPy's results, special values included."""

from __future__ import annotations

import itertools
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-320, 1e308, -1e308, 710.0, -750.0, np.inf, -np.inf, np.nan, -8.0]

UNARY = [
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "exp",
    "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "square", "reciprocal", "negative", "positive",
    "abs", "sign", "floor", "ceil", "trunc", "rint", "isnan", "isinf", "isfinite", "signbit", "logical_not",
    "deg2rad", "rad2deg", "sinc", "nan_to_num", "spacing",
]  # fmt: skip
BINARY = [
    "add", "subtract", "multiply", "divide", "power", "arctan2", "hypot", "maximum", "minimum", "fmax", "fmin",
    "floor_divide", "remainder", "fmod", "mod", "logaddexp", "logaddexp2", "copysign", "heaviside", "greater",
    "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
    "nextafter", "float_power",
]  # fmt: skip

# Extrema: either operand is taken where two are equal and of other sign. Powers: sqrt(-0.0) and pow(-0.0, 0.5) differ.
SIGN_OF_ZERO_IS_FREE = {"maximum", "minimum", "fmax", "fmin", "power", "float_power"}


def quietly(f, *args):
    """The value, whatever warnings there are."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f(*args)


def assert_same(got, want, what, exact_zero=True):
    """The same type of NumPy scalar; nan and infinities in the same places; equal up to rounding, with its sign."""
    want = np.asarray(want)[()]
    assert type(got) is type(want), what
    if want.dtype.kind not in "fc":
        assert got == want, what
        return
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=0, err_msg=what)
    if want == 0 and exact_zero:
        assert np.signbit(np.real(got)) == np.signbit(np.real(want)), what


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_of_special_values(name):
    """Domain errors, overflow, infinities, nan, signed zeros and denormal numbers, alone and behind something."""
    f = getattr(np, name)
    alone, behind = fg.jit(lambda x: f(x)), fg.jit(lambda x: f(x * 1.5) + 0.0 * x)
    number = fg.jit(lambda x: f(x))
    for x in SPECIAL:
        assert_same(quietly(alone, np.float64(x)), quietly(f, np.float64(x)), f"{name}({x})")
        assert_same(quietly(number, x), quietly(f, x), f"{name}({x}), a Python number")
        want = quietly(lambda x: f(x * 1.5) + 0.0 * x, np.float64(x))
        assert_same(quietly(behind, np.float64(x)), want, f"{name}(1.5 * {x})")


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_of_special_values(name):
    """All pairs: division by zero, 0 * inf, inf - inf, powers of negative numbers, comparisons with nan."""
    f = getattr(np, name)
    j = fg.jit(lambda x, y: f(x, y))
    constant = {
        repr(y): (fg.jit(lambda x, y=y: f(x, y)), fg.jit(lambda x, y=y: f(y, x)))
        for y in (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, np.inf, np.nan)
    }
    for x, y in itertools.product(SPECIAL, SPECIAL):
        a, b = np.float64(x), np.float64(y)
        want = quietly(f, a, b)
        what = f"{name}({x}, {y})"
        if "power" in name and x == -np.inf and y == 0.5:
            continue  # NumPy's square root or its power, nan or inf, by its version and by what is an array
        exact = not (name in SIGN_OF_ZERO_IS_FREE and x == 0)
        assert_same(quietly(j, a, b), want, what, exact)
        if repr(y) in constant:
            right, left = constant[repr(y)]
            assert_same(quietly(right, a), want, f"{what}, a constant on the right", exact)
            exact = not (name in SIGN_OF_ZERO_IS_FREE and (y == 0 or x == 0))
            assert_same(quietly(left, a), quietly(f, b, a), f"{name}({y}, {x}), a constant on the left", exact)


OPERATORS = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "x // y": lambda x, y: x // y,
    "x % y": lambda x, y: x % y,
    "x ** y": lambda x, y: x**y,
    "-x ** 2": lambda x, y: -(x**2),
    "x ** 3": lambda x, y: x**3,
    "x ** -1": lambda x, y: x**-1,
    "x ** 0.5": lambda x, y: x**0.5,
    "2 ** x": lambda x, y: 2**x,
    "abs(x)": lambda x, y: abs(x),
    "x < y": lambda x, y: x < y,
    "where": lambda x, y: np.where(x > y, x, y),
    "clip": lambda x, y: np.clip(x, -1.0, 2.0),
    "divmod": lambda x, y: divmod(x, y)[1],
    "inf - inf": lambda x, y: (x * y) - (x * y),
    "a chain": lambda x, y: np.exp(np.log(x) * y) / (1.0 + np.exp(-x)) - np.sqrt(y),
}


@pytest.mark.parametrize("name", list(OPERATORS))
def test_operators_of_special_values(name):
    """Operators and small formulae; NumPy scalars and 0-d arrays."""
    f = OPERATORS[name]
    j = fg.jit(f)
    for x, y in itertools.product(SPECIAL, SPECIAL):
        a, b = np.float64(x), np.float64(y)
        want = quietly(f, a, b)
        for args in ((a, b), (np.array(a), np.array(b))):
            assert_same(
                quietly(j, *args), want, f"{name} of {x}, {y}", x != 0 or name not in ("where", "x ** y", "x ** 0.5")
            )


@pytest.mark.parametrize("dtype", ["f4", "f2", "g", "c16", "c8", "i8", "i4", "u1", "?"])
def test_scalars_of_other_dtypes(dtype):
    """What is no float64 keeps its dtype and NumPy's arithmetic: overflow of integers, rounding of halves."""
    values = np.array([0, 1, 3, 7], dtype)
    functions = {
        "x * x + x": lambda x: x * x + x,
        "x + 100": lambda x: x + 100,
        "x * 2.5": lambda x: x * 2.5,
        "x / 3": lambda x: x / 3,
        "x == 1": lambda x: x == 1,
        "sqrt": lambda x: np.sqrt(x),
        "exp": lambda x: np.exp(x),
        "float": lambda x: x.astype(float) * 2.0,
        "mixed": lambda x: x * np.float32(1.5) + np.float64(2.0),
        "ones": lambda x: x * np.ones(2, dtype),
        "maximum": lambda x: np.maximum(x, x.dtype.type(1)) if x.dtype.kind != "c" else x,
    }
    for (name, f), x in itertools.product(functions.items(), values):
        try:
            want = quietly(f, x)
        except TypeError:
            continue
        got = quietly(fg.jit(f), x)
        assert (np.shape(got), got.dtype) == (np.shape(want), np.asarray(want).dtype), (name, x)
        np.testing.assert_allclose(got, want, rtol={"f2": 1e-2, "f4": 1e-6, "c8": 1e-6}.get(dtype, 1e-14), err_msg=name)


@pytest.mark.parametrize("dtype", ["f4", "f2", "g", "c16", "c8", "i8", "i4", "u1", "?", "f8"])
def test_numbers_out_of_arrays(dtype):
    """A number that was an element of an array keeps its dtype, and promotes as NumPy's does."""
    v, small = np.array([1, 2, 3]).astype(dtype), np.array([1, 2, 3], np.int8)
    numbers = {
        "reshape": lambda v: (v[:1] * v[1:2]).reshape(()),
        "squeeze": lambda v: np.squeeze(v[:1] * v[1:2]),
        "sum": lambda v: np.sum(v[:1] * v[1:2]),
        "element": lambda v: (v * v)[1],
    }
    users = {
        "itself": lambda v, s: s,
        "stack": lambda v, s: np.stack([s, s]),
        "concatenate": lambda v, s: np.concatenate([s[None], v]),
        "where": lambda v, s: np.where(v != 2, s, 0),
        "product": lambda v, s: small * s,
        "broadcast": lambda v, s: np.broadcast_to(s, (2, 3)),
    }
    for (name, number), (use, user) in itertools.product(numbers.items(), users.items()):
        f = lambda v, number=number, user=user: user(v, number(v))
        want, got = quietly(f, v), quietly(fg.jit(f), v)
        assert (np.shape(got), got.dtype) == (np.shape(want), np.asarray(want).dtype), (name, use)
        np.testing.assert_allclose(got, want, rtol=1e-2 if dtype == "f2" else 1e-6)


@settings(max_examples=150)
@given(st.floats(width=64), st.floats(width=64), st.sampled_from(sorted(OPERATORS)), st.sampled_from(sorted(OPERATORS)))
def test_any_numbers(x, y, first, second):
    """Two formulae, one of the other's result, at any pair of numbers."""
    f = lambda x, y: OPERATORS[second](OPERATORS[first](x, y) * 1.0, y)
    a, b = np.float64(x), np.float64(y)
    want, got = quietly(f, a, b), quietly(fg.jit(f), a, b)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=0)


def test_falling_back_is_for_one_call():
    """A call with numbers at which Python raises gives NumPy's values; the next one runs as before."""
    f = lambda x: (np.log(x), 1.0 / x, x**0.5, np.exp(1.0 / x))
    j = fg.jit(f)
    for x in (2.0, 0.0, -1.0, 2.0, 1e-5, 2.0):
        for a, b in zip(quietly(j, np.float64(x)), quietly(f, np.float64(x)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14)


def test_scalars_beside_arrays():
    """Numbers that are computed and then used with arrays, of the array's dtype.

    True as an argument is NumPy's: Python's, times 2.0, would be a Python float, which its type does not tell.
    """
    for dtype in ("f4", "f8", "c16", "i8"):
        x = np.arange(1, 5).astype(dtype)
        f = lambda x, s: (
            x * (s * 2.0 + 1.0) + s,
            x.sum() * s,
            x / x.max() if x.dtype.kind != "c" else x,
            (s > 1.0) * x,
        )
        for s in (1.5, np.float32(1.5), np.float64(1.5), 2, np.True_):
            for got, want in zip(fg.jit(f)(x, s), f(x, s), strict=True):
                assert (got.shape, got.dtype) == (want.shape, want.dtype), (dtype, s)
                np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == "f4" else 1e-14)


def test_scalars_that_are_read_several_ways():
    """Numbers read by numbers, arrays, integers, conditions and results, in any order."""

    def f(p, x):
        total = 0.0
        for k in range(4):
            total = total * x + p[k]  # integers and floats
        n = np.floor(total * 3.0).astype(int)
        flag = total > x
        return total, n, flag, np.where(flag, total, x), n * x, total * p, (n % 2 == 0) & flag, -total, total * flag

    for p in (np.arange(4), np.arange(4.0), np.arange(4, dtype="f4"), np.arange(4, dtype="i4")):
        for x in (0.5, np.float64(1.5), np.float32(0.5), 2):
            for got, want in zip(fg.jit(f)(p, x), f(p, x), strict=True):
                want = np.asarray(want)[()]
                assert (got.shape, got.dtype) == (want.shape, want.dtype)
                np.testing.assert_allclose(got, want, rtol=1e-6)


def test_names_in_generated_code():
    """Functions, constants and dtypes whose names are those of Python's builtins or keywords do no harm."""
    x = np.array([1.0, 2.0])
    f = lambda x, b, n, z: (x.astype(bool), x * b, (x > 1) & b, np.abs(x), x.max() + x.min(), x * n, x * z, np.round(x))
    args = (x.astype("f4"), True, 3, 1j)
    for got, want in zip(fg.jit(f)(*args), f(*args), strict=True):
        assert got.dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)

    def lambda_(x):
        return np.sum(x) * np.float64(2.0) + np.sum(x * np.complex128(1j)).imag

    lambda_.__name__ = lambda_.__qualname__ = "lambda"
    assert fg.jit(lambda_)(x) == 9.0


@pytest.mark.parametrize("kind", ["scalar", "small array", "mixed"])
def test_long_chains(kind):
    """A chain of 10000 equations compiles without recursion, and the time for each does not grow with their number."""

    def chain(n):
        def f(x):
            y = x
            for k in range(n):
                y = np.sin(y) + 0.5 * x if k % 2 else y * 0.99 + 0.01
                if kind == "mixed" and k % 10 == 0:
                    y = y + np.sum(y) * 1e-3
            return y

        return f

    x = np.float64(0.3) if kind == "scalar" else np.array([0.1, 0.2])

    def seconds(n):
        f = chain(n)
        start = time.process_time()
        got = fg.jit(f)(x)
        passed = time.process_time() - start
        np.testing.assert_allclose(got, f(x), rtol=1e-9)
        return passed

    seconds(50)
    few = min(seconds(1000) for _ in range(3))
    many = seconds(7000)  # about 10000 equations
    assert many < 7 * few * 3.5 + 0.1


def test_names_are_used_again():
    """In long programs of numbers the names of dead ones serve anew; whatever is read how often stays right."""

    @settings(max_examples=20)
    @given(st.randoms(use_true_random=False))
    def check(random):
        picks = [[random.randrange(12) for _ in range(4)] for _ in range(80)]

        def f(x, y, table):
            values = [x, y, x * y, x + 2]
            for k, (a, b, c, d) in enumerate(picks):
                a, b, c = (values[-1 - min(p, len(values) - 1)] for p in (a, b, c))
                new = [np.sin(a) * b - c, a + 2 * b, (a - b) / (3 + c * c), a * a - np.cos(b)][d % 4]
                if d == 5:
                    new = new + np.sum(table * a)  # read by something else than arithmetic with numbers
                values.append(new / (1 + new * new))
                if k % 20 == 3:
                    values.append(values[2])  # lives for long
            return values[-1] + values[3], values[-2], values[-7] * x

        table = np.linspace(-1.0, 1.0, 7)
        for g in (f, lambda *args: fg.grad(lambda *a: f(*a)[0], (0, 1))(*args)):
            jitted = fg.jit(g)
            for args in ((0.3, -1.2), (2.5, 0.1)):
                for got, want in zip(jitted(*args, table), g(*args, table), strict=True):
                    np.testing.assert_allclose(got, want, rtol=1e-9)

    check()

    def chain(x):
        for k in range(200):
            x = x * 1.5 - np.sin(x) * k
        return x

    source = fg.jit(fg.grad(chain)).lower(0.5).source
    names = {line.split(" = ")[0].strip() for line in source.splitlines() if " = " in line}
    assert len(names) < 0.8 * source.count(" = ")


def test_long_chains_of_gradients():
    """The gradient of a long chain too."""

    def f(x):
        for _ in range(1000):
            x = np.sin(x) * 1.01 + 0.1
        return x

    assert fg.jit(fg.grad(f))(0.3) == pytest.approx(fg.grad(f)(0.3), rel=1e-9)
    assert fg.grad(fg.jit(f))(0.3) == pytest.approx(fg.grad(f)(0.3), rel=1e-9)


def test_wide_programs():
    """Many arguments, many results, wide sums."""
    xs = [float(k) for k in range(500)]
    f = lambda *xs: [*[x * 2.0 for x in xs], sum(xs)]
    assert fg.jit(f)(*xs) == f(*xs)
    assert fg.jit(fg.grad(lambda xs: sum(x * x for x in xs)))(xs) == [2.0 * x for x in xs]

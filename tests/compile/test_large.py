"""Large arrays under jit: what runs in blocks of rows, on several threads, gives what NumPy gives.

The functions are chosen so that groups of every kind arise: flat ones, rows with whole operands, reductions of rows
and over rows, short rows, contractions within; at sizes that are no multiples of a block.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from catalogue import elementwise, special
from catalogue.cases import Case
from support.large_programs import large_program

import fungrad as fg
from fungrad.compile.schedule import Group, schedule

RNG = np.random.default_rng(0)
N, K, D = 10_007, 5, 3


pytestmark = pytest.mark.usefixtures("groups")


def groups_of(f, *args):
    """How many groups the program of a function has."""
    return sum(isinstance(s, Group) for s in schedule(fg.jit(f).lower(*args).optimized.jaxpr))


def check(f, *args, rtol=1e-10, atol=1e-12, groups=1):
    """A compiled function returns what it returns uncompiled, twice; it has at least so many groups."""
    expected = [np.asarray(y)[()] for y in fg.tree.leaves(f(*args))]
    before = [np.copy(x) for x in args]
    j = fg.jit(f)
    for _ in range(2):
        got = fg.tree.leaves(j(*args))
        for a, b in zip(got, expected, strict=True):
            assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)
            if b.dtype.kind in "fc":
                np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
            else:
                np.testing.assert_array_equal(a, b)
    for x, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(x, b)
    assert groups_of(f, *args) >= groups


FLAT = {
    "arithmetic": lambda x: (x * 2.0 + 1.0) * x - x / 3.0,
    "functions": lambda x: np.sin(x) * np.exp(-x) + np.tanh(x) ** 2,
    "absolute": lambda x: np.abs(x) * np.sign(x) + np.maximum(x, 0.5) - np.minimum(x, -0.5),
    "where": lambda x: np.where(x > 0, np.sqrt(np.abs(x)), x * x),
    "clip": lambda x: np.clip(x, -0.5, 0.7) * 3.0,
    "two results": lambda x: (np.sin(x) + 1.0, np.cos(x) * x),
    "comparison": lambda x: (x > 0) & (x < 1.0) | (x == 0),
    "all": lambda x: (x * x).sum(),
    "all of several": lambda x: ((x * x).sum(), x.max(), (x - 1.0).min(), np.sin(x).sum()),
    "sum and use": lambda x: np.exp(x) / np.exp(x).sum(),
    "norm": lambda x: x / np.sqrt((x * x).sum()),
    "variance": lambda x: ((x - x.mean()) ** 2).mean(),
    "any": lambda x: ((x > 2.0).any(), (x < 10.0).all()),
    "prod": lambda x: np.prod(1.0 + 1e-4 * x),
    "chain": lambda x: _chain(x, 12),
    "i0": lambda x: np.i0(np.sin(x)),
    "not ufuncs": lambda x: (np.angle(np.sin(x)), np.frexp(np.cos(x)), np.modf(x * 2.0), np.real(x + 1j * x), np.i0(x)),
    "views of a group": lambda x: (lambda y: (np.real(y), np.imag(y), y.reshape(-1), np.ravel(y), y))(np.sin(x)),
}


def _chain(x, n):
    y = x
    for k in range(n):
        y = np.sin(y) * x + 0.1 * k
    return y


@pytest.mark.parametrize("shape", [(8192,), (N,), (101, 103), (16, 23, 29)], ids=str)
@pytest.mark.parametrize("name", list(FLAT))
def test_flat_groups(name, shape):
    """Elementwise functions and reductions of everything, of arrays of any rank."""
    check(FLAT[name], RNG.normal(size=shape))


ROWS = {
    "column and vector": lambda c, k, m, x: np.sin(c * k) + c,
    "difference": lambda c, k, m, x: ((m[:, None, :] - x[None, :, :]) ** 2).sum(-1),
    "distance": lambda c, k, m, x: np.sqrt(((m[:, None, :] - x[None, :, :]) ** 2).sum(-1) + 1.0).min(axis=1),
    "softmax": lambda c, k, m, x: _softmax((c * k) * 3.0),
    "logsumexp": lambda c, k, m, x: np.log(np.exp(c * k).sum(axis=1)).sum(),
    "row sums": lambda c, k, m, x: (np.sin(m) * 2.0).sum(axis=1),
    "column sums": lambda c, k, m, x: (np.sin(m) * 2.0).sum(axis=0),
    "column mean removed": lambda c, k, m, x: (m - m.mean(axis=0)) * 2.0,
    "row mean removed": lambda c, k, m, x: (m - m.mean(axis=1, keepdims=True)) * 2.0,
    "standardised": lambda c, k, m, x: (m - m.mean(axis=0)) / (m.std(axis=0) + 1e-3),
    "maximum of rows": lambda c, k, m, x: np.sin(m).max(axis=1) - np.cos(m).min(axis=1),
    "maximum of columns": lambda c, k, m, x: (np.sin(m).max(axis=0), np.cos(m).min(axis=0), np.prod(m * 1e-2 + 1, 0)),
    "both sums": lambda c, k, m, x: (lambda y: (y.sum(0), y.sum(1), y.sum(), y))(np.exp(-m * m)),
    "product": lambda c, k, m, x: np.tanh(m @ x.T + k) * c,
    "product and sum": lambda c, k, m, x: np.tanh(m @ x.T).sum(axis=0) + k,
    "gram": lambda c, k, m, x: np.sin(m).T @ np.cos(m),
    "argmax": lambda c, k, m, x: np.argmax(np.sin(m), axis=1),
    "any of rows": lambda c, k, m, x: (m > 1.0).any(axis=1),
    "where of a column": lambda c, k, m, x: np.where(c > 0, m, -m) * 2.0,
    "comparison of rows": lambda c, k, m, x: (c > k).sum(axis=1),
    "transposed": lambda c, k, m, x: np.sin(m.T) * 2.0 + np.cos(m).T,
    "swapped": lambda c, k, m, x: (np.sin(m.T) * m.T.mean(axis=0)).sum(axis=0),
    "row of itself": lambda c, k, m, x: np.sin(m) * m[0] + m[-1],
    "column of itself": lambda c, k, m, x: np.sin(m) * m[:, :1] + m[:, -1:],
    "rows that are used whole": lambda c, k, m, x: np.sin(m[:100]) @ np.cos(m[:100]).T + m[:100, :1],
}


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def row_operands(n, dtype="d"):
    """A column (n, 1), a vector (K,), points (n, D) and centres (K, D)."""
    rng = np.random.default_rng(n)
    return [rng.normal(size=s).astype(dtype) for s in ((n, 1), (K,), (n, D), (K, D))]


@pytest.mark.parametrize("name", list(ROWS))
def test_groups_of_rows(name):
    """Broadcasting, reductions of rows and over rows, softmax, small products."""
    check(ROWS[name], *row_operands(N), groups=0)


@pytest.mark.parametrize("n", [8191, 8192, 8193, 16384, 16411, 40_000])
def test_sizes_around_a_block(n):
    """Sizes below, at and above multiples of a block."""
    for name in ("column and vector", "softmax", "both sums", "distance", "product and sum"):
        check(ROWS[name], *row_operands(n))
    x = np.random.default_rng(n).normal(size=n)
    for name in ("chain", "all of several", "sum and use"):
        check(FLAT[name], x, groups=int(n >= 8192))


@pytest.mark.parametrize("shape", [(2, 9001), (3, 8192), (1, 20_000), (5, 4001), (7, 3, 2003), (1, 1, 9999)], ids=str)
def test_few_rows(shape):
    """A short first axis: rows that are long."""
    x = RNG.normal(size=shape)
    for f in (
        lambda x: np.sin(x) * 2.0 + x,
        lambda x: (np.sin(x) - x.mean(axis=-1, keepdims=True)).sum(axis=0),
        lambda x: np.exp(x).sum(axis=-1),
        lambda x: _softmax(x * 2.0),
        lambda x: (x * x[0]).max(axis=0),
        lambda x: np.tanh(x) * x.sum(axis=0),
        lambda x: x / np.abs(x).sum(axis=tuple(range(1, x.ndim)), keepdims=True),
    ):
        check(f, x, groups=0)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2), None], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_over_any_axes(axes, keepdims):
    """Sums, means, extrema and products over each choice of axes, of something that was computed."""
    x = RNG.normal(size=(60, 23, 17))
    for reduce in (np.sum, np.mean, np.max, np.min, np.var):
        check(lambda x, r=reduce: r(np.sin(x) * x, axis=axes, keepdims=keepdims), x)
    check(lambda x: np.prod(1.0 + 1e-3 * np.sin(x), axis=axes, keepdims=keepdims), x)
    check(lambda x: np.sin(x) - np.sum(np.cos(x), axis=axes, keepdims=True), x)


@pytest.mark.parametrize("dtype", ["f", "e", "D", "F", "l", "i", "B", "?"])
def test_other_dtypes(dtype):
    """Single and half precision, complex numbers, integers of all kinds and booleans."""
    rng = np.random.default_rng(1)
    m = rng.integers(-3, 4, (4001, 3)) if dtype in "li" else rng.integers(0, 2, (4001, 3)) if dtype in "B?" else None
    m = rng.normal(size=(4001, 3)) if m is None else m
    x = (m + 1j * rng.normal(size=m.shape) if dtype in "DF" else m).astype(dtype)
    rtol = {"e": 1e-2, "f": 1e-4, "F": 1e-4}.get(dtype, 1e-10)
    functions = [lambda x: x * x + x, lambda x: (x * x).sum(axis=1), lambda x: (x + x[0]).sum(axis=0)]
    functions += [lambda x: np.where(x == x[:, :1], x, 0), lambda x: (x == 0).sum(axis=1), lambda x: x.mean(axis=1)]
    if dtype not in "?":
        functions += [lambda x: x * 2 - x[:, ::-1], lambda x: (x - x.T.sum(axis=0)[:, None]) * 3]
    if dtype in "feDF":
        functions += [lambda x: np.sin(x) * 0.5 + x, lambda x: np.exp(-np.abs(x)) * x, lambda x: x / (2.0 + x * x)]
    if dtype in "DF":
        functions += [lambda x: (x.real * x.imag, np.conj(x) * x), lambda x: np.abs(x).max(axis=1)]
    if dtype in "fe":
        functions += [lambda x: x.max(axis=1) + np.sqrt(np.abs(x)).sum(axis=1), lambda x: x * np.float32(2) + 1]
        functions += [lambda x: x * np.arange(3.0), lambda x: x.astype("d") * 2.0 + x]
    if dtype in "liB":
        functions += [lambda x: x // 2 + x % 3, lambda x: x & 3 | 1, lambda x: x / 2, lambda x: x * 0.5, lambda x: x**2]
    if dtype == "?":
        functions += [lambda x: x & ~x | x, lambda x: x.any(axis=1), lambda x: x.sum(axis=0), lambda x: x * 2.0]
    for f in functions:
        check(f, x, rtol=rtol, atol=rtol, groups=0)


LAYOUTS = {
    "fortran": lambda x: np.asfortranarray(x),
    "transposed": lambda x: x.T.copy().T,
    "reversed rows": lambda x: x[::-1],
    "reversed": lambda x: x[::-1, ::-1],
    "steps": lambda x: np.repeat(x, 2, axis=0)[::2],
    "column steps": lambda x: np.repeat(x, 3, axis=1)[:, ::3],
    "broadcast rows": lambda x: np.broadcast_to(x[0], x.shape),
    "broadcast columns": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "unaligned": lambda x: np.frombuffer(b"x" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
    "big-endian": lambda x: x.astype(">f8"),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts_of_arguments(layout):
    """Arguments that are not contiguous, in all kinds of groups."""
    base = RNG.normal(size=(3001, 4))
    x = LAYOUTS[layout](base)
    for f in (
        lambda x: np.sin(x) * 2.0 + x,
        lambda x: (np.sin(x) * x).sum(),
        lambda x: np.sin(x).sum(axis=1) * x[:, 0],
        lambda x: (x - x.mean(axis=0)).sum(axis=1),
        lambda x: np.sin(x.T) * 2.0,
        lambda x: np.sin(x.reshape(-1)) + 1.0,
        lambda x: (np.tanh(x @ x[:4]), x + 1.0),
        lambda x: x * x[::-1] + x[:, ::-1],
    ):
        expected, got = f(x), fg.jit(f)(x)
        for a, b in zip(fg.tree.leaves(got), fg.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_special_values_in_blocks():
    """Infinities and nan in large arrays come out where they do in NumPy."""
    x = RNG.normal(size=(3000, 4))
    x[::7, 1], x[::11, 2], x[::13, 3], x[::17, 0] = np.nan, np.inf, -np.inf, 0.0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for f in (
            lambda x: 1.0 / x + np.log(x),
            lambda x: np.maximum(x, 0.0) * np.minimum(x, 1.0),
            lambda x: (x - x.max(axis=1, keepdims=True)) * 2.0,
            lambda x: np.exp(x).sum(axis=1),
            lambda x: (x.sum(axis=0), x.max(axis=0), x.min(axis=0), np.sum(x)),
            lambda x: np.where(np.isnan(x), 0.0, x) - x,
            lambda x: (x > 0, x == x, np.isfinite(x)),
            lambda x: np.fmax(x, 0.5) + np.fmin(x, 0.5),
            lambda x: x**3 + x**0.5 + x**-1,
        ):
            check(f, x, groups=0)


@pytest.mark.parametrize("name", list(ROWS))
def test_gradients_of_groups(name):
    """The gradient of what runs in blocks, itself compiled, is the plain one."""
    operands = row_operands(4001)
    f = ROWS[name]
    if fg.tree.leaves(f(*operands))[0].dtype.kind != "f":
        return

    def total(*xs):
        return sum(np.sum(np.sin(y)) for y in fg.tree.leaves(f(*xs)))

    expected = fg.grad(total, argnums=(0, 1, 2, 3))(*operands)
    for g in (fg.jit(fg.grad(total, argnums=(0, 1, 2, 3))), fg.grad(fg.jit(total), argnums=(0, 1, 2, 3))):
        for a, b in zip(g(*operands), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(120))
def test_random_programs(seed):
    """Programs of large arrays that are drawn at random: every result is NumPy's."""
    program = large_program(seed)
    expected = program(*program.args)
    j = fg.jit(program)
    for _ in range(2):
        for a, b in zip(j(*program.args), expected, strict=True):
            assert np.shape(a) == np.shape(b), program
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10, err_msg=repr(program))


@pytest.mark.parametrize("seed", range(200, 230))
def test_random_gradients(seed):
    """Gradients of such programs."""
    program = large_program(seed)

    def f(*xs):
        return sum(np.mean(np.sin(y)) for y in program(*xs))

    argnums = tuple(range(len(program.args)))
    expected = fg.grad(f, argnums)(*program.args)
    for a, b in zip(fg.jit(fg.grad(f, argnums))(*program.args), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10, err_msg=repr(program))


@pytest.mark.parametrize("seed", range(300, 315))
def test_random_programs_in_single_precision(seed):
    """The same in float32: dtypes are NumPy's."""
    program = large_program(seed, "f")
    for a, b in zip(fg.jit(program)(*program.args), program(*program.args), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=repr(program))


LARGE_ROWS = [r for r in (*elementwise.ROWS, *special.ROWS) if r.shapes and any(r.shapes) and r.batched]


@pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in LARGE_ROWS])
def test_catalogue_rows_at_large_sizes(row):
    """Elementwise rows of the catalogue on thousands of elements, between other operations: NumPy's results."""
    shapes = [s for s in (row.shapes, *row.more_shapes) if all(0 not in t for t in s)]
    case = Case(row, row.dtypes[0], shapes[0])
    args = case.args()
    rank = max(np.ndim(x) for x in args)
    args = [np.concatenate([x] * 4000) if np.ndim(x) == rank and np.shape(x)[0] != 1 else x for x in args]

    def around(*xs):
        xs = [x * 1.5 / 1.5 if fg.typeof(x).dtype.kind in "fc" and fg.typeof(x).shape else x for x in xs]
        return fg.tree.map(lambda y: y * 2 if fg.typeof(y).dtype.kind in "fc" else y, row.fun(*xs))

    for g in (row.fun, around):
        try:
            expected = g(*args)
        except (TypeError, ValueError, MemoryError, Warning):
            pytest.skip("cannot be repeated")
        if sum(np.size(y) for y in fg.tree.leaves(expected)) > 2_000_000:
            pytest.skip("too large")
        if "allclose" in row.name or "equal" in row.name:
            continue  # of numbers that differ by rounding
        for a, b in zip(fg.tree.leaves(fg.jit(g)(*args)), fg.tree.leaves(expected), strict=True):
            assert (np.shape(a), a.dtype) == (np.shape(b), np.asarray(b).dtype)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n", [1, 100, N])
@pytest.mark.parametrize("special", [(), (np.inf,), (-np.inf,), (np.nan,), (np.inf, -np.inf, np.nan)])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow encountered in cast")  # NumPy's, for nan; of 1e300
def test_logaddexp(n, special, dtype):
    """By its formula where all is finite, NumPy's loop where it is not; far out it is the larger of the two."""
    x, y = (RNG.uniform(-900, 900, (2, n)) * np.array([[1.0], [0.01]])).astype(dtype)
    x[: len(special)] = y[: len(special)] = np.array(special, dtype)[:n]
    x[-1:] = y[-1:] = 0.5
    want = np.logaddexp(x, y)
    for f, args in (
        (np.logaddexp, (x, y)),
        (lambda x, y: np.logaddexp(x, y) + 0.0, (x, y)),
        (lambda x: np.logaddexp(0, x), (x,)),
        (lambda x: np.logaddexp(-1e300, x), (x,)),
        (lambda x: np.logaddexp(x, 1e300), (x,)),
        (lambda x: np.logaddexp(x[:, None], y[:3]), (x,)),
    ):
        got = fg.jit(f)(*args)
        tolerance = 1e-14 if dtype == "f8" else 1e-6
        np.testing.assert_allclose(got, f(*args), rtol=tolerance, atol=tolerance)
        assert got.dtype == dtype
    np.testing.assert_array_equal(np.isnan(want), np.isnan(fg.jit(np.logaddexp)(x, y)))


CHOICES = {
    "arrays": lambda c, x, y: np.where(c, x, y),
    "a number first": lambda c, x, y: np.where(c, -2.5, y),
    "a number second": lambda c, x, y: np.where(c, x, np.float32(-0.0)),
    "numbers": lambda c, x, y: np.where(c, 1.0, -np.inf) * (x + 1),
    "a computed number": lambda c, x, y: np.where(c, x[0] * 2, y + 1),
    "or zero": lambda c, x, y: np.where(c, x, 0) - np.where(c, 0, y),
    "a number or zero": lambda c, x, y: np.where(c, -3.0, 0) + np.where(c, 0, 5.0) + 0 * y,
    "a row": lambda c, x, y: np.where(c.reshape(-1, 4), x[:4], y.reshape(-1, 4)),
    "a column": lambda c, x, y: np.where(c.reshape(4, -1)[:, :1], x.reshape(4, -1), y.reshape(4, -1)),
    "operands that are used again": lambda c, x, y: (
        np.where(c, x * 2, y * 2),
        x * 2 + y * 2,
        np.where(c, y * 2, x * 2),
    ),
    "numbers as conditions": lambda c, x, y: (np.where(c * 3, x, 0), np.where(c * 0.5, x, y), np.where(c * 2j, 0, y)),
    "numbers to choose by": lambda c, x, y: np.where(c.astype(np.int8) - 1, 2.0, 0) + np.where(c * -4, x, 1.0),
    "slices": lambda c, x, y: np.where(c[::2], x[1::2], y[::2]),
}


@pytest.mark.parametrize("n", [8, 4 * N])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", list(CHOICES))
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_choices(name, dtype, n, share):
    """Bit for bit what NumPy's ``where`` gives: nan, infinities and the sign of zero included."""
    f = CHOICES[name]
    x, y = RNG.standard_normal((2, n)).astype(dtype)
    for a in (x, y):
        a[RNG.integers(0, n, n // 3)] = np.nan
        a[RNG.integers(0, n, n // 3)] = -np.inf
        a[RNG.integers(0, n, n // 3)] = -0.0
    x[0] = 1.5
    c = RNG.random(n) < share
    want = fg.tree.leaves(f(c, x, y))
    for g in (f, fg.jit(f), fg.jit(lambda c, x, y: fg.jvp(lambda x: f(c, x, y), (x,), (x,))[0])):
        traced = fg.jvp(lambda x, g=g: g(c, x, y), (x,), (np.ones_like(x),))[0] if g is f else g(c, x, y)
        for a, b in zip(fg.tree.leaves(traced), want, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(np.signbit(a), np.signbit(b))

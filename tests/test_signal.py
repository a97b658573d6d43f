"""Convolution, interpolation, phase, gradients and grids beside the catalogue: kinks, degenerate values, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fungrad as fg
from fungrad.errors import TracerIntegerConversionError, UnsupportedOperationError
from fungrad.primitives.convolution import convolve


def traced(fun: Any, *args: Any) -> Any:
    """The value recorded without values; its type, and the value recorded with values, must be the same."""
    closed = fg.make_jaxpr(fun)(*args)
    values = fg.eval_jaxpr(closed, (), *args)
    for aval, y in zip(closed.out_avals, values, strict=True):
        assert (aval.shape, aval.dtype) == (np.shape(y), np.asarray(y).dtype)
    tangents = tuple(
        [np.zeros(np.shape(x), np.asarray(x).dtype if np.asarray(x).dtype.kind in "fc" else fg.float0) for x in args]
    )
    for y, z in zip(values, fg.tree.leaves(fg.jvp(fun, args, tangents)[0]), strict=True):
        np.testing.assert_array_equal(y, z)
    return values[0] if len(values) == 1 else values


def check_numpy(fun: Any, *args: Any) -> None:
    """A function has NumPy's value, shape and dtype."""
    expected, value = fun(*args), traced(fun, *args)
    assert (np.shape(value), np.asarray(value).dtype) == (np.shape(expected), np.asarray(expected).dtype)
    np.testing.assert_allclose(value, expected, rtol=2e-3 if value.dtype == np.float16 else 1e-6, atol=1e-300)


# Convolution


@given(st.integers(1, 5), st.integers(1, 5), st.integers(-3, 11), st.integers(0, 8), st.sampled_from([(), (2,), (1,)]))
def test_every_window(n: int, m: int, start: int, size: int, batch: tuple[int, ...]) -> None:
    """A window of a convolution, whatever part of it or beyond, is that of the sums as they are defined."""
    x, y = np.arange(1.0, n + 1) ** 2, np.cos(np.arange(m)) * np.ones((*batch, 1))
    out = convolve(x, y, start, start + size)
    assert out.shape == (*batch, size)
    for k in range(size):
        expected: Any = sum(x[i] * y[..., start + k - i] for i in range(n) if 0 <= start + k - i < m)
        np.testing.assert_allclose(out[..., k], expected, rtol=1e-14, atol=1e-14)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(-2, 6), st.integers(1, 9))
def test_every_window_is_transposed(n: int, m: int, start: int, size: int) -> None:
    """Both cotangents of a window are those of the matrix of the map, to second order of transposition."""
    x, y = np.arange(1.0, n + 1), np.cos(np.arange(m))
    w = np.sin(np.arange(1.0, size + 1))

    def fun(x: Any, y: Any) -> Any:
        return convolve(x, y, start, start + size)

    x_bar, y_bar = fg.vjp(fun, x, y)[1](w)
    np.testing.assert_allclose(x_bar, [w @ fun(e, y) for e in np.eye(n)], atol=1e-14)
    np.testing.assert_allclose(y_bar, [w @ fun(x, e) for e in np.eye(m)], atol=1e-14)
    twice = fg.vjp(lambda y: fg.vjp(lambda x: fun(x, y), x)[1](w)[0], y)[1](x)[0]
    np.testing.assert_allclose(twice, y_bar, atol=1e-13)


@pytest.mark.parametrize("dtype", list("?bhiqBHIQefdgFDG"))
@pytest.mark.parametrize("fun", [np.convolve, np.correlate])
def test_convolution_of_every_dtype(fun: Any, dtype: str) -> None:
    """Values and dtypes are NumPy's, alone, with another dtype, and under vmap."""
    x, y = np.array([1, 0, 3, 2, 1]).astype(dtype), np.array([1, 2]).astype(dtype)
    check_numpy(lambda x: fun(x, y, "same"), x)
    check_numpy(lambda x: fun(y, x, "full"), x)
    check_numpy(lambda x: fun(x, np.float32([0.5, 1])), x)
    mapped = fg.vmap(lambda x, y: fun(x, y, "full"))(np.stack([x, x]), np.stack([y, y]))
    assert mapped.dtype == fun(x, y).dtype
    np.testing.assert_allclose(mapped, np.stack([fun(x, y, "full")] * 2))


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_infinite_elements_stay_where_they_are(mode: str) -> None:
    """Nothing is padded with zeros: an infinite end makes no nan beyond it, batched or not."""
    x, y = np.array([np.inf, 1.0, 2.0, 3.0]), np.array([1.0, 2.0])
    expected = np.convolve(x, y, mode)
    assert not np.isnan(expected).any()
    np.testing.assert_array_equal(fg.vmap(lambda y: np.convolve(x, y, mode))(y[None]), expected[None])
    np.testing.assert_array_equal(fg.vmap(lambda x: np.convolve(y, x, mode))(x[None]), expected[None])


def test_mode_by_number() -> None:
    """Modes 0, 1, 2 are valid, same, full."""
    x, y = np.arange(4.0), np.array([1.0, 2.0, 3.0])
    for mode in range(3):
        np.testing.assert_array_equal(traced(lambda x, mode=mode: np.convolve(x, y, mode), x), np.convolve(x, y, mode))


_X = np.array([0.5, 1.0, 3.0])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: np.convolve(x[:0], x), ValueError, "[av] cannot be empty"),
        (lambda x: np.convolve(x, x[:0]), ValueError, "v cannot be empty"),
        (lambda x: np.correlate(x[:0], x), ValueError, "first array argument cannot be empty"),
        (lambda x: np.correlate(x, x[:0]), ValueError, "second array argument cannot be empty"),
        (lambda x: np.convolve(x[None], x), ValueError, "object too deep for desired array"),
        (lambda x: np.correlate(x[0], x), ValueError, "object of too small depth"),
        (lambda x: np.convolve(x, x, "half"), ValueError, "mode must be one of 'valid', 'same', or 'full'"),
        (lambda x: np.correlate(x, x, 3), ValueError, "integer convolve/correlate mode must be 0, 1, or 2"),
        (lambda x: np.interp(x, x, [1.0, 2.0]), ValueError, "fp and xp are not of the same length"),
        (lambda x: np.interp(x, x, [1.0, 2.0], period=2), ValueError, "fp and xp are not of the same length"),
        (lambda x: np.interp(x, [], []), ValueError, "array of sample points is empty"),
        (lambda x: np.interp(x, x[None], x[None]), ValueError, "too deep|1-D"),
        (lambda x: np.interp(x, x[0], x[0]), ValueError, "too small depth|1-D"),
        (lambda x: np.interp(x * 1j, x, x), TypeError, "cast|real number"),
        (lambda x: np.interp(x, x, x, left=1j), TypeError, "real number"),
        (lambda x: np.interp(x, x, x, right=np.ones(2)), TypeError, "number|scalar"),
        (lambda x: np.interp(x, x, x, period=0), ValueError, "period must be a non-zero value"),
        (lambda x: np.unwrap(x[0]), ValueError, "at least one dimensional"),
        (lambda x: np.unwrap(x, axis=1), np.exceptions.AxisError, "axis 1 is out of bounds"),
        (lambda x: np.unwrap(x * 1j), TypeError, "remainder"),
        (lambda x: np.gradient(x, edge_order=3), ValueError, "'edge_order' greater than 2 not supported"),
        (lambda x: np.gradient(x[:1]), ValueError, "Shape of array too small"),
        (lambda x: np.gradient(x[:2], edge_order=2), ValueError, "Shape of array too small"),
        (lambda x: np.gradient(x, 1.0, 2.0), TypeError, "invalid number of arguments"),
        (lambda x: np.gradient(x, x[None]), ValueError, "distances must be either scalars or 1d"),
        (lambda x: np.gradient(x, x[:2]), ValueError, "when 1d, distances must match"),
        (lambda x: np.gradient(x, axis=1), np.exceptions.AxisError, "axis 1 is out of bounds"),
        (lambda x: np.gradient(x > 1), TypeError, "boolean subtract"),
        (lambda x: np.linspace(x, 1, -1), ValueError, "Number of samples, -1, must be non-negative"),
        (lambda x: np.linspace(x, 1, 2.5), TypeError, "float"),
        (lambda x: np.linspace(x, 1, axis=2), np.exceptions.AxisError, "axis 2 is out of bounds"),
        (lambda x: np.linspace(x, [1, 2]), ValueError, "could not be broadcast"),
        (lambda x: np.linspace(x, 1, device="gpu"), (ValueError, UnsupportedOperationError), "evice"),
        (lambda x: np.geomspace(x, 0), ValueError, "Geometric sequence cannot include zero"),
        (lambda x: np.logspace(x, 1, base=[1, 2]), ValueError, "broadcast"),
    ],
)
def test_errors_are_numpys(call: Any, error: Any, text: str) -> None:
    """What NumPy refuses is refused with the same kind of error, with values and without."""
    for run in (call, lambda x: fg.jvp(call, (x,), (x,)), fg.make_jaxpr(call)):
        with pytest.raises(error, match=text):
            run(_X)


# Interpolation

XP, FP = np.array([0.0, 1.0, 3.0, 4.0]), np.array([1.0, 3.0, -1.0, 2.0])


def test_slopes_at_the_knots() -> None:
    """At a knot the slope is that of the segment on its right, at the last one that on its left; outside it is 0."""
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
    slopes = fg.jvp(lambda x: np.interp(x, XP, FP), (x,), (np.ones(8),))[1]
    np.testing.assert_array_equal(slopes, [0, 2, 2, -2, -2, 3, 3, 0])
    moved = fg.jvp(lambda xp: np.interp(x, xp, FP), (XP,), (np.ones(4),))[1]
    np.testing.assert_array_equal(moved, -slopes)
    raised = fg.jvp(lambda fp: np.interp(x, XP, fp), (FP,), (np.ones(4),))[1]
    np.testing.assert_array_equal(raised, np.ones(8))


def test_each_knot_gets_its_share() -> None:
    """At a knot the whole derivative in the values belongs to its own; outside to the end, or to nothing."""
    x = np.array([-1.0, 1.0, 4.0, 2.0])
    share = fg.jacobian(lambda fp: np.interp(x, XP, fp))(FP)
    np.testing.assert_array_equal(share, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0.5, 0.5, 0]])
    share = fg.jacobian(lambda fp: np.interp(x, XP, fp, left=0.0))(FP)
    np.testing.assert_array_equal(share[0], [0, 0, 0, 0])


def test_equal_knots() -> None:
    """At a jump the value is that of the last of the equal knots, and so are the derivatives, which are finite."""
    xp, fp, x = np.array([0.0, 1.0, 1.0, 2.0, 2.0]), np.array([1.0, 2.0, 5.0, 6.0, 9.0]), np.array([1.0, 2.0, 0.5])
    value, pull = fg.vjp(lambda x, xp, fp: np.interp(x, xp, fp), x, xp, fp)
    np.testing.assert_array_equal(value, [5, 9, 1.5])
    x_bar, xp_bar, fp_bar = pull(np.array([1.0, 0.0, 0.0]))
    np.testing.assert_array_equal(x_bar, [1, 0, 0])
    np.testing.assert_array_equal(xp_bar, [0, 0, -1, 0, 0])
    np.testing.assert_array_equal(fp_bar, [0, 0, 1, 0, 0])
    assert np.array_equal(pull(np.array([0.0, 1.0, 0.0]))[2], [0, 0, 0, 0, 1])


def test_infinite_and_undefined_points() -> None:
    """An infinite x lies outside and has finite derivatives; nan stays nan and disturbs no other point."""
    x = np.array([-np.inf, np.inf, 0.5])
    value, pull = fg.vjp(lambda x, xp, fp: np.interp(x, xp, fp), x, XP, FP)
    np.testing.assert_array_equal(value, [1, 2, 2])
    x_bar, xp_bar, fp_bar = pull(np.ones(3))
    np.testing.assert_array_equal(x_bar, [0, 0, 2])
    np.testing.assert_array_equal(xp_bar, [-1, -1, 0, 0])
    np.testing.assert_array_equal(fp_bar, [1.5, 0.5, 0, 1])


def test_slopes_outside_do_not_matter() -> None:
    """An infinite slope of the first segment makes no nan of points before it."""
    fp = np.array([np.inf, 1.0, 2.0, 3.0])
    value, pull = fg.vjp(lambda x, xp: np.interp(x, xp, fp, left=0.0), np.array([-1.0, 2.0]), XP)
    np.testing.assert_array_equal(value, [0, 1.5])
    x_bar, xp_bar = pull(np.ones(2))
    np.testing.assert_array_equal(x_bar, [0, 0.5])
    np.testing.assert_array_equal(xp_bar, [0, -0.25, -0.25, 0])


VALUES = (np.nan, -np.inf, np.inf, -0.0, 0.0, 1.0, 2.0, 3.0, 0.3)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(
            st.lists(st.sampled_from(VALUES[1:]), min_size=n, max_size=n),
            st.lists(st.sampled_from(VALUES), min_size=n, max_size=n),
            st.lists(st.sampled_from(VALUES), max_size=4),
        )
    )
)
@example(([-np.inf, 1.0], [2.0, 3.0], [0.3, 0.0]))
@example(([-np.inf, np.inf], [2.0, 2.0], [0.3]))
def test_a_table_for_each_example(tables: tuple[list[float], list[float], list[float]]) -> None:
    """With a table for each example values are NumPy's, with nan, infinities and equal knots too."""
    xp, fp, x = np.sort(tables[0]), np.array(tables[1]), np.array(tables[2])
    with np.errstate(all="ignore"):
        expected = np.interp(x, xp, fp, left=7)
        stacked = [np.stack([a, a]) for a in (x, xp, fp)]
        mapped = fg.vmap(lambda x, xp, fp: np.interp(x, xp, fp, left=7))(*stacked)
        np.testing.assert_array_equal(mapped, np.stack([expected] * 2))
        shared = fg.vmap(lambda fp: np.interp(x, xp, fp, left=7) + 0 * fp[:0].sum())(stacked[2])
        np.testing.assert_array_equal(shared, np.stack([expected] * 2))


def test_many_tables_within_many() -> None:
    """Batches of batches of tables, of real and of complex values, are loops of loops."""
    rng = np.random.default_rng(0)
    x, xp = rng.uniform(-1, 5, (2, 3, 2, 4)), np.cumsum(rng.uniform(0.1, 1, (2, 3, 5)), -1)
    fp = rng.normal(size=(3, 5)) + 1j * rng.normal(size=(3, 5))
    mapped = fg.vmap(fg.vmap(np.interp), in_axes=(0, 0, None))(x, xp, fp)
    expected = [[np.interp(x[i, j], xp[i, j], fp[j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(mapped, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", list("?bhiqefdg"))
def test_interp_of_every_dtype(dtype: str) -> None:
    """The result is double precision whatever comes in; extended precision does not fit, as in NumPy."""
    x = np.array([0, 1, 1]).astype(dtype)
    if dtype == "g":
        with pytest.raises(TypeError):
            np.interp(x, XP, FP)
        with pytest.raises(TypeError, match="cannot cast x"):
            fg.make_jaxpr(lambda x: np.interp(x, XP, FP))(x)
        return
    check_numpy(lambda x: np.interp(x, XP, FP), x)
    check_numpy(lambda x: np.interp(0.5, [0, 1, 2], x), x)
    check_numpy(lambda x: np.interp(x[0], [0, 1, 2], [1, 2, 4]), x)


# Phase


def test_unwrap_at_half_a_period() -> None:
    """A step of exactly half a period keeps its sign, as in NumPy; the derivative is that of p itself."""
    p = np.array([0.0, 2.0, 0.0, -2.0, 1.0, 7.0])
    check_numpy(lambda p: np.unwrap(p, period=4), p)
    check_numpy(lambda p: np.unwrap(p, period=4.0, discont=3.0), p)
    np.testing.assert_array_equal(fg.jacobian(lambda p: np.unwrap(p, period=4.0))(p), np.eye(6))


@pytest.mark.parametrize("dtype", list("?bhiqefdg"))
@pytest.mark.parametrize("period", [4, 5, 2.5, np.float64(3), np.int8(4)])
def test_unwrap_of_every_dtype(dtype: str, period: Any) -> None:
    """Values and dtypes are NumPy's."""
    check_numpy(lambda p: np.unwrap(p, period=period), np.array([0, 5, 1, 9, 4, 12]).astype(dtype))


# Gradients


@pytest.mark.parametrize("edge_order", [1, 2])
def test_equidistant_coordinates(edge_order: int) -> None:
    """Traced coordinates that are equidistant have the value of NumPy's shortcut, and all of their derivatives."""
    f, x = np.array([1.0, 5.0, 2.0, 4.0, 7.0]), np.arange(5) / 4

    def fun(x: Any) -> Any:
        return np.gradient(f, x, edge_order=edge_order)

    check_numpy(fun, x)
    # Just beside the equidistant ones NumPy takes the general formula.
    bump = 1e-5 * np.array([0.0, 1.0, -1.0, 2.0, 0.5])
    expected = (fun(x + bump) - fun(x - bump)) / 2
    np.testing.assert_allclose(fg.jvp(fun, (x,), (bump,))[1], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", list("bhiqBHIQefdgFDG"))
@pytest.mark.parametrize("distance", [(), (2,), (np.float64(0.5),), ([0, 1, 3],), (np.array([0.0, 1.0, 3.0]),)])
def test_gradient_of_every_dtype(dtype: str, distance: Any) -> None:
    """Values and dtypes are NumPy's: the result has the dtype of f, or double precision."""
    check_numpy(lambda f: np.gradient(f, *distance), np.array([1, 5, 2]).astype(dtype))
    check_numpy(lambda f: np.gradient(f, *distance, edge_order=2), np.array([1, 5, 2]).astype(dtype))


def test_gradient_along_no_axis() -> None:
    """A scalar has no axes and so no gradient: an empty tuple, as in NumPy."""
    assert fg.jvp(lambda x: (np.gradient(x), np.gradient(x * np.ones(2), axis=())), (1.0,), (1.0,))[0] == ((), ())


# Grids


@pytest.mark.parametrize("stop", [3, 3.0, np.float32(3), np.float64(3), np.int8(3), np.array([1, 2], "h"), 3j])
@pytest.mark.parametrize("dtype", list("?bhiqBHIQefdgFDG"))
def test_grids_of_every_dtype(dtype: str, stop: Any) -> None:
    """Values and dtypes are NumPy's: numbers do not promote, integers become double precision."""
    start = np.array([1, 1]).astype(dtype)
    for x in (start, start[0]):
        check_numpy(lambda x: np.linspace(x, stop, 4), x)
        check_numpy(lambda x: np.linspace(stop, x, 4, endpoint=False), x)
        check_numpy(lambda x: np.logspace(x, stop, 3), x)
        check_numpy(lambda x: np.geomspace(x, stop, 3), x)
        check_numpy(lambda x: np.logspace(0, 1, 3, base=x), x)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int32, np.uint8, float])
def test_grids_to_every_dtype(dtype: Any) -> None:
    """``dtype`` decides the dtype; integers are rounded down."""
    for fun in (np.linspace, np.logspace, np.geomspace):
        check_numpy(lambda x, fun=fun: fun(x, 2.0, 7, dtype=dtype), np.float64(1.0))


def test_python_numbers_stay_weak() -> None:
    """A traced Python number does not promote either."""
    assert fg.grad(lambda x: np.linspace(x, np.float32(2), 3).sum())(1.0) == 1.5
    closed = fg.make_jaxpr(lambda x: np.linspace(x, np.float32(2), 3))(1.0)
    assert closed.out_avals[0].dtype == np.linspace(1.0, np.float32(2), 3).dtype == np.float32


def test_step_of_nothing() -> None:
    """Without an interval there is no step: it is nan, a plain number, as in NumPy."""
    y, step = fg.jvp(lambda x: np.linspace(x, 2.0, 1, retstep=True), (1.0,), (1.0,))[0]
    assert np.array_equal(y, [1.0])
    assert np.isnan(step)


def test_tiny_steps_do_not_vanish() -> None:
    """Where the step underflows, the difference of the ends is divided last, as NumPy does."""
    value, tangent = fg.jvp(lambda x: np.linspace(0, x, 5), (5e-324,), (1.0,))
    np.testing.assert_array_equal(value, np.linspace(0, 5e-324, 5))
    np.testing.assert_array_equal(tangent, [0, 0.25, 0.5, 0.75, 1])


def test_ends_are_exact() -> None:
    """The last element is the end itself, and has no derivative in the other one."""
    value, tangent = fg.jvp(lambda a: np.linspace(a, 0.7, 50), (0.1,), (1.0,))  # 49 / 49.0 of it is not quite 1
    assert (value[-1], tangent[-1]) == (0.7, 0.0)
    rows = fg.jacobian(lambda b: np.geomspace(0.1, b, 7))(0.7)
    assert (rows[0], rows[-1]) == (0.0, 1.0)


def test_geomspace_is_a_spiral() -> None:
    """Between complex ends the derivatives are those of start (stop / start)**(k / n)."""
    a, b, k = 1.0 + 0.5j, -0.3 + 2.0j, np.arange(5) / 4
    out = np.geomspace(a, b, 5)
    by_start = fg.jvp(lambda z: np.geomspace(z, b, 5), (a,), (1 + 0j,))[1]
    by_stop = fg.jvp(lambda z: np.geomspace(a, z, 5), (b,), (1 + 0j,))[1]
    np.testing.assert_allclose(by_start, (1 - k) * out / a, atol=1e-14)
    np.testing.assert_allclose(by_stop, k * out / b, atol=1e-14)


def test_number_must_be_known() -> None:
    """How many numbers there are cannot be traced."""
    with pytest.raises(TracerIntegerConversionError):
        fg.vmap(lambda n: np.linspace(n * 1.0, 1.0, n))(np.arange(3))

"""fungrad.lax: reductions over windows, over axes, and cumulative ones, against loops."""

import functools
import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.testing import check_grads

MONOIDS = {"add": (lax.add, 0.0), "max": (lax.max, -np.inf), "min": (lax.min, np.inf), "mul": (lax.mul, 1.0)}
UFUNCS = {"add": np.add, "max": np.maximum, "min": np.minimum, "mul": np.multiply}


def naive(x, init, combine, sizes, strides, pads, spread, dilation):
    """A loop over windows and places in them."""
    counts = []
    for n, k, stride, (low, high), m, d in zip(x.shape, sizes, strides, pads, spread, dilation, strict=True):
        room = ((n - 1) * m + 1 if n else 0) + low + high - ((k - 1) * d + 1)
        counts.append(room // stride + 1 if room >= 0 else 0)
    out = np.full(counts, init, x.dtype)
    for place in itertools.product(*map(range, counts)):
        for tap in itertools.product(*map(range, sizes)):
            each = zip(place, tap, strides, pads, dilation, strict=True)
            at = [p * stride + k * d - low for p, k, stride, (low, _), d in each]
            if all(t % m == 0 and 0 <= t // m < n for t, m, n in zip(at, spread, x.shape, strict=True)):
                out[place] = combine(out[place], x[tuple([t // m for t, m in zip(at, spread, strict=True)])])
    return out


@st.composite
def windows(draw):
    """An array and the numbers of windows over it."""
    rank = draw(st.integers(1, 3))

    def each(low, high):
        return [draw(st.integers(low, high)) for _ in range(rank)]

    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = each(1, 6)
    # Distinct elements, so that differences meet no tie.
    x = rng.permutation(np.prod(shape)).reshape(shape) / 3 - 1.1
    pads = list(zip(each(-1, 3), each(-1, 3), strict=True))
    return x, each(1, 4), each(1, 3), pads, each(1, 3), each(1, 2)


@settings(max_examples=120)
@given(windows(), st.sampled_from(sorted(MONOIDS)))
def test_reduce_window_is_a_loop_over_windows(case, name):
    """For all sizes, strides, pads (also negative), spreads and dilations; compiled, and in a batch."""
    x, *numbers = case
    computation, init = MONOIDS[name]

    def f(x):
        sizes, strides, pads, spread, dilation = numbers
        return lax.reduce_window(x, init, computation, sizes, strides, pads, spread, dilation)

    try:
        expected = naive(x, init, UFUNCS[name], *numbers)
    except ValueError:
        return  # more is cut off than there is
    np.testing.assert_allclose(f(x), expected)
    assert f(x).shape == expected.shape
    np.testing.assert_allclose(fg.jit(f)(x), expected)
    np.testing.assert_allclose(fg.vmap(f)(np.stack([x, -x])), np.stack([f(x), f(-x)]))


@settings(max_examples=40)
@given(windows(), st.sampled_from(sorted(MONOIDS)))
def test_derivatives_of_reduce_window(case, name):
    """Both modes to second order."""
    x, sizes, strides, pads, spread, dilation = case
    computation, init = MONOIDS[name]

    def f(x):
        out = lax.reduce_window(x, init, computation, sizes, strides, pads, spread, dilation)
        return lax.select(np.isfinite(out), out, out * 0 if name in ("add", "mul") else np.zeros(out.shape)) ** 2

    if f(x).size:
        check_grads(f, (x,), 2)


def test_of_equal_elements_the_first_has_the_derivative():
    """In a window the derivative is not shared: that of XLA's select-and-scatter with >=."""
    x = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    largest = fg.grad(lambda x: lax.reduce_window(x, -np.inf, lax.max, (2, 2)).sum())(x)
    least = fg.grad(lambda x: lax.reduce_window(x, np.inf, lax.min, (2, 2)).sum())(-x)
    for grad in (largest, least):
        np.testing.assert_array_equal(grad, [[1, 1, 1, 0], [0, 0, 0, 0]])


def test_nan_goes_through_a_maximum_over_windows():
    """A window with nan has the maximum nan, and its derivative goes to the nan."""
    x = np.array([1.0, np.nan, 2.0, 5.0])
    value, pull = fg.vjp(lambda x: lax.reduce_window(x, -np.inf, lax.max, (2,), (2,)), x)
    np.testing.assert_array_equal(value, [np.nan, 5.0])
    np.testing.assert_array_equal(pull(np.ones(2))[0], [0, 1, 0, 1])


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_long_windows_are_put_together_of_shorter_ones(stride, dilation):
    """The same as a loop, for sizes around powers of two, padded or cut."""
    x = np.random.default_rng(0).standard_normal((60, 2))
    for size, (low, high) in itertools.product((8, 15, 16, 17, 25), ((0, 0), (7, 3), (-2, 5), (3, -1))):
        args = [(size, 1), (stride, 1), [(low, high), (0, 0)], (1, 1), (dilation, 1)]
        for name in ("add", "max"):
            computation, init = MONOIDS[name]
            sizes, strides, pads, spread, dilations = args
            out = lax.reduce_window(x, init, computation, sizes, strides, pads, None, dilations)
            np.testing.assert_allclose(out, naive(x, init, UFUNCS[name], *args), atol=1e-12)


def test_windows_start_with_the_initial_value():
    """One that is no neutral element takes part; a traced one has a derivative."""
    x = np.array([-3.0, -1.0, 2.0])
    np.testing.assert_array_equal(lax.reduce_window(x, 0.0, lax.max, (2,)), [0, 2])
    np.testing.assert_array_equal(lax.reduce_window(x, 10.0, lax.add, (2,)), [6, 11])
    assert fg.grad(lambda i: lax.reduce_window(x, i, lax.add, (2,)).sum())(10.0) == 2
    np.testing.assert_array_equal(lax.reduce_window(np.array([5, -7]), 0, lax.max, (1,), (1,), [(1, 0)]), [0, 5, 0])


def test_any_computation_over_windows():
    """Of one array or several, as a pytree; what it returns is checked."""
    x = np.random.default_rng(0).uniform(size=(3, 4))

    def either(a, b):
        return a + b - a * b

    out = lax.reduce_window(x, 0.0, either, (2, 2), (1, 2), "SAME")
    np.testing.assert_allclose(out, naive(x, 0.0, either, (2, 2), (1, 2), [(0, 1), (0, 0)], (1, 1), (1, 1)))
    sums, squares = lax.reduce_window((x, x**2), (0.0, 0.0), lambda a, b: (a[0] + b[0], a[1] + b[1]), (3, 1))
    np.testing.assert_allclose((sums, squares), (x.sum(0, keepdims=True), (x**2).sum(0, keepdims=True)))
    with pytest.raises(ValueError, match="must return a structure"):
        lax.reduce_window(x, 0.0, lambda a, b: (a, b), (2, 2))
    with pytest.raises(ValueError, match="must be elementwise"):
        lax.reduce_window(x, 0.0, lambda a, b: (a + b).sum(), (2, 2))
    with pytest.raises(ValueError, match="window_dimensions must be a positive integer for each axis"):
        lax.reduce_window(x, 0.0, lax.add, (2,))


def test_shapes_of_windows():
    """The function of shapes says what a reduction makes."""
    args = ((2, 3), (1, 2), "SAME", None, (2, 1))
    made = lax.reduce_window(np.zeros((5, 7)), 0.0, lax.add, *args).shape
    assert lax.reduce_window_shape_tuple((5, 7), *args) == made


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.float32, np.float64, bool])
def test_reductions_keep_the_dtype(dtype):
    """NumPy widens sums and products of small integers; lax does not."""
    x = np.array([[1, 0, 3], [1, 1, 1]]).astype(dtype)
    for f in (lax.reduce_sum, lax.reduce_prod, lax.reduce_max, lax.reduce_min):
        for fun in (f, fg.jit(f, static_argnums=1)):
            assert fun(x, (1,)).dtype == dtype, f
    for f in (lax.cumsum, lax.cumprod, lax.cummax, lax.cummin):
        assert f(x).dtype == dtype, f


def test_reductions_of_nothing():
    """Neutral elements; a reduction over no axes is the array."""
    x = np.zeros((0, 2))
    assert lax.reduce_max(x, (0,)).tolist() == [-np.inf] * 2
    assert lax.reduce_min(x.astype(np.int8), (0,)).tolist() == [127] * 2
    assert lax.reduce_sum(x, (0,)).tolist() == [0, 0]
    assert lax.reduce(x, 5.0, lambda a, b: a * b + 1, (0,)).tolist() == [5, 5]
    assert lax.reduce_and(np.zeros((0,), np.uint8), (0,)) == 255


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_reduce_keeps_the_order_of_what_it_combines(n):
    """An associative operation that does not commute: products of matrices, and the last element that is set."""
    rng = np.random.default_rng(n)
    a = rng.standard_normal((n, 4))

    def compose(f, g):  # x -> b + a x, first f
        return f[0] * g[0], g[0] * f[1] + g[1]

    slope, offset = lax.reduce((a, a + 1), (1.0, 0.0), compose, (0,))
    expected = functools.reduce(compose, zip(a, a + 1, strict=True))
    np.testing.assert_allclose(slope, expected[0])
    np.testing.assert_allclose(offset, expected[1])
    check_grads(lambda a: lax.reduce((a, a + 1), (1.0, 0.0), compose, (0,)), (a,), 2)


def test_known_operations_are_recognised():
    """Whether written as lax's, Python's or NumPy's function, the jaxpr has a single reduction."""
    x = np.arange(6.0).reshape(2, 3)
    for computation, init in ((lax.add, 0.0), (operator.add, 0.0), (np.maximum, -np.inf), (lax.mul, 1)):
        closed = fg.make_jaxpr(lambda x, f=computation, i=init: lax.reduce(x, i, f, (0,)))(x)
        assert len(closed.eqns) == 1, closed


def test_wrong_axes_are_refused():
    """Out of bounds, twice, or of a dtype that has no bits."""
    x = np.zeros((2, 3))
    for call, error, text in (
        (lambda: lax.reduce_sum(x, (2,)), ValueError, "axis 2 is out of bounds for an array with 2 axes"),
        (lambda: lax.reduce_max(x, (0, -2)), ValueError, "name one axis twice"),
        (lambda: lax.reduce_and(x, (0,)), TypeError, "not defined for float64"),
        (lambda: lax.argmax(x, 0, np.float32), TypeError, "index_dtype must be an integer type"),
        (lambda: lax.reduce((x, x), 0.0, lax.add, (0,)), ValueError, "one structure"),
        (lambda: lax.reduce(x, np.zeros(2), lax.add, (0,)), ValueError, "must be scalars"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_cumlogsumexp():
    """As the logarithm of a cumulative sum, from both ends, without overflow, and with minus infinity."""
    x = np.array([1000.0, 1001.0, -np.inf, 999.0])
    expected = np.log(np.cumsum(np.exp(x - 1000))) + 1000
    np.testing.assert_allclose(lax.cumlogsumexp(x), expected)
    np.testing.assert_allclose(lax.cumlogsumexp(x[::-1], reverse=True), expected[::-1])
    assert np.isfinite(fg.grad(lambda x: lax.cumlogsumexp(x).sum())(x)).all()
    assert np.all(fg.grad(lambda x: lax.cumlogsumexp(x)[0])(np.full(3, -np.inf)) == [1, 0, 0])


def test_argmax_has_the_dtype_that_is_asked_for():
    """The first of equal elements."""
    x = np.array([[1, 3, 3], [2, 0, 1]])
    for fun in (lax.argmax, fg.jit(lax.argmax, static_argnums=(1, 2))):
        out = fun(x, 1, np.int16)
        assert out.dtype == np.int16
        assert out.tolist() == [1, 0]
    assert lax.argmin(x, 0, int).tolist() == [0, 1, 1]

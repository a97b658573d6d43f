"""Quantiles, histograms, covariances and what skips nan: ties, edges, empty slices, refusals, NumPy's own errors."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad.numpy import dispatch

METHODS = (
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
)
NAN = np.nan
dispatch.load_later("numpy")


def through_jvp(fun, *args):
    """The value that a recording with values has."""
    return fg.jvp(fun, args, tuple(np.zeros_like(a) if np.asarray(a).dtype.kind in "fc" else zero(a) for a in args))[0]


def zero(a):
    """The tangent of integers."""
    return np.zeros(np.shape(a), fg.float0)


def through_jaxpr(fun, *args):
    """The value that a recording on types alone computes."""
    return fg.eval_jaxpr(fg.make_jaxpr(fun)(*args), (), *args)[0]


def assert_same(actual, expected, tolerance=1e-12):
    """Equal in shape, dtype and, up to rounding, in value."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(actual, expected, tolerance, tolerance)


# Signatures

MODULES = ("statistics", "nan_statistics", "quantiles", "histograms", "sets")
OURS = [
    (f, g) for f, g in dispatch.FUNCTIONS.items() if g.__module__ in [f"fungrad.numpy.{module}" for module in MODULES]
]
NEWER = {"corrcoef": {"bias", "ddof"}}  # arguments that NumPy has dropped, with no effect before


@pytest.mark.parametrize(("numpy_function", "ours"), OURS, ids=[f.__name__ for f, _ in OURS])
def test_signatures(numpy_function, ours):
    """Each function has NumPy's arguments in NumPy's order with NumPy's defaults."""
    try:
        theirs = inspect.signature(numpy_function).parameters
    except ValueError:
        pytest.skip("a builtin without a signature")
    gone = {"interpolation"} | NEWER.get(numpy_function.__name__, set())
    theirs = [p for name, p in theirs.items() if name not in gone]
    mine = list(inspect.signature(ours).parameters.values())
    assert [(p.name, p.kind) for p in mine] == [(p.name, p.kind) for p in theirs]
    for p, q in zip(mine, theirs, strict=True):
        assert q.default is np._NoValue or p.default == q.default or p.default is q.default, p.name


@pytest.mark.parametrize(
    "name",
    ["quantile", "percentile", "nanquantile", "nanpercentile", "median", "nanmedian", "nanmax", "nansum", "nanvar"],
)
def test_out_is_refused(name):
    """An array to write the result into is refused by name."""
    more = (0.5,) if name.endswith("ile") else ()
    with pytest.raises(TypeError, match=r"numpy\.\w+\(\.\.\., out=\)"):
        fg.grad(lambda x: getattr(np, name)(x, *more, out=np.empty(())))(np.ones(3))


# Quantiles

SAMPLES = st.lists(st.integers(-3, 3), min_size=1, max_size=7)
LEVELS = st.one_of(
    st.sampled_from([0, 1, 0.5, 0.25, 0.375, 1 / 3, np.float32(0.3), np.float64(0.6)]),
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.875, 1.0]), max_size=3).map(np.array),
)


@pytest.mark.parametrize("method", METHODS)
def test_every_position(method):
    """Each method takes NumPy's elements, also where a position falls on an element or between two."""
    q = np.arange(17) / 16
    for n in range(1, 9):
        x = np.arange(n) ** 2.0
        assert_same(through_jvp(lambda x: np.quantile(x, q, method=method), x), np.quantile(x, q, method=method))
        assert_same(through_jaxpr(lambda q, x=x: np.quantile(x, q, method=method), q), np.quantile(x, q, method=method))
        y = np.append(x, NAN)
        assert_same(through_jvp(lambda x: np.nanquantile(x, q, method=method), y), np.quantile(x, q, method=method))


@settings(max_examples=60, deadline=None)
@given(SAMPLES, LEVELS, st.sampled_from(METHODS), st.sampled_from("fdl"))
def test_quantiles_are_numpys(sample, q, method, dtype):
    """Values, shapes and dtypes are NumPy's for every method and every kind of q, with values and without."""
    x = np.array([sample, sample[::-1]]).astype(dtype)

    def fun(x):
        return np.quantile(x, q, axis=1, method=method)

    tolerance = 1e-6 if np.float32 in (x.dtype, np.asarray(q).dtype) else 1e-12
    assert_same(through_jvp(fun, x), fun(x), tolerance)
    assert_same(through_jaxpr(fun, x), fun(x), tolerance)
    if np.asarray(q).dtype.kind == "f":
        assert_same(through_jaxpr(lambda q: np.quantile(x, q, axis=1, method=method), q), fun(x), tolerance)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([NAN, -1.0, 0.5, 2.0, 2.5]), min_size=2, max_size=7),
    LEVELS,
    st.sampled_from(METHODS),
)
def test_nanquantiles_are_numpys(sample, q, method):
    """With nan in some places, in all, or in none."""
    x = np.array([sample, [1.0] * len(sample), [NAN] * len(sample)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fun in (
            lambda x: np.nanquantile(x, q, axis=1, method=method),
            lambda x: np.quantile(x, q, axis=1, method=method),
            lambda x: np.nanmedian(x, axis=1),
            lambda x: np.nanpercentile(x[:2], np.multiply(q, 100), axis=0, method=method),
        ):
            assert_same(through_jvp(fun, x), fun(x), 1e-6)
            assert_same(through_jaxpr(fun, x), fun(x), 1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, 0.5, 2.0, NAN]), min_size=4, max_size=4),
    st.lists(st.integers(1, 3), min_size=4, max_size=4),
    st.sampled_from([0, 1, 0.4, [0.25, 0.5], np.array([[0.9]])]),
)
def test_weighted_quantiles_are_numpys(sample, weights, q):
    """An element with its weight, along an axis and over all."""
    x, w = np.array([sample, [3.0, 1.0, 4.0, 1.0]]), np.array([weights, weights[::-1]], float)
    for fun in (
        lambda x, w: np.quantile(x, q, axis=1, method="inverted_cdf", weights=w),
        lambda x, w: np.nanquantile(x, q, method="inverted_cdf", weights=w, keepdims=True),
        lambda x, w: np.percentile(x, np.multiply(q, 100), axis=1, method="inverted_cdf", weights=w[0]),
    ):
        assert_same(through_jvp(fun, x, w), fun(x, w))
        assert_same(through_jaxpr(fun, x, w), fun(x, w))


def test_elements_without_weight_are_not_taken():
    """Not even as the smallest, nor when they are nan."""
    x = np.array([0.0, 1.0, 2.0, NAN])

    def fun(x):
        return np.nanquantile(x, [0, 0.5, 1], method="inverted_cdf", weights=[0.0, 1.0, 1.0, 5.0])

    np.testing.assert_array_equal(through_jvp(fun, x), [1.0, 1.0, 2.0])
    np.testing.assert_array_equal(fg.jacrev(fun)(x), [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])


def test_gradient_goes_to_two_elements():
    """Between two elements each has its share; with ties all of it goes to elements of that value."""
    np.testing.assert_allclose(fg.grad(lambda x: np.quantile(x, 0.6))(np.array([4.0, 1.0, 2.0, 9.0])), [0.8, 0, 0.2, 0])
    tied = fg.grad(lambda x: np.quantile(x, 0.5))(np.array([1.0, 2.0, 2.0, 2.0, 7.0]))
    assert tied[0] == tied[4] == 0
    assert tied.sum() == 1
    np.testing.assert_array_equal(fg.grad(np.median)(np.array([3.0, 1.0, 2.0])), [0, 0, 1])
    np.testing.assert_array_equal(fg.grad(np.median)(np.array([3.0, 1.0, 2.0, 8.0])), [0.5, 0, 0.5, 0])
    np.testing.assert_array_equal(fg.grad(np.nanmedian)(np.array([3.0, NAN, 1.0])), [0.5, 0, 0.5])


def test_derivative_in_q():
    """Piecewise constant: at an element that from above, outside of the sample and for methods that step 0."""
    x = np.array([1.0, 2.0, 5.0])
    slope = fg.grad(lambda q: np.quantile(x, q))
    assert slope(0.3) == pytest.approx(2.0)
    assert slope(0.5) == slope(0.7) == pytest.approx(6.0)
    assert slope(1.0) == 0
    assert fg.grad(lambda q: np.percentile(x, q))(70.0) == pytest.approx(0.06)
    assert fg.grad(lambda q: np.quantile(x, q, method="hazen"))(0.01) == 0
    assert fg.grad(lambda q: np.quantile(x, q, method="nearest"))(0.3) == 0
    assert fg.grad(lambda q: np.nanquantile(np.append(x, NAN), q))(0.7) == pytest.approx(6.0)
    mixed = fg.jacfwd(fg.grad(np.quantile), argnums=1)(x, 0.7)
    np.testing.assert_allclose(mixed, [0.0, -2.0, 2.0])


def test_python_numbers_do_not_promote():
    """q=0.5 leaves single precision alone, traced or not; an array of doubles does not."""
    x = np.array([1.0, 2.0, 4.0], np.float32)
    assert fg.make_jaxpr(lambda q: np.quantile(x, q))(0.3).out_avals[0].dtype == np.float32
    assert fg.make_jaxpr(lambda x: np.nanpercentile(x, 30))(x).out_avals[0].dtype == np.float32
    assert fg.make_jaxpr(lambda x: np.quantile(x, [0.3]))(x).out_avals[0].dtype == np.float64


def _errors(call, *args):
    with pytest.raises(Exception) as theirs:
        call(*args)
    with pytest.raises(type(theirs.value)) as ours:
        fg.jvp(call, args, tuple(np.zeros_like(a) for a in args))
    return str(theirs.value), str(ours.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.quantile(x, 1.5),
        lambda x: np.quantile(x, [0.1, NAN]),
        lambda x: np.percentile(x, -1),
        lambda x: np.quantile(x, np.zeros((1, 1, 1))),
        lambda x: np.quantile(x, 0.5, axis=2),
        lambda x: np.quantile(x, 0.5, axis=(0, 0)),
        lambda x: np.quantile(x * 1j, 0.5),
        lambda x: np.nanquantile(x * 1j, 0.5),
        lambda x: np.quantile(x, 0.5, weights=x),
        lambda x: np.quantile(x, 0.5, weights=x[0], method="inverted_cdf"),
        lambda x: np.quantile(x, 0.5, axis=0, weights=x[0], method="inverted_cdf"),
        lambda x: np.quantile(x, 0.5, weights=-np.ones_like(x), method="inverted_cdf"),
        lambda x: np.median(x, axis=-3),
        lambda x: np.nanargmax(np.where(x > 0, np.nan, np.nan * x), axis=0),
        lambda x: np.nanargmin(x * np.nan),
        lambda x: np.nanmean(x, dtype=int),
        lambda x: np.nanvar(x, ddof=1, correction=1),
        lambda x: np.cov(x, ddof=1.5),
        lambda x: np.cov(x, aweights=-np.ones(3)),
        lambda x: np.cov(x, fweights=np.ones(3) / 2),
        lambda x: np.cov(x, aweights=np.ones(2)),
        lambda x: np.cov(x, fweights=np.ones((3, 3))),
        lambda x: np.histogram(x, 0),
        lambda x: np.histogram(x, 2.5),
        lambda x: np.histogram(x, np.ones((2, 2))),
        lambda x: np.histogram(x, [1.0, 0.0]),
        lambda x: np.histogram(x, 3, (2, 1)),
        lambda x: np.histogram(x, 3, (0, np.inf)),
        lambda x: np.histogram(x / 0.0 - x / 0.0),
        lambda x: np.histogram(x, weights=x[0]),
        lambda x: np.histogram(x, "auto", weights=x),
        lambda x: np.histogram(x, "automatic"),
        lambda x: np.histogramdd(x, [1, 2]),
        lambda x: np.histogramdd(x, [1, 2, 0]),
        lambda x: np.histogramdd(x, 3, [(0, 1)]),
        lambda x: np.histogram2d(x[0], x[0][:2]),
        lambda x: np.bincount(x.astype(int)[0] - 9, x[0]),
        lambda x: np.bincount([1, 2], x[0]),
        lambda x: np.bincount(np.array([[1]]), x[0]),
        lambda x: np.bincount([1], x[0, :1] * 1j),
        lambda x: np.bincount(np.array([1.5]), x[0, :1]),
        lambda x: np.bincount([1], x[0, :1], -1),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_errors_are_numpys(call):
    """What NumPy does not take raises NumPy's own error, in its words."""
    theirs, ours = _errors(call, np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 7.0]]))
    assert ours.split(":")[0][:30] == theirs.split(":")[0][:30]


def test_unknown_method():
    """The error lists all methods."""
    _, ours = _errors(lambda x: np.quantile(x, 0.5, method="best"), np.ones(3))
    assert "'best' is not a valid method" in ours
    assert all(m in ours for m in METHODS)


def test_empty_samples():
    """NumPy's IndexError, with the name of the call; nan with NumPy's warning where NumPy has that."""
    theirs, ours = _errors(lambda x: np.quantile(x, 0.5), np.zeros(0))
    assert ours.startswith(theirs)
    assert "numpy.quantile" in ours
    for fun in (lambda x: np.nanquantile(x, [0.1, 0.2]), np.nanmedian, np.nanmean):
        with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
            assert np.isnan(fg.jvp(fun, (np.zeros(0),), (np.zeros(0),))[0])


# Without nan


@pytest.mark.parametrize(
    ("fun", "text"),
    [
        (np.nanmean, "Mean of empty slice"),
        (np.nanvar, "Degrees of freedom <= 0 for slice."),
        (np.nanstd, "Degrees of freedom <= 0 for slice."),
        (np.nanmax, "All-NaN slice encountered"),
        (np.nanmin, "All-NaN slice encountered"),
        (np.nanmedian, "All-NaN slice encountered"),
        (lambda x, axis: np.nanquantile(x, 0.4, axis), "All-NaN slice encountered"),
    ],
)
def test_slices_of_nan(fun, text):
    """The result is nan, with NumPy's warning at the user's line, and spoils no other gradient."""
    x = np.array([[1.0, 2.0, 4.0], [NAN, NAN, NAN]])

    def masked(x):
        y = fun(x, axis=1)
        return np.where(np.isnan(y), 0.0, y).sum()

    with pytest.warns(RuntimeWarning, match=text) as caught:
        gradient = fg.grad(masked)(x)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(gradient[1], 0)
    np.testing.assert_allclose(gradient[0], fg.grad(lambda x: fun(x, axis=0))(x[0]))
    with pytest.warns(RuntimeWarning):
        np.testing.assert_array_equal(fg.jvp(lambda x: fun(x, axis=1), (x,), (x,))[0], fun(x, axis=1))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("fun", [np.nanmean, np.nanvar, np.nanmax, np.nanmedian, lambda x: np.nanquantile(x, [0.4])])
def test_nothing_has_the_derivative_0(fun):
    """What is nan because nothing is left depends on no element."""
    x = np.array([NAN, NAN])
    np.testing.assert_array_equal(fg.grad(lambda x: fun(x).sum())(x), [0, 0])


def test_too_few_degrees_of_freedom():
    """One element of which the variance is not known: nan, and no nan in the gradient of what does not read it."""
    x = np.array([[1.0, 2.0], [NAN, 3.0]])

    def known(x):
        y = np.nanvar(x, axis=1, ddof=1)
        return np.where(np.isnan(y), 0.0, y).sum()

    with pytest.warns(RuntimeWarning):
        np.testing.assert_allclose(fg.grad(known)(x), [[-1, 1], [0, 0]])


def test_nanstd_of_equals():
    """0/0 is taken to be 0."""
    np.testing.assert_array_equal(fg.grad(np.nanstd)(np.array([2.0, NAN, 2.0])), [0, 0, 0])


def test_nan_positions_without_values():
    """Under vmap an index is found in each example, and there is no error for those of nothing but nan."""
    x = np.array([[NAN, 1.0, 3.0], [2.0, NAN, 1.0], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(fg.vmap(np.nanargmax)(x), [2, 0, 0])
    np.testing.assert_array_equal(fg.vmap(np.nanargmin)(x), [1, 2, 0])


# Covariances


def test_frequencies_have_no_derivative():
    """Traced floating-point frequencies are refused, with what to write; integers run under vmap."""
    x = np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 0.5]])
    with pytest.raises(fg.errors.UnsupportedOperationError, match=r"numpy\.cov.*fweights.*write aweights"):
        fg.grad(lambda f: np.cov(x, fweights=f).sum())(np.ones(3))
    f = np.array([[1, 2, 3], [2, 1, 1]])
    mapped = fg.vmap(lambda f: np.cov(x, fweights=f))(f)
    np.testing.assert_allclose(mapped, [np.cov(x, fweights=row) for row in f])


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value)")
def test_too_few_observations():
    """NumPy's warnings and its infinite or undefined values."""
    x = np.ones((2, 1))
    with pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0"):
        value = fg.jvp(np.cov, (x,), (x,))[0]
    assert np.isnan(value).all()


def test_correlations_are_at_most_one():
    """Rounding does not show in the values, and clipping does not show in the derivative."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        x = rng.normal(size=6)
        value, tangent = fg.jvp(lambda x: np.corrcoef(x, 3.0 * x + 1.0), (x,), (rng.normal(size=6),))
        assert np.abs(value).max() <= 1.0
        np.testing.assert_allclose(tangent, 0.0, atol=1e-12)
    # Where one correlation is full the other variable turns it away: -(sine of the angle)^2 / 2.
    x, u = np.array([1.0, -1.0, 0.0]), np.array([1.0, 1.0, -2.0])

    def correlation(t):
        return np.corrcoef(x, x + t * u)[0, 1]

    assert fg.grad(fg.grad(correlation))(0.0) == pytest.approx(-(u @ u) / (x @ x))


# Histograms


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=20),
    st.integers(1, 12),
    st.sampled_from([None, (-1, 1), (-0.7, 1.1), (0, 0)]),
    st.sampled_from([0.1, 1.0, 1 / 3]),
    st.sampled_from("fd"),
)
def test_bins_of_elements_on_edges(numbers, bins, limits, unit, dtype):
    """Elements that fall on edges are in NumPy's bins, and the edges are NumPy's to the last bit, also in a batch."""
    x = (np.array(numbers) * unit).astype(dtype)
    counts, edges = np.histogram(x, bins, limits)
    ours = fg.jvp(lambda x: np.histogram(x, bins, limits), (x,), (x,))[0]
    mapped = fg.vmap(lambda x: np.histogram(x, bins, limits))(np.stack([x, x]))
    for found, at in (ours, (mapped[0][1], mapped[1][1] if limits is None else mapped[1][0])):
        np.testing.assert_array_equal(found, counts)
        np.testing.assert_array_equal(at, edges)
        assert at.dtype == edges.dtype


def test_edges_follow_the_extrema():
    """The edges of equal bins lie between the extrema; equal elements share, and an empty range is 1 wide."""
    jacobian = fg.jacrev(lambda x: np.histogram_bin_edges(x, 2))(np.array([1.0, 5.0, 2.0]))
    np.testing.assert_allclose(jacobian, [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]])
    jacobian = fg.jacrev(lambda x: np.histogram_bin_edges(x, 1))(np.array([3.0, 3.0]))
    np.testing.assert_allclose(jacobian, [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_array_equal(
        fg.jacrev(lambda x: np.histogram_bin_edges(x, 2, (0, 6)))(np.ones(3)), np.zeros((3, 3))
    )


def test_density_of_a_traced_sample():
    """Counts are constant, widths are not: with one bin of all n elements the density is 1 / (max - min)."""
    gradient = fg.grad(lambda x: np.histogram(x, 1, density=True)[0][0])(np.array([1.0, 5.0, 2.0]))
    np.testing.assert_allclose(gradient, [1 / 16, -1 / 16, 0])


def test_traced_range():
    """A range that is traced decides the edges too."""
    jacobian = fg.jacrev(lambda v: np.histogram(v[2:], 2, (v[0], v[1]))[1])(np.array([0.0, 1.0, 0.2, 0.9, 0.4]))
    np.testing.assert_allclose(jacobian, [[1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 1, 0, 0, 0]])


def test_rules_for_the_number_of_bins_need_values():
    """bins="auto" works where values are known; under vmap an error says what to give."""
    x = np.linspace(0.0, 1.0, 12) ** 2
    np.testing.assert_allclose(fg.jvp(lambda x: np.histogram(x, "auto"), (x,), (x,))[0][1], np.histogram(x, "auto")[1])
    with pytest.raises(
        fg.errors.ConcretizationTypeError, match=r"numpy\.histogram\(\.\.\., bins='auto'\).*give a number"
    ):
        fg.vmap(lambda x: np.histogram(x, "auto"))(x[None])
    with pytest.raises(fg.errors.ConcretizationTypeError, match="integer"):
        fg.make_jaxpr(lambda n: np.histogram(x, n))(3)


def test_booleans():
    """Booleans are counted as NumPy counts them: with a warning as elements, as truth values as weights."""
    x, w = np.array([0.1, 0.2, 0.9]), np.array([True, True, False])
    counts = fg.make_jaxpr(lambda x: np.histogram(x, 2, weights=w)[0])(x)
    assert counts.out_avals[0].dtype == np.bool_
    np.testing.assert_array_equal(fg.eval_jaxpr(counts, (), x)[0], np.histogram(x, 2, weights=w)[0])
    with pytest.warns(RuntimeWarning, match="Converting input from bool"):
        fg.make_jaxpr(lambda w: np.histogram(w, 2))(w)


def test_histogramdd_returns_what_numpy_returns():
    """The container of the edges included."""
    x = np.random.default_rng(0).normal(size=(5, 2))
    assert type(fg.jvp(np.histogramdd, (x,), (x,))[0][1]) is type(np.histogramdd(x)[1])


# bincount


def test_bincount_without_values():
    """Its length must be given; what does not fit, or is negative, is an error when the values are there."""
    x, w = np.array([[0, 2], [1, 1]]), np.array([[0.5, 1.0], [2.0, 3.0]])
    with pytest.raises(fg.errors.ConcretizationTypeError, match=r"numpy\.bincount.*Give minlength="):
        fg.vmap(np.bincount)(x)
    np.testing.assert_array_equal(fg.vmap(lambda x, w: np.bincount(x, w, 3))(x, w), [[0.5, 0, 1], [0, 5, 0]])
    np.testing.assert_array_equal(fg.vmap(lambda x: np.bincount(x, minlength=4))(x), [[1, 0, 1, 0], [0, 2, 0, 0]])
    with pytest.raises(ValueError, match="give a larger minlength"):
        fg.vmap(lambda x: np.bincount(x, minlength=2))(x)
    with pytest.raises(ValueError, match="no negative elements"):
        fg.vmap(lambda x: np.bincount(x - 1, minlength=3))(x)


def test_bincount_is_linear_in_the_weights():
    """Its derivative looks the cotangent up."""
    gradient = fg.grad(lambda w: np.bincount([2, 0, 2], w) @ np.array([1.0, 10.0, 100.0]))(np.ones(3))
    np.testing.assert_array_equal(gradient, [100, 1, 100])

"""Rows of quantiles, of what skips nan, of covariances, histograms and sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

_X = ((3, 4),)
_REAL: dict[str, Any] = {"dtypes": "df", "distinct": True}
_LEVELS = [0.15, 0.5, 0.8]
_MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, True, True]])
_METHODS = (
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
_STEPS = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest")


def _holes(x: Any) -> Any:
    """The array with nan where the mask is false."""
    return np.where(_MASK, x, np.nan)


_QUANTILES = [
    *[Row(f"quantile {m}", lambda x, m=m: np.quantile(x, 0.3, axis=1, method=m), _X, **_REAL) for m in _METHODS],
    *[
        Row(
            f"quantile {m} in q",
            lambda q, m=m: np.quantile(np.array([[0.3, 1.0, 4.0, 2.5], [3.0, 3.1, 7.0, 2.0]]), q, axis=1, method=m),
            ((2,),),
            (0.3, 0.45),
            dtypes="df",
            differentiable=m not in _STEPS,
            more_shapes=(((),), ((0,),)),
        )
        for m in _METHODS
    ],
    Row("quantile", lambda x: np.quantile(x, 0.4), _X, more_shapes=(((),), ((1,),), ((2, 1, 3),)), **_REAL),
    Row("quantile levels", lambda x: np.quantile(x, _LEVELS, axis=0), _X, **_REAL),
    Row("quantile levels matrix", lambda x: np.quantile(x, [[0.1, 0.6]], axis=(0, 2)), ((2, 3, 2),), **_REAL),
    Row("quantile keepdims", lambda x: np.quantile(x, _LEVELS, axis=(0, -1), keepdims=True), ((2, 3, 2),), **_REAL),
    Row("quantile of nothing", lambda x: np.quantile(x, _LEVELS, axis=0), ((3, 0),), dtypes="df"),
    Row(
        "quantile in both",
        lambda x, q: np.quantile(np.arange(5.0) ** 2 * x, q, axis=0),
        ((), ()),
        ((0.5, 1.5), (0.3, 0.45)),
        dtypes="d",
    ),
    Row(
        "quantile in x and q",
        lambda x, q: np.quantile(x, q, axis=1, keepdims=True),
        ((2, 5), (3,)),
        ((-2, 2), (0.3, 0.45)),
        **_REAL,
    ),
    Row(
        "quantile of integers in q",
        lambda x, q: np.quantile(x, q, axis=0),
        ((5, 2), ()),
        ((-9, 9), (0.3, 0.45)),
        integers=(0,),
        dtypes="df",
    ),
    Row("quantile of integers", lambda x: np.quantile(x, 0.3), _X, (-5, 5), integers=(0,), differentiable=False),
    Row(
        "quantile weights",
        lambda x, w: np.quantile(x, _LEVELS, axis=1, method="inverted_cdf", weights=w),
        ((3, 4), (3, 4)),
        ((-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row(
        "quantile weights of an axis",
        lambda x, w: np.quantile(x, 0.3, axis=0, method="inverted_cdf", weights=w, keepdims=True),
        ((3, 4), (3,)),
        ((-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row(
        "quantile weights of all",
        lambda x, w: np.quantile(x, 0.6, method="inverted_cdf", weights=w),
        ((3, 4), (3, 4)),
        ((-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row("percentile", lambda x: np.percentile(x, 40, axis=0), _X, **_REAL),
    Row("percentile levels", lambda x: np.percentile(x, [15, 50], axis=1, method="hazen"), _X, **_REAL),
    Row("percentile in q", lambda q: np.percentile(np.array([1.0, 2.0, 5.0]), q), ((2,),), (10, 40), dtypes="df"),
    *[
        Row(f"nanquantile {m}", lambda x, m=m: np.nanquantile(_holes(x), 0.3, axis=1, method=m), _X, **_REAL)
        for m in _METHODS
    ],
    Row("nanquantile", lambda x: np.nanquantile(_holes(x), 0.4), _X, **_REAL),
    Row("nanquantile levels", lambda x: np.nanquantile(_holes(x), _LEVELS, axis=0, keepdims=True), _X, **_REAL),
    Row(
        "nanquantile in q",
        lambda q: np.nanquantile(np.array([[0.3, 1.0, 4.0], [3.0, np.nan, 7.0]]), q, axis=1),
        ((2,),),
        (0.3, 0.45),
        dtypes="df",
    ),
    Row(
        "nanquantile weights",
        lambda x, w: np.nanquantile(_holes(x), _LEVELS, axis=1, method="inverted_cdf", weights=w),
        ((3, 4), (3, 4)),
        ((-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row("nanpercentile", lambda x: np.nanpercentile(_holes(x), [20, 70], axis=0), _X, **_REAL),
    Row("nanquantile without nan", lambda x: np.nanquantile(x, 0.2), _X, **_REAL),
    Row("median of complex numbers", lambda x: np.median(x, axis=1), _X, dtypes="DF", distinct=True),
    Row("median", np.median, _X, more_shapes=(((),), ((1,),), ((2, 1, 3),)), **_REAL),
    Row("median no axes", lambda x: np.median(x, axis=()), _X, **_REAL),
    Row("nanmedian", lambda x: np.nanmedian(_holes(x)), _X, **_REAL),
    Row("nanmedian axis", lambda x: np.nanmedian(_holes(x), axis=1, keepdims=True), _X, **_REAL),
    Row("nanmedian axes", lambda x: np.nanmedian(np.where(_MASK, x, np.nan), axis=(0, 2)), ((2, 3, 4),), **_REAL),
    Row("nanmedian of integers", np.nanmedian, _X, (-5, 5), integers=(0,), differentiable=False),
]

_WITHOUT_NAN = [
    Row("nansum initial where", lambda x: np.nansum(_holes(x), axis=0, initial=2.0, where=x > -1), _X, dtypes="df"),
    Row("nanprod initial where", lambda x: np.nanprod(_holes(x), axis=1, initial=2.0, where=x > -1), _X, dtypes="df"),
    Row("nanmean where", lambda x: np.nanmean(_holes(x), axis=1, where=x > -9), _X, dtypes="df"),
    Row("nanmean", lambda x: np.nanmean(_holes(x)), _X),
    Row("nanvar correction", lambda x: np.nanvar(_holes(x), axis=1, correction=1, keepdims=True), _X, dtypes="df"),
    Row("nanvar of complex numbers", lambda x: np.nanvar(_holes(x), axis=1), _X, dtypes="DF"),
    Row("nanvar mean", lambda x: np.nanvar(_holes(x), axis=1, mean=2 * x[:, :1]), _X, dtypes="df"),
    Row("nanstd all", lambda x: np.nanstd(_holes(x), ddof=1), _X, dtypes="df"),
    Row("nanmax initial where", lambda x: np.nanmax(_holes(x), axis=0, initial=-9.0, where=_MASK), _X, **_REAL),
    Row("nanmin initial", lambda x: np.nanmin(_holes(x), axis=1, initial=9.0, keepdims=True), _X, **_REAL),
    Row("nanmax of integers", lambda x: np.nanmax(x, axis=0), _X, (-5, 5), integers=(0,), differentiable=False),
    *[
        Row(
            f"{name} axis={k}",
            lambda x, name=name, k=k: getattr(np, name)(_holes(x), axis=k),
            _X,
            differentiable=False,
            distinct=True,
        )
        for name in ("nanargmax", "nanargmin")
        for k in (None, 0, -1)
    ],
    Row(
        "nanargmax keepdims",
        lambda x: (np.nanargmax(x, axis=1, keepdims=True), np.nanargmin(x, keepdims=True)),
        _X,
        differentiable=False,
        distinct=True,
    ),
]

_COVARIANCES = [
    Row("cov", np.cov, _X, more_shapes=(((5,),), ((1, 4),), ((0, 3),))),
    Row("cov columns", lambda x: np.cov(x, rowvar=False, bias=True), _X),
    Row("cov ddof dtype", lambda x: np.cov(x, ddof=2, dtype=np.complex64), _X, dtypes="fF"),
    Row("cov of two", lambda x, y: np.cov(x, y), ((2, 4), (4,))),
    Row("cov of two columns", lambda x, y: np.cov(x, y, rowvar=False), ((4, 2), (4, 1))),
    Row("cov aweights", lambda x, w: np.cov(x, aweights=w), ((2, 4), (4,)), ((-2, 2), (0.5, 1.5)), dtypes="df"),
    Row(
        "cov aweights bias",
        lambda x, w: np.cov(x, aweights=w, bias=True),
        ((2, 4), (4,)),
        ((-2, 2), (0.5, 1.5)),
        dtypes="df",
    ),
    Row(
        "cov fweights",
        lambda x, f: np.cov(x, fweights=f),
        ((2, 4), (4,)),
        ((-2, 2), (1, 4)),
        integers=(1,),
    ),
    Row(
        "cov both weights",
        lambda x, f, w: np.cov(x, fweights=f, aweights=w),
        ((2, 4), (4,), (4,)),
        ((-2, 2), (1, 4), (0.5, 1.5)),
        integers=(1,),
        dtypes="df",
    ),
    Row("corrcoef", np.corrcoef, _X, more_shapes=(((1, 4),),)),
    Row("corrcoef of two", lambda x, y: np.corrcoef(x, y, rowvar=False), ((4, 2), (4,))),
    Row("corrcoef dtype", lambda x: np.corrcoef(x, dtype=np.complex64), _X, dtypes="F"),
    Row("corrcoef of full correlation", lambda x: np.corrcoef(x, 2 * x + 1), ((4,),), dtypes="d"),
]

_GRID = np.array([-2.0, -0.5, 0.3, 1.1, 2.0])
_NO_VALUES: dict[str, Any] = {"batched": False, "distinct": True}

_HISTOGRAMS = [
    Row("bincount", np.bincount, ((6,),), (0, 5), integers=(0,), differentiable=False, batched=False),
    Row(
        "bincount minlength",
        lambda x: np.bincount(x, minlength=6),
        ((6,),),
        (0, 5),
        integers=(0,),
        differentiable=False,
        more_shapes=(((0,),),),
        primitives=("place",),
    ),
    Row(
        "bincount weights",
        lambda x, w: np.bincount(x, w, 6),
        ((6,), (6,)),
        ((0, 5), (-2, 2)),
        integers=(0,),
        dtypes="df",
        primitives=("place",),
    ),
    Row("bincount known", lambda w: np.bincount([3, 0, 3, 1], weights=w), ((4,),), dtypes="df"),
    Row("histogram", lambda x: np.histogram(x, 5), _X, **_REAL),
    Row("histogram_bin_edges", lambda x: np.histogram_bin_edges(x, 4), _X, **_REAL),
    Row(
        "histogram_bin_edges range",
        lambda x: np.histogram_bin_edges(x, 4, (0, 1)),
        _X,
        dtypes="d",
        differentiable=False,
    ),
    Row("histogram_bin_edges auto", lambda x: np.histogram_bin_edges(x, "sturges"), _X, dtypes="df", **_NO_VALUES),
    Row("histogram of nothing", lambda x: np.histogram(x, 3)[0], ((0,),), dtypes="df", differentiable=False),
    Row("histogram range", lambda x: np.histogram(x, 5, (-1, 1))[0], _X, dtypes="df", differentiable=False),
    Row("histogram density", lambda x: np.histogram(x, 3, density=True), _X, **_REAL),
    Row("histogram weights", lambda w: np.histogram(np.array([0.1, 0.7, 0.4]), 3, weights=w), ((3,),)),
    Row(
        "histogram weights of bins",
        lambda x, w: np.histogram(x, _GRID, weights=w)[0],
        ((2, 3), (2, 3)),
        dtypes="df",
        distinct=True,
    ),
    Row(
        "histogram weights density",
        lambda x, w: np.histogram(x, 3, weights=w, density=True),
        ((6,), (6,)),
        ((-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row(
        "histogram in bins",
        lambda b: np.histogram(np.array([-0.9, 0.1, 0.5, 2.5, 0.6]), np.cumsum(b) - 1.0, density=True),
        ((4,),),
        (0.7, 0.8),
        dtypes="df",
    ),
    Row("histogram of integers", lambda x: np.histogram(x, 4), ((9,),), (-5, 5), integers=(0,), differentiable=False),
    Row("histogram2d", lambda x, y: np.histogram2d(x, y, [3, 2]), ((6,), (6,)), **_REAL),
    Row(
        "histogram2d weights density",
        lambda x, y, w: np.histogram2d(x, y, 2, density=True, weights=w),
        ((6,), (6,), (6,)),
        ((-2, 2), (-2, 2), (0.5, 1.5)),
        **_REAL,
    ),
    Row(
        "histogram2d bins", lambda x, y: np.histogram2d(x, y, _GRID)[0], ((6,), (6,)), dtypes="d", differentiable=False
    ),
    Row("histogramdd", lambda x: np.histogramdd(x, (2, 3, 2)), ((5, 3),), **_REAL),
    Row(
        "histogramdd weights",
        lambda x, y, w: np.histogramdd([x, y], [_GRID, 2], [None, (-1, 3)], weights=w)[0],
        ((6,), (6,), (6,)),
        dtypes="df",
        distinct=True,
    ),
]

_OTHER = np.array([0.25, 3.5, -7.0])

_SETS = [
    Row("unique_values", lambda x: np.sort(np.unique_values(x)) ** 2, _X, **_NO_VALUES),
    Row("unique_all", lambda x: tuple(np.unique_all(x)), _X, **_NO_VALUES),
    Row("unique_counts", lambda x: tuple(np.unique_counts(np.concatenate([x, x]))), _X, **_NO_VALUES),
    Row("unique_inverse", lambda x: tuple(np.unique_inverse(x)), _X, more_shapes=(((0,),), ((),)), **_NO_VALUES),
    Row("union1d", np.union1d, ((2, 3), (4,)), **_NO_VALUES),
    Row("union1d with a constant", lambda x: np.union1d(_OTHER, x) ** 2, ((3,),), **_NO_VALUES),
    Row("intersect1d", lambda x: np.intersect1d(x[:4], x[2:]) ** 2, ((6,),), more_shapes=(((0,),),), **_NO_VALUES),
    Row(
        "intersect1d indices",
        lambda x: np.intersect1d(x[:4], x[2:], assume_unique=True, return_indices=True),
        ((6,),),
        **_NO_VALUES,
    ),
    Row("setdiff1d", lambda x, y: np.setdiff1d(x, np.concatenate([y, x[:2]])), ((6,), (2,)), **_NO_VALUES),
    Row("setdiff1d unique", lambda x: np.setdiff1d(x, x[1:3], assume_unique=True) ** 2, ((6,),), **_NO_VALUES),
    Row("setxor1d", lambda x, y: np.setxor1d(np.concatenate([x, y[:2]]), y), ((4,), (5,)), **_NO_VALUES),
    Row("setxor1d unique", lambda x, y: np.setxor1d(x, y, assume_unique=True), ((4,), (0,)), **_NO_VALUES),
    Row(
        "isin",
        lambda x, y: np.isin(np.round(x), np.round(y)),
        ((2, 3), (4,)),
        differentiable=False,
        more_shapes=(((2, 3), (0,)), ((1,), (2, 2))),
    ),
    Row("isin invert", lambda x: np.isin(np.round(x), [0.0, 1.0], invert=True), _X, dtypes="df", differentiable=False),
]

ROWS: list[Row] = [*_QUANTILES, *_WITHOUT_NAN, *_COVARIANCES, *_HISTOGRAMS, *_SETS]

"""Rows of the reductions, accumulations, statistics, and of sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

_X = ((3, 4),)
_ANY_SHAPE = (((),), ((0, 3),), ((1,),), ((2, 1, 3),))
_NOT_EMPTY = (((),), ((1,),), ((2, 1, 3),))
_AXES = (None, 0, -1, (0, 1), (-1,), ())
_DISTINCT: dict[str, Any] = {"distinct": True, "more_shapes": _NOT_EMPTY}
_NO_DERIVATIVE: dict[str, Any] = {"differentiable": False, "distinct": True}
_MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, True, True]])


def _per_axis(
    name: str, fun: Any, axes: tuple[Any, ...] = _AXES, primitives: tuple[str, ...] = (), **more: Any
) -> list[Row]:
    """A row for each way to name the axes, and one with all of them that also tries other shapes."""
    other_shapes = more.pop("more_shapes", ())
    rows = [Row(f"{name} axis={k}", lambda x, k=k: fun(x, axis=k), _X, primitives=primitives, **more) for k in axes]
    return [Row(name, fun, _X, primitives=primitives, more_shapes=other_shapes, **more), *rows]


_SUMS = [
    *_per_axis("sum", np.sum, more_shapes=_ANY_SHAPE),
    Row("sum keepdims", lambda x: np.sum(x, axis=1, keepdims=True) * x, _X),
    Row("sum initial", lambda x: np.sum(x, axis=0, initial=2.5), _X),
    Row("sum initial traced", lambda x: np.sum(x, axis=0, initial=x[0, 1]) * np.prod(x, axis=0, initial=x[1, 0]), _X),
    Row("sum where", lambda x: np.sum(x, axis=0, where=_MASK), _X),
    Row("sum where traced", lambda x, m: np.sum(x, axis=1, where=m), ((3, 4), (3, 4)), booleans=(1,)),
    Row("sum dtype", lambda x: np.sum(x, dtype=np.complex128), _X),
    Row("sum of integers", np.sum, _X, (-5, 5), integers=(0,), differentiable=False),
    Row("sum of booleans", lambda x: np.sum(x, axis=0), _X, booleans=(0,), differentiable=False),
    Row("sum dtype of booleans", lambda x: np.sum(x, axis=0, dtype=np.int8), _X, booleans=(0,), differentiable=False),
    Row("sum method", lambda x: x.sum(0) + x.sum(axis=0, keepdims=True), _X),
    Row("add.reduce", np.add.reduce, _X, more_shapes=(((2,),), ((0, 3),))),
    Row("add.reduce keepdims", lambda x: np.add.reduce(x, axis=1, keepdims=True), _X),
    *_per_axis("prod", np.prod, primitives=("prod", "products_of_others"), domain=(0.4, 1.8), more_shapes=_ANY_SHAPE),
    Row("prod keepdims", lambda x: np.prod(x, axis=1, keepdims=True), _X),
    Row("prod of three axes", lambda x: np.prod(x, axis=(2, 0)), ((2, 3, 2),), (0.4, 1.8)),
    Row("prod with a zero", lambda x: np.prod(x * np.array([1.0, 0.0, 1.0, 1.0]), axis=1), _X, dtypes="dD"),
    Row("prod with two zeros", lambda x: np.prod(x * np.array([1.0, 0.0, 1.0, 0.0]), axis=1), _X, dtypes="dD"),
    Row("prod of nearly zeros", lambda x: np.prod(x - x + np.array([2.0, 0.0, 3.0, 1.0]) * x, axis=1), _X, dtypes="d"),
    Row("prod initial where", lambda x: np.prod(x, axis=0, initial=2, where=_MASK), _X),
    Row("prod of integers", lambda x: np.prod(x, axis=0), _X, (1, 5), integers=(0,), differentiable=False),
    Row("multiply.reduce", np.multiply.reduce, _X),
]

_EXTREMA = [
    *_per_axis("max", np.max, _AXES[:-1], ("max", "mean_where"), **_DISTINCT),
    *_per_axis("min", np.min, _AXES[:-1], ("min",), **_DISTINCT),
    Row("max keepdims", lambda x: np.exp(x - np.max(x, axis=-1, keepdims=True)), _X, distinct=True),
    Row("max initial", lambda x: np.max(x, axis=0, initial=-9.0), _X, distinct=True, dtypes="df"),
    Row("max initial where", lambda x: np.max(x, axis=0, initial=-9.0, where=_MASK), _X, distinct=True, dtypes="df"),
    Row("min initial where", lambda x: np.min(x, axis=0, initial=9.0, where=_MASK), _X, distinct=True, dtypes="df"),
    Row("max of nothing", lambda x: np.max(x, axis=1, initial=-1.0), ((3, 0),), dtypes="df", differentiable=False),
    Row("max of integers", lambda x: np.max(x, axis=0), _X, (-5, 5), integers=(0,), differentiable=False),
    Row("max method", lambda x: x.max() + x.min(1), _X, distinct=True),
    Row("amax amin", lambda x: np.amax(x, 0) - np.amin(x, 0), _X, distinct=True),
    Row("ptp", np.ptp, _X, distinct=True),
    Row("ptp axis keepdims", lambda x: np.ptp(x, axis=1, keepdims=True), _X, distinct=True),
    Row("maximum.reduce", np.maximum.reduce, _X, distinct=True, dtypes="df"),
    Row("minimum.reduce", lambda x: np.minimum.reduce(x, axis=None), _X, distinct=True, dtypes="df"),
]

_TRUTH: dict[str, Any] = {"dtypes": "df", "differentiable": False, "more_shapes": _ANY_SHAPE}

_POSITIONS = [
    *_per_axis("argmax", np.argmax, (None, 0, -1), ("argmax",), **_NO_DERIVATIVE),
    *_per_axis("argmin", np.argmin, (None, 0, -1), ("argmin",), **_NO_DERIVATIVE),
    Row(
        "argmax keepdims",
        lambda x: (np.argmax(x, axis=1, keepdims=True), np.argmin(x, keepdims=True)),
        _X,
        **_NO_DERIVATIVE,
    ),
    Row("argmax of scalars", lambda x: np.argmax(x) + np.argmin(x), ((),), **_NO_DERIVATIVE),
    *_per_axis("all", lambda x, axis=None: np.all(x > -1.0, axis=axis), primitives=("all",), **_TRUTH),
    *_per_axis("any", lambda x, axis=None: np.any(x > 1.0, axis=axis), primitives=("any",), **_TRUTH),
    Row("all of numbers", lambda x: np.all(x, axis=0) & np.any(x, axis=0, keepdims=True), _X, differentiable=False),
    Row(
        "all any where",
        lambda x: (np.all(x > 0, axis=0, where=_MASK), np.any(x > 0, axis=0, where=_MASK)),
        _X,
        dtypes="df",
        differentiable=False,
    ),
    Row("all any methods", lambda x: (x.all(1), (x > 0).any()), _X, dtypes="df", differentiable=False),
    Row(
        "logical reduce",
        lambda x: (np.logical_and.reduce(x > 0), np.logical_or.reduce(x > 0, axis=1)),
        _X,
        dtypes="df",
        differentiable=False,
    ),
    *_per_axis(
        "count_nonzero",
        np.count_nonzero,
        (None, 0, (0, 1)),
        ("count_nonzero",),
        differentiable=False,
        more_shapes=_ANY_SHAPE,
    ),
    Row(
        "count_nonzero keepdims",
        lambda x: np.count_nonzero(x > 0, axis=1, keepdims=True),
        _X,
        dtypes="df",
        differentiable=False,
    ),
]

_MEANS = [
    *_per_axis("mean", np.mean, _AXES[:-1], more_shapes=_NOT_EMPTY),
    Row("mean keepdims", lambda x: x - np.mean(x, axis=0, keepdims=True), _X),
    Row("mean where", lambda x: np.mean(x, axis=1, where=_MASK), _X),
    Row("mean dtype", lambda x: np.mean(x, dtype=np.complex128), _X),
    Row("mean of integers", lambda x: np.mean(x, axis=0), _X, (-5, 5), integers=(0,), differentiable=False),
    *_per_axis("var", np.var, _AXES[:-1], ("squared_deviations",), more_shapes=_NOT_EMPTY),
    *_per_axis("std", np.std, (None, 0, (0, 1)), ("safe_sqrt",)),
    Row("var ddof keepdims", lambda x: np.var(x, axis=1, ddof=1, keepdims=True), _X),
    Row("var correction", lambda x: np.var(x, axis=0, correction=1), _X),
    Row("var where", lambda x: np.var(x, axis=1, where=_MASK, ddof=1), _X),
    Row("var mean", lambda x: np.var(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)), _X),
    Row("var of integers", lambda x: np.var(x, axis=0), _X, (-5, 5), integers=(0,), differentiable=False),
    Row("std ddof", lambda x: np.std(x, axis=0, ddof=1), _X),
    Row("layer norm", lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3), _X),
    Row("standard score", lambda x: (x - x.mean(0)) / x.std(0), _X, dtypes="df", tolerance=1e-5),
    Row("average", np.average, _X),
    Row("average weights", lambda x, w: np.average(x, axis=0, weights=w), ((3, 4), (3, 4)), ((-2, 2), (0.5, 1.5))),
    Row(
        "average weights of an axis",
        lambda x, w: np.average(x, axis=1, weights=w),
        ((3, 4), (4,)),
        ((-2, 2), (0.5, 1.5)),
    ),
    Row(
        "average weights of two axes",
        lambda x, w: np.average(x, axis=(2, 0), weights=w),
        ((2, 3, 4), (4, 2)),
        ((-2, 2), (0.5, 1.5)),
    ),
    Row(
        "average returned",
        lambda x, w: np.average(x, weights=w, returned=True),
        ((3, 4), (3, 4)),
        ((-2, 2), (0.5, 1.5)),
    ),
    Row("median odd", lambda x: np.median(x), ((3, 3),), distinct=True, dtypes="df"),
    Row("median even", lambda x: np.median(x, axis=1, keepdims=True), _X, distinct=True, dtypes="df"),
    Row("median axes", lambda x: np.median(x, axis=(2, 0)), ((2, 3, 2),), distinct=True, dtypes="df"),
]


def _holes(x: Any) -> Any:
    """The array with nan where the mask is false."""
    return np.where(_MASK, x, np.nan)


_NAN = [
    Row("nansum", lambda x: np.nansum(_holes(x), axis=0), _X),
    Row("nanprod", lambda x: np.nanprod(_holes(x), axis=0), _X),
    Row("nanmean keepdims", lambda x: np.nanmean(_holes(x), axis=0, keepdims=True), _X),
    Row("nanvar", lambda x: np.nanvar(_holes(x), axis=1, ddof=1), _X, dtypes="df"),
    Row("nanstd", lambda x: np.nanstd(_holes(x), axis=1), _X, dtypes="df"),
    Row("nanmax", lambda x: np.nanmax(_holes(x), axis=0), _X, distinct=True, dtypes="df"),
    Row("nanmin", lambda x: np.nanmin(_holes(x)), _X, distinct=True, dtypes="df"),
    Row("nancumsum", lambda x: np.nancumsum(_holes(x), axis=1), _X),
    Row("nancumprod", lambda x: np.nancumprod(_holes(x), axis=1), _X),
]

_ACCUMULATIONS = [
    *_per_axis("cumsum", np.cumsum, (None, 0, -1), ("cumsum",), more_shapes=_ANY_SHAPE),
    Row("cumsum method dtype", lambda x: x.cumsum(0, dtype=np.complex128), _X),
    Row("cumsum of booleans", lambda x: np.cumsum(x, axis=1), _X, booleans=(0,), differentiable=False),
    *_per_axis("cumprod", np.cumprod, (None, 0, -1), ("cumprod",), domain=(0.4, 1.8), more_shapes=_ANY_SHAPE),
    *[Row(f"cumprod of {n}", np.cumprod, ((n,),), (0.4, 1.8)) for n in (2, 3, 5, 8)],
    Row("cumprod with zeros", lambda x: np.cumprod(x * np.array([1.0, 0.0, 1.0, 0.0]), axis=1), _X, dtypes="dD"),
    Row("cumprod of integers", lambda x: np.cumprod(x, axis=1), _X, (1, 4), integers=(0,), differentiable=False),
    Row("diff", np.diff, _X, more_shapes=(((1,),), ((2, 0),))),
    Row("diff n axis", lambda x: np.diff(x, n=2, axis=0), _X),
    Row("diff prepend append", lambda x, y: np.diff(x, axis=1, prepend=0.5, append=y), ((3, 4), (3, 2))),
    Row("diff of booleans", np.diff, _X, booleans=(0,), differentiable=False),
    Row("ediff1d", lambda x, y: np.ediff1d(x, to_end=y, to_begin=0.0), ((3, 4), (2,))),
    Row("trapezoid", np.trapezoid, _X),
    Row("trapezoid dx axis", lambda x: np.trapezoid(x, dx=0.5, axis=0), _X),
    Row("trapezoid x", lambda y, x: np.trapezoid(y, x, axis=0), ((3, 4), (3,))),
    Row("trapezoid x of all", lambda y, x: np.trapezoid(y, x), ((3, 4), (3, 4))),
]

if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    _ACCUMULATIONS += [
        Row("cumulative_sum", np.cumulative_sum, ((4,),)),
        Row("cumulative_sum initial", lambda x: np.cumulative_sum(x, axis=1, include_initial=True), _X),
        Row("cumulative_prod initial", lambda x: np.cumulative_prod(x, axis=0, include_initial=True), _X),
    ]

_OUTER = [
    Row("multiply.outer", np.multiply.outer, ((2,), (3, 2))),
    Row("maximum.outer", np.maximum.outer, ((3,), (2,)), ((0.0, 0.4), (0.6, 1.0)), dtypes="df"),
    Row(
        "logsumexp by hand",
        lambda x: np.log(np.sum(np.exp(x - np.max(x, 1, keepdims=True)), 1)) + np.max(x, 1),
        _X,
        distinct=True,
    ),
    Row("softmax by hand", lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True), _X),
]

_SEARCH: dict[str, Any] = {"dtypes": "df", "differentiable": False, "primitives": ("searchsorted",)}

_SORTING = [
    *_per_axis(
        "sort",
        np.sort,
        (None, 0, -1),
        ("argsort", "permute", "unpermute"),
        distinct=True,
        more_shapes=(((0,),), ((2, 1, 3),)),
    ),
    Row("sort stable", lambda x: np.sort(x, kind="stable"), _X, distinct=True),
    *_per_axis("argsort", np.argsort, (None, 0), ("argsort",), **_NO_DERIVATIVE),
    Row("argsort method", lambda x: x.argsort(axis=0), _X, **_NO_DERIVATIVE),
    Row("sort_complex", np.sort_complex, ((4,),), distinct=True),
    Row("partition", lambda x: np.partition(x, 1)[..., 1], _X, distinct=True, primitives=("argpartition",)),
    Row("partition axis", lambda x: np.partition(x, (0, -1), axis=0)[::2], _X, distinct=True),
    Row("argpartition", lambda x: np.argpartition(x, 2, axis=1)[:, 2], _X, **_NO_DERIVATIVE),
    Row("lexsort", lambda x, y: np.lexsort((np.round(x), y)), ((6,), (6,)), dtypes="df", **_NO_DERIVATIVE),
    Row("searchsorted", lambda a, v: np.searchsorted(np.cumsum(a), v), ((4,), (2, 3)), (0.3, 1.5), **_SEARCH),
    Row(
        "searchsorted right", lambda v: np.searchsorted(np.array([0.0, 1.0, 2.0]), v, side="right"), ((5,),), **_SEARCH
    ),
    Row(
        "searchsorted sorter",
        lambda v: np.searchsorted(np.array([2.0, 0.0, 1.0]), v, sorter=[1, 2, 0]),
        ((),),
        **_SEARCH,
    ),
    Row("digitize", lambda x: np.digitize(x, np.array([-1.0, 0.0, 1.0])), _X, dtypes="df", differentiable=False),
    Row("nonzero", lambda x: np.nonzero(x > 0), _X, dtypes="df", differentiable=False, batched=False),
    Row(
        "flatnonzero argwhere",
        lambda x: (np.flatnonzero(x > 0), np.argwhere(x > 0)),
        _X,
        dtypes="df",
        differentiable=False,
        batched=False,
    ),
    Row("unique", np.unique, _X, distinct=True, batched=False),
    Row(
        "unique inverse counts",
        lambda x: np.unique(np.round(x), False, True, True)[1:],
        ((6,),),
        dtypes="df",
        differentiable=False,
        batched=False,
    ),
    Row("unique axis", lambda x: np.unique(x, axis=1), _X, distinct=True, dtypes="df", batched=False),
    Row(
        "unique, used twice",
        lambda x: np.unique(np.concatenate([x, x])) ** 2,
        ((4,),),
        distinct=True,
        dtypes="df",
        batched=False,
    ),
]

ROWS: list[Row] = [
    *_SUMS,
    *_EXTREMA,
    *_POSITIONS,
    *_MEANS,
    *_NAN,
    *_ACCUMULATIONS,
    *_OUTER,
    *_SORTING,
]

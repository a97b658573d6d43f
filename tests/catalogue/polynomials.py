"""Rows of the polynomials, and of the functions that apply functions of the user or ask something of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

_P = ((4,),)
_PAIR = ((4,), (3,))
_VALUES: dict[str, Any] = {"batched": False}
_MIXED = np.array([0.5, -1.0, 2.0, 1.5])
_NODES = np.array([-1.0, -0.4, 0.1, 0.8, 1.5])
_WEIGHTS = np.array([1.0, 2.0, 0.5, 1.5, 1.0])
_POINTS = np.array([0.3, -0.7])

_ARITHMETIC = [
    Row("polyadd", np.polyadd, _PAIR, more_shapes=(((2,), (3,)), ((), (2,)), ((3,), (3,)), ((0,), (2,)))),
    Row("polysub", np.polysub, _PAIR, more_shapes=(((2,), (3,)), ((), (2,)), ((3,), (3,)))),
    Row("polyadd list", lambda x: np.polyadd([1.0, 2.0], x) + np.polysub(x, [x[0], 1.0]), ((3,),)),
    Row("polymul", np.polymul, _PAIR, (0.5, 2.0), more_shapes=(((), (2,)), ((1,), (1,))), **_VALUES),
    Row(
        "polymul of zeros in front", lambda x: np.polymul(x * np.array([0, 0, 1.0, 2]), [0.0, 1.0, 3.0]), _P, **_VALUES
    ),
    Row(
        "polydiv",
        np.polydiv,
        ((5,), (3,)),
        (0.5, 2.0),
        "dD",
        more_shapes=(((2,), (3,)), ((3,), (3,)), ((3,), ())),
        **_VALUES,
    ),
    Row("polydiv by a constant polynomial", lambda x: np.polydiv(x, [2.0, 1.0]), _P, **_VALUES),
]

_CALCULUS = [
    Row("polyder", np.polyder, _P, more_shapes=(((1,),), ((0,),))),
    Row("polyder twice", lambda p: np.polyder(p, 2) + np.polyder(p, m=0)[:2], _P),
    Row("polyint", np.polyint, _P, more_shapes=(((1,),), ((0,),))),
    Row(
        "polyint twice with a constant",
        lambda p, k: np.polyint(p + 0 * np.sum(k), 2, k),
        ((4,), ()),
        more_shapes=(((2,), (3,)),),
    ),
    Row("polyint no time", lambda p: np.polyint(p, 0) * p, _P),
    Row("polyval", np.polyval, ((4,), (2, 3)), more_shapes=(((3,), ()), ((0,), (2,)), ((1,), (2,)), ((3,), (0,)))),
    Row("polyval of a matrix", np.polyval, ((3, 2), (2,))),
    Row("polyval of plain coefficients", lambda x: np.polyval([2.0, -1.0, 0.5], x) * x, ((3,),)),
    Row("polyval at a plain point", lambda p: np.polyval(p, 0.5) * p, _P),
    Row("vander", np.vander, ((3,),), more_shapes=(((1,),), ((0,),))),
    Row("vander increasing", lambda x: np.vander(x, 5, increasing=True), ((3,),), (0.4, 1.5)),
    Row("vander of few columns", lambda x: (np.vander(x, 1) * x[0], np.vander(x, 2), np.vander(x, N=0)), ((3,),)),
]

_ROOTS = [
    Row("poly", np.poly, ((4,),), dtypes="df", more_shapes=(((1,),),)),
    Row("poly of complex roots", np.poly, ((3,),), dtypes="DF", **_VALUES),
    Row(
        "poly of conjugate pairs",
        lambda z: np.poly(np.concatenate([z, np.conj(z)])),
        ((2,),),
        (1.0, 2.0),
        "DF",
        **_VALUES,
    ),
    Row("poly of a matrix", np.poly, ((3, 3),), dtypes="df", primitives=("characteristic_polynomial",)),
    Row("poly of a complex matrix", np.poly, ((3, 3),), dtypes="DF", tolerance=2e-6, **_VALUES),
    Row("poly of a multiple of the unit matrix", lambda x: np.poly(x * np.eye(4)), ((),), (0.5, 1.5), "d", order=1),
    Row("poly of a matrix of size 1", lambda x: np.poly(x), ((1, 1),), dtypes="df"),
    Row(
        "roots",
        lambda p: np.roots(p + 0j),
        ((5,),),
        ((0.5, 2.0),),
        "DF",
        primitives=("polynomial_roots",),
        more_shapes=(((2,),), ((3,),)),
    ),
    Row("roots of a real polynomial", lambda p: np.roots(p), ((5,),), (0.5, 2.0), "df", **_VALUES),
    Row(
        "real roots", lambda p: np.roots([1.0, -5 + p[0] * 0.1, 5.0, p[1] * 0.1]), ((2,),), (0.1, 0.5), "df", **_VALUES
    ),
    Row("roots with a zero at the end", lambda p: np.roots(np.append(p, 0.0)), ((4,),), (0.5, 2.0), "d", **_VALUES),
    Row("roots of a power", lambda p: np.roots([p[0], 0.0]) * p[0], ((2,),), (0.5, 2.0), "df", **_VALUES),
]

_FITS = [
    Row("polyfit", lambda y: np.polyfit(_NODES, y, 2), ((5,),)),
    Row("polyfit of several", lambda y: np.polyfit(_NODES, y, 2), ((5, 2),), dtypes="dD"),
    Row("polyfit in x", lambda x, y: np.polyfit(_NODES + 0.1 * x, y, 2), ((5,), (5,)), dtypes="d", tolerance=1e-5),
    Row("polyfit in w", lambda w, y: np.polyfit(_NODES, y, 2, w=w), ((5,), (5,)), (0.5, 1.5), "d", tolerance=1e-5),
    Row(
        "polyfit cov",
        lambda y: np.polyfit(_NODES, y, 1, w=_WEIGHTS, cov=True),
        ((5,),),
        dtypes="d",
        tolerance=1e-5,
    ),
    Row(
        "polyfit cov unscaled",
        lambda x: np.polyfit(_NODES + 0.1 * x, _WEIGHTS, 1, cov="unscaled"),
        ((5,),),
        dtypes="d",
        tolerance=1e-5,
    ),
    Row("polyfit cov of several", lambda y: np.polyfit(_NODES, y, 1, cov=True)[1], ((5, 2),), dtypes="d"),
]


def _halves(line: Any) -> Any:
    return np.stack([line[:2] * line[-1], line[1:3]])


_APPLYING = [
    Row("apply_along_axis to numbers", lambda x: np.apply_along_axis(np.prod, 1, x), ((3, 4),)),
    Row("apply_along_axis to vectors", lambda x: np.apply_along_axis(np.cumsum, 0, x) * x, ((3, 2),)),
    Row("apply_along_axis to matrices", lambda x: np.apply_along_axis(_halves, 1, x), ((2, 3, 2),)),
    Row("apply_along_axis arguments", lambda x: np.apply_along_axis(np.diff, -1, x, n=2), ((2, 4),), (0.5, 2.0)),
    Row("apply_along_axis to a vector", lambda x: np.apply_along_axis(lambda v: v @ v, 0, x), ((3,),)),
    Row("apply_over_axes", lambda x: np.apply_over_axes(np.sum, x * x, (0, -1)), ((2, 3, 2),)),
    Row("apply_over_axes cumulative", lambda x: np.apply_over_axes(np.cumsum, x, [1]), ((2, 3),)),
    Row(
        "piecewise",
        lambda x: np.piecewise(x, [x < -0.5, x > 0.5], [np.sin, lambda v, a=2.0: a * v**2, lambda v: 3 * v]),
        ((2, 4),),
        dtypes="df",
        more_shapes=(((),), ((0,),)),
    ),
    Row(
        "piecewise with numbers",
        lambda x: np.piecewise(x, x < 0, [1.5, np.exp]) + np.piecewise(x, [x < 0.5], [np.cos]),
        ((5,),),
        dtypes="df",
    ),
    Row(
        "piecewise, conditions that overlap",
        lambda x: np.piecewise(x, [x < 1, x < 0], [lambda v, a, b=1: a * v, lambda v, a, b=1: b * v**2, 7], 3.0, b=2.0),
        ((5,),),
        dtypes="df",
    ),
    Row(
        "piecewise, plain conditions",
        lambda x: np.piecewise(x, [[True, False, True]], [lambda v: v**2, lambda v: np.sin(v)]),
        ((3,),),
    ),
]

_QUERIES = [
    Row(
        "array_equal",
        lambda x: np.stack([np.array_equal(x, x * 1), np.array_equal(x, x + 1), np.array_equal(x, x[:1])]),
        ((3,),),
        dtypes="df",
        differentiable=False,
    ),
    Row(
        "array_equal with nan",
        lambda x: np.stack(
            [np.array_equal(x + np.nan, x + np.nan, equal_nan=True), np.array_equal(x + np.nan, x + np.nan)]
        ),
        ((3,),),
        dtypes="df",
        differentiable=False,
    ),
    Row(
        "array_equiv",
        lambda x: np.stack([np.array_equiv(x[0], np.stack([x[0], x[0]])), np.array_equiv(x, x[:, :2])]),
        ((2, 3),),
        dtypes="df",
        differentiable=False,
    ),
    Row("result_type", lambda x: x.astype(np.result_type(x, np.complex64)) * np.can_cast(x, "D"), ((3,),)),
    Row("common_type", lambda x: x.astype(np.common_type(x, np.ones(2, np.float32))), ((3,),)),
    Row("tril_indices_from", lambda x: x[np.tril_indices_from(x)] + x[np.triu_indices_from(x, 0)], ((3, 3),)),
    Row("diag_indices_from", lambda x: x[np.diag_indices_from(x)], ((3, 3),)),
    Row("ix_", lambda x, i: (x + 0 * i[0])[np.ix_(i, [0, 2])], ((3, 4), (2,)), ((-1.0, 1.0), (0, 3)), integers=(1,)),
    Row(
        "ravel_multi_index",
        lambda i, j: (
            np.ravel_multi_index((i, j), (3, 4)),
            np.ravel_multi_index((i, j), (3, 4), order="F"),
            np.ravel_multi_index((i + 2, j - 3), (3, 4), mode=("wrap", "clip")),
        ),
        ((2, 1), (3,)),
        (0, 3),
        integers=(0, 1),
        differentiable=False,
    ),
    Row(
        "unravel_index",
        lambda i: (np.unravel_index(i, (3, 4)), np.unravel_index(i, (3, 4), order="F"), np.unravel_index(i, 12)),
        ((5,),),
        (0, 12),
        integers=(0,),
        differentiable=False,
        more_shapes=(((),), ((2, 2),)),
    ),
    Row(
        "packbits",
        lambda b: (np.packbits(b), np.packbits(b, axis=0, bitorder="little"), np.packbits(b, axis=-1)),
        ((3, 9),),
        booleans=(0,),
        differentiable=False,
        more_shapes=(((2, 8),), ((0, 3),)),
    ),
    Row(
        "unpackbits",
        lambda n: [
            np.unpackbits(n.astype(np.uint8), *a, **k)
            for a, k in (((), {}), ((), {"axis": 0}), ((1, 5, "little"), {}), ((), {"count": -3}), ((), {"count": 50}))
        ],
        ((2, 2),),
        (0, 256),
        integers=(0,),
        differentiable=False,
    ),
]

ROWS: list[Row] = [*_ARITHMETIC, *_CALCULUS, *_ROOTS, *_FITS, *_APPLYING, *_QUERIES]

"""Rows of the ufuncs' methods (reduce, accumulate, reduceat, outer) and of their keyword arguments.

Reductions run along an axis of a matrix here: NumPy's own power.reduce and arctan2.reduce of one long axis are wrong on
some processors. ``x + 0.0`` keeps the dtype of floating-point numbers and makes integers float64: in the half and
single precision that NumPy takes for small ones, results depend on the order (see test_ufunc_methods.py for these).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

_X = ((3, 4),)
_POSITIVE = (0.5, 1.5)
_MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]])

# ufunc, domain, dtypes: of those without a reduction of their own elsewhere in the catalogue
_CHAINS: tuple[tuple[np.ufunc, Any, str], ...] = (
    (np.subtract, (-2.0, 2.0), "dfDF"),
    (np.divide, (0.6, 1.6), "dfDF"),
    (np.power, (1.1, 1.6), "df"),
    (np.float_power, (1.1, 1.6), "df"),
    (np.arctan2, (0.5, 2.0), "df"),
    (np.hypot, (0.5, 2.0), "df"),
    (np.logaddexp, (-2.0, 2.0), "df"),
    (np.logaddexp2, (-2.0, 2.0), "df"),
    (np.copysign, (0.5, 2.0), "df"),
    (np.fmod, (2.2, 2.9), "df"),
    (np.remainder, (2.2, 2.9), "df"),
)
_EXTREMA = ((np.fmax, (-2.0, 2.0), "df"), (np.fmin, (-2.0, 2.0), "df"))


def _rows_of(ufunc: np.ufunc, domain: Any, dtypes: str, **more: Any) -> list[Row]:
    name = ufunc.__name__
    arguments: dict[str, Any] = {"domain": domain, "dtypes": dtypes, **more}
    return [
        Row(f"{name}.reduce", lambda x: ufunc.reduce(x + 0.0), _X, more_shapes=(((2, 1, 3),), ((1, 0),)), **arguments),
        Row(
            f"{name}.reduce keepdims",
            lambda x: ufunc.reduce(x + 0.0, axis=-1, keepdims=True),
            ((2, 3, 2),),
            **arguments,
        ),
        Row(
            f"{name}.reduce initial where",
            lambda x: ufunc.reduce(x + 0.0, axis=0, initial=x[0, 0], where=_MASK),
            _X,
            **{**arguments, "order": 1},
        ),
        Row(
            f"{name}.accumulate",
            lambda x: ufunc.accumulate(x + 0.0, axis=1),
            ((2, 5),),
            more_shapes=(((1, 1),), ((2, 0),)),
            **arguments,
        ),
        Row(f"{name}.reduceat", lambda x: ufunc.reduceat(x + 0.0, [0, 2, 1, 3], axis=0), ((4, 2),), **arguments),
    ]


_REORDERABLE = [
    Row(
        f"{u.__name__}.reduce axes",
        lambda x, u=u: (u.reduce(x + 0.0, axis=(0, 2)), u.reduce(x + 0.0, axis=None), u.reduce(x, axis=())),
        ((2, 3, 2),),
        domain,
        "df",
        distinct=True,
    )
    for u, domain in ((np.hypot, (0.5, 2.0)), (np.logaddexp, (-2.0, 2.0)), (np.fmax, (-2.0, 2.0)))
]

_REDUCTIONS = [
    Row("add.reduce dtype", lambda x: np.add.reduce(x, axis=0, dtype=np.complex128), _X),
    Row(
        "maximum.reduce dtype", lambda x: np.maximum.reduce(x, axis=0, dtype=np.float64), _X, dtypes="df", distinct=True
    ),
    Row("logaddexp.reduce where", lambda x: np.logaddexp.reduce(x + 0.0, axis=0, where=_MASK), _X, dtypes="df"),
    Row("hypot.reduce of nothing", lambda x: np.hypot.reduce(x * x), ((0, 2),), dtypes="df"),
    Row(
        "reduce of a scalar",
        lambda x: np.divide.reduce(x * x) + np.subtract.reduce(x),
        ((),),
    ),
    Row("add.reduce where traced", lambda x, m: np.add.reduce(np.sin(x), where=m), _X * 2, booleans=(1,)),
    Row("divide.reduce initial", lambda x: np.divide.reduce(x, axis=0, initial=2.0), _X, (0.6, 1.6)),
    Row(
        "logical reductions",
        lambda x: (
            np.logical_and.reduce(x > 0),
            np.logical_xor.reduce(x > 0, axis=1),
            np.logical_or.accumulate(x > 1),
            np.logical_xor.accumulate(x, axis=1),
        ),
        _X,
        dtypes="df",
        differentiable=False,
    ),
    Row(
        "integer reductions",
        lambda n: (
            np.gcd.reduce(n),
            np.lcm.reduce(n),
            np.bitwise_or.reduce(n),
            np.bitwise_and.accumulate(n),
            np.subtract.reduce(n),
            np.floor_divide.reduce(n),
            np.add.reduceat(n, [0, 1, 1]),
            np.divide.reduce(n),
        ),
        _X,
        (1, 9),
        integers=(0,),
        differentiable=False,
    ),
]

_ACCUMULATIONS = [
    Row("add.accumulate", np.add.accumulate, _X, more_shapes=(((3,),), ((0, 2),))),
    Row("multiply.accumulate", lambda x: np.multiply.accumulate(x, axis=1), _X),
    Row("maximum.accumulate", np.maximum.accumulate, _X, dtypes="df", distinct=True, primitives=("cummax",)),
    Row(
        "minimum.accumulate",
        lambda x: np.minimum.accumulate(x, -1),
        _X,
        dtypes="df",
        distinct=True,
        primitives=("cummin",),
    ),
    Row("accumulate dtype", lambda x: np.add.accumulate(x, dtype=np.complex128), ((3,),)),
]

_SEGMENTS = [
    Row("add.reduceat", lambda x: np.add.reduceat(x, [0, 4, 1, 5, 2, 6, 3, 7])[::2], ((8,),)),
    Row("add.reduceat repeated", lambda x: np.add.reduceat(x, np.array([0, 2, 2, 4]), axis=1), ((2, 5),)),
    Row("add.reduceat of none", lambda x: np.add.reduceat(x, [], axis=0), ((3, 2),)),
    Row("add.reduceat dtype", lambda x: np.add.reduceat(x, [0, 2], dtype=np.complex128), ((3,),)),
    Row("multiply.reduceat", lambda x: np.multiply.reduceat(x, [0, 2, 3]), ((5, 2),), _POSITIVE),
    Row("maximum.reduceat", lambda x: np.maximum.reduceat(x, [0, 3], axis=-1), ((2, 5),), dtypes="df", distinct=True),
    Row(
        "logical_or.reduceat",
        lambda x: np.logical_or.reduceat(x > 0, [0, 2], axis=1),
        ((2, 5),),
        dtypes="df",
        differentiable=False,
    ),
]

_OUTER = [
    Row("subtract.outer", np.subtract.outer, ((2, 3), (2,)), more_shapes=(((), (2,)), ((2,), ()), ((0,), (3,)))),
    Row("multiply.outer number", lambda x: np.multiply.outer(x, 2.0) + np.multiply.outer([1.0, 2.0], x), ((3,),)),
    Row("hypot.outer", np.hypot.outer, ((2,), (3,)), _POSITIVE, "df"),
    Row("divmod.outer", np.divmod.outer, ((2,), (3,)), ((2.1, 2.9), (1.1, 1.3)), "df"),
    Row("less.outer", np.less.outer, ((2,), (3,)), dtypes="df", differentiable=False),
]

_ARGUMENTS = [
    Row("add dtype", lambda x, y: np.add(x, y, dtype=np.complex64), ((3,), (2, 3)), order=1, dtypes="f"),
    Row("multiply dtype, number", lambda x: np.multiply(x, 2.5, dtype=np.complex128), ((3,),)),
    Row("sin dtype", lambda x: np.sin(x, dtype=np.float64), ((3,),), dtypes="df"),
    Row("divmod dtype", lambda x, y: np.divmod(x, y, dtype=np.float64), ((3,), ()), ((2.1, 2.9), (1.1, 1.3)), "df"),
    Row("arguments without effect", lambda x: np.exp(x, order="C", subok=True, casting="safe"), ((3,),)),
    Row(
        "less dtype",
        lambda x, y: np.less(x, y, dtype=np.bool_),
        ((3,), (3,)),
        dtypes="df",
        differentiable=False,
    ),
    Row("outer dtype", lambda x, y: np.add.outer(x, y, dtype=np.complex128), ((2,), (3,))),
    Row("vecdot axis", lambda x, y: np.vecdot(x, y, axis=0), ((3, 2), (3, 2))),
    Row(
        "integers, dtype",
        lambda m, n: (np.divide(m, n, dtype=np.float32), np.add(m, n, dtype=np.float64), np.sqrt(n, dtype=np.float64)),
        ((3,), (3,)),
        (1, 9),
        integers=(0, 1),
        differentiable=False,
    ),
]

ROWS: list[Row] = [
    *[row for chain in _CHAINS for row in _rows_of(*chain)],
    *[row for extremum in _EXTREMA for row in _rows_of(*extremum, distinct=True)],
    *_REORDERABLE,
    *_REDUCTIONS,
    *_ACCUMULATIONS,
    *_SEGMENTS,
    *_OUTER,
    *_ARGUMENTS,
]

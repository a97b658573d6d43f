"""Rows of convolution, interpolation, phase, gradients, and of grids."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

# Convolution: n > m, n < m, n = m, odd and even, single elements

_PAIRS = (((5,), (3,)), ((2,), (5,)), ((4,), (4,)), ((1,), (4,)), ((1,), (1,)))


_MODES = ("full", "same", "valid")
_SIZES: dict[str, Any] = {"more_shapes": _PAIRS, "primitives": ("convolve",)}

_CONVOLUTION = [
    Row("convolve", lambda x, y: [np.convolve(x, y, mode) for mode in _MODES], ((5,), (2,)), **_SIZES),
    Row("correlate", lambda x, y: [np.correlate(x, y, mode) for mode in _MODES], ((5,), (2,)), **_SIZES),
    Row("convolve default", np.convolve, ((4,), (3,)), more_shapes=(((), (3,)), ((2,), ()))),
    Row("correlate default", np.correlate, ((3,), (5,))),
    Row("convolve with itself", lambda x: np.convolve(x, x, "same"), ((4,),)),
    Row("convolve mixed", lambda x: np.convolve(x, np.array([1.0, 2.0j], dtype="F")), ((4,),)),
    Row("convolve of integers", lambda x: np.convolve(x, np.array([1.0, -2.0])), ((4,),), (-5, 5), integers=(0,)),
    Row("convolve with integers", lambda x: np.convolve(x, np.array([1, -2, 3], dtype=np.int16), 1), ((4,),)),
]

# Interpolation: knots near integers and points between them (and outside), so that differences cross no knot

_KNOTS = np.array([0.3, 0.9, 1.1, 2.0])
_VALUES = np.array([1.0, -2.0, 0.5, 0.25])
_PLACES = np.array([-1.0, 3.0, 1.0, 0.0, 2.0, 1.0])
_BETWEEN = (0.2, 0.8)
_POINTS: dict[str, Any] = {"primitives": ("interp", "interval")}


def _knots(d: Any) -> Any:
    return np.arange(d.shape[0]) + 0.05 * d


def _periodic(x: Any, d: Any, f: Any, more: Any) -> Any:
    """Points in three periods; the period, nearly 4, is part of a vector that is traced when anything is."""
    knots = (_knots(d) + 0.1)[np.array([2, 0, 3, 1])]
    return np.interp(x + np.array([-4.0, 6.0, 1.0, 3.0, 2.0]), knots, f + 0 * more, period=4 + 0.05 * more)


_INTERPOLATION = [
    Row(
        "interp",
        lambda x, d, f: np.interp(x + _PLACES, _knots(d), f),
        ((6,), (4,), (4,)),
        (_BETWEEN, (-1.0, 1.0), (-2.0, 2.0)),
        dtypes="df",
        more_shapes=(((2, 1), (3,), (3,)), ((), (2,), (2,)), ((6,), (1,), (1,))),
        **_POINTS,
    ),
    Row("interp of nothing", lambda x, f: np.interp(x, [0, 2, 3], f), ((2, 0), (3,)), dtypes="d"),
    Row(
        "interp left right",
        lambda x, f: np.interp(x + _PLACES, np.arange(4), f[:4], left=f[4], right=f[5]),
        ((6,), (6,)),
        (_BETWEEN, (-2.0, 2.0)),
        dtypes="df",
        **_POINTS,
    ),
    Row("interp left", lambda f: np.interp([-1, 0, 0.2, 3], _KNOTS, f[1:], f[0], 7), ((5,),), dtypes="dD"),
    Row(
        "interp right", lambda x: np.interp(x + _PLACES, [0.5, 1.9], [1, 2], right=x[0]), ((6,),), _BETWEEN, dtypes="d"
    ),
    Row("interp of one point", lambda f: np.interp([-1, 0.5, 2], [0.5], f[:1], f[1], f[2]), ((3,),), dtypes="dD"),
    Row("interp in x", lambda x: np.interp(x + _PLACES, np.arange(4), _VALUES) ** 2, ((6,),), _BETWEEN, dtypes="df"),
    Row("interp complex", lambda f: np.interp([0.1, 0.5, 0.9, 1.7, 2.5], _KNOTS, f), ((4,),), dtypes="DF"),
    Row("interp complex ends", lambda f: np.interp(_VALUES, _KNOTS, f[:4], 1, f[4]), ((5,),), dtypes="D"),
    Row(
        "interp complex in x",
        lambda x, d: np.interp(x + _PLACES, _knots(d), _VALUES * (1 + 2j), right=3j),
        ((6,), (4,)),
        (_BETWEEN, (-1.0, 1.0)),
        dtypes="d",
    ),
    Row(
        "interp period", _periodic, ((5,), (4,), (4,), ()), (_BETWEEN, (-1, 1), (-2, 2), (-1, 1)), dtypes="d", **_POINTS
    ),
    Row("interp negative period", lambda f: np.interp(_VALUES, _KNOTS, f, period=-1.5), ((4,),), dtypes="df"),
]

_PHASE = [
    Row("unwrap", np.unwrap, ((6,),), (-9.0, 9.0), dtypes="df", more_shapes=(((1,),), ((0,),), ((2, 4),))),
    Row("unwrap axis", lambda x: np.unwrap(x, axis=0), ((4, 2),), (-9.0, 9.0), dtypes="df"),
    Row("unwrap discont", lambda x: np.unwrap(x, discont=5.0), ((6,),), (-9.0, 9.0), dtypes="df"),
    Row(
        "unwrap period", lambda x, p: np.unwrap(x + 0 * p, period=p), ((6,), ()), ((-9.0, 9.0), (1.5, 2.5)), dtypes="df"
    ),
    Row("unwrap integer period", lambda x: np.unwrap(x, period=3), ((2, 3),), (-9.0, 9.0), dtypes="df"),
    Row(
        "unwrap of integers",
        lambda x: np.unwrap(x, period=4),
        ((6,),),
        (-9, 9),
        integers=(0,),
        differentiable=False,
    ),
]


def _of_both_orders(*args: Any, **options: Any) -> list[Any]:
    return [np.gradient(*args, **options, edge_order=k) for k in (1, 2)]


_GRADIENT = [
    Row("gradient", _of_both_orders, ((3, 4),), more_shapes=(((4,),), ((3, 3, 4),))),
    Row(
        "gradient distance",
        _of_both_orders,
        ((5,), ()),
        ((-2.0, 2.0), (0.5, 1.5)),
        more_shapes=(((3, 4), ()),),
    ),
    Row(
        "gradient coordinates",
        lambda x, d: _of_both_orders(x, np.cumsum(d), axis=1),
        ((2, 5), (5,)),
        ((-2.0, 2.0), (0.5, 1.5)),
        more_shapes=(((2, 3), (3,)),),
    ),
    Row(
        "gradient mixed distances",
        lambda x, h, d: np.gradient(x, h, np.cumsum(d), axis=(-1, 0)),
        ((4, 3), (), (4,)),
        ((-2.0, 2.0), (0.5, 1.5), (0.5, 1.5)),
        dtypes="df",
    ),
    Row("gradient of two points", lambda x, d: np.gradient(x, d), ((2,), (2,)), ((-2.0, 2.0), (0.5, 9.0)), dtypes="df"),
    Row("gradient plain coordinates", lambda x: np.gradient(x, [0, 1, 3, 4, 6]), ((5,),)),
    Row("gradient equidistant", lambda x: np.gradient(x, np.arange(5) / 2, edge_order=2), ((5,),)),
    Row(
        # Traced coordinates that happen to be equidistant: NumPy's shortcut would lose all derivatives but one.
        "gradient equidistant traced",
        lambda d: np.gradient(np.array([1.0, 5.0, 2.0, 4.0, 7.0]), np.arange(5.0) + d * 0, edge_order=2),
        ((5,),),
        dtypes="d",
    ),
    Row(
        "gradient of integers",
        lambda x, h: np.gradient(x, h),
        ((5,), ()),
        ((0, 9), (0.5, 1.5)),
        dtypes="df",
        integers=(0,),
    ),
]

_ENDS = (((2,), (2,)), ((3, 2), (2,)), ((), (0,)))

_GRIDS = [
    Row("linspace", lambda a, b: np.linspace(a, b, 5), ((), ()), more_shapes=_ENDS),
    Row("linspace default", np.linspace, ((), ()), dtypes="df"),
    Row("linspace endpoint", lambda a, b: np.linspace(a, b, 4, endpoint=False), ((), (2,))),
    Row("linspace retstep", lambda a, b: np.linspace(a, b, 4, retstep=True), ((), (2,))),
    Row("linspace axis", lambda a, b: np.linspace(a, b, 3, axis=-1), ((2,), (3, 1)), more_shapes=(((), ()),)),
    Row("linspace axis=1", lambda a, b: np.linspace(a, b, 3, axis=1), ((2,), (3, 1))),
    *[
        Row(f"linspace num={n}", lambda a, b, n=n: np.linspace(a, b, n), ((), ()), more_shapes=(((2,), ()),))
        for n in (0, 1, 2)
    ],
    Row("linspace num=1 open", lambda a, b: np.linspace(a, b, 1, False, True), ((), ())),
    Row("linspace to a number", lambda a: np.linspace(a, 3, 4) + np.linspace(0.5, a, 4), ((),)),
    Row("linspace to itself", lambda a: np.linspace(a, a, 4), ((2,),)),
    Row("linspace dtype", lambda a, b: np.linspace(a, b, 4, dtype=np.complex128), ((), (2,))),
    Row("linspace of integers", lambda a, b: np.linspace(a, b, 4), ((), (2,)), (-9, 9), integers=(0,)),
    Row(
        "linspace to integers",
        lambda a, b: np.linspace(a, b, 4, dtype=int),
        ((), (2,)),
        (-9.0, 9.0),
        dtypes="df",
        differentiable=False,
    ),
    Row("linspace list", lambda a: np.linspace(a, [1, 2], 3), ((),)),
    Row("logspace", lambda a, b: np.logspace(a, b, 4), ((), (2,)), (-1.0, 1.0), more_shapes=(((), ()),)),
    Row("logspace base", lambda a, b, c: np.logspace(a, b, 4, base=c), ((), (2,), ()), (0.5, 2.0)),
    Row("logspace plain base", lambda a: np.logspace(a, 2, 4, endpoint=False, base=2), ((2,),), (0.5, 2.0)),
    Row(
        "logspace bases",
        lambda a, b, c: np.logspace(a, b, 3, base=c, axis=-1),
        ((), (2,), (3, 1)),
        (0.5, 2.0),
        more_shapes=(((3, 2), (), (2,)),),
    ),
    Row("logspace dtype", lambda a: np.logspace(a, 1.5, 3, dtype=np.complex64), ((2,),), (0.5, 2.0), dtypes="fF"),
    Row("logspace base alone", lambda c: np.logspace(0.0, 2.0, 3, base=c), ((2,),), (0.5, 2.0)),
    Row("geomspace", lambda a, b: np.geomspace(a, b, 4), ((), ()), (0.5, 2.0), more_shapes=(((3, 1), (2,)),)),
    Row("geomspace endpoint axis", lambda a, b: np.geomspace(a, b, 3, False, axis=-1), ((2,), (2,)), (0.5, 2.0)),
    Row("geomspace negative", lambda a, b: np.geomspace(-a, -b, 4), ((2,), (2,)), (0.5, 2.0), dtypes="df"),
    Row("geomspace dtype", lambda a, b: np.geomspace(a, b, 4, dtype="F"), ((2,), ()), (0.5, 2.0), dtypes="fF"),
    *[Row(f"geomspace num={n}", lambda a, n=n: np.geomspace(a, 3, n), ((2,),), (0.5, 2.0)) for n in (0, 1, 2)],
    Row(
        "geomspace to integers",
        lambda a, b: np.geomspace(a, b, 4, dtype=int),
        ((), (2,)),
        (1.0, 99.0),
        dtypes="df",
        differentiable=False,
    ),
]

_windows = np.lib.stride_tricks.sliding_window_view

_WINDOWS = [
    Row("sliding_window_view", lambda x: _windows(x, 2), ((4,),), more_shapes=(((2,),),)),
    Row("sliding_window_view of all axes", lambda x: _windows(x, (2, 1)), ((3, 4),), more_shapes=(((2, 1),),)),
    Row("sliding_window_view axes", lambda x: _windows(x, (2, 3), axis=(-1, 0)), ((3, 2, 4),)),
    Row("sliding_window_view of nothing", lambda x: _windows(x, 0, 1), ((2, 3),)),
]

_COMPLEX_IF = [
    Row("emath in the domain", lambda x: (np.emath.sqrt(x), np.emath.logn(2, x), np.emath.arcsin(x)), ((2, 3),),
        (0.2, 0.8), "dfD", batched=False),
    Row("emath of negative numbers", lambda x: (np.emath.sqrt(x), np.emath.log(x), np.emath.power(x, 1.5)), ((2, 3),),
        (-0.8, -0.2), "df", batched=False, more_shapes=(((),),)),
    Row("emath of large numbers", lambda x: (np.emath.arccos(x), np.emath.arcsin(x), np.emath.arctanh(x)), ((3,),),
        (1.2, 2.0), "df", batched=False),
    Row("emath.power", lambda x, y: (np.emath.power(x, y), np.emath.power(x, -2)), ((3,), (3,)),
        ((-1.5, -0.5), (0.5, 1.5)), "df", batched=False),
]  # fmt: skip

ROWS: list[Row] = [*_CONVOLUTION, *_INTERPOLATION, *_PHASE, *_GRADIENT, *_GRIDS, *_WINDOWS, *_COMPLEX_IF]

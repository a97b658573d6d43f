"""Indexing, and functions that select elements."""

from __future__ import annotations

import numpy as np

from .row import Row


def _traced_with(x, i):
    """x itself, but traced where i is: Python and NumPy do not ask the index when a plain array is indexed."""
    return x * (np.sum(i) < 99)


_I = np.array([2, 0, 2, -1])
_J = np.array([[0, 1], [-2, 0]])
_MASK = np.array([True, False, True])
_MASK2 = np.array([[True, False, True], [False, False, True]])

BASIC = [
    Row("x[i]", lambda x: x[1], ((3,),), more_shapes=(((2, 3),),)),
    Row("x[-1, 0]", lambda x: (x[-1, 0], x[np.int32(1), -2]), ((2, 3),), more_shapes=(((2, 3, 2),),)),
    Row("x[:, i]", lambda x: x[:, 1], ((2, 3),), more_shapes=(((0, 3),), ((2, 3, 2),))),
    Row(
        "x[a:b]",
        lambda x: (x[1:], x[:-1], x[1:2], x[5:], x[:]),
        ((3,),),
        more_shapes=(((3, 2),), ((0,),)),
        primitives=("slice",),
    ),
    Row("x[a:b:c]", lambda x: (x[::2], x[1::3]), ((7,),), more_shapes=(((7, 2),),)),
    Row("x[::-1]", lambda x: (x[::-1], x[::-2], x[4:1:-2], x[1:4:-1]), ((6,),), more_shapes=(((6, 2),),)),
    Row("x[a:b, ::-c, i]", lambda x: x[1:, ::-2, -1], ((2, 3, 2),)),
    Row("x[...]", lambda x: (x[...], x[..., 0], x[0, ...], x[()]), ((2, 3),)),
    Row("x[None]", lambda x: (x[None], x[:, None], x[..., None], x[None, 0, None]), ((2, 3),)),
    Row("x[None] of a scalar", lambda x: (x[None], x[...], x[()], x[..., None, None]), ((),)),
    Row("iteration", lambda x: [v * v for v in x], ((3,),), more_shapes=(((2, 2),),)),
    Row("neighbours", lambda x: x[1:] - x[:-1], ((4,),)),
]

ADVANCED = [
    Row("x[array]", lambda x: x[_I], ((3,),), more_shapes=(((3, 2),),), primitives=("gather", "scatter_add")),
    Row("x[list]", lambda x: (x[[0, 2]], x[[]], x[[[1], [0]]]), ((3,),), more_shapes=(((3, 2),),)),
    Row("x[2-d array]", lambda x: x[_J], ((3, 2),)),
    Row("x[:, array]", lambda x: x[:, _I], ((2, 3),), more_shapes=(((2, 3, 2),),)),
    Row("x[array, array]", lambda x: x[_I, _J[:, :, None]], ((3, 2),), more_shapes=(((3, 2, 2),),)),
    Row("x[array, i]", lambda x: x[_I, 1], ((3, 2),)),
    Row("x[:, array, array]", lambda x: x[:, _I, _I - 1], ((2, 3, 4),)),
    Row("x[array, :, array]", lambda x: x[_I, :, _I], ((3, 2, 3),)),
    Row("x[i, :, array]", lambda x: x[0, :, _I], ((2, 2, 3),)),
    Row("x[array, None, array]", lambda x: x[_I, None, _I], ((3, 3, 2),)),
    Row("x[::-1, array]", lambda x: x[::-1, _I, ..., None], ((2, 3, 2),)),
    Row("x[mask]", lambda x: x[_MASK], ((3,),), more_shapes=(((3, 2),),)),
    Row("x[2-d mask]", lambda x: x[_MASK2], ((2, 3),), more_shapes=(((2, 3, 2),),)),
    Row("x[:, mask]", lambda x: x[:, _MASK], ((2, 3),)),
    Row("x[array, mask]", lambda x: x[[0, 1], _MASK], ((2, 3),)),
    Row("x[True]", lambda x: (x[True], x[False], x[np.True_, 0]), ((2, 3),)),
    Row("x[x > 0]", lambda x: x[x > 0], ((6,),), batched=False, domain=(0.1, 2.0)),
    Row(
        "x[traced integers]",
        lambda x, i: [(y := _traced_with(x, i))[i], y[:, i], y[i, 0], y[i, :, i]],
        ((3, 3, 2), (2, 2)),
        domain=((-2.0, 2.0), (-2, 2)),
        integers=(1,),
    ),
    Row(
        "x[traced integer]",
        lambda x, i: [(y := _traced_with(x, i))[i], y[:, i], y[i, ::2], y[i, i]],
        ((3, 3), ()),
        domain=((-2.0, 2.0), (-3, 3)),
        integers=(1,),
    ),
    Row(
        "x[traced and known integers]",
        lambda x, i: [(y := _traced_with(x, i))[i, _I], y[[i, 0], 1]],
        ((3, 3), ()),
        domain=((-2.0, 2.0), (-3, 3)),
        integers=(1,),
    ),
]

FUNCTIONS = [
    Row(
        "take",
        lambda x: (np.take(x, _I, 1), np.take(x, 1, axis=-1), np.take(x, _J)),
        ((2, 3),),
        more_shapes=(((2, 3, 2),),),
    ),
    Row(
        "take traced",
        lambda x, i: np.take(_traced_with(x, i), i, axis=1),
        ((2, 3), (2, 2)),
        domain=((-2.0, 2.0), (-3, 3)),
        integers=(1,),
    ),
    Row("take wrap", lambda x: np.take(x, [-7, 8, 1], axis=0, mode="wrap"), ((3, 2),)),
    Row(
        "take clip",
        lambda x, i: np.take(_traced_with(x, i), i, mode="clip"),
        ((5,), (4,)),
        domain=((-2.0, 2.0), (-9, 9)),
        integers=(1,),
        primitives=("index_within",),
    ),
    Row("take_along_axis", lambda x: np.take_along_axis(x, _J, 1), ((2, 3),)),
    Row(
        "take_along_axis broadcast",
        lambda x: np.take_along_axis(x, np.array([[0, 2, 1, 0]]), axis=0),
        ((3, 1),),
        more_shapes=(((3, 4),),),
    ),
    Row(
        "take_along_axis traced",
        lambda x, i: np.take_along_axis(x, i, axis=-1),
        ((2, 3), (2, 4)),
        domain=((-2.0, 2.0), (-3, 3)),
        integers=(1,),
    ),
    Row("take_along_axis flat", lambda x: np.take_along_axis(x, np.array([1, 5]), axis=None), ((2, 3),)),
    Row("compress", lambda x: (np.compress([True, False], x, axis=1), np.compress([False, True, True], x)), ((2, 3),)),
    Row("extract", lambda x: np.extract(_MASK2, x), ((2, 3),)),
    Row("diag of a vector", lambda x: (np.diag(x), np.diag(x, 2), np.diag(x, -1)), ((3,),), more_shapes=(((0,),),)),
    Row("diag of a matrix", lambda x: (np.diag(x), np.diag(x, 1), np.diag(x, -2), np.diag(x, 7)), ((3, 4),)),
    Row("diagonal", lambda x: (np.diagonal(x), np.diagonal(x, -1, 2, 0)), ((3, 4, 2),)),
    Row("diagflat", lambda x: np.diagflat(x, 1), ((2, 2),)),
    Row("trace", lambda x: (np.trace(x), np.trace(x, 1)), ((3, 4),), more_shapes=(((3, 4, 2),), ((0, 2),))),
    Row("trace axes", lambda x: np.trace(x, -1, axis1=0, axis2=2), ((3, 2, 4),)),
    Row("tril", lambda x: (np.tril(x), np.tril(x, -1)), ((3, 4),), more_shapes=(((2, 3, 3),), ((3,),))),
    Row("triu", lambda x: (np.triu(x), np.triu(x, 1)), ((3, 4),), more_shapes=(((2, 3, 3),), ((3,),))),
    Row("choose", lambda x, y: np.choose(np.array([[0, 1, 1], [1, 0, 0]]), [x, y]), ((3,), (2, 3))),
    Row("choose modes", lambda x: (np.choose([5, -1], x, mode="wrap"), np.choose([5, -1], x, mode="clip")), ((3, 2),)),
    Row(
        "choose traced",
        lambda i, x: np.choose(i, [x, 1.0]),
        ((3,), (2, 3)),
        domain=((0, 2), (-2.0, 2.0)),
        integers=(0,),
    ),
    Row("select", lambda x, y: np.select([_MASK, ~_MASK & _MASK2], [x, y], 3.0), ((3,), (2, 3))),
    Row(
        "select values",
        lambda x: np.select([x < -0.5, x > 0.5], [x, x**2], default=-1),
        ((3, 3),),
        dtypes="df",
        domain=(0.6, 2.0),
    ),
]

ROWS: list[Row] = [*BASIC, *ADVANCED, *FUNCTIONS]

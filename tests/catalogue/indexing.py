"""Indexing, and functions that select elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.primitives.assignment import add_slice

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


def _after(write: Any) -> Any:
    """What ``write`` leaves in a copy of the first operand, and the product with another name for it."""

    def fun(x: Any, *v: Any) -> Any:
        y = x * 1 + 0 * sum([np.sum(w) for w in v])  # traced where any operand is
        other = y
        write(y, *v)
        return y, other * y

    return fun


def _set(*keys: Any) -> Any:
    """Assignment of the value at each of these keys in turn."""

    def write(y: Any, v: Any) -> None:
        for key in keys:
            y[key] = v

    return _after(write)


def _into_plain(x: Any) -> Any:
    total = np.zeros(x.shape, x.dtype)
    total += x
    total -= x * x
    return total


def _at(y: Any, v: Any) -> None:
    np.add.at(y, _I, v)
    np.subtract.at(y, ([0, 0], [1, 1]), v[0, 0])
    np.multiply.at(y, _I, v)
    np.negative.at(y, [0, 0, 1])


def _through_views(y: Any, v: Any) -> None:
    y[1][::-1] = v
    y.T[0] += v[:2]
    y.reshape(-1)[::2] *= v[0]
    np.ravel(y)[4] = v[1]
    y[:, None][..., 2] -= v[2]


def _add_at_indices(y: Any, v: Any) -> None:
    y[_I] += v  # NumPy reads and writes each element once: of duplicates the last one counts


def _augmented(y: Any, v: Any) -> Any:
    other = y
    y += v
    y *= v
    y /= 2.5
    y -= other
    y -= v * v
    y **= 2
    return y, other


def _parts(y: Any, v: Any) -> None:
    y.real = v.real
    y.imag[0] *= v.imag
    y[1].real[:2] += v.imag[:2]


_V = ((3, 4), ())
ASSIGNMENT = [
    Row("x[i] = v", _set(1, (0, -2)), _V, primitives=("put_slice",)),
    Row("add_slice", lambda x, v: add_slice(x, v, ((1, 3, 1),)), ((3, 4), (2, 4)), primitives=("add_slice",)),
    Row("x[i] = row", _set(1, -1), ((3, 4), (4,)), more_shapes=(((3, 4), (1, 4)), ((3, 1), (1,)))),
    Row("x[a:b] = v", _set(slice(1, None), slice(0, 3, 2)), ((3, 4), (4,)), more_shapes=(((3, 4), (1, 1)),)),
    Row("x[::-1] = v", _set(slice(None, None, -1), (slice(None), slice(None, None, -2))), ((3, 2), (3, 1))),
    Row("x[...] = v", _set(..., (..., 0), ()), _V, more_shapes=(((0, 2), ()),)),
    Row("x[None] = v", _set(None, (None, slice(None), 0)), ((3, 3), (1, 3)), more_shapes=(((3, 3), (3,)),)),
    Row("x[array] = v", _set(_I, (slice(None), _I)), _V, primitives=("put",)),
    Row("x[array] = rows", _set(_I), ((3, 2), (4, 2)), more_shapes=(((3, 2), (4, 1)),)),
    Row("x[array, :, array] = v", _set((_I, slice(None), _I), (0, slice(None), _J)), ((3, 2, 3), (2,))),
    Row("x[:, None, array] = v", _set((slice(None, None, -1), None, _I)), ((3, 3), (4,))),
    Row("x[mask] = v", _set(_MASK, (slice(None), _MASK)), ((3, 3), (1,))),
    Row("x[2-d mask] = v", _set(_MASK2), ((2, 3), (3,))),
    Row(
        "x[traced integers] = v",
        lambda x, v, i: _set(i, (slice(None), i), (i, 0))(_traced_with(x, i), v),
        ((3, 3), (), (2,)),
        domain=((-2.0, 2.0), (-2.0, 2.0), (-3, 3)),
        integers=(2,),
    ),
    Row(
        "x[traced integer] = v",
        lambda x, v, i: _set(i, (i, i))(_traced_with(x, i), v),
        ((3, 3), (), ()),
        domain=((-2.0, 2.0), (-2.0, 2.0), (-3, 3)),
        integers=(2,),
    ),
    Row("x[i] += v", _after(lambda y, v: (y[0].__iadd__(v), y[..., 1:].__imul__(v))), ((3, 4), (1,))),
    Row("x[array] += v", _after(_add_at_indices), ((3, 2), (4, 2))),
    Row("x += v", lambda x, v: (_augmented(x + 0 * v, v), x), ((3, 4), (4,)), more_shapes=(((3, 4), ()),)),
    Row("plain += x", _into_plain, ((3, 4),)),
    Row("views of x = v", _after(_through_views), ((2, 3), (3,))),
    Row("copyto", _after(lambda y, v: (np.copyto(y, v, where=_MASK), np.copyto(y[0], v[0]))), ((3, 3), (1, 3))),
    Row("put", _after(lambda y, v: np.put(y, [1, -2, 1, 5], v)), ((2, 3), (3,))),
    Row("place", _after(lambda y, v: np.place(y, _MASK2, v)), ((2, 3), (2,))),
    Row("putmask", _after(lambda y, v: np.putmask(y, _MASK2, v)), ((2, 3), (4,))),
    Row("put_along_axis", _after(lambda y, v: np.put_along_axis(y, _J, v, 1)), ((2, 3), (2, 2))),
    Row("fill_diagonal", _after(lambda y, v: np.fill_diagonal(y, v)), ((3, 4), (2,)), more_shapes=(((3, 3), ()),)),
    Row("ufunc.at", _after(_at), ((3, 2), (4, 2))),
    Row("out=", _after(lambda y, v: (np.multiply(y, v, out=y), np.sin(v, out=y[0]))), ((3, 4), (4,))),
    Row("where=", _after(lambda y, v: np.multiply(y, v, out=y, where=_MASK)), ((2, 3), (3,))),
    Row("sum out=", _after(lambda y, v: np.sum(v, 0, out=y[1])), ((2, 3), (2, 3))),
    Row("z.real = v", lambda z, v: _after(_parts)(z + 0j, v), ((2, 3), (3,)), dtypes="DF"),
]

ROWS: list[Row] = [*BASIC, *ADVANCED, *FUNCTIONS, *ASSIGNMENT]

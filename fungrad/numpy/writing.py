"""NumPy's functions that write into an array that they are given: a traced one takes the result, see ``assignment``.

A plain array cannot take traced values; the errors say what can.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad._util import here
from fungrad.core.aval import typeof
from fungrad.core.buffers import as_target
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.assignment import fitting, replaced, setitem, write
from fungrad.numpy.dispatch import UFUNCS, implements
from fungrad.numpy.indexing import getitem, known_mask
from fungrad.numpy.shaping import as_array, plain, ravel
from fungrad.primitives import structural
from fungrad.primitives.indexing import index_within, scatter_add
from fungrad.primitives.selection import where as select


def _writable(call: str, x: Any, *values: Any) -> Tracer:
    x = as_target(x, *values)
    if type(x) is not Tracer:
        raise UnsupportedOperationError(
            f"numpy.{call} at {here()}: a traced array cannot be written into a plain one. Make the array with "
            "np.zeros_like(x), np.empty_like(x) of a traced x or with fungrad.numpy.zeros, which take traced values"
            + ("; instead of np.full_like(plain, x) write np.broadcast_to(x, shape)." if call == "copyto" else ".")
        )
    return x


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Copy values into an array, broadcast, where a mask is true."""
    dst = _writable("copyto", dst, src, where)
    source = as_array(src)
    if not np.can_cast(typeof(source).dtype if hasattr(src, "dtype") else np.result_type(src), dst.dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {typeof(source).dtype!r} to {dst.dtype!r} according to the rule {casting!r}"
        )
    new = fitting(dst, source, dst.shape)
    write(dst, new if where is True else select(structural.broadcast_to(as_array(where), dst.shape), new, dst))


@implements(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """Put values where a mask is true; values of another size are repeated over the whole array, by position."""
    a = _writable("putmask", a, mask, values)
    values = ravel(values)
    positions = np.arange(a.size) % max(typeof(values).size, 1)
    spread = structural.reshape(getitem(fitting(a, values, typeof(values).shape), positions), a.shape)
    write(a, select(as_array(mask), spread, a))


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Put the first values, over and over, at the elements where a mask, whose value must be known, is true."""
    arr = _writable("place", arr, mask, vals)
    chosen = known_mask(mask, "numpy.place").reshape(-1).nonzero()[0]
    values = ravel(vals)
    size = typeof(values).size
    if not chosen.size:
        return
    if not size:
        raise ValueError("Cannot insert from an empty array!")
    _put_flat(arr, getitem(values, np.arange(chosen.size) % size), chosen)


def _put_flat(a: Tracer, values: Any, positions: Any, unique: bool = True) -> None:
    write(a, replaced(a, fitting(a, values, typeof(positions).shape), positions, unique))


@implements(np.put)
def put_(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Put values, over and over, at flat positions; where one is named twice the last value stands."""
    a = _writable("put", a, ind, v)
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    positions = ravel(ind)
    count = typeof(positions).size
    if mode != "raise":
        positions = index_within(positions, a.size, mode)
    values = ravel(v)
    size = typeof(values).size
    if count and size:
        _put_flat(a, getitem(values, np.arange(count) % size), positions, unique=False)


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    """Put values at the positions along an axis that `take_along_axis` would take from."""
    arr = _writable("put_along_axis", arr, indices, values)
    index = as_array(indices)
    if axis is None:
        setitem(ravel(arr), index, values)
        return
    axis = normalize_axis_index(operator.index(axis), arr.ndim)
    shape = typeof(index).shape
    if len(shape) != arr.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    key = [
        index if k == axis else np.arange(n).reshape((1,) * k + (n,) + (1,) * (arr.ndim - k - 1))
        for k, n in enumerate(arr.shape)
    ]
    setitem(arr, tuple(key), values)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Put values, over and over, on the main diagonal."""
    a = _writable("fill_diagonal", a, val)
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    end = None
    if a.ndim == 2:
        step = a.shape[1] + 1
        end = None if wrap else a.shape[1] * a.shape[1]
    else:
        if len(set(a.shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + int(np.cumprod(a.shape[:-1]).sum())
    positions = np.arange(a.size)[:end:step]
    values = ravel(val)
    _put_flat(a, getitem(values, np.arange(positions.size) % typeof(values).size), positions)


def at(ufunc: np.ufunc, a: Any, indices: Any, b: Any = None, /) -> None:
    """``ufunc.at(a, indices, b)``: apply to the elements at the indices, once for each time that they are named."""
    call = f"{ufunc.__name__}.at"
    a = _writable(call, a, indices, b)
    positions = getitem(np.arange(a.size).reshape(a.shape), indices)
    shape = typeof(positions).shape
    operands = [] if b is None else [structural.broadcast_to(as_array(b), shape)]
    if ufunc is np.add or ufunc is np.subtract:
        change = structural.convert(operands[0], a.dtype)
        total = scatter_add(ravel(change), ravel(positions), shape=(a.size,))
        write(a, UFUNCS[ufunc](a, structural.reshape(total, a.shape)))
        return
    flat = np.reshape(plain(positions, call, "indices"), -1)
    flat_operands = [ravel(v) for v in operands]
    for turn in _turns(flat):
        new = UFUNCS[ufunc](getitem(ravel(a), flat[turn]), *[getitem(v, turn) for v in flat_operands])
        _put_flat(a, new, flat[turn])


def _turns(flat: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """The numbers of the indices in groups, in their order, in which no position is named twice."""
    rest = np.arange(flat.size)
    while rest.size:
        first = np.sort(np.unique(flat[rest], return_index=True)[1])
        yield rest[first]
        rest = np.delete(rest, first)

"""NumPy's functions that write into an array in place: each is refused, with what to write instead.

A traced array cannot be changed, as its other names and views would have to see it; and a plain array cannot hold
traced elements. What a function would leave in the array can always be had as a new array.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from fungrad._util import here
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.dispatch import implements


def _refuse(call: str, instead: str) -> NoReturn:
    raise UnsupportedOperationError(
        f"numpy.{call} at {here()} writes into an array in place: a traced array cannot be changed, and a plain one "
        f"cannot hold traced elements. Instead, {instead}."
    )


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> NoReturn:
    """Refuse: it writes into ``dst``. It is what `numpy.full` and `numpy.full_like` call as well."""
    _refuse(
        "copyto(dst, src)",
        "dst = np.where(mask, src, dst), or np.broadcast_to(src, dst.shape) for all of it. (np.full(shape, x) and "
        "np.full_like(plain, x) call it too: write np.broadcast_to(x, shape) in their place)",
    )


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> NoReturn:
    """Refuse: it writes into ``a``."""
    _refuse("putmask(a, mask, values)", "a = np.where(mask, np.resize(values, a.shape), a) makes a new array")


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> NoReturn:
    """Refuse: it writes into ``arr``."""
    _refuse(
        "place(arr, mask, vals)",
        "arr = np.where(mask, np.take(vals, np.cumsum(mask).reshape(mask.shape) - 1, mode='wrap'), arr) makes a new "
        "array (np.where(mask, value, arr) for a single value)",
    )


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> NoReturn:
    """Refuse: it writes into ``a``."""
    _refuse(
        "put(a, ind, v)",
        "hit = np.arange(a.size) == np.reshape(ind, (-1, 1)) marks the places, and np.where(hit.any(0), v @ hit, "
        "a.ravel()).reshape(a.shape) makes a new array, for vectors ind (without repetition) and v",
    )


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> NoReturn:
    """Refuse: it writes into ``arr``."""
    _refuse(
        "put_along_axis(arr, indices, values, axis)",
        "for one place in each line: np.where(np.arange(arr.shape[-1]) == indices, values, arr) makes a new array, for "
        "the last axis; for the places of all elements: np.take_along_axis(values, np.argsort(indices, axis), axis)",
    )


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> NoReturn:
    """Refuse: it writes into ``a``."""
    _refuse(
        "fill_diagonal(a, val)",
        "a = np.where(np.eye(*a.shape, dtype=bool), val, a) makes a new matrix; a vector of values for the diagonal "
        "goes in as np.expand_dims(val, 1)",
    )

"""Functions of `fungrad.numpy` whose results have as many elements as values decide, or as ``size`` says.

    size          int: the result is cut to this size, or filled up to it
    fill_value    what it is filled up with

They are jax.numpy's arguments. With ``size`` the positions of true elements (`nonzero`, `where`, `compress`, ...) are
found without knowing values, under vmap and make_jaxpr; the set functions need them. Without, all is NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.buffers import unwrapped
from fungrad.core.trace import known_value
from fungrad.numpy.extras import take
from fungrad.numpy.shaping import as_array


def _sized(x: Any, size: int | None, fill: Any, axis: int = 0) -> Any:
    """The array cut to a size along an axis, or filled up to it."""
    if size is None:
        return x
    n = typeof(x).shape[axis]
    index = [slice(None)] * axis
    if n >= size:
        return x[(*index, slice(size))]
    rest = (*typeof(x).shape[:axis], size - n, *typeof(x).shape[axis + 1 :])
    return np.concatenate([x, np.broadcast_to(np.asarray(unwrapped(fill)).astype(typeof(x).dtype), rest)], axis)


def _is_known(x: Any) -> bool:
    return not isinstance(known_value(unwrapped(x)), ShapedArray)


def _true(condition: Any, size: int | None, fill_value: Any) -> tuple[Any, ...]:
    """The indices at which a condition is true: ``size`` of them, which works without values too."""
    condition = as_array(unwrapped(condition))
    if size is None:
        return np.nonzero(condition)
    shape = typeof(condition).shape
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value or 0,) * len(shape)
    if _is_known(condition):
        return tuple([_sized(i, size, f) for i, f in zip(np.nonzero(condition), fills, strict=True)])
    flat = np.ravel(condition != 0)
    order = np.argsort(np.logical_not(flat), stable=True)[:size]
    order = _sized(order, size, 0)
    found = np.arange(size) < np.sum(flat)
    return tuple([np.where(found, i, f) for i, f in zip(np.unravel_index(order, shape), fills, strict=True)])


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Any, ...]:
    """Return the indices of the elements that are not zero, as `numpy.nonzero`."""
    return np.nonzero(a) if size is None else _true(a, size, fill_value)


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the flat positions of the elements that are not zero, as `numpy.flatnonzero`."""
    return np.flatnonzero(a) if size is None else _true(np.ravel(a), size, fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the indices of the elements that are not zero, one row for each, as `numpy.argwhere`."""
    return np.argwhere(a) if size is None else np.stack(_true(a, size, fill_value), 1)


def where(condition: Any, x: Any = None, y: Any = None, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Choose elements of x where a condition is true and of y elsewhere, as `numpy.where`."""
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    return np.where(condition, x, y)


def compress(
    condition: Any, a: Any, axis: int | None = None, out: Any = None, *, size: int | None = None, fill_value: Any = 0
) -> Any:
    """Take the elements along an axis at which a condition is true, as `numpy.compress`."""
    if size is None:
        return np.compress(condition, a, axis, out)
    a, axis = (np.ravel(a), 0) if axis is None else (as_array(unwrapped(a)), axis % np.ndim(a))
    (index,) = _true(condition, size, typeof(a).shape[axis])
    return take(a, index, axis, mode="fill", fill_value=fill_value)


def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """Take the elements at which a condition is true, as `numpy.extract`."""
    return np.extract(condition, arr) if size is None else compress(np.ravel(condition), arr, None, None, size=size)


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
    sorted: bool = True,
) -> Any:
    """Return the different elements, sorted, as `numpy.unique`; filled up with the first one."""
    out = np.unique(ar, return_index, return_inverse, return_counts, axis, equal_nan=equal_nan)  # type: ignore[call-overload]
    if size is None:
        return out
    values, *rest = out if isinstance(out, tuple) else (out,)
    first = values[:1] if axis is None else np.take(values, [0], axis)
    found: list[Any] = [_sized(values, size, first if fill_value is None else fill_value, axis or 0)]
    if return_index:
        index = rest.pop(0)
        found.append(_sized(index, size, index[:1]))
    if return_inverse:
        found.append(rest.pop(0))
    if return_counts:
        found.append(_sized(rest.pop(0), size, 0))
    return tuple(found) if isinstance(out, tuple) else found[0]


def unique_all(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the different elements, their indices, the inverse and the counts, as `numpy.unique_all`."""
    out = np.unique_all(x)
    if size is None:
        return out
    return type(out)(*unique(x, True, True, True, equal_nan=False, size=size, fill_value=fill_value))


def unique_counts(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the different elements and their counts, as `numpy.unique_counts`."""
    out = np.unique_counts(x)
    if size is None:
        return out
    return type(out)(*unique(x, return_counts=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_inverse(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the different elements and the positions of all in them, as `numpy.unique_inverse`."""
    out = np.unique_inverse(x)
    if size is None:
        return out
    return type(out)(*unique(x, return_inverse=True, equal_nan=False, size=size, fill_value=fill_value))


def unique_values(x: Any, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the different elements, as `numpy.unique_values`."""
    return np.unique_values(x) if size is None else unique(x, equal_nan=False, size=size, fill_value=fill_value)


def _of_set(x: Any, size: int | None, fill_value: Any) -> Any:
    if size is None:
        return x
    n = typeof(x).shape[0]
    return _sized(x, size, (x[:1] if n else 0) if fill_value is None else fill_value)


def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Return the elements of either array, as `numpy.union1d`."""
    return _of_set(np.union1d(ar1, ar2), size, fill_value)


def intersect1d(
    ar1: Any,
    ar2: Any,
    assume_unique: bool = False,
    return_indices: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Return the elements that are in both arrays, as `numpy.intersect1d`."""
    out = np.intersect1d(ar1, ar2, assume_unique, return_indices)  # type: ignore[call-overload]
    if not return_indices:
        return _of_set(out, size, fill_value)
    values, first, second = out
    if size is None:
        return out
    ends = typeof(as_array(ar1)).size, typeof(as_array(ar2)).size
    return _of_set(values, size, fill_value), _sized(first, size, ends[0]), _sized(second, size, ends[1])


def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """Return the elements of the first array that are not in the second, as `numpy.setdiff1d`."""
    return _sized(np.setdiff1d(ar1, ar2, assume_unique), size, fill_value or 0)


def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """Return the elements that are in one of the arrays only, as `numpy.setxor1d`."""
    return _sized(np.setxor1d(ar1, ar2, assume_unique), size, fill_value or 0)


def bincount(x: Any, weights: Any = None, minlength: int = 0, *, length: int | None = None) -> Any:
    """Count, or sum the weights of, each integer, as `numpy.bincount`; those from ``length`` on are left out."""
    return np.bincount(x, weights, minlength) if length is None else np.bincount(x, weights, length)[:length]


def repeat(a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None) -> Any:
    """Repeat elements, as `numpy.repeat`; cut to a length, or filled up with the last one."""
    out = np.repeat(a, repeats, axis)
    if total_repeat_length is None:
        return out
    along = axis or 0
    index = np.minimum(np.arange(total_repeat_length), typeof(out).shape[along] - 1)
    return np.take(out, index, along)


def mask_indices(n: int, mask_func: Callable[..., Any], k: Any = 0, *, size: int | None = None) -> tuple[Any, ...]:
    """Return the indices of a triangle or another mask of an n by n matrix, as `numpy.mask_indices`."""
    return tuple([_sized(i, size, 0) for i in np.mask_indices(n, mask_func, k)])

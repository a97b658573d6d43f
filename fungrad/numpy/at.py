"""Updates that leave the array as it is and return a new one: ``x.at[key].set(value)``, as JAX has them.

    x.at[key].set(v)          y = x.copy(); y[key] = v
    x.at[key].add(v)          y = x.copy(); np.add.at(y, key, v)        an element named twice is changed twice
    x.at[key].get()           x[key]

They work on traced arrays and on those that `fungrad.numpy` makes. An index out of bounds is an IndexError, unless a
``mode`` says what becomes of it. Out-of-bounds updates are dropped by pointing them at an element that is put behind
the last one of each axis, and cut off afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.buffers import as_target, traced_leaves, unwrapped
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.creation import copy as _copy_of_traced
from fungrad.numpy.shaping import as_array

MODES = (None, "promise_in_bounds", "clip", "drop", "fill", "wrap")


class IndexUpdates:
    """What ``x.at`` is: ``x.at[key]`` has the updates of the elements that the key selects."""

    __slots__ = ("_x",)

    def __init__(self, x: Any) -> None:
        self._x = x

    def __getitem__(self, key: Any) -> IndexUpdate:
        return IndexUpdate(self._x, key)

    def __repr__(self) -> str:
        return f"IndexUpdates({self._x!r})"


class IndexUpdate:
    """Updates of the elements of an array that a key selects. Each returns a new array of the same shape and dtype.

    All take, besides the value, the keywords of JAX: ``mode``, what becomes of an index out of bounds (None or
    "promise_in_bounds": IndexError, "clip": the nearest, "drop" or "fill": no update, "wrap": modulo the size), and
    ``indices_are_sorted``, ``unique_indices``, which are promises that change nothing.

    Examples
    --------
    >>> import fungrad.numpy as np
    >>> np.zeros(3).at[np.array([0, 2, 2])].add(1.0)
    Array([1., 0., 2.])
    >>> np.zeros(3).at[7].set(1.0, mode="drop")
    Array([0., 0., 0.])
    """

    __slots__ = ("_key", "_x")

    def __init__(self, x: Any, key: Any) -> None:
        self._x = unwrapped(x)
        self._key = unwrapped(key)

    def set(
        self,
        values: Any,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | None = None,
        fill_value: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """Replace the elements."""

        def replace(y: Any, key: Any) -> Any:
            y[key] = values
            return y

        return self._updated(replace, (values,), mode, wrap_negative_indices)

    def add(self, values: Any, **keywords: Any) -> Any:
        """Add to the elements."""
        return self._accumulated(np.add, values, **keywords)

    def subtract(self, values: Any, **keywords: Any) -> Any:
        """Subtract from the elements."""
        return self._accumulated(np.subtract, values, **keywords)

    def multiply(self, values: Any, **keywords: Any) -> Any:
        """Multiply the elements."""
        return self._accumulated(np.multiply, values, **keywords)

    mul = multiply

    def divide(self, values: Any, **keywords: Any) -> Any:
        """Divide the elements; of integers the quotient is cut to an integer."""
        return self._accumulated(np.true_divide, values, **keywords)

    def power(self, values: Any, **keywords: Any) -> Any:
        """Raise the elements to a power."""
        return self._accumulated(np.power, values, **keywords)

    def min(self, values: Any, **keywords: Any) -> Any:
        """Take the minimum of the elements and the values."""
        return self._accumulated(np.minimum, values, **keywords)

    def max(self, values: Any, **keywords: Any) -> Any:
        """Take the maximum of the elements and the values."""
        return self._accumulated(np.maximum, values, **keywords)

    def apply(self, func: Callable[[Any], Any], **keywords: Any) -> Any:
        """Apply a function to the elements, to one that is named twice two times."""
        return self._updated(lambda y, key: _applied(y, key, func), (), **_checked(keywords))

    def get(
        self,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: str | None = None,
        fill_value: Any = None,
        wrap_negative_indices: bool = True,
    ) -> Any:
        """Return the elements.

        Parameters
        ----------
        mode : str, optional
            As above; with "fill" or "drop" an element out of bounds is ``fill_value``.
        fill_value : number, optional
            By default nan, of signed integers the smallest, of unsigned ones the largest, of booleans True.
        """
        key, widths = _in_bounds(self._key, self._x.shape, mode, wrap_negative_indices)
        if not any(widths):
            return self._x[key]
        fill = _fill_of(self._x.dtype) if fill_value is None else fill_value
        return _padded(self._x, widths, fill)[key]

    def _accumulated(self, ufunc: np.ufunc, values: Any, **keywords: Any) -> Any:
        values = unwrapped(values)

        def change(y: Any, key: Any) -> Any:
            return _change_at(ufunc, y, key, values)

        return self._updated(change, (values,), **_checked(keywords))

    def _updated(
        self, update: Callable[[Any, Any], Any], values: Any, mode: str | None, wrap_negative_indices: bool
    ) -> Any:
        shape = self._x.shape
        key, widths = _in_bounds(self._key, shape, mode, wrap_negative_indices)
        x = _padded(self._x, widths, 0) if any(widths) else self._x
        y = update(as_target(_copied(x), key, *values), key)
        if any(widths):
            y = y[tuple([slice(n) for n in shape])]
            return _copied(y)
        return unwrapped(y)


def _checked(keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords that matter; a TypeError for those that no update has."""
    for name in keywords:
        if name not in ("indices_are_sorted", "unique_indices", "mode", "fill_value", "wrap_negative_indices"):
            raise TypeError(f"x.at[...]: unexpected keyword argument {name!r}")
    return {
        "mode": keywords.get("mode"),
        "wrap_negative_indices": keywords.get("wrap_negative_indices", True),
    }


def _copied(x: Any) -> Any:
    if type(x) is Tracer:
        return _copy_of_traced(x)
    return x.copy("K")  # of an Array an Array


def _change_at(ufunc: np.ufunc, y: Any, key: Any, values: Any) -> Any:
    """``ufunc.at``; in another dtype where the result does not fit into that of y, and cast back."""
    dtype = y.dtype
    if isinstance(y, Tracer):
        traced: Any = y
        if ufunc not in (np.add, np.subtract) and _is_one(key):
            traced[key] = ufunc(traced[key], values)  # whose place need not be known
        else:
            ufunc.at(traced, key, values)
        return y
    computed = ufunc(np.ones(1, dtype), values).dtype
    if computed == dtype or np.can_cast(computed, dtype, "same_kind"):
        ufunc.at(y, key, values)
        return y
    wide = y.astype(computed)
    ufunc.at(wide, key, values)
    return wide.astype(dtype)


def _is_one(key: Any) -> bool:
    """Whether a key selects no element twice, whatever its traced values are."""
    items = key if isinstance(key, tuple) else (key,)
    arrays = [i for i in items if i is not None and i is not Ellipsis and not isinstance(i, (slice, bool, np.bool_))]
    return all(typeof(as_array(i)).size == 1 or typeof(as_array(i)).dtype.kind == "b" for i in arrays)


def _applied(y: Any, key: Any, func: Callable[[Any], Any]) -> Any:
    if _is_one(key):
        y[key] = func(y[key])
        return y
    if any(type(known_value(t)) is not np.ndarray for t in traced_leaves(key)):
        raise ConcretizationTypeError(
            f"x.at[i].apply at {here()}: the values of a traced index array are not known, and so not which elements "
            "it names twice. Write x.at[i].set(f(x[i])) if it names each once."
        )
    counts = np.zeros(y.shape, int)
    np.add.at(counts, key, 1)
    for turn in range(counts.max(initial=0)):
        mask = counts > turn
        value = func(y[mask])
        y = as_target(y, value)
        y[mask] = value
    return y


# Indices out of bounds


def _in_bounds(key: Any, shape: tuple[int, ...], mode: str | None, wrap_negative: bool) -> tuple[Any, list[bool]]:
    """The key with indices as the mode makes them; which axes need an element behind the last one for the dropped."""
    widths = [False] * len(shape)
    if mode not in MODES:
        raise ValueError(f"x.at[...] at {here()}: mode is one of {', '.join(map(repr, MODES))}, got {mode!r}")
    if mode in (None, "promise_in_bounds") and wrap_negative:
        return key, widths
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum([_axes_of(item) for item in items])
    axis = 0
    for k, item in enumerate(items):
        if item is Ellipsis:
            axis += len(shape) - used
        elif isinstance(item, slice) or item is None or not _is_integer(item):
            axis += _axes_of(item)
        elif axis < len(shape):
            items[k], widths[axis] = _bounded(as_array(item), shape[axis], mode, wrap_negative)
            axis += 1
    return tuple(items), widths


def _axes_of(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, slice) or _is_integer(item):
        return 1
    return len(typeof(as_array(item)).shape)


def _is_integer(item: Any) -> bool:
    return typeof(as_array(item)).dtype.kind in "iu" or (isinstance(item, (list, tuple)) and not item)


def _bounded(index: Any, n: int, mode: str | None, wrap_negative: bool) -> tuple[Any, bool]:
    if mode == "wrap":
        return np.mod(index, n), False
    index = np.where(index < 0, index + n, index) if wrap_negative else index
    if mode == "clip":
        return np.clip(index, 0, n - 1), False
    outside = np.logical_or(index < 0, index >= n)
    if type(known_value(outside)) is not Tracer and isinstance(outside, (np.ndarray, np.bool_)) and not np.any(outside):
        return index, False
    if mode in ("drop", "fill"):
        return np.where(outside, n, index), True
    if isinstance(outside, (np.ndarray, np.bool_)):
        raise IndexError(f"index is out of bounds for axis with size {n}, negative indices are not wrapped")
    return index, False


def _padded(x: Any, widths: list[bool], fill: Any) -> Any:
    padded = np.pad(x, [(0, int(w)) for w in widths], constant_values=fill)
    return padded.view(type(x)).view() if isinstance(padded, np.ndarray) else padded


def _fill_of(dtype: np.dtype[Any]) -> Any:
    if is_inexact(dtype):
        return np.nan
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if dtype.kind == "u" else np.iinfo(dtype).min


__all__ = ["MODES", "IndexUpdate", "IndexUpdates"]

"""Memory of large results, used again once nobody refers to it.

A result that the caller has let go of leaves memory that the next call can write into: fresh memory costs a page fault
for every 4 KiB, often more than computing what stands in it. A result is a view of an array that is kept here; every
view of a result refers to that array too, so its reference count tells whether any is left. Where reference counts
cannot be trusted (Python without the global lock) results are always new.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

SMALLEST, LARGEST = 1 << 16, 1 << 28
"""Bytes of results that are kept: smaller ones come from memory that is in use already, larger ones are too many."""

KEPT = 3


def _count(kept: list[Any]) -> int:
    array = kept.pop()
    count = sys.getrefcount(array)
    kept.append(array)
    return count


def _calibrated() -> int:
    """What `_count` gives for an array that nothing else refers to; -1, which never is, without the global lock."""
    locked: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return _count([np.empty(1)]) if locked() else -1


_ALONE = min(_calibrated(), 2)  # a debugger that looks on while this is imported adds to the count


class Results:
    """The memory of one result of a program."""

    __slots__ = ("_dtype", "_kept", "_shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape = shape
        self._dtype = dtype
        self._kept: list[np.ndarray[Any, Any]] = []

    def __call__(self) -> np.ndarray[Any, Any]:
        """An array to write the result into."""
        kept = self._kept
        for _ in range(len(kept)):
            try:
                array = kept.pop(0)  # nobody else sees it until it is put back
            except IndexError:  # another thread was quicker
                break
            if sys.getrefcount(array) == _ALONE:
                result = array[...]
                kept.append(array)
                return result
            kept.append(array)
        array = np.empty(self._shape, self._dtype)
        if len(kept) >= KEPT or _ALONE < 0:
            return array
        result = array[...]
        kept.append(array)
        return result


class Stacks:
    """The memory of what a loop stacks, for any number of rows."""

    __slots__ = ("_by_length", "_dtype", "_row_bytes", "_shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._shape = shape
        self._dtype = dtype
        self._row_bytes = math.prod(shape) * dtype.itemsize
        self._by_length: dict[int, Results] = {}

    def __call__(self, length: int) -> np.ndarray[Any, Any]:
        """An array for so many rows."""
        if not SMALLEST <= length * self._row_bytes <= LARGEST:
            return np.empty((length, *self._shape), self._dtype)
        found = self._by_length.get(length)
        if found is None:
            if len(self._by_length) >= KEPT:
                self._by_length.clear()
            found = self._by_length.setdefault(length, Results((length, *self._shape), self._dtype))
        return found()

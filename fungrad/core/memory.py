"""Who may write into which memory.

NumPy arrays can be changed in place; what a recording keeps and what a transform returns must not change with them.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np


def snapshot(x: Any) -> Any:
    """A constant as it is now.

    What a recording keeps of a constant is read later, when the user's program may have overwritten a NumPy array that
    it reuses as a buffer. So arrays are copied, unless they and the arrays that they are views of are read-only.
    """
    if type(x) is not np.ndarray:
        return x
    base: Any = x
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return _copy(x)
        base = base.base
    return x


def _copy(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy; of a broadcast array only what is stored."""
    if 0 not in x.strides:
        return x.copy(order="K")
    stored = x[tuple([slice(0, 1) if stride == 0 else slice(None) for stride in x.strides])]
    return np.broadcast_to(stored.copy(order="K"), x.shape)


def copied(x: Any) -> Any:
    """An array of the caller's own; anything else as it is."""
    return x.copy(order="K") if type(x) is np.ndarray else x


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays hold the same bits (nan equals itself)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if not (a.flags.c_contiguous and b.flags.c_contiguous):
        return np.array_equal(a, b)
    word = np.uint64 if a.itemsize % 8 == 0 else np.uint8
    return np.array_equal(a.reshape(-1).view(word), b.reshape(-1).view(word))


class Snapshots:
    """The snapshots of one recording: one for each array, as long as it has not changed since the last."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[int, tuple[weakref.ref[Any], np.ndarray[Any, Any]]] = {}

    def take(self, x: Any) -> Any:
        """`snapshot`, or the one that was taken of this array before."""
        if type(x) is not np.ndarray or 0 in x.strides:
            return snapshot(x)
        known = self._taken.get(id(x))
        if known is not None and _same(known[1], x) and known[0]() is x:
            return known[1]
        copy = snapshot(x)
        if copy is not x:
            self._taken[id(x)] = (weakref.ref(x), copy)
        return copy


def own(results: list[Any], given: Sequence[Any]) -> list[Any]:
    """Results that the caller may write into: no two share memory, nor one with what was given, and none is read-only.

    A rule may return its cotangent as it is, or a view of it.
    """
    taken = {id(_root(x)) for x in given if type(x) is np.ndarray}
    owned = []
    for x in results:
        if type(x) is np.ndarray:
            root = id(_root(x))
            if root in taken or not x.flags.writeable:
                x = x.copy(order="K")
            taken.add(root)
        owned.append(x)
    return owned


def _root(x: np.ndarray[Any, Any]) -> Any:
    """The object whose memory an array shows."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x

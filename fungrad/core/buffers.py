"""Arrays that turned into traced ones: what `fungrad.numpy.zeros` returned, after a traced value was assigned to it.

A `TracedBuffer` is the same Python object as before, so that every name that it has sees the assignment. What it stands
for is the tracer in its slot; everything that is asked of it is asked of that (attached in ``fungrad.numpy.arrays``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.trace import Tracer


class TracedBuffer(np.ndarray[Any, Any]):
    """An ndarray that stands for the traced array in its slot ``traced``; its own memory says nothing."""

    __slots__ = ("traced",)
    traced: Tracer


def unwrapped(x: Any) -> Any:
    """The argument with the tracers of buffers in their place, in nested lists, tuples and dicts too."""
    kind = type(x)
    if kind is TracedBuffer:
        return x.traced
    if kind is list:
        return [unwrapped(v) for v in x]
    if kind is tuple:
        return tuple([unwrapped(v) for v in x])
    if kind is dict:
        return {k: unwrapped(v) for k, v in x.items()}
    return x


def traced_leaves(x: Any) -> list[Tracer]:
    """The traced arrays in an argument: itself, in nested lists and tuples, in an object array."""
    kind = type(x)
    if kind is Tracer:
        return [x]
    if kind is TracedBuffer:
        return [x.traced]
    if kind is list or kind is tuple:
        return [t for v in x for t in traced_leaves(v)]
    if isinstance(x, np.ndarray) and x.dtype.hasobject:
        return [t for v in x.flat for t in traced_leaves(v)]
    return []


def as_target(x: Any, *values: Any) -> Any:
    """What a function writes into: a tracer for an array that can become one to take traced values, else x itself."""
    become = getattr(x, "become_traced", None)
    if become is not None and traced_leaves(values):
        become(values)
    return x.traced if type(x) is TracedBuffer else x

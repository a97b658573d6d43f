"""Who may write into which memory.

NumPy arrays can be changed in place; what a recording keeps and what a transform returns must not change with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def snapshot(x: Any) -> Any:
    """A constant as it is now.

    What a recording keeps of a constant is read later, when the user's program may have overwritten a NumPy array that it
    reuses as a buffer. So arrays are copied, unless they and the arrays that they are views of are read-only.
    """
    if type(x) is not np.ndarray:
        return x
    base: Any = x
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return x.copy()
        base = base.base
    return x


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
                x = x.copy()
            taken.add(root)
        owned.append(x)
    return owned


def _root(x: np.ndarray[Any, Any]) -> Any:
    """The object whose memory an array shows."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x

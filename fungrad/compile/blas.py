"""Keep BLAS to one thread while several of ours multiply.

NumPy's OpenBLAS has threads of its own that wait for each other in busy loops. Where ours multiply parts at the
same time, or another process has one of the cores, that costs more than it gains (a hundred times the work itself has
been seen). So compiled programs divide products among their own threads, and OpenBLAS is told to use one in the
meantime. Where it cannot be told (another BLAS), products are left whole, to it.
"""

from __future__ import annotations

import ctypes
import glob
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

_NAMES = [
    (f"{prefix}_set_num_threads{suffix}", f"{prefix}_get_num_threads{suffix}")
    for prefix in ("scipy_openblas", "openblas")
    for suffix in ("64_", "_64", "")
]

_lock = threading.Lock()
_users = 0
_before = 1


@cache
def _find() -> tuple[Callable[[int], Any], Callable[[], int]] | None:
    """The functions of the OpenBLAS that NumPy brought, which set and get its number of threads."""
    package = os.path.dirname(os.path.abspath(np.__file__))
    for folder in (os.path.join(os.path.dirname(package), "numpy.libs"), os.path.join(package, ".dylibs")):
        for path in glob.glob(os.path.join(folder, "*openblas*")):
            try:
                library = ctypes.CDLL(path)
            except OSError:
                continue
            for set_name, get_name in _NAMES:
                if hasattr(library, set_name):
                    return getattr(library, set_name), getattr(library, get_name)
    return None


def can_limit() -> bool:
    """Whether BLAS can be told how many threads to use."""
    return _find() is not None


class _OneThread:
    """A context manager by hand: one of `contextlib` takes as long as a small product."""

    __slots__ = ()

    def __enter__(self) -> None:
        global _users, _before
        functions = _find()
        if functions is None:
            return
        with _lock:
            if not _users:
                _before = functions[1]()
                if _before != 1:
                    functions[0](1)
            _users += 1

    def __exit__(self, *error: object) -> None:
        global _users
        functions = _find()
        if functions is None:
            return
        with _lock:
            _users -= 1
            if not _users and _before != 1:
                functions[0](_before)


one_thread = _OneThread()
"""Within it BLAS uses one thread for each call; what it used before is restored by the last one that leaves."""

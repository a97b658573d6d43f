"""On which cores threads run, where the system tells (Linux).

current_core : () -> the core that runs this thread
keep_off     : threads, core -> ()
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Sequence


def _find_current_core() -> Callable[[], int | None]:
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError, AttributeError):
            # PyDLL: the call is too short to let go of Python's lock for it.
            return ctypes.PyDLL(None).sched_getcpu  # type: ignore[no-any-return]
    return lambda: None


current_core = _find_current_core()
"""The number of the core that runs this thread, or None where that is not known."""


def keep_off(threads: Sequence[int], core: int | None) -> None:
    """Let threads (by their native identifiers) run on all cores that this thread may use but one.

    Where that is the only one, or the system refuses, they run as before.
    """
    if core is None or sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        others = os.sched_getaffinity(0) - {core}
        for thread in threads if others else ():
            os.sched_setaffinity(thread, others)


def stay(core: int | None) -> set[int] | None:
    """Keep this thread on the core that runs it; the cores that it could use before, or None if there was no other."""
    if core is None or sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        before = os.sched_getaffinity(0)
        if len(before) > 1:
            os.sched_setaffinity(0, {core})
            return before
    return None


def may_use(cores: set[int] | None) -> None:
    """Let this thread run on these cores again."""
    if cores is not None and sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)

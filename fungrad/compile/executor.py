"""Run blocks on threads, and keep the memory of programs between calls.

NumPy lets go of Python's global lock inside its loops, so that blocks of arrays run at the same time. What a thread
computes does not depend on how many there are: the blocks are the same, and parts are combined in their order.
"""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_lock = threading.Lock()
_pools: dict[int, tuple[int, ThreadPoolExecutor]] = {}


def thread_count() -> int:
    """Threads to use: ``FUNGRAD_NUM_THREADS``, by default the cores that this process may use."""
    wanted = os.environ.get("FUNGRAD_NUM_THREADS", "")
    if wanted:
        try:
            count = int(wanted)
        except ValueError:
            count = 0
        if count < 1:
            raise ValueError(f"FUNGRAD_NUM_THREADS must be a positive integer, got {wanted!r}")
        return count
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pool(count: int) -> ThreadPoolExecutor:
    """The pool of this process: threads do not survive a fork."""
    known = _pools.get(os.getpid())
    if known is None or known[0] < count:
        with _lock:
            known = _pools.get(os.getpid())
            if known is None or known[0] < count:
                _pools.clear()
                known = _pools[os.getpid()] = count, ThreadPoolExecutor(count, "fungrad")
    return known[1]


def run_blocks(loop: Callable[..., Any], chunks: int, scratch: Sequence[Any], *arrays: Any) -> None:
    """Call ``loop(first, last, scratch, *arrays)`` for parts of ``range(chunks)``, one part for each scratch memory."""
    parts = min(len(scratch), chunks)
    if parts == 1:
        loop(0, chunks, scratch[0], *arrays)
        return
    bounds = [chunks * k // parts for k in range(parts + 1)]
    pool = _pool(parts - 1)
    waiting = [
        # NumPy's errstate is a context variable.
        pool.submit(contextvars.copy_context().run, loop, bounds[k], bounds[k + 1], scratch[k], *arrays)
        for k in range(1, parts)
    ]
    try:
        loop(0, bounds[1], scratch[0], *arrays)
    finally:
        for future in waiting:
            future.exception()
    for future in waiting:
        future.result()

"""Run blocks on threads, and keep the memory of programs between calls.

NumPy lets go of Python's global lock inside its loops, so that blocks of arrays run at the same time. What a thread
computes does not depend on how many there are: the blocks are the same, and parts are combined in their order.
"""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fungrad.compile.blas import one_thread

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


def run_blocks(loop: Callable[..., Any], chunks: int, scratch: Sequence[Any], multiplies: bool, *arrays: Any) -> None:
    """Call ``loop(first, last, scratch, *arrays)`` for parts of ``range(chunks)``, one part for each scratch memory.

    ``multiplies``: whether it calls BLAS.
    """
    count = min(len(scratch), chunks)
    tasks = [functools.partial(loop, *_part(chunks, k, count), scratch[k], *arrays) for k in range(count)]
    if multiplies:
        with one_thread():
            _run_together(tasks)
    else:
        _run_together(tasks)


def run_parts(work: Callable[[int, int], Any], parts: int, threads: int) -> None:
    """Call ``work(first, last)`` for consecutive pieces of ``range(parts)``, one for each thread."""
    count = min(threads, parts)
    _run_together([functools.partial(work, *_part(parts, k, count)) for k in range(count)])


def _part(total: int, k: int, count: int) -> tuple[int, int]:
    return total * k // count, total * (k + 1) // count


def _run_together(tasks: Sequence[Callable[[], Any]]) -> None:
    if len(tasks) == 1:
        tasks[0]()
        return
    pool = _pool(len(tasks) - 1)
    # NumPy's errstate is a context variable.
    waiting = [pool.submit(contextvars.copy_context().run, task) for task in tasks[1:]]
    try:
        tasks[0]()
    finally:
        for future in waiting:
            future.exception()
    for future in waiting:
        future.result()

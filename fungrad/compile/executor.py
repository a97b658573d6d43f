"""Run blocks on threads, and keep the memory of programs between calls.

NumPy lets go of Python's global lock inside its loops, so that blocks of arrays run at the same time. What a thread
computes does not depend on how many there are: the blocks are the same, and parts are combined in their order.

The parts of a job are taken one by one by whoever is free. The thread that calls works too, and does not wait for
helpers that have not begun: where another process has the other core, it does all of the job itself.

A job lasts some ten to some thousand microseconds, too short for the operating system to spread threads: it often wakes
a helper on the core of the thread that woke it, or moves that thread to the helper's when it has to wait for it. So
helpers are kept off that core (`cores`), and the thread that calls stays on it as long as the job lasts.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from fungrad.compile.blas import one_thread
from fungrad.compile.cores import current_core, keep_off, may_use, stay


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


def _nothing(part: int, helper: int) -> None:
    """The work of a job that is done."""


class _Job:
    """Parts of a computation that any thread may take: ``work(k, helper)`` for each part k, by helper 0, 1, ..."""

    def __init__(self, work: Callable[[int, int], Any], parts: int) -> None:
        self._work: Callable[[int, int], Any] = work
        self._parts = parts
        self._take = itertools.count().__next__
        self._lock = threading.Lock()
        self._running = 0
        self._closed = False
        self._done = threading.Lock()
        self._done.acquire()
        self._error: BaseException | None = None

    def run(self, helper: int) -> None:
        """Take parts until there are none."""
        work, take, parts = self._work, self._take, self._parts
        while (k := take()) < parts:
            work(k, helper)

    def help(self, helper: int) -> None:
        """The same in another thread, unless the job is done."""
        with self._lock:
            if self._closed:
                return
            self._running += 1
        finished = False
        try:
            self.run(helper)
            finished = True
        finally:
            if not finished:
                self._error = sys.exception()  # for the thread that waits
            with self._lock:
                self._running -= 1
                if self._closed and not self._running:
                    self._done.release()

    def finish(self) -> None:
        """Refuse new helpers and wait for those that have begun."""
        with self._lock:
            self._closed = True
            waits = self._running > 0
        if waits:
            self._done.acquire()
        self._work = _nothing  # a helper that has not yet woken up must not keep the arrays
        if self._error is not None:
            raise self._error


class _Helpers:
    """Threads that wait for jobs."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._threads: list[int] = []
        self._free_core: int | None = None
        self._lock = threading.Lock()

    def ask(self, job: _Job, helpers: int, core: int | None) -> None:
        """Let this many helpers take parts of the job, on other cores than this one."""
        if len(self._threads) < helpers or core != self._free_core:
            with self._lock:
                self._prepare(helpers, core)
        for k in range(1, helpers + 1):
            # NumPy's errstate is a context variable.
            self._queue.put(functools.partial(contextvars.copy_context().run, job.help, k))

    def _prepare(self, helpers: int, core: int | None) -> None:
        """Start helpers until there are enough, and keep them off a core."""
        while len(self._threads) < helpers:
            thread = threading.Thread(target=self._serve, name="fungrad", daemon=True)
            thread.start()
            self._threads.append(thread.native_id or 0)
        keep_off(self._threads, core)
        self._free_core = core

    def _serve(self) -> None:
        get = self._queue.get
        while True:
            # The error of a part is raised where it is waited for.
            with contextlib.suppress(Exception):
                get()()


_helpers: dict[int, _Helpers] = {}


def _run(work: Callable[[int, int], Any], parts: int, threads: int) -> None:
    """Run a job on this thread and helpers."""
    if threads == 1 or parts == 1:
        for k in range(parts):
            work(k, 0)
        return
    helpers = _helpers.get(os.getpid())  # threads do not survive a fork
    if helpers is None:
        helpers = _helpers.setdefault(os.getpid(), _Helpers())
    job, core = _Job(work, parts), current_core()
    helpers.ask(job, min(threads, parts) - 1, core)
    cores = stay(core)
    try:
        job.run(0)
    finally:
        try:
            job.finish()
        finally:
            may_use(cores)


def run_blocks(loop: Callable[..., Any], parts: int, scratch: Sequence[Any], multiplies: bool, *arrays: Any) -> None:
    """Call ``loop(part, scratch, *arrays)`` for each part, on as many threads as there are scratch memories.

    ``multiplies``: whether it calls BLAS.
    """

    def work(part: int, helper: int) -> None:
        loop(part, scratch[helper], *arrays)

    if multiplies:
        with one_thread:
            _run(work, parts, len(scratch))
    else:
        _run(work, parts, len(scratch))


def run_parts(work: Callable[[int], Any], parts: int, threads: int) -> None:
    """Call ``work(part)`` for each part."""
    _run(lambda part, helper: work(part), parts, threads)

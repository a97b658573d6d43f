"""Bodies of loops and branches capture what is done in them, also with values of the outside alone.

    capturing : outer recordings, body -> context

A body may run never, or many times: the square root of a value that a branch closes over is to be taken in the branch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fungrad.core.trace import Recording


class Captured(NamedTuple):
    """What a recording is while the body of a loop or a branch is recorded: operations on its tracers belong there."""

    thread: int
    body: Recording
    abstract: bool  # what it is otherwise
    before: Captured | None


@contextmanager
def capturing(recordings: Iterable[Recording], body: Recording) -> Iterator[None]:
    """Record in ``body`` what this thread does with tracers of these recordings.

    A body may run never, or many times: also what it does with values of the outside alone is its own. Meanwhile the
    recordings look abstract, which leads their operations to `record_abstract`.
    """
    thread = threading.get_ident()
    outer = list(recordings)
    for r in outer:
        r.captured = Captured(thread, body, r.abstract, r.captured)
        r.abstract = True
    try:
        yield
    finally:
        for r in outer:
            assert r.captured is not None
            r.abstract, r.captured = r.captured.abstract, r.captured.before

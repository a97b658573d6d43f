"""Calls of a program that may write into some of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from fungrad._util import collection_paused
from fungrad.compile.donated import build_donated
from fungrad.compile.executable import Executable
from fungrad.control.call import Program

_ndarray = np.ndarray


class Donation:
    """A program, and which of its arguments the caller does not need any more.

    Where one of them cannot be written into (it is read-only, not in C order, or overlaps with another argument), the
    program runs as it does without donation.
    """

    def __init__(self, program: Program, donated: Sequence[int]) -> None:
        self.program = program
        self.donated = tuple([k for k in donated if program.in_avals[k].shape])
        self._constants = [c for c in program.closed.consts if type(c) is _ndarray and c.size]

    def executable(self) -> Executable:
        """The compiled form that writes into its arguments."""
        return self.program.once(("donated", self.donated), self._compiled)  # type: ignore[no-any-return]

    def _compiled(self) -> Executable:
        with collection_paused():
            return build_donated(self.program.optimized(), self.program.name, self.donated)

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute, on arrays."""
        if not self._usable(arrays):
            return self.program.run(*arrays)
        return self.executable().run(*arrays)

    def _usable(self, arrays: Sequence[Any]) -> bool:
        """Whether all donated arguments can be written into, and overlap with nothing else."""
        for k in self.donated:
            x = arrays[k]
            if type(x) is not _ndarray or not x.flags.carray:
                return False
        others = [x for x in (*arrays, *self._constants) if type(x) is _ndarray]
        if all(x.base is None for x in others) and len({id(x) for x in others}) == len(others):
            return True  # each has memory of its own
        return self._apart(arrays)

    def _apart(self, arrays: Sequence[Any]) -> bool:
        """Whether the bounds in memory of donated arguments overlap with no others."""
        places = [(*byte_bounds(c), False) for c in self._constants]
        places += [(*byte_bounds(x), k in self.donated) for k, x in enumerate(arrays) if type(x) is _ndarray and x.size]
        places.sort()
        end = end_of_donated = 0
        for start, stop, is_donated in places:
            if start < (end if is_donated else end_of_donated):
                return False
            end = max(end, stop)
            if is_donated:
                end_of_donated = stop
        return True

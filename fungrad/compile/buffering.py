"""How far NumPy reads ahead: the size of the buffers of its loops, where that decides their speed.

Arrays whose rows do not follow one another in memory (slices of matrices), or that are broadcast along rows, are copied
piece by piece into buffers of 8192 elements, unless a row is about as long as a buffer. That is right for short rows.
For rows of some hundred elements it takes twice the time of the work itself: the difference of two views of 256 x 255
elements takes 28 us, and 15 us where buffers are too small to hold two rows. So a program in which such equations
prevail is run with small buffers. Results do not depend on it, up to the order of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.compile.schedule import scattered
from fungrad.core.ir import Equation, Var
from fungrad.core.lowering import VIEW

BUFFER = 256
"""Elements of a small buffer: long enough for the conversions of mixed dtypes."""

USUAL = 8192
SHORTEST_SCATTERED, SHORTEST_BROADCAST = 128, 192
"""Elements of a row from which on small buffers are faster."""

SMALLEST = 1 << 12
"""Elements of an array that are looked at."""

GAIN_SCATTERED, GAIN_BROADCAST, LOSS_REDUCED = 0.2, 0.07, 0.05
"""Nanoseconds an element."""

WORTH = 5e3
"""Nanoseconds from which on it pays: to set and restore the size takes 1600."""


def _gain(eqn: Equation, apart: set[Var]) -> float:
    """The nanoseconds that small buffers save in an equation."""
    aval = max([a.aval for a in (*eqn.inputs, *eqn.outputs)], key=lambda a: a.size)
    lowering = eqn.primitive.lowering
    if aval.size < SMALLEST or aval.ndim < 2 or aval.shape[-1] >= USUAL // 2 or lowering.memory == VIEW:
        return 0.0
    row = aval.shape[-1]
    if "axes" in eqn.params:
        return -LOSS_REDUCED * aval.size if row >= SHORTEST_SCATTERED else 0.0
    if not (lowering.pointwise or lowering.updates):
        return 0.0
    if lowering.updates:
        aval = eqn.inputs[-1].aval
        return GAIN_SCATTERED * aval.size if aval.ndim > 1 and aval.shape[-1] >= SHORTEST_SCATTERED else 0.0
    if any(v in apart for v in eqn.inputs):
        return GAIN_SCATTERED * aval.size if row >= SHORTEST_SCATTERED else 0.0
    if row >= SHORTEST_BROADCAST and any(a.aval.ndim > 0 and a.aval.size < aval.size for a in eqn.inputs):
        return GAIN_BROADCAST * aval.size
    return 0.0


def wants_small_buffers(eqns: Sequence[Equation]) -> bool:
    """Whether a program is faster with small buffers."""
    if not any(v.aval.size >= SMALLEST and v.aval.ndim > 1 for e in eqns for v in e.outputs):
        return False
    apart = scattered(eqns)
    return sum([_gain(e, apart) for e in eqns if not e.primitive.multiple]) > WORTH


def with_small_buffers(program: Callable[..., Any]) -> Callable[..., Any]:
    """The program, run with small buffers."""

    def call(*args: Any) -> Any:
        before = np.setbufsize(BUFFER)
        try:
            return program(*args)
        finally:
            np.setbufsize(before)

    return call

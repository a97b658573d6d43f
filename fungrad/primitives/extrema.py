"""The larger and the smaller of two values, and clipping between two.

Where the operands are equal each has half of the derivative: of the directional derivatives there the mean, and
symmetric in the operands. The others differ in what they do with nan: maximum and minimum hand it on, fmax and fmin
take the other operand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.core.trace import Tracer
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.comparison import equal
from fungrad.primitives.selection import where


def _share(t: Any, x: Any, other: Any, out: Any) -> Any:
    """All of t where the result is x, half of it where it is the other one too, else 0."""
    tied = equal(x, other)
    if _may_hold(tied):
        t = where(tied, mul(t, 0.5), t)
    return where(equal(x, out), t, 0)


def _may_hold(condition: Any) -> bool:
    """False if a condition is known to hold nowhere: ties are rare, and two passes over large arrays are saved."""
    if type(condition) is Tracer:
        return True
    return bool(condition.any() if type(condition) is np.ndarray else condition)


maximum_p = Elementwise(
    "maximum",
    np.maximum,
    lambda t, x, y, out: _share(t, x, y, out),
    lambda t, x, y, out: _share(t, y, x, out),
    scalar="{0} if {0} > {1} or {0} != {0} else {1}",  # nan is handed on; of equal ones NumPy takes the second
)
maximum = maximum_p.function

minimum_p = Elementwise(
    "minimum",
    np.minimum,
    lambda t, x, y, out: _share(t, x, y, out),
    lambda t, x, y, out: _share(t, y, x, out),
    scalar="{0} if {0} < {1} or {0} != {0} else {1}",  # nan is handed on; of equal ones NumPy takes the second
)
minimum = minimum_p.function

fmax_p = Elementwise(
    "fmax", np.fmax, lambda t, x, y, out: _share(t, x, y, out), lambda t, x, y, out: _share(t, y, x, out)
)
fmax = fmax_p.function

fmin_p = Elementwise(
    "fmin", np.fmin, lambda t, x, y, out: _share(t, x, y, out), lambda t, x, y, out: _share(t, y, x, out)
)
fmin = fmin_p.function


def clip(x: Any, low: Any, high: Any) -> Any:
    """``minimum(maximum(x, low), high)``; a bound of None is no bound. At a bound x has half of the derivative."""
    if low is not None:
        x = maximum(x, low)
    return x if high is None else minimum(x, high)

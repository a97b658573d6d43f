"""NumPy's one special function: i0, the modified Bessel function of order 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array
from fungrad.primitives.special import bessel


@implements(np.i0)
def i0(x: Any) -> Any:
    """Return the modified Bessel function of the first kind of order 0.

    Its derivative is I_1(x) (DLMF 10.29.3), of every order finite also at 0.

    Raises
    ------
    TypeError
        For complex numbers, as NumPy's.
    """
    x = as_array(x)
    if typeof(x).dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    return bessel.i0(x)

"""The parts of complex numbers.

Conventions for complex derivatives: a tangent map is linear over the reals, its transpose is plain (without
conjugation), and where a real result comes of a complex operand the rule's product stands for its real part
(jvp) or for itself (transpose). So for real(z) the partial is 1 and for imag(z) it is -1j, since
Im(t) = Re(-1j t).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, mul

real_p = Elementwise("real", np.real, lambda t: t)
imag_p = Elementwise("imag", np.imag, lambda t: mul(t, -1j))
conj_p = Elementwise("conj", np.conjugate, lambda t: conj(t))


def is_complex(x: Any) -> bool:
    """Whether x has a complex dtype."""
    return typeof(x).dtype.kind == "c"


def real(x: Any) -> Any:
    """The real part; a real array is returned as it is."""
    return real_p.function(x) if is_complex(x) else x


def imag(x: Any) -> Any:
    """The imaginary part; zeros for a real array."""
    return imag_p.function(x) if is_complex(x) else np.zeros(typeof(x).shape, typeof(x).dtype)[()]


def conj(x: Any) -> Any:
    """The complex conjugate; a real array is returned as it is."""
    return conj_p.function(x) if is_complex(x) else x

"""The parts of complex numbers.

Conventions for complex derivatives: a tangent map is linear over the reals, its transpose is plain (without
conjugation), and where a real result comes of a complex operand the rule's product stands for its real part
(jvp) or for itself (transpose). So for real(z) the partial is 1 and for imag(z) it is -1j, since
Im(t) = Re(-1j t). In the same way the angle, Im(log z), has -1j / z, and the modulus has conj(z) / |z|.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, mul

_REAL_SCALARS = (float, np.float64)


def is_complex(x: Any) -> bool:
    """Whether x has a complex dtype."""
    return type(x) not in _REAL_SCALARS and typeof(x).dtype.kind == "c"


def _scalar(part: Any) -> Any:
    return part[()] if type(part) is np.ndarray else part  # .real of a 0-d array is a 0-d array


real_p = Elementwise("real", lambda x: _scalar(np.real(x)), lambda t: t)


def real(x: Any) -> Any:
    """The real part; a real array is returned as it is."""
    return real_p.function(x) if is_complex(x) else x


imag_p = Elementwise("imag", lambda x: _scalar(np.imag(x)), lambda t: mul(t, -1j))


def imag(x: Any) -> Any:
    """The imaginary part; zeros for a real array."""
    return imag_p.function(x) if is_complex(x) else np.zeros(typeof(x).shape, typeof(x).dtype)[()]


conj_p = Elementwise("conj", np.conjugate, lambda t: conj(t))


def conj(x: Any) -> Any:
    """The complex conjugate; a real array is returned as it is."""
    return conj_p.function(x) if is_complex(x) else x


# angle: in (-pi, pi], for complex arrays; at z = 0 it has no derivative (nan)

angle_p = Elementwise("angle", np.angle, lambda t, x: div(mul(t, -1j), x))
angle = angle_p.function

# complex: of two real parts, also infinite ones, which x + 1j * y would make nan of


def _complex(x: Any, y: Any) -> Any:
    strong = [a.dtype for a in (typeof(x), typeof(y)) if not a.weak]
    dtype = np.result_type(*strong, np.float32) if strong else np.dtype(np.float64)
    out = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), np.dtype({"f": "F", "g": "G"}.get(dtype.char, "D")))
    out.real, out.imag = x, y
    return out[()]


complex_p = Elementwise("complex", _complex, lambda t: t, lambda t: mul(t, 1j))
complex_of = complex_p.function

"""Rounding, signs, and the pieces of a floating-point number.

A rounded number is locally constant, so rounding has no tangent: its derivative is zero, also at the jumps.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray
from fungrad.core.elementwise import Elementwise, NoTangent
from fungrad.core.trace import Tracer
from fungrad.primitives.arithmetic import div, mul, neg
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import conj, is_complex
from fungrad.primitives.selection import where

floor_p = NoTangent("floor", np.floor, elementwise=True)
floor = floor_p.function

ceil_p = NoTangent("ceil", np.ceil, elementwise=True)
ceil = ceil_p.function

trunc_p = NoTangent("trunc", np.trunc, elementwise=True)
trunc = trunc_p.function

rint_p = NoTangent("rint", np.rint, elementwise=True)
rint = rint_p.function


def _round(x: Any, *, decimals: int) -> Any:
    return np.round(x, decimals)[()]


round_p = NoTangent(
    "round",
    _round,
    abstract=lambda x, *, decimals: ShapedArray(x.shape, _round(np.ones((1,), x.dtype), decimals=decimals).dtype),
    batch=lambda axis, batched, x, *, decimals: round(x, decimals),
)


def round(x: Any, decimals: int) -> Any:
    """Round to this many decimals, half to even."""
    return round_p.bind(x, decimals=decimals)


spacing_p = NoTangent("spacing", np.spacing, elementwise=True)
spacing = spacing_p.function


# sign: of a complex number z / |z|, which is not constant; at 0 it is 0 with derivative 0

sign_p = NoTangent("sign", np.sign, elementwise=True)


def sign(x: Any) -> Any:
    """-1, 0 or 1 for real x; x / |x|, or 0, for complex x."""
    if type(x) is not Tracer or not is_complex(x):
        return sign_p.function(x)
    modulus = abs(x)
    zero = equal(modulus, 0)
    return where(zero, 0, div(x, where(zero, 1, modulus)))


# abs: the partial is sign(x), so abs'(0) = 0; of a complex number conj(sign(x)), see complex_parts.py


def _abs_rule(t: Any, x: Any) -> Any:
    return mul(t, conj(sign(x)) if is_complex(x) else sign_p.function(x))


abs_p = Elementwise("abs", operator.abs, _abs_rule, ufunc=np.absolute, scalar="abs({0})")
abs = abs_p.function

fabs_p = Elementwise("fabs", np.fabs, lambda t, x: mul(t, sign_p.function(x)))
fabs = fabs_p.function

# copysign: |x| with the sign of y, constant in y

copysign_p = Elementwise(
    "copysign", np.copysign, lambda t, x, y: mul(t, mul(sign_p.function(x), copysign(1.0, y))), None
)
copysign: Callable[..., Any] = copysign_p.function

# heaviside: 0, y, 1 for x < 0, x = 0, x > 0; the jump has no derivative

heaviside_p = Elementwise("heaviside", np.heaviside, None, lambda t, x: where(equal(x, 0), t, 0))
heaviside = heaviside_p.function

# nextafter: x plus or minus its spacing, which is locally constant, towards y

nextafter_p = Elementwise("nextafter", np.nextafter, lambda t: t, None)
nextafter = nextafter_p.function

# fmod: what trunc(x / y) leaves, with the sign of x

fmod_p = Elementwise("fmod", np.fmod, lambda t: t, lambda t, x, y: neg(mul(t, trunc(div(x, y)))))
fmod = fmod_p.function

# modf: x = fraction(x) + integral(x)

fraction_p = Elementwise("fraction", lambda x: np.modf(x)[0], lambda t: t)
fraction = fraction_p.function

integral_p = NoTangent("integral", lambda x: np.modf(x)[1], elementwise=True)
integral = integral_p.function


def modf(x: Any) -> tuple[Any, Any]:
    """The fractional and the integral part of x, both with its sign."""
    return fraction(x), integral(x)


# ldexp: x * 2**n, exact; frexp: x = mantissa(x) * 2**exponent(x) with 0.5 <= |mantissa| < 1

ldexp_p = Elementwise("ldexp", np.ldexp, lambda t, y: ldexp(t, y), None)
ldexp: Callable[..., Any] = ldexp_p.function

exponent_p = NoTangent("exponent", lambda x: np.frexp(x)[1], elementwise=True)
exponent = exponent_p.function

mantissa_p = Elementwise("mantissa", lambda x: np.frexp(x)[0], lambda t, x: ldexp(t, neg(exponent(x))))
mantissa = mantissa_p.function


def frexp(x: Any) -> tuple[Any, Any]:
    """The mantissa and the binary exponent of x."""
    return mantissa(x), exponent(x)

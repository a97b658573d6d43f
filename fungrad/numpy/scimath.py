"""numpy.emath: square roots, logarithms and inverse functions that turn complex where a real result does not exist.

The dtype of the result depends on values, so these must be known; a complex argument has nothing to decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array
from fungrad.primitives import arithmetic, exponential, trigonometric
from fungrad.primitives.complex_parts import is_complex
from fungrad.primitives.structural import convert

_SINGLE = "fbhBHF"  # what NumPy takes to single precision


def _known(call: str, x: Any) -> Any:
    value = known_value(x)
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.emath.{call} at {here()}: whether the result is complex depends on the values of a traced array of "
            f"type {value!r}, which are not known here. Use np.{call if call != 'logn' else 'log'} if it is real, or "
            "x.astype(complex)."
        )
    return value


def _complex_if(call: str, x: Any, outside: Any) -> Any:
    """The array x, complex if it is real with elements outside of the domain where the result is real."""
    x = as_array(x)
    if is_complex(x) or not np.any(outside(_known(call, x))):
        return x
    return convert(x, np.dtype(np.complex64 if typeof(x).dtype.char in _SINGLE else np.complex128))


def _negative(value: Any) -> Any:
    return value < 0


def _beyond_one(value: Any) -> Any:
    return np.abs(value) > 1


@implements(np.emath.sqrt)
def sqrt(x: Any) -> Any:
    """Take the square root, complex if an element is negative. Derivative 1/(2 sqrt(x)), inf at 0."""
    return exponential.sqrt(_complex_if("sqrt", x, _negative))


@implements(np.emath.log)
def log(x: Any) -> Any:
    """Take the natural logarithm, complex if an element is negative. Derivative 1/x."""
    return arithmetic.log(_complex_if("log", x, _negative))


@implements(np.emath.log2)
def log2(x: Any) -> Any:
    """Take the logarithm to base 2, complex if an element is negative. Derivative 1/(x log(2))."""
    return exponential.log2(_complex_if("log2", x, _negative))


@implements(np.emath.log10)
def log10(x: Any) -> Any:
    """Take the logarithm to base 10, complex if an element is negative. Derivative 1/(x log(10))."""
    return exponential.log10(_complex_if("log10", x, _negative))


@implements(np.emath.logn)
def logn(n: Any, x: Any) -> Any:
    """Take the logarithm of x to base n, complex if an element of either is negative; derivatives in both."""
    x, n = _complex_if("logn", x, _negative), _complex_if("logn", n, _negative)
    return arithmetic.div(arithmetic.log(x), arithmetic.log(n))


@implements(np.emath.power)
def power(x: Any, p: Any) -> Any:
    """Raise x to the power p, complex if an element of x is negative, in floating point if one of p is."""
    x, p = _complex_if("power", x, _negative), as_array(p)
    if typeof(p).dtype.kind in "iu" and np.any(_known("power", p) < 0):
        p = arithmetic.mul(p, 1.0)
    return arithmetic.power(x, p)


@implements(np.emath.arccos)
def arccos(x: Any) -> Any:
    """Take the inverse cosine, complex if an element is beyond 1. Derivative -1/sqrt(1 - x**2)."""
    return trigonometric.arccos(_complex_if("arccos", x, _beyond_one))


@implements(np.emath.arcsin)
def arcsin(x: Any) -> Any:
    """Take the inverse sine, complex if an element is beyond 1. Derivative 1/sqrt(1 - x**2)."""
    return trigonometric.arcsin(_complex_if("arcsin", x, _beyond_one))


@implements(np.emath.arctanh)
def arctanh(x: Any) -> Any:
    """Take the inverse hyperbolic tangent, complex if an element is beyond 1. Derivative 1/(1 - x**2)."""
    return trigonometric.arctanh(_complex_if("arctanh", x, _beyond_one))

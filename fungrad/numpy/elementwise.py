"""NumPy's elementwise functions on traced arrays: its ufuncs, and the pointwise functions that are not ufuncs.

The ufuncs are a table; each is a primitive, or a composition where it returns two arrays. Not here: matmul and its
kin, which are contractions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aliasing import view
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import as_operand
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, NonConcreteBooleanIndexError, UnsupportedOperationError
from fungrad.numpy.dispatch import FUNCTIONS, UFUNCS, implements
from fungrad.primitives import (
    arithmetic,
    comparison,
    complex_parts,
    exponential,
    extrema,
    rounding,
    selection,
    trigonometric,
)
from fungrad.primitives.complex_parts import is_complex
from fungrad.primitives.structural import convert

# ufuncs that are compositions


def conjugate(x: Any) -> Any:
    """Conjugate complex numbers; a real array is copied. Derivative: the conjugate of the tangent."""
    return complex_parts.conj_p.function(x)


def divmod(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Return ``floor_divide(x1, x2), remainder(x1, x2)``."""
    return arithmetic.floor_divide(x1, x2), arithmetic.remainder(x1, x2)


def float_power(x1: Any, x2: Any) -> Any:
    """Raise to a power in float64 or complex128, also integers; derivatives as those of `power`."""
    x1, x2 = as_operand(x1), as_operand(x2)
    if typeof(x1).dtype.kind == "b" and typeof(x2).dtype.kind == "b":
        dtype = np.dtype(np.float64)
    else:
        dtype = np.result_type(typeof(x1).dtype, typeof(x2).dtype, np.float64)
    # A Python exponent stays one: constant small powers have a cheaper rule, and it does not promote.
    return arithmetic.power(convert(x1, dtype), convert(x2, dtype) if type(x2) is Tracer or is_complex(x2) else x2)


def isnat(x: Any) -> Any:
    """Refuse: traced arrays hold numbers, not times (NumPy raises the same TypeError for numbers)."""
    raise TypeError("ufunc 'isnat' is only defined for np.datetime64 and np.timedelta64.")


_Row = tuple[np.ufunc, Callable[..., Any], str]

_ARITHMETIC: tuple[_Row, ...] = (
    (np.add, arithmetic.add, "Add. Derivatives 1 and 1."),
    (np.subtract, arithmetic.sub, "Subtract. Derivatives 1 and -1."),
    (np.negative, arithmetic.neg, "Negate. Derivative -1."),
    (np.positive, arithmetic.positive, "Copy. Derivative 1."),
    (np.multiply, arithmetic.mul, "Multiply. Derivatives y and x."),
    (np.divide, arithmetic.div, "Divide. Derivatives 1/y and -x/y**2."),
    (np.floor_divide, arithmetic.floor_divide, "Divide and round down. Derivatives 0, also at the jumps."),
    (np.remainder, arithmetic.remainder, "x - y floor(x/y), with the sign of y. Derivatives 1 and -floor(x/y)."),
    (
        np.power,
        arithmetic.power,
        "x**y. Derivatives y x**(y-1), which is 0 for y = 0, and x**y log(x), which is taken as 0 for x = 0.",
    ),
    (np.log, arithmetic.log, "Natural logarithm. Derivative 1/x."),
    (np.divmod, divmod, "Return ``floor_divide(x, y), remainder(x, y)``."),
    (np.float_power, float_power, "x**y in float64 or complex128. Derivatives as those of power."),
    (np.conjugate, conjugate, "Complex conjugate. Derivative: the conjugate of the tangent."),
)

_EXPONENTIAL: tuple[_Row, ...] = (
    (np.exp, exponential.exp, "e**x. Derivative e**x."),
    (np.exp2, exponential.exp2, "2**x. Derivative 2**x log(2)."),
    (np.expm1, exponential.expm1, "e**x - 1, exact for small x. Derivative e**x."),
    (np.log2, exponential.log2, "Logarithm to base 2. Derivative 1/(x log(2))."),
    (np.log10, exponential.log10, "Logarithm to base 10. Derivative 1/(x log(10))."),
    (np.log1p, exponential.log1p, "log(1 + x), exact for small x. Derivative 1/(1 + x)."),
    (
        np.logaddexp,
        exponential.logaddexp,
        "log(e**x + e**y). Derivatives e**(x - out) and e**(y - out); 0 where both are -inf.",
    ),
    (
        np.logaddexp2,
        exponential.logaddexp2,
        "log2(2**x + 2**y). Derivatives 2**(x - out) and 2**(y - out); 0 where both are -inf.",
    ),
    (np.sqrt, exponential.sqrt, "Square root. Derivative 1/(2 sqrt(x)), inf at 0."),
    (np.cbrt, exponential.cbrt, "Cube root. Derivative 1/(3 cbrt(x)**2), inf at 0."),
    (np.square, exponential.square, "x**2. Derivative 2x."),
    (np.reciprocal, exponential.reciprocal, "1/x. Derivative -1/x**2."),
)

_TRIGONOMETRIC: tuple[_Row, ...] = (
    (np.sin, trigonometric.sin, "Sine of an angle in radians. Derivative cos(x)."),
    (np.cos, trigonometric.cos, "Cosine of an angle in radians. Derivative -sin(x)."),
    (np.tan, trigonometric.tan, "Tangent of an angle in radians. Derivative 1 + tan(x)**2."),
    (np.arcsin, trigonometric.arcsin, "Inverse sine, in radians. Derivative 1/sqrt(1 - x**2), inf at -1 and 1."),
    (np.arccos, trigonometric.arccos, "Inverse cosine, in radians. Derivative -1/sqrt(1 - x**2), -inf at -1 and 1."),
    (np.arctan, trigonometric.arctan, "Inverse tangent, in radians. Derivative 1/(1 + x**2)."),
    (
        np.arctan2,
        trigonometric.arctan2,
        "Angle of the point (y, x), in radians. Derivatives y/r**2 and -x/r**2 for operands (x, y); nan at (0, 0).",
    ),
    (np.sinh, trigonometric.sinh, "Hyperbolic sine. Derivative cosh(x)."),
    (np.cosh, trigonometric.cosh, "Hyperbolic cosine. Derivative sinh(x)."),
    (np.tanh, trigonometric.tanh, "Hyperbolic tangent. Derivative 1 - tanh(x)**2."),
    (np.arcsinh, trigonometric.arcsinh, "Inverse hyperbolic sine. Derivative 1/sqrt(x**2 + 1)."),
    (np.arccosh, trigonometric.arccosh, "Inverse hyperbolic cosine. Derivative 1/sqrt(x**2 - 1), inf at 1."),
    (np.arctanh, trigonometric.arctanh, "Inverse hyperbolic tangent. Derivative 1/(1 - x**2)."),
    (np.hypot, trigonometric.hypot, "sqrt(x**2 + y**2). Derivatives x/out and y/out, 0 at (0, 0)."),
    (np.deg2rad, trigonometric.deg2rad, "Degrees to radians. Derivative pi/180."),
    (np.radians, trigonometric.deg2rad, "Degrees to radians. Derivative pi/180."),
    (np.rad2deg, trigonometric.rad2deg, "Radians to degrees. Derivative 180/pi."),
    (np.degrees, trigonometric.rad2deg, "Radians to degrees. Derivative 180/pi."),
)

_ROUNDING: tuple[_Row, ...] = (
    (np.absolute, rounding.abs, "Absolute value or modulus. Derivative sign(x), 0 at 0."),
    (np.fabs, rounding.fabs, "Absolute value of real numbers, as floats. Derivative sign(x), 0 at 0."),
    (np.sign, rounding.sign, "-1, 0 or 1; x/|x| for complex x. Derivative 0 for real x."),
    (np.floor, rounding.floor, "Round down. Derivative 0, also at the jumps."),
    (np.ceil, rounding.ceil, "Round up. Derivative 0, also at the jumps."),
    (np.trunc, rounding.trunc, "Round towards 0. Derivative 0, also at the jumps."),
    (np.rint, rounding.rint, "Round to the nearest integer, half to even. Derivative 0, also at the jumps."),
    (np.spacing, rounding.spacing, "Distance to the next floating-point number. Derivative 0."),
    (np.nextafter, rounding.nextafter, "Next floating-point number after x towards y. Derivatives 1 and 0."),
    (np.copysign, rounding.copysign, "|x| with the sign of y. Derivatives sign(x) sign(y), 0 at x = 0, and 0."),
    (np.heaviside, rounding.heaviside, "0, y or 1 for x < 0, x = 0, x > 0. Derivatives 0, and 1 where x = 0."),
    (np.fmod, rounding.fmod, "x - y trunc(x/y), with the sign of x. Derivatives 1 and -trunc(x/y)."),
    (np.modf, rounding.modf, "Fractional and integral part. Derivatives 1 and 0."),
    (np.ldexp, rounding.ldexp, "x 2**n. Derivative 2**n."),
    (np.frexp, rounding.frexp, "Mantissa and binary exponent: x = m 2**n. Derivatives 2**-n and 0."),
)

_EXTREMA: tuple[_Row, ...] = (
    (
        np.maximum,
        extrema.maximum,
        "The larger one; nan if one is nan. Derivative 1 of the one taken, 1/2 of each where equal.",
    ),
    (
        np.minimum,
        extrema.minimum,
        "The smaller one; nan if one is nan. Derivative 1 of the one taken, 1/2 of each where equal.",
    ),
    (np.fmax, extrema.fmax, "The larger one that is not nan. Derivative 1 of the one taken, 1/2 of each where equal."),
    (np.fmin, extrema.fmin, "The smaller one that is not nan. Derivative 1 of the one taken, 1/2 of each where equal."),
)

_WITHOUT_DERIVATIVE: tuple[_Row, ...] = (
    (np.less, comparison.less, "x < y."),
    (np.less_equal, comparison.less_equal, "x <= y."),
    (np.greater, comparison.greater, "x > y."),
    (np.greater_equal, comparison.greater_equal, "x >= y."),
    (np.equal, comparison.equal, "x == y."),
    (np.not_equal, comparison.not_equal, "x != y."),
    (np.logical_and, comparison.logical_and, "Whether both are true (not zero)."),
    (np.logical_or, comparison.logical_or, "Whether one is true (not zero)."),
    (np.logical_xor, comparison.logical_xor, "Whether exactly one is true (not zero)."),
    (np.logical_not, comparison.logical_not, "Whether it is false (zero)."),
    (np.bitwise_and, comparison.bitwise_and, "Bits set in both."),
    (np.bitwise_or, comparison.bitwise_or, "Bits set in one or both."),
    (np.bitwise_xor, comparison.bitwise_xor, "Bits set in exactly one."),
    (np.invert, comparison.invert, "Bits inverted."),
    (np.left_shift, comparison.left_shift, "Bits of x shifted left by y."),
    (np.right_shift, comparison.right_shift, "Bits of x shifted right by y."),
    (np.bitwise_count, comparison.bitwise_count, "Number of bits set in |x|."),
    (np.gcd, comparison.gcd, "Greatest common divisor of integers."),
    (np.lcm, comparison.lcm, "Least common multiple of integers."),
    (np.isfinite, comparison.isfinite, "Whether it is neither infinite nor nan."),
    (np.isinf, comparison.isinf, "Whether it is infinite."),
    (np.isnan, comparison.isnan, "Whether it is nan."),
    (np.signbit, comparison.signbit, "Whether the sign bit is set, as in -0.0."),
    (np.isnat, isnat, "Refuse: traced arrays hold no times."),
)


def _register(*tables: tuple[_Row, ...]) -> None:
    for table in tables:
        for ufunc, fun, doc in table:
            UFUNCS[ufunc] = fun
            fun.__doc__ = doc


_register(_ARITHMETIC, _EXPONENTIAL, _TRIGONOMETRIC, _ROUNDING, _EXTREMA, _WITHOUT_DERIVATIVE)


# selection


def _refuse_out(name: str, out: Any) -> None:
    if out is not None:
        raise UnsupportedOperationError(
            f"numpy.{name}(..., out=) at {here()}: a traced array cannot be written into a plain one; write y = "
            f"np.{name}(...)"
        )


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """Take x where the condition is true, y elsewhere; with the condition alone, the indices where it is true.

    The derivative is 1 of what is taken and 0 of the rest, even where the rest is infinite or nan. The condition
    carries no derivative. The form with one argument needs known values, as the number of indices depends on them.
    """
    condition = as_operand(condition)
    if x is not None and y is not None:
        return selection.where(condition, as_operand(x), as_operand(y))
    if x is not None or y is not None:
        raise ValueError("either both or neither of x and y should be given")
    value = known_value(condition)
    if isinstance(value, ShapedArray):
        raise NonConcreteBooleanIndexError(
            f"numpy.where(condition) at {here()}: how many elements of this traced array of type {value!r} are true "
            "is not known, because it is recorded without values. Use the form with three arguments, "
            "np.where(condition, x, y)."
        )
    return np.nonzero(value)


# extrema


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Limit to an interval; a bound of None is no bound.

    The derivative is 1 inside of the interval, 0 outside, 1/2 at a bound, where the bound has the other half.
    """
    _refuse_out("clip", out)
    low, high = _bound("min", a_min, min), _bound("max", a_max, max)
    a = as_operand(a)
    dtype = typeof(a).dtype
    if dtype.kind in "iu":  # Python integers that the dtype cannot hold are no bounds
        limits = np.iinfo(dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    if low is None and high is None:
        return arithmetic.positive(a)
    return extrema.clip(a, low if low is None else as_operand(low), high if high is None else as_operand(high))


def _bound(name: str, positional: Any, keyword: Any) -> Any:
    positional, keyword = (None if b is np._NoValue else b for b in (positional, keyword))
    if positional is not None and keyword is not None:
        raise ValueError(f"clip: pass `a_{name}` or `{name}`, not both")
    return keyword if positional is None else positional


# rounding


@implements(np.round, np.around)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Round to a number of decimals (negative: left of the point), half to even. Derivative 0, also at the jumps."""
    _refuse_out("round", out)
    return rounding.round(as_operand(a), int(decimals))


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """Round towards 0. Derivative 0, also at the jumps."""
    _refuse_out("fix", out)
    return rounding.trunc(as_operand(x))


# complex parts


@implements(np.real)
def real(val: Any) -> Any:
    """Return the real part, a view. The tangent is the real part of the tangent."""
    z = as_operand(val)
    if not is_complex(z):
        return view(z, complex_parts.real(z), real)
    return view(z, complex_parts.real(z), real, always=True, store=lambda z, part: _joined(part, complex_parts.imag(z)))


@implements(np.imag)
def imag(val: Any) -> Any:
    """Return the imaginary part, a view; zeros for a real array. The tangent is the imaginary part of the tangent."""
    z = as_operand(val)
    if not is_complex(z):
        return complex_parts.imag(z)
    return view(z, complex_parts.imag(z), imag, always=True, store=lambda z, part: _joined(complex_parts.real(z), part))


def _joined(re: Any, im: Any) -> Any:
    return arithmetic.add(re, arithmetic.mul(im, 1j))


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Return the angle of complex numbers, in (-pi, pi] radians or in degrees.

    The derivative is that of Im(log z): Im(t / z), nan at z = 0. That of real numbers, whose angle is 0 or pi, is 0.
    """
    z = as_operand(z)
    result = complex_parts.angle(z) if is_complex(z) else trigonometric.arctan2(0, z)
    return arithmetic.mul(result, 180 / np.pi) if deg else result


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Return the real part of a complex array if all imaginary parts are within ``tol`` epsilons of 0, else the array.

    It needs known values, as the dtype of the result depends on them.
    """
    a = as_operand(a)
    if not is_complex(a):
        return a
    part = known_value(complex_parts.imag(a))
    if isinstance(part, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.real_if_close at {here()}: whether the result is real depends on values, and this traced array of "
            f"type {typeof(a)!r} is recorded without values. Use np.real(a), or leave it complex."
        )
    limit = np.finfo(part.dtype).eps * tol if tol > 1 else tol
    return complex_parts.real(a) if np.all(np.absolute(part) < limit) else a


@implements(np.isreal)
def isreal(x: Any) -> Any:
    """Return whether the imaginary part is 0, for each element."""
    return comparison.equal(imag(x), 0)


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Return whether the imaginary part is not 0, for each element."""
    return comparison.not_equal(imag(x), 0)


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Return whether the dtype is not complex."""
    return not is_complex(as_operand(x))


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Return whether the dtype is complex."""
    return is_complex(as_operand(x))


# tests


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Return whether a real number is +inf."""
    return _is_value("isposinf", x, np.inf, out)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Return whether a real number is -inf."""
    return _is_value("isneginf", x, -np.inf, out)


def _is_value(name: str, x: Any, value: float, out: Any) -> Any:
    _refuse_out(name, out)
    x = as_operand(x)
    if is_complex(x):
        raise TypeError(
            f"{name}: not supported for {typeof(x).dtype} values, because it would be ambiguous; test the parts"
        )
    return comparison.equal(x, value)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Return whether ``|a - b| <= atol + rtol |b|``, for each element."""
    a, b = as_operand(a), as_operand(b)
    close = comparison.isclose(a, b, as_operand(rtol), as_operand(atol))
    if not equal_nan:
        return close
    return comparison.logical_or(close, comparison.logical_and(comparison.isnan(a), comparison.isnan(b)))


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Return whether all elements are close: a bool where values are known, else a traced boolean."""
    close = isclose(a, b, rtol, atol, equal_nan)
    return FUNCTIONS[np.all](close) if type(close) is Tracer else bool(np.all(close))


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replace nan, +inf and -inf by numbers: 0 and the largest and smallest finite ones, unless given.

    The derivative is 1 where the number is kept and 0 where it is replaced; in the replacements it is the reverse.
    """
    if not copy:
        raise UnsupportedOperationError(
            f"numpy.nan_to_num(x, copy=False) at {here()}: a traced array is not changed in place; write x = "
            "np.nan_to_num(x)"
        )
    x = as_operand(x)
    dtype = typeof(x).dtype
    if dtype.kind not in "fc":
        return x
    if dtype.kind == "c":
        parts = [
            nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf)
            for part in (complex_parts.real(x), complex_parts.imag(x))
        ]
        return arithmetic.add(parts[0], arithmetic.mul(parts[1], 1j))
    limits = np.finfo(dtype)
    result = x
    for test, number in (
        (comparison.isnan(x), nan),
        (comparison.equal(x, np.inf), limits.max if posinf is None else posinf),
        (comparison.equal(x, -np.inf), limits.min if neginf is None else neginf),
    ):
        result = selection.where(test, convert(as_operand(number), dtype), result)
    return result


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """sin(pi x) / (pi x), 1 at x = 0. Its derivatives of every order are finite and right at 0 too."""
    return trigonometric.sinc(as_operand(x))

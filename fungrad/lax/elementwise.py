"""Elementwise functions: of one shape, in NumPy's dtypes.

Operands have one shape, or are scalars. Where jax.lax wants equal dtypes, NumPy's promotion applies here. Integers are
taken as float64 by functions of real numbers. At kinks the derivatives are those of `fungrad.numpy`.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.lax.arguments import (
    array,
    binary,
    dtype_of,
    of_equal_shapes,
    operand,
    require,
    ternary,
    unary,
    unary_with_accuracy,
)
from fungrad.primitives import arithmetic, comparison, complex_parts, exponential, extrema, rounding, trigonometric
from fungrad.primitives.complex_parts import complex_of
from fungrad.primitives.selection import where
from fungrad.primitives.special.error import erf as _erf
from fungrad.primitives.special.error import erfc as _erfc
from fungrad.primitives.special.error import erfinv
from fungrad.primitives.special.logistic import expit
from fungrad.primitives.structural import convert
from fungrad.scipy.special import bessels, gammas


class RoundingMethod(enum.IntEnum):
    """What becomes of numbers half way between two integers."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


# arithmetic

add = binary("add", arithmetic.add, "Add. Derivatives 1 and 1.")
sub = binary("sub", arithmetic.sub, "Subtract. Derivatives 1 and -1.")
neg = unary("neg", arithmetic.neg, "Negate. Derivative -1.")
rem = binary("rem", rounding.fmod, "What ``trunc(x / y)`` leaves, with the sign of x. Derivatives 1 and -trunc(x/y).")
pow = binary(
    "pow",
    arithmetic.power,
    "x**y. Derivatives y x**(y-1), which is 0 for y = 0, and x**y log(x), which is taken as 0 for x = 0.",
)
max = binary("max", extrema.maximum, "The larger one; nan if one is nan. Equal ones have half of the derivative each.")
min = binary("min", extrema.minimum, "The smaller one; nan if one is nan. Equal ones have half of the derivative each.")
abs = unary("abs", rounding.abs, "Absolute value or modulus. Derivative sign(x), 0 at 0.")
sign = unary("sign", rounding.sign, "-1, 0 or 1; x/|x| for complex x. Derivative 0 for real x.")
square = unary("square", exponential.square, "x**2. Derivative 2x.")
reciprocal = unary("reciprocal", lambda x: arithmetic.div(1, x), "1/x. Derivative -1/x**2.")


def nextafter(x1: Any, x2: Any) -> Any:
    """Next floating-point number after x1 towards x2. Derivatives 1 and 0."""
    return rounding.nextafter(*of_equal_shapes("nextafter", x1, x2))


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """Multiply, after conversion to ``out_dtype`` if one is given. Derivatives y and x."""
    x, y = of_equal_shapes("mul", x, y)
    if out_dtype is not None:
        x, y = (convert(array(v), dtype_of(out_dtype)) for v in (x, y))
    return arithmetic.mul(x, y)


def div(x: Any, y: Any) -> Any:
    """Divide. The quotient of integers is an integer, cut off towards zero.

    Examples
    --------
    >>> from fungrad import lax
    >>> int(lax.div(-7, 2)), lax.div(-7.0, 2)
    (-3, -3.5)
    """
    x, y = of_equal_shapes("div", x, y)
    if all(typeof(v).dtype.kind in "biu" for v in (x, y)):
        return arithmetic.floor_divide(arithmetic.sub(x, rounding.fmod(x, y)), y)
    return arithmetic.div(x, y)


def integer_pow(x: Any, y: int) -> Any:
    """x**y for a Python integer y. Derivative y x**(y-1)."""
    require(
        isinstance(y, (int, np.integer)),
        "integer_pow",
        lambda: f"the exponent must be an integer, got {y!r}",
        TypeError,
    )
    return arithmetic.power(operand(x), int(y))


def mulhi(x: Any, y: Any, /) -> Any:
    """Return the upper half of the bits of a product of integers."""
    x, y = of_equal_shapes("mulhi", x, y)
    dtype = np.result_type(typeof(x).dtype, typeof(y).dtype)
    require(dtype.kind in "iu", "mulhi", lambda: f"expected integers, got {dtype}", TypeError)
    bits = dtype.itemsize * 8
    if bits < 64:
        wide = np.dtype(f"{dtype.kind}{dtype.itemsize * 2}")
        product = arithmetic.mul(convert(array(x), wide), convert(array(y), wide))
        return convert(comparison.right_shift(product, bits), dtype)
    half, low = 32, 0xFFFFFFFF
    x, y = convert(array(x), dtype), convert(array(y), dtype)
    x1, y1 = comparison.right_shift(x, half), comparison.right_shift(y, half)
    x0, y0 = comparison.bitwise_and(x, low), comparison.bitwise_and(y, low)
    # Knuth, The Art of Computer Programming 2, 4.3.1: products of halves with their carries; the low ones are unsigned.
    unsigned = np.dtype(np.uint64)
    carry = comparison.right_shift(arithmetic.mul(convert(x0, unsigned), convert(y0, unsigned)), half)
    middle = arithmetic.add(arithmetic.mul(x1, y0), convert(carry, dtype))
    other = arithmetic.add(arithmetic.mul(x0, y1), comparison.bitwise_and(middle, low))
    upper = arithmetic.add(comparison.right_shift(middle, half), comparison.right_shift(other, half))
    return arithmetic.add(arithmetic.mul(x1, y1), upper)


# rounding

floor = unary("floor", rounding.floor, "Round down. Derivative 0, also at the jumps.")
ceil = unary("ceil", rounding.ceil, "Round up. Derivative 0, also at the jumps.")
is_finite = unary("is_finite", comparison.isfinite, "Whether it is neither infinite nor nan.")


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """Round to the nearest integer, of two the one away from zero or the even one. Derivative 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.round(np.array([0.5, 1.4, -2.5]))
    array([ 1.,  1., -3.])
    """
    x = operand(x)
    if RoundingMethod(rounding_method) is RoundingMethod.TO_NEAREST_EVEN:
        return rounding.rint(x)
    whole = rounding.trunc(x)
    half = comparison.greater_equal(rounding.abs(rounding.fraction(x)), 0.5)
    return where(half, arithmetic.add(whole, rounding.sign(x)), whole)


# exponentials, powers

exp = unary_with_accuracy("exp", exponential.exp, "e**x. Derivative e**x.")
exp2 = unary_with_accuracy("exp2", exponential.exp2, "2**x. Derivative 2**x log(2).")
expm1 = unary_with_accuracy("expm1", exponential.expm1, "e**x - 1, exact for small x. Derivative e**x.")
log = unary_with_accuracy("log", arithmetic.log, "Natural logarithm. Derivative 1/x.")
log1p = unary_with_accuracy("log1p", exponential.log1p, "log(1 + x), exact for small x. Derivative 1/(1 + x).")
sqrt = unary_with_accuracy("sqrt", exponential.sqrt, "Square root. Derivative 1/(2 sqrt(x)), inf at 0.")
rsqrt = unary_with_accuracy(
    "rsqrt", lambda x: arithmetic.div(1, exponential.sqrt(x)), "1/sqrt(x). Derivative -x**(-3/2) / 2."
)
cbrt = unary_with_accuracy("cbrt", exponential.cbrt, "Cube root. Derivative 1/(3 cbrt(x)**2), inf at 0.")
logistic = unary_with_accuracy("logistic", expit, "1/(1 + exp(-x)). Derivative out (1 - out).")

# trigonometric and hyperbolic functions, of angles in radians

sin = unary_with_accuracy("sin", trigonometric.sin, "Sine of an angle in radians. Derivative cos(x).")
cos = unary_with_accuracy("cos", trigonometric.cos, "Cosine of an angle in radians. Derivative -sin(x).")
tan = unary_with_accuracy("tan", trigonometric.tan, "Tangent of an angle in radians. Derivative 1 + tan(x)**2.")
tanh = unary_with_accuracy("tanh", trigonometric.tanh, "Hyperbolic tangent. Derivative 1 - tanh(x)**2.")
asin = unary("asin", trigonometric.arcsin, "Inverse sine, in radians. Derivative 1/sqrt(1 - x**2).")
acos = unary("acos", trigonometric.arccos, "Inverse cosine, in radians. Derivative -1/sqrt(1 - x**2).")
atan = unary("atan", trigonometric.arctan, "Inverse tangent, in radians. Derivative 1/(1 + x**2).")
sinh = unary("sinh", trigonometric.sinh, "Hyperbolic sine. Derivative cosh(x).")
cosh = unary("cosh", trigonometric.cosh, "Hyperbolic cosine. Derivative sinh(x).")
asinh = unary("asinh", trigonometric.arcsinh, "Inverse hyperbolic sine. Derivative 1/sqrt(x**2 + 1).")
acosh = unary("acosh", trigonometric.arccosh, "Inverse hyperbolic cosine. Derivative 1/sqrt(x**2 - 1).")
atanh = unary("atanh", trigonometric.arctanh, "Inverse hyperbolic tangent. Derivative 1/(1 - x**2).")
atan2 = binary(
    "atan2",
    trigonometric.arctan2,
    "Angle of the point (y, x), in radians. Derivatives y/r**2 and -x/r**2 for operands (x, y).",
)

# special functions

erf = unary("erf", _erf, "Error function. Derivative 2/sqrt(pi) exp(-x**2).")
erfc = unary("erfc", _erfc, "1 - erf(x), exact for large x. Derivative -2/sqrt(pi) exp(-x**2).")
erf_inv = unary("erf_inv", erfinv, "Inverse error function. Derivative sqrt(pi)/2 exp(out**2).")
lgamma = unary("lgamma", gammas.gammaln, "log |gamma(x)|. Derivative digamma(x).")
digamma = unary("digamma", gammas.digamma, "Logarithmic derivative of the gamma function. Derivative zeta(2, x).")
betainc = ternary(
    "betainc", gammas.betainc, "Regularized incomplete beta function. Derivative in x; none in a and b (an error)."
)
bessel_i0e = unary("bessel_i0e", bessels.i0e, "exp(-|x|) I0(x), the modified Bessel function of order 0, scaled.")
bessel_i1e = unary("bessel_i1e", bessels.i1e, "exp(-|x|) I1(x), the modified Bessel function of order 1, scaled.")


def polygamma(m: Any, x: Any) -> Any:
    """The m-th derivative of digamma, for whole m that are known."""
    return gammas.polygamma(*of_equal_shapes("polygamma", m, x))


def zeta(x: Any, q: Any) -> Any:
    """Hurwitz zeta function, the sum over k of (q + k)**-x. Derivative in q: -x zeta(x + 1, q)."""
    return gammas.zeta(*of_equal_shapes("zeta", x, q))


def igamma(a: Any, x: Any) -> Any:
    """Regularized lower incomplete gamma function. It has a derivative in x; that in a is an error."""
    return gammas.gammainc(*of_equal_shapes("igamma", a, x))


def igammac(a: Any, x: Any) -> Any:
    """Regularized upper incomplete gamma function. It has a derivative in x; that in a is an error."""
    return gammas.gammaincc(*of_equal_shapes("igammac", a, x))


# complex numbers

real = unary("real", complex_parts.real, "Real part. Derivative 1.")
imag = unary("imag", complex_parts.imag, "Imaginary part. Derivative -i, of which the real part of the product counts.")
conj = unary(
    "conj",
    lambda x: complex_parts.conj_p.function(arithmetic.add(x, 0j)),
    "Complex conjugate; of a real number a complex one. Derivative: the conjugate of the tangent.",
)
complex = binary("complex", complex_of, "The complex number x + iy. Derivatives 1 and i.")

# comparisons

eq = binary("eq", comparison.equal, "x == y.")
ne = binary("ne", comparison.not_equal, "x != y.")
lt = binary("lt", comparison.less, "x < y.")
le = binary("le", comparison.less_equal, "x <= y.")
gt = binary("gt", comparison.greater, "x > y.")
ge = binary("ge", comparison.greater_equal, "x >= y.")

# bits

bitwise_and = binary("bitwise_and", comparison.bitwise_and, "Bits set in both.")
bitwise_or = binary("bitwise_or", comparison.bitwise_or, "Bits set in one or both.")
bitwise_xor = binary("bitwise_xor", comparison.bitwise_xor, "Bits set in exactly one.")
bitwise_not = unary("bitwise_not", comparison.invert, "Bits inverted.")
shift_left = binary("shift_left", comparison.left_shift, "Bits of x shifted left by y; 0 for y beyond all bits.")


def _unsigned(function: str, x: Any) -> tuple[Any, np.dtype[Any]]:
    x = array(x)
    dtype = typeof(x).dtype
    require(dtype.kind in "iu", function, lambda: f"expected integers, got {dtype}", TypeError)
    return convert(x, np.dtype(f"u{dtype.itemsize}")), dtype


def shift_right_logical(x: Any, y: Any) -> Any:
    """Bits of x shifted right by y, zeros coming in."""
    x, y = of_equal_shapes("shift_right_logical", x, y)
    bits, dtype = _unsigned("shift_right_logical", x)
    return convert(comparison.right_shift(bits, convert(array(y), typeof(bits).dtype)), dtype)


def shift_right_arithmetic(x: Any, y: Any) -> Any:
    """Bits of x shifted right by y, copies of the first one coming in, also in unsigned integers."""
    x, y = of_equal_shapes("shift_right_arithmetic", x, y)
    bits, dtype = _unsigned("shift_right_arithmetic", x)
    signed = np.dtype(f"i{dtype.itemsize}")
    return convert(comparison.right_shift(convert(bits, signed), convert(array(y), signed)), dtype)


def population_count(x: Any) -> Any:
    """Count the bits of integers that are set, also those of a negative number's two's complement."""
    bits, dtype = _unsigned("population_count", x)
    return convert(comparison.bitwise_count(bits), dtype)


def clz(x: Any) -> Any:
    """Count the zeros in front of the first bit of integers that is set."""
    bits, dtype = _unsigned("clz", x)
    width = dtype.itemsize * 8
    shift = 1
    while shift < width:  # every bit behind the first one becomes 1
        bits = comparison.bitwise_or(bits, comparison.right_shift(bits, typeof(bits).dtype.type(shift)))
        shift *= 2
    return convert(arithmetic.sub(width, convert(comparison.bitwise_count(bits), np.dtype(np.int64))), dtype)


# selection


def clamp(min: Any, x: Any, max: Any) -> Any:
    """Limit x to [min, max], which are scalars or have the shape of x. At a limit x has half of the derivative.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.clamp(0.0, np.array([-1.0, 0.5, 2.0]), 1.0)
    array([0. , 0.5, 1. ])
    """
    low, x, high = of_equal_shapes("clamp", min, x, max)
    return extrema.minimum(extrema.maximum(x, low), high)


def select_n(which: Any, *cases: Any) -> Any:
    """Take each element from the case that ``which`` says.

    Parameters
    ----------
    which : array of booleans or integers
        A scalar, or of the shape of the cases. A boolean selects from two cases: False the first one.
    *cases : arrays
        Of one shape and dtype.

    Notes
    -----
    The derivative is that of the selected case, even where the others are infinite. Integers out of bounds select the
    first or last case.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.select_n(np.array([2, 0]), np.array([1, 2]), np.array([3, 4]), np.array([5, 6]))
    array([5, 2])
    """
    require(len(cases) > 0, "select_n", "expected at least one case")
    which = array(which)
    arrays = [array(c) for c in cases]
    shape, kind = typeof(arrays[0]).shape, typeof(which).dtype.kind
    for c in arrays:
        require(
            typeof(c).shape == shape,
            "select_n",
            f"cases must have one shape, got {[typeof(a).shape for a in arrays]}",
            TypeError,
        )
    require(
        kind in "biu", "select_n", lambda: f"which must be booleans or integers, got {typeof(which).dtype}", TypeError
    )
    require(
        kind != "b" or len(arrays) <= 2,
        "select_n",
        lambda: f"booleans select from two cases, got {len(arrays)}",
        TypeError,
    )
    own = typeof(which).shape
    require(not own or own == shape, "select_n", lambda: f"which has shape {own}, the cases have {shape}", TypeError)
    if kind == "b":
        return where(which, arrays[-1], arrays[0]) if len(arrays) == 2 else arrays[0]
    out = arrays[-1]
    for k in reversed(range(len(arrays) - 1)):
        out = where(comparison.less_equal(which, k), arrays[k], out)
    return out


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """Take each element from ``on_true`` or ``on_false``, as the booleans say; all are computed. See `select_n`."""
    require(
        typeof(operand(pred)).dtype.kind == "b",
        "select",
        lambda: f"the predicate must be boolean, got {typeof(operand(pred)).dtype}",
        TypeError,
    )
    return select_n(pred, on_false, on_true)

"""How the special functions are computed: blocks of float64 in, pieces of the real line, polynomials.

    evaluated(f)     f : 1-d float64 arrays of one length -> one such array
                     is made a function of anything that broadcasts, of any real dtype

The functions compute in double precision, whatever the dtype, and round to the dtype of the result: that of NumPy's
promotion, float64 for integers. float16 and float32 are thus correctly rounded but for ties; a longdouble has the
accuracy of a double. Blocks stay in the cache, so that a polynomial costs arithmetic and no memory traffic.

The tables of coefficients were computed with mpmath at 50 digits: the Chebyshev interpolant at 64 nodes of the function
that stands beside each table (one without singularities on the interval), cut off where the rest is below 2**-57, and
rewritten in powers of ``s = (2 x - a - b) / (b - a)`` or, where it says so, of the variable itself. ``unit`` maps
[a, b] onto [-1, 1]. The sum of the magnitudes of the terms is less than three times the value in each case, so
that rounding costs one or two units in the last place (ulp).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.errors import MissingRuleError, UnsupportedOperationError
from fungrad.primitives.arithmetic import add, mul

Block = Any
"""A 1-d array of float64."""

Piece = tuple[Any, Callable[..., Any]]

_SIZE = 8192
_NUMBERS = (float, np.float64)


def result_dtype(name: str, operands: Sequence[Any]) -> np.dtype[Any]:
    """NumPy's promotion of real operands, where integers count as float64 (and Python numbers do not count)."""
    dtype = np.result_type(*operands)
    if dtype.kind in "biu":
        return np.dtype(np.float64)
    if dtype.kind != "f":
        raise UnsupportedOperationError(
            f"{name} of {dtype} operands: it is computed for real numbers only. scipy.special.{name} may take "
            "complex ones"
        )
    return dtype


def evaluated(
    name: str, fun: Callable[..., Block], scalar: Callable[[float], float] | None = None
) -> Callable[..., Any]:
    """Make a function of blocks one of arrays that broadcast; ``scalar`` does the same for one number."""

    def impl(*operands: Any) -> Any:
        if scalar is not None and type(operands[0]) in _NUMBERS:
            return np.float64(scalar(operands[0]))
        dtype = result_dtype(name, operands)
        arrays = np.broadcast_arrays(*[np.asarray(x, np.float64) for x in operands])
        shape = arrays[0].shape
        flat = [x.ravel() for x in arrays]
        with np.errstate(all="ignore"):
            if flat[0].size <= _SIZE:
                out = fun(*flat) if flat[0].size else np.empty(0)
            else:
                out = np.empty(flat[0].size)
                for start in range(0, out.size, _SIZE):
                    out[start : start + _SIZE] = fun(*[x[start : start + _SIZE] for x in flat])
            return out.reshape(shape).astype(dtype, copy=False)[()]

    return impl


def pieces(operands: Sequence[Block], *cases: Piece, otherwise: float = np.nan) -> Block:
    """For each element the function of the case whose mask it is in; only that one is computed."""
    out = np.full(operands[0].shape, otherwise)
    for mask, fun in cases:
        count = np.count_nonzero(mask)
        if count == mask.size:
            return fun(*operands)
        if count:
            out[mask] = fun(*[x[mask] for x in operands])
    return out


def polynomial(coefficients: Sequence[float], x: Block) -> Block:
    """``c[0] + c[1] x + ...`` by Horner's rule."""
    out = coefficients[-1] * x
    for c in coefficients[-2:0:-1]:
        out += c
        out *= x
    out += coefficients[0]
    return out


def power_series(coefficients: Sequence[float], x: Any) -> Any:
    """The same for the rules: of anything that can be traced, in fungrad's operations."""
    out: Any = coefficients[-1]
    for c in coefficients[-2::-1]:
        out = add(mul(out, x), c)
    return out


def unit(x: Block, low: float, high: float) -> Block:
    """Map [low, high] onto [-1, 1]."""
    return (x - (low + high) / 2) * (2 / (high - low))


def exp_minus_square(x: Block, half: bool = False) -> Block:
    """``exp(-x**2)``, or ``exp(-x**2 / 2)``, without the loss of x**2 ulp that rounding the square would cost."""
    high = np.trunc(x * 65536.0) / 65536.0  # its square is exact for |x| < 1e3, beyond which the result is 0
    low = (x - high) * (x + high)
    factor = -0.5 if half else -1.0
    return np.where(np.abs(x) < 1e3, np.exp(factor * high * high) * np.exp(factor * low), np.exp(-np.abs(x)))


def sin_pi(x: Block) -> Block:
    """``sin(pi x)``, exact at integers and half integers."""
    nearest = np.rint(x)
    sine = np.sin(np.pi * (x - nearest))
    return np.where(nearest % 2 == 0, sine, -sine)


def no_rule(function: str, operand: str, instead: str) -> Callable[..., Any]:
    """A derivative rule that says that there is none."""

    def rule(t: Any) -> Any:
        raise MissingRuleError(f"{function} has no derivative rule in {operand}; {instead}")

    return rule

"""NumPy's functions of sampled signals: convolution, interpolation, phase, gradients."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

import fungrad.numpy.reductions as reductions
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.primitive import as_operand
from fungrad.core.trace import Tracer, known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, promote
from fungrad.numpy.statistics import diff
from fungrad.primitives import convolution, interpolate
from fungrad.primitives.arithmetic import add, div, floor_divide, mul, neg, remainder, sub
from fungrad.primitives.comparison import equal, greater, less, logical_and
from fungrad.primitives.complex_parts import conj, is_complex
from fungrad.primitives.indexing import gather
from fungrad.primitives.rounding import abs as absolute
from fungrad.primitives.selection import where
from fungrad.primitives.sorting import argsort
from fungrad.primitives.structural import concatenate, convert, flip, reshape, slice_, slice_axis

# Convolution

_MODES = ("valid", "same", "full")


def _mode(mode: Any) -> str:
    """The mode by name (NumPy also takes its number)."""
    if isinstance(mode, str):
        if mode not in _MODES:
            raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
        return mode
    number = operator.index(mode)
    if not 0 <= number < len(_MODES):
        raise ValueError("integer convolve/correlate mode must be 0, 1, or 2")
    return _MODES[number]


def _vectors(a: Any, v: Any) -> tuple[Any, Any]:
    x, y = as_array(a), as_array(v)
    for z in (x, y):
        if typeof(z).ndim > 1:
            raise ValueError(f"object too deep for desired array: expected one axis, got shape {typeof(z).shape}")
    first, second = promote((x, y))
    return first, second


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """Convolve two vectors: ``out[k] = sum_i a[i] v[k - i]``.

    The derivative in each of them is the convolution of its tangent with the other one.

    Parameters
    ----------
    mode : {"full", "same", "valid"}
        All n + m - 1 elements, the max(n, m) in the middle, or those for which the shorter one fits into the longer.

    Examples
    --------
    >>> import fungrad as fg
    >>> import numpy as np
    >>> fg.grad(lambda v: np.convolve([1.0, 2.0, 4.0], v, "valid").sum())(np.array([0.5, 0.5]))
    array([6., 3.])
    """
    x, y = _vectors(a, v)
    x, y = (reshape(z, (1,)) if not typeof(z).shape else z for z in (x, y))
    n, m = x.shape[0], y.shape[0]
    if not n:
        raise ValueError("a cannot be empty")
    if not m:
        raise ValueError("v cannot be empty")
    least, most = min(n, m), max(n, m)
    mode = _mode(mode)
    if mode == "full":
        return convolution.convolve(x, y, 0, n + m - 1)
    start = least - 1 - (least // 2 if mode == "same" else 0)
    return convolution.convolve(x, y, start, start + most if mode == "same" else most)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """Correlate two vectors: ``out[k] = sum_i a[i + k] conj(v[i])``, from the first k at which they meet on.

    The derivative in each of them is the correlation with its tangent. Modes are those of `convolve`.
    """
    x, y = _vectors(a, v)
    for z in (x, y):
        if not typeof(z).shape:
            raise ValueError("object of too small depth for desired array")
    n, m = x.shape[0], y.shape[0]
    if not n:
        raise ValueError("first array argument cannot be empty")
    if not m:
        raise ValueError("second array argument cannot be empty")
    y = conj(flip(y, (0,)))
    mode = _mode(mode)
    if mode == "full":
        return convolution.convolve(x, y, 0, n + m - 1)
    if mode == "valid":
        return convolution.convolve(x, y, min(n, m) - 1, max(n, m))
    start = m - 1 - m // 2 if n >= m else n // 2  # NumPy correlates v with a, and reverses, where v is longer
    return convolution.convolve(x, y, start, start + max(n, m))


# Interpolation

_DOUBLE, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


def _double(name: str, x: Any, target: np.dtype[Any] = _DOUBLE) -> Any:
    """An argument of interp in double precision; a TypeError if it does not fit in."""
    x = as_array(x)
    dtype = typeof(x).dtype
    if not np.can_cast(dtype, target):
        raise TypeError(f"interp: cannot cast {name} from {dtype!r} to {target!r} according to the rule 'safe'")
    return convert(x, target)


def _outer_value(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    value = as_array(value)
    aval = typeof(value)
    if aval.shape or aval.dtype.kind not in "biufc":
        raise TypeError(f"interp: {name} must be a number, got an array of shape {aval.shape} and {aval.dtype}")
    if aval.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"interp: {name} must be a real number, as fp is real, not complex")
    return convert(value, dtype)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Interpolate linearly between points (xp, fp), in double precision.

    It has derivatives in x (the slope), in fp and in xp; outside of the points in ``left`` or ``right``. At a point
    ``x == xp[j]`` they are taken with the slope of the segment on its right, at the last one of that on its left.

    Parameters
    ----------
    x : array
        Where to interpolate, of any shape.
    xp, fp : vectors
        The points, with xp increasing (this is not checked); fp may be complex.
    left, right : number, optional
        The values for ``x < xp[0]`` and ``x > xp[-1]``; by default ``fp[0]`` and ``fp[-1]``.
    period : number, optional
        Make x and xp periodic; xp need not be increasing then, and left and right are not used.

    Notes
    -----
    NumPy looks at x, xp and fp only for traced arrays: where none of them is one, the other arguments cannot be.

    Examples
    --------
    >>> import fungrad as fg
    >>> import numpy as np
    >>> fg.grad(lambda fp: np.interp(1.25, [0, 1, 2], fp))(np.array([0.0, 1.0, 4.0]))
    array([0.  , 0.75, 0.25])
    """
    fp = as_array(fp)
    dtype = _COMPLEX if is_complex(fp) else _DOUBLE
    x, xp, fp = _double("x", x), _double("xp", xp), _double("fp", fp, dtype)
    for points in (xp, fp):
        if typeof(points).ndim != 1:
            raise ValueError(f"interp: data points must be 1-D sequences, got an array of shape {points.shape}")
    n = xp.shape[0]
    if n != fp.shape[0]:
        raise ValueError("fp and xp are not of the same length.")
    if not n:
        raise ValueError("array of sample points is empty")
    if period is not None:
        known = known_value(period)
        if not isinstance(known, ShapedArray) and known == 0:
            raise ValueError("period must be a non-zero value")
        period, left, right = absolute(_double("period", period)), None, None
        x, xp = remainder(x, period), remainder(xp, period)
        order = argsort(xp, 0)
        xp, fp = gather(xp, order, unique=True), gather(fp, order, unique=True)
        first, last = slice_axis(xp, 0, 0, 1), slice_axis(xp, 0, n - 1, n)
        xp = concatenate([sub(last, period), xp, add(first, period)], 0)
        fp = concatenate([slice_axis(fp, 0, n - 1, n), fp, slice_axis(fp, 0, 0, 1)], 0)
    left = slice_(fp, (0,)) if left is None else _outer_value("left", left, dtype)
    right = slice_(fp, (fp.shape[0] - 1,)) if right is None else _outer_value("right", right, dtype)
    return interpolate.interp(x, xp, fp, left, right)


# Phase


def _promoted(*operands: Any) -> np.dtype[Any]:
    """NumPy's result_type, in which Python numbers, traced or not, do not take part but by their kind (NEP 50)."""
    types = []
    for x in operands:
        aval = typeof(x)
        types.append(aval.dtype.type(0).item() if aval.weak else aval.dtype)
    return np.result_type(*types)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Add multiples of the period along an axis, so that neighbours differ by half a period at most.

    Parameters
    ----------
    discont : number, optional
        The least difference that is corrected, half a period at least and by default.
    period : number
        In the unit of p (radians by default).

    Notes
    -----
    The derivative in p is 1, as that of what is added is 0, also at the jumps; that in the period is the number of
    periods added.
    """
    p, period = as_array(p), as_operand(period)
    dd = diff(p, axis=axis)
    axis = normalize_axis_index(operator.index(axis), len(p.shape))
    discont = div(period, 2) if discont is None else as_operand(discont)
    dtype = _promoted(dd, period)
    if dtype.kind in "iu":
        high: Any = floor_divide(period, 2)
        ambiguous: Any = equal(remainder(period, 2), 0)
    else:
        high, ambiguous = div(period, 2), True
    low = neg(high)
    within = add(remainder(sub(dd, low), period), low)
    # Half a period up stays one up: the remainder alone turns it into half a period down. A period is added, not half a
    # period taken, as that would cut the derivative in p.
    up = logical_and(logical_and(equal(within, low), greater(dd, 0)), ambiguous)
    within = where(up, add(within, sub(high, low)), within)
    correction = where(less(absolute(dd), discont), 0, sub(within, dd))
    n = p.shape[axis]
    first, rest = slice_axis(p, axis, 0, min(1, n)), slice_axis(p, axis, min(1, n), n)
    rest = add(rest, reductions.cumsum(correction, axis))
    return concatenate([convert(first, dtype), convert(rest, dtype)], axis)


# Gradients


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Estimate derivatives along axes by differences, central ones inside and one-sided ones at the ends.

    It is linear in f, and has derivatives in the distances too.

    Parameters
    ----------
    *varargs : number or vector
        Nothing (distance 1), one distance for all axes, or for each axis a distance or the coordinates of its points.
    axis : int or tuple of int, optional
        All axes by default. For one axis the result is an array, else a tuple.
    edge_order : {1, 2}
        The order of accuracy at the ends.

    Notes
    -----
    NumPy has a formula of its own for coordinates that are equidistant, which takes the first distance for all. Traced
    coordinates never take it: the derivative in each of them would be lost.
    """
    f = as_array(f)
    shape = typeof(f).shape
    axes = tuple(range(len(shape))) if axis is None else normalize_axis_tuple(axis, len(shape))
    steps = _steps(shape, axes, varargs)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    dtype = typeof(f).dtype
    if dtype.kind in "iu":
        f = convert(f, _DOUBLE)
    if not is_inexact(dtype):
        dtype = _DOUBLE
    out = []
    for k, step in zip(axes, steps, strict=True):
        if shape[k] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
                "required."
            )
        out.append(concatenate([convert(x, dtype) for x in _differences(f, k, step, edge_order)], k))
    return out[0] if len(out) == 1 else tuple(out)


def _steps(shape: tuple[int, ...], axes: Sequence[int], distances: Sequence[Any]) -> list[Any]:
    """For each axis a distance, or the vector of distances between neighbours."""
    given = [as_array(d) if isinstance(d, (list, tuple)) else as_operand(d) for d in distances]
    if not given:
        return [1.0] * len(axes)
    if len(given) == 1 and not typeof(given[0]).shape:
        return given * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    return [_step(d, shape[k]) for d, k in zip(given, axes, strict=True)]


def _step(d: Any, size: int) -> Any:
    aval = typeof(d)
    if not aval.shape:
        return d
    if len(aval.shape) != 1:
        raise ValueError("distances must be either scalars or 1d")
    if aval.shape[0] != size:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    steps = diff(convert(d, _DOUBLE) if aval.dtype.kind in "iu" else d)
    if type(steps) is not Tracer and steps.size and (steps == steps[0]).all():
        return steps[0]
    return steps


def _differences(f: Any, axis: int, h: Any, edge_order: int) -> tuple[Any, Any, Any]:
    """The first difference, those inside, and the last one, along an axis."""
    n = typeof(f).shape[axis]

    def part(start: int, stop: int) -> Any:
        return slice_axis(f, axis, start, stop)

    def along(steps: Any) -> Any:
        return reshape(steps, (n - 2, *(1,) * (typeof(f).ndim - 1 - axis)))

    def combine(weights: tuple[Any, Any, Any], *parts: Any) -> Any:
        a, b, c = [mul(w, x) for w, x in zip(weights, parts, strict=True)]
        return add(add(a, b), c)

    if not typeof(h).shape:
        first, last = h, h
        inside = div(sub(part(2, n), part(0, n - 2)), mul(2.0, h)) if n > 2 else part(1, 1)
    else:
        h1, h2 = slice_axis(h, 0, 0, n - 2), slice_axis(h, 0, 1, n - 1)
        both = add(h1, h2)
        weights = neg(div(h2, mul(h1, both))), div(sub(h2, h1), mul(h1, h2)), div(h1, mul(h2, both))
        inside = combine(tuple([along(w) for w in weights]), part(0, n - 2), part(1, n - 1), part(2, n))
        first, last = slice_(h, (0,)), slice_(h, (n - 2,))
    if edge_order < 2:
        return div(sub(part(1, 2), part(0, 1)), first), inside, div(sub(part(n - 1, n), part(n - 2, n - 1)), last)
    if not typeof(h).shape:
        at_first: Any = div(-1.5, h), div(2.0, h), div(-0.5, h)
        at_last: Any = div(0.5, h), div(-2.0, h), div(1.5, h)
    else:
        at_first = _one_sided(first, slice_(h, (1,)))
        at_last = [neg(w) for w in _one_sided(last, slice_(h, (n - 3,)))[::-1]]
    begin = combine(at_first, part(0, 1), part(1, 2), part(2, 3))
    return begin, inside, combine(tuple(at_last), part(n - 3, n - 2), part(n - 2, n - 1), part(n - 1, n))


def _one_sided(near: Any, far: Any) -> tuple[Any, Any, Any]:
    """Weights of the second-order difference at the first of three points, with these distances between them."""
    both = add(near, far)
    return (
        neg(div(add(mul(2.0, near), far), mul(near, both))),
        div(both, mul(near, far)),
        neg(div(near, mul(far, both))),
    )

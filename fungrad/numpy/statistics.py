"""NumPy's functions composed of reductions: averages, covariances, differences, integrals, accumulations."""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

import fungrad.numpy.reductions as reductions
from fungrad._util import here, user_source
from fungrad.core.aval import Shape, ShapedArray, is_inexact, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.reductions import Axis
from fungrad.numpy.shaping import as_array, promote, refuse
from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.comparison import less_equal, not_equal
from fungrad.primitives.complex_parts import conj, imag, real
from fungrad.primitives.contraction import contract
from fungrad.primitives.exponential import sqrt
from fungrad.primitives.extrema import clip
from fungrad.primitives.indexing import gather
from fungrad.primitives.selection import where as select
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    ones,
    reduce_sum,
    reshape,
    slice_,
    slice_axis,
    transpose,
    zeros,
)

# Warnings


def warn_where(condition: Any, text: str) -> None:
    """Warn as NumPy does where a condition holds; not where it is unknown."""
    known = known_value(condition)
    if not isinstance(known, ShapedArray) and np.any(known):
        place = user_source()
        frame, level = sys._getframe(), 1
        while frame.f_back is not None and place is not None and frame.f_code is not place[0]:
            frame, level = frame.f_back, level + 1
        warnings.warn(text, RuntimeWarning, stacklevel=level)


# Averages and covariances


@implements(np.average)
def average(a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Average the elements along axes with weights.

    Parameters
    ----------
    weights : array, optional
        Of the shape of a, or of its axes ``axis``. The result has a derivative in the weights as well.
    returned : bool
        Whether to return the sums of the weights too.
    """
    x = as_array(a)
    shape = typeof(x).shape
    axes = tuple(range(len(shape))) if axis is None else tuple(sorted(normalize_axis_tuple(axis, len(shape), "axis")))
    if weights is None:
        mean = reductions.mean(x, axes, keepdims=keepdims)
        aval = typeof(mean)
        return (mean, broadcast_to(aval.dtype.type(typeof(x).size / aval.size), aval.shape)) if returned else mean
    w = as_array(weights)
    dtype = np.result_type(typeof(x).dtype, typeof(w).dtype, *([] if is_inexact(typeof(x).dtype) else [np.float64]))
    if typeof(w).shape != shape:
        w = along_axes(w, shape, axis)
    total = reductions.sum(w, axes, dtype=dtype, keepdims=keepdims)
    known = known_value(total)
    if not isinstance(known, ShapedArray) and np.any(known == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    weighted = mul(convert(x, dtype), convert(w, dtype))
    mean = div(reductions.sum(weighted, axes, keepdims=keepdims), total)
    return (mean, total) if returned else mean


def along_axes(w: Any, shape: Shape, axis: Axis) -> Any:
    """Weights for some axes, in the order in which ``axis`` names them, broadcast to the whole shape."""
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = [normalize_axis_index(operator.index(k), len(shape)) for k in (axis if isinstance(axis, tuple) else (axis,))]
    if typeof(w).shape != tuple([shape[k] for k in axes]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    w = transpose(w, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
    return broadcast_to(expand_dims(w, tuple([k for k in range(len(shape)) if k not in axes])), shape)


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Estimate the covariance matrix of variables of which there are observations.

    Parameters
    ----------
    m, y : array
        Variables, of which y has more; a row for each, or a column without ``rowvar``.
    bias, ddof
        The divisor is the number of observations without ``ddof``, which is 0 with ``bias`` and else 1.
    fweights : array of integers, optional
        How often each observation counts.
    aweights : array, optional
        The weight of each observation. The covariances have a derivative in it.

    Notes
    -----
    ``C = X W X^H / n`` with X the deviations from the weighted mean, which has a derivative of its own. Frequencies are
    integers and so have none: traced floating-point numbers are refused.
    """
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m = as_array(m)
    others = [] if y is None else [as_array(y)]
    for name, v in zip("my", (m, *others), strict=False):
        if typeof(v).ndim > 2:
            raise ValueError(f"{name} has more than 2 dimensions")
    dtype = np.result_type(*[typeof(v).dtype for v in (m, *others)], np.float64) if dtype is None else np.dtype(dtype)
    x = _variables(m, dtype, rowvar or typeof(m).shape[:-1] in _ONE_VARIABLE)
    if not typeof(x).shape[0]:
        return np.zeros((0, 0))
    if others:
        rows = [x, *[_variables(v, dtype, rowvar or typeof(v).shape[:-1] in ((), (1,))) for v in others]]
        x = concatenate(promote(rows), 0)
    n = typeof(x).shape[1]
    w = _observation_weights(fweights, aweights, n)
    if ddof is None:
        ddof = 0 if bias else 1
    mean, total = average(x, 1, w, True)
    total = slice_(total, (0,))
    if w is None:
        divisor: Any = n - ddof
    elif ddof == 0:
        divisor = total
    elif aweights is None:
        divisor = sub(total, ddof)
    else:
        squares = mul(w, convert(as_array(aweights), _FLOAT))
        divisor = sub(total, div(mul(reduce_sum(squares, (0,)), ddof), total))
    warn_where(less_equal(divisor, 0), "Degrees of freedom <= 0 for slice")
    x = sub(x, expand_dims(mean, (1,)))
    c = contract(x, conj(x if w is None else mul(x, w)), "ab,cb->ac")
    factor = div(1, select(less_equal(divisor, 0), 0.0, divisor))
    c = mul(c, convert(factor, np.dtype(typeof(c).dtype.char.lower())))
    return reshape(c, tuple([k for k in typeof(c).shape if k != 1]))


_FLOAT = np.dtype(np.float64)

# NumPy before 2.2 took a matrix of one row for one variable even without rowvar.
_ONE_VARIABLE: tuple[Shape, ...] = ((),) if np.cov(np.zeros((1, 2)), rowvar=False, bias=True).shape else ((), (1,))


def _variables(v: Any, dtype: np.dtype[Any], rows: bool) -> Any:
    """The matrix of observations with a row for each variable."""
    shape = typeof(v).shape
    v = reshape(convert(v, dtype), (1,) * (2 - len(shape)) + shape)
    return v if rows else transpose(v, (1, 0))


def _observation_weights(fweights: Any, aweights: Any, n: int) -> Any:
    """The product of the frequencies and the weights; None if there are none."""
    given = {"fweights": fweights, "aweights": aweights}
    factors = []
    for name, weights in given.items():
        if weights is None:
            continue
        w = as_array(weights)
        if name == "fweights" and type(w) is Tracer and is_inexact(typeof(w).dtype):
            raise UnsupportedOperationError(
                f"numpy.cov(..., fweights=...) at {here()}: frequencies are integers and have no derivative, but these "
                f"are a traced array of type {w.aval!r}; write aweights=, or convert them by .astype(int)"
            )
        w = convert(w, _FLOAT)
        known = known_value(w)
        if isinstance(known, ShapedArray):
            known = np.ones(known.shape)
        if name == "fweights" and np.any(known != np.around(known)):
            raise TypeError("fweights must be integer")
        if known.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if known.shape[0] != n:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        if np.any(known < 0):
            raise ValueError(f"{name} cannot be negative")
        factors.append(w)
    return mul(*factors) if len(factors) == 2 else factors[0] if factors else None


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Estimate the correlation coefficients ``C_ij / sqrt(C_ii C_jj)``, with C from `cov`.

    Values that rounding puts outside [-1, 1] are clipped. The derivative is that before clipping: the exact value is
    never outside, and the second derivative at full correlation is not zero.
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not typeof(c).shape:
        return div(c, c)
    every = np.arange(typeof(c).shape[0])
    deviation = sqrt(real(gather(c, every, every, unique=True)))
    c = div(div(c, expand_dims(deviation, (1,))), deviation)
    clipped = clip(real(c), -1, 1)
    if typeof(c).dtype.kind == "c":
        clipped = add(clipped, mul(clip(imag(c), -1, 1), 1j))
    return add(c, stop_gradient_p.bind(sub(clipped, c)))


# Differences and integrals


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtract from each element the one before it along an axis, n times; booleans: whether they differ.

    Parameters
    ----------
    prepend, append : array, optional
        Joined to a before and behind; a scalar stands for one element everywhere.
    """
    x = as_array(a)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if not x.shape:
        raise ValueError("diff requires input that is at least one dimensional")
    if n == 0:
        return x
    axis = normalize_axis_index(operator.index(axis), len(x.shape))
    ends = [x if e is x else _end(e, x.shape, axis) for e in (prepend, x, append) if e is not None]
    x = concatenate(promote(ends), axis)
    difference = not_equal if typeof(x).dtype == np.bool_ else sub
    for _ in range(n):
        size = x.shape[axis]
        x = difference(slice_axis(x, axis, min(1, size), size), slice_axis(x, axis, 0, max(size - 1, 0)))
    return x


def _end(value: Any, shape: Shape, axis: int) -> Any:
    value = as_array(value)
    return value if value.shape else broadcast_to(value, (*shape[:axis], 1, *shape[axis + 1 :]))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Take the differences of neighbours in the flattened array, with values joined before and behind."""
    x = as_array(ary)
    n = x.size
    x = reshape(x, (n,))
    x = sub(slice_axis(x, 0, min(1, n), n), slice_axis(x, 0, 0, max(n - 1, 0)))
    ends = [None if e is None else as_array(e) for e in (to_begin, to_end)]
    for name, e in zip(("to_begin", "to_end"), ends, strict=True):
        if e is not None and not np.can_cast(typeof(e).dtype, typeof(x).dtype, "same_kind"):
            raise TypeError(f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.")
    ends = [None if e is None else convert(e, typeof(x).dtype) for e in ends]
    begin, end = (None if e is None else reshape(e, (e.size,)) for e in ends)
    return concatenate([e for e in (begin, x, end) if e is not None], 0)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrate along an axis by the trapezoidal rule; it has a derivative in the points x too."""
    y = as_array(y)
    k = normalize_axis_index(operator.index(axis), len(y.shape))
    if x is None:
        width = dx
    else:
        x = as_array(x)
        width = (
            diff(x, axis=k) if len(x.shape) != 1 else reshape(diff(x), (-1 + x.size, *(1,) * (len(y.shape) - 1 - k)))
        )
    n = y.shape[k]
    sides = add(slice_axis(y, k, 1, n), slice_axis(y, k, 0, n - 1))
    return reductions.sum(div(mul(width, sides), 2.0), axis=k)


# Accumulations of the array API


def _cumulative(
    name: str,
    fun: Callable[..., Any],
    first: Callable[[ShapedArray], Any],
    x: Any,
    axis: Any,
    dtype: Any,
    include_initial: bool,
) -> Any:
    x = as_array(x)
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(
                f"{name}: axis is needed for an array of {len(x.shape)} axes; it may be left out for one axis only"
            )
        axis = 0
    out = fun(x, axis, dtype)
    if not include_initial:
        return out
    k = normalize_axis_index(operator.index(axis), len(x.shape))
    return concatenate([first(ShapedArray((*x.shape[:k], 1, *x.shape[k + 1 :]), typeof(out).dtype)), out], k)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Add up the elements along an axis, keeping all partial sums (``include_initial``: from that of none)."""
    refuse("cumulative_sum", out=(out, None))
    return _cumulative("cumulative_sum", reductions.cumsum, zeros, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    """Multiply the elements along an axis, keeping all partial products (``include_initial``: from that of none)."""
    refuse("cumulative_prod", out=(out, None))
    return _cumulative("cumulative_prod", reductions.cumprod, ones, x, axis, dtype, include_initial)


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    implements(np.cumulative_sum)(cumulative_sum)
    implements(np.cumulative_prod)(cumulative_prod)

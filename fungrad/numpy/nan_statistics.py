"""NumPy's reductions and accumulations that skip nan: the functions without it, with a mask.

An element that is nan has the derivative 0. Where nothing is left the result is nan and does not depend on anything;
NumPy's warning is given if the values are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad.numpy.reductions as reductions
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.trace import known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.reductions import Axis
from fungrad.numpy.shaping import as_array, refuse
from fungrad.numpy.statistics import warn_where
from fungrad.primitives.arithmetic import div, mul, sub
from fungrad.primitives.comparison import equal, isnan, less_equal, logical_and, logical_not
from fungrad.primitives.complex_parts import conj, real
from fungrad.primitives.reductions import safe_sqrt
from fungrad.primitives.selection import where as select
from fungrad.primitives.structural import broadcast_to, convert


def _known(x: Any, where: Any = True) -> Any:
    """Where elements are not nan and are selected."""
    known = logical_not(isnan(x))
    return known if where is True else logical_and(known, as_array(where))


@implements(np.nansum)
def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Add the elements along axes that are not nan."""
    x = as_array(a)
    return reductions.sum(x, axis, dtype, out, keepdims, initial, _known(x, where))


@implements(np.nanprod)
def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Multiply the elements along axes that are not nan."""
    x = as_array(a)
    return reductions.prod(x, axis, dtype, out, keepdims, initial, _known(x, where))


def _check_inexact(dtype: Any) -> None:
    if dtype is not None and not is_inexact(np.dtype(dtype)):
        raise TypeError("If a is inexact, then dtype must be inexact")


def _counted(total: Any, count: Any, empty: Any) -> Any:
    """``total / count`` in the dtype of the total, and nan where a condition holds (there the derivative is 0)."""
    dtype = typeof(total).dtype
    count = convert(count, np.dtype(dtype.char.lower()))
    return select(empty, np.nan, div(total, select(empty, 1, count)))


@implements(np.nanmean)
def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    """Average the elements along axes that are not nan; nan where there is none."""
    refuse("nanmean", out=(out, None))
    x = as_array(a)
    if not is_inexact(typeof(x).dtype):
        return reductions.mean(x, axis, dtype, out, keepdims, where=where)
    _check_inexact(dtype)
    known = broadcast_to(_known(x, where), typeof(x).shape)
    count = reductions.count_nonzero(known, axis, keepdims=keepdims)
    empty = equal(count, 0)
    warn_where(empty, "Mean of empty slice")
    return _counted(reductions.sum(x, axis, dtype, None, keepdims, where=known), count, empty)


@implements(np.nanvar)
def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Take the variance along axes of the elements that are not nan; nan where there are ``ddof`` or less."""
    refuse("nanvar", out=(out, None))
    x = as_array(a)
    if not is_inexact(typeof(x).dtype):
        return reductions.var(x, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    _check_inexact(dtype)
    if correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    known = broadcast_to(_known(x, where), typeof(x).shape)
    count = reductions.count_nonzero(known, axis, keepdims=True)
    if mean is None:
        mean = _counted(reductions.sum(x, axis, dtype, None, True, where=known), count, equal(count, 0))
    deviation = select(known, convert(sub(x, as_array(mean)), typeof(x).dtype), 0)
    square = real(mul(deviation, conj(deviation)))
    freedom = sub(reductions.count_nonzero(known, axis, keepdims=keepdims), ddof)
    too_few = less_equal(freedom, 0)
    warn_where(too_few, "Degrees of freedom <= 0 for slice.")
    return _counted(reductions.sum(square, axis, dtype, None, keepdims), freedom, too_few)


@implements(np.nanstd)
def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    """Take the square root of `nanvar`. Where all elements are equal the derivative, 0/0, is taken to be 0."""
    variance = nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    return safe_sqrt(variance)


def _nan_extremum(
    fun: Callable[..., Any], worst: float, a: Any, axis: Axis, keepdims: bool, initial: Any, where: Any
) -> Any:
    x = as_array(a)
    if not is_inexact(typeof(x).dtype):
        return fun(x, axis, keepdims=keepdims, initial=initial, where=where)
    unknown = isnan(x)
    found = fun(select(unknown, worst, x), axis, keepdims=keepdims, initial=initial, where=where)
    if initial is not None:
        return found
    nothing = reductions.all(unknown, axis, keepdims=keepdims)
    warn_where(nothing, "All-NaN slice encountered")
    return select(nothing, np.nan, found)


@implements(np.nanmax)
def nanmax(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """Take the maximum along axes of the elements that are not nan; nan where there is none."""
    refuse("nanmax", out=(out, None))
    return _nan_extremum(reductions.max, -np.inf, a, axis, keepdims, initial, where)


@implements(np.nanmin)
def nanmin(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """Take the minimum along axes of the elements that are not nan; nan where there is none."""
    refuse("nanmin", out=(out, None))
    return _nan_extremum(reductions.min, np.inf, a, axis, keepdims, initial, where)


def _nan_position(fun: Callable[..., Any], worst: float, a: Any, axis: int | None, out: Any, keepdims: bool) -> Any:
    x = as_array(a)
    if not is_inexact(typeof(x).dtype):
        return fun(x, axis, out, keepdims=keepdims)
    unknown = isnan(x)
    found = fun(select(unknown, worst, x), axis, out, keepdims=keepdims)
    nothing = known_value(reductions.all(unknown, axis))
    if not isinstance(nothing, ShapedArray) and np.any(nothing):
        raise ValueError("All-NaN slice encountered")
    return found


@implements(np.nanargmax)
def nanargmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """Find the first maximum of the elements that are not nan: its index, which has no derivative.

    Where there are none, NumPy's ValueError is raised if the values are known; else the index is 0.
    """
    return _nan_position(reductions.argmax, -np.inf, a, axis, out, keepdims)


@implements(np.nanargmin)
def nanargmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """Find the first minimum of the elements that are not nan: its index, which has no derivative; see `nanargmax`."""
    return _nan_position(reductions.argmin, np.inf, a, axis, out, keepdims)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Add up the elements along an axis, with nan as 0."""
    x = as_array(a)
    return reductions.cumsum(select(isnan(x), 0, x), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Multiply the elements along an axis, with nan as 1."""
    x = as_array(a)
    return reductions.cumprod(select(isnan(x), 1, x), axis, dtype, out)

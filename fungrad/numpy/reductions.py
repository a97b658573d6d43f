"""NumPy's reductions and accumulations: sum, prod, max, mean, var, all, argmax, cumsum, ...

Each normalises NumPy's arguments (negative axes, None, keepdims, initial, where) and calls a primitive on sorted axes.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from fungrad.core.aval import FLOAT, typeof
from fungrad.core.trace import Tracer
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives import cumulative, reductions
from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.comparison import logical_not, logical_or
from fungrad.primitives.complex_parts import conj, real
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.reductions import Axes
from fungrad.primitives.selection import where as select
from fungrad.primitives.structural import broadcast_to, convert, expand_dims, reduce_sum, reshape

Axis = int | tuple[int, ...] | None

# Arguments


def _array(x: Any) -> Any:
    return x if type(x) is Tracer or type(x) is np.ndarray else as_array(x)


def axes_of(axis: Axis, ndim: int) -> Axes:
    """The axes to reduce, counted from 0 and sorted; None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, tuple):
        return tuple(sorted(normalize_axis_tuple(axis, ndim)))
    k = operator.index(axis)
    if not ndim and k in (0, -1):
        return ()  # NumPy lets the reductions of a scalar name an axis
    return (normalize_axis_index(k, ndim),)


def _masked(x: Any, where: Any, identity: Any) -> Any:
    return x if where is True else select(_array(where), x, identity)


def _initial(value: Any, dtype: np.dtype[Any]) -> Any:
    """An initial value in the dtype of the result. As in NumPy it must fit: -1 is no uint8, and 2j no float."""
    if type(value) in (int, float) and dtype.kind in "iu":
        return np.array(int(value), dtype)[()]
    if typeof(value).dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"a complex initial value does not fit into {dtype!r}")
    return convert(value, dtype)


def _finish(out: Any, axes: Axes, keepdims: bool) -> Any:
    return expand_dims(out, axes) if keepdims else out


def _in_dtype(x: Any, dtype: Any) -> Any:
    return x if dtype is None else convert(x, np.dtype(dtype))


# Sums and products


@implements(np.sum)
def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Add the elements along axes."""
    if out is not None:
        refuse("sum", out=(out, None))
    x = _masked(_in_dtype(_array(a), dtype), where, 0)
    axes = axes_of(axis, len(x.shape))
    total = _in_dtype(reduce_sum(x, axes), dtype)
    if initial is not None:
        total = add(total, _initial(initial, typeof(total).dtype))
    return _finish(total, axes, keepdims)


@implements(np.prod)
def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """Multiply the elements along axes. The derivative is the product of all the others: zeros are no exception."""
    refuse("prod", out=(out, None))
    x = _masked(_in_dtype(_array(a), dtype), where, 1)
    axes = axes_of(axis, len(x.shape))
    total = _in_dtype(reductions.reduce_prod(x, axes), dtype)
    if initial is not None:
        total = mul(total, _initial(initial, typeof(total).dtype))
    return _finish(total, axes, keepdims)


# Extrema


def _extremum(
    name: str,
    reduce: Callable[[Any, Axes], Any],
    pick: Callable[[Any, Any], Any],
    a: Any,
    axis: Axis,
    out: Any,
    keepdims: bool,
    initial: Any,
    where: Any,
) -> Any:
    refuse(name, out=(out, None))
    x = _array(a)
    axes = axes_of(axis, len(x.shape))
    if initial is None:
        if where is not True:
            raise ValueError(
                f"reduction operation '{name}imum' does not have an identity, so to use a where mask one has to "
                "specify 'initial'"
            )
        return _finish(reduce(x, axes), axes, keepdims)
    bound = _initial(initial, typeof(x).dtype)
    x = _masked(x, where, bound)
    if not x.size:
        shape = reductions.without(x.shape, axes)
        return _finish(broadcast_to(bound, shape), axes, keepdims)
    return _finish(pick(reduce(x, axes), bound), axes, keepdims)


@implements(np.max, np.amax)
def max(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """Take the maximum along axes. Elements that are equal to it share the derivative equally."""
    return _extremum("max", reductions.reduce_max, maximum, a, axis, out, keepdims, initial, where)


@implements(np.min, np.amin)
def min(
    a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """Take the minimum along axes. Elements that are equal to it share the derivative equally."""
    return _extremum("min", reductions.reduce_min, minimum, a, axis, out, keepdims, initial, where)


@implements(np.ptp)
def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False) -> Any:
    """Subtract the minimum along axes from the maximum."""
    refuse("ptp", out=(out, None))
    return sub(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims))


def _position(name: str, find: Callable[[Any, int], Any], a: Any, axis: int | None, out: Any, keepdims: bool) -> Any:
    refuse(name, out=(out, None))
    x = _array(a)
    shape = x.shape
    if axis is None:
        position = find(reshape(x, (x.size,)), 0)
        return reshape(position, (1,) * len(shape)) if keepdims else position
    axes = axes_of(operator.index(axis), len(shape))
    return _finish(find(x, axes[0]) if axes else find(reshape(x, (1,)), 0), axes, keepdims)


@implements(np.argmax)
def argmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """Find the first maximum along an axis, or in the flattened array: its index, which has no derivative."""
    return _position("argmax", reductions.argmax, a, axis, out, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """Find the first minimum along an axis, or in the flattened array: its index, which has no derivative."""
    return _position("argmin", reductions.argmin, a, axis, out, keepdims)


# Truth


@implements(np.all)
def all(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Test whether all elements along axes are true; no derivative."""
    refuse("all", out=(out, None))
    x = _array(a)
    if where is not True:
        x = logical_or(x, logical_not(_array(where)))
    axes = axes_of(axis, len(x.shape))
    return _finish(reductions.reduce_all(x, axes), axes, keepdims)


@implements(np.any)
def any(a: Any, axis: Axis = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Test whether any element along axes is true; no derivative."""
    refuse("any", out=(out, None))
    x = _masked(_array(a), where, False)
    axes = axes_of(axis, len(x.shape))
    return _finish(reductions.reduce_any(x, axes), axes, keepdims)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Count the elements along axes that are not zero; no derivative."""
    x = _array(a)
    axes = axes_of(axis, len(x.shape))
    return _finish(reductions.count_nonzero(x, axes), axes, keepdims)


# Means and variances


def _count(x: Any, axes: Axes, where: Any) -> Any:
    """How many elements each result combines: an integer, or with a mask an array."""
    if where is True:
        return reductions.count_along(x.shape, axes)
    return reductions.count_nonzero(broadcast_to(_array(where), x.shape), axes)


def _inexact(x: Any, dtype: Any) -> tuple[Any, Any]:
    """The array to average in (float64 for integers, float32 for half precision), and the dtype of the result."""
    own = typeof(x).dtype
    if dtype is not None:
        own = np.dtype(dtype)
    elif own.kind in "biu":
        own = FLOAT
    return convert(x, np.dtype(np.float32) if own == np.float16 else own), own


def _own_axes(x: Any, axis: Axis, where: Any) -> Axes:
    """The axes to average over: unlike in a sum, and without a mask, a scalar has none that could be named."""
    if axis is not None and where is True:
        normalize_axis_tuple(axis, len(x.shape))
    return axes_of(axis, len(x.shape))


def _divided(total: Any, count: Any, dtype: Any) -> Any:
    """``total / count`` in the dtype of the total: an integer array would promote float32."""
    if type(count) is not int:
        count = convert(count, np.dtype(typeof(total).dtype.char.lower()))
    return convert(div(total, count), dtype)


@implements(np.mean)
def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    """Average the elements along axes."""
    if out is not None:
        refuse("mean", out=(out, None))
    x, dtype = _inexact(_array(a), dtype)
    axes = _own_axes(x, axis, where)
    average = _divided(reduce_sum(_masked(x, where, 0), axes), _count(x, axes, where), dtype)
    return _finish(average, axes, keepdims)


@implements(np.var)
def var(
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
    """Average the squared distance from the mean along axes; real, also for complex elements.

    Parameters
    ----------
    ddof, correction : float
        What to subtract from the number of elements in the divisor (one of the two).
    mean : array, optional
        The mean along the axes, with the axes kept, to save its computation. It has a derivative of its own.
    """
    refuse("var", out=(out, None))
    if correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    x, dtype = _inexact(_array(a), dtype)
    axes = _own_axes(x, axis, where)
    count = _count(x, axes, where)
    if where is True and mean is None:
        total = reductions.squared_deviations(x, axes)
    else:
        if mean is None:
            mean = expand_dims(_divided(reduce_sum(_masked(x, where, 0), axes), count, typeof(x).dtype), axes)
        dev = _masked(sub(x, _array(mean)), where, 0)
        total = reduce_sum(real(mul(dev, conj(dev))), axes)
    divisor = builtins.max(count - ddof, 0) if where is True else maximum(sub(count, ddof), 0)
    return _finish(_divided(total, divisor, np.dtype(dtype.char.lower())), axes, keepdims)


@implements(np.std)
def std(
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
    """Take the square root of `var`. Where all elements are equal the derivative, 0/0, is taken to be 0."""
    variance = var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    return reductions.safe_sqrt(variance)


# Accumulations


def _along(a: Any, axis: int | None) -> tuple[Any, int]:
    """The array and the axis to accumulate along: without an axis the flattened array; a scalar has one element."""
    x = _array(a)
    if axis is None or not x.shape:
        return reshape(x, (x.size,)), 0 if axis is None else normalize_axis_index(operator.index(axis), 1)
    return x, normalize_axis_index(operator.index(axis), len(x.shape))


def _accumulation(name: str, fun: Callable[..., Any], a: Any, axis: int | None, dtype: Any, out: Any) -> Any:
    refuse(name, out=(out, None))
    x, k = _along(a, axis)
    return _in_dtype(fun(_in_dtype(x, dtype), k), dtype)


@implements(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Add up the elements along an axis, or of the flattened array, keeping all partial sums."""
    return _accumulation("cumsum", cumulative.cumsum, a, axis, dtype, out)


@implements(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Multiply the elements along an axis, or of the flattened array, keeping all partial products."""
    return _accumulation("cumprod", cumulative.cumprod, a, axis, dtype, out)

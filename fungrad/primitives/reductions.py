"""Reductions: primitives that combine the elements along axes (the sum stands in ``structural``, beside its adjoint).

    reduce_prod, reduce_max, reduce_min, squared_deviations      x, axes -> x without those axes; with a derivative
    reduce_all, reduce_any, count_nonzero, argmax, argmin        no derivative

Axes are counted from 0 and sorted; the result drops them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fungrad.core.aval import BOOL, Shape, ShapedArray, typeof
from fungrad.core.elementwise import Elementwise, NoTangent
from fungrad.core.lowering import NEW, ROWS, Lowering, call_of, reduction_lowering
from fungrad.core.primitive import General, Linear
from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import conj, real
from fungrad.primitives.contraction import alphabet, contract
from fungrad.primitives.cumulative import cumprod, cumprod_with_tangent
from fungrad.primitives.reducing import LONGEST, PIECE, extremum_lowering, sum_over
from fungrad.primitives.selection import where
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    flip,
    ones,
    reduce_sum,
    reshape,
    slice_axis,
    transpose,
    zeros,
)

Axes = tuple[int, ...]


def without(shape: tuple[Any, ...], axes: Axes) -> tuple[Any, ...]:
    """The shape without these axes."""
    return tuple([n for k, n in enumerate(shape) if k not in axes])


@lru_cache(maxsize=256)
def reduced_dtype(ufunc: np.ufunc, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that a ufunc reduces this dtype to: NumPy widens small integers in sums and products."""
    return np.dtype(ufunc.reduce(np.ones((1,), dtype)).dtype)


def _abstract(ufunc: np.ufunc) -> Callable[..., ShapedArray]:
    return lambda x, *, axes: ShapedArray(without(x.shape, axes), reduced_dtype(ufunc, x.dtype))


def _shifted(axes: Axes) -> Axes:
    return tuple([k + 1 for k in axes])


def sum_of_products(x: Any, y: Any, axes: Axes) -> Any:
    """``sum(x * y)`` over these axes, without an array of the products."""
    labels = alphabet(typeof(x).ndim)
    return contract(x, y, f"{labels},{labels}->{''.join(without(tuple(labels), axes))}")


# product: the derivative in x_i is the product of all the others, which holds with zeros among them too


def _before(x: Any, axis: int, fill: Any = ones) -> Any:
    """Of products up to each element those up to the one before it: shifted by one, a 1 (or 0) coming in."""
    shape = typeof(x).shape
    first = fill(ShapedArray((*shape[:axis], 1, *shape[axis + 1 :]), typeof(x).dtype))
    return concatenate([first, slice_axis(x, axis, 0, shape[axis] - 1)], axis)


def _behind(x: Any, axis: int, fill: Any = ones) -> Any:
    """The same from the other end."""
    return flip(_before(flip(x, (axis,)), axis, fill), (axis,))


def _products_of_others(x: Any, *, axis: int) -> Any:
    if not x.shape[axis]:
        return x
    total = np.multiply.reduce(x, axis, keepdims=True)
    size = np.abs(total)
    if size.size and np.finfo(x.dtype).tiny < size.min() and size.max() < np.inf:
        return total / x  # neither zeros nor underflow: a division is as good, and several times as fast
    return mul(_before(cumprod(x, axis), axis), _behind(cumprod(x, axis, reverse=True), axis))


def _products_of_others_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axis: int) -> Any:
    (x,), (t,) = primals, tangents
    if not typeof(x).shape[axis]:
        return t
    p, p_dot = cumprod_with_tangent(x, t, axis)
    q, q_dot = cumprod_with_tangent(x, t, axis, reverse=True)
    first = mul(_before(p_dot, axis, zeros), _behind(q, axis))
    return add(first, mul(_behind(q_dot, axis, zeros), _before(p, axis)))


products_of_others_p = General(
    "products_of_others",
    _products_of_others,
    abstract=lambda x, *, axis: ShapedArray(x.shape, x.dtype),
    jvp=_products_of_others_jvp,
    batch=lambda axis_, batched, x, *, axis: products_of_others(x, axis + 1),
)


def products_of_others(x: Any, axis: int) -> Any:
    """For each element the product of all the others along an axis, right with zeros among them."""
    return products_of_others_p.bind(x, axis=axis)


def merged_last(x: Any, axes: Axes) -> Any:
    """These axes merged into one behind the others."""
    shape = typeof(x).shape
    rest = without(shape, axes)
    order = (*[k for k in range(len(shape)) if k not in axes], *axes)
    return reshape(transpose(x, order), (*rest, math.prod([shape[k] for k in axes])))


def _reduce_prod_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    x, t = merged_last(primals[0], axes), merged_last(tangents[0], axes)
    last = typeof(x).ndim - 1
    return sum_of_products(t, products_of_others(x, last), (last,))


reduce_prod_p = General(
    "prod",
    lambda x, *, axes: np.multiply.reduce(x, axes),
    abstract=_abstract(np.multiply),
    jvp=_reduce_prod_jvp,
    lowering=reduction_lowering(np.multiply),
    batch=lambda axis, batched, x, *, axes: reduce_prod(x, _shifted(axes)),
)


def reduce_prod(x: Any, axes: Axes) -> Any:
    """The product over these axes."""
    return reduce_prod_p.bind(x, axes=axes)


# maximum and minimum: the elements that attain it share the derivative equally


def _extremum_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    attained = equal(primals[0], expand_dims(out, axes))
    count = convert(count_nonzero(attained, axes), typeof(out).dtype)
    return _mean_where(tangents[0], attained, count, axes)


def _mean_where_batch(axis: Any, batched: Sequence[bool], *operands: Any, axes: Axes) -> Any:
    full = zip(operands, batched, strict=True)
    t, mask, count = (x if b else broadcast_to(x, (axis.size, *typeof(x).shape)) for x, b in full)
    return _mean_where(t, mask, count, _shifted(axes))


mean_where_p = Linear(
    "mean_where",
    lambda t, mask, count, *, axes: np.add.reduce(np.where(mask, t, 0), axes) / count,
    abstract=lambda t, mask, count, *, axes: ShapedArray(count.shape, t.dtype),
    transpose=lambda ct, t, mask, count, *, axes: where(mask, expand_dims(div(ct, count), axes), 0),
    batch=_mean_where_batch,
    linear_in=(0,),
)


def _mean_where(t: Any, mask: Any, count: Any, axes: Axes) -> Any:
    """The mean over these axes of the elements that a mask selects, whose number is known."""
    return mean_where_p.bind(t, mask, count, axes=axes)


def _check_not_empty(name: str, x: Any, axes: Axes) -> None:
    shape = typeof(x).shape
    if any(shape[k] == 0 for k in axes):
        raise ValueError(f"zero-size array to reduction operation {name} which has no identity")


reduce_max_p = General(
    "max",
    lambda x, *, axes: np.maximum.reduce(x, axes),
    abstract=_abstract(np.maximum),
    jvp=_extremum_jvp,
    lowering=extremum_lowering(np.maximum),
    batch=lambda axis, batched, x, *, axes: reduce_max(x, _shifted(axes)),
)

reduce_min_p = General(
    "min",
    lambda x, *, axes: np.minimum.reduce(x, axes),
    abstract=_abstract(np.minimum),
    jvp=_extremum_jvp,
    lowering=extremum_lowering(np.minimum),
    batch=lambda axis, batched, x, *, axes: reduce_min(x, _shifted(axes)),
)


def reduce_max(x: Any, axes: Axes) -> Any:
    """The maximum over these axes, which must not be empty."""
    _check_not_empty("maximum", x, axes)
    return reduce_max_p.bind(x, axes=axes)


def reduce_min(x: Any, axes: Axes) -> Any:
    """The minimum over these axes, which must not be empty."""
    _check_not_empty("minimum", x, axes)
    return reduce_min_p.bind(x, axes=axes)


# squared deviations: sum |x - mean(x)|^2. A primitive because the mean drops out of the derivative, which saves half of
# the passes over memory: d sum |x - m|^2 = 2 Re sum conj(x - m) (dx - dm), and sum (x - m) = 0.


@lru_cache(maxsize=64)
def _real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.zeros((), dtype).real.dtype)


def count_along(shape: Shape, axes: Axes) -> int:
    """How many elements each result of a reduction combines."""
    return math.prod([shape[k] for k in axes])


def deviations(x: Any, axes: Axes) -> Any:
    """x minus its mean over these axes."""
    return sub(x, expand_dims(div(reduce_sum(x, axes), count_along(typeof(x).shape, axes)), axes))


def _squared_deviations(x: Any, *, axes: Axes) -> Any:
    x = np.asarray(x)
    mean = np.add.reduce(x, axes, keepdims=True) / count_along(x.shape, axes)
    dev = np.asarray(x - mean)
    if dev.dtype.kind == "c":
        dev = dev.real**2 + dev.imag**2
    else:
        np.multiply(dev, dev, out=dev)
    return np.add.reduce(dev, axes)


def _squared_deviations_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    return mul(real(sum_of_products(tangents[0], conj(deviations(primals[0], axes)), axes)), 2.0)


squared_deviations_p = General(
    "squared_deviations",
    _squared_deviations,
    abstract=lambda x, *, axes: ShapedArray(without(x.shape, axes), _real_dtype(x.dtype)),
    jvp=_squared_deviations_jvp,
    batch=lambda axis, batched, x, *, axes: squared_deviations(x, _shifted(axes)),
)


def squared_deviations(x: Any, axes: Axes) -> Any:
    """The sum over these axes of ``|x - mean(x)|**2``; x is inexact, the result real."""
    return squared_deviations_p.bind(x, axes=axes)


# safe_sqrt: sqrt with the derivative 0 at 0, for the length or spread of what vanishes there itself (0 * inf)


def _safe_sqrt_rule(t: Any, out: Any) -> Any:
    zero = equal(out, 0)
    return div(where(zero, 0, mul(t, 0.5)), where(zero, 1, out))


safe_sqrt_p = Elementwise("safe_sqrt", np.sqrt, lambda t, out: _safe_sqrt_rule(t, out), scalar="sqrt({0})", cost=0.9)
safe_sqrt = safe_sqrt_p.function

# no derivative: truth values, counts, positions

INDEX = np.dtype(np.intp)

reduce_all_p = NoTangent(
    "all",
    lambda x, *, axes: np.logical_and.reduce(x, axes),
    lowering=reduction_lowering(np.logical_and),
    abstract=lambda x, *, axes: ShapedArray(without(x.shape, axes), BOOL),
    batch=lambda axis, batched, x, *, axes: reduce_all(x, _shifted(axes)),
)

reduce_any_p = NoTangent(
    "any",
    lambda x, *, axes: np.logical_or.reduce(x, axes),
    lowering=reduction_lowering(np.logical_or),
    abstract=lambda x, *, axes: ShapedArray(without(x.shape, axes), BOOL),
    batch=lambda axis, batched, x, *, axes: reduce_any(x, _shifted(axes)),
)


def _count_nonzero(x: Any, *, axes: Axes) -> Any:
    x = np.asarray(x)
    if len(axes) == x.ndim:
        return INDEX.type(np.count_nonzero(x))
    if x.dtype != BOOL:
        x = x != 0
    if _is_counted_by_sums(x.shape, axes):
        ones = np.ascontiguousarray(x).view(np.int8).astype(np.float32)  # sums of so few are exact
        return sum_over(ones, axes[0], axes[-1] + 1).astype(INDEX)
    return np.add.reduce(x, axes, dtype=INDEX)


_COUNTED_AS_FLOATS = 1 << 20
"""Truth values, at most, that are made floats to be counted: these take four times the memory, and sums are exact."""


def _is_counted_by_sums(shape: Shape, axes: Axes) -> bool:
    if not axes or axes[-1] - axes[0] != len(axes) - 1 or not 0 < math.prod(shape) <= _COUNTED_AS_FLOATS:
        return False
    n, after = count_along(shape, axes), math.prod(shape[axes[-1] + 1 :])
    pieces = axes[0] == 0 and after > 1  # columns are added up in pieces, whatever their length
    return (pieces or n * after <= PIECE) and after <= LONGEST


count_nonzero_p = NoTangent(
    "count_nonzero",
    _count_nonzero,
    abstract=lambda x, *, axes: ShapedArray(without(x.shape, axes), INDEX),
    batch=lambda axis, batched, x, *, axes: count_nonzero(x, _shifted(axes)),
    lowering=Lowering(
        call_of(_count_nonzero), NEW, rows=lambda x, *, axes: (((True,), np.add if 0 in axes else ROWS),), cost=0.5
    ),
)

argmax_p = NoTangent(
    "argmax",
    lambda x, *, axis: np.argmax(x, axis),
    abstract=lambda x, *, axis: ShapedArray(without(x.shape, (axis,)), INDEX),
    batch=lambda axis_, batched, x, *, axis: argmax(x, axis + 1),
)

argmin_p = NoTangent(
    "argmin",
    lambda x, *, axis: np.argmin(x, axis),
    abstract=lambda x, *, axis: ShapedArray(without(x.shape, (axis,)), INDEX),
    batch=lambda axis_, batched, x, *, axis: argmin(x, axis + 1),
)


def reduce_all(x: Any, axes: Axes) -> Any:
    """Whether all elements along these axes are true."""
    return reduce_all_p.bind(x, axes=axes)


def reduce_any(x: Any, axes: Axes) -> Any:
    """Whether any element along these axes is true."""
    return reduce_any_p.bind(x, axes=axes)


def count_nonzero(x: Any, axes: Axes) -> Any:
    """How many elements along these axes are not zero."""
    return count_nonzero_p.bind(x, axes=axes)


def argmax(x: Any, axis: int) -> Any:
    """The position of the (first) maximum along an axis, which must not be empty."""
    _check_not_empty("argmax", x, (axis,))
    return argmax_p.bind(x, axis=axis)


def argmin(x: Any, axis: int) -> Any:
    """The position of the (first) minimum along an axis, which must not be empty."""
    _check_not_empty("argmin", x, (axis,))
    return argmin_p.bind(x, axis=axis)

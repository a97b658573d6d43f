"""Cumulative operations along an axis: element k of the result combines elements 0 to k (or, reversed, k to the last).

    cumsum     linear; its adjoint is the cumulative sum from the other end
    cumprod, cummax, cummin, cumlogsumexp     the derivative is carried through a tree of pairwise combinations

The combination of two neighbouring spans of elements, each a value and its tangent, is associative: (p, t) and (q, s)
make (p q, t q + p s) for products. A cumulative scan by such a combination takes 2 n of them in 2 log n array
operations (Blelloch 1990, Prefix Sums and Their Applications), divides by nothing, so that zeros are no exception, and
consists of primitives, so that it can be differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General, Linear
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.comparison import equal, greater, less
from fungrad.primitives.exponential import exp, logaddexp
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.selection import where
from fungrad.primitives.structural import concatenate, flip, slice_axis, unslice_

Pair = tuple[Any, Any]
"""A value and its tangent."""
Combine = Callable[[Pair, Pair], Pair]


def _accumulate(ufunc: np.ufunc) -> Callable[..., Any]:
    def impl(x: Any, *, axis: int, reverse: bool) -> Any:
        if not reverse:
            return ufunc.accumulate(x, axis)
        backwards = np.flip(x, axis)
        return np.flip(ufunc.accumulate(backwards, axis), axis)

    return impl


def _abstract(ufunc: np.ufunc) -> Callable[..., ShapedArray]:
    dtypes: dict[Any, Any] = {}

    def abstract(x: ShapedArray, *, axis: int, reverse: bool) -> ShapedArray:
        if x.dtype not in dtypes:
            dtypes[x.dtype] = ufunc.accumulate(np.ones((1,), x.dtype)).dtype
        return ShapedArray(x.shape, dtypes[x.dtype])

    return abstract


# cumsum

cumsum_p = Linear(
    "cumsum",
    _accumulate(np.add),
    abstract=_abstract(np.add),
    transpose=lambda ct, x, *, axis, reverse: cumsum(ct, axis, not reverse),
    batch=lambda axis_, batched, x, *, axis, reverse: cumsum(x, axis + 1, reverse),
)


def cumsum(x: Any, axis: int, reverse: bool = False) -> Any:
    """The sums of the elements up to each one along an axis (``reverse``: from each one on)."""
    return cumsum_p.bind(x, axis=axis, reverse=reverse)


# cumprod, cummax, cummin


def scan_pairs(combine: Combine, elements: Pair, axis: int) -> Pair:
    """The combinations of elements 0 to k, for each k, by recursion on pairs of neighbours."""
    n = typeof(elements[0]).shape[axis]
    if n < 2:
        return elements

    def every(x: Pair, start: int, stop: int, step: int) -> Pair:
        return slice_axis(x[0], axis, start, stop, step), slice_axis(x[1], axis, start, stop, step)

    odd = scan_pairs(
        combine, combine(every(elements, 0, n - 1, 2), every(elements, 1, n, 2)), axis
    )  # results 1, 3, 5, ...
    later = combine(every(odd, 0, (n - 1) // 2, 1), every(elements, 2, n, 2))  # results 2, 4, ...
    first = every(elements, 0, 1, 1)
    even = concatenate([first[0], later[0]], axis), concatenate([first[1], later[1]], axis)
    return _interleave(even[0], odd[0], axis, n), _interleave(even[1], odd[1], axis, n)


def _scan_from(combine: Combine, elements: Pair, axis: int, reverse: bool) -> Pair:
    if not reverse:
        return scan_pairs(combine, elements, axis)
    x, t = scan_pairs(combine, (flip(elements[0], (axis,)), flip(elements[1], (axis,))), axis)
    return flip(x, (axis,)), flip(t, (axis,))


def _interleave(even: Any, odd: Any, axis: int, n: int) -> Any:
    shape = typeof(even).shape
    whole = (*shape[:axis], n, *shape[axis + 1 :])

    def spread(x: Any, start: int) -> Any:
        return unslice_(x, whole, (*(None,) * axis, (start, n, 2)))

    return add(spread(even, 0), spread(odd, 1))


def _product(a: Pair, b: Pair) -> Pair:
    (p, t), (q, s) = a, b
    return mul(p, q), add(mul(t, q), mul(s, p))


def _extremum(of: Callable[[Any, Any], Any], better: Callable[[Any, Any], Any]) -> Combine:
    def combine(a: Pair, b: Pair) -> Pair:
        (p, t), (q, s) = a, b
        shared = where(equal(p, q), mul(add(t, s), 0.5), s)  # equal spans share, pair by pair
        return of(p, q), where(better(p, q), t, shared)

    return combine


def _log_sum(a: Pair, b: Pair) -> Pair:
    (p, t), (q, s) = a, b
    out = logaddexp(p, q)
    base = where(equal(out, -math.inf), 0, out)  # of minus infinities all weights are 0
    return out, add(mul(t, exp(sub(p, base))), mul(s, exp(sub(q, base))))


def _cumulative(name: str, ufunc: np.ufunc, combine: Combine) -> General:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axis: int, reverse: bool) -> Any:
        return _scan_from(combine, (primals[0], tangents[0]), axis, reverse)[1]

    def batch(axis_: Any, batched: Sequence[bool], x: Any, *, axis: int, reverse: bool) -> Any:
        return prim.bind(x, axis=axis + 1, reverse=reverse)

    prim = General(name, _accumulate(ufunc), abstract=_abstract(ufunc), jvp=jvp, batch=batch)
    return prim


cumprod_p = _cumulative("cumprod", np.multiply, _product)
cummax_p = _cumulative("cummax", np.maximum, _extremum(maximum, greater))
cummin_p = _cumulative("cummin", np.minimum, _extremum(minimum, less))
cumlogsumexp_p = _cumulative("cumlogsumexp", np.logaddexp, _log_sum)


def cumprod(x: Any, axis: int, reverse: bool = False) -> Any:
    """The products of the elements up to each one along an axis (``reverse``: from each one on)."""
    return cumprod_p.bind(x, axis=axis, reverse=reverse)


def cumprod_with_tangent(x: Any, t: Any, axis: int, reverse: bool = False) -> Pair:
    """`cumprod` and its tangent for the tangent t of x."""
    return _scan_from(_product, (x, t), axis, reverse)


def cummax(x: Any, axis: int, reverse: bool = False) -> Any:
    """The maxima of the elements up to each one along an axis (``reverse``: from each one on)."""
    return cummax_p.bind(x, axis=axis, reverse=reverse)


def cummin(x: Any, axis: int, reverse: bool = False) -> Any:
    """The minima of the elements up to each one along an axis (``reverse``: from each one on)."""
    return cummin_p.bind(x, axis=axis, reverse=reverse)


def cumlogsumexp(x: Any, axis: int, reverse: bool = False) -> Any:
    """``log(sum(exp(x)))`` of the elements up to each one along an axis (``reverse``: from each one on)."""
    return cumlogsumexp_p.bind(x, axis=axis, reverse=reverse)

"""Convolution of vectors, each element the sum of the products that meet there.

    convolve(x, y; start, stop)     out[..., k - start] = sum over i of x[..., i] y[..., k - i]     start <= k < stop

for those i at which both exist. The whole convolution of n and m elements has k from 0 to n + m - 2; a window may be
any part of it, or reach beyond, where the sums are empty. With windows the primitive is closed under transposition:
the cotangent of x is the convolution of that of the result with y reversed, seen through another window,

    x_bar[i] = sum over k of out_bar[k - start] y[k - i] = convolve(out_bar, y[::-1]; m - 1 - start, m - 1 - start + n)

Leading axes are batch axes and broadcast. There is no padding anywhere: a zero beside the ends of a signal would make
nan of an infinite element that never meets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import Multilinear
from fungrad.primitives.structural import flip, reduce_sum, reshape


def _convolve(x: Any, y: Any, *, start: int, stop: int) -> Any:
    n, m = x.shape[-1], y.shape[-1]
    if x.ndim == y.ndim == 1 and n and m:
        least, most = min(n, m), max(n, m)
        first, middle = least - 1, least - 1 - least // 2
        if start == first and stop == most:
            return np.convolve(x, y, "valid")
        if start == middle and stop == middle + most:
            return np.convolve(x, y, "same")
        if start >= 0 and stop < n + m <= 2 * (stop - start) + 1:
            return np.convolve(x, y)[start:stop]
    if x.dtype.kind == "b":
        return _by_parts(x.astype(np.intp), y.astype(np.intp), start, stop) > 0
    if x.dtype == np.float16:  # whose sums NumPy rounds once, too
        return _by_parts(x.astype(np.float32), y.astype(np.float32), start, stop).astype(x.dtype)
    return _by_parts(x, y, start, stop)


def _by_parts(x: Any, y: Any, start: int, stop: int) -> Any:
    """The sums element by element of the shortest of x, y and the result: a loop over that, over no batch."""
    n, m, size = x.shape[-1], y.shape[-1], stop - start
    out = np.zeros((*np.broadcast_shapes(x.shape[:-1], y.shape[:-1]), size), x.dtype)
    if size < min(n, m):
        backwards = y[..., ::-1]
        for k in range(max(start, 0), min(stop, n + m - 1)):
            low, high = max(0, k - m + 1), min(n, k + 1)
            shifted = backwards[..., low + m - 1 - k : high + m - 1 - k]  # element i is y[k - i]
            out[..., k - start] = np.einsum("...i,...i->...", x[..., low:high], shifted)
        return out
    if n < m:
        x, y, n, m = y, x, m, n
    for j in range(m):
        low, high = max(0, start - j), min(n, stop - j)  # the elements of x that meet y[j] within the window
        if low < high:
            out[..., low + j - start : high + j - start] += x[..., low:high] * y[..., j : j + 1]
    return out


def _summed(ct: Any, x: ShapedArray) -> Any:
    """The cotangent of an operand whose batch axes were broadcast."""
    shape = typeof(ct).shape
    new = len(shape) - x.ndim
    axes = (*range(new), *[k + new for k, n in enumerate(x.shape) if n == 1 and shape[k + new] != 1])
    return reshape(reduce_sum(ct, axes), x.shape) if axes else ct


def _transpose(ct: Any, operand: ShapedArray, other: Any, start: int) -> Any:
    n, aval = operand.shape[-1], typeof(other)
    first = aval.shape[-1] - 1 - start
    x_bar = convolve(ct, flip(other, (aval.ndim - 1,)), first, first + n)
    # Batch axes alone were broadcast: the last axis of the cotangent is that of the operand.
    return _summed(x_bar, operand)


def _abstract(x: ShapedArray, y: ShapedArray, *, start: int, stop: int) -> ShapedArray:
    return ShapedArray((*np.broadcast_shapes(x.shape[:-1], y.shape[:-1]), stop - start), x.dtype)


def _batch(axis: Any, batched: Sequence[bool], x: Any, y: Any, *, start: int, stop: int) -> Any:
    rank = max(typeof(v).ndim - b for v, b in zip((x, y), batched, strict=True))

    def aligned(v: Any, is_batched: bool) -> Any:
        shape = typeof(v).shape
        return reshape(v, (shape[0], *(1,) * (rank + 1 - len(shape)), *shape[1:])) if is_batched else v

    return convolve(aligned(x, batched[0]), aligned(y, batched[1]), start, stop)


convolve_p = Multilinear(
    "convolve",
    _convolve,
    abstract=_abstract,
    transposes=(
        lambda ct, x, y, *, start, stop: _transpose(ct, x, y, start),
        lambda ct, x, y, *, start, stop: _transpose(ct, y, x, start),
    ),
    batch=_batch,
)


def convolve(x: Any, y: Any, start: int, stop: int) -> Any:
    """The elements ``start`` to ``stop`` of the convolution along the last axes of two arrays of one dtype."""
    return convolve_p.bind(x, y, start=start, stop=stop)

"""The bits of numbers: seen as another dtype, rounded to fewer of them, and combined over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.lowering import reduction_lowering
from fungrad.core.primitive import Linear

# bitcast: the same bits, with a last axis more or less where the dtypes differ in size


def _bitcast(x: Any, *, dtype: np.dtype[Any]) -> Any:
    x = np.asarray(x)
    if x.dtype.itemsize > dtype.itemsize:
        x = x[..., None]
    seen = np.ascontiguousarray(x).reshape(x.shape).view(dtype)
    return (seen if x.dtype.itemsize >= dtype.itemsize else seen[..., 0])[()]


def _bitcast_abstract(x: ShapedArray, *, dtype: np.dtype[Any]) -> ShapedArray:
    if x.dtype.itemsize > dtype.itemsize:
        return ShapedArray((*x.shape, x.dtype.itemsize // dtype.itemsize), dtype)
    return ShapedArray(x.shape if x.dtype.itemsize == dtype.itemsize else x.shape[:-1], dtype)


bitcast_p = NoTangent(
    "bitcast", _bitcast, abstract=_bitcast_abstract, batch=lambda axis, batched, x, *, dtype: bitcast(x, dtype)
)


def bitcast(x: Any, dtype: np.dtype[Any]) -> Any:
    """The bits of x as elements of another dtype; of a larger one, the last axis holds the parts of each."""
    return bitcast_p.bind(x, dtype=dtype)


# reduce_precision: rounded to this many bits of exponent and mantissa; the tangent is rounded likewise


def _reduce_precision(x: Any, *, exponent: int, mantissa: int) -> Any:
    x = np.asarray(x)
    info = np.finfo(x.dtype)
    if mantissa < info.nmant:
        unsigned = np.dtype(f"u{x.dtype.itemsize}")
        bits, drop = x.view(unsigned) if x.ndim else np.asarray(x[()].view(unsigned)), info.nmant - mantissa
        one = unsigned.type(1)
        odd = (bits >> unsigned.type(drop)) & one
        rounded = (bits + ((one << unsigned.type(drop - 1)) - one + odd)) >> unsigned.type(drop) << unsigned.type(drop)
        out = np.where(np.isfinite(x), rounded.view(x.dtype), x)
    else:
        out = x
    if exponent < info.nexp:
        bias = 2 ** (exponent - 1) - 1
        with np.errstate(all="ignore"):
            size = np.abs(out)
            least, most = x.dtype.type(2.0) ** (1 - bias), (2 - x.dtype.type(2.0) ** -mantissa) * 2.0**bias
            out = np.where(size > most, np.copysign(x.dtype.type(np.inf), x), out)
            out = np.where(size < least, np.copysign(x.dtype.type(0), x), out)
    return out.astype(x.dtype)[()]


reduce_precision_p = Linear(
    "reduce_precision",
    _reduce_precision,
    abstract=lambda x, *, exponent, mantissa: ShapedArray(x.shape, x.dtype),
    transpose=lambda ct, x, *, exponent, mantissa: reduce_precision(ct, exponent, mantissa),
    batch=lambda axis, batched, x, *, exponent, mantissa: reduce_precision(x, exponent, mantissa),
)


def reduce_precision(x: Any, exponent: int, mantissa: int) -> Any:
    """Round to this many bits of exponent and of mantissa."""
    return x if typeof(x).dtype.kind != "f" else reduce_precision_p.bind(x, exponent=exponent, mantissa=mantissa)


# reductions of bits over axes; of booleans they are logical


def _of_bits(name: str, ufunc: np.ufunc) -> NoTangent:
    def abstract(x: ShapedArray, *, axes: tuple[int, ...]) -> ShapedArray:
        return ShapedArray(tuple([n for k, n in enumerate(x.shape) if k not in axes]), x.dtype)

    def batch(axis: Any, batched: Sequence[bool], x: Any, *, axes: tuple[int, ...]) -> Any:
        return prim.bind(x, axes=tuple([k + 1 for k in axes]))

    prim = NoTangent(
        name,
        lambda x, *, axes: ufunc.reduce(x, axes),
        abstract=abstract,
        batch=batch,
        lowering=reduction_lowering(ufunc),
    )
    return prim


reduce_and_p = _of_bits("reduce_and", np.bitwise_and)
reduce_or_p = _of_bits("reduce_or", np.bitwise_or)
reduce_xor_p = _of_bits("reduce_xor", np.bitwise_xor)


def reduce_and(x: Any, axes: tuple[int, ...]) -> Any:
    """The bits that are set in all elements along these axes."""
    return reduce_and_p.bind(x, axes=axes)


def reduce_or(x: Any, axes: tuple[int, ...]) -> Any:
    """The bits that are set in any element along these axes."""
    return reduce_or_p.bind(x, axes=axes)


def reduce_xor(x: Any, axes: tuple[int, ...]) -> Any:
    """The bits that are set in an odd number of elements along these axes."""
    return reduce_xor_p.bind(x, axes=axes)

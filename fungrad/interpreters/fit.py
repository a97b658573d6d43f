"""Bring a tangent or cotangent to the type of the array that it belongs to.

A function that broadcasts or promotes its operands is followed (forwards) by a broadcast and a cast of
the tangent, and preceded (backwards) by the transposes of these: a sum over the broadcast axes and the
cast back, which for complex to real is the real part. The elementwise family does both here, in one place.
"""

from __future__ import annotations

from typing import Any

from fungrad.core.aval import ShapedArray, typeof
from fungrad.primitives.structural import broadcast_to, convert, reduce_sum, reshape


def fit_tangent(t: Any, aval: ShapedArray) -> Any:
    """Broadcast and cast a tangent to the type of the result."""
    if typeof(t).shape != aval.shape:
        t = broadcast_to(t, aval.shape)
    return convert(t, aval.dtype)


def fit_cotangent(ct: Any, aval: ShapedArray) -> Any:
    """Sum a cotangent over the axes along which the operand was broadcast, and cast it."""
    shape = typeof(ct).shape
    if shape != aval.shape:
        extra = len(shape) - len(aval.shape)
        axes = (*range(extra), *(k + extra for k, n in enumerate(aval.shape) if n == 1 and shape[k + extra] != 1))
        ct = reduce_sum(ct, axes) if axes else ct
        ct = reshape(ct, aval.shape)
    return convert(ct, aval.dtype)

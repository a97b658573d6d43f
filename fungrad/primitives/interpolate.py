"""Piecewise linear interpolation, as numpy.interp has it.

    interp(x, xp, fp, left, right)    left for x < xp[0], right for x > xp[-1], else on the line between neighbours

With one table ``x`` has any shape, ``xp`` and ``fp`` have one axis, ``left`` and ``right`` none. With many (``rows``:
what vmap makes of a table of its own for each example) all have one axis more in front and ``x`` exactly one behind.

    between xp[j] and xp[j + 1], where s is the slope and u = (x - xp[j]) / (xp[j + 1] - xp[j]):

    d out = (1 - u) (d fp[j] - s d xp[j]) + u (d fp[j + 1] - s d xp[j + 1]) + s dx

At a knot ``x = xp[j]`` this is taken with the slope of the segment on its right, at the last knot with that of the last
segment. Where several knots coincide (a jump) the value is that of the last one of them, and so is the derivative.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal, greater, less, logical_or
from fungrad.primitives.indexing import gather
from fungrad.primitives.reductions import INDEX
from fungrad.primitives.selection import where
from fungrad.primitives.structural import broadcast_to, reshape, slice_

# interval: the segment in which x is, the first or last one for what lies outside


def _interval(x: Any, xp: Any, *, rows: bool) -> Any:
    n = xp.shape[-1]
    if not rows:
        before = np.searchsorted(xp, x, "right")
    else:
        # Bisection in all rows at a time: the knots before ``before`` are <= x, those from ``end`` on are not.
        before, end = np.zeros(x.shape, np.intp), np.full(x.shape, n, np.intp)
        for _ in range(n.bit_length()):
            middle = (before + end) // 2
            is_open = before < end
            lower = is_open & ~(np.take_along_axis(xp, np.minimum(middle, n - 1), 1) > x)  # nan: behind all knots
            before, end = np.where(lower, middle + 1, before), np.where(is_open & ~lower, middle, end)
    return np.clip(before - 1, 0, max(n - 2, 0))


def _one_axis_of_rows(axis: Any, batched: Sequence[bool], operands: Sequence[Any], rows: bool) -> list[Any]:
    """Give each example (and each row that it has already) a table of its own: x of shape (rows, size), and so on."""
    kept = 2 if rows else 1  # the axes that become the one axis of rows
    merged = []
    for k, (x, b) in enumerate(zip(operands, batched, strict=True)):
        x = x if b else broadcast_to(x, (axis.size, *typeof(x).shape))
        shape = typeof(x).shape
        own = (math.prod(shape[kept:]),) if k == 0 else shape[kept:]
        merged.append(reshape(x, (math.prod(shape[:kept]), *own)))
    return merged


def _shape(axis: Any, batched: bool, x: Any) -> Shape:
    shape = typeof(x).shape
    return shape if batched else (axis.size, *shape)


def _interval_batch(axis: Any, batched: Sequence[bool], x: Any, xp: Any, *, rows: bool) -> Any:
    if not rows and not batched[1]:
        return interval(x, xp, False)
    x_rows, xp_rows = _one_axis_of_rows(axis, batched, (x, xp), rows)
    found = interval(x_rows, xp_rows, True)
    return reshape(found, _shape(axis, batched[0], x))


interval_p = NoTangent(
    "interval",
    _interval,
    abstract=lambda x, xp, *, rows: ShapedArray(x.shape, INDEX),
    batch=_interval_batch,
)


def interval(x: Any, xp: Any, rows: bool = False) -> Any:
    """The index j of the segment from ``xp[j]`` to ``xp[j + 1]`` in which x is, or the nearest one."""
    return interval_p.bind(x, xp, rows=rows)


# interp


def _interp(x: Any, xp: Any, fp: Any, left: Any, right: Any, *, rows: bool) -> Any:
    if not rows:
        return np.interp(x, xp, fp, left[()], right[()])  # a complex 0-d array is no number to it
    out = np.empty(x.shape, fp.dtype)
    if fp.dtype.kind == "c":
        out.real = _interp(x, xp, fp.real, left.real, right.real, rows=True)
        out.imag = _interp(x, xp, fp.imag, left.imag, right.imag, rows=True)
        return out
    j = _interval(x, xp, rows=True)
    x0, x1, f0, f1 = (
        np.take_along_axis(table, np.minimum(j + k, xp.shape[1] - 1), 1) for table in (xp, fp) for k in (0, 1)
    )
    with np.errstate(all="ignore"):
        slope = (f1 - f0) / (x1 - x0)
        out[...] = slope * (x - x0) + f0
        # As NumPy does where that is undefined: from the other end, and then a constant.
        out[...] = np.where(np.isnan(out), slope * (x - x1) + f1, out)
        out[...] = np.where(np.isnan(out) & (f0 == f1), f0, out)
    single = xp.shape[1] == 1  # NumPy gives fp[0] then, for nan too
    for where_, value in (
        (np.isnan(x), fp if single else x),
        (x == x0, f0),
        (x == x1, f1),
        (x < xp[:, :1], left[:, None]),
        (x > xp[:, -1:], right[:, None]),
    ):
        np.copyto(out, value, where=where_)
    return out


def _interp_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, rows: bool) -> Any:
    x, xp, fp, _, _ = primals
    dx, dxp, dfp, dleft, dright = tangents
    count, n = typeof(x).shape[0] if rows else 0, typeof(xp).shape[-1]

    def at(table: Any, index: Any) -> Any:
        return gather(table, np.arange(count)[:, None], index) if rows else gather(table, index)

    def end(table: Any, k: int) -> Any:
        return slice_(table, (None, (k, k + 1, 1))) if rows else slice_(table, (k,))

    def each(value: Any) -> Any:
        return 0.0 if value is None else reshape(value, (count, 1)) if rows else value

    below, above = less(x, end(xp, 0)), greater(x, end(xp, n - 1))
    terms = []
    if n == 1:
        if dfp is not None:
            terms.append(end(dfp, 0))
    else:
        j = interval(x, xp, rows)
        x0, x1, f0, f1 = at(xp, j), at(xp, add(j, 1)), at(fp, j), at(fp, add(j, 1))
        outside = logical_or(below, above)
        jump = equal(x0, x1)  # of the segments that are found only the last one can have no width
        width = where(jump, 1.0, sub(x1, x0))
        u = where(jump, 1.0, div(where(outside, 0.0, sub(x, x0)), width))
        slope = where(logical_or(jump, outside), 0.0, div(sub(f1, f0), width))

        def between(table: Any) -> Any:
            return add(mul(sub(1.0, u), at(table, j)), mul(u, at(table, add(j, 1))))

        if dx is not None:
            terms.append(mul(slope, dx))
        if dxp is not None:
            terms.append(mul(slope, neg(between(dxp))))
        if dfp is not None:
            terms.append(between(dfp))
    if not terms and dleft is None and dright is None:
        return None
    inside = functools.reduce(add, terms) if terms else 0.0
    return where(below, each(dleft), where(above, each(dright), inside))


def _interp_batch(axis: Any, batched: Sequence[bool], *operands: Any, rows: bool) -> Any:
    if not rows and not any(batched[1:]):
        return interp(*operands)
    out = interp_p.bind(*_one_axis_of_rows(axis, batched, operands, rows), rows=True)
    return reshape(out, _shape(axis, batched[0], operands[0]))


interp_p = General(
    "interp",
    _interp,
    abstract=lambda x, xp, fp, left, right, *, rows: ShapedArray(x.shape, fp.dtype),
    jvp=_interp_jvp,
    batch=_interp_batch,
)


def interp(x: Any, xp: Any, fp: Any, left: Any, right: Any, rows: bool = False) -> Any:
    """Interpolate between points (xp, fp), in float64; ``fp``, ``left`` and ``right`` may be complex128."""
    return interp_p.bind(x, xp, fp, left, right, rows=rows)

"""Sums and extrema over windows that slide along the axes.

    window_sum(x; windows)      out[p] = sum over k of x~[p stride + k dilation - low]
    window_max, window_min      the extremum, of the first of equal ones the derivative
    window_place(x, out)        the number of the place in each window at which the extremum stands, -1 for none
    window_pick(t, places)      the element at that place; its adjoint adds a cotangent to it

along each axis at once, where x~ is x with ``spread - 1`` neutral elements between its own and others around. For each
axis a window is (size, stride, low, high, spread, dilation); see ``conv``, whose sums these are for a kernel of ones:
so the sum is closed under transposition likewise. Windows are boxes, so the axes are done one after the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray, is_inexact, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.lowering import NEW, NO_WAYS, ONE_BY_ONE, ROWS, Lowering, Ways, call_of
from fungrad.core.primitive import General, Linear
from fungrad.primitives.assignment import put_slice
from fungrad.primitives.conv import spread_size, window_count
from fungrad.primitives.selection import where_p
from fungrad.primitives.structural import broadcast_to, unslice_

Window = tuple[int, int, int, int, int, int]
"""(size, stride, low, high, spread, dilation) along one axis."""
Windows = tuple[Window, ...]
Array = np.ndarray[Any, Any]

TRIVIAL: Window = (1, 1, 0, 0, 1, 1)
LONG = 8
"""Elements of a window from which on it is put together of shorter ones, in logarithmically many steps."""


def count_along(n: int, window: Window) -> int:
    """How many windows there are along an axis of n elements."""
    size, *rest = window
    return window_count(n, size, tuple(rest))  # type: ignore[arg-type]


def shape_of(shape: Shape, windows: Windows) -> Shape:
    """The shape of the result."""
    return tuple([count_along(n, w) for n, w in zip(shape, windows, strict=True)])


def least(dtype: np.dtype[Any]) -> Any:
    """What a maximum of nothing is: minus infinity, or the smallest integer."""
    if is_inexact(dtype):
        return dtype.type(-np.inf)
    return dtype.type(False) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).min)


def greatest(dtype: np.dtype[Any]) -> Any:
    """What a minimum of nothing is: infinity, or the largest integer."""
    if is_inexact(dtype):
        return dtype.type(np.inf)
    return dtype.type(True) if dtype.kind == "b" else dtype.type(np.iinfo(dtype).max)


# The implementation, axis by axis


def _matches(n: int, count: int, window: Window, k: int) -> tuple[slice, slice] | None:
    """Which results the elements of x meet at place k of a window, and which elements; None if there are none."""
    _, stride, low, _, spread, dilation = window
    start = k * dilation - low  # p stride + start = s spread; one of stride and spread is 1
    if spread == 1:
        first = max(-(start // stride), 0)
        last = min((n - 1 - start) // stride, count - 1)
        if first > last:
            return None
        begin = first * stride + start
        return slice(first, last + 1), slice(begin, begin + (last - first) * stride + 1, stride)
    first = max(-(-start // spread), 0)
    last = min((count - 1 + start) // spread, n - 1)
    if first > last:
        return None
    begin = first * spread - start
    return slice(begin, begin + (last - first) * spread + 1, spread), slice(first, last + 1)


def _spread_out(x: Array, axis: int, window: Window, neutral: Any) -> tuple[Array, Window]:
    """x with neutral elements between its own, where neither stride nor spread is 1."""
    size, stride, low, high, spread, dilation = window
    shape = list(x.shape)
    shape[axis] = spread_size(shape[axis], spread)
    out = np.full(shape, neutral, x.dtype)
    out[(slice(None),) * axis + (slice(None, None, spread),)] = x
    return out, (size, stride, low, high, 1, dilation)


def _reduced(x: Any, *, windows: Windows, ufunc: np.ufunc, neutral: Any) -> Any:
    x = np.asarray(x)
    whole = x
    for axis, window in enumerate(windows):
        if window != TRIVIAL:
            x = _reduced_along(x, axis, window, ufunc, neutral)
    return x.copy()[()] if x is whole else x


def _reduced_along(x: Array, axis: int, window: Window, ufunc: np.ufunc, neutral: Any) -> Array:
    size, stride, low, high, spread, _dilation = window
    if spread > 1 and stride > 1:
        x, window = _spread_out(x, axis, window, neutral)
        spread = 1
    n = x.shape[axis]
    count = count_along(n, window)
    before = (slice(None),) * axis
    if size >= LONG and spread == 1 and 2 * size.bit_length() * (n + max(low, 0) + max(high, 0)) < size * count:
        return _by_doubling(x, axis, window, ufunc, neutral)
    out = np.full((*x.shape[:axis], count, *x.shape[axis + 1 :]), neutral, x.dtype)
    for k in range(size):
        found = _matches(n, count, window, k)
        if found is not None:
            target = out[(*before, found[0])]
            ufunc(target, x[(*before, found[1])], out=target)
    return out


def _by_doubling(x: Array, axis: int, window: Window, ufunc: np.ufunc, neutral: Any) -> Array:
    """Windows of 2m elements from two of m, and each window from those of the powers of two that it consists of."""
    size, stride, low, high, _, dilation = window
    n = x.shape[axis]
    shape = list(x.shape)
    shape[axis] = n + low + high
    before = (slice(None),) * axis
    padded = np.full(shape, neutral, x.dtype)
    padded[(*before, slice(max(low, 0), max(low, 0) + max(min(n, n + high) - max(-low, 0), 0)))] = x[
        (*before, slice(max(-low, 0), min(n, n + high)))
    ]
    count = count_along(n, window)
    total: Any = None
    done, span, power = 0, 1, padded
    while done < size:
        if size & span:
            start = done * dilation
            part = power[(*before, slice(start, start + (count - 1) * stride + 1, stride))]
            total = part.copy() if total is None else ufunc(total, part, out=total)
            done += span
        reach = span * dilation
        length = power.shape[axis] - reach
        if done < size:
            power = ufunc(power[(*before, slice(0, length))], power[(*before, slice(reach, reach + length))])
            span *= 2
    return total


def _rows(x: ShapedArray, *, windows: Windows, **params: Any) -> Ways:
    return ONE_BY_ONE if windows and windows[0] == TRIVIAL else NO_WAYS


def _abstract(x: ShapedArray, *, windows: Windows, **params: Any) -> ShapedArray:
    return ShapedArray(shape_of(x.shape, windows), x.dtype)


# window_sum


def _window_sum(x: Any, *, windows: Windows) -> Any:
    return _reduced(x, windows=windows, ufunc=np.add, neutral=0)


def _window_sum_transpose(ct: Any, x: ShapedArray, *, windows: Windows) -> Any:
    back = []
    for n, count, (size, stride, low, _, spread, dilation) in zip(x.shape, typeof(ct).shape, windows, strict=True):
        reach = (size - 1) * dilation
        first = reach - low
        last = (n - 1) * spread + reach + 1 - first - spread_size(count, stride)
        back.append((size, spread, first, last, stride, dilation))
    return window_sum(ct, tuple(back))


window_sum_p = Linear(
    "window_sum",
    _window_sum,
    abstract=_abstract,
    transpose=_window_sum_transpose,
    batch=lambda axis, batched, x, *, windows: window_sum(x, (TRIVIAL, *windows)),
    lowering=Lowering(call_of(_window_sum), NEW, rows=_rows, cost=3.0),
)


def window_sum(x: Any, windows: Windows) -> Any:
    """The sums over windows."""
    return x if all(w == TRIVIAL for w in windows) else window_sum_p.bind(x, windows=windows)


# Which element of each window attains the extremum: the number of its place, -1 where none does.


def _places(windows: Windows) -> Any:
    """The number of each place in a window, and its position along each axis."""
    return enumerate(itertools.product(*[range(w[0]) for w in windows]))


def _parts(shape: Shape, windows: Windows, place: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """The results whose windows have an element at this place, and these elements."""
    targets, sources = [], []
    for n, w, k in zip(shape, windows, place, strict=True):
        found = _matches(n, count_along(n, w), w, k)
        if found is None:
            return None
        targets.append(found[0])
        sources.append(found[1])
    return tuple(targets), tuple(sources)


def _window_place(x: Any, out: Any, *, windows: Windows) -> Any:
    x, out = np.asarray(x), np.asarray(out)
    count = math.prod([w[0] for w in windows])
    found = np.full(out.shape, -1, np.int8 if count < 128 else np.int32)
    undefined = bool(np.isnan(out).any()) if is_inexact(out.dtype) else False
    for number, place in reversed(list(_places(windows))):  # of equal elements the first one stands
        parts = _parts(x.shape, windows, place)
        if parts is None:
            continue
        attained = x[parts[1]] == out[parts[0]]
        if undefined:
            attained |= np.isnan(x[parts[1]])
        np.copyto(found[parts[0]], number, where=attained)
    return found


def _both(axis: Any, batched: Sequence[bool], *operands: Any) -> list[Any]:
    every = zip(operands, batched, strict=True)
    return [v if b else broadcast_to(v, (axis.size, *typeof(v).shape)) for v, b in every]


def _behind(windows: Windows) -> Windows:
    return (TRIVIAL, *windows)


window_place_p: NoTangent = NoTangent(
    "window_place",
    _window_place,
    abstract=lambda x, out, *, windows: ShapedArray(
        out.shape, np.int8 if math.prod([w[0] for w in windows]) < 128 else np.int32
    ),
    batch=lambda axis, batched, x, out, *, windows: window_place_p.bind(
        *_both(axis, batched, x, out), windows=_behind(windows)
    ),
    lowering=Lowering(call_of(_window_place), NEW, cost=8.0),
)


# window_pick: the element of t at a given place of each window; window_unpick, its adjoint, adds it there


def _window_pick(t: Any, places: Any, *, windows: Windows) -> Any:
    out = np.zeros(places.shape, t.dtype)
    for number, place in _places(windows):
        parts = _parts(t.shape, windows, place)
        if parts is not None:
            np.copyto(out[parts[0]], t[parts[1]], where=places[parts[0]] == number)
    return out


def _window_unpick(ct: Any, places: Any, *, shape: Shape, windows: Windows) -> Any:
    total = np.zeros(shape, ct.dtype)
    for number, place in _places(windows):
        parts = _parts(shape, windows, place)
        if parts is not None:
            target = total[parts[1]]
            np.add(target, where_p.impl(places[parts[0]] == number, ct[parts[0]], 0), out=target)
    return total


def _rows_of_both(x: ShapedArray, places: ShapedArray, *, windows: Windows, **params: Any) -> Ways:
    return (((True, True), ROWS),) if windows and windows[0] == TRIVIAL and not params else NO_WAYS


window_pick_p: Linear = Linear(
    "window_pick",
    _window_pick,
    abstract=lambda t, places, *, windows: ShapedArray(places.shape, t.dtype),
    transpose=lambda ct, t, places, *, windows: window_unpick_p.bind(ct, places, shape=t.shape, windows=windows),
    batch=lambda axis, batched, t, places, *, windows: window_pick_p.bind(
        *_both(axis, batched, t, places), windows=_behind(windows)
    ),
    linear_in=(0,),
    lowering=Lowering(call_of(_window_pick), NEW, rows=_rows_of_both, cost=5.0),
)

window_unpick_p: Linear = Linear(
    "window_unpick",
    _window_unpick,
    abstract=lambda ct, places, *, shape, windows: ShapedArray(shape, ct.dtype),
    transpose=lambda ct, t, places, *, shape, windows: window_pick_p.bind(ct, places, windows=windows),
    batch=lambda axis, batched, t, places, *, shape, windows: window_unpick_p.bind(
        *_both(axis, batched, t, places), shape=(axis.size, *shape), windows=_behind(windows)
    ),
    linear_in=(0,),
    lowering=Lowering(call_of(_window_unpick), NEW, cost=5.0),
)


def _extremum_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, neutral: Any, *, windows: Windows) -> Any:
    (x,), (t,) = primals, tangents
    if any(w[1] > 1 and w[4] > 1 for w in windows):
        index = tuple([(0, spread_size(n, w[4]), w[4]) for n, w in zip(typeof(x).shape, windows, strict=True)])
        shape = tuple([stop for _, stop, _ in index])
        filler = broadcast_to(neutral, shape)
        x, t = put_slice(filler, x, index), unslice_(t, shape, index)
        windows = tuple([(size, stride, low, high, 1, d) for size, stride, low, high, _, d in windows])
    return window_pick_p.bind(t, window_place_p.bind(x, out, windows=windows), windows=windows)


def _extremum(name: str, ufunc: np.ufunc, neutral: Callable[[np.dtype[Any]], Any]) -> General:
    def impl(x: Any, *, windows: Windows) -> Any:
        return _reduced(x, windows=windows, ufunc=ufunc, neutral=neutral(typeof(x).dtype))

    def batch(axis: Any, batched: Sequence[bool], x: Any, *, windows: Windows) -> Any:
        return prim.bind(x, windows=(TRIVIAL, *windows))

    prim = General(
        name,
        impl,
        abstract=_abstract,
        jvp=lambda primals, tangents, out, *, windows: _extremum_jvp(
            primals, tangents, out, neutral(typeof(out).dtype), windows=windows
        ),
        batch=batch,
        lowering=Lowering(call_of(impl), NEW, rows=_rows, cost=3.0),
    )
    return prim


window_max_p = _extremum("window_max", np.maximum, least)
window_min_p = _extremum("window_min", np.minimum, greatest)


def window_max(x: Any, windows: Windows) -> Any:
    """The maxima over windows; of a window without elements the least number."""
    return window_max_p.bind(x, windows=windows)


def window_min(x: Any, windows: Windows) -> Any:
    """The minima over windows; of a window without elements the greatest number."""
    return window_min_p.bind(x, windows=windows)

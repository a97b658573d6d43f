"""NumPy's functions that make ranges of numbers between traced ends."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.primitive import as_operand
from fungrad.core.trace import known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives.arithmetic import add, div, mul, power, sub
from fungrad.primitives.exponential import log10
from fungrad.primitives.rounding import floor, sign
from fungrad.primitives.structural import broadcast_to, concatenate, convert, expand_dims, moveaxis, reshape, slice_axis


def _end(x: Any) -> Any:
    return as_array(x) if isinstance(x, (list, tuple, np.ndarray)) else as_operand(x)


def _floating(*operands: Any) -> np.dtype[Any]:
    """NumPy's result_type, made inexact; Python numbers do not promote (NEP 50)."""
    types = []
    for x in operands:
        aval = typeof(x)
        types.append(aval.dtype.type(0).item() if aval.weak else aval.dtype)
    return np.result_type(*types, 0.0)


def _with_ends(y: Any, first: Any, last: Any) -> Any:
    """y with its first and last elements replaced (None: kept)."""
    n = y.shape[0]
    row = y.shape[1:]

    def end(e: Any) -> list[Any]:
        return [] if e is None else [reshape(broadcast_to(convert(e, typeof(y).dtype), row), (1, *row))]

    inside = slice_axis(y, 0, int(first is not None), n - int(last is not None))
    return concatenate([*end(first), inside, *end(last)], 0)


@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """Return evenly spaced numbers from start to stop, along a new axis.

    ``out[k] = start + k (stop - start) / d`` with d = num - 1, or num without the end point. It is linear in the ends.

    Parameters
    ----------
    num : int
        How many; it decides the shape and so must be known.
    retstep : bool
        Whether to return the step too (nan where there is none).
    dtype : dtype, optional
        By default a floating or complex one; of integers the result has no derivative.
    """
    refuse("linspace", device=(None if device == "cpu" else device, None))
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    intervals = num - 1 if endpoint else num
    start, stop = _end(start), _end(stop)
    computed = _floating(start, stop)
    target = computed if dtype is None else np.dtype(dtype)
    start, stop = convert(start, computed), convert(stop, computed)
    delta = sub(stop, start)
    rank = len(typeof(delta).shape)
    counts = np.arange(num, dtype=computed).reshape(num, *(1,) * rank)
    step: Any = np.nan
    if intervals > 0:
        step = div(delta, intervals)
        known = known_value(step)
        if not isinstance(known, ShapedArray) and np.any(known == 0):
            # As NumPy does: a step may underflow where the difference does not. Without values that is not known; the
            # error is 1e-308 then.
            y = mul(counts / intervals, delta)
        else:
            y = mul(counts, step)
    else:
        y = mul(counts, delta)
    y = add(y, start)
    if endpoint and num > 1:
        y = _with_ends(y, None, stop)
    y = moveaxis(y, 0, normalize_axis_index(operator.index(axis), rank + 1))
    if target.kind in "iu":
        y = floor(y)
    y = convert(y, target)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """Return powers of a base, with exponents evenly spaced from start to stop, along a new axis.

    ``out[k] = base**e[k]``, with derivatives ``out log(base)`` in the exponents and ``e base**(e - 1)`` in the base.
    """
    start, stop, base = _end(start), _end(stop), _end(base)
    shape: Shape = typeof(base).shape
    if shape:
        ranks = [len(typeof(x).shape) for x in (start, stop, base)]
        rank = max(ranks)
        start, stop, base = (
            reshape(x, (*(1,) * (rank - r), *typeof(x).shape)) for x, r in zip((start, stop, base), ranks, strict=True)
        )
        base = expand_dims(base, (normalize_axis_index(operator.index(axis), rank + 1),))
    y = power(base, linspace(start, stop, num, endpoint, axis=axis))
    return y if dtype is None else convert(y, np.dtype(dtype))


def _check_not_zero(*ends: Any) -> None:
    for x in ends:
        known = known_value(x)
        if not isinstance(known, ShapedArray) and np.any(known == 0):
            raise ValueError("Geometric sequence cannot include zero")


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Return numbers whose quotients are equal, from start to stop, along a new axis; in double precision by default.

    ``out[k] = start (stop / start)**(k / d)`` with d = num - 1, or num without the end point; complex numbers run along
    a spiral. Its derivatives are ``(1 - k/d) out / start`` and ``k/d out / stop``. An end of 0 is an error where values
    are known.
    """
    start, stop = as_array(start), as_array(stop)
    _check_not_zero(start, stop)
    num = operator.index(num)
    dtypes = typeof(start).dtype, typeof(stop).dtype
    computed = np.result_type(*dtypes, float(num), np.dtype(dtype))
    target = computed if dtype is None else np.dtype(dtype)
    start, stop = convert(start, computed), convert(stop, computed)
    # Turned so that it starts on the positive axis, as NumPy does: negative ends have real results, too.
    turn = sign(start)
    start, stop = div(start, turn), div(stop, turn)
    y = logspace(log10(start), log10(stop), num, endpoint, dtype=computed)
    if num > 0:
        y = _with_ends(y, start, stop if num > 1 and endpoint else None)
    y = mul(y, turn)
    y = moveaxis(y, 0, normalize_axis_index(operator.index(axis), len(y.shape)))
    return convert(y, target)

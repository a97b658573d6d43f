"""Selection: one of two values at each element, as a condition says.

The derivative of a selection is a selection of zeros, never a product with a mask, so that an infinite or undefined
(co)tangent of what is not selected does not spread (inf * 0). What is computed before the selection is another
matter: ``where(x > 0, sqrt(x), 0)`` at x = 0 selects the value away, but sqrt' is infinite there and its own rule
makes inf * 0. Select the argument as well: ``where(x > 0, sqrt(where(x > 0, x, 1)), 0)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise, broadcasting_rows
from fungrad.core.lowering import NEW, Emission, Lowering

_float64, _BOOLS, _FLOATS = np.float64, (np.bool_, bool), (np.float64, float, int)


def _where(condition: Any, x: Any, y: Any) -> Any:
    # NumPy's where takes 1.5 microseconds on scalars; this is for those that occur most.
    if type(condition) in _BOOLS:
        if (type(x) is _float64 and type(y) in _FLOATS) or (type(y) is _float64 and type(x) in _FLOATS):
            return _float64(x if condition else y)
    elif type(y) is int and y == 0 and _is_long(condition, x):
        return _keep(x, condition)
    elif type(x) is int and x == 0 and _is_long(condition, y):
        return _keep(y, ~condition)
    elif type(x) is type(y) and _is_long(condition, x) and x.size >= IRREGULAR and _is_alike(condition, x, y):
        bits = _BITS[x.dtype]
        out = np.empty(x.shape, x.dtype)
        _choose(condition, x.view(bits), y.view(bits), out.view(bits))
        return out
    return np.where(condition, x, y)[()]


_BITS = {np.dtype(np.float64): np.int64, np.dtype(np.float32): np.int32}


def _is_long(condition: Any, x: Any) -> bool:
    if type(x) is not np.ndarray or x.size <= 4096 or x.dtype not in _BITS:
        return False
    return type(condition) is np.ndarray and condition.dtype == np.bool_


def _is_alike(condition: Any, x: Any, y: Any) -> bool:
    return bool(x.dtype == y.dtype and condition.shape == x.shape == y.shape)


def _keep(x: np.ndarray[Any, Any], condition: Any) -> Any:
    """``np.where(condition, x, 0)``: bit patterns times 1 or 0, which is exact for inf and nan too.

    NumPy's where branches at each element: with an irregular condition (a relu's) that takes five times as long.
    """
    return (x.view(_BITS[x.dtype]) * condition).view(x.dtype)


IRREGULAR = 1 << 12
"""Elements from which on it pays to count those that are chosen."""

RARE = 1 / 32
"""The share of elements up to which a branch is guessed right often enough."""


def _choose(condition: Any, x: Any, y: Any, out: Any) -> None:
    """``np.where(condition, x, y)`` of bit patterns.

    Without a branch, (x ^ y) * condition ^ y, unless nearly all elements are of one of the two.
    """
    count = np.count_nonzero(condition)
    if not count or count == condition.size:
        np.copyto(out, x if count else y)
    elif RARE < count / condition.size < 1 - RARE:
        np.bitwise_xor(x, y, out)
        np.multiply(out, condition, out)
        np.bitwise_xor(out, y, out)
    else:
        np.copyto(out, y)
        np.putmask(out, condition, x)


def _bits_text(e: Emission, operand: int, name: str, dtype: np.dtype[Any]) -> str:
    """The text of the bit patterns of an operand: an array of this dtype, or a number."""
    number, bits = e.number(operand), _BITS[dtype]
    if number is not None:
        return e.const(np.asarray(number, dtype).view(bits), "c")
    if not e.avals[operand].shape:
        name = f"{e.const(np.asarray, 'asarray')}({name}, {e.const(dtype, dtype.name)})"
    return f"{name}.view({e.const(bits, 'bits')})"


def _where_text(e: Emission, out: str | None, condition: str, x: str, y: str) -> str:
    if out is None:
        return f"{e.const(np.where, 'where')}({condition}, {x}, {y})"
    c, of_x, of_y = e.avals
    (result,) = e.out_avals
    if c.dtype != np.bool_:  # numbers: what is not zero
        return f"{out}[...] = {e.const(np.where, 'where')}({condition}, {x}, {y})"
    is_whole = [a.shape == result.shape and a.dtype == result.dtype for a in (of_x, of_y)]
    if c.shape == result.shape and result.dtype in _BITS:
        dtype = result.dtype
        can = [w or not a.shape for w, a in zip(is_whole, (of_x, of_y), strict=True)]
        target = f"{out}.view({e.const(_BITS[dtype], 'bits')})"
        multiply = e.const(np.multiply, "multiply")
        if can[0] and y in ("0", "0.0"):  # see _keep
            return f"{multiply}({_bits_text(e, 1, x, dtype)}, {condition}, {target})"
        if can[1] and x in ("0", "0.0"):
            return f"{multiply}({_bits_text(e, 2, y, dtype)}, ~{condition}, {target})"
        if all(can) and result.size >= IRREGULAR:
            patterns = _bits_text(e, 1, x, dtype), _bits_text(e, 2, y, dtype)
            return f"{e.const(_choose, 'choose')}({condition}, {patterns[0]}, {patterns[1]}, {target})"
    copyto = e.const(np.copyto, "copyto")
    # np.where needs memory for its result, and is slow where x is broadcast.
    if c.shape == result.shape and is_whole[0]:
        return f"{copyto}({out}, {y}); {e.const(np.putmask, 'putmask')}({out}, {condition}, {x})"
    if 0 < of_x.size < result.size and of_x.shape:
        return f"{copyto}({out}, {y}); {copyto}({out}, {x}, where={condition})"
    return f"{out}[...] = {e.const(np.where, 'where')}({condition}, {x}, {y})"


where_p = Elementwise(
    "where",
    _where,
    None,
    lambda t, x: where(x, t, 0),
    lambda t, x: where(x, 0, t),
    lowering=Lowering(_where_text, NEW, into=True, rows=broadcasting_rows, scalar="{1} if {0} else {2}", cost=0.5),
)
where: Callable[..., Any] = where_p.function

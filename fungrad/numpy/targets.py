"""Where results go: ``out=``, ``where=`` and augmented assignment, into traced arrays and plain ones.

    np.add(x, y, out=t)        a traced t takes the result, cast and broadcast as NumPy does
    a += x                     with a plain array a: Python gives the name a to the traced result
    y[key] += x                Python assigns the traced result to y[key]
    np.add(x, y, out=a)        with a plain array a: refused, as a would keep its old elements

A plain array cannot hold traced elements. In the second case that is no matter as long as nobody else refers to the
array: NumPy would have changed it under its other names and views too. So how often it is referred to is compared with
what it is for an array that has one name.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from fungrad._executing import is_augmented, operates_augmented
from fungrad._util import here
from fungrad.core.aval import typeof
from fungrad.core.buffers import as_target
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.assignment import write
from fungrad.numpy.dispatch import references
from fungrad.numpy.shaping import as_array
from fungrad.primitives.selection import where as select
from fungrad.primitives.structural import broadcast_to, convert


class _Probe:
    """Counts the references to an array that NumPy hands to ``__array_ufunc__`` as ``out``."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return references(kwargs)


def _of_one_name() -> int:
    array: Any = np.zeros(1)
    array += _Probe()
    return int(array)


def _of_a_temporary() -> int:
    return int(np.add(1, _Probe(), out=np.zeros(1)))  # type: ignore[call-overload]


def _of_a_part() -> int:
    class Parts:
        """Gives new arrays."""

        def __getitem__(self, key: int) -> Any:
            return np.zeros(1)

        def __setitem__(self, key: int, value: Any) -> None:
            self.count = int(value)

    parts = Parts()
    parts[0] += _Probe()
    return parts.count


_ONE_NAME, _TEMPORARY, _OF_A_PART = _of_one_name(), _of_a_temporary(), _of_a_part()


def is_part(count: int, frame: FrameType) -> bool:
    """Whether an array with so many references is the ``y[key]`` of ``y[key] op= x``.

    It need not take the result itself, since Python assigns that to y[key] next.
    """
    return count <= _OF_A_PART and operates_augmented(frame)


def into(name: str, result: Any, target: Any, mask: Any = True, casting: Any = "same_kind") -> Any:
    """Write a result into what a call was given as ``out``, where the mask is true; returns the target.

    A target that is plain is one that nobody can look into afterwards: what it would hold is returned.
    """
    aval, own = typeof(result), typeof(target)
    if type(target) is not Tracer and own.dtype.hasobject:  # it holds traced scalars, and is changed in place
        np.copyto(target, np.asarray(broadcast_to(result, own.shape)), where=mask)
        return target
    shape = np.broadcast_shapes(aval.shape, own.shape)
    if shape != own.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {_text(own.shape)} doesn't match the broadcast shape "
            f"{_text(shape)}"
        )
    if not np.can_cast(aval.dtype, own.dtype, casting):
        raise UnsupportedOperationError(
            f"{name} at {here()}: cannot cast the result of type {aval.dtype} to {own.dtype}, the dtype of the array "
            f"that takes it, with casting rule {casting!r}"
        )
    new = broadcast_to(convert(result, own.dtype), own.shape)
    if mask is not True:
        new = select(broadcast_to(as_array(mask), own.shape), new, target)
    if type(target) is not Tracer:
        return new
    write(target, new)
    return target


def _text(shape: tuple[int, ...]) -> str:
    return str(shape).replace(" ", "")


def into_traced(name: str, result: Any, target: Any) -> Any:
    """Write a result into a traced array; refuse a plain one."""
    target = as_target(target, result)
    if type(target) is not Tracer:
        raise _plain_target(name, "")
    return into(name, result, target)


def call_with_out(func: Any, fun: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call what implements a NumPy function without its ``out``, then write the result into that."""
    out = kwargs.pop("out")
    return into_traced(f"{func.__module__}.{func.__name__}", fun(*args, **kwargs), out)


def _plain_target(name: str, instead: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{name}(..., out=) at {here()}: a traced array cannot be written into a plain one. Make the array that takes "
        f"it with np.zeros_like(x) of a traced x or fungrad.numpy.zeros, or leave out= away{instead}."
    )


def check_plain(name: str, masked: bool, count: int, frame: FrameType) -> None:
    """Refuse to write into a plain array that can be seen under another name."""
    if count <= _TEMPORARY:
        return
    if not is_augmented(frame):
        raise _plain_target(name, f": np.where(mask, {name}(...), other)" if masked else "")
    if count > _ONE_NAME:
        raise UnsupportedOperationError(
            f"an augmented assignment (`a += x`, {name}) at {here()}: the plain array on the left has another name or "
            "a view, which would not see the traced result. Write a = a + x, or make the array with np.zeros_like(x) "
            "of a traced x or fungrad.numpy.zeros."
        )

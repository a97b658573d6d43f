"""Leaves of pytrees as operands: what a function takes and returns, checked, with messages that name the leaf."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import FLOAT0
from fungrad.core.primitive import OPERAND_TYPES, joined
from fungrad.core.trace import Tracer
from fungrad.errors import NonDifferentiableError, TransformTypeError


def check_callable(transform: str, fun: Any) -> None:
    """A TypeError that shows the usual mistake unless ``fun`` can be called."""
    if not callable(fun):
        raise TransformTypeError(
            f"fungrad.{transform} expects a function, got {type(fun).__name__}. Write fungrad.{transform}(f), not "
            f"fungrad.{transform}(f(x))."
        )


def wraps(fun: Any, transform: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Like functools.wraps, with a name that tells what was done: ``grad(f)``."""

    def decorate(wrapper: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(wrapper, fun, assigned=("__module__", "__doc__"), updated=())
        wrapper.__name__ = wrapper.__qualname__ = f"{transform}({getattr(fun, '__name__', type(fun).__name__)})"
        return wrapper

    return decorate


def arrays(transform: str, fun: Any, target: Any, leaves: Sequence[Any], what: str) -> list[Any]:
    """The leaves of a pytree (``what`` of ``fun``: its argument, its result), each checked to be an operand."""
    return [
        x if is_operand(x) else as_array(transform, fun, x, f"{what}{path_of(target, k)}") for k, x in enumerate(leaves)
    ]


def is_operand(x: Any) -> bool:
    """Whether a leaf can be computed with as it is."""
    kind = type(x)
    return kind is Tracer or (
        kind in OPERAND_TYPES and (kind is not np.ndarray or x.dtype.kind in "biufc" or x.dtype == FLOAT0)
    )


def as_array(transform: str, fun: Any, x: Any, where: str) -> Any:
    """An array for a leaf that is of a subclass of ndarray; a TypeError that says where it stood for anything else."""
    if isinstance(x, (np.ma.MaskedArray, np.matrix)):
        raise NonDifferentiableError(
            f"fungrad.{transform}: {where} is a numpy {type(x).__name__}, whose mask or own operators would be lost "
            f"(in a call of {describe_function(fun)}); convert it with x.filled(value), np.where(mask, ...) or "
            "np.array(matrix)"
        )
    if isinstance(x, np.ndarray):
        x = joined(x)
        if type(x) is Tracer:
            return x
        if x.dtype.kind in "biufc":
            return np.asarray(x)
    if where.startswith("result"):
        fix = "Return arrays and numbers only; has_aux=True carries other things."
    else:
        fix = "Pass it outside of what is differentiated or mapped, close over it, or mark the dataclass field static."
    kind = f"an array of dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
    raise NonDifferentiableError(
        f"fungrad.{transform}: {where} is not an array or a number but {kind}: {x!r:.100} (in a call of "
        f"{describe_function(fun)}). {fix}"
    )


def path_of(target: Any, index: int) -> str:
    """The key path of the leaf with this index, such as ``['w'][0]``; empty for a bare leaf."""
    return tree.keystr(tree.leaves_with_path(target)[index][0])

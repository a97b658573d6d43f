"""What the functions of `fungrad.lax` do with their arguments: operands, axes, and the errors for wrong ones."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad._util import here, set_name
from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, TransformTypeError
from fungrad.numpy.shaping import as_array

_NUMBERS = (bool, int, float, complex)
_KINDS = frozenset("biufc")


def array(x: Any) -> Any:
    """An array, traced or plain; without axes a NumPy scalar."""
    kind = type(x)
    if (kind is np.ndarray and x.dtype.kind in _KINDS and x.ndim) or (kind is Tracer and not x.aval.weak):
        return x
    found = as_array(x)
    return found[()] if type(found) is np.ndarray and not found.ndim else found


def operand(x: Any) -> Any:
    """An array or a NumPy scalar, traced or plain; Python numbers stay what they are, as they do not promote."""
    kind = type(x)
    if kind is Tracer or kind in _NUMBERS or (kind is np.ndarray and x.dtype.kind in _KINDS):
        return x
    return x if isinstance(x, np.generic) else as_array(x)


def require(
    condition: bool, function: str, message: str | Callable[[], str], error: type[Exception] = ValueError
) -> None:
    """Raise an error that names the function and the user's line unless a condition holds.

    A message that takes time to write is given as a function.
    """
    if not condition:
        raise error(f"lax.{function} at {here()}: {message if isinstance(message, str) else message()}")


def of_equal_shapes(function: str, *operands: Any) -> list[Any]:
    """Operands of one shape, among which scalars may be; a TypeError for any others."""
    found = [operand(x) for x in operands]
    shape: Shape | None = None
    for x in found:
        own = typeof(x).shape
        if own and shape is None:
            shape = own
        elif own and own != shape:
            shapes = ", ".join([str(typeof(y).shape) for y in found])
            raise TransformTypeError(
                f"lax.{function} at {here()}: expected operands of one shape (or scalars), got shapes {shapes}; "
                f"lax does not broadcast. Use lax.broadcast_in_dim, or the function of numpy, which does"
            )
    return found


def unary(name: str, function: Callable[[Any], Any], doc: str) -> Callable[[Any], Any]:
    """The lax function of one operand that is this one."""

    def call(x: Any) -> Any:
        return function(operand(x))

    return set_name(call, name, doc)


def unary_with_accuracy(name: str, function: Callable[[Any], Any], doc: str) -> Callable[..., Any]:
    """The same for those that take ``accuracy``, which NumPy leaves no choice of."""

    def call(x: Any, *, accuracy: Any = None) -> Any:
        return function(operand(x))

    return set_name(call, name, doc)


def binary(name: str, function: Callable[[Any, Any], Any], doc: str) -> Callable[[Any, Any], Any]:
    """The lax function of two operands of one shape that is this one."""

    def call(x: Any, y: Any) -> Any:
        return function(*of_equal_shapes(name, x, y))

    return set_name(call, name, doc)


def ternary(name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    """The lax function of three operands of one shape that is this one."""

    def call(a: Any, b: Any, x: Any) -> Any:
        return function(*of_equal_shapes(name, a, b, x))

    return set_name(call, name, doc)


def integers(function: str, argument: str, values: Any) -> tuple[int, ...]:
    """A tuple of Python integers; a TypeError that names the argument for anything else."""
    if isinstance(values, (int, np.integer)):
        values = (values,)
    try:
        return tuple([operator.index(n) for n in values])
    except ConcretizationTypeError:
        raise
    except TypeError:
        raise TransformTypeError(
            f"lax.{function} at {here()}: {argument} must be integers that are known, got {values!r:.100}"
        ) from None


def axis_of(function: str, axis: Any, ndim: int) -> int:
    """An axis counted from 0."""
    k = operator.index(axis)
    require(-ndim <= k < ndim, function, lambda: f"axis {k} is out of bounds for an array with {ndim} axes")
    return k % ndim


def axes_of(function: str, axes: Any, ndim: int) -> tuple[int, ...]:
    """Different axes counted from 0, sorted."""
    found = [axis_of(function, k, ndim) for k in integers(function, "axes", axes)]
    require(len(set(found)) == len(found), function, lambda: f"axes {tuple(axes)} name one axis twice")
    return tuple(sorted(found))


def known(x: Any) -> Any:
    """The value of a plain or traced array, or None where it is not known."""
    value = known_value(x)
    return None if isinstance(value, (ShapedArray, Tracer)) else value


def dtype_of(dtype: Any, default: Any = None) -> np.dtype[Any]:
    """A dtype from what a user wrote for one."""
    return np.dtype(default if dtype is None else dtype)

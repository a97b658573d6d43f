"""What makes a tracer behave as an ndarray: operators, methods and attributes, attached to `Tracer` here.

Each entry of the tables is the function that NumPy's counterpart would call; the methods only rearrange arguments.
Methods that would change the array in place, or hand out its memory, are refused with what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fungrad.numpy.assignment as assignment
import fungrad.numpy.contraction as contraction
import fungrad.numpy.creation as creation
import fungrad.numpy.dispatch as dispatch
import fungrad.numpy.elementwise as elementwise
import fungrad.numpy.indexing as indexing
import fungrad.numpy.reductions as reductions
import fungrad.numpy.shaping as shaping
import fungrad.numpy.sorting as sorting
from fungrad._util import here
from fungrad.core.primitive import OPERAND_TYPES
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.at import IndexUpdates
from fungrad.primitives import arithmetic, comparison, rounding


def _reflected(fun: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(x: Any, y: Any) -> Any:
        return fun(y, x)

    return operator


_SYMBOLS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
}


def _equal(x: Tracer, y: Any) -> Any:
    return comparison.equal(x, y) if _is_numeric(y) else NotImplemented


def _not_equal(x: Tracer, y: Any) -> Any:
    return comparison.not_equal(x, y) if _is_numeric(y) else NotImplemented


def _is_numeric(y: Any) -> bool:
    return type(y) is Tracer or type(y) in OPERAND_TYPES or isinstance(y, (np.ndarray, list, tuple))


def _divmod(x: Any, y: Any) -> Any:
    return arithmetic.floor_divide(x, y), arithmetic.remainder(x, y)


def _iterate(x: Tracer) -> Iterator[Any]:
    if not x.shape:
        raise TypeError(f"iteration over a 0-d array: a traced array of type {x.aval!r}")
    return (indexing.getitem(x, i) for i in range(x.shape[0]))


def _contains(x: Tracer, y: Any) -> bool:
    return bool(reductions.any(comparison.equal(x, y)))


def _delitem(x: Tracer, key: Any) -> None:
    raise ValueError("cannot delete array elements")


def _round(x: Tracer, decimals: int | None = None) -> Any:
    return int(_rint(x)) if decimals is None and not x.shape else elementwise.round(x, decimals or 0)


def _rint(x: Tracer) -> Any:
    return rounding.rint(x)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "truediv": arithmetic.div,
    "floordiv": arithmetic.floor_divide,
    "mod": arithmetic.remainder,
    "divmod": _divmod,
    "pow": arithmetic.power,
    "matmul": contraction.matmul,
    "and": comparison.bitwise_and,
    "or": comparison.bitwise_or,
    "xor": comparison.bitwise_xor,
    "lshift": comparison.left_shift,
    "rshift": comparison.right_shift,
}

_OTHER_OPERATORS: dict[str, Callable[..., Any]] = {
    "__neg__": arithmetic.neg,
    "__pos__": arithmetic.positive,
    "__abs__": rounding.abs,
    "__invert__": comparison.invert,
    "__lt__": comparison.less,
    "__le__": comparison.less_equal,
    "__gt__": comparison.greater,
    "__ge__": comparison.greater_equal,
    "__eq__": _equal,
    "__ne__": _not_equal,
    "__getitem__": indexing.getitem,
    "__setitem__": assignment.setitem,
    "__iter__": _iterate,
    "__contains__": _contains,
    "__round__": _round,
    "__floor__": lambda x: math.floor(x._concrete("math.floor")),
    "__ceil__": lambda x: math.ceil(x._concrete("math.ceil")),
    "__trunc__": lambda x: math.trunc(x._concrete("math.trunc")),
    "__delitem__": _delitem,
    "__copy__": Tracer.again,
    "__deepcopy__": lambda x, memo: x.again(),
}


def _shape_arguments(arguments: tuple[Any, ...]) -> Any:
    """``x.reshape(2, 3)`` and ``x.reshape((2, 3))`` alike."""
    return arguments[0] if len(arguments) == 1 else arguments


def _reshape(x: Tracer, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    return shaping.reshape(x, _shape_arguments(shape), order=order, copy=copy)


def _transpose(x: Tracer, *axes: Any) -> Any:
    return shaping.transpose(x, None if not axes else _shape_arguments(axes))


def _item(x: Tracer, *index: Any) -> Any:
    """The only element (or the one at an index) as a traced scalar: a Python float would drop the derivative."""
    if index:
        where = _shape_arguments(index)
        return indexing.getitem(x, where) if isinstance(where, tuple) else indexing.getitem(shaping.ravel(x), where)
    if x.size != 1:
        raise ValueError("can only convert an array of size 1 to a scalar")
    return shaping.reshape(x, ())


def _tolist(x: Tracer) -> Any:
    return x if not x.shape else [_tolist(y) for y in _iterate(x)]


def _astype(
    x: Tracer, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    target = np.dtype(dtype)
    if casting != "unsafe" and not np.can_cast(x.dtype, target, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {x.dtype!r} to {target!r} according to the rule {casting!r}")
    return shaping.astype(x, target, copy=copy)


def _flatten(x: Tracer, order: str = "C") -> Any:
    return shaping.ravel(x, order=order).again()


def _conjugate(x: Tracer) -> Any:
    """The complex conjugate; the array itself if it is real."""
    return elementwise.conjugate(x) if x.dtype.kind == "c" else x


def _set_real(x: Tracer, value: Any) -> None:
    assignment.setitem(elementwise.real(x), ..., value)


def _set_imag(x: Tracer, value: Any) -> None:
    if x.dtype.kind != "c":
        raise TypeError("array does not have imaginary part to set")
    assignment.setitem(elementwise.imag(x), ..., value)


def _clip(x: Tracer, min: Any = None, max: Any = None, out: Any = None, **arguments: Any) -> Any:
    return elementwise.clip(_with_arguments("clip", x, arguments), min, max, out)


def _with_arguments(name: str, x: Tracer, arguments: dict[str, Any]) -> Any:
    """The array for a method that takes a ufunc's keyword arguments; those that it cannot follow are refused."""
    for argument, value in arguments.items():
        if argument not in ("casting", "order", "subok") and not (argument == "where" and value is True):
            raise UnsupportedOperationError(
                f"x.{name}(..., {argument}=...) at {here()} is not supported on traced arrays; write x.astype(dtype) "
                f"before it for dtype, np.where(mask, x.{name}(...), other) for where"
            )
    return x


def _compress(x: Tracer, condition: Any, axis: int | None = None, out: Any = None) -> Any:
    return indexing.compress(condition, x, axis, out)


def _to_device(x: Tracer, device: str, /, *, stream: Any = None) -> Any:
    if device != "cpu":
        raise ValueError(f"Unsupported device: {device}. Only 'cpu' is accepted.")
    if stream is not None:
        raise ValueError("The stream argument in to_device() is not supported")
    return x


def _fill(x: Tracer, value: Any) -> None:
    assignment.setitem(x, ..., value)


def _sort(x: Tracer, axis: int = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> None:
    assignment.write(x, sorting.sort(x, axis, kind, order, stable=stable))


def _partition(x: Tracer, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
    assignment.write(x, sorting.partition(x, kth, axis, kind, order))


def _put(x: Tracer, indices: Any, values: Any, mode: str = "raise") -> None:
    dispatch.function(np.put)(x, indices, values, mode)


class FlatElements:
    """The elements of a traced array in C order, as ``numpy.ndarray.flat`` gives them."""

    __slots__ = ("_position", "base")

    def __init__(self, base: Tracer) -> None:
        self.base = base
        self._position = 0

    def __len__(self) -> int:
        return self.base.size

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._position >= len(self):
            raise StopIteration
        self._position += 1
        return self[self._position - 1]

    def __getitem__(self, key: Any) -> Any:
        return indexing.getitem(self.copy(), key)

    def __setitem__(self, key: Any, value: Any) -> None:
        assignment.setitem(shaping.ravel(self.base), key, value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.base.__array__(dtype, copy)

    def copy(self) -> Any:
        """Return the elements as an array with one axis."""
        return shaping.ravel(self.base).again()


class _NoMemoryError(UnsupportedOperationError, AttributeError):
    """An attribute of memory was asked for; `hasattr` says that it is not there."""


def _memory(name: str) -> property:
    def getter(x: Tracer) -> Any:
        """Not there: raises an error that is an AttributeError as well."""
        raise _NoMemoryError(
            f"x.{name} at {here()}: a traced array of type {x.aval!r} is no place in memory. Where values are known, "
            f"fungrad.stop_gradient(x).{name} asks the plain array."
        )

    return property(getter)


def _of_elements(x: Tracer, elements: Any) -> Any:
    """One traced array of an object array of numbers and traced scalars."""
    return shaping.as_array(elements)


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    """The method that NumPy looks up by the name of a ufunc in the elements of an object array."""
    fun = dispatch.UFUNCS[ufunc]

    def method(x: Tracer) -> Any:
        return fun(x)

    return method


def _binary(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    """The same for a ufunc of two operands for which Python has no operator."""
    fun = dispatch.UFUNCS[ufunc]

    def method(x: Tracer, y: Any) -> Any:
        return fun(x, y)

    return method


_METHODS: dict[str, Callable[..., Any]] = {
    "fill": _fill,
    "partition": _partition,
    "put": _put,
    "sort": _sort,
    "of_elements": _of_elements,
    **{
        ufunc.__name__: _unary(ufunc)
        for ufunc in dispatch.UFUNCS
        if (ufunc.nin, ufunc.nout) == (1, 1)
        and "O->O" in ufunc.types
        and ufunc.__name__ not in ("conjugate", "absolute")
    },
    **{ufunc.__name__: _binary(ufunc) for ufunc in (np.arctan2, np.fmod, np.hypot)},
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argpartition": sorting.argpartition,
    "argsort": sorting.argsort,
    "astype": _astype,
    "choose": indexing.choose,
    "clip": _clip,
    "compress": _compress,
    "conj": _conjugate,
    "conjugate": _conjugate,
    "copy": lambda x, order="C": creation.copy(x, order),
    "cumprod": reductions.cumprod,
    "cumsum": reductions.cumsum,
    "diagonal": indexing.diagonal,
    "dot": contraction.dot,
    "flatten": _flatten,
    "item": _item,
    "max": reductions.max,
    "mean": reductions.mean,
    "min": reductions.min,
    "nonzero": sorting.nonzero,
    "prod": reductions.prod,
    "ravel": shaping.ravel,
    "repeat": shaping.repeat,
    "reshape": _reshape,
    "round": elementwise.round,
    "searchsorted": sorting.searchsorted,
    "squeeze": shaping.squeeze,
    "std": reductions.std,
    "sum": reductions.sum,
    "swapaxes": shaping.swapaxes,
    "take": indexing.take,
    "tolist": _tolist,
    "to_device": _to_device,
    "trace": indexing.trace,
    "transpose": _transpose,
    "var": reductions.var,
}

_REFUSED: dict[str, str] = {
    "byteswap": "x.astype",
    "dump": "return it from the function and save the result",
    "dumps": "return it from the function and save the result",
    "getfield": "x.real and x.imag",
    "resize": "np.resize(x, shape)",
    "setfield": "np.where(mask, values, x)",
    "setflags": "nothing: traced arrays have no flags",
    "tobytes": "fungrad.stop_gradient(x).tobytes()",
    "tofile": "fungrad.stop_gradient(x).tofile(...)",
    "view": "x.astype, x.real, x.imag",
    "__dlpack__": "fungrad.stop_gradient(x), where values are known, or return it from the function",
    "__dlpack_device__": "fungrad.stop_gradient(x), where values are known, or return it from the function",
}


def _refusal(name: str, instead: str) -> Callable[..., Any]:
    def method(x: Tracer, *args: Any, **kwargs: Any) -> Any:
        """Not possible on a traced array: raises UnsupportedOperationError."""
        raise UnsupportedOperationError(
            f"x.{name}(...) at {here()} is not possible on a traced array of type {x.aval!r}; instead use {instead}"
        )

    return method


_ATTRIBUTES: dict[str, Callable[[Any], Any]] = {
    "T": shaping.transpose,
    "at": IndexUpdates,
    "mT": shaping.matrix_transpose,
    "real": elementwise.real,
    "imag": elementwise.imag,
    "itemsize": lambda x: x.dtype.itemsize,
    "nbytes": lambda x: x.size * x.dtype.itemsize,
    "device": lambda x: "cpu",
    "base": lambda x: None,
    "flat": FlatElements,
}

_SETTERS: dict[str, Callable[[Any, Any], None]] = {"real": _set_real, "imag": _set_imag}

_WITHOUT_MEMORY = ("ctypes", "data", "flags", "strides")


def _attach() -> None:
    for name, fun in _BINARY.items():
        setattr(Tracer, f"__{name}__", fun)
        setattr(Tracer, f"__r{name}__", _reflected(fun))
    for name in _SYMBOLS:
        setattr(Tracer, f"__i{name}__", assignment.augmented(_SYMBOLS[name], _BINARY[name]))
    for table in (_OTHER_OPERATORS, _METHODS):
        for name, fun in table.items():
            if fun.__doc__ is None:
                fun.__doc__ = f"As `numpy.ndarray.{name}`."
            setattr(Tracer, name, fun)
    for name, instead in _REFUSED.items():
        setattr(Tracer, name, _refusal(name, instead))
    for name, getter in _ATTRIBUTES.items():
        getter.__doc__ = getter.__doc__ or f"As `numpy.ndarray.{name}`."
        setattr(Tracer, name, property(getter, _SETTERS.get(name)))
    for name in _WITHOUT_MEMORY:
        setattr(Tracer, name, _memory(name))


_attach()

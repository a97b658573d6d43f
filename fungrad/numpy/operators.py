"""What makes a tracer behave as an ndarray: operators, methods and attributes, attached to `Tracer` here.

Each entry of the tables is the function that NumPy's counterpart would call; the methods only rearrange arguments.
Methods that would change the array in place, or hand out its memory, are refused with what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.primitive import OPERAND_TYPES
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy import contraction, elementwise, indexing, reductions, shaping, sorting
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


def _augmented(name: str, fun: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``x += y``: of numbers a new number, as in Python; of arrays refused.

    NumPy writes into the array, so that its other names and views see the change and its dtype stays. A new array in
    its place would be silently different.
    """
    symbol = _SYMBOLS[name]

    def operator(x: Tracer, y: Any) -> Any:
        if x.shape or isinstance(known_value(x), np.ndarray):
            raise UnsupportedOperationError(
                f"x {symbol}= y at {here()}: a traced array of type {x.aval!r} cannot be changed in place, as its "
                f"other names and views would have to see it. Write x = x {symbol} y."
            )
        return fun(x, y)

    return operator


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


def _setitem(x: Tracer, key: Any, value: Any) -> None:
    raise UnsupportedOperationError(
        f"x[{key!r}] = ... at {here()}: a traced array of type {x.aval!r} cannot be changed in place. Build a new one: "
        "np.where(mask, new, x), np.concatenate([x[:i], [new], x[i + 1:]]), or np.stack of its parts."
    )


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
    "__setitem__": _setitem,
    "__iter__": _iterate,
    "__contains__": _contains,
    "__round__": _round,
    "__floor__": lambda x: math.floor(x._concrete("math.floor")),
    "__ceil__": lambda x: math.ceil(x._concrete("math.ceil")),
    "__trunc__": lambda x: math.trunc(x._concrete("math.trunc")),
    "__copy__": lambda x: x,
    "__deepcopy__": lambda x, memo: x,
}


def _shape_arguments(arguments: tuple[Any, ...]) -> Any:
    """``x.reshape(2, 3)`` and ``x.reshape((2, 3))`` alike."""
    return arguments[0] if len(arguments) == 1 else arguments


def _reshape(x: Tracer, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    return shaping.reshape(x, _shape_arguments(shape), order=order)


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
    return shaping.astype(x, dtype)


def _flatten(x: Tracer, order: str = "C") -> Any:
    return shaping.ravel(x, order=order)


def _trace(x: Tracer, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return indexing.trace(x, offset, axis1, axis2)


_METHODS: dict[str, Callable[..., Any]] = {
    "all": reductions.all,
    "any": reductions.any,
    "argmax": reductions.argmax,
    "argmin": reductions.argmin,
    "argsort": sorting.argsort,
    "astype": _astype,
    "choose": indexing.choose,
    "clip": elementwise.clip,
    "compress": lambda x, condition, axis=None: indexing.compress(condition, x, axis),
    "conj": elementwise.conjugate,
    "conjugate": elementwise.conjugate,
    "copy": lambda x, order="C": x,
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
    "trace": _trace,
    "transpose": _transpose,
    "var": reductions.var,
}

_REFUSED: dict[str, str] = {
    "byteswap": "x.astype",
    "dump": "fungrad.stop_gradient(x) outside of the transform",
    "fill": "np.full_like(x, value)",
    "getfield": "x.real and x.imag",
    "partition": "np.sort(x)",
    "put": "np.where(mask, values, x)",
    "resize": "np.resize(x, shape)",
    "setfield": "np.where(mask, values, x)",
    "setflags": "nothing: traced arrays have no flags",
    "sort": "x = np.sort(x)",
    "tobytes": "fungrad.stop_gradient(x).tobytes()",
    "tofile": "fungrad.stop_gradient(x).tofile(...)",
    "view": "x.astype, x.real, x.imag",
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
    "mT": shaping.matrix_transpose,
    "real": elementwise.real,
    "imag": elementwise.imag,
    "itemsize": lambda x: x.dtype.itemsize,
    "nbytes": lambda x: x.size * x.dtype.itemsize,
    "device": lambda x: "cpu",
}


def _attach() -> None:
    for name, fun in _BINARY.items():
        setattr(Tracer, f"__{name}__", fun)
        setattr(Tracer, f"__r{name}__", _reflected(fun))
    for name in _SYMBOLS:
        setattr(Tracer, f"__i{name}__", _augmented(name, _BINARY[name]))
    for table in (_OTHER_OPERATORS, _METHODS):
        for name, fun in table.items():
            if fun.__doc__ is None:
                fun.__doc__ = f"As `numpy.ndarray.{name}`."
            setattr(Tracer, name, fun)
    for name, instead in _REFUSED.items():
        setattr(Tracer, name, _refusal(name, instead))
    for name, getter in _ATTRIBUTES.items():
        getter.__doc__ = getter.__doc__ or f"As `numpy.ndarray.{name}`."
        setattr(Tracer, name, property(getter))


_attach()

"""How NumPy's functions reach a traced array: the two protocols, and the tables that they look in.

    UFUNCS      NumPy ufunc -> fungrad function            NEP 13, __array_ufunc__
    FUNCTIONS   NumPy function -> fungrad function         NEP 18, __array_function__

The modules of ``fungrad.numpy`` fill the tables with `implements` (and ``elementwise`` the ufuncs); a NumPy function
without an entry raises an error that names it. Nothing falls through to NumPy's own implementation by accident.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fungrad._util import here
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError

F = TypeVar("F", bound=Callable[..., Any])

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}
"""(ufunc, "reduce" | "accumulate" | ...) -> fungrad function with that method's arguments."""
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def implements(*numpy_functions: Any) -> Callable[[F], F]:
    """Register a function as what these NumPy functions do to traced arrays."""

    def register(fun: F) -> F:
        for numpy_function in numpy_functions:
            FUNCTIONS[numpy_function] = fun
        return fun

    return register


def array_ufunc(self: Tracer, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NEP 13: a ufunc was called on operands of which at least one is traced."""
    if method == "__call__":
        fun = UFUNCS.get(ufunc)
        if fun is not None:
            return fun(*inputs) if not kwargs else _with_arguments(ufunc, fun, inputs, kwargs)
    else:
        fun = UFUNC_METHODS.get((ufunc, method))
        if fun is not None:
            return fun(*inputs, **kwargs)
    name = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    raise UnsupportedOperationError(
        f"{name} at {here()} does not support traced arrays; compose it from functions that do"
    )


def _with_arguments(ufunc: np.ufunc, fun: Callable[..., Any], inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = f"numpy.{ufunc.__name__}"
    if kwargs.get("out") is not None:
        raise UnsupportedOperationError(
            f"{name}(..., out=) or an augmented assignment (`a += x` with a plain NumPy array a) at {here()}: a "
            "traced array cannot be written into a plain one. Write a = a + x instead."
        )
    if kwargs.get("where", True) is not True:
        raise UnsupportedOperationError(
            f"{name}(..., where=) at {here()} is not supported on traced arrays; use np.where(mask, {name}(...), other)"
        )
    dtype = kwargs.get("dtype")
    unknown = set(kwargs) - {"out", "where", "dtype", "casting", "order", "subok"}
    if unknown:
        raise UnsupportedOperationError(
            f"{name} at {here()}: argument {sorted(unknown)[0]!r} is not supported on traced arrays"
        )
    if dtype is not None:
        inputs = tuple([FUNCTIONS[np.astype](x, dtype) for x in inputs])
    return fun(*inputs)


_HINTS: dict[Any, str] = {
    np.copyto: "np.full_like(plain, x) and np.copyto write into a plain array; write np.broadcast_to(x, shape) instead",
}
"""What to write instead of functions that cannot work, where composing does not help."""


def array_function(self: Tracer, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """NEP 18: a NumPy function was called with a traced array among its arguments."""
    fun = FUNCTIONS.get(func)
    if fun is None:
        name = f"{func.__module__}.{func.__name__}"
        hint = _HINTS.get(func, "compose it from functions that do")
        raise UnsupportedOperationError(f"{name} at {here()} does not support traced arrays; {hint}")
    return fun(*args, **kwargs)


Tracer.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Tracer.__array_function__ = array_function  # type: ignore[attr-defined]

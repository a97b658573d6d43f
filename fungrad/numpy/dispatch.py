"""How NumPy's functions reach a traced array: the two protocols, and the tables that they look in.

    UFUNCS      NumPy ufunc -> fungrad function            NEP 13, __array_ufunc__
    FUNCTIONS   NumPy function -> fungrad function         NEP 18, __array_function__

The modules of ``fungrad.numpy`` fill the tables with `implements` (and ``elementwise`` the ufuncs). Those of functions
that few programs call are imported when the first function without an entry meets a traced array (see `LATER`); one
that has none then raises an error that names it. Nothing falls through to NumPy's own implementation by accident.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fungrad._util import here
from fungrad.core.buffers import TracedBuffer, as_target, unwrapped
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError

F = TypeVar("F", bound=Callable[..., Any])

UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
"""The name of a ufunc's method (or "__call__") -> function of the ufunc and of that method's arguments."""
FUNCTIONS: dict[Any, Callable[..., Any]] = {}

LATER: dict[str, tuple[str, ...]] = {
    "numpy": (
        "fungrad.numpy.applying",
        "fungrad.numpy.grids",
        "fungrad.numpy.histograms",
        "fungrad.numpy.nan_statistics",
        "fungrad.numpy.polynomials",
        "fungrad.numpy.quantiles",
        "fungrad.numpy.queries",
        "fungrad.numpy.sets",
        "fungrad.numpy.signal",
        "fungrad.numpy.special",
        "fungrad.numpy.writing",
    ),
    "numpy.ufunc": ("fungrad.numpy.ufunc_methods",),
    "numpy.linalg": ("fungrad.numpy.linalg",),
    "numpy.fft": ("fungrad.numpy.fft",),
    "numpy.lib.scimath": ("fungrad.numpy.scimath",),
    "numpy.lib._scimath_impl": ("fungrad.numpy.scimath",),  # NumPy 2.0
    "numpy.lib.stride_tricks": ("fungrad.numpy.windows",),
}
"""Module of a NumPy function -> our modules that may implement it, imported when they are first needed.

They would add to the time of ``import fungrad``, and ``numpy.fft`` is itself imported by NumPy on first use only.
"""


def load_later(module: str) -> None:
    """Import the modules that may implement functions of this module of NumPy."""
    for name in LATER.get(module, ()):
        importlib.import_module(name)


def implements(*numpy_functions: Any) -> Callable[[F], F]:
    """Register a function as what these NumPy functions do to traced arrays."""

    def register(fun: F) -> F:
        for numpy_function in numpy_functions:
            FUNCTIONS[numpy_function] = fun
        return fun

    return register


def array_ufunc(self: Tracer, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NEP 13: a ufunc was called on operands of which at least one is traced."""
    if method == "__call__" and not kwargs:
        fun = UFUNCS.get(ufunc)
        if fun is not None:
            return fun(*inputs)
    if ufunc not in UFUNCS:  # one of SciPy's, perhaps
        found = importlib.import_module("fungrad.scipy.ufuncs").lookup(ufunc)
        if found is not None:
            UFUNCS[ufunc] = found
            return array_ufunc(self, ufunc, method, *inputs, **kwargs)
    if not UFUNC_METHODS:
        load_later("numpy.ufunc")
    if "out" in kwargs and method == "__call__":
        kwargs["seen"] = references(kwargs), sys._getframe(1)
    elif "out" in kwargs:
        kwargs["out"] = tuple([as_target(o, *inputs) for o in kwargs["out"]])
    elif method == "at":
        inputs = (as_target(inputs[0], *inputs[1:]), *inputs[1:])
    result = UFUNC_METHODS[method](ufunc, *inputs, **kwargs)
    return result if "out" in kwargs else _of_its_own(result, inputs)


def function(func: Any) -> Any:
    """What a NumPy function does to traced arrays, from the modules that are imported late too; None if nothing."""
    load_later(func.__module__)
    return FUNCTIONS.get(func)


def references(kwargs: dict[str, Any]) -> int:
    """How often the array that a call of a ufunc writes into is referred to; see ``targets``."""
    return sys.getrefcount(kwargs["out"][0])


def array_function(self: Tracer, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """NEP 18: a NumPy function was called with a traced array among its arguments."""
    fun = FUNCTIONS.get(func) or function(func)
    if fun is None:
        name = f"{func.__module__}.{func.__name__}"
        raise UnsupportedOperationError(
            f"{name} at {here()} does not support traced arrays; compose it from functions that do"
        )
    if TracedBuffer in types:
        args, kwargs = unwrapped(args), unwrapped(kwargs)
    if kwargs.get("out") is not None:
        targets: Any = importlib.import_module("fungrad.numpy.targets")
        return targets.call_with_out(func, fun, args, kwargs)
    result = fun(*args, **kwargs)
    return result if func in _GIVE_BACK else _of_its_own(result, args)


_GIVE_BACK = {
    np.apply_over_axes,
    np.diff,
    np.linalg.matrix_power,
    np.polyder,
    np.polyint,
    np.real_if_close,
    getattr(np, "astype", None),
}
"""Those that return the array itself where there is nothing to do, as NumPy's do. Views are linked to it."""


def _of_its_own(result: Any, args: Any) -> Any:
    """A result that is one of the arguments, under a name of its own: NumPy makes a new array."""
    if type(result) is Tracer:
        for x in args:
            if x is result or (isinstance(x, (list, tuple)) and _of_its_own(result, x) is not result):
                return result.again()
    return result


Tracer.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Tracer.__array_function__ = array_function  # type: ignore[attr-defined]

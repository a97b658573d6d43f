"""How NumPy's functions reach a traced array: the two protocols, and the tables that they look in.

    UFUNCS      NumPy ufunc -> fungrad function            NEP 13, __array_ufunc__
    FUNCTIONS   NumPy function -> fungrad function         NEP 18, __array_function__

The modules of ``fungrad.numpy`` fill the tables with `implements` (and ``elementwise`` the ufuncs). Those of functions
that few programs call are imported when the first function without an entry meets a traced array (see `LATER`); one
that has none then raises an error that names it. Nothing falls through to NumPy's own implementation by accident.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fungrad._util import here
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
    return UFUNC_METHODS[method](ufunc, *inputs, **kwargs)


def array_function(self: Tracer, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """NEP 18: a NumPy function was called with a traced array among its arguments."""
    fun = FUNCTIONS.get(func)
    if fun is None:
        load_later(func.__module__)
        fun = FUNCTIONS.get(func)
    if fun is None:
        name = f"{func.__module__}.{func.__name__}"
        raise UnsupportedOperationError(
            f"{name} at {here()} does not support traced arrays; compose it from functions that do"
        )
    return fun(*args, **kwargs)


Tracer.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Tracer.__array_function__ = array_function  # type: ignore[attr-defined]

"""Arguments of the special functions, and the way to SciPy for what is not computed here."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from fungrad.core.aval import is_inexact, typeof
from fungrad.core.trace import Tracer
from fungrad.numpy.shaping import as_array
from fungrad.primitives.structural import convert

_NUMBERS = (bool, int, float, complex)


def operand(x: Any) -> Any:
    """An array or a NumPy scalar, traced or plain; Python numbers stay what they are, as they do not promote."""
    if type(x) is Tracer or type(x) in _NUMBERS or isinstance(x, np.generic):
        return x
    return as_array(x)


def inexact_array(x: Any) -> Any:
    """An array of real or complex floating-point numbers: of integers float64."""
    x = as_array(x)
    return x if is_inexact(typeof(x).dtype) else convert(x, np.dtype(np.float64))


def is_complex(*operands: Any) -> bool:
    """Whether one of the operands is complex."""
    return any(typeof(x).dtype.kind == "c" for x in operands)


def from_scipy(name: str) -> Any:
    """A function of ``scipy.special``, for what is not computed here.

    Raises
    ------
    ModuleNotFoundError
        If SciPy is not installed; the message says how to install it.
    """
    try:
        module = importlib.import_module("scipy.special")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"fungrad.scipy.special.{name} for these arguments is SciPy's, and SciPy is not installed: "
            "pip install scipy (or fungrad[scipy])",
            name="scipy",
        ) from error
    return getattr(module, name)

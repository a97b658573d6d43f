"""What the functions of numpy.linalg check of their arguments: NumPy's own errors, also where only types are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.numpy.shaping import as_array
from fungrad.primitives.structural import convert

_SINGLE, _DOUBLE = "fF", "dD"


def stack_of_matrices(x: Any) -> Any:
    """An array with matrices in its last two axes."""
    x = as_array(x)
    ndim = typeof(x).ndim
    if ndim < 2:
        raise np.linalg.LinAlgError(f"{ndim}-dimensional array given. Array must be at least two-dimensional")
    return x


def stack_of_square_matrices(x: Any) -> Any:
    """An array with square matrices in its last two axes."""
    x = stack_of_matrices(x)
    m, n = typeof(x).shape[-2:]
    if m != n:
        raise np.linalg.LinAlgError(f"Last 2 dimensions of the array must be square, got {m} and {n}")
    return x


def single_matrices(*arrays: Any) -> None:
    """Check that each is one matrix, not a stack."""
    for x in arrays:
        ndim = typeof(x).ndim
        if ndim != 2:
            raise np.linalg.LinAlgError(f"{ndim}-dimensional array given. Array must be two-dimensional")


def in_linalg_dtype(*arrays: Any) -> list[Any]:
    """The arrays in the dtype that numpy.linalg computes for them: single or double precision, integers in double."""
    target = linalg_dtype([typeof(x).dtype for x in arrays])
    return [convert(x, target) for x in arrays]


def linalg_dtype(dtypes: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The common dtype; a TypeError for half and extended precision, which LAPACK has not."""
    double = False
    for dtype in dtypes:
        if dtype.kind in "fc" and dtype.char not in _SINGLE + _DOUBLE:
            raise TypeError(f"array type {dtype.name} is unsupported in linalg")
        double = double or dtype.char not in _SINGLE
    return np.dtype((_DOUBLE if double else _SINGLE)[any(d.kind == "c" for d in dtypes)])

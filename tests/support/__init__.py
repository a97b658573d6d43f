"""What fungrad makes of every function of NumPy: probes of each, and the verdicts of running them.

PROBES     section -> name -> Probe, ...         the sections of docs/numpy_support.md
NO_ARRAYS  module of NumPy -> names              functions that can never meet a traced array
judge      name, Probe -> Verdict
"""

from __future__ import annotations

import numpy as np

from . import ndarray_members, numpy_arrays, numpy_elementwise, numpy_modules, numpy_reductions, ufunc_methods
from .probe import (
    CONSTANT,
    DIFFERENTIATES,
    FAILED,
    KINDS,
    LOOP,
    NO_DERIVATIVE,
    REFUSED,
    VALUES,
    Probe,
    Verdict,
    judge,
    replacement,
)
from .probe import NO_ARRAYS as TAKES_NO_ARRAYS
from .ufunc_methods import METHODS

__all__ = [
    "CONSTANT",
    "DIFFERENTIATES",
    "FAILED",
    "KINDS",
    "LOOP",
    "METHODS",
    "NO_ARRAYS",
    "NO_DERIVATIVE",
    "PROBES",
    "REFUSED",
    "TAKES_NO_ARRAYS",
    "VALUES",
    "Probe",
    "Verdict",
    "exists",
    "judge",
    "public_functions",
    "public_members",
    "replacement",
]

_NO_ARRAYS = """
bartlett blackman hamming hanning broadcast_shapes busday_count datetime_as_string datetime_data diag_indices empty
eye fromfile fromregex fromstring genfromtxt get_include get_printoptions getbufsize geterr geterrcall identity
indices info is_busday isdtype isnat issubdtype load loadtxt mintypecode ones printoptions promote_types
set_printoptions setbufsize seterr seterrcall show_config show_runtime test tril_indices triu_indices typename zeros
deprecate disp
"""

NO_ARRAYS: dict[str, tuple[str, ...]] = {
    "numpy": tuple(_NO_ARRAYS.split()),
    "numpy.linalg": ("test",),
    "numpy.fft": ("test",),
}
"""Constructors from sizes, queries of dtypes, options, files to read, calendars."""


def _tuples(*tables: dict[str, Probe | tuple[Probe, ...]]) -> dict[str, tuple[Probe, ...]]:
    merged: dict[str, tuple[Probe, ...]] = {}
    for table in tables:
        for name, probes in table.items():
            merged[name] = probes if isinstance(probes, tuple) else (probes,)
    return dict(sorted(merged.items(), key=lambda item: item[0].lower()))


PROBES: dict[str, dict[str, tuple[Probe, ...]]] = {
    "numpy": _tuples(numpy_elementwise.PROBES, numpy_arrays.PROBES, numpy_reductions.PROBES, numpy_modules.FILES),
    "numpy.linalg": _tuples(numpy_modules.LINALG),
    "numpy.fft": _tuples(numpy_modules.FFT),
    "others": _tuples(numpy_elementwise.OTHERS, numpy_arrays.OTHERS),
    "ndarray": _tuples(ndarray_members.METHODS),
    "operators": _tuples(ndarray_members.OPERATORS),
    "ufunc methods": _tuples(ufunc_methods.probes()),
}


def public_functions(module: str) -> set[str]:
    """The public callables of a module of the installed NumPy that are not classes."""
    home = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}[module]
    names = [n for n in dir(home) if not n.startswith("_")]
    return {n for n in names if callable(getattr(home, n)) and not isinstance(getattr(home, n), type)}


def public_members() -> set[str]:
    """The public methods and attributes of the installed NumPy's ndarray."""
    removed = {"itemset", "newbyteorder", "ptp", "tostring"}  # NumPy 2.0 still has these names, most of them raise
    return {n for n in dir(np.ndarray) if not n.startswith("_")} - removed


def exists(section: str, name: str) -> bool:
    """Whether the installed NumPy has what an entry of `PROBES` probes."""
    if section == "ndarray":
        return hasattr(np.ndarray, name)
    home = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}.get(section)
    return home is None or not name.isidentifier() or hasattr(home, name)

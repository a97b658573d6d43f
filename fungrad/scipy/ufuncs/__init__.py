"""The ufuncs of ``scipy.special`` on traced arrays, by their names: SciPy is not imported for them.

    lookup : ufunc -> fungrad function

A call ``scipy.special.erf(x)`` with a traced x arrives here through NumPy's protocol, so SciPy is loaded by then.
Each ufunc becomes a primitive whose implementation is the ufunc itself, when it is first met (`declared`); the other
modules declare the derivatives, family by family. Equation numbers are those of the NIST Digital Library of
Mathematical Functions (DLMF, https://dlmf.nist.gov) unless another source is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.scipy.ufuncs import (  # noqa: F401  (imported because they declare)
    bessel,
    bessel_related,
    distributions,
    elementary,
    elliptic,
    error_functions,
    gamma,
    hypergeometric,
    incomplete,
    integrals,
    polynomials,
    waves,
)
from fungrad.scipy.ufuncs.declared import DECLARED, find, primitive

__all__ = ["lookup"]


def lookup(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The function that stands for a ufunc of SciPy on traced arrays, or None if it is not one of SciPy's.

    Its derivative is asked for later: a ufunc, or an operand of one, without a known derivative can still be computed,
    batched and held fixed.
    """
    name = ufunc.__name__
    if find(name) is ufunc:
        return primitive(name).function  # type: ignore[no-any-return]
    for name in DECLARED:  # a name that differs from the ufunc's own
        if find(name) is ufunc:
            return primitive(name).function  # type: ignore[no-any-return]
    return None

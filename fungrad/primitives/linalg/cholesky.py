"""The Cholesky decomposition a = L L^H of stacks of positive definite matrices.

LAPACK reads the lower triangle and the real part of the diagonal and nothing else, so this is a function of these; the
derivative is that of this function, as finite differences see it. With h the Hermitian matrix of the triangle,

    L_dot = L phi(L^-1 h_dot L^-H)        phi: the lower triangle with half of the diagonal

(Smith 1995; Murray 2016, arXiv 1602.07527). One inverse of L serves all tangents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.linalg.matrices import from_lower_triangle, matmul, mH, same_type
from fungrad.primitives.linalg.solve import inv

# cholesky: (*L, n, n) -> (*L, n, n), lower triangular


def _phi(k: Any) -> Any:
    aval = typeof(k)
    n, dtype = aval.shape[-1], aval.dtype.char.lower()
    return mul(k, np.tri(n, dtype=dtype) - np.eye(n, dtype=dtype) / 2)


def _cholesky_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    inverse = inv(out)
    return matmul(out, _phi(matmul(matmul(inverse, from_lower_triangle(tangents[0])), mH(inverse))))


cholesky_p = General(
    "cholesky",
    np.linalg.cholesky,
    abstract=same_type,
    jvp=_cholesky_jvp,
    batch=lambda axis, batched, a: cholesky(a),
)


def cholesky(a: Any) -> Any:
    """The lower triangular L with ``L L^H = a``, of which the lower triangle is read."""
    return cholesky_p.bind(a)

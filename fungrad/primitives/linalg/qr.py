"""The QR decomposition of stacks of matrices of any shape, reduced or complete.

Only the first k = min(m, n) columns decide on Q. With a1 and R1 these columns, Q1 the first k columns of Q, and
Omega = Q^H Q_dot, which is anti-Hermitian,

    a1_dot R1^-1 = Q_dot[:, :k] + Q1 R1_dot R1^-1        R_dot = Q^H a_dot - Omega R

and since R1_dot R1^-1 is upper triangular with a real diagonal (LAPACK makes that of R real), the strict lower triangle
of Q1^H a1_dot R1^-1 is that of Omega and the imaginary part of its diagonal is Omega's (Walter & Lehmann 2010,
arXiv 1001.1654; Roberts & Roberts 2020, arXiv 2009.10071, for n > m).

The decomposition has a choice of signs (of phases, for complex matrices), which LAPACK makes by the sign of the real
part of a pivot: locally constant. A complete Q has other columns Q2 too, any orthonormal basis of what Q1 leaves.
LAPACK's is a smooth function of Q1: a product of n reflections is 1 - V T V^H with V = [V1; V2], V1 unit lower and T
upper triangular (Schreiber & Van Loan 1989), so that 1 - Q11 = V1 T V1^H and, with Q12 the top k rows of Q2,

    Q2 = [0; 1] - ([1; 0] - Q1) Z,    Z = (1 - Q11)^-1 Q12,    Q2^H Q2_dot = (Omega21 Z)^H - Omega21 Z - Z^H Omega11 Z

The last matrix is anti-Hermitian whatever Z is: functions that do not depend on the choice of Q2 have their right
derivative always. Z is taken with a pseudo-inverse, as 1 - Q11 is singular where a reflection is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import neg, sub
from fungrad.primitives.linalg.matrices import (
    antihermitian_part,
    block,
    identity_minus,
    matmul,
    mH,
    upper_triangle,
)
from fungrad.primitives.linalg.pinv import pinv
from fungrad.primitives.linalg.solve import inv
from fungrad.primitives.structural import concatenate

# qr: (*L, m, n) -> (*L, m, k), (*L, k, n), with k = m if complete, else min(m, n)


def _qr_jvp(primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, complete: bool) -> Any:
    (t,), (q, r) = tangents, outs
    m, n = typeof(t).shape[-2:]
    k = min(m, n)
    right = matmul(block(t, None, (0, k)), inv(block(r, (0, k), (0, k))))
    q1 = block(q, None, (0, k))
    inner = matmul(mH(q1), right)
    omega = antihermitian_part(inner)
    r_dot = sub(matmul(mH(q1), t), matmul(omega, block(r, (0, k), None)))
    if complete and m > k:
        omega = _complete_omega(q, right, omega, k)
        *lead, _, _ = typeof(t).shape
        r_dot = concatenate([r_dot, np.zeros((*lead, m - k, n), typeof(t).dtype)], len(lead))
    elif m > k:
        return sub(right, matmul(q, sub(inner, omega))), upper_triangle(r_dot)
    return matmul(q, omega), upper_triangle(r_dot)


def _complete_omega(q: Any, right: Any, omega11: Any, k: int) -> Any:
    """``Q^H Q_dot`` for a square Q of which the first k columns are decided by the matrix."""
    ndim = typeof(q).ndim
    m = typeof(q).shape[-1]
    omega21 = matmul(mH(block(q, None, (k, m))), right)
    z = matmul(pinv(identity_minus(block(q, (0, k), (0, k)))), block(q, (0, k), (k, m)))
    turned = matmul(omega21, z)
    omega22 = sub(sub(mH(turned), turned), matmul(mH(z), matmul(omega11, z)))
    left = concatenate([omega11, omega21], ndim - 2)
    return concatenate([left, concatenate([neg(mH(omega21)), omega22], ndim - 2)], ndim - 1)


def _qr_abstract(a: ShapedArray, *, complete: bool) -> tuple[ShapedArray, ShapedArray]:
    *lead, m, n = a.shape
    k = m if complete else min(m, n)
    return ShapedArray((*lead, m, k), a.dtype), ShapedArray((*lead, k, n), a.dtype)


qr_p = General(
    "qr",
    lambda a, *, complete: tuple(np.linalg.qr(a, "complete" if complete else "reduced")),
    abstract=_qr_abstract,
    jvp=_qr_jvp,
    batch=lambda axis, batched, a, *, complete: qr(a, complete),
    multiple=True,
)


def qr(a: Any, complete: bool = False) -> Any:
    """Q with orthonormal columns and the upper triangular R with ``Q R = a``; a square Q if complete."""
    return qr_p.bind(a, complete=complete)

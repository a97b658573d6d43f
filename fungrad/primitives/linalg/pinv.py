"""Pseudo-inverses and least squares of stacks of matrices, at constant rank.

With p = a^+, r = b - a x, x = p b (Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, eq. 4.12),

    p_dot = -p a_dot p + p p^H a_dot^H (1 - a p) + (1 - p a) a_dot^H p^H p
    x_dot = p (b_dot - a_dot x) + p p^H a_dot^H r + (1 - p a) a_dot^H p^H x

Both jump where the rank changes; at a matrix of lower rank the derivative is the one along matrices of that rank (the
singular values that are cut off stay so), which is what finite differences see as long as the cut-off holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, neg, sub
from fungrad.primitives.linalg.matrices import (
    from_lower_triangle,
    identity_minus,
    matmul,
    mH,
    with_batch,
    with_columns_merged,
    with_columns_split,
)
from fungrad.primitives.structural import broadcast_to

# pinv: (*L, m, n), cut-off (*L) -> (*L, n, m). The result is locally constant in the cut-off.


def _pinv_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, hermitian: bool) -> Any:
    a, t = primals[0], tangents[0]
    if t is None:
        return None
    if hermitian:
        a, t = from_lower_triangle(a), from_lower_triangle(t)
    moved, adjoint = matmul(matmul(out, t), out), mH(t)
    columns = matmul(matmul(out, mH(out)), matmul(adjoint, identity_minus(matmul(a, out))))
    rows = matmul(matmul(identity_minus(matmul(out, a)), adjoint), matmul(mH(out), out))
    return add(sub(columns, moved), rows)


def _pinv_abstract(a: ShapedArray, cutoff: ShapedArray, *, hermitian: bool) -> ShapedArray:
    *lead, m, n = a.shape
    return ShapedArray((*lead, n, m), a.dtype)


def _pinv_batch(axis: Any, batched: Sequence[bool], a: Any, cutoff: Any, *, hermitian: bool) -> Any:
    a, cutoff = with_batch(axis, batched, (a, cutoff))
    return pinv(a, cutoff, hermitian)


pinv_p = General(
    "pinv",
    lambda a, cutoff, *, hermitian: np.linalg.pinv(a, cutoff, hermitian),
    abstract=_pinv_abstract,
    jvp=_pinv_jvp,
    batch=_pinv_batch,
)


def pinv(a: Any, cutoff: Any = 1e-15, hermitian: bool = False) -> Any:
    """The pseudo-inverses, with singular values up to ``cutoff`` times the largest one taken for zero.

    ``hermitian``: of Hermitian matrices, of which the lower triangles are read.
    """
    return pinv_p.bind(a, broadcast_to(cutoff, typeof(a).shape[:-2]), hermitian=hermitian)


# lstsq: (*L, m, n), (*L, m, k) -> (*L, n, k) and the rank (*L)

RANK = np.dtype(np.int32)
"""The dtype of LAPACK's ranks."""


def _lstsq(a: Any, b: Any, *, cutoff: float) -> Any:
    if a.ndim == 2:
        x, _, rank, _ = np.linalg.lstsq(a, b, cutoff)
        return x, RANK.type(rank)
    # numpy.linalg.lstsq takes one matrix only; this is what it computes (xGELSD), in double precision too.
    wide = np.dtype(np.complex128 if a.dtype.kind == "c" else np.float64)
    u, s, vh = np.linalg.svd(a.astype(wide, copy=False), full_matrices=False)
    kept = s > _relative(cutoff) * s[..., :1]
    scale = np.where(kept, 1 / np.where(kept, s, 1), 0)[..., None]
    x = np.swapaxes(vh.conj(), -1, -2) @ (scale * (np.swapaxes(u.conj(), -1, -2) @ b))
    return x.astype(a.dtype, copy=False), np.add.reduce(kept, -1, dtype=RANK)


def _relative(cutoff: float) -> float:
    """The cut-off relative to the largest singular value; LAPACK reads a negative one as the machine precision."""
    return cutoff if cutoff >= 0 else float(np.finfo(np.float64).eps)


def _lstsq_jvp(primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, cutoff: float) -> Any:
    (a, b), (a_dot, b_dot), x = primals, tangents, outs[0]
    p = pinv(a, _relative(cutoff))
    if a_dot is None:
        return matmul(p, b_dot), None
    moved, adjoint = matmul(a_dot, x), mH(a_dot)
    x_dot = matmul(p, neg(moved) if b_dot is None else sub(b_dot, moved))
    columns = matmul(p, matmul(mH(p), matmul(adjoint, sub(b, matmul(a, x)))))
    rows = matmul(identity_minus(matmul(p, a)), matmul(adjoint, matmul(mH(p), x)))
    return add(add(x_dot, columns), rows), None


def _lstsq_abstract(a: ShapedArray, b: ShapedArray, *, cutoff: float) -> tuple[ShapedArray, ShapedArray]:
    *lead, _, n = a.shape
    return ShapedArray((*lead, n, b.shape[-1]), a.dtype), ShapedArray(tuple(lead), RANK)


def _lstsq_batch(axis: Any, batched: Sequence[bool], a: Any, b: Any, *, cutoff: float) -> Any:
    if batched[0]:
        return lstsq_p.bind(*with_batch(axis, batched, (a, b)), cutoff=cutoff)
    x, rank = lstsq_p.bind(a, with_columns_merged(b, 1), cutoff=cutoff)
    x = with_columns_split(x, (axis.size,), typeof(b).shape[-1])
    return x, broadcast_to(rank, (axis.size, *typeof(rank).shape))


lstsq_p = General("lstsq", _lstsq, abstract=_lstsq_abstract, jvp=_lstsq_jvp, batch=_lstsq_batch, multiple=True)


def lstsq(a: Any, b: Any, cutoff: float) -> Any:
    """The x of least norm that minimises ``|a x - b|``, and the rank of a, for matrices of one inexact dtype."""
    return lstsq_p.bind(a, b, cutoff=cutoff)

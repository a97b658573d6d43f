"""Linear systems and inverses of stacks of square matrices.

    solve(a, b) = a^-1 b        x_dot = a^-1 (b_dot - a_dot x)          Giles 2008
    inv(a)      = a^-1          c_dot = -c a_dot c

A system is linear in its right-hand side: reverse mode solves once more, with the transposed matrix, and reads both
cotangents off that. The cotangents are those of the plain transpose (no conjugation), so it is a^T, not a^H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import neg, sub
from fungrad.primitives.linalg.matrices import (
    matmul,
    mT,
    same_type,
    with_batch,
    with_columns_merged,
    with_columns_split,
)
from fungrad.primitives.structural import broadcast_to

# solve: (*L, n, n), (*L, n, k) -> (*L, n, k), of one dtype


def _solve_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    (a, _), (a_dot, b_dot) = primals, tangents
    moved = matmul(a_dot, out)
    return solve_p.bind(a, neg(moved) if b_dot is None else sub(b_dot, moved))


def _solve_batch(axis: Any, batched: Sequence[bool], a: Any, b: Any) -> Any:
    if batched[0]:
        return solve_p.bind(*with_batch(axis, batched, (a, b)))
    # One matrix for the whole batch is factorised once: the batch becomes columns.
    return with_columns_split(solve_p.bind(a, with_columns_merged(b, 1)), (axis.size,), typeof(b).shape[-1])


solve_p = General(
    "solve",
    np.linalg.solve,
    abstract=lambda a, b: ShapedArray(b.shape, b.dtype),
    jvp=_solve_jvp,
    batch=_solve_batch,
    transpose=lambda ct, a, b: solve(mT(a), ct),
    linear_in=(1,),
)


def solve(a: Any, b: Any) -> Any:
    """``a^-1 b`` for matrices a and b of one inexact dtype in the last two axes; the leading axes broadcast."""
    lead_a, lead_b = typeof(a).shape[:-2], typeof(b).shape[:-2]
    if lead_a == lead_b:
        return solve_p.bind(a, b)
    if not lead_a:
        return with_columns_split(solve_p.bind(a, with_columns_merged(b, len(lead_b))), lead_b, typeof(b).shape[-1])
    lead = np.broadcast_shapes(lead_a, lead_b)
    a = broadcast_to(a, (*lead, *typeof(a).shape[-2:]))
    return solve_p.bind(a, broadcast_to(b, (*lead, *typeof(b).shape[-2:])))


# inv: (*L, n, n) -> (*L, n, n)


def _inv_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    return neg(matmul(matmul(out, tangents[0]), out))


inv_p = General("inv", np.linalg.inv, abstract=same_type, jvp=_inv_jvp, batch=lambda axis, batched, a: inv(a))


def inv(a: Any) -> Any:
    """The inverses of matrices of an inexact dtype in the last two axes."""
    return inv_p.bind(a)

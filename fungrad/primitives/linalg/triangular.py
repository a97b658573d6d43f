"""Triangular systems and inverses of triangular matrices, by blocks.

    solve_triangular(a, b) = t^-1 b     x_dot = t^-1 (b_dot - t_dot x)          t: the named triangle of a
    inv_triangular(a)      = t^-1       c_dot = -c t_dot c

The other triangle of ``a`` is not read, whatever it holds. NumPy has neither function: its ``solve`` and ``inv``
eliminate first, which for a triangular matrix is most of the work and nothing but rounding errors (it exchanges rows
where an element below the diagonal is the largest). Here the blocks of `BLOCK` rows on the diagonal are systems for
``numpy.linalg.solve``, turned over so that they are upper triangular (then its elimination changes nothing, and what
remains is substitution), and all the rest is matrix products:

    x_i = a_ii^-1 (b_i - sum_j a_ij x_j)                                       Golub & Van Loan, 4th ed., section 3.1.4

Substitution by blocks is backward stable: the residual is small beside ``|t| |x|``, however ill-conditioned t is. The
inverse is made by the same substitution, row of blocks after row of blocks. The recursion that multiplies the inverses
of the halves, ``-C^-1 B A^-1``, is a fifth faster and loses what substitution keeps (Du Croz & Higham 1992, IMA J.
Numer. Anal. 12): for the factor of a smooth kernel, of condition number 1e7, its residual is a million times larger.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.lowering import NEW, Lowering, call_of
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import neg, sub
from fungrad.primitives.linalg.matrices import (
    lower_triangle,
    matmul,
    mT,
    same_type,
    upper_triangle,
    with_batch,
    with_columns_merged,
    with_columns_split,
)

Array = np.ndarray[Any, Any]

BLOCK = 48
"""Rows of a block on the diagonal."""

PAYS = 96
"""From this size on blocks are faster than ``numpy.linalg``, with one right-hand side as with many."""


# By blocks, on arrays


@functools.lru_cache(16)
def _triangle_mask(n: int, lower: bool) -> Array:
    mask = np.tri(n, dtype=bool) if lower else ~np.tri(n, k=-1, dtype=bool)
    mask.flags.writeable = False
    return mask


def triangle(a: Array, lower: bool = True) -> Array:
    """Square matrices with zeros in place of the other triangle."""
    return np.where(_triangle_mask(a.shape[-1], lower), a, a.dtype.type(0))


def _as_upper(a: Array, lower: bool) -> Array:
    """An upper triangular matrix: the triangle, a lower one turned by half a turn."""
    return triangle(a, lower)[..., ::-1, ::-1] if lower else triangle(a, lower)


def _turned(x: Array, lower: bool) -> Array:
    """The rows in the order of `_as_upper`."""
    return x[..., ::-1, :] if lower else x


def _solve_block(a: Array, b: Array, lower: bool) -> Array:
    """One block on the diagonal: its triangle's system by substitution."""
    upper, b = _as_upper(a, lower), _turned(b, lower)
    if b.shape[-1] > a.shape[-1]:
        inverse = np.linalg.inv(upper)
        if _is_well_conditioned(upper, inverse):
            return _turned(_refined(upper, inverse, b), lower)
    return _turned(np.linalg.solve(upper, b), lower)


def _is_well_conditioned(a: Array, inverse: Array) -> bool:
    """Whether for all matrices of a stack one step of `_refined` is enough: ``n^2 cond(a)^2`` is below 1 / eps."""
    size = np.abs(a).max((-2, -1), initial=0) * np.abs(inverse).max((-2, -1), initial=0)
    return bool((size < 1 / (a.shape[-1] * math.sqrt(np.finfo(a.dtype).eps))).all())


def _refined(a: Array, inverse: Array, b: Array) -> Array:
    """``a^-1 b`` of many columns by products, as good as by substitution (Higham 2002, theorem 12.4)."""
    x = inverse @ b
    x += inverse @ (b - a @ x)
    return x


def _blocks(n: int, lower: bool = True) -> list[tuple[slice, slice]]:
    """Blocks of rows in the order of substitution, and for each the rows that are known by then."""
    starts = range(0, n, BLOCK)
    if lower:
        return [(slice(k, min(k + BLOCK, n)), slice(0, k)) for k in starts]
    return [(slice(k, min(k + BLOCK, n)), slice(min(k + BLOCK, n), n)) for k in reversed(starts)]


def solve_by_blocks(a: Array, b: Array, *, lower: bool) -> Array:
    """`solve_triangular` of arrays."""
    n = a.shape[-1]
    if n < PAYS:
        return _turned(np.linalg.solve(_as_upper(a, lower), _turned(b, lower)), lower)
    x = np.empty(b.shape, b.dtype)
    for rows, known in _blocks(n, lower):
        rest = b[..., rows, :] - a[..., rows, known] @ x[..., known, :]
        x[..., rows, :] = _solve_block(a[..., rows, rows], rest, lower)
    return x


def inverse_by_blocks(a: Array, *, lower: bool) -> Array:
    """`inv_triangular` of arrays."""
    n = a.shape[-1]
    if n < PAYS:
        inverse = np.linalg.inv(_as_upper(a, lower))
        return inverse[..., ::-1, ::-1] if lower else inverse
    out = np.zeros(a.shape, a.dtype)
    a, x = (a, out) if lower else (np.swapaxes(a, -1, -2), np.swapaxes(out, -1, -2))
    for rows, known in _blocks(n):
        block = _as_upper(a[..., rows, rows], True)
        inverse = np.linalg.inv(block)
        x[..., rows, rows] = inverse[..., ::-1, ::-1]
        rest = _turned(-(a[..., rows, known] @ x[..., known, known]), True)
        solved = (
            _refined(block, inverse, rest) if _is_well_conditioned(block, inverse) else np.linalg.solve(block, rest)
        )
        x[..., rows, known] = _turned(solved, True)
    return out


# solve_triangular: (*L, n, n), (*L, n, k) -> (*L, n, k), of one dtype


def _only(a: Any, lower: bool) -> Any:
    """The triangle that counts."""
    return lower_triangle(a) if lower else upper_triangle(a)


def _solve_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, lower: bool) -> Any:
    (a, _), (a_dot, b_dot) = primals, tangents
    moved = matmul(_only(a_dot, lower), out)
    return solve_triangular_p.bind(a, neg(moved) if b_dot is None else sub(b_dot, moved), lower=lower)


def _solve_batch(axis: Any, batched: Sequence[bool], a: Any, b: Any, *, lower: bool) -> Any:
    if batched[0]:
        return solve_triangular_p.bind(*with_batch(axis, batched, (a, b)), lower=lower)
    merged = solve_triangular_p.bind(a, with_columns_merged(b, 1), lower=lower)
    return with_columns_split(merged, (axis.size,), typeof(b).shape[-1])


solve_triangular_p = General(
    "solve_triangular",
    solve_by_blocks,
    abstract=lambda a, b, *, lower: ShapedArray(b.shape, b.dtype),
    jvp=_solve_jvp,
    batch=_solve_batch,
    transpose=lambda ct, a, b, *, lower: solve_triangular(mT(a), ct, not lower),
    linear_in=(1,),
    lowering=Lowering(call_of(solve_by_blocks), NEW),
)


def solve_triangular(a: Any, b: Any, lower: bool = True) -> Any:
    """``t^-1 b`` for the named triangle t of a, in matrices of one inexact dtype with equal leading axes."""
    return solve_triangular_p.bind(a, b, lower=lower)


# inv_triangular: (*L, n, n) -> (*L, n, n)


def _inv_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, lower: bool) -> Any:
    return neg(matmul(matmul(out, _only(tangents[0], lower)), out))


inv_triangular_p = General(
    "inv_triangular",
    inverse_by_blocks,
    abstract=same_type,
    jvp=_inv_jvp,
    batch=lambda axis, batched, a, *, lower: inv_triangular(a, lower),
    lowering=Lowering(call_of(inverse_by_blocks), NEW),
)


def inv_triangular(a: Any, lower: bool = True) -> Any:
    """The inverses of the named triangles, in matrices of an inexact dtype in the last two axes."""
    return inv_triangular_p.bind(a, lower=lower)

"""LU decomposition with partial pivoting: ``P a = L U``, L with a unit diagonal, in one array.

The pivots are those of LAPACK: in each column the first of the largest elements. NumPy does not export LAPACK's
function, so that the elimination stands here: column by column within panels, by products of matrices beside them
(Golub and Van Loan 2013, section 3.4). With l = L and u = U made square by a part of the identity and f = l^-1 P a_dot
u^-1,

    L_dot = l tril(f, -1)        U_dot = triu(f) u

as long as the permutation stays the same (Seeger et al. 2017 have the square case).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import INT, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add
from fungrad.primitives.indexing import take_along
from fungrad.primitives.linalg.matrices import block, lower_triangle, matmul, mT, upper_triangle
from fungrad.primitives.linalg.triangular import solve_by_blocks, solve_triangular
from fungrad.primitives.structural import broadcast_to, expand_dims, unslice_

Array = np.ndarray[Any, Any]

PANEL = 32
"""Columns that are eliminated one by one before the rest is updated by a product."""


def _swap(x: Array, batch: Array, i: int, pivot: Array) -> None:
    """Exchange row i and the pivot row of each matrix."""
    kept = x[:, i].copy()
    x[:, i] = x[batch, pivot]
    x[batch, pivot] = kept


def _lu(a: Any) -> tuple[Array, Array, Array]:
    a = np.array(a, order="C")  # written into through another shape
    *lead, m, n = a.shape
    k, count = min(m, n), math.prod(lead)
    x = a.reshape(count, m, n)
    batch = np.arange(count)
    pivots = np.zeros((count, k), INT)
    permutation = np.tile(np.arange(m), (count, 1))
    with np.errstate(all="ignore"):
        for start in range(0, k, PANEL):
            stop = min(start + PANEL, k)
            for j in range(start, stop):
                pivot = j + np.argmax(np.abs(x[:, j:, j]), axis=1)
                pivots[:, j] = pivot
                _swap(x, batch, j, pivot)
                _swap(permutation, batch, j, pivot)
                top = x[:, j, j]
                x[:, j + 1 :, j] /= np.where(top == 0, 1, top)[:, None]
                x[:, j + 1 :, j + 1 : stop] -= x[:, j + 1 :, j, None] * x[:, j, None, j + 1 : stop]
            if stop < n:
                unit = np.tril(x[:, start:stop, start:stop], -1) + np.eye(stop - start, dtype=x.dtype)
                x[:, start:stop, stop:] = solve_by_blocks(unit, x[:, start:stop, stop:], lower=True)
                x[:, stop:, stop:] -= np.matmul(x[:, stop:, start:stop], x[:, start:stop, stop:])
    return a, pivots.reshape((*lead, k)), permutation.reshape((*lead, m))


def _square(x: Any, size: int) -> Any:
    """Matrices (..., m, n) as the first rows and columns of square ones, whose diagonal goes on with ones."""
    *lead, m, n = typeof(x).shape
    if m == n == size:
        return x
    rest = np.zeros((size, size), typeof(x).dtype)
    k = min(m, n)
    rest[range(k, size), range(k, size)] = 1
    return add(unslice_(x, (*lead, size, size), (*(None,) * len(lead), (0, m, 1), (0, n, 1))), rest)


def factors(lu: Any) -> tuple[Any, Any]:
    """The square l and u of a decomposition (..., m, n): (..., m, m) and (..., n, n)."""
    m, n = typeof(lu).shape[-2:]
    k = min(m, n)
    lower = add(lower_triangle(block(lu, None, (0, k)), -1), np.eye(m, k, dtype=typeof(lu).dtype))
    return _square(lower, m), _square(upper_triangle(block(lu, (0, k), None)), n)


def _lu_jvp(primals: Sequence[Any], tangents: Sequence[Any], outs: Any) -> tuple[Any, None, None]:
    lu, _, permutation = outs
    (t,) = tangents
    l, u = factors(lu)  # noqa: E741
    rank = typeof(t).ndim
    rows = broadcast_to(expand_dims(permutation, (rank - 1,)), typeof(t).shape)
    moved = solve_triangular(l, take_along(t, rows, rank - 2, unique=True), lower=True)
    f = mT(solve_triangular(mT(u), mT(moved), lower=True))
    return add(matmul(l, lower_triangle(f, -1)), matmul(upper_triangle(f), u)), None, None


def _lu_abstract(a: ShapedArray) -> tuple[ShapedArray, ShapedArray, ShapedArray]:
    *lead, m, n = a.shape
    return ShapedArray(a.shape, a.dtype), ShapedArray((*lead, min(m, n)), INT), ShapedArray((*lead, m), INT)


lu_p: General = General(
    "lu", _lu, abstract=_lu_abstract, jvp=_lu_jvp, batch=lambda axis, batched, a: lu_p.bind(a), multiple=True
)


def lu(a: Any) -> tuple[Any, Any, Any]:
    """L below and U on and above the diagonal; the row that each step exchanged; the order of the rows."""
    found: tuple[Any, Any, Any] = lu_p.bind(a)
    return found


# permutation_of_pivots


def _permutation_of_pivots(pivots: Any, *, size: int) -> Array:
    flat = np.reshape(pivots, (math.prod(pivots.shape[:-1]), pivots.shape[-1]))
    permutation = np.tile(np.arange(size), (len(flat), 1))
    batch = np.arange(len(flat))
    for j in range(flat.shape[1]):
        _swap(permutation, batch, j, flat[:, j])
    return permutation.reshape((*pivots.shape[:-1], size))


permutation_of_pivots_p = NoTangent(
    "permutation_of_pivots",
    _permutation_of_pivots,
    abstract=lambda pivots, *, size: ShapedArray((*pivots.shape[:-1], size), INT),
    batch=lambda axis, batched, pivots, *, size: permutation_of_pivots(pivots, size),
)


def permutation_of_pivots(pivots: Any, size: int) -> Any:
    """The order of the rows that exchanges of row k with row ``pivots[..., k]`` make."""
    return permutation_of_pivots_p.bind(pivots, size=size)

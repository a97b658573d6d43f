"""Decompositions of matrices and triangular systems, under the names and with the arguments of jax.lax.linalg.

Matrices stand in the last two axes. Where JAX returns nan (a matrix that is not positive definite) NumPy's LinAlgError
is raised. The rules for derivatives are those of `fungrad.numpy.linalg`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.lax.arguments import array, require
from fungrad.numpy.linalg.arguments import in_linalg_dtype, stack_of_matrices, stack_of_square_matrices
from fungrad.primitives.arithmetic import add, div, mul
from fungrad.primitives.complex_parts import conj as _conj
from fungrad.primitives.complex_parts import real
from fungrad.primitives.exponential import sqrt
from fungrad.primitives.linalg import cholesky as _cholesky
from fungrad.primitives.linalg import eigen
from fungrad.primitives.linalg import lu as _lu
from fungrad.primitives.linalg import qr as _qr
from fungrad.primitives.linalg import svd as _svd
from fungrad.primitives.linalg.matrices import lower_triangle, matmul, mH, mT, upper_triangle
from fungrad.primitives.linalg.solve import inv
from fungrad.primitives.linalg.triangular import solve_triangular
from fungrad.primitives.reductions import sum_of_products
from fungrad.primitives.structural import convert, expand_dims

__all__ = [
    "cholesky", "cholesky_update", "eig", "eigh", "lu", "lu_pivots_to_permutation", "qr", "svd", "symmetric_product",
    "triangular_solve",
]  # fmt: skip


def _square(x: Any) -> Any:
    return in_linalg_dtype(stack_of_square_matrices(x))[0]


def _symmetrized(x: Any) -> Any:
    return mul(add(x, mH(x)), 0.5)


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """Decompose positive definite matrices into ``L L^H`` with a lower triangular L.

    Parameters
    ----------
    x : array (..., n, n)
    symmetrize_input : bool
        Whether to decompose ``(x + x^H) / 2``, which makes the gradient symmetric; else the lower triangle is read.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    a = _square(x)
    return _cholesky.cholesky(_symmetrized(a) if symmetrize_input else a)


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The upper triangular ``R`` with ``R^T R = r^T r + w w^T``, for one matrix r and one vector w."""
    r, w = in_linalg_dtype(stack_of_square_matrices(r_matrix), array(w_vector))
    require(
        typeof(r).ndim == 2 and typeof(w).shape == typeof(r).shape[:1],
        "linalg.cholesky_update",
        lambda: f"expected shapes (n, n) and (n,), got {typeof(r).shape} and {typeof(w).shape}",
    )
    column = expand_dims(w, (1,))
    return mT(_cholesky.cholesky(add(matmul(mT(r), r), matmul(column, mT(column)))))


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None) -> tuple[Any, Any]:
    """Decompose matrices into Q with orthonormal columns and an upper triangular R.

    Parameters
    ----------
    x : array (..., m, n)
    pivoting : False
        Not supported.
    full_matrices : bool
        Whether Q is square, or has min(m, n) columns.
    """
    require(not pivoting, "linalg.qr", "pivoting=True is not supported", NotImplementedError)
    q, r = _qr.qr(in_linalg_dtype(stack_of_matrices(x))[0], bool(full_matrices))
    return q, r


def svd(
    x: Any,
    *,
    full_matrices: bool = True,
    compute_uv: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
) -> Any:
    """Decompose matrices into ``u diag(s) v^H``; without ``compute_uv`` return s alone."""
    require(subset_by_index is None, "linalg.svd", "subset_by_index is not supported", NotImplementedError)
    (a,) = in_linalg_dtype(stack_of_matrices(x))
    return _svd.svd(a, bool(full_matrices)) if compute_uv else _svd.svdvals(a)


def eigh(
    x: Any,
    *,
    lower: bool = True,
    symmetrize_input: bool = True,
    sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None,
    implementation: Any = None,
) -> tuple[Any, Any]:
    """Find the eigenvectors and eigenvalues of Hermitian matrices, in this order.

    Parameters
    ----------
    x : array (..., n, n)
    lower : bool
        Which triangle is read, without ``symmetrize_input``.
    symmetrize_input : bool
        Whether to decompose ``(x + x^H) / 2``.
    sort_eigenvalues : bool
        They are in ascending order always.

    Returns
    -------
    tuple
        ``v`` (..., n, n), in columns, and ``w`` (..., n).
    """
    require(subset_by_index is None, "linalg.eigh", "subset_by_index is not supported", NotImplementedError)
    a = _square(x)
    w, v = eigen.eigh(_symmetrized(a) if symmetrize_input else a, bool(lower))
    return v, w


def eig(
    x: Any,
    *,
    compute_left_eigenvectors: bool = True,
    compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = True,
    implementation: Any = None,
    use_magma: bool | None = None,
) -> list[Any]:
    """Find the eigenvalues, left and right eigenvectors of square matrices, all complex.

    Returns
    -------
    list
        ``w`` (..., n); the left eigenvectors and the right ones (..., n, n) in columns, as far as they are asked for.
        The left ones are computed from the inverse of the right ones.
    """
    a = _square(x)
    single = typeof(a).dtype.char in "fF"
    w, v = eigen.eig(convert(a, np.dtype(np.complex64 if single else np.complex128)))
    found = [w]
    if compute_left_eigenvectors:
        left = mH(inv(v))
        rank = typeof(left).ndim
        lengths = sqrt(real(sum_of_products(left, _conj(left), (rank - 2,))))
        found.append(div(left, expand_dims(lengths, (rank - 2,))))
    if compute_right_eigenvectors:
        found.append(v)
    return found


def lu(x: Any) -> tuple[Any, Any, Any]:
    """Decompose matrices, after an exchange of rows, into a lower and an upper triangular one.

    Parameters
    ----------
    x : array (..., m, n)

    Returns
    -------
    tuple
        The factors in one array (..., m, n), the lower one with a unit diagonal that is not stored; the pivots (...,
        min(m, n)), for each step the row that was exchanged with it; and the order (..., m) of the rows.

    Notes
    -----
    The derivative is that with the permutation held. A singular matrix is decomposed, without a finite derivative.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> factors, pivots, order = lax.linalg.lu(np.array([[1.0, 2.0], [2.0, 1.0]]))
    >>> factors, pivots, order
    (array([[2. , 1. ],
           [0.5, 1.5]]), array([1, 1]), array([1, 0]))
    """
    return _lu.lu(in_linalg_dtype(stack_of_matrices(x))[0])


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The order of the rows that the pivots of `lu` stand for."""
    p = array(pivots)
    require(
        typeof(p).dtype.kind in "iu" and typeof(p).ndim >= 1 and typeof(p).shape[-1] <= permutation_size,
        "linalg.lu_pivots_to_permutation",
        lambda: f"expected at most {permutation_size} integers in the last axis, got {typeof(p)!r}",
    )
    return _lu.permutation_of_pivots(p, permutation_size)


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0, symmetrize_output: bool = False
) -> Any:
    """``alpha a a^T + beta c``, of whose sum only the lower triangle counts with ``symmetrize_output``."""
    a, c = in_linalg_dtype(stack_of_matrices(a_matrix), stack_of_square_matrices(c_matrix))
    out = add(mul(matmul(a, mT(a)), alpha), mul(c, beta))
    return add(lower_triangle(out), mT(lower_triangle(out, -1))) if symmetrize_output else out


def triangular_solve(
    a: Any,
    b: Any,
    *,
    left_side: bool = False,
    lower: bool = False,
    transpose_a: bool = False,
    conjugate_a: bool = False,
    unit_diagonal: bool = False,
) -> Any:
    """Solve ``x op(a) = b``, or ``op(a) x = b`` with ``left_side``, for triangular a.

    Parameters
    ----------
    a : array (..., n, n)
        Of which one triangle is read.
    b : array
        (..., m, n), or (..., n, m) with ``left_side``; with the leading axes of a.
    lower : bool
        Which triangle it is.
    transpose_a, conjugate_a : bool
        What op does.
    unit_diagonal : bool
        Whether the diagonal is taken for ones, and not read.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> a = np.array([[2.0, 0.0], [1.0, 4.0]])
    >>> lax.linalg.triangular_solve(a, np.array([[2.0], [5.0]]), left_side=True, lower=True)
    array([[1.],
           [1.]])
    """
    a, b = in_linalg_dtype(stack_of_square_matrices(a), stack_of_matrices(b))
    shape, other = typeof(a).shape, typeof(b).shape
    require(
        shape[:-2] == other[:-2] and other[-2 if left_side else -1] == shape[-1],
        "linalg.triangular_solve",
        lambda: f"a of shape {shape} and b of shape {other} do not fit with left_side={left_side}",
        TypeError,
    )
    if unit_diagonal:
        strict = lower_triangle(a, -1) if lower else upper_triangle(a, 1)
        a = add(strict, np.eye(shape[-1], dtype=typeof(a).dtype))
    if conjugate_a:
        a = _conj(a)
    if transpose_a:
        a, lower = mT(a), not lower
    if left_side:
        return solve_triangular(a, b, bool(lower))
    return mT(solve_triangular(mT(a), mT(b), not lower))

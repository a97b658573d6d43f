"""numpy.linalg: linear systems, inverses, determinants, least squares."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import known_value
from fungrad.numpy.contraction import matmul
from fungrad.numpy.dispatch import implements
from fungrad.numpy.linalg.arguments import (
    in_linalg_dtype,
    single_matrices,
    stack_of_matrices,
    stack_of_square_matrices,
)
from fungrad.numpy.shaping import as_array
from fungrad.primitives.arithmetic import mul, sub
from fungrad.primitives.complex_parts import conj, real
from fungrad.primitives.linalg import determinant
from fungrad.primitives.linalg import pinv as pseudo
from fungrad.primitives.linalg import solve as systems
from fungrad.primitives.linalg.svd import svdvals
from fungrad.primitives.structural import reduce_sum, reshape, transpose

_SLOGDET_RESULT: Any = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Solve ``a x = b`` for stacks of square matrices.

    Parameters
    ----------
    a : array (..., n, n)
    b : array (n,) or (..., n, k)
        A vector only if it has exactly one axis, else matrices (NumPy 2). Leading axes broadcast.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular.

    Notes
    -----
    ``x_dot = a^-1 (b_dot - a_dot x)``. Reverse mode solves one more system, with the transposed matrix:
    ``b_bar = a^-T x_bar``, ``a_bar = -b_bar x^T``. Under vmap many right-hand sides to one matrix are one system.

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> a = np.array([[2.0, 0.0], [0.0, 4.0]])
    >>> fg.grad(lambda b: np.sum(np.linalg.solve(a, b)))(np.ones(2))
    array([0.5 , 0.25])
    """
    a, b = stack_of_square_matrices(a), as_array(b)
    a, b = in_linalg_dtype(a, b)
    n, shape = typeof(a).shape[-1], typeof(b).shape
    core = "(m,m),(m)->(m)" if len(shape) == 1 else "(m,m),(m,n)->(m,n)"
    if not shape:
        raise ValueError(
            f"solve: Input operand 1 does not have enough dimensions (has 0, gufunc core with signature {core} "
            "requires 2)"
        )
    rows = shape[0] if len(shape) == 1 else shape[-2]
    if rows != n:
        raise ValueError(
            f"solve: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature {core} "
            f"(size {rows} is different from {n})"
        )
    if len(shape) > 1:
        return systems.solve(a, b)
    x = systems.solve(a, reshape(b, (n, 1)))
    return reshape(x, typeof(x).shape[:-1])


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """Invert square matrices.

    ``c = a^-1`` has the tangent ``-c a_dot c``. A singular matrix is a LinAlgError.
    """
    return systems.inv(*in_linalg_dtype(stack_of_square_matrices(a)))


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    """Compute pseudo-inverses (Moore-Penrose).

    Parameters
    ----------
    rcond, rtol : float or array (...), optional
        Singular values up to this part of the largest one count as zero (one of the two). By default 1e-15;
        ``rtol=None`` is the size of the matrix times the machine precision.
    hermitian : bool
        The matrices are Hermitian, and only their lower triangles are read.

    Notes
    -----
    The derivative holds at constant rank (Golub & Pereyra 1973): where the cut-off makes the rank lower than min(m, n)
    it is that along the matrices of this rank. At a change of rank the pseudo-inverse jumps. The cut-off has the
    derivative zero, as the result is locally constant in it.
    """
    x = stack_of_matrices(a)
    aval = typeof(x)
    *lead, m, n = aval.shape
    if rcond is None:
        if rtol is np._NoValue:
            rcond = 1e-15
        elif rtol is None:
            rcond = max(m, n) * np.finfo(aval.dtype).eps
        else:
            rcond = rtol
    elif rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if not m * n:
        return np.zeros((*lead, n, m), aval.dtype)
    if hermitian and m != n:
        raise np.linalg.LinAlgError(f"Last 2 dimensions of the array must be square, got {m} and {n}")
    (x,) = in_linalg_dtype(x)
    return pseudo.pinv(x, as_array(rcond), bool(hermitian))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """Compute determinants.

    The gradient is the matrix of the cofactors, and it is right at singular matrices too: so is the second derivative.
    The third takes inverses and raises a LinAlgError at a singular matrix.

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> fg.grad(np.linalg.det)(np.array([[1.0, 2.0], [2.0, 4.0]])).round(12)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    return determinant.det(*in_linalg_dtype(stack_of_square_matrices(a)))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Compute the sign of the determinant and the logarithm of its modulus.

    Returns
    -------
    SlogdetResult
        ``sign`` (of modulus 1, or 0) and ``logabsdet``.

    Notes
    -----
    ``logabsdet_dot = Re tr(a^-1 a_dot)``. The sign of a real matrix is locally constant; that of a complex one turns:
    ``sign_dot = sign i Im tr(a^-1 a_dot)``. At a singular matrix neither has a derivative: a LinAlgError.
    """
    return _SLOGDET_RESULT(*determinant.slogdet(*in_linalg_dtype(stack_of_square_matrices(a))))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Raise square matrices to an integer power, by repeated squaring; a negative one is a power of the inverse."""
    x = stack_of_square_matrices(a)
    n = operator.index(n)
    aval = typeof(x)
    if n == 0:
        return np.broadcast_to(np.eye(aval.shape[-1], dtype=aval.dtype), aval.shape).copy()
    if n < 0:
        x, n = inv(x), -n
    result, square = None, x
    while True:
        n, odd = divmod(n, 2)
        if odd:
            result = square if result is None else matmul(result, square)
        if not n:
            return result
        square = matmul(square, square)


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Solve ``tensordot(a, x, x.ndim) = b``.

    Parameters
    ----------
    axes : tuple of int, optional
        Axes of a to move behind the others first.
    """
    a, b = as_array(a), as_array(b)
    rank = typeof(a).ndim
    if axes is not None:
        order = list(range(rank))
        for k in map(operator.index, axes):
            order.remove(k)
            order.append(k)
        a = transpose(a, tuple(order))
    unknown = typeof(a).shape[-(rank - typeof(b).ndim) :]
    size = math.prod(unknown)
    if typeof(a).size != size**2:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return reshape(solve(reshape(a, (size, size)), reshape(b, (typeof(b).size,))), unknown)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Invert the linear map ``x -> tensordot(a, x, a.ndim - ind)``; the first ``ind`` axes of a are the result's."""
    a = as_array(a)
    shape = typeof(a).shape
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    size = math.prod(shape[ind:])
    return reshape(inv(reshape(a, _rows_of(shape, size))), (*shape[ind:], *shape[:ind]))


def _rows_of(shape: tuple[int, ...], rows: int) -> tuple[int, int]:
    count = math.prod(shape)
    if not rows or count % rows:
        raise ValueError(f"cannot reshape array of size {count} into shape ({rows},-1)")
    return rows, count // rows


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Find the x of least norm that minimises ``|a x - b|``.

    Parameters
    ----------
    a : array (m, n)
    b : array (m,) or (m, k)
    rcond : float, optional
        Singular values up to this part of the largest one count as zero; by default ``max(m, n)`` times the machine
        precision (of double precision), for a negative one that precision.

    Returns
    -------
    x : array (n,) or (n, k)
    residuals : array (k,), or (1,) for one right-hand side, or (0,)
        The sums of squares ``|a x - b|^2``; empty if m <= n or the rank is not n.
    rank : integer
    s : array (min(m, n),)
        The singular values of a.

    Notes
    -----
    The derivative of x holds at constant rank (Golub & Pereyra 1973). The shape of the residuals depends on the rank:
    where that is not known, under vmap and make_jaxpr, they are the sums of squares, (k,), if m > n.
    """
    a, b = as_array(a), as_array(b)
    shape = typeof(b).shape
    if len(shape) == 1:
        b = reshape(b, (*shape, 1))
    single_matrices(a, b)
    m, n = typeof(a).shape
    if typeof(b).shape[0] != m:
        raise np.linalg.LinAlgError(f"Incompatible dimensions: a has {m} rows, b has {typeof(b).shape[0]}")
    a, b = in_linalg_dtype(a, b)
    x, rank = pseudo.lstsq(a, b, max(m, n) * float(np.finfo(np.float64).eps) if rcond is None else float(rcond))
    known_rank = known_value(rank)
    if m <= n or not (isinstance(known_rank, ShapedArray) or known_rank == n):
        residuals: Any = np.zeros(0, typeof(a).dtype.char.lower())
    else:
        rest = sub(b, matmul(a, x))
        residuals = reduce_sum(real(mul(rest, conj(rest))), (0,))
    return reshape(x, (n,)) if len(shape) == 1 else x, residuals, rank, svdvals(a)

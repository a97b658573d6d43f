"""Functions of `fungrad.numpy.linalg` that take arguments which jax.numpy has and NumPy has not, on top of NumPy's own.

``precision``, ``method`` and ``numpy_resid`` say how JAX computes: accepted, without an effect.
``preferred_element_type`` is the dtype of the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.numpy.shaping import matrix_transpose
from fungrad.primitives.complex_parts import conj


def _symmetric(a: Any, symmetrize: bool) -> Any:
    return (a + conj(matrix_transpose(a))) / 2 if symmetrize else a


def _as_preferred(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


def cholesky(a: Any, /, *, upper: bool = False, symmetrize_input: bool = False) -> Any:
    """Factorize a positive definite matrix, as `numpy.linalg.cholesky`; of its symmetric part if asked for."""
    return np.linalg.cholesky(_symmetric(a, symmetrize_input), upper=upper)


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = False) -> Any:
    """Return eigenvalues and eigenvectors of a Hermitian matrix, as `numpy.linalg.eigh`."""
    return np.linalg.eigh(_symmetric(a, symmetrize_input), UPLO or "L")  # type: ignore[call-overload]


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = False) -> Any:
    """Return the eigenvalues of a Hermitian matrix, as `numpy.linalg.eigvalsh`."""
    return np.linalg.eigvalsh(_symmetric(a, symmetrize_input), UPLO or "L")  # type: ignore[call-overload]


def lstsq(a: Any, b: Any, rcond: float | None = None, *, numpy_resid: bool = True) -> Any:
    """Solve a linear system in the least-squares sense, as `numpy.linalg.lstsq`."""
    return np.linalg.lstsq(a, b, rcond)


def matmul(a: Any, b: Any, /, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Multiply matrices, as `numpy.linalg.matmul`."""
    return _as_preferred(np.linalg.matmul(a, b), preferred_element_type)


def matrix_rank(M: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Return the rank of a matrix, as `numpy.linalg.matrix_rank`."""
    if rtol is not None:
        return np.linalg.matrix_rank(M, hermitian=hermitian, rtol=rtol)
    return np.linalg.matrix_rank(M, tol, hermitian)


def multi_dot(arrays: Any, *, out: Any = None, precision: Any = None) -> Any:
    """Multiply several matrices in the cheapest order, as `numpy.linalg.multi_dot`."""
    return np.linalg.multi_dot(arrays, out=out)


def slogdet(a: Any, *, method: str | None = None) -> Any:
    """Return the sign and the logarithm of the determinant, as `numpy.linalg.slogdet`."""
    return np.linalg.slogdet(a)


def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:
    """Return the singular value decomposition, as `numpy.linalg.svd`, or of the singular values in a range only."""
    if subset_by_index is None:
        return np.linalg.svd(a, full_matrices, compute_uv, hermitian)  # type: ignore[call-overload]
    chosen = slice(*subset_by_index)
    if not compute_uv:
        return np.linalg.svd(a, full_matrices, compute_uv, hermitian)[..., chosen]
    u, s, vh = np.linalg.svd(a, False, True, hermitian)
    return type(np.linalg.svd(np.eye(1)))(u[..., chosen], s[..., chosen], vh[..., chosen, :])


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products over pairs of axes, as `numpy.linalg.tensordot`."""
    return _as_preferred(np.linalg.tensordot(x1, x2, axes=axes), preferred_element_type)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products along an axis, as `numpy.linalg.vecdot`."""
    return _as_preferred(np.linalg.vecdot(x1, x2, axis=axis), preferred_element_type)  # type: ignore[call-overload]

"""numpy.linalg: Cholesky and QR decompositions."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.linalg.arguments import in_linalg_dtype, stack_of_matrices, stack_of_square_matrices
from fungrad.primitives.linalg import cholesky as factors
from fungrad.primitives.linalg import qr as orthogonal
from fungrad.primitives.linalg.matrices import mH

_QR_RESULT: Any = type(np.linalg.qr(np.eye(1)))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Decompose positive definite matrices into ``L L^H``, or ``U^H U`` if ``upper``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.

    Notes
    -----
    NumPy reads the lower triangle (``upper``: the upper one) and of the diagonal the real part, without a look at
    whether the matrix is Hermitian, and so the other triangle has the derivative zero: the gradient is a triangular
    matrix. To have it in the form of a symmetric matrix decompose ``(a + a^H) / 2``, which is the same for Hermitian a.

    ``L_dot = L phi(L^-1 a_dot L^-H)``, where phi takes the lower triangle with half of the diagonal (Murray 2016).

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> fg.grad(lambda a: np.sum(np.linalg.cholesky(a)))(np.diag([4.0, 9.0])).round(6)
    array([[0.25    , 0.      ],
           [0.5     , 0.166667]])
    """
    (x,) = in_linalg_dtype(stack_of_square_matrices(a))
    return mH(factors.cholesky(mH(x))) if upper else factors.cholesky(x)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Decompose matrices ``(..., m, n)`` into Q with orthonormal columns and an upper triangular R.

    Parameters
    ----------
    mode : {"reduced", "complete", "r"}
        Q with min(m, n) columns, Q with m columns, or R alone.

    Returns
    -------
    QRResult or array
        ``Q`` and ``R``, or R.

    Raises
    ------
    UnsupportedOperationError
        For "raw" and "economic", which return LAPACK's internal vectors.
    numpy.linalg.LinAlgError
        By the derivative, if the first min(m, n) columns are linearly dependent: there it does not exist.

    Notes
    -----
    ``Q R`` determines the factors up to signs (phases, for complex matrices). LAPACK makes the diagonal of R real, and
    each element of it of the sign opposite to the real part of its pivot; that is locally constant, and the derivative
    is the one with that choice. In a complete decomposition of a matrix with m > n the other columns of Q are an
    arbitrary basis of what the first n leave; the derivative is that of LAPACK's basis (see
    `fungrad.primitives.linalg.qr`).
    """
    if mode in ("f", "full"):
        warnings.warn("qr: the mode 'full' is deprecated in NumPy; write 'reduced'", DeprecationWarning, stacklevel=3)
        mode = "reduced"
    if mode in ("raw", "e", "economic"):
        raise UnsupportedOperationError(
            f"numpy.linalg.qr(..., mode={mode!r}) at {here()}: this mode returns LAPACK's reflections, which have no "
            "derivative here; use mode='reduced', 'complete' or 'r'"
        )
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"Unrecognized mode {mode!r}")
    (x,) = in_linalg_dtype(stack_of_matrices(a))
    q, r = orthogonal.qr(x, mode == "complete")
    return r if mode == "r" else _QR_RESULT(q, r)

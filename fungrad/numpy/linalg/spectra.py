"""numpy.linalg: eigenvalues and eigenvectors, singular value decompositions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.numpy.dispatch import implements
from fungrad.numpy.linalg.arguments import in_linalg_dtype, stack_of_matrices, stack_of_square_matrices
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.indexing import take_along
from fungrad.primitives.linalg import eigen
from fungrad.primitives.linalg import svd as singular
from fungrad.primitives.linalg.matrices import mH
from fungrad.primitives.rounding import abs as modulus
from fungrad.primitives.rounding import copysign, sign
from fungrad.primitives.sorting import argsort, sort
from fungrad.primitives.structural import expand_dims, flip

# NumPy's result tuples have no public names.
_EIGH_RESULT: Any = type(np.linalg.eigh(np.eye(1)))
_EIG_RESULT: Any = type(np.linalg.eig(np.eye(1)))
_SVD_RESULT: Any = type(np.linalg.svd(np.eye(1)))
# Of a zero eigenvalue svd(hermitian=True) takes the sign to be 1; NumPy 2.0 took 0.
_SIGN_OF_ZERO = bool(np.linalg.svd(np.zeros((1, 1)), hermitian=True)[2][0, 0])


def _hermitian_operand(a: Any, uplo: str) -> tuple[Any, bool]:
    """The matrices, and whether their lower triangle is meant."""
    triangle = uplo.upper()
    if triangle not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    (x,) = in_linalg_dtype(stack_of_square_matrices(a))
    return x, triangle == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Decompose Hermitian matrices into ``v diag(w) v^H``.

    Parameters
    ----------
    a : array (..., n, n)
    UPLO : {"L", "U"}
        Which triangle is read.

    Returns
    -------
    EighResult
        ``eigenvalues`` (..., n), ascending and real, and ``eigenvectors`` (..., n, n), in columns.

    Notes
    -----
    NumPy reads one triangle, and of the diagonal the real part, without a look at whether the matrix is Hermitian; so
    the derivative is zero in the other triangle: the gradient is a triangular matrix. To have it in the form of a
    symmetric matrix decompose ``(a + a^H) / 2``, which is the same for Hermitian a.

    With ``b = v^H a_dot v`` (Giles 2008): ``w_dot = diag(b)``, and ``v_dot = v k`` with
    ``k[i, j] = b[i, j] / (w[j] - w[i])`` and a zero diagonal. For complex matrices the latter is a choice: eigenvectors
    are determined up to a phase, and this is the derivative for phases that do not turn. What does not depend on the
    phases (``abs(v)``, ``v f(w) v^H``) has its own derivative.

    Equal eigenvalues (to the accuracy of LAPACK). First derivatives are right and finite, in both modes, of every
    function that is one of the matrix: of the eigenvalues without regard to their order, of whole eigenspaces, and
    ``v f(w) v^H``. Of ``w[0]`` it is that in one basis of the eigenspace; of what depends on the basis that LAPACK took
    it is nan. This needs known values: where only types are recorded (vmap, make_jaxpr) the vectors have right
    derivatives alone, in reverse mode, and else nan. The Hessian of a function of the eigenvalues alone is right with
    reverse mode inside; other second derivatives are nan. Vectors of other eigenvalues are not affected. (A function
    that pairs the vectors with eigenvalues from a second call counts as one of the vectors alone: decompose once.)

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> fg.grad(lambda a: np.sum(np.linalg.eigh(a).eigenvalues ** 3))(np.eye(2))
    array([[3., 0.],
           [0., 3.]])
    """
    x, lower = _hermitian_operand(a, UPLO)
    return _EIGH_RESULT(*eigen.eigh(x, lower))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Find the eigenvalues of Hermitian matrices, ascending; derivative ``diag(v^H a_dot v)``, see `eigh`."""
    x, lower = _hermitian_operand(a, UPLO)
    return eigen.eigvalsh(x, lower)


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Find the eigenvalues and right eigenvectors of square matrices.

    Returns
    -------
    EigResult
        ``eigenvalues`` (..., n), in no particular order, and ``eigenvectors`` (..., n, n), in columns. For real
        matrices NumPy makes both real if all eigenvalues are.

    Raises
    ------
    ConcretizationTypeError
        For real matrices of which only the type is known (under vmap, make_jaxpr): the dtype of the result is not
        known then. Write ``np.linalg.eig(x.astype(complex))``.

    Notes
    -----
    With ``b = v^-1 a_dot v``: ``w_dot = diag(b)``, and ``v_dot = v k - v diag(c)`` with
    ``k[i, j] = b[i, j] / (w[j] - w[i])`` and c such that the vectors stay as LAPACK makes them, of length 1 and with a
    real largest component (Boeddeker et al. 2017 have the first part). That is not an analytic function of a, so
    ``holomorphic=True`` fits functions of the eigenvalues, or of the vectors without their length.

    Equal eigenvalues are as in `eigh`: right and finite for symmetric functions of the eigenvalues. Defective matrices
    (fewer than n eigenvectors, to working precision) have no derivative: nan.
    """
    (x,) = in_linalg_dtype(stack_of_square_matrices(a))
    return _EIG_RESULT(*eigen.eig(x))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Find the eigenvalues of square matrices; derivative ``diag(v^-1 a_dot v)``, see `eig`."""
    (x,) = in_linalg_dtype(stack_of_square_matrices(a))
    return eigen.eig(x)[0]


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Decompose matrices ``(..., m, n)`` into ``u diag(s) v^H``.

    Parameters
    ----------
    full_matrices : bool
        Whether u has m columns and vh n rows, or both have k = min(m, n).
    compute_uv : bool
        Whether to return u and vh too.
    hermitian : bool
        Whether the matrices are Hermitian (their lower triangle is read): then `eigh` does it, with its derivative.

    Returns
    -------
    SVDResult or array
        ``U``, ``S`` (..., k), real and descending, and ``Vh``; or S alone.

    Notes
    -----
    The derivative is stated in `fungrad.primitives.linalg.svd`. The phases of complex singular vectors are determined
    up to one for each pair, which is taken to turn u and v equally; the vectors that ``full_matrices`` adds are an
    arbitrary basis, which is taken to turn as little as possible. What does not depend on these choices has its own
    derivative.

    Equal singular values are as equal eigenvalues in `eigh`: the polar factor ``U Vh`` and ``U f(S) Vh`` have their
    first derivatives. A singular value that is zero is a kink, as in ``abs``: its derivative is ``Re u^H a_dot v`` with
    the vectors that LAPACK gives, one of the subgradients.
    """
    if hermitian:
        return _svd_hermitian(a, compute_uv)
    (x,) = in_linalg_dtype(stack_of_matrices(a))
    return _SVD_RESULT(*singular.svd(x, bool(full_matrices))) if compute_uv else singular.svdvals(x)


def _svd_hermitian(a: Any, compute_uv: bool) -> Any:
    """By ``a = v diag(w) v^H``: ``s = |w|``, sorted, ``u = v`` and ``vh = (v sign(w))^H``."""
    last = typeof(a).ndim - 2
    if not compute_uv:
        return flip(sort(modulus(eigvalsh(a)), last), (last,))
    w, v = eigh(a)
    signs = copysign(1.0, w) if _SIGN_OF_ZERO else sign(w)
    order = flip(argsort(modulus(w), last), (last,))
    s = take_along(modulus(w), order, last, unique=True)
    columns = expand_dims(order, (last,))
    u = take_along(v, columns, last + 1)
    signs = expand_dims(take_along(signs, order, last, unique=True), (last,))
    return _SVD_RESULT(u, s, mH(mul(u, signs)))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Find the singular values of matrices, descending; derivative ``Re diag(u^H a_dot v)``, see `svd`."""
    return svd(x, compute_uv=False)

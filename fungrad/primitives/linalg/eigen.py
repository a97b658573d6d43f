"""Eigenvalues and eigenvectors of stacks of square matrices.

    eigh(a)  a = v diag(w) v^H,  v^H v = 1      b = v^H a_dot v     w_dot = diag(b)    v_dot = v k
    eig(a)   a = v diag(w) v^-1                 b = v^-1 a_dot v    w_dot = diag(b)    v_dot = v k + v diag(c)

with ``k[i, j] = b[i, j] / (w[j] - w[i])`` off the diagonal (Giles 2008; Boeddeker et al. 2017 for complex matrices). At
equal eigenvalues see `spectral_quotient` and `ties`; tangents of the eigenvalues are right for what ignores order.

Gauges. The eigenvectors are determined up to a factor. Of eigh's it is a sign, or for complex matrices a phase: the
derivative is that of phases that do not turn, diag(v^H v_dot) = 0. (In LAPACK's own choice the first component is real,
or with the upper triangle the last one. That fails where it is zero, and depends on the implementation.) Of eig's the
derivative is that of LAPACK's choice: length 1 and a real largest component, which says what c is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.core.trace import Tracer
from fungrad.errors import ConcretizationTypeError
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import conj, imag, real
from fungrad.primitives.contraction import alphabet, contract
from fungrad.primitives.indexing import take_along
from fungrad.primitives.linalg.matrices import lower_triangle, matmul, mH, same_type, upper_triangle
from fungrad.primitives.linalg.spectral_quotient import Array, rule_at_ties, spectral_quotient
from fungrad.primitives.linalg.ties import Decomposition
from fungrad.primitives.reductions import argmax
from fungrad.primitives.rounding import abs as modulus
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert, expand_dims, reshape


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the modulus."""
    return np.dtype(dtype.char.lower())


def products_of_columns(x: Any, y: Any) -> Any:
    """For each column of x its product with that of y, without conjugation: ``(*L, m, n), (*L, m, n) -> (*L, n)``."""
    labels = alphabet(typeof(x).ndim)
    return contract(x, y, f"{labels},{labels}->{labels[:-2]}{labels[-1]}")


def real_products_of_columns(x: Any, y: Any) -> Any:
    """The real parts of the products of the columns of ``conj(x)`` and y."""
    return real(products_of_columns(conj(x), y))


# eigh: (*L, n, n) -> (*L, n) ascending and real, (*L, n, n)


def hermitian(x: Any, lower: bool) -> Any:
    """The Hermitian matrices of which LAPACK reads one triangle (imaginary parts on the diagonal drop out later)."""
    if lower:
        return add(lower_triangle(x), mH(lower_triangle(x, -1)))
    return add(upper_triangle(x), mH(upper_triangle(x, 1)))


def _eigh(a: Array, *, lower: bool, at_ties: str) -> tuple[Array, Array]:
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return w, v


def _eigh_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    outs: Any,
    *,
    lower: bool,
    at_ties: str,
    wanted: Sequence[bool] = (True, True),
    freely: bool = False,
) -> Any:
    w, v = outs
    moved = matmul(hermitian(tangents[0], lower), v)
    w_dot = real_products_of_columns(v, moved) if wanted[0] else None
    if not wanted[1]:
        return w_dot, None
    k = spectral_quotient(matmul(mH(v), moved), w, "hermitian", rule_at_ties(at_ties, wanted[0], freely))
    return w_dot, matmul(v, k)


def _eigh_turning(primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, lower: bool, at_ties: str) -> Any:
    v = outs[1]
    return matmul(mH(v), matmul(hermitian(tangents[0], lower), v))


eigh_p = Decomposition(
    "eigh",
    _eigh,
    abstract=lambda a, **params: (ShapedArray(a.shape[:-1], real_dtype(a.dtype)), ShapedArray(a.shape, a.dtype)),
    jvp=_eigh_jvp,
    batch=lambda axis, batched, a, *, lower, at_ties: _bind_eigh(a, lower, at_ties),
    turn=lambda outs, turn: (outs[0], add(outs[1], matmul(outs[1], turn))),
    turning=_eigh_turning,
)


def _bind_eigh(a: Any, lower: bool, at_ties: str) -> tuple[Any, Any]:
    w, v = eigh_p.bind(a, lower=lower, at_ties=at_ties)
    return w, v


def eigh(a: Any, lower: bool = True) -> tuple[Any, Any]:
    """Eigenvalues and eigenvectors of the Hermitian matrices that have this triangle of a."""
    return _bind_eigh(a, lower, "alone")


def _eigvalsh_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, lower: bool) -> Any:
    # paired: what becomes of the vectors in higher derivatives meets functions of the eigenvalues that came out before
    _, v = _bind_eigh(primals[0], lower, "paired")
    return real_products_of_columns(v, matmul(hermitian(tangents[0], lower), v))


eigvalsh_p = General(
    "eigvalsh",
    lambda a, *, lower: np.linalg.eigvalsh(a, "L" if lower else "U"),
    abstract=lambda a, *, lower: ShapedArray(a.shape[:-1], real_dtype(a.dtype)),
    jvp=_eigvalsh_jvp,
    batch=lambda axis, batched, a, *, lower: eigvalsh(a, lower),
)


def eigvalsh(a: Any, lower: bool = True) -> Any:
    """The eigenvalues alone, at a fraction of the time; but if a derivative follows, `eigh` at once."""
    if type(a) is Tracer and not a.recording.abstract:
        return eigh(a, lower)[0]
    return eigvalsh_p.bind(a, lower=lower)


# inverse_or_nan: (*L, n, n) -> (*L, n, n), with nan for singular matrices, where inv raises for the whole stack


def _inverse_or_nan(x: Array, *, guarded: bool) -> Array:
    try:
        out = np.linalg.inv(x)
    except np.linalg.LinAlgError:
        out = np.empty_like(x)
        for i in np.ndindex(x.shape[:-2]):
            try:
                out[i] = np.linalg.inv(x[i])
            except np.linalg.LinAlgError:
                out[i] = np.nan
    if guarded and x.size:
        condition = np.linalg.norm(x, 1, (-2, -1)) * np.linalg.norm(out, 1, (-2, -1))
        out[condition * x.shape[-1] * np.finfo(x.dtype).eps > 0.1] = np.nan
    return out


def _inverse_or_nan_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, guarded: bool) -> Any:
    return neg(matmul(matmul(out, tangents[0]), out))


inverse_or_nan_p = General(
    "inverse_or_nan",
    _inverse_or_nan,
    abstract=same_type,
    jvp=_inverse_or_nan_jvp,
    batch=lambda axis, batched, x, *, guarded: inverse_or_nan(x, guarded),
)


def inverse_or_nan(x: Any, guarded: bool = False) -> Any:
    """The inverses of square matrices; nan for those that are singular (``guarded``: to working precision)."""
    return inverse_or_nan_p.bind(x, guarded=guarded)


# eig: (*L, n, n) -> (*L, n), (*L, n, n); of real matrices both are real if all eigenvalues are


def _eig(a: Array) -> tuple[Array, Array]:
    w, v = np.linalg.eig(a)
    return w, v


def _eig_abstract(a: ShapedArray) -> tuple[ShapedArray, ShapedArray]:
    if a.dtype.kind != "c":
        raise ConcretizationTypeError(
            f"numpy.linalg.eig or eigvals at {here()}: whether the result for a real matrix is real or complex depends "
            "on its values, which are not known here (vmap, make_jaxpr and other transforms record types alone). Write "
            "np.linalg.eig(x.astype(complex)), whose result is always complex; or eigh, if the matrix is symmetric."
        )
    return ShapedArray(a.shape[:-1], a.dtype), ShapedArray(a.shape, a.dtype)


def _eig_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, wanted: Sequence[bool] = (True, True)
) -> Any:
    w, v = outs
    left = inverse_or_nan(v, guarded=True)  # nan if the matrix is defective: no derivative
    moved = matmul(convert(tangents[0], typeof(v).dtype), v)
    rank = typeof(v).ndim
    labels = alphabet(rank)
    lead, i, j = labels[:-2], labels[-2], labels[-1]
    w_dot = contract(left, moved, f"{lead}{i}{j},{lead}{j}{i}->{lead}{i}") if wanted[0] else None
    if not wanted[1]:
        return w_dot, None
    free = matmul(v, spectral_quotient(matmul(left, moved), w, "general", "paired" if wanted[0] else "alone"))
    return w_dot, _normalised(free, v) if typeof(v).shape[-1] else free


def _normalised(free: Any, v: Any) -> Any:
    """The tangent ``free - v diag(c)`` that keeps the lengths of the columns of v, and the largest component real."""
    c = real_products_of_columns(v, free)
    if typeof(v).dtype.kind == "c":
        row = typeof(v).ndim - 2
        # LAPACK rotates each vector so that its largest component is exactly real; with ties that tells which it took.
        chosen = expand_dims(argmax(where(equal(imag(v), 0), modulus(v), -1), row), (row,))
        turn = div(imag(take_along(free, chosen, row)), real(take_along(v, chosen, row)))
        c = add(c, mul(reshape(turn, typeof(c).shape), 1j))
    return sub(free, mul(v, expand_dims(c, (typeof(v).ndim - 2,))))


eig_p = Decomposition("eig", _eig, abstract=_eig_abstract, jvp=_eig_jvp, batch=lambda axis, batched, a: eig(a))


def eig(a: Any) -> tuple[Any, Any]:
    """Eigenvalues and right eigenvectors of matrices."""
    w, v = eig_p.bind(a)
    return w, v

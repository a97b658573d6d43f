"""Determinants of stacks of square matrices, with derivatives that hold at singular matrices too.

The determinant is a polynomial of the elements; its gradient is the matrix of the cofactors, which is 0 only where the
rank is below n - 1. Written as ``det(a) a^-T`` it would be 0 * inf at every singular matrix. With a = U diag(s) V^H,
cofactors being multiplicative and those of a unitary U being det(U) conj(U),

    cof(a)           = w conj(U) diag(p) V^T                      p_i  = prod of all s but s_i,  w = det(U) det(V^H)
    D cof(a)[t]      = w conj(U) (diag(P diag(B)) - P * B^T) V^T  P_ij = prod of all s but s_i and s_j,  P_ii = 0,
                                                                  B = U^H t V

which divide by nothing. The quotient is taken where the matrix is well conditioned, since an SVD costs some twenty
times as much. The third derivative is the textbook formula with inverses and needs a regular matrix.

    det      --D-->  cofactors      --D-->  cofactors_tangent      --D-->  inverses
    slogdet  --D-->  inverses
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.complex_parts import imag, is_complex, real
from fungrad.primitives.linalg.matrices import matmul, mT, same_type, scaled, trace_of_product, with_batch
from fungrad.primitives.linalg.solve import inv

Array = np.ndarray[Any, Any]

_WELL_CONDITIONED = 1e6
"""Up to this condition number ``det(a) a^-T`` has ten digits; beyond it the SVD is worth its price."""


def _in_double(fun: Callable[..., Array]) -> Callable[..., Any]:
    """Compute in double precision, as numpy.linalg does, and return the dtype of the operands."""

    def impl(*operands: Any) -> Any:
        dtype = typeof(operands[0]).dtype
        wide = np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
        return fun(*[np.asarray(x, wide) for x in operands]).astype(dtype, copy=False)

    return impl


def _by_condition(regular: Callable[..., Array], any_rank: Callable[..., Array], a: Array, *others: Array) -> Array:
    """``regular(inverse of a, a, ...)`` for the well-conditioned matrices of a stack, else ``any_rank(a, ...)``."""
    try:
        with np.errstate(over="ignore"):
            inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return any_rank(a, *others)
    condition = np.abs(a).sum(-2).max(-1, initial=0) * np.abs(inverse).sum(-2).max(-1, initial=0)
    # What is not finite stays with the first formula, which makes it nan where the SVD would raise.
    bad = (condition > _WELL_CONDITIONED) & np.isfinite(a).all((-2, -1))
    if not bad.any():
        return regular(inverse, a, *others)
    out = np.empty_like(a)
    out[~bad] = regular(inverse[~bad], a[~bad], *[x[~bad] for x in others])
    out[bad] = any_rank(a[bad], *[x[bad] for x in others])
    return out


def _T(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _products_of_others(s: Array) -> Array:
    """Along the last axis for each element the product of all the others."""
    before, behind = np.ones_like(s), np.ones_like(s)
    np.multiply.accumulate(s[..., :-1], -1, out=before[..., 1:])
    behind[..., :-1] = np.multiply.accumulate(s[..., :0:-1], -1)[..., ::-1]
    return before * behind


def _svd(a: Array) -> tuple[Array, Array, Array, Array]:
    """U, s, V^H and w."""
    u, s, vh = np.linalg.svd(a)
    return u, s, vh, (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]


def _cofactors_by_svd(a: Array) -> Array:
    u, s, vh, w = _svd(a)
    return np.asarray(w * (u.conj() * _products_of_others(s)[..., None, :]) @ vh.conj())


def _cofactors_by_inverse(inverse: Array, a: Array) -> Array:
    return np.asarray(np.linalg.det(a)[..., None, None] * _T(inverse))


@_in_double
def _cofactors(a: Array) -> Array:
    return _by_condition(_cofactors_by_inverse, _cofactors_by_svd, a)


def _tangent_by_svd(a: Array, t: Array) -> Array:
    u, s, vh, w = _svd(a)
    b = _T(u.conj()) @ t @ _T(vh.conj())
    eye = np.eye(s.shape[-1], dtype=bool)
    pairs = _products_of_others(np.where(eye, 1, s[..., None, :]))  # row i: the products without s_i
    pairs[..., eye] = 0  # it would cancel below, but not without rounding
    diagonal = pairs @ np.diagonal(b, axis1=-2, axis2=-1)[..., None]
    return np.asarray(w * u.conj() @ (np.where(eye, diagonal, 0) - pairs * _T(b)) @ vh.conj())


def _tangent_by_inverse(inverse: Array, a: Array, t: Array) -> Array:
    moved = inverse @ t
    trace = np.trace(moved, axis1=-2, axis2=-1)[..., None, None]
    return np.asarray(np.linalg.det(a)[..., None, None] * _T(trace * inverse - moved @ inverse))


@_in_double
def _cofactors_tangent(a: Array, t: Array) -> Array:
    return _by_condition(_tangent_by_inverse, _tangent_by_svd, a, t)


# cofactors_tangent: (*L, n, n), (*L, n, n) -> (*L, n, n). Linear in the second operand and self-adjoint there, since it
# is the second derivative of one number: <D cof(a)[t], w> = D^2 det(a)[t, w].


def _cofactors_tangent_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    (a, t), (a_dot, t_dot) = primals, tangents
    x = inv(a)
    p, q = matmul(x, t), matmul(x, a_dot)
    tr_p, tr_q = trace_of_product(x, t), trace_of_product(x, a_dot)
    inner = sub(sub(add(matmul(q, p), matmul(p, q)), scaled(tr_q, p)), scaled(tr_p, q))
    moved = add(scaled(sub(mul(tr_q, tr_p), trace_of_product(q, p)), x), matmul(inner, x))
    third = scaled(det(a), mT(moved))
    return third if t_dot is None else add(third, cofactors_tangent(a, t_dot))


cofactors_tangent_p = General(
    "cofactors_tangent",
    _cofactors_tangent,
    abstract=lambda a, t: ShapedArray(a.shape, a.dtype),
    jvp=_cofactors_tangent_jvp,
    batch=lambda axis, batched, *operands: cofactors_tangent(*with_batch(axis, batched, operands)),
    transpose=lambda ct, a, t: cofactors_tangent(a, ct),
    linear_in=(1,),
)


def cofactors_tangent(a: Any, t: Any) -> Any:
    """The derivative of the cofactors of a along t, at matrices of any rank."""
    return cofactors_tangent_p.bind(a, t)


# cofactors: (*L, n, n) -> (*L, n, n)

cofactors_p = General(
    "cofactors",
    _cofactors,
    abstract=same_type,
    jvp=lambda primals, tangents, out: cofactors_tangent(primals[0], tangents[0]),
    batch=lambda axis, batched, a: cofactors(a),
)


def cofactors(a: Any) -> Any:
    """The matrices of cofactors: the gradient of the determinant, at matrices of any rank."""
    return cofactors_p.bind(a)


# det: (*L, n, n) -> (*L)

det_p = General(
    "det",
    np.linalg.det,
    abstract=lambda a: ShapedArray(a.shape[:-2], a.dtype),
    jvp=lambda primals, tangents, out: trace_of_product(mT(cofactors(primals[0])), tangents[0]),
    batch=lambda axis, batched, a: det(a),
)


def det(a: Any) -> Any:
    """The determinants of matrices of an inexact dtype in the last two axes."""
    return det_p.bind(a)


# slogdet: (*L, n, n) -> (*L), (*L); d log det(a) = tr(a^-1 a_dot), whose imaginary part turns the sign


def _slogdet_jvp(primals: Sequence[Any], tangents: Sequence[Any], outs: Any) -> Any:
    rate = trace_of_product(inv(primals[0]), tangents[0])
    return mul(outs[0], mul(imag(rate), 1j)) if is_complex(rate) else None, real(rate)


def _slogdet_abstract(a: ShapedArray) -> tuple[ShapedArray, ShapedArray]:
    return ShapedArray(a.shape[:-2], a.dtype), ShapedArray(a.shape[:-2], np.dtype(a.dtype.char.lower()))


slogdet_p = General(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    abstract=_slogdet_abstract,
    jvp=_slogdet_jvp,
    batch=lambda axis, batched, a: slogdet(a),
    multiple=True,
)


def slogdet(a: Any) -> Any:
    """The signs ``det / |det|`` and the logarithms of ``|det|``."""
    return slogdet_p.bind(a)

"""Polynomials and their zeros: the characteristic polynomial of a matrix, and the roots of a polynomial.

Both are computed by eigenvalues, as in NumPy, but their derivatives need none: that of the characteristic polynomial is
a polynomial in the matrix, finite also where eigenvalues coincide; a root moves by the implicit function theorem.

Coefficients stand in the last axis, that of the highest power first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, div, mul, neg
from fungrad.primitives.contraction import alphabet, contract
from fungrad.primitives.structural import broadcast_to, convert, expand_dims, slice_axis, stack, transpose


def _complex(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(dtype.char.upper())


# characteristic_polynomial: det(z - A)


def _characteristic(a: Any) -> Any:
    n = a.shape[-1]
    out = np.zeros((*a.shape[:-2], n + 1), _complex(a.dtype))
    out[..., 0] = 1
    roots = np.linalg.eigvals(a) if a.size else np.zeros(a.shape[:-1])
    for k in range(n):  # out <- out * (z - root)
        out[..., 1 : k + 2] -= roots[..., k, None] * out[..., : k + 1]
    return out if a.dtype.kind == "c" else out.real.copy()


def _characteristic_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    """The adjugate of z - A is the sum of ``M_k z**(n - k)``, and ``d c_k = -trace(M_k dA)`` (Jacobi's formula).

    The matrices are those of Faddeev and LeVerrier, ``M_1 = 1, M_k+1 = A M_k + c_k`` (Gantmacher 1959, IV.5), with the
    coefficients c_k that are known already.
    """
    (a,), (t,) = primals, tangents
    shape, dtype = typeof(a).shape, typeof(a).dtype
    n, last = shape[-1], len(shape) - 2
    *some, i, j, k = list(alphabet(len(shape) + 1))
    stacked = "".join(some)
    t = transpose(t, (*range(last), last + 1, last))  # trace(M dA) is the sum of the elements of M * dA^T
    eye = np.eye(n, dtype=dtype)
    matrix: Any = np.broadcast_to(eye, shape)
    zero = np.zeros((*shape[:-2], 1), dtype)
    columns: list[Any] = [zero[..., 0]]
    for m in range(1, n + 1):
        columns.append(neg(contract(matrix, t, f"{stacked}{i}{j},{stacked}{i}{j}->{stacked}")))
        if m < n:
            c = expand_dims(slice_axis(out, last, m, m + 1), (last + 1,))
            matrix = add(contract(a, matrix, f"{stacked}{i}{j},{stacked}{j}{k}->{stacked}{i}{k}"), mul(c, eye))
    return transpose(stack([convert(c, dtype) for c in columns]), (*range(1, last + 1), 0))


characteristic_polynomial_p = General(
    "characteristic_polynomial",
    _characteristic,
    abstract=lambda a: ShapedArray((*a.shape[:-2], a.shape[-1] + 1), a.dtype),
    jvp=_characteristic_jvp,
    batch=lambda axis, batched, a: characteristic_polynomial(a),
)


def characteristic_polynomial(a: Any) -> Any:
    """The coefficients of det(z - A) for matrices (..., n, n) of an inexact dtype: (..., n + 1)."""
    return characteristic_polynomial_p.bind(a)


# polynomial_roots: p(r) = 0


def _roots(p: Any, *, leading: int) -> Any:
    count = p.shape[-1] - 1 - leading
    if p.ndim == 1:
        roots = np.roots(p).astype(_complex(p.dtype))
        if roots.shape != (count,):
            raise ValueError(
                "numpy.roots: the first coefficient is zero in a function that was recorded for polynomials of another "
                "degree; leave it out"
            )
        return roots
    if not (p[..., 0] != 0).all():
        raise ValueError("numpy.roots: the first coefficient of a polynomial in a batch is zero; leave it out")
    companion = np.zeros((*p.shape[:-1], count, count), p.dtype)
    companion[..., range(1, count), range(count - 1)] = 1
    if count:
        companion[..., 0, :] = -p[..., 1:] / p[..., :1]
        return np.linalg.eigvals(companion)
    return np.zeros((*p.shape[:-1], 0), _complex(p.dtype))


def _horner(p: Any, x: Any) -> Any:
    """The polynomials (..., n) at the points (..., m)."""
    axis = typeof(p).ndim - 1
    y: Any = slice_axis(p, axis, 0, 1)
    for k in range(1, typeof(p).shape[axis]):
        y = add(mul(y, x), slice_axis(p, axis, k, k + 1))
    return broadcast_to(y, typeof(x).shape)


def _roots_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, leading: int) -> Any:
    (p,), (t,) = primals, tangents
    n, dtype = typeof(p).shape[-1], typeof(out).dtype
    if not typeof(out).shape[-1]:
        return None
    axis = typeof(p).ndim - 1
    powers = np.arange(n - 1, 0, -1).astype(dtype.char.lower())
    slope = mul(slice_axis(p, axis, 0, n - 1), powers)
    return neg(div(_horner(convert(t, dtype), out), _horner(convert(slope, dtype), out)))


polynomial_roots_p = General(
    "polynomial_roots",
    _roots,
    abstract=lambda p, *, leading: ShapedArray((*p.shape[:-1], p.shape[-1] - 1 - leading), _complex(p.dtype)),
    jvp=_roots_jvp,
    batch=lambda axis, batched, p, *, leading: polynomial_roots(p, leading),
)


def polynomial_roots(p: Any, leading: int = 0) -> Any:
    """The roots, complex, of polynomials (..., n) of which the first ``leading`` coefficients are zero.

    A root moves by ``-dp(r) / p'(r)``, where dp is the change of all coefficients, also of those that are zero. At a
    multiple root that is infinite or not a number, as the root has no derivative there.
    """
    return polynomial_roots_p.bind(p, leading=leading)

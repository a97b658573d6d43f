"""The Cholesky decomposition a = L L^H of stacks of positive definite matrices.

LAPACK reads the lower triangle and the real part of the diagonal and nothing else, so this is a function of these; the
derivative is that of this function, as finite differences see it. With h the Hermitian matrix of the triangle of a_dot,
and phi the lower triangle with half of the (real part of the) diagonal,

    L_dot = L phi(L^-1 h L^-H)                                   cholesky_tangent(L, a_dot)
    a_bar = phi(L^-H (p + p^H) L^-1),    p = phi(L^H L_bar)      cholesky_cotangent(L, L_bar), its adjoint

(Smith 1995; Murray 2016, arXiv 1602.07527, eqs. 8 and 10). These two are primitives, so that only the triangles that
count are computed, and their own derivatives need no further formulas. What ``L L^H = a`` says of L_dot and of a
second tangent L', ``L_dot' L^H + L L_dot'^H = h' - L' L_dot^H - L_dot L'^H``, is of the form of the first derivative:

    cholesky_tangent(L, h)'     = cholesky_tangent(L, h' - L' L_dot^H - L_dot L'^H)
    cholesky_cotangent(L, b)'   = cholesky_cotangent(L, b' - (a_bar + a_bar^H) L')

The inverse of L is used rather than the derivative of the decomposition by blocks (Murray, section 3), which takes a
third of the operations: that one carries cotangents through ``B A^-1`` block after block, and for a smooth kernel
with the condition number 1e13 no digit of the gradient is left, where this form has eight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.lowering import NEW, Lowering, call_of
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, neg, sub
from fungrad.primitives.complex_parts import conj
from fungrad.primitives.linalg.matrices import matmul, mH, same_type
from fungrad.primitives.linalg.triangular import PAYS, inverse_by_blocks, triangle
from fungrad.primitives.structural import broadcast_to, reshape

Array = np.ndarray[Any, Any]

# On arrays. Products that write, panel by panel, over an operand what no later panel reads: a fresh array of this size
# costs as much in page faults as a product. Only what the triangles need is computed.

_PANEL = 96
"""Rows or columns that one product makes."""


def _panels(n: int) -> list[slice]:
    return [slice(k, min(k + _PANEL, n)) for k in range(0, n, _PANEL)] if n >= PAYS else [slice(0, n)]


def _adjoint(x: Array) -> Array:
    x = np.swapaxes(x, -1, -2)
    return x.conj() if x.dtype.kind == "c" else x


def _store_lower(x: Array, rows: slice, panel: Array) -> None:
    """Store rows of a lower triangular matrix, given up to the end of the block on the diagonal."""
    x[..., rows, : rows.stop] = panel
    x[..., rows, rows] = triangle(x[..., rows, rows])
    x[..., rows, rows.stop :] = 0


def _lower_times(a: Array, x: Array) -> Array:
    """Make x the lower triangle of ``a x`` for lower triangular a: half of the multiplications."""
    for rows in reversed(_panels(x.shape[-1])):
        _store_lower(x, rows, a[..., rows, : rows.stop] @ x[..., : rows.stop, : rows.stop])
    return x


def _adjoint_times(a: Array, x: Array) -> Array:
    """Make x the lower triangle of ``a^H x`` for lower triangular a: a sixth of the multiplications."""
    for rows in _panels(x.shape[-1]):
        _store_lower(x, rows, _adjoint(a[..., rows.start :, rows]) @ x[..., rows.start :, : rows.stop])
    return x


def _times_lower(x: Array, a: Array) -> Array:
    """Make x ``x a`` for lower triangular a: half of the multiplications."""
    for columns in _panels(x.shape[-1]):
        x[..., columns] = x[..., columns.start :] @ a[..., columns.start :, columns]
    return x


def _times_adjoint(x: Array, a: Array) -> Array:
    """Make x ``x a^H`` for lower triangular a: half of the multiplications."""
    for columns in reversed(_panels(x.shape[-1])):
        x[..., columns] = x[..., : columns.stop] @ _adjoint(a[..., columns, : columns.stop])
    return x


def _phi(x: Array) -> Array:
    """Halve the diagonal of a lower triangular matrix, of which the real part counts."""
    diagonal = np.einsum("...ii->...i", x)
    diagonal[...] = diagonal.real / 2
    return x


def _plus_adjoint(x: Array) -> Array:
    """Add its adjoint to a lower triangular matrix."""
    for rows in _panels(x.shape[-1]):
        x[..., : rows.start, rows] = _adjoint(x[..., rows, : rows.start])
        x[..., rows, rows] += _adjoint(x[..., rows, rows]).copy()
    return x


def _tangent(factor: Array, a_dot: Array) -> Array:
    inverse = inverse_by_blocks(factor, lower=True)
    h = _plus_adjoint(_phi(triangle(a_dot)))
    return _lower_times(factor, _phi(_lower_times(inverse, _times_adjoint(h, inverse))))


def _cotangent(factor: Array, bar: Array) -> Array:
    inverse = inverse_by_blocks(factor, lower=True)
    p = _phi(_adjoint_times(factor, triangle(bar)))
    return _phi(_adjoint_times(inverse, _times_lower(_plus_adjoint(p), inverse)))


# cholesky_tangent, cholesky_cotangent: (*L, n, n), (*M, *L, n, n) -> (*M, *L, n, n), one inverse for all of M


def _tangent_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    (factor, _), (factor_dot, a_dot) = primals, tangents
    moved = matmul(broadcast_to(factor_dot, typeof(out).shape), mH(out))
    moved = add(moved, mH(moved))
    return cholesky_tangent_p.bind(factor, neg(moved) if a_dot is None else sub(a_dot, moved))


def _cotangent_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    (factor, _), (factor_dot, bar_dot) = primals, tangents
    moved = matmul(add(out, mH(out)), broadcast_to(factor_dot, typeof(out).shape))
    return cholesky_cotangent_p.bind(factor, neg(moved) if bar_dot is None else sub(bar_dot, moved))


def _linear_in_second(name: str, impl: Callable[..., Array], jvp: Any, adjoint: Callable[[], General]) -> General:
    """A primitive of a factor and matrices in which it is linear; the transpose is the adjoint, unconjugated."""

    def batch(axis: Any, batched: Sequence[bool], factor: Any, x: Any) -> Any:
        if not batched[1]:
            x = broadcast_to(x, (axis.size, *typeof(x).shape))
        if batched[0]:
            shape, rank = typeof(factor).shape, typeof(x).ndim
            factor = reshape(factor, (axis.size, *[1] * (rank - len(shape)), *shape[1:]))
        return prim.bind(factor, x)

    prim = General(
        name,
        impl,
        abstract=lambda factor, x: ShapedArray(x.shape, x.dtype),
        jvp=jvp,
        batch=batch,
        transpose=lambda ct, factor, x: conj(adjoint().bind(factor, conj(ct))),
        linear_in=(1,),
        lowering=Lowering(call_of(impl), NEW),
    )
    return prim


cholesky_tangent_p: General = _linear_in_second(
    "cholesky_tangent", _tangent, _tangent_jvp, lambda: cholesky_cotangent_p
)
cholesky_cotangent_p: General = _linear_in_second(
    "cholesky_cotangent", _cotangent, _cotangent_jvp, lambda: cholesky_tangent_p
)


# cholesky: (*L, n, n) -> (*L, n, n), lower triangular

cholesky_p = General(
    "cholesky",
    np.linalg.cholesky,
    abstract=same_type,
    jvp=lambda primals, tangents, out: cholesky_tangent_p.bind(out, tangents[0]),
    batch=lambda axis, batched, a: cholesky(a),
    lowering=Lowering(call_of(np.linalg.cholesky), NEW),
)


def cholesky(a: Any) -> Any:
    """The lower triangular L with ``L L^H = a``, of which the lower triangle is read."""
    return cholesky_p.bind(a)

"""Singular value decompositions of stacks of matrices ``(*L, m, n)``, with k = min(m, n).

    svd(a)     a = u diag(s) v^H, u^H u = v^H v = 1         u (*L, m, k), s (*L, k) descending, v^H (*L, k, n)
    svdvals(a) s alone

With ``p = u^H a_dot v`` the tangents are (Giles 2008; for complex matrices Wan & Zhang 2019, arXiv:1909.02659)

    s_dot = Re diag(p)
    u_dot = u (x + y) + (1 - u u^H) a_dot v / s              x[i, j] = (p + p^H)[i, j] / 2 / (s[j] - s[i])
    v_dot = v (x - y) + (1 - v v^H) a_dot^H u / s            y[i, j] = (p - p^H)[i, j] / 2 / (s[j] + s[i])

At equal or zero singular values see `spectral_quotient` and `ties`: the singular values have tangents that are right
for what does not depend on their order (s_dot = Re u^H a_dot v at s = 0, one of the subgradients of the kink that it
has there), and where values are known so have functions of all three that do not depend on LAPACK's choice.

Gauges. In real matrices the vectors are determined up to signs. In complex ones a phase of u[:, i] is also one of
v[:, i]: in the derivative what turns is shared by the two equally, diag(u^H u_dot) = -diag(v^H v_dot). The vectors that
``full_matrices`` adds are any basis of what the others leave: in the derivative they turn as little as possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.core.trace import Tracer
from fungrad.primitives.arithmetic import add, mul, neg, sub
from fungrad.primitives.linalg.eigen import real_dtype, real_products_of_columns
from fungrad.primitives.linalg.matrices import block, matmul, mH
from fungrad.primitives.linalg.spectral_quotient import Array, rule_at_ties, spectral_quotient
from fungrad.primitives.linalg.ties import Decomposition
from fungrad.primitives.structural import concatenate, zeros


def _svd(a: Array, *, full: bool, at_ties: str) -> tuple[Array, Array, Array]:
    u, s, vh = np.linalg.svd(a, full)
    return u, s, vh


def _svd_abstract(a: ShapedArray, *, full: bool, at_ties: str) -> tuple[ShapedArray, ShapedArray, ShapedArray]:
    *lead, m, n = a.shape
    k = min(m, n)
    return (
        ShapedArray((*lead, m, m if full else k), a.dtype),
        ShapedArray((*lead, k), real_dtype(a.dtype)),
        ShapedArray((*lead, n if full else k, n), a.dtype),
    )


def _columns(x: Any, start: int, stop: int) -> Any:
    return block(x, None, (start, stop))


def _svd_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    outs: Any,
    *,
    full: bool,
    at_ties: str,
    wanted: Sequence[bool] = (True, True, True),
    freely: bool = False,
) -> Any:
    u, s, vh = outs
    (t,) = tangents
    k = typeof(s).shape[-1]
    rule = rule_at_ties(at_ties, wanted[1], freely)
    others = "alone" if rule == "alone" else "paired"
    v = mH(vh)
    u1, v1 = _columns(u, 0, k), _columns(v, 0, k)
    moved = matmul(t, v1)
    s_dot = real_products_of_columns(u1, moved) if wanted[1] else None
    if not wanted[0] and not wanted[2]:
        return None, s_dot, None
    p = matmul(mH(u1), moved)
    x, y = spectral_quotient(p, s, "hermitian", rule), spectral_quotient(p, s, "sum", others)
    u_dot = _rotated(u, s, add(x, y), moved, p, full, others) if wanted[0] else None
    vh_dot = None
    if wanted[2]:
        vh_dot = mH(_rotated(v, s, sub(x, y), matmul(mH(t), u1), mH(p), full, others))
    return u_dot, s_dot, vh_dot


def _rotated(u: Any, s: Any, omega: Any, moved: Any, p: Any, full: bool, at_ties: str) -> Any:
    """The tangent of u: its first columns turn by omega among themselves, and away from those by ``moved / s``."""
    m, k = typeof(moved).shape[-2:]
    if m == k:
        return matmul(u, omega)
    if not full:
        return add(matmul(u, omega), spectral_quotient(sub(moved, matmul(u, p)), s, "column", at_ties))
    away = spectral_quotient(matmul(mH(_columns(u, k, m)), moved), s, "column", at_ties)
    aval = typeof(omega)
    nothing = zeros(ShapedArray((*aval.shape[:-2], m - k, m - k), aval.dtype))
    rows = len(aval.shape) - 2
    left = concatenate([omega, away], rows)
    right = concatenate([neg(mH(away)), nothing], rows)
    return matmul(u, concatenate([left, right], rows + 1))


def _svd_turning(primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, full: bool, at_ties: str) -> Any:
    u, s, vh = outs
    k = typeof(s).shape[-1]
    p = matmul(mH(_columns(u, 0, k)), matmul(tangents[0], mH(block(vh, (0, k), None))))
    return mul(add(p, mH(p)), 0.5)


def _svd_turn(outs: tuple[Any, ...], turn: Any) -> tuple[Any, ...]:
    u, s, vh = outs
    v = mH(vh)
    return _with_turned(u, turn), s, mH(_with_turned(v, turn))


def _with_turned(u: Any, turn: Any) -> Any:
    """``u (1 + turn)`` for a turn of its first columns."""
    k = typeof(turn).shape[-1]
    moved = matmul(_columns(u, 0, k), turn)
    *lead, m, n = typeof(u).shape
    if n > k:
        moved = concatenate([moved, zeros(ShapedArray((*lead, m, n - k), typeof(u).dtype))], len(lead) + 1)
    return add(u, moved)


svd_p = Decomposition(
    "svd",
    _svd,
    abstract=_svd_abstract,
    jvp=_svd_jvp,
    batch=lambda axis, batched, a, *, full, at_ties: _bind_svd(a, full, at_ties),
    position=1,
    turn=_svd_turn,
    turning=_svd_turning,
)


def _bind_svd(a: Any, full: bool, at_ties: str) -> tuple[Any, Any, Any]:
    u, s, vh = svd_p.bind(a, full=full, at_ties=at_ties)
    return u, s, vh


def svd(a: Any, full_matrices: bool = True) -> tuple[Any, Any, Any]:
    """``u, s, v^H`` of matrices of an inexact dtype; with all rows and columns of u and v, or the first min(m, n)."""
    return _bind_svd(a, full_matrices, "alone")


# svdvals


def _svdvals_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any) -> Any:
    # paired: what becomes of the vectors in higher derivatives meets functions of the values that came out before
    u, _, vh = _bind_svd(primals[0], False, "paired")
    return real_products_of_columns(u, matmul(tangents[0], mH(vh)))


svdvals_p = General(
    "svdvals",
    lambda a: np.linalg.svd(a, compute_uv=False),
    abstract=lambda a: ShapedArray((*a.shape[:-2], min(a.shape[-2:])), real_dtype(a.dtype)),
    jvp=_svdvals_jvp,
    batch=lambda axis, batched, a: svdvals(a),
)


def svdvals(a: Any) -> Any:
    """The singular values alone, at a fraction of the time; but if a derivative follows, `svd` at once."""
    if type(a) is Tracer and not a.recording.abstract:
        return svd(a, False)[1]
    return svdvals_p.bind(a)

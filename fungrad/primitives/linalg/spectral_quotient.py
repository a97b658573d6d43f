"""Quotients by gaps of a spectrum: what the derivatives of eigenvectors and singular vectors divide by.

    kind          k[i, j] =                                     b, k              used by
    hermitian     (b + b^H)[i, j] / 2 / (w[j] - w[i])           (n, n), (n, n)    eigh, svd
    sum           (b - b^H)[i, j] / 2 / (w[j] + w[i])           (n, n), (n, n)    svd
    general       b[i, j] / (w[j] - w[i])                       (n, n), (n, n)    eig
    column        b[i, j] / w[j]                                (m, n), (m, n)    svd

with 0 on the diagonal where the gap is always 0. Written out this is one line; it is a primitive because of ties, gaps
that are zero. There the vectors have no derivative, but functions of them may have one, and what passes through here
does not always tell which. What is returned is never a wrong number:

* Tangents. Where ``b[i, j]`` vanishes too (to rounding) the vectors need not move: 0. Else nan.

* Cotangents, of a function of the vectors alone (``at_ties="alone"``). Of these the part that matters (with the kind
  "hermitian" the anti-Hermitian one) says how the function changes as the vectors of the tie are rotated among
  themselves. Where it vanishes, as for projectors on whole eigenspaces and for the polar factor ``u v^H``, the function
  is one of the eigenspace, which has a derivative, and this term of it is 0. Else the function depends on which basis
  LAPACK happened to choose: nan.

* "hermitian" with ``at_ties="free"``: what a tie leaves open is followed by a recording beneath, so that the missing
  part of the derivative is added elsewhere (see ``ties``): 0 for tangents, and the second rule for cotangents.

* Cotangents, of a function of the vectors and the values (``at_ties="paired"``). Now a rotation that changes nothing is
  no proof: for ``v f(w) v^H`` the right quotient is proportional to f'(w), of which the cotangents contain the diagonal
  elements only (and for f(w) = 0, or a cotangent of the result that has a zero diagonal, they are zeros). So nan, but
  for gaps that are rounding errors and cotangents that are exact zeros: 0 divided by the gap.

* "chain": as "paired", but tangents at a tie are nan in any case, because they were not complete.

A gap counts as a tie up to the error of LAPACK's eigenvalues: 8 (n + 2) eps of the largest, some three times what was
seen in equal eigenvalues of random matrices of 2 to 100 rows. Quotients by larger gaps of that order have few correct
digits, as the eigenvectors themselves. Gaps that stand in a sum or alone ("sum", "column") are ties if they are zero,
as nothing cancels there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, mul, neg, sub
from fungrad.primitives.linalg.matrices import with_batch
from fungrad.primitives.structural import expand_dims

Array = np.ndarray[Any, Any]

DIFFERENCES = ("hermitian", "general")


def gaps(w: Any, kind: str) -> Any:
    """What is divided by (and, as it is linear in w, the tangent of that), with 1 row for "column"."""
    rank = typeof(w).ndim
    along = expand_dims(w, (rank - 1,))
    if kind == "column":
        return along
    down = expand_dims(w, (rank,))
    return add(along, down) if kind == "sum" else sub(along, down)


def _adjoint(b: Array) -> Array:
    return np.conjugate(np.swapaxes(b, -1, -2))


def _part(b: Array, kind: str, cotangent: bool) -> Array:
    """The part of b that is divided."""
    if kind in ("general", "column"):
        return b
    return (b + _adjoint(b)) / 2 if kind == "hermitian" and not cotangent else (b - _adjoint(b)) / 2


def _vanishes(b: Array, part: Array, gap: Array, kind: str, paired: bool, free: bool) -> Array:
    """Which elements are nothing: zero to rounding; of paired cotangents exact zeros over gaps that are not zero.

    With ``free`` cotangents come from f(w) as well, whose elements at a tie differ by f'(w) times rounding errors.
    """
    if paired:
        zero = b == 0
        return (zero if kind in ("general", "column") else zero & _adjoint(zero)) & (gap != 0)
    largest = np.max(np.abs(b), axis=(-2, -1), keepdims=True, initial=0)
    eps = np.finfo(b.dtype).eps
    noise = (eps ** (2 / 3) if free else 8 * gap.shape[-1] * eps) * largest
    return np.asarray(np.abs(part) <= noise)


def ties(w: Array) -> Array:
    """Which pairs of eigenvalues are equal to the error of LAPACK: ``(*L, n) -> (*L, n, n)``."""
    largest = np.max(np.abs(w), axis=-1, initial=0)[..., None, None]
    tie: Array = np.abs(gaps(w, "general")) <= 8 * (w.shape[-1] + 2) * np.finfo(w.dtype).eps * largest
    return tie


def _spectral_quotient(b: Array, w: Array, *, kind: str, at_ties: str, cotangent: bool) -> Array:
    gap, part = np.asarray(gaps(w, kind)), _part(b, kind, cotangent)
    nothing = _vanishes(b, part, gap, kind, at_ties in ("paired", "chain") and cotangent, at_ties == "free")
    size = np.abs(gap)
    if kind in DIFFERENCES:
        largest = np.max(np.abs(w), axis=-1, initial=0)[..., None, None]
        eps = np.finfo(w.dtype).eps
        tie = ties(w)
        # Where the gap is small, but no tie, rounding errors of an element that ought to be zero would be blown up.
        near = size <= np.sqrt(eps) * largest
    else:
        tie = near = size == 0
    out = np.where(tie, np.nan, part) / np.where(tie, 1, gap)
    zero = near & nothing
    if at_ties == "free" and not cotangent:
        zero = zero | tie
    elif at_ties == "chain" and not cotangent:
        zero = zero & ~tie
    out = np.where(zero, 0, out).astype(b.dtype, copy=False)
    if kind in DIFFERENCES or (kind == "sum" and b.dtype.kind != "c"):
        diagonal = np.arange(w.shape[-1])
        out[..., diagonal, diagonal] = 0
    return out


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, kind: str, **params: Any) -> Any:
    # part(b) = k gap, hence part(b_dot) = k_dot gap + k gap_dot: the same quotient, second divided differences and all
    (_, w), (b_dot, w_dot) = primals, tangents
    moved = mul(out, gaps(w_dot, kind))
    b_dot = neg(moved) if b_dot is None else sub(b_dot, moved)
    return spectral_quotient_p.bind(b_dot, w, kind=kind, **params)


def _transpose(ct: Any, b: ShapedArray, w: Any, *, cotangent: bool, **params: Any) -> Any:
    return spectral_quotient_p.bind(ct, w, cotangent=not cotangent, **params)


def _batch(axis: Any, batched: Sequence[bool], b: Any, w: Any, **params: Any) -> Any:
    return spectral_quotient_p.bind(*with_batch(axis, batched, (b, w)), **params)


spectral_quotient_p = General(
    "spectral_quotient",
    _spectral_quotient,
    abstract=lambda b, w, **params: ShapedArray(b.shape, b.dtype),
    jvp=_jvp,
    batch=_batch,
    transpose=_transpose,
    linear_in=(0,),
)


def spectral_quotient(b: Any, w: Any, kind: str, at_ties: str) -> Any:
    """A tangent b divided by the gaps of the spectrum w, as the module describes; ``(*L, m, n)`` and ``(*L, n)``."""
    return spectral_quotient_p.bind(b, w, kind=kind, at_ties=at_ties, cotangent=False)


def rule_at_ties(at_ties: str, with_values: bool, freely: bool) -> str:
    """The rule of a decomposition: its own, unless ties are followed, or the eigenvalues are used too."""
    if at_ties == "alone" and freely:
        return "free"
    return "paired" if at_ties == "alone" and with_values else at_ties

"""Integrals of Carlson's kind, with any half-integer exponents, by quadrature.

    C(x_1 ... x_n; e_1 ... e_n) = integral over t from 0 to inf of the product of (t + x_k)**(-e_k / 2)

The derivatives of such an integral are integrals of the same kind: d/dx_k raises e_k by 2. Those of first order that
occur in elliptic integrals are Carlson's R_F, R_D and R_J, which SciPy computes (DLMF 19.16); what their derivatives
need beyond has no name. Formulas in terms of R_F, R_D and R_J exist, but they are 0/0 where arguments are equal, which
happens in every elliptic integral with m = 0. The quadrature has no such points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import broadcast_shapes
from fungrad.core.primitive import General
from fungrad.interpreters.batch import align
from fungrad.interpreters.fit import fit_tangent
from fungrad.primitives.arithmetic import add, mul

_STEP, _REACH = 1 / 28, 4.6
_BLOCK = 1 << 16
_NODES = np.arange(-int(_REACH / _STEP), int(_REACH / _STEP) + 1) * _STEP
EXPONENTS = np.pi / 2 * np.sinh(_NODES)
WEIGHTS = _STEP * np.pi / 2 * np.cosh(_NODES)


def _carlson(*operands: Any, exponents: tuple[int, ...]) -> Any:
    """The double exponential rule (Takahasi, Mori 1974) with t = s exp(pi/2 sinh(u)), s in the middle.

    It is exact to 1e-13 where what matters lies within a factor of 1e6 of s.
    """
    dtype = np.result_type(*operands, np.float32)
    xs = [np.asarray(x, np.result_type(x, np.float64)) for x in operands]
    total: Any = 0.0
    with np.errstate(all="ignore"):
        scale = _middle([np.abs(x) for x in xs], exponents)[..., None]
        step = max(1, _BLOCK // max(1, scale.size))
        for start in range(0, len(_NODES), step):
            t = scale * np.exp(EXPONENTS[start : start + step])
            terms = t * WEIGHTS[start : start + step]
            for x, e in zip(xs, exponents, strict=True):
                terms = terms * (t + x[..., None]) ** (-e / 2)
            total = total + np.where(np.isfinite(terms), terms, 0.0).sum(-1)
    return np.asarray(total).astype(dtype)[()]


def _middle(sizes: Sequence[Any], exponents: Sequence[int]) -> Any:
    """The smallest operand beyond which the integrand falls faster than 1/t."""
    middle: Any = np.inf
    for size in sizes:
        passed: Any = sum(np.where(other <= size, e / 2, 0.0) for other, e in zip(sizes, exponents, strict=True))
        middle = np.where((passed > 1) & (size > 0) & (size < middle), size, middle)
    return np.where(np.isfinite(middle), middle, 1.0)


def _jvp(primals: tuple[Any, ...], tangents: Sequence[Any], out: Any, *, exponents: tuple[int, ...]) -> Any:
    total = None
    for k, t in enumerate(tangents):
        if t is not None:
            raised = tuple([e + 2 * (i == k) for i, e in enumerate(exponents)])
            term = mul(t, mul(carlson(primals, raised), -exponents[k] / 2))
            total = term if total is None else add(total, term)
    return fit_tangent(total, typeof(out))


def _abstract(*operands: ShapedArray, exponents: tuple[int, ...]) -> ShapedArray:
    dtype = np.result_type(*[a.dtype.type(1).item() if a.weak else a.dtype for a in operands], np.float32)
    return ShapedArray(broadcast_shapes("carlson", [a.shape for a in operands]), dtype)


carlson_p: General = General(
    "carlson",
    _carlson,
    abstract=_abstract,
    jvp=_jvp,
    batch=lambda axis, batched, *operands, exponents: carlson_p.bind(*align(operands, batched), exponents=exponents),
)


def carlson(operands: Sequence[Any], exponents: Sequence[int]) -> Any:
    """The integral for operands that are not negative, of which at most one is 0 (with exponent 1)."""
    return carlson_p.bind(*operands, exponents=tuple(exponents))

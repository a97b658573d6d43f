"""Derivatives of the incomplete gamma and beta functions in their shape parameters, by quadrature.

With t = x exp(-w) below x the gamma distribution function is P(a, x) = f(a, x) V(a, x), f = x**a exp(-x)/gamma(a), and

    V_nm = integral over w from 0 to inf of exp(-a w - x expm1(-w)) log(t/x)**n (1 - t/x)**m

has derivatives of the same kind: n + 1 in a and m + 1 in x. So dP/da = f ((log(x) - psi(a)) V + V_1). Both terms have
one sign where log(x) < psi(a), the mean of log(t); elsewhere those of the integral above x have, where w runs the other
way. Nothing cancels. The same holds of the beta distribution function, whose variable is the logarithm of the odds
t/(1-t). The rule is the double exponential one (Takahasi, Mori 1974).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import broadcast_shapes
from fungrad.core.primitive import General
from fungrad.interpreters.batch import align
from fungrad.interpreters.fit import fit_tangent
from fungrad.primitives.arithmetic import add, div, log, mul, neg, sub
from fungrad.primitives.comparison import equal, less, logical_or
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.carlson import EXPONENTS, WEIGHTS
from fungrad.scipy.ufuncs.declared import special
from fungrad.scipy.ufuncs.gamma import psi, psi_difference

_factor = special("_igam_fac")
_BLOCK = 1 << 16


def _quadrature(integrand: Any, scale: Any, dtype: np.dtype[Any]) -> Any:
    """The integral over w from 0 to inf of a function that decays beyond ``scale``; nodes stand on a last axis."""
    total: Any = 0.0
    scale = np.asarray(scale)[..., None]
    step = max(1, _BLOCK // max(1, scale.size))
    with np.errstate(all="ignore"):
        for start in range(0, len(EXPONENTS), step):
            w = scale * np.exp(EXPONENTS[start : start + step])
            terms = integrand(w) * w * WEIGHTS[start : start + step]
            total = total + np.where(np.isfinite(terms), terms, 0.0).sum(-1)
    return np.asarray(total).astype(dtype)[()]


def _operands(*operands: Any) -> tuple[np.dtype[Any], list[Any]]:
    dtype = np.result_type(*operands, np.float32)
    return dtype, [np.asarray(x, np.float64) for x in operands]


def _abstract(*operands: ShapedArray, orders: tuple[int, ...]) -> ShapedArray:
    dtype = np.result_type(*[a.dtype.type(1).item() if a.weak else a.dtype for a in operands], np.float32)
    return ShapedArray(broadcast_shapes("shape", [a.shape for a in operands]), dtype)


def _sum(terms: list[Any], out: Any) -> Any:
    total = None
    for term in terms:
        total = term if total is None else add(total, term)
    return None if total is None else fit_tangent(total, typeof(out))


# gamma: operands a, x, and whether it is the integral below x or that above


def _gamma_moment(a: Any, x: Any, below: Any, *, orders: tuple[int, int]) -> Any:
    dtype, (a, x, below) = _operands(a, x, below)
    (n, m), scale = orders, 1 / (np.abs(a - x) + np.sqrt(a))
    a, x, side = a[..., None], x[..., None], 2 * below[..., None] - 1

    def integrand(w: Any) -> Any:
        u = -side * w
        return np.exp(a * u - x * np.expm1(u)) * u**n * (-np.expm1(u)) ** m

    return _quadrature(integrand, scale + 0 * below, dtype)


def _gamma_moment_jvp(primals: Any, tangents: Any, out: Any, *, orders: tuple[int, int]) -> Any:
    n, m = orders
    terms = []
    for t, raised in zip(tangents, ((n + 1, m), (n, m + 1)), strict=False):
        if t is not None:
            terms.append(mul(t, gamma_moment_p.bind(*primals, orders=raised)))
    return _sum(terms, out)


gamma_moment_p: General = General(
    "gamma_moment",
    _gamma_moment,
    abstract=_abstract,
    jvp=_gamma_moment_jvp,
    batch=lambda axis, batched, *operands, orders: gamma_moment_p.bind(*align(operands, batched), orders=orders),
)


def gamma_by_shape(a: Any, x: Any) -> Any:
    """The derivative of the regularized lower incomplete gamma function P(a, x) in a; 0 at x = 0."""
    zero = equal(x, 0)
    x = where(zero, 1, x)
    gap = sub(log(x), psi(a))
    below = less(gap, 0)
    first = gamma_moment_p.bind(a, x, below, orders=(1, 0))
    total = mul(_factor(a, x), add(mul(gap, gamma_moment_p.bind(a, x, below, orders=(0, 0))), first))
    return where(zero, 0, where(below, total, neg(total)))


# beta: operands a, b, x; with L = -log1p(x expm1(-w)), log(t/x) = L - w, log((1-t)/(1-x)) = L and M = dL/dx it is the
# integral of exp(-a w + (a + b) L) (L - w)**n L**k M**m


def _beta_moment(a: Any, b: Any, x: Any, *, orders: tuple[int, int, int]) -> Any:
    dtype, (a, b, x) = _operands(a, b, x)
    (n, k, m), scale = orders, 1 / (np.abs(a - (a + b) * x) + np.sqrt(a))
    a, b, x = a[..., None], b[..., None], x[..., None]

    def integrand(w: Any) -> Any:
        decay = np.expm1(-w)
        rise = -np.log1p(x * decay)
        return np.exp((a + b) * rise - a * w) * (rise - w) ** n * rise**k * (-decay / (1 + x * decay)) ** m

    return _quadrature(integrand, scale, dtype)


def _beta_moment_jvp(primals: Any, tangents: Any, out: Any, *, orders: tuple[int, int, int]) -> Any:
    n, k, m = orders
    (a, b, _), (ta, tb, tx) = primals, tangents

    def moment(*raised: int) -> Any:
        return beta_moment_p.bind(*primals, orders=raised)

    terms = []
    if ta is not None:
        terms.append(mul(ta, moment(n + 1, k, m)))
    if tb is not None:
        terms.append(mul(tb, moment(n, k + 1, m)))
    if tx is not None:
        slope = mul(add(add(a, b), m), moment(n, k, m + 1))
        slope = add(slope, mul(moment(n - 1, k, m + 1), n)) if n else slope
        slope = add(slope, mul(moment(n, k - 1, m + 1), k)) if k else slope
        terms.append(mul(tx, slope))
    return _sum(terms, out)


beta_moment_p: General = General(
    "beta_moment",
    _beta_moment,
    abstract=_abstract,
    jvp=_beta_moment_jvp,
    batch=lambda axis, batched, *operands, orders: beta_moment_p.bind(*align(operands, batched), orders=orders),
)


def _beta_by_first(a: Any, b: Any, x: Any, y: Any) -> Any:
    """For x and y = 1 - x, both given as the smaller one is the exact one."""
    edge = logical_or(equal(x, 0), equal(y, 0))
    x, y, s = where(edge, 0.5, x), where(edge, 0.5, y), add(a, b)
    # x**a (1-x)**b / B(a, b), as in `incomplete.beta_density`
    factor = div(mul(_factor(a, mul(s, x)), _factor(b, mul(s, y))), _factor(s, s))
    gap = add(log(x), psi_difference(a, b))
    below = less(gap, 0)
    c, d, z = where(below, a, b), where(below, b, a), where(below, x, y)
    plain = mul(gap, beta_moment_p.bind(c, d, z, orders=(0, 0, 0)))
    lower = add(plain, beta_moment_p.bind(c, d, z, orders=(1, 0, 0)))
    upper = add(plain, beta_moment_p.bind(c, d, z, orders=(0, 1, 0)))
    return where(edge, 0, mul(factor, where(below, lower, neg(upper))))


def beta_by_first(a: Any, b: Any, x: Any) -> Any:
    """The derivative of the regularized incomplete beta function I_x(a, b) in a; 0 at x = 0 and 1."""
    return _beta_by_first(a, b, x, sub(1, x))


def beta_by_second(a: Any, b: Any, x: Any) -> Any:
    """The derivative of I_x(a, b) = 1 - I_(1-x)(b, a) in b."""
    return neg(_beta_by_first(b, a, sub(1, x), x))

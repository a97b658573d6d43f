"""Derivatives of the incomplete gamma and beta functions and of their inverses. DLMF 8.

Those in the shape parameters are in `shape`. Those in the limit of integration are the densities of the gamma and beta
distributions. Both come from x**a exp(-x) / gamma(a), for which SciPy has a function that is accurate for large a and x
near the mode, where the logarithms of the factors are large and cancel.
"""

from __future__ import annotations

from typing import Any

from fungrad.primitives.arithmetic import add, div, log, mul, neg, sub
from fungrad.primitives.comparison import equal, logical_or
from fungrad.primitives.exponential import exp
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.declared import declare, special
from fungrad.scipy.ufuncs.gamma import psi
from fungrad.scipy.ufuncs.shape import beta_by_first, beta_by_second, gamma_by_shape

gamma_factor, gammaln, betaln = special("_igam_fac"), special("gammaln"), special("betaln")
xlogy, xlog1py = special("xlogy"), special("xlog1py")


def _factor_by_x(t: Any, a: Any, x: Any, out: Any) -> Any:
    zero = equal(x, 0)
    return mul(t, where(zero, gamma_density(a, where(zero, x, 1)), mul(out, div(sub(a, x), where(zero, 1, x)))))


declare(
    "_igam_fac",
    "a x",
    a=lambda t, a, x, out: mul(t, mul(out, sub(log(where(equal(x, 0), 1, x)), psi(a)))),
    x=_factor_by_x,
)


def gamma_density(a: Any, x: Any) -> Any:
    """``x**(a-1) exp(-x) / gamma(a)`` (8.2.4 differentiated); at x = 0 by its logarithm: inf, 1 or 0."""
    zero = equal(x, 0)
    at_zero = exp(sub(xlogy(sub(a, 1), where(zero, x, 1)), gammaln(a)))
    return where(zero, at_zero, div(gamma_factor(a, where(zero, 1, x)), where(zero, 1, x)))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """``x**(a-1) (1-x)**(b-1) / B(a, b)`` (8.17.1 differentiated).

    It is the product of the gamma factors of (a, s x) and of (b, s (1-x)) by that of (a+b, s), s = a+b, over x (1-x);
    at x = 0 and 1, and where a or b is 0, by its logarithm.
    """
    y = sub(1, x)
    edge = logical_or(logical_or(equal(x, 0), equal(y, 0)), logical_or(equal(a, 0), equal(b, 0)))
    at_edge = exp(sub(add(xlogy(sub(a, 1), where(edge, x, 0.5)), xlogy(sub(b, 1), where(edge, y, 0.5))), betaln(a, b)))
    x, y, a, b = where(edge, 0.5, x), where(edge, 0.5, y), where(edge, 1, a), where(edge, 1, b)
    s = add(a, b)
    inside = div(div(mul(gamma_factor(a, mul(s, x)), gamma_factor(b, mul(s, y))), gamma_factor(s, s)), mul(x, y))
    return where(edge, at_edge, inside)


# x is the limit of integration in all; the derivative of an inverse is that of the function turned over

declare(
    "gammainc",
    "a x",
    a=lambda t, a, x: mul(t, gamma_by_shape(a, x)),
    x=lambda t, a, x: mul(t, gamma_density(a, x)),
)
declare(
    "gammaincc",
    "a x",
    a=lambda t, a, x: neg(mul(t, gamma_by_shape(a, x))),
    x=lambda t, a, x: neg(mul(t, gamma_density(a, x))),
)


def _quantile_by_shape(t: Any, a: Any, out: Any) -> Any:
    return neg(mul(t, div(gamma_by_shape(a, out), gamma_density(a, out))))


declare("gammaincinv", "a y", a=_quantile_by_shape, y=lambda t, a, out: div(t, gamma_density(a, out)))
declare("gammainccinv", "a y", a=_quantile_by_shape, y=lambda t, a, out: neg(div(t, gamma_density(a, out))))

declare(
    "betainc",
    "a b x",
    a=lambda t, a, b, x: mul(t, beta_by_first(a, b, x)),
    b=lambda t, a, b, x: mul(t, beta_by_second(a, b, x)),
    x=lambda t, a, b, x: mul(t, beta_density(a, b, x)),
)
declare(
    "betaincc",
    "a b x",
    a=lambda t, a, b, x: neg(mul(t, beta_by_first(a, b, x))),
    b=lambda t, a, b, x: neg(mul(t, beta_by_second(a, b, x))),
    x=lambda t, a, b, x: neg(mul(t, beta_density(a, b, x))),
)


def _quantile_by_first(t: Any, a: Any, b: Any, out: Any) -> Any:
    return neg(mul(t, div(beta_by_first(a, b, out), beta_density(a, b, out))))


def _quantile_by_second(t: Any, a: Any, b: Any, out: Any) -> Any:
    return neg(mul(t, div(beta_by_second(a, b, out), beta_density(a, b, out))))


declare(
    "betaincinv",
    "a b y",
    a=_quantile_by_first,
    b=_quantile_by_second,
    y=lambda t, a, b, out: div(t, beta_density(a, b, out)),
)
declare(
    "betainccinv",
    "a b y",
    a=_quantile_by_first,
    b=_quantile_by_second,
    y=lambda t, a, b, out: neg(div(t, beta_density(a, b, out))),
)

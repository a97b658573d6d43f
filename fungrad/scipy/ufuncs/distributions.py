"""Derivatives of the distribution functions of statistics and of their inverses. Names as in Cephes and CDFLIB.

Those of the gamma and beta families are incomplete gamma and beta functions of shifted arguments (`incomplete`). In a
parameter of shape (degrees of freedom, number of trials, ...) no derivative is known unless one stands here.
"""

from __future__ import annotations

import math
from typing import Any

from fungrad.core.aval import typeof
from fungrad.core.trace import Tracer
from fungrad.primitives.arithmetic import add, div, log, mul, neg, power, sub
from fungrad.primitives.comparison import greater_equal, less, less_equal, logical_or
from fungrad.primitives.exponential import exp, log1p, sqrt, square
from fungrad.primitives.rounding import floor
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.declared import declare, special
from fungrad.scipy.ufuncs.incomplete import beta_density, gamma_density
from fungrad.scipy.ufuncs.quotients import expm1_quotient
from fungrad.scipy.ufuncs.shape import beta_by_first, beta_by_second, gamma_by_shape

betaln, hyp0f1, gammaln, ive = special("betaln"), special("hyp0f1"), special("gammaln"), special("ive")
smirnov_slope, xlogy = special("_smirnovp"), special("xlogy")

# gamma: P(b, a x), the rate a and the shape b


def _gdtr(sign: int) -> dict[str, Any]:
    return {
        "a": lambda t, a, b, x: mul(t, mul(mul(gamma_density(b, mul(a, x)), x), sign)),
        "b": lambda t, a, b, x: mul(t, mul(gamma_by_shape(b, mul(a, x)), sign)),
        "x": lambda t, a, b, x: mul(t, mul(mul(gamma_density(b, mul(a, x)), a), sign)),
    }


def _by_shape(b: Any, x: Any, rate: Any) -> Any:
    """The derivative of the rate's (or the other way round) quantile in the shape, but for its sign."""
    return div(gamma_by_shape(b, x), mul(gamma_density(b, x), rate))


declare("gdtr", "a b x", **_gdtr(1))
declare("gdtrc", "a b x", **_gdtr(-1))
declare(
    "gdtria",
    "p b x",
    p=lambda t, b, x, out: div(t, mul(gamma_density(b, mul(out, x)), x)),
    b=lambda t, b, x, out: neg(mul(t, _by_shape(b, mul(out, x), x))),
    x=lambda t, x, out: neg(mul(t, div(out, x))),
)
declare(
    "gdtrix",
    "a b p",
    a=lambda t, a, out: neg(mul(t, div(out, a))),
    b=lambda t, a, b, out: neg(mul(t, _by_shape(b, mul(out, a), a))),
    p=lambda t, a, b, out: div(t, mul(gamma_density(b, mul(out, a)), a)),
)
declare(
    "gdtrib",
    "a p x",
    a=lambda t, a, x, out: neg(mul(t, div(x, _by_shape(out, mul(a, x), 1)))),
    p=lambda t, a, x, out: div(t, gamma_by_shape(out, mul(a, x))),
    x=lambda t, a, x, out: neg(mul(t, div(a, _by_shape(out, mul(a, x), 1)))),
)

# chi squared: P(v/2, x/2)


def _chi_density(v: Any, x: Any) -> Any:
    return mul(gamma_density(mul(v, 0.5), mul(x, 0.5)), 0.5)


def _chi_by_freedom(v: Any, x: Any) -> Any:
    return mul(gamma_by_shape(mul(v, 0.5), mul(x, 0.5)), 0.5)


declare(
    "chdtr",
    "v x",
    v=lambda t, v, x: mul(t, _chi_by_freedom(v, x)),
    x=lambda t, v, x: mul(t, _chi_density(v, x)),
)
declare(
    "chdtrc",
    "v x",
    v=lambda t, v, x: neg(mul(t, _chi_by_freedom(v, x))),
    x=lambda t, v, x: neg(mul(t, _chi_density(v, x))),
)
declare(
    "chdtri",
    "v p",
    v=lambda t, v, out: neg(mul(t, div(_chi_by_freedom(v, out), _chi_density(v, out)))),
    p=lambda t, v, out: neg(div(t, _chi_density(v, out))),
)
declare(
    "chdtriv",
    "p x",
    p=lambda t, x, out: div(t, _chi_by_freedom(out, x)),
    x=lambda t, x, out: neg(mul(t, div(_chi_density(out, x), _chi_by_freedom(out, x)))),
)

# Poisson: Q(floor(k) + 1, m)


def _count(k: Any, like: Any) -> Any:
    """floor(k), in the precision of the other operand if it is a Python number."""
    k = floor(k) if typeof(k).dtype.kind == "f" else k
    return (
        k
        if type(k) is Tracer or typeof(like).dtype.kind != "f"
        else typeof(like).dtype.type(k)
        if not typeof(k).shape
        else k
    )


declare("pdtr", "k m", m=lambda t, k, m: neg(mul(t, gamma_density(add(_count(k, m), 1), m))))
declare("pdtrc", "k m", m=lambda t, k, m: mul(t, gamma_density(add(_count(k, m), 1), m)))
declare("pdtri", "k y", y=lambda t, k, out: neg(div(t, gamma_density(add(_count(k, out), 1), out))))
declare("pdtrik", "p m")

# binomial: I(1-p; n-k, k+1); negative binomial: I(p; n, k+1)


def _binomial_density(k: Any, n: Any, p: Any) -> Any:
    k, n = _count(k, p), _count(n, p)
    return beta_density(add(k, 1), sub(n, k), p)


def _negative_binomial_density(k: Any, n: Any, p: Any) -> Any:
    return beta_density(_count(n, p), add(_count(k, p), 1), p)


declare("bdtr", "k n p", p=lambda t, k, n, p: neg(mul(t, _binomial_density(k, n, p))))
declare("bdtrc", "k n p", p=lambda t, k, n, p: mul(t, _binomial_density(k, n, p)))
declare("bdtri", "k n y", y=lambda t, k, n, out: neg(div(t, _binomial_density(k, n, out))))
declare("bdtrik", "y n p")
declare("bdtrin", "k y p")
declare("nbdtr", "k n p", p=lambda t, k, n, p: mul(t, _negative_binomial_density(k, n, p)))
declare("nbdtrc", "k n p", p=lambda t, k, n, p: neg(mul(t, _negative_binomial_density(k, n, p))))
declare("nbdtri", "k n y", y=lambda t, k, n, out: div(t, _negative_binomial_density(k, n, out)))
declare("nbdtrik", "y n p")
declare("nbdtrin", "k y p")

# beta and F; the latter is I(w; m/2, n/2) with w = m x / (m x + n) and dw/dx = w (1-w) / x = m n / (m x + n)**2

declare(
    "btdtria",
    "p b x",
    p=lambda t, b, x, out: div(t, beta_by_first(out, b, x)),
    b=lambda t, b, x, out: neg(mul(t, div(beta_by_second(out, b, x), beta_by_first(out, b, x)))),
    x=lambda t, b, x, out: neg(mul(t, div(beta_density(out, b, x), beta_by_first(out, b, x)))),
)
declare(
    "btdtrib",
    "a p x",
    a=lambda t, a, x, out: neg(mul(t, div(beta_by_first(a, out, x), beta_by_second(a, out, x)))),
    p=lambda t, a, x, out: div(t, beta_by_second(a, out, x)),
    x=lambda t, a, x, out: neg(mul(t, div(beta_density(a, out, x), beta_by_second(a, out, x)))),
)


def _f_density(m: Any, n: Any, x: Any) -> Any:
    s = add(mul(m, x), n)
    return mul(beta_density(mul(m, 0.5), mul(n, 0.5), div(mul(m, x), s)), mul(div(m, s), div(n, s)))


declare("fdtr", "dfn dfd x", x=lambda t, dfn, dfd, x: mul(t, _f_density(dfn, dfd, x)))
declare("fdtrc", "dfn dfd x", x=lambda t, dfn, dfd, x: neg(mul(t, _f_density(dfn, dfd, x))))
declare("fdtri", "dfn dfd p", p=lambda t, dfn, dfd, out: div(t, _f_density(dfn, dfd, out)))
declare("fdtridfd", "dfn p x")

# Student's t: density (1 + x**2/v)**(-(v+1)/2) / (sqrt(v) B(1/2, v/2))


def _t_density(v: Any, x: Any) -> Any:
    exponent, half = mul(mul(add(v, 1), log1p(div(square(x), v))), -0.5), mul(v, 0.5)
    return div(exp(sub(exponent, betaln(0.5, half))), sqrt(v))


declare("stdtr", "df t", t=lambda ct, df, t: mul(ct, _t_density(df, t)))
declare("stdtrit", "df p", p=lambda t, df, out: div(t, _t_density(df, out)))
declare("stdtridf", "p t")

# noncentral chi squared; its density is 1/2 exp(-(x+nc)/2) (x/2)**(df/2-1) 0F1(df/2; nc x/4) / gamma(df/2), and
# d/d nc of the distribution function is minus the density with df + 2 (Johnson, Kotz, Balakrishnan 1995, ch. 29)


def _noncentral_density(x: Any, df: Any, nc: Any) -> Any:
    """By 0F1 for small arguments, else by the scaled Bessel function I, whose exponential cancels."""
    half, z = mul(df, 0.5), mul(mul(x, nc), 0.25)
    small = less(z, 50)
    power_ = sub(xlogy(sub(half, 1), mul(x, 0.5)), gammaln(half))
    near = mul(exp(sub(power_, mul(add(x, nc), 0.5))), mul(hyp0f1(half, where(small, z, 0)), 0.5))
    x, nc = where(small, 100, x), where(small, 100, nc)
    gap = sub(sqrt(x), sqrt(nc))
    factor = exp(sub(mul(mul(sub(half, 1), log(div(x, nc))), 0.5), mul(square(gap), 0.5)))
    far = mul(mul(factor, ive(sub(half, 1), sqrt(mul(x, nc)))), 0.5)
    return where(small, near, far)


def _more(df: Any) -> Any:
    return add(df, 2)


declare(
    "chndtr",
    "x df nc",
    x=lambda t, x, df, nc: mul(t, _noncentral_density(x, df, nc)),
    nc=lambda t, x, df, nc: neg(mul(t, _noncentral_density(x, _more(df), nc))),
)
declare(
    "chndtrix",
    "p df nc",
    p=lambda t, df, nc, out: div(t, _noncentral_density(out, df, nc)),
    nc=lambda t, df, nc, out: mul(t, div(_noncentral_density(out, _more(df), nc), _noncentral_density(out, df, nc))),
)
declare(
    "chndtrinc",
    "x df p",
    x=lambda t, x, df, out: mul(t, div(_noncentral_density(x, df, out), _noncentral_density(x, _more(df), out))),
    p=lambda t, x, df, out: neg(div(t, _noncentral_density(x, _more(df), out))),
)
declare("chndtridf", "x p nc")

declare("nctdtr", "df nc t")
declare("nctdtridf", "p nc t")
declare("nctdtrinc", "df p t")
declare("nctdtrit", "df nc p")
declare("ncfdtr", "dfn dfd nc f")
declare("ncfdtri", "dfn dfd nc p")
declare("ncfdtridfd", "dfn p nc f")
declare("ncfdtridfn", "p dfd nc f")
declare("ncfdtrinc", "dfn dfd p f")

# Kolmogorov: K(x) = 2 sum((-1)**(k-1) exp(-2 k**2 x**2)), the probability of more than x, and by the transformation
# of theta functions K(x) = 1 - sqrt(2 pi)/x sum(exp(-(2k-1)**2 pi**2 / (8 x**2))); the one converges where the other
# does not


def kolmogorov_slope(x: Any) -> Any:
    """The derivative of ``kolmogorov``: minus the density."""
    large, tiny = greater_equal(x, 1), less(x, 0.03)
    u = square(where(large, x, 1))
    right: Any = 0.0
    for k in range(4, 0, -1):
        right = add(right, mul(exp(mul(u, -2.0 * k * k)), (-1) ** (k - 1) * 8.0 * k * k))
    right = neg(mul(right, where(large, x, 1)))
    v = div(1, square(where(logical_or(large, tiny), 1, x)))
    left: Any = 0.0
    for k in range(4, 0, -1):
        c = mul(v, -((2 * k - 1) ** 2) * math.pi**2 / 8)
        left = add(left, mul(exp(c), add(mul(c, 2), 1)))
    left = mul(mul(left, v), math.sqrt(2 * math.pi))
    return where(large, right, where(tiny, 0, left))


declare("kolmogorov", "y", y=lambda t, y: mul(t, kolmogorov_slope(y)))
declare("kolmogi", "p", p=lambda t, out: div(t, kolmogorov_slope(out)))
declare("_kolmogc", "x", x=lambda t, x: neg(mul(t, kolmogorov_slope(x))))
declare("_kolmogci", "p", p=lambda t, out: neg(div(t, kolmogorov_slope(out))))

# Smirnov, one-sided; of its density no derivative is known here

declare("smirnov", "n d", d=lambda t, n, d: mul(t, smirnov_slope(n, d)))
declare("smirnovi", "n p", p=lambda t, n, out: div(t, smirnov_slope(n, out)))
declare("_smirnovc", "n d", d=lambda t, n, d: neg(mul(t, smirnov_slope(n, d))))
declare("_smirnovci", "n p", p=lambda t, n, out: neg(div(t, smirnov_slope(n, out))))
declare("_smirnovp", "n d")

# Tukey's lambda: the inverse of x(p) = (p**l - (1-p)**l) / l, constant beyond +-1/l for l > 0


def _tukey(p: Any, lmbda: Any) -> tuple[Any, Any, Any, Any]:
    """Whether p is 0 or 1, p and 1-p (1/2 there), and dx/dp."""
    edge = logical_or(less_equal(p, 0), greater_equal(p, 1))
    p = where(edge, 0.5, p)
    q = sub(1, p)
    return edge, p, q, add(power(p, sub(lmbda, 1)), power(q, sub(lmbda, 1)))


def _tukey_by_x(t: Any, lmbda: Any, out: Any) -> Any:
    edge, _, _, slope = _tukey(out, lmbda)
    return where(edge, 0, div(t, slope))


def _tukey_by_lambda(t: Any, lmbda: Any, out: Any) -> Any:
    edge, p, q, slope = _tukey(out, lmbda)
    left, right = log(p), log(q)
    by_lambda = sub(
        mul(square(left), expm1_quotient(mul(lmbda, left), 1)), mul(square(right), expm1_quotient(mul(lmbda, right), 1))
    )
    return where(edge, 0, neg(mul(t, div(by_lambda, slope))))


declare("tklmbda", "x lmbda", x=_tukey_by_x, lmbda=_tukey_by_lambda)

"""The gamma function and what is made of it, under SciPy's names: digamma, polygamma, zeta, beta, binom, factorial."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import UnsupportedOperationError
from fungrad.primitives.arithmetic import add, mul, power, sub
from fungrad.primitives.comparison import equal, less
from fungrad.primitives.selection import where
from fungrad.primitives.special import beta as betas
from fungrad.primitives.special import gamma as gammas
from fungrad.primitives.special import incomplete_beta, incomplete_gamma
from fungrad.primitives.special import zeta as zetas
from fungrad.primitives.structural import broadcast_to, convert, expand_dims, reduce_sum
from fungrad.scipy.special.arguments import from_scipy, inexact_array, is_complex, operand


def gamma(x: Any) -> Any:
    """Return the gamma function.

    Notes
    -----
    Derivative: gamma(x) digamma(x). Exact at integers; error below 4 ulp for x > 0. At 0 it is infinite, at -1, -2, ...
    nan. Complex numbers are handed to SciPy.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import gamma
    >>> float(gamma(5.0)), round(float(fg.grad(gamma)(1.0)), 12)
    (24.0, -0.577215664902)
    """
    x = operand(x)
    return from_scipy("gamma")(x) if is_complex(x) else gammas.gamma(x)


def gammaln(x: Any) -> Any:
    """Return ``log |gamma(x)|``, inf at 0, -1, -2, ...

    Notes
    -----
    Derivative: digamma(x). Error below 2.7 ulp, near 1 and 2 too; near its zeros on the negative axis the
    absolute error is of that order.
    """
    return gammas.gammaln(operand(x))


def loggamma(x: Any) -> Any:
    """Return the principal branch of ``log(gamma(x))``: nan for negative real x, where it is not real.

    Notes
    -----
    Derivative: digamma(x). Complex numbers are handed to SciPy.
    """
    x = operand(x)
    return from_scipy("loggamma")(x) if is_complex(x) else where(less(x, 0), math.nan, gammas.gammaln(x))


def gammasgn(x: Any) -> Any:
    """Return the sign of the gamma function, nan at -1, -2, ...; it has no derivative (zero)."""
    return gammas.gammasgn(operand(x))


def digamma(x: Any) -> Any:
    """Return the logarithmic derivative of the gamma function.

    Notes
    -----
    Derivative: zeta(2, x). Error below 2.8 ulp for x > 0, near its zero 1.4616... too. Complex numbers are handed to
    SciPy.
    """
    x = operand(x)
    return from_scipy("digamma")(x) if is_complex(x) else gammas.digamma(x)


psi = digamma


def polygamma(n: Any, x: Any) -> Any:
    """Return the n-th derivative of `digamma`: ``(-1)**(n+1) n! zeta(n+1, x)`` (DLMF 25.11.12), digamma for n = 0.

    Parameters
    ----------
    n : int, or array of integers
        The order, not negative. It has no derivative.
    x : array
        Real.

    Notes
    -----
    Derivative in x: polygamma(n + 1, x).

    Raises
    ------
    MissingRuleError
        Where a derivative in a floating-point n is asked for.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import polygamma
    >>> round(float(polygamma(1, 1.0)), 12)  # pi**2 / 6
    1.644934066848
    """
    n, x = operand(n), operand(x)
    order = known_value(n)
    if not isinstance(order, ShapedArray) and np.ndim(order) == 0 and type(n) is not Tracer:
        if order == 0:
            return digamma(x)
        factor = (-1.0) ** (int(order) + 1) * float(gammas.gamma(float(order) + 1.0))
        return mul(zetas.zeta(float(order) + 1.0, x), factor)
    dtype = typeof(x).dtype if is_inexact(typeof(x).dtype) else np.dtype(np.float64)
    n = convert(n, dtype)
    factor = mul(power(-1.0, add(n, 1.0)), gammas.gamma(add(n, 1.0)))
    zero = equal(n, 0)
    return where(zero, digamma(x), mul(factor, zetas.zeta(add(where(zero, 1.0, n), 1.0), x)))


def zeta(x: Any, q: Any = None) -> Any:
    """Return the zeta function of Hurwitz, ``sum (q + k)**-x`` over k >= 0, or without q that of Riemann.

    Notes
    -----
    Derivative in q: -x zeta(x + 1, q) (DLMF 25.11.17). For x <= 1 Hurwitz's is nan; q may be negative for integers x.
    Error below 4 ulp; of Riemann's in relation to the conditioning, which for x < -20 costs a digit.

    Raises
    ------
    MissingRuleError
        Where a derivative in x is asked for.
    """
    x = operand(x)
    if q is None:
        return from_scipy("zeta")(x) if is_complex(x) else zetas.riemann_zeta(x)
    return zetas.zeta(x, operand(q))


def factorial(n: Any, exact: bool = False) -> Any:
    """Return ``n! = gamma(n + 1)``, 0 for n < 0.

    Parameters
    ----------
    n : int or array
        Real numbers; differentiable where they are floating-point numbers.
    exact : bool
        Whether to compute with Python's integers: n must be known then.

    Notes
    -----
    Derivative: gamma(n + 1) digamma(n + 1).
    """
    if exact:
        if type(n) is Tracer or np.ndim(n):
            raise UnsupportedOperationError(
                "fungrad.scipy.special.factorial(n, exact=True) takes a Python integer; leave exact out for arrays"
            )
        return math.factorial(n) if n >= 0 else 0
    n = inexact_array(n)
    negative = less(n, 0)
    return where(negative, 0, gammas.gamma(add(where(negative, 0, n), 1)))


def binom(x: Any, y: Any) -> Any:
    """Return the binomial coefficient ``gamma(x+1) / (gamma(y+1) gamma(x-y+1))``; nan for x = -1, -2, ...

    Notes
    -----
    Derivatives: binom (digamma(x+1) - digamma(x-y+1)) and binom (digamma(x-y+1) - digamma(y+1)).
    """
    return betas.binom(operand(x), operand(y))


def beta(a: Any, b: Any) -> Any:
    """Return ``gamma(a) gamma(b) / gamma(a + b)``.

    Notes
    -----
    Derivatives: beta (digamma(a) - digamma(a + b)), and the same with b. Error below 3 ulp times the conditioning.
    """
    return betas.beta(operand(a), operand(b))


def betaln(a: Any, b: Any) -> Any:
    """Return ``log |beta(a, b)|``, without the cancellation of three `gammaln`.

    Notes
    -----
    Derivatives: digamma(a) - digamma(a + b), and the same with b.
    """
    return betas.betaln(operand(a), operand(b))


def poch(z: Any, m: Any) -> Any:
    """Return Pochhammer's symbol ``gamma(z + m) / gamma(z)``, for integers m the rising factorial.

    Notes
    -----
    Derivatives: poch (digamma(z+m) - digamma(z)) and poch digamma(z+m); nan where z or z + m is 0, -1, -2, ...
    """
    return betas.poch(operand(z), operand(m))


def multigammaln(a: Any, d: int) -> Any:
    """Return the logarithm of the gamma function of d dimensions: d (d-1)/4 log(pi) + sum of gammaln(a - j/2), j < d.

    Raises
    ------
    ValueError
        If d is no positive integer, or a known a is not larger than (d - 1)/2.
    """
    if not np.isscalar(d) or d != int(d) or d < 1:  # type: ignore[arg-type]
        raise ValueError("d should be a positive integer (dimension)")
    d = int(d)
    a = inexact_array(a)
    value = known_value(a)
    if not isinstance(value, ShapedArray) and np.any(value <= 0.5 * (d - 1)):
        raise ValueError(f"condition a ({value}) > 0.5 * (d-1) ({0.5 * (d - 1)}) not met")
    shape = typeof(a).shape
    steps = (0.5 * np.arange(d)).astype(typeof(a).dtype)
    terms = gammas.gammaln(sub(broadcast_to(expand_dims(a, (len(shape),)), (*shape, d)), steps))
    return add(reduce_sum(terms, (len(shape),)), d * (d - 1) * 0.25 * math.log(math.pi))


def gammainc(a: Any, x: Any) -> Any:
    """Return the regularized lower incomplete gamma function P(a, x), for a and x >= 0.

    Notes
    -----
    Derivative in x: x**(a-1) exp(-x) / gamma(a). Error below 4 ulp times the conditioning.

    Raises
    ------
    MissingRuleError
        Where a derivative in a is asked for.
    """
    return incomplete_gamma.gammainc(operand(a), operand(x))


def gammaincc(a: Any, x: Any) -> Any:
    """Return the regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), for a and x >= 0.

    Notes
    -----
    Derivative in x: -x**(a-1) exp(-x) / gamma(a). Error below 11 ulp times the conditioning.

    Raises
    ------
    MissingRuleError
        Where a derivative in a is asked for.
    """
    return incomplete_gamma.gammaincc(operand(a), operand(x))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """Return the regularized incomplete beta function I_x(a, b), for a and b >= 0 and x in [0, 1].

    Notes
    -----
    Derivative in x: x**(a-1) (1-x)**(b-1) / beta(a, b). Error below 10 ulp times the conditioning; where b is tiny and
    x > 0.97 the absolute error is of that order.

    Raises
    ------
    MissingRuleError
        Where a derivative in a or b is asked for.
    """
    return incomplete_beta.betainc(operand(a), operand(b), operand(x))

"""The beta function, its logarithm, ratios of gamma functions (Pochhammer's symbol) and binomial coefficients.

    beta(a, b) = Gamma(a) Gamma(b) / Gamma(a + b)                    DLMF 5.12.1
    poch(x, m) = Gamma(x + m) / Gamma(x)                             DLMF 5.2.5
    binom(n, k) = Gamma(n + 1) / (Gamma(k + 1) Gamma(n - k + 1))     DLMF 1.2.6

For large arguments the logarithms of gamma functions cancel; there the differences are taken of Stirling's formula
(DiDonato and Morris, "Algorithm 708", ACM TOMS 18 (1992), eqs. 9-14), with Binet's function from ``gamma``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.special.evaluate import Block, evaluated, pieces
from fungrad.primitives.special.gamma import HALF_LOG_TWO_PI, binet, digamma, gamma_of, gamma_sign, log_gamma

_LARGE = 2.5  # where Binet's function is known from


def _log_ratio_large(b: Block, a: Block) -> Block:
    """``log Gamma(b) - log Gamma(a + b)`` for b >= 2.5 and a > 0."""
    total = a + b
    return binet(b) - binet(total) - (b - 0.5) * np.log1p(a / b) - a * (np.log(total) - 1.0)


def _log_beta_large(a: Block, b: Block) -> Block:
    """For 2.5 <= a <= b."""
    h = a / b
    rest = binet(a) + (binet(b) - binet(a + b))
    return HALF_LOG_TWO_PI + rest - 0.5 * np.log(b) + (a - 0.5) * np.log(h / (1.0 + h)) - b * np.log1p(h)


def _log_beta_positive(a: Block, b: Block) -> Block:
    return pieces(
        (a, b),
        (b < _LARGE, lambda a, b: (log_gamma(a) + log_gamma(b)) - log_gamma(a + b)),
        ((a < _LARGE) & (b >= _LARGE), lambda a, b: log_gamma(a) + _log_ratio_large(b, a)),
        (a >= _LARGE, _log_beta_large),
    )


def log_beta(a: Block, b: Block) -> Block:
    """``log |B(a, b)|``."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    finite = np.isfinite(low) & np.isfinite(high)
    pole = finite & _is_pole(low)
    return pieces(
        (low, high),
        (finite & (low > 0), _log_beta_positive),
        (finite & (low <= 0) & ~pole, lambda a, b: log_gamma(a) + log_gamma(b) - log_gamma(a + b)),
        (pole, lambda a, b: np.log(np.abs(_beta_at_pole(a, b)))),
        (np.isposinf(high) & (low > 0), lambda a, b: np.full_like(a, -np.inf)),
    )


def _is_pole(x: Block) -> Block:
    return (x <= 0) & (x == np.rint(x))


def _beta_at_pole(a: Block, b: Block) -> Block:
    """At a = 0, -1, ...: infinite, but for b = 1, ..., -a, where the limit along a is ``(-1)**b B(1 - a - b, b)``."""
    limit = (b == np.rint(b)) & (b > 0) & (1.0 - a - b > 0)
    value = beta_of(np.where(limit, 1.0 - a - b, 1.0), np.where(limit, b, 1.0))
    return np.where(limit, np.where(b % 2 == 0, value, -value), np.inf)


def beta_of(a: Block, b: Block) -> Block:
    """``B(a, b)``."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    pole = _is_pole(low) & np.isfinite(high)
    zero = (np.isposinf(high) & (low > 0)) | (_is_pole(a + b) & ~pole & (low < 0))
    positive, rest = (low > 0) & np.isfinite(high), (low < 0) & ~pole & ~zero
    moderate = (low > -80.0) & (high < 80.0)
    return pieces(
        (low, high),
        (positive & (high < _LARGE), lambda a, b: gamma_of(a) / gamma_of(a + b) * gamma_of(b)),
        (positive & (high >= _LARGE) & (low < _LARGE), lambda a, b: gamma_of(a) * np.exp(_log_ratio_large(b, a))),
        (positive & (low >= _LARGE), lambda a, b: np.exp(_log_beta_large(a, b))),
        (rest & moderate, lambda a, b: gamma_of(a) / gamma_of(a + b) * gamma_of(b)),
        (
            rest & ~moderate,
            lambda a, b: gamma_sign(a) * gamma_sign(b) * gamma_sign(a + b) * np.exp(log_beta(a, b)),
        ),
        (pole, _beta_at_pole),
        (zero, lambda a, b: np.zeros_like(a)),
    )


beta_p = Elementwise(
    "beta",
    evaluated("beta", beta_of),
    lambda t, x, y, out: mul(t, mul(out, sub(digamma(x), digamma(add(x, y))))),
    lambda t, x, y, out: mul(t, mul(out, sub(digamma(y), digamma(add(x, y))))),
)
beta = beta_p.function

betaln_p = Elementwise(
    "betaln",
    evaluated("betaln", log_beta),
    lambda t, x, y: mul(t, sub(digamma(x), digamma(add(x, y)))),
    lambda t, x, y: mul(t, sub(digamma(y), digamma(add(x, y)))),
)
betaln: Callable[..., Any] = betaln_p.function


# poch: for small integers m a product, which is right at the poles of the gamma functions too

_FACTORS = 24


def _poch(x: Block, m: Block) -> Block:
    product = (m == np.rint(m)) & (np.abs(m) <= _FACTORS)
    total = x + m
    low, high = _is_pole(x) & ~product, _is_pole(total) & ~product
    rest = ~product & ~low & ~high
    moderate = (np.abs(x) < 150.0) & (np.abs(total) < 150.0)
    positive = (x > 0) & (total > 0)
    return pieces(
        (x, m),
        (product, _poch_product),
        (low & ~high & np.isfinite(m), lambda x, m: np.zeros_like(x)),
        (high & ~low, lambda x, m: np.full_like(x, np.inf)),
        # x and x + m are 0, -1, ...: DLMF 5.5.3 leaves (-1)**m Gamma(1 - x) / Gamma(1 - x - m)
        (low & high, lambda x, m: np.where(m % 2 == 0, 1.0, -1.0) * _poch(1.0 - x - m, m)),
        (rest & positive & ((x >= _LARGE) & (total >= _LARGE) | ~moderate), lambda x, m: np.exp(_log_poch(x, m))),
        (rest & moderate & ~(positive & (x >= _LARGE) & (total >= _LARGE)), lambda x, m: gamma_of(x + m) / gamma_of(x)),
        (
            rest & ~moderate & ~positive & np.isfinite(total),
            lambda x, m: gamma_sign(x + m) * gamma_sign(x) * np.exp(log_gamma(x + m) - log_gamma(x)),
        ),
    )


def _poch_product(x: Block, m: Block) -> Block:
    out = np.ones_like(x)
    for k in range(int(np.abs(m).max())):
        out = np.where(k < m, out * (x + k), np.where(k < -m, out / (x - (k + 1.0)), out))
    return out


def _log_poch(x: Block, m: Block) -> Block:
    """``log Gamma(x + m) - log Gamma(x)`` for positive x and x + m."""
    low, rise = np.where(m >= 0, x, x + m), np.abs(m)
    difference = pieces(
        (low, rise),
        (low >= _LARGE, lambda b, a: -_log_ratio_large(b, a)),
        (low < _LARGE, lambda b, a: log_gamma(a + b) - log_gamma(b)),
    )
    return np.where(m >= 0, difference, -difference)


poch_p = Elementwise(
    "poch",
    evaluated("poch", _poch),
    lambda t, x, y, out: mul(t, mul(out, sub(digamma(add(x, y)), digamma(x)))),
    lambda t, x, y, out: mul(t, mul(out, digamma(add(x, y)))),
)
poch = poch_p.function


# binom


def _binom(n: Block, k: Block) -> Block:
    product = (k == np.rint(k)) & (k >= 0) & (k <= _FACTORS)
    zero = (k == np.rint(k)) & (k < 0)
    pole = _is_pole(n) & (n < 0)
    inside = (n >= 0) & (k >= 0) & (k <= n)
    rest = ~pole & ~product & ~zero & np.isfinite(n) & np.isfinite(k)
    return pieces(
        (n, k),
        (product & ~pole & np.isfinite(n), _binom_product),
        (zero & ~pole & np.isfinite(n), lambda n, k: np.zeros_like(n)),
        (rest & inside, _binom_inside),
        (rest & ~inside, _binom_outside),
    )


def _binom_inside(n: Block, k: Block) -> Block:
    low = np.minimum(k, n - k)
    high = n - low + 1.0
    value = pieces(
        (low, high),
        (high < _LARGE, lambda a, b: gamma_of(a + b) / (gamma_of(b) * gamma_of(a + 1.0))),
        ((high >= _LARGE) & (low < 20.0), lambda a, b: np.exp(-_log_ratio_large(b, a)) / gamma_of(a + 1.0)),
        ((high >= _LARGE) & (low >= 20.0), lambda a, b: 1.0 / ((a + b) * beta_of(b, a + 1.0))),
    )
    return np.where((n == np.rint(n)) & (k == np.rint(k)) & (value < 1e15), np.rint(value), value)


def _binom_product(n: Block, k: Block) -> Block:
    out = np.ones_like(n)
    for j in range(1, int(k.max()) + 1):
        out = np.where(j <= k, out * ((n - k + j) / j) if j > 1 else out * (n - k + 1.0), out)
    return np.where(n == np.rint(n), np.rint(out), out)


def _binom_outside(n: Block, k: Block) -> Block:
    """For k outside of [0, n], where one of the gamma functions has a negative argument, or a pole: then 0."""
    rest = n - k
    zero = ((rest < 0) & (rest == np.rint(rest))) | ((k < 0) & (k == np.rint(k)))
    sign = gamma_sign(n + 1.0) * gamma_sign(k + 1.0) * gamma_sign(rest + 1.0)
    value = sign * np.exp(log_gamma(n + 1.0) - log_gamma(k + 1.0) - log_gamma(rest + 1.0))
    return np.where(zero, 0.0, value)


binom_p = Elementwise(
    "binom",
    evaluated("binom", _binom),
    lambda t, x, y, out: mul(t, mul(out, sub(digamma(add(x, 1)), digamma(add(sub(x, y), 1))))),
    lambda t, x, y, out: mul(t, mul(out, sub(digamma(add(sub(x, y), 1)), digamma(add(y, 1))))),
)
binom = binom_p.function

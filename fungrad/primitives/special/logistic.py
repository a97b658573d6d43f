"""The logistic function and its kin, and the terms of entropies.

expit(x) = 1 / (1 + exp(-x)),  log_expit = log(expit),  logit(p) = log(p / (1 - p))
xlogy(x, y) = x log(y),  xlog1py(x, y) = x log(1 + y),  both 0 for x = 0 whatever y is
entr(x) = -x log(x),  rel_entr(x, y) = x log(x / y),  kl_div(x, y) = rel_entr(x, y) - x + y
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import add, div, log, mul, neg, sub
from fungrad.primitives.comparison import equal, logical_and
from fungrad.primitives.exponential import log1p
from fungrad.primitives.selection import where
from fungrad.primitives.special.evaluate import Block, evaluated, pieces


def _expit(x: Block) -> Block:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _log_expit(x: Block) -> Block:
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def _logit(p: Block) -> Block:
    return pieces(
        (p,),
        # 2p - 1 is exact: log((1 + u) / (1 - u)) for u = 2p - 1
        ((p >= 0.25) & (p <= 0.75), lambda p: 2.0 * np.arctanh(2.0 * p - 1.0)),
        ((p < 0.25) | (p > 0.75), lambda p: np.log(p / (1.0 - p))),
    )


# expit' = expit(x) expit(-x): 1 - out would cancel

expit_p = Elementwise("expit", evaluated("expit", _expit), lambda t, x, out: mul(t, mul(out, expit(neg(x)))))
expit: Callable[..., Any] = expit_p.function

log_expit_p = Elementwise("log_expit", evaluated("log_expit", _log_expit), lambda t, x: mul(t, expit(neg(x))))
log_expit = log_expit_p.function

logit_p = Elementwise("logit", evaluated("logit", _logit), lambda t, x: div(t, mul(x, sub(1, x))))
logit = logit_p.function


# x log(y). Where x = 0 and y = 0 the derivative in y is taken as 0; that in x is -inf, as it is on the way there.


def _quotient(x: Any, y: Any) -> Any:
    """``x / y``, 0 where both are 0."""
    zero = logical_and(equal(x, 0), equal(y, 0))
    return div(x, where(zero, 1, y))


def _xlog(log: Callable[[Any], Any]) -> Callable[..., Any]:
    def impl(x: Any, y: Any) -> Any:
        dtype = np.result_type(x, y)
        if dtype.kind in "biu":
            dtype = np.dtype(np.float64)
        x, y = np.asarray(x, dtype), np.asarray(y, dtype)
        with np.errstate(all="ignore"):
            return np.where((x == 0) & ~np.isnan(y), 0, x * log(y))[()]

    return impl


xlogy_p = Elementwise("xlogy", _xlog(np.log), lambda t, y: mul(t, log(y)), lambda t, x, y: mul(t, _quotient(x, y)))
xlogy = xlogy_p.function

xlog1py_p = Elementwise(
    "xlog1py", _xlog(np.log1p), lambda t, y: mul(t, log1p(y)), lambda t, x, y: mul(t, _quotient(x, add(y, 1)))
)
xlog1py = xlog1py_p.function


# entropies; inf (entr: -inf) outside of the domain


def _entr(x: Block) -> Block:
    return np.where(x < 0, -np.inf, np.where(x == 0, 0.0, -x * np.log(np.where(x > 0, x, 1.0)))) + np.where(
        np.isnan(x), x, 0.0
    )


def _log_ratio(x: Block, y: Block) -> Block:
    """``log(x / y)`` for positive numbers: near 1 by log1p, and without overflow of the quotient."""
    difference = x - y
    near = np.abs(difference) < 0.5 * y
    ratio = x / y
    safe = (ratio > 1e-300) & (ratio < 1e300)
    far = np.where(safe, np.log(np.where(safe, ratio, 1.0)), np.log(x) - np.log(y))
    return np.where(near, np.log1p(np.where(near, difference / y, 0.0)), far)


def _rel_entr(x: Block, y: Block) -> Block:
    return pieces(
        (x, y),
        ((x > 0) & (y > 0), lambda x, y: x * _log_ratio(x, y)),
        ((x == 0) & (y >= 0), lambda x, y: np.zeros_like(x)),
        (np.isnan(x) | np.isnan(y), lambda x, y: np.full_like(x, np.nan)),
        otherwise=np.inf,
    )


def _kl_div(x: Block, y: Block) -> Block:
    return pieces(
        (x, y),
        ((x > 0) & (y > 0), lambda x, y: x * _log_ratio(x, y) - (x - y)),
        ((x == 0) & (y >= 0), lambda x, y: y.copy()),
        (np.isnan(x) | np.isnan(y), lambda x, y: np.full_like(x, np.nan)),
        otherwise=np.inf,
    )


entr_p = Elementwise("entr", evaluated("entr", _entr), lambda t, x: mul(t, sub(neg(log(x)), 1)))
entr = entr_p.function

rel_entr_p = Elementwise(
    "rel_entr",
    evaluated("rel_entr", _rel_entr),
    lambda t, x, y: mul(t, add(sub(log(x), log(y)), 1)),
    lambda t, x, y: neg(mul(t, _quotient(x, y))),
)
rel_entr = rel_entr_p.function

kl_div_p = Elementwise(
    "kl_div",
    evaluated("kl_div", _kl_div),
    lambda t, x, y: mul(t, sub(log(x), log(y))),
    lambda t, x, y: mul(t, sub(1, _quotient(x, y))),
)
kl_div = kl_div_p.function

"""The incomplete beta function.

    betainc(a, b, x) = I_x(a, b) = integral of u**(a-1) (1-u)**(b-1) over u from 0 to x, over B(a, b)   DLMF 8.17.2

For x < (a+1)/(a+b+2) by a continued fraction (DiDonato and Morris, "Algorithm 708", ACM TOMS 18 (1992), eq. 9), else
as 1 - I_(1-x)(b, a). The number of its steps grows as the square root of the larger of a and b. The factor
x**a (1-x)**b / B(a, b) of large a and b is written with the deviances from x = a/(a+b) (Loader, "Fast and accurate
computation of binomial probabilities", 2000).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import add, div, log, mul, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.exponential import log1p
from fungrad.primitives.selection import where
from fungrad.primitives.special.beta import beta_of
from fungrad.primitives.special.evaluate import Block, evaluated, no_rule, pieces
from fungrad.primitives.special.gamma import binet, digamma
from fungrad.primitives.special.incomplete_gamma import lentz, log1p_rest


def _prefix(a: Block, b: Block, x: Block) -> Block:
    """``x**a (1-x)**b / B(a, b)``."""
    large = (a >= 2.5) & (b >= 2.5)
    return pieces(
        (a, b, x),
        (large, _prefix_large),
        (~large, lambda a, b, x: np.power(x, a) * np.exp(b * np.log1p(-x)) / beta_of(a, b)),
    )


def _prefix_large(a: Block, b: Block, x: Block) -> Block:
    total = a + b
    difference = x * b - (1.0 - x) * a  # of x from a / (a + b), times a + b
    exponent = a * log1p_rest(difference / a, x * (total / a))
    exponent += b * log1p_rest(-difference / b, (1.0 - x) * (total / b))
    rest = (binet(total) - binet(a)) - binet(b)
    return np.sqrt(a / total * b / (2 * math.pi)) * np.exp(rest - exponent)


def _fraction(a: Block, b: Block, x: Block, y: Block, slack: Block) -> Block:
    """The continued fraction of I_x(a, b) without the factor; y = 1 - x, slack = a - (a + b) x."""
    total = a + b

    def step(n: int) -> tuple[Block, Block]:
        odd = a + (2.0 * n - 1.0)
        middle = n * (b - n) * x / odd
        return (a + (n - 1.0)) * (total + (n - 1.0)) * middle * x / odd, n + middle + (a + n) / (odd + 2.0) * (
            slack + 1.0 + n * (1.0 + y)
        )

    return lentz(a / (a + 1.0) * (slack + 1.0), step)


def _inside(a: Block, b: Block, x: Block) -> Block:
    # For b < 1 the result may be small to the right of the mean too, and then the complement of 1 cancels.
    low = (x < (a + 1.0) / (a + b + 2.0)) | ((b < 1.0) & (x < 0.97))
    return pieces(
        (a, b, x),
        (low, lambda a, b, x: _prefix(a, b, x) * _fraction(a, b, x, 1.0 - x, (1.0 - x) * a - x * b)),
        (~low, lambda a, b, x: 1.0 - _prefix(a, b, x) * _fraction(b, a, 1.0 - x, x, x * b - (1.0 - x) * a)),
    )


def _betainc(a: Block, b: Block, x: Block) -> Block:
    proper = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b) & (x >= 0) & (x <= 1)
    return pieces(
        (a, b, x),
        (proper & (x > 0) & (x < 1), _inside),
        ((a >= 0) & (b >= 0) & (a + b > 0) & ((x == 0) | (x == 1)), lambda a, b, x: x.copy()),
        ((a == 0) & (b > 0) & (x > 0) & (x < 1), lambda a, b, x: np.ones_like(x)),
        ((a > 0) & (b == 0) & (x > 0) & (x < 1), lambda a, b, x: np.zeros_like(x)),
    )


def _density(a: Block, b: Block, x: Block) -> Block:
    inside = (a > 0) & (b > 0) & (x > 0) & (x < 1)
    return pieces(
        (a, b, x),
        (inside, lambda a, b, x: _prefix(a, b, x) / x / (1.0 - x)),
        ((a > 0) & (b > 0) & (x == 0), lambda a, b, x: np.where(a < 1, np.inf, np.where(a == 1, b, 0.0))),
        ((a > 0) & (b > 0) & (x == 1), lambda a, b, x: np.where(b < 1, np.inf, np.where(b == 1, a, 0.0))),
    )


def _quotient(exponent: Any, base: Any) -> Any:
    """``(exponent - 1) / base``, 0 for exponent 1 even where the base is 0."""
    flat = equal(exponent, 1)
    return div(where(flat, 0, sub(exponent, 1)), where(flat, 1, base))


def _density_by_point(t: Any, x: Any, y: Any, z: Any, out: Any) -> Any:
    return mul(t, mul(out, sub(_quotient(x, z), _quotient(y, sub(1, z)))))


def _density_by_first(t: Any, x: Any, y: Any, z: Any, out: Any) -> Any:
    return mul(t, mul(out, add(log(z), sub(digamma(add(x, y)), digamma(x)))))


def _density_by_second(t: Any, x: Any, y: Any, z: Any, out: Any) -> Any:
    return mul(t, mul(out, add(log1p(mul(z, -1)), sub(digamma(add(x, y)), digamma(y)))))


# the density x**(a-1) (1-x)**(b-1) / B(a, b): a primitive for its accuracy at large a and b

beta_density_p = Elementwise(
    "beta_density", evaluated("beta_density", _density), _density_by_first, _density_by_second, _density_by_point
)
beta_density = beta_density_p.function

_INSTEAD = "it differentiates in x. Keep a and b out of the differentiated arguments"

betainc_p = Elementwise(
    "betainc",
    evaluated("betainc", _betainc),
    no_rule("betainc(a, b, x)", "a", _INSTEAD),
    no_rule("betainc(a, b, x)", "b", _INSTEAD),
    lambda t, x, y, z: mul(t, beta_density(x, y, z)),
)
betainc = betainc_p.function

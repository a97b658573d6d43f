"""The zeta functions of Hurwitz and Riemann.

    zeta(s, q) = sum of (q + k)**-s over k = 0, 1, ...   for s > 1             DLMF 25.11.1
    zeta(s) = zeta(s, 1), continued to all s but 1                             DLMF 25.2

Both by the formula of Euler and Maclaurin (DLMF 25.11.28, 25.2.10): terms up to where q + k >= 10, and there

    a**(1-s) / (s-1) + a**-s / 2 + sum of B_2j / (2j)! s (s+1) ... (s+2j-2) a**(1-s-2j)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import add, mul, neg
from fungrad.primitives.special.evaluate import Block, evaluated, no_rule, pieces, polynomial, sin_pi

_START = 10.0

# (s - 1) zeta(s) in powers of s for s in [-1, 1]
_NEAR_POLE = (
    0.5,
    0.4189385332046727,
    0.08423969474961969,
    -0.0023930334772497845,
    -0.0009058949764712667,
    0.0001226413957467729,
    -6.397503063066629e-07,
    -1.4697618283558975e-06,
    1.7438050162288002e-07,
    -4.853688813085974e-09,
    -1.0607156538776793e-09,
    1.5914605429541434e-10,
    -9.367859859717296e-12,
    -1.3194218198383107e-13,
    7.311260318251878e-14,
)


def _bernoulli(count: int) -> list[Fraction]:
    """B_0, B_1, ... by their recurrence (DLMF 24.5.3)."""
    numbers: list[Fraction] = []
    for n in range(count):
        rest = sum((math.comb(n + 1, k) * b for k, b in enumerate(numbers)), Fraction(0))
        numbers.append(Fraction(1) if n == 0 else -rest / (n + 1))
    return numbers


_MACLAURIN = tuple([float(b / math.factorial(2 * j)) for j, b in enumerate(_bernoulli(34)[2::2], start=1)])


def _power(a: Block, s: Block) -> Block:
    """``a**-s``; of small integers, which derivatives of the gamma function have, by multiplications."""
    n = s[0]
    if n in (1.0, 2.0, 3.0, 4.0) and (s == n).all():
        r = 1.0 / a
        square = r * r
        return {1.0: r, 2.0: square, 3.0: square * r, 4.0: square * square}[n]
    return np.power(a, -s)


def _rest(s: Block, a: Block) -> Block:
    """The sum from a on, for a >= 10 or where the terms decrease as fast."""
    power = _power(a, s)
    r = 1.0 / a
    square = r * r
    factor = s * r
    total = np.zeros_like(a)
    for j, c in enumerate(_MACLAURIN, start=1):
        term = c * factor
        total += term
        if np.all(np.abs(term) <= 1e-17 * np.abs(total)):
            break
        factor *= (s + (2 * j - 1)) * (s + 2 * j) * square
    return power * (total + 0.5 + a / (s - 1.0))


def _hurwitz_sum(s: Block, q: Block) -> Block:
    total, a = np.zeros_like(q), q
    while True:
        short = a < _START
        if not short.any():
            break
        if short.all():
            total = total + _power(a, s)
            a = a + 1.0
        else:
            total[short] += _power(a[short], s[short])
            a = np.where(short, a + 1.0, a)
    return total + _rest(s, a)


def _hurwitz_large(s: Block, q: Block) -> Block:
    """For s > 12: terms until they are negligible or the remainder's series is short."""
    total, a = np.zeros_like(q), q.copy()
    steps = 0
    while steps < 400:
        more = (a < s) & ((a / q) ** -s > 1e-18)
        if not more.any():
            break
        total = np.where(more, total + (a / q) ** -s, total)
        a = np.where(more, a + 1.0, a)
        steps += 1
    rest = np.where((a / q) ** -s > 1e-18, _rest(s, a) * np.power(q, s), 0.0)
    return np.power(q, -s) * (total + np.where(np.isfinite(rest), rest, 0.0))


def _hurwitz(s: Block, q: Block) -> Block:
    proper = (s > 1.0) & np.isfinite(s)
    pole = (s > 1.0) & (q <= 0.0) & (q == np.floor(q))
    negative = proper & (q < 0.0) & ~pole & (s == np.floor(s)) & (q > -1e6)
    large = s > 12.0
    return pieces(
        (s, q),
        (s == 1.0, lambda s, q: np.full_like(q, np.inf)),
        (pole, lambda s, q: np.full_like(q, np.inf)),
        (proper & (q > 0.0) & (q < 1e9) & ~large, _hurwitz_sum),
        (proper & (q > 0.0) & (q < 1e9) & large, _hurwitz_large),
        (proper & (q >= 1e9), lambda s, q: (1.0 / (s - 1.0) + 1.0 / (2.0 * q)) * np.power(q, 1.0 - s)),
        (negative, _hurwitz_negative),
        (np.isposinf(s) & (q > 0), lambda s, q: np.where(q > 1.0, 0.0, np.where(q == 1.0, 1.0, np.inf))),
    )


def _hurwitz_negative(s: Block, q: Block) -> Block:
    """For integers s: the terms with a negative base have a sign."""
    total, a = np.zeros_like(q), q
    odd = s % 2 == 1
    while True:
        negative = a < 0.0
        if not negative.any():
            break
        term = np.where(negative, _power(np.where(negative, -a, 1.0), s), 0.0)
        total = total + np.where(odd, -term, term)
        a = np.where(negative, a + 1.0, a)
    return total + _hurwitz_sum(s, a)


def _riemann(s: Block) -> Block:
    return pieces(
        (s,),
        (s > 1.0, lambda s: _hurwitz(s, np.ones_like(s))),
        ((s >= -1.0) & (s < 1.0), lambda s: polynomial(_NEAR_POLE, s) / (s - 1.0)),
        (s == 1.0, lambda s: np.full_like(s, np.inf)),
        ((s < -1.0) & (s > -400.0), _riemann_reflected),
        (s <= -400.0, lambda s: np.where(s % 2 == 0, 0.0, np.copysign(np.inf, sin_pi(s / 2)))),
    )


def _riemann_reflected(s: Block) -> Block:
    """DLMF 25.4.1: ``2 (2 pi)**(s-1) sin(pi s / 2) Gamma(1-s) zeta(1-s)``, Gamma by Stirling's formula."""
    x = 1.0 - s
    start = 10.0
    shift = np.where(x < start, np.ceil(start - x), 0.0)
    a = x + shift
    rising = np.ones_like(x)
    for k in range(10):
        rising = np.where(k < shift, rising * (x + k), rising)
    series = np.zeros_like(a)
    for j in range(8, 0, -1):
        series = series / (a * a) + _MACLAURIN[j - 1] * math.factorial(2 * j - 2)
    half = np.power(a / (2 * math.pi * math.e), 0.5 * (a - 0.5))
    gamma = half * np.exp(series / a) / rising * np.power(2 * math.pi, shift)
    return 2.0 * math.exp(-0.5) * sin_pi(s / 2) * _riemann(x) * gamma * half


# d zeta(s, q) / dq = -s zeta(s + 1, q), DLMF 25.11.17

zeta_p = Elementwise(
    "zeta",
    evaluated("zeta", _hurwitz),
    no_rule("zeta(s, q)", "its order s (the first operand)", "it differentiates in q"),
    lambda t, x, y: neg(mul(t, mul(x, zeta(add(x, 1), y)))),
)
zeta: Callable[..., Any] = zeta_p.function

riemann_zeta_p = Elementwise(
    "riemann_zeta", evaluated("zeta", _riemann), no_rule("zeta(s)", "s", "keep s out of the differentiated arguments")
)
riemann_zeta = riemann_zeta_p.function

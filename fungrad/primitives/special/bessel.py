"""The modified Bessel functions of the first kind of orders 0 and 1, and the same times exp(-|x|).

    I_n(x) = (x/2)**n * sum of (x**2/4)**k / (k! (n + k)!) over k = 0, 1, ...    DLMF 10.25.2

The sum has positive terms and is used as it stands for |x| <= 8; beyond, sqrt(x) exp(-x) I_n(x) is a smooth function
of 1/x (DLMF 10.40.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, mul, neg, sub
from fungrad.primitives.comparison import less
from fungrad.primitives.exponential import exp, square
from fungrad.primitives.rounding import abs, sign
from fungrad.primitives.selection import where
from fungrad.primitives.special.evaluate import Block, evaluated, pieces, polynomial, power_series, unit

_I0_NEAR = tuple([1.0 / math.factorial(k) ** 2 for k in range(28)])
_I1_NEAR = tuple([1.0 / (math.factorial(k) * math.factorial(k + 1)) for k in range(28)])

# sqrt(x) exp(-x) I_n(x) as functions of 1/x for x >= 8
_I0_FAR = (
    0.4021765094450081,
    0.0033605519836678614,
    0.0001362160743919305,
    1.1143033790932038e-05,
    1.4838475658279249e-06,
    2.9735985885673923e-07,
    8.872219737904054e-08,
    3.932584334552952e-08,
    2.1548377974791598e-08,
    7.554691881248808e-09,
    -6.747657956107524e-09,
    -1.340891754008974e-08,
    -5.404771567579958e-09,
    7.552583062123384e-09,
    7.430464650325426e-09,
    -3.505966530879332e-09,
    -5.95356943826489e-09,
    1.5200816953924232e-09,
    3.6379546359011143e-09,
    -5.715843864202709e-10,
    -1.618980683624682e-09,
    1.5279202694981569e-10,
    4.577087631643623e-10,
    -2.0260604287413626e-11,
    -6.067631570603006e-11,
)
_I1_FAR = (
    0.38939845902587233,
    -0.00974957719323576,
    -0.00021923576383388928,
    -1.503854719814553e-05,
    -1.8349101326980946e-06,
    -3.4838565069237384e-07,
    -1.0001288294864884e-07,
    -4.312811174972107e-08,
    -2.337392820814264e-08,
    -8.436290430234562e-09,
    6.734464815301592e-09,
    1.4076395500755014e-08,
    5.974437608040264e-09,
    -7.778592763970399e-09,
    -7.888351507862078e-09,
    3.7219797447255018e-09,
    6.242741219786445e-09,
    -1.8736450470066097e-09,
    -3.794670896208339e-09,
    9.568523624905203e-10,
    1.6848984479705146e-09,
    -4.086984233473255e-10,
    -4.758818838703853e-10,
    1.161813630287145e-10,
    6.305965197150057e-11,
    -1.5626599071977848e-11,
)


def _near(order: int, x: Block) -> Block:
    half = 0.5 * x
    return polynomial(_I1_NEAR, half * half) * half if order else polynomial(_I0_NEAR, half * half)


def _far(order: int, x: Block) -> Block:
    """``exp(-|x|) I_n(x)`` for |x| > 8."""
    size = np.abs(x)
    value = polynomial(_I1_FAR if order else _I0_FAR, unit(1.0 / size, 0.0, 0.125)) / np.sqrt(size)
    return np.copysign(value, x) if order else value


def _far_unscaled(order: int, x: Block) -> Block:
    root = np.exp(0.5 * np.abs(x))  # in two steps: exp(x) overflows before I_n(x) does
    return root * _far(order, x) * root


def _bessel(order: int, x: Block) -> Block:
    size = np.abs(x)
    return pieces(
        (x,),
        (size <= 8.0, lambda x: _near(order, x)),
        ((size > 8.0) & (size < 720.0), lambda x: _far_unscaled(order, x)),
        (size >= 720.0, lambda x: np.copysign(np.inf, x) if order else np.full_like(x, np.inf)),
    )


def _bessel_scaled(order: int, x: Block) -> Block:
    size = np.abs(x)
    return pieces(
        (x,),
        (size <= 8.0, lambda x: _near(order, x) * np.exp(-np.abs(x))),
        ((size > 8.0) & (size < np.inf), lambda x: _far(order, x)),
        (np.isinf(x), lambda x: np.copysign(0.0, x) if order else np.zeros_like(x)),
    )


# I_0' = I_1, I_1' = I_0 - I_1 / x (DLMF 10.29.3, 10.29.2). Near 0 the quotient is 1/2 + x**2/16 + ...; the scaled
# functions have a kink at 0, where sign(x) counts as 0.


_SERIES = (1 / 2, 1 / 16, 1 / 384, 1 / 18432, 1 / 1474560)


def _by_argument(x: Any, out: Any) -> Any:
    """``I_1(x) / x``, by its series for small x, so that derivatives are right at 0; ``out`` is I_1."""
    near = less(square(x), 1e-4)
    return where(near, power_series(_SERIES, square(where(near, x, 0))), div(where(near, 0, out), where(near, 1, x)))


def _by_argument_scaled(x: Any, out: Any) -> Any:
    near = less(square(x), 1e-4)
    small = where(near, x, 0)
    series = mul(power_series(_SERIES, square(small)), exp(neg(abs(small))))
    return where(near, series, div(where(near, 0, out), where(near, 1, x)))


i0_p = Elementwise("i0", evaluated("i0", lambda x: _bessel(0, x)), lambda t, x: mul(t, i1(x)))
i0 = i0_p.function

i1_p = Elementwise(
    "i1", evaluated("i1", lambda x: _bessel(1, x)), lambda t, x, out: mul(t, sub(i0(x), _by_argument(x, out)))
)
i1: Callable[..., Any] = i1_p.function

i0e_p = Elementwise(
    "i0e",
    evaluated("i0e", lambda x: _bessel_scaled(0, x)),
    lambda t, x, out: mul(t, sub(i1e(x), mul(sign(x), out))),
)
i0e = i0e_p.function

i1e_p = Elementwise(
    "i1e",
    evaluated("i1e", lambda x: _bessel_scaled(1, x)),
    lambda t, x, out: mul(t, sub(sub(i0e(x), _by_argument_scaled(x, out)), mul(sign(x), out))),
)
i1e: Callable[..., Any] = i1e_p.function

"""Error functions and the normal distribution: erf, erfc, erfcx and their inverses, ndtr, log_ndtr, ndtri.

    erf(x) = 2/sqrt(pi) * integral of exp(-u**2) over u from 0 to x         DLMF 7.2.1
    erfc = 1 - erf,  erfcx(x) = exp(x**2) erfc(x),  ndtr(x) = erfc(-x/sqrt(2)) / 2

All tails come from erfcx, which one polynomial gives for all x >= 0 (Shepherd and Laframboise, "Chebyshev approximation
of (1 + 2x) exp(x**2) erfc x", Math. Comp. 36 (1981); here with t = (x - 3) / (x + 3)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, mul, neg, sub
from fungrad.primitives.comparison import greater
from fungrad.primitives.exponential import exp, square
from fungrad.primitives.selection import where
from fungrad.primitives.special.evaluate import (
    Block,
    evaluated,
    exp_minus_square,
    pieces,
    polynomial,
    power_series,
    unit,
)

_SQRT_HALF, _SQRT_TWO = math.sqrt(0.5), math.sqrt(2.0)
_TWO_BY_SQRT_PI, _HALF_SQRT_PI = 2 / math.sqrt(math.pi), math.sqrt(math.pi) / 2
_DENSITY, _ROOT_TWO_PI, _RATIO = 1 / math.sqrt(2 * math.pi), math.sqrt(2 * math.pi), math.sqrt(2 / math.pi)

# erf(x) / x in powers of u = x**2 for u in [0, 1]
_ERF = (
    1.1283791670955126,
    -0.3761263890318375,
    0.11283791670954882,
    -0.026866170645077334,
    0.005223977624823223,
    -0.0008548326981129666,
    0.00012055331122299266,
    -1.4925595519506043e-05,
    1.6461004480962034e-06,
    -1.6350354461959655e-07,
    1.4660051998394848e-08,
    -1.1373902296430911e-09,
    5.958930743134941e-11,
)

# (1 + 2x) erfcx(x) for x in [0, inf), in powers of t = (x - 3) / (x + 3)
_ERFCX = (
    1.2530080582697296,
    -0.1356211061245812,
    -0.0475622943534492,
    0.12964515870276475,
    -0.11927366341538638,
    0.06830802734384515,
    -0.02377051491717134,
    0.0025293918180474668,
    0.0018886903449991718,
    -0.0007798322884823084,
    -0.00010515971958448065,
    0.0001250994355712812,
    4.949196649968345e-06,
    -2.0100843094844725e-05,
    -7.308281468783614e-07,
    3.473024167841533e-06,
    3.5576086684080595e-07,
    -6.175617678992323e-07,
    -1.4047654315428462e-07,
    1.0277997488271058e-07,
    4.1064013667940355e-08,
    -1.3906145791730994e-08,
    -8.217595058711455e-09,
    1.2019719440135793e-09,
    8.393734858690877e-10,
    -3.451497487664328e-11,
)


def _erf_small(x: Block) -> Block:
    return x * polynomial(_ERF, x * x)


def _erfcx_positive(x: Block) -> Block:
    return polynomial(_ERFCX, (x - 3.0) / (x + 3.0)) / (1.0 + 2.0 * x)


def _erfc_positive(x: Block) -> Block:
    return exp_minus_square(x) * _erfcx_positive(x)


def _erf(x: Block) -> Block:
    size = np.abs(x)
    return pieces(
        (x,),
        (size < 1.0, _erf_small),
        ((size >= 1.0) & (size < 6.0), lambda x: np.copysign(1.0 - _erfc_positive(np.abs(x)), x)),
        (size >= 6.0, lambda x: np.copysign(1.0, x)),
    )


def erfc_of(x: Block) -> Block:
    """``erfc(x)``."""
    return pieces(
        (x,),
        (np.abs(x) < 0.5, lambda x: 1.0 - _erf_small(x)),
        ((x >= 0.5) & (x < 30.0), _erfc_positive),
        (x >= 30.0, np.zeros_like),
        ((x <= -0.5) & (x > -6.0), lambda x: 2.0 - _erfc_positive(-x)),
        (x <= -6.0, lambda x: np.full_like(x, 2.0)),
    )


def _erfcx_negative(x: Block) -> Block:
    high = np.trunc(x * 65536.0) / 65536.0
    return 2.0 * np.exp(high * high) * np.exp((x - high) * (x + high)) - _erfcx_positive(-x)


def _erfcx(x: Block) -> Block:
    return pieces(
        (x,),
        ((x >= 0) & (x < 1e10), _erfcx_positive),
        (x >= 1e10, lambda x: (_TWO_BY_SQRT_PI / 2) / x),
        ((x < 0) & (x > -30.0), _erfcx_negative),
        (x <= -30.0, lambda x: np.full_like(x, np.inf)),
    )


# inverses: q = erfc(z) as z = w f(1/w) with w = sqrt(-log q), f close to 1

# erfinv(y) / y in powers of (y**2 - 0.125) / 0.125 for |y| <= 0.5
_ERFINV = (
    0.9174083670522701,
    0.03356743029704948,
    0.0026140273452602476,
    0.0002522747551744835,
    2.697700101543171e-05,
    3.063743625042923e-06,
    3.6198638117747397e-07,
    4.398277107297447e-08,
    5.45663287400155e-09,
    6.87947841959413e-10,
    8.772059005647083e-11,
    1.1316232483758686e-11,
    1.5684593709957392e-12,
    2.0671742197483168e-13,
)

# z / w as a function of 1/w for w in [0.8, 1.4], [1.4, 4] and [4, 28], which is q > 3e-341
_TAIL_NEAR = (
    0.6428490889136234,
    -0.09256861875355588,
    0.008615816880405065,
    3.0290150488745523e-06,
    -0.0001986069148026471,
    4.7834611429123955e-05,
    -7.06981319987652e-06,
    6.8614592879524e-07,
    -3.396520233385809e-08,
    5.357486036733609e-10,
    -9.943787698868263e-10,
    5.075820502771754e-10,
    -1.4382812554932706e-10,
    3.024823492314805e-11,
    -5.693159214804814e-12,
    1.425979110765535e-12,
    -3.2264261654371384e-13,
)
_TAIL_MIDDLE = (
    0.8417901530819611,
    -0.1000448939253564,
    -0.00025815951556999267,
    0.0028954428964463137,
    -0.0007030302006338768,
    0.00011171117533891887,
    -1.8814097395343983e-05,
    5.219155384000319e-06,
    -1.8466152864936726e-06,
    6.439612920799734e-07,
    -2.211132670375747e-07,
    7.754200097895699e-08,
    -2.805773689357252e-08,
    1.0376838506338947e-08,
    -3.791113132544219e-09,
    1.4358802155980127e-09,
    -6.977043016911843e-10,
    2.8993719520043574e-10,
    -1.3664927339121414e-11,
    -4.789235569397119e-13,
    -4.303126016253385e-11,
    1.890431756142135e-11,
)
_TAIL_FAR = (
    0.9741292059350768,
    -0.03129606169054451,
    -0.0061505214250228675,
    0.001365554081257761,
    -0.000265957982830249,
    7.89955539145322e-05,
    -3.0357856023228902e-05,
    1.3091064159039913e-05,
    -6.127969438567346e-06,
    3.0584877575840944e-06,
    -1.6036006498639703e-06,
    8.76033472244547e-07,
    -4.942586519448724e-07,
    2.7227050765850065e-07,
    -1.51678677478082e-07,
    1.4677147253040452e-07,
    -1.1943484548852125e-07,
    -1.0347647993170076e-07,
    1.4000140373173926e-07,
    3.261650676120422e-07,
    -3.4668389215546243e-07,
    -4.957543047827134e-07,
    5.085225310566325e-07,
    5.886456616574195e-07,
    -5.696322681450122e-07,
    -4.829817272057877e-07,
    4.467983779748188e-07,
    2.698666737969067e-07,
    -2.388789090794641e-07,
    -9.10788239435822e-08,
    7.752347294685118e-08,
    1.4605355913218452e-08,
    -1.1932702752997915e-08,
)


def _erfcinv_tail(q: Block) -> Block:
    """The z > 0 with erfc(z) = q for 0 < q <= 0.5."""
    w = np.sqrt(-np.log(q))
    return w * pieces(
        (1.0 / w,),
        (w < 1.4, lambda v: polynomial(_TAIL_NEAR, unit(v, 1 / 1.4, 1 / 0.8))),
        ((w >= 1.4) & (w < 4.0), lambda v: polynomial(_TAIL_MIDDLE, unit(v, 1 / 4.0, 1 / 1.4))),
        (w >= 4.0, lambda v: polynomial(_TAIL_FAR, unit(v, 1 / 28.0, 1 / 4.0))),
    )


def _erfinv_central(y: Block) -> Block:
    return y * polynomial(_ERFINV, unit(y * y, 0.0, 0.25))


def _erfinv(y: Block) -> Block:
    size = np.abs(y)
    return pieces(
        (y,),
        (size <= 0.5, _erfinv_central),
        ((size > 0.5) & (size < 1.0), lambda y: np.copysign(_erfcinv_tail(1.0 - np.abs(y)), y)),
        (size == 1.0, lambda y: np.copysign(np.inf, y)),
    )


def _erfcinv(q: Block) -> Block:
    return pieces(
        (q,),
        ((q >= 0.5) & (q <= 1.5), lambda q: _erfinv_central(1.0 - q)),
        ((q > 0) & (q < 0.5), _erfcinv_tail),
        ((q > 1.5) & (q < 2.0), lambda q: -_erfcinv_tail(2.0 - q)),
        (q == 0.0, lambda q: np.full_like(q, np.inf)),
        (q == 2.0, lambda q: np.full_like(q, -np.inf)),
    )


def _gaussian(t: Any, x: Any, factor: float) -> Any:
    return mul(t, mul(exp(neg(square(x))), factor))


erf_p = Elementwise("erf", evaluated("erf", _erf, math.erf), lambda t, x: _gaussian(t, x, _TWO_BY_SQRT_PI))
erf = erf_p.function

erfc_p = Elementwise("erfc", evaluated("erfc", erfc_of, math.erfc), lambda t, x: _gaussian(t, x, -_TWO_BY_SQRT_PI))
erfc = erfc_p.function

# erfcx' = 2 x erfcx(x) - 2/sqrt(pi). For large x this cancels, and the asymptotic series DLMF 7.12.1 stands in.

_SLOPE = tuple([(-1) ** k * math.prod(range(1, 2 * k, 2)) / 2.0**k for k in range(1, 12)])


def _erfcx_slope(x: Any, out: Any) -> Any:
    large = greater(x, 12.0)
    v = div(1.0, where(large, x, 12.0))
    u = square(v)
    series = power_series(_SLOPE, u)
    near = sub(mul(mul(where(large, 0, x), where(large, 0, out)), 2.0), _TWO_BY_SQRT_PI)
    return where(large, mul(mul(series, u), _TWO_BY_SQRT_PI), near)


erfcx_p = Elementwise("erfcx", evaluated("erfcx", _erfcx), lambda t, x, out: mul(t, _erfcx_slope(x, out)))
erfcx: Callable[..., Any] = erfcx_p.function

erfinv_p = Elementwise(
    "erfinv", evaluated("erfinv", _erfinv), lambda t, out: mul(t, mul(exp(square(out)), _HALF_SQRT_PI))
)
erfinv = erfinv_p.function

erfcinv_p = Elementwise(
    "erfcinv", evaluated("erfcinv", _erfcinv), lambda t, out: mul(t, mul(exp(square(out)), -_HALF_SQRT_PI))
)
erfcinv = erfcinv_p.function


# the normal distribution


def _lower_tail(x: Block) -> Block:
    """``ndtr(x)`` for x <= 0, where ``x / sqrt(2)`` may be rounded: erfcx does not mind."""
    return 0.5 * exp_minus_square(x, half=True) * _erfcx_positive(-x * _SQRT_HALF)


def _ndtr(x: Block) -> Block:
    return pieces(
        (x,),
        (np.abs(x) < 0.7, lambda x: 0.5 + 0.5 * _erf_small(x * _SQRT_HALF)),
        ((x <= -0.7) & (x > -40.0), _lower_tail),
        (x <= -40.0, np.zeros_like),
        ((x >= 0.7) & (x < 9.0), lambda x: 1.0 - _lower_tail(-x)),
        (x >= 9.0, np.ones_like),
    )


def _log_lower_tail(x: Block) -> Block:
    return np.log(0.5 * _erfcx_positive(-x * _SQRT_HALF)) - 0.5 * x * x


def _log_ndtr(x: Block) -> Block:
    return pieces(
        (x,),
        ((x <= -1.0) & (x > -1e155), _log_lower_tail),
        (x <= -1e155, lambda x: np.full_like(x, -np.inf)),
        ((x > -1.0) & (x < 0.7), lambda x: np.log1p(-0.5 * erfc_of(x * _SQRT_HALF))),
        ((x >= 0.7) & (x < 40.0), lambda x: np.log1p(-_lower_tail(-x))),
        (x >= 40.0, lambda x: np.full_like(x, -0.0)),
    )


def _ndtri(p: Block) -> Block:
    return pieces(
        (p,),
        ((p > 0) & (p < 0.25), lambda p: -_SQRT_TWO * _erfcinv_tail(2.0 * p)),
        ((p >= 0.25) & (p <= 0.75), lambda p: _SQRT_TWO * _erfinv_central(2.0 * (p - 0.5))),
        ((p > 0.75) & (p < 1), lambda p: _SQRT_TWO * _erfcinv_tail(2.0 * (1.0 - p))),
        (p == 0, lambda p: np.full_like(p, -np.inf)),
        (p == 1, lambda p: np.full_like(p, np.inf)),
    )


def _normal_density(x: Any) -> Any:
    return mul(exp(mul(square(x), -0.5)), _DENSITY)


def _inverse_mills(x: Any) -> Any:
    """``density(x) / ndtr(x)``: on the left sqrt(2/pi) / erfcx(-x/sqrt(2)), which does not underflow."""
    right = greater(x, 0)
    left = div(_RATIO, erfcx(mul(where(right, 0, x), -_SQRT_HALF)))
    x = where(right, x, 0)
    return where(right, div(_normal_density(x), ndtr(x)), left)


ndtr_p = Elementwise("ndtr", evaluated("ndtr", _ndtr), lambda t, x: mul(t, _normal_density(x)))
ndtr: Callable[..., Any] = ndtr_p.function

log_ndtr_p = Elementwise("log_ndtr", evaluated("log_ndtr", _log_ndtr), lambda t, x: mul(t, _inverse_mills(x)))
log_ndtr = log_ndtr_p.function

ndtri_p = Elementwise(
    "ndtri", evaluated("ndtri", _ndtri), lambda t, out: mul(t, mul(exp(mul(square(out), 0.5)), _ROOT_TWO_PI))
)
ndtri = ndtri_p.function

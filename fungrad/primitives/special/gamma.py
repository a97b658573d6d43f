"""The gamma function, its logarithm and the logarithm's derivative (digamma). Zeta functions are in zeta.py.

    Gamma(x) = integral of u**(x-1) exp(-u) over u from 0 to inf, continued to negative x    DLMF 5.2.1
    log Gamma(x) = (x - 1/2) log x - x + log(2 pi)/2 + binet(x)                              DLMF 5.11.1, Binet
    digamma(x) = Gamma'(x) / Gamma(x)                                                        DLMF 5.2.2

Negative x by reflection (DLMF 5.5.3, 5.5.4). Near their zeros there, which have no formula, log Gamma and digamma are
accurate as sums are: their absolute error is an ulp or two of the larger term.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise, NoTangent
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.special.evaluate import Block, evaluated, pieces, polynomial, sin_pi, unit
from fungrad.primitives.special.zeta import zeta

HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
_LOG_PI = math.log(math.pi)

# x binet(x) for x >= 2.5, in powers of 1/x**2
_BINET = (
    0.08333333333333333,
    -0.002777777777777306,
    0.0007936507933875023,
    -0.0005952380365847113,
    0.0008417438912338713,
    -0.0019170200802459776,
    0.006385394539413367,
    -0.028677516737946083,
    0.15655429295272316,
    -0.9094504241716707,
    4.933257966432475,
    -22.499006930553534,
    79.23805933218438,
    -197.4880526768697,
    306.3648980180254,
    -220.96727043235197,
)

# log Gamma(1 + u) / (u (u - 1)): for u in [-0.25, 0.5], in powers of u; for u in [0.5, 2]
_LOG_GAMMA_LOW = (
    0.5772156649015329,
    -0.24525136852258034,
    0.1554342658639504,
    -0.11514654256385444,
    0.09223900846508716,
    -0.07731816852897093,
    0.06673172819924944,
    -0.058777941539527104,
    0.05255632741442457,
    -0.04754312589724448,
    0.04341076461523237,
    -0.039942939537594827,
    0.03699233986769308,
    -0.034449043766211905,
    0.032194132229678915,
    -0.030145278095647116,
    0.02859655591443616,
    -0.028129870613907662,
    0.027608954352196225,
    -0.023015586674785954,
    0.01292269297349452,
    -0.0034292357751180666,
)
_LOG_GAMMA_HIGH = (
    0.3995894876556691,
    -0.06441063566344575,
    0.014213449664599833,
    -0.003570760544164429,
    0.0009622289503534666,
    -0.00027076146618613267,
    7.842743106557892e-05,
    -2.3187394849318277e-05,
    6.960129693841692e-06,
    -2.113580749346026e-06,
    6.477153826711694e-07,
    -1.999635626418485e-07,
    6.211837836725037e-08,
    -1.9393913455223753e-08,
    6.063886736449022e-09,
    -1.9069442040379977e-09,
    6.226170696954736e-10,
    -1.983918951999398e-10,
    4.773595647858586e-11,
    -1.464871513434213e-11,
    1.1094148259146353e-11,
    -3.648232099407307e-12,
)

# 1 / Gamma(1 + u): for u in [-0.5, 0.5], in powers of u; for u in [0.5, 1.5]
_RECIPROCAL_LOW = (
    1.0,
    0.5772156649015329,
    -0.6558780715202527,
    -0.042002635034096125,
    0.16653861138218923,
    -0.042197734555494436,
    -0.009621971524606148,
    0.00721894324540819,
    -0.0011651676432173535,
    -0.0002152416573778524,
    0.0001280507201273341,
    -2.0134981430253883e-05,
    -1.2525586982068558e-06,
    1.1335731995629357e-06,
    -2.0057050414754113e-07,
    4.866354066150231e-09,
)
_RECIPROCAL_HIGH = (
    1.0,
    -0.21139216754923357,
    -0.05827343410544676,
    0.02388638767346145,
    -0.0015345306253359227,
    -0.0005514138921921268,
    0.0001253636409602967,
    -6.283826371173304e-06,
    -1.4095226701055228e-06,
    2.843674626623961e-07,
    -1.7134734624821793e-08,
    -1.2641530737020152e-09,
    3.269079537538267e-10,
    -2.5087352416802466e-11,
    -8.702528660199734e-14,
    1.9442471760839212e-13,
)

# digamma(x) / (x - root) for x in [1, 2] and [2, 4]; the root as a sum of two doubles
_ROOT, _ROOT_REST = 1.4616321449683622, 9.549995429965697e-17
_DIGAMMA_LOW = (
    0.9510558760318328,
    -0.2118137106407303,
    0.06013562106019684,
    -0.018550615381735008,
    0.005936795278301761,
    -0.0019350666648613071,
    0.0006368880303865817,
    -0.00021074841138175561,
    6.995018825112794e-05,
    -2.3258242519113285e-05,
    7.741234508636364e-06,
    -2.578093954045772e-06,
    8.589060721930695e-07,
    -2.863161166883193e-07,
    9.543298288278275e-08,
    -3.162911147408454e-08,
    1.0527692435026686e-08,
    -3.7083753242807277e-09,
    1.2469984616707403e-09,
    -2.7580994814377e-10,
    8.734528429142953e-11,
    -8.50550766013261e-11,
    2.918622732168261e-11,
)
_DIGAMMA_HIGH = (
    0.5998463449949618,
    -0.1332010919732337,
    0.03649594512132135,
    -0.010837922383548915,
    0.003354312964418407,
    -0.001063627905843666,
    0.0003424736952313213,
    -0.00011139565584064778,
    3.648531107420976e-05,
    -1.2007980369233352e-05,
    3.9656481730281206e-06,
    -1.3128771122775642e-06,
    4.354265887823675e-07,
    -1.446549310502391e-07,
    4.809144730262857e-08,
    -1.5908410328673282e-08,
    5.287339616639651e-09,
    -1.8601110090682165e-09,
    6.249831869514398e-10,
    -1.382458067446548e-10,
    4.375716552842767e-11,
    -4.256085416319234e-11,
    1.460158006284284e-11,
)

# (log x - digamma(x) - 1/(2x)) x**2 for x >= 4, in powers of 1/x**2
_DIGAMMA_FAR = (
    0.08333333333333333,
    -0.008333333333331496,
    0.003968253966808063,
    -0.004166666217894244,
    0.007575684879777285,
    -0.021085744976923466,
    0.08288999162289874,
    -0.424244953930437,
    2.476018056224554,
    -13.507305905893723,
    53.99983605237248,
    -109.1831363610677,
)

_FACTORIALS = np.array([float(math.factorial(n)) for n in range(171)])


# log |Gamma|


def binet(x: Block) -> Block:
    """``log Gamma(x) - (x - 1/2) log x + x - log(2 pi)/2`` for x >= 2.5."""
    r = 1.0 / x
    return r * polynomial(_BINET, r * r)


def log_gamma_1p(u: Block) -> Block:
    """``log Gamma(1 + u)`` for u in [-0.25, 2]."""
    return 0.0 + (u * (u - 1.0)) * pieces(
        (u,),
        (u <= 0.5, lambda u: polynomial(_LOG_GAMMA_LOW, u)),
        (u > 0.5, lambda u: polynomial(_LOG_GAMMA_HIGH, unit(u, 0.5, 2.0))),
    )


def _stirling(x: Block) -> Block:
    return (x - 0.5) * (np.log(x) - 1.0) + (HALF_LOG_TWO_PI - 0.5 + binet(x))


def log_gamma(x: Block) -> Block:
    """``log |Gamma(x)|``."""
    return pieces(
        (x,),
        ((x >= 0.75) & (x < 3.0), lambda x: log_gamma_1p(x - 1.0)),
        ((x >= 3.0) & (x < np.inf), _stirling),
        ((x > -0.25) & (x < 0.75), lambda x: log_gamma_1p(x) - np.log(np.abs(x))),
        ((x <= -0.25) & (x != np.rint(x)), _log_gamma_reflected),
        ((x <= -0.25) & (x == np.rint(x)) & (x > -np.inf), lambda x: np.full_like(x, np.inf)),
        (np.isinf(x), np.copy),
    )


def _log_gamma_reflected(x: Block) -> Block:
    return _LOG_PI - np.log(np.abs(x * sin_pi(x))) - log_gamma(-x)


# Gamma. Far from 0 it is anchored at the nearest integer n: Gamma(n + f) = (n-1)! n**f exp(a small number), where all
# errors stay of the order of an ulp, as exp((x - 1/2) log x - x) would not.


def _gamma_anchored(x: Block) -> Block:
    n = np.minimum(np.rint(x), 171.0)
    f = x - n
    small = (x - 0.5) * np.log1p(f / n) - f + (binet(x) - binet(n))
    return _FACTORIALS[n.astype(np.intp) - 1] * np.exp(f * np.log(n) + small)


def gamma_of(x: Block) -> Block:
    """``Gamma(x)``; infinite at 0, nan at the other poles."""
    size = np.abs(x)
    return pieces(
        (x,),
        (size <= 0.5, lambda x: 1.0 / (x * polynomial(_RECIPROCAL_LOW, x))),
        ((x > 0.5) & (x <= 1.5), lambda x: 1.0 / polynomial(_RECIPROCAL_LOW, x - 1.0)),
        ((x > 1.5) & (x <= 2.5), lambda x: 1.0 / polynomial(_RECIPROCAL_HIGH, unit(x, 1.5, 2.5))),
        ((x > 2.5) & (x < 171.7), _gamma_anchored),
        (x >= 171.7, lambda x: np.full_like(x, np.inf)),
        ((x < -0.5) & (x > -190.0) & (x != np.rint(x)), _gamma_reflected),
        ((x <= -190.0) & (x != np.rint(x)), np.zeros_like),
    )


def _gamma_reflected(x: Block) -> Block:
    """``-pi / (x sin(pi x) Gamma(-x))``, of which Gamma(-x) may overflow where the result does not underflow."""
    shift = np.where(x < -168.0, 20.0, 0.0)
    y = -x - shift
    rising = np.ones_like(x)
    for k in range(20):
        rising = np.where(k < shift, rising * ((y + k) / 128.0), rising)
    quotient = -math.pi / (x * sin_pi(x) * gamma_of(y))
    return np.ldexp(quotient / rising, np.where(shift > 0, -140, 0))


def gamma_sign(x: Block) -> Block:
    """The sign of Gamma(x); nan at the poles but for 0, where it is that of the zero."""
    return pieces(
        (x,),
        (x > 0, np.ones_like),
        (x == 0, lambda x: np.copysign(1.0, x)),
        ((x < 0) & (x != np.floor(x)), lambda x: np.where(np.floor(x) % 2 == 0, 1.0, -1.0)),
    )


# digamma


def _digamma(x: Block) -> Block:
    return pieces(
        (x,),
        ((x >= 1.0) & (x < 2.0), lambda x: ((x - _ROOT) - _ROOT_REST) * polynomial(_DIGAMMA_LOW, unit(x, 1.0, 2.0))),
        ((x >= 2.0) & (x < 4.0), lambda x: (x - _ROOT) * polynomial(_DIGAMMA_HIGH, unit(x, 2.0, 4.0))),
        (x >= 4.0, _digamma_far),
        ((x > -0.25) & (x < 1.0) & (x != 0), lambda x: _digamma(x + 1.0) - 1.0 / x),
        (x == 0.0, lambda x: np.copysign(np.inf, -x)),
        ((x <= -0.25) & (x != np.rint(x)), _digamma_reflected),
    )


def _digamma_far(x: Block) -> Block:
    r = 1.0 / x
    return np.log(x) - r * (0.5 + r * polynomial(_DIGAMMA_FAR, r * r))


def _digamma_reflected(x: Block) -> Block:
    """``digamma(-x) - 1/x - pi / tan(pi x)``, the tangent of the distance to the nearest integer."""
    return _digamma(-x) - 1.0 / x - math.pi / np.tan(math.pi * (x - np.rint(x)))


gammaln_p = Elementwise("gammaln", evaluated("gammaln", log_gamma), lambda t, x: mul(t, digamma(x)))
gammaln = gammaln_p.function

gamma_p = Elementwise("gamma", evaluated("gamma", gamma_of), lambda t, x, out: mul(t, mul(out, digamma(x))))
gamma = gamma_p.function

gammasgn_p = NoTangent("gammasgn", evaluated("gammasgn", gamma_sign), elementwise=True)
gammasgn = gammasgn_p.function

# digamma' = zeta(2, x), DLMF 5.15.1

digamma_p = Elementwise("digamma", evaluated("digamma", _digamma), lambda t, x: mul(t, zeta(2.0, x)))
digamma: Callable[..., Any] = digamma_p.function

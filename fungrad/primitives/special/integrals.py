"""Exponential integrals and the dilogarithm.

exp1(x) = integral of exp(-u)/u over u from x to inf, x > 0             DLMF 6.2.1
expi(x) = integral of exp(u)/u over u from -inf to x, principal value   DLMF 6.2.5
spence(x) = Li_2(1 - x) = integral of log(u)/(1 - u) over u from 1 to x, x >= 0   DLMF 25.12.2
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, log, mul, neg, sub
from fungrad.primitives.comparison import less
from fungrad.primitives.exponential import exp
from fungrad.primitives.rounding import abs
from fungrad.primitives.selection import where
from fungrad.primitives.special.evaluate import Block, evaluated, pieces, polynomial, power_series, unit

_EULER, _ZETA_2 = 0.5772156649015329, math.pi**2 / 6

# (exp1(x) + log x + Euler's constant) / x in powers of x for x in [0, 1]
_EIN = (
    1.0,
    -0.24999999999999972,
    0.055555555555542056,
    -0.010416666666413575,
    0.0016666666642137307,
    -0.0002314814674379655,
    2.8344620142840845e-05,
    -3.100075879746843e-06,
    3.0599540822834476e-07,
    -2.7346435442411405e-08,
    2.1320901677834988e-09,
    -1.141774386672446e-10,
)

# x exp(x) exp1(x) for x in [1, inf), in powers of t = (x - 5) / (x + 3)
_E1 = (
    0.852110881423661,
    0.1802644616671457,
    -0.045168050552841774,
    0.017605114271024312,
    -0.006953270512547428,
    0.0030822766202139654,
    -0.0013894159752765283,
    0.0006605605052592126,
    -0.0003181732684835442,
    0.00015805230502233657,
    -7.928271202238457e-05,
    4.05849175549572e-05,
    -2.0925903120007937e-05,
    1.094717432921422e-05,
    -5.771870046721366e-06,
    3.075335259599325e-06,
    -1.601025493646593e-06,
    8.494394278132052e-07,
    -5.64647630858977e-07,
    3.3393954735139314e-07,
    1.1696123986190568e-08,
    -4.42292968915131e-08,
    -2.37734333790695e-07,
    1.7048309661246801e-07,
    1.6192577292137434e-07,
    -1.1824412573870862e-07,
    -1.1083389093485704e-07,
    7.551414907126963e-08,
    3.9071869102924054e-08,
    -2.583230217938175e-08,
    -7.920142362136383e-09,
    4.972097651844548e-09,
)

# (expi(x) - log(x / root)) / (x - root) for x in [0, 2]; the root as a sum of two doubles
_EI_ROOT, _EI_ROOT_REST = 0.3725074107813666, 1.3140183414386028e-17
_EI_LOW = (
    1.446422611684994,
    0.43324689636984515,
    0.10638070437338108,
    0.021247954051104804,
    0.0035515323722779425,
    0.000509336313517471,
    6.39170941079777e-05,
    7.1278864009032825e-06,
    7.151501287164142e-07,
    6.520670666939847e-08,
    5.4483136873410985e-09,
    4.20054197017524e-10,
    3.0068119850824044e-11,
    2.0365370636849464e-12,
    1.27412463223862e-13,
)

# x exp(-x) expi(x) for x in [2, 6], [6, 12], [12, 24], [24, 48], and for x >= 48 as a function of 1/x
_EI_2_6 = (
    1.4382080314544827,
    -0.1573120471817243,
    -0.06179196854551678,
    0.10393065618185389,
    -0.06250000000002816,
    0.02296386876310442,
    -0.004892579175041979,
    -0.0001353232016561826,
    0.0006961493940670637,
    -0.0004103888044415214,
    0.00017661836756996507,
    -6.705681951933068e-05,
    2.4398184795044192e-05,
    -8.919631027545073e-06,
    3.354446969277794e-06,
    -1.3009558815594134e-06,
    5.217513653010552e-07,
    -2.2477204080557562e-07,
    9.621835012726804e-08,
    -2.882950055353939e-08,
    1.1009518837888822e-08,
    -1.5615041246657296e-08,
    7.768426774336092e-09,
    2.6915110959585207e-09,
    -1.5074756262971157e-09,
    -1.3709288272765228e-09,
    6.673714567849335e-10,
)
_EI_6_12 = (
    1.152759208708925,
    -0.07402455655713285,
    0.03465723048123641,
    -0.013833181682329476,
    0.004016108921844122,
    -0.0004462508010087234,
    -0.0003470592420793988,
    0.00029512294245997837,
    -0.00014106943155374555,
    5.0805262365212345e-05,
    -1.468271588413437e-05,
    3.390092639948613e-06,
    -5.656257779905805e-07,
    2.9292144552605064e-08,
    2.5699541603128415e-08,
    -1.4524946068367029e-08,
    5.42106818050424e-09,
    -1.6867758635493663e-09,
    4.295456951548565e-10,
    -1.1477622082994568e-10,
    5.129479092759601e-11,
    -1.4041771206248749e-11,
)
_EI_12_24 = (
    1.063087279324784,
    -0.024161249507109787,
    0.009396469196546249,
    -0.0037294908546333613,
    0.001517583492743953,
    -0.0006328205480463366,
    0.0002675861728522732,
    -0.00011226469868799922,
    4.5368150693869225e-05,
    -1.705984090326193e-05,
    5.711587572294622e-06,
    -1.5713081464553662e-06,
    2.701326627512265e-07,
    4.081980134558895e-08,
    -6.762684733765857e-08,
    4.123471791650124e-08,
    -1.9180872862748413e-08,
    7.458680455134695e-09,
    -2.457542738372528e-09,
    7.954876085898166e-10,
    -2.767260756304883e-10,
    5.794725023464895e-11,
)
_EI_24_48 = (
    1.0294662764409768,
    -0.010439891811396039,
    0.003706797986422496,
    -0.0013192026400947708,
    0.0004706770405504055,
    -0.00016839819343265636,
    6.043351381702018e-05,
    -2.1761701233091356e-05,
    7.866221288604161e-06,
    -2.8558246763493193e-06,
    1.0420485784247427e-06,
    -3.824687435861928e-07,
    1.4138085508136516e-07,
    -5.276424020197658e-08,
    1.986021453914661e-08,
    -7.444229226735768e-09,
    2.86275582580756e-09,
    -1.234750484079466e-09,
    4.774057018204225e-10,
    -9.74491640883557e-11,
    4.146503900980997e-11,
    -5.216303020909479e-11,
    1.8235284012528324e-11,
)
_EI_FAR = (
    1.0106407605200176,
    0.010872249401677992,
    0.0002392169180182909,
    8.080245428428291e-06,
    3.7277226295293406e-07,
    2.2041083990719476e-08,
    1.6051629946666978e-09,
    1.401412210888756e-10,
    1.436201022197238e-11,
    1.7058345239799023e-12,
    2.543987541247204e-13,
    4.0843541425179215e-14,
)

# Li_2(u) / u for u in [-0.5, 0.5]
_LI2 = (
    1.0,
    0.12500000000000003,
    0.02777777777777675,
    0.007812499999997531,
    0.0025000000000569684,
    0.0008680555556434655,
    0.0003188775497828706,
    0.00012207031104564493,
    4.8225322574110015e-05,
    1.9531263523484897e-05,
    8.070671430460835e-06,
    3.390763831610521e-06,
    1.4450160423722336e-06,
    6.231054460210578e-07,
    2.701394974071265e-07,
    1.1843830095479673e-07,
    5.49719307377638e-08,
    2.4922253504495736e-08,
    7.732498663981535e-09,
    3.090532640354942e-09,
    4.598525468795842e-09,
    2.3458533920064897e-09,
    -8.365969024146411e-10,
    -4.754555293222241e-10,
    4.4513979483915824e-10,
    2.2039356220366022e-10,
)


def _exp1(x: Block) -> Block:
    return pieces(
        (x,),
        ((x > 0) & (x <= 1.0), lambda x: x * polynomial(_EIN, x) - _EULER - np.log(x)),
        ((x > 1.0) & (x < 800.0), lambda x: np.exp(-x) * (polynomial(_E1, (x - 5.0) / (x + 3.0)) / x)),
        (x >= 800.0, np.zeros_like),
        (x == 0, lambda x: np.full_like(x, np.inf)),
    )


def _expi(x: Block) -> Block:
    return pieces(
        (x,),
        (x < 0, lambda x: -_exp1(-x)),
        (x == 0, lambda x: np.full_like(x, -np.inf)),
        ((x > 0) & (x <= 2.0), _expi_low),
        ((x > 2.0) & (x < 720.0), _expi_high),
        (x >= 720.0, lambda x: np.full_like(x, np.inf)),
    )


def _expi_low(x: Block) -> Block:
    distance = (x - _EI_ROOT) - _EI_ROOT_REST
    near = np.abs(distance) < 0.2
    logarithm = np.where(near, np.log1p(distance / _EI_ROOT), np.log(x / _EI_ROOT))
    return logarithm + distance * polynomial(_EI_LOW, unit(x, 0.0, 2.0))


def _expi_high(x: Block) -> Block:
    root = np.exp(0.5 * x)  # in two steps: exp(x) overflows before expi(x) does
    value = pieces(
        (x,),
        (x <= 6.0, lambda x: polynomial(_EI_2_6, unit(x, 2.0, 6.0))),
        ((x > 6.0) & (x <= 12.0), lambda x: polynomial(_EI_6_12, unit(x, 6.0, 12.0))),
        ((x > 12.0) & (x <= 24.0), lambda x: polynomial(_EI_12_24, unit(x, 12.0, 24.0))),
        ((x > 24.0) & (x <= 48.0), lambda x: polynomial(_EI_24_48, unit(x, 24.0, 48.0))),
        (x > 48.0, lambda x: polynomial(_EI_FAR, unit(1.0 / x, 0.0, 1 / 48))),
    )
    return root * (value / x) * root


def _dilogarithm(u: Block) -> Block:
    """``Li_2(u)`` for |u| <= 0.5."""
    return u * polynomial(_LI2, unit(u, -0.5, 0.5))


def _spence(x: Block) -> Block:
    """With z = 1 - x the formulas DLMF 25.12.3 and 25.12.6 bring every x >= 0 to [-1/2, 1/2]."""
    return pieces(
        (x,),
        ((x >= 0.5) & (x <= 1.5), lambda x: _dilogarithm(1.0 - x)),
        ((x > 0) & (x < 0.5), lambda x: _ZETA_2 - np.log(x) * np.log1p(-x) - _dilogarithm(x)),
        (x == 0, lambda x: np.full_like(x, _ZETA_2)),
        ((x > 1.5) & (x <= 2.0), lambda x: -_dilogarithm((x - 1.0) / x) - 0.5 * np.log(x) ** 2),
        ((x > 2.0) & (x < np.inf), _spence_large),
        (x == np.inf, lambda x: np.full_like(x, -np.inf)),
    )


def _spence_large(x: Block) -> Block:
    first, second = np.log(x - 1.0), np.log1p(-1.0 / x)
    return _dilogarithm(1.0 / x) - _ZETA_2 - 0.5 * (first - second) * (first + second)


exp1_p = Elementwise("exp1", evaluated("exp1", _exp1), lambda t, x: neg(mul(t, div(exp(neg(x)), x))))
exp1 = exp1_p.function

expi_p = Elementwise("expi", evaluated("expi", _expi), lambda t, x: mul(t, div(exp(x), x)))
expi = expi_p.function

# spence' = log(x) / (1 - x); near x = 1, where this is 0/0, its series

_LOG_SERIES = tuple([-1.0 / k for k in range(1, 10)])


def _spence_slope(x: Any) -> Any:
    u = sub(1, x)
    near = less(abs(u), 0.01)
    series = power_series(_LOG_SERIES, where(near, u, 0))
    far = div(log(where(near, 2, x)), where(near, 1, u))
    return where(near, series, far)


spence_p = Elementwise("spence", evaluated("spence", _spence), lambda t, x: mul(t, _spence_slope(x)))
spence = spence_p.function

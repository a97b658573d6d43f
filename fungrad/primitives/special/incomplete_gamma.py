"""The incomplete gamma functions.

    gammainc(a, x) = P(a, x) = integral of u**(a-1) exp(-u) over u from 0 to x, divided by Gamma(a)    DLMF 8.2.4
    gammaincc(a, x) = Q(a, x) = 1 - P(a, x)

With the prefix D = x**a exp(-x) / Gamma(a + 1) (Gautschi, "A computational procedure for incomplete gamma functions",
ACM TOMS 5 (1979); Temme, "The asymptotic expansion of the incomplete gamma functions", SIAM J. Math. Anal. 10 (1979)):

    x <= a (or x < 1.1)    P = D (1 + x/(a+1) + x**2/((a+1)(a+2)) + ...)         DLMF 8.11.4
    x > a, x >= 1.1        Q by Legendre's continued fraction                     DLMF 8.9.2
    x < 1.1, Q wanted      Q = 1 - x**a/Gamma(a+1) (1 + a sum ...)                DLMF 8.7.3
    a >= 20, x close to a  erfc and an expansion in 1/a, uniform in x/a           DLMF 8.12.3 - 8.12.7
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.elementwise import Elementwise
from fungrad.primitives.arithmetic import div, log, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.selection import where
from fungrad.primitives.special.error import erfc_of
from fungrad.primitives.special.evaluate import Block, evaluated, no_rule, pieces, polynomial
from fungrad.primitives.special.gamma import binet, digamma, gamma_of, log_gamma_1p

_EPS = 2.0**-53
_NEAR = 0.4
_UNIFORM = 20.0
_MAX_STEPS = 10000

# (u - log(1 + u)) / u**2 in powers of u for |u| <= 0.4
_LOG1P_REST = (
    0.5,
    -0.3333333333333333,
    0.2499999999999997,
    -0.20000000000002804,
    0.16666666666676905,
    -0.14285714285178638,
    0.1249999999860407,
    -0.1111111115847064,
    0.10000000098703528,
    -0.09090906750908033,
    0.0833332918970147,
    -0.07692378962084055,
    0.07142968442129743,
    -0.06665254302066433,
    0.06248005704917462,
    -0.059010526122723006,
    0.055798550238239555,
    -0.050970616098515345,
    0.047987848291357424,
    -0.057314810278237205,
    0.05651053304519172,
    -0.008435700341077292,
    0.003793988593201656,
    -0.10731706401904188,
    0.1076604676731698,
)

# c_k(eta) in powers of eta, DLMF 8.12.12: c_0 = 1/mu - 1/eta, c_k = (c_(k-1)' - c_(k-1)'(0) eta/mu) / eta, where
# eta**2 / 2 = mu - log(1 + mu); as far as they count for a >= 20 and |eta| <= 0.47
_TEMME = (
    (
        -0.3333333333333333,
        0.08333333333333333,
        -0.014814814814814815,
        0.0011574074074074073,
        0.0003527336860670194,
        -0.0001787551440329218,
        3.919263178522438e-05,
        -2.185448510679992e-06,
        -1.85406221071516e-06,
        8.296711340953087e-07,
        -1.7665952736826078e-07,
        6.707853543401498e-09,
        1.0261809784240309e-08,
        -4.382036018453353e-09,
        9.14769958223679e-10,
        -2.5514193994946248e-11,
        -5.830772132550426e-11,
        2.4361948020667415e-11,
        -5.0276692801141755e-12,
    ),
    (
        -0.001851851851851852,
        -0.003472222222222222,
        0.0026455026455026454,
        -0.0009902263374485596,
        0.00020576131687242798,
        -4.018775720164609e-07,
        -1.8098550334489977e-05,
        7.64916091608111e-06,
        -1.6120900894563446e-06,
        4.647127802807434e-09,
        1.378633446915721e-07,
        -5.752545603517705e-08,
        1.1951628599778148e-08,
        -1.7543241719747647e-11,
        -1.0091543710600413e-09,
        4.162792991842583e-10,
        -8.56390702649298e-11,
    ),
    (
        0.004133597883597883,
        -0.0026813271604938273,
        0.0007716049382716049,
        2.0093878600823047e-06,
        -0.0001073665322636516,
        5.2923448829120125e-05,
        -1.2760635188618728e-05,
        3.423578734096138e-08,
        1.3721957309062934e-06,
        -6.298992138380055e-07,
        1.4280614206064242e-07,
        -2.0477098421990866e-10,
        -1.409252991086752e-08,
        6.228974084922022e-09,
        -1.3670488396617114e-09,
        9.428356159014678e-13,
        1.2872252400089318e-10,
    ),
    (
        0.0006494341563786008,
        0.00022947209362139917,
        -0.0004691894943952557,
        0.00026772063206283885,
        -7.561801671883977e-05,
        -2.396505113867297e-07,
        1.1082654115347302e-05,
        -5.6749528269915965e-06,
        1.4230900732435883e-06,
        -2.7861080291528143e-11,
        -1.6958404091930278e-07,
        8.099464905388083e-08,
        -1.9111168485973655e-08,
        2.3928620439808118e-12,
        2.0620131815488797e-09,
        -9.460496661855133e-10,
    ),
    (
        -0.0008618882909167117,
        0.0007840392217200666,
        -0.0002990724803031902,
        -1.4638452578843418e-06,
        6.641498215465122e-05,
        -3.968365047179435e-05,
        1.1375726970678419e-05,
        2.507497226237533e-10,
        -1.6954149536558305e-06,
        8.907507532205309e-07,
        -2.292934834000805e-07,
        2.956794137544049e-11,
        2.8865829742708783e-08,
        -1.4189739437803219e-08,
    ),
    (
        -0.00033679855336635813,
        -6.972813758365857e-05,
        0.0002772753244959392,
        -0.00019932570516188847,
        6.797780477937208e-05,
        1.419062920643967e-07,
        -1.3594048189768693e-05,
        8.018470256334202e-06,
        -2.291481176508095e-06,
        -3.252473551298454e-10,
        3.4652846491085265e-07,
        -1.8447187191171344e-07,
        4.8240967037894184e-08,
    ),
    (
        0.0005313079364639922,
        -0.0005921664373536939,
        0.0002708782096718045,
        7.902353232660328e-07,
        -8.153969367561969e-05,
        5.61168275310625e-05,
        -1.8329116582843375e-05,
        -3.0796134506033047e-09,
        3.465155368803609e-06,
        -2.0291327396058603e-06,
        5.788792863149004e-07,
    ),
    (
        0.00034436760689237765,
        5.171790908260592e-05,
        -0.00033493161081142234,
        0.0002812695154763237,
        -0.00010976582244684731,
        -1.2741009095484485e-07,
        2.7744451511563645e-05,
        -1.8263488805711332e-05,
        5.7876949497350525e-06,
    ),
    (
        -0.0006526239185953094,
        0.0008394987206720873,
        -0.000438297098541721,
        -6.969091458420552e-07,
        0.00016644846642067547,
        -0.00012783517679769218,
        4.629953263691304e-05,
    ),
    (
        -0.0005967612901927463,
        -7.204895416020011e-05,
        0.0006782308837667328,
        -0.0006401475260262758,
        0.00027750107634328704,
        1.819700838046515e-07,
        -8.479507117068503e-05,
    ),
    (
        0.0013324454494800656,
        -0.0019144384985654776,
        0.0011089369134596636,
        9.9324041226423e-07,
        -0.0005087450129309319,
    ),
    (
        0.001579727660730835,
        0.00016251626278391583,
        -0.0020633421035543276,
        0.00213896861856891,
    ),
)


def log1p_rest(u: Block, ratio: Block) -> Block:
    """``u - log(1 + u)`` without cancellation for small u; ``ratio`` is 1 + u, more exactly where that is small."""
    return pieces(
        (u, ratio),
        (np.abs(u) <= _NEAR, lambda u, ratio: u * u * polynomial(_LOG1P_REST, u)),
        (np.abs(u) > _NEAR, lambda u, ratio: u - np.log(ratio)),
    )


def _prefix(a: Block, x: Block) -> Block:
    """D(a, x) = ``x**a exp(-x) / Gamma(a + 1)``."""
    return pieces(
        (a, x),
        (a < 2.5, lambda a, x: np.power(x, a) * np.exp(-x) / gamma_of(a + 1.0)),
        (a >= 2.5, _prefix_large),
    )


def _prefix_large(a: Block, x: Block) -> Block:
    exponent = a * log1p_rest((x - a) / a, x / a)
    return np.exp(-exponent - binet(a)) / np.sqrt(2 * math.pi * a)


def _series(a: Block, x: Block) -> Block:
    """P by its power series."""
    term, total, n = np.ones_like(x), np.ones_like(x), a.copy()
    for _ in range(_MAX_STEPS):
        n += 1.0
        term *= x / n
        total += term
        if np.all(term <= _EPS * total):
            break
    return total * _prefix(a, x)


def lentz(first: Block, step: Callable[[int], tuple[Block, Block]]) -> Block:
    """``1 / (first + a_1 / (b_1 + a_2 / (b_2 + ...)))`` for ``step(k) = a_k, b_k``, by Lentz's method (DLMF 3.10)."""
    tiny = 1e-300
    d = 1.0 / np.where(first == 0, tiny, first)
    c, value = np.full_like(d, 1.0 / tiny), d
    for k in range(1, _MAX_STEPS):
        numerator, denominator = step(k)
        d = denominator + numerator * d
        c = denominator + numerator / c
        d = 1.0 / np.where(d == 0, tiny, d)
        c = np.where(c == 0, tiny, c)
        factor = c * d
        value = value * factor
        if not np.any(np.abs(factor - 1.0) > 2 * _EPS):
            break
    return value


def _fraction(a: Block, x: Block) -> Block:
    """Q by the continued fraction."""
    first = x + 1.0 - a
    return a * _prefix(a, x) * lentz(first, lambda k: (k * (a - k), first + 2.0 * k))


def _upper_small(a: Block, x: Block) -> Block:
    """Q for small a and x, where P is close to 1."""
    exponent = a * np.log(x) - log_gamma_1p(a)
    term, total = np.ones_like(x), np.zeros_like(x)
    for k in range(1, 24):
        term *= -x / k
        total += term / (a + k)
    return -np.expm1(exponent) - np.exp(exponent) * a * total


def _uniform_parts(a: Block, x: Block) -> tuple[Block, Block]:
    """``eta sqrt(a/2)`` and the rest R: P = erfc(-z)/2 - R, Q = erfc(z)/2 + R."""
    mu = (x - a) / a
    half_square = log1p_rest(mu, x / a)
    eta = np.copysign(np.sqrt(2.0 * half_square), mu)
    total = np.zeros_like(a)
    for row in reversed(_TEMME):
        total = total / a + polynomial(row, eta)
    return eta * np.sqrt(0.5 * a), total * np.exp(-a * half_square) / np.sqrt(2 * math.pi * a)


def _lower_uniform(a: Block, x: Block) -> Block:
    z, rest = _uniform_parts(a, x)
    return 0.5 * erfc_of(-z) - rest


def _upper_uniform(a: Block, x: Block) -> Block:
    z, rest = _uniform_parts(a, x)
    return 0.5 * erfc_of(z) + rest


def _regions(a: Block, x: Block) -> tuple[Block, Block, Block, Block]:
    """Masks: ordinary arguments near the diagonal, below it and above it; what lies at the border of the domain."""
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    near = inside & (a >= _UNIFORM) & (np.abs(x - a) <= _NEAR * a)
    below = inside & ~near & ((x <= a) | (x < 1.1))
    border = ~inside & (a >= 0) & (x >= 0) & ~((a == 0) & (x == 0)) & ~(np.isinf(a) & np.isinf(x))
    return near, below, inside & ~near & ~below, border


def _gammainc(a: Block, x: Block) -> Block:
    near, below, above, border = _regions(a, x)
    return pieces(
        (a, x),
        (near, _lower_uniform),
        (below, _series),
        (above, lambda a, x: 1.0 - _fraction(a, x)),
        (border, lambda a, x: np.where((a == 0) | np.isinf(x), 1.0, 0.0)),
    )


def _gammaincc(a: Block, x: Block) -> Block:
    near, below, above, border = _regions(a, x)
    small = below & (a <= 1.1) & (x < 1.1)
    return pieces(
        (a, x),
        (near, _upper_uniform),
        (small, _upper_small),
        (below & ~small, lambda a, x: 1.0 - _series(a, x)),
        (above, _fraction),
        (border, lambda a, x: np.where((a == 0) | np.isinf(x), 0.0, 1.0)),
    )


# the density x**(a-1) exp(-x) / Gamma(a): a primitive for its accuracy at large a and x


def _density(a: Block, x: Block) -> Block:
    return pieces(
        (a, x),
        ((a > 0) & (x > 0), lambda a, x: _prefix(a, x) * (a / x)),
        ((a > 0) & (x == 0), lambda a, x: np.where(a < 1, np.inf, np.where(a == 1, 1.0, 0.0))),
        ((a == 0) & (x > 0), lambda a, x: np.zeros_like(a)),
    )


def _density_by_point(t: Any, x: Any, y: Any, out: Any) -> Any:
    """``((a - 1)/x - 1) out`` with x as a and y as x; at 0 the quotient is left out where it is 0/0."""
    flat = equal(x, 1)
    quotient = div(where(flat, 0, sub(x, 1)), where(flat, 1, y))
    return mul(t, mul(out, sub(quotient, 1)))


gamma_density_p = Elementwise(
    "gamma_density",
    evaluated("gamma_density", _density),
    lambda t, x, y, out: mul(t, mul(out, sub(log(y), digamma(x)))),
    lambda t, x, y, out: _density_by_point(t, x, y, out),
)
gamma_density = gamma_density_p.function

_INSTEAD = "it differentiates in x. Keep a out of the differentiated arguments"

gammainc_p = Elementwise(
    "gammainc",
    evaluated("gammainc", _gammainc),
    no_rule("gammainc(a, x)", "a", _INSTEAD),
    lambda t, x, y: mul(t, gamma_density(x, y)),
)
gammainc = gammainc_p.function

gammaincc_p = Elementwise(
    "gammaincc",
    evaluated("gammaincc", _gammaincc),
    no_rule("gammaincc(a, x)", "a", _INSTEAD),
    lambda t, x, y: neg(mul(t, gamma_density(x, y))),
)
gammaincc = gammaincc_p.function

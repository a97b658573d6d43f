"""Derivatives of the error functions and of the normal distribution that they give. DLMF 7."""

from __future__ import annotations

import math
from typing import Any

from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import greater, greater_equal, less, logical_and
from fungrad.primitives.complex_parts import imag, is_complex, real
from fungrad.primitives.exponential import exp, square
from fungrad.primitives.rounding import abs
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.declared import declare, special

erf, erfcx, wofz = special("erf"), special("erfcx"), special("wofz")

_TWO_BY_ROOT_PI = 2 / math.sqrt(math.pi)
_ROOT_PI_BY_TWO = math.sqrt(math.pi) / 2
_ROOT_TWO = math.sqrt(2.0)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)
_FAR = 10.0
"""From here on the asymptotic series below is exact to double precision."""


def gaussian(t: Any, x: Any) -> Any:
    """t times the density of the standard normal distribution."""
    return mul(t, mul(exp(mul(square(x), -0.5)), 1 / _ROOT_TWO_PI))


# 7.10.1 for erf and its kin

declare("erf", "x", x=lambda t, x: mul(t, mul(exp(neg(square(x))), _TWO_BY_ROOT_PI)))
declare("erfc", "x", x=lambda t, x: mul(t, mul(exp(neg(square(x))), -_TWO_BY_ROOT_PI)))
declare("erfi", "x", x=lambda t, x: mul(t, mul(exp(square(x)), _TWO_BY_ROOT_PI)))
declare("erfinv", "y", y=lambda t, out: mul(t, mul(exp(square(out)), _ROOT_PI_BY_TWO)))
declare("erfcinv", "y", y=lambda t, out: mul(t, mul(exp(square(out)), -_ROOT_PI_BY_TWO)))


# The scaled ones: their derivatives are differences, 2 x f - const, of which nothing is left far out. There the
# derivative is summed from its own asymptotic series (7.12.1, differentiated).


def _tail(s: Any, derivative: bool = False) -> Any:
    """``sum((2k+1)!! s**k)``, and with ``derivative`` ``sum((2k+1)!! (k+1) s**k)``, for |s| <= 1/200."""
    terms = 13
    odd = [math.prod(range(1, 2 * k + 2, 2)) * (k + 1 if derivative else 1) for k in range(terms)]
    total: Any = float(odd[-1])
    for c in odd[-2::-1]:
        total = add(mul(s, total), float(c))
    return total


def erfcx_slope(x: Any, value: Any) -> Any:
    """``2 x erfcx(x) - 2/sqrt(pi)``, the derivative of erfcx, without cancellation in the right half plane."""
    far = logical_and(greater(abs(x), _FAR), greater_equal(real(x), 0))
    distant = where(far, x, _FAR)
    inverse = div(1, distant)
    series = mul(mul(square(inverse), -0.5 * _TWO_BY_ROOT_PI), _tail(mul(square(inverse), -0.5)))
    return where(far, series, sub(mul(mul(where(far, 0, x), 2), value), _TWO_BY_ROOT_PI))


def _dawsn_slope(x: Any, value: Any) -> Any:
    """``1 - 2 x dawsn(x)``; of complex numbers also far out, where dawsn may be anything off the real axis."""
    if is_complex(x):
        return sub(1, mul(mul(x, 2), value))
    far = greater(abs(x), _FAR)
    inverse = div(1, where(far, x, _FAR))
    series = mul(mul(square(inverse), -0.5), _tail(mul(square(inverse), 0.5)))
    return where(far, series, sub(1, mul(mul(where(far, 0, x), 2), value)))


def _wofz_slope(z: Any, value: Any) -> Any:
    """``2i/sqrt(pi) - 2 z w(z)`` (7.10.2), far out in the upper half plane by its series."""
    far = logical_and(greater(abs(z), _FAR), greater_equal(imag(z), 0))
    inverse = div(1, where(far, z, 1j * _FAR))
    series = mul(mul(square(inverse), -0.5j * _TWO_BY_ROOT_PI), _tail(mul(square(inverse), 0.5)))
    return where(far, series, sub(1j * _TWO_BY_ROOT_PI, mul(mul(where(far, 0, z), 2), value)))


declare("erfcx", "x", x=lambda t, x, out: mul(t, erfcx_slope(x, out)))
declare("dawsn", "x", x=lambda t, x, out: mul(t, _dawsn_slope(x, out)))
declare("wofz", "z", z=lambda t, z, out: mul(t, _wofz_slope(z, out)))


# The normal distribution


def log_ndtr_slope(x: Any, value: Any) -> Any:
    """``pdf(x) / cdf(x)``: on the left by erfcx, as the exponents of both are large there and nearly equal."""
    left = less(real(x), 0)
    by_erfcx = div(math.sqrt(2 / math.pi), erfcx(mul(where(left, x, 0), -1 / _ROOT_TWO)))
    right = where(left, 0, x)
    by_exp = mul(exp(sub(mul(square(right), -0.5), where(left, 0, value))), 1 / _ROOT_TWO_PI)
    return where(left, by_erfcx, by_exp)


declare("ndtr", "x", x=gaussian)
declare("log_ndtr", "x", x=lambda t, x, out: mul(t, log_ndtr_slope(x, out)))
declare("ndtri", "p", p=lambda t, out: mul(t, mul(exp(mul(square(out), 0.5)), _ROOT_TWO_PI)))
declare("ndtri_exp", "y", y=lambda t, y, out: div(t, log_ndtr_slope(out, y)))

# Owen 1956, Tables for computing bivariate normal probabilities, eq. 2.1 differentiated in h and in a

declare(
    "owens_t",
    "h a",
    h=lambda t, h, a: mul(gaussian(t, h), mul(erf(mul(mul(a, h), 1 / _ROOT_TWO)), -0.5)),
    a=lambda t, h, a: mul(t, _owens_t_by_a(h, a)),
)


def _owens_t_by_a(h: Any, a: Any) -> Any:
    s = add(square(a), 1)
    return div(mul(exp(mul(mul(square(h), s), -0.5)), 0.5 / math.pi), s)


# The Voigt profile is Re w(z) / (sigma sqrt(2 pi)) with z = (x + i gamma) / (sigma sqrt(2)) (7.19). Its complex
# slope w'(z) / (2 sqrt(pi) sigma**2) gives the derivatives in x and gamma, and by the equation of heat flow,
# V_sigma = sigma V_xx, the slope of that the one in sigma. Far out, and for sigma = 0, by the series in x + i gamma.


def _voigt_slope(x: Any, sigma: Any, gamma: Any, derivative: bool = False) -> Any:
    zeta = add(x, mul(gamma, 1j))
    far = greater_equal(abs(zeta), mul(sigma, _FAR * _ROOT_TWO))
    inverse = div(1, where(far, zeta, 1))
    s = square(mul(where(far, sigma, 0), inverse))
    width = where(far, 1, sigma)
    z = mul(div(where(far, 0, zeta), width), 1 / _ROOT_TWO)
    w = wofz(z)
    if not derivative:
        series = mul(mul(square(inverse), -1j / math.pi), _tail(s))
        return where(far, series, div(mul(_wofz_slope(z, w), 0.25 * _TWO_BY_ROOT_PI), square(width)))
    series = mul(mul(mul(square(inverse), inverse), 2j / math.pi), _tail(s, derivative=True))
    second = mul(add(w, mul(z, _wofz_slope(z, w))), -2 * 0.25 * _TWO_BY_ROOT_PI / _ROOT_TWO)
    return where(far, series, div(second, mul(square(width), width)))


def _voigt_by_sigma(t: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    return mul(t, mul(sigma, real(_voigt_slope(x, sigma, gamma, derivative=True))))


declare(
    "voigt_profile",
    "x sigma gamma",
    x=lambda t, x, sigma, gamma: mul(t, real(_voigt_slope(x, sigma, gamma))),
    sigma=_voigt_by_sigma,
    gamma=lambda t, x, sigma, gamma: neg(mul(t, imag(_voigt_slope(x, sigma, gamma)))),
)

# nrdtrimn = x - std z and nrdtrisd = (x - mn) / z with z the p-th quantile of the standard normal distribution


def _quantile_slope(z: Any) -> Any:
    return mul(exp(mul(square(z), 0.5)), _ROOT_TWO_PI)


declare(
    "nrdtrimn",
    "p std x",
    p=lambda t, std, x, out: neg(mul(t, mul(std, _quantile_slope(div(sub(x, out), std))))),
    std=lambda t, std, x, out: mul(t, div(sub(out, x), std)),
    x=lambda t: t,
)
declare(
    "nrdtrisd",
    "mn p x",
    mn=lambda t, mn, x, out: neg(mul(t, div(out, sub(x, mn)))),
    p=lambda t, mn, x, out: neg(mul(t, mul(div(out, div(sub(x, mn), out)), _quantile_slope(div(sub(x, mn), out))))),
    x=lambda t, mn, x, out: mul(t, div(out, sub(x, mn))),
)

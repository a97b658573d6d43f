"""Modified Bessel functions, exponential integrals and the dilogarithm, under SciPy's names."""

from __future__ import annotations

from typing import Any

from fungrad.primitives.special import bessel, integrals
from fungrad.scipy.special.arguments import from_scipy, is_complex, operand


def i0(x: Any) -> Any:
    """Return the modified Bessel function I_0(x). Derivative: I_1(x). Error below 2.8 ulp.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import i0
    >>> float(i0(0.0)), float(fg.grad(fg.grad(i0))(0.0))
    (1.0, 0.5)
    """
    return bessel.i0(operand(x))


def i1(x: Any) -> Any:
    """Return the modified Bessel function I_1(x). Derivative: I_0(x) - I_1(x)/x, 1/2 at 0. Error below 2.8 ulp."""
    return bessel.i1(operand(x))


def i0e(x: Any) -> Any:
    """Return ``exp(-|x|) I_0(x)``.

    Notes
    -----
    Derivative: i1e(x) - sign(x) i0e(x), where sign(0) = 0: there it has a kink. For large x the difference loses
    log10(2 |x|) digits. Error of the value below 3 ulp.
    """
    return bessel.i0e(operand(x))


def i1e(x: Any) -> Any:
    """Return ``exp(-|x|) I_1(x)``.

    Notes
    -----
    Derivative: i0e(x) - i1e(x)/x - sign(x) i1e(x), 1/2 at 0. Error of the value below 3 ulp.
    """
    return bessel.i1e(operand(x))


def exp1(x: Any) -> Any:
    """Return the exponential integral E_1(x), of exp(-u)/u from x to inf (DLMF 6.2.1); inf at 0, nan for x < 0.

    Notes
    -----
    Derivative: -exp(-x)/x. Error below 2.5 ulp. Complex numbers are handed to SciPy.
    """
    x = operand(x)
    return from_scipy("exp1")(x) if is_complex(x) else integrals.exp1(x)


def expi(x: Any) -> Any:
    """Return the exponential integral Ei(x), the principal value of that of exp(u)/u from -inf to x (DLMF 6.2.5).

    Notes
    -----
    Derivative: exp(x)/x. Error below 2.5 ulp, near its zero 0.3725... too. Complex numbers are handed to SciPy.
    """
    x = operand(x)
    return from_scipy("expi")(x) if is_complex(x) else integrals.expi(x)


def spence(z: Any) -> Any:
    """Return the dilogarithm Li_2(1 - z), the integral of log(u)/(1 - u) from 1 to z; nan for z < 0.

    Notes
    -----
    Derivative: log(z)/(1 - z), -1 at z = 1. Error below 2.1 ulp. Complex numbers are handed to SciPy.
    """
    z = operand(z)
    return from_scipy("spence")(z) if is_complex(z) else integrals.spence(z)

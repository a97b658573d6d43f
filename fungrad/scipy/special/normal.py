"""Error functions and the normal distribution, under SciPy's names."""

from __future__ import annotations

from typing import Any

from fungrad.primitives.special import error
from fungrad.scipy.special.arguments import from_scipy, is_complex, operand


def erf(x: Any) -> Any:
    """Return the error function, 2/sqrt(pi) times the integral of exp(-u**2) from 0 to x (DLMF 7.2.1).

    Notes
    -----
    Derivative: 2/sqrt(pi) exp(-x**2). Error below 1.2 ulp. Complex numbers are handed to SciPy.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import erf
    >>> round(float(erf(1.0)), 12), round(float(fg.grad(erf)(0.0)), 12)
    (0.84270079295, 1.128379167096)
    """
    x = operand(x)
    return from_scipy("erf")(x) if is_complex(x) else error.erf(x)


def erfc(x: Any) -> Any:
    """Return ``1 - erf(x)`` without cancellation for large x (DLMF 7.2.2).

    Notes
    -----
    Derivative: -2/sqrt(pi) exp(-x**2). Error below 2.7 ulp. Complex numbers are handed to SciPy.
    """
    x = operand(x)
    return from_scipy("erfc")(x) if is_complex(x) else error.erfc(x)


def erfcx(x: Any) -> Any:
    """Return ``exp(x**2) erfc(x)``, which does not underflow for large x.

    Notes
    -----
    Derivative: 2 x erfcx(x) - 2/sqrt(pi), for x > 12 by its asymptotic series. Error below 3.2 ulp, for x < 0 times
    2 x**2. Complex numbers are handed to SciPy.
    """
    x = operand(x)
    return from_scipy("erfcx")(x) if is_complex(x) else error.erfcx(x)


def erfinv(y: Any) -> Any:
    """Return the x with ``erf(x) = y``, for y in [-1, 1]; nan outside.

    Notes
    -----
    Derivative: sqrt(pi)/2 exp(erfinv(y)**2), inf at -1 and 1. Error below 2.8 ulp.
    """
    return error.erfinv(operand(y))


def erfcinv(y: Any) -> Any:
    """Return the x with ``erfc(x) = y``, for y in [0, 2]; nan outside.

    Notes
    -----
    Derivative: -sqrt(pi)/2 exp(erfcinv(y)**2), -inf at 0 and 2. Error below 3 ulp, down to the smallest y.
    """
    return error.erfcinv(operand(y))


def ndtr(x: Any) -> Any:
    """Return the distribution function of the normal distribution, ``erfc(-x / sqrt(2)) / 2``.

    Notes
    -----
    Derivative: exp(-x**2 / 2) / sqrt(2 pi). Error below 3.4 ulp.
    """
    return error.ndtr(operand(x))


def log_ndtr(x: Any) -> Any:
    """Return ``log(ndtr(x))`` without underflow.

    Notes
    -----
    Derivative: exp(-x**2 / 2) / (sqrt(2 pi) ndtr(x)), which for x < 0 is sqrt(2/pi) / erfcx(-x / sqrt(2)). Error below
    3.2 ulp.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import log_ndtr
    >>> round(float(fg.grad(log_ndtr)(-1e6)), 7)
    1000000.000001
    """
    return error.log_ndtr(operand(x))


def ndtri(p: Any) -> Any:
    """Return the x with ``ndtr(x) = p``, for p in [0, 1]; nan outside.

    Notes
    -----
    Derivative: sqrt(2 pi) exp(ndtri(p)**2 / 2), inf at 0 and 1. Error below 2.7 ulp.
    """
    return error.ndtri(operand(p))

"""The logistic function and its kin, x log(y), entropies, and sinc, under SciPy's names."""

from __future__ import annotations

from typing import Any

from fungrad.primitives.special import logistic
from fungrad.primitives.trigonometric import sinc as normalized_sinc
from fungrad.scipy.special.arguments import inexact_array, operand


def expit(x: Any) -> Any:
    """Return the logistic function ``1 / (1 + exp(-x))``.

    Notes
    -----
    Derivative: expit(x) expit(-x). Error below 1.5 ulp.

    Examples
    --------
    >>> import fungrad as fg
    >>> from fungrad.scipy.special import expit
    >>> float(expit(0.0)), float(fg.grad(expit)(0.0))
    (0.5, 0.25)
    """
    return logistic.expit(operand(x))


def log_expit(x: Any) -> Any:
    """Return ``log(expit(x))``. Derivative: expit(-x). Error below 1.2 ulp."""
    return logistic.log_expit(operand(x))


def logit(p: Any) -> Any:
    """Return ``log(p / (1 - p))``, the inverse of `expit`. Derivative: 1 / (p (1 - p)). Error below 1 ulp."""
    return logistic.logit(operand(p))


def xlogy(x: Any, y: Any) -> Any:
    """Return ``x log(y)``, 0 where x is 0 and y is not nan.

    Notes
    -----
    Derivatives: log(y) and x / y. At x = y = 0, where the limits depend on the direction, they are -inf and 0.
    """
    return logistic.xlogy(operand(x), operand(y))


def xlog1py(x: Any, y: Any) -> Any:
    """Return ``x log(1 + y)``, 0 where x is 0 and y is not nan.

    Notes
    -----
    Derivatives: log(1 + y) and x / (1 + y). At x = 0, y = -1 they are -inf and 0.
    """
    return logistic.xlog1py(operand(x), operand(y))


def entr(x: Any) -> Any:
    """Return ``-x log(x)``: 0 for x = 0, -inf for x < 0. Derivative: -log(x) - 1, inf at 0, nan for x < 0."""
    return logistic.entr(operand(x))


def rel_entr(x: Any, y: Any) -> Any:
    """Return ``x log(x / y)`` for positive numbers: 0 for x = 0 and y >= 0, inf for negative numbers and for y = 0.

    Notes
    -----
    Derivatives: log(x / y) + 1 and -x / y; at x = y = 0 nan and 0.
    """
    return logistic.rel_entr(operand(x), operand(y))


def kl_div(x: Any, y: Any) -> Any:
    """Return ``x log(x / y) - x + y`` for positive numbers: y for x = 0 and y >= 0, inf outside of the domain.

    Notes
    -----
    Derivatives: log(x / y) and 1 - x / y; at x = y = 0 nan and 1. For x close to y the terms cancel, as in SciPy.
    """
    return logistic.kl_div(operand(x), operand(y))


def sinc(x: Any) -> Any:
    """Return ``sin(pi x) / (pi x)``, 1 at x = 0, as ``np.sinc``. Its derivatives of every order are right at 0 too."""
    return normalized_sinc(inexact_array(x))

"""logsumexp, softmax and log_softmax, under SciPy's names and arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.reductions import Axis, axes_of
from fungrad.numpy.shaping import promote
from fungrad.primitives.arithmetic import add, log, mul, sub
from fungrad.primitives.comparison import equal, isfinite
from fungrad.primitives.complex_parts import real
from fungrad.primitives.exponential import exp
from fungrad.primitives.reductions import reduce_max
from fungrad.primitives.rounding import abs, sign
from fungrad.primitives.selection import where
from fungrad.primitives.special import softmax as primitives
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import broadcast_to, expand_dims, reduce_sum
from fungrad.scipy.special.arguments import inexact_array, is_complex


def logsumexp(a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """Return ``log(sum(b exp(a)))`` along axes, without overflow.

    Parameters
    ----------
    a : array
        Real or complex. Elements may be -inf (terms that are 0).
    axis : int, tuple of int or None
        The axes to sum over; None is all of them.
    b : array, optional
        Factors of the terms, of a shape that broadcasts with a; any sign, zero included.
    keepdims : bool
        Whether the axes stay, with size 1.
    return_sign : bool
        Whether to return also the sign of the sum (for complex sums: the sum over its modulus). Without it the result
        is nan where a real sum is negative.

    Returns
    -------
    array, or a tuple of two
        The logarithm (of the modulus, with ``return_sign``), and the sign.

    Notes
    -----
    Derivatives with s = sum(b exp(a)): b exp(a) / s in a, exp(a) / s in b. In rows that are all -inf they are taken as
    0. An element +inf makes them nan. The sign has a zero derivative.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> from fungrad.scipy.special import logsumexp
    >>> float(logsumexp(np.array([1000.0, 1000.0])))
    1000.6931471805599
    >>> fg.grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    x = inexact_array(a)
    if b is not None:
        weights = inexact_array(b)
        x, weights = promote([x, weights])
        shape = np.broadcast_shapes(typeof(x).shape, typeof(weights).shape)
        x, weights = broadcast_to(x, shape), broadcast_to(weights, shape)
    else:
        weights = None
    axes = axes_of(axis, len(typeof(x).shape))
    modulus: Any
    if is_complex(x):
        modulus, sgn = _complex(x, weights, axes, return_sign)
    elif weights is None:
        modulus = primitives.logsumexp(x, axes)
        sgn = np.ones(typeof(modulus).shape, typeof(modulus).dtype)[()]
    else:
        modulus, sgn = primitives.signed_logsumexp(x, weights, axes)
        if not return_sign:
            modulus = where(equal(sgn, -1), math.nan, modulus)
    if keepdims:
        modulus, sgn = expand_dims(modulus, axes), expand_dims(sgn, axes)
    return (modulus, sgn) if return_sign else modulus


def _complex(x: Any, weights: Any, axes: tuple[int, ...], return_sign: bool) -> tuple[Any, Any]:
    if not typeof(x).size:
        total = reduce_sum(x, axes)
        nothing = np.full(typeof(total).shape, -math.inf, (typeof(abs(total)) if return_sign else typeof(total)).dtype)
        return nothing[()], total
    top = reduce_max(stop_gradient_p.function(real(x)), axes)
    top = where(isfinite(top), top, 0)
    terms = exp(sub(x, expand_dims(top, axes)))
    total = reduce_sum(terms if weights is None else mul(weights, terms), axes)
    if not return_sign:
        return add(log(total), top), total
    modulus = abs(total)
    return add(log(modulus), top), sign(total)


def softmax(x: Any, axis: Axis = None) -> Any:
    """Return ``exp(x) / sum(exp(x))`` along axes: positive numbers that add up to 1.

    Parameters
    ----------
    x : array
        Real; of integers the result is float64.
    axis : int, tuple of int or None
        The axes to sum over; None is all of them.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    Derivative: y_i (delta_ij - y_j).

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.scipy.special import softmax
    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    """
    x = _real_array("softmax", x)
    return primitives.softmax(x, axes_of(axis, len(typeof(x).shape)))


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """Return ``x - logsumexp(x)`` along axes, the logarithm of `softmax` without overflow or loss of small numbers.

    Parameters
    ----------
    x : array
        Real; of integers the result is float64.
    axis : int, tuple of int or None
        The axes to sum over; None is all of them.

    Notes
    -----
    Derivative: delta_ij - softmax(x)_j.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.scipy.special import log_softmax
    >>> log_softmax(np.array([1000.0, 0.0]))
    array([    0., -1000.])
    """
    x = _real_array("log_softmax", x)
    return primitives.log_softmax(x, axes_of(axis, len(typeof(x).shape)))


def _real_array(name: str, x: Any) -> Any:
    x = inexact_array(x)
    if is_complex(x):
        raise UnsupportedOperationError(
            f"fungrad.scipy.special.{name} of {typeof(x).dtype}: complex numbers have no order, so there is no largest "
            f"one to subtract. Write np.exp(x - logsumexp(x, axis, keepdims=True)), or its logarithm"
        )
    return x

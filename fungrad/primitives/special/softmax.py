"""logsumexp and softmax: exponentials, sums and logarithms in one, without overflow.

    logsumexp(x) = log(sum(exp(x)))                     derivative softmax(x)
    signed_logsumexp(x, b) = log |s|, sign(s)           with s = sum(b exp(x)); derivatives b exp(x) / s and exp(x) / s
    softmax(x) = exp(x) / sum(exp(x)),  log_softmax(x) = x - logsumexp(x)

They are primitives because their derivatives are shorter than those of their parts, and because the parts lose digits:
the largest term is 1 and goes through log1p, so that a result near 0 keeps its digits (SciPy does the same). Axes are
counted from 0 and sorted; the sums drop them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import General
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.exponential import exp
from fungrad.primitives.reductions import Axes, sum_of_products, without
from fungrad.primitives.selection import where
from fungrad.primitives.structural import broadcast_to, expand_dims


def _reduced(x: ShapedArray, axes: Axes) -> ShapedArray:
    return ShapedArray(without(x.shape, axes), x.dtype)


def _shifted(axes: Axes) -> Axes:
    return tuple([k + 1 for k in axes])


def _logsumexp(x: Any, *, axes: Axes) -> Any:
    x = np.asarray(x)
    if not x.size:
        return np.full(without(x.shape, axes), -np.inf, x.dtype)[()]
    top = np.maximum.reduce(x, axes, keepdims=True)
    with np.errstate(all="ignore"):
        terms = np.asarray(x - np.where(np.isfinite(top), top, 0))
        largest = x == top
        count = np.add.reduce(largest, axes, dtype=x.dtype)
        np.exp(terms, out=terms)
        terms[largest] = 0
        rest = np.add.reduce(terms, axes)
        top = top.reshape(count.shape)
        return (np.log1p(rest / count) + np.log(count) + top)[()]


def _weights(x: Any, out: Any, axes: Axes) -> Any:
    """``exp(x - out)``, the softmax; 0 where x is -inf, also beside an infinite sum."""
    out = expand_dims(out, axes)
    nothing = equal(x, -math.inf)
    return exp(where(nothing, -math.inf, sub(where(nothing, 0, x), where(equal(out, -math.inf), 0, out))))


def _logsumexp_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    return sum_of_products(tangents[0], _weights(primals[0], out, axes), axes)


logsumexp_p = General(
    "logsumexp",
    _logsumexp,
    abstract=lambda x, *, axes: _reduced(x, axes),
    jvp=_logsumexp_jvp,
    batch=lambda axis, batched, x, *, axes: logsumexp(x, _shifted(axes)),
)


def logsumexp(x: Any, axes: Axes) -> Any:
    """``log(sum(exp(x)))`` over these axes of a real array."""
    return logsumexp_p.bind(x, axes=axes)


# with weights: x and b have one shape and dtype


def _signed_logsumexp(x: Any, b: Any, *, axes: Axes) -> tuple[Any, Any]:
    x, b = np.asarray(x), np.asarray(b)
    shape = without(x.shape, axes)
    if not x.size:
        return np.full(shape, -np.inf, x.dtype)[()], np.zeros(shape, x.dtype)[()]
    with np.errstate(all="ignore"):
        x = np.where(b == 0, -np.inf, x)
        top = np.maximum.reduce(x, axes, keepdims=True)
        terms = b * np.exp(x - np.where(np.isfinite(top), top, 0))
        largest = x == top
        lead = np.add.reduce(np.where(largest & np.isfinite(top), b, 0), axes)
        rest = np.add.reduce(np.where(largest & np.isfinite(top), 0, terms), axes)
        total = lead + rest
        # |rest| < |lead| where log1p is used; elsewhere log of the sum itself
        close = (lead != 0) & (np.abs(rest) < 0.5 * np.abs(lead))
        quotient = np.where(close, rest / np.where(lead == 0, 1, lead), 0)
        value = np.where(close, np.log1p(quotient) + np.log(np.abs(lead)), np.log(np.abs(total)))
        top = top.reshape(shape)
        return (value + np.where(np.isfinite(top), top, 0)).astype(x.dtype)[()], np.sign(total)[()]


def _signed_jvp(primals: Sequence[Any], tangents: Sequence[Any], outs: Any, *, axes: Axes) -> Any:
    (x, b), (x_dot, b_dot) = primals, tangents
    out, sign = outs
    total = None
    if x_dot is not None:
        # A term with the weight 0 may be as large as it likes.
        weights = mul(_weights(where(equal(b, 0), -math.inf, x), out, axes), b)
        total = mul(sum_of_products(x_dot, weights, axes), sign)
    if b_dot is not None:
        term = mul(sum_of_products(b_dot, _weights(x, out, axes), axes), sign)
        total = term if total is None else add(total, term)
    return total, None


def _signed_batch(axis: Any, batched: Sequence[bool], x: Any, b: Any, *, axes: Axes) -> Any:
    x, b = (v if f else broadcast_to(v, (axis.size, *typeof(v).shape)) for v, f in zip((x, b), batched, strict=True))
    return signed_logsumexp(x, b, _shifted(axes))


signed_logsumexp_p = General(
    "signed_logsumexp",
    _signed_logsumexp,
    abstract=lambda x, b, *, axes: (_reduced(x, axes), _reduced(x, axes)),
    jvp=_signed_jvp,
    batch=_signed_batch,
    multiple=True,
)


def signed_logsumexp(x: Any, b: Any, axes: Axes) -> tuple[Any, Any]:
    """``log |s|`` and the sign of ``s = sum(b exp(x))`` over these axes; x and b are real, of one shape and dtype."""
    log_modulus, sign = signed_logsumexp_p.bind(x, b, axes=axes)
    return log_modulus, sign


# softmax: d y = y (dx - sum(y dx)); log_softmax: d y = dx - sum(exp(y) dx)


def _softmax(x: Any, *, axes: Axes) -> Any:
    x = np.asarray(x)
    if not x.size:
        return x
    with np.errstate(invalid="ignore", under="ignore"):
        terms = np.asarray(x - np.maximum.reduce(x, axes, keepdims=True))
        np.exp(terms, out=terms)
        terms /= np.add.reduce(terms, axes, keepdims=True)
        return terms[()]


def _softmax_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    (t,) = tangents
    return mul(out, sub(t, expand_dims(sum_of_products(t, out, axes), axes)))


softmax_p = General(
    "softmax",
    _softmax,
    abstract=lambda x, *, axes: ShapedArray(x.shape, x.dtype),
    jvp=_softmax_jvp,
    batch=lambda axis, batched, x, *, axes: softmax(x, _shifted(axes)),
)


def softmax(x: Any, axes: Axes) -> Any:
    """``exp(x) / sum(exp(x))`` along these axes of a real array."""
    return softmax_p.bind(x, axes=axes)


def _log_softmax(x: Any, *, axes: Axes) -> Any:
    x = np.asarray(x)
    if not x.size:
        return x
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        top = np.maximum.reduce(x, axes, keepdims=True)
        shifted = x - np.where(np.isfinite(top), top, 0)
        return (shifted - np.log(np.add.reduce(np.exp(shifted), axes, keepdims=True)))[()]


def _log_softmax_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axes: Axes) -> Any:
    (t,) = tangents
    return sub(t, expand_dims(sum_of_products(t, exp(out), axes), axes))


log_softmax_p = General(
    "log_softmax",
    _log_softmax,
    abstract=lambda x, *, axes: ShapedArray(x.shape, x.dtype),
    jvp=_log_softmax_jvp,
    batch=lambda axis, batched, x, *, axes: log_softmax(x, _shifted(axes)),
)


def log_softmax(x: Any, axes: Axes) -> Any:
    """``x - logsumexp(x)`` along these axes of a real array."""
    return log_softmax_p.bind(x, axes=axes)

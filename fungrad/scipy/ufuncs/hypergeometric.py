"""Derivatives of the hypergeometric functions in their argument, and of Wright's Bessel function. DLMF 13, 15, 16."""

from __future__ import annotations

from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.exponential import exp
from fungrad.scipy.ufuncs.declared import declare, special

hyp0f1, hyp1f1, hyp2f1, hyperu = special("hyp0f1"), special("hyp1f1"), special("hyp2f1"), special("hyperu")
wright_bessel, log_wright_bessel = special("wright_bessel"), special("log_wright_bessel")

# 16.3.1, 13.3.15, 15.5.1, 13.3.22

declare("hyp0f1", "v z", z=lambda t, v, z: mul(t, div(hyp0f1(add(v, 1), z), v)))
declare("hyp1f1", "a b x", x=lambda t, a, b, x: mul(t, mul(div(a, b), hyp1f1(add(a, 1), add(b, 1), x))))
declare(
    "hyp2f1",
    "a b c z",
    z=lambda t, a, b, c, z: mul(t, mul(div(mul(a, b), c), hyp2f1(add(a, 1), add(b, 1), add(c, 1), z))),
)
declare("hyperu", "a b x", x=lambda t, a, b, x: neg(mul(t, mul(a, hyperu(add(a, 1), add(b, 1), x)))))

# sum(x**k / (k! gamma(a k + b))): 10.46.1, differentiated term by term

declare("wright_bessel", "a b x", x=lambda t, a, b, x: mul(t, wright_bessel(a, add(a, b), x)))
declare(
    "log_wright_bessel",
    "a b x",
    x=lambda t, a, b, x, out: mul(t, exp(sub(log_wright_bessel(a, add(a, b), x), out))),
)

"""Derivatives of Bessel, modified Bessel, Hankel and spherical Bessel functions in their argument. DLMF 10.

They are differences of neighbouring orders, without division by the argument, so they hold at 0 as well. Those of the
exponentially scaled functions lose digits for large arguments z, about log10(2 z), as two nearly equal terms are
subtracted. In the order no derivative is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.complex_parts import imag, real
from fungrad.primitives.rounding import abs, sign
from fungrad.primitives.selection import where
from fungrad.scipy.ufuncs.declared import declare, declare_several, special
from fungrad.scipy.ufuncs.polynomials import signed

j0, j1, jv, jve = special("j0"), special("j1"), special("jv"), special("jve")
y0, y1, yn, yv, yve = special("y0"), special("y1"), special("yn"), special("yv"), special("yve")
i0, i1, i0e, i1e, iv, ive = (special(name) for name in ("i0", "i1", "i0e", "i1e", "iv", "ive"))
k0, k1, k0e, k1e, kn, kv, kve = (special(name) for name in ("k0", "k1", "k0e", "k1e", "kn", "kv", "kve"))
hankel1, hankel2, hankel1e, hankel2e = (special(name) for name in ("hankel1", "hankel2", "hankel1e", "hankel2e"))

Function = Callable[..., Any]


def difference(function: Function, v: Any, z: Any) -> Any:
    """``(f_(v-1) - f_(v+1)) / 2``: 10.6.1, the derivative of J, Y and the Hankel functions."""
    v = signed(v)
    return mul(sub(function(sub(v, 1), z), function(add(v, 1), z)), 0.5)


def mean(function: Function, v: Any, z: Any) -> Any:
    """``(f_(v-1) + f_(v+1)) / 2``: 10.29.1, the derivative of I, and with a minus of K."""
    v = signed(v)
    return mul(add(function(sub(v, 1), z), function(add(v, 1), z)), 0.5)


# orders 0 and 1: 10.6.3, 10.29.3

declare("j0", "x", x=lambda t, x: neg(mul(t, j1(x))))
declare("j1", "x", x=lambda t, x: mul(t, mul(sub(j0(x), jv(2, x)), 0.5)))
declare("y0", "x", x=lambda t, x: neg(mul(t, y1(x))))
declare("y1", "x", x=lambda t, x: mul(t, mul(sub(y0(x), yv(2, x)), 0.5)))
declare("i0", "x", x=lambda t, x: mul(t, i1(x)))
declare("i1", "x", x=lambda t, x: mul(t, mul(add(i0(x), iv(2, x)), 0.5)))
declare("k0", "x", x=lambda t, x: neg(mul(t, k1(x))))
declare("k1", "x", x=lambda t, x, out: neg(mul(t, add(k0(x), div(out, x)))))

# I exp(-|x|) and K exp(x); the kink of I_0 exp(-|x|) at 0 has the derivative 0

declare("i0e", "x", x=lambda t, x, out: mul(t, sub(i1e(x), mul(sign(x), out))))
declare("i1e", "x", x=lambda t, x, out: mul(t, sub(mul(add(i0e(x), ive(2, x)), 0.5), mul(sign(x), out))))
declare("k0e", "x", x=lambda t, x, out: mul(t, sub(out, k1e(x))))
declare("k1e", "x", x=lambda t, x, out: mul(t, sub(sub(out, k0e(x)), div(out, x))))

# any order

declare("jv", "v z", z=lambda t, v, z: mul(t, difference(jv, v, z)))
declare("yv", "v z", z=lambda t, v, z: mul(t, difference(yv, v, z)))
declare("hankel1", "v z", z=lambda t, v, z: mul(t, difference(hankel1, v, z)))
declare("hankel2", "v z", z=lambda t, v, z: mul(t, difference(hankel2, v, z)))
declare("iv", "v z", z=lambda t, v, z: mul(t, mean(iv, v, z)))
declare("kv", "v z", z=lambda t, v, z: neg(mul(t, mean(kv, v, z))))
declare("yn", "n x", x=lambda t, n, x: mul(t, difference(yn, n, x)))
declare(
    "kn",
    "n x",
    x=lambda t, n, x: mul(t, mul(add(kn(abs(sub(signed(n), 1)), x), kn(add(signed(n), 1), x)), -0.5)),
)

# scaled by an entire function: H1 exp(-iz), H2 exp(iz), K exp(z)

declare("hankel1e", "v z", z=lambda t, v, z, out: mul(t, sub(difference(hankel1e, v, z), mul(out, 1j))))
declare("hankel2e", "v z", z=lambda t, v, z, out: mul(t, add(difference(hankel2e, v, z), mul(out, 1j))))
declare("kve", "v z", z=lambda t, v, z, out: mul(t, sub(out, mean(kve, v, z))))

# scaled by exp(-|Im z|) and exp(-|Re z|), whose derivatives are linear over the reals only


def _scaled_by_imag(function: Function) -> Function:
    def rule(t: Any, v: Any, z: Any, out: Any) -> Any:
        return sub(mul(t, difference(function, v, z)), mul(mul(imag(t), sign(imag(z))), out))

    return rule


def _ive(t: Any, v: Any, z: Any, out: Any) -> Any:
    return sub(mul(t, mean(ive, v, z)), mul(mul(real(t), sign(real(z))), out))


declare_several("jve", "v z", z=_scaled_by_imag(jve))
declare_several("yve", "v z", z=_scaled_by_imag(yve))
declare_several("ive", "v z", z=_ive)

# spherical functions of integer order and their derivatives: 10.51.1, 10.51.4


def _spherical(name: str, lower: int, upper: int) -> Function:
    function = special(name)

    def rule(t: Any, n: Any, z: Any) -> Any:
        n = signed(n)
        below = mul(function(where(equal(n, 0), 0, sub(n, 1)), z), mul(n, lower))
        above = mul(function(add(n, 1), z), mul(add(n, 1), upper))
        return mul(t, div(add(below, above), add(mul(n, 2), 1)))

    return rule


for _name, _lower, _upper in (("jn", 1, -1), ("yn", 1, -1), ("in", 1, 1), ("kn", -1, -1)):
    for _suffix in ("", "_d"):
        declare(f"_spherical_{_name}{_suffix}", "n z", z=_spherical(f"_spherical_{_name}{_suffix}", _lower, _upper))

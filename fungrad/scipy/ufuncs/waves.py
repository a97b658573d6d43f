"""Derivatives of Mathieu, parabolic cylinder and spheroidal wave functions in their argument. DLMF 12, 28, 30.

SciPy's functions return a solution of a differential equation of second order and its derivative: the one's derivative
is the other, and the other's is what the equation says. Those of ce and se take degrees, with derivatives per radian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.exponential import square
from fungrad.primitives.trigonometric import cos, cosh
from fungrad.scipy.ufuncs.declared import declare, declare_several, special

_DEGREE = math.pi / 180

# Mathieu: y'' = (2 q cos(2 x) - a) y (28.2.1), modified y'' = (a - 2 q cosh(2 x)) y (28.20.1)

declare("mathieu_a", "m q")
declare("mathieu_b", "m q")

_Rule = Callable[..., tuple[Any, Any]]


def _mathieu(characteristic: str) -> _Rule:
    value = special(characteristic)

    def rule(t: Any, m: Any, q: Any, x: Any, out: Any) -> tuple[Any, Any]:
        y, slope = out
        force = sub(mul(mul(q, 2), cos(mul(x, 2 * _DEGREE))), value(m, q))
        return mul(t, mul(slope, _DEGREE)), mul(t, mul(mul(force, y), _DEGREE))

    return rule


def _modified_mathieu(characteristic: str) -> _Rule:
    value = special(characteristic)

    def rule(t: Any, m: Any, q: Any, x: Any, out: Any) -> tuple[Any, Any]:
        y, slope = out
        return mul(t, slope), mul(t, mul(sub(value(m, q), mul(mul(q, 2), cosh(mul(x, 2)))), y))

    return rule


declare_several("mathieu_cem", "m q x", x=_mathieu("mathieu_a"))
declare_several("mathieu_sem", "m q x", x=_mathieu("mathieu_b"))
declare_several("mathieu_modcem1", "m q x", x=_modified_mathieu("mathieu_a"))
declare_several("mathieu_modcem2", "m q x", x=_modified_mathieu("mathieu_a"))
declare_several("mathieu_modsem1", "m q x", x=_modified_mathieu("mathieu_b"))
declare_several("mathieu_modsem2", "m q x", x=_modified_mathieu("mathieu_b"))

# parabolic cylinder: y'' = (x**2/4 - v - 1/2) y for D_v and V_v (12.2.4), y'' = (a - x**2/4) y for W (12.14.1)


def _parabolic(t: Any, v: Any, x: Any, out: Any) -> tuple[Any, Any]:
    y, slope = out
    return mul(t, slope), mul(t, mul(sub(sub(mul(square(x), 0.25), v), 0.5), y))


def _parabolic_w(t: Any, a: Any, x: Any, out: Any) -> tuple[Any, Any]:
    y, slope = out
    return mul(t, slope), mul(t, mul(sub(a, mul(square(x), 0.25)), y))


declare_several("pbdv", "v x", x=_parabolic)
declare_several("pbvv", "v x", x=_parabolic)
declare_several("pbwa", "a x", x=_parabolic_w)

# spheroidal: ((1-x**2) y')' + (l - c**2 x**2 - m**2/(1-x**2)) y = 0 (30.2.1), prolate; with -c**2 for c**2 oblate
# angular; oblate radial, of i x: ((1+x**2) y')' = (l - c**2 x**2 - m**2/(1+x**2)) y (30.13.8, 30.14.8)


def _spheroidal(t: Any, m: Any, c: Any, cv: Any, x: Any, out: Any, sign: int) -> tuple[Any, Any]:
    y, slope = out
    weight = sub(1, square(x))
    force = sub(sub(cv, mul(square(mul(c, x)), sign)), div(square(m), weight))
    return mul(t, slope), mul(t, div(sub(mul(mul(x, 2), slope), mul(force, y)), weight))


def _oblate_radial(t: Any, m: Any, c: Any, cv: Any, x: Any, out: Any) -> tuple[Any, Any]:
    y, slope = out
    weight = add(square(x), 1)
    force = sub(sub(cv, square(mul(c, x))), div(square(m), weight))
    return mul(t, slope), mul(t, div(sub(mul(force, y), mul(mul(x, 2), slope)), weight))


pro_cv, obl_cv = special("pro_cv"), special("obl_cv")


def _prolate(t: Any, m: Any, n: Any, c: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return _spheroidal(t, m, c, pro_cv(m, n, c), x, out, 1)


def _prolate_cv(t: Any, m: Any, c: Any, cv: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return _spheroidal(t, m, c, cv, x, out, 1)


def _oblate_angular(t: Any, m: Any, n: Any, c: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return _spheroidal(t, m, c, obl_cv(m, n, c), x, out, -1)


def _oblate_angular_cv(t: Any, m: Any, c: Any, cv: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return _spheroidal(t, m, c, cv, x, out, -1)


def _oblate_radial_n(t: Any, m: Any, n: Any, c: Any, x: Any, out: Any) -> tuple[Any, Any]:
    return _oblate_radial(t, m, c, obl_cv(m, n, c), x, out)


declare("pro_cv", "m n c")
declare("obl_cv", "m n c")
declare_several("pro_ang1", "m n c x", x=_prolate)
declare_several("pro_rad1", "m n c x", x=_prolate)
declare_several("pro_ang1_cv", "m n c cv x", x=_prolate_cv)
declare_several("pro_rad1_cv", "m n c cv x", x=_prolate_cv)
declare_several("obl_ang1", "m n c x", x=_oblate_angular)
declare_several("obl_rad1", "m n c x", x=_oblate_radial_n)
declare_several("obl_ang1_cv", "m n c cv x", x=_oblate_angular_cv)
declare_several("obl_rad1_cv", "m n c cv x", x=_oblate_radial)

# SciPy's values of the second kind do not satisfy the equation (pro_rad2), or the second result is not the derivative
# of the first one (obl_rad2), for example at m = 1, n = 2, c = 1.5: what follows from them would be as wrong.

declare_several("pro_rad2", "m n c x")
declare_several("obl_rad2", "m n c x")
declare_several("pro_rad2_cv", "m n c cv x")
declare_several("obl_rad2_cv", "m n c cv x")

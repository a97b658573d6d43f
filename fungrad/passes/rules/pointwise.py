"""Rewrite rules of arithmetic. All but powers are exact: they change no bit of a result that is not nan.

``x + 0 -> x`` is not among them, since -0.0 + 0 is 0.0. A rule must keep the type: ``1.0 * x`` is x only if x has the
dtype and shape of the product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.ir import Atom, Equation, Literal
from fungrad.primitives.arithmetic import add_p, div_p, mul_p, neg_p, sub_p
from fungrad.primitives.exponential import reciprocal_p, sqrt_p, square_p


def _value(atom: Atom) -> Any:
    """The number that a literal is, a float64 as Python's; or None."""
    if not isinstance(atom, Literal) or atom.aval.shape:
        return None
    return float(atom.value) if type(atom.value) is np.float64 else atom.value


def _like(atom: Atom, number: Any) -> Literal:
    """A literal of the type that the one is."""
    return Literal(number if atom.aval.weak else atom.aval.dtype.type(number))


def _negatable(atom: Atom) -> bool:
    """Whether a literal is a Python number whose negative is told apart from it: not the integer 0."""
    value = _value(atom)
    return type(value) is float or (type(value) is int and value != 0)


def _is(atom: Atom, number: float) -> bool:
    value = _value(atom)
    return value is not None and value == number


def _same_type(x: Atom, eqn: Equation) -> bool:
    return x.aval == eqn.outputs[0].aval


def _is_real(eqn: Equation) -> bool:
    return eqn.outputs[0].aval.dtype.kind == "f"


def _times_one(b: Any, eqn: Equation) -> Atom | None:
    # x * 1 -> x      1 * x -> x
    x, y = eqn.inputs
    if _is(y, 1) and _same_type(x, eqn):
        return x
    return y if _is(x, 1) and _same_type(y, eqn) else None


def _over_one(b: Any, eqn: Equation) -> Atom | None:
    # x / 1 -> x
    x, y = eqn.inputs
    return x if _is(y, 1) and _same_type(x, eqn) else None


def _minus_zero(b: Any, eqn: Equation) -> Atom | None:
    # x - 0 -> x
    x, y = eqn.inputs
    value = _value(y)
    exact = value is not None and value == 0 and math.copysign(1, float(value.real)) > 0
    return x if exact and _same_type(x, eqn) else None


def _times_minus_one(b: Any, eqn: Equation) -> Atom | None:
    # x * -1 -> -x
    x, y = eqn.inputs
    if _is(y, -1) and _same_type(x, eqn) and _is_real(eqn):
        return b.apply(neg_p, x)  # type: ignore[no-any-return]
    return b.apply(neg_p, y) if _is(x, -1) and _same_type(y, eqn) and _is_real(eqn) else None


def _negative_factor(b: Any, eqn: Equation) -> Atom | None:
    # -x * -y -> x * y      -x * c -> x * -c      -x * y -> -(x * y)      and from the other side
    x, y = eqn.inputs
    if not _is_real(eqn):
        return None
    minus_x, minus_y = b.made_by(x, "neg"), b.made_by(y, "neg")
    if minus_x and minus_y:
        return b.apply(eqn.primitive, minus_x.inputs[0], minus_y.inputs[0])  # type: ignore[no-any-return]
    if minus_x and _negatable(y):
        return b.apply(eqn.primitive, minus_x.inputs[0], _like(y, -_value(y)))  # type: ignore[no-any-return]
    if minus_y and _negatable(x):
        return b.apply(eqn.primitive, _like(x, -_value(x)), minus_y.inputs[0])  # type: ignore[no-any-return]
    if minus_x and b.is_used_once(x):
        return b.apply(neg_p, b.apply(eqn.primitive, minus_x.inputs[0], y))  # type: ignore[no-any-return]
    if minus_y and b.is_used_once(y):
        return b.apply(neg_p, b.apply(eqn.primitive, x, minus_y.inputs[0]))  # type: ignore[no-any-return]
    return None


def _negative_divisor(b: Any, eqn: Equation) -> Atom | None:
    # x / -y -> -(x / y): so that x / y and the sign are found by what follows
    x, y = eqn.inputs
    minus_y = b.made_by(y, "neg")
    return b.apply(neg_p, b.apply(div_p, x, minus_y.inputs[0])) if minus_y and _is_real(eqn) else None


def _exact_reciprocal(b: Any, eqn: Equation) -> Atom | None:
    # x / 2**k -> x * 2**-k
    x, y = eqn.inputs
    value, dtype = _value(y), eqn.outputs[0].aval.dtype
    if type(value) not in (int, float) or dtype not in (np.float64, np.float32) or not math.isfinite(value):
        return None
    mantissa, exponent = math.frexp(value)
    if abs(mantissa) != 0.5 or abs(exponent) > 100:
        return None
    return b.apply(mul_p, x, Literal(1.0 / value) if y.aval.weak else _like(y, 1.0 / value))  # type: ignore[no-any-return]


def _double_negation(b: Any, eqn: Equation) -> Atom | None:
    # --x -> x      -(x * c) -> x * -c      -(x - y) is y - x but for the sign of zero
    (x,) = eqn.inputs
    inner = b.made_by(x, "neg")
    if inner:
        return inner.inputs[0]  # type: ignore[no-any-return]
    product = b.made_by(x, "mul")
    if product and _is_real(eqn) and b.is_used_once(x):
        p, q = product.inputs
        if _negatable(q):
            return b.apply(mul_p, p, _like(q, -_value(q)))  # type: ignore[no-any-return]
        if _negatable(p):
            return b.apply(mul_p, _like(p, -_value(p)), q)  # type: ignore[no-any-return]
    return None


def _add_negative(b: Any, eqn: Equation) -> Atom | None:
    # x + -y -> x - y      -x + y -> y - x
    x, y = eqn.inputs
    minus_y = b.made_by(y, "neg")
    if minus_y:
        return b.apply(sub_p, x, minus_y.inputs[0])  # type: ignore[no-any-return]
    minus_x = b.made_by(x, "neg")
    return b.apply(sub_p, y, minus_x.inputs[0]) if minus_x else None


def _sub_negative(b: Any, eqn: Equation) -> Atom | None:
    # x - -y -> x + y
    x, y = eqn.inputs
    minus_y = b.made_by(y, "neg")
    return b.apply(add_p, x, minus_y.inputs[0]) if minus_y else None


def _twice(b: Any, eqn: Equation) -> Atom | None:
    # x + x -> 2 * x
    x, y = eqn.inputs
    return b.apply(mul_p, x, Literal(2)) if x is y and _is_real(eqn) and not x.aval.weak else None


def _powers_of_two(b: Any, eqn: Equation) -> Atom | None:
    # (x * 2**i) * 2**k -> x * 2**(i + k) for i, k >= 0: it overflows where the one or the other does
    x, y = eqn.inputs
    if type(_value(x)) in (int, float):
        x, y = y, x
    c = _value(y)
    if type(c) not in (int, float) or not _is_real(eqn) or not _is_moderate(c):
        return None
    product = b.made_by(x, "mul")
    if not product or not b.is_used_once(x) or not _is_real(product):
        return None
    p, q = product.inputs
    if type(_value(p)) in (int, float):
        p, q = q, p
    d = _value(q)
    if type(d) not in (int, float) or not _is_moderate(d):
        return None
    if abs(math.frexp(c)[0]) == 0.5 and abs(math.frexp(d)[0]) == 0.5:
        return b.apply(mul_p, p, _like(y, c * d))  # type: ignore[no-any-return]
    return None


def _is_moderate(c: float) -> bool:
    return 1 <= abs(c) < 1e6


def _small_powers(b: Any, eqn: Equation) -> Atom | None:
    # x**1 -> x      x**2 -> x*x      x**3 -> x*x*x      x**4 -> (x*x)*(x*x)      x**-1 -> 1/x
    # x**0.5 -> sqrt(x), as NumPy's operator has it for arrays
    x, y = eqn.inputs
    n = _value(y)
    if type(n) not in (int, float) or x.aval.weak or not _same_type(x, eqn) or x.aval.dtype.kind not in "fc":
        return None
    if n == 1:
        return x
    if n == 2:
        return b.apply(square_p, x)  # type: ignore[no-any-return]
    if n == -1:
        return b.apply(reciprocal_p, x)  # type: ignore[no-any-return]
    if n == 0.5 and x.aval.shape:
        return b.apply(sqrt_p, x)  # type: ignore[no-any-return]
    if n == 3:
        return b.apply(mul_p, b.apply(square_p, x), x)  # type: ignore[no-any-return]
    if n == 4:
        return b.apply(square_p, b.apply(square_p, x))  # type: ignore[no-any-return]
    return None


def _square_of_negative(b: Any, eqn: Equation) -> Atom | None:
    # (-x)**2 -> x**2
    inner = b.made_by(eqn.inputs[0], "neg")
    return b.apply(square_p, inner.inputs[0]) if inner else None


RULES = {
    "mul": [_times_one, _times_minus_one, _negative_factor, _powers_of_two],
    "div": [_over_one, _negative_divisor, _exact_reciprocal],
    "add": [_add_negative, _twice],
    "sub": [_minus_zero, _sub_negative],
    "neg": [_double_negation],
    "power": [_small_powers],
    "square": [_square_of_negative],
}

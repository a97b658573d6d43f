"""Rewrite rules of arithmetic. All but those of powers are exact where no number is subnormal.

``x + 0 -> x`` is not among them, since -0.0 + 0 is 0.0. A rule must keep the type: ``1.0 * x`` is x only if x has the
dtype and shape of the product.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fungrad.core.ir import Atom, Equation, Literal
from fungrad.primitives.arithmetic import add_p, div_p, mul_p, neg_p, sub_p
from fungrad.primitives.assignment import add_slice_p
from fungrad.primitives.exponential import is_finite, reciprocal_p, sqrt_p, square_p
from fungrad.primitives.structural import unslice_p


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


def _negated(b: Any, atom: Atom) -> Equation | None:
    """The equation that makes an operand by negation. Of integers ``-x`` wraps around: it must stay before a cast."""
    eqn: Equation | None = b.made_by(atom, "neg")
    return eqn if eqn is not None and atom.aval.dtype.kind in "fc" else None


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
    minus_x, minus_y = _negated(b, x), _negated(b, y)
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
    minus_y = _negated(b, y)
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
    return b.apply(mul_p, x, _like(y, 1.0 / value))  # type: ignore[no-any-return]


def _double_negation(b: Any, eqn: Equation) -> Atom | None:
    # --x -> x      -(x * c) -> x * -c      -(x - y) is y - x but for the sign of zero
    (x,) = eqn.inputs
    inner = _negated(b, x)
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
    minus_y = _negated(b, y)
    if minus_y:
        return b.apply(sub_p, x, minus_y.inputs[0])  # type: ignore[no-any-return]
    minus_x = _negated(b, x)
    return b.apply(sub_p, y, minus_x.inputs[0]) if minus_x else None


def _sub_negative(b: Any, eqn: Equation) -> Atom | None:
    # x - -y -> x + y
    x, y = eqn.inputs
    minus_y = _negated(b, y)
    return b.apply(add_p, x, minus_y.inputs[0]) if minus_y else None


def _add_unsliced(b: Any, eqn: Equation) -> Atom | None:
    # unslice(x, i) + unslice(y, i) -> unslice(x + y, i)      x + unslice(y, i) -> x with y added at i
    x, y = eqn.inputs
    unsliced_x, unsliced_y = b.made_by(x, "unslice"), b.made_by(y, "unslice")
    if x.aval != y.aval or x.aval.dtype.kind not in "fc":
        return None
    if unsliced_x and unsliced_y and unsliced_x.params == unsliced_y.params:
        return b.apply(unslice_p, b.apply(add_p, unsliced_x.inputs[0], unsliced_y.inputs[0]), **unsliced_x.params)  # type: ignore[no-any-return]
    for whole, part, eqn_of_part in ((x, y, unsliced_y), (y, x, unsliced_x)):
        if eqn_of_part and b.is_used_once(part):
            return _added_below(b, whole, eqn_of_part)
    return None


def _added_below(b: Any, whole: Atom, part: Equation) -> Atom:
    """``whole + part``, joined with what was added at the same place before, if that was."""
    (v,), index = part.inputs, part.params["index"]
    before = b.made_by(whole, "add_slice")
    if before and before.params["index"] == index and b.is_used_once(whole):
        return b.apply(add_slice_p, before.inputs[0], b.apply(add_p, before.inputs[1], v), index=index)  # type: ignore[no-any-return]
    under = b.made_by(before.inputs[0], "unslice") if before and b.is_used_once(whole) else None
    if before and under and under.params["index"] == index and b.is_used_once(before.inputs[0]):
        joined = b.apply(unslice_p, b.apply(add_p, under.inputs[0], v), **under.params)
        return b.apply(add_slice_p, joined, before.inputs[1], index=before.params["index"])  # type: ignore[no-any-return]
    return b.apply(add_slice_p, whole, v, index=index)  # type: ignore[no-any-return]


def _add_selected(b: Any, eqn: Equation) -> Atom | None:
    # where(c, x, 0) + where(c, 0, y) -> where(c, x, y)
    first, second = (b.made_by(a, "where") for a in eqn.inputs)
    if not first or not second or first.inputs[0] is not second.inputs[0]:
        return None
    if not all(b.is_used_once(a) for a in eqn.inputs) or any(a.aval != eqn.outputs[0].aval for a in eqn.inputs):
        return None
    if _is(first.inputs[1], 0):
        first, second = second, first
    if not (_is(first.inputs[2], 0) and _is(second.inputs[1], 0)):
        return None
    condition, x, _ = first.inputs
    y = second.inputs[2]
    where_p = first.primitive
    if where_p.abstract(condition.aval, x.aval, y.aval) != eqn.outputs[0].aval:
        return None
    return b.apply(where_p, condition, x, y)  # type: ignore[no-any-return]


def _twice(b: Any, eqn: Equation) -> Atom | None:
    # x + x -> 2 * x
    x, y = eqn.inputs
    return b.apply(mul_p, x, Literal(2)) if x is y and _is_real(eqn) and not x.aval.weak else None


def _two_factors(b: Any, eqn: Equation) -> Atom | None:
    # (x * c) * d -> x * (c * d), where c or d is a power of two, so that c * d is exact
    x, y = eqn.inputs
    if _value(x) is not None:
        x, y = y, x
    product = b.made_by(x, "mul")
    if not product or not b.is_used_once(x) or not _is_real(eqn) or not _is_real(product):
        return None
    p, q = product.inputs
    if _value(p) is not None:
        p, q = q, p
    c, d = _value(q), _value(y)
    if type(c) not in (int, float) or type(d) not in (int, float) or not _is_moderate(c) or not _is_moderate(d):
        return None
    if not (_is_power_of_two(c) or _is_power_of_two(d)) or (abs(c) > 1 > abs(d)):
        return None  # x * c may overflow where x * (c * d) does not
    return b.apply(mul_p, p, _like(y if q.aval.weak else q, c * d))  # type: ignore[no-any-return]


def _is_moderate(c: float) -> bool:
    return c != 0 and 1e-6 < abs(c) < 1e6


def _is_power_of_two(c: float) -> bool:
    return abs(math.frexp(c)[0]) == 0.5


LARGEST_POWER = 8
"""The largest power that is computed by products: ``x**n`` is off by at most n / 2 units in the last place."""


def _small_powers(b: Any, eqn: Equation) -> Atom | None:
    # x**1 -> x      x**2 -> x*x      x**3 -> x*x*x ... x**8 -> ((x*x)**2)**2      x**-1 -> 1/x
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
    return _product_power(b, x, int(n)) if n in range(3, LARGEST_POWER + 1) else None


def _product_power(b: Any, x: Atom, n: int) -> Atom:
    """``x**n`` by squares and products."""
    if n == 1:
        return x
    if n % 2:
        return b.apply(mul_p, _product_power(b, x, n - 1), x)  # type: ignore[no-any-return]
    return b.apply(square_p, _product_power(b, x, n // 2))  # type: ignore[no-any-return]


def _never_minus_infinity(b: Any, eqn: Equation) -> Atom | None:
    # where(x == -inf, 0, x) -> x for x = logaddexp(c, y) with a finite c
    condition, zero, x = eqn.inputs
    compared, made = b.made_by(condition, "equal"), b.made_by(x, "logaddexp")
    if not compared or not made or not _is(zero, 0) or not _same_type(x, eqn):
        return None
    first, second = compared.inputs
    finite = any(is_finite(_value(a)) for a in made.inputs)
    return x if finite and first is x and _is(second, -math.inf) else None


def _square_of_negative(b: Any, eqn: Equation) -> Atom | None:
    # (-x)**2 -> x**2
    inner = _negated(b, eqn.inputs[0])
    return b.apply(square_p, inner.inputs[0]) if inner else None


RULES = {
    "mul": [_times_one, _times_minus_one, _negative_factor, _two_factors],
    "div": [_over_one, _negative_divisor, _exact_reciprocal],
    "add": [_add_negative, _twice, _add_selected, _add_unsliced],
    "sub": [_minus_zero, _sub_negative],
    "neg": [_double_negation],
    "power": [_small_powers],
    "square": [_square_of_negative],
    "where": [_never_minus_infinity],
}

"""What a variable is as a sum of products: a normal form in which equal values can be told.

    polynomial of x[i, j] / s[i] * s[i] - x[i, j]  =  {}

An element of an array is written as a polynomial: integer coefficients of monomials, which are products of integer
powers of *factors*. A factor is an element of a variable that is not looked into, a number, a truth value (1 or 0: its
square is itself), or a sum over axes of a monomial. Axes are *labels*, so that it shows which elements are meant: the
sum over j of ``x[i, j]`` is another one than that of ``x[j, i]``. Factors that do not depend on a label that is summed
over are taken out of the sum, which makes the sums of both sides comparable.

The arithmetic is that of exact numbers: what cancels does so up to rounding, for finite values.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from fungrad.core.ir import Atom, Equation, Literal, Var
from fungrad.passes.keys import atom_key
from fungrad.primitives.contraction import parse_spec

TERMS = 32
"""Monomials of a polynomial, at most."""

Label = int
Labels = tuple[Label | None, ...]
"""For each axis of a variable its label; None for an axis of size 1."""


class Factor(NamedTuple):
    """Something that is multiplied: which, the labels that its value depends on, whether it is 0 or 1."""

    key: Hashable
    labels: frozenset[Label]
    is_truth: bool = False


Monomial = frozenset[tuple[Factor, int]]
Polynomial = dict[Monomial, int]

_ONE: Monomial = frozenset()


class TooLarge(Exception):
    """A polynomial has more than `TERMS` monomials, or divides by a sum of them."""


def _add(x: Polynomial, y: Polynomial, sign: int = 1) -> Polynomial:
    total = dict(x)
    for monomial, n in y.items():
        count = total.pop(monomial, 0) + sign * n
        if count:
            total[monomial] = count
    return _bounded(total)


def _bounded(x: Polynomial) -> Polynomial:
    if len(x) > TERMS:
        raise TooLarge
    return x


def _times(x: Monomial, y: Monomial) -> Monomial:
    if not x or not y:
        return x or y
    powers = dict(x)
    for factor, n in y:
        power = powers.pop(factor, 0) + n
        if power:
            powers[factor] = 1 if factor.is_truth else power
    return frozenset(powers.items())


def _mul(x: Polynomial, y: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for a, m in x.items():
        total = _add(total, {_times(a, b): m * n for b, n in y.items()})
    return total


def _inverse(x: Polynomial) -> Polynomial:
    """One over a monomial."""
    if len(x) != 1:
        raise TooLarge
    ((monomial, n),) = x.items()
    if abs(n) != 1 or any(factor.is_truth for factor, _ in monomial):
        raise TooLarge
    return {frozenset([(factor, -power) for factor, power in monomial]): n}


def _sum(x: Polynomial, bound: Mapping[Label, int]) -> Polynomial:
    """The sum over labels with these sizes."""
    total: Polynomial = {}
    for monomial, n in x.items():
        inside = frozenset([p for p in monomial if not p[0].labels.isdisjoint(bound)])
        labels: frozenset[Label] = frozenset().union(*[factor.labels for factor, _ in inside])
        over = labels & frozenset(bound)
        count = n * math.prod([size for label, size in bound.items() if label not in over])
        found = monomial - inside
        if inside:
            found = _times(found, frozenset([(Factor(("sum", over, inside), labels - over), 1)]))
        total = _add(total, {found: count})
    return total


class Normalizer:
    """Polynomials of the variables of a program.

    Parameters
    ----------
    definition : mapping
        The equation that defines each variable.
    inside : collection of Var
        The variables that are looked into; all others are factors.
    """

    def __init__(self, definition: Mapping[Var, Equation], inside: Collection[Var]) -> None:
        self._definition = definition
        self._inside = inside
        self._known: dict[tuple[Var, Labels], Polynomial] = {}

    def of(self, atom: Atom, labels: Labels) -> Polynomial:
        """The polynomial of an element; raises TooLarge if it is none or too large a one."""
        if isinstance(atom, Literal):
            return _number(atom)
        key = atom, labels
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._made(atom, labels)
        return found

    def _made(self, atom: Var, labels: Labels) -> Polynomial:
        eqn = self._definition.get(atom) if atom in self._inside else None
        if eqn is not None:
            found = _RULES[eqn.primitive.name](self, eqn, labels)
            if found is not None:
                return found
        return {frozenset([(_factor(atom, labels), 1)]): 1}


def _number(atom: Literal) -> Polynomial:
    """A number; only 0, 1 and -1 are calculated with."""
    value = atom.value
    if not atom.aval.shape and value in (0, 1, -1):
        return {_ONE: int(value)} if value else {}
    return {frozenset([(Factor(atom_key(atom), frozenset()), 1)]): 1}


def _factor(atom: Atom, labels: Labels, is_truth: bool = False) -> Factor:
    return Factor((atom_key(atom), labels), frozenset([k for k in labels if k is not None]), is_truth)


# Which elements of an operand an element of the result is made of


def _broadcast(atom: Atom, labels: Labels) -> Labels:
    shape = atom.aval.shape
    behind = labels[len(labels) - len(shape) :]
    return tuple([None if n == 1 else label for n, label in zip(shape, behind, strict=True)])


def _reshaped(shape: Sequence[int], new: Sequence[int], labels: Labels) -> Labels | None:
    """The labels before a reshape that adds or drops axes of size 1, given those after it; of any other None."""
    if [n for n in shape if n != 1] != [n for n in new if n != 1]:
        return None
    left = iter([label for n, label in zip(new, labels, strict=True) if n != 1])
    return tuple([None if n == 1 else next(left) for n in shape])


def _fresh(labels: Iterable[Label | None], count: int) -> list[Label]:
    """The first labels that are none of these: the same sum has the same ones everywhere."""
    used = set(labels)
    return [k for k in range(len(used) + count) if k not in used][:count]


# The polynomial of the result of an equation with these labels, or None


def _add_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    x, y = [n.of(a, _broadcast(a, labels)) for a in eqn.inputs]
    return _add(x, y, -1 if eqn.primitive.name == "sub" else 1)


def _mul_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    x, y = [n.of(a, _broadcast(a, labels)) for a in eqn.inputs]
    return _mul(x, y if eqn.primitive.name == "mul" else _inverse(y))


def _one_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    (x,) = [n.of(a, labels) for a in eqn.inputs]
    match eqn.primitive.name:
        case "neg":
            return _add({}, x, -1)
        case "square":
            return _mul(x, x)
        case "reciprocal":
            return _inverse(x)
    return x


def _power_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial | None:
    x, exponent = eqn.inputs
    value = exponent.value if isinstance(exponent, Literal) else None
    if value not in (1, 2, 3, 4):
        return None
    base = n.of(x, _broadcast(x, labels))
    return reduce(_mul, [base] * int(value))


def _where_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial | None:
    condition, x, y = eqn.inputs
    if isinstance(condition, Literal):
        return None
    truth: Polynomial = {frozenset([(_factor(condition, _broadcast(condition, labels), True), 1)]): 1}
    a, b = [n.of(v, _broadcast(v, labels)) for v in (x, y)]
    return _add(_mul(truth, a), _mul(_add({_ONE: 1}, truth, -1), b))


def _broadcast_to_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    (x,) = eqn.inputs
    return n.of(x, _broadcast(x, labels))


def _reshape_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial | None:
    (x,) = eqn.inputs
    before = _reshaped(x.aval.shape, eqn.params["shape"], labels)
    return None if before is None else n.of(x, before)


def _transpose_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    (x,) = eqn.inputs
    before: list[Label | None] = [None] * len(labels)
    for label, axis in zip(labels, eqn.params["permutation"], strict=True):
        before[axis] = label
    return n.of(x, tuple(before))


def _sum_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    (x,) = eqn.inputs
    axes, shape = eqn.params["axes"], x.aval.shape
    summed = [k for k in axes if shape[k] != 1]
    bound = dict(zip(summed, _fresh(labels, len(summed)), strict=True))
    left = iter(labels)
    whole = tuple([bound.get(k) if k in axes else next(left) for k in range(len(shape))])
    return _sum(n.of(x, whole), {label: shape[k] for k, label in bound.items()})


def _contract_rule(n: Normalizer, eqn: Equation, labels: Labels) -> Polynomial:
    *terms, result = parse_spec(eqn.params["spec"])
    sizes = {
        letter: size
        for term, a in zip(terms, eqn.inputs, strict=True)
        for letter, size in zip(term, a.aval.shape, strict=True)
    }
    meaning: dict[str, Label | None] = dict(zip(result, labels, strict=True))
    summed = [letter for letter, size in sizes.items() if letter not in meaning and size != 1]
    fresh = _fresh(labels, len(summed))
    meaning.update(zip(summed, fresh, strict=True))
    x, y = [n.of(a, tuple([meaning.get(letter) for letter in term])) for term, a in zip(terms, eqn.inputs, strict=True)]
    return _sum(_mul(x, y), {label: sizes[letter] for letter, label in zip(summed, fresh, strict=True)})


_RULES: dict[str, Callable[[Normalizer, Equation, Labels], Polynomial | None]] = {
    "add": _add_rule,
    "sub": _add_rule,
    "mul": _mul_rule,
    "div": _mul_rule,
    "neg": _one_rule,
    "square": _one_rule,
    "reciprocal": _one_rule,
    "positive": _one_rule,
    "power": _power_rule,
    "where": _where_rule,
    "broadcast_to": _broadcast_to_rule,
    "reshape": _reshape_rule,
    "transpose": _transpose_rule,
    "sum": _sum_rule,
    "contract": _contract_rule,
}


def is_zero(atom: Var, definition: Mapping[Var, Equation], count: int) -> bool:
    """Whether all elements of a variable are 0, in exact arithmetic, whatever the values it is made of.

    Parameters
    ----------
    definition : mapping
        The equation that defines each variable.
    count : int
        How many equations to look into, the nearest ones first.
    """
    inside: dict[Var, None] = {}
    queue = deque([atom])
    while queue and len(inside) < count:
        v = queue.popleft()
        eqn = definition.get(v)
        if v in inside or eqn is None or eqn.primitive.name not in _RULES or v.aval.dtype.kind != "f":
            continue
        inside[v] = None
        queue.extend([a for a in eqn.inputs if isinstance(a, Var)])
    labels = tuple([None if n == 1 else k for k, n in enumerate(atom.aval.shape)])
    try:
        return not Normalizer(definition, inside).of(atom, labels)
    except TooLarge:
        return False

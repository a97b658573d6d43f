"""Keys by which equal computations are found."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from fungrad.core.ir import Atom, Equation, Jaxpr, Literal, Var


def literal_key(value: Any) -> Hashable:
    """Equal for the same number of the same type, bit by bit: 0.0 is not -0.0."""
    return type(value), value.tobytes() if isinstance(value, np.generic) else repr(value)


def atom_key(atom: Atom) -> Hashable:
    """Equal for the same variable and for the same literal."""
    return literal_key(atom.value) if type(atom) is Literal else atom


def equation_key(eqn: Equation) -> Hashable | None:
    """Equal for equations that compute the same; None if that cannot be told (a parameter that does not hash)."""
    inputs: tuple[Hashable, ...] = tuple([atom_key(a) for a in eqn.inputs])
    if eqn.primitive.name in _COMMUTE and _rank(eqn.inputs[0]) > _rank(eqn.inputs[1]):
        inputs = inputs[::-1]
    key = eqn.primitive.name, inputs, tuple([(k, _parameter_key(v)) for k, v in eqn.params.items()])
    try:
        hash(key)
    except TypeError:
        return None
    return key


def jaxpr_key(jaxpr: Jaxpr) -> Hashable | None:
    """Equal for jaxprs that are the same but for the names of variables; None if that cannot be told."""
    numbers: dict[Var, int] = {v: k for k, v in enumerate((*jaxpr.constvars, *jaxpr.invars))}

    def key_of(atom: Atom) -> Hashable:
        return literal_key(atom.value) if isinstance(atom, Literal) else numbers[atom]

    rows = []
    for eqn in jaxpr.eqns:
        params = tuple([(k, _parameter_key(v)) for k, v in eqn.params.items()])
        rows.append((eqn.primitive.name, tuple([key_of(a) for a in eqn.inputs]), params))
        for v in eqn.outputs:
            numbers[v] = len(numbers)
    types = tuple([v.aval for v in (*jaxpr.constvars, *jaxpr.invars)])
    key = len(jaxpr.constvars), types, tuple(rows), tuple([key_of(a) for a in jaxpr.outvars])
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _rank(atom: Atom) -> int:
    """An order of operands: numbers first."""
    return -1 if type(atom) is Literal else id(atom)


def _parameter_key(value: Any) -> Hashable:
    """A parameter as a key: 0.0 is not -0.0, nor 1 True."""
    if isinstance(value, tuple):
        return tuple([_parameter_key(v) for v in value])
    return literal_key(value) if isinstance(value, (float, complex, bool, np.generic)) else value


_COMMUTE = frozenset({"add", "mul"})

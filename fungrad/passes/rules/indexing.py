"""Rewrite rules of what indices add up."""

from __future__ import annotations

from typing import Any

from fungrad.core.ir import Atom, Equation
from fungrad.primitives.arithmetic import add_p, neg_p, sub_p
from fungrad.primitives.indexing import scatter_add_p

_TERMS = 4
"""Terms of a sum through which one with the same indices is looked for."""


def _scattered_negative(b: Any, eqn: Equation) -> Atom | None:
    # scatter_add(-x, i) -> -scatter_add(x, i), where that is smaller
    x, *indices = eqn.inputs
    inner = b.made_by(x, "neg")
    if not inner or not b.is_used_once(x) or x.aval.dtype.kind not in "fc" or eqn.outputs[0].aval.size > x.aval.size:
        return None
    return b.apply(neg_p, b.apply(scatter_add_p, inner.inputs[0], *indices, **eqn.params))  # type: ignore[no-any-return]


def _joined(b: Any, whole: Atom, part: Equation, minus: bool, terms: int = _TERMS) -> Atom | None:
    """``whole + part`` or ``whole - part``, joined with a term of whole that has the same indices; None without one."""
    if not b.is_used_once(whole):
        return None
    before = b.made_by(whole, "scatter_add")
    if before:
        if before.inputs[1:] != part.inputs[1:] or before.params != part.params:
            return None
        total = b.apply(sub_p if minus else add_p, before.inputs[0], part.inputs[0])
        return b.apply(scatter_add_p, total, *part.inputs[1:], **part.params)  # type: ignore[no-any-return]
    sum_ = b.made_by(whole, "add") or b.made_by(whole, "sub")
    if not sum_ or not terms or any(a.aval != whole.aval for a in sum_.inputs):
        return None
    x, y = sum_.inputs
    joined = _joined(b, x, part, minus, terms - 1)
    if joined is not None:
        return b.apply(sum_.primitive, joined, y)  # type: ignore[no-any-return]
    joined = _joined(b, y, part, minus != (sum_.primitive is sub_p), terms - 1)
    return None if joined is None else b.apply(sum_.primitive, x, joined)


def _add_scattered(b: Any, eqn: Equation) -> Atom | None:
    # scatter_add(x, i) + scatter_add(y, i) -> scatter_add(x + y, i), also among other terms
    x, y = eqn.inputs
    if x.aval != y.aval or x.aval.dtype.kind not in "fc":
        return None
    for whole, term in ((x, y), (y, x)):
        part = b.made_by(term, "scatter_add")
        if part and b.is_used_once(term):
            joined = _joined(b, whole, part, False)
            if joined is not None:
                return joined
    return None


def _sub_scattered(b: Any, eqn: Equation) -> Atom | None:
    # scatter_add(x, i) - scatter_add(y, i) -> scatter_add(x - y, i), also among other terms
    x, y = eqn.inputs
    part = b.made_by(y, "scatter_add")
    if x.aval != y.aval or x.aval.dtype.kind not in "fc" or not part or not b.is_used_once(y):
        return None
    return _joined(b, x, part, True)


RULES = {"scatter_add": [_scattered_negative], "add": [_add_scattered], "sub": [_sub_scattered]}

"""Rewrite rules of what indices add up."""

from __future__ import annotations

from typing import Any

from fungrad.core.ir import Atom, Equation
from fungrad.passes.rules.terms import joined_sum
from fungrad.primitives.arithmetic import add_p, neg_p, sub_p
from fungrad.primitives.indexing import scatter_add_p


def _scattered_negative(b: Any, eqn: Equation) -> Atom | None:
    # scatter_add(-x, i) -> -scatter_add(x, i), where that is smaller
    x, *indices = eqn.inputs
    inner = b.made_by(x, "neg")
    if not inner or not b.is_used_once(x) or x.aval.dtype.kind not in "fc" or eqn.outputs[0].aval.size > x.aval.size:
        return None
    return b.apply(neg_p, b.apply(scatter_add_p, inner.inputs[0], *indices, **eqn.params))  # type: ignore[no-any-return]


def _same_indices(b: Any, before: Equation, part: Equation, minus: bool) -> Atom | None:
    if before.inputs[1:] != part.inputs[1:] or before.params != part.params:
        return None
    total = b.apply(sub_p if minus else add_p, before.inputs[0], part.inputs[0])
    return b.apply(scatter_add_p, total, *part.inputs[1:], **part.params)  # type: ignore[no-any-return]


def _sum_of_scattered(b: Any, eqn: Equation) -> Atom | None:
    # scatter_add(x, i) + scatter_add(y, i) -> scatter_add(x + y, i), also among other terms; -
    return joined_sum(b, eqn, "scatter_add", _same_indices)


RULES = {"scatter_add": [_scattered_negative], "add": [_sum_of_scattered], "sub": [_sum_of_scattered]}

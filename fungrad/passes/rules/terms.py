"""Sums of several terms: one of them joined with another of its kind, wherever that stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fungrad.core.ir import Atom, Equation
from fungrad.primitives.arithmetic import sub_p

_TERMS = 4
"""Sums within sums through which a term is looked for."""

Merge = Callable[[Any, Equation, Equation, bool], Atom | None]


def joined_sum(b: Any, eqn: Equation, name: str, merge: Merge) -> Atom | None:
    """``x + y`` or ``x - y`` where one is made by the primitive of this name, and another term of the other one is.

    ``merge(b, before, part, minus)`` returns what makes ``before + part`` (or ``-``) one, or None.
    """
    x, y = eqn.inputs
    if x.aval != y.aval or x.aval.dtype.kind not in "fc":
        return None
    minus = eqn.primitive is sub_p
    for whole, term in ((x, y),) if minus else ((x, y), (y, x)):
        part = b.made_by(term, name)
        if part and b.is_used_once(term):
            found = _joined(b, whole, part, minus, merge, _TERMS)
            if found is not None:
                return found
    return None


def _joined(b: Any, whole: Atom, part: Equation, minus: bool, merge: Merge, terms: int) -> Atom | None:
    if not b.is_used_once(whole):
        return None
    before = b.made_by(whole, part.primitive.name)
    if before:
        return merge(b, before, part, minus)
    total = b.made_by(whole, "add") or b.made_by(whole, "sub")
    if not total or not terms or any(a.aval != whole.aval for a in total.inputs):
        return None
    x, y = total.inputs
    joined = _joined(b, x, part, minus, merge, terms - 1)
    if joined is not None:
        return b.apply(total.primitive, joined, y)  # type: ignore[no-any-return]
    joined = _joined(b, y, part, minus != (total.primitive is sub_p), merge, terms - 1)
    return None if joined is None else b.apply(total.primitive, x, joined)

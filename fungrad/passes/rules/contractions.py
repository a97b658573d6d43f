"""Rewrite rules of contractions: transposes become labels, and chains are multiplied in the cheaper order."""

from __future__ import annotations

from typing import Any

from fungrad.core.ir import Atom, Equation
from fungrad.passes.rules.terms import joined_sum
from fungrad.primitives.arithmetic import add_p, mul_p, sub_p
from fungrad.primitives.contraction import contract_p, parse_spec
from fungrad.primitives.structural import reshape_p, transpose_p


def _transposed_operands(b: Any, eqn: Equation) -> Atom | None:
    # contract(transpose(x), y) -> contract(x, y) with the labels of x in their original order
    labels = list(parse_spec(eqn.params["spec"]))
    operands = list(eqn.inputs)
    changed = False
    for k in (0, 1):
        inner = b.made_by(operands[k], "transpose")
        if inner:
            order = inner.params["permutation"]
            original = [""] * len(order)
            for new, old in enumerate(order):
                original[old] = labels[k][new]
            labels[k], operands[k], changed = "".join(original), inner.inputs[0], True
    if not changed:
        return None
    return b.apply(contract_p, *operands, spec=f"{labels[0]},{labels[1]}->{labels[2]}")  # type: ignore[no-any-return]


def _transposed_result(b: Any, eqn: Equation) -> Atom | None:
    # transpose(contract(x, y)) -> contract(x, y) with the labels of the result in that order
    (x,) = eqn.inputs
    inner = b.made_by(x, "contract")
    if not inner or not b.is_used_once(x):
        return None
    a, c, result = parse_spec(inner.params["spec"])
    ordered = "".join([result[k] for k in eqn.params["permutation"]])
    return b.apply(contract_p, *inner.inputs, spec=f"{a},{c}->{ordered}")  # type: ignore[no-any-return]


def _summed_result(b: Any, eqn: Equation) -> Atom | None:
    # sum(contract(x, y)) -> contract(x, y) without the labels that are summed, where both operands have them
    (x,) = eqn.inputs
    inner = b.made_by(x, "contract")
    if not inner or not b.is_used_once(x) or inner.outputs[0].aval.dtype != eqn.outputs[0].aval.dtype:
        return None
    a, c, result = parse_spec(inner.params["spec"])
    kept = "".join([n for k, n in enumerate(result) if k not in eqn.params["axes"]])
    if not _is_valid(a, c, kept):
        return None
    return b.apply(contract_p, *inner.inputs, spec=f"{a},{c}->{kept}")  # type: ignore[no-any-return]


def _scaled(b: Any, eqn: Equation) -> Atom | None:
    # contract(x, y, "a,ab->ab") -> x[:, None] * y: nothing is summed
    terms = parse_spec(eqn.params["spec"])
    *operands, result = terms
    if result not in operands or eqn.outputs[0].aval.dtype.kind not in "fc":
        return None
    if any("".join([k for k in result if k in t]) != t for t in operands):
        return None
    shapes = [
        tuple([dict(zip(t, x.aval.shape, strict=True)).get(k, 1) for k in result])
        for t, x in zip(operands, eqn.inputs, strict=True)
    ]
    x, y = (b.apply(reshape_p, x, shape=s) if s != x.aval.shape else x for x, s in zip(eqn.inputs, shapes, strict=True))
    return b.apply(mul_p, x, y)  # type: ignore[no-any-return]


def _size(labels: str, sizes: dict[str, int]) -> int:
    total = 1
    for n in set(labels):
        total *= sizes[n]
    return total


def _cheaper_order(b: Any, eqn: Equation) -> Atom | None:
    # (x y) z -> x (y z) or y (x z), where that takes less than half of the multiplications
    for k in (0, 1):
        inner = b.made_by(eqn.inputs[k], "contract")
        if inner and b.is_used_once(eqn.inputs[k]):
            found = _reordered(b, eqn, k, inner)
            if found is not None:
                return found
    return None


def _reordered(b: Any, eqn: Equation, k: int, inner: Equation) -> Atom | None:
    outer_labels = parse_spec(eqn.params["spec"])
    product, z_labels, result = outer_labels[k], outer_labels[1 - k], outer_labels[2]
    x_labels, y_labels, inner_result = parse_spec(inner.params["spec"])
    # Labels of the inner contraction in those of the outer one; summed ones get fresh letters.
    names = dict(zip(inner_result, product, strict=True))
    for label in (*x_labels, *y_labels):
        if label not in names:
            names[label] = next(c for c in map(chr, range(0x3B1, 0x4FF)) if c not in names.values())
    x_labels, y_labels = ("".join([names[n] for n in labels]) for labels in (x_labels, y_labels))
    x, y, z = *inner.inputs, eqn.inputs[1 - k]
    if len({x.aval.dtype, y.aval.dtype, z.aval.dtype}) != 1:
        return None
    sizes = dict(zip(x_labels + y_labels + z_labels, x.aval.shape + y.aval.shape + z.aval.shape, strict=True))
    now = _size(x_labels + y_labels, sizes) + _size(product + z_labels, sizes)
    best = None
    for first, first_labels, other, other_labels in ((y, y_labels, x, x_labels), (x, x_labels, y, y_labels)):
        outside = set(other_labels) | set(result)
        kept = "".join([n for n in dict.fromkeys(first_labels + z_labels) if n in outside])
        if not _is_valid(first_labels, z_labels, kept) or not _is_valid(other_labels, kept, result):
            continue
        cost = _size(first_labels + z_labels, sizes) + _size(other_labels + kept, sizes)
        if 2 * cost < now and (best is None or cost < best[0]):
            best = cost, first, f"{first_labels},{z_labels}->{kept}", other, f"{other_labels},{kept}->{result}"
    if best is None:
        return None
    _, first, first_spec, other, second_spec = best
    return b.apply(contract_p, other, b.apply(contract_p, first, z, spec=first_spec), spec=second_spec)  # type: ignore[no-any-return]


def _is_valid(a: str, c: str, result: str) -> bool:
    """Whether a spec is one that `contract` takes: each label is in the other operand or in the result."""
    return (
        all(n in c or n in result for n in a)
        and all(n in a or n in result for n in c)
        and all(n in a or n in c for n in result)
    )


def _same_factor(b: Any, before: Equation, part: Equation, minus: bool) -> Atom | None:
    for i in (0, 1):
        for j in (0, 1):
            if before.inputs[i] is part.inputs[j]:
                found = _with_common_factor(b, before, i, part, j, minus)
                if found is not None:
                    return found
    return None


def _with_common_factor(b: Any, before: Equation, i: int, part: Equation, j: int, minus: bool) -> Atom | None:
    """``before + part``, where operand i of the one is operand j of the other."""
    labels, others = parse_spec(before.params["spec"]), parse_spec(part.params["spec"])
    names: dict[str, str] = {}  # labels of the part in those of the other product
    for theirs, mine in zip(others[2] + others[j], labels[2] + labels[i], strict=True):
        if names.setdefault(theirs, mine) != mine:
            return None
    x, y = before.inputs[1 - i], part.inputs[1 - j]
    x_labels, y_labels = labels[1 - i], "".join([names[n] for n in others[1 - j]])
    if len(set(names.values())) != len(names) or sorted(x_labels) != sorted(y_labels) or x.aval.dtype != y.aval.dtype:
        return None
    if x.aval.size > before.outputs[0].aval.size:
        return None
    if x_labels != y_labels:
        y = b.apply(transpose_p, y, permutation=tuple([y_labels.index(n) for n in x_labels]))
    operands = [before.inputs[i], before.inputs[i]]
    operands[1 - i] = b.apply(sub_p if minus else add_p, x, y)
    return b.apply(contract_p, *operands, **before.params)  # type: ignore[no-any-return]


def _sum_of_products(b: Any, eqn: Equation) -> Atom | None:
    # x y + x z -> x (y + z), also among other terms, and for z transposed; -
    return joined_sum(b, eqn, "contract", _same_factor)


RULES = {
    "add": [_sum_of_products],
    "sub": [_sum_of_products],
    "contract": [_transposed_operands, _scaled, _cheaper_order],
    "transpose": [_transposed_result],
    "sum": [_summed_result],
}

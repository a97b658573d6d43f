"""Contraction: the product of two arrays with the labels that they share multiplied or summed, as in einsum.

    contract(x, y, "ab,bc->ac")        out[a, c] = sum over b of x[a, b] * y[b, c]

One primitive carries matmul, dot, tensordot, einsum and the rest. Its spec is an einsum string of two operands in
which no operand has a label twice, and every label of an operand occurs in the other one or in the result; what
einsum allows beyond that (diagonals, sums over a label of one operand, size-1 broadcasting) the caller does before.
Within that restriction the transposes are contractions again, and so is the batched application with a fresh label
in front:

    x_bar[A] = contract(out_bar, y, "R,B->A")        y_bar[B] = contract(out_bar, x, "R,A->B")

A label is one of four kinds, and a contraction is a (batched) product of matrices with the labels of a kind merged:

    in x, y and the result: batch       in x and y only: summed
    in x and the result:    left        in y and the result: right        (batch, left, sum) @ (batch, sum, right)
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray
from fungrad.core.lowering import NEW, ROWS, Emission, Lowering, Ways
from fungrad.core.primitive import Multilinear
from fungrad.primitives.arithmetic import mul, mul_p
from fungrad.primitives.structural import convert

Product = Callable[..., Any]
"""``product(x, y)``, or ``product(x, y, out)`` to write the result into an array."""


@lru_cache(maxsize=4096)
def parse_spec(spec: str) -> tuple[str, str, str]:
    """The labels of x, of y and of the result."""
    operands, _, result = spec.partition("->")
    x, _, y = operands.partition(",")
    return x, y, result


def fresh_label(used: str) -> str:
    """A label that does not occur in ``used``."""
    for label in string.ascii_letters:
        if label not in used:
            return label
    code = 0xC0  # beyond the ASCII letters: nothing here but the printed form cares
    while chr(code) in used:
        code += 1
    return chr(code)


@cache
def alphabet(count: int) -> str:
    """This many different labels."""
    labels = ""
    for _ in range(count):
        labels += fresh_label(labels)
    return labels


# The implementation. A plan is a function of two arrays, made once for a spec; it leaves to BLAS what BLAS can read
# as it is (a transposed matrix, a stack of matrices with strides) and merges axes by reshape, which copies only where
# the axes of a kind do not stand together.


@lru_cache(maxsize=4096)
def product_of(spec: str) -> Product:
    """The plan of a contraction."""
    a, b, result = parse_spec(spec)
    summed = [n for n in a if n in b and n not in result]
    if not summed:
        return _pointwise_plan(a, b, result)
    batch = [n for n in result if n in a and n in b]
    left = [n for n in a if n not in b]
    right = [n for n in b if n not in a]
    first = next((n for n in result if n not in batch), None)
    if first is not None and first in right:
        flipped = product_of(f"{b},{a}->{result}")  # (x y)^T = y^T x^T: the result comes out in its own order
        return lambda x, y, out=None: flipped(y, x, out)
    if not batch and len(left) <= 1 and len(right) <= 1 and len(summed) == 1:
        return _matrix_plan(a, b, summed[0])
    if not left and not right and a == b and list(a) != batch + summed:
        # A dot product for each element along an axis that is not the first: rows are added up, not columns walked.
        subscripts = f"{_ascii(a)},{_ascii(a)}->{_ascii(a, result)}"
        return lambda x, y, out=None: np.einsum(subscripts, x, y, out=out)
    return _merged_plan(a, b, result, batch, left, right, _order_of_sum(a, b, summed))


def _ascii(labels: str, chosen: str | None = None) -> str:
    """The labels (or some of them) in letters that np.einsum takes."""
    letters = dict(zip(labels, string.ascii_letters, strict=False))
    return "".join([letters[n] for n in (labels if chosen is None else chosen)])


def _order_of_sum(a: str, b: str, summed: list[str]) -> list[str]:
    """The summed labels in the order of the operand in which they stand together, so that it need not be copied."""
    return summed if "".join(summed) in a else [n for n in b if n in summed]


def _pointwise_plan(a: str, b: str, result: str) -> Product:
    """Nothing is summed: a multiplication that broadcasts."""

    def aligner(labels: str) -> Callable[[Any], Any]:
        order = [labels.index(n) for n in result if n in labels]
        key = tuple([slice(None) if n in labels else None for n in result])
        while key and key[0] is None:  # NumPy adds leading axes itself
            key = key[1:]
        straight = order == sorted(order)
        if None not in key:
            return (lambda x: x) if straight else (lambda x: x.transpose(order))
        return (lambda x: x[key]) if straight else (lambda x: x.transpose(order)[key])

    align_x, align_y = aligner(a), aligner(b)
    return lambda x, y, out=None: np.multiply(align_x(x), align_y(y), out)


def _matrix_plan(a: str, b: str, summed: str) -> Product:
    """Vectors and matrices: np.dot, with transposed views."""
    if a[-1] == summed:
        return _dot if b[0] == summed else lambda x, y, out=None: _dot(x, y.T, out)
    return (
        (lambda x, y, out=None: _dot(x.T, y, out)) if b[0] == summed else (lambda x, y, out=None: _dot(x.T, y.T, out))
    )


def _dot(x: Any, y: Any, out: Any = None) -> Any:
    return np.dot(x, y) if out is None else np.matmul(x, y, out)


def _merged_plan(
    a: str, b: str, result: str, batch: list[str], left: list[str], right: list[str], summed: list[str]
) -> Product:
    """The general case: bring the axes into the order of a stack of matrices, merge, multiply, undo."""
    x_order = _permutation(a, batch + left + summed)
    y_order = _permutation(b, batch + summed + right)
    out_order = _permutation("".join(batch + left + right), list(result))
    n_batch, n_left, n_sum = len(batch), len(left), len(summed)
    to_sum, to_right = n_batch + n_left, n_batch + n_sum
    merge_x, merge_y = n_left != 1 or n_sum != 1, n_sum != 1 or len(right) != 1
    split = n_left != 1 or len(right) != 1
    multiply: Product = _stacked_product if batch else _dot

    def run(x: Any, y: Any, out: Any = None) -> Any:
        if x_order is not None:
            x = x.transpose(x_order)
        if y_order is not None:
            y = y.transpose(y_order)
        x_shape, y_shape = x.shape, y.shape
        head, left_shape, sum_shape, right_shape = (
            x_shape[:n_batch],
            x_shape[n_batch:to_sum],
            x_shape[to_sum:],
            y_shape[to_right:],
        )
        size = math.prod(sum_shape)
        if merge_x:
            x = x.reshape((*head, math.prod(left_shape), size))
        if merge_y:
            y = y.reshape((*head, size, math.prod(right_shape)))
        if out is not None and out_order is None and out.flags.c_contiguous:
            multiply(x, y, out.reshape((*x.shape[:-1], *y.shape[n_batch + 1 :])) if split else out)
            return out
        found = multiply(x, y)
        if split:
            found = found.reshape((*head, *left_shape, *right_shape))[()]
        if out_order is not None:
            found = found.transpose(out_order)
        if out is not None:
            out[...] = found
        return found

    return run


def _stacked_product(x: Any, y: Any, out: Any = None) -> Any:
    return np.matmul(_readable(x), _readable(y), out)


def _readable(x: Any) -> Any:
    """A stack of matrices that BLAS can read. NumPy < 2.3 multiplies others (broadcast ones) in loops."""
    m, n = x.shape[-2:]
    down, right = x.strides[-2:]
    size = x.itemsize
    if ((right == size or n == 1) and (down >= n * size or m == 1)) or (
        (down == size or m == 1) and (right >= m * size or n == 1)
    ):
        return x
    return np.ascontiguousarray(x)


def _permutation(labels: str, order: list[str]) -> tuple[int, ...] | None:
    """The axes of an operand with these labels in another order; None where it is the same."""
    return None if list(labels) == order else tuple([labels.index(n) for n in order])


# The primitive.


def _contract_abstract(x: ShapedArray, y: ShapedArray, *, spec: str) -> ShapedArray:
    a, b, result = parse_spec(spec)
    if len(a) != x.ndim or len(b) != y.ndim:
        raise ValueError(f"contract: spec {spec!r} for operands of shapes {x.shape} and {y.shape}")
    sizes: dict[str, int] = {}
    for label, n in zip(a + b, x.shape + y.shape, strict=True):
        if sizes.setdefault(label, n) != n:
            raise ValueError(f"contract: label {label!r} of {spec!r} has sizes {sizes[label]} and {n}")
    scalars = ShapedArray((), x.dtype, x.weak), ShapedArray((), y.dtype, y.weak)
    return ShapedArray(tuple([sizes[n] for n in result]), mul_p.abstract(*scalars).dtype)


def _as_dtype(out: Any, x: ShapedArray) -> Any:
    """A product of the cotangent in the dtype of the operand: mixed operands were promoted."""
    return out if type(out) is np.ndarray and out.dtype == x.dtype else convert(out, x.dtype)


def _contract_transpose_x(ct: Any, x: ShapedArray, y: Any, *, spec: str) -> Any:
    a, b, result = parse_spec(spec)
    return _as_dtype(contract(ct, y, f"{result},{b}->{a}"), x)


def _contract_transpose_y(ct: Any, x: Any, y: ShapedArray, *, spec: str) -> Any:
    a, b, result = parse_spec(spec)
    return _as_dtype(contract(ct, x, f"{result},{a}->{b}"), y)


def _contract_batch(axis: Any, batched: Sequence[bool], x: Any, y: Any, *, spec: str) -> Any:
    a, b, result = parse_spec(spec)
    label = fresh_label(a + b)
    return contract(x, y, f"{label if batched[0] else ''}{a},{label if batched[1] else ''}{b}->{label}{result}")


@lru_cache(maxsize=1024)
def turned_operand(spec: str) -> int | None:
    """Which operand of a product of two matrices is the right one, and transposed; None if that is read as it is."""
    a, b, result = parse_spec(spec)
    if len(a) != 2 or len(b) != 2 or len(result) != 2 or len(set(a + b)) != 3:
        return None
    left, right = (a, b) if result[0] in a else (b, a)
    return None if right[0] in left else int(right == b)


def _dot_text(e: Emission, out: str | None, x: str, y: str, *, spec: str) -> str | None:
    """A call of ``ndarray.dot``, whose overhead is a third of that of ``matmul``; None where it cannot be had.

    It writes into arrays in C order alone: those that have a name of their own are, slices and blocks need not be.
    """
    a, b, result = parse_spec(spec)
    summed = [n for n in a if n in b]
    if len(a) > 2 or len(b) > 2 or len(summed) != 1 or summed[0] in result:
        return None
    dtypes = {aval.dtype for aval in (*e.avals, *e.out_avals)}
    if len(dtypes) != 1 or dtypes.pop().kind not in "fc" or e.block is not None:
        return None
    if not (out is None or out.isidentifier()):
        return None
    if result and result[0] not in a:
        a, b, x, y = b, a, y, x
    turned = turned_operand(spec)
    x = x if a[-1] == summed[0] else f"{x}.T"
    y = e.turned(turned, y) if turned is not None else y if b[0] == summed[0] else f"{y}.T"
    return f"{x}.dot({y}{'' if out is None else f', {out}'})"


SMALL_STACKED = 64
"""Multiplications for each element of a stack up to which NumPy's loops along the stack are faster than BLAS."""


def stack_of(x: Shape, y: Shape, spec: str) -> tuple[int, int] | None:
    """Of a product of stacks of arrays how many there are, and the multiplications for each; None if it is none."""
    a, b, result = parse_spec(spec)
    if not (a and b and result) or not a[0] == b[0] == result[0]:
        return None
    sizes = {**dict(zip(a, x, strict=True)), **dict(zip(b, y, strict=True))}
    return sizes[a[0]], math.prod(sizes.values()) // max(sizes[a[0]], 1)


def _contract_text(e: Emission, out: str | None, x: str, y: str, *, spec: str) -> str:
    dot = _dot_text(e, out, x, y, spec=spec)
    if dot is not None:
        return dot
    if e.rows_last:
        stack = stack_of(e.avals[0].shape, e.avals[1].shape, spec)
        if stack is not None and stack[1] <= SMALL_STACKED:
            a, b, result = parse_spec(spec)
            subscripts = f"{_ascii(a + b, a)},{_ascii(a + b, b)}->{_ascii(a + b, result)}"
            into = "" if out is None else f", out={out}"
            return f"{e.const(np.einsum, 'einsum')}({subscripts!r}, {x}, {y}{into})"
    if out is not None:  # small products: the call of a plan takes as long as they do
        a, b, result = parse_spec(spec)
        if len(a) == len(b) == 1 and len(result) == 2:
            column, row = (x, y) if result[0] == a else (y, x)
            return f"{e.const(np.multiply, 'multiply')}({column}[:, None], {row}, {out})"
        if len(a) == len(b) == len(result) == 2 and result[0] == a[0] and {result[1], a[1]} == set(b):
            return f"{e.const(np.matmul, 'matmul')}({x}, {y}{'' if b[0] == a[1] else '.T'}, {out})"
    return f"{e.const(product_of(spec), 'contract')}({x}, {y}{'' if out is None else f', {out}'})"


def _contract_rows(x: ShapedArray, y: ShapedArray, *, spec: str) -> Ways:
    """Rows of either operand, or of both; where they are summed the blocks' sums are added."""
    a, b, result = parse_spec(spec)
    ways = []
    for row in dict.fromkeys((a[:1], b[:1])):
        carry = row != "" and row in a, row != "" and row in b
        first = (not carry[0] or a[0] == row) and (not carry[1] or b[0] == row)
        if any(carry) and first and (row not in result or result[0] == row):
            ways.append((carry, ROWS if row in result else np.add))
    return ways


contract_p = Multilinear(
    "contract",
    lambda x, y, *, spec: product_of(spec)(x, y),
    abstract=_contract_abstract,
    transposes=(_contract_transpose_x, _contract_transpose_y),
    batch=_contract_batch,
    lowering=Lowering(_contract_text, NEW, into=True, rows=_contract_rows, cost=2.0),
)


def contract(x: Any, y: Any, spec: str) -> Any:
    """Contract two arrays by a spec such as ``"ab,bc->ac"`` (restricted as the module says).

    Sizes of a label agree exactly. The result has the dtype of ``x * y``. A product with a scalar becomes `mul`.
    """
    if spec[0] == "," or ",->" in spec:
        a, b, result = parse_spec(spec)
        if a + b == result:
            return mul(x, y)
    return contract_p.bind(x, y, spec=spec)

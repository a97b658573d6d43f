"""NumPy's products that sum: matmul, dot, einsum and their relatives, all of them by the primitive ``contract``.

Each function says its sum as an einsum and leaves the rest to one planner, which is cached by the text and the shapes:

    matmul(x, y)  =  "...ab,...bc->...ac"          inner(x, y)  =  "...a,-a"  ...

The planner writes any einsum as a list of steps on a list of operands: drop axes of size 1 (so that broadcasting needs
no copy), take diagonals, sum labels that only one operand has, contract pairs in a greedy order, transpose.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fungrad._util import here
from fungrad.core.aliasing import view
from fungrad.core.aval import Shape, typeof
from fungrad.core.primitive import as_operand
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.dispatch import UFUNCS, implements
from fungrad.numpy.shaping import promote
from fungrad.primitives.arithmetic import mul, sub
from fungrad.primitives.complex_parts import conj
from fungrad.primitives.contraction import alphabet, contract, fresh_label
from fungrad.primitives.structural import concatenate, convert, moveaxis, reduce_sum, reshape, slice_axis, transpose

# The planner


class _Step(NamedTuple):
    """``operands[at] = fun(operands[at], argument)``; a contraction also takes ``operands[other]`` away."""

    fun: Callable[..., Any]
    at: int
    argument: Any
    other: int | None = None


def _run(steps: Sequence[_Step], operands: list[Any]) -> Any:
    for fun, at, argument, other in steps:
        if other is None:
            operands[at] = fun(operands[at], argument)
        else:
            operands[at] = contract(operands[at], operands.pop(other), argument)
    return operands[0]


def _sum_labels(x: Any, axes: tuple[int, ...]) -> Any:
    """Sum in the operand's own dtype: einsum does not widen small integers as np.sum does."""
    return convert(reduce_sum(x, axes), typeof(x).dtype)


def _merge_diagonal(x: Any, axes: tuple[int, int]) -> Any:
    """The diagonal of two axes (of equal size, the first before the second) at the place of the first."""
    first, second = axes
    x = moveaxis(x, second, first + 1)
    shape = x.shape
    n = shape[first]
    return slice_axis(reshape(x, (*shape[:first], n * n, *shape[first + 2 :])), first, 0, n * n, n + 1)


@lru_cache(maxsize=4096)
def _plan(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[_Step, ...]:
    terms, result = _parse(subscripts, shapes)
    sizes = _sizes(terms, shapes)
    steps: list[_Step] = []
    for k, shape in enumerate(shapes):
        terms[k] = _drop_ones(k, terms[k], shape, steps)
    for k in range(len(terms)):
        terms[k] = _reduce_alone(k, terms, result, steps)
    while len(terms) > 1:
        i, j = _cheapest_pair(terms, result, sizes)
        a, b = terms[i], terms.pop(j)
        kept = _kept(a, b, [t for k, t in enumerate(terms) if k != i], result)
        if len(terms) == 1:
            kept = "".join([n for n in result if n in kept])
        steps.append(_Step(contract, i, f"{a},{b}->{kept}", j))
        terms[i] = kept
    order = tuple([terms[0].index(n) for n in result if n in terms[0]])
    if order != tuple(range(len(order))):
        steps.append(_Step(transpose, 0, order))
    if len(order) != len(result):
        steps.append(_Step(reshape, 0, tuple([sizes[n] for n in result])))
    return tuple(steps)


def _drop_ones(k: int, labels: str, shape: Shape, steps: list[_Step]) -> str:
    """Drop the axes of size 1 of an operand; the labels that remain."""
    kept = [(label, n) for label, n in zip(labels, shape, strict=True) if n != 1]
    if len(kept) != len(labels):
        steps.append(_Step(reshape, k, tuple([n for _, n in kept])))
    return "".join([label for label, _ in kept])


def _reduce_alone(k: int, terms: Sequence[str], result: str, steps: list[_Step]) -> str:
    """Take diagonals of an operand and sum what no other operand nor the result has; the labels that remain."""
    labels = terms[k]
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            steps.append(_Step(_merge_diagonal, k, (first, second)))
            labels = labels[:second] + labels[second + 1 :]
    elsewhere = "".join([*terms[:k], *terms[k + 1 :], result])
    alone = tuple([i for i, label in enumerate(labels) if label not in elsewhere])
    if alone:
        steps.append(_Step(_sum_labels, k, alone))
    return "".join([label for label in labels if label in elsewhere])


def _kept(a: str, b: str, others: Sequence[str], result: str) -> str:
    """The labels of a pair that something else still needs: batch labels first, then those of a and of b."""
    needed = set("".join([*others, result]))
    batch = [n for n in a if n in b and n in needed]
    return "".join([*batch, *[n for n in a + b if n in needed and n not in batch]])


def _cheapest_pair(terms: Sequence[str], result: str, sizes: dict[str, int]) -> tuple[int, int]:
    """The pair whose product grows the memory least (and is cheapest among those): the usual greedy path."""
    if len(terms) == 2:
        return 0, 1

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        a, b = terms[i], terms[j]
        kept = _kept(a, b, [t for k, t in enumerate(terms) if k not in pair], result)
        return _size(kept, sizes) - _size(a, sizes) - _size(b, sizes), _size("".join({*a, *b}), sizes)

    return min([(i, j) for j in range(len(terms)) for i in range(j)], key=cost)


def _size(labels: str, sizes: dict[str, int]) -> int:
    return math.prod([sizes[n] for n in labels])


def _sizes(terms: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for k, (labels, shape) in enumerate(zip(terms, shapes, strict=True)):
        for label, n in zip(labels, shape, strict=True):
            known = sizes.setdefault(label, n)
            if known == 1:
                sizes[label] = n
            elif n not in (1, known):
                raise ValueError(
                    f"einsum: operand {k} has size {n} where label {label!r} has size {known}: shapes {tuple(shapes)}"
                )
    return sizes


def _parse(subscripts: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The labels of each operand and of the result, with fresh labels for what an ellipsis stands for."""
    text = subscripts.replace(" ", "")
    inputs, arrow, result = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {len(terms)} subscripts in {subscripts!r} for {len(shapes)} operands")
    bad = set(text.replace("...", "").replace("->", "", 1)) - set(",")
    bad = {c for c in bad if not (c.isascii() and c.isalpha())}
    if bad:
        raise ValueError(
            f"einsum: invalid subscript {sorted(bad)[0]!r} in {subscripts!r}; labels are letters, a gap is '...'"
        )
    hidden = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True)]
    for k, (term, extra) in enumerate(zip(terms, hidden, strict=True)):
        if extra < 0 or (extra > 0 and "..." not in term):
            raise ValueError(f"einsum: operand {k} has {len(shapes[k])} axes, but its subscripts are {term!r}")
    used, ellipsis = text, ""
    for _ in range(max(hidden)):
        ellipsis = fresh_label(used) + ellipsis
        used += ellipsis[0]
    if not arrow:
        plain = inputs.replace("...", "")
        result = ellipsis + "".join(sorted([n for n in set(plain) - {","} if plain.count(n) == 1]))
    elif ellipsis and "..." not in result:
        raise ValueError(
            f"einsum: the result of {subscripts!r} needs '...' for the axes that '...' stands for in the operands"
        )
    terms = [t.replace("...", ellipsis[len(ellipsis) - n :]) for t, n in zip(terms, hidden, strict=True)]
    result = result.replace("...", ellipsis)
    if len(set(result)) != len(result) or not set(result) <= set("".join(terms)):
        raise ValueError(f"einsum: the result of {subscripts!r} names a label twice, or one that no operand has")
    return terms, result


def _product(subscripts: str, *operands: Any) -> Any:
    return _run(_plan(subscripts, tuple([x.shape for x in operands])), list(operands))


# Arguments


def _operand(x: Any) -> Any:
    """An array of what a user wrote; these functions make arrays of Python numbers too, so those do promote."""
    if type(x) is np.ndarray and not x.dtype.hasobject:
        return x
    if type(x) is not Tracer:
        x = as_operand(x)
        if type(x) is not Tracer:
            return np.asarray(x)
    if x.shape:
        return x
    aval = typeof(x)
    return convert(x, aval.dtype) if aval.weak else x


def _refuse_out(name: str, out: Any) -> None:
    if out is not None:
        raise UnsupportedOperationError(
            f"numpy.{name}(..., out=) at {here()}: a traced array cannot be written into a plain one; use the result"
        )


def _need_axes(name: str, x: Any, position: int, signature: str, needed: int) -> None:
    ndim = len(x.shape)
    if ndim < needed:
        raise ValueError(
            f"{name}: Input operand {position} does not have enough dimensions (has {ndim}, gufunc core with signature "
            f"{signature} requires {needed})"
        )


def _same_size(name: str, m: int, n: int, what: str) -> None:
    if m != n:
        raise ValueError(f"{name}: {what} have sizes {m} and {n}, which must agree")


# The functions


def matmul(x1: Any, x2: Any) -> Any:
    """Multiply matrices, vectors, or stacks of matrices that broadcast.

    The derivative in each operand is a matrix product with the other one transposed.
    """
    x1, x2 = _operand(x1), _operand(x2)
    a, b = x1.shape, x2.shape
    if len(a) == 2 == len(b) and a[1] == b[0]:
        return contract(x1, x2, "ab,bc->ac")
    signature = "(n?,k),(k,m?)->(n?,m?)"
    _need_axes("matmul", x1, 0, signature, 1)
    _need_axes("matmul", x2, 1, signature, 1)
    k = -1 if len(b) == 1 else -2
    if a[-1] != b[k]:
        raise ValueError(
            f"matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature {signature} "
            f"(size {b[k]} is different from {a[-1]})"
        )
    if len(a) == 1:
        return contract(x1, x2, "a,a->") if len(b) == 1 else _product("a,...ab->...b", x1, x2)
    if len(b) == 1:
        return _product("...ab,b->...a", x1, x2)
    np.broadcast_shapes(a[:-2], b[:-2])
    return _product("...ab,...bc->...ac", x1, x2)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum ``conj(x1) * x2`` over an axis; the other axes broadcast."""
    x1, x2 = _operand(x1), _operand(x2)
    for k, x in enumerate((x1, x2)):
        _need_axes("vecdot", x, k, "(n),(n)->()", 1)
    if axis != -1:
        x1, x2 = (moveaxis(x, normalize_axis_index(axis, (n := x.ndim)), n - 1) for x in (x1, x2))
    _same_size("vecdot", x1.shape[-1], x2.shape[-1], "the vectors")
    return _product("...a,...a->...", conj(x1), x2)


def matvec(x1: Any, x2: Any, /) -> Any:
    """Multiply matrices ``(..., m, n)`` by vectors ``(..., n)``; the leading axes broadcast."""
    x1, x2 = _operand(x1), _operand(x2)
    _need_axes("matvec", x1, 0, "(m,n),(n)->(m)", 2)
    _need_axes("matvec", x2, 1, "(m,n),(n)->(m)", 1)
    _same_size("matvec", x1.shape[-1], x2.shape[-1], "the rows and the vectors")
    return _product("...ab,...b->...a", x1, x2)


def vecmat(x1: Any, x2: Any, /) -> Any:
    """Multiply the conjugates of vectors ``(..., n)`` by matrices ``(..., n, m)``; the leading axes broadcast."""
    x1, x2 = _operand(x1), _operand(x2)
    _need_axes("vecmat", x1, 0, "(n),(n,m)->(m)", 1)
    _need_axes("vecmat", x2, 1, "(n),(n,m)->(m)", 2)
    _same_size("vecmat", x1.shape[-1], x2.shape[-2], "the vectors and the columns")
    return _product("...a,...ab->...b", conj(x1), x2)


UFUNCS[np.matmul] = matmul
UFUNCS[np.vecdot] = vecdot
if hasattr(np, "matvec"):  # NumPy 2.2
    UFUNCS[np.matvec] = matvec
    UFUNCS[np.vecmat] = vecmat


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Multiply by a scalar, or sum over the last axis of a and the last but one (or only) axis of b."""
    _refuse_out("dot", out)
    a, b = _operand(a), _operand(b)
    m, n = a.ndim, b.ndim
    if not m or not n:
        return mul(a, b)
    return _sum_over("dot", a, b, (m - 1,), (max(n - 2, 0),))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum over the last axes of both arrays; a scalar multiplies."""
    a, b = _operand(a), _operand(b)
    m, n = a.ndim, b.ndim
    return mul(a, b) if not m or not n else _sum_over("inner", a, b, (m - 1,), (n - 1,))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum products over pairs of axes.

    Parameters
    ----------
    axes : int or (axes of a, axes of b)
        How many of the last axes of a go with as many first axes of b; or the pairs themselves.
    """
    a, b = _operand(a), _operand(b)
    m, n = a.ndim, b.ndim
    if not hasattr(axes, "__iter__"):
        count = operator.index(axes)
        if count > min(m, n):
            raise ValueError(f"shape-mismatch for sum: tensordot over {count} axes of shapes {a.shape} and {b.shape}")
        return _sum_over("tensordot", a, b, tuple(range(m - count, m)), tuple(range(count)))
    of_a, of_b = axes
    return _sum_over("tensordot", a, b, _axes_of(of_a, m), _axes_of(of_b, n))


def _axes_of(axes: Any, ndim: int) -> tuple[int, ...]:
    return tuple(
        [normalize_axis_index(operator.index(k), ndim) for k in (axes if hasattr(axes, "__iter__") else (axes,))]
    )


def _sum_over(name: str, a: Any, b: Any, of_a: tuple[int, ...], of_b: tuple[int, ...]) -> Any:
    """Sum products over pairs of axes; the result has the other axes of a, then those of b."""
    m, n = a.shape, b.shape
    if len(of_a) != len(of_b) or len(set(of_a)) != len(of_a) or len(set(of_b)) != len(of_b):
        raise ValueError(f"{name}: axes {of_a} and {of_b} are not pairs of different axes")
    if [m[k] for k in of_a] != [n[k] for k in of_b]:
        raise ValueError(
            f"shapes {m} and {n} not aligned: {name} sums over axes {of_a} and {of_b}, whose sizes must agree"
        )
    labels = alphabet(len(m) + len(n))
    x = labels[: len(m)]
    y = list(labels[len(m) :])
    for i, j in zip(of_a, of_b, strict=True):
        y[j] = x[i]
    rest = [c for k, c in enumerate(x) if k not in of_a] + [c for k, c in enumerate(y) if k not in of_b]
    return contract(a, b, f"{x},{''.join(y)}->{''.join(rest)}")


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Sum ``conj(a) * b`` over all elements."""
    a, b = _operand(a), _operand(b)
    m, n = a.size, b.size
    if m != n:
        raise ValueError(f"cannot reshape array of size {n} into shape ({m},): vdot takes arrays of one size")
    return contract(reshape(conj(a), (m,)), reshape(b, (n,)), "a,a->")


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """The products of each element of a with each element of b: a matrix."""
    _refuse_out("outer", out)
    a, b = _operand(a), _operand(b)
    return contract(reshape(a, (a.size,)), reshape(b, (b.size,)), "a,b->ab")


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product: each element of a times the whole of b, as blocks."""
    a, b = _operand(a), _operand(b)
    m, n = a.shape, b.shape
    ndim = max(len(m), len(n))
    m, n = (1,) * (ndim - len(m)) + m, (1,) * (ndim - len(n)) + n
    labels = alphabet(2 * ndim)
    x, y = labels[:ndim], labels[ndim:]
    mixed = "".join([c + d for c, d in zip(x, y, strict=True)])
    blocks = contract(reshape(a, m), reshape(b, n), f"{x},{y}->{mixed}")
    return reshape(blocks, tuple([p * q for p, q in zip(m, n, strict=True)]))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors with three components."""
    a, b = _operand(a), _operand(b)
    if axis is not None:
        axisa = axisb = axisc = axis
    m, n = a.ndim, b.ndim
    a = moveaxis(a, normalize_axis_index(axisa, m), m - 1)
    b = moveaxis(b, normalize_axis_index(axisb, n), n - 1)
    sizes = a.shape[-1], b.shape[-1]
    if sizes != (3, 3):
        raise ValueError(
            f"cross: vectors of 3 components are needed, got {sizes}; for 2 components write x[..., 0] * y[..., 1] - "
            "x[..., 1] * y[..., 0]"
        )
    out = sub(mul(_turned(a, 1), _turned(b, 2)), mul(_turned(a, 2), _turned(b, 1)))
    ndim = typeof(out).ndim
    return moveaxis(out, ndim - 1, normalize_axis_index(axisc, ndim))


def _turned(x: Any, by: int) -> Any:
    """The components ``by`` places further, cyclically."""
    last = x.ndim - 1
    return concatenate([slice_axis(x, last, by, 3), slice_axis(x, last, 0, by)], last)


@implements(np.einsum)
def einsum(
    *operands: Any, out: Any = None, dtype: Any = None, order: str = "K", casting: str = "safe", optimize: Any = False
) -> Any:
    """Evaluate Einstein's summation: any number of operands, diagonals, sums, ellipsis, both of NumPy's formats.

    Pairs of operands are contracted one after the other in a greedy order, whatever ``optimize`` says.
    """
    _refuse_out("einsum", out)
    subscripts, arrays = _subscripts(operands)
    arrays = [_operand(x) for x in arrays]
    dtypes = {typeof(x).dtype for x in arrays}
    if dtype is not None or len(dtypes) > 1:
        arrays = promote(arrays, dtype, casting)
    out = _product(subscripts, *arrays)
    if len(arrays) == 1 and type(arrays[0]) is Tracer and type(out) is Tracer:
        return _as_view(subscripts, arrays[0], out)
    return out


def _as_view(subscripts: str, x: Tracer, out: Tracer) -> Any:
    """Transposes and diagonals of one array are views, as in NumPy."""
    model = np.broadcast_to(np.zeros(()), x.shape)
    if not np.may_share_memory(model, np.einsum(subscripts, model)):
        return out

    def look(parent: Any) -> Any:
        return _product(subscripts, parent) if type(parent) is Tracer else np.einsum(subscripts, parent)

    return view(x, out, look, always=True)


def _subscripts(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """Bring ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` to the format ``einsum("ab,bc->ac", x, y)``."""
    if not operands:
        raise ValueError(
            "must specify the einstein sum subscripts string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(operands[0], str):
        return operands[0], list(operands[1:])
    given = len(operands) // 2
    lists = list(operands[1 : 2 * given : 2])
    result = operands[-1] if len(operands) % 2 else None
    numbers = sorted({k for term in [*lists, result or ()] for k in term if k is not Ellipsis})
    labels = dict(zip(numbers, alphabet(len(numbers)), strict=True))
    terms = ["".join(["..." if k is Ellipsis else labels[k] for k in term]) for term in lists]
    if result is None:
        return ",".join(terms), list(operands[0 : 2 * given : 2])
    return ",".join(terms) + "->" + "".join(["..." if k is Ellipsis else labels[k] for k in result]), list(
        operands[0 : 2 * given : 2]
    )

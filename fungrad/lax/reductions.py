"""Reductions over axes, cumulative ones along an axis, and positions of extrema.

Results keep the dtype of the operand: small integers are not widened as NumPy does.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fungrad.lax.elementwise as elementwise
from fungrad import tree
from fungrad.core.aval import typeof
from fungrad.lax.arguments import array, axes_of, axis_of, dtype_of, known, require
from fungrad.primitives import bits, cumulative, reductions
from fungrad.primitives.reductions import merged_last
from fungrad.primitives.structural import broadcast_to, concatenate, convert, moveaxis, slice_, slice_axis
from fungrad.primitives.structural import reduce_sum as _sum
from fungrad.primitives.windows import greatest, least


def _over_axes(
    name: str, reduce: Callable[[Any, tuple[int, ...]], Any], operand: Any, axes: Any, kinds: str = "biufc"
) -> Any:
    x = array(operand)
    dtype = typeof(x).dtype
    require(dtype.kind in kinds, name, lambda: f"not defined for {dtype}", TypeError)
    out = reduce(x, axes_of(name, axes, typeof(x).ndim))
    return out if typeof(out).dtype == dtype else convert(out, dtype)


def reduce_sum(operand: Any, axes: Any, *, out_sharding: Any = None) -> Any:
    """Sum over axes; of nothing it is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.reduce_sum(np.array([[1, 2], [3, 4]], np.int8), (0,))
    array([4, 6], dtype=int8)
    """
    return _over_axes("reduce_sum", _sum, operand, axes)


def reduce_prod(operand: Any, axes: Any) -> Any:
    """Multiply over axes; of nothing it is 1. The derivative is exact with zeros too."""
    return _over_axes("reduce_prod", reductions.reduce_prod, operand, axes)


def reduce_max(operand: Any, axes: Any) -> Any:
    """Find the maximum over axes, of nothing minus infinity or the smallest integer. Ties share the derivative."""
    return _extremum("reduce_max", reductions.reduce_max, least, operand, axes)


def reduce_min(operand: Any, axes: Any) -> Any:
    """Find the minimum over axes; of nothing it is infinity or the largest integer. Ties share the derivative."""
    return _extremum("reduce_min", reductions.reduce_min, greatest, operand, axes)


def _extremum(name: str, reduce: Any, neutral: Any, operand: Any, axes: Any) -> Any:
    x = array(operand)
    shape, dtype = typeof(x).shape, typeof(x).dtype
    over = axes_of(name, axes, len(shape))
    if any(shape[k] == 0 for k in over):
        return np.full([n for k, n in enumerate(shape) if k not in over], neutral(dtype), dtype)[()]
    return reduce(x, over)


def reduce_and(operand: Any, axes: Any) -> Any:
    """Combine booleans, or the bits of integers, over axes by "and"."""
    return _over_axes("reduce_and", bits.reduce_and, operand, axes, "biu")


def reduce_or(operand: Any, axes: Any) -> Any:
    """Combine booleans, or the bits of integers, over axes by "or"."""
    return _over_axes("reduce_or", bits.reduce_or, operand, axes, "biu")


def reduce_xor(operand: Any, axes: Any) -> Any:
    """Combine booleans, or the bits of integers, over axes by "exclusive or"."""
    return _over_axes("reduce_xor", bits.reduce_xor, operand, axes, "biu")


_MONOIDS: dict[Any, tuple[Callable[[Any, Any], Any], Callable[[np.dtype[Any]], Any], str]] = {
    elementwise.add: (reduce_sum, lambda dtype: 0, "add"),
    elementwise.mul: (reduce_prod, lambda dtype: 1, "mul"),
    elementwise.max: (reduce_max, least, "max"),
    elementwise.min: (reduce_min, greatest, "min"),
    elementwise.bitwise_and: (reduce_and, lambda dtype: np.array(-1).astype(dtype), "and"),
    elementwise.bitwise_or: (reduce_or, lambda dtype: 0, "or"),
    elementwise.bitwise_xor: (reduce_xor, lambda dtype: 0, "xor"),
}
_ALIASES: dict[Any, Any] = {
    operator.add: elementwise.add,
    operator.mul: elementwise.mul,
    operator.and_: elementwise.bitwise_and,
    operator.or_: elementwise.bitwise_or,
    operator.xor: elementwise.bitwise_xor,
    np.add: elementwise.add,
    np.multiply: elementwise.mul,
    np.maximum: elementwise.max,
    np.minimum: elementwise.min,
    np.bitwise_and: elementwise.bitwise_and,
    np.bitwise_or: elementwise.bitwise_or,
    np.bitwise_xor: elementwise.bitwise_xor,
}


def monoid_of(computation: Any, count: int) -> str | None:
    """The name of an operation whose reductions are known; only of one operand."""
    if count != 1 or getattr(computation, "__hash__", None) is None:
        return None
    found = _MONOIDS.get(_ALIASES.get(computation, computation))
    return None if found is None else found[2]


def neutral_of(name: str, dtype: np.dtype[Any]) -> Any:
    """The neutral element of a known operation."""
    return next(neutral for _, neutral, n in _MONOIDS.values() if n == name)(dtype)


def with_initial(name: str, computation: Any, init: Any, out: Any) -> Any:
    """A reduction that starts with a value: nothing is done if it is known to be the neutral one."""
    dtype = typeof(out).dtype
    value = known(init)
    if value is not None and np.array_equal(
        np.asarray(value).astype(dtype), np.asarray(neutral_of(name, dtype), dtype)
    ):
        return out
    return computation(broadcast_to(convert(init, dtype), typeof(out).shape), out)


def flattened_with_initial(function: str, operands: Any, init_values: Any) -> tuple[list[Any], list[Any], Any]:
    """The arrays of a pytree, the scalars that belong to them, and the structure."""
    arrays, structure = tree.flatten(operands)
    inits, other = tree.flatten(init_values)
    require(
        structure == other and len(arrays) > 0,
        function,
        lambda: f"operands and initial values must have one structure, got {structure} and {other}",
    )
    arrays, inits = [array(x) for x in arrays], [array(i) for i in inits]
    shapes = {typeof(x).shape for x in arrays}
    require(len(shapes) == 1, function, lambda: f"operands must have one shape, got {sorted(shapes)}")
    require(
        all(not typeof(i).shape for i in inits),
        function,
        lambda: f"initial values must be scalars, got shapes {[typeof(i).shape for i in inits]}",
    )
    inits = [convert(i, typeof(x).dtype) for i, x in zip(inits, arrays, strict=True)]
    return arrays, inits, structure


def applied(function: str, computation: Any, structure: Any, a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """The computation of two lists of arrays, which must return one like these."""
    out, found = tree.flatten(computation(tree.unflatten(structure, list(a)), tree.unflatten(structure, list(b))))
    require(
        found == structure,
        function,
        lambda: f"the computation must return a structure {structure}, it returned {found}",
    )
    out = [array(x) for x in out]
    for x, y in zip(out, a, strict=True):
        require(
            typeof(x).shape == typeof(y).shape,
            function,
            f"the computation must be elementwise; it made shape {typeof(x).shape} of {typeof(y).shape}",
        )
    return [convert(x, typeof(y).dtype) for x, y in zip(out, a, strict=True)]


def reduce(
    operands: Any, init_values: Any, computation: Callable[[Any, Any], Any], dimensions: Any, out_sharding: Any = None
) -> Any:
    """Combine the elements along axes by an associative operation.

    Parameters
    ----------
    operands : pytree of arrays
        Of one shape.
    init_values : pytree of scalars
        Neutral elements of the operation.
    computation : callable
        ``computation(a, b)`` of two pytrees like ``operands``, elementwise and associative. Sums, products, extrema and
        combinations of bits, as functions of `fungrad.lax`, of ``operator`` or of NumPy, are recognised.
    dimensions : sequence of int

    Notes
    -----
    Other computations are applied to whole arrays: to all pairs of neighbours, then to those of the results.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.reduce(np.arange(6.0).reshape(2, 3), 0.0, lax.add, (1,))
    array([ 3., 12.])
    >>> lax.reduce(np.array([2.0, 3.0]), 1.0, lambda a, b: a + b - a * b, (0,))
    np.float64(1.0)
    """
    arrays, inits, structure = flattened_with_initial("reduce", operands, init_values)
    axes = axes_of("reduce", dimensions, typeof(arrays[0]).ndim)
    name = monoid_of(computation, len(arrays))
    if name is not None:
        found = next(r for r, _, n in _MONOIDS.values() if n == name)(arrays[0], axes)
        return tree.unflatten(structure, [with_initial(name, computation, inits[0], found)])
    if not axes:
        lines = list(arrays)
    else:
        lines = [moveaxis(merged_last(x, axes), typeof(x).ndim - len(axes), 0) for x in arrays]
        n = math.prod([typeof(arrays[0]).shape[k] for k in axes])
        while n > 1:
            pairs = [[slice_axis(x, 0, k, n - n % 2, 2) for x in lines] for k in (0, 1)]
            combined = applied("reduce", computation, structure, *pairs)
            if n % 2:
                combined = [
                    concatenate([c, slice_axis(x, 0, n - 1, n)], 0) for c, x in zip(combined, lines, strict=True)
                ]
            lines, n = combined, n // 2 + n % 2
        if n == 0:
            shape = typeof(lines[0]).shape[1:]
            return tree.unflatten(structure, [broadcast_to(i, shape) for i in inits])
        lines = [slice_(x, (0,)) for x in lines]
    starts = [broadcast_to(i, typeof(x).shape) for i, x in zip(inits, lines, strict=True)]
    return tree.unflatten(structure, applied("reduce", computation, structure, starts, lines))


# positions


def _position(name: str, find: Any, operand: Any, axis: int, index_dtype: Any) -> Any:
    x = array(operand)
    k = axis_of(name, axis, typeof(x).ndim)
    dtype = dtype_of(index_dtype)
    require(dtype.kind in "iu", name, lambda: f"index_dtype must be an integer type, got {dtype}", TypeError)
    return convert(find(x, k), dtype)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Find the position of the (first) maximum along an axis; no derivative."""
    return _position("argmax", reductions.argmax, operand, axis, index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Find the position of the (first) minimum along an axis; no derivative."""
    return _position("argmin", reductions.argmin, operand, axis, index_dtype)


# cumulative


def _cumulative(name: str, function: Any, operand: Any, axis: int, reverse: bool) -> Any:
    x = array(operand)
    out = function(x, axis_of(name, axis, typeof(x).ndim), bool(reverse))
    return out if typeof(out).dtype == typeof(x).dtype else convert(out, typeof(x).dtype)


def cumsum(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The sums of the elements up to each one along an axis, or from each one on."""
    return _cumulative("cumsum", cumulative.cumsum, operand, axis, reverse)


def cumprod(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The products of the elements up to each one along an axis, or from each one on."""
    return _cumulative("cumprod", cumulative.cumprod, operand, axis, reverse)


def cummax(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The maxima of the elements up to each one along an axis, or from each one on."""
    return _cumulative("cummax", cumulative.cummax, operand, axis, reverse)


def cummin(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The minima of the elements up to each one along an axis, or from each one on."""
    return _cumulative("cummin", cumulative.cummin, operand, axis, reverse)


def cumlogsumexp(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
    """``log(sum(exp(x)))`` of the elements up to each one along an axis, or from each one on."""
    return _cumulative("cumlogsumexp", cumulative.cumlogsumexp, operand, axis, reverse)

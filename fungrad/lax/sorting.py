"""Sorting, and the largest elements. Sorted values have the derivatives of the elements that they are."""

from __future__ import annotations

import operator
from typing import Any

from fungrad.core.aval import typeof
from fungrad.lax.arguments import array, axis_of, require
from fungrad.primitives import sorting
from fungrad.primitives.arithmetic import neg, sub
from fungrad.primitives.indexing import take_along
from fungrad.primitives.structural import flip, slice_axis


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along an axis.

    Parameters
    ----------
    operand : array, or tuple of arrays of one shape
        Of several arrays the first ``num_keys`` are the keys; all are put into the order that sorts these, by the first
        one, where that is equal by the second one, and so on.
    dimension : int
    is_stable : bool
        Whether elements with equal keys keep their order.
    num_keys : int

    Returns
    -------
    array or tuple of arrays
        In ascending order, nan behind all numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.sort((np.array([2, 1, 2]), np.array([0.5, 1.5, 0.25])), num_keys=2)
    (array([1, 2, 2]), array([1.5 , 0.25, 0.5 ]))
    """
    if not isinstance(operand, (tuple, list)):
        require(num_keys == 1, "sort", lambda: f"num_keys is {num_keys} for one array")
        x = array(operand)
        return sorting.sort(x, axis_of("sort", dimension, typeof(x).ndim), bool(is_stable))
    arrays = [array(x) for x in operand]
    require(len(arrays) > 0, "sort", "expected at least one array", TypeError)
    shapes = [typeof(x).shape for x in arrays]
    require(len(set(shapes)) == 1, "sort", lambda: f"arrays must have one shape, got {shapes}", TypeError)
    require(1 <= num_keys <= len(arrays), "sort", lambda: f"num_keys must be 1 to {len(arrays)}, got {num_keys}")
    k = axis_of("sort", dimension, len(shapes[0]))
    stable = bool(is_stable) or num_keys > 1
    order = sorting.argsort(arrays[num_keys - 1], k, stable)
    for key in arrays[num_keys - 2 :: -1] if num_keys > 1 else []:
        order = sorting.permute(order, sorting.argsort(sorting.permute(key, order, k), k, True), k)
    return tuple([sorting.permute(x, order, k) for x in arrays])


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Sort keys along an axis, and bring values into the same order."""
    found: tuple[Any, Any] = sort((keys, values), dimension, is_stable)
    return found


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """Find the k largest elements along an axis, and their positions, the largest one first.

    Of equal elements the earlier one comes first; nan comes before all numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.top_k(np.array([1.0, 4.0, 2.0, 4.0]), 2)
    (array([4., 4.]), array([1, 3]))
    """
    x = array(operand)
    a, count = axis_of("top_k", axis, typeof(x).ndim), operator.index(k)
    n = typeof(x).shape[a]
    require(typeof(x).dtype.kind != "c", "top_k", "complex numbers have no order", TypeError)
    require(0 <= count <= n, "top_k", lambda: f"k must be 0 to {n}, the size of axis {a}, got {count}")
    # The order that sorts the reversed axis, reversed: equal elements come in their own order then.
    order = flip(sorting.argsort(flip(x, (a,)), a, True), (a,))
    places = sub(n - 1, slice_axis(order, a, 0, count))
    return take_along(x, places, a, unique=True), places


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """Find the k largest elements along an axis, and their positions: exactly, as `top_k`."""
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """Find the k smallest elements along an axis, and their positions: exactly, the smallest one first."""
    x = array(operand)
    require(
        typeof(x).dtype.kind == "f",
        "approx_min_k",
        lambda: f"expected floating-point numbers, got {typeof(x).dtype}",
        TypeError,
    )
    values, places = top_k(neg(x), k, axis=reduction_dimension)
    return neg(values), places

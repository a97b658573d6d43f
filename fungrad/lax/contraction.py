"""Products of matrices and their generalisations: dot, dot_general, batch_matmul, ragged_dot.

All become one contraction, which is multilinear: derivatives are contractions of a cotangent with the other operand.
Operands of different dtypes are promoted by NumPy's rules. ``precision`` is accepted and has no effect: products are
computed in the precision of their dtype.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.lax.arguments import array, dtype_of, integers, known, require
from fungrad.numpy.shaping import promote
from fungrad.primitives.assignment import put_slice
from fungrad.primitives.comparison import greater_equal, less, logical_and
from fungrad.primitives.contraction import alphabet, contract
from fungrad.primitives.cumulative import cumsum
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert, expand_dims, slice_, slice_axis

DotDimensionNumbers = tuple[tuple[Any, Any], tuple[Any, Any]]
"""((contracted axes of lhs, of rhs), (batch axes of lhs, of rhs))."""


class Precision(enum.Enum):
    """What may be asked of products; without effect."""

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


PrecisionLike = Any


def in_product_dtype(lhs: Any, rhs: Any, preferred: Any) -> tuple[Any, Any, np.dtype[Any]]:
    """Operands of a product in one dtype, in which it is computed, and the dtype of the result."""
    lhs, rhs = promote([array(lhs), array(rhs)])
    dtype = typeof(lhs).dtype
    if preferred is None:
        return lhs, rhs, dtype
    result = dtype_of(preferred)
    if result != dtype and np.can_cast(dtype, result):
        lhs, rhs = convert(lhs, result), convert(rhs, result)
    return lhs, rhs, result


Axes = tuple[int, ...]


@lru_cache(maxsize=1024)
def _spec_of(x_rank: int, y_rank: int, x_sum: Axes, y_sum: Axes, x_batch: Axes, y_batch: Axes) -> str:
    """The labels of a contraction with these axes, batch axes in front."""
    labels = alphabet(x_rank + y_rank)
    a, b = list(labels[:x_rank]), list(labels[x_rank:])
    for i, j in zip((*x_sum, *x_batch), (*y_sum, *y_batch), strict=True):
        b[j] = a[i]
    result = [a[i] for i in x_batch]
    result += [n for i, n in enumerate(a) if i not in x_sum and i not in x_batch]
    result += [n for j, n in enumerate(b) if j not in y_sum and j not in y_batch]
    return f"{''.join(a)},{''.join(b)}->{''.join(result)}"


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: DotDimensionNumbers,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: Any = None,
) -> Any:
    """Multiply and sum over some axes of two arrays, for each position along others.

    Parameters
    ----------
    lhs, rhs : arrays
    dimension_numbers : ((lhs_contracting, rhs_contracting), (lhs_batch, rhs_batch))
        Sequences of axes that belong together and have equal sizes: summed ones, and ones that stay.
    precision : optional
        Without effect.
    preferred_element_type : dtype, optional
        The dtype of the result; a wider one is that of the computation too.

    Returns
    -------
    array
        With the batch axes in front, then the other axes of lhs, then those of rhs.

    Raises
    ------
    TypeError
        If axes are out of bounds, named twice, or of different sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> x, y = np.ones((5, 2, 3)), np.ones((5, 3, 4))
    >>> lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))).shape
    (5, 2, 4)
    """
    x, y, dtype = in_product_dtype(lhs, rhs, preferred_element_type)
    contracting, batch = dimension_numbers
    x_sum, y_sum = (integers("dot_general", "contracting axes", a) for a in contracting)
    x_batch, y_batch = (integers("dot_general", "batch axes", a) for a in batch)
    x_shape, y_shape = typeof(x).shape, typeof(y).shape
    for axes, shape in (((*x_sum, *x_batch), x_shape), ((*y_sum, *y_batch), y_shape)):
        require(
            len(set(axes)) == len(axes) and all(0 <= k < len(shape) for k in axes),
            "dot_general",
            f"dimension numbers {dimension_numbers} do not name different axes of shapes {x_shape} and {y_shape}",
            TypeError,
        )
    require(
        len(x_sum) == len(y_sum)
        and len(x_batch) == len(y_batch)
        and all(x_shape[i] == y_shape[j] for i, j in zip((*x_sum, *x_batch), (*y_sum, *y_batch), strict=True)),
        "dot_general",
        lambda: (
            f"axes {x_sum} and {x_batch} of shape {x_shape} must have the sizes of "
            f"axes {y_sum} and {y_batch} of {y_shape}"
        ),
        TypeError,
    )
    out = contract(x, y, _spec_of(len(x_shape), len(y_shape), x_sum, y_sum, x_batch, y_batch))
    return out if typeof(out).dtype == dtype else convert(out, dtype)


def dot(
    lhs: Any,
    rhs: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    *,
    dimension_numbers: DotDimensionNumbers | None = None,
    out_sharding: Any = None,
) -> Any:
    """Multiply vectors and matrices; with ``dimension_numbers`` as `dot_general`.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.dot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    array([3., 7.])
    """
    x, y = array(lhs), array(rhs)
    if dimension_numbers is None:
        x_shape, y_shape = typeof(x).shape, typeof(y).shape
        require(
            len(x_shape) in (1, 2) and len(y_shape) in (1, 2) and x_shape[-1] == y_shape[0],
            "dot",
            lambda: (
                f"expected vectors or matrices that fit, got shapes {x_shape} and {y_shape}; "
                "lax.dot_general takes others"
            ),
            TypeError,
        )
        dimension_numbers = (((len(x_shape) - 1,), (0,)), ((), ()))
    return dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: PrecisionLike = None) -> Any:
    """Multiply stacks of matrices whose leading axes are equal; nothing broadcasts."""
    x, y = array(lhs), array(rhs)
    x_shape, y_shape = typeof(x).shape, typeof(y).shape
    require(
        len(x_shape) == len(y_shape) >= 2 and x_shape[:-2] == y_shape[:-2],
        "batch_matmul",
        lambda: f"expected matrices with equal leading axes, got shapes {x_shape} and {y_shape}",
        TypeError,
    )
    batch = tuple(range(len(x_shape) - 2))
    last = len(x_shape) - 1
    return dot_general(x, y, (((last,), (last - 1,)), (batch, batch)), precision)


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    group_offset: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Multiply groups of rows, one behind the other, each by a matrix of its own.

    Parameters
    ----------
    lhs : array (m, k)
    rhs : array (groups, k, n)
    group_sizes : array of integers (groups,)
        How many rows belong to each group; rows behind the last group give zeros.
    precision, preferred_element_type
        As in `dot_general`.
    group_offset : None
        Not supported.

    Returns
    -------
    array (m, n)

    Notes
    -----
    Sizes that are known cost one product of matrices for each group. Those that are not cost one of all rows for each.
    """
    require(group_offset is None, "ragged_dot", "group_offset is not supported", NotImplementedError)
    x, y, dtype = in_product_dtype(lhs, rhs, preferred_element_type)
    sizes = array(group_sizes)
    x_shape, y_shape = typeof(x).shape, typeof(y).shape
    require(
        len(x_shape) == 2 and len(y_shape) == 3 and x_shape[1] == y_shape[1] and typeof(sizes).shape == y_shape[:1],
        "ragged_dot",
        lambda: f"expected shapes (m, k), (groups, k, n), (groups,), got {x_shape}, {y_shape}, {typeof(sizes).shape}",
        TypeError,
    )
    total: Any = np.zeros((x_shape[0], y_shape[2]), dtype)
    value = known(sizes)
    ends = cumsum(sizes, 0)
    rows = np.arange(x_shape[0])
    stop = 0
    for g in range(y_shape[0]):
        matrix = slice_(y, (g,))
        if value is not None:
            start, stop = min(stop, x_shape[0]), min(stop + int(value[g]), x_shape[0])
            part = contract(slice_axis(x, 0, start, stop), matrix, "ik,kj->ij")
            total = _put_rows(total, convert(part, dtype), start, stop)
            continue
        end = slice_(ends, (g,))
        begin = end - slice_(sizes, (g,))
        mask = logical_and(greater_equal(rows, begin), less(rows, end))
        product = convert(contract(x, matrix, "ik,kj->ij"), dtype)
        total = where(expand_dims(mask, (1,)), product, total)
    return total


def _put_rows(total: Any, part: Any, start: int, stop: int) -> Any:
    return put_slice(total, part, ((start, stop, 1),)) if stop > start else total

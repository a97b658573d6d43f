"""numpy.linalg: norms, condition numbers, ranks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from fungrad._util import here
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.linalg.arguments import in_linalg_dtype, stack_of_matrices, stack_of_square_matrices
from fungrad.numpy.linalg.spectra import svd
from fungrad.numpy.shaping import as_array
from fungrad.primitives.arithmetic import mul, power
from fungrad.primitives.comparison import equal, greater, isnan, not_equal
from fungrad.primitives.linalg.eigen import inverse_or_nan
from fungrad.primitives.linalg.norms import condition, inf_for_nan, length
from fungrad.primitives.linalg.svd import svdvals
from fungrad.primitives.reductions import (
    Axes,
    count_nonzero,
    reduce_any,
    reduce_max,
    reduce_min,
    without,
)
from fungrad.primitives.rounding import abs as modulus
from fungrad.primitives.selection import where
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import convert, expand_dims, reduce_sum, reshape, slice_axis, transpose

Reduce = Callable[[Any, Axes], Any]


def _maximum_of_none() -> bool:
    """Whether NumPy's maximum norm of no elements is 0; before version 2.3 it was an error."""
    try:
        return bool(np.linalg.norm(np.zeros(0), np.inf) == 0)
    except ValueError:
        return False


_MAXIMUM_OF_NONE = _maximum_of_none()


def _floating(x: Any) -> Any:
    x = as_array(x)
    return x if is_inexact(typeof(x).dtype) else convert(x, np.dtype(np.float64))


def _largest(x: Any, axes: Axes) -> Any:
    """The maximum of numbers that are not negative."""
    shape = typeof(x).shape
    if _MAXIMUM_OF_NONE and any(shape[k] == 0 for k in axes):
        return np.zeros(without(shape, axes), typeof(x).dtype)[()]
    return reduce_max(x, axes)


def _power_norm(x: Any, p: float, axes: Axes) -> Any:
    """``sum(|x|**p)**(1/p)``. Elements that are zero, where ``|x|**p`` may have no or any slope, have the slope 0."""
    size = modulus(x)
    zero = equal(size, 0)
    total = reduce_sum(where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1, size), p)), axes)
    exponent = float(np.reciprocal(p, dtype=typeof(total).dtype))
    # Nothing but zeros (p > 0), or any zero (p < 0): the norm is 0, and so is its derivative.
    vanishing = equal(total, 0.0 if p > 0 else math.inf)
    return where(vanishing, 0, power(where(vanishing, 1, total), exponent))


def _vector_norm(x: Any, order: Any, axis: int) -> Any:
    """The norm along one axis (counted from 0)."""
    axes = (axis,)
    if order is None or order == 2:
        return length(x, axes)
    if order == math.inf:
        return _largest(modulus(x), axes)
    if order == -math.inf:
        return reduce_min(modulus(x), axes)
    if order == 0:
        return reduce_sum(convert(not_equal(x, 0), typeof(modulus(x)).dtype), axes)
    if order == 1:
        return reduce_sum(modulus(x), axes)
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    return _power_norm(x, float(order), axes)


_BY_SUMS: dict[Any, tuple[int, Reduce]] = {1: (0, _largest), -1: (0, reduce_min)}
_BY_SUMS.update({math.inf: (1, _largest), -math.inf: (1, reduce_min)})
"""Order -> the axis along which to sum the moduli (rows or columns), and what to take of the sums."""

_BY_SINGULAR_VALUES: dict[Any, Reduce] = {2: _largest, -2: reduce_min, "nuc": reduce_sum}


def _matrix_norm(x: Any, order: Any, rows: int, columns: int) -> Any:
    """The norm of the matrices in two axes (counted from 0)."""
    if rows == columns:
        raise ValueError("Duplicate axes given.")
    if order in (None, "fro", "f"):
        return length(x, (min(rows, columns), max(rows, columns)))
    if order in _BY_SUMS:
        position, reduce = _BY_SUMS[order]
        summed, rest = (rows, columns) if position == 0 else (columns, rows)
        return reduce(reduce_sum(modulus(x), (summed,)), (rest - (rest > summed),))
    if order in _BY_SINGULAR_VALUES:
        lead = [k for k in range(typeof(x).ndim) if k not in (rows, columns)]
        (x,) = in_linalg_dtype(transpose(x, (*lead, rows, columns)))
        return _BY_SINGULAR_VALUES[order](svdvals(x), (len(lead),))
    raise ValueError("Invalid norm order for matrices.")


def _known_order(order: Any) -> Any:
    if type(order) is Tracer:
        raise UnsupportedOperationError(
            f"numpy.linalg.norm(..., ord=) at {here()}: the order is a traced array of type {order.aval!r}, but it "
            "decides which norm is meant. Give it as a plain number; or write np.sum(np.abs(x) ** p) ** (1 / p), which "
            "has a derivative in p."
        )
    return order


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Compute norms of vectors or matrices.

    Parameters
    ----------
    x : array
    ord : None, number, "fro" or "nuc"
        The order: for vectors any number, inf, -inf; for matrices 1, -1, 2, -2, inf, -inf, "fro", "nuc". None is the
        2-norm of a vector, the Frobenius norm of a matrix, the 2-norm of all elements without an axis.
    axis : int or tuple of two int, optional
        The axis of vectors, or the axes of the rows and columns of matrices.

    Notes
    -----
    Kinks. The 2-norm and the Frobenius norm have the derivative 0 at 0. Where several elements (or sums of rows, or
    singular values) are the largest they share the derivative equally. Sums of moduli have the slope 0 in elements that
    are 0, as ``abs``, and so has ``sum(|x|**p)**(1/p)`` for all p; it has the derivative 0 where it vanishes.
    Singular values that are 0 contribute a subgradient, see `svd`. Second derivatives at such points do not exist.

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> fg.grad(np.linalg.norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    >>> fg.grad(np.linalg.norm)(np.zeros(2))
    array([0., 0.])
    """
    x, order = _floating(x), _known_order(ord)
    ndim = typeof(x).ndim
    if axis is None and (order is None or (order in ("f", "fro") and ndim == 2) or (order == 2 and ndim == 1)):
        axes: tuple[int, ...] = tuple(range(ndim))
        out = length(x, axes)
    else:
        axes = _axes(axis, ndim)
        if len(axes) == 1:
            out = _vector_norm(x, order, axes[0])
        elif len(axes) == 2:
            out = _matrix_norm(x, order, *axes)
        else:
            raise ValueError("Improper number of dimensions to norm.")
    return expand_dims(out, tuple(sorted(axes))) if keepdims else out


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes, counted from 0, in the order in which they are named."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, tuple):
        try:
            axis = (int(axis),)
        except (TypeError, ValueError) as error:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from error
    return tuple([normalize_axis_index(operator.index(k), ndim) for k in axis])


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Compute norms of the matrices in the last two axes; kinks and derivatives as those of `norm`."""
    return norm(x, axis=(-2, -1), keepdims=keepdims, ord=ord)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Compute norms of vectors, along any number of axes together; kinks and derivatives as those of `norm`."""
    x = as_array(x)
    shape = typeof(x).shape
    if axis is None:
        named = tuple(range(len(shape)))
        x = reshape(x, (math.prod(shape),))
    else:
        named = normalize_axis_tuple(axis, len(shape))
        rest = without(shape, named)
        order = (*named, *[k for k in range(len(shape)) if k not in named])
        x = reshape(transpose(x, order), (math.prod([shape[k] for k in named]), *rest))
    out = norm(x, axis=0, ord=ord)
    return expand_dims(out, tuple(sorted(named))) if keepdims else out


# cond: the norm of a matrix times that of its inverse


# NumPy 2.0 and 2.1 return it in the dtype of the matrix, complex or not.
_COMPLEX_CONDITION = np.linalg.cond(np.eye(1, dtype=np.complex128), 1).dtype.kind == "c"


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Compute the condition numbers of matrices, ``norm(x, p) * norm(inv(x), p)``.

    Parameters
    ----------
    x : array (..., m, n)
        Square unless p is None, 2 or -2.
    p : {None, 1, -1, 2, -2, inf, -inf, "fro", "nuc"}
        The order of the norm; None is 2, by singular values.

    Notes
    -----
    Of a singular matrix it is inf, with a derivative that is not finite. Kinks are those of `norm` and `svd`.
    """
    x, order = as_array(x), _known_order(p)
    shape = typeof(x).shape
    if 0 in shape and 0 in shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if order is None or order in (2, -2):
        (a,) = in_linalg_dtype(stack_of_matrices(x))
        s = svdvals(a)
        last = typeof(s).ndim - 1
        ends = [reshape(slice_axis(s, last, k, k + 1), typeof(s).shape[:-1]) for k in (0, typeof(s).shape[-1] - 1)]
        out = condition(*(ends[::-1] if order == -2 else ends))
    else:
        (a,) = in_linalg_dtype(stack_of_square_matrices(x))
        out = mul(norm(a, order, (-2, -1)), norm(inverse_or_nan(a), order, (-2, -1)))
        out = convert(out, typeof(a).dtype) if _COMPLEX_CONDITION else out
    rank = typeof(a).ndim
    return where(reduce_any(isnan(a), (rank - 2, rank - 1)), out, inf_for_nan(out))


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Count the singular values above a tolerance: an integer, which has no derivative.

    Parameters
    ----------
    tol : array, optional
        Absolute; by default ``rtol`` times the largest singular value.
    rtol : array, optional
        Relative; by default max(m, n) times the precision.
    """
    if rtol is not None and tol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    x, tol, rtol = [None if v is None else stop_gradient_p.function(as_array(v)) for v in (A, tol, rtol)]
    ndim = typeof(x).ndim
    if ndim < 2:
        nonzero = reduce_any(not_equal(x, 0), tuple(range(ndim)))
        return convert(nonzero, np.dtype(np.int64)) if type(nonzero) is Tracer else int(nonzero)
    s = svd(x, compute_uv=False, hermitian=hermitian)
    last = typeof(s).ndim - 1
    if tol is None:
        relative = max(typeof(x).shape[-2:]) * np.finfo(typeof(s).dtype).eps if rtol is None else _per_matrix(rtol)
        tol = mul(expand_dims(_largest(s, (last,)), (last,)), relative)
    else:
        tol = _per_matrix(tol)
    return count_nonzero(greater(s, tol), (last,))


def _per_matrix(x: Any) -> Any:
    return expand_dims(x, (typeof(x).ndim,))

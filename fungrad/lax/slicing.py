"""Slices: with known bounds, and with starts that are computed (dynamic), which are moved to within the array.

The derivative of a slice is the slice of the tangent; in reverse, zeros with the cotangent at its place.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, typeof
from fungrad.core.trace import Tracer
from fungrad.lax.arguments import array, axis_of, integers, require
from fungrad.primitives import dynamic
from fungrad.primitives.assignment import put_slice
from fungrad.primitives.structural import Index, convert, expand_dims, reshape, slice_

# known bounds


def slice(operand: Any, start_indices: Any, limit_indices: Any, strides: Any = None) -> Any:
    """The elements from a start up to a limit (excluded), for each axis.

    Parameters
    ----------
    operand : array
    start_indices, limit_indices : sequence of int
        ``0 <= start <= limit <= size`` for each axis: nothing is counted from the end.
    strides : sequence of int, optional
        By default 1.

    Raises
    ------
    TypeError
        If there is not one of each for each axis, or they are out of bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.slice(np.arange(12).reshape(3, 4), (0, 1), (3, 4), (2, 1))
    array([[ 1,  2,  3],
           [ 9, 10, 11]])
    """
    x = array(operand)
    shape = typeof(x).shape
    starts = integers("slice", "start_indices", start_indices)
    limits = integers("slice", "limit_indices", limit_indices)
    steps = (1,) * len(shape) if strides is None else integers("slice", "strides", strides)
    require(
        len(starts) == len(limits) == len(steps) == len(shape)
        and all(0 <= a <= b <= n and s > 0 for a, b, s, n in zip(starts, limits, steps, shape, strict=True)),
        "slice",
        lambda: (
            f"expected 0 <= start <= limit <= size and stride > 0 for each axis of shape {shape}, got starts {starts}, "
            f"limits {limits}, strides {steps}"
        ),
        TypeError,
    )
    return slice_(x, _index(shape, starts, limits, steps))


def _index(shape: Shape, starts: Sequence[int], limits: Sequence[int], steps: Sequence[int]) -> Index:
    parts = zip(starts, limits, steps, shape, strict=True)
    return tuple([None if (a, b, s) == (0, n, 1) else (a, b, s) for a, b, s, n in parts])


def slice_in_dim(operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0) -> Any:
    """The elements from a start up to a limit along one axis; negative ones count from the end, None is none."""
    x = array(operand)
    shape = typeof(x).shape
    k = axis_of("slice_in_dim", axis, len(shape))
    n = shape[k]
    start = 0 if start_index is None else operator.index(start_index)
    limit = n if limit_index is None else operator.index(limit_index)
    start, limit = start + n if start < 0 else start, limit + n if limit < 0 else limit
    require(
        0 <= start <= limit <= n and stride > 0,
        "slice_in_dim",
        lambda: f"bounds {start_index} to {limit_index} (stride {stride}) do not fit axis {k} with size {n}",
        TypeError,
    )
    part = None if (start, limit, stride) == (0, n, 1) else (start, limit, operator.index(stride))
    return slice_(x, (*(None,) * k, part))


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """The elements at one position along an axis, which has size 1 then, or is dropped without ``keepdims``."""
    x = array(operand)
    shape = typeof(x).shape
    k = axis_of("index_in_dim", axis, len(shape))
    i, n = operator.index(index), shape[k]
    require(-n <= i < n, "index_in_dim", lambda: f"index {i} is out of bounds for axis {k} with size {n}", IndexError)
    i %= n
    return slice_(x, (*(None,) * k, (i, i + 1, 1) if keepdims else i))


# computed starts


def _starts(function: str, start_indices: Any, ndim: int) -> list[Any]:
    """A list of scalars of integers."""
    if isinstance(start_indices, (list, tuple)):
        starts = [s if isinstance(s, (int, np.integer)) else array(s) for s in start_indices]
    else:
        vector = array(start_indices)
        require(
            typeof(vector).ndim == 1,
            function,
            lambda: f"start indices must be scalars or a vector, got {typeof(vector)!r}",
            TypeError,
        )
        starts = [slice_(vector, (k,)) for k in range(typeof(vector).shape[0])]
    require(
        len(starts) == ndim,
        function,
        lambda: f"expected a start index for each of {ndim} axes, got {len(starts)}",
        TypeError,
    )
    for s in starts:
        aval = typeof(s)
        require(
            not aval.shape and aval.dtype.kind in "iu",
            function,
            f"start indices must be scalar integers, got one of type {aval!r}",
            TypeError,
        )
    return starts


def _known(starts: Sequence[Any], place: Sequence[tuple[int, int]], wrap: bool) -> list[int] | None:
    """The starts within bounds, if all are known."""
    if any(type(s) is Tracer for s in starts):
        return None
    return [dynamic.clamped(s, size, limit, wrap) for s, (size, limit) in zip(starts, place, strict=True)]


def dynamic_slice(
    operand: Any, start_indices: Any, slice_sizes: Any, *, allow_negative_indices: bool | Sequence[bool] = True
) -> Any:
    """The slice of known sizes at a start that may be traced.

    Parameters
    ----------
    operand : array
    start_indices : sequence of scalar integers, or a vector of them
        One for each axis. A slice that would reach out of the array is moved into it.
    slice_sizes : sequence of int
    allow_negative_indices : bool
        Whether a negative start counts from the end; if not, it is moved to 0.

    Notes
    -----
    Under vmap over the starts it is a gather.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.dynamic_slice(np.arange(5), (1,), (2,)), lax.dynamic_slice(np.arange(5), (4,), (2,))
    (array([1, 2]), array([3, 4]))
    """
    x = array(operand)
    shape = typeof(x).shape
    sizes = integers("dynamic_slice", "slice_sizes", slice_sizes)
    require(
        len(sizes) == len(shape) and all(0 <= m <= n for m, n in zip(sizes, shape, strict=True)),
        "dynamic_slice",
        lambda: f"slice sizes {sizes} do not fit shape {shape}",
        TypeError,
    )
    starts = _wrapped(_starts("dynamic_slice", start_indices, len(shape)), allow_negative_indices)
    return _dynamic_slice(x, *starts, sizes)


def _wrapped(starts: list[Any], allow: bool | Sequence[bool]) -> tuple[list[Any], bool]:
    """The starts, and whether negative ones are still to be counted from the end."""
    if isinstance(allow, (bool, np.bool_)):
        return starts, bool(allow)
    # One choice for each axis: those that do not count from the end are cut off here.
    return [s if w else _at_least_zero(s) for s, w in zip(starts, allow, strict=True)], True


def _at_least_zero(start: Any) -> Any:
    return builtins.max(operator.index(start), 0) if type(start) is not Tracer else np.maximum(start, 0)


def _dynamic_slice(x: Any, starts: list[Any], wrap: bool, sizes: Shape) -> Any:
    shape = typeof(x).shape
    known = _known(starts, [(m, n - m) for m, n in zip(sizes, shape, strict=True)], wrap)
    if known is not None:
        limits = [a + m for a, m in zip(known, sizes, strict=True)]
        return slice_(x, _index(shape, known, limits, (1,) * len(shape)))
    first, last = _sliced(shape, sizes)
    return dynamic.dynamic_slice(x, starts[first:last], sizes[first:last], first, wrap) if last else x


def _sliced(shape: Shape, sizes: Shape) -> tuple[int, int]:
    """The range of axes of which not everything is taken."""
    axes = [k for k, (m, n) in enumerate(zip(sizes, shape, strict=True)) if m != n]
    return (axes[0], axes[-1] + 1) if axes else (0, 0)


def dynamic_slice_in_dim(
    operand: Any, start_index: Any, slice_size: int, axis: int = 0, *, allow_negative_indices: bool = True
) -> Any:
    """The slice of a known size along one axis, at a start that may be traced. See `dynamic_slice`."""
    x = array(operand)
    shape = typeof(x).shape
    k = axis_of("dynamic_slice_in_dim", axis, len(shape))
    starts = [0] * len(shape)
    starts[k] = start_index
    sizes = (*shape[:k], operator.index(slice_size), *shape[k + 1 :])
    return dynamic_slice(x, starts, sizes, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any, index: Any, axis: int = 0, keepdims: bool = True, *, allow_negative_indices: bool = True
) -> Any:
    """The elements at one position along an axis, which may be traced. See `dynamic_slice`."""
    x = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    shape = typeof(x).shape
    k = axis_of("dynamic_index_in_dim", axis, len(shape))
    return x if keepdims else reshape(x, (*shape[:k], *shape[k + 1 :]))


def dynamic_update_slice(
    operand: Any, update: Any, start_indices: Any, *, allow_negative_indices: bool | Sequence[bool] = True
) -> Any:
    """The array with an update at a start that may be traced.

    Parameters
    ----------
    operand : array
    update : array
        With as many axes, none of them longer; converted to the dtype of the operand.
    start_indices : sequence of scalar integers, or a vector of them
        One for each axis. An update that would reach out of the array is moved into it.
    allow_negative_indices : bool
        Whether a negative start counts from the end; if not, it is moved to 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.dynamic_update_slice(np.zeros(4), np.ones(2), (3,))
    array([0., 0., 1., 1.])
    """
    x, v = array(operand), array(update)
    shape, sizes = typeof(x).shape, typeof(v).shape
    require(
        len(sizes) == len(shape) and all(m <= n for m, n in zip(sizes, shape, strict=True)),
        "dynamic_update_slice",
        lambda: f"an update of shape {sizes} does not fit into shape {shape}",
        TypeError,
    )
    require(
        np.can_cast(typeof(v).dtype, typeof(x).dtype, "same_kind"),
        "dynamic_update_slice",
        lambda: f"an update of {typeof(v).dtype} does not fit into an array of {typeof(x).dtype}; convert one of them",
        TypeError,
    )
    v = convert(v, typeof(x).dtype)
    starts, wrap = _wrapped(_starts("dynamic_update_slice", start_indices, len(shape)), allow_negative_indices)
    if not shape:
        return v
    known = _known(starts, [(m, n - m) for m, n in zip(sizes, shape, strict=True)], wrap)
    if known is not None:
        return put_slice(
            x, v, _index(shape, known, [a + m for a, m in zip(known, sizes, strict=True)], (1,) * len(shape))
        )
    first, last = _sliced(shape, sizes)
    return dynamic.dynamic_put(x, v, starts[first:last], first, wrap) if last else v


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """The array with an update at a start along one axis, which may be traced. See `dynamic_update_slice`."""
    ndim = typeof(array(operand)).ndim
    starts = [0] * ndim
    starts[axis_of("dynamic_update_slice_in_dim", axis, ndim)] = start_index
    return dynamic_update_slice(operand, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """The array with an update at one position along an axis; the update may lack that axis."""
    x, v = array(operand), array(update)
    k = axis_of("dynamic_update_index_in_dim", axis, typeof(x).ndim)
    if typeof(v).ndim != typeof(x).ndim:
        require(
            typeof(v).ndim + 1 == typeof(x).ndim,
            "dynamic_update_index_in_dim",
            lambda: f"an update of shape {typeof(v).shape} is no slice of shape {typeof(x).shape}",
            TypeError,
        )
        v = expand_dims(v, (k,))
    require(
        typeof(v).shape[k] == 1,
        "dynamic_update_index_in_dim",
        lambda: f"the update has size {typeof(v).shape[k]} along axis {k}, expected 1",
        TypeError,
    )
    return dynamic_update_slice_in_dim(x, v, index, k, allow_negative_indices=allow_negative_indices)

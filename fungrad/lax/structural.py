"""Functions that make, move, repeat and join elements: iota, full, broadcast, reshape, pad, concatenate, ...

All are linear maps of their arrays, and their derivatives are the same functions of the tangents. On plain arrays a
result may be a view of the operand, as in NumPy; programs in the style of lax write into no array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad.core.aval import Shape, typeof
from fungrad.core.elementwise import broadcast_shapes as _broadcast_shapes
from fungrad.core.memory import copied
from fungrad.core.trace import Tracer
from fungrad.lax.arguments import array, axes_of, axis_of, dtype_of, integers, require
from fungrad.numpy.shaping import promote
from fungrad.primitives import bits, structural
from fungrad.primitives.assignment import put_slice
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import Index, convert, slice_, slice_axis, unslice_

# constants


def iota(dtype: Any, size: int) -> Any:
    """0, 1, ..., size - 1 in this dtype."""
    return broadcasted_iota(dtype, (size,), 0)


def broadcasted_iota(dtype: Any, shape: Any, dimension: int, *, out_sharding: Any = None) -> Any:
    """An array whose elements are their positions along one axis.

    Examples
    --------
    >>> from fungrad import lax
    >>> lax.broadcasted_iota(int, (2, 3), 1)
    array([[0, 1, 2],
           [0, 1, 2]])
    """
    shape = integers("broadcasted_iota", "shape", shape)
    k = axis_of("broadcasted_iota", dimension, len(shape))
    line = np.arange(shape[k]).astype(dtype_of(dtype)).reshape((1,) * k + (-1,) + (1,) * (len(shape) - k - 1))
    return np.ascontiguousarray(np.broadcast_to(line, shape))


def full(shape: Any, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array of a shape that holds one value, which may be traced."""
    shape = integers("full", "shape", shape)
    value = array(fill_value)
    require(
        not typeof(value).shape,
        "full",
        lambda: f"the value must be a scalar, got shape {typeof(value).shape}",
        TypeError,
    )
    value = convert(value, dtype_of(dtype, typeof(value).dtype))
    if isinstance(value, (np.ndarray, np.generic)):
        return np.full(shape, value)[()]
    return structural.broadcast_to(value, shape)


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: Any = None) -> Any:
    """An array of the shape and dtype of another one, or of those given, that holds one value."""
    aval = typeof(array(x))
    return full(aval.shape if shape is None else shape, fill_value, dtype_of(dtype, aval.dtype))


def zeros_like_array(x: Any) -> Any:
    """Zeros of the shape and dtype of an array."""
    return full_like(x, 0)


def empty(shape: Any, dtype: Any, *, out_sharding: Any = None) -> Any:
    """An array whose elements are to be replaced; they are zeros."""
    return np.zeros(integers("empty", "shape", shape), dtype_of(dtype))[()]


def dtype(x: Any) -> np.dtype[Any]:
    """The dtype of an array or a number."""
    return typeof(array(x)).dtype


def shape_as_value(shape: Any) -> Any:
    """A shape as a vector of integers."""
    return np.array(integers("shape_as_value", "shape", shape), np.int64)


# dtypes


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """Convert to a dtype: from floating-point numbers to integers by cutting off, from complex ones to real ones by
    taking the real part.

    Notes
    -----
    Between floating-point dtypes the tangent is converted too; integers and booleans have none.
    """
    return convert(array(operand), dtype_of(new_dtype))


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """Take the bits of each element for those of another dtype; no derivative.

    Several smaller elements are what a larger one consists of: along a new last axis, or one that is dropped.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.bitcast_convert_type(np.float32(1.0), np.int32)
    np.int32(1065353216)
    """
    x, new = array(operand), dtype_of(new_dtype)
    shape, old = typeof(x).shape, typeof(x).dtype
    if new.itemsize > old.itemsize:
        many = new.itemsize // old.itemsize
        require(
            bool(shape) and shape[-1] == many,
            "bitcast_convert_type",
            lambda: f"{new} of {old} takes a last axis of {many} elements, got shape {shape}",
        )
    return bits.bitcast(x, new)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round to floating-point numbers of fewer bits: of fewer digits, with a smaller range.

    Numbers beyond the range become infinite, those nearer to 0 than the least normal one become 0. Its derivative is
    taken as that of the identity, rounded likewise.
    """
    x = array(operand)
    if typeof(x).dtype.kind != "f":
        raise TypeError(f"lax.reduce_precision: expected real floating-point numbers, got {typeof(x).dtype}")
    require(exponent_bits >= 1, "reduce_precision", lambda: f"exponent_bits must be at least 1, got {exponent_bits}")
    require(mantissa_bits >= 0, "reduce_precision", lambda: f"mantissa_bits must not be negative, got {mantissa_bits}")
    return bits.reduce_precision(x, exponent_bits, mantissa_bits)


# shapes


def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that arrays of these shapes broadcast to, by NumPy's rule.

    Examples
    --------
    >>> from fungrad import lax
    >>> lax.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    found = [integers("broadcast_shapes", "shapes", s) for s in shapes]
    return _broadcast_shapes("lax.broadcast_shapes", found) if found else ()


def broadcast(operand: Any, sizes: Any, *, out_sharding: Any = None) -> Any:
    """Repeat along new axes in front, of these sizes."""
    x = array(operand)
    return structural.broadcast_to(x, (*integers("broadcast", "sizes", sizes), *typeof(x).shape))


def broadcast_in_dim(operand: Any, shape: Any, broadcast_dimensions: Any, *, out_sharding: Any = None) -> Any:
    """Repeat along axes: axis k of the operand is axis ``broadcast_dimensions[k]`` of the result.

    Parameters
    ----------
    operand : array
    shape : sequence of int
        The shape of the result.
    broadcast_dimensions : sequence of int
        Increasing; where the operand has size 1, it is repeated, as along all the other axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.broadcast_in_dim(np.array([1, 2]), (2, 3), (0,))
    array([[1, 1, 1],
           [2, 2, 2]])
    """
    x = array(operand)
    shape = integers("broadcast_in_dim", "shape", shape)
    axes = integers("broadcast_in_dim", "broadcast_dimensions", broadcast_dimensions)
    own = typeof(x).shape
    require(
        len(axes) == len(own) and all(0 <= k < len(shape) for k in axes) and list(axes) == sorted(set(axes)),
        "broadcast_in_dim",
        lambda: (
            f"broadcast_dimensions must name an axis of shape {shape} for each axis of {own}, increasing; got {axes}"
        ),
        TypeError,
    )
    for n, k in zip(own, axes, strict=True):
        require(
            n in (1, shape[k]),
            "broadcast_in_dim",
            f"an operand of shape {own} does not broadcast to {shape} along axes {axes}",
            TypeError,
        )
    aligned = [1] * len(shape)
    for n, k in zip(own, axes, strict=True):
        aligned[k] = n
    return structural.broadcast_to(structural.reshape(x, tuple(aligned)), shape)


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """Add axes of size 1 in front up to this many axes."""
    x = array(x)
    own = typeof(x).shape
    require(rank >= len(own), "broadcast_to_rank", lambda: f"an array of shape {own} has more than {rank} axes")
    return structural.reshape(x, (1,) * (rank - len(own)) + own)


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """Broadcast to the shape of another array, by NumPy's rule."""
    return structural.broadcast_to(array(arr), typeof(array(like_arr)).shape)


def reshape(operand: Any, new_sizes: Any, dimensions: Any = None, *, out_sharding: Any = None) -> Any:
    """The elements in C order with another shape; ``dimensions`` is an order in which to take the axes first.

    Raises
    ------
    TypeError
        If the number of elements would change, or a size is negative (lax infers none).
    """
    x = array(operand)
    shape = integers("reshape", "new_sizes", new_sizes)
    aval = typeof(x)
    require(
        all(n >= 0 for n in shape) and math.prod(shape) == aval.size,
        "reshape",
        lambda: f"cannot reshape shape {aval.shape} ({aval.size} elements) to {shape}; all sizes must be given",
        TypeError,
    )
    return structural.reshape(x if dimensions is None else transpose(x, dimensions), shape)


def transpose(operand: Any, permutation: Any) -> Any:
    """Put the axes into another order: axis k of the result is axis ``permutation[k]`` of the operand."""
    x = array(operand)
    order = integers("transpose", "permutation", permutation)
    require(
        sorted(order) == list(range(typeof(x).ndim)),
        "transpose",
        lambda: f"the permutation must hold each axis of shape {typeof(x).shape} once, got {order}",
        TypeError,
    )
    return structural.transpose(x, order)


def rev(operand: Any, dimensions: Any) -> Any:
    """Reverse the order of the elements along axes."""
    x = array(operand)
    return structural.flip(x, axes_of("rev", dimensions, typeof(x).ndim))


def expand_dims(array: Any, dimensions: Any) -> Any:
    """Insert axes of size 1, so that they stand at these positions of the result."""
    x = _array(array)
    rank = typeof(x).ndim + len(integers("expand_dims", "dimensions", dimensions))
    return structural.expand_dims(x, axes_of("expand_dims", dimensions, rank))


def squeeze(array: Any, dimensions: Any) -> Any:
    """Drop these axes, which have size 1."""
    x = _array(array)
    shape = typeof(x).shape
    axes = axes_of("squeeze", dimensions, len(shape))
    require(all(shape[k] == 1 for k in axes), "squeeze", lambda: f"axes {axes} of shape {shape} do not all have size 1")
    return structural.reshape(x, tuple([n for k, n in enumerate(shape) if k not in axes]))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """Merge the axes from ``start_dimension`` up to ``stop_dimension`` (excluded) into one (of size 1 for none)."""
    x = array(operand)
    shape = typeof(x).shape
    low, high, _ = slice(start_dimension, stop_dimension).indices(len(shape))
    require(low <= high, "collapse", lambda: f"axes {start_dimension} to {stop_dimension} of shape {shape} are none")
    return structural.reshape(x, (*shape[:low], math.prod(shape[low:high]), *shape[high:]))


def tile(operand: Any, reps: Any) -> Any:
    """Repeat the whole array along each axis."""
    x = array(operand)
    reps = integers("tile", "reps", reps)
    shape = typeof(x).shape
    require(len(reps) == len(shape), "tile", lambda: f"expected a number for each axis of shape {shape}, got {reps}")
    twice = tuple([m for n in shape for m in (1, n)])
    repeated = tuple([m for r, n in zip(reps, shape, strict=True) for m in (r, n)])
    x = structural.broadcast_to(structural.reshape(x, twice), repeated)
    return structural.reshape(x, tuple([r * n for r, n in zip(reps, shape, strict=True)]))


# joining and splitting


def _of_equal_dtype(function: str, operands: Sequence[Any]) -> list[Any]:
    require(len(operands) > 0, function, "expected at least one array")
    return promote([array(x) for x in operands])


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Join arrays along an axis; the other axes have equal sizes."""
    arrays = _of_equal_dtype("concatenate", operands)
    shapes = [typeof(x).shape for x in arrays]
    k = axis_of("concatenate", dimension, len(shapes[0]))
    rest = {(*s[:k], *s[k + 1 :]) for s in shapes if len(s) == len(shapes[0])}
    require(
        len(rest) == 1 and len({len(s) for s in shapes}) == 1,
        "concatenate",
        lambda: f"shapes must differ along axis {k} only, got {shapes}",
        TypeError,
    )
    return structural.concatenate(arrays, k)


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Stand arrays of one shape side by side along a new axis."""
    arrays = _of_equal_dtype("stack", operands)
    shapes = [typeof(x).shape for x in arrays]
    require(len(set(shapes)) == 1, "stack", lambda: f"arrays must have one shape, got {shapes}", TypeError)
    return structural.moveaxis(structural.stack(arrays), 0, axis_of("stack", axis, len(shapes[0]) + 1))


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, without it."""
    x = array(x)
    k = axis_of("unstack", axis, typeof(x).ndim)
    return tuple([slice_(x, (None,) * k + (i,)) for i in range(typeof(x).shape[k])])


def split(operand: Any, sizes: Any, axis: int = 0) -> list[Any]:
    """Cut along an axis into parts of these sizes."""
    x = array(operand)
    k = axis_of("split", axis, typeof(x).ndim)
    sizes = integers("split", "sizes", sizes)
    n = typeof(x).shape[k]
    require(
        sum(sizes) == n and all(m >= 0 for m in sizes),
        "split",
        lambda: f"sizes {sizes} do not add up to {n}, the size of axis {k}",
    )
    parts, start = [], 0
    for size in sizes:
        parts.append(slice_axis(x, k, start, start + size))
        start += size
    return parts


def pad(operand: Any, padding_value: Any, padding_config: Any) -> Any:
    """Put a value around and between the elements.

    Parameters
    ----------
    operand : array
    padding_value : scalar
        May be traced.
    padding_config : sequence of (low, high, interior)
        For each axis: how many to put in front, behind, and between any two elements. Where ``low`` or ``high`` is
        negative, that many (of elements and what is between them) are cut off.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.pad(np.array([1.0, 2.0, 3.0]), 0.0, [(1, -1, 1)])
    array([0., 1., 0., 2., 0.])
    """
    x, value = array(operand), array(padding_value)
    aval = typeof(x)
    config = [integers("pad", "padding_config", c) for c in padding_config]
    require(
        len(config) == aval.ndim and all(len(c) == 3 and c[2] >= 0 for c in config),
        "pad",
        lambda: (
            f"padding_config must be (low, high, interior >= 0) for each axis of shape {aval.shape}, "
            f"got {padding_config}"
        ),
    )
    require(
        not typeof(value).shape,
        "pad",
        lambda: f"the value must be a scalar, got shape {typeof(value).shape}",
        TypeError,
    )
    shape, taken, put = padded_index(aval.shape, config)
    if shape == aval.shape and all(i is None for i in put):
        return x
    x = slice_(x, taken) if any(i is not None for i in taken) else x
    if all(i is None for i in put):
        return x
    value = convert(value, aval.dtype)
    if isinstance(value, (np.ndarray, np.generic)) and value == 0:
        return unslice_(x, shape, put)
    return put_slice(structural.broadcast_to(value, shape), x, put)


def padded_index(shape: Shape, config: Sequence[Sequence[int]]) -> tuple[Shape, Index, Index]:
    """Of an array that is padded: its shape, which elements are kept, and where these stand then."""
    sizes, taken, put = [], [], []
    for n, (low, high, interior) in zip(shape, config, strict=True):
        step = interior + 1
        size = (n - 1) * step + 1 + low + high if n else low + high
        require(size >= 0, "pad", f"padding {tuple(config)} leaves nothing of shape {shape}: a negative size")
        first = min(-min(low // step, 0), n)
        stop = max(min((size - 1 - low) // step + 1, n), first)
        start = low + first * step
        sizes.append(size)
        taken.append(None if (first, stop) == (0, n) else (first, stop, 1))
        end = start + (stop - first - 1) * step + 1 if stop > first else min(start, size)
        start = min(start, end)
        put.append(None if (start, end, step) == (0, size, 1) else (start, end, step))
    return tuple(sizes), tuple(taken), tuple(put)


# identities


def stop_gradient(x: Any) -> Any:
    """Return a pytree of arrays as it is, but as a constant to every derivative."""
    return tree.map(_stopped, x)


def _stopped(x: Any) -> Any:
    stopped = stop_gradient_p.function(x)
    return copied(stopped) if type(x) is Tracer else stopped  # a program may write into it


def optimization_barrier(operand: Any, /) -> Any:
    """Return a pytree as it is; nothing is moved across it, as nothing would be."""
    return operand


_array = array

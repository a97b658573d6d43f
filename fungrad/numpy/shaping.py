"""NumPy's functions that rearrange the elements of one array: reshape, transpose, broadcast, flip, roll, repeat.

Each takes NumPy's arguments, normalises them and calls a structural primitive. All are linear maps that move elements,
so their derivatives are the same functions of the tangent and have no kinks. `as_array`, `promote` and the refusals at
the top are what the modules beside this one use too.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from fungrad._util import here
from fungrad.core.aliasing import returns_views, view
from fungrad.core.aval import Shape, typeof
from fungrad.core.buffers import TracedBuffer
from fungrad.core.primitive import as_operand, joined
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.primitives import structural
from fungrad.primitives.arithmetic import sub
from fungrad.primitives.indexing import gather, index_within

Axes = int | Sequence[int] | None


def refuse(call: str, **arguments: tuple[Any, Any]) -> None:
    """Raise for the first argument, given as name=(value, default), that is not at its default."""
    for name, (value, default) in arguments.items():
        if value is not default and (default is None or value != default):
            raise UnsupportedOperationError(
                f"numpy.{call}(..., {name}=...) at {here()}: this argument is not supported on traced arrays; "
                f"leave it at {default!r}"
            )


def plain(x: Any, call: str, argument: str) -> Any:
    """An argument that decides the shape of the result, as a plain array; an error if its value is not known."""
    if type(x) is Tracer:
        raise ConcretizationTypeError(
            f"numpy.{call} at {here()}: argument {argument!r} decides the shape of the result and so must be a "
            f"plain array, but it is a traced one of type {x.aval!r}. Compute it from known values."
        )
    return np.asarray(x)


def as_array(x: Any) -> Any:
    """An array, traced or plain, of what NumPy takes for one: a number, or nested lists that may hold traced arrays."""
    if type(x) is Tracer:
        aval = x.aval
        return structural.convert(x, aval.dtype) if aval.weak else x
    if type(x) is TracedBuffer:
        return x.traced
    if isinstance(x, (list, tuple)) and _holds_tracer(x):
        return stack_equal([as_array(v) for v in x])
    if type(x) is np.ndarray and x.dtype.kind == "O" and _holds_tracer(x.ravel()):
        return structural.reshape(stack_equal([as_array(v) for v in x.ravel()]), x.shape)
    if isinstance(x, (np.ma.MaskedArray, np.matrix)):
        return as_operand(x)  # an error: what makes them different would be lost
    return joined(np.asarray(x))


def _holds_tracer(x: Any) -> bool:
    return any(type(v) in (Tracer, TracedBuffer) or (isinstance(v, (list, tuple)) and _holds_tracer(v)) for v in x)


def stack_equal(arrays: Sequence[Any]) -> Any:
    """Stack arrays of one shape along a new first axis, promoting their dtypes."""
    shapes = {typeof(x).shape for x in arrays}
    if len(shapes) > 1:
        raise ValueError(f"all input arrays must have the same shape, got {', '.join(map(str, sorted(shapes)))}")
    return structural.stack(promote(arrays))


def promote(arrays: Sequence[Any], dtype: Any = None, casting: Any = "same_kind") -> list[Any]:
    """The arrays converted to one dtype: the given one, or NumPy's result_type of theirs."""
    dtypes = [typeof(x).dtype for x in arrays]
    if dtype is None:
        target = dtypes[0] if all(d == dtypes[0] for d in dtypes) else np.result_type(*dtypes)
    else:
        target = np.dtype(dtype)
        for d in dtypes:
            if not np.can_cast(d, target, casting):
                raise TypeError(f"Cannot cast array data from {d!r} to {target!r} according to the rule {casting!r}")
    return [structural.convert(x, target) for x in arrays]


def as_shape(shape: Any) -> Shape:
    """A tuple of integers of an integer or a sequence of them."""
    if isinstance(shape, (tuple, list)) or (isinstance(shape, np.ndarray) and shape.ndim):
        return tuple([operator.index(n) for n in shape])
    return (operator.index(shape),)


@implements(np.shape)
def shape(a: Any) -> Shape:
    """Return the shape, a tuple of integers."""
    return typeof(as_array(a)).shape


@implements(np.ndim)
def ndim(a: Any) -> int:
    """Return the number of axes."""
    return len(shape(a))


@implements(np.size)
def size(a: Any, axis: Axes = None) -> int:
    """Return the number of elements, or those along an axis."""
    sizes = shape(a)
    return math.prod(sizes if axis is None else [sizes[k] for k in normalize_axis_tuple(axis, len(sizes))])


@implements(np.reshape)
@returns_views
def reshape(a: Any, /, shape: Any, order: Any = "C", *, copy: Any = None) -> Any:
    """Give the elements another shape.

    Parameters
    ----------
    shape : int or tuple of int
        One of them may be -1: it is computed.
    order : {"C", "F"}
        Which index runs fastest, the last or the first.
    """
    x = as_array(a)
    if copy and type(x) is Tracer:
        return reshape(x.again(), shape, order).again()
    return _reshaped(x, shape, order)


def _reshaped(x: Any, shape: Any, order: Any) -> Any:
    own = typeof(x).shape
    full = _complete(as_shape(shape), own)
    if order == "F":
        return _reverse(structural.reshape(_reverse(x), full[::-1]))
    refuse("reshape", order=(order, "C"))
    return structural.reshape(x, full)


def _complete(new: Shape, own: Shape) -> Shape:
    """The shape with its -1 computed."""
    count = math.prod(own)
    if -1 in new:
        if new.count(-1) > 1:
            raise ValueError("can only specify one unknown dimension")
        others = math.prod([n for n in new if n != -1])
        if others and count % others == 0:
            return tuple([count // others if n == -1 else n for n in new])
    elif math.prod(new) == count and min(new, default=0) >= 0:
        return new
    raise ValueError(f"cannot reshape array of size {count} into shape {str(new).replace(' ', '')}")


def _reverse(x: Any) -> Any:
    return structural.transpose(x, tuple(range(typeof(x).ndim))[::-1])


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    """Return the elements in one axis, in C or F order: a view if they are so in memory, as in NumPy."""
    if type(a) is np.ndarray:
        return np.ravel(a, order)
    x = as_array(a)
    out = _reshaped(x, -1, order)
    value = known_value(x) if type(x) is Tracer else None
    if isinstance(value, np.ndarray) and not (value.flags.f_contiguous if order == "F" else value.flags.c_contiguous):
        return out.again() if out is x else out
    return view(x, out, lambda whole: ravel(whole, order))


@implements(np.transpose, *filter(None, [getattr(np, "permute_dims", None)]))
@returns_views
def transpose(a: Any, axes: Any = None) -> Any:
    """Permute the axes; reverse them by default."""
    x = as_array(a)
    rank = typeof(x).ndim
    if axes is None:
        return _reverse(x)
    order = as_shape(axes)
    if len(order) != rank:
        raise ValueError("axes don't match array")
    order = tuple([normalize_axis_index(k, rank) for k in order])
    if len(set(order)) != rank:
        raise ValueError("repeated axis in transpose")
    return structural.transpose(x, order)


permute_dims = transpose


@implements(np.matrix_transpose)
@returns_views
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    x = as_array(x)
    rank = typeof(x).ndim
    if rank < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {rank}")
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
@returns_views
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    x = as_array(a)
    rank = typeof(x).ndim
    order = list(range(rank))
    i, j = normalize_axis_index(axis1, rank, "axis1"), normalize_axis_index(axis2, rank, "axis2")
    order[i], order[j] = j, i
    return structural.transpose(x, tuple(order))


@implements(np.moveaxis)
@returns_views
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Move axes to other positions; the rest keep their order."""
    x = as_array(a)
    rank = typeof(x).ndim
    sources = normalize_axis_tuple(source, rank, "source")
    destinations = normalize_axis_tuple(destination, rank, "destination")
    if len(sources) != len(destinations):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [k for k in range(rank) if k not in sources]
    for to, k in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, k)
    return structural.transpose(x, tuple(order))


@implements(np.rollaxis)
@returns_views
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Move an axis backwards until it stands before axis ``start``."""
    x = as_array(a)
    rank = typeof(x).ndim
    axis = normalize_axis_index(axis, rank)
    start = start + rank if start < 0 else start
    if not 0 <= start <= rank:
        raise np.exceptions.AxisError(f"'start' arg requires {-rank} <= start < {rank + 1}, but {start} was passed in")
    return structural.moveaxis(x, axis, start - 1 if axis < start else start)


@implements(np.squeeze)
@returns_views
def squeeze(a: Any, axis: Axes = None) -> Any:
    """Drop axes of size 1: all of them, or those named."""
    x = as_array(a)
    own = typeof(x).shape
    if not own and axis in (0, -1):
        return x  # NumPy lets a scalar name an axis here
    axes = [k for k, n in enumerate(own) if n == 1] if axis is None else normalize_axis_tuple(axis, len(own))
    if any(own[k] != 1 for k in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return structural.reshape(x, tuple([n for k, n in enumerate(own) if k not in axes]))


@implements(np.expand_dims)
@returns_views
def expand_dims(a: Any, axis: Any) -> Any:
    """Insert axes of size 1 at these positions of the result."""
    x = as_array(a)
    axes = as_shape(axis)
    return structural.expand_dims(x, tuple(sorted(normalize_axis_tuple(axes, len(axes) + typeof(x).ndim))))


@implements(np.broadcast_to)
@returns_views(read_only=True)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Repeat along new leading axes and along axes of size 1; the derivative sums over these."""
    refuse("broadcast_to", subok=(subok, False))
    x, new = as_array(array), as_shape(shape)
    own = typeof(x).shape
    if len(own) > len(new) or any(n not in (1, m) for n, m in zip(own[::-1], new[::-1], strict=False)):
        raise ValueError(
            "operands could not be broadcast together with remapped shapes [original->remapped]: "
            f"{own} and requested shape {new}"
        )
    return structural.broadcast_to(x, new)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Broadcast arrays against each other."""
    refuse("broadcast_arrays", subok=(subok, False))
    arrays = [as_array(x) for x in args]
    common = np.broadcast_shapes(*[typeof(x).shape for x in arrays])
    return tuple([broadcast_to(x, common) for x in arrays])


def _at_least(rank: int, arys: tuple[Any, ...]) -> Any:
    results = []
    for a in arys:
        x = as_array(a)
        own = typeof(x).shape
        missing = rank - len(own)
        # NumPy puts the new axes in front, but a matrix becomes (m, n, 1) and a vector (1, n, 1).
        full = (*(1,) * (missing - 1), *own, 1) if rank == 3 and missing in (1, 2) else (1,) * missing + own
        results.append(reshape(x, full))
    return results[0] if len(results) == 1 else tuple(results)


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Give scalars one axis; a tuple for several arrays."""
    return _at_least(1, arys)


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Give arrays at least two axes, new ones in front; a tuple for several arrays."""
    return _at_least(2, arys)


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Give arrays at least three axes: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1); a tuple for several arrays."""
    return _at_least(3, arys)


@implements(np.flip)
@returns_views
def flip(m: Any, axis: Axes = None) -> Any:
    """Reverse the order of the elements along all axes or along those named."""
    x = as_array(m)
    rank = typeof(x).ndim
    return structural.flip(x, tuple(range(rank)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, rank))))


@implements(np.fliplr)
@returns_views
def fliplr(m: Any) -> Any:
    """Reverse the order along the second axis."""
    if ndim(m) < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(m, 1)


@implements(np.flipud)
@returns_views
def flipud(m: Any) -> Any:
    """Reverse the order along the first axis."""
    if ndim(m) < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(m, 0)


@implements(np.rot90)
@returns_views
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Rotate by k quarter turns in the plane of two axes, from the first towards the second."""
    x = as_array(m)
    rank = typeof(x).ndim
    plane = tuple(axes)
    if len(plane) != 2:
        raise ValueError("len(axes) must be 2.")
    i, j = (normalize_axis_index(a, rank) for a in plane)
    if i == j:
        raise ValueError("Axes must be different.")
    turns = k % 4
    if turns == 2:
        return flip(x, (i, j))
    if turns == 1:
        return swapaxes(flip(x, j), i, j)
    return flip(swapaxes(x, i, j), j) if turns == 3 else x


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Axes = None) -> Any:
    """Shift the elements along axes; those that fall off the end come in at the start.

    Parameters
    ----------
    shift : int or tuple of int
        One for each axis, or one for all. A traced integer is possible with a single axis.
    axis : int, tuple of int or None
        None rolls the flattened array and gives it its shape back.
    """
    x = as_array(a)
    own = typeof(x).shape
    if axis is None:
        return structural.reshape(roll(structural.reshape(x, (math.prod(own),)), shift, 0), own)
    axes = normalize_axis_tuple(axis, len(own), allow_duplicate=True)
    if type(shift) is Tracer and not shift.shape and len(axes) == 1:
        n = own[axes[0]]
        return gather(x, index_within(sub(np.arange(n), shift), n, "wrap"), axis=axes[0], unique=True)
    pairs = np.broadcast(plain(shift, "roll", "shift"), axes)
    if pairs.ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    shifts, along = zip(*[(operator.index(s), int(k)) for s, k in pairs], strict=True) if pairs.size else ((), ())
    return structural.roll(x, shifts, along)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Repeat the whole array along each axis."""
    x, counts = as_array(A), as_shape(reps)
    own = typeof(x).shape
    rank = max(len(own), len(counts))
    own, counts = (1,) * (rank - len(own)) + own, (1,) * (rank - len(counts)) + counts
    paired = structural.reshape(x, tuple([m for n in own for m in (1, n)]))
    repeated = structural.broadcast_to(paired, tuple([m for r, n in zip(counts, own, strict=True) for m in (r, n)]))
    return structural.reshape(repeated, tuple([r * n for r, n in zip(counts, own, strict=True)]))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element, by one count or by a count of its own, along an axis or flattened."""
    x = as_array(a)
    if axis is None or (not typeof(x).shape and axis in (0, -1)):
        x, axis = ravel(x), 0
    own = typeof(x).shape
    axis = normalize_axis_index(axis, len(own))
    counts = plain(repeats, "repeat", "repeats")
    if counts.size != 1:
        index = np.repeat(np.arange(own[axis]), counts)  # checks the counts, too
        return gather(x, index, axis=axis, unique=bool(counts.size) and counts.max() <= 1)
    count = operator.index(counts.item())
    if count < 0:
        raise ValueError("repeats may not contain negative values.")
    before, behind = own[: axis + 1], own[axis + 1 :]
    repeated = structural.broadcast_to(structural.reshape(x, (*before, 1, *behind)), (*before, count, *behind))
    return structural.reshape(repeated, (*own[:axis], own[axis] * count, *behind))


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Fill a shape with the elements in C order, over and over."""
    x, new = ravel(a), as_shape(new_shape)
    if any(n < 0 for n in new):
        raise ValueError("all elements of `new_shape` must be non-negative")
    have, want = typeof(x).size, math.prod(new)
    if not have:
        return np.zeros(new, typeof(x).dtype)
    return gather(x, (np.arange(want) % have).reshape(new), unique=want <= have)


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Return coordinate arrays of the grid that vectors span."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    vectors = [as_array(x) for x in xi]
    vectors = [ravel(x.again() if copy and type(x) is Tracer else x) for x in vectors]
    rank = len(vectors)
    place = [1, 0, *range(2, rank)] if indexing == "xy" and rank > 1 else list(range(rank))
    open_grid = [_along(x, k, rank) for x, k in zip(vectors, place, strict=True)]
    grid = open_grid if sparse or not rank else broadcast_arrays(*open_grid)
    return tuple([x.again() if copy and type(x) is Tracer else x for x in grid])


def _along(x: Any, axis: int, rank: int) -> Any:
    """A vector along one axis of an array of this rank."""
    return reshape(x, (1,) * axis + (typeof(x).size,) + (1,) * (rank - axis - 1))


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Convert to another dtype.

    The derivative is converted too (complex to real: its real part); onto integers and booleans there is none.
    """
    refuse("astype", device=(device, None))
    target = np.dtype(dtype)
    if target.kind not in "biufc":
        raise UnsupportedOperationError(
            f"astype({dtype!r}) at {here()}: a traced array converts to numeric dtypes only, not to {target!r}"
        )
    x = as_array(x)
    if typeof(x).dtype.kind == "c" and target.kind in "iuf":
        warnings.warn("complex values are cast to real ones", np.exceptions.ComplexWarning, stacklevel=3)
    out = structural.convert(x, target)
    return out.again() if copy and out is x and type(x) is Tracer else out


if hasattr(np, "astype"):
    implements(np.astype)(astype)

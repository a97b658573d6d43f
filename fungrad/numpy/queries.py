"""NumPy's functions that ask something about arrays: equality, text, types, memory, indices; and those that save them.

None of them has a derivative. A question about types and shapes is answered for every traced array, one about values
where these are known; else it is a traced boolean or integer, or an error if Python needs the answer.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

import fungrad.numpy.reductions as reductions
from fungrad._util import here, set_name
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.indexing import known_mask
from fungrad.numpy.shaping import as_array
from fungrad.primitives.arithmetic import add, floor_divide, mul, remainder
from fungrad.primitives.comparison import equal, isnan, logical_and, logical_or, not_equal, right_shift
from fungrad.primitives.indexing import index_within
from fungrad.primitives.structural import (
    concatenate,
    convert,
    moveaxis,
    reduce_sum,
    reshape,
    slice_axis,
    zeros,
)

_INTEGER, _BYTE = np.dtype(np.intp), np.dtype(np.uint8)

# Equality


def _all(condition: Any) -> Any:
    """Whether all are true: a bool where values are known, else a traced boolean."""
    return reductions.all(condition) if type(condition) is Tracer else bool(np.all(condition))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Return whether two arrays have one shape and equal elements: a bool, or traced where values are not known."""
    x, y = as_array(a1), as_array(a2)
    if typeof(x).shape != typeof(y).shape:
        return False
    same = equal(x, y)
    return _all(logical_or(same, logical_and(isnan(x), isnan(y))) if equal_nan else same)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Return whether two arrays broadcast to one shape and equal elements: as `array_equal`."""
    x, y = as_array(a1), as_array(a2)
    try:
        np.broadcast_shapes(typeof(x).shape, typeof(y).shape)
    except ValueError:
        return False
    return _all(equal(x, y))


# Text


def _shown(x: Any) -> Any:
    """The plain array under a traced one, or a piece of text where its values are not known."""
    value = known_value(as_array(x))
    return _Text(repr(value)) if isinstance(value, ShapedArray) else np.asarray(value)


class _Text(str):
    """The type of an array without known values, as text."""


@implements(np.array_repr)
def array_repr(arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """Return NumPy's text for the values, ``array([...])``, or the type where they are not known."""
    x = _shown(arr)
    return str(x) if type(x) is _Text else np.array_repr(x, max_line_width, precision, suppress_small)


@implements(np.array_str)
def array_str(a: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """Return NumPy's text for the values, ``[...]``, or the type where they are not known."""
    x = _shown(a)
    return str(x) if type(x) is _Text else np.array_str(x, max_line_width, precision, suppress_small)


@implements(np.array2string)
def array2string(a: Any, *args: Any, **kwargs: Any) -> str:
    """Return NumPy's text for the values with its arguments, or the type where they are not known."""
    x = _shown(a)
    return str(x) if type(x) is _Text else np.array2string(x, *args, **kwargs)


# Types and memory


def _stands_for(x: Any) -> Any:
    """What NumPy's questions about types may be asked with instead of a traced array: its dtype, or a Python number."""
    if type(x) is not Tracer:
        return x
    aval = x.aval
    return aval.dtype.type(1).item() if aval.weak else aval.dtype


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """Return the dtype that operands promote to."""
    return np.result_type(*[_stands_for(x) for x in arrays_and_dtypes])


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Return whether an array converts to a dtype under a casting rule."""
    return np.can_cast(typeof(from_).dtype if type(from_) is Tracer else from_, to, casting)


@implements(np.min_scalar_type)
def min_scalar_type(a: Any) -> np.dtype[Any]:
    """Return the dtype of an array; of a scalar of known value the smallest dtype that holds it."""
    value = known_value(a)
    if not isinstance(value, ShapedArray):
        return np.min_scalar_type(value)
    if not value.shape:
        raise ConcretizationTypeError(
            f"numpy.min_scalar_type at {here()}: the answer depends on the value of a scalar, and this traced one of "
            f"type {value!r} is recorded without values. Ask for x.dtype."
        )
    return value.dtype


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    """Return the inexact scalar type that arrays have in common (float64 for integers)."""
    return np.common_type(*[np.empty(0, typeof(x).dtype) if type(x) is Tracer else x for x in arrays])


@implements(np.may_share_memory, np.shares_memory)
def shares_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    """Return whether two arrays share memory: a traced one shares it with nothing but itself."""
    return a is b


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    """Return the order of contractions for `einsum`, which depends on the shapes only."""
    return np.einsum_path(*[_hollow(x) for x in operands], optimize=optimize, einsum_call=einsum_call)


def _hollow(x: Any) -> Any:
    """A plain array of this type that takes no memory."""
    return np.broadcast_to(typeof(x).dtype.type(0), typeof(x).shape) if type(x) is Tracer else x


# Indices


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    """Return index arrays of the grid that vectors of indices (or masks of known value) span."""
    vectors = []
    for k, arg in enumerate(args):
        x = as_array(arg)
        if not typeof(x).size and not isinstance(arg, np.ndarray):
            x = convert(x, _INTEGER)  # the empty list has no integer type
        if typeof(x).ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if typeof(x).dtype.kind == "b":
            (x,) = np.nonzero(known_mask(x, "numpy.ix_"))
        vectors.append(reshape(x, (1,) * k + typeof(x).shape + (1,) * (len(args) - k - 1)))
    return tuple(vectors)


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> tuple[Any, ...]:
    """Return the indices of the main diagonal of an array of equal sides."""
    return np.diag_indices_from(_hollow(arr))


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    """Return the indices of the elements on and below the k-th diagonal of a matrix."""
    return np.tril_indices_from(_hollow(arr), k)


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    """Return the indices of the elements on and above the k-th diagonal of a matrix."""
    return np.triu_indices_from(_hollow(arr), k)


def _integers(call: str, x: Any) -> Any:
    array = as_array(x)
    if typeof(array).dtype.kind not in "iu":
        raise TypeError(f"{call}: only int indices permitted, got dtype {typeof(array).dtype}")
    return array


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    """Return the positions in the flattened array of elements given by an index for each axis."""
    sizes = tuple([operator.index(n) for n in dims])
    indices = [_integers("ravel_multi_index", i) for i in multi_index]  # iterates over the first axis of an array
    if len(indices) != len(sizes):
        raise ValueError("parameter multi_index must be a sequence of length " + str(len(sizes)))
    modes = mode if isinstance(mode, tuple) else (mode,) * len(sizes)
    axes = _by_order("ravel_multi_index", order, len(sizes))
    total: Any = np.intp(0)
    for k in axes:
        rule = {"raise": "strict", "wrap": "wrap", "clip": "clip"}.get(modes[k])
        if rule is None:
            raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {modes[k]!r})")
        total = add(mul(total, sizes[k]), index_within(indices[k], sizes[k], rule))
    return total


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    """Return the index for each axis of elements given by their positions in the flattened array."""
    sizes = tuple([operator.index(n) for n in (shape if isinstance(shape, Sequence | np.ndarray) else (shape,))])
    places = index_within(_integers("unravel_index", indices), math.prod(sizes), "strict")
    result: list[Any] = [None] * len(sizes)
    for k in reversed(_by_order("unravel_index", order, len(sizes))):
        result[k] = remainder(places, max(sizes[k], 1))
        places = floor_divide(places, max(sizes[k], 1))
    return tuple(result)


def _by_order(call: str, order: str, rank: int) -> list[int]:
    if order not in ("C", "F"):
        raise ValueError(f"{call}: only 'C' or 'F' order is permitted, got {order!r}")
    return list(range(rank)) if order == "C" else list(range(rank))[::-1]


# Bits


def _weights(call: str, bitorder: str) -> np.ndarray[Any, Any]:
    if bitorder not in ("big", "little"):
        raise ValueError(f"{call}: 'bitorder' must be either 'little' or 'big', got {bitorder!r}")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1] if bitorder == "big" else places


@implements(np.packbits)
def packbits(a: Any, /, axis: int | None = None, bitorder: str = "big") -> Any:
    """Pack booleans (or integers, as not equal to zero) into bytes of eight, along an axis or flattened."""
    x = as_array(a)
    if typeof(x).dtype.kind not in "biu":
        raise TypeError("Expected an input array of integer or boolean data type")
    x, k = (reshape(x, (typeof(x).size,)), 0) if axis is None else (x, _axis(axis, x))
    places = _weights("packbits", bitorder)
    bits = moveaxis(convert(not_equal(x, 0), _BYTE), k, typeof(x).ndim - 1)
    *rest, n = typeof(bits).shape
    if n % 8:
        bits = concatenate([bits, zeros(ShapedArray((*rest, -n % 8), _BYTE))], len(rest))
    eights = reshape(bits, (*rest, -(-n // 8), 8))
    packed = convert(reduce_sum(mul(eights, np.uint8(1) << places), (len(rest) + 1,)), _BYTE)
    return moveaxis(packed, len(rest), k)


@implements(np.unpackbits)
def unpackbits(a: Any, /, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Any:
    """Unpack bytes into the eight bits of each, along an axis or flattened."""
    x = as_array(a)
    if typeof(x).dtype != _BYTE:
        raise TypeError("Expected an input array of unsigned byte data type")
    x, k = (reshape(x, (typeof(x).size,)), 0) if axis is None else (x, _axis(axis, x))
    places = _weights("unpackbits", bitorder)
    last = moveaxis(x, k, typeof(x).ndim - 1)
    *rest, n = typeof(last).shape
    bits = reshape(remainder(right_shift(reshape(last, (*rest, n, 1)), places), np.uint8(2)), (*rest, 8 * n))
    if count is not None:
        wanted = operator.index(count)
        if wanted < 0 and -wanted > 8 * n:
            raise ValueError(f"-count {-wanted} larger than number of elements {8 * n}")
        kept = wanted if wanted >= 0 else 8 * n + wanted
        bits = slice_axis(bits, len(rest), 0, min(kept, 8 * n))
        if kept > 8 * n:
            bits = concatenate([bits, zeros(ShapedArray((*rest, kept - 8 * n), _BYTE))], len(rest))
    return moveaxis(bits, len(rest), k)


def _axis(axis: int, x: Any) -> int:
    return normalize_axis_index(operator.index(axis), typeof(x).ndim)


# What leaves the program, and dates


def _refusal(numpy_function: Any, why: str) -> Callable[..., NoReturn]:
    name = numpy_function.__name__

    def refusal(*args: Any, **kwargs: Any) -> NoReturn:
        raise UnsupportedOperationError(f"numpy.{name} at {here()}: {why}")

    return set_name(refusal, name)


for _save in (np.save, np.savez, np.savez_compressed, np.savetxt):
    implements(_save)(
        _refusal(
            _save,
            "a traced array cannot be written to a file. Return it from the function and save the result; or save "
            "fungrad.stop_gradient(x), where values are known",
        )
    )

for _date in (np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string):
    implements(_date)(
        _refusal(
            _date,
            "traced arrays hold numbers, not dates; compute with plain arrays of datetime64 outside of the transform",
        )
    )

"""The methods and the keyword arguments of NumPy's ufuncs on traced arrays.

    ufunc(x, y, dtype=, casting=)   operands cast as NumPy's own choice of a loop does
    ufunc.reduce      ((x0 . x1) . x2) . ...    along axes
    ufunc.accumulate  all the partial results along an axis
    ufunc.reduceat    the reductions of slices that start at given indices
    ufunc.outer       each element of one array with each of another
    ufunc.at          into a traced array, see ``writing``

Each works for every ufunc of two operands. A reduction computes in one dtype, which NumPy itself is asked for; then
one of three ways is taken: a reduction that fungrad has (sum, maximum, ...); pairs, pairs of pairs and so on, for
operations that are associative; else the definition, element after element, whose derivative is that of the chain.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import fungrad.numpy.reductions as reductions
import fungrad.numpy.targets as targets
from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.buffers import as_target
from fungrad.core.primitive import as_operand
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.dispatch import UFUNC_METHODS, UFUNCS
from fungrad.numpy.reductions import Axis, axes_of
from fungrad.numpy.shaping import as_array
from fungrad.numpy.writing import at
from fungrad.primitives import cumulative
from fungrad.primitives.arithmetic import sub
from fungrad.primitives.comparison import isnan
from fungrad.primitives.indexing import gather
from fungrad.primitives.reductions import Axes, count_along, merged_last, without
from fungrad.primitives.selection import where as select
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    moveaxis,
    reduce_sum,
    reshape,
    slice_,
    slice_axis,
    stack,
)

Function = Callable[..., Any]

_NOT_GIVEN = np._NoValue

# Calls with keyword arguments


def call(ufunc: np.ufunc, *inputs: Any, **arguments: Any) -> Any:
    """Apply a ufunc with keyword arguments.

    Parameters
    ----------
    dtype : dtype, optional
        Of the computation: operands are cast to what NumPy's loop for this result takes.
    casting : str
        Which casts of the operands are allowed; TypeError for others.
    order, subok
        Of no effect: traced arrays have no memory layout and no subclasses.
    """
    name = name_of(ufunc)
    fun = _function(ufunc, "__call__")
    out, mask = arguments.pop("out", None), arguments.pop("where", True)
    seen = arguments.pop("seen", None)
    if out is not None:
        if seen is not None and not targets.is_part(*seen):
            out = tuple([as_target(o, *inputs) for o in out])
        if seen is not None and type(out[0]) is np.ndarray and not out[0].dtype.hasobject:
            targets.check_plain(name, mask is not True, *seen)
        results = call(ufunc, *inputs, **arguments)
        casting = arguments.get("casting", "same_kind")
        if ufunc.nout == 1:
            return targets.into(name, results, out[0], mask, casting)
        pairs = zip(results, out, strict=True)
        return tuple([r if o is None else targets.into(name, r, o, mask, casting) for r, o in pairs])
    if mask is not True:
        raise UnsupportedOperationError(
            f"{name}(..., where=) at {here()}: without `out` the elements elsewhere are undefined in NumPy; use "
            f"np.where(mask, {name}(...), other)"
        )
    own = {k: arguments[k] for k in ("axis",) if k in arguments and ufunc is np.vecdot}
    unknown = set(arguments) - {"dtype", "casting", "order", "subok"} - set(own)
    if unknown:
        raise UnsupportedOperationError(
            f"{name} at {here()}: argument {min(unknown)!r} is not supported on traced arrays; "
            + ("use dtype=" if unknown & {"signature", "sig"} else "move or keep the axes yourself, with np.moveaxis")
        )
    dtype, casting = arguments.get("dtype"), arguments.get("casting", "same_kind")
    if dtype is None and casting == "same_kind":
        return fun(*inputs, **own)
    operands = [as_operand(x) for x in inputs]
    loop = _loop(ufunc, tuple([_promoted_as(typeof(x)) for x in operands]), dtype, casting)
    if any(d.kind not in "biufc" for d in loop):
        raise UnsupportedOperationError(
            f"{name}(..., dtype={dtype!r}) at {here()}: traced arrays hold numbers and booleans only"
        )
    out = fun(*[convert(x, d) for x, d in zip(operands, loop, strict=False)], **own)
    if ufunc.nout == 1:
        return convert(out, loop[-1])
    return tuple([convert(y, d) for y, d in zip(out, loop[ufunc.nin :], strict=True)])


def name_of(ufunc: np.ufunc) -> str:
    """``numpy.sin``, ``scipy.special.erf``."""
    return f"{'numpy' if getattr(np, ufunc.__name__, None) is ufunc else 'scipy.special'}.{ufunc.__name__}"


def _function(ufunc: np.ufunc, method: str) -> Function:
    """What a ufunc does to traced arrays, or an error that names the call."""
    fun = UFUNCS.get(ufunc)
    if fun is not None:
        return _ldexp if ufunc is np.ldexp and method in ("reduce", "accumulate", "reduceat") else fun
    name = name_of(ufunc) + ("" if method == "__call__" else f".{method}")
    hint = "compose it from functions that do"
    if any("O" in types for types in ufunc.types) and len(ufunc.types) == 1:  # made by numpy.frompyfunc
        name, hint = f"{ufunc.__name__}, made by numpy.frompyfunc,", "map the function by fungrad.vmap"
    raise UnsupportedOperationError(f"{name} at {here()} does not support traced arrays; {hint}")


def _ldexp(x: Any, n: Any) -> Any:
    """In a reduction (NumPy: of integers only) the exponents come in the dtype of the result."""
    return UFUNCS[np.ldexp](x, convert(n, np.dtype(np.intp)))


def _promoted_as(aval: ShapedArray) -> Any:
    """A dtype, or the Python type for a Python number, which does not take part in promotion."""
    return {"b": bool, "i": int, "f": float, "c": complex}[aval.dtype.kind] if aval.weak else aval.dtype


@lru_cache(maxsize=256)
def _loop(ufunc: np.ufunc, types: tuple[Any, ...], dtype: Any, casting: Any) -> tuple[np.dtype[Any], ...]:
    """The dtypes of the operands and results of the loop that NumPy takes; its errors where there is none."""
    wanted = None if dtype is None else np.dtype(dtype)
    results = (None,) * ufunc.nout
    signature: Any = (*(None,) * ufunc.nin, *(wanted,) * ufunc.nout)
    loop: tuple[np.dtype[Any], ...] = ufunc.resolve_dtypes((*types, *results), signature=signature, casting=casting)
    return loop


def _with_out(method: Function) -> Function:
    """The same method with the argument ``out``."""

    @functools.wraps(method)
    def into(ufunc: np.ufunc, array: Any, *arguments: Any, out: Any = None, **more: Any) -> Any:
        result = method(ufunc, array, *arguments, **more)
        if out is None or out[0] is None:
            return result
        name = f"{name_of(ufunc)}.{method.__name__}"
        return targets.into_traced(name, result, out[0])

    return into


# The dtype of a reduction


@lru_cache(maxsize=1024)
def _dtype(ufunc: np.ufunc, method: str, dtype: np.dtype[Any], rank: int, axes: Any, target: Any) -> np.dtype[Any]:
    """The dtype that a method computes in and returns; NumPy's errors for what it does not take.

    It does not take several axes of an operation whose order matters, for example.
    """
    probe = np.ones((1,) * rank, dtype)
    arguments: dict[str, Any] = {"axis": axes, "dtype": target}
    with np.errstate(all="ignore"):
        if method == "reduceat":
            return np.dtype(ufunc.reduceat(probe, [0], **arguments).dtype)
        return np.dtype(getattr(ufunc, method)(probe, **arguments).dtype)


def _in_its_dtype(ufunc: np.ufunc, method: str, x: Any, axes: Any, dtype: Any) -> Any:
    aval = typeof(x)
    wanted = None if dtype is None else np.dtype(dtype)
    if wanted is not None and wanted.kind not in "biufc":
        raise UnsupportedOperationError(
            f"numpy.{ufunc.__name__}.{method}(..., dtype={dtype!r}) at {here()}: traced arrays hold numbers only"
        )
    return convert(x, _dtype(ufunc, method, aval.dtype, aval.ndim, axes, wanted))


# reduce


@_with_out
def reduce(
    ufunc: np.ufunc,
    array: Any,
    axis: Axis = 0,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = _NOT_GIVEN,
    where: Any = True,
) -> Any:
    """Combine the elements along axes by a ufunc, from the first to the last.

    Parameters
    ----------
    axis : int, tuple of int or None
        Several (None: all) only where the order does not matter.
    initial : scalar or array, optional
        What to begin with; None forbids the ufunc's identity as the result for no elements.
    where : boolean array, optional
        Which elements to take; it needs an identity or ``initial``.
    """
    fun = _function(ufunc, "reduce")
    x = as_array(array)
    axes = axes_of(axis, typeof(x).ndim)
    x = _in_its_dtype(ufunc, "reduce", x, axes, dtype)
    identity = _identity(ufunc, typeof(x).dtype)
    mask = None if where is True else _mask(where, typeof(x).shape)
    begin = None if initial is _NOT_GIVEN or initial is None else convert(as_array(initial), typeof(x).dtype)
    if mask is not None and begin is None and (identity is None or initial is None):
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has to "
            "specify 'initial'"
        )
    result = _reduce(ufunc, fun, x, axes, begin, mask, None if initial is None else identity)
    if ufunc in (np.hypot, np.gcd) and initial is _NOT_GIVEN and count_along(typeof(x).shape, axes) == 1:
        result = fun(identity, result)  # a single element is combined with the identity: its magnitude
    return expand_dims(result, axes) if keepdims else result


@lru_cache(maxsize=256)
def _identity(ufunc: np.ufunc, dtype: np.dtype[Any]) -> Any:
    """What combines with nothing else to nothing else, in this dtype, or None."""
    if ufunc.identity is None:
        return None
    return dtype.type(ufunc.reduce(np.ones(0, dtype), dtype=dtype))


def _mask(where: Any, shape: tuple[int, ...]) -> Any:
    mask = as_array(where)
    if typeof(mask).dtype.kind != "b":
        raise TypeError(
            f"Cannot cast array data from {typeof(mask).dtype!r} to dtype('bool') according to the rule 'safe'"
        )
    return broadcast_to(mask, shape)


def _reduce(ufunc: np.ufunc, fun: Function, x: Any, axes: Axes, begin: Any, mask: Any, identity: Any) -> Any:
    """The reduction of an array that has the dtype of the result."""
    shape = typeof(x).shape
    rest = without(shape, axes)
    if not axes and mask is None:
        return x if begin is None else fun(begin, x)
    if not all(shape[k] for k in axes):
        if begin is None and identity is None:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        return broadcast_to(identity if begin is None else begin, rest)
    if ufunc in _ANY_ORDER:
        x = x if mask is None else select(mask, x, begin if identity is None else identity)
        if ufunc in _REDUCTIONS:
            result = convert(_REDUCTIONS[ufunc](x, axes), typeof(x).dtype)
        else:
            last = len(rest)
            result = reshape(_pairwise(fun, merged_last(x, axes), last), rest)
        return result if begin is None else fun(begin, result)
    if not axes:
        return select(mask, x if begin is None else fun(begin, x), x if begin is None else begin)
    if len(axes) > 1:
        mask = None if mask is None else merged_last(mask, axes)
        x, axes = merged_last(x, axes), (len(rest),)
        shape = typeof(x).shape
    (k,) = axes
    if ufunc is np.subtract:
        x = x if mask is None else select(mask, x, typeof(x).dtype.type(0))
        first, others = (_element(x, k, 0), slice_axis(x, k, 1, shape[k])) if begin is None else (begin, x)
        return sub(first, convert(reduce_sum(others, (k,)), typeof(x).dtype))
    start, total = (1, _element(x, k, 0)) if begin is None else (0, broadcast_to(begin, rest))
    for i in range(start, shape[k]):
        later = fun(total, _element(x, k, i))
        total = later if mask is None else select(_element(mask, k, i), later, total)
    return total


def _element(x: Any, axis: int, i: int) -> Any:
    """One element along an axis, which is dropped."""
    return slice_(x, (*(None,) * axis, i))


def _pairwise(fun: Function, x: Any, axis: int) -> Any:
    """An associative reduction along an axis (kept, of size 1): neighbours, then neighbours of these, and so on."""
    while (n := typeof(x).shape[axis]) > 1:
        even = n - n % 2
        pairs = fun(slice_axis(x, axis, 0, even, 2), slice_axis(x, axis, 1, even, 2))
        x = concatenate([pairs, slice_axis(x, axis, even, n)], axis) if n % 2 else pairs
    return x


def _fmax(x: Any, axes: Axes) -> Any:
    return _skipping_nan(reductions.max, -np.inf, x, axes)


def _fmin(x: Any, axes: Axes) -> Any:
    return _skipping_nan(reductions.min, np.inf, x, axes)


def _skipping_nan(extremum: Function, worst: float, x: Any, axes: Axes) -> Any:
    """The extremum of what is not nan; elements that are equal to it share the derivative equally."""
    if typeof(x).dtype.kind not in "fc":
        return extremum(x, axes)
    unknown = isnan(x)
    found = extremum(select(unknown, worst, x), axes)
    return select(reductions.all(unknown, axes), np.nan, found)


_REDUCTIONS: dict[np.ufunc, Callable[[Any, Axes], Any]] = {
    np.add: reductions.sum,
    np.multiply: reductions.prod,
    np.maximum: reductions.max,
    np.minimum: reductions.min,
    np.fmax: _fmax,
    np.fmin: _fmin,
    np.logical_and: reductions.all,
    np.logical_or: reductions.any,
}
"""Reductions that fungrad has, of an array along axes."""

_ASSOCIATIVE = frozenset(
    {
        np.hypot,
        np.logaddexp,
        np.logaddexp2,
        np.gcd,
        np.lcm,
        np.bitwise_and,
        np.bitwise_or,
        np.bitwise_xor,
        np.logical_and,
        np.logical_or,
        np.logical_xor,
        np.fmax,
        np.fmin,
    }
)

_ANY_ORDER = frozenset(_REDUCTIONS) | _ASSOCIATIVE


# accumulate


@_with_out
def accumulate(ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Combine the elements along an axis by a ufunc, from the first to the last, keeping all results on the way."""
    fun = _function(ufunc, "accumulate")
    x = as_array(array)
    rank = typeof(x).ndim
    if not rank:
        raise TypeError("cannot accumulate on a scalar")
    axes = axes_of(axis, rank)
    if len(axes) != 1:
        raise ValueError("accumulate does not allow multiple axes")
    (k,) = axes
    x = _in_its_dtype(ufunc, "accumulate", x, k, dtype)
    n = typeof(x).shape[k]
    if n < 2:
        return x
    if ufunc in _ACCUMULATIONS:
        return convert(_ACCUMULATIONS[ufunc](x, k), typeof(x).dtype)
    if ufunc is np.subtract:
        first, others = slice_axis(x, k, 0, 1), slice_axis(x, k, 1, n)
        return concatenate([first, sub(first, convert(cumulative.cumsum(others, k), typeof(x).dtype))], k)
    if ufunc in _ASSOCIATIVE:
        return _doubling(fun, x, k)
    results = [_element(x, k, 0)]
    for i in range(1, n):
        results.append(fun(results[-1], _element(x, k, i)))
    return moveaxis(stack(results), 0, k)


def _doubling(fun: Function, x: Any, axis: int) -> Any:
    """An associative accumulation: element i covers 1, 2, 4, ... elements up to it (Hillis and Steele 1986)."""
    n, covered = typeof(x).shape[axis], 1
    while covered < n:
        later = fun(slice_axis(x, axis, 0, n - covered), slice_axis(x, axis, covered, n))
        x = concatenate([slice_axis(x, axis, 0, covered), later], axis)
        covered *= 2
    return x


_ACCUMULATIONS: dict[np.ufunc, Callable[[Any, int], Any]] = {
    np.add: cumulative.cumsum,
    np.multiply: cumulative.cumprod,
    np.maximum: cumulative.cummax,
    np.minimum: cumulative.cummin,
}


# reduceat


@_with_out
def reduceat(ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, dtype: Any = None) -> Any:
    """Reduce the slices ``x[indices[k] : indices[k + 1]]`` (the last one: to the end) along an axis.

    Where an index is not less than the next one, the result is the element there. Slices of one length are reduced
    together.

    Parameters
    ----------
    indices : integers
        Where the slices begin; their values must be known.
    """
    name = f"{ufunc.__name__}.reduceat"
    fun = _function(ufunc, "reduceat")
    x = as_array(array)
    rank = typeof(x).ndim
    if not rank:
        raise TypeError("cannot reduceat on a scalar")
    axes = axes_of(axis, rank)
    if len(axes) != 1:
        raise ValueError("reduceat does not allow multiple axes")
    (k,) = axes
    n = typeof(x).shape[k]
    starts = _starts(name, indices, n)
    x = _in_its_dtype(ufunc, "reduceat", x, k, dtype)
    lengths = np.maximum(np.append(starts[1:], n) - starts, 1)
    unique = bool((np.diff(starts) > 0).all())
    groups, places = [], []
    for length in np.unique(lengths):
        (which,) = np.nonzero(lengths == length)
        slices = gather(x, starts[which, None] + np.arange(length), axis=k, unique=unique)
        groups.append(_reduce(ufunc, fun, slices, (k + 1,), None, None, None))
        places.append(which)
    if not groups:
        return slice_axis(x, k, 0, 0)
    if len(groups) == 1:
        return groups[0]
    return gather(concatenate(groups, k), np.argsort(np.concatenate(places)), axis=k, unique=True)


def _starts(name: str, indices: Any, n: int) -> np.ndarray[Any, Any]:
    array = as_array(indices)
    value = known_value(array)
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.{name} at {here()}: the indices decide which elements are combined and so must be known, but they "
            f"are traced without values, of type {value!r}. For sums with a fixed number of segments multiply by a "
            "one-hot matrix: (np.arange(segments)[:, None] == segment_of_each) @ x."
        )
    starts = np.asarray(value).astype(np.intp)
    if starts.ndim != 1:
        raise ValueError(f"numpy.{name}: the indices must have one axis, got shape {starts.shape}")
    for i in starts:
        if not 0 <= i < n:
            raise IndexError(f"index {i} out-of-bounds in {name} [0, {n})")
    return starts


# outer


def outer(ufunc: np.ufunc, a: Any, b: Any, /, **arguments: Any) -> Any:
    """Apply a ufunc to each pair of an element of one array and an element of another one."""
    a, b = as_array(a), as_array(b)
    spread = reshape(a, (*typeof(a).shape, *(1,) * typeof(b).ndim))
    return call(ufunc, spread, b, **arguments)


UFUNC_METHODS.update(
    {"__call__": call, "reduce": reduce, "accumulate": accumulate, "reduceat": reduceat, "outer": outer, "at": at}
)

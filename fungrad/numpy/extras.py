"""Functions of `fungrad.numpy` that take arguments which jax.numpy has and NumPy has not, on top of NumPy's own.

    precision, method, unroll   how JAX computes; accepted, without an effect
    preferred_element_type      the dtype of the result of a product
    inplace                     False: return a changed copy instead of writing into the argument

All other arguments, and results without these, are NumPy's. See ``sized`` for ``size`` and ``fill_value``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad.numpy.indexing as indexing
import fungrad.numpy.shaping as shaping
from fungrad._util import here
from fungrad.core.aval import typeof
from fungrad.core.buffers import as_target, unwrapped
from fungrad.core.trace import Tracer
from fungrad.errors import UnsupportedOperationError
from fungrad.numpy.constructors import array
from fungrad.numpy.shaping import as_array

# What NumPy 2.0 lacks


def reshape(a: Any, shape: Any, order: Any = "C", *, copy: bool | None = None) -> Any:
    """Change the shape, as `numpy.reshape`."""
    if type(a) is Tracer:
        return shaping.reshape(a, shape, order=order, copy=copy)
    x = np.asarray(a)
    out = np.reshape(x, shape, order)
    if copy is False and x.size and not np.may_share_memory(out, x):  # no elements, nothing copied
        raise ValueError(f"reshape(..., copy=False) at {here()}: this shape and order need a copy; leave copy out")
    return np.array(out) if copy else out


def clip(
    a: Any, min: Any = None, max: Any = None, out: Any = None, *, a_min: Any = None, a_max: Any = None, **keywords: Any
) -> Any:
    """Limit elements to an interval, as `numpy.clip`; a bound that is None is no limit."""
    low, high = a_min if min is None else min, a_max if max is None else max
    return np.positive(a, out, **keywords) if low is None and high is None else np.clip(a, low, high, out, **keywords)


# Products


def _as_preferred(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


def matmul(a: Any, b: Any, out: Any = None, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Multiply matrices, as `numpy.matmul`."""
    product = np.matmul(a, b) if out is None else np.matmul(a, b, out=out)
    return product if preferred_element_type is None else _as_preferred(product, preferred_element_type)


def dot(a: Any, b: Any, out: Any = None, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Multiply matrices or vectors, as `numpy.dot`."""
    return _as_preferred(np.dot(a, b) if out is None else np.dot(a, b, out=out), preferred_element_type)


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products over the last axes, as `numpy.inner`."""
    return _as_preferred(np.inner(a, b), preferred_element_type)


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products of all elements, the first ones conjugated, as `numpy.vdot`."""
    return _as_preferred(np.vdot(a, b), preferred_element_type)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products along an axis, the first ones conjugated, as `numpy.vecdot`."""
    return _as_preferred(np.vecdot(x1, x2, axis=axis), preferred_element_type)  # type: ignore[call-overload]


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum products over pairs of axes, as `numpy.tensordot`."""
    return _as_preferred(np.tensordot(a, b, axes), preferred_element_type)


def einsum(
    subscripts: Any, /, *operands: Any, precision: Any = None, preferred_element_type: Any = None, **keywords: Any
) -> Any:
    """Sum products by Einstein's convention, as `numpy.einsum`."""
    return _as_preferred(np.einsum(subscripts, *operands, **keywords), preferred_element_type)


def convolve(a: Any, v: Any, mode: Any = "full", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Convolve two vectors, as `numpy.convolve`."""
    return _as_preferred(np.convolve(a, v, mode), preferred_element_type)


def correlate(a: Any, v: Any, mode: Any = "valid", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Correlate two vectors, as `numpy.correlate`."""
    return _as_preferred(np.correlate(a, v, mode), preferred_element_type)


def _reduced(fun: Any, a: Any, promote_integers: bool, dtype: Any, *given: Any) -> Any:
    axis, out, keepdims, initial, where = given
    named = {"out": out, "keepdims": keepdims or None, "initial": initial, "where": where}
    if not promote_integers and dtype is None:
        dtype = typeof(as_array(a)).dtype
    return fun(a, axis, dtype, **{name: value for name, value in named.items() if value is not None})


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """Sum elements, as `numpy.sum`; with ``promote_integers=False`` in the dtype of a small integer array."""
    return _reduced(np.sum, a, promote_integers, dtype, axis, out, keepdims, initial, where)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = None,
    promote_integers: bool = True,
) -> Any:
    """Multiply elements, as `numpy.prod`; with ``promote_integers=False`` in the dtype of a small integer array."""
    return _reduced(np.prod, a, promote_integers, dtype, axis, out, keepdims, initial, where)


# Indices


def take(
    a: Any,
    indices: Any,
    axis: int | None = None,
    out: Any = None,
    mode: str | None = None,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    fill_value: Any = None,
) -> Any:
    """Take elements along an axis, as `numpy.take`; the modes "fill" and "drop" give fill_value out of bounds."""
    if mode not in ("fill", "drop"):
        if type(unwrapped(indices)) is Tracer:  # NumPy asks the array only, which may be plain
            return indexing.take(unwrapped(a), unwrapped(indices), axis, out, "raise" if mode is None else mode)
        return np.take(a, indices, axis, out, "raise" if mode in (None, "promise_in_bounds") else mode)  # type: ignore
    x, axis = (np.ravel(a), 0) if axis is None else (a, axis % np.ndim(a))
    x, index = _with_at(x), as_array(unwrapped(indices))
    return x.at[(*[slice(None)] * axis, index)].get(mode="fill", fill_value=fill_value)


def _with_at(x: Any) -> Any:
    x = as_array(unwrapped(x))
    return x if type(x) is Tracer else array(x)


def take_along_axis(
    arr: Any,
    indices: Any,
    axis: int | None = -1,
    mode: str | None = None,
    fill_value: Any = None,
    *,
    wrap_negative_indices: bool = True,
) -> Any:
    """Take elements along an axis at positions that differ from line to line, as `numpy.take_along_axis`."""
    if mode in (None, "promise_in_bounds") and wrap_negative_indices:
        return np.take_along_axis(arr, indices, axis)
    x, key = _lines(arr, indices, axis)
    return x.at[key].get(mode=mode, fill_value=fill_value, wrap_negative_indices=wrap_negative_indices)


def _lines(arr: Any, indices: Any, axis: int | None) -> tuple[Any, Any]:
    """An array with ``at``, and the key that stands for positions along an axis of it."""
    x, index = _with_at(np.ravel(arr) if axis is None else arr), as_array(unwrapped(indices))
    rank = np.ndim(x)
    along = 0 if axis is None else axis % rank
    key = [np.arange(n).reshape((1,) * k + (n,) + (1,) * (rank - k - 1)) for k, n in enumerate(np.shape(x))]
    return x, tuple([index if k == along else i for k, i in enumerate(key)])


def put_along_axis(
    arr: Any, indices: Any, values: Any, axis: int | None = None, inplace: bool = True, *, mode: str | None = None
) -> Any:
    """Put values at positions along an axis, as `numpy.put_along_axis`; see the module for ``inplace``."""
    if inplace:
        return np.put_along_axis(as_target(arr, values), indices, values, axis)
    x, key = _lines(arr, indices, axis)
    return np.reshape(x.at[key].set(values, mode=mode), np.shape(arr))


def _changed(change: Callable[..., None], a: Any, inplace: bool, *values: Any) -> Any:
    target = as_target(a if inplace else array(a), *values)
    change(target)
    return None if inplace else target


def put(a: Any, ind: Any, v: Any, mode: str | None = None, *, inplace: bool = True) -> Any:
    """Put values at flat positions, as `numpy.put`."""
    return _changed(lambda y: np.put(y, ind, v, mode or "raise"), a, inplace, ind, v)  # type: ignore[arg-type]


def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Any:
    """Put values where a mask is true, as `numpy.place`."""
    return _changed(lambda y: np.place(y, mask, vals), arr, inplace, vals)


def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """Put values on the main diagonal, as `numpy.fill_diagonal`."""
    return _changed(lambda y: np.fill_diagonal(y, val, wrap), a, inplace, val)


def delete(arr: Any, obj: Any, axis: int | None = None, *, assume_unique_indices: bool = False) -> Any:
    """Leave elements out, as `numpy.delete`."""
    return np.delete(arr, obj, axis)


# Sorting and searching


def sort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """Sort along an axis, as `numpy.sort`, or the other way round."""
    out = np.sort(a, axis, kind, order, stable=stable)
    return np.flip(out, -1 if axis is None else axis) if descending else out


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
    dtype: Any = None,
) -> Any:
    """Return the indices that sort along an axis, as `numpy.argsort`; equal elements keep their order if stable."""
    if not descending:
        out: Any = np.argsort(a, axis, kind, order, stable=stable)
    else:
        x, along = (np.ravel(a), 0) if axis is None else (a, axis)
        last = np.shape(x)[along] - 1
        out = last - np.flip(np.argsort(np.flip(x, along), along, kind, order, stable=stable), along)
    return out if dtype is None else out.astype(dtype)


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None, *, method: Any = None) -> Any:
    """Return where elements would be inserted into a sorted array, as `numpy.searchsorted`."""
    return np.searchsorted(a, v, side, sorter)


def digitize(x: Any, bins: Any, right: bool = False, *, method: Any = None) -> Any:
    """Return the numbers of the bins that elements fall into, as `numpy.digitize`."""
    return np.digitize(x, bins, right)


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
    method: Any = None,
) -> Any:
    """Return whether each element is one of others, as `numpy.isin`."""
    return np.isin(element, test_elements, assume_unique, invert, kind=kind)


# Polynomials and the rest


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """Evaluate a polynomial, as `numpy.polyval`."""
    return np.polyval(p, x)


def _only(call: str, name: str, value: bool) -> None:
    if not value:
        raise UnsupportedOperationError(
            f"fungrad.numpy.{call}(..., {name}=False) at {here()} is not supported; leave {name} out, which gives what "
            "NumPy gives"
        )


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = True) -> Any:
    """Multiply polynomials, as `numpy.polymul`; leading zeros are kept with ``trim_leading_zeros=False``."""
    return np.polymul(a1, a2) if trim_leading_zeros else np.convolve(np.atleast_1d(a1), np.atleast_1d(a2))


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = True) -> Any:
    """Divide polynomials, as `numpy.polydiv`."""
    _only("polydiv", "trim_leading_zeros", trim_leading_zeros)
    return np.polydiv(u, v)


def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """Return the roots of a polynomial, as `numpy.roots`."""
    _only("roots", "strip_zeros", strip_zeros)
    return np.roots(p)


def dstack(tup: Any, dtype: Any = None) -> Any:
    """Stack arrays along the third axis, as `numpy.dstack`."""
    out = np.dstack(tup)
    return out if dtype is None else out.astype(dtype)


def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: Any = "C", *, dtype: Any = None) -> Any:
    """Turn indices into flat positions, as `numpy.ravel_multi_index`."""
    out = np.ravel_multi_index(multi_index, dims, mode, order)
    return out if dtype is None else out.astype(dtype)  # type: ignore[attr-defined]

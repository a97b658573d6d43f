"""Functions of `fungrad.numpy` that make arrays: NumPy's, but what they return has ``.at`` and takes traced values.

Each has the arguments of its namesake in NumPy and the same elements. Where NumPy's takes no traced arrays (`array`,
`asarray`, `full`, `arange`, the concatenators ``r_`` and ``c_``), these do. Outside of transforms, and of what is not
traced, they return an `Array`: an ndarray.

``device`` is that of the Array API standard: None or "cpu". ``dtype`` is NumPy's; 64-bit types are the default.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad.numpy.creation as creation
import fungrad.numpy.shaping as shaping
from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.buffers import traced_leaves, unwrapped
from fungrad.core.primitive import joined
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.arrays import Array, new
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives import structural

Device = str | None


def _device(call: str, device: Device) -> None:
    refuse(call, device=(None if device == "cpu" else device, None))


def _of_traced(x: Any, dtype: Any, ndmin: int = 0) -> Any:
    """One traced array of nested lists, object arrays and traced arrays."""
    x = as_array(unwrapped(x))
    if dtype is not None:
        target = np.dtype(dtype)
        if target.kind not in "fc" and typeof(x).dtype.kind in "fc":
            raise ConcretizationTypeError(
                f"fungrad.numpy.array at {here()}: a traced array of type {typeof(x)!r} converted to {target} has no "
                "derivative; write x.astype(dtype), which says so, or use a floating-point dtype."
            )
        x = structural.convert(x, target)
    shape = typeof(x).shape
    return structural.reshape(x, (1,) * (ndmin - len(shape)) + shape) if len(shape) < ndmin else x


def _plain(source: Any, made: np.ndarray[Any, Any], copied: bool) -> Any:
    """What NumPy made of something as an Array: one that owns its memory if it is new for certain."""
    if copied or isinstance(source, (list, tuple, int, float, complex, np.generic)):
        return new(made.view(np.ndarray))
    return made if type(made) is Array else made.view(Array)


def array(
    object: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: Any = "K",
    ndmin: int = 0,
    *,
    subok: bool = False,
    device: Device = None,
) -> Any:
    """Make an array of numbers, arrays, and nested sequences of them; traced ones too.

    Parameters
    ----------
    object : array_like
        Traced scalars and arrays may stand anywhere in it.
    dtype : dtype, optional
        By default the one that NumPy finds.
    copy : bool or None
        True to copy, None to copy if needed, False for an error where a copy is needed.
    order : {"K", "C", "F", "A"}
        The order in memory.
    ndmin : int
        The least number of axes; new ones are put in front.

    Returns
    -------
    Array, or a traced array
        A traced array if anything in it is traced.

    Examples
    --------
    >>> import fungrad as fg
    >>> import fungrad.numpy as np
    >>> fg.jacfwd(lambda t: np.array([[np.cos(t), 0.0], [1.0, t]]))(0.0)
    array([[-0.,  0.],
           [ 0.,  1.]])
    """
    if device is not None:
        _device("array", device)
    if not traced_leaves(object):
        made = np.array(object, dtype, copy=copy, order=order, ndmin=ndmin, subok=subok)
        return _plain(object, made, bool(copy))
    x = _of_traced(object, dtype, ndmin)
    return creation.copy(x, order) if copy else x


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: bool | None = None, device: Device = None) -> Any:
    """Make an array of something, without a copy if it is one: as `array` with ``copy=None``."""
    if device is not None:
        _device("asarray", device)
    if not traced_leaves(a):
        if type(a) is Array and dtype is None and order is None and not copy:
            return a
        return _plain(a, np.asarray(a, dtype, order=order, copy=copy), bool(copy))
    x = _of_traced(a, dtype)
    return creation.copy(x, order or "K") if copy else x


def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    """Copy an array: assignment to the one does not change the other."""
    return array(a, None, True, order)


def zeros(shape: Any, dtype: Any = float, order: Any = "C", *, device: Device = None) -> Any:
    """Make an array of zeros, which traced values can be assigned to."""
    if device is not None:
        _device("zeros", device)
    return new(np.zeros(shape, dtype, order))


def ones(shape: Any, dtype: Any = None, order: Any = "C", *, device: Device = None) -> Any:
    """Make an array of ones, which traced values can be assigned to."""
    if device is not None:
        _device("ones", device)
    return new(np.ones(shape, dtype, order))


def empty(shape: Any, dtype: Any = float, order: Any = "C", *, device: Device = None) -> Any:
    """Make an array of zeros, where NumPy leaves the elements undefined: derivatives of what is undefined are traps."""
    return zeros(shape, dtype, order, device=device)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Device = None) -> Any:
    """Make an array filled with a value, which may be traced and is broadcast."""
    if device is not None:
        _device("full", device)
    if not traced_leaves(fill_value):
        return new(np.full(shape, fill_value, dtype, order))
    return structural.broadcast_to(_of_traced(fill_value, dtype), shaping.as_shape(shape))


def zeros_like(a: Any, dtype: Any = None, order: Any = "K", shape: Any = None, *, device: Device = None) -> Any:
    """Make an array of zeros with the shape and dtype of another."""
    return new(creation.zeros_like(_model(a), dtype, order, True, shape, device=_on_cpu(device)))


def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", shape: Any = None, *, device: Device = None) -> Any:
    """Make an array of zeros with the shape and dtype of another; see `empty`."""
    return zeros_like(prototype, dtype, order, shape, device=device)


def ones_like(a: Any, dtype: Any = None, order: Any = "K", shape: Any = None, *, device: Device = None) -> Any:
    """Make an array of ones with the shape and dtype of another."""
    return new(creation.ones_like(_model(a), dtype, order, True, shape, device=_on_cpu(device)))


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", shape: Any = None, *, device: Device = None
) -> Any:
    """Make an array filled with a value, which may be traced, with the shape and dtype of another."""
    fill = unwrapped(fill_value)
    return new(creation.full_like(_model(a), fill, dtype, order, True, shape, device=_on_cpu(device)))


def _model(a: Any) -> Any:
    return as_array(unwrapped(a))


def _on_cpu(device: Device) -> Device:
    return None if device == "cpu" else device


def _known(call: str, x: Any) -> Any:
    value = known_value(as_array(x))
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"fungrad.numpy.{call} at {here()}: the length of the result depends on a traced array of type {value!r} "
            "whose value is not known. Write start + step * arange(n) with a known n."
        )
    return value[()] if isinstance(value, np.ndarray) else value


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Device = None) -> Any:
    """Make an array of evenly spaced numbers: ``start + step * k`` below ``stop``.

    With traced arguments it is linear in ``start`` and ``step``; their values, which decide the length, must be known.
    """
    if device is not None:
        _device("arange", device)
    if not traced_leaves((start, stop, step)):
        arguments = (start,) if stop is None else (start, stop)
        return new(
            np.arange(*arguments, dtype=dtype) if step is None else np.arange(*arguments, step=step, dtype=dtype)  # type: ignore[call-overload]
        )
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    first, last, each = [_known("arange", x) for x in (start, stop, step)]
    kind = np.result_type(*[typeof(as_array(x)).dtype for x in (start, stop, step)]) if dtype is None else dtype
    count = max(0, math.ceil((last - first) / each))
    return structural.convert(as_array(unwrapped(start) + np.arange(count) * unwrapped(step)), np.dtype(kind))


def eye(
    N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: Any = "C", *, device: Device = None
) -> Any:
    """Make a matrix with ones on a diagonal and zeros elsewhere."""
    if device is not None:
        _device("eye", device)
    return new(np.eye(N, M, k, dtype, order))


def identity(n: int, dtype: Any = None) -> Any:
    """Make the identity matrix with n rows."""
    return new(np.identity(n, dtype))


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Any:
    """Make a matrix with ones on and below a diagonal and zeros above it."""
    return new(np.tri(N, M, k, dtype))


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """Make, for each axis of a grid, the array of the indices along it."""
    grids = np.indices(dimensions, dtype, sparse)  # type: ignore[call-overload]
    return tuple([new(g) for g in grids]) if sparse else new(grids)


def fromfunction(function: Callable[..., Any], shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """Call a function, which may return traced arrays, with the indices of each element of an array."""
    out = function(*np.indices(shape, dtype), **kwargs)  # type: ignore[call-overload]
    return array(out) if type(out) is np.ndarray else out


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Device = None,
) -> Any:
    """Make an array of evenly spaced numbers from start to stop, which may be traced."""
    if device is not None:
        _device("linspace", device)
    out: Any = np.linspace(start, stop, num, endpoint, retstep, dtype, axis)  # type: ignore[call-overload]
    return (new(out[0]), out[1]) if retstep else new(out)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """Make an array of powers of a base with evenly spaced exponents."""
    return new(np.logspace(start, stop, num, endpoint, base, dtype, axis))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Make an array of numbers with equal quotients, from start to stop."""
    return new(np.geomspace(start, stop, num, endpoint, dtype, axis))


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> Any:
    """Interpret a buffer as an array with one axis, without a copy."""
    return np.frombuffer(buffer, dtype, count, offset).view(Array)


def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0) -> Any:
    """Read an array from a text or binary file."""
    return new(np.fromfile(file, dtype, count, sep, offset))


def fromiter(iter: Any, dtype: Any, count: int = -1) -> Any:
    """Make an array with one axis of what an iterable yields, which may be traced."""
    elements = list(iter) if count < 0 else [x for x, _ in zip(iter, range(count), strict=False)]
    return array(elements, dtype) if traced_leaves(elements) else new(np.fromiter(elements, dtype, count))


def fromstring(string: str, dtype: Any = float, count: int = -1, *, sep: str) -> Any:
    """Make an array with one axis of the numbers in a text."""
    return new(np.fromstring(string, dtype, count, sep=sep))


class vectorize(np.vectorize):
    """`numpy.vectorize`, whose results are single traced arrays where the function is called with traced numbers.

    Examples
    --------
    >>> import fungrad as fg
    >>> import fungrad.numpy as np
    >>> step = np.vectorize(lambda t: t * t if t > 1.0 else 0.0)
    >>> fg.jvp(step, (np.array([0.5, 2.0]),), (np.ones(2),))[1]
    array([0., 4.])
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on each element."""
        if not traced_leaves((args, tuple(kwargs.values()))):
            return super().__call__(*args, **kwargs)
        if kwargs or self.excluded or self.signature is not None:
            result = super().__call__(*unwrapped(args), **unwrapped(kwargs))
            return tuple([joined(x) for x in result]) if isinstance(result, tuple) else joined(np.asarray(result))
        operands = np.broadcast_arrays(*[np.asarray(unwrapped(x)) for x in args])
        shape = operands[0].shape
        results = [self.pyfunc(*elements) for elements in zip(*[x.flat for x in operands], strict=True)]
        if not results:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        if not isinstance(results[0], tuple):
            return shaping.reshape(array(results, self.otypes), shape)
        dtypes = self.otypes or [None] * len(results[0])
        columns = zip(zip(*results, strict=True), dtypes, strict=True)
        return tuple([shaping.reshape(array(list(column), dtype), shape) for column, dtype in columns])


class _Concatenator:
    """``r_`` and ``c_``: NumPy's, with one traced array of traced parts."""

    def __init__(self, numpys: Any) -> None:
        self._numpys = numpys

    def __getitem__(self, key: Any) -> Any:
        return new(joined(self._numpys[unwrapped(key)]))

    def __len__(self) -> int:
        return 0


r_, c_ = _Concatenator(np.r_), _Concatenator(np.c_)

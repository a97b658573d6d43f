"""What the constructors of `fungrad.numpy` return: NumPy's arrays, with ``.at``, that traced values can be assigned to.

    y = fungrad.numpy.zeros(3)       an Array: an ndarray
    y[0] = x[0]                      x is traced: y is a TracedBuffer from now on, under all of its names

An Array calculates as any ndarray, and what is calculated from it is plain. When it takes a traced value its class
changes, and everything that is asked of it goes to a tracer. Memory that C code may look into no longer has a numeric
dtype then, so that it raises an error instead of reading old elements.

Other arrays may show the same memory: views. They would keep the old elements, so that such an assignment is refused.
To tell views from other names, the memory of a new Array belongs to a second one, which nobody else knows: each view
refers to it (see ``PyArray_SetBaseObject``), and the references are counted. A view by `numpy.asarray` is none that is
counted; it reads nan afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad.numpy.assignment as assignment
import fungrad.numpy.indexing as indexing
from fungrad._util import here
from fungrad.core.aval import is_inexact, short_dtype
from fungrad.core.buffers import TracedBuffer, as_target, traced_leaves, unwrapped
from fungrad.core.trace import Tracer, newest
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.array_api import array_namespace
from fungrad.numpy.at import IndexUpdates
from fungrad.numpy.creation import buffer_like

_getitem, _setitem = np.ndarray.__getitem__, np.ndarray.__setitem__


class Array(np.ndarray[Any, Any]):
    """An ndarray with `at`, which traced values can be assigned to.

    Examples
    --------
    >>> import fungrad as fg
    >>> import fungrad.numpy as np
    >>> def powers(x):
    ...     y = np.ones(4)
    ...     for k in range(1, 4):
    ...         y[k] = y[k - 1] * x
    ...     return y
    >>> fg.jacfwd(powers)(2.0)
    array([ 0.,  1.,  4., 12.])
    """

    __slots__ = ("traced",)
    __array_namespace__ = array_namespace

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Leave results plain: each operation on a subclass costs a third of a microsecond more."""
        return array[()] if return_scalar else array

    def __getitem__(self, key: Any) -> Any:
        try:
            return _getitem(self, key)
        except (TypeError, IndexError):
            if not traced_leaves(key):
                raise
        return indexing.getitem(np.asarray(self), unwrapped(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if type(value) is not Tracer:
            try:
                return _setitem(self, key, value)
            except (TypeError, ValueError, IndexError):
                if not traced_leaves((key, value)):
                    raise
        count = sys.getrefcount(self)
        self.become_traced((key, value), count)
        self[key] = value

    def copy(self, order: Any = "C") -> Any:
        """Return a copy, an Array too."""
        return new(np.array(self, order=order))

    @property
    def at(self) -> IndexUpdates:
        """Updates that return a new array: ``x.at[key].set(value)``, ``add``, ``multiply``, ..."""
        return IndexUpdates(self)

    def become_traced(self, values: Any, count: int = sys.maxsize) -> None:
        """Turn into a `TracedBuffer` with these elements, to take values some of which are traced.

        ``count`` is the number of references to it, for arrays whose views are not counted.
        """
        _check_memory(self, count)
        dtype = self.dtype
        leaves = traced_leaves(values)
        recording = newest(leaves)
        found = [x for x in leaves if x.recording is recording]
        if not is_inexact(dtype):
            found = [x for x in found if not is_inexact(x.dtype)] or found
        traced = buffer_like(found[0], np.array(self, subok=False)) if dtype.kind in "biufc" else None
        if type(traced) is not Tracer:
            raise ConcretizationTypeError(
                f"x[...] = value at {here()}: a traced array of type {found[0].aval!r} cannot be kept in an array of "
                f"{dtype}; its derivative would be lost. Make the array with a floating-point dtype."
            )
        if dtype.kind != "b":  # whoever looks into the memory nevertheless sees no old element
            self.fill(
                np.nan if is_inexact(dtype) else np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
            )
        np.ndarray.dtype.__set__(self, _unreadable(dtype))  # type: ignore[attr-defined]
        self.flags.writeable = False
        self.__class__ = TracedBuffer  # type: ignore[assignment]
        self.traced = traced


def new(array: Any) -> Any:
    """The Array of a plain ndarray that nobody else refers to; anything else as it is."""
    return array.view(Array).view() if type(array) is np.ndarray else array


def _unreadable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A dtype of the same size that no loop of NumPy takes; its name is seen in NumPy's message."""
    text = f"a traced {short_dtype(dtype)} array: use fungrad.numpy.asarray instead of numpy.asarray, numpy.array"
    return np.dtype([(text, f"V{dtype.itemsize}")])


def _referred() -> tuple[int, int]:
    """The references to an array with one name that is assigned to, and to the memory's owner without views."""

    class Probe(Array):
        """Counts."""

        def __setitem__(self, key: Any, value: Any) -> None:
            value.append(sys.getrefcount(self))

    class Holder:
        """Refers to the array."""

        array: Any = np.zeros(1).view(Probe)

    found: list[int] = []
    Holder.array[0] = found
    return found[0], max(_references(new(np.zeros(2)[:])))


def _references(x: Array) -> list[int]:
    """How often each array is referred to whose memory this one shows."""
    counts = []
    base: Any = x.base
    while isinstance(base, np.ndarray):
        counts.append(sys.getrefcount(base))
        base = base.base
    return counts if base is None else [sys.maxsize]


def _check_memory(x: Array, count: int) -> None:
    """Raise if writing into x would have to change another array."""
    if not x.flags.writeable:
        raise ValueError("assignment destination is read-only")
    if x.base is None:
        shared = count > _ONE_NAME
        what = "more than one name, and perhaps a view"
    elif type(x.base) is Array:
        shared = max(_references(x)) > _NO_VIEWS
        what = "a view, or is one (as y[0] and y.T are of y)"
    else:
        shared = True
        what = "its memory from another array"
    if shared:
        raise UnsupportedOperationError(
            f"x[...] = value at {here()}: this array has {what}, which would not see the traced value. Assign to the "
            "array itself while it has no views (y[0, 1] = value instead of y[0][1] = value), copy it with "
            "fungrad.numpy.array(x), or make it with np.zeros_like(t) of a traced t."
        )


_ONE_NAME, _NO_VIEWS = _referred()


# A buffer asks its tracer


def _method(name: str) -> Callable[..., Any]:
    def method(self: TracedBuffer, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.traced, name)(*unwrapped(args), **unwrapped(kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"As `numpy.ndarray.{name}`, of the traced array."
    return method


def _attribute(name: str) -> property:
    def getter(self: TracedBuffer) -> Any:
        """Ask the tracer."""
        return getattr(self.traced, name)

    return property(getter, doc=f"As `numpy.ndarray.{name}`, of the traced array.")


def _in_place(name: str) -> Callable[[TracedBuffer, Any], Any]:
    def operator(self: TracedBuffer, other: Any) -> Any:
        result = getattr(self.traced, name)(unwrapped(other))
        if result is NotImplemented:
            return result
        if result is not self.traced:  # of arrays without axes: a tracer is a number, a buffer an array
            assignment.setitem(self.traced, (), result)
        return self

    return operator


def _array_ufunc(self: TracedBuffer, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    out = kwargs.get("out")
    result = getattr(ufunc, method)(*unwrapped(inputs), **unwrapped(kwargs))
    return out[0] if out is not None and len(out) == 1 else result


def _array_function(self: TracedBuffer, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return func(*unwrapped(args), **unwrapped(kwargs))


# fmt: off
_OWN = frozenset({
    "__array_finalize__", "__array_priority__", "__array_wrap__", "__buffer__", "__class__", "__class_getitem__",
    "__delattr__", "__dict__", "__dir__", "__doc__", "__getattribute__", "__getstate__", "__init__",
    "__init_subclass__", "__module__", "__new__", "__release_buffer__", "__setattr__", "__sizeof__", "__slots__",
    "__subclasshook__", "__weakref__", "traced",
})
# fmt: on
_PROTOCOLS = {"__array_ufunc__": _array_ufunc, "__array_function__": _array_function}


def _attach() -> None:
    for name in sorted({*dir(Tracer), *dir(np.ndarray)} - _OWN):
        found = getattr(Tracer, name, None)
        if name in _PROTOCOLS:
            member: Any = _PROTOCOLS[name]
        elif name.startswith("__i") and f"__{name[3:]}" in dir(np.ndarray):
            member = _in_place(name)
        else:
            member = _method(name) if callable(found) else _attribute(name)
        setattr(TracedBuffer, name, member)


_attach()

__all__ = ["Array", "TracedBuffer", "as_target", "new"]

"""Arrays that a program makes to be filled: of a traced array's shape and dtype, and traced from the start.

They take traced values by assignment (see ``assignment``), and are constants until then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import is_inexact, typeof
from fungrad.core.primitive import record_abstract
from fungrad.core.trace import Tracer, known_value
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, as_shape, refuse
from fungrad.primitives import structural
from fungrad.primitives.structural import reshape_p


def buffer_like(x: Any, array: np.ndarray[Any, Any]) -> Any:
    """A constant in the recording of x, so that traced values can be assigned to it.

    Integers and booleans beside a floating-point x stay plain: they are counters, indices and masks, whose values a
    program needs.
    """
    if type(x) is not Tracer or (not is_inexact(array.dtype) and is_inexact(x.dtype)):
        return array
    if x.recording.abstract:
        return record_abstract(reshape_p, x.recording, (array,), {"shape": array.shape})
    if not is_inexact(array.dtype):
        return array
    value = buffer_like(x.value, array) if type(x.value) is Tracer else array
    return x.recording.new_input(value)


def _like(call: str, a: Any, dtype: Any, order: Any, shape: Any, device: Any) -> np.ndarray[Any, Any]:
    """A new array with undefined elements, in the memory order that NumPy gives it."""
    refuse(call, device=(None if device == "cpu" else device, None))
    x = as_array(a)
    aval, value = typeof(x), known_value(x)
    model = value if isinstance(value, np.ndarray) else np.broadcast_to(np.zeros((), aval.dtype), aval.shape)
    return np.empty_like(model, dtype, order, False, None if shape is None else as_shape(shape))


@implements(np.zeros_like, np.empty_like)
def zeros_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Make an array of zeros of the same shape and dtype, which traced values can be assigned to."""
    new = _like("zeros_like", a, dtype, order, shape, device)
    new.fill(0)
    return buffer_like(a, new)


empty_like = zeros_like


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """Make an array of ones of the same shape and dtype, which traced values can be assigned to."""
    new = _like("ones_like", a, dtype, order, shape, device)
    new.fill(1)
    return buffer_like(a, new)


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """Return an array of the same shape and dtype filled with a value; a traced one carries its derivative."""
    new = _like("full_like", a, dtype, order, shape, device)
    fill = as_array(fill_value)
    if type(fill) is Tracer:
        return structural.broadcast_to(structural.convert(fill, new.dtype), new.shape)
    np.copyto(new, fill, "unsafe")
    return buffer_like(a, new)


@implements(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    """Copy an array: assignment to the one does not change the other."""
    refuse("copy", subok=(subok, False))
    x = as_array(a)
    return _copied(x, order) if type(x) is Tracer else np.array(x, order=order)


def _copied(x: Any, order: Any) -> Any:
    """The same array under a new name, its known value laid out in this order: it decides what is a view of it."""
    if type(x) is Tracer:
        return Tracer(x.recording, x.id, _copied(x.value, order))
    return np.asarray(x, order=order) if isinstance(x, np.ndarray) else x

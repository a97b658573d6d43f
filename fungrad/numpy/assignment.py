"""Assignment to traced arrays: ``y[key] = value``, ``y += value``, and NumPy's functions that write into an array.

    y[key] = value      y := y with value at key, cast to y's dtype and broadcast, as NumPy does
    y op= value         y := y op value, cast back

Buffers that a program fills are traced from the start: `buffer_like` makes what ``np.zeros_like(x)`` returns for a
traced x. See ``core.aliasing`` for views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aliasing import assign
from fungrad.core.aval import FLOAT, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.indexing import plan_of
from fungrad.numpy.masked import MaskedElements, for_each, is_unknown_mask, where_masked
from fungrad.numpy.shaping import as_array
from fungrad.primitives import structural
from fungrad.primitives.arithmetic import floor_divide, remainder
from fungrad.primitives.assignment import Replacement, put, put_p, put_slice, put_slice_p
from fungrad.primitives.structural import broadcast_to, convert


def replaced(whole: Tracer, new: Any, positions: Any, unique: bool = True) -> Any:
    """``whole`` with ``new`` at flat positions, which have the shape of new; ``unique``: none is named twice."""
    if not whole.shape:
        return structural.reshape(new, ())
    size = math.prod(typeof(positions).shape)
    rest, indices = structural.reshape(positions, (size,)), []
    for n in whole.shape[:0:-1]:
        indices.append(remainder(rest, n))
        rest = floor_divide(rest, n)
    return put(whole, structural.reshape(new, (size,)), rest, *indices[::-1], unique=unique)


def fitting(x: Tracer, value: Any, shape: Any) -> Any:
    """A value as what can be assigned to elements of x: of its dtype, broadcast to the shape."""
    value = as_array(value)
    own, dtype = typeof(value).shape, x.dtype
    kind = typeof(value).dtype.kind
    if type(value) is Tracer and kind in "fc" and dtype.kind not in "fc":
        raise ConcretizationTypeError(
            f"x[...] = value at {here()}: a traced array of type {value.aval!r} would be cut to {dtype} and lose its "
            f"derivative. Make the array with a floating-point dtype, as in np.zeros_like(x)."
        )
    if kind == "c" and dtype.kind != "c":
        raise TypeError(
            f"x[...] = value at {here()}: complex numbers of type {typeof(value)!r} into an array of {dtype}; take "
            "np.real(value), or make the array complex"
        )
    extra = len(own) - len(shape)
    if extra > 0 and all(n == 1 for n in own[:extra]):  # NumPy drops leading axes of size 1
        value, own = structural.reshape(value, own[extra:]), own[extra:]
    if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own[::-1], shape[::-1], strict=False)):
        text = str(own).replace(" ", "")
        raise ValueError(f"could not broadcast input array from shape {text} into shape {str(shape).replace(' ', '')}")
    return broadcast_to(convert(value, dtype), tuple(shape))


def _set_where(x: Tracer, mask: Tracer, value: Any) -> bool:
    """``x[mask] = value`` with a mask of unknown value; False if it is one value for each selected element."""
    rest = x.shape[mask.ndim :]
    if type(value) is MaskedElements and value.mask is mask:
        new = fitting(x, value.elements, x.shape)
    else:
        value = for_each(value, rest)
        if value is None:
            return False
        new = fitting(x, value, rest)
    write(x, where_masked(mask, new, x, x.ndim))
    return True


def setitem(x: Tracer, key: Any, value: Any) -> None:
    """``x[key] = value`` for any key that NumPy accepts."""
    if (type(key) is int or type(key) is tuple) and _set_element(x, key, value):
        return
    if is_unknown_mask(key, x.shape) and _set_where(x, key, value):
        return
    plan = plan_of(key, x.shape)
    if not plan.arrays:
        shown = structural.slice_(np.empty(x.shape, "?"), plan.basic) if plan.basic else np.empty(x.shape, "?")
        shape = structural.expand_dims(shown, plan.new_axes).shape if plan.new_axes else shown.shape
        new = fitting(x, value, shape)
        if plan.new_axes:
            new = structural.reshape(new, shown.shape)
        if plan.flips:
            new = structural.flip(new, plan.flips)
        if not plan.basic:
            write(x, new)
        elif not _overwritten(x, put_slice_p, new, index=plan.basic):
            write(x, put_slice(x, new, plan.basic))
        return
    part = structural.slice_(x, plan.basic) if plan.basic else x
    inner = structural.flip(part, plan.flips) if plan.flips else part
    inner = structural.expand_dims(inner, plan.new_axes) if plan.new_axes else inner
    axes = [out for out, _, _ in plan.arrays]
    indices = [index for _, _, index in plan.arrays]
    first = axes[0]
    order = None
    if plan.front or axes[-1] - first >= len(axes):
        order = (*axes, *[k for k in range(typeof(inner).ndim) if k not in axes])
        inner = structural.transpose(inner, order)
        first = 0
    sizes = np.broadcast_shapes(*[typeof(i).shape for i in indices])
    whole = typeof(inner).shape
    new = fitting(x, value, (*whole[:first], *sizes, *whole[first + len(axes) :]))
    if inner is x and _overwritten(x, put_p, new, *indices, start=first, unique=plan.unique):
        return
    inner = put(inner, new, *indices, axis=first, unique=plan.unique)
    if order is not None:
        inner = structural.transpose(inner, tuple(np.argsort(order).tolist()))
    if plan.new_axes:
        inner = structural.reshape(inner, typeof(part).shape)
    if plan.flips:
        inner = structural.flip(inner, plan.flips)
    write(x, put_slice(x, inner, plan.basic) if plan.basic else inner)


def _set_element(x: Tracer, key: Any, value: Any) -> bool:
    """``x[i, ..., j] = number``, the commonest case by far and the one that loops run; False if it is another."""
    shape = x.shape
    index = (key,) if type(key) is int else key
    if len(index) != len(shape):
        return False
    for i, n in zip(index, shape, strict=True):
        if type(i) is not int or not 0 <= i < n:
            return False
    own: Any = x
    while type(own) is Tracer:
        own = own.value
    if type(own) is not np.ndarray or own.dtype is not FLOAT:
        return False
    del own  # a reference to the array would say that it is shared
    if type(value) is Tracer:
        if type(known_value(value)) is not np.float64:
            return False
    elif type(value) is float:
        value = np.float64(value)
    elif type(value) is not np.float64:
        return False
    return _overwritten(x, put_slice_p, value, index=index)


def _overwritten(x: Tracer, prim: Replacement, new: Any, *indices: Any, **params: Any) -> bool:
    """Replace elements in the memory of x if it is no view and nothing else refers to that memory."""
    if getattr(x, "link", None) is not None or not prim.overwrite(x, new, *indices, **params):
        return False
    if getattr(x, "viewers", None):
        assign(x, x, replaced)
    return True


def write(x: Tracer, new: Any) -> None:
    """Assign an array of x's type to x; its base and its views follow."""
    if type(new) is not Tracer or _differs(known_value(x), known_value(new)):
        new = put_slice(x, new, (None,) if x.shape else ())
    assign(x, new, replaced)


def _is_array(x: Tracer) -> bool:
    """Whether x without axes is an array, which other names see change, and no number, as far as that is known."""
    return isinstance(known_value(x), np.ndarray) or getattr(x, "link", None) is not None


def _differs(own: Any, new: Any) -> bool:
    """Whether two known values lie differently in memory: then what are views of the one may be copies of the other."""
    return isinstance(own, np.ndarray) and isinstance(new, np.ndarray) and own.strides != new.strides


def augmented(symbol: str, fun: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``x op= y``: of numbers a new number, as in Python; of arrays assignment to all of x."""

    def operator(x: Tracer, y: Any) -> Any:
        new = fun(x, y)
        if new is NotImplemented or (not x.shape and not _is_array(x)):
            return new
        aval, own = typeof(new), x.aval
        if aval.shape != own.shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {str(own.shape).replace(' ', '')} doesn't match the "
                f"broadcast shape {str(aval.shape).replace(' ', '')}"
            )
        if not np.can_cast(aval.dtype, own.dtype, "same_kind"):
            raise UnsupportedOperationError(
                f"x {symbol}= y at {here()}: cannot cast the result of type {aval.dtype} back to {own.dtype}, the "
                f"dtype of x. Write x = x {symbol} y."
            )
        write(x, convert(new, own.dtype))
        return x

    return operator

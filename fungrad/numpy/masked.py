"""Assignment where a mask of unknown value is true, under vmap and make_jaxpr: ``y[mask] = v``, ``y[mask] *= v``.

How many elements the mask selects is not known, but if all of them are treated alike, it is no matter:

    y[mask] = v         y := where(mask, v, y)
    y[mask] op= v       y := where(mask, where(mask, y, 1) op where(mask, v, 1), y)

The ones keep finite what is computed at the other elements and thrown away, for its derivative is zero times that.
Python executes the second as ``t = y[mask]; t op= v; y[mask] = t``, so that t has to be something: a `MaskedElements`,
which can do nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fungrad._executing import reads_augmented
from fungrad._util import here, set_name, user_frame
from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import NonConcreteBooleanIndexError
from fungrad.numpy.shaping import as_array
from fungrad.primitives import structural
from fungrad.primitives.selection import where


class MaskedElements:
    """What ``y[mask]`` is within ``y[mask] op= v``.

    Attributes
    ----------
    mask : Tracer
        Of unknown value.
    elements : array
        Of the shape of y: what is to be assigned where the mask is true; the rest is of no importance.
    """

    __slots__ = ("elements", "mask")

    __array_ufunc__ = None

    def __init__(self, y: Any, mask: Tracer) -> None:
        self.mask = mask
        self.elements = where_masked(mask, y, typeof(y).dtype.type(1), typeof(y).ndim)


def _operator(name: str) -> Callable[[MaskedElements, Any], Any]:
    def operator(self: MaskedElements, value: Any) -> Any:
        if type(value) not in (int, float, complex, bool):
            value = for_each(value, typeof(self.elements).shape[self.mask.ndim :])
            if value is None or name == "__imatmul__":
                raise unknown(self.mask, f"x[mask] {_SYMBOLS[name]} value")
            if type(value) is Tracer:
                value = where_masked(self.mask, value, value.dtype.type(1), typeof(self.elements).ndim)
        elements = getattr(self.elements, name)(value)
        if elements is NotImplemented:
            raise TypeError(
                f"unsupported operand type for {_SYMBOLS[name]} at {here()}: a traced array and {type(value).__name__}"
            )
        self.elements = elements
        return self

    return set_name(operator, name)


_SYMBOLS = {
    "__iadd__": "+=", "__isub__": "-=", "__imul__": "*=", "__itruediv__": "/=", "__ifloordiv__": "//=",
    "__imod__": "%=", "__ipow__": "**=", "__iand__": "&=", "__ior__": "|=", "__ixor__": "^=", "__ilshift__": "<<=",
    "__irshift__": ">>=", "__imatmul__": "@=",
}  # fmt: skip

for _name in _SYMBOLS:
    setattr(MaskedElements, _name, _operator(_name))


def is_unknown_mask(key: Any, shape: Shape) -> bool:
    """Whether a key is a mask of unknown value for the first axes of an array of this shape."""
    if type(key) is not Tracer or key.dtype.kind != "b" or not isinstance(known_value(key), ShapedArray):
        return False
    return key.shape == shape[: key.ndim]


def in_augmented_assignment() -> bool:
    """Whether the user's code executes the ``y[key]`` of ``y[key] op= v`` just now."""
    frame = user_frame(2)
    return frame is not None and reads_augmented(frame)


def for_each(value: Any, rest: Shape) -> Any:
    """A value without the axis of the selected elements, if it is one for all of them; None if it is not.

    ``rest`` is the shape of one selected element.
    """
    value = as_array(value)
    shape = typeof(value).shape
    if len(shape) == len(rest) + 1 and shape[0] == 1:
        return structural.reshape(value, shape[1:])
    return value if len(shape) <= len(rest) else None


def where_masked(mask: Tracer, new: Any, old: Any, rank: int) -> Any:
    """``np.where`` with a mask of the first of so many axes; new and old may lack the first of them."""
    spread = structural.expand_dims(mask, tuple(range(mask.ndim, rank))) if rank > mask.ndim else mask
    return where(spread, new, old)


def unknown(mask: Tracer, call: str) -> NonConcreteBooleanIndexError:
    """The error for what needs to know how many elements a mask selects."""
    return NonConcreteBooleanIndexError(
        f"{call} at {here()}: the mask of type {mask.aval!r} is traced and its value is not known, because "
        f"{mask.recording_that_hides().describe()} records without values, so the result's shape is unknown too. "
        "Keep the shape and use np.where(mask, x, 0) (np.sum(np.where(mask, x, 0)) for a sum over the selected); "
        "x[mask] = v and x[mask] += v work if v is one value for all that are selected; "
        "or keep what the mask depends on out of the transform."
    )

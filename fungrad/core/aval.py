"""Abstract values: what is known of an array before its elements are.

    aval ::= ShapedArray(shape, dtype, weak)

``weak`` marks a Python number: by NEP 50 it does not take part in NumPy's promotion
(``np.float32(1) * 2.0`` is a float32).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int, ...]


def short_dtype(dtype: np.dtype[Any]) -> str:
    """The name of a dtype in a printed jaxpr: ``f64``, ``i32``, ``bool``."""
    if dtype == FLOAT0:
        return "float0"
    return f"{dtype.kind}{dtype.itemsize * 8}" if dtype.kind in "iufc" else str(dtype)


class ShapedArray:
    """The type of an array in the IR: its shape, its dtype, and whether it is a Python number (weak)."""

    __slots__ = ("dtype", "shape", "weak")

    shape: Shape
    dtype: np.dtype[Any]
    weak: bool

    def __init__(self, shape: Shape, dtype: Any, weak: bool = False) -> None:
        self.shape = shape
        self.dtype = dtype if type(dtype) is np.dtype or isinstance(dtype, np.dtype) else np.dtype(dtype)
        self.weak = weak

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is ShapedArray
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak == other.weak
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak))

    def __reduce__(self) -> Any:
        return ShapedArray, (self.shape, self.dtype, self.weak)

    def __repr__(self) -> str:
        return f"{short_dtype(self.dtype)}[{','.join(map(str, self.shape))}]"

    def strong(self) -> ShapedArray:
        """The same type for an array instead of a Python number."""
        return ShapedArray(self.shape, self.dtype) if self.weak else self


BOOL, INT, FLOAT, COMPLEX = (np.dtype(t) for t in (np.bool_, np.int64, np.float64, np.complex128))

FLOAT0 = np.dtype([("float0", np.void, 0)])
"""The dtype of the tangents of integers and booleans: it has no bits, as there is only one such tangent."""

# The types of numbers, made once: most values in scalar programs are one of these.
_NUMBERS: dict[type, ShapedArray] = {
    **{np.dtype(c).type: ShapedArray((), c) for c in "?bhilqBHILQefdgFDG"},
    bool: ShapedArray((), BOOL, weak=True),
    int: ShapedArray((), INT, weak=True),
    float: ShapedArray((), FLOAT, weak=True),
    complex: ShapedArray((), COMPLEX, weak=True),
}


def typeof(x: Any) -> ShapedArray:
    """The abstract value of anything that can be an operand: array, NumPy scalar, Python number, tracer."""
    aval = _NUMBERS.get(type(x))
    if aval is not None:
        return aval
    if isinstance(x, (np.ndarray, np.generic)):
        return ShapedArray(x.shape, x.dtype)
    if isinstance(x, ShapedArray):
        return x
    aval = getattr(x, "aval", None)
    if isinstance(aval, ShapedArray):
        return aval
    raise TypeError(f"expected an array or a number, got {type(x).__name__}: {x!r:.100}")


def is_inexact(dtype: np.dtype[Any]) -> bool:
    """Whether values of this dtype can carry a derivative: real or complex floating point."""
    return dtype.kind in "fc"

"""What rules with ``symbolic_zeros=True`` are given: zeros that are known to be zero, and values with a mark."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray


class SymbolicZero:
    """A tangent or cotangent that is known to be zero.

    Parameters
    ----------
    aval : ShapedArray
        The type of the array that it belongs to.

    Examples
    --------
    >>> import fungrad as fg
    >>> zero = fg.SymbolicZero(fg.ShapedArray((3,), float))
    >>> zero, zero.shape, zero.dtype
    (SymbolicZero(f64[3]), (3,), dtype('float64'))
    """

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    @property
    def shape(self) -> Shape:
        """The shape, a tuple of integers."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.aval.ndim

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval!r})"


class CustomVJPPrimal:
    """A leaf of an argument of a ``fwd`` rule with ``symbolic_zeros=True``, and whether it is differentiated.

    Parameters
    ----------
    value : array
        The leaf.
    perturbed : bool
        False where its cotangent is not needed.
    """

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value = value
        self.perturbed = perturbed

    def __repr__(self) -> str:
        return f"CustomVJPPrimal({self.value!r}, perturbed={self.perturbed})"

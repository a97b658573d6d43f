"""How a primitive becomes Python source that calls NumPy: what the compiler asks of a primitive.

A `Lowering` stands in the primitive's block beside its other rules. Its ``text`` writes the source of one application:

    text(e, out, *names, **params)    out is None: an expression for the result in memory of its own (or a view)
                                      out is a name: statements that write the result there

``e`` (an `Emission`) is the application that is being written: its types, and names for the objects that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fungrad.core.aval import Shape, ShapedArray

NEW, VIEW, UNKNOWN = "new", "view", "unknown"
"""Where a result lives: in memory of its own, in that of its first operand, or nobody knows."""

ROWS = "rows"

Ways = Sequence[tuple[tuple[bool, ...], Any]]
NO_WAYS: Ways = ()
ONE_BY_ONE: Ways = (((True,), ROWS),)
"""What ``rows`` returns for one operand whose rows are those of the result."""


class Emission(Protocol):
    """What a ``text`` rule may ask."""

    avals: Sequence[ShapedArray]
    out_avals: Sequence[ShapedArray]
    block: str | None
    """In a loop over blocks of rows the name of their number; arrays are slices then."""
    rows_last: bool
    """Whether the first axis of arrays is the last one in memory."""

    def const(self, value: Any, name: str = "k") -> str:
        """A name for an object in the generated source."""

    def number(self, operand: int) -> Any:
        """The number that an operand is in the program, or None."""

    def turned(self, operand: int, name: str) -> str:
        """The text of an operand, a matrix, transposed: a view, or a copy that several equations share."""

    def shape(self, shape: Shape) -> str:
        """The source of a shape whose first axis, inside of a loop over blocks of rows, is the rows of the block."""


class Lowering:
    """How a primitive compiles.

    Parameters
    ----------
    text : callable
        As the module says.
    memory : str
        NEW, VIEW or UNKNOWN.
    into : bool
        Whether ``text`` takes an ``out``.
    pointwise : bool
        Whether each element of the result depends on the same element of the (broadcast) operands alone, and is written
        after these are read: then ``out`` may be an operand.
    updates : bool
        Whether the result is the first operand with some elements changed. Then ``out`` may be that operand's name.
    rows : callable, optional
        ``rows(avals, **params)`` -> the ways in which blocks of rows (of the first axis) can be computed one by one.
        Each is a pair (carry, kind): operands with ``carry[i]`` are given a block of their rows at a time, the others
        whole, and the result is the same rows of the whole result (kind ROWS), or a part of it that a ufunc, the kind,
        combines with those of the other blocks.
    scalar : str, optional
        A Python expression for float64 scalars, such as ``"sin({0})"``; it may raise where NumPy gives inf or nan.
    cost : float
        About how many nanoseconds an element takes.
    temporary : callable, optional
        ``temporary(*avals, **params)``: bytes that the text needs besides operands and result, while it runs.
    """

    __slots__ = ("cost", "into", "memory", "pointwise", "rows", "scalar", "temporary", "text", "updates")

    def __init__(
        self,
        text: Callable[..., str],
        memory: str = UNKNOWN,
        *,
        into: bool = False,
        pointwise: bool = False,
        updates: bool = False,
        rows: Callable[..., Ways] | None = None,
        scalar: str | None = None,
        cost: float = 0.3,
        temporary: Callable[..., int] | None = None,
    ) -> None:
        self.text = text
        self.memory = memory
        self.into = into
        self.pointwise = pointwise
        self.updates = updates
        self.rows = rows
        self.scalar = scalar
        self.cost = cost
        self.temporary = temporary


def call_of(impl: Callable[..., Any]) -> Callable[..., str]:
    """The text rule that calls an implementation as it is."""

    def text(e: Emission, out: str | None, *names: str, **params: Any) -> str:
        keywords = [f"{k}={e.const(v)}" for k, v in params.items()]
        return f"{e.const(impl, getattr(impl, '__name__', 'f'))}({', '.join([*names, *keywords])})"

    return text


SHORT_AXIS = 24
"""Elements of a last axis up to which it pays to move it to the front before reducing over it."""


def reduction_lowering(ufunc: np.ufunc) -> Lowering:
    """How the reduction of a ufunc over the parameter ``axes`` compiles."""

    def is_short(shape: Shape, axes: tuple[int, ...]) -> bool:
        return axes == (len(shape) - 1,) and len(shape) > 1 and shape[-1] <= SHORT_AXIS < shape[-2]

    def temporary(x: ShapedArray, *, axes: tuple[int, ...]) -> int:
        return x.size * x.dtype.itemsize if is_short(x.shape, axes) else 0

    def text(e: Emission, out: str | None, x: str, *, axes: tuple[int, ...]) -> str:
        reduce = e.const(ufunc.reduce, f"{ufunc.__name__}_reduce")
        shape = e.avals[0].shape
        if is_short(shape, axes) and not e.rows_last:
            # NumPy would reduce row by row, in loops that are over as soon as they begin.
            order = (axes[0], *range(axes[0]))
            x, axes = f"{e.const(np.ascontiguousarray, 'ascontiguousarray')}({x}.transpose({order}))", (0,)
        return f"{reduce}({x}, {axes})" if out is None else f"{reduce}({x}, {axes}, None, {out})"

    def rows(x: ShapedArray, *, axes: tuple[int, ...]) -> Ways:
        return (((True,), ufunc if 0 in axes else ROWS),) if axes else ONE_BY_ONE

    return Lowering(text, NEW, into=True, rows=rows, cost=0.3, temporary=temporary)

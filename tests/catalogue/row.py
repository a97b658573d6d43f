"""What a row of the catalogue says about a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """A function of arrays, and what must hold of it.

    Attributes
    ----------
    name : str
        Unique: the id of its tests.
    fun : callable
        Ordinary NumPy code of the operands, positional; runs on plain arrays (the oracle) and on traced ones.
        It may return a tuple or list of arrays.
    shapes : tuple of Shape
        The shape of each operand.
    domain : Interval or tuple of Interval
        Where to draw the operands from (one interval for all, or one each), away from kinks. Complex operands
        draw their real part there and their imaginary part from (-0.7, 0.7).
    dtypes : str
        The dtypes (NumPy's characters) that all inexact operands are tried with; the first one is the main one.
    integers : tuple of int
        Positions of operands that are integers (drawn from their domain, end exclusive): no derivative.
    booleans : tuple of int
        Positions of operands that are booleans: no derivative.
    more_shapes : tuple of tuple of Shape
        Other operand shapes to try: broadcasting, zero-size, 0-d.
    differentiable : bool
        False when the result has no derivative (comparisons, argmax, ...) or a zero one (floor).
    order : int
        The highest derivative that is checked (1 or 2).
    batched : bool
        False if it cannot run under vmap (its result's shape depends on values).
    primitives : tuple of str
        The primitives that this row covers (each primitive needs a row).
    distinct : bool
        True if operands must have well separated elements (sort, max), so that finite differences cross no tie.
    tolerance : float
        Relative tolerance of the comparison with finite differences.
    """

    name: str
    fun: Callable[..., Any]
    shapes: tuple[Shape, ...]
    domain: Any = (-2.0, 2.0)
    dtypes: str = "dfDF"
    integers: tuple[int, ...] = ()
    booleans: tuple[int, ...] = ()
    more_shapes: tuple[tuple[Shape, ...], ...] = ()
    differentiable: bool = True
    order: int = 2
    batched: bool = True
    primitives: tuple[str, ...] = ()
    distinct: bool = False
    tolerance: float = 1e-6

    def interval(self, position: int) -> Interval:
        """The interval to draw operand ``position`` from."""
        domain = self.domain
        return domain[position] if isinstance(domain[0], tuple) else domain

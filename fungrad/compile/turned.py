"""Matrices by which something is multiplied transposed: which of them are better copied, once for all products.

BLAS takes up to twice as long to multiply by a small matrix that lies in memory column by column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fungrad.core.ir import Atom, Equation
from fungrad.primitives.contraction import turned_operand

SMALLEST, LARGEST = 1 << 9, 1 << 14
"""Elements of a matrix between which that matters."""

ROWS = 32
"""Rows that are multiplied from which on a copy pays even for one product."""


class Turned:
    """The transposed matrices of a program.

    Attributes
    ----------
    names : dict
        The names of the copies that there are.
    """

    def __init__(self, eqns: Sequence[Equation]) -> None:
        self.names: dict[Atom, str] = {}
        self._products: Counter[Atom] = Counter()
        for eqn in eqns:
            operand = turned_operand(eqn.params["spec"]) if eqn.primitive.name == "contract" else None
            if operand is not None:
                self._products[eqn.inputs[operand]] += 1

    def is_worth_a_copy(self, eqn: Equation, operand: int, stays: bool) -> bool:
        """Whether to copy an operand of a product; ``stays``: for all iterations of a loop."""
        matrix = eqn.inputs[operand]
        if not SMALLEST <= matrix.aval.size <= LARGEST:
            return False
        rows = eqn.outputs[0].aval.size // max(matrix.aval.shape)
        return stays or rows >= ROWS or self._products[matrix] > 1

"""Large contractions: divided along the first axis of the result among threads.

Each part is a product of slices, written where it belongs in the result. The parts depend on the sizes alone. This is
for programs that run other things on threads; where products are alone, BLAS's own threads do them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fungrad.compile.blas import can_limit, one_thread
from fungrad.compile.executor import run_parts
from fungrad.compile.schedule import multiplications
from fungrad.core.ir import Equation
from fungrad.primitives.contraction import parse_spec

LARGE = 1 << 18
"""Multiplications from which on OpenBLAS would use threads of its own."""

PART = 1 << 21
"""Multiplications of a part, at least."""

PARTS = 8
SLIM = 32


class Division(NamedTuple):
    """How a contraction is divided: the axis of each operand that is cut (or None), and where."""

    x_axis: int | None
    y_axis: int | None
    bounds: tuple[int, ...]


def division(eqn: Equation) -> Division | None:
    """How a contraction is divided; None to leave it as it is."""
    work = multiplications(eqn)
    if work < LARGE or not can_limit():
        return None
    a, b, result = parse_spec(eqn.params["spec"])
    if not result:
        return None
    label, n = result[0], eqn.outputs[0].aval.shape[0]
    # A power of two, so that they share out evenly; slim parts would each prepare the other operand anew.
    count = 1 << (max(1, min(work // PART, PARTS, n // SLIM)).bit_length() - 1)
    bounds = tuple([n * k // count for k in range(count + 1)])
    return Division(a.index(label) if label in a else None, b.index(label) if label in b else None, bounds)


def run_product(product: Callable[..., Any], division: Division, threads: int, x: Any, y: Any, out: Any) -> None:
    """Multiply part by part into ``out``."""
    x_axis, y_axis, bounds = division
    x_before = None if x_axis is None else (slice(None),) * x_axis
    y_before = None if y_axis is None else (slice(None),) * y_axis

    def part(k: int) -> None:
        rows = slice(bounds[k], bounds[k + 1])
        product(
            x if x_before is None else x[(*x_before, rows)],
            y if y_before is None else y[(*y_before, rows)],
            out[rows],
        )

    with one_thread:
        run_parts(part, len(bounds) - 1, threads)

"""Names and views: assignment to what a function returns changes its operands exactly if NumPy's does.

    check_aliases : function, plain operands -> None, or an AssertionError

A fault is a traced result that *is* an operand where NumPy returns a new array, and an operand that changes, or does
not, against NumPy. To raise an error where NumPy writes through a view is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fungrad as fg
from fungrad import errors, tree

WRITTEN, RAISED = "written", "raised"
Step = tuple[list[bool], str, list[Any]]


def _plain(x: Any) -> Any:
    return np.array(fg.stop_gradient(x))


def _steps(fun: Callable[..., Any], operands: Sequence[Any]) -> list[Step | None]:
    """For each array of the result: which operands it is, and the operands after assignment to all of it."""
    steps: list[Step | None] = []
    for leaf in tree.leaves(fun(*operands)):
        if not isinstance(leaf, (np.ndarray, fg.Tracer)) or not leaf.shape or leaf.dtype.kind not in "fc":
            steps.append(None)
            continue
        same = [leaf is x for x in operands]
        try:
            leaf[...] = 7.0 + np.arange(leaf.size).reshape(leaf.shape)
            outcome = WRITTEN
        except (ValueError, errors.FungradError):
            outcome = RAISED
        steps.append((same, outcome, [_plain(x) for x in operands]))
    return steps


def check_aliases(fun: Callable[..., Any], operands: Sequence[Any]) -> None:
    """Compare the traced function with NumPy on copies of the operands, which are floating-point arrays."""
    expected = _steps(fun, [x.copy() for x in operands])
    found: list[Step | None] = []

    def run(*xs: Any) -> float:
        found[:] = _steps(fun, [x.copy() for x in xs])
        return 0.0

    fg.jvp(run, tuple(operands), tuple([np.ones_like(x) for x in operands]))
    for k, (own, numpys) in enumerate(zip(found, expected, strict=True)):
        if own is None or numpys is None:
            continue  # an array of objects, or a number
        for j, (is_operand, in_numpy) in enumerate(zip(own[0], numpys[0], strict=True)):
            assert not is_operand or in_numpy, f"result {k} is operand {j} itself, in NumPy a new array"
        if own[1] == RAISED and numpys[1] == WRITTEN:
            return
        for j, (x, y) in enumerate(zip(own[2], numpys[2], strict=True)):
            assert np.array_equal(x, y), f"after assignment to result {k} operand {j} is {x}, in NumPy {y}"

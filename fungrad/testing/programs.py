"""Random programs: functions of NumPy code to test transforms with, that can be printed and run as they are.

    Program    ::= def program(x0, ..., xn): step* return name
    step       ::= name = expression
    expression ::= unary(name) | name op name | name @ name | reduction(name) | new shape | index | selection

A program is drawn step by step together with its values at one point, and a step is only taken if it is well behaved
there: shapes fit, values stay small (what would grow is put through tanh), operands of `max` and `where` are further
from their kinks than a finite difference reaches. So all drawn programs are smooth in a neighbourhood of that point,
and derivatives of any order can be compared there. What a step computed and no later step used is added to the result,
so that there is no dead code and every input matters.

All choices go through one function ``choose(options)``. With ``random.Random(0).choice`` it is a plain random program;
with ``lambda options: draw(strategies.sampled_from(options))`` hypothesis draws it, and shrinks it when a test fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Choose = Callable[[Sequence[Any]], Any]
Shape = tuple[int, ...]

SHAPES: tuple[Shape, ...] = ((3,), (), (2,), (2, 3), (3, 2))
"""What the shapes of inputs are chosen from, the simplest first."""

_LARGEST_VALUE = 3.0
_LARGEST_SIZE = 12
_LARGEST_RANK = 3
_GAP = 0.02  # how far from a kink: some dozen times the step of a finite difference in double precision

_UNARY = (
    "np.sin({x})",
    "np.cos({x})",
    "np.tanh({x})",
    "np.exp(-{x} * {x})",
    "-{x}",
    "0.5 * {x} + 1.0",
    "{x} ** 2",
    "{x} ** 3",
    "1.0 / (2.0 + np.sin({x}))",
    "np.log(2.0 + np.cos({x}))",
    "np.sqrt(1.0 + {x} ** 2)",
    "np.arctan({x})",
    "np.logaddexp({x}, 0.0)",
    "(1.5 + np.sin({x})) ** 1.7",
    "np.expm1(np.tanh({x}))",
    "np.square({x}).real",
)

_BINARY = (
    "{x} + {y}",
    "{x} * {y}",
    "{x} - {y}",
    "{x} / (2.0 + np.cos({y}))",
    "np.arctan2({x}, 2.0 + np.sin({y}))",
    "np.hypot({x}, 1.0 + {y} ** 2)",
    "np.logaddexp({x}, {y})",
    "(2.0 + np.sin({x})) ** {y}",
    "np.multiply(np.sin({x}), {y})",
)

_REDUCTIONS = (
    "np.sum({x}, axis={axis})",
    "{x}.mean(axis={axis}, keepdims=True)",
    "np.cumsum({x}, axis={axis})",
    "np.prod(1.0 + 0.3 * np.sin({x}), axis={axis})",
    "np.var({x}, axis={axis})",
    "np.log(np.sum(np.exp({x}), axis={axis}))",
    "np.einsum('...i,...i->...', {x}, np.cos({x}))",
)

_SHAPING = (
    "np.reshape({x}, -1)",
    "{x}.T",
    "{x}[None]",
    "np.swapaxes({x}, 0, {axis})",
    "np.roll({x}, 1, axis={axis})",
    "np.flip({x}, axis={axis})",
    "np.stack([{x}, {x}], axis={axis})",
    "np.broadcast_to({x}, (2, *{x}.shape))",
    "np.expand_dims({x}, {axis})",
)

_INDEXING = (
    "{x}[0]",
    "{x}[-1:]",
    "{x}[::-1]",
    "{x}[..., :2]",
    "{x}[np.array([0, 1, 0]) % {n}]",
    "np.take({x}, [0, 0], axis={axis})",
    "{x}[..., None] * np.array([1.0, -0.5])",
)


@dataclass(frozen=True)
class Program:
    """A function of NumPy code.

    Attributes
    ----------
    source : str
        Its text, a definition of the function ``program``.
    args : tuple of ndarray
        A point in whose neighbourhood it is smooth.
    """

    source: str
    args: tuple[Any, ...]
    function: Callable[..., Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        namespace: dict[str, Any] = {"np": np}
        exec(compile(self.source, "<random program>", "exec"), namespace)
        object.__setattr__(self, "function", namespace["program"])

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        return self.function(*args)

    def __repr__(self) -> str:
        return f"{self.source}\nargs = {self.args!r}\n"


def random_program(
    choose: Choose, inputs: int = 1, steps: Sequence[int] = (3, 1, 2, 4, 5, 6, 7, 8), shapes: Sequence[Shape] = SHAPES
) -> Program:
    """Draw a program.

    Parameters
    ----------
    choose : callable
        ``choose(options)`` returns one of a sequence.
    inputs : int
        How many arguments it takes.
    steps : sequence of int
        What the number of steps is chosen from.
    shapes : sequence of tuple of int
        What the shapes of the arguments are chosen from.

    Returns
    -------
    Program
        The result is one array.

    Examples
    --------
    >>> import random
    >>> program = random_program(random.Random(1).choice)
    >>> bool(np.all(np.isfinite(program(*program.args))))
    True
    """
    draft = _Draft(choose, [choose(shapes) for _ in range(inputs)])
    for _ in range(choose(steps)):
        draft.add_step()
    return draft.program()


class _Draft:
    """A program being written: its lines, and the values of its variables at the point."""

    def __init__(self, choose: Choose, shapes: Sequence[Shape]) -> None:
        rng = np.random.default_rng(len(shapes))
        self.choose = choose
        self.inputs = [f"x{k}" for k in range(len(shapes))]
        self.values: dict[str, Any] = {
            n: rng.uniform(-1.5, 1.5, s)[()] for n, s in zip(self.inputs, shapes, strict=True)
        }
        self.args = tuple(self.values.values())
        self.lines: list[str] = []

    def program(self) -> Program:
        """What has been written so far; the result is the last variable plus the means of the unused ones."""
        *before, last = self.values
        unused = [n for n in before if not any(re.search(rf"\b{n}\b", line.partition("=")[2]) for line in self.lines)]
        result = " + ".join([last, *[n if np.ndim(self.values[n]) == 0 else f"np.mean({n})" for n in unused]])
        body = [*self.lines, f"return {result}"]
        return Program(
            f"def program({', '.join(self.inputs)}):\n" + "\n".join("    " + line for line in body), self.args
        )

    def add_step(self) -> None:
        """Append a step of a random kind, or the sine of a variable where that kind does not fit."""
        kinds = (
            self._unary,
            self._binary,
            self._matmul,
            self._reduction,
            self._shaping,
            self._indexing,
            self._concatenate,
            self._where,
            self._max,
        )
        self._append(self.choose(kinds)()) or self._append(f"np.sin({self._name()})")

    def _append(self, expression: str | None) -> bool:
        """Take a step if its value is fit: not too large, of no more than a few elements."""
        if expression is None:
            return False
        value = self._evaluate(expression)
        if np.max(np.abs(value)) > _LARGEST_VALUE:
            expression = f"np.tanh({expression})"
            value = np.tanh(value)
        if np.ndim(value) > _LARGEST_RANK or np.size(value) > _LARGEST_SIZE:
            return False
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        self.values[name] = value
        return True

    def _evaluate(self, expression: str) -> Any:
        return eval(expression, {"np": np}, self.values)  # expressions of the tables above only

    def _name(self, fits: Callable[[Any], bool] | None = None) -> str | None:
        """A variable whose value fits, the latest first: most steps shall use what was just computed."""
        names = [n for n in reversed(self.values) if fits is None or fits(self.values[n])]
        return self.choose(names[:4]) if names else None

    def _unary(self) -> str | None:
        return str(self.choose(_UNARY)).format(x=self._name())

    def _binary(self) -> str | None:
        x = self._name()
        shape = np.shape(self.values[str(x)])
        y = self._name(lambda v: _broadcasts(np.shape(v), shape))
        return str(self.choose(_BINARY)).format(x=x, y=y)

    def _matmul(self) -> str | None:
        x = self._name(lambda v: np.ndim(v) in (1, 2))
        if x is None:
            return None
        inner = np.shape(self.values[x])[-1]
        y = self._name(lambda v: np.ndim(v) in (1, 2) and np.shape(v)[0] == inner)
        if y is None:
            return f"np.outer({x}, {x})" if np.ndim(self.values[x]) == 1 else f"{x} @ {x}.T"
        return str(self.choose(("{x} @ {y}", "np.tensordot({x}, {y}, 1)", "np.dot({x}, {y})"))).format(x=x, y=y)

    def _with_axis(self, table: Sequence[str]) -> str | None:
        x = self._name(lambda v: np.ndim(v) > 0)
        if x is None:
            return None
        shape = np.shape(self.values[x])
        return str(self.choose(table)).format(x=x, axis=self.choose(range(len(shape))), n=shape[0])

    def _reduction(self) -> str | None:
        return self._with_axis(_REDUCTIONS)

    def _shaping(self) -> str | None:
        return self._with_axis(_SHAPING)

    def _indexing(self) -> str | None:
        return self._with_axis(_INDEXING)

    def _concatenate(self) -> str | None:
        x = self._name(lambda v: np.ndim(v) > 0)
        if x is None:
            return None
        rest = np.shape(self.values[x])[1:]
        y = self._name(lambda v: np.ndim(v) > 0 and np.shape(v)[1:] == rest)
        return f"np.concatenate([{x}, {y}])"

    def _where(self) -> str | None:
        x = self._name()
        threshold = _gap(self.values[str(x)])
        y = self._name(lambda v: np.shape(v) == np.shape(self.values[str(x)]))
        return None if threshold is None else f"np.where({x} > {threshold}, np.sin({y}), {x} * {x})"

    def _max(self) -> str | None:
        x = self._name(lambda v: np.ndim(v) > 0 and _separated(v))
        return None if x is None else f"np.max({x}, axis={np.ndim(self.values[x]) - 1})"


def _broadcasts(a: Shape, b: Shape) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))


def _gap(value: Any) -> float | None:
    """A threshold that is further than the least distance from all elements; None if there is none nearby."""
    for threshold in (0.0, 0.25, -0.25, 0.5):
        if np.min(np.abs(value - threshold)) > _GAP:
            return threshold
    return None


def _separated(value: Any) -> bool:
    """Whether all elements along the last axis are well separated."""
    ordered = np.sort(value, axis=-1)
    return bool(np.all(np.diff(ordered, axis=-1) > _GAP))

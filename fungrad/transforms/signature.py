"""The arguments of one call of a jitted function, what its program is kept by, and how its result is put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import arrays, path_of
from fungrad.core.primitive import OPERAND_TYPES
from fungrad.core.trace import Tracer
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.primitives.collectives import axes_in_scope


class Key:
    """What a program is kept by."""

    __slots__ = ("_hash", "avals", "axes", "static", "treedef")

    def __init__(self, treedef: Any, avals: tuple[Any, ...], static: tuple[Any, ...], axes: Any) -> None:
        self.treedef, self.avals, self.static, self.axes = treedef, avals, static, axes
        self._hash = hash((treedef, tuple([(a.shape, a.dtype, a.weak) for a in avals]), static, axes))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is Key
            and self.avals == other.avals
            and self.treedef == other.treedef
            and self.static == other.static
            and self.axes == other.axes
        )

    def differences(self, new: Key) -> list[str]:
        """In words, a line each."""
        if self.treedef != new.treedef:
            return [f"  the tree of the arguments: {new.treedef} instead of {self.treedef}"]
        rows = []
        example = self.treedef.unflatten(range(len(self.avals)))
        for k, (a, b) in enumerate(zip(self.avals, new.avals, strict=True)):
            if a != b:
                known, found = (f"{t!r} (a Python number)" if t.weak else repr(t) for t in (a, b))
                rows.append(
                    f"  the type of the argument args{path_of(example, k)[3:] or ''}: {found} instead of {known}"
                )
        for (name, _, a), (_, _, b) in zip(self.static, new.static, strict=False):
            if a != b:
                rows.append(f"  the static argument {name}: {b!r} instead of {a!r}")
        if self.axes != new.axes:
            rows.append("  the named axes in scope")
        return rows or ["  the static arguments"]


class Arguments:
    """One call: its array leaves, and what is static."""

    def __init__(
        self,
        fun: Any,
        nums: frozenset[int],
        names: frozenset[str],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        types: bool = False,
    ) -> None:
        self.fun = fun
        self.args, self.kwargs = args, kwargs
        static: list[tuple[Any, type, Any]] = [(i, type(args[i]), args[i]) for i in sorted(nums) if i < len(args)]
        static += [(n, type(kwargs[n]), kwargs[n]) for n in sorted(names) if n in kwargs]
        for name, _, value in static:
            try:
                hash(value)
            except TypeError:
                raise TransformValueError(
                    f"fungrad.jit: the static argument {name!r} of {describe_function(self.fun)} must be hashable, got "
                    f"{type(value).__name__}: {value!r:.100}. Pass a tuple instead of a list, or do not mark it static."
                ) from None
        self.static = tuple([(n, t, _with_sign(v)) for n, t, v in static])
        self.static_values = {n: v for n, _, v in static if isinstance(n, str)}
        self.nums = nums
        self.dynamic = (
            tuple([a for i, a in enumerate(args) if i not in nums]),
            {k: v for k, v in kwargs.items() if k not in names},
        )
        leaves, self.treedef = tree.flatten(self.dynamic)
        self.values = [_operand(self.fun, self.dynamic, k, x, types) for k, x in enumerate(leaves)]
        self.avals = tuple([typeof(x) for x in self.values])

    def key(self) -> Key:
        """What the program is kept by."""
        return Key(self.treedef, self.avals, self.static, axes_in_scope())

    def quick_key(self) -> Any:
        """The key of `Jitted.__call__`, if it can take such arguments."""
        if self.kwargs or self.static or self.nums or axes_in_scope():
            return None
        key: list[Any] = []
        for x in self.args:
            if type(x) is np.ndarray:
                key.append((x.shape, x.dtype))
            elif type(x) in OPERAND_TYPES:
                key.append(type(x))
            else:
                return None
        return tuple(key)

    def places_of(self, nums: frozenset[int], names: frozenset[str]) -> list[int]:
        """The leaves of the arguments at these positions and with these names."""
        positions = [i for i in range(len(self.args)) if i not in self.nums]
        given, keywords = self.dynamic
        marked = (
            tuple([tree.map(lambda _, m=i in nums: m, x) for i, x in zip(positions, given, strict=True)]),
            {k: tree.map(lambda _, m=k in names: m, x) for k, x in keywords.items()},
        )
        return [k for k, m in enumerate(tree.leaves(marked)) if m]

    def rebuild(self, tracers: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments with tracers in the place of arrays."""
        given, keywords = self.treedef.unflatten(tracers)
        rest = iter(given)
        args = [self.args[i] if i in self.nums else next(rest) for i in range(len(self.args))]
        return args, {**keywords, **self.static_values}


def _with_sign(value: Any) -> Any:
    """0.0 and -0.0 are equal and hash alike, but are not the same static argument."""
    return (value, math.copysign(1.0, value)) if type(value) is float and value == 0 else value


def _operand(fun: Any, target: Any, k: int, x: Any, types: bool) -> Any:
    """A leaf as an operand; with ``types`` it may be anything with a shape and a dtype instead of an array."""
    if type(x) is np.ndarray and x.dtype.kind in "biufc":
        return x
    if type(x) is int and not -(2**63) <= x < 2**63:
        raise TransformTypeError(
            f"fungrad.jit: the argument{path_of(target, k)} of {describe_function(fun)} is the integer {x}, which does "
            "not fit into 64 bits; pass a float, or mark it static"
        )
    if type(x) in OPERAND_TYPES and type(x) is not np.ndarray:
        return x
    if isinstance(x, ShapedArray):
        if types:
            return x
        raise TransformTypeError(
            f"fungrad.jit: the argument{path_of(target, k)} of {describe_function(fun)} is a type, {x!r}; a call takes "
            "arrays. lower(*types) and explain(*types) take types."
        )
    if (
        types
        and not isinstance(x, np.ndarray)
        and type(x) is not Tracer
        and hasattr(x, "shape")
        and hasattr(x, "dtype")
    ):
        return ShapedArray(tuple(x.shape), x.dtype)
    try:
        (found,) = arrays("jit", fun, target, [x], "argument")
    except TransformTypeError:
        raise
    except TypeError as error:
        raise TransformTypeError(
            f"fungrad.jit: the argument{path_of(target, k)} of {describe_function(fun)} is {type(x).__name__}: "
            f"{x!r:.100}; expected arrays and numbers. What is not an array must be marked static "
            "(static_argnums, static_argnames) or closed over."
        ) from error
    return found


class _Leaf:
    """Stands for a leaf in an example of a result."""

    def __init__(self, name: str) -> None:
        self.name = name


def assembler(out_tree: Any, leaves: int) -> Callable[[Sequence[Any]], Any]:
    """Put a result together from its leaves: written out for tuples, lists and dicts, ten times as fast."""
    try:
        text = _display(out_tree.unflatten([_Leaf(f"x[{k}]") for k in range(leaves)]))
    except TypeError:
        return out_tree.unflatten  # type: ignore[no-any-return]
    return eval(f"lambda x: {text}")  # type: ignore[no-any-return]


def _display(example: Any) -> str:
    """The source of a result; a TypeError for containers that have no display."""
    kind = type(example)
    if kind is _Leaf:
        return str(example.name)
    if example is None:
        return "None"
    if kind is tuple:
        return f"({''.join([_display(v) + ', ' for v in example])})"
    if kind is list:
        return f"[{', '.join([_display(v) for v in example])}]"
    if kind is dict and all(type(k) in (str, int) for k in example):
        return f"{{{', '.join([f'{k!r}: {_display(v)}' for k, v in example.items()])}}}"
    raise TypeError(f"no display of {kind.__name__}")

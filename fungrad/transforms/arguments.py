"""What the transforms have in common: choosing the differentiated arguments, flattening, and checks.

Selection : the arguments that argnums and argnames choose, as one pytree, and the call with new leaves for it
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import FLOAT0, Shape, ShapedArray, is_inexact, typeof
from fungrad.core.leaves import arrays, path_of
from fungrad.core.trace import Tracer
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError

Argnums = int | Sequence[int] | None
Argnames = str | Sequence[str] | None


class Selection:
    """The arguments of one call that are differentiated, as one pytree.

    Attributes
    ----------
    target : pytree
        The chosen arguments: the argument itself for an int (or a str), a tuple for a sequence of ints, a dict
        for a sequence of names, and the pair (positional, named) when both are given.
    """

    __slots__ = (
        "args",
        "fun",
        "has_names",
        "has_nums",
        "kwargs",
        "names",
        "nums",
        "single_name",
        "single_num",
        "target",
        "transform",
    )

    def __init__(
        self,
        transform: str,
        fun: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        argnums: Argnums,
        argnames: Argnames,
    ) -> None:
        self.transform, self.fun, self.args, self.kwargs = transform, fun, args, kwargs
        if argnums is None and argnames is None:
            argnums = 0
        self.has_nums, self.has_names = argnums is not None, argnames is not None
        self.single_num, self.single_name = isinstance(argnums, (int, np.integer)), isinstance(argnames, str)
        self.nums = self._positions(argnums) if self.has_nums else ()
        self.names = self._names(argnames) if self.has_names else ()
        by_position: Any = args[self.nums[0]] if self.single_num else tuple([args[i] for i in self.nums])
        if not self.has_names:
            self.target = by_position
            return
        by_name = self._value(self.names[0]) if self.single_name else {n: self._value(n) for n in self.names}
        self.target = (by_position, by_name) if self.has_nums else by_name

    def _positions(self, argnums: Any) -> tuple[int, ...]:
        n = len(self.args)
        if type(argnums) is int and -n <= argnums < n:
            return (argnums % n,)
        wanted = tuple(argnums) if isinstance(argnums, (tuple, list, range)) else (argnums,)
        positions = []
        for i in wanted:
            if not isinstance(i, (int, np.integer)) or isinstance(i, bool):
                raise TransformTypeError(
                    f"fungrad.{self.transform}: argnums must be an integer or a sequence of integers, got {argnums!r}"
                )
            if not -n <= i < n:
                raise TransformValueError(
                    f"fungrad.{self.transform} differentiates {describe_function(self.fun)} with respect to "
                    f"argnums={argnums!r}, which needs at least {i + 1 if i >= 0 else -i} positional arguments, but "
                    f"the call passed {n}. Arguments passed by keyword are differentiated with argnames="
                )
            positions.append(int(i) % n)
        if len(set(positions)) != len(positions):
            raise TransformValueError(f"fungrad.{self.transform}: argnums={argnums!r} names an argument twice")
        return tuple(positions)

    def _names(self, argnames: Any) -> tuple[str, ...]:
        names = tuple(argnames) if isinstance(argnames, (tuple, list)) else (argnames,)
        if not all(isinstance(n, str) for n in names):
            raise TransformTypeError(
                f"fungrad.{self.transform}: argnames must be a string or a sequence of strings, got {argnames!r}"
            )
        by_position = {self._position_of(n) for n in names if n not in self.kwargs}
        if len(set(names)) != len(names) or by_position & set(self.nums):
            raise TransformValueError(
                f"fungrad.{self.transform}: argnames={argnames!r} (with argnums) names an argument twice"
            )
        return names

    def _value(self, name: str) -> Any:
        if name in self.kwargs:
            return self.kwargs[name]
        return self.args[self._position_of(name)]

    def _position_of(self, name: str) -> int:
        """Where a named argument was passed by position."""
        try:
            parameters = list(inspect.signature(self.fun).parameters)
        except (TypeError, ValueError):
            parameters = []
        if name in parameters and parameters.index(name) < len(self.args):
            return parameters.index(name)
        raise TransformValueError(
            f"fungrad.{self.transform}: argnames={name!r}, but the call of {describe_function(self.fun)} passed no "
            f"such argument (it passed {len(self.args)} by position and {sorted(self.kwargs)} by keyword)"
        )

    def call(self, target: Any) -> Any:
        """Call the user's function with a new value for the target."""
        args, kwargs = list(self.args), self.kwargs
        by_position, by_name = target if self.has_nums and self.has_names else (target, target)
        if self.single_num:
            args[self.nums[0]] = by_position
        else:
            for i, value in zip(self.nums, by_position if self.nums else (), strict=True):
                args[i] = value
        if self.has_names:
            kwargs = dict(kwargs)
            for name in self.names:
                value = by_name if self.single_name else by_name[name]
                if name in kwargs:
                    kwargs[name] = value
                else:
                    args[self._position_of(name)] = value
        return self.fun(*args, **kwargs)


class Leaves:
    """A flattened pytree of arrays, split into the leaves that carry a tangent and the others (integers, booleans).

    ``values`` holds all leaves, ``active`` the positions of those with a real or complex floating dtype.
    """

    __slots__ = ("active", "avals", "treedef", "values")

    def __init__(self, transform: str, fun: Any, target: Any, what: str) -> None:
        values, self.treedef = tree.flatten(target)
        self.values = arrays(transform, fun, target, values, what)
        self.avals = [typeof(x) for x in self.values]
        self.active = [k for k, a in enumerate(self.avals) if a.dtype.kind in "fc"]

    def with_active(self, new: Sequence[Any]) -> Any:
        """The pytree with other values for the active leaves."""
        if len(new) == len(self.values):  # the usual case: no integers among them
            return self.treedef.unflatten(new)
        leaves = list(self.values)
        for k, x in zip(self.active, new, strict=True):
            leaves[k] = x
        return self.treedef.unflatten(leaves)

    def derivative(self, active: Sequence[Any]) -> Any:
        """A pytree of derivatives: those of the active leaves, float0 zeros for the others."""
        return self.treedef.unflatten(with_float0(self.avals, active))

    def active_values(self) -> list[Any]:
        """The values of the active leaves."""
        return [self.values[k] for k in self.active]


def with_float0(avals: Sequence[ShapedArray], active: Sequence[Any], prefix: Shape = ()) -> list[Any]:
    """Derivatives for all leaves: float0 zeros (of shape prefix + shape) for integers and booleans."""
    if len(active) == len(avals):
        return list(active)
    rest = iter(active)
    return [next(rest) if is_inexact(a.dtype) else np.zeros(prefix + a.shape, FLOAT0) for a in avals]


def check_differentiable(
    transform: str, fun: Any, leaves: Leaves, target: Any, allow_int: bool, holomorphic: bool
) -> None:
    """The checks of the inputs of grad and its kin."""
    if not allow_int and len(leaves.active) != len(leaves.values):
        k = next(k for k in range(len(leaves.values)) if k not in set(leaves.active))
        aval, value = leaves.avals[k], leaves.values[k]
        hint = (
            f"pass {float(value)!r} instead of {value!r}"
            if type(value) in (int, bool)
            else "convert it with .astype(float)"
        )
        raise NonDifferentiableError(
            f"fungrad.{transform} needs real or complex floating-point inputs, but the argument{path_of(target, k)} "
            f"of {describe_function(fun)} has type {aval!r}: {hint}, or pass allow_int=True to get float0 zeros for "
            "it."
        )
    if holomorphic and any(a.dtype.kind != "c" for a in leaves.avals):
        raise NonDifferentiableError(
            f"fungrad.{transform}(holomorphic=True) needs complex inputs, but those of {describe_function(fun)} have "
            f"types {leaves.avals}; convert them with .astype(complex)"
        )


def check_same_tree(transform: str, what: str, expected: Any, received_tree: Any) -> None:
    """A TypeError that shows both trees unless they are equal."""
    if expected != received_tree:
        raise TransformTypeError(
            f"fungrad.{transform}: {what} must have the tree structure {expected}, got {received_tree}"
        )


def check_tangents(
    transform: str, what: str, avals: Sequence[ShapedArray], values: Sequence[Any], paths: Callable[[int], str]
) -> list[Any]:
    """Check tangents (or cotangents) against the types they belong to; return those of inexact leaves, in order."""
    checked = []
    for k, (aval, t) in enumerate(zip(avals, values, strict=True)):
        try:
            received = typeof(t)
        except TypeError as error:
            raise TransformTypeError(f"fungrad.{transform}: {what}{paths(k)} is not an array: {error}") from None
        if not is_inexact(aval.dtype):
            if received.dtype != FLOAT0:
                raise TransformTypeError(
                    f"fungrad.{transform}: {what}{paths(k)} belongs to an array of type {aval!r}, whose only tangent "
                    f"is a zero of dtype float0 (np.zeros({aval.shape}, fungrad.float0)), got {received!r}"
                )
            continue
        if received.shape != aval.shape:
            raise TransformValueError(
                f"fungrad.{transform}: {what}{paths(k)} must have shape {aval.shape} as the array it belongs to, got "
                f"{received.shape}"
            )
        fits = received.weak and "biufc".index(received.dtype.kind) <= "biufc".index(aval.dtype.kind)
        if received.dtype != aval.dtype and not fits:
            raise TransformTypeError(
                f"fungrad.{transform}: {what}{paths(k)} must have dtype {aval.dtype} as the array it belongs to, got "
                f"{received.dtype}; convert it with .astype"
            )
        checked.append(aval.dtype.type(t) if received.weak and type(t) is not Tracer else t)
    return checked

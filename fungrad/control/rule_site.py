"""A function with rules of its own, one call of it, and checks of what the rules return.

    CustomFunction : the function, its arguments that no rule speaks of, its name
    Site           : one call, without the arrays: how arguments are put together from leaves

What rules return is checked leaf by leaf, with messages that name the rule, the leaf by its key path, what was expected
and what was received.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from fungrad import tree
from fungrad._util import describe_function, fun_name
from fungrad.control.symbolic_zero import SymbolicZero
from fungrad.core.aval import FLOAT0, ShapedArray, is_inexact, typeof
from fungrad.core.leaves import arrays, check_callable, path_of
from fungrad.core.trace import Tracer, newest
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.primitives.stop_gradient import stop_gradient_p
from fungrad.primitives.structural import convert, zeros

Positions = int | Sequence[int]
Names = str | Sequence[str]


class CustomFunction:
    """A function that has rules of its own; see the subclasses."""

    transform = "custom_function"

    __wrapped__: Callable[..., Any]

    def __new__(cls, fun: Callable[..., Any] | None = None, *args: Any, **options: Any) -> Any:
        """Without a function, a decorator with these options."""
        return functools.partial(cls, **options) if fun is None else super().__new__(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        raise NotImplementedError

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Positions = (), nondiff_argnames: Names = ()) -> None:
        check_callable(self.transform, fun)
        functools.update_wrapper(self, fun, updated=())  # sets __wrapped__
        self.fun = fun
        self.nondiff_argnums = _positions(self.transform, fun, nondiff_argnums, nondiff_argnames)
        try:
            self._signature: inspect.Signature | None = inspect.signature(fun)
        except (TypeError, ValueError):  # a function in C
            self._signature = None
        parameters = () if self._signature is None else self._signature.parameters.values()
        by_position = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        self._arity = len(parameters) if by_position and self._signature is not None else -1

    def __repr__(self) -> str:
        return f"<{self.transform} of {describe_function(self.fun)}>"

    def __get__(self, instance: Any, owner: Any = None) -> Self | functools.partial[Any]:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        module, name = getattr(self, "__module__", ""), getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:  # a decorated function of a module: what has its name is this
            return name
        return super().__reduce__()

    def _resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, those with defaults too."""
        if not kwargs and len(args) == self._arity:
            return args
        if self._signature is None:
            if not kwargs:
                return args
            raise TransformTypeError(
                f"fungrad.{self.transform}: {describe_function(self.fun)} has no signature, so that its arguments can "
                "be given by position only"
            )
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TransformTypeError(
                f"fungrad.{self.transform}: a call of {describe_function(self.fun)}: {error}"
            ) from None
        bound.apply_defaults()
        by_keyword = sorted(bound.kwargs.keys() & kwargs.keys())
        if by_keyword:
            raise TransformTypeError(
                f"fungrad.{self.transform}: the arguments {by_keyword} of {describe_function(self.fun)} can "
                "be given by keyword only; rules take all arguments by position, so write the function without * "
                "before them"
            )
        return bound.args

    def _site(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Site, list[Any]] | tuple[None, Any]:
        """The call and its leaves; where nothing is traced, None and the result of the plain function."""
        args = self._resolve(args, kwargs)
        nums = self.nondiff_argnums
        if nums:
            args = tuple([tree.map(_stopped, a) if k in nums else a for k, a in enumerate(args)])
        chosen = tuple([a for k, a in enumerate(args) if k not in nums])
        leaves, treedef = tree.flatten(chosen)
        if all(_is_plain(x) for x in leaves):
            return None, self.fun(*args)
        leaves = arrays(self.transform, self.fun, chosen, leaves, "argument")
        if newest(leaves) is None:
            return None, self.fun(*args)
        return Site(self, tuple([args[k] for k in nums if k < len(args)]), treedef, len(args)), leaves


def _is_plain(x: Any) -> bool:
    kind = type(x)
    return kind is not Tracer and not (isinstance(x, np.ndarray) and (kind is not np.ndarray or x.dtype.hasobject))


def _stopped(x: Any) -> Any:
    return stop_gradient_p.function(x) if type(x) is Tracer else x


def _positions(transform: str, fun: Any, nums: Any, names: Any) -> tuple[int, ...]:
    """The positions of the arguments that rules do not speak of, in order."""
    found = set(nums) if isinstance(nums, (tuple, list, range, set, frozenset)) else {nums}
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in found):
        raise TransformTypeError(f"fungrad.{transform}: nondiff_argnums must be an integer or several, got {nums!r}")
    names = (names,) if isinstance(names, str) else tuple(names)
    if names or any(i < 0 for i in found):
        try:
            parameters = list(inspect.signature(fun).parameters)
        except (TypeError, ValueError):
            parameters = []
        for name in names:
            if name not in parameters:
                raise TransformValueError(
                    f"fungrad.{transform}: nondiff_argnames={name!r} is no argument of {describe_function(fun)}, whose "
                    f"arguments are {parameters}"
                )
        found = {i if i >= 0 else i + len(parameters) for i in found} | {parameters.index(n) for n in names}
    return tuple(sorted([int(i) for i in found]))


class Site:
    """One call of a function with rules: everything but its arrays.

    Attributes
    ----------
    custom : CustomFunction
    nondiff : tuple
        The arguments that rules do not speak of; rules get them first.
    treedef : TreeDef
        Of the tuple of the other arguments.
    """

    def __init__(self, custom: CustomFunction, nondiff: tuple[Any, ...], treedef: Any, count: int) -> None:
        self.custom, self.nondiff, self.treedef, self.count = custom, nondiff, treedef, count

    @property
    def name(self) -> str:
        """That of the function."""
        return fun_name(self.custom.fun)

    def described(self) -> str:
        """``the custom_jvp function f (file.py:3)``."""
        return f"the {self.custom.transform} function {describe_function(self.custom.fun)}"

    def primals(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """The arguments that rules speak of, a tuple."""
        return self.treedef.unflatten(leaves)  # type: ignore[no-any-return]

    def args(self, leaves: Sequence[Any]) -> list[Any]:
        """All arguments in their order."""
        nums = self.custom.nondiff_argnums
        given, fixed = iter(self.primals(leaves)), iter(self.nondiff)
        return [next(fixed) if k in nums else next(given) for k in range(self.count)]

    def argument(self, k: int) -> str:
        """The leaf k of the arguments that rules speak of, for messages: ``argument 0['a']``."""
        path = tree.leaves_with_path(self.treedef.unflatten(range(self.treedef.num_leaves)))[k][0]
        position = [i for i in range(self.count) if i not in self.custom.nondiff_argnums][path[0].idx]
        return f"argument {position}{tree.keystr(path[1:])}"

    def flat(self, fun: Callable[..., Any], out_trees: list[Any], leaves: Sequence[Any]) -> list[Any]:
        """The leaves of ``fun(*args)``; its tree is appended to ``out_trees``."""
        out = fun(*self.args(leaves))
        found, out_tree = tree.flatten(out)
        out_trees.append(out_tree)
        return arrays(self.custom.transform, fun, out, found, "result")


def pair(site: Site, rule: Any, what: str, result: Any, expected: str) -> tuple[Any, Any]:
    """The two things that a rule returns."""
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        size = f" of length {len(result)}" if isinstance(result, (tuple, list)) else ""
        raise TransformTypeError(
            f"{what} {describe_function(rule)} of {site.described()} must return a pair ({expected}), got "
            f"{type(result).__name__}{size}"
        )
    return result[0], result[1]


def tangent_arguments(site: Site, primals: Sequence[Any], tangents: Sequence[Any], symbolic: bool) -> list[Any]:
    """Tangents as a rule is given them: zeros (or `SymbolicZero`) in the place of None, float0 for integers."""
    filled = []
    for x, t in zip(primals, tangents, strict=True):
        aval = typeof(x).strong()
        if not is_inexact(aval.dtype):
            t = SymbolicZero(ShapedArray(aval.shape, FLOAT0)) if symbolic else np.zeros(aval.shape, FLOAT0)
        elif t is None:
            t = SymbolicZero(aval) if symbolic else zeros(aval)
        filled.append(t)
    return filled


def fitting(t: Any, aval: ShapedArray, where: Callable[[], str], belongs: str) -> Any:
    """A tangent or cotangent of exactly this type (None: zero), or an error that says where it stood."""
    if type(t) is SymbolicZero:
        return None
    try:
        received = typeof(t)
    except TypeError as error:
        raise TransformTypeError(f"{where()} is not an array: {error}") from None
    if not is_inexact(aval.dtype):
        if received.dtype != FLOAT0:
            raise TransformTypeError(
                f"{where()} belongs to {belongs} of type {aval!r}, whose only tangent is a zero of dtype float0 "
                f"(np.zeros({aval.shape}, fungrad.float0)), got {received!r}"
            )
        return None
    if received.shape != aval.shape:
        raise TransformValueError(f"{where()} must have shape {aval.shape} as {belongs}, got {received.shape}")
    fits = received.weak and "biufc".index(received.dtype.kind) <= "biufc".index(aval.dtype.kind)
    if received.dtype != aval.dtype and not fits:
        raise TransformTypeError(
            f"{where()} must have dtype {aval.dtype} as {belongs}, got {received.dtype}; convert it with "
            f".astype({aval.dtype})"
        )
    return t if received.dtype == aval.dtype and not received.weak else convert(t, aval.dtype)


def check_same_results(
    site: Site, rule: Any, what: str, expected: tuple[Any, Sequence[ShapedArray]], found: tuple[Any, Sequence[Any]]
) -> None:
    """An error unless a rule returns what the function returns: the same tree, shapes and dtypes."""
    out_tree, avals = expected
    rule_tree, values = found
    if out_tree != rule_tree:
        raise TransformTypeError(
            f"{what} {describe_function(rule)} of {site.described()} must return a result with the tree structure of "
            f"the function's, {out_tree}, got {rule_tree}"
        )
    example = out_tree.unflatten(range(len(avals)))
    for k, (a, x) in enumerate(zip(avals, values, strict=True)):
        b = typeof(x)
        if a.shape != b.shape or (a.dtype != b.dtype and not b.weak):
            error = TransformTypeError if a.shape == b.shape else TransformValueError
            raise error(
                f"{what} {describe_function(rule)} of {site.described()}: result{path_of(example, k)} must have type "
                f"{a!r} as the function's, got {b!r}"
            )

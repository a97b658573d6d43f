"""Partial application whose arguments are part of the tree."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self, cast

from fungrad.tree.paths import GetAttrKey
from fungrad.tree.registry import register_pytree_with_keys

__all__ = ["Partial"]


class Partial(functools.partial[Any]):
    """Apply a function to some of its arguments, as `functools.partial` does, and be a container of these arguments.

    Parameters
    ----------
    func
        The function; it is static, compared by ==.
    *args, **keywords
        The arguments: the children.

    Notes
    -----
    A `Partial` of a `Partial` is one `Partial` with the arguments of both. The arguments of a plain `functools.partial`
    stay inside it and are static.

    Examples
    --------
    >>> from fungrad import tree
    >>> scale = tree.Partial(lambda a, x: a * x, 3.0)
    >>> scale(2.0)
    6.0
    >>> tree.map(lambda leaf: 10.0 * leaf, scale)(2.0)
    60.0
    """

    def __new__(cls, func: Callable[..., Any], /, *args: Any, **keywords: Any) -> Self:
        """Make a Partial; see the class."""
        if isinstance(func, Partial):
            args = (*func.args, *args)
            keywords = {**func.keywords, **keywords}
            func = func.func
        if not isinstance(func, functools.partial):
            return super().__new__(cls, func, *args, **keywords)
        self: Any = super().__new__(cls, _placeholder)
        self.__setstate__((func, args, keywords, None))  # the constructor would merge func's arguments into ours
        return cast("Self", self)


def _placeholder() -> None:
    """Stand for the function of a Partial that is under construction."""


register_pytree_with_keys(
    Partial,
    lambda x: (((GetAttrKey("args"), x.args), (GetAttrKey("keywords"), x.keywords)), x.func),
    lambda func, children: Partial(func, *children[0], **children[1]),
    lambda x: ((x.args, x.keywords), x.func),
)

"""Register classes as containers by the functions that take their instances apart and rebuild them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from fungrad.tree.node import Node, add_class, type_name
from fungrad.tree.paths import KeyEntry, KeyPath

__all__ = [
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
]

_T = TypeVar("_T")
_Class = TypeVar("_Class", bound=type)

_Flatten = Callable[[_T], tuple[Iterable[Any], Any]]
_FlattenWithKeys = Callable[[_T], tuple[Iterable[tuple[KeyEntry, Any]], Any]]


class _CustomNode(Node):
    """A registered class."""

    __slots__ = ("_flatten", "_flatten_with_keys", "_unflatten")

    def __init__(
        self,
        cls: type,
        flatten: _Flatten[Any],
        unflatten: Callable[[Any, Any], Any],
        flatten_with_keys: _FlattenWithKeys[Any] | None,
    ) -> None:
        super().__init__(cls)
        self._flatten = flatten
        self._unflatten = unflatten
        self._flatten_with_keys = flatten_with_keys

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        children, data = self._flatten(x)
        return tuple(children), data, () if data is None else None

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return self._unflatten(data, tuple(children))

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        if self._flatten_with_keys is None:
            return super().entries(x, data, count)
        return tuple([key for key, _ in self._flatten_with_keys(x)[0]])


class _StaticNode(Node):
    """A class whose instances have no children and are their own static data."""

    __slots__ = ()

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        return (), x, None

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return data

    def show(self, data: Any, children: Sequence[str]) -> str:
        return repr(data)

    def describe(self, data: Any, count: int) -> str:
        return f"the static {type_name(self.cls)} {data!r}"


def register_pytree_node(
    cls: type[_T],
    flatten: _Flatten[_T],
    unflatten: Callable[[Any, Any], _T],
    flatten_with_keys: _FlattenWithKeys[_T] | None = None,
) -> None:
    """Register a class as a container.

    Parameters
    ----------
    cls
        The class; its subclasses are not included.
    flatten
        ``flatten(x) -> (children, data)``, with data hashable and comparable by ==.
    unflatten
        ``unflatten(data, children) -> x``, with the children as a tuple. It must accept children of any kind: while a
        function is transformed they are not arrays.
    flatten_with_keys
        ``flatten_with_keys(x) -> (((key, child), ...), data)``, for key paths. The children are those of `flatten`.

    Raises
    ------
    ValueError
        If the class is already registered.

    Examples
    --------
    >>> from fungrad import tree
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> tree.register_pytree_node(
    ...     Interval, lambda x: ((x.low, x.high), None), lambda data, children: Interval(*children)
    ... )
    >>> tree.map(lambda x: 2 * x, Interval(1.0, 3.0)).high
    6.0
    """
    add_class(cls, _CustomNode(cls, flatten, unflatten, flatten_with_keys))


def register_pytree_node_class(cls: _Class) -> _Class:
    """Register a class that has the methods `tree_flatten` and `tree_unflatten` as a container.

    Parameters
    ----------
    cls
        A class with the method ``tree_flatten(self) -> (children, data)`` and the class method
        ``tree_unflatten(cls, data, children)``.

    Returns
    -------
    type
        The class, so that this can be used as a decorator.

    Raises
    ------
    ValueError
        If the class is already registered.

    Examples
    --------
    >>> from fungrad import tree
    >>> @tree.register_pytree_node_class
    ... class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    ...
    ...     def tree_flatten(self):
    ...         return (self.low, self.high), None
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, data, children):
    ...         return cls(*children)
    >>> tree.leaves(Interval(1.0, 3.0))
    [1.0, 3.0]
    """
    methods: Any = cls
    register_pytree_node(cls, methods.tree_flatten, methods.tree_unflatten)
    return cls


def register_pytree_with_keys(
    cls: type[_T],
    flatten_with_keys: _FlattenWithKeys[_T],
    unflatten: Callable[[Any, Any], _T],
    flatten: _Flatten[_T] | None = None,
) -> None:
    """Register a class as a container that names its children.

    Parameters
    ----------
    cls
        The class; its subclasses are not included.
    flatten_with_keys
        ``flatten_with_keys(x) -> (((key, child), ...), data)``.
    unflatten
        ``unflatten(data, children) -> x``; must accept children of any kind.
    flatten
        ``flatten(x) -> (children, data)``, if there is a quicker way to the children without keys.

    Raises
    ------
    ValueError
        If the class is already registered.

    Examples
    --------
    >>> from fungrad import tree
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> tree.register_pytree_with_keys(
    ...     Interval,
    ...     lambda x: (((tree.GetAttrKey("low"), x.low), (tree.GetAttrKey("high"), x.high)), None),
    ...     lambda data, children: Interval(*children),
    ... )
    >>> [tree.keystr(path) for path, _ in tree.leaves_with_path(Interval(1.0, 3.0))]
    ['.low', '.high']
    """
    register_pytree_node(cls, flatten or _without_keys(flatten_with_keys), unflatten, flatten_with_keys)


def register_pytree_with_keys_class(cls: _Class) -> _Class:
    """Register a class that has the methods `tree_flatten_with_keys` and `tree_unflatten` as a container.

    Parameters
    ----------
    cls
        A class with the method ``tree_flatten_with_keys(self) -> (((key, child), ...), data)``, the class method
        ``tree_unflatten(cls, data, children)``, and perhaps ``tree_flatten(self) -> (children, data)``.

    Returns
    -------
    type
        The class, so that this can be used as a decorator.

    Raises
    ------
    ValueError
        If the class is already registered.

    Examples
    --------
    >>> from fungrad import tree
    >>> @tree.register_pytree_with_keys_class
    ... class Box:
    ...     def __init__(self, content):
    ...         self.content = content
    ...
    ...     def tree_flatten_with_keys(self):
    ...         return [(tree.GetAttrKey("content"), self.content)], None
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, data, children):
    ...         return cls(*children)
    >>> tree.flatten_with_path(Box(1.0))[0]
    [((GetAttrKey(name='content'),), 1.0)]
    """
    methods: Any = cls
    flatten = getattr(methods, "tree_flatten", None)
    register_pytree_with_keys(cls, methods.tree_flatten_with_keys, methods.tree_unflatten, flatten)
    return cls


def register_static(cls: _Class) -> _Class:
    """Register a class whose instances are part of the structure and have no leaves.

    Parameters
    ----------
    cls
        A class with ``__eq__`` and ``__hash__``.

    Returns
    -------
    type
        The class, so that this can be used as a decorator.

    Raises
    ------
    ValueError
        If the class is already registered.

    Examples
    --------
    >>> from fungrad import tree
    >>> @tree.register_static
    ... class Mode(str):
    ...     pass
    >>> tree.flatten([Mode("fast"), 1.0])
    ([1.0], TreeDef(['fast', *]))
    """
    add_class(cls, _StaticNode(cls))
    return cls


def _without_keys(flatten_with_keys: _FlattenWithKeys[_T]) -> _Flatten[_T]:
    """Make a function that gives children and data of one that gives (key, child) pairs and data."""

    def flatten(x: _T) -> tuple[Iterable[Any], Any]:
        pairs, data = flatten_with_keys(x)
        return tuple([child for _, child in pairs]), data

    return flatten

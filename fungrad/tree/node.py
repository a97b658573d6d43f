"""What the tree functions know about a container class, and the table of such classes.

`NODES[type(x)]` is the `Node` of a container, or None for a leaf. A class that is not in the table yet is
classified by `RULES` (namedtuples, dataclasses) and remembered; whatever no rule claims is a leaf.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from fungrad.tree.paths import DictKey, FlattenedIndexKey, GetAttrKey, KeyPath, SequenceKey

__all__ = [
    "LEAF_TYPES",
    "NODES",
    "ON_REGISTRATION",
    "RULES",
    "Node",
    "add_class",
    "is_tree_node",
    "register_leaf",
    "same_data",
    "type_name",
]


class Node:
    """How the instances of one container class come apart and go together again.

    A container is its children, in a fixed order, plus `data`: whatever else is needed to rebuild it.
    """

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        self.cls = cls

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        """Return the children, the data, and a memo key.

        Two containers of this class with equal memo keys and equally many children must have interchangeable data:
        a treedef made for one serves the other. The key is None where equality promises less than that (1 == True).
        """
        raise NotImplementedError

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        """Build a container; must accept children of any type."""
        raise NotImplementedError

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        """Return the children of `x` in the order that `data` fixes, or None if `x` has other data."""
        children, own, _ = self.flatten(x)
        return children if same_data(own, data) else None

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        """Return the key of each child; `x` is an instance that has this data."""
        return tuple([FlattenedIndexKey(i) for i in range(count)])

    def show(self, data: Any, children: Sequence[str]) -> str:
        """Render the container for the repr of a treedef, given the rendered children."""
        label = self.cls.__name__ if data is None else f"{self.cls.__name__}[{data!r}]"
        return f"CustomNode({label}, [{', '.join(children)}])"

    def describe(self, data: Any, count: int) -> str:
        """Name the container in an error message."""
        described = f"{type_name(self.cls)} with {count} children"
        return described if data is None else f"{described} and auxiliary data {data!r}"


def type_name(cls: type) -> str:
    """Name a class, with its module unless that is a standard container's."""
    return cls.__qualname__ if cls.__module__ in ("builtins", "collections") else f"{cls.__module__}.{cls.__qualname__}"


def same_data(a: Any, b: Any) -> bool:
    """Compare the static data of two nodes."""
    try:
        return bool(a == b)
    except ValueError as error:
        message = f"cannot compare the static data of two trees, {a!r} and {b!r}: arrays belong into children"
        raise TypeError(message) from error


# --- the table -------------------------------------------------------------------------------------------------------

RULES: list[Callable[[type], Node | None]] = []
ON_REGISTRATION: list[Callable[[], None]] = []  # what to do when a class changes sides: empty caches
LEAF_TYPES: set[type] = set()  # the classes that NODES maps to None, for set operations in C
_EXPLICIT: set[type] = set()  # the classes that were put into the table by name; never forgotten
_LOCK = threading.RLock()
_MOST_CLASSES = 8192

_Class = TypeVar("_Class", bound=type)


class _Nodes(dict[type, "Node | None"]):
    """The table of classes; a lookup of an unknown class classifies it."""

    def __missing__(self, cls: type) -> Node | None:
        node = next((node for rule in RULES if (node := rule(cls)) is not None), None)
        with _LOCK:
            if cls in _EXPLICIT:  # registered by another thread just now
                return self[cls]
            if len(self) >= _MOST_CLASSES:  # do not keep alive an unbounded number of classes made at run time
                for known in [known for known in self if known not in _EXPLICIT]:
                    LEAF_TYPES.discard(known)
                    del self[known]
            self[cls] = node
            if node is None:
                LEAF_TYPES.add(cls)
        return node


NODES = _Nodes()


def add_class(cls: type, node: Node | None) -> None:
    """Put a class into the table, as a container or (None) as a leaf."""
    if not isinstance(cls, type):
        raise TypeError(f"expected a class to register, received {cls!r}")
    with _LOCK:
        if cls in _EXPLICIT:
            raise ValueError(f"{type_name(cls)} is already registered: a class can be registered once")
        _EXPLICIT.add(cls)
        NODES[cls] = node
        if node is None:
            LEAF_TYPES.add(cls)
        else:
            LEAF_TYPES.discard(cls)
        for forget in ON_REGISTRATION:
            forget()


def register_leaf(cls: _Class) -> _Class:
    """Make a class a leaf, although it would be a container by itself.

    Parameters
    ----------
    cls
        A dataclass or namedtuple class.

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
    >>> from dataclasses import dataclass
    >>> from fungrad import tree
    >>> @tree.register_leaf
    ... @dataclass
    ... class Interval:
    ...     low: float
    ...     high: float
    >>> tree.leaves([Interval(0.0, 1.0), 2.0])
    [Interval(low=0.0, high=1.0), 2.0]
    """
    add_class(cls, None)
    return cls


def is_tree_node(cls: type) -> bool:
    """Tell whether the instances of a class are containers.

    Parameters
    ----------
    cls
        A class (not an instance).

    Returns
    -------
    bool

    Examples
    --------
    >>> is_tree_node(tuple), is_tree_node(set)
    (True, False)
    """
    return NODES[cls] is not None


for _entry in (SequenceKey, DictKey, GetAttrKey, FlattenedIndexKey):
    register_leaf(_entry)  # a path is a tuple of them, also where it stands in a tree

"""Key paths: where in a tree a leaf sits.

path  = (entry, ...)
entry = SequenceKey(idx)         tree[idx]      list, tuple
      | DictKey(key)             tree[key]      dict, OrderedDict, defaultdict
      | GetAttrKey(name)         tree.name      namedtuple, dataclass
      | FlattenedIndexKey(key)   child no. key  a registered class that names no keys
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

__all__ = ["DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "SequenceKey", "keystr"]


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """The position of a child in a list or tuple.

    Parameters
    ----------
    idx
        The index, from 0.

    Examples
    --------
    >>> str(SequenceKey(2))
    '[2]'
    """

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclass(frozen=True, slots=True)
class DictKey:
    """The key of a child in a dictionary.

    Parameters
    ----------
    key
        The dictionary key.

    Examples
    --------
    >>> str(DictKey("w"))
    "['w']"
    """

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclass(frozen=True, slots=True)
class GetAttrKey:
    """The attribute that holds a child of a namedtuple, dataclass or other object.

    Parameters
    ----------
    name
        The name of the attribute.

    Examples
    --------
    >>> str(GetAttrKey("weight"))
    '.weight'
    """

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """The position of a child of a registered class that does not name its children.

    Parameters
    ----------
    key
        The position among the children, from 0.

    Examples
    --------
    >>> str(FlattenedIndexKey(0))
    '[<flat index 0>]'
    """

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


# Registered classes may name their children by objects of any kind.
KeyEntry = Any
KeyPath = tuple[KeyEntry, ...]


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """Show a key path as the Python expression that reaches it.

    Parameters
    ----------
    keys
        A path, as `flatten_with_path` gives it.
    simple
        Show the bare index, key or name of each entry, without brackets and dots.
    separator
        What to put between the entries.

    Returns
    -------
    str

    Examples
    --------
    >>> path = (DictKey("layers"), SequenceKey(0), GetAttrKey("w"))
    >>> keystr(path)
    "['layers'][0].w"
    >>> keystr(path, simple=True, separator="/")
    'layers/0/w'
    """
    return separator.join([_bare(entry) if simple else str(entry) for entry in keys])


def _bare(entry: KeyEntry) -> str:
    """Show the index, key or name that an entry holds."""
    match entry:
        case SequenceKey(value) | DictKey(value) | GetAttrKey(value) | FlattenedIndexKey(value):
            return str(value)
        case _:
            return str(entry)

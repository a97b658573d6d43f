"""Key paths: where in a tree a leaf sits.

    path  = (entry, ...)
    entry = SequenceKey(idx)         tree[idx]      list, tuple
          | DictKey(key)             tree[key]      dict, OrderedDict, defaultdict
          | GetAttrKey(name)         tree.name      namedtuple, dataclass
          | FlattenedIndexKey(key)   child no. key  a registered class that names no keys

Registered classes may also name their children by objects of their own.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "SequenceKey", "keystr"]


class _Key:
    """An immutable value with one attribute, which the subclass names.

    Written out, since a dataclass is slow to define: four of them would take half of the time to import trees.
    """

    __slots__ = ("_value",)
    __match_args__: tuple[str, ...]

    _value: Any

    def __init__(self, value: Any) -> None:
        object.__setattr__(self, "_value", value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"cannot change {name!r}: {type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__match_args__[0]}={self._value!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._value,)


class SequenceKey(_Key):
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

    __slots__ = ()
    __match_args__ = ("idx",)

    def __init__(self, idx: int) -> None:
        super().__init__(idx)

    @property
    def idx(self) -> int:
        """The index."""
        idx: int = self._value
        return idx

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


class DictKey(_Key):
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

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        super().__init__(key)

    @property
    def key(self) -> Hashable:
        """The dictionary key."""
        key: Hashable = self._value
        return key

    def __str__(self) -> str:
        return f"[{self.key!r}]"


class GetAttrKey(_Key):
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

    __slots__ = ()
    __match_args__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(name)

    @property
    def name(self) -> str:
        """The name of the attribute."""
        name: str = self._value
        return name

    def __str__(self) -> str:
        return f".{self.name}"


class FlattenedIndexKey(_Key):
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

    __slots__ = ()
    __match_args__ = ("key",)

    def __init__(self, key: int) -> None:
        super().__init__(key)

    @property
    def key(self) -> int:
        """The position among the children."""
        key: int = self._value
        return key

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


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

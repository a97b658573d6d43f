"""Dataclasses as containers, registered or not.

Every field is a child, except the static ones, which stay in the treedef and are compared by ==:

    declared static     metadata={"static": True}, or meta_fields= on registration
    static by value     str, bytes, bool, Enum, class, dtype, function or other callable that is not itself a container
                        (in dataclasses that are not registered)

    data = (names of the children, ((name, value), ...) of the static fields)

Instances are built without `__init__` and `__post_init__`: while a function is transformed the leaves are not what
those expect. Attributes that are not fields are not carried over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np

from fungrad.tree.node import NODES, RULES, Node, add_class, same_data, type_name
from fungrad.tree.paths import GetAttrKey, KeyPath

__all__ = ["DataclassNode", "register_dataclass", "static"]

_Class = TypeVar("_Class", bound=type)
_MISSING = object()
_STATIC_CLASSES = (str, bytes, bool, Enum, type, np.dtype)
_EXACT = frozenset({str, bool, type(None)})  # values of these classes are equal only if they are the same
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was made at run time
_MOST_CLASSES = 4096

# Classes whose instances are children wherever they stand; a cache of `_is_child_class`.
_CHILD_CLASSES: set[type] = set()


class DataclassNode(Node):
    """A class whose instances are the values of named fields.

    Parameters
    ----------
    cls
        The class.
    fields
        The fields that are children, or may be.
    declared
        The fields that are static.
    by_value
        Whether a field in `fields` is static when it holds a string, a function or the like.
    defaults
        What to set for fields that are neither children nor static: name and a function that makes the value.
    """

    __slots__ = ("by_value", "declared", "defaults", "fields", "get_declared", "get_fields", "plain")

    def __init__(
        self,
        cls: type,
        fields: tuple[str, ...],
        declared: tuple[str, ...],
        *,
        by_value: bool,
        defaults: tuple[tuple[str, Callable[[], Any]], ...] = (),
    ) -> None:
        super().__init__(cls)
        self.fields = fields
        self.declared = declared
        self.by_value = by_value
        self.defaults = defaults
        self.get_fields = _attributes_getter(fields)
        self.get_declared = _attributes_getter(declared)
        self.plain = (fields, ())

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        try:
            values = self.get_fields(x)
            declared = self.get_declared(x)
        except AttributeError:
            return self._flatten_in_part(x)
        if not self.by_value or _CHILD_CLASSES.issuperset(map(type, values)):
            if not declared:
                return values, self.plain, ()
            return values, *self._data_and_key(self.fields, tuple(zip(self.declared, declared, strict=True)))
        return self._sort_fields(zip(self.fields, values, strict=True), zip(self.declared, declared, strict=True))

    def _flatten_in_part(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        """Flatten an instance some of whose fields were never set; they stay so."""
        fields = [(name, value) for name in self.fields if (value := getattr(x, name, _MISSING)) is not _MISSING]
        declared = [(name, value) for name in self.declared if (value := getattr(x, name, _MISSING)) is not _MISSING]
        return self._sort_fields(fields, declared)

    def _sort_fields(
        self, fields: Iterable[tuple[str, Any]], declared: Iterable[tuple[str, Any]]
    ) -> tuple[Sequence[Any], Any, Hashable]:
        """Tell the children from the fields that are static by value."""
        names: list[str] = []
        children: list[Any] = []
        statics: list[tuple[str, Any]] = []
        for field in fields:
            name, value = field
            if not self.by_value or _is_child_class(type(value)):
                names.append(name)
                children.append(value)
            else:
                statics.append(field)
        return tuple(children), *self._data_and_key(tuple(names), (*statics, *declared))

    def _data_and_key(self, names: tuple[str, ...], statics: tuple[tuple[str, Any], ...]) -> tuple[Any, Hashable]:
        data = names, statics
        return data, data if all([type(value) in _EXACT for _, value in statics]) else None

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        names, statics = data
        x = object.__new__(self.cls)
        put = object.__setattr__
        for name, child in zip(names, children, strict=True):
            put(x, name, child)
        for name, value in statics:
            put(x, name, value)
        for name, make in self.defaults:
            put(x, name, make())
        return x

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        # The fields are sorted as `data` has it, not by the values in x, which may be booleans or functions.
        names, statics = data
        for name, value in statics:
            own = getattr(x, name, _MISSING)
            if own is not value and not same_data(own, value):
                return None
        children = [getattr(x, name, _MISSING) for name in names]
        return None if _MISSING in map(_identity_or_none, children) else children

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        return tuple([GetAttrKey(name) for name in data[0]])

    def show(self, data: Any, children: Sequence[str]) -> str:
        names, statics = data
        fields = [f"{name}={child}" for name, child in zip(names, children, strict=True)]
        fields += [f"{name}={value!r}" for name, value in statics]
        return f"{self.cls.__name__}({', '.join(fields)})"

    def describe(self, data: Any, count: int) -> str:
        names, statics = data
        fields = [*names, *[f"{name}={value!r}" for name, value in statics]]
        return f"{type_name(self.cls)}({', '.join(fields)})"

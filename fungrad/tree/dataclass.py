"""Dataclasses as containers, registered or not.

Every field is a child, except the static ones, which stay in the treedef and are compared by class and ==:

    declared static     metadata={"static": True}, or meta_fields= on registration
    static by value     str, bytes, bool, Enum, class, dtype, function or other callable that is not itself a container
                        (in dataclasses that are not registered)

    data = (names of the children, ((name, class, value), ...) of the static fields)

The class is there because 1 == 1.0 == True, but a function compiled for one is not right for the others.

Instances are built without `__init__` and `__post_init__`: while a function is transformed the leaves are not what
those expect. Attributes that are not fields are not carried over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fungrad.tree.node import NODES, ON_REGISTRATION, RULES, Node, add_class, same_data, type_name
from fungrad.tree.paths import GetAttrKey, KeyPath

__all__ = ["register_dataclass", "static"]

_Class = TypeVar("_Class", bound=type)
_MISSING = object()
_STATIC_BASES = (str, bytes, bool, Enum, type, np.dtype)
_ARRAY_PROTOCOLS = ("__array__", "__array_function__", "__array_ufunc__")
_EXACT = frozenset({str, bool, np.ufunc, type(None)})  # values of these classes are equal only if they are the same
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that was made at run time
_MOST_SORTINGS = 4096


class _DataclassNode(Node):
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

    __slots__ = ("by_value", "declared", "defaults", "fields", "get_declared", "get_fields")

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
        self.get_fields = _tuple_getter(attrgetter, fields)
        self.get_declared = _tuple_getter(attrgetter, declared)

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        names = self.fields
        statics: tuple[tuple[str, type, Any], ...] = ()
        try:
            children = self.get_fields(x)
            if self.declared:
                statics = _with_classes(self.declared, self.get_declared(x))
        except AttributeError:  # fields that were never set; they stay so
            names, children = _set_attributes(x, self.fields)
            statics = _with_classes(*_set_attributes(x, self.declared))
        if self.by_value:
            classes = tuple(map(type, children))
            sorting = _SORTINGS.get((names, classes)) or _sort_fields(names, classes)
            if sorting.get_statics is not None:
                names = sorting.names
                statics = (*_with_classes(sorting.statics, sorting.get_statics(children)), *statics)
                children = sorting.get_children(children)
        data = names, statics
        if not statics:
            return children, data, names
        return children, data, data if all([cls in _EXACT for _, cls, _ in statics]) else None  # noqa: C419

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        names, statics = data
        x: Any = object.__new__(self.cls)
        put = object.__setattr__
        for name, child in zip(names, children):  # noqa: B905 - counted by TreeDef, and strict= is slow
            put(x, name, child)
        for name, _, value in statics:
            put(x, name, value)
        for name, make in self.defaults:
            put(x, name, make())
        return x

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        # The fields are sorted as `data` has it, not by the values in x, which may be booleans or functions.
        names, statics = data
        for name, cls, value in statics:
            own = getattr(x, name, _MISSING)
            if own is not value and (type(own) is not cls or not same_data(own, value)):
                return None
        children = [getattr(x, name, _MISSING) for name in names]
        return None if any(child is _MISSING for child in children) else children

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        return tuple([GetAttrKey(name) for name in data[0]])

    def show(self, data: Any, children: Sequence[str]) -> str:
        names, statics = data
        fields = [f"{name}={child}" for name, child in zip(names, children, strict=True)]
        fields += [f"{name}={value!r}" for name, _, value in statics]
        return f"{self.cls.__name__}({', '.join(fields)})"

    def describe(self, data: Any, count: int) -> str:
        names, statics = data
        fields = [*names, *[f"{name}={value!r}" for name, _, value in statics]]
        return f"{type_name(self.cls)}({', '.join(fields)})"


# --- which fields are static by value --------------------------------------------------------------------------------


class _Sorting(NamedTuple):
    """Which fields are children and which are static, for values of certain classes."""

    names: tuple[str, ...]
    get_children: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    statics: tuple[str, ...]
    get_statics: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None  # None: there are none


# (names of the fields, classes of their values) -> which of them are children.
_SORTINGS: dict[tuple[tuple[str, ...], tuple[type, ...]], _Sorting] = {}
ON_REGISTRATION.append(_SORTINGS.clear)


def _sort_fields(names: tuple[str, ...], classes: tuple[type, ...]) -> _Sorting:
    """Tell the children from the fields that are static by value."""
    static = [_is_static_class(cls) for cls in classes]
    children = tuple([i for i in range(len(names)) if not static[i]])
    statics = tuple([i for i in range(len(names)) if static[i]])
    sorting = _Sorting(
        tuple([names[i] for i in children]),
        _tuple_getter(itemgetter, children),
        tuple([names[i] for i in statics]),
        _tuple_getter(itemgetter, statics) if statics else None,
    )
    if len(_SORTINGS) >= _MOST_SORTINGS:
        _SORTINGS.clear()
    return _SORTINGS.setdefault((names, classes), sorting)


def _is_static_class(cls: type) -> bool:
    """Tell whether values of this class are static where they stand in a dataclass that is not registered."""
    if NODES[cls] is not None:
        return False
    is_array = any(hasattr(cls, protocol) for protocol in _ARRAY_PROTOCOLS)
    is_callable = any("__call__" in vars(base) for base in cls.__mro__)
    return issubclass(cls, _STATIC_BASES) or (is_callable and not is_array)


# --- registration ----------------------------------------------------------------------------------------------------


def register_dataclass(
    cls: _Class,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> _Class:
    """Register a class as a container whose children are the values of named fields.

    Dataclasses are containers without this; register one to say yourself which fields are children.

    Parameters
    ----------
    cls
        A dataclass, or another class whose instances are determined by their attributes.
    data_fields
        The names of the fields that are children. By default, the fields of the dataclass that are
        neither marked as `static` nor dropped, whatever their values.
    meta_fields
        The names of the fields that are static: part of the structure, compared by ==. Give both or neither.
    drop_fields
        The names of fields to leave out. A rebuilt instance has their default if there is one, else lacks them.

    Returns
    -------
    type
        The class, so that this can be used as a decorator.

    Raises
    ------
    TypeError
        If `cls` is not a dataclass and the fields are not given, or if only one of the two lists is.
    ValueError
        If a field of the dataclass is missing from the lists or named twice, if a name is not that of a field,
        or if the class is already registered.

    Notes
    -----
    Instances are built without running `__init__` or `__post_init__`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from fungrad import tree
    >>> @tree.register_dataclass
    ... @dataclass
    ... class Spring:
    ...     stiffness: float
    ...     name: str = tree.static(default="spring")
    >>> tree.structure(Spring(2.0))
    TreeDef(Spring(stiffness=*, name='spring'))
    """
    fields = {field.name: field for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else None
    if (data_fields is None) != (meta_fields is None):
        raise TypeError(f"register_dataclass({cls.__name__}): give both data_fields and meta_fields, or neither")
    if data_fields is None or meta_fields is None:
        if fields is None:
            raise TypeError(
                f"register_dataclass({cls.__name__}): the class is not a dataclass, so data_fields and meta_fields "
                "must be given"
            )
        kept = [field for name, field in fields.items() if name not in drop_fields]
        data_fields = [field.name for field in kept if not _is_declared_static(field)]
        meta_fields = [field.name for field in kept if _is_declared_static(field)]
    if fields is not None:
        _check_fields(cls, fields, [*data_fields, *meta_fields, *drop_fields])
    defaults = _defaults([fields[name] for name in drop_fields]) if fields is not None else ()
    add_class(cls, _DataclassNode(cls, tuple(data_fields), tuple(meta_fields), by_value=False, defaults=defaults))
    return cls


def static(**kwargs: Any) -> Any:
    """Declare a dataclass field that is part of the structure and not a child.

    Parameters
    ----------
    **kwargs
        What `dataclasses.field` takes.

    Returns
    -------
    dataclasses.Field
        The field, with `metadata={"static": True}`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from fungrad import tree
    >>> @dataclass
    ... class Polynomial:
    ...     coefficients: list[float]
    ...     degree: int = tree.static(default=2)
    >>> tree.leaves(Polynomial([1.0, 0.0, 3.0]))
    [1.0, 0.0, 3.0]
    """
    metadata = {**(kwargs.pop("metadata", None) or {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


def _is_declared_static(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field was declared static."""
    return bool(field.metadata.get("static", False))


def _check_fields(cls: type, fields: dict[str, dataclasses.Field[Any]], named: list[str]) -> None:
    """Raise ValueError unless each field is named once; those that `__init__` does not take may be left out."""
    unknown = sorted(set(named) - set(fields))
    missing = sorted({name for name, field in fields.items() if field.init} - set(named))
    twice = sorted({name for name in named if named.count(name) > 1})
    problems = [("not a field", unknown), ("in none of the lists", missing), ("named more than once", twice)]
    found = [f"{problem}: {', '.join(names)}" for problem, names in problems if names]
    if found:
        raise ValueError(
            f"register_dataclass({cls.__name__}): data_fields, meta_fields and drop_fields must name each field once; "
            + "; ".join(found)
        )


def _defaults(fields: Sequence[dataclasses.Field[Any]]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """Return name and factory of the fields that have a default."""
    result: list[tuple[str, Callable[[], Any]]] = []
    for field in fields:
        if field.default_factory is not dataclasses.MISSING:
            result.append((field.name, field.default_factory))
        elif field.default is not dataclasses.MISSING:
            result.append((field.name, _constant(field.default)))
    return tuple(result)


def _constant(value: Any) -> Callable[[], Any]:
    """Make a function that returns the value."""
    return lambda: value


def _with_classes(names: tuple[str, ...], values: tuple[Any, ...]) -> tuple[tuple[str, type, Any], ...]:
    """Return name, class and value of static fields."""
    return tuple(zip(names, map(type, values), values, strict=True))


def _set_attributes(x: Any, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the attributes among these that exist, and their values."""
    existing = tuple([name for name in names if hasattr(x, name)])
    return existing, tuple([getattr(x, name) for name in existing])


def _tuple_getter(
    getter: Callable[..., Callable[[Any], Any]], items: tuple[Any, ...]
) -> Callable[[Any], tuple[Any, ...]]:
    """Make an attrgetter or itemgetter that returns a tuple, also of one item or none."""
    if not items:
        return lambda x: ()
    get = getter(*items)
    return get if len(items) > 1 else lambda x: (get(x),)


def _dataclass_rule(cls: type) -> Node | None:
    """Claim dataclasses, except those that are built in C as well (of dict, Exception or ndarray) and enumerations."""
    if not dataclasses.is_dataclass(cls) or issubclass(cls, Enum):
        return None
    if next(base for base in cls.__mro__ if not base.__flags__ & _HEAP_TYPE) is not object:
        return None
    fields = dataclasses.fields(cls)
    return _DataclassNode(
        cls,
        tuple([field.name for field in fields if not _is_declared_static(field)]),
        tuple([field.name for field in fields if _is_declared_static(field)]),
        by_value=True,
    )


RULES.append(_dataclass_rule)

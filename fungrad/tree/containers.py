"""The standard containers: None, tuple, list, dict, OrderedDict, defaultdict and namedtuples.

Children of a dict come in the order of its sorted keys, so that two dicts with the same keys agree whatever the order
of insertion. Keys that do not compare (1 and "a") are sorted within each class of keys, and the classes by name.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from operator import itemgetter, lt
from typing import Any

from fungrad.tree.node import RULES, Node, add_class, same_data, type_name
from fungrad.tree.paths import DictKey, GetAttrKey, KeyPath, SequenceKey

__all__ = ["TUPLE"]

_STR = frozenset({str})
_MOST_ORDERS = 4096
_SHOWN_KEYS = 12


class _NoneNode(Node):
    """None: a container without children."""

    __slots__ = ()

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        return (), None, ()

    def unflatten(self, data: Any, children: Iterable[Any]) -> None:
        return None

    def show(self, data: Any, children: Sequence[str]) -> str:
        return "None"

    def describe(self, data: Any, count: int) -> str:
        return "None"


class _SequenceNode(Node):
    """A list or a tuple."""

    __slots__ = ()

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        return x, None, ()

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return self.cls(children)

    def split(self, x: Any, data: Any) -> Sequence[Any]:
        sequence: Sequence[Any] = x
        return sequence

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        return tuple([SequenceKey(i) for i in range(count)])

    def show(self, data: Any, children: Sequence[str]) -> str:
        inside = ", ".join(children)
        if self.cls is list:
            return f"[{inside}]"
        return f"({inside},)" if len(children) == 1 else f"({inside})"

    def describe(self, data: Any, count: int) -> str:
        return f"{self.cls.__name__} of length {count}"


class _NamedTupleNode(Node):
    """A subclass of tuple with named fields, built without calling its constructor."""

    __slots__ = ("fields",)

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self.fields: tuple[str, ...] = tuple(cls._fields)  # type: ignore[attr-defined]

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        return x, None, ()

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return tuple.__new__(self.cls, children)

    def split(self, x: Any, data: Any) -> Sequence[Any]:
        sequence: Sequence[Any] = x
        return sequence

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        return tuple([GetAttrKey(name) for name in self.fields])

    def show(self, data: Any, children: Sequence[str]) -> str:
        fields = [f"{name}={child}" for name, child in zip(self.fields, children, strict=True)]
        return f"{self.cls.__name__}({', '.join(fields)})"

    def describe(self, data: Any, count: int) -> str:
        return f"{type_name(self.cls)}({', '.join(self.fields)})"


class _DictNode(Node):
    """A dict; the data are its keys in the order of the children."""

    __slots__ = ("orders",)

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        # Keys as inserted -> keys sorted, and the function that takes the values in that order.
        self.orders: dict[tuple[str, ...], tuple[tuple[str, ...], _Getter]] = {}

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        if not _STR.issuperset(map(type, x)):  # other keys may be equal without being the same: 1, 1.0, True
            keys = sort_keys(x)
            return tuple([x[key] for key in keys]), keys, None
        inserted = tuple(x)
        known = self.orders.get(inserted)
        if known is None:
            if len(self.orders) >= _MOST_ORDERS:
                self.orders.clear()
            keys = sort_keys(inserted)
            known = self.orders[inserted] = keys, _values_getter(keys)
        keys, values = known
        return values(x), keys, keys

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return dict(zip(data, children))  # noqa: B905 - counted by TreeDef, and strict= is slow

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        if len(x) != len(data):
            return None
        try:
            return [x[key] for key in data]
        except KeyError:
            return None

    def entries(self, x: Any, data: Any, count: int) -> KeyPath:
        return tuple([DictKey(key) for key in self.keys(data)])

    def keys(self, data: Any) -> tuple[Any, ...]:
        """Return the keys in the order of the children."""
        keys: tuple[Any, ...] = data
        return keys

    def show(self, data: Any, children: Sequence[str]) -> str:
        items = [f"{key!r}: {child}" for key, child in zip(self.keys(data), children, strict=True)]
        return f"{{{', '.join(items)}}}"

    def describe(self, data: Any, count: int) -> str:
        keys = self.keys(data)
        shown = [repr(key) for key in keys[:_SHOWN_KEYS]]
        more = [f"... ({len(keys)} in all)"] if len(keys) > _SHOWN_KEYS else []
        return f"{self.cls.__name__} with keys [{', '.join(shown + more)}]"


class _OrderedDictNode(_DictNode):
    """An OrderedDict, whose order of insertion is part of its structure."""

    __slots__ = ()

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        return OrderedDict(zip(data, children, strict=True))

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        keys = tuple(x)
        return tuple(x.values()), keys, keys if _STR.issuperset(map(type, keys)) else None

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        return tuple(x.values()) if tuple(x) == data else None

    def show(self, data: Any, children: Sequence[str]) -> str:
        return f"OrderedDict({super().show(data, children)})"


class _DefaultDictNode(_DictNode):
    """A defaultdict; the data are the factory and the keys."""

    __slots__ = ()

    def flatten(self, x: Any) -> tuple[Sequence[Any], Any, Hashable]:
        children, keys, _ = super().flatten(x)
        return children, (x.default_factory, keys), None

    def unflatten(self, data: Any, children: Iterable[Any]) -> Any:
        factory, keys = data
        return defaultdict(factory, zip(keys, children, strict=True))

    def split(self, x: Any, data: Any) -> Sequence[Any] | None:
        factory, keys = data
        if len(x) != len(keys) or not all(key in x for key in keys) or not same_data(x.default_factory, factory):
            return None
        return [x[key] for key in keys]

    def keys(self, data: Any) -> tuple[Any, ...]:
        keys: tuple[Any, ...] = data[1]
        return keys

    def show(self, data: Any, children: Sequence[str]) -> str:
        return f"defaultdict({_factory_name(data[0])}, {super().show(data, children)})"

    def describe(self, data: Any, count: int) -> str:
        return f"{super().describe(data, count)} and default factory {_factory_name(data[0])}"


def _factory_name(factory: Any) -> str:
    """Name the default factory of a defaultdict."""
    return str(getattr(factory, "__qualname__", None) or repr(factory))


_Getter = Callable[[Any], tuple[Any, ...]]


def _values_getter(keys: tuple[str, ...]) -> _Getter:
    """Make the function that takes the values of these keys from a dict, as a tuple."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda x: tuple([x[key] for key in keys])


def sort_keys(keys: Iterable[Any]) -> tuple[Any, ...]:
    """Order the keys of a dict, whatever their order of insertion: by <, else by class and then by < or by repr."""
    inserted = tuple(keys)
    ordered = _in_total_order(inserted)
    if ordered is not None:
        return ordered
    groups: dict[type, list[Any]] = {}
    for key in inserted:
        groups.setdefault(type(key), []).append(key)
    result: list[Any] = []
    for cls in sorted(groups, key=type_name):
        group = groups[cls]
        result += _in_total_order(group) or sorted(group, key=repr)
    return tuple(result)


def _in_total_order(keys: Sequence[Any]) -> tuple[Any, ...] | None:
    """Sort the keys, or return None if < does not order each pair of them (sets and nan compare, but in part only)."""
    try:
        ordered = sorted(keys)
        return tuple(ordered) if all(map(lt, ordered, ordered[1:])) else None
    except (TypeError, ValueError):
        return None


def _named_tuple_rule(cls: type) -> Node | None:
    """Claim the subclasses of tuple that have named fields, which NumPy's result tuples are too."""
    fields = getattr(cls, "_fields", None)
    if issubclass(cls, tuple) and isinstance(fields, tuple) and not issubclass(cls, Enum):
        return _NamedTupleNode(cls)
    return None


TUPLE = _SequenceNode(tuple)

add_class(type(None), _NoneNode(type(None)))
add_class(tuple, TUPLE)
add_class(list, _SequenceNode(list))
add_class(dict, _DictNode(dict))
add_class(OrderedDict, _OrderedDictNode(OrderedDict))
add_class(defaultdict, _DefaultDictNode(defaultdict))
RULES.append(_named_tuple_rule)

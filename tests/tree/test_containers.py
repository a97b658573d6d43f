"""Each kind of container: order of the children, rebuilding, and what is a leaf instead."""

import enum
from collections import Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest

from fungrad import tree

Point = namedtuple("Point", ["x", "y"])


class Checked(NamedTuple):
    """A namedtuple with a method."""

    low: float
    high: float = 1.0

    def width(self):
        """Return the width."""
        return self.high - self.low


class Color(enum.Enum):
    """Keys that do not compare."""

    RED = 1
    BLUE = 2


class Name(str):
    """A string of a class of its own."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("container", "leaves", "shown"),
    [
        ((), [], "()"),
        ((1,), [1], "(*,)"),
        ((1, 2), [1, 2], "(*, *)"),
        ([], [], "[]"),
        ([3, 4], [3, 4], "[*, *]"),
        ({}, [], "{}"),
        ({"b": 1, "a": 2}, [2, 1], "{'a': *, 'b': *}"),
        ({"a": 5}, [5], "{'a': *}"),
        ({10: 1, 9: 2}, [2, 1], "{9: *, 10: *}"),
        (None, [], "None"),
        (Point(1, 2), [1, 2], "Point(x=*, y=*)"),
        (Checked(0.5), [0.5, 1.0], "Checked(low=*, high=*)"),
        (OrderedDict([("b", 1), ("a", 2)]), [1, 2], "OrderedDict({'b': *, 'a': *})"),
        (OrderedDict([(2, 1), (1, 2)]), [1, 2], "OrderedDict({2: *, 1: *})"),
        (defaultdict(list, b=1, a=2), [2, 1], "defaultdict(list, {'a': *, 'b': *})"),
    ],
)
def test_children_come_in_a_fixed_order_and_go_back(container, leaves, shown):
    """The leaves have the documented order, the repr shows the container, and unflatten gives an equal one."""
    found, treedef = tree.flatten(container)
    assert found == leaves
    assert repr(treedef) == f"TreeDef({shown})"
    rebuilt = treedef.unflatten(found)
    assert type(rebuilt) is type(container)
    assert rebuilt == container
    assert tree.leaves(container) == leaves
    assert tree.flatten(container, is_leaf=lambda x: False) == (found, treedef)


def test_a_list_is_copied():
    """Unflatten must not hand out the list of leaves that it was given."""
    leaves, treedef = tree.flatten([1, 2])
    rebuilt = treedef.unflatten(leaves)
    rebuilt.append(3)
    assert leaves == [1, 2]


def test_ordered_dict_keeps_its_order():
    """The order of insertion is part of the structure of an OrderedDict."""
    forth, back = OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)
    assert tree.structure(forth) != tree.structure(back)
    assert list(tree.map(lambda x: x, back)) == ["b", "a"]
    with pytest.raises(
        ValueError, match=r"expected OrderedDict with keys \['a', 'b'\], received OrderedDict with keys"
    ):
        tree.map(lambda x, y: 0, forth, back)


def test_default_dict_keeps_its_factory():
    """A rebuilt defaultdict must make the same defaults, and looking it up must not add keys to another tree."""
    rebuilt = tree.map(lambda x: x, defaultdict(list, a=1))
    assert rebuilt["new"] == []
    other = defaultdict(list, b=1)
    with pytest.raises(ValueError, match=r"keys \['a'\] and default factory list"):
        tree.map(lambda x, y: 0, defaultdict(list, a=1), other)
    assert list(other) == ["b"]
    with pytest.raises(ValueError, match=r"default factory list.*default factory int"):
        tree.map(lambda x, y: 0, defaultdict(list, a=1), defaultdict(int, a=1))


def test_default_dicts_agree_in_any_order():
    """Keys are matched by name."""
    a, b = defaultdict(list, a=1, b=2), defaultdict(list, b=20, a=10)
    assert tree.map(lambda x, y: (x, y), a, b) == {"a": (1, 10), "b": (2, 20)}


def test_numpy_results_are_containers():
    """NumPy's result tuples come back with their class and names."""
    result = np.linalg.svd(np.diag([3.0, 2.0]))
    doubled = tree.map(lambda x: 2 * x, result)
    assert type(doubled) is type(result)
    np.testing.assert_array_equal(doubled.S, [6.0, 4.0])


def test_named_tuples_take_leaves_of_any_kind():
    """Building a namedtuple must not run the constructor of a subclass."""

    class Positive(namedtuple("Positive", ["value"])):
        def __new__(cls, value):
            if not value > 0:
                raise ValueError
            return super().__new__(cls, value)

    rebuilt = tree.map(lambda x: None, Positive(1))
    assert type(rebuilt) is Positive
    assert rebuilt.value is None


@pytest.mark.parametrize(
    "keys",
    [
        [1, "a"],
        [1, "a", None, 2.5, b"c", "b", -3],
        [Color.RED, Color.BLUE],
        [frozenset({1}), frozenset({2}), frozenset({1, 2})],
        [1 + 2j, 3j, "a"],
        [int, str, float],
    ],
    ids=repr,
)
def test_keys_that_do_not_compare(keys):
    """Dicts with the same keys have one structure and one order of leaves, in whatever order the keys were inserted."""
    values = {key: i for i, key in enumerate(keys)}
    orders = list(permutations(keys))[::7] if len(keys) > 5 else list(permutations(keys))
    leaves, treedef = tree.flatten(values)
    assert sorted(leaves) == list(range(len(keys)))
    for order in orders:
        other = {key: values[key] for key in order}
        assert tree.flatten(other) == (leaves, treedef)
        assert hash(tree.structure(other)) == hash(treedef)
        assert tree.map(lambda x, y: x == y, values, other) == dict.fromkeys(keys, True)
        assert treedef.unflatten(leaves) == values


def test_keys_without_any_order_are_matched_by_lookup():
    """Where not even the reprs tell the keys apart, trees still go together by their keys."""

    class Key:
        def __repr__(self):
            return "Key()"

    a, b = Key(), Key()
    assert tree.map(lambda x, y: (x, y), {a: 1, b: 2}, {b: 20, a: 10}) == {a: (1, 10), b: (2, 20)}


def test_keys_keep_their_class():
    """Equal keys of other classes must not be exchanged, whichever dict was seen first."""
    for key in (1, True, 1.0, "a", Name("a"), np.str_("a")):
        (rebuilt,) = tree.map(lambda x: x, {key: 0})
        assert type(rebuilt) is type(key)


def test_nan_as_a_key():
    """A key that is not equal to itself must not get lost."""
    nan = float("nan")
    assert tree.leaves(tree.map(lambda x: 2 * x, {nan: 1, 2.0: 5})) in ([2, 10], [10, 2])


@pytest.mark.parametrize(
    "leaf",
    [
        1,
        2.5,
        1j,
        "text",
        b"bytes",
        True,
        {1, 2},
        frozenset({1}),
        deque([1, 2]),
        range(3),
        Counter("ab"),
        UserDict(a=1),
        object(),
        len,
        int,
        Color.RED,
        np.float32(1),
        type("MyList", (list,), {})([1]),
        type("MyTuple", (tuple,), {})((1,)),
        type("MyDict", (dict,), {})(a=1),
        type("MyOrderedDict", (OrderedDict,), {})(a=1),
    ],
    ids=lambda leaf: type(leaf).__name__,
)
def test_everything_else_is_a_leaf(leaf):
    """Numbers, strings, other collections and subclasses of the containers are leaves."""
    leaves, treedef = tree.flatten(leaf)
    assert leaves[0] is leaf
    assert len(leaves) == 1
    assert tree.treedef_is_leaf(treedef)
    assert treedef.unflatten([3]) == 3


def test_an_enumeration_of_tuples_is_a_leaf():
    """A member of an enumeration cannot be rebuilt from parts."""

    class Place(Point, enum.Enum):
        ORIGIN = 0, 0

    assert tree.leaves([Place.ORIGIN]) == [Place.ORIGIN]


def test_an_array_is_one_leaf():
    """Arrays are not taken apart, and come back as the same object."""
    x = np.arange(3.0)
    assert tree.leaves([x])[0] is x
    assert tree.map(lambda leaf: leaf, (x,))[0] is x

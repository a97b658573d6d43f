"""flatten and its relatives: leaf predicates, key paths, single levels."""

import copy
import pickle
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest

from fungrad import tree
from fungrad.tree import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey

Point = namedtuple("Point", ["x", "y"])


@dataclass
class Model:
    """A dataclass with a static field between its children."""

    w: Any
    name: str
    b: Any


class Opaque:
    """A registered class without keys."""

    def __init__(self, *children):
        self.children = children


tree.register_pytree_node(Opaque, lambda x: (x.children, None), lambda _, children: Opaque(*children))


def test_leaf_predicate_stops_the_descent():
    """The predicate sees each subtree from above, and nothing below one for which it is true."""
    seen = []

    def is_leaf(x):
        seen.append(x)
        return isinstance(x, list)

    value = {"a": [1, 2], "b": (3,)}
    leaves, treedef = tree.flatten(value, is_leaf)
    assert leaves == [[1, 2], 3]
    assert treedef == tree.structure({"a": 0, "b": (0,)})
    assert seen == [value, [1, 2], (3,), 3]


@pytest.mark.parametrize("function", [tree.flatten, tree.leaves, tree.structure, tree.leaves_with_path])
def test_none_can_be_a_leaf(function):
    """With the predicate None is a leaf in all these functions, without it is not."""
    count = {
        tree.flatten: lambda x: len(x[0]),
        tree.leaves: len,
        tree.structure: lambda x: x.num_leaves,
        tree.leaves_with_path: len,
    }[function]
    assert count(function([None, 1])) == 1
    assert count(function([None, 1], is_leaf=lambda x: x is None)) == 2


def test_the_whole_tree_can_be_a_leaf():
    """The predicate is asked about the root too."""
    value = [1, 2]
    assert tree.flatten(value, is_leaf=lambda x: True) == ([value], tree.structure(0))


def test_leaves_is_a_fresh_list():
    """Changing the list of leaves must not change the tree."""
    value = [1, 2]
    tree.leaves(value).append(3)
    tree.flatten(value)[0].append(3)
    assert value == [1, 2]


def test_unflatten_takes_structure_first():
    """unflatten(treedef, leaves) is the inverse of flatten."""
    leaves, treedef = tree.flatten({"a": 1, "b": [2]})
    assert tree.unflatten(treedef, leaves) == {"a": 1, "b": [2]}


def test_key_paths_of_all_containers():
    """Each container names its children in its own way, in the order of flatten."""
    value = {
        "list": [1, (2,)],
        "ordered": OrderedDict([("z", 3), ("y", 4)]),
        "point": Point(5, None),
        "model": Model(6, "name", {7: 8}),
        "opaque": Opaque(9, [10]),
        "partial": tree.Partial(print, 11, k=12),
    }
    pairs, treedef = tree.flatten_with_path(value)
    assert [leaf for _, leaf in pairs] == tree.leaves(value)
    assert treedef == tree.structure(value)
    assert {leaf: path for path, leaf in pairs} == {
        1: (DictKey("list"), SequenceKey(0)),
        2: (DictKey("list"), SequenceKey(1), SequenceKey(0)),
        3: (DictKey("ordered"), DictKey("z")),
        4: (DictKey("ordered"), DictKey("y")),
        5: (DictKey("point"), GetAttrKey("x")),
        6: (DictKey("model"), GetAttrKey("w")),
        8: (DictKey("model"), GetAttrKey("b"), DictKey(7)),
        9: (DictKey("opaque"), FlattenedIndexKey(0)),
        10: (DictKey("opaque"), FlattenedIndexKey(1), SequenceKey(0)),
        11: (DictKey("partial"), GetAttrKey("args"), SequenceKey(0)),
        12: (DictKey("partial"), GetAttrKey("keywords"), DictKey("k")),
    }
    assert tree.leaves_with_path(value) == pairs


def test_path_of_a_leaf_is_empty():
    """The root has no keys."""
    assert tree.flatten_with_path(1.0) == ([((), 1.0)], tree.structure(0))


def test_leaf_predicate_with_path():
    """With is_leaf_takes_path the predicate receives the path of the subtree."""
    pairs, treedef = tree.flatten_with_path([1, [2, [3]]], lambda path, x: len(path) == 2, is_leaf_takes_path=True)
    assert [leaf for _, leaf in pairs] == [1, 2, [3]]
    assert treedef == tree.structure([0, [0, 0]])
    pairs, _ = tree.flatten_with_path([1, [2, [3]]], lambda x: x == [3])
    assert [leaf for _, leaf in pairs] == [1, 2, [3]]


def test_keystr():
    """A path reads as the expression that reaches the leaf, or as bare names."""
    path = (DictKey("a"), SequenceKey(1), GetAttrKey("w"), FlattenedIndexKey(0), "custom")
    assert tree.keystr(path) == "['a'][1].w[<flat index 0>]custom"
    assert tree.keystr(path, simple=True, separator="/") == "a/1/w/0/custom"
    assert tree.keystr(()) == ""


@pytest.mark.parametrize(
    ("key", "other"),
    [
        (SequenceKey(0), SequenceKey(1)),
        (DictKey("a"), DictKey("b")),
        (GetAttrKey("a"), GetAttrKey("b")),
        (FlattenedIndexKey(0), FlattenedIndexKey(1)),
        (SequenceKey(0), FlattenedIndexKey(0)),
        (DictKey("a"), GetAttrKey("a")),
    ],
)
def test_keys_are_values(key, other):
    """Keys are compared by class and content, can be hashed, and are leaves of a tree of paths."""
    assert key == type(key)(*[getattr(key, name) for name in key.__match_args__])
    assert key != other
    assert len({key, other}) == 2
    assert pickle.loads(pickle.dumps(key)) == copy.copy(key) == key
    assert repr(key) in (f"{type(key).__name__}({name}={getattr(key, name)!r})" for name in key.__match_args__)
    assert tree.leaves([(key,), other]) == [key, other]
    with pytest.raises(AttributeError):
        setattr(key, key.__match_args__[0], 3)


def test_all_leaves():
    """True if nothing in the iterable is a container."""
    assert tree.all_leaves(x for x in [1, "a", len])
    assert tree.all_leaves([])
    assert not tree.all_leaves([1, None])
    assert not tree.all_leaves([1, []])
    assert tree.all_leaves([1, None, [2]], is_leaf=lambda x: not isinstance(x, int))


def test_one_level():
    """Children stay whole; a leaf has no level to take apart."""
    assert tree.flatten_one_level({"b": [1], "a": 2}) == ((2, [1]), ("a", "b"))
    assert tree.flatten_one_level([1, [2]]) == ((1, [2]), None)
    assert tree.flatten_one_level(None) == ((), None)
    assert tree.flatten_one_level_with_keys(Point(1, [2])) == (((GetAttrKey("x"), 1), (GetAttrKey("y"), [2])), None)
    for function in (tree.flatten_one_level, tree.flatten_one_level_with_keys):
        with pytest.raises(ValueError, match=r"float is a leaf, there is nothing to take apart: 1\.5"):
            function(1.5)


def test_is_tree_node():
    """Told of classes, not of instances."""
    nodes = [type(None), tuple, list, dict, OrderedDict, Point, Model, Opaque, tree.Partial]
    assert all(tree.is_tree_node(cls) for cls in nodes)
    assert not any(tree.is_tree_node(cls) for cls in [int, str, set, object, SequenceKey])

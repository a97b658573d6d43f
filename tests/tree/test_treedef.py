"""Structures as values: equality, hash, pickling, composition, errors."""

import copy
import gc
import pickle
import weakref
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

from fungrad import tree
from fungrad.tree import treedef as treedef_module

Point = namedtuple("Point", ["x", "y"])

STRUCTURES = {
    "leaf": 0,
    "none": None,
    "tuple": (0, 0),
    "list": [0, 0],
    "shorter list": [0],
    "empty list": [],
    "empty tuple": (),
    "empty dict": {},
    "nested list": [0, [0]],
    "nested the other way": [[0], 0],
    "dict": {"a": 0, "b": 0},
    "other keys": {"a": 0, "c": 0},
    "ordered dict": OrderedDict(a=0, b=0),
    "default dict": defaultdict(list, a=0, b=0),
    "another default": defaultdict(int, a=0, b=0),
    "namedtuple": Point(0, 0),
    "partial": tree.Partial(len, 0, 0),
    "partial of another function": tree.Partial(repr, 0, 0),
    "mixed keys": {1: 0, "a": 0},
    "deep": [{"a": (0, None, [0, Point(0, {"b": 0})])}, 0],
}


@pytest.mark.parametrize("one", STRUCTURES)
def test_equal_only_to_itself(one):
    """Each structure equals a second one made alike, has its hash, and differs from all others."""
    treedef = tree.structure(STRUCTURES[one])
    again = tree.structure(STRUCTURES[one], is_leaf=lambda x: False)
    assert treedef == again
    assert hash(treedef) == hash(again)
    for other, value in STRUCTURES.items():
        assert (treedef == tree.structure(value)) == (one == other)
        assert (treedef != tree.structure(value)) == (one != other)
    assert treedef != "something else"


@pytest.mark.parametrize("name", STRUCTURES)
def test_equality_without_sharing(name):
    """Structures that were made anew, as after the shared ones were forgotten, are equal by value."""
    before = tree.structure(STRUCTURES[name])
    treedef_module.INTERNED.clear()
    after = tree.structure(STRUCTURES[name])
    assert before == after
    assert hash(before) == hash(after)
    assert {before: 1}[after] == 1


def test_structures_of_common_trees_are_shared():
    """Trees of the same structure give the same object, whichever function made it, so that lookups are quick."""
    make = [lambda: [{"b": np.ones(2), "a": 1.0}, (2.0, None)], lambda: [{"a": 0, "b": 1}, ("x", None)]]
    first, second = [tree.structure(f()) for f in make]
    assert first is second
    assert first is tree.structure(make[0](), is_leaf=lambda x: False)
    assert first is tree.flatten_with_path(make[0]())[1]
    assert tree.structure(0) is tree.structure("leaf")
    assert tree.structure(None) is tree.structure(None)


def test_sharing_is_bounded(monkeypatch):
    """A program that makes ever new structures must not grow without end."""
    monkeypatch.setattr(treedef_module, "_MOST_INTERNED", 100)
    structures = [tree.structure([[{f"key {i}": 0}]]) for i in range(500)]
    assert len(treedef_module.INTERNED) <= 100
    assert len(set(structures)) == 500


def test_leaves_are_not_kept_alive():
    """A structure holds no leaf, also after it was shared."""

    class Leaf:
        pass

    leaf = Leaf()
    reference = weakref.ref(leaf)
    treedef = tree.structure([leaf, {"a": leaf}])
    del leaf
    gc.collect()
    assert reference() is None
    assert treedef.num_leaves == 2


def test_static_functions_are_not_kept_alive():
    """A function in the structure, which may hold arrays, lives no longer than the structure."""
    held = np.ones(3)

    def function():
        return held

    reference = weakref.ref(function)
    treedef = tree.structure([tree.Partial(function, 1.0)])
    del function, treedef
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("name", STRUCTURES)
def test_pickle_and_copy(name):
    """Copies are equal, have the same hash, and work."""
    treedef = tree.structure(STRUCTURES[name])
    for other in (pickle.loads(pickle.dumps(treedef)), copy.copy(treedef), copy.deepcopy(treedef)):
        assert other == treedef
        assert hash(other) == hash(treedef)
        leaves = list(range(treedef.num_leaves))
        assert tree.leaves(other.unflatten(leaves)) == leaves


def test_pickled_leaf_is_the_leaf():
    """There is one leaf structure."""
    assert pickle.loads(pickle.dumps(tree.structure(0))) is tree.structure(0)


def test_unpickling_needs_the_class():
    """A structure whose class is not registered where it is loaded is refused by name."""
    with pytest.raises(ValueError, match=r"made where set was registered .* register it here"):
        treedef_module._restore(set, None, ())


@pytest.mark.parametrize(
    ("value", "leaves", "nodes"),
    [(0, 1, 1), (None, 0, 1), ([], 0, 1), ([0, (0, 0)], 3, 5), ({"a": None, "b": [0]}, 1, 4)],
)
def test_counts(value, leaves, nodes):
    """num_leaves counts leaves; num_nodes counts leaves and containers, empty ones too."""
    treedef = tree.structure(value)
    assert (treedef.num_leaves, treedef.num_nodes) == (leaves, nodes)


def test_public_attributes_are_read_only():
    """A structure does not change."""
    treedef = tree.structure([0])
    with pytest.raises(AttributeError):
        treedef.num_leaves = 2
    with pytest.raises(AttributeError):
        treedef.anything = 2


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("value", [(0, 0), [0, [0]], {"a": 0, "b": (0,)}])
def test_unflatten_counts_the_leaves(value, count):
    """The error names the structure and both numbers."""
    treedef = tree.structure(value)
    with pytest.raises(ValueError, match=rf"unflatten: TreeDef\(.*\) has 2 leaves, received {count}"):
        treedef.unflatten(range(count))


@pytest.mark.parametrize("leaves", [[1, 2], (1, 2), iter([1, 2]), range(1, 3), {1: 0, 2: 0}, np.array([1, 2])])
def test_unflatten_takes_any_iterable(leaves):
    """Leaves may come from a list, an iterator, an array."""
    assert tree.structure([0, (0,)]).unflatten(leaves) == [1, (2,)]


def test_compose():
    """Each leaf is replaced by the inner structure."""
    outer, inner = tree.structure([0, {"a": 0}]), tree.structure((0, None))
    composed = outer.compose(inner)
    assert composed == tree.structure([(0, None), {"a": (0, None)}])
    assert composed.num_leaves == 2
    assert tree.structure(0).compose(outer) == outer == outer.compose(tree.structure(0))
    assert tree.structure(None).compose(outer) == tree.structure(None)


def test_children_and_node_data():
    """The outermost container can be looked at."""
    treedef = tree.structure({"b": [0], "a": 0})
    assert treedef.children() == [tree.structure(0), tree.structure([0])] == tree.treedef_children(treedef)
    assert treedef.node_data() == (dict, ("a", "b"))
    assert tree.structure(0).node_data() is None
    assert tree.structure(0).children() == []
    assert tree.structure(None).node_data() == (type(None), None)


def test_treedef_functions():
    """treedef_tuple makes the structure of a tuple; treedef_is_leaf is true of a single leaf only."""
    parts = [tree.structure(0), tree.structure([0])]
    assert tree.treedef_tuple(parts) == tree.structure((0, [0]))
    assert tree.treedef_tuple([]) == tree.structure(())
    assert [tree.treedef_is_leaf(tree.structure(x)) for x in (0, None, [], [0])] == [True, False, False, False]
    assert tree.PyTreeDef is tree.TreeDef


def test_flatten_up_to():
    """Subtrees stand at the leaves of the structure; a leaf takes anything, None too."""
    treedef = tree.structure([0, {"a": 0}])
    assert treedef.flatten_up_to([(1, 2), {"a": None}]) == [(1, 2), None]
    assert tree.structure(0).flatten_up_to([1]) == [[1]]
    assert tree.structure(None).flatten_up_to(None) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], r"^tree does not have .*: expected list of length 2, received list of length 1$"),
        ((1, {"a": 1}), r"^tree .*expected list of length 2, received tuple of length 2$"),
        (1.5, r"^tree .*expected list of length 2, received a leaf of type float$"),
        ([1, {"b": 1}], r"^tree\[1\] .*expected dict with keys \['a'\], received dict with keys \['b'\]$"),
        ([1, {"a": 1, "b": 2}], r"^tree\[1\] .*expected dict with keys \['a'\], received dict with keys \['a', 'b'\]$"),
        ([1, None], r"^tree\[1\] .*expected dict with keys \['a'\], received None$"),
        ([1, np.ones(1)], r"^tree\[1\] .*received a leaf of type numpy.ndarray$"),
    ],
)
def test_flatten_up_to_another_structure(value, message):
    """The error names the key path, what was expected, and what is there."""
    with pytest.raises(ValueError, match=message):
        tree.structure([0, {"a": 0}]).flatten_up_to(value)


def test_long_dicts_are_cut_in_messages():
    """A dict with many keys does not flood the message."""
    many = {f"k{i:03}": 0 for i in range(100)}
    with pytest.raises(ValueError, match=r"'k011', \.\.\. \(100 in all\)\], received None"):
        tree.structure(many).flatten_up_to(None)


def test_deep_trees():
    """A few hundred levels of nesting are fine."""
    deep = 0
    for _ in range(300):
        deep = [deep]
    leaves, treedef = tree.flatten(deep)
    assert leaves == [0]
    assert treedef.num_nodes == 301
    assert hash(treedef) == hash(tree.structure(deep))
    assert tree.map(lambda x: x, deep) == deep

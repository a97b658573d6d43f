"""What holds for every tree: round trips, agreement of the functions with each other, threads."""

import pickle
from collections import OrderedDict, defaultdict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, make_dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fungrad import tree
from fungrad.tree import node as node_module

Point = namedtuple("Point", ["x", "y"])


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dataclass with a static field."""

    w: Any
    n: int = tree.static(default=0)


@dataclass
class Loose:
    """A dataclass whose fields may be static by value."""

    w: Any
    b: Any = "static"


KEYS = st.one_of(st.text(max_size=2), st.integers(0, 3), st.booleans(), st.none(), st.tuples(st.integers(0, 1)))


def containers(children):
    """Draw a container with these children."""
    dicts = st.dictionaries(KEYS, children, max_size=4)
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
        dicts,
        dicts.map(OrderedDict),
        dicts.map(lambda d: defaultdict(list, d)),
        st.builds(Point, children, children),
        st.builds(Frozen, children, st.integers(0, 2)),
        st.builds(Loose, children),
        st.builds(Loose, children, children),
    )


trees = st.recursive(st.integers() | st.none() | st.floats(allow_nan=False), containers, max_leaves=20)


@given(trees)
def test_round_trip(value):
    """Taking a tree apart and putting it together gives an equal tree, in containers of the same classes."""
    leaves, treedef = tree.flatten(value)
    rebuilt = treedef.unflatten(leaves)
    assert rebuilt == value
    assert repr(tree.map(lambda x: x, rebuilt)) == repr(rebuilt)
    assert type(rebuilt) is type(value)
    assert tree.structure(rebuilt) == treedef


@given(trees)
def test_any_leaves_go_back(value):
    """A structure can be filled with any objects, and flattening gives these objects again."""
    treedef = tree.structure(value)
    objects = [object() for _ in range(treedef.num_leaves)]
    again, same = tree.flatten(treedef.unflatten(objects))
    assert all(a is b for a, b in zip(again, objects, strict=True))
    assert same == treedef


@given(trees)
def test_all_ways_of_flattening_agree(value):
    """flatten, leaves, structure, the predicate and the paths tell the same."""
    leaves, treedef = tree.flatten(value)
    assert tree.leaves(value) == leaves
    assert tree.structure(value) == treedef
    assert tree.flatten(value, is_leaf=lambda x: False) == (leaves, treedef)
    pairs, same = tree.flatten_with_path(value)
    assert [leaf for _, leaf in pairs] == leaves
    assert same == treedef
    assert len({path for path, _ in pairs}) == len(pairs)
    assert treedef.num_leaves == len(leaves)
    assert treedef.flatten_up_to(value) == leaves
    assert tree.flatten_prefix(value, value, is_leaf=None) == leaves
    assert tree.flatten_prefix(7, value) == [7] * len(leaves)


@given(trees)
def test_paths_lead_to_the_leaves(value):
    """Following a path from the root arrives at the leaf."""
    for path, leaf in tree.leaves_with_path(value):
        at = value
        for entry in path:
            match entry:
                case tree.SequenceKey(i) | tree.DictKey(i):
                    at = at[i]
                case tree.GetAttrKey(name):
                    at = getattr(at, name)
        assert at is leaf


@given(trees, trees)
def test_equal_structures(a, b):
    """Equality is symmetric; equal structures have equal hashes and go together, others look different."""
    one, two = tree.structure(a), tree.structure(b)
    assert (one == two) == (two == one)
    if one == two:
        assert hash(one) == hash(two)
        assert one.flatten_up_to(b) == tree.leaves(b)
    else:
        assert repr(one) != repr(two)


@given(trees)
def test_pickled_structures_are_equal(value):
    """Pickling gives an equal structure with the same hash."""
    treedef = tree.structure(value)
    copy = pickle.loads(pickle.dumps(treedef))
    assert copy == treedef
    assert hash(copy) == hash(treedef)


@given(trees, trees)
def test_compose_agrees_with_unflatten(outer, inner):
    """Composition is the structure of the outer tree with the inner tree at each leaf."""
    one, two = tree.structure(outer), tree.structure(inner)
    composed = one.compose(two)
    assert composed == tree.structure(one.unflatten([inner] * one.num_leaves))
    assert composed.num_leaves == one.num_leaves * two.num_leaves


@given(trees, trees)
def test_transpose_twice(outer, inner):
    """Turning a tree of trees inside out twice gives it back."""
    one, two = tree.structure(outer), tree.structure(inner)
    composed = one.compose(two).unflatten(range(one.num_leaves * two.num_leaves))
    assert tree.transpose(two, one, tree.transpose(one, two, composed)) == composed


@given(st.permutations([1, "a", "b", None, (0,), 2.5]))
def test_the_order_of_insertion_does_not_matter(order):
    """Dicts with the same keys have the same structure and the same order of leaves."""
    reference = {key: repr(key) for key in (1, "a", "b", None, (0,), 2.5)}
    assert tree.flatten({key: reference[key] for key in order}) == tree.flatten(reference)


arrays = st.sampled_from(
    [1.5, 2, np.ones(2), np.zeros((2, 1), dtype=np.float32), np.array(3), np.zeros((0, 2)), np.arange(3, dtype=np.int8)]
)


@given(st.recursive(arrays, containers, max_leaves=10))
def test_ravel_round_trip(value):
    """Values, shapes and dtypes of all leaves come back from the vector."""
    vector, unravel = tree.ravel_pytree(value)
    assert vector.shape == (sum(np.size(leaf) for leaf in tree.leaves(value)),)
    back = unravel(vector)
    assert tree.structure(back) == tree.structure(value)
    for a, b in zip(tree.leaves(back), tree.leaves(value), strict=True):
        assert (a.shape, a.dtype) == (np.shape(b), np.asarray(b).dtype)
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(tree.ravel_pytree(back)[0], vector)


def test_threads():
    """Threads that flatten, forget and meet new classes at the same time get right and equal results."""

    def work(i):
        for j in range(100):
            cls = make_dataclass(f"Made{j % 3}", ["w", ("b", Any, "static")])
            value = [{"a": cls(i), f"k{j}": (i, None)}, Point(j, cls(1.0, 2.0))]
            leaves, treedef = tree.flatten(value)
            assert leaves == [i, i, j, 1.0, 2.0]
            assert treedef.unflatten(leaves) == value
            assert tree.structure({"a": 1, f"k{j}": 2}) == tree.structure({f"k{j}": 1, "a": 2})
        return tree.structure([{"b": 1, "a": (2,)}, None])

    with ThreadPoolExecutor(8) as pool:
        structures = list(pool.map(work, range(16)))
    assert len(set(structures)) == 1


def test_classes_made_at_run_time_are_forgotten(monkeypatch):
    """A program that makes ever new classes must not fill the table of classes; registered ones stay."""
    monkeypatch.setattr(node_module, "_MOST_CLASSES", len(node_module.NODES) + 20)
    for i in range(200):
        cls = make_dataclass(f"Made{i}", ["w"])
        assert tree.leaves([cls(i), type("Leaf", (), {})])[0] == i
    assert len(node_module.NODES) <= node_module._MOST_CLASSES
    assert tree.leaves([{"a": 1}, tree.Partial(len, 2), Frozen(3)]) == [1, 2, 3]

"""map, reduce, all, transpose and their relatives."""

import operator
from collections import OrderedDict, namedtuple

import pytest

from fungrad import tree

Point = namedtuple("Point", ["x", "y"])


def test_map_one_tree():
    """Each leaf is replaced by its image; None stays."""
    assert tree.map(lambda x: x + 1, {"a": 1, "b": [2, None], "c": Point(3, 4)}) == {
        "a": 2,
        "b": [3, None],
        "c": Point(4, 5),
    }
    assert tree.map(lambda x: x + 1, 1) == 2
    assert tree.map(lambda x: x + 1, None) is None


def test_map_several_trees():
    """The function receives the leaves that stand at the same place."""
    result = tree.map(lambda x, y, z: (x, y, z), [1, {"a": 2}], [3, {"a": 4}], [5, {"a": 6}])
    assert result == [(1, 3, 5), {"a": (2, 4, 6)}]


def test_first_tree_sets_the_structure():
    """Further trees may go deeper; their subtrees are handed over whole."""
    assert tree.map(lambda x, y: (x, y), [1, 2], [None, {"a": 3}]) == [(1, None), (2, {"a": 3})]


def test_dicts_go_together_by_key():
    """The order of insertion does not matter."""
    assert tree.map(operator.sub, {"a": 1, "b": 2}, {"b": 20, "a": 10}) == {"a": -9, "b": -18}
    assert tree.map(operator.sub, {2: 1, "b": 2}, {"b": 20, 2: 10}) == {2: -9, "b": -18}


def test_map_with_leaf_predicate():
    """The predicate applies to the first tree; the others follow its structure."""
    result = tree.map(lambda x, y: (x, y), [None, (1, 2)], [3, [4]], is_leaf=lambda x: x is None or type(x) is tuple)
    assert result == [(None, 3), ((1, 2), [4])]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 2], [1, 2, 3], r"map: rest\[0\] .*expected list of length 2, received list of length 3"),
        ([1, 2], (1, 2), r"map: rest\[0\] .*expected list of length 2, received tuple of length 2"),
        (
            {"c": {"k": [1]}},
            {"c": {"k": [1, 2]}},
            r"map: rest\[0\]\['c'\]\['k'\] .*expected list of length 1, received",
        ),
        ({"a": 1}, {"b": 1}, r"expected dict with keys \['a'\], received dict with keys \['b'\]"),
        ({"a": 1}, OrderedDict(a=1), r"expected dict with keys \['a'\], received OrderedDict with keys \['a'\]"),
        ([None], [1], r"map: rest\[0\]\[0\] .*expected None, received a leaf of type int"),
        (Point(1, [2]), Point(1, 2), r"map: rest\[0\]\.y .*expected list of length 1, received a leaf of type int"),
        (Point(1, 2), (1, 2), r"expected .*Point\(x, y\), received tuple of length 2"),
        (
            tree.Partial(len, [1]),
            tree.Partial(len, 1),
            r"map: rest\[0\]\.args\[0\] .*expected list of length 1, received a leaf",
        ),
    ],
)
def test_map_of_different_structures(first, second, message):
    """The error names the tree, the key path, what was expected, and what is there."""
    with pytest.raises(ValueError, match=message):
        tree.map(lambda x, y: 0, first, second)


def test_map_names_the_tree_that_differs():
    """Of several trees the one at fault is named."""
    with pytest.raises(ValueError, match=r"map: rest\[1\] "):
        tree.map(lambda x, y, z: 0, [1], [1], 1)


def test_map_with_path():
    """The function receives the path, the leaf, and the subtrees of the others."""
    result = tree.map_with_path(lambda path, x, y: (tree.keystr(path), x, y), {"a": [1, 2]}, {"a": [3, [4]]})
    assert result == {"a": [("['a'][0]", 1, 3), ("['a'][1]", 2, [4])]}
    with pytest.raises(ValueError, match=r"map_with_path: rest\[0\]\['a'\] "):
        tree.map_with_path(lambda path, x, y: 0, {"a": [1, 2]}, {"a": 3})


def test_map_with_path_with_leaf_predicate():
    """Both forms of the predicate work."""
    assert tree.map_with_path(lambda path, x: x, [None, 1], is_leaf=lambda x: x is None) == [None, 1]
    result = tree.map_with_path(
        lambda path, x: len(path), [[1], 2], is_leaf=lambda path, x: len(path) == 1, is_leaf_takes_path=True
    )
    assert result == [1, 1]


def test_reduce():
    """From the left, in the order of the leaves, from the initializer if there is one."""
    value = {"b": "x", "a": ["y", "z"]}
    assert tree.reduce(operator.add, value) == "yzx"
    assert tree.reduce(operator.add, value, "-") == "-yzx"
    assert tree.reduce(operator.add, [], 5) == 5
    assert tree.reduce(operator.add, [], None) is None
    assert tree.reduce(lambda n, x: n + 1, [None, 1], 0, is_leaf=lambda x: x is None) == 2
    with pytest.raises(TypeError, match="reduce: the tree has no leaves and there is no initializer"):
        tree.reduce(operator.add, [None])


def test_reduce_associative():
    """The same as reduce for associative operations, in any number of leaves."""
    for n in range(1, 20):
        value = [chr(97 + i) for i in range(n)]
        assert tree.reduce_associative(operator.add, value) == "".join(value)
    assert tree.reduce_associative(operator.add, [], identity="e") == "e"
    assert tree.reduce_associative(operator.add, [None, 1], identity=0) == 1
    with pytest.raises(TypeError, match="no leaves and there is no identity"):
        tree.reduce_associative(operator.add, ())


def test_reduce_associative_is_balanced():
    """No leaf goes through more than log2(n) operations."""
    assert tree.reduce_associative(lambda a, b: max(a, b) + 1, [0] * 64) == 6


def test_all():
    """True if no leaf is false."""
    assert tree.all([1, {"a": True}])
    assert not tree.all([1, {"a": False}])
    assert tree.all([])
    assert tree.all([None])
    assert not tree.all([None], is_leaf=lambda x: x is None)


def test_transpose():
    """A list of dicts becomes a dict of lists, and back."""
    rows = [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}, {"a": 7, "b": (8, 9)}]
    columns = {"a": [1, 4, 7], "b": ([2, 5, 8], [3, 6, 9])}
    outer, inner = tree.structure([0, 0, 0]), tree.structure(rows[0])
    assert tree.transpose(outer, inner, rows) == columns
    assert tree.transpose(outer, None, rows) == columns
    assert tree.transpose(inner, outer, columns) == rows


def test_transpose_without_leaves():
    """Empty outer or inner trees turn into empty trees."""
    assert tree.transpose(tree.structure([]), tree.structure({"a": 0}), []) == {"a": []}
    assert tree.transpose(tree.structure([0, 0]), tree.structure(None), [None, None]) is None
    with pytest.raises(ValueError, match="inner_treedef must be given"):
        tree.transpose(tree.structure([]), None, [])


def test_transpose_of_other_structures():
    """Inner trees that differ are an error, never a mixture."""
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0})
    with pytest.raises(
        ValueError, match=r"transpose: inner tree 1, tree .*keys \['a'\], received dict with keys \['b'\]"
    ):
        tree.transpose(outer, inner, [{"a": 1}, {"b": 2}])
    with pytest.raises(ValueError, match=r"transpose: tree .*expected list of length 2"):
        tree.transpose(outer, inner, [{"a": 1}])

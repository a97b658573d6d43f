"""Prefix trees: flatten_prefix and broadcast."""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fungrad import tree

Point = namedtuple("Point", ["x", "y"])


@dataclass
class Model:
    """Two children and a static field."""

    w: Any
    b: Any
    name: str = "model"


FULL = (1.0, {"a": [2.0, 3.0], "b": Point(4.0, None)}, Model(5.0, 6.0))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (0, [0, 0, 0, 0, 0, 0]),
        (None, [None] * 6),
        ((0, 1, 2), [0, 1, 1, 1, 2, 2]),
        ((0, None, 2), [0, None, None, None, 2, 2]),
        ((0, {"b": 1, "a": 2}, 3), [0, 2, 2, 1, 3, 3]),
        ((0, {"a": [1, 2], "b": Point(3, 4)}, Model(5, None)), [0, 1, 2, 3, 5, None]),
        ((0, {"a": [1, 2], "b": Point(3, None)}, Model(True, "x")), [0, 1, 2, 3, True, "x"]),
    ],
)
def test_each_leaf_of_the_prefix_is_repeated(prefix, expected):
    """There is one value for each leaf of the full tree; None is a value like others."""
    assert tree.flatten_prefix(prefix, FULL) == expected
    assert tree.flatten_prefix(prefix, tree.structure(FULL)) == expected


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ([0, 1, 2], r"^in_axes does not fit .*expected tuple of length 3, received list of length 3$"),
        ((0, 1), r"^in_axes does not fit .*expected tuple of length 3, received tuple of length 2$"),
        ((0, {"a": 1}, 2), r"^in_axes\[1\] .*expected dict with keys \['a', 'b'\], received dict with keys \['a'\]$"),
        (
            (0, {"a": (1, 2), "b": 0}, 2),
            r"^in_axes\[1\]\['a'\] .*expected list of length 2, received tuple of length 2$",
        ),
        (([0], 1, 2), r"^in_axes\[0\] .*expected a leaf, received list of length 1$"),
        ((0, 1, Model([0], 1)), r"^in_axes\[2\]\.w .*expected a leaf, received list of length 1$"),
        ((0, 1, Model(0, 1, "other")), r"^in_axes\[2\] .*name='model'\), received .*name='other'\)$"),
    ],
)
def test_prefix_that_does_not_fit(prefix, message):
    """The error names the prefix, the key path, and what stands there in both trees."""
    with pytest.raises(ValueError, match=message):
        tree.flatten_prefix(prefix, FULL, "in_axes")


def test_none_can_be_a_container():
    """Without the predicate None in the prefix stands for None in the tree alone."""
    assert tree.flatten_prefix((0, None), (1.0, None), is_leaf=None) == [0]
    with pytest.raises(ValueError, match=r"prefix\[1\] .*expected a leaf, received None"):
        tree.flatten_prefix((0, None), (1.0, 2.0), is_leaf=None)


def test_leaf_predicate():
    """Containers can be made leaves of the prefix."""
    assert tree.flatten_prefix([(0, 1), 2], [[1.0, 2.0], 3.0], is_leaf=lambda x: type(x) is tuple) == [
        (0, 1),
        (0, 1),
        2,
    ]


def test_broadcast():
    """The result has the structure of the full tree and the leaves of the prefix."""
    assert tree.broadcast((0, 1, 2), FULL) == (0, {"a": [1, 1], "b": Point(1, None)}, Model(2, 2))
    assert tree.broadcast([0, 1], tree.structure([1.0, (2.0, 3.0)])) == [0, (1, 1)]
    with pytest.raises(ValueError, match="prefix_tree does not fit"):
        tree.broadcast([0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"prefix_tree\[0\] .*received None"):
        tree.broadcast([None], [1.0])
    assert tree.broadcast([None], [[1.0]], is_leaf=lambda x: x is None) == [[None]]


def test_arrays_are_not_copied():
    """A repeated leaf is one object."""
    x = np.ones(2)
    assert all(leaf is x for leaf in tree.flatten_prefix(x, [1, 2, 3]))

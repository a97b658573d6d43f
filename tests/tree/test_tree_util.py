"""The same functions under their longer names."""

import pytest

from fungrad import tree, tree_util

RENAMED = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "structure",
    "transpose",
    "unflatten",
]


@pytest.mark.parametrize("name", RENAMED)
def test_renamed_functions(name):
    """tree_map is map, and so on."""
    assert getattr(tree_util, f"tree_{name}") is getattr(tree, name)


def test_names():
    """Both modules export what they promise, each name once, and nothing is missing on either side."""
    for module in (tree, tree_util):
        assert len(set(module.__all__)) == len(module.__all__)
        assert all(hasattr(module, name) for name in module.__all__)
    same = set(tree.__all__) - set(RENAMED) - {"TreeDef", "flatten_prefix"}
    assert set(tree_util.__all__) == same | {f"tree_{name}" for name in RENAMED}
    assert all(getattr(tree, name) is getattr(tree_util, name) for name in same)


@pytest.mark.parametrize("module", [tree, tree_util])
def test_everything_has_a_docstring(module):
    """Each public function and class is documented with an example."""
    for name in module.__all__:
        value = getattr(module, name)
        if name not in ("KeyEntry", "KeyPath"):
            assert ">>>" in value.__doc__, name

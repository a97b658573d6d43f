"""Prefix trees: one value for a whole subtree.

A prefix of a tree has its containers down to some depth; each leaf of the prefix stands for all the leaves below it.
`{"a": 0, "b": None}` is a prefix of `{"a": [x, y], "b": z}` and says 0, 0, None of x, y, z.
"""

from __future__ import annotations

from typing import Any

from fungrad.tree.flattening import IsLeaf, structure
from fungrad.tree.node import NODES
from fungrad.tree.paths import keystr
from fungrad.tree.treedef import Fault, TreeDef, difference, entry_of_child, split

__all__ = ["broadcast", "flatten_prefix"]


def _is_none(x: Any) -> bool:
    """Tell whether this is None."""
    return x is None


def flatten_prefix(prefix: Any, tree: Any, what: str = "prefix", is_leaf: IsLeaf | None = _is_none) -> list[Any]:
    """Return the leaves of a prefix tree, repeated to one for each leaf of the full tree.

    Parameters
    ----------
    prefix
        The prefix. A leaf for the whole tree will do.
    tree
        The full tree, or its `TreeDef`.
    what
        What an error message calls the prefix: ``"in_axes"``.
    is_leaf
        Called with each subtree of the prefix; where it is true, the subtree is a leaf. By default, None is one.

    Returns
    -------
    list
        As many values as the full tree has leaves.

    Raises
    ------
    ValueError
        If `prefix` is not a prefix of `tree`; the message names the key path and both containers.

    Examples
    --------
    >>> flatten_prefix((0, {"a": None, "b": 1}), (1.0, {"a": [2.0, 3.0], "b": 4.0}))
    [0, None, None, 1]
    """
    repeated: list[Any] = []
    fault = _spread(prefix, tree if isinstance(tree, TreeDef) else structure(tree), is_leaf, repeated)
    if fault is not None:
        path, text = fault
        raise ValueError(f"{what}{keystr(path)} does not fit the tree that {what} is for: {text}")
    return repeated


def _spread(prefix: Any, treedef: TreeDef, is_leaf: IsLeaf | None, repeated: list[Any]) -> Fault | None:
    """Append the leaves of the prefix as often as needed; return where it does not fit, if so."""
    if NODES[type(prefix)] is None or (is_leaf is not None and is_leaf(prefix)):
        repeated.extend([prefix] * treedef.num_leaves)
        return None
    children = split(treedef, prefix)
    if children is None:
        return (), difference(treedef, prefix)
    for i, (child, inner) in enumerate(zip(children, treedef.children(), strict=True)):
        if (fault := _spread(child, inner, is_leaf, repeated)) is not None:
            path, text = fault
            return (entry_of_child(treedef, prefix, i), *path), text
    return None


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf | None = None) -> Any:
    """Extend a prefix tree to the full structure.

    Parameters
    ----------
    prefix_tree
        The prefix.
    full_tree
        The full tree, or its `TreeDef`.
    is_leaf
        Called with each subtree of the prefix; where it is true, the subtree is a leaf.

    Returns
    -------
    Any
        A tree with the structure of `full_tree` and the leaves of the prefix.

    Raises
    ------
    ValueError
        If `prefix_tree` is not a prefix of `full_tree`.

    Examples
    --------
    >>> broadcast([0, 1], [{"a": 2.0}, (3.0, 4.0)])
    [{'a': 0}, (1, 1)]
    """
    treedef = full_tree if isinstance(full_tree, TreeDef) else structure(full_tree)
    return treedef.unflatten(flatten_prefix(prefix_tree, treedef, "prefix_tree", is_leaf))

"""Take trees apart, with and without key paths, and put them together.

    flatten   : tree -> (leaves, treedef)
    unflatten : (treedef, leaves) -> tree

`flatten` runs at each call of a transformed function. So there is a recursion for leaves and structure, one for leaves
alone, one with `is_leaf` and one with paths: tests for these at every node would cost more than taking it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from fungrad.tree.node import LEAF_TYPES, NODES, type_name
from fungrad.tree.paths import KeyEntry, KeyPath
from fungrad.tree.treedef import INTERNED, LEAF, TreeDef, make_flat_treedef, make_treedef

__all__ = [
    "IsLeaf",
    "all_leaves",
    "flatten",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "structure",
    "unflatten",
]

IsLeaf = Callable[[Any], bool]


def flatten(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeDef]:
    """Take a tree apart into its leaves and its structure.

    Parameters
    ----------
    tree
        Any nesting of containers: tuple, list, dict, None (which has no leaves), namedtuple, OrderedDict,
        defaultdict, dataclasses and registered classes. Everything else is a leaf.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    leaves : list
        In the order of the containers; the values of a dict in the order of its sorted keys.
    treedef : TreeDef
        What `unflatten` needs to rebuild the tree.

    Examples
    --------
    >>> flatten({"b": 1.0, "a": [2.0, None, (3.0,)]})
    ([2.0, 3.0, 1.0], TreeDef({'a': [*, None, (*,)], 'b': *}))
    >>> flatten([1.0, None], is_leaf=lambda x: x is None)
    ([1.0, None], TreeDef([*, *]))
    """
    found: list[Any] = []
    if is_leaf is None:
        return found, _flatten(tree, found)
    return found, _flatten_until(tree, is_leaf, found)


def unflatten(treedef: TreeDef, leaves: Iterable[Any]) -> Any:
    """Build the tree of a structure that has the given leaves; the inverse of `flatten`.

    Parameters
    ----------
    treedef
        The structure.
    leaves
        As many leaves as the structure has. They may be objects of any kind.

    Returns
    -------
    Any

    Raises
    ------
    ValueError
        If the number of leaves does not fit; the message names both numbers.

    Examples
    --------
    >>> unflatten(structure({"a": 0, "b": (0, 0)}), [1.0, 2.0, 3.0])
    {'a': 1.0, 'b': (2.0, 3.0)}
    """
    return treedef.unflatten(leaves)


def leaves(tree: Any, is_leaf: IsLeaf | None = None) -> list[Any]:
    """Return the leaves of a tree.

    Parameters
    ----------
    tree
        A tree, see `flatten`.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    list

    Examples
    --------
    >>> leaves([1.0, {"a": 2.0}, None])
    [1.0, 2.0]
    """
    found: list[Any] = []
    if is_leaf is None:
        _collect(tree, found)
    else:
        _flatten_until(tree, is_leaf, found)
    return found


def structure(tree: Any, is_leaf: IsLeaf | None = None) -> TreeDef:
    """Return the structure of a tree.

    Parameters
    ----------
    tree
        A tree, see `flatten`.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    TreeDef

    Examples
    --------
    >>> structure([1.0, {"a": 2.0}])
    TreeDef([*, {'a': *}])
    """
    return flatten(tree, is_leaf)[1]


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf | None = None) -> bool:
    """Tell whether each of the given objects is a leaf.

    Parameters
    ----------
    iterable
        The objects.
    is_leaf
        Called with each object; where it is true, the object counts as a leaf.

    Returns
    -------
    bool

    Examples
    --------
    >>> all_leaves([1.0, "a"]), all_leaves([1.0, None]), all_leaves([[1.0]])
    (True, False, False)
    """
    return all(NODES[type(x)] is None or (is_leaf is not None and bool(is_leaf(x))) for x in iterable)


def _flatten(tree: Any, found: list[Any]) -> TreeDef:
    """Append the leaves and return the structure."""
    node = NODES[type(tree)]
    if node is None:
        found.append(tree)
        return LEAF
    children, data, key = node.flatten(tree)
    if LEAF_TYPES.issuperset(map(type, children)):
        found.extend(children)
        count = len(children)
        if key is not None and (shared := INTERNED.get((node, key, count))) is not None:
            return shared
        return make_flat_treedef(node, data, count, key)
    defs = [_flatten(child, found) for child in children]
    if key is not None:  # look here for what make_treedef would find, without computing what it needs to make one
        ids = tuple([id(inner) for inner in defs if inner._interned])
        if len(ids) == len(defs) and (shared := INTERNED.get((node, key, ids))) is not None:
            return shared
    return make_treedef(node, data, defs, key)


def _collect(tree: Any, found: list[Any]) -> None:
    """Append the leaves."""
    node = NODES[type(tree)]
    if node is None:
        found.append(tree)
        return
    children = node.flatten(tree)[0]
    if LEAF_TYPES.issuperset(map(type, children)):
        found.extend(children)
        return
    for child in children:
        _collect(child, found)


def _flatten_until(tree: Any, is_leaf: IsLeaf, found: list[Any]) -> TreeDef:
    """Append the leaves, where the predicate may end the descent, and return the structure."""
    node = None if is_leaf(tree) else NODES[type(tree)]
    if node is None:
        found.append(tree)
        return LEAF
    children, data, key = node.flatten(tree)
    return make_treedef(node, data, [_flatten_until(child, is_leaf, found) for child in children], key)


# --- with key paths --------------------------------------------------------------------------------------------------


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], TreeDef]:
    """Take a tree apart into its leaves, each with its key path, and its structure.

    Parameters
    ----------
    tree
        A tree, see `flatten`.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.
    is_leaf_takes_path
        Call `is_leaf(path, subtree)` instead of `is_leaf(subtree)`.

    Returns
    -------
    leaves : list of (path, leaf)
        A path is a tuple of `SequenceKey`, `DictKey`, `GetAttrKey`, `FlattenedIndexKey` and whatever keys
        registered classes give.
    treedef : TreeDef

    Examples
    --------
    >>> from fungrad.tree import keystr
    >>> leaves, _ = flatten_with_path({"a": [1.0, 2.0], "b": 3.0})
    >>> [(keystr(path), leaf) for path, leaf in leaves]
    [("['a'][0]", 1.0), ("['a'][1]", 2.0), ("['b']", 3.0)]
    """
    found: list[tuple[KeyPath, Any]] = []
    return found, _flatten_path(tree, (), _stop(is_leaf, is_leaf_takes_path), found)


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """Return the leaves of a tree, each with its key path.

    Parameters
    ----------
    tree
        A tree, see `flatten`.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.
    is_leaf_takes_path
        Call `is_leaf(path, subtree)` instead of `is_leaf(subtree)`.

    Returns
    -------
    list of (path, leaf)

    Examples
    --------
    >>> leaves_with_path((1.0,))
    [((SequenceKey(idx=0),), 1.0)]
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def _stop(is_leaf: Callable[..., bool] | None, takes_path: bool) -> Callable[[KeyPath, Any], bool]:
    """Make the predicate of path and subtree that ends the descent."""
    if is_leaf is None:
        return lambda path, tree: False
    return is_leaf if takes_path else lambda path, tree: is_leaf(tree)


def _flatten_path(
    tree: Any, path: KeyPath, is_leaf: Callable[[KeyPath, Any], bool], found: list[tuple[KeyPath, Any]]
) -> TreeDef:
    """Append (path, leaf) for each leaf and return the structure."""
    node = None if is_leaf(path, tree) else NODES[type(tree)]
    if node is None:
        found.append((path, tree))
        return LEAF
    children, data, key = node.flatten(tree)
    entries = node.entries(tree, data, len(children))
    defs = [
        _flatten_path(child, (*path, entry), is_leaf, found) for entry, child in zip(entries, children, strict=True)
    ]
    return make_treedef(node, data, defs, key)


# --- one level -------------------------------------------------------------------------------------------------------


def flatten_one_level(tree: Any) -> tuple[tuple[Any, ...], Hashable]:
    """Take the outermost container apart.

    Parameters
    ----------
    tree
        A container.

    Returns
    -------
    children : tuple
    data
        Its static data: the keys of a dict, None for a list.

    Raises
    ------
    ValueError
        If `tree` is a leaf.

    Examples
    --------
    >>> flatten_one_level({"b": 1.0, "a": [2.0]})
    (([2.0], 1.0), ('a', 'b'))
    """
    children, data = _one_level(tree)
    return tuple(children), data


def flatten_one_level_with_keys(tree: Any) -> tuple[tuple[tuple[KeyEntry, Any], ...], Hashable]:
    """Take the outermost container apart into its children, each with its key.

    Parameters
    ----------
    tree
        A container.

    Returns
    -------
    children : tuple of (key, child)
    data
        Its static data.

    Raises
    ------
    ValueError
        If `tree` is a leaf.

    Examples
    --------
    >>> flatten_one_level_with_keys([1.0])
    (((SequenceKey(idx=0), 1.0),), None)
    """
    children, data = _one_level(tree)
    node = NODES[type(tree)]
    assert node is not None
    return tuple(zip(node.entries(tree, data, len(children)), children, strict=True)), data


def _one_level(tree: Any) -> tuple[Sequence[Any], Any]:
    """Return the children and the data of a container."""
    node = NODES[type(tree)]
    if node is None:
        raise ValueError(f"{type_name(type(tree))} is a leaf, there is nothing to take apart: {tree!r}")
    children, data, _ = node.flatten(tree)
    return children, data

"""Functions of trees, leaf by leaf.

The names `map` and `all` are those of the public functions; this module does not use the builtins of that name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fungrad.tree.flattening import IsLeaf, flatten, flatten_with_path, leaves, structure
from fungrad.tree.treedef import TreeDef, match

__all__ = ["all", "map", "map_with_path", "reduce", "reduce_associative", "transpose"]

_MISSING: Any = object()


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf | None = None) -> Any:
    """Apply a function to each leaf of a tree, or to the corresponding leaves of several trees.

    Parameters
    ----------
    f
        ``f(leaf, *others)``, where the others come from `rest`.
    tree
        The tree whose structure the result has.
    *rest
        Trees with the same structure, which may go deeper: where `tree` has a leaf, `f` receives their subtree.
    is_leaf
        Called with each subtree of `tree`; where it is true, the subtree is a leaf.

    Returns
    -------
    Any
        A tree of the values of `f`.

    Raises
    ------
    ValueError
        If a tree in `rest` has other containers than `tree`; the message names the key path and both of them.

    Examples
    --------
    >>> map(lambda x: 2 * x, {"a": 1.0, "b": [2.0, None]})
    {'a': 2.0, 'b': [4.0, None]}
    >>> map(lambda x, y: (x, y), [1.0, 2.0], [{"a": 3.0}, 4.0])
    [(1.0, {'a': 3.0}), (2.0, 4.0)]
    """
    firsts, treedef = flatten(tree, is_leaf)
    if not rest:
        return treedef.unflatten([f(leaf) for leaf in firsts])
    others = [match(treedef, other, f"map: rest[{i}]") for i, other in enumerate(rest)]
    return treedef.unflatten([f(*xs) for xs in zip(firsts, *others, strict=True)])


def map_with_path(
    f: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:
    """Apply a function to the key path and the value of each leaf.

    Parameters
    ----------
    f
        ``f(path, leaf, *others)``, where the others come from `rest`.
    tree
        The tree whose structure the result has.
    *rest
        Trees with the same structure, which may go deeper.
    is_leaf
        Called with each subtree of `tree`; where it is true, the subtree is a leaf.
    is_leaf_takes_path
        Call `is_leaf(path, subtree)` instead of `is_leaf(subtree)`.

    Returns
    -------
    Any
        A tree of the values of `f`.

    Raises
    ------
    ValueError
        If a tree in `rest` has other containers than `tree`.

    Examples
    --------
    >>> from fungrad.tree import keystr
    >>> map_with_path(lambda path, x: f"{keystr(path)} = {x}", {"a": [1.0, 2.0]})
    {'a': ["['a'][0] = 1.0", "['a'][1] = 2.0"]}
    """
    firsts, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    others = [match(treedef, other, f"map_with_path: rest[{i}]") for i, other in enumerate(rest)]
    return treedef.unflatten([f(*first, *xs) for first, *xs in zip(firsts, *others, strict=True)])


def reduce(
    function: Callable[[Any, Any], Any], tree: Any, initializer: Any = _MISSING, is_leaf: IsLeaf | None = None
) -> Any:
    """Combine the leaves of a tree from the left, as `functools.reduce` does.

    Parameters
    ----------
    function
        ``function(so_far, leaf) -> so_far``.
    tree
        A tree.
    initializer
        The value to start from; by default, the first leaf.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    Any

    Raises
    ------
    TypeError
        If there are no leaves and no initializer.

    Examples
    --------
    >>> reduce(lambda total, x: total + x, {"a": 1.0, "b": [2.0, 3.0]})
    6.0
    """
    values = leaves(tree, is_leaf)
    if initializer is not _MISSING:
        return functools.reduce(function, values, initializer)
    if not values:
        raise TypeError("reduce: the tree has no leaves and there is no initializer")
    return functools.reduce(function, values)


def reduce_associative(
    operation: Callable[[Any, Any], Any], tree: Any, *, identity: Any = _MISSING, is_leaf: IsLeaf | None = None
) -> Any:
    """Combine the leaves of a tree pairwise, in a balanced binary tree.

    Parameters
    ----------
    operation
        An associative operation; for floating-point sums the balanced order is the more accurate one.
    tree
        A tree.
    identity
        The result if there are no leaves.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    Any

    Raises
    ------
    TypeError
        If there are no leaves and no identity.

    Examples
    --------
    >>> reduce_associative(lambda a, b: f"({a}{b})", list("abcde"))
    '(((ab)(cd))e)'
    """
    values = leaves(tree, is_leaf)
    if not values:
        if identity is _MISSING:
            raise TypeError("reduce_associative: the tree has no leaves and there is no identity")
        return identity
    while len(values) > 1:
        pairs = [operation(a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = pairs + values[2 * len(pairs) :]
    return values[0]


def all(tree: Any, *, is_leaf: IsLeaf | None = None) -> bool:
    """Tell whether all leaves of a tree are true.

    Parameters
    ----------
    tree
        A tree.
    is_leaf
        Called with each subtree; where it is true, the subtree is a leaf.

    Returns
    -------
    bool
        True if there are no leaves.

    Examples
    --------
    >>> all({"a": True, "b": [1, None]}), all([True, 0])
    (True, False)
    """
    return not [leaf for leaf in leaves(tree, is_leaf) if not leaf]


def transpose(outer_treedef: TreeDef, inner_treedef: TreeDef | None, pytree_to_transpose: Any) -> Any:
    """Turn a tree of trees inside out.

    Parameters
    ----------
    outer_treedef
        The structure of the outer tree.
    inner_treedef
        The structure of the trees at its leaves; None to take that of the first one.
    pytree_to_transpose
        A tree that has the outer structure, with trees of the inner structure in it.

    Returns
    -------
    Any
        A tree that has the inner structure, with trees of the outer structure in it.

    Raises
    ------
    ValueError
        If the tree does not have these structures; the message names the key path.

    Examples
    --------
    >>> points = [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]
    >>> transpose(structure([0, 0]), None, points)
    {'x': [1.0, 3.0], 'y': [2.0, 4.0]}
    """
    rows = match(outer_treedef, pytree_to_transpose, "transpose: tree")
    if inner_treedef is None:
        if not rows:
            raise ValueError("transpose: the outer structure has no leaves, so inner_treedef must be given")
        inner_treedef = structure(rows[0])
    columns = [match(inner_treedef, row, f"transpose: inner tree {i}, tree") for i, row in enumerate(rows)]
    turned = [outer_treedef.unflatten([column[i] for column in columns]) for i in range(inner_treedef.num_leaves)]
    return inner_treedef.unflatten(turned)

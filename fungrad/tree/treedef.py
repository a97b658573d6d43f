"""Structures of trees: what is left of a tree when its leaves are taken out.

    treedef = *                                  the leaf
            | node(data; treedef, ..., treedef)  a container: its class, its static data, its children

Treedefs are values: equal if class, data and children are. For speed, the treedefs of trees that occur again and again
are shared (`INTERNED`): then equality is a comparison of addresses and the hash is computed once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, final

from fungrad.tree.containers import TUPLE
from fungrad.tree.node import NODES, Node, same_data, type_name
from fungrad.tree.paths import FlattenedIndexKey, KeyEntry, KeyPath, keystr

__all__ = [
    "INTERNED",
    "LEAF",
    "PyTreeDef",
    "TreeDef",
    "make_treedef",
    "match",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]

# A place where two trees part, and in what: (key path, "expected ..., received ...").
Fault = tuple[KeyPath, str]


@final
class TreeDef:
    """The structure of a tree: its containers without the leaves.

    Made by `flatten` and `structure`; immutable, hashable if its static data are, picklable if its classes are.

    Examples
    --------
    >>> from fungrad import tree
    >>> treedef = tree.structure([1.0, {"a": 2.0}])
    >>> treedef
    TreeDef([*, {'a': *}])
    >>> treedef.num_leaves, treedef.num_nodes
    (2, 4)
    >>> treedef.unflatten("xy")
    ['x', {'a': 'y'}]
    """

    __slots__ = ("_children", "_data", "_flat", "_hash", "_interned", "_node", "_num_leaves", "_num_nodes")

    _node: Node | None  # None: the leaf
    _data: Any
    _children: tuple[TreeDef, ...]
    _num_leaves: int
    _flat: bool  # a container whose children are all leaves
    _interned: bool  # shared, so that its address stands for its value
    _hash: int | None
    _num_nodes: int | None

    def __init__(
        self, node: Node | None, data: Any, children: tuple[TreeDef, ...], num_leaves: int, flat: bool
    ) -> None:
        self._node = node
        self._data = data
        self._children = children
        self._num_leaves = num_leaves
        self._flat = flat
        self._interned = False
        self._hash = None
        self._num_nodes = None

    @property
    def num_leaves(self) -> int:
        """The number of leaves."""
        return self._num_leaves

    @property
    def num_nodes(self) -> int:
        """The number of containers and leaves."""
        if self._num_nodes is None:
            self._num_nodes = 1 + sum([child.num_nodes for child in self._children])
        return self._num_nodes

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """Build the tree of this structure that has the given leaves.

        Parameters
        ----------
        leaves
            The leaves, in the order that `flatten` gives. They may be objects of any kind.

        Returns
        -------
        Any

        Raises
        ------
        ValueError
            If the number of leaves is not `num_leaves`.
        """
        values = leaves if type(leaves) is list or type(leaves) is tuple else list(leaves)
        if len(values) != self._num_leaves:
            raise ValueError(f"unflatten: {self} has {self._num_leaves} leaves, received {len(values)}")
        if self._flat:
            return self._node.unflatten(self._data, values)  # type: ignore[union-attr]
        return _build(self, iter(values))

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """Take a tree apart as far as this structure goes.

        Parameters
        ----------
        tree
            A tree that this structure is a prefix of.

        Returns
        -------
        list
            The subtree of `tree` at each leaf of the structure.

        Raises
        ------
        ValueError
            If `tree` has other containers; the message names the key path and both of them.

        Examples
        --------
        >>> from fungrad import tree
        >>> tree.structure([0, 0]).flatten_up_to([1.0, {"a": 2.0}])
        [1.0, {'a': 2.0}]
        """
        return match(self, tree, "tree")

    def children(self) -> list[TreeDef]:
        """Return the structures of the children; none for a leaf."""
        return list(self._children)

    def node_data(self) -> tuple[type, Any] | None:
        """Return the class of the outermost container and its static data, or None for a leaf."""
        return None if self._node is None else (self._node.cls, self._data)

    def compose(self, inner: TreeDef) -> TreeDef:
        """Return this structure with another one in the place of each leaf.

        Parameters
        ----------
        inner
            What to put at the leaves.

        Returns
        -------
        TreeDef

        Examples
        --------
        >>> from fungrad import tree
        >>> tree.structure([0, 0]).compose(tree.structure((0,)))
        TreeDef([(*,), (*,)])
        """
        if self._node is None:
            return inner
        return make_treedef(self._node, self._data, [child.compose(inner) for child in self._children], None)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, TreeDef):
            return NotImplemented
        if self._node is None or other._node is None:
            return self._node is other._node
        return (
            self._node.cls is other._node.cls
            and self._num_leaves == other._num_leaves
            and self._children == other._children
            and (self._data is other._data or same_data(self._data, other._data))
        )

    def __hash__(self) -> int:
        if self._hash is None:
            cls = None if self._node is None else self._node.cls
            try:
                self._hash = hash((cls, self._data, self._children))
            except TypeError:
                self._check_hashable()
                raise
        return self._hash

    def _check_hashable(self) -> None:
        """Raise a TypeError that names this container if it is its own data that cannot be hashed."""
        try:
            hash(self._data)
        except TypeError as error:
            cls = type(None) if self._node is None else self._node.cls
            raise TypeError(
                f"the static data of {type_name(cls)} is not hashable ({error}): {self._data!r}; "
                "static fields and auxiliary data must be hashable, arrays belong into children"
            ) from None

    def __repr__(self) -> str:
        return f"TreeDef({self._show()})"

    def _show(self) -> str:
        """Render the structure, a leaf as a star."""
        if self._node is None:
            return "*"
        return self._node.show(self._data, [child._show() for child in self._children])

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "LEAF" if self._node is None else (_restore, (self._node.cls, self._data, self._children))


PyTreeDef = TreeDef

LEAF = TreeDef(None, None, (), 1, flat=False)
LEAF._interned = True


def _restore(cls: type, data: Any, children: tuple[TreeDef, ...]) -> TreeDef:
    """Rebuild an unpickled treedef."""
    node = NODES[cls]
    if node is None:
        raise ValueError(f"the treedef was made where {type_name(cls)} was registered as a container; register it here")
    return make_treedef(node, data, children, None)


# --- sharing ---------------------------------------------------------------------------------------------------------

# (node, memo key, number of leaves or ids of the children) -> treedef, which keeps the children, hence the ids, alive.
INTERNED: dict[tuple[Node, Hashable, int | tuple[int, ...]], TreeDef] = {}
_MOST_INTERNED = 4096


def make_treedef(node: Node, data: Any, children: Sequence[TreeDef], key: Hashable) -> TreeDef:
    """Return the treedef of a container, shared if there is a memo key (not None) and the children are shared."""
    num_leaves = sum([child._num_leaves for child in children])
    flat = all(child is LEAF for child in children)
    ids = [id(child) for child in children if child._interned]
    if key is None or len(ids) < len(children):
        return TreeDef(node, data, tuple(children), num_leaves, flat)
    memo = (node, key, num_leaves if flat else tuple(ids))
    found = INTERNED.get(memo)
    if found is not None:
        return found
    treedef = TreeDef(node, data, tuple(children), num_leaves, flat)
    treedef._interned = True
    if len(INTERNED) >= _MOST_INTERNED:
        INTERNED.clear()
    return INTERNED.setdefault(memo, treedef)  # perhaps that of another thread


def make_flat_treedef(node: Node, data: Any, count: int, key: Hashable) -> TreeDef:
    """Return the treedef of a container of leaves."""
    if key is not None:
        return make_treedef(node, data, (LEAF,) * count, key)
    return TreeDef(node, data, (LEAF,) * count, count, flat=True)


# --- taking apart and putting together -------------------------------------------------------------------------------


def _build(treedef: TreeDef, leaves: Iterator[Any]) -> Any:
    """Build a tree from the next leaves."""
    node = treedef._node
    if node is None:
        return next(leaves)
    if treedef._flat:
        return node.unflatten(treedef._data, islice(leaves, treedef._num_leaves))
    children = [next(leaves) if child is LEAF else _build(child, leaves) for child in treedef._children]
    return node.unflatten(treedef._data, children)


def match(treedef: TreeDef, tree: Any, what: str) -> list[Any]:
    """Return the subtree of `tree` at each leaf of `treedef`; an error calls the tree `what`."""
    subtrees: list[Any] = []
    fault = _match(treedef, tree, subtrees)
    if fault is not None:
        path, difference = fault
        raise ValueError(f"{what}{keystr(path)} does not have the structure of the tree it goes with: {difference}")
    return subtrees


def _match(treedef: TreeDef, tree: Any, subtrees: list[Any]) -> Fault | None:
    """Append the subtrees; return where the trees part, if they do."""
    node = treedef._node
    if node is None:
        subtrees.append(tree)
        return None
    children = split(treedef, tree)
    if children is None:
        return (), difference(treedef, tree)
    if treedef._flat:
        subtrees.extend(children)
        return None
    for i, (child, subtree) in enumerate(zip(treedef._children, children, strict=True)):
        if (fault := _match(child, subtree, subtrees)) is not None:
            path, text = fault
            return (entry_of_child(treedef, tree, i), *path), text
    return None


def split(treedef: TreeDef, x: Any) -> Sequence[Any] | None:
    """Return the children of `x` if its outermost container is that of `treedef`, which is not a leaf."""
    node = treedef._node
    if node is None or type(x) is not node.cls:
        return None
    children = node.split(x, treedef._data)
    return None if children is None or len(children) != len(treedef._children) else children


def entry_of_child(treedef: TreeDef, x: Any, i: int) -> KeyEntry:
    """Return the key of the i-th child of `x`, whose outermost container is that of `treedef`."""
    node = treedef._node
    return FlattenedIndexKey(i) if node is None else node.entries(x, treedef._data, len(treedef._children))[i]


def difference(treedef: TreeDef, x: Any) -> str:
    """Say what the outermost container should be and what it is."""
    expected = "a leaf" if treedef._node is None else treedef._node.describe(treedef._data, len(treedef._children))
    node = NODES[type(x)]
    if node is None:
        received = f"a leaf of type {type_name(type(x))}"
    else:
        children, data, _ = node.flatten(x)
        received = node.describe(data, len(children))
    return f"expected {expected}, received {received}"


# --- functions of treedefs -------------------------------------------------------------------------------------------


def treedef_is_leaf(treedef: TreeDef) -> bool:
    """Tell whether a structure is that of a single leaf.

    Parameters
    ----------
    treedef
        A structure.

    Returns
    -------
    bool
        False also for empty containers, such as None.

    Examples
    --------
    >>> from fungrad import tree
    >>> treedef_is_leaf(tree.structure(1.0)), treedef_is_leaf(tree.structure([1.0]))
    (True, False)
    """
    return treedef is LEAF


def treedef_children(treedef: TreeDef) -> list[TreeDef]:
    """Return the structures of the children of the outermost container.

    Parameters
    ----------
    treedef
        A structure.

    Returns
    -------
    list of TreeDef

    Examples
    --------
    >>> from fungrad import tree
    >>> treedef_children(tree.structure([0, (0, 0)]))
    [TreeDef(*), TreeDef((*, *))]
    """
    return treedef.children()


def treedef_tuple(treedefs: Iterable[TreeDef]) -> TreeDef:
    """Return the structure of a tuple of trees.

    Parameters
    ----------
    treedefs
        The structures of the elements.

    Returns
    -------
    TreeDef

    Examples
    --------
    >>> from fungrad import tree
    >>> treedef_tuple([tree.structure(0), tree.structure([0])])
    TreeDef((*, [*]))
    """
    return make_treedef(TUPLE, None, list(treedefs), ())

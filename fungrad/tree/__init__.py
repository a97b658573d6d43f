"""Trees of containers: the arguments and results of functions, taken apart into leaves and put together again.

    tree = leaf | (tree, ...) | [tree, ...] | {key: tree, ...} | None | namedtuple | OrderedDict | defaultdict
         | dataclass | registered class

A tree is its leaves, in a fixed order, and its structure, a `TreeDef`:

>>> from fungrad import tree
>>> leaves, treedef = tree.flatten({"b": 1.0, "a": [2.0, 3.0]})
>>> leaves, treedef
([2.0, 3.0, 1.0], TreeDef({'a': [*, *], 'b': *}))
>>> tree.unflatten(treedef, [10 * leaf for leaf in leaves])
{'a': [20.0, 30.0], 'b': 10.0}

A dataclass is a container without registration; fields that hold strings, functions and the like, or that are marked
`static`, belong to the structure. `register_leaf` makes a dataclass a leaf. Subclasses of list, dict and tuple other
than those above are leaves, as are all other objects.

The same functions have the names `tree_map`, `tree_flatten`, ... in `fungrad.tree_util`.
"""

from fungrad.tree.dataclass import register_dataclass, static
from fungrad.tree.flattening import (
    all_leaves,
    flatten,
    flatten_one_level,
    flatten_one_level_with_keys,
    flatten_with_path,
    leaves,
    leaves_with_path,
    structure,
    unflatten,
)
from fungrad.tree.node import is_tree_node, register_leaf
from fungrad.tree.operations import all, map, map_with_path, reduce, reduce_associative, transpose
from fungrad.tree.partial import Partial
from fungrad.tree.paths import DictKey, FlattenedIndexKey, GetAttrKey, KeyEntry, KeyPath, SequenceKey, keystr
from fungrad.tree.prefix import broadcast, flatten_prefix
from fungrad.tree.ravel import ravel_pytree
from fungrad.tree.registry import (
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
)
from fungrad.tree.treedef import PyTreeDef, TreeDef, treedef_children, treedef_is_leaf, treedef_tuple

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "TreeDef",
    "all",
    "all_leaves",
    "broadcast",
    "flatten",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "flatten_prefix",
    "flatten_with_path",
    "is_tree_node",
    "keystr",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "ravel_pytree",
    "reduce",
    "reduce_associative",
    "register_dataclass",
    "register_leaf",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "static",
    "structure",
    "transpose",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
    "unflatten",
]

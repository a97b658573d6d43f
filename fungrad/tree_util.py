"""The functions of `fungrad.tree` under the names that they have in `jax.tree_util`.

`tree_map` is `fungrad.tree.map`, `tree_flatten` is `fungrad.tree.flatten`, and so on; `PyTreeDef` is the class that
`fungrad.tree` calls `TreeDef`.

>>> from fungrad import tree_util
>>> tree_util.tree_map(lambda x: 2 * x, {"a": 1.0, "b": (2.0, None)})
{'a': 2.0, 'b': (4.0, None)}
"""

from fungrad.tree import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    KeyEntry,
    KeyPath,
    Partial,
    PyTreeDef,
    SequenceKey,
    all_leaves,
    flatten_one_level,
    flatten_one_level_with_keys,
    is_tree_node,
    keystr,
    ravel_pytree,
    register_dataclass,
    register_leaf,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
    static,
    treedef_children,
    treedef_is_leaf,
    treedef_tuple,
)
from fungrad.tree import all as tree_all
from fungrad.tree import broadcast as tree_broadcast
from fungrad.tree import flatten as tree_flatten
from fungrad.tree import flatten_with_path as tree_flatten_with_path
from fungrad.tree import leaves as tree_leaves
from fungrad.tree import leaves_with_path as tree_leaves_with_path
from fungrad.tree import map as tree_map
from fungrad.tree import map_with_path as tree_map_with_path
from fungrad.tree import reduce as tree_reduce
from fungrad.tree import reduce_associative as tree_reduce_associative
from fungrad.tree import structure as tree_structure
from fungrad.tree import transpose as tree_transpose
from fungrad.tree import unflatten as tree_unflatten

__all__ = [
    "DictKey",
    "FlattenedIndexKey",
    "GetAttrKey",
    "KeyEntry",
    "KeyPath",
    "Partial",
    "PyTreeDef",
    "SequenceKey",
    "all_leaves",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "keystr",
    "ravel_pytree",
    "register_dataclass",
    "register_leaf",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "static",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
]

"""Registered classes, static classes and Partial."""

import functools
import inspect
import pickle

import numpy as np
import pytest

from fungrad import tree


def make_class():
    """Return a new class with two attributes and a label."""

    class Interval:
        def __init__(self, low, high, label=None):
            self.low, self.high, self.label = low, high, label

        def tree_flatten(self):
            return iter([self.low, self.high]), self.label

        def tree_flatten_with_keys(self):
            return [(tree.GetAttrKey("low"), self.low), ("high!", self.high)], self.label

        @classmethod
        def tree_unflatten(cls, data, children):
            assert type(children) is tuple
            return cls(*children, data)

    return Interval


REGISTER = {
    "register_pytree_node": lambda cls: tree.register_pytree_node(cls, cls.tree_flatten, cls.tree_unflatten),
    "register_pytree_node_class": tree.register_pytree_node_class,
    "register_pytree_node, keys": lambda cls: tree.register_pytree_node(
        cls, cls.tree_flatten, cls.tree_unflatten, cls.tree_flatten_with_keys
    ),
    "register_pytree_with_keys": lambda cls: tree.register_pytree_with_keys(
        cls, cls.tree_flatten_with_keys, cls.tree_unflatten
    ),
    "register_pytree_with_keys, flatten": lambda cls: tree.register_pytree_with_keys(
        cls, cls.tree_flatten_with_keys, cls.tree_unflatten, cls.tree_flatten
    ),
    "register_pytree_with_keys_class": tree.register_pytree_with_keys_class,
}


@pytest.mark.parametrize("how", REGISTER)
def test_registered_class(how):
    """Instances are taken apart and rebuilt with their data, and are a leaf before and never after."""
    cls = make_class()
    x = cls(1.0, [2.0], "label")
    assert tree.leaves([x]) == [x]
    assert REGISTER[how](cls) in (None, cls)
    leaves, treedef = tree.flatten([x, 3.0])
    assert leaves == [1.0, 2.0, 3.0]
    rebuilt, _ = treedef.unflatten([10.0, 20.0, 30.0])
    assert (type(rebuilt), rebuilt.low, rebuilt.high, rebuilt.label) == (cls, 10.0, [20.0], "label")
    assert treedef == tree.structure([cls(0, [0], "label"), 0])
    assert treedef != tree.structure([cls(0, [0], "other"), 0])
    assert treedef != tree.structure([cls(0, 0, "label"), 0])
    assert repr(tree.structure(x)) == "TreeDef(CustomNode(Interval['label'], [*, [*]]))"
    paths = [tree.keystr(path) for path, _ in tree.leaves_with_path(x)]
    assert paths == ([".low", "high![0]"] if "keys" in how else ["[<flat index 0>]", "[<flat index 1>][0]"])
    with pytest.raises(ValueError, match=r"Interval is already registered"):
        REGISTER[how](cls)


def test_registration_is_for_one_class():
    """A subclass of a registered class is a leaf."""
    cls = tree.register_pytree_node_class(make_class())
    x = type("Sub", (cls,), {})(1.0, 2.0)
    assert tree.leaves([x]) == [x]


def test_data_must_agree():
    """Trees whose auxiliary data differ do not go together; the error shows both."""
    cls = tree.register_pytree_node_class(make_class())
    with pytest.raises(ValueError, match=r"with 2 children and auxiliary data 'a', received .*auxiliary data 'b'"):
        tree.map(lambda x, y: 0, cls(1, 2, "a"), cls(1, 2, "b"))


def test_array_as_data():
    """Arrays cannot be static data; the error says so."""
    cls = tree.register_pytree_node_class(make_class())
    a, b = [tree.structure(cls(1, 2, np.ones(2))) for _ in range(2)]
    with pytest.raises(TypeError, match="arrays belong into children"):
        assert a == b
    with pytest.raises(TypeError, match=r"Interval is not hashable .*arrays belong into children"):
        hash(a)


def test_data_keep_their_class():
    """Equal data of other classes must not be exchanged, whichever was seen first."""
    cls = tree.register_pytree_node_class(make_class())
    for data in (1, True, 1.0):
        assert type(tree.map(lambda x: x, [cls(0, 0, data)])[0].label) is type(data)


@pytest.mark.parametrize("cls", [list, dict, type(None), tree.Partial])
def test_built_in_containers_cannot_be_registered(cls):
    """The standard containers stay what they are."""
    with pytest.raises(ValueError, match="already registered"):
        tree.register_pytree_node(cls, lambda x: ((), None), lambda data, children: None)
    with pytest.raises(ValueError, match="already registered"):
        tree.register_leaf(cls)


def test_only_classes_can_be_registered():
    """An instance is refused."""
    with pytest.raises(TypeError, match="expected a class to register, received 3"):
        tree.register_leaf(3)


def test_register_static():
    """Instances have no leaves and are part of the structure."""

    @tree.register_static
    class Mode:
        def __init__(self, name):
            self.name = name

        def __eq__(self, other):
            return self.name == other.name

        def __hash__(self):
            return hash(self.name)

        def __repr__(self):
            return f"Mode({self.name})"

    fast = Mode("fast")
    leaves, treedef = tree.flatten([fast, 1.0])
    assert leaves == [1.0]
    assert treedef.unflatten([2.0])[0] is fast
    assert repr(treedef) == "TreeDef([Mode(fast), *])"
    assert treedef == tree.structure([Mode("fast"), 0])
    assert treedef != tree.structure([Mode("slow"), 0])
    with pytest.raises(ValueError, match=r"expected the static .*Mode\(fast\), received the static .*Mode\(slow\)"):
        tree.map(lambda x, y: 0, fast, Mode("slow"))


def multiply(*args, **keywords):
    """Return the arguments."""
    return args, keywords


def test_partial_is_a_function_and_a_container():
    """It can be called, and its arguments are children."""
    p = tree.Partial(multiply, 1.0, [2.0], k=3.0)
    assert p(4.0, m=5.0) == ((1.0, [2.0], 4.0), {"k": 3.0, "m": 5.0})
    assert tree.leaves(p) == [1.0, 2.0, 3.0]
    q = tree.map(lambda x: 10 * x, p)
    assert type(q) is tree.Partial
    assert q() == ((10.0, [20.0]), {"k": 30.0})
    assert isinstance(p, functools.partial)
    assert str(inspect.signature(tree.Partial(lambda a, b: a, 1.0))) == "(b)"


def test_partial_structure_holds_the_function():
    """Same function, same structure."""
    assert tree.structure(tree.Partial(multiply, 1)) == tree.structure(tree.Partial(multiply, 2))
    assert tree.structure(tree.Partial(multiply, 1)) != tree.structure(tree.Partial(len, 1))
    assert tree.structure(tree.Partial(multiply, 1)) != tree.structure(tree.Partial(multiply, a=1))


def test_partial_of_partial():
    """A Partial in a Partial is merged, so that all arguments are children."""
    p = tree.Partial(tree.Partial(multiply, 1.0, k=2.0), 3.0, k=4.0)
    assert p.func is multiply
    assert p() == ((1.0, 3.0), {"k": 4.0})
    assert tree.leaves(p) == [1.0, 3.0, 4.0]


def test_partial_of_functools_partial():
    """The arguments of a plain partial are not children: they may be no arrays."""
    inner = functools.partial(multiply, "mode", flag="on")
    p = tree.Partial(inner, 1.0)
    assert tree.leaves(p) == [1.0]
    assert p(2.0) == (("mode", 1.0, 2.0), {"flag": "on"})
    assert tree.map(lambda x: -x, p)() == (("mode", -1.0), {"flag": "on"})
    assert tree.structure(p) == tree.structure(tree.Partial(inner, 5.0))


def test_partial_can_be_pickled():
    """Function and arguments survive."""
    for p in (tree.Partial(multiply, 1.0, k=2.0), tree.Partial(functools.partial(multiply, "mode"), 1.0)):
        q = pickle.loads(pickle.dumps(p))
        assert type(q) is tree.Partial
        assert q(3.0) == p(3.0)
        assert tree.leaves(q) == tree.leaves(p)

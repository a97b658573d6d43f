"""Dataclasses as containers, registered or not."""

import abc
import enum
import functools
import pickle
from collections.abc import Callable
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pytest

from fungrad import tree

T = TypeVar("T")


@dataclass
class Layer:
    """Arrays, an activation function and a name."""

    w: Any
    b: Any
    activation: Callable[[Any], Any] = np.tanh
    name: str = "layer"


@dataclass(frozen=True, slots=True)
class Frozen:
    """Frozen, with slots."""

    w: Any
    degree: int = field(default=2, metadata={"static": True})


@dataclass(frozen=True)
class Base(Generic[T]):
    """A base class that checks its input."""

    w: T

    def __post_init__(self):
        if not isinstance(self.w, (float, np.ndarray)):
            raise TypeError(f"not an array: {self.w!r}")


@dataclass(frozen=True)
class Derived(Base[Any]):
    """One more field."""

    b: Any = 0.0
    kind: ClassVar[str] = "derived"
    seed: InitVar[int] = 0
    _: KW_ONLY
    c: Any = 1.0

    def __post_init__(self, seed):
        super().__post_init__()
        object.__setattr__(self, "doubled", 2 * self.w)


class Mode(enum.Enum):
    """An option."""

    FAST = 1


def function(x):
    """Return x."""
    return x


def test_fields_are_children_unless_static_by_value():
    """Arrays are leaves; the function and the string belong to the structure."""
    layer = Layer(np.ones(2), np.zeros(2))
    leaves, treedef = tree.flatten(layer)
    assert [leaf is x for leaf, x in zip(leaves, [layer.w, layer.b], strict=True)] == [True, True]
    assert repr(treedef) == "TreeDef(Layer(w=*, b=*, activation=<ufunc 'tanh'>, name='layer'))"
    assert treedef == tree.structure(Layer(1.0, 2.0))
    assert treedef is tree.structure(Layer(1.0, 2.0))
    assert treedef != tree.structure(Layer(1.0, 2.0, name="other"))
    assert treedef != tree.structure(Layer(1.0, 2.0, np.sin))
    assert treedef.unflatten([3, 4]) == Layer(3, 4)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        b"bytes",
        True,
        Mode.FAST,
        int,
        Layer,
        np.dtype("f4"),
        np.float32,
        function,
        len,
        [].append,
        np.sin,
        functools.partial(function, 1),
        list[int],
        np.vectorize(function),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_static(value):
    """Such values are no leaves; they come back as the same object, and make the structure another."""
    layer = Layer(1.0, value)
    leaves, treedef = tree.flatten(layer)
    assert leaves == [1.0]
    assert treedef.unflatten([2.0]).b is value
    assert treedef != tree.structure(Layer(1.0, 2.0))
    assert treedef == tree.structure(Layer(5.0, value))
    assert tree.flatten_with_path(layer)[0] == [((tree.GetAttrKey("w"),), 1.0)]


@pytest.mark.parametrize(
    "value", [1, 2.5, 1j, np.ones(2), np.float32(1), np.bool_(True), object()], ids=lambda value: type(value).__name__
)
def test_values_that_are_leaves(value):
    """Numbers, arrays and unknown objects are leaves."""
    assert tree.leaves(Layer(0.0, value))[1] is value


def test_containers_in_fields_are_children():
    """Containers are taken apart, a Partial too, although it can be called."""
    layer = Layer([1.0, {"a": 2.0}], None, tree.Partial(function, 3.0))
    assert tree.leaves(layer) == [1.0, 2.0, 3.0]
    assert tree.map(lambda x: 2 * x, layer).activation() == 6.0
    assert tree.structure(layer).num_leaves == 3


def test_a_callable_dataclass_is_a_child():
    """A dataclass with `__call__` is a container before it is a function."""

    @dataclass
    class Affine:
        slope: float

        def __call__(self, x):
            return self.slope * x

    assert tree.leaves(Layer(1.0, 2.0, Affine(3.0))) == [1.0, 2.0, 3.0]


def test_a_callable_array_is_a_leaf():
    """What takes part in NumPy's protocols is data, even if it can be called."""

    class Polynomial:
        __array_ufunc__ = None

        def __call__(self, x):
            return x

    p = Polynomial()
    assert tree.leaves(Layer(1.0, p)) == [1.0, p]


def test_the_class_itself_is_a_leaf():
    """Only instances are containers."""
    assert tree.leaves([Layer]) == [Layer]


def test_frozen_with_slots():
    """Instances that refuse assignment are rebuilt, and a static field is kept."""
    x = Frozen(1.0, degree=3)
    assert tree.leaves(x) == [1.0]
    rebuilt = tree.map(lambda w: 10 * w, x)
    assert rebuilt == Frozen(10.0, degree=3)
    assert type(rebuilt) is Frozen


def test_neither_init_nor_post_init_runs():
    """Leaves may be of any kind, so the checks of the class must not see them."""
    x = Derived(1.0, 2.0, c=3.0)
    assert tree.leaves(x) == [1.0, 2.0, 3.0]
    rebuilt = tree.map(lambda leaf: "anything", x)
    assert (rebuilt.w, rebuilt.b, rebuilt.c) == ("anything", "anything", "anything")
    assert not hasattr(rebuilt, "doubled")
    assert type(rebuilt) is Derived


def test_subclass_that_is_no_dataclass_itself():
    """A plain subclass has the fields of its base and keeps its own class."""

    class Special(Layer):
        pass

    rebuilt = tree.map(lambda x: -x, Special(1.0, 2.0))
    assert type(rebuilt) is Special
    assert rebuilt.w == -1.0


def test_abstract_base():
    """Abstract methods in the family do not stand in the way."""

    @dataclass
    class Model(abc.ABC):
        w: float

        @abc.abstractmethod
        def apply(self): ...

    @dataclass
    class Linear(Model):
        b: float

        def apply(self): ...

    assert tree.map(lambda x: 2 * x, Linear(1.0, 2.0)) == Linear(2.0, 4.0)


def test_fields_that_were_never_set_stay_unset():
    """A field without a value is no child and no error."""

    @dataclass
    class Lazy:
        w: float
        cache: Any = field(init=False)
        mode: str = field(init=False, metadata={"static": True})

    leaves, treedef = tree.flatten(Lazy(1.0))
    assert leaves == [1.0]
    rebuilt = treedef.unflatten([2.0])
    assert vars(rebuilt) == {"w": 2.0}
    filled = Lazy(1.0)
    filled.cache, filled.mode = 3.0, "m"
    assert tree.leaves(filled) == [1.0, 3.0]
    assert vars(tree.map(lambda x: x, filled)) == {"w": 1.0, "cache": 3.0, "mode": "m"}
    with pytest.raises(ValueError, match="does not have the structure"):
        tree.map(lambda x, y: 0, filled, Lazy(1.0))


def test_dataclass_without_fields():
    """It is a container without leaves, and so is one with static fields alone."""

    @dataclass
    class Empty:
        pass

    assert tree.leaves(Empty()) == []
    assert tree.map(lambda x: x, Empty()) == Empty()
    assert tree.leaves(Layer("a", "b")) == []
    assert tree.map(lambda x: x, Layer("a", "b")) == Layer("a", "b")


def test_static_values_are_compared_by_class_and_equality():
    """1, 1.0 and True are equal, but not the same structure: a function compiled for one is wrong for another."""
    one, real, true, again = [tree.structure(Frozen(0.0, degree=d)) for d in (1, 1.0, True, 1)]
    assert one == again
    assert hash(one) == hash(again)
    assert len({one, real, true, again}) == 3
    assert type(one.unflatten([0.0]).degree) is int
    assert type(true.unflatten([0.0]).degree) is bool


def test_static_value_that_cannot_be_hashed():
    """Flattening works; the error when hashing names the class and the value."""
    treedef = tree.structure([Frozen(0.0, degree=[1, 2])])
    assert treedef == tree.structure([Frozen(1.0, degree=[1, 2])])
    with pytest.raises(TypeError, match=r"static data of .*Frozen is not hashable .*\[1, 2\].*must be hashable"):
        hash(treedef)


def test_static_arrays_are_refused_when_compared():
    """Arrays have no truth value of equality; the error says where they belong."""
    a, b = [tree.structure(Frozen(0.0, degree=np.ones(2))) for _ in range(2)]
    with pytest.raises(TypeError, match="arrays belong into children"):
        assert a == b


def test_static_fields_must_agree_in_map():
    """The error shows the static fields of both."""
    with pytest.raises(ValueError, match=r"rest\[0\]\[0\] .*Layer\(w, b, .*name='layer'\), received .*name='other'\)"):
        tree.map(lambda x, y: 0, [Layer(1.0, 2.0)], [Layer(1.0, 2.0, name="other")])


def test_second_tree_is_sorted_by_the_first():
    """A mask of booleans, or a function, in the place of an array is data, not structure."""
    layer = Layer(1.0, 2.0)
    mask = Layer(True, function)
    assert tree.map(lambda x, y: y, layer, mask) == mask
    assert tree.structure(layer).flatten_up_to(mask) == [True, function]
    assert tree.flatten_prefix(mask, layer) == [True, function]


def test_array_where_a_static_field_is_expected():
    """It is another structure, which is an error of structure and not one of comparing arrays."""
    with pytest.raises(ValueError, match="does not have the structure"):
        tree.map(lambda x, y: 0, Layer(1.0, 2.0), Layer(1.0, 2.0, np.ones(3)))


def test_register_leaf():
    """A dataclass that is registered as a leaf is one, also if it was seen before."""

    @dataclass
    class Interval:
        low: float
        high: float

    x = Interval(1.0, 2.0)
    assert tree.leaves([x]) == [1.0, 2.0]
    assert tree.register_leaf(Interval) is Interval
    assert tree.leaves([x, 3.0]) == [x, 3.0]
    assert not tree.is_tree_node(Interval)
    with pytest.raises(ValueError, match="already registered"):
        tree.register_leaf(Interval)


def test_builtin_bases_make_a_leaf():
    """A dataclass that is also a dict, an exception or an array holds more than its fields."""

    @dataclass
    class Problem(Exception):
        code: int

    @dataclass
    class Table(dict[str, int]):
        name: Any

    problem, table = Problem(1), Table(2.0)
    assert tree.leaves([problem]) == [problem]
    assert tree.leaves([table])[0] is table


def test_enumeration_of_dataclasses_is_a_leaf():
    """A member of an enumeration cannot be rebuilt from parts."""

    @dataclass(frozen=True)
    class Size:
        width: float

    class Paper(Size, enum.Enum):
        A4 = 210.0

    assert tree.leaves([Paper.A4]) == [Paper.A4]


def test_register_dataclass_by_metadata():
    """Without lists, fields are static only if they were declared so, whatever their values."""

    @tree.register_dataclass
    @dataclass
    class Spring:
        stiffness: Any
        label: Any
        name: str = tree.static(default="spring", metadata={"unit": "N/m"})

    x = Spring(1.0, "text")
    assert tree.leaves(x) == [1.0, "text"]
    assert repr(tree.structure(x)) == "TreeDef(Spring(stiffness=*, label=*, name='spring'))"
    assert tree.map(lambda leaf: 0, x) == Spring(0, 0)
    assert [tree.keystr(path) for path, _ in tree.leaves_with_path(x)] == [".stiffness", ".label"]


def test_register_dataclass_by_lists():
    """The lists decide; dropped fields get their defaults."""

    @functools.partial(tree.register_dataclass, data_fields=["b", "a"], meta_fields=["n"], drop_fields=["c", "d", "e"])
    @dataclass
    class Record:
        a: Any
        b: Any
        n: Any
        c: Any = 7
        d: Any = field(default_factory=list)
        e: Any = field(init=False)

        def __post_init__(self):
            self.e = object()

    x = Record(1.0, 2.0, 3.0, c=8, d=[9])
    leaves, treedef = tree.flatten(x)
    assert leaves == [2.0, 1.0]
    rebuilt = treedef.unflatten([20.0, 10.0])
    assert vars(rebuilt) == {"a": 10.0, "b": 20.0, "n": 3.0, "c": 7, "d": []}
    assert treedef == tree.structure(Record(0.0, 0.0, 3.0))
    assert treedef != tree.structure(Record(0.0, 0.0, 4.0))


def test_register_dataclass_for_another_class():
    """Any class whose instances are their attributes will do, if the fields are given."""

    class Plain:
        def __init__(self, w):
            self.w = w
            self.tag = "t"

    with pytest.raises(TypeError, match="not a dataclass, so data_fields and meta_fields must be given"):
        tree.register_dataclass(Plain)
    tree.register_dataclass(Plain, ["w"], ["tag"])
    rebuilt = tree.map(lambda x: 2 * x, Plain(3.0))
    assert (rebuilt.w, rebuilt.tag) == (6.0, "t")


@pytest.mark.parametrize(
    ("lists", "error", "message"),
    [
        ({"data_fields": ["a", "b"]}, TypeError, "give both data_fields and meta_fields"),
        ({"meta_fields": ["a", "b"]}, TypeError, "give both data_fields and meta_fields"),
        ({"data_fields": ["a"], "meta_fields": []}, ValueError, "in none of the lists: b"),
        ({"data_fields": ["a", "b", "c"], "meta_fields": []}, ValueError, "not a field: c"),
        ({"data_fields": ["a", "b"], "meta_fields": ["b"]}, ValueError, "named more than once: b"),
    ],
)
def test_register_dataclass_with_wrong_lists(lists, error, message):
    """The error names the fields, and the class is not registered."""

    @dataclass
    class Pair:
        a: Any
        b: Any

    with pytest.raises(error, match=message):
        tree.register_dataclass(Pair, **lists)
    tree.register_dataclass(Pair, ["a"], ["b"])
    with pytest.raises(ValueError, match="already registered"):
        tree.register_dataclass(Pair, ["a"], ["b"])


def test_registration_after_use():
    """Registering a class empties what was remembered about it, also inside of dataclasses."""

    class Scale:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor * x

    layer = Layer(1.0, 2.0, Scale(3.0))
    assert tree.leaves(layer) == [1.0, 2.0]
    tree.register_pytree_node(Scale, lambda s: ((s.factor,), None), lambda _, children: Scale(*children))
    assert tree.leaves(layer) == [1.0, 2.0, 3.0]


def test_pickle():
    """Structures with dataclasses survive pickling."""
    treedef = tree.structure([Layer(1.0, Frozen(2.0)), Derived(1.0)])
    copy = pickle.loads(pickle.dumps(treedef))
    assert copy == treedef
    assert hash(copy) == hash(treedef)
    assert copy.unflatten([1.0, 2.0, 3.0, 4.0, 5.0])[0] == Layer(1.0, Frozen(2.0))

"""ravel_pytree: one vector for a tree, and back."""

import pickle

import numpy as np
import pytest

from fungrad import tree


class Recorded:
    """An array that works through NumPy's protocol and refuses to be converted, as a tracer does."""

    def __init__(self, value):
        self.value = value
        self.shape = value.shape
        self.dtype = value.dtype

    def __array__(self, *args, **kwargs):
        raise AssertionError("converted to an array")

    def __array_function__(self, func, types, args, kwargs):
        return Recorded(func(*tree.map(unwrap, args), **kwargs))

    def __getitem__(self, index):
        return Recorded(self.value[index])

    def astype(self, dtype):
        """Cast."""
        return Recorded(self.value.astype(dtype))


def unwrap(x):
    """Return the array in a Recorded, or x."""
    return x.value if isinstance(x, Recorded) else x


def assert_same(a, b):
    """Raise unless both are arrays or scalars of the same class, dtype, shape and values."""
    assert type(a) is type(b)
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


def test_order_values_and_dtype():
    """The leaves follow each other in their order, flattened by rows, in the dtype that NumPy promotes to."""
    value = {"b": np.arange(3, dtype=np.int8), "a": (np.array([[1, 2], [3, 4]], dtype=np.float32), 5.0)}
    vector, unravel = tree.ravel_pytree(value)
    assert_same(vector, np.array([1.0, 2, 3, 4, 5, 0, 1, 2]))
    back = unravel(vector)
    assert_same(back["b"], value["b"])
    assert_same(back["a"][0], value["a"][0])
    assert_same(back["a"][1], np.float64(5.0))


@pytest.mark.parametrize(
    "leaf",
    [
        np.float32(2.0),
        np.array(2.0),
        np.array([[1.0, 2.0]], dtype=np.float32),
        np.arange(6).reshape(2, 3).T,
        np.array([True, False]),
        np.zeros((0, 3)),
        np.array([1 + 2j]),
        np.float16(0.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_single_leaf_keeps_shape_and_dtype(leaf):
    """One leaf: the vector has its dtype, and it comes back with its shape; of 0-d arrays, as a scalar."""
    vector, unravel = tree.ravel_pytree([leaf])
    assert vector.dtype == leaf.dtype
    assert vector.shape == (leaf.size,)
    assert_same(unravel(vector)[0], leaf[()])


@pytest.mark.parametrize(("number", "cls"), [(1.5, np.float64), (2, np.int64), (True, np.bool_), (1j, np.complex128)])
def test_python_numbers_come_back_as_scalars(number, cls):
    """A number becomes a NumPy scalar of its class."""
    vector, unravel = tree.ravel_pytree(number)
    assert vector.shape == (1,)
    assert_same(unravel(vector), cls(number))


def test_other_vector_of_the_same_length():
    """Each leaf is cast back to its own dtype."""
    _, unravel = tree.ravel_pytree([np.float32(1.0), np.ones(2)])
    back = unravel(np.array([1, 2, 3]))
    assert_same(back[0], np.float32(1.0))
    assert_same(back[1], np.array([2.0, 3.0]))
    assert unravel([1.0, 2.0, 3.0])[0] == 1.0


def test_mixed_real_and_complex():
    """Real leaves come back real, without a warning about the imaginary part."""
    value = [1.0, np.array([2 + 1j])]
    vector, unravel = tree.ravel_pytree(value)
    assert vector.dtype == complex
    back = unravel(vector)
    assert_same(back[0], np.float64(1.0))
    assert_same(back[1], value[1])


def test_complex_vector_for_a_real_tree():
    """It is refused: the imaginary part would be lost in silence."""
    _, unravel = tree.ravel_pytree([1.0, 2.0])
    with pytest.raises(TypeError, match="expected a vector of dtype float64, received complex128"):
        unravel(np.array([1j, 2j]))


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (1, 3), ()])
def test_wrong_shape(shape):
    """The error names both shapes."""
    _, unravel = tree.ravel_pytree([1.0, np.ones(2)])
    with pytest.raises(ValueError) as error:
        unravel(np.zeros(shape))
    assert str(error.value) == f"unravel: expected a vector of shape (3,), received shape {shape}"


@pytest.mark.parametrize("value", [[], None, {"a": None}])
def test_no_leaves(value):
    """The vector is empty and the tree comes back."""
    vector, unravel = tree.ravel_pytree(value)
    assert_same(vector, np.zeros(0))
    assert unravel(vector) == value


def test_vector_is_a_copy():
    """Neither the vector nor the rebuilt tree shares memory with its source."""
    x = np.ones(3)
    vector, unravel = tree.ravel_pytree([x])
    assert not np.shares_memory(vector, x)
    assert not np.shares_memory(unravel(vector)[0], vector)


@pytest.mark.parametrize(
    "leaf",
    ["text", {1, 2}, object(), np.array(["a"]), np.datetime64("2020-01-01")],
    ids=lambda value: type(value).__name__,
)
def test_leaves_that_are_no_numbers(leaf):
    """The error names the key path and the class."""
    with pytest.raises(TypeError, match=r"ravel_pytree: tree\['a'\]\[1\] is of type .*, not an array of numbers"):
        tree.ravel_pytree({"a": [1.0, leaf]})


def test_arrays_of_another_library():
    """Leaves and vectors that implement NumPy's protocol are never converted."""
    value = [
        Recorded(np.array([[1.0, 2.0]])),
        3.0,
        Recorded(np.array(4.0, dtype=np.float32)),
        Recorded(np.array([5 + 0j])),
    ]
    vector, unravel = tree.ravel_pytree(value)
    assert isinstance(vector, Recorded)
    assert_same(vector.value, np.array([1.0, 2, 3, 4, 5 + 0j]))
    back = unravel(vector)
    assert all(isinstance(leaf, Recorded) for leaf in back)
    assert [leaf.shape for leaf in back] == [(1, 2), (), (), (1,)]
    assert [leaf.dtype for leaf in back] == [np.float64, np.float64, np.float32, np.complex128]


def test_object_arrays_are_let_through():
    """An array of objects, as np.array makes one of recorded scalars, is an array."""
    x = np.array([1.0, 2.0], dtype=object)
    vector, unravel = tree.ravel_pytree([x])
    assert_same(vector, x)
    assert_same(unravel(vector)[0], x)


def test_unravel_is_a_value():
    """Equal structures give equal functions, with the same hash, which can be pickled."""
    one, two = [tree.ravel_pytree({"a": np.ones(2), "b": value})[1] for value in (1.0, 2.0)]
    other = tree.ravel_pytree({"a": np.ones(3), "b": 1.0})[1]
    assert one == two
    assert hash(one) == hash(two)
    assert one != other
    assert one != "unravel"
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert copy(np.arange(3.0))["b"] == 2.0
    assert repr(one) == "Unravel(TreeDef({'a': *, 'b': *}), shape=(3,), dtype=float64)"

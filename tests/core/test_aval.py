"""Abstract values: types of arrays, NumPy scalars and Python numbers."""

import pickle

import numpy as np
import pytest

from fungrad.core.aval import FLOAT0, ShapedArray, is_inexact, short_dtype, typeof


@pytest.mark.parametrize(
    ("value", "text", "weak"),
    [
        (1.0, "f64[]", True),
        (1, "i64[]", True),
        (1j, "c128[]", True),
        (True, "bool[]", True),
        (np.float32(1), "f32[]", False),
        (np.int8(1), "i8[]", False),
        (np.ones((2, 3), np.complex64), "c64[2,3]", False),
        (np.zeros((0,), np.uint16), "u16[0]", False),
        (np.ones((2,), np.float16), "f16[2]", False),
        (np.bool_(True), "bool[]", False),
        (np.zeros((2,), FLOAT0), "float0[2]", False),
    ],
)
def test_typeof_prints_shape_and_dtype(value, text, weak):
    """Python numbers are weak (NEP 50), bool among them; everything prints as short dtype and shape."""
    aval = typeof(value)
    assert repr(aval) == text
    assert aval.weak is weak


def test_typeof_of_a_type_is_itself():
    """A ShapedArray stands for an array of that type."""
    aval = ShapedArray((2,), np.float32)
    assert typeof(aval) is aval


@pytest.mark.parametrize("value", [None, "text", [1.0], object()])
def test_typeof_refuses_what_is_no_array(value):
    """The TypeError names the type that was received."""
    with pytest.raises(TypeError, match=f"expected an array or a number, got {type(value).__name__}"):
        typeof(value)


def test_size_and_ndim():
    """Sizes multiply; a 0-d array has one element, an empty one none."""
    assert (ShapedArray((), np.float64).ndim, ShapedArray((), np.float64).size) == (0, 1)
    assert (ShapedArray((2, 0, 3), np.float64).ndim, ShapedArray((2, 0, 3), np.float64).size) == (3, 0)
    assert ShapedArray((2, 5, 3), np.float64).size == 30


def test_equality_needs_shape_dtype_and_weakness():
    """Types are equal, and hash alike, only when all three parts agree."""
    aval = ShapedArray((2,), np.float64)
    assert aval == ShapedArray((2,), "f8")
    assert hash(aval) == hash(ShapedArray((2,), "f8"))
    assert aval != ShapedArray((2, 1), np.float64)
    assert aval != ShapedArray((2,), np.float32)
    assert ShapedArray((), np.float64) != ShapedArray((), np.float64, weak=True)
    assert aval != (2,)


def test_strong_forgets_that_it_was_a_python_number():
    """strong() gives the array's type, and itself when it is strong already."""
    weak = typeof(2.0)
    assert weak.strong() == ShapedArray((), np.float64)
    strong = typeof(np.ones(2))
    assert strong.strong() is strong


def test_pickles():
    """A type survives pickling with its weakness."""
    for aval in (typeof(1.0), typeof(np.ones((2, 3), np.float32)), ShapedArray((1,), FLOAT0)):
        assert pickle.loads(pickle.dumps(aval)) == aval


def test_inexact_and_names():
    """Only real and complex floating dtypes carry derivatives."""
    assert [is_inexact(np.dtype(c)) for c in "fdFDe"] == [True] * 5
    assert [is_inexact(np.dtype(c)) for c in "?bIq"] == [False] * 4
    assert not is_inexact(FLOAT0)
    assert short_dtype(np.dtype("f4")) == "f32"

"""The Array API standard's array object, and its functions at special values: as NumPy's, for plain and traced arrays.

What the standard's test-suite draws and ``test_array_api`` does not: arrays of no and of many axes, empty ones, keys,
operators in all three forms with arrays and Python numbers, conversions, and infinities, nans and signed zeros.
"""

import operator
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from array_api.standard import BINARY, UNARY
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
import fungrad.numpy as fnp

DTYPES = ["bool", "int8", "int64", "uint16", "float32", "float64", "complex128"]
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e300, 5e-324, np.inf, -np.inf, np.nan])
OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift", "rshift"]
COMPARISONS = ["lt", "le", "eq", "ne", "ge", "gt"]

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(d, shapes, elements={"allow_nan": False} if d[0] in "fc" else None)
)


def outcome(run):
    """The result, or the kind of error."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run()
        except Exception as error:
            return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def same(received, expected):
    """Kind of error, or value, dtype and shape."""
    if isinstance(expected, type):
        assert received is expected
        return
    assert not isinstance(received, type)
    assert (np.asarray(received).dtype, np.shape(received)) == (np.asarray(expected).dtype, np.shape(expected))
    np.testing.assert_array_equal(received, expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_reading_and_assigning(data):
    """``x[key]`` and ``x[key] = value`` with integers, slices, None, an ellipsis and masks."""
    x = data.draw(arrays)
    key = data.draw(
        st.one_of(
            hnp.basic_indices(x.shape, allow_newaxis=True, allow_ellipsis=True),
            hnp.arrays(bool, st.just(x.shape)),
            st.just(np.array(True)),
        )
    )
    value = data.draw(st.sampled_from([True, 3, 2.5, 1j]))
    same(fnp.asarray(x.copy())[key], x[key])

    def assigned(y):
        y[key] = value
        return y

    same(outcome(lambda: assigned(fnp.asarray(x.copy()))), outcome(lambda: assigned(x.copy())))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_operators(data):
    """Of two arrays, of an array and a Python number from both sides, and in place."""
    x = data.draw(arrays)
    y = data.draw(
        st.one_of(st.just(x[..., :1] if x.ndim else x), st.just(np.flip(x)), st.sampled_from([True, 2, -1, 0.5, 2j]))
    )
    name = data.draw(st.sampled_from(OPERATORS + COMPARISONS))
    fun, ours = getattr(operator, name), fnp.asarray(x.copy())
    same(outcome(lambda: fun(ours, y)), outcome(lambda: fun(x, y)))
    same(outcome(lambda: fun(y, ours)), outcome(lambda: fun(y, x)))
    if name in OPERATORS:
        in_place, other = getattr(operator, "i" + name.rstrip("_")), x.copy()
        same(outcome(lambda: in_place(ours, y)), outcome(lambda: in_place(other, y)))
        same(ours, other)


@pytest.mark.parametrize("value", [True, 3, -2.5, 1 + 2j, np.inf])
@pytest.mark.parametrize("convert", [bool, int, float, complex, operator.index, abs, operator.neg, operator.invert])
def test_conversions(value, convert):
    """Of arrays without axes, to Python's numbers, as NumPy's or with its errors."""
    plain = np.asarray(value)
    expected, received = outcome(lambda: convert(plain)), outcome(lambda: convert(fnp.asarray(value)))
    assert type(received) is type(expected)
    same(received, expected)


def _pairs():
    x, y = np.meshgrid(SPECIAL, SPECIAL)
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_special_values(name):
    """Plain and traced, with values and on types: NumPy's results, the signs of zeros among them, and its errors."""
    operands = (SPECIAL,) if name in UNARY else _pairs()
    reference = getattr(np, name)
    ours = getattr(fnp, name)
    expected = outcome(lambda: reference(*operands))
    plain = outcome(lambda: ours(*operands))
    same(plain, expected)
    if isinstance(expected, type):
        assert outcome(lambda: fg.vjp(ours, *operands)[0]) is expected
        return
    with np.errstate(all="ignore"):
        routes = [
            fg.jvp(ours, operands, tuple(np.zeros_like(x) for x in operands))[0],
            fg.vjp(ours, *operands)[0],
            fg.vmap(ours)(*operands),
            fg.eval_jaxpr(fg.make_jaxpr(ours)(*operands), (), *operands)[0],
        ]
    for received in (plain, *routes):
        same(received, expected)
        np.testing.assert_array_equal(np.signbit(received), np.signbit(expected))


@pytest.mark.parametrize("copy", [None, True, False])
@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (np.arange(6.0), (2, 3)),
        (np.arange(6.0).reshape(2, 3).T, (6,)),
        (np.arange(6.0)[::2], (3, 1)),
        (np.zeros(0), (0, 3)),
        (np.zeros((2, 0, 3)).T, (-1, 6)),
        (np.float64(1.0), (1, 1)),
    ],
)
def test_reshape_with_and_without_copy(x, shape, copy):
    """copy=False is refused where elements would have to be copied, so never for an array without elements."""
    same(outcome(lambda: fnp.reshape(x, shape, copy=copy)), outcome(lambda: np.reshape(x, shape, copy=copy)))
    x = np.asarray(x)
    out = outcome(lambda: fnp.reshape(x, shape, copy=copy))
    if copy is not None and x.size and not isinstance(out, type):
        assert np.shares_memory(out, x) is not copy

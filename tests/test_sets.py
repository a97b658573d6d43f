"""Sets: NumPy's elements in NumPy's order, with the derivative that these have; errors where values are unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg

NAN = np.nan
NUMBERS = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 3.0, NAN]), max_size=6).map(lambda v: np.array(v, float))


def value(fun, *args):
    """The value that a recording with values has."""
    return fg.jvp(fun, args, args)[0]


@settings(max_examples=60, deadline=None)
@given(NUMBERS)
@pytest.mark.parametrize("name", ["unique_values", "unique_all", "unique_counts", "unique_inverse"])
def test_elements_of_one_array(name, x):
    """The fields, values and order of NumPy's results, with repetitions and nan."""
    fun = getattr(np, name)
    ours, theirs = value(fun, x), fun(x)
    assert type(ours) is type(theirs)
    if not isinstance(theirs, tuple):
        ours, theirs = (ours,), (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS)
@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
def test_elements_of_two(name, x, y):
    """NumPy's elements, of arrays with repetitions, nan, and nothing in them."""
    fun = getattr(np, name)
    np.testing.assert_array_equal(value(fun, x, y), fun(x, y))
    np.testing.assert_array_equal(value(lambda x: fun(x, [2, 0]), x), fun(x, [2, 0]))
    if name != "union1d":
        a, b = np.unique(x[~np.isnan(x)])[::-1], np.unique(y[~np.isnan(y)])
        np.testing.assert_array_equal(value(lambda a, b: fun(a, b, True), a, b), fun(a, b, True))


def test_order_of_unique_values():
    """NumPy leaves the order open (and some versions do not sort): ours is NumPy's, complex numbers included."""
    x = np.random.default_rng(0).integers(-3, 4, 40) + 1j * np.random.default_rng(1).integers(0, 2, 40)
    theirs, ours = np.unique_values(x), value(np.unique_values, x)
    np.testing.assert_array_equal(np.sort(ours), np.sort(theirs))
    t = np.arange(40) + 0.5j
    found, tangent = fg.jvp(np.unique_values, (x,), (t,))
    np.testing.assert_array_equal(tangent, [t[np.flatnonzero(x == v)[0]] for v in found])


@pytest.mark.parametrize(
    ("fun", "expected"),
    [
        (lambda x, y: np.union1d(x, y), ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], [[0, 0], [0, 0], [0, 1]])),
        (lambda x, y: np.intersect1d(x, y), ([[1, 0, 0, 0]], [[0, 0]])),
        (lambda x, y: np.setdiff1d(x, y), ([[0, 1, 0, 0]], [[0, 0]])),
        (lambda x, y: np.setxor1d(x, y), ([[0, 1, 0, 0], [0, 0, 0, 0]], [[0, 0], [0, 1]])),
        (lambda x, y: np.unique_all(x).values, ([[0, 1, 0, 0], [1, 0, 0, 0]], [[0, 0], [0, 0]])),
        (lambda x, y: np.unique_counts(x).values, ([[0, 1, 0, 0], [1, 0, 0, 0]], [[0, 0], [0, 0]])),
        (lambda x, y: np.unique_inverse(x).values, ([[0, 1, 0, 0], [1, 0, 0, 0]], [[0, 0], [0, 0]])),
    ],
)
def test_derivative_is_that_of_the_first_equal_element(fun, expected):
    """Rows: elements of the result; columns: elements of the operands."""
    x, y = np.array([2.0, 1.0, 2.0, 1.0]), np.array([2.0, 5.0])
    for jacobian in (fg.jacrev(fun, argnums=(0, 1)), fg.jacfwd(fun, argnums=(0, 1))):
        for ours, theirs in zip(jacobian(x, y), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_promotion():
    """The elements have the common type of the two arrays."""
    x, y = np.array([1.0, 2.0], np.float32), np.array([2.0, 3.0])
    for fun in (np.union1d, np.intersect1d, np.setxor1d, np.setdiff1d):
        assert value(fun, x, y).dtype == fun(x, y).dtype


@pytest.mark.parametrize(
    ("name", "arity"),
    [
        ("unique_values", 1),
        ("unique_all", 1),
        ("unique_counts", 1),
        ("unique_inverse", 1),
        ("union1d", 2),
        ("intersect1d", 2),
        ("setdiff1d", 2),
        ("setxor1d", 2),
    ],
)
def test_values_must_be_known(name, arity):
    """Under vmap and make_jaxpr the error names the call, says why, and what to write; also inside of grad."""
    fun, x = getattr(np, name), np.ones((2, 3))
    text = rf"numpy\.{name} at .*test_sets.*how many elements.*write np\.isin"
    with pytest.raises(fg.errors.ConcretizationTypeError, match=text):
        fg.vmap(lambda *a: fun(*a))(*[x] * arity)
    with pytest.raises(fg.errors.ConcretizationTypeError, match=text):
        fg.make_jaxpr(lambda x: fun(*[x, [1.0]][:arity]))(x)
    with pytest.raises(fg.errors.ConcretizationTypeError, match=text):
        fg.vmap(fg.jacrev(lambda x: fun(*[x, x][:arity])))(x)


# Membership


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.booleans())
def test_isin(x, y, invert):
    """Without values it is NumPy's, nan and nothing included, batched on either side."""
    expected = np.isin(x, y, invert=invert)

    def fun(x, y):
        return np.isin(x, y, invert=invert)

    np.testing.assert_array_equal(fg.eval_jaxpr(fg.make_jaxpr(fun)(x, y), (), x, y)[0], expected)
    np.testing.assert_array_equal(fg.vmap(fun, (0, None))(np.stack([x, x + 1]), y), [expected, fun(x + 1, y)])
    np.testing.assert_array_equal(fg.vmap(fun, (None, 0))(x, np.stack([y, y + 1])), [expected, fun(x, y + 1)])
    np.testing.assert_array_equal(fg.vmap(fun)(np.stack([x, x]), np.stack([y, y + 1])), [expected, fun(x, y + 1)])


def test_isin_types_and_kinds():
    """Types are compared as NumPy compares them; kind is checked and otherwise NumPy's own business."""
    x = np.array([[1, 2], [3, 4]])
    for y in (np.array([2.0, 4.5]), np.array([4, 1], np.uint8), np.array([True])):
        found = fg.eval_jaxpr(fg.make_jaxpr(np.isin)(x, y), (), x, y)[0]
        np.testing.assert_array_equal(found, np.isin(x, y))
    assert fg.eval_jaxpr(fg.make_jaxpr(lambda x: np.isin(x, [2]))(2), (), 2)[0] == np.True_
    with pytest.raises(ValueError, match="'table' method is only supported"):
        fg.make_jaxpr(lambda x: np.isin(x, [1.0], kind="table"))(x)
    with pytest.raises(ValueError, match="Invalid kind"):
        fg.make_jaxpr(lambda x: np.isin(x, [1], kind="tree"))(x)


@pytest.mark.skipif("in1d" not in vars(np), reason="NumPy 2.4 has no in1d")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_in1d():
    """The flattened form of isin."""
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = fg.vmap(lambda x: vars(np)["in1d"](x, [2.0, 4.0]))(x[None])
    np.testing.assert_array_equal(found, [[False, True, False, True]])

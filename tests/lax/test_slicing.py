"""fungrad.lax: slices with known and with computed starts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.testing import check_grads

X = np.arange(24.0).reshape(2, 3, 4)


@st.composite
def dynamic(draw):
    """A shape, sizes of a slice, starts anywhere, and whether negative ones count from the end."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    sizes = tuple([draw(st.integers(0, n)) for n in shape])
    starts = tuple([draw(st.integers(-8, 8)) for _ in shape])
    return shape, sizes, starts, draw(st.booleans())


def key_of(shape, sizes, starts, wrap):
    """What is sliced by definition: negative starts from the end, then moved into the array."""
    moved = [s + n if wrap and s < 0 else s for s, n in zip(starts, shape, strict=True)]
    return tuple(
        [slice(min(max(s, 0), n - m), min(max(s, 0), n - m) + m) for s, n, m in zip(moved, shape, sizes, strict=True)]
    )


@given(dynamic())
def test_dynamic_slice_is_moved_into_the_array(case):
    """With known starts, traced ones, a vector of them, and in batches of starts, of arrays, and of both."""
    shape, sizes, starts, wrap = case
    x = np.random.default_rng(0).standard_normal(shape)
    expected = x[key_of(*case)]

    def f(x, *starts):
        return lax.dynamic_slice(x, starts, sizes, allow_negative_indices=wrap)

    for out in (f(x, *starts), fg.jit(f)(x, *starts), f(x, *map(np.int32, starts))):
        np.testing.assert_array_equal(out, expected)
    vector = np.array(starts)
    np.testing.assert_array_equal(fg.jit(lambda x, i: f(x, *i))(x, vector), expected)
    np.testing.assert_array_equal(
        fg.jit(lambda x, i: lax.dynamic_slice(x, i, sizes, allow_negative_indices=wrap))(x, vector), expected
    )
    other = np.roll(vector, 1)
    two = np.stack([expected, x[key_of(shape, sizes, tuple(other), wrap)]])
    pairs = tuple(np.stack([vector, other], 1))
    np.testing.assert_array_equal(fg.vmap(f, (None, *[0] * len(shape)))(x, *pairs), two)
    np.testing.assert_array_equal(fg.vmap(f)(np.stack([x, x]), *pairs), two)
    np.testing.assert_array_equal(fg.vmap(f, (0, *[None] * len(shape)))(np.stack([x, -x]), *starts)[1], -expected)


@given(dynamic())
def test_dynamic_update_is_the_other_way_round(case):
    """What is put there is found there, the rest is as it was; transforms agree."""
    shape, sizes, starts, wrap = case
    rng = np.random.default_rng(0)
    x, v = rng.standard_normal(shape), rng.standard_normal(sizes)
    expected = x.copy()
    expected[key_of(*case)] = v

    def f(x, v, *starts):
        return lax.dynamic_update_slice(x, v, starts, allow_negative_indices=wrap)

    kept = x.copy()
    for out in (f(x, v, *starts), fg.jit(f)(x, v, *starts)):
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(x, kept)
    other = np.roll(starts, 1)
    second = x.copy()
    second[key_of(shape, sizes, tuple(other), wrap)] = v
    out = fg.vmap(f, (None, None, *[0] * len(shape)))(x, v, *np.stack([starts, other], 1))
    np.testing.assert_array_equal(out, np.stack([expected, second]))


@pytest.mark.parametrize("start", [-1, 0, 2, 9])
def test_derivatives_of_dynamic_slices(start):
    """To second order, compiled, in batches, and with respect to updates."""
    v = np.full((2, 2, 4), 0.5)

    def read(x, i):
        return lax.dynamic_slice(x, (0, i, 0), (2, 2, 4)) ** 2

    def write(x, v, i):
        return lax.dynamic_update_slice(x, v, (0, i, 0)) ** 2

    both = np.array([start, 1])
    check_grads(lambda x: fg.jit(read)(x, start), (X,), 2)
    check_grads(lambda x: fg.vmap(read, (None, 0))(x, both), (X,), 2)
    check_grads(lambda x, v: fg.jit(write)(x, v, start), (X, v), 2)
    check_grads(lambda x, v: fg.vmap(write, (None, None, 0))(x, v, both), (X, v), 2)


def test_one_axis_at_a_time():
    """The functions of one axis are slices along it."""
    np.testing.assert_array_equal(lax.dynamic_slice_in_dim(X, 2, 2, 1), X[:, 1:])
    np.testing.assert_array_equal(lax.dynamic_index_in_dim(X, -1, -1), X[:, :, 3:])
    np.testing.assert_array_equal(lax.dynamic_index_in_dim(X, 7, 1, keepdims=False), X[:, 2])
    changed = lax.dynamic_update_index_in_dim(X, np.zeros((2, 4)), 1, 1)
    np.testing.assert_array_equal(changed[:, 1], 0)
    np.testing.assert_array_equal(changed[:, ::2], X[:, ::2])
    np.testing.assert_array_equal(lax.dynamic_update_slice_in_dim(X, np.zeros((2, 3, 2)), 1, 2)[:, :, 1:3], 0)
    np.testing.assert_array_equal(lax.slice_in_dim(X, -2, None, axis=1), X[:, 1:])
    np.testing.assert_array_equal(lax.slice_in_dim(X, 0, 4, 3, axis=2), X[:, :, ::3])
    np.testing.assert_array_equal(lax.index_in_dim(X, -1, 2, keepdims=False), X[:, :, -1])
    np.testing.assert_array_equal(lax.slice(X, (0, 1, 0), (2, 3, 4), (1, 1, 2)), X[:, 1:, ::2])


def test_negative_starts_can_be_chosen_for_each_axis():
    """``allow_negative_indices`` may be a sequence."""
    for f in (lambda i: lax.dynamic_slice(X[0], (i, i), (1, 1), allow_negative_indices=(True, False)),):
        assert f(-1) == X[0, 2, 0] == fg.jit(f)(-1)


def test_a_loop_of_updates_writes_in_place():
    """Recorded with values, an array that nobody else refers to is written into; the gradient is right."""

    def filled(x):
        out = lax.mul(x, 0.0)
        for k in range(3):
            out = lax.dynamic_update_index_in_dim(out, x[k] ** 2, k, 0)
        return out

    np.testing.assert_array_equal(fg.jacrev(filled)(np.arange(3.0)), np.diag([0, 2, 4]))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: lax.slice(x, (0, 0), (2, 3)), TypeError, "for each axis of shape"),
        (lambda x: lax.slice(x, (0, 0, -1), (2, 3, 4)), TypeError, "0 <= start <= limit <= size"),
        (lambda x: lax.slice_in_dim(x, 0, 9), TypeError, "do not fit axis 0 with size 2"),
        (lambda x: lax.index_in_dim(x, 2), IndexError, "index 2 is out of bounds for axis 0 with size 2"),
        (lambda x: lax.dynamic_slice(x, (0, 0), (1, 1, 1)), TypeError, "a start index for each of 3 axes, got 2"),
        (lambda x: lax.dynamic_slice(x, (0, 0, 0.5), (1, 1, 1)), TypeError, "must be scalar integers"),
        (lambda x: lax.dynamic_slice(x, (0, 0, 0), (1, 1, 5)), TypeError, "do not fit shape"),
        (lambda x: lax.dynamic_update_slice(x, x[0], (0, 0, 0)), TypeError, "does not fit into shape"),
        (lambda x: lax.dynamic_update_slice(x, x * 1j, (0, 0, 0)), TypeError, "complex128 does not fit"),
        (lambda x: lax.dynamic_update_index_in_dim(x, x[:, :2], 0, 1), TypeError, "size 2 along axis 1, expected 1"),
    ],
)
def test_what_does_not_fit_is_said(call, error, text):
    """The same errors for plain and for traced arrays."""
    for fun in (call, fg.jit(call)):
        with pytest.raises(error, match=text):
            fun(X)

"""fungrad.lax: gather and scatter in their general form, against loops over their definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.testing import check_grads

OPERATIONS = {
    lax.scatter_add: lambda a, b: a + b,
    lax.scatter_sub: lambda a, b: a - b,
    lax.scatter_mul: lambda a, b: a * b,
    lax.scatter_min: min,
    lax.scatter_max: max,
}


def places(x, starts, numbers, sizes, mode, shape):
    """For each element of the gathered slices its place in x, None for those that are dropped."""
    offset, collapsed, mapped, along, index_along = numbers
    kept = [k for k in range(x.ndim) if k not in collapsed and k not in along]
    batch_axes = [j for j in range(len(shape)) if j not in offset]
    for at in itertools.product(*map(range, shape)):
        batch = tuple([at[j] for j in batch_axes])
        start, inside = [0] * x.ndim, True
        for i, k in enumerate(mapped):
            s, limit = int(starts[(*batch, i)]), x.shape[k] - sizes[k]
            inside = inside and 0 <= s <= limit
            start[k] = min(max(s, 0), limit)
        for k, j in zip(along, index_along, strict=True):
            start[k] = batch[j]
        for j, k in zip(offset, kept, strict=True):
            start[k] += at[j]
        yield at, tuple(start) if inside or mode == "clip" else None


@st.composite
def gathers(draw):
    """An operand, starts in and out of bounds, dimension numbers, sizes, and the shape of the result."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    along, index_along = (), ()
    if batch and len(shape) > 1 and draw(st.booleans()):
        along, index_along = (draw(st.integers(0, len(shape) - 1)),), (draw(st.integers(0, len(batch) - 1)),)
        batch[index_along[0]] = shape[along[0]]
    free = [k for k in range(len(shape)) if k not in along]
    mapped = tuple(draw(st.permutations(free))[: draw(st.integers(0, len(free)))])
    collapsed = tuple([k for k in free if draw(st.booleans())])
    sizes = [1 if k in (*along, *collapsed) else draw(st.integers(1, n)) for k, n in enumerate(shape)]
    kept = [k for k in free if k not in collapsed]
    rank = len(batch) + len(kept)
    offset = tuple(sorted(draw(st.permutations(range(rank)))[: len(kept)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.permutation(np.prod(shape)).reshape(shape) / 7 + 0.3
    starts = rng.integers(-2, 5, (*batch, len(mapped)))
    result, rest = [0] * rank, iter(batch)
    for j in range(rank):
        result[j] = sizes[kept[offset.index(j)]] if j in offset else next(rest)
    return x, starts, (offset, collapsed, mapped, along, index_along), sizes, tuple(result)


@settings(max_examples=150)
@given(gathers(), st.sampled_from(["clip", "fill"]))
def test_gather_is_a_loop_over_its_definition(case, mode):
    """Plain, compiled with unknown starts, and in a batch."""
    x, starts, numbers, sizes, shape = case
    expected = np.full(shape, -1.0)
    for at, place in places(x, starts, numbers, sizes, mode, shape):
        if place is not None:
            expected[at] = x[place]

    def f(x, starts):
        return lax.gather(x, starts, lax.GatherDimensionNumbers(*numbers), sizes, mode=mode, fill_value=-1)

    np.testing.assert_array_equal(f(x, starts), expected)
    assert np.shape(f(x, starts)) == shape
    np.testing.assert_array_equal(fg.jit(f)(x, starts), expected)
    out = fg.vmap(f)(np.stack([x, x]), np.stack([starts, starts[::-1]]))
    np.testing.assert_array_equal(out, np.stack([expected, f(x, starts[::-1])]))
    if mode == "clip":
        np.testing.assert_array_equal(
            fg.vmap(f, (0, None))(np.stack([x, 2 * x]), starts), np.stack([expected, 2 * expected])
        )


@settings(max_examples=120)
@given(gathers(), st.sampled_from(["clip", "drop"]), st.sampled_from(sorted(OPERATIONS, key=lambda f: f.__name__)))
def test_scatter_is_a_loop_over_its_definition(case, mode, function):
    """Updates of one element come together; those out of bounds are dropped or moved."""
    x, starts, numbers, sizes, shape = case
    v = np.random.default_rng(0).uniform(-2, 2, shape)
    expected = x.copy()
    for at, place in places(x, starts, numbers, sizes, mode, shape):
        if place is not None:
            expected[place] = OPERATIONS[function](expected[place], v[at])

    def f(x, starts, v):
        return function(x, starts, v, lax.ScatterDimensionNumbers(*numbers), mode=mode)

    np.testing.assert_allclose(f(x, starts, v), expected)
    np.testing.assert_allclose(fg.jit(f)(x, starts, v), expected)
    out = fg.vmap(f, (None, 0, None))(x, np.stack([starts, starts[::-1]]), v)
    np.testing.assert_allclose(out, np.stack([expected, f(x, starts[::-1], v)]))


@settings(max_examples=30)
@given(gathers(), st.sampled_from([*sorted(OPERATIONS, key=lambda f: f.__name__), lax.scatter, lax.gather]))
def test_derivatives_of_gather_and_scatter(case, function):
    """To second order, also through the compiled function, of which the starts are unknown."""
    x, starts, numbers, sizes, shape = case
    if function is lax.gather:
        args = (x,)

        def f(starts, x):
            return lax.gather(x**2, starts, lax.GatherDimensionNumbers(*numbers), sizes, fill_value=1)
    else:
        # Differences of elements and updates are far from 0, so that no maximum changes its place.
        args = (x, np.random.default_rng(0).permutation(np.prod(shape, dtype=int)).reshape(shape) / 5 + 0.11)

        def f(starts, x, v):
            return function(x, starts, v, lax.ScatterDimensionNumbers(*numbers))

    check_grads(lambda *args: f(starts, *args), args, 2)
    check_grads(lambda *args: fg.jit(f)(starts, *args), args, 1)


ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))


def test_of_several_updates_the_last_one_stands():
    """In a plain scatter; the others have no derivative."""
    x, starts, v = np.zeros((3, 2)), np.array([[1], [0], [1]]), np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(lax.scatter(x, starts, v, ROWS), [[2, 3], [4, 5], [0, 0]])
    np.testing.assert_array_equal(fg.grad(lambda v: lax.scatter(x, starts, v, ROWS).sum())(v), [[0, 0], [1, 1], [1, 1]])


def test_product_of_updates_with_zeros():
    """The derivative of a product needs no division by what may be zero."""
    x, starts = np.array([2.0, 3.0]), np.array([[0], [0], [0]])
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    for v in (np.array([5.0, 0.0, 7.0]), np.array([0.0, 0.0, 7.0])):
        check_grads(lambda x, v: lax.scatter_mul(x, starts, v, numbers), (x, v), 2)


def test_scatter_apply_counts():
    """An element that is addressed twice is changed twice; unknown places must be unique."""
    x, starts = np.array([1.0, 10.0, 100.0]), np.array([[2], [0], [2], [5]])
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))

    def f(x, starts, **options):
        return lax.scatter_apply(x, starts, lambda y: y * 3, numbers, update_shape=(4,), **options)

    np.testing.assert_array_equal(f(x, starts), [3, 10, 900])
    np.testing.assert_array_equal(fg.grad(lambda x: f(x, starts).sum())(x), [3, 1, 9])
    with pytest.raises(TypeError, match="pass unique_indices=True"):
        fg.jit(f)(x, starts)
    unique = np.array([[2], [0], [4], [5]])
    np.testing.assert_array_equal(fg.jit(lambda x, i: f(x, i, unique_indices=True))(x, unique), [3, 10, 300])


def test_what_stands_out_of_bounds():
    """By default nan, of integers the least or greatest one, of booleans True."""
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))
    for dtype, fill in ((np.float32, np.nan), (np.int8, -128), (np.uint8, 255), (bool, True)):
        out = lax.gather(np.zeros(3, dtype), np.array([[7]]), numbers, (1,))
        np.testing.assert_array_equal(out, np.array([fill], dtype))
        assert out.dtype == dtype


def test_index_take():
    """Vectors of indices along some axes, modulo their sizes."""
    x = np.arange(24.0).reshape(2, 3, 4)
    out = lax.index_take(x, (np.array([0, -1, 3]), np.array([1, 2, 5])), (0, 2))
    np.testing.assert_array_equal(out, x[[0, 1, 1], :, [1, 2, 1]])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x, i: lax.gather(x, i + 0.5, lax.GatherDimensionNumbers((1,), (0,), (0,)), (1, 2)), "must be integers"),
        (lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers((1,), (0,), (0, 1)), (1, 2)), "the last axis"),
        (lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers((1,), (0,), (0,)), (1, 3)), "slice sizes"),
        (lambda x, i: lax.gather(x, i, lax.GatherDimensionNumbers((1,), (0,), (0,)), (2, 2)), "dimension numbers"),
        (lambda x, i: lax.scatter(x, i, x[:1], ROWS), "expected updates of shape"),
        (lambda x, i: lax.scatter(x, i, x * 1j, ROWS), "do not fit into an array of float64"),
    ],
)
def test_what_does_not_fit_is_said(call, text):
    """A TypeError, plain and traced."""
    for fun in (call, fg.jit(call)):
        with pytest.raises(TypeError, match=text):
            fun(np.zeros((3, 2)), np.zeros((3, 1), int))
    with pytest.raises(ValueError, match="the mode must be one of"):
        lax.GatherScatterMode.from_any("wrap")

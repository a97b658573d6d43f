"""fungrad.lax: functions that make, move, repeat and join elements; sorting; what stands for compilers."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.testing import check_grads

X = np.arange(6.0).reshape(2, 3)


@given(st.integers(0, 4), st.integers(-6, 4), st.integers(-6, 4), st.integers(0, 3))
def test_pad_is_where_each_element_goes(n, low, high, interior):
    """Element k stands at ``low + k (interior + 1)`` of the result if that is within it; the value everywhere else."""
    x = np.arange(1.0, n + 1)
    size = (n - 1) * (interior + 1) + 1 + low + high if n else low + high
    config = [(low, high, interior)]
    if size < 0:
        with pytest.raises(ValueError, match="a negative size"):
            lax.pad(x, 9.0, config)
        return
    expected = np.full(size, 9.0)
    for k in range(n):
        if 0 <= low + k * (interior + 1) < size:
            expected[low + k * (interior + 1)] = x[k]
    for value in (9.0, 0.0):
        wanted = np.where(expected == 9, value, expected)
        np.testing.assert_array_equal(lax.pad(x, value, config), wanted)
        np.testing.assert_array_equal(fg.jit(lambda x, v: lax.pad(x, v, config))(x, value), wanted)
    if n:
        check_grads(lambda x, v: lax.pad(x, v, config) ** 2, (x, 0.7), 2)


def test_constants():
    """Dtypes and shapes are those asked for; a traced value may be spread."""
    np.testing.assert_array_equal(lax.iota(np.int16, 3), np.arange(3, dtype=np.int16))
    np.testing.assert_array_equal(lax.broadcasted_iota(float, (2, 3), 0), [[0, 0, 0], [1, 1, 1]])
    assert lax.full((2,), 3, np.float32).dtype == np.float32
    assert lax.full_like(X, 1.5, int).tolist() == [[1] * 3] * 2
    assert fg.grad(lambda x: lax.full((2, 2), x).sum())(1.0) == 4
    assert lax.zeros_like_array(X).tolist() == [[0] * 3] * 2
    assert lax.dtype(1.0) == np.float64
    assert lax.empty((2, 0), int).shape == (2, 0)
    with pytest.raises(TypeError, match="must be a scalar"):
        lax.full((2,), X)


def test_broadcasting():
    """Axes are named, nothing is guessed."""
    np.testing.assert_array_equal(lax.broadcast(X, (4,)), np.broadcast_to(X, (4, 2, 3)))
    np.testing.assert_array_equal(lax.broadcast_in_dim(X, (2, 5, 3), (0, 2)), np.repeat(X[:, None], 5, 1))
    np.testing.assert_array_equal(lax.broadcast_in_dim(X[:, :1], (2, 3), (0, 1)), np.repeat(X[:, :1], 3, 1))
    assert lax.broadcast_to_rank(X, 4).shape == (1, 1, 2, 3)
    assert lax.broadcast_like(X[0], X).shape == (2, 3)
    assert lax.broadcast_shapes((2, 1), (3,), ()) == (2, 3)
    check_grads(lambda x: lax.broadcast_in_dim(x, (2, 2, 3), (1, 2)) ** 2, (X,), 2)
    for shape, axes in (((3, 2), (0, 1)), ((2, 3), (1, 0)), ((2, 3), (0,)), ((2, 3), (0, 2))):
        with pytest.raises(TypeError, match="broadcast"):
            lax.broadcast_in_dim(X, shape, axes)
    with pytest.raises(ValueError, match="more than 1 axes"):
        lax.broadcast_to_rank(X, 1)


def test_shapes():
    """Complete sizes, permutations and axes; the order in which axes are read may be given."""
    np.testing.assert_array_equal(lax.reshape(X, (3, 2)), X.reshape(3, 2))
    np.testing.assert_array_equal(lax.reshape(X, (6,), (1, 0)), X.T.ravel())
    np.testing.assert_array_equal(lax.transpose(X, (1, 0)), X.T)
    np.testing.assert_array_equal(lax.rev(X, (1,)), X[:, ::-1])
    assert lax.expand_dims(X, (0, -1)).shape == (1, 2, 3, 1)
    assert lax.squeeze(X[None], (0,)).shape == (2, 3)
    assert lax.collapse(np.zeros((2, 3, 4)), 1).shape == (2, 12)
    assert lax.collapse(np.zeros((2, 3, 4)), 0, 2).shape == (6, 4)
    assert lax.collapse(np.zeros((2, 3, 4)), 1, 1).shape == (2, 1, 3, 4)
    np.testing.assert_array_equal(lax.tile(X, (2, 3)), np.tile(X, (2, 3)))
    for call, error, text in (
        (lambda: lax.reshape(X, (-1,)), TypeError, "all sizes must be given"),
        (lambda: lax.reshape(X, (2, 2)), TypeError, "6 elements"),
        (lambda: lax.reshape(X, (2, 1.5)), TypeError, "new_sizes must be integers"),
        (lambda: lax.transpose(X, (0, 0)), TypeError, "each axis"),
        (lambda: lax.squeeze(X, (0,)), ValueError, "do not all have size 1"),
        (lambda: lax.tile(X, (2,)), ValueError, "a number for each axis"),
        (lambda: lax.collapse(X, 2, 1), ValueError, "are none"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_joining_and_splitting():
    """And back again."""
    parts = lax.split(X, (1, 0, 2), 1)
    assert [p.shape for p in parts] == [(2, 1), (2, 0), (2, 2)]
    np.testing.assert_array_equal(lax.concatenate(parts, 1), X)
    np.testing.assert_array_equal(lax.stack(lax.unstack(X, 1), 1), X)
    assert lax.concatenate([X.astype(np.float32), X.astype(np.int8)], 0).dtype == np.float32
    for call, error, text in (
        (lambda: lax.concatenate([X, X[:, :2]], 0), TypeError, "differ along axis 0 only"),
        (lambda: lax.concatenate([X, X[0]], 0), TypeError, "differ along axis 0 only"),
        (lambda: lax.stack([X, X.T]), TypeError, "one shape"),
        (lambda: lax.split(X, (1, 1), 1), ValueError, "do not add up to 3"),
        (lambda: lax.concatenate([], 0), ValueError, "at least one array"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_conversions():
    """Cut off to integers, by bits, and to fewer bits."""
    assert lax.convert_element_type(np.array([1.9, -1.9]), int).tolist() == [1, -1]
    assert lax.convert_element_type(np.array([0.0, -0.5]), bool).tolist() == [False, True]
    assert fg.grad(lambda x: lax.convert_element_type(x, np.float32) * np.float32(2))(1.0) == 2
    bits = lax.bitcast_convert_type(X, np.uint16)
    assert bits.shape == (2, 3, 4)
    np.testing.assert_array_equal(lax.bitcast_convert_type(bits, np.float64), X)
    np.testing.assert_array_equal(fg.vmap(lambda x: lax.bitcast_convert_type(x, np.uint16))(X), bits)
    with pytest.raises(ValueError, match="takes a last axis of 4 elements"):
        lax.bitcast_convert_type(bits[..., :2], np.float64)


@given(st.floats(allow_nan=False, width=32))
def test_reduce_precision_to_half_is_half(x):
    """With the bits of float16 the numbers are those of float16, apart from its subnormal ones."""
    with np.errstate(over="ignore"):
        half = np.float32(np.float16(np.float32(x)))
    out = lax.reduce_precision(np.float32(x), 5, 10)
    if abs(half) >= 2**-14 or abs(x) < 2**-15:
        assert out == (half if abs(half) >= 2**-14 else 0)
    assert out.dtype == np.float32
    assert np.isnan(lax.reduce_precision(np.float64(np.nan), 5, 10))


def test_identities():
    """What has to do with compilers and devices does nothing, or says that it cannot."""
    tree = {"a": X, "b": 1.0}
    assert lax.optimization_barrier(tree) is tree
    assert lax.with_sharding_constraint(X, None) is X
    assert lax.composite(np.sin, "sine") is np.sin
    assert lax.platform_dependent(2.0, cpu=lambda x: x + 1, default=lambda x: x) == 3
    assert lax.platform_dependent(2.0, tpu=lambda x: x + 1, default=lambda x: x) == 2
    with pytest.raises(NotImplementedError, match="neither cpu= nor default="):
        lax.platform_dependent(2.0, tpu=lambda x: x)
    assert fg.grad(lambda t: t["a"].sum() * lax.stop_gradient(t)["b"])(tree)["b"] == 0
    assert lax.after_all(lax.create_token()) and lax.dce_sink(X) is None


def test_fft():
    """The last axes, as many as there are lengths, by name or type."""
    z = X + 1j
    np.testing.assert_allclose(lax.fft(z, "FFT", (3,)), np.fft.fft(z))
    np.testing.assert_allclose(lax.fft(z, lax.FftType.IFFT, (2, 3)), np.fft.ifft2(z))
    np.testing.assert_allclose(lax.fft(X, "rfft", (2, 3)), np.fft.rfft2(X))
    np.testing.assert_allclose(lax.fft(z[:, :2], "irfft", (3,)), np.fft.irfft(z[:, :2], 3))
    check_grads(lambda x: lax.fft(x, "RFFT", (3,)), (X,), 2)
    with pytest.raises(ValueError, match="do not fit the last axes"):
        lax.fft(X, "FFT", (4,))


# Sorting


@given(st.integers(1, 3), st.integers(0, 1), st.integers(0, 2**32 - 1))
def test_sort_by_several_keys(keys, axis, seed):
    """Rows are sorted as tuples of their keys, equal ones in their order; the others come along."""
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 3, (4, 5)) for _ in range(3)] + [np.arange(20).reshape(4, 5)]
    out = lax.sort(tuple(arrays), dimension=axis, num_keys=keys)
    for lines, sorted_lines in zip(
        np.moveaxis(np.stack(arrays, -1), axis, 1).reshape(-1, arrays[0].shape[axis], 4),
        np.moveaxis(np.stack(out, -1), axis, 1).reshape(-1, arrays[0].shape[axis], 4),
        strict=True,
    ):
        expected = sorted(lines.tolist(), key=lambda row: row[:keys])
        assert sorted_lines.tolist() == expected


def test_top_k():
    """The largest ones in descending order, of equal ones the earlier first, nan before all."""
    x = np.array([[1.0, 3.0, 3.0, np.nan, 2.0], [0.0, -1.0, 5.0, 5.0, 5.0]])
    for fun in (lambda x: lax.top_k(x, 3), fg.jit(lambda x: lax.top_k(x, 3)), fg.vmap(lambda x: lax.top_k(x, 3))):
        values, places = fun(x)
        np.testing.assert_array_equal(places, [[3, 1, 2], [2, 3, 4]])
        np.testing.assert_array_equal(values, np.take_along_axis(x, places, 1))
    np.testing.assert_array_equal(lax.top_k(x, 1, axis=0)[1], [[0, 0, 1, 0, 1]])
    assert lax.top_k(x, 0)[0].shape == (2, 0)
    np.testing.assert_array_equal(fg.grad(lambda x: lax.top_k(x, 2)[0].sum())(x[1]), [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(lax.approx_min_k(x[1], 2)[1], [1, 0])
    np.testing.assert_array_equal(lax.approx_max_k(x[1], 2)[1], [2, 3])
    with pytest.raises(ValueError, match="k must be 0 to 5"):
        lax.top_k(x, 6)
    with pytest.raises(TypeError, match="no order"):
        lax.top_k(x + 1j, 1)


def test_sort_is_checked():
    """Shapes and the number of keys."""
    keys, values = lax.sort_key_val(np.array([3, 1, 2]), np.array([0.0, 1.0, 2.0]))
    assert (keys.tolist(), values.tolist()) == ([1, 2, 3], [1, 2, 0])
    for call, error, text in (
        (lambda: lax.sort((X, X[0])), TypeError, "one shape"),
        (lambda: lax.sort((X, X), num_keys=3), ValueError, "num_keys must be 1 to 2"),
        (lambda: lax.sort(X, 2), ValueError, "axis 2 is out of bounds"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_no_function_returns_an_array_without_axes():
    """Scalars are NumPy's scalars, as everywhere."""
    one = np.array(1.5)
    for out in (
        lax.full((), 2.0), lax.empty((), float), lax.add(one, one), lax.reshape(np.ones(1), ()), lax.pad(one, 0.0, []),
        lax.convert_element_type(one, int), lax.bitcast_convert_type(one, int), lax.reduce_sum(np.ones(2), (0,)),
        lax.reduce(np.ones(2), 0.0, lambda a, b: a + b, (0,)), lax.dynamic_slice(one, (), ()), lax.reduce_max(one, ()),
        lax.dynamic_update_slice(one, one, ()), lax.squeeze(np.ones(1), (0,)), lax.dot(np.ones(2), np.ones(2)),
        lax.reduce_window(one, 0.0, lax.add, ()), lax.round(one), lax.clamp(one, one, one), lax.select(True, one, one),
        lax.gather(np.ones(2), np.array([1]), lax.GatherDimensionNumbers((), (0,), (0,)), (1,)),
        lax.argmax(np.ones(2), 0, int), lax.index_in_dim(np.ones(2), 0, keepdims=False),
        lax.transpose(one, ()), lax.broadcast(one, ()), lax.reduce_precision(one, 5, 5),
    ):  # fmt: skip
        assert isinstance(out, np.generic), repr(out)


def test_namespace():
    """Each name exists and has a docstring; the parameters are named as in jax.lax."""
    assert len(set(lax.__all__)) == len(lax.__all__)
    for name in lax.__all__:
        assert getattr(lax, name).__doc__, name
    for name, parameters in {
        "conv_general_dilated": "lhs rhs window_strides padding lhs_dilation rhs_dilation dimension_numbers "
        "feature_group_count batch_group_count precision preferred_element_type out_sharding",
        "dot_general": "lhs rhs dimension_numbers precision preferred_element_type out_sharding",
        "gather": "operand start_indices dimension_numbers slice_sizes unique_indices indices_are_sorted mode "
        "fill_value",
        "scatter_add": "operand scatter_indices updates dimension_numbers indices_are_sorted unique_indices mode",
        "reduce_window": "operand init_value computation window_dimensions window_strides padding base_dilation "
        "window_dilation",
        "dynamic_slice_in_dim": "operand start_index slice_size axis allow_negative_indices",
        "dynamic_update_slice": "operand update start_indices allow_negative_indices",
        "broadcast_in_dim": "operand shape broadcast_dimensions out_sharding",
        "sort": "operand dimension is_stable num_keys",
        "top_k": "operand k axis",
        "select_n": "which cases",
        "clamp": "min x max",
        "add": "x y",
        "nextafter": "x1 x2",
        "igamma": "a x",
        "zeta": "x q",
        "exp": "x accuracy",
        "cumsum": "operand axis reverse",
        "argmax": "operand axis index_dtype",
        "expand_dims": "array dimensions",
    }.items():
        code = getattr(lax, name).__code__
        count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)
        names = code.co_varnames[:count]
        assert " ".join(names) == parameters, name


def test_lax_is_imported_when_it_is_used():
    """Importing fungrad does not load it."""
    code = "import sys, fungrad; print('fungrad.lax' in sys.modules, fungrad.lax.add, 'fungrad.lax' in sys.modules)"
    root = pathlib.Path(fg.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert (done.stdout.split()[0], done.stdout.split()[-1]) == ("False", "True")


def test_programs_with_many_functions_agree():
    """A small program under each transform: eager, compiled, batched; its gradient compiled and not."""

    def program(x, i):
        x = lax.pad(x, 0.5, [(1, 0, 0), (0, 1, 1)])
        y = lax.dynamic_slice(x, (i, 0), (2, 3))
        z = lax.reduce_window(x, -np.inf, lax.max, (2, 2))
        w = lax.dot_general(y, lax.slice(z, (0, 0), (3, 3)), (((1,), (1,)), ((), ())))
        return lax.reduce_sum(lax.tanh(w), (0, 1)) + lax.top_k(lax.collapse(x, 0), 2)[0][0]

    x = np.random.default_rng(0).standard_normal((3, 3))
    for f in (program, fg.grad(program)):
        for i in (0, 1, 5):
            np.testing.assert_allclose(fg.jit(f)(x, i), f(x, i), rtol=1e-12)
        many, starts = np.stack([x, 2 * x, -x]), np.array([0, 1, 5])
        looped = [f(a, i) for a, i in zip(many, starts, strict=True)]
        np.testing.assert_allclose(fg.vmap(f)(many, starts), np.stack(looped), rtol=1e-12)
    check_grads(lambda x: program(x, 1), (x,), 2)

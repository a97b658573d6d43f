"""fungrad.lax: convolutions and products of matrices, against sums that are written out."""

import concurrent.futures
import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad import lax
from fungrad.primitives import conv as implementation
from fungrad.testing import check_grads

NAMES = "HW"


def naive(x, y, strides, pads, spread, dilation, groups=1, batches=1):
    """The definition, for "NC..." and "OI...": a loop over results, places in the window and groups."""
    (n, _, *sizes), (o, i, *kernel) = x.shape, y.shape
    counts = []
    for s, k, stride, (low, high), m, d in zip(sizes, kernel, strides, pads, spread, dilation, strict=True):
        room = (s - 1) * m + 1 + low + high - ((k - 1) * d + 1)
        counts.append(room // stride + 1 if room >= 0 else 0)
    out = np.zeros((n // batches, o, *counts), np.result_type(x, y))
    for place in itertools.product(*map(range, counts)):
        for tap in itertools.product(*map(range, kernel)):
            where = []
            for p, k, stride, (low, _), m, d, s in zip(place, tap, strides, pads, spread, dilation, sizes, strict=True):
                t = p * stride + k * d - low
                if t % m or not 0 <= t // m < s:
                    break
                where.append(t // m)
            else:
                for feature in range(o):
                    group = feature // (o // (groups * batches))
                    rows = slice(group * (n // batches), (group + 1) * (n // batches)) if batches > 1 else slice(None)
                    columns = slice(group * i, (group + 1) * i) if groups > 1 else slice(None)
                    part = x[(rows, columns, *where)]
                    out[(slice(None), feature, *place)] += part @ y[(feature, slice(None), *tap)]
    return out


@st.composite
def convolutions(draw):
    """Operands "NC..." and "OI..." and all numbers of a convolution."""
    rank = draw(st.integers(1, 2))
    small, few = st.integers(1, 3), st.integers(1, 2)

    def each(of):
        return [draw(of) for _ in range(rank)]

    groups, batches = draw(st.sampled_from([(1, 1), (2, 1), (1, 2), (3, 1)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features = draw(few)
    x = rng.standard_normal((draw(few) * batches, features * groups, *each(st.integers(1, 5))))
    y = rng.standard_normal((draw(few) * groups * batches, features, *each(small)))
    pads = [(draw(st.integers(-1, 3)), draw(st.integers(-1, 3))) for _ in range(rank)]
    return x, y, (each(small), pads, each(small), each(few)), groups, batches


@settings(max_examples=150)
@given(convolutions())
def test_conv_is_the_sum_of_its_definition(case):
    """For all strides, pads, spreads, dilations and groups; in reversed layouts too, and compiled."""
    x, y, numbers, groups, batches = case
    expected = naive(x, y, *numbers, groups, batches)
    out = lax.conv_general_dilated(x, y, *numbers, None, groups, batches)
    assert out.shape == expected.shape and type(out) is np.ndarray
    np.testing.assert_allclose(out, expected, atol=1e-12)
    letters = NAMES[: x.ndim - 2]
    layouts = (letters[::-1] + "CN", "I" + letters + "O", "C" + letters + "N")
    to_x = [("NC" + letters).index(a) for a in layouts[0]]
    to_y = [("OI" + letters).index(a) for a in layouts[1]]
    to_out = [("NC" + letters).index(a) for a in layouts[2]]
    turned = fg.jit(lambda x, y: lax.conv_general_dilated(x, y, *numbers, layouts, groups, batches))(
        x.transpose(to_x), y.transpose(to_y)
    )
    np.testing.assert_allclose(turned, expected.transpose(to_out), atol=1e-12)


@settings(max_examples=60)
@given(convolutions(), st.sampled_from([(0, None), (None, 0), (0, 0)]))
def test_vmap_of_conv_is_a_loop(case, in_axes):
    """Batches of images, of kernels, and of both."""
    x, y, numbers, groups, batches = case

    def f(x, y):
        return lax.conv_general_dilated(x, y, *numbers, None, groups, batches)

    xs, ys = np.stack([x, 2 * x + 1, -x]), np.stack([y, y - 1, 3 * y])
    args = [xs if in_axes[0] == 0 else x, ys if in_axes[1] == 0 else y]
    looped = [f(*[a[k] if axis == 0 else a for a, axis in zip(args, in_axes, strict=True)]) for k in range(3)]
    np.testing.assert_allclose(fg.vmap(f, in_axes)(*args), np.stack(looped), atol=1e-11)


@settings(max_examples=25)
@given(convolutions())
def test_derivatives_of_conv(case):
    """Both modes to second order, with respect to images and kernels together."""
    x, y, numbers, groups, batches = case
    if 0 in naive(x, y, *numbers, groups, batches).shape:
        return
    check_grads(lambda x, y: lax.conv_general_dilated(x, y, *numbers, None, groups, batches), (x, y), 2)


@pytest.mark.parametrize("layout", [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW")])
def test_conv_in_pieces(layout, monkeypatch):
    """Windows that are copied piece by piece give the same, forwards and backwards, along whatever axis it is cut."""
    rng = np.random.default_rng(0)
    sizes = {"N": 3, "C": 2, "H": 9, "W": 8, "O": 4, "I": 2}
    x = rng.standard_normal([sizes[a] for a in layout[0]])
    y = rng.standard_normal([3 if a in "HW" else sizes[a] for a in layout[1]])

    def f(x, y):
        return lax.conv_general_dilated(x, y, (1, 2), "SAME", None, None, layout)

    def both():
        value, pull = fg.vjp(f, x, y)
        return value, *pull(np.cos(value)), f(x[:1] if layout[0][0] == "N" else x, y)

    whole = both()
    for piece in (1, 50, 700):
        monkeypatch.setattr(implementation, "PIECE", piece)
        for a, b in zip(both(), whole, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-11)


def test_each_way_through_spread_images(monkeypatch):
    """Adding products to their places, filling zeros in and exchanging the operands are chosen by size, and agree."""
    rng = np.random.default_rng(0)
    ways = []
    for name in ("_scattered", "_padded", "_conv"):
        original = getattr(implementation, name)

        def noted(*args, _original=original, _name=name, **kwargs):
            ways.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(implementation, name, noted)
    cases = {
        "_scattered": ((1, 1, 6), (1, 1, 3), ([1], [(1, 1)], [3], [1])),
        "_padded": ((1, 1, 6), (1, 1, 3), ([2], [(1, 1)], [3], [1])),
        "_conv": ((1, 1, 4), (1, 1, 9), ([1], [(0, 0)], [3], [1])),
    }
    for way, (x_shape, y_shape, numbers) in cases.items():
        x, y = rng.standard_normal(x_shape), rng.standard_normal(y_shape)
        ways.clear()
        np.testing.assert_allclose(
            lax.conv_general_dilated(x, y, *numbers), naive(x, y, *numbers), atol=1e-12, err_msg=way
        )
        assert ways[0] == way, ways


def test_conv_transpose_is_the_adjoint_of_conv():
    """With the kernel transposed it is what vjp makes of the convolution with the same padding."""
    rng = np.random.default_rng(0)

    def forward(y, stride, padding, x):
        return lax.conv_general_dilated(x, y, (stride,), padding, None, None, ("NHC", "HIO", "NHC"))

    for size, stride, padding in itertools.product((6, 7, 8), (1, 2, 3), ("SAME", "VALID")):
        x, y = rng.standard_normal((2, size, 3)), rng.standard_normal((3, 3, 4))
        value, pull = fg.vjp(partial(forward, y, stride, padding), x)
        ct = rng.standard_normal(value.shape)
        (expected,) = pull(ct)
        out = lax.conv_transpose(ct, y, (stride,), padding, transpose_kernel=True)
        common = min(out.shape[1], size)  # the size of the images is not known from that of the result
        if padding == "VALID" or size % stride == 0:
            np.testing.assert_allclose(out[:, :common], expected[:, :common], atol=1e-12)
    out = lax.conv_transpose(ct, y, (3,), [(1, 1)], transpose_kernel=True, use_consistent_padding=True)
    _, pull = fg.vjp(partial(forward, y, 3, [(1, 1)]), np.zeros((2, out.shape[1], 3)))
    np.testing.assert_allclose(out, pull(ct)[0], atol=1e-12)


def test_patches_are_what_the_kernel_meets():
    """A product with the patches is the convolution; with a kernel for each window it is the local one."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((4, 3, 2, 3))
    patches = lax.conv_general_dilated_patches(x, (2, 3), (2, 1), "SAME")
    expected = lax.conv_general_dilated(x, y, (2, 1), "SAME")
    np.testing.assert_allclose(np.einsum("nkhw,ok->nohw", patches, y.reshape(4, -1)), expected)
    local = np.broadcast_to(y.reshape(4, -1, 1, 1), (4, 18, *expected.shape[2:]))
    np.testing.assert_allclose(lax.conv_general_dilated_local(x, local, (2, 1), "SAME", (2, 3)), expected)


def test_padding_by_name():
    """SAME makes ceil(size / stride) windows; the one zero more stands behind, with SAME_LOWER in front."""
    assert lax.padtype_to_pads((5, 6), (2, 4), (1, 2), "SAME") == [(0, 1), (1, 1)]
    assert lax.padtype_to_pads((5, 6), (2, 4), (1, 2), "same_lower") == [(1, 0), (1, 1)]
    assert lax.padtype_to_pads((5,), (3,), (1,), "VALID") == [(0, 0)]
    with pytest.raises(ValueError, match="expected 'VALID', 'SAME' or 'SAME_LOWER', got 'FULL'"):
        lax.padtype_to_pads((5,), (3,), (1,), "FULL")


def test_shapes_of_convolutions():
    """The functions of shapes say what the convolutions make."""
    x, y = np.zeros((2, 9, 8, 3)), np.zeros((3, 2, 3, 4))
    layout = ("NHWC", "HWIO", "NHWC")
    for padding in ("SAME", "VALID", [(1, 0), (2, 2)]):
        made = lax.conv_general_dilated(x, y, (2, 1), padding, None, None, layout).shape
        assert lax.conv_general_shape_tuple(x.shape, y.shape, (2, 1), padding, layout) == made
        made = lax.conv_transpose(x, y, (2, 1), padding).shape
        assert lax.conv_transpose_shape_tuple(x.shape, y.shape, (2, 1), padding, layout) == made


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, y: lax.conv(x, y[0], (1,), "VALID"), TypeError, "as many axes"),
        (lambda x, y: lax.conv(x, y[:, :1], (1,), "VALID"), TypeError, "has 2 features; .* take 1"),
        (lambda x, y: lax.conv(x, y, (1, 1), "VALID"), ValueError, "window_strides must be 1 positive integers"),
        (lambda x, y: lax.conv(x, y, (0,), "VALID"), ValueError, "window_strides must be 1 positive integers"),
        (lambda x, y: lax.conv(x, y, (1,), [(1, 1, 1)]), ValueError, "a pair"),
        (lambda x, y: lax.conv_general_dilated(x, y, (1,), "SAME", (2,)), ValueError, "not defined with lhs_dilation"),
        (lambda x, y: lax.conv_general_dilated(x, y, (1,), "SAME", None, None, ("NCH", "OIW", "NCH")), TypeError,
            "spatial letters"),
        (lambda x, y: lax.conv_general_dilated(x, y, (1,), "SAME", None, None, ("NCC", "OIH", "NCH")), TypeError,
            "different letters"),
        (lambda x, y: lax.conv_general_dilated(x, y, (1,), "SAME", None, None, None, 1, 2), ValueError, "no multiples"),
        (lambda x, y: lax.dot(x, y), TypeError, r"got shapes \(1, 2, 5\) and \(3, 2, 2\); lax.dot_general takes"),
        (lambda x, y: lax.dot_general(x, y, (((1,), (0,)), ((), ()))), TypeError, "must have the sizes"),
        (lambda x, y: lax.dot_general(x, y, (((1,), (1,)), ((1,), (2,)))), TypeError, "different axes"),
        (lambda x, y: lax.batch_matmul(x, y), TypeError, "equal leading axes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, error, text):
    """Errors name the function, what came and what was expected; the same under a transform."""
    x, y = np.zeros((1, 2, 5)), np.zeros((3, 2, 2))
    for fun in (call, fg.jit(call)):
        with pytest.raises(error, match=text):
            fun(x, y)


def test_dtypes_of_products():
    """Operands are promoted; a wider preferred type is that of the computation, a narrower one of the result."""
    x, y = np.full((1, 1, 2), 100, np.int8), np.full((1, 1, 2), 100, np.int8)
    assert lax.conv(x, y, (1,), "VALID", preferred_element_type=np.int32).tolist() == [[[20000]]]
    out = lax.dot(x[0, 0], y[0, 0].astype(np.float32), preferred_element_type=np.float16)
    assert out.dtype == np.float16
    assert lax.conv(x.astype(np.float16), y, (1,), "VALID").dtype == np.float16
    assert lax.dot(x[0, 0], y[0, 0].astype(np.float32)).dtype == np.float32


def test_dot_general_is_einsum():
    """Batch axes in front, then those of lhs, then those of rhs; derivatives too."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((5, 6, 2, 3))

    def f(x, y):
        return lax.dot_general(x, y, (((3, 1), (0, 3)), ((0,), (2,))))

    np.testing.assert_allclose(f(x, y), np.einsum("abcd,deab->ace", x, y))
    check_grads(f, (x, y), 2)


def test_ragged_dot_multiplies_groups_of_rows():
    """Known and traced sizes; rows behind the last group are zero."""
    rng = np.random.default_rng(0)
    x, y, sizes = rng.standard_normal((6, 2)), rng.standard_normal((3, 2, 4)), np.array([2, 0, 3])
    expected = np.concatenate([x[:2] @ y[0], x[2:5] @ y[2], np.zeros((1, 4))])
    np.testing.assert_allclose(lax.ragged_dot(x, y, sizes), expected)
    np.testing.assert_allclose(fg.jit(lax.ragged_dot)(x, y, sizes), expected)
    check_grads(lambda x, y: lax.ragged_dot(x, y, sizes), (x, y), 2)


def test_a_compiled_network_in_blocks():
    """Large enough that the compiler computes blocks of images: value and gradient are those of the eager program."""
    rng = np.random.default_rng(0)
    layout = ("NHWC", "HWIO", "NHWC")
    images = rng.standard_normal((96, 12, 12, 3))
    params = (rng.standard_normal((3, 3, 3, 8)) / 5, rng.standard_normal((3, 3, 8, 4)) / 8)

    def loss(params, images):
        x = lax.max(lax.conv_general_dilated(images, params[0], (1, 1), "SAME", None, None, layout), 0.0)
        x = lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1))
        x = lax.tanh(lax.conv_general_dilated(x, params[1], (2, 2), [(1, 1), (1, 1)], None, None, layout))
        return lax.reduce_sum(x * x, (0, 1, 2, 3))

    value_and_grad = fg.value_and_grad(loss, (0, 1))
    compiled = fg.jit(value_and_grad)
    expected = value_and_grad(params, images)
    for _ in range(2):
        for a, b in zip(fg.tree.leaves(compiled(params, images)), fg.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert "run_blocks" in compiled.lower(params, images).as_text()


def test_results_own_their_memory():
    """Windows are copied into memory that is used again: no result may show it."""
    x, y = np.ones((1, 1, 6)), np.ones((1, 1, 3))
    for padding, kernel in (("SAME", y), ("VALID", y), ([(2, 2)], y[:, :, :1]), ([(2, -1)], y)):
        out = lax.conv(x, kernel, (1,), padding)
        kept = out.copy()
        lax.conv(x * 100, kernel * 7, (1,), padding)
        np.testing.assert_array_equal(out, kept)


def test_convolutions_in_threads():
    """Each thread has its own memory for windows."""
    rng = np.random.default_rng(0)
    cases = [(rng.standard_normal((4, 3, 20)), rng.standard_normal((2, 3, 5))) for _ in range(8)]
    expected = [lax.conv(x, y, (1,), "SAME") for x, y in cases]

    def run(k):
        return [np.array_equal(lax.conv(*cases[k], (1,), "SAME"), expected[k]) for _ in range(50)]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(itertools.chain.from_iterable(pool.map(run, range(8))))


def test_rows_that_a_block_can_take():
    """Of the images alone, of both operands, summed; none where they are not the first axis of all that have them."""
    rows = implementation.conv_p.lowering.rows
    window = {"spatial": "h", "windows": ((1, 0, 0, 1, 1),)}
    x, y = fg.ShapedArray((6, 8, 2), float), fg.ShapedArray((6, 3, 2), float)
    assert rows(x, y, spec="nhc,ohc->nho", **window) == (((True, False), "rows"),)
    assert rows(x, y, spec="ghc,ghc->gh", **window) == (((True, True), "rows"),)
    assert rows(x, y, spec="nhc,nhc->hc", **window) == (((True, True), np.add),)
    for spec in ("nhc,onh->nho", "nhc,ohc->hno", "hnc,hoc->hno"):
        assert not rows(x, y, spec=spec, **window)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_no_window_fits(stride):
    """A kernel longer than the input: nothing comes out, and the gradients are zeros of the right shapes."""
    x, y = np.ones((1, 1, 2)), np.ones((1, 1, 4))
    f = lambda x, y: np.sum(lax.conv_general_dilated(x, y, (stride,), "VALID"))
    assert f(x, y) == 0
    for g in (fg.grad(f, (0, 1)), fg.jit(fg.grad(f, (0, 1))), fg.grad(fg.jit(f), (0, 1))):
        for a, b in zip(g(x, y), (x, y), strict=True):
            np.testing.assert_array_equal(a, 0 * b)

"""vmap: axes, prefixes, sizes, names, chunks, and equality with a loop."""

import itertools

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 4))
B = RNG.normal(size=(3, 4))


def _dot(x, y):
    return np.sin(x) @ y


# --- in_axes --------------------------------------------------------------------------------------------------------


def test_maps_the_first_axis_by_default():
    """Every argument, over axis 0; a plain ndarray comes out."""
    out = fg.vmap(_dot)(A, B)
    np.testing.assert_allclose(out, [_dot(a, b) for a, b in zip(A, B, strict=True)])
    assert type(out) is np.ndarray


@pytest.mark.parametrize("axes", list(itertools.product([0, 1, 2, -1, -2, -3, None], repeat=2))[:-1])
def test_any_axis_of_either_argument(axes):
    """For all choices of axes, negative ones and None: equal to a loop over np.take."""
    shapes = {None: (3, 2), 0: (5, 3, 2), -3: (5, 3, 2), 1: (3, 5, 2), -2: (3, 5, 2), 2: (3, 2, 5), -1: (3, 2, 5)}
    x, y = (RNG.normal(size=shapes[a]) for a in axes)

    def f(x, y):
        return (x * y[::-1]).sum(axis=1) + x[0, 0]

    want = np.stack(
        [f(*[v if a is None else np.take(v, k, a) for v, a in zip((x, y), axes, strict=True)]) for k in range(5)]
    )
    np.testing.assert_allclose(fg.vmap(f, in_axes=axes)(x, y), want)
    np.testing.assert_allclose(fg.vmap(f, in_axes=list(axes))(x, y), want)


def test_an_int_goes_for_all_arguments():
    """in_axes=1 is axis 1 of each argument, leaves included."""
    np.testing.assert_allclose(fg.vmap(_dot, in_axes=1)(A, B), [_dot(A[:, k], B[:, k]) for k in range(4)])
    np.testing.assert_allclose(fg.vmap(_dot, in_axes=-1)(A, B), [_dot(A[:, k], B[:, k]) for k in range(4)])
    out = fg.vmap(lambda p: p["a"] * p["b"][0], in_axes=1)({"a": A, "b": [B]})
    np.testing.assert_array_equal(out, (A * B).T)


def test_prefixes():
    """One entry stands for a whole subtree; deeper entries for its parts; None for what is not mapped."""

    def f(p, s):
        return (p["w"][0] * p["w"][1]).sum() + p["b"] * s

    p = {"w": (A, B), "b": 2.0}
    s = np.arange(3.0)
    want = (A * B).sum(1) + 2.0 * s
    np.testing.assert_allclose(fg.vmap(f, in_axes=({"w": 0, "b": None}, 0))(p, s), want)
    np.testing.assert_allclose(fg.vmap(f, in_axes=({"w": (0, 0), "b": None}, 0))(p, s), want)
    np.testing.assert_allclose(fg.vmap(f, in_axes=({"w": (0, 1), "b": None}, -1))({"w": (A, B.T), "b": 2.0}, s), want)
    np.testing.assert_allclose(fg.vmap(f, in_axes=(None, 0))({"w": (A, B), "b": 2.0}, s), (A * B).sum() + 2.0 * s)


def test_arguments_that_are_not_mapped_may_be_anything():
    """Strings, None, functions and Python numbers pass through as they are."""
    seen = []

    def f(x, *others):
        seen.append(others)
        return x

    others = ("text", None, len, 3, [1.0, "s"])
    fg.vmap(f, in_axes=(0, None, None, None, None, None))(A, *others)
    assert seen[0] == others


def test_keyword_arguments_are_mapped_over_axis_0():
    """Whatever in_axes says for the positional ones."""
    out = fg.vmap(lambda x, *, k: x @ k["v"], in_axes=1)(A.T, k={"v": B})
    np.testing.assert_allclose(out, (A * B).sum(1))
    np.testing.assert_allclose(fg.vmap(lambda *, a, b: a @ b)(a=A, b=B), (A * B).sum(1))


def test_python_numbers_inside_keep_dtypes():
    """A float32 batch times Python numbers, mapped or not, stays float32."""
    x = A.astype(np.float32)
    assert fg.vmap(lambda x: x * 2.0 + 1)(x).dtype == np.float32
    assert fg.vmap(lambda x, s: x * s, in_axes=(0, None))(x, 2.0).dtype == np.float32


# --- out_axes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_out_axes(axis):
    """The mapped axis goes where it is asked for, counted in the result with the mapped axis."""
    x = RNG.normal(size=(5, 3, 2))
    np.testing.assert_array_equal(fg.vmap(lambda x: 2 * x, out_axes=axis)(x), np.moveaxis(2 * x, 0, axis))


def test_out_axes_prefix():
    """A prefix of the result's tree."""
    out = fg.vmap(lambda x: (x, {"a": x * 2, "b": x.sum()}), out_axes=(1, {"a": -1, "b": 0}))(A)
    np.testing.assert_array_equal(out[0], A.T)
    np.testing.assert_array_equal(out[1]["a"], 2 * A.T)
    np.testing.assert_allclose(out[1]["b"], A.sum(1))
    out = fg.vmap(lambda x: (x, [x, x]), out_axes=(0, 1))(A)
    assert [o.shape for o in fg.tree.leaves(out)] == [(3, 4), (4, 3), (4, 3)]


def test_out_axes_none():
    """None gives the result once, if it does not depend on mapped values."""
    out = fg.vmap(lambda x, y: (x * y, np.exp(y), 5), in_axes=(0, None), out_axes=(0, None, None))(A, B[0])
    np.testing.assert_array_equal(out[1], np.exp(B[0]))
    assert out[2] == 5


def test_unmapped_results_are_broadcast():
    """With an int out_axes a result that is the same for all examples is repeated; the caller may write into it."""
    out = fg.vmap(lambda x: (np.arange(2.0), 3, x))(A)
    np.testing.assert_array_equal(out[0], np.tile(np.arange(2.0), (3, 1)))
    np.testing.assert_array_equal(out[1], [3, 3, 3])
    out[0][0, 0] = 7.0
    assert out[0][1, 0] == 0.0
    np.testing.assert_array_equal(fg.vmap(lambda x: np.arange(2.0), out_axes=1)(A), [[0, 0, 0], [1, 1, 1]])


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_axis_size():
    """Needed when nothing is mapped, allowed when it agrees."""
    np.testing.assert_array_equal(fg.vmap(lambda x: x + 1, in_axes=None, axis_size=3)(1.0), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(fg.vmap(lambda: np.ones(2), axis_size=2)(), np.ones((2, 2)))
    np.testing.assert_allclose(fg.vmap(_dot, axis_size=3)(A, B), fg.vmap(_dot)(A, B))


@pytest.mark.parametrize("size", [0, 1])
def test_small_batches(size):
    """No example, one example: shapes and dtypes are right."""
    out = fg.vmap(lambda x, y: (_dot(x, y), x.max(), x[None], x.astype(np.float32)))(A[:size], B[:size])
    assert [o.shape for o in out] == [(size,), (size,), (size, 1, 4), (size, 4)]
    assert out[3].dtype == np.float32
    out = fg.vmap(fg.grad(_dot))(A[:size], B[:size])
    assert out.shape == (size, 4)


def test_sizes_that_differ_are_listed():
    """The error is a table: each mapped argument, its axis and size."""
    with pytest.raises(TransformValueError) as caught:
        fg.vmap(lambda *a, **k: 0, in_axes=(0, {"b": 1, "c": None}, 0))(A, {"b": A, "c": 1.0}, [B], k=np.ones((2, 3)))
    text = str(caught.value)
    assert "inconsistent sizes for the mapped axes" in text
    rows = [line.strip() for line in text.splitlines()[1:]]
    assert rows[:4] == [
        "argument 0: size 3 of axis 0",
        "argument 1['b']: size 4 of axis 1",
        "argument 2[0]: size 3 of axis 0",
        "argument 'k': size 2 of axis 0",
    ]
    assert issubclass(TransformValueError, ValueError)


def test_axis_size_that_differs():
    """axis_size takes part in the table."""
    with pytest.raises(
        TransformValueError,
        match=r"inconsistent sizes for the mapped axes; axis_size=5:\n  argument 0: size 3 of axis 0",
    ):
        fg.vmap(np.sin, axis_size=5)(A)


def test_nothing_mapped():
    """Without axis_size the size is unknown: the message says what to pass."""
    with pytest.raises(TransformValueError, match=r"has no mapped argument: pass axis_size="):
        fg.vmap(np.sin, in_axes=None)(A)
    with pytest.raises(TransformValueError, match=r"has no mapped argument: pass axis_size="):
        fg.vmap(lambda: 1.0)()


# --- checks ---------------------------------------------------------------------------------------------------------


def test_arguments_without_the_axis():
    """Scalars cannot be mapped; the message says in_axes=None."""
    with pytest.raises(
        TransformValueError,
        match=r"in_axes=0 for argument 1, which has shape \(\): it has no such axis. Pass in_axes=None",
    ):
        fg.vmap(_dot)(A, 2.0)
    with pytest.raises(TransformValueError, match=r"in_axes=2 for argument 0\['a'\], which has shape \(3, 4\)"):
        fg.vmap(lambda p: p["a"], in_axes=2)({"a": A})
    with pytest.raises(TransformValueError, match="in_axes=-3"):
        fg.vmap(np.sin, in_axes=-3)(A)


def test_in_axes_that_do_not_fit():
    """Wrong length, wrong structure, wrong type."""
    with pytest.raises(
        TransformValueError, match=r"in_axes=\(0, 0\) has 2 entries, but .* was called with 1 positional arguments"
    ):
        fg.vmap(np.sin, in_axes=(0, 0))(A)
    with pytest.raises(ValueError, match=r"in_axes\[0\]"):
        fg.vmap(np.sin, in_axes=({"a": 0},))(A)
    with pytest.raises(TransformTypeError, match="in_axes must be an int, None, or a tuple"):
        fg.vmap(np.sin, in_axes={"x": 0})
    for wrong in (1.5, "0", True):
        with pytest.raises(TransformTypeError, match="in_axes must"):
            fg.vmap(np.sin, in_axes=(wrong,))(A)


def test_out_axes_that_do_not_fit():
    """Wrong structure, out of range, None for a mapped result, a wrong type."""
    with pytest.raises(ValueError, match=r"out_axes"):
        fg.vmap(lambda x: (x, x), out_axes=(0, 0, 0))(A)
    with pytest.raises(TransformValueError, match=r"out_axes=2 for result.*which has 2 axes"):
        fg.vmap(lambda x: x, out_axes=2)(A)
    with pytest.raises(
        TransformValueError, match=r"out_axes is None for result\['a'\] of .*, but it depends on mapped values"
    ):
        fg.vmap(lambda x: {"a": x}, out_axes=None)(A)
    with pytest.raises((TransformTypeError, TransformValueError), match="out_axes"):
        fg.vmap(lambda x: x, out_axes="0")(A)


def test_leaves_that_are_no_arrays():
    """A mapped string is an error that names the argument, an unmapped one is not."""
    with pytest.raises(NonDifferentiableError, match=r"argument 1 is not an array or a number but str: 'text'"):
        fg.vmap(lambda x, s: x)(A, "text")
    with pytest.raises(NonDifferentiableError, match=r"result\['s'\] is not an array or a number but str"):
        fg.vmap(lambda x: {"s": "text"})(A)


# --- composition ----------------------------------------------------------------------------------------------------


def test_nested_maps():
    """vmap of vmap is a double loop; a matrix of inner products."""
    out = fg.vmap(fg.vmap(np.dot, in_axes=(None, 0)), in_axes=(0, None))(A, B)
    np.testing.assert_allclose(out, A @ B.T)
    x = RNG.normal(size=(2, 3, 4))
    np.testing.assert_allclose(fg.vmap(fg.vmap(lambda r: r.max() * r))(x), x.max(-1, keepdims=True) * x)


def test_per_example_gradients():
    """vmap of grad is a loop of grad."""
    w = RNG.normal(size=4)

    def loss(w, x, y):
        return (np.tanh(w @ x) - y) ** 2

    y = np.arange(3.0)
    want = np.stack([fg.grad(loss)(w, x, t) for x, t in zip(A, y, strict=True)])
    np.testing.assert_allclose(fg.vmap(fg.grad(loss), in_axes=(None, 0, 0))(w, A, y), want)
    value, g = fg.vmap(fg.value_and_grad(loss), in_axes=(None, 0, 0))(w, A, y)
    np.testing.assert_allclose(g, want)
    assert value.shape == (3,)


def test_grad_through_vmap():
    """grad of a function that maps inside, with respect to mapped and to closed-over values."""

    def f(w, x):
        return fg.vmap(lambda r: np.sin(r @ w))(x).sum()

    w = RNG.normal(size=4)
    gw, gx = fg.grad(f, (0, 1))(w, A)
    np.testing.assert_allclose(gw, np.cos(A @ w) @ A)
    np.testing.assert_allclose(gx, np.outer(np.cos(A @ w), w))
    np.testing.assert_allclose(fg.hessian(f)(w, A), -(A * np.sin(A @ w)[:, None]).T @ A)


def test_vmap_records_one_program():
    """The mapped function is run once, on types."""
    calls = []

    def f(x):
        calls.append(x.shape)
        return x * 2

    fg.vmap(f)(A)
    assert calls == [(4,)]
    text = str(fg.make_jaxpr(fg.vmap(lambda x: np.sin(x) * 2))(A))
    assert "f64[3,4] = sin a" in text
    assert text.count("sin") == 1


def test_integer_and_boolean_batches():
    """Integers and booleans are mapped as anything, with NumPy's result dtypes."""
    n = np.arange(6).reshape(3, 2)
    out = fg.vmap(lambda n, b: (n * 2, n / 2, n > 2, n.sum(), np.where(b, n, -n)))(n, np.array([True, False, True]))
    for got, want in zip(out, (n * 2, n / 2, n > 2, n.sum(1), np.where([[True], [False], [True]], n, -n)), strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == want.dtype


def test_names():
    """Named after what was done."""
    assert fg.vmap(_dot).__name__ == "vmap(_dot)"
    assert fg.vmap(fg.grad(np.sin)).__name__ == "vmap(grad(sin))"


def test_spmd_axis_name_is_accepted():
    """For ported code; it has no effect."""
    np.testing.assert_array_equal(fg.vmap(np.negative, spmd_axis_name="x")(A), -A)


# --- chunks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5])
def test_chunks_change_nothing(chunk_size):
    """Any chunk size gives the same results, for mapped and unmapped ones, any axes, under grad."""

    def f(x, y, z):
        return x @ y + z, {
            "u": np.concatenate([x, np.arange(2.0), np.arange(2.0) * x[0]]),
            "c": np.ones(2),
            "e": np.exp(z),
        }

    args = (A, B.T, 2.0)
    axes = {"in_axes": (0, 1, None), "out_axes": (0, {"u": 1, "c": 0, "e": None})}
    got, want = fg.vmap(f, **axes, chunk_size=chunk_size)(*args), fg.vmap(f, **axes)(*args)
    for g, w in zip(fg.tree.leaves(got), fg.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w)
    g = fg.grad(lambda x: fg.vmap(np.dot, chunk_size=chunk_size)(x, B).sum())(A)
    np.testing.assert_array_equal(g, B)


def test_chunks_bound_the_batch():
    """No more examples than chunk_size go together."""
    shapes = []

    def spy(x):
        shapes.append(np.shape(x))
        return x

    prim = fg.core.elementwise.Elementwise("test_spy", spy, lambda t: t)
    try:
        fg.vmap(prim.function, chunk_size=2)(np.ones((5, 3)))
    finally:
        del fg.core.primitive.PRIMITIVES["test_spy"]
    assert [s for s in shapes if len(s) == 2] == [(2, 3), (2, 3), (1, 3)]


def test_wrong_chunk_sizes():
    """Not with collectives; a positive integer."""
    for wrong in (0, -1, 1.5):
        with pytest.raises(TransformValueError, match="chunk_size must be a positive integer or None"):
            fg.vmap(np.sin, chunk_size=wrong)
    with pytest.raises(TransformValueError, match="chunk_size cannot go with axis_name"):
        fg.vmap(np.sin, axis_name="i", chunk_size=2)(A)

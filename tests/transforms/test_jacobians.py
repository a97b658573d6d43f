"""jacfwd, jacrev, jacobian, hessian: shapes, trees, modes, chunks."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.primitive import PRIMITIVES, Linear
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError

ALL = [fg.jacfwd, fg.jacrev, fg.jacobian]


@pytest.fixture
def counter():
    """A linear primitive (the identity) that records the shapes that it is applied to."""
    before = dict(PRIMITIVES)
    shapes = []
    prim = Linear(
        "test_counter",
        lambda x: (shapes.append(("forward", np.shape(x))), x)[1],
        abstract=lambda x: x,
        transpose=lambda ct, x: back.bind(ct),
        batch=lambda axis, batched, x: prim.bind(x),
    )
    back = Linear(
        "test_counter_transposed",
        lambda x: (shapes.append(("reverse", np.shape(x))), x)[1],
        abstract=lambda x: x,
        transpose=lambda ct, x: prim.bind(ct),
        batch=lambda axis, batched, x: back.bind(x),
    )
    yield prim.bind, shapes
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


def _f(x):
    return np.stack([x[0] * x[1], np.sin(x[1]), x[0] ** 2, x.sum()])


X = np.array([0.5, 2.0, -1.0])
J = np.array([[2.0, 0.5, 0.0], [0.0, np.cos(2.0), 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])


@pytest.mark.parametrize("jac", ALL)
def test_the_jacobian(jac):
    """All modes give the matrix of partial derivatives, a plain ndarray."""
    got = jac(_f)(X)
    np.testing.assert_allclose(got, J)
    assert type(got) is np.ndarray


@pytest.mark.parametrize("jac", ALL)
@pytest.mark.parametrize("in_shape", [(), (3,), (2, 2), (0,), (1, 3)])
@pytest.mark.parametrize("out_shape", [(), (2,), (3, 2), (0,), (1, 1)])
def test_shapes_are_out_then_in(jac, in_shape, out_shape):
    """A leaf has shape out.shape + in.shape, for 0-d and empty arrays too."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=out_shape + in_shape)
    x = rng.normal(size=in_shape)

    def f(x):
        return np.sum(a * x, axis=tuple(range(len(out_shape), len(out_shape) + len(in_shape))))

    got = jac(f)(x)
    assert got.shape == out_shape + in_shape
    np.testing.assert_allclose(got, a)


@pytest.mark.parametrize("jac", ALL)
def test_trees(jac):
    """The tree of the result with the tree of the argument at each leaf."""

    def f(p):
        return {"u": p["a"] * p["b"][0], "v": (p["b"][1].sum(),)}

    p = {"a": np.array([1.0, 2.0]), "b": [3.0, np.ones((2, 2))]}
    out = jac(f)(p)
    np.testing.assert_array_equal(out["u"]["a"], 3.0 * np.eye(2))
    np.testing.assert_array_equal(out["u"]["b"][0], [1.0, 2.0])
    assert out["u"]["b"][1].shape == (2, 2, 2)
    assert not out["u"]["b"][1].any()
    np.testing.assert_array_equal(out["v"][0]["b"][1], np.ones((2, 2)))
    np.testing.assert_array_equal(out["v"][0]["a"], [0.0, 0.0])
    assert type(out["v"]) is tuple and type(out["v"][0]["b"]) is list


@pytest.mark.parametrize("jac", ALL)
def test_arguments(jac):
    """argnums, argnames and has_aux as for grad."""

    def f(x, y, *, k=1.0):
        return x * y * k

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    np.testing.assert_array_equal(jac(f)(x, y), np.diag(y))
    np.testing.assert_array_equal(jac(f, 1)(x, y), np.diag(x))
    np.testing.assert_array_equal(jac(f, -2)(x, y), np.diag(y))
    both = jac(f, (0, 1))(x, y)
    assert type(both) is tuple
    np.testing.assert_array_equal(both[1], np.diag(x))
    np.testing.assert_array_equal(jac(f, argnames="k")(x, y, k=2.0), x * y)
    assert set(jac(f, argnames=["k", "y"])(x, y, k=2.0)) == {"k", "y"}
    out, aux = jac(lambda x: (x**2, {"x": x}), has_aux=True)(x)
    np.testing.assert_array_equal(out, np.diag(2 * x))
    assert type(aux["x"]) is np.ndarray


@pytest.mark.parametrize("jac", ALL)
def test_dtypes(jac):
    """float32 stays float32; mixed inputs and outputs have the dtype of what is perturbed or results."""
    out = jac(lambda x: x * 2.0)(np.ones(2, np.float32))
    assert out.dtype == np.float32
    assert jac(lambda x: x**2)(np.float32(2)).dtype == np.float32


@pytest.mark.parametrize("jac", ALL)
def test_holomorphic(jac):
    """The complex Jacobian of a holomorphic function."""
    z = np.array([1 + 1j, 2.0])
    np.testing.assert_allclose(jac(lambda z: z**2, holomorphic=True)(z), np.diag(2 * z))
    with pytest.raises(
        NonDifferentiableError, match=r"needs real inputs, but an input of .* has type c128\[2\].*holomorphic=True"
    ):
        jac(lambda z: z**2)(z)
    with pytest.raises(NonDifferentiableError, match=r"needs real outputs, but an output of .* has type c128\[2\]"):
        jac(lambda x: x * 1j)(z.real)
    with pytest.raises(NonDifferentiableError, match=r"holomorphic=True\) needs complex"):
        jac(lambda z: z.real, holomorphic=True)(z)
    with pytest.raises(NonDifferentiableError, match=r"holomorphic=True\) needs complex"):
        jac(lambda z: z, holomorphic=True)(z.real)


def test_allow_int():
    """Integers among the inputs get float0 zeros; integer outputs are refused."""
    for jac in (fg.jacrev, fg.jacobian):
        out = jac(lambda p: p[0] * p[1], allow_int=True)((np.ones(2), np.array([3, 4])))
        np.testing.assert_array_equal(out[0], np.diag([3.0, 4.0]))
        assert (out[1].dtype, out[1].shape) == (fg.float0, (2, 2))
    for jac in ALL:
        with pytest.raises(NonDifferentiableError, match="needs real or complex floating-point inputs"):
            jac(lambda n: n * 2.0)(np.array([1, 2]))
        with pytest.raises(
            NonDifferentiableError,
            match=r"needs floating-point outputs, but an output of .* has type i64\[2\]; return it as aux",
        ):
            jac(lambda x: x.astype(int))(np.ones(2))


@pytest.mark.parametrize("jac", ALL)
@pytest.mark.parametrize("chunk_size", [1, 2, 3, 4, 100])
def test_chunks_change_nothing(jac, chunk_size):
    """Any chunk size gives the same matrix, also over several inputs and outputs of different sizes."""
    np.testing.assert_array_equal(jac(_f, chunk_size=chunk_size)(X), jac(_f)(X))

    def g(p):
        return p["a"].sum() * p["b"], p["a"] ** 2

    p = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([[1.0, 2.0]])}
    for got, want in zip(fg.tree.leaves(jac(g, chunk_size=chunk_size)(p)), fg.tree.leaves(jac(g)(p)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_chunks_bound_the_batch(counter):
    """With chunk_size=2 no batch is larger than 2."""
    identity, shapes = counter
    x = np.ones(5)
    fg.jacfwd(lambda x: identity(x) * x, chunk_size=2)(x)
    assert [s for d, s in shapes if len(s) == 2] == [(2, 5), (2, 5), (1, 5)]
    shapes.clear()
    fg.jacrev(lambda x: identity(x) * x, chunk_size=2)(x)
    assert [(d, s) for d, s in shapes if len(s) == 2] == [("reverse", (2, 5)), ("reverse", (2, 5)), ("reverse", (1, 5))]


@pytest.mark.parametrize(
    ("n_in", "n_out", "mode"),
    [(2, 5, "forward"), (3, 3, "forward"), (5, 2, "reverse"), (4, 1, "reverse"), (1, 1, "forward")],
)
def test_auto_picks_by_counting(counter, n_in, n_out, mode):
    """Forward when the inputs are no more than the outputs, else reverse; one batch of the smaller size."""
    identity, shapes = counter
    a = np.ones((n_out, n_in))
    fg.jacobian(lambda x: a @ identity(x))(np.ones(n_in))
    passes = min(n_in, n_out)
    assert shapes[1:] == [(mode, (passes, n_in) if passes > 1 else (n_in,))]


def test_auto_counts_elements_of_all_leaves(counter):
    """Several inputs and outputs count together."""
    identity, shapes = counter
    fg.jacobian(lambda p: (identity(p[0]), p[1], p[1]))((np.ones(3), np.ones(2)))
    assert [d for d, s in shapes[1:]] == ["forward"]
    shapes.clear()
    fg.jacobian(lambda p: (identity(p[0]), 1.0))((np.ones(3), np.ones(2)))
    assert [d for d, s in shapes[1:]] == ["reverse"]


def test_mode_forces(counter):
    """mode="fwd" and "rev" do what they say whatever the shape."""
    identity, shapes = counter
    for n_in, n_out in ((2, 5), (5, 2)):
        a = np.ones((n_out, n_in))
        for mode, direction in (("fwd", "forward"), ("rev", "reverse")):
            shapes.clear()
            np.testing.assert_array_equal(fg.jacobian(lambda x, a=a: a @ identity(x), mode=mode)(np.ones(n_in)), a)
            assert [d for d, s in shapes if len(s) == 2] == [direction]


def test_the_function_runs_once(counter):
    """The basis goes through the linear program in one batch; the function is not run for each vector."""
    identity, shapes = counter
    for jac in ALL:
        shapes.clear()
        jac(lambda x: identity(x) ** 2)(np.ones(4))
        assert [s for _, s in shapes] == [(4,), (4, 4)]


def test_jacobian_of_a_constant():
    """Zeros of the right shape."""
    for jac in ALL:
        out = jac(lambda x: (np.ones(2), 3.0, x))(np.ones(3))
        assert [o.shape for o in out] == [(2, 3), (3,), (3, 3)]
        assert not out[0].any() and not out[1].any()


def test_nesting():
    """Jacobians of Jacobians in every combination, and inside vmap."""

    def f(x):
        return np.stack([x[0] ** 2 * x[1], x[1] ** 3])

    x = np.array([2.0, 3.0])
    want = np.array([[[6.0, 4.0], [4.0, 0.0]], [[0.0, 0.0], [0.0, 18.0]]])
    for outer in ALL:
        for inner in ALL:
            np.testing.assert_allclose(outer(inner(f))(x), want)
    for jac in ALL:
        np.testing.assert_allclose(fg.vmap(jac(f))(np.stack([x, x]))[1], jac(f)(x))
        np.testing.assert_allclose(fg.vmap(fg.jacfwd(jac(f)))(np.stack([x, x]))[0], want)
        fg.check_jaxpr(fg.make_jaxpr(jac(f))(x))
        np.testing.assert_allclose(fg.grad(lambda x, jac=jac: jac(f)(x).sum())(x), want.sum((0, 1)))


def test_wrong_options():
    """Modes and chunk sizes are checked when the transform is made."""
    with pytest.raises(TransformValueError, match=r'mode must be "auto", "fwd" or "rev", got \'both\''):
        fg.jacobian(_f, mode="both")
    for chunk_size in (0, -1, 2.0):
        with pytest.raises(TransformValueError, match="chunk_size must be a positive integer or None"):
            fg.jacfwd(_f, chunk_size=chunk_size)
    with pytest.raises(TransformTypeError, match="fungrad.jacrev expects a function, got"):
        fg.jacrev(_f(X))


# --- hessian --------------------------------------------------------------------------------------------------------


def test_hessian():
    """The matrix of second derivatives, symmetric."""

    def f(x):
        return x[0] ** 2 * x[1] + np.sin(x[1])

    x = np.array([2.0, 3.0])
    h = fg.hessian(f)(x)
    np.testing.assert_allclose(h, [[6.0, 4.0], [4.0, -np.sin(3.0)]])
    assert type(h) is np.ndarray


def test_hessian_of_trees():
    """A tree of trees: H[a][b] has shape a.shape + b.shape."""
    p = {"a": np.array([1.0, 2.0]), "b": 3.0}
    h = fg.hessian(lambda p: (p["a"] ** 2).sum() * p["b"])(p)
    np.testing.assert_array_equal(h["a"]["a"], 6.0 * np.eye(2))
    np.testing.assert_array_equal(h["a"]["b"], [2.0, 4.0])
    np.testing.assert_array_equal(h["b"]["a"], [2.0, 4.0])
    assert h["b"]["b"] == 0.0


def test_hessian_arguments():
    """argnums, argnames, has_aux, chunk_size, holomorphic."""

    def f(x, y):
        return (x**2 * y).sum()

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    h = fg.hessian(f, (0, 1))(x, y)
    np.testing.assert_array_equal(h[0][0], np.diag(2 * y))
    np.testing.assert_array_equal(h[0][1], np.diag(2 * x))
    np.testing.assert_array_equal(h[1][0], np.diag(2 * x))
    np.testing.assert_array_equal(h[1][1], np.zeros((2, 2)))
    np.testing.assert_array_equal(fg.hessian(f, 1)(x, y), np.zeros((2, 2)))
    np.testing.assert_array_equal(fg.hessian(f, argnames="x")(x, y), np.diag(2 * y))
    np.testing.assert_array_equal(fg.hessian(lambda x, y: f(y, x), argnames="y")(y, x), np.diag(2 * y))
    np.testing.assert_array_equal(fg.hessian(f, chunk_size=1)(x, y), np.diag(2 * y))
    h, aux = fg.hessian(lambda x: ((x**3).sum(), {"x": x, "s": "text"}), has_aux=True)(x)
    np.testing.assert_array_equal(h, np.diag(6 * x))
    assert type(aux["x"]) is np.ndarray and aux["s"] == "text"
    np.testing.assert_allclose(fg.hessian(lambda z: z**3, holomorphic=True)(1j), 6j)


def test_hessian_of_a_vector_function():
    """out.shape + in.shape + in.shape."""
    assert fg.hessian(lambda x: np.stack([x[0] ** 2, x[1]]))(np.ones(2)).shape == (2, 2, 2)


def test_hessian_names_itself_in_errors():
    """Errors of the parts name the transform that the user called."""
    with pytest.raises(NonDifferentiableError, match=r"fungrad\.hessian"):
        fg.hessian(lambda x: x**2)(3)
    with pytest.raises(TransformValueError, match=r"fungrad\.hessian"):
        fg.hessian(lambda x: x**2, 3)(3.0)

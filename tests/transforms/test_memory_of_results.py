"""Results belong to the caller, and what a recording keeps does not change when the user writes into arrays."""

import numpy as np
import pytest

import fungrad as fg


def _write(tree):
    for leaf in fg.tree.leaves(tree):
        if isinstance(leaf, np.ndarray):
            leaf[...] = -777.0


FUNCTIONS = {
    "identity": lambda x: x,
    "sum": lambda x: x.sum() * np.ones(3),
    "broadcast": lambda x: np.broadcast_to(x, (2, 3)),
    "view": lambda x: x[::-1],
    "reshape": lambda x: x.reshape(3, 1),
    "twice": lambda x: (x, x),
    "constant": lambda x: (np.ones(3), x),
    "add": lambda x: x + x[0],
    "mul": lambda x: x * x,
}


@pytest.fixture(params=list(FUNCTIONS))
def f(request):
    """A function of a vector of three."""
    return FUNCTIONS[request.param]


X = np.array([1.0, 2.0, 3.0])


def test_derivatives_can_be_written_into(f):
    """Writing into a derivative changes neither the arguments nor another result nor a later call."""
    x, t = X.copy(), np.ones(3)
    value, tangent = fg.jvp(f, (x,), (t,))
    want = [a.copy() for a in fg.tree.leaves(tangent)]
    _write(tangent)
    np.testing.assert_array_equal(t, 1.0)
    np.testing.assert_array_equal(x, X)
    value, pull = fg.vjp(f, x)
    ct = fg.tree.map(lambda v: np.ones(np.shape(v)), value)
    first = pull(ct)[0].copy()
    _write(pull(ct))
    np.testing.assert_array_equal(pull(ct)[0], first)
    for leaf in fg.tree.leaves(ct):
        np.testing.assert_array_equal(leaf, 1.0)
    _, push = fg.linearize(f, x)
    _write(push(t))
    for got, w in zip(fg.tree.leaves(push(t)), want, strict=True):
        np.testing.assert_array_equal(got, w)
    np.testing.assert_array_equal(x, X)
    for jac in (fg.jacfwd, fg.jacrev):
        out = jac(f)(x)
        _write(out)
        np.testing.assert_array_equal(x, X)


def test_the_point_may_be_overwritten_after_vjp_and_linearize(f):
    """The linear maps keep the point as it was."""
    x = X.copy()
    value, pull = fg.vjp(f, x)
    _, push = fg.linearize(f, x)
    ct = fg.tree.map(lambda v: np.ones(np.shape(v)), value)
    want_pull, want_push = pull(ct)[0].copy(), [a.copy() for a in fg.tree.leaves(push(np.ones(3)))]
    x[:] = 100.0
    _write(value)
    np.testing.assert_array_equal(pull(ct)[0], want_pull)
    for got, w in zip(fg.tree.leaves(push(np.ones(3))), want_push, strict=True):
        np.testing.assert_array_equal(got, w)


@pytest.mark.parametrize("operation", [
    lambda x, buffer: x * buffer,
    lambda x, buffer: buffer * x,
    lambda x, buffer: buffer @ x * np.ones(3),
    lambda x, buffer: x / buffer,
    lambda x, buffer: np.where(buffer > 0, x * buffer, x),
    lambda x, buffer: np.maximum(x, buffer),
    lambda x, buffer: np.outer(x, buffer)[0] + np.outer(buffer, x)[:, 1],
    lambda x, buffer: x * buffer[::-1],
], ids=["mul", "rmul", "matmul", "div", "where", "maximum", "outer", "view"])  # fmt: skip
def test_a_buffer_that_is_reused_does_not_change_the_derivative(operation):
    """A constant is what it was when it was used, also if the program then writes into it."""

    def f(x, buffer):
        total = 0.0
        for k in range(3):
            buffer[:] = k + np.array([0.5, 1.5, 2.5])
            total = total + operation(x, buffer)
        buffer[:] = -1e6
        return total

    def pure(x):
        return sum(operation(x, k + np.array([0.5, 1.5, 2.5])) for k in range(3))

    x = np.array([1.0, 0.3, 2.0])
    np.testing.assert_allclose(fg.jacrev(f)(x, np.zeros(3)), fg.jacrev(pure)(x))
    np.testing.assert_allclose(fg.jvp(lambda x: f(x, np.zeros(3)), (x,), (x,))[1], fg.jvp(pure, (x,), (x,))[1])
    np.testing.assert_allclose(fg.vmap(lambda x: f(x, np.zeros(3)))(np.stack([x, 2 * x])), [pure(x), pure(2 * x)])
    np.testing.assert_allclose(fg.eval_jaxpr(fg.make_jaxpr(lambda x: f(x, np.zeros(3)))(x), (), x)[0], pure(x))


def test_read_only_views_of_what_can_be_written():
    """A view that is read-only may change all the same, through the array that it shows."""

    def f(x):
        buffer = np.array([1.0, 2.0, 3.0])
        view = buffer[:]
        view.flags.writeable = False
        row = np.broadcast_to(buffer, (2, 3))
        total = (x * view).sum() + (row * x).sum()
        buffer[:] = -1e6
        return total

    np.testing.assert_array_equal(fg.grad(f)(X), [3.0, 6.0, 9.0])
    np.testing.assert_array_equal(fg.vmap(fg.grad(f))(np.stack([X, X]))[1], [3.0, 6.0, 9.0])
    np.testing.assert_array_equal(fg.eval_jaxpr(fg.make_jaxpr(f)(X), (), X)[0], 42.0)


def test_index_arrays_that_are_overwritten():
    """Index arrays and masks are what they were when they were used."""

    def f(x):
        index = np.array([0, 1])
        mask = np.array([True, False, True])
        total = x[index].sum() * 2 + x[mask].sum() + np.take(x, index).sum()
        index[:] = 2
        mask[:] = False
        return total

    np.testing.assert_array_equal(fg.grad(f)(X), [4.0, 3.0, 1.0])
    np.testing.assert_array_equal(fg.vmap(fg.grad(f))(np.stack([X, X]))[1], [4.0, 3.0, 1.0])


def test_a_gradient_does_not_alias_its_argument():
    """Descent in place, x -= grad(f)(x), is safe."""
    x = X.copy()
    for _ in range(3):
        x -= 0.25 * fg.grad(lambda x: (x * x).sum())(x)
    np.testing.assert_allclose(x, X / 8)
    g = fg.grad(lambda x: 0.5 * (x * x).sum())(x)
    g[:] = 0
    np.testing.assert_allclose(x, X / 8)


def test_vmap_results_can_be_written_into():
    """Constant and broadcast results are the caller's own."""
    c = np.ones(3)
    out = fg.vmap(lambda r: (r + 1.0, c, 2.0))(np.zeros((2, 3)))
    _write(out)
    np.testing.assert_array_equal(c, 1.0)

"""jvp, vjp, linearize, linear_transpose, hvp: every argument."""

import pickle

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import TransformTypeError, TransformValueError


def _f(x, y):
    return np.sin(x) * y, {"sum": (x * y).sum()}


X, Y = np.array([0.5, 1.0]), np.array([2.0, 3.0])
TX, TY = np.array([1.0, -1.0]), np.array([0.5, 0.25])


def _check_tangent(t):
    np.testing.assert_allclose(t[0], np.cos(X) * TX * Y + np.sin(X) * TY)
    np.testing.assert_allclose(t[1]["sum"], (TX * Y + X * TY).sum())


def _check_value(v):
    np.testing.assert_array_equal(v[0], np.sin(X) * Y)
    assert v[1]["sum"] == (X * Y).sum()
    assert type(v[0]) is np.ndarray


# --- jvp ------------------------------------------------------------------------------------------------------------


def test_jvp():
    """Value and tangent, in the result's tree."""
    value, tangent = fg.jvp(_f, (X, Y), (TX, TY))
    _check_value(value)
    _check_tangent(tangent)
    value, tangent = fg.jvp(_f, [X, Y], [TX, TY])
    _check_tangent(tangent)


def test_jvp_of_trees():
    """Primals and tangents are trees of the same structure."""
    value, tangent = fg.jvp(lambda p: p["a"] * p["b"][0], ({"a": X, "b": (Y, None)},), ({"a": TX, "b": (TY, None)},))
    np.testing.assert_allclose(value, X * Y)
    np.testing.assert_allclose(tangent, TX * Y + X * TY)


def test_jvp_has_aux():
    """aux is the third result, a plain value."""
    value, tangent, aux = fg.jvp(lambda x: (x**2, {"x": x, "s": "text"}), (X,), (TX,), has_aux=True)
    np.testing.assert_array_equal(tangent, 2 * X * TX)
    assert type(aux["x"]) is np.ndarray
    assert aux["s"] == "text"


def test_jvp_of_integers():
    """Integer primals take float0 tangents, integer results have them."""
    n = np.array([1, 2])
    zero = np.zeros((2,), fg.float0)
    value, tangent = fg.jvp(lambda x, n: (x * n, n + 1, x > 0.7), (X, n), (TX, zero))
    np.testing.assert_array_equal(tangent[0], TX * n)
    np.testing.assert_array_equal(value[1], n + 1)
    assert (tangent[1].dtype, tangent[1].shape) == (fg.float0, (2,))
    assert (tangent[2].dtype, tangent[2].shape) == (fg.float0, (2,))


def test_jvp_of_python_numbers():
    """Python floats are fine as primals and as tangents, integers as tangents of floats."""
    assert fg.jvp(np.sin, (0.0,), (2,)) == (0.0, 2.0)
    y, t = fg.jvp(lambda x: x * 2.0, (np.float32(1),), (3.0,))
    assert type(t) is np.float32
    assert t == 6.0


def test_jvp_of_constants():
    """A result that does not depend on the primals has a zero tangent of its type."""
    value, tangent = fg.jvp(lambda x: (np.ones((2,), np.float32), 5.0, x), (1.0,), (1.0,))
    assert tangent[0].dtype == np.float32
    np.testing.assert_array_equal(tangent[0], [0.0, 0.0])
    assert tangent[1:] == (0.0, 1.0)


def test_jvp_results_do_not_alias_what_was_passed_in_a_way_that_changes_it():
    """Computing does not write into primals or tangents."""
    x, t = X.copy(), TX.copy()
    fg.jvp(lambda x: x + x + x * x + x[0], (x,), (t,))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(t, TX)


@pytest.mark.parametrize(("primals", "tangents", "error", "match"), [
    (X, (TX,), TransformTypeError, r"primals must be a tuple or list .*, got ndarray; write \(primal,\)"),
    ((X,), TX, TransformTypeError, r"tangents must be a tuple or list .* write \(tangent,\)"),
    ((X,), (TX, TX), TransformTypeError, "tangents must have the tree structure"),
    (({"a": X},), ({"b": TX},), TransformTypeError, "tangents must have the tree structure"),
    ((X,), (np.ones(3),), TransformValueError, r"tangents\[0\] must have shape \(2,\) .*, got \(3,\)"),
    ((X,), (np.ones((2, 1)),), TransformValueError, r"must have shape \(2,\)"),
    ((X,), (1.0,), TransformValueError, r"must have shape \(2,\)"),
    ((X,), (TX.astype(np.float32),), TransformTypeError, r"tangents\[0\] must have dtype float64 .*, got float32"),
    ((X,), (np.ones(2, int),), TransformTypeError, "must have dtype float64"),
    ((X,), (np.ones(2, complex),), TransformTypeError, "must have dtype float64"),
    ((1.0,), (1j,), TransformTypeError, "must have dtype float64"),
    ((X,), ("text",), TransformTypeError, r"tangents\[0\] is not an array"),
    ((3,), (1,), TransformTypeError, r"whose only tangent .* float0 \(np.zeros\(\(\), fungrad.float0\)\)"),
    ((({"w": X},),), (({"w": np.ones(3)},),), TransformValueError, r"tangents\[0\]\[0\]\['w'\]"),
])  # fmt: skip
def test_jvp_checks_its_arguments(primals, tangents, error, match):
    """Wrong tree, shape, dtype: the message names the leaf, what was expected and received."""
    with pytest.raises(error, match=match):
        fg.jvp(lambda x: x, primals, tangents)


# --- vjp ------------------------------------------------------------------------------------------------------------


def test_vjp():
    """The pull-back returns a tuple, one cotangent per primal."""
    value, pull = fg.vjp(_f, X, Y)
    _check_value(value)
    c, d = np.array([1.0, 10.0]), 2.0
    x_bar, y_bar = pull((c, {"sum": d}))
    np.testing.assert_allclose(x_bar, np.cos(X) * Y * c + Y * d)
    np.testing.assert_allclose(y_bar, np.sin(X) * c + X * d)


def test_vjp_of_one_primal_is_a_tuple_too():
    """Always a tuple."""
    assert fg.vjp(np.sin, 0.0)[1](3.0) == (3.0,)
    assert fg.vjp(lambda: 3.0)[1](1.0) == ()


def test_vjp_fun_can_be_called_again():
    """The pull-back keeps its residuals, and gives equal results each time."""
    _, pull = fg.vjp(lambda x: x**2 + np.exp(x)[::-1], X)
    first = pull(np.ones(2))[0].copy()
    pull(np.full(2, 7.0))
    np.testing.assert_array_equal(pull(np.ones(2))[0], first)


def test_vjp_is_linear_and_differentiable():
    """The pull-back can be differentiated with respect to its cotangent and its primals."""

    def f(x):
        _, pull = fg.vjp(np.sin, x)
        return pull(x * x)[0]  # cos(x) x^2

    assert fg.grad(f)(0.5) == pytest.approx(-np.sin(0.5) * 0.25 + np.cos(0.5))


def test_vjp_has_aux():
    """aux is the third result."""
    value, pull, aux = fg.vjp(lambda x: (x**2, "aux"), 3.0, has_aux=True)
    assert (value, pull(1.0), aux) == (9.0, (6.0,), "aux")


def test_vjp_of_trees_and_integers():
    """Trees in and out; integer primals get float0, integer results take float0."""
    params = {"w": X, "n": np.array([2, 3])}
    value, pull = fg.vjp(lambda p: (p["w"] * p["n"], p["n"]), params)
    (bar,) = pull((np.ones(2), np.zeros((2,), fg.float0)))
    np.testing.assert_array_equal(bar["w"], [2.0, 3.0])
    assert bar["n"].dtype == fg.float0


@pytest.mark.parametrize(("cotangent", "error", "match"), [
    (np.ones(2), TransformTypeError, "the cotangent must have the tree structure"),
    ((np.ones(2), {"sums": 1.0}), TransformTypeError, "the cotangent must have the tree structure"),
    ((np.ones(3), {"sum": 1.0}), TransformValueError, r"the cotangent\[0\] must have shape \(2,\)"),
    ((np.ones(2), {"sum": np.ones(1)}), TransformValueError, r"the cotangent\[1\]\['sum'\] must have shape \(\)"),
    ((np.ones(2, np.float32), {"sum": 1.0}), TransformTypeError, r"the cotangent\[0\] must have dtype float64"),
    ((np.ones(2), {"sum": 1j}), TransformTypeError, "must have dtype float64"),
])  # fmt: skip
def test_vjp_checks_the_cotangent(cotangent, error, match):
    """Wrong tree, shape or dtype of a cotangent name the leaf and both types."""
    with pytest.raises(error, match=match):
        fg.vjp(_f, X, Y)[1](cotangent)


def test_vjp_of_complex_functions_is_the_plain_transpose():
    """No conjugation: the pull-back of z -> w z is c -> w c."""
    w = 2 - 1j
    assert fg.vjp(lambda z: w * z, 1 + 1j)[1](1j)[0] == w * 1j
    assert fg.vjp(np.conj, 1 + 1j)[1](2 + 3j)[0] == 2 - 3j
    (x_bar,) = fg.vjp(lambda x: w * x, 3.0)[1](1j)
    assert x_bar == (w * 1j).real
    assert type(x_bar) is np.float64


def test_repr_of_the_pull_back():
    """It says from where to where."""
    assert repr(fg.vjp(np.sin, X)[1]) == "<vjp function f64[2] -> (f64[2],)>"


# --- linearize ------------------------------------------------------------------------------------------------------


def test_linearize():
    """Value and a linear function of tangents."""
    value, push = fg.linearize(_f, X, Y)
    _check_value(value)
    _check_tangent(push(TX, TY))
    doubled = push(2 * TX, 2 * TY)
    np.testing.assert_allclose(doubled[0], 2 * push(TX, TY)[0])


def test_linearize_has_aux_and_integers():
    """aux is the third result; integers take and give float0."""
    n = np.array([2, 3])
    value, push, aux = fg.linearize(lambda x, n: ((x * n, n), "aux"), X, n, has_aux=True)
    assert aux == "aux"
    t = push(TX, np.zeros((2,), fg.float0))
    np.testing.assert_array_equal(t[0], TX * n)
    assert t[1].dtype == fg.float0


def test_linearize_checks_tangents():
    """As jvp does."""
    _, push = fg.linearize(_f, X, Y)
    with pytest.raises(TransformTypeError, match="linearize: the tangent must have the tree structure"):
        push(TX)
    with pytest.raises(TransformValueError, match=r"the tangent\[1\] must have shape \(2,\)"):
        push(TX, np.ones(3))
    with pytest.raises(TransformTypeError, match=r"the tangent\[0\] must have dtype float64"):
        push(TX.astype(np.float32), TY)


def test_linearize_jaxpr():
    """The program is at hand, well formed and picklable."""
    _, push = fg.linearize(lambda x: np.sin(x) * x[0], X)
    fg.check_jaxpr(push.jaxpr)
    again = pickle.loads(pickle.dumps(push.jaxpr))
    np.testing.assert_array_equal(fg.eval_jaxpr(again, (), TX)[0], push(TX))


# --- linear_transpose -----------------------------------------------------------------------------------------------


def test_linear_transpose():
    """<A x, y> = <x, A^T y> for a linear function of two arguments with a tree as its result."""
    a = np.arange(6.0).reshape(2, 3)

    def f(x, y):
        return {"u": a @ x + y[::-1], "v": 3.0 * x[1:]}

    rng = np.random.default_rng(0)
    x, y, u, v = rng.normal(size=3), rng.normal(size=2), rng.normal(size=2), rng.normal(size=2)
    transposed = fg.linear_transpose(f, np.zeros(3), np.zeros(2))
    x_bar, y_bar = transposed({"u": u, "v": v})
    out = f(x, y)
    assert out["u"] @ u + out["v"] @ v == pytest.approx(x @ x_bar + y @ y_bar)
    fg.check_jaxpr(transposed.jaxpr)


def test_linear_transpose_of_types():
    """Primals may be types; nothing is computed from values."""
    transposed = fg.linear_transpose(lambda x: x.sum() * 2.0, fg.ShapeDtypeStruct((3,), np.float32))
    (bar,) = transposed(np.float32(1))
    assert (bar.dtype, bar.shape) == (np.float32, (3,))
    np.testing.assert_array_equal(bar, 2.0)


def test_linear_transpose_of_nothing_and_twice():
    """Arguments that are not used get zeros; a transpose can be transposed back."""
    x_bar, y_bar = fg.linear_transpose(lambda x, y: x * 2.0, X, Y)(np.ones(2))
    np.testing.assert_array_equal(y_bar, [0.0, 0.0])
    there = fg.linear_transpose(lambda x: 3.0 * x[:1], X)
    back = fg.linear_transpose(lambda c: there(c)[0], np.zeros(1))
    np.testing.assert_array_equal(back(TX)[0], 3.0 * TX[:1])


def test_linear_transpose_checks_the_cotangent():
    """Tree, shape and dtype as for vjp."""
    transposed = fg.linear_transpose(lambda x: 3.0 * x, X)
    with pytest.raises(TransformTypeError, match="linear_transpose: the cotangent must have the tree structure"):
        transposed((X,))
    with pytest.raises(TransformValueError, match=r"must have shape \(2,\)"):
        transposed(np.ones(3))
    with pytest.raises(TypeError):
        transposed()
    with pytest.raises(TypeError):
        transposed(X, X)


def test_linear_transpose_equals_vjp_of_a_linear_function():
    """Of a complex linear function too."""
    z = np.array([1 + 1j, 2 - 1j])

    def f(x):
        return np.concatenate([x * (1 + 2j), x[::-1]])

    c = np.arange(4) * (1 - 1j)
    np.testing.assert_allclose(fg.linear_transpose(f, z)(c)[0], fg.vjp(f, z)[1](c)[0])


# --- hvp ------------------------------------------------------------------------------------------------------------


def test_hvp():
    """H v, without H."""

    def f(x):
        return np.sum(x**3) + x[0] * x[1]

    v = np.array([1.0, 2.0])
    np.testing.assert_allclose(fg.hvp(f, (X,), (v,)), 6 * X * v + v[::-1])
    np.testing.assert_allclose(fg.hvp(f, [X], [v]), fg.hessian(f)(X) @ v)


def test_hvp_of_several_arguments_and_trees():
    """A tuple for several primals, the argument's tree for one."""
    gx, gy = fg.hvp(lambda x, y: (x**2 * y).sum(), (X, Y), (TX, TY))
    np.testing.assert_allclose(gx, 2 * Y * TX + 2 * X * TY)
    np.testing.assert_allclose(gy, 2 * X * TX)
    out = fg.hvp(lambda p: p["a"] ** 2 * p["b"], ({"a": 2.0, "b": 3.0},), ({"a": 1.0, "b": 0.0},))
    assert out == {"a": 6.0, "b": 4.0}


def test_hvp_checks_its_arguments():
    """Errors name hvp, not what it is made of."""
    with pytest.raises(TransformTypeError, match="hvp: primals must be a tuple or list"):
        fg.hvp(np.sum, X, TX)
    with pytest.raises(TransformTypeError, match="hvp: primals must be a tuple or list"):
        fg.hvp(np.sin, 1.0, 1.0)
    with pytest.raises(TransformTypeError, match=r"hvp.* scalar"):
        fg.hvp(np.sin, (X,), (TX,))

"""stop_gradient: a constant to every derivative."""

import numpy as np
import pytest

import fungrad as fg


def test_it_is_the_identity_with_a_zero_derivative():
    """Value as it is, derivative zero, in both modes and every order."""
    assert fg.stop_gradient(3.0) == 3.0
    assert fg.grad(fg.stop_gradient)(3.0) == 0.0
    assert fg.grad(lambda x: x * fg.stop_gradient(x))(3.0) == 3.0
    assert fg.jvp(lambda x: x * fg.stop_gradient(x), (3.0,), (1.0,)) == (9.0, 3.0)
    assert fg.grad(fg.grad(lambda x: x**2 * fg.stop_gradient(x)))(3.0) == 6.0
    assert fg.grad(lambda x: fg.grad(lambda y: y * fg.stop_gradient(y) * x)(x))(3.0) == 3.0


def test_values_under_all_levels_become_plain():
    """Under recordings with values the result is plain: float() and math work."""
    seen = []

    def f(x):
        y = fg.stop_gradient(x)
        seen.append(type(y))
        return x * float(y)

    assert fg.grad(f)(3.0) == 3.0
    fg.hessian(f)(3.0)
    assert seen == [float, float]


def test_trees():
    """Leaf by leaf; None and strings pass."""
    x = np.arange(3.0)
    out = fg.stop_gradient({"a": x, "b": (1.0, None)})
    assert out["a"] is x
    assert out["b"] == (1.0, None)
    g = fg.grad(lambda p: (p["a"] * fg.stop_gradient(p)["a"]).sum() + p["b"])({"a": x, "b": 1.0})
    np.testing.assert_array_equal(g["a"], x)
    assert g["b"] == 1.0


def test_abstractly_it_is_an_equation():
    """In a jaxpr it is recorded, so that a later derivative of the jaxpr is cut too."""
    jaxpr = fg.make_jaxpr(lambda x: fg.stop_gradient(x) * x)(1.0)
    assert [e.primitive.name for e in jaxpr.eqns] == ["stop_gradient", "mul"]
    assert fg.grad(lambda x: fg.eval_jaxpr(jaxpr, (), x)[0])(3.0) == 3.0
    assert fg.grad(lambda x: fg.vmap(lambda r: r * fg.stop_gradient(r))(x).sum())(np.array([2.0]))[0] == 2.0
    np.testing.assert_array_equal(fg.vmap(fg.grad(lambda r: r * fg.stop_gradient(r)))(np.array([2.0, 3.0])), [2.0, 3.0])


@pytest.mark.parametrize("x", [np.float32(2), np.ones(2, np.complex64), 3, True, np.arange(3)])
def test_dtypes(x):
    """Type and dtype are kept, abstractly too."""
    assert fg.stop_gradient(x) is x
    out = fg.eval_shape(fg.stop_gradient, x)
    assert (out.shape, out.dtype) == (np.shape(x), np.result_type(x))

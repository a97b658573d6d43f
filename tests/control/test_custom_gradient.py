"""custom_gradient, closure_convert and linear_call."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nestings import LETTERS, agree, inner

import fungrad as fg
from fungrad.errors import TransformTypeError


@fg.custom_gradient
def with_closure(x, y):
    """The function for the cotangents closes over what was computed."""
    s = np.sin(x)
    return s * y + x * y**2, lambda ct: ((np.cos(x) * y + y**2) * ct, np.sum((s + 2.0 * x * y) * ct))


def through_linear_call(x, y):
    """Products with x as linear calls, whose residual depends on the arguments."""

    def times(factor, v):
        return fg.linear_call(lambda f, v: f * v, lambda f, ct: f * ct, factor, v)

    return times(np.sin(x), y + 0.0 * x) + times(y**2 + 0.0 * x, x)


def through_closure_convert(x, y):
    """A function-valued argument whose closure became arguments."""
    apply = fg.custom_vjp(lambda g, x, *consts: g(x, *consts), nondiff_argnums=0)

    def fwd(g, x, *consts):
        return apply(g, x, *consts), (x, *consts)

    apply.defvjp(fwd, lambda g, res, ct: fg.vjp(g, *res)[1](ct))
    g, consts = fg.closure_convert(lambda x: inner(x, y), x)
    return apply(g, x, *consts)


@settings(max_examples=100)
@given(
    st.sampled_from([with_closure, through_linear_call, through_closure_convert]),
    st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=3),
)
def test_every_word_over_the_transforms(form, word):
    """The derivative agrees with that of the plain function."""
    agree(form, inner, word)


def test_the_function_for_cotangents_is_used():
    """As it is, in reverse mode: it may be anything."""
    f = fg.custom_gradient(lambda x: (x**2, lambda ct: np.clip(ct, -1.0, 1.0) * x))
    for gradient in (fg.grad(f), fg.jit(fg.grad(f)), fg.grad(fg.jit(f)), lambda x: fg.vmap(fg.grad(f))(np.array([x]))):
        assert gradient(3.0) == 3.0
    assert f(3.0) == 9.0
    assert fg.grad(fg.grad(f))(3.0) == 1.0


def test_control_flow_in_custom_gradient():
    """Outside of jit both functions see values."""
    f = fg.custom_gradient(lambda x: (x, lambda ct: ct if x > 0 else 2.0 * ct))
    assert (fg.grad(f)(1.0), fg.grad(f)(-1.0)) == (1.0, 2.0)


def test_what_custom_gradient_refuses():
    """A result that is no pair."""
    with pytest.raises(TransformTypeError, match=r"must return a pair \(result, function for the .*, got float"):
        fg.custom_gradient(lambda x: 2.0)(1.0)
    with pytest.raises(TypeError, match="expects a function"):
        fg.custom_gradient(1.0)


def test_trees_in_custom_gradient():
    """Arguments and results are pytrees; None is zero."""
    f = fg.custom_gradient(lambda a, b: ({"r": a["x"] * b}, lambda ct: ({"x": ct["r"] * b}, None)))
    assert fg.grad(lambda a, b: f(a, b)["r"], (0, 1))({"x": 2.0}, 3.0) == ({"x": 3.0}, 0.0)


def test_closure_convert_finds_traced_arrays():
    """Each one once; nothing where nothing is traced."""
    converted, consts = fg.closure_convert(lambda x: x + np.ones(2), 1.0)
    assert consts == []
    np.testing.assert_array_equal(converted(2.0), [3.0, 3.0])

    def f(y, z):
        converted, consts = fg.closure_convert(lambda x: {"r": x * y + y + np.sin(z)}, 1.0)
        assert len(consts) == 2
        with pytest.raises(TransformTypeError, match="tree structure of the examples"):
            converted((1.0, 1.0), *consts)
        return converted(2.0, *consts)["r"]

    assert fg.grad(f, (0, 1))(3.0, 0.0) == (3.0, 1.0)
    assert fg.jit(fg.grad(f, (0, 1)))(3.0, 0.0) == (3.0, 1.0)


def test_linear_call_uses_the_transpose():
    """Backwards the transpose that was given, forwards the function; at the second transposition that again."""

    def f(x):
        return fg.linear_call(lambda _, x: 2.0 * x, lambda _, ct: 3.0 * ct, None, x)

    for g in (f, fg.jit(f)):
        assert g(1.0) == 2.0
        assert fg.jvp(g, (1.0,), (1.0,))[1] == 2.0
        assert fg.grad(g)(1.0) == 3.0
        assert fg.vjp(lambda ct, g=g: fg.vjp(g, 1.0)[1](ct)[0], 1.0)[1](1.0)[0] == 2.0
        np.testing.assert_array_equal(fg.vmap(fg.grad(g))(np.ones(2)), [3.0, 3.0])


def test_linear_call_differentiates_residuals():
    """By the code of the function."""

    def divide(x, y):
        return fg.linear_call(lambda y, x: x / y, lambda y, ct: ct / y, y, x)

    for g in (divide, fg.jit(divide)):
        assert fg.grad(g, (0, 1))(3.0, 2.0) == (0.5, -0.75)
        assert fg.grad(fg.grad(g, 1), 0)(3.0, 2.0) == -0.25
        assert fg.grad(fg.grad(g, 0), 1)(3.0, 2.0) == -0.25

"""Laws of compiled functions: jit changes nothing but the speed, wherever it stands among the other transforms.

Programs are drawn by hypothesis from `fungrad.testing.programs`; the letters of words and their oracles are those of
``test_laws.py``, with a jit between any two of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_laws import JACOBIANS, LETTERS, SMALL, assert_equal, basis, by_jvp_loop, direction, programs

import fungrad as fg
from fungrad.testing import Program, check_grads


@settings(max_examples=60)
@given(programs(inputs=2))
def test_value(program: Program):
    """A compiled program returns what the program does, of the same type, and again; the jaxprs are well formed."""
    expected = program(*program.args)
    j = fg.jit(program)
    for _ in range(2):
        got = j(*program.args)
        assert_equal(got, expected, 1e-13)
        assert type(got) is type(np.asarray(expected)[()])
    lowered = j.lower(*program.args)
    fg.check_jaxpr(lowered.jaxpr)
    fg.check_jaxpr(lowered.optimized)
    assert_equal(fg.eval_jaxpr(lowered.optimized, (), *program.args)[0], expected, 1e-13)


@settings(max_examples=25)
@given(programs())
def test_every_route_to_the_jacobian(program: Program):
    """All ways to compute a Jacobian of a compiled program agree with the plain one; so does each of them compiled."""
    (x,) = program.args
    expected = by_jvp_loop(program)(x)
    j = fg.jit(program)
    for route in JACOBIANS:
        assert_equal(route(j)(x), expected)
    for route in (fg.jacfwd, fg.jacrev):
        assert_equal(fg.jit(route(j))(x), expected)
        assert_equal(fg.jit(route(program))(x), expected)


@settings(max_examples=70)
@given(
    programs(shapes=SMALL, steps=(2, 1, 3, 4)),
    st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=2),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_words_with_jit(program: Program, word: list, compiled: list):
    """A word over the transforms, with jit before, between and after its letters, means what it does without."""
    _check_word(program, word, compiled, fg.jit)


@settings(max_examples=70)
@given(
    programs(shapes=SMALL, steps=(2, 1, 3, 4)),
    st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=2),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.sampled_from([fg.checkpoint, lambda f: fg.jit(fg.checkpoint(f)), lambda f: fg.checkpoint(fg.jit(f))]),
)
def test_words_with_checkpoint(program: Program, word: list, compiled: list, wrap: Any):
    """The same with checkpoint in these places, compiled or not."""
    _check_word(program, word, compiled, wrap)


def _check_word(program: Program, word: list, places: list, wrap: Any) -> None:
    (x,) = program.args
    f = wrap(program) if places[0] or not any(places) else program
    oracle = program
    for name, here in zip(word, places[1:], strict=False):
        letter, meaning = LETTERS[name]
        f, oracle = letter(f), meaning(oracle)
        if here:
            f = wrap(f)
        if name == "vmap":
            x = np.stack([x, 0.7 * x])
    assert_equal(f(x), oracle(x))
    assert_equal(f(x), oracle(x))


NESTINGS = {
    "grad(jit)": lambda f: fg.grad(fg.jit(f)),
    "jit(grad)": lambda f: fg.jit(fg.grad(f)),
    "jit(grad(jit))": lambda f: fg.jit(fg.grad(fg.jit(f))),
    "jit(jit(grad(jit(jit))))": lambda f: fg.jit(fg.jit(fg.grad(fg.jit(fg.jit(f))))),
    "jacfwd(jit)": lambda f: fg.jacfwd(fg.jit(f)),
    "jit(jacrev(jit))": lambda f: fg.jit(fg.jacrev(fg.jit(f))),
    "value_and_grad": lambda f: lambda x: fg.value_and_grad(fg.jit(f))(x)[1],
    "vjp": lambda f: lambda x: fg.vjp(fg.jit(f), x)[1](np.ones(()))[0],
    "linearize": lambda f: lambda x: fg.jit(lambda x: _gradient_by(fg.linearize(fg.jit(f), x)[1], x))(x),
    "jit of a pushforward": lambda f: lambda x: _gradient_by(fg.jit(fg.linearize(fg.jit(f), x)[1]), x),
}


def _gradient_by(push, x):
    return np.reshape(np.stack([push(v) for v in basis(x)]), np.shape(x))


@pytest.mark.parametrize("name", list(NESTINGS))
def test_gradients(name):
    """jit before, after and on both sides of a derivative of a scalar function."""

    @settings(max_examples=12)
    @given(programs())
    def check(program):
        (x,) = program.args

        def f(x):
            return np.sum(np.sin(program(x)))

        assert_equal(NESTINGS[name](f)(x), fg.grad(f)(x))

    check()


@settings(max_examples=20)
@given(programs(shapes=SMALL, steps=(2, 1, 3, 4)))
def test_second_derivatives(program: Program):
    """Hessians with jit in any place agree."""
    (x,) = program.args

    def f(x):
        return np.sum(np.sin(program(x)))

    expected = fg.hessian(f)(x)
    j = fg.jit
    for route in (
        fg.hessian(j(f)),
        j(fg.hessian(f)),
        j(fg.hessian(j(f))),
        fg.jacfwd(j(fg.grad(j(f)))),
        fg.jacrev(fg.grad(j(f))),
        j(fg.jacrev(j(fg.jacfwd(f)))),
    ):
        assert_equal(route(x), expected)
    v = direction(x)
    product = np.tensordot(expected, v, np.ndim(x))
    assert_equal(fg.hvp(j(f), (x,), (v,)), product)
    assert_equal(j(lambda x, v: fg.hvp(f, (x,), (v,)))(x, v), product)
    assert_equal(fg.grad(lambda x: np.sum(j(fg.grad(j(f)))(x) * v))(x), product)


@settings(max_examples=20)
@given(programs(inputs=2), st.sampled_from([(0, 0), (0, None), (None, 0), (-1, 0)]))
def test_vmap(program: Program, in_axes: tuple):
    """vmap of jit, jit of vmap, and both around derivatives, with batch axes anywhere."""

    def f(x, y):
        return np.sum(np.sin(program(x, y)))

    def stretch(x, axis):
        return x if axis is None else np.stack([x, 0.8 * x, 1.1 * x], axis)

    args = [stretch(x, axis) for x, axis in zip(program.args, in_axes, strict=True)]
    expected = fg.vmap(program, in_axes=in_axes)(*args)
    j = fg.jit
    assert_equal(fg.vmap(j(program), in_axes=in_axes)(*args), expected)
    assert_equal(j(fg.vmap(program, in_axes=in_axes))(*args), expected)
    assert_equal(j(fg.vmap(j(program), in_axes=in_axes, out_axes=-1))(*args), np.moveaxis(expected, 0, -1))
    expected = fg.vmap(fg.grad(f, argnums=(0, 1)), in_axes=in_axes)(*args)
    for g in (
        fg.vmap(j(fg.grad(j(f), argnums=(0, 1))), in_axes=in_axes),
        j(fg.vmap(fg.grad(f, argnums=(0, 1)), in_axes=in_axes)),
        fg.vmap(fg.grad(j(f), argnums=(0, 1)), in_axes=in_axes),
    ):
        for a, b in zip(g(*args), expected, strict=True):
            assert_equal(a, b)
    of_sum = lambda fun: fg.grad(lambda *a: np.sum(fg.vmap(fun, in_axes=in_axes)(*a)), argnums=(0, 1))(*args)
    for a, b in zip(of_sum(j(f)), of_sum(f), strict=True):
        assert_equal(a, b)
    assert_equal(
        j(fg.vmap(fg.vmap(j(program), in_axes=in_axes), in_axes=(0, None)))(np.stack([args[0]] * 2), args[1]),
        np.stack([fg.vmap(program, in_axes=in_axes)(*args)] * 2),
    )


@settings(max_examples=25)
@given(programs(inputs=2))
def test_linear_maps(program: Program):
    """The linear map of a compiled program transposes to its pull-back; compiled linear functions transpose too."""
    y, push = fg.linearize(fg.jit(program), *program.args)
    w, v = direction(y), tuple([direction(x) for x in program.args])
    pulled = fg.vjp(program, *program.args)[1](w)
    for transposed in (fg.linear_transpose(push, *v)(w), fg.linear_transpose(fg.jit(push), *v)(w)):
        for a, b in zip(transposed, pulled, strict=True):
            assert_equal(a, b)
    assert_equal(fg.jit(push)(*v), push(*v))
    _, pull = fg.vjp(fg.jit(program), *program.args)
    for a, b in zip(fg.jit(pull)(w), pulled, strict=True):
        assert_equal(a, b)


@settings(max_examples=15)
@given(programs(inputs=2))
def test_derivatives_against_differences(program: Program):
    """Both modes of a compiled program agree with finite differences."""
    check_grads(fg.jit(program), program.args, order=2)


@settings(max_examples=25)
@given(programs(), st.lists(st.sampled_from(["jit", "inline", "plain"]), min_size=2, max_size=2))
def test_functions_of_functions(program: Program, kinds: list):
    """A program called twice within another one, compiled, inlined or plain: value and gradient are the same."""
    wraps = {"jit": fg.jit, "inline": lambda f: fg.jit(f, inline=True), "plain": lambda f: f}
    (x,) = program.args
    inner = wraps[kinds[0]](program)

    def whole(inner):
        return lambda x: np.sum(inner(x) * np.cos(inner(0.5 * x))) + np.sum(x) ** 2

    f = wraps[kinds[1]](whole(inner))
    assert_equal(f(x), whole(program)(x))
    assert_equal(fg.grad(f)(x), fg.grad(whole(program))(x))
    assert_equal(fg.jit(fg.grad(f))(x), fg.grad(whole(program))(x))


@settings(max_examples=25)
@given(programs(inputs=2))
def test_closures_over_traced_arguments(program: Program):
    """A compiled closure over one argument is differentiated in both."""

    def f(x, y):
        return np.sum(np.sin(program(x, y)))

    def closing(x, y):
        return fg.jit(lambda y: fg.jit(lambda: f(x, y))())(y)

    expected = fg.grad(f, argnums=(0, 1))(*program.args)
    for g in (fg.grad(closing, argnums=(0, 1)), fg.jit(fg.grad(fg.jit(closing), argnums=(0, 1)))):
        for a, b in zip(g(*program.args), expected, strict=True):
            assert_equal(a, b)


def _tanh_derivative(n):
    """The n-th derivative of tanh, as a polynomial in tanh: d/dx p(t) = p'(t) (1 - t^2)."""
    p = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(n):
        p = p.deriv() * np.polynomial.Polynomial([1.0, 0.0, -1.0])
    return lambda x: p(np.tanh(x))


@pytest.mark.parametrize("n", range(1, 7))
def test_higher_derivatives_of_tanh(n):
    """Derivatives up to the sixth, with jit outermost, innermost and at each level; numbers and arrays."""
    inner, outer, every = fg.jit(np.tanh), np.tanh, fg.jit(np.tanh)
    for _ in range(n):
        inner, outer, every = fg.grad(inner), fg.grad(outer), fg.jit(fg.grad(every))
    xs = np.linspace(-2.0, 2.0, 5)
    expected = _tanh_derivative(n)(xs)
    for f in (inner, fg.jit(outer), every):
        for x, want in zip(xs, expected, strict=True):
            assert f(x) == pytest.approx(want, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(fg.vmap(f)(xs), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(fg.jit(fg.vmap(every))(xs), expected, rtol=1e-9, atol=1e-9)


def test_complex_derivatives():
    """Holomorphic gradients, and vjp and jvp of complex functions, through jit."""
    z = np.array([0.3 + 0.2j, -0.5 + 1.0j])

    def f(z):
        return np.sum(np.exp(z) * np.sin(z) / (2.0 + z))

    def real(z):
        return np.sum(np.abs(np.sin(z)) ** 2 * z.real)

    expected = fg.grad(f, holomorphic=True)(z)
    for g in (fg.grad(fg.jit(f), holomorphic=True), fg.jit(fg.grad(f, holomorphic=True))):
        np.testing.assert_allclose(g(z), expected, rtol=1e-12)
    for g in (fg.grad(fg.jit(real)), fg.jit(fg.grad(real)), fg.jit(fg.grad(fg.jit(real)))):
        np.testing.assert_allclose(g(z), fg.grad(real)(z), rtol=1e-12)
    t = np.array([1.0 + 1.0j, 2.0 - 1.0j])
    np.testing.assert_allclose(fg.jvp(fg.jit(f), (z,), (t,))[1], fg.jvp(f, (z,), (t,))[1], rtol=1e-12)
    np.testing.assert_allclose(fg.jit(fg.vmap(fg.grad(real)))(z[:, None]), fg.vmap(fg.grad(real))(z[:, None]))


def test_derivative_programs_are_made_once():
    """A second gradient of a compiled function runs no Python code of it, nor records its derivative again."""
    runs = []

    def f(x):
        runs.append(1)
        return np.sum(np.sin(x) * x)

    j = fg.jit(f)
    x = np.array([1.0, 2.0])
    fg.grad(j)(x)
    program = j.lower(x)._program
    made = dict(program._made)
    for _ in range(3):
        np.testing.assert_allclose(fg.grad(j)(2.0 * x), np.sin(2 * x) + 2 * x * np.cos(2 * x))
    assert len(runs) == 1
    assert {k: id(v) for k, v in program._made.items() if k in made} == {k: id(v) for k, v in made.items()}
    fg.hessian(j)(x), fg.vmap(fg.grad(j))(np.stack([x, x]))
    assert len(runs) == 1


def test_gradients_only_of_what_is_asked():
    """Arguments that are not differentiated, integers, and results without tangents pass through."""

    @fg.jit
    def f(x, n, y):
        return np.sum(x * y) * n, np.argmax(x), n + 1

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    gradient, aux = fg.grad(lambda x: (f(x, 3, y)[0], f(x, 3, y)[1:]), has_aux=True)(x)
    np.testing.assert_array_equal(gradient, 3 * y)
    assert aux == (1, 4)
    np.testing.assert_array_equal(fg.grad(lambda y: f(x, 3, y)[0])(y), 3 * x)
    (out, _, m), (t, t_index, t_n) = fg.jvp(lambda x: f(x, 3, y), (x,), (np.ones(2),))
    assert (out, m, t) == (39.0, 4, 24.0)
    assert t_index.dtype == t_n.dtype == fg.float0
    with pytest.raises(fg.errors.NonDifferentiableError):
        fg.grad(lambda n: f(x, n, y)[0])(3)


def test_stop_gradient():
    """It stops the derivative inside of a compiled function as outside."""
    f = lambda x: np.sum(fg.stop_gradient(np.sin(x)) * x)
    x = np.array([1.0, 2.0])
    for g in (fg.grad(fg.jit(f)), fg.jit(fg.grad(f)), fg.jacfwd(fg.jit(f))):
        np.testing.assert_allclose(g(x), np.sin(x))

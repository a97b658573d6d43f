"""Perturbation confusion must not happen: a derivative inside a derivative sees only its own perturbation.

Cases from Siskind & Pearlmutter, "Nesting forward-mode AD in a functional framework" (2008), and Manzyuk, Pearlmutter,
Radul, Rush & Siskind, "Perturbation confusion in forward automatic differentiation of higher-order functions" (2019),
in all mixtures of transforms.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fungrad as fg


def by_jvp(f):
    """The derivative by forward mode."""
    return lambda x: fg.jvp(f, (x,), (1.0,))[1]


def by_vjp(f):
    """The derivative by reverse mode."""
    return lambda x: fg.vjp(f, x)[1](1.0)[0]


def by_linearize(f):
    """The derivative by the linearized program."""
    return lambda x: fg.linearize(f, x)[1](1.0)


def by_vmap_of_grad(f):
    """The derivative by a batch of one."""
    return lambda x: fg.vmap(fg.grad(f))(np.reshape(x, (1,)))[0]


def by_grad_of_vmap(f):
    """The derivative of a batch of one."""
    return lambda x: fg.grad(lambda xs: np.sum(fg.vmap(f)(xs)))(np.reshape(x, (1,)))[0]


DERIVATIVES = [fg.grad, by_jvp, by_vjp, by_linearize, fg.jacfwd, fg.jacrev, by_vmap_of_grad, by_grad_of_vmap]


def words(length):
    """All ways to nest that many derivatives."""
    return pytest.mark.parametrize(
        "ds",
        list(itertools.product(DERIVATIVES, repeat=length)),
        ids=lambda ds: "-".join(d.__name__.removeprefix("by_") for d in ds),
    )


@words(2)
def test_inner_derivative_of_a_sum(ds):
    """d/dx x (d/dy (x + y)) = 1; a system that confuses the two perturbations gives 2."""
    outer, inner = ds
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0


@words(2)
def test_inner_derivative_of_a_product(ds):
    """d/dx x (d/dy x y) = d/dx x**2 = 2 x."""
    outer, inner = ds
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0


@words(2)
def test_both_variables_meet_the_same_value(ds):
    """d/dx [d/dy x y**2 at y = x] = d/dx 2 x**2 = 4 x: the inner point carries the outer perturbation."""
    outer, inner = ds
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(1.5) == 6.0


@words(2)
def test_inner_function_ignores_its_argument(ds):
    """d/dy of something that only depends on x is zero, also to the outer derivative."""
    outer, inner = ds
    assert inner(lambda y: 0.0 * y + 3.0)(2.0) == 0.0
    assert outer(lambda x: x + inner(lambda y: x * x)(2.0))(3.0) == 1.0


@words(2)
def test_derivative_as_a_value(ds):
    """The operator f -> (x -> d/du f(x + u)), applied twice to exp, is exp: each use has a perturbation of its own."""
    outer, inner = ds

    def shift_derivative(d, f):
        return lambda x: d(lambda u: f(x + u))(0.0)

    assert np.isclose(shift_derivative(outer, shift_derivative(inner, np.exp))(1.0), np.e, rtol=1e-14)


@words(3)
def test_three_levels(ds):
    """d/dx x (d/dy y (d/dz x y z)) = d/dx 2 x**2 y = 8 x at y = 2: no level is taken for another."""
    first, second, third = ds
    f = first(lambda x: x * second(lambda y: y * third(lambda z: x * y * z)(5.0))(2.0))
    assert f(3.0) == 24.0  # x * d/dy (x y**2) = 2 x**2 y


@words(2)
def test_vmap_between_two_derivatives(ds):
    """d/dx of a batch of inner derivatives that close over x: sum over y of d/dx (x**2 y) at each."""
    outer, inner = ds
    ys = np.array([1.0, 2.0, 3.0])

    def f(x):
        return np.sum(fg.vmap(lambda y: inner(lambda z: x * x * y * z)(y))(ys))

    assert np.isclose(outer(f)(0.5), 6.0, rtol=1e-14)


@words(2)
def test_derivatives_between_two_vmaps(ds):
    """Examples of an inner batch that close over an outer example do not mix with it."""
    outer, inner = ds
    xs, ys = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])

    def f(x):
        return fg.vmap(lambda y: outer(lambda a: a * inner(lambda b: a * b * y)(x))(x))(ys)

    np.testing.assert_allclose(fg.vmap(f)(xs), 2 * xs[:, None] * ys, rtol=1e-14)


@pytest.mark.parametrize("d", DERIVATIVES, ids=lambda d: d.__name__)
def test_recursion(d):
    """A function that differentiates itself recursively: the n-th derivative of x**6, one level at a time."""

    def nth(n):
        return (lambda x: x**6) if n == 0 else d(nth(n - 1))

    assert [float(nth(n)(1.0)) for n in range(4)] == [1.0, 6.0, 30.0, 120.0]


@pytest.mark.parametrize("d", DERIVATIVES, ids=lambda d: d.__name__)
def test_same_argument_passed_through(d):
    """The inner function returns the outer variable itself, or a constant; both are constants to it."""
    assert d(lambda x: d(lambda y: x)(x) + x)(2.0) == 1.0
    assert d(lambda x: d(lambda y: 3.0)(x) + x)(2.0) == 1.0


def test_aux_of_an_inner_derivative_carries_the_outer_perturbation():
    """What has_aux hands out of an inner derivative is differentiated by the outer one, and not by the inner."""

    def f(x):
        g, aux = fg.grad(lambda y: (x * y, x * x * y), has_aux=True)(2.0)
        return g * aux  # x * 2 x**2

    assert fg.grad(f)(3.0) == 54.0
    assert by_jvp(f)(3.0) == 54.0


def test_pullback_used_inside_another_derivative():
    """A pull-back made outside a derivative is a constant linear map to it; made inside, it depends on the point."""
    _, pull = fg.vjp(lambda x: x**3, 2.0)
    assert fg.grad(lambda w: pull(w)[0])(1.0) == 12.0
    assert fg.grad(lambda x: fg.vjp(lambda y: y**3, x)[1](1.0)[0])(2.0) == 12.0
    assert fg.grad(lambda x: x * pull(x)[0])(1.0) == 24.0


def test_linearized_function_used_inside_another_derivative():
    """A linearized program applied to a traced tangent is differentiated as the linear map that it is."""
    _, push = fg.linearize(np.sin, 0.5)
    assert np.isclose(fg.grad(lambda v: push(v) ** 2)(3.0), 6 * np.cos(0.5) ** 2, rtol=1e-14)
    assert np.isclose(
        fg.grad(lambda x: fg.linearize(np.sin, x)[1](x))(0.5), np.cos(0.5) - 0.5 * np.sin(0.5), rtol=1e-14
    )

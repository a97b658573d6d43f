"""Laws that hold for every program: routes to the same derivative agree, transforms commute where mathematics says so.

Programs are drawn by hypothesis from `fungrad.testing.programs`, and beside them words over the transforms.
"""

from __future__ import annotations

import pickle
import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad.testing import Program, check_grads, random_program

SMALL = ((2,), (), (3,))  # shapes of inputs for third derivatives


@st.composite
def _shrinkable_programs(draw, inputs, **options):
    return random_program(lambda choices: draw(st.sampled_from(choices)), inputs, **options)


def programs(inputs=1, **options):
    """Random programs: half of them drawn step by step, which shrink well, half from a seed, which vary more."""
    seeded = st.integers(0, 2**32).map(lambda seed: random_program(random.Random(seed).choice, inputs, **options))
    return st.one_of(_shrinkable_programs(inputs, **options), seeded)


def assert_equal(actual, expected, tolerance=1e-9):
    """Equal up to rounding, relative to the largest element; the same shape."""
    assert np.shape(actual) == np.shape(expected)
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def direction(x):
    """A fixed vector of the shape of x."""
    return np.cos(1.0 + np.arange(np.size(x))).reshape(np.shape(x))[()]


def basis(x):
    """The standard basis of the space of x, one vector after the other along the first axis."""
    return np.eye(np.size(x)).reshape(np.size(x), *np.shape(x))


# Routes to the Jacobian: f -> (x -> an array of shape out.shape + in.shape)


def by_jvp_loop(f):
    """Column by column, each with a recording of its own."""

    def jacobian(x):
        columns = np.stack([fg.jvp(f, (x,), (v,))[1] for v in basis(x)], -1)
        return np.reshape(columns, np.shape(columns)[:-1] + np.shape(x))

    return jacobian


def by_vmap_of_jvp(f):
    """All columns in a batch."""

    def jacobian(x):
        columns = fg.vmap(lambda v: fg.jvp(f, (x,), (v,))[1], out_axes=-1)(basis(x))
        return np.reshape(columns, np.shape(columns)[:-1] + np.shape(x))

    return jacobian


def by_vmap_of_vjp(f):
    """All rows in a batch."""

    def jacobian(x):
        y, pull = fg.vjp(f, x)
        (rows,) = fg.vmap(pull)(basis(y))
        return np.reshape(rows, np.shape(y) + np.shape(x))

    return jacobian


def by_linearize(f):
    """One linear program for all columns."""

    def jacobian(x):
        _, push = fg.linearize(f, x)
        columns = np.stack([push(v) for v in basis(x)], -1)
        return np.reshape(columns, np.shape(columns)[:-1] + np.shape(x))

    return jacobian


def by_transposed_linearize(f):
    """The linear program, transposed, for all rows."""

    def jacobian(x):
        y, push = fg.linearize(f, x)
        pull = fg.linear_transpose(push, np.zeros(np.shape(x)))
        return np.reshape(np.stack([pull(w)[0] for w in basis(y)]), np.shape(y) + np.shape(x))

    return jacobian


def by_grad_of_each_result(f):
    """The gradient of each element of the result."""

    def jacobian(x):
        y = f(x)
        rows = [fg.grad(lambda x, k=k: np.reshape(f(x), -1)[k])(x) for k in range(np.size(y))]
        return np.reshape(np.stack(rows), np.shape(y) + np.shape(x))

    return jacobian


JACOBIANS = [
    fg.jacfwd, fg.jacrev, fg.jacobian, by_jvp_loop, by_vmap_of_jvp, by_vmap_of_vjp, by_linearize,
    by_transposed_linearize, by_grad_of_each_result,
]  # fmt: skip


@settings(max_examples=100)
@given(programs())
def test_every_route_to_the_jacobian(program: Program):
    """All ways to compute a Jacobian agree."""
    (x,) = program.args
    expected = by_jvp_loop(program)(x)
    for route in JACOBIANS:
        assert_equal(route(program)(x), expected)


@settings(max_examples=100)
@given(programs(), st.lists(st.sampled_from(JACOBIANS), min_size=2, max_size=2))
def test_second_derivatives_by_words(program: Program, word: list):
    """Any two Jacobians on top of each other give the same tensor, which is symmetric."""
    (x,) = program.args
    expected = fg.jacfwd(fg.jacfwd(program))(x)
    first, second = word
    assert_equal(second(first(program))(x), expected)
    n, k = np.ndim(program(x)), np.ndim(x)
    order = [*range(n), *range(n + k, n + 2 * k), *range(n, n + k)]
    assert_equal(expected.transpose(order), expected)


@settings(max_examples=60)
@given(programs(shapes=SMALL, steps=(2, 1, 3, 4)), st.lists(st.sampled_from(JACOBIANS), min_size=3, max_size=3))
def test_third_derivatives_by_words(program: Program, word: list):
    """Any three Jacobians on top of each other give the same tensor."""
    (x,) = program.args
    f, reference = program, program
    for letter in word:
        f, reference = letter(f), fg.jacfwd(reference)
    assert_equal(f(x), reference(x))


@settings(max_examples=60)
@given(programs())
def test_hessian_of_a_scalar(program: Program):
    """The Hessian four ways, by columns of hvp, and along a direction as a second derivative of one variable."""
    (x,) = program.args

    def f(x):
        return np.sum(np.sin(program(x)))

    expected = fg.hessian(f)(x)
    for outer in (fg.jacfwd, fg.jacrev):
        for inner in (fg.jacfwd, fg.jacrev, fg.grad):
            assert_equal(outer(inner(f))(x), expected)
    assert_equal(np.stack([fg.hvp(f, (x,), (v,)) for v in basis(x)]).reshape(expected.shape), expected)
    v = direction(x)
    curvature = np.tensordot(np.tensordot(expected, v, np.ndim(x)), v, np.ndim(x))
    assert_equal(fg.grad(fg.grad(lambda t: f(x + t * v)))(0.0), curvature)


@settings(max_examples=60)
@given(programs(shapes=SMALL))
def test_third_derivative_along_a_line(program: Program):
    """Three nested tangents along v are the third derivative of t -> f(x + t v), in any mixture of modes."""
    (x,) = program.args
    v = direction(x)

    def along(f):
        return lambda x: fg.jvp(f, (x,), (v,))[1]

    def line(t):
        return np.sum(program(x + t * v))

    expected = np.sum(along(along(along(program)))(x))
    for word in (
        (fg.grad, fg.grad, fg.grad),
        (fg.jacfwd, fg.grad, fg.jacfwd),
        (fg.jacrev, fg.jacfwd, fg.grad),
        (fg.grad, fg.jacfwd, fg.jacfwd),
    ):
        f = line
        for letter in word:
            f = letter(f)
        assert_equal(f(0.0), expected)


# Words over all transforms, each letter with an oracle that uses loops and contractions in its place


def letter_jvp(f):
    """The tangent along a fixed direction."""
    return lambda x: fg.jvp(f, (x,), (direction(x),))[1]


def oracle_jvp(f):
    """The Jacobian times it."""
    return lambda x: np.tensordot(by_jvp_loop(f)(x), direction(x), np.ndim(x))


def letter_linearize(f):
    """The tangent along a fixed direction, by the linear program."""
    return lambda x: fg.linearize(f, x)[1](direction(x))


def letter_vjp(f):
    """The cotangent for a fixed one of the result."""

    def pulled(x):
        y, pull = fg.vjp(f, x)
        return pull(direction(y))[0]

    return pulled


def letter_transpose(f):
    """The same by transposing the linear program."""

    def pulled(x):
        y, push = fg.linearize(f, x)
        return fg.linear_transpose(push, np.zeros(np.shape(x)))(direction(y))[0]

    return pulled


def oracle_vjp(f):
    """It times the Jacobian."""

    def pulled(x):
        y = f(x)
        return np.tensordot(direction(y), by_jvp_loop(f)(x), np.ndim(y))

    return pulled


def letter_grad(f):
    """The gradient of the sum."""
    return fg.grad(lambda x: np.sum(f(x)))


def oracle_grad(f):
    """The sum of the rows of the Jacobian."""

    def summed(x):
        rows = by_jvp_loop(f)(x)
        return np.sum(rows, axis=tuple(range(np.ndim(rows) - np.ndim(x))))

    return summed


def letter_evaluate(f):
    """The jaxpr of the function, evaluated."""
    return lambda x: fg.eval_jaxpr(fg.make_jaxpr(f)(x), (), x)[0]


def oracle_vmap(f):
    """A loop over the first axis."""
    return lambda xs: np.stack([f(x) for x in xs])


LETTERS = {
    "jvp": (letter_jvp, oracle_jvp),
    "vjp": (letter_vjp, oracle_vjp),
    "vmap": (fg.vmap, oracle_vmap),
    "linearize": (letter_linearize, oracle_jvp),
    "linear_transpose": (letter_transpose, oracle_vjp),
    "grad": (letter_grad, oracle_grad),
    "jacfwd": (fg.jacfwd, by_jvp_loop),
    "jacrev": (fg.jacrev, by_jvp_loop),
    "evaluate": (letter_evaluate, lambda f: f),
}


@settings(max_examples=300)
@given(programs(shapes=SMALL, steps=(2, 1, 3, 4)), st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=3))
def test_words_over_the_transforms(program: Program, word: list):
    """A word over the transforms computes what the same word over loops, tensors and contractions does."""
    (x,) = program.args
    f, oracle = program, program
    for name in word:
        letter, meaning = LETTERS[name]
        f, oracle = letter(f), meaning(oracle)
        if name == "vmap":
            x = np.stack([x, 0.7 * x])
    assert_equal(f(x), oracle(x))


# Laws of single transforms


@settings(max_examples=60)
@given(programs(inputs=2))
def test_derivatives_against_differences(program: Program):
    """Both modes and both orders agree with finite differences, for every argument."""
    check_grads(program, program.args, order=2)


@settings(max_examples=60)
@given(programs(inputs=2))
def test_linear_transpose_of_linearize_is_vjp(program: Program):
    """Transposing the linear program gives the pull-back, <J v, w> = <v, J^T w>, and both are linear."""
    y, push = fg.linearize(program, *program.args)
    w, v = direction(y), tuple([direction(x) for x in program.args])
    pulled = fg.vjp(program, *program.args)[1](w)
    transposed = fg.linear_transpose(push, *v)(w)
    for a, b in zip(transposed, pulled, strict=True):
        assert_equal(a, b)
    assert_equal(np.sum(push(*v) * w), sum(np.sum(a * b) for a, b in zip(v, pulled, strict=True)))
    assert_equal(push(*[2.0 * t for t in v]), 2.0 * push(*v))
    alone = [push(*[t if k == j else 0.0 * t for j, t in enumerate(v)]) for k in range(2)]
    assert_equal(alone[0] + alone[1], push(*v))


@settings(max_examples=60)
@given(programs(inputs=2))
def test_argnums(program: Program):
    """The gradient in several arguments is the gradients in each, and value_and_grad's value is the function's."""

    def f(x, y):
        return np.sum(np.cos(program(x, y)))

    value, both = fg.value_and_grad(f, argnums=(0, 1))(*program.args)
    assert_equal(value, f(*program.args))
    for k in range(2):
        assert_equal(fg.grad(f, argnums=k)(*program.args), both[k])
        assert_equal(fg.jacfwd(f, argnums=k)(*program.args), both[k])


@settings(max_examples=60)
@given(programs(inputs=2), st.sampled_from([(0, 0), (0, None), (None, 0)]))
def test_vmap_of_grad_and_grad_of_vmap(program: Program, in_axes: tuple):
    """vmap of grad is a loop of grads; grad of the sum of vmap is their stack, or their sum for a shared argument."""

    def f(x, y):
        return np.sum(np.sin(program(x, y)))

    def stretch(x, axis):
        return x if axis is None else np.stack([x, 0.8 * x, 1.1 * x])

    args = [stretch(x, axis) for x, axis in zip(program.args, in_axes, strict=True)]
    examples = [[x if axis is None else x[k] for x, axis in zip(args, in_axes, strict=True)] for k in range(3)]
    expected = [np.stack(g) for g in zip(*[fg.grad(f, argnums=(0, 1))(*e) for e in examples], strict=True)]
    for a, b in zip(fg.vmap(fg.grad(f, argnums=(0, 1)), in_axes=in_axes)(*args), expected, strict=True):
        assert_equal(a, b)
    of_vmap = fg.grad(lambda *a: np.sum(fg.vmap(f, in_axes=in_axes)(*a)), argnums=(0, 1))(*args)
    for a, b, axis in zip(of_vmap, expected, in_axes, strict=True):
        assert_equal(a, b if axis == 0 else b.sum(0))
    for a, b in zip(fg.vmap(fg.grad(f, argnums=(0, 1)), in_axes=in_axes, chunk_size=2)(*args), expected, strict=True):
        assert_equal(a, b)


@settings(max_examples=60)
@given(programs())
def test_vmap_axes(program: Program):
    """Where the batch axis stands, going in and coming out, changes nothing but its place."""
    (x,) = program.args
    xs = np.stack([x, 0.5 * x, -0.3 * x])
    expected = np.stack([program(x) for x in xs])
    for axis in range(np.ndim(x) + 1):
        moved = np.moveaxis(xs, 0, axis)
        assert_equal(fg.vmap(program, in_axes=axis)(moved), expected)
        assert_equal(fg.vmap(program, in_axes=axis - np.ndim(moved))(moved), expected)
    for axis in range(np.ndim(expected)):
        assert_equal(fg.vmap(program, out_axes=axis)(xs), np.moveaxis(expected, 0, axis))
    nested = fg.vmap(fg.vmap(program, in_axes=-1), in_axes=0)(np.stack([np.moveaxis(xs, 0, -1)] * 2))
    assert_equal(nested, np.stack([expected] * 2))


@settings(max_examples=60)
@given(st.data())
def test_chain_rule(data):
    """The Jacobian of g after f is the product of the Jacobians."""
    f = data.draw(programs())
    (x,) = f.args
    y = f(x)
    g = data.draw(programs(shapes=(np.shape(y),)))
    product = np.tensordot(fg.jacrev(g)(y), fg.jacfwd(f)(x), np.ndim(y))
    assert_equal(fg.jacfwd(lambda x: g(f(x)))(x), product)
    assert_equal(fg.jacrev(lambda x: g(f(x)))(x), product)


@settings(max_examples=60)
@given(programs(), st.integers(1, 4))
def test_chunks(program: Program, chunk_size: int):
    """A Jacobian by chunks of any size is the Jacobian."""
    (x,) = program.args
    expected = fg.jacobian(program)(x)
    for route in (fg.jacfwd, fg.jacrev):
        assert_equal(route(program, chunk_size=chunk_size)(x), expected)


@settings(max_examples=60)
@given(programs())
def test_jaxprs(program: Program):
    """Jaxprs of a program and of its derivatives are well formed, print, pickle, and compute what the program does."""
    (x,) = program.args

    def f(x):
        return np.sum(np.sin(program(x)))

    for fun, arg in (
        (program, x),
        (fg.grad(f), x),
        (fg.jacfwd(program), x),
        (fg.hessian(f), x),
        (fg.vmap(fg.grad(f)), np.stack([x, 2.0 * x])),
        (fg.grad(lambda xs: np.sum(fg.vmap(f)(xs))), np.stack([x, 2.0 * x])),
    ):
        closed, out = fg.make_jaxpr(fun, return_shape=True)(arg)
        fg.check_jaxpr(closed)
        expected = fun(arg)
        assert (out.shape, out.dtype) == (np.shape(expected), expected.dtype)
        copied = pickle.loads(pickle.dumps(closed))
        assert str(copied) == str(closed)
        assert_equal(fg.eval_jaxpr(copied, (), arg)[0], expected)
    for linear in (fg.linearize(program, x)[1], fg.linear_transpose(fg.linearize(program, x)[1], x)):
        fg.check_jaxpr(linear.jaxpr)


@settings(max_examples=30)
@given(programs())
def test_recording_changes_nothing(program: Program):
    """A derivative hands out the function's value to the last bit, and leaves the arguments as they were."""
    (x,) = program.args
    before = np.copy(x)
    expected = program(x)
    for value in (fg.jvp(program, (x,), (direction(x),))[0], fg.vjp(program, x)[0], fg.linearize(program, x)[0]):
        np.testing.assert_array_equal(value, expected)
        assert type(value) is type(expected)
    fg.jacrev(program)(x)
    np.testing.assert_array_equal(x, before)

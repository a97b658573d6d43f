"""Laws of control flow: under all transforms it is what the same program with Python's control flow is.

Python loops differentiate by the path taken. Programs are those of ``support.loops`` and random ones, from random
programs of `fungrad.testing` as bodies and from bodies that move memory about.
"""

from __future__ import annotations

import itertools
import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loops import (
    LAX,
    PROGRAMS,
    PYTHON,
    ROUTES,
    WITHOUT_JIT,
    XS,
    A,
    V,
    assert_no_alias,
    assert_same,
    by_examples,
    put,
)

import fungrad as fg
import fungrad.numpy as fnp
from fungrad import tree
from fungrad.testing import check_grads, random_program


def with_lax(name):
    """A program of the table with structured control flow, and its point."""
    program, args = PROGRAMS[name]
    return (lambda *a: program(LAX, *a)), args


def with_python(name):
    """The same with Python's."""
    program, _ = PROGRAMS[name]
    return lambda *a: program(PYTHON, *a)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_route(name):
    """Values and derivatives up to the third by every route are those of the Python loop, in shape and dtype too."""
    f, args = with_lax(name)
    g = with_python(name)
    for route, transform in ROUTES.items():
        if "vmap" not in route:
            expected = ROUTES[WITHOUT_JIT.get(route, route)](g)(*args)
        else:
            expected = by_examples(route, g, args)
        got = transform(f)(*args)
        if expected is not None:
            assert_same(got, expected, 1e-9)
        if route in ("plain", "jit", "vmap", "jit(vmap)") and not name.startswith("cond"):
            assert_no_alias(got, args)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_vjp_of_vmap(name):
    """The cotangents of a batch are the cotangents of the examples."""
    f, args = with_lax(name)
    g = with_python(name)
    batch = [np.stack([x, 0.9 * x]) for x in args]
    out, pull = fg.vjp(fg.vmap(f), *batch)
    cts = tree.map(lambda y: np.cos(1.0 + np.arange(y.size)).reshape(y.shape), out)
    got = pull(cts)
    rows = []
    for k in range(2):
        _, pull_one = fg.vjp(g, *[b[k] for b in batch])
        rows.append(pull_one(tree.map(lambda ct, k=k: ct[k], cts)))
    assert_same(got, tree.map(lambda *r: np.stack(r), *rows), 1e-9)


@pytest.mark.parametrize(
    "name", ["recurrent", "reversed", "while", "fori with updates", "cond in scan", "scan in while"]
)
def test_check_grads(name):
    """Finite differences agree, to second order."""
    f, args = with_lax(name)
    check_grads(f, args, order=2)


@pytest.mark.parametrize(
    "name", ["recurrent", "power", "while", "cond in scan", "scan in scan", "cond in while", "map"]
)
def test_jacobians_and_hessians(name):
    """jacfwd, jacrev and hessian are those of the Python loop, with jit outside and inside."""
    f, args = with_lax(name)

    def total(h):
        return lambda *a: sum([np.sum(np.sin(leaf)) for leaf in tree.leaves(h(*a))])

    g = with_python(name)
    every = tuple(range(len(args)))
    expected = fg.jacrev(g, every)(*args)
    for route in (fg.jacrev(f, every), fg.jacfwd(f, every), fg.jit(fg.jacfwd(f, every)), fg.jacrev(fg.jit(f), every)):
        assert_same(route(*args), expected, 1e-9)
    expected = fg.hessian(total(g))(*args)
    for route in (fg.hessian(total(f)), fg.jit(fg.hessian(total(f))), fg.jacrev(fg.grad(fg.jit(total(f))))):
        assert_same(route(*args), expected, 1e-9)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_jaxprs(name):
    """Jaxprs of programs and of their derivatives are well formed and compute the same, also after pickling."""
    f, args = with_lax(name)

    def pulled(*a):
        out, pull = fg.vjp(f, *a)
        return pull(tree.map(lambda y: np.ones(np.shape(y)), out))

    for g in (f, pulled):
        expected = tree.leaves(g(*args))
        closed = fg.make_jaxpr(g)(*args)
        fg.check_jaxpr(closed)
        again = pickle.loads(pickle.dumps(closed))
        fg.check_jaxpr(again)
        assert str(again) == str(closed)
        for c in (closed, again):
            assert_same(list(fg.eval_jaxpr(c, c.consts, *args)), expected)


BATCHED = {
    "scan": (lambda lax, w, c, x: lax.scan(lambda c, r: (np.tanh(w * c + r), c.sum()), c, x), (A, V, XS)),
    "reversed, results that are constants": (
        lambda lax, w, c, x: lax.scan(lambda c, r: (np.tanh(w * c + r), (c.sum(), w, r)), c, x, reverse=True),
        (A, V, XS),
    ),
    "results that the batch does not reach": (
        lambda lax, w, c: lax.scan(lambda c, r: (c + 1.0, (w, r, c)), c, XS),
        (A, V),
    ),
    "carries": (
        lambda lax, w, c, d: lax.scan(lambda s, r: ((s[0] * w, s[1] + r, s[2] + s[0] * s[1]), s[1]), (c, d, c * d), XS),
        (A, V, V * 2),
    ),
    "while that counts": (
        lambda lax, w, c: lax.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, np.sin(s[1] * w)), (0, c)),
        (A, V),
    ),
    "while with a batched condition": (
        lambda lax, w, c: lax.while_loop(lambda s: s.sum() < 4.0, lambda s: s * s + abs(w) + 0.3, c),
        (A, V),
    ),
    "while with a closure in the condition": (
        lambda lax, w, c: lax.while_loop(lambda s: s[0] < w * 4, lambda s: (s[0] + 1, np.sin(s[1])), (0.0, c)),
        (A, V),
    ),
    "while of scalars": (lambda lax, w, c: lax.while_loop(lambda s: s < w * 4, lambda s: s + 1 + c * c, w), (A, 0.3)),
    "cond": (
        lambda lax, w, c, q: lax.cond(w > 0.3, lambda c, q: (np.sin(c) * w, q), lambda c, q: (c * c, q * w), c, q),
        (A, V, V[::-1].copy()),
    ),
    "cond with closures": (lambda lax, w, c: lax.cond(w > 0.3, lambda: c * w, lambda: c + w), (A, V)),
    "cond that exchanges": (
        lambda lax, w, c, d: lax.cond(w > 0.3, lambda c, d: (c, d), lambda c, d: (d, c), c, d),
        (A, V, V * 2),
    ),
    "map": (lambda lax, w, x: lax.map(lambda r: (r * w, w), x), (A, V)),
    "fori": (lambda lax, w, c: lax.fori_loop(0, 4, lambda i, c: c * w + i, c), (A, V)),
    "cond in while": (
        lambda lax, w, c: lax.while_loop(
            lambda s: s[0] < 4,
            lambda s: (s[0] + 1, lax.cond(s[1].sum() > w, lambda c: np.cos(c) * w, lambda c: c + 1, s[1])),
            (0, c),
        ),
        (A, V),
    ),
    "while in scan": (
        lambda lax, w, c: lax.scan(
            lambda c, x: (lax.while_loop(lambda s: s.sum() < 2 + w, lambda s: s * s + 0.5, c * 0.1), c), c, XS
        ),
        (A, V),
    ),
    "while in cond": (
        lambda lax, w, c: lax.cond(
            w > 0.3,
            lambda c: lax.while_loop(lambda s: s.sum() < 2 + w, lambda s: s * s + 0.5, c * 0.1),
            lambda c: c * w,
            c,
        ),
        (A, V),
    ),
    "while in while": (
        lambda lax, w, c: lax.while_loop(
            lambda s: s[0] < 4,
            lambda s: (
                s[0] + 1 + w * w,
                lax.while_loop(lambda s: s.sum() < 2 + w, lambda s: s * s + 0.5, s[1] * 0.1),
            ),
            (0.0, c),
        ),
        (A, V),
    ),
}


def floats(out):
    """The leaves that have a derivative."""
    return [y for y in tree.leaves(out) if fg.typeof(y).dtype.kind == "f"]


@pytest.mark.parametrize("name", sorted(BATCHED))
def test_each_pattern_of_in_axes(name):
    """vmap over any of the arguments, along the first or the last axis: values, vmap of grad, grad of vmap."""
    program, args = BATCHED[name]
    every = tuple(range(len(args)))

    def gradient(lax):
        return fg.grad(lambda *a: sum([np.sum(np.sin(y)) for y in floats(program(lax, *a))]), every)

    for axes in itertools.product((0, None, -1), repeat=len(args)):
        if set(axes) <= {None} or any(a == -1 and np.ndim(x) == 0 for a, x in zip(axes, args, strict=True)):
            continue
        batch = [
            x if a is None else np.stack([x, 0.5 * np.asarray(x) + 0.1, -0.3 * np.asarray(x)], a)
            for a, x in zip(axes, args, strict=True)
        ]

        def example(k, values, axes=axes, take=np.take):
            return [x if a is None else take(x, k, a) for a, x in zip(axes, values, strict=True)]

        def vmapped(f, axes=axes):
            return fg.vmap(f, in_axes=axes)

        def f(*a):
            return program(LAX, *a)

        def total(*a, vmapped=vmapped):
            return sum([np.sum(np.sin(y)) for y in floats(vmapped(lambda *b: program(LAX, *b))(*a))])

        def total_of_examples(*a, example=example):
            return sum(
                [np.sum(np.sin(y)) for k in range(3) for y in floats(program(PYTHON, *example(k, a, take=fnp.take)))]
            )

        expected = tree.map(lambda *r: np.stack(r), *[program(PYTHON, *example(k, batch)) for k in range(3)])
        assert_same(vmapped(f)(*batch), expected, types=False)
        assert_same(fg.jit(vmapped(f))(*batch), expected, types=False)
        expected = tree.map(lambda *r: np.stack(r), *[gradient(PYTHON)(*example(k, batch)) for k in range(3)])
        assert_same(vmapped(gradient(LAX))(*batch), expected)
        expected = fg.grad(total_of_examples, every)(*batch)
        assert_same(fg.grad(total, every)(*batch), expected)
        assert_same(fg.jit(fg.grad(total, every))(*batch), expected)


def test_nested_batches():
    """vmap of vmap with different axes, of a while loop whose condition both reach; gradients to second order."""
    rng = np.random.default_rng(0)
    c, w = rng.uniform(0.2, 1, (3, 4, 2)), rng.uniform(0.2, 1, 4)

    def f(lax, w, c):
        return lax.while_loop(lambda s: s.sum() < 4.0 * w, lambda s: s * s + w + 0.3, c)

    def first(lax):
        return fg.grad(lambda c, w: np.sum(f(lax, w, c) ** 2), (0, 1))

    def second(lax):
        return fg.grad(lambda c, w: np.sum(first(lax)(c, w)[0] ** 2), (0, 1))

    for make in (first, second):
        both = fg.vmap(fg.vmap(make(LAX)), in_axes=(0, None))
        rows = [[make(PYTHON)(c[i, j], w[j]) for j in range(4)] for i in range(3)]
        expected = tuple(np.stack([np.stack([r[k] for r in row]) for row in rows]) for k in (0, 1))
        assert_same(both(c, w), expected)
        assert_same(fg.jit(both)(c, w), expected)


# Bodies that are random programs


def bodies(inputs=2):
    """Random programs of a carry and of other things, made to return something like the carry."""

    def shape_of(seed):
        program = random_program(random.Random(seed).choice, inputs)

        def body(c, *others):
            out = program(c, *others)
            return np.tanh(out) if np.shape(out) == np.shape(c) else 0.5 * c + np.sin(np.mean(out))

        return program, body

    return st.integers(0, 2**32).map(shape_of)


def control_flow(kind, body, program):
    """A function of the arguments of the body in which it is a body of control flow."""
    _, y = program.args
    rows = np.stack([y, 0.5 * y, -y, y * y])

    def f(lax, c, y):
        if kind == "scan of rows":
            return lax.scan(lambda c, x: ((n := body(c, x * np.mean(y))), n * c), c, rows)
        if kind == "scan with a closure":
            return lax.scan(lambda c, _: ((n := body(c, y)), (c, n)), c, length=3)
        if kind == "reversed":
            return lax.scan(lambda c, x: (body(c, x + y), c), c, rows, reverse=True)
        if kind == "while":
            return lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, body(s[1], y)), (0, c))[1]
        if kind == "fori":
            return lax.fori_loop(0, 3, lambda i, c: body(c, y) * (1 + 0.1 * i), c)
        if kind == "map":
            return lax.map(lambda x: body(c, x * y), rows)
        if kind == "cond in scan":
            return lax.scan(
                lambda c, x: (lax.cond(np.mean(x) > 0.1, lambda c: body(c, y), lambda c: c * np.mean(y), c), c),
                c,
                rows,
            )
        return lax.cond(np.mean(y) > 0, lambda c: body(c, y), lambda c: np.sin(c) * np.mean(y), c)

    return f


KINDS = ("scan of rows", "scan with a closure", "reversed", "while", "fori", "map", "cond in scan", "cond")
WORDS = [r for r in ROUTES if r not in ("vjp(vmap)", "vjp(vjp(vjp))")]


@settings(max_examples=80)
@given(bodies(), st.sampled_from(KINDS), st.lists(st.sampled_from(WORDS), min_size=2, max_size=4, unique=True))
def test_random_bodies(drawn, kind, routes):
    """A random body in any control flow, under words over the transforms, is what it is in a Python loop."""
    program, body = drawn
    f = control_flow(kind, body, program)
    for route in routes:
        if "vmap" in route:
            expected = by_examples(route, lambda *a: f(PYTHON, *a), program.args)
        else:
            expected = ROUTES[WITHOUT_JIT.get(route, route)](lambda *a: f(PYTHON, *a))(*program.args)
        assert_same(ROUTES[route](lambda *a: f(LAX, *a))(*program.args), expected, 1e-8)


# Bodies that move memory about

N_STEPS = (1, 2, 3, 5, 8)


def _shuffled(n):
    kinds = {
        "sin": lambda a, b, k: np.sin(a),
        "add": lambda a, b, k: np.tanh(a + b),
        "mul": lambda a, b, k: np.tanh(a * b),
        "affine": lambda a, b, k: 0.5 * a - 0.25 * b + 1,
        "where": lambda a, b, k: np.where(a > b, a, b),
        "reverse": lambda a, b, k: a[::-1],
        "reshape": lambda a, b, k: a.reshape(2, -1).T.reshape(-1) if n % 2 == 0 else a.reshape(1, -1)[0],
        "roll": lambda a, b, k: np.roll(a, 1),
        "constant": lambda a, b, k: np.cos(np.arange(n)),
        "broadcast": lambda a, b, k: np.broadcast_to(a.sum() * 0.1, (n,)),
        "set": lambda a, b, k: put(a, k, b[0]),
        "set twice": lambda a, b, k: put(put(a, k, b[0]), (k + 1) % n, a[k]),
        "set slice": lambda a, b, k: put(a, slice(1, None), b[:-1]),
        "set all": lambda a, b, k: put(a, slice(None), b),
        "set by array": lambda a, b, k: put(a, np.array([0, k]), b[:2]),
        "add to": lambda a, b, k: put(a, k, b[k], "add"),
    }
    return kinds


def memory_body(rng, n_carry, n):
    """A body of steps of these kinds on carries and a row, and results that are any of the arrays."""
    kinds = _shuffled(n)
    size, steps = n_carry + 1, []
    for _ in range(rng.choice(N_STEPS)):
        steps.append((rng.choice(sorted(kinds)), rng.randrange(size), rng.randrange(size), rng.randrange(n)))
        size += 1
    carried = [
        rng.randrange(size) if rng.random() < 0.3 else size - 1 - rng.randrange(min(size, 3)) for _ in range(n_carry)
    ]
    stacked = [rng.randrange(size) for _ in range(rng.randrange(4))]

    def body(c, x):
        pool = [*c, x]
        for kind, i, j, k in steps:
            pool.append(kinds[kind](pool[i], pool[j], k))
        return tuple(pool[k] for k in carried), tuple(pool[k] for k in stacked)

    return body


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.sampled_from((3, 2, 4, 6, 7, 8, 17, 40, 2000)), st.integers(1, 3), st.booleans())
def test_memory_of_random_loops(seed, n, n_carry, reverse):
    """Swaps, views, updates in place, results that are carries, all at once: right, and nothing is shared."""
    body = memory_body(random.Random(seed), n_carry, n)
    rng = np.random.default_rng(seed)
    init = tuple(rng.normal(size=n) for _ in range(n_carry))
    xs = rng.normal(size=(4, n))
    before = [a.copy() for a in (*init, xs)]

    def by_while(i, x):
        return LAX.while_loop(
            lambda s: s[0] < 4,
            lambda s: (s[0] + 1, body(s[1], fnp.take(x, 3 - s[0] if reverse else s[0], 0))[0]),
            (0, i),
        )[1]

    expected = PYTHON.scan(body, init, xs, reverse=reverse)
    scans = {"scan": lambda i, x: LAX.scan(body, i, x, reverse=reverse), "while": lambda i, x: (by_while(i, x),)}
    for f in scans.values():
        for g in (f, fg.jit(f)):
            got = g(init, xs)
            assert_same(got, expected[: len(got)])
            assert_no_alias(got, init, xs)

    def total(lax):
        return lambda i, x: sum([np.sum(np.sin(y)) for y in tree.leaves(lax.scan(body, i, x, reverse=reverse))])

    if n < 40:
        expected = fg.grad(total(PYTHON), (0, 1))(init, xs)
        assert_same(fg.grad(total(LAX), (0, 1))(init, xs), expected)
        assert_same(fg.jit(fg.grad(total(LAX), (0, 1)))(init, xs), expected)
    assert all(np.array_equal(a, b) for a, b in zip(before, (*init, xs), strict=True))

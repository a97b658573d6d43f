"""Binomial checkpointing: the schedule is the optimal one, derivatives are those without it, memory stays small."""

from __future__ import annotations

import functools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loops import XS, V, W, assert_same, put, py_scan

import fungrad as fg
from fungrad.control.binomial import beta, carries_kept, cut, steps
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.lax import fori_loop, scan, while_loop

KEPT = ["binomial", 1, 2, 5, 1000]


# the schedule


def followed(n, s, block=1):
    """Follow a schedule: the order in which iterations are reversed, how many are run, and the most carries kept."""
    kept, order, run, most = {0}, [], 0, 1
    for what, i, j in steps(n, s, block):
        if what == "run":
            assert i in kept
            assert i < j < n
            assert j not in kept
            run += j - i
            kept.add(j)
            most = max(most, len(kept))
        elif what == "reverse":
            assert i in kept
            assert 0 < j - i <= block
            order += reversed(range(i, j))
        else:
            assert what == "drop"
            kept.remove(i)
    assert kept == {0}
    return order, run, most


@settings(max_examples=60)
@given(st.integers(0, 300), st.integers(1, 12), st.sampled_from([1, 2, 3, 7, 64]))
def test_each_iteration_is_reversed_once(n, s, block):
    """From the last to the first, each from a carry that is kept; no more than s are kept, with the last run."""
    order, _, most = followed(n, s, block)
    assert order == list(range(n))[::-1]
    assert most <= s + 1


@functools.cache
def fewest(n, s):
    """The fewest iterations that are run to reverse n with s carries, the first included, by trying all first cuts."""
    if s == 1:
        return n * (n - 1) // 2
    return min([k + fewest(n - k, s - 1) + fewest(k, s) for k in range(1, n)], default=0)


def runs(n, s):
    """The formula of Griewank and Walther (2000): r n - beta(s + 1, r - 1), with the least r that reverses n."""
    r = 0
    while math.comb(s + r, s) < n:
        r += 1
    return r * n - math.comb(s + r, s + 1)


@pytest.mark.parametrize("s", [1, 2, 3, 4, 7, 12])
def test_the_schedule_is_optimal(s):
    """It runs as few iterations as any schedule that cuts so, and as the formula says."""
    for n in range(1, 61):
        _, run, most = followed(n, s)
        assert run == fewest(n, s) == runs(n, s)
        assert most <= min(s + 1, n)


@pytest.mark.parametrize(("n", "s"), [(1000, 3), (1000, 8), (5000, 10), (4096, 12)])
def test_long_schedules_are_optimal(n, s):
    """So it is for many iterations."""
    assert followed(n, s)[1] == runs(n, s)


def test_how_often_an_iteration_is_run():
    """beta(s, r) iterations are reversed with none run more than r times, and one more is not."""
    for s, r in [(1, 3), (2, 4), (3, 3), (5, 2)]:
        n = math.comb(s + r, r)
        for length, most in ((n, r), (n + 1, r + 1)):
            counts = np.zeros(length, int)
            for what, i, j in steps(length, s, 1):
                if what == "run":
                    counts[i:j] += 1
            assert counts.max() == most


def test_beta():
    """The binomial coefficient (s + r)! / (s! r!), and none for negative arguments."""
    assert [beta(2, r) for r in range(-1, 4)] == [0, 1, 3, 6, 10]
    assert [beta(s, 3) for s in range(-1, 4)] == [0, 1, 4, 10, 20]
    for s in range(1, 8):
        for r in range(1, 8):
            assert beta(s, r) == beta(s - 1, r) + beta(s, r - 1)


@settings(max_examples=60)
@given(st.integers(2, 2000), st.integers(2, 20))
def test_cut(n, s):
    """A cut leaves iterations on both sides, and as few are run with it as with the cuts beside it."""
    k = cut(n, s)
    assert 1 <= k < n
    cost = lambda k: k + runs(n - k, s - 1) + runs(k, s)
    assert cost(k) == runs(n, s)


@pytest.mark.parametrize(("n", "kept"), [(0, 1), (1, 1), (2, 1), (10, 3), (1000, 8), (10**5, 13), (10**6, 16)])
def test_carries_kept(n, kept):
    """About 0.8 log2(n) of them, or as many as were asked for."""
    assert carries_kept(n, "binomial") == kept
    assert carries_kept(n, 5) == 5


def test_repetition():
    """With them iterations are run a few times each: less than log2(n)."""
    for n in (100, 1000, 10**4):
        assert followed(n, carries_kept(n, "binomial"))[1] < n * math.log2(n)


# derivatives


def recurrent(c, x):
    """Everything at once: two carries, ys, a closure."""
    a, b = c
    h = np.tanh(W @ a + x * b)
    return (h, b * np.cos(a[0]) + 0.1), (h * x, b)


def total(outs):
    """A number of all float leaves."""
    return sum([np.sum(np.sin(x) * 1.5) for x in fg.tree.leaves(outs) if fg.typeof(x).dtype.kind in "fc"])


def loop(checkpoint, f=recurrent, **kw):
    """A scan of a first carry, rows and the weights, reduced to a number."""

    def run(a, xs, w):
        step = lambda c, x: f(c, x * w)
        return total(scan(step, (a, 1.5), xs, checkpoint=checkpoint, **kw))

    return run


LONG = np.cos(np.arange(111.0)).reshape(37, 3)


@pytest.mark.parametrize("checkpoint", KEPT)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 37])
def test_scan(checkpoint, reverse, length):
    """The cotangents of the first carry, of the rows and of constants, with ys that are read and that are not."""
    args = (V, LONG[:length], 0.7)
    for f in (recurrent, lambda c, x: (recurrent(c, x)[0], None)):
        expected = fg.grad(loop(None, f, reverse=reverse), (0, 1, 2))(*args)
        got = fg.grad(loop(checkpoint, f, reverse=reverse), (0, 1, 2))(*args)
        assert_same(got, expected, 1e-12)
        assert loop(checkpoint, f, reverse=reverse)(*args) == loop(None, f, reverse=reverse)(*args)


@pytest.mark.parametrize("reverse", [False, True])
def test_against_python(reverse):
    """The derivatives of the Python loop, which knows nothing of carries."""

    def python(a, xs, w):
        return total(py_scan(lambda c, x: recurrent(c, x * w), (a, 1.5), xs, reverse=reverse))

    args = (V, LONG, 0.7)
    got = fg.grad(loop(3, reverse=reverse), (0, 1, 2))(*args)
    assert_same(got, fg.grad(python, (0, 1, 2))(*args), 1e-10)


def test_parts_of_the_derivative():
    """Of each argument alone: the others are known, and a carry without a tangent becomes one that has it."""
    for k in range(3):
        args = (V, LONG[:9], 0.7)
        assert_same(fg.grad(loop(2), k)(*args), fg.grad(loop(None), k)(*args), 1e-12)


@pytest.mark.parametrize("checkpoint", KEPT)
def test_cotangents_of_some_ys(checkpoint):
    """Pull-backs with given cotangents, also where some ys or carries are not read at all."""
    run = lambda c: lambda a, xs: scan(recurrent, (a, 1.5), xs, checkpoint=c)
    for pick in (
        lambda o: o[0][0],
        lambda o: o[0][1],
        lambda o: o[1][0],
        lambda o: o[1][1][3:],
        lambda o: (o[0][1], o[1][0][::2]),
    ):
        pulls = [fg.vjp(lambda a, xs, c=c, p=pick: p(run(c)(a, xs)), V, LONG[:11]) for c in (checkpoint, None)]
        ct = fg.tree.map(lambda y: np.cos(np.arange(np.size(y))).reshape(np.shape(y)), pulls[0][0])
        assert_same(pulls[0][1](ct), pulls[1][1](ct), 1e-12)


BODIES = {
    "integer carry": (
        lambda c, x: ((np.sin(c[0]) * x + c[1] * 0.1, c[1] + 1), c[1]),
        lambda a: (a, 0),
    ),
    "truth values": (
        lambda c, x: ((np.where(c[1], np.sin(c[0]), c[0] * x), c[0] > x), c[0] * 2.0),
        lambda a: (a, a > 0),
    ),
    "places": (
        lambda c, x: ((put(c[0], c[1] % 3, x[0] * c[0][1]), c[1] + 1), c[0].sum()),
        lambda a: (a * 1.0, 0),
    ),
    "complex": (lambda c, x: (c * np.exp(1j * x) * 0.9, np.abs(c)), lambda a: a + 0.5j),
    "single precision": (
        lambda c, x: (np.sin(c) * np.float32(0.7) + x.astype("f"), c),
        lambda a: a.astype("f"),
    ),
    "sum": (lambda c, x: ((c[0] + np.sin(c[1]), np.tanh(c[1] * x)), None), lambda a: (a, a * 2.0)),
    "swap": (lambda c, x: ((c[1] * x, c[0]), c[0]), lambda a: (a, a * 2.0)),
    "linear": (lambda c, x: (W @ c + x, c), lambda a: a),
    "only the rows": (lambda c, x: (c, np.sin(x * c)), lambda a: a),
    "a scan in it": (
        lambda c, x: (scan(lambda d, y: (np.tanh(d * y + x), None), c, x, checkpoint=1)[0], c.sum()),
        lambda a: a,
    ),
    "a loop in it": (
        lambda c, x: (while_loop(lambda d: d[0] < 2.0, lambda d: np.abs(d) * 1.5 + x * x + 0.1, c * 0.1), c.sum()),
        lambda a: a,
    ),
    "a branch in it": (
        lambda c, x: (fg.lax.cond(x[0] > 0, np.sin, lambda c: c * c, c), fg.lax.cond(x[1] > 0, np.sum, np.prod, c)),
        lambda a: a,
    ),
}


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("transform", ["grad", "jit", "vmap", "jvp", "hessian", "grad of grad"])
def test_bodies(name, transform):
    """Carries of all types, sums, rows alone, nested loops; under every transform what it is without checkpoints."""
    body, init = BODIES[name]

    def make(checkpoint):
        f = lambda a, xs: total(
            fg.tree.map(
                lambda x: np.abs(x) if fg.typeof(x).dtype.kind == "c" else x,
                scan(body, init(a), xs, checkpoint=checkpoint),
            )
        )
        g = fg.grad(f, (0, 1))
        return {
            "grad": g,
            "jit": fg.jit(g),
            "vmap": lambda a, xs: fg.vmap(g)(np.stack([a, a * 0.5]), np.stack([xs, xs + 0.2])),
            "jvp": lambda a, xs: fg.jvp(g, (a, xs), (np.cos(a), np.sin(xs)))[1],
            "hessian": lambda a, xs: fg.hessian(f)(a, xs),
            "grad of grad": lambda a, xs: fg.grad(lambda a, xs: total(g(a, xs)), (0, 1))(a, xs),
        }[transform]

    args = (V, XS)
    expected = make(None)(*args)
    for checkpoint in ("binomial", 1, 2):
        assert_same(make(checkpoint)(*args), expected, 1e-5 if name == "single precision" else 1e-10)


@pytest.mark.parametrize("checkpoint", KEPT)
@pytest.mark.parametrize(
    "transform",
    [
        "vmap of grad",
        "grad of vmap",
        "jit of vmap of grad",
        "jacfwd",
        "jacrev",
        "jacfwd of jacrev",
        "jacrev of jacfwd",
        "jacrev of jacrev",
    ],
)
def test_transforms(checkpoint, transform):
    """Batches of the first carry, of the rows, of both; Jacobians, and those of second order."""

    def make(c):
        f = loop(c)
        vector = lambda a: scan(recurrent, (a, 1.5), XS * 0.5, checkpoint=c)[0][0]
        stack = lambda x: np.stack([x, x * 0.9, x + 0.1])
        batch = lambda g, axes: (
            lambda a: fg.vmap(g, axes)(*[x if n is None else stack(x) for x, n in zip((a, XS, 0.7), axes, strict=True)])
        )
        every = [(0, 0, 0), (0, None, None), (None, 0, None), (None, None, 0)]
        grad = fg.grad(f, (0, 1, 2))
        return {
            "vmap of grad": lambda a: [batch(grad, axes)(a) for axes in every],
            "jit of vmap of grad": lambda a: [fg.jit(batch(grad, axes))(a) for axes in every],
            "grad of vmap": lambda a: [fg.grad(lambda a, x=x: batch(f, x)(a).sum())(a) for x in every],
            "jacfwd": fg.jacfwd(vector),
            "jacrev": fg.jacrev(vector),
            "jacfwd of jacrev": fg.jacfwd(fg.jacrev(vector)),
            "jacrev of jacfwd": fg.jacrev(fg.jacfwd(vector)),
            "jacrev of jacrev": fg.jacrev(fg.jacrev(vector)),
        }[transform]

    assert_same(make(checkpoint)(V), make(None)(V), 1e-11)


def counted(checkpoint):
    """Loops of the two other kinds, of a first carry and a factor."""
    return {
        "fori": lambda a, w: fori_loop(2, 19, lambda i, c: np.sin(c * w) + i * 0.1, a, checkpoint=checkpoint),
        "fori backwards of nothing": lambda a, w: fori_loop(5, 5, lambda i, c: np.sin(c * w), a, checkpoint=checkpoint),
        "fori of a tree": lambda a, w: fori_loop(
            0, 7, lambda i, c: {"p": np.cos(c["q"]) * w, "q": c["p"] + i, "n": c["n"] + 1},
            {"p": a, "q": a * 2, "n": 0}, checkpoint=checkpoint,
        ),
        "while": lambda a, w: while_loop(
            lambda s: s[0] < 23, lambda s: (s[0] + 1, np.sin(s[1] * w) + s[0] * 0.1), (0, a), checkpoint=checkpoint
        ),
        "while of a float": lambda a, w: while_loop(
            lambda s: s.sum() < 40.0, lambda s: s * (1.0 + w * 0.1) + np.cos(s) + 1.2, np.abs(a), checkpoint=checkpoint
        ),
        "while never": lambda a, w: while_loop(lambda s: s.sum() > 1e9, lambda s: s * w, a, checkpoint=checkpoint),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(counted(None)))
@pytest.mark.parametrize("checkpoint", KEPT)
def test_other_loops(name, checkpoint):
    """fori_loop and while_loop: gradients, under jit and vmap, and of second order."""

    def make(c):
        f = lambda a, w: total(counted(c)[name](a, w))
        g = fg.grad(f, (0, 1))
        return [
            g,
            fg.jit(g),
            lambda a, w: fg.vmap(g)(np.stack([a, a * 0.5]), np.stack([w, w * 0.8])),
            fg.hessian(f),
            fg.grad(lambda a, w: total(g(a, w)), (0, 1)),
            fg.jacfwd(g),
        ]

    for with_it, without in zip(make(checkpoint), make(None), strict=True):
        assert_same(with_it(V, 0.9), without(V, 0.9), 1e-9)


def test_a_computed_number_of_iterations():
    """A bound that is an argument: the loop has run before it is reversed."""

    def f(a, n, checkpoint):
        return fori_loop(0, n, lambda i, c: np.sin(c) * 1.1, a, checkpoint=checkpoint).sum()

    for n in (0, 1, 2, 30):
        for run in (fg.grad(f), fg.jit(fg.grad(f), static_argnums=2)):
            assert_same(run(V, n, 3), fg.grad(f)(V, n, None), 1e-12)


def test_numbers_are_those_without():
    """Running a part again gives the very same carries, so that nothing differs but the order of sums."""
    f = lambda c: fg.grad(lambda a: scan(lambda s, x: (np.sin(s) * 1.7 + x, None), a, LONG, checkpoint=c)[0].sum())(V)
    np.testing.assert_array_equal(f("binomial"), f(None))
    np.testing.assert_array_equal(f(1), f(None))


# memory


def peak(n, checkpoint, size=10_000):
    """The most memory that a gradient takes through n steps of a state of so many doubles, in states."""
    step = lambda c, x: (np.sin(c) * 1.01 + x, None)
    run = lambda a, n: fg.grad(lambda a: scan(step, a, np.zeros(n), checkpoint=checkpoint)[0].sum())(a)
    a = np.linspace(0.1, 0.9, size)
    run(a, 10)  # compiles the body
    tracemalloc.start()
    try:
        run(a, n)
        return (tracemalloc.get_traced_memory()[1] - 8 * n) / (8 * size)
    finally:
        tracemalloc.stop()


def test_memory():
    """A long loop takes the memory of few states."""
    assert peak(5_000, "binomial", 4000) < 40
    assert peak(300, 3) < 20


@pytest.mark.slow
@pytest.mark.parametrize("n", [10_000, 100_000])
def test_memory_of_many_steps(n):
    """So does one of 1e5 steps, which would take 8 GB."""
    assert peak(n, "binomial", 10_000 if n < 100_000 else 2000) < 40


def test_memory_without_grows():
    """Without checkpoints each iteration keeps something; with them twice as many keep nothing more."""
    small, large = peak(100, None), peak(200, None)
    assert small > 90
    assert large > 1.8 * small
    small, large = peak(100, 4), peak(200, 4)
    assert large < small + 3


def test_memory_of_while_loops():
    """Neither does a loop whose length is computed."""
    size = 10_000

    def run(a, checkpoint):
        go_on = lambda s: s[0] < 300
        step = lambda s: (s[0] + 1, np.sin(s[1]) * 1.01)
        return fg.grad(lambda a: while_loop(go_on, step, (0, a), checkpoint=checkpoint)[1].sum())(a)

    peaks = {}
    for checkpoint in (None, "binomial", 4):
        run(np.ones(5), checkpoint)
        tracemalloc.start()
        try:
            run(np.linspace(0.1, 0.9, size), checkpoint)
            peaks[checkpoint] = tracemalloc.get_traced_memory()[1] / (8 * size)
        finally:
            tracemalloc.stop()
    assert peaks[None] > 250
    assert peaks["binomial"] < 40
    assert peaks[4] < 30


# errors


@pytest.mark.parametrize("name", ["scan", "fori_loop", "while_loop"])
@pytest.mark.parametrize(
    ("checkpoint", "error", "text"),
    [
        (
            "binary",
            TransformTypeError,
            'checkpoint must be None, "binomial" or a number of carries to keep, got \'bina',
        ),
        (True, TransformTypeError, "got True"),
        (2.0, TransformTypeError, "got 2.0"),
        ([1], TransformTypeError, "got \\[1\\]"),
        (0, TransformValueError, "checkpoint must be at least 1, got 0"),
        (-3, TransformValueError, "checkpoint must be at least 1, got -3"),
    ],
)
def test_errors(name, checkpoint, error, text):
    """What is no number of carries is an error that says so, when the loop is called."""
    call = {
        "scan": lambda: scan(lambda c, x: (c, None), 1.0, length=3, checkpoint=checkpoint),
        "fori_loop": lambda: fori_loop(0, 3, lambda i, c: c, 1.0, checkpoint=checkpoint),
        "while_loop": lambda: while_loop(lambda c: c < 1.0, lambda c: c + 1.0, 0.0, checkpoint=checkpoint),
    }[name]
    with pytest.raises(error, match=f"fungrad.lax.{name}: .*{text}"):
        call()

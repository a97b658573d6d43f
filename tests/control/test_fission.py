"""What leaves a loop: computed for all rows at once before or after it, with the results of a Python loop."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.loops import ROUTES, assert_same

import fungrad as fg
from fungrad.control import fission
from fungrad.control.call import Program
from fungrad.lax import scan
from fungrad.passes.scalars import LONGEST

N = LONGEST + 3
W = np.linspace(-1, 1, N * N).reshape(N, N) / N
V = np.linspace(-0.5, 0.7, N)
XS = np.cos(np.arange(5.0 * N)).reshape(5, N)


def python(f, init, xs, reverse=False):
    """The loop in Python."""
    c, ys = init, []
    length = len(fg.tree.leaves(xs)[0])
    for k in reversed(range(length)) if reverse else range(length):
        c, y = f(c, fg.tree.map(lambda x, k=k: x[k], xs))
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return c, fg.tree.map(lambda *rows: np.stack(rows), *ys)


def program(f, *args):
    """What a function becomes before it is compiled."""
    closed = Program(fg.make_jaxpr(f)(*args), "f").optimized()
    fg.check_jaxpr(closed)
    return closed


def names(closed):
    """The primitives of the equations."""
    return [e.primitive.name for e in closed.eqns]


def parts(f, init, xs=XS, **kw):
    """The primitives before the loop, in it and after it, views left out; the results are those of a Python loop."""
    assert_same(scan(f, init, xs, **kw), python(f, init, xs, **kw), 1e-12, types=False)
    closed = program(lambda init, xs: scan(f, init, xs, **kw), init, xs)
    around = [
        e for e in closed.eqns if e.primitive.name not in ("reshape", "slice", "transpose", "broadcast_to", "unslice")
    ]
    loops = [k for k, e in enumerate(around) if e.primitive is fission.loop_p]
    assert len(loops) <= 1
    if not loops:
        return [e.primitive.name for e in around], None, []
    k = loops[0]
    inside = names(around[k].params["body"].closed)
    before, after = around[:k], around[k + 1 :]
    return [e.primitive.name for e in before], inside, [e.primitive.name for e in after]


GOLDEN = {
    "a row": (lambda c, x: (np.tanh(W @ c + np.sin(x)), None), ["sin"], ["contract", "add", "tanh"], []),
    "a product of a row": (
        lambda c, x: (np.tanh(W @ c + 2 * W.T @ x), None),
        ["contract"],
        ["contract", "add", "tanh"],
        [],
    ),
    "after the carry": (
        lambda c, x: ((d := np.tanh(W @ c)), np.sin(d)),
        [],
        ["contract", "tanh"],
        ["sin"],
    ),
    "of the old carry": (
        lambda c, x: (np.tanh(W @ c), np.sin(c)),
        [],
        ["contract", "tanh"],
        ["concatenate", "sin"],
    ),
    "of the old carry and a row": (
        lambda c, x: (np.tanh(W @ c), np.sin(c) * np.cos(x)),
        ["cos"],
        ["contract", "tanh"],
        ["concatenate", "sin", "mul"],
    ),
    "of what is between": (
        lambda c, x: (np.tanh(d := W @ c), np.sin(d)),
        [],
        ["contract", "tanh"],
        ["sin"],
    ),
    "of two rows": (lambda c, x: (np.tanh(c), np.sin(x) * x), ["sin", "mul"], ["tanh"], []),
    "an element of a row": (lambda c, x: (np.tanh(c + V * x[0]), None), [], ["slice", "mul", "add", "tanh"], []),
    "constant and row": (lambda c, x: (np.tanh(c * V + V + x), None), ["add"], ["mul", "add", "tanh"], []),
    "terms together": (
        lambda c, x: (np.tanh(W @ c + x + np.sin(x)), None),
        ["sin", "add"],
        ["contract", "add", "tanh"],
        [],
    ),
    "only a sum": (lambda c, x: (c + np.sin(x), None), ["sin", "sum", "add"], None, []),
    "a sum and two terms": (lambda c, x: (c + x + np.sin(x), None), ["sin", "add", "sum", "add"], None, []),
    "a sum that is read": (
        lambda c, x: (c + np.sin(x), c * x),
        ["sin"],
        ["add"],
        ["concatenate", "mul"],
    ),
    "a sum that is returned": (lambda c, x: ((d := c + np.sin(x)), d), ["sin"], ["add"], []),
    "a sum of itself": (lambda c, x: (c + np.sin(c), None), [], ["sin", "add"], []),
    "a sum of a constant": (lambda c, x: (c + V, None), ["mul", "add"], None, []),
    "a difference": (lambda c, x: (c - np.sin(x), None), ["sin"], ["sub"], []),
    "rows alone": (lambda c, x: (c, np.sin(x)), ["sin"], ["nothing"], []),
}


@pytest.mark.parametrize("name", [n for n in GOLDEN if n != "rows alone"])
@pytest.mark.parametrize("reverse", [False, True])
def test_golden(name, reverse):
    """Which equations stand before the loop, in it, and after it."""
    f, *expected = GOLDEN[name]
    assert list(parts(f, V, reverse=reverse)) == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_without_a_carry_there_is_no_work_in_the_loop(reverse):
    """What rows give alone is computed of all of them."""
    before, inside, after = parts(lambda c, x: (c, np.sin(x)), V, reverse=reverse)
    assert before + after == ["sin"]
    assert not inside


def test_sums_become_one_product():
    """A sum of outer products is one product of matrices, and none of the outer products is made."""
    f = lambda s, x: ((np.tanh(W @ s[0] + x), s[1] + np.outer(s[0], x)), None)
    before, inside, after = parts(f, (V, np.zeros((N, N))))
    assert inside == ["contract", "add", "tanh"]
    assert after == ["concatenate", "contract", "add"]
    assert before == []


def test_the_gradient_of_weights_is_one_product():
    """The cotangents of a weight that all iterations read are not added up one by one."""
    loss = lambda w, xs: np.sum(scan(lambda c, x: (np.tanh(w @ c + x), None), V, xs)[0] ** 2)
    closed = program(fg.grad(loss), W, XS)
    loops = [e.params["body"].closed for e in closed.eqns if e.primitive is fission.loop_p]
    assert len(loops) == 2
    assert names(loops[1]) == ["mul", "contract"]
    assert max(v.aval.size for body in loops for v in body.jaxpr.outvars) == N
    contracts = [e for e in closed.eqns if e.primitive.name == "contract"]
    assert [e.outputs[0].aval.shape for e in contracts] == [(N, N)]


def test_sums_that_are_no_sums():
    """A carry to which something is added that comes of itself, through another carry, is none."""
    f = lambda s, x: ((s[0] + s[1], np.sin(s[0]) * x), None)
    _, inside, _ = parts(f, (V, V * 2))
    assert sorted(inside) == ["add", "mul", "sin"]
    g = lambda s, x: ((s[0] + s[1], np.tanh(W @ s[1])), None)
    _, inside, after = parts(g, (V, V * 2))
    assert inside == ["contract", "tanh"]
    assert after == ["concatenate", "sum", "add"]
    h = lambda s, x: ((s[0] + x, s[1] + s[0]), None)  # the sum of sums reads the sums
    _, inside, _ = parts(h, (V, V * 2))
    assert inside == ["add"]


def test_a_sum_of_what_the_loop_computes_anyway():
    """It is added up in the loop: to stack it would take memory for nothing."""
    f = lambda s, x: (((d := np.tanh(W @ s[0] + x)), s[1] + d), None)
    assert parts(f, (V, V)) == ([], ["contract", "add", "tanh", "add"], [])


def test_ys_that_do_not_change():
    """Constants, numbers and carries that stay are repeated in each row of the ys."""
    f = lambda s, x: ((np.tanh(W @ s[0] + np.sin(x)), s[1]), (V, 2.0, s[1], np.sin(s[1]), np.ones(N), 3))
    for reverse in (False, True):
        assert_same(scan(f, (V, V * 2), XS, reverse=reverse), python(f, (V, V * 2), XS, reverse), 1e-12)


def test_a_sum_that_broadcasts():
    """What is added may be smaller than the carry, or of another type: then it stays."""
    assert parts(lambda c, x: (c + x, None), np.stack([V, V]))[1] == ["add"]
    _, inside, _ = parts(lambda c, x: (c + x[0], None), V)
    assert inside == ["slice", "add"]
    small = XS.astype("f")
    _, inside, _ = parts(lambda c, x: (c + x, None), V, small)
    assert inside == ["add"]


INTEGERS = {
    "ints": (np.arange(N), np.arange(3 * N).reshape(3, N)),
    "int8 wraps around": (np.full(N, 100, np.int8), np.full((3, N), 100, np.int8)),
    "uint8 wraps around": (np.full(N, 200, np.uint8), np.full((3, N), 100, np.uint8)),
    "truth values": (np.zeros(N, bool), np.arange(3 * N).reshape(3, N) % 4 == 0),
    "int64 wraps around": (np.full(N, 2**62), np.full((3, N), 2**62)),
    "single precision": (V.astype("f"), XS.astype("f")),
    "complex": (V * 1j, XS + 2j),
    "complex64": ((V * 1j).astype("F"), (XS + 2j).astype("F")),
}


@pytest.mark.parametrize("name", list(INTEGERS))
@pytest.mark.parametrize("reverse", [False, True])
def test_sums_of_other_types(name, reverse):
    """A carry that adds up has the type that it had, and wraps around as it did; so has a loop around it."""
    init, xs = INTEGERS[name]
    f = lambda c, x: (c + x, None)
    got, expected = scan(f, init, xs, reverse=reverse), python(f, init, xs, reverse)
    assert got[0].dtype == expected[0].dtype == init.dtype
    assert_same(got, expected)
    g = lambda c, x: ((c[0] + x, c[1] + x * c[2], c[2] * x), (c[2] * x, c[1] + x))
    init3 = (init, init, init)
    for reverse_again in (False, True):
        assert_same(scan(g, init3, xs, reverse=reverse_again), python(g, init3, xs, reverse_again), 1e-6)


@pytest.mark.parametrize("name", list(GOLDEN))
@pytest.mark.parametrize("length", [0, 1, 2])
@pytest.mark.parametrize("reverse", [False, True])
def test_short_loops(name, length, reverse):
    """No iteration, one and two: what was shifted has the first carry in it."""
    f, xs = GOLDEN[name][0], XS[:length]
    got = scan(f, V, xs, reverse=reverse)
    if length:
        assert_same(got, python(f, V, xs, reverse), 1e-12, types=False)
    else:
        np.testing.assert_array_equal(got[0], V)
        assert all(y.shape == (0, N) for y in fg.tree.leaves(got[1]))


def test_swapped_and_constant_carries_that_are_read():
    """Old carries that a row needs are stacked where their successors are not computed in the loop."""
    bodies = [
        lambda s, x: ((s[1], s[0]), np.sin(s[0])),
        lambda s, x: ((s[1], x), np.sin(s[0]) + np.cos(s[1])),
        lambda s, x: ((V, s[0]), np.sin(s[0]) * s[1]),
        lambda s, x: ((s[0], np.tanh(W @ s[1])), np.sin(s[0]) * s[1]),
        lambda s, x: ((x[::-1], s[0] * x), np.sin(s[1]) * s[0]),
        lambda s, x: ((np.sin(x), s[0] + x), np.exp(s[0])),
    ]
    for f in bodies:
        for reverse in (False, True):
            assert_same(
                scan(f, (V, V * 2), XS, reverse=reverse), python(f, (V, V * 2), XS, reverse), 1e-12, types=False
            )


def test_short_rows_stay():
    """Vectors that compiled code takes apart into numbers are not worth moving."""
    xs = XS[:, :LONGEST]
    _, inside, after = parts(lambda c, x: (np.tanh(c + np.sin(x)), np.cos(c)), xs[0], xs)
    assert sorted(inside) == ["add", "cos", "sin", "tanh"]
    assert after == []


def test_large_rows_stay():
    """Equations that take long for one row stay in the loop; a product goes all the same."""
    n = 400
    xs = np.linspace(0, 1, 2 * n * n).reshape(2, n, n)
    f = lambda c, x: (c * 0.5 + np.exp(np.sin(x)), None)
    closed = program(lambda c, xs: scan(f, c, xs), xs[0], xs)
    (loop,) = [e for e in closed.eqns if e.primitive is fission.loop_p]
    assert names(closed) == ["loop"]
    assert names(loop.params["body"].closed) == ["mul", "sin", "exp", "add"]
    w, v = np.ones((n, n)), np.eye(n)
    g = lambda c, x: (np.tanh(w @ c + v @ x), None)
    closed = program(lambda c, xs: scan(g, c, xs), xs[0, 0], xs[:, 0])
    (loop,) = [e for e in closed.eqns if e.primitive is fission.loop_p]
    assert names(loop.params["body"].closed).count("contract") == 1
    assert names(closed).count("contract") == 1


def test_most(monkeypatch):
    """If what would be kept of all rows is more than MOST, all stays in the loop."""
    f = lambda c, x: (np.tanh(W @ c + np.sin(x)), None)
    row = N * 8
    for most, moved in ((5 * row, True), (5 * row - 1, False)):
        monkeypatch.setattr(fission, "MOST", most)
        fg.clear_caches()  # the same body was divided already
        before, inside, _ = parts(lambda c, x, f=f: f(c, x), V)
        assert ("sin" in before) is moved
        assert ("sin" in inside) is not moved


def test_what_a_sum_adds_does_not_count(monkeypatch):
    """A product that is summed up is never made for each row, so that it is no reason to stay."""
    monkeypatch.setattr(fission, "MOST", 5 * N * 8)
    f = lambda s, x: ((np.tanh(W @ s[0] + x), s[1] + np.outer(s[0], x)), None)
    _, inside, after = parts(f, (V, np.zeros((N, N))))
    assert inside == ["contract", "add", "tanh"]
    assert "contract" in after


def test_memory_is_bounded():
    """A loop that would keep more takes the memory of its rows, not of all iterations."""
    n, length = 1000, fission.MOST // 8000 // 2
    f = lambda c, x: ((c + np.sin(V[0] + c * x) * np.cos(x * c)) * 0.5, None)  # three values of each row, none kept
    xs = np.linspace(0, 1, length)
    run = fg.jit(lambda c: scan(f, c, xs)[0])
    run(np.zeros(n))
    tracemalloc.start()
    try:
        run(np.zeros(n))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("route", ["vjp", "jvp", "jit(vjp)", "vmap", "vmap(vjp)", "vjp(vjp)", "jvp(vjp)"])
def test_derivatives(route):
    """Of all kinds of equations at once: those of the Python loop."""

    def body(w, b):
        def f(s, x):
            c, total, outer = s
            h = np.tanh(w @ c + np.sin(x) + b)
            return (h, total + h * np.cos(x), outer + np.outer(c, x)), (np.exp(-h * c), np.sin(w @ x))

        return f

    def by(loop, reverse):
        def run(w, b, xs):
            init = (b, b * 2.0, w * 0.5)
            return loop(body(w, b), init, xs, reverse=reverse)

        return run

    for reverse in (False, True):
        args = (W, V, XS[:3])
        if "vmap" in route:
            inner = {"vmap": "plain", "vmap(vjp)": "vjp"}[route]
            rows = [ROUTES[inner](by(python, reverse))(*[x * s for x in args]) for s in (1, 0.9)]
            expected = fg.tree.map(lambda *r: np.stack(r), *rows)
        else:
            expected = ROUTES[route.replace("jit(vjp)", "vjp")](by(python, reverse))(*args)
        assert_same(ROUTES[route](by(scan, reverse))(*args), expected, 1e-10)


STEPS = (
    "np.sin({a})", "np.tanh({a} + {b})", "{a} * {b}", "{a} - {b}", "W @ {a}", "{a} + {b}", "{a}[::-1]",
    "np.where({a} > 0, {b}, 0.5)",
    "{a} / (2.0 + {b} * {b})", "{a}.sum() * {b}", "V + {a}", "np.cumsum({a}) * 0.1",
)  # fmt: skip


@settings(max_examples=60)
@given(st.data())
def test_random_bodies(data):
    """Random bodies of two carries, some of which add up: values and gradients are those of the Python loop."""
    known = ["c", "d", "x", "y"]
    lines = []
    for k in range(data.draw(st.integers(1, 6))):
        draw = lambda: data.draw(st.sampled_from(known))
        lines.append(f"v{k} = np.tanh({data.draw(st.sampled_from(STEPS)).format(a=draw(), b=draw())})")
        known.append(f"v{k}")
    draw = lambda: data.draw(st.sampled_from(known))
    carries = [data.draw(st.sampled_from([f"{old} + {draw()}", draw()])) for old in ("c", "d")]
    text = "\n    ".join(["def f(s, r):", "c, d = s", "x, y = r", *lines, f"return ({', '.join(carries)}), {draw()}"])
    namespace = {"np": np, "W": W, "V": V}
    exec(text, namespace)
    f, reverse = namespace["f"], data.draw(st.booleans())
    xs = XS[: data.draw(st.integers(1, 3))]

    def by(loop):
        return lambda v, xs: loop(f, (v, v * 0.5), (xs, xs * xs), reverse=reverse)

    assert_same(by(scan)(V, xs), by(python)(V, xs), 1e-11)
    total = lambda loop: lambda v, xs: sum([np.sum(np.sin(leaf)) for leaf in fg.tree.leaves(by(loop)(v, xs))])
    assert_same(fg.grad(total(scan), (0, 1))(V, xs), fg.grad(total(python), (0, 1))(V, xs), 1e-10)

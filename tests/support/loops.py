"""Structured control flow written with Python's: what `scan`, `while_loop`, ... must agree with, and bodies to run.

Python loops differentiate by the path taken, so they are the oracle for derivatives as well.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

import fungrad as fg
import fungrad.numpy as fnp
from fungrad import tree
from fungrad.control.cond import cond
from fungrad.control.fori_loop import fori_loop
from fungrad.control.map import map as lax_map
from fungrad.control.scan import scan
from fungrad.control.while_loop import while_loop


def py_scan(f, init, xs=None, length=None, reverse=False):
    """The loop of `scan`."""
    leaves, treedef = tree.flatten(xs)
    n = len(leaves[0]) if leaves else length
    carry, ys = init, []
    for k in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, treedef.unflatten([x[k] for x in leaves]))
        ys.append(y)
    if reverse:
        ys = ys[::-1]
    return carry, tree.map(lambda *rows: np.stack(rows), *ys) if ys else None


def py_while(cond_fun, body_fun, init):
    """The loop of `while_loop`."""
    carry = init
    while cond_fun(carry):
        carry = body_fun(carry)
    return carry


def py_fori(lower, upper, body_fun, init):
    """The loop of `fori_loop`."""
    carry = init
    for i in range(int(lower), int(upper)):
        carry = body_fun(i, carry)
    return carry


def py_cond(pred, true_fun, false_fun, *operands):
    """The choice of `cond`."""
    return true_fun(*operands) if pred else false_fun(*operands)


def py_map(f, xs):
    """The loop of `map`."""
    return py_scan(lambda c, x: (c, f(x)), (), xs)[1]


LAX = SimpleNamespace(scan=scan, while_loop=while_loop, fori_loop=fori_loop, cond=cond, map=lax_map)
"""Structured control flow."""

PYTHON = SimpleNamespace(scan=py_scan, while_loop=py_while, fori_loop=py_fori, cond=py_cond, map=py_map)
"""The same by Python's."""


def put(x, key, value, op="set"):
    """``x.at[key].set(value)``, of plain arrays as well."""
    return getattr((x if hasattr(x, "at") else fnp.array(x)).at[key], op)(value)


def assert_same(got, expected, tolerance=1e-10, types=True):
    """Two pytrees of one structure whose leaves have one shape and dtype and are equal up to rounding."""
    assert tree.structure(got) == tree.structure(expected)
    for (path, a), b in zip(tree.leaves_with_path(got), tree.leaves(expected), strict=True):
        where = tree.keystr(path)
        assert np.shape(a) == np.shape(b), (where, np.shape(a), np.shape(b))
        if types:
            assert np.asarray(a).dtype == np.asarray(b).dtype, (where, np.asarray(a).dtype, np.asarray(b).dtype)
        scale = max(1.0, float(np.max(np.abs(np.where(np.isfinite(b), b, 0)), initial=0)))
        eps = 1e-4 if np.asarray(b).dtype in (np.float32, np.complex64) else tolerance
        np.testing.assert_allclose(a, b, rtol=0, atol=eps * scale, err_msg=where)


def assert_no_alias(results, *arguments):
    """No two results share memory, nor one with an argument; all can be written to."""
    arrays = [x for x in tree.leaves(results) if isinstance(x, np.ndarray)]
    others = [x for x in tree.leaves(arguments) if isinstance(x, np.ndarray)]
    for k, x in enumerate(arrays):
        assert x.flags.writeable
        assert not any(np.shares_memory(x, y) for y in (*arrays[:k], *others))


class Counter:
    """Counts how often Python code runs."""

    def __init__(self):
        self.n = 0

    def __call__(self):
        """One more."""
        self.n += 1


ROUTES = {
    "plain": lambda f: f,
    "jit": fg.jit,
    "jvp": lambda f: lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a])),
    "vjp": lambda f: lambda *a: _pulled(f, a),
    "jit(jvp)": lambda f: fg.jit(lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a]))),
    "jit(vjp)": lambda f: fg.jit(lambda *a: _pulled(f, a)),
    "vjp(jit)": lambda f: lambda *a: _pulled(fg.jit(f), a),
    "linearize": lambda f: lambda *a: fg.linearize(f, *a)[1](*[_direction(x) for x in a]),
    "vmap": lambda f: lambda *a: fg.vmap(f)(*[np.stack([x, 0.9 * x]) for x in a]),
    "jit(vmap)": lambda f: fg.jit(lambda *a: fg.vmap(f)(*[np.stack([x, 0.9 * x]) for x in a])),
    "vmap(vjp)": lambda f: lambda *a: fg.vmap(lambda *a: _pulled(f, a))(*[np.stack([x, 0.9 * x]) for x in a]),
    "vjp(vmap)": lambda f: lambda *a: _pulled(fg.vmap(f), [np.stack([x, 0.9 * x]) for x in a]),
    "jvp(vjp)": lambda f: lambda *a: fg.jvp(lambda *a: _pulled(f, a)[1], a, tuple([_direction(x) for x in a])),
    "vjp(vjp)": lambda f: lambda *a: _pulled(lambda *a: _pulled(f, a)[1], a)[1],
    "vjp(jvp)": lambda f: lambda *a: _pulled(lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a]))[1], a)[1],
    "jvp(jvp)": lambda f: (
        lambda *a: fg.jvp(
            lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a]))[1], a, tuple([_direction(x) for x in a])
        )[1]
    ),
    "vjp(vjp(vjp))": lambda f: lambda *a: _pulled(lambda *a: _pulled(lambda *a: _pulled(f, a)[1], a)[1], a)[1],
}
"""Transforms of a function of float arrays: all that is differentiable in it goes into what they return."""


def _direction(x):
    """A fixed vector like x."""
    shape = np.shape(x)
    size = int(np.prod(shape))
    return np.cos(1.0 + np.arange(size)).reshape(shape)[()].astype(fg.typeof(x).dtype)


def _pulled(f, args):
    out, pull = fg.vjp(f, *args)
    cts = tree.map(
        lambda y: _direction(y) if fg.typeof(y).dtype.kind in "fc" else np.zeros(np.shape(y), fg.float0), out
    )
    return out, pull(cts)


W = np.linspace(-1, 1, 9).reshape(3, 3)
V = np.array([0.3, -0.7, 1.1])
XS = np.arange(12.0).reshape(4, 3) / 7 + 0.1
A = 0.8


def _through(f, reverse=False):
    """The program that scans a body over a carry (all arguments but the last) and rows (the last)."""
    return lambda lax, *args: lax.scan(f, args[:-1], args[-1], reverse=reverse)


PROGRAMS = {
    # what the loop does with memory
    "swapped": (_through(lambda c, x: ((c[1], c[0]), c[0])), (V, V * 2, XS)),
    "swapped with work": (_through(lambda c, x: ((c[1], c[0] * x), c[0])), (V, V * 2, XS)),
    "rotated": (_through(lambda c, x: ((c[1], c[2], c[0] + x), (c[0], c[0]))), (V, V * 2, V + 1, XS)),
    "unchanged": (_through(lambda c, x: (c, x)), (V, XS)),
    "constant": (_through(lambda c, x: ((W[0],), c[0] + x)), (V, XS)),
    "row becomes carry": (_through(lambda c, x: ((x,), c[0])), (V, XS)),
    "view of the other": (_through(lambda c, x: ((c[1], c[0][::-1]), c[1][1:])), (V, V * 2, XS)),
    "transposed": (_through(lambda c, x: ((c[0].T, c[1].T + x), c[1].T)), (W, W * 2, XS)),
    "view of the row": (_through(lambda c, x: ((x[::-1], c[0]), x[:2])), (V, V * 2, XS)),
    "broadcast": (_through(lambda c, x: ((np.broadcast_to(x[0], (3,)),), c[0])), (V, XS)),
    "repeated results": (_through(lambda c, x: ((c[0] + 1.0,), (x, x, c[0], c[0]))), (V, XS)),
    "update": (_through(lambda c, x: ((put(c[0], 0, x[1]),), c[0])), (V, XS)),
    "updates": (_through(lambda c, x: ((put(put(c[0], 0, x[1]), 1, c[0][0], "add"),), c[0][0])), (V, XS)),
    "update of the other": (
        _through(lambda c, x: ((put(c[1], 0, x[1]), put(c[0], 1, x[0], "add")), c[1])),
        (V, V * 2, XS),
    ),
    "update and old": (_through(lambda c, x: ((put(c[0], 0, x[1]), c[0]), c[1])), (V, V * 2, XS)),
    "update twice": (_through(lambda c, x: ((u := put(c[0], 0, x[1]), u), u[1:])), (V, V * 2, XS)),
    "update and view": (_through(lambda c, x: ((u := put(c[0], 0, x[1]), u[::-1]), c[1])), (V, V * 2, XS)),
    # loops
    "recurrent": (
        lambda lax, w, x: lax.scan(lambda c, r: (np.tanh(w @ c + r), c.sum()), x[0], x),
        (W, XS),
    ),
    "reversed": (
        lambda lax, w, x: lax.scan(lambda c, r: (np.tanh(w @ c + r), (c.sum(), w)), x[0], x, reverse=True),
        (W, XS),
    ),
    "closure only": (lambda lax, w: lax.scan(lambda c, r: (np.tanh(w @ c + r), c.sum()), V, XS), (W,)),
    "rows only": (lambda lax, x: lax.scan(lambda c, r: (np.tanh(W @ c + r), c * r), np.ones(3), x), (XS,)),
    "carry only": (lambda lax, x: lax.scan(lambda c, r: (np.tanh(W @ c + r), c * r), x, XS), (V,)),
    "power": (lambda lax, a: lax.scan(lambda c, _: (a * c, None), 1.0, length=5)[0], (1.3,)),
    "no iterations": (lambda lax, a: lax.scan(lambda c, _: (a * c, None), 2 * a, length=0)[0], (1.3,)),
    "counter": (
        lambda lax, x: lax.scan(lambda s, r: ((s[0] + 1, s[1] * r + s[0]), s[1]), (0, 1.0), x)[1],
        (V,),
    ),
    "scan in scan": (
        lambda lax, w, x: lax.scan(
            lambda c, r: (
                lax.scan(lambda d, q: (np.sin(w @ d) * q, d[0]), c, r)[0],
                lax.scan(lambda d, q: (d * q + w[0, 0], d), c, r)[1],
            ),
            x[0],
            x,
        ),
        (W, XS),
    ),
    "while": (lambda lax, a: lax.while_loop(lambda c: c < 10, lambda c: c * a + np.sin(a), a), (1.3,)),
    "while never": (lambda lax, a: lax.while_loop(lambda c: c < -9, lambda c: c * a * np.log(-c), a * a), (1.3,)),
    "while with a tree": (
        lambda lax, a, v: lax.while_loop(
            lambda s: s["n"] < 5,
            lambda s: {"n": s["n"] + 1, "v": np.sin(s["v"]) * a + s["w"].sum(), "w": s["v"]},
            {"n": 0, "v": v, "w": v * 2},
        )["v"],
        (A, V),
    ),
    "while with a closure in the condition": (
        lambda lax, a, v: lax.while_loop(
            lambda s: s[0] < a * 5, lambda s: (s[0] + v[0] ** 2 + 0.1, s[1] * v, s[2]), (a * 0, v, a)
        )[1:],
        (A, V),
    ),
    "fori": (lambda lax, a, v: lax.fori_loop(0, 4, lambda i, c: np.sin(c * a) + i, v), (A, V)),
    "fori with updates": (
        lambda lax, v: lax.fori_loop(1, 3, lambda i, c: put(c, i, np.sin(c[i - 1] * fnp.take(v, i))), v * 1.0),
        (V,),
    ),
    "fori that reads": (
        lambda lax, v: lax.fori_loop(1, 3, lambda i, c: c + fnp.take(v, i) * fnp.take(v, i - 1) * c, 1.0),
        (V,),
    ),
    "map": (lambda lax, a, v: lax.map(lambda x: {"p": np.sin(x) * a, "q": v * x}, v), (A, V)),
    "cond": (lambda lax, a, v: lax.cond(a > 0.75, lambda x: np.sin(x) * a, lambda x: x * x, v), (A, V)),
    "cond with closures": (lambda lax, a, v: lax.cond(a > 0.75, lambda: np.sin(v) * a, lambda: v * v), (A, V)),
    "cond that exchanges": (
        lambda lax, a, v, w: lax.cond(a > 0.75, lambda v, w: (v, w * a), lambda v, w: (w, v), v, w),
        (A, V, V * 2),
    ),
    "cond in scan": (
        lambda lax, a, v: lax.scan(
            lambda c, x: lax.cond(x > 0, lambda c: (np.sin(c) * a, c), lambda c: (c * x, v * c), c), v, v
        ),
        (A, V),
    ),
    "while in scan": (
        lambda lax, a, v: lax.scan(
            lambda c, x: (lax.while_loop(lambda s: s < 3 + x, lambda s: s * 1.3 + a, c * 0.1), c * x), a, v
        ),
        (A, V),
    ),
    "scan in while": (
        lambda lax, a, v: lax.while_loop(
            lambda s: s[0] < 3, lambda s: (s[0] + 1, lax.scan(lambda c, x: (c * x + a, c), s[1], v)[0]), (0, v)
        )[1],
        (A, V),
    ),
    "cond in while": (
        lambda lax, a, v: lax.while_loop(
            lambda s: s[0] < 6,
            lambda s: (
                s[0] + 1,
                lax.cond(s[1].sum() > 0.5, lambda c: c * a - 0.5, lambda c: np.cos(c) * v, s[1]),
            ),
            (0, v),
        )[1],
        (A, V),
    ),
    "scan in cond": (
        lambda lax, a, v: lax.cond(
            a > 0.75,
            lambda v: lax.scan(lambda c, x: (c * x + a, c), v, v),
            lambda v: (v, np.stack([v, v, v])),
            v,
        ),
        (A, V),
    ),
    "while in while": (
        lambda lax, a: lax.while_loop(
            lambda s: s[0] < 3,
            lambda s: (s[0] + 1, lax.while_loop(lambda q: q < 2.0 + s[0], lambda q: q * 1.4 + a, s[1] * 0.3)),
            (0, a),
        )[1],
        (A,),
    ),
    "fori in map": (
        lambda lax, a, v: lax.map(lambda x: lax.fori_loop(0, 3, lambda i, c: np.sin(c) * x + a, x), v),
        (A, V),
    ),
}
"""Programs with control flow: functions of `LAX` or `PYTHON` and of float arrays, with a point."""

WITHOUT_JIT = {"jit": "plain", "jit(jvp)": "jvp", "jit(vjp)": "vjp", "vjp(jit)": "vjp"}


def by_examples(route, f, args):
    """What a route with a vmap returns, without vmap; None for those that add up over the examples."""
    inner = {"vmap": "plain", "jit(vmap)": "plain", "vmap(vjp)": "vjp"}.get(route)
    if inner is None:
        return None
    rows = [ROUTES[inner](f)(*[x * s for x in args]) for s in (1, 0.9)]
    return tree.map(lambda *r: np.stack(r), *rows)

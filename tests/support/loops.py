"""Structured control flow written with Python's: what `scan`, `while_loop`, ... must agree with, and bodies to run.

Python loops differentiate by the path taken, so they are the oracle for derivatives as well.
"""

from __future__ import annotations

import numpy as np

import fungrad as fg
from fungrad import tree


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
    "jvp(vjp)": lambda f: lambda *a: fg.jvp(
        lambda *a: _pulled(f, a)[1], a, tuple([_direction(x) for x in a])
    ),
    "vjp(vjp)": lambda f: lambda *a: _pulled(lambda *a: _pulled(f, a)[1], a)[1],
    "vjp(jvp)": lambda f: lambda *a: _pulled(lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a]))[1], a)[1],
    "jvp(jvp)": lambda f: lambda *a: fg.jvp(
        lambda *a: fg.jvp(f, a, tuple([_direction(x) for x in a]))[1], a, tuple([_direction(x) for x in a])
    )[1],
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
    cts = tree.map(lambda y: _direction(y) if fg.typeof(y).dtype.kind in "fc" else np.zeros(np.shape(y), fg.float0), out)
    return out, pull(cts)

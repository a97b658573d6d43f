"""associative_scan: prefixes and suffixes along any axis, trees, derivatives, depth, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.loops import Counter, V, assert_no_alias, assert_same

import fungrad as fg
from fungrad import tree
from fungrad.control.associative_scan import associative_scan
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.testing import check_grads


def prefixes(fn, elems, reverse=False):
    """One after the other, along the first axis."""
    rows = [tree.map(lambda x, k=k: x[k : k + 1], elems) for k in range(len(tree.leaves(elems)[0]))]
    rows = rows[::-1] if reverse else rows
    out = rows[:1]
    for row in rows[1:]:
        out.append(fn(out[-1], row))
    out = out[::-1] if reverse else out
    return tree.map(lambda *r: np.concatenate(r), *out)


def affine(a, b):
    """The composition of x -> m x + c, first a."""
    return {"m": b["m"] @ a["m"], "c": np.einsum("...ij,...j->...i", b["m"], a["c"]) + b["c"]}


def elements(n, seed=0):
    """Arrays of n rows."""
    rng = np.random.default_rng(seed)
    return {"m": rng.normal(size=(n, 2, 2)), "c": rng.normal(size=(n, 2))}


CASES = {
    "add": (np.add, lambda n: np.arange(n, dtype=float)),
    "integers": (np.multiply, lambda n: np.arange(1, n + 1) % 5),
    "maximum": (np.maximum, lambda n: np.sin(np.arange(2.0 * n)).reshape(n, 2)),
    "matrices": (np.matmul, lambda n: elements(n)["m"]),
    "affine": (affine, elements),
    "booleans": (np.logical_xor, lambda n: np.arange(n) % 3 == 0),
    "complex": (np.multiply, lambda n: np.exp(1j * np.arange(n))),
    "float32": (np.add, lambda n: np.ones((n, 2), "f4")),
}


@pytest.mark.parametrize("name", sorted(CASES))
@given(n=st.integers(1, 20), reverse=st.booleans())
def test_values(name, n, reverse):
    """All prefixes, or suffixes, of any number of elements; non-commutative functions take the older one first."""
    fn, make = CASES[name]
    elems = make(n)
    expected = prefixes(fn, elems, reverse)
    for run in (lambda e: associative_scan(fn, e, reverse), fg.jit(lambda e: associative_scan(fn, e, reverse))):
        got = run(elems)
        assert_same(got, expected)
    assert_no_alias(fg.jit(lambda e: associative_scan(fn, e, reverse))(elems), elems)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("reverse", [False, True])
def test_axes(axis, reverse):
    """Along any axis, counted from either end."""
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    moved = np.flip(x, axis) if reverse else x
    expected = np.cumsum(moved, axis)
    expected = np.flip(expected, axis) if reverse else expected
    assert_same(associative_scan(np.add, x, reverse, axis), expected)
    assert_same(fg.vmap(lambda x: associative_scan(np.add, x, axis=0), in_axes=1, out_axes=1)(x), np.cumsum(x, 0))


def test_no_element():
    """Nothing comes of nothing."""
    assert_same(associative_scan(np.add, np.zeros((0, 2))), np.zeros((0, 2)))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_derivatives(n):
    """Of both modes to second order, with jit and vmap: those of the loop."""
    elems = elements(n)

    def f(run):
        return lambda m, c: np.sin(run(affine, {"m": m, "c": c})["c"]) * 1.0

    check_grads(f(associative_scan), (elems["m"], elems["c"]), order=2)
    expected = fg.jacrev(f(prefixes), (0, 1))(elems["m"], elems["c"])
    assert_same(fg.jacrev(f(associative_scan), (0, 1))(elems["m"], elems["c"]), expected)
    assert_same(fg.jit(fg.jacfwd(f(associative_scan), (0, 1)))(elems["m"], elems["c"]), expected)
    assert_same(fg.linear_transpose(lambda x: associative_scan(np.add, x), V)(V)[0], np.cumsum(V[::-1])[::-1])


def test_logarithmic_depth():
    """The function is called some 2 log2(n) times."""
    for n in (16, 1024):
        count = Counter()
        associative_scan(lambda a, b, count=count: (count() or a) + b, np.ones(n))
        assert count.n <= 2 * np.log2(n)


ERRORS = {
    "no function": (lambda: associative_scan(3, V), TransformTypeError, "expects a function, got int"),
    "no leaves": (lambda: associative_scan(np.add, ()), TransformValueError, "no leaves"),
    "axis": (
        lambda: associative_scan(np.add, [V], axis=1),
        TransformValueError,
        r"axis=1 is out of range for elems\[0\]",
    ),
    "scalar": (lambda: associative_scan(np.add, 1.0), TransformValueError, "axis=0 is out of range"),
    "sizes": (
        lambda: associative_scan(lambda a, b: a, (V, V[:2])),
        TransformValueError,
        r"one size along axis 0, got \[f64\[3\], f64\[2\]\]",
    ),
    "tree": (
        lambda: associative_scan(lambda a, b: (a, b), V),
        TransformTypeError,
        r"test_associative_scan\.py.* must return what it was given",
    ),
    "shape": (
        lambda: associative_scan(lambda a, b: (a + b).sum(), V),
        TransformTypeError,
        r"must return what it was given, .*f64\[1\]\], got .*f64\[\]\]",
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors(name):
    """A wrong use says what it was given and what is expected."""
    run, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        run()

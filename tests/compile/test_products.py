"""Products of matrices in compiled programs: how each is written, and copies of matrices that stand transposed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import fungrad as fg
from fungrad import lax
from fungrad.primitives.contraction import contract, stack_of, turned_operand

RNG = np.random.default_rng(0)
SIZES = {"a": 5, "b": 6, "c": 7}


def specs():
    """Contractions of one label of two operands of one or two axes, with the result in any order."""
    for x, y in itertools.product(("a", "ab", "ba"), ("a", "ac", "ca")):
        rest = (x + y).replace("a", "")
        for result in {rest, rest[::-1]}:
            yield f"{x},{y}->{result}"


@pytest.mark.parametrize("spec", sorted(specs()))
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8", "mixed"])
def test_any_order(spec, dtype):
    """Into memory of the program and as a result, in each order of the axes."""
    terms = spec.split("->")[0].split(",")
    x, y = (RNG.integers(-9, 9, [SIZES[n] for n in t]).astype("f8" if dtype == "mixed" else dtype) for t in terms)
    y = y.astype("f4") if dtype == "mixed" else y
    want = np.einsum(spec, x, y)
    program = fg.jit(lambda x, y: (contract(x, y, spec), np.sum(contract(x, y, spec) * 2)))
    for _ in range(2):
        got, total = program(x, y)
        assert (got.dtype, total.dtype) == (want.dtype, (want * 2).dtype)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(total, np.sum(want * 2))


@pytest.mark.parametrize("layout", ["C", "F", "strided", "swapped bytes"])
def test_layouts(layout):
    """Of arguments."""
    x = RNG.standard_normal((40, 30))
    x = {"C": x, "F": np.asfortranarray(x), "strided": np.repeat(x, 2, 1)[:, ::2], "swapped bytes": x.astype(">f8")}[
        layout
    ]
    w = RNG.standard_normal((30, 30))
    np.testing.assert_allclose(fg.jit(lambda x, w: np.tanh(x @ w) @ w.T)(x, w), np.tanh(x @ w) @ w.T, rtol=1e-12)


def layers(w, x):
    """The same matrix, transposed, in several products."""
    for _ in range(3):
        x = np.tanh(x @ w.T)
    return x


def test_turned_once():
    """A copy that all products share; none for few rows, for large matrices, or where it would be read once."""
    w, x = RNG.standard_normal((30, 30)), RNG.standard_normal((8, 30))
    source = fg.jit(layers).lower(w, x).source
    assert source.count(".T.copy()") == 1
    np.testing.assert_allclose(fg.jit(layers)(w, x), layers(w, x), rtol=1e-12)
    once = lambda w, x: np.tanh(x @ w.T)
    assert ".T.copy()" not in fg.jit(once).lower(w, x).source
    assert ".T.copy()" in fg.jit(once).lower(w, np.ones((50, 30))).source
    assert ".T.copy()" not in fg.jit(layers).lower(np.ones((200, 200)), np.ones((8, 200))).source


def test_turned_before_a_loop():
    """What a loop multiplies by in each iteration is turned before it, what it computes is turned within."""
    w, x, xs = RNG.standard_normal((30, 30)), RNG.standard_normal((8, 30)), RNG.standard_normal((4, 8, 30))

    def f(w, x, xs):
        return lax.scan(lambda h, x: (np.tanh(h @ w.T + x), np.sum(h)), x, xs)

    def moving(w, x):
        return lax.fori_loop(0, 4, lambda k, c: (np.tanh(c[0] @ c[1].T @ c[1].T), c[1] * 0.9), (x, w))

    for fun, args in ((f, (w, x, xs)), (moving, (w, x))):
        for got, want in zip(fg.tree.leaves(fg.jit(fun)(*args)), fg.tree.leaves(fun(*args)), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11)
    loss = lambda w: np.sum(f(w, x, xs)[0] ** 2)
    np.testing.assert_allclose(fg.jit(fg.grad(loss))(w), fg.grad(loss)(w), rtol=1e-9, atol=1e-12)


def test_which_operand_is_turned():
    """The right one of two matrices, if its first axis is not the one that is summed."""
    assert turned_operand("ab,bc->ac") is None
    assert turned_operand("ab,cb->ac") == 1
    assert turned_operand("ba,bc->ac") is None
    assert turned_operand("ab,bc->ca") == 0
    assert turned_operand("ab,cb->ca") == 0
    assert turned_operand("ba,bc->ca") is None
    assert turned_operand("ab,b->a") is None


def test_stacks():
    """How many products, and the multiplications of each."""
    assert stack_of((9, 2, 3), (9, 3), "nij,nj->ni") == (9, 6)
    assert stack_of((9, 2, 3), (9, 3, 4), "nij,njk->nik") == (9, 24)
    assert stack_of((9, 3), (3, 4), "ni,ij->nj") is None
    assert stack_of((9, 3), (9, 4), "ni,nj->ij") is None

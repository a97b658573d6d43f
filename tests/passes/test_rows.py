"""Axes that are moved to the front: any of them keeps the meaning, and those that are chosen pay."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import assert_same_meaning

import fungrad as fg
from fungrad.control.call import inline
from fungrad.passes import rows as module
from fungrad.passes.optimize import optimize
from fungrad.passes.rows import rows
from fungrad.testing import random_program

X, Y, Z = (np.random.default_rng(k).standard_normal(s) for k, s in enumerate([(3, 4, 5), (4, 5), (5, 2)]))

FUNCTIONS = {
    "broadcasts": lambda x, y, z: np.exp(x - y) * y[:, :1] + x[:1] * np.sum(y, axis=1)[:, None],
    "reductions": lambda x, y, z: np.exp(x - np.max(x, axis=1, keepdims=True)) / np.sum(x * x, axis=(0, 2))[:, None],
    "products": lambda x, y, z: np.tanh(x @ z) @ z.T + np.einsum("abc,bc->ab", x, y)[:, :, None],
    "sums of products": lambda x, y, z: np.einsum("abc,abd->cd", np.sin(x), np.cos(x) @ z),
    "transposes": lambda x, y, z: np.transpose(np.sin(np.transpose(x, (2, 0, 1))) * y.T[:, None], (1, 2, 0)) + x,
    "reshapes": lambda x, y, z: np.reshape(np.sin(np.reshape(x, (12, 5))) @ z, (3, 2, 2, 2)) * 2.0,
    "choices": lambda x, y, z: np.where(x > y, x * 2.0, y) + np.where(y > 0, 1.0, x),
    "joined": lambda x, y, z: np.sum(np.concatenate([np.sin(x), x * y, x], axis=1) ** 2, axis=2),
    "stretched": lambda x, y, z: np.sin(np.broadcast_to(y[:, None], (4, 3, 5))) * np.swapaxes(x, 0, 1),
    "counts": lambda x, y, z: np.count_nonzero(x > y, axis=1) + np.sum(x, axis=1) + np.max(x, axis=(0, 1)),
    "types": lambda x, y, z: np.sum((x * 3).astype(np.int32), axis=0) + np.argmax(x, axis=0),
}


def program_of(f, *args):
    """What the pass is given for a function."""
    return optimize(inline(fg.make_jaxpr(f)(*args)))


def all_moves(closed):
    """The program with each axis of each array moved to the front, as far as it goes."""
    program = module._Program(closed.jaxpr)
    for v in program.maker:
        for axis in range(v.aval.ndim):
            region = program.region(v, axis)
            yield module._Mover(closed, region.axes, region.equations).run()


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_any_axis(name):
    """Whatever axis is moved, the function and its gradient are the same."""
    f = FUNCTIONS[name]
    for g in (f, fg.grad(lambda *xs: np.sum(np.sin(f(*xs))), (0, 1, 2))):
        closed = program_of(g, X, Y, Z)
        moved = list(all_moves(closed))
        assert moved
        for new in moved:
            assert_same_meaning(new, closed, (X, Y, Z))


def test_any_axis_of_random_programs():
    """The same of random programs and their gradients."""

    @settings(max_examples=15)
    @given(st.integers(0, 2**32))
    def check(seed):
        program = random_program(random.Random(seed).choice, 2)
        for f in (program, fg.grad(lambda *xs: np.sum(np.sin(program(*xs))), (0, 1))):
            closed = program_of(f, *program.args)
            for new in all_moves(closed):
                assert_same_meaning(new, closed, program.args)

    check()


def attention(x, w_query, w_key, w_value, heads=2):
    """Attention of several heads."""
    query, key, value = (np.swapaxes(np.reshape(x @ w, (len(x), heads, -1)), 0, 1) for w in (w_query, w_key, w_value))
    weights = np.exp(query @ np.swapaxes(key, 1, 2))
    weights = weights / np.sum(weights, axis=2, keepdims=True)
    return np.sum(np.sin(np.reshape(np.swapaxes(weights @ value, 0, 1), (len(x), -1))))


def mixture(means, x):
    """The log-likelihood of a mixture of Gaussians; clusters come first."""
    logs = -0.5 * np.sum((x - means[:, None]) ** 2, axis=2)
    top = np.max(logs, axis=0)
    return np.sum(np.log(np.sum(np.exp(logs - top), axis=0)) + top)


def normal(*shape):
    """Random numbers."""
    return np.random.default_rng(len(shape)).standard_normal(shape)


CASES = {
    "attention": (attention, (normal(96, 8), *(normal(8, 8) / 3 for _ in range(3))), (96, 2, 96)),
    "mixture": (mixture, (normal(7, 3), normal(900, 3)), (900, 7, 3)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_chosen(name):
    """Queries for attention, points for a mixture: then the largest arrays do not leave the cache."""
    f, args, shape = CASES[name]
    for g in (fg.value_and_grad(f), fg.grad(f)):
        closed = program_of(g, *args)
        new = rows(closed)
        assert_same_meaning(new, closed, args)
        largest = max((v.aval for e in new.eqns for v in e.outputs), key=lambda a: a.size)
        assert largest.shape == shape
        before, after = (traffic_of(c) for c in (closed, new))
        assert after < 0.5 * before
        for a, b in zip(fg.tree.leaves(fg.jit(g)(*args)), fg.tree.leaves(g(*args)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_rows_that_do_not_fit_a_cache():
    """Blocks of them would not be made: another axis is better, even for one pass through memory."""
    whole = lambda means, x: np.sum(np.exp(np.einsum("cnd,cde->cne", x - means[:, None], np.ones((5, 4, 4)))), axis=2)
    short, long = (program_of(whole, normal(5, 4), normal(n, 4)) for n in (2_000, 20_000))
    assert rows(short) is short
    moved = rows(long)
    assert max([v.aval for e in moved.eqns for v in e.outputs], key=lambda a: a.size).shape == (20_000, 5, 4)
    assert_same_meaning(moved, long, (normal(5, 4), normal(20_000, 4)))


def traffic_of(closed):
    """The traffic of the loop over the first axis of the largest array."""
    program = module._Program(closed.jaxpr)
    return program.traffic(program.region(program.next_seed(), 0).with_rows_first())


def test_what_is_left_alone():
    """Programs that run along their first axis already, or whose arrays are small, are not changed."""
    x, w = normal(2000, 20), normal(20, 20)
    network = lambda w, x: np.mean(np.tanh(x @ w) ** 2)
    closed = program_of(fg.grad(network), w, x)
    assert rows(closed) is closed
    closed = program_of(fg.grad(mixture), normal(3, 2), normal(20, 2))
    assert rows(closed) is closed


def test_it_is_done_once():
    """What the pass makes it does not change again."""
    for f, args, _ in CASES.values():
        new = rows(program_of(fg.grad(f), *args))
        assert rows(new) is new


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_compiled(name, monkeypatch):
    """Compiled in tiny blocks, with any array worth a move, a function and its gradient are what they are without."""
    monkeypatch.setattr(module, "LARGE", 1)
    monkeypatch.setattr(module, "GAIN", 0.999)
    monkeypatch.setattr("fungrad.compile.emit.Emitter.large", 1)
    monkeypatch.setattr("fungrad.compile.blocks.BLOCK", 30)
    f = FUNCTIONS[name]
    for g in (f, fg.grad(lambda *xs: np.sum(np.sin(f(*xs))), (0, 1, 2))):
        for a, b in zip(fg.tree.leaves(fg.jit(g)(X, Y, Z)), fg.tree.leaves(g(X, Y, Z)), strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

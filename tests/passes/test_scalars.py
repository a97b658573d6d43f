"""Short vectors taken apart: golden texts, and random programs of vectors, their elements and their derivatives."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_laws import assert_equal

import fungrad as fg
from fungrad.passes.algebra import algebra
from fungrad.passes.dce import dce
from fungrad.passes.scalars import LONGEST, scalars

X = np.array([1.0, -2.0, 3.0])


def names(f, *args):
    """The primitives that are left of a program after the pass; its values are compared."""
    closed = dce(algebra(fg.make_jaxpr(f)(*args)))
    after = dce(scalars(closed))
    fg.check_jaxpr(after)
    assert [(a.shape, a.dtype) for a in after.out_avals] == [(a.shape, a.dtype) for a in closed.out_avals]
    for a, b in zip(fg.eval_jaxpr(after, (), *args), fg.eval_jaxpr(closed, (), *args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    return [e.primitive.name for e in after.eqns]


def test_vectors_of_numbers_are_not_built():
    """Stacked numbers that are only computed with, indexed and summed stay numbers."""
    f = lambda x, y: (np.stack([x, y]) * 2.0)[0] + np.stack([x * y, x]).sum()
    left = names(f, 1.5, 2.0)
    assert "stack" not in left and "slice" not in left and "sum" not in left


def test_what_is_returned_is_stacked():
    """A vector that is a result, or read by something else, is built once."""
    f = lambda x, y: (lambda v: (v, v, np.cumsum(v)))(np.stack([x, y]) * 2.0)
    assert names(f, np.float64(1.5), np.float64(2.0)) == ["mul", "mul", "stack", "cumsum"]
    assert names(f, 1.5, 2.0) == ["convert", "convert", "mul", "mul", "stack", "cumsum"]


def test_arrays_stay_arrays():
    """Vectors that come as arguments are not taken apart without need, long ones never."""
    assert names(lambda x: np.sin(x) * x + 1.0, X) == ["sin", "mul", "add"]
    n = LONGEST + 1
    assert "stack" in names(lambda x: np.stack([x * k for k in range(n)]) * 2.0 + 1.0, 1.5)


@pytest.mark.parametrize("name", [
    "np.concatenate([v > 0, v]).sum()", "np.concatenate([v > 0, v])", "(v > 0).sum()",
    "np.concatenate([v > 0, v > 1])", "np.where(v > 0, v, 0.0).sum()", "(v > 0).astype(float).sum() + v",
    "v[::-1] * v", "v[:1] + v", "v[-1] * v[0:2:1]", "v @ v", "v @ w", "np.sum(v * w)", "v[None] + w[:, None]",
    "v.reshape(1, -1) * w", "v.reshape(-1)[0] * w", "np.broadcast_to(v[:1], (3,)) * w",
    "np.broadcast_to(v, (2, 3)) * w", "np.stack([v, w]).sum(axis=0)", "v.sum(keepdims=True) + w",
    "v.mean() + np.prod(v)", "v * np.float32(2)", "v * 2", "v * (v > 1)", "v ** 2 + v ** np.array([1.0, 2.0, 3.0])",
    "np.maximum(v, w) - np.minimum(v, 0.0)", "np.max(v) + np.argmax(v)", "np.sort(v) * v", "v[[2, 0, 0]] * v",
    "v[v.argmax()]", "np.outer(v, w) @ v", "v * np.arange(3)", "v + np.array([True, False, True])",
    "v.astype('f') + v", "v / v.sum()", "np.linalg.norm(v) * v", "np.cross(v, w)", "v[1:] - v[:-1]",
    "np.append(v, 1.0)[1:]", "np.diff(v) * v[1:]", "v[:0].sum()", "np.concatenate([v[:0], v, w[:2]])",
    "np.concatenate([v, w, v])", "np.tile(v, 2)", "v.copy() * v", "1j * v", "np.abs(v) * -v", "v / 0.0", "np.log(-v)",
    "v ** 0.5", "np.sum([v[0], w[1], 2.0])", "np.sign(v) * np.floor(v)", "v // 2.0 + v % 2.0",
])  # fmt: skip
def test_operations_on_short_vectors(name):
    """Vectors in parts and beside whole ones, through operations of all kinds: eager value and dtype."""

    def f(a, b, c, w):
        v = np.stack([a, b * 1.5, c])
        return eval(name, {"np": np}, {"v": v, "w": w})

    args = (np.float64(1.5), np.float64(2.0), np.float64(0.25), X)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(f(*args))[()]
        got = fg.jit(f)(*args)
        assert (np.shape(got), got.dtype) == (np.shape(expected), expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=1e-13)
        if expected.dtype.kind != "f" or not np.all(np.isfinite(expected)):
            return
        total = lambda *xs: np.sum(np.sin(f(*xs)))
        plain = fg.grad(total, (0, 1, 2, 3))(*args)
        for g in (fg.jit(fg.grad(total, (0, 1, 2, 3))), fg.grad(fg.jit(total), (0, 1, 2, 3))):
            for a, b in zip(g(*args), plain, strict=True):
                assert np.shape(a) == np.shape(b) and a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


_VECTOR = (
    "np.stack([{s}, {t}, {s} * {t}])", "np.stack([{s}] * 3)", "{v} + {w}", "{v} * {w}", "{v} - {w}[::-1]",
    "{v} * {s}", "np.sin({v})", "{v} / (2.0 + {w} * {w})", "np.concatenate([{v}[:1], {w}[1:]])",
    "np.concatenate([{v}[1:], {w}[:1]])", "np.where({v} > {w}, {v}, {s})", "np.append({v}[:2], {s})",
    "np.maximum({v}, {w})", "np.broadcast_to({s}, (3,)) * {v}", "np.cumsum({v})",
    "np.tanh({v} @ np.stack([{v}, {w}, {v}]))", "-{v}", "{v}.sum(keepdims=True) * 0.1 + {w}",
    "np.stack([{v}, {w}]).sum(axis=0)", "({v} > 0.5) * {w}",
)  # fmt: skip
_NUMBER = (
    "{v}[0]", "{v}[-1]", "{v}.sum()", "np.tanh({v} @ {w})", "np.max({v})", "{s} * {t}", "np.sin({s})",
    "{v}[1:].sum()", "np.mean({v} * {w})", "{v}[:1].reshape(())", "{v}[{v}.argmax()]",
    "np.where({s} > {t}, {s}, {t} * 0.5)",
)  # fmt: skip


def vector_program(seed):
    """A function of two vectors of three and a number, in which vectors are put together and taken apart."""
    draw = random.Random(seed)
    vectors, numbers, lines = ["x0", "x1"], ["x2"], []
    for k in range(draw.choice((3, 6, 10, 16))):
        kind, table = draw.choice(((vectors, _VECTOR), (numbers, _NUMBER)))
        v, w = draw.choice(vectors[-3:]), draw.choice(vectors)
        s, t = draw.choice(numbers[-3:]), draw.choice(numbers)
        lines.append(f"    v{k} = {draw.choice(table).format(v=v, w=w, s=s, t=t)}")
        kind.append(f"v{k}")
    results = [draw.choice(vectors), draw.choice(numbers), vectors[-1], numbers[-1]]
    source = "def program(x0, x1, x2):\n" + "\n".join(lines) + f"\n    return {', '.join(results)}"
    namespace = {"np": np}
    exec(source, namespace)
    return namespace["program"], source


@settings(max_examples=120)
@given(st.integers(0, 2**32))
def test_random_programs_of_vectors(seed):
    """Values and gradients of such programs, compiled, are the plain ones."""
    program, source = vector_program(seed)
    rng = np.random.default_rng(seed)
    args = rng.normal(size=3), rng.normal(size=3), np.float64(rng.normal())
    for a, b in zip(fg.jit(program)(*args), program(*args), strict=True):
        assert_equal(a, b)
        assert type(a) is type(np.asarray(b)[()]), source
    total = lambda *xs: sum(np.sum(np.sin(y)) for y in program(*xs))
    plain = fg.grad(total, (0, 1, 2))(*args)
    for a, b in zip(fg.jit(fg.grad(total, (0, 1, 2)))(*args), plain, strict=True):
        assert_equal(a, b)
    for a, b in zip(fg.grad(fg.jit(total), (0, 1, 2))(*args), plain, strict=True):
        assert_equal(a, b)

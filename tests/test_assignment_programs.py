"""Programs that fill, slice, alias and accumulate into arrays, drawn at random: as NumPy runs them, and differentiated.

A program is a list of steps on a pool of names for arrays. NumPy runs it on plain arrays, with its own aliasing; traced
it must give the same values, and derivatives that are the limits of NumPy's difference quotients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad.testing import numerical_jvp

Step = tuple[str, Any, Any]

# Each takes an array and returns a new name for it or a part of it; all but the last two are views in NumPy.
NAMES: dict[str, Callable[[Any], Any]] = {
    "same": lambda y: y,
    "[1:]": lambda y: y[1:],
    "[::-1]": lambda y: y[::-1],
    "[0]": lambda y: y[0] if np.ndim(y) > 1 else y,
    "[..., :2]": lambda y: y[..., :2],
    "[None]": lambda y: y[None] if np.ndim(y) < 3 else y,
    "T": lambda y: y.T,
    "swapaxes": lambda y: np.swapaxes(y, 0, -1),
    "reshape": lambda y: y.reshape(-1),
    "ravel": lambda y: np.ravel(y),
    "ravel of [::-1]": lambda y: np.ravel(y[::-1]),
    "ravel of a column": lambda y: np.ravel(y[..., :1]),
    "ravel in F order": lambda y: y.ravel("F"),
    "ravel of T in F order": lambda y: y.T.ravel("F"),
    "reshape of T": lambda y: y.T.reshape(-1),
    "split": lambda y: np.array_split(y, 2)[0],
    "flip": lambda y: np.flip(y, 0),
    "squeeze": lambda y: np.squeeze(y) if y.size > 1 else y,
    "copy": lambda y: y.copy(),
    "fancy": lambda y: y[[0]],
    "last row": lambda y: [*y][-1] if np.ndim(y) > 1 else y,
}

KEYS: dict[str, Any] = {
    "all": slice(None),
    "...": ...,
    "0": 0,
    "-1": -1,
    "[1:]": slice(1, None),
    "[::2]": slice(None, None, 2),
    "[::-1]": slice(None, None, -1),
    "list": [0, -1],
    "twice": [0, 0],
    "column": (..., 0),
    "mask": "mask",
    "own mask": "own mask",  # of unknown value under vmap and make_jaxpr
    "new axis": (None, slice(None)),
}


def _key(name: str, y: Any) -> Any:
    if name == "own mask":
        return y > 0.21371
    return np.arange(y.size).reshape(y.shape) % 2 == 0 if name == "mask" else KEYS[name]


def _write(kind: str, y: Any, key: Any, v: Any) -> None:
    if kind == "=":
        y[key] = v
    elif kind == "= array":
        y[key] = y[key] * v + 0.5
    elif kind == "+=":
        y[key] += v
    elif kind == "*=":
        y[key] *= v
    elif kind == "whole +=":
        y += v
    elif kind == "whole -= own":
        y -= 0.5 * y


WRITES = ["=", "= array", "+=", "*=", "whole +=", "whole -= own"]
steps = st.one_of(
    st.tuples(st.just("name"), st.integers(0, 5), st.sampled_from(sorted(NAMES))),
    st.tuples(st.sampled_from(WRITES), st.integers(0, 5), st.sampled_from(sorted(KEYS))),
    st.tuples(st.sampled_from(WRITES), st.integers(0, 5), st.sampled_from(sorted(KEYS))),
)
programs = st.lists(steps, min_size=2, max_size=8)


def run(program: list[Step], x: Any, z: Any) -> Any:
    """The sum of all names' arrays after the program, which starts with a buffer, a copy of x and x itself."""
    pool = [np.zeros_like(x), x.copy(), x]
    for number, (kind, which, what) in enumerate(program):
        y = pool[which % len(pool)]
        if kind == "name":
            pool.append(NAMES[what](y))
        else:
            if what == "own mask" and kind == "= array":
                kind = "*="  # what an unknown mask selects can be calculated with in augmented assignment alone
            _write(kind, y, _key(what, y), z[number % 4] * x[0, 0] if number % 3 else z[number % 4])
    return [np.sum(y * (k + 1.0)) * 1.0 for k, y in enumerate(pool)], [y * 1.0 for y in pool]


X = np.array([[0.3, -0.7, 1.1], [0.9, 0.4, -0.2]])
Z = np.array([0.5, -1.3, 0.8, 1.7])


def plainly(program: list[Step], x: Any, z: Any) -> Any:
    """The same on plain copies, by NumPy."""
    return run(program, np.array(x), np.array(z))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs)
def test_values_and_derivatives(program: list[Step]) -> None:
    """Values are NumPy's, aliasing included, and both modes agree with differences of NumPy's."""
    tangents = (np.cos(X), np.sin(Z))

    def fun(x: Any, z: Any) -> Any:
        return run(program, x, z)

    try:
        expected = plainly(program, X, Z)
    except (IndexError, ValueError) as error:
        with pytest.raises(type(error)):
            fg.jvp(fun, (X, Z), tangents)
        return

    value, pushed = fg.jvp(fun, (X, Z), tangents)
    _compare(value, expected)
    flat = lambda x, z: [*plainly(program, x, z)[0], *plainly(program, x, z)[1]]
    _compare(fg.tree.leaves(pushed), numerical_jvp(flat, (X, Z), tangents), 1e-6)
    pulled_value, pull = fg.vjp(fun, X, Z)
    _compare(pulled_value, expected)
    w = fg.tree.map(np.cos, expected)
    pulled = pull(w)
    left = sum(np.sum(a * b) for a, b in zip(fg.tree.leaves(pushed), fg.tree.leaves(w), strict=True))
    right = sum(np.sum(a * b) for a, b in zip(tangents, pulled, strict=True))
    assert abs(left - right) < 1e-9 * max(1.0, abs(left))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(programs)
def test_values_in_fortran_order(program: list[Step]) -> None:
    """What NumPy copies instead of making a view depends on the order in memory."""
    x = np.asfortranarray(X)
    try:
        expected = run(program, x.copy(order="F"), Z.copy())
    except (IndexError, ValueError) as error:
        with pytest.raises(type(error)):
            fg.vjp(lambda x: run(program, x, Z), x)
        return
    _compare(fg.vjp(lambda x: run(program, x, Z), x)[0], expected)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(programs)
def test_batches_and_jaxprs(program: list[Step]) -> None:
    """vmap is a loop of NumPy's, the jaxpr computes NumPy's values, and derivatives nest with both."""
    xs, zs = np.stack([X, X[::-1] * 1.5]), np.stack([Z, Z + 0.25])
    fun = lambda x, z: run(program, x, z)
    try:
        plainly(program, X, Z)
    except (IndexError, ValueError) as error:
        with pytest.raises(type(error)):
            fg.make_jaxpr(fun)(X, Z)
        return
    mapped = fg.vmap(fun)(xs, zs)
    expected = fg.tree.map(lambda *y: np.stack(y), *[plainly(program, x, z) for x, z in zip(xs, zs, strict=True)])
    _compare(mapped, expected)
    closed = fg.make_jaxpr(fun)(X, Z)
    fg.check_jaxpr(closed)
    _compare(fg.eval_jaxpr(closed, (), X, Z), fg.tree.leaves(plainly(program, X, Z)))
    scalar = lambda x, z: sum(run(program, x, z)[0])
    _compare(fg.vmap(fg.grad(scalar))(xs, zs), np.stack([fg.grad(scalar)(x, z) for x, z in zip(xs, zs, strict=True)]))
    v = np.cos(X)
    _compare(fg.hvp(scalar, (X, Z), (v, np.zeros(4)))[0], fg.grad(lambda x: np.sum(fg.grad(scalar)(x, Z) * v))(X), 1e-9)


def _compare(actual: Any, expected: Any, tolerance: float = 1e-12) -> None:
    for a, b in zip(fg.tree.leaves(actual), fg.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b), initial=0))))
        assert np.shape(a) == np.shape(b)

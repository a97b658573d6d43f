"""Small buffers for programs of broadcast and scattered rows: they are set while such a program runs, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.compile.buffering import BUFFER, wants_small_buffers

RNG = np.random.default_rng(0)


def wanted(f, *args):
    """Whether a function is run with small buffers."""
    return wants_small_buffers(fg.jit(f).lower(*args).optimized.jaxpr.eqns)


def differences(u):
    """Slices of an image."""
    return np.sum((u[1:, :-1] - u[:-1, :-1]) ** 2 + (u[:-1, 1:] - u[:-1, :-1]) ** 2)


def centred(x):
    """Rows less their means."""
    return x - np.mean(x, 1, keepdims=True)


@pytest.mark.parametrize(
    ("f", "shape", "expected"),
    [
        (differences, (300, 256), True),
        (fg.grad(differences), (300, 256), True),
        (centred, (400, 1000), True),
        (differences, (1000, 64), False),  # short rows
        (centred, (6000, 60), False),
        (differences, (30, 8200), False),  # as long as a buffer
        (differences, (20, 200), False),  # not worth it
        (lambda x: np.sin(x) * x + 1.0, (400, 1000), False),  # one run of elements
        (lambda x: np.max(x, 1), (400, 1000), False),
    ],
)
def test_which_programs(f, shape, expected):
    """Those in which rows of some hundred elements are broadcast, or do not follow one another in memory."""
    assert wanted(f, np.ones(shape)) == expected


def sizes_of_buffers(monkeypatch, f, *args):
    """The sizes that are set while a compiled function is called."""
    seen, set_size = [], np.setbufsize
    monkeypatch.setattr(np, "setbufsize", lambda size: (seen.append(size), set_size(size))[1])
    f(*args)
    return seen


def test_the_size_is_restored(monkeypatch):
    """After the call, and after an error in it."""
    f = fg.jit(fg.grad(differences))
    u = RNG.standard_normal((300, 256))
    np.testing.assert_allclose(f(u), fg.grad(differences)(u), rtol=1e-12, atol=1e-12)
    usual = np.getbufsize()
    assert sizes_of_buffers(monkeypatch, f, u) == [BUFFER, usual]
    assert np.getbufsize() == usual
    program = fg.jit(lambda x: np.sqrt(centred(x)))
    with np.errstate(invalid="raise"):
        with pytest.raises(FloatingPointError):
            program(RNG.standard_normal((400, 1000)))
        assert np.getbufsize() == usual
        assert np.geterr()["invalid"] == "raise"


def test_a_size_of_the_user_is_kept():
    """What the caller had set is set again."""
    before = np.setbufsize(1024)
    try:
        fg.jit(centred)(np.ones((400, 1000)))
        assert np.getbufsize() == 1024
    finally:
        np.setbufsize(before)

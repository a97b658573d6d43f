"""capturing: what a body does with values of the outside alone is done in the body."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import fungrad as fg
from fungrad.core import record
from fungrad.core.aval import FLOAT, ShapedArray
from fungrad.core.capture import capturing
from fungrad.core.trace import Recording
from fungrad.lax import cond, fori_loop


def names(closed):
    """The primitives of the equations."""
    return [e.primitive.name for e in closed.eqns]


def test_a_branch_that_is_not_taken():
    """It computes nothing of what it closes over: no warning, no nan in derivatives."""
    f = lambda w: cond(w > 0, lambda: np.sqrt(w), lambda: 2.0 * w)
    assert fg.jit(f)(-1.0) == -2.0
    assert fg.grad(f)(0.0) == 2.0
    assert fg.jit(fg.grad(f))(0.0) == 2.0
    assert fg.grad(f)(4.0) == 0.25
    assert "sqrt" not in names(fg.make_jaxpr(f)(1.0))
    assert "sqrt" in str(fg.make_jaxpr(f)(1.0))


def test_nested_bodies():
    """The innermost body takes it, also from two bodies outside."""
    f = lambda w: cond(w > 0, lambda: cond(w > 1, lambda: np.log(w - 1.0), lambda: w * 3.0), lambda: -w)
    assert [fg.grad(f)(x) for x in (3.0, 0.5, -2.0)] == [0.5, 3.0, -1.0]
    g = lambda w: fori_loop(0, 0, lambda i, c: cond(c > 0, lambda: c * np.sqrt(w), lambda: c), 2.0)
    assert fg.jit(fg.grad(g))(0.0) == 0.0
    assert names(fg.make_jaxpr(f)(3.0)) == ["greater", "cond"]


def test_derivatives_inside():
    """grad in a body of a function of closed-over tracers."""
    f = lambda w: cond(w > 0, lambda: fg.grad(lambda v: np.sqrt(v) * w)(w), lambda: w)
    assert fg.jit(f)(4.0) == 1.0
    assert fg.jit(f)(-4.0) == -4.0
    np.testing.assert_allclose(fg.grad(f)(4.0), 0.125)


def test_state_comes_back():
    """After a body, and after an exception in one, recordings are what they were; nested captures end in turn."""
    outer, inner, body = Recording(False, "grad", None), Recording(True, "jit", None), Recording(True, "lax.cond", None)
    second = Recording(True, "lax.scan", None)
    with capturing([outer, inner], body):
        assert outer.abstract and outer.captured.body is body and not outer.captured.abstract
        with pytest.raises(ZeroDivisionError), capturing([outer, inner, body], second):
            assert outer.captured.body is second
            raise ZeroDivisionError
        assert outer.captured.body is body and body.captured is None
    assert (outer.abstract, outer.captured, inner.abstract, inner.captured) == (False, None, True, None)


def test_an_exception_in_a_body():
    """The function that is being recorded goes on as before."""

    def f(w):
        with pytest.raises(KeyError):
            cond(w > 0, lambda: {}[np.sin(w)] if False else {}[0], lambda: w)
        return np.sin(w) if w > 0 else w  # values are known

    assert fg.grad(f)(0.5) == np.cos(0.5)
    assert record._recordings() == []


def test_other_threads():
    """They record where they did while this one records a body."""
    closed = []

    def f(w):
        found = []

        def branch():
            t = threading.Thread(target=lambda: found.append(np.sin(w)))
            t.start()
            t.join(20.0)
            return np.cos(w)

        return cond(w > 0, branch, lambda: w) + found[0]

    closed = fg.make_jaxpr(f)(1.0)
    assert [n for n in names(closed) if n in ("sin", "cos")] == ["sin"] * names(closed).count("sin")
    assert "sin" in names(closed)
    assert fg.jit(f)(1.0) == np.cos(1.0) + np.sin(1.0)


def test_only_those_that_capture():
    """`record_jaxpr` leaves operations of the outside there unless it is asked to capture them."""
    aval = [ShapedArray((), FLOAT)]
    for captures in (False, True):
        inner = []

        def outside(x, captures=captures, inner=inner):
            inner.append(record.record_jaxpr("t", lambda y: [np.sin(x) * y], aval, None, captures=captures))
            return [np.cos(x)]

        record.record_jaxpr("t", outside, aval, None)
        assert ("sin" in names(inner[0])) is captures

"""depends: which results depend on which arguments, and which of those smoothly."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
from fungrad.control.call import inline
from fungrad.passes.activity import depends
from fungrad.testing import random_program

X = np.array([1.0, -2.0, 3.0])
K = np.arange(3)


def found(f, args, marked, smoothly=False):
    """What depends on the marked arguments of a function."""
    return depends(fg.make_jaxpr(f)(*args).jaxpr, marked, smoothly)


def test_results():
    """Each result is marked by what it is made of, through other values, and no other is."""
    f = lambda x, y: (x, x * 2.0, np.sin(y) + 1.0, np.exp(x * y), X + 1.0)
    assert found(f, (X, X), [True, False]) == [True, True, False, True, False]
    assert found(f, (X, X), [False, True]) == [False, False, True, True, False]
    assert found(f, (X, X), [True, True]) == [True, True, True, True, False]
    assert found(f, (X, X), [False, False]) == [False] * 5


def test_constants_are_never_marked():
    """Literals and arrays of the program depend on nothing."""
    closed = fg.make_jaxpr(lambda x: (X, 1.0, 2, x * 0))(X)
    assert depends(closed.jaxpr, [True]) == [False, False, False, True]


def test_each_argument_needs_a_mark():
    """Too few marks are an error, not arguments without one."""
    with pytest.raises(ValueError, match="zip"):
        found(lambda x, y: x, (X, X), [True])


def test_results_of_equations_with_several():
    """All results of an equation depend on all its operands."""
    f = lambda x, y: (*np.linalg.eigh(np.outer(x, x)), y)
    assert found(f, (X, X), [True, False]) == [True, True, False]
    assert found(f, (X, X), [False, True]) == [False, False, True]


SMOOTHLY = {
    "a function": (lambda x: np.sin(x), X, True),
    "a comparison": (lambda x: x > 1.0, X, False),
    "chosen by a comparison": (lambda x: np.where(x > 1.0, 1.0, 2.0), X, False),
    "chosen": (lambda x: np.where(x > 1.0, x, 2.0), X, True),
    "integers of it": (lambda x: x.astype(int) * 2.0, X, False),
    "of integers": (lambda x: x * 2.0, K, False),
    "of truth values": (lambda x: np.where(x, 1.0, 2.0), K > 0, False),
    "argsort": (lambda x: np.argsort(x) + 1, X, False),
    "elements at places of it": (lambda x: fg.numpy.take(X, np.argsort(x)), X, False),
    "sorted": (lambda x: np.sort(x), X, True),
    "complex": (lambda x: x * 1j, X, True),
    "single precision": (lambda x: x.astype("f"), X, True),
    "rounded": (lambda x: np.floor(x), X, False),
    "sign": (lambda x: np.sign(x) * X, X, False),
    "integers of a call": (lambda x: fg.jit(lambda x: (x.astype(int), x))(x)[0] * 2.0, X, False),
    "floats of a call": (lambda x: fg.jit(lambda x: (x.astype(int), x))(x)[1] * 2.0, X, True),
    "stopped": (lambda x: fg.stop_gradient(x) * X, X, False),
}


@pytest.mark.parametrize("name", list(SMOOTHLY))
def test_smoothly(name):
    """What may have a tangent: through floats alone, and not through functions without one; else all depend."""
    f, x, expected = SMOOTHLY[name]
    assert found(f, (x,), [True], smoothly=True) == [expected]
    assert found(f, (x,), [True]) == [True]


@pytest.mark.parametrize("smoothly", [False, True])
def test_random_programs(smoothly):
    """Changed arguments change only results that are marked; where a tangent is not zero, they are, smoothly."""

    @settings(max_examples=40)
    @given(st.integers(0, 2**32))
    def check(seed):
        choose = random.Random(seed).choice
        f, g = random_program(choose, 2), random_program(choose, 2)
        both = lambda x, y, z: (f(x, y), g(*[np.resize(0.5, a.shape) if k else z for k, a in enumerate(args)]), y > 0)
        args = [np.asarray(a) for a in g.args]
        point = (*f.args, g.args[0])
        closed = inline(fg.make_jaxpr(both)(*point))
        for k in range(3):
            marks = [k == i for i in range(3)]
            outs = depends(closed.jaxpr, marks, smoothly)
            directions = [np.full(np.shape(x), float(m)) for x, m in zip(point, marks, strict=True)]
            _, dots = fg.jvp(both, point, directions)
            for marked, dot in zip(outs[:2], dots, strict=False):
                assert marked or not np.any(dot)
            assert outs[0] == (k < 2)
            assert outs[1] == (k == 2)
            assert outs[2] == (k == 1 and not smoothly)

    check()


def test_derivatives_of_loops_skip_what_has_none():
    """An integer carry made of floats has no tangents, so what it counts is no part of the loop over tangents."""
    xs = np.linspace(-1.0, 1.0, 12).reshape(4, 3)

    def f(xs):
        step = lambda c, x: ((c[0] + (x > 0), np.sin(c[1] * x) + c[0]), None)
        return fg.lax.scan(step, (np.zeros(3, int), np.ones(3)), xs)[0][1].sum()

    closed = fg.make_jaxpr(lambda xs, dots: fg.jvp(f, (xs,), (dots,))[1])(xs, xs)
    loops = [e for e in closed.eqns if e.primitive.name == "scan"]
    assert [e.params["n_carry"] for e in loops] == [2, 1]


def test_linear_time():
    """Each equation is looked at once."""
    looks = []

    def count(n):
        closed = fg.make_jaxpr(lambda x: [x := np.sin(x) for _ in range(n)][-1])(X)

        class Counted(tuple):
            def __iter__(self):
                looks.append(1)
                return super().__iter__()

        for e in closed.eqns:
            e.inputs = Counted(e.inputs)
        looks.clear()
        assert depends(closed.jaxpr, [True]) == [True]
        return len(looks)

    assert count(200) == 200
    assert count(400) == 400

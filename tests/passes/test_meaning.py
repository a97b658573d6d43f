"""Each pass keeps the meaning of programs, gives well-formed ones, and finds nothing more to do the second time."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import assert_same_meaning, evaluated

import fungrad as fg
from fungrad.control.call import inline
from fungrad.passes.algebra import algebra
from fungrad.passes.cse import cse
from fungrad.passes.dce import dce
from fungrad.passes.fold import fold
from fungrad.passes.optimize import optimize
from fungrad.passes.partition import partition
from fungrad.passes.scalars import scalars
from fungrad.passes.shifts import shifts
from fungrad.testing import random_program

PASSES = {
    "dce": dce,
    "cse": cse,
    "fold": fold,
    "algebra": algebra,
    "scalars": scalars,
    "shifts": shifts,
    "optimize": optimize,
    "inline": inline,
}

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 1e-320, 1.0]


def forms_of(program):
    """Functions that a program gives rise to, with jaxprs of many kinds of equations."""
    f = lambda *xs: np.sum(np.sin(program(*xs)))
    return {
        "value": program,
        "grad": fg.grad(f, (0, 1)),
        "jit of grad of jit": fg.jit(fg.grad(fg.jit(f), (0, 1))),
        "jvp": lambda x, y: fg.jvp(program, (x, y), (np.cos(x), np.ones(np.shape(y)))),
        "vmap": lambda x, y: fg.vmap(lambda t: program(x * t, y))(np.array([0.5, 1.0, 2.0])),
        "calls": lambda x, y: fg.jit(program)(x, y) * fg.jit(lambda x, y: fg.jit(program)(x * 1.0, y))(x, y),
    }


@pytest.mark.parametrize("name", list(PASSES))
def test_meaning(name):
    """On random programs and their transforms, at ordinary points."""

    @settings(max_examples=15)
    @given(st.integers(0, 2**32))
    def check(seed):
        program = random_program(random.Random(seed).choice, 2)
        for form in forms_of(program).values():
            closed = fg.make_jaxpr(form)(*program.args)
            closed = inline(closed) if name != "inline" else closed
            assert_same_meaning(PASSES[name](closed), closed, program.args)

    check()


@pytest.mark.parametrize("name", list(PASSES))
def test_special_values(name):
    """Where a program gives nan or an infinity so does what a pass makes of it, and nowhere else."""

    @settings(max_examples=25)
    @given(st.integers(0, 2**32), st.lists(st.sampled_from(SPECIAL), min_size=12, max_size=12))
    def check(seed, values):
        program = random_program(random.Random(seed).choice, 2, steps=(1, 2, 3, 4))
        args = [np.resize(np.roll(values, k), np.shape(x))[()] for k, x in enumerate(program.args)]
        closed = inline(fg.make_jaxpr(program)(*args))
        assert_same_meaning(PASSES[name](closed), closed, args)

    check()


def _draw_formula(choose, depth):
    """A formula in x and y of what the rules look for: signs, ones, zeros, powers of two, small powers, shapes."""
    if depth == 0:
        return choose(("x", "y", "x", "y", "1.0", "2.0", "0.5", "4.0", "-1.0", "3.0", "0.0", "2", "1", "-1"))
    form = choose((
        "-({a})", "({a}) * ({b})", "({a}) + ({b})", "({a}) - ({b})", "({a}) / ({b})", "np.square({a})", "({a}) ** 2",
        "({a}) ** 3", "({a}) ** -1", "({a}) * 1", "({a}) - 0", "({a}) / 4", "({a}) * 2.0", "({a}) + ({a})",
        "np.abs({a})",
        "np.broadcast_to({a}, (2, 3))", "np.sum(np.broadcast_to({a}, (4, 2, 3)), axis=0)", "np.sum({a}) * x",
        "np.sum(({a}) * ({b})) + y", "np.maximum({a}, {b})", "np.transpose(np.broadcast_to({a}, (2, 3))).T",
        "np.reshape(np.reshape(np.broadcast_to({a}, (2, 3)), -1), (2, 3))", "np.sum(-({a})) + x", "np.exp({a})",
        "np.where(x > y, {a}, {b})",
    ))  # fmt: skip
    return form.format(a=_draw_formula(choose, depth - 1), b=_draw_formula(choose, choose(range(depth))))


@pytest.mark.parametrize("special", [False, True], ids=["ordinary", "special"])
@pytest.mark.parametrize("dtype", ["d", "f", "D", "l"])
def test_formulae_that_the_rules_look_for(dtype, special):
    """Random formulae of negations, neutral elements, powers, broadcasts and sums, in several dtypes."""

    @settings(max_examples=60)
    @given(st.integers(0, 2**32))
    def check(seed):
        draw = random.Random(seed)
        text = _draw_formula(draw.choice, draw.choice((2, 3, 4)))
        f = eval(f"lambda x, y: {text}", {"np": np})
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 3)) * 3.0, rng.normal(size=3) * 3.0
        if special:
            x, y = rng.choice(SPECIAL, (2, 3)), rng.choice(SPECIAL, 3)
        if dtype == "D":
            x, y = x + 1j * rng.normal(size=x.shape), y + 1j * rng.normal(size=3)
        if dtype == "l":
            x, y = rng.integers(1, 5, (2, 3)), rng.integers(1, 5, 3)
        x, y = x.astype(dtype), y.astype(dtype)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                f(x, y)
                closed = fg.make_jaxpr(f)(x, y)
            except (TypeError, ValueError, ArithmeticError):
                return
            for run in (algebra, optimize):
                assert_same_meaning(run(closed), closed, (x, y), 1e-4 if dtype == "f" else 1e-9)

    if special and dtype in "lD":
        pytest.skip("integers have none; products of complex infinities are not defined")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check()


@pytest.mark.parametrize("name", list(PASSES))
def test_idempotent(name):
    """A second run changes nothing."""
    run = PASSES[name]

    @settings(max_examples=20)
    @given(st.integers(0, 2**32))
    def check(seed):
        program = random_program(random.Random(seed).choice, 2)
        for form in forms_of(program).values():
            closed = fg.make_jaxpr(form)(*program.args)
            once = run(closed if name == "inline" else inline(closed))
            if name == "algebra":  # what no one reads any more counts as a use
                once = dce(once)
                assert str(dce(run(once))) == str(once)
            else:
                assert str(run(once)) == str(once)

    check()


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_inlining_leaves_no_call(seed):
    """Calls at any depth are replaced by their equations, weak numbers and constants in them included."""
    program = random_program(random.Random(seed).choice, 2)
    c = np.arange(3.0)
    inner = fg.jit(lambda x, y: np.sum(program(x, y)) * 1.0 + np.sum(c))
    outer = fg.jit(lambda x, y: inner(x, y) * inner(y=y, x=x) + inner(x, y))
    closed = fg.make_jaxpr(lambda x, y: outer(x, y) - fg.jit(lambda s: s)(2.0))(*program.args)
    after = inline(closed)
    assert "call" in {e.primitive.name for e in closed.eqns}
    assert "call" not in {e.primitive.name for e in after.eqns}
    assert_same_meaning(after, closed, program.args)


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.booleans())
def test_partition(seed, first_known):
    """The first program and the rest one after the other are the whole; the first depends on known arguments alone."""
    program = random_program(random.Random(seed).choice, 2)
    inner = random_program(random.Random(seed + 1).choice, 1, shapes=(np.shape(program.args[1 - first_known]),))
    known = [first_known, not first_known]

    def f(x, y):
        given = x if first_known else y
        return inner(given), given, program(x, y), np.sum(np.sin(given)) * program(x, y)

    closed = optimize(fg.make_jaxpr(f)(*program.args))
    first, rest = partition(closed, known, 2)
    fg.check_jaxpr(first)
    fg.check_jaxpr(rest)
    given = [x for x, k in zip(program.args, known, strict=True) if k]
    unknown = [x for x, k in zip(program.args, known, strict=True) if not k]
    outs = evaluated(first, given)
    results, residuals = outs[:2], outs[2:]
    assert len(rest.jaxpr.invars) == len(residuals) + 1
    results += evaluated(rest, [*residuals, *unknown])
    for a, b in zip(results, evaluated(closed, program.args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_partition_keeps_little():
    """No residual twice; views and broadcasts are made again; what only the first part needs is not handed on."""

    def f(x, y):
        s = np.sin(x)
        wide = np.broadcast_to(s, (4, 3))
        return np.cos(s), (wide * y + s.reshape(1, 3) * s) * np.exp(x).T

    first, rest = partition(optimize(fg.make_jaxpr(f)(np.ones(3), np.ones((4, 3)))), [True, False], 1)
    residuals = first.out_avals[1:]
    assert all(a.size == 3 for a in residuals)
    assert len(residuals) <= 3
    assert len({id(v) for v in first.jaxpr.outvars}) == len(first.jaxpr.outvars)
    assert "cos" not in {e.primitive.name for e in rest.eqns}


def test_partition_of_all_or_nothing():
    """With everything known the rest hands results on; with nothing known the first part is of constants."""
    closed = optimize(fg.make_jaxpr(lambda x, y: (np.sin(x), x * y))(2.0, 3.0))
    first, rest = partition(closed, [True, True], 1)
    outs = evaluated(first, [2.0, 3.0])
    assert [float(y) for y in (outs[0], *evaluated(rest, outs[1:]))] == [np.sin(2.0), 6.0]
    closed = optimize(fg.make_jaxpr(lambda x, y: (x * y, x + y))(2.0, 3.0))
    first, rest = partition(closed, [False, False], 0)
    outs = evaluated(first, [])
    assert [float(y) for y in evaluated(rest, [*outs, 2.0, 3.0])] == [6.0, 5.0]

"""The order of steps: each equation is run once, after what it reads, whatever the groups are."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.large_programs import large_program

import fungrad as fg
from fungrad.compile import schedule as module
from fungrad.compile.schedule import Group, Single, schedule
from fungrad.core.ir import Var
from fungrad.core.lowering import ROWS
from fungrad.testing import random_program


def check_steps(jaxpr, steps):
    """Every equation exactly once, each after the definitions of its operands; groups are what they say."""
    run = [e for s in steps for e in s.eqns]
    assert len(run) == len(jaxpr.eqns)
    assert {id(e) for e in run} == {id(e) for e in jaxpr.eqns}
    defined = {*jaxpr.constvars, *jaxpr.invars}
    for step in steps:
        if isinstance(step, Group):
            check_group(step, defined)
        for eqn in step.eqns:
            assert all(v in defined for v in eqn.inputs if isinstance(v, Var))
            defined.update(eqn.outputs)
    assert all(v in defined for v in jaxpr.outvars if isinstance(v, Var))


def check_group(group, before):
    """Inputs and whole operands come from outside; members and inputs have the rows; no end is read within."""
    assert group.eqns
    inside = set()
    for eqn in group.eqns:
        (out,) = eqn.outputs
        for v, carried in zip(eqn.inputs, group.carried[eqn], strict=True):
            if not isinstance(v, Var):
                assert not carried
            elif v in inside:
                assert carried and v in group.members and v not in group.ends
            else:
                assert v in before
                assert not carried or v in group.inputs
            if carried and not group.flat:
                assert v.aval.shape[0] == group.rows
            elif carried:
                assert v.aval.size == group.rows
        inside.add(out)
        assert (out in group.members) != (out in group.ends)
        if out in group.members and not group.flat:
            assert out.aval.shape[0] == group.rows


@pytest.mark.parametrize("seed", range(400, 520))
def test_random_programs_of_large_arrays(seed):
    """Random graphs of equations over arrays that share axes in many ways."""
    program = large_program(seed)
    closed = fg.make_jaxpr(program)(*program.args)
    check_steps(closed.jaxpr, schedule(closed.jaxpr))
    optimized = fg.jit(program).lower(*program.args).optimized.jaxpr
    check_steps(optimized, schedule(optimized))


@pytest.mark.parametrize("seed", range(520, 540))
def test_gradients_of_large_arrays(seed):
    """Gradients have other graphs: values of the forward pass are read late, in reversed order."""
    program = large_program(seed)
    f = lambda *xs: sum(np.sum(np.sin(y)) for y in program(*xs))
    jaxpr = fg.jit(fg.grad(f, tuple(range(len(program.args))))).lower(*program.args).optimized.jaxpr
    check_steps(jaxpr, schedule(jaxpr))


@settings(max_examples=80)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 24]))
def test_small_arrays_taken_for_large(seed, open_groups):
    """The same for programs of all primitives, where every array counts as large; with few groups open at a time."""
    program = random_program(random.Random(seed).choice, 2, steps=(8, 12, 16))
    f = fg.grad(lambda x, y: np.sum(np.sin(program(x, y))), (0, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LARGE", 1)
        patch.setattr(module, "OPEN", open_groups)
        for fun in (program, f):
            jaxpr = fg.make_jaxpr(fun)(*program.args).jaxpr
            steps = schedule(jaxpr)
            check_steps(jaxpr, steps)


def test_a_chain_is_one_group():
    """A chain of elementwise equations, with the sum that ends it, is one group; what reads the sum is not in it."""

    def f(x):
        y = np.sin(x) * x + 1.0
        s = y.sum()
        return np.cos(y) * 2.0, s, s * 3.0

    steps = schedule(fg.make_jaxpr(f)(np.ones(20_000)).jaxpr)
    (group,) = [s for s in steps if isinstance(s, Group)]
    assert group.flat
    assert [e.primitive.name for e in group.eqns] == ["sin", "mul", "add", "sum", "cos", "mul"]
    assert list(group.ends.values()) == [np.add]
    assert len(steps) == 2


def test_small_arrays_make_no_groups():
    """Below the limit everything is a single step, in the order of the program."""
    jaxpr = fg.make_jaxpr(lambda x: np.sin(x) * x + x.sum())(np.ones(100)).jaxpr
    steps = schedule(jaxpr)
    assert all(isinstance(s, Single) for s in steps)
    assert [s.eqn for s in steps] == list(jaxpr.eqns)


def test_what_must_not_join():
    """An equation that needs the whole of a group's result, directly or through others, is not in the group."""

    def f(x):
        y = np.sin(x)
        normed = y / y.sum()  # all of y before any of this
        shifted = normed - np.cumsum(normed)[-1]
        return shifted * y

    jaxpr = fg.make_jaxpr(f)(np.ones(20_000)).jaxpr
    steps = schedule(jaxpr)
    check_steps(jaxpr, steps)
    assert sum(isinstance(s, Group) for s in steps) >= 2


def test_reductions_over_rows_end_a_group():
    """The ends of a group are combined by the right function; sums over other axes are rows."""

    def f(x):
        y = np.exp(x)
        return y.sum(axis=0), y.max(axis=0), y.min(axis=0), y.sum(axis=1), y.max(axis=1)

    jaxpr = fg.make_jaxpr(f)(np.ones((5000, 4))).jaxpr
    groups = [s for s in schedule(jaxpr) if isinstance(s, Group)]
    kinds = {e.outputs[0]: e for g in groups for e in g.eqns}
    assert len(kinds) == 6
    ends = {v: u for g in groups for v, u in g.ends.items()}
    assert [ends.get(v, ROWS) for v in jaxpr.outvars] == [np.add, np.maximum, np.minimum, ROWS, ROWS]


def test_linear_in_the_number_of_equations():
    """Scheduling a program of four times as many equations takes about four times as long."""

    def jaxpr_of(n):
        def f(x, y):
            for k in range(n):
                x, y = np.sin(x) + 0.1 * k, (y * x).sum() * y if k % 50 == 0 else y - x
            return x, y

        return fg.make_jaxpr(f)(np.ones(9000), np.ones(9000)).jaxpr

    def seconds(jaxpr):
        best = np.inf
        for _ in range(3):
            start = time.process_time()
            schedule(jaxpr)
            best = min(best, time.process_time() - start)
        return best

    small, large = jaxpr_of(500), jaxpr_of(2000)
    check_steps(large, schedule(large))
    assert seconds(large) < 12.0 * seconds(small)


def test_views_of_pieces_are_not_taken_as_one_axis():
    """Slices of columns, whose elements are not one after the other, would be copied for that; slices of rows not."""
    x = np.random.default_rng(0).standard_normal((200, 200))
    lengths = lambda x: np.sum(np.sqrt(1.0 + (x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2))
    heights = lambda x: np.sum(np.sqrt(1.0 + (x[1:] - x[:-1]) ** 2))
    turned = lambda x: np.sum(np.sqrt(1.0 + (x.T - 0.5) ** 2) * np.exp(x.T))
    for f, flat in ((lengths, False), (heights, True), (turned, False)):
        closed = fg.jit(f).lower(x).optimized
        groups = [s for s in schedule(closed.jaxpr) if isinstance(s, Group)]
        assert [g.flat for g in groups] == [flat]
        np.testing.assert_allclose(fg.jit(fg.grad(f))(x), fg.grad(f)(x), rtol=1e-9, atol=1e-12)

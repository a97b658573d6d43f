"""Recording: with values into a tape, abstractly into a jaxpr."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.record import record_jaxpr, record_values
from fungrad.core.trace import Tracer
from fungrad.errors import UnexpectedTracerError

VEC = ShapedArray((3,), np.float64)


def test_record_values_runs_once_and_returns_values_one_level_down():
    """The function runs once on tracers of the values; results are plain."""
    calls = []

    def f(x, y):
        calls.append((type(x), type(y)))
        return [np.sin(x) * y, y, 7]

    outs, tape = record_values("test", f, [0.5, np.ones(2)], f)
    assert calls == [(Tracer, Tracer)]
    np.testing.assert_allclose(outs[0], np.sin(0.5) * np.ones(2))
    assert type(outs[0]) is np.ndarray
    assert outs[2] == 7
    assert len(tape.entries) == 2
    assert tape.in_ids == [0, 1]
    assert tape.out_ids[1:] == [1, None]
    assert tape.size > tape.out_ids[0]


def test_results_that_do_not_depend_on_the_inputs_have_no_id():
    """Constants, comparisons and integers are no results of the recording."""
    _, tape = record_values(
        "test", lambda x: [x > 0, np.argmax(x), 3.0, np.ones(2) + 1, x.astype(int)], [np.ones(3)], len
    )
    assert tape.out_ids == [None] * 5
    assert tape.entries == []


def test_record_values_ends_the_recording_when_the_function_raises():
    """The tracer of a function that raised is dead."""
    leak = []

    def f(x):
        leak.append(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        record_values("test", f, [1.0], f)
    with pytest.raises(UnexpectedTracerError):
        leak[0] + 1.0
    with pytest.raises(KeyError, match="mine"):
        record_jaxpr("test", f, [VEC], f)
    with pytest.raises(UnexpectedTracerError):
        leak[1] + 1.0


def test_record_jaxpr_knows_types_only():
    """Abstract tracers have no values, and NumPy computes nothing but probes."""
    seen = []

    def f(x):
        y = x * 2.0
        seen.append(y.value)
        return [y]

    closed = record_jaxpr("test", f, [VEC], f)
    assert seen == [VEC]
    fg.check_jaxpr(closed)


def test_pruning_drops_what_no_result_needs():
    """With prune the dead equations go, without it they stay; what results need stays in order."""

    def f(x):
        _ = np.exp(x) * 2.0
        y = np.sin(x)
        _ = y + 1.0
        return [y * x]

    names = [e.primitive.name for e in record_jaxpr("test", f, [VEC], f).eqns]
    assert names == ["sin", "mul"]
    full = [e.primitive.name for e in record_jaxpr("test", f, [VEC], f, prune=False).eqns]
    assert full == ["exp", "mul", "sin", "add", "mul"]


def test_pruning_drops_constants_that_only_dead_equations_used():
    """A constant is kept only if an equation reads it."""
    c, d = np.ones(3), np.full(3, 2.0)

    def f(x):
        _ = x * c
        return [x * d]

    (kept,) = record_jaxpr("test", f, [VEC], f).consts
    np.testing.assert_array_equal(kept, d)


def test_one_constvar_per_array():
    """The same array is one constant; equal arrays that are two objects are two; scalars are literals."""
    c = np.ones(3)
    closed = record_jaxpr("test", lambda x: [x * c + c, c, x * np.ones(3), x * np.float64(2.0)], [VEC], len)
    assert len(closed.consts) == 2
    np.testing.assert_array_equal(closed.consts[0], c)
    assert closed.consts[0] is not c  # a snapshot: the user may write into c afterwards
    fg.check_jaxpr(closed)


def test_closed_over_outer_tracers_are_constants():
    """A tracer of the enclosing recording is a constant of the inner jaxpr, with its type."""

    def outer(x):
        closed = record_jaxpr("test", lambda y: [x * y + x], [VEC], len)
        (const,) = closed.consts
        # A name of its own for the same array: assignment to x later on does not change the jaxpr.
        assert const is not x and const.recording is x.recording and const.id == x.id
        fg.check_jaxpr(closed)
        return fg.eval_jaxpr(closed, (), np.ones(3))[0].sum()

    np.testing.assert_array_equal(fg.grad(outer)(np.arange(3.0)), [2.0, 2.0, 2.0])


def test_an_unused_input_stays_an_input():
    """Signatures do not change by pruning."""
    closed = record_jaxpr("test", lambda x, y: [y], [VEC, VEC], len)
    assert len(closed.jaxpr.invars) == 2
    assert closed.jaxpr.outvars == (closed.jaxpr.invars[1],)


def test_equations_know_the_users_line():
    """Source information is the innermost line outside fungrad and NumPy."""

    def f(x):
        return [np.linalg.norm(x) if False else np.tanh(x)]

    (eqn,) = record_jaxpr("test", f, [VEC], f).eqns
    code, line = eqn.source
    assert code is f.__code__
    assert line == f.__code__.co_firstlineno + 1


def test_weak_inputs_are_recorded_as_weak():
    """A Python float recorded abstractly does not promote float32."""
    closed = record_jaxpr("test", lambda s, x: [x * s], [typeof(2.0), ShapedArray((3,), np.float32)], len)
    assert closed.out_avals == (ShapedArray((3,), np.float32),)


def test_returning_a_tracer_of_an_inner_recording_is_an_error():
    """A result must not be a tracer that leaked out of a nested transform."""
    leak = []

    def outer(x):
        fg.grad(lambda y: (leak.append(y), y)[1])(x)
        return leak[0]

    with pytest.raises(UnexpectedTracerError, match="leaked"):
        fg.grad(outer)(1.0)

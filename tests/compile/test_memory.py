"""The plan of memory: what shares memory with what, when it is free, and that no two live arrays are in one place."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.large_programs import large_program

import fungrad as fg
from fungrad.compile.memory import Workspace, deaths, owners_of
from fungrad.compile.schedule import schedule
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import Literal, Var
from fungrad.testing import random_program

AVALS = [
    ShapedArray(shape, dtype)
    for shape in ((1,), (7,), (8, 8), (100,), (10, 10), (1000,), (33, 31), (5000,), (0,), (2, 0))
    for dtype in ("f8", "f4", "c16", "i1", "?")
]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(AVALS), st.integers(0, 10)), min_size=1, max_size=40))
def test_live_arrays_do_not_overlap(requests):
    """Slots are taken and given back at random: arrays that are live at the same time share no byte."""
    workspace = Workspace()
    live, history = [], []
    for aval, release in requests:
        slot, number = workspace.take(aval)
        live.append((slot, number, aval))
        history.append([(n, a) for _, n, a in live])
        if release < len(live):
            workspace.give_back(live.pop(release)[0])
    arrays = workspace.allocate()
    for alive in history:
        for k, (number, aval) in enumerate(alive):
            a = arrays[number]
            assert (a.shape, a.dtype) == (aval.shape, aval.dtype)
            assert a.flags.aligned and a.flags.writeable and a.flags.c_contiguous
            assert not any(np.shares_memory(a, arrays[n]) for n, _ in alive[:k])
    assert workspace.bytes <= sum([1.125 * a.size * a.dtype.itemsize + 64 for h in history for _, a in h[-1:]])


def test_slots_are_used_again():
    """A slot that was given back serves the next array of about its size, of any shape and dtype."""
    workspace = Workspace()
    for k in range(20):
        slot, _ = workspace.take(ShapedArray((1000 - k % 3,), ("f8", "i8")[k % 2]))
        workspace.give_back(slot)
    assert len(workspace.slots) == 1
    assert workspace.bytes <= 1.13 * 8000


def evaluated(closed, args):
    """The value of every variable of a jaxpr."""
    jaxpr = closed.jaxpr
    values = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        operands = [a.value if isinstance(a, Literal) else values[a] for a in eqn.inputs]
        out = eqn.primitive.bind(*operands, **eqn.params)
        values.update(zip(eqn.outputs, out if eqn.primitive.multiple else (out,), strict=True))
    return values


def check_owners(closed, args):
    """Arrays that share memory have an owner in common."""
    owners = owners_of(closed.jaxpr)
    values = [(v, x) for v, x in evaluated(closed, args).items() if isinstance(x, np.ndarray) and x.ndim]
    for k, (v, x) in enumerate(values):
        assert owners[v]
        for w, y in values[:k]:
            if np.may_share_memory(x, y) and np.shares_memory(x, y):
                assert set(owners[v]) & set(owners[w]), (v, w)


def check_deaths(jaxpr):
    """By definition: an owner dies with the last step that reads or makes an array in it, unless a result is in it."""
    owners = owners_of(jaxpr)
    steps = [s.eqns for s in schedule(jaxpr)]
    last = {}
    for k, eqns in enumerate(steps):
        for eqn in eqns:
            for v in (*eqn.inputs, *eqn.outputs):
                for o in owners.get(v, ()) if isinstance(v, Var) else ():
                    last[o] = k
    kept = {o for v in jaxpr.outvars if isinstance(v, Var) for o in owners.get(v, ())}
    for k, dead in enumerate(deaths(steps, owners, jaxpr.outvars)):
        assert len(set(dead)) == len(dead)
        assert set(dead) == {o for o, n in last.items() if n == k and o not in kept}


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_owners_and_deaths(seed):
    """For random programs and their gradients, against the values' real memory and the definition."""
    program = random_program(random.Random(seed).choice, 2)
    for f in (program, fg.grad(lambda x, y: np.sum(np.sin(program(x, y))), (0, 1))):
        closed = fg.jit(f).lower(*program.args).optimized
        check_owners(closed, program.args)
        check_deaths(closed.jaxpr)


@pytest.mark.parametrize("seed", range(600, 620))
def test_owners_and_deaths_of_large_programs(seed):
    """The same where equations run in groups."""
    program = large_program(seed)
    closed = fg.jit(program).lower(*program.args).optimized
    check_owners(closed, program.args)
    check_deaths(closed.jaxpr)


@pytest.fixture
def poisoned(monkeypatch):
    """Workspaces and scratch arrays begin as nan instead of as anything, and so does what NumPy leaves empty."""
    allocate = Workspace.allocate

    def filled(self):
        arrays = allocate(self)
        for a in arrays:
            a.view(np.uint8)[...] = 255
        return arrays

    monkeypatch.setattr(Workspace, "allocate", filled)
    empty = np.empty

    def full_of_nan(shape, dtype=float, *args, **kwargs):
        a = empty(shape, dtype, *args, **kwargs)
        if a.dtype.kind in "fc":
            a[...] = np.nan
        return a

    monkeypatch.setattr(np, "empty", full_of_nan)


@pytest.mark.parametrize("seed", range(700, 730))
def test_nothing_is_read_before_it_is_written(seed, poisoned):
    """With memory full of nan the results are the same, in the first call and in later ones."""
    program = large_program(seed)
    expected = program(*program.args)
    f = lambda *xs: sum(np.mean(np.sin(y)) for y in program(*xs))
    gradient = fg.grad(f)(*program.args)
    j, g = fg.jit(program), fg.jit(fg.grad(f))
    for _ in range(2):
        for a, b in zip(j(*program.args), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10, err_msg=repr(program))
        np.testing.assert_allclose(g(*program.args), gradient, rtol=1e-8, atol=1e-10, err_msg=repr(program))


@pytest.mark.parametrize("seed", range(800, 815))
def test_results_of_earlier_calls_stay(seed):
    """Calls with other arguments change no result of an earlier call, and share no memory with it."""
    program = large_program(seed)
    j = fg.jit(program)
    first = j(*program.args)
    kept = [np.copy(y) for y in first]
    for scale in (2.0, -1.0, 0.0):
        later = j(*[x * scale for x in program.args])
        for y in later:
            if isinstance(y, np.ndarray):
                assert not any(np.shares_memory(y, z) for z in first)
                assert y.flags.writeable
    for y, want in zip(first, kept, strict=True):
        np.testing.assert_array_equal(y, want)


def _chain(x):
    y = np.sin(x)
    for k in range(6):
        y = np.fft.ifft(np.fft.fft(y)).real + 0.1 * k  # no group: every step has a large result
    return y * 2.0


def _elementwise(x):
    y = x
    for k in range(30):
        y = np.sin(y) * x + 0.1 * k
    return y


FUNCTIONS = {
    "elementwise": _elementwise,
    "gradient": fg.grad(lambda x: _elementwise(x).sum()),
    "steps": _chain,
    "product": lambda x: np.tanh(np.tanh(x.reshape(400, -1) @ x.reshape(-1, 400)) @ x.reshape(400, -1)).sum(),
}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_the_peak_is_the_planned_one(name):
    """``cost().peak_bytes`` is within a fifth of what tracemalloc measures in a first call."""
    x = np.linspace(0.0, 1.0, 200_000)
    j = fg.jit(FUNCTIONS[name])
    planned = j.lower(x).cost().peak_bytes
    np.fft.fft(x)
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        j(x)
        measured = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert 0.8 * measured - 1e5 <= planned <= 1.2 * measured + 1e5


def test_memory_does_not_grow_with_calls():
    """Many calls, also of many threads' worth of workspaces, keep no more memory than a few."""
    x = np.linspace(0.0, 1.0, 100_000)
    j = fg.jit(_elementwise)
    for _ in range(3):
        j(x)
    tracemalloc.start()
    try:
        for _ in range(5):
            j(x)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(30):
            j(x)
        assert tracemalloc.get_traced_memory()[0] - first < 100_000
    finally:
        tracemalloc.stop()

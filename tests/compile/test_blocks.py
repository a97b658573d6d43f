"""Loops over blocks of rows: boundaries of blocks at awkward sizes, tiny blocks, any number of threads."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from catalogue import ROWS
from catalogue.cases import Case, assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from support.large_programs import large_program
from test_laws import assert_equal, programs

import fungrad as fg
from fungrad.compile import blocks, executor, schedule
from fungrad.compile.blocks import BlockLoop
from fungrad.compile.schedule import Group
from fungrad.compile.source import Source


def shrink_blocks(patch, block=4, cache=1 << 8, large=2, row=1 << 15):
    """Make blocks so small that arrays of a few elements run in several, on several threads."""
    patch.setattr(schedule, "LARGE", large)
    patch.setattr(schedule, "MAX_ROW", row)
    patch.setattr(blocks, "BLOCK", block)
    patch.setattr(blocks, "CACHE", cache)
    patch.setattr(blocks, "WORTH_A_THREAD", 1e-12)
    patch.setattr(blocks, "WORTH_SHARING", 0.0)
    patch.setattr(blocks, "FEWEST_BLOCKS", 1)
    patch.setenv("FUNGRAD_NUM_THREADS", "2")


@pytest.fixture
def tiny_blocks(monkeypatch):
    """Blocks of four elements or fewer."""
    shrink_blocks(monkeypatch)


def f_of_vector(x):
    """Flat: elementwise, and reductions of all kinds at the end."""
    y = np.sin(x) * x + 0.5
    z = np.where(y > 0.3, y, x)
    return y, z * 2.0, z.sum(), y.max(), z.min(), (y * z).sum(), (y > 0).any()


def f_of_matrix(x):
    """Rows: broadcasts along both axes, reductions of both axes."""
    y = np.exp(-x * x) + x[:, :1] - x[0]
    z = y / y.sum(axis=1, keepdims=True)
    return z, z.sum(axis=0), y.max(axis=1), y.min(axis=0), y.sum(), z @ x[:2].T


SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 31, 61, 64, 65, 67, 97, 127, 128, 129)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("block", [1, 4, 7, 64])
def test_boundaries_of_blocks(n, block, monkeypatch):
    """Sizes 1, B - 1, B, B + 1, multiples, primes: each row is computed once, and in its place."""
    shrink_blocks(monkeypatch, block, 1 << 20)
    x = np.random.default_rng(n).normal(size=n)
    for a, b in zip(fg.jit(lambda x: f_of_vector(x))(x), f_of_vector(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    m = np.random.default_rng(n).normal(size=(max(n, 2), 3))
    for a, b in zip(fg.jit(lambda x: f_of_matrix(x))(m), f_of_matrix(m), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 100, 1000, 12_345, 65_536])
@pytest.mark.parametrize("block", [1, 3, 16, 1000])
def test_parts_cover_the_rows(n, block, monkeypatch):
    """The bounds of the parts begin at 0, end at the number of rows, rise, and are multiples of the block."""
    shrink_blocks(monkeypatch, block, 1 << 30)
    jaxpr = fg.make_jaxpr(lambda x: np.sin(x) * 2.0)(np.ones(n)).jaxpr
    for group in [s for s in schedule.schedule(jaxpr) if isinstance(s, Group)]:
        loop = BlockLoop(group, Source(), "group", {jaxpr.outvars[0]}, {})
        assert loop.bounds[0] == 0 and loop.bounds[-1] == n
        assert all(a < b for a, b in zip(loop.bounds, loop.bounds[1:], strict=False))
        assert all(b % loop.block == 0 for b in loop.bounds[:-1])
        assert len(loop.bounds) - 1 <= blocks.PARTS
        assert 1 <= loop.block <= block or loop.block == 1


@settings(max_examples=60)
@given(programs(inputs=2), st.sampled_from([1, 2, 3, 5]), st.sampled_from([64, 1 << 12]))
def test_random_programs_in_tiny_blocks(program, block, cache):
    """All kinds of programs and their gradients, with each small array cut into blocks."""
    f = lambda x, y: np.sum(np.sin(program(x, y)))
    expected, gradients = program(*program.args), fg.grad(f, (0, 1))(*program.args)
    with pytest.MonkeyPatch.context() as patch:
        shrink_blocks(patch, block, cache)
        assert_equal(fg.jit(program)(*program.args), expected)
        for a, b in zip(fg.jit(fg.grad(f, (0, 1)))(*program.args), gradients, strict=True):
            assert_equal(a, b)
        batch = [np.stack([x, 0.5 * x, 2.0 * x]) for x in program.args]
        assert_equal(fg.jit(fg.vmap(program))(*batch), fg.vmap(program)(*batch))


@pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in ROWS if r.batched])
def test_catalogue_in_tiny_blocks(row, tiny_blocks):
    """Each row of the catalogue, with something elementwise before and after it."""

    def f(*args):
        args = [np.sin(np.arcsin(x)) if _is_small(x) else x * 1 if np.ndim(x) else x for x in args]
        return fg.tree.map(lambda y: y * 2 if fg.typeof(y).dtype.kind in "fc" else y, row.fun(*args))

    case = Case(row, row.dtypes[0], row.shapes)
    args = case.args()
    try:
        expected = f(*args)
    except (TypeError, ValueError, Warning):
        pytest.skip("operands that cannot be computed with")
    single = any(np.asarray(y).dtype.char in "fFe" for y in fg.tree.leaves(expected))
    assert_close(fg.jit(f)(*args), fg.tree.map(lambda y: np.asarray(y)[()], expected), 2e-5 if single else 1e-10)


def _is_small(x):
    return isinstance(x, np.ndarray) and x.dtype == float and x.size and np.max(np.abs(x)) < 0.9


@pytest.mark.parametrize("seed", range(900, 930))
def test_large_programs_in_small_blocks(seed, monkeypatch):
    """Programs of large arrays in blocks of other sizes than usual, with long rows."""
    shrink_blocks(monkeypatch, random.Random(seed).choice((100, 1000, 3000)), 1 << 14, 1 << 10)
    program = large_program(seed)
    for a, b in zip(fg.jit(program)(*program.args), program(*program.args), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10, err_msg=repr(program))


# Threads


def results_with(threads, f, *args):
    """The results of a function that was compiled for a number of threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUNGRAD_NUM_THREADS", str(threads))
        return fg.jit(lambda *xs: f(*xs))(*args)


@pytest.mark.parametrize("n", [8192, 50_021, 300_000])
def test_results_do_not_depend_on_the_number_of_threads(n):
    """Bit by bit the same with one, two, three and seven threads; reductions included, their parts are the same."""
    rng = np.random.default_rng(n)
    x, m = rng.normal(size=n), rng.normal(size=(n // 4, 4))
    for f, arg in (
        (f_of_vector, x),
        (f_of_matrix, m),
        (fg.grad(lambda x: f_of_vector(x)[5]), x),
        (fg.grad(lambda m: np.sin(f_of_matrix(m)[0]).sum()), m),
    ):
        alone = fg.tree.leaves(results_with(1, f, arg))
        for threads in (2, 3, 7):
            for a, b in zip(fg.tree.leaves(results_with(threads, f, arg)), alone, strict=True):
                np.testing.assert_array_equal(a, b)
                assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_elementwise_groups_are_numpys_bit_by_bit():
    """Cutting into blocks changes no bit of an elementwise function."""
    x = np.random.default_rng(0).normal(size=100_003)
    f = lambda x: (np.sin(x) * np.exp(-x) + x / 3.0, np.tanh(x) - np.sqrt(np.abs(x)))
    for a, b in zip(fg.jit(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", ["0", "-1", "two", "1.5", " "])
def test_wrong_numbers_of_threads(bad, monkeypatch):
    """The message names the variable and what it was."""
    monkeypatch.setenv("FUNGRAD_NUM_THREADS", bad)
    with pytest.raises(ValueError, match="FUNGRAD_NUM_THREADS must be a positive integer") as caught:
        fg.jit(lambda x: np.sin(x) * 2.0)(np.ones(10_000))
    assert repr(bad) in str(caught.value)


def test_number_of_threads(monkeypatch):
    """The variable, or else the cores that this process may use."""
    monkeypatch.setenv("FUNGRAD_NUM_THREADS", "5")
    assert executor.thread_count() == 5
    monkeypatch.setenv("FUNGRAD_NUM_THREADS", "")
    assert executor.thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.delenv("FUNGRAD_NUM_THREADS")
    assert executor.thread_count() == len(os.sched_getaffinity(0))


def test_errstate_holds_on_all_threads(tiny_blocks):
    """np.errstate around a call holds for blocks that run on other threads; an exception there is raised here."""
    x = np.ones(100_000)
    x[-1] = 0.0  # in the last part
    j = fg.jit(lambda x: np.log(x * 2.0) + 1.0)
    for _ in range(20):
        with np.errstate(divide="ignore"):
            assert j(x)[-1] == -np.inf
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            j(x)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        j(x)


def test_an_exception_waits_for_all_blocks(tiny_blocks):
    """After a failed call no thread goes on writing: the next call is right."""
    x = np.linspace(1.0, 2.0, 200_000)
    bad = x.copy()
    bad[::50_000] = 0.0
    j = fg.jit(lambda x: 1.0 / (np.sin(x) * x))
    want = 1.0 / (np.sin(x) * x)
    for _ in range(10):
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            j(bad)
        np.testing.assert_array_equal(j(x), want)


def test_many_threads_run_blocked_programs(tiny_blocks):
    """Several threads of the user, each of whose calls runs on several threads."""
    rng = np.random.default_rng(0)
    data = [rng.normal(size=3001) for _ in range(8)]
    j = fg.jit(lambda x: f_of_vector(x))
    wrong = []

    def work(k):
        for _ in range(10):
            for a, b in zip(j(data[k]), f_of_vector(data[k]), strict=True):
                if not np.allclose(a, b, rtol=1e-12):
                    wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60.0)
    assert not any(t.is_alive() for t in threads)
    assert not wrong


def test_blocks_within_a_callback_of_a_thread():
    """A compiled call inside of another thread pool's work, and nested grads, do not wait for each other."""
    from concurrent.futures import ThreadPoolExecutor

    x = np.linspace(0.0, 1.0, 60_000)
    g = fg.jit(fg.grad(lambda x: np.sum(np.sin(x) * x)))
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: g(x), range(16)):
            np.testing.assert_allclose(got, np.sin(x) + x * np.cos(x))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork():
    """Threads do not survive a fork: a child process starts its own."""
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, fungrad as fg
x = np.linspace(0.0, 1.0, 400_000)
f = fg.jit(lambda x: np.sin(x) * np.exp(x) + np.tanh(x))
want = np.sin(x) * np.exp(x) + np.tanh(x)
assert np.array_equal(f(x), want)
pid = os.fork()
if pid == 0:
    ok = np.array_equal(f(x), want) and np.array_equal(fg.jit(lambda x: f(x) * 2.0)(x), 2.0 * want)
    os._exit(0 if ok else 1)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""
    environment = {**os.environ, "FUNGRAD_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_the_interpreter_ends():
    """Threads that wait for work do not keep the process alive."""
    code = """
import numpy as np, fungrad as fg
x = np.linspace(0.0, 1.0, 400_000)
fg.jit(lambda x: np.sin(x) * np.exp(x) + np.tanh(x))(x)
"""
    environment = {**os.environ, "FUNGRAD_NUM_THREADS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment, capture_output=True)
    assert done.stderr == b""

"""Memory of large results is used again only when nobody refers to it in any way."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import fungrad as fg
from fungrad.compile.results import KEPT, LARGEST, SMALLEST, Results, Stacks

N = SMALLEST // 8 + 1000


def make():
    """A compiled function of a large array, and an argument."""
    return fg.jit(lambda x: np.sin(x) * 2.0 + x), np.linspace(0.0, 1.0, N)


def expected(x):
    """What it computes."""
    return np.sin(x) * 2.0 + x


HOLDERS = {
    "itself": lambda y: y,
    "a slice": lambda y: y[10:20],
    "an element's view": lambda y: y[5:6],
    "a reversed view": lambda y: y[::-1],
    "a reshaped view": lambda y: y[:1000].reshape(10, 100),
    "a view of a view": lambda y: y[1:][1:].T,
    "another dtype": lambda y: y.view(np.uint8),
    "a broadcast": lambda y: np.broadcast_to(y, (2, N)),
    "the base": lambda y: y.base if y.base is not None else y,
    "a memoryview": lambda y: memoryview(y),
    "an asarray": lambda y: np.asarray(y),
    "frombuffer": lambda y: np.frombuffer(y, np.float64),
    "a subclass": lambda y: y.view(np.matrix),
    "a list": lambda y: [{"y": (y,)}],
    "a closure": lambda y: lambda: y,
    "an iterator": lambda y: iter(y),
    "flat": lambda y: y.flat,
    "ctypes": lambda y: y.ctypes,
    "dlpack": lambda y: np.from_dlpack(y),
    "strided": lambda y: np.lib.stride_tricks.as_strided(y, (10,), (8,)),
    "a field": lambda y: y.view([("re", float)])["re"],
    "a masked array": lambda y: np.ma.array(y, copy=False),
    "real": lambda y: y.real,
    "another array's base": lambda y: np.ndarray((5,), float, y),
}


def content(held):
    """The numbers that something refers to."""
    if isinstance(held, list):
        held = held[0]["y"][0]
    if callable(held):
        held = held()
    if type(held).__name__ == "_ctypes":
        held = np.ctypeslib.as_array(held.data_as(np.ctypeslib.ctypes.POINTER(np.ctypeslib.ctypes.c_double)), (N,))
    if type(held).__name__ == "iterator" or hasattr(held, "__next__"):
        return np.array(list(held), dtype=float)
    return np.array(held)


@pytest.mark.parametrize("name", list(HOLDERS))
def test_what_somebody_refers_to_is_not_written(name):
    """However a result is held, later calls leave it alone."""
    f, x = make()
    held = HOLDERS[name](f(x))
    want = content(HOLDERS[name](expected(x)))
    for scale in range(2, 8):
        np.testing.assert_array_equal(f(scale * x), expected(scale * x))
        f(-x)
    np.testing.assert_array_equal(content(held), want)


def test_many_results_at_once():
    """More results than are kept: all of them are right, and share no memory."""
    f, x = make()
    results = [f(k * x) for k in range(3 * KEPT + 2)]
    for k, y in enumerate(results):
        np.testing.assert_array_equal(y, expected(k * x))
        assert not any(np.shares_memory(y, z) for z in results[:k])
        assert y.flags.writeable and y.flags.aligned and y.flags.c_contiguous


def test_memory_is_used_again():
    """What was dropped serves the next call: that is what it is for."""
    f, x = make()
    f(x)
    addresses = set()
    for _ in range(20):
        y = f(x)
        addresses.add(y.ctypes.data)
        del y
    assert len(addresses) <= KEPT + 1


def test_a_result_as_the_next_argument():
    """x = f(x) in a loop: the argument is not written to while it is read."""
    f, x = make()
    y, want = x, x
    for _ in range(10):
        y, want = f(y), expected(want)
    np.testing.assert_array_equal(y, want)
    g = fg.jit(lambda x: (np.cos(x), np.sin(x) * x))
    a, b = x, x
    p, q = x, x
    for _ in range(10):
        a, b = g(a + b * 0.0)
        p, q = np.cos(p + q * 0.0), np.sin(p) * p
    np.testing.assert_allclose(a, p, rtol=1e-13)


def test_results_that_are_changed_in_place():
    """A caller may write into results, and swap them."""
    f, x = make()
    y = f(x)
    y += 1.0
    z = f(x)
    z[...] = 0.0
    np.testing.assert_array_equal(y, expected(x) + 1.0)
    np.testing.assert_array_equal(f(x), expected(x))
    assert not z.any()


def test_derivatives_hold_what_they_need():
    """Residuals of a pull-back are not overwritten by later calls."""
    f, x = make()
    pulls = [(k, fg.vjp(f, k * x)[1]) for k in range(1, 6)]
    for _ in range(4):
        fg.grad(lambda x: f(x).sum())(x)
        f(7.0 * x)
    for k, pull in pulls:
        np.testing.assert_allclose(pull(np.ones(N))[0], 2.0 * np.cos(k * x) + 1.0, rtol=1e-12)


def test_threads():
    """Several threads that keep and drop results of one function at random."""
    f, x = make()
    want = [expected(k * x) for k in range(8)]
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        held = []
        for _ in range(60):
            k = int(rng.integers(8))
            held.append((k, f(k * x)))
            if len(held) > 4:
                del held[int(rng.integers(len(held)))]
            if not all(np.array_equal(y, want[k]) for k, y in held):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120.0)
    assert not any(t.is_alive() for t in threads)
    assert not wrong


def test_pickles_and_weak_references():
    """A result pickles by value; a weak reference to it dies with it."""
    f, x = make()
    y = f(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)), y)
    ref = weakref.ref(y)
    del y
    gc.collect()
    assert ref() is None
    np.testing.assert_array_equal(f(x), expected(x))


def test_under_a_tracer():
    """A trace function that looks at local variables, as debuggers do, makes no difference."""
    f, x = make()

    def look(frame, event, arg):
        dict(frame.f_locals)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        first = f(x)
        for k in range(2, 8):
            f(k * x)
    finally:
        sys.settrace(before)
    np.testing.assert_array_equal(first, expected(x))


def test_calibration_under_a_tracer():
    """Nor when it was there at the import."""
    import subprocess

    code = """
import sys
def look(frame, event, arg):
    if "results" in frame.f_code.co_filename:
        dict(frame.f_locals)
    return look
sys.settrace(look)
import numpy as np, fungrad as fg
sys.settrace(None)
f = fg.jit(lambda x: np.sin(x) * 2.0 + x)
x = np.linspace(0.0, 1.0, 40_000)
first = f(x)
for k in range(2, 8):
    f(k * x)
assert np.array_equal(first, np.sin(x) * 2.0 + x)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": ":".join(sys.path)})


def test_clear_caches_lets_go():
    """Memory that is kept for results goes with the programs."""
    import tracemalloc

    f = fg.jit(lambda x: np.sin(x) * 2.0 + x)
    x = np.linspace(0.0, 1.0, 500_000)
    tracemalloc.start()
    try:
        f(x)
        fg.clear_caches()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        f(x)
        f(x)
        fg.clear_caches()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()


def test_new_when_all_are_held():
    """`Results` itself: an array for each call, the same memory again only after it was dropped."""
    results = Results((N,), np.dtype(float))
    held = [results() for _ in range(2 * KEPT)]
    for k, y in enumerate(held):
        assert (y.shape, y.dtype) == ((N,), np.dtype(float))
        assert not any(np.shares_memory(y, z) for z in held[:k])
    address = held[0].ctypes.data
    view = held[0][3:5]
    held[0] = None
    assert all(results().ctypes.data != address for _ in range(2 * KEPT))
    del view
    assert any(results().ctypes.data == address for _ in range(2 * KEPT))


# Stacks


def test_stacks_of_any_length():
    """Arrays of so many rows: the memory of a large one is used again for that length alone, once it was dropped."""
    stacks = Stacks((4, 2), np.dtype("f"))
    rows = SMALLEST // 32 + 5
    first = stacks(rows)
    assert (first.shape, first.dtype) == ((rows, 4, 2), np.dtype("f"))
    first[...] = 1.0
    second, other = stacks(rows), stacks(rows + 1)
    assert other.shape == (rows + 1, 4, 2)
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, other)
    address, view = first.ctypes.data, first[3:5]
    del first
    assert all(stacks(rows).ctypes.data != address for _ in range(2 * KEPT))
    assert (view == 1.0).all()
    del view
    assert any(stacks(rows).ctypes.data == address for _ in range(2 * KEPT))


def test_small_and_huge_stacks_are_not_kept():
    """Small ones are new each time, as are those of no rows or no elements, and nothing is kept of them."""
    stacks = Stacks((3,), np.dtype(float))
    for rows in (0, 1, 7, SMALLEST // 24 - 1):
        assert stacks(rows).shape == (rows, 3)
    assert Stacks((0,), np.dtype(float))(10**6).shape == (10**6, 0)
    assert not stacks._by_length
    assert Stacks((), np.dtype(bool))(LARGEST + 1).shape == (LARGEST + 1,)


def test_few_lengths_are_kept():
    """A loop of many lengths does not hold memory for each."""
    stacks = Stacks((SMALLEST,), np.dtype(np.int8))
    held = [stacks(n) for n in range(1, 4 * KEPT)]
    assert len(stacks._by_length) <= KEPT
    for n, y in enumerate(held, 1):
        assert y.shape == (n, SMALLEST)
        assert not any(np.shares_memory(y, z) for z in held[: n - 1])

"""Compiled loops: their text, where they keep what they carry, and what they do at errors of Python's floats."""

from __future__ import annotations

import threading
import tracemalloc
import warnings

import numpy as np
import pytest

import fungrad as fg
from fungrad.compile.loop import build_scan, build_while
from fungrad.passes.optimize import optimize


def scan_of(body, consts, carry, row, n_rows=4):
    """A compiled scan of ``body(*consts, *carry, row)``, and its result for that many rows."""
    closed = optimize(fg.make_jaxpr(body)(*consts, *carry, row))
    executable = build_scan(closed, "body", len(consts), len(carry))
    rows = np.stack([row] * n_rows)
    return executable, executable.run(n_rows, False, *consts, *carry, rows)


def while_of(body, consts, carry):
    """A compiled loop of a body whose last result says whether to go on."""
    closed = optimize(fg.make_jaxpr(body)(*consts, *carry))
    executable = build_while(closed, "body", len(consts), len(carry))
    return executable, executable.run(True, *consts, *carry)


def inside(executable):
    """The lines of the loop."""
    lines = executable.text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.lstrip().startswith(("for ", "while ")))
    depth = len(lines[start]) - len(lines[start].lstrip())
    rest = lines[start + 1 :]
    end = next(k for k, line in enumerate(rest) if len(line) - len(line.lstrip()) <= depth)
    return "\n".join(rest[:end])


LONG = np.arange(100.0)


def test_an_updated_carry_is_changed_where_it_is():
    """`c.at[i].set` on a carry that nothing reads afterwards writes one element: nothing is copied in the loop."""
    executable, (c, ys) = scan_of(lambda c, i: (c.at[i].set(y := c[i - 1] + 1.0), y), (), (LONG,), np.int64(3))
    assert "copy" not in inside(executable)
    assert c[3] == 3.0
    assert np.array_equal(ys, [3.0] * 4)
    executable, (c, k, count) = while_of(
        lambda c, k: (c.at[k].set(c[k - 1] + 1.0), k + 1, k < 50), (), (np.zeros(100), np.int64(1))
    )
    assert "copy" not in inside(executable)
    assert np.array_equal(c[:51], np.arange(51))
    assert k == 51
    assert count == 50


def test_index_assignment_is_in_place_too():
    """``c[i] = v`` and two updates one after the other."""

    def body(c, i):
        c[i] = c[i - 1] + 1.0
        c[i + 1] *= 2.0
        return c, c[0]

    executable, (c, _) = scan_of(body, (), (LONG,), np.int64(3), n_rows=1)
    assert "copy" not in inside(executable)
    assert c[3] == 3.0
    assert c[4] == 8.0


def test_a_carry_that_is_read_later_is_not_changed():
    """If the old carry is a result, or is read after the update, it must be copied."""
    executable, (c, ys) = scan_of(lambda c, i: (c.at[i].add(1.0), c), (), (LONG,), np.int64(3))
    assert np.array_equal(ys[:, 3], [3.0, 4.0, 5.0, 6.0])
    assert c[3] == 7.0
    assert "copy" in inside(executable)
    _, (c, ys) = scan_of(lambda c, i: (c.at[i].add(1.0), c[3] * 1.0), (), (LONG,), np.int64(3))
    assert np.array_equal(ys, [3.0, 4.0, 5.0, 6.0])


def test_carries_have_two_buffers():
    """A new carry is written into one of two buffers, without new memory in an iteration."""
    w = np.eye(100) * 0.5
    executable, (c, ys) = scan_of(lambda w, c, x: (np.tanh(w @ c + x), c * x), (w,), (LONG,), LONG / 50)
    text = inside(executable)
    assert "empty" not in text
    assert "copy" not in text
    expected = LONG
    for k in range(4):
        assert np.allclose(ys[k], expected * LONG / 50, atol=1e-14)
        expected = np.tanh(0.5 * expected + LONG / 50)
    assert np.allclose(c, expected, atol=1e-14)


def test_memory_does_not_grow_with_iterations():
    """The carry of a loop without ys lives in the same memory for 10 iterations and for 10000."""
    step = optimize(fg.make_jaxpr(lambda n, c, k: (np.sin(c) * 0.5 + c, k + 1, k < n))(9, LONG, 0))
    executable = build_while(step, "body", 1, 2)
    peaks = []
    for n in (10, 10000):
        executable.run(True, n, LONG, 0)
        tracemalloc.start()
        executable.run(True, n, LONG, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1000


def test_arguments_and_results_are_apart():
    """Nothing that is given is written to, no two results share memory, nor with those of a second call."""
    init, w = LONG.copy(), LONG + 1
    body = optimize(fg.make_jaxpr(lambda w, c, d, x: (c.at[0].set(x), w, c, w))(w, init, init, 1.0))
    executable = build_scan(body, "body", 1, 2)
    first = executable.run(3, False, w, init, init, np.ones(3))
    kept = [np.copy(r) for r in first]
    second = executable.run(3, False, w, init, init, np.zeros(3))
    arrays = [*first, *second]
    for k, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in (*arrays[:k], init, w))
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))
    assert np.array_equal(init, LONG)
    assert np.array_equal(w, LONG + 1)


def test_reverse_and_no_rows():
    """Backwards, row k of ys belongs to row k of xs; without rows the carry is a copy and ys are empty."""
    body = optimize(fg.make_jaxpr(lambda c, x: (c + x, c * x, x > 0))(1.0, 1.0))
    executable = build_scan(body, "body", 0, 1)
    c, ys, flags = executable.run(3, True, 1.0, np.array([1.0, 2.0, 3.0]))
    assert (type(c), float(c)) == (np.float64, 7.0)
    assert np.array_equal(ys, [6.0, 8.0, 3.0])
    assert (flags.dtype, flags.all()) == (np.dtype(bool), True)
    c, ys, flags = executable.run(0, False, 1.0, np.zeros(0))
    assert (float(c), ys.shape, ys.dtype, flags.dtype) == (1.0, (0,), np.dtype(float), np.dtype(bool))


FLOAT_CASES = {
    "division by zero": (lambda c, x: c / x, 1.0, 0.0, np.inf),
    "zero by zero": (lambda c, x: c / x, 0.0, 0.0, np.nan),
    "overflow of exp": (lambda c, x: np.exp(c * x), 1.0, 1000.0, np.inf),
    "overflow of a power": (lambda c, x: c**x, 1e200, 2.0, np.inf),
    "root of a negative number": (lambda c, x: np.sqrt(c * x), -1.0, 1.0, np.nan),
    "power of a negative number": (lambda c, x: (c * x) ** 0.5, -1.0, 1.0, np.nan),
    "log of zero": (lambda c, x: np.log(c * x), 0.0, 1.0, -np.inf),
    "sine of infinity": (lambda c, x: np.sin(c * x), np.inf, 1.0, np.nan),
    "zero to a negative power": (lambda c, x: (c * x) ** -1.0, 0.0, 1.0, np.inf),
}


@pytest.mark.parametrize("name", sorted(FLOAT_CASES))
def test_where_python_floats_raise(name):
    """Loops of Python floats give NumPy's inf and nan, with its warning, which np.errstate turns off or to an error."""
    body, c, x, expected = FLOAT_CASES[name]
    closed = optimize(fg.make_jaxpr(lambda c, x: (body(c, x), c))(c, x))
    executable = build_scan(closed, "body", 0, 1)
    rows = np.array([x])
    with np.errstate(all="ignore"):
        got, ys = executable.run(1, False, c, rows)
    np.testing.assert_array_equal(got, expected)
    assert type(got) is np.float64
    np.testing.assert_array_equal(ys, [c])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        executable.run(1, False, c, rows)
    assert caught
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        executable.run(1, False, c, rows)


def test_while_loops_recover_from_python_errors():
    """The loop begins anew with NumPy's numbers, and counts from zero."""
    with np.errstate(divide="ignore"):
        _, (c, k, count) = while_of(lambda c, k: (c / (3.0 - k), k + 1.0, k < 5.0), (), (1.0, 0.0))
    assert np.isinf(c)
    assert (float(k), int(count)) == (6.0, 6)


def test_errors_name_the_line():
    """An exception in a compiled loop carries a note with the line of the user's body."""
    body = optimize(fg.make_jaxpr(lambda c, x: (np.linalg.cholesky(c * x), x))(np.eye(2), 1.0))
    executable = build_scan(body, "body", 0, 1)
    with pytest.raises(np.linalg.LinAlgError) as caught:
        executable.run(1, False, np.eye(2), np.array([-1.0]))
    assert any("test_loop.py" in note for note in caught.value.__notes__)


def test_a_call_after_an_error():
    """The workspace of a call that raised is not needed: the next one is right."""
    body = optimize(fg.make_jaxpr(lambda c, x: (np.linalg.cholesky(np.sin(c) * 0 + x * np.eye(9)), c))(np.eye(9), 1.0))
    executable = build_scan(body, "body", 0, 1)
    with pytest.raises(np.linalg.LinAlgError):
        executable.run(1, False, np.eye(9), np.array([-1.0]))
    assert np.allclose(executable.run(1, False, np.eye(9), np.array([4.0]))[0], 2 * np.eye(9))


def test_threads():
    """Threads that run one compiled loop at the same time have memory of their own."""
    w = np.linspace(-1, 1, 2500).reshape(50, 50) / 5
    body = optimize(fg.make_jaxpr(lambda w, c, x: (np.tanh(w @ c + x) + np.sin(c), np.cos(c) * x))(w, w[0], w[0]))
    executable = build_scan(body, "body", 1, 1)
    rows = np.stack([w[k] for k in range(20)])
    expected = [executable.run(20, False, w, w[k], rows) for k in range(6)]
    wrong = []

    def work(k):
        for _ in range(50):
            got = executable.run(20, False, w, w[k], rows)
            if not all(np.array_equal(a, b) for a, b in zip(got, expected[k], strict=True)):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong

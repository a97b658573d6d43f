"""while_loop: values, derivatives of any order for unknown numbers of iterations, batches, transposes, cost, errors."""

from __future__ import annotations

import threading
import time
import tracemalloc

import numpy as np
import pytest
from support.loops import A, Counter, V, W, assert_no_alias, assert_same, py_while

import fungrad as fg
from fungrad.control.repeat import KEPT
from fungrad.control.while_loop import while_loop
from fungrad.errors import NonLinearError, TracerBoolConversionError, TransformTypeError
from fungrad.testing import check_grads

VALUES = {
    "number": (lambda c: c < 10, lambda c: c + 3, 0),
    "float": (lambda c: c < 10.0, lambda c: c * 1.5, 1.0),
    "never": (lambda c: c < 0, lambda c: c + 1, np.float64(3)),
    "collatz": (
        lambda s: s["n"] != 1,
        lambda s: {"n": np.where(s["n"] % 2 == 0, s["n"] // 2, 3 * s["n"] + 1), "k": s["k"] + 1},
        {"n": np.int64(27), "k": np.int64(0)},
    ),
    "swapped arrays": (lambda s: s[0] < 5, lambda s: (s[0] + 1, s[2], s[1]), (0, V, V * 2)),
    "views": (lambda s: s[0] < 5, lambda s: (s[0] + 1, s[2][::-1], s[1]), (0, V, V * 2)),
    "constant": (lambda s: s[0] < 5, lambda s: (s[0] + 1, W), (0, W + 1)),
    "condition by any": (lambda c: np.any(c < 3), lambda c: c + 1.0, V),
    "condition of a closure": (lambda c: np.sum(W[0] * c) > -5, lambda c: c * 1.1, V + 1),
    "bool carry": (lambda s: s[1], lambda s: (s[0] + 1, s[0] < 4), (0, np.True_)),
    "float32": (lambda c: c.sum() < 9, lambda c: c * np.float32(1.5), np.ones(3, "f4")),
    "complex": (lambda c: abs(c) < 9, lambda c: c * (1 + 1j), np.complex128(1)),
    "int32": (lambda c: c < 1000, lambda c: c * 3, np.int32(1)),
    "empty": (lambda c: False, lambda c: c, {"a": (), "b": None}),
    "size zero": (lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 2), (0, np.zeros((0, 2)))),
    "condition that is a constant": (lambda c: np.False_, lambda c: c - 1, 1.0),
}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values(name):
    """As a Python loop, also compiled; nothing is shared or written to."""
    cond_fun, body, init = VALUES[name]
    expected = fg.tree.map(np.asarray, py_while(cond_fun, body, init))
    for f in (lambda i: while_loop(cond_fun, body, i), fg.jit(lambda i: while_loop(cond_fun, body, i))):
        got = f(init)
        assert_same(fg.tree.map(np.asarray, got), expected)
        assert_no_alias(got, init, W)


def test_a_python_number_takes_the_dtype_of_the_body():
    """As in a loop of Python; also if the loop never runs."""
    got = while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 0.5, s[2] * V.astype("f4")[0]), (0, 8, 1))
    assert_same(got, (np.int64(3), np.float64(1.0), np.float32(0.3) ** 3))
    assert while_loop(lambda c: c < 0, lambda c: c * 0.5, 8).dtype == np.float64


def newton(loop, a):
    """The square root."""
    return loop(lambda x: abs(x * x - a) > 1e-13, lambda x: 0.5 * (x + a / x), a)


def test_derivatives_of_all_orders():
    """Newton's iteration for the square root has the derivatives of the path taken, to the fourth order."""
    f, g = (lambda a: newton(while_loop, a)), (lambda a: newton(py_while, a))
    for _ in range(4):
        f, g = fg.grad(f), fg.grad(g)
        assert_same(f(3.0), g(3.0), 1e-9)
        assert_same(fg.jit(f)(3.0), g(3.0), 1e-9)
    check_grads(lambda a: newton(while_loop, a), (3.0,), order=2)


def test_the_number_of_iterations_may_differ_in_each_call():
    """One compiled gradient for many numbers of iterations, more than are kept; back to the first at the end."""

    def f(loop):
        return fg.grad(lambda a, n: loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sin(s[1] * a)), (0, a))[1])

    compiled, python = fg.jit(f(while_loop)), f(py_while)
    for n in [*range(KEPT + 10), 0, 1, 5]:
        assert_same(compiled(0.9, n), python(0.9, n))


def test_closed_over_values_in_a_loop_that_never_runs():
    """What the body does with closed-over values is not done if the loop does not run: neither errors nor nan."""
    singular = np.zeros((3, 3))
    f = fg.jit(lambda w, n: while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.linalg.inv(w) @ s[1]), (0, V)))
    assert_same(f(singular, 0)[1], V)
    with pytest.raises(np.linalg.LinAlgError):
        f(singular, 1)

    def g(w, n):
        return while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sqrt(w) * s[1]), (0, 2.0))[1]

    for grad in (fg.grad(g), fg.jit(fg.grad(g)), lambda w, n: fg.jvp(lambda w: g(w, n), (w,), (1.0,))[1]):
        assert grad(0.0, 0) == 0.0
        assert grad(4.0, 1) == 0.5


def test_exact_gradients_of_integer_carries():
    """Counters and flags beside floats have no derivative and disturb none."""

    def f(loop, a):
        s = loop(
            lambda s: s["go"],
            lambda s: {"k": s["k"] + 1, "x": s["x"] * a + s["k"], "go": s["k"] < 4},
            {"k": 0, "x": a, "go": np.True_},
        )
        return s["x"] * s["k"]

    expected = fg.grad(lambda a: f(py_while, a))(A)
    assert_same(fg.grad(lambda a: f(while_loop, a))(A), expected)
    assert_same(fg.jit(fg.grad(lambda a: f(while_loop, a)))(A), expected)


def test_complex():
    """Complex carries differentiate by JAX's convention, as the Python loop does."""

    def f(loop, z):
        return abs(loop(lambda s: abs(s) < 9, lambda s: s * z + 1.0, z)) ** 2

    z = 0.9 + 0.7j
    assert_same(fg.grad(lambda z: f(while_loop, z))(z), fg.grad(lambda z: f(py_while, z))(z))


# Batches


def test_examples_stop_at_their_own_time():
    """A batch runs until its last example is done; the others keep their values and derivatives."""
    xs = np.array([0.5, 1.5, 7.0, 20.0])

    def f(loop, x):
        return loop(lambda s: s[0] < 9.0, lambda s: (s[0] * 1.5 + 0.1 * x, s[1] + 1), (x, 0))

    got = fg.vmap(lambda x: f(while_loop, x))(xs)
    rows = [f(py_while, x) for x in xs]
    assert_same(got, (np.array([r[0] for r in rows]), np.array([r[1] for r in rows])))
    for order in range(1, 4):
        g, h = (lambda x: f(while_loop, x)[0]), (lambda x: f(py_while, x)[0])
        for _ in range(order):
            g, h = fg.grad(g), fg.grad(h)
        expected = np.stack([h(x) for x in xs])
        assert_same(fg.vmap(g)(xs), expected)
        assert_same(fg.jit(fg.vmap(g))(xs), expected)


@pytest.mark.parametrize("size", [0, 1])
def test_small_batches(size):
    """No example, and one."""
    xs = np.full(size, 1.5)
    f = fg.vmap(lambda x: while_loop(lambda s: s < 4.0, lambda s: s * x, x))
    assert_same(f(xs), np.full(size, 1.5**4))
    assert_same(fg.vmap(fg.grad(lambda x: while_loop(lambda s: s < 4.0, lambda s: s * x, x)))(xs), np.full(size, 13.5))


def test_a_condition_that_reads_scalars_beside_a_batch():
    """The condition is not batched, but the carry that it is given is (it was given the wrong type once)."""
    f = fg.vmap(lambda x: while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), (0, 1.0)))
    assert_same(f(V), (np.full(3, 3), V**3))


def test_collectives():
    """In the body of a loop under a vmap with a name; also if the condition is batched."""
    got = fg.vmap(lambda x: while_loop(lambda c: c < 3, lambda c: c + fg.pmax(x, "i"), x), axis_name="i")(V)
    assert_same(got, np.array([py_while(lambda c: c < 3, lambda c: c + 1.1, x) for x in V]))


# Transposes


def test_linear_transpose():
    """A loop whose body is linear in what it is transposed in, and whose condition does not read that."""

    def f(x):
        return while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, W @ s[1]), (0, x))[1]

    for g in (f, fg.jit(f)):
        assert_same(fg.linear_transpose(g, V)(V)[0], W.T @ W.T @ W.T @ V)

    def adds(init):
        return lambda x: while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, W @ s[1] + x), (0, init))[1]

    expected = W.T @ W.T @ V + W.T @ V + V
    assert_same(fg.linear_transpose(adds(np.zeros(3)), V)(V)[0], expected)
    with pytest.raises(NonLinearError, match="begins with a constant that is not zero"):
        fg.linear_transpose(adds(np.ones(3)), V)(V)
    with pytest.raises(NonLinearError, match="adds a constant"):
        fg.linear_transpose(lambda x: while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + 1), (0, x))[1], V)(V)
    with pytest.raises(NonLinearError, match="the condition of a lax.while_loop .* depends on"):
        fg.linear_transpose(lambda x: while_loop(lambda s: s.sum() < 3, lambda s: s * 2, x), V)(V)


# Cost


def test_the_functions_run_a_few_times():
    """Tracing does not grow with the number of iterations, in values and in derivatives."""
    for order in range(3):
        counts = []
        for n in (1, 10, 500):
            count = Counter()

            def f(a, n=n, count=count):
                return while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, (count() or s[1]) * a), (0, 1.0))[1]

            for _ in range(order):
                f = fg.grad(f)
            f(0.5)
            counts.append(count.n)
        assert counts[0] == counts[1] == counts[2] <= 3


def memory_of(f, a, n):
    """The most memory that a call for n iterations takes; it is compiled for another number before."""
    f(a, 3)
    tracemalloc.start()
    f(a, n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def steps(a, n):
    """A loop of n steps."""
    return while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sin(s[1] * a)), (0, a))[1]


def pushed(f):
    """The directional derivative of a function of (a, n)."""
    return lambda a, n: fg.jvp(lambda a: f(a, n), (a,), (a,))[1]


def test_forward_mode_takes_constant_memory():
    """For 10 and for 1000 iterations the same."""
    a = np.full(1000, 0.9)
    f = fg.jit(pushed(steps))
    assert memory_of(f, a, 1000) < memory_of(f, a, 10) + 1e6  # 8e6 for each array that is kept


def test_second_order_forward_mode_takes_constant_memory():
    """As the first order."""
    a = np.full(1000, 0.9)
    f = fg.jit(pushed(pushed(steps)))
    assert memory_of(f, a, 1000) < memory_of(f, a, 10) + 1e6  # 8e6 for each array that is kept


def test_reverse_mode_takes_linear_time():
    """Eight times the iterations take some eight times as long, not sixty-four."""
    f = fg.jit(fg.grad(steps))

    def seconds(n):
        f(0.5, n)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            f(0.5, n)
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(40000) < 24 * seconds(5000)
    assert len(fg.make_jaxpr(fg.grad(steps))(0.5, 1000).jaxpr.eqns) < 20


# How it runs


def test_disable_jit():
    """The loop is Python's then."""
    count = Counter()
    with fg.disable_jit():
        got = while_loop(lambda c: c < 3, lambda c: (count() or c) + (1 if c > 0 else 2), 0)
        assert (got, count.n) == (3, 2)

        def assigns(c):
            c[0] += 1.0
            return c

        init = np.zeros(2)
        assert_same(while_loop(lambda c: c[0] < 3, assigns, init), np.array([3.0, 0.0]))
        assert np.array_equal(init, np.zeros(2))


def test_python_floats_that_raise():
    """Division by zero in the loop, and in the condition, is NumPy's."""
    with np.errstate(all="ignore"):
        assert while_loop(lambda s: s[1] < 2, lambda s: (s[0] / s[1], s[1] + 1), (1.0, 0.0))[0] == np.inf
        assert while_loop(lambda s: 1.0 / s > 3.0, lambda s: s + 1.0, 0.0) == 1.0
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        while_loop(lambda s: s[1] < 2, lambda s: (s[0] / s[1], s[1] + 1), (1.0, 0.0))


def test_threads():
    """Gradients with different numbers of iterations, at the same time, of one compiled function."""
    f = fg.jit(fg.grad(steps))
    python = fg.grad(lambda a, n: py_while(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sin(s[1] * a)), (0, a))[1])
    expected = [python(0.9, n) for n in range(8)]
    wrong = []

    def work(k):
        for n in range(40):
            if not np.isclose(f(0.9, (n + k) % 8), expected[(n + k) % 8], rtol=1e-12):
                wrong.append((n, k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


ERRORS = {
    "no function": (lambda: while_loop(True, lambda c: c, 1.0), TransformTypeError, "expects a function, got bool"),
    "float condition": (
        lambda: while_loop(lambda c: c, lambda c: c - 1, 3.0),
        TransformTypeError,
        r"must return a boolean scalar, got f64\[\]; use np\.all or np\.any on arrays, != 0 on numbers",
    ),
    "integer condition": (lambda: while_loop(lambda c: c, lambda c: c - 1, 3), TransformTypeError, r"got i64\[\]"),
    "array condition": (lambda: while_loop(lambda c: c > 0, lambda c: c - 1, V), TransformTypeError, r"got bool\[3\]"),
    "no condition": (lambda: while_loop(lambda c: None, lambda c: c - 1, 1.0), TransformTypeError, "got nothing"),
    "two conditions": (
        lambda: while_loop(lambda c: (c > 0, c > 0), lambda c: c - 1, 1.0),
        TransformTypeError,
        r"got bool\[\], bool\[\]",
    ),
    "carry": (
        lambda: while_loop(lambda c: c["a"] < 3, lambda c: {"a": c["a"] + 1, "b": c["b"][None]}, {"a": 0, "b": V}),
        TransformTypeError,
        r"the leaf \['b'\] is f64\[3\] in the first and f64\[1,3\] in the second",
    ),
    "tree": (lambda: while_loop(lambda c: c < 3, lambda c: (c,), 1.0), TransformTypeError, "same tree structure"),
    "and": (
        lambda: while_loop(lambda c: c[0] < 3 and c[1] < 2, lambda c: c, (0.0, 0.0)),
        TracerBoolConversionError,
        r"fungrad\.lax\.while_loop of .*test_while_loop\.py.*np\.logical_and",
    ),
    "if": (
        lambda: while_loop(lambda c: c < 3, lambda c: c + 1 if c > 1 else c + 2, 0.0),
        TracerBoolConversionError,
        r"fungrad\.lax\.while_loop of .*fungrad\.lax\.cond",
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors(name):
    """A wrong use says what it was given, what is expected, and what to write."""
    run, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        run()


def test_errors_in_compiled_loops():
    """The note names the line of the body, under jit as well."""

    def f(n, x):
        return while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.linalg.cholesky(-s[1])), (0, x))

    for g in (f, fg.jit(f)):
        with pytest.raises(np.linalg.LinAlgError) as caught:
            g(3, np.eye(2))
        assert any("test_while_loop.py" in note for note in caught.value.__notes__)

"""scan: values, types of carries, memory, derivatives by closures, transposes, errors, and how often the body runs."""

from __future__ import annotations

import dataclasses
import threading
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from support.loops import XS, Counter, V, W, assert_no_alias, assert_same, put, py_scan

import fungrad as fg
import fungrad.numpy as fnp
from fungrad.control.cond import cond
from fungrad.control.scan import scan
from fungrad.errors import (
    NonDifferentiableError,
    NonLinearError,
    TracerBoolConversionError,
    TransformTypeError,
    TransformValueError,
    UnexpectedTracerError,
)

Pair = namedtuple("Pair", "a b")


@dataclasses.dataclass
class Box:
    a: Any
    b: Any
    name: str = "box"


VALUES = {
    "fibonacci": (lambda c, _: ((c[1], c[0] + c[1]), c[0]), (0, 1), None),
    "dict of tuples": (
        lambda c, x: ({"a": c["b"], "b": (c["a"][0], c["b"][1] * x["u"])}, Pair(c["a"][0] + x["v"], None)),
        {"a": (np.float64(1), np.ones(2)), "b": (np.float64(2), np.ones(2))},
        {"u": np.arange(6.0) / 3, "v": np.ones(6)},
    ),
    "dataclass": (
        lambda c, x: (Box(c.b, c.a + x), Box(x, None)),
        Box(np.float64(1), np.float64(2)),
        np.arange(6.0),
    ),
    "no carry": (lambda c, x: (c, x * 2), (), XS),
    "None": (lambda c, x: (None, None), None, XS),
    "complex": (lambda c, x: (c * x + 1j, abs(c)), np.ones(3, complex), XS),
    "complex scalar": (lambda c, x: (c * 1j + x[0], c), np.complex128(1), XS),
    "complex64": (lambda c, x: (c * 1j, c), np.complex64(1), XS),
    "float32": (lambda c, x: (c * x + np.float32(1), c), np.ones(3, "f4"), XS.astype("f4")),
    "float32 scalar": (lambda c, x: (c * 2 + x[1], c), np.float32(1), XS.astype("f4")),
    "float16": (lambda c, x: (c * 2 + x, c), np.float16(1), np.ones(3, "f2")),
    "longdouble": (lambda c, x: (c + x, c), np.longdouble(0), np.ones(3, np.longdouble)),
    "bool": (lambda c, x: (c ^ x, c), np.bool_(True), np.array([True, False, True])),
    "bool array": (lambda c, x: (np.logical_not(c), c), np.array([True, False]), XS),
    "boolean sum": (lambda c, x: (c + x, None), np.zeros(9, bool), np.ones((3, 9), bool)),
    "size zero": (lambda c, x: (c * x[:0], c), np.ones(0), XS),
    "int8 array sum": (lambda c, x: (c + x, None), np.zeros(9, "i1"), np.full((3, 9), 30, "i1")),
    "int8 sum": (lambda c, x: (c + x, None), np.int8(0), np.full(3, 30, "i1")),
    "uint32": (lambda c, x: (c * 3 + x, c), np.uint32(1), np.arange(4, dtype="u4")),
    "int64 array": (lambda c, x: (c // 2 + x, c % 3), np.arange(3), np.arange(12).reshape(4, 3)),
    "argmax": (lambda c, x: (c + x, np.argmax(c + x)), np.zeros(3), XS),
    "array of no axes": (lambda c, x: (c + x, c), np.array(0.0), V),
    "not contiguous": (lambda c, x: (c + x, c), XS[:, 0], XS.T[::-1]),
    "read-only": (lambda c, x: (c + x, c), np.broadcast_to(1.0, (3,)), np.broadcast_to(1.0, (2, 3))),
    "big-endian": (lambda c, x: (c + x, c), np.float64(0), np.ones(3, ">f8")),
    "list of arrays": (lambda c, x: (c + x[0], x), np.float64(0), [V, V]),
    "constants as ys": (lambda c, x: (c + x, (W, 1.0, 2, True)), np.float64(0), V),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", sorted(VALUES))
def test_values(name, reverse):
    """As a Python loop: the values, the trees, the dtypes; with jit, too; and no memory is shared or written to."""
    f, init, xs = VALUES[name]
    length = None if xs is not None else 6
    expected = py_scan(f, init, xs, length, reverse)
    expected = fg.tree.map(np.asarray, expected)
    for g in (scan, lambda f, *a, **k: fg.jit(lambda i, x: scan(f, i, x, **k))(*a)):
        got = g(f, init, xs, length=length, reverse=reverse)
        assert_same(got, expected)
        assert_no_alias(got, init, xs, W)


NUMBERS = {
    "float stays": (lambda c, x: (c + x, c), 0.0, V, "f8"),
    "int becomes float": (lambda c, x: (c + x, c), 0, V, "f8"),
    "int becomes float32": (lambda c, x: (c + x, c), 0, V.astype("f4"), "f4"),
    "float becomes float32": (lambda c, x: (c * x, c), 0.5, V.astype("f4"), "f4"),
    "int becomes int8": (lambda c, x: (c + x, c), 0, np.ones(3, "i1"), "i1"),
    "int becomes uint64": (lambda c, x: (c + x, c), 0, np.ones(3, "u8"), "u8"),
    "int becomes complex": (lambda c, x: (c * 1j, c), 1, V, "c16"),
    "float becomes complex64": (lambda c, x: (c * x, c), 1.0, V.astype("c8"), "c8"),
    "int stays": (lambda c, x: (c + 1, x), 1, V, "i8"),
    "int is passed on": (lambda c, x: (c, x), 1, V, "i8"),
    "int becomes float by a number": (lambda c, x: (c * 1.5, c), 1, V, "f8"),
}


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_python_numbers_take_the_dtype_of_the_body(name):
    """A Python number as the first carry is of the dtype that the body makes of it."""
    f, init, xs, dtype = NUMBERS[name]
    for g in (scan, lambda f, i, x: fg.jit(lambda x: scan(f, i, x))(x)):
        carry, ys = g(f, init, xs)
        assert carry.dtype == dtype
        expected, expected_ys = py_scan(f, np.dtype(dtype).type(init), xs)
        np.testing.assert_allclose(carry, expected, rtol=1e-6)
        np.testing.assert_allclose(ys, expected_ys, rtol=1e-6)


def test_numbers_that_move_through_carries():
    """The dtype goes round until nothing changes."""
    carry, _ = scan(lambda c, x: ((c[1], c[2], c[0] * 1.5), None), (1, 2, 3), V)
    assert_same(carry, (np.float64(1.5), np.float64(3.0), np.float64(4.5)))


def test_without_rows():
    """Length alone; with empty trees; no iterations at all; rows and their number."""
    assert scan(lambda c, x: (c + 1, x), 0, length=3) == (3, None)
    assert scan(lambda c, x: (c + 1, x), 0, (), np.int64(3)) == (3, ())
    assert scan(lambda c, x: (c, x), (), (), 3) == ((), ())
    _, ys = scan(lambda c, x: (c, 2.5), (), length=3)
    assert_same(ys, np.full(3, 2.5))
    carry, ys = scan(lambda c, x: (c + x.sum(), {"a": c, "b": (x, None), "k": 1}), 0.0, np.zeros((0, 3)))
    assert_same(carry, np.float64(0.0))
    assert_same(ys, {"a": np.zeros(0), "b": (np.zeros((0, 3)), None), "k": np.zeros(0, int)})
    assert scan(lambda c, x: (c + x, None), 0.0, V, length=3)[0] == pytest.approx(0.7)
    assert fg.grad(lambda a: scan(lambda c, x: (c * a, c), a, np.zeros(0))[0])(2.0) == 1.0


def test_index_assignment_in_the_body():
    """``c[i] = v`` changes the carry of the body and nothing else; ys that are the carry are as it was then."""

    def body(c, x):
        c[0] = c[0] + x[1]
        c[1:] += x[0]
        x[0] = 100.0
        return c, c

    init, xs = np.zeros(3), XS.copy()
    expected, rows = np.zeros(3), []
    for x in XS:
        expected = np.array([expected[0] + x[1], expected[1] + x[0], expected[2] + x[0]])
        rows.append(expected)
    runs = {"scan": lambda: scan(body, init, xs), "jit": lambda: fg.jit(lambda i, x: scan(body, i, x))(init, xs)}
    for run in runs.values():
        assert_same(run(), (expected, np.stack(rows)))
    with fg.disable_jit():
        assert_same(runs["scan"](), (expected, np.stack(rows)))
    assert_same(fg.jvp(lambda i: scan(body, i, xs), (init,), (init,))[0], (expected, np.stack(rows)))
    assert np.array_equal(init, np.zeros(3))
    assert np.array_equal(xs, XS)
    j = fg.jacrev(lambda i: scan(body, i, xs)[1])(init)
    assert np.array_equal(j, np.broadcast_to(np.eye(3), (4, 3, 3)))


def test_integer_overflow_warns_and_wraps():
    """int8 wraps around as in a Python loop, with NumPy's warning for scalars; for arrays silently."""
    with pytest.warns(RuntimeWarning, match="overflow"):
        carry, _ = scan(lambda c, x: (c + x, None), np.int8(0), np.full(3, 100, "i1"))
    assert_same(carry, np.int8(44))
    carry, _ = scan(lambda c, x: (c + x, None), np.zeros(9, "i1"), np.full((3, 9), 100, "i1"))
    assert_same(carry, np.full(9, 44, "i1"))


def test_infinities():
    """Division by zero, overflow and roots of negative numbers give what NumPy gives, with its warnings."""
    for f, init in (
        (lambda c, x: (c / x, c), 1.0),
        (lambda c, x: (np.exp(c * 1000.0), c), 1.0),
        (lambda c, x: (np.sqrt(c - 2.0), c), 1.0),
        (lambda c, x: (c**c, c), 9.5),
    ):
        rows = np.array([0.0, 1.0, 2.0])
        with np.errstate(all="ignore"):
            assert_same(scan(f, init, rows), py_scan(f, np.float64(init), rows))
        with pytest.warns(RuntimeWarning):
            scan(f, init, rows)
        with np.errstate(all="raise"), pytest.raises(FloatingPointError):
            scan(f, init, rows)


# Closures

a0 = 0.3


CLOSURES = {
    "grad": lambda scan: fg.grad(lambda a: scan(lambda c, x: (c * a + x, None), 1.0, V)[0])(a0),
    "grad in the body": lambda scan: scan(lambda c, x: (c - fg.grad(lambda q: np.sin(q) * x)(c), None), 1.0, V)[0],
    "grad around grad in the body": lambda scan: fg.grad(
        lambda a: scan(lambda c, x: (c - a * fg.grad(lambda q: np.sin(q) * x * a)(c), None), 1.0, V)[0]
    )(a0),
    "jit in the body": lambda scan: fg.grad(lambda a: scan(lambda c, x: (fg.jit(lambda q: q * a)(c), None), 1.0, V)[0])(
        a0
    ),
    "vmap in the body": lambda scan: fg.grad(
        lambda a: scan(lambda c, x: (fg.vmap(lambda q: q * a + c.sum())(c), None), V, V)[0].sum()
    )(a0),
    "two levels": lambda scan: fg.grad(
        lambda a: fg.grad(lambda b: scan(lambda c, x: (c * a * b + x * a, None), 1.0, V)[0])(a)
    )(a0),
    "work on closed_over values alone": lambda scan: fg.grad(
        lambda a: fg.grad(lambda b: scan(lambda c, x: (c * np.sin(a) * (b * a) + x, np.exp(b)), a, V)[0])(a * 2)
    )(a0),
    "loops in loops": lambda scan: fg.grad(
        lambda a: scan(lambda c, x: (c * a + scan(lambda d, y: (d * a + a * c, None), x, V)[0], None), 1.0, V)[0]
    )(a0),
}


@pytest.mark.parametrize("name", sorted(CLOSURES))
def test_closures_over_traced_values(name):
    """Bodies close over values of any recordings around them, and compute with them."""
    f = CLOSURES[name]
    expected = f(py_scan)
    assert_same(f(scan), expected)
    assert_same(fg.jit(lambda: f(scan))(), expected)


def test_closures_under_jit_vmap_grad():
    """All three around a loop in a loop."""

    def f(scan, a, b):
        return scan(lambda c, x: (c * a + scan(lambda d, y: (d * b + a * c, None), x, V)[0], None), 1.0, V)[0]

    got = fg.jit(fg.vmap(fg.grad(lambda a, b: f(scan, a, b)), in_axes=(0, None)))(V, 2.0)
    assert_same(got, np.stack([fg.grad(lambda a: f(py_scan, a, 2.0))(a) for a in V]))


def test_a_leaked_carry():
    """A tracer that leaves the body is refused later, with the name of the loop."""
    leaked = []
    scan(lambda c, x: (leaked.append(c) or c, None), 1.0, V)
    with pytest.raises(UnexpectedTracerError, match=r"fungrad\.lax\.scan"):
        leaked[0] + 1


def test_collectives():
    """Names of axes of a vmap around the loop are known in its body."""
    got = fg.vmap(lambda x: scan(lambda c, y: (c + fg.psum(y, "i"), fg.axis_index("i")), 0.0, x), axis_name="i")(XS)
    assert_same(got, (np.full(4, XS.sum()), np.repeat(np.arange(4), 3).reshape(4, 3)))


# Transposes


def test_linear_transpose():
    """A scan that is linear in carry and rows, with a counter beside them: the transpose is that of the Python loop."""

    def f(scan):
        return lambda c, x: scan(lambda s, r: ((s[0] + 1, W @ s[1] * s[0] + r), s[1] * 2), (0, c), x)[1]

    expected = fg.vjp(f(py_scan), V, XS)[1](XS)
    for g in (f(scan), fg.jit(f(scan))):
        assert_same(fg.linear_transpose(g, V, XS)(XS), expected)
        assert_same(fg.jit(fg.linear_transpose(g, V, XS))(XS), expected)


def test_linear_transpose_with_a_constant_init():
    """Zero is linear; anything else is refused."""

    def f(init):
        return lambda x: scan(lambda c, r: (W @ c + r, c * 2), init, x)

    (got,) = fg.linear_transpose(f(np.zeros(3)), XS)((V, XS))
    assert_same(got, fg.vjp(lambda x: py_scan(lambda c, r: (W @ c + r, c * 2), np.zeros(3), x), XS)[1]((V, XS))[0])
    for g in (f(np.ones(3)), fg.jit(f(np.ones(3)))):
        with pytest.raises(NonLinearError, match=r"lax\.scan whose carry begins with a constant that is not zero"):
            fg.linear_transpose(g, XS)((V, XS))
    with pytest.raises(NonLinearError, match="adds a constant"):
        fg.linear_transpose(lambda x: scan(lambda c, r: (W @ c + r + 1, None), np.zeros(3), x)[0], XS)(V)


# Errors


ERRORS = {
    "no function": (lambda: scan(3, 0, V), TransformTypeError, "expects a function, got int"),
    "no pair": (
        lambda: scan(lambda c, x: c + x, 0.0, V),
        TransformTypeError,
        r"must return a pair \(carry, y\), got Tracer\. Return \(carry, None\)",
    ),
    "three results": (lambda: scan(lambda c, x: (c, x, x), 0.0, V), TransformTypeError, "got tuple of 3"),
    "dtype": (
        lambda: scan(lambda c, x: ({"n": [c["n"][0] + x]}, None), {"n": [np.int64(0)]}, V),
        TransformTypeError,
        r"the leaf \['n'\]\[0\] is i64\[\] in the first and f64\[\] in the second; .*astype",
    ),
    "float32": (
        lambda: scan(lambda c, x: (c + x, None), np.float32(0), V),
        TransformTypeError,
        r"its only leaf is f32\[\] in the first and f64\[\]",
    ),
    "shape": (
        lambda: scan(lambda c, x: ((c[0], np.stack([c[1], x])), None), (0.0, 0.0), V),
        TransformTypeError,
        r"the leaf \[1\] is f64\[\] in the first and f64\[2\]",
    ),
    "tree": (
        lambda: scan(lambda c, x: ({"b": c["a"]}, None), {"a": 0.0}, V),
        TransformTypeError,
        r"same tree structure: .* only the first has a leaf \['a'\]",
    ),
    "static field": (
        lambda: scan(lambda c, x: (Box(c.a, c.b, "other"), None), Box(1.0, 2.0), V),
        TransformTypeError,
        "same tree structure",
    ),
    "length": (
        lambda: scan(lambda c, x: (c, None), 0.0, V, length=4),
        TransformValueError,
        r"one size .*\n  xs has 3 rows\n  length is 4",
    ),
    "sizes": (
        lambda: scan(lambda c, x: (c, None), 0.0, {"p": V, "q": np.ones(4)}),
        TransformValueError,
        r"\n  xs\['p'\] has 3 rows\n  xs\['q'\] has 4 rows",
    ),
    "no length": (lambda: scan(lambda c, x: (c, None), 0.0), TransformValueError, "without xs a length is needed"),
    "scalar": (
        lambda: scan(lambda c, x: (c, None), 0.0, {"k": 1.0}),
        TransformValueError,
        r"xs\['k'\] has no axis to scan over .* closure or the carry",
    ),
    "negative": (lambda: scan(lambda c, x: (c, None), 0.0, length=-1), TransformValueError, "must not be negative"),
    "float length": (
        lambda: scan(lambda c, x: (c, None), 0.0, length=2.0),
        TransformTypeError,
        r"integer that is known, got 2\.0 .*lax\.fori_loop",
    ),
    "traced length": (
        lambda: fg.jit(lambda n: scan(lambda c, x: (c, None), 0.0, length=n))(3),
        TransformTypeError,
        "integer that is known",
    ),
    "string in the carry": (
        lambda: scan(lambda c, x: (c, None), "s", V),
        NonDifferentiableError,
        "initial carry .* str",
    ),
    "string in ys": (lambda: scan(lambda c, x: (c, "s"), 0.0, V), NonDifferentiableError, r"result\[1\] .* str"),
    "objects": (
        lambda: scan(lambda c, x: (c, None), 0.0, np.array([1, None])),
        NonDifferentiableError,
        "dtype object",
    ),
    "if": (
        lambda: scan(lambda c, x: (c if x > 0 else -c, None), 0.0, V),
        TracerBoolConversionError,
        r"fungrad\.lax\.scan of .*test_scan\.py.* np\.where\(condition, a, b\).* fungrad\.lax\.cond",
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors(name):
    """A wrong use says what it was given, what is expected, and what to write."""
    run, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        run()


def test_errors_in_compiled_bodies():
    """An exception of NumPy carries a note with the user's line; the body's own exceptions pass through."""
    with pytest.raises(np.linalg.LinAlgError) as caught:
        scan(lambda c, x: (np.linalg.cholesky(c * x), None), np.eye(2), V)
    assert any("test_scan.py" in note for note in caught.value.__notes__)
    with pytest.raises(IndexError) as caught:
        fg.jit(lambda c, i: scan(lambda c, i: (c, c[i]), c, i))(V, np.array([0, 7]))
    assert any("test_scan.py" in note for note in caught.value.__notes__)
    with pytest.raises(ZeroDivisionError):
        scan(lambda c, x: 1 / 0, 0.0, V)
    assert scan(lambda c, x: (c + 1, None), 0.0, V)[0] == 3.0


# How it runs


@pytest.mark.parametrize(
    "run",
    [
        lambda f, xs: scan(f, 0.0, xs),
        lambda f, xs: scan(f, 0, xs),
        lambda f, xs: fg.jit(lambda x: scan(f, 0.0, x))(xs),
        lambda f, xs: fg.grad(lambda a: scan(lambda c, x: f(c * a, x), 1.0, xs)[0])(0.2),
        lambda f, xs: fg.hessian(lambda a: scan(lambda c, x: f(c * a, x), 1.0, xs)[0])(0.2),
        lambda f, xs: fg.vmap(lambda a: scan(lambda c, x: f(c * a, x), 1.0, xs)[0])(V),
    ],
)
def test_the_body_runs_a_few_times(run):
    """Tracing does not grow with the length: the body runs at most three times."""
    counts = []
    for n in (1, 10, 1000):
        count = Counter()
        run(lambda c, x, count=count: (count() or c * 0.5 + x, c), np.ones(n))
        counts.append(count.n)
    assert counts[0] == counts[1] == counts[2] <= 3


def test_jit_runs_the_body_no_more():
    """A jitted function with a loop does not run the body when it is called again."""
    count = Counter()
    f = fg.jit(lambda i, x: scan(lambda c, x: (count() or c + x, c), i, x))
    f(0.0, V)
    before = count.n
    f(1.0, 2 * V)
    assert count.n == before


def test_disable_jit():
    """Then bodies run as they are written: Python's control flow, once for each row; results of the same type."""
    count = Counter()

    def f(c, x):
        count()
        return (c + x if x > 0 else c), c

    expected = py_scan(f, np.float64(0), V)
    count.n = 0
    with fg.disable_jit():
        assert_same(scan(f, np.float64(0), V), expected)
        assert count.n == 3
        assert_same(scan(lambda c, x: (c, {"a": c}), V, np.zeros((0, 2))), (V, {"a": np.zeros((0, 3))}))
        assert_no_alias(scan(lambda c, x: (c, c), V, XS), V)
        assert fg.grad(lambda a: scan(lambda c, x: (c * a if x > 0 else c, None), 1.0, V)[0])(2.0) == 4.0
        with pytest.raises(TransformTypeError, match="must return a pair"):
            scan(lambda c, x: c, 0.0, V)


def test_recursion():
    """A body that scans itself, to a depth that is known."""

    def f(scan, depth):
        return scan(lambda c, x: (c + x + (f(scan, depth - 1) if depth else 0.0), c), 0.0, V)[0]

    assert f(scan, 3) == pytest.approx(f(py_scan, 3))


def test_threads():
    """Threads that call one jitted loop, the first calls at the same time, get their own results."""
    f = fg.jit(lambda x: scan(lambda c, r: (np.tanh(W @ c + r) * 0.5 + np.sin(c), c * 2), x, XS))
    expected = [py_scan(lambda c, r: (np.tanh(W @ c + r) * 0.5 + np.sin(c), c * 2), V * k, XS) for k in range(6)]
    errors = []

    def work(k):
        try:
            for _ in range(50):
                assert_same(f(V * k), expected[k])
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


def test_arrays_of_fungrad_numpy():
    """Carry and rows may be what the constructors of fungrad.numpy make."""
    assert_same(scan(lambda c, x: (c + x, c), fnp.zeros(2), fnp.ones((3, 2)))[0], np.full(2, 3.0))


def test_branches_of_a_body_do_not_run_for_other_rows():
    """What a branch computes of rows stays in the branch: no warning and no nan from rows that do not take it."""

    def f(x):
        return scan(lambda c, x: (c + cond(x > 0, lambda: np.log(x), lambda: 0.0 * x), None), 0.0, x)[0]

    x = np.array([0.0, 2.0])
    assert f(x) == np.log(2.0)
    assert_same(fg.grad(f)(x), np.array([0.0, 0.5]))
    assert_same(fg.jit(fg.grad(f))(x), np.array([0.0, 0.5]))


def test_tangents_that_are_zero_where_they_are_read():
    """An element that does not depend on the carry, of an array that does: its tangent is no affine constant."""
    constant = np.cos(np.arange(40.0))

    def f(scan, c):
        def body(c, x):
            updated = put(constant, 12, c[0][0])
            moved = put(np.broadcast_to(c[1].sum() * 0.1, (40,)), 5, updated[5], "add")
            return (np.tanh(moved + c[0]), np.broadcast_to(c[1].sum() * 0.1, (40,))), x

        return np.sum(scan(body, (c, c * 2), np.ones((3, 40)))[0][0])

    c = np.sin(np.arange(40.0))
    assert_same(fg.grad(lambda c: f(scan, c))(c), fg.grad(lambda c: f(py_scan, c))(c))

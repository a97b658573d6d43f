"""fori_loop: bounds known and unknown, their dtypes, carries, derivatives by bounds that are computed, errors."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from support.loops import A, Counter, V, W, assert_no_alias, assert_same, put, py_fori

import fungrad as fg
import fungrad.numpy as fnp
from fungrad.control.fori_loop import fori_loop
from fungrad.errors import TracerBoolConversionError, TracerIntegerConversionError, TransformTypeError
from fungrad.testing import check_grads

BODIES = {
    "sum": (lambda i, c: c + i, np.int64(0)),
    "float": (lambda i, c: c * 0.5 + i, np.float64(1)),
    "tree": (lambda i, c: {"a": c["b"], "b": c["a"] * i}, {"a": V, "b": V + 1}),
    "unchanged": (lambda i, c: c, V),
    "indexed": (lambda i, c: put(c, i % 3, c[(i + 1) % 3] + 1.0), V),
    "matrix": (lambda i, c: W @ c + i, V),
    "empty": (lambda i, c: c, ()),
}


@pytest.mark.parametrize("bounds", [(0, 4), (2, 5), (-3, 2), (0, 0), (4, 0)])
@pytest.mark.parametrize("name", sorted(BODIES))
def test_values(name, bounds):
    """As the Python loop over range(lower, upper), with bounds that are known and that are not."""
    body, init = BODIES[name]
    expected = py_fori(*bounds, body, init)
    runs = (
        lambda: fori_loop(*bounds, body, init),
        lambda: fg.jit(lambda i: fori_loop(*bounds, body, i))(init),
        lambda: fg.jit(lambda n, i: fori_loop(bounds[0], n, body, i))(bounds[1], init),
        lambda: fg.jit(lambda m, n, i: fori_loop(m, n, body, i))(*bounds, init),
    )
    for run in runs:
        got = run()
        assert_same(got, expected)
        assert_no_alias(got, init, W)


@pytest.mark.parametrize(
    ("lower", "upper", "dtype"),
    [
        (0, 3, "i8"),
        (np.int8(0), np.int8(3), "i1"),
        (np.uint8(0), np.uint8(3), "u1"),
        (np.int32(0), np.int8(3), "i4"),
        (np.int64(0), np.uint64(3), "i8"),
        (0, np.uint64(3), "i8"),
        (np.array(0), np.array(3), "i8"),
    ],
)
def test_the_dtype_of_the_index(lower, upper, dtype):
    """It is that of the bounds together, always an integer: NumPy would make a float of int64 and uint64."""
    for run in (fori_loop, lambda m, n, f, c: fg.jit(lambda m, n, c: fori_loop(m, n, f, c))(m, n, c)):
        assert_same(run(lower, upper, lambda i, c: i, np.zeros((), dtype)[()]), np.array(2, dtype)[()])


def test_the_last_value_of_a_dtype():
    """The index reaches the largest bound that the dtype has."""
    assert fg.jit(lambda n: fori_loop(np.int8(0), n, lambda i, c: c + 1, 0))(np.int8(127)) == 127
    with pytest.warns(RuntimeWarning, match="overflow"):  # as NumPy's sum of uint8 scalars
        got = fori_loop(np.uint8(0), np.uint8(255), lambda i, c: c + i, 0)
    assert_same(got, np.uint8(129))


def test_python_numbers_take_the_dtype_of_the_body():
    """Also where the number of iterations is not known."""
    for run in (fori_loop, lambda m, n, f, c: fg.jit(lambda n: fori_loop(m, n, f, c))(n)):
        assert_same(run(0, 3, lambda i, c: c * 0.5, 8), np.float64(1.0))
        assert_same(run(0, 3, lambda i, c: c + np.float32(1), 0), np.float32(3.0))
        assert_same(run(0, 3, lambda i, c: c + i, 0), np.int64(3))


def power(loop):
    """x ** n by a loop."""
    return lambda x, n: loop(0, n, lambda i, y: y * x, 1.0)


def test_derivatives_with_computed_bounds():
    """Reverse mode works for numbers of iterations that are not known when it is compiled, of any order."""
    for n in (0, 1, 2, 7):
        f, g = power(fori_loop), power(py_fori)
        for _ in range(3):
            f, g = fg.grad(f), fg.grad(g)
            assert_same(f(1.5, n), np.float64(g(1.5, n)))
            assert_same(fg.jit(f)(1.5, n), np.float64(g(1.5, n)))
    check_grads(fg.jit(lambda x: power(fori_loop)(x, 4)), (1.5,), order=2)


def test_each_example_has_its_own_bounds():
    """vmap over a bound, over the carry, over both; with derivatives to second order."""
    ns, cs = np.array([0, 3, 1, 5]), np.stack([V, V * 2, V - 1, V * V])

    def f(loop, c, n):
        return loop(0, n, lambda i, c: np.sin(c) * 1.3 + i, c)

    def square(loop):
        return lambda c, n: np.sum(f(loop, c, n) ** 2)

    for axes, args in (((0, 0), (cs, ns)), ((None, 0), (V, ns)), ((0, None), (cs, 4))):
        rows = [(cs[k] if axes[0] == 0 else V, ns[k] if axes[1] == 0 else 4) for k in range(4)]
        for make in (
            lambda loop: functools.partial(f, loop),
            lambda loop: fg.grad(square(loop)),
            lambda loop: fg.hessian(square(loop)),
        ):
            expected = np.stack([make(py_fori)(c, n) for c, n in rows])
            assert_same(fg.vmap(make(fori_loop), in_axes=axes)(*args), expected)
            assert_same(fg.jit(fg.vmap(make(fori_loop), in_axes=axes))(*args), expected)


def test_lower_bounds_may_be_batched():
    """From each example's own start."""
    got = fg.vmap(lambda m: fori_loop(m, 5, lambda i, c: c + i, 0))(np.array([0, 3, 5, 9]))
    assert_same(got, np.array([10, 7, 0, 0]))


def test_updates_of_the_carry():
    """A recurrence written with index assignment: value and gradient."""

    def f(loop, v):
        def body(i, c):
            c[i] = np.sin(c[i - 1]) * fnp.take(v, i)
            return c

        return loop(1, 3, body, v * 1.0)

    expected = np.array([V[0], np.sin(V[0]) * V[1], np.sin(np.sin(V[0]) * V[1]) * V[2]])
    assert_same(f(fori_loop, V), expected)
    assert_same(fg.jit(lambda v: f(fori_loop, v))(V), expected)
    assert_same(fg.jacrev(lambda v: f(fori_loop, v))(V), fg.jacrev(lambda v: f(py_fori, v))(V))


def test_the_body_runs_a_few_times():
    """Not once for each iteration."""
    for run in (
        lambda f, n: fori_loop(0, n, f, 0.0),
        lambda f, n: fg.jit(lambda n: fori_loop(0, n, f, 0.0))(n),
        lambda f, n: fg.grad(lambda a: fori_loop(0, n, lambda i, c: f(i, c * a), 0.5))(A),
    ):
        counts = []
        for n in (1, 10, 1000):
            count = Counter()
            run(lambda i, c, count=count: (count() or c) * 0.5 + i, n)
            counts.append(count.n)
        assert counts[0] == counts[1] == counts[2] <= 3


def test_disable_jit():
    """The loop is Python's then."""
    count = Counter()
    with fg.disable_jit():
        got = fori_loop(0, 4, lambda i, c: (count() or c) + (i if i % 2 else 10), 0)
    assert (got, count.n) == (24, 4)


ERRORS = {
    "float": (
        lambda: fori_loop(0, 3.0, lambda i, c: c, 0.0),
        TransformTypeError,
        r"upper .* integer .* got f64\[\].*int\(x\)",
    ),
    "array": (lambda: fori_loop(V, 3, lambda i, c: c, 0.0), TransformTypeError, r"lower .* got f64\[3\]"),
    "bool": (lambda: fori_loop(0, True, lambda i, c: c, 0.0), TransformTypeError, r"got bool\[\]"),
    "None": (lambda: fori_loop(0, None, lambda i, c: c, 0.0), TransformTypeError, "got NoneType"),
    "traced float": (
        lambda: fg.jit(lambda n: fori_loop(0, n, lambda i, c: c, 0.0))(3.0),
        TransformTypeError,
        r"got f64\[\]; .*astype\(int\)",
    ),
    "no function": (lambda: fori_loop(0, 3, 4, 0.0), TransformTypeError, "expects a function, got int"),
    "carry": (
        lambda: fori_loop(0, 3, lambda i, c: {"z": c["z"][:2]}, {"z": V}),
        TransformTypeError,
        r"fungrad\.lax\.fori_loop: .*test_fori_loop\.py.*the leaf \['z'\] is f64\[3\] in the first and f64\[2\]",
    ),
    "carry, unknown bound": (
        lambda: fg.jit(lambda n: fori_loop(0, n, lambda i, c: {"z": c["z"][:2]}, {"z": V}))(3),
        TransformTypeError,
        r"fungrad\.lax\.fori_loop: .*test_fori_loop\.py.*\['z'\] is f64\[3\] in the first and f64\[2\]",
    ),
    "if": (
        lambda: fori_loop(0, 3, lambda i, c: c + 1 if c > 1 else c, 0.0),
        TracerBoolConversionError,
        r"fungrad\.lax\.fori_loop of .*test_fori_loop\.py.*fungrad\.lax\.cond",
    ),
    "range": (
        lambda: fori_loop(0, 3, lambda i, c: c + sum(range(i)), 0.0),
        TracerIntegerConversionError,
        r"fungrad\.lax\.fori_loop of",
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors(name):
    """A wrong use says what it was given, names fori_loop and the user's function, and says what to write."""
    run, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        run()

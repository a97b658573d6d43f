"""map: one row after the other and in batches, trees, derivatives, errors."""

from __future__ import annotations

import numpy as np
import pytest
from support.loops import XS, A, Counter, V, W, assert_no_alias, assert_same, py_map

import fungrad as fg
from fungrad.control.cond import cond
from fungrad.control.map import map as lax_map
from fungrad.control.while_loop import while_loop
from fungrad.errors import NonDifferentiableError, TracerBoolConversionError, TransformTypeError, TransformValueError

FUNCTIONS = {
    "array": (lambda x: np.sin(x) * x.sum(), XS),
    "scalars": (lambda x: x * x, V),
    "tree": (lambda x: {"s": x[0] + x[1], "n": (None, W[0] * x[0])}, (V, V * 2)),
    "itself": (lambda x: x, XS),
    "view": (lambda x: x[::-1], XS),
    "constant": (lambda x: W, V),
    "number": (lambda x: 2.5, V),
    "integers": (lambda x: x // 2, np.arange(7)),
    "float32": (lambda x: x * 2, V.astype("f4")),
    "complex": (lambda x: x * 1j, V),
    "linear algebra": (lambda x: np.linalg.solve(np.eye(3) + np.outer(x, x), x), XS),
    "while": (lambda x: while_loop(lambda s: s < 3 + x, lambda s: s * 1.5, 1.0), V),
}


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_values(name, batch_size):
    """The results of the rows, stacked, whatever the size of the batches, with jit and without."""
    f, xs = FUNCTIONS[name]
    expected = fg.tree.map(np.asarray, py_map(f, xs))
    for run in (lambda x: lax_map(f, x, batch_size=batch_size), fg.jit(lambda x: lax_map(f, x, batch_size=batch_size))):
        got = run(xs)
        assert_same(got, expected)
        assert_no_alias(got, xs, W)


@pytest.mark.parametrize("batch_size", [None, 2, 4])
def test_derivatives(batch_size):
    """By the rows, by closures; jacobians, hessians; vmap of map; each as in a Python loop."""

    def f(run):
        return lambda a, x: run(lambda r: np.sin(r * a) * cond(r.sum() > 1.5, lambda: a, lambda: a * a), x)

    def in_batches(g, x):
        return lax_map(g, x, batch_size=batch_size)

    got, expected = f(in_batches), f(py_map)
    assert_same(fg.jacrev(got, (0, 1))(A, XS), fg.jacrev(expected, (0, 1))(A, XS))
    assert_same(fg.jit(fg.jacfwd(got, (0, 1)))(A, XS), fg.jacfwd(expected, (0, 1))(A, XS))
    total = [lambda a, g=g: np.sum(np.sin(g(a, XS))) for g in (got, expected)]
    assert_same(fg.hessian(total[0])(A), fg.hessian(total[1])(A))
    assert_same(fg.vmap(got, in_axes=(0, None))(V, XS), np.stack([expected(a, XS) for a in V]))


@pytest.mark.parametrize("batch_size", [None, 2])
def test_no_rows(batch_size):
    """The result has the type that it would have."""
    got = lax_map(lambda x: {"a": x.sum(), "b": (x, 1)}, np.zeros((0, 3)), batch_size=batch_size)
    assert_same(got, {"a": np.zeros(0), "b": (np.zeros((0, 3)), np.zeros(0, int))})


@pytest.mark.parametrize("batch_size", [None, 3])
def test_the_function_runs_a_few_times(batch_size):
    """Not once for each row."""
    counts = []
    for n in (4, 40, 400):
        count = Counter()
        lax_map(lambda x, count=count: (count() or x) * 2.0, np.ones(n), batch_size=batch_size)
        counts.append(count.n)
    assert counts[0] == counts[1] == counts[2] <= 3


def test_linear_transpose():
    """The transpose of a linear map of rows is the transposed map of rows, in batches too."""
    for size in (None, 3):
        f = fg.linear_transpose(lambda x, size=size: lax_map(lambda r: W @ r, x, batch_size=size), XS)
        assert_same(f(XS)[0], XS @ W)


def test_disable_jit():
    """Rows are computed by the function as it is written."""
    with fg.disable_jit():
        for size in (None, 2):
            assert_same(lax_map(lambda x: x * 2 if x > 0 else x, V, batch_size=size), np.array([0.6, -0.7, 2.2]))


ERRORS = {
    "no function": (lambda: lax_map(3, V), TransformTypeError, "expects a function, got int"),
    "batch of none": (lambda: lax_map(abs, V, batch_size=0), TransformTypeError, "positive integer, got 0"),
    "batch of a half": (lambda: lax_map(abs, V, batch_size=0.5), TransformTypeError, r"positive integer, got 0\.5"),
    "sizes": (
        lambda: lax_map(lambda x: x["a"], {"a": V, "b": V[:2]}),
        TransformValueError,
        r"fungrad\.lax\.map: .*test_map\.py.*\n  xs\['a'\] has 3 rows\n  xs\['b'\] has 2 rows",
    ),
    "sizes of batches": (
        lambda: lax_map(lambda x: x["a"], {"a": V, "b": V[:2]}, batch_size=2),
        TransformValueError,
        r"fungrad\.lax\.map: .*\n  xs\['a'\] has 3 rows",
    ),
    "no rows": (lambda: lax_map(lambda x: 1.0, ()), TransformValueError, r"fungrad\.lax\.map: "),
    "scalar": (lambda: lax_map(abs, 1.0), TransformValueError, r"fungrad\.lax\.map: .* no axis"),
    "string": (lambda: lax_map(lambda x: "s", V), NonDifferentiableError, r"fungrad\.lax\.map: result.* str"),
    "if": (
        lambda: lax_map(lambda x: x if x > 0 else -x, V),
        TracerBoolConversionError,
        r"fungrad\.lax\.map of .*test_map\.py.*fungrad\.lax\.cond",
    ),
}


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors(name):
    """A wrong use names map and the user's function, and says what is expected."""
    run, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        run()

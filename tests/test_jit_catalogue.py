"""Every row of the catalogue under jit: a compiled function, and its derivatives, are those of the function itself.

The rows' own cases are small. What runs block by block (large arrays) is in ``tests/compile/test_large.py``.
"""

from __future__ import annotations

import numpy as np
import pytest
from catalogue import ROWS, Row
from catalogue.cases import Case, assert_close, cases
from catalogue.scipy_ufuncs import ROWS as SCIPY_ROWS
from test_catalogue import BATCH, NOT_FOR_INTEGERS, VALUE, abstractable, both, for_each_case

import fungrad as fg
from fungrad import tree


def scalars(values):
    """Eager results as a compiled function has them: arrays without axes are NumPy's scalars."""
    return tree.map(lambda y: np.asarray(y)[()], values)


def cotangents(values, rng):
    """Random cotangents of results; float0 for integers and booleans."""
    return tree.map(lambda y: _cotangent(np.asarray(y), rng), values)


def _cotangent(y, rng):
    if y.dtype.kind not in "fc":
        return np.zeros(y.shape, fg.float0)
    v = rng.uniform(-1, 1, y.shape) + (1j * rng.uniform(-1, 1, y.shape) if y.dtype.kind == "c" else 0.0)
    return v.astype(y.dtype)[()]


@for_each_case(rows=abstractable)
def test_value_under_jit(case: Case) -> None:
    """A compiled function returns what NumPy returns: tree, shapes, dtypes, values; and so on the second call.

    No result shares memory with an argument or another result, and the arguments are as they were.
    """
    args = case.args()
    before = [np.copy(x) for x in args]
    expected = scalars(case.row.fun(*args))
    compiled = fg.jit(case.row.fun)
    compiled.clear_cache()
    first = compiled(*args)
    assert_close(first, expected, VALUE[case.dtype], "first call")
    second = compiled(*args)
    assert_close(first, expected, VALUE[case.dtype], "first call, after the second")
    assert_close(second, expected, VALUE[case.dtype], "second call")
    for x, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(x, b)
    arrays = [y for y in (*tree.leaves(first), *tree.leaves(second)) if isinstance(y, np.ndarray)]
    for k, y in enumerate(arrays):
        assert y.flags.writeable
        assert not any(np.shares_memory(y, z) for z in (*args, *arrays[:k]))
    other = case.args(1)
    try:
        expected = scalars(case.row.fun(*other))
    except (ArithmeticError, ValueError, Warning):
        return
    assert_close(compiled(*other), expected, VALUE[case.dtype], "other values of the same types")
    assert compiled.cache_info().size == 1


@for_each_case("dD", rows=both)
def test_vjp_under_jit(case: Case) -> None:
    """The vector-Jacobian product of a compiled function, compiled or not, is that of the function; so is its jvp."""
    args = case.args()
    fun, active = case.smooth(args), case.pick(args)
    y, pull = fg.vjp(fun, *active)
    ct = cotangents(y, case.rng(200))
    expected = pull(ct)
    assert_close(fg.vjp(fg.jit(fun), *active)[1](ct), expected, 1e-9, "vjp(jit(f))")
    compiled = fg.jit(lambda ct, *xs: fg.vjp(fun, *xs)[1](ct))
    assert_close(compiled(ct, *active), expected, 1e-9, "jit(vjp(f))")
    assert_close(compiled(ct, *active), expected, 1e-9, "jit(vjp(f)), second call")
    tangents = case.pick(case.tangents(args))
    value, tangent = fg.jvp(fg.jit(fun), active, tangents)
    assert_close(scalars(value), scalars(y), 1e-9, "jvp(jit(f)), value")
    assert_close(scalars(tangent), scalars(fg.jvp(fun, active, tangents)[1]), 1e-9, "jvp(jit(f)), tangent")


@for_each_case("d", main_only=True, rows=abstractable)
def test_vmap_under_jit(case: Case) -> None:
    """jit of vmap and vmap of jit are vmap."""
    draws = [case.args(k) for k in range(BATCH)]
    stacked = [np.stack(x) for x in zip(*draws, strict=True)]
    if not stacked:
        pytest.skip("no operands to map over")
    expected = fg.vmap(case.row.fun)(*stacked)
    assert_close(fg.jit(fg.vmap(case.row.fun))(*stacked), expected, 1e-10, "jit(vmap(f))")
    assert_close(fg.vmap(fg.jit(case.row.fun))(*stacked), expected, 1e-10, "vmap(jit(f))")


OTHERS = ("int64", "bool", "float16", "uint8", "int32", "longdouble")
SLOW_IN_SCIPY = {row.name for row in SCIPY_ROWS}  # some of SciPy's functions take minutes for integers and halves


@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        pytest.param(r, OTHERS[(k + n) % len(OTHERS)], id=f"{r.name}-{OTHERS[(k + n) % len(OTHERS)]}", marks=marks)
        for k, r in enumerate(ROWS)
        if r.batched and r.name not in NOT_FOR_INTEGERS and r.name not in SLOW_IN_SCIPY
        for n, marks in enumerate([(), *[pytest.mark.slow] * (len(OTHERS) - 1)])
    ],
)
def test_other_dtypes_under_jit(row: Row, dtype: str) -> None:
    """Where NumPy takes integers, booleans, half or extended precision, so does a compiled function."""
    if dtype == "longdouble" and row.name.startswith("nan_to_num"):
        pytest.skip("results at the end of the range of long doubles, which no tolerance fits")
    case = next(cases(row))
    args, rng = case.args(), case.rng(300)
    args = case.merge(args, tuple([rng.integers(1, 4, np.shape(x)).astype(dtype)[()] for x in case.pick(args)]))
    try:
        expected = scalars(row.fun(*args))
        closed = fg.make_jaxpr(row.fun)(*args)
    except (TypeError, ValueError, ArithmeticError, Warning):
        pytest.skip("NumPy does not take this dtype, or the result's type depends on values")
    if [(np.shape(y), np.asarray(y).dtype) for y in tree.leaves(expected)] != [
        (a.shape, a.dtype) for a in closed.out_avals
    ]:
        pytest.skip("recorded on types alone it has another type")
    half = any(np.asarray(y).dtype == np.float16 for y in tree.leaves(expected))
    assert_close(fg.jit(row.fun)(*args), expected, 4e-3 if half else 1e-12, "jit")

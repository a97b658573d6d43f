"""Functions that other tests have for other reasons, compiled: assignment, the array API, special values."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from array_api.programs import PROGRAMS, SMOOTH
from catalogue import ROWS, linalg_spectra, linalg_systems, polynomials, scipy_ufuncs
from catalogue.cases import Case
from hypothesis import given, settings
from test_assignment_programs import X, Z, plainly, programs, run
from test_laws import assert_equal

import fungrad as fg
from fungrad import errors


@settings(max_examples=120)
@given(programs)
def test_assignment(program):
    """Programs that fill, slice, alias and accumulate into arrays, and their derivatives, compiled."""
    fun = lambda x, z: run(program, x, z)
    try:
        expected = plainly(program, X, Z)
    except (IndexError, ValueError) as error:
        with pytest.raises((type(error), errors.ConcretizationTypeError)):
            fg.jit(fun)(X, Z)
        return
    x, z = X.copy(), Z.copy()
    try:
        j = fg.jit(fun)
        got = j(x, z)
    except (errors.ConcretizationTypeError, errors.NonConcreteBooleanIndexError):
        return  # a mask of unknown values
    for _ in range(2):
        for a, b in zip(fg.tree.leaves(got), fg.tree.leaves(expected), strict=True):
            assert_equal(a, b, 1e-12)
        got = j(x, z)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(z, Z)
    total = lambda x, z: sum(np.sum(np.sin(y)) for y in fg.tree.leaves(fun(x, z)))
    plain = fg.grad(total, (0, 1))(X, Z)
    for g in (fg.jit(fg.grad(total, (0, 1))), fg.grad(fg.jit(total), (0, 1))):
        for a, b in zip(g(X, Z), plain, strict=True):
            assert_equal(a, b, 1e-9)


M = np.array([[0.13, 0.57, 0.31], [0.84, 0.22, 0.68], [0.45, 0.76, 0.29]])


@pytest.mark.parametrize("name", list(PROGRAMS))
@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_array_api(name, dtype):
    """A program of each function of the array API, in the namespace of a traced array, as in that of NumPy."""
    x = (M * (1 if dtype == "float64" else 7)).astype(dtype)
    f = lambda x: PROGRAMS[name](x.__array_namespace__(), x)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            closed = fg.make_jaxpr(f)(x)
            expected = fg.eval_jaxpr(closed, (), x)
        except (TypeError, ValueError, IndexError, AttributeError, np.linalg.LinAlgError):
            pytest.skip("not for this dtype, or not for arrays of unknown values")
        got = fg.tree.leaves(fg.jit(f)(x))
    for a, b in zip(got, expected, strict=True):
        assert (np.shape(a), a.dtype) == (np.shape(b), np.asarray(b).dtype)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", list(SMOOTH))
def test_array_api_gradients(name):
    """The gradient of those that have one, compiled."""
    total = lambda x: sum(
        np.sum(np.sin(np.real(y)))
        for y in fg.tree.leaves(SMOOTH[name](x.__array_namespace__(), x))
        if fg.typeof(y).dtype.kind in "fc"
    )
    try:
        expected = fg.grad(total)(M)
        fg.make_jaxpr(total)(M)
    except errors.FungradError:
        pytest.skip("not for arrays of unknown values")
    for g in (fg.jit(fg.grad(total)), fg.grad(fg.jit(total))):
        assert_equal(g(M), expected)


# Some of their functions do not end, or not within minutes, for nan and infinities.
LAPACK_AND_SCIPY = [*linalg_spectra.ROWS, *linalg_systems.ROWS, *polynomials.ROWS, *scipy_ufuncs.ROWS]
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 1e-320, 1.0, -1.0, 0.5])


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(r, id=r.name)
        for r in ROWS
        if r.batched and not r.integers and "d" in r.dtypes and r not in LAPACK_AND_SCIPY
    ],
)
def test_special_values(row):
    """nan, infinities, zeros and denormal numbers in the operands of each row: compiled as uncompiled."""
    case = Case(row, "d", row.shapes)
    rng = case.rng(400)
    for _ in range(3):
        args = case.args()
        chosen = []
        for x in case.pick(args):
            y = np.where(rng.uniform(size=np.shape(x)) < 0.5, rng.choice(SPECIAL, np.shape(x)), x)
            chosen.append(y[()])
        args = case.merge(args, tuple(chosen))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                closed = fg.make_jaxpr(row.fun)(*args)
                expected = fg.eval_jaxpr(closed, (), *args)
            except (TypeError, ValueError, ArithmeticError, IndexError) as error:
                with pytest.raises(type(error)):
                    fg.jit(row.fun)(*args)
                continue
            got = fg.tree.leaves(fg.jit(row.fun)(*args))
        for a, b in zip(got, expected, strict=True):
            finite = np.abs(np.asarray(b)[np.isfinite(b)]) if np.asarray(b).dtype.kind in "fc" else np.zeros(0)
            scale = float(np.max(finite, initial=1.0))
            tolerance = 1e-9 * scale if scale < 1e200 else 0.0
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=tolerance)

"""The same as NumPy: value, shape, dtype, type of result, warnings and errors, for every row of the catalogue.

What ``test_catalogue.py`` says of the dtypes that a row names is said here of all dtypes that NumPy has, half and
extended precision and each width of integer among them: where NumPy takes them so does fungrad, and where it raises so
does fungrad. Integers and booleans carry no tangent, so recordings with values are tried with inexact dtypes only.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from catalogue import ROWS, Row, contraction, linalg_spectra, linalg_systems, scipy_ufuncs
from catalogue.cases import Case, assert_close, cases

import fungrad as fg
from fungrad import tree

INEXACT = "efdgFDG"
INTEGERS = "bBhIlLqQ"  # test_catalogue.py has int64, int32, uint16 and bool; q and Q are types of their own

TOLERANCE = {"e": 4e-3, "f": 2e-5, "d": 1e-12, "g": 1e-12, "F": 2e-5, "D": 1e-12, "G": 1e-12}


# What differs, and why.
NOT_FOR_INTEGERS = {
    "pad linear_ramp": "refused, with a message",
    "logaddexp.reduce": "in double precision, where NumPy takes half or single precision for small integers",
}
NOT_FOR_COMPLEX = {
    "histogram_bin_edges": "a function of real numbers: NumPy takes complex ones, and orders them",
    "histogram2d": "the same",
    "histogramdd": "the same",
    "interp": "NumPy drops the imaginary parts of some arguments without a word",
}
NOT_FOR_EXTENDED = {
    "histogram2d": "NumPy counts in double precision and refuses weights of more; here they are taken",
    "histogramdd": "the same",
    "roots": "the eigenvalues of a matrix, which LAPACK has in double precision only",
    "interp": "NumPy rounds to double precision without a word in some arguments, here it is an error in all",
}
NOT_FOR_SPECIAL_VALUES = {
    "sum initial traced": "the initial value is combined last, in NumPy first: at the edge of overflow that differs",
    "prod initial where": "the same",
    "nanprod initial where": "the same",
    "subtract.reduce initial where": "the same",
    "einsum": "its own loops report no overflow; here products are by matmul, which does, in another order",
    "attention": "the same: an einsum",
    "vdot": "reports no overflow in NumPy",
    "lax.ragged_dot": "with sizes that are not known all rows are multiplied by each matrix",
    "power.reduce": "computed by a scan whose other branch may overflow",
    "power.accumulate": "the same",
    "float_power.reduce": "the same",
    "float_power.accumulate": "the same",
    "arctan2.reduce": "the same",
    "quantile": "interpolates also where an element is taken as it is, with more warnings",
    "nanmedian": "the mean of the two middle elements does not overflow here",
    "histogram weights of bins": "a nan among the weights stays in its bin",
    "piecewise": "on types alone all its functions see all elements",
    "i0": "inf at infinity, where NumPy has nan",
    "gradient": "a difference quotient in another order",
    "norm": "NumPy squares without scaling, and warns of overflow",
    "matrix_norm": "the same",
    "vector_norm": "the same",
    "cond": "the same",
}
OLD = np.lib.NumpyVersion(np.__version__) < "2.4.0"
if OLD:
    NOT_FOR_COMPLEX["cond"] = "its dtype was that of the matrix"

OF_VALUES = "Mean of empty slice|All-NaN|Degrees of freedom"
"""Warnings of NumPy's Python code that depend on values: they cannot be given when only types are known."""


ERRORS = (TypeError, ValueError, IndexError, ArithmeticError, np.linalg.LinAlgError, ModuleNotFoundError)
"""What a function raises for operands that it does not take; the last one where it needs SciPy."""


class Outcome(NamedTuple):
    """What a call gave: a value or an exception, and the classes of its warnings."""

    value: Any
    error: Exception | None
    warnings: set[type]


def outcome(fun: Callable[..., Any], *args: Any) -> Outcome:
    """Call a function."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value, error = fun(*args), None
        except (
            TypeError,
            ValueError,
            IndexError,
            ArithmeticError,
            np.linalg.LinAlgError,
            ModuleNotFoundError,
        ) as raised:
            value, error = None, raised
    return Outcome(value, error, {w.category for w in caught if not re.match(OF_VALUES, str(w.message))})


def operands(case: Case, dtype: str) -> tuple[Any, ...]:
    """The operands of a case, those that have a derivative in this dtype."""
    args = case.args()
    rng = np.random.default_rng(zlib.crc32(case.row.name.encode()))
    if dtype in INEXACT:
        kind = Case(case.row, "D" if dtype in "FDG" else "d", case.shapes)
        return tuple(kind.merge(args, tuple([np.asarray(x).astype(dtype)[()] for x in kind.pick(kind.args())])))
    drawn = [rng.integers(1, 4, np.shape(x)).astype(dtype)[()] for x in case.pick(args)]
    return tuple(case.merge(args, tuple(drawn)))


def check(row: Row, expected: Outcome, got: Outcome, tolerance: float, what: str, with_values: bool = True) -> None:
    """The same value up to rounding, the same class of error, and the same warnings.

    On types alone no error is due that depends on values.
    """
    if np.exceptions.ComplexWarning in expected.warnings and "F" not in row.dtypes and "D" not in row.dtypes:
        return  # NumPy drops imaginary parts of a function of real numbers: here that may be an error
    if expected.error is not None:
        of_types = isinstance(expected.error, (TypeError, OverflowError))
        assert got.error is not None or not (with_values or of_types), f"{what}: NumPy raises {expected.error!r}"
        return
    if not with_values and isinstance(got.error, fg.errors.ConcretizationTypeError):
        return  # a refusal that says so: the dtype of the result depends on values
    assert got.error is None, f"{what}: {got.error!r}"
    tolerance = max([tolerance, *[TOLERANCE.get(np.asarray(y).dtype.char, 0.0) for y in tree.leaves(expected.value)]])
    if any(np.any(np.abs(np.asarray(y, "G")) > 1e300) for y in tree.leaves(expected.value)):
        # Relative to each element: the largest one would hide all others.
        for a, b in zip(tree.leaves(got.value), tree.leaves(expected.value), strict=True):
            assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype), what
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)
    else:
        assert_close(got.value, expected.value, tolerance, what)
    assert got.warnings == expected.warnings, what


def recorded(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a recording with values computes it."""
    return lambda *args: fg.vjp(fun, *args)[0]


def evaluated(fun: Callable[..., Any]) -> Callable[..., Any]:
    """The function recorded on types alone, then evaluated; the types are checked against the values."""

    def call(*args: Any) -> Any:
        closed, types = fg.make_jaxpr(fun, return_shape=True)(*args)
        leaves = fg.eval_jaxpr(closed, (), *args)
        for aval, y in zip(closed.out_avals, leaves, strict=True):
            assert (aval.shape, aval.dtype) == (np.shape(y), np.asarray(y).dtype)
        return tree.unflatten(tree.structure(types), leaves)

    return call


# SciPy's ufuncs are not NumPy's, and some do not return for arguments out of their domain.
NUMPYS = [row for row in ROWS if row not in scipy_ufuncs.ROWS]

# Before NumPy 2.4 products reported overflow or not depending on sizes and memory layout.
PRODUCTS = [*contraction.ROWS, *[row for row in ROWS if row.name.startswith("apply_along_axis")]] if OLD else []

# LAPACK does not always return for infinities and nan.
LAPACK = [*linalg_systems.ROWS, *linalg_spectra.ROWS, *[row for row in ROWS if row.name.startswith(("poly", "roots"))]]


def listed(row: Row, exceptions: dict[str, str]) -> bool:
    """Whether a row, by its name or the first word of it, is among these exceptions."""
    return row.name in exceptions or re.split(r"[ ,]", row.name)[0] in exceptions


def parameters(rows: Callable[[Row], bool]) -> Any:
    """Rows as parameters of a test."""
    return pytest.mark.parametrize("row", [pytest.param(r, id=r.name) for r in NUMPYS if rows(r)])


def has_inexact(row: Row) -> bool:
    """Whether the row has operands whose dtype can be chosen."""
    return len(row.shapes) > len(row.integers) + len(row.booleans)


@parameters(has_inexact)
def test_inexact_dtypes(row: Row) -> None:
    """Half, single, double and extended precision, real and complex: with values, and on types alone."""
    case = next(cases(row))
    for dtype in INEXACT:
        if (dtype in "FDG" and listed(row, NOT_FOR_COMPLEX)) or (dtype in "gG" and listed(row, NOT_FOR_EXTENDED)):
            continue
        args = operands(case, dtype)
        expected = outcome(row.fun, *args)
        what = f"{row.name}, dtype {np.dtype(dtype)}"
        check(row, expected, outcome(recorded(row.fun), *args), TOLERANCE[dtype], what)
        if row.batched:
            check(row, expected, outcome(evaluated(row.fun), *args), TOLERANCE[dtype], what + ", on types alone", False)


@parameters(lambda row: has_inexact(row) and row.batched and not listed(row, NOT_FOR_INTEGERS))
def test_integer_dtypes(row: Row) -> None:
    """Integers of each width, signed and not, on types alone."""
    case = next(cases(row))
    for dtype in INTEGERS:
        args = operands(case, dtype)
        expected = outcome(row.fun, *args)
        check(row, expected, outcome(evaluated(row.fun), *args), 1e-12, f"{row.name}, dtype {np.dtype(dtype)}", False)


# Floating-point errors


def in_double(row: Row) -> bool:
    """Rows of real functions."""
    return (
        has_inexact(row)
        and "d" in row.dtypes
        and row not in [*LAPACK, *PRODUCTS]
        and not listed(row, NOT_FOR_SPECIAL_VALUES)
    )


SPECIAL = np.array([0.0, -1.0, 1e308, np.inf, np.nan, -0.0, 1e-310, 3.0])


def special_operands(row: Row, turn: int) -> tuple[Any, ...]:
    """Operands full of values at which functions divide by zero, overflow, underflow or are invalid."""
    case = next(cases(row))
    args = Case(row, "d", case.shapes).args()
    chosen = Case(row, "d", case.shapes)
    drawn = [
        np.resize(np.roll(SPECIAL, turn + 3 * k), np.shape(x))[()] if np.size(x) else x
        for k, x in enumerate(chosen.pick(args))
    ]
    return tuple(chosen.merge(args, tuple(drawn)))


@parameters(in_double)
def test_special_values(row: Row) -> None:
    """At 0, -1, huge and tiny numbers, inf and nan: NumPy's values and its warnings."""
    for turn in range(0, SPECIAL.size, 2):
        args = special_operands(row, turn)
        expected = outcome(row.fun, *args)
        check(row, expected, outcome(recorded(row.fun), *args), 1e-12, f"{row.name}, {args}")
        if row.batched:
            check(
                row, expected, outcome(evaluated(row.fun), *args), 1e-12, f"{row.name}, {args}, on types alone", False
            )


@parameters(in_double)
def test_errstate(row: Row) -> None:
    """Under ``np.errstate(all="raise")`` a traced array raises FloatingPointError where a plain one does."""
    for turn in range(0, SPECIAL.size, 2):
        args = special_operands(row, turn)
        with np.errstate(all="raise"):
            expected = outcome(row.fun, *args)
            got = outcome(recorded(row.fun), *args)
        assert type(expected.error) is type(got.error), f"{args}: NumPy {expected.error!r}, here {got.error!r}"


# Calls that no row makes

X = np.array([0.5, 1.5, 2.5, 3.5])
Z = np.array([1 + 2j, 3 - 1j])
BYTES = np.array([1, 2, 3], np.uint8)

CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "digitize, decreasing bins": (lambda x: np.digitize(x, [3.0, 2.0, 1.5]), (X,)),
    "digitize, decreasing bins, right": (lambda x: np.digitize(x, [3.0, 2.0, 1.5], right=True), (X,)),
    "digitize, bins traced": (lambda b: np.digitize(X, b), (X[::-1].copy(),)),
    "digitize, one bin": (lambda x, b: np.digitize(x, b), (X, X[:1])),
    "digitize, no bins": (lambda x: np.digitize(x, []), (X,)),
    "digitize, bins in no order": (lambda x: np.digitize(x, [1.0, 3.0, 2.0]), (X,)),
    "digitize, complex": (lambda z: np.digitize(z, [1.0, 3.0]), (Z,)),
    "max, initial out of range": (lambda n: np.max(n, initial=-1), (BYTES,)),
    "sum, initial out of range": (lambda n: np.sum(n, initial=-1), (BYTES,)),
    "sum, complex initial": (lambda x: np.sum(x, initial=1j), (X,)),
    "astype, imaginary parts dropped": (lambda z: z.astype(float), (Z,)),
    "einsum, dtype that does not hold it": (lambda z: np.einsum("i->", z, dtype=float), (Z,)),
    "take of a scalar": (lambda x: np.take(x, [0, 0], axis=0), (np.float64(2.0),)),
    "repeat of a scalar": (lambda x: np.repeat(x, 2, axis=-1), (np.float64(2.0),)),
    "compress of a scalar": (lambda x: np.compress([True], x, axis=0), (np.float64(2.0),)),
    "squeeze of a scalar": (lambda x: np.squeeze(x, -1), (np.float64(2.0),)),
    "mean of a scalar along an axis": (lambda x: np.mean(x, axis=0), (np.float64(2.0),)),
    "var of a scalar along an axis": (lambda x: np.var(x, axis=0), (np.float64(2.0),)),
    "tril of a scalar": (np.tril, (np.float64(2.0),)),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_other_calls(name: str) -> None:
    """Value, error and warning as in NumPy, with values and on types alone."""
    fun, args = CALLS[name]
    row = Row(name, fun, tuple([np.shape(x) for x in args]))
    expected = outcome(fun, *args)
    if all(x.dtype.kind in "fc" for x in args):
        check(row, expected, outcome(recorded(fun), *args), 1e-12, name)
    check(row, expected, outcome(evaluated(fun), *args), 1e-12, name, False)

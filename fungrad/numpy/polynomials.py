"""NumPy's polynomials: vectors of coefficients, that of the highest power first.

They are added, multiplied, divided, differentiated, integrated, evaluated, fitted, and made of or resolved into their
roots; each has a derivative in its coefficients. How many coefficients a result has depends on values in some of these
functions (polymul, polydiv, roots drop zeros in front); there the values must be known, so not under vmap.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError, UnsupportedOperationError
from fungrad.numpy.dispatch import FUNCTIONS, implements, load_later
from fungrad.numpy.shaping import as_array, atleast_1d
from fungrad.numpy.signal import convolve
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.complex_parts import real
from fungrad.primitives.contraction import contract
from fungrad.primitives.cumulative import cumprod
from fungrad.primitives.exponential import sqrt
from fungrad.primitives.polynomials import characteristic_polynomial, polynomial_roots
from fungrad.primitives.structural import (
    broadcast_to,
    concatenate,
    convert,
    expand_dims,
    flip,
    reduce_sum,
    reshape,
    slice_,
    slice_axis,
    stack,
    unslice_,
)

_DOUBLE = np.dtype(np.float64)


def _refuse_poly1d(call: str, *arguments: Any) -> None:
    if any(isinstance(x, np.poly1d) for x in arguments):
        raise UnsupportedOperationError(
            f"numpy.{call} at {here()}: a numpy.poly1d beside a traced array would make a poly1d, which cannot hold "
            "traced coefficients; pass p.coeffs"
        )


def _known(call: str, x: Any, why: str) -> np.ndarray[Any, Any]:
    """The value of an array on which the shape or dtype of a result depends; ``why`` says so, and what to write."""
    value = known_value(x)
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.{call} at {here()}: {why}; and this traced array of type {value!r} is recorded without values"
        )
    return np.asarray(value)


def _vectors(call: str, *arguments: Any) -> list[Any]:
    _refuse_poly1d(call, *arguments)
    vectors = [atleast_1d(x) for x in arguments]
    for x in vectors:
        if typeof(x).ndim != 1:
            raise ValueError(f"{call}: a polynomial must be a vector of coefficients, got shape {typeof(x).shape}")
    return vectors


def _zeros(count: int, dtype: np.dtype[Any]) -> Any:
    return np.zeros(count, dtype)


# Sums, products and quotients


def _combined(call: str, fun: Callable[[Any, Any], Any], a1: Any, a2: Any) -> Any:
    x, y = _vectors(call, a1, a2)
    n, m = typeof(x).size, typeof(y).size
    if n < m:
        x = concatenate([_zeros(m - n, typeof(x).dtype), x], 0)
    elif m < n:
        y = concatenate([_zeros(n - m, typeof(y).dtype), y], 0)
    return fun(x, y)


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Add polynomials; no coefficient is dropped, also where it becomes zero."""
    return _combined("polyadd", add, a1, a2)


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Subtract polynomials; no coefficient is dropped, also where it becomes zero."""
    return _combined("polysub", sub, a1, a2)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Multiply polynomials. Zeros in front of either are dropped, so values must be known.

    The derivative of the coefficients that stay is right also in those that are dropped.
    """
    x, y = _vectors("polymul", a1, a2)
    x, y = (z if typeof(z).size else _zeros(1, typeof(z).dtype) for z in (x, y))
    dropped = 0
    for z in (x, y):
        nonzero = np.flatnonzero(
            _known("polymul", z, "it drops zeros in front. Use np.convolve(a1, a2), which does not")
        )
        dropped += int(nonzero[0]) if nonzero.size else typeof(z).size - 1
    product = convolve(x, y)
    return slice_axis(product, 0, dropped, typeof(product).size)


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Divide polynomials: the quotient and the remainder, ``u = q v + r``.

    Coefficients in front of the remainder that are zero (or nearly: 1e-8) are dropped, so values must be known.
    """
    u, v = (add(x, 0.0) for x in _vectors("polydiv", u, v))
    m, n = typeof(u).size - 1, typeof(v).size - 1
    if min(m, n) < 0:
        raise IndexError("index 0 is out of bounds for axis 0 with size 0")
    dtype = np.result_type(typeof(u).dtype, typeof(v).dtype)
    scale = div(1.0, slice_(v, (0,)))
    r, q = convert(u, dtype), []
    for k in range(m - n + 1):
        d = mul(scale, slice_(r, (k,)))
        q.append(convert(d, dtype))
        r = sub(r, unslice_(convert(mul(d, v), dtype), (m + 1,), ((k, k + n + 1, 1),)))
    rest = _known(
        "polydiv", r, "it drops zeros in front of the remainder. Divide before the transform, or solve for the quotient"
    )
    dropped = 0
    while dropped < m and np.allclose(rest[dropped], 0, rtol=1e-14):
        dropped += 1
    return stack(q) if q else _zeros(1, dtype), slice_axis(r, 0, dropped, m + 1)


# Calculus and evaluation


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Differentiate a polynomial m times."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    _refuse_poly1d("polyder", p)
    x = as_array(p)
    for _ in range(m):
        n = _length(x)
        x = mul(slice_axis(x, 0, 0, max(n - 1, 0)), np.arange(n - 1, 0, -1))
    return x


def _length(x: Any) -> int:
    shape = typeof(x).shape
    if not shape:
        raise TypeError("len() of unsized object: a polynomial must be a vector of coefficients")
    return shape[0]


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integrate a polynomial m times.

    Parameters
    ----------
    k : scalar or vector, optional
        The constants of integration (0 by default), the first one of the first integration. They have a derivative.
    """
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    _refuse_poly1d("polyint", p)
    constants = _zeros(m, _DOUBLE) if k is None else atleast_1d(k)
    if typeof(constants).shape == (1,) and m > 1:
        constants = mul(slice_(constants, (0,)), np.ones(m))
    if _length(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    x = as_array(p)
    for step in range(m):
        n = _length(x)
        y, c = div(x, np.arange(n, 0, -1)), slice_axis(constants, 0, step, step + 1)
        dtype = np.result_type(typeof(y).dtype, typeof(c).dtype)
        x = concatenate([convert(y, dtype), convert(c, dtype)], 0)
    return x


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Evaluate a polynomial at points by Horner's scheme; derivatives in the coefficients and in the points."""
    _refuse_poly1d("polyval", x)
    coefficients, x = as_array(p), as_array(x)
    y: Any = np.zeros(typeof(x).shape, typeof(x).dtype)[()]
    if not typeof(coefficients).ndim:
        raise TypeError("iteration over a 0-d array: a polynomial must be a vector of coefficients")
    for k in range(typeof(coefficients).shape[0]):
        y = add(mul(y, x), slice_(coefficients, (k,)))
    return y


@implements(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Return the matrix of powers of a vector: row i holds ``x[i]**(N-1) ... x[i], 1``, or increasing powers."""
    x = as_array(x)
    if typeof(x).ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = typeof(x).size
    columns = n if N is None else operator.index(N)
    if columns < 0:
        raise ValueError("negative dimensions are not allowed")
    dtype = np.promote_types(typeof(x).dtype, int)
    ones = np.ones((n, min(columns, 1)), dtype)
    if columns < 2:
        return ones
    powers = cumprod(broadcast_to(reshape(convert(x, dtype), (n, 1)), (n, columns - 1)), 1)
    table = concatenate([ones, powers], 1)
    return table if increasing else flip(table, (1,))


# Roots


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Return the polynomial with given roots, or the characteristic polynomial det(z - A) of a square matrix.

    Notes
    -----
    The derivative for a matrix is that of the determinant (Jacobi's formula), finite also where eigenvalues coincide.
    Complex roots that come in conjugate pairs make a real result, so the values of complex arguments must be known.
    """
    _refuse_poly1d("poly", seq_of_zeros)
    x = atleast_1d(seq_of_zeros)
    shape = typeof(x).shape
    why = (
        "conjugate pairs of roots make a real result, so the dtype depends on values. Multiply the factors "
        "[1, -root] by np.convolve"
    )
    if len(shape) == 2 and shape[0] == shape[1] != 0:
        x = x if is_inexact(typeof(x).dtype) else convert(x, _DOUBLE)
        if typeof(x).dtype.char not in "fdFD":
            raise TypeError(f"array type {typeof(x).dtype.name} is unsupported in linalg")
        coefficients = characteristic_polynomial(x)
        if typeof(x).dtype.kind == "c" and _in_pairs(np.linalg.eigvals(_known("poly", x, why))):
            return real(coefficients)
        return coefficients
    if len(shape) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if not shape[0]:
        return 1.0
    x = convert(x, np.dtype(np.mintypecode(typeof(x).dtype.char)))
    dtype = typeof(x).dtype
    coefficients = np.ones(1, dtype)
    zero = _zeros(1, dtype)
    for k in range(shape[0]):
        shifted = mul(neg(slice_(x, (k,))), coefficients)
        coefficients = add(concatenate([coefficients, zero], 0), concatenate([zero, shifted], 0))
    return real(coefficients) if dtype.kind == "c" and _in_pairs(_known("poly", x, why)) else coefficients


def _in_pairs(roots: np.ndarray[Any, Any]) -> bool:
    return bool(np.all(np.sort(roots) == np.sort(np.conjugate(roots))))


@implements(np.roots)
def roots(p: Any) -> Any:
    """Find the roots of a polynomial, as the eigenvalues of its companion matrix.

    Notes
    -----
    A simple root moves by ``dr = -dp(r) / p'(r)``, where dp is the change of all the coefficients, also of zeros in
    front. At a multiple root there is no derivative: it is infinite or nan.

    Of real coefficients the roots are real or complex, depending on their values, which must be known. Of complex ones
    they are complex; where values are not known, the first coefficient must not be zero.
    """
    _refuse_poly1d("roots", p)
    x = atleast_1d(p)
    if typeof(x).ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    x = x if is_inexact(typeof(x).dtype) else convert(x, _DOUBLE)
    dtype = typeof(x).dtype
    if dtype.char not in "fdFD":
        raise TypeError(f"array type {dtype.name} is unsupported in linalg")
    if typeof(x).size < 2:
        return np.zeros(0)
    if dtype.kind == "c" and isinstance(known_value(x), ShapedArray):
        return polynomial_roots(x)
    value = _known(
        "roots",
        x,
        "of real coefficients the roots are real or complex, as values decide. Use np.roots(p.astype(complex))",
    )
    nonzero = np.flatnonzero(value)
    if not nonzero.size:
        return np.zeros(0)
    found = polynomial_roots(x, int(nonzero[0]))
    if nonzero[0] == nonzero[-1]:  # c z**n: NumPy has no matrix here, and returns zeros in double precision
        return convert(found, _DOUBLE)
    return real(found) if dtype.kind == "f" and np.all(np.asarray(known_value(found)).imag == 0) else found


# Least squares


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: bool | str = False
) -> Any:
    """Fit a polynomial to points by least squares; derivatives in both coordinates and in the weights.

    Parameters
    ----------
    x : array (m,)
    y : array (m,) or (m, k)
        One or several sets of values at the same points.
    deg : int
        The degree.
    rcond : float, optional
        Singular values of the scaled matrix up to this part of the largest one count as zero.
    full : bool
        Whether to return what `numpy.linalg.lstsq` returns, and rcond.
    w : array (m,), optional
        Factors of the residuals (not of their squares).
    cov : bool or "unscaled"
        Whether to return the covariance matrix of the coefficients too.

    Notes
    -----
    The derivative is that of `numpy.linalg.lstsq`, at constant rank. NumPy's warning of a deficient rank is given where
    the rank is known.
    """
    order = int(deg) + 1
    x, y = add(as_array(x), 0.0), add(as_array(y), 0.0)
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if typeof(x).ndim != 1:
        raise TypeError("expected 1D vector for x")
    if not typeof(x).size:
        raise TypeError("expected non-empty vector for x")
    if typeof(y).ndim not in (1, 2):
        raise TypeError("expected 1D or 2D array for y")
    n = typeof(x).size
    if typeof(y).shape[0] != n:
        raise TypeError("expected x and y to have same length")
    rcond = n * np.finfo(typeof(x).dtype).eps if rcond is None else rcond
    lhs, rhs = vander(x, order), y
    if w is not None:
        w = add(as_array(w), 0.0)
        if typeof(w).ndim != 1:
            raise TypeError("expected a 1-d array for weights")
        if typeof(w).size != n:
            raise TypeError("expected w and y to have the same length")
        lhs = _scaled(lhs, expand_dims(w, (1,)))
        rhs = _scaled(rhs, expand_dims(w, (1,)) if typeof(y).ndim == 2 else w)
    scale = sqrt(reduce_sum(mul(lhs, lhs), (0,)))
    lhs = div(lhs, scale)
    load_later("numpy.linalg")
    c, residuals, rank, s = FUNCTIONS[np.linalg.lstsq](lhs, rhs, rcond)
    c = div(c, expand_dims(scale, (1,)) if typeof(c).ndim == 2 else scale)
    known_rank = known_value(rank)
    if not full and not isinstance(known_rank, ShapedArray) and known_rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
    if full:
        return c, residuals, rank, s, rcond
    if not cov:
        return c
    base = FUNCTIONS[np.linalg.inv](contract(lhs, lhs, "ij,ik->jk"))
    base = div(base, mul(expand_dims(scale, (1,)), scale))
    if cov == "unscaled":
        factor: Any = 1
    elif n <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = div(residuals, n - order)
    return c, mul(base if typeof(y).ndim == 1 else expand_dims(base, (2,)), factor)


def _scaled(x: Any, factor: Any) -> Any:
    """The product in the dtype of x, as ``x *= factor``."""
    own, other = typeof(x).dtype, typeof(factor).dtype
    if not np.can_cast(np.result_type(own, other), own, "same_kind"):
        raise TypeError(f"Cannot cast weights of {other!r} to {own!r} with casting rule 'same_kind'")
    return convert(mul(x, factor), own)

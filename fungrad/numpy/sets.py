"""NumPy's functions on sets of numbers: unions, intersections, differences, membership.

A set is a sorted vector without duplicates. Its elements are elements of the operands, so they have the derivative of
those: a set function is a gather, by positions that have no derivative. How many elements a set has depends on the
values, which must be known therefore: not under vmap. The shape of `isin` is known, so it runs there too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, promote
from fungrad.numpy.sorting import unique
from fungrad.primitives.comparison import equal, logical_not
from fungrad.primitives.extrema import minimum
from fungrad.primitives.indexing import gather
from fungrad.primitives.sorting import searchsorted, sort
from fungrad.primitives.structural import broadcast_to, concatenate, convert, reshape


def _values(call: str, x: Any) -> Any:
    """What is known of an operand: its values, which decide the size of a set."""
    value = known_value(x)
    if isinstance(value, ShapedArray):
        raise ConcretizationTypeError(
            f"numpy.{call} at {here()}: how many elements the result has depends on the values of this traced array of "
            f"type {value!r}, which are not known under vmap and other recordings without values. Keep the shape: "
            "write np.isin or comparisons for a mask, np.where(mask, x, 0), np.sort; or keep that argument out of the "
            "transform."
        )
    return value


def _flat(x: Any) -> Any:
    x = as_array(x)
    return reshape(x, (typeof(x).size,))


def _join(a: Any, b: Any) -> Any:
    return concatenate(promote([a, b]), 0)


# The elements of one array


def _first_positions(known: Any, values: Any) -> Any:
    """Where the values, which NumPy found to be the different elements, stand first, in whatever order it has them."""
    _, first = np.unique(known, return_index=True, equal_nan=False)
    positions = np.empty_like(first)
    positions[np.argsort(values, kind="stable")] = first
    return positions


@implements(np.unique_values)
def unique_values(x: Any) -> Any:
    """Find the different elements; each nan is one. The derivative is that of the first of equal elements."""
    x = _flat(x)
    known = _values("unique_values", x)
    return gather(x, _first_positions(known, np.unique_values(known)), unique=True)


@implements(np.unique_all)
def unique_all(x: Any) -> Any:
    """Find the different elements, where each stands first, which one each element is, and how often it occurs."""
    known = np.asarray(_values("unique_all", x := as_array(x)))
    found = np.unique_all(known)
    values = gather(_flat(x), found.indices, unique=True)
    return found._replace(values=values, inverse_indices=found.inverse_indices[()])


@implements(np.unique_counts)
def unique_counts(x: Any) -> Any:
    """Find the different elements and how often each occurs."""
    known = np.asarray(_values("unique_counts", x := as_array(x)))
    found = np.unique_counts(known)
    return found._replace(values=gather(_flat(x), _first_positions(known, found.values), unique=True))


@implements(np.unique_inverse)
def unique_inverse(x: Any) -> Any:
    """Find the different elements, and which one each element is."""
    known = np.asarray(_values("unique_inverse", x := as_array(x)))
    found = np.unique_inverse(known)
    values = gather(_flat(x), _first_positions(known, found.values), unique=True)
    return found._replace(values=values, inverse_indices=found.inverse_indices[()])


# The elements of two


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Find the different elements of two arrays. Of equal ones the first, in ar1 if it is there, has the derivative."""
    both = _join(_flat(ar1), _flat(ar2))
    _values("union1d", both)
    return unique(both)


@implements(np.intersect1d)
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """Find the elements that are in both of two arrays.

    Their derivative is that of the first such element of ar1: an intersection that persists moves with both arrays
    alike, so this is a convention.

    Parameters
    ----------
    assume_unique : bool
        Whether the elements of each array are known to be different.
    return_indices : bool
        Whether to return where they stand first in the two arrays too.
    """
    a, b = _flat(ar1), _flat(ar2)
    known_a, known_b = _values("intersect1d", a), _values("intersect1d", b)
    _, of_a, of_b = np.intersect1d(known_a, known_b, assume_unique, return_indices=True)
    values = convert(gather(a, of_a), np.result_type(typeof(a).dtype, typeof(b).dtype))
    return (values, of_a, of_b) if return_indices else values


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Find the elements of ar1 that are not in ar2."""
    a, b = _flat(ar1), _flat(ar2)
    known_a, known_b = _values("setdiff1d", a), _values("setdiff1d", b)
    if not assume_unique:
        a, known_a = unique(a), np.unique(known_a)
    return gather(a, np.flatnonzero(np.isin(known_a, known_b, invert=True)), unique=True)


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Find the elements that are in one of two arrays and not in the other."""
    a, b = _flat(ar1), _flat(ar2)
    _values("setxor1d", a), _values("setxor1d", b)
    if not assume_unique:
        a, b = unique(a), unique(b)
    both = _join(a, b)
    known = _values("setxor1d", both)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    apart = np.concatenate(([True], ordered[1:] != ordered[:-1], [True]))
    return gather(both, order[apart[1:] & apart[:-1]] if known.size else order, unique=True)


# Membership


@implements(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: str | None = None
) -> Any:
    """Test for each element whether it is one of the test elements; no derivative, and the shape of ``element``.

    ``assume_unique`` and ``kind`` say how NumPy shall search, and do not change the result.
    """
    if kind not in (None, "sort", "table"):
        raise ValueError(f"Invalid kind: '{kind}'. Please use None, 'sort' or 'table'.")
    x, tested = as_array(element), _flat(test_elements)
    shape, n = typeof(x).shape, typeof(tested).shape[0]
    if kind == "table" and any(typeof(v).dtype.kind not in "bui" for v in (x, tested)):
        raise ValueError(
            "The 'table' method is only supported for boolean or integer arrays. Please select 'sort' or None for kind."
        )
    if n == 0:
        return broadcast_to(np.bool_(invert), shape)
    tested = sort(tested, 0)
    found = equal(gather(tested, minimum(searchsorted(tested, x, "left"), n - 1)), x)
    return logical_not(found) if invert else found


def in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False, *, kind: str | None = None) -> Any:
    """Test for each element of the flattened ar1 whether it is in ar2; no derivative. See `isin`."""
    return isin(_flat(ar1), ar2, assume_unique, invert, kind=kind)


if "in1d" in vars(np):  # NumPy before 2.4
    implements(vars(np)["in1d"])(in1d)

"""NumPy's histograms, and counts of small integers.

    H[j] = sum of weights[i] over the i with x[i] in bin j

is linear in the weights. Which bin an element is in does not change with the element but at the edges, where the
histogram jumps: it has no derivative in the sample. The edges have one: those of equal bins lie between the smallest
and the largest element of the sample, and a density divides by their distances.

Nothing here needs the values of the sample, so histograms run under vmap, with the exceptions that say so.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad._util import here
from fungrad.core.aval import BOOL, ShapedArray, typeof
from fungrad.core.elementwise import NoTangent
from fungrad.core.trace import Tracer, known_value
from fungrad.errors import ConcretizationTypeError
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, promote
from fungrad.numpy.statistics import warn_where
from fungrad.primitives.arithmetic import add, div, mul, sub
from fungrad.primitives.comparison import equal, not_equal
from fungrad.primitives.indexing import scatter_add
from fungrad.primitives.reductions import reduce_max, reduce_min
from fungrad.primitives.selection import where as select
from fungrad.primitives.sorting import searchsorted
from fungrad.primitives.structural import (
    concatenate,
    convert,
    reduce_sum,
    reshape,
    slice_,
    slice_axis,
    transpose,
)

FLOAT, INDEX = np.dtype(np.float64), np.dtype(np.intp)


def _is_known(x: Any) -> bool:
    return not isinstance(known_value(x), ShapedArray)


def _counted(weights: Any, indices: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """The sum of the weights at each place; without weights the number of indices."""
    if weights is None:
        weights = np.ones(np.broadcast_shapes(*[typeof(i).shape for i in indices]), INDEX)
    if typeof(weights).dtype == BOOL:
        return not_equal(scatter_add(convert(weights, INDEX), *indices, shape=shape), 0)
    return scatter_add(weights, *indices, shape=shape)


# bincount


def _place(x: Any, *, length: int) -> Any:
    x = np.asarray(x)
    if x.size and x.min() < 0:
        raise ValueError("'list' argument must have no negative elements")
    if x.size and x.max() >= length:
        raise ValueError(
            f"numpy.bincount: the element {x.max()} needs a result of {x.max() + 1} elements, which under vmap or "
            f"another recording without values has minlength={length}; give a larger minlength"
        )
    return x.astype(INDEX)[()]


place_p = NoTangent(
    "place",
    _place,
    abstract=lambda x, *, length: ShapedArray(x.shape, INDEX),
    batch=lambda axis, batched, x, *, length: place(x, length),
)


def place(x: Any, length: int) -> Any:
    """The integers x as positions in an array of this length; a ValueError if one is outside."""
    return place_p.bind(x, length=length)


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Count how often each of the numbers 0, 1, 2, ... occurs, or add up weights; linear in the weights.

    Parameters
    ----------
    x : array of integers
        One axis. Under vmap and other recordings without values the result has ``minlength`` elements, which must be
        enough: a larger number is a ValueError when the values are there.
    """
    x = as_array(x)
    w = None if weights is None else as_array(weights)
    minlength = operator.index(minlength)
    known = known_value(x)
    if isinstance(known, ShapedArray):
        if not minlength:
            raise ConcretizationTypeError(
                f"numpy.bincount at {here()}: the largest element decides the shape of the result, but this traced "
                f"array of type {known!r} has no values under vmap and other recordings without values. Give "
                "minlength= (largest possible element + 1)."
            )
        known = np.zeros(known.shape, known.dtype)
        counts: Any = np.bincount  # NumPy's own errors for types, shapes and signs that are wrong
        length = len(counts(known, _sample_of(w), minlength))
        position = place(x, length)
    else:
        length = len(np.bincount(known, _sample_of(w), minlength))
        position = np.asarray(known).astype(INDEX)
    if w is None or not typeof(x).size:  # NumPy's weighted sums of nothing are integers too
        return _counted(None, [position], (length,))
    return _counted(convert(w, FLOAT), [position], (length,))


def _sample_of(w: Any) -> Any:
    """Zeros of the type of these weights."""
    return None if w is None else np.zeros(typeof(w).shape, typeof(w).dtype)


# Edges


def _limits(x: Any, range: Any) -> tuple[Any, Any]:
    """The outer edges: the range that was given, or the smallest and the largest element."""
    if range is not None:
        low, high = (_as_number(v) for v in range)
        text = "supplied"
    elif not typeof(x).size:
        return 0.0, 1.0
    else:
        low, high = reduce_min(x, (0,)), reduce_max(x, (0,))
        text = "autodetected"
    if _is_known(low) and _is_known(high):
        first, last = known_value(low), known_value(high)
        if first > last:
            raise ValueError("max must be larger than min in range parameter.")
        if not (np.isfinite(first) and np.isfinite(last)):
            raise ValueError(f"{text} range of [{first}, {last}] is not finite")
    return low, high


def _as_number(x: Any) -> Any:
    """An end of a range that NumPy's promotion sees: a Python number stays one."""
    return x if type(x) in (int, float) or type(x) is Tracer else np.asarray(x)[()]


def _equal_bins(low: Any, high: Any, n: int, dtype: np.dtype[Any]) -> Any:
    """n + 1 edges at equal distances from low to high, as linspace computes them; an empty range is widened by 1."""
    own = np.result_type(typeof(low).dtype, typeof(high).dtype)
    own = own if own.kind == "f" else FLOAT
    low, high = convert(low, own), convert(high, own)
    empty = equal(low, high)
    low, high = select(empty, sub(low, 0.5), low), select(empty, add(high, 0.5), high)
    step = div(sub(high, low), n)
    inner = add(mul(np.arange(n, dtype=own), step), low)
    edges = convert(concatenate([inner, reshape(high, (1,))], 0), dtype)
    known = known_value(edges)
    if not isinstance(known, ShapedArray) and np.any(known[:-1] >= known[1:]):
        raise ValueError(f"Too many bins for data range. Cannot create {n} finite-sized bins.")
    return edges


def _edge_dtype(*operands: Any) -> np.dtype[Any]:
    """The dtype of edges computed from these: NumPy's promotion, and double precision for integers."""
    dtype = np.result_type(
        *[x if type(x) in (int, float) else 1.0 if typeof(x).weak else typeof(x).dtype for x in operands]
    )
    return dtype if dtype.kind == "f" else np.result_type(dtype, FLOAT)


def _given_edges(bins: Any, text: str) -> Any:
    edges = as_array(bins)
    known = known_value(edges)
    if not isinstance(known, ShapedArray) and np.any(known[:-1] > known[1:]):
        raise ValueError(text)
    return edges


def _number_of_bins(call: str, x: Any, bins: str, range: Any) -> int:
    if not _is_known(x):
        raise ConcretizationTypeError(
            f"numpy.{call}(..., bins={bins!r}) at {here()}: the values decide how many bins there are, but this traced "
            f"array of type {known_value(x)!r} has none under vmap and other recordings without values; give a number."
        )
    return len(np.histogram_bin_edges(known_value(x), bins, range)) - 1


def _edges(call: str, x: Any, bins: Any, range: Any, weighted: bool) -> Any:
    """The edges of the bins of `histogram`."""
    if isinstance(bins, str):
        if weighted:
            raise TypeError("Automated estimation of the number of bins is not supported for weighted data")
        n = _number_of_bins(call, x, bins, range)
    elif typeof(edges := as_array(bins)).ndim:
        if typeof(edges).ndim > 1:
            raise ValueError("`bins` must be 1d, when an array")
        return _given_edges(edges, "`bins` must increase monotonically, when an array")
    else:
        try:
            n = operator.index(bins)
        except ConcretizationTypeError:
            raise
        except TypeError as error:
            raise TypeError("`bins` must be an integer, a string, or an array") from error
        if n < 1:
            raise ValueError("`bins` must be positive, when an integer")
    low, high = _limits(x, range)
    return _equal_bins(low, high, n, _edge_dtype(low, high, x))


def _bins_of(x: Any, edges: Any) -> Any:
    """The number of the bin of each element, counted from 1; 0 and n + 1 are outside. The last bin is closed."""
    n = typeof(edges).shape[0] - 1
    place = searchsorted(edges, x, "right")
    last = reshape(slice_axis(edges, 0, n, n + 1), ())
    return select(equal(x, last), n, place) if n >= 0 else place


# Histograms


def _flat_sample(a: Any, weights: Any) -> tuple[Any, Any]:
    x = as_array(a)
    if typeof(x).dtype == np.bool_:
        warn_where(True, "Converting input from bool to <class 'numpy.uint8'> for compatibility.")
        x = convert(x, np.dtype(np.uint8))
    if weights is not None:
        weights = as_array(weights)
        if typeof(weights).shape != typeof(x).shape:
            raise ValueError("weights should have the same shape as a.")
        weights = reshape(weights, (typeof(weights).size,))
    return reshape(x, (typeof(x).size,)), weights


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Compute the edges of the bins of `histogram`.

    Equal bins between the extrema of the sample have a derivative in these; equal extrema share it equally.
    """
    x, weights = _flat_sample(a, weights)
    return _edges("histogram_bin_edges", x, bins, range, weights is not None)


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> tuple[Any, Any]:
    """Count the elements in each of the bins, or add up their weights.

    Parameters
    ----------
    bins : int, array or str
        The number of equal bins; their edges, which may be traced; or a rule for their number, which needs the values.
    density : bool
        Whether to divide by the sum and by the widths of the bins, so that the integral is 1.

    Returns
    -------
    tuple
        The histogram: linear in the weights, without a derivative in the elements but through the widths of a density;
        and the edges, see `histogram_bin_edges`.
    """
    x, weights = _flat_sample(a, weights)
    edges = _edges("histogram", x, bins, range, weights is not None)
    n = typeof(edges).shape[0] - 1
    if n < 0:
        return np.histogram(np.zeros(typeof(x).shape), np.zeros(0), density=density)
    totals = _counted(weights, [_bins_of(x, edges)], (n + 2,))
    totals = slice_axis(totals, 0, 1, n + 1)
    if density:
        widths = convert(sub(slice_axis(edges, 0, 1, n + 1), slice_axis(edges, 0, 0, n)), FLOAT)
        totals = div(div(totals, widths), reduce_sum(totals, (0,)))
    return totals, edges


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, list[Any]]:
    """Count the points in each of the boxes of a grid, or add up their weights; see `histogram`.

    Parameters
    ----------
    sample : array or sequence of arrays
        A row for each point; or the coordinates of all points, an array for each axis.
    bins : int, or sequence of int or array
        For each axis the number of equal bins, or their edges.
    """
    x = as_array(sample) if _is_matrix(sample) else _columns(sample)
    count, dims = typeof(x).shape
    columns = [slice_(x, (None, k)) for k in builtins.range(dims)]
    weights = None if weights is None else convert(as_array(weights), FLOAT)
    edges = _grid(columns, bins, range)
    sizes = tuple([typeof(e).shape[0] - 1 for e in edges])
    if weights is not None and typeof(weights).shape != (count,):
        raise ValueError("The weights and list don't have the same length.")
    places = [_bins_of(column, e) for column, e in zip(columns, edges, strict=True)]
    totals = _counted(weights, places, tuple([n + 2 for n in sizes]))
    totals = convert(slice_(totals, tuple([(1, n + 1, 1) for n in sizes])), FLOAT)
    if density:
        whole = reduce_sum(totals, tuple([k for k, _ in enumerate(sizes)]))
        for k, (e, n) in enumerate(zip(edges, sizes, strict=True)):
            widths = sub(slice_axis(e, 0, 1, n + 1), slice_axis(e, 0, 0, n))
            totals = div(totals, reshape(widths, (n, *(1,) * (dims - 1 - k))))
        totals = div(totals, whole)
    return totals, edges


def _is_matrix(sample: Any) -> bool:
    return getattr(sample, "ndim", None) == 2


def _columns(sample: Any) -> Any:
    """Points from their coordinates: an array for each axis."""
    x = as_array(sample)
    if typeof(x).ndim < 2:
        x = reshape(x, (1, typeof(x).size))
    return transpose(x, (1, 0))


def _length(bins: Any) -> int | None:
    """The number of entries, or None for a single number."""
    try:
        return len(bins)
    except TypeError:
        return None


def _grid(columns: list[Any], bins: Any, range: Any) -> list[Any]:
    """The edges along each axis."""
    dims = len(columns)
    length = _length(bins)
    if length is None:
        bins = [bins] * dims
    elif length != dims:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    if range is None:
        range = (None,) * dims
    elif len(range) != dims:
        raise ValueError("range argument must have one entry per dimension")
    edges = []
    for k, (x, number, limits) in enumerate(zip(columns, bins, range, strict=True)):
        if (ndim := typeof(as_array(number)).ndim) > 1:
            raise ValueError(f"`bins[{k}]` must be a scalar or 1d array")
        if ndim:
            edges.append(_given_edges(number, f"`bins[{k}]` must be monotonically increasing, when an array"))
            continue
        if type(number) is not Tracer and number < 1:
            raise ValueError(f"`bins[{k}]` must be positive, when an integer")
        low, high = _limits(x, limits)
        try:
            n = operator.index(number)
        except ConcretizationTypeError:
            raise
        except TypeError as error:
            raise TypeError(f"`bins[{k}]` must be an integer, when a scalar") from error
        edges.append(_equal_bins(low, high, n, _edge_dtype(low, high)))
    return edges


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    """Count the points (x, y) in each of the rectangles of a grid, or add up their weights; see `histogramdd`."""
    x, y = as_array(x), as_array(y)
    if typeof(x).shape[:1] != typeof(y).shape[:1]:
        raise ValueError("x and y must have the same length.")
    if _length(bins) not in (None, 1, 2):
        bins = [bins, bins]
    totals, (of_x, of_y) = histogramdd(promote([x, y]), bins, range, density, weights)
    return totals, of_x, of_y

"""numpy.linalg: products of matrices, and the names that numpy has too (with the arguments of the array API)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fungrad.numpy.contraction as contraction
import fungrad.numpy.indexing as indexing
import fungrad.numpy.shaping as shaping
from fungrad.core.aval import typeof
from fungrad.core.trace import Tracer
from fungrad.numpy.dispatch import implements
from fungrad.numpy.linalg.arguments import single_matrices
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives.structural import reshape


@implements(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    """Multiply matrices, vectors, or stacks of matrices that broadcast."""
    return contraction.matmul(x1, x2)


@implements(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum ``conj(x1) * x2`` over an axis; the other axes broadcast."""
    return contraction.vecdot(x1, x2, axis=axis)


@implements(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum products over pairs of axes."""
    return contraction.tensordot(x1, x2, axes=axes)


@implements(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    """Multiply each element of one vector with each element of the other."""
    x1, x2 = as_array(x1), as_array(x2)
    ndims = typeof(x1).ndim, typeof(x2).ndim
    if ndims != (1, 1):
        raise ValueError(
            f"Input arrays must be one-dimensional, but they are x1.ndim={ndims[0]} and x2.ndim={ndims[1]}."
        )
    return contraction.outer(x1, x2)


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Compute the cross product of vectors with three components."""
    x1, x2 = as_array(x1), as_array(x2)
    sizes = typeof(x1).shape[axis], typeof(x2).shape[axis]
    if sizes != (3, 3):
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{sizes[0]} and {sizes[1]} dimensional instead."
        )
    return contraction.cross(x1, x2, axis=axis)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Sum the diagonals of the matrices in the last two axes."""
    return indexing.trace(x, offset, -2, -1, dtype)


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Return the diagonals of the matrices in the last two axes."""
    return indexing.diagonal(x, offset, -2, -1)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    return shaping.matrix_transpose(x)


# multi_dot: the order of least cost


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Multiply a chain of matrices in the order that takes the fewest multiplications.

    Parameters
    ----------
    arrays : sequence of arrays
        Two or more; the first and the last one may be vectors.
    """
    refuse("linalg.multi_dot", out=(out, None))
    chain = [indexing.getitem(arrays, k) for k in range(arrays.shape[0])] if type(arrays) is Tracer else list(arrays)
    if len(chain) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(chain) == 2:
        return contraction.dot(*chain)
    chain = [as_array(x) for x in chain]
    first, last = typeof(chain[0]), typeof(chain[-1])
    if first.ndim == 1:
        chain[0] = reshape(chain[0], (1, *first.shape))
    if last.ndim == 1:
        chain[-1] = reshape(chain[-1], (*last.shape, 1))
    single_matrices(*chain)
    product = _multiplied(chain, _cheapest_splits([*[typeof(x).shape[0] for x in chain], typeof(chain[-1]).shape[1]]))
    rows, columns = typeof(product).shape
    return reshape(product, (*([rows] if first.ndim == 2 else []), *([columns] if last.ndim == 2 else [])))


def _cheapest_splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """For each span (first, last) of a chain with these sizes the matrix after which to split it.

    Dynamic programming over spans by length (Cormen et al., Introduction to Algorithms, section 15.2). As in NumPy the
    first of equal splits is taken.
    """
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    splits = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            costs = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], splits[i, j] = min(costs)
    return splits


def _multiplied(chain: Sequence[Any], splits: dict[tuple[int, int], int]) -> Any:
    def span(i: int, j: int) -> Any:
        if i == j:
            return chain[i]
        k = splits[i, j]
        return contraction.dot(span(i, k), span(k + 1, j))

    return span(0, len(chain) - 1)

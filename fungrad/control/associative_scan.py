"""associative_scan: all prefixes of an associative operation, in a logarithmic number of steps.

Pairs of neighbours are combined, the prefixes of those (half as many) found likewise, and the ones in between made of
them: Blelloch, Prefix Sums and Their Applications (1990), in the form that keeps all prefixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import typeof
from fungrad.core.leaves import arrays, check_callable, path_of
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.primitives.structural import concatenate, flip, moveaxis, reshape, slice_axis, stack


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes ``e0, fn(e0, e1), fn(fn(e0, e1), e2), ...`` of an associative function, in log2(n) vectorised steps.

    Parameters
    ----------
    fn : callable
        ``fn(a, b)`` of two pytrees like ``elems`` whose leaves have any size along ``axis``: it combines many pairs at
        a time. It must be associative; else the result is that of some bracketing.
    elems : pytree of arrays
        All leaves have the same size along ``axis``.
    reverse : bool
        Suffixes instead: from the last element on.
    axis : int

    Returns
    -------
    pytree
        As ``elems``: element k combines the elements up to k.

    Raises
    ------
    TransformTypeError, TransformValueError
        If there are no leaves, sizes along the axis differ, or fn returns another tree or other shapes.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.lax.associative_scan(np.add, np.array([1.0, 2.0, 3.0, 4.0]))
    array([ 1.,  3.,  6., 10.])
    >>> fg.lax.associative_scan(np.matmul, np.array([[[1.0, 1.0], [0.0, 1.0]]] * 3))[:, 0, 1]
    array([1., 2., 3.])
    """
    check_callable("lax.associative_scan", fn)
    leaves, treedef = tree.flatten(elems)
    xs = arrays("lax.associative_scan", fn, elems, leaves, "elems")
    if not xs:
        raise TransformValueError("fungrad.lax.associative_scan: elems has no leaves")
    places = []
    for k, x in enumerate(xs):
        ndim = typeof(x).ndim
        if not -ndim <= axis < ndim:
            raise TransformValueError(
                f"fungrad.lax.associative_scan: axis={axis} is out of range for elems{path_of(elems, k)} of type "
                f"{typeof(x)!r}"
            )
        places.append(axis % ndim)
    sizes = {typeof(x).shape[p] for x, p in zip(xs, places, strict=True)}
    if len(sizes) > 1:
        raise TransformValueError(
            f"fungrad.lax.associative_scan: all leaves of elems must have one size along axis {axis}, got "
            f"{[typeof(x) for x in xs]}"
        )
    if reverse:
        xs = [flip(x, (p,)) for x, p in zip(xs, places, strict=True)]

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out = fn(treedef.unflatten(a), treedef.unflatten(b))
        found, out_tree = tree.flatten(out)
        found = arrays("lax.associative_scan", fn, out, found, "result")
        if out_tree != treedef or any(typeof(x).shape != typeof(y).shape for x, y in zip(found, a, strict=True)):
            raise TransformTypeError(
                f"fungrad.lax.associative_scan: {describe_function(fn)} must return what it was given, "
                f"{treedef} of {[typeof(x) for x in a]}, got {out_tree} of {[typeof(x) for x in found]}"
            )
        return found

    found = _prefixes(combine, xs, places)
    if reverse:
        found = [flip(x, (p,)) for x, p in zip(found, places, strict=True)]
    return treedef.unflatten(found)


def _prefixes(combine: Callable[[list[Any], list[Any]], list[Any]], xs: list[Any], places: list[int]) -> list[Any]:
    n = typeof(xs[0]).shape[places[0]]
    if n < 2:
        return xs

    def part(xs: list[Any], start: int, stop: int, step: int = 1) -> list[Any]:
        return [slice_axis(x, p, start, stop, step) for x, p in zip(xs, places, strict=True)]

    # The prefixes that end at odd positions are those of the pairs; an even one is the one before it and an element.
    odd = _prefixes(combine, combine(part(xs, 0, n - 1, 2), part(xs, 1, n, 2)), places)
    half = n // 2
    even = part(xs, 0, 1)
    if n > 2:
        before = odd if n % 2 else part(odd, 0, half - 1)
        later = combine(before, part(xs, 2, n, 2))
        even = [concatenate([a, b], p) for a, b, p in zip(even, later, places, strict=True)]
    return [_interleaved(a, b, p) for a, b, p in zip(even, odd, places, strict=True)]


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], ... along an axis; there may be one more even element."""
    half = typeof(odd).shape[axis]
    pairs = moveaxis(stack([slice_axis(even, axis, 0, half), odd]), 0, axis + 1)
    shape = typeof(odd).shape
    joined = reshape(pairs, (*shape[:axis], 2 * half, *shape[axis + 1 :]))
    if typeof(even).shape[axis] == half:
        return joined
    return concatenate([joined, slice_axis(even, axis, half, half + 1)], axis)

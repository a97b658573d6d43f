"""One vector for a whole tree of arrays, as optimisers and SciPy want it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from fungrad.tree.flattening import flatten_with_path
from fungrad.tree.node import type_name
from fungrad.tree.paths import keystr
from fungrad.tree.treedef import TreeDef

__all__ = ["Unravel", "ravel_pytree"]


def ravel_pytree(tree: Any) -> tuple[Any, Unravel]:
    """Put all leaves of a tree one after the other into a vector.

    Parameters
    ----------
    tree
        A tree whose leaves are arrays or numbers.

    Returns
    -------
    vector : array, shape (n,)
        A copy of all elements, in the order of the leaves, of the dtype that NumPy promotes theirs to;
        float64 if there are none.
    unravel : callable
        ``unravel(vector) -> tree``, with every leaf of the shape and dtype that it had. Python numbers come back as
        scalars.

    Raises
    ------
    TypeError
        If a leaf is neither an array nor a number; the message names its key path.

    Notes
    -----
    Casting back an imaginary part or a fraction of a leaf that was real or integer drops it; a complex vector for a
    tree without complex leaves is refused.

    Examples
    --------
    >>> import numpy as np
    >>> vector, unravel = ravel_pytree({"a": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([1., 1., 1., 1., 3.])
    >>> unravel(2 * vector)
    {'a': array([[2., 2.],
           [2., 2.]]), 'b': np.float64(6.0)}
    """
    pairs, treedef = flatten_with_path(tree)
    arrays = [_as_array(leaf, keystr(path)) for path, leaf in pairs]
    vector = np.concatenate([np.ravel(x) for x in arrays]) if arrays else np.zeros(0)
    return vector, Unravel(treedef, [x.shape for x in arrays], [x.dtype for x in arrays], vector.dtype)


def _as_array(leaf: Any, place: str) -> Any:
    """Return a leaf as something that has a shape and a dtype; what implements NumPy's protocol is left as it is."""
    array = leaf if hasattr(leaf, "__array_function__") else np.asarray(leaf)
    kind = array.dtype.kind
    if kind in "SUTMm" or (kind == "O" and not hasattr(leaf, "dtype")):
        raise TypeError(f"ravel_pytree: tree{place} is of type {type_name(type(leaf))}, not an array of numbers")
    return array


class Unravel:
    """The inverse of `ravel_pytree` for trees of one structure: ``unravel(vector) -> tree``.

    Parameters
    ----------
    treedef
        The structure.
    shapes, dtypes
        Those of the leaves.
    dtype
        The dtype of the vector that the tree was raveled to.
    """

    __slots__ = ("_cuts", "_dtype", "_dtypes", "_shapes", "_treedef")

    def __init__(
        self, treedef: TreeDef, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype[Any]], dtype: np.dtype[Any]
    ) -> None:
        self._treedef = treedef
        self._shapes = tuple(shapes)
        self._dtypes = tuple(dtypes)
        self._dtype = dtype
        self._cuts = tuple(accumulate([math.prod(shape) for shape in shapes], initial=0))

    def __call__(self, vector: Any) -> Any:
        """Build the tree whose leaves are the parts of a vector.

        Parameters
        ----------
        vector
            An array of shape (n,), n the number of elements of all leaves.

        Returns
        -------
        Any

        Raises
        ------
        ValueError
            If the vector has another shape; the message names both.
        TypeError
            If the vector is complex and no leaf is.
        """
        if not hasattr(vector, "__array_function__"):
            vector = np.asarray(vector)
        if tuple(vector.shape) != (self._cuts[-1],):
            raise ValueError(f"unravel: expected a vector of shape ({self._cuts[-1]},), received shape {vector.shape}")
        if vector.dtype.kind == "c" and self._dtype.kind != "c":
            raise TypeError(f"unravel: expected a vector of dtype {self._dtype}, received {vector.dtype}")
        parts = zip(self._cuts, self._cuts[1:], self._shapes, self._dtypes, strict=False)
        return self._treedef.unflatten([_part(vector, *part) for part in parts])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Unravel):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        """Return what determines the function."""
        return self._treedef, self._shapes, self._dtypes, self._dtype

    def __repr__(self) -> str:
        return f"Unravel({self._treedef}, shape=({self._cuts[-1]},), dtype={self._dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Unravel, self._key()


def _part(vector: Any, start: int, stop: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return a part of the vector as a leaf of this shape and dtype."""
    part = vector[start] if shape == () else np.reshape(vector[start:stop], shape)
    if part.dtype == dtype:
        return part.copy() if isinstance(part, np.ndarray) else part  # not a view of the caller's vector
    if part.dtype.kind == "c" and dtype.kind != "c":
        part = np.real(part)
    return part.astype(dtype)

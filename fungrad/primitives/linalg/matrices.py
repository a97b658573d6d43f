"""Algebra on stacks of matrices: what the rules of the decompositions are written in.

A stack has its matrices in the last two axes. Operands of one product have equal leading axes (no broadcasting), which
is what the callers of the primitives see to and what batching keeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.primitives.arithmetic import add, mul, sub
from fungrad.primitives.complex_parts import conj, imag, is_complex, real
from fungrad.primitives.contraction import alphabet, contract
from fungrad.primitives.selection import where
from fungrad.primitives.structural import broadcast_to, reshape, slice_, transpose


def matmul(x: Any, y: Any) -> Any:
    """The matrix products of two stacks, ``(*L, m, k)`` and ``(*L, k, n)``."""
    rank = typeof(x).ndim
    labels = alphabet(rank + 1)
    lead, i, j, k = labels[: rank - 2], *labels[rank - 2 :]
    return contract(x, y, f"{lead}{i}{j},{lead}{j}{k}->{lead}{i}{k}")


def trace_of_product(x: Any, y: Any) -> Any:
    """``tr(x y)`` for each pair of matrices, without their product."""
    rank = typeof(x).ndim
    labels = alphabet(rank)
    lead, i, j = labels[: rank - 2], *labels[rank - 2 :]
    return contract(x, y, f"{lead}{i}{j},{lead}{j}{i}->{lead}")


def mT(x: Any) -> Any:
    """The transposed matrices."""
    rank = typeof(x).ndim
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def mH(x: Any) -> Any:
    """The matrices transposed and conjugated."""
    return conj(mT(x))


def scaled(factor: Any, x: Any) -> Any:
    """Each matrix multiplied by its number: ``(*L)`` and ``(*L, m, n)``."""
    shape = typeof(factor).shape
    return mul(reshape(factor, (*shape, 1, 1)), x)


def block(x: Any, rows: tuple[int, int] | None, columns: tuple[int, int] | None) -> Any:
    """The submatrices of these rows and columns, each (start, stop) or None for all."""
    lead = (None,) * (typeof(x).ndim - 2)
    parts = [None if part is None else (*part, 1) for part in (rows, columns)]
    return slice_(x, (*lead, *parts))


def identity_minus(x: Any) -> Any:
    """``1 - x`` for square matrices."""
    aval = typeof(x)
    return sub(np.eye(aval.shape[-1], dtype=aval.dtype), x)


def _lower_mask(shape: Shape, k: int) -> Any:
    return np.tri(shape[-2], shape[-1], k, bool)


def lower_triangle(x: Any, k: int = 0) -> Any:
    """The matrices with zeros above the k-th diagonal."""
    return where(_lower_mask(typeof(x).shape, k), x, 0)


def upper_triangle(x: Any, k: int = 0) -> Any:
    """The matrices with zeros below the k-th diagonal."""
    return where(~_lower_mask(typeof(x).shape, k - 1), x, 0)


def from_lower_triangle(x: Any) -> Any:
    """The Hermitian matrices with these lower triangles, of whose diagonals the real part counts, as in LAPACK."""
    below = lower_triangle(x, -1)
    on = where(np.eye(typeof(x).shape[-1], dtype=bool), real(x), 0)
    return add(add(below, mH(below)), on)


def antihermitian_part(x: Any) -> Any:
    """The anti-Hermitian matrices with the lower triangles of x, and of its diagonals the imaginary part."""
    below = lower_triangle(x, -1)
    out = sub(below, mH(below))
    if is_complex(x):
        out = add(out, mul(where(np.eye(typeof(x).shape[-1], dtype=bool), imag(x), 0), 1j))
    return out


def with_columns_merged(x: Any, extra: int) -> Any:
    """``(*M, *L, n, k) -> (*L, n, k M)``: the first ``extra`` axes become columns."""
    shape = typeof(x).shape
    x = transpose(x, (*range(extra, len(shape)), *range(extra)))
    return reshape(x, (*shape[extra:-1], math.prod((shape[-1], *shape[:extra]))))


def with_columns_split(x: Any, extra: Shape, columns: int) -> Any:
    """Undo `with_columns_merged` for first axes of the sizes ``extra`` and this many columns."""
    shape = typeof(x).shape
    rank = len(shape)
    x = reshape(x, (*shape[:-1], columns, *extra))
    return transpose(x, (*range(rank, rank + len(extra)), *range(rank)))


def with_batch(axis: Any, batched: Sequence[bool], operands: Sequence[Any]) -> list[Any]:
    """The operands with those that are not batched repeated along a batch axis in front."""
    return [x if b else broadcast_to(x, (axis.size, *typeof(x).shape)) for x, b in zip(operands, batched, strict=True)]


def batch_in_front(prim: Callable[[], Any]) -> Callable[..., Any]:
    """The batching rule of a primitive of stacks: a batch is one more leading axis of all operands."""

    def batch(axis: Any, batched: Sequence[bool], *operands: Any, **params: Any) -> Any:
        return prim().bind(*with_batch(axis, batched, operands), **params)

    return batch


def same_type(x: ShapedArray, **params: Any) -> ShapedArray:
    """The type rule of functions from matrices to matrices of the same shape."""
    return ShapedArray(x.shape, x.dtype)

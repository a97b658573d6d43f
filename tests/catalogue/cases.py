"""Cases: a row of the catalogue at one dtype and one choice of shapes, with what the tests need to run it.

Everything is drawn from a seed made of the row's name, so a test sees the same numbers in each run and each process.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import fungrad as fg
from fungrad import tree

from .row import Row, Shape

DOUBLE = {"f": "d", "F": "D", "d": "d", "D": "D"}


@dataclass(frozen=True)
class Case:
    """One row at one dtype and shapes."""

    row: Row
    dtype: str
    shapes: tuple[Shape, ...]

    def __str__(self) -> str:
        return f"{self.row.name}, dtype {np.dtype(self.dtype)}, shapes {self.shapes}"

    @property
    def active(self) -> tuple[int, ...]:
        """Positions of the operands that have a derivative."""
        return tuple(k for k in range(len(self.shapes)) if k not in self.row.integers and k not in self.row.booleans)

    @property
    def single(self) -> bool:
        """Whether this is single precision."""
        return self.dtype in "fF"

    def rng(self, draw: int = 0) -> np.random.Generator:
        """A generator that depends on the row and on the number of the draw only."""
        return np.random.default_rng([zlib.crc32(self.row.name.encode()), draw])

    def args(self, draw: int = 0) -> tuple[Any, ...]:
        """The operands; other draws give other values of the same types."""
        rng = self.rng(draw)
        ranks = self._ranks(rng)
        return tuple([self._operand(k, s, rng, ranks[k]) for k, s in enumerate(self.shapes)])

    def _ranks(self, rng: np.random.Generator) -> list[Any]:
        """For each operand where its elements stand in (0, 1), all at least half a place apart, operands included."""
        sizes = [int(np.prod(s)) for s in self.shapes]
        total = sum(sizes)
        places = (rng.permutation(total) + rng.uniform(0.25, 0.75, total)) / max(total, 1)
        return [p.reshape(s) for p, s in zip(np.split(places, np.cumsum(sizes)[:-1]), self.shapes, strict=True)]

    def _operand(self, k: int, shape: Shape, rng: np.random.Generator, ranks: Any) -> Any:
        low, high = self.row.interval(k)
        if k in self.row.booleans:
            return (rng.uniform(size=shape) < 0.5)[()] if shape else np.bool_(rng.uniform() < 0.5)
        if k in self.row.integers:
            return np.asarray(rng.integers(int(low), int(high), shape))[()]
        x = low + (high - low) * (ranks if self.row.distinct else rng.uniform(size=shape))
        if self.dtype in "DF":
            x = x + 1j * rng.uniform(-0.7, 0.7, shape)
        return np.asarray(x).astype(self.dtype)[()]

    def tangents(self, args: tuple[Any, ...], draw: int = 100) -> tuple[Any, ...]:
        """A tangent for each operand; float0 for integers and booleans."""
        rng = self.rng(draw)
        return tuple([random_like(x, rng) for x in args])

    def smooth(self, args: tuple[Any, ...]) -> Callable[..., list[Any]]:
        """The row's function of the operands that have a derivative, returning the results that have one."""

        def fun(*active: Any) -> list[Any]:
            return inexact_leaves(self.row.fun(*self.merge(args, active)))

        return fun

    def merge(self, args: tuple[Any, ...], active: tuple[Any, ...]) -> list[Any]:
        """All operands, those that have a derivative from ``active``."""
        merged = list(args)
        for k, x in zip(self.active, active, strict=True):
            merged[k] = x
        return merged

    def pick(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The entries of the operands that have a derivative."""
        return tuple([values[k] for k in self.active])


def cases(row: Row, dtypes: str = "dfDF", main_only: bool = False) -> Iterator[Case]:
    """The cases of a row: its shapes with each of these dtypes that it has, and its other shapes too."""
    offered = row.dtypes if len(row.shapes) > len(row.integers) + len(row.booleans) else row.dtypes[0]
    for dtype, shapes in itertools.product(offered, (row.shapes, *row.more_shapes)):
        if dtype in dtypes and not (main_only and shapes is not row.shapes):
            yield Case(row, dtype, shapes)


def random_like(x: Any, rng: np.random.Generator) -> Any:
    """A random (co)tangent of this array."""
    x = np.asarray(x)
    if x.dtype.kind not in "fc":
        return np.zeros(x.shape, fg.float0)
    v = rng.uniform(-1, 1, x.shape) + (1j * rng.uniform(-1, 1, x.shape) if x.dtype.kind == "c" else 0)
    return v.astype(x.dtype)[()]


def inexact_leaves(out: Any) -> list[Any]:
    """The results that have a derivative."""
    return [x for x in tree.leaves(out) if fg.typeof(x).dtype.kind in "fc"]


def pairing(a: Any, b: Any) -> tuple[float, float]:
    """<a, b> = Re(sum(a * b)) over lists of arrays (no conjugation), and the sum of the magnitudes of its terms."""
    terms = [np.asarray(x, "D") * np.asarray(y, "D") for x, y in zip(a, b, strict=True)]
    return sum(float(t.real.sum()) for t in terms), sum(float(np.abs(t).sum()) for t in terms)


def assert_close(actual: Any, expected: Any, tolerance: float, what: str = "") -> None:
    """Two pytrees are equal in structure, shapes and dtypes, and up to rounding in values (nan where expected)."""
    assert tree.structure(actual) == tree.structure(expected), (
        f"{what}: {tree.structure(actual)} instead of {tree.structure(expected)}"
    )
    for a, b in zip(tree.leaves(actual), tree.leaves(expected), strict=True):
        assert not isinstance(a, fg.Tracer), f"{what}: a tracer got out"
        assert np.ndim(a) or not isinstance(a, np.ndarray), f"{what}: a 0-d array instead of a scalar"
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{what}: {a.dtype}{a.shape} instead of {b.dtype}{b.shape}"
        if b.dtype.kind not in "fc":
            assert b.dtype == fg.float0 or np.array_equal(a, b), f"{what}: {a} instead of {b}"
            continue
        finite = np.abs(b[np.isfinite(b)])
        scale = max(1.0, float(finite.max())) if finite.size else 1.0
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=what)

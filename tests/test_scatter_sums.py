"""Rows that indices add up: any layout in memory, any dtype, many and few of them, against ``numpy.add.at``."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.primitives.indexing import scatter_add

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((20, 60)) + 1j * RNG.standard_normal((20, 60))

LAYOUTS = {
    "in order": lambda x: np.ascontiguousarray(x.T),
    "transposed": lambda x: x.T,
    "turned": lambda x: x[:, ::-1].T,
    "every other": lambda x: np.repeat(x.T, 2, axis=1)[:, ::2],
    "repeated": lambda x: np.broadcast_to(x[0, 0], (60, 20)),
    "few columns": lambda x: x[:3].T,
    "one column": lambda x: x[:1].T,
    "a vector": lambda x: x.T[:, 0],
}


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8", "i4"])
@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("size", [5, 60, 5000])
def test_scatter_add(layout, dtype, size):
    """The sums are NumPy's, whatever is added up."""
    x = LAYOUTS[layout]((Z if dtype.startswith("c") else 9 * Z.real).astype(dtype))
    indices = RNG.integers(-size, size, 60)
    indices[:20] = indices[20:40]
    want = np.zeros((size, *x.shape[1:]), x.dtype)
    np.add.at(want, indices, x)
    got = scatter_add(x, indices, shape=want.shape)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5 if dtype in ("f4", "c8") else 1e-12, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda f: f, fg.jit])
def test_complex_cotangents(wrap):
    """The gradient of a gather whose cotangent is a transposed complex array."""
    w = RNG.standard_normal((4, 3))
    i, v = np.array([0, 1, 1, 3, 0]), Z[:5, :3].copy()
    f = lambda w: np.sum(np.real(np.transpose((w * 1j)[i]) * np.transpose(v)))
    want = np.zeros((4, 3))
    np.add.at(want, i, -v.imag)
    np.testing.assert_allclose(wrap(fg.grad(f))(w), want, rtol=1e-12)

"""Discrete Fourier transforms: complex to complex, real to half a spectrum, and half a spectrum to real.

    fft    F x,  F[k, j] = exp(-2 pi i j k / n)       a symmetric matrix: its transpose is itself, inverse or not
    rfft   the rows k = 0 ... n // 2 of F, of real x
    irfft  real out of these rows, the others being their conjugates

Each brings its operand to the size n first, by leaving out what is too much or by zeros behind, and multiplies by the
factor that ``norm`` names; the factor of a transpose is the same. Vectors are paired by Re(sum(a b)), without
conjugation. So, with w = 2 for the frequencies of which irfft leaves out the conjugate, and w = 1 for 0 and (n even)
n / 2, whose imaginary parts it ignores:

    out = rfft(x)      Re(sum_k ct_k F[k, j]) = irfft(conj(ct) / w)_j, without the factor 1/n
    out = irfft(z)     sum_j ct_j Re(w_k conj(F[k, j]) z_k) / n         ->  w_k conj(rfft(ct))_k / n

A derivative of any order costs one transform and no memory, as all three are linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.fft

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.primitive import Linear
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.complex_parts import conj
from fungrad.primitives.structural import convert, slice_, unslice_, zeros

Sizes = tuple[int, ...]
Axes = tuple[int, ...]

Norm = Literal["backward", "ortho", "forward"]

SWAPPED: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm whose factor for one direction is that of another norm for the other direction."""


def resize(x: Any, axes: Axes, sizes: Sizes) -> Any:
    """Cut x off, or extend it by zeros, behind along these axes; one is the adjoint of the other."""
    shape = typeof(x).shape
    wanted = dict(zip(axes, sizes, strict=True))
    if any(n < shape[k] for k, n in wanted.items()):
        x = slice_(x, tuple([(0, min(n, wanted.get(k, n)), 1) for k, n in enumerate(shape)]))
    cut = typeof(x).shape
    new = tuple([wanted.get(k, n) for k, n in enumerate(cut)])
    return x if cut == new else unslice_(x, new, tuple([(0, n, 1) for n in cut]))


def _fit(x_bar: Any, x: ShapedArray, axes: Axes) -> Any:
    """The cotangent of the resized operand as one of the operand: its sizes, its dtype (a real one: the real part)."""
    return resize(convert(x_bar, x.dtype), axes, tuple([x.shape[k] for k in axes]))


def _with_sizes(shape: Shape, axes: Axes, sizes: Sizes) -> Shape:
    new = list(shape)
    for k, n in zip(axes, sizes, strict=True):
        new[k] = n
    return tuple(new)


# fft: along several axes, all of them different


def _fft(x: Any, *, axes: Axes, sizes: Sizes, inverse: bool, norm: Norm) -> Any:
    transform = np.fft.ifftn if inverse else np.fft.fftn
    return transform(x, sizes, axes, norm)


def _fft_transpose(ct: Any, x: ShapedArray, *, axes: Axes, sizes: Sizes, inverse: bool, norm: Norm) -> Any:
    return _fit(fft(ct, axes, sizes, inverse, norm), x, axes)


def _fft_batch(
    axis: Any, batched: Sequence[bool], x: Any, *, axes: Axes, sizes: Sizes, inverse: bool, norm: Norm
) -> Any:
    return fft(x, tuple([k + 1 for k in axes]), sizes, inverse, norm)


fft_p = Linear(
    "fft",
    _fft,
    abstract=lambda x, *, axes, sizes, inverse, norm: ShapedArray(
        _with_sizes(x.shape, axes, sizes), np.result_type(x.dtype, 1j)
    ),
    transpose=_fft_transpose,
    batch=_fft_batch,
)


def fft(x: Any, axes: Axes, sizes: Sizes, inverse: bool = False, norm: Norm = "backward") -> Any:
    """The Fourier transform, or its inverse, along different axes (counted from 0), resized to these sizes first."""
    return fft_p.bind(x, axes=axes, sizes=sizes, inverse=inverse, norm=norm)


# rfft, irfft: along one axis


def _halved(n: int, count: int, rank: int, axis: int, weight: float, like: Any) -> Any:
    """``weight`` for the frequencies that stand for two, 1 for the others, along an axis, to multiply ``like``."""
    weights = np.ones(count, np.finfo(typeof(like).dtype).dtype)
    weights[1 : (n + 1) // 2] = weight
    return weights.reshape((1,) * axis + (count,) + (1,) * (rank - axis - 1))


def _rfft_transpose(ct: Any, x: ShapedArray, *, axis: int, size: int, norm: Norm) -> Any:
    weights = _halved(size, size // 2 + 1, x.ndim, axis, 0.5, ct)
    return _fit(irfft(mul(conj(ct), weights), axis, size, SWAPPED[norm]), x, (axis,))


rfft_p = Linear(
    "rfft",
    lambda x, *, axis, size, norm: np.fft.rfft(x, size, axis, norm),
    abstract=lambda x, *, axis, size, norm: ShapedArray(
        _with_sizes(x.shape, (axis,), (size // 2 + 1,)), np.result_type(x.dtype, 1j)
    ),
    transpose=_rfft_transpose,
    batch=lambda axis_, batched, x, *, axis, size, norm: rfft(x, axis + 1, size, norm),
)


def rfft(x: Any, axis: int, size: int, norm: Norm = "backward") -> Any:
    """The frequencies 0 to size // 2 of real x along an axis (counted from 0), resized to this size first."""
    return rfft_p.bind(x, axis=axis, size=size, norm=norm)


def _irfft_transpose(ct: Any, x: ShapedArray, *, axis: int, size: int, norm: Norm) -> Any:
    weights = _halved(size, size // 2 + 1, x.ndim, axis, 2.0, ct)
    return _fit(mul(conj(rfft(ct, axis, size, SWAPPED[norm])), weights), x, (axis,))


def _irfft_abstract(x: ShapedArray, *, axis: int, size: int, norm: Norm) -> ShapedArray:
    dtype = np.result_type(np.empty(0, x.dtype).real.dtype, 1.0)
    return ShapedArray(_with_sizes(x.shape, (axis,), (size,)), dtype)


def _irfft(x: Any, *, axis: int, size: int, norm: Norm) -> Any:
    if not x.shape[axis]:  # NumPy (2.4) leaves the result of nothing uninitialised
        return zeros(_irfft_abstract(typeof(x), axis=axis, size=size, norm=norm))
    return np.fft.irfft(x, size, axis, norm)


irfft_p = Linear(
    "irfft",
    _irfft,
    abstract=_irfft_abstract,
    transpose=_irfft_transpose,
    batch=lambda axis_, batched, x, *, axis, size, norm: irfft(x, axis + 1, size, norm),
)


def irfft(x: Any, axis: int, size: int, norm: Norm = "backward") -> Any:
    """The real array of this size whose frequencies 0 to size // 2 along an axis (counted from 0) are x."""
    return irfft_p.bind(x, axis=axis, size=size, norm=norm)

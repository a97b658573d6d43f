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

The spectrum of real numbers is twice what ``rfft`` gives: its other half are the conjugates. ``mirror`` puts them
there, which takes a fraction of the time of a transform of complex numbers; ``fold`` goes back, from any spectrum z to
half of that of the real parts of what z is the spectrum of (up to imaginary parts that irfft ignores):

    out = mirror(h)    out[k] = h[k]  for k <= n // 2,                   out[-k] = conj(h[k])  for 0 < k < n / 2
    out = fold(z)      out[k] = (z[k] + conj(z[-k])) / 2  for 0 < k < n / 2,    z[k]  for k = 0 and k = n / 2

with [-k] modulo the size along each axis of the transform. So fold(mirror(h)) = h and fold(mirror(h) c) = h fold(c).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.fft

from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.lowering import NEW, Emission, Lowering, call_of
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


# mirror: the whole spectrum of real numbers from its first half; fold: the half that counts for real numbers


Part = tuple[slice, ...]


def _turned(shape: Shape, half: Shape, axes: Axes) -> list[tuple[Part, Part]]:
    """Which parts of the second half are, turned round, which of the first: (in the whole, in the half)."""
    *others, axis = axes
    n, m = shape[axis], half[axis]
    pairs = ((slice(1), slice(1)), (slice(1, None), slice(None, 0, -1)))
    found = []
    for chosen in itertools.product(pairs, repeat=len(others)):
        second, first = [slice(None)] * len(shape), [slice(None)] * len(shape)
        second[axis], first[axis] = slice(m, None), slice((n - 1) // 2, 0, -1)
        for k, (there, here) in zip(others, chosen, strict=True):
            second[k], first[k] = there, here
        found.append((tuple(second), tuple(first)))
    return found


def _first(rank: int, axis: int, m: int) -> Part:
    return (*[slice(None)] * axis, slice(m), *[slice(None)] * (rank - axis - 1))


def _write_mirrored(h: Any, out: Any, *, axes: Axes) -> None:
    out[_first(h.ndim, axes[-1], h.shape[axes[-1]])] = h
    for second, first in _turned(out.shape, h.shape, axes):
        if h.dtype.kind == "c":
            np.conjugate(h[first], out=out[second])
        else:
            out[second] = h[first]


def _mirror(h: Any, *, axes: Axes, size: int) -> Any:
    out = np.empty(_with_sizes(h.shape, axes[-1:], (size,)), h.dtype)
    _write_mirrored(h, out, axes=axes)
    return out


def _mirror_text(e: Emission, out: str | None, h: str, *, axes: Axes, size: int) -> str:
    if out is None:
        return call_of(_mirror)(e, out, h, axes=axes, size=size)
    return f"{e.const(_write_mirrored, 'write_mirrored')}({h}, {out}, axes={axes})"


def _mirror_transpose(ct: Any, h: ShapedArray, *, axes: Axes, size: int) -> Any:
    return mul(fold(ct, axes), _halved(size, h.shape[axes[-1]], h.ndim, axes[-1], 2.0, ct))


mirror_p = Linear(
    "mirror",
    _mirror,
    abstract=lambda h, *, axes, size: ShapedArray(_with_sizes(h.shape, axes[-1:], (size,)), h.dtype),
    transpose=_mirror_transpose,
    batch=lambda axis_, batched, h, *, axes, size: mirror(h, tuple([k + 1 for k in axes]), size),
    lowering=Lowering(_mirror_text, NEW, into=True),
)


def mirror(h: Any, axes: Axes, size: int) -> Any:
    """The whole spectrum along axes (counted from 0), of this size along the last, of real numbers: h is its half."""
    return mirror_p.bind(h, axes=axes, size=size)


def _fold(z: Any, *, axes: Axes) -> Any:
    m = z.shape[axes[-1]] // 2 + 1
    out = z[_first(z.ndim, axes[-1], m)].copy()
    for second, first in _turned(z.shape, out.shape, axes):
        part = out[first]
        part += np.conjugate(z[second])
        part *= 0.5
    return out


def _fold_transpose(ct: Any, z: ShapedArray, *, axes: Axes) -> Any:
    size = z.shape[axes[-1]]
    weights = _halved(size, size // 2 + 1, z.ndim, axes[-1], 0.5, ct)
    return mirror(mul(ct, weights), axes, size)


fold_p = Linear(
    "fold",
    _fold,
    abstract=lambda z, *, axes: ShapedArray(_with_sizes(z.shape, axes[-1:], (z.shape[axes[-1]] // 2 + 1,)), z.dtype),
    transpose=_fold_transpose,
    batch=lambda axis_, batched, z, *, axes: fold(z, tuple([k + 1 for k in axes])),
)


def fold(z: Any, axes: Axes) -> Any:
    """Half of a spectrum along axes (counted from 0), what of it counts for real numbers; z is inexact."""
    return fold_p.bind(z, axes=axes)


# fft: along several axes, all of them different

MIRRORED = 1 << 10
"""Elements of a real array from which on half of its spectrum is computed, and mirrored."""


def is_halved(x: ShapedArray, sizes: Sizes) -> bool:
    """Whether the transform of an array, resized to these sizes, takes less time by halves."""
    return x.dtype.char in "fd" and x.size >= MIRRORED and bool(sizes) and sizes[-1] > 2


def _fft(x: Any, *, axes: Axes, sizes: Sizes, inverse: bool, norm: Norm) -> Any:
    if type(x) is np.ndarray and is_halved(typeof(x), sizes):
        half = np.fft.rfft(x, sizes[-1], axes[-1], SWAPPED[norm] if inverse else norm)
        if len(axes) > 1:
            half = np.fft.fftn(half, sizes[:-1], axes[:-1], SWAPPED[norm] if inverse else norm)
        return _mirror(np.conjugate(half, out=half) if inverse else half, axes=axes, size=sizes[-1])
    transform = np.fft.ifftn if inverse else np.fft.fftn
    return transform(x, sizes, axes, norm)


def _fft_text(e: Emission, out: str | None, x: str, *, axes: Axes, sizes: Sizes, inverse: bool, norm: Norm) -> str:
    if out is None:
        return call_of(_fft)(e, out, x, axes=axes, sizes=sizes, inverse=inverse, norm=norm)
    if len(axes) == 1:
        transform = e.const(np.fft.ifft, "ifft") if inverse else e.const(np.fft.fft, "fft")
        return f"{transform}({x}, {sizes[0]}, {axes[0]}, {norm!r}, {out})"
    transform = e.const(np.fft.ifftn, "ifftn") if inverse else e.const(np.fft.fftn, "fftn")
    if sizes != tuple([e.avals[0].shape[k] for k in axes]):  # what is between two axes has another shape
        return f"{out}[...] = {transform}({x}, {sizes}, {axes}, {norm!r})"
    return f"{transform}({x}, {sizes}, {axes}, {norm!r}, {out})"


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
    lowering=Lowering(_fft_text, NEW, into=True, cost=20.0),
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


def _rfft_text(e: Emission, out: str | None, x: str, *, axis: int, size: int, norm: Norm) -> str:
    into = "" if out is None else f", {out}"
    return f"{e.const(np.fft.rfft, 'rfft')}({x}, {size}, {axis}, {norm!r}{into})"


rfft_p = Linear(
    "rfft",
    lambda x, *, axis, size, norm: np.fft.rfft(x, size, axis, norm),
    abstract=lambda x, *, axis, size, norm: ShapedArray(
        _with_sizes(x.shape, (axis,), (size // 2 + 1,)), np.result_type(x.dtype, 1j)
    ),
    transpose=_rfft_transpose,
    batch=lambda axis_, batched, x, *, axis, size, norm: rfft(x, axis + 1, size, norm),
    lowering=Lowering(_rfft_text, NEW, into=True, cost=10.0),
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


def _irfft_text(e: Emission, out: str | None, x: str, *, axis: int, size: int, norm: Norm) -> str:
    if out is None or not e.avals[0].shape[axis]:
        text = call_of(_irfft)(e, None, x, axis=axis, size=size, norm=norm)
        return text if out is None else f"{out}[...] = {text}"
    return f"{e.const(np.fft.irfft, 'irfft')}({x}, {size}, {axis}, {norm!r}, {out})"


irfft_p = Linear(
    "irfft",
    _irfft,
    abstract=_irfft_abstract,
    transpose=_irfft_transpose,
    batch=lambda axis_, batched, x, *, axis, size, norm: irfft(x, axis + 1, size, norm),
    lowering=Lowering(_irfft_text, NEW, into=True, cost=10.0),
)


def irfft(x: Any, axis: int, size: int, norm: Norm = "backward") -> Any:
    """The real array of this size whose frequencies 0 to size // 2 along an axis (counted from 0) are x."""
    return irfft_p.bind(x, axis=axis, size=size, norm=norm)

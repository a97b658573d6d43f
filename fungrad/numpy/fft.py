"""numpy.fft for traced arrays, under its names and arguments.

All transforms are linear: the derivative is the transform of the tangent, and its transpose is a transform again (see
``fungrad.primitives.fft``). Where a spectrum is redundant (rfft, irfft, hfft, ihfft) the halves that NumPy leaves out
are counted in. ``norm`` is one of "backward" (the factor 1/n goes to inverse transforms; the default), "ortho" (the
square root of it to both) and "forward".
"""

from __future__ import annotations

import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.fft
from numpy.lib.array_utils import normalize_axis_index

import fungrad.numpy.shaping as shaping
from fungrad.core.aval import Shape, typeof
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, refuse
from fungrad.primitives import fft as transforms
from fungrad.primitives.complex_parts import conj, is_complex

Size = int | None
Axes = Sequence[int] | None
_Norm = transforms.Norm


def _norm(norm: str | None) -> _Norm:
    """The norm by its name; a ValueError in NumPy's words if there is none of that name."""
    for name in transforms.SWAPPED:
        if norm == name or (norm is None and name == "backward"):
            return name
    raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')


def _checked(n: Any) -> int:
    size = operator.index(n)
    if size < 1:
        raise ValueError(f"Invalid number of FFT data points ({size}) specified.")
    return size


def _along(x: Any, n: Any, axis: int, norm: str | None, default: Callable[[int], int]) -> tuple[int, int, _Norm]:
    """The axis counted from 0, the size, and the norm; ``default`` makes the size out of that of x."""
    shape = typeof(x).shape
    size = None if n is None else _checked(n)
    named = _norm(norm)
    k = normalize_axis_index(operator.index(axis), len(shape))
    return k, _checked(default(shape[k])) if size is None else size, named


def _same(n: int) -> int:
    return n


def _whole(n: int) -> int:
    """The even number of real values that have half a spectrum of size n."""
    return 2 * (n - 1)


def _real(call: str, x: Any) -> Any:
    if is_complex(x):
        raise TypeError(f"numpy.fft.{call} takes real numbers, got a complex array of type {typeof(x)!r}; use fft")
    return x


# Along one axis


def _c2c(call: str, inverse: bool, a: Any, n: Size, axis: int, norm: str | None, out: Any) -> Any:
    refuse(f"fft.{call}", out=(out, None))
    x = as_array(a)
    k, size, named = _along(x, n, axis, norm, _same)
    return transforms.fft(x, (k,), (size,), inverse, named)


@implements(np.fft.fft)
def fft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Take the discrete Fourier transform along an axis.

    Parameters
    ----------
    n : int, optional
        The size to cut a off at, or to fill it up to with zeros, first.

    Examples
    --------
    >>> import fungrad as fg
    >>> import numpy as np
    >>> fg.grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(np.array([1.0, 2.0]))  # Parseval: 2 n x
    array([4., 8.])
    """
    return _c2c("fft", False, a, n, axis, norm, out)


@implements(np.fft.ifft)
def ifft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Take the inverse Fourier transform along an axis; see `fft`."""
    return _c2c("ifft", True, a, n, axis, norm, out)


@implements(np.fft.rfft)
def rfft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Take the frequencies 0 to n // 2 of the Fourier transform of real numbers along an axis; see `fft`."""
    refuse("fft.rfft", out=(out, None))
    x = _real("rfft", as_array(a))
    return transforms.rfft(x, *_along(x, n, axis, norm, _same))


@implements(np.fft.irfft)
def irfft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Invert `rfft`: n real numbers (by default an even number) of half a spectrum.

    The imaginary parts of frequency 0 and, for even n, of the last one are ignored: their derivative is 0.
    """
    refuse("fft.irfft", out=(out, None))
    x = as_array(a)
    return transforms.irfft(x, *_along(x, n, axis, norm, _whole))


@implements(np.fft.hfft)
def hfft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Take the Fourier transform, n real numbers, of a signal of which the conjugate half is left out; see `irfft`."""
    refuse("fft.hfft", out=(out, None))
    x = as_array(a)
    k, size, named = _along(x, n, axis, norm, _whole)
    return transforms.irfft(conj(x), k, size, transforms.SWAPPED[named])


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Size = None, axis: int = -1, norm: str | None = None, out: Any = None) -> Any:
    """Invert `hfft`: half of the signal whose Fourier transform is a."""
    refuse("fft.ihfft", out=(out, None))
    x = _real("ihfft", as_array(a))
    k, size, named = _along(x, n, axis, norm, _same)
    return conj(transforms.rfft(x, k, size, transforms.SWAPPED[named]))


# Along several axes

_WITHOUT_AXES = (
    "`axes` should not be `None` if `s` is not `None` (deprecated in NumPy 2.0): in a future version s[i] will be the "
    "size along axes[i] and this an error. Pass axes=range(-len(s), 0) for what it means now."
)
_WITH_NONE = (
    "None in `s` is deprecated in NumPy 2.0 and will be an error in a future version. Pass the size (or -1 for that of "
    "the array), or leave `s` out."
)


def _users_level() -> int:
    """How far up the stack, seen from the caller, the code of the user is, for a warning."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("fungrad.", "numpy.")):
        level, frame = level + 1, frame.f_back
    return level


def _sizes_and_axes(shape: Shape, s: Any, axes: Axes, halved: bool) -> tuple[list[Size], list[int]]:
    """A size (None: the default) for each axis, counted from 0; ``halved`` if the last one is half a spectrum."""
    named = None if axes is None else [operator.index(k) for k in axes]
    if s is None:
        named = list(range(len(shape))) if named is None else named
        sizes: list[Any] = [shape[normalize_axis_index(k, len(shape))] for k in named]
        if halved and sizes:
            sizes[-1] = _whole(sizes[-1])
    else:
        sizes = list(s)
        if named is None:
            warnings.warn(_WITHOUT_AXES, DeprecationWarning, stacklevel=_users_level())
            named = list(range(-len(sizes), 0))
        if None in sizes:
            warnings.warn(_WITH_NONE, DeprecationWarning, stacklevel=_users_level())
    if len(sizes) != len(named):
        raise ValueError("Shape and axes have different lengths.")
    counted = [normalize_axis_index(k, len(shape)) for k in named]
    return [shape[k] if n == -1 else n for n, k in zip(sizes, counted, strict=True)], counted


def _last(sizes: list[Size], axes: list[int]) -> tuple[Size, int]:
    if not axes:
        raise IndexError("a transform of real numbers needs at least one axis")
    return sizes[-1], axes[-1]


def _over(x: Any, sizes: Sequence[Size], axes: Sequence[int], inverse: bool, norm: str | None) -> Any:
    """Complex transforms along axes, the last one first, in one go if they are different."""
    if len(set(axes)) == len(axes):
        shape = typeof(x).shape
        counts = tuple([_checked(shape[k] if n is None else n) for n, k in zip(sizes, axes, strict=True)])
        return transforms.fft(x, tuple(axes), counts, inverse, _norm(norm)) if axes else x
    for n, k in zip(sizes[::-1], axes[::-1], strict=True):
        x = _over(x, (n,), (k,), inverse, norm)
    return x


def _c2cn(call: str, inverse: bool, a: Any, s: Any, axes: Axes, norm: str | None, out: Any) -> Any:
    refuse(f"fft.{call}", out=(out, None))
    x = as_array(a)
    return _over(x, *_sizes_and_axes(typeof(x).shape, s, axes, False), inverse, norm)


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """Take the Fourier transform along several axes, all by default; one named twice is transformed twice.

    Parameters
    ----------
    s : sequence of int, optional
        For each of ``axes`` the size to cut a off at, or to fill it up to with zeros, first; -1 for its own size.
    """
    return _c2cn("fftn", False, a, s, axes, norm, out)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """Take the inverse Fourier transform along several axes; see `fftn`."""
    return _c2cn("ifftn", True, a, s, axes, norm, out)


@implements(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """Take the Fourier transform along two axes; see `fftn`."""
    return _c2cn("fft2", False, a, s, axes, norm, out)


@implements(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """Take the inverse Fourier transform along two axes; see `fftn`."""
    return _c2cn("ifft2", True, a, s, axes, norm, out)


# NumPy 2.0 takes the other axes of rfftn from the first to the last one, later versions the other way round. It makes a
# difference where an axis is named twice with two sizes.
_FORWARDS = np.fft.rfftn(np.ones((1, 1)), (1, 2, 1), (0, 0, 1)).shape[0] == 2


def _r2cn(call: str, a: Any, s: Any, axes: Axes, norm: str | None, out: Any) -> Any:
    refuse(f"fft.{call}", out=(out, None))
    x = _real(call, as_array(a))
    sizes, counted = _sizes_and_axes(typeof(x).shape, s, axes, False)
    x = rfft(x, *_last(sizes, counted), norm)
    others = slice(-2, None, -1) if _FORWARDS else slice(-1)
    return _over(x, sizes[others], counted[others], False, norm)


def _c2rn(call: str, a: Any, s: Any, axes: Axes, norm: str | None, out: Any) -> Any:
    refuse(f"fft.{call}", out=(out, None))
    x = as_array(a)
    sizes, counted = _sizes_and_axes(typeof(x).shape, s, axes, True)
    n, k = _last(sizes, counted)
    # NumPy takes these axes from the first to the last one here.
    return irfft(_over(x, sizes[-2::-1], counted[-2::-1], True, norm), n, k, norm)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """Take `rfft` along the last of several axes and `fft` along the others; see `fftn`."""
    return _r2cn("rfftn", a, s, axes, norm, out)


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """Take `rfft` along the last of two axes and `fft` along the other one; see `fftn`."""
    return _r2cn("rfft2", a, s, axes, norm, out)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> Any:
    """Invert `rfftn`. The size of the last axis is even unless ``s`` tells it."""
    return _c2rn("irfftn", a, s, axes, norm, out)


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None) -> Any:
    """Invert `rfft2`. The size of the last axis is even unless ``s`` tells it."""
    return _c2rn("irfft2", a, s, axes, norm, out)


# Orders of the frequencies


def _shift(x: Any, axes: Any, forward: bool) -> Any:
    x = as_array(x)
    shape = typeof(x).shape
    if axes is None:
        axes = range(len(shape))
    named = [operator.index(k) for k in (axes if isinstance(axes, Sequence) else (axes,))]
    halves = [shape[normalize_axis_index(k, len(shape))] // 2 for k in named]
    return shaping.roll(x, tuple([h if forward else -h for h in halves]), tuple(named))


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """Move frequency 0 to the middle of axes, all by default."""
    return _shift(x, axes, True)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """Undo `fftshift`."""
    return _shift(x, axes, False)


def fftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return the frequencies of the elements of a spectrum of n samples at distance d, as `numpy.fft.fftfreq`."""
    return _as_dtype(np.fft.fftfreq(n, d), dtype)


def rfftfreq(n: int, d: Any = 1.0, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return the frequencies of the elements of half a spectrum, as `numpy.fft.rfftfreq`; d may be traced."""
    return _as_dtype(np.fft.rfftfreq(n, d), dtype)


def _as_dtype(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

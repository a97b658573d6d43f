"""What has to do with compilers and devices in JAX, and is simple here; and Fourier transforms."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.lax.arguments import array, integers, require


class FftType(enum.Enum):
    """The kinds of Fourier transforms."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


def fft(x: Any, fft_type: FftType | str, fft_lengths: Any) -> Any:
    """Fourier transform along the last axes, as many as there are lengths.

    Parameters
    ----------
    x : array
    fft_type : FftType or str
        FFT, IFFT, RFFT (real to complex) or IRFFT (complex to real).
    fft_lengths : sequence of int
        The sizes of these axes, for IRFFT those of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.fft(np.array([1.0, 0.0, 0.0, 0.0]), "RFFT", (4,))
    array([1.+0.j, 1.+0.j, 1.+0.j])
    """
    kind = FftType[fft_type.upper()] if isinstance(fft_type, str) else FftType(fft_type)
    x, lengths = array(x), integers("fft", "fft_lengths", fft_lengths)
    own = typeof(x).shape[typeof(x).ndim - len(lengths) :]
    expected = (*lengths[:-1], lengths[-1] // 2 + 1) if kind is FftType.IRFFT and lengths else lengths
    require(own == expected, "fft", lambda: f"lengths {lengths} do not fit the last axes of shape {typeof(x).shape}")
    if not lengths:
        return x
    axes = tuple(range(-len(lengths), 0))
    transform: Any = {
        FftType.FFT: np.fft.fftn,
        FftType.IFFT: np.fft.ifftn,
        FftType.RFFT: np.fft.rfftn,
        FftType.IRFFT: np.fft.irfftn,
    }[kind]
    return transform(x, lengths, axes)


def platform_dependent(
    *args: Any, default: Callable[..., Any] | None = None, **per_platform: Callable[..., Any]
) -> Any:
    """Call the function for the platform ``cpu``, or the default one."""
    function = per_platform.get("cpu", default)
    if function is None:
        raise NotImplementedError(
            f"lax.platform_dependent: neither cpu= nor default= is given, only {sorted(per_platform)}"
        )
    return function(*args)


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """Return the function itself: nothing is to be recognised by a name."""
    return decomposition


def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """Return x: there is one device."""
    return x


def dce_sink(val: Any, *, prevent_mlir_dce: bool = False) -> None:
    """Do nothing: values are computed where they are needed."""


def create_token(_: Any = None) -> bool:
    """What effects are ordered by in XLA: a value."""
    return True


def after_all(*operands: Any) -> bool:
    """A token that depends on others: a value."""
    return True

"""Rows of numpy.fft: every function, with sizes, axes and norms, for even and odd sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.fft

from fungrad.primitives.fft import fold, mirror

from .row import Row

_X = ((3, 4),)
_NORMS = ("backward", "ortho", "forward")
_MORE = (((5,),), ((1,),), ((0, 3),), ((2, 3, 4),))


def _one_axis(name: str, primitives: tuple[str, ...], dtypes: str, least: int = 1) -> list[Row]:
    """Rows of a transform along one axis: each norm, sizes that cut and that fill up, both parities."""
    fun: Any = getattr(np.fft, name)
    more: dict[str, Any] = {"dtypes": dtypes, "primitives": primitives}
    nothing = (((0,),),) if least == 1 else ()  # of which NumPy's irfft makes uninitialised numbers
    return [
        Row(f"fft.{name}", fun, _X, more_shapes=tuple(s for s in _MORE if s[0][-1] >= least), **more),
        Row(f"fft.{name} norm", lambda x: [fun(x, norm=norm) for norm in _NORMS], ((2, 5),), **more),
        Row(f"fft.{name} n", lambda x: [fun(x, n=n) for n in range(1, 8)], ((2, 4),), more_shapes=nothing, **more),
        Row(f"fft.{name} axis", lambda x: fun(x, 5, axis=0, norm="ortho"), _X, **more),
        Row(f"fft.{name} squared", lambda x: np.abs(fun(np.sin(x))) ** 2, ((4,),), **more),
    ]


def _two_axes(name: str, primitives: tuple[str, ...], dtypes: str) -> list[Row]:
    fun: Any = getattr(np.fft, name)
    more: dict[str, Any] = {"dtypes": dtypes, "primitives": primitives}
    empty = ((0, 2, 3) if name.endswith("2") else (1, 2, 3),)  # without elements along an axis there is no transform
    rows = [
        Row(f"fft.{name}", fun, _X, more_shapes=(((5, 3),), empty, ((2, 3, 4),)), **more),
        Row(f"fft.{name} norm", lambda x: [fun(x, norm=norm) for norm in _NORMS], ((2, 3),), **more),
        Row(f"fft.{name} s axes", lambda x: fun(x, s=(4, 3), axes=(0, 1)), _X, **more),
        Row(f"fft.{name} s=-1", lambda x: fun(x, s=(-1, 5), axes=(1, 0)), _X, **more),
        Row(f"fft.{name} other axes", lambda x: fun(x, axes=(2, 0), norm="forward"), ((2, 3, 4),), **more),
        Row(f"fft.{name} repeated axes", lambda x: fun(x, s=(3, 4, 5), axes=(1, 1, 0), norm="ortho"), _X, **more),
    ]
    return rows[:1] + rows[3:4] if name.endswith("2") else rows  # fft2 is fftn with other axes by default


ROWS: list[Row] = [
    *_one_axis("fft", ("fft",), "dfDF"),
    *_one_axis("ifft", ("fft",), "dfDF"),
    *_one_axis("rfft", ("rfft", "irfft"), "df"),
    *_one_axis("irfft", ("irfft", "rfft"), "DFdf", least=2),
    *_one_axis("hfft", ("irfft",), "DFdf", least=2),
    *_one_axis("ihfft", ("rfft",), "df"),
    *_two_axes("fft2", ("fft",), "dfDF"),
    *_two_axes("ifft2", ("fft",), "dfDF"),
    *_two_axes("fftn", ("fft",), "dfDF"),
    *_two_axes("ifftn", ("fft",), "dfDF"),
    *_two_axes("rfft2", ("rfft",), "df"),
    *_two_axes("rfftn", ("rfft",), "df"),
    *_two_axes("irfft2", ("irfft",), "DFdf"),
    *_two_axes("irfftn", ("irfft",), "DFdf"),
    Row("fft.fftn axes=()", lambda x: np.fft.fftn(x, axes=()), _X),
    Row("fft.fftn of a scalar", np.fft.fftn, ((),)),
    Row("fft.fftshift", np.fft.fftshift, _X, more_shapes=(((5,),), ((0, 3),))),
    Row("fft.fftshift axis", lambda x: np.fft.fftshift(x, axes=1), _X),
    Row("fft.fftshift axes", lambda x: np.fft.fftshift(x, axes=(-1, 0)), _X),
    Row("fft.ifftshift", np.fft.ifftshift, ((3, 5),), more_shapes=(((4,),),)),
    Row("fft.ifftshift axes", lambda x: np.fft.ifftshift(x, axes=[0]), _X),
    Row("fft.fftfreq of a traced spacing", lambda d: np.fft.fftfreq(5, d) + np.fft.rfftfreq(8, d), ((),), (0.5, 2.0)),
    Row(
        "convolution theorem",
        lambda x, y: np.fft.irfft(np.fft.rfft(x, 7) * np.fft.rfft(y, 7), 7),
        ((4,), (4,)),
        dtypes="df",
    ),
    Row("mirror", lambda h: [mirror(h, (1,), n) for n in (4, 5)], ((2, 3),), dtypes="dfDF", primitives=("mirror",)),
    Row("mirror of two axes", lambda h: mirror(h, (1, 0), 5), ((3, 4),), dtypes="dfDF", primitives=("mirror",)),
    Row("fold", lambda z: fold(z, (1,)), ((2, 4),), dtypes="dfDF", primitives=("fold",), more_shapes=(((2, 5),),)),
    Row("fold of two axes", lambda z: fold(z, (1, 0)), ((5, 3),), dtypes="dfDF", primitives=("fold",)),
]

"""numpy.fft beside the catalogue: all dtypes, arguments that NumPy refuses or deprecates, and what derivatives cost."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import TracerIntegerConversionError, UnsupportedOperationError

COMPLEX = ("fft", "ifft", "irfft", "hfft")
REAL = ("rfft", "ihfft")
SEVERAL = ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn")


def traced(fun: Any, x: Any) -> Any:
    """The value of a function recorded with values, and the type of it recorded without."""
    value = fg.jvp(fun, (x,), (np.zeros(x.shape, x.dtype if x.dtype.kind in "fc" else fg.float0),))[0]
    (aval,) = fg.make_jaxpr(fun)(x).out_avals
    assert (aval.shape, aval.dtype) == (value.shape, value.dtype)
    return value


@pytest.mark.parametrize("dtype", list("?bhiqBHIQefdgFDG"))
@pytest.mark.parametrize("name", COMPLEX + REAL + SEVERAL)
def test_every_dtype(name: str, dtype: str) -> None:
    """Values and dtypes are NumPy's, for half and extended precision, integers and booleans too."""
    fun = getattr(np.fft, name)
    x = np.array([[0, 1, 3, 1, 2], [1, 0, 2, 0, 5]]).astype(dtype)
    try:
        expected = fun(x)
    except TypeError:
        with pytest.raises(TypeError, match="real numbers"):
            traced(fun, x)
        return
    value = traced(fun, x)
    assert value.dtype == expected.dtype
    np.testing.assert_allclose(value, expected, rtol=2e-3 if dtype == "e" else 1e-6 if dtype in "fF" else 1e-14)


def matrix(fun: Any, n: int) -> Any:
    """The matrix of a real-linear function of n complex numbers: its values at the unit vectors and i times these."""
    columns = [fun(unit * e) for unit in (1, 1j) for e in np.eye(n)]
    return np.stack([np.concatenate([np.real(c), np.imag(c)]) for c in columns], 1)


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transposes_are_exact(name: str, norm: str, size: int, n: int) -> None:
    """The vjp is the transposed matrix, for real and imaginary parts by themselves."""

    def fun(x: Any) -> Any:
        return getattr(np.fft, name)(x, n, norm=norm)

    forward = matrix(fun, size)
    out, pull = fg.vjp(fun, np.zeros(size, "D"))
    for k in range(n):
        unit = np.eye(n)[k]
        # Re(sum(w y)) takes the real part of y by w = 1 and the imaginary part by w = -1j.
        (x_bar,) = pull(unit.astype(out.dtype))
        np.testing.assert_allclose(np.concatenate([x_bar.real, -x_bar.imag]), forward[k], atol=1e-14)
        if out.dtype.kind == "c":
            (x_bar,) = pull(-1j * unit)
            np.testing.assert_allclose(np.concatenate([x_bar.real, -x_bar.imag]), forward[n + k], atol=1e-14)


def test_ignored_imaginary_parts() -> None:
    """irfft does not read the imaginary part of frequency 0, nor that of the last one of an even size."""
    z = np.array([1 + 2j, 3 - 1j, 2 + 5j])
    assert np.array_equal(np.imag(fg.grad(lambda z: np.sum(np.fft.irfft(z) ** 2))(z)) != 0, [False, True, False])
    assert np.array_equal(np.imag(fg.grad(lambda z: np.sum(np.fft.irfft(z, 5) ** 2))(z)) != 0, [False, True, True])


def test_parseval() -> None:
    """The energy of a spectrum is that of the signal, so its gradient is known."""
    x = np.array([1.0, -2.0, 0.5, 3.0, 0.25])
    g = fg.grad(lambda x: np.sum(np.abs(np.fft.fft(x, norm="ortho")) ** 2))(x)
    np.testing.assert_allclose(g, 2 * x, rtol=1e-14)


def test_a_transform_each_way() -> None:
    """A gradient takes one transform forwards and one back, whatever its axes; a pullback alone takes one."""
    x = np.ones((4, 6))

    def count(fun: Any) -> int:
        return sum(str(eqn.primitive) in ("fft", "rfft", "irfft") for eqn in fg.make_jaxpr(fun)(x).eqns)

    assert count(fg.grad(lambda x: np.sum(np.abs(np.fft.fftn(x)) ** 2))) == 2
    assert count(fg.grad(lambda x: np.sum(np.abs(np.fft.rfft(x, axis=0)) ** 2))) == 2
    assert count(lambda x: fg.vjp(lambda x: np.fft.irfft(np.exp(x), 9), x)[1](np.ones((4, 9)))) == 1


def test_irfft_of_nothing() -> None:
    """Where NumPy reads uninitialised memory there are zeros."""
    value, pull = fg.vjp(lambda x: np.fft.irfft(x, 4), np.zeros((2, 0), "D"))
    assert np.array_equal(value, np.zeros((2, 4)))
    assert pull(np.ones((2, 4)))[0].shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: np.fft.fft(x, 0), ValueError, r"Invalid number of FFT data points \(0\)"),
        (lambda x: np.fft.irfft(x[..., :1]), ValueError, r"Invalid number of FFT data points \(0\)"),
        (lambda x: np.fft.fft(x[..., :0]), ValueError, r"Invalid number of FFT data points \(0\)"),
        (lambda x: np.fft.rfftn(x, (2, -3), (0, 1)), ValueError, r"Invalid number of FFT data points \(-3\)"),
        (lambda x: np.fft.fft(x, norm="unit"), ValueError, "Invalid norm value unit"),
        (lambda x: np.fft.hfft(x, norm="unit"), ValueError, "Invalid norm value unit"),
        (lambda x: np.fft.fftn(x, norm="unit"), ValueError, "Invalid norm value unit"),
        (lambda x: np.fft.fft(x, axis=2), IndexError, "out of (bounds|range)"),
        (lambda x: np.fft.fft(x, 3, axis=-3), np.exceptions.AxisError, "axis -3 is out of bounds"),
        (lambda x: np.fft.fft(x[0, 0]), IndexError, "out of (bounds|range)"),
        (lambda x: np.fft.fftn(x, axes=(0, 2)), IndexError, "out of bounds"),
        (lambda x: np.fft.fftn(x, (2,), (0, 1)), ValueError, "Shape and axes have different lengths"),
        (lambda x: np.fft.rfftn(x, axes=()), IndexError, "range|axis"),
        (lambda x: np.fft.irfftn(x, axes=()), IndexError, "range|axis"),
        (lambda x: np.fft.fftn(x, axes=1), TypeError, "not iterable"),
        (lambda x: np.fft.fft(x, 2.0), TypeError, "float"),
        (lambda x: np.fft.rfft(x * 1j), TypeError, "not supported for the input types|real numbers"),
        (lambda x: np.fft.ihfft(x * 1j), TypeError, "not supported for the input types|real numbers"),
        (lambda x: np.fft.rfft2(x * 1j), TypeError, "not supported for the input types|real numbers"),
        (lambda x: np.fft.fftshift(x, 2), IndexError, "out of (bounds|range)"),
    ],
)
def test_errors_are_numpys(call: Any, error: Any, text: str) -> None:
    """What NumPy refuses is refused with the same kind of error, with values and without."""
    x = np.ones((3, 4))
    for run in (call, lambda x: fg.jvp(call, (x,), (x,)), fg.make_jaxpr(call)):
        with pytest.raises(error, match=text):
            run(x)


@pytest.mark.parametrize("name", ["fft", "rfft", "irfft", "hfft", "ihfft", "fftn", "irfft2", "rfftn"])
def test_out_is_refused(name: str) -> None:
    """A traced array cannot be written into a plain one."""
    out = np.empty((3, 4), complex)
    with pytest.raises(UnsupportedOperationError, match=rf"numpy.fft.{name}\(..., out="):
        fg.make_jaxpr(lambda x: getattr(np.fft, name)(x, out=out))(np.ones((3, 4)))


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("s", [(2, 3), (None, 2)])
def test_deprecations(name: str, s: Any) -> None:
    """Sizes without axes, and None among sizes, warn as in NumPy, at the user's line, and do what they do there."""

    def call(x: Any) -> Any:
        return getattr(np.fft, name)(x, s, axes=(0, 1) if None in s else None)

    x = np.arange(12.0).reshape(3, 4)
    results = []
    for run in (call, lambda x: fg.jvp(call, (x,), (x,))[0]):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results.append(run(x))
        assert [w.category for w in caught] == [DeprecationWarning]
        if run is not call:
            assert caught[0].filename == __file__
    np.testing.assert_allclose(results[1], results[0], rtol=1e-14)


def test_size_must_be_known() -> None:
    """A size that depends on a traced value without a value is an error that says so."""
    with pytest.raises(TracerIntegerConversionError):
        fg.vmap(lambda n: np.fft.fft(np.ones(4) * n, n))(np.arange(3))

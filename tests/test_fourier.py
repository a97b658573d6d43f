"""numpy.fft beside the catalogue: all dtypes, arguments that NumPy refuses or deprecates, and what derivatives cost."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest

import fungrad as fg
import fungrad.primitives.fft as transforms
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


# Large arrays of real numbers: half of the spectrum is computed, and mirrored

SPECTRA: dict[str, Any] = {
    "fft": lambda x: np.fft.fft(x),
    "ifft": lambda x: np.fft.ifft(x, norm="ortho"),
    "fft first axis": lambda x: np.fft.fft(x, 5, axis=0, norm="forward"),
    "fft longer": lambda x: np.fft.fft(x, x.shape[-1] + 3),
    "ifft shorter": lambda x: np.fft.ifft(x, 3),
    "fftn": lambda x: np.fft.fftn(x),
    "ifftn": lambda x: np.fft.ifftn(x, axes=(-1, 0)),
    "fft2 resized": lambda x: np.fft.fft2(x, (4, 6), norm="ortho"),
    "convolution": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(np.cos(x)))),
    "convolution of pictures": lambda x: np.real(np.fft.ifft2(np.fft.fft2(x) * np.conj(np.fft.fft2(np.cos(x))))),
    "power spectrum": lambda x: np.abs(np.fft.fft(x)) ** 2,
    "power of two axes": lambda x: np.log1p(np.abs(np.fft.fftn(x)) ** 2),
    "whitened": lambda x: np.real(np.fft.fft(np.fft.fft(x) / (1 + np.abs(np.fft.fft(x))))),
    "imaginary part": lambda x: np.imag(np.fft.fft(x)) + np.real(np.fft.fft(x)),
    "of other axes": lambda x: np.real(np.fft.ifft(np.fft.fft(x, axis=0), axis=-1)),
    "with a filter": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.cos(np.arange(x.shape[-1])))),
    "with filters": lambda x: np.real(
        np.fft.ifft(np.exp(1j * np.arange(x.shape[-1])) * np.fft.fft(x) - np.fft.fft(np.sin(x)) * (2 + x))
    ),
    "with a filter of two axes": lambda x: np.real(np.fft.fft2(np.exp(1j * np.cos(x)) * np.fft.fft2(x)) + 1),
    "derivative": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * 1j * np.fft.fftfreq(x.shape[-1]))),
    "with two filters": lambda x: np.real(
        np.fft.ifft(np.exp(1j * np.arange(x.shape[-1])) * (np.fft.fft(x) * np.sin(np.arange(x.shape[-1])) * (1 + x**2)))
    ),
    "sums of filtered ones": lambda x: np.real(
        np.fft.ifft((np.fft.fft(x) * (1j + x) - np.fft.fft(np.cos(x))) * 0.5 + np.fft.fft(np.sin(x)) * np.sin(x) * 2j)
    ),
    "filtered three times": lambda x: np.real(np.fft.fft(((np.fft.fft(x) * x) * (2j - x)) * np.exp(1j * x))),
    "a filter of two axes twice": lambda x: np.real(np.fft.ifft2(np.fft.fft2(x) * np.exp(2j * x) * np.exp(3j * x[:1]))),
    "with factors of rows": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.exp(1j * x[..., :1]))),
    "along different axes": lambda x: np.real(np.fft.ifft(np.fft.fft(x, axis=0) * np.fft.fft(x, axis=1), axis=1)),
    "through a filter along another axis": lambda x: np.real(np.fft.ifft(np.fft.fft(x, axis=0) * np.cos(x), axis=1)),
    "of one and of two axes": lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fftn(x, axes=(0, -1)))),
    "cut off": lambda x: np.real(np.fft.ifft(np.fft.fft(x), x.shape[-1] - 1)),
    "halves compared": lambda x: np.where(np.abs(np.fft.fft(x)) > 2, np.fft.fft(x), 0),
}


def as_numbers(z: Any) -> Any:
    """Real numbers that tell all of an array."""
    return np.concatenate([np.ravel(np.real(z)), np.ravel(np.imag(z))])


@pytest.mark.parametrize("shape", [(4, 6), (3, 5), (2, 3, 4), (1, 8), (4, 4)], ids=str)
@pytest.mark.parametrize("name", list(SPECTRA))
def test_halves(name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and derivatives are those of whole spectra, compiled or not, for even and odd sizes."""
    fun, x, t = SPECTRA[name], *np.random.default_rng(0).standard_normal((2, *shape))
    expected = fun(x)
    loss = lambda x: np.sum(np.sin(as_numbers(fun(x))))
    gradient, second = fg.grad(loss)(x), fg.jvp(fg.grad(loss), (x,), (t,))[1]
    monkeypatch.setattr(transforms, "MIRRORED", 0)
    fg.clear_caches()
    value, tangent = fg.jvp(fun, (x,), (t,))
    np.testing.assert_allclose(value, expected, atol=1e-13)
    for f in (fun, fg.jit(fun), lambda x: fg.vmap(fun)(x[None])[0], fg.jit(lambda x: fg.vmap(fun)(x[None])[0])):
        found = f(x)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, atol=1e-13)
    np.testing.assert_allclose(fg.jit(lambda: fg.jvp(fun, (x,), (t,)))()[1], tangent, atol=1e-12)
    np.testing.assert_allclose(fg.jit(fg.grad(loss))(x), gradient, atol=1e-12)
    np.testing.assert_allclose(fg.grad(fg.jit(loss))(x), gradient, atol=1e-12)
    np.testing.assert_allclose(fg.jit(lambda x: fg.jvp(fg.grad(loss), (x,), (t,))[1])(x), second, atol=1e-11)
    fg.clear_caches()


@pytest.mark.parametrize("dtype", list("fdFDi"))
@pytest.mark.parametrize("size", range(2, 8))
def test_mirror(size: int, dtype: str) -> None:
    """The second half is that of NumPy's transform; it folds back; the transposes of both are exact."""
    rng = np.random.default_rng(size)
    for axes in ((1,), (0, 1), (2, 0, 1)):
        shape = (3, size // 2 + 1, 4)
        if dtype == "D":
            x = rng.standard_normal((3, size, 4))
            whole = np.fft.fftn(x, axes=axes)
            np.testing.assert_allclose(transforms.mirror(whole[:, : size // 2 + 1], axes, size), whole, atol=1e-13)
        h = (10 * rng.standard_normal(shape) + (5j if dtype in "FD" else 0)).astype(dtype)
        fun = functools.partial(transforms.mirror, axes=axes, size=size)
        (aval,) = fg.make_jaxpr(fun)(h).out_avals
        out = fun(h)
        assert (out.shape, out.dtype) == (aval.shape, aval.dtype)
        if dtype in "fdFD":
            ct = np.resize(np.exp(1j * np.arange(out.size)) if dtype in "FD" else np.arange(out.size), out.shape)
            ct = ct.astype(dtype)
            (h_bar,) = fg.linear_transpose(fun, h)(ct)
            tolerance = 1e-3 if dtype in "fF" else 1e-11
            assert np.isclose(np.sum(ct * out).real, np.sum(h_bar * h).real, tolerance)
            folded = transforms.fold(ct, axes)
            (back,) = fg.linear_transpose(functools.partial(transforms.fold, axes=axes), ct)(h)
            assert np.isclose(np.sum(folded * h).real, np.sum(back * ct).real, tolerance)
            np.testing.assert_array_equal(transforms.fold(out, axes), h)


def test_halves_of_large_arrays() -> None:
    """What is large enough by itself: no transform of complex numbers is left, and the results are NumPy's."""
    x, y = np.random.default_rng(0).standard_normal((2, 2 * transforms.MIRRORED))
    fun = lambda x: np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(y)))
    np.testing.assert_allclose(fg.jit(fun)(x), fun(x), atol=1e-12)
    text = fg.jit(fg.grad(lambda x: np.sum(fun(x) ** 2))).lower(x).as_text().partition("# optimised")[2]
    assert "= rfft" in text
    assert "= fft" not in text
    assert "mirror" not in text

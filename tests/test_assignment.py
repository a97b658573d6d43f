"""Assignment to traced arrays: NumPy's errors and ours, arguments, closures, threads, what is not followed.

Values, views and derivatives of whole programs are in ``test_assignment_programs``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.aliases import check_aliases

import fungrad as fg
from fungrad import errors

X = np.array([1.0, 2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)
HERE = os.path.basename(__file__)

RUNS: dict[str, Callable[[Any, Any], Any]] = {
    "plain": lambda f, x: f(x.copy()),
    "jvp": lambda f, x: fg.jvp(lambda y: f(y.copy()), (x,), (np.ones_like(x),))[0],
    "grad of jvp": lambda f, x: fg.vjp(lambda y: fg.jvp(lambda z: f(z.copy()), (y,), (np.ones_like(x),))[0], x)[0],
    "vmap": lambda f, x: fg.vmap(lambda y: f(y.copy()))(np.stack([x, x]))[0],
    "make_jaxpr": lambda f, x: fg.eval_jaxpr(fg.make_jaxpr(lambda y: f(y.copy()))(x), (), x)[0],
}
run_in_each = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


def _raises(kind: type[Exception], run: Callable[..., Any], write: Callable[[Any], Any], match: str, x: Any = M) -> str:
    def f(y: Any) -> Any:
        write(y)
        return y

    with pytest.raises(kind, match=match) as caught:
        run(f, x)
    return str(caught.value)


def _set(key: Any, value: Any) -> Callable[[Any], None]:
    def write(y: Any) -> None:
        y[key] = value

    return write


# NumPy's errors

WRONG = {
    "shape": (ValueError, _set(slice(None), np.ones(2)), r"could not broadcast input array from shape \(2,\)"),
    "shape of a slice": (ValueError, _set((0, slice(1, None)), np.ones(3)), r"from shape \(3,\) into shape \(2,\)"),
    "too many axes": (ValueError, _set(0, np.ones((2, 3))), r"from shape \(2,3\) into shape \(3,\)"),
    "a vector into an element": (ValueError, _set((0, 0), np.ones(3)), "sequence|could not broadcast"),
    "integer": (IndexError, _set(2, 0.0), "index 2 is out of bounds for axis 0 with size 2"),
    "negative integer": (IndexError, _set((0, -4), 0.0), "index -4 is out of bounds for axis 1 with size 3"),
    "integer array": (IndexError, _set([0, 5], 0.0), "index 5 is out of bounds"),
    "too many indices": (IndexError, _set((0, 0, 0), 0.0), "too many indices"),
    "mask": (IndexError, _set(np.array([True, False, True]), 0.0), "boolean index did not match"),
    "float index": (IndexError, _set(1.0, 0.0), "only integers, slices"),
    "two ellipses": (IndexError, _set((..., ...), 0.0), "single ellipsis"),
    "text": (ValueError, _set(0, "a"), "could not convert string|expected a number"),
    "put": (IndexError, lambda y: np.put(y, [9], 0.0), "out of bounds"),
    "put mode": (ValueError, lambda y: np.put(y, [0], 0.0, mode="bend"), "clipmode"),
    "place nothing": (ValueError, lambda y: np.place(y, y > 0 if isinstance(y, np.ndarray) else M > 0, []), "empty"),
    "put_along_axis": (ValueError, lambda y: np.put_along_axis(y, np.array([0]), 0.0, 1), "same number of dimensions"),
    "fill_diagonal": (ValueError, lambda y: np.fill_diagonal(y[0], 0.0), "at least 2-d"),
    "copyto": (ValueError, lambda y: np.copyto(y, np.ones(2)), "could not broadcast"),
    "copyto casting": (TypeError, lambda y: np.copyto(y, np.ones(3, complex)), "Cannot cast"),
    "+= shape": (ValueError, lambda y: y[0].__iadd__(np.ones((2, 3))), "non-broadcastable output operand"),
    "+= complex": (TypeError, lambda y: y.__iadd__(1j * np.ones(3)), "cast"),
    "read-only": (ValueError, lambda y: _set(0, 1.0)(np.broadcast_to(y, (4, 2, 3))), "read-only"),
    "read-only +=": (ValueError, lambda y: np.broadcast_to(y, (4, 2, 3)).__iadd__(1.0), "read-only"),
    "read-only diagonal": (ValueError, lambda y: _set(0, 1.0)(np.diagonal(y)), "read-only"),
    "out shape": (ValueError, lambda y: np.add(y, y, out=y[0]), "non-broadcastable|broadcast"),
    "delete": (ValueError, lambda y: y.__delitem__(0), "cannot delete array elements"),
}


@pytest.mark.parametrize("name", WRONG)
@run_in_each
def test_numpys_errors(run: Any, name: str) -> None:
    """What is wrong without tracing is wrong with it, of the same class and in the same words."""
    kind, write, match = WRONG[name]
    _raises((TypeError, ValueError) if name == "text" else kind, run, write, match)


def test_casting() -> None:
    """Into integers a plain value is cut as NumPy does it; a traced one would lose its derivative."""

    def into_integers(x: Any) -> Any:
        n = np.zeros_like(x, dtype=int)
        n[0] = x[1] * 1.5  # as int(x): no derivative, as a step function has none
        return n[0] * x.sum()

    np.testing.assert_array_equal(fg.grad(into_integers)(X), [3.0, 3.0, 3.0])
    with pytest.raises(TypeError, match="plain array of int64"):
        fg.grad(lambda x: (_set(slice(None), x)(np.zeros_like(x, dtype=int)), x.sum())[1])(X)

    def mapped(x: Any) -> Any:
        n = (x > 1.5).astype(int)
        n[0] = x[1]
        return n

    with pytest.raises(errors.ConcretizationTypeError, match=r"cut to int64 and lose its derivative.*zeros_like"):
        fg.vmap(mapped)(np.stack([X, X]))
    for value in (1j, np.ones(3, complex)):
        with pytest.raises(TypeError, match="complex"):
            fg.grad(lambda x, v=value: (_set(slice(None), v)(y := x.copy()), y.sum())[1])(X)
    np.testing.assert_array_equal(
        fg.jvp(lambda x: (_set(0, 7)(y := x.copy()), y)[1], (X.astype(np.float32),), (np.ones(3, np.float32),))[0],
        np.array([7, 2, 3], np.float32),
    )

    def into_complex(x: Any) -> Any:
        z = np.zeros_like(x, dtype=complex)
        z[:] = x
        z.imag = 2 * x
        z.real[1:] *= 3.0
        return z

    value, pushed = fg.jvp(into_complex, (X,), (np.ones(3),))
    np.testing.assert_array_equal(value, [1 + 2j, 6 + 4j, 9 + 6j])
    np.testing.assert_array_equal(pushed, [1 + 2j, 3 + 2j, 3 + 2j])
    np.testing.assert_array_equal(fg.vmap(into_complex)(X[None])[0], value)
    with pytest.raises(TypeError, match="imaginary part"):
        fg.grad(lambda x: setattr(x, "imag", 1.0))(X)


# Arguments and results


@run_in_each
def test_an_argument_that_is_assigned_to(run: Any) -> None:
    """The function sees its own change; the caller's array stays, and the derivative is that of what was passed."""

    def f(x: Any) -> Any:
        x[0] = 5.0 * x[1]
        x *= x
        return x

    x = X.copy()
    np.testing.assert_array_equal(run(f, x), [100.0, 4.0, 9.0])
    np.testing.assert_array_equal(x, X)
    for transform in (fg.grad(lambda x: f(x).sum()), fg.jacrev(f), fg.jacfwd(f)):
        transform(x)
        np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(fg.grad(lambda x: f(x).sum())(x), [0.0, 104.0, 6.0])
    np.testing.assert_array_equal(fg.hessian(lambda x: f(x).sum())(x), np.diag([0.0, 52.0, 2.0]))


def test_a_result_that_is_returned_twice() -> None:
    """Both are what it is at the end; what was computed before keeps its value."""

    def f(x: Any) -> Any:
        y = x.copy()
        before = y * 1.0
        z = y
        y[0] = x[1] * x[2]
        return y, z, before, (y, y[0])

    value, pull = fg.vjp(f, X)
    np.testing.assert_array_equal(value[0], [6.0, 2.0, 3.0])
    np.testing.assert_array_equal(value[1], value[0])
    np.testing.assert_array_equal(value[2], X)
    assert value[3][1] == 6.0
    one = np.ones(3)
    np.testing.assert_array_equal(pull((one, one, one, (one, 1.0)))[0], [1.0, 1.0 + 3 + 4 * 3, 1.0 + 3 + 4 * 2])


def test_results_of_transforms_are_the_users() -> None:
    """Writing into a result does not change what a pullback or a second call gives."""

    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[1:] = x[:-1] ** 2
        return y

    value, pull = fg.vjp(f, X)
    first = pull(np.ones(3))[0].copy()
    value[:] = 99.0
    pull(np.ones(3))[0][:] = 7.0
    np.testing.assert_array_equal(pull(np.ones(3))[0], first)
    np.testing.assert_array_equal(first, [2.0, 4.0, 0.0])


# Closures: a constant of an inner transform is what it is when it is used


def test_a_constant_that_is_assigned_to_afterwards() -> None:
    """vjp, linearize, make_jaxpr and vmap keep the array that they have seen."""

    def outer(x: Any) -> Any:
        c = x.copy()
        one = np.ones(3)
        _, pull = fg.vjp(lambda y: y * c, one)
        _, push = fg.linearize(lambda y: y * c * c, one)
        closed = fg.make_jaxpr(lambda y: y + c)(one)
        mapped = fg.vmap(lambda y: y * c)(np.ones((2, 3)))
        c[:] = 100.0
        c += x
        return [pull(one)[0], push(one), fg.eval_jaxpr(closed, (), one)[0], mapped[1]]

    value, pushed = fg.jvp(outer, (X,), (np.ones(3),))
    for a, b in zip(value, [X, X**2, X + 1, X], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(pushed, [1.0, 2 * X, 1.0, 1.0], strict=True):
        np.testing.assert_array_equal(a, np.broadcast_to(b, 3))
    for a, b in zip(fg.vmap(outer)(np.stack([X, 2 * X])), [X, X**2, X + 1, X], strict=True):
        np.testing.assert_array_equal(a[0], b)


def test_each_use_of_a_constant_sees_its_own_value() -> None:
    """Between two uses of one array in one recording it is assigned to."""
    c = np.ones(3)

    def f(y: Any) -> Any:
        a = y * c
        c[0] = 5.0
        return a + y * c

    def outer(x: Any) -> Any:
        d = x.copy()

        def inner(y: Any) -> Any:
            a = y * d
            d[0] = 10.0
            return (a + y * d).sum()

        return fg.grad(inner)(np.ones(3))

    np.testing.assert_array_equal(fg.vjp(f, X)[1](np.ones(3))[0], [6.0, 2.0, 2.0])
    value, pushed = fg.jvp(outer, (X,), (np.ones(3),))
    np.testing.assert_array_equal(value, [11.0, 4.0, 6.0])
    np.testing.assert_array_equal(pushed, [1.0, 2.0, 2.0])


def test_an_outer_buffer_filled_inside_an_inner_transform() -> None:
    """It would hold tracers of the inner recording after its end: their use is an error, never a wrong number."""

    def outer(x: Any) -> Any:
        buffer = np.zeros_like(x)

        def inner(y: Any) -> Any:
            buffer[0] = y * x[0]
            return buffer[0] * y

        g = fg.grad(inner)(2.0)
        return g + buffer.sum()

    with pytest.raises(errors.UnexpectedTracerError, match="leaked|left that function|after the recording"):
        fg.grad(outer)(X)

    def derivative_only(x: Any) -> Any:
        buffer = np.zeros_like(x)

        def inner(y: Any) -> Any:
            buffer[0] = y * x[0]
            return buffer[0] * y

        return fg.grad(inner)(2.0)

    np.testing.assert_array_equal(fg.grad(derivative_only)(X), [4.0, 0.0, 0.0])


def test_a_plain_array_of_outside_is_not_written_to() -> None:
    """Not even where only the value would be lost."""
    z = np.zeros(3)

    def f(x: Any) -> Any:
        z[0] = x[0]
        return x.sum()

    with pytest.raises((TypeError, ValueError)) as caught:
        fg.grad(f)(X)
    text = str(caught.value) + str(caught.value.__cause__)
    assert "z[i] = x into a plain NumPy array" in text
    assert f"{HERE}:{f.__code__.co_firstlineno + 1}" in text
    np.testing.assert_array_equal(z, np.zeros(3))


def test_threads() -> None:
    """Each fills its own buffers."""
    found: dict[int, Any] = {}

    def f(x: Any, n: int) -> Any:
        y = np.zeros_like(x)
        for i in range(n):
            y[i % 3] += x[(i + 1) % 3] * i
            row = y[1:]
            row *= 1.0 + x[0]
        return y.sum()

    def work(n: int) -> None:
        found[n] = [fg.grad(f)(X, n) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, gradients in found.items():
        for g in gradients:
            np.testing.assert_array_equal(g, fg.grad(f)(X, n))
    assert len(found) == 6


# Views and new arrays of single functions, beyond those of the probes

NEW: dict[str, Callable[[Any], Any]] = {
    "concatenate of one": lambda x: np.concatenate([x]),
    "hstack of one": lambda x: np.hstack([x]),
    "vstack of one": lambda x: np.vstack([x]),
    "dstack of one": lambda x: np.dstack([x]),
    "block of one": lambda x: np.block([x]),
    "block": lambda x: np.block(x),
    "astype": lambda x: x.astype(float),
    "astype without copy": lambda x: x.astype(float, copy=False),
    "flatten": lambda x: x.flatten(),
    "flatten T": lambda x: x.T.flatten(),
    "flatten a vector": lambda x: x[0].flatten(),
    "reshape with copy": lambda x: np.reshape(x, (6,), copy=True),
    "reshape to itself with copy": lambda x: x.reshape(2, 3, copy=True),
    "sum over nothing": lambda x: np.sum(x, axis=()),
    "reduce over nothing": lambda x: np.multiply.reduce(x, axis=()),
    "accumulate": lambda x: np.add.accumulate(x[:1], axis=0),
    "fftshift": lambda x: np.fft.fftshift(x[:1, :1]),
    "conj method": lambda x: x.conj(),
    "conj": lambda x: np.conj(x),
    "positive": lambda x: +x,
    "real": lambda x: x.real,
    "real_if_close": lambda x: np.real_if_close(x),
    "einsum transpose": lambda x: np.einsum("ij->ji", x),
    "einsum itself": lambda x: np.einsum("ij->ij", x),
    "einsum diagonal": lambda x: np.einsum("ii->i", x[:, :2]),
    "einsum sum": lambda x: np.einsum("ij->i", x),
    "diag of a matrix": lambda x: np.diag(x),
    "linalg.diagonal": lambda x: np.linalg.diagonal(x),
    "sliding windows": lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1),
    "atleast_1d": lambda x: np.atleast_1d(x),
    "atleast_2d": lambda x: np.atleast_2d(x[0]),
    "atleast_3d": lambda x: np.atleast_3d(x),
    "meshgrid": lambda x: np.meshgrid(x[0], x[1]),
    "meshgrid of one": lambda x: np.meshgrid(x[0]),
    "meshgrid views": lambda x: np.meshgrid(x[0], x[1], copy=False),
    "sparse meshgrid": lambda x: np.meshgrid(x[0], x[1], sparse=True),
    "sparse meshgrid views": lambda x: np.meshgrid(x[0], x[1], sparse=True, copy=False),
    "trim_zeros": lambda x: np.trim_zeros(x[1]),
    "squeeze": lambda x: np.squeeze(x),
    "clip": lambda x: np.clip(x, None, None) if np.__version__ > "2.1" else x.clip(-9.0),
    "diff of order 0": lambda x: np.diff(x, 0),
    "tile": lambda x: np.tile(x, 1),
    "rot90 by 4": lambda x: np.rot90(x, 4),
    "rot90": lambda x: np.rot90(x),
    "transpose of a vector": lambda x: x[0].T,
    "where": lambda x: np.where(np.ones((2, 3), bool), x, 0.0),
    "matrix_power": lambda x: np.linalg.matrix_power(x[:, :2], 1),
    "unstack": lambda x: [x[0], *x],
    "flat": lambda x: x.flat[:],
    "a mask": lambda x: x[np.ones((2, 3), bool)],
    "True": lambda x: x[True],
}


@pytest.mark.filterwarnings("ignore:Numpy has detected:DeprecationWarning")
@pytest.mark.parametrize("name", NEW)
def test_names_and_views(name: str) -> None:
    """The result is a view where NumPy's is, and else an array of its own, also if nothing was to be done."""
    check_aliases(NEW[name], [M + 1.0])


def test_parts_of_complex_arrays_are_views() -> None:
    """Assignment to z.real and z.imag, also through views of them."""
    z = np.array([1 + 2j, 3 - 1j, 0.5 + 0j])
    for fun in (lambda z: z.real, lambda z: z.imag, lambda z: z[1:].real[::-1], lambda z: np.imag(z)[:2], np.conj):
        check_aliases(fun, [z])


def test_a_view_follows_its_array() -> None:
    """Read-only views and parts too."""

    def f(x: Any) -> Any:
        y = np.outer(x, x) + 0j
        shown = [np.diagonal(y), y.real, y.imag, np.broadcast_to(y, (2, 3, 3)), np.einsum("ij->ji", y), y.flat]
        y[0, 0] = 5.0 * x[1]
        y.imag[1] = x
        return [*[v * 1.0 for v in shown[:-1]], y.copy().flat[3]]

    expected = f(X)
    for run in RUNS.values():
        if run is not RUNS["grad of jvp"]:
            flat = lambda x: np.concatenate([np.ravel(v) for v in f(x)])
            np.testing.assert_array_equal(run(flat, X), np.concatenate([np.ravel(v) for v in expected]))


NUMBERS: dict[str, Callable[[Any], Any]] = {
    "a sum": lambda x: np.sum(x),
    "an element": lambda x: x[0],
    "a part without axes": lambda x: x[0, ...],
    "reshaped": lambda x: x[:1].reshape(()),
    "squeezed": lambda x: np.squeeze(x[1:2]),
    "a mean": lambda x: np.mean(x[:2]),
}

SHOWN: dict[str, Callable[[Any], Any]] = {
    "[None]": lambda s: s[None],
    "reshape": lambda s: s.reshape(1),
    "atleast_1d": lambda s: np.atleast_1d(s),
    "reshape twice": lambda s: s.reshape(1, 1).reshape(-1),
    "T": lambda s: s[None].T,
}


@pytest.mark.parametrize("shown", list(SHOWN))
@pytest.mark.parametrize("number", list(NUMBERS))
def test_views_of_what_has_no_axes(number: str, shown: str) -> None:
    """NumPy's numbers are copied into arrays; parts of arrays without axes are views."""

    def f(x: Any) -> Any:
        y = x * 1.0
        s = NUMBERS[number](y)
        v = SHOWN[shown](s)
        v *= x[2]
        return [y, s * 1.0, v]

    expected = np.concatenate([np.ravel(v) for v in f(X)])
    for run in RUNS.values():
        if run is not RUNS["grad of jvp"]:
            flat = lambda x: np.concatenate([np.ravel(v) for v in f(x)])
            np.testing.assert_array_equal(run(flat, X), expected)

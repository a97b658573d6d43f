"""Arrays that NumPy builds from traced numbers: object arrays, which work element by element and are joined later.

    np.array([x[0] ** 2, x[1]])         an array of objects, each a traced scalar
    its next meeting with an operation of fungrad, or its return from the function: one traced array

What NumPy cannot do to objects raises, what it would do wrongly is refused.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.probe import FAILED, LOOP, Probe, judge

import fungrad as fg
from fungrad import errors
from fungrad.core.trace import OBJECTS, Recording

X = np.array([0.3, 0.7, 1.1])
W = np.array([1.3, 0.4, 2.1])
A3 = np.arange(9.0).reshape(3, 3) + 5 * np.eye(3)
HERE = os.path.basename(__file__)


def _objects(x: Any) -> Any:
    return np.array([x[0] ** 2, x[1], x[2] * x[0]])


def _times(o: Any, v: Any) -> Any:
    o *= v
    return o


BUILT: dict[str, Callable[[Any], Any]] = {
    "list": _objects,
    "with numbers": lambda x: np.array([x[0], 1.0, 2]),
    "nested": lambda x: np.array([[x[0], x[1]], [1.0, x[2] * x[0]]]),
    "rows": lambda x: np.array([x, x * x]),
    "rows of both kinds": lambda x: np.array([x, [1.0, 2.0, 3.0]]),
    "tuple": lambda x: np.array((x[0], (x * x)[1])),
    "array of one number": lambda x: np.array(x[0]),
    "asarray": lambda x: np.asarray(x),
    "asarray of a list": lambda x: np.asarray([x[0], x[1] * 2]),
    "array": lambda x: np.array(x),
    "ascontiguousarray": lambda x: np.ascontiguousarray(x),
    "require": lambda x: np.require(x),
    "sum of a list": lambda x: np.sum([x[0], x[1], x[0]]),
    "prod of a list": lambda x: np.prod([x[0], x[1], x[0]]),
    "max of a list": lambda x: np.max([x[0], x[1]]),
    "dot of lists": lambda x: np.dot([x[0], x[1]], [x[1], 2.0]),
    "sin of a list": lambda x: np.sin([x[0], x[1]]),
    "vectorize": lambda x: np.vectorize(lambda v: v * v)(x),
    "vectorize two": lambda x: np.vectorize(lambda v, w: np.sin(v) * w)(x, W),
    "vectorize branches": lambda x: np.vectorize(lambda v: v * v if v > 0.5 else v * 3)(x),
    "r_": lambda x: np.r_[x, 0.0, x[0]],
    "c_": lambda x: np.c_[x, x * 2],
    "full": lambda x: np.full((2, 3), x),
    "fromfunction": lambda x: np.fromfunction(lambda i: x * i, (3,)),
    "plain.dot": lambda x: A3.dot(x),
    "poly1d": lambda x: np.poly1d(x)(2.0),
    "Polynomial": lambda x: np.polynomial.Polynomial(x)(2.0),
    "ndenumerate": lambda x: sum(v * (i[0] + 1) for i, v in np.ndenumerate(x)),
    "a loop": lambda x: np.array([np.sin(v) + i for i, v in enumerate(x)]),
    "a comprehension of rows": lambda x: np.array([[v * w for w in x] for v in x]),
}

USED: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda o, x: o + x,
    "reflected +": lambda o, x: x + o,
    "plain +": lambda o, x: W + o,
    "-": lambda o, x: 2.0 - o,
    "*": lambda o, x: o * x * o,
    "/": lambda o, x: x / o,
    "**": lambda o, x: o**2 + 2.0**o + o**x,
    "@ vector": lambda o, x: o @ x,
    "@ plain": lambda o, x: o @ W + W @ o,
    "@ matrix": lambda o, x: A3 @ o,
    "neg and abs": lambda o, x: abs(-o),
    "outer": lambda o, x: np.outer(o, x),
    "kron": lambda o, x: np.kron(x, o),
    "inner": lambda o, x: np.inner(o, x),
    "cross": lambda o, x: np.cross(o, x),
    "einsum": lambda o, x: np.einsum("i,j->ij", o, x),
    "tensordot": lambda o, x: np.tensordot(x, o, 0),
    "convolve": lambda o, x: np.convolve(o, x),
    "concatenate": lambda o, x: np.concatenate([o, x]),
    "stack": lambda o, x: np.stack([x, o]),
    "where": lambda o, x: np.where(X > 0.5, o, x),
    "where of its values": lambda o, x: np.where(o > 0.4, o, 0.0),
    "its mask": lambda o, x: o[o > 0.25] * 2,
    "arctan2": lambda o, x: np.arctan2(o, W) + np.hypot(o, W),
    "maximum": lambda o, x: np.maximum(o, 0.4) + np.minimum(o, x),
    "maximum of constants": lambda o, x: np.maximum(o, 5.0) * x,
    "functions": lambda o, x: np.sin(o) + np.exp(o) * np.log(o) + np.sqrt(o) - np.tanh(o) + np.log1p(o) + np.cbrt(o),
    "clip": lambda o, x: np.clip(o, 0.2, 0.5),
    "sum": lambda o, x: o.sum() + np.sum(o),
    "prod": lambda o, x: np.prod(o),
    "max": lambda o, x: o.max() - np.min(o) + np.ptp(o),
    "cumsum": lambda o, x: np.cumsum(o) + np.cumprod(o),
    "sort": lambda o, x: np.sort(o),
    "norm": lambda o, x: np.linalg.norm(o),
    "trapezoid": lambda o, x: np.trapezoid(o),
    "diff": lambda o, x: np.diff(o),
    "shapes": lambda o, x: np.pad(np.tile(o.reshape(1, 3).T, 2), 1),
    "assigned to": lambda o, x: (o.__setitem__(0, x[2]), o)[1],
    "into a buffer": lambda o, x: (z := np.zeros_like(x), z.__setitem__(slice(None), o), z)[2],
    "into a part of a buffer": lambda o, x: (z := np.ones_like(x), z[1:].__iadd__(o[:2]), z)[2],
    "put": lambda o, x: (z := np.ones_like(x), np.put(z, [2, 0], o[:2]), z)[2],
    "asarray": lambda o, x: np.asarray(o) * 2,
    "tolist": lambda o, x: o.tolist(),
    "+= a traced number": lambda o, x: (o[1:].__setitem__(0, x[0] * 3), _times(o[:2], x[1]), o)[2],
    "a pytree": lambda o, x: {"a": (o, [x]), "b": o[0]},
    "sum of Python": lambda o, x: sum(o) + max(o),
    "float32": lambda o, x: fg.numpy.asarray(o) * np.float32(2),
}


@pytest.mark.parametrize("name", BUILT)
def test_built(name: str) -> None:
    """Value, shape and dtype are NumPy's, both modes agree with differences, and vmap is a loop where it can be."""
    verdict = judge(name, Probe(BUILT[name], ((3,),), (0.3, 0.9)))
    assert verdict.kind != FAILED, verdict.fault
    assert verdict.kind == "differentiates", verdict
    assert verdict.vmap == LOOP or name in ("max of a list", "vectorize branches", "poly1d"), verdict


@pytest.mark.parametrize("name", USED)
def test_used(name: str) -> None:
    """So it is for what is done to arrays of traced numbers, alone and beside a traced array."""
    needs_values = {"where of its values", "its mask", "maximum", "maximum of constants", "clip", "max", "sort"}
    verdict = judge(name, Probe(lambda x: USED[name](_objects(x), x), ((3,),), (0.3, 0.9)))
    assert verdict.kind == "differentiates", verdict
    assert verdict.vmap == LOOP or name in needs_values | {"sum of Python"}, verdict


def test_results_of_every_transform() -> None:
    """They are joined where the function returns."""
    tangent = np.array([0.5, -0.2, 1.0])
    expected = fg.jacfwd(lambda x: np.stack([x[0] ** 2, x[1], x[2] * x[0]]))(X)
    np.testing.assert_array_equal(fg.jacfwd(_objects)(X), expected)
    np.testing.assert_array_equal(fg.jacrev(_objects)(X), expected)
    np.testing.assert_array_equal(fg.vjp(_objects, X)[1](tangent)[0], tangent @ expected)
    np.testing.assert_allclose(fg.linearize(_objects, X)[1](tangent), expected @ tangent)
    np.testing.assert_array_equal(fg.vmap(_objects)(np.stack([X, W])), np.stack([_objects(X), _objects(W)]))
    closed = fg.make_jaxpr(_objects)(X)
    fg.check_jaxpr(closed)
    assert closed.out_avals == (fg.ShapedArray((3,), np.float64),)
    np.testing.assert_array_equal(fg.eval_jaxpr(closed, (), X)[0], _objects(X))
    np.testing.assert_array_equal(fg.hessian(lambda x: np.sum(_objects(x)))(X), [[2, 0, 1], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(fg.vmap(fg.jacrev(_objects))(X[None])[0], expected)
    np.testing.assert_array_equal(fg.grad(lambda x: fg.vmap(_objects)(x[None]).sum())(X), expected.sum(0))
    _, aux = fg.grad(lambda x: (x.sum(), x[0] * 1.0), has_aux=True)(X)
    assert aux == X[0]


def test_asarray_is_followed() -> None:
    """In NumPy np.asarray(x) is x: assignment to x changes it, assignment to it is refused; np.array is a copy."""

    def f(x: Any) -> Any:
        y = x.copy()
        same, copied = np.asarray(y), np.array(y)
        y[0] = 5.0 * x[1]
        y[1:] *= 2.0
        return same * 1.0, copied * 1.0, same[1:] * 1.0

    for a, b in zip(fg.vjp(f, X)[0], f(X), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(fg.vmap(f)(X[None])[0][0], f(X)[0])

    def writes(x: Any) -> Any:
        y = np.asarray(x)
        y[0] = 0.0
        return x.sum()

    with pytest.raises(ValueError, match="read-only"):
        fg.grad(writes)(X)

    def into_a_copy(x: Any) -> Any:
        y = np.array(x)
        y[0] = 7.0
        y[1:] *= x[0]
        return y.sum() + x.sum()

    np.testing.assert_allclose(fg.grad(into_a_copy)(X), [1.0 + X[1] + X[2], 1.0 + X[0], 1.0 + X[0]])


# What is refused


def _refused(kind: Any, f: Callable[[Any], Any], match: str, x: Any = X) -> None:
    with pytest.raises(kind, match=match) as caught:
        fg.jvp(f, (x,), (np.ones_like(x),))
    assert HERE in str(caught.value)


def test_size() -> None:
    """Up to a few thousand elements one by one; above that the error names what makes one array of them."""
    x = np.linspace(0.0, 1.0, OBJECTS)
    np.testing.assert_array_equal(fg.grad(lambda x: np.asarray(x).sum())(x), np.ones(OBJECTS))
    large = np.linspace(0.0, 1.0, OBJECTS + 1)
    for f in (np.asarray, np.array, lambda x: np.ones(x.size).dot(x), lambda x: np.array([x])):
        _refused(errors.TracerArrayConversionError, f, r"more than 4096.*fungrad\.numpy\.asarray or np\.stack", large)


def test_dtypes() -> None:
    """Every dtype but object is refused: NumPy would ask for plain numbers."""
    for dtype in (float, np.float32, complex, int, bool):
        _refused(TypeError, lambda x, d=dtype: np.asarray(x, dtype=d), "plain array of")
    _refused(errors.TracerArrayConversionError, lambda x: np.array([x[0]], dtype=float), r"fungrad\.numpy\.a")
    np.testing.assert_array_equal(fg.grad(lambda x: np.asarray(x, dtype=object).sum())(X), np.ones(3))
    _refused(errors.TracerArrayConversionError, lambda x: np.mean([x[0], x[1]]), "plain array of float64")
    _refused(errors.TracerArrayConversionError, lambda x: _objects(x).std(), "plain array of float64")


def test_complex_numbers() -> None:
    """The parts of an array of objects are wrong in NumPy, so that complex elements are not given to it."""
    for f in (np.asarray, lambda z: np.array([z[0], z[1]]), lambda z: np.sum([z[0], z[1]])):
        _refused(
            errors.TracerArrayConversionError, f, r"\.real and \.imag.*fungrad\.numpy\.asarray or np\.stack", X + 1j
        )
    np.testing.assert_array_equal(fg.jvp(lambda z: np.stack([z[0], z[1]]).imag, (X + 1j,), (X * 1j,))[1], X[:2])
    with pytest.raises(TypeError):  # zeros, which would be taken for the imaginary part
        fg.jvp(lambda x: (_objects(x) * 1j).imag, (X,), (X,))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.random.default_rng(0).normal(x),
        lambda x: np.random.normal(x[0]),
        lambda x: np.random.default_rng(0).uniform(0.0, x),
        lambda x: np.random.default_rng(0).poisson(x),
        lambda x: np.random.default_rng(0).choice(3, p=x),
    ],
    ids=["normal", "np.random.normal", "uniform", "poisson", "choice"],
)
def test_random_numbers(f: Callable[[Any], Any]) -> None:
    """A draw is no differentiable function of its parameters."""
    _refused(TypeError, f, "derivative would be lost|drop its derivative")


def test_random_numbers_that_are_right() -> None:
    """NumPy adds the mean after it has drawn; a permutation in place of what np.asarray gives is refused."""
    f = lambda x: np.random.default_rng(0).multivariate_normal(x, np.eye(3))
    np.testing.assert_array_equal(fg.jacfwd(f)(X), np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        fg.grad(lambda x: np.random.default_rng(0).permutation(x).sum())(X)
    order = np.random.default_rng(0).permutation(3)
    np.testing.assert_array_equal(fg.grad(lambda x: (x[order] * W).sum())(X)[order], W)


@pytest.mark.parametrize("name", ["sin", "sqrt", "exp", "lgamma", "erf", "hypot", "isclose", "fsum", "dist", "prod"])
def test_math(name: str) -> None:
    """Python's functions of floats; math.prod multiplies and is right."""

    def f(x: Any) -> Any:
        fun = getattr(math, name)
        if name in ("fsum", "prod"):
            return fun(x)
        return fun(x, x) if name == "dist" else fun(x[0], x[1]) if name in ("hypot", "isclose") else fun(x[0])

    if name == "prod":
        np.testing.assert_allclose(fg.grad(f)(X), np.prod(X) / X)
    else:
        _refused(errors.ConcretizationTypeError, f, r"use np\.sin, np\.exp")


def test_numpys_testing() -> None:
    """What is equal passes or is refused; what is not never passes."""
    for check in (
        np.testing.assert_allclose,
        np.testing.assert_array_equal,
        np.testing.assert_equal,
        np.testing.assert_almost_equal,
        np.testing.assert_array_almost_equal,
    ):
        with pytest.raises((AssertionError, TypeError, ValueError)):
            fg.grad(lambda x, check=check: (check(x, x + 1), x.sum())[1])(X)
    np.testing.assert_array_equal(fg.grad(lambda x: (np.testing.assert_array_equal(x, X), x.sum())[1])(X), np.ones(3))


@pytest.mark.parametrize("name", ["det", "inv", "eigvalsh", "svd", "cholesky", "solve", "qr", "matrix_rank", "lstsq"])
def test_linear_algebra_of_objects(name: str) -> None:
    """NumPy's C functions refuse objects; one traced array made before works."""

    def f(x: Any, join: Callable[[Any], Any]) -> Any:
        a = join(np.array([[x[0] + 2, x[1]], [x[1], x[2] + 2]]))
        fun = getattr(np.linalg, name)
        out = fun(a, np.ones(2)) if name in ("solve", "lstsq") else fun(a)
        return np.ravel(out[0] if isinstance(out, tuple) else out).sum()

    with pytest.raises((TypeError, ValueError)):
        fg.grad(lambda x: f(x, lambda a: a))(X)
    if name not in ("matrix_rank", "lstsq"):
        joined = fg.grad(lambda x: f(x, lambda a: a + 0.0 * x[0]))(X)
        stacked = fg.grad(lambda x: f(x, lambda a: np.stack([np.stack(list(row)) for row in a])))(X)
        np.testing.assert_allclose(joined, stacked)
        assert np.any(joined)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.fft.fft(_objects(x)),
        lambda x: np.interp(_objects(x), [0.0, 1.0], [0.0, 2.0]),
        lambda x: np.isnan(_objects(x)),
        lambda x: np.copysign(_objects(x), W),
        lambda x: np.logaddexp(_objects(x), W),
        lambda x: np.bincount([0, 1, 1], _objects(x)),
        lambda x: _objects(x).astype(float),
        lambda x: float(np.array(x[0])),
        lambda x: np.ones(3).__setitem__(slice(None), _objects(x)),
        lambda x: np.array([1, 0, 2]) * _objects(x).imag,
        lambda x: np.array([x, x[:2]]),
        lambda x: np.save(os.devnull, _objects(x)),
    ],
    ids="fft interp isnan copysign logaddexp bincount astype float setitem imag ragged save".split(),  # noqa: SIM905
)
def test_what_numpy_does_not_do_to_objects(f: Callable[[Any], Any]) -> None:
    """An error of NumPy's or ours; never numbers without their derivative."""
    with pytest.raises((TypeError, ValueError)):
        fg.jvp(f, (X,), (X,))


def test_scipy_on_objects() -> None:
    """Its C functions refuse them."""
    special, linalg = pytest.importorskip("scipy.special"), pytest.importorskip("scipy.linalg")
    for f in (
        lambda x: special.erf(_objects(x)),
        lambda x: special.gammaln(_objects(x)),
        lambda x: linalg.solve(A3, x),
        lambda x: linalg.inv(np.outer(x, x)),
        lambda x: linalg.expm(np.outer(x, x)),
    ):
        with pytest.raises((TypeError, ValueError)):
            fg.jvp(f, (X,), (X,))


def test_indexing_with_a_traced_array() -> None:
    """plain[i] asks for an index: the error names fungrad.numpy.take, for reading and for writing."""
    _refused(errors.TracerIntegerConversionError, lambda x: A3[x], r"fungrad\.numpy\.take\(plain, x\)")
    for f in (lambda i: X[i], lambda i: A3[0, i], lambda i: A3[i, 0], lambda i: W.copy().__setitem__(0, X[i])):
        with pytest.raises((errors.TracerIntegerConversionError, IndexError)):
            fg.vmap(f)(np.array([2, 0]))
    with pytest.raises(errors.TracerIntegerConversionError, match=r"fungrad\.numpy\.take\(plain, x\)"):
        fg.vmap(lambda i: X[i])(np.array([2, 0]))


def test_constants_of_objects_are_refused() -> None:
    """Should an array of objects get into a recording, that is an error and not a lost derivative."""
    with pytest.raises(errors.TracerArrayConversionError, match="array of objects became the constant"):
        Recording(False, "test", len).constants.take(np.array([1.0, 2.0], object))

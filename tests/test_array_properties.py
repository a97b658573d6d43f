"""Properties over drawn shapes, axes, keepdims and dtypes: 0-d, zero-size and broadcast operands among them.

Each test draws calls of one family of NumPy functions. Of each call: the value, shape and dtype are NumPy's, with
values and on types alone, and so is the class of the error if NumPy raises one; the jvp agrees with differences; the
vjp is its transpose; the second derivative is symmetric; and vmap is a loop, whatever the axes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from catalogue.cases import assert_close, inexact_leaves, pairing, random_like
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fungrad as fg
from fungrad import tree
from fungrad.testing import numerical_jvp

Fun = Callable[..., Any]

TOLERANCE = {"e": 4e-3, "f": 2e-5, "d": 1e-12, "g": 1e-12, "F": 2e-5, "D": 1e-12}
ERRORS = (ValueError, TypeError, IndexError, ZeroDivisionError, np.linalg.LinAlgError)

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
SEEDS = st.integers(0, 10**6)
DTYPES = st.sampled_from("ddddefgFD")


def examples(number: int) -> Any:
    """How many calls to draw."""
    return settings(max_examples=number)


def operands(shapes: Any, dtype: str, seed: int, domain: tuple[float, float] = (0.2, 0.9)) -> tuple[Any, ...]:
    """Operands whose elements are further apart from each other than any difference step."""
    rng = np.random.default_rng(seed)
    sizes = [math.prod(s) for s in shapes]
    total = sum(sizes)
    places = (rng.permutation(total) + rng.uniform(0.3, 0.7, total)) / max(total, 1)
    xs = []
    for shape, place in zip(shapes, np.split(places, np.cumsum(sizes)[:-1]), strict=True):
        x = (domain[0] + (domain[1] - domain[0]) * place).reshape(shape)
        xs.append((x + 1j * rng.uniform(0.1, 0.7, shape) if dtype in "FD" else x).astype(dtype)[()])
    return tuple(xs)


def reverse(x: Any) -> Any:
    """Another example of the same type."""
    return x[::-1].copy() if np.ndim(x) else x * x.dtype.type(0.9)


def scale(x: Any) -> Any:
    """Another example of the same type, as regular a matrix as the first."""
    return x * x.dtype.type(0.9)


def check(
    fun: Fun, args: tuple[Any, ...], seed: int, derivative: bool = True, batched: bool = True, vary: Fun = reverse
) -> None:
    """All that must hold of a call."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = fun(*args)
        except ERRORS as error:
            check_error(fun, args, type(error), batched)
            return
        dtype = max((np.asarray(x).dtype for x in args), key=lambda d: d.itemsize).char
        check_value(fun, args, expected, TOLERANCE.get(dtype, 1e-12), batched)
        if derivative and all(np.asarray(x).dtype.char in "dD" for x in args):
            check_derivatives(fun, args, np.random.default_rng(seed))
        if batched:
            check_vmap(fun, args, np.random.default_rng(seed), TOLERANCE.get(dtype, 1e-12), vary)


def check_error(fun: Fun, args: tuple[Any, ...], kind: type[Exception], batched: bool) -> None:
    """Where NumPy raises, so does fungrad: an error of that class, or NumPy's class is one of its own."""
    base = next(b for b in ERRORS if issubclass(kind, b))
    with pytest.raises(base):
        fg.vjp(fun, *args)
    if batched:
        with pytest.raises(base):
            fg.make_jaxpr(fun)(*args)


def check_value(fun: Fun, args: tuple[Any, ...], expected: Any, tolerance: float, batched: bool) -> None:
    """NumPy's values, shapes, dtypes, structure."""
    assert_close(fg.vjp(fun, *args)[0], expected, tolerance, "with values")
    if batched:
        closed, types = fg.make_jaxpr(fun, return_shape=True)(*args)
        for aval, y in zip(tree.leaves(types), tree.leaves(expected), strict=True):
            assert (aval.shape, aval.dtype) == (np.shape(y), np.asarray(y).dtype)
        values = tree.unflatten(tree.structure(types), fg.eval_jaxpr(closed, (), *args))
        assert_close(values, expected, tolerance, "on types alone")


def check_derivatives(fun: Fun, args: tuple[Any, ...], rng: np.random.Generator) -> None:
    """jvp against differences, vjp against jvp, and a symmetric second derivative."""

    def smooth(*xs: Any) -> list[Any]:
        return inexact_leaves(fun(*xs))

    u, v = (tuple([random_like(x, rng) for x in args]) for _ in range(2))
    value, pushed = fg.jvp(smooth, args, v)
    if not value or not all(np.isfinite(y).all() for y in value):
        return
    assert_close(pushed, numerical_jvp(smooth, args, v), 1e-6, "tangent")
    w = [random_like(y, rng) for y in value]
    (left, scale), (right, _) = pairing(pushed, w), pairing(v, fg.vjp(smooth, *args)[1](w))
    assert abs(left - right) <= 1e-10 * max(1.0, scale), "vjp is not the transpose of jvp"

    def pulled(*xs: Any) -> Any:
        return fg.vjp(smooth, *xs)[1](w)

    (left, scale), (right, _) = (pairing(fg.jvp(pulled, args, a)[1], b) for a, b in ((u, v), (v, u)))
    assert abs(left - right) <= 1e-9 * max(1.0, scale), "the second derivative is not symmetric"
    second = [np.asarray(x) for x in fg.jvp(pulled, args, u)[1]]
    assert_close([x[()] for x in second], list(numerical_jvp(pulled, args, u)), 1e-5, "second derivative")


def check_vmap(fun: Fun, args: tuple[Any, ...], rng: np.random.Generator, tolerance: float, vary: Fun) -> None:
    """vmap is a loop for some choice of the batch axes of operands and results."""
    batch = 2
    flags = [bool(rng.integers(2)) for _ in args]
    flags[rng.integers(len(args))] = True
    axes = [int(rng.integers(-np.ndim(x) - 1, np.ndim(x) + 1)) if f else None for x, f in zip(args, flags, strict=True)]
    rows = [args, tuple([vary(x) for x in args])]
    rows[1] = tuple([b if f else a for a, b, f in zip(args, rows[1], flags, strict=True)])
    loop = [fun(*xs) for xs in rows]
    out_axis = int(rng.integers(-1, 1))
    stacked = [np.stack(xs, a) if f else xs[0] for xs, a, f in zip(zip(*rows, strict=True), axes, flags, strict=True)]
    mapped = fg.vmap(fun, in_axes=tuple(axes), out_axes=out_axis, axis_size=batch)(*stacked)
    expected = tree.map(lambda *ys: np.stack(ys, out_axis), *loop)
    assert_close(mapped, expected, 10 * tolerance, f"vmap, in_axes={axes}, out_axes={out_axis}")


# Elementwise

UNARY = [
    np.sin, np.cos, np.tan, np.arcsin, np.arctan, np.sinh, np.tanh, np.arcsinh, np.arctanh, np.exp, np.expm1, np.exp2,
    np.log, np.log1p, np.log2, np.log10, np.sqrt, np.cbrt, np.square, np.reciprocal, np.negative, np.abs, np.conj,
    np.real,
    np.imag, np.angle, np.sinc, np.deg2rad, np.fabs, np.nan_to_num, np.positive, np.isfinite, np.floor, np.sign,
    np.modf,
    np.frexp, np.signbit, np.iscomplex,
]  # fmt: skip
BINARY = [
    np.add, np.subtract, np.multiply, np.divide, np.power, np.float_power, np.maximum, np.minimum, np.fmax, np.fmin,
    np.hypot, np.arctan2, np.logaddexp, np.logaddexp2, np.copysign, np.heaviside, np.less, np.equal, np.logical_and,
    np.isclose,
]  # fmt: skip


def name(fun: Any) -> str:
    """How a function is called in the report of a failure."""
    return getattr(fun, "__name__", repr(fun))


@examples(90)
@given(st.sampled_from(UNARY), SHAPES, DTYPES, SEEDS)
def test_unary(fun: Fun, shape: Any, dtype: str, seed: int) -> None:
    """Functions of one operand."""
    check(fun, operands([shape], dtype, seed), seed)


@examples(90)
@given(
    st.sampled_from(BINARY),
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3),
    DTYPES,
    DTYPES,
    SEEDS,
)
def test_binary(fun: Fun, shapes: Any, dtype: str, other: str, seed: int) -> None:
    """Functions of two operands that broadcast against each other, of two dtypes."""
    x, y = operands(shapes.input_shapes, dtype, seed)
    check(fun, (x, operands([shapes.input_shapes[1]], other, seed)[0] if other != dtype else y), seed)


@examples(20)
@given(st.sampled_from(BINARY[:6]), SHAPES, SHAPES, SEEDS)
def test_shapes_that_do_not_broadcast(fun: Fun, a: Any, b: Any, seed: int) -> None:
    """Most pairs of shapes are a ValueError."""
    check(fun, operands([a, b], "d", seed), seed)


@examples(30)
@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3), DTYPES, SEEDS)
def test_where_and_clip(shapes: Any, dtype: str, seed: int) -> None:
    """Three operands."""
    x, y, z = operands(shapes.input_shapes, dtype, seed)
    mask = np.abs(x) > 0.55
    check(lambda y, z: np.where(mask, y, z), (y, z), seed)
    if dtype not in "FD":
        check(np.clip, (x, np.minimum(y, z.dtype.type(0.5)), z), seed, derivative=False)


# Reductions

REDUCTIONS = [
    np.sum, np.prod, np.max, np.min, np.mean, np.std, np.var, np.ptp, np.any, np.all, np.nansum, np.nanprod, np.nanmax,
    np.nanmean, np.nanvar, np.count_nonzero, np.median, np.average,
]  # fmt: skip


@st.composite
def axes(draw: Any, rank: int) -> Any:
    """None, an integer, or a tuple of distinct axes; negative or not; now and then one that does not exist."""
    one = st.integers(-rank, rank) if draw(st.integers(0, 9)) == 0 or not rank else st.integers(-rank, rank - 1)
    if draw(st.booleans()):
        return draw(st.none() | one)
    chosen = draw(st.lists(st.integers(0, max(rank - 1, 0)), unique=True, max_size=rank))
    return tuple([k - rank if draw(st.booleans()) else k for k in chosen])


@examples(120)
@given(st.data(), st.sampled_from(REDUCTIONS), SHAPES, DTYPES, st.booleans(), SEEDS)
def test_reductions(data: Any, fun: Fun, shape: Any, dtype: str, keepdims: bool, seed: int) -> None:
    """Any axes, keepdims."""
    axis = data.draw(axes(len(shape)))
    more = {"keepdims": True} if keepdims else {}
    check(lambda x: fun(x, axis=axis, **more), operands([shape], dtype, seed), seed)


@examples(40)
@given(st.data(), st.sampled_from(["sum", "prod", "max", "min", "mean", "var", "any"]), SHAPES, DTYPES, SEEDS)
def test_reductions_with_a_mask(data: Any, fun: str, shape: Any, dtype: str, seed: int) -> None:
    """where= and, where there is no identity, initial=."""
    axis = data.draw(axes(len(shape)))
    (x,) = operands([shape], dtype, seed)
    mask = np.abs(x) > 0.5
    more = {"initial": 0.25} if fun in ("max", "min") else {}
    check(lambda x: getattr(np, fun)(x, axis=axis, where=mask, **more), (x,), seed)


@examples(60)
@given(
    st.sampled_from([np.cumsum, np.cumprod, np.sort, np.argsort, np.argmax, np.argmin, np.diff, np.nancumsum, np.flip]),
    SHAPES,
    st.integers(-3, 3) | st.none(),
    DTYPES,
    SEEDS,
)
def test_along_an_axis(fun: Fun, shape: Any, axis: Any, dtype: str, seed: int) -> None:
    """Accumulations, sorting and differences along one axis, or of the flattened array."""
    check(lambda x: fun(x, axis=axis), operands([shape], dtype, seed), seed)


QUANTILES = [np.quantile, np.nanquantile]


@examples(40)
@given(st.data(), st.sampled_from(QUANTILES), FULL_SHAPES, st.booleans(), st.sampled_from([0.0, 0.31, 0.5, 1.0]), SEEDS)
def test_quantiles(data: Any, fun: Fun, shape: Any, keepdims: bool, q: float, seed: int) -> None:
    """Over any axes."""
    axis = data.draw(axes(len(shape)))
    method = data.draw(
        st.sampled_from(["linear", "lower", "higher", "midpoint", "hazen", "weibull", "median_unbiased"])
    )
    check(lambda x: fun(x, q, axis=axis, keepdims=keepdims, method=method), operands([shape], "d", seed), seed)


# Indexing


@examples(60)
@given(st.data(), SHAPES, DTYPES, SEEDS)
def test_basic_indexing(data: Any, shape: Any, dtype: str, seed: int) -> None:
    """Slices with steps of either sign, integers, new axes, ellipses."""
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    check(lambda x: x[key] * x[key], operands([shape], dtype, seed), seed)


@examples(50)
@given(st.data(), FULL_SHAPES, DTYPES, SEEDS)
def test_integer_indexing(data: Any, shape: Any, dtype: str, seed: int) -> None:
    """Arrays of integers that broadcast against each other, with repetitions."""
    key = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    check(lambda x: np.square(x[key]), operands([shape], dtype, seed), seed)


@examples(30)
@given(st.data(), FULL_SHAPES, SEEDS)
def test_masks(data: Any, shape: Any, seed: int) -> None:
    """Masks of the whole shape or of leading axes."""
    (x,) = operands([shape], "d", seed)
    rank = data.draw(st.integers(1, len(shape)))
    mask = np.random.default_rng(seed).uniform(size=shape[:rank]) < 0.5
    check(lambda x: np.square(x[mask]), (x,), seed)
    check(lambda x: np.square(x[x > 0.5]), (x,), seed, batched=False)


@examples(40)
@given(st.data(), FULL_SHAPES, DTYPES, SEEDS)
def test_taking(data: Any, shape: Any, dtype: str, seed: int) -> None:
    """take, take_along_axis, compress, delete, insert, repeat along an axis."""
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = shape[axis]
    index = data.draw(hnp.arrays(np.intp, hnp.array_shapes(max_dims=2, max_side=3), elements=st.integers(-n, n - 1)))
    args = operands([shape], dtype, seed)
    along = np.argsort(np.abs(args[0]), axis=axis)
    for fun in (
        lambda x: np.take(x, index, axis),
        lambda x: np.take_along_axis(x, along, axis),
        lambda x: np.compress(np.arange(n) % 2 == 0, x, axis),
        lambda x: np.delete(x, 0, axis),
        lambda x: np.repeat(x, np.arange(n), axis),
    ):
        check(fun, args, seed, derivative=fun(args[0]).size < 20)


# Shapes


@st.composite
def rearrangements(draw: Any, shape: Any) -> Fun:
    """A function that moves elements."""
    rank, size = len(shape), math.prod(shape)
    axis, other = draw(st.integers(-rank - 1, rank)), draw(st.integers(-rank, max(rank - 1, 0)))
    divisors = [k for k in range(1, size + 1) if size % k == 0] or [1]
    rows = draw(st.sampled_from(divisors))
    order = draw(st.permutations(range(rank)))
    shift = draw(st.integers(-4, 4))
    return draw(
        st.sampled_from(
            [
                lambda x: np.reshape(x, (rows, -1), order="F"),
                lambda x: x.reshape(-1, rows, 1),
                lambda x: np.reshape(x, (rows, 2)),
                lambda x: np.transpose(x, order),
                lambda x: x.T,
                lambda x: np.swapaxes(x, axis, other),
                lambda x: np.moveaxis(x, other, axis),
                lambda x: np.rollaxis(x, other, abs(axis)),
                lambda x: np.expand_dims(x, axis),
                lambda x: np.squeeze(x),
                lambda x: np.squeeze(x, axis),
                lambda x: np.flip(x, other),
                lambda x: np.roll(x, shift, other),
                lambda x: np.roll(x, shift),
                lambda x: np.rot90(x, shift, (axis, other)),
                lambda x: np.tile(x, (2, rows % 3)),
                lambda x: np.repeat(x, 2, axis),
                lambda x: np.broadcast_to(x, (2, *shape)),
                lambda x: np.ravel(x, order="F"),
                lambda x: np.atleast_3d(x),
                lambda x: np.diagonal(x, shift, axis, other),
                lambda x: np.tril(x, shift),
                lambda x: np.pad(x, 1, mode="wrap"),
                lambda x: np.pad(x, ((0, 2),) * rank),
                lambda x: np.split(x, [1, 2], other),
                lambda x: np.array_split(x, 2, other),
            ]
        )
    )


@examples(400)
@given(st.data(), SHAPES, DTYPES, SEEDS)
def test_rearranging(data: Any, shape: Any, dtype: str, seed: int) -> None:
    """Functions that move elements, with axes that may not exist and shapes that may not fit."""
    fun = data.draw(rearrangements(shape))
    args = operands([shape], dtype, seed)
    check(lambda x: tree.map(np.square, fun(x)), args, seed)


@examples(50)
@given(st.data(), FULL_SHAPES, DTYPES, DTYPES, SEEDS)
def test_joining(data: Any, shape: Any, dtype: str, other: str, seed: int) -> None:
    """Arrays that differ along one axis, and in dtype."""
    axis = data.draw(st.integers(-len(shape), len(shape)))
    k = axis % len(shape)
    grown = (*shape[:k], data.draw(st.integers(0, 3)), *shape[k + 1 :])
    args = operands([shape], dtype, seed) + operands([grown], other, seed)
    fun = data.draw(
        st.sampled_from(
            [
                lambda x, y: np.concatenate([x, y], axis),
                lambda x, y: np.stack([x, y], axis),
                lambda x, y: np.append(x, y, axis),
                lambda x, y: np.append(x, y),
                lambda x, y: np.vstack([x, y]),
                lambda x, y: np.hstack([x, y]),
                lambda x, y: np.dstack([x, y]),
            ]
        )
    )
    check(lambda x, y: np.square(fun(x, y)), args, seed)


# Products


@examples(50)
@given(st.data(), DTYPES, DTYPES, SEEDS)
def test_matmul(data: Any, dtype: str, other: str, seed: int) -> None:
    """Vectors, matrices and stacks of matrices, broadcast; inner sizes that may be 0 or not fit."""
    shapes = data.draw(
        hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3)
    )
    x, y = (operands([s], d, seed)[0] for s, d in zip(shapes.input_shapes, (dtype, other), strict=True))
    check(np.matmul, (x, y), seed)
    check(np.dot, (x, y), seed, derivative=False)


@examples(40)
@given(st.data(), SEEDS)
def test_einsum(data: Any, seed: int) -> None:
    """Two operands with drawn labels: diagonals, sums, outer products."""
    sizes = {label: data.draw(st.integers(0, 3)) for label in "abc"}
    terms = [data.draw(st.text("abc", max_size=3)) for _ in range(2)]
    result = "".join(data.draw(st.permutations(sorted(set("".join(terms))))))[: data.draw(st.integers(0, 3))]
    args = operands([tuple([sizes[label] for label in term]) for term in terms], "d", seed)
    check(lambda x, y: np.einsum(f"{','.join(terms)}->{result}", x, y), args, seed)


@examples(30)
@given(st.data(), SEEDS)
def test_tensordot_and_relatives(data: Any, seed: int) -> None:
    """tensordot over drawn axes, outer, kron."""
    shared = data.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
    x, y = operands([(2, *shared), (*shared, 2)], "d", seed)
    check(lambda x, y: np.tensordot(x, y, len(shared)), (x, y), seed)
    check(lambda x, y: np.inner(x, np.moveaxis(y, -1, 0)), (x, y), seed, derivative=False)
    check(np.outer, (x, y), seed, derivative=False)
    check(np.kron, (x, y), seed, derivative=False)


# Linear algebra and Fourier transforms


@examples(50)
@given(st.data(), st.sampled_from(["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]), FULL_SHAPES, SEEDS)
def test_fft(data: Any, fun: str, shape: Any, seed: int) -> None:
    """Any length, shorter and longer than the axis, any axis, all norms."""
    axis = data.draw(st.integers(-len(shape) - 1, len(shape) - 1))
    n = data.draw(st.none() | st.integers(0, 5))
    norm = data.draw(st.sampled_from([None, "backward", "ortho", "forward"]))
    args = operands([shape], "d" if fun in ("rfft", "ihfft") else data.draw(st.sampled_from("dD")), seed)
    check(lambda x: np.fft.__dict__[fun](x, n, axis, norm), args, seed)


LINALG = {
    "det": np.linalg.det,
    "slogdet": np.linalg.slogdet,
    "inv": np.linalg.inv,
    "pinv": np.linalg.pinv,
    "eigvalsh": np.linalg.eigvalsh,
    "svdvals": np.linalg.svdvals,
    "cholesky": np.linalg.cholesky,
    "qr": lambda a: np.linalg.qr(a)[1],
    "matrix_norm": np.linalg.matrix_norm,
    "matrix_power": lambda a: np.linalg.matrix_power(a, 3),
    "matrix_rank": np.linalg.matrix_rank,
    "trace": np.linalg.trace,
    "vector_norm": lambda a: np.linalg.vector_norm(a, axis=-1),
}


@examples(60)
@given(
    st.sampled_from(list(LINALG)),
    st.integers(1, 3),
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2),
    st.sampled_from("ddfD"),
    SEEDS,
)
def test_linalg(fun: str, n: int, stack: Any, dtype: str, seed: int) -> None:
    """Stacks of well conditioned symmetric matrices."""
    (x,) = operands([(*stack, n, n)], dtype, seed)
    x = x + np.conj(np.swapaxes(x, -1, -2)) + np.diag(np.arange(3, n + 3)).astype(dtype)
    check(LINALG[fun], (x,), seed, vary=scale)


@examples(30)
@given(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.sampled_from("ddfD"), SEEDS)
def test_solve(n: int, stack: int, vector: bool, dtype: str, seed: int) -> None:
    """One right hand side or several, one matrix or a stack."""
    shape = (stack, n, n) if stack else (n, n)
    a, b = operands([shape, (n,) if vector else (n, 2)], dtype, seed)
    check(np.linalg.solve, (a + 3 * np.eye(n, dtype=dtype), b), seed, vary=scale)

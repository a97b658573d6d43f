"""A program or two for each function of the Array API standard: ``program(xp, x)`` for a matrix x and a namespace xp.

``PROGRAMS`` has one for each function, to be run on matrices of any dtype and shape; it says nothing of which dtypes a
function takes, since what one namespace refuses another should refuse. ``SMOOTH`` has those that have a derivative at
square matrices with elements between 0.1 and 0.9, no two of them alike; ``CONSTANT`` those whose derivative is zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from array_api.standard import BINARY, DTYPES, UNARY

Program = Callable[[Any, Any], Any]


def _spd(xp: Any, x: Any) -> Any:
    """A symmetric positive definite matrix of the size of the rows of x."""
    return xp.matmul(x, xp.matrix_transpose(x)) + 2.0 * xp.eye(x.shape[0], dtype=x.dtype)


def _regular(xp: Any, x: Any) -> Any:
    """A matrix with a positive determinant, without symmetry."""
    return x[:, : x.shape[0]] + 3.0 * xp.eye(x.shape[0], min(x.shape), dtype=x.dtype)


def _row(xp: Any, x: Any) -> Any:
    return xp.reshape(x, (-1,))


def _unary(name: str) -> Program:
    return lambda xp, x: getattr(xp, name)(x)


def _binary(name: str) -> Program:
    return lambda xp, x: getattr(xp, name)(x, xp.flip(x, axis=0))


def _with_number(name: str) -> Program:
    return lambda xp, x: getattr(xp, name)(x, 2)


def _of(name: str, argument: Callable[[Any, Any], Any], **keywords: Any) -> Program:
    """Call a function, perhaps of an extension, on what ``argument`` makes of x."""
    return lambda xp, x: operator.attrgetter(name)(xp)(argument(xp, x), **keywords)


def _x(xp: Any, x: Any) -> Any:
    return x


_CREATION: dict[str, Program] = {
    "asarray": lambda xp, x: (xp.asarray(x, copy=True), xp.asarray([1, 2.5]), xp.asarray(True), xp.asarray([[1j]])),
    "asarray dtype": lambda xp, x: xp.asarray(x, dtype=x.dtype, device="cpu"),
    "empty": lambda xp, x: xp.empty(x.shape, dtype=x.dtype, device="cpu").shape,
    "empty_like": lambda xp, x: xp.empty_like(x, dtype=xp.float32).shape,
    "full": lambda xp, x: xp.full((2, 3), 1.5, dtype=xp.float64) + xp.full(2, 3)[0],
    "full_like": lambda xp, x: xp.full_like(x, 2),
    "linspace": lambda xp, x: xp.linspace(0.0, 1.0, 5) + xp.linspace(0, 1, num=5, endpoint=False, dtype=xp.float64),
    "meshgrid": lambda xp, x: xp.meshgrid(_row(xp, x), x[0, :], indexing="ij"),
    "ones": lambda xp, x: x * xp.ones(x.shape, dtype=x.dtype, device=None),
    "ones_like": lambda xp, x: xp.ones_like(x, dtype=xp.float32),
    "tril": lambda xp, x: xp.tril(x, k=-1),
    "triu": lambda xp, x: xp.triu(x, k=1),
    "zeros": lambda xp, x: x + xp.zeros(x.shape[-1], dtype=x.dtype),
    "zeros_like": lambda xp, x: xp.zeros_like(x, device="cpu"),
    "arange": lambda xp, x: xp.arange(3) + xp.arange(1, 10, 3, dtype=xp.float32) + xp.arange(0, stop=6, step=2),
    "eye": lambda xp, x: xp.eye(3, 4, k=1, dtype=xp.float32),
    "from_dlpack": lambda xp, x: xp.from_dlpack(xp.asarray([1.0, 2.0])),
}

_DATA_TYPES: dict[str, Program] = {
    **{f"astype {name}": lambda xp, x, name=name: xp.astype(x, getattr(xp, name)) for name in DTYPES},
    "can_cast": lambda xp, x: [xp.can_cast(x.dtype, getattr(xp, name)) for name in DTYPES],
    "finfo": lambda xp, x: (xp.finfo(xp.float32).eps, xp.finfo(x.dtype).bits),
    "iinfo": lambda xp, x: (xp.iinfo(xp.int16).max, xp.iinfo(x.dtype).bits),
    "isdtype": lambda xp, x: [xp.isdtype(x.dtype, k) for k in ("bool", "integral", ("real floating", "numeric"))],
    "result_type": lambda xp, x: xp.zeros(1, dtype=xp.result_type(x.dtype, xp.float32)),
}

_MANIPULATION: dict[str, Program] = {
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 0]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.zeros((1, x.shape[1]), dtype=xp.int64), axis=0),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[0, :], xp.asarray(1.0)),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, *x.shape)),
    "concat": lambda xp, x: (xp.concat([x, x[:1, :]]), xp.concat((x, x), axis=None), xp.concat([x, x], axis=1)),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "flip": lambda xp, x: (xp.flip(x), xp.flip(x, axis=(0, 1))),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, -1),
    "permute_dims": lambda xp, x: xp.permute_dims(x, axes=(1, 0)),
    "repeat": lambda xp, x: (xp.repeat(x, 2), xp.repeat(x, xp.arange(x.shape[1]), axis=1)),
    "reshape": lambda xp, x: (xp.reshape(x, (-1,)), xp.reshape(x, shape=(1, *x.shape), copy=True)),
    "roll": lambda xp, x: (xp.roll(x, 1), xp.roll(x, shift=(1, -1), axis=(0, 1))),
    "squeeze": lambda xp, x: (xp.squeeze(x[:1, :], axis=0), xp.squeeze(x[None, :, :], 0)),
    "stack": lambda xp, x: xp.stack([x, xp.flip(x)], axis=-1),
    "tile": lambda xp, x: xp.tile(x, (2, 1)),
    "unstack": lambda xp, x: (xp.unstack(x), xp.unstack(x, axis=1)),
    "where": lambda xp, x: (xp.where(x > x[0, 0], x, xp.flip(x)), xp.where(x == 0, 1.0, x)),
    "clip": lambda xp, x: (xp.clip(x), xp.clip(x, min=0), xp.clip(x, x[0, 0], x[0, 0] + 1)),
    "clip max": lambda xp, x: xp.clip(x, max=1),
    "diff": lambda xp, x: (xp.diff(x), xp.diff(x, axis=0, n=2, prepend=x[:1, :], append=x)),
    "sort": lambda xp, x: (xp.sort(x), xp.sort(x, axis=0, stable=False)),
}

_REDUCTIONS = ("max", "mean", "min", "prod", "std", "sum", "var")


def _reduction(name: str) -> Program:
    def program(xp: Any, x: Any) -> Any:
        fun = getattr(xp, name)
        return fun(x), fun(x, axis=0), fun(x, axis=-1, keepdims=True), fun(x, axis=(0, 1))

    return program


_STATISTICS: dict[str, Program] = {
    **{name: _reduction(name) for name in _REDUCTIONS},
    "cumulative_prod": lambda xp, x: (xp.cumulative_prod(x, axis=0), xp.cumulative_prod(x[0, :], dtype=xp.float64)),
    "cumulative_sum": lambda xp, x: (xp.cumulative_sum(x, axis=1, include_initial=True), xp.cumulative_sum(x[0, :])),
    "prod dtype": lambda xp, x: xp.prod(x, axis=0, dtype=xp.float32),
    "sum dtype": lambda xp, x: xp.sum(x, axis=0, dtype=xp.complex128),
    "std correction": lambda xp, x: (xp.std(x, correction=0.5), xp.var(x, axis=1, correction=1.0)),
}

_LINEAR: dict[str, Program] = {
    "matmul": lambda xp, x: xp.matmul(x, xp.matrix_transpose(x)),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "tensordot": lambda xp, x: (xp.tensordot(x, x), xp.tensordot(x, x, axes=((0,), (0,))), xp.tensordot(x, x, axes=0)),
    "vecdot": lambda xp, x: (xp.vecdot(x, xp.flip(x)), xp.vecdot(x, x, axis=0)),
    "linalg.cholesky": lambda xp, x: (xp.linalg.cholesky(_spd(xp, x)), xp.linalg.cholesky(_spd(xp, x), upper=True)),
    "linalg.cross": lambda xp, x: xp.linalg.cross(x[:, :3], xp.flip(x[:, :3], axis=0), axis=-1),
    "linalg.det": _of("linalg.det", _regular),
    "linalg.diagonal": lambda xp, x: (xp.linalg.diagonal(x), xp.linalg.diagonal(x, offset=1)),
    "linalg.eigvalsh": _of("linalg.eigvalsh", _spd),
    "linalg.inv": _of("linalg.inv", _regular),
    "linalg.matmul": lambda xp, x: xp.linalg.matmul(x, xp.linalg.matrix_transpose(x)),
    "linalg.matrix_norm": lambda xp, x: [
        xp.linalg.matrix_norm(x, ord=k, keepdims=k == 1) for k in ("fro", "nuc", 1, 2)
    ],
    "linalg.matrix_power": lambda xp, x: [xp.linalg.matrix_power(_regular(xp, x), k) for k in (-2, 0, 3)],
    "linalg.matrix_transpose": lambda xp, x: xp.linalg.matrix_transpose(x),
    "linalg.outer": lambda xp, x: xp.linalg.outer(_row(xp, x), x[0, :]),
    "linalg.pinv": lambda xp, x: (xp.linalg.pinv(_regular(xp, x)), xp.linalg.pinv(_spd(xp, x), rtol=1e-9)),
    "linalg.qr": lambda xp, x: tuple(xp.linalg.qr(_regular(xp, x), mode="reduced")),
    "linalg.slogdet": lambda xp, x: xp.linalg.slogdet(_regular(xp, x)).logabsdet,
    "linalg.solve": lambda xp, x: (xp.linalg.solve(_regular(xp, x), x), xp.linalg.solve(_regular(xp, x), x[:, 0])),
    "linalg.svd": lambda xp, x: xp.linalg.svd(_regular(xp, x), full_matrices=False).S,
    "linalg.svdvals": _of("linalg.svdvals", _regular),
    "linalg.tensordot": lambda xp, x: xp.linalg.tensordot(x, x, axes=2),
    "linalg.trace": lambda xp, x: (xp.linalg.trace(x), xp.linalg.trace(x, offset=1, dtype=xp.float64)),
    "linalg.vecdot": lambda xp, x: xp.linalg.vecdot(x, x, axis=0),
    "linalg.vector_norm": lambda xp, x: [
        *(xp.linalg.vector_norm(x, ord=k) for k in (1, 2, 3, float("inf"))),
        xp.linalg.vector_norm(x, axis=0, keepdims=True),
        xp.linalg.vector_norm(x, axis=(0, 1)),
    ],
    "linalg.eigh": lambda xp, x: xp.linalg.eigh(_spd(xp, x)).eigenvalues,
}

_FFT: dict[str, Program] = {
    **{
        f"fft.{name}": _of(f"fft.{name}", _x, axis=0, n=5) for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
    },
    **{f"fft.{name}": _of(f"fft.{name}", _x, norm="ortho") for name in ("fftn", "ifftn", "rfftn", "irfftn")},
    "fft.fftn axes": _of("fft.fftn", _x, s=(2, 3), axes=(0, 1)),
    "fft.fftshift": lambda xp, x: (xp.fft.fftshift(x), xp.fft.fftshift(x, axes=0)),
    "fft.ifftshift": lambda xp, x: (xp.fft.ifftshift(x), xp.fft.ifftshift(x, axes=(0, 1))),
}

_KINKED_OR_INTEGER = (
    *("bitwise_invert", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    *("ceil", "equal", "floor", "floor_divide", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less"),
    *("less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "nextafter", "not_equal", "round"),
    *("sign", "signbit", "trunc"),
)

_QUERIES: dict[str, Program] = {
    "argmax": lambda xp, x: (xp.argmax(x), xp.argmax(x, axis=0, keepdims=True)),
    "argmin": lambda xp, x: (xp.argmin(x), xp.argmin(x, axis=1)),
    "argsort": lambda xp, x: xp.argsort(x, axis=0, stable=True),
    "count_nonzero": lambda xp, x: (xp.count_nonzero(x), xp.count_nonzero(x, axis=0, keepdims=True)),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.sort(x[0, :]), x, side="right"),
    "all": lambda xp, x: (xp.all(x), xp.all(x > 0, axis=(0, 1)), xp.all(x, axis=0, keepdims=True)),
    "any": lambda xp, x: (xp.any(x), xp.any(x > 0, axis=1)),
    "linalg.matrix_rank": lambda xp, x: (xp.linalg.matrix_rank(x), xp.linalg.matrix_rank(x, rtol=0.5)),
    "fft.fftfreq": lambda xp, x: xp.fft.fftfreq(5, d=0.5),
    "fft.rfftfreq": lambda xp, x: xp.fft.rfftfreq(5, d=0.5, device="cpu"),
}

_OF_VALUES: dict[str, Program] = {
    "nonzero": lambda xp, x: xp.nonzero(x),
    "unique_all": lambda xp, x: tuple(xp.unique_all(x)),
    "unique_counts": lambda xp, x: (xp.unique_counts(x).values, xp.unique_counts(x).counts),
    "unique_inverse": lambda xp, x: (xp.unique_inverse(x).values, xp.unique_inverse(x).inverse_indices),
    "unique_values": lambda xp, x: xp.unique_values(x),
}

_ELEMENTWISE: dict[str, Program] = {
    **{name: _unary(name) for name in UNARY},
    **{name: _binary(name) for name in BINARY},
    **{f"{name} 2": _with_number(name) for name in BINARY},
}

PROGRAMS: dict[str, Program] = {
    **_ELEMENTWISE,
    **_CREATION,
    **_DATA_TYPES,
    **_MANIPULATION,
    **_STATISTICS,
    **_LINEAR,
    **_FFT,
    **_QUERIES,
    **_OF_VALUES,
}

SMOOTH: dict[str, Program] = {
    **{name: program for name, program in _ELEMENTWISE.items() if name.split()[0] not in _KINKED_OR_INTEGER},
    "acosh": lambda xp, x: xp.acosh(x + 1),
    "asarray": lambda xp, x: xp.asarray([[x[0, 0], 1.0], [2, x[1, 1] * x[0, 1]]]),
    "asarray copy": lambda xp, x: xp.asarray(x, copy=True),
    **{name: _CREATION[name] for name in ("asarray dtype", "meshgrid", "ones", "tril", "triu", "zeros")},
    **{f"astype {name}": _DATA_TYPES[f"astype {name}"] for name in ("float64", "complex128")},
    **_MANIPULATION,
    **_STATISTICS,
    **_LINEAR,
    **_FFT,
    "fft.fft": _of("fft.fft", _x),
}
del SMOOTH["prod dtype"]  # float32: too rough for differences

CONSTANT: dict[str, Program] = {
    **{name: _ELEMENTWISE[name] for name in _KINKED_OR_INTEGER if not name.startswith("bitwise")},
    **{name: _CREATION[name] for name in ("full", "full_like", "linspace", "ones_like", "zeros_like", "arange", "eye")},
    **_QUERIES,
    **{name: _DATA_TYPES[name] for name in ("can_cast", "isdtype", "result_type")},
    "astype int64": _DATA_TYPES["astype int64"],
}

"""Rows of the spectra of matrices: eigenvalues, singular values, and the norms, condition numbers and ranks.

Eigenvectors and singular vectors are determined up to signs or phases. The rows use functions that do not depend on
these (``v f(w) v^H``, ``abs(v)``), and the vectors themselves where they are locally smooth in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row, Shape

INF = np.inf

_EIGH = ("eigh", "spectral_quotient")
_SVD = ("svd", "spectral_quotient")


def _one(name: str, fun: Any, shape: Shape, *more: Shape, **rest: Any) -> Row:
    return Row(name, fun, (shape,), more_shapes=tuple([(s,) for s in more]), **rest)


def _adjoint(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def _of_eigh(fun: Any) -> Any:
    """``v fun(w) v^H``."""

    def matrix(x: Any) -> Any:
        w, v = np.linalg.eigh(x)
        return (v * fun(w)[..., None, :]) @ _adjoint(v)

    return matrix


def _of_svd(fun: Any, full: bool = False, **options: Any) -> Any:
    """``u fun(s) v^H``."""

    def matrix(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x, full, **options)
        k = s.shape[-1]
        return (u[..., :k] * fun(s)[..., None, :]) @ vh[..., :k, :]

    return matrix


def _of_eig(fun: Any) -> Any:
    """``v fun(w) v^-1`` by way of complex numbers."""

    def matrix(x: Any) -> Any:
        w, v = np.linalg.eig(x * (1 + 0j))
        return np.linalg.solve(_adjoint(v), _adjoint(v * fun(w)[..., None, :]))

    return matrix


def _spread(x: Any) -> Any:
    """A matrix with well separated eigenvalues: LAPACK keeps their order where they are disturbed."""
    m, n = x.shape[-2:]
    return x * 0.3 + 2 * np.eye(m, n, dtype=x.real.dtype) * (1 + np.arange(n, dtype=x.real.dtype))


def _projectors(x: Any) -> Any:
    """What the singular vectors that full_matrices adds span."""
    u, _, vh = np.linalg.svd(x)
    k = min(x.shape[-2:])
    return u[..., k:] @ _adjoint(u[..., k:]), _adjoint(vh[..., k:, :]) @ vh[..., k:, :]


_EIGENVALUES = [
    _one("eigvalsh", np.linalg.eigvalsh, (3, 3), (2, 3, 3), (1, 1), (0, 0), (0, 2, 2), primitives=("eigvalsh", "eigh")),
    _one("eigvalsh upper", lambda x: np.linalg.eigvalsh(x, "U"), (3, 3)),
    _one("eigh eigenvalues", lambda x: np.linalg.eigh(x).eigenvalues, (3, 3), (2, 2, 2), primitives=("eigh",)),
    _one("eigh upper", lambda x: abs(np.linalg.eigh(x, UPLO="u")[1]), (3, 3), primitives=_EIGH),
    _one("eigh function", _of_eigh(np.exp), (3, 3), (2, 3, 3), (2, 1, 2, 2), (1, 1), (0, 0), primitives=_EIGH),
    _one("eigh moduli", lambda x: abs(np.linalg.eigh(x)[1]) ** 2, (3, 3), (2, 2, 2), primitives=_EIGH),
    _one("eigh vectors", np.linalg.eigh, (3, 3), (2, 3, 3), dtypes="df"),
    _one(
        "eigvals",
        lambda x: np.linalg.eigvals(_spread(x) * (1 + 0.2j)),
        (3, 3),
        (2, 3, 3),
        (1, 1),
        (0, 0),
        primitives=("eig",),
    ),
    _one("eigvals of real", np.linalg.eigvals, (3, 3), (2, 2, 2), dtypes="df", batched=False),
    _one("eigvals, all real", lambda x: np.linalg.eigvals(_spread(x)), (3, 3), dtypes="df", batched=False),
    _one("eig", lambda x: np.linalg.eig(_spread(x) * (1 + 0.2j)), (3, 3), (2, 3, 3), (1, 1), (0, 0), (2, 2)),
    _one("eig of real", np.linalg.eig, (3, 3), (2, 2), dtypes="df", batched=False),
    _one("eig, all real", lambda x: np.linalg.eig(_spread(x)), (3, 3), (2, 3, 3), dtypes="df", batched=False),
    _one("eig function", _of_eig(np.exp), (3, 3), primitives=("eig", "spectral_quotient", "inverse_or_nan")),
]

_SINGULAR_VALUES = [
    _one("svdvals", np.linalg.svdvals, (3, 2), (2, 2, 4), (3, 3), (1, 1), (0, 2), (0, 3, 2), primitives=("svdvals",)),
    _one("svd values", lambda x: np.linalg.svd(x, compute_uv=False), (2, 3), (3, 3)),
    _one("svd thin", _of_svd(np.exp), (3, 3), (4, 2), (2, 4), (2, 3, 2), (1, 1), (0, 0), primitives=_SVD),
    _one("svd full", _of_svd(np.exp, True), (3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 2), primitives=_SVD),
    _one("svd moduli", lambda x: tuple(abs(y) for y in np.linalg.svd(x, False)), (3, 2), (2, 3, 3), primitives=_SVD),
    _one("svd real", lambda x: tuple(np.linalg.svd(x, False)), (3, 2), (2, 3, 3), (2, 4), dtypes="df"),
    _one("svd complements", _projectors, (4, 2), (2, 4), (2, 3, 1), primitives=_SVD),
    _one("svd polar", _of_svd(np.ones_like), (3, 3), (4, 2), (2, 4), primitives=_SVD),
    _one("svd hermitian", _of_svd(np.exp, hermitian=True), (3, 3), (2, 3, 3), primitives=_EIGH),
    _one("svd hermitian result", lambda x: np.linalg.svd(x, hermitian=True), (3, 3), dtypes="df"),
    _one("svd hermitian values", lambda x: np.linalg.svd(x, compute_uv=False, hermitian=True), (3, 3), (2, 2, 2)),
]


def _norms(name: str, function: Any, orders: tuple[Any, ...], *shapes: Shape, **rest: Any) -> list[Row]:
    return [
        _one(f"{name} {order}", lambda x, order=order: function(x, order), *shapes, **{"domain": (0.2, 2.0), **rest})
        for order in orders
    ]


_VECTOR = (None, 0.5, 1, 1.5, 2, 3, -1, -2.5, INF, -INF)
_MATRIX = (None, "fro", "nuc", 1, -1, 2, -2, INF, -INF)

_NORMS = [
    *_norms("norm of vector", np.linalg.norm, _VECTOR, (4,), (1,), distinct=True),
    *_norms("norm of matrix", np.linalg.norm, _MATRIX, (3, 2), (2, 3), distinct=True),
    *_norms(
        "norm along axis",
        lambda x, order: np.linalg.norm(x, order, axis=1, keepdims=True),
        _VECTOR,
        (2, 3, 2),
        distinct=True,
    ),
    *_norms(
        "norm along axes",
        lambda x, order: np.linalg.norm(x, order, axis=(-1, 0), keepdims=True),
        _MATRIX,
        (2, 2, 3),
        distinct=True,
    ),
    _one("norm", np.linalg.norm, (2, 3, 2), (), (0,), (0, 3), primitives=("length",)),
    _one("norm keepdims", lambda x: np.linalg.norm(x, keepdims=True), (2, 3, 2), ()),
    _one("norm fro keepdims", lambda x: np.linalg.norm(x, "fro", keepdims=True), (2, 3)),
    _one("norm negative", lambda x: np.linalg.norm(x, 3, axis=-1), (2, 3), (2, 0), domain=(-2.0, -0.2)),
    _one("norm 0", lambda x: np.linalg.norm(x, 0, axis=0), (2, 3), (0, 3), differentiable=False),
    _one("matrix_norm", np.linalg.matrix_norm, (2, 3), (2, 2, 3)),
    _one("matrix_norm nuc", lambda x: np.linalg.matrix_norm(x, ord="nuc", keepdims=True), (2, 3), (2, 2, 3), (2, 0, 3)),
    _one("vector_norm", np.linalg.vector_norm, (2, 3), ()),
    _one("vector_norm 3", lambda x: np.linalg.vector_norm(x, ord=3, axis=(2, 0), keepdims=True), (2, 3, 2)),
    _one("vector_norm axis", lambda x: np.linalg.vector_norm(x, ord=1, axis=-1), (2, 3), domain=(0.2, 2.0)),
    _one("vector_norm keepdims", lambda x: np.linalg.vector_norm(x, ord=INF, keepdims=True), (2, 3), distinct=True),
]

_CONDITION = [
    _one("cond", np.linalg.cond, (3, 3), (3, 2), (2, 2, 3), primitives=("condition", "inf_for_nan")),
    *_norms("cond", lambda x, p: np.linalg.cond(x, p), (2, -2), (3, 2), (2, 2, 2)),
    *_norms(
        "cond",
        lambda x, p: np.linalg.cond(_spread(x), p),
        ("fro", "nuc", 1, -1, INF, -INF),
        (3, 3),
        (2, 2, 2),
        primitives=("inverse_or_nan",),
    ),
    _one("matrix_rank", np.linalg.matrix_rank, (3, 2), (2, 3, 3), (3,), differentiable=False),
    _one("matrix_rank tol", lambda x: np.linalg.matrix_rank(x, 0.8), (3, 2), (2, 3, 3), differentiable=False),
    _one("matrix_rank hermitian", lambda x: np.linalg.matrix_rank(x, hermitian=True), (3, 3), differentiable=False),
    _one("matrix_rank rtol", lambda x: np.linalg.matrix_rank(x, rtol=0.3), (2, 3, 3), differentiable=False),
]

ROWS: list[Row] = [*_EIGENVALUES, *_SINGULAR_VALUES, *_NORMS, *_CONDITION]

"""Rows of numpy.linalg: systems, inverses, determinants, Cholesky and QR, least squares, products.

The operands are drawn at random, so what needs a regular or a positive definite matrix makes one of them; a float32
identity promotes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.numpy.linalg.arguments import in_linalg_dtype
from fungrad.primitives.linalg.triangular import inv_triangular, solve_triangular

from .row import Row, Shape

_STACKS: tuple[tuple[Shape, ...], ...] = (((2, 3, 3),), ((0, 3, 3),), ((0, 0),), ((1, 1),), ((2, 1, 2, 2),))


def _eye(n: int) -> Any:
    return np.eye(n, dtype=np.float32)


def _regular(x: Any) -> Any:
    return x + 4 * _eye(x.shape[-1])


def _gram(x: Any) -> Any:
    return x @ np.conj(np.swapaxes(x, -1, -2)) + _eye(x.shape[-2])


def _two(name: str, fun: Any, x: Shape, y: Shape, *more: tuple[Shape, Shape], **rest: Any) -> Row:
    return Row(name, fun, (x, y), more_shapes=more, **rest)


def _square(name: str, fun: Any, *primitives: str, **rest: Any) -> Row:
    return Row(name, fun, ((3, 3),), **{"more_shapes": _STACKS, "primitives": primitives, **rest})


_SYSTEMS = [
    _two(
        "solve",
        lambda a, b: np.linalg.solve(_regular(a), b),
        (3, 3),
        (3, 2),
        ((2, 3, 3), (2, 3, 2)),
        ((0, 3, 3), (0, 3, 1)),
        ((0, 0), (0, 2)),
        ((3, 3), (3, 0)),
        ((1, 1), (1, 1)),
        primitives=("solve",),
    ),
    _two("solve vector", lambda a, b: np.linalg.solve(_regular(a), b), (3, 3), (3,), ((2, 3, 3), (3,)), ((0, 0), (0,))),
    _two(
        "solve broadcast",
        lambda a, b: np.linalg.solve(_regular(a), b),
        (2, 2, 2),
        (2, 3),
        ((2, 2), (3, 2, 2)),
        ((2, 2), (2, 3, 2, 1)),
        ((2, 1, 2, 2), (1, 3, 2, 2)),
        ((1, 2, 2), (3, 2, 2)),
        ((2, 2), (0, 2, 2)),
    ),
    Row("solve plain matrix", lambda b: np.linalg.solve(_regular(np.ones((3, 3), "f")), b), ((3, 2),)),
    Row("solve plain right", lambda a: np.linalg.solve(_regular(a), np.ones((3, 2), "f")), ((3, 3),)),
    _two(
        "solve mixed dtypes",
        lambda a, b: np.linalg.solve(_regular(a).real, b) + np.linalg.solve(_regular(a), b.real),
        (3, 3),
        (3, 2),
    ),
    _square("inv", lambda a: np.linalg.inv(_regular(a)), "inv"),
    _square("tensorinv 1", lambda a: np.linalg.tensorinv(_regular(a), ind=1), more_shapes=(((2, 2),),)),
    Row(
        "tensorinv",
        lambda a: np.linalg.tensorinv(np.reshape(a + 4 * _eye(6), (2, 3, 3, 2))),
        ((6, 6),),
        tolerance=1e-5,
    ),
    Row(
        "tensorsolve",
        lambda a, b: np.linalg.tensorsolve(np.reshape(a + 4 * _eye(6), (2, 3, 3, 2)), b),
        ((6, 6), (2, 3)),
    ),
    Row(
        "tensorsolve axes",
        lambda a, b: np.linalg.tensorsolve(np.moveaxis(np.reshape(a + 4 * _eye(4), (2, 2, 4)), 2, 0), b, axes=(0,)),
        ((4, 4), (2, 2)),
    ),
    *[
        _square(
            f"matrix_power {n}",
            lambda a, n=n: np.linalg.matrix_power(_regular(a) / 4, n),
            domain=(-0.5, 0.5),
            more_shapes=(((2, 2, 2),), ((0, 0),)),
        )
        for n in (-2, 1, 2, 3, 5)
    ],
    _square("matrix_power 0", lambda a: np.linalg.matrix_power(a, 0), differentiable=False),
]

_TRIANGULAR = [
    _two(
        f"solve_triangular {'lower' if lower else 'upper'}",
        lambda a, b, lower=lower: solve_triangular(*in_linalg_dtype(_regular(a), b), lower),
        (3, 3),
        (3, 2),
        ((2, 3, 3), (2, 3, 2)),
        ((0, 3, 3), (0, 3, 1)),
        ((0, 0), (0, 2)),
        ((3, 3), (3, 0)),
        ((1, 1), (1, 1)),
        primitives=("solve_triangular",),
    )
    for lower in (True, False)
] + [
    _square(
        f"inv_triangular {'lower' if lower else 'upper'}",
        lambda a, lower=lower: inv_triangular(*in_linalg_dtype(_regular(a)), lower),
        "inv_triangular",
    )
    for lower in (True, False)
]

_DETERMINANTS = [
    _square("det", np.linalg.det, "det", "cofactors", "cofactors_tangent"),
    _two(
        "det rank n - 1",
        lambda u, t: np.linalg.det(u @ u.T[:, ::-1] + t),
        (3, 2),
        (3, 3),
        domain=((-2.0, 2.0), (-1e-15, 1e-15)),
        dtypes="df",
    ),
    _two(
        "det rank n - 2",
        lambda u, t: np.linalg.det(u @ u.T[:, ::-1] + t),
        (3, 1),
        (3, 3),
        domain=((-2.0, 2.0), (-1e-15, 1e-15)),
        dtypes="df",
    ),
    _square("slogdet", lambda a: tuple(np.linalg.slogdet(_regular(a))), "slogdet", "inv"),
    _square("slogdet negative", lambda a: np.linalg.slogdet(-_regular(a)).logabsdet),
]

_DECOMPOSITIONS = [
    _square(
        "cholesky",
        lambda a: np.linalg.cholesky(_regular(a)),
        "cholesky",
        "cholesky_tangent",
        "cholesky_cotangent",
        domain=(-0.5, 0.5),
    ),
    _square("cholesky upper", lambda a: np.linalg.cholesky(_regular(a), upper=True), domain=(-0.5, 0.5)),
    Row("cholesky gram", lambda x: np.linalg.cholesky(_gram(x)), ((3, 2),)),
    Row(
        "qr tall",
        lambda a: tuple(np.linalg.qr(a)),
        ((4, 2),),
        more_shapes=(((2, 3, 1),), ((0, 3, 2),), ((3, 0),)),
        primitives=("qr",),
    ),
    Row("qr square", lambda a: tuple(np.linalg.qr(a)), ((3, 3),), more_shapes=(((2, 2, 2),), ((0, 0),), ((1, 1),))),
    Row("qr wide", lambda a: tuple(np.linalg.qr(a)), ((2, 4),), more_shapes=(((2, 1, 3),), ((0, 2),))),
    Row(
        "qr complete",
        lambda a: tuple(np.linalg.qr(a, mode="complete")),
        ((4, 2),),
        more_shapes=(((2, 3, 1),), ((2, 3),), ((3, 0),)),
    ),
    Row("qr complete projector", lambda a: _projector(np.linalg.qr(a, "complete").Q[..., 2:]), ((4, 2),)),
    Row("qr r", lambda a: np.linalg.qr(a, mode="r"), ((4, 2),), more_shapes=(((2, 3),), ((2, 3, 2),))),
]


def _projector(q: Any) -> Any:
    return q @ np.conj(q.T)


_LEAST_SQUARES = [
    Row(
        "pinv",
        np.linalg.pinv,
        ((4, 2),),
        more_shapes=(((2, 3),), ((2, 3, 2),), ((0, 3, 2),), ((0, 2),), ((3, 0),)),
        primitives=("pinv",),
    ),
    _square("pinv regular", lambda a: np.linalg.pinv(_regular(a)), more_shapes=(((2, 2, 2),),)),
    _two("pinv rank 2", lambda u, v: np.linalg.pinv(u @ v, rcond=1e-5), (4, 2), (2, 3)),
    _two("pinv rtol", lambda u, v: np.linalg.pinv(u @ v, rtol=np.full(2, 1e-5)), (2, 3, 2), (2, 2, 3)),
    _square("pinv rtol None", lambda a: np.linalg.pinv(_regular(a), rtol=None), more_shapes=()),
    _square(
        "pinv hermitian",
        lambda a: np.linalg.pinv(_regular(a), hermitian=True),
        domain=(-0.5, 0.5),
        more_shapes=(((2, 2, 2),),),
    ),
]

_LSTSQ = [
    _two(
        "lstsq tall",
        lambda a, b: np.linalg.lstsq(a, b),
        (4, 2),
        (4, 3),
        ((4, 2), (4,)),
        ((3, 1), (3, 0)),
        ((3, 0), (3, 2)),
        primitives=("lstsq",),
    ),
    _two("lstsq square", lambda a, b: np.linalg.lstsq(_regular(a), b, rcond=-1), (3, 3), (3, 2), ((3, 3), (3,))),
    _two(
        "lstsq wide", lambda a, b: np.linalg.lstsq(a, b, rcond=1e-9), (2, 4), (2, 2), ((2, 4), (2,)), ((0, 2), (0, 1))
    ),
    _two("lstsq rank 2", lambda a, b: np.linalg.lstsq(_rank_two(a), b, rcond=1e-5)[:1], (4, 2), (4, 2), ((4, 2), (4,))),
]


def _rank_two(a: Any) -> Any:
    return np.concatenate([a, a[:, :1] - 2 * a[:, 1:]], axis=1)


_PRODUCTS = [
    _two("linalg.matmul", np.linalg.matmul, (2, 3), (3, 2), ((2, 2, 3), (3,))),
    _two("linalg.vecdot", lambda x, y: np.linalg.vecdot(x, y, axis=0), (3, 2), (3, 2)),
    _two("linalg.tensordot", lambda x, y: np.linalg.tensordot(x, y, axes=1), (2, 3), (3, 2)),
    _two("linalg.outer", np.linalg.outer, (3,), (2,), ((0,), (2,))),
    _two("linalg.cross", np.linalg.cross, (2, 3), (2, 3), ((3,), (3,))),
    _two("linalg.cross axis", lambda x, y: np.linalg.cross(x, y, axis=0), (3, 2), (3, 2)),
    Row("linalg.trace", np.linalg.trace, ((3, 3),), more_shapes=(((2, 3, 2),), ((0, 2, 2),))),
    Row("linalg.trace offset", lambda x: np.linalg.trace(x, offset=1, dtype="D"), ((2, 3),)),
    Row("linalg.diagonal", lambda x: np.linalg.diagonal(x, offset=-1), ((3, 3),), more_shapes=(((2, 3, 2),),)),
    Row("linalg.matrix_transpose", np.linalg.matrix_transpose, ((2, 3, 4),)),
    _two("multi_dot 2", lambda x, y: np.linalg.multi_dot([x, y]), (2, 3), (3, 2), ((3,), (3,))),
    Row(
        "multi_dot 3",
        lambda x, y, z: np.linalg.multi_dot([x, y, z]),
        ((2, 3), (3, 4), (4, 2)),
        more_shapes=(((3,), (3, 4), (4, 2)), ((2, 3), (3, 4), (4,)), ((3,), (3, 4), (4,)), ((0, 3), (3, 4), (4,))),
    ),
    Row(
        "multi_dot 4",
        lambda x, y, z: np.linalg.multi_dot([x, y, z, y @ z]),
        ((2, 3), (3, 2), (2, 3)),
    ),
    Row("multi_dot of a stack", np.linalg.multi_dot, ((3, 2, 2),)),
]

ROWS: list[Row] = [*_SYSTEMS, *_TRIANGULAR, *_DETERMINANTS, *_DECOMPOSITIONS, *_LEAST_SQUARES, *_LSTSQ, *_PRODUCTS]

"""Rows of the contractions: matmul, dot, einsum and their relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row, Shape

_CONTRACT = ("contract",)


def _two(name: str, fun: Any, x: Shape, y: Shape, *more: tuple[Shape, Shape], **rest: Any) -> Row:
    return Row(name, fun, (x, y), more_shapes=more, **{"primitives": _CONTRACT, **rest})


_MATMUL = [
    _two("matmul", np.matmul, (2, 3), (3, 4), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 1), (1, 1)), ((2, 1), (1, 3))),
    _two("matmul operator", lambda x, y: x @ y, (2, 3), (3, 4)),
    _two("matmul plain left", lambda x, y: np.ones((2, 2)) @ x @ y, (2, 3), (3, 4)),
    _two("matmul plain right", lambda x, y: x @ y @ np.ones((4, 2)), (2, 3), (3, 4)),
    _two("matmul mixed precision", lambda x, y: x @ np.ones((3, 2), np.float32) + y, (2, 3), (2, 2)),
    _two("matmul real complex", lambda x, y: x.real @ y + x @ y.real, (2, 3), (3, 4)),
    _two("matmul vectors", np.matmul, (3,), (3,), ((0,), (0,))),
    _two("matmul matrix vector", np.matmul, (2, 3), (3,), ((4, 2, 3), (3,)), ((1, 2, 3), (3,)), ((2, 1), (1,))),
    _two("matmul vector matrix", np.matmul, (3,), (3, 4), ((3,), (2, 3, 4)), ((3,), (1, 3, 1))),
    _two("matmul stack", np.matmul, (5, 2, 3), (5, 3, 4), ((0, 2, 3), (0, 3, 2)), ((5, 1, 3), (5, 3, 1))),
    _two(
        "matmul broadcast",
        np.matmul,
        (5, 2, 3),
        (3, 4),
        ((2, 3), (5, 3, 4)),
        ((1, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (1, 3, 4)),
    ),
    _two(
        "matmul broadcast two",
        np.matmul,
        (2, 1, 2, 3),
        (5, 3, 4),
        ((2, 1, 2, 3), (1, 5, 3, 2)),
        ((1, 1, 2, 3), (1, 3, 2)),
    ),
    _two("matmul transposed", lambda x, y: x.T @ y.T, (3, 2), (4, 3)),
    _two(
        "matmul of integers",
        np.matmul,
        (2, 3),
        (3, 4),
        ((2, 2, 3), (3,)),
        domain=(-5, 5),
        integers=(0, 1),
        differentiable=False,
    ),
    _two("matmul integer float", np.matmul, (2, 3), (3, 4), integers=(0,), domain=((-5, 5), (-2.0, 2.0))),
    _two("matmul of booleans", np.matmul, (2, 3), (3, 4), booleans=(0, 1), differentiable=False),
    _two("vecdot", np.vecdot, (2, 3), (2, 3), ((3,), (4, 3)), ((2, 1, 3), (4, 3))),
    Row("quadratic form", lambda a, x: x @ a @ x, ((3, 3), (3,)), primitives=_CONTRACT),
    Row("gram matrix", lambda x: x.T @ x, ((4, 3),), primitives=_CONTRACT),
    Row("sum of a product", lambda x, y: np.sum(x @ y), ((2, 3), (3, 4)), primitives=_CONTRACT),
    Row("layer", lambda x, w, b: np.tanh(x @ w + b), ((4, 3), (3, 2), (2,)), primitives=_CONTRACT),
]

if hasattr(np, "matvec"):  # NumPy 2.2
    _MATMUL += [
        _two("matvec", np.matvec, (5, 2, 3), (5, 3), ((2, 3), (4, 3)), ((4, 2, 3), (1, 3))),
        _two("vecmat", np.vecmat, (5, 2), (5, 2, 3), ((2,), (4, 2, 3))),
    ]

_DOT = [
    _two("dot", np.dot, (2, 3), (3, 4)),
    _two("dot vectors", np.dot, (3,), (3,), ((0,), (0,))),
    _two("dot scalars", np.dot, (), (2, 3), ((), ()), ((2,), ()), primitives=()),
    _two("dot many axes", np.dot, (2, 5, 3), (4, 3, 2), ((2, 5, 3), (3,)), ((3,), (2, 3, 4))),
    Row("dot method", lambda x: x.dot(np.ones((3, 2))) + x.dot(x.T[:, :2]), ((2, 3),), primitives=_CONTRACT),
    _two("dot number", lambda x, y: np.dot(x, 2.0) + np.dot(3, y), (2, 3), (2, 3), primitives=()),
    _two("inner", np.inner, (3,), (3,), ((2, 3), (4, 3)), ((2, 3), (3,)), ((2, 5, 3), (4, 3)), ((), (3,))),
    _two("outer", np.outer, (3,), (2,), ((2, 2), (3,)), ((), (3,)), ((0,), (2,)), ((), ())),
    _two("vdot", np.vdot, (3,), (3,), ((2, 3), (3, 2)), ((), ())),
    _two("tensordot", np.tensordot, (2, 3, 4), (3, 4, 5)),
    _two("tensordot 0", lambda x, y: np.tensordot(x, y, axes=0), (2, 3), (4,)),
    _two("tensordot 1", lambda x, y: np.tensordot(x, y, axes=1), (2, 3), (3, 2, 2)),
    _two("tensordot pairs", lambda x, y: np.tensordot(x, y, axes=([1, 0], [0, 2])), (2, 3, 4), (3, 5, 2)),
    _two("tensordot pair", lambda x, y: np.tensordot(x, y, axes=(-1, 0)), (2, 3), (3, 4)),
    _two("tensordot to a scalar", np.tensordot, (2, 3), (2, 3)),
    _two("kron", np.kron, (2, 3), (3, 2), ((2,), (3,)), ((2,), (2, 3)), ((), (2, 3)), ((2, 1, 2), (3, 2))),
    _two("cross", np.cross, (4, 3), (4, 3), ((3,), (3,)), ((4, 3), (3,)), ((2, 1, 3), (4, 3)), primitives=()),
    _two("cross axes", lambda x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), (3, 4), (4, 3), primitives=()),
    _two("cross axis", lambda x, y: np.cross(x, y, axis=0), (3, 4), (3, 4), primitives=()),
]


def _einsum(text: str, *shapes: Shape, **rest: Any) -> Row:
    return Row(
        f"einsum {text}",
        lambda *xs: np.einsum(text, *xs),
        shapes,
        **{"primitives": _CONTRACT if len(shapes) > 1 else (), **rest},
    )


_EINSUM = [
    _einsum("ij,jk->ik", (2, 3), (3, 4)),
    _einsum("ij,jk->ki", (2, 3), (3, 4)),
    _einsum("ij,jk", (2, 3), (3, 4)),
    _einsum("ba,bc", (2, 3), (2, 4)),
    _einsum("ij,kj->ik", (2, 3), (4, 3)),
    _einsum("ji,kj->ik", (3, 2), (4, 3)),
    _einsum("i,i", (3,), (3,)),
    _einsum("i,j->ji", (2,), (3,)),
    _einsum("i,i->i", (3,), (3,)),
    _einsum("ij,j->ij", (2, 3), (3,)),
    _einsum("ij,ij->i", (2, 3), (2, 3)),
    _einsum("ij,ij->j", (2, 3), (2, 3)),
    _einsum("ij,ij->", (2, 3), (2, 3)),
    _einsum("ij,ji->", (2, 3), (3, 2)),
    _einsum("ij->ji", (2, 3)),
    _einsum("ij->", (2, 3)),
    _einsum("ij->j", (2, 3)),
    _einsum("ba", (2, 3)),
    _einsum("ii", (3, 3)),
    _einsum("ii->i", (3, 3)),
    _einsum("iji->j", (3, 2, 3)),
    _einsum("jii->ij", (2, 3, 3)),
    _einsum("iii->i", (3, 3, 3)),
    _einsum("iijj->", (2, 2, 3, 3)),
    _einsum("ii,i->", (3, 3), (3,)),
    _einsum("ij,kl->", (2, 3), (4, 2), primitives=()),
    _einsum("ij,kl->ik", (2, 3), (4, 2)),
    _einsum(",ij->ji", (), (2, 3)),
    _einsum(",->", (), (), primitives=()),
    _einsum("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 2, 5)),
    _einsum("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 2, 3, 5)),
    _einsum("bhqk,bkhd->bqhd", (2, 3, 4, 2), (2, 2, 3, 5)),
    _einsum("abcd,cdb->da", (2, 3, 2, 4), (2, 4, 3)),
    _einsum("abk,cdk->acbd", (2, 3, 4), (2, 3, 4)),
    _einsum("akb,kc->abc", (2, 3, 4), (3, 2)),
    _einsum("kab,klb->la", (2, 3, 4), (2, 5, 4)),
    _einsum("zab,zab->z", (2, 3, 4), (2, 3, 4)),
    _einsum("zab,azb->bz", (2, 3, 4), (3, 2, 4)),
    _einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    _einsum("ij,jk,ki->", (2, 3), (3, 4), (4, 2)),
    _einsum("i,ij,j", (2,), (2, 3), (3,)),
    _einsum("i,i,i->i", (3,), (3,), (3,)),
    _einsum("i,j,k,l->lkji", (2,), (1,), (3,), (2,)),
    _einsum("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 2), (2, 5)),
    _einsum("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4), more_shapes=(((2, 3), (5, 3, 4)), ((2, 1, 2, 3), (5, 3, 4)))),
    _einsum("...ij,jk", (5, 2, 3), (3, 4)),
    _einsum("i...,i...->...", (3, 2), (3, 2)),
    _einsum("...i->...", (2, 4, 3), more_shapes=(((3,),),)),
    _einsum("...->...", (2, 3)),
    _einsum("...ii->...i", (2, 3, 3)),
    _einsum("i,i->i ", (1,), (3,), primitives=()),
    _einsum("ij,jk->ik ", (2, 1), (3, 4)),
    _einsum("ij,j->i", (2, 1), (1,), primitives=()),
    _einsum("ij,ik->", (2, 3), (1, 2), primitives=()),
    _einsum("ij,jk->ik  ", (0, 3), (3, 2)),
    _einsum("ij,jk->ik   ", (2, 0), (0, 3)),
    _einsum("i,ij->j", (3,), (3, 4), domain=(-5, 5), integers=(0, 1), differentiable=False),
    _einsum("ij->i", (2, 3), booleans=(0,), differentiable=False),
    Row("einsum lists", lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [2, 0]), ((2, 3), (3, 4)), primitives=_CONTRACT),
    Row("einsum lists implicit", lambda x, y: np.einsum(x, [4, 1], y, [1, 0]), ((2, 3), (3, 4)), primitives=_CONTRACT),
    Row(
        "einsum lists ellipsis",
        lambda x, y: np.einsum(x, [..., 1], y, [1, 2], [..., 2]),
        ((2, 3), (3, 4)),
        primitives=_CONTRACT,
    ),
    Row(
        "einsum constant",
        lambda x: np.einsum("ij,jk->ik", x, np.arange(6.0).reshape(3, 2)),
        ((2, 3),),
        primitives=_CONTRACT,
    ),
    Row("einsum number", lambda x: np.einsum("ij,->j", x, 2.0), ((2, 3),)),
    Row(
        "einsum optimize",
        lambda x, y: np.einsum("ij,jk->ik", x, y, optimize="greedy"),
        ((2, 3), (3, 4)),
        primitives=_CONTRACT,
    ),
    Row("einsum dtype", lambda x, y: np.einsum("ij,jk->ik", x, y, dtype="D"), ((2, 3), (3, 4)), primitives=_CONTRACT),
    Row("einsum mixed dtypes", lambda x, y: np.einsum("ij,jk->i", x, y.real), ((2, 3), (3, 4)), primitives=_CONTRACT),
    Row(
        "attention",
        lambda q, k, v: _attention(q, k, v),
        ((2, 3, 4), (2, 5, 4), (2, 5, 2)),
        dtypes="df",
        primitives=_CONTRACT,
    ),
]


def _attention(q: Any, k: Any, v: Any) -> Any:
    scores = np.einsum("hqd,hkd->hqk", q, k) / 2.0
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return np.einsum("hqk,hkd->hqd", weights / np.sum(weights, axis=-1, keepdims=True), v)


ROWS: list[Row] = [*_MATMUL, *_DOT, *_EINSUM]

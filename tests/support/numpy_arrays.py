"""Probes of NumPy's functions that make, reshape, join, split, index and fill arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .probe import Probe, p

_M = (3, 4)
_S = (3, 3)
_CUBE = (2, 3, 4)


def _filled(write: Callable[[Any, Any], Any], shape: tuple[int, ...] = (3,)) -> Callable[[Any], Any]:
    """A function that writes x into a plain array of zeros and returns this."""

    def fun(x: Any) -> Any:
        plain = np.zeros(shape)
        write(plain, x)
        return plain

    return fun


def _changed(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that writes into (a copy of) x and returns this."""

    def fun(x: Any) -> Any:
        own = x * 1.0
        write(own)
        return own

    return fun


_SPLIT = np.array([True, False, True])

PROBES: dict[str, Probe | tuple[Probe, ...]] = {
    # Shapes
    "reshape": p(lambda x: np.reshape(x, (2, 6)), _M),
    "ravel": p(lambda x: np.ravel(x), _M),
    "resize": p(lambda x: np.resize(x, (2, 5))),
    "transpose": p(lambda x: np.transpose(x, (2, 0, 1)), _CUBE),
    "permute_dims": p(lambda x: np.permute_dims(x, (2, 0, 1)), _CUBE),
    "matrix_transpose": p(lambda x: np.matrix_transpose(x), _CUBE),
    "swapaxes": p(lambda x: np.swapaxes(x, 0, 2), _CUBE),
    "moveaxis": p(lambda x: np.moveaxis(x, 0, -1), _CUBE),
    "rollaxis": p(lambda x: np.rollaxis(x, 2), _CUBE),
    "squeeze": p(lambda x: np.squeeze(x), (3, 1, 2)),
    "expand_dims": p(lambda x: np.expand_dims(x, (0, 2))),
    "broadcast_to": p(lambda x: np.broadcast_to(x, (2, 3))),
    "broadcast_arrays": p(lambda x, y: np.broadcast_arrays(x, y), (3, 1), (2,)),
    "atleast_1d": p(lambda x: np.atleast_1d(x), ()),
    "atleast_2d": p(lambda x: np.atleast_2d(x)),
    "atleast_3d": p(lambda x: np.atleast_3d(x)),
    "flip": p(lambda x: np.flip(x, 1), _M),
    "fliplr": p(lambda x: np.fliplr(x), _M),
    "flipud": p(lambda x: np.flipud(x), _M),
    "rot90": p(lambda x: np.rot90(x), _M),
    "roll": p(lambda x: np.roll(x, 1)),
    "tile": p(lambda x: np.tile(x, (2, 2))),
    "repeat": (p(lambda x: np.repeat(x, 2)), p(lambda i: np.repeat(np.arange(3), i), integers=(0,), domain=(1, 3),
               what="repeats")),
    "meshgrid": p(lambda x, y: np.meshgrid(x, y), (3,), (2,)),
    "ix_": p(lambda i: np.arange(12.0).reshape(3, 4)[np.ix_([0, 1], [0, 2, 1])] * i, integers=(0,), domain=(1, 9)),
    "unstack": p(lambda x: np.unstack(x), _M),
    "trim_zeros": p(lambda x: np.trim_zeros(x * np.array([0.0, 1.0, 1.0, 0.0]), "fb"), (4,)),
    "pad": p(lambda x: np.pad(x, 2, mode="reflect")),
    # Joining and splitting
    "concatenate": p(lambda x, y: np.concatenate([x, y]), (2, 3), (1, 3)),
    "concat": p(lambda x, y: np.concat([x, y]), (2, 3), (1, 3)),
    "stack": p(lambda x, y: np.stack([x, y]), (3,), (3,)),
    "hstack": p(lambda x, y: np.hstack([x, y]), (3,), (2,)),
    "vstack": p(lambda x, y: np.vstack([x, y]), (3,), (3,)),
    "row_stack": p(lambda x, y: np.row_stack([x, y]), (3,), (3,)),
    "dstack": p(lambda x, y: np.dstack([x, y]), (3,), (3,)),
    "column_stack": p(lambda x, y: np.column_stack([x, y]), (3,), (3,)),
    "block": p(lambda x, y: np.block([[x, y], [y, x]]), _S, _S),
    "append": p(lambda x, y: np.append(x, y), (3,), (2,)),
    "insert": (p(lambda x: np.insert(x, 1, 5.0)), p(lambda y: np.insert(np.zeros(3), 1, y), (), what="values")),
    "delete": p(lambda x: np.delete(x, 1)),
    "split": p(lambda x: np.split(x, 2), (4, 2)),
    "array_split": p(lambda x: np.array_split(x, 2), (5,)),
    "hsplit": p(lambda x: np.hsplit(x, 2), _M),
    "vsplit": p(lambda x: np.vsplit(x, 2), (4, 2)),
    "dsplit": p(lambda x: np.dsplit(x, 2), _CUBE),
    # Indexing
    "take": (p(lambda x: np.take(x, [0, 2, 2])), p(lambda i: np.take(np.arange(5.0), i), integers=(0,), domain=(0, 5),
             what="indices")),
    "take_along_axis": p(lambda x: np.take_along_axis(x, np.array([[0], [2], [1]]), 1), _M),
    "compress": p(lambda x: np.compress(_SPLIT, x)),
    "extract": (p(lambda x: np.extract(_SPLIT, x)), p(lambda x: np.extract(x > 0.5, x), what="condition")),
    "diag": p(lambda x: np.diag(x)),
    "diagflat": p(lambda x: np.diagflat(x), (2, 2)),
    "diagonal": p(lambda x: np.diagonal(x, 1), _M),
    "trace": p(lambda x: np.trace(x), _S),
    "tril": p(lambda x: np.tril(x), _M),
    "triu": p(lambda x: np.triu(x), _M),
    "diag_indices_from": p(lambda x: np.diag_indices_from(x), _S),
    "tril_indices_from": p(lambda x: np.tril_indices_from(x), _S),
    "triu_indices_from": p(lambda x: np.triu_indices_from(x), _S),
    "mask_indices": p(lambda x: np.mask_indices(3, np.triu, 0)[0] * x.size, _S),
    "ravel_multi_index": p(lambda i, j: np.ravel_multi_index((i, j), (4, 5)), (3,), (3,), integers=(0, 1),
                           domain=(0, 4)),
    "unravel_index": p(lambda i: np.unravel_index(i, (4, 5)), integers=(0,), domain=(0, 20)),
    # Writing into arrays
    "put": (
        p(_filled(lambda a, x: np.put(a, [0, 1, 2], x)), what="v",
          instead="x"),
        p(_changed(lambda a: np.put(a, [0], 5.0)), what="a"),
    ),
    "place": (
        p(_filled(lambda a, x: np.place(a, _SPLIT, x)), (2,), what="vals", instead="np.stack([x[0], 0.0, x[1]])"),
        p(_changed(lambda a: np.place(a, _SPLIT, [5.0])), what="arr"),
    ),
    "putmask": (
        p(_filled(lambda a, x: np.putmask(a, _SPLIT, x)), what="values",
          instead="np.where(np.array([True, False, True]), x, 0.0)"),
        p(_changed(lambda a: np.putmask(a, _SPLIT, 5.0)), what="a"),
    ),
    "put_along_axis": (
        p(_filled(lambda a, x: np.put_along_axis(a, np.array([1]), x, 0)), (1,), what="values",
          instead="np.where(np.arange(3) == 1, x, 0.0)"),
        p(_changed(lambda a: np.put_along_axis(a, np.array([1]), 5.0, 0)), what="arr"),
    ),
    "copyto": (
        p(_filled(lambda a, x: np.copyto(a, x)), what="src", instead="x"),
        p(_changed(lambda a: np.copyto(a, 5.0, where=_SPLIT)), what="dst"),
    ),
    "fill_diagonal": (
        p(_filled(lambda a, x: np.fill_diagonal(a, x), _S), (), what="val", instead="np.where(np.eye(3) > 0, x, 0)"),
        p(_changed(lambda a: np.fill_diagonal(a, 5.0)), _S, what="a"),
    ),
    # Making arrays
    "copy": p(lambda x: np.copy(x)),
    "astype": p(lambda x: np.astype(x, np.complex128)),
    "zeros_like": p(lambda x: np.zeros_like(x), flat=True),
    "ones_like": p(lambda x: np.ones_like(x), flat=True),
    "empty_like": p(lambda x: np.empty_like(x) * 0, flat=True),
    "full_like": (p(lambda x: np.full_like(np.zeros(3), x), (), what="fill_value", instead="np.broadcast_to(x, 3)"),
                  p(lambda x: np.full_like(x, 7.0), flat=True, what="a")),
    "linspace": p(lambda x, y: np.linspace(x, y, 5), (), ()),
    "logspace": p(lambda x, y: np.logspace(x, y, 5), (), ()),
    "geomspace": p(lambda x, y: np.geomspace(x, y, 5), (), ()),
    "vander": p(lambda x: np.vander(x, 4)),
    "array": (p(lambda x: np.array(x)),
              p(lambda x: np.array([x[0], x[1] * 2]), what="list")),
    "asarray": p(lambda x: np.asarray(x)),
    "asanyarray": p(lambda x: np.asanyarray(x)),
    "asarray_chkfinite": p(lambda x: np.asarray_chkfinite(x)),
    "ascontiguousarray": p(lambda x: np.ascontiguousarray(x)),
    "asfortranarray": p(lambda x: np.asfortranarray(x)),
    "asmatrix": p(lambda x: np.asmatrix(x).A),
    "bmat": p(lambda x: np.bmat([[x, x]]).A, (2, 2)),
    "require": p(lambda x: np.require(x, float), instead="x"),
    "full": p(lambda x: np.full(3, x), ()),
    "arange": p(lambda x: np.arange(x, 3.0), (), instead="x + np.arange(3)"),
    "fromiter": p(lambda x: np.fromiter(x, float), instead="np.stack(list(x))"),
    "fromfunction": p(lambda x: np.fromfunction(lambda i: x * i, (3,))),
    "frombuffer": p(lambda x: np.frombuffer(x), instead="x", numpys="bytes-like"),
    "from_dlpack": p(lambda x: np.from_dlpack(x), instead="x"),
    "kaiser": p(lambda x: np.kaiser(5, x), (), domain=(2.0, 3.0),
                instead="np.i0(x * np.sqrt(1 - ((np.arange(5) - 2) / 2) ** 2)) / np.i0(x)"),
    "tri": p(lambda x: np.tri(3) * x),
}  # fmt: skip

OTHERS: dict[str, Probe | tuple[Probe, ...]] = {
    "r_[...]": p(lambda x: np.r_[x, 0.0]),
    "lib.stride_tricks.sliding_window_view": p(
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (2, 3)), (3, 4)
    ),
    "c_[...]": p(lambda x: np.c_[x, x]),
}  # fmt: skip

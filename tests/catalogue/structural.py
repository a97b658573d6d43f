"""Functions that move elements: shaping, joining, splitting, padding."""

from __future__ import annotations

import numpy as np

from .row import Row

# numpy.pad asks only the array whom to call, so in a row with traced fill values the array is made to depend on them.

SHAPING = [
    Row(
        "reshape",
        lambda x: np.reshape(x, (3, -1)),
        ((2, 3),),
        more_shapes=(((0, 3),), ((6,),)),
        primitives=("reshape",),
    ),
    Row("reshape to scalar", lambda x: np.reshape(x, ()), ((1, 1),), more_shapes=(((),),)),
    Row("reshape F", lambda x: np.reshape(x, (3, 4), order="F"), ((2, 2, 3),)),
    Row("ravel", lambda x: np.ravel(x), ((2, 3),), more_shapes=(((),), ((0, 2),))),
    Row("ravel F", lambda x: np.ravel(x, order="F"), ((2, 3),)),
    Row("transpose", np.transpose, ((2, 3, 4),), more_shapes=(((),), ((3,),), ((0, 2),)), primitives=("transpose",)),
    Row("transpose axes", lambda x: np.transpose(x, (1, -1, 0)), ((2, 3, 4),)),
    Row("matrix_transpose", np.matrix_transpose, ((2, 3, 4),)),
    Row("swapaxes", lambda x: np.swapaxes(x, 0, -1), ((2, 3, 4),)),
    Row("moveaxis", lambda x: np.moveaxis(x, 0, -1), ((2, 3, 4),)),
    Row("moveaxis several", lambda x: np.moveaxis(x, (0, 2), (-1, 0)), ((2, 3, 4),)),
    Row("rollaxis", lambda x: (np.rollaxis(x, 2), np.rollaxis(x, 0, 3), np.rollaxis(x, 1, -1)), ((2, 3, 4),)),
    Row("squeeze", np.squeeze, ((1, 2, 1),), more_shapes=(((2,),), ((1,),))),
    Row("squeeze axis", lambda x: np.squeeze(x, axis=-1), ((1, 2, 1),)),
    Row("expand_dims", lambda x: np.expand_dims(x, (0, -1)), ((2, 3),), more_shapes=(((),),)),
    Row(
        "broadcast_to",
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        ((3, 1),),
        more_shapes=(((),), ((4,),), ((2, 1, 1),)),
        primitives=("broadcast_to",),
    ),
    Row("broadcast_to empty", lambda x: np.broadcast_to(x, (0, 3)), ((1, 3),), more_shapes=(((),),)),
    Row("broadcast_arrays", lambda x, y: np.broadcast_arrays(x, y), ((3, 1), (4,))),
    Row("atleast_1d", lambda x, y: np.atleast_1d(x, y), ((), (2, 3))),
    Row("atleast_2d", lambda x: np.atleast_2d(x), ((3,),), more_shapes=(((),), ((2, 3),))),
    Row("atleast_3d", lambda x: np.atleast_3d(x), ((3,),), more_shapes=(((),), ((2, 3),), ((2, 3, 4),))),
    Row("flip", np.flip, ((2, 3),), more_shapes=(((0, 2),),), primitives=("flip",)),
    Row("flip axis", lambda x: (np.flip(x, -1), np.flip(x, (0, 1))), ((2, 3),)),
    Row("fliplr, flipud", lambda x: (np.fliplr(x), np.flipud(x)), ((2, 3),)),
    Row("rot90", lambda x: [np.rot90(x, k) for k in (-1, 0, 1, 2, 3)], ((2, 3),)),
    Row("rot90 axes", lambda x: np.rot90(x, 1, (2, 0)), ((2, 3, 4),)),
    Row("roll", lambda x: np.roll(x, 2), ((3, 4),), more_shapes=(((0, 2),),), primitives=("roll",)),
    Row("roll axis", lambda x: (np.roll(x, 1, axis=0), np.roll(x, -3, axis=1)), ((3, 4),), more_shapes=(((2, 0),),)),
    Row("roll axes", lambda x: np.roll(x, (1, 6), axis=(1, 0)), ((3, 4),)),
    Row("tile", lambda x: np.tile(x, (2, 3)), ((2,),), more_shapes=(((),), ((2, 3, 2),))),
    Row("tile 0", lambda x: np.tile(x, 0), ((2,),)),
    Row("repeat", lambda x: np.repeat(x, 3), ((2, 2),), more_shapes=(((),), ((0,),))),
    Row("repeat axis", lambda x: np.repeat(x, 2, axis=1), ((2, 3, 2),)),
    Row("repeat counts", lambda x: np.repeat(x, [2, 0, 1], axis=-1), ((2, 3),)),
    Row("resize", lambda x: np.resize(x, (3, 3)), ((2, 2),), more_shapes=(((0,),), ((10,),))),
    Row("meshgrid", lambda x, y, z: np.meshgrid(x, y, z), ((2,), (3,), (4,))),
    Row("meshgrid sparse ij", lambda x, y: np.meshgrid(x, y, indexing="ij", sparse=True), ((2,), (3,))),
    Row("astype up", lambda x: x.astype(np.complex128), ((3,),), dtypes="dfF", primitives=("convert",)),
    Row("astype down", lambda x: (x.astype(np.longdouble) * 2).astype(np.float64), ((3,),), dtypes="d"),
    Row(
        "astype integer",
        lambda x: x.astype(np.int32),
        ((3,),),
        dtypes="df",
        differentiable=False,
        primitives=("truncate",),
    ),
    Row("astype from integer", lambda x: x.astype(np.float64), ((3,),), integers=(0,), differentiable=False),
    Row("copy", np.copy, ((2, 3),)),
    Row(
        "zeros_like, ones_like",
        lambda x: (np.zeros_like(x) + x, np.ones_like(x, shape=(3,), dtype=np.float32)),
        ((2, 3),),
    ),
    Row("full_like", lambda x: np.full_like(x, 3.0) * x, ((2, 3),)),
    Row("sum axes", lambda x: (np.sum(x, (0, 2)), np.sum(x, 0), np.sum(x)), ((2, 3, 4),), primitives=("sum",)),
]

JOINING = [
    Row(
        "concatenate",
        lambda x, y: np.concatenate([x, y]),
        ((2, 3), (1, 3)),
        more_shapes=(((0, 3), (2, 3)),),
        primitives=("concatenate",),
    ),
    Row("concatenate axis", lambda x, y: np.concatenate((x, y, x), axis=-1), ((2, 3), (2, 1))),
    Row("concatenate flat", lambda x, y: np.concatenate((x, y), axis=None), ((2, 3), ())),
    Row("concatenate promotes", lambda x: np.concatenate([x, np.arange(3), np.ones(2, np.float32)]), ((2,),)),
    Row("concatenate dtype", lambda x: np.concatenate([x, x], dtype=np.complex128), ((2,),)),
    Row("concatenate list", lambda x: np.concatenate([[x[0], 1.0], x]), ((2,),)),
    Row(
        "stack",
        lambda x, y: np.stack([x, y]),
        ((2, 3), (2, 3)),
        more_shapes=(((), ()), ((0,), (0,))),
        primitives=("stack",),
    ),
    Row("stack axis", lambda x, y: np.stack((x, y), axis=-1), ((2, 3), (2, 3))),
    Row("stack numbers", lambda x: np.stack([1.0, x, 2]), ((),)),
    Row("stack array", lambda x: np.stack(x, axis=1), ((2, 3),)),
    Row("vstack", lambda x, y: np.vstack([x, y]), ((3,), (2, 3))),
    Row("hstack", lambda x, y: np.hstack([x, y]), ((3,), (2,)), more_shapes=(((2, 3), (2, 1)), ((), ()))),
    Row("dstack", lambda x, y: np.dstack([x, y]), ((3,), (3,)), more_shapes=(((2, 3), (2, 3)),)),
    Row("column_stack", lambda x, y: np.column_stack([x, y]), ((3,), (3, 2))),
    Row("block", lambda x, y: np.block([[x, np.ones((2, 1))], [y, 2.0]]), ((2, 3), (3,))),
    Row("block flat", lambda x, y: np.block([x, y]), ((2, 3), (2, 1))),
    Row("append", lambda x, y: np.append(x, y), ((2, 3), (4,))),
    Row("append axis", lambda x, y: np.append(x, y, axis=0), ((2, 3), (1, 3))),
    Row("split", lambda x: np.split(x, 3, axis=1), ((2, 6),)),
    Row("split at", lambda x: np.split(x, [1, 4, 9]), ((6,),)),
    Row("array_split", lambda x: np.array_split(x, 4), ((6,),)),
    Row("hsplit", lambda x: np.hsplit(x, 2), ((2, 4),), more_shapes=(((4,),),)),
    Row("vsplit", lambda x: np.vsplit(x, 2), ((4, 3),)),
    Row("dsplit", lambda x: np.dsplit(x, [1]), ((2, 2, 3),)),
    Row("pad", lambda x: np.pad(x, ((1, 2), (0, 1))), ((2, 3),), more_shapes=(((0, 3),),), primitives=("unslice",)),
    Row(
        "pad constants",
        lambda x, c: np.pad(x + 0 * np.sum(c), ((1, 2), (2, 1)), constant_values=c),
        ((2, 3), ()),
        more_shapes=(((2, 3), (2,)), ((2, 3), (2, 2))),
    ),
    Row("pad edge", lambda x: np.pad(x, 2, mode="edge"), ((2, 3),)),
    Row("pad reflect", lambda x: np.pad(x, ((3, 4), (1, 5)), mode="reflect"), ((2, 3),)),
    Row("pad symmetric", lambda x: np.pad(x, (3, 2), mode="symmetric"), ((2, 3),)),
    Row("pad wrap", lambda x: np.pad(x, (5, 2), mode="wrap"), ((2, 3),)),
    Row(
        "pad linear_ramp",
        lambda x, e: np.pad(x + 0 * np.sum(e), ((1, 2), (2, 3)), mode="linear_ramp", end_values=e),
        ((2, 3), ()),
        more_shapes=(((2, 3), (2, 2)),),
    ),
    Row("insert", lambda x, y: np.insert(x, 1, y), ((4,), ()), more_shapes=(((4,), (3,)), ((2, 3), (2,)))),
    Row("insert axis", lambda x, y: np.insert(x, -1, y, axis=1), ((2, 3), (2,)), more_shapes=(((2, 3), ()),)),
    Row(
        "insert several",
        lambda x, y: np.insert(x, [3, 1, 1], y, axis=0),
        ((4, 2), (3, 2)),
        more_shapes=(((4, 2), (2,)), ((4, 2), ())),
    ),
    Row("insert slice", lambda x, y: np.insert(x, slice(0, 4, 2), y), ((4,), (2,))),
    Row("insert one", lambda x, y: np.insert(x, [1], y, axis=1), ((2, 3), (2, 4))),
    Row("delete", lambda x: np.delete(x, 1), ((2, 3),)),
    Row(
        "delete several",
        lambda x: (np.delete(x, [0, -1], axis=1), np.delete(x, slice(0, 4, 2), axis=0), np.delete(x, [], axis=0)),
        ((4, 3),),
    ),
    Row("delete mask", lambda x: np.delete(x, np.array([True, False, True])), ((3,),)),
    Row(
        "trim_zeros", lambda x: np.trim_zeros(x * np.array([0, 1, 0, 1, 0])), ((5,),), domain=(0.5, 2.0), batched=False
    ),
]

if hasattr(np, "unstack"):
    JOINING.append(Row("unstack", lambda x: np.unstack(x, axis=1), ((2, 3),)))

ROWS: list[Row] = [*SHAPING, *JOINING]

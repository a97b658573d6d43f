"""Rows of the functions of `fungrad.lax` that have primitives of their own, or take unusual ways to others."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad import lax
from fungrad.primitives.dynamic import dynamic_unslice_p

from .row import Row

# Convolutions: x and kernel, in several layouts, with strides, padding, spread and dilation, in groups

_NHWC = ("NHWC", "HWIO", "NHWC")


def _conv(*args: Any, **options: Any) -> Any:
    return lambda x, y: lax.conv_general_dilated(x, y, *args, **options)


_CONVOLUTIONS = [
    Row("lax.conv", lambda x, y: lax.conv(x, y, (1, 1), "VALID"), ((2, 2, 4, 5), (3, 2, 2, 3)), primitives=("conv",),
        more_shapes=(((1, 1, 2, 2), (1, 1, 2, 2)), ((0, 1, 3, 3), (2, 1, 2, 2)), ((1, 1, 1, 1), (1, 1, 3, 3)))),
    Row("lax.conv NHWC same", _conv((1, 1), "SAME", dimension_numbers=_NHWC), ((2, 4, 3, 2), (3, 3, 2, 3))),
    Row("lax.conv strides", _conv((2,), [(1, 2)]), ((2, 2, 7), (2, 2, 3))),
    Row("lax.conv spread", _conv((1, 1), [(1, 2), (0, 1)], (2, 3)), ((1, 2, 3, 2), (2, 2, 2, 3))),
    Row("lax.conv spread and strides", _conv((2,), [(2, 1)], (3,), (2,)), ((1, 2, 4), (2, 2, 2)), dtypes="dD"),
    Row("lax.conv dilated", _conv((1, 2), [(2, -1), (-1, 2)], None, (2, 1)), ((1, 1, 5, 6), (2, 1, 2, 2)), dtypes="df"),
    Row("lax.conv feature groups", _conv((1,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"), feature_group_count=2),
        ((2, 5, 4), (3, 2, 4)), dtypes="df"),
    Row("lax.conv depthwise", _conv((1, 1), "SAME", dimension_numbers=_NHWC, feature_group_count=3),
        ((2, 3, 4, 3), (2, 2, 1, 3)), dtypes="df"),
    Row("lax.conv batch groups", _conv((1,), "VALID", batch_group_count=2), ((4, 2, 5), (4, 2, 3)), dtypes="d"),
    Row("lax.conv pointwise", _conv((1, 1), "SAME", dimension_numbers=_NHWC), ((2, 3, 3, 4), (1, 1, 4, 2)), dtypes="d"),
    Row("lax.conv with itself", lambda x: lax.conv(x, x, (1,), [(1, 1)]), ((2, 2, 3),), dtypes="d"),
    Row("lax.conv_transpose", lambda x, y: lax.conv_transpose(x, y, (2, 1), "SAME"), ((1, 3, 2, 2), (3, 2, 2, 1)),
        dtypes="df"),
    Row("lax.conv patches", lambda x: lax.conv_general_dilated_patches(x, (2, 2), (1, 1), "VALID"), ((2, 2, 3, 4),),
        dtypes="d"),
]  # fmt: skip

# Windows


def _over(computation: Any, init: Any, *args: Any) -> Any:
    return lambda x: lax.reduce_window(x, init, computation, *args)


_BOX: Any = ((2, 3), (1, 2), [(1, 0), (1, 1)])
_SPREAD: Any = ((2,), (2,), [(1, 1)], (3,), (2,))
_TIES = ("window_max", "window_place", "window_pick", "window_unpick")

_WINDOWS = [
    Row("lax.reduce_window add", _over(lax.add, 0, *_BOX), ((4, 5),), more_shapes=(((1, 1),), ((3, 0),)),
        primitives=("window_sum",)),
    Row("lax.reduce_window add spread", _over(lax.add, 0.0, *_SPREAD), ((4,),), dtypes="dD"),
    Row("lax.reduce_window add long", _over(lax.add, 0.0, (19,), (2,), [(9, 11)]), ((40,),), dtypes="dD"),
    Row("lax.reduce_window max", lambda x: lax.reduce_window(x, _least(x), lax.max, *_BOX), ((4, 5),), dtypes="df",
        distinct=True, primitives=_TIES),
    Row("lax.reduce_window max apart", _over(lax.max, -9, (2, 2), (2, 2), "SAME"), ((5, 4),), dtypes="d",
        distinct=True),
    Row("lax.reduce_window max spread", _over(lax.max, 0.5, *_SPREAD), ((4,),), dtypes="d", distinct=True),
    Row("lax.reduce_window max long", _over(lax.max, -9, (19,), (1,), "SAME"), ((40,),), dtypes="d", distinct=True),
    Row("lax.reduce_window min", _over(lax.min, 9, *_BOX), ((4, 5),), dtypes="df", distinct=True,
        primitives=("window_min",)),
    Row("lax.reduce_window mul", _over(lax.mul, 1, *_BOX), ((3, 4),), dtypes="dD"),
]  # fmt: skip


def _least(x: Any) -> Any:
    return -9.0 if np.dtype(x.dtype).kind == "f" else 0


# Slices whose place is an operand: within, partly outside, counted from the end


def _unslice(t: Any, i: Any) -> Any:
    return dynamic_unslice_p.bind(t, i, shape=(2, 5), place=((3, 2),), lead=1, wrap=True)


_DYNAMIC = [
    Row("lax.dynamic_slice", lambda x, i, j: lax.dynamic_slice(x, (i, j, 0), (2, 3, 2)), ((4, 5, 2), (), ()),
        ((-2.0, 2.0), (-5, 6), (-5, 6)), integers=(1, 2), primitives=("dynamic_slice",)),
    Row("dynamic_unslice", _unslice, ((2, 3), ()), ((-2.0, 2.0), (-6, 6)), integers=(1,),
        primitives=("dynamic_unslice",)),
    Row("lax.dynamic_slice not wrapped",
        lambda x, i: lax.dynamic_slice(x, (0, i), (2, 2), allow_negative_indices=False), ((2, 5), ()),
        ((-2.0, 2.0), (-5, 6)), integers=(1,), dtypes="d"),
    Row("lax.dynamic_update_slice", lambda x, v, i, j: lax.dynamic_update_slice(x, v, (i, j, 0)),
        ((4, 5, 2), (2, 3, 2), (), ()), ((-2.0, 2.0), (-2.0, 2.0), (-5, 6), (-5, 6)), integers=(2, 3),
        primitives=("dynamic_put",)),
    Row("lax.dynamic_index_in_dim", lambda x, i: lax.dynamic_index_in_dim(x, i, 1, False), ((2, 3), ()),
        ((-2.0, 2.0), (-4, 4)), integers=(1,), dtypes="d"),
    Row("lax.dynamic_update_index_in_dim", lambda x, v, i: lax.dynamic_update_index_in_dim(x, v, i, 0),
        ((3, 2), (2,), ()), ((-2.0, 2.0), (-2.0, 2.0), (-4, 4)), integers=(2,), dtypes="d"),
]  # fmt: skip

# Gather and scatter: starts in and out of bounds, some of them twice

_ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))
_PUT_ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))
_PATCHES = lax.GatherDimensionNumbers((0, 2), (), (1, 0))


def _scatter(function: Any, **options: Any) -> Any:
    return lambda x, i, v: function(x, i, v, _PUT_ROWS, **options)


_SCATTERED: Any = (((4, 3), (5, 1), (5, 3)), ((-2.0, 2.0), (-1, 6), (-2.0, 2.0)))

_GATHERING = [
    Row("lax.gather clip", lambda x, i: lax.gather(x, i, _ROWS, (1, 3), mode="clip"), ((4, 3), (5, 1)),
        ((-2.0, 2.0), (-1, 6)), integers=(1,)),
    Row("lax.gather fill", lambda x, i: lax.gather(x, i, _PATCHES, (2, 2), mode="fill", fill_value=0), ((4, 3), (3, 2)),
        ((-2.0, 2.0), (-1, 4)), integers=(1,), dtypes="dD"),
    *[Row(f"lax.{f.__name__}", _scatter(f), *_SCATTERED, integers=(1,), dtypes="d", distinct=True)
      for f in (lax.scatter, lax.scatter_add, lax.scatter_sub, lax.scatter_mul, lax.scatter_min, lax.scatter_max)],
    Row("lax.scatter_add clip", _scatter(lax.scatter_add, mode="clip"), *_SCATTERED, integers=(1,), dtypes="dD"),
]  # fmt: skip

# Bits, dtypes, complex numbers

_BITS = [
    Row("lax.reduce of bits", lambda i: (lax.reduce_and(i, (1,)), lax.reduce_or(i, (0,)), lax.reduce_xor(i, (0, 1))),
        ((3, 4),), (-99, 99), integers=(0,), differentiable=False,
        primitives=("reduce_and", "reduce_or", "reduce_xor")),
    Row("lax.reduce of booleans", lambda b: (lax.reduce_and(b, (1,)), lax.reduce_or(b, (0,)), lax.reduce_xor(b, (0,))),
        ((3, 4),), booleans=(0,), differentiable=False),
    Row("lax.bitcast_convert_type", lambda i: (lax.bitcast_convert_type(i, np.float64),
        lax.bitcast_convert_type(i, np.int16)), ((2, 3),), (1, 99), integers=(0,), differentiable=False,
        primitives=("bitcast",), more_shapes=(((),),)),
    Row("lax.bits", lambda i, j: (lax.clz(i), lax.population_count(i), lax.shift_right_logical(i, j), lax.mulhi(i, j)),
        ((2, 3), (2, 3)), (-9, 9), integers=(0, 1), differentiable=False),
    # All bits are kept: what is cut off has no derivative that differences could see.
    Row("lax.reduce_precision", lambda x: lax.reduce_precision(x, 11, 52), ((3,),), dtypes="df",
        primitives=("reduce_precision",)),
    Row("lax.complex", lambda x, y: lax.complex(x, y) ** 2, ((3,), (3,)), dtypes="df", primitives=("complex",)),
    Row("lax.div of integers", lax.div, ((4,), (4,)), ((-9, 9), (1, 4)), integers=(0, 1), differentiable=False),
    Row("lax.round", lax.round, ((6,),), dtypes="df", differentiable=False),
]  # fmt: skip

_REDUCTIONS = [
    Row("lax.cumlogsumexp", lambda x: (lax.cumlogsumexp(x, 1), lax.cumlogsumexp(x, 0, True)), ((3, 4),), dtypes="df",
        primitives=("cumlogsumexp",)),
    Row("lax.reduce", lambda x: lax.reduce(x, 0, lambda a, b: a + b - a * b, (0, 2)), ((2, 2, 3),), dtypes="dD"),
    Row("lax.top_k", lambda x: lax.top_k(x, 2), ((3, 4),), dtypes="df", distinct=True),
    Row("lax.sort of several", lambda x, y: lax.sort((x, y), dimension=0), ((4, 2), (4, 2)), dtypes="df",
        distinct=True),
    Row("lax.pad", lambda x, v: lax.pad(x, v, [(1, -1, 2), (-1, 2, 0)]), ((3, 3), ()), dtypes="dD"),
    Row("lax.select_n", lambda i, x, y, z: lax.select_n(i, x, y, z), ((4,), (4,), (4,), (4,)),
        ((0, 3), (-2.0, 2.0), (-2.0, 2.0), (-2.0, 2.0)), integers=(0,), dtypes="dD"),
    Row("lax.clamp", lax.clamp, ((), (4,), ()), ((-2.0, -1.0), (-3.0, 3.0), (1.0, 2.0)), dtypes="df", distinct=True),
    Row("lax.ragged_dot", lambda x, y, n: lax.ragged_dot(x, y, n), ((5, 2), (2, 2, 3), (2,)),
        ((-2.0, 2.0), (-2.0, 2.0), (1, 3)), integers=(2,), dtypes="dD"),
]  # fmt: skip


def _regular(a: Any) -> Any:
    return a + 3 * np.arange(1, a.shape[-1] + 1) * np.eye(a.shape[-2], a.shape[-1])


_LINALG = [
    Row("lax.linalg.lu", lambda a: lax.linalg.lu(_regular(a))[0], ((3, 3),), (-1.0, 1.0), primitives=("lu",),
        more_shapes=(((2, 2, 2),), ((4, 2),), ((2, 4),), ((1, 1),))),
    Row("lax.linalg.lu_pivots_to_permutation", lambda a: lax.linalg.lu_pivots_to_permutation(
        lax.linalg.lu(a)[1], a.shape[-2]), ((4, 3),), dtypes="d", differentiable=False,
        primitives=("permutation_of_pivots",)),
    Row("lax.linalg.triangular_solve", lambda a, b: lax.linalg.triangular_solve(_regular(a), b, transpose_a=True),
        ((3, 3), (2, 3)), (-1.0, 1.0), dtypes="dD"),
]  # fmt: skip

ROWS: list[Row] = [
    *_CONVOLUTIONS,
    *_WINDOWS,
    *_DYNAMIC,
    *_GATHERING,
    *_BITS,
    *_REDUCTIONS,
    *_LINALG,
]

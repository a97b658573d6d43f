"""The functions of jax.lax on arrays, under its names and with its arguments, for programs that were written with it.

    import fungrad as fg
    from fungrad import lax

They are stricter than those of NumPy: operands have one shape (scalars aside), and an axis or a size that does not fit
is an error. What is done otherwise than in JAX:

* operands of different dtypes are promoted by NumPy's rules, and integers are taken as floating-point numbers where a
  function needs these; results of positions are 64-bit;
* on plain arrays results are plain NumPy arrays, and may be views of the operands;
* at kinks derivatives are those of `fungrad.numpy`: ties of a maximum share equally (in a window the first has
  all);
* ``precision``, ``accuracy`` and sharding arguments are accepted and have no effect.

``lax.linalg`` has the decompositions.
"""

# fmt: off
# isort: off
from fungrad.control.associative_scan import associative_scan
from fungrad.control.cond import cond, switch
from fungrad.control.custom_linear_solve import custom_linear_solve
from fungrad.control.custom_root import custom_root
from fungrad.control.fori_loop import fori_loop
from fungrad.control.map import map
from fungrad.control.scan import scan
from fungrad.control.while_loop import while_loop
from fungrad.lax import linalg
from fungrad.lax.contraction import (
    DotDimensionNumbers, Precision, PrecisionLike, batch_matmul, dot, dot_general, ragged_dot,
)
from fungrad.lax.conv_shapes import (
    ConvDimensionNumbers, ConvGeneralDilatedDimensionNumbers, conv_dimension_numbers, conv_general_permutations,
    conv_general_shape_tuple, conv_shape_tuple, conv_transpose_shape_tuple, padtype_to_pads,
)
from fungrad.lax.convolution import (
    conv, conv_general_dilated, conv_general_dilated_local, conv_general_dilated_patches, conv_transpose,
    conv_with_general_padding,
)
from fungrad.lax.elementwise import (
    RoundingMethod, abs, acos, acosh, add, asin, asinh, atan, atan2, atanh, bessel_i0e, bessel_i1e, betainc,
    bitwise_and, bitwise_not, bitwise_or, bitwise_xor, cbrt, ceil, clamp, clz, complex, conj, cos, cosh, digamma, div,
    eq, erf, erf_inv, erfc, exp, exp2, expm1, floor, ge, gt, igamma, igammac, imag, integer_pow, is_finite, le, lgamma,
    log, log1p, logistic, lt, max, min, mul, mulhi, ne, neg, nextafter, polygamma, population_count, pow, real,
    reciprocal, rem, round, rsqrt, select, select_n, shift_left, shift_right_arithmetic, shift_right_logical, sign, sin,
    sinh, sqrt, square, sub, tan, tanh, zeta,
)
from fungrad.lax.gathering import GatherDimensionNumbers, GatherScatterMode, gather, index_take
from fungrad.lax.misc import (
    FftType, after_all, composite, create_token, dce_sink, fft, platform_dependent, with_sharding_constraint,
)
from fungrad.lax.reductions import (
    argmax, argmin, cumlogsumexp, cummax, cummin, cumprod, cumsum, reduce, reduce_and, reduce_max, reduce_min,
    reduce_or, reduce_prod, reduce_sum, reduce_xor,
)
from fungrad.lax.scattering import (
    ScatterDimensionNumbers, scatter, scatter_add, scatter_apply, scatter_max, scatter_min, scatter_mul, scatter_sub,
)
from fungrad.lax.slicing import (
    dynamic_index_in_dim, dynamic_slice, dynamic_slice_in_dim, dynamic_update_index_in_dim, dynamic_update_slice,
    dynamic_update_slice_in_dim, index_in_dim, slice, slice_in_dim,
)
from fungrad.lax.sorting import approx_max_k, approx_min_k, sort, sort_key_val, top_k
from fungrad.lax.structural import (
    bitcast_convert_type, broadcast, broadcast_in_dim, broadcast_like, broadcast_shapes, broadcast_to_rank,
    broadcasted_iota, collapse, concatenate, convert_element_type, dtype, empty, expand_dims, full, full_like, iota,
    optimization_barrier, pad, reduce_precision, reshape, rev, shape_as_value, split, squeeze, stack, stop_gradient,
    tile, transpose, unstack, zeros_like_array,
)
from fungrad.lax.windows import reduce_window, reduce_window_shape_tuple
from fungrad.primitives.collectives import axis_index, axis_size, pmax, pmean, pmin, psum
# isort: on

__all__ = [
    "ConvDimensionNumbers", "ConvGeneralDilatedDimensionNumbers", "DotDimensionNumbers", "FftType",
    "GatherDimensionNumbers", "GatherScatterMode", "Precision", "PrecisionLike", "RoundingMethod",
    "ScatterDimensionNumbers", "abs", "acos", "acosh", "add", "after_all", "approx_max_k", "approx_min_k", "argmax",
    "argmin", "asin", "asinh", "associative_scan", "atan", "atan2", "atanh", "axis_index", "axis_size", "batch_matmul",
    "bessel_i0e", "bessel_i1e", "betainc", "bitcast_convert_type", "bitwise_and", "bitwise_not", "bitwise_or",
    "bitwise_xor", "broadcast", "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to_rank",
    "broadcasted_iota", "cbrt", "ceil", "clamp", "clz", "collapse", "complex", "composite", "concatenate", "cond",
    "conj", "conv", "conv_dimension_numbers", "conv_general_dilated", "conv_general_dilated_local",
    "conv_general_dilated_patches", "conv_general_permutations", "conv_general_shape_tuple", "conv_shape_tuple",
    "conv_transpose", "conv_transpose_shape_tuple", "conv_with_general_padding", "convert_element_type", "cos", "cosh",
    "create_token", "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "custom_linear_solve", "custom_root",
    "dce_sink", "digamma", "div", "dot", "dot_general", "dtype", "dynamic_index_in_dim", "dynamic_slice",
    "dynamic_slice_in_dim", "dynamic_update_index_in_dim", "dynamic_update_slice", "dynamic_update_slice_in_dim",
    "empty", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expand_dims", "expm1", "fft", "floor", "fori_loop", "full",
    "full_like", "gather", "ge", "gt", "igamma", "igammac", "imag", "index_in_dim", "index_take", "integer_pow", "iota",
    "is_finite", "le", "lgamma", "linalg", "log", "log1p", "logistic", "lt", "map", "max", "min", "mul", "mulhi", "ne",
    "neg", "nextafter", "optimization_barrier", "pad", "padtype_to_pads", "platform_dependent", "pmax", "pmean", "pmin",
    "polygamma", "population_count", "pow", "psum", "ragged_dot", "real", "reciprocal", "reduce", "reduce_and",
    "reduce_max", "reduce_min", "reduce_or", "reduce_precision", "reduce_prod", "reduce_sum", "reduce_window",
    "reduce_window_shape_tuple", "reduce_xor", "rem", "reshape", "rev", "round", "rsqrt", "scan", "scatter",
    "scatter_add", "scatter_apply", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub", "select", "select_n",
    "shape_as_value", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh", "slice",
    "slice_in_dim", "sort", "sort_key_val", "split", "sqrt", "square", "squeeze", "stack", "stop_gradient", "sub",
    "switch", "tan", "tanh", "tile", "top_k", "transpose", "unstack", "while_loop", "with_sharding_constraint",
    "zeros_like_array", "zeta",
]
# fmt: on

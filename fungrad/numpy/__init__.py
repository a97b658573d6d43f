"""NumPy's functions under their names, for programs that were written with ``import jax.numpy as jnp`` or autograd's.

    import fungrad.numpy as np

Traced arrays go through NumPy itself, so ``import numpy as np`` does in most programs; most of what is here are NumPy's
own functions, which find the rules for traced arrays by NumPy's two protocols (see ``dispatch``). There are also

* constructors whose arrays have ``.at`` and take traced values by assignment, and that build arrays of traced parts,
  which NumPy cannot dispatch: `array`, `asarray`, `zeros`, `full`, ... (see ``constructors``). What is computed from
  them outside of recordings is plain, so that arithmetic is as fast as NumPy's: ``asarray(y).at``. Every traced array
  has ``.at``;
* functions with arguments that jax.numpy has and NumPy has not (see ``extras`` and ``sized``).

Semantics are NumPy's: 64-bit types, IndexError out of bounds, in-place functions that write in place. The namespace
follows version 2024.12 of the Python array API standard. ``linalg`` and ``fft`` are imported when first used.

Importing this package fills the tables and gives tracers their operators and methods.

Examples
--------
>>> import fungrad as fg
>>> import fungrad.numpy as np
>>> def cumulated(x):
...     y = np.zeros(3)
...     y[0] = x[0]
...     for k in range(1, 3):
...         y[k] = y[k - 1] + np.sin(x[k])
...     return y.at[0].multiply(2.0)
>>> fg.jacfwd(cumulated)(np.zeros(3))
array([[2., 0., 0.],
       [1., 1., 0.],
       [1., 1., 1.]])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# fmt: off
# isort: off
from numpy import (
    False_, True_, abs, absolute, acos, acosh, add, all, allclose, amax, amin, angle, any, append, apply_along_axis,
    apply_over_axes, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, argmax, argmin, argpartition, around,
    array2string, array_equal, array_equiv, array_repr, array_split, array_str, asin, asinh, astype, atan, atan2,
    atanh, atleast_1d, atleast_2d, atleast_3d, average, bartlett, base_repr, binary_repr, bitwise_and, bitwise_count,
    bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, blackman, block,
    bool, bool_, broadcast, broadcast_arrays, broadcast_shapes, broadcast_to, byte, bytes_, can_cast, cbrt, cdouble,
    ceil, character, choose, column_stack, common_type, complex64, complex128, complexfloating, concat,
    concatenate, conj, conjugate, copysign, copyto, corrcoef, cos, cosh, count_nonzero, cov, cross, csingle, cumprod,
    cumsum, deg2rad, degrees, diag, diag_indices, diag_indices_from, diagflat, diagonal, diff, divide, divmod, double,
    dsplit, dtype, e, ediff1d, einsum_path, equal, errstate, euler_gamma, exp, exp2, expand_dims, expm1, fabs, finfo,
    flatiter, flexible, flip, fliplr, flipud, float16, float32, float64, float_power, floating, floor, floor_divide,
    fmax, fmin, fmod, format_float_positional, format_float_scientific, frexp, from_dlpack, frompyfunc, gcd, generic,
    genfromtxt, get_printoptions, geterr, gradient, greater, greater_equal, half, hamming, hanning, heaviside,
    histogram, histogram2d, histogram_bin_edges, histogramdd, hsplit, hstack, hypot, i0, iinfo, imag, index_exp,
    inexact, inf, insert, int8, int16, int32, int64, int_, intc, integer, interp, intp, invert, isclose, iscomplex,
    iscomplexobj, isdtype, isfinite, isfortran, isinf, isnan, isneginf, isposinf, isreal, isrealobj, isscalar,
    issubdtype, iterable, ix_, kaiser, kron, lcm, ldexp, left_shift, less, less_equal, lexsort, load, loadtxt, log,
    log1p, log2, log10, logaddexp, logaddexp2, logical_and, logical_not, logical_or, logical_xor, long, longdouble,
    longlong, matrix_transpose, max, maximum, may_share_memory, mean, median, meshgrid, mgrid, min, min_scalar_type,
    minimum, mintypecode, mod, modf, moveaxis, multiply, nan, nan_to_num, nanargmax, nanargmin, nancumprod, nancumsum,
    nanmax, nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar, ndarray,
    ndenumerate, ndim, ndindex, nditer, negative, nextafter, not_equal, number, object_, ogrid, outer, packbits, pad,
    partition, percentile, permute_dims, pi, piecewise, poly, polyadd, polyder, polyfit, polyint, polysub, positive,
    pow, power, printoptions, promote_types, ptp, putmask, quantile, rad2deg, radians, ravel, real, real_if_close,
    reciprocal, remainder, require, resize, result_type, right_shift, rint, roll, rollaxis, rot90, round, s_,
    save, savetxt, savez, savez_compressed, select, set_printoptions, seterr, shape, shares_memory, short, sign,
    signbit, signedinteger, sin, sinc, single, sinh, size, sort_complex, spacing, split, sqrt, square, squeeze, stack,
    std, str_, subtract, swapaxes, tan, tanh, tile, trace, transpose, trapezoid, tril, tril_indices,
    tril_indices_from, trim_zeros, triu, triu_indices, triu_indices_from, true_divide, trunc, ufunc, uint, uint8,
    uint16, uint32, uint64, uintp, unpackbits, unravel_index, unsignedinteger, unwrap, vander, var, void, vsplit,
    vstack,
)
from numpy.exceptions import ComplexWarning

from fungrad.numpy import (
    contraction, creation, dispatch, elementwise, indexing, joining, operators, reductions, shaping, sorting,
    statistics,
)
from fungrad.numpy.array_api import __array_api_version__, __array_namespace_info__
from fungrad.numpy.arrays import Array
from fungrad.numpy.constructors import (
    arange, array, asarray, c_, copy, empty, empty_like, eye, frombuffer, fromfile, fromfunction, fromiter,
    fromstring, full, full_like, geomspace, identity, indices, linspace, logspace, ones, ones_like, r_, tri,
    vectorize, zeros, zeros_like,
)
from fungrad.numpy.contraction import matvec, vecmat
from fungrad.numpy.extras import (
    argsort, clip, convolve, correlate, delete, digitize, dot, dstack, einsum, fill_diagonal, inner, isin, matmul,
    place, polydiv, polymul, polyval, prod, put, put_along_axis, ravel_multi_index, reshape, roots, searchsorted, sort,
    sum, take, take_along_axis, tensordot, vdot, vecdot,
)
from fungrad.numpy.joining import unstack
from fungrad.numpy.sized import (
    argwhere, bincount, compress, extract, flatnonzero, intersect1d, mask_indices, nonzero, repeat, setdiff1d,
    setxor1d, union1d, unique, unique_all, unique_counts, unique_inverse, unique_values, where,
)
from fungrad.numpy.statistics import cumulative_prod, cumulative_sum
# isort: on

if TYPE_CHECKING:
    from fungrad.numpy import fft, linalg

newaxis = None
complex_ = complex128
float_ = float64

_REGISTERING = (
    contraction, creation, dispatch, elementwise, indexing, joining, operators, reductions, shaping, sorting,
    statistics,
)

_MODULES = {"fft": "fungrad.numpy.fft", "linalg": "fungrad.numpy.linalg"}

_NOT_NUMPYS = {
    "float16": (
        "bfloat16", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
        "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    ),
    "int8": ("int1", "int2", "int4"),
    "uint8": ("uint1", "uint2", "uint4"),
}
"""The dtypes of jax.numpy that NumPy has not, by the next one that it has."""

__all__ = [
    "Array", "ComplexWarning", "False_", "True_", "__array_api_version__", "__array_namespace_info__", "abs",
    "absolute", "acos", "acosh", "add", "all", "allclose", "amax", "amin", "angle", "any", "append",
    "apply_along_axis", "apply_over_axes", "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "argmax", "argmin", "argpartition", "argsort", "argwhere", "around", "array", "array2string",
    "array_equal", "array_equiv", "array_repr", "array_split", "array_str", "asarray", "asin", "asinh", "astype",
    "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average", "bartlett", "base_repr",
    "binary_repr", "bincount", "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "blackman", "block", "bool", "bool_", "broadcast",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "byte", "bytes_", "c_", "can_cast", "cbrt", "cdouble",
    "ceil", "character", "choose", "clip", "column_stack", "common_type", "complex64", "complex128", "complex_",
    "complexfloating", "compress", "concat", "concatenate", "conj", "conjugate", "convolve", "copy", "copysign",
    "copyto", "corrcoef", "correlate", "cos", "cosh", "count_nonzero", "cov", "cross", "csingle", "cumprod", "cumsum",
    "cumulative_prod", "cumulative_sum", "deg2rad", "degrees", "delete", "diag", "diag_indices", "diag_indices_from",
    "diagflat", "diagonal", "diff", "digitize", "divide", "divmod", "dot", "double", "dsplit", "dstack", "dtype", "e",
    "ediff1d", "einsum", "einsum_path", "empty", "empty_like", "equal", "errstate", "euler_gamma", "exp", "exp2",
    "expand_dims", "expm1", "extract", "eye", "fabs", "fft", "fill_diagonal", "finfo", "flatiter", "flatnonzero",
    "flexible", "flip", "fliplr", "flipud", "float16", "float32", "float64", "float_", "float_power", "floating",
    "floor", "floor_divide", "fmax", "fmin", "fmod", "format_float_positional", "format_float_scientific", "frexp",
    "from_dlpack", "frombuffer", "fromfile", "fromfunction", "fromiter", "frompyfunc", "fromstring", "full",
    "full_like", "gcd", "generic", "genfromtxt", "geomspace", "get_printoptions", "geterr", "gradient", "greater",
    "greater_equal", "half", "hamming", "hanning", "heaviside", "histogram", "histogram2d", "histogram_bin_edges",
    "histogramdd", "hsplit", "hstack", "hypot", "i0", "identity", "iinfo", "imag", "index_exp", "indices", "inexact",
    "inf", "inner", "insert", "int8", "int16", "int32", "int64", "int_", "intc", "integer", "interp", "intersect1d",
    "intp", "invert", "isclose", "iscomplex", "iscomplexobj", "isdtype", "isfinite", "isfortran", "isin", "isinf",
    "isnan", "isneginf", "isposinf", "isreal", "isrealobj", "isscalar", "issubdtype", "iterable", "ix_", "kaiser",
    "kron", "lcm", "ldexp", "left_shift", "less", "less_equal", "lexsort", "linalg", "linspace", "load", "loadtxt",
    "log", "log1p", "log2", "log10", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logspace", "long", "longdouble", "longlong", "mask_indices", "matmul", "matrix_transpose",
    "matvec", "max", "maximum", "may_share_memory", "mean", "median", "meshgrid", "mgrid", "min", "min_scalar_type",
    "minimum", "mintypecode", "mod", "modf", "moveaxis", "multiply", "nan", "nan_to_num", "nanargmax", "nanargmin",
    "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile",
    "nanstd", "nansum", "nanvar", "ndarray", "ndenumerate", "ndim", "ndindex", "nditer", "negative", "newaxis",
    "nextafter", "nonzero", "not_equal", "number", "object_", "ogrid", "ones", "ones_like", "outer", "packbits",
    "pad", "partition", "percentile", "permute_dims", "pi", "piecewise", "place", "poly", "polyadd", "polyder",
    "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval", "positive", "pow", "power", "printoptions",
    "prod", "promote_types", "ptp", "put", "put_along_axis", "putmask", "quantile", "r_", "rad2deg", "radians",
    "ravel", "ravel_multi_index", "real", "real_if_close", "reciprocal", "remainder", "repeat", "require", "reshape",
    "resize", "result_type", "right_shift", "rint", "roll", "rollaxis", "roots", "rot90", "round", "s_", "save",
    "savetxt", "savez", "savez_compressed", "searchsorted", "select", "set_printoptions", "setdiff1d", "seterr",
    "setxor1d", "shape", "shares_memory", "short", "sign", "signbit", "signedinteger", "sin", "sinc", "single",
    "sinh", "size", "sort", "sort_complex", "spacing", "split", "sqrt", "square", "squeeze", "stack", "std", "str_",
    "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace",
    "transpose", "trapezoid", "tri", "tril", "tril_indices", "tril_indices_from", "trim_zeros", "triu",
    "triu_indices", "triu_indices_from", "true_divide", "trunc", "ufunc", "uint", "uint8", "uint16", "uint32",
    "uint64", "uintp", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    "unpackbits", "unravel_index", "unsignedinteger", "unstack", "unwrap", "vander", "var", "vdot", "vecdot",
    "vecmat", "vectorize", "void", "vsplit", "vstack", "where", "zeros", "zeros_like",
]
# fmt: on


def __getattr__(name: str) -> Any:
    """Import ``linalg`` and ``fft`` when they are first used."""
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    for instead, names in _NOT_NUMPYS.items():
        if name in names:
            raise AttributeError(f"fungrad.numpy has no {name}: NumPy has no such dtype; the next one is {instead}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""Convolutions of arrays with any number of spatial axes, as neural networks have them.

    out[n, o, p] = sum over c, k of lhs[n, c, p stride + k rhs_dilation - low] rhs[o, c, k]

No kernel is flipped (mathematically it is a correlation). ``lhs`` may have zeros put between its elements first
(``lhs_dilation``), which is what transposed convolutions do. Multilinear in lhs and rhs, so that all derivatives are
convolutions. Operands of different dtypes are promoted by NumPy's rules; ``precision`` is accepted and has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import Shape, typeof
from fungrad.lax.arguments import array, integers, require
from fungrad.lax.contraction import PrecisionLike, dot_general, in_product_dtype
from fungrad.lax.conv_shapes import (
    ConvDimensionNumbers,
    Padding,
    conv_dimension_numbers,
    pads_of,
    padtype_to_pads,
    transposed_padding,
)
from fungrad.primitives.contraction import alphabet
from fungrad.primitives.conv import Window, spread_size
from fungrad.primitives.conv import conv as _conv
from fungrad.primitives.structural import convert, flip, reshape, transpose


def _per_axis(function: str, name: str, values: Any, count: int, default: int = 1) -> tuple[int, ...]:
    found = (default,) * count if values is None else integers(function, name, values)
    require(
        len(found) == count and all(n > 0 for n in found),
        function,
        lambda: f"{name} must be {count} positive integers, one for each spatial axis, got {values!r}",
    )
    return found


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Any,
    padding: Padding,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    out_sharding: Any = None,
) -> Any:
    """Convolve, with strides, padding, dilation and groups.

    Parameters
    ----------
    lhs : array
        A batch of images (or signals, volumes, ...).
    rhs : array
        The kernels.
    window_strides : sequence of int
        The steps between windows, one for each spatial axis.
    padding : str or sequence of (int, int)
        "SAME", "SAME_LOWER", "VALID" (see `padtype_to_pads`), or how many zeros to put in front and behind; negative
        numbers cut elements off.
    lhs_dilation, rhs_dilation : sequence of int, optional
        n - 1 zeros are put between any two elements of the images or kernels.
    dimension_numbers : optional
        Three strings that name the axes of lhs, rhs and the result, such as ("NHWC", "HWIO", "NHWC"); or
        `ConvDimensionNumbers`; None is "NCHW", "OIHW", "NCHW".
    feature_group_count : int
        Features of lhs and of the result form this many groups that have nothing to do with each other.
    batch_group_count : int
        The batch of lhs and the features of the result form this many groups.
    precision : optional
        Without effect.
    preferred_element_type : dtype, optional
        The dtype of the result; a wider one is that of the computation too.

    Raises
    ------
    TypeError, ValueError
        If shapes and numbers do not fit; the message says which.

    Notes
    -----
    The derivative in one operand is a convolution with the other one. Windows are copied piece by piece into a matrix,
    which BLAS multiplies.

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> from fungrad import lax
    >>> image, kernel = np.arange(16.0).reshape(1, 4, 4, 1), np.ones((3, 3, 1, 1))
    >>> convolve = lambda k: lax.conv_general_dilated(
    ...     image, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    >>> convolve(kernel).reshape(2, 2)
    array([[45., 54.],
           [81., 90.]])
    >>> fg.grad(lambda k: convolve(k).sum())(kernel).reshape(3, 3)
    array([[10., 14., 18.],
           [26., 30., 34.],
           [42., 46., 50.]])
    """
    name = "conv_general_dilated"
    x, y, dtype = in_product_dtype(lhs, rhs, preferred_element_type)
    x_shape, y_shape = typeof(x).shape, typeof(y).shape
    require(
        len(x_shape) == len(y_shape) >= 2,
        name,
        lambda: f"lhs and rhs must have as many axes, at least two, got shapes {x_shape} and {y_shape}",
        TypeError,
    )
    numbers = conv_dimension_numbers(x_shape, y_shape, dimension_numbers)
    count = len(x_shape) - 2
    strides = _per_axis(name, "window_strides", window_strides, count)
    spread = _per_axis(name, "lhs_dilation", lhs_dilation, count)
    dilation = _per_axis(name, "rhs_dilation", rhs_dilation, count)
    sizes = [x_shape[k] for k in numbers.lhs_spec[2:]]
    kernel = [y_shape[k] for k in numbers.rhs_spec[2:]]
    if isinstance(padding, str):
        require(
            max(spread, default=1) == 1,
            name,
            lambda: f"padding {padding!r} is not defined with lhs_dilation; give pairs, or use lax.conv_transpose",
        )
        reach = [spread_size(k, d) for k, d in zip(kernel, dilation, strict=True)]
        padding = padtype_to_pads(sizes, reach, strides, padding)
    pads = pads_of(name, padding, count)
    _check_groups(x_shape, y_shape, numbers, feature_group_count, batch_group_count)
    windows: tuple[Window, ...] = tuple(
        [(s, low, high, m, d) for s, (low, high), m, d in zip(strides, pads, spread, dilation, strict=True)]
    )
    out = _grouped(x, y, numbers, windows, feature_group_count, batch_group_count)
    return convert(out, dtype)


def _check_groups(x_shape: Shape, y_shape: Shape, numbers: ConvDimensionNumbers, features: int, batches: int) -> None:
    name = "conv_general_dilated"
    (n, c), (o, i) = ([s[k] for k in p[:2]] for s, p in ((x_shape, numbers.lhs_spec), (y_shape, numbers.rhs_spec)))
    require(
        features >= 1 and batches >= 1 and (features == 1 or batches == 1),
        name,
        lambda: f"groups of features and of batches are at least 1, and one of them is 1; got {features} and {batches}",
    )
    require(
        c == i * features,
        name,
        lambda: (
            f"lhs of shape {x_shape} has {c} features; "
            f"kernels of shape {y_shape} in {features} groups take {i * features}"
        ),
        TypeError,
    )
    require(
        o % (features * batches) == 0 and n % batches == 0,
        name,
        lambda: f"{o} features of the result and a batch of {n} are no multiples of the {features * batches} groups",
    )


def _grouped(
    x: Any, y: Any, numbers: ConvDimensionNumbers, windows: tuple[Window, ...], features: int, batches: int
) -> Any:
    """Label the axes; split those of which groups are made, and merge them again in the result."""
    lhs, rhs, out = numbers
    n, c, o, g, *spatial = list(alphabet(4 + len(windows)))

    def labels(spec: Sequence[int], *names: str) -> list[str]:
        found = [""] * len(spec)
        for k, label in zip(spec, (*names, *spatial), strict=True):
            found[k] = label
        return found

    a, b, result = labels(lhs, n, c), labels(rhs, o, c), labels(out, n, o)
    groups = features * batches
    if groups > 1:
        x = _split_axis(x, lhs[1] if features > 1 else lhs[0], groups)
        y = _split_axis(y, rhs[0], groups)
        a[lhs[1] if features > 1 else lhs[0]] = g + (c if features > 1 else n)
        b[rhs[0]] = g + o
        result[out[1]] = g + o
    found = _conv(x, y, f"{''.join(a)},{''.join(b)}->{''.join(result)}", "".join(spatial), windows)
    if groups > 1:
        k, shape = out[1], typeof(found).shape
        found = reshape(found, (*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :]))
    return found


def _split_axis(x: Any, axis: int, count: int) -> Any:
    shape = typeof(x).shape
    return reshape(x, (*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]))


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Any,
    padding: str,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolve images "NCHW" with kernels "OIHW". See `conv_general_dilated`."""
    return conv_general_dilated(lhs, rhs, window_strides, padding, preferred_element_type=preferred_element_type)


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Any,
    padding: Padding,
    lhs_dilation: Any,
    rhs_dilation: Any,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Any:
    """Convolve images "NCHW" with kernels "OIHW", dilated. See `conv_general_dilated`."""
    return conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        preferred_element_type=preferred_element_type,
    )


_LAYOUTS = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Any,
    padding: Padding,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Convolve images with zeros between their elements: what goes back through a convolution with strides.

    Parameters
    ----------
    lhs, rhs : arrays
    strides : sequence of int
        ``stride - 1`` zeros are put between any two elements.
    padding : str or sequence of (int, int)
        "SAME" and "VALID" are those of the convolution that this one transposes; pairs are zeros around the spread
        images, or with ``use_consistent_padding`` the padding of the convolution that this one transposes.
    rhs_dilation : sequence of int, optional
    dimension_numbers : optional
        As in `conv_general_dilated`; by default "NHWC", "HWIO", "NHWC" for images, and alike for others.
    transpose_kernel : bool
        Whether to flip the kernels and exchange their two features: the exact adjoint of the convolution with them.
    precision : optional
        Without effect.
    preferred_element_type : dtype, optional
    use_consistent_padding : bool

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.conv_transpose(np.array([[[1.0], [2.0]]]), np.ones((3, 1, 1)), (2,), "VALID").ravel()
    array([1., 1., 3., 2., 2.])
    """
    x, y = array(lhs), array(rhs)
    rank = typeof(x).ndim
    require(
        rank == typeof(y).ndim >= 2,
        "conv_transpose",
        lambda: f"lhs and rhs must have as many axes, got shapes {typeof(x).shape} and {typeof(y).shape}",
        TypeError,
    )
    if dimension_numbers is None:
        require(rank in _LAYOUTS, "conv_transpose", lambda: f"give dimension_numbers for arrays with {rank} axes")
        dimension_numbers = _LAYOUTS[rank]
    numbers = conv_dimension_numbers(typeof(x).shape, typeof(y).shape, dimension_numbers)
    strides = _per_axis("conv_transpose", "strides", strides, rank - 2)
    dilation = _per_axis("conv_transpose", "rhs_dilation", rhs_dilation, rank - 2)
    if use_consistent_padding or isinstance(padding, str):
        reach = [spread_size(typeof(y).shape[k], d) for k, d in zip(numbers.rhs_spec[2:], dilation, strict=True)]
        each = [padding] * (rank - 2) if isinstance(padding, str) else padding
        padding = [transposed_padding(k, s, p) for k, s, p in zip(reach, strides, each, strict=True)]
    if transpose_kernel:
        first, second = numbers.rhs_spec[:2]
        order = list(range(rank))
        order[first], order[second] = second, first
        y = transpose(flip(y, tuple(sorted(numbers.rhs_spec[2:]))), tuple(order))
    return conv_general_dilated(
        x,
        y,
        (1,) * (rank - 2),
        padding,
        strides,
        dilation,
        numbers,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Any,
    window_strides: Any,
    padding: Padding,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    precision: PrecisionLike = None,
    preferred_element_type: Any = None,
) -> Any:
    """Extract the windows that a convolution multiplies with a kernel, as features of the result.

    The features of the result are ordered by feature of ``lhs`` first, then by place in the window.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad import lax
    >>> lax.conv_general_dilated_patches(np.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")
    array([[[0., 1., 2.],
            [1., 2., 3.]]])
    """
    x = array(lhs)
    shape = integers("conv_general_dilated_patches", "filter_shape", filter_shape)
    numbers = conv_dimension_numbers(typeof(x).shape, (1, 1, *shape), dimension_numbers)
    channels, size = typeof(x).shape[numbers.lhs_spec[1]], math.prod(shape)
    unit = np.broadcast_to(np.eye(size, dtype=typeof(x).dtype), (channels, size, size))
    kernel = unit.reshape(channels * size, 1, *shape)
    kernel = kernel.transpose(np.argsort(numbers.rhs_spec))
    return conv_general_dilated(
        x,
        kernel,
        window_strides,
        padding,
        lhs_dilation,
        rhs_dilation,
        numbers,
        feature_group_count=channels,
        preferred_element_type=preferred_element_type,
    )


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Any,
    padding: Padding,
    filter_shape: Any,
    lhs_dilation: Any = None,
    rhs_dilation: Any = None,
    dimension_numbers: Any = None,
    precision: PrecisionLike = None,
) -> Any:
    """Convolve with a kernel of its own for each window.

    Parameters
    ----------
    rhs : array
        Its features of the operand are ``channels x prod(filter_shape)``, ordered as those of
        `conv_general_dilated_patches`; its spatial axes have the sizes of the result.
    """
    x, y = array(lhs), array(rhs)
    shape = integers("conv_general_dilated_local", "filter_shape", filter_shape)
    _, rhs_spec, out_spec = numbers = conv_dimension_numbers(typeof(x).shape, (1, 1, *shape), dimension_numbers)
    patches = conv_general_dilated_patches(x, shape, window_strides, padding, lhs_dilation, rhs_dilation, numbers)
    out = dot_general(patches, y, (((out_spec[1],), (rhs_spec[1],)), (out_spec[2:], rhs_spec[2:])))
    rank = len(out_spec)  # (spatial..., batch, features)
    order = [0] * rank
    for k, axis in enumerate((*out_spec[2:], out_spec[0], out_spec[1])):
        order[axis] = k
    return transpose(out, tuple(order))

"""How the axes and the padding of convolutions are given, and the shapes that they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fungrad.core.aval import Shape
from fungrad.lax.arguments import integers, require
from fungrad.primitives.conv import window_count

Padding = str | Sequence[tuple[int, int]]


class ConvDimensionNumbers(NamedTuple):
    """Which axes of a convolution are what.

    ``lhs_spec`` and ``out_spec`` hold the axis of the batch, of the features, and the spatial axes; ``rhs_spec`` that
    of the result's features, of the operand's features, and the spatial axes.
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


ConvGeneralDilatedDimensionNumbers = tuple[str, str, str] | ConvDimensionNumbers | None


def conv_general_permutations(dimension_numbers: Sequence[str]) -> list[tuple[int, ...]]:
    """The axes in the order batch (or out features), features, spatial of each of three strings such as "NHWC".

    Examples
    --------
    >>> from fungrad import lax
    >>> lax.conv_general_permutations(("NHWC", "HWIO", "NHWC"))
    [(0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)]
    """
    rhs = dimension_numbers[1]
    found = []
    for spec, (first, second) in zip(dimension_numbers, (("N", "C"), ("O", "I"), ("N", "C")), strict=True):
        require(
            spec.count(first) == spec.count(second) == 1 and len(set(spec)) == len(spec),
            "conv_dimension_numbers",
            f"expected one {first}, one {second} and different letters in {spec!r}",
            TypeError,
        )
        spatial = [i for i, c in enumerate(spec) if c not in (first, second)]
        require(
            {spec[i] for i in spatial} == set(rhs) - {"O", "I"},
            "conv_dimension_numbers",
            f"the spatial letters of {tuple(dimension_numbers)} must be the same",
            TypeError,
        )
        spatial.sort(key=lambda i: rhs.index(spec[i]))
        found.append((spec.index(first), spec.index(second), *spatial))
    return found


def conv_dimension_numbers(lhs_shape: Any, rhs_shape: Any, dimension_numbers: Any) -> ConvDimensionNumbers:
    """Dimension numbers from three strings, from None ("NCHW", "OIHW", "NCHW"), or as they are."""
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    require(
        len(lhs_shape) == len(rhs_shape),
        "conv_dimension_numbers",
        lambda: f"lhs and rhs must have as many axes, got shapes {tuple(lhs_shape)} and {tuple(rhs_shape)}",
        TypeError,
    )
    if dimension_numbers is None:
        order = tuple(range(len(lhs_shape)))
        return ConvDimensionNumbers(order, order, order)
    require(
        isinstance(dimension_numbers, (list, tuple)) and len(dimension_numbers) == 3,
        "conv_dimension_numbers",
        lambda: f"expected three strings or ConvDimensionNumbers, got {dimension_numbers!r:.100}",
        TypeError,
    )
    for spec in dimension_numbers:
        require(
            isinstance(spec, str) and len(spec) == len(lhs_shape),
            "conv_dimension_numbers",
            f"expected a letter for each axis of shape {tuple(lhs_shape)}, got {spec!r}",
            TypeError,
        )
    return ConvDimensionNumbers(*conv_general_permutations(dimension_numbers))


def padtype_to_pads(in_shape: Any, window_shape: Any, window_strides: Any, padding: Padding) -> list[tuple[int, int]]:
    """The (low, high) padding of each axis that "VALID", "SAME" or "SAME_LOWER" stands for.

    "SAME" makes as many windows as there are strides in the axis; of an odd number of zeros the one more stands behind,
    with "SAME_LOWER" in front.

    Raises
    ------
    ValueError
        If the name is another one.
    """
    name = padding.upper() if isinstance(padding, str) else padding
    require(
        name in ("SAME", "SAME_LOWER", "VALID"),
        "padtype_to_pads",
        lambda: f"expected 'VALID', 'SAME' or 'SAME_LOWER', got {padding!r}",
    )
    pads = []
    for n, k, stride in zip(in_shape, window_shape, window_strides, strict=True):
        total = 0 if name == "VALID" else max((-(-n // stride) - 1) * stride + k - n, 0)
        low = total // 2 if name == "SAME" else total - total // 2
        pads.append((low, total - low))
    return pads


def pads_of(function: str, padding: Any, count: int) -> list[tuple[int, int]]:
    """A pair (low, high) for each spatial axis."""
    pads = [integers(function, "padding", p) for p in padding]
    require(
        len(pads) == count and all(len(p) == 2 for p in pads),
        function,
        lambda: f"padding must be a name or a pair (low, high) for each of {count} spatial axes, got {padding!r}",
    )
    return [(p[0], p[1]) for p in pads]


def transposed_padding(reach: int, stride: int, padding: Any) -> tuple[int, int]:
    """The zeros around a spread axis that undo a padding of the convolution."""
    if not isinstance(padding, str):
        low, high = padding
        return reach - 1 - low, reach - 1 - high
    require(
        padding.upper() in ("SAME", "VALID"),
        "conv_transpose",
        lambda: f"expected 'SAME', 'VALID' or pairs of integers, got {padding!r}",
    )
    if padding.upper() == "VALID":
        return reach - 1, stride - 1 + max(reach - stride, 0)
    total = reach + stride - 2
    low = reach - 1 if stride > reach - 1 else -(-total // 2)
    return low, total - low


def conv_shape_tuple(lhs_shape: Any, rhs_shape: Any, strides: Any, pads: Any, batch_group_count: int = 1) -> Shape:
    """The shape of a convolution of shapes "NCHW" and "OIHW"."""
    pairs = (
        padtype_to_pads(lhs_shape[2:], rhs_shape[2:], strides, pads)
        if isinstance(pads, str)
        else pads_of("conv_shape_tuple", pads, len(lhs_shape) - 2)
    )
    each = zip(lhs_shape[2:], rhs_shape[2:], strides, pairs, strict=True)
    spatial = [window_count(n, k, (s, low, high, 1, 1)) for n, k, s, (low, high) in each]
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *spatial)


def _shape_of(lhs: Any, rhs: Any, numbers: Any, find: Any) -> Shape:
    lhs_spec, rhs_spec, out_spec = conv_dimension_numbers(lhs, rhs, numbers)
    found = find(tuple([lhs[k] for k in lhs_spec]), tuple([rhs[k] for k in rhs_spec]))
    shape = [0] * len(found)
    for n, k in zip(found, out_spec, strict=True):
        shape[k] = n
    return tuple(shape)


def conv_general_shape_tuple(
    lhs_shape: Any, rhs_shape: Any, window_strides: Any, padding: Padding, dimension_numbers: Any
) -> Shape:
    """The shape of a convolution of shapes with these dimension numbers."""
    return _shape_of(
        lhs_shape, rhs_shape, dimension_numbers, lambda x, y: conv_shape_tuple(x, y, window_strides, padding)
    )


def conv_transpose_shape_tuple(
    lhs_shape: Any, rhs_shape: Any, window_strides: Any, padding: Padding, dimension_numbers: Any
) -> Shape:
    """The shape of a transposed convolution of shapes with these dimension numbers."""

    def find(x: Shape, y: Shape) -> Shape:
        pads: list[Any] = [padding] * (len(x) - 2) if isinstance(padding, str) else [tuple(p) for p in padding]
        spatial = []
        for n, k, stride, pair in zip(x[2:], y[2:], window_strides, pads, strict=True):
            low, high = transposed_padding(k, stride, pair) if isinstance(pair, str) else pair
            spatial.append(window_count(n, k, (1, low, high, stride, 1)))
        return (x[0], y[0], *spatial)

    return _shape_of(lhs_shape, rhs_shape, dimension_numbers, find)

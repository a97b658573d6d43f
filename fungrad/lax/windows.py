"""Reductions over windows: pooling, moving sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from fungrad import tree
from fungrad.core.aval import Shape, typeof
from fungrad.lax.arguments import integers, require
from fungrad.lax.conv_shapes import padtype_to_pads
from fungrad.lax.reductions import applied, flattened_with_initial, monoid_of, with_initial
from fungrad.lax.structural import pad
from fungrad.primitives import windows
from fungrad.primitives.conv import spread_size
from fungrad.primitives.structural import broadcast_to, slice_
from fungrad.primitives.windows import Windows

Padding = str | Sequence[tuple[int, int]]
_KNOWN: dict[str, Callable[[Any, Windows], Any]] = {
    "add": windows.window_sum,
    "max": windows.window_max,
    "min": windows.window_min,
}


def _windows_of(shape: Shape, dimensions: Any, strides: Any, padding: Padding, spread: Any, dilation: Any) -> Windows:
    def per_axis(name: str, values: Any) -> tuple[int, ...]:
        found = (1,) * len(shape) if values is None else integers("reduce_window", name, values)
        require(
            len(found) == len(shape) and all(n > 0 for n in found),
            "reduce_window",
            lambda: f"{name} must be a positive integer for each axis of shape {shape}, got {values!r}",
        )
        return found

    sizes = per_axis("window_dimensions", dimensions)
    steps = per_axis("window_strides", strides)
    spreads, dilations = per_axis("base_dilation", spread), per_axis("window_dilation", dilation)
    if isinstance(padding, str):
        reach = [spread_size(k, d) for k, d in zip(sizes, dilations, strict=True)]
        padding = padtype_to_pads(shape, reach, steps, padding)
    pads = [integers("reduce_window", "padding", p) for p in padding]
    require(
        len(pads) == len(shape) and all(len(p) == 2 for p in pads),
        "reduce_window",
        lambda: f"padding must be a name or a pair (low, high) for each axis of shape {shape}, got {padding!r}",
    )
    every = zip(sizes, steps, pads, spreads, dilations, strict=True)
    return tuple([(k, s, low, high, m, d) for k, s, (low, high), m, d in every])


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Any,
    window_strides: Any = None,
    padding: Padding = "VALID",
    base_dilation: Any = None,
    window_dilation: Any = None,
) -> Any:
    """Combine the elements of windows that slide over an array.

    Parameters
    ----------
    operand : array, or pytree of arrays of one shape
    init_value : scalar, or pytree of scalars
        What each window starts with, and what stands outside of the array: a neutral element.
    computation : callable
        ``computation(a, b)``, elementwise and associative. `lax.add`, `lax.max` and `lax.min` (or NumPy's) are fast.
    window_dimensions : sequence of int
        The size of windows along each axis.
    window_strides : sequence of int, optional
        The steps between windows; by default 1.
    padding : str or sequence of (int, int)
        "VALID", "SAME", "SAME_LOWER", or how many elements to put in front and behind along each axis.
    base_dilation, window_dilation : sequence of int, optional
        n - 1 neutral elements are put between any two of the array, or of a window.

    Notes
    -----
    A maximum (minimum) hands its derivative to the element that attains it, of equal ones to the first. Other
    computations are applied to whole arrays, once for each place in a window.

    Examples
    --------
    >>> import numpy as np
    >>> import fungrad as fg
    >>> from fungrad import lax
    >>> pool = lambda x: lax.reduce_window(x, -np.inf, lax.max, (2,), (2,))
    >>> x = np.array([1.0, 3.0, 5.0, 2.0])
    >>> pool(x), fg.grad(lambda x: pool(x).sum())(x)
    (array([3., 5.]), array([0., 1., 1., 0.]))
    """
    arrays, inits, structure = flattened_with_initial("reduce_window", operand, init_value)
    shape = typeof(arrays[0]).shape
    each = _windows_of(shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    name = monoid_of(computation, len(arrays))
    if name in _KNOWN:
        found = _KNOWN[name](arrays[0], each)
        return tree.unflatten(structure, [with_initial(name, computation, inits[0], found)])
    config = [(low, high, m - 1) for _, _, low, high, m, _ in each]
    padded = [pad(x, i, config) for x, i in zip(arrays, inits, strict=True)]
    counts = windows.shape_of(shape, each)
    out = [broadcast_to(i, counts) for i in inits]
    for place in itertools.product(*[range(w[0]) for w in each]):
        index = []
        for k, count, (_, stride, _, _, _, dilation) in zip(place, counts, each, strict=True):
            start = k * dilation
            index.append((start, start + max(count - 1, -1) * stride + 1, stride) if count else (0, 0, 1))
        parts = [slice_(x, tuple(index)) for x in padded]
        out = applied("reduce_window", computation, structure, out, parts)
    return tree.unflatten(structure, out)


def reduce_window_shape_tuple(
    operand_shape: Any,
    window_dimensions: Any,
    window_strides: Any,
    padding: Padding,
    base_dilation: Any = None,
    window_dilation: Any = None,
) -> Shape:
    """The shape of a reduction over windows."""
    shape = integers("reduce_window_shape_tuple", "operand_shape", operand_shape)
    each = _windows_of(shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return windows.shape_of(shape, each)

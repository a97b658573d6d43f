"""numpy.lib.stride_tricks: windows that slide over an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.stride_tricks import sliding_window_view as _numpys

from fungrad.core.aliasing import returns_views
from fungrad.core.aval import typeof
from fungrad.numpy.dispatch import implements
from fungrad.numpy.shaping import as_array, as_shape, refuse
from fungrad.primitives.indexing import gather
from fungrad.primitives.structural import moveaxis


@implements(_numpys)
@returns_views(read_only=True, always=True)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Show all windows of a shape, which slide by one element, along new axes behind the others.

    A view that is not written to. The derivative adds up what the windows that an element is in contribute.
    """
    refuse("lib.stride_tricks.sliding_window_view", subok=(subok, False), writeable=(writeable, False))
    x, sizes = as_array(x), as_shape(window_shape)
    rank = typeof(x).ndim
    if any(n < 0 for n in sizes):
        raise ValueError("`window_shape` cannot contain negative values")
    axes = tuple(range(rank)) if axis is None else normalize_axis_tuple(axis, rank, allow_duplicate=True)
    if len(sizes) != len(axes):
        raise ValueError(
            f"Must provide matching length window_shape and axis; got {len(sizes)} window_shape elements and "
            f"{len(axes)} axes elements."
        )
    for n, k in zip(sizes, axes, strict=True):
        length = typeof(x).shape[k]
        if n > length:
            raise ValueError("window shape cannot be larger than input array shape")
        x = gather(x, np.arange(length - n + 1)[:, None] + np.arange(n), axis=k)
        x = moveaxis(x, k + 1, typeof(x).ndim - 1)
    return x

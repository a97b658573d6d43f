"""Rows of the primitives that public transforms apply themselves."""

from __future__ import annotations

import fungrad as fg

from .row import Row

ROWS: list[Row] = [
    Row(
        "stop_gradient",
        fg.stop_gradient,
        ((2, 3),),
        more_shapes=(((),), ((0, 3),)),
        differentiable=False,
        primitives=("stop_gradient",),
    ),
]

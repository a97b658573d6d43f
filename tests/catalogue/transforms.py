"""Rows of the primitives that public transforms apply themselves."""

from __future__ import annotations

from typing import Any

import fungrad as fg

from .row import Row


def _pulled_assignment(x: Any, v: Any, i: Any) -> Any:
    def assigned(x: Any, v: Any) -> Any:
        y = x * x
        y[i] = v * v
        return y

    return fg.vjp(assigned, x, v)[1](x * 1.0)


ROWS: list[Row] = [
    Row(
        "stop_gradient",
        fg.stop_gradient,
        ((2, 3),),
        more_shapes=(((),), ((0, 3),)),
        differentiable=False,
        primitives=("stop_gradient",),
    ),
    Row(
        "checkpoint_name",
        lambda x: fg.checkpoint_name(x, "a"),
        ((2, 3),),
        more_shapes=(((),), ((0, 3),)),
        primitives=("name",),
    ),
    Row(
        "vjp of x[traced integers] = v",
        _pulled_assignment,
        ((4,), (3,), (3,)),
        domain=((-2.0, 2.0), (-2.0, 2.0), (0, 4)),
        integers=(2,),
        primitives=("last",),
    ),
]

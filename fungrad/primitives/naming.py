"""name: the identity, which gives a value a name that policies of `checkpoint` know.

    out = name[name="a"] x

It is linear, its tangent has no name, and compiled programs have nothing in its place.
"""

from __future__ import annotations

from typing import Any

from fungrad.core.aval import is_inexact, typeof
from fungrad.core.lowering import ONE_BY_ONE, VIEW, Lowering
from fungrad.core.primitive import Linear, record_abstract
from fungrad.core.trace import Recording, Tracer, newest


def _unnamed(t: Any) -> Any:
    return t


class Naming(Linear):
    """The primitive ``name``."""

    def __init__(self) -> None:
        super().__init__(
            "name",
            lambda x, *, name: x,
            abstract=lambda x, *, name: x,
            transpose=lambda ct, x, *, name: ct,
            batch=lambda axis, batched, x, *, name: self.bind(x, name=name),
            lowering=Lowering(lambda e, out, x, *, name: x, VIEW, rows=lambda x, *, name: ONE_BY_ONE, cost=0.0),
        )

    def bind(self, *operands: Any, **params: Any) -> Any:
        """The operand, or a tracer of the same value with the name."""
        recording = newest(operands)
        if recording is None:
            return operands[0]
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Name the value one level down; the tangent is that of the operand, unnamed."""
        (x,) = operands
        out = self.bind(x.value, **params)
        if not is_inexact(typeof(out).dtype):
            return out
        i = recording.fresh()
        recording.append((self, i, ((x.id, _unnamed, (), None),)))
        return Tracer(recording, i, out)


name_p = Naming()


def name(x: Any, label: str) -> Any:
    """The operand, named."""
    return name_p.bind(x, name=label)

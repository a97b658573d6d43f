"""Linearization: the tangent map of a function at a point, as something to push and pull through.

    Linearization : Tape -> (T a -o T b)

It is a tape (a recording with values) with its types. It can be walked forwards and backwards
directly, or turned into a jaxpr that is linear in the tangents (or cotangents), with everything that depends on
the point alone computed once and held as constants: that is what is called many times, or in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.memory import own
from fungrad.core.record import Tape, record_jaxpr
from fungrad.core.trace import Tracer
from fungrad.interpreters.jvp import forward, forward_with_freedom
from fungrad.interpreters.transpose import backward
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import broadcast_to, convert, zeros


class Linearization:
    """The tangent map of a function at the point where it was recorded.

    Attributes
    ----------
    tape : Tape
        The entries of the recording.
    in_avals, out_avals : list of ShapedArray
        Types of the differentiated inputs and of the results, floating-point leaves all.
    """

    __slots__ = ("in_avals", "out_avals", "tape", "transform", "user_fun")

    def __init__(
        self, tape: Tape, in_avals: list[ShapedArray], out_avals: list[ShapedArray], transform: str, user_fun: Any
    ) -> None:
        self.tape = tape
        self.in_avals = in_avals
        self.out_avals = out_avals
        self.transform = transform
        self.user_fun = user_fun

    def push(self, tangents: Sequence[Any], consume: bool = False) -> list[Any]:
        """Tangents of the results for tangents of the inputs (None: zero); zeros are made."""
        tape = self.tape
        known: list[Any] = [None] * tape.size
        for i, t in zip(tape.in_ids, tangents, strict=True):
            known[i] = t
        if tape.recording.beneath is None:
            forward(tape.entries, known, tape.out_ids, consume)
            outs = [None if i is None else known[i] for i in tape.out_ids]
        else:
            with tape.recording.following():
                outs = forward_with_freedom(tape.entries, known, tape.out_ids, tape.out_values)
            outs = [tape.recording.settle(t) for t in outs]
        return own([zeros(a) if t is None else _as(t, a) for t, a in zip(outs, self.out_avals, strict=True)], tangents)

    def pull(self, cotangents: Sequence[Any], consume: bool = False) -> list[Any]:
        """Cotangents of the inputs for cotangents of the results (None: zero); zeros are made."""
        tape = self.tape
        known: list[Any] = [None] * tape.size
        for i, ct in zip(tape.out_ids, cotangents, strict=True):
            if i is not None and ct is not None:
                known[i] = ct if known[i] is None else add(known[i], ct)
        with tape.recording.following():
            backward(tape.entries, known, consume)
        outs = [tape.recording.settle(known[i]) for i in tape.in_ids]
        return own(
            [zeros(a) if ct is None else _as(ct, a) for ct, a in zip(outs, self.in_avals, strict=True)], cotangents
        )

    def linear_jaxpr(self) -> ClosedJaxpr:
        """The map as a jaxpr of the inputs' tangents."""
        return record_jaxpr(
            self.transform, lambda *ts: self.push(ts), [a.strong() for a in self.in_avals], self.user_fun, of_user=False
        )

    def transposed_jaxpr(self) -> ClosedJaxpr:
        """The transposed map as a jaxpr of the results' cotangents."""
        return record_jaxpr(
            self.transform,
            lambda *cts: self.pull(cts),
            [a.strong() for a in self.out_avals],
            self.user_fun,
            of_user=False,
        )


def _as(t: Any, aval: ShapedArray) -> Any:
    """A (co)tangent of exactly this type, whatever rule made it."""
    if type(t) is not Tracer and not aval.shape:
        return convert(t, aval.dtype)
    if typeof(t).shape != aval.shape:
        t = broadcast_to(t, aval.shape)
    return convert(t, aval.dtype)

"""Run a function under a recording: with values, or abstractly into a jaxpr.

    record_values : (arrays -> leaves), arrays -> leaves, Tape
    record_jaxpr  : (arrays -> leaves), ShapedArrays -> ClosedJaxpr

Functions here are flat: they take arrays and return a list of leaves. Pytrees are the transforms' business.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.capture import capturing
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.trace import Entry, Recording, Tracer
from fungrad.errors import UnexpectedTracerError

_running = threading.local()
"""The recordings of this thread in which functions run, oldest first."""

FlatFunction = Callable[..., Sequence[Any]]


class Tape(NamedTuple):
    """What a recording with values leaves: its entries, and where inputs and results stand in them.

    ``out_ids[k]`` is None where result k does not depend on the inputs. ``size`` is the number of ids. ``recording`` is
    the one that there was, ended; ``out_values`` are the results in the recording beneath, if it had one.
    """

    entries: list[Entry]
    in_ids: list[int]
    out_ids: list[int | None]
    size: int
    recording: Recording
    out_values: list[Any]


def _recordings() -> list[Recording]:
    found: list[Recording] | None = getattr(_running, "recordings", None)
    if found is None:
        found = _running.recordings = []
    return found


def is_recording() -> bool:
    """Whether this thread runs a function under a recording."""
    return bool(_recordings())


def result_value(x: Any, recording: Recording) -> tuple[Any, int | None]:
    """A result one level down, and its id if this recording traced it."""
    if type(x) is not Tracer:
        return x, None
    if x.recording is recording:
        return x.value, x.id
    if x.recording.ended or x.recording.level > recording.level:
        raise UnexpectedTracerError(
            f"{recording.describe()} returned a traced array that was made by {x.recording.describe()}, which has "
            "ended: it leaked"
        )
    return x, None


def record_values(transform: str, fun: FlatFunction, values: Sequence[Any], user_fun: Any) -> tuple[list[Any], Tape]:
    """Run ``fun`` on tracers of these values; return its results one level down and the tape."""
    recording = Recording(False, transform, user_fun)
    tracers = [recording.new_input(v) for v in values]
    in_ids = [t.id for t in tracers]  # now: the function may assign to its arguments
    running = _recordings()
    running.append(recording)
    try:
        leaves = fun(*tracers)
    finally:
        running.remove(recording)
        entries = recording.end()
    outs, out_ids, out_values = [], [], []
    for leaf in leaves:
        value, i = result_value(leaf, recording)
        outs.append(recording.settle(value))
        out_ids.append(i)
        out_values.append(None if recording.beneath is None else value)
    return outs, Tape(entries, in_ids, out_ids, recording.fresh(), recording, out_values)


def record_jaxpr(
    transform: str,
    fun: FlatFunction,
    avals: Sequence[ShapedArray],
    user_fun: Any,
    prune: bool = True,
    of_user: bool = True,
    captures: bool = False,
    constants: Any = None,
) -> ClosedJaxpr:
    """Run ``fun`` on abstract tracers and close what it recorded over its constants.

    ``prune`` drops the equations that no result depends on (primitives have no effects). ``of_user`` is as for
    `Recording`. ``captures`` is for functions that may run never or many times: see `capturing`. ``constants`` are
    those of a recording around this one, so that both share snapshots.
    """
    recording = Recording(True, transform, user_fun, of_user)
    if constants is not None:
        recording.constants = constants
    tracers = [recording.new_input(a) for a in avals]
    inputs = [(t.id, a) for t, a in zip(tracers, avals, strict=True)]  # now: the function may assign to its arguments
    running = _recordings()
    outer = tuple(running) if captures else ()
    running.append(recording)
    try:
        with capturing(outer, recording) if captures else contextlib.nullcontext():
            leaves = [recording.constants.take(x) if of_user else x for x in fun(*tracers)]
    finally:
        running.remove(recording)
        entries = recording.end()
    return _close(recording, entries, inputs, leaves, prune)


def _close(
    recording: Recording,
    entries: list[Entry],
    inputs: Sequence[tuple[int, ShapedArray]],
    leaves: Sequence[Any],
    prune: bool,
) -> ClosedJaxpr:
    variables: dict[int, Var] = {i: Var(a) for i, a in inputs}
    constants: dict[int, tuple[Var, Any]] = {}

    def atom(x: Any, i: int | None) -> Atom:
        if i is not None:
            return variables[i]
        if type(x) is not Tracer and not isinstance(x, np.ndarray):
            return Literal(x)
        known = constants.get(id(x))
        if known is None:
            known = constants[id(x)] = (Var(typeof(x)), x)
        return known[0]

    results = [result_value(leaf, recording) for leaf in leaves]
    if prune:
        entries = _live(entries, {i for _, i in results if i is not None})
    eqns = []
    for prim, out_id, app in entries:
        ids, avals = (out_id, app.outs) if prim.multiple else ((out_id,), (app.outs,))
        atoms = [atom(x, i) for x, i in zip(app.operands, app.ids, strict=True)]
        outputs = [Var(a) for a in avals]
        variables.update(zip(ids, outputs, strict=True))
        eqns.append(Equation(prim, atoms, app.params, outputs, app.source))
    outvars = [atom(x, i) for x, i in results]
    constvars = [v for v, _ in constants.values()]
    return ClosedJaxpr(
        Jaxpr(constvars, [variables[i] for i, _ in inputs], eqns, outvars), [c for _, c in constants.values()]
    )


def _live(entries: list[Entry], needed: set[int]) -> list[Entry]:
    """The entries that the needed ids depend on, in order."""
    live = []
    for entry in reversed(entries):
        prim, out_id, app = entry
        if not needed.isdisjoint(out_id) if prim.multiple else out_id in needed:
            needed.update([i for i in app.ids if i is not None])
            live.append(entry)
    live.reverse()
    return live

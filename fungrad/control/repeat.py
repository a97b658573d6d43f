"""repeat: a body that is run a number of times that is computed. What while loops are for their derivatives.

    outs = repeat[family] count, operands

Once a while loop has run, the number of its iterations is known, and so it is a scan. A `Family` has a program for each
number of iterations, made of scans of bodies that do not depend on it; its derivative, its transpose and its batched
form are families again. So reverse mode through a loop of unknown length is that through a scan, and of any order.

The derivative of a loop runs the loop again: in forward mode with the tangents beside the carry, in constant memory; in
reverse mode keeping the residuals of each iteration that is really run.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.control.call import Program, call_p
from fungrad.control.loops import Params, joint
from fungrad.control.scan import scan_p
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.lowering import UNKNOWN, Emission, Lowering
from fungrad.core.primitive import Primitive, lower, record_abstract
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.primitives.comparison import less
from fungrad.primitives.reductions import reduce_max
from fungrad.primitives.selection import where
from fungrad.primitives.structural import zeros

KEPT = 64
"""Programs for different numbers of iterations that a family keeps."""


class Family:
    """Programs that differ in the number of iterations of their scans alone.

    Attributes
    ----------
    in_avals, out_avals : tuple of ShapedArray
        The same for all of them.
    """

    def __init__(self) -> None:
        self._programs: dict[int, Program] = {}
        self._derived: dict[Any, Any] = {}
        self._lock = threading.RLock()
        sample = self.program(1)
        self.name = sample.name
        self.in_avals, self.out_avals = sample.in_avals, sample.out_avals

    def __repr__(self) -> str:
        return f"<programs {self.name} {self.in_avals} -> {self.out_avals}>"

    def program(self, n: int) -> Program:
        """The program for n iterations."""
        with self._lock:
            found = self._programs.get(n)
            if found is None:
                if len(self._programs) >= KEPT:
                    self._programs.clear()
                found = self._programs[n] = self.make(n)
            return found

    def make(self, n: int) -> Program:
        """Make the program for n iterations."""
        raise NotImplementedError

    def masked(self) -> Family:
        """The family whose programs take a number of iterations first, and leave the carry as it is from there on."""
        raise NotImplementedError

    def derived(self, how: str, *args: Any) -> Family:
        """The family of what a method of `Program` makes of the programs."""
        with self._lock:
            key = how, args
            if key not in self._derived:
                self._derived[key] = self._derive(how, args)
            return self._derived[key]  # type: ignore[no-any-return]

    def _derive(self, how: str, args: tuple[Any, ...]) -> Family:
        return Derived(self, how, args)

    def has_derived(self, how: str, family: Family) -> bool:
        """Whether a family is what the method made of this one."""
        with self._lock:
            return any(known is family for key, known in self._derived.items() if key[0] == how)


class Repeated(Family):
    """A body, repeated: counts, consts, carry -> carry. With counts, from the least of them on nothing changes.

    Parameters
    ----------
    body : Program
        consts, carry -> carry
    n_consts : int
    checkpoint : str, int or None
        As of `scan`.
    n_counts : int
    """

    def __init__(self, body: Program, n_consts: int, checkpoint: Any = None, n_counts: int = 0) -> None:
        self.body, self.n_consts, self.checkpoint, self.n_counts = body, n_consts, checkpoint, n_counts
        self._step: Program | None = None
        super().__init__()

    def __reduce__(self) -> Any:
        return Repeated, (self.body, self.n_consts, self.checkpoint, self.n_counts)

    def params(self, n: int) -> Params:
        """Those of the scan."""
        if self._step is None:
            self._step = self._masked_body() if self.n_counts else self.body
        return {
            "body": self._step,
            "n_consts": self.n_counts + self.n_consts,
            "n_carry": len(self.body.out_avals),
            "length": n,
            "reverse": False,
            "checkpoint": self.checkpoint,
        }

    def _masked_body(self) -> Program:
        body, counts = self.body, self.n_counts

        def step(*args: Any) -> list[Any]:
            limits, operands, i = args[:counts], args[counts:-1], args[-1]
            outs = evaluate(body.closed, operands)
            for limit in limits:
                active = less(i, limit)
                outs = [where(active, new, old) for new, old in zip(outs, operands[self.n_consts :], strict=True)]
            return outs

        avals = [*[COUNT] * counts, *body.in_avals, COUNT]
        return Program(record_jaxpr("lax.while_loop", step, avals, body, of_user=False), body.name)

    def make(self, n: int) -> Program:
        """A scan."""
        params, counts = self.params(n), self.n_counts

        def run(*args: Any) -> Any:
            return scan_p.bind(*args, *([np.arange(n)] if counts else []), **params)

        avals = [*[COUNT] * counts, *[a.strong() for a in self.body.in_avals]]
        return Program(record_jaxpr("lax.while_loop", run, avals, self.body, of_user=False), self.body.name)

    def masked(self) -> Family:
        """With one more count."""
        return Repeated(self.body, self.n_consts, self.checkpoint, self.n_counts + 1)

    def _derive(self, how: str, args: tuple[Any, ...]) -> Family:
        return self._tangent(args[0]) if how == "linear" else super()._derive(how, args)

    def _tangent(self, active: tuple[bool, ...]) -> Family:
        """The tangents of the results, by a body of the carry with its tangents: nothing is kept, of any order."""
        counts, n_consts, n_in = self.n_counts, self.n_consts, len(active)
        form = joint({**self.params(1), "body": self.body, "n_consts": n_consts}, active[counts:])
        begins = [k for k, a in enumerate(active) if a]
        dots = [n_in + begins.index(k) if k in begins else None for k in range(n_in)]
        places = form.arranged(range(counts, n_in), [dots[counts + k] for k, f in enumerate(form.flags) if f])
        base = Repeated(form.params["body"], form.params["n_consts"], self.checkpoint, counts)
        n_carry = len(self.body.out_avals)
        avals = [*self.in_avals, *[self.in_avals[k].strong() for k in begins]]
        return Arranged(base, (*range(counts), *places), range(n_carry, n_carry + len(form.carry)), avals, form.carry)


class Arranged(Family):
    """A family with its operands in another order, zeros for some of them, and not all of its results.

    Parameters
    ----------
    base : Family
    places : sequence
        For each operand of the base which of the operands here it is; None for zeros.
    results : sequence of int
        Which results of the base there are.
    in_avals : sequence of ShapedArray
        The types of the operands.
    positions : tuple of int
        For a family of tangents: which results they are the tangents of.
    """

    def __init__(
        self,
        base: Family,
        places: Sequence[int | None],
        results: Sequence[int],
        in_avals: Sequence[ShapedArray],
        positions: tuple[int, ...] = (),
    ) -> None:
        self.base, self.places, self.results = base, tuple(places), tuple(results)
        self.in_avals, self.positions = tuple(in_avals), positions
        super().__init__()

    def __reduce__(self) -> Any:
        return Arranged, (self.base, self.places, self.results, self.in_avals, self.positions)

    def make(self, n: int) -> Program:
        """The program of the base, between."""
        program = self.base.program(n)

        def run(*args: Any) -> list[Any]:
            operands = [zeros(a) if p is None else args[p] for p, a in zip(self.places, program.in_avals, strict=True)]
            outs = evaluate(program.closed, operands)
            return [outs[k] for k in self.results]

        closed = record_jaxpr("lax.while_loop", run, self.in_avals, program, of_user=False)
        return Program(closed, program.name).made_linear()

    def masked(self) -> Family:
        """That of the masked base."""
        places = (0, *[None if p is None else p + 1 for p in self.places])
        return Arranged(self.base.masked(), places, self.results, (COUNT, *self.in_avals), self.positions)

    def _derive(self, how: str, args: tuple[Any, ...]) -> Family:
        if how != "linear":
            return super()._derive(how, args)
        (active,) = args
        begins = [k for k, a in enumerate(active) if a]
        moving = tuple([p is not None and active[p] for p in self.places])
        tangent: Any = self.base.derived("linear", moving)
        dots = [len(active) + begins.index(p) for p, m in zip(self.places, moving, strict=True) if m and p is not None]
        positions = tuple([k for k, r in enumerate(self.results) if r in tangent.positions])
        results = [tangent.positions.index(self.results[k]) for k in positions]
        avals = [*self.in_avals, *[self.in_avals[k].strong() for k in begins]]
        return Arranged(tangent, (*self.places, *dots), results, avals, positions)


class Derived(Family):
    """What a method of `Program` makes of each program of a family."""

    def __init__(self, base: Family, how: str, args: tuple[Any, ...]) -> None:
        self.base, self.how, self.args = base, how, args
        super().__init__()

    def __reduce__(self) -> Any:
        return Derived, (self.base, self.how, self.args)

    @property
    def positions(self) -> tuple[int, ...]:
        """The results (of a transposed program: the linear operands) that there is a (co)tangent for."""
        if self.how == "transposed":
            return self.base.program(1).transposed(*self.args)[1]
        return self.base.program(1).linear_form(*self.args).positions

    def make(self, n: int) -> Program:
        """By the method."""
        program = self.base.program(n)
        if self.how == "transposed":
            return program.transposed(*self.args)[0]
        if self.how == "batched":
            return program.batched(*self.args)
        form = program.linear_form(*self.args)
        n_in, n_out = len(program.in_avals), len(program.out_avals)

        def run(*args: Any) -> list[Any]:
            residuals = evaluate(form.forward.closed, args[:n_in])[n_out:]
            return evaluate(form.tangent.closed, [*residuals, *args[n_in:]])

        (active,) = self.args
        avals = [*program.in_avals, *[a.strong() for a, s in zip(program.in_avals, active, strict=True) if s]]
        closed = record_jaxpr("lax.while_loop", run, avals, program, of_user=False)
        return Program(closed, f"jvp({program.name})").made_linear()

    def masked(self) -> Family:
        """That of the masked base: the count is one more operand in front, neither active nor batched."""
        first, *rest = self.args
        if self.how == "batched":
            return self.base.masked().derived("batched", first, (False, *rest[0]))
        return self.base.masked().derived(self.how, (False, *first), *rest)


COUNT = ShapedArray((), np.dtype(np.int64))


class Repeat(Primitive):
    """The primitive ``repeat``."""

    kind = "call"

    def __init__(self) -> None:
        super().__init__("repeat", _run, multiple=True, lowering=Lowering(_text, UNKNOWN))

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The types of the results, whatever the count."""
        return params["family"].out_avals  # type: ignore[no-any-return]

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Run the program for the count, or record it."""
        recording = newest(operands)
        if recording is None:
            return _run(*operands, **params)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down and record the family of the tangents."""
        values, _ = lower(recording, operands)
        outs = self.bind(*values, **params)
        return record_tangent(recording, params["family"], operands[0], operands[1:], outs)

    def push(self, app: Application, tangents: Sequence[Any]) -> tuple[Any, ...]:
        """The tangents of the results of an application that is linear in its traced operands."""
        operands = [
            x if i is None else zeros(typeof(x)) if t is None else t
            for i, x, t in zip(app.ids, app.operands, tangents, strict=True)
        ]
        return self.bind(*operands, **app.params)  # type: ignore[no-any-return]

    def pull(self, app: Application, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the operands (None: zero) of an application that is linear in its traced operands."""
        count, *operands = app.operands
        linear = tuple([i is not None for i in app.ids[1:]])
        given = tuple([ct is not None for ct in cts])
        family: Any = app.params["family"].derived("transposed", linear, given)
        known = [x for x, s in zip(operands, linear, strict=True) if not s]
        outs = self.bind(count, *known, *[ct for ct in cts if ct is not None], family=family)
        bars: list[Any] = [None] * len(app.ids)
        for k, out in zip(family.positions, outs, strict=True):
            bars[1 + k] = out
        return bars

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """The batched family; with counts of their own the examples run together, and each until its own."""
        count, *rest = operands
        family: Family = params["family"]
        flags = tuple(batched[1:])
        if not batched[0]:
            return self.bind(count, *rest, family=family.derived("batched", axis, flags))
        most = reduce_max(count, (0,)) if axis.size else 0
        return self.bind(most, count, *rest, family=family.masked().derived("batched", axis, (True, *flags)))


def record_tangent(
    recording: Recording, family: Family, count: Any, operands: Sequence[Any], outs: Sequence[Any]
) -> tuple[Any, ...]:
    """The results of a repeated program as tracers, with the family of their tangents recorded."""
    values, ids = lower(recording, tuple(operands))
    active = tuple([i is not None for i in ids])
    tangent: Any = family.derived("linear", active)
    results = list(outs)
    if not tangent.positions:
        return tuple(results)
    take = recording.constants.take
    traced = [(i, typeof(x).strong()) for i, x in zip(ids, values, strict=True) if i is not None]
    known = [take(x) if type(x) is Tracer else x for x in (count, *values)]
    app = Application(
        (*[None] * len(known), *[i for i, _ in traced]),
        (*known, *[a for _, a in traced]),
        {"family": tangent},
        tangent.out_avals,
        None,
    )
    out_ids = tuple([recording.fresh() for _ in tangent.positions])
    recording.append((repeat_p, out_ids, app))
    for k, i in zip(tangent.positions, out_ids, strict=True):
        results[k] = Tracer(recording, i, results[k])
    return tuple(results)


def _run(count: Any, *operands: Any, family: Family) -> tuple[Any, ...]:
    return call_p.bind(*operands, program=family.program(int(count)))  # type: ignore[no-any-return]


def _text(e: Emission, out: str | None, count: str, *names: str, family: Family) -> str:
    return f"{e.const(family.program, 'program_for')}(int({count})).run({', '.join(names)})"


repeat_p = Repeat()

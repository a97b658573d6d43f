"""Programs whose derivative and batched form are given by rules, not by their equations.

    RuleProgram    a function; the rules speak of its first operands, what it closes over stands behind them
    LinearProgram  the derivative of one; its transpose is the rule's, its equations are made when they are needed

Calls of these programs stay calls in every program that may still be differentiated or batched. What a function closes
over is differentiated as any code is: through the function's equations, or through those of the rule that computes its
result where the rule is used.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fungrad.control.call import LinearForm, Program, call_p
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.record import record_jaxpr, record_values
from fungrad.core.trace import Recording, Tracer, newest
from fungrad.errors import NonLinearError, UnexpectedTracerError
from fungrad.interpreters.batch import batch
from fungrad.interpreters.fit import fit_tangent
from fungrad.interpreters.jvp import forward
from fungrad.interpreters.transpose import backward
from fungrad.passes.optimize import optimize
from fungrad.passes.partition import partition
from fungrad.primitives.arithmetic import add
from fungrad.primitives.collectives import axes_in_scope
from fungrad.primitives.structural import broadcast_to, reduce_sum, zeros


class Rules:
    """What a `RuleProgram` asks for: the derivative in the first ``arity`` operands, and the batched rules."""

    arity: int

    def by_rule(self, program: RuleProgram, active: tuple[bool, ...]) -> LinearForm:
        """The derivative in operands that the rules speak of."""
        raise NotImplementedError

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Rules:
        """The rules of the batched function."""
        raise NotImplementedError


class RuleProgram(Program):
    """A function with rules, recorded."""

    keeps_rules = True

    def __init__(self, closed: ClosedJaxpr, name: str, rules: Any) -> None:
        super().__init__(closed, name)
        self.rules = rules

    def __reduce__(self) -> Any:
        return type(self), (self.closed, self.name, self.rules)

    def _linearized(self, active: tuple[bool, ...], gathered: bool = False) -> LinearForm:
        arity = self.rules.arity
        if not any(active[arity:]):
            return self.rules.by_rule(self, active)  # type: ignore[no-any-return]
        ruled = (*active[:arity], *[False] * (len(active) - arity))
        return _with_closures(self, active, self.rules.by_rule(self, ruled) if any(ruled) else None)

    def mapped(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> Any:
        """The results for batched operands; on values without compiling what runs once."""
        if newest(operands) is not None:
            return super().mapped(axis, flags, operands)
        outs, batched = batch(self.closed, axis, operands, flags)
        return tuple([spread(x, b, axis) for x, b in zip(outs, batched, strict=True)])

    def _batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        plain = super()._batched(axis, flags)
        return type(self)(plain.closed, plain.name, self.rules.batched(axis, flags))


def _with_closures(program: RuleProgram, active: tuple[bool, ...], form: LinearForm | None) -> LinearForm:
    """The sum of the rule's derivative and that of the code in what it closes over."""
    arity, n_in, n_out = program.rules.arity, len(active), len(program.out_avals)
    chosen = [k for k, a in enumerate(active) if a]
    n_ruled = sum(active[:arity])
    closures = chosen[n_ruled:]
    closed = program.closed if form is None else form.forward.closed
    positions: list[int] = []

    def joint(*args: Any) -> list[Any]:
        primals, tangents = args[:n_in], args[n_in:]

        def of_closures(*xs: Any) -> list[Any]:
            operands = list(primals)
            for k, x in zip(closures, xs, strict=True):
                operands[k] = x
            return evaluate(closed, operands)

        outs, tape = record_values("jit", of_closures, [primals[k] for k in closures], program)
        known: list[Any] = [None] * tape.size
        for k, t in zip(tape.in_ids, tangents[n_ruled:], strict=True):
            known[k] = t
        forward(tape.entries, known, tape.out_ids, consume=True)
        dots = [None if i is None else known[i] for i in tape.out_ids[:n_out]]
        if form is not None:
            by_rule = call_p.bind(*outs[n_out:], *tangents[:n_ruled], program=form.tangent)
            for k, t in zip(form.positions, by_rule, strict=True):
                dots[k] = t if dots[k] is None else add(dots[k], t)
        results = []
        for k, (t, aval) in enumerate(zip(dots, program.out_avals, strict=True)):
            if t is not None and is_inexact(aval.dtype):
                positions.append(k)
                results.append(fit_tangent(t, aval))
        return [*outs[:n_out], *results]

    avals = [*program.in_avals, *[program.in_avals[k].strong() for k in chosen]]
    whole = record_jaxpr("jit", joint, avals, program, of_user=False)
    first, second = partition(optimize(whole), [True] * n_in + [False] * len(chosen), n_out)
    return LinearForm(Program(first, program.name), Program(second, f"jvp({program.name})"), tuple(positions))


class LinearProgram(Program):
    """A program that is linear in its last operands and has a transpose of its own.

    Subclasses make the equations (`make_closed`), and the transpose in the last operands (`transposed_by_rule`).
    """

    keeps_rules = True

    def __init__(
        self, name: str, in_avals: Sequence[ShapedArray], out_avals: Sequence[ShapedArray], n_known: int
    ) -> None:
        self.name = self.__name__ = name
        self.in_avals, self.out_avals, self.n_known = tuple(in_avals), tuple(out_avals), n_known
        self._made: dict[Any, Any] = {}
        self._lock = threading.RLock()
        self._run = None

    @property
    def closed(self) -> ClosedJaxpr:  # type: ignore[override]
        """The equations, which forward mode and running need; reverse mode does not."""
        return self.once("closed", self.make_closed)  # type: ignore[no-any-return]

    @property
    def eqns(self) -> tuple[Equation, ...]:
        """The equations, where there are any to show."""
        try:
            return self.closed.eqns
        except NonLinearError as error:
            raise AttributeError(str(error)) from None

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled: a rule is its transpose")

    def make_closed(self) -> ClosedJaxpr:
        """The equations."""
        raise NotImplementedError

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """A program of the known operands and the given cotangents; it returns cotangents of all linear operands."""
        raise NotImplementedError

    def _transposed(self, linear: tuple[bool, ...], given: tuple[bool, ...]) -> tuple[Program, tuple[int, ...]]:
        n = self.n_known
        if any(linear[:n]):  # linear in what the rule takes as known: only the equations can tell
            return super()._transposed(linear, given)
        whole = self.transposed_by_rule(given)
        chosen = [k for k, a in enumerate(linear) if a]
        fixed = len(linear) - n - len(chosen)  # tangents that are known, zeros

        def pull(*args: Any) -> list[Any]:
            outs = call_p.bind(*args[:n], *args[n + fixed :], program=whole)
            return [outs[k - n] for k in chosen]

        others = [a for a, m in zip(self.in_avals, linear, strict=True) if not m]
        avals = [*others, *[a for a, g in zip(self.out_avals, given, strict=True) if g]]
        closed = record_jaxpr("jit", pull, avals, self, of_user=False)
        return Program(closed, f"transpose({self.name})"), tuple(chosen)

    def _batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        return BatchedLinear(self, axis, flags)

    def batched_closed(self, axis: Any, flags: tuple[bool, ...]) -> ClosedJaxpr:
        """The batched equations."""
        return super()._batched(axis, flags).closed


class BatchedLinear(LinearProgram):
    """The batched form of another one."""

    def __init__(self, inner: LinearProgram, axis: Any, flags: tuple[bool, ...]) -> None:
        super().__init__(
            f"vmap({inner.name})",
            _batched_avals(inner.in_avals, axis, flags),
            _batched_avals(inner.out_avals, axis, [True] * len(inner.out_avals)),
            inner.n_known,
        )
        self.inner, self.axis, self.flags = inner, axis, flags

    def make_closed(self) -> ClosedJaxpr:
        """See `LinearProgram`."""
        return self.inner.batched_closed(self.axis, self.flags)

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """See `LinearProgram`."""
        known, linear = self.flags[: self.n_known], self.flags[self.n_known :]
        whole = self.inner.transposed_by_rule(given).batched(self.axis, (*known, *[True] * sum(given)))
        return summed(whole, linear)


class Selected(LinearProgram):
    """Another program in some of its linear operands; the others are zero."""

    def __init__(self, whole: Program, n_known: int, chosen: Sequence[int]) -> None:
        kept = [*range(n_known), *[n_known + k for k in chosen]]
        super().__init__(whole.name, [whole.in_avals[k] for k in kept], whole.out_avals, n_known)
        self.whole, self.chosen = whole, tuple(chosen)

    def make_closed(self) -> ClosedJaxpr:
        """See `LinearProgram`."""

        def flat(*args: Any) -> list[Any]:
            known, tangents = args[: self.n_known], args[self.n_known :]
            filled = [zeros(a) for a in self.whole.in_avals[self.n_known :]]
            for k, t in zip(self.chosen, tangents, strict=True):
                filled[k] = t
            return evaluate(self.whole.closed, [*known, *filled])

        return record_jaxpr("jit", flat, self.in_avals, self, of_user=False)

    def transposed_by_rule(self, given: tuple[bool, ...]) -> Program:
        """See `LinearProgram`."""
        n = self.n_known
        linear = range(n, len(self.whole.in_avals))

        def pull(*args: Any) -> list[Any]:
            rest = iter(args[n:])
            cts = [next(rest) if g else None for g in given]
            bars = transpose_at(self.whole.closed, cts, linear, args[:n])
            return [zeros(self.whole.in_avals[n + k]) if bars[k] is None else bars[k] for k in self.chosen]

        avals = [*self.in_avals[:n], *[a for a, g in zip(self.out_avals, given, strict=True) if g]]
        # A recording like one of the user's: then sums with constants are refused (`transpose._check_no_constant`).
        return Program(record_jaxpr("jit", pull, avals, self), f"transpose({self.name})")


def _batched_avals(avals: Iterable[ShapedArray], axis: Any, flags: Sequence[bool]) -> list[ShapedArray]:
    return [ShapedArray((axis.size, *a.shape), a.dtype) if b else a.strong() for a, b in zip(avals, flags, strict=True)]


def summed(program: Program, flags: Sequence[bool]) -> Program:
    """A batched program whose results without a flag are summed over the batch axis: cotangents of what is shared."""
    if all(flags):
        return program

    def flat(*args: Any) -> list[Any]:
        outs = call_p.bind(*args, program=program)
        return [x if b else reduce_sum(x, (0,)) for x, b in zip(outs, flags, strict=True)]

    return Program(record_jaxpr("jit", flat, program.in_avals, program, of_user=False), program.name)


def spread(x: Any, batched: bool, axis: Any) -> Any:
    """An operand with the batch axis in front."""
    return x if batched else broadcast_to(x, (axis.size, *typeof(x).shape))


def transpose_at(closed: ClosedJaxpr, cts: Sequence[Any], linear: Sequence[int], known: Sequence[Any]) -> list[Any]:
    """The cotangents (None: zero) of a jaxpr in its operands ``linear``, for cotangents (None: zero) of its results."""
    recording = Recording(True, "vjp", closed, of_user=False)
    inputs = {k: recording.new_input(closed.in_avals[k].strong()) for k in linear}
    ids = {k: t.id for k, t in inputs.items()}
    rest = iter(known)
    outs = evaluate(closed, [inputs[k] if k in inputs else next(rest) for k in range(len(closed.in_avals))])
    bars: list[Any] = [None] * recording.fresh()
    for out, ct in zip(outs, cts, strict=True):
        if ct is not None and type(out) is Tracer and out.recording is recording:
            bars[out.id] = ct if bars[out.id] is None else add(bars[out.id], ct)
    backward(recording.end(), bars, consume=True)
    return [bars[ids[k]] for k in linear]


class RuleEntry:
    """What stands in the place of a primitive in a recording with values: derivatives by a rule.

    The parameter ``map`` of its applications has ``push`` and ``pull``; see `call.Call`.
    """

    kind = "call"
    multiple = True
    overwrites = False

    def __init__(self, name: str) -> None:
        self.name = name

    def push(self, app: Any, tangents: Sequence[Any]) -> Sequence[Any]:
        """The tangents of the results."""
        return app.params["map"].push(tangents)  # type: ignore[no-any-return]

    def pull(self, app: Any, cts: Sequence[Any]) -> Sequence[Any]:
        """The cotangents of the operands."""
        return app.params["map"].pull(cts)  # type: ignore[no-any-return]


# --- what functions and rules close over ----------------------------------------------------------------------------


class ClosesOver(Exception):
    """A rule that runs on values met a traced array of the recording that it works for, or of a newer one."""


def check_older(values: Iterable[Any], recording: Recording) -> None:
    """Raise `ClosesOver` unless what was computed one level down belongs there."""
    for x in values:
        if type(x) is Tracer and x.recording.level >= recording.level:
            raise ClosesOver


def collect(closed: ClosedJaxpr, closures: list[Tracer], recorded_now: bool, what: str) -> None:
    """Append the traced constants of a jaxpr to ``closures``, each once.

    What is recorded later than the function may have none: they have ended by then.
    """
    known = {(id(t.recording), t.id) for t in closures}
    for value in closed.consts:
        if type(value) is not Tracer:
            continue
        if not recorded_now:
            raise UnexpectedTracerError(
                f"{what} uses a traced array of type {value.aval!r} (made by {value.recording.describe()}) that is no "
                "argument of it. Pass it to the function as an argument, or use fungrad.closure_convert."
            )
        if (id(value.recording), value.id) not in known:
            known.add((id(value.recording), value.id))
            closures.append(value)


def hoisted(closed: ClosedJaxpr, closures: Sequence[Tracer], at: int) -> ClosedJaxpr:
    """The jaxpr with what functions close over as operands, inserted at a position, instead of constants."""
    if not closures:
        return closed
    jaxpr = closed.jaxpr
    place = {(id(t.recording), t.id): Var(t.aval) for t in closures}
    kept, same = [], {}
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
        if type(value) is Tracer:
            same[var] = place[id(value.recording), value.id]
        else:
            kept.append((var, value))

    def read(atom: Atom) -> Atom:
        return same.get(atom, atom) if isinstance(atom, Var) else atom

    eqns = [Equation(e.primitive, [read(a) for a in e.inputs], e.params, e.outputs, e.source) for e in jaxpr.eqns]
    invars = [*jaxpr.invars[:at], *place.values(), *jaxpr.invars[at:]]
    whole = Jaxpr([v for v, _ in kept], invars, eqns, [read(a) for a in jaxpr.outvars])
    return ClosedJaxpr(whole, [c for _, c in kept])


def with_unused(closed: ClosedJaxpr, avals: Sequence[ShapedArray], at: int) -> ClosedJaxpr:
    """The jaxpr with operands that it does not read, inserted at a position."""
    jaxpr = closed.jaxpr
    invars = [*jaxpr.invars[:at], *[Var(a) for a in avals], *jaxpr.invars[at:]]
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, invars, jaxpr.eqns, jaxpr.outvars), closed.consts)


class _Tie(NamedTuple):
    """A call whose rules are being recorded; calls of the same function in its own rules share them."""

    site: Any
    avals: list[ShapedArray]
    rules: Any
    closures: list[Tracer]

    def fits(self, site: Any, avals: list[ShapedArray], closed: ClosedJaxpr) -> bool:
        """Whether a call is another one of this kind."""
        mine: list[Tracer] = []
        collect(closed, mine, True, "")
        known = {(id(t.recording), t.id) for t in self.closures}
        return (
            site.treedef == self.site.treedef
            and avals == self.avals
            and len(site.nondiff) == len(self.site.nondiff)
            and all(a is b for a, b in zip(site.nondiff, self.site.nondiff, strict=True))
            and {(id(t.recording), t.id) for t in mine} <= known
        )


_at_work: ContextVar[dict[int, _Tie | None]] = ContextVar("fungrad_rules_at_work", default={})  # noqa: B039


@contextmanager
def _recording_rules(custom: Any, tie: _Tie | None) -> Iterator[None]:
    token = _at_work.set({**_at_work.get(), id(custom): tie})
    try:
        yield
    finally:
        _at_work.reset(token)


def bind_with_rules(site: Any, leaves: list[Any], closed: ClosedJaxpr, rules: Any, holders: Sequence[Any]) -> Any:
    """Record the call of a recorded function.

    Rules that hold traced arrays, or that could name an axis in scope, are recorded together with the call: later these
    have ended. That is done twice: to find what they close over, and with that as operands.
    """
    avals = [typeof(x) for x in leaves]
    custom = site.custom
    at_work = _at_work.get()
    tie = at_work.get(id(custom))
    if tie is not None and tie.fits(site, avals, closed):
        program = RuleProgram(hoisted(closed, tie.closures, len(avals)), site.name, tie.rules)
        return call_p.bind(*leaves, *tie.closures, program=program)
    closures: list[Tracer] = []
    collect(closed, closures, True, "")
    if id(custom) not in at_work and (axes_in_scope() or _holds_tracer((*holders, site.nondiff), set())):
        with _recording_rules(custom, None):
            rules.record_now(closures)
        with _recording_rules(custom, _Tie(site, avals, rules, closures)):
            rules.record_now(closures)
    rules.close_over(closures)
    program = RuleProgram(hoisted(closed, closures, len(avals)), site.name, rules)
    return call_p.bind(*leaves, *closures, program=program)


def check_closures(recording: Recording, *holders: Any) -> None:
    """Raise `ClosesOver` if rules that run later hold traced arrays of the recording, or of a newer one."""
    if _holds_tracer(holders, set(), level=recording.level):
        raise ClosesOver


def _holds_tracer(x: Any, seen: set[int], depth: int = 8, level: float = 0) -> bool:
    """Whether a traced array is found in a function's closure, and in the containers, functions and objects there."""
    if type(x) is Tracer:
        return x.recording.level >= level
    if not depth or id(x) in seen or isinstance(x, _WITHOUT):
        return False
    seen.add(id(x))
    if isinstance(x, (tuple, list, set, frozenset)):
        parts = list(x)
    elif isinstance(x, dict):
        parts = list(x.values())
    else:
        parts = [*_cells(x), getattr(x, "__self__", None), *(getattr(x, "__defaults__", None) or ())]
        if isinstance(x, functools.partial):
            parts += [x.func, *x.args, *x.keywords.values()]
        if hasattr(x, "__dict__"):
            parts += vars(x).values()
    return any(_holds_tracer(part, seen, depth - 1, level) for part in parts)


_WITHOUT = (int, float, complex, str, bytes, type, ModuleType, np.ndarray, np.generic, type(None), Program, Recording)


def _cells(fun: Callable[..., Any]) -> list[Any]:
    """What a Python function closes over."""
    found = []
    for cell in getattr(fun, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that has no value yet
            continue
    return found

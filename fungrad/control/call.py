"""call: a function held as a jaxpr, applied as one equation. What `jit` binds where its arguments are traced.

    outs = call[program=p] operands

A `Program` is a jaxpr with everything that is made of it, once, when it is first needed: its compiled form; its linear
form for derivatives, a forward program that also returns the residuals and a program that is linear in the tangents;
the transpose of a program that is linear in some operands; its batched form. All of these are programs again, so a
derivative of a derivative of a compiled function is compiled as well.

Recorded with values, a call runs its forward program one level down, and what is recorded is a call of the linear
program with the residuals as constants. So nothing is computed twice, and forward and reverse mode both read the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from fungrad._util import SourceInfo, collection_paused
from fungrad.compile.emit import Emitter
from fungrad.compile.executable import Executable, build
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate, rules_recordings
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.lowering import NEW, Emission, Lowering
from fungrad.core.primitive import Primitive, lower, record_abstract
from fungrad.core.record import record_jaxpr, record_values
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import NonLinearError
from fungrad.interpreters.batch import batch
from fungrad.interpreters.jvp import forward
from fungrad.interpreters.transpose import backward
from fungrad.passes.cse import cse
from fungrad.passes.dce import dce
from fungrad.passes.gather import gather
from fungrad.passes.join import join
from fungrad.passes.optimize import optimize
from fungrad.passes.partition import partition
from fungrad.passes.prune import prune
from fungrad.passes.rows import rows
from fungrad.primitives.arithmetic import add
from fungrad.primitives.naming import name_p
from fungrad.primitives.structural import broadcast_to, convert, convert_p, zeros

jit_disabled: ContextVar[bool] = ContextVar("fungrad_disable_jit", default=False)
"""Whether functions run as they are written: jitted ones, and the bodies of loops and branches."""


class LinearForm(NamedTuple):
    """The derivative of a program in some of its operands.

    ``forward`` returns the results and then the residuals. ``tangent`` takes the residuals and then the tangents of the
    active operands; it returns the tangents of the results at ``positions``, the others have none or zero ones.
    If it ``takes_operands``, these stand in the place of residuals, and ``forward`` returns none.
    """

    forward: Program
    tangent: Program
    positions: tuple[int, ...]
    takes_operands: bool = False


class Program:
    """A closed jaxpr whose constants are arrays, and what is made of it.

    Parameters
    ----------
    closed : ClosedJaxpr
    name : str
        That of the function, for messages.
    """

    def __init__(self, closed: ClosedJaxpr, name: str) -> None:
        self.closed = closed
        self.name = self.__name__ = name  # messages call the function by its name
        self.in_avals = closed.in_avals
        self.out_avals = tuple([a.strong() for a in closed.out_avals])  # what it returns are NumPy's scalars
        self._made: dict[Any, Any] = {}
        self._lock = threading.RLock()
        self._run: Callable[..., tuple[Any, ...]] | None = None

    @classmethod
    def closing_over(cls, closed: ClosedJaxpr, name: str) -> tuple[Program, tuple[Any, ...]]:
        """A program of a jaxpr, and the traced values among its constants: operands behind the arguments."""
        traced = [k for k, c in enumerate(closed.consts) if type(c) is Tracer]
        if not traced:
            return cls(closed, name), ()
        jaxpr = closed.jaxpr
        kept = [k for k in range(len(closed.consts)) if k not in set(traced)]
        moved = Jaxpr(
            [jaxpr.constvars[k] for k in kept],
            [*jaxpr.invars, *[jaxpr.constvars[k] for k in traced]],
            jaxpr.eqns,
            jaxpr.outvars,
        )
        program = cls(ClosedJaxpr(moved, [closed.consts[k] for k in kept]), name)
        return program, tuple([closed.consts[k] for k in traced])

    def __reduce__(self) -> Any:
        return Program, (self.closed, self.name), {"is_linear": self.is_linear}

    def __repr__(self) -> str:
        return f"<program {self.name} {self.in_avals} -> {self.out_avals}>"

    @property
    def jaxpr(self) -> Jaxpr:
        """The jaxpr as it was recorded."""
        return self.closed.jaxpr

    @property
    def eqns(self) -> tuple[Equation, ...]:
        """Its equations."""
        return self.closed.eqns

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What ``make`` returned the first time."""
        made = self._made.get(key)
        if made is None:
            with self._lock:
                made = self._made.get(key)
                if made is None:
                    made = self._made[key] = make()
        return made

    is_linear = False
    """Whether it is linear in its tangents (or cotangents) by the way it was made: that need not be checked."""

    def made_linear(self, linear: bool = True) -> Program:
        """This program, which is linear by the way it was made."""
        self.is_linear = linear
        return self

    keeps_rules = False
    """Whether the derivative or the batched form is not that of the jaxpr: then a call stays a call in what is still to
    be differentiated or batched."""

    keeps_apart = False
    """Whether a call stays a call also in compiled programs, so that nothing is shared with what is around."""

    emitter: type[Emitter] = Emitter
    """What writes the compiled form."""

    def derived(self, closed: ClosedJaxpr, name: str) -> Program:
        """A program that is made of this one: its transpose, its batched form, itself with fewer results."""
        return Program(closed, name)

    def split(self, closed: ClosedJaxpr, known: Sequence[bool], n_first: int) -> tuple[Program, Program]:
        """The program and its derivative in one, taken apart; see `partition`."""
        first, second = partition(closed, known, n_first)
        return Program(first, self.name), Program(second, f"jvp({self.name})")

    def optimized(self) -> ClosedJaxpr:
        """The jaxpr after the passes."""
        return self.once("optimized", lambda: prune(join(optimize(self.inlined()))))  # type: ignore[no-any-return]

    def arranged(self) -> ClosedJaxpr:
        """The same with the axes first along which large arrays are best cut into blocks: what is compiled."""
        return self.once("arranged", self._arranged)  # type: ignore[no-any-return]

    def _arranged(self) -> ClosedJaxpr:
        optimized = self.optimized()
        moved = rows(optimized)
        return optimized if moved is optimized else dce(cse(moved))

    def inlined(self) -> ClosedJaxpr:
        """The jaxpr with the programs that it calls, and what its loops become, in it; only to be computed."""
        return self.once("inlined", lambda: inline(self.closed, final=True))  # type: ignore[no-any-return]

    def executable(self) -> Executable:
        """The compiled form."""
        return self.once("executable", self._compiled)  # type: ignore[no-any-return]

    def _compiled(self) -> Executable:
        with collection_paused():
            return build(self.arranged(), self.name, self.emitter)

    def run(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute, on arrays."""
        run = self._run
        if run is None:
            run = self._run = self.executable().run
        return run(*arrays)

    def linear_form(self, active: tuple[bool, ...], gathered: bool = False) -> LinearForm:
        """The derivative in the operands that are marked active.

        ``gathered``: with what tangents are multiplied with put together before, as pays in loops; see `gather`.
        """
        return self.once(("linear", active, gathered), lambda: self._linearized(active, gathered))  # type: ignore[no-any-return]

    def _linearized(self, active: tuple[bool, ...], gathered: bool = False) -> LinearForm:
        chosen = [k for k, a in enumerate(active) if a]
        n_in, positions, n_out = len(active), [], len(self.out_avals)

        def joint(*args: Any) -> list[Any]:
            primals, tangents = args[:n_in], args[n_in:]

            recordings = rules_recordings(primals)
            sources: list[SourceInfo | None] = []  # of the entries

            def of_active(*xs: Any) -> list[Any]:
                operands = list(primals)
                for k, x in zip(chosen, xs, strict=True):
                    operands[k] = x
                entries = xs[0].recording.entries if xs else []
                return evaluate(
                    self.closed, operands, lambda eqn: sources.extend([eqn.source] * (len(entries) - len(sources)))
                )

            def note_source(k: int) -> None:
                for recording in recordings:
                    recording.source = sources[k]

            outs, tape = record_values("jit", of_active, [primals[k] for k in chosen], self)
            known: list[Any] = [None] * tape.size
            for k, t in zip(tape.in_ids, tangents, strict=True):
                known[k] = t
            forward(tape.entries, known, tape.out_ids, consume=True, before=note_source)
            results = []
            for k, (i, aval) in enumerate(zip(tape.out_ids, self.out_avals, strict=True)):
                if i is not None and known[i] is not None and is_inexact(aval.dtype):
                    positions.append(k)
                    results.append(_fitted(known[i], aval))
            return [*outs, *results]

        avals = [*self.in_avals, *[self.in_avals[k].strong() for k in chosen]]
        closed = record_jaxpr("jit", joint, avals, self, of_user=False)
        known = [True] * n_in + [False] * len(chosen)
        joined = optimize(inline(closed))
        first, second = self.split(gather(joined, known, factors=True) if gathered else joined, known, n_out)
        return LinearForm(first, second.made_linear(), tuple(positions))

    def transposed(self, linear: tuple[bool, ...], given: tuple[bool, ...]) -> tuple[Program, tuple[int, ...]]:
        """The transpose in the operands that are marked linear, for cotangents of the results that are given.

        Returns a program of the other operands followed by the cotangents, and which of the linear operands it returns
        cotangents of; those of the others are zero.
        """
        return self.once(("transposed", linear, given), lambda: self._transposed(linear, given))  # type: ignore[no-any-return]

    def _transposed(self, linear: tuple[bool, ...], given: tuple[bool, ...]) -> tuple[Program, tuple[int, ...]]:
        chosen = [k for k, a in enumerate(linear) if a]
        others = [k for k, a in enumerate(linear) if not a]
        wanted = [k for k, g in enumerate(given) if g]
        positions: list[int] = []

        def pull(*args: Any) -> list[Any]:
            known, cts = args[: len(others)], args[len(others) :]
            recording = Recording(True, "jit", self, of_user=False)
            inputs = {k: recording.new_input(self.in_avals[k].strong()) for k in chosen}
            rest = dict(zip(others, known, strict=True))
            outs = evaluate(self.closed, [inputs[k] if k in inputs else rest[k] for k in range(len(linear))])
            bars: list[Any] = [None] * recording.fresh()
            for k, ct in zip(wanted, cts, strict=True):
                out = outs[k]
                if type(out) is Tracer and out.recording is recording:
                    bars[out.id] = ct if bars[out.id] is None else add(bars[out.id], ct)
                elif not self.is_linear and (type(out) is Tracer or np.any(out)):
                    raise NonLinearError(
                        f"result {k} of {self.name} does not depend on what it is to be linear in, and is not known to "
                        "be zero: the function is affine, not linear"
                    )
            ids = {k: t.id for k, t in inputs.items()}
            entries = recording.end()
            if self.is_linear:  # an application without a source is not asked whether it adds a constant
                entries = [(prim, i, app._replace(source=None)) for prim, i, app in entries]
            backward(entries, bars, consume=True)
            results = []
            for k in chosen:
                if bars[ids[k]] is not None:
                    positions.append(k)
                    results.append(_fitted(bars[ids[k]], self.in_avals[k].strong()))
            return results

        avals = [*[self.in_avals[k] for k in others], *[self.out_avals[k] for k in wanted]]
        closed = record_jaxpr("jit", pull, avals, self, of_user=False)
        return self.derived(closed, f"transpose({self.name})").made_linear(self.is_linear), tuple(positions)

    def batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        """The program for operands of which those with a flag carry a batch axis in front; so do all results."""
        if axis.name is not None:  # the name belongs to one vmap alone
            return self._batched(axis, flags)
        return self.once(("batched", axis, flags), lambda: self._batched(axis, flags))  # type: ignore[no-any-return]

    def mapped(self, axis: Any, flags: tuple[bool, ...], operands: Sequence[Any]) -> Any:
        """The results of the batched program for these operands."""
        return call_p.bind(*operands, program=self.batched(axis, flags))

    def _batched(self, axis: Any, flags: tuple[bool, ...]) -> Program:
        def mapped(*args: Any) -> list[Any]:
            outs, batched = batch(self.closed, axis, args, flags)
            return [
                x if b else broadcast_to(x, (axis.size, *typeof(x).shape)) for x, b in zip(outs, batched, strict=True)
            ]

        avals = [
            ShapedArray((axis.size, *a.shape), a.dtype) if b else a for a, b in zip(self.in_avals, flags, strict=True)
        ]
        closed = record_jaxpr("jit", mapped, avals, self, of_user=False)
        return self.derived(closed, f"vmap({self.name})").made_linear(self.is_linear)


def _fitted(t: Any, aval: ShapedArray) -> Any:
    if typeof(t).shape != aval.shape:
        t = broadcast_to(t, aval.shape)
    return convert(t, aval.dtype)


class Call(Primitive):
    """The primitive ``call``; its one parameter is the `Program`."""

    kind = "call"

    def __init__(self) -> None:
        super().__init__("call", _run, multiple=True, lowering=Lowering(_call_text, NEW, temporary=_memory_of_call))

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The types of the program's results."""
        return params["program"].out_avals  # type: ignore[no-any-return]

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Run the program, or record the call."""
        recording = newest(operands)
        if recording is None:
            return params["program"].run(*operands)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run the forward program one level down and record a call of the linear one."""
        program: Program = params["program"]
        values, ids = lower(recording, operands)
        active = tuple([i is not None for i in ids])
        form = program.linear_form(active)
        n_out = len(program.out_avals)
        forward, arguments = program.once(("forward", active), lambda: without_arguments(form, n_out))
        results = self.bind(*values, program=forward)
        outs, computed = results[:n_out], iter(results[n_out:])
        if not form.positions:
            return outs
        traced = [(i, typeof(v).strong()) for i, v in zip(ids, values, strict=True) if i is not None]
        out_ids = tuple([recording.fresh() for _ in form.positions])
        take = recording.constants.take
        residuals = [next(computed) if k is None else values[k] if active[k] else take(values[k]) for k in arguments]
        recording.append(
            (
                self,
                out_ids,
                Application(
                    (*[None] * len(residuals), *[i for i, _ in traced]),
                    (*[take(r) if type(r) is Tracer else r for r in residuals], *[a for _, a in traced]),
                    {"program": form.tangent},
                    form.tangent.out_avals,
                    None,
                ),
            )
        )
        wrapped = list(outs)
        for k, i in zip(form.positions, out_ids, strict=True):
            wrapped[k] = Tracer(recording, i, outs[k])
        return tuple(wrapped)

    def push(self, app: Application, tangents: Sequence[Any]) -> tuple[Any, ...]:
        """The tangents of the results of an application that is linear in its traced operands."""
        operands = [
            x if i is None else zeros(typeof(x)) if t is None else t
            for i, x, t in zip(app.ids, app.operands, tangents, strict=True)
        ]
        return self.bind(*operands, **app.params)  # type: ignore[no-any-return]

    def pull(self, app: Application, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the operands (None: zero) of an application that is linear in its traced operands."""
        linear = tuple([i is not None for i in app.ids])
        try:
            program, positions = app.params["program"].transposed(linear, tuple([ct is not None for ct in cts]))
        except NonLinearError as error:
            raise NonLinearError(f"a call of the compiled function {app.params['program'].name}: {error}") from None
        known = [x for x, i in zip(app.operands, app.ids, strict=True) if i is None]
        outs = self.bind(*known, *[ct for ct in cts if ct is not None], program=program)
        bars: list[Any] = [None] * len(linear)
        for k, out in zip(positions, outs, strict=True):
            bars[k] = out
        return bars

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """A call of the batched program."""
        return params["program"].mapped(axis, tuple(batched), operands)


def without_arguments(form: LinearForm, n_out: int) -> tuple[Program, tuple[int | None, ...]]:
    """The forward program without residuals that are arguments, and for each residual which argument it is, or None.

    A program returns new arrays: what it was given it would copy.
    """
    program, jaxpr = form.forward, form.forward.jaxpr
    if form.takes_operands:
        return program, tuple(range(len(program.in_avals)))
    place = {v: k for k, v in enumerate(jaxpr.invars) if v.aval.shape}
    arguments = tuple([place.get(v) if isinstance(v, Var) else None for v in jaxpr.outvars[n_out:]])
    has_rules = type(program) is not Program and type(program).derived is Program.derived
    if has_rules or all(k is None for k in arguments):
        return program, (None,) * len(arguments)
    computed = [v for v, k in zip(jaxpr.outvars[n_out:], arguments, strict=True) if k is None]
    outvars = [*jaxpr.outvars[:n_out], *computed]
    closed = ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.eqns, outvars), program.closed.consts)
    return program.derived(closed, program.name), arguments


def _run(*operands: Any, program: Program) -> tuple[Any, ...]:
    return program.run(*operands)


def _call_text(e: Emission, out: str | None, *names: str, program: Program) -> str:
    return f"{e.const(program.run, program.name)}({', '.join(names)})"


def _memory_of_call(*avals: ShapedArray, program: Program) -> int:
    """What the program takes beside its results."""
    results = sum([a.size * a.dtype.itemsize for a in program.out_avals if a.shape])
    return max(0, program.executable().emitter.peak_bytes() - results)


call_p = Call()


def inline(closed: ClosedJaxpr, final: bool = False) -> ClosedJaxpr:
    """The jaxpr with the equations of called programs in the place of the calls.

    Calls of programs with rules of their own stay, and so do names, unless the jaxpr is ``final``: only to be computed.
    """

    def expanded(eqn: Equation) -> ClosedJaxpr | None:
        """The jaxpr that stands for an equation; None for the equation itself."""
        if eqn.primitive is call_p:
            program: Program = eqn.params["program"]
            stays = program.keeps_apart or (program.keeps_rules and not final)
            return None if stays else program.closed
        expand = getattr(eqn.primitive, "expand", None)
        return None if expand is None or not final else expand(**eqn.params)

    if not any(e.primitive in (call_p, name_p) or hasattr(e.primitive, "expand") for e in closed.eqns):
        return closed
    consts: dict[Var, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    eqns: list[Equation] = []
    alias: dict[Var, Any] = {}

    def read(atom: Any, env: dict[Var, Any]) -> Any:
        return env.get(atom, atom) if isinstance(atom, Var) else atom

    def expand(jaxpr: Jaxpr, env: dict[Var, Any]) -> None:
        for eqn in jaxpr.eqns:
            inputs = [read(a, env) for a in eqn.inputs]
            if final and eqn.primitive is name_p:
                env[eqn.outputs[0]] = inputs[0]
                continue
            inner = expanded(eqn)
            if inner is None:
                outputs = eqn.outputs if env is alias else [Var(v.aval) for v in eqn.outputs]
                env.update(zip(eqn.outputs, outputs, strict=True))
                eqns.append(Equation(eqn.primitive, inputs, eqn.params, outputs, eqn.source))
                continue
            inner_env: dict[Var, Any] = dict(zip(inner.jaxpr.invars, inputs, strict=True))
            for v, value in zip(inner.jaxpr.constvars, inner.consts, strict=True):
                fresh = inner_env[v] = Var(v.aval)
                consts[fresh] = value
            expand(inner.jaxpr, inner_env)
            for out, result in zip(eqn.outputs, inner.jaxpr.outvars, strict=True):
                found = read(result, inner_env)
                if found.aval.weak:
                    strong = Var(out.aval)
                    eqns.append(Equation(convert_p, [found], {"dtype": out.aval.dtype}, [strong], eqn.source))
                    found = strong
                env[out] = found

    expand(closed.jaxpr, alias)
    outvars = [read(v, alias) for v in closed.jaxpr.outvars]
    return ClosedJaxpr(Jaxpr(list(consts), closed.jaxpr.invars, eqns, outvars), list(consts.values()))

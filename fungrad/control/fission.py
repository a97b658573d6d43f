"""What a loop computes for each row alone, computed for all rows at once outside of it.

    divided : params of a scan -> ClosedJaxpr with a smaller loop in it

The equations of a body are of four kinds, by what they depend on and what depends on them:

    constant    of the constants alone                       once, before the loop
    early       of rows of xs, not of the carry              for all rows, before the loop
    carried     of the carry, and the next carry of them     in the loop
    late        of the carry, but only ys of them            for all rows, after the loop, from what it stacks

A carry that only adds up (the cotangents of constants do) is no carry: what it adds is late, and summed up at the end;
a sum of matrix products becomes one product. NumPy is fast on long arrays and slow at short ones, so this is where most
of the time of a recurrent network goes. Equations of large rows stay in the loop, as they gain nothing and would take
memory for all rows; so does everything if what would be kept is more than `MOST` (see `_Body.gains`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fungrad.compile.executable import Executable
from fungrad.compile.loop import build_scan
from fungrad.compile.schedule import eqn_cost
from fungrad.control.call import Program
from fungrad.control.loops import Params
from fungrad.core.aval import BOOL, FLOAT, ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.lowering import NEW, VIEW, Emission, Lowering
from fungrad.core.primitive import Primitive
from fungrad.core.record import record_jaxpr
from fungrad.interpreters.batch import BatchAxis, batch
from fungrad.passes.gather import gather
from fungrad.passes.optimize import simplify
from fungrad.passes.prune import needed
from fungrad.passes.scalars import LONGEST
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import broadcast_to, concatenate, expand_dims, reduce_sum, slice_axis

MOST = 1 << 26
"""Bytes of the rows that are kept for equations outside of the loop, at most; for products as many as xs and ys."""

LONG = 2e4
"""Nanoseconds of an equation from which on it may as well stay in the loop."""


class Loop(Primitive):
    """The primitive ``loop``: a scan as it is run. It has no rules: it stands in programs that are only computed."""

    def __init__(self) -> None:
        super().__init__("loop", _run, abstract=_abstract, multiple=True, lowering=Lowering(_text, NEW))

    def pruned(self, used: list[bool], **params: Any) -> tuple[Params, list[int], list[int]]:
        """The loop without results that nothing reads."""
        body: Program = params["body"]
        n_consts, n_carry = params["n_consts"], params["n_carry"]

        def make() -> Any:
            closed, kept_in, kept_out = needed(body.inlined(), n_consts, n_carry, used)
            return Program(closed, body.name), kept_in, kept_out

        program, kept_in, kept_out = body.once(("pruned", n_consts, n_carry, tuple(used)), make)
        counts = {"n_consts": sum(kept_in[:n_consts]), "n_carry": sum(kept_out[:n_carry])}
        return {**params, "body": program, **counts}, _places(kept_in), _places(kept_out)


def _places(flags: Sequence[bool]) -> list[int]:
    return [k for k, f in enumerate(flags) if f]


def _abstract(*avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
    outs, n = params["body"].out_avals, params["n_carry"]
    return (*outs[:n], *[ShapedArray((params["length"], *a.shape), a.dtype) for a in outs[n:]])


def compiled(body: Program, n_consts: int, n_carry: int) -> Executable:
    """The compiled loop over rows of a body, for any number of rows."""

    def make() -> Executable:
        return build_scan(body.optimized(), body.name, n_consts, n_carry)

    return body.once(("compiled loop", n_consts, n_carry), make)  # type: ignore[no-any-return]


def _run(*operands: Any, **params: Any) -> tuple[Any, ...]:
    executable = compiled(params["body"], params["n_consts"], params["n_carry"])
    return executable.run(params["length"], params["reverse"], *operands)


def _text(e: Emission, out: str | None, *names: str, **params: Any) -> str:
    executable = compiled(params["body"], params["n_consts"], params["n_carry"])
    return f"{e.const(executable.run, 'loop')}({', '.join([str(params['length']), str(params['reverse']), *names])})"


loop_p = Loop()


class _Body:
    """The equations of a body by kind."""

    def __init__(self, closed: ClosedJaxpr, n_consts: int, n_carry: int) -> None:
        self.closed, self.jaxpr = closed, closed.jaxpr
        invars = self.jaxpr.invars
        self.consts = invars[:n_consts]
        self.carry = invars[n_consts : n_consts + n_carry]
        self.rows = invars[n_consts + n_carry :]
        self.made = {v: e for e in self.jaxpr.eqns for v in e.outputs}
        self.new_carry = self.jaxpr.outvars[:n_carry]
        self.ys = self.jaxpr.outvars[n_carry:]
        self.sums = self._sums()
        self._classify()
        staying = {v for e in self.carried for v in e.outputs}
        self.sums = {k: v for k, v in self.sums.items() if v not in staying}
        self._classify()

    def _sums(self) -> dict[int, Atom]:
        """The carries that only add up, and what they add."""
        reads: dict[Atom, int] = {}
        for v in [a for e in self.jaxpr.eqns for a in e.inputs] + list(self.jaxpr.outvars):
            if isinstance(v, Var):
                reads[v] = reads.get(v, 0) + 1
        found: dict[int, Atom] = {}
        for k, (old, new) in enumerate(zip(self.carry, self.new_carry, strict=True)):
            eqn = self.made.get(new) if isinstance(new, Var) else None
            if eqn is None or eqn.primitive.name != "add" or reads.get(old) != 1 or reads[new] != 1:
                continue
            x, y = eqn.inputs
            other = y if x is old else x if y is old else None
            if _is_short(new.aval) or new.aval.dtype.kind not in "fc":  # a sum of integers has another dtype
                continue
            if other is not None and other.aval.shape == new.aval.shape and other.aval.dtype == new.aval.dtype:
                found[k] = other
        return found

    def _classify(self) -> None:
        adds = {self.made[self.new_carry[k]] for k in self.sums}  # type: ignore[index]
        steady = {*self.jaxpr.constvars, *self.consts}
        early = set(self.rows)
        self.constant: list[Equation] = []
        self.early: list[Equation] = []
        rest: list[Equation] = []
        for eqn in self.jaxpr.eqns:
            if eqn in adds:
                continue
            read = [a for a in eqn.inputs if isinstance(a, Var)]
            if all(a in steady for a in read):
                self.constant.append(eqn)
                steady.update(eqn.outputs)
            elif all(a in steady or a in early for a in read) and self._can_move(eqn):
                self.early.append(eqn)
                early.update(eqn.outputs)
            else:
                rest.append(eqn)
        needed = {v for k, v in enumerate(self.new_carry) if k not in self.sums and isinstance(v, Var)}
        self.carried: list[Equation] = []
        self.late: list[Equation] = []
        for eqn in reversed(rest):
            if not needed.isdisjoint(eqn.outputs) or not self._can_move(eqn):
                self.carried.append(eqn)
                needed.update([a for a in eqn.inputs if isinstance(a, Var)])
            else:
                self.late.append(eqn)
        self.carried.reverse()
        self.late.reverse()
        self.known_before = steady | early

    def _can_move(self, eqn: Equation) -> bool:
        if eqn.primitive.kind in ("call", "primitive") or all(_is_short(v.aval) for v in eqn.outputs):
            return False
        # One large product is no slower than many small ones.
        return eqn.primitive.name == "contract" or eqn_cost(eqn) < LONG

    def gains(self, length: int) -> bool:
        """Whether there is something to move that is worth it."""
        moved = [e for e in (*self.constant, *self.early, *self.late) if e.primitive.lowering.memory != VIEW]
        summed = {v for v in self.sums.values() if isinstance(v, Var)}  # products of sums are not made one by one
        kept = [v for e in (*self.early, *self.late) for v in e.outputs if v not in summed]
        size = sum([v.aval.size * v.aval.dtype.itemsize for v in kept])
        most = MOST
        if any(e.primitive.name == "contract" for e in moved):  # one large product in place of many is worth more
            passing = [v.aval for v in (*self.rows, *self.ys)]
            most = max(most, length * sum([a.size * a.dtype.itemsize for a in passing]))
        return bool(moved or self.sums) and size * length <= most


def _is_short(aval: ShapedArray) -> bool:
    """Whether compiled code computes with numbers in place of such an array, faster than it would be stacked."""
    return aval.dtype in (FLOAT, BOOL) and aval.ndim <= 1 and aval.size <= LONGEST


def divided(params: Params) -> ClosedJaxpr:
    """A scan as a program in which only a loop over what needs the carry is left."""
    body: Program = params["body"]
    key = ("divided", *[(k, v) for k, v in params.items() if k != "body"])
    return body.once(key, lambda: _divide({k: v for k, v in params.items() if k != "checkpoint"}))  # type: ignore[no-any-return]


def _divide(params: Params) -> ClosedJaxpr:
    program: Program = params["body"]
    n_consts, n_carry, length = params["n_consts"], params["n_carry"], params["length"]
    avals = [
        *[a.strong() for a in program.in_avals[: n_consts + n_carry]],
        *[ShapedArray((length, *a.shape), a.dtype) for a in program.in_avals[n_consts + n_carry :]],
    ]
    parts: _Outside = program.once(("parts", n_consts, n_carry), lambda: _Outside(program, n_consts, n_carry))

    def whole(*args: Any) -> Any:
        return loop_p.bind(*args, **params)

    def around(*args: Any) -> Any:
        return parts.run(args, length, params["reverse"])

    fun = around if length and parts.body.gains(length) else whole
    return record_jaxpr("lax.scan", fun, avals, program, of_user=False)


class _Outside:
    """The program around the smaller loop, as a function of the operands of the scan."""

    def __init__(self, program: Program, n_consts: int, n_carry: int) -> None:
        self.program = program
        closed = simplify(program.inlined())
        closed = gather(closed, [not n_consts <= k < n_consts + n_carry for k in range(len(program.in_avals))])
        self.body = body = _Body(closed, n_consts, n_carry)
        late_reads = [a for e in body.late for a in e.inputs if isinstance(a, Var)]
        finals = [v for v in (*body.ys, *body.sums.values()) if isinstance(v, Var)]
        late_made = {v for e in body.late for v in e.outputs}
        inside = {v for e in body.carried for v in e.outputs}
        wanted = dict.fromkeys([v for v in (*late_reads, *finals) if v in inside])
        self.stacked = list(wanted)
        """What the loop stacks."""
        self.carries = [k for k in range(len(body.carry)) if k not in body.sums]
        carry_reads = dict.fromkeys([v for v in (*late_reads, *finals) if v in body.carry])
        places = {v: k for k, v in enumerate(body.carry)}
        self.shifted: dict[Var, Var] = {}
        """Carries that are wanted as they come in, whose successors are stacked: those, one row later."""
        for v in carry_reads:
            successor = body.new_carry[places[v]]
            if isinstance(successor, Var) and (successor in wanted or successor in inside):
                if successor not in wanted:
                    wanted[successor] = None
                    self.stacked.append(successor)
                self.shifted[v] = successor
            else:
                self.stacked.append(v)
        assert not late_made.intersection(self.stacked)
        self.loop = self._loop()

    def _loop(self) -> tuple[Program, list[Var], list[Var]]:
        """The smaller body, its constants and its rows."""
        body = self.body
        eqns = body.carried
        inside = {v for e in eqns for v in e.outputs}
        results = [*[body.new_carry[k] for k in self.carries], *self.stacked]
        read = dict.fromkeys(
            [v for v in (*[a for e in eqns for a in e.inputs], *results) if isinstance(v, Var) and v not in inside]
        )
        carry = [body.carry[k] for k in self.carries]
        constvars = {v: c for v, c in zip(body.jaxpr.constvars, body.closed.consts, strict=True) if v in read}
        rows = [v for v in read if v in body.rows or any(v in e.outputs for e in body.early)]
        known = {*carry, *rows, *constvars}
        consts = [v for v in read if v not in known]
        jaxpr = Jaxpr(list(constvars), [*consts, *carry, *rows], eqns, results)
        return Program(ClosedJaxpr(jaxpr, list(constvars.values())), self.program.name), consts, rows

    def run(self, args: Sequence[Any], length: int, reverse: bool) -> list[Any]:
        """The results of the scan."""
        body = self.body
        env: dict[Var, Any] = dict(zip(body.jaxpr.constvars, body.closed.consts, strict=True))
        env.update(zip(body.jaxpr.invars, args, strict=True))
        rows: set[Var] = set(body.rows)
        self._compute(body.constant, env, rows, length)
        self._compute(body.early, env, rows, length)
        program, consts, loop_rows = self.loop
        outs: Sequence[Any] = []
        if self.carries or self.stacked:
            outs = loop_p.bind(
                *[env[v] for v in consts],
                *[env[body.carry[k]] for k in self.carries],
                *[_as_rows(env[v], v, rows, length) for v in loop_rows],
                body=program,
                n_consts=len(consts),
                n_carry=len(self.carries),
                length=length,
                reverse=reverse,
            )
        final = dict(zip(self.carries, outs, strict=False))
        initial = {v: env[v] for v in body.carry}
        env.update(zip(self.stacked, outs[len(self.carries) :], strict=True))
        rows.update(self.stacked)
        for v, successor in self.shifted.items():
            env[v] = _one_later(env[successor], initial[v], reverse)
            rows.add(v)
        self._compute(body.late, env, rows, length)
        for k, added in body.sums.items():
            final[k] = add(initial[body.carry[k]], reduce_sum(_read_rows(added, env, rows, length), (0,)))
        ys = [_read_rows(v, env, rows, length) for v in body.ys]
        return [*[final[k] for k in range(len(body.carry))], *ys]

    def _compute(self, eqns: list[Equation], env: dict[Var, Any], rows: set[Var], length: int) -> None:
        """Compute equations for all rows at once."""
        made = {v for e in eqns for v in e.outputs}
        read = dict.fromkeys([a for e in eqns for a in e.inputs if isinstance(a, Var) and a not in made])
        outs = [v for e in eqns for v in e.outputs]
        closed = ClosedJaxpr(Jaxpr([], list(read), eqns, outs), [])
        flags = [v in rows for v in read]
        values = [env[v] for v in read]
        if not any(flags):
            env.update(zip(outs, evaluate(closed, values), strict=True))
            return
        results, batched = batch(closed, BatchAxis(length, None), values, flags)
        env.update(zip(outs, results, strict=True))
        rows.update([v for v, b in zip(outs, batched, strict=True) if b])


def _as_rows(x: Any, v: Var, rows: set[Var], length: int) -> Any:
    return x if v in rows else broadcast_to(x, (length, *typeof(x).shape))


def _read_rows(atom: Atom, env: dict[Var, Any], rows: set[Var], length: int) -> Any:
    x = np.asarray(atom.value) if isinstance(atom, Literal) else env[atom]
    return x if isinstance(atom, Var) and atom in rows else broadcast_to(x, (length, *atom.aval.shape))


def _one_later(stacked: Any, initial: Any, reverse: bool) -> Any:
    """The carries that rows begin with, made of those that they end with."""
    n = typeof(stacked).shape[0]
    first = expand_dims(initial, (0,))
    parts = [slice_axis(stacked, 0, 1, n), first] if reverse else [first, slice_axis(stacked, 0, 0, n - 1)]
    return concatenate(parts, 0)

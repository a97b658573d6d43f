"""What is made of the body of a scan: its derivative, its transpose, its batched form.

    params      ::= body, n_consts, n_carry, length, reverse, checkpoint
    linear_form : params, active operands -> forward scan, scan of the tangents
    transposed  : params, linear operands -> the scan that runs the other way
    joint       : params, active operands -> the scan of the carry and its tangents side by side
    split       : params, linear operands -> scan of the others, scan of the linear ones
    batched_body: params, batched operands -> body with a batch axis

A scan of a body is given by its parameters. All of these are scans again; each is made once for a body and kept by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fungrad.control.call import Program
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Jaxpr, Var
from fungrad.core.record import record_jaxpr
from fungrad.interpreters.batch import batch
from fungrad.passes.activity import depends
from fungrad.passes.partition import partition
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import broadcast_to, zeros

Params = dict[str, Any]


class Residual(NamedTuple):
    """A value that the linear part of a loop reads: an operand of the forward loop, or one of its results."""

    is_operand: bool
    place: int


def key_of(params: Params) -> tuple[Any, ...]:
    """What distinguishes what is made of one body: neither the number of rows nor the direction does."""
    return params["n_consts"], params["n_carry"]


def run_of(params: Params, turned: bool = False, checkpoint: bool = False) -> Params:
    """How a scan is run, for one that is made of it; ``turned``: the other way."""
    kept = params["checkpoint"] if checkpoint else None
    return {"length": params["length"], "reverse": params["reverse"] != turned, "checkpoint": kept}


def divide(closed: ClosedJaxpr, n_out: int, n_consts: int, n_carry: int) -> tuple[ClosedJaxpr, list[Residual]]:
    """A body that returns residuals behind its results, as one that returns only those that must be stacked.

    Constants of the loop, its xs and its ys need not be.
    """
    jaxpr = closed.jaxpr
    place = {v: k for k, v in enumerate(jaxpr.invars)}
    place = {v: k for v, k in place.items() if not n_consts <= k < n_consts + n_carry}
    ys = {v: k for k, v in enumerate(jaxpr.outvars[:n_out]) if isinstance(v, Var) and k >= n_carry}
    outvars = list(jaxpr.outvars[:n_out])
    residuals = []
    for v in jaxpr.outvars[n_out:]:
        if v in place:
            residuals.append(Residual(True, place[v]))
        elif v in ys:
            residuals.append(Residual(False, ys[v]))
        else:
            residuals.append(Residual(False, len(outvars)))
            outvars.append(v)
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.eqns, outvars), closed.consts), residuals


class LinearScan(NamedTuple):
    """The derivative of a scan: a forward scan that stacks residuals, a scan of tangents, and how they are joined."""

    forward: Params
    tangent: Params
    const_residuals: tuple[Residual, ...]
    row_residuals: tuple[Residual, ...]
    carry: tuple[int, ...]  # the carries that have a tangent
    ys: tuple[int, ...]  # the ys that have one


def linear_form(params: Params, active: tuple[bool, ...]) -> LinearScan:
    """The derivative of a scan in the operands that are marked active; made once."""
    key = ("linear scan", active, *key_of(params))
    form: LinearScan = params["body"].once(key, lambda: _linearized(params, active))
    run = run_of(params)
    return form._replace(forward={**form.forward, **run}, tangent={**form.tangent, **run})


def with_carry(params: Params, marked: Sequence[bool], smoothly: bool = False) -> list[bool]:
    """The marked operands with those carries that come to depend on marked ones; see `depends`."""
    flags, jaxpr = list(marked), params["body"].jaxpr
    carry = slice(params["n_consts"], params["n_consts"] + params["n_carry"])
    while True:
        outs = depends(jaxpr, flags, smoothly)
        new = [o or f for o, f in zip(outs, flags[carry], strict=False)]
        if new == flags[carry]:
            return flags
        flags[carry] = new


def _linearized(params: Params, active: tuple[bool, ...]) -> LinearScan:
    body: Program = params["body"]
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    flags = with_carry(params, active, smoothly=True)
    form = body.linear_form(tuple(flags), gathered=True)
    n_out = len(body.out_avals)
    closed, residuals = divide(form.forward.closed, n_out, n_consts, n_carry)
    lead = [k for k, r in enumerate(residuals) if r.is_operand and r.place < n_consts]
    rows = [k for k in range(len(residuals)) if k not in set(lead)]
    chosen = [k for k, f in enumerate(flags) if f]
    dots = [
        [k for k in chosen if k < n_consts],
        [k for k in chosen if n_consts <= k < n_consts + n_carry],
        [k for k in chosen if k >= n_consts + n_carry],
    ]
    carry = [k - n_consts for k in dots[1]]
    ys = [p - n_carry for p in form.positions if p >= n_carry]
    tangent = form.tangent.closed
    order = [*lead, *[len(residuals) + chosen.index(k) for k in (*dots[0], *dots[1])]]
    order += [*rows, *[len(residuals) + chosen.index(k) for k in dots[2]]]

    def rearranged(*args: Any) -> list[Any]:
        given: list[Any] = [None] * len(args)
        for place, x in zip(order, args, strict=True):
            given[place] = x
        outs = dict(zip(form.positions, evaluate(tangent, given), strict=True))
        carried = [outs[k] if k in outs else zeros(body.out_avals[k]) for k in carry]
        return [*carried, *[outs[n_carry + k] for k in ys]]

    avals = [tangent.in_avals[k] for k in order]
    program = Program(record_jaxpr("lax.scan", rearranged, avals, body, of_user=False), f"jvp({body.name})")
    program.made_linear()
    return LinearScan(
        {"body": Program(closed, body.name), "n_consts": n_consts, "n_carry": n_carry},
        {"body": program, "n_consts": len(lead) + len(dots[0]), "n_carry": len(carry)},
        tuple([residuals[k] for k in lead]),
        tuple([residuals[k] for k in rows]),
        tuple(carry),
        tuple(ys),
    )


class Transposed(NamedTuple):
    """The transpose of a scan: its carry are the cotangents of the carry, then sums."""

    params: Params
    sums: tuple[int, ...]  # the constants whose cotangents are summed up in the carry
    rows: tuple[int, ...]  # the xs whose cotangents are its ys


def transposed(params: Params, linear: tuple[bool, ...], given: tuple[bool, ...]) -> Transposed:
    """The transpose in the linear operands, all carries among them, for cotangents of the results that are given."""
    key = ("transposed scan", linear, given, *key_of(params))
    form: Transposed = params["body"].once(key, lambda: _make_transposed(params, linear, given))
    return form._replace(params={**form.params, **run_of(params, turned=True)})


def _make_transposed(params: Params, linear: tuple[bool, ...], given: tuple[bool, ...]) -> Transposed:
    body: Program = params["body"]
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    program, positions = body.transposed(linear, given)
    reached = list(positions)
    sums = [k for k in reached if k < n_consts]
    rows = [k for k in reached if k >= n_consts + n_carry]
    others = [k for k, s in enumerate(linear) if not s]
    lead = sum([k < n_consts for k in others])

    def step(*args: Any) -> list[Any]:
        known, rest = args[:lead], args[lead:]
        carried, so_far, rest = rest[:n_carry], rest[n_carry : n_carry + len(sums)], rest[n_carry + len(sums) :]
        row_residuals, stacked = rest[: len(others) - lead], rest[len(others) - lead :]
        outs = evaluate(program.closed, [*known, *row_residuals, *carried, *stacked])
        found = dict(zip(reached, outs, strict=True))
        passed = [
            found[k] if k in found else zeros(body.in_avals[k].strong()) for k in range(n_consts, n_consts + n_carry)
        ]
        return [
            *passed,
            *[add(total, found[k]) for total, k in zip(so_far, sums, strict=True)],
            *[found[k] for k in rows],
        ]

    avals = [
        *[body.in_avals[k] for k in others[:lead]],
        *body.out_avals[:n_carry],
        *[body.in_avals[k].strong() for k in sums],
        *[body.in_avals[k] for k in others[lead:]],
        *[a for a, g in zip(body.out_avals[n_carry:], given[n_carry:], strict=True) if g],
    ]
    closed = record_jaxpr("lax.scan", step, avals, body, of_user=False)
    new = {
        "body": Program(closed, f"transpose({body.name})").made_linear(body.is_linear),
        "n_consts": lead,
        "n_carry": n_carry + len(sums),
    }
    return Transposed(new, tuple(sums), tuple(rows))


class Joint(NamedTuple):
    """A scan with its tangents beside it: consts, their tangents, carry, its tangents, xs, their tangents.

    It returns the carry, its tangents, and the tangents of the ys; nothing is stacked for them.
    """

    params: Params
    flags: tuple[bool, ...]  # the operands that have a tangent, or come to have one
    groups: tuple[slice, slice, slice]  # the constants, the carry, the xs among the operands
    carry: tuple[int, ...]
    ys: tuple[int, ...]

    def arranged(self, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
        """Primals, and tangents for those with a flag, in the order of the operands."""
        dots = iter(tangents)
        by_place = [next(dots) if f else None for f in self.flags]
        found: list[Any] = []
        for group in self.groups:
            found += primals[group]
            found += [t for t, f in zip(by_place[group], self.flags[group], strict=True) if f]
        return found


def joint(params: Params, active: tuple[bool, ...]) -> Joint:
    """The scan with tangents for the operands that are marked active."""
    key = ("joint scan", active, *key_of(params))
    form: Joint = params["body"].once(key, lambda: _make_joint(params, active))
    return form._replace(params={**form.params, **run_of(params, checkpoint=True)})


def _make_joint(params: Params, active: tuple[bool, ...]) -> Joint:
    body: Program = params["body"]
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    flags = with_carry(params, active, smoothly=True)
    form = body.linear_form(tuple(flags), gathered=True)
    n_out, n_in = len(body.out_avals), len(flags)
    groups = slice(0, n_consts), slice(n_consts, n_consts + n_carry), slice(n_consts + n_carry, n_in)
    carry = [k for k, f in enumerate(flags[groups[1]]) if f]
    ys = [p - n_carry for p in form.positions if p >= n_carry]

    def step(*args: Any) -> list[Any]:
        primals: list[Any] = []
        dots: list[Any] = []
        rest = list(args)
        for group in groups:
            size, n_dots = group.stop - group.start, sum(flags[group])
            primals += rest[:size]
            dots += rest[size : size + n_dots]
            rest = rest[size + n_dots :]
        results = evaluate(form.forward.closed, primals)
        found = evaluate(form.tangent.closed, [*results[n_out:], *dots])
        by_place = dict(zip(form.positions, found, strict=True))
        carried = [by_place[k] if k in by_place else zeros(body.out_avals[k]) for k in carry]
        return [*results[:n_carry], *carried, *[by_place[n_carry + k] for k in ys]]

    avals: list[ShapedArray] = []
    for group in groups:
        avals += body.in_avals[group]
        avals += [a.strong() for a, f in zip(body.in_avals[group], flags[group], strict=True) if f]
    closed = record_jaxpr("lax.scan", step, avals, body, of_user=False)
    new = {
        "body": Program(closed, f"jvp({body.name})").made_linear(),
        "n_consts": n_consts + sum(flags[groups[0]]),
        "n_carry": n_carry + len(carry),
    }
    return Joint(new, tuple(flags), groups, tuple(carry), tuple(ys))


class Split(NamedTuple):
    """A scan that is linear in some operands, as one of the others (``first``) and one of these (``rest``).

    Linear operands are given with the carries that come to depend on them.
    """

    first: Params
    rest: Params
    residuals: tuple[Residual, ...]
    known: tuple[int | None, ...]  # for each operand of the rest the residual that it is; None for a linear one
    outs: tuple[int, ...]  # the results of the whole that the rest has


def split(params: Params, linear: tuple[bool, ...]) -> Split:
    """The scan of the other operands, and the scan that is linear."""
    key = ("split scan", linear, *key_of(params))
    parts: Split = params["body"].once(key, lambda: _make_split(params, linear))
    run = run_of(params)
    return parts._replace(first={**parts.first, **run}, rest={**parts.rest, **run})


def _make_split(params: Params, linear: tuple[bool, ...]) -> Split:
    body: Program = params["body"]
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    flags = list(linear)
    dependent = depends(body.jaxpr, flags)
    # A carry that is linear where it enters stays one, though its result may not depend on anything.
    dependent[:n_carry] = flags[n_consts : n_consts + n_carry]
    known_outs = [k for k, d in enumerate(dependent) if not d]
    rest_outs = [k for k, d in enumerate(dependent) if d]
    jaxpr = body.jaxpr
    reordered = Jaxpr(jaxpr.constvars, jaxpr.invars, jaxpr.eqns, [jaxpr.outvars[k] for k in (*known_outs, *rest_outs)])
    first, rest = partition(ClosedJaxpr(reordered, body.closed.consts), [not f for f in flags], len(known_outs))
    n_known_consts = sum([not f for f in flags[:n_consts]])
    n_known_carry = sum([not f for f in flags[n_consts : n_consts + n_carry]])
    closed, residuals = divide(first, len(known_outs), n_known_consts, n_known_carry)
    lead = [k for k, r in enumerate(residuals) if r.is_operand and r.place < n_known_consts]
    rows = [k for k in range(len(residuals)) if k not in set(lead)]
    chosen = [k for k, f in enumerate(flags) if f]
    front = [k for k in chosen if k < n_consts + n_carry]
    order = [*lead, *[len(residuals) + chosen.index(k) for k in front]]
    order += [*rows, *[len(residuals) + chosen.index(k) for k in chosen if k >= n_consts + n_carry]]
    j = rest.jaxpr
    rearranged = Jaxpr(j.constvars, [j.invars[k] for k in order], j.eqns, j.outvars)
    return Split(
        {"body": Program(closed, body.name), "n_consts": n_known_consts, "n_carry": n_known_carry},
        {
            "body": Program(ClosedJaxpr(rearranged, rest.consts), body.name).made_linear(body.is_linear),
            "n_consts": len(lead) + sum([k < n_consts for k in front]),
            "n_carry": sum([k >= n_consts for k in front]),
        },
        tuple(residuals),
        tuple([k if k < len(residuals) else None for k in order]),
        tuple(rest_outs),
    )


def batched_body(params: Params, axis: Any, flags: tuple[bool, ...]) -> tuple[Program, list[bool], list[bool]]:
    """The body for operands of which some are batched, and which carries and ys it returns batched."""
    body: Program = params["body"]
    key = ("batched scan", axis, flags, params["n_consts"], params["n_carry"])
    if axis.name is not None:  # the name belongs to one vmap alone
        return _make_batched(params, axis, flags)
    return body.once(key, lambda: _make_batched(params, axis, flags))  # type: ignore[no-any-return]


def _make_batched(params: Params, axis: Any, flags: tuple[bool, ...]) -> tuple[Program, list[bool], list[bool]]:
    body: Program = params["body"]
    n_consts, n_carry = params["n_consts"], params["n_carry"]
    marked = with_carry(params, flags)
    carries = marked[n_consts : n_consts + n_carry]
    wanted = [*carries, *depends(body.jaxpr, marked)[n_carry:]]

    def mapped(*args: Any) -> list[Any]:
        outs, batched = batch(body.closed, axis, args, marked)
        return [
            broadcast_to(x, (axis.size, *typeof(x).shape)) if w and not b else x
            for x, b, w in zip(outs, batched, wanted, strict=True)
        ]

    avals = [
        ShapedArray((axis.size, *a.shape), a.dtype) if m else a for a, m in zip(body.in_avals, marked, strict=True)
    ]
    closed = record_jaxpr("lax.scan", mapped, avals, body, of_user=False)
    return Program(closed, f"vmap({body.name})").made_linear(body.is_linear), carries, wanted[n_carry:]

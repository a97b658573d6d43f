"""Forward mode: walk the entries of a recording and push tangents through them.

    forward : entries, tangents of the inputs -> tangents of the results

The values were computed when the entries were recorded, so this is the tangent half of the dual numbers.
A tangent is None where it is zero; zeros are made only where a primitive needs them beside others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.core.primitive import General, Linear, Multilinear
from fungrad.core.trace import Application, Entry, Recording, Tracer
from fungrad.errors import MissingRuleError
from fungrad.interpreters.fit import fit_tangent
from fungrad.primitives.arithmetic import add, mul
from fungrad.primitives.comparison import greater
from fungrad.primitives.reductions import reduce_max
from fungrad.primitives.rounding import abs as modulus
from fungrad.primitives.selection import where
from fungrad.primitives.structural import zeros


def forward(
    entries: list[Entry],
    tangents: list[Any],
    results: Iterable[int | None] | None = None,
    consume: bool = False,
    before: Callable[[int], None] | None = None,
) -> None:
    """Fill ``tangents`` (indexed by id) walking the entries from first to last, dropping each after its last use.

    Parameters
    ----------
    entries : list of Entry
        What a recording with values holds; emptied on the way if ``consume``, so that residuals are freed.
    tangents : list
        In: the tangents of the inputs. Out: those of the results.
    results : iterable of int or None, optional
        The ids whose tangents are wanted; without it all are kept.
    before : callable, optional
        Called with the number of each entry before it is walked through.
    """
    dead: Any = itertools.repeat((), len(entries)) if results is None else _last_uses(entries, results)
    unread: Sequence[int] = ()
    walk = zip(_drain(entries) if consume else entries, dead, strict=True)
    for k, ((prim, out_id, payload), last_read) in enumerate(walk):
        if before is not None:
            before(k)
        for i in unread:
            tangents[i] = None
        unread = last_read
        if type(payload) is not Application:
            total = None
            for i, rule, residuals, fix in payload:
                t = tangents[i]
                if t is not None:
                    t = rule(t, *residuals)
                    if fix is not None:
                        t = fit_tangent(t, fix[1])
                    total = t if total is None else add(total, t)
            tangents[out_id] = total
            continue
        if prim.overwrites and payload.ids[0] in last_read:
            tangents[out_id] = _overwritten(prim, payload, tangents)
            continue
        ins = [None if i is None else tangents[i] for i in payload.ids]
        if all(t is None for t in ins):
            continue
        out = tangent_of(prim, payload, ins)
        if prim.multiple:
            for i, t in zip(out_id, out, strict=True):
                tangents[i] = t
        else:
            tangents[out_id] = out


def forward_with_freedom(
    entries: list[Entry], tangents: list[Any], results: Sequence[int | None], values: Sequence[Any]
) -> list[Any]:
    """The tangents of the results where applications have a `Freedom`: eigenvectors of equal eigenvalues, say.

    Their jvp rules leave out how the freedom is used up: a tangent b in its space. A function that does not depend on
    the choice answers to a turn theta of it and a change c of the eigenvalues with
    ``2 sum((c_l - c_j) m_lj theta_jl)``, where the tangent that is missing is ``sum(m_lj b_jl)``. So c is pushed
    through what follows, and the answer through the recording beneath, along ``theta = weights * b``.

    Results, given by their values, that do depend on the choice have no derivative along such a b: nan.
    """
    places = [k for k, (_, _, x) in enumerate(entries) if type(x) is Application and x.freedom is not None]
    missing = []
    done = 0
    for k in places:
        prim, _, app = entries[k]
        forward(entries[done:k], tangents)
        done = k
        ins = [None if i is None else tangents[i] for i in app.ids]
        missing.append(None if all(t is None for t in ins) else prim.turning(app.operands, ins, app.outs, **app.params))
    forward(entries[done:], tangents, results)
    totals = [None if i is None else tangents[i] for i in results]
    for k, b in zip(places, missing, strict=True):
        if b is not None:
            extra = _answers(entries[k:], b, len(tangents), results)
            totals = [t if e is None else e if t is None else add(t, e) for t, e in zip(totals, extra, strict=True)]
            if _uses_freedom(b, entries[k][2].freedom):
                chosen = _depend_on_choice(entries[k][2].freedom, values)
                totals = [
                    t if c is None or t is None else where(c, np.nan, t) for t, c in zip(totals, chosen, strict=True)
                ]
    return totals


def _uses_freedom(b: Any, freedom: Any) -> bool:
    """Whether a tangent b needs the freedom: whether what the weights leave of it is not zero to rounding."""
    b = _beneath(b, freedom.beneath)
    if not isinstance(b, np.ndarray):
        return True
    size = np.abs(b)
    noise = 8 * b.shape[-1] * np.finfo(b.dtype).eps * np.max(size, initial=0)
    return bool(np.any(size[freedom.weights != 0] > noise))


def _depend_on_choice(freedom: Any, values: Sequence[Any]) -> list[Any]:
    """For each result which of its elements change as the choice is turned; None for none."""
    beneath = freedom.beneath
    generic = np.random.default_rng(0).uniform(0.5, 1.5, freedom.weights.shape) * (freedom.weights != 0)
    turned: list[Any] = [None] * beneath.fresh()
    turned[freedom.input_id] = generic.astype(freedom.dtype)
    ids = [v.id if type(v) is Tracer and v.recording is beneath else None for v in values]
    forward(list(beneath.entries), turned, ids)
    found: list[Any] = []
    for i, value in zip(ids, values, strict=True):
        change = None if i is None else turned[i]
        if change is None:
            found.append(None)
            continue
        aval = typeof(change)
        size = modulus(_beneath(value, beneath))
        largest = reduce_max(size, tuple(range(len(aval.shape)))) if aval.size else 0.0
        found.append(greater(modulus(change), mul(largest, float(np.finfo(aval.dtype).eps ** (2 / 3)))))
    return found


def _answers(entries: list[Entry], b: Any, size: int, results: Sequence[int | None]) -> list[Any]:
    """What the tangent b, which the rule of the first entry leaves out, adds to the tangents of the results."""
    _, out_ids, app = entries[0]
    freedom = app.freedom
    beneath = freedom.beneath
    pushed: list[Any] = [None] * size
    pushed[out_ids[freedom.position]] = freedom.seed
    forward(entries[1:], pushed, results)
    turned: list[Any] = [None] * beneath.fresh()
    turned[freedom.input_id] = mul(_beneath(b, beneath), freedom.weights)
    found = [None if i is None else pushed[i] for i in results]
    ids = [t.id if type(t) is Tracer and t.recording is beneath else None for t in found]
    forward(list(beneath.entries), turned, ids)
    return [None if i is None else turned[i] for i in ids]


def _beneath(x: Any, beneath: Recording) -> Any:
    """One level below the recording beneath."""
    while type(x) is Tracer and x.recording is beneath:
        x = x.value
    return x


def _last_uses(entries: list[Entry], results: Iterable[int | None]) -> list[list[int]]:
    """For each entry the ids that nothing after it reads."""
    seen = {i for i in results if i is not None}
    uses: list[list[int]] = []
    for _, _, payload in reversed(entries):
        ids = payload.ids if type(payload) is Application else [edge[0] for edge in payload]
        mine = [i for i in ids if i is not None and i not in seen]
        seen.update(mine)
        uses.append(mine)
    uses.reverse()
    return uses


def _drain(entries: list[Entry]) -> Iterator[Entry]:
    entries.reverse()
    while entries:
        yield entries.pop()


def _overwritten(prim: Any, app: Application, tangents: list[Any]) -> Any:
    """The tangent of an array with some elements replaced, in the memory of the array's: it is read for the last time.

    Unless something else refers to that memory, a view for one; see `Replacement.bind_last`.
    """
    x_id, v_id, *_ = app.ids
    v_dot = None if v_id is None else tangents[v_id]
    if v_dot is None:
        if x_id is None or tangents[x_id] is None:
            return None
        v_dot = zeros(typeof(app.operands[1]))
    x_dot = [zeros(typeof(app.operands[0])) if x_id is None or tangents[x_id] is None else tangents[x_id]]
    if x_id is not None:
        tangents[x_id] = None
    return prim.bind_last(x_dot, v_dot, *app.operands[2:], **app.params)


def tangent_of(prim: Any, app: Application, tangents: list[Any]) -> Any:
    """The tangent of the result of one application; None where it is zero."""
    if prim.kind == "call":
        return prim.push(app, tangents)
    if isinstance(prim, Linear) or (isinstance(prim, General) and prim.is_linear_for(tangents)):
        operands = [
            (x if not prim.is_linear_in(k) else zeros(typeof(x)) if t is None else t)
            for k, (x, t) in enumerate(zip(app.operands, tangents, strict=True))
        ]
        return prim.bind(*operands, **app.params)
    if isinstance(prim, Multilinear):
        total = None
        for k, t in enumerate(tangents):
            if t is not None:
                operands = list(app.operands)
                operands[k] = t
                term = prim.bind(*operands, **app.params)
                total = term if total is None else add(total, term)
        return total
    if isinstance(prim, General):
        freely = {} if app.freedom is None else {"freely": True}
        return prim.jvp(app.operands, tangents, app.outs, **app.params, **freely)
    raise MissingRuleError(f"primitive {prim.name!r} ({prim.kind}) has no forward rule")

"""Forward mode: walk the entries of a recording and push tangents through them.

    forward : entries, tangents of the inputs -> tangents of the results

The values were computed when the entries were recorded, so this is the tangent half of the dual numbers.
A tangent is None where it is zero; zeros are made only where a primitive needs them beside others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fungrad.core.aval import typeof
from fungrad.core.primitive import General, Linear, Multilinear
from fungrad.core.trace import Application, Entry
from fungrad.errors import MissingRuleError
from fungrad.interpreters.fit import fit_tangent
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import zeros


def forward(
    entries: list[Entry], tangents: list[Any], results: Iterable[int | None] | None = None, consume: bool = False
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
    """
    dead: Any = itertools.repeat((), len(entries)) if results is None else _last_uses(entries, results)
    unread: Sequence[int] = ()
    for (prim, out_id, payload), last_read in zip(_drain(entries) if consume else entries, dead, strict=True):
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
        ins = [None if i is None else tangents[i] for i in payload.ids]
        if all(t is None for t in ins):
            continue
        out = tangent_of(prim, payload, ins)
        if prim.multiple:
            for i, t in zip(out_id, out, strict=True):
                tangents[i] = t
        else:
            tangents[out_id] = out


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


def tangent_of(prim: Any, app: Application, tangents: list[Any]) -> Any:
    """The tangent of the result of one application; None where it is zero."""
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
        return prim.jvp(app.operands, tangents, app.outs, **app.params)
    raise MissingRuleError(f"primitive {prim.name!r} ({prim.kind}) has no forward rule")

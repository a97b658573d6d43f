"""Reverse mode: walk the entries of a recording backwards and accumulate cotangents.

    backward : entries, cotangents of the results -> cotangents of the inputs

A recording with values is, entry by entry, a linear map at the point where it was recorded, so this walk
is linearize followed by transpose in one step: nothing is recomputed and no linear jaxpr is built. An abstract
recording of a linear function (or of a General rule's jvp in its tangents) is transposed by the same walk;
there the values of traced operands do not exist, and a rule that asks for one is not linear.

A cotangent is None while nothing has contributed to it: a symbolic zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import Elementwise
from fungrad.core.primitive import General, Linear, Multilinear
from fungrad.core.trace import Application, Entry, Recording, Tracer, describe_entry, newest
from fungrad.errors import MissingRuleError, NonLinearError
from fungrad.interpreters.fit import fit_cotangent
from fungrad.primitives.arithmetic import add, add_into, mul
from fungrad.primitives.assignment import Replacement
from fungrad.primitives.structural import zeros


def backward(entries: list[Entry], cotangents: list[Any], consume: bool = False) -> None:
    """Accumulate into ``cotangents`` (indexed by id) walking the entries from last to first.

    Parameters
    ----------
    entries : list of Entry
        What a recording holds; emptied on the way if ``consume``, so that residuals are freed once used.
    cotangents : list
        In: the cotangents of the results. Out: also those of the inputs. Those in between are dropped.
    """
    owned: set[int] = set()  # ids whose cotangent is a sum made here, which may be added into in place
    for entry in _drain(entries) if consume else reversed(entries):
        prim, out_id, payload = entry
        if type(out_id) is tuple:
            _backward_multiple(prim, out_id, payload, cotangents, owned)
            continue
        ct = cotangents[out_id]
        if ct is None:
            continue
        cotangents[out_id] = None
        if type(payload) is Application:
            _backward_application(entry, ct, cotangents, owned)
            continue
        for i, rule, residuals, fix in payload:
            x_bar = rule(ct, *residuals)
            if fix is not None:
                x_bar = fit_cotangent(x_bar, fix[0])
            previous = cotangents[i]
            cotangents[i] = x_bar if previous is None else _sum(previous, x_bar, i, owned)


def _drain(entries: list[Entry]) -> Iterator[Entry]:
    while entries:
        yield entries.pop()


def _sum(previous: Any, x_bar: Any, i: int, owned: set[int]) -> Any:
    if type(previous) is np.ndarray and type(x_bar) is np.ndarray:
        if i in owned:
            return add_into(previous, x_bar)
        owned.add(i)
    return add(previous, x_bar)


def _contribute(i: int, x_bar: Any, cotangents: list[Any], owned: set[int]) -> None:
    if x_bar is not None:
        previous = cotangents[i]
        cotangents[i] = x_bar if previous is None else _sum(previous, x_bar, i, owned)


def _backward_application(entry: Entry, ct: Any, cotangents: list[Any], owned: set[int]) -> None:
    """One application of any kind with a single result."""
    prim, out_id, app = entry
    if type(prim) is Replacement and type(ct) is np.ndarray and _is_plain(app):
        _backward_replacement(prim, app, ct, out_id in owned, cotangents, owned)
    elif isinstance(prim, Linear) or (isinstance(prim, General) and prim.is_linear_for(app.ids)):
        _backward_linear(entry, ct, cotangents, owned)
    elif isinstance(prim, Multilinear):
        for k, i in enumerate(app.ids):
            if i is not None:
                _check_known(entry, app, except_for=k)
                _contribute(i, prim.transposes[k](ct, *app.operands, **app.params), cotangents, owned)
    elif isinstance(prim, Elementwise):
        # Only in abstract recordings: the map is linear if no rule asks for a traced value.
        if prim.joint:
            _check_no_constant(entry, app)
        for i, rule, residuals, fix in prim.edges(app.ids, app.operands, app.outs):
            if any(type(r) is ShapedArray for r in residuals):
                raise NonLinearError(f"{describe_entry(entry)} is not linear in its traced operand")
            x_bar = rule(ct, *residuals)
            _contribute(i, x_bar if fix is None else fit_cotangent(x_bar, fix[0]), cotangents, owned)
    elif isinstance(prim, General):
        if any(i is not None and type(x) is ShapedArray for i, x in zip(app.ids, app.operands, strict=True)):
            raise NonLinearError(f"{describe_entry(entry)} is not linear in its traced operand")
        _backward_general(prim, app, (ct,), cotangents, owned)
    else:
        raise NonLinearError(
            f"{describe_entry(entry)} ({prim.kind}) has no transpose: its result is not linear in its operands"
        )


def _backward_linear(entry: Entry, ct: Any, cotangents: list[Any], owned: set[int]) -> None:
    prim, _, app = entry
    if prim.linear_in is not None:
        for k, i in enumerate(app.ids):
            if i is not None and not prim.is_linear_in(k):
                raise NonLinearError(f"{describe_entry(entry)} is not linear in its traced operand {k}")
    if prim.accumulate is not None and type(ct) is not Tracer and newest(app.operands) is None:
        i, aval = app.ids[0], app.operands[0]
        total = cotangents[i]
        if total is None:
            total = cotangents[i] = zeros(aval)
            owned.add(i)
        elif type(total) is np.ndarray and i not in owned:
            total = cotangents[i] = total.copy()
            owned.add(i)
        if type(total) is np.ndarray and total.dtype == typeof(ct).dtype:
            prim.accumulate(total, ct, *app.operands, **app.params)
            return
    if len(app.ids) > 1 and prim.linear_in is None:
        _check_no_constant(entry, app)
    results = prim.transpose(ct, *app.operands, **app.params)
    if type(results) is not tuple:
        results = (results,)
    positions = prim.linear_in if prim.linear_in is not None else range(len(app.ids))
    for k, x_bar in zip(positions, results, strict=True):
        i = app.ids[k]
        if i is not None:
            _contribute(i, x_bar, cotangents, owned)


def _is_plain(app: Application) -> bool:
    """Whether all operands but the first two are known: plain indices."""
    return len(app.ids) == 2 or (not any(i is not None for i in app.ids[2:]) and newest(app.operands[2:]) is None)


def _backward_replacement(
    prim: Replacement, app: Application, ct: Any, in_place: bool, cotangents: list[Any], owned: set[int]
) -> None:
    """The cotangent of the array goes on with zeros at the replaced elements: in place if it is a sum made here."""
    x_id, v_id = app.ids[:2]
    indices = app.operands[2:]
    if v_id is not None:
        _contribute(v_id, prim.taken(ct, *app.operands, **app.params), cotangents, owned)
    if x_id is None:
        return
    x_bar = ct if in_place else ct.copy()
    prim.clear(x_bar, *indices, **app.params)
    if cotangents[x_id] is None:
        cotangents[x_id] = x_bar
        owned.add(x_id)
    else:
        _contribute(x_id, x_bar, cotangents, owned)


def _backward_multiple(
    prim: Any, out_ids: tuple[int, ...], app: Application, cotangents: list[Any], owned: set[int]
) -> None:
    cts = [cotangents[i] for i in out_ids]
    if all(ct is None for ct in cts):
        return
    for i in out_ids:
        cotangents[i] = None
    if prim.kind == "call":
        for k, x_bar in zip(app.ids, prim.pull(app, cts), strict=True):
            if k is not None:
                _contribute(k, x_bar, cotangents, owned)
        return
    if not isinstance(prim, General):
        raise MissingRuleError(f"primitive {prim.name!r} ({prim.kind}) with several results has no reverse rule")
    _backward_general(prim, app, cts, cotangents, owned)
    if app.freedom is not None and any(i is not None for i in app.ids):
        _backward_freedom(prim, app, cts, cotangents, owned)


def _backward_freedom(prim: Any, app: Application, cts: Sequence[Any], cotangents: list[Any], owned: set[int]) -> None:
    """The cotangent that the jvp rule leaves out, the transpose of what `jvp.forward_with_freedom` adds.

    A function that does not depend on the choice has cotangents of the eigenvalues that change with a turn theta of it
    by what is sought: ``d sum(c_l w_bar_l) = 2 sum((c_l - c_j) m_lj theta_jl)``.
    """
    freedom: Any = app.freedom
    w_bar = cts[freedom.position]
    if type(w_bar) is not Tracer or w_bar.recording is not freedom.beneath:
        return
    turned: list[Any] = [None] * freedom.beneath.fresh()
    turned[w_bar.id] = freedom.seed
    backward(list(freedom.beneath.entries), turned)
    theta_bar = turned[freedom.input_id]
    if theta_bar is not None:
        missing = mul(theta_bar, freedom.weights)
        _pull_rule(lambda *args, **params: (prim.turning(*args, **params),), app, (missing,), cotangents, owned)


def _backward_general(
    prim: General, app: Application, cts: Sequence[Any], cotangents: list[Any], owned: set[int]
) -> None:
    """Transpose the jvp rule."""
    options: dict[str, Any] = {"wanted": tuple([ct is not None for ct in cts])} if prim.selective else {}
    if app.freedom is not None:
        options["freely"] = True

    def rule(*args: Any, **params: Any) -> Any:
        outs = prim.jvp(*args, **params, **options)
        return outs if prim.multiple else (outs,)

    _pull_rule(rule, app, cts, cotangents, owned)


def _pull_rule(
    rule: Callable[..., Any], app: Application, cts: Sequence[Any], cotangents: list[Any], owned: set[int]
) -> None:
    """Record a rule abstractly in its tangents, then transpose what it recorded."""
    recording = Recording(True, "vjp", rule, of_user=False)
    tangents = [
        None if i is None else recording.new_input(typeof(x).strong())
        for i, x in zip(app.ids, app.operands, strict=True)
    ]
    ids = [None if t is None else t.id for t in tangents]
    outs = rule(app.operands, tangents, app.outs, **app.params)
    n = recording.fresh()
    inner: list[Any] = [None] * n
    for t, ct in zip(outs, cts, strict=True):
        if ct is not None and type(t) is Tracer and t.recording is recording:
            inner[t.id] = ct if inner[t.id] is None else add(inner[t.id], ct)
    backward(recording.end(), inner, consume=True)
    for i, k in zip(app.ids, ids, strict=True):
        if i is not None and k is not None:
            _contribute(i, inner[k], cotangents, owned)


def _check_known(entry: Entry, app: Application, except_for: int) -> None:
    for k, i in enumerate(app.ids):
        if i is not None and k != except_for and type(app.operands[k]) is ShapedArray:
            raise NonLinearError(f"{describe_entry(entry)} multiplies two traced operands: it is not linear")


def _check_no_constant(entry: Entry, app: Application) -> None:
    """Refuse a sum with a constant in an abstract recording: it is affine, not linear."""
    if app.source is None:
        return
    for i, x in zip(app.ids, app.operands, strict=True):
        if i is None and typeof(x).dtype.kind != "b" and (type(x) is Tracer or np.any(x)):  # a boolean selects
            raise NonLinearError(
                f"{describe_entry(entry)} adds a constant that is not zero: the function is affine, not linear"
            )

"""Partial evaluation: split a program into what can be computed of its known arguments, and the rest.

    partition : ClosedJaxpr, which arguments are known -> ClosedJaxpr, ClosedJaxpr

    whole(known, unknown)  =  first(known) -> results, residuals;  rest(residuals, unknown) -> results

The residuals are the values that the rest reads. A residual that is an argument is one all the same, so that the rest
can be called alone. What is cheap is not kept but computed again in the rest:

* views, broadcasts and names, which cost nothing;
* large arrays that a few pointwise operations make of other residuals (`-x`, `x * x`, `1 - y * y` beside `y`), where
  these take less time than it takes to write an array and to read it again (`_PER_BYTE`). No other value becomes a
  residual for this, so there are only fewer of them; transcendental functions and contractions are never repeated.

With ``may_save`` only those results of equations are kept for which it says so (and arguments); everything else that
the rest reads is computed again there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.passes.dce import dce

_VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "name"})

_CHEAP = frozenset(
    [
        *(
            "neg",
            "positive",
            "add",
            "sub",
            "mul",
            "square",
            "abs",
            "conj",
            "sign",
            "maximum",
            "minimum",
            "where",
            "div",
        ),
        *("reciprocal", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and"),
        *("logical_or", "logical_not"),
    ]
)
"""Pointwise operations that may be done twice."""

_PER_BYTE = 0.2
"""Nanoseconds that a byte of a large residual takes, written once and read once."""

_LARGE = 1 << 12
"""Elements of a large array; for a smaller one a call of NumPy takes longer than to keep it."""


def partition(
    closed: ClosedJaxpr, known: Sequence[bool], n_first: int, may_save: Callable[[Equation], bool] | None = None
) -> tuple[ClosedJaxpr, ClosedJaxpr]:
    """Split; the first ``n_first`` results depend on known arguments alone and are those of the first program."""
    jaxpr = closed.jaxpr
    consts = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    known_vars = [v for v, k in zip(jaxpr.invars, known, strict=True) if k]
    unknown = [v for v, k in zip(jaxpr.invars, known, strict=True) if not k]
    available: set[Var] = set(known_vars)
    first: list[Equation] = []
    rest: list[Equation] = []
    for eqn in jaxpr.eqns:
        if all(_is_known(a, available, consts) for a in eqn.inputs):
            first.append(eqn)
            available.update(eqn.outputs)
        else:
            rest.append(eqn)
    results = jaxpr.outvars[n_first:]
    wanted = {v for eqn in rest for v in eqn.inputs if isinstance(v, Var)} | {v for v in results if isinstance(v, Var)}
    kept, again = _residuals(first, known_vars, wanted, may_save)
    head = Jaxpr(list(consts), known_vars, first, [*jaxpr.outvars[:n_first], *kept])
    fresh = {v: Var(v.aval) for v in kept}

    def read(atom: Atom) -> Atom:
        return fresh.get(atom, atom) if isinstance(atom, Var) else atom

    tail_eqns = [
        Equation(e.primitive, [read(a) for a in e.inputs], e.params, e.outputs, e.source) for e in (*again, *rest)
    ]
    tail = Jaxpr(list(consts), [*fresh.values(), *unknown], tail_eqns, [read(v) for v in results])
    values = list(consts.values())
    return dce(ClosedJaxpr(head, values)), dce(ClosedJaxpr(tail, values))


def _residuals(
    first: Sequence[Equation], known: Sequence[Var], wanted: set[Var], may_save: Callable[[Equation], bool] | None
) -> tuple[list[Var], list[Equation]]:
    """The variables that are kept, and the equations that are computed again, for what is wanted of the first part."""
    saved = _saved(first, known, may_save)
    kept, again = _sweep(first, known, wanted, saved)
    if may_save is None:
        cheap = _cheap(first, known, set(kept))
        if cheap:
            kept, again = _sweep(first, known, wanted, saved - cheap)
    return kept, again


def _sweep(
    first: Sequence[Equation], known: Sequence[Var], wanted: set[Var], saved: set[Equation]
) -> tuple[list[Var], list[Equation]]:
    """The same where the equations whose results are kept, if they are needed, are given."""
    needed = set(wanted)
    kept: list[Var] = []
    again: list[Equation] = []
    for eqn in reversed(first):
        mine = [v for v in eqn.outputs if v in needed]
        if not mine:
            continue
        if eqn in saved:
            kept.extend(reversed(mine))
        else:
            needed.update([a for a in eqn.inputs if isinstance(a, Var)])
            again.append(eqn)
    kept.reverse()
    again.reverse()
    return [*[v for v in known if v in needed], *kept], again


def _saved(
    first: Sequence[Equation], known: Sequence[Var], may_save: Callable[[Equation], bool] | None
) -> set[Equation]:
    """The equations whose results are kept if they are needed."""
    at_hand: set[Atom] = set(known)  # what is kept, and views of that
    saved: set[Equation] = set()
    for eqn in first:
        if eqn.primitive.name in _VIEWS and (
            may_save is None or type(eqn.inputs[0]) is Literal or eqn.inputs[0] in at_hand
        ):
            at_hand.update(eqn.outputs)
        elif may_save is None or may_save(eqn):
            saved.add(eqn)
            at_hand.update(eqn.outputs)
    return saved


def _cheap(first: Sequence[Equation], known: Sequence[Var], kept: set[Var]) -> set[Equation]:
    """The equations whose results cost less to make of what is kept anyway than to keep."""
    costs: dict[Atom, float] = dict.fromkeys(kept, 0.0)
    """Nanoseconds for each element of what can be made of residuals."""
    depending = {*known, *[v for e in first for v in e.outputs]}
    found = set()
    for eqn in first:
        out, name = eqn.outputs[0], eqn.primitive.name
        if name not in _VIEWS and (name not in _CHEAP or out.aval.size < _LARGE):
            continue
        inputs = [a for a in eqn.inputs if a in depending]
        if not inputs or not all(a in costs for a in inputs):
            continue
        cost = sum([costs[a] for a in inputs]) + eqn.primitive.lowering.cost
        if cost < _PER_BYTE * out.aval.dtype.itemsize:
            costs[out] = costs.get(out, cost)  # nothing where it is kept anyway: then it is made for its own sake
            if name in _CHEAP:
                found.add(eqn)
    return found


def _is_known(atom: Atom, available: set[Var], consts: dict[Var, object]) -> bool:
    return isinstance(atom, Literal) or atom in available or atom in consts

"""cond, switch: one of several functions, chosen by a value that may not be known yet.

    outs = cond[branches, owners] index, operands

Where the index is known the branch runs as the Python function that it is, and nothing else does. Where it is not, all
branches are recorded, and must return the same types. The derivative is a cond of the branches' derivatives: the
forward branches return the residuals of all of them, zeros standing for those of the others. Batched with a batched
index, all branches run and the results are selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.bodies import Body, check_same, record_body, with_consts
from fungrad.control.call import Program, call_p
from fungrad.control.kept import program_of
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import arrays, check_callable, is_operand
from fungrad.core.lowering import UNKNOWN, Emission, Lowering
from fungrad.core.primitive import Primitive, lower, record_abstract
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Application, Recording, Tracer, known_value, newest
from fungrad.errors import NonLinearError, TransformTypeError, TransformValueError
from fungrad.primitives.comparison import equal, not_equal
from fungrad.primitives.extrema import maximum, minimum
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert, reshape, zeros

Branches = tuple[Program, ...]


class LinearCond(NamedTuple):
    """The derivative of a cond."""

    forward: Branches  # results, then slots for the residuals of each
    owners: tuple[int, ...]  # whose residual each slot is for
    tangent: Branches  # of the direct residuals, the slots and the tangents of the active operands
    direct: tuple[int, ...]  # the operands that are residuals as they are
    positions: tuple[int, ...]  # the results that have a tangent


class Cond(Primitive):
    """The primitive ``cond``; its operands are the index and what the branches take."""

    kind = "call"

    def __init__(self) -> None:
        super().__init__("cond", _run, multiple=True, lowering=Lowering(_text, UNKNOWN))

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The types that all branches return."""
        return params["branches"][0].out_avals  # type: ignore[no-any-return]

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Run a branch, or record the choice."""
        index = operands[0]
        if type(index) is not Tracer:
            return call_p.bind(*operands[1:], program=params["branches"][int(index)])
        recording: Any = newest(operands)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Run the forward branches one level down and record the choice among the linear ones."""
        values, ids = lower(recording, operands)
        branches: Branches = params["branches"]
        active = tuple([i is not None for i in ids[1:]])
        form = branches[0].once(("linear cond", active, branches[1:]), lambda: _linearized(branches, active))
        n_out = len(branches[0].out_avals)
        owners = params["owners"] or (None,) * n_out
        results = self.bind(*values, branches=form.forward, owners=(*owners, *form.owners))
        outs = list(results[:n_out])
        if not form.positions:
            return tuple(outs)
        take = recording.constants.take
        known = [values[0], *[values[1 + k] for k in form.direct], *results[n_out:]]
        traced = [(i, typeof(x).strong()) for i, x in zip(ids[1:], values[1:], strict=True) if i is not None]
        app = Application(
            (*[None] * len(known), *[i for i, _ in traced]),
            (*[take(x) if type(x) is Tracer else x for x in known], *[a for _, a in traced]),
            {"branches": form.tangent, "owners": tuple([owners[k] for k in form.positions])},
            form.tangent[0].out_avals,
            None,
        )
        out_ids = tuple([recording.fresh() for _ in form.positions])
        recording.append((self, out_ids, app))
        for k, i in zip(form.positions, out_ids, strict=True):
            outs[k] = Tracer(recording, i, outs[k])
        return tuple(outs)

    def push(self, app: Application, tangents: Sequence[Any]) -> tuple[Any, ...]:
        """The tangents of the results of an application that is linear in its traced operands."""
        operands = [
            x if i is None else zeros(typeof(x)) if t is None else t
            for i, x, t in zip(app.ids, app.operands, tangents, strict=True)
        ]
        return self.bind(*operands, **app.params)  # type: ignore[no-any-return]

    def pull(self, app: Application, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the operands (None: zero) of an application that is linear in its traced operands."""
        branches: Branches = app.params["branches"]
        if app.ids[0] is not None:
            raise NonLinearError(
                f"the predicate of a lax.cond over {branches[-1].name} depends on what it is to be linear in: it is not"
            )
        linear = tuple([i is not None for i in app.ids[1:]])
        given = tuple([ct is not None for ct in cts])
        backward, positions = branches[0].once(
            ("transposed cond", linear, given, branches[1:]), lambda: _transposed(branches, linear, given)
        )
        known = [x for x, s in zip(app.operands[1:], linear, strict=True) if not s]
        outs = self.bind(app.operands[0], *known, *[ct for ct in cts if ct is not None], branches=backward, owners=None)
        bars: list[Any] = [None] * len(app.ids)
        for k, out in zip(positions, outs, strict=True):
            bars[1 + k] = out
        return bars

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """A cond of the batched branches; a selection among the results of all of them if the index is batched."""
        branches: Branches = params["branches"]
        flags = tuple(batched[1:])
        if not batched[0]:
            return self.bind(*operands, **{**params, "branches": tuple([b.batched(axis, flags) for b in branches])})
        index = operands[0]
        results = [call_p.bind(*operands[1:], program=b.batched(axis, flags)) for b in branches]
        # All branches run on all examples, in what is recorded of their tangents too: with residuals of their own.
        owners = params["owners"] or [None] * len(results[0])
        return tuple(
            [
                _select(index, list(cases)) if owner is None else cases[owner]
                for cases, owner in zip(zip(*results, strict=True), owners, strict=True)
            ]
        )


def _select(index: Any, cases: list[Any]) -> Any:
    """For each example the case that its index says."""
    rank = len(typeof(cases[0]).shape)
    index = reshape(index, (typeof(index).shape[0], *(1,) * (rank - 1)))
    if typeof(index).dtype.kind == "b":
        return where(index, cases[1], cases[0])
    out = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        out = where(equal(index, k), cases[k], out)
    return out


def _linearized(branches: Branches, active: tuple[bool, ...]) -> LinearCond:
    forms = [b.linear_form(active) for b in branches]
    n_out = len(branches[0].out_avals)
    positions = sorted({p for f in forms for p in f.positions})
    direct: dict[int, None] = {}
    slots: list[ShapedArray] = []
    where_from: list[list[tuple[bool, int]]] = []  # for each residual of a branch: a direct one?, and its place
    owners: list[int] = []
    for branch, form in enumerate(forms):
        jaxpr = form.forward.jaxpr
        place = {v: k for k, v in enumerate(jaxpr.invars)}
        mine = []
        for v in jaxpr.outvars[n_out:]:
            if v in place:
                direct[place[v]] = None
                mine.append((True, place[v]))
            else:
                mine.append((False, len(slots)))
                slots.append(v.aval.strong())
                owners.append(branch)
        where_from.append(mine)
    given = list(direct)
    dots = [k for k, a in enumerate(active) if a]

    def forward(k: int) -> Program:
        def run(*args: Any) -> list[Any]:
            outs = evaluate(forms[k].forward.closed, args)
            filled: list[Any] = [None] * len(slots)
            for x, (is_direct, place) in zip(outs[n_out:], where_from[k], strict=True):
                if not is_direct:
                    filled[place] = x
            return [*outs[:n_out], *[zeros(a) if x is None else x for x, a in zip(filled, slots, strict=True)]]

        return Program(
            record_jaxpr("lax.cond", run, branches[k].in_avals, branches[k], of_user=False), branches[k].name
        )

    def tangent(k: int) -> Program:
        form = forms[k]

        def run(*args: Any) -> list[Any]:
            residuals = [
                args[given.index(place)] if is_direct else args[len(given) + place]
                for is_direct, place in where_from[k]
            ]
            outs = evaluate(form.tangent.closed, [*residuals, *args[len(given) + len(slots) :]])
            found = dict(zip(form.positions, outs, strict=True))
            return [found[p] if p in found else zeros(branches[k].out_avals[p]) for p in positions]

        avals = [
            *[branches[k].in_avals[i] for i in given],
            *slots,
            *[branches[k].in_avals[i].strong() for i in dots],
        ]
        name = f"jvp({branches[k].name})"
        return Program(record_jaxpr("lax.cond", run, avals, branches[k], of_user=False), name).made_linear()

    every = range(len(branches))
    return LinearCond(
        tuple([forward(k) for k in every]),
        tuple(owners),
        tuple([tangent(k) for k in every]),
        tuple(given),
        tuple(positions),
    )


def _transposed(
    branches: Branches, linear: tuple[bool, ...], given: tuple[bool, ...]
) -> tuple[Branches, tuple[int, ...]]:
    pulled = [b.transposed(linear, given) for b in branches]
    positions = sorted({p for _, mine in pulled for p in mine})

    def backward(k: int) -> Program:
        program, mine = pulled[k]

        def run(*args: Any) -> list[Any]:
            found = dict(zip(mine, evaluate(program.closed, args), strict=True))
            return [found[p] if p in found else zeros(branches[k].in_avals[p].strong()) for p in positions]

        closed = record_jaxpr("lax.cond", run, program.in_avals, branches[k], of_user=False)
        return Program(closed, program.name).made_linear(branches[k].is_linear)

    return tuple([backward(k) for k in range(len(branches))]), tuple(positions)


def _run(index: Any, *operands: Any, branches: Branches, owners: Any) -> tuple[Any, ...]:
    return branches[int(index)].run(*operands)


def _text(e: Emission, out: str | None, index: str, *names: str, branches: Branches, owners: Any) -> str:
    runs = ", ".join([e.const(b.run, b.name) for b in branches])
    return f"({runs})[int({index})]({', '.join(names)})"


cond_p = Cond()

_MISSING = object()


def cond(
    pred: Any,
    true_fun: Callable[..., Any],
    false_fun: Callable[..., Any],
    *operands: Any,
    operand: Any = _MISSING,
) -> Any:
    """Return ``true_fun(*operands)`` if ``pred`` is true, else ``false_fun(*operands)``.

    Parameters
    ----------
    pred : scalar
        A boolean, or a number (true unless zero).
    true_fun, false_fun : callable
        Functions of the operands; they may close over any values.
    *operands : pytrees of arrays
    operand : pytree, optional
        One operand, by keyword.

    Returns
    -------
    pytree
        What the chosen function returns.

    Raises
    ------
    TransformTypeError
        If pred is no scalar, or (where it is not known) the two results differ in their tree or in a type; the message
        names the leaf.

    Notes
    -----
    Where ``pred`` is known only the function that it chooses is called, as by an ``if``. Where it is not (under `jit`,
    `vmap`, `make_jaxpr`, in the body of another loop) both are recorded, and one of them runs; under `vmap` with a
    batched ``pred`` both run and the results are selected, so that the derivative of the other one must be finite.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> f = lambda x: fg.lax.cond(x > 0, np.sin, np.cos, x)
    >>> f(0.0), fg.jit(fg.grad(f))(0.0)
    (np.float64(1.0), np.float64(-0.0))
    """
    check_callable("lax.cond", true_fun)
    check_callable("lax.cond", false_fun)
    if operand is not _MISSING:
        if operands:
            raise TransformTypeError("fungrad.lax.cond: pass operands by position or operand= by keyword, not both")
        operands = (operand,)
    pred = _scalar("lax.cond", "pred", pred)
    if typeof(pred).dtype.kind != "b":
        pred = not_equal(pred, 0)
    known = known_value(pred)
    if not isinstance(known, ShapedArray):
        return (true_fun if known else false_fun)(*operands)
    return _choose("lax.cond", pred, (false_fun, true_fun), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return ``branches[index](*operands)``; an index out of range is clamped to it.

    Parameters
    ----------
    index : integer scalar
    branches : sequence of callable
        At least one. See `cond`, which this is for more than two functions.
    *operands : pytrees of arrays

    Returns
    -------
    pytree

    Raises
    ------
    TransformTypeError, TransformValueError
        If index is not an integer scalar, there is no branch, or (where the index is not known) results differ in type.

    Examples
    --------
    >>> import fungrad as fg
    >>> fg.lax.switch(7, [lambda x: x, lambda x: -x], 1.5)
    -1.5
    """
    branches = tuple(branches)
    if not branches:
        raise TransformValueError("fungrad.lax.switch: there must be at least one branch")
    for b in branches:
        check_callable("lax.switch", b)
    index = _scalar("lax.switch", "index", index)
    if typeof(index).dtype.kind not in "iu":
        raise TransformTypeError(
            f"fungrad.lax.switch: index must be an integer, got {typeof(index)!r}; for a boolean use lax.cond"
        )
    known = known_value(index)
    if not isinstance(known, ShapedArray) or len(branches) == 1:
        chosen = 0 if len(branches) == 1 else min(max(int(known), 0), len(branches) - 1)
        return branches[chosen](*operands)
    index = convert(index, np.dtype(np.int64))
    return _choose("lax.switch", minimum(maximum(index, 0), len(branches) - 1), branches, operands)


def _scalar(transform: str, what: str, x: Any) -> Any:
    if not is_operand(x):
        x = x if callable(x) or isinstance(x, str) else np.asarray(x)
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "biuf":
            raise TransformTypeError(f"fungrad.{transform}: {what} must be a scalar, got {type(x).__name__}: {x!r:.60}")
    if typeof(x).shape:
        raise TransformTypeError(
            f"fungrad.{transform}: {what} must be a scalar, got {typeof(x)!r}; to choose by element use np.where"
        )
    return x


def _choose(transform: str, index: Any, funs: Sequence[Callable[..., Any]], operands: tuple[Any, ...]) -> Any:
    leaves, in_tree = tree.flatten(operands)
    values = arrays(transform, funs[0], operands, leaves, "operands")
    avals = [typeof(x) for x in values]
    bodies = [record_body(transform, f, in_tree, avals) for f in funs]
    out_avals = _common_types(bodies)
    # For two branches the first that the caller wrote is the second: index 1 is true.
    order = [1, 0] if transform == "lax.cond" else list(range(len(funs)))
    names = ["true_fun", "false_fun"] if transform == "lax.cond" else [f"branches[{k}]" for k in order]
    results = [
        (f"the result of {name} ({describe_function(funs[k])})", bodies[k].out_tree, out_avals[k])
        for k, name in zip(order, names, strict=True)
    ]
    for other in results[1:]:
        check_same(transform, results[0], other)
    closed, consts = with_consts(bodies)
    programs = tuple([program_of(_converted(c, out_avals[0]), f) for c, f in zip(closed, funs, strict=True)])
    outs = cond_p.bind(index, *consts, *values, branches=programs, owners=None)
    return bodies[0].out_tree.unflatten(outs)


def _common_types(bodies: Sequence[Body]) -> list[list[ShapedArray]]:
    """The types of the results of each, a Python number taking the dtype that the others agree on."""
    rows = [list(b.out_avals) for b in bodies]
    if len({len(r) for r in rows}) > 1:
        return rows
    for k in range(len(rows[0])):
        column = [r[k] for r in rows]
        strong = {a.dtype for a in column if not a.weak}
        numbers = [a.dtype.type(0).item() for a in column if a.weak]
        if not numbers:
            continue
        common = np.result_type(*strong, *numbers)
        for r in rows:
            if r[k].weak:
                r[k] = ShapedArray((), common)
    return rows


def _converted(closed: ClosedJaxpr, avals: Sequence[ShapedArray]) -> ClosedJaxpr:
    """The jaxpr with results of these dtypes."""
    if all(a.dtype == o.dtype and not o.weak for a, o in zip(avals, closed.out_avals, strict=True)):
        return closed

    def run(*args: Any) -> list[Any]:
        outs = evaluate(closed, args)
        return [convert(x, a.dtype) for x, a in zip(outs, avals, strict=True)]

    return record_jaxpr("lax.cond", run, closed.in_avals, run, of_user=False)

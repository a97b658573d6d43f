"""scan: a loop over the leading axis of arrays, as one equation.

    carry, ys = scan[body, n_consts, n_carry, length, reverse] consts, init, xs
    body : consts, carry, x -> carry, y

Recorded with values, a scan runs a forward scan that also stacks the residuals of each iteration, and what is recorded
is a scan of the tangents, linear in them. Residuals that are constants of the loop or elements of xs are not stacked.
The transpose of a linear scan runs the other way: the cotangents of the carry are its carry, those of the constants are
summed up in it, those of the ys are its xs and those of the xs its ys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.binomial import Reversed, linear_avals
from fungrad.control.bodies import own, record_body, record_carry
from fungrad.control.call import Program, jit_disabled
from fungrad.control.fission import divided
from fungrad.control.hoist import hoisted
from fungrad.control.kept import program_of
from fungrad.control.loops import (
    Params,
    Residual,
    Split,
    batched_body,
    joint,
    linear_form,
    split,
    transposed,
    with_carry,
)
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import arrays, check_callable, path_of
from fungrad.core.primitive import Primitive, lower, record_abstract
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import NonLinearError, TransformTypeError, TransformValueError
from fungrad.primitives.structural import broadcast_to, moveaxis, zeros


class Scan(Primitive):
    """The primitive ``scan``."""

    kind = "call"

    def __init__(self) -> None:
        super().__init__("scan", _run, multiple=True)

    def expand(self, **params: Any) -> ClosedJaxpr:
        """What it is when it is compiled."""
        return divided(params)

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The carry as the body returns it, and its ys with a leading axis."""
        outs, n = params["body"].out_avals, params["n_carry"]
        return (*outs[:n], *[ShapedArray((params["length"], *a.shape), a.dtype) for a in outs[n:]])

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Run the loop, or record it."""
        recording = newest(operands)
        if recording is None:
            return _run(*operands, **params)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: Params) -> Any:
        """Run the forward scan one level down and record the scan of the tangents."""
        values, ids = lower(recording, operands)
        if params["checkpoint"] is not None:
            return self._record_joint(recording, values, ids, params)
        form = linear_form(params, tuple([i is not None for i in ids]))
        results = self.bind(*values, **form.forward)
        n_carry, n_out = params["n_carry"], len(params["body"].out_avals)
        outs = list(results[:n_out])
        if not form.carry and not form.ys:
            return tuple(outs)
        take = recording.constants.take

        def known(r: Residual) -> Any:
            x = values[r.place] if r.is_operand else results[r.place]
            return take(x) if type(x) is Tracer else x

        n_consts = params["n_consts"]
        groups = (ids[:n_consts], ids[n_consts : n_consts + n_carry], ids[n_consts + n_carry :])
        carries = [(groups[1][k], params["body"].in_avals[n_consts + k].strong()) for k in form.carry]
        parts = [
            *[(None, known(r)) for r in form.const_residuals],
            *_traced(groups[0], values[:n_consts]),
            *[
                (i, zeros(a) if i is None else a) for i, a in carries
            ],  # one that comes to have a tangent begins with zero
            *[(None, known(r)) for r in form.row_residuals],
            *_traced(groups[2], values[n_consts + n_carry :]),
        ]
        positions = [*form.carry, *[n_carry + k for k in form.ys]]
        out_avals = self.abstract(**form.tangent)
        out_ids = tuple([recording.fresh() for _ in positions])
        app = Application(tuple([i for i, _ in parts]), tuple([x for _, x in parts]), form.tangent, out_avals, None)
        recording.append((self, out_ids, app))
        for k, i in zip(positions, out_ids, strict=True):
            outs[k] = Tracer(recording, i, outs[k])
        return tuple(outs)

    def _record_joint(
        self, recording: Recording, values: Sequence[Any], ids: Sequence[int | None], params: Params
    ) -> Any:
        """Run the scan one level down and record that of the carry with its tangents: nothing is kept but operands."""
        outs = list(self.bind(*values, **params))
        form = joint(params, tuple([i is not None for i in ids]))
        if not form.carry and not form.ys:
            return tuple(outs)
        take, n_carry = recording.constants.take, params["n_carry"]
        known = [(None, take(x) if type(x) is Tracer else x) for x in values]
        dots = [
            (i, typeof(x).strong() if i is not None else zeros(typeof(x).strong()))
            for i, x, f in zip(ids, values, form.flags, strict=True)
            if f
        ]
        parts = form.arranged(known, dots)
        out_avals = self.abstract(**form.params)
        out_ids = tuple([recording.fresh() for _ in out_avals])
        app = Application(tuple([i for i, _ in parts]), tuple([x for _, x in parts]), form.params, out_avals, None)
        recording.append((self, out_ids, app))
        positions = [*form.carry, *[n_carry + k for k in form.ys]]
        for k, i in zip(positions, out_ids[n_carry:], strict=True):
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
        n_consts, n_carry = app.params["n_consts"], app.params["n_carry"]
        linear = tuple([i is not None for i in app.ids])
        marked = tuple(with_carry(app.params, linear))
        _check_zero([k for k, m in enumerate(marked) if m and not linear[k]], app)
        if all(marked[n_consts : n_consts + n_carry]):
            bars = self.pull_linear(app.params, app.operands, marked, cts)
            return [bar if s else None for bar, s in zip(bars, linear, strict=True)]
        parts = split(app.params, marked)
        known = [x for x, s in zip(app.operands, marked, strict=True) if not s]
        if app.params["checkpoint"] is not None:
            moved = self._pull_again(app.params, parts, known, marked, cts)
            return self._placed(moved, marked, linear)
        results = self.bind(*known, **parts.first)
        residuals = [known[r.place] if r.is_operand else results[r.place] for r in parts.residuals]
        found = self.pull_linear(
            parts.rest,
            [None if k is None else residuals[k] for k in parts.known],
            tuple([k is None for k in parts.known]),
            [cts[k] for k in parts.outs],
        )
        return self._placed([bar for bar, k in zip(found, parts.known, strict=True) if k is None], marked, linear)

    def _placed(self, moved: Sequence[Any], marked: Sequence[bool], linear: Sequence[bool]) -> list[Any]:
        """Cotangents of the marked operands, at their places; of those that are not linear there is none."""
        bars: list[Any] = [None] * len(linear)
        for k, bar in zip([k for k, s in enumerate(marked) if s], moved, strict=True):
            bars[k] = bar if linear[k] else None
        return bars

    def _pull_again(
        self, params: Params, parts: Split, known: Sequence[Any], marked: tuple[bool, ...], cts: Sequence[Any]
    ) -> Sequence[Any]:
        """The cotangents of the marked operands, with few carries kept."""
        rest = [cts[k] for k in parts.outs]
        n_carry = parts.rest["n_carry"]
        seeds = [
            zeros(a) if ct is None else ct for ct, a in zip(rest[:n_carry], parts.rest["body"].out_avals, strict=False)
        ]
        stacked = rest[n_carry:]
        given = tuple([ct is not None for ct in stacked])
        operands = [*known, *seeds, *[ct for ct in stacked if ct is not None]]
        return reversed_p.bind(*operands, **params, linear=marked, given=given)  # type: ignore[no-any-return]

    def pull_linear(
        self, params: Params, operands: Sequence[Any], linear: tuple[bool, ...], cts: Sequence[Any]
    ) -> list[Any]:
        """The same where all carries are linear; of linear operands nothing is asked."""
        n_consts, n_carry, body = params["n_consts"], params["n_carry"], params["body"]
        form = transposed(params, linear, (*[True] * n_carry, *[ct is not None for ct in cts[n_carry:]]))
        known = [x for x, s in zip(operands, linear, strict=True) if not s]
        n_known = sum([not s for s in linear[:n_consts]])
        seeds = [zeros(a) if ct is None else ct for ct, a in zip(cts[:n_carry], body.out_avals, strict=False)]
        sums = [zeros(body.in_avals[k].strong()) for k in form.sums]
        stacked = [ct for ct in cts[n_carry:] if ct is not None]
        outs = self.bind(*known[:n_known], *seeds, *sums, *known[n_known:], *stacked, **form.params)
        bars: list[Any] = [None] * len(linear)
        for k, out in zip((*range(n_consts, n_consts + n_carry), *form.sums, *form.rows), outs, strict=True):
            bars[k] = out
        return bars

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """A scan of the batched body: the batch axis stands behind the one that is scanned."""
        n_consts, n_carry = params["n_consts"], params["n_carry"]
        body, carries, ys = batched_body(params, axis, tuple(batched))
        args = list(operands)
        for k, x in enumerate(operands):
            if k >= n_consts + n_carry:
                args[k] = moveaxis(x, 0, 1) if batched[k] else x
            elif k >= n_consts and carries[k - n_consts] and not batched[k]:
                args[k] = broadcast_to(x, (axis.size, *typeof(x).shape))
        outs = self.bind(*args, **{**params, "body": body})
        results = []
        for out, mapped, stacked in zip(outs, (*carries, *ys), [False] * n_carry + [True] * len(ys), strict=True):
            if not mapped:
                results.append(broadcast_to(out, (axis.size, *typeof(out).shape)))
            else:
                results.append(moveaxis(out, 1, 0) if stacked else out)
        return tuple(results)


def _traced(ids: Sequence[int | None], values: Sequence[Any]) -> list[tuple[int, ShapedArray]]:
    return [(i, typeof(x).strong()) for i, x in zip(ids, values, strict=True) if i is not None]


def _check_zero(constant: Sequence[int], app: Application) -> None:
    for k in constant:
        x = app.operands[k]
        if app.source is not None and (type(x) is Tracer or np.any(x)):
            raise NonLinearError(
                "a lax.scan whose carry begins with a constant that is not zero is affine, not linear, in its operands"
            )


def _run(*operands: Any, **params: Any) -> tuple[Any, ...]:
    """The loop, compiled with what can be computed for all iterations at once outside of it."""
    body: Program = params["body"]
    key = ("scan alone", *[(k, v) for k, v in params.items() if k != "body"])
    program = body.once(key, lambda: _alone(params))
    return program.run(*operands)  # type: ignore[no-any-return]


def _alone(params: Params) -> Program:
    return Program(divided(params), f"scan({params['body'].name})")


scan_p = Scan()


def _reverse_keeping(*operands: Any, **params: Any) -> list[Any]:
    """What ``reversed`` computes, with the residuals of all iterations kept."""
    linear: tuple[bool, ...] = params["linear"]
    parts = split({**params, "checkpoint": None}, linear)
    n_known, n_carry = len(linear) - sum(linear), parts.rest["n_carry"]
    known, cts = operands[:n_known], list(operands[n_known:])
    given = iter(cts[n_carry:])
    results = scan_p.bind(*known, **parts.first)
    residuals = [known[r.place] if r.is_operand else results[r.place] for r in parts.residuals]
    bars = scan_p.pull_linear(
        parts.rest,
        [None if k is None else residuals[k] for k in parts.known],
        tuple([k is None for k in parts.known]),
        [*cts[:n_carry], *[next(given) if g else None for g in params["given"]]],
    )
    moved = [bar for bar, k in zip(bars, parts.known, strict=True) if k is None]
    return [zeros(a) if bar is None else bar for bar, a in zip(moved, linear_avals(**params), strict=True)]


reversed_p = Reversed(_reverse_keeping)


def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    checkpoint: str | int | None = None,
) -> tuple[Any, Any]:
    """Run ``carry, y = f(carry, x)`` over the leading axis of ``xs``; return the last carry and the stacked ys.

    Parameters
    ----------
    f : callable
        ``f(carry, x) -> (carry, y)`` of pytrees. It is recorded once, so Python control flow on their values is an
        error; the carry keeps its tree, shapes and dtypes.
    init : pytree of arrays
        The first carry. A Python number takes the dtype that ``f`` makes of it.
    xs : pytree of arrays, optional
        Each leaf has the same leading axis; ``x`` is a row of it. None for a loop of ``length`` without inputs.
    length : int, optional
        The number of iterations; needed if xs has no leaves, else it must be the size of their leading axis.
    reverse : bool
        Run from the last row to the first. Row k of ys belongs to row k of xs either way.
    unroll : int or bool
        Accepted for compatibility: the compiled loop has little overhead.
    checkpoint : "binomial", int or None
        What reverse mode keeps. None: the residuals of each iteration. "binomial": about log2(length) carries, from
        which the others are computed again, each about as often. An integer: so many carries. See Notes.

    Returns
    -------
    carry : pytree
        As ``init``.
    ys : pytree
        What ``f`` returns second, with a leading axis of size ``length``.

    Raises
    ------
    TransformTypeError
        If the carry changes its tree, a shape or a dtype (the message names the leaf), or f returns no pair.
    TransformValueError
        If the leading axes differ, or no length is known.

    Notes
    -----
    Reverse mode keeps, for each iteration, what the derivative of ``f`` needs; with ``checkpoint`` it keeps carries at
    chosen iterations and runs parts of the loop again, by the schedule that takes the fewest [1]_. Second derivatives
    in reverse mode keep the residuals of each iteration in any case. The loop is compiled, inside and outside of `jit`;
    parts of it that do not depend on the carry are computed for all iterations at once.

    References
    ----------
    .. [1] A. Griewank and A. Walther, Algorithm 799: Revolve, ACM Trans. Math. Softw. 26 (2000) 19-45.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.lax.scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    >>> fg.grad(lambda a: fg.lax.scan(lambda c, _: (a * c, None), 1.0, length=3)[0])(2.0)
    np.float64(12.0)
    """
    check_callable("lax.scan", f)
    return scan_for("lax.scan", f, init, xs, length, reverse, checkpoint)


def scan_for(
    transform: str,
    f: Callable[..., Any],
    init: Any,
    xs: Any,
    length: int | None = None,
    reverse: bool = False,
    checkpoint: str | int | None = None,
) -> tuple[Any, Any]:
    """`scan`, for the public function that messages are to name."""
    check_checkpoint(transform, checkpoint)
    leaves, xs_tree = tree.flatten(xs)
    rows = arrays(transform, f, xs, leaves, "xs")
    n = row_count(transform, f, xs, rows, length)
    row_avals = [ShapedArray(a.shape[1:], a.dtype) for a in map(typeof, rows)]
    in_tree = tree.structure((init, xs))

    def check(out: Any) -> None:
        if not isinstance(out, (tuple, list)) or len(out) != 2:
            raise TransformTypeError(
                f"fungrad.{transform}: {describe_function(f)} must return a pair (carry, y), got {type(out).__name__}"
                f"{f' of {len(out)}' if isinstance(out, (tuple, list)) else ''}. Return (carry, None) without outputs."
            )

    if jit_disabled.get() and n:
        return _python_loop(f, check, init, xs_tree, rows, n, reverse)
    values, avals, body = record_carry(
        transform,
        init,
        lambda carry: record_body(transform, f, in_tree, [*carry, *row_avals], check),
        lambda body: tree.treedef_children(body.out_tree)[0],
        f,
    )
    closed, consts = hoisted(body.closed, body.consts) if n else (body.closed, body.consts)
    outs = scan_p.bind(
        *consts,
        *values,
        *rows,
        body=program_of(closed, f),
        n_consts=len(consts),
        n_carry=len(avals),
        length=n,
        reverse=bool(reverse),
        checkpoint=checkpoint,
    )
    trees = tree.treedef_children(body.out_tree)
    return trees[0].unflatten(outs[: len(avals)]), trees[1].unflatten(outs[len(avals) :])


def check_checkpoint(transform: str, checkpoint: Any) -> None:
    """An error unless it is None, "binomial" or a positive integer."""
    if checkpoint is None or checkpoint == "binomial":
        return
    if isinstance(checkpoint, bool) or not isinstance(checkpoint, int):
        raise TransformTypeError(
            f'fungrad.{transform}: checkpoint must be None, "binomial" or a number of carries to keep, got '
            f"{checkpoint!r:.60}"
        )
    if checkpoint < 1:
        raise TransformValueError(f"fungrad.{transform}: checkpoint must be at least 1, got {checkpoint}")


def row_count(transform: str, f: Any, xs: Any, rows: Sequence[Any], length: Any) -> int:
    """The size of the leading axis of all leaves, checked."""
    name = describe_function(f)
    if length is not None:
        if isinstance(length, Tracer) or not isinstance(length, (int, np.integer)) or isinstance(length, bool):
            raise TransformTypeError(
                f"fungrad.{transform}: length must be an integer that is known, got {length!r:.100} (in a loop over "
                f"{name}); for a number of iterations that is computed use lax.fori_loop or lax.while_loop"
            )
        if length < 0:
            raise TransformValueError(f"fungrad.{transform}: length must not be negative, got {length}")
    shapes = [typeof(x).shape for x in rows]
    for k, shape in enumerate(shapes):
        if not shape:
            raise TransformValueError(
                f"fungrad.{transform}: the leaf xs{path_of(xs, k)} has no axis to scan over (in a loop over {name}); "
                "constants of the loop belong into a closure or the carry"
            )
    sizes = {s[0] for s in shapes} | ({int(length)} if length is not None else set())
    if not sizes:
        raise TransformValueError(f"fungrad.{transform}: without xs a length is needed (in a loop over {name})")
    if len(sizes) > 1:
        lines = [f"  xs{path_of(xs, k)} has {s[0]} rows" for k, s in enumerate(shapes)]
        lines += [f"  length is {length}"] if length is not None else []
        raise TransformValueError(
            f"fungrad.{transform}: the leading axes of xs must have one size (in a loop over {name}):\n"
            + "\n".join(lines)
        )
    return int(sizes.pop())


def _python_loop(
    f: Any, check: Callable[[Any], None], init: Any, xs_tree: Any, rows: Sequence[Any], n: int, reverse: bool
) -> tuple[Any, Any]:
    carry, ys = own(init), []
    for k in reversed(range(n)) if reverse else range(n):
        out = f(carry, own(xs_tree.unflatten([x[k] for x in rows])))
        check(out)
        carry, y = out
        ys.append(own(y))
    ys = ys[::-1] if reverse else ys
    return own(carry), tree.map(lambda *leaves: np.stack(leaves), *ys)

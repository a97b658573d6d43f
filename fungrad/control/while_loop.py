"""while_loop: a loop that runs until a condition of its carry is false.

    carry, count = while[test, body, n_test, n_body] test consts, body consts, init
    test : test consts, carry -> bool      body : body consts, carry -> carry

The equation also returns how many iterations it took: then the loop is a body that is repeated so many times, and its
derivative is that of `repeat`. Batched with a batched condition, the loop runs until no example is left, and those
that are done keep their carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.compile.loop import build_while
from fungrad.control.bodies import own, record_body, record_carry
from fungrad.control.call import Program, jit_disabled
from fungrad.control.hoist import hoisted, invariants
from fungrad.control.joined import with_tangents
from fungrad.control.kept import program_of
from fungrad.control.loops import Params, with_carry
from fungrad.control.onward import onward
from fungrad.control.repeat import COUNT, Repeated, record_tangent, repeat_p
from fungrad.control.scan import check_checkpoint
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr
from fungrad.core.leaves import check_callable
from fungrad.core.lowering import NEW, Emission, Lowering
from fungrad.core.primitive import Primitive, lower, record_abstract
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import NonLinearError, TransformTypeError
from fungrad.interpreters.batch import batch
from fungrad.passes.activity import depends
from fungrad.passes.prune import needed, read_by
from fungrad.primitives.arithmetic import add
from fungrad.primitives.comparison import logical_and
from fungrad.primitives.reductions import reduce_any
from fungrad.primitives.selection import where
from fungrad.primitives.structural import broadcast_to, convert, reshape, zeros


class While(Primitive):
    """The primitive ``while``."""

    kind = "call"

    def __init__(self) -> None:
        super().__init__("while", _run, multiple=True, lowering=Lowering(_text, NEW))

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The carry as the body returns it, and the number of iterations."""
        return (*params["body"].out_avals, COUNT)

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Run the loop, or record it."""
        recording = newest(operands)
        if recording is None:
            return _run(*operands, **params)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def pruned(self, used: list[bool], **params: Any) -> tuple[Params, list[int], list[int]]:
        """The loop without carries that nothing reads, the condition neither."""
        test, body = params["test"], params["body"]
        n_test, n_body = params["n_test"], params["n_body"]

        def make() -> Any:
            by_test = [v in read_by(test.jaxpr) for v in test.jaxpr.invars[n_test:]]
            wanted = [u or t for u, t in zip(used, by_test, strict=False)]
            closed, kept_in, kept_out = needed(body.inlined(), n_body, len(by_test), wanted)
            jaxpr = test.jaxpr
            kept = [v for v, k in zip(jaxpr.invars[n_test:], kept_out, strict=True) if k]
            invars = [*jaxpr.invars[:n_test], *kept]
            smaller = Program(
                ClosedJaxpr(Jaxpr(jaxpr.constvars, invars, jaxpr.eqns, jaxpr.outvars), test.closed.consts), test.name
            )
            return smaller, Program(closed, body.name), kept_in, kept_out

        smaller, program, kept_in, kept_out = body.once(("pruned", test, n_test, n_body, tuple(used)), make)
        new = {**params, "test": smaller, "body": program, "n_test": n_test, "n_body": sum(kept_in[:n_body])}
        operands = [*range(n_test), *[n_test + k for k, f in enumerate(kept_in) if f]]
        return new, operands, [*[k for k, f in enumerate(kept_out) if f], len(kept_out)]

    def joined(self, eqn: Equation, eqns: Sequence[Equation]) -> list[Equation] | None:
        """With the loop of its tangents, if there is one."""
        return with_tangents(eqn, eqns, repeated(eqn.params))

    def record(self, recording: Recording, operands: tuple[Any, ...], params: Params) -> Any:
        """Run the loop one level down and record the tangents of what it was: a body, repeated."""
        values, _ = lower(recording, operands)
        *carry, count = self.bind(*values, **params)
        outs = record_tangent(recording, repeated(params), count, operands[params["n_test"] :], carry)
        return (*outs, count)

    def pull(self, app: Application, cts: Sequence[Any]) -> list[Any]:
        """The cotangents of the operands (None: zero) where the carry is linear in the traced ones.

        How often the loop runs then does not depend on them, and is what it is for zero.
        """
        params = app.params
        n_test, n_body, linear = params["n_test"], params["n_body"], [i is not None for i in app.ids]
        marked = with_carry({**params, "n_consts": n_body, "n_carry": len(app.ids) - n_test - n_body}, linear[n_test:])
        if depends(params["test"].jaxpr, [*linear[:n_test], *marked[n_body:]])[0]:
            raise NonLinearError(
                f"the condition of a lax.while_loop over {params['body'].name} depends on what it is to be linear in: "
                "it is not"
            )
        for x, m, s in zip(app.operands[n_test:], marked, linear[n_test:], strict=True):
            if m and not s and app.source is not None and (type(x) is Tracer or np.any(x)):
                raise NonLinearError(
                    "a lax.while_loop whose carry begins with a constant that is not zero is affine, not linear"
                )
        values = [zeros(typeof(x)) if s else x for x, s in zip(app.operands, linear, strict=True)]
        *_, count = self.bind(*values, **params)
        again = Application(
            (None, *app.ids[n_test:]),
            (count, *app.operands[n_test:]),
            {"family": repeated(params)},
            app.outs,
            app.source,
        )
        return [*[None] * n_test, *repeat_p.pull(again, cts[:-1])[1:]]

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """The loop over the batch."""
        n_test, n_body = params["n_test"], params["n_body"]
        flags = list(batched)
        carry = slice(n_test + n_body, None)
        while True:
            outs = depends(params["body"].jaxpr, flags[n_test:])
            new = [o or f for o, f in zip(outs, flags[carry], strict=True)]
            if new == flags[carry]:
                break
            flags[carry] = new
        if depends(params["test"].jaxpr, [*flags[:n_test], *flags[carry]])[0]:
            return self._batch_with_mask(axis, flags, operands, batched, params)
        body = _batched(params["body"], axis, flags[n_test:], flags[carry])
        test = _batched(params["test"], axis, [*flags[:n_test], *flags[carry]], [False])  # it is given them all
        args = [*operands[: n_test + n_body], *_broadcast(operands[carry], batched[carry], flags[carry], axis)]
        *outs, count = self.bind(*args, **{**params, "test": test, "body": body})
        ready = [True] * len(flags[carry])
        return (*_broadcast(outs, flags[carry], ready, axis), *_broadcast([count], [False], [True], axis))

    def _batch_with_mask(
        self, axis: Any, flags: list[bool], operands: Sequence[Any], batched: Sequence[bool], params: Params
    ) -> Any:
        """The loop for a condition of its own for each example: the carry goes with which are not done, and counts."""
        n_test, n_body = params["n_test"], params["n_body"]
        test, body = params["test"], params["body"]
        consts_flags = flags[: n_test + n_body]
        everything = [True] * len(body.out_avals)

        def going(consts: Sequence[Any], carry: Sequence[Any]) -> Any:
            (found,), (mapped,) = batch(test.closed, axis, [*consts, *carry], [*consts_flags[:n_test], *everything])
            return found if mapped else broadcast_to(found, (axis.size,))

        def step(*args: Any) -> list[Any]:
            consts, carry = args[: n_test + n_body], args[n_test + n_body : -2]
            active, counts = args[-2:]
            outs, mapped = batch(body.closed, axis, [*consts[n_test:], *carry], [*consts_flags[n_test:], *everything])
            outs = _broadcast(outs, mapped, everything, axis)
            new = [
                where(reshape(active, (axis.size, *(1,) * (typeof(o).ndim - 1))), n, o)
                for n, o in zip(outs, carry, strict=True)
            ]
            return [*new, logical_and(active, going(consts[:n_test], new)), add(counts, convert(active, COUNT.dtype))]

        batched_carry = [ShapedArray((axis.size, *a.shape), a.dtype) for a in body.out_avals]
        consts_avals = [*test.in_avals[:n_test], *body.in_avals[:n_body]]
        avals = [
            *[
                ShapedArray((axis.size, *a.shape), a.dtype) if f else a
                for a, f in zip(consts_avals, consts_flags, strict=True)
            ],
            *batched_carry,
            ShapedArray((axis.size,), np.bool_),
            ShapedArray((axis.size,), COUNT.dtype),
        ]
        new_body = Program(record_jaxpr("lax.while_loop", step, avals, body, of_user=False), f"vmap({body.name})")
        new_test = Program(
            record_jaxpr(
                "lax.while_loop",
                lambda *carry: [reduce_any(carry[-2], (0,))],
                avals[n_test + n_body :],
                test,
                of_user=False,
            ),
            f"any({test.name})",
        )
        carry = _broadcast(operands[n_test + n_body :], batched[n_test + n_body :], everything, axis)
        consts = operands[: n_test + n_body]
        counts = np.zeros(axis.size, COUNT.dtype)
        *outs, _, counts, _ = self.bind(
            *consts,
            *carry,
            going(consts[:n_test], carry),
            counts,
            test=new_test,
            body=new_body,
            n_test=0,
            n_body=len(consts),
            checkpoint=params["checkpoint"],
        )
        return (*outs, counts)


def repeated(params: Params) -> Repeated:
    """The body of a loop, as what is repeated."""
    body: Program = params["body"]
    n_body, checkpoint = params["n_body"], params["checkpoint"]
    key = ("repeated", n_body, checkpoint)
    return body.once(key, lambda: Repeated(body, n_body, checkpoint))  # type: ignore[no-any-return]


def _broadcast(xs: Sequence[Any], have: Sequence[bool], want: Sequence[bool], axis: Any) -> list[Any]:
    return [
        broadcast_to(x, (axis.size, *typeof(x).shape)) if w and not h else x
        for x, h, w in zip(xs, have, want, strict=True)
    ]


def _batched(program: Program, axis: Any, flags: Sequence[bool], wanted: Sequence[bool]) -> Program:
    def mapped(*args: Any) -> list[Any]:
        outs, found = batch(program.closed, axis, args, flags)
        return _broadcast(outs, found, wanted, axis)

    avals = [
        ShapedArray((axis.size, *a.shape), a.dtype) if f else a for a, f in zip(program.in_avals, flags, strict=True)
    ]
    return Program(record_jaxpr("lax.while_loop", mapped, avals, program, of_user=False), f"vmap({program.name})")


class _Loop:
    """A compiled loop: its condition for the first time, and its body with the condition for the next time.

    ``same`` are the positions of the constants, for one that is another one the position of that.
    """

    def __init__(self, test: Program, body: Program, n_test: int, n_body: int, same: tuple[int, ...]) -> None:
        self.test, self.n_test, self.n_body = test, n_test, n_body
        self.n_carry = n_carry = len(body.out_avals)

        def step(*args: Any) -> list[Any]:
            args = (*[args[k] for k in same], *args[len(same) :])
            test_consts, body_consts, carry = args[:n_test], args[n_test : n_test + n_body], args[n_test + n_body :]
            outs = evaluate(body.closed, [*body_consts, *carry])
            return [*outs, *evaluate(test.closed, [*test_consts, *outs])]

        avals = [*test.in_avals[:n_test], *body.in_avals]
        closed = record_jaxpr("lax.while_loop", step, avals, body, of_user=False)
        n_consts = n_test + n_body
        self.first: Program | None = None
        """What does not change: computed before the first iteration, if there is one."""
        found = invariants(closed, n_consts)
        if found is not None:
            self.first, closed = Program(found[0], body.name), found[1]
            n_consts += len(found[0].out_avals)
        closed = Program(closed, body.name).optimized()
        self.handed: Program | None = None
        """What an iteration hands on to the next one beside the carry: computed before the first one."""
        divided = onward(closed, n_consts, n_carry)
        if divided is not None:
            self.handed, closed = Program(divided[0], body.name), divided[1]
            n_carry += len(divided[0].out_avals)
        self.executable = build_while(closed, body.name, n_consts, n_carry)

    def run(self, *operands: Any) -> tuple[Any, ...]:
        """The carry and the number of iterations."""
        n_consts = self.n_test + self.n_body
        consts, carry = operands[:n_consts], operands[n_consts:]
        (go_on,) = self.test.run(*operands[: self.n_test], *carry)
        if not go_on:
            return (*[np.array(x)[()] for x in carry], np.int64(0))
        args = (*consts, *(() if self.first is None else self.first.run(*consts)), *carry)
        handed = () if self.handed is None else self.handed.run(*args)
        results = self.executable.run(go_on, *args, *handed)
        return (*results[: self.n_carry], results[-1]) if handed else results


def _loop(params: Params, consts: Sequence[Any]) -> _Loop:
    """The loop for these constants; of those that are equal, as names, one is enough."""
    body, test = params["body"], params["test"]
    n_test, n_body = params["n_test"], params["n_body"]
    first: dict[Any, int] = {}
    same = tuple([first.setdefault(c, k) for k, c in enumerate(consts)])
    return body.once(("while", test, n_test, n_body, same), lambda: _Loop(test, body, n_test, n_body, same))  # type: ignore[no-any-return]


def _run(*operands: Any, **params: Any) -> tuple[Any, ...]:
    consts = operands[: params["n_test"] + params["n_body"]]
    return _loop(params, [id(c) if type(c) is np.ndarray else (k,) for k, c in enumerate(consts)]).run(*operands)


def _text(e: Emission, out: str | None, *names: str, **params: Any) -> str:
    loop = _loop(params, names[: params["n_test"] + params["n_body"]])
    return f"{e.const(loop.run, 'while_loop')}({', '.join(names)})"


while_p = While()


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    checkpoint: str | int | None = None,
) -> Any:
    """Run ``carry = body_fun(carry)`` from ``init_val`` on while ``cond_fun(carry)`` is true; return the last carry.

    Parameters
    ----------
    cond_fun : callable
        Of the carry; returns a boolean scalar.
    body_fun : callable
        Of the carry; returns the next one, of the same tree, shapes and dtypes. Both are recorded once.
    init_val : pytree of arrays
        A Python number takes the dtype that ``body_fun`` makes of it.
    checkpoint : "binomial", int or None
        What reverse mode keeps, as for `scan`.

    Returns
    -------
    pytree
        As ``init_val``.

    Raises
    ------
    TransformTypeError
        If the carry changes its tree or a type (the message names the leaf), or cond_fun returns no boolean scalar.

    Notes
    -----
    All derivatives exist, also in reverse mode with a number of iterations that is not known before: once the loop has
    run it is, and the derivative is that of the path taken. Forward mode needs constant memory; reverse mode runs the
    loop once more and keeps what it needs of each iteration. Under `vmap` with a condition that is batched, the loop
    runs until all examples are done; those that are keep their values.

    Examples
    --------
    Newton's iteration for the square root, and its derivative:

    >>> import fungrad as fg
    >>> def root(a):
    ...     return fg.lax.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: 0.5 * (x + a / x), a)
    >>> print(f"{root(4.0):.9f} {fg.grad(root)(4.0):.9f}")
    2.000000000 0.250000000
    """
    check_callable("lax.while_loop", cond_fun)
    check_callable("lax.while_loop", body_fun)
    return while_for("lax.while_loop", cond_fun, body_fun, init_val, checkpoint)


def while_for(
    transform: str,
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    checkpoint: str | int | None = None,
) -> Any:
    """`while_loop`, for the public function that messages are to name."""
    check_checkpoint(transform, checkpoint)
    if jit_disabled.get():
        carry = own(init_val)
        while cond_fun(carry):
            carry = body_fun(carry)
        return own(carry)
    in_tree = tree.structure((init_val,))
    values, avals, body = record_carry(
        transform,
        init_val,
        lambda carry: record_body(transform, body_fun, in_tree, carry),
        lambda body: body.out_tree,
        body_fun,
    )
    test = record_body(transform, cond_fun, in_tree, avals)
    if len(test.out_avals) != 1 or test.out_avals[0].shape or test.out_avals[0].dtype.kind != "b":
        raise TransformTypeError(
            f"fungrad.{transform}: {describe_function(cond_fun)} must return a boolean scalar, got "
            f"{', '.join(map(repr, test.out_avals)) or 'nothing'}; use np.all or np.any on arrays, != 0 on numbers"
        )
    body_closed, body_consts = body.closed, body.consts  # it may never run
    test_closed, test_consts = hoisted(test.closed, test.consts)
    *outs, _ = while_p.bind(
        *test_consts,
        *body_consts,
        *values,
        test=program_of(test_closed, cond_fun),
        body=program_of(body_closed, body_fun),
        n_test=len(test_consts),
        n_body=len(body_consts),
        checkpoint=checkpoint,
    )
    return body.out_tree.unflatten(outs)

"""Python functions of pytrees as the bodies of control flow: recorded once, with their trees and types checked.

    record_body : transform, function, tree of the arguments, types -> Body
    Body        ::= closed jaxpr (what it closes over, then the arguments), what it closes over, tree of the result

An array that the function closes over becomes an operand in front of the arguments, so that every transform of the
outside sees it where it is being traced, and equal functions of other arrays are equal programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.leaves import arrays, path_of
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer
from fungrad.errors import TransformTypeError
from fungrad.primitives.structural import convert


class Body(NamedTuple):
    """A recorded function: its jaxpr takes ``consts`` and then the leaves of the arguments."""

    closed: ClosedJaxpr
    consts: tuple[Any, ...]
    out_tree: Any

    @property
    def out_avals(self) -> tuple[ShapedArray, ...]:
        """The types of the results."""
        return self.closed.out_avals


def record_body(
    transform: str,
    fun: Callable[..., Any],
    in_tree: Any,
    avals: Sequence[ShapedArray],
    check: Callable[[Any], None] | None = None,
) -> Body:
    """Record a function whose arguments have this tree (of a tuple); ``check`` looks at what it returns."""
    trees: list[Any] = []

    def flat(*tracers: Any) -> list[Any]:
        out = fun(*in_tree.unflatten(tracers))
        if check is not None:
            check(out)
        leaves, out_tree = tree.flatten(out)
        trees.append(out_tree)
        return arrays(transform, fun, out, leaves, "result")

    jaxpr, consts = _merged(record_jaxpr(transform, flat, avals, fun, captures=True))
    moved = Jaxpr([], [*jaxpr.constvars, *jaxpr.invars], jaxpr.eqns, jaxpr.outvars)
    return Body(ClosedJaxpr(moved, []), tuple(consts), trees[0])


def _merged(closed: ClosedJaxpr) -> tuple[Jaxpr, list[Any]]:
    """A jaxpr with one variable for each constant, though several tracers may stand for one, and the constants."""
    jaxpr = closed.jaxpr
    first: dict[Any, Var] = {}
    same: dict[Atom, Var] = {}
    consts = []
    for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
        kept = first.setdefault(_identity(c), v)
        if kept is v:
            consts.append(c)
        else:
            same[v] = kept
    if not same:
        return jaxpr, consts
    eqns = [
        Equation(e.primitive, [same.get(a, a) for a in e.inputs], e.params, e.outputs, e.source) for e in jaxpr.eqns
    ]
    return Jaxpr(list(first.values()), jaxpr.invars, eqns, [same.get(a, a) for a in jaxpr.outvars]), consts


def with_consts(bodies: Sequence[Body]) -> tuple[list[ClosedJaxpr], list[Any]]:
    """Several bodies made to take the same constants, and these."""
    consts: dict[Any, Any] = {_identity(c): c for b in bodies for c in b.consts}
    everything = list(consts)
    closed = []
    for b in bodies:
        jaxpr, n = b.closed.jaxpr, len(b.consts)
        own = {_identity(c): v for c, v in zip(b.consts, jaxpr.invars[:n], strict=True)}
        front = [own[i] if i in own else Var(typeof(consts[i])) for i in everything]
        closed.append(
            ClosedJaxpr(Jaxpr(jaxpr.constvars, [*front, *jaxpr.invars[n:]], jaxpr.eqns, jaxpr.outvars), b.closed.consts)
        )
    return closed, list(consts.values())


def _identity(x: Any) -> Any:
    """Equal for the same array; two tracers may stand for one."""
    return (id(x.recording), x.id) if type(x) is Tracer else id(x)


def record_carry(
    transform: str,
    init: Any,
    record: Callable[[list[ShapedArray]], Body],
    result_tree: Callable[[Body], Any],
    fun: Any,
) -> tuple[list[Any], list[ShapedArray], Body]:
    """Record a function that turns a carry into one of the same type.

    A Python number in ``init`` takes the dtype that the function makes of it, as it would in a Python loop.

    Parameters
    ----------
    record : callable
        The body for a carry of these types; its first results are the new carry.
    result_tree : callable
        The tree of the new carry.

    Returns
    -------
    values, avals, body
        The leaves of ``init``, their types, and the body for them.
    """
    leaves, init_tree = tree.flatten(init)
    values = arrays(transform, fun, init, leaves, "initial carry")
    avals = [typeof(x) for x in values]
    body = record(avals)
    if any(a.weak for a in avals):
        while result_tree(body) == init_tree:
            grown = [_grown(a, o) for a, o in zip(avals, body.out_avals, strict=False)]
            if grown == avals:
                break
            avals = grown  # the numbers that change get a dtype for good, so this comes to an end
            body = record(avals)
        if any(a.weak for a in avals):
            avals = [a.strong() for a in avals]
            body = record(avals)
    check_same(
        transform,
        (f"the initial carry of {describe_function(fun)}", init_tree, avals),
        ("the carry that it returns", result_tree(body), body.out_avals),
    )
    return [convert(x, a.dtype) for x, a in zip(values, avals, strict=True)], avals, body


def _grown(number: ShapedArray, out: ShapedArray) -> ShapedArray:
    """The type of a Python number in the carry after it became ``out``."""
    if not number.weak or out.shape or (out.weak and out.dtype == number.dtype):
        return number
    example = {"b": False, "i": 0, "f": 0.0, "c": 0j}[number.dtype.kind]
    return ShapedArray((), np.result_type(out.dtype, example))


Typed = tuple[str, Any, Sequence[ShapedArray]]


def check_same(transform: str, first: Typed, second: Typed) -> None:
    """A TypeError that names the first leaf at which two pytrees differ, given as (what it is, tree, types)."""
    (what, tree_a, avals_a), (other, tree_b, avals_b) = first, second
    if tree_a != tree_b:
        raise TransformTypeError(
            f"fungrad.{transform}: {what} and {other} must have the same tree structure: {tree_a} is not {tree_b}"
            f"{_first_difference(tree_a, tree_b)}"
        )
    for k, (a, b) in enumerate(zip(avals_a, avals_b, strict=False)):
        if a.shape != b.shape or a.dtype != b.dtype:
            path = path_of(tree_a.unflatten(range(len(avals_a))), k)
            leaf = f"the leaf {path}" if path else "its only leaf"
            fix = "use the same shape" if a.shape != b.shape else f"convert one of them (.astype(np.{a.dtype}))"
            raise TransformTypeError(
                f"fungrad.{transform}: {what} and {other} must have the same types, but {leaf} is {a!r} in the first "
                f"and {b!r} in the second; {fix}"
            )


def _first_difference(a: Any, b: Any) -> str:
    paths = [[tree.keystr(p) for p, _ in tree.leaves_with_path(t.unflatten(range(t.num_leaves)))] for t in (a, b)]
    for mine, others, place in ((paths[0], paths[1], "first"), (paths[1], paths[0], "second")):
        for path in mine:
            if path not in others:
                return f"; only the {place} has a leaf {path or 'that is the tree itself'}"
    return ""


def own(values: Any) -> Any:
    """A pytree with arrays in memory of their own: a body that runs as it is written may assign to what it is given."""
    return tree.map(_own, values)


def _own(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x.again() if type(x) is Tracer else x

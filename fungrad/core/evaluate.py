"""Evaluate a jaxpr: bind its equations one after the other, dropping each value after its last use.

    evaluate : ClosedJaxpr, arguments -> results

Where the arguments are tracers this records the function anew; that is how transforms of a jaxpr nest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Literal, Var
from fungrad.core.trace import Recording, Tracer


def evaluate(closed: ClosedJaxpr, args: Sequence[Any], after: Callable[[Equation], None] | None = None) -> list[Any]:
    """The results of a closed jaxpr for these flat arguments; ``after`` is called after each equation."""
    jaxpr = closed.jaxpr
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Atom) -> Any:
        return atom.value if type(atom) is Literal else env[atom]  # type: ignore[index]

    recordings = rules_recordings(args)
    for eqn, dead in zip(jaxpr.eqns, jaxpr.last_uses(), strict=True):
        for recording in recordings:
            recording.source = eqn.source
        if eqn.primitive.overwrites and reads_last(eqn, dead):
            cell = [env.pop(eqn.inputs[0])]  # type: ignore[arg-type]
            out = eqn.primitive.bind_last(cell, *map(read, eqn.inputs[1:]), **eqn.params)
            del cell
        else:
            out = eqn.primitive.bind(*map(read, eqn.inputs), **eqn.params)
        if eqn.primitive.multiple:
            env.update(zip(eqn.outputs, out, strict=True))
        else:
            env[eqn.outputs[0]] = out
        for var in dead:
            env.pop(var, None)
        if after is not None:
            after(eqn)
    return [read(v) for v in jaxpr.outvars]


def reads_last(eqn: Equation, dead: Sequence[Var]) -> bool:
    """Whether nothing else reads the first operand of an equation with these last uses, not even its other operands."""
    first, *others = eqn.inputs
    return any(v is first for v in dead) and all(v is not first for v in others)


def rules_recordings(operands: Any) -> list[Recording]:
    """The recordings of rules (not of the user's code) that operations on these operands end in, on whatever level."""
    found: list[Recording] = []
    for x in operands:
        while type(x) is Tracer:
            if x.recording.abstract:
                if not x.recording.of_user and x.recording not in found:
                    found.append(x.recording)
                break
            x = x.value
    return found

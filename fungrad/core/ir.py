"""The IR: a jaxpr is a function in A-normal form.

    ClosedJaxpr ::= { Jaxpr with the values of its constvars }
    Jaxpr       ::= { lambda Var* ; Var*. let Equation* in (Atom*) }
    Equation    ::= Var+ = Primitive[params] Atom*
    Atom        ::= Var | Literal
    Var         ::= a name with a ShapedArray

Every variable is defined once, before its use. ``core.check`` verifies this and the types; ``core.show`` prints it.
A jaxpr holds no Python code, so it can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fungrad._util import SourceInfo
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.show import show


class Var:
    """A variable of a jaxpr: an identity with a type."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var:{self.aval!r}"


class Literal:
    """A scalar constant that stands in an equation itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def aval(self) -> ShapedArray:
        """The type of the constant."""
        return typeof(self.value)

    def __repr__(self) -> str:
        value = self.value
        text = repr(value.item()) if hasattr(value, "item") else repr(value)
        return f"{text}:{self.aval!r}"


Atom = Var | Literal


class Equation:
    """``outputs = primitive[params] inputs``, with the place in the user's code that it came from."""

    __slots__ = ("inputs", "outputs", "params", "primitive", "source")

    def __init__(
        self,
        primitive: Any,
        inputs: Sequence[Atom],
        params: dict[str, Any],
        outputs: Sequence[Var],
        source: SourceInfo | None = None,
    ) -> None:
        self.primitive = primitive
        self.inputs = tuple(inputs)
        self.params = params
        self.outputs = tuple(outputs)
        self.source = source

    def __reduce__(self) -> Any:
        return Equation, (self.primitive, self.inputs, self.params, self.outputs)  # code objects do not pickle

    def __repr__(self) -> str:
        return f"{self.outputs} = {self.primitive}{self.params or ''} {self.inputs}"


class Jaxpr:
    """A function in A-normal form; its parts are read-only by convention.

    Attributes
    ----------
    constvars, invars : tuple of Var
        The constants and the arguments.
    eqns : tuple of Equation
        In an order in which they can be computed.
    outvars : tuple of Var or Literal
        The results.
    """

    __slots__ = ("_last_uses", "constvars", "eqns", "invars", "outvars")

    def __init__(
        self, constvars: Sequence[Var], invars: Sequence[Var], eqns: Sequence[Equation], outvars: Sequence[Atom]
    ) -> None:
        self.constvars = tuple(constvars)
        self.invars = tuple(invars)
        self.eqns = tuple(eqns)
        self.outvars = tuple(outvars)
        self._last_uses: list[list[Var]] | None = None

    def __reduce__(self) -> Any:
        return Jaxpr, (self.constvars, self.invars, self.eqns, self.outvars)

    def __repr__(self) -> str:
        return show(self)

    def last_uses(self) -> list[list[Var]]:
        """For each equation the variables that nothing after it reads: an interpreter may drop them then."""
        if self._last_uses is None:
            seen = {v for v in self.outvars if isinstance(v, Var)}
            uses: list[list[Var]] = []
            for eqn in reversed(self.eqns):
                mine = [v for v in dict.fromkeys((*eqn.inputs, *eqn.outputs)) if isinstance(v, Var) and v not in seen]
                seen.update(mine)
                uses.append(mine)
            uses.reverse()
            self._last_uses = uses
        return self._last_uses


class ClosedJaxpr:
    """A jaxpr together with the values of its constants: ``jaxpr``, ``consts``."""

    __slots__ = ("consts", "jaxpr")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any]) -> None:
        self.jaxpr = jaxpr
        self.consts = tuple(consts)

    @property
    def eqns(self) -> tuple[Equation, ...]:
        """The equations of the jaxpr."""
        return self.jaxpr.eqns

    @property
    def in_avals(self) -> tuple[ShapedArray, ...]:
        """The types of the arguments."""
        return tuple([v.aval for v in self.jaxpr.invars])

    @property
    def out_avals(self) -> tuple[ShapedArray, ...]:
        """The types of the results."""
        return tuple([v.aval for v in self.jaxpr.outvars])

    def __reduce__(self) -> Any:
        return ClosedJaxpr, (self.jaxpr, self.consts)

    def __repr__(self) -> str:
        return show(self)

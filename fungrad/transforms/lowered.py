"""What a jitted function compiles to: its jaxpr before and after the passes, the generated source, its cost."""

from __future__ import annotations

from typing import Any

from fungrad import tree
from fungrad.compile.cost import Cost, cost_of
from fungrad.control.call import Program
from fungrad.control.donation import Donation
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.show import show


class Lowered:
    """The program of a jitted function for one type of arguments.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
        As it was recorded.
    optimized : ClosedJaxpr
        After the passes.
    source : str
        The Python function that is run.
    """

    def __init__(self, program: Program, out_tree: Any, donation: Donation | None = None) -> None:
        self._program = program
        self._out_tree = out_tree
        self._compiled: Program | Donation = program if donation is None else donation

    @property
    def jaxpr(self) -> ClosedJaxpr:
        """The jaxpr as it was recorded."""
        return self._program.closed

    @property
    def optimized(self) -> ClosedJaxpr:
        """The jaxpr after the passes."""
        return self._program.arranged()

    @property
    def source(self) -> str:
        """The generated Python source."""
        return self._compiled.executable().text

    def cost(self) -> Cost:
        """Floating-point operations, bytes moved and the peak of memory, in all and for each equation; it prints."""
        return cost_of(self._compiled.executable())

    def as_text(self) -> str:
        """All three, one after the other."""
        parts = [
            ("recorded", show(self.jaxpr)),
            ("optimised", show(self.optimized)),
            ("generated source", self.source),
        ]
        return "\n\n".join([f"# {title}\n{text}" for title, text in parts])

    def compile(self) -> Any:
        """The compiled function: takes the leaves that the arguments have, in order, and returns the result's tree."""
        program, out_tree = self._compiled, self._out_tree
        program.executable()

        def compiled(*args: Any, **kwargs: Any) -> Any:
            return out_tree.unflatten(program.run(*tree.leaves((args, kwargs))))

        return compiled

"""From a jaxpr to a Python function that can be called.

build : ClosedJaxpr -> Executable
"""

from __future__ import annotations

import linecache
import sys
import traceback
from typing import Any

from fungrad._util import describe_source
from fungrad.compile.buffering import wants_small_buffers, with_small_buffers
from fungrad.compile.emit import PROGRAM, Emitter
from fungrad.compile.results import SMALLEST
from fungrad.core.ir import ClosedJaxpr

SPARE = 2
"""Workspaces that a program keeps between calls."""


class Executable:
    """A compiled program.

    Attributes
    ----------
    text : str
        The generated source.
    call : callable
        ``call(*arrays) -> tuple``.
    """

    def __init__(self, closed: ClosedJaxpr, name: str, safe: bool = False, make: type[Emitter] | Any = Emitter) -> None:
        self.closed = closed
        self.name = name
        self._make = make
        emitter: Emitter = make(closed, name, safe)
        emitter.emit()
        self.emitter = emitter
        self.text = "\n".join(emitter.source.lines) + "\n"
        self.filename = f"<fungrad.jit of {name} at {id(self):#x}>"
        self._sources = emitter.source.sources
        spare: list[Any] = []
        most = SPARE if emitter.keeps_memory or emitter.workspace_bytes() < SMALLEST else 0

        def give_back(workspace: Any) -> None:
            if len(spare) < most:
                spare.append(workspace)

        namespace = emitter.source.namespace
        namespace.update(take=spare.pop, give_back=give_back, make=emitter.make_workspace, safe=self._run_safe)
        exec(compile(self.text, self.filename, "exec"), namespace)
        self.call = namespace[PROGRAM]
        if wants_small_buffers(closed.jaxpr.eqns):
            self.call = with_small_buffers(self.call)
        self._safe: Executable | None = None

    def run(self, *args: Any) -> tuple[Any, ...]:
        """The results; an exception says where in the user's code it comes from."""
        done = False
        try:
            results = self.call(*args)
            done = True
        finally:
            if not done:
                self.annotate(sys.exception())
        return results  # type: ignore[no-any-return]

    def _run_safe(self, *args: Any) -> tuple[Any, ...]:
        """The program with NumPy's scalars, for numbers at which Python's raise."""
        if self._safe is None:
            self._safe = Executable(self.closed, self.name, True, self._make)
        return self._safe.call(*args)  # type: ignore[no-any-return]

    def annotate(self, error: BaseException | None) -> None:
        """Say in an exception where in the user's code the failing line comes from."""
        for program in (self, self._safe):
            if program is None or error is None:
                continue
            for frame, line in traceback.walk_tb(error.__traceback__):
                if frame.f_code.co_filename == program.filename:
                    linecache.cache[program.filename] = (
                        len(program.text),
                        None,
                        program.text.splitlines(True),
                        program.filename,
                    )
                    where = program._sources[line - 1] if line <= len(program._sources) else None
                    if where is not None:
                        error.add_note(f"in the compiled function {self.name}, at {describe_source(where)}")
                        return


def build(closed: ClosedJaxpr, name: str = "f", make: type[Emitter] | Any = Emitter) -> Executable:
    """Compile a jaxpr."""
    return Executable(closed, name, make=make)

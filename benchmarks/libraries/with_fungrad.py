"""The workloads in fungrad: eager, and under ``fungrad.jit`` once there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from workloads.workload import Workload

import fungrad as fg

from .functional import transformed
from .rebind import version

JIT = getattr(fg, "jit", None)


def flatten(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    return [np.asarray(x) for x in fg.tree.leaves(result)]


def eager(workload: Workload, task: str | None = None) -> Callable[[], Any]:
    """The call to time: trace and compute."""
    operands = workload.data()
    fun = transformed(fg, version(workload, {}), workload, task or workload.task)
    return lambda: fun(*operands)


def compiled(workload: Workload, task: str | None = None) -> Callable[[], Any]:
    """The call to time, under jit. Its first call traces and compiles: the function is new, and caches are emptied."""
    operands = workload.data()
    fun = JIT(transformed(fg, version(workload, {}), workload, task or workload.task))
    return lambda: fun(*operands)


def forget() -> None:
    """Empty the caches of jit, so that the next call of a new function finds nothing."""
    getattr(fg, "clear_caches", lambda: None)()


PREPARE = {"fungrad": eager}
if JIT is not None:
    PREPARE["fungrad.jit"] = compiled

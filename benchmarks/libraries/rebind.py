"""The same code on another array module.

A user of autograd, JAX or PyTorch writes most of the workloads with the same words after another ``import``, and the
rest with what that library has of its own (``softmax``, ``convolution``, ...). So a library's version is the code of
``workloads/`` with other meanings for its global names.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workloads.workload import Workload


def rebind(fun: Callable[..., Any], names: Mapping[str, Any]) -> Callable[..., Any]:
    """Copy a function, and those of the workloads that it calls, with these global names (``{"np": jax.numpy}``).

    The copy is new on each call, so that no compiler has seen it before.
    """
    scope = {**fun.__globals__, **names}
    for name in set(_names(fun.__code__)) - set(names):
        value = scope.get(name)
        if isinstance(value, types.FunctionType) and value.__module__.startswith("workloads."):
            scope[name] = rebind(value, names)
    return types.FunctionType(fun.__code__, scope, fun.__name__, fun.__defaults__)


def _names(code: types.CodeType) -> Iterator[str]:
    """The global names in a function's code and in that of the comprehensions in it."""
    yield from (step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def version(workload: Workload, names: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of a workload under other names, of its arrays only."""
    fun = names.get(workload.fun.__name__) or rebind(workload.fun, names)
    static = dict(workload.static)
    return lambda *operands: fun(*operands, **static)


def active(workload: Workload) -> tuple[int, ...]:
    """The positions that are differentiated, as a tuple."""
    return (workload.argnums,) if isinstance(workload.argnums, int) else workload.argnums

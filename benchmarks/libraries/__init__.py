"""The libraries: for each a function that makes the call to time, and one that takes its result apart."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

MODULES = {
    "fungrad": "with_fungrad",
    "fungrad.jit": "with_fungrad",
    "numpy": "with_numpy",
    "autograd": "with_autograd",
    "jax.jit": "with_jax",
    "torch": "with_torch",
    "jax": "with_jax",
    "jax.scan": "with_jax",
    "torch.compile": "with_torch",
    "numba": "with_numba",
}
MINE = ("fungrad", "fungrad.jit")
PEERS = tuple([name for name in MODULES if name not in MINE])
COMPILERS = ("fungrad.jit", "jax.jit", "jax.scan", "torch.compile", "numba")


class Library(NamedTuple):
    """A library that takes part.

    ``prepare(workload)`` makes the call to time, with new functions and arrays of its own, or returns None if it has no
    version of the workload. ``flatten(result)`` lists the NumPy arrays of what the call returns.
    """

    name: str
    prepare: Callable[..., Callable[[], Any] | None]
    flatten: Callable[[Any], list[Any]]
    module: Any


def load(names: list[str]) -> dict[str, Library]:
    """Those of the libraries that are installed."""
    found = {}
    for name in names:
        try:
            module = importlib.import_module(f".{MODULES[name]}", __name__)
        except ImportError as error:
            print(f"({name} is left out: {error})")
            continue
        if name not in module.PREPARE:
            print(f"({name} is left out: this version has none)")
            continue
        found[name] = Library(name, module.PREPARE[name], module.flatten, module)
    return found

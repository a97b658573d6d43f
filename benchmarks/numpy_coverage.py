"""Count the functions of NumPy whose gradient each library gets right, called in its own namespace.

    python benchmarks/numpy_coverage.py

The functions are those that docs/numpy_support.md says fungrad differentiates, in the first way that each is probed
there. A gradient counts if it agrees with fungrad's, which the tests hold against finite differences. It needs autograd
and jax (``pip install -e ".[bench]"``).
"""

from __future__ import annotations

import collections
import pathlib
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad as fg

sys.path.append(str(pathlib.Path(__file__).parent.parent / "tests"))

import autograd
import autograd.numpy as autograd_numpy
import jax
import jax.numpy as jax_numpy
import support

jax.config.update("jax_enable_x64", True)
MODULES = ("numpy", "numpy.linalg", "numpy.fft")


def in_namespace(fun: Callable[..., Any], namespace: Any) -> Callable[..., Any]:
    """The same code with another module under the name ``np``."""
    names = {**fun.__globals__, "np": namespace}
    return types.FunctionType(fun.__code__, names, fun.__name__, fun.__defaults__, fun.__closure__)


def leaves(out: Any) -> list[Any]:
    """The arrays in nested sequences, whatever a library's own are called."""
    if isinstance(out, (tuple, list)) or type(out).__name__ == "SequenceBox":
        return [x for part in out for x in leaves(part)]
    return [out]


def scalar(fun: Callable[..., Any], namespace: Any) -> Callable[..., Any]:
    """A smooth number of all floating-point results."""

    def total(*args: Any) -> Any:
        parts = [x for x in leaves(fun(*args)) if getattr(getattr(x, "dtype", None), "kind", "") == "f"]
        return sum([namespace.sum(namespace.cos(x)) for x in parts], 0.0)

    return total


def outcome(gradient: Callable[..., Any], args: list[Any], expected: Any) -> str:
    """``right``, ``different`` or the name of the error."""
    try:
        found = gradient(*args)
        same = all(np.allclose(np.asarray(x), y, rtol=1e-6, atol=1e-8) for x, y in zip(found, expected, strict=True))
        return "right" if same else "different"
    except Exception as error:
        return type(error).__name__


def main() -> None:
    """Run every probe in every library and print the counts."""
    warnings.simplefilter("ignore")
    counts: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for module in MODULES:
        for name, (probe, *_) in support.PROBES[module].items():
            if not support.exists(module, name) or support.judge(name, probe).kind != support.DIFFERENTIATES:
                continue
            active = tuple([k for k in range(len(probe.shapes)) if k not in (*probe.integers, *probe.booleans)])
            args = probe.operands()
            expected = fg.grad(scalar(probe.fun, np), active)(*args)
            counts[module, "fungrad"]["right"] += 1
            for library, grad, namespace in (
                ("autograd", autograd.grad, autograd_numpy),
                ("jax", jax.grad, jax_numpy),
            ):
                total = scalar(in_namespace(probe.fun, namespace), namespace)
                counts[module, library][outcome(grad(total, active), args, expected)] += 1
    for (module, library), counter in counts.items():
        print(f"{module:14} {library:10} {dict(counter.most_common())}")


if __name__ == "__main__":
    main()

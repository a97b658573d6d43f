"""Probes of the methods of NumPy's ufuncs: reduce, accumulate, reduceat, outer and at."""

from __future__ import annotations

from typing import Any

import numpy as np

from .probe import Probe, p

METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")

# ufuncs of integers, and domains in which no element meets a kink
_INTEGERS = ["bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift", "gcd", "lcm"]
_DOMAINS = {"fmod": (4.1, 9.3), "remainder": (4.1, 9.3), "floor_divide": (4.1, 9.3), "nextafter": (1.0, 2.0)}
_FLAT = {(u, m) for u in ("floor_divide", "heaviside") for m in ("reduce", "reduceat", "outer")}


def ufuncs() -> dict[str, Any]:
    """NumPy's elementwise ufuncs of one and two operands, each under its own name."""
    found = {u.__name__: u for u in vars(np).values() if isinstance(u, np.ufunc) and u.signature is None}
    return {name: u for name, u in sorted(found.items()) if name not in ("isnat", "ldexp", "frexp", "modf")}


def _at(u: Any, x: Any, *y: Any) -> Any:
    out = x * 1 if x.dtype.kind != "b" else x
    u.at(out, [0, 1, 0], *y)
    return out


def _probe(name: str, u: Any, method: str) -> Probe | None:
    integers = name in _INTEGERS
    kinds: dict[str, Any] = {"domain": _DOMAINS.get(name, (0.2, 0.9)), "flat": (name, method) in _FLAT}
    if integers:
        kinds = {"domain": (1, 5), "integers": (0, 1)}
    one = {**kinds, "integers": (0,)} if integers else kinds
    if method == "outer":
        return p(lambda x, y: u.outer(x, y), (3,), (2,), **kinds)
    if method == "at":
        return p(lambda x, y: _at(u, x, y), (3,), (3,), **kinds)
    if method == "reduceat":
        return p(lambda x: u.reduceat(x, [0, 2], axis=0), (4, 2), **one)
    return p(lambda x: getattr(u, method)(x, axis=0), (4, 2), **one)


def probes() -> dict[str, Probe]:
    """A probe for each method of each ufunc of two operands for which NumPy has it for these numbers."""
    found = {}
    for name, u in ufuncs().items():
        if (u.nin, u.nout) != (2, 1):
            continue
        for method in METHODS:
            probe = _probe(name, u, method)
            try:
                probe.fun(*probe.operands())
            except (TypeError, ValueError):
                continue  # NumPy itself does not have it: np.power.reduce of ..., np.less.at
            found[f"{name}.{method}"] = probe
    return found

"""Activity: which results of a jaxpr depend on which of its arguments.

depends : Jaxpr, marked arguments -> marked results
"""

from __future__ import annotations

from collections.abc import Sequence

from fungrad.core.aval import is_inexact
from fungrad.core.ir import Jaxpr, Var


def depends(jaxpr: Jaxpr, marked: Sequence[bool], smoothly: bool = False) -> list[bool]:
    """Which results depend on marked arguments; ``smoothly``: such that they may have a tangent."""

    def counts(v: Var) -> bool:
        return not smoothly or is_inexact(v.aval.dtype)

    found = {v for v, m in zip(jaxpr.invars, marked, strict=True) if m and counts(v)}
    if found:
        for eqn in jaxpr.eqns:
            if smoothly and eqn.primitive.kind == "no tangent":
                continue
            if any(a in found for a in eqn.inputs if isinstance(a, Var)):
                found.update([v for v in eqn.outputs if counts(v)])
    return [isinstance(v, Var) and v in found for v in jaxpr.outvars]

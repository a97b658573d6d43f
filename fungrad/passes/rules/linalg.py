"""Rewrite rules of numpy.linalg: systems and inverses of matrices that are known to be triangular.

A Cholesky factor is, and so are the R of a QR decomposition, the inverse of a triangular matrix, and the transposes
and conjugates of them. NumPy has no function for such systems, so a program writes ``solve`` and ``inv``; the rules
take the forms by blocks where these are faster.
"""

from __future__ import annotations

from typing import Any

from fungrad.core.ir import Atom, Equation
from fungrad.primitives.linalg.triangular import PAYS, inv_triangular_p, solve_triangular_p


def _swaps_last_axes(eqn: Equation) -> bool:
    order = eqn.params["permutation"]
    rank = len(order)
    return rank >= 2 and order == (*range(rank - 2), rank - 1, rank - 2)


def _is_lower(b: Any, a: Atom) -> bool | None:
    """Whether an operand is a lower triangular matrix (an upper one: False), or None where that is not known."""
    lower = True
    while True:
        view = b.made_by(a, "transpose") or b.made_by(a, "conj")
        if not view:
            break
        if view.primitive.name == "transpose":
            if not _swaps_last_axes(view):
                return None
            lower = not lower
        (a,) = view.inputs
    if b.made_by(a, "cholesky"):
        return lower
    inverse, qr = b.made_by(a, "inv_triangular"), b.made_by(a, "qr")
    if inverse:
        return bool(inverse.params["lower"]) is lower
    return not lower if qr and a is qr.outputs[1] else None


def _solve(b: Any, eqn: Equation) -> Atom | None:
    # solve(L, y) -> solve_triangular(L, y)      solve(L^T, y) -> solve_triangular(L^T, y, upper)
    a, y = eqn.inputs
    lower = _is_lower(b, a) if a.aval.shape[-1] >= PAYS else None
    return None if lower is None else b.apply(solve_triangular_p, a, y, lower=lower)


def _inv(b: Any, eqn: Equation) -> Atom | None:
    # inv(L) -> inv_triangular(L)
    (a,) = eqn.inputs
    lower = _is_lower(b, a) if a.aval.shape[-1] >= PAYS else None
    return None if lower is None else b.apply(inv_triangular_p, a, lower=lower)


RULES = {"solve": [_solve], "inv": [_inv]}

"""Equal eigenvalues or singular values: derivatives of functions of the vectors and the values, ``v f(w) v^H``.

At a tie the vectors of it are any basis v_b of a space, and a function that is one of the matrix does not depend on
which. With b = v_b^H a_dot v_b its tangent is ``Re tr(m b)`` for a Hermitian m, whose diagonal the cotangents of the
eigenvalues are. The rest of m is in no first derivative of the function of (w, v). But the choice of the basis gives it
away: as v_b turns to ``v_b (1 + turn)``, turn = theta - theta^H, m becomes ``(1 + turn)^H m (1 + turn)``, and so

    d sum(c_l w_bar_l) = Re sum(theta_bar_jl theta_jl),    theta_bar_jl = 2 (c_l - c_j) m_lj

for any numbers c. Thus, where values are known and there is a tie, the vectors are handed out as values of a recording
beneath, as functions of theta at theta = 0; what follows is then recorded there too, the cotangents w_bar as well, and
the derivative of ``sum(c_l w_bar_l)`` with c = (0, 1, 2, ...) in theta tells m: the missing cotangent of b is
``theta_bar_jl / (2 (c_l - c_j))``. Forward mode is the transpose of this (``interpreters.jvp``).

The same with the Hermitian part of ``u_b^H a_dot v_b`` for singular values, where u and v turn together.

This holds at the tie and says nothing of how m changes as the tie splits: it is for first derivatives. A decomposition
of a matrix that is traced further out, or that depends on the vectors of another tie, is not followed. There, and where
only types are known, what cannot be told is nan (``spectral_quotient``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import is_inexact, typeof
from fungrad.core.primitive import General, lower
from fungrad.core.trace import Application, Freedom, Recording, Tracer
from fungrad.primitives.arithmetic import sub
from fungrad.primitives.linalg.matrices import mH
from fungrad.primitives.linalg.spectral_quotient import ties
from fungrad.primitives.selection import where

Turn = Callable[[tuple[Any, ...], Any], tuple[Any, ...]]


class Decomposition(General):
    """A General primitive with several results, the parts of a spectrum.

    Its jvp also takes ``wanted``, which results' tangents are asked for, a boolean each (reverse mode leaves out those
    whose cotangent is symbolically zero: that saves work, and it is how the rule knows whether a function uses the
    vectors of a spectrum alone), and ``freely``: that ties are followed as the module describes.

    Parameters
    ----------
    position : int
        Which of the results are the eigenvalues (or singular values).
    turn : callable, optional
        ``turn(outs, turn)``: the results with the vectors turned by ``1 + turn``.
    turning : callable, optional
        ``turning(primals, tangents, outs, **params)``: the tangent b.
    """

    selective = True

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        position: int = 0,
        turn: Turn | None = None,
        turning: Callable[..., Any] | None = None,
        **rules: Any,
    ) -> None:
        super().__init__(name, impl, multiple=True, **rules)
        self.position = position
        self.turn = turn
        self.turning = turning

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down; where there are ties, follow what the results owe to the choice of the vectors."""
        values, ids = lower(recording, operands)
        outs, freedom = self.bind(*values, **params), None
        tie = None if self.turn is None or recording.is_beneath else _ties_of(outs[self.position])
        if tie is not None and params["at_ties"] == "alone":
            if type(values[0]) is Tracer and values[0].recording is recording.beneath:
                params = {**params, "at_ties": "chain"}
            else:
                outs, freedom = self._with_freedom(recording.record_beneath(), outs, tie)
        out_ids = tuple([recording.fresh() for _ in outs])
        recording.append((self, out_ids, Application(tuple(ids), tuple(values), params, outs, None, freedom)))
        return tuple(
            [Tracer(recording, i, o) if is_inexact(typeof(o).dtype) else o for i, o in zip(out_ids, outs, strict=True)]
        )

    def _with_freedom(
        self, beneath: Recording, outs: tuple[Any, ...], tie: np.ndarray[Any, Any]
    ) -> tuple[tuple[Any, ...], Freedom]:
        assert self.turn is not None
        aval = typeof(outs[self.position])
        theta = beneath.new_input(np.zeros(tie.shape, typeof(outs[-1]).dtype))
        turned = self.turn(outs, where(tie, sub(theta, mH(theta)), 0))
        c = np.arange(aval.shape[-1], dtype=aval.dtype)
        weights = np.where(tie, 0.5 / np.where(tie, c - c[:, None], 1), 0).astype(aval.dtype)
        seed = np.broadcast_to(c, aval.shape)
        return turned, Freedom(beneath, theta.id, self.position, seed, weights, theta.dtype)


def _ties_of(w: Any) -> np.ndarray[Any, Any] | None:
    """Which different eigenvalues are equal; None if none are, or if they are not plain values."""
    if not isinstance(w, np.ndarray):
        return None
    tie = ties(w) & ~np.eye(w.shape[-1], dtype=bool)
    return tie if tie.any() else None

"""Programs as text, and two of them compared."""

from __future__ import annotations

import warnings

import numpy as np

import fungrad as fg


def shown(closed):
    """The equations and results of a jaxpr as text."""
    text = str(closed).partition("let")[2].rpartition("}")[0]
    equations, _, results = text.rpartition(" in ")
    lines = [" ".join(line.split()) for line in equations.strip().splitlines()]
    return [line for line in lines if line] + [f"in {results.strip()}"]


def evaluated(closed, args):
    """The results of a jaxpr, without warnings."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [np.asarray(y) for y in fg.eval_jaxpr(closed, (), *args)]


def assert_same_meaning(after, before, args, rtol=1e-9):
    """The same types, and the same values up to rounding: nan and infinities in the same places."""
    fg.check_jaxpr(after)
    assert after.in_avals == before.in_avals
    assert [a.strong() for a in after.out_avals] == [a.strong() for a in before.out_avals]
    for a, b in zip(evaluated(after, args), evaluated(before, args), strict=True):
        finite = np.abs(b[np.isfinite(b)])
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * min(np.max(finite, initial=1.0), 1e300))

"""Special functions without SciPy, on plain and on traced arrays.

The functions below are computed in pure NumPy, about as accurately as SciPy's (each docstring states its error), and
have derivatives of all orders. Every other ufunc of ``scipy.special`` is handed on as it is, where SciPy is installed
(``pip install scipy``): called with a traced array it finds its derivative in ``fungrad.scipy.ufuncs``.

Where SciPy takes float16 as float32, the dtype is kept here.
"""

from __future__ import annotations

from typing import Any

from fungrad.scipy.special.arguments import from_scipy
from fungrad.scipy.special.bessels import exp1, expi, i0, i0e, i1, i1e, spence
from fungrad.scipy.special.entropies import entr, expit, kl_div, log_expit, logit, rel_entr, sinc, xlog1py, xlogy
from fungrad.scipy.special.gammas import (
    beta,
    betainc,
    betaln,
    binom,
    digamma,
    factorial,
    gamma,
    gammainc,
    gammaincc,
    gammaln,
    gammasgn,
    loggamma,
    multigammaln,
    poch,
    polygamma,
    psi,
    zeta,
)
from fungrad.scipy.special.normal import erf, erfc, erfcinv, erfcx, erfinv, log_ndtr, ndtr, ndtri
from fungrad.scipy.special.sums import log_softmax, logsumexp, softmax

__all__ = [
    "beta", "betainc", "betaln", "binom", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "exp1",
    "expi", "expit", "factorial", "gamma", "gammainc", "gammaincc", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e",
    "kl_div", "log_expit", "log_ndtr", "log_softmax", "loggamma", "logit", "logsumexp", "multigammaln", "ndtr",
    "ndtri", "poch", "polygamma", "psi", "rel_entr", "sinc", "softmax", "spence", "xlog1py", "xlogy", "zeta",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Hand on the other ufuncs of ``scipy.special``."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return from_scipy(name)

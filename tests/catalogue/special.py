"""Rows for ``fungrad.scipy.special`` and for NumPy's special functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fungrad.scipy import special

from .row import Row

_ONE_MORE = (((),), ((0, 3),), ((1,),))
_TWO_MORE = (((2, 3), (3,)), ((3,), (2, 1)), ((), (3,)), ((), ()), ((0, 3), (3,)))
_MINUS_INF = np.array([0.0, -np.inf, 0.0])


def _one(name: str, fun: Any, domain: Any = (-2.0, 2.0), *primitives: str, **more: Any) -> Row:
    return Row(
        name, fun, ((2, 3),), domain, **{"dtypes": "df", "more_shapes": _ONE_MORE, "primitives": primitives, **more}
    )


def _two(name: str, fun: Any, domain: Any, *primitives: str, **more: Any) -> Row:
    return Row(
        name,
        fun,
        ((2, 3), (2, 3)),
        domain,
        **{"dtypes": "df", "more_shapes": _TWO_MORE, "primitives": primitives, **more},
    )


def _sums(name: str, fun: Any, **more: Any) -> Row:
    return Row(name, fun, ((2, 3),), **{"dtypes": "df", "more_shapes": (((0, 3),),), **more})


_SUMS = [
    Row(
        "logsumexp",
        special.logsumexp,
        ((2, 3),),
        more_shapes=(((),), ((1,),)),
        primitives=("logsumexp",),
        dtypes="dfDF",
    ),
    _sums("logsumexp, an axis", lambda x: special.logsumexp(x, axis=-1)),
    _sums(
        "logsumexp, axes, keepdims",
        lambda x: special.logsumexp(x, axis=(1, 0), keepdims=True),
        dtypes="dfDF",
        more_shapes=(),
    ),
    _sums("logsumexp, -inf among the terms", lambda x: special.logsumexp(x + _MINUS_INF, axis=1)),
    _sums("logsumexp, return_sign", lambda x: special.logsumexp(x, 1, return_sign=True), dtypes="dfDF"),
    _two(
        "logsumexp, weights",
        lambda x, b: special.logsumexp(x, -1, b=b),
        ((-2.0, 2.0), (0.3, 2.0)),
        "signed_logsumexp",
        more_shapes=(((2, 3), (3,)), ((3,), (2, 1)), ((0, 3), (3,))),
        dtypes="dfDF",
    ),
    _two(
        "logsumexp, negative weights",
        lambda x, b: special.logsumexp(x, 0, b=b, keepdims=True, return_sign=True),
        ((-2.0, 2.0), (-2.0, -0.3)),
        more_shapes=(),
    ),
    _sums("softmax", special.softmax, primitives=("softmax",), more_shapes=_ONE_MORE[2:]),
    _sums("softmax, an axis", lambda x: special.softmax(x, axis=1)),
    _sums("softmax, axes", lambda x: special.softmax(x, axis=(0, -1)), more_shapes=()),
    _sums("log_softmax", special.log_softmax, primitives=("log_softmax",), more_shapes=_ONE_MORE[2:]),
    _sums("log_softmax, an axis", lambda x: special.log_softmax(x, axis=-1)),
]

_NORMAL = [
    _one("erf", special.erf, (-2.0, 2.0), "erf"),
    _one("erfc", special.erfc, (-2.0, 2.0), "erfc"),
    _one("erfcx", special.erfcx, (-2.0, 4.0), "erfcx", tolerance=1e-5),
    _one("erfcx, large arguments", special.erfcx, (13.0, 30.0)),
    _one("erfinv", special.erfinv, (-0.9, 0.9), "erfinv", tolerance=1e-5),
    _one("erfcinv", special.erfcinv, (0.1, 1.9), "erfcinv", tolerance=1e-5),
    _one("ndtr", special.ndtr, (-2.0, 2.0), "ndtr"),
    _one("log_ndtr", special.log_ndtr, (-5.0, 2.0), "log_ndtr"),
    _one("ndtri", special.ndtri, (0.1, 0.9), "ndtri", tolerance=1e-5),
]

_GAMMA = [
    _one("gamma", special.gamma, (0.4, 4.0), "gamma", tolerance=1e-5),
    _one("gamma of negative numbers", special.gamma, (-1.8, -1.2), tolerance=1e-5),
    _one("gammaln", special.gammaln, (0.4, 6.0), "gammaln"),
    _one("gammaln of negative numbers", special.gammaln, (-1.8, -1.2), tolerance=1e-5),
    _one("loggamma", special.loggamma, (0.4, 6.0)),
    _one("gammasgn", special.gammasgn, (-1.8, -1.2), "gammasgn", differentiable=False),
    _one("digamma", special.digamma, (0.4, 6.0), "digamma", tolerance=1e-5),
    _one("polygamma 0", lambda x: special.polygamma(0, x), (0.5, 4.0), tolerance=1e-5),
    _one("polygamma 1", lambda x: special.polygamma(1, x), (0.7, 4.0), tolerance=1e-5),
    _one("polygamma 2 of negative numbers", lambda x: special.polygamma(2, x), (-1.7, -1.3), tolerance=1e-4),
    _two("polygamma", special.polygamma, ((0, 4), (1.0, 4.0)), integers=(0,), tolerance=1e-5),
    _one("zeta, q", lambda q: special.zeta(2.5, q), (0.6, 3.0), "zeta", tolerance=1e-5),
    _two("zeta, integers", special.zeta, ((2, 5), (0.7, 3.0)), integers=(0,), tolerance=1e-5),
    _one("zeta, Riemann", lambda x: special.zeta(np.floor(x) + 1) * x, (1.6, 1.9), "riemann_zeta", differentiable=True),
    _one("factorial", special.factorial, (0.1, 4.0), tolerance=1e-5),
    _two("binom", special.binom, ((4.2, 6.0), (0.3, 2.0)), "binom", tolerance=1e-5),
    _two("beta", special.beta, (0.5, 3.0), "beta", tolerance=1e-5),
    _two("betaln", special.betaln, (0.5, 3.0), "betaln", tolerance=1e-5),
    _two("poch", special.poch, (0.5, 3.0), "poch", tolerance=1e-5),
    _one("multigammaln", lambda a: special.multigammaln(a, 3), (1.6, 4.0), tolerance=1e-5),
    _one("gammainc", lambda x: special.gammainc(2.5, x), (0.3, 5.0), "gammainc", "gamma_density"),
    _two("gammainc, integers", special.gammainc, ((1, 5), (0.3, 5.0)), integers=(0,)),
    _one("gammaincc", lambda x: special.gammaincc(25.0, x), (20.0, 30.0), "gammaincc"),
    _one("betainc", lambda x: special.betainc(2.5, 1.5, x), (0.1, 0.9), "betainc", "beta_density", tolerance=1e-5),
    Row(
        "betainc, integers",
        special.betainc,
        ((3,), (2, 1), (2, 3)),
        ((1, 5), (1, 5), (0.1, 0.9)),
        "df",
        (0, 1),
        tolerance=1e-5,
    ),
]

_ENTROPIES = [
    _one("expit", special.expit, (-3.0, 3.0), "expit"),
    _one("log_expit", special.log_expit, (-3.0, 3.0), "log_expit"),
    _one("logit", special.logit, (0.15, 0.85), "logit"),
    _two("xlogy", special.xlogy, ((-2.0, 2.0), (0.3, 2.0)), "xlogy", dtypes="dfDF"),
    _two("xlog1py", special.xlog1py, ((-2.0, 2.0), (-0.5, 2.0)), "xlog1py", dtypes="dfDF"),
    _one("xlogy at 0", lambda y: special.xlogy(np.array([0.0, 1.0, 2.0]), y), (0.3, 2.0)),
    _one("entr", special.entr, (0.3, 2.0), "entr"),
    _two("rel_entr", special.rel_entr, (0.4, 2.0), "rel_entr"),
    _two("kl_div", special.kl_div, (0.4, 2.0), "kl_div"),
    _one("sinc of scipy.special", special.sinc),
]

_BESSEL = [
    _one("i0 of NumPy", np.i0, (-3.0, 3.0), "i0"),
    _one("i0", special.i0, (-9.0, 9.0), tolerance=1e-5),
    _one("i1", special.i1, (-3.0, 3.0), "i1"),
    _one("i1, large arguments", special.i1, (9.0, 12.0), tolerance=1e-5),
    _one("i0e", special.i0e, (0.3, 10.0), "i0e"),
    _one("i1e", special.i1e, (0.3, 10.0), "i1e"),
    _one("i1e of negative numbers", special.i1e, (-3.0, -0.3)),
    _one("exp1", special.exp1, (0.5, 4.0), "exp1"),
    _one("expi", special.expi, (0.5, 4.0), "expi", tolerance=1e-5),
    _one("expi of negative numbers", special.expi, (-4.0, -0.5)),
    _one("spence", special.spence, (0.4, 4.0), "spence", tolerance=1e-5),
]

ROWS: list[Row] = [*_SUMS, *_NORMAL, *_GAMMA, *_ENTROPIES, *_BESSEL]

"""Rows for the ufuncs of ``scipy.special``, where SciPy is installed. Functions of one kind and domain share a row."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from .row import Row

SCIPY = importlib.util.find_spec("scipy") is not None
special: Any = importlib.import_module("scipy.special") if SCIPY else None

_Fun = Callable[..., Any]
_MORE = (((),), ((0, 3),))


def _each(names: str, before: tuple[Any, ...], after: tuple[Any, ...], plus: Any) -> _Fun:
    """A function that returns the results of all these ufuncs, with constant operands around its own."""

    def fun(*operands: Any) -> list[Any]:
        results: list[Any] = []
        for name in names.split():
            ufunc = getattr(special._ufuncs, name)
            out = ufunc(*before, *operands[:-1], operands[-1] + plus if plus is not None else operands[-1], *after)
            results.extend(out if isinstance(out, tuple) else [out])
        return results

    return fun


def _row(
    names: str, domain: Any, dtypes: str = "df", *, arity: int = 1, label: str = "", before: Any = (), after: Any = (),
    plus: Any = None, **more: Any,
) -> Row:  # fmt: skip
    shapes = ((2, 3), (3,), (2, 1), (1, 3))[:arity]
    name = f"scipy {label or names}" + (f" {before}" if before else "") + (f" {after}" if after else "")
    more.setdefault("more_shapes", () if arity > 1 else _MORE)
    return Row(name, _each(names, before, after, plus), shapes, domain, dtypes, **more)


def _both(names: str, domain: Any, dtypes: str = "dfDF", *, label: str = "", **more: Any) -> list[Row]:
    """A row for real numbers and one for complex numbers.

    The latter makes complex numbers of real ones, as many of SciPy's complex functions, called with a complex number
    whose imaginary part is 1e-30, lose it, and cannot be the oracle of a complex step.
    """
    complex_ = "".join(d for d in dtypes if d in "DF")
    return [
        _row(names, domain, "".join(d for d in dtypes if d in "df"), label=label, **more),
        _row(names, domain, complex_, label=f"complex {label or names}", plus=0j, **more),
    ]


_POSITIVE = (0.3, 3.0)
_UNIT = (0.15, 0.85)
_ORDER = ((0, 4), _POSITIVE)
_PRINCIPAL = (_POSITIVE, _POSITIVE, _POSITIVE, (-3.0, -1.0))

_ERROR = [
    *_both("erf erfc erfcx erfi dawsn ndtr log_ndtr", (-1.5, 2.0), "dfDF"),
    _row("wofz", (-1.5, 2.0), "dDF"),
    _row("erfcx dawsn log_ndtr", (-14.0, 14.0), "d", label="far error functions"),
    _row("wofz", (11.0, 14.0), "dD", label="far wofz"),
    _row("erfinv", (-0.8, 0.8)),
    _row("erfcinv ndtri", _UNIT),
    _row("ndtri_exp", (-3.0, -0.2)),
    _row("owens_t", (-1.5, 1.5), arity=2),
    _row("voigt_profile", ((-2.0, 2.0), _POSITIVE, _POSITIVE), arity=3),
    _row("voigt_profile", ((20.0, 25.0), (0.3, 1.0), (0.3, 3.0)), "d", arity=3, label="far voigt_profile"),
    _row("nrdtrimn", (_UNIT, _POSITIVE, (-1.0, 1.0)), arity=3),
    _row("nrdtrisd", ((-1.0, 1.0), (0.6, 0.9), (2.0, 3.0)), arity=3),
]

_GAMMA = [
    _row("gamma gammaln psi rgamma loggamma", _POSITIVE),
    _row("gamma rgamma loggamma psi", (0.6, 3.0), "DF", label="complex gamma functions", plus=0j),
    _row("gamma rgamma psi", (-2.9, -2.1), "d", label="gamma functions of negative numbers"),
    _row("rgamma psi", (-2.9, -2.1), "D", label="complex gamma functions on the left", plus=0j),
    _row("gammasgn round", (0.1, 0.4), differentiable=False),
    _row("beta betaln poch binom", _POSITIVE, arity=2),
    _row("betaln", (30.0, 60.0), "d", arity=2, label="betaln of large numbers"),
    _row("_zeta", (1.2, 4.0), before=(2.5,)),
]

_ELEMENTARY = [
    _row("exp2 exp10 exprel cosm1 expit log_expit", (-2.0, 2.0)),
    *_both("expm1 log1p", (-0.6, 2.0), "dfDF"),
    _row("cbrt entr", _POSITIVE),
    _row("logit", _UNIT),
    _row("exprel", (-9.0, 9.0), "d", label="far exprel"),
    _row("powm1 rel_entr kl_div boxcox pseudo_huber agm", _POSITIVE, arity=2),
    *_both("xlogy xlog1py", _POSITIVE, "dfDF", arity=2),
    _row("boxcox1p inv_boxcox inv_boxcox1p", (0.1, 0.9), arity=2),
    _row("huber", ((0.8, 1.0), (-0.7, 0.7)), arity=2),
    _row("huber", ((0.3, 0.5), (-2.0, -0.7)), arity=2, label="far huber"),
    _row("sindg cosdg tandg cotdg", (10.0, 80.0)),
    _row("radian", (-1.0, 1.0), arity=3),
]

_INCOMPLETE = [
    _row("gammainc gammaincc", (_POSITIVE, _POSITIVE), arity=2),
    _row("gammaincinv gammainccinv", (_POSITIVE, _UNIT), arity=2, tolerance=1e-5),
    _row("betainc betaincc", (_POSITIVE, _POSITIVE, _UNIT), arity=3),
    _row("betaincinv betainccinv", (_POSITIVE, _POSITIVE, _UNIT), arity=3, tolerance=1e-5),
    _row("chdtr chdtrc", (_POSITIVE, _POSITIVE), arity=2),
    _row("chdtri", (_POSITIVE, _UNIT), arity=2, tolerance=1e-5),
    _row("chdtriv", (_UNIT, _POSITIVE), "d", arity=2, tolerance=1e-5),
    _row("gdtr gdtrc", _POSITIVE, arity=3, label="shape of gdtr"),
    _row("gdtria btdtria", (_UNIT, _POSITIVE, _UNIT), "d", arity=3, label="gdtria btdtria", tolerance=1e-5),
    _row("gdtrib btdtrib", (_POSITIVE, _UNIT, _UNIT), "d", arity=3, tolerance=1e-5),
    _row("gdtrix", (_POSITIVE, _POSITIVE, _UNIT), "d", arity=3, label="shape of gdtrix", tolerance=1e-5),
    _row("gammainc gammaincc gammaincinv gammainccinv", ((1, 4), _UNIT), arity=2, integers=(0,)),
    _row("betainc betaincc betaincinv betainccinv", ((1, 4), (1, 4), _UNIT), arity=3, integers=(0, 1)),
    _row("betainc betaincinv", _UNIT, before=(2.5, 1.5)),
    _row("_igam_fac", _POSITIVE, arity=2),
    _row("chdtr chdtrc chdtri", _UNIT, before=(2.5,)),
    _row("gdtr gdtrc", (_POSITIVE, (1, 4), _POSITIVE), arity=3, integers=(1,)),
    _row("gdtria", (_UNIT, (1, 4), _POSITIVE), arity=3, integers=(1,)),
    _row("gdtrix", (_POSITIVE, (1, 4), _UNIT), arity=3, integers=(1,)),
    _row("pdtr pdtrc pdtri", ((0, 4), _UNIT), "d", arity=2, integers=(0,)),
    _row("pdtr pdtrc", _POSITIVE, before=(2.5,)),
    _row("bdtr bdtrc bdtri", ((0, 3), (4, 7), _UNIT), "d", arity=3, integers=(0, 1)),
    _row("nbdtr nbdtrc nbdtri", ((0, 4), (2, 5), _UNIT), "d", arity=3, integers=(0, 1)),
    _row("fdtr fdtrc fdtri", ((2, 5), (3, 6), _UNIT), "d", arity=3, integers=(0, 1)),
    _row("stdtr", (-2.0, 2.0), before=(3.5,)),
    _row("stdtrit", _UNIT, before=(3.5,)),
    _row("chndtr", (_POSITIVE, (2, 5), _POSITIVE), "d", arity=3, integers=(1,)),
    _row("chndtrix", (_UNIT, (2, 5), _POSITIVE), "d", arity=3, integers=(1,), tolerance=1e-5),
    _row("chndtrinc", ((2.0, 3.0), (2, 4), (0.1, 0.3)), "d", arity=3, integers=(1,), tolerance=1e-5),
    _row("kolmogorov _kolmogc", (0.4, 1.6)),
    _row("kolmogi _kolmogci", _UNIT),
    _row("smirnov smirnovi _smirnovc _smirnovci", ((2, 6), _UNIT), "d", arity=2, integers=(0,), order=1),
    _row("tklmbda", ((-0.4, 0.4), (-0.9, 0.9)), arity=2),
]  # fmt: skip

_INTEGRALS = [
    *_both("exp1 expi sici shichi spence", (0.4, 2.5), "dfDF"),
    *_both("fresnel", (-1.5, 1.5), "dfDF"),
    _row("sici shichi spence", (2.5, 4.0), "d", label="far integrals"),
    _row("expn", ((0, 4), _POSITIVE), "d", arity=2, integers=(0,)),
    _row("_scaled_exp1", _POSITIVE),
    *_both("_lambertw", (0.3, 2.0), "dfDF", after=(0, 1e-8)),
    *_both("wrightomega", (-1.0, 2.0), "dfDF"),
    _row("modfresnelp modfresnelm", _POSITIVE),
]

_BESSEL = [
    _row("j0 j1 i0 i1 y0 y1 k0 k1 k0e k1e i0e i1e", _POSITIVE),
    *_both("jv yv iv kv hankel1 hankel2 kve hankel1e hankel2e jve yve ive", _ORDER, "dD", arity=2, integers=(0,)),
    *_both("jv iv kve jve ive", _POSITIVE, "dfDF", before=(1.5,)),
    _row("jv iv ive", (-2.0, -0.3), "d", before=(2,), label="negative"),
    _row("yn kn _spherical_jn _spherical_yn _spherical_in _spherical_kn", _ORDER, "d", arity=2, integers=(0,)),
    *_both("_spherical_jn _spherical_in_d _spherical_jn_d", _POSITIVE, "dfD", before=(2,)),
    _row("_spherical_yn_d _spherical_kn_d", ((1, 4), _POSITIVE), "d", arity=2, integers=(0,), tolerance=1e-5),
    _row("struve modstruve", ((0, 3), _POSITIVE), "d", arity=2, integers=(0,)),
    _row("struve modstruve", _POSITIVE, before=(1.5,)),
    _row("itstruve0 itmodstruve0 it2struve0 itj0y0 iti0k0 it2j0y0 it2i0k0", (0.3, 3.5), tolerance=1e-5),
    _row("ber bei ker kei berp beip kerp keip kelvin", _POSITIVE),
    *_both("airy airye", (0.4, 2.0), "dfDF"),
    *_both("airy", (-3.0, -0.3), "dD", label="negative airy"),
    _row("itairy", (-1.5, 1.5), tolerance=1e-5),
    _row("besselpoly", _POSITIVE, after=(1.5, 2)),
]  # fmt: skip

_ELLIPTIC = [
    _row("ellipk ellipe", (-1.5, 0.8)),
    _row("ellipkm1", (0.2, 1.8)),
    _row("ellipkinc ellipeinc", ((-4.0, 4.0), (-0.8, 0.7)), arity=2),
    _row("ellipj", ((-1.5, 1.5), _UNIT), arity=2),
    *_both("elliprf elliprd elliprg", _POSITIVE, "dfDF", arity=3),
    *_both("elliprc", _POSITIVE, "dfDF", arity=2),
    _row("elliprc", (_POSITIVE, (-3.0, -0.3)), "df", arity=2, label="principal elliprc"),
    _row("elliprj", _POSITIVE, "df", arity=4),
    _row("elliprj", _POSITIVE, "D", plus=0j, after=(1.5,), arity=3, label="complex elliprj"),
    _row("elliprj", _PRINCIPAL, "d", arity=4, label="principal elliprj", tolerance=1e-5),
]  # fmt: skip

_POLYNOMIALS = [
    _row(
        "eval_legendre eval_chebyt eval_chebyu eval_chebyc eval_chebys eval_sh_legendre eval_sh_chebyt eval_sh_chebyu "
        "eval_laguerre eval_hermite eval_hermitenorm",
        ((0, 5), (-0.8, 0.8)), "d", arity=2, integers=(0,), label="polynomials",
    ),
    *_both("eval_legendre eval_chebyt eval_laguerre", _UNIT, "dfDF", before=(2.5,)),
    *_both("eval_gegenbauer eval_genlaguerre", _UNIT, "dfD", before=(3, 1.5)),
    *_both("eval_jacobi", _UNIT, "dfD", before=(3, 1.5, 0.5)),
    *_both("eval_sh_jacobi", _UNIT, "dfD", before=(3, 2.5, 1.5)),
    _row("lpmv", ((0, 3), (2, 5), (-0.8, 0.8)), "d", arity=3, integers=(0, 1)),
]  # fmt: skip

_HYPERGEOMETRIC = [
    *_both("hyp0f1", _UNIT, "dfDF", before=(1.5,)),
    *_both("hyp1f1", _UNIT, "dfDF", before=(1.5, 2.5)),
    *_both("hyp2f1", _UNIT, "dfDF", before=(1.5, 0.5, 2.2)),
    _row("hyperu", _POSITIVE, before=(1.5, 2.5)),
    _row("wright_bessel log_wright_bessel", _POSITIVE, "d", before=(1.5, 2.5)),
]

_PROLATE, _OBLATE = (float(special.pro_cv(1, 2, 1.5)), float(special.obl_cv(1, 2, 1.5))) if SCIPY else (0.0, 0.0)

_WAVES = [
    _row("mathieu_cem mathieu_sem", (10.0, 80.0), "d", before=(2, 1.5)),
    _row("mathieu_modcem1 mathieu_modcem2", (0.3, 1.2), "d", before=(2, 1.5), tolerance=1e-5),
    _row("mathieu_modsem1 mathieu_modsem2", (0.3, 1.2), "d", before=(2, 1.5), tolerance=1e-5),
    _row("pbdv pbvv", (0.3, 1.5), "d", before=(1.5,)),
    _row("pbwa", (0.3, 1.5), "d", before=(1.5,)),
    _row("pro_ang1 obl_ang1", (0.2, 0.8), "d", before=(1, 2, 1.5), tolerance=1e-5),
    _row("pro_rad1", (1.3, 2.0), "d", before=(1, 2, 1.5), tolerance=1e-5),
    _row("pro_ang1_cv", (0.2, 0.8), "d", before=(1, 2, 1.5, _PROLATE), tolerance=1e-5),
    _row("pro_rad1_cv", (1.3, 2.0), "d", before=(1, 2, 1.5, _PROLATE), tolerance=1e-5),
    _row("obl_ang1_cv", (0.2, 0.8), "d", before=(1, 2, 1.5, _OBLATE), tolerance=1e-5),
    _row("obl_rad1_cv", (0.3, 1.2), "d", before=(1, 2, 1.5, _OBLATE), tolerance=1e-5),
    _row("obl_rad1", (0.3, 1.2), "d", before=(1, 2, 1.5), tolerance=1e-5),
]  # fmt: skip

# What SciPy lacks: primitives of fungrad's own

_carlson, _gamma, _quotients, _shape = (
    importlib.import_module(f"fungrad.scipy.ufuncs.{m}") for m in ("carlson", "gamma", "quotients", "shape")
)

_OWN = [
    Row(
        "expm1 quotient", _quotients.expm1_quotient, ((2, 3),), (-6.0, 6.0), more_shapes=_MORE, primitives=("quotient",)
    ),
    Row(
        "log1p quotient", _quotients.log1p_quotient, ((2, 3),), (-0.4, 2.0), more_shapes=_MORE, primitives=("quotient",)
    ),
    Row(
        "complex polygamma",
        lambda z: _gamma.polygamma_p.bind(z + 0j, order=2),
        ((2, 3),),
        (0.2, 5.0),
        "DF",
        more_shapes=_MORE,
        primitives=("complex_polygamma",),
    ),
    Row(
        "gamma moment",
        lambda a, x: (
            _shape.gamma_moment_p.bind(a, x, True, orders=(1, 0))
            + _shape.gamma_moment_p.bind(x, a, False, orders=(0, 1))
        ),
        ((2, 3), (3,)),
        ((2.0, 3.0), (0.4, 1.5)),
        "df",
        primitives=("gamma_moment",),
    ),
    Row(
        "beta moment",
        lambda a, b, x: _shape.beta_moment_p.bind(a, b, x, orders=(1, 1, 0)),
        ((2, 3), (3,), (2, 1)),
        ((1.0, 3.0), (1.0, 3.0), (0.1, 0.4)),
        "df",
        primitives=("beta_moment",),
    ),
    Row(
        "carlson",
        lambda x, y, z: _carlson.carlson((x, y, z), (1, 3, 5)),
        ((2, 3), (3,), (2, 1)),
        (0.3, 3.0),
        "dfD",
        primitives=("carlson",),
    ),
]

ROWS: list[Row] = _OWN + (
    [
        *_ERROR,
        *_GAMMA,
        *_ELEMENTARY,
        *_INCOMPLETE,
        *_INTEGRALS,
        *_BESSEL,
        *_ELLIPTIC,
        *_POLYNOMIALS,
        *_HYPERGEOMETRIC,
        *_WAVES,
    ]
    if SCIPY
    else []
)

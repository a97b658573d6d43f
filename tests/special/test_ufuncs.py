"""The ufuncs of scipy.special on traced arrays: coverage, hard points against mpmath, what is refused, and laziness."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from catalogue.cases import cases
from catalogue.scipy_ufuncs import ROWS

import fungrad as fg
from fungrad.errors import MissingRuleError, UnsupportedOperationError

special = pytest.importorskip("scipy.special")
ufuncs = pytest.importorskip("fungrad.scipy.ufuncs")
declared = pytest.importorskip("fungrad.scipy.ufuncs.declared")
DECLARED = declared.DECLARED
PUBLIC = {name: f for name, f in vars(special).items() if isinstance(f, np.ufunc)}


# Coverage


def test_every_public_ufunc_is_declared() -> None:
    """Each has a function; names of operands agree in number with the ufunc; most have a derivative."""
    for name, ufunc in PUBLIC.items():
        assert ufuncs.lookup(ufunc) is not None, name
    names = {f.__name__ for f in PUBLIC.values()}
    assert names <= set(DECLARED)
    with_rules = [n for n in names if DECLARED[n].rules or DECLARED[n].kind == "constant"]
    assert len(with_rules) >= 190


def test_every_declared_function_exists() -> None:
    """No name is misspelt (all of them exist in the SciPy that the tests are run with)."""
    for name in DECLARED:
        if declared.find(name) is not None:
            assert declared.primitive(name).name == f"scipy.{name}"
    missing = {name for name in DECLARED if declared.find(name) is None}
    assert not {n for n in missing if not n.startswith("_")}


def test_every_rule_has_a_row() -> None:
    """Each function with a rule is in a row of the catalogue."""
    used = {eqn.primitive.name for row in ROWS for eqn in fg.make_jaxpr(row.fun)(*next(cases(row)).args()).eqns}
    ruled = {
        f"scipy.{name}" for name, d in DECLARED.items() if (d.rules or d.kind == "constant") and declared.find(name)
    }
    assert not ruled - used, sorted(ruled - used)


def test_every_rule_of_every_operand_is_in_a_row() -> None:
    """Each operand that has a rule is differentiated in some row of the catalogue."""
    tested = set()
    for row in ROWS:
        case = next(cases(row))
        args = case.args()
        recorded = fg.make_jaxpr(row.fun)(*args)
        inputs = {v for k, v in enumerate(recorded.jaxpr.invars) if k in case.active}
        derived = set(inputs)
        for eqn in recorded.eqns:
            if any(v in derived for v in eqn.inputs if not hasattr(v, "value")):
                derived.update(eqn.outputs)
            if eqn.primitive.name.startswith("scipy."):
                name = eqn.primitive.name.removeprefix("scipy.")
                names = DECLARED[name].names
                tested |= {
                    (name, n)
                    for n, v in zip(names, eqn.inputs, strict=True)
                    if not hasattr(v, "value") and v in derived
                }
    ruled = {(name, n) for name, d in DECLARED.items() if declared.find(name) for n in d.rules}
    assert not ruled - tested, sorted(ruled - tested)


# Hard points: large and small arguments, removable singularities, the ends of the domain


def reference(f: Any, args: tuple[Any, ...], k: int, order: int) -> float:
    """The derivative of a function of mpmath in its k-th argument, by difference quotients in 80 digits."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(80):
        exact = [mp.mpf(a) if isinstance(a, float) else a for a in args]
        h = mp.mpf(10) ** -13 * (abs(exact[k]) or mp.mpf(10) ** -3)
        y = [f(*exact[:k], exact[k] + j * h, *exact[k + 1 :]) for j in (-2, -1, 0, 1, 2)]
        if order == 1:
            return float(mp.re(8 * (y[3] - y[1]) - (y[4] - y[0])) / (12 * h))
        return float(mp.re(16 * (y[1] + y[3]) - (y[0] + y[4]) - 30 * y[2]) / (12 * h * h))


def _mp() -> Any:
    return pytest.importorskip("mpmath")


def _log_ndtr(x: Any) -> Any:
    return _mp().log(_mp().erfc(-x / _mp().sqrt(2)) / 2)


HARD: list[tuple[str, Any, int, tuple[Any, ...]]] = [
    *[("erfcx", lambda x: _mp().exp(x * x) * _mp().erfc(x), 0, (x,)) for x in (1e3, 9.99, 10.01, 5.0, -15.0)],
    *[
        ("dawsn", lambda x: _mp().sqrt(_mp().pi) / 2 * _mp().exp(-x * x) * _mp().erfi(x), 0, (x,))
        for x in (300.0, 10.01, 9.9, -50.0)
    ],
    *[("log_ndtr", _log_ndtr, 0, (x,)) for x in (-1e4, -40.0, -1e-9, 0.0, 10.0)],
    *[("expit", lambda x: 1 / (1 + _mp().exp(-x)), 0, (x,)) for x in (50.0, -50.0)],
    *[("log_expit", lambda x: -_mp().log1p(_mp().exp(-x)), 0, (x,)) for x in (30.0, -100.0)],
    *[("logit", lambda x: _mp().log(x / (1 - x)), 0, (x,)) for x in (1e-30, 0.999)],
    *[("exprel", lambda x: _mp().expm1(x) / x if x else _mp().mpf(1), 0, (x,)) for x in (1e-9, -700.0, 700.0, 1.6)],
    *[("psi", lambda x: _mp().psi(0, x), 0, (x,)) for x in (1e-3, -5.5, 1e6, -1000.25)],
    *[("gammaln", lambda x: _mp().loggamma(x), 0, (x,)) for x in (1e8, 1e-5)],
    *[("rgamma", lambda x: _mp().rgamma(x), 0, (x,)) for x in (0.0, -1.0, -3.0, -2.5, 0.4999, 160.0)],
    *[("spence", lambda z: _mp().polylog(2, 1 - z), 0, (z,)) for z in (1e-20, 1.0000001, 1.49, 1.51, 0.5)],
    *[("ellipk", lambda m: _mp().ellipk(m), 0, (m,)) for m in (0.0, 1 - 1e-9, -1e6, 0.5)],
    *[("ellipe", lambda m: _mp().ellipe(m), 0, (m,)) for m in (0.0, 1 - 1e-9, -1e6)],
    *[("ellipkm1", lambda p: _mp().ellipk(1 - p), 0, (p,)) for p in (1.0, 1e-20)],
    *[("ellipkinc", lambda phi, m: _mp().ellipf(phi, m), 1, (1.2, m)) for m in (0.0, -3.0, 0.999)],
    *[("ellipeinc", lambda phi, m: _mp().ellipe(phi, m), 1, (2.5, m)) for m in (0.0, -3.0)],
    *[("agm", lambda a, b: _mp().agm(a, b), 0, (a, b)) for a, b in ((1.0, 1.0), (1.0, 1e-8), (1e-8, 1.0))],
    ("elliprj", lambda *x: _mp().elliprj(*x), 0, (1.0, 1.0, 1.0, 1.0)),
    ("elliprj", lambda *x: _mp().elliprj(*x), 3, (0.1, 2.0, 3.0, 1e-3)),
    *[
        ("gammainc", lambda a, x: _mp().gammainc(a, 0, x, regularized=True), 1, ax)
        for ax in ((0.5, 1e-30), (1e4, 1e4), (1e4, 1.01e4), (1.0, 1e-12))
    ],
    *[
        ("gammainc", lambda a, x: _mp().gammainc(a, 0, x, regularized=True), 0, ax)
        for ax in ((0.01, 0.005), (0.01, 1e-60), (0.5, 20.0), (30.0, 3.0), (30.0, 80.0), (1e3, 1.02e3), (2.5, 1e-8))
    ],
    *[
        ("betainc", lambda a, b, x: _mp().betainc(a, b, 0, x, regularized=True), k, abx)
        for abx in ((2.0, 3.0, 1e-10), (0.01, 3.0, 0.5), (30.0, 50.0, 0.4), (30.0, 5.0, 0.99), (0.1, 0.1, 0.9))
        for k in (0, 1)
    ],
    *[
        ("betainc", lambda a, b, x: _mp().betainc(a, b, 0, x, regularized=True), 2, abx)
        for abx in ((100.0, 200.0, 0.333), (2.0, 3.0, 1e-10), (2.0, 3.0, 0.999))
    ],
    *[("betaln", lambda a, b: _mp().log(_mp().beta(a, b)), 0, ab) for ab in ((1e6, 1.0), (1e6, 1e6), (24.0, 0.5))],
    *[("poch", lambda a, m: _mp().rf(a, m), 0, am) for am in ((-2.0, 3.0), (-2.5, 3.0), (-2.0, 4.0), (-4.0, 2.0))],
    *[("binom", lambda n, k: _mp().binomial(n, k), k, nk) for nk in ((5.0, 7.0), (5.5, 2.0)) for k in (0, 1)],
    *[("boxcox", lambda x, p: (x**p - 1) / p, 1, xp) for xp in ((2.0, 1e-9), (2.0, 3.0), (1e-30, 0.5))],
    *[("inv_boxcox", lambda y, p: (p * y + 1) ** (1 / p), 1, yp) for yp in ((2.0, 1e-9), (2.0, 0.3), (3.0, 2.0))],
    *[("kl_div", lambda x, y: x * _mp().log(x / y) - x + y, 0, xy) for xy in ((1.0, 1.0000001), (1e-30, 1.0))],
    *[("jv", lambda v, x: _mp().besselj(v, x), 1, vx) for vx in ((0.0, 1e-8), (50.0, 0.1), (2.5, 30.0))],
    *[("struve", lambda v, x: _mp().struveh(v, x), 1, vx) for vx in ((0.0, 20.0), (2.5, 30.0), (1.5, 1e-5))],
    *[("expn", lambda n, x: _mp().expint(n, x), 1, (n, 1e-5)) for n in (0, 1, 2)],
    ("kve", lambda v, x: _mp().besselk(v, x) * _mp().exp(x), 1, (2.5, 100.0)),
    ("hyp2f1", lambda a, b, c, z: _mp().hyp2f1(a, b, c, z), 3, (0.5, 0.5, 1.5, 0.99)),
    ("eval_jacobi", lambda n, a, b, x: _mp().jacobi(n, a, b, x), 3, (5, 0.5, 1.5, 1 - 1e-9)),
]


@pytest.mark.parametrize(
    ("name", "exact", "k", "args"), [pytest.param(*case, id=f"{case[0]} {case[3]} in {case[2]}") for case in HARD]
)
def test_hard_points(name: str, exact: Any, k: int, args: tuple[Any, ...]) -> None:
    """First and second derivatives agree with mpmath to ten digits."""
    pytest.importorskip("mpmath")
    ufunc = getattr(special, name)
    first = fg.grad(ufunc, argnums=k)
    second = fg.grad(first, argnums=k)
    for order, derivative in ((1, first), (2, second)):
        expected = reference(exact, args, k, order)
        np.testing.assert_allclose(derivative(*args), expected, rtol=2e-10, atol=1e-300, err_msg=f"order {order}")


@pytest.mark.parametrize(
    ("fun", "x", "expected"),
    [
        (special.erf, 50.0, 0.0),
        (special.log_ndtr, 40.0, 0.0),
        (special.log_ndtr, -1e150, 1e150),
        (special.expit, 1000.0, 0.0),
        (special.entr, 1.0, -1.0),
        (special.exprel, 0.0, 0.5),
        (special.spence, 1.0, -1.0),
        (special.j1, 0.0, 0.5),
        (special.i1, 0.0, 0.5),
        (special.i0e, 0.0, 0.0),
        (special.ellipk, 1.0, np.inf),
        (special.kolmogorov, 1e-200, 0.0),
        (special.beip, 0.0, 0.5),
        (lambda x: special.sici(x)[0], 0.0, 1.0),
        (lambda x: special.shichi(x)[0], 0.0, 1.0),
        (lambda x: special.it2j0y0(x)[0], 0.0, 0.0),
        (special.it2struve0, 0.0, -2 / np.pi),
        (lambda x: special.struve(0, x), 0.0, 2 / np.pi),
        (lambda x: special.struve(1.5, x), 0.0, 0.0),
        (lambda x: special.modstruve(0, x), 0.0, 2 / np.pi),
        (lambda x: special.xlogy(0.0, x), 0.0, 0.0),
        (lambda x: special.xlog1py(0.0, x), -1.0, 0.0),
        (lambda x: special.boxcox(0.0, x), 2.0, 0.25),
        (lambda x: special.boxcox(2.0, x), 0.0, np.log(2.0) ** 2 / 2),
        (lambda x: special.inv_boxcox(2.0, x), 0.0, -2 * np.exp(2.0)),
        (lambda x: special.gammainc(1.0, x), 0.0, 1.0),
        (lambda x: special.gammainc(2.0, x), 0.0, 0.0),
        (lambda x: special.gammainc(0.5, x), 0.0, np.inf),
        (lambda x: special.betainc(1.0, 3.0, x), 0.0, 3.0),
        (lambda x: special.betainc(3.0, 1.0, x), 1.0, 3.0),
        (lambda x: special.bdtr(3, 3, x), 0.4, 0.0),
        (lambda x: special.pseudo_huber(x, 2.0), 0.0, 2.0),
        (lambda x: special.tklmbda(x, 2.0), 0.7, 0.0),
        (lambda x: special.eval_legendre(0, x), 0.3, 0.0),
        (lambda x: special.eval_legendre(3, x), 1.0, 6.0),
        (lambda x: special.voigt_profile(1.0, x, 0.5), 0.0, 0.0),
        (lambda x: special.owens_t(0.5, x), 1e100, 0.0),
        (lambda x: special.gammainc(x, 0.0), 2.0, 0.0),
        (lambda x: special.betainc(x, 2.0, 1.0), 2.0, 0.0),
        (lambda x: special.poch(x, 0.0), 2.0, 0.0),
        (lambda x: special.agm(x, 2.0), 2.0, 0.5),
        (lambda x: special.lambertw(x).real, 0.0, 1.0),
    ],
)  # fmt: skip
def test_limits(fun: Any, x: float, expected: float) -> None:
    """At the ends of the domain and far out derivatives are what they tend to, not nan, and nothing warns."""
    np.testing.assert_allclose(fg.grad(fun)(x), expected, rtol=1e-12, atol=1e-300)


def test_second_derivatives_at_removable_singularities() -> None:
    """Quotients that are 0/0 have the right second derivatives too."""
    second = fg.grad(fg.grad(lambda x: special.sici(x)[0]))
    np.testing.assert_allclose(second(1e-5), -1e-5 / 3, rtol=1e-9)
    np.testing.assert_allclose(fg.grad(fg.grad(special.ellipk))(0.0), 9 * np.pi / 64, rtol=1e-12)
    np.testing.assert_allclose(fg.grad(fg.grad(special.spence))(1.0), 0.5, rtol=1e-12)


def test_the_real_and_the_imaginary_direction() -> None:
    """Functions scaled by exp(-|Im z|) are differentiated as functions of the two real parts."""
    z, h = 1.3 + 0.8j, 1e-6
    for fun in (lambda z: special.jve(1, z), lambda z: special.ive(1, z), lambda z: special.airye(z)[2]):
        for t in (1.0, 1j):
            expected = (fun(z + h * t) - fun(z - h * t)) / (2 * h)
            np.testing.assert_allclose(fg.jvp(fun, (z,), (complex(t),))[1], expected, rtol=1e-8)


# Operands without a derivative


def test_missing_derivative_is_an_error_that_names_the_operand() -> None:
    """It is raised where the operand is differentiated, in both modes, and says what to do."""
    text = r"no derivative of scipy\.special\.ncfdtr in its argument 'dfd' is known.*Hold that argument fixed"
    with pytest.raises(MissingRuleError, match=text):
        fg.grad(special.ncfdtr, argnums=1)(2.0, 3.0, 0.5, 0.4)
    with pytest.raises(MissingRuleError, match=text):
        fg.jvp(lambda a: special.ncfdtr(2.0, a, 0.5, 0.4), (2.0,), (1.0,))
    with pytest.raises(MissingRuleError, match="'v'"):
        fg.grad(special.jv)(2.5, 1.0)
    with pytest.raises(MissingRuleError, match="pbdv in its argument 'v'"):
        fg.grad(lambda v: special.pbdv(v, 1.0)[0])(2.5)


def test_an_operand_without_a_derivative_may_be_constant_or_batched() -> None:
    """Constant, integer, behind stop_gradient, or mapped over: only differentiating in it is refused."""
    expected = fg.grad(lambda x: special.jv(2.0, x))(1.5)
    assert fg.grad(special.jv, argnums=1)(2, 1.5) == expected
    assert fg.grad(lambda x: special.jv(fg.stop_gradient(2 + 0 * x), x))(1.5) == expected
    orders = np.array([0.5, 2.0])
    mapped = fg.vmap(fg.grad(special.jv, argnums=1), in_axes=(0, None))(orders, 1.5)
    np.testing.assert_allclose(mapped, [fg.grad(special.jv, argnums=1)(v, 1.5) for v in orders], rtol=1e-14)
    unsigned = fg.grad(special.jv, argnums=1)(np.uint8(0), 1.5)
    np.testing.assert_allclose(unsigned, -special.j1(1.5), rtol=1e-14)


def test_ufuncs_without_any_rule_can_be_batched() -> None:
    """Also those that no module speaks of; differentiating them is refused by name."""
    x = np.linspace(0.2, 0.8, 3)
    np.testing.assert_array_equal(fg.vmap(special._ufuncs._cosine_cdf)(x), special._ufuncs._cosine_cdf(x))
    with pytest.raises(MissingRuleError, match="_cosine_cdf in its argument 'operand 1'"):
        fg.grad(special._ufuncs._cosine_cdf)(0.3)
    cdf = fg.vmap(special.ncfdtr, in_axes=(None, None, None, 0))(2.0, 3.0, 0.5, x)
    np.testing.assert_array_equal(cdf, special.ncfdtr(2.0, 3.0, 0.5, x))


def test_out_and_where_are_refused() -> None:
    """As for NumPy's ufuncs: a traced array cannot be written into a plain one that has a name."""
    plain = np.zeros(2)
    with pytest.raises(UnsupportedOperationError, match="out="):
        fg.grad(lambda x: special.erf(x, out=plain).sum())(np.ones(2))
    with pytest.raises(UnsupportedOperationError, match="where="):
        fg.grad(lambda x: special.erf(x, where=np.array([True, False])).sum())(np.ones(2))


# Types


def test_single_precision_with_python_numbers() -> None:
    """A Python number beside a float32 array does not make the derivative double."""
    x = np.float32(0.4)
    for fun in (
        lambda x: special.gammainc(2.5, x),
        lambda x: special.betainc(2.5, 1.5, x),
        lambda x: special.stdtr(3.5, x),
        lambda x: special.xlogy(2.0, x),
    ):
        y, t = fg.jvp(fun, (x,), (np.float32(1),))
        assert t.dtype == y.dtype == fun(x).dtype
        assert fg.grad(lambda x, fun=fun: fun(x))(x).dtype == np.float32


def test_wrappers_in_python_that_only_pass_on() -> None:
    """zeta and lambertw are Python functions round a ufunc."""
    np.testing.assert_allclose(fg.grad(special.zeta, argnums=1)(3.0, 2.0), -3 * special.zeta(4.0, 2.0), rtol=1e-14)
    w = special.lambertw(1.0)
    np.testing.assert_allclose(fg.jvp(special.lambertw, (1.0,), (1.0,))[1], w / (1 + w), rtol=1e-14)
    with pytest.raises(MissingRuleError, match="'x'"):
        fg.grad(special.zeta)(3.0, 2.0)


# Laziness


def test_scipy_is_not_imported() -> None:
    """Neither by fungrad nor by the module of the rules; a ufunc of someone else is not looked for in it."""
    code = (
        "import sys, numpy as np, fungrad as fg, fungrad.scipy.ufuncs as u\n"
        "assert 'scipy' not in sys.modules\n"
        "assert u.lookup(np.sin) is None and u.lookup(np.frompyfunc(lambda x: x, 1, 1)) is None\n"
        "assert 'scipy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_jaxpr_unpickles_in_a_fresh_process() -> None:
    """The primitive is made again from its name, and SciPy is imported for it then."""
    closed = fg.make_jaxpr(lambda x: fg.grad(special.gammaln)(x) + special.sici(x)[0])(2.5)
    code = (
        "import sys, pickle, numpy as np, fungrad as fg\n"
        "assert 'scipy' not in sys.modules\n"
        "closed = pickle.load(sys.stdin.buffer)\n"
        "print(float(fg.eval_jaxpr(closed, (), 2.5)[0]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, input=pickle.dumps(closed), capture_output=True)
    assert abs(float(done.stdout) - (special.psi(2.5) + special.sici(2.5)[0])) < 1e-14


def test_aliases_are_one_primitive() -> None:
    """digamma is psi, jn is jv; names print as SciPy's."""
    assert ufuncs.lookup(special.digamma) is ufuncs.lookup(special.psi)
    assert ufuncs.lookup(special.jn) is ufuncs.lookup(special.jv)
    assert "scipy.psi" in str(fg.make_jaxpr(special.digamma)(1.0))

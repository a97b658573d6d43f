"""fungrad.scipy.special where the catalogue does not look: accuracy, borders of the domain, messages, SciPy missing."""

import importlib
import math
import subprocess
import sys

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import MissingRuleError, UnsupportedOperationError
from fungrad.scipy import special

RNG = np.random.default_rng(7)
ONE = [
    "erf", "erfc", "erfcx", "erfinv", "erfcinv", "ndtr", "log_ndtr", "ndtri", "gamma", "gammaln", "digamma", "expit",
    "log_expit", "logit", "entr", "i0", "i1", "i0e", "i1e", "exp1", "expi", "spence", "gammasgn", "factorial", "psi",
]  # fmt: skip
TWO = ["xlogy", "xlog1py", "rel_entr", "kl_div", "beta", "betaln", "poch", "binom", "gammainc", "gammaincc", "zeta"]


def ulp(x):
    """The spacing of doubles at x."""
    return abs(x) * 2.0**-52 if x else 5e-324


def points(low, high, count=40):
    """Random points, the ends of the interval among them."""
    return np.concatenate([[low, high], RNG.uniform(low, high, count)])


# The largest errors, in ulp of the value times max(1, condition number). Intervals span the pieces of each function.
ACCURACY = [
    ("erf", "erf", points(-6, 6), 2),
    ("erfc", "erfc", points(-5, 26), 4),
    ("gamma", "gamma", points(0.01, 171), 5),
    ("gamma", "gamma", points(-20.3, -0.01), 8),
    ("gammaln", "loggamma", points(0.01, 40), 4),
    ("gammaln", "loggamma", 1 + RNG.uniform(-1e-3, 1e-3, 10), 4),
    ("digamma", "digamma", points(0.01, 40), 4),
    ("digamma", "digamma", 1.4616321449683623 + RNG.uniform(-1e-6, 1e-6, 10), 1e3),
    ("exp1", "e1", points(1e-5, 30), 4),
    ("expi", "ei", points(-30, 700), 5),
    ("zeta", "zeta", points(-8.5, 0.99), 12),
    ("zeta", "zeta", points(1.01, 50), 4),
]


@pytest.mark.parametrize("name, reference, xs, limit", ACCURACY)
def test_values_against_mpmath(name, reference, xs, limit):
    """Values are within a few ulp of those of mpmath at 30 digits, or within what rounding the argument changes."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(30):
        exact = getattr(mp, reference)
        for x, y in zip(xs, getattr(special, name)(xs), strict=True):
            value = exact(mp.mpf(float(x)))
            condition = abs(x * mp.diff(exact, mp.mpf(float(x)), h=mp.mpf("1e-12")) / value)
            assert abs(float(y) - value) <= limit * ulp(float(value)) * max(1, float(condition) / 2), (x, y, value)


def test_incomplete_functions_against_mpmath():
    """In all regions: series, continued fraction, small arguments, the uniform expansion."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(30):
        for a, x in [
            (0.01, 0.5),
            (0.5, 1.0),
            (2.5, 0.1),
            (2.5, 9.0),
            (25.0, 22.0),
            (25.0, 60.0),
            (1e4, 10100.0),
            (50, 1),
        ]:
            for name, low, high in (("gammainc", 0, x), ("gammaincc", x, mp.inf)):
                exact = mp.gammainc(a, low, high, regularized=True)
                assert getattr(special, name)(a, x) == pytest.approx(float(exact), rel=3e-13), (name, a, x)
        for a, b, x in [(0.5, 0.5, 0.3), (2, 700, 0.004), (30, 20, 0.7), (5, 0.01, 0.5), (1e3, 2e3, 0.34)]:
            exact = mp.betainc(a, b, 0, x, regularized=True)
            assert special.betainc(a, b, x) == pytest.approx(float(exact), rel=1e-12), (a, b, x)


def test_normal_tails_against_mpmath():
    """ndtri and erfcinv are right down to the smallest numbers, log_ndtr where ndtr is 0."""
    mp = pytest.importorskip("mpmath")
    with mp.workdps(60):
        for p in (0.3, 1e-5, 1e-100, 1e-300, 1e-320):
            z = float(special.ndtri(p))
            slope = mp.npdf(z)
            assert abs(mp.ncdf(z) - mp.mpf(p)) <= 4 * abs(z) * 2.0**-52 * slope, p
        assert special.log_ndtr(-50.0) == pytest.approx(float(mp.log(mp.ncdf(-50))), rel=1e-15)


@pytest.mark.parametrize("name", ONE)
def test_borders_against_scipy(name):
    """Infinities, nan, zeros and poles come out as SciPy's; no warning is given."""
    scipy = pytest.importorskip("scipy.special")
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1, -1, 2, 3, 1e300, -1e300, 0.5, 1.5, -0.5, -1.5, 40.0, 100.5])
    if name == "i0" or name == "i1":
        x = x[np.isfinite(x)]  # SciPy: nan
    if name in ("spence", "gammaln"):
        x = x[x != np.inf] if name == "spence" else x
    with np.errstate(all="ignore"):
        expected = getattr(scipy, name)(x)
    np.testing.assert_allclose(getattr(special, name)(x), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", TWO)
def test_grid_against_scipy(name):
    """Functions of two operands on a grid that meets zeros, integers, negative and large numbers."""
    scipy = pytest.importorskip("scipy.special")
    grid = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 7.25, 20.0, 41.5, 300.0, np.nan])
    x, y = np.meshgrid(grid, grid)
    if name == "zeta":
        x, y = x[~np.isnan(x)], y[~np.isnan(x)]
    with np.errstate(all="ignore"):
        expected = getattr(scipy, name)(x, y)
    if name in ("beta", "betaln", "poch"):  # SciPy prefers its pole to nan
        x, y, expected = (v[~(np.isnan(x) | np.isnan(y))] for v in (x, y, expected))
    np.testing.assert_allclose(getattr(special, name)(x, y), expected, rtol=3e-11, atol=1e-300)


@pytest.mark.parametrize("name", [*ONE, "loggamma", "softmax", "log_softmax", "logsumexp", "sinc"])
def test_dtypes(name):
    """Integers give float64, float32 and float16 stay, numbers give NumPy scalars, lists are arrays."""
    fun = getattr(special, name)
    assert type(fun(np.float32(0.5))) is np.float32
    assert fun(np.array([1, 1])).dtype == np.float64
    assert fun(np.array([0.5], np.float16)).dtype == np.float16
    assert isinstance(fun(0.5), np.float64)
    np.testing.assert_array_equal(fun([0.25, 0.5]), fun(np.array([0.25, 0.5])))
    traced = fg.make_jaxpr(lambda x: fun([x, 2 * x]))(0.25)
    assert traced.out_avals[0].dtype == np.float64


@pytest.mark.parametrize("name", ["xlogy", "beta", "kl_div", "gammainc"])
def test_promotion(name):
    """Python numbers do not promote; arrays do as NumPy's."""
    fun, x = getattr(special, name), np.float32([0.5, 0.75])
    assert fun(x, 2.0).dtype == fun(2.0, x).dtype == np.float32
    assert fun(x, np.float64(2)).dtype == np.float64
    assert fg.make_jaxpr(lambda x: fun(2.0, x))(x).out_avals[0].dtype == np.float32


def test_blocks():
    """Arrays that are longer than a block, and not contiguous, give what their elements give."""
    x = np.linspace(-5, 5, 40000).reshape(200, 200).T
    np.testing.assert_array_equal(special.ndtr(x).ravel()[::997], [special.ndtr(v) for v in x.ravel()[::997]])
    np.testing.assert_array_equal(special.xlogy(x, abs(x[:1])).shape, (200, 200))


def test_logsumexp_keeps_digits():
    """A result near 0 keeps its digits, huge terms do not overflow, empty and all -inf sums are -inf."""
    assert special.logsumexp([0.0, -40.0]) == pytest.approx(math.exp(-40), rel=1e-15)
    assert special.logsumexp([0.0, -40.0], b=[1.0, -1.0]) == pytest.approx(-math.exp(-40), rel=1e-15)
    assert special.logsumexp([1e4, 1e4], b=[1.0, -2.0], return_sign=True) == (1e4, -1.0)
    assert np.isnan(special.logsumexp([0.0, 0.0], b=[1.0, -2.0]))
    assert special.logsumexp(np.zeros((0,))) == special.logsumexp([-np.inf, -np.inf]) == -np.inf
    assert special.logsumexp([np.inf, 1.0]) == np.inf
    assert special.logsumexp(np.zeros((0, 2), complex), axis=0).tolist() == [-np.inf, -np.inf]
    assert special.logsumexp(np.zeros((2, 3)), axis=(0, 1), keepdims=True).shape == (1, 1)
    with pytest.raises(np.exceptions.AxisError):
        special.logsumexp(np.zeros(3), axis=1)


def test_logsumexp_derivatives_at_zeros():
    """A row of -inf has the derivative 0; a weight of 0 still has its own derivative, and hides a huge term."""
    np.testing.assert_array_equal(fg.grad(special.logsumexp)(np.array([-np.inf, -np.inf])), [0, 0])
    np.testing.assert_array_equal(fg.grad(special.logsumexp)(np.array([-np.inf, 3.0])), [0, 1])
    by_weight = fg.grad(lambda b: special.logsumexp(np.array([1.0, 2.0]), b=b))(np.array([1.0, 0.0]))
    np.testing.assert_allclose(by_weight, [1.0, math.e], rtol=1e-15)
    by_term = fg.grad(lambda x: special.logsumexp(x, b=np.array([1.0, 0.0])))(np.array([1.0, 1e5]))
    np.testing.assert_array_equal(by_term, [1, 0])


def test_derivatives_at_hard_points():
    """Finite where the derivative is finite: far tails, zeros of factors, removable singularities."""
    nested = fg.grad(fg.grad(special.spence))(1.0)
    assert nested == pytest.approx(0.5, rel=1e-14)
    assert fg.grad(fg.grad(special.spence))(1.005) == pytest.approx(
        (1 / 1.005 - math.log(1.005) / 0.005) / -0.005, rel=1e-9
    )
    assert fg.grad(fg.grad(fg.grad(special.i1)))(0.0) == pytest.approx(3 / 8, rel=1e-14)
    assert fg.grad(special.expit)(40.0) == pytest.approx(math.exp(-40), rel=1e-15)
    assert fg.grad(special.expit)(-800.0) == 0.0
    assert fg.grad(special.log_ndtr)(-1e8) == pytest.approx(1e8, rel=1e-14)
    assert fg.grad(fg.grad(special.log_ndtr))(-1e4) == pytest.approx(-1.0, rel=1e-6)
    assert fg.grad(fg.grad(special.log_ndtr))(50.0) == 0.0
    assert fg.grad(special.erfcx)(1e6) == pytest.approx(-1e-12 / math.sqrt(math.pi), rel=1e-11)
    assert fg.grad(special.xlogy, argnums=1)(0.0, 0.0) == 0.0
    assert fg.grad(fg.grad(special.xlogy), argnums=1)(0.0, 2.0) == 0.5
    assert fg.grad(special.gammainc, argnums=1)(1e6, 1e6) == pytest.approx(1 / math.sqrt(2e6 * math.pi), rel=1e-6)
    assert fg.grad(fg.grad(np.i0))(0.0) == 0.5
    assert fg.grad(fg.grad(special.sinc))(0.0) == pytest.approx(-(math.pi**2) / 3, rel=1e-14)
    assert fg.grad(fg.grad(np.sinc))(1e-9) == pytest.approx(-(math.pi**2) / 3, rel=1e-14)


def test_polygamma_of_traced_orders():
    """The order may be an array of integers, traced or not; its derivative is an error that says so."""
    n, x = np.array([0, 1, 4]), np.array([0.5, 1.5, 2.5])
    one_by_one = [special.polygamma(int(k), v) for k, v in zip(n, x, strict=True)]
    np.testing.assert_allclose(special.polygamma(n, x), one_by_one, rtol=1e-15)
    np.testing.assert_allclose(fg.vmap(special.polygamma)(n, x), one_by_one, rtol=1e-15)
    with pytest.raises(MissingRuleError, match="in its order s .* it differentiates in q"):
        fg.grad(lambda n: special.polygamma(n, 1.5))(2.0)


@pytest.mark.parametrize(
    "fun, text",
    [
        (lambda a: special.gammainc(a, 1.0), r"gammainc\(a, x\) has no derivative rule in a; it differentiates in x"),
        (lambda a: special.betainc(1.0, a, 0.5), r"betainc\(a, b, x\) has no derivative rule in b"),
        (special.zeta, r"zeta\(s\) has no derivative rule in s"),
    ],
)
def test_derivatives_that_are_not_there(fun, text):
    """They are errors that name the function and the operand, in both modes."""
    with pytest.raises(MissingRuleError, match=text):
        fg.grad(fun)(2.5)
    with pytest.raises(MissingRuleError, match=text):
        fg.jvp(fun, (2.5,), (1.0,))


def test_refusals():
    """What cannot be done says so: complex numbers, exact factorials of arrays, dimensions that are no integers."""
    with pytest.raises(UnsupportedOperationError, match="softmax of complex128"):
        special.softmax(np.array([1j]))
    with pytest.raises(UnsupportedOperationError, match="ndtr of complex128 operands"):
        special.ndtr(np.array([1j]))
    with pytest.raises(UnsupportedOperationError, match="exact=True"):
        special.factorial(np.array([2]), exact=True)
    with pytest.raises(ValueError, match="positive integer"):
        special.multigammaln(3.0, 1.5)
    with pytest.raises(ValueError, match="not met"):
        special.multigammaln(0.5, 3)
    with pytest.raises(TypeError, match="complex"):
        fg.make_jaxpr(np.i0)(1j)
    assert special.factorial(20, exact=True) == math.factorial(20)


def test_numpys_i0():
    """Traced, np.i0 has NumPy's values and dtypes."""
    for dtype in (np.float64, np.float32, np.float16, np.int64):
        x = np.array([-3, 0, 5, 9]).astype(dtype)
        value = fg.eval_jaxpr(fg.make_jaxpr(np.i0)(x), (), x)[0]
        assert value.dtype == np.i0(x).dtype
        np.testing.assert_allclose(value, np.i0(x), rtol=1e-15 if value.dtype == np.float64 else 4e-3)


def test_without_scipy():
    """All of it works where SciPy is not installed; what needs SciPy says how to get it."""
    code = (
        "import sys; sys.modules['scipy'] = sys.modules['scipy.special'] = None\n"
        "import numpy as np, fungrad as fg\n"
        "from fungrad.scipy import special\n"
        "print(fg.grad(lambda x: special.logsumexp(special.gammaln(x)))(np.array([2.5]))[0] > 0)\n"
        "for call in (lambda: special.jv, lambda: special.erf(1j)):\n"
        "    try: call()\n"
        "    except ModuleNotFoundError as e: print('pip install scipy' in str(e))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True"] * 3


def test_scipys_own():
    """Other ufuncs are SciPy's; complex arguments too."""
    scipy = pytest.importorskip("scipy.special")
    assert special.jv is scipy.jv
    assert special.erf(1 + 1j) == scipy.erf(1 + 1j)
    with pytest.raises(AttributeError):
        special.no_such_function
    assert not hasattr(special, "__no_such__")


def test_import_is_lazy():
    """Importing fungrad does not import the special functions, and they do not import SciPy."""
    code = (
        "import sys, fungrad\n"
        "print(any('special' in m for m in sys.modules if m.startswith('fungrad')))\n"
        "import fungrad.scipy.special\n"
        "print('scipy' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False"]


def test_all_is_complete():
    """Every name of __all__ exists and has a docstring."""
    module = importlib.import_module("fungrad.scipy.special")
    assert all(getattr(module, name).__doc__ for name in module.__all__)

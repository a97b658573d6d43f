"""What the derivative is where there is none: at kinks, ends of domains, zeros, and where naive formulae overflow.

The catalogue keeps away from such points; here are the conventions of the documentation, one by one, in every mode.
"""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg

INF = np.inf

# name, function of one array, point, gradient of the sum of the result
KINKS = [
    ("abs at 0", np.abs, [0.0, -1.0, 2.0], [0.0, -1.0, 1.0]),
    ("fabs at 0", np.fabs, [0.0, -1.0, 2.0], [0.0, -1.0, 1.0]),
    ("sign", np.sign, [0.0, -1.0], [0.0, 0.0]),
    ("floor at an integer", np.floor, [1.0, 0.5], [0.0, 0.0]),
    ("ceil at an integer", np.ceil, [1.0, 0.5], [0.0, 0.0]),
    ("rint at a half", np.rint, [0.5, 1.5], [0.0, 0.0]),
    ("relu at 0", lambda x: np.maximum(x, 0.0), [0.0, -1.0, 2.0], [0.5, 0.0, 1.0]),
    ("maximum of equals", lambda x: np.maximum(x, x), [1.0, 2.0], [1.0, 1.0]),
    ("minimum, a tie", lambda x: np.minimum(x, 1.0), [1.0, 0.0, 2.0], [0.5, 1.0, 0.0]),
    ("fmax, a tie", lambda x: np.fmax(x, 1.0), [1.0, 0.0, 2.0], [0.5, 0.0, 1.0]),
    ("max, ties", np.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("max, all equal", np.max, [2.0] * 4, [0.25] * 4),
    ("min, ties", np.min, [1.0, 3.0, 1.0], [0.5, 0.0, 0.5]),
    (
        "max along an axis, ties",
        lambda x: np.max(x, axis=1) * np.array([1.0, 4.0]),
        [[1.0, 1.0], [2.0, 0.0]],
        [[0.5, 0.5], [4.0, 0.0]],
    ),
    ("x**0 at 0", lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
    ("x**0.0 at 0", lambda x: x**0.0, [0.0, 2.0], [0.0, 0.0]),
    ("x**1 at 0", lambda x: x**1, [0.0, -2.0], [1.0, 1.0]),
    ("x**2 at 0", lambda x: x**2, [0.0, -2.0], [0.0, -4.0]),
    ("x**3.0 of a negative number", lambda x: x**3.0, [-2.0, 0.0], [12.0, 0.0]),
    ("power by an array at 0", lambda x: np.power(x, np.array([0.0, 1.0, 2.0])), [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ("0**y", lambda y: np.power(0.0, y), [2.0, 0.5], [0.0, 0.0]),
    ("selection at its edge", lambda x: np.where(x > 0, x, 0.0), [0.0, 1.0], [0.0, 1.0]),
    ("selection against nan", lambda x: np.where(x > 0, x, np.nan), [1.0, 2.0], [1.0, 1.0]),
    (
        "selection, double where",
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0),
        [0.0, -1.0, 2.0],
        [0, 0, 0.5],
    ),
    ("product with a zero", np.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    ("product with two zeros", np.prod, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    ("cumprod with zeros", np.cumprod, [2.0, 0.0, 3.0, 4.0], [1.0, 32.0, 0.0, 0.0]),
    ("std of equals", np.std, [3.0, 3.0, 3.0], [0.0, 0.0, 0.0]),
    ("var of equals", np.var, [3.0, 3.0, 3.0], [0.0, 0.0, 0.0]),
    ("hypot at 0", lambda x: np.hypot(x, 0.0), [0.0, 2.0], [0.0, 1.0]),
    ("sinc at 0", np.sinc, [0.0], [0.0]),
    ("tanh far out", np.tanh, [1000.0, -1000.0], [0.0, 0.0]),
    ("logaddexp far out", lambda x: np.logaddexp(x, 0.0), [1000.0, -1000.0, 0.0], [1.0, 0.0, 0.5]),
    ("logaddexp of -inf", lambda x: np.logaddexp(x, -INF), [-INF, 1.0], [0.0, 1.0]),
    ("arcsinh far out", np.arcsinh, [1e200], [1e-200]),
    ("hypot far out", lambda x: np.hypot(x, 1e200), [1e200], [np.sqrt(0.5)]),
    ("arctan2 far out", lambda x: np.arctan2(x, 1e200), [1e200], [5e-201]),
    ("log1p near 0", np.log1p, [1e-300], [1.0]),
    ("expm1 near 0", np.expm1, [1e-300], [1.0]),
]

# the same where the derivative is infinite: NumPy warns of the division by zero
INFINITE = [
    ("sqrt at 0", np.sqrt, [0.0], [INF]),
    ("x**0.5 at 0", lambda x: x**0.5, [0.0], [INF]),
    ("cbrt at 0", np.cbrt, [0.0], [INF]),
    ("log at 0", np.log, [0.0], [INF]),
    ("arcsin at 1", np.arcsin, [1.0], [INF]),
    ("arccosh at 1", np.arccosh, [1.0], [INF]),
]


def parametrize(table):
    """A test for each line of a table."""
    return pytest.mark.parametrize(("fun", "x", "expected"), [pytest.param(*line[1:], id=line[0]) for line in table])


def check(fun, x, expected):
    """The gradient of the sum in both modes, recorded with values and on types alone, and in a batch."""
    x, expected = np.array(x), np.array(expected)

    def total(x):
        return np.sum(fun(x))

    def forward(x):
        _, push = fg.linearize(total, x)
        return np.stack([push(v) for v in np.eye(x.size).reshape(-1, *x.shape)]).reshape(x.shape)

    gradient = fg.grad(total)
    jaxpr = fg.make_jaxpr(gradient)(x)
    results = {
        "grad": gradient(x),
        "linearize": forward(x),
        "make_jaxpr": fg.eval_jaxpr(jaxpr, (), x)[0],
        "vmap": fg.vmap(gradient)(np.stack([x, x]))[1],
        "float32": gradient(x.astype(np.float32)) if np.all(np.abs(x[np.isfinite(x)]) < 1e30) else expected,
    }
    for name, result in results.items():
        np.testing.assert_allclose(result, expected, rtol=1e-6 if name == "float32" else 1e-13, err_msg=name)


@parametrize(KINKS)
def test_kink(fun, x, expected):
    """At a kink the derivative is the documented one; where it is finite nothing overflows, warns or becomes nan."""
    check(fun, x, expected)


@parametrize(INFINITE)
def test_infinite_derivative(fun, x, expected):
    """At the end of a domain the derivative is infinite, as its limit, and not nan."""
    with np.errstate(divide="ignore"):
        check(fun, x, expected)


@pytest.mark.parametrize(
    ("fun", "expected"),
    [(np.maximum, (0.5, 0.5)), (np.minimum, (0.5, 0.5)), (np.fmax, (0.5, 0.5)), (np.hypot, (0.0, 0.0))],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_two_operands_at_a_kink(fun, expected):
    """Operands that tie share the derivative."""
    assert fg.grad(fun, argnums=(0, 1))(0.0, 0.0) == expected


def test_modulus_of_zero():
    """The modulus of a complex number has the derivative 0 at 0, and conj(z) / |z| elsewhere."""
    z = np.array([0.0, 3.0 + 4.0j])
    np.testing.assert_allclose(fg.grad(lambda z: np.sum(np.abs(z)))(z), [0.0, 0.6 - 0.8j], rtol=1e-14)


def test_second_derivatives_at_zeros():
    """Second derivatives hold at zeros too: of products, of powers, of sinc."""
    np.testing.assert_allclose(fg.hessian(np.prod)(np.array([0.0, 0.0, 3.0])), [[0, 3, 0], [3, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(fg.hessian(lambda x: np.cumprod(x)[-1])(np.zeros(2)), [[0, 1], [1, 0]])
    for n, expected in ((0, 0.0), (1, 0.0), (2, 2.0), (3, 0.0)):
        assert fg.grad(fg.grad(lambda x, n=n: x**n))(0.0) == expected
    assert np.isclose(fg.grad(fg.grad(np.sinc))(0.0), -(np.pi**2) / 3, rtol=1e-13)
    assert fg.grad(fg.grad(np.abs))(0.0) == 0.0

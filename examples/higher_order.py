"""Derivatives of any order: grad of grad of ... of tanh, compared with the polynomials that they are known to be.

With t = tanh(x), every derivative is a polynomial in t: P_0(t) = t and P_{n+1}(t) = P_n'(t) (1 - t^2).
"""

import time

import numpy as np
from _common import check
from numpy.polynomial import Polynomial

import fungrad as fg

points = np.array([-1.3, 0.2, 0.5, 2.0])


def forward(fun):
    """The derivative by one forward pass: the tangent of fun along 1."""
    return lambda x: fg.jvp(fun, (x,), (1.0,))[1]


def known_derivative(n, x):
    polynomial = Polynomial([0.0, 1.0])
    for _ in range(n):
        polynomial = polynomial.deriv() * Polynomial([1.0, 0.0, -1.0])
    return polynomial(np.tanh(x))


def compare(title, derive, orders, evaluate=lambda f: np.array([f(x) for x in points])):
    """Derive tanh again and again: ``derive(f, n)`` makes the n-th derivative from the one before."""
    print(title)
    derivative = np.tanh
    for n in range(1, orders + 1):
        derivative = derive(derivative, n)
        start = time.perf_counter()
        values = evaluate(derivative)
        milliseconds = (time.perf_counter() - start) / len(points) * 1e3
        expected = known_derivative(n, points)
        error = np.max(np.abs(values - expected)) / np.max(np.abs(expected))
        check(
            f"order {n}: {values[2]:14.6f} at 0.5, relative error {error:.0e}, {milliseconds:8.3f} ms per point",
            error < 1e-12,
        )


compare("reverse mode nested: grad(grad(...))", lambda f, n: fg.grad(f), 8)
compare("forward mode nested: jvp of jvp of ...", lambda f, n: forward(f), 8)
compare("the two in turn", lambda f, n: fg.grad(f) if n % 2 else forward(f), 8)
compare("reverse mode nested, on all points at once", lambda f, n: fg.elementwise_grad(f), 8, lambda f: f(points))

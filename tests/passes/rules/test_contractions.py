"""Rules of contractions: sums of products with a common factor."""

from __future__ import annotations

import numpy as np
import pytest

import fungrad as fg
from fungrad.passes.optimize import optimize

RNG = np.random.default_rng(0)
X, Y, Z, W = (RNG.standard_normal((5, 5)) for _ in range(4))
V = RNG.standard_normal(5)
S = RNG.standard_normal((3, 5, 5))

CASES = {
    "on the left": (lambda x, y, z: x @ y + x @ z, (X, Y, Z), 1),
    "on the right": (lambda x, y, z: y @ x + z @ x, (X, Y, Z), 1),
    "on either side": (lambda x, y, z: x @ y + (z @ x.T).T, (X, Y, Z), 1),
    "not the same way round": (lambda x, y, z: x @ y + z @ x, (X, Y, Z), 2),
    "transposed": (lambda x, y, z: x @ y + x.T @ z, (X, Y, Z), 2),
    "the other one transposed": (lambda x, y, z: x @ y - x @ z.T, (X, Y, Z), 1),
    "among others": (lambda x, y, z: x @ y + np.sin(z) + x @ z, (X, Y, Z), 1),
    "subtracted": (lambda x, y, z: np.sin(z) - x @ y + x @ z, (X, Y, Z), 1),
    "three": (lambda x, y, z: x @ y + x @ z + x @ y.T, (X, Y, Z), 1),
    "stacks": (lambda s, x, y: s @ x + s @ y, (S, X, Y), 1),
    "read elsewhere": (lambda x, y, z: (lambda p: (p + x @ z, p))(x @ y), (X, Y, Z), 2),
    "vectors": (lambda x, y, v: x @ v + y @ v, (X, Y, V), 2),  # x + y takes longer than a product with a vector
    "integers": (lambda x, y, z: x @ y + x @ z, tuple([np.sign(a).astype(int) for a in (X, Y, Z)]), 2),
}


@pytest.mark.parametrize("name", list(CASES))
def test_common_factors(name):
    """How many products are left, and the same values."""
    f, args, expected = CASES[name]
    closed = fg.make_jaxpr(f)(*args)
    after = optimize(closed)
    fg.check_jaxpr(after)
    assert sum(e.primitive.name == "contract" for e in after.eqns) == expected
    for got, want in zip(fg.eval_jaxpr(after, (), *args), fg.eval_jaxpr(closed, (), *args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_gradient_of_a_gram_matrix():
    """x (g + g^T) is one product."""
    f = lambda x: np.sum(np.sin(x.T @ x))
    x = RNG.standard_normal((50, 4))
    np.testing.assert_allclose(fg.jit(fg.grad(f))(x), fg.grad(f)(x), rtol=1e-11, atol=1e-12)
    eqns = optimize(fg.make_jaxpr(fg.grad(f))(x)).eqns
    assert sum(e.primitive.name == "contract" for e in eqns) == 2

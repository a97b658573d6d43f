"""Derivatives of orthogonal polynomials in their argument: of lower degree, of the neighbouring family. DLMF 18.9(iii).

They hold for degrees that are no integers as well, for which the functions are hypergeometric ones. Also associated
Legendre functions (14.10.5), whose quotient by 1 - x**2 is undefined (nan) at the ends of the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.core.aval import typeof
from fungrad.primitives.arithmetic import add, div, mul, neg, sub
from fungrad.primitives.comparison import equal
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert
from fungrad.scipy.ufuncs.declared import declare, special

jacobi, gegenbauer = special("eval_jacobi"), special("eval_gegenbauer")
chebyu, chebys, sh_chebyu = special("eval_chebyu"), special("eval_chebys"), special("eval_sh_chebyu")
genlaguerre, hermite, hermitenorm = special("eval_genlaguerre"), special("eval_hermite"), special("eval_hermitenorm")
sh_jacobi, lpmv = special("eval_sh_jacobi"), special("lpmv")


def signed(n: Any) -> Any:
    """An order as a signed integer, if it is an unsigned one or a boolean, so that it can be lowered."""
    return convert(n, np.dtype(np.int64)) if typeof(n).dtype.kind in "bu" else n


def lowered(n: Any, polynomial: Callable[[Any], Any]) -> Any:
    """``polynomial(n - 1)``, 0 for n = 0."""
    n = signed(n)
    constant = equal(n, 0)
    return where(constant, 0, polynomial(sub(where(constant, 1, n), 1)))


def _unit(x: Any) -> Any:
    return sub(mul(x, 2), 1)


# 18.9.15 for Jacobi, of which Legendre's are the case (0, 0); 18.9.16 with P = x**n + ... on (0, 1)


def _jacobi_slope(n: Any, alpha: Any, beta: Any, x: Any) -> Any:
    factor = mul(add(add(add(signed(n), alpha), beta), 1), 0.5)
    return lowered(n, lambda m: mul(factor, jacobi(m, add(alpha, 1), add(beta, 1), x)))


declare("eval_jacobi", "n alpha beta x", x=lambda t, n, alpha, beta, x: mul(t, _jacobi_slope(n, alpha, beta, x)))
declare("eval_legendre", "n x", x=lambda t, n, x: mul(t, _jacobi_slope(n, 0.0, 0.0, x)))
declare("eval_sh_legendre", "n x", x=lambda t, n, x: mul(t, mul(_jacobi_slope(n, 0.0, 0.0, _unit(x)), 2)))
declare(
    "eval_sh_jacobi",
    "n p q x",
    x=lambda t, n, p, q, x: mul(t, mul(n, lowered(n, lambda m: sh_jacobi(m, add(p, 2), add(q, 1), x)))),
)

# 18.9.19 for Gegenbauer, 18.9.21 for Chebyshev: T' = n U, U' = 2 C(2); C_n(x) = 2 T_n(x/2) and S_n(x) = U_n(x/2)

declare(
    "eval_gegenbauer",
    "n alpha x",
    x=lambda t, n, alpha, x: mul(t, mul(mul(alpha, 2), lowered(n, lambda m: gegenbauer(m, add(alpha, 1), x)))),
)


def _chebyu_slope(n: Any, x: Any) -> Any:
    return lowered(n, lambda m: mul(gegenbauer(m, 2.0, x), 2))


declare("eval_chebyt", "n x", x=lambda t, n, x: mul(t, mul(n, lowered(n, lambda m: chebyu(m, x)))))
declare("eval_chebyu", "n x", x=lambda t, n, x: mul(t, _chebyu_slope(n, x)))
declare("eval_chebyc", "n x", x=lambda t, n, x: mul(t, mul(n, lowered(n, lambda m: chebys(m, x)))))
declare("eval_chebys", "n x", x=lambda t, n, x: mul(t, mul(_chebyu_slope(n, mul(x, 0.5)), 0.5)))
declare("eval_sh_chebyt", "n x", x=lambda t, n, x: mul(t, mul(n, lowered(n, lambda m: mul(sh_chebyu(m, x), 2)))))
declare("eval_sh_chebyu", "n x", x=lambda t, n, x: mul(t, mul(_chebyu_slope(n, _unit(x)), 2)))

# 18.9.23 for Laguerre, 18.9.25 and 18.9.27 for Hermite

declare(
    "eval_genlaguerre",
    "n alpha x",
    x=lambda t, n, alpha, x: neg(mul(t, lowered(n, lambda m: genlaguerre(m, add(alpha, 1), x)))),
)
declare("eval_laguerre", "n x", x=lambda t, n, x: neg(mul(t, lowered(n, lambda m: genlaguerre(m, 1.0, x)))))
declare("eval_hermite", "n x", x=lambda t, n, x: mul(t, mul(n, lowered(n, lambda m: mul(hermite(m, x), 2)))))
declare("eval_hermitenorm", "n x", x=lambda t, n, x: mul(t, mul(n, lowered(n, lambda m: hermitenorm(m, x)))))

# associated Legendre functions of the first kind, of order m and degree v


def _lpmv_slope(m: Any, v: Any, x: Any, value: Any) -> Any:
    m, v = signed(m), signed(v)
    numerator = sub(mul(add(v, m), lpmv(m, sub(v, 1), x)), mul(mul(v, x), value))
    return div(numerator, mul(sub(1, x), add(x, 1)))


declare("lpmv", "m v x", x=lambda t, m, v, x, out: mul(t, _lpmv_slope(m, v, x, out)))

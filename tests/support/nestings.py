"""Words over the transforms: what a function with rules of its own must agree with its plain form under.

    LETTERS   name -> (function of a vector -> function of a vector or of a batch of them)
    agree     a function with rules, its plain form, a word: both give the same

`inner` is the plain function of an array and a number that tests give rules to, `inner_jvp` and `inner_vjp` state its
derivative; `around` puts a function like it into a program with more arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fungrad as fg
from fungrad import tree

Function = Callable[..., Any]


def inner(x: Any, y: Any) -> Any:
    """sin(x) y + x y^2."""
    return np.sin(x) * y + x * y**2


def inner_jvp(x: Any, y: Any, x_dot: Any, y_dot: Any) -> Any:
    """Its tangent."""
    return (np.cos(x) * y + y**2) * x_dot + (np.sin(x) + 2.0 * x * y) * y_dot


def inner_vjp(x: Any, y: Any, ct: Any) -> tuple[Any, Any]:
    """Its cotangents."""
    return (np.cos(x) * y + y**2) * ct, np.sum((np.sin(x) + 2.0 * x * y) * ct)


def around(f: Function) -> Function:
    """A function of a vector that calls f with traced and constant arguments."""

    def program(x: Any) -> Any:
        return f(x**2, x[0]) * x[1] + f(np.array([0.5, -0.3]), x[1]) + f(x, 0.7)

    return program


def along(f: Function) -> Function:
    """The tangent along a direction that depends on the point."""
    return lambda x: fg.jvp(f, (x,), (np.cos(x),))[1]


def against(f: Function) -> Function:
    """The cotangent for one that depends on the result."""

    def pulled(x: Any) -> Any:
        value, pull = fg.vjp(f, x)
        return pull(tree.map(lambda v: 0.5 * v + 1.0, value))[0]

    return pulled


def tangent_map(f: Function) -> Function:
    """The linear program of the derivative, applied."""
    return lambda x: fg.linearize(f, x)[1](np.sin(x))


LETTERS: dict[str, Callable[[Function], Function]] = {
    "jit": fg.jit,
    "vmap": fg.vmap,
    "jvp": along,
    "vjp": against,
    "jacfwd": fg.jacfwd,
    "jacrev": fg.jacrev,
    "linearize": tangent_map,
}


def agree(custom: Function, plain: Function, word: Sequence[str]) -> None:
    """Check that a word gives the same for both."""
    x = np.array([0.4, -0.8])
    f, oracle = around(custom), around(plain)
    for name in word:
        f, oracle = LETTERS[name](f), LETTERS[name](oracle)
        if name == "vmap":
            x = np.stack([x, 0.7 * x])
    found, expected = f(x), oracle(x)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10, err_msg=" ".join(word))
    assert np.shape(found) == np.shape(expected)

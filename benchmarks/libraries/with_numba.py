"""Gradients written by hand as loops, compiled by Numba: for the workloads that are loops over numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from workloads.workload import Workload

from .with_numpy import flatten as flatten


def chain(x, repeats):
    slope = 1.0
    for _ in range(repeats):
        slope *= 1.01 * math.cos(x)
        x = math.sin(x) * 1.01 + 0.1
    return x, slope


def rosenbrock(x):
    value, gradient = 0.0, np.zeros_like(x)
    for k in range(len(x) - 1):
        a, b = x[k + 1] - x[k] * x[k], 1.0 - x[k]
        value += 100.0 * a * a + b * b
        gradient[k] -= 400.0 * a * x[k] + 2.0 * b
        gradient[k + 1] += 200.0 * a
    return value, gradient


def rosenbrock_hvp(x, v):
    gradient, product = np.zeros_like(x), np.zeros_like(x)
    for k in range(len(x) - 1):
        a, a_dot = x[k + 1] - x[k] * x[k], v[k + 1] - 2.0 * x[k] * v[k]
        gradient[k] -= 400.0 * a * x[k] + 2.0 * (1.0 - x[k])
        gradient[k + 1] += 200.0 * a
        product[k] -= 400.0 * (a_dot * x[k] + a * v[k]) - 2.0 * v[k]
        product[k + 1] += 200.0 * a_dot
    return gradient, product


def elementwise(x):
    value, gradient = 0.0, np.empty_like(x)
    for k in range(len(x)):
        t, e = math.tanh(x[k]), math.exp(-0.5 * x[k] * x[k])
        y = t * e
        root, d = math.sqrt(1 + y * y), 2 + math.cos(x[k])
        z = root / d
        s = 1 + z * z
        value += math.log(s) - y * z
        z_bar = 2 * z / s - y
        y_bar = z_bar * y / (root * d) - z
        gradient[k] = y_bar * ((1 - t * t) * e - x[k] * y) + z_bar * z * math.sin(x[k]) / d
    return value, gradient


def lorenz(state, parameters, steps):
    """Forward mode: the state with its six columns of derivatives, by the same Runge-Kutta method."""
    sigma, rho, beta = parameters
    h = 0.01
    s, k, total = np.zeros((3, 7)), np.zeros((3, 7)), np.zeros((3, 7))
    s[0, 0], s[1, 0], s[2, 0] = state
    s[0, 1] = s[1, 2] = s[2, 3] = 1.0
    for _ in range(steps):
        total[:] = 0.0
        k[:] = 0.0
        for shift, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
            u = s + shift * h * k
            x, y, z = u[0, 0], u[1, 0], u[2, 0]
            for j in range(7):
                k[0, j] = sigma * (u[1, j] - u[0, j])
                k[1, j] = u[0, j] * (rho - z) - x * u[2, j] - u[1, j]
                k[2, j] = u[0, j] * y + x * u[1, j] - beta * u[2, j]
            k[1, 0], k[2, 0] = x * (rho - z) - y, x * y - beta * z
            k[0, 4] += y - x
            k[1, 5] += x
            k[2, 6] -= z
            total += weight * k
        s = s + h / 6 * total
    norm = math.sqrt(s[0, 0] ** 2 + s[1, 0] ** 2 + s[2, 0] ** 2)
    slopes = (s[0, 0] * s[0, 1:] + s[1, 0] * s[1, 1:] + s[2, 0] * s[2, 1:]) / norm
    return norm, list(slopes)


LOOPS: dict[tuple[str, str], Callable[..., Any]] = {
    ("chain", "value_and_grad"): chain,
    ("rosenbrock", "value_and_grad"): rosenbrock,
    ("rosenbrock", "hvp"): rosenbrock_hvp,
    ("elementwise", "value_and_grad"): elementwise,
    ("lorenz", "value_and_grad"): lorenz,
}


def prepare(workload: Workload) -> Callable[[], Any] | None:
    """The call to time, or None for what is not a loop over numbers; its first call compiles."""
    loop = LOOPS.get((workload.fun.__name__, workload.task))
    if loop is None:
        return None
    compiled, operands, static = numba.njit(loop), workload.data(), tuple(workload.static.values())
    return lambda: compiled(*operands, *static)


PREPARE = {"numba": prepare}

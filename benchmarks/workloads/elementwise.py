"""Chains of elementwise functions that end in a sum: their time is that of going through memory."""

from __future__ import annotations

import numpy as np

from .workload import Workload


def elementwise(x):
    y = np.tanh(x) * np.exp(-0.5 * x * x)
    z = np.sqrt(1 + y * y) / (2 + np.cos(x))
    return np.sum(np.log(1 + z * z) - y * z)


def elementwise_by_hand(x):
    t, e = np.tanh(x), np.exp(-0.5 * x * x)
    y = t * e
    root, d = np.sqrt(1 + y * y), 2 + np.cos(x)
    z = root / d
    s = 1 + z * z
    z_bar = 2 * z / s - y
    y_bar = z_bar * y / (root * d) - z
    return np.sum(np.log(s) - y * z), y_bar * ((1 - t * t) * e - x * y) + z_bar * z * np.sin(x) / d


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_by_hand(x):
    a, b = x[1:] - x[:-1] ** 2, 1.0 - x[:-1]
    gradient = np.empty_like(x)
    gradient[:-1] = -400.0 * a * x[:-1] - 2.0 * b
    gradient[-1] = 0.0
    gradient[1:] += 200.0 * a
    return np.sum(100.0 * a * a + b * b), gradient


def rosenbrock_hvp_by_hand(x, v):
    _, gradient = rosenbrock_by_hand(x)
    a, a_dot = x[1:] - x[:-1] ** 2, v[1:] - 2.0 * x[:-1] * v[:-1]
    product = np.empty_like(x)
    product[:-1] = -400.0 * (a_dot * x[:-1] + a * v[:-1]) + 2.0 * v[:-1]
    product[-1] = 0.0
    product[1:] += 200.0 * a_dot
    return gradient, product


def normal_data(*shapes):
    def make():
        rng = np.random.default_rng(0)
        return tuple([rng.standard_normal(shape) for shape in shapes])

    return make


def elementwise_of(n):
    return Workload(f"elementwise chain, 1e{len(str(n)) - 1}", elementwise, normal_data(n), by_hand=elementwise_by_hand)


WORKLOADS = [
    *map(elementwise_of, (1_000, 100_000, 1_000_000)),
    Workload("Rosenbrock gradient, 1e5", rosenbrock, normal_data(100_000), by_hand=rosenbrock_by_hand),
    Workload(
        "Rosenbrock Hessian-vector product, 1e5",
        rosenbrock,
        normal_data(100_000, 100_000),
        task="hvp",
        by_hand=rosenbrock_hvp_by_hand,
    ),
]

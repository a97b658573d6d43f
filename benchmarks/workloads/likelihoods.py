"""A Gaussian process (Cholesky factor, triangular system), and logistic regression example by example."""

from __future__ import annotations

import numpy as np

from .common import sigmoid
from .workload import Workload

LOG_2_PI = float(np.log(2 * np.pi))


def solve_lower(factor, y):
    """Solve a lower-triangular system."""
    return np.linalg.solve(factor, y)


def gaussian_process(log_parameters, x, y):
    """The negative log marginal likelihood; squared-exponential kernel (Rasmussen and Williams 2006, eq. 5.8)."""
    length, signal, noise = np.exp(log_parameters)
    distances = (x[:, None] - x) / length
    covariance = signal**2 * np.exp(-0.5 * distances**2) + noise**2 * np.eye(len(x))
    factor = np.linalg.cholesky(covariance)
    z = solve_lower(factor, y)
    return 0.5 * z @ z + np.sum(np.log(np.diag(factor))) + 0.5 * len(x) * LOG_2_PI


def gaussian_process_by_hand(log_parameters, x, y):
    """With the inverse of the covariance (the same, eq. 5.9)."""
    length, signal, noise = np.exp(log_parameters)
    squares = ((x[:, None] - x) / length) ** 2
    kernel = signal**2 * np.exp(-0.5 * squares)
    covariance = kernel + noise**2 * np.eye(len(x))
    log_determinant = 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(covariance))))
    inverse = np.linalg.inv(covariance)
    alpha = inverse @ y
    bar = 0.5 * (inverse - alpha[:, None] * alpha)
    weighted = bar * kernel
    gradient = [np.sum(weighted * squares), 2 * np.sum(weighted), 2 * noise**2 * np.trace(bar)]
    return 0.5 * (y @ alpha + log_determinant + len(x) * LOG_2_PI), np.array(gradient)


def gaussian_process_data(n):
    def make():
        rng = np.random.default_rng(0)
        x = np.sort(rng.uniform(0.0, 10.0, n))
        return np.log([0.8, 1.2, 0.3]), x, np.sin(x) + 0.3 * rng.standard_normal(n)

    return make


def logistic(w, x, y):
    """The loss of one example, whose class ``y`` is 1 or -1."""
    return np.logaddexp(0.0, -y * (x @ w))


def logistic_by_hand(w, x, y):
    """The gradients of all examples."""
    return (-y * sigmoid(-y * (x @ w)))[:, None] * x


def logistic_data():
    rng = np.random.default_rng(0)
    return rng.standard_normal(50) / 7, rng.standard_normal((1000, 50)), rng.choice([-1.0, 1.0], 1000)


WORKLOADS = [
    *(
        Workload(
            f"Gaussian process, {n}",
            gaussian_process,
            gaussian_process_data(n),
            by_hand=gaussian_process_by_hand,
        )
        for n in (200, 500)
    ),
    Workload(
        "logistic, per-example gradients, 1000 x 50",
        logistic,
        logistic_data,
        task="grad",
        in_axes=(None, 0, 0),
        by_hand=logistic_by_hand,
    ),
]

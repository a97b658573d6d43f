"""Group more: statistics, finance and linear algebra."""

from __future__ import annotations

import numpy as np

from .common import logsumexp
from .workload import Workload

RNG = np.random.default_rng


def kalman_filter(transition, noise, observations):
    """The log-likelihood of thirty observations of two of four numbers."""
    x, p, h, total = np.zeros(4), np.eye(4), np.eye(2, 4), 0.0
    for t in range(30):
        x, p = transition @ x, transition @ p @ transition.T + noise
        s, y = h @ p @ h.T + 0.1 * np.eye(2), observations[t] - h @ x
        gain = p @ h.T @ np.linalg.inv(s)
        x, p = x + gain @ y, p - gain @ h @ p
        total = total - 0.5 * (y @ np.linalg.solve(s, y) + np.linalg.slogdet(s)[1])
    return total


def sinkhorn(costs):
    """Twenty iterations of entropic transport, in logarithms."""
    v = np.zeros(costs.shape[1])
    for _ in range(20):
        u = -logsumexp(v - costs, axis=1)
        v = -logsumexp(u[:, None] - costs, axis=0)
    return np.sum(np.exp(u[:, None] + v - costs) * costs)


def kernel_ridge(scale, x, y):
    kernel = np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1) / np.exp(scale))
    return np.sum((kernel @ np.linalg.solve(kernel + 0.1 * np.eye(len(x)), y) - y) ** 2)


def ridge(x, y):
    return np.sum(np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ y) ** 2)


def log_determinants(a):
    """Of a stack of small matrices."""
    factors = np.linalg.cholesky(a @ np.swapaxes(a, -1, -2) + np.eye(a.shape[-1]))
    return np.sum(np.log(np.diagonal(factors, axis1=-2, axis2=-1)))


def log_determinant(a):
    return np.linalg.slogdet(a @ a.T + np.eye(len(a)))[1]


def eigenvalues(a):
    return np.sum(np.linalg.eigvalsh(a + a.T) ** 3)


def nuclear_norm(a):
    return np.sum(np.linalg.svd(a, compute_uv=False))


def small_products(a, b):
    return np.sum(np.tanh(np.einsum("bij,bjk->bik", a, b)))


def bilinear(w, a, b):
    return np.sum(np.tanh(np.einsum("ni,kij,nj->nk", a, w, b)))


def kernel_density(width, x, t):
    return -np.sum(np.log(np.mean(np.exp(-0.5 * ((t[:, None] - x) / width) ** 2) / width, axis=1)))


def mixture_of_lines(params, x):
    """A mixture of eight normal densities on a line."""
    logits, means, logs = params
    weights = np.exp(logits) / np.sum(np.exp(logits))
    densities = weights * np.exp(-0.5 * (x[:, None] - means) ** 2 / np.exp(logs)) / np.sqrt(2 * np.pi * np.exp(logs))
    return -np.sum(np.log(np.sum(densities, axis=1)))


def pseudolikelihood(couplings, spins):
    fields = spins @ couplings
    return np.sum(np.log(np.cosh(fields))) - np.sum(fields * spins)


def option_prices(spot):
    """Black and Scholes, with an approximate normal distribution function."""
    d1 = (np.log(spot / 100.0) + 0.07) / 0.2
    d2 = d1 - 0.2
    n1 = 0.5 * (1 + np.tanh(0.7978845608 * (d1 + 0.044715 * d1**3)))
    n2 = 0.5 * (1 + np.tanh(0.7978845608 * (d2 + 0.044715 * d2**3)))
    return np.sum(spot * n1 - 100.0 * np.exp(-0.05) * n2)


def sharpe_ratio(w, returns):
    portfolio = returns @ w
    return np.mean(portfolio) / np.std(portfolio)


def polynomial(c, x):
    return np.sum((sum([c[k] * x**k for k in range(8)]) - np.sin(x)) ** 2)


def cosines(c, x, y):
    return np.mean((sum([c[k] * np.cos(k * x) for k in range(6)]) - y) ** 2)


def autoregression(c, x):
    n = len(x)
    return np.mean((x[5:] - sum([c[k] * x[4 - k : n - k - 1] for k in range(5)])) ** 2)


def running_sums(x):
    return np.sum(np.cumsum(np.sin(x), axis=0) ** 2)


def order_statistics(x):
    return np.sum(np.sort(x) * np.arange(x.shape[0]))


def nearest(x, y):
    return np.sum(np.min((x[:, None] - y) ** 2, axis=1))


def column_logsumexp(x):
    return np.sum(logsumexp(x, axis=0))


def selected_logarithms(x):
    return np.sum(np.where(x > 0, np.log1p(np.where(x > 0, x, 0)), -(x**2)))


def logistic_loss(w, x, y):
    return np.mean(np.logaddexp(0.0, -y * (x @ w)))


def _normals(*shapes):
    return lambda: tuple([RNG(k).standard_normal(s) for k, s in enumerate(shapes)])


WORKLOADS = [
    Workload(
        "Kalman filter, 30 steps",
        kalman_filter,
        lambda: (np.eye(4) * 0.9, np.eye(4) * 0.1, RNG(0).standard_normal((30, 2))),
        argnums=(0, 1),
    ),
    Workload("Sinkhorn, 100 x 100, 20 iterations", sinkhorn, lambda: (RNG(0).random((100, 100)),)),
    Workload("kernel ridge regression, 200", kernel_ridge, lambda: (np.float64(0.0), *_normals((200, 3), 200)())),
    Workload("ridge regression, 1000 x 100", ridge, _normals((1000, 100), 1000)),
    Workload("500 log-determinants, 8 x 8", log_determinants, _normals((500, 8, 8))),
    Workload("log-determinant, 60 x 60", log_determinant, _normals((60, 60))),
    Workload("eigenvalues, 60 x 60", eigenvalues, _normals((60, 60))),
    Workload("nuclear norm, 60 x 40", nuclear_norm, _normals((60, 40))),
    Workload("1000 products, 8 x 8", small_products, _normals((1000, 8, 8), (1000, 8, 8)), argnums=(0, 1)),
    Workload("bilinear forms, 500 x 20 x 20 x 5", bilinear, _normals((5, 20, 20), (500, 20), (500, 20))),
    Workload(
        "kernel density, 300 x 500", kernel_density, lambda: (np.float64(0.3), *_normals(500, 300)()), argnums=(0, 1)
    ),
    Workload("mixture on a line, 5000 x 8", mixture_of_lines, lambda: (_normals(8, 8, 8)(), *_normals(5000)())),
    Workload(
        "pseudolikelihood, 500 x 100",
        pseudolikelihood,
        lambda: (RNG(0).standard_normal((100, 100)) / 10, np.sign(RNG(1).standard_normal((500, 100)))),
    ),
    Workload("option prices, 1e5", option_prices, lambda: (RNG(0).uniform(50, 150, 100_000),)),
    Workload(
        "Sharpe ratio, 1000 x 50", sharpe_ratio, lambda: (RNG(0).random(50), RNG(1).standard_normal((1000, 50)) + 0.1)
    ),
    Workload("polynomial of degree 7, 1e4", polynomial, _normals(8, 10_000)),
    Workload("sum of cosines, 5000", cosines, _normals(6, 5000, 5000)),
    Workload(
        "autoregression, 20000 x 5",
        autoregression,
        lambda: (RNG(0).standard_normal(5) / 5, RNG(1).standard_normal(20_000)),
        argnums=(0, 1),
    ),
    Workload("running sums, 1000 x 100", running_sums, _normals((1000, 100))),
    Workload("order statistics, 1e5", order_statistics, _normals(100_000)),
    Workload("nearest of 300, 400 times", nearest, _normals(400, 300), argnums=(0, 1)),
    Workload("logsumexp of columns, 1000 x 500", column_logsumexp, _normals((1000, 500))),
    Workload("selected logarithms, 1e5", selected_logarithms, _normals(100_000)),
    Workload(
        "Hessian of a logistic loss, 500 x 20",
        logistic_loss,
        lambda: (*_normals(20, (500, 20))(), np.sign(RNG(2).standard_normal(500))),
        task="hessian",
    ),
]

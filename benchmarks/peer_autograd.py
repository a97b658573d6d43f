"""The workloads in HIPS/autograd: the same functions on its own numpy."""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as np
import numpy
from autograd.scipy.special import logsumexp

CHAIN = 33


def chain(x):
    for _ in range(CHAIN):
        x = np.sin(x) * 1.01 + 0.1
    return x


def elementwise(x):
    y = np.tanh(x) * np.exp(-0.5 * x * x)
    z = np.sqrt(1 + y * y) / (2 + np.cos(x))
    return np.sum(np.log(1 + z * z) - y * z)


def mlp(params, x, y):
    *hidden, (w, b) = params
    for weights, bias in hidden:
        x = np.tanh(np.dot(x, weights) + bias)
    scores = np.dot(x, w) + b
    return np.mean(logsumexp(scores, axis=1) - np.sum(scores * y, axis=1))


def mixture(params, points):
    logits, means, log_scales = params
    scaled = (points[:, None, :] - means) * np.exp(-log_scales)
    log_densities = -0.5 * np.sum(scaled * scaled, axis=2) - np.sum(log_scales, axis=1)
    return np.sum(logsumexp(logits + log_densities, axis=1)) - len(points) * logsumexp(logits)


def attention(qkv):
    q, k, v = qkv
    scores = np.dot(q, k.T) / np.sqrt(q.shape[1])
    weights = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    out = np.dot(weights / np.sum(weights, axis=1, keepdims=True), v)
    return np.sum(out * out)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def coupled(x):
    return np.sin(x) * np.sum(x * x) + np.exp(-x) * x[::-1]


def flatten(result: Any) -> list[numpy.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in flatten(part)]
    return [numpy.asarray(result)]


MAKERS = {
    "grad of 99 scalar operations": lambda x: lambda: autograd.grad(chain)(x),
    "grad of grad of 99 scalar operations": lambda x: lambda: autograd.grad(autograd.grad(chain))(x),
    "value_and_grad, elementwise chain, 1e5": lambda x: lambda: autograd.value_and_grad(elementwise)(x),
    "value_and_grad, MLP, 1000 x 100": lambda params, x, y: lambda: autograd.value_and_grad(mlp)(params, x, y),
    "value_and_grad, Gaussian mixture, 1e5": lambda logits, means, log_scales, points: (
        lambda: autograd.value_and_grad(mixture)((logits, means, log_scales), points)
    ),
    "value_and_grad, attention, 316 x 64": lambda q, k, v: lambda: autograd.value_and_grad(attention)((q, k, v)),
    "jacobian, 20 to 20": lambda x: lambda: autograd.jacobian(coupled)(x),
    "hessian of 20": lambda x: lambda: autograd.hessian(rosenbrock)(x),
}

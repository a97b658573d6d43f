"""The workloads: what is computed, on which data, with fungrad on ordinary NumPy code.

A workload is a name, its data, and for each library a function ``data -> call``, where ``call()`` does the work once
and returns arrays.
The peers' versions stand in ``peer_*.py``, written as their users would write them, under the same names.
All data are 64-bit, made by NumPy from a fixed seed, and converted to a library's own arrays before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fungrad as fg

CHAIN = 33  # repetitions of three operations: 99 in all


class Workload(NamedTuple):
    """What is timed: its name, its data, how many operations a call has (to report time per operation), and the bar.

    ``bar`` is how many times faster than autograd fungrad must be.
    """

    name: str
    data: dict[str, Any]
    operations: int = 1
    bar: float | None = None


def _data() -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(0)
    normal = rng.standard_normal
    return {
        "chain": {"x": 0.5},
        "elementwise": {"x": normal(100_000)},
        # 1000 rows of 100 inputs
        "mlp": {
            "params": [(normal((n, m)) / np.sqrt(n), np.zeros(m)) for n, m in ((100, 100), (100, 100), (100, 10))],
            "x": normal((1000, 100)),
            "y": np.eye(10)[rng.integers(0, 10, 1000)],
        },
        # 1000 points, 10 components, 10 dimensions
        "mixture": {
            "logits": normal(10),
            "means": normal((10, 10)),
            "log_scales": 0.1 * normal((10, 10)),
            "points": normal((1000, 10)),
        },
        # 316 positions: 1e5 scores
        "attention": {k: normal((316, 64)) for k in ("q", "k", "v")},
        "small": {"x": rng.uniform(0.5, 1.5, 20)},
    }


_DATA = _data()

WORKLOADS = [
    Workload("grad of 99 scalar operations", _DATA["chain"], 3 * CHAIN, 3.0),
    Workload("grad of grad of 99 scalar operations", _DATA["chain"], 3 * CHAIN, 4.0),
    Workload("value_and_grad, elementwise chain, 1e5", _DATA["elementwise"], bar=1.0),
    Workload("value_and_grad, MLP, 1000 x 100", _DATA["mlp"], bar=1.0),
    Workload("value_and_grad, Gaussian mixture, 1e5", _DATA["mixture"], bar=1.0),
    Workload("value_and_grad, attention, 316 x 64", _DATA["attention"], bar=1.0),
    Workload("jacobian, 20 to 20", _DATA["small"]),
    Workload("hessian of 20", _DATA["small"]),
]


# The functions in NumPy, as fungrad takes them.


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
        x = np.tanh(x @ weights + bias)
    scores = x @ w + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.sum(scores * y, axis=1))


def logsumexp(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(x - top), axis=axis))


def mixture(logits, means, log_scales, points):
    """The log-likelihood of a mixture of Gaussians with diagonal covariances."""
    scaled = (points[:, None, :] - means) * np.exp(-log_scales)
    log_densities = -0.5 * np.sum(scaled * scaled, axis=2) - np.sum(log_scales, axis=1)
    return np.sum(logsumexp(logits + log_densities, 1)) - len(points) * logsumexp(logits, 0)


def attention(q, k, v):
    scores = q @ k.T / np.sqrt(q.shape[1])
    weights = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    out = (weights / np.sum(weights, axis=1, keepdims=True)) @ v
    return np.sum(out * out)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def coupled(x):
    return np.sin(x) * np.sum(x * x) + np.exp(-x) * x[::-1]


def flatten(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    return [np.asarray(x) for x in fg.tree.leaves(result)]


MAKERS: dict[str, Callable[..., Callable[[], Any]]] = {
    "grad of 99 scalar operations": lambda x: lambda: fg.grad(chain)(x),
    "grad of grad of 99 scalar operations": lambda x: lambda: fg.grad(fg.grad(chain))(x),
    "value_and_grad, elementwise chain, 1e5": lambda x: lambda: fg.value_and_grad(elementwise)(x),
    "value_and_grad, MLP, 1000 x 100": lambda params, x, y: lambda: fg.value_and_grad(mlp)(params, x, y),
    "value_and_grad, Gaussian mixture, 1e5": lambda logits, means, log_scales, points: (
        lambda: fg.value_and_grad(mixture, (0, 1, 2))(logits, means, log_scales, points)
    ),
    "value_and_grad, attention, 316 x 64": lambda q, k, v: lambda: fg.value_and_grad(attention, (0, 1, 2))(q, k, v),
    "jacobian, 20 to 20": lambda x: lambda: fg.jacobian(coupled)(x),
    "hessian of 20": lambda x: lambda: fg.hessian(rosenbrock)(x),
}

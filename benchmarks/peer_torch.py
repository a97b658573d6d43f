"""The workloads in PyTorch, eager, on the CPU in 64 bits.

Gradients by ``torch.autograd.grad``, whole matrices by ``torch.func``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import torch

CHAIN = 33


def chain(x):
    for _ in range(CHAIN):
        x = torch.sin(x) * 1.01 + 0.1
    return x


def elementwise(x):
    y = torch.tanh(x) * torch.exp(-0.5 * x * x)
    z = torch.sqrt(1 + y * y) / (2 + torch.cos(x))
    return torch.sum(torch.log(1 + z * z) - y * z)


def mlp(*layers_and_data):
    *layers, x, y = layers_and_data
    for k in range(0, len(layers) - 2, 2):
        x = torch.tanh(x @ layers[k] + layers[k + 1])
    return torch.nn.functional.cross_entropy(x @ layers[-2] + layers[-1], y)


def mixture(logits, means, log_scales, points):
    scaled = (points[:, None, :] - means) * torch.exp(-log_scales)
    log_densities = -0.5 * torch.sum(scaled * scaled, dim=2) - torch.sum(log_scales, dim=1)
    return torch.sum(torch.logsumexp(logits + log_densities, 1)) - len(points) * torch.logsumexp(logits, 0)


def attention(q, k, v):
    out = torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=1) @ v
    return torch.sum(out * out)


def rosenbrock(x):
    return torch.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def coupled(x):
    return torch.sin(x) * torch.sum(x * x) + torch.exp(-x) * torch.flip(x, (0,))


def _tensor(x: Any, requires_grad: bool = True) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64, requires_grad=requires_grad)


def _value_and_grad(
    fun: Callable[..., Any], operands: list[torch.Tensor], constants: tuple[torch.Tensor, ...] = ()
) -> Callable[[], Any]:
    def call() -> Any:
        value = fun(*operands, *constants)
        return value, torch.autograd.grad(value, operands)

    return call


def _grad(x: float) -> Callable[[], Any]:
    x = _tensor(x)
    return lambda: torch.autograd.grad(chain(x), x)


def _grad_of_grad(x: float) -> Callable[[], Any]:
    x = _tensor(x)

    def call() -> Any:
        (slope,) = torch.autograd.grad(chain(x), x, create_graph=True)
        return torch.autograd.grad(slope, x)

    return call


def _mlp(params: Any, x: Any, y: Any) -> Callable[[], Any]:
    return _value_and_grad(mlp, [_tensor(p) for layer in params for p in layer], (_tensor(x, False), _tensor(y, False)))


def _mixture(logits: Any, means: Any, log_scales: Any, points: Any) -> Callable[[], Any]:
    return _value_and_grad(mixture, [_tensor(logits), _tensor(means), _tensor(log_scales)], (_tensor(points, False),))


def _jacobian(x: Any) -> Callable[[], Any]:
    x = _tensor(x, False)
    return lambda: torch.func.jacfwd(coupled)(x)


def _hessian(x: Any) -> Callable[[], Any]:
    x = _tensor(x, False)
    return lambda: torch.func.hessian(rosenbrock)(x)


def flatten(result: Any) -> list[numpy.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    if isinstance(result, (list, tuple)):
        return [array for part in result for array in flatten(part)]
    return [result.detach().numpy()]


MAKERS: dict[str, Callable[..., Callable[[], Any]]] = {
    "grad of 99 scalar operations": _grad,
    "grad of grad of 99 scalar operations": _grad_of_grad,
    "value_and_grad, elementwise chain, 1e5": lambda x: _value_and_grad(elementwise, [_tensor(x)]),
    "value_and_grad, MLP, 1000 x 100": _mlp,
    "value_and_grad, Gaussian mixture, 1e5": _mixture,
    "value_and_grad, attention, 316 x 64": lambda q, k, v: _value_and_grad(
        attention, [_tensor(q), _tensor(k), _tensor(v)]
    ),
    "jacobian, 20 to 20": _jacobian,
    "hessian of 20": _hessian,
}

"""The workloads in PyTorch, on the CPU in 64 bits: eager, and under ``torch.compile``.

Gradients by ``torch.autograd.grad``; maps and whole matrices by ``torch.func``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils import _pytree as pytree
from workloads.workload import Workload

from .functional import transformed
from .rebind import active, version

torch.set_default_dtype(torch.float64)


def logsumexp(x, axis=None):
    return torch.logsumexp(x, 0 if axis is None else axis)


def convolution(x, w):
    """PyTorch's order is (images, channels, height, width), and (features, channels, height, width)."""
    return torch.permute(F.conv2d(torch.permute(x, (0, 3, 1, 2)), torch.permute(w, (3, 0, 1, 2))), (0, 2, 3, 1))


def lower_triangular(diagonals, lower):
    out = torch.diag_embed(diagonals)
    rows, columns = torch.tril_indices(out.shape[1], out.shape[1], -1)
    out[:, rows, columns] = lower
    return out


def solve_lower(factor, y):
    return torch.linalg.solve_triangular(factor, y[:, None], upper=False)[:, 0]


def coupled(x):
    return torch.sin(x) * torch.sum(x * x) + torch.exp(-x) * torch.flip(x, (0,))


class Namespace:
    """``torch`` as the array module ``np`` of the workloads."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def cross(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The product of vectors: ``torch.cross`` asks for an axis."""
        return torch.linalg.cross(x, y)

    def logaddexp(self, x: float, y: torch.Tensor) -> torch.Tensor:
        """Of a number and a tensor: ``torch.logaddexp`` takes tensors only."""
        return torch.logaddexp(torch.as_tensor(x), y)


NAMES = {
    "np": Namespace(),
    "logsumexp": logsumexp,
    "softmax": lambda x: torch.softmax(x, -1),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "cross_entropy": F.cross_entropy,
    "attend": F.scaled_dot_product_attention,
    "convolution": convolution,
    "lower_triangular": lower_triangular,
    "solve_lower": solve_lower,
    "row_minimum": lambda x: torch.min(x, dim=1).values,
    "coupled": coupled,
    "logistic": lambda w, x, y: F.softplus(-y * (x @ w)),
}


def flatten(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    return [x.detach().numpy() for x in pytree.tree_leaves(result)]


def value_and_grad(fun: Callable[..., Any], workload: Workload, operands: tuple[Any, ...]) -> Callable[[], Any]:
    leaves = pytree.tree_leaves([operands[k] for k in active(workload)])

    def call():
        value = fun(*operands)
        return value, torch.autograd.grad(value, leaves)

    return call


def derivative(fun: Callable[..., Any], workload: Workload, operands: tuple[Any, ...]) -> Callable[[], Any]:
    (x,) = operands

    def call():
        y = fun(x)
        for k in range(workload.order):
            (y,) = torch.autograd.grad(y, x, create_graph=k + 1 < workload.order)
        return y

    return call


def gradient_and_product(fun: Callable[..., Any], workload: Workload, operands: tuple[Any, ...]) -> Callable[[], Any]:
    """Reverse over reverse, the Hessian being symmetric."""
    *operands, direction = operands

    def call():
        (gradient,) = torch.autograd.grad(fun(*operands), operands[0], create_graph=True)
        return gradient, torch.autograd.grad(gradient, operands[0], direction)

    return call


class Functional:
    """``torch.func`` by the names of ``functional.py``."""

    grad, jacrev, hessian, jvp = torch.func.grad, torch.func.jacrev, torch.func.hessian, torch.func.jvp

    @staticmethod
    def vmap(fun: Callable[..., Any], in_axes: tuple[int | None, ...]) -> Callable[..., Any]:
        """Map over axes of the operands."""
        return torch.func.vmap(fun, in_dims=in_axes)


# What is done with tensors that ask for gradients; `torch.func` has the other tasks.
TASKS = {"value_and_grad": value_and_grad, "derivative": derivative, "hvp": gradient_and_product}


def _operands(workload: Workload) -> tuple[Any, ...]:
    """Tensors of the data; those that are differentiated ask for gradients."""

    def tensors(part: Any, requires_grad: bool) -> Any:
        return pytree.tree_map(lambda x: torch.tensor(x, dtype=torch.float64, requires_grad=requires_grad), part)

    return tuple([tensors(part, k in active(workload)) for k, part in enumerate(workload.data())])


def eager(workload: Workload) -> Callable[[], Any]:
    """The call to time."""
    fun, operands = version(workload, NAMES), _operands(workload)
    if workload.task in TASKS:
        return TASKS[workload.task](fun, workload, operands)
    return _by_func(fun, workload, operands, lambda out: out)


def compiled(workload: Workload) -> Callable[[], Any]:
    """The same with ``torch.compile`` around the function, or around what ``torch.func`` makes of it.

    What it compiles can be differentiated once, so that higher orders have to be inside.
    """
    torch.compiler.reset()  # it compiles a function of one place in the source eight times, then gives up
    fun, operands = version(workload, NAMES), _operands(workload)
    if workload.task == "value_and_grad":
        return value_and_grad(torch.compile(fun), workload, operands)
    return _by_func(fun, workload, operands, torch.compile)


def _by_func(fun: Callable[..., Any], workload: Workload, operands: tuple[Any, ...], wrap: Any) -> Callable[[], Any]:
    operands = pytree.tree_map(torch.Tensor.detach, operands)
    out = wrap(transformed(Functional, fun, workload, workload.task))
    return lambda: out(*operands)


PREPARE = {"torch": eager, "torch.compile": compiled}

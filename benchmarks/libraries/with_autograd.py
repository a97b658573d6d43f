"""The workloads in HIPS/autograd: the same code on its own numpy, and its wrappers of SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd
import autograd.numpy as np
from autograd.scipy.linalg import solve_triangular
from autograd.scipy.special import logsumexp
from workloads.workload import Workload

from .rebind import active, version
from .with_numpy import flatten as flatten


def cross_entropy(scores, y):
    return np.mean(logsumexp(scores, axis=1) - np.sum(scores * y, axis=1))


def convolution(x, w):
    """By slices: autograd has no sliding windows, and its convolutions are direct sums."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    pieces = np.stack([x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=4)
    return np.tensordot(pieces, np.reshape(w, (w.shape[0], 9, -1)), axes=2)


def rotate(rotation, x):
    angle = np.sqrt(np.sum(rotation * rotation, axis=1, keepdims=True))
    axis = rotation / angle
    cosine = np.cos(angle)
    along = axis * (np.sum(axis * x, axis=1, keepdims=True) * (1 - cosine))
    return x * cosine + np.cross(axis, x) * np.sin(angle) + along


def reprojection_error(camera, point, weight, feature):
    """Of all observations at once: autograd has no vmap."""
    x = rotate(camera[:, :3], point - camera[:, 3:6])
    image = x[:, :2] / x[:, 2:]
    r2 = np.sum(image * image, axis=1, keepdims=True)
    distorted = image * (1 + camera[:, 9:10] * r2 + camera[:, 10:11] * r2 * r2)
    return weight[:, None] * (distorted * camera[:, 6:7] + camera[:, 7:9] - feature)


def reprojection_jacobians(workload: Workload) -> Callable[[], Any]:
    """Row k of every Jacobian is the gradient of the sum of all the observations' k-th residuals."""
    operands = workload.data()

    def call():
        rows = [
            autograd.grad(lambda *a, k=k: np.sum(reprojection_error(*a)[:, k]), (0, 1, 2))(*operands) for k in (0, 1)
        ]
        return [np.stack(parts, axis=1) for parts in zip(*rows, strict=True)]

    return call


def logistic_gradients(workload: Workload) -> Callable[[], Any]:
    """A row of weights for each example, so that the gradient of the sum has each example's own."""
    w, x, y = workload.data()

    def losses(w):
        return np.sum(np.logaddexp(0.0, -y * np.sum(w * x, axis=1)))

    return lambda: autograd.grad(losses)(np.tile(w, (len(x), 1)))


NAMES = {
    "np": np,
    "logsumexp": logsumexp,
    "cross_entropy": cross_entropy,
    "convolution": convolution,
    "solve_lower": lambda factor, y: solve_triangular(factor, y, lower=True),
}
MAPPED = {"reprojection_error": reprojection_jacobians, "logistic": logistic_gradients}


def derivative(fun: Callable[..., Any], workload: Workload) -> Callable[..., Any]:
    for _ in range(workload.order):
        fun = autograd.grad(fun)
    return fun


def gradient_and_product(fun: Callable[..., Any], workload: Workload) -> Callable[..., Any]:
    """Reverse over reverse, the Hessian being symmetric: few of its rules have a forward mode."""

    def call(x, *rest):
        *constants, direction = rest
        pull, gradient = autograd.make_vjp(autograd.grad(lambda x: fun(x, *constants)))(x)
        return gradient, pull(direction)

    return call


def value_and_grad(fun: Callable[..., Any], workload: Workload) -> Callable[..., Any]:
    if workload.argnums == 0:
        return autograd.value_and_grad(fun)
    return autograd.value_and_grad(fun, active(workload))


TASKS: dict[str, Callable[[Callable[..., Any], Workload], Callable[..., Any]]] = {
    "value_and_grad": value_and_grad,
    "derivative": derivative,
    "hvp": gradient_and_product,
    "jacobian": lambda fun, workload: autograd.jacobian(fun),
    "hessian": lambda fun, workload: autograd.hessian(fun),
}


def prepare(workload: Workload) -> Callable[[], Any]:
    """The call to time."""
    if workload.in_axes is not None:
        return MAPPED[workload.fun.__name__](workload)
    operands = workload.data()
    fun = TASKS[workload.task](version(workload, NAMES), workload)
    return lambda: fun(*operands)


PREPARE = {"autograd": prepare}

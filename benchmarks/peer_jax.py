"""The workloads in JAX, on the CPU in 64 bits: eager (operation by operation), and under ``jax.jit``.

What jit makes is compiled before the clock starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

CHAIN = 33


def chain(x):
    for _ in range(CHAIN):
        x = jnp.sin(x) * 1.01 + 0.1
    return x


def elementwise(x):
    y = jnp.tanh(x) * jnp.exp(-0.5 * x * x)
    z = jnp.sqrt(1 + y * y) / (2 + jnp.cos(x))
    return jnp.sum(jnp.log(1 + z * z) - y * z)


def mlp(params, x, y):
    *hidden, (w, b) = params
    for weights, bias in hidden:
        x = jnp.tanh(x @ weights + bias)
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(x @ w + b) * y, axis=1))


def mixture(logits, means, log_scales, points):
    scaled = (points[:, None, :] - means) * jnp.exp(-log_scales)
    log_densities = -0.5 * jnp.sum(scaled * scaled, axis=2) - jnp.sum(log_scales, axis=1)
    logsumexp = jax.scipy.special.logsumexp
    return jnp.sum(logsumexp(logits + log_densities, axis=1)) - len(points) * logsumexp(logits)


def attention(q, k, v):
    out = jax.nn.softmax(q @ k.T / jnp.sqrt(q.shape[1])) @ v
    return jnp.sum(out * out)


def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def coupled(x):
    return jnp.sin(x) * jnp.sum(x * x) + jnp.exp(-x) * x[::-1]


def flatten(result: Any) -> list[numpy.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    return [numpy.asarray(x) for x in jax.tree.leaves(result)]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "grad of 99 scalar operations": jax.grad(chain),
    "grad of grad of 99 scalar operations": jax.grad(jax.grad(chain)),
    "value_and_grad, elementwise chain, 1e5": jax.value_and_grad(elementwise),
    "value_and_grad, MLP, 1000 x 100": jax.value_and_grad(mlp),
    "value_and_grad, Gaussian mixture, 1e5": jax.value_and_grad(mixture, (0, 1, 2)),
    "value_and_grad, attention, 316 x 64": jax.value_and_grad(attention, (0, 1, 2)),
    "jacobian, 20 to 20": jax.jacfwd(coupled),
    "hessian of 20": jax.hessian(rosenbrock),
}


def _maker(fun: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    def make(**data: Any) -> Callable[[], Any]:
        # By position: the names of the data are those of the parameters, in their order.
        operands = [jax.tree.map(jnp.asarray, x) for x in data.values()]
        return lambda: jax.block_until_ready(fun(*operands))

    return make


MAKERS = {name: _maker(fun) for name, fun in FUNCTIONS.items()}
JIT_MAKERS = {name: _maker(jax.jit(fun)) for name, fun in FUNCTIONS.items()}

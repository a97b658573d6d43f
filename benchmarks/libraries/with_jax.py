"""The workloads in JAX, on the CPU in 64 bits: eager, under ``jax.jit``, and with loops as ``lax.scan``.

Python's loops are unrolled when they are traced; ``jax.scan`` has the versions of a user who rewrites them because they
take long to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from workloads import scalars, sequences
from workloads.workload import Workload

from .functional import transformed
from .rebind import rebind, version

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


def cross_entropy(scores, y):
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(scores) * y, axis=1))


def convolution(x, w):
    return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "IHWO", "NHWC"))


def lower_triangular(diagonals, lower):
    components, dimensions = diagonals.shape
    rows, columns = np.tril_indices(dimensions, -1)
    strict = jnp.zeros((components, dimensions, dimensions)).at[:, rows, columns].set(lower)
    return strict + diagonals[:, :, None] * jnp.eye(dimensions)


def solve_lower(factor, y):
    return jax.scipy.linalg.solve_triangular(factor, y, lower=True)


def chain_scanned(x, repeats):
    return lax.fori_loop(0, repeats, lambda _, x: jnp.sin(x) * 1.01 + 0.1, x)


def lorenz(state, parameters, steps):
    """With scalars: XLA takes time and memory out of all proportion to fuse a long chain of arrays of 3."""
    velocity = rebind(scalars.velocity, {"np": Scalars})
    h = scalars.STEP

    def moved(state, by, v):
        return [a + by * b for a, b in zip(state, v, strict=True)]

    for _ in range(steps):
        k1 = velocity(state, *parameters)
        k2 = velocity(moved(state, 0.5 * h, k1), *parameters)
        k3 = velocity(moved(state, 0.5 * h, k2), *parameters)
        k4 = velocity(moved(state, h, k3), *parameters)
        slopes = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
        state = moved(state, h / 6, slopes)
    return jnp.sqrt(sum(x * x for x in state))


class Scalars:
    """The array module of ``velocity`` where a state is a list of scalars."""

    stack = list


def lorenz_scanned(state, parameters, steps):
    velocity = rebind(scalars.velocity, {"np": jnp})
    h = scalars.STEP

    def step(_, s):
        k1 = velocity(s, *parameters)
        k2 = velocity(s + 0.5 * h * k1, *parameters)
        k3 = velocity(s + 0.5 * h * k2, *parameters)
        k4 = velocity(s + h * k3, *parameters)
        return s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return jnp.linalg.norm(lax.fori_loop(0, steps, step, jnp.stack(state)))


def lstm_scanned(params, xs, h, c, y):
    *gates, w_out = params
    lstm_step = rebind(sequences.lstm_step, NAMES)
    (h, c), _ = lax.scan(lambda state, x: (lstm_step(state, x, *gates), None), (h, c), xs)
    return jnp.mean((h @ w_out - y) ** 2)


NAMES = {
    "np": jnp,
    "logsumexp": jax.scipy.special.logsumexp,
    "softmax": jax.nn.softmax,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "cross_entropy": cross_entropy,
    "convolution": convolution,
    "lower_triangular": lower_triangular,
    "solve_lower": solve_lower,
    "lorenz": lorenz,
}
SCANNED = {"chain": chain_scanned, "lorenz": lorenz_scanned, "lstm": lstm_scanned}


def flatten(result: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a result, for the comparison."""
    return [np.asarray(x) for x in jax.tree.leaves(result)]


def _call(workload: Workload, names: Mapping[str, Any], wrap: Callable[..., Any], task: str | None) -> Any:
    operands = jax.block_until_ready(jax.tree.map(jnp.asarray, workload.data()))
    fun = wrap(transformed(jax, version(workload, names), workload, task or workload.task))
    return lambda: jax.block_until_ready(fun(*operands))


def eager(workload: Workload, task: str | None = None) -> Callable[[], Any]:
    """The call to time, operation by operation."""
    return _call(workload, NAMES, lambda fun: fun, task)


def compiled(workload: Workload, task: str | None = None) -> Callable[[], Any]:
    """The call to time, under ``jax.jit``; its first call traces and compiles."""
    return _call(workload, NAMES, jax.jit, task)


def scanned(workload: Workload, task: str | None = None) -> Callable[[], Any] | None:
    """The same, of the workloads that have loops, as ``lax.scan``."""
    if workload.fun.__name__ not in SCANNED:
        return None
    return _call(workload, {**NAMES, **SCANNED}, jax.jit, task)


PREPARE = {"jax": eager, "jax.jit": compiled, "jax.scan": scanned}

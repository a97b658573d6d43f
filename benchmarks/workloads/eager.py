"""What was measured before there was a compiler: the cost of an operation, 1e5 elements, and whole matrices."""

from __future__ import annotations

import numpy as np

from .common import softmax
from .elementwise import elementwise, normal_data, rosenbrock
from .mixtures import diagonal_mixture_of
from .networks import perceptron_of
from .scalars import chain, chain_data
from .workload import Workload

REPEATS = 33  # of the three operations of the chain


def attention(q, k, v):
    out = softmax(q @ k.T / q.shape[1] ** 0.5) @ v
    return np.sum(out * out)


def coupled(x):
    return np.sin(x) * np.sum(x * x) + np.exp(-x) * x[::-1]


def small_data():
    return (np.random.default_rng(0).uniform(0.5, 1.5, 20),)


def chain_of_order(name, order, bar):
    return Workload(
        name,
        chain,
        chain_data,
        task="derivative",
        order=order,
        static={"repeats": REPEATS},
        operations=3 * REPEATS,
        bar=bar,
    )


def named(workload, name):
    return workload._replace(name=name, bar=1.0)


QKV = normal_data(*[(316, 64)] * 3)  # 1e5 scores

WORKLOADS = [
    chain_of_order("grad of 99 scalar operations", 1, 3.0),
    chain_of_order("grad of grad of 99 scalar operations", 2, 4.0),
    Workload("value_and_grad, elementwise chain, 1e5", elementwise, normal_data(100_000), bar=1.0),
    named(perceptron_of(1000), "value_and_grad, MLP, 1000 x 100"),
    named(diagonal_mixture_of(1000, 10, 10), "value_and_grad, Gaussian mixture, 1e5"),
    Workload("value_and_grad, attention, 316 x 64", attention, QKV, argnums=(0, 1, 2), bar=1.0),
    Workload("jacobian, 20 to 20", coupled, small_data, task="jacobian"),
    Workload("hessian of 20", rosenbrock, small_data, task="hessian"),
]

"""A two-layer ReLU network fitted to random data by 500 steps of plain gradient descent.

64 examples, 1000 inputs, 100 hidden units, 10 outputs; the loss is the sum of squared errors. It is the classical
first exercise in backpropagation; here no line of the backward pass is written.
"""

import time

import numpy as np
from _common import check

import fungrad as fg

N, D_IN, HIDDEN, D_OUT = 64, 1000, 100, 10
rng = np.random.default_rng(0)
x, y = rng.standard_normal((N, D_IN)), rng.standard_normal((N, D_OUT))


def loss(weights, x, y):
    w1, w2 = weights
    return np.sum((np.maximum(x @ w1, 0) @ w2 - y) ** 2)


def train(weights, rate, steps):
    """Gradient descent; returns the loss before each step, and stops early once it has blown up."""
    losses = []
    for step in range(steps):
        value, (g1, g2) = fg.value_and_grad(loss)(weights, x, y)
        losses.append(value)
        if step % 100 == 99:
            print(f"    step {step + 1:4d}: loss {value:.6g}")
        if not value < 1e12:
            break
        weights = weights[0] - rate * g1, weights[1] - rate * g2
    return losses


start = time.perf_counter()
print("1. Weights uniform in +-1/sqrt(inputs of the layer), learning rate 1e-4, 500 steps")
scaled = rng.uniform(-1, 1, (D_IN, HIDDEN)) / np.sqrt(D_IN), rng.uniform(-1, 1, (HIDDEN, D_OUT)) / np.sqrt(HIDDEN)
losses = train(scaled, 1e-4, 500)
check(
    f"the loss falls from {losses[0]:.4g} to {losses[-1]:.4g}, by a factor of more than 100",
    losses[-1] < losses[0] / 100,
)
check("it falls at every step", np.all(np.diff(losses) < 0))

print("2. Standard normal weights: the loss is 50,000 times as large at first, so 1e-4 is too large a step")
normal = rng.standard_normal((D_IN, HIDDEN)), rng.standard_normal((HIDDEN, D_OUT))
with np.errstate(over="ignore", invalid="ignore"):
    losses = train(normal, 1e-4, 500)
check(f"it diverges: from {losses[0]:.4g} past {losses[-1]:.4g} after {len(losses)} steps", not losses[-1] < losses[0])

print("3. Standard normal weights, learning rate 1e-6, 500 steps")
losses = train(normal, 1e-6, 500)
check(
    f"the loss falls from {losses[0]:.4g} to {losses[-1]:.4g}, by a factor of more than 1e8",
    losses[-1] < losses[0] / 1e8,
)

print(f"{time.perf_counter() - start:.1f} s for 1000 gradients of {D_IN * HIDDEN + HIDDEN * D_OUT} weights")

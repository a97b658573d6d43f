"""Learn to read handwritten digits: a two-layer network, cross-entropy, Adam; all of it ordinary NumPy.

The data are 1797 real digits of 8x8 pixels (examples/data/README.md); a fifth of them is held out and never trained on.
"""

import time

import numpy as np
from _common import check, load_digits

import fungrad as fg

EPOCHS, BATCH, RATE, HIDDEN = 40, 64, 3e-3, 256


def initialise(rng):
    """The parameters: a list of layers, each a dict. Any nesting of lists, tuples and dicts will do."""
    return [
        {"w": rng.standard_normal((n, m)) * np.sqrt(2 / n), "b": np.zeros(m)}
        for n, m in ((64, HIDDEN), (HIDDEN, 10))
    ]  # fmt: skip


def scores(params, images):
    first, second = params
    hidden = np.maximum(images @ first["w"] + first["b"], 0)
    return hidden @ second["w"] + second["b"]


def loss(params, images, classes):
    """The mean cross-entropy, and a little weight decay."""
    s = scores(params, images)
    s = s - np.max(s, axis=1, keepdims=True)
    log_probabilities = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
    decay = sum(np.sum(layer["w"] ** 2) for layer in params)
    return -np.mean(log_probabilities[np.arange(len(classes)), classes]) + 1e-4 * decay


def accuracy(params, images, classes):
    return np.mean(np.argmax(scores(params, images), axis=1) == classes)


def adam(params, gradient, state, step, rate):
    """One step of Adam (Kingma and Ba, 2015) on every leaf of the parameters."""
    m, v = state
    m = fg.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
    v = fg.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
    c1, c2 = 1 - 0.9**step, 1 - 0.999**step
    params = fg.tree.map(lambda p, m, v: p - rate * (m / c1) / (np.sqrt(v / c2) + 1e-8), params, m, v)
    return params, (m, v)


rng = np.random.default_rng(0)
(images, classes), (test_images, test_classes) = load_digits()
print(f"{len(images)} digits to train on, {len(test_images)} held out; 64-{HIDDEN}-10 network")

params = initialise(rng)
state = (fg.tree.map(np.zeros_like, params), fg.tree.map(np.zeros_like, params))
step_loss = fg.value_and_grad(loss)
start, step = time.perf_counter(), 0
for epoch in range(1, EPOCHS + 1):
    total = 0.0
    order = rng.permutation(len(images))
    batches = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
    for rows in batches:
        step += 1
        value, gradient = step_loss(params, images[rows], classes[rows])
        params, state = adam(params, gradient, state, step, RATE * (1 - step / (EPOCHS * len(batches) + 1)))
        total += value
    if epoch % 5 == 0 or epoch == 1:
        held_out = accuracy(params, test_images, test_classes)
        print(
            f"  epoch {epoch:3d}: loss {total / len(batches):.4f}, held-out accuracy {100 * held_out:.1f} %", flush=True
        )

held_out = accuracy(params, test_images, test_classes)
print(f"{step} steps in {time.perf_counter() - start:.1f} s")
check(f"the network reads {100 * held_out:.1f} % of the held-out digits, at least 97 %", held_out >= 0.97)

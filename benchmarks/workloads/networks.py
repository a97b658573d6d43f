"""Networks that classify: two dense ones, and a convolutional one on handwritten digits."""

from __future__ import annotations

import gzip
import itertools
import pathlib

import numpy as np

from .common import cross_entropy, cross_entropy_by_hand, relu
from .workload import Workload

DIGITS = pathlib.Path(__file__).parents[2] / "examples" / "data" / "digits.csv.gz"


def perceptron(params, x, y):
    *hidden, (w, b) = params
    for weights, bias in hidden:
        x = np.tanh(x @ weights + bias)
    return cross_entropy(x @ w + b, y)


def toy_network(params, x, y):
    (w1, b1), (w2, b2) = params
    return cross_entropy(relu(x @ w1 + b1) @ w2 + b2, y)


def perceptron_by_hand(params, x, y):
    *hidden, (w, b) = params
    inputs = [x]
    for weights, bias in hidden:
        inputs.append(np.tanh(inputs[-1] @ weights + bias))
    value, bar = cross_entropy_by_hand(inputs[-1] @ w + b, y)
    gradient = [(inputs[-1].T @ bar, np.sum(bar, axis=0))]
    for k in reversed(range(len(hidden))):
        bar = bar @ params[k + 1][0].T
        bar *= 1 - inputs[k + 1] ** 2
        gradient.append((inputs[k].T @ bar, np.sum(bar, axis=0)))
    return value, gradient[::-1]


def toy_network_by_hand(params, x, y):
    (w1, b1), (w2, b2) = params
    h = np.maximum(x @ w1 + b1, 0)
    value, bar = cross_entropy_by_hand(h @ w2 + b2, y)
    h_bar = (bar @ w2.T) * (h > 0)
    return value, [(x.T @ h_bar, np.sum(h_bar, axis=0)), (h.T @ bar, np.sum(bar, axis=0))]


def dense_data(batch, widths):
    """Layers of these widths, inputs, and classes as rows of an identity matrix."""

    def make():
        rng = np.random.default_rng(0)
        normal = rng.standard_normal
        params = [(normal((n, m)) / np.sqrt(n), np.zeros(m)) for n, m in itertools.pairwise(widths)]
        return params, normal((batch, widths[0])), np.eye(widths[-1])[rng.integers(0, widths[-1], batch)]

    return make


def windows(x):
    """The 3x3 pieces of images (n, height, width, channels): (n, height - 2, width - 2, channels, 3, 3)."""
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))


def convolution(x, w):
    """3x3 kernels ``w`` (channels, 3, 3, features) over images (n, height, width, channels), without padding."""
    return np.tensordot(windows(x), w, axes=3)


def convolutional_network(params, images, y):
    (w1, b1), (w2, b2), (w3, b3) = params
    x = relu(convolution(images, w1) + b1)
    x = relu(convolution(x, w2) + b2)
    return cross_entropy(np.reshape(x, (x.shape[0], -1)) @ w3 + b3, y)


def convolution_transposed(bar, w):
    """What comes back to the images."""
    n, height, width, _ = bar.shape
    x_bar = np.zeros((n, height + 2, width + 2, len(w)))
    for i in range(3):
        for j in range(3):
            x_bar[:, i : i + height, j : j + width] += bar @ w[:, i, j].T
    return x_bar


def convolutional_network_by_hand(params, images, y):
    (w1, b1), (w2, b2), (w3, b3) = params
    everywhere = ((0, 1, 2), (0, 1, 2))
    windows1 = windows(images)
    h1 = np.maximum(np.tensordot(windows1, w1, axes=3) + b1, 0)
    windows2 = windows(h1)
    h2 = np.maximum(np.tensordot(windows2, w2, axes=3) + b2, 0)
    flat = np.reshape(h2, (len(images), -1))
    value, bar = cross_entropy_by_hand(flat @ w3 + b3, y)
    gradient = [(flat.T @ bar, np.sum(bar, axis=0))]
    bar = np.reshape(bar @ w3.T, h2.shape) * (h2 > 0)
    gradient.append((np.tensordot(windows2, bar, axes=everywhere), np.sum(bar, axis=(0, 1, 2))))
    bar = convolution_transposed(bar, w2) * (h1 > 0)
    gradient.append((np.tensordot(windows1, bar, axes=everywhere), np.sum(bar, axis=(0, 1, 2))))
    return value, gradient[::-1]


def digits_data():
    with gzip.open(DIGITS, "rt") as file:
        table = np.loadtxt(file, delimiter=",", max_rows=64)
    normal = np.random.default_rng(0).standard_normal
    params = [
        (normal((1, 3, 3, 8)) / 3, 0.1 * normal(8)),
        (normal((8, 3, 3, 16)) / np.sqrt(72), 0.1 * normal(16)),
        (normal((256, 10)) / 16, 0.1 * normal(10)),
    ]
    return params, table[:, :64].reshape(64, 8, 8, 1) / 16.0, np.eye(10)[table[:, 64].astype(int)]


def perceptron_of(batch):
    return Workload(
        f"perceptron, {batch} x 100, 3 layers",
        perceptron,
        dense_data(batch, (100, 100, 100, 10)),
        by_hand=perceptron_by_hand,
    )


TOY_NETWORK = Workload(
    "toy network, 64 x 1000 x 100 x 10",
    toy_network,
    dense_data(64, (1000, 100, 10)),
    by_hand=toy_network_by_hand,
)

WORKLOADS = [
    TOY_NETWORK,
    perceptron_of(1000),
    Workload(
        "convolutional network, digits, 64",
        convolutional_network,
        digits_data,
        by_hand=convolutional_network_by_hand,
    ),
]

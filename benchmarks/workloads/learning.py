"""Group more: models and losses of machine learning."""

from __future__ import annotations

import numpy as np

from .common import cross_entropy, logsumexp, relu, softmax
from .workload import Workload

RNG = np.random.default_rng


def normalized(x):
    """Rows less their means, over their standard deviations."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


def layer_norm_network(params, x):
    """A residual block with a smooth rectifier."""
    gain, bias, w1, w2 = params
    a = (normalized(x) * gain + bias) @ w1
    a = 0.5 * a * (1 + np.tanh(0.7978845608 * (a + 0.044715 * a**3)))
    return np.mean((x + a @ w2) ** 2)


def layer_norm(gain, x):
    return np.sum(np.tanh(normalized(x) * gain))


def batch_norm(gain, x):
    """Columns less their means, over their standard deviations."""
    return np.sum(np.tanh((x - np.mean(x, axis=0)) / np.std(x, axis=0) * gain))


def transformer_block(params, x):
    """Attention of four heads and a perceptron, each behind a normalization."""
    wq, wk, wv, wo, w1, w2 = params
    batch, length, width = x.shape
    heads = [
        np.transpose(np.reshape(normalized(x) @ w, (batch, length, 4, width // 4)), (0, 2, 1, 3)) for w in (wq, wk, wv)
    ]
    scores = heads[0] @ np.swapaxes(heads[1], -1, -2) / (width / 4) ** 0.5
    mixed = np.reshape(np.transpose(softmax(scores) @ heads[2], (0, 2, 1, 3)), (batch, length, width))
    x = x + mixed @ wo
    return np.mean((x + relu(normalized(x) @ w1) @ w2) ** 2)


def softplus_network(weights, x):
    for w in weights:
        a = x @ w
        x = np.log1p(np.exp(-np.abs(a))) + np.maximum(a, 0)
    return np.mean(x**2)


def rectifier_network(params, x, y):
    """Two hidden layers, cross-entropy of ten classes."""
    *hidden, (w, b) = params
    for v, c in hidden:
        x = relu(x @ v + c)
    return cross_entropy(x @ w + b, y)


def recurrent_network(params, xs):
    """Fifty steps in a Python loop."""
    w, u, b = params
    h = np.zeros((xs.shape[1], u.shape[0]))
    for t in range(50):
        h = np.tanh(xs[t] @ w + h @ u + b)
    return np.mean(h**2)


def autoencoder(params, x, noise):
    """A variational autoencoder of black and white pictures."""
    w1, w_mean, w_scale, w2, w3 = params
    h = np.tanh(x @ w1)
    mean, scale = h @ w_mean, h @ w_scale
    logits = np.tanh((mean + np.exp(scale) * noise) @ w2) @ w3
    fit = np.mean(np.sum(np.logaddexp(0.0, logits) - x * logits, axis=-1))
    return fit - 0.5 * np.mean(np.sum(1 + 2 * scale - mean**2 - np.exp(2 * scale), axis=-1))


def softmax_regression(w, x, labels):
    scores = x @ w
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return -np.mean(scores[np.arange(len(labels)), labels] - np.log(np.sum(np.exp(scores), axis=1)))


def mixture_density_network(weights, x, y):
    """A network whose outputs are the mixtures of five normal densities."""
    out = np.tanh(x @ weights[0]) @ weights[1]
    logits, means, scales = out[:, :5], out[:, 5:10], out[:, 10:]
    terms = logits - logsumexp(logits, axis=1)[:, None] - 0.5 * ((y - means) / np.exp(scales)) ** 2 - scales
    return -np.mean(logsumexp(terms, axis=1))


def matrix_factorization(params, rows, columns, ratings):
    """Products of looked-up rows of two tables."""
    return np.mean((np.sum(params[0][rows] * params[1][columns], axis=-1) - ratings) ** 2)


def triplet_loss(table, i, j, k):
    """Distances of looked-up rows: those of i and j are to be closer than those of i and k."""
    near, far = np.sum((table[i] - table[j]) ** 2, axis=1), np.sum((table[i] - table[k]) ** 2, axis=1)
    return np.mean(np.maximum(0.0, 1 + near - far))


def embedding(table, w, words, y):
    """The mean of twenty looked-up rows, and a layer."""
    return np.mean((np.tanh(np.mean(table[words], axis=1) @ w) - y) ** 2)


def radial_basis_network(params, x, y):
    centres, w, scale = params
    distances = np.sum((x[:, None, :] - centres) ** 2, axis=-1) * np.exp(scale)
    return np.mean((np.exp(-distances) @ w - y) ** 2)


def cosine_similarities(a, b):
    a = a / np.sqrt(np.sum(a * a, axis=1, keepdims=True))
    b = b / np.sqrt(np.sum(b * b, axis=1, keepdims=True))
    return np.sum((a @ b.T) ** 2)


def relaxed_categorical(logits, noise):
    return np.sum(softmax((logits + noise) / 0.5) ** 2)


def clipped_layer(w, x):
    return np.mean(np.clip(x @ w, -1, 1) ** 3) + np.mean(np.abs(w))


def huber_regression(w, x, y):
    error = np.abs(x @ w - y)
    return np.mean(np.where(error < 1, 0.5 * error**2, error - 0.5))


def two_layers(params, x, y):
    """The squared error of one example."""
    return (np.tanh(x @ params[0]) @ params[1] - y) ** 2


def convolution_of_rows(kernel, x):
    """A filter of seven taps, by slices."""
    n = x.shape[1] - 6
    return np.mean(np.tanh(sum([kernel[k] * x[:, k : k + n] for k in range(7)])) ** 2)


def _normals(*shapes, scale=()):
    rng = RNG(0)
    return [rng.standard_normal(s) / (scale[k] if scale else 1.0) for k, s in enumerate(shapes)]


def _dense():
    params = [
        (w, RNG(1).standard_normal(w.shape[1])) for w in _normals((784, 128), (128, 64), (64, 10), scale=(28, 11, 8))
    ]
    return params, RNG(2).standard_normal((256, 784)), np.eye(10)[RNG(3).integers(0, 10, 256)]


def _looked_up():
    rng = RNG(0)
    params = [rng.standard_normal((500, 20)), rng.standard_normal((300, 20))]
    return params, rng.integers(0, 500, 5000), rng.integers(0, 300, 5000), rng.standard_normal(5000)


WORKLOADS = [
    Workload(
        "layer norm and perceptron, 256 x 128",
        layer_norm_network,
        lambda: (_normals(128, 128, (128, 256), (256, 128), scale=(1, 1, 11, 16)), *_normals((256, 128))),
    ),
    Workload("layer norm, 512 x 256", layer_norm, lambda: tuple(_normals(256, (512, 256))), argnums=(0, 1)),
    Workload("batch norm, 1000 x 64", batch_norm, lambda: tuple(_normals(64, (1000, 64))), argnums=(0, 1)),
    Workload(
        "transformer block, 8 x 64 x 64",
        transformer_block,
        lambda: (
            _normals(*[(64, 64)] * 4, (64, 256), (256, 64), scale=(8, 8, 8, 8, 8, 16)),
            *_normals((8, 64, 64)),
        ),
    ),
    Workload(
        "softplus network, 500 x 64, 3 layers",
        softplus_network,
        lambda: (_normals(*[(64, 64)] * 3, scale=(8, 8, 8)), *_normals((500, 64))),
    ),
    Workload("rectifier network, 256 x 784", rectifier_network, _dense),
    Workload(
        "recurrent network, 50 steps",
        recurrent_network,
        lambda: (tuple(_normals((10, 64), (64, 64), 64, scale=(1, 8, 1))), *_normals((50, 32, 10))),
    ),
    Workload(
        "variational autoencoder, 128 x 200",
        autoencoder,
        lambda: (
            _normals((200, 100), (100, 20), (100, 20), (20, 100), (100, 200), scale=(10, 10, 10, 5, 10)),
            RNG(1).random((128, 200)),
            *_normals((128, 20)),
        ),
    ),
    Workload(
        "softmax regression, 2000 x 50 x 10",
        softmax_regression,
        lambda: (*_normals((50, 10), (2000, 50)), RNG(1).integers(0, 10, 2000)),
    ),
    Workload(
        "mixture density network, 1000",
        mixture_density_network,
        lambda: (_normals((2, 30), (30, 15), scale=(1, 5)), *_normals((1000, 2), (1000, 1))),
    ),
    Workload("matrix factorization, 5000 ratings", matrix_factorization, _looked_up),
    Workload(
        "triplet loss, 2000 x 32",
        triplet_loss,
        lambda: (*_normals((500, 32)), *RNG(1).integers(0, 500, (3, 2000))),
    ),
    Workload(
        "embedding, 500 x 20 x 32",
        embedding,
        lambda: (*_normals((2000, 32), (32, 4)), RNG(1).integers(0, 2000, (500, 20)), *_normals((500, 4))),
        argnums=(0, 1),
    ),
    Workload(
        "radial basis network, 1000 x 20 x 4",
        radial_basis_network,
        lambda: ([*_normals((20, 4), 20), np.float64(0.1)], *_normals((1000, 4), 1000)),
    ),
    Workload(
        "cosine similarities, 500 x 400 x 64",
        cosine_similarities,
        lambda: tuple(_normals((500, 64), (400, 64))),
        argnums=(0, 1),
    ),
    Workload("relaxed categorical, 1000 x 50", relaxed_categorical, lambda: tuple(_normals((1000, 50), (1000, 50)))),
    Workload(
        "clipped layer, 1000 x 100 x 50", clipped_layer, lambda: tuple(_normals((100, 50), (1000, 100), scale=(10, 1)))
    ),
    Workload("Huber regression, 5000 x 20", huber_regression, lambda: tuple(_normals(20, (5000, 20), 5000))),
    Workload(
        "per-example gradients of two layers, 500",
        two_layers,
        lambda: (_normals((20, 30), 30, scale=(4, 1)), *_normals((500, 20), 500)),
        task="grad",
        in_axes=(None, 0, 0),
    ),
    Workload("filter of seven taps, 100 x 1000", convolution_of_rows, lambda: tuple(_normals(7, (100, 1000)))),
]

"""Multi-head attention, and a recurrent network unrolled in Python."""

from __future__ import annotations

import numpy as np

from .common import sigmoid, softmax
from .workload import Workload


def attend(queries, keys, values):
    """Scaled dot-product attention; operands (heads, positions, width)."""
    return softmax(queries @ np.swapaxes(keys, 1, 2) / queries.shape[2] ** 0.5) @ values


def split_heads(x, heads):
    """(positions, heads * width) to (heads, positions, width)."""
    return np.swapaxes(np.reshape(x, (x.shape[0], heads, -1)), 0, 1)


def join_heads(x):
    return np.reshape(np.swapaxes(x, 0, 1), (x.shape[1], -1))


def multi_head_attention(params, x, target, heads):
    w_queries, w_keys, w_values, w_out = params
    queries, keys, values = [split_heads(x @ w, heads) for w in (w_queries, w_keys, w_values)]
    out = join_heads(attend(queries, keys, values)) @ w_out
    return np.mean((out - target) ** 2)


def multi_head_attention_by_hand(params, x, target, heads):
    w_queries, w_keys, w_values, w_out = params
    queries, keys, values = [split_heads(x @ w, heads) for w in (w_queries, w_keys, w_values)]
    scale = queries.shape[2] ** -0.5
    weights = softmax(queries @ np.swapaxes(keys, 1, 2) * scale)
    joined = join_heads(weights @ values)
    error = joined @ w_out - target
    out_bar = 2 / error.size * error
    heads_bar = split_heads(out_bar @ w_out.T, heads)
    bar = heads_bar @ np.swapaxes(values, 1, 2)
    bar = weights * (bar - np.sum(bar * weights, axis=-1, keepdims=True)) * scale
    gradient = [
        x.T @ join_heads(bar @ keys),
        x.T @ join_heads(np.swapaxes(bar, 1, 2) @ queries),
        x.T @ join_heads(np.swapaxes(weights, 1, 2) @ heads_bar),
        joined.T @ out_bar,
    ]
    return np.mean(error * error), gradient


def attention_data():
    rng = np.random.default_rng(0)
    params = [rng.standard_normal((64, 64)) / 8 for _ in range(4)]
    return params, rng.standard_normal((256, 64)), rng.standard_normal((256, 64))


def lstm_step(state, x, w_input, w_hidden, bias):
    h, c = state
    size = h.shape[1]
    gates = x @ w_input + h @ w_hidden + bias
    i, f, o = sigmoid(gates[:, :size]), sigmoid(gates[:, size : 2 * size]), sigmoid(gates[:, 2 * size : 3 * size])
    c = f * c + i * np.tanh(gates[:, 3 * size :])
    return o * np.tanh(c), c


def lstm(params, xs, h, c, y):
    """Read a sequence (steps, batch, inputs), then predict from the last state."""
    w_input, w_hidden, bias, w_out = params
    for x in xs:
        h, c = lstm_step((h, c), x, w_input, w_hidden, bias)
    return np.mean((h @ w_out - y) ** 2)


def lstm_by_hand(params, xs, h, c, y):
    """Backpropagation through time."""
    w_input, w_hidden, bias, w_out = params
    size = h.shape[1]
    saved = []
    for x in xs:
        gates = x @ w_input + h @ w_hidden + bias
        ifo, g = 1 / (1 + np.exp(-gates[:, : 3 * size])), np.tanh(gates[:, 3 * size :])
        i, f, o = ifo[:, :size], ifo[:, size : 2 * size], ifo[:, 2 * size :]
        c_new = f * c + i * g
        t = np.tanh(c_new)
        saved.append((x, h, c, ifo, i, f, o, g, t))
        h, c = o * t, c_new
    error = h @ w_out - y
    out_bar = 2 / error.size * error
    w_out_bar = h.T @ out_bar
    h_bar, c_bar = out_bar @ w_out.T, np.zeros_like(c)
    w_input_bar, w_hidden_bar, bias_bar = np.zeros_like(w_input), np.zeros_like(w_hidden), np.zeros_like(bias)
    gates_bar = np.empty((len(h), 4 * size))
    for x, h, c, ifo, i, f, o, g, t in reversed(saved):
        c_bar = c_bar + h_bar * o * (1 - t * t)
        gates_bar[:, :size] = c_bar * g
        gates_bar[:, size : 2 * size] = c_bar * c
        gates_bar[:, 2 * size : 3 * size] = h_bar * t
        gates_bar[:, : 3 * size] *= ifo * (1 - ifo)
        gates_bar[:, 3 * size :] = c_bar * i * (1 - g * g)
        w_input_bar += x.T @ gates_bar
        w_hidden_bar += h.T @ gates_bar
        bias_bar += np.sum(gates_bar, axis=0)
        h_bar, c_bar = gates_bar @ w_hidden.T, c_bar * f
    return np.mean(error * error), (w_input_bar, w_hidden_bar, bias_bar, w_out_bar)


def lstm_data():
    steps, batch, inputs, hidden = 100, 16, 16, 32
    normal = np.random.default_rng(0).standard_normal
    params = (
        normal((inputs, 4 * hidden)) / np.sqrt(inputs),
        normal((hidden, 4 * hidden)) / np.sqrt(hidden),
        np.zeros(4 * hidden),
        normal((hidden, 1)) / np.sqrt(hidden),
    )
    zeros = np.zeros((batch, hidden))
    return params, normal((steps, batch, inputs)), zeros, zeros.copy(), normal((batch, 1))


WORKLOADS = [
    Workload(
        "multi-head attention, 256 x 64",
        multi_head_attention,
        attention_data,
        by_hand=multi_head_attention_by_hand,
        static={"heads": 4},
    ),
    Workload("LSTM, 100 steps", lstm, lstm_data, by_hand=lstm_by_hand),
]

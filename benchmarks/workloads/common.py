"""Helper functions that several workloads share, in NumPy. Libraries that have their own replace them by it."""

from __future__ import annotations

import numpy as np


def logsumexp(x, axis=None):
    top = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(x - top), axis=axis))


def softmax(x):
    """Along the last axis."""
    weights = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True)


def cross_entropy(scores, y):
    """The mean over the rows of ``-log softmax(scores)[class]``; ``y`` has a one for the class of each row."""
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.sum(scores * y, axis=1))


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cross_entropy_by_hand(scores, y):
    """The value, and the derivative with respect to the scores."""
    scores = scores - np.max(scores, axis=1, keepdims=True)
    weights = np.exp(scores)
    totals = np.sum(weights, axis=1, keepdims=True)
    value = np.mean(np.log(totals[:, 0]) - np.sum(scores * y, axis=1))
    return value, (weights / totals - y) / len(scores)

"""Gaussian mixtures, with diagonal and with full covariances, and k-means.

The full mixture and k-means are those of ADBench (Srajer, Kukelova and Fitzgibbon, "A benchmark of selected algorithmic
differentiation tools on some problems in computer vision and machine learning", 2018).
"""

from __future__ import annotations

import functools

import numpy as np

from .common import logsumexp, softmax
from .workload import Workload

PRIOR_SCALE, PRIOR_WEIGHT = 0.5, 2.0


def diagonal_mixture(logits, means, log_scales, points):
    """The log-likelihood of a mixture of Gaussians with diagonal covariances, up to a constant."""
    scaled = (points[:, None, :] - means) * np.exp(-log_scales)
    log_densities = -0.5 * np.sum(scaled * scaled, axis=2) - np.sum(log_scales, axis=1)
    return np.sum(logsumexp(logits + log_densities, 1)) - len(points) * logsumexp(logits)


def diagonal_mixture_by_hand(logits, means, log_scales, points):
    inverse = np.exp(-log_scales)
    scaled = (points[:, None, :] - means) * inverse
    exponents = logits - 0.5 * np.sum(scaled * scaled, axis=2) - np.sum(log_scales, axis=1)
    top = np.max(exponents, axis=1, keepdims=True)
    weights = np.exp(exponents - top)
    totals = np.sum(weights, axis=1, keepdims=True)
    weights /= totals
    counts = np.sum(weights, axis=0)
    value = np.sum(top + np.log(totals)) - len(points) * logsumexp(logits)
    return value, (
        counts - len(points) * softmax(logits),
        np.einsum("nk,nkd->kd", weights, scaled) * inverse,
        np.einsum("nk,nkd,nkd->kd", weights, scaled, scaled) - counts[:, None],
    )


def diagonal_data(points, components, dimensions):
    def make():
        normal = np.random.default_rng(0).standard_normal
        shape = (components, dimensions)
        return normal(components), normal(shape), 0.1 * normal(shape), normal((points, dimensions))

    return make


@functools.cache
def triangle(dimensions):
    """Where each entry of a lower-triangular matrix stands among: diagonal, entries below it by rows, a zero."""
    rows, columns = np.tril_indices(dimensions, -1)
    positions = np.full((dimensions, dimensions), dimensions + len(rows))
    np.fill_diagonal(positions, np.arange(dimensions))
    positions[rows, columns] = dimensions + np.arange(len(rows))
    return positions


def lower_triangular(diagonals, lower):
    """Matrices (k, d, d) from diagonals (k, d) and the entries below them, row by row."""
    entries = np.concatenate([diagonals, lower, np.zeros((lower.shape[0], 1))], axis=1)
    return entries[:, triangle(diagonals.shape[1])]


def full_mixture(logits, means, log_diagonals, lower, points):
    """The same with full covariances, and a Wishart prior on them, up to constants.

    Inverse covariances are ``q.T @ q``. The lower-triangular ``q`` has the exponentials of ``log_diagonals`` (k, d) on
    its diagonal, and the entries of ``lower`` (k, d (d - 1) / 2) below it.
    """
    diagonals, log_determinants = np.exp(log_diagonals), np.sum(log_diagonals, axis=1)
    q = lower_triangular(diagonals, lower)
    scaled = (points - means[:, None]) @ np.swapaxes(q, 1, 2)
    exponents = (logits + log_determinants)[:, None] - 0.5 * np.sum(scaled * scaled, axis=2)
    likelihood = np.sum(logsumexp(exponents, 0)) - len(points) * logsumexp(logits)
    squares = np.sum(diagonals * diagonals) + np.sum(lower * lower)
    return likelihood + PRIOR_WEIGHT * np.sum(log_determinants) - 0.5 * PRIOR_SCALE**2 * squares


def full_mixture_by_hand(logits, means, log_diagonals, lower, points):
    n, d = points.shape
    diagonals, log_determinants = np.exp(log_diagonals), np.sum(log_diagonals, axis=1)
    q = lower_triangular(diagonals, lower)
    centred = points - means[:, None]
    scaled = centred @ np.swapaxes(q, 1, 2)
    exponents = (logits + log_determinants)[:, None] - 0.5 * np.sum(scaled * scaled, axis=2)
    top = np.max(exponents, axis=0)
    weights = np.exp(exponents - top)
    totals = np.sum(weights, axis=0)
    weights /= totals
    counts = np.sum(weights, axis=1)
    squares = np.sum(diagonals * diagonals) + np.sum(lower * lower)
    value = np.sum(top + np.log(totals)) - n * logsumexp(logits)
    value += PRIOR_WEIGHT * np.sum(log_determinants) - 0.5 * PRIOR_SCALE**2 * squares
    scaled *= weights[:, :, None]
    means_bar = (np.sum(scaled, axis=1)[:, None] @ q)[:, 0]
    q_bar = -np.swapaxes(scaled, 1, 2) @ centred
    rows, columns = np.tril_indices(d, -1)
    diagonals_bar = np.diagonal(q_bar, axis1=1, axis2=2) - PRIOR_SCALE**2 * diagonals
    return value, (
        counts - n * softmax(logits),
        means_bar,
        diagonals_bar * diagonals + counts[:, None] + PRIOR_WEIGHT,
        q_bar[:, rows, columns] - PRIOR_SCALE**2 * lower,
    )


def full_data(points, components, dimensions):
    def make():
        normal = np.random.default_rng(0).standard_normal
        shape = (components, dimensions)
        lower = 0.1 * normal((components, dimensions * (dimensions - 1) // 2))
        return normal(components), normal(shape), 0.1 * normal(shape), lower, normal((points, dimensions))

    return make


def row_minimum(x):
    return np.min(x, axis=1)


def k_means(centres, points):
    """The squared distances of the points to their nearest centres, in all."""
    return np.sum(row_minimum(np.sum((points[:, None] - centres) ** 2, axis=2)))


def k_means_by_hand(centres, points, direction):
    """The gradient, and the Hessian, which is diagonal, times the direction."""
    nearest = np.argmin(np.sum((points[:, None] - centres) ** 2, axis=2), axis=1)
    members = (nearest == np.arange(len(centres))[:, None]).astype(float)
    counts = np.sum(members, axis=1, keepdims=True)
    return 2 * (counts * centres - members @ points), 2 * counts * direction


def k_means_data(points, clusters, dimensions):
    def make():
        normal = np.random.default_rng(0).standard_normal
        return normal((clusters, dimensions)), normal((points, dimensions)), np.ones((clusters, dimensions))

    return make


def diagonal_mixture_of(points, components=10, dimensions=2):
    return Workload(
        f"diagonal mixture, {points} x {components} x {dimensions}",
        diagonal_mixture,
        diagonal_data(points, components, dimensions),
        argnums=(0, 1, 2),
        by_hand=diagonal_mixture_by_hand,
    )


def full_mixture_of(points, components, dimensions):
    return Workload(
        f"full mixture, {points} x {components} x {dimensions}",
        full_mixture,
        full_data(points, components, dimensions),
        argnums=(0, 1, 2, 3),
        by_hand=full_mixture_by_hand,
    )


WORKLOADS = [
    diagonal_mixture_of(1000, 10, 2),
    diagonal_mixture_of(10_000, 25, 10),
    full_mixture_of(1000, 10, 2),
    full_mixture_of(10_000, 25, 10),
    Workload(
        "k-means gradient and Hessian, 1000 x 10 x 5",
        k_means,
        k_means_data(1000, 10, 5),
        task="hvp",
        by_hand=k_means_by_hand,
    ),
]

"""Group more: simulations, points and pictures."""

from __future__ import annotations

import numpy as np

from .workload import Workload

RNG = np.random.default_rng


def gaussian_energy(x):
    """Of all pairs of points."""
    return np.sum(np.exp(-np.sum((x[:, None] - x) ** 2, axis=-1)))


def coulomb_energy(x):
    d = x[:, None] - x
    return np.sum(1 / np.sqrt(np.sum(d * d, axis=-1) + 1e-2))


def leapfrog(x):
    """Ten steps of bodies that attract each other."""
    v = np.zeros_like(x)
    for _ in range(10):
        d = x[:, None] - x
        v = v - 0.01 * np.sum(d * ((np.sum(d * d, axis=-1) + 0.1) ** -1.5)[..., None], axis=1)
        x = x + 0.01 * v
    return np.sum(x**2)


def springs(x, i, j, lengths):
    """Between looked-up points."""
    d = x[i] - x[j]
    return np.sum((np.sqrt(np.sum(d * d, axis=1) + 1e-9) - lengths) ** 2)


def heat_by_slices(u):
    """Twenty explicit steps; the picture gets smaller."""
    for _ in range(20):
        u = u[1:-1, 1:-1] + 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])
    return np.sum(u**2)


def waves(speed, u):
    """Ten steps with fixed edges."""
    v = np.zeros_like(u)
    for _ in range(10):
        p = np.pad(u, 1)
        v = v + speed * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u)
        u = u + v
    return np.sum(u**2)


def burgers(u):
    """Thirty steps on a circle."""
    for _ in range(30):
        left, right = np.roll(u, 1), np.roll(u, -1)
        u = u - 0.01 * u * (right - left) + 0.05 * (right - 2 * u + left)
    return np.sum(u**2)


def ising(s):
    t = np.tanh(s)
    return -np.sum(t * (np.roll(t, 1, axis=0) + np.roll(t, 1, axis=1)))


def total_variation(u):
    corner = u[:-1, :-1]
    return np.sum(np.sqrt(1e-3 + (u[1:, :-1] - corner) ** 2 + (u[:-1, 1:] - corner) ** 2))


def rotated_points(q, v):
    """By quaternions of any length."""
    q = q / np.sqrt(np.sum(q * q, axis=-1, keepdims=True))
    w, x, y, z = q[:, 0], q[:, 1], q[:, 2], q[:, 3]
    rows = [
        np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
        np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
        np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
    ]
    return np.sum(np.einsum("nij,nj->ni", np.stack(rows, axis=1), v) ** 3)


def arm(angles, lengths):
    """Where arms of seven joints end."""
    a = np.cumsum(angles, axis=1)
    x, y = np.sum(lengths * np.cos(a), axis=1), np.sum(lengths * np.sin(a), axis=1)
    return np.sum((x - 1) ** 2 + (y - 1) ** 2)


def phase_retrieval(phase, intensities):
    """Of a hologram."""
    return np.sum((np.abs(np.fft.fft2(np.exp(1j * phase))) ** 2 - intensities) ** 2)


def spectral_convolution(kernel, x):
    return np.sum(np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(kernel))) ** 2)


def oscillators(coupling, y):
    """Fifty Euler steps."""
    for _ in range(50):
        y = y + 0.01 * (np.sin(y @ coupling) - y)
    return np.sum(y**2)


def complex_amplitudes(a, b):
    return np.sum(np.abs(np.exp(1j * a) * b) ** 2 * np.cos(a))


def _points(*shape):
    return lambda: (RNG(0).standard_normal(shape),)


def _springs():
    rng = RNG(0)
    return rng.standard_normal((1000, 3)), *rng.integers(0, 1000, (2, 3000)), rng.random(3000)


def _two(*shapes):
    return lambda: tuple([RNG(k).standard_normal(s) for k, s in enumerate(shapes)])


WORKLOADS = [
    Workload("energy of 300 points in space", gaussian_energy, _points(300, 3)),
    Workload("energy of 100 points, 10 dimensions", gaussian_energy, _points(100, 10)),
    Workload("energy of 200 charges", coulomb_energy, _points(200, 3)),
    Workload("50 bodies, 10 steps", leapfrog, _points(50, 3)),
    Workload("3000 springs", springs, _springs),
    Workload("heat by slices, 100 x 100, 20 steps", heat_by_slices, _points(140, 140)),
    Workload("waves, 64 x 64, 10 steps", waves, lambda: (np.float64(0.1), *_points(64, 64)()), argnums=(0, 1)),
    Workload("Burgers' equation, 1000, 30 steps", burgers, _points(1000)),
    Workload("Ising energy, 128 x 128", ising, _points(128, 128)),
    Workload("total variation, 256 x 256", total_variation, _points(256, 256)),
    Workload("rotations by 2000 quaternions", rotated_points, _two((2000, 4), (2000, 3))),
    Workload("2000 arms of seven joints", arm, lambda: (RNG(0).standard_normal((2000, 7)), RNG(1).random(7))),
    Workload("phase retrieval, 64 x 64", phase_retrieval, lambda: (*_points(64, 64)(), RNG(1).random((64, 64)))),
    Workload("convolution by Fourier transforms, 65536", spectral_convolution, _two(65536, 65536)),
    Workload(
        "100 x 20 oscillators, 50 steps",
        oscillators,
        lambda: (RNG(0).standard_normal((20, 20)) / 5, RNG(1).standard_normal((100, 20))),
        argnums=(0, 1),
    ),
    Workload("complex amplitudes, 20000", complex_amplitudes, _two(20000, 20000), argnums=(0, 1)),
]

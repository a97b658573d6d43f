"""Functions of a few numbers: calls cost more than arithmetic here."""

from __future__ import annotations

import functools

import numpy as np

from .workload import Workload

STEP = 0.01  # of the Lorenz system, in its unit of time


def example(x1, x2):
    return x1 * np.sqrt(np.log(x1 / np.sin(x2**2)))


def example_by_hand(x1, x2):
    s = np.sin(x2 * x2)
    root = np.sqrt(np.log(x1 / s))
    return x1 * root, (root + 0.5 / root, -x1 * x2 * np.cos(x2 * x2) / (s * root))


def chain(x, repeats):
    """Three operations, repeated."""
    for _ in range(repeats):
        x = np.sin(x) * 1.01 + 0.1
    return x


def chain_by_hand(x, repeats):
    slope = 1.0
    for _ in range(repeats):
        slope = slope * (1.01 * np.cos(x))
        x = np.sin(x) * 1.01 + 0.1
    return x, slope


def chain_data():
    return (0.5,)


def tanh(x):
    return np.tanh(x)


@functools.cache
def tanh_polynomial(order):
    """The derivative as a polynomial in t = tanh x, highest power first: P' (1 - t^2) after P."""
    p = np.polynomial.Polynomial([0, 1])
    for _ in range(order):
        p = p.deriv() * np.polynomial.Polynomial([1, 0, -1])
    return [float(c) for c in p.coef[::-1]]


def tanh_by_hand(order, x):
    t = np.tanh(x)
    value = 0.0
    for c in tanh_polynomial(order):
        value = value * t + c
    return value


def velocity(state, sigma, rho, beta):
    """The Lorenz system."""
    x, y, z = state
    return np.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def lorenz(state, parameters, steps):
    """How far from the origin the state is after some steps of the classical Runge-Kutta method; tuples of numbers."""
    state, (sigma, rho, beta) = np.stack(state), parameters
    for _ in range(steps):
        k1 = velocity(state, sigma, rho, beta)
        k2 = velocity(state + 0.5 * STEP * k1, sigma, rho, beta)
        k3 = velocity(state + 0.5 * STEP * k2, sigma, rho, beta)
        k4 = velocity(state + STEP * k3, sigma, rho, beta)
        state = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.sqrt(np.sum(state * state))


def velocity_transposed(state, parameters, v):
    """The transposed Jacobians of the velocity times ``v``: with respect to the state and to the parameters."""
    (x, y, z), (sigma, rho, beta), (a, b, c) = state, parameters, v
    to_state = np.array([-sigma * a + (rho - z) * b + y * c, sigma * a - b + x * c, -x * b - beta * c])
    return to_state, np.array([(y - x) * a, x * b, -z * c])


def lorenz_by_hand(state, parameters, steps):
    """The discrete adjoint of the method."""
    state, stages = np.stack(state), []
    for _ in range(steps):
        k1 = velocity(state, *parameters)
        s2 = state + 0.5 * STEP * k1
        k2 = velocity(s2, *parameters)
        s3 = state + 0.5 * STEP * k2
        k3 = velocity(s3, *parameters)
        s4 = state + STEP * k3
        k4 = velocity(s4, *parameters)
        stages.append((state, s2, s3, s4))
        state = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    norm = np.sqrt(np.sum(state * state))
    state_bar, parameters_bar = state / norm, np.zeros(3)
    for s1, s2, s3, s4 in reversed(stages):
        u4, p4 = velocity_transposed(s4, parameters, STEP / 6 * state_bar)
        u3, p3 = velocity_transposed(s3, parameters, STEP / 3 * state_bar + STEP * u4)
        u2, p2 = velocity_transposed(s2, parameters, STEP / 3 * state_bar + 0.5 * STEP * u3)
        u1, p1 = velocity_transposed(s1, parameters, STEP / 6 * state_bar + 0.5 * STEP * u2)
        state_bar = state_bar + u1 + u2 + u3 + u4
        parameters_bar += p1 + p2 + p3 + p4
    return norm, (list(state_bar), list(parameters_bar))


def lorenz_data():
    return (1.0, 2.0, 20.0), (10.0, 28.0, 8 / 3)


WORKLOADS = [
    Workload("scalar example, two partials", example, lambda: (3.0, 0.9), argnums=(0, 1), by_hand=example_by_hand),
    *(
        Workload(f"scalar chain of {3 * n}", chain, chain_data, by_hand=chain_by_hand, static={"repeats": n})
        for n in (33, 1000)
    ),
    *(
        Workload(
            f"tanh, derivative {n}",
            tanh,
            chain_data,
            task="derivative",
            order=n,
            by_hand=functools.partial(tanh_by_hand, n),
        )
        for n in range(1, 7)
    ),
    Workload(
        "Lorenz, RK4, 100 steps",
        lorenz,
        lorenz_data,
        argnums=(0, 1),
        by_hand=lorenz_by_hand,
        static={"steps": 100},
    ),
]

"""Loops as one equation: `lax.scan`, `fori_loop` and `while_loop` under jit, beside JAX's if it is installed.

    python benchmarks/loops.py [--rounds 9]

In one process, calls interleaved, medians, 64 bits: the time of a call, the time of the first call (which records and
compiles), and what an iteration of a compiled loop costs beyond the calls of NumPy in it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fungrad as fg
from fungrad import lax

REST = 0.15


def sigmoid(np: Any, z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def lstm(np: Any, lax: Any, params: Any, xs: Any, h: Any, c: Any) -> Any:
    """A recurrent network read along a sequence; (steps, batch, inputs)."""
    w_input, w_hidden, bias = params
    size = h.shape[-1]

    def step(state: Any, x: Any) -> Any:
        h, c = state
        z = x @ w_input + h @ w_hidden + bias
        i, f, o = [sigmoid(np, z[:, k * size : (k + 1) * size]) for k in range(3)]
        c = f * c + i * np.tanh(z[:, 3 * size :])
        h = o * np.tanh(c)
        return (h, c), h

    _, hs = lax.scan(step, (h, c), xs)
    return np.mean(hs**2)


def lstm_data(hidden: int, steps: int = 100, batch: int = 16) -> tuple[Any, ...]:
    normal = np.random.default_rng(0).standard_normal
    params = (
        normal((hidden, 4 * hidden)) / np.sqrt(hidden),
        normal((hidden, 4 * hidden)) / np.sqrt(hidden),
        np.zeros(4 * hidden),
    )
    return params, normal((steps, batch, hidden)), np.zeros((batch, hidden)), np.zeros((batch, hidden))


def lorenz(np: Any, lax: Any, p: Any, start: Any) -> Any:
    """The Lorenz system by 1000 steps of Runge and Kutta's method."""

    def velocity(s: Any) -> Any:
        return np.stack([p[0] * (s[1] - s[0]), s[0] * (p[1] - s[2]) - s[1], s[0] * s[1] - p[2] * s[2]])

    def step(_: Any, s: Any) -> Any:
        h = 0.005
        k1 = velocity(s)
        k2 = velocity(s + h / 2 * k1)
        k3 = velocity(s + h / 2 * k2)
        k4 = velocity(s + h * k3)
        return s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return np.sum(lax.fori_loop(0, 1000, step, start) ** 2)


def cube_root(np: Any, lax: Any, a: Any) -> Any:
    """Newton's iteration until it has converged."""
    return lax.while_loop(lambda x: np.abs(x**3 - a) > 1e-10 * a, lambda x: x - (x**3 - a) / (3 * x**2), 1.0 + 0 * a)


def cube_roots(lib: Any, np: Any, lax: Any) -> Callable[[Any], Any]:
    return lambda a: np.sum(lib.vmap(lambda x: cube_root(np, lax, x))(a))


def workloads(lib: Any, np_: Any, lax_: Any) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Functions to compile, by name, with their operands. JAX has no reverse mode through while_loop."""
    roots = cube_roots(lib, np_, lax_)
    a = np.random.default_rng(0).uniform(1, 50, 10_000)
    found: dict[str, Any] = {}
    for hidden in (32, 128):
        found[f"LSTM, scan of 100 steps, hidden {hidden}: value and gradient"] = (
            lib.value_and_grad(lambda *args: lstm(np_, lax_, *args)),
            lstm_data(hidden),
        )
    found["Lorenz, fori_loop of 1000 steps: value and gradient"] = (
        lib.value_and_grad(lambda p, s: lorenz(np_, lax_, p, s)),
        (np.array([10.0, 28.0, 8 / 3]), np.ones(3)),
    )
    found["cube roots of 10,000 numbers, while_loop: value"] = roots, (a,)
    found["cube roots of 10,000 numbers, while_loop: jvp"] = (
        lambda a: lib.jvp(roots, (a,), (np_.ones_like(a),)),
        (a,),
    )
    found["cube roots of 10,000 numbers, while_loop: value and gradient"] = lib.value_and_grad(roots), (a,)
    return found


def jax_calls() -> dict[str, Callable[[], Any]]:
    """The calls of JAX, where it can do them; none where it is not installed."""
    if importlib.util.find_spec("jax") is None:
        return {}
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    calls = {}
    for name, (fun, operands) in workloads(jax, jax.numpy, jax.lax).items():
        if name.endswith("while_loop: value and gradient"):
            continue
        compiled, arrays = jax.jit(fun), jax.tree.map(jax.numpy.asarray, operands)
        calls[name] = lambda compiled=compiled, arrays=arrays: jax.block_until_ready(compiled(*arrays))
    return calls


def fungrad_calls() -> dict[str, Callable[[], Any]]:
    calls = {}
    for name, (fun, operands) in workloads(fg, np, lax).items():
        compiled = fg.jit(fun)
        calls[name] = lambda compiled=compiled, operands=operands: compiled(*operands)
    return calls


def seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compare(rounds: int) -> None:
    """The table of calls and first calls."""
    mine, theirs = fungrad_calls(), jax_calls()
    print(f"{'ms':64s} {'fungrad':>9s} {'jax':>9s} {'ratio':>9s} {'first':>9s} {'jax':>9s} {'ratio':>9s}")
    for name, call in mine.items():
        other = theirs.get(name)
        first = [seconds(call), seconds(other) if other else np.nan]
        times: list[list[float]] = [[], []]
        for _ in range(rounds):
            for k, f in enumerate((call, other)):
                time.sleep(REST)  # threads of the other one come to rest
                if f is not None:
                    f()
                    times[k].append(seconds(f))
        now = [np.median(t) if t else np.nan for t in times]
        row = [1e3 * now[0], 1e3 * now[1], now[1] / now[0], 1e3 * first[0], 1e3 * first[1], first[1] / first[0]]
        print(f"{name:64s} {' '.join([f'{x:9.2f}' for x in row])}")


def overhead(rounds: int) -> None:
    """What an iteration costs beyond its calls of NumPy, in microseconds."""
    n, width = 20_000, 8
    xs, start, buffer = np.random.rand(n, width), np.random.rand(width), np.empty(width)
    loop = fg.jit(lambda xs: lax.scan(lambda c, x: (np.sin(c) + x, c), start, xs))
    kept = np.empty((n, width))

    def calls() -> None:
        for k in range(n):
            np.sin(start, buffer)
            np.add(buffer, start, kept[k])

    loop(xs)
    with_loop = min(seconds(lambda: loop(xs)) for _ in range(rounds)) / n
    alone = min(seconds(calls) for _ in range(rounds)) / n
    print(f"an iteration of a scan {1e6 * with_loop:.2f} us, its calls of NumPy in a Python loop {1e6 * alone:.2f} us")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    compare(options.rounds)
    overhead(options.rounds)

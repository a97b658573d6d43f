"""What jit costs beside the arithmetic: a call of a small function, and compiling an equation."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from measure import time_interleaved
from report import verdict

import fungrad as fg

CALL_BAR = 3.0  # microseconds of a call over those of the NumPy calls that it makes
EQUATION_BAR = 60.0  # microseconds to trace and compile an equation
GROWTH_BAR = 1.5  # of the time per equation over the sizes: what counts as linear


def sine(x):
    return np.sin(x)


def product(x):
    return np.sum(np.tanh(x) * x)


def sum_of_sines(x):
    return np.sum(np.sin(x))


# What is jitted, and the NumPy calls that it makes.
SMALL: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sin(x)": (sine, sine),
    "sum(tanh(x) * x)": (product, product),
    "value and gradient of sum(sin(x))": (
        fg.value_and_grad(sum_of_sines),
        lambda x: (np.sum(np.sin(x)), np.cos(x)),
    ),
}


def call_overheads(rounds: int) -> dict[str, dict[str, float]]:
    """Measure and print the overhead of calls, for an array of ten and a number."""
    found = {}
    for name, (fun, calls) in SMALL.items():
        for kind, x in (("array of 10", np.linspace(0.1, 1.0, 10)), ("float", 0.5)):
            jitted = fg.jit(fun)
            seconds = time_interleaved({"jit": lambda f=jitted, x=x: f(x), "calls": lambda f=calls, x=x: f(x)}, rounds)
            extra = 1e6 * (seconds["jit"] - seconds["calls"])
            print(
                f"  {name:36}{kind:14}{1e6 * seconds['jit']:8.2f} us, NumPy's calls {1e6 * seconds['calls']:6.2f} us: "
                f"{extra:6.2f} us more; bar {CALL_BAR:g} us: {verdict(extra <= CALL_BAR)}"
            )
            found[f"{name}, {kind}"] = seconds
    return found


def chain_of(n: int) -> Callable[..., Any]:
    """A new function of ``n`` equations."""

    def chain(x):
        for _ in range(n // 3):
            x = np.sin(x) * 1.01 + 0.1
        return np.sum(x)

    return chain


def equation_times(sizes: Sequence[int] = (1_000, 10_000, 100_000)) -> dict[str, dict[int, float]]:
    """Measure and print the time per equation of a first call: of the function, and of its gradient."""
    found = {}
    for kind, x in (("array of 10", np.linspace(0.1, 1.0, 10)), ("float", 0.5)):
        for name, transform in (("function", lambda fun: fun), ("gradient", fg.grad)):
            # A gradient has more equations than its function: those of the program are what is counted.
            program = fg.make_jaxpr(transform(chain_of(sizes[0])))(x)
            share = len(program.jaxpr.eqns) / sizes[0]
            per_equation = {n: 1e6 * first_call(transform, n, x) / (share * n) for n in sizes}
            growth = per_equation[sizes[-1]] / per_equation[sizes[0]]
            worst = max(per_equation.values())
            shown = ", ".join(f"{t:.1f} (n = {n:g})" for n, t in per_equation.items())
            print(
                f"  {name + ', ' + kind:24}{share:.2f} n equations: {shown} us per equation; "
                f"bar {EQUATION_BAR:g} us: {verdict(worst <= EQUATION_BAR)}; "
                f"growth {growth:.2f}x, linear if at most {GROWTH_BAR:g}x: {verdict(growth <= GROWTH_BAR)}"
            )
            found[f"{name}, {kind}"] = per_equation
    return found


def first_call(transform: Callable[..., Any], n: int, x: Any) -> float:
    """Seconds of the first call of a new jitted function; the median of several if it is short."""
    seconds = []
    for _ in range(max(1, 5_000 // n)):
        fg.clear_caches()
        fun = fg.jit(transform(chain_of(n)))
        start = time.perf_counter()
        fun(x)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def overheads(rounds: int) -> dict[str, Any]:
    """Everything in this file."""
    if not hasattr(fg, "jit"):
        print("(no overheads of jit: this version has none)")
        return {}
    print("call of a jitted function of one small argument:")
    calls = call_overheads(rounds)
    print("tracing, compiling and running a chain of n equations for the first time:")
    return {"calls": calls, "equations": equation_times()}

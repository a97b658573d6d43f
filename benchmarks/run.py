"""Time fungrad beside its peers: ``python benchmarks/run.py``; see README.md here for the options and the figures.

All libraries run in one process on the same data. Rounds are interleaved (each library in turn, then again), so that a
slow moment of the machine hits all of them, and the median over the rounds is reported. Before anything is timed the
results are compared. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import workloads

PEERS = {
    "autograd": ("peer_autograd", "MAKERS"),
    "jax": ("peer_jax", "MAKERS"),
    "jax.jit": ("peer_jax", "JIT_MAKERS"),
    "torch": ("peer_torch", "MAKERS"),
}
SECONDS_PER_ROUND = 0.05  # each library repeats its call for about this long in each round
IMPORT_BAR = 40.0  # milliseconds that `import fungrad` may cost over `import numpy`


def load_peers(wanted: list[str]) -> dict[str, tuple[Any, dict[str, Any]]]:
    """The peers that are wanted and installed: (module, makers) by name."""
    found = {}
    for name in wanted:
        module_name, table = PEERS[name]
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            print(f"({name} is left out: {error})")
            continue
        found[name] = module, getattr(module, table)
    return found


def compare(workload: str, results: dict[str, list[np.ndarray[Any, Any]]]) -> None:
    """Stop unless all libraries give the same arrays."""
    expected = results["fungrad"]
    for name, arrays in results.items():
        same = len(arrays) == len(expected) and all(
            a.dtype == e.dtype == np.float64 and a.shape == e.shape and np.allclose(a, e, rtol=1e-8, atol=1e-10)
            for a, e in zip(arrays, expected, strict=True)
        )
        if not same:
            sys.exit(f"{workload}: fungrad and {name} disagree")


def time_interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median time of one call, in seconds, by library."""
    repeats = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(SECONDS_PER_ROUND / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.freeze()  # what the libraries have loaded is not walked again by every collection while the clock runs
    for _ in range(rounds):
        for name, call in calls.items():
            n = repeats[name]
            start = time.perf_counter()
            for _ in range(n):
                call()
            times[name].append((time.perf_counter() - start) / n)
    gc.unfreeze()
    return {name: statistics.median(t) for name, t in times.items()}


def import_times(rounds: int) -> tuple[float, float]:
    """Milliseconds of a Python process that imports NumPy, and of one that imports fungrad; medians, interleaved."""
    times: dict[str, list[float]] = {"numpy": [], "fungrad": []}
    with tempfile.TemporaryDirectory() as cache:
        # Bytecode is cached, as on every import of an installed package but the first, whatever this environment says.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            for module, found in times.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", f"import {module}"], check=True, env=environment)
                found.append(1e3 * (time.perf_counter() - start))
    # The first round wrote the cache.
    return statistics.median(times["numpy"][1:]), statistics.median(times["fungrad"][1:])


def show_time(seconds: float) -> str:
    """``3.21 us``, ``1.23 ms``."""
    return f"{seconds * 1e6:.2f} us" if seconds < 1e-4 else f"{seconds * 1e3:.2f} ms"


def versions() -> dict[str, str]:
    """What was measured, on what."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {"python": platform.python_version(), "machine": f"{_processor()}, {cores} core{'s'[: cores != 1]}"}
    for package in ("fungrad", "numpy", "autograd", "jax", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["fungrad"] = workloads.fg.__version__
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def restrict_to_cores(count: int) -> None:
    """Start again on this many cores: the libraries size their thread pools when they are loaded."""
    available = sorted(os.sched_getaffinity(0))
    if count < len(available):
        os.sched_setaffinity(0, available[:count])
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="workloads whose name contains this text")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated; default: all that are installed")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds; the median is reported")
    parser.add_argument("--json", metavar="FILE", help="write the results here, times in seconds")
    parser.add_argument("--cores", type=int, help="cores that this process may use; default: all (Linux only)")
    options = parser.parse_args()
    if options.cores:
        restrict_to_cores(options.cores)

    about = versions()
    print(", ".join(f"{k} {v}" for k, v in about.items()))
    peers = load_peers([p for p in options.peers.split(",") if p])
    report: list[dict[str, Any]] = []
    print(f"\n{'workload':40}{'fungrad':>12}" + "".join(f"{p:>22}" for p in peers) + "    bar")
    for workload in workloads.WORKLOADS:
        if options.only not in workload.name:
            continue
        libraries = {"fungrad": (workloads, workloads.MAKERS), **peers}
        calls = {name: makers[workload.name](**workload.data) for name, (_, makers) in libraries.items()}
        compare(workload.name, {name: libraries[name][0].flatten(call()) for name, call in calls.items()})
        times = {name: t / workload.operations for name, t in time_interleaved(calls, options.rounds).items()}
        mine = times["fungrad"]
        row = f"{workload.name:40}{show_time(mine):>12}"
        row += "".join(f"{show_time(times[p]):>12} ({times[p] / mine:6.2f}x)" for p in peers)
        if workload.bar and "autograd" in times:
            ratio = times["autograd"] / mine
            row += f"    {'met' if ratio >= workload.bar else 'MISSED'}: {workload.bar:g}x autograd"
        print(row, flush=True)
        report.append(
            {"workload": workload.name, "operations": workload.operations, "seconds": times, "bar": workload.bar}
        )
    if options.only in "import":
        numpy_ms, fungrad_ms = import_times(options.rounds)
        extra = fungrad_ms - numpy_ms
        verdict = "met" if extra <= IMPORT_BAR else "MISSED"
        print(f"\nimport numpy {numpy_ms:.0f} ms, import fungrad {fungrad_ms:.0f} ms", end="")
        print(f": {extra:.0f} ms more    {verdict}: {IMPORT_BAR:g} ms")
        seconds = {"numpy": numpy_ms / 1e3, "fungrad": fungrad_ms / 1e3}
        report.append({"workload": "import", "seconds": seconds, "bar": IMPORT_BAR / 1e3})
    print("\nTimes are per call, of the chains per operation; in brackets the peer's time over fungrad's.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, "results": report}, file, indent=2)


if __name__ == "__main__":
    main()

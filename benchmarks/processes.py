"""Times of whole processes: imports, and cold starts (import, then the first gradient of the toy network).

``python processes.py LIBRARY`` is what a cold start runs.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from libraries import MINE, load
from report import FIRST_CALL_BAR, show_ratio, show_time, verdict
from workloads.networks import TOY_NETWORK

IMPORT_BAR = 0.040  # seconds that `import fungrad` may cost over `import numpy`


def time_processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Seconds of a Python process with these arguments; medians, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as cache:
        # Bytecode is cached, as on every import of an installed package but the first, whatever this environment says.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, env=environment)
                times[name].append(time.perf_counter() - start)
    # The first round wrote the cache.
    return {name: statistics.median(t[1:]) for name, t in times.items()}


def import_times(rounds: int) -> dict[str, float]:
    """Measure and print what importing costs."""
    seconds = time_processes({name: ("-c", f"import {name}") for name in ("numpy", "fungrad")}, rounds)
    extra = seconds["fungrad"] - seconds["numpy"]
    print(f"import numpy {show_time(seconds['numpy'])}, import fungrad {show_time(seconds['fungrad'])}", end="")
    print(f": {show_time(extra)} more; bar {show_time(IMPORT_BAR)}: {verdict(extra <= IMPORT_BAR)}")
    return seconds


def cold_starts(names: Sequence[str], rounds: int) -> dict[str, float]:
    """Measure and print the time of a new process that imports a library and takes the toy network's first gradient."""
    seconds = time_processes({name: (str(pathlib.Path(__file__)), name) for name in names}, rounds)
    mine = [name for name in MINE if name in names][-1]
    print("cold start (process, import, first gradient of the toy network):")
    for name, t in seconds.items():
        print(f"  {name:14}{show_time(t):>12}" + (f" ({show_ratio(t / seconds[mine])})" if name != mine else ""))
    if "jax.jit" in seconds:
        ratio = seconds["jax.jit"] / seconds[mine]
        print(f"  against jax.jit: {show_ratio(ratio)}; bar {FIRST_CALL_BAR:g}x: {verdict(ratio >= FIRST_CALL_BAR)}")
    return seconds


if __name__ == "__main__":
    name = sys.argv[1]
    load([name])[name].prepare(TOY_NETWORK)()

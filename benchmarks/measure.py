"""Time a workload in every library: results compared, first calls, then interleaved rounds and medians."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from libraries import COMPILERS, MINE, Library
from workloads.workload import Workload

REST = 0.15
"""Seconds between libraries: threads of the one before spin after their work (OpenBLAS's for 0.11 s)."""
SECONDS_PER_ROUND = 0.05  # each library repeats its call for about this long in each round
SECONDS_PER_LIBRARY = 5.0  # after this long (and three rounds) a slow library has had its turns
SECONDS_OF_FIRST_CALLS = 2.0  # a first call is measured again, on new functions, up to this long
GRADIENTS = ("value_and_grad", "grad")  # tasks for which gradient/primal is a ratio of like to like
RELATIVE, ABSOLUTE = 1e-8, 1e-10  # tolerances; the second is relative to the largest entry
PRIMAL = "primal"


@dataclasses.dataclass
class Measurement:
    """The times of one workload, in seconds by library.

    ``primal`` is the time of the function alone under ``fungrad.jit``; ``failed`` has a library's error message.
    """

    workload: str
    operations: int
    bar: float | None
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    first_calls: dict[str, float] = dataclasses.field(default_factory=dict)
    primal: float | None = None
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    def ratio(self, peer: str, mine: str) -> float | None:
        """The peer's time over ours: more than 1 means that ours is faster."""
        return self.seconds[peer] / self.seconds[mine] if {peer, mine} <= self.seconds.keys() else None

    def first_call_ratio(self, peer: str, mine: str) -> float | None:
        """The same of the first calls."""
        return self.first_calls[peer] / self.first_calls[mine] if {peer, mine} <= self.first_calls.keys() else None

    def gradient_over_primal(self, mine: str) -> float | None:
        """How many times as long as the function its gradient takes."""
        return self.seconds[mine] / self.primal if self.primal and mine in self.seconds else None


def measure(
    workload: Workload,
    libraries: Mapping[str, Library],
    rounds: int,
    first_calls: bool,
    of_rounds: Callable[[Sequence[float]], float] = statistics.median,
) -> Measurement:
    """Compare and time one workload; ``of_rounds`` is what is reported of the times of the rounds."""
    found = Measurement(workload.name, workload.operations, workload.bar)
    calls: dict[str, Callable[[], Any]] = {}
    results: dict[str, list[np.ndarray[Any, Any]]] = {}
    firsts: dict[str, list[float]] = {}
    for name, library in libraries.items():
        try:
            call = library.prepare(workload)
            if call is None:
                continue
            seconds, result = _clock(call)
            results[name] = library.flatten(result)
        except Exception as error:
            found.failed[name] = describe(error)
            continue
        calls[name], firsts[name] = call, [seconds]
    compare(workload.name, results)
    if first_calls:
        for name in [name for name in COMPILERS if name in calls]:
            found.first_calls[name] = _first_call(workload, libraries[name], firsts[name])
    if "fungrad.jit" in calls and workload.task in GRADIENTS:
        try:
            calls[PRIMAL] = libraries["fungrad.jit"].prepare(workload, "value")
            calls[PRIMAL]()
        except Exception as error:
            found.failed[PRIMAL] = describe(error)
            del calls[PRIMAL]
    times = {
        name: seconds / workload.operations for name, seconds in time_interleaved(calls, rounds, of_rounds).items()
    }
    found.primal = times.pop(PRIMAL, None)
    found.seconds = times
    return found


def describe(error: Exception) -> str:
    """An error in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _clock(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def _first_call(workload: Workload, library: Library, seconds: list[float]) -> float:
    """The median time of the first call of new functions. The very first, which also imports, counts if it is alone."""
    seconds = list(seconds)
    while len(seconds) < 4 and sum(seconds) < SECONDS_OF_FIRST_CALLS:
        if library.name in MINE:
            library.module.forget()
        seconds.append(_clock(library.prepare(workload))[0])
    return statistics.median(seconds[1:] or seconds)


def compare(workload: str, results: Mapping[str, list[np.ndarray[Any, Any]]]) -> None:
    """Stop unless all libraries give the same arrays."""
    if not results:
        return
    reference, expected = next(iter(results.items()))
    for name, arrays in results.items():
        same = len(arrays) == len(expected) and all(_close(a, e) for a, e in zip(arrays, expected, strict=True))
        if not same:
            sys.exit(f"{workload}: {reference} and {name} disagree")


def _close(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if not a.dtype == b.dtype == np.float64 or a.shape != b.shape or not np.all(np.isfinite(b)):
        return False
    scale = np.max(np.abs(b), initial=0.0)
    return bool(np.all(np.abs(a - b) <= RELATIVE * np.abs(b) + ABSOLUTE * scale))


def time_interleaved(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    of_rounds: Callable[[Sequence[float]], float] = statistics.median,
) -> dict[str, float]:
    """The median time of one call (or what else of the rounds), in seconds, by name."""
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, int(SECONDS_PER_ROUND / _clock(call)[0]))
    times: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.freeze()  # what the libraries have loaded is not walked again by every collection while the clock runs
    for k in range(rounds):
        for name, call in calls.items():
            n = repeats[name]
            if k >= 3 and n * sum(times[name]) > SECONDS_PER_LIBRARY:
                continue
            time.sleep(REST)
            call()
            start = time.perf_counter()
            for _ in range(n):
                call()
            times[name].append((time.perf_counter() - start) / n)
    gc.unfreeze()
    return {name: of_rounds(t) for name, t in times.items()}

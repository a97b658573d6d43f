"""Time fungrad beside its peers: ``python benchmarks/run.py``; see README.md here for the options and the figures.

All libraries run in one process on the same data. Rounds are interleaved (each library in turn, then again), so that a
slow moment of the machine hits all of them, and the median over the rounds is reported. Before anything is timed the
results are compared. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import sys
from typing import Any

import libraries
import report
from measure import Measurement, measure
from workloads import GROUPS

import fungrad as fg

DEFAULT_PEERS = ("numpy", "autograd", "jax.jit", "jax.scan", "torch")
PICTURE = pathlib.Path(__file__).parent / "scaling.png"


def about() -> dict[str, str]:
    """What was measured, on what."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {"python": platform.python_version(), "machine": f"{_processor()}, {cores} core{'s'[: cores != 1]}"}
    for package in ("numpy", "autograd", "jax", "torch", "numba"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"fungrad": fg.__version__, **found}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def warn_if_busy() -> None:
    """Say so if other processes compete for the cores: threads that wait for each other then stand for whole rounds."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5 * (os.cpu_count() or 1):
        print(f"(load average {load:.1f}: this machine is busy; times will be noisy, --cores 1 and --fastest help)")


def restrict_to_cores(count: int) -> None:
    """Start again on this many cores: the libraries size their thread pools when they are loaded."""
    available = sorted(os.sched_getaffinity(0))
    if count < len(available):
        os.sched_setaffinity(0, available[:count])
        os.execv(sys.executable, [sys.executable, *sys.argv])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--group", choices=[*GROUPS, "all"], default="jit", help="which workloads; default: jit")
    add("--only", default="", help="workloads whose name contains this text, and nothing else")
    add("--peers", default=",".join(DEFAULT_PEERS), help=f"comma-separated, or all: {', '.join(libraries.PEERS)}")
    add("--rounds", type=int, default=15, help="interleaved rounds; the median is reported")
    add("--fastest", action="store_true", help="report the fastest round, for a machine that is busy")
    add("--first-calls", action=argparse.BooleanOptionalAction, default=True, help="time first calls, and cold starts")
    add("--json", metavar="FILE", help="write the results here, times in seconds")
    add("--markdown", action="store_true", help="print the table once more, for a README")
    add("--cores", type=int, help="cores that this process may use; default: all (Linux only)")
    add("--overhead", action="store_true", help="only the overheads of jit: of a call, and of compiling an equation")
    add(
        "--scaling",
        metavar="PNG",
        nargs="?",
        const=str(PICTURE),
        help=f"only time against size of three workloads, as a picture; default: {PICTURE.name} beside this file",
    )
    return parser.parse_args()


def run_group(group: str, options: argparse.Namespace, found: dict[str, libraries.Library]) -> dict[str, Any]:
    """Measure and print one group of workloads."""
    # The eager workloads are held against autograd without a compiler.
    mine = "fungrad.jit" if group != "eager" and "fungrad.jit" in found else "fungrad"
    of_rounds = min if options.fastest else statistics.median
    first_calls = options.first_calls and group != "eager"
    table = report.Table(list(found), mine, first_calls)
    print(f"\n{table.head()}")
    measurements: list[Measurement] = []
    for workload in GROUPS[group]:
        if options.only not in workload.name:
            continue
        measurements.append(measure(workload, found, options.rounds, first_calls, of_rounds))
        print(table.row(measurements[-1]), flush=True)
    print(f"\nIn brackets the peer's time over that of {mine}: more than 1 means that {mine} is faster.")
    for m in measurements:
        for name, error in m.failed.items():
            print(f"({m.workload}: {name} failed: {error})")
    lines = report.verdicts(measurements, mine) if group != "eager" else report.eager_verdicts(measurements)
    print("\n".join(lines))
    if options.markdown:
        print(f"\n{table.markdown(measurements)}\n")
    return {"mine": mine, "verdicts": lines, "measurements": [dataclasses.asdict(m) for m in measurements]}


def main() -> None:
    """Run the benchmark from the command line."""
    options = arguments()
    if options.cores:
        restrict_to_cores(options.cores)
    results: dict[str, Any] = {"about": about()}
    print(", ".join(f"{k} {v}" for k, v in results["about"].items()))
    warn_if_busy()
    peers = libraries.PEERS if options.peers == "all" else [p for p in options.peers.split(",") if p]
    if unknown := set(peers) - set(libraries.PEERS):
        sys.exit(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(libraries.PEERS)}")
    if options.overhead:
        from overhead import overheads

        results["overhead"] = overheads(options.rounds)
    elif options.scaling:
        from scaling import scaling

        results["scaling"] = scaling(libraries.load([*libraries.MINE, *peers]), options.rounds, options.scaling)
    else:
        from processes import cold_starts, import_times

        found = libraries.load([*libraries.MINE, *peers])
        for group in GROUPS if options.group == "all" else [options.group]:
            results[group] = run_group(group, options, found)
        if not options.only and options.group in ("jit", "all") and options.first_calls:
            results["cold start"] = cold_starts([n for n in found if n not in ("jax.scan", "numba", "jax")], 5)
        if not options.only and options.group in ("eager", "all"):
            results["import"] = import_times(options.rounds)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    main()

"""Time against size, as a picture (needs Matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libraries import Library
from measure import measure
from workloads import SCALING

STYLES = {
    "fungrad": ("tab:red", "--"),
    "fungrad.jit": ("tab:red", "-"),
    "numpy": ("tab:blue", "-"),
    "autograd": ("tab:orange", "-"),
    "jax.jit": ("tab:green", "-"),
    "torch": ("tab:purple", "-"),
}


def measure_sizes(libraries: Mapping[str, Library], rounds: int) -> dict[str, dict[str, dict[int, float]]]:
    """Seconds by workload, library and size."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for title, (_, of_size, sizes) in SCALING.items():
        lines: dict[str, dict[int, float]] = {}
        for size in sizes:
            for name, seconds in measure(of_size(size), libraries, rounds, first_calls=False).seconds.items():
                lines.setdefault(name, {})[size] = seconds
        found[title] = lines
        print(f"{title}: {', '.join(lines)} timed at sizes {', '.join(f'{n:g}' for n in sizes)}", flush=True)
    return found


def plot(times: Mapping[str, Mapping[str, Mapping[int, float]]], path: str) -> None:
    """Save the picture: one panel for each workload, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(times), figsize=(5 * len(times), 4.2), layout="constrained")
    for axis, (title, lines) in zip(axes, times.items(), strict=True):
        for name, points in lines.items():
            colour, dashes = STYLES.get(name, (None, "-"))
            axis.loglog(list(points), [1e3 * t for t in points.values()], dashes, color=colour, marker="o", label=name)
        axis.set(title=title, xlabel=SCALING[title][0])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("value and gradient, ms")
    axes[0].legend()
    figure.savefig(path, dpi=120)
    print(f"saved {path}")


def scaling(libraries: Mapping[str, Library], rounds: int, path: str) -> dict[str, Any]:
    """Measure, and save the picture."""
    times = measure_sizes(libraries, rounds)
    plot(times, path)
    return times

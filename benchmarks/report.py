"""Tables of what was measured, and verdicts against the bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from libraries import MINE
from measure import Measurement


class Bar(NamedTuple):
    """How many times faster than a peer: in the geometric mean over the workloads, and on each of them."""

    mean: float | None
    each: float | None


SPEED_BARS = {
    "jax.jit": Bar(1.5, 1.0),
    "autograd": Bar(5.0, None),
    "torch": Bar(2.0, None),
    "numpy": Bar(1.5, 1.0),
}
FIRST_CALL_BAR = 10.0  # times sooner than JAX's first call, on each workload
GRADIENT_BAR = 3.0  # gradient over primal, both under jit, at most
# Where loops can be written for a compiler, its user has the choice of two.
ALTERNATIVES = {"jax.jit": "jax.scan"}


def show_time(seconds: float) -> str:
    """``3.21 us``, ``1.23 ms``."""
    if seconds < 1e-4:
        return f"{seconds * 1e6:.2f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def show_ratio(ratio: float) -> str:
    """Two digits behind the point where they matter."""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:.0f}x"


def geometric_mean(values: Sequence[float]) -> float:
    """The mean for ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


def verdict(met: bool) -> str:
    """How tables say it."""
    return "met" if met else "MISSED"


class Table:
    """The columns of a table of measurements: a title, and a cell for each measurement."""

    def __init__(self, names: Sequence[str], mine: str, first_calls: bool) -> None:
        self.mine = mine
        self.columns: list[tuple[str, Callable[[Measurement], str]]] = [("workload", lambda m: m.workload)]
        for name in MINE:
            if name in names:
                self.columns.append((name, lambda m, name=name: self._time(m, name)))
        if "fungrad.jit" in names and first_calls:
            self.columns.append(("first call", lambda m: self._first_call(m, "fungrad.jit")))
        if "fungrad.jit" in names:
            self.columns.append(("grad/primal", self._gradient))
        for name in names:
            if name in MINE:
                continue
            self.columns.append((name, lambda m, name=name: self._peer(m, name)))
            if first_calls and name in ("jax.jit", "jax.scan", "torch.compile", "numba"):
                self.columns.append((f"{name}, first", lambda m, name=name: self._peer_first_call(m, name)))

    def _time(self, m: Measurement, name: str) -> str:
        if name in m.failed:
            return "failed"
        return show_time(m.seconds[name]) if name in m.seconds else "-"

    def _first_call(self, m: Measurement, name: str) -> str:
        return show_time(m.first_calls[name]) if name in m.first_calls else "-"

    def _gradient(self, m: Measurement) -> str:
        ratio = m.gradient_over_primal("fungrad.jit")
        return f"{ratio:.2f}" if ratio else "-"

    def _peer(self, m: Measurement, name: str) -> str:
        ratio = m.ratio(name, self.mine)
        return self._time(m, name) + (f" ({show_ratio(ratio)})" if ratio else "")

    def _peer_first_call(self, m: Measurement, name: str) -> str:
        ratio = m.first_call_ratio(name, self.mine)
        return self._first_call(m, name) + (f" ({show_ratio(ratio)})" if ratio else "")

    def _widths(self) -> list[int]:
        own = (*MINE, "first call", "grad/primal")  # without a ratio
        return [42, *(max(12 if title in own else 20, len(title) + 2) for title, _ in self.columns[1:])]

    def head(self) -> str:
        """The titles, for a terminal."""
        (first, *rest), widths = [title for title, _ in self.columns], self._widths()
        return f"{first:{widths[0]}}" + "".join(f"{t:>{w}}" for t, w in zip(rest, widths[1:], strict=True))

    def row(self, m: Measurement) -> str:
        """A measurement, for a terminal."""
        (first, *rest), widths = [cell(m) for _, cell in self.columns], self._widths()
        return f"{first:{widths[0]}}" + "".join(f"{t:>{w}}" for t, w in zip(rest, widths[1:], strict=True))

    def markdown(self, measurements: Iterable[Measurement]) -> str:
        """The whole table, for a README."""
        lines = ["| " + " | ".join(title for title, _ in self.columns) + " |", "|---" * len(self.columns) + "|"]
        lines += ["| " + " | ".join(cell(m) for _, cell in self.columns) + " |" for m in measurements]
        return "\n".join(lines).replace(" us", " µs").replace("x)", ")")


def verdicts(measurements: Sequence[Measurement], mine: str) -> list[str]:
    """One line for each bar that the measurements can be held against."""
    lines = []
    for peer, bar in SPEED_BARS.items():
        lines += _speed(measurements, f"against {peer}", bar, lambda m, peer=peer: m.ratio(peer, mine))
        other = ALTERNATIVES.get(peer)
        if any(other in m.seconds for m in measurements):

            def faster(m: Measurement, peer: str = peer, other: str = other) -> float | None:
                return min([r for r in (m.ratio(peer, mine), m.ratio(other, mine)) if r], default=None)

            lines += _speed(measurements, f"against the faster of {peer} and {other}", bar, faster)
    for peer in ("jax.jit", "jax.scan"):
        lines += _each(
            measurements,
            f"first call against that of {peer}",
            lambda m, peer=peer: m.first_call_ratio(peer, mine),
            FIRST_CALL_BAR,
        )
    lines += _each(
        measurements, "gradient / primal", lambda m: m.gradient_over_primal(mine), GRADIENT_BAR, at_least=False
    )
    failures = [m.workload for m in measurements if mine in m.failed]
    if failures:
        lines.append(f"{mine} fails: {verdict(False)} on {len(failures)}: {'; '.join(failures)}")
    return lines


Ratio = Callable[[Measurement], float | None]


def _speed(measurements: Sequence[Measurement], what: str, bar: Bar, ratio: Ratio) -> list[str]:
    ratios = [r for m in measurements if (r := ratio(m)) is not None]
    if not ratios:
        return []
    lines = []
    if bar.mean:
        mean = geometric_mean(ratios)
        lines.append(f"{what}: geometric mean {show_ratio(mean)}; bar {bar.mean:g}x: {verdict(mean >= bar.mean)}")
    if bar.each:
        lines += _each(measurements, what, ratio, bar.each)
    return lines


def _each(measurements: Sequence[Measurement], what: str, ratio: Ratio, bar: float, at_least: bool = True) -> list[str]:
    """Whether a bar holds on every workload, and where it does not."""
    ratios = {m.workload: r for m in measurements if (r := ratio(m)) is not None}
    if not ratios:
        return []
    worst = (min if at_least else max)(ratios.values())
    beyond = {w: r for w, r in ratios.items() if (r < bar if at_least else r > bar)}
    line = f"{what}: {'at least' if at_least else 'at most'} {show_ratio(worst)} on each; bar {bar:g}x: "
    line += verdict(not beyond)
    if beyond:
        line += f" on {len(beyond)} of {len(ratios)}: " + "; ".join(f"{w} ({show_ratio(r)})" for w, r in beyond.items())
    return [line]


def eager_verdicts(measurements: Sequence[Measurement]) -> list[str]:
    """The bars of the eager workloads: each its own, against autograd."""
    return [
        f"{m.workload}: {show_ratio(ratio)} autograd; bar {m.bar:g}x: {verdict(ratio >= m.bar)}"
        for m in measurements
        if m.bar and (ratio := m.ratio("autograd", "fungrad")) is not None
    ]

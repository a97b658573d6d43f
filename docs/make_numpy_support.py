"""Write docs/numpy_support.md: what becomes of each NumPy function that meets a traced array, found by running it.

python docs/make_numpy_support.py            write the file
python docs/make_numpy_support.py --check    exit with 1 if the file is out of date
"""

from __future__ import annotations

import pathlib
import sys
from collections import Counter

import numpy as np

PROJECT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = PROJECT / "docs" / "numpy_support.md"
if str(PROJECT / "tests") not in sys.path:
    sys.path[:0] = [str(PROJECT / "tests"), str(PROJECT)]

from support import (  # noqa: E402
    CONSTANT,
    DIFFERENTIATES,
    KINDS,
    LOOP,
    METHODS,
    NO_ARRAYS,
    NO_DERIVATIVE,
    PROBES,
    REFUSED,
    TAKES_NO_ARRAYS,
    VALUES,
    Probe,
    Verdict,
    exists,
    judge,
    public_functions,
)

TITLES = {
    "numpy": "Functions of `numpy`",
    "numpy.linalg": "Functions of `numpy.linalg`",
    "numpy.fft": "Functions of `numpy.fft`",
    "others": "Classes and arguments of `numpy`",
    "ndarray": "Methods and attributes of arrays",
    "operators": "Operators and Python's own functions",
}
PREFIX = {
    "numpy": "np.",
    "numpy.linalg": "np.linalg.",
    "numpy.fft": "np.fft.",
    "others": "np.",
    "ndarray": "x.",
    "operators": "",
}

HEAD = """# What works on traced arrays

Inside `grad`, `jvp`, `vmap` and the other transforms your arrays are *traced*. This table says what each function of
NumPy does to them. It is made by calling every one of them (`python docs/make_numpy_support.py`), with {version}.

| verdict | meaning |
|---|---|
| {differentiates} | NumPy's value, shape and dtype; right derivatives in forward and in reverse mode |
| {constant} | floating-point results that do not change with the argument (`np.floor`): the derivative is zero |
| {no_derivative} | results that have none: booleans, integers, positions, shapes, dtypes, text. The value is NumPy's |
| {refused} | an error (a `TypeError`, `ValueError` or `IndexError`) that says what to write instead |
| {no_arrays} | never meets a traced array: constructors from sizes, options, queries of dtypes, calendars, files |

*Under vmap*: "{loop}" where the result is that of a loop over the examples; "{values}" where the call needs to know
values (the shape of its result depends on them, or it branches), so that inside `vmap` and `make_jaxpr` it is an error
that says so. Where a function can be traced in several arguments, the verdict is that of the first one, and the
remark tells of the others.
"""


def remark(probes: tuple[Probe, ...], verdicts: list[Verdict]) -> str:
    """The last column: what to write instead, and the verdicts for other arguments."""
    parts = []
    first = probes[0]
    if first.remark:
        parts.append(first.remark)
    if verdicts[0].kind == REFUSED or verdicts[0].vmap not in ("", LOOP, VALUES):
        parts.append(advice(first, verdicts[0]))
    for probe, verdict in list(zip(probes, verdicts, strict=True))[1:]:
        text = f"`{probe.what}`: {verdict.kind}"
        if verdict.kind == REFUSED:
            text += f" ({advice(probe, verdict)})"
        elif verdict.vmap not in (LOOP, verdicts[0].vmap):
            text += f" (under vmap: {verdict.vmap})"
        parts.append(text)
    return "; ".join(part for part in parts if part).replace("|", "\\|").replace("\\\\|", "\\|")


def advice(probe: Probe, verdict: Verdict) -> str:
    """What to write instead."""
    if probe.instead:
        return f"write `{probe.instead}`"
    text = verdict.instead.rstrip(".")
    return text[:1].lower() + text[1:]


def rows(section: str) -> list[tuple[str, str, str, str]]:
    """(function, verdict, under vmap, remark) for each entry of a section that the installed NumPy has."""
    found = []
    for name, probes in PROBES[section].items():
        if exists(section, name):
            verdicts = [judge(name, probe) for probe in probes]
            found.append((PREFIX[section] + name, verdicts[0].kind, verdicts[0].vmap or "–", remark(probes, verdicts)))
    for name in NO_ARRAYS.get(section, ()):
        if name in public_functions(section):
            found.append((PREFIX[section] + name, TAKES_NO_ARRAYS, "–", ""))
    return sorted(found, key=lambda row: row[0].lower())


def ufunc_methods() -> dict[str, dict[str, str]]:
    """Ufunc -> method -> verdict."""
    found: dict[str, dict[str, str]] = {}
    for name, (probe,) in PROBES["ufunc methods"].items():
        ufunc, _, method = name.partition(".")
        found.setdefault(ufunc, {})[method] = judge(name, probe).kind
    return found


def document() -> str:
    """The whole text."""
    sections = {section: rows(section) for section in TITLES}
    methods = ufunc_methods()
    counts = {TITLES[s]: Counter(verdict for _, verdict, _, _ in table) for s, table in sections.items()}
    counts["Methods of ufuncs"] = Counter(kind for kinds in methods.values() for kind in kinds.values())
    lines = [
        HEAD.format(
            version=f"NumPy {np.__version__}",
            differentiates=DIFFERENTIATES,
            constant=CONSTANT,
            no_derivative=NO_DERIVATIVE,
            refused=REFUSED,
            no_arrays=TAKES_NO_ARRAYS,
            loop=LOOP,
            values=VALUES,
        ),
        "## Counts",
        "",
        "| | " + " | ".join([*KINDS[:-1], "all"]) + " |",
        "|---" * (len(KINDS) + 1) + "|",
        *[
            "| " + " | ".join([title, *[str(count[kind]) for kind in KINDS[:-1]], str(count.total())]) + " |"
            for title, count in counts.items()
        ],
    ]
    for section, table in sections.items():
        lines += ["", f"## {TITLES[section]}", "", "| function | verdict | under vmap | remark |", "|---|---|---|---|"]
        lines += [f"| `{name}` | {verdict} | {vmap} | {text} |" for name, verdict, vmap, text in table]
    lines += [
        "",
        "## Methods of ufuncs",
        "",
        "`np.add.reduce(x)` and the like; a dash where NumPy itself has no such method for these numbers.",
        "",
        "| ufunc | " + " | ".join(METHODS) + " |",
        "|---" * (len(METHODS) + 1) + "|",
        *[f"| `np.{u}` | " + " | ".join(kinds.get(m, "–") for m in METHODS) + " |" for u, kinds in methods.items()],
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the document, or with --check compare it."""
    text = document()
    if arguments == ["--check"]:
        current = DOCUMENT.read_text() if DOCUMENT.exists() else ""
        if current != text:
            print(f"{DOCUMENT} is out of date: run python {pathlib.Path(__file__).name}", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

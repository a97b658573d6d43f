"""Run the test-suite of the Array API standard against ``fungrad.numpy``, and against NumPy to compare.

    python tests/array_api/run.py PATH [--compare] [--max-examples N] [-- PYTEST ARGUMENTS]

PATH is a checkout of https://github.com/data-apis/array-api-tests with its submodule (``git clone --recursive``); the
environment variable ARRAY_API_TESTS stands in for it. The suite needs pytest, hypothesis, pytest-json-report and
ndindex: see its requirements.txt.

Without ``--compare``: passes if all tests pass but those of ``xfails.txt`` beside this file, which says why.
With ``--compare``: runs everything twice, for ``fungrad.numpy`` and for ``numpy``, and passes if there is no test that
NumPy passes and ``fungrad.numpy`` does not. Hypothesis draws the same examples in both runs (``--hypothesis-seed``).

Exit status: 0 passed, 1 failed, 2 no suite at PATH.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS, REFERENCE = "fungrad.numpy", "numpy"
VERSION = "2024.12"


def command(xfails: Path, report: Path | None, max_examples: int, seed: int, further: list[str]) -> list[str]:
    """The command that runs the suite, in its directory."""
    arguments = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "-p", "no:cacheprovider"]
    arguments += ["--max-examples", str(max_examples), f"--hypothesis-seed={seed}", "--xfails-file", str(xfails)]
    if report is not None:
        arguments.append(f"--junitxml={report}")
    return arguments + further


def environment(module: str) -> dict[str, str]:
    """The variables that tell the suite which module to test; this repository's fungrad comes first."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "ARRAY_API_TESTS_MODULE": module, "ARRAY_API_TESTS_VERSION": VERSION, "PYTHONPATH": path}


def outcomes(report: Path) -> dict[str, str]:
    """Test -> passed, failed or skipped, of a report in JUnit's format."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = kinds & {"failure", "error"}
        found[f"{case.get('classname')}::{case.get('name')}"] = (
            "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        )
    return found


def worse(ours: dict[str, str], reference: dict[str, str]) -> list[str]:
    """The tests that the reference passes and we do not; one that was not run at all is among them."""
    return sorted(test for test, outcome in reference.items() if outcome == "passed" and ours.get(test) != "passed")


def main(arguments: list[str] | None = None) -> int:
    """Run the suite; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default=os.environ.get("ARRAY_API_TESTS"), help="checkout of the suite")
    parser.add_argument("--compare", action="store_true", help="run NumPy too, and compare test by test")
    parser.add_argument("--max-examples", type=int, default=100, help="how many examples a test draws")
    parser.add_argument("--seed", type=int, default=0, help="where hypothesis starts")
    arguments = sys.argv[1:] if arguments is None else arguments
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, further = parser.parse_args(arguments[:end]), arguments[end + 1 :]
    suite = Path(options.path).resolve() if options.path else None
    if suite is None or not (suite / "array_api_tests").is_dir():
        print(
            f"no array_api_tests in {suite or 'ARRAY_API_TESTS'}: give the path of a checkout of "
            "https://github.com/data-apis/array-api-tests (git clone --recursive)",
            file=sys.stderr,
        )
        return 2

    def run(module: str, xfails: Path, report: Path | None = None) -> int:
        call = command(xfails, report, options.max_examples, options.seed, further)
        return subprocess.run(call, cwd=suite, env=environment(module)).returncode

    if not options.compare:
        return 1 if run(OURS, HERE / "xfails.txt") else 0
    with tempfile.TemporaryDirectory() as directory:
        found = {}
        nothing = Path(directory, "xfails.txt")
        nothing.write_text("")
        for module in (REFERENCE, OURS):
            report = Path(directory, f"{module}.xml")
            run(module, nothing, report)
            if not report.is_file():
                print(f"the suite did not run for {module}", file=sys.stderr)
                return 1
            found[module] = outcomes(report)
    for module, results in found.items():
        counts = ", ".join(f"{list(results.values()).count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
        print(f"{module}: {counts}")
    faults = worse(found[OURS], found[REFERENCE])
    print("\n".join(["NumPy passes and fungrad.numpy does not:", *faults]) if faults else "none that only NumPy passes")
    return 1 if faults or not found[OURS] else 0


if __name__ == "__main__":
    sys.exit(main())

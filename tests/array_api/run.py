"""Run the test-suite of the Array API standard against ``fungrad.numpy``, and against NumPy to compare.

    python tests/array_api/run.py PATH [--compare] [--max-examples N] [-- PYTEST ARGUMENTS]

PATH is a checkout of https://github.com/data-apis/array-api-tests with its submodule (``git clone --recursive``); the
environment variable ARRAY_API_TESTS stands in for it. The suite needs pytest, hypothesis, pytest-json-report and
ndindex: see its requirements.txt.

Without ``--compare``: passes if all tests pass but those of ``xfails.txt`` beside this file, which says why. A line of
it is the beginning of a test's name; lines that fit no failure are named, they may go. The suite's ``--xfails-file`` is
not used: it wants the names of all parameters written out, and passes over what it does not find.
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


def command(report: Path, max_examples: int, seed: int, further: list[str]) -> list[str]:
    """The command that runs the suite, in its directory; examples may take as long as they take."""
    arguments = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--rootdir=.", "-p", "no:cacheprovider"]
    arguments += ["--max-examples", str(max_examples), "--disable-deadline", f"--hypothesis-seed={seed}"]
    return [*arguments, f"--junitxml={report}", *further]


def environment(module: str) -> dict[str, str]:
    """The variables that tell the suite which module to test; this repository's fungrad comes first."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "ARRAY_API_TESTS_MODULE": module, "ARRAY_API_TESTS_VERSION": VERSION, "PYTHONPATH": path}


def name_of(module: str, test: str) -> str:
    """The name of a test as pytest has it: a.test_b.TestC, test_d[1] -> a/test_b.py::TestC::test_d[1]."""
    parts = module.split(".")
    ends = next((k for k, part in enumerate(parts, 1) if part.startswith("test_")), len(parts))
    return "::".join(["/".join(parts[:ends]) + ".py", *parts[ends:], test])


def outcomes(report: Path) -> dict[str, str]:
    """Test -> passed, failed or skipped, of a report in JUnit's format."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        failed = kinds & {"failure", "error"}
        found[name_of(case.get("classname", ""), case.get("name", ""))] = (
            "failed" if failed else "skipped" if "skipped" in kinds else "passed"
        )
    return found


def expected_failures() -> list[str]:
    """The lines of ``xfails.txt``: beginnings of names."""
    lines = (HERE / "xfails.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def unexpected(results: dict[str, str], beginnings: list[str]) -> tuple[list[str], list[str]]:
    """The failures that no line begins, and the lines that begin no failure."""
    failures = sorted(test for test, outcome in results.items() if outcome == "failed")
    faults = [test for test in failures if not test.startswith(tuple(beginnings))]
    return faults, [line for line in beginnings if not any(test.startswith(line) for test in failures)]


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

    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for module in (REFERENCE, OURS) if options.compare else (OURS,):
            report = Path(directory, f"{module}.xml")
            call = command(report, options.max_examples, options.seed, further)
            subprocess.run(call, cwd=suite, env=environment(module))
            found[module] = outcomes(report) if report.is_file() else {}
            if not found[module]:
                print(f"the suite did not run for {module}", file=sys.stderr)
                return 1
    for module, results in found.items():
        counts = ", ".join(f"{list(results.values()).count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
        print(f"{module}: {counts}")
    if options.compare:
        faults, unused = worse(found[OURS], found[REFERENCE]), []
    else:
        faults, unused = unexpected(found[OURS], expected_failures())
    what = "that NumPy passes" if options.compare else "that xfails.txt does not list"
    print("\n".join([f"failures {what}:", *faults]) if faults else f"no failure {what}")
    if unused:
        print("\n".join(["lines of xfails.txt without a failure:", *unused]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

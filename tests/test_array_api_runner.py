"""The script that runs the standard's test-suite: what it takes for a fault, on a suite of three files."""

import textwrap

import pytest
from array_api import run

CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--max-examples", type=int)
    parser.addoption("--disable-deadline", action="store_true")
"""
TESTS = """
import os, pytest
ours = os.environ["ARRAY_API_TESTS_MODULE"] == "fungrad.numpy"
version = os.environ["ARRAY_API_TESTS_VERSION"]

@pytest.mark.parametrize("name", ["add(x1 is nan)", "floor_divide(x1_i is +infinity) -> +infinity"])
def test_binary(name):
    assert version == "2024.12" and "floor_divide" not in name

class TestResults:
    def test_method(self):
        assert not (ours and {ours_fail})

    def test_neither(self):
        pytest.skip()
"""
METHOD = "array_api_tests/test_special_cases.py::TestResults::test_method"


@pytest.fixture
def suite(tmp_path):
    """A maker of checkouts with a suite in which our test fails or not."""

    def make(ours_fail):
        package = tmp_path / "array_api_tests"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (tmp_path / "conftest.py").write_text(CONFTEST)
        (tmp_path / "pytest.ini").write_text("[pytest]")
        (package / "test_special_cases.py").write_text(textwrap.dedent(TESTS).replace("{ours_fail}", str(ours_fail)))
        return str(tmp_path)

    return make


@pytest.mark.parametrize("further", [[], ["--compare"]])
def test_failures_that_are_expected_pass(suite, further, capfd):
    """A line of the list is the beginning of a name; what NumPy fails too is no fault without a list either."""
    assert run.main([suite(False), *further]) == 0
    assert "fungrad.numpy: 2 passed, 1 failed, 1 skipped" in capfd.readouterr().out


@pytest.mark.parametrize("further", [[], ["--compare"]])
def test_other_failures_do_not(suite, further, capfd):
    """The failure is named as pytest names it."""
    assert run.main([suite(True), *further]) == 1
    assert METHOD in capfd.readouterr().out.split("failures that")[1]


def test_a_suite_that_does_not_run_fails(suite):
    """Arguments after -- are pytest's: this one selects nothing."""
    assert run.main([suite(False), "--", "-k", "nothing"]) == 1
    assert run.main(["no/such/directory"]) == 2


def test_lines_without_a_failure_are_named():
    """They may go."""
    results = {"a.py::test_b[1]": "failed", "a.py::test_c": "passed", "a.py::test_d": "failed"}
    assert run.unexpected(results, ["a.py::test_b[", "a.py::test_c"]) == (["a.py::test_d"], ["a.py::test_c"])


@pytest.mark.parametrize(
    ("module", "test", "name"),
    [
        ("array_api_tests.test_a", "test_b[x.y-1]", "array_api_tests/test_a.py::test_b[x.y-1]"),
        ("array_api_tests.test_a.TestB", "test_c", "array_api_tests/test_a.py::TestB::test_c"),
    ],
)
def test_names(module, test, name):
    """Names of the report become those of pytest, which xfails.txt has."""
    assert run.name_of(module, test) == name

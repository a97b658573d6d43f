"""Every function of NumPy meets a traced array: right derivatives, documented absence of one, or fungrad's error.

Never a silent zero, an array of objects, or an error that says nothing. What is called, and how, stands in
``tests/support``; verdicts are computed there.
"""

from __future__ import annotations

import ast
import importlib.util
import pathlib
import re
import warnings
from typing import Any

import numpy as np
import pytest
from support import (
    CONSTANT,
    DIFFERENTIATES,
    FAILED,
    KINDS,
    LOOP,
    NO_ARRAYS,
    NO_DERIVATIVE,
    PROBES,
    REFUSED,
    TAKES_NO_ARRAYS,
    VALUES,
    Probe,
    exists,
    judge,
    public_functions,
    public_members,
    replacement,
)

import fungrad as fg
from fungrad import tree

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "numpy_support.md"

ENTRIES = [(section, name) for section, table in PROBES.items() for name in table if exists(section, name)]


@pytest.mark.parametrize(("section", "name"), ENTRIES, ids=[f"{s} {n}" for s, n in ENTRIES])
def test_function(section: str, name: str) -> None:
    """Each way of calling it has one of the verdicts that there are."""
    for probe in PROBES[section][name]:
        verdict = judge(name, probe)
        assert verdict.kind in KINDS
        assert verdict.kind != FAILED, f"{name} {probe.what}: {verdict.fault}"
        assert verdict.kind != REFUSED or verdict.instead, f"{name} {probe.what}: no replacement"


REPLACED = [(s, n, q) for s, n in ENTRIES for q in PROBES[s][n] if q.instead]


@pytest.mark.parametrize(("section", "name", "probe"), REPLACED, ids=[f"{s} {n} {q.what}" for s, n, q in REPLACED])
def test_replacement(section: str, name: str, probe: Probe) -> None:
    """What the table says to write instead gives the same value, and works under all transforms."""
    names = [
        n for n in ("x", "y") if n in {v.id for v in ast.walk(ast.parse(probe.instead)) if isinstance(v, ast.Name)}
    ]
    fun = eval(f"lambda {', '.join(names)}: {probe.instead}", {"np": np, "fg": fg})
    flat = "5.0)" in probe.instead and "where" not in probe.instead
    written = Probe(
        lambda *xs: fun(*xs[: len(names)]), probe.shapes, probe.domain, probe.dtype, probe.integers, flat=flat
    )
    verdict = judge(name, written)
    assert verdict.kind in (DIFFERENTIATES, CONSTANT, NO_DERIVATIVE), verdict
    assert verdict.vmap == LOOP or isinstance(fun(*probe.operands()[: len(names)]), str)
    if probe.exact:
        args = probe.operands()
        with warnings.catch_warnings(action="ignore"):
            expected = probe.fun(*probe.operands())
        for a, b in zip(tree.leaves(written.fun(*args)), tree.leaves(expected), strict=True):
            assert isinstance(a, str) or np.allclose(np.asarray(a, complex), np.asarray(b, complex))


@pytest.mark.parametrize("module", list(NO_ARRAYS))
def test_all_functions_of_numpy_are_there(module: str) -> None:
    """Each public function of the installed NumPy has a probe, or is among those that take no arrays; not both."""
    listed = set(NO_ARRAYS[module])
    assert not public_functions(module) - set(PROBES[module]) - listed
    assert not listed & set(PROBES[module])


def test_all_members_of_ndarray_are_there() -> None:
    """Each public method and attribute of ndarray has a probe."""
    assert public_members() <= set(PROBES["ndarray"])


# The judge itself: it must find what is wrong


def _detached(x: Any) -> Any:
    return fg.stop_gradient(x) * 2.0


def _not_the_transpose(x: Any) -> Any:
    return x.nothing() if isinstance(x, fg.Tracer) else x


def _objects(x: Any) -> Any:
    return np.array([None] * 3) if isinstance(x, fg.Tracer) else x


def _other_value(x: Any) -> Any:
    return x * (2.0 if isinstance(x, fg.Tracer) else 1.0)


def _other_dtype(x: Any) -> Any:
    return x.astype(np.float32) if isinstance(x, fg.Tracer) else x


def _mixed(x: Any) -> Any:
    return (
        x * np.arange(3.0)
        if isinstance(x, fg.Tracer) and isinstance(fg.core.trace.known_value(x), fg.ShapedArray)
        else x
    )


def _another_name(x: Any) -> Any:
    return x if isinstance(x, fg.Tracer) else x.copy()


def _no_view(x: Any) -> Any:
    return x.copy() if isinstance(x, fg.Tracer) else x[:]


def _view(x: Any) -> Any:
    return x[:] if isinstance(x, fg.Tracer) else x.copy()


def _silent_error(x: Any) -> Any:
    if isinstance(x, fg.Tracer):
        raise fg.errors.UnsupportedOperationError("this does not work")
    return x


@pytest.mark.parametrize(
    ("fun", "fault"),
    [
        (_detached, "tangent"),
        (_not_the_transpose, "AttributeError"),
        (_objects, "array of objects"),
        (_other_value, "value"),
        (_other_dtype, "float32"),
        (_mixed, "vmap"),
        (_silent_error, "no replacement|neither"),
        (_another_name, "is operand 0 itself"),
        (_no_view, "after assignment"),
        (_view, "after assignment"),
        (np.floor, "identically zero"),
        (lambda x: x.shape if isinstance(x, fg.Tracer) else np.float64(1.0), "instead of"),
    ],
)
def test_the_judge_finds(fun: Any, fault: str) -> None:
    """Silent zeros, foreign exceptions, objects, wrong values, dtypes and views, mixed examples, mute refusals."""
    verdict = judge("fun", Probe(fun))
    assert verdict.kind == FAILED, verdict
    assert re.search(fault, verdict.fault), verdict.fault


def test_the_judge_agrees() -> None:
    """Functions of known behaviour."""
    assert judge("sin", Probe(np.sin)).kind == DIFFERENTIATES
    assert judge("floor", Probe(np.floor, flat=True)).kind == CONSTANT
    assert judge("argmax", Probe(np.argmax)).kind == NO_DERIVATIVE
    assert judge("x[mask]", Probe(lambda x: x[x > 0.5])).vmap == VALUES
    assert judge("sin", Probe(np.sin, flat=True)).kind == FAILED
    plain = np.zeros(3)
    refused = judge("sin", Probe(lambda x: np.sin(x, out=plain)))
    assert refused.kind == REFUSED
    assert "np.zeros_like(x)" in refused.instead


def test_replacement_of_a_message() -> None:
    """The advice in a message, without the place in the user's code."""
    assert replacement("f at a.py:3 (in g) does not work; use h(x)") == "use h(x)"
    assert replacement("f at a.py:3 (in g): no. Write h(x). Bye.") == "Write h(x). Bye."
    assert replacement("f does not work") == ""


# The document


def _rows(text: str) -> dict[str, str]:
    """Function -> the rest of its row."""
    return dict(re.findall(r"^\| `(.*?)` \| (.*) \|$", text, re.MULTILINE))


def test_the_document_is_up_to_date() -> None:
    """docs/numpy_support.md is what running the functions gives; with another NumPy, in the rows that both have."""
    if not DOCUMENT.exists():
        pytest.skip("an installed package has no documents beside it")
    spec = importlib.util.spec_from_file_location("make_numpy_support", ROOT / "docs" / "make_numpy_support.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written, made = DOCUMENT.read_text(), script.document()
    if f"NumPy {np.__version__}" in written:
        assert written == made, "run python docs/make_numpy_support.py"
    old, new = _rows(written), _rows(made)
    assert {k: v for k, v in old.items() if k in new} == {k: v for k, v in new.items() if k in old}
    assert FAILED not in written
    assert TAKES_NO_ARRAYS in written

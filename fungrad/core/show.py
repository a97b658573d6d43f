"""Print a jaxpr.

    { lambda a:f64[3] ; b:f64[3]. let
        c:f64[3] = sin b
        d:f64[] = sum[axes=(0,)] c
      in (d,) }

Variables are named a, b, ..., z, ba, ... in the order of their definition; literals show their value and type.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fungrad._util import describe_source

# The IR's classes use this module for their __str__, so it takes jaxprs, equations and atoms by their attributes.
Names = dict[Any, str]


def _name(index: int) -> str:
    letters = ""
    while True:
        index, digit = divmod(index, 26)
        letters = chr(ord("a") + digit) + letters
        if not index:
            return letters


def _names(jaxpr: Any) -> Names:
    names: Names = {}
    for var in (*jaxpr.constvars, *jaxpr.invars, *(v for eqn in jaxpr.eqns for v in eqn.outputs)):
        names.setdefault(var, _name(len(names)))
    return names


def _atom(atom: Any, names: Names) -> str:
    return names.get(atom) or repr(atom)


def _binders(variables: Iterable[Any], names: Names) -> str:
    return " ".join(f"{names.get(v, '?')}:{v.aval!r}" for v in variables)


def _param(value: Any) -> str:
    if hasattr(value, "eqns"):
        return "\n" + _indent(show(value), 6)
    if type(value) is tuple and any(hasattr(v, "eqns") for v in value):
        return f"({', '.join(map(_param, value))})"
    return getattr(value, "__name__", None) or str(value)


def _indent(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())


def _equation(eqn: Any, names: Names, source: bool) -> str:
    params = ", ".join(f"{k}={_param(v)}" for k, v in eqn.params.items())
    text = f"{_binders(eqn.outputs, names)} = {eqn.primitive}{f'[{params}]' if params else ''}"
    text = " ".join([text, *[_atom(a, names) for a in eqn.inputs]])
    return f"{text}  # {describe_source(eqn.source)}" if source and eqn.source else text


def show(jaxpr: Any, source: bool = False) -> str:
    """The text of a jaxpr; with ``source`` each equation names the user's line that it came from."""
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    names = _names(jaxpr)
    head = " ".join(filter(None, ["{ lambda", _binders(jaxpr.constvars, names), ";", _binders(jaxpr.invars, names)]))
    results = ", ".join(_atom(a, names) for a in jaxpr.outvars)
    tail = f"in ({results}{',' if len(jaxpr.outvars) == 1 else ''}) }}"
    if not jaxpr.eqns:
        return f"{head}. let {tail}"
    lines = [_equation(eqn, names, source) for eqn in jaxpr.eqns]
    if len(lines) == 1 and not source and "\n" not in lines[0]:
        return f"{head}. let {lines[0]} {tail}"
    return "\n".join([f"{head}. let", *["    " + line for line in lines], "  " + tail])


def show_equations(jaxpr: Any, start: int, stop: int, mark: int) -> str:
    """Some equations of a jaxpr by their indices, one marked by ``>``, with their source."""
    names = _names(jaxpr)
    rows = list(enumerate(jaxpr.eqns))[start:stop]
    return "\n".join(f"{'>' if k == mark else ' '} {_equation(eqn, names, True)}" for k, eqn in rows)

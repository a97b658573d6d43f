"""What the derivative of a function keeps: the residuals, told by where they come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from fungrad import tree
from fungrad._util import describe_source, fun_name
from fungrad.control.call import Program, call_p
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Literal, Var
from fungrad.core.leaves import arrays, check_callable, path_of
from fungrad.core.record import record_jaxpr
from fungrad.primitives.naming import name_p


class Residual(NamedTuple):
    """A value that a derivative keeps.

    Attributes
    ----------
    aval : ShapedArray
        Its type.
    origin : str
        ``from the argument w['a']``, ``output of sin from file.py:3 (in f)``, ``named 'a' from ...`` or
        ``a constant``.
    """

    aval: ShapedArray
    origin: str

    def __str__(self) -> str:
        return f"{self.aval!r} {self.origin}"


def saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Residual]:
    """What the reverse-mode derivative of ``f`` in all its floating-point arguments keeps until it is used.

    Parameters
    ----------
    f : callable
        A function of pytrees of arrays. It is recorded on types alone, as by `jit`.
    *args, **kwargs
        Arrays, or anything with shape and dtype.

    Returns
    -------
    list of Residual
        Each has an ``aval`` and an ``origin``, and prints as both. Arguments that are kept are listed too; results of
        `jit` keep the same whether they are differentiated inside or outside of it.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.saved_residuals(lambda x, y: x * np.sin(y), 1.0, 2.0)[0].origin
    'from the argument x'
    """
    check_callable("saved_residuals", f)
    leaves, in_tree = tree.flatten((args, kwargs))
    avals = [
        ShapedArray(tuple(x.shape), x.dtype) if hasattr(x, "shape") and hasattr(x, "dtype") else typeof(x)
        for x in leaves
    ]

    def flat(*tracers: Any) -> list[Any]:
        given, keywords = in_tree.unflatten(tracers)
        out = f(*given, **keywords)
        return arrays("saved_residuals", f, out, tree.leaves(out), "result")

    program = Program(record_jaxpr("saved_residuals", flat, avals, f), fun_name(f))
    form = program.linear_form(tuple([is_inexact(a.dtype) for a in avals]))
    closed = form.forward.closed
    names = _argument_names(f, args, kwargs)
    arguments = {v: f"from the argument {n}" for v, n in zip(closed.jaxpr.invars, names, strict=True)}
    found = _Origins(closed, arguments)
    return [Residual(v.aval, found.of(v)) for v in closed.jaxpr.outvars[len(program.out_avals) :]]


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what the reverse-mode derivative of ``f`` keeps, a line each; see `saved_residuals`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.print_saved_residuals(lambda x: np.sin(x) * 2.0, np.ones(3))
    f64[3] output of cos from <doctest fungrad.control.residuals.print_saved_residuals[1]>:1 (in <lambda>)
    """
    for residual in saved_residuals(f, *args, **kwargs):
        print(residual)


def _argument_names(f: Any, args: Any, kwargs: Any) -> list[str]:
    """The name and the path of each leaf: ``w['a'][0]``."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for k, x in enumerate(args):
        own = k < len(parameters) and parameters[k].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        )
        names.extend(
            [(parameters[k].name if own else f"args[{k}]") + path_of(x, i) for i in range(len(tree.leaves(x)))]
        )
    for name in sorted(kwargs):
        names.extend([name + path_of(kwargs[name], i) for i in range(len(tree.leaves(kwargs[name])))])
    return names


class _Origins:
    """Where the values of a jaxpr come from, through the calls in it."""

    def __init__(self, closed: ClosedJaxpr, arguments: dict[Var, str]) -> None:
        self.arguments = arguments
        self.made = {v: e for e in closed.eqns for v in e.outputs}
        self.named = {e.inputs[0]: e for e in closed.eqns if e.primitive is name_p}

    def of(self, atom: Atom) -> str:
        """In words."""
        if isinstance(atom, Literal):
            return "a constant"
        if atom in self.named:
            return self._text(self.named[atom])
        if atom in self.arguments:
            return self.arguments[atom]
        eqn = self.made.get(atom)
        if eqn is None:
            return "a constant"
        if eqn.primitive is not call_p:
            return self._text(eqn)
        inner: ClosedJaxpr = eqn.params["program"].closed
        given = {v: self.of(a) for v, a in zip(inner.jaxpr.invars, eqn.inputs, strict=True)}
        return _Origins(inner, given).of(inner.jaxpr.outvars[eqn.outputs.index(atom)])

    def _text(self, eqn: Equation) -> str:
        what = f"named {eqn.params['name']!r}" if eqn.primitive is name_p else f"output of {eqn.primitive}"
        return f"{what} from {describe_source(eqn.source)}"

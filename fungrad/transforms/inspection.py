"""make_jaxpr, eval_jaxpr, eval_shape: look at the IR of a function, run it, or ask only for types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Jaxpr
from fungrad.core.leaves import arrays, as_array, check_callable, is_operand, path_of, wraps
from fungrad.core.record import record_jaxpr
from fungrad.errors import TransformTypeError, TransformValueError


def _aval_of(transform: str, fun: Any, target: Any, k: int, x: Any) -> ShapedArray:
    if is_operand(x):
        return typeof(x)
    if hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, np.ndarray):
        return ShapedArray(tuple(x.shape), x.dtype)
    return typeof(as_array(transform, fun, x, f"argument{path_of(target, k)}"))


def _record(
    transform: str, fun: Any, args: Any, kwargs: Any, static: frozenset[int], prune: bool
) -> tuple[ClosedJaxpr, Any]:
    dynamic = (tuple([a for i, a in enumerate(args) if i not in static]), kwargs)
    leaves, treedef = tree.flatten(dynamic)
    avals = [_aval_of(transform, fun, dynamic, k, x) for k, x in enumerate(leaves)]
    trees: list[Any] = []

    def flat(*tracers: Any) -> list[Any]:
        given, keywords = treedef.unflatten(tracers)
        rest = iter(given)
        out = fun(*[a if i in static else next(rest) for i, a in enumerate(args)], **keywords)
        out_leaves, out_tree = tree.flatten(out)
        trees.append(out_tree)
        return arrays(transform, fun, out, out_leaves, "result")

    return record_jaxpr(transform, flat, avals, fun, prune), trees[0]


def make_jaxpr(
    fun: Callable[..., Any], static_argnums: int | Sequence[int] = (), return_shape: bool = False
) -> Callable[..., Any]:
    """Make a function that returns the jaxpr of ``fun`` instead of its result.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays. It is recorded on types alone, so Python control flow on values is an error.
    static_argnums : int or sequence of int
        Positional arguments that are passed on as they are.
    return_shape : bool
        Return also the tree of the result's types.

    Returns
    -------
    callable
        With the arguments of ``fun`` (arrays, or anything with shape and dtype); returns a ClosedJaxpr, which prints as
        text (``fungrad.show_jaxpr(j, source=True)`` adds the user's lines).

    Raises
    ------
    TracerBoolConversionError, TracerIntegerConversionError
        Where Python needs a value.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> print(fg.make_jaxpr(lambda x: np.sin(x) * 2.0)(1.0))
    { lambda ; a:f64[]. let
        b:f64[] = sin a
        c:f64[] = mul b 2.0:f64[]
      in (c,) }
    """
    check_callable("make_jaxpr", fun)
    static = frozenset([static_argnums] if isinstance(static_argnums, int) else static_argnums)

    @wraps(fun, "make_jaxpr")
    def make(*args: Any, **kwargs: Any) -> Any:
        positions = frozenset(
            i % len(args) if -len(args) <= i < len(args) else _out_of_range(i, len(args)) for i in static
        )
        closed, out_tree = _record("make_jaxpr", fun, args, kwargs, positions, prune=False)
        return (closed, out_tree.unflatten(closed.out_avals)) if return_shape else closed

    return make


def _out_of_range(i: int, n: int) -> int:
    raise TransformValueError(
        f"fungrad.make_jaxpr: static_argnums={i} is out of range for a call with {n} positional arguments"
    )


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The types of the result of ``fun`` without computing anything.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays.
    *args, **kwargs
        Arrays, or anything with shape and dtype (``fungrad.ShapeDtypeStruct``).

    Returns
    -------
    pytree of ShapeDtypeStruct
        With attributes ``shape`` and ``dtype``.

    Raises
    ------
    TracerBoolConversionError, TracerIntegerConversionError
        Where Python needs a value.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.eval_shape(np.matmul, fg.ShapeDtypeStruct((2, 3), float), np.ones((3, 4)))
    f64[2,4]
    """
    check_callable("eval_shape", fun)
    closed, out_tree = _record("eval_shape", fun, args, kwargs, frozenset(), prune=True)
    return out_tree.unflatten(closed.out_avals)


def eval_jaxpr(jaxpr: Jaxpr | ClosedJaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """Evaluate a jaxpr on flat arguments.

    Parameters
    ----------
    jaxpr : Jaxpr or ClosedJaxpr
        What `make_jaxpr` returns, or its ``.jaxpr``.
    consts : sequence of arrays
        Values of its constants (``closed.consts``); ignored for a ClosedJaxpr with ``()``.
    *args : arrays
        One per input variable.

    Returns
    -------
    list of arrays

    Raises
    ------
    TransformTypeError
        If the number of constants or arguments is not that of the jaxpr.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> j = fg.make_jaxpr(np.sin)(0.0)
    >>> fg.eval_jaxpr(j.jaxpr, j.consts, 0.0)
    [np.float64(0.0)]
    """
    closed = (
        jaxpr
        if isinstance(jaxpr, ClosedJaxpr) and not consts
        else ClosedJaxpr(jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr, consts)
    )
    for what, expected, received in (
        ("constants", closed.jaxpr.constvars, closed.consts),
        ("arguments", closed.jaxpr.invars, args),
    ):
        if len(expected) != len(received):
            raise TransformTypeError(f"fungrad.eval_jaxpr: the jaxpr has {len(expected)} {what}, got {len(received)}")
    return evaluate(closed, args)

"""custom_gradient, closure_convert, linear_call: rules in other forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.control.custom_vjp import custom_vjp
from fungrad.control.rule_program import hoisted
from fungrad.core.aval import FLOAT0, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.leaves import arrays, check_callable, wraps
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer, newest
from fungrad.errors import TransformTypeError


def custom_gradient(fun: Callable[..., Any]) -> Any:
    """Give a function its derivative by what it returns: the result, and a function for the cotangents.

    Parameters
    ----------
    fun : callable
        ``fun(*args) -> (result, pull)`` where ``pull(ct)`` is the tuple of the cotangents of the arguments, or the
        cotangent itself where there is one argument; None is zero.

    Returns
    -------
    custom_vjp
        A function with the arguments of ``fun`` that returns the result alone.

    Examples
    --------
    >>> import fungrad as fg
    >>> @fg.custom_gradient
    ... def square(x):
    ...     return x**2, lambda g: g * x
    >>> square(3.0), fg.grad(square)(3.0)
    (9.0, np.float64(3.0))
    """
    check_callable("custom_gradient", fun)

    def result_and_pull(args: tuple[Any, ...]) -> tuple[Any, Any]:
        returned = fun(*args)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2 or not callable(returned[1]):
            raise TransformTypeError(
                f"fungrad.custom_gradient: {describe_function(fun)} must return a pair (result, function for the "
                f"cotangents), got {type(returned).__name__}"
            )
        return returned[0], returned[1]

    def result(*args: Any) -> Any:
        return result_and_pull(args)[0]

    def fwd(*args: Any) -> tuple[Any, Any]:
        out, pull = result_and_pull(args)
        recording = newest(tree.leaves(args))
        if recording is None or not recording.abstract:
            return out, (_Function(pull), [], args)
        # The arrays that it closes over end with the recording of this rule: they are residuals.
        converted, consts = closure_convert(pull, tree.map(_cotangent_of, out))
        return out, (_Function(converted), consts, args)

    def bwd(residuals: Any, ct: Any) -> tuple[Any, ...]:
        pull, consts, args = residuals
        cts = pull.fun(ct, *consts)
        return (cts,) if len(args) == 1 and not (isinstance(cts, tuple) and len(cts) == 1) else cts  # type: ignore[no-any-return]

    wrapped = custom_vjp(wraps(fun, "custom_gradient")(result))
    wrapped.__wrapped__ = fun
    wrapped.defvjp(fwd, bwd)
    return wrapped


class _Function:
    """A function among residuals: a leaf that is no array."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.fun = fun


def _cotangent_of(x: Any) -> Any:
    aval = typeof(x)
    if is_inexact(aval.dtype):
        return np.broadcast_to(aval.dtype.type(0), aval.shape)
    return np.zeros(aval.shape, FLOAT0)


def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """Turn the traced arrays that a function closes over into arguments.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays; it is recorded on types alone.
    *example_args
        Arguments like those that it will be called with.

    Returns
    -------
    tuple
        ``(converted, consts)``: ``converted(*args, *consts)`` computes ``fun(*args)``. ``consts`` is a list of the
        arrays that are traced, and empty where nothing is.

    Notes
    -----
    A rule of `custom_vjp` knows of arguments only. With this a function-valued argument becomes one that is static
    (nondiff_argnums) and arrays that are differentiated.

    Examples
    --------
    >>> import fungrad as fg
    >>> def scaled(x, y):
    ...     converted, consts = fg.closure_convert(lambda x: x * y, x)
    ...     return converted(x, *consts)
    >>> fg.grad(scaled, 1)(2.0, 3.0)
    np.float64(2.0)
    """
    check_callable("closure_convert", fun)
    leaves, treedef = tree.flatten(example_args)
    avals = [typeof(x) for x in arrays("closure_convert", fun, example_args, leaves, "argument")]
    trees: list[Any] = []

    def flat(*xs: Any) -> list[Any]:
        out = fun(*treedef.unflatten(xs))
        found, out_tree = tree.flatten(out)
        trees.append(out_tree)
        return arrays("closure_convert", fun, out, found, "result")

    closed = record_jaxpr("closure_convert", flat, avals, fun)
    consts = list({(id(c.recording), c.id): c for c in closed.consts if type(c) is Tracer}.values())
    whole = hoisted(closed, consts, len(avals))

    @wraps(fun, "closure_convert")
    def converted(*args: Any) -> Any:
        given, received = tree.flatten(args[: len(args) - len(consts)])
        if received != treedef:
            raise TransformTypeError(
                f"the function that fungrad.closure_convert made of {describe_function(fun)} takes arguments with the "
                f"tree structure of the examples, {treedef}, and {len(consts)} more, got {received}"
            )
        return trees[0].unflatten(evaluate(whole, [*given, *args[len(args) - len(consts) :]]))

    return converted, consts


def linear_call(
    fun: Callable[..., Any], fun_transpose: Callable[..., Any], residual_args: Any, linear_args: Any
) -> Any:
    """Call a linear function, giving its transpose.

    Parameters
    ----------
    fun : callable
        ``fun(residual_args, linear_args)``, linear in the latter.
    fun_transpose : callable
        ``fun_transpose(residual_args, ct)`` -> the cotangent of ``linear_args``, of its tree and types.
    residual_args, linear_args : pytree

    Returns
    -------
    pytree
        What ``fun`` returns. Its derivative in ``linear_args`` is ``fun`` itself forwards and ``fun_transpose``
        backwards, at every order; that in ``residual_args`` is that of the code of ``fun``.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> def divide(x, y):
    ...     return fg.linear_call(lambda y, x: x / y, lambda y, ct: ct / y, y, x)
    >>> fg.grad(divide)(3.0, 2.0), fg.grad(divide, 1)(3.0, 2.0)
    (np.float64(0.5), np.float64(-0.75))
    """
    check_callable("linear_call", fun)
    check_callable("linear_call", fun_transpose)

    @custom_vjp
    def forwards(x: Any) -> Any:
        return fun(residual_args, x)

    @custom_vjp
    def backwards(ct: Any) -> Any:
        return fun_transpose(residual_args, ct)

    forwards.defvjp(lambda x: (forwards(x), None), lambda _, ct: (backwards(ct),))
    backwards.defvjp(lambda ct: (backwards(ct), None), lambda _, x: (forwards(x),))
    forwards.defjvp(lambda primals, tangents: (forwards(*primals), forwards(*tangents)))
    backwards.defjvp(lambda primals, tangents: (backwards(*primals), backwards(*tangents)))
    return forwards(linear_args)

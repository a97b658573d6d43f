"""grad, value_and_grad and elementwise_grad: reverse mode for scalar (or elementwise) functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray
from fungrad.core.leaves import check_callable, wraps
from fungrad.errors import NonDifferentiableError, TransformTypeError
from fungrad.primitives.structural import ones
from fungrad.transforms.arguments import (
    Argnames,
    Argnums,
    Leaves,
    Selection,
    check_differentiable,
)
from fungrad.transforms.linearized import Result


def value_and_grad(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames = None,
) -> Callable[..., Any]:
    """Make a function that evaluates ``fun`` and its gradient.

    Parameters
    ----------
    fun : callable
        A function of arrays (or pytrees of them) that returns a real scalar: shape ``()``.
    argnums : int or sequence of int, optional
        Which positional arguments to differentiate with respect to; negative ones count from the end. Default 0.
    has_aux : bool
        True if ``fun`` returns a pair (scalar, aux); aux may be any pytree and is not differentiated.
    holomorphic : bool
        True if ``fun`` is holomorphic: then inputs and output must be complex.
    allow_int : bool
        Accept integer and boolean arrays among the inputs; their gradient is zeros of dtype float0.
    argnames : str or sequence of str, optional
        Arguments to differentiate with respect to, by name. Alone it replaces argnums; with both, the gradient is a
        pair (by position, by name).

    Returns
    -------
    callable
        With the arguments of ``fun``; returns ``(value, gradient)``, or ``((value, aux), gradient)`` with aux. For an
        int argnums the gradient has the tree, shapes and dtypes of that argument; for a sequence it is a tuple of such;
        for a str it is that argument's, for a sequence of str a dict.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        If the result is not a real scalar, an input is an integer or no array, or argnums is out of range.

    Notes
    -----
    The cost is that of one evaluation and one reverse pass, at most about five times that of ``fun`` whatever the
    number of inputs. For complex inputs the gradient of a real function is df/dx - 1j df/dy: follow its
    conjugate downhill.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return value_and_gradient_of("value_and_grad", fun, argnums, argnames, has_aux, holomorphic, allow_int)


def grad(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames = None,
) -> Callable[..., Any]:
    """Make a function that evaluates the gradient of ``fun``.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, allow_int, argnames
        As for `value_and_grad`.

    Returns
    -------
    callable
        With the arguments of ``fun``; returns the gradient, or ``(gradient, aux)`` with aux.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        As for `value_and_grad`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> fg.grad(lambda x, y: x * y**2, argnums=(0, 1))(3.0, 2.0)
    (np.float64(4.0), np.float64(12.0))
    """
    return value_and_gradient_of("grad", fun, argnums, argnames, has_aux, holomorphic, allow_int)


def value_and_gradient_of(
    transform: str,
    fun: Any,
    argnums: Argnums,
    argnames: Argnames = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """`value_and_grad` under the name of the transform that uses it; for "grad" without the value."""
    check_callable(transform, fun)

    @wraps(fun, transform)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        chosen = Selection(transform, fun, args, kwargs, argnums, argnames)
        leaves = Leaves(transform, fun, chosen.target, "argument")
        check_differentiable(transform, fun, leaves, chosen.target, allow_int, holomorphic)
        result = Result(transform, fun, chosen.call, leaves, has_aux)
        if len(result.values) != 1 or not tree.treedef_is_leaf(result.treedef):
            raise TransformTypeError(
                f"fungrad.{transform} needs a function that returns one scalar, but {describe_function(fun)} returned "
                f"a pytree {result.treedef}. Return the scalar alone (has_aux=True carries extra results), or use "
                "fungrad.jacrev or fungrad.vjp."
            )
        aval = result.avals[0]
        _check_scalar(transform, fun, aval, holomorphic)
        gradient = leaves.derivative(result.linearization.pull([ones(aval)], consume=True))
        if transform == "grad":
            return (gradient, result.aux) if has_aux else gradient
        value = result.values[0]
        return ((value, result.aux) if has_aux else value), gradient

    return value_and_gradient


def _check_scalar(transform: str, fun: Any, aval: ShapedArray, holomorphic: bool) -> None:
    if aval.shape == () and aval.dtype.kind == ("c" if holomorphic else "f"):
        return
    who = describe_function(fun)
    if aval.shape != ():
        fix = (
            "index the result with [0] or call .sum() on it"
            if aval.size == 1
            else "reduce it (.sum(), .mean()), pick an element, or use fungrad.jacobian / fungrad.elementwise_grad"
        )
        raise TransformTypeError(
            f"fungrad.{transform} is only defined for scalar-output functions; the output of {who} had shape "
            f"{aval.shape} (type {aval!r}): {fix}."
        )
    if aval.dtype.kind not in "fc":
        raise NonDifferentiableError(
            f"fungrad.{transform} needs a real floating-point output, but {who} returned {aval!r}: integers and "
            "booleans have no derivative"
        )
    if holomorphic and aval.dtype.kind != "c":
        raise NonDifferentiableError(
            f"fungrad.{transform}(holomorphic=True) needs a complex output, but {who} returned {aval!r}"
        )
    raise NonDifferentiableError(
        f"fungrad.{transform} needs a real output, but {who} returned {aval!r}. For a holomorphic function pass "
        "holomorphic=True; else return a real number such as abs(z)**2 or z.real."
    )


def elementwise_grad(
    fun: Callable[..., Any], argnums: Argnums = None, has_aux: bool = False, *, argnames: Argnames = None
) -> Callable[..., Any]:
    """Make a function that evaluates the derivative of an elementwise function at each element of an array.

    Parameters
    ----------
    fun : callable
        A function of arrays whose result may have any shape.
    argnums, has_aux, argnames
        As for `grad`.

    Returns
    -------
    callable
        With the arguments of ``fun``; returns the sum over the outputs' derivatives, which for a function that works
        element by element is the derivative of each element, in one reverse pass.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.elementwise_grad(np.square)(np.array([1.0, 2.0, 3.0]))
    array([2., 4., 6.])
    """
    check_callable("elementwise_grad", fun)

    @wraps(fun, "elementwise_grad")
    def derivative(*args: Any, **kwargs: Any) -> Any:
        chosen = Selection("elementwise_grad", fun, args, kwargs, argnums, argnames)
        leaves = Leaves("elementwise_grad", fun, chosen.target, "argument")
        check_differentiable("elementwise_grad", fun, leaves, chosen.target, False, False)
        result = Result("elementwise_grad", fun, chosen.call, leaves, has_aux)
        for aval in result.avals:
            if aval.dtype.kind != "f":
                raise NonDifferentiableError(
                    f"fungrad.elementwise_grad needs real floating-point outputs, but {describe_function(fun)} "
                    f"returned {aval!r}"
                )
        out = leaves.derivative(result.linearization.pull([ones(a) for a in result.avals], consume=True))
        return (out, result.aux) if has_aux else out

    return derivative

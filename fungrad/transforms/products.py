"""jvp, vjp, linearize, linear_transpose, hvp: products with the Jacobian, its transpose, and the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import check_callable, path_of
from fungrad.core.memory import snapshot
from fungrad.core.record import record_jaxpr, result_value
from fungrad.core.trace import Recording
from fungrad.errors import NonLinearError, TransformTypeError
from fungrad.interpreters.transpose import backward
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import zeros
from fungrad.transforms.arguments import Leaves, check_differentiable, check_same_tree, check_tangents
from fungrad.transforms.gradient import value_and_gradient_of
from fungrad.transforms.linear_maps import LinearMap, PullBack, Signature
from fungrad.transforms.linearized import Result


def _primals_and_tangents(transform: str, fun: Any, primals: Any, tangents: Any) -> tuple[Leaves, list[Any]]:
    for what, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, (tuple, list)):
            raise TransformTypeError(
                f"fungrad.{transform}: {what} must be a tuple or list with one entry per argument, got "
                f"{type(x).__name__}; write ({what[:-1]},)"
            )
    leaves = Leaves(transform, fun, tuple(primals), "primals")
    values, treedef = tree.flatten(tuple(tangents))
    check_same_tree(transform, "tangents", leaves.treedef, treedef)
    return leaves, check_tangents(transform, "tangents", leaves.avals, values, lambda k: path_of(tuple(primals), k))


def jvp(fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """Push a tangent through ``fun``: forward mode, the Jacobian-vector product.

    Parameters
    ----------
    fun : callable
        A function of positional arguments; arguments and results are pytrees of arrays.
    primals, tangents : tuple or list
        The arguments and their perturbations, of the same tree, shapes and dtypes. The tangent of an integer or
        boolean array is ``np.zeros(shape, fungrad.float0)``.
    has_aux : bool
        True if ``fun`` returns a pair (result, aux).

    Returns
    -------
    tuple
        ``(result, tangent of the result)``, followed by aux if has_aux.

    Raises
    ------
    TransformTypeError, TransformValueError
        If the trees, shapes or dtypes of primals and tangents differ.

    Notes
    -----
    One forward pass gives one column's worth of the Jacobian: n passes for a function of n inputs.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    check_callable("jvp", fun)
    leaves, active = _primals_and_tangents("jvp", fun, primals, tangents)
    result = Result("jvp", fun, lambda target: fun(*target), leaves, has_aux)
    out = result.tangent(result.linearization.push(active, consume=True))
    return (result.value(), out, result.aux) if has_aux else (result.value(), out)


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Evaluate ``fun`` and make its pull-back: reverse mode, the vector-Jacobian product.

    Parameters
    ----------
    fun : callable
        A function of positional arguments; arguments and results are pytrees of arrays.
    *primals
        The arguments.
    has_aux : bool
        True if ``fun`` returns a pair (result, aux).

    Returns
    -------
    tuple
        ``(result, vjp_fun)``, followed by aux if has_aux. ``vjp_fun(cotangent)`` takes the tree, shapes and dtypes of
        the result and always returns a tuple with one entry per primal; it can be called any number of times.

    Raises
    ------
    TransformTypeError, TransformValueError
        By ``vjp_fun``, if the cotangent's tree, shape or dtype is not that of the result.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> y, pull = fg.vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> pull(1.0)
    (np.float64(4.0), np.float64(3.0))
    """
    check_callable("vjp", fun)
    leaves = Leaves("vjp", fun, tree.map(snapshot, primals), "primals")
    result = Result("vjp", fun, lambda target: fun(*target), leaves, has_aux)
    lin = result.linearization
    pull = PullBack(
        Signature("vjp", False, result.treedef, tuple(result.avals), leaves.treedef, tuple(leaves.avals)), lin
    )
    return result.detached_and(pull, has_aux)


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Evaluate ``fun`` and make its linear approximation at these primals.

    Parameters
    ----------
    fun : callable
        A function of positional arguments; arguments and results are pytrees of arrays.
    *primals
        The point.
    has_aux : bool
        True if ``fun`` returns a pair (result, aux).

    Returns
    -------
    tuple
        ``(result, f_jvp)``, followed by aux if has_aux. ``f_jvp(*tangents)`` is the tangent of the result: the same as
        `jvp`, but everything that depends on the point alone has been computed once. Its program is ``f_jvp.jaxpr``.

    Raises
    ------
    TransformTypeError, TransformValueError
        By ``f_jvp``, if the tangents do not have the primals' tree, shapes and dtypes.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> y, f_jvp = fg.linearize(np.exp, 0.0)
    >>> f_jvp(3.0)
    np.float64(3.0)
    >>> print(f_jvp.jaxpr)
    { lambda ; a:f64[]. let b:f64[] = mul a 1.0:f64[] in (b,) }
    """
    check_callable("linearize", fun)
    leaves = Leaves("linearize", fun, tree.map(snapshot, primals), "primals")
    result = Result("linearize", fun, lambda target: fun(*target), leaves, has_aux)
    lin = result.linearization
    signature = Signature("linearize", True, leaves.treedef, tuple(leaves.avals), result.treedef, tuple(result.avals))
    linear = LinearMap(signature, lin.linear_jaxpr())
    return result.detached_and(linear, has_aux)


def linear_transpose(fun: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """Transpose a function that is linear in its arguments.

    Parameters
    ----------
    fun : callable
        A linear function of positional arguments; it is recorded on types alone.
    *primals
        Examples of the arguments: arrays, or anything with ``shape`` and ``dtype`` (``fungrad.ShapeDtypeStruct``).

    Returns
    -------
    callable
        Takes a cotangent of the result, returns a tuple of cotangents of the arguments.

    Raises
    ------
    NonLinearError
        If ``fun`` is not linear; names the primitive and the user's line.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> transposed = fg.linear_transpose(lambda x: 3.0 * x[:2], np.zeros(3))
    >>> transposed(np.array([1.0, 2.0]))
    (array([3., 6., 0.]),)
    """
    check_callable("linear_transpose", fun)
    values, treedef = tree.flatten(primals)
    in_avals = [ShapedArray(tuple(x.shape), x.dtype) if hasattr(x, "dtype") else typeof(x).strong() for x in values]
    recording = Recording(True, "linear_transpose", fun)
    inputs = [recording.new_input(a) for a in in_avals]
    in_ids = [t.id for t in inputs]  # now: the function may assign to its arguments
    try:
        out_leaves, out_tree = tree.flatten(fun(*treedef.unflatten(inputs)))
    finally:
        entries = recording.end()
    outs = [result_value(x, recording) for x in out_leaves]
    for x, i in outs:
        if i is None and (not isinstance(x, (int, float, complex, np.generic, np.ndarray)) or np.any(x)):
            raise NonLinearError(
                f"the result of {describe_function(fun)} holds a constant that is not zero: the function is affine or "
                "constant, not linear"
            )
    out_avals = [typeof(x) for x, _ in outs]

    def pull(*cts: Any) -> list[Any]:
        known: list[Any] = [None] * size
        for (_, i), ct in zip(outs, cts, strict=True):
            if i is not None:
                known[i] = ct if known[i] is None else add(known[i], ct)
        backward(entries, known)
        return [zeros(a) if known[i] is None else known[i] for i, a in zip(in_ids, in_avals, strict=True)]

    size = recording.fresh()
    jaxpr = record_jaxpr("linear_transpose", pull, [a.strong() for a in out_avals], fun)
    return LinearMap(Signature("linear_transpose", False, out_tree, tuple(out_avals), treedef, tuple(in_avals)), jaxpr)


def hvp(fun: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The Hessian of a scalar function times a vector, without forming the Hessian: forward over reverse.

    Parameters
    ----------
    fun : callable
        A function of positional arguments that returns a real scalar.
    primals, tangents : tuple or list
        The arguments and the vector, of the same tree, shapes and dtypes.

    Returns
    -------
    pytree
        H v with the tree of the argument; a tuple of such if there are several primals.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        As for `grad` and `jvp`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])
    """
    check_callable("hvp", fun)
    if isinstance(primals, (tuple, list)):
        check_differentiable("hvp", fun, Leaves("hvp", fun, tuple(primals), "primals"), tuple(primals), False, False)
    leaves, active = _primals_and_tangents("hvp", fun, primals, tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    gradient = value_and_gradient_of("hvp", fun, argnums)
    result = Result("hvp", fun, lambda target: gradient(*target)[1], leaves, False)
    return result.tangent(result.linearization.push(active, consume=True))

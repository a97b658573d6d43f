"""jvp, vjp, linearize, linear_transpose, hvp: products with the Jacobian, its transpose, and the Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.record import record_jaxpr, result_value
from fungrad.core.trace import Recording
from fungrad.errors import NonLinearError, TransformTypeError
from fungrad.interpreters.linearize import Linearization
from fungrad.interpreters.transpose import backward
from fungrad.primitives.arithmetic import add
from fungrad.primitives.structural import zeros
from fungrad.transforms.arguments import (
    Leaves,
    check_callable,
    check_same_tree,
    check_tangents,
    float0_zeros,
    path_of,
)
from fungrad.transforms.gradient import grad
from fungrad.transforms.linearized import Result


def _out_tangents(avals: Sequence[ShapedArray], tangents: Sequence[Any]) -> list[Any]:
    """Tangents of the results, float0 zeros for integers and booleans."""
    return [t if is_inexact(a.dtype) else float0_zeros(a) for a, t in zip(avals, tangents, strict=True)]


def _primals_and_tangents(transform: str, primals: Any, tangents: Any) -> tuple[Leaves, list[Any]]:
    for what, x in (("primals", primals), ("tangents", tangents)):
        if not isinstance(x, (tuple, list)):
            raise TransformTypeError(
                f"fungrad.{transform}: {what} must be a tuple or list with one entry per argument, got {type(x).__name__}; write ({what[:-1]},)"
            )
    leaves = Leaves(transform, tuple(primals), "primals")
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
    leaves, active = _primals_and_tangents("jvp", primals, tangents)
    result = Result("jvp", fun, lambda target: fun(*target), leaves, has_aux)
    lin = result.linearization
    out = result.treedef.unflatten(_out_tangents(lin.out_avals, lin.push(active, consume=True)))
    return (result.value(), out, result.aux) if has_aux else (result.value(), out)


class PullBack:
    """The function that `vjp` returns: cotangents of the result to cotangents of the primals."""

    __slots__ = ("_leaves", "_linearization", "_out_paths", "_treedef")

    def __init__(self, leaves: Leaves, result: Result) -> None:
        self._leaves = leaves
        self._linearization = result.linearization
        self._treedef = result.treedef

    def __call__(self, cotangent: Any) -> tuple[Any, ...]:
        """The cotangents of the primals, a tuple with one entry per primal."""
        values, treedef = tree.flatten(cotangent)
        check_same_tree("vjp", "the cotangent", self._treedef, treedef)
        lin = self._linearization
        active = iter(check_tangents("vjp", "the cotangent", lin.out_avals, values, lambda k: path_of(cotangent, k)))
        cts = [next(active) if is_inexact(a.dtype) else None for a in lin.out_avals]
        return self._leaves.derivative(lin.pull(cts))  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<vjp function of {self._linearization.out_avals} -> {self._linearization.in_avals}>"


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
        ``(result, vjp_fun)``, followed by aux if has_aux. ``vjp_fun(cotangent)`` takes the tree, shapes and dtypes of the
        result and always returns a tuple with one entry per primal; it can be called any number of times.

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
    leaves = Leaves("vjp", primals, "primals")
    result = Result("vjp", fun, lambda target: fun(*target), leaves, has_aux)
    pull = PullBack(leaves, result)
    return (result.value(), pull, result.aux) if has_aux else (result.value(), pull)


class LinearMap:
    """A linear function of pytrees, held as a jaxpr: what `linearize` and `linear_transpose` return.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
        The linear program; what depends on the point alone is among its constants.
    """

    __slots__ = ("_expected", "_finish", "_transform", "_treedef", "jaxpr")

    def __init__(
        self, transform: str, jaxpr: ClosedJaxpr, expected: Sequence[ShapedArray], treedef: Any, finish: Callable[[list[Any]], Any]
    ) -> None:
        self.jaxpr = jaxpr
        self._transform = transform
        self._expected = expected
        self._treedef = treedef
        self._finish = finish

    def __call__(self, *args: Any) -> Any:
        """Apply the map."""
        argument = args if self._transform == "linearize" else args[0]
        values, treedef = tree.flatten(argument)
        check_same_tree(self._transform, "the argument", self._treedef, treedef)
        active = check_tangents(self._transform, "the argument", self._expected, values, lambda k: path_of(argument, k))
        return self._finish(evaluate(self.jaxpr, active))


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
        ``(result, f_jvp)``, followed by aux if has_aux. ``f_jvp(*tangents)`` is the tangent of the result: the same as `jvp`, but
        everything that depends on the point alone has been computed once. Its program is ``f_jvp.jaxpr``.

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
    leaves = Leaves("linearize", primals, "primals")
    result = Result("linearize", fun, lambda target: fun(*target), leaves, has_aux)
    lin: Linearization = result.linearization

    def finish(outs: list[Any]) -> Any:
        return result.treedef.unflatten(_out_tangents(lin.out_avals, outs))

    linear = LinearMap("linearize", lin.linear_jaxpr(), leaves.avals, leaves.treedef, finish)
    return (result.value(), linear, result.aux) if has_aux else (result.value(), linear)


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
    try:
        out_leaves, out_tree = tree.flatten(fun(*treedef.unflatten(inputs)))
    finally:
        entries = recording.end()
    outs = [result_value(x, recording) for x in out_leaves]
    for x, i in outs:
        if i is None and (not isinstance(x, (int, float, complex, np.generic, np.ndarray)) or np.any(x)):
            raise NonLinearError(f"the result of {fun!r} holds a constant that is not zero: the function is affine or constant, not linear")
    out_avals = [typeof(x) for x, _ in outs]

    def pull(*cts: Any) -> list[Any]:
        known: list[Any] = [None] * size
        for (_, i), ct in zip(outs, cts, strict=True):
            if i is not None:
                known[i] = ct if known[i] is None else add(known[i], ct)
        backward(entries, known)
        return [zeros(a) if known[t.id] is None else known[t.id] for t, a in zip(inputs, in_avals, strict=True)]

    size = recording.fresh()
    jaxpr = record_jaxpr("linear_transpose", pull, [a.strong() for a in out_avals], fun)
    return LinearMap("linear_transpose", jaxpr, out_avals, out_tree, treedef.unflatten)


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
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), primals, tangents)[1]

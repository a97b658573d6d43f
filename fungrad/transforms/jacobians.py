"""jacfwd, jacrev, jacobian, hessian: whole Jacobians by pushing or pulling a basis in a batch.

The function is recorded once. Its linear program (or the transposed one) is a jaxpr; the standard basis of the inputs
(or of the
outputs) goes through it as one batch, or in chunks of ``chunk_size`` basis vectors to bound memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import ClosedJaxpr
from fungrad.core.leaves import check_callable, wraps
from fungrad.core.memory import own
from fungrad.errors import NonDifferentiableError, TransformValueError
from fungrad.interpreters.batch import BatchAxis, batch
from fungrad.interpreters.linearize import Linearization
from fungrad.primitives.structural import broadcast_to, concatenate, expand_dims, moveaxis, ones, reshape, slice_axis
from fungrad.transforms.arguments import (
    Argnames,
    Argnums,
    Leaves,
    Selection,
    check_differentiable,
    with_float0,
)
from fungrad.transforms.linearized import Result

Mode = Literal["auto", "fwd", "rev"]


def jacobian(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames = None,
    mode: Mode = "auto",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that evaluates the Jacobian of ``fun``.

    Parameters
    ----------
    fun : callable
        A function of arrays (or pytrees of them) that returns an array (or a pytree of them).
    argnums, has_aux, holomorphic, allow_int, argnames
        As for `value_and_grad`.
    mode : {"auto", "fwd", "rev"}
        Forward mode costs one pass per input element, reverse mode one per output element. "auto" counts both and takes
        forward mode when the inputs are no more than the outputs.
    chunk_size : int, optional
        How many passes go together in one batch; less memory for more time. Default: all.

    Returns
    -------
    callable
        With the arguments of ``fun``; returns the tree of the result, with at each leaf the tree of the argument, with
        arrays of shape ``out.shape + in.shape``; followed by aux if has_aux.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        For integer inputs, complex ones unless holomorphic, argnums out of range, an unknown mode.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.jacobian(lambda x: x[:2] ** 2)(np.array([1.0, 2.0, 3.0]))
    array([[2., 0., 0.],
           [0., 4., 0.]])
    """
    return _jacobian("jacobian", fun, argnums, argnames, has_aux, holomorphic, allow_int, mode, chunk_size)


def jacfwd(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: Argnames = None,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that evaluates the Jacobian of ``fun`` column by column, in forward mode.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, argnames, chunk_size
        As for `jacobian`.

    Returns
    -------
    callable
        As for `jacobian`.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.jacfwd(np.sin)(np.array([0.0, np.pi]))
    array([[ 1.,  0.],
           [-0., -1.]])
    """
    return _jacobian("jacfwd", fun, argnums, argnames, has_aux, holomorphic, False, "fwd", chunk_size)


def jacrev(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    *,
    argnames: Argnames = None,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that evaluates the Jacobian of ``fun`` row by row, in reverse mode.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, allow_int, argnames, chunk_size
        As for `jacobian`.

    Returns
    -------
    callable
        As for `jacobian`.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.jacrev(lambda x: x.sum())(np.ones(3))
    array([1., 1., 1.])
    """
    return _jacobian("jacrev", fun, argnums, argnames, has_aux, holomorphic, allow_int, "rev", chunk_size)


def hessian(
    fun: Callable[..., Any],
    argnums: Argnums = None,
    has_aux: bool = False,
    holomorphic: bool = False,
    *,
    argnames: Argnames = None,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that evaluates the Hessian of ``fun``: forward mode over reverse mode.

    Parameters
    ----------
    fun, argnums, has_aux, holomorphic, argnames, chunk_size
        As for `jacobian`; ``fun`` is usually scalar, but need not be.

    Returns
    -------
    callable
        With the arguments of ``fun``; a tree of trees as `jacobian` of `jacobian`, with arrays of shape
        ``out.shape + in_a.shape + in_b.shape``; followed by aux if has_aux.

    Raises
    ------
    TransformTypeError, TransformValueError, NonDifferentiableError
        As for `jacobian`.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    check_callable("hessian", fun)
    inner = _jacobian("hessian", fun, argnums, argnames, has_aux, holomorphic, False, "rev", None)
    functools.update_wrapper(inner, fun, updated=())  # messages name the user's function
    return _jacobian("hessian", inner, argnums, argnames, has_aux, holomorphic, False, "fwd", chunk_size)


def _jacobian(
    transform: str,
    fun: Any,
    argnums: Argnums,
    argnames: Argnames,
    has_aux: bool,
    holomorphic: bool,
    allow_int: bool,
    mode: str,
    chunk_size: int | None,
) -> Callable[..., Any]:
    check_callable(transform, fun)
    if mode not in ("auto", "fwd", "rev"):
        raise TransformValueError(f'fungrad.{transform}: mode must be "auto", "fwd" or "rev", got {mode!r}')
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise TransformValueError(
            f"fungrad.{transform}: chunk_size must be a positive integer or None, got {chunk_size!r}"
        )

    @wraps(fun, transform)
    def evaluate_jacobian(*args: Any, **kwargs: Any) -> Any:
        chosen = Selection(transform, fun, args, kwargs, argnums, argnames)
        leaves = Leaves(transform, fun, chosen.target, "argument")
        check_differentiable(transform, fun, leaves, chosen.target, allow_int, holomorphic)
        result = Result(transform, fun, chosen.call, leaves, has_aux)
        lin = result.linearization
        _check_types(transform, fun, lin.in_avals, result.avals, holomorphic)
        n_in, n_out = (sum(a.size for a in avals) for avals in (lin.in_avals, lin.out_avals))
        forwards = mode == "fwd" or (mode == "auto" and n_in <= n_out)
        blocks = (_columns if forwards else _rows)(lin, chunk_size)
        rows = [
            leaves.treedef.unflatten(with_float0(leaves.avals, row, a.shape))
            for row, a in zip(blocks, lin.out_avals, strict=True)
        ]
        out = result.treedef.unflatten(rows)
        return (out, result.aux) if has_aux else out

    return evaluate_jacobian


def _check_types(
    transform: str, fun: Any, ins: Sequence[ShapedArray], outs: Sequence[ShapedArray], holomorphic: bool
) -> None:
    for side, avals in (("input", ins), ("output", outs)):
        for a in avals:
            where = f"an {side} of {describe_function(fun)} has type {a!r}"
            if a.dtype.kind not in "fc":
                raise NonDifferentiableError(
                    f"fungrad.{transform} needs floating-point {side}s, but {where}; return it as aux instead"
                )
            if a.dtype.kind == "c" and not holomorphic:
                raise NonDifferentiableError(
                    f"fungrad.{transform} needs real {side}s, but {where}. For a holomorphic function pass "
                    "holomorphic=True; else split it into real and imaginary parts, or use jvp and vjp."
                )
            if a.dtype.kind != "c" and holomorphic:
                raise NonDifferentiableError(
                    f"fungrad.{transform}(holomorphic=True) needs complex {side}s, but {where}"
                )


def _columns(lin: Linearization, chunk_size: int | None) -> list[list[Any]]:
    """Forward mode: push the inputs' basis; split the batch axis of each result by input and move it behind."""
    pushed = _through(lin.push, lin.linear_jaxpr, lin.in_avals, lin.out_avals, chunk_size)
    blocks = []
    for y, out in zip(pushed, lin.out_avals, strict=True):
        row, start = [], 0
        for a in lin.in_avals:
            part = slice_axis(y, 0, start, start + a.size)
            start += a.size
            row.append(reshape(moveaxis(part, 0, out.ndim), out.shape + a.shape))
        blocks.append(row)
    return blocks


def _rows(lin: Linearization, chunk_size: int | None) -> list[list[Any]]:
    """Reverse mode: pull the outputs' basis; split the batch axis of each cotangent by output."""
    pulled = _through(lin.pull, lin.transposed_jaxpr, lin.out_avals, lin.in_avals, chunk_size)
    blocks, start = [], 0
    for out in lin.out_avals:
        stop = start + out.size
        blocks.append(
            [
                reshape(slice_axis(x, 0, start, stop), out.shape + a.shape)
                for x, a in zip(pulled, lin.in_avals, strict=True)
            ]
        )
        start = stop
    return blocks


def _through(
    walk: Callable[[Sequence[Any]], list[Any]],
    program: Callable[[], ClosedJaxpr],
    sources: Sequence[ShapedArray],
    results: Sequence[ShapedArray],
    chunk_size: int | None,
) -> list[Any]:
    """The standard basis of the sources through a linear map, batch axis in front of each result."""
    total = sum(a.size for a in sources)
    if total == 1:  # a scalar function's gradient: one walk over the recording, no jaxpr and no batch
        return [expand_dims(y, (0,)) for y in walk([ones(a) if a.size else None for a in sources])]
    jaxpr = program()
    step = total if chunk_size is None else chunk_size
    pieces: list[list[Any]] = []
    for start in range(0, total, step) if total else [0]:
        rows = min(step, total - start)
        args = _basis(sources, start, rows)
        outs, batched = batch(jaxpr, BatchAxis(rows, None), args, [True] * len(args))
        pieces.append(
            [y if b else broadcast_to(y, (rows, *a.shape)) for y, b, a in zip(outs, batched, results, strict=True)]
        )
    return own([concatenate(parts, 0) for parts in zip(*pieces, strict=True)], jaxpr.consts)


def _basis(avals: Sequence[ShapedArray], start: int, rows: int) -> list[Any]:
    """Rows ``start`` to ``start + rows`` of the identity over all elements of these arrays, one block per array."""
    blocks, offset = [], 0
    for a in avals:
        blocks.append(np.eye(rows, a.size, start - offset, a.dtype).reshape(rows, *a.shape))
        offset += a.size
    return blocks

"""fori_loop: a loop over a range of integers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fungrad.control.scan import scan_for
from fungrad.control.while_loop import while_for
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import check_callable, is_operand
from fungrad.core.trace import known_value
from fungrad.errors import TransformTypeError
from fungrad.primitives.arithmetic import add
from fungrad.primitives.comparison import less
from fungrad.primitives.structural import convert


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
    checkpoint: str | int | None = None,
) -> Any:
    """Run ``carry = body_fun(i, carry)`` for ``i`` from ``lower`` to ``upper - 1``; return the last carry.

    Parameters
    ----------
    lower, upper : integer scalars
        They may be computed: under `jit` the number of iterations need not be known.
    body_fun : callable
        ``body_fun(i, carry) -> carry`` of the same tree, shapes and dtypes. It is recorded once.
    init_val : pytree of arrays
        A Python number takes the dtype that ``body_fun`` makes of it.
    unroll : int or bool, optional
        Accepted for compatibility.
    checkpoint : "binomial", int or None
        What reverse mode keeps, as for `scan`.

    Returns
    -------
    pytree
        As ``init_val``; it itself if there is nothing to run.

    Raises
    ------
    TransformTypeError
        If a bound is no integer scalar, or the carry changes its tree or a type (the message names the leaf).

    Notes
    -----
    All derivatives exist, for bounds that are computed as well: see `while_loop`. With bounds that are known the loop
    is a `scan`, whose residuals are kept as it runs.

    Examples
    --------
    >>> import fungrad as fg
    >>> power = lambda x, n: fg.lax.fori_loop(0, n, lambda i, y: y * x, 1.0)
    >>> power(2.0, 10), fg.grad(power)(2.0, 10), fg.jit(fg.grad(power))(2.0, 10)
    (np.float64(1024.0), np.float64(5120.0), np.float64(5120.0))
    """
    check_callable("lax.fori_loop", body_fun)
    dtype = np.result_type(*[_bound(what, x) for what, x in (("lower", lower), ("upper", upper))])
    if dtype.kind == "f":  # NumPy has no integer for all of int64 and uint64
        dtype = np.dtype(np.int64)
    first, last = known_value(lower), known_value(upper)
    if isinstance(first, ShapedArray) or isinstance(last, ShapedArray):
        start, stop = convert(lower, dtype), convert(upper, dtype)

        @functools.wraps(body_fun, updated=())
        def step(state: tuple[Any, Any]) -> tuple[Any, Any]:
            i, carry = state
            return add(i, dtype.type(1)), body_fun(i, carry)

        return while_for("lax.fori_loop", lambda state: less(state[0], stop), step, (start, init_val), checkpoint)[1]
    steps = range(int(first), int(last))
    if checkpoint is None:

        @functools.wraps(body_fun, updated=())
        def turn(carry: Any, i: Any) -> tuple[Any, None]:
            return body_fun(i, carry), None

        rows = np.arange(steps.start, steps.stop, dtype=dtype)
        return scan_for("lax.fori_loop", turn, init_val, rows)[0]

    @functools.wraps(body_fun, updated=())
    def count(state: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        i, carry = state
        return (add(i, dtype.type(1)), body_fun(i, carry)), None

    # Not over the integers: all of them would be kept.
    begin = dtype.type(int(first)), init_val
    return scan_for("lax.fori_loop", count, begin, None, len(steps), checkpoint=checkpoint)[0][1]


def _bound(what: str, x: Any) -> np.dtype[Any]:
    found = typeof(x) if is_operand(x) else None
    if found is None or found.shape or found.dtype.kind not in "iu":
        kind = type(x).__name__ if found is None else repr(found)
        raise TransformTypeError(
            f"fungrad.lax.fori_loop: {what} must be an integer scalar, got {kind}; convert it with int(x) where it is "
            "known, with .astype(int) where it is traced"
        )
    return found.dtype

"""map: a function of each row, one after the other or in batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fungrad import tree
from fungrad.control.bodies import record_body
from fungrad.control.call import call_p, jit_disabled
from fungrad.control.kept import program_of
from fungrad.control.scan import row_count, scan_for
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import arrays, check_callable
from fungrad.errors import TransformTypeError
from fungrad.interpreters.batch import BatchAxis
from fungrad.primitives.structural import concatenate, reshape, slice_axis


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """Apply ``f`` to each row of ``xs`` and stack what it returns.

    Parameters
    ----------
    f : callable
        Of a pytree of rows; recorded once.
    xs : pytree of arrays
        All leaves have the same leading axis.
    batch_size : int, optional
        Compute so many rows at a time, as `vmap` does; by default one after the other, in the least memory.

    Returns
    -------
    pytree
        What ``f`` returns, with a leading axis.

    Raises
    ------
    TransformTypeError, TransformValueError
        If the leading axes differ or batch_size is not a positive integer.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.lax.map(lambda x: x**2, np.array([1.0, 2.0, 3.0]), batch_size=2)
    array([1., 4., 9.])
    """
    check_callable("lax.map", f)
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise TransformTypeError(f"fungrad.lax.map: batch_size must be a positive integer, got {batch_size!r:.60}")
    if batch_size is None or jit_disabled.get():

        @functools.wraps(f, updated=())
        def turn(carry: Any, x: Any) -> tuple[Any, Any]:
            return carry, f(x)

        return scan_for("lax.map", turn, (), xs)[1]

    leaves = tree.leaves(xs)
    rows = arrays("lax.map", f, xs, leaves, "xs")
    n = row_count("lax.map", f, xs, rows, None)
    body = record_body("lax.map", f, tree.structure((xs,)), [ShapedArray(a.shape[1:], a.dtype) for a in _avals(rows)])
    program = program_of(body.closed, f)
    flags = (*[False] * len(body.consts), *[True] * len(rows))

    def batched(size: int, xs: list[Any]) -> list[Any]:
        return list(call_p.bind(*body.consts, *xs, program=program.batched(BatchAxis(size, None), flags)))

    whole, rest = divmod(n, batch_size)
    done = whole * batch_size
    parts = []
    if whole:
        chunks = [reshape(slice_axis(x, 0, 0, done), (whole, batch_size, *typeof(x).shape[1:])) for x in rows]
        outs = scan_for("lax.map", lambda _, x: ((), batched(batch_size, x)), (), chunks)[1]
        parts.append([reshape(x, (done, *typeof(x).shape[2:])) for x in outs])
    if rest or not parts:
        parts.append(batched(rest, [slice_axis(x, 0, done, n) for x in rows]))
    joined = [concatenate(list(pieces), 0) if len(pieces) > 1 else pieces[0] for pieces in zip(*parts, strict=True)]
    return body.out_tree.unflatten(joined)


def _avals(rows: list[Any]) -> list[ShapedArray]:
    return [typeof(x) for x in rows]

"""vmap: a function of one example made a function of a batch, by interpretation instead of a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.leaves import arrays, as_array, check_callable, is_operand, path_of, wraps
from fungrad.core.memory import own
from fungrad.core.record import record_jaxpr
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.interpreters.batch import BatchAxis, batch
from fungrad.primitives.collectives import bind_axis, new_axis
from fungrad.primitives.structural import broadcast_to, concatenate, moveaxis, slice_axis


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Make a function that maps ``fun`` over an axis of its arguments, all examples at once.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays.
    in_axes : int, None, or pytree of these
        Which axis of each argument to map over: an int or None for all, or a tuple or list with one entry per
        positional argument, each a prefix of that argument's tree. None does not map; negative axes count from the end.
        Keyword arguments are mapped over axis 0.
    out_axes : int, None, or pytree of these
        Where the mapped axis goes in each result, a prefix of the result's tree; None only for results that do not
        depend on mapped values.
    axis_name : hashable, optional
        A name for the axis, for `psum`, `pmean`, `pmax`, `pmin`, `axis_index`, `axis_size` inside ``fun``.
    axis_size : int, optional
        The size of the axis; needed when no argument is mapped.
    spmd_axis_name
        Accepted for compatibility; has no effect.
    chunk_size : int, optional
        Process this many examples at a time: less memory for more time. Default: all. Not with collectives.

    Returns
    -------
    callable
        With the arguments of ``fun``, the mapped ones with an extra axis.

    Raises
    ------
    TransformValueError
        If the sizes of the mapped axes differ (the message lists them), in_axes does not fit the arguments, or out_axes
        is None for a mapped result.
    TracerBoolConversionError
        In ``fun``, where Python control flow depends on mapped values.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.vmap(np.dot, in_axes=(0, None))(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    check_callable("vmap", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, (int, np.integer, tuple, type(None))):
        raise TransformTypeError(
            "fungrad.vmap: in_axes must be an int, None, or a tuple with one entry per positional argument, got "
            f"{in_axes!r}"
        )
    if chunk_size is not None and (not isinstance(chunk_size, int) or chunk_size < 1):
        raise TransformValueError(f"fungrad.vmap: chunk_size must be a positive integer or None, got {chunk_size!r}")

    @wraps(fun, "vmap")
    def mapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(fun, in_axes, args, kwargs)
        size = call.axis_size(axis_size)
        if chunk_size is None or size <= chunk_size:
            outs = call.run(size, axis_name, call.values)
        else:
            outs = call.run_in_chunks(size, axis_name, chunk_size)
        return _place_outputs(fun, outs, call.out_tree, out_axes, size)

    return mapped


class _Call:
    """One call of a mapped function: its leaves, each with the axis that it is mapped over (or None)."""

    def __init__(self, fun: Any, in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fun = fun
        self.tree_of_args = (args, kwargs)
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise TransformValueError(
                f"fungrad.vmap: in_axes={in_axes!r} has {len(in_axes)} entries, but {describe_function(fun)} was "
                f"called with {len(args)} positional arguments"
            )
        leaves, self.treedef = tree.flatten(self.tree_of_args)
        axes = [*tree.flatten_prefix(in_axes, args, "in_axes"), *[0] * len(tree.leaves(kwargs))]
        self.axes = [self._check_axis(k, x, axis) for k, (x, axis) in enumerate(zip(leaves, axes, strict=True))]
        # Leaves that are not mapped may be anything; the mapped ones move their axis to the front.
        self.values = [
            x if a is None else moveaxis(self._array(k, x), a, 0)
            for k, (x, a) in enumerate(zip(leaves, self.axes, strict=True))
        ]
        self.out_tree: Any = None

    def _array(self, k: int, x: Any) -> Any:
        return x if is_operand(x) else as_array("vmap", self.fun, x, self._describe(k))

    def _check_axis(self, k: int, x: Any, axis: Any) -> int | None:
        if axis is None:
            return None
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
            raise TransformTypeError(
                f"fungrad.vmap: in_axes must hold integers and None, got {axis!r} for {self._describe(k)}"
            )
        shape = typeof(self._array(k, x)).shape
        if not -len(shape) <= axis < len(shape):
            raise TransformValueError(
                f"fungrad.vmap: in_axes={axis} for {self._describe(k)}, which has shape {shape}: it has no such axis. "
                "Pass in_axes=None for arguments that are not mapped."
            )
        return int(axis) % len(shape)

    def _describe(self, k: int) -> str:
        path = tree.leaves_with_path(self.tree_of_args)[k][0]
        rest = tree.keystr(path[2:])
        if path[0].idx == 0:
            return f"argument {path[1].idx}{rest}"
        return f"argument {path[1].key!r}{rest}"

    def axis_size(self, axis_size: int | None) -> int:
        """The common size of the mapped axes."""
        sizes = {
            k: typeof(x).shape[0] for k, (x, a) in enumerate(zip(self.values, self.axes, strict=True)) if a is not None
        }
        found = set(sizes.values())
        if len(found) > 1 or (axis_size is not None and found and found != {axis_size}):
            rows = "\n".join(f"  {self._describe(k)}: size {n} of axis {self.axes[k]}" for k, n in sizes.items())
            wanted = f"; axis_size={axis_size}" if axis_size is not None else ""
            raise TransformValueError(
                f"fungrad.vmap of {describe_function(self.fun)} got inconsistent sizes for the mapped "
                f"axes{wanted}:\n{rows}"
            )
        if not found:
            if axis_size is None:
                raise TransformValueError(
                    f"fungrad.vmap of {describe_function(self.fun)} has no mapped argument: pass axis_size=, or an "
                    "in_axes that is not None for at least one argument"
                )
            return axis_size
        return found.pop()

    def run(self, size: int, axis_name: Any, values: Sequence[Any]) -> list[tuple[Any, bool]]:
        """The result's leaves, each with whether it carries the mapped axis in front."""
        positions = [k for k, a in enumerate(self.axes) if a is not None]
        mapped = [values[k] for k in positions]
        avals = [ShapedArray((t := typeof(x)).shape[1:], t.dtype) for x in mapped]
        axis = None if axis_name is None else new_axis(axis_name)
        index_aval = [] if axis_name is None else [ShapedArray((), np.int64)]

        def flat(*examples: Any) -> list[Any]:
            leaves = list(values)
            for k, x in zip(positions, examples, strict=False):
                leaves[k] = x
            args, kwargs = self.treedef.unflatten(leaves)
            if axis is None:
                out = self.fun(*args, **kwargs)
            else:
                with bind_axis(axis, size, examples[-1]):
                    out = self.fun(*args, **kwargs)
            out_leaves, self.out_tree = tree.flatten(out)
            return arrays("vmap", self.fun, out, out_leaves, "result")

        jaxpr = record_jaxpr("vmap", flat, avals + index_aval, self.fun)
        inputs = [*mapped, *(np.arange(size) for _ in index_aval)]
        outs, batched = batch(jaxpr, BatchAxis(size, axis), inputs, [True] * len(inputs))
        return list(zip(outs, batched, strict=True))

    def run_in_chunks(self, size: int, axis_name: Any, chunk_size: int) -> list[tuple[Any, bool]]:
        """The same, some examples at a time."""
        if axis_name is not None:
            raise TransformValueError(
                "fungrad.vmap: chunk_size cannot go with axis_name, because a collective needs all examples at once"
            )
        pieces = []
        for start in range(0, size, chunk_size):
            stop = min(size, start + chunk_size)
            values = [
                x if a is None else slice_axis(x, 0, start, stop) for x, a in zip(self.values, self.axes, strict=True)
            ]
            pieces.append(self.run(stop - start, None, values))
        return [
            (concatenate([x for x, _ in parts], 0), True) if parts[0][1] else parts[0]
            for parts in zip(*pieces, strict=True)
        ]


def _place_outputs(fun: Any, outs: list[tuple[Any, bool]], out_tree: Any, out_axes: Any, size: int) -> Any:
    """Move the mapped axis of each result to where out_axes says."""
    example = out_tree.unflatten([x for x, _ in outs])
    axes = tree.flatten_prefix(out_axes, example, "out_axes")
    placed = []
    for k, ((x, batched), axis) in enumerate(zip(outs, axes, strict=True)):
        if axis is None:
            if batched:
                raise TransformValueError(
                    f"fungrad.vmap: out_axes is None for result{path_of(example, k)} of {describe_function(fun)}, but "
                    "it depends on mapped values; give the position of the mapped axis"
                )
            placed.append(x)
            continue
        shape = typeof(x).shape
        if not batched:
            (x,) = own([broadcast_to(x, (size, *shape))], ())
            shape = (size, *shape)
        if not isinstance(axis, (int, np.integer)) or not -len(shape) <= axis < len(shape):
            raise TransformValueError(
                f"fungrad.vmap: out_axes={axis!r} for result{path_of(example, k)}, which has {len(shape)} axes with "
                "the mapped one"
            )
        placed.append(moveaxis(x, 0, int(axis) % len(shape)))
    return out_tree.unflatten(placed)

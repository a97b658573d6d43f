"""Collectives: primitives that combine the examples of a named `vmap` axis.

    psum   the sum over the axis       transpose: psum
    pmax   the maximum over the axis   ties share the derivative equally; likewise pmin

A collective is recorded as an equation with the axis's name and size. The batch interpreter of the `vmap` with that
name reduces the batch axis; any other interpreter sees a value that is the same for all examples, and so does the
implementation.

The names in scope are kept in a context variable, which is per thread and is restored when `bind_axis` ends, also by
an exception.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

from fungrad import tree
from fungrad.core.aval import typeof
from fungrad.core.primitive import General, Linear
from fungrad.errors import AxisNameError
from fungrad.primitives.arithmetic import div
from fungrad.primitives.comparison import equal
from fungrad.primitives.reductions import reduce_max, reduce_min
from fungrad.primitives.selection import where
from fungrad.primitives.structural import convert, reduce_sum

_serial = itertools.count().__next__


class AxisName(NamedTuple):
    """The name of the axis of one particular vmap: of two nested ones of one name each knows its own."""

    name: Any
    serial: int

    def __str__(self) -> str:
        return str(self.name)


class _Frame(NamedTuple):
    axis: AxisName
    size: int
    index: Any


_axes: ContextVar[tuple[_Frame, ...]] = ContextVar("fungrad_named_axes", default=())


def new_axis(name: Any) -> AxisName:
    """A name for the axis of a vmap that begins."""
    return AxisName(name, _serial())


@contextlib.contextmanager
def bind_axis(axis: AxisName, size: int, index: Any) -> Iterator[None]:
    """Make an axis known while the mapped function is recorded; ``index`` is its traced position."""
    token = _axes.set((*_axes.get(), _Frame(axis, size, index)))
    try:
        yield
    finally:
        _axes.reset(token)


def axes_in_scope() -> tuple[AxisName, ...]:
    """The named axes that a collective could name just now."""
    return tuple([frame.axis for frame in _axes.get()])


def _frame(name: Any) -> _Frame:
    for frame in reversed(_axes.get()):
        if frame.axis.name == name:
            return frame
    bound = [f.axis.name for f in _axes.get()]
    raise AxisNameError(
        f"unbound axis name: {name!r}; the axes in scope are {bound}. Collectives work inside fungrad.vmap(f, "
        f"axis_name={name!r})."
    )


def axis_index(axis_name: Any) -> Any:
    """The position of the current example along a named axis: an int64 scalar.

    Raises
    ------
    AxisNameError
        If no enclosing vmap has that axis name.
    """
    return _frame(axis_name).index


def axis_size(axis_name: Any) -> int:
    """The size of a named axis: a Python integer.

    Raises
    ------
    AxisNameError
        If no enclosing vmap has that axis name.
    """
    return _frame(axis_name).size


class _PSum(Linear):
    collective = True

    def reduce_axis(self, x: Any) -> Any:
        """The sum over the batch axis."""
        return reduce_sum(x, (0,))


psum_p: _PSum = _PSum(
    "psum",
    lambda x, *, axis_name, axis_size: x * axis_size,
    abstract=lambda x, *, axis_name, axis_size: x.strong(),
    transpose=lambda ct, x, *, axis_name, axis_size: psum_p.bind(ct, axis_name=axis_name, axis_size=axis_size),
    batch=lambda axis, batched, x, *, axis_name, axis_size: psum_p.bind(x, axis_name=axis_name, axis_size=axis_size),
)


class _PExtremum(General):
    collective = True

    def __init__(self, name: str, reduce: Callable[[Any, tuple[int, ...]], Any]) -> None:
        super().__init__(
            name,
            lambda x, *, axis_name, axis_size: x,
            abstract=lambda x, *, axis_name, axis_size: x.strong(),
            jvp=_extremum_jvp,
            batch=lambda axis, batched, x, *, axis_name, axis_size: self.bind(
                x, axis_name=axis_name, axis_size=axis_size
            ),
        )
        self.reduce = reduce

    def reduce_axis(self, x: Any) -> Any:
        """The extremum over the batch axis."""
        return self.reduce(x, (0,))


def _extremum_jvp(primals: Sequence[Any], tangents: Sequence[Any], out: Any, *, axis_name: Any, axis_size: int) -> Any:
    (x,), (t,) = primals, tangents
    attained = equal(x, out)
    count = psum_p.bind(convert(attained, typeof(x).dtype), axis_name=axis_name, axis_size=axis_size)
    return psum_p.bind(where(attained, div(t, count), 0), axis_name=axis_name, axis_size=axis_size)


pmax_p = _PExtremum("pmax", reduce_max)
pmin_p = _PExtremum("pmin", reduce_min)


def _over_axes(prim: Any, x: Any, axis_name: Any) -> Any:
    for name in axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,):
        frame = _frame(name)
        x = tree.map(lambda v, f=frame: prim.bind(v, axis_name=f.axis, axis_size=f.size), x)
    return x


def psum(x: Any, axis_name: Any) -> Any:
    """The sum of x (a pytree) over a named axis (or several), the same for every example.

    Raises
    ------
    AxisNameError
        If no enclosing vmap has that axis name.

    Notes
    -----
    Linear; its transpose is psum, so that ``grad`` inside the mapped function sums the cotangents of all examples.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> fg.vmap(lambda x: x / fg.psum(x, "i"), axis_name="i")(np.array([1.0, 3.0]))
    array([0.25, 0.75])
    """
    return _over_axes(psum_p, x, axis_name)


def pmean(x: Any, axis_name: Any) -> Any:
    """The mean of x over a named axis (or several); see `psum`."""
    names = axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,)
    size = math.prod([_frame(name).size for name in names])
    return tree.map(lambda v: div(v, size), psum(x, axis_name))


def pmax(x: Any, axis_name: Any) -> Any:
    """The maximum of x over a named axis (or several); ties share the derivative equally. See `psum`."""
    return _over_axes(pmax_p, x, axis_name)


def pmin(x: Any, axis_name: Any) -> Any:
    """The minimum of x over a named axis (or several); ties share the derivative equally. See `psum`."""
    return _over_axes(pmin_p, x, axis_name)

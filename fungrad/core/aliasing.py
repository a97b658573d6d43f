"""Assignment to traced arrays, and views that follow it.

An equation never changes. A tracer is a name for the array that it stands for, and assignment gives that name to the
result of an equation that replaces elements: NumPy's ``y[i] = v`` is ``y := put(y, v, i)``. What was computed from the
array before keeps what it was computed from.

NumPy's basic indexing, reshape and transposes return views: names for parts of an array, through which it changes, and
which change with it. So such a tracer is linked to the one that it shows:

    link ::= parent, look            x = look(parent)

Assignment through a view assigns to the array that it shows, at the elements that it shows; then every view that is
still in use is looked up again. The array refers to its views weakly, they refer to it: no reference cycles.

Which elements a view shows is found by doing to an array of positions what was done to the traced array. As NumPy does
it, that also says whether the result is a view at all: ``reshape`` copies where strides do not allow a view.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fungrad.core.trace import Tracer, known_value

F = TypeVar("F", bound=Callable[..., Any])
Store = Callable[[Any, Any], Any]
Look = Callable[[Any], Any]
"""What makes the view of an array: for tracers and plain arrays alike."""


class Link:
    """What a tracer is a view of, and how.

    ``certain``: that NumPy makes a view of it is known, since the values, arrays one level down, share memory.
    ``store(parent, new)``: the whole array in which this view of it is ``new``, for views that do not show elements as
    they are (the real parts of complex numbers); None for all others.
    """

    __slots__ = ("_positions", "certain", "look", "parent", "read_only", "store")

    def __init__(self, parent: Tracer, look: Look, read_only: bool, certain: bool, store: Store | None = None) -> None:
        self.parent = parent
        self.look = look
        self.read_only = read_only
        self.certain = certain
        self.store = store
        self._positions: Any = None

    def positions(self) -> Any:
        """For each element of the view its position in the whole array; None if NumPy copies."""
        if self.store is not None:
            shape = self.look(self.parent).shape
            return np.arange(math.prod(shape)).reshape(shape)
        if self._positions is None:
            base = np.asarray(_positions(self.parent))
            shown = self.look(base)
            if (
                isinstance(shown, np.ndarray)
                and shown.size
                and not self.certain
                and not np.may_share_memory(shown, base)
            ):
                shown = False
            self._positions = shown
        return None if self._positions is False else self._positions


def _link(x: Tracer) -> Link | None:
    link = getattr(x, "link", None)
    if link is not None and link.positions() is None:
        x.link = link = None  # NumPy would have made a copy
    return link


def _positions(x: Tracer) -> Any:
    link = _link(x)
    return np.arange(math.prod(x.shape)).reshape(x.shape) if link is None else link.positions()


def view(
    parent: Any, x: Any, look: Look, read_only: bool = False, always: bool = False, store: Store | None = None
) -> Any:
    """Note that x is a view of ``parent``, made by ``look``. Returns x, or a new tracer of it if it is the parent.

    ``always``: NumPy makes a view of it in any case, though fungrad computes the elements anew.
    """
    if type(x) is not Tracer or type(parent) is not Tracer:
        return x
    whole, part = known_value(parent), known_value(x)
    if not parent.shape and type(whole) is not np.ndarray and _link(parent) is None:
        return x.again() if x is parent else x  # NumPy has a number there, and makes an array of it
    certain = always or (isinstance(whole, np.ndarray) and isinstance(part, np.ndarray))
    if certain and not always and part.size and not np.may_share_memory(whole, part):
        return x  # a copy: reshape where strides do not allow a view
    if x is parent:
        x = x.again()
    x.link = Link(parent, look, read_only, certain, store)
    viewers = getattr(parent, "viewers", None)
    if viewers is None:
        parent.viewers = viewers = []
    elif len(viewers) > 8 and not len(viewers) & (len(viewers) - 1):
        viewers[:] = [r for r in viewers if r() is not None]
    viewers.append(weakref.ref(x))
    return x


def assign(x: Tracer, new: Any, replace: Callable[[Tracer, Any, Any], Any]) -> None:
    """Give the name x to the array ``new``; the array that x is a view of, and its views, follow.

    ``replace(whole, new, positions)`` makes the array in which the elements at these flat positions are new.
    """
    link = _link(x)
    if link is None:
        x.become(new)
        _refresh(x)
        return
    if link.read_only:
        raise ValueError("assignment destination is read-only")
    if link.store is not None:
        assign(link.parent, link.store(link.parent, new), replace)
        return
    whole = x
    while (up := _link(whole)) is not None and up.store is None:
        whole = up.parent
    new = replace(whole, new, link.positions())
    if up is not None:
        assign(whole, new, replace)
        return
    whole.become(new)
    _refresh(whole)


def _refresh(x: Tracer) -> None:
    viewers = getattr(x, "viewers", None)
    if not viewers:
        return
    live = []
    for reference in viewers:
        shown = reference()
        if shown is None:
            continue
        if type(shown) is not Tracer:  # the array of objects that NumPy was given in the place of x
            shown[...] = x.elements()
            live.append(reference)
            continue
        link = _link(shown)
        if link is None or link.parent is not x:
            continue
        shown.become(link.look(x))
        live.append(reference)
        _refresh(shown)
    viewers[:] = live


def returns_views(fun: F | None = None, *, read_only: bool = False, always: bool = False) -> Any:
    """Say that the results of a function, an array or several, are views of its first argument; see `view`."""
    if fun is None:
        return lambda fun: returns_views(fun, read_only=read_only, always=always)

    @functools.wraps(fun)
    def of_array(a: Any, *args: Any, **kwargs: Any) -> Any:
        out = fun(a, *args, **kwargs)
        if type(a) is not Tracer or kwargs.get("copy"):
            return out
        if type(out) is Tracer:
            return view(a, out, lambda parent: fun(parent, *args, **kwargs), read_only, always)
        if isinstance(out, (list, tuple)):

            def part(k: int) -> Look:
                return lambda parent: fun(parent, *args, **kwargs)[k]

            return type(out)([view(a, x, part(k), read_only, always) for k, x in enumerate(out)])
        return out

    return of_array

"""Primitives: the operations that the interpreters know, and the five kinds of them.

A primitive is declared in one block: its NumPy implementation, its type rule, its derivative and its
batching rule. Its derivative is declared once; forward mode, linearization and reverse mode follow.

    kind          declares as its derivative                               examples
    Elementwise   a rule per operand, t -> t * partial, pointwise          sin, mul, where
    Linear        its transpose                                            reshape, sum, gather
    Multilinear   a transpose for each operand                             contract
    General       its jvp in terms of other primitives                     max, sort, prod, solve
    NoTangent     nothing: the result is locally constant or not real      less, argmax, floor

Elementwise rules. The first parameter ``t`` is a tangent or a cotangent: a pointwise map is its own
transpose, so one rule serves both ways. The other parameters are taken *by name* from the operands
(``x``, ``y``, ``z``) and the result (``out``); what a rule does not name is not kept for it:

    sin_p = Elementwise("sin", np.sin, lambda t, x: mul(t, cos(x)))
    exp_p = Elementwise("exp", np.exp, lambda t, out: mul(t, out))
    mul_p = Elementwise("mul", operator.mul, lambda t, y: mul(t, y), lambda t, x: mul(t, x))

Where the result is real and an operand complex the rule's ``t * partial`` stands for its real part
(jvp), and by itself for the transpose: vjp is the plain transpose, without conjugation.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad._util import user_source
from fungrad.core.aval import ShapedArray, is_inexact, typeof
from fungrad.core.buffers import TracedBuffer
from fungrad.core.lowering import UNKNOWN, Lowering, call_of
from fungrad.core.trace import Application, Recording, Tracer, newest
from fungrad.errors import MissingRuleError

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by name: what pickling a jaxpr looks them up in, and what the tests walk over."""

OPERAND_TYPES = frozenset({float, int, bool, complex, np.ndarray, *(np.dtype(c).type for c in "?bhilqBHILQefdgFDG")})
"""The exact types that are operands as they are."""


class Primitive:
    """An operation that the interpreters know.

    Parameters
    ----------
    name : str
        Unique; how it prints in a jaxpr.
    impl : callable
        ``impl(*arrays, **params)``: the value, computed by NumPy.
    abstract : callable, optional
        ``abstract(*avals, **params) -> ShapedArray`` (a tuple of them if ``multiple``).
    batch : callable, optional
        ``batch(axis, batched, *operands, **params)``: the result for operands of which those with
        ``batched[i]`` carry a batch axis (of size ``axis.size``) in front; the result carries it in front. Without it
        `vmap` applies the primitive to one example after the other.
    multiple : bool
        Whether it returns a tuple of arrays.
    lowering : Lowering, optional
        How it compiles; without it the compiled program calls ``impl``.
    """

    kind = "primitive"
    collective = False  # True for those that combine the elements of a named batch axis
    overwrites = False  # True for those with `bind_last` and `batch_last`, which take the first operand from a list

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        abstract: Callable[..., Any] | None = None,
        batch: Callable[..., Any] | None = None,
        multiple: bool = False,
        lowering: Lowering | None = None,
    ) -> None:
        self.name = name
        self.module = _declaring_module()
        if name in PRIMITIVES and not PRIMITIVES[name].module == self.module == "__main__":  # a cell may be run again
            raise ValueError(f"a primitive named {name!r} exists already")
        PRIMITIVES[name] = self
        self.impl = impl
        self._abstract = abstract
        self._batch = batch
        self.multiple = multiple
        self.lowering = Lowering(call_of(impl), UNKNOWN) if lowering is None else lowering

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return _primitive_named, (self.name, self.module)

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Apply the primitive: compute it, or record it in the newest recording among the operands."""
        recording = newest(operands)
        if recording is None:
            return self.impl(*operands, **params)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def __call__(self, *operands: Any, **params: Any) -> Any:
        """Apply the primitive to what a user writes: arrays, numbers, lists of numbers, traced arrays."""
        return self.bind(*[x if is_operand(x) else as_operand(x) for x in operands], **params)

    @property
    def has_batch(self) -> bool:
        """Whether there is a batching rule."""
        return self._batch is not None or type(self).batch is not Primitive.batch

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down and append the entry to a recording with values."""
        raise MissingRuleError(f"primitive {self.name!r} cannot be recorded with values")

    def abstract(self, *avals: ShapedArray, **params: Any) -> Any:
        """The type of the result for operands of these types."""
        if self._abstract is None:
            raise MissingRuleError(f"primitive {self.name!r} has no abstract rule; give it `abstract=`")
        return self._abstract(*avals, **params)

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """The batched application; see the class docstring."""
        if self._batch is None:
            raise MissingRuleError(
                f"primitive {self.name!r} has no batching rule, so vmap cannot pass it; give it `batch=`"
            )
        return self._batch(axis, batched, *operands, **params)


def _declaring_module() -> str:
    """The module whose code declares a primitive just now: the innermost one outside of the core."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("fungrad.core."):
        frame = frame.f_back
    return str(frame.f_globals["__name__"])


def _primitive_named(name: str, module: str) -> Primitive:
    if name not in PRIMITIVES:
        importlib.import_module(module)  # some modules are loaded when they are first needed
    return PRIMITIVES[name]


def record_abstract(prim: Primitive, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Append an application to an abstract recording and return tracers of the result's types."""
    if recording.captured is not None:
        thread, body, abstract, _ = recording.captured
        if thread == threading.get_ident():
            recording = body
        elif not abstract:
            return prim.record(recording, operands, params)
    ids = tuple([x.id if type(x) is Tracer and x.recording is recording else None for x in operands])
    avals = [x.value if i is not None else typeof(x) for x, i in zip(operands, ids, strict=True)]
    outs = prim.abstract(*avals, **params)
    if recording.of_user:
        known, source = (
            tuple(
                [recording.constants.take(x) if i is None else a for x, a, i in zip(operands, avals, ids, strict=True)]
            ),
            user_source(2),
        )
    else:
        known = tuple([x if i is None else a for x, a, i in zip(operands, avals, ids, strict=True)])
        source = recording.source
    if prim.multiple:
        out_ids = tuple([recording.fresh() for _ in outs])
        recording.append((prim, out_ids, Application(ids, known, params, outs, source)))
        return tuple([Tracer(recording, i, a) for i, a in zip(out_ids, outs, strict=True)])
    out_id = recording.fresh()
    recording.append((prim, out_id, Application(ids, known, params, outs, source)))
    return Tracer(recording, out_id, outs)


def lower(recording: Recording, operands: tuple[Any, ...]) -> tuple[list[Any], list[int | None]]:
    """The operands one level down, and the ids of those that this recording traces."""
    values: list[Any] = []
    ids: list[int | None] = []
    for x in operands:
        if type(x) is Tracer and x.recording is recording:
            values.append(x.value)
            ids.append(x.id)
        else:
            values.append(x)
            ids.append(None)
    return values, ids


def defers(x: Any) -> bool:
    """Whether an object asks that operators leave the result to it (``__array_ufunc__ = None``)."""
    return getattr(x, "__array_ufunc__", x) is None


def is_operand(x: Any) -> bool:
    """Whether x is an operand as it is: a tracer, a number, or an array that does not hold objects."""
    kind = type(x)
    return kind is Tracer or (kind in OPERAND_TYPES and (kind is not np.ndarray or not x.dtype.hasobject))


def joined(array: np.ndarray[Any, Any]) -> Any:
    """One traced array of an object array that holds traced scalars; numbers of one that holds numbers only.

    These come of operations on arrays of traced scalars whose results are all known (np.floor, np.maximum). NumPy's
    object loops make integers where its own make floats, so integers become floats.
    """
    if type(array) is TracedBuffer:
        return array.traced
    if array.dtype.kind == "O":
        for element in array.flat:
            if type(element) is Tracer:
                return element.of_elements(array)  # type: ignore[attr-defined]
        elements = array.ravel().tolist()
        # Zeros alone are refused: NumPy's .imag of an array of objects is that, also where the objects are complex.
        if any(type(e) is not int or e for e in elements) and all(type(e) in OPERAND_TYPES for e in elements):
            numbers = np.array(array.tolist())
            return numbers.astype(float) if numbers.dtype.kind in "iu" else numbers
    return array


def as_operand(x: Any) -> Any:
    """Make an operand of what a user wrote beside a traced array: a list, a NumPy subclass, a buffer.

    Raises
    ------
    TypeError
        If it is not numeric, is masked, or holds traced arrays (``np.stack`` them first).
    """
    if is_operand(x):
        return x
    if isinstance(x, (np.ma.MaskedArray, np.matrix)):
        raise TypeError(
            f"a numpy {type(x).__name__} cannot be an operand beside a traced array: its mask or its own operators "
            "would be lost. Convert it with x.filled(value), np.where(mask, ...) or np.array(matrix)"
        )
    array = joined(x if type(x) is TracedBuffer else np.asarray(x))
    if type(array) is Tracer:
        return array
    if array.dtype.kind not in "biufc":
        raise TypeError(f"expected a number or an array of numbers, got {type(x).__name__}: {x!r:.100}")
    return array


def _constants(recording: Recording, ids: Sequence[int | None], kept: tuple[Any, ...]) -> tuple[Any, ...]:
    take = recording.constants.take
    return tuple([take(x) if i is None else x for i, x in zip(ids, kept, strict=True)])


class _Recorded(Primitive):
    """What the kinds with an Application have in common: computing and recording with values."""

    def needs(self, ids: Sequence[int | None], values: list[Any], outs: Any) -> tuple[tuple[Any, ...], Any]:
        """The operands and results that the rules need; the others are replaced by their types."""
        raise MissingRuleError(self.name)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down and append the application."""
        values, ids = lower(recording, operands)
        outs = self.bind(*values, **params)
        if self.multiple:
            return self._record_multiple(recording, values, ids, params, outs)
        if not is_inexact(typeof(outs).dtype):
            return outs
        kept, kept_out = self.needs(ids, values, outs)
        i = recording.fresh()
        recording.append((self, i, Application(tuple(ids), _constants(recording, ids, kept), params, kept_out, None)))
        return Tracer(recording, i, outs)

    def _record_multiple(
        self, recording: Recording, values: list[Any], ids: list[int | None], params: dict[str, Any], outs: Any
    ) -> Any:
        kept, kept_outs = self.needs(ids, values, outs)
        out_ids = tuple([recording.fresh() for _ in outs])
        recording.append(
            (self, out_ids, Application(tuple(ids), _constants(recording, ids, kept), params, kept_outs, None))
        )
        return tuple(
            [Tracer(recording, i, o) if is_inexact(typeof(o).dtype) else o for i, o in zip(out_ids, outs, strict=True)]
        )


class Linear(_Recorded):
    """Linear in its operands ``linear_in`` together (all of them by default); the others are indices and the like.

    Parameters
    ----------
    transpose : callable
        ``transpose(ct, *operands, **params)`` -> the cotangent of each linear operand (a tuple when
        there is more than one). Linear operands are given as ShapedArrays, the others by value.
    linear_in : tuple of int, optional
        Positions of the linear operands; None means all.
    accumulate : callable, optional
        ``accumulate(total, ct, *operands, **params)``: add the transpose into the plain ndarray ``total`` in
        place, for primitives that read a small part of a large array.
    """

    kind = "linear"

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        abstract: Callable[..., Any] | None = None,
        transpose: Callable[..., Any],
        batch: Callable[..., Any] | None = None,
        linear_in: tuple[int, ...] | None = None,
        accumulate: Callable[..., None] | None = None,
        lowering: Lowering | None = None,
    ) -> None:
        super().__init__(name, impl, abstract=abstract, batch=batch, lowering=lowering)
        self.transpose = transpose
        self.linear_in = linear_in
        self.accumulate = accumulate

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Apply the primitive; one operand recorded with values, as in indexing in a loop, is written out."""
        if len(operands) != 1 or type(operands[0]) is not Tracer or operands[0].recording.abstract:
            return super().bind(*operands, **params)
        (x,) = operands
        recording, value = x.recording, x.value
        out = self.bind(value, **params) if type(value) is Tracer else self.impl(value, **params)
        if typeof(out).dtype.kind not in "fc":
            return out
        i = recording.fresh()
        recording.append((self, i, Application((x.id,), (typeof(value),), params, None, None)))
        return Tracer(recording, i, out)

    def is_linear_in(self, position: int) -> bool:
        """Whether the operand at this position is a linear one."""
        return self.linear_in is None or position in self.linear_in

    def needs(self, ids: Sequence[int | None], values: list[Any], outs: Any) -> tuple[tuple[Any, ...], Any]:
        """Indices by value, linear operands by type."""
        return tuple([typeof(x) if self.is_linear_in(k) else x for k, x in enumerate(values)]), None


class Multilinear(_Recorded):
    """Linear in each operand by itself: a product of some kind.

    Parameters
    ----------
    transposes : sequence of callables
        ``transposes[i](ct, *operands, **params)`` -> the cotangent of operand i, which is given as a
        ShapedArray; the others are given by value.
    """

    kind = "multilinear"

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        abstract: Callable[..., Any] | None = None,
        transposes: Sequence[Callable[..., Any]],
        batch: Callable[..., Any] | None = None,
        lowering: Lowering | None = None,
    ) -> None:
        super().__init__(name, impl, abstract=abstract, batch=batch, lowering=lowering)
        self.transposes = transposes

    def needs(self, ids: Sequence[int | None], values: list[Any], outs: Any) -> tuple[tuple[Any, ...], Any]:
        """An operand by value where another one is traced, else by type."""
        traced = [i is not None for i in ids]
        count = sum(traced)
        return tuple([x if count - t else typeof(x) for x, t in zip(values, traced, strict=True)]), None


class General(_Recorded):
    """A primitive whose derivative is given as a jvp in terms of other primitives.

    Parameters
    ----------
    jvp : callable
        ``jvp(primals, tangents, outs, **params)`` -> the tangent(s) of the result. ``tangents[i]`` is None
        where it is zero or cannot exist. It must be linear in the tangents.
    transpose : callable, optional
        For a primitive with one result that is linear in some of its operands while the others are held (the right
        hand side of a linear system): its transpose in these, as that of `Linear`. With it the rule ``jvp`` may
        bind the primitive itself to tangents, and is asked only when another operand has a tangent.
    linear_in : tuple of int
        Positions of the operands that ``transpose`` speaks of.
    """

    kind = "general"
    accumulate = None
    selective = False
    """Whether ``jvp`` takes the keyword ``wanted``, a boolean for each result: reverse mode asks only for the tangents
    of those results that have a cotangent, forward mode for all. The others may be None."""

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        abstract: Callable[..., Any] | None = None,
        jvp: Callable[..., Any],
        batch: Callable[..., Any] | None = None,
        multiple: bool = False,
        transpose: Callable[..., Any] | None = None,
        linear_in: tuple[int, ...] = (),
        lowering: Lowering | None = None,
    ) -> None:
        super().__init__(name, impl, abstract=abstract, batch=batch, multiple=multiple, lowering=lowering)
        self.jvp = jvp
        self.transpose = transpose
        self.linear_in = linear_in

    def is_linear_in(self, position: int) -> bool:
        """Whether the operand at this position is a linear one."""
        return position in self.linear_in

    def is_linear_for(self, active: Sequence[Any]) -> bool:
        """Whether it is linear in the operands that are marked active (by anything but None) together."""
        return self.transpose is not None and all(mark is None or k in self.linear_in for k, mark in enumerate(active))

    def needs(self, ids: Sequence[int | None], values: list[Any], outs: Any) -> tuple[tuple[Any, ...], Any]:
        """Everything, as the rule is free to use what it likes; of a linear map what `Linear` keeps."""
        if self.is_linear_for(ids):
            return tuple([typeof(x) if k in self.linear_in else x for k, x in enumerate(values)]), None
        return tuple(values), outs

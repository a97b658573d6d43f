"""Elementwise primitives: pointwise functions that broadcast their operands as NumPy does.

    Elementwise   with a rule per operand, t -> t * partial
    NoTangent     with a result that has no derivative or a zero one (comparisons, floor, argmax)

Un-broadcasting a cotangent, casting it back and aligning batch axes is done for the whole family by the
interpreters; a primitive of the family states its NumPy function and its rules and nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad._util import set_name
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.lowering import NEW, NO_WAYS, ROWS, UNKNOWN, Emission, Lowering, Ways, call_of
from fungrad.core.primitive import OPERAND_TYPES, Primitive, as_operand, defers, is_operand, lower, record_abstract
from fungrad.core.trace import Recording, Tracer, newest

Rule = Callable[..., Any]

_float64 = np.float64
_ndarray = np.ndarray
_CHANGEABLE = frozenset({np.ndarray, Tracer})  # a program may assign to these after using them
_SCALARS = (float, np.float64)


def difference(x: Any, out: Any) -> tuple[ShapedArray, ShapedArray] | None:
    """The types of an operand and the result where they differ in shape or dtype, else None."""
    while type(x) is Tracer:
        x = x.value
    while type(out) is Tracer:
        out = out.value
    if type(x) in _SCALARS and type(out) in _SCALARS:
        return None
    a, b = typeof(x), typeof(out)
    if b.dtype.kind not in "fc":
        raise TypeError(f"an operation on a traced array of type {a!r} gave an array of type {b!r}; expected numbers")
    return None if a.shape == b.shape and a.dtype == b.dtype else (a, b)


_NAMES = ("x", "y", "z")


def _reads(rule: Rule, name: str) -> bool:
    """Whether a rule names this residual."""
    code = rule.__code__
    return name in code.co_varnames[1 : code.co_argcount]


def _picker(rule: Rule, arity: int) -> Callable[..., tuple[Any, ...]]:
    """A function of (operands..., out) that returns the residuals that the rule names."""
    code = rule.__code__
    names = code.co_varnames[1 : code.co_argcount]
    available = (*_NAMES[:arity], "out")
    unknown = set(names) - set(available)
    if unknown:
        raise TypeError(f"a rule of {arity} operands names {sorted(unknown)}; it can name {available}")
    pick: Callable[..., tuple[Any, ...]] = eval(f"lambda {', '.join(available)}: ({''.join(n + ', ' for n in names)})")
    return pick


def broadcasting_rows(*avals: ShapedArray, **params: Any) -> Ways:
    """Blocks of rows of operands that broadcast: those that carry rows are the ones with the most axes."""
    rank = max([a.ndim for a in avals])
    carry = tuple([rank > 0 and a.ndim == rank and a.shape[0] != 1 for a in avals])
    return ((carry, ROWS),) if any(carry) else NO_WAYS


def elementwise_lowering(
    impl: Callable[..., Any], ufunc: np.ufunc | None = None, scalar: str | None = None, cost: float | None = None
) -> Lowering:
    """The lowering of a pointwise function: a ufunc where there is one, which takes an ``out``."""
    ufunc = impl if isinstance(impl, np.ufunc) and ufunc is None else ufunc
    if ufunc is None:
        return Lowering(call_of(impl), UNKNOWN, rows=broadcasting_rows, scalar=scalar, cost=cost or 10.0)

    # NumPy deprecates a third positional argument of these two alone.
    result = "out=" if ufunc in (np.maximum, np.minimum) else ""

    def text(e: Emission, out: str | None, *names: str) -> str:
        return f"{e.const(ufunc, ufunc.__name__)}({', '.join(names if out is None else (*names, result + out))})"

    return Lowering(text, NEW, into=True, pointwise=True, rows=broadcasting_rows, scalar=scalar, cost=cost or 0.2)


class Elementwise(Primitive):
    """A pointwise function that broadcasts its operands as NumPy does.

    Parameters
    ----------
    name, impl
        As for `Primitive`; ``impl`` takes no parameters.
    *rules : callable or None
        One for each operand: ``rule(t, ...)`` as the module describes, or None where the operand
        carries no tangent (a condition).
    joint : bool
        Linear in all its traced operands together (add), so that a constant operand makes it affine.
    ufunc, scalar, cost, lowering
        How it compiles: the ufunc that does the same as ``impl`` on arrays (``impl`` itself if it is one), and
        `Lowering`'s ``scalar`` and ``cost``; or a `Lowering`.
    """

    kind = "elementwise"

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *rules: Rule | None,
        joint: bool = False,
        ufunc: np.ufunc | None = None,
        scalar: str | None = None,
        cost: float | None = None,
        lowering: Lowering | None = None,
    ) -> None:
        super().__init__(name, impl, lowering=lowering or elementwise_lowering(impl, ufunc, scalar, cost))
        self.rules = rules
        self.arity = len(rules)
        self.joint = joint
        self.pickers = tuple([None if r is None else _picker(r, self.arity) for r in rules])
        self._dtypes: dict[Any, tuple[np.dtype[Any], bool]] = {}
        make: Any = {1: _unary, 2: _binary}.get(self.arity, _nary)
        self.function: Callable[..., Any] = set_name(make(self), name)

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Apply the primitive; see `Primitive.bind`."""
        return self.function(*operands)

    def abstract(self, *avals: ShapedArray, **params: Any) -> ShapedArray:
        """Broadcast the shapes; ask NumPy itself, once for each combination, for the dtype."""
        key = tuple([(a.dtype, a.weak) for a in avals])
        known = self._dtypes.get(key)
        if known is None and any(a.dtype.kind not in "biufc" for a in avals):
            raise TypeError(f"{self.name}: expected numbers, got operands of types {avals}")
        if known is None:
            with np.errstate(all="ignore"):
                probe = self.impl(*[_probe(a) for a in avals])
            known = self._dtypes[key] = (typeof(probe).dtype, typeof(probe).weak)
        return ShapedArray(broadcast_shapes(self.name, [a.shape for a in avals]), *known)

    def edges(self, ids: Sequence[int | None], operands: Sequence[Any], out: Any) -> tuple[Any, ...]:
        """The linear map at a point: for each traced operand (id, rule, residuals, fix)."""
        return tuple(
            [
                (i, rule, pick(*operands, out), difference(x, out))
                for i, rule, pick, x in zip(ids, self.rules, self.pickers, operands, strict=True)
                if i is not None and rule is not None and pick is not None
            ]
        )

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down and append the linear map."""
        values, ids = lower(recording, operands)
        out = self.function(*values)
        take = recording.constants.take
        edges = self.edges(ids, [take(v) if i is None else v for i, v in zip(ids, values, strict=True)], out)
        if not edges:
            return out
        i = recording.fresh()
        recording.append((self, i, edges))
        return Tracer(recording, i, out)


def _probe(aval: ShapedArray) -> Any:
    return aval.dtype.type(1).item() if aval.weak else np.ones((1,), aval.dtype)


def broadcast_shapes(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The broadcast shape; a ValueError in NumPy's words when there is none."""
    first = shapes[0]
    for shape in shapes:
        if shape != first:
            break
    else:
        return first
    result = []
    for sizes in itertools.zip_longest(*[s[::-1] for s in shapes], fillvalue=1):
        size = 1
        for n in sizes:
            if n != 1:
                if size != 1 and n != size:
                    text = " ".join(str(s).replace(" ", "") for s in shapes)
                    raise ValueError(f"{name}: operands could not be broadcast together with shapes {text}")
                size = n
        result.append(size)
    return tuple(result[::-1])


# The three functions below do the same as Elementwise.record. They are written out for one and two
# operands because they run for each arithmetic operation of a user's program: the generic one takes
# three times as long as the arithmetic itself.


def _unary(prim: Elementwise) -> Callable[[Any], Any]:
    impl, rule, pick = prim.impl, prim.rules[0], prim.pickers[0]
    assert rule is not None and pick is not None

    def bind(x: Any) -> Any:
        if type(x) is not Tracer:
            return impl(x)
        recording = x.recording
        if recording.abstract:
            return record_abstract(prim, recording, (x,), {})
        value = x.value
        out = bind(value) if type(value) is Tracer else impl(value)
        fix = None if type(value) is _float64 and type(out) is _float64 else difference(value, out)
        i = recording.fresh()
        recording.append((prim, i, ((x.id, rule, pick(value, out), fix),)))
        return Tracer(recording, i, out)

    return bind


def _binary(prim: Elementwise) -> Callable[[Any, Any], Any]:
    impl = prim.impl
    x_rule, y_rule = prim.rules
    x_pick, y_pick = prim.pickers
    if x_rule is None or y_rule is None or x_pick is None or y_pick is None:
        return _nary(prim)
    x_rule_reads_y, y_rule_reads_x = _reads(x_rule, "y"), _reads(y_rule, "x")

    def bind(x: Any, y: Any) -> Any:
        x_id = y_id = None
        if type(x) is Tracer:
            recording = x.recording
            if type(y) is Tracer:
                if y.recording is recording:
                    x_id, x_value, y_id, y_value = x.id, x.value, y.id, y.value
                elif y.recording.level > recording.level:
                    recording = y.recording
                    x_value, y_id, y_value = x, y.id, y.value
                else:
                    x_id, x_value, y_value = x.id, x.value, y
            else:
                if type(y) not in OPERAND_TYPES or (type(y) is _ndarray and y.dtype.hasobject):
                    return NotImplemented if defers(y) else bind(x, as_operand(y))
                x_id, x_value, y_value = x.id, x.value, y
        elif type(y) is Tracer:
            recording = y.recording
            if type(x) not in OPERAND_TYPES or (type(x) is _ndarray and x.dtype.hasobject):
                return NotImplemented if defers(x) else bind(as_operand(x), y)
            x_value, y_id, y_value = x, y.id, y.value
        else:
            return impl(x, y)
        if recording.abstract:
            return record_abstract(prim, recording, (x, y), {})
        if type(x_value) is Tracer or type(y_value) is Tracer:
            out = bind(x_value, y_value)
        else:
            out = impl(x_value, y_value)
        kind = type(out)
        if x_id is None:
            fix = None if kind is _float64 is type(y_value) else difference(y_value, out)
            if y_rule_reads_x and type(x_value) in _CHANGEABLE:
                x_value = recording.constants.take(x_value)
            edges: Any = ((y_id, y_rule, y_pick(x_value, y_value, out), fix),)
        elif y_id is None:
            fix = None if kind is _float64 is type(x_value) else difference(x_value, out)
            if x_rule_reads_y and type(y_value) in _CHANGEABLE:
                y_value = recording.constants.take(y_value)
            edges = ((x_id, x_rule, x_pick(x_value, y_value, out), fix),)
        else:
            edges = (
                (
                    x_id,
                    x_rule,
                    x_pick(x_value, y_value, out),
                    None if kind is _float64 is type(x_value) else difference(x_value, out),
                ),
                (
                    y_id,
                    y_rule,
                    y_pick(x_value, y_value, out),
                    None if kind is _float64 is type(y_value) else difference(y_value, out),
                ),
            )
        i = recording.fresh()
        recording.append((prim, i, edges))
        return Tracer(recording, i, out)

    return bind


def _nary(prim: Elementwise) -> Callable[..., Any]:
    def bind(*operands: Any) -> Any:
        if newest(operands) is None:
            return prim.impl(*operands)
        operands = tuple([x if is_operand(x) else as_operand(x) for x in operands])
        recording = newest(operands)
        assert recording is not None
        if recording.abstract:
            return record_abstract(prim, recording, operands, {})
        return prim.record(recording, operands, {})

    return bind


class NoTangent(Primitive):
    """A primitive whose result has no derivative or a zero one: comparisons, argmax, floor, integers.

    Recorded with values it is computed one level down and handed on as it is. ``elementwise=True`` gives
    it the type and batching rules of a broadcasting function.
    """

    kind = "no tangent"

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        abstract: Callable[..., Any] | None = None,
        batch: Callable[..., Any] | None = None,
        elementwise: bool = False,
        multiple: bool = False,
        ufunc: np.ufunc | None = None,
        scalar: str | None = None,
        cost: float | None = None,
        lowering: Lowering | None = None,
    ) -> None:
        if elementwise and lowering is None:
            lowering = elementwise_lowering(impl, ufunc, scalar, cost)
        super().__init__(name, impl, abstract=abstract, batch=batch, multiple=multiple, lowering=lowering)
        self.elementwise = elementwise
        self._dtypes: dict[Any, tuple[np.dtype[Any], bool]] = {}
        self.function: Callable[..., Any] = set_name(self._make_function(), name)

    def _make_function(self) -> Callable[..., Any]:
        impl, prim = self.impl, self

        def bind(*operands: Any) -> Any:
            if newest(operands) is None:
                return impl(*operands)
            operands = tuple([x if is_operand(x) else as_operand(x) for x in operands])
            recording = newest(operands)
            assert recording is not None
            if recording.abstract:
                return record_abstract(prim, recording, operands, {})
            return bind(*lower(recording, operands)[0])

        return bind

    def abstract(self, *avals: ShapedArray, **params: Any) -> Any:
        """The declared rule, or that of a broadcasting function."""
        return Elementwise.abstract(self, *avals, **params) if self.elementwise else super().abstract(*avals, **params)  # type: ignore[arg-type]

    def record(self, recording: Recording, operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute one level down; there is nothing to record."""
        return self.bind(*lower(recording, operands)[0], **params)

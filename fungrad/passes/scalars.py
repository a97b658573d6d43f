"""Small vectors of numbers: compute with their elements one by one.

    scalars : ClosedJaxpr -> ClosedJaxpr

NumPy takes as long for an array of three numbers as for one of fifty; generated code computes with Python's numbers ten
times as fast. So vectors that are put together from scalars (``stack``, ``unslice``, reshapes to one element) are not
built where what reads them can do with the elements: pointwise functions, slices, sums. Where something else reads one
it is stacked after all.

Elements of a vector are held as a list of atoms, its parts. Other vectors of float64 are taken apart where they meet
one that is in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from fungrad.core.aval import FLOAT, ShapedArray
from fungrad.core.elementwise import Elementwise
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.primitives.arithmetic import add_p, mul_p
from fungrad.primitives.structural import reshape_p, slice_p, stack_p

LONGEST = 6
"""Elements of the longest vector that is taken apart."""


_ZERO = Literal(np.float64(0.0))
"""The zeros of ``unslice``, told apart from others by identity."""


def _is_short(aval: ShapedArray) -> bool:
    return len(aval.shape) == 1 and 0 < aval.shape[0] <= LONGEST


class _Splitter:
    def __init__(self, closed: ClosedJaxpr) -> None:
        self.closed = closed
        self.eqns: list[Equation] = []
        self.same: dict[Var, Atom] = {}
        self.parts: dict[Var, list[Atom]] = {}
        self.built: set[Var] = set()
        self.source: Any = None

    def emit(self, primitive: Any, *inputs: Atom, **params: Any) -> Var:
        """Append an equation; its result."""
        out = Var(primitive.abstract(*[a.aval for a in inputs], **params))
        self.eqns.append(Equation(primitive, inputs, params, [out], self.source))
        return out

    def read(self, atom: Atom) -> Atom:
        """An operand as an array: stacked, if it is in parts only."""
        if not isinstance(atom, Var):
            return atom
        atom = self.same.get(atom, atom)
        if isinstance(atom, Var) and atom in self.parts and atom not in self.built:
            self.built.add(atom)
            parts = self.parts[atom]
            if len(parts) == 1:
                self.eqns.append(Equation(reshape_p, parts, {"shape": (1,)}, [atom], self.source))
            else:
                self.eqns.append(Equation(stack_p, parts, {}, [atom], self.source))
        return atom

    def split(self, atom: Atom) -> list[Atom] | None:
        """The parts of an operand, if it has them."""
        return self.parts.get(self.same.get(atom, atom)) if isinstance(atom, Var) else None  # type: ignore[arg-type]

    def take_apart(self, atom: Atom) -> list[Atom] | None:
        """The parts of a short vector, made by slices if need be."""
        found = self.split(atom)
        if found is None and isinstance(atom, Var) and _is_short(atom.aval) and atom.aval.dtype == FLOAT:
            whole = self.read(atom)
            found = [self.emit(slice_p, whole, index=(k,)) for k in range(atom.aval.shape[0])]
            if isinstance(whole, Var):
                self.parts[whole] = found
                self.built.add(whole)
        return found

    def scalar(self, atom: Atom) -> Atom:
        """An operand without axes."""
        return self.same.get(atom, atom) if isinstance(atom, Var) else atom

    def visit(self, eqn: Equation) -> None:
        """Rewrite one equation."""
        self.source = eqn.source
        rule = _RULES.get(eqn.primitive.name) or (_pointwise if _is_pointwise(eqn.primitive) else None)
        if rule is not None and len(eqn.outputs) == 1 and eqn.outputs[0].aval.dtype.kind in "fb":
            found = rule(self, eqn)
            (out,) = eqn.outputs
            if isinstance(found, list):
                self.parts[out] = found
                return
            if found is not None:
                self.same[out] = found
                return
        inputs = [self.read(a) for a in eqn.inputs]
        self.eqns.append(Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source))

    def run(self) -> ClosedJaxpr:
        """The whole program."""
        jaxpr = self.closed.jaxpr
        for eqn in jaxpr.eqns:
            self.visit(eqn)
        self.source = None
        if not self.parts and not self.same:
            return self.closed
        outvars = [self.read(v) for v in jaxpr.outvars]
        return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, self.eqns, outvars), self.closed.consts)


def _is_pointwise(primitive: Any) -> bool:
    pointwise = isinstance(primitive, Elementwise) or getattr(primitive, "elementwise", False)
    return pointwise and primitive.lowering.scalar is not None


def _all_floats(atoms: Sequence[Atom]) -> bool:
    return all(a.aval.shape == () and a.aval.dtype == FLOAT and not a.aval.weak for a in atoms)


def _stack(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    parts = [s.scalar(a) for a in eqn.inputs]
    return parts if len(parts) <= LONGEST and _all_floats(parts) else None


def _reshape(s: _Splitter, eqn: Equation) -> Atom | list[Atom] | None:
    # () -> (1,)      (1,) -> ()
    (x,) = eqn.inputs
    shape = eqn.params["shape"]
    if shape == (1,) and not x.aval.shape:
        x = s.scalar(x)
        return [x] if _all_floats([x]) else None
    parts = s.split(x)
    if parts is None:
        return None
    if shape == () and len(parts) == 1:
        return parts[0]
    return list(parts) if shape == x.aval.shape else None


def _broadcast(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    # of vectors of one element in parts
    (x,) = eqn.inputs
    parts = s.split(x)
    (out,) = eqn.outputs
    return [parts[0]] * out.aval.shape[0] if parts and len(parts) == 1 and _is_short(out.aval) else None


def _slice(s: _Splitter, eqn: Equation) -> Atom | list[Atom] | None:
    parts = s.split(eqn.inputs[0])
    if parts is None or len(eqn.params["index"]) != 1:
        return None
    (index,) = eqn.params["index"]
    if isinstance(index, int):
        return parts[index]
    return list(parts) if index is None else parts[slice(*index)] or None


def _unslice(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    shape, index = eqn.params["shape"], eqn.params["index"]
    (x,) = eqn.inputs
    if len(shape) != 1 or shape[0] > LONGEST or len(index) != 1 or x.aval.dtype != FLOAT:
        return None
    parts: list[Atom] = [_ZERO] * shape[0]
    if isinstance(index[0], int):
        x = s.scalar(x)
        if not _all_floats([x]):
            return None
        parts[index[0]] = x
        return parts
    inner = s.split(x)
    if inner is None:
        return None
    parts[slice(*(index[0] or (0, shape[0], 1)))] = inner
    return parts


def _put_slice(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    return _changed(s, eqn, lambda old, new: new)


def _add_slice(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    return _changed(s, eqn, lambda old, new: _added(s, old, new))


def _changed(s: _Splitter, eqn: Equation, change: Callable[[Atom, Atom], Atom]) -> list[Atom] | None:
    """A vector in parts with some of them changed."""
    x, v = eqn.inputs
    parts, index = s.split(x), eqn.params["index"]
    if parts is None or len(index) != 1:
        return None
    (where,) = index
    if isinstance(where, int):
        v = s.scalar(v)
        if not _all_floats([v]):
            return None
        positions, values = [where], [v]
    else:
        found = s.take_apart(v)
        if found is None:
            return None
        positions, values = list(range(len(parts)))[slice(*where) if where else slice(None)], found
    result = list(parts)
    for k, value in zip(positions, values, strict=True):
        result[k] = change(result[k], value)
    return result


def _added(s: _Splitter, x: Atom, y: Atom) -> Atom:
    """A sum, in which the zeros that ``unslice`` fills up with are left out."""
    if x is _ZERO:
        return y
    return x if y is _ZERO else s.emit(add_p, x, y)


def _concatenate(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    pieces = [s.split(a) for a in eqn.inputs]
    if eqn.outputs[0].aval.shape[0] > LONGEST or any(p is None for p in pieces):
        return None
    return [a for p in pieces for a in p or ()]


def _sum(s: _Splitter, eqn: Equation) -> Atom | None:
    parts = s.split(eqn.inputs[0])
    if parts is None or eqn.params["axes"] != (0,):
        return None
    return reduce(lambda x, y: s.emit(add_p, x, y), parts)


def _contract(s: _Splitter, eqn: Equation) -> Atom | None:
    # the inner product of two vectors
    x, y = (s.split(a) for a in eqn.inputs)
    if eqn.params["spec"] not in ("a,a->", "b,b->") or (x is None and y is None):
        return None
    x, y = (s.take_apart(a) for a in eqn.inputs)
    if x is None or y is None:
        return None
    products: list[Atom] = [s.emit(mul_p, a, b) for a, b in zip(x, y, strict=True)]
    return reduce(lambda a, b: s.emit(add_p, a, b), products)


def _pointwise(s: _Splitter, eqn: Equation) -> list[Atom] | None:
    (out,) = eqn.outputs
    if not _is_short(out.aval) or all(s.split(a) is None for a in eqn.inputs):
        return None
    if any(a.aval.shape and a.aval.dtype.kind not in "fb" for a in eqn.inputs):
        return None
    n = out.aval.shape[0]
    columns: list[list[Atom]] = []
    for a in eqn.inputs:
        if not a.aval.shape:
            columns.append([s.scalar(a)] * n)
            continue
        parts = s.take_apart(a)
        if parts is None:
            return None
        columns.append(parts if len(parts) == n else parts * n)
    if not all(c.aval.dtype == FLOAT or c.aval.weak or c.aval.dtype.kind == "b" for column in columns for c in column):
        return None
    rows = list(zip(*columns, strict=True))
    results: list[Atom]
    if eqn.primitive is add_p and all(_all_floats(row) for row in rows):
        results = [_added(s, x, y) for x, y in rows]
    else:
        results = [s.emit(eqn.primitive, *row) for row in rows]
    return results if all(r.aval.dtype == out.aval.dtype and not r.aval.weak for r in results) else None


_RULES = {
    "stack": _stack,
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "slice": _slice,
    "unslice": _unslice,
    "put_slice": _put_slice,
    "add_slice": _add_slice,
    "concatenate": _concatenate,
    "sum": _sum,
    "contract": _contract,
}


def scalars(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function with short vectors taken apart; the program itself if it has none."""
    if not any(e.primitive.name in ("stack", "unslice", "reshape") for e in closed.eqns):
        return closed
    return _Splitter(closed).run()

"""Rows first: move the axis along which a program is best run in blocks to the front.

    rows : ClosedJaxpr -> ClosedJaxpr

The compiler runs equations together, some rows (of the first axis) at a time (`compile.schedule`). Which axis comes
first is the accident of how the program was written: attention has heads x queries x keys, a mixture clusters x
points. Along some axes everything flows through in one go; along others a reduction stops it, and all arrays go
through memory.

So for the largest array each of its axes is tried: from it the axis is followed through the equations as far
as it goes, which gives the *region* that could run in blocks of it. What still has to go through memory then is
counted. If the best axis is clearly better than the first, the equations of its region are written anew with that axis
first; at the border of the region stand transposes, which are views. Then the same for the largest array
that is not in a region yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fungrad.core.elementwise import broadcasting_rows
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.lowering import VIEW
from fungrad.primitives.contraction import contract_p, parse_spec
from fungrad.primitives.structural import broadcast_to_p, reshape_p, transpose_p

LARGE = 1 << 13
"""Elements of an array from which on its place in memory matters."""

SEEDS = 4
"""Arrays from which regions are grown, at most."""

GAIN = 0.8
"""What must be left of the traffic through memory for axes to be moved."""

LONGEST_ROW = 1 << 16
"""Elements of a row above which blocks of rows do not fit into the cache."""

STRIDED = 4
"""How much more an element costs that is read across the order of memory."""

Axes = tuple[Sequence[int | None], int | None]
"""For an equation the row axis of each operand (None: taken whole) and of the result (None: summed over)."""


# How an equation passes a row axis on.  tie(eqn, k, axis) -> Axes | None:  of operand k (of the result: -1)


def _pointwise_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    out = eqn.outputs[0].aval
    at = axis if k < 0 else axis + out.ndim - eqn.inputs[k].aval.ndim
    n = out.shape[at]
    if k >= 0 and n != eqn.inputs[k].aval.shape[axis]:
        return None
    places = [at - out.ndim + a.aval.ndim for a in eqn.inputs]
    found = [p if p >= 0 and a.aval.shape[p] == n else None for a, p in zip(eqn.inputs, places, strict=True)]
    return (found, at) if any(p is not None for p in found) else None


def _reduction_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    axes = eqn.params["axes"]
    left = [a for a in range(eqn.inputs[0].aval.ndim) if a not in axes]
    if k < 0:
        return [left[axis]], axis
    return [axis], left.index(axis) if axis in left else None


def _contract_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    terms = parse_spec(eqn.params["spec"])
    label = terms[k][axis]
    a, b, result = [t.index(label) if label in t else None for t in terms]
    return [a, b], result


def _kept_axis(axis: int, shape: Sequence[int], new: Sequence[int]) -> int | None:
    """Where an axis is after a reshape that leaves it as it is."""
    before, passed = math.prod(shape[:axis]), 1
    for k, n in enumerate(new):
        if passed == before and n == shape[axis]:
            return k
        passed *= n
    return None


def _reshape_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    shapes = eqn.inputs[0].aval.shape, eqn.params["shape"]
    found = _kept_axis(axis, *shapes) if k == 0 else _kept_axis(axis, *shapes[::-1])
    if found is None:
        return None
    return ([axis], found) if k == 0 else ([found], axis)


def _transpose_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    order = eqn.params["permutation"]
    return ([axis], order.index(axis)) if k == 0 else ([order[axis]], axis)


def _concatenate_tie(eqn: Equation, k: int, axis: int) -> Axes | None:
    return ([axis] * len(eqn.inputs), axis) if axis != eqn.params["dimension"] else None


# The same equation with row axes first.  move(mover, eqn, Axes) -> result


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _place(axis: int, row: int) -> int:
    """Where an axis is once the row axis has been moved to the front."""
    return 0 if axis == row else axis + (axis < row)


def _aligned(mover: _Mover, atom: Atom, row: int | None, at: int, rank: int) -> Atom:
    """An operand that broadcasts as before, once axis ``at`` of the result (with ``rank`` axes) is the first."""
    shape = atom.aval.shape
    if row is not None:
        first = mover.rows(atom)
        n, *rest = first.aval.shape
        return mover.reshape(first, (n, *(1,) * (rank - len(shape)), *rest))
    own = at - rank + len(shape)
    whole = mover.whole(atom)
    return whole if own < 0 else mover.reshape(whole, _without(shape, own))


def _move_pointwise(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    (out,), (operands, at) = eqn.outputs, axes
    assert at is not None
    inputs = [_aligned(mover, a, p, at, out.aval.ndim) for a, p in zip(eqn.inputs, operands, strict=True)]
    return mover.emit(eqn.primitive, *inputs, **eqn.params)


def _move_broadcast(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    (x,), ((row,), at), shape = eqn.inputs, axes, eqn.params["shape"]
    assert at is not None
    return mover.emit(broadcast_to_p, _aligned(mover, x, row, at, len(shape)), shape=(shape[at], *_without(shape, at)))


def _move_reduction(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    (x,), ((row,), _) = eqn.inputs, axes
    assert row is not None
    new = tuple(sorted([_place(a, row) for a in eqn.params["axes"]]))
    return mover.emit(eqn.primitive, mover.rows(x), **{**eqn.params, "axes": new})


def _move_contract(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    terms = parse_spec(eqn.params["spec"])
    places = (*axes[0], axes[1])
    a, b, result = [t if p is None else t[p] + _drop(t, p) for t, p in zip(terms, places, strict=True)]
    return mover.emit(contract_p, *mover.operands(eqn, axes), spec=f"{a},{b}->{result}")


def _drop(term: str, k: int) -> str:
    return term[:k] + term[k + 1 :]


def _move_reshape(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    (x,), (_, at), shape = eqn.inputs, axes, eqn.params["shape"]
    assert at is not None
    return mover.reshape(mover.rows(x), (shape[at], *_without(shape, at)))  # type: ignore[return-value]


def _move_transpose(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    (x,), ((row,), at), order = eqn.inputs, axes, eqn.params["permutation"]
    assert row is not None and at is not None
    new = [_place(order[k], row) for k in (at, *[k for k in range(len(order)) if k != at])]
    return mover.transpose(mover.rows(x), new)


def _move_concatenate(mover: _Mover, eqn: Equation, axes: Axes) -> Var:
    assert axes[1] is not None
    return mover.emit(eqn.primitive, *mover.operands(eqn, axes), dimension=_place(eqn.params["dimension"], axes[1]))


class _Rule(NamedTuple):
    """How a primitive passes a row axis on, and how it is written with that axis first."""

    tie: Callable[[Equation, int, int], Axes | None]
    move: Callable[[_Mover, Equation, Axes], Var]


_POINTWISE = _Rule(_pointwise_tie, _move_pointwise)
_REDUCTION = _Rule(_reduction_tie, _move_reduction)
_RULES = {
    "contract": _Rule(_contract_tie, _move_contract),
    "reshape": _Rule(_reshape_tie, _move_reshape),
    "transpose": _Rule(_transpose_tie, _move_transpose),
    "broadcast_to": _Rule(_pointwise_tie, _move_broadcast),
    "concatenate": _Rule(_concatenate_tie, _move_concatenate),
    "convert": _POINTWISE,
    **dict.fromkeys(("sum", "max", "min", "prod", "any", "all", "count_nonzero"), _REDUCTION),
}


def _rule_of(eqn: Equation) -> _Rule | None:
    prim = eqn.primitive
    if prim.multiple or not eqn.outputs[0].aval.size:
        return None
    return _RULES.get(prim.name) or (_POINTWISE if prim.lowering.rows is broadcasting_rows else None)


# regions


class _Program:
    """A jaxpr, who reads and who makes what, and which variables are in a region already."""

    def __init__(self, jaxpr: Jaxpr) -> None:
        self.jaxpr = jaxpr
        self.maker: dict[Var, Equation] = {}
        self.readers: dict[Var, list[tuple[Equation, int]]] = {}
        for eqn in jaxpr.eqns:
            for k, v in enumerate(eqn.inputs):
                if type(v) is Var:
                    self.readers.setdefault(v, []).append((eqn, k))
            for v in eqn.outputs:
                self.maker[v] = eqn
        self.returned = {v for v in jaxpr.outvars if type(v) is Var}
        self.settled: set[Var] = set()

    def next_seed(self) -> Var | None:
        """The largest array with several axes that is not in a region."""
        free = [v for v in self.maker if v.aval.size >= LARGE and v.aval.ndim > 1 and v not in self.settled]
        return max(free, key=lambda v: v.aval.size, default=None)

    def region(self, seed: Var, axis: int) -> _Region:
        """Follow an axis of an array through the equations."""
        axes: dict[Var, int] = {seed: axis}
        found: dict[Equation, Axes] = {}
        ahead = [seed]
        for v in ahead:  # grows meanwhile
            maker = self.maker.get(v)
            if maker is None:  # what else reads the program's arguments has nothing to do with this
                continue
            for eqn, k in [(maker, -1), *self.readers.get(v, ())]:
                rule = None if eqn in found else _rule_of(eqn)
                tied = rule.tie(eqn, k, axes[v]) if rule is not None else None
                if tied is None or not self._agrees(eqn, tied, axes):
                    continue
                found[eqn] = tied
                for w, p in zip((*eqn.inputs, *eqn.outputs), (*tied[0], tied[1]), strict=True):
                    if p is not None and type(w) is Var and w not in axes:
                        axes[w] = p
                        ahead.append(w)
        return _Region({e: t for e, t in found.items() if self._agrees(e, t, axes)}, axes)

    def _agrees(self, eqn: Equation, tied: Axes, axes: dict[Var, int]) -> bool:
        for v, p in zip((*eqn.inputs, *eqn.outputs), (*tied[0], tied[1]), strict=True):
            if type(v) is Var and (v in self.settled or axes.get(v, p) != p):
                return False
        return True

    def traffic(self, region: _Region) -> int:
        """Elements that go through memory when the equations of a region run in blocks, as few loops as can be."""
        level: dict[Var, int] = {}
        """After how many loops a variable is complete; of rows: in which loop they are made."""
        runs: dict[Equation, int] = {}
        for eqn in self.jaxpr.eqns:
            tied = region.equations.get(eqn)
            operands = [v for v in eqn.inputs if type(v) is Var]
            if tied is None:
                k = max([level.get(v, 0) + (v in region.made) for v in operands], default=0)
            else:
                k = runs[eqn] = max([level.get(v, 0) for v in operands], default=0)
                k += tied[1] is None
            for out in eqn.outputs:
                level[out] = k
        total = 0
        for v, maker in self.maker.items():
            loop = runs.get(maker)
            tied = region.equations.get(maker)
            if tied is None and maker.primitive.lowering.memory == VIEW:
                continue
            readers = [e for e, _ in self.readers.get(v, ())]
            if loop is None or tied is None or tied[1] is None or v in self.returned:
                stays = False
            else:
                stays = all(runs.get(e) == loop for e in readers)
            if not stays:
                total += v.aval.size * (1 + len({runs.get(e, -1 - k) for k, e in enumerate(readers)}))
                total += v.aval.size if region.axes.get(v) and tied is not None and tied[1] is not None else 0
        inputs = [v for v in region.axes if v not in region.made and v.aval.ndim > 1 and region.axes[v] > 0]
        return total + STRIDED * sum([v.aval.size for v in inputs])


class _Region:
    """Equations that have the same rows.

    Attributes
    ----------
    equations : dict
        For each equation the row axes of its operands and its result.
    axes : dict
        For each array the axis that is the rows.
    made : set
        The arrays of rows that the equations make.
    """

    __slots__ = ("axes", "equations", "made")

    def __init__(self, equations: dict[Equation, Axes], axes: dict[Var, int]) -> None:
        self.equations = equations
        self.axes = axes
        self.made = {e.outputs[0] for e, (_, at) in equations.items() if at is not None}

    def longest_row(self) -> int:
        """Elements of the longest row of what is made."""
        return max([v.aval.size // v.aval.shape[self.axes[v]] for v in self.made], default=0)

    def is_flat(self) -> bool:
        """Whether all arrays of rows have the same shape."""
        return len({v.aval.shape for v in self.axes}) <= 1

    def with_rows_first(self) -> _Region:
        """The part of it that has them first without being changed."""
        kept = {e: t for e, t in self.equations.items() if not any((*t[0], t[1]))}
        return _Region(kept, {v: p for v, p in self.axes.items() if not p})


class _Mover:
    """Writes a program anew with the axes of regions moved to the front."""

    def __init__(self, closed: ClosedJaxpr, axes: dict[Var, int], equations: dict[Equation, Axes]) -> None:
        self.closed = closed
        self.axes = axes
        self.equations = equations
        self.eqns: list[Equation] = []
        self._rows: dict[Var, Var] = {}
        self._whole: dict[Var, Var] = {}
        self._source: Any = None

    def emit(self, primitive: Any, *inputs: Atom, **params: Any) -> Var:
        """Append an equation; its result."""
        out = Var(primitive.abstract(*[a.aval for a in inputs], **params))
        self.eqns.append(Equation(primitive, inputs, params, [out], self._source))
        return out

    def reshape(self, x: Atom, shape: tuple[int, ...]) -> Atom:
        """With another shape."""
        return x if x.aval.shape == shape else self.emit(reshape_p, x, shape=shape)

    def transpose(self, x: Var, order: Sequence[int]) -> Var:
        """With its axes in another order."""
        return x if list(order) == sorted(order) else self.emit(transpose_p, x, permutation=tuple(order))

    def rows(self, atom: Atom) -> Var:
        """An array of rows, with these as its first axis."""
        assert isinstance(atom, Var)
        found = self._rows.get(atom)
        if found is None:
            axis, n = self.axes[atom], atom.aval.ndim
            found = self._rows[atom] = self.transpose(atom, (axis, *[k for k in range(n) if k != axis]))
        return found

    def whole(self, atom: Atom) -> Atom:
        """An operand as it was."""
        if not isinstance(atom, Var) or atom in self._whole or atom not in self._rows:
            return self._whole.get(atom, atom) if isinstance(atom, Var) else atom
        axis, n = self.axes[atom], atom.aval.ndim
        found = self._whole[atom] = self.transpose(self._rows[atom], [_place(k, axis) for k in range(n)])
        return found

    def operands(self, eqn: Equation, axes: Axes) -> list[Atom]:
        """The operands of an equation, those of rows with these first."""
        return [self.whole(a) if p is None else self.rows(a) for a, p in zip(eqn.inputs, axes[0], strict=True)]

    def run(self) -> ClosedJaxpr:
        """The whole program."""
        jaxpr = self.closed.jaxpr
        self._whole.update({v: v for v in (*jaxpr.invars, *jaxpr.constvars)})
        for eqn in jaxpr.eqns:
            self._source = eqn.source
            axes = self.equations.get(eqn)
            if axes is None:
                inputs = [self.whole(a) for a in eqn.inputs]
                self.eqns.append(Equation(eqn.primitive, inputs, eqn.params, eqn.outputs, eqn.source))
                for v in eqn.outputs:
                    self._whole[v] = v
                continue
            rule = _rule_of(eqn)
            assert rule is not None
            (self._whole if axes[1] is None else self._rows)[eqn.outputs[0]] = rule.move(self, eqn, axes)
        self._source = None
        outvars = [self.whole(v) for v in jaxpr.outvars]
        return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, self.eqns, outvars), self.closed.consts)


def rows(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, written so that large arrays have the axis first along which they are best cut into blocks."""
    if not any(v.aval.size >= LARGE and v.aval.ndim > 1 for e in closed.eqns for v in e.outputs):
        return closed
    program = _Program(closed.jaxpr)
    axes: dict[Var, int] = {}
    equations: dict[Equation, Axes] = {}
    for _ in range(SEEDS):
        seed = program.next_seed()
        if seed is None:
            break
        region = _best_region(program, seed)
        if any(region.axes.values()):
            axes.update(region.axes)
            equations.update(region.equations)
        program.settled.update([v for v in region.axes if v in program.maker])
    return _Mover(closed, axes, equations).run() if equations else closed


def _best_region(program: _Program, seed: Var) -> _Region:
    """The region of the axis of an array that leaves the least traffic; of the first, unless another is much better."""
    first = program.region(seed, 0).with_rows_first()
    # Rows that do not fit a cache are not run in blocks, unless all is one axis of elements.
    in_blocks = first if first.is_flat() or first.longest_row() <= LONGEST_ROW else _Region({}, {})
    best, least = first, GAIN * program.traffic(in_blocks)
    if least < seed.aval.size:
        return first
    for axis, n in enumerate(seed.aval.shape):
        region = program.region(seed, axis) if n > 1 else first
        if region.longest_row() > LONGEST_ROW:
            continue
        traffic = program.traffic(region)
        if traffic < least:
            best, least = region, traffic
    return best

"""Reverse mode through a loop that keeps few carries and computes the others again.

    bars = reversed[body, ..., checkpoint] known operands, cotangents

A scan that is linear in some operands, its tangents, and has known carries beside them, its values, is transposed: from
the last iteration to the first, each needs the known carry that it began with. All of them take memory for each
iteration. Here some are kept, and the loop is run again from the nearest one.

With s carries kept and no iteration run more than r times again, ``beta(s, r) = (s + r)! / (s! r!)`` iterations can be
reversed (Griewank 1992); Griewank and Walther (Algorithm 799: Revolve, ACM Trans. Math. Softw. 26 (2000) 19-45) say
where to put them so that the fewest are run: see `cut`. The number of iterations is always known here, as a loop whose
length is computed has run before it is reversed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fungrad.compile.executable import Executable
from fungrad.control.call import Program
from fungrad.control.fission import compiled
from fungrad.control.loops import Params, Split, batched_body, split, transposed
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.primitive import Primitive, record_abstract
from fungrad.core.trace import Recording, newest
from fungrad.passes.prune import needed
from fungrad.primitives.structural import broadcast_to, moveaxis, zeros


def beta(s: int, r: int) -> int:
    """How many iterations s kept carries and r repetitions reverse."""
    return math.comb(s + r, s) if s >= 0 and r >= 0 else 0


def cut(n: int, s: int) -> int:
    """Where in n iterations, of which the first carry is at hand, the next of s carries is to be kept."""
    r = 1
    while beta(s, r) < n:
        r += 1
    return min(max(beta(s, r - 2), n - beta(s - 1, r), 1), n - 1)


def carries_kept(n: int, checkpoint: str | int) -> int:
    """The number of carries that are kept for n iterations.

    With 0.8 log2(n) of them each iteration is run about half as often again: 14 carries and 7 times for 1e5 iterations.
    """
    return max(round(0.8 * math.log2(max(n, 2))), 1) if checkpoint == "binomial" else int(checkpoint)


def steps(n: int, s: int, block: int) -> Iterator[tuple[str, int, int]]:
    """The schedule: ("run", i, j) from the carry at i to that at j, which is kept; ("reverse", i, j); ("drop", i, i).

    Blocks of so many iterations are reversed at once.
    """
    todo: list[tuple[str, int, int, int]] = [("part", 0, n, s)]
    while todo:
        what, i, j, left = todo.pop()
        if what == "drop":
            yield what, i, i
        elif j - i <= block:
            if j > i:
                yield "reverse", i, j
        elif left == 0:
            # No carry to spare: each block from the one at hand.
            for start in range(i + (j - i - 1) // block * block, i, -block):
                yield "run", i, start
                yield "reverse", start, min(start + block, j)
                yield "drop", start, start
            yield "reverse", i, i + block
        else:
            mid = i + block * cut(-(-(j - i) // block), left)
            yield "run", i, mid
            todo += [("part", i, mid, left), ("drop", mid, mid, 0), ("part", mid, j, left - 1)]


class Reversed(Primitive):
    """The primitive ``reversed``: the transpose of a scan with known carries; see the module.

    Parameters are those of the scan, ``linear`` (which operands are linear, with the carries that come to depend on
    them) and ``given`` (which of the ys that depend on them have a cotangent). Operands are the known ones, and the
    cotangents of the linear carries and of the ys that are given; results are the cotangents of the linear operands.
    """

    kind = "call"

    def __init__(self, keeping: Callable[..., Sequence[Any]]) -> None:
        super().__init__("reversed", _run, multiple=True)
        self.keeping = keeping
        """The same by scans that keep everything: their derivatives are known."""

    def abstract(self, *avals: ShapedArray, **params: Any) -> tuple[ShapedArray, ...]:
        """The types of the linear operands."""
        return linear_avals(**params)

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Reverse the loop, or record that."""
        recording = newest(operands)
        if recording is None:
            return _run(*operands, **params)
        if recording.abstract:
            return record_abstract(self, recording, operands, params)
        return self.record(recording, operands, params)

    def record(self, recording: Recording, operands: tuple[Any, ...], params: Params) -> Any:
        """As it would be without checkpoints."""
        return tuple(self.keeping(*operands, **params))

    def push(self, app: Any, tangents: Sequence[Any]) -> Any:
        """Never asked: `record` leaves nothing of this primitive."""
        raise AssertionError("a reversed loop is recorded as scans")

    pull = push

    def batch(self, axis: Any, batched: Sequence[bool], /, *operands: Any, **params: Any) -> Any:
        """The same for the batched scan; all that is linear is batched."""
        linear: tuple[bool, ...] = params["linear"]
        n_consts, n_carry = params["n_consts"], params["n_carry"]
        known = iter(zip(operands, batched, strict=True))
        rows = [None if s else next(known) for s in linear]
        flags = tuple([True if r is None else r[1] for r in rows])
        body, carries, _ = batched_body(params, axis, flags)
        new: list[Any] = []
        for k, r in enumerate(rows):
            if r is None:
                continue
            x, mapped = r
            if k >= n_consts + n_carry:
                x = moveaxis(x, 0, 1) if mapped else x
            elif k >= n_consts and carries[k - n_consts] and not mapped:
                x = broadcast_to(x, (axis.size, *typeof(x).shape))
            new.append(x)
        n_linear = sum(linear[n_consts : n_consts + n_carry])
        for k, (x, mapped) in enumerate(known):
            x = x if mapped else broadcast_to(x, (axis.size, *typeof(x).shape))
            new.append(x if k < n_linear else moveaxis(x, 0, 1))
        outs = self.bind(*new, **{**params, "body": body})
        places = [k for k, s in enumerate(linear) if s]
        return tuple([moveaxis(x, 1, 0) if k >= n_consts + n_carry else x for k, x in zip(places, outs, strict=True)])


def linear_avals(**params: Any) -> tuple[ShapedArray, ...]:
    """The types of the linear operands."""
    body, n = params["body"], params["n_consts"] + params["n_carry"]
    return tuple(
        [
            ShapedArray((params["length"], *a.shape), a.dtype) if k >= n else a.strong()
            for k, (a, s) in enumerate(zip(body.in_avals, params["linear"], strict=True))
            if s
        ]
    )


class _Pieces(NamedTuple):
    """What reversing a loop block by block runs."""

    parts: Split
    forward: Executable  # the known carry, from one iteration to another
    forward_operands: list[int]  # the known operands that it takes
    keeping: Executable  # the same with residuals
    backward: Any  # the transposed loop over the linear operands
    back: Executable
    row_bytes: int
    carry_bytes: int


def _pieces(params: Params) -> _Pieces:
    body: Program = params["body"]
    key = ("reversed", params["n_consts"], params["n_carry"], params["linear"], params["given"])
    return body.once(key, lambda: _make_pieces(params))  # type: ignore[no-any-return]


def _make_pieces(params: Params) -> _Pieces:
    parts = split(params, params["linear"])
    first: Params = parts.first
    known: Program = first["body"]
    n_consts, n_carry = first["n_consts"], first["n_carry"]
    n_ys = len(known.out_avals) - n_carry
    closed, kept_in, _ = needed(known.closed, n_consts, n_carry, [True] * n_carry + [False] * n_ys)
    forward = compiled(Program(closed, known.name), sum(kept_in[:n_consts]), n_carry)
    rest: Params = parts.rest
    linear = tuple([k is None for k in parts.known])
    backward = transposed(rest, linear, (*[True] * rest["n_carry"], *params["given"]))
    back = compiled(backward.params["body"], backward.params["n_consts"], backward.params["n_carry"])
    size = [a.size * a.dtype.itemsize for a in known.out_avals]
    return _Pieces(
        parts,
        forward,
        [k for k, keep in enumerate(kept_in) if keep],
        compiled(known, n_consts, n_carry),
        backward,
        back,
        sum(size[n_carry:]),
        sum(size[:n_carry]),
    )


def _run(*operands: Any, **params: Any) -> tuple[Any, ...]:
    pieces = _pieces(params)
    parts = pieces.parts
    n, turned = params["length"], params["reverse"]
    n_known = sum([not s for s in params["linear"]])
    known, cts = operands[:n_known], operands[n_known:]
    n_consts, n_carry = parts.first["n_consts"], parts.first["n_carry"]
    consts, carry, rows = known[:n_consts], known[n_consts : n_consts + n_carry], known[n_consts + n_carry :]
    rest, backward = parts.rest, pieces.backward
    linear_consts = [k is None for k in parts.known[: rest["n_consts"]]]
    linear_rows = [k is None for k in parts.known[rest["n_consts"] + rest["n_carry"] :]]
    rest_body: Program = rest["body"]
    acc: list[Any] = [*cts[: rest["n_carry"]], *[zeros(rest_body.in_avals[k].strong()) for k in backward.sums]]
    stacked = cts[rest["n_carry"] :]
    row_bars = {
        k: zeros(ShapedArray((n, *rest_body.in_avals[k].shape), rest_body.in_avals[k].dtype)) for k in backward.rows
    }

    def window(x: Any, i: int, j: int) -> Any:
        """Rows of iterations i to j - 1, counted in the order in which they run."""
        return x[n - j : n - i] if turned else x[i:j]

    def operands_of(i: int, j: int) -> list[Any]:
        return [*consts, *kept[i], *[window(x, i, j) for x in rows]]

    def reverse(i: int, j: int) -> None:
        """Pull the cotangents back through some iterations."""
        results = pieces.keeping.run(j - i, turned, *operands_of(i, j))
        everything = operands_of(i, j)
        residuals = [everything[r.place] if r.is_operand else results[r.place] for r in parts.residuals]
        found = [None if k is None else residuals[k] for k in parts.known]
        head = [x for x, s in zip(found[: rest["n_consts"]], linear_consts, strict=True) if not s]
        tail = [x for x, s in zip(found[rest["n_consts"] + rest["n_carry"] :], linear_rows, strict=True) if not s]
        outs = pieces.back.run(j - i, not turned, *head, *acc, *tail, *[window(ct, i, j) for ct in stacked])
        acc[:] = outs[: len(acc)]
        for k, bar in zip(backward.rows, outs[len(acc) :], strict=True):
            window(row_bars[k], i, j)[...] = bar

    kept: dict[int, Sequence[Any]] = {0: carry}
    for what, i, j in steps(n, carries_kept(n, params["checkpoint"]), _block(pieces)):
        if what == "run":
            given = operands_of(i, j)
            kept[j] = pieces.forward.run(j - i, turned, *[given[k] for k in pieces.forward_operands])[:n_carry]
        elif what == "reverse":
            reverse(i, j)
        else:
            del kept[i]
    found = dict(zip([*range(rest["n_consts"], rest["n_consts"] + rest["n_carry"]), *backward.sums], acc, strict=True))
    found.update(row_bars)
    places = [k for k, known_place in enumerate(parts.known) if known_place is None]
    return tuple([found[k] if k in found else zeros(a) for k, a in zip(places, linear_avals(**params), strict=True)])


BLOCK = 64
"""Iterations that are reversed at once, at most; and bytes of their residuals that are small in any case."""
SMALL = 1 << 12


def _block(pieces: _Pieces) -> int:
    """So many that their residuals take about what two carries take."""
    return max(1, min(BLOCK, max(2 * pieces.carry_bytes, SMALL) // max(pieces.row_bytes, 1)))

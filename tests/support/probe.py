"""A probe: a NumPy function called as a user would call it, and the verdict of running it on traced arrays.

    judge : Probe -> Verdict

A verdict is computed, never written down. Oracles are NumPy itself on plain arrays (values, and loops instead of
vmap), central differences of it, and the duality of forward and reverse mode.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from catalogue.cases import assert_close, pairing, random_like

import fungrad as fg
from fungrad import errors, tree
from fungrad.core.primitive import joined
from fungrad.testing import numerical_jvp

from .aliases import check_aliases

Shape = tuple[int, ...]

DIFFERENTIATES = "differentiates"
NO_DERIVATIVE = "no derivative"
CONSTANT = "locally constant"
REFUSED = "refused"
NO_ARRAYS = "takes no arrays"
FAILED = "FAILED"
KINDS = (DIFFERENTIATES, CONSTANT, NO_DERIVATIVE, REFUSED, NO_ARRAYS, FAILED)

LOOP = "yes"
VALUES = "values needed"
NOT_MAPPED = "refused"

BATCH = 3


@dataclass(frozen=True)
class Probe:
    """One way of calling a function with traced arrays.

    Attributes
    ----------
    fun : callable
        Ordinary ``np`` code of the operands, positional.
    shapes : tuple of Shape
        The shape of each operand.
    domain : (low, high), or a tuple of these
        Where the operands are drawn from, well separated from each other.
    dtype : str
        The dtype of all operands that are not integers or booleans: "d" or "D".
    integers, booleans : tuple of int
        Positions of operands of these kinds: no derivative.
    flat : bool
        Whether its floating-point result is locally constant, so that the derivative must be zero.
    what : str
        What is traced here, if the function can be called in several ways: "q", "out=", "weights".
    instead : str
        What to write instead if it is refused: an expression of ``x``, ``y``, ``np`` and ``fg``. It is itself judged.
    remark : str
        For the table.
    numpys : str
        A part of NumPy's own TypeError, for functions in C that refuse what is no array before they ask it anything.
    exact : bool
        False where the value depends on where the array lies in memory, or is an object without equality.
    """

    fun: Callable[..., Any]
    shapes: tuple[Shape, ...] = ((3,),)
    domain: Any = (0.2, 0.9)
    dtype: str = "d"
    integers: tuple[int, ...] = ()
    booleans: tuple[int, ...] = ()
    flat: bool = False
    what: str = ""
    instead: str = ""
    remark: str = ""
    numpys: str = ""
    exact: bool = True

    def operands(self, draw: int = 0) -> list[Any]:
        """The operands; other draws give other values, further apart from each other than any difference step."""
        rng = np.random.default_rng([zlib.crc32(repr((self.shapes, self.domain)).encode()), draw])
        sizes = [int(np.prod(s)) for s in self.shapes]
        total = sum(sizes)
        places = (rng.permutation(total) + rng.uniform(0.3, 0.7, total)) / max(total, 1)
        xs = []
        for k, (shape, place) in enumerate(zip(self.shapes, np.split(places, np.cumsum(sizes)[:-1]), strict=True)):
            low, high = self.domain[k] if isinstance(self.domain[0], tuple) else self.domain
            x = (low + (high - low) * place).reshape(shape)
            if k in self.booleans:
                x = place.reshape(shape) < 0.5
            elif k in self.integers:
                x = np.floor(x).astype(np.int64)
            elif self.dtype == "D":
                x = x + 1j * rng.uniform(-0.7, 0.7, shape)
            xs.append(x[()])
        return xs


def p(fun: Callable[..., Any], *shapes: Shape, domain: Any = (0.2, 0.9), **more: Any) -> Probe:
    """Short for `Probe`; one vector of three elements by default."""
    return Probe(fun, shapes or ((3,),), domain, **more)


@dataclass(frozen=True)
class Verdict:
    """What a probe found: its class, whether vmap is a loop, what to write instead, what went wrong."""

    kind: str
    vmap: str = ""
    instead: str = ""
    fault: str = ""


class _Fault(AssertionError):
    """What must never happen."""


def judge(name: str, probe: Probe) -> Verdict:
    """Run a probe of the function of this name under jvp, vjp and vmap."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        args = probe.operands()
        expected = probe.fun(*[_copy(x) for x in args])  # an error here is one of the probe
        try:
            kind, refusal = _derivative(name, probe, args, expected)
            if kind == REFUSED:
                return Verdict(REFUSED, "", probe.instead if probe.numpys else replacement(str(refusal)))
            _check_aliases(probe, args)
            mapped, refusal = _mapped(name, probe)
            return Verdict(kind, mapped, replacement(str(refusal)) if mapped == NOT_MAPPED else "")
        except AssertionError as error:
            return Verdict(FAILED, fault=str(error).strip())


def _copy(x: Any) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def _call(name: str, probe: Probe, transform: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """The result, or the refusal; any other exception is a fault."""
    try:
        return transform(), None
    except errors.FungradError as error:
        check_refusal(name, error)
        return None, error
    except _Fault:
        raise
    except Exception as error:  # whatever it is: that is the finding
        refusal = _cause(error)
        if refusal is not None:
            check_refusal(name, refusal)
            return None, refusal
        if probe.numpys and isinstance(error, TypeError) and probe.numpys in str(error):
            return None, error
        raise _Fault(f"{type(error).__name__}: {error}") from error


def _cause(error: BaseException) -> errors.FungradError | None:
    """Our error where NumPy turned it into one of its own, as it does for ``plain[i] = x``."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, errors.FungradError):
            return cause
        cause = cause.__cause__
    return None


def check_refusal(name: str, error: errors.FungradError) -> None:
    """A refusal is a TypeError, ValueError or IndexError; it names the call, or where it stands, and a replacement."""
    text = str(error)
    if not isinstance(error, (TypeError, ValueError, IndexError)):
        raise _Fault(f"{type(error).__name__} is no TypeError, ValueError or IndexError: {text}")
    # NumPy does not say which of its functions asked for a plain array or number: then the place must do.
    named = re.search(rf"\b{re.escape(name.split('.')[-1])}\b", text) or ".py:" in text
    if not named or not replacement(text):
        raise _Fault(f"the refusal names {'no replacement' if named else 'neither the call nor its place'}: {text}")


_ADVICE = re.compile(
    r"\b(instead|write|use|compose|leave|build|compute|convert|keep|stay|give|pass|call|slice|take|map|return|cut|sort|divide|solve|multiply"
    r"|list|np\.\w+|fungrad\.\w+)\b",
    re.IGNORECASE,
)


def replacement(text: str) -> str:
    """The part of a refusal's text that says what to write instead: from the first clause with such a word on."""
    clauses = re.split(r"(?<=[;.:]) +", " ".join(text.split()))
    for k, clause in enumerate(clauses):
        if _ADVICE.search(clause) and not re.search(r"\.py:\d", clause):
            return " ".join(clauses[k:])
    found = re.search(r"[;,] *([^;,]*" + _ADVICE.pattern + ".*)", text, re.DOTALL | re.IGNORECASE)
    return " ".join(found[1].split()) if found else ""


def _active(probe: Probe) -> list[int]:
    return [k for k in range(len(probe.shapes)) if k not in probe.integers and k not in probe.booleans]


def _numbers(out: Any) -> tuple[list[Any], Any, list[Any]]:
    """The leaves that are numbers or arrays; and, to compare them, the structure and the other leaves."""
    leaves, structure = tree.flatten(out)
    numbers, others = [], []
    for leaf in leaves:
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "O":
            leaf = joined(leaf)  # traced scalars: as a transform does with its results
            if leaf.dtype.kind == "O":
                raise _Fault("a result is an array of objects")
        if isinstance(leaf, (fg.Tracer, bool, int, float, complex)) or (
            isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc"
        ):
            numbers.append(leaf)
        else:
            others.append(leaf)
    return numbers, structure, others


def _derivative(name: str, probe: Probe, args: list[Any], expected: Any) -> tuple[str, Exception | None]:
    numbers, structure, others = _numbers(expected)
    seen: list[Any] = []
    active = _active(probe)

    def fun(*operands: Any) -> list[Any]:
        """All numbers of the result; what is not a number goes to ``seen``."""
        merged = [_copy(x) for x in args]
        for k, x in zip(active, operands, strict=True):
            merged[k] = x
        own, own_structure, own_others = _numbers(probe.fun(*merged))
        seen[:] = [own_structure, own_others]
        return own

    def smooth(*operands: Any) -> list[Any]:
        return [y for y in fun(*operands) if fg.typeof(y).dtype.kind in "fc"]

    if not active:
        return _without_derivative(name, probe, args, numbers, structure, others)
    xs = [args[k] for k in active]
    rng = np.random.default_rng(1)
    vs = [random_like(x, rng) for x in xs]
    out, refusal = _call(name, probe, lambda: fg.jvp(fun, tuple(xs), tuple(vs)))
    if refusal is not None:
        return REFUSED, refusal
    value, tangent = out
    _check_others(probe, seen, structure, others)
    if probe.exact:
        assert_close(value, numbers, 1e-12, "value")
    inexact = [t for t, y in zip(tangent, numbers, strict=True) if np.asarray(y).dtype.kind in "fc"]
    if not inexact:
        return NO_DERIVATIVE, None
    numeric = numerical_jvp(smooth, tuple(xs), tuple(vs))
    assert_close(inexact, numeric, 2e-6, "tangent, against differences")
    # Differences of numbers near one have an error of about 1e-11.
    if not any(np.any(np.abs(t) > 1e-8) for t in map(np.asarray, inexact)):
        if not probe.flat:
            raise _Fault("the derivative is identically zero, which this probe does not say")
    elif probe.flat:
        raise _Fault("the derivative is not zero")
    pushed = fg.jvp(smooth, tuple(xs), tuple(vs))[1]
    value, pull = fg.vjp(smooth, *xs)
    ws = [random_like(y, rng) for y in value]
    pulled = pull(ws)
    for x, x_bar in zip(xs, pulled, strict=True):
        if (np.shape(x), np.asarray(x).dtype) != (np.shape(x_bar), np.asarray(x_bar).dtype):
            raise _Fault(f"a cotangent is {fg.typeof(x_bar)!r}, its operand {fg.typeof(x)!r}")
    (left, scale), (right, _) = pairing(pushed, ws), pairing(vs, pulled)
    if not abs(left - right) <= 1e-10 * max(1.0, scale):
        raise _Fault(f"vjp is not the transpose of jvp: {left} against {right}")
    return (CONSTANT if probe.flat else DIFFERENTIATES), None


def _check_others(probe: Probe, seen: list[Any], structure: Any, others: list[Any]) -> None:
    if seen[0] != structure:
        raise _Fault(f"the result is {seen[0]} instead of {structure}")
    for a, b in zip(seen[1], others, strict=True):
        if probe.exact and (
            type(a) is not type(b) or (a != b if not isinstance(a, np.ndarray) else not (a == b).all())
        ):
            raise _Fault(f"the result is {a!r} instead of {b!r}")


def _without_derivative(
    name: str, probe: Probe, args: list[Any], numbers: list[Any], structure: Any, others: list[Any]
) -> tuple[str, Exception | None]:
    """Functions of integers and booleans: recorded on types alone."""
    seen: list[Any] = []

    def fun(*operands: Any) -> list[Any]:
        own, own_structure, own_others = _numbers(probe.fun(*operands))
        seen[:] = [own_structure, own_others]
        return own

    out, refusal = _call(name, probe, lambda: fg.eval_jaxpr(fg.make_jaxpr(fun)(*args), (), *args))
    if refusal is not None:  # integers have no tangent, so a recording with values passes them on as they are
        zeros = tuple([np.zeros(np.shape(x), fg.float0) for x in args])
        out, refusal = _call(name, probe, lambda: fg.jvp(fun, tuple(args), zeros)[0])
        if refusal is not None:
            return REFUSED, refusal
    _check_others(probe, seen, structure, others)
    assert_close(out, [np.asarray(y)[()] for y in numbers], 1e-12, "value")
    return NO_DERIVATIVE, None


def _check_aliases(probe: Probe, args: list[Any]) -> None:
    """Names and views, by assignment to the results."""
    active = [k for k in _active(probe) if np.ndim(args[k])]

    def fun(*operands: Any) -> Any:
        merged = [_copy(x) for x in args]
        for k, x in zip(active, operands, strict=True):
            merged[k] = x
        return probe.fun(*merged)

    if active and probe.exact:
        check_aliases(fun, [args[k] for k in active])


def _wants_values(error: Exception) -> bool:
    """Whether a refusal says that a value is not known."""
    return isinstance(error, (errors.ConcretizationTypeError, errors.NonConcreteBooleanIndexError))


def _mapped(name: str, probe: Probe) -> tuple[str, Exception | None]:
    """What vmap does with the same call."""
    examples = [probe.operands(draw) for draw in range(BATCH)]
    seen: list[Any] = []

    def fun(*operands: Any) -> list[Any]:
        numbers, _, others = _numbers(probe.fun(*operands))
        seen[:] = others
        return numbers

    out, refusal = _call(name, probe, lambda: fg.vmap(fun)(*[np.stack(x) for x in zip(*examples, strict=True)]))
    if refusal is not None:
        return (VALUES if _wants_values(refusal) else NOT_MAPPED), refusal
    if not probe.exact:
        return LOOP, None
    rows = [_numbers(probe.fun(*[_copy(x) for x in xs])) for xs in examples]
    if any(isinstance(text, str) for text in seen):
        return VALUES, None  # a text shows what is known: the types
    if seen and any(others != seen for _, _, others in rows):
        raise _Fault(f"under vmap the result is {seen!r} instead of {rows[0][2]!r}")
    shapes = [[np.shape(y) for y in numbers] for numbers, _, _ in rows]
    if any(s != shapes[0] for s in shapes):
        raise _Fault("the shapes of results differ from example to example, and vmap gave a result")
    assert_close(out, [np.stack(ys) for ys in zip(*[r[0] for r in rows], strict=True)], 1e-11, "vmap")
    return LOOP, None

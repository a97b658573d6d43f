"""Recording: how a Python function becomes a list of equations.

    Recording ::= level, abstract?, entry*          one run of recording
    Tracer    ::= recording, id, value              an array being recorded
    value     ::= array | Tracer of an older recording | ShapedArray

There is one kind of tracer. What is known of it is its ``value``, *one level down*: a NumPy array or
scalar, a tracer of the recording that encloses this one, or, in an abstract recording, only its type.

Levels. Each recording takes a fresh number from one counter, so an enclosing recording has a lower
level than those inside it. The newest recording among an operation's operands records it; all other
operands are constants to it. That is the whole protection against perturbation confusion:

    grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0)

records ``x + y`` in the inner recording only, with ``x`` as a constant; its value ``x + 1.0`` is then
computed one level down, where the outer recording sees it.

Entries are what a recording appends, in the order of execution (a Wengert list):

    (primitive, id, edges)          elementwise, with values: the linear map that it is at this point,
                                    edges ::= ((operand id, rule, residuals, fix), ...)
    (primitive, id, Application)    everything else

Ids are small integers. Nothing in a recording refers to its tracers, so that an intermediate array is
freed as soon as neither the user nor a residual needs it, and there are no reference cycles.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fungrad._executing import is_subscript
from fungrad._util import SourceInfo, describe_function, describe_source, here
from fungrad.core.aval import Shape, ShapedArray, typeof
from fungrad.core.memory import Snapshots
from fungrad.errors import (
    ConcretizationTypeError,
    TracerArrayConversionError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)

_next_level = itertools.count(1).__next__

Entry = tuple[Any, Any, Any]

OBJECTS = 4096
"""NumPy functions that do not know tracers are given up to this many elements, each a traced scalar, one by one."""


class Application(NamedTuple):
    """A recorded use of a primitive.

    ``ids[i]`` is the id of operand ``i``, or None where it is a constant to this recording. ``operands[i]``
    is the constant, or the value of a traced operand where a rule needs it, or else its ShapedArray.
    """

    ids: tuple[int | None, ...]
    operands: tuple[Any, ...]
    params: dict[str, Any]
    outs: Any
    source: SourceInfo | None
    freedom: Freedom | None = None


class Freedom(NamedTuple):
    """A choice that the values of an application contain and that no function ought to depend on.

    The eigenvectors of equal eigenvalues are any basis of their space. How what is computed from them depends on the
    choice is followed by a recording ``beneath`` the one that the application is in: its input (``input_id``) turns the
    basis. A derivative that the application has no rule for can be read off that, see ``primitives.linalg.ties``.
    """

    beneath: Recording
    input_id: int
    position: int  # of the result (the eigenvalues) whose cotangents tell
    seed: Any  # a tangent of that result, with different elements
    weights: Any  # from the answer to the seed to the derivative
    dtype: Any  # of the input


class Recording:
    """One run of recording: its level, whether it is abstract, and the entries so far.

    Parameters
    ----------
    abstract : bool
        False to compute each operation one level down as it is recorded; True to work on types alone.
    transform : str
        The public transform that records, for messages.
    fun : callable
        The function being recorded, for messages.
    of_user : bool
        Whether the user's code runs in it: then constants are copied (see `memory.snapshot`) and, in an abstract
        recording, the place of each operation is noted. False for what an interpreter records of its own rules.
    """

    __slots__ = (
        "abstract",
        "append",
        "beneath",
        "captured",
        "constants",
        "ended",
        "entries",
        "fresh",
        "fun",
        "is_beneath",
        "level",
        "lock",
        "of_user",
        "source",
        "transform",
    )

    def __init__(self, abstract: bool, transform: str, fun: Any, of_user: bool = True) -> None:
        self.level: float = _next_level()
        self.beneath: Recording | None = None
        self.captured: Any = None
        """Where what is done with its tracers is recorded meanwhile, see `capture`."""
        self.is_beneath = False
        self.lock: Any = None
        self.abstract = abstract
        self.entries: list[Entry] = []
        self.append: Callable[[Entry], None] = self.entries.append
        # A counter instead of len(entries): threads may record into one recording at the same time.
        self.fresh: Callable[[], int] = itertools.count().__next__
        self.transform = transform
        self.fun = fun
        self.of_user = of_user
        self.source: SourceInfo | None = None
        """Where in the user's code the equation comes from whose rules are recorded (not `of_user`)."""
        self.ended = False
        self.constants = _Constants()

    def new_input(self, value: Any) -> Tracer:
        """A tracer for an input with this value (or, when abstract, this ShapedArray)."""
        return Tracer(self, self.fresh(), value.again() if type(value) is Tracer else value)

    def record_beneath(self) -> Recording:
        """The recording with values between this one and those around it, see `Freedom`.

        While this recording runs, its values are computed there; afterwards tangents and cotangents are (`following`).
        """
        if self.beneath is not None:
            return self.beneath
        self.beneath = beneath = Recording(False, self.transform, self.fun, of_user=False)
        beneath.is_beneath = True
        beneath.lock = threading.RLock()
        beneath.level = self.level - 0.5
        return beneath

    @contextmanager
    def following(self) -> Iterator[None]:
        """Compute (co)tangents from what was recorded: the recording beneath sees it, and forgets it afterwards.

        Meanwhile that is newer than the recordings in which the (co)tangents may be traced.
        """
        beneath = self.beneath
        if beneath is None:
            yield
            return
        with beneath.lock:
            beneath.level = _next_level()
            count = len(beneath.entries)
            try:
                yield
            finally:
                del beneath.entries[count:]

    def settle(self, x: Any) -> Any:
        """A value without what the recording beneath knows of it."""
        while type(x) is Tracer and x.recording is self.beneath:
            x = x.value
        return x

    def end(self) -> list[Entry]:
        """Take the entries out and refuse new ones: tracers that live on have leaked."""
        entries, self.entries = self.entries, []
        self.append = _Refusal(self.transform, self.fun, entries if self.abstract else [])
        self.ended = True
        self.constants = _Constants()
        raised = sys.exception()
        if raised is not None and raised.__traceback__ and raised.__traceback__.tb_frame is sys._getframe(1):
            self._explain(raised)
        return entries

    def _explain(self, raised: BaseException) -> None:
        """Make an error of NumPy that the recorded function raises say what the reason is."""
        if isinstance(raised, ValueError) and isinstance(raised.__cause__, ConcretizationTypeError):
            # z[0] = x: NumPy calls float(x), and says of the error "setting an array element with a sequence".
            reason = raised.__cause__.with_traceback(raised.__traceback__)
            raised.__cause__ = raised.__context__ = None  # it becomes the context of its cause: no cycle
            raise reason from None
        if isinstance(raised, ValueError) and str(raised) == "array is read-only":
            raised.add_note(
                f"{self.describe()}: functions of NumPy that do not know traced arrays are given a read-only array of "
                "the elements. Instead of rng.permutation(x), rng.shuffle(x) write x[rng.permutation(len(x))]; where "
                "an array is to be written into, give one by fungrad.numpy.asarray(x)."
            )

    def way_out(self) -> str:
        """How an argument's value becomes known, for messages."""
        if self.transform in ("jit", "checkpoint"):
            return "mark the argument that it depends on as static (static_argnums, static_argnames)"
        if self.transform.startswith("lax."):
            return "let it depend on known values from outside of the loop or branch alone"
        return "keep that argument out of the transform (in_axes=None and grad inside, a closure, functools.partial)"

    def describe(self) -> str:
        """``fungrad.vmap of f (file.py:3)``, for messages."""
        return f"fungrad.{self.transform} of {describe_function(self.fun)}"


class _Constants(Snapshots):
    """Constants as they are when they are used: a tracer of another recording may be assigned to later, too."""

    __slots__ = ("_tracers",)

    def __init__(self) -> None:
        super().__init__()
        self._tracers: dict[int, tuple[Tracer, Tracer]] = {}

    def take(self, x: Any) -> Any:
        """`snapshot`, or the one that was taken before, if nothing has changed since."""
        if type(x) is not Tracer:
            if type(x) is np.ndarray and x.dtype.hasobject:
                raise TracerArrayConversionError(
                    f"an array of objects became the constant of an operation at {here()}: the traced numbers in it "
                    "would lose their derivative. Use fungrad.numpy.asarray or np.stack on it before."
                )
            return super().take(x)
        known = self._tracers.get(id(x))
        if known is not None and known[1].id == x.id and known[1].recording is x.recording:
            return known[1]
        again = x.again()
        self._tracers[id(x)] = (x, again)
        return again


class _Refusal:
    """What an ended recording appends to. Not a method of the recording: that would be a reference cycle."""

    __slots__ = ("entries", "fun", "transform")

    def __init__(self, transform: str, fun: Any, entries: list[Entry]) -> None:
        self.transform = transform
        self.fun = fun
        self.entries = entries  # of an abstract recording: they know the user's lines

    def __call__(self, entry: Entry) -> None:
        raise UnexpectedTracerError(
            f"a traced array was used at {here()} after the recording that made it had ended. It was made"
            f"{self._origin(entry)} while fungrad.{self.transform} ran {describe_function(self.fun)}, and left that "
            "function through a global, an attribute, a closure or a generator instead of its return value. Return it "
            "from the function (has_aux=True carries extra results), or compute what you need inside."
        )

    def _origin(self, entry: Entry) -> str:
        """Which operation made the array that this late entry reads, where that was noted."""
        late = entry[2]
        leaked = set(late.ids) if isinstance(late, Application) else set()
        for prim, out_id, application in self.entries:
            if not leaked.isdisjoint(out_id if prim.multiple else (out_id,)):
                return f" by {prim.name} at {describe_source(application.source)}"
        return ""


class Tracer:
    """An array that is being recorded. It behaves as the ``numpy.ndarray`` that it stands for.

    Operators, methods and NumPy's functions are attached by ``fungrad.numpy``; this class holds what
    needs no primitive: type and shape, and the conversions to Python that work or are refused.
    """

    # link and viewers are set by `aliasing` for arrays that are views or have them, and are missing otherwise.
    __slots__ = ("__weakref__", "id", "link", "recording", "value", "viewers")
    link: Any
    viewers: list[weakref.ref[Any]]

    def __init__(self, recording: Recording, id: int, value: Any) -> None:
        self.recording = recording
        self.id = id
        self.value = value

    def again(self) -> Tracer:
        """Another tracer of the same array: assignment to the one does not change the other."""
        return Tracer(self.recording, self.id, self.value)

    def become(self, other: Tracer) -> None:
        """Stand for another array from now on."""
        self.recording = other.recording
        self.id = other.id
        self.value = other.value

    @property
    def aval(self) -> ShapedArray:
        """The abstract value (shape, dtype, weak)."""
        return typeof(self.value)

    @property
    def shape(self) -> Shape:
        """The shape, a tuple of integers."""
        value = self.value
        return () if type(value) is float or type(value) is complex else value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return typeof(self.value).dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.aval.size

    def __len__(self) -> int:
        shape = self.shape
        if not shape:
            raise TypeError("len() of unsized object: this traced array has no axes")
        return shape[0]

    def __repr__(self) -> str:
        return f"Tracer<{self.aval!r}>(level={self.recording.level}, {_known(self)!r})"

    def __format__(self, spec: str) -> str:
        value = _known(self)
        return repr(self) if isinstance(value, ShapedArray) else format(value, spec)  # a spec for numbers fits no type

    def __hash__(self) -> int:
        raise TypeError(f"unhashable type: a traced array {self.aval!r}, just as numpy.ndarray")

    def __reduce__(self) -> Any:
        raise TypeError(
            f"a traced array {self.aval!r} cannot be pickled: it exists only while {self.recording.describe()} runs"
        )

    def __bool__(self) -> bool:
        value = _known(self)
        if isinstance(value, ShapedArray):
            raise TracerBoolConversionError(
                f"the truth value of a traced array of type {value!r} is not known at {here()}, because "
                f"{self.recording_that_hides().describe()} records without values. "
                "Instead of `if`/`while`/`and`/`or`/`min`/`max`/`assert` on it use np.where(condition, a, b), "
                "np.logical_and/or, np.minimum/maximum, or fungrad.lax.cond and fungrad.lax.while_loop of functions; "
                f"or {self.recording_that_hides().way_out()}."
            )
        return bool(value)

    def __int__(self) -> int:
        return int(self._concrete("int"))

    def __index__(self) -> int:
        value = _known(self)
        if isinstance(value, ShapedArray):
            raise TracerIntegerConversionError(
                f"an integer was needed at {here()}, but the value of this traced array of type {value!r} is not "
                f"known: {self.recording_that_hides().describe()} records without values. Instead of plain[i] write "
                "fungrad.numpy.take(plain, i); a Python list, range or shape needs a number from outside: "
                f"{self.recording_that_hides().way_out()}."
            )
        raise TypeError(
            f"only integers can be used as an index, got a traced array of type {self.aval!r} at {here()}; use int(x) "
            "to cut the derivative on purpose"
        )

    def __float__(self) -> float:
        raise self._would_drop("float(x)", "math.* functions call float(); use np.sin, np.exp, ... instead")

    def __complex__(self) -> complex:
        raise self._would_drop("complex(x)", "cmath.* functions call complex(); use np.exp, np.sqrt, ... instead")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """An object array of the elements, for NumPy functions that do not know tracers."""
        if dtype is not None and np.dtype(dtype) != np.dtype(object):
            raise TracerArrayConversionError(
                f"NumPy asked for a plain array of {np.dtype(dtype)} in place of {self._described()} at {here()}; its "
                "derivative would be lost. Leave dtype= out (x.astype(dtype) converts a traced array), or use "
                "fungrad.numpy.asarray, fungrad.numpy.array. Instead of plain[i] = x make the array with "
                "np.zeros_like(x) or fungrad.numpy.zeros, which take traced values; instead of rng.normal(x, s) write "
                "x + s * rng.normal(size=x.shape). To cut the derivative on purpose use fungrad.stop_gradient(x) "
                "where values are known."
            )
        if dtype is None and is_subscript(sys._getframe(1)):
            instead = (
                "instead of plain[mask] write np.where(mask, plain, other); instead of plain[mask] = v make the array "
                "with np.zeros_like(x) or fungrad.numpy.zeros, which take traced masks"
                if self.dtype.kind == "b"
                else "instead of plain[x] write fungrad.numpy.take(plain, x)"
            )
            raise TracerIntegerConversionError(
                f"plain[x] at {here()}: a plain NumPy array cannot be indexed with {self._described()}; {instead}."
            )
        if self.dtype.kind == "c":
            raise TracerArrayConversionError(
                f"NumPy asked for the elements of {self._described()} one by one at {here()}: .real and .imag of an "
                "array of objects would be wrong for complex numbers. Instead of np.array, np.asarray use "
                "fungrad.numpy.asarray or np.stack, np.concatenate; instead of plain.dot(x) write plain @ x."
            )
        if self.size > OBJECTS:
            raise TracerArrayConversionError(
                f"NumPy asked for an array of the {self.size} elements of {self._described()} at {here()}: more than "
                f"{OBJECTS} are not taken apart. Instead of np.array, np.asarray use fungrad.numpy.asarray or "
                "np.stack, np.concatenate; instead of plain.dot(x) write plain @ x; instead of plain[x] write "
                "fungrad.numpy.take(plain, x)."
            )
        elements = self.elements()
        if copy:
            return elements
        # np.asarray(plain) is the array itself. Assignment to x is followed by `aliasing`; that to its elements is not.
        viewers = getattr(self, "viewers", None)
        if viewers is None:
            self.viewers = viewers = []
        viewers[:] = [*[r for r in viewers if r() is not None], weakref.ref(elements)]
        shown = elements.view()
        shown.flags.writeable = False
        return shown

    def elements(self) -> np.ndarray[Any, Any]:
        """An object array of the elements, each a traced scalar."""
        elements = np.empty(self.shape, object)
        if not self.shape:
            elements[()] = self.again()
        else:
            elements.reshape(-1)[:] = list(self.reshape(-1))  # type: ignore[attr-defined]
        return elements

    def _concrete(self, what: str) -> Any:
        value = _known(self)
        if isinstance(value, ShapedArray):
            raise ConcretizationTypeError(
                f"{what}(x) at {here()}: the value of this traced array of type {value!r} is not known, because "
                f"{self.recording_that_hides().describe()} records without values. Stay with arrays "
                f"(x.astype({what}), np.floor), or {self.recording_that_hides().way_out()}."
            )
        return value

    def _would_drop(self, call: str, hint: str) -> ConcretizationTypeError:
        return ConcretizationTypeError(
            f"{call} at {here()} would turn {self._described()} into a plain number and silently drop its derivative. "
            f"{hint}; z[i] = x into a plain NumPy array also calls it: make z with np.zeros_like(x) or "
            "fungrad.numpy.zeros, which take traced values, or build it with np.stack or np.where. To cut the "
            "derivative on purpose use fungrad.stop_gradient(x)."
        )

    def _described(self) -> str:
        return f"a traced array of type {self.aval!r} (made by {self.recording.describe()})"

    def recording_that_hides(self) -> Recording:
        """The abstract recording because of which the value is not known."""
        tracer = self
        while type(tracer.value) is Tracer:
            tracer = tracer.value
        return tracer.recording


def _known(x: Any) -> Any:
    """What is known of x under all levels: an array, or a ShapedArray."""
    while type(x) is Tracer:
        x = x.value
    return x


known_value = _known


def newest(operands: Any) -> Recording | None:
    """The newest recording among the operands, or None when none of them is traced."""
    recording = None
    for x in operands:
        if type(x) is Tracer and (recording is None or x.recording.level > recording.level):
            recording = x.recording
    return recording


def describe_entry(entry: Entry) -> str:
    """The primitive of an entry and where it was recorded, for messages."""
    application = entry[2]
    source = application.source if isinstance(application, Application) else None
    return f"primitive {entry[0].name!r}" + (f" recorded at {describe_source(source)}" if source else "")

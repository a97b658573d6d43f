"""jit: compile a function, once for each type of arguments, into a planned sequence of NumPy calls."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import collection_paused, describe_function, fun_name
from fungrad.control import checkpoint, kept
from fungrad.control.call import Program, call_p, jit_disabled
from fungrad.control.donation import Donation
from fungrad.core.leaves import arrays, check_callable
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer, newest
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.transforms.lowered import Lowered
from fungrad.transforms.signature import Arguments, Key, assembler

Numbers = int | Sequence[int] | None
Names = str | Sequence[str] | None

_ndarray = np.ndarray


class CacheInfo(NamedTuple):
    """What `cache_info` returns: calls that found their program, calls that recorded it, and the programs kept."""

    hits: int
    misses: int
    size: int


class _Entry(NamedTuple):
    """A program for one kind of arguments."""

    program: Program
    out_tree: Any
    assemble: Callable[[Sequence[Any]], Any]  # the result from its leaves
    constants: tuple[Any, ...]  # traced values that the function closes over, operands behind the arguments
    donation: Donation | None


class _Cache:
    """The programs of one function under one set of options."""

    def __init__(self) -> None:
        self.entries: dict[Any, _Entry] = {}
        self.quick: dict[Any, tuple[Callable[..., Any], Callable[..., Any], Any]] = {}
        """For positional arguments that are arrays and numbers: the program, what makes the result of its leaves, and
        what says in exceptions where in the user's code they come from (or None)."""
        self.hits = 0
        self.misses = 0

    def clear(self) -> None:
        """Forget the programs."""
        self.entries.clear()
        self.quick.clear()

    def remember(self, key: Any, entry: _Entry) -> None:
        """Take an entry among the quick ones. Its program is compiled when it is first run."""
        program, assemble = entry.program, entry.assemble
        if entry.donation is not None:
            self.quick[key] = entry.donation.run, assemble, None
            return

        def run(*args: Any) -> Any:
            executable = program.executable()
            self.quick[key] = executable.call, assemble, executable
            return executable.run(*args)

        self.quick.setdefault(key, (run, assemble, None))


_caches: weakref.WeakKeyDictionary[Any, dict[Any, _Cache]] = weakref.WeakKeyDictionary()
_all_caches: weakref.WeakSet[_Cache] = weakref.WeakSet()


def _cache_of(fun: Any, options: Any) -> _Cache:
    """The cache that all jits of this function with these options share."""
    try:
        by_options = _caches.setdefault(fun, {})
    except TypeError:  # not hashable, or no weak references
        by_options = {}
    cache = by_options.get(options)
    if cache is None:
        cache = by_options[options] = _Cache()
        _all_caches.add(cache)
    return cache


def clear_caches() -> None:
    """Forget every compiled program; the next call of a jitted or checkpointed function compiles it anew."""
    for cache in list(_all_caches):
        cache.clear()
    checkpoint.forget_programs()
    kept.forget_programs()


@contextlib.contextmanager
def disable_jit(disable: bool = True) -> Iterator[None]:
    """Within it jitted functions run as they were written: ``print``, ``pdb`` and Python control flow work.

    Examples
    --------
    >>> import fungrad as fg
    >>> with fg.disable_jit():
    ...     print(fg.jit(lambda x: x + 1.0 if x > 0 else x)(2.0))
    3.0
    """
    token = jit_disabled.set(disable)
    try:
        yield
    finally:
        jit_disabled.reset(token)


def jit(
    fun: Callable[..., Any] | None = None,
    static_argnums: Numbers = None,
    static_argnames: Names = None,
    donate_argnums: Numbers = None,
    donate_argnames: Names = None,
    keep_unused: bool = False,
    inline: bool = False,
) -> Any:
    """Compile ``fun``: record it once for each type of arguments, optimise what was recorded, run that from then on.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays without side effects. Without it, ``jit(static_argnums=...)`` is a decorator.
    static_argnums : int or sequence of int, optional
        Positional arguments that are passed on as they are. They must be hashable; the function is compiled for each
        value.
    static_argnames : str or sequence of str, optional
        The same by name. Of static_argnums and static_argnames either gives the other where the signature tells it.
    donate_argnums, donate_argnames : int or str or sequence of them, optional
        Arguments that the caller does not need any more: the program may write into their arrays, which contain
        anything afterwards, and a result may be one of them. Where an array cannot be used (it is read-only, not in C
        order, or overlaps with another argument), and under other transforms, it stays as it is.
    keep_unused : bool
        Accepted for compatibility: unused arguments cost nothing.
    inline : bool
        Within another recording record the function's operations instead of a call of it.

    Returns
    -------
    Jitted
        A function with the arguments of ``fun``. ``lower(*args)`` shows what it compiles to, ``cache_info()`` counts,
        ``explain(*args)`` says why a call would record anew, ``clear_cache()`` forgets.

    Raises
    ------
    TracerBoolConversionError, TracerIntegerConversionError
        Where ``fun`` needs the value of an array for Python's control flow: use np.where, or make it static.
    TransformTypeError, TransformValueError
        If a static argument is not hashable, or an argument is no array.

    Notes
    -----
    Programs are kept by the function, the trees, shapes and dtypes of its arguments, and static values. Python numbers
    are arguments like others: a new value does not record anew. Arrays that the function closes over are constants of
    the program as they are when it is recorded. All transforms go through jitted functions and the other way round;
    a derivative of a jitted function is compiled.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> f = fg.jit(lambda x: np.sum(np.sin(x) ** 2))
    >>> f(np.array([0.0, 1.0]))
    np.float64(0.7080734182735712)
    >>> fg.jit(fg.grad(f))(np.array([0.0, 1.0]))
    array([0.        , 0.90929743])
    """
    options = (static_argnums, static_argnames, donate_argnums, donate_argnames)
    if fun is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            keep_unused=keep_unused,
            inline=inline,
        )
    check_callable("jit", fun)
    return Jitted(fun, *options, inline=inline)


def _as_tuple(x: Any, kind: type, what: str) -> tuple[Any, ...]:
    if x is None:
        return ()
    found = tuple(x) if isinstance(x, (tuple, list, range, set, frozenset)) else (x,)
    if not all(isinstance(i, (kind, np.integer)) and not isinstance(i, bool) for i in found):
        raise TransformTypeError(
            f"fungrad.jit: {what} must be {'an integer' if kind is int else 'a name'} or several, got {x!r}"
        )
    return found


class Jitted:
    """A compiled function; see `jit`."""

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: Numbers,
        static_argnames: Names,
        donate_argnums: Numbers,
        donate_argnames: Names,
        inline: bool = False,
    ) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.__wrapped__ = fun
        self._fun = fun
        self._inline = inline
        nums = _as_tuple(static_argnums, int, "static_argnums")
        names = _as_tuple(static_argnames, str, "static_argnames")
        self._static_nums, self._static_names = _complete(fun, nums, names, "static")
        nums = _as_tuple(donate_argnums, int, "donate_argnums")
        names = _as_tuple(donate_argnames, str, "donate_argnames")
        self._donated = _complete(fun, nums, names, "donate")
        if self._donated[0] & self._static_nums or self._donated[1] & self._static_names:
            raise TransformValueError(
                f"fungrad.jit: an argument of {describe_function(fun)} is both static and donated; only arrays can be "
                "donated"
            )
        self._cache = _cache_of(fun, (self._static_nums, self._static_names, *self._donated))
        self._has_static = bool(self._static_nums or self._static_names)

    def __repr__(self) -> str:
        return f"<jit of {describe_function(self._fun)}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> Any:
        module, name = getattr(self, "__module__", ""), getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:  # a decorated function: what has its name is this
            return name
        options = [tuple(sorted(x)) for x in (self._static_nums, self._static_names, *self._donated)]
        return _rebuilt, (self._fun, *options, self._inline)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled function."""
        if not kwargs and not self._has_static:
            # Arrays and numbers as positional arguments, not traced: the way that must be quick.
            cache = self._cache
            key: Any
            if len(args) == 1:  # without a comprehension, which is a call
                (x,) = args
                key = ((x.shape, x.dtype) if type(x) is _ndarray else type(x),)
            elif len(args) == 2:
                x, y = args
                key = (
                    (x.shape, x.dtype) if type(x) is _ndarray else type(x),
                    (y.shape, y.dtype) if type(y) is _ndarray else type(y),
                )
            else:
                key = tuple([(x.shape, x.dtype) if type(x) is _ndarray else type(x) for x in args])
            quick = cache.quick.get(key)
            if quick is not None and not jit_disabled.get():
                cache.hits += 1
                run, assemble, executable = quick
                leaves = None
                try:
                    leaves = run(*args)
                finally:
                    if leaves is None and executable is not None:
                        executable.annotate(sys.exception())
                return assemble(leaves)
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if jit_disabled.get():
            return self._fun(*args, **kwargs)
        call = self._arguments(args, kwargs)
        if self._inline and any(type(x) is Tracer for x in call.values):
            return self._fun(*args, **kwargs)
        entry = self._entry(call)
        if entry.donation is not None and newest((*call.values, *entry.constants)) is None:
            return entry.out_tree.unflatten(entry.donation.run(*call.values))
        outs = call_p.bind(*call.values, *entry.constants, program=entry.program)
        return entry.out_tree.unflatten(outs)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any], types: bool = False) -> Arguments:
        return Arguments(self._fun, self._static_nums, self._static_names, args, kwargs, types)

    def _entry(self, call: Arguments) -> _Entry:
        cache = self._cache
        key = call.key()
        entry = cache.entries.get(key)
        if entry is not None:
            cache.hits += 1
            return entry
        # No lock is held while the user's function runs: it may call others, and wait for other threads.
        cache.misses += 1
        with collection_paused():
            entry = _record(self._fun, call, self._donated)
        if not entry.constants:
            entry = cache.entries.setdefault(key, entry)
            quick = call.quick_key()
            if quick is not None:
                cache.remember(quick, entry)
        return entry

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """What the function compiles to for arguments like these: ``as_text()``, ``cost()``, ``compile()``."""
        call = self._arguments(args, kwargs, types=True)
        entry = self._entry(call)
        return Lowered(entry.program, entry.out_tree, entry.donation)

    def cache_info(self) -> CacheInfo:
        """Counts of calls that found their program and that recorded it, and the number of programs."""
        cache = self._cache
        return CacheInfo(cache.hits, cache.misses, len({id(e.program) for e in cache.entries.values()}))

    def clear_cache(self) -> None:
        """Forget the compiled programs of this function."""
        self._cache.clear()

    def explain(self, *args: Any, **kwargs: Any) -> str:
        """Whether a call with these arguments finds its program, and if not what is new about them."""
        call = self._arguments(args, kwargs, types=True)
        key = call.key()
        known = [k for k in list(self._cache.entries) if isinstance(k, Key)]
        name = describe_function(self._fun)
        if key in known:
            return f"{name}: compiled for these arguments"
        if not known:
            return f"{name}: records for the first time"
        nearest = min((k.differences(key) for k in known), key=len)
        return "\n".join(
            [f"{name}: records anew, since none of {len(known)} programs fits; the nearest differs in", *nearest]
        )


def _rebuilt(fun: Any, *options: Any) -> Jitted:
    return Jitted(fun, *options)


def _complete(
    fun: Any, nums: tuple[int, ...], names: tuple[str, ...], what: str
) -> tuple[frozenset[int], frozenset[str]]:
    """The static (donated) arguments by position and by name, each completed by the other."""
    if not nums and not names:
        return frozenset(), frozenset()
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        return frozenset(nums), frozenset(names)
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for i in nums:
        if not variadic and not -len(positional) <= i < len(positional):
            raise TransformValueError(
                f"fungrad.jit: {what}_argnums={i} is out of range for {describe_function(fun)}, which takes "
                f"{len(positional)} positional arguments"
            )
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        unknown = [n for n in names if n not in {p.name for p in parameters}]
        if unknown:
            raise TransformValueError(
                f"fungrad.jit: {what}_argnames={unknown} are no arguments of {describe_function(fun)}"
            )
    at = [i if i >= 0 else i + len(positional) for i in nums]
    all_names = {*names, *[positional[i] for i in at if i < len(positional)]}
    all_nums = {*at, *[k for k, n in enumerate(positional) if n in names]}
    return frozenset(all_nums), frozenset(all_names)


def _record(fun: Any, call: Arguments, donated: tuple[frozenset[int], frozenset[str]]) -> _Entry:
    trees: list[Any] = []

    def flat(*tracers: Any) -> list[Any]:
        args, kwargs = call.rebuild(tracers)
        out = fun(*args, **kwargs)
        leaves, out_tree = tree.flatten(out)
        trees.append(out_tree)
        return arrays("jit", fun, out, leaves, "result")

    closed = record_jaxpr("jit", flat, call.avals, fun)
    program, constants = Program.closing_over(closed, fun_name(fun))
    places = call.places_of(*donated) if any(donated) and not constants else []
    donation = Donation(program, places) if places else None
    return _Entry(program, trees[0], assembler(trees[0], len(closed.out_avals)), constants, donation)

"""checkpoint: compute again what the derivative of a function reads, instead of keeping it.

A checkpointed function is recorded as a call of a program whose linear form differs from the plain one only in what is
saved: the arguments, and what a policy says. Everything else that the linear part reads is computed again, from these,
in the linear program itself (Griewank & Walther 2008, Evaluating Derivatives, chapter 12). That stays a call of its own
wherever it goes (`Program.keeps_apart`): next to the forward program the compiler would find the same expressions
twice, and undo it. Its transpose and its batched form do the same again; so do their derivatives.

What such a program is made of once is found again by its text: equal functions share compiled programs, although each
call records the function anew, and closes over what is there at that time.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fungrad import tree
from fungrad._util import collection_paused, describe_function, fun_name
from fungrad.compile.emit import Emitter, Transient
from fungrad.control.call import Program, call_p, jit_disabled
from fungrad.control.policies import Policy, everything_saveable, nothing_saveable, refused_names
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.ir import Atom, ClosedJaxpr, Equation, Jaxpr, Var
from fungrad.core.leaves import arrays, check_callable, wraps
from fungrad.core.primitive import joined
from fungrad.core.record import record_jaxpr
from fungrad.core.trace import Tracer, newest
from fungrad.errors import TransformTypeError, TransformValueError
from fungrad.passes.keys import jaxpr_key
from fungrad.passes.partition import partition
from fungrad.primitives.naming import name, name_p

KEPT = 256
"""Programs of checkpointed functions that are kept for the next call."""

_programs: OrderedDict[Any, Program] = OrderedDict()
_lock = threading.Lock()


class Checkpointed(Program):
    """A program whose derivative computes again what it needs.

    Parameters
    ----------
    policy : callable
        Which results of equations may be saved.
    again : bool
        Whether it is part of a derivative: then it stays apart from what is around it.
    """

    keeps_rules = True
    emitter: type[Emitter] = Transient

    def __init__(self, closed: ClosedJaxpr, name: str, policy: Policy, again: bool = False) -> None:
        super().__init__(closed, name)
        self.policy = policy
        self.keeps_apart = again

    def __reduce__(self) -> Any:
        return Checkpointed, (self.closed, self.name, self.policy, self.keeps_apart)

    def derived(self, closed: ClosedJaxpr, name: str) -> Program:
        """With the same policy."""
        return Checkpointed(closed, name, self.policy, self.keeps_apart)

    def split(self, closed: ClosedJaxpr, known: Sequence[bool], n_first: int) -> tuple[Program, Program]:
        """Only what the policy says is saved."""
        closed = _read_by_name(closed)
        may_save = None if self.policy is everything_saveable else _saveable(self.policy, closed)
        first, second = partition(closed, known, n_first, may_save)
        return (
            Checkpointed(first, self.name, self.policy, self.keeps_apart),
            Checkpointed(second, f"jvp({self.name})", self.policy, True),
        )


def _read_by_name(closed: ClosedJaxpr) -> ClosedJaxpr:
    """The jaxpr with named values read as such by all that follows.

    A rule that uses the result of an operation (that of exp) has it without the name that it was given afterwards.
    """
    if not any(e.primitive is name_p for e in closed.eqns):
        return closed
    named: dict[Var, Var] = {}

    def read(atom: Atom) -> Atom:
        return named.get(atom, atom) if isinstance(atom, Var) else atom

    eqns = []
    for eqn in closed.eqns:
        eqns.append(Equation(eqn.primitive, [read(a) for a in eqn.inputs], eqn.params, eqn.outputs, eqn.source))
        if eqn.primitive is name_p and isinstance(eqn.inputs[0], Var):
            named[eqn.inputs[0]] = eqn.outputs[0]
    jaxpr = closed.jaxpr
    return ClosedJaxpr(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars), closed.consts)


def _saveable(policy: Policy, closed: ClosedJaxpr) -> Callable[[Equation], bool]:
    """Whether the results of an equation may be saved."""
    refused = refused_names(policy)
    hidden = {e.inputs[0] for e in closed.eqns if e.primitive is name_p and e.params["name"] in refused}

    def may_save(eqn: Equation) -> bool:
        if not hidden.isdisjoint(eqn.outputs):
            return False
        return bool(policy(eqn.primitive, *[a.aval for a in eqn.inputs], **eqn.params))

    return may_save


def checkpoint(
    fun: Callable[..., Any] | None = None,
    prevent_cse: bool = True,
    policy: Policy | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
) -> Any:
    """Make a function whose derivative keeps its arguments only, and computes everything else again when it is needed.

    Parameters
    ----------
    fun : callable
        A function of pytrees of arrays. Without it, ``checkpoint(policy=...)`` is a decorator.
    prevent_cse : bool
        Accepted for compatibility: the compiler never merges what is computed again with what was computed before.
    policy : callable, optional
        What may be saved all the same, see `checkpoint_policies`; by default nothing.
    static_argnums : int or sequence of int
        Positional arguments that are passed on as they are. They may be anything.
    static_argnames : str or sequence of str
        The same by name.

    Returns
    -------
    callable
        With the arguments and the result of ``fun``. Where nothing is traced it is ``fun``.

    Raises
    ------
    TracerBoolConversionError, TracerIntegerConversionError
        Where ``fun`` needs the value of a traced argument or a floating-point one for Python's control flow: use
        np.where, or mark the argument static. Values of integers, booleans and whatever else is not traced are known.
    TransformTypeError, TransformValueError
        If an argument is no array and not static, or there is no such argument.

    Notes
    -----
    A chain of n functions, each of which keeps m arrays for its derivative, has a gradient that keeps n * m arrays; if
    each is checkpointed it keeps n arguments, and m arrays for one function at a time, and runs each once more. With
    checkpoints of square root of n functions each it keeps about the square root (Chen et al. 2016, arXiv:1604.06174).

    The function is recorded on types alone at each call, also without `jit`; its derivative is compiled. So side
    effects take place once, not again in the backward pass. Traced arrays that it closes over are arguments like
    others.

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> @fg.checkpoint
    ... def block(x):
    ...     return np.sin(np.exp(np.sin(x)))
    >>> fg.grad(lambda x: block(block(x)))(0.5)
    np.float64(0.05361287166617454)
    >>> fg.print_saved_residuals(lambda x: block(block(x)), 0.5)
    f64[] from the argument x
    f64[] output of sin from <doctest fungrad.control.checkpoint.checkpoint[1]>:3 (in block)
    """
    if fun is None:
        return functools.partial(
            checkpoint,
            prevent_cse=prevent_cse,
            policy=policy,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
        )
    check_callable("checkpoint", fun)
    if policy is not None and not callable(policy):
        raise TransformTypeError(
            "fungrad.checkpoint: policy must be a function (primitive, *types, **params) -> bool, got "
            f"{policy!r:.100}; there are some in fungrad.checkpoint_policies"
        )
    nums = (static_argnums,) if isinstance(static_argnums, (int, np.integer)) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    chosen = nothing_saveable if policy is None else policy

    @wraps(fun, "checkpoint")
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if jit_disabled.get():
            return fun(*args, **kwargs)
        call = _Call(fun, args, kwargs, nums, names)
        traced = [x for x in call.operands if type(x) is Tracer] or _closed_over(fun)
        around = newest(traced)
        if around is None:
            return fun(*args, **kwargs)
        with collection_paused():
            avals = [typeof(x) for x in call.operands]
            closed = record_jaxpr("checkpoint", call.flat, avals, fun, constants=around.constants)
            program, constants = _program_of(closed, fun_name(fun), chosen)
        outs = call_p.bind(*call.operands, *constants, program=program)
        return call.out_tree.unflatten(outs)

    return checkpointed


remat = checkpoint


class _Call:
    """The arguments of one call: floating-point and traced leaves are operands, the others are known."""

    def __init__(
        self, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], nums: Sequence[int], names: Sequence[str]
    ) -> None:
        self.fun, self.args, self.kwargs = fun, args, kwargs
        for i in nums:
            if not -len(args) <= i < len(args):
                raise TransformValueError(
                    f"fungrad.checkpoint: static_argnums={i} is out of range for a call of {describe_function(fun)} "
                    f"with {len(args)} positional arguments; those passed by keyword are named by static_argnames"
                )
        self.static_nums = {i % len(args) for i in nums}
        self.static_names = set(names) & set(kwargs)
        dynamic = (
            [None if k in self.static_nums else x for k, x in enumerate(args)],
            {k: v for k, v in kwargs.items() if k not in self.static_names},
        )
        leaves, self.tree = tree.flatten(dynamic)
        self.leaves = [joined(x) if isinstance(x, np.ndarray) and x.dtype.hasobject else x for x in leaves]
        self.places = [k for k, x in enumerate(self.leaves) if _is_operand(x)]
        self.operands = [self.leaves[k] for k in self.places]
        self.out_tree: Any = None

    def flat(self, *tracers: Any) -> list[Any]:
        """The function of the operands."""
        leaves = list(self.leaves)
        for k, t in zip(self.places, tracers, strict=True):
            leaves[k] = t
        args, kwargs = self.tree.unflatten(leaves)
        for k in self.static_nums:
            args[k] = self.args[k]
        out = self.fun(*args, **kwargs, **{k: self.kwargs[k] for k in self.static_names})
        out_leaves, self.out_tree = tree.flatten(out)
        return arrays("checkpoint", self.fun, out, out_leaves, "result")


def _is_operand(x: Any) -> bool:
    if type(x) is Tracer or type(x) in (float, complex):
        return True
    return (type(x) is np.ndarray or isinstance(x, np.generic)) and is_inexact(x.dtype)


def _closed_over(fun: Any) -> list[Any]:
    """The traced arrays in the closure of a function."""
    found: list[Any] = []
    while isinstance(fun, functools.partial):
        found.extend(tree.leaves((fun.args, fun.keywords)))
        fun = fun.func
    for cell in getattr(fun, "__closure__", None) or ():
        try:
            found.extend(tree.leaves(cell.cell_contents))
        except ValueError:  # the cell is empty
            continue
    return [x for x in found if type(x) is Tracer]


def _program_of(closed: ClosedJaxpr, label: str, policy: Policy) -> tuple[Program, list[Any]]:
    """The program of a jaxpr with its constants as operands, the one that there is already for an equal one."""
    jaxpr, constants = closed.jaxpr, list(closed.consts)
    for x in constants:
        if type(x) is np.ndarray and x.flags.owndata:
            x.flags.writeable = False  # a snapshot, which need not be copied again
    moved = Jaxpr([], [*jaxpr.invars, *jaxpr.constvars], jaxpr.eqns, jaxpr.outvars)
    shape = jaxpr_key(moved)
    key = None if shape is None else (shape, label, policy)
    try:
        known = None if key is None else _programs.get(key)
    except TypeError:  # a policy that does not hash
        key = known = None
    if known is not None:
        with _lock:
            _programs[key] = known
            _programs.move_to_end(key)
    else:
        known = Checkpointed(ClosedJaxpr(moved, []), label, policy)
        if key is not None:
            with _lock:
                known = _programs.setdefault(key, known)
                while len(_programs) > KEPT:
                    _programs.popitem(last=False)
    return known, constants


def forget_programs() -> None:
    """Let the programs of checkpointed functions go."""
    with _lock:
        _programs.clear()


def checkpoint_name(x: Any, name: str) -> Any:
    """Return ``x`` as it is, with a name for the policies of `checkpoint`.

    Parameters
    ----------
    x : pytree of arrays
    name : str

    Returns
    -------
    pytree of arrays

    Examples
    --------
    >>> import numpy as np, fungrad as fg
    >>> policy = fg.checkpoint_policies.save_only_these_names("wave")
    >>> f = fg.checkpoint(lambda x: np.exp(fg.checkpoint_name(np.sin(x), "wave")), policy=policy)
    >>> fg.grad(f)(0.0)
    np.float64(1.0)
    """
    return tree.map(functools.partial(_named, name), x)


def _named(label: str, x: Any) -> Any:
    if not isinstance(label, str):
        raise TransformTypeError(f"fungrad.checkpoint_name: the name must be a string, got {label!r:.100}")
    return name(x, label)

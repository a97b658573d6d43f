"""How a ufunc of SciPy becomes a primitive: declarations by name, and primitives made when a name is first needed.

    Declaration ::= names of the operands, a rule for each operand that has one, kind
    kind        ::= pointwise | several | constant

The modules of this package declare; nothing here imports SciPy. A rule calls other functions of SciPy through
`special`, which looks them up when the rule runs, so derivatives nest:

    j0 = special("j0")
    declare("j0", "x", x=lambda t, x: neg(mul(t, j1(x))))

A rule takes the (co)tangent ``t`` and then, by name, what it needs of the operands and of the result ``out``. An
operand without a rule may be held fixed, integer or batched; differentiating in it is an error that names it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fungrad._util import set_name
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import Elementwise, NoTangent, broadcast_shapes
from fungrad.core.primitive import General, Primitive, as_operand, record_abstract
from fungrad.core.trace import newest
from fungrad.errors import MissingRuleError
from fungrad.interpreters.batch import align
from fungrad.interpreters.fit import fit_tangent
from fungrad.primitives.arithmetic import add

Rule = Callable[..., Any]

_NUMBERS = (int, float, bool)


class Declaration(NamedTuple):
    """What is known of a ufunc: the names of its operands in order, and the rules of those that have one."""

    names: tuple[str, ...]
    rules: dict[str, Rule]
    kind: str


DECLARED: dict[str, Declaration] = {}
"""Every ufunc that the modules of this package speak of, by its name in ``scipy.special``."""

_primitives: dict[str, Any] = {}
_making = threading.RLock()


def _declare(name: str, operands: str, rules: dict[str, Rule], kind: str) -> None:
    names = tuple(operands.split())
    unknown = set(rules) - set(names)
    for rule in rules.values():
        unknown |= set(_residuals(rule)) - {*names, "out"}
    if unknown or name in DECLARED:
        raise ValueError(f"{name}({', '.join(names)}) is declared twice, or its rules name others: {sorted(unknown)}")
    DECLARED[name] = Declaration(names, rules, kind)


def declare(name: str, operands: str, /, **rules: Rule) -> None:
    """Declare a function that is differentiable, in the complex sense where it takes complex numbers.

    Parameters
    ----------
    name : str
        Its name in ``scipy.special``.
    operands : str
        The names of its operands, separated by spaces.
    **rules : callable
        ``operand=rule`` with ``rule(t, ...) -> t * partial``, which is its own transpose.
    """
    _declare(name, operands, rules, "pointwise")


def declare_several(name: str, operands: str, /, **rules: Rule) -> None:
    """Declare a function with several results, or with a derivative that is linear over the reals only.

    ``rule(t, ...)`` returns the tangent of the result, or the tuple of those of the results, which it may read as
    ``out`` (a tuple). It must be linear over the reals in ``t``; it is transposed by the interpreters.
    """
    _declare(name, operands, rules, "several")


def declare_constant(name: str, operands: str, /) -> None:
    """Declare a function that is constant except for jumps: its derivative is zero."""
    _declare(name, operands, {}, "constant")


def special(name: str) -> Callable[..., Any]:
    """A function of ``scipy.special`` for use in rules, looked up when it is called."""

    def call(*operands: Any) -> Any:
        prim = primitive(name)
        if any(type(x) in _NUMBERS for x in operands):  # many of SciPy's ufuncs take single precision and 0.5 as double
            dtypes = [typeof(x).dtype for x in operands if type(x) not in _NUMBERS]
            if dtypes and all(d.kind in "fc" for d in dtypes):
                operands = tuple(_strong(prim.impl, operands, [None] * len(operands), np.result_type(*dtypes)))
        return prim.function(*operands)

    return set_name(call, name)


def find(name: str) -> np.ufunc | None:
    """The ufunc of this name, public or not, if SciPy has it and is loaded."""
    for module in ("scipy.special", "scipy.special._ufuncs"):  # the second one: what Python functions are wrapped round
        ufunc = getattr(sys.modules.get(module), name, None)
        if isinstance(ufunc, np.ufunc):
            return ufunc
    return None


def primitive(name: str) -> Any:
    """The primitive of a ufunc, made on first use."""
    made = _primitives.get(name)
    if made is not None:
        return made
    with _making:
        if name not in _primitives:
            ufunc = find(name)
            if ufunc is None:
                raise MissingRuleError(f"this derivative needs scipy.special.{name}, which this version of SciPy lacks")
            declaration = DECLARED.get(name)
            if declaration is None:  # unknown to us: it can be batched, and inspected, and held fixed
                names = tuple([f"operand {k + 1}" for k in range(ufunc.nin)])
                declaration = Declaration(names, {}, "several" if ufunc.nout > 1 else "pointwise")
            if len(declaration.names) != ufunc.nin:
                raise MissingRuleError(f"scipy.special.{name} takes {ufunc.nin} operands in this version of SciPy")
            _primitives[name] = _KINDS[declaration.kind](name, ufunc, declaration)
        return _primitives[name]


def _unpickle(name: str) -> Any:
    importlib.import_module("scipy.special")
    return primitive(name)


# Rules: what they read, and the rule of an operand that has none


def _residuals(rule: Rule) -> tuple[str, ...]:
    """The names of what a rule reads."""
    code = rule.__code__
    return code.co_varnames[1 : code.co_argcount]


def _picker(rule: Rule, names: tuple[str, ...]) -> Callable[..., tuple[Any, ...]]:
    """A function of (operands..., out) that returns what a rule reads."""
    positions = [(*names, "out").index(name) for name in _residuals(rule)]
    return lambda *values: tuple([values[k] for k in positions])


def _without(name: str, operand: str) -> Rule:
    def rule(t: Any) -> Any:
        raise MissingRuleError(
            f"no derivative of scipy.special.{name} in its argument {operand!r} is known. Hold that argument fixed "
            "(a plain number, fungrad.stop_gradient where values are known, or argnums= of the other arguments), or "
            "take its difference quotient by hand"
        )

    return rule


def _rules(name: str, declaration: Declaration) -> tuple[Rule, ...]:
    return tuple([declaration.rules.get(n) or _without(name, n) for n in declaration.names])


def _strong(ufunc: np.ufunc, operands: Sequence[Any], traced: Sequence[Any], dtype: np.dtype[Any]) -> list[Any]:
    """Constant Python numbers in the precision of the result: a function that a rule takes of one would be double.

    Integers in the place of an integer stay as they are, as the types of a ufunc with integer operands depend on it.
    """
    real = np.dtype(dtype.char.lower()).type

    def strong(k: int, x: Any) -> Any:
        integer = type(x) is not float and any(types[k] in "lq" for types in ufunc.types)
        return x if type(x) not in _NUMBERS or traced[k] is not None or integer else real(x)

    return [strong(k, x) for k, x in enumerate(operands)]


class _OfSciPy(Primitive):
    """A primitive that is found again by the name of its ufunc, in a process that has not met it yet."""

    def __reduce__(self) -> Any:
        return _unpickle, (self.name.removeprefix("scipy."),)


class _Pointwise(_OfSciPy, Elementwise):
    """A ufunc with a rule for each operand, which name the operands as SciPy does."""

    def __init__(self, name: str, ufunc: np.ufunc, declaration: Declaration) -> None:
        Primitive.__init__(self, f"scipy.{name}", ufunc)
        self.rules = _rules(name, declaration)
        self.arity = ufunc.nin
        self.joint = False
        self.pickers = tuple([_picker(rule, declaration.names) for rule in self.rules if rule is not None])
        self._dtypes = {}
        self.function = set_name(lambda *operands: self.bind(*operands), name)

    def bind(self, *operands: Any, **params: Any) -> Any:
        """Apply the ufunc; see `Primitive.bind`."""
        recording = newest(operands)
        if recording is None:
            return self.impl(*operands)
        operands = tuple([as_operand(x) for x in operands])
        if recording.abstract:
            return record_abstract(self, recording, operands, {})
        return self.record(recording, operands, {})

    def edges(self, ids: Sequence[int | None], operands: Sequence[Any], out: Any) -> tuple[Any, ...]:
        """The linear map at a point; see `Elementwise.edges`."""
        return super().edges(ids, _strong(self.impl, operands, ids, typeof(out).dtype), out)  # type: ignore[arg-type]


class _Several(_OfSciPy, General):
    """A ufunc with several results, or whose derivative is linear over the reals only."""

    def __init__(self, name: str, ufunc: np.ufunc, declaration: Declaration) -> None:
        super().__init__(
            f"scipy.{name}",
            ufunc,
            abstract=self._types,
            jvp=self._tangents,
            batch=lambda axis, batched, *operands: self.bind(*align(operands, batched)),
            multiple=ufunc.nout > 1,
        )
        self.rules = _rules(name, declaration)
        self.pickers = tuple([_picker(rule, declaration.names) for rule in self.rules])
        self._dtypes: dict[Any, tuple[np.dtype[Any], ...]] = {}
        self.function = set_name(lambda *operands: self.bind(*[as_operand(x) for x in operands]), name)

    def _types(self, *avals: ShapedArray) -> Any:
        key = tuple([(a.dtype, a.weak) for a in avals])
        dtypes = self._dtypes.get(key)
        if dtypes is None:
            with np.errstate(all="ignore"):
                probe = self.impl(*[a.dtype.type(1).item() if a.weak else np.ones((1,), a.dtype) for a in avals])
            dtypes = self._dtypes[key] = tuple([typeof(x).dtype for x in (probe if self.multiple else (probe,))])
        shape = broadcast_shapes(self.name, [a.shape for a in avals])
        outs = tuple([ShapedArray(shape, dtype) for dtype in dtypes])
        return outs if self.multiple else outs[0]

    def _tangents(self, primals: tuple[Any, ...], tangents: Sequence[Any], out: Any) -> Any:
        avals = [typeof(x) for x in (out if self.multiple else (out,))]
        primals = tuple(_strong(self.impl, primals, tangents, avals[0].dtype))  # type: ignore[arg-type]
        totals: list[Any] = [None] * len(avals)
        for t, rule, pick in zip(tangents, self.rules, self.pickers, strict=True):
            if t is not None:
                terms = rule(t, *pick(*primals, out))
                for k, term in enumerate(terms if self.multiple else (terms,)):
                    term = fit_tangent(term, avals[k])
                    totals[k] = term if totals[k] is None else add(totals[k], term)
        return tuple(totals) if self.multiple else totals[0]


class _Constant(_OfSciPy, NoTangent):
    """A ufunc that is constant except for jumps."""

    def __init__(self, name: str, ufunc: np.ufunc, declaration: Declaration) -> None:
        super().__init__(f"scipy.{name}", ufunc, elementwise=True)


_KINDS: dict[str, Callable[[str, np.ufunc, Declaration], Any]] = {
    "pointwise": _Pointwise,
    "several": _Several,
    "constant": _Constant,
}

"""The text of one equation: what names stand for its operands, and the call of NumPy that it becomes.

Values in generated code

    float, bool     arrays without axes of float64 and bool: Python's numbers, an order of magnitude faster than NumPy's
    NumPy scalar    all other arrays without axes
    ndarray         arrays with axes
"""

from __future__ import annotations

import builtins
import keyword
import math
from collections.abc import Callable, Sequence
from types import BuiltinMethodType
from typing import Any

import numpy as np

from fungrad._util import SourceInfo
from fungrad.core.aval import BOOL, FLOAT, Shape, ShapedArray
from fungrad.core.elementwise import Elementwise
from fungrad.core.ir import Atom, Equation, Literal, Var

_MATH_NAMES = """sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh
    exp expm1 log log1p log2 log10 sqrt pow hypot"""
MATH: dict[str, Any] = {name: getattr(math, name) for name in _MATH_NAMES.split()}
"""The functions that the ``scalar`` text of a lowering may name."""

FLOAT_ERRORS = (ZeroDivisionError, OverflowError, ValueError)
"""What Python raises for numbers for which NumPy has inf or nan."""


def is_python(aval: ShapedArray) -> bool:
    """Whether generated code holds such a value as a Python number."""
    return not aval.shape and (aval.dtype is FLOAT or aval.dtype is BOOL or aval.dtype in (FLOAT, BOOL))


def as_python(aval: ShapedArray, text: str) -> str:
    """The source of a value as generated code holds it: a Python number where that is one."""
    return f"{'float' if aval.dtype == FLOAT else 'bool'}({text})" if is_python(aval) else text


_RESERVED = frozenset([*dir(builtins), *keyword.kwlist, "take", "make", "give_back", "safe", "part", "scratch"])
_RESERVED |= {"program", "length", "reverse", "go_on", "count", "workspace", "results"}

NESTING = 6
"""Scalar operations that are nested in one line, at most."""


class Source:
    """Lines of generated code, the objects that they name, and where in the user's code each line comes from."""

    def __init__(self, around: Source | None = None) -> None:
        self.lines: list[str] = []
        self.sources: list[SourceInfo | None] = []
        self.namespace: dict[str, Any] = {} if around is None else around.namespace
        self._const_names: dict[Any, str] = {} if around is None else around._const_names
        self._held: list[Any] = [] if around is None else around._held
        self._names: dict[Var, str] = {} if around is None else around._names
        self._arrays: dict[tuple[Any, np.dtype[Any]], str] = {} if around is None else around._arrays
        self.indent = "    "
        self.source: SourceInfo | None = None
        self.may_raise = False

    def write(self, line: str) -> None:
        """Append a line (several, where one calls for it), with the source of the equation that is being written."""
        self.lines.append(self.indent + line)
        self.sources.append(self.source)

    def name(self, var: Var) -> str:
        """The name of a variable."""
        name = self._names.get(var)
        if name is None:
            name = self._names[var] = f"v{len(self._names)}"
        return name

    def const(self, value: Any, name: str = "k") -> str:
        """A name for an object: the same for the same object."""
        # A method of a ufunc is a new object each time.
        key = (id(value.__self__), value.__name__) if type(value) is BuiltinMethodType else id(value)
        known = self._const_names.get(key)
        if known is None:
            name = name if name.isidentifier() and not name.startswith("_") else "f"
            taken = name in self.namespace or name in _RESERVED
            known = f"{name}_{len(self.namespace)}" if taken else name
            self._const_names[key] = known
            self._held.append(value)  # its id stays its own
            self.namespace[known] = value
        return known

    def scalar(self, eqn: Equation, names: Any, safe: bool) -> str | None:
        """The Python expression of an equation of float64 and bool scalars; None if it is not one of these."""
        template = eqn.primitive.lowering.scalar
        if template is None or safe or not is_python(eqn.outputs[0].aval):
            return None
        floats = False
        for atom in eqn.inputs:
            aval = atom.aval
            if not is_python(aval):
                if aval.shape or not aval.weak or aval.dtype.kind != "i":
                    return None
            elif aval.dtype is not BOOL:
                floats = True
        if not floats:
            return None
        texts = []
        for atom in eqn.inputs:
            if type(atom) is Literal:
                value = atom.value.item() if isinstance(atom.value, np.generic) else atom.value
                if type(value) is int and "pow" not in template and abs(value) < 1 << 53:
                    value = float(value)  # Python computes faster with two floats
                texts.append(self.number(value))
            else:
                texts.append(names(atom))
        self.may_raise = self.may_raise or "(" in template or "/" in template
        return str(template.format(*texts))

    def number(self, value: Any) -> str:
        """The text of a Python number, exactly."""
        if type(value) is float and (value != value or math.isinf(value)):
            return self.const(value, "nan" if value != value else "inf" if value > 0 else "minus_inf")
        text = repr(value)
        return f"({text})" if text.startswith("-") else text


class Text:
    """The text of one equation, see `lowering.Emission`.

    Parameters
    ----------
    source : Source
        Where the objects that it names go.
    eqn : Equation
    names : callable
        Names of variables that are arrays (blocks of them in a loop over blocks).
    block : str, optional
        In such a loop the name of the number of rows of the block.
    """

    __slots__ = ("_turn", "avals", "block", "eqn", "names", "out_avals", "rows_last", "safe", "source")

    def __init__(
        self,
        source: Source,
        eqn: Equation,
        names: Any,
        block: str | None = None,
        safe: bool = False,
        rows_last: bool = False,
        turn: Callable[[Equation, int, str], str] | None = None,
    ) -> None:
        self.source = source
        self.rows_last = rows_last
        self._turn = turn
        self.eqn = eqn
        self.names = names
        self.block = block
        self.safe = safe
        self.avals: Sequence[ShapedArray] = [a.aval for a in eqn.inputs]
        self.out_avals: Sequence[ShapedArray] = [v.aval for v in eqn.outputs]

    def const(self, value: Any, name: str = "k") -> str:
        """A name for an object in the generated source."""
        return self.source.const(value, name)

    def shape(self, shape: Shape) -> str:
        """The source of a shape."""
        if self.block is None:
            return str(shape)
        return f"({', '.join([self.block, *map(str, shape[1:])])},)"

    def number(self, operand: int) -> Any:
        """The number that an operand is in the program, or None."""
        atom = self.eqn.inputs[operand]
        return atom.value if isinstance(atom, Literal) and not atom.aval.shape else None

    def turned(self, operand: int, name: str) -> str:
        """The text of an operand, a matrix, transposed."""
        return f"{name}.T" if self._turn is None else self._turn(self.eqn, operand, name)

    def is_scalar(self) -> bool:
        """Whether all operands and results have no axes."""
        return not any(a.shape for a in self.avals) and not any(a.shape for a in self.out_avals)

    def text(self, out: str | None = None) -> str:
        """An expression, or with ``out`` statements that write there."""
        eqn, prim = self.eqn, self.eqn.primitive
        pointwise = isinstance(prim, Elementwise) or getattr(prim, "elementwise", False)
        if self.is_scalar():
            return self._scalar_text(pointwise)
        text = prim.lowering.text(self, out, *map(self._operand, eqn.inputs), **eqn.params)
        return self._as_held(text) if not prim.multiple else text

    def _as_held(self, text: str) -> str:
        (aval,) = self.out_avals
        return text if aval.weak else as_python(aval, text)

    def _scalar_text(self, pointwise: bool) -> str:
        prim = self.eqn.primitive
        found = None if prim.multiple else self.source.scalar(self.eqn, self.names, self.safe)
        if found is not None:
            return found
        if pointwise:
            text = f"{self.const(prim.impl, prim.name)}({', '.join(map(self._numpy, self.eqn.inputs))})"
        else:
            text = prim.lowering.text(self, None, *map(self._numpy, self.eqn.inputs), **self.eqn.params)
        return text if prim.multiple else self._as_held(text)

    def _numpy(self, atom: Atom) -> str:
        """An operand as NumPy has it: of a scalar that is held as a Python number the NumPy scalar."""
        if isinstance(atom, Literal):
            value = atom.value
            return self.source.number(value) if type(value) in (int, float) else self.const(value, "c")
        if is_python(atom.aval) and not atom.aval.weak:
            return f"{self.const(atom.aval.dtype.type, atom.aval.dtype.name)}({self.names(atom)})"
        return str(self.names(atom))

    def _operand(self, atom: Atom) -> str:
        """An operand of an equation of arrays. NumPy is slow at numbers beside arrays, so they are made arrays."""
        aval = atom.aval
        if aval.shape:
            return str(self.names(atom)) if isinstance(atom, Var) else self.const(atom.value, "c")
        if not self.eqn.primitive.lowering.pointwise:
            return self._numpy(atom)
        dtype = self._dtype_beside_arrays(aval)
        if dtype is None:
            return self._numpy(atom)
        if isinstance(atom, Literal):
            return self._constant_array(atom.value, dtype)
        return f"{self.const(np.asarray, 'asarray')}({self.names(atom)}, {self.const(dtype, dtype.name)})"

    def _dtype_beside_arrays(self, aval: ShapedArray) -> np.dtype[Any] | None:
        """The dtype of a scalar operand by NumPy's promotion; None to leave it to NumPy."""
        if not aval.weak:
            return aval.dtype
        strong = [a.dtype for a in self.avals if not a.weak]
        if aval.dtype.kind not in "if" or not strong:
            return None
        common = np.result_type(*strong)
        if common.kind not in "fc":
            return None
        return common

    def _constant_array(self, value: Any, dtype: np.dtype[Any]) -> str:
        key = repr(value), dtype
        known = self.source._arrays.get(key)
        if known is None:
            array = np.asarray(value, dtype)
            array.flags.writeable = False
            known = self.source._arrays[key] = self.const(array, "c")
        return known

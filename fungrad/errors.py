"""The exceptions of fungrad.

Each is a subclass of the builtin that a user would catch. Where an error has the meaning of one in
``jax.errors`` it has the same name, so that ``except`` clauses of ported code keep working.

Every message says what was received, what was expected, where in the user's code, and what to write
instead.
"""

from __future__ import annotations

__all__ = [
    "AxisNameError",
    "ConcretizationTypeError",
    "FungradError",
    "JaxprTypeError",
    "MissingCustomRuleError",
    "MissingRuleError",
    "NonConcreteBooleanIndexError",
    "NonDifferentiableError",
    "NonLinearError",
    "TracerArrayConversionError",
    "TracerBoolConversionError",
    "TracerIntegerConversionError",
    "TransformTypeError",
    "TransformValueError",
    "UnexpectedTracerError",
    "UnsupportedOperationError",
]


class FungradError(Exception):
    """Base class of the errors that fungrad raises on its own account."""


class TransformTypeError(FungradError, TypeError):
    """An argument of a transform, or what the transformed function returned, has the wrong type or tree."""


class TransformValueError(FungradError, ValueError):
    """An argument of a transform has the right type but a wrong shape, size or value."""


class ConcretizationTypeError(FungradError, TypeError):
    """A traced array was asked for a plain Python number that it cannot give without losing something."""


class TracerBoolConversionError(ConcretizationTypeError):
    """Python control flow (``if``, ``while``, ``and``, ``assert``) met an array whose value is unknown."""


class TracerIntegerConversionError(ConcretizationTypeError):
    """A Python integer (index, range, shape) was asked of an array whose value is unknown."""


class TracerArrayConversionError(FungradError, TypeError):
    """NumPy asked a traced array for a plain array; giving one would drop its derivative."""


class NonConcreteBooleanIndexError(FungradError, IndexError):
    """A boolean mask whose value is unknown was used as an index: the result's shape depends on it."""


class UnexpectedTracerError(FungradError, RuntimeError):
    """A traced array outlived the recording that made it (it leaked)."""


class NonDifferentiableError(FungradError, TypeError):
    """A derivative was asked of, or with respect to, something that has none (integers, booleans, objects)."""


class NonLinearError(FungradError, ValueError):
    """A function that must be linear in its arguments is not."""


class MissingRuleError(FungradError, NotImplementedError):
    """A primitive has no rule for the transform that reached it."""


class MissingCustomRuleError(FungradError, AttributeError):
    """A function with rules of its own was called before it was given them (``defjvp``, ``defvjp``, ``def_vmap``)."""


class UnsupportedOperationError(FungradError, TypeError):
    """A NumPy function, or one of its arguments, that a traced array does not support."""


class JaxprTypeError(FungradError, TypeError):
    """A jaxpr is not well formed: the checker found a fault."""


class AxisNameError(FungradError, NameError):
    """A collective names an axis that no enclosing ``vmap(axis_name=...)`` binds."""

"""Run a user's function of pytrees under a recording with values: the common first half of all derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fungrad import tree
from fungrad.core.aval import is_inexact, typeof
from fungrad.core.leaves import arrays
from fungrad.core.memory import copied
from fungrad.core.record import record_values
from fungrad.errors import TransformTypeError
from fungrad.interpreters.linearize import Linearization
from fungrad.transforms.arguments import Leaves, with_float0


class Result:
    """What a recorded call returned, and its linearization.

    Attributes
    ----------
    values, avals : list
        The leaves of the result, one level down, and their types.
    treedef : TreeDef
        Their tree.
    aux : pytree
        The auxiliary result, one level down (None without has_aux).
    linearization : Linearization
        From the floating-point leaves of the inputs to those of the result.
    """

    __slots__ = ("aux", "avals", "linearization", "treedef", "values")

    def __init__(
        self, transform: str, user_fun: Any, call: Callable[[Any], Any], leaves: Leaves, has_aux: bool
    ) -> None:
        trees: list[Any] = []

        def flat(*active: Any) -> list[Any]:
            out = call(leaves.with_active(active))
            if has_aux:
                if not isinstance(out, tuple) or len(out) != 2:
                    raise TransformTypeError(
                        f"fungrad.{transform}(has_aux=True) expects the function to return a pair (result, aux), got "
                        f"{type(out).__name__}"
                    )
                out, aux = out
                aux_leaves, aux_tree = tree.flatten(aux)
            else:
                aux_leaves, aux_tree = [], None
            out_leaves, treedef = tree.flatten(out)
            out_leaves = arrays(transform, user_fun, out, out_leaves, "result")
            trees.extend((treedef, aux_tree, len(out_leaves)))
            return [*out_leaves, *aux_leaves]

        values, tape = record_values(transform, flat, leaves.active_values(), user_fun)
        self.treedef, aux_tree, n = trees
        self.values = values[:n]
        self.avals = [typeof(x) for x in self.values]
        self.aux = aux_tree.unflatten(values[n:]) if has_aux else None
        active = [k for k, a in enumerate(self.avals) if is_inexact(a.dtype)]
        in_avals = [leaves.avals[k] for k in leaves.active]
        tape = tape._replace(out_ids=[tape.out_ids[k] for k in active], out_values=[tape.out_values[k] for k in active])
        self.linearization = Linearization(tape, in_avals, [self.avals[k] for k in active], transform, user_fun)

    def value(self) -> Any:
        """The result as the user's function returned it, one level down."""
        return self.treedef.unflatten(self.values)

    def detached_and(self, linear: Any, has_aux: bool) -> tuple[Any, ...]:
        """(result, linear) or (result, linear, aux), copied: the linear map has yet to read them."""
        value = self.treedef.unflatten([copied(x) for x in self.values])
        return (value, linear, tree.map(copied, self.aux)) if has_aux else (value, linear)

    def tangent(self, active: Sequence[Any]) -> Any:
        """A tangent of the result from those of its floating-point leaves."""
        return self.treedef.unflatten(with_float0(self.avals, active))

"""Linear maps of pytrees: what `vjp`, `linearize` and `linear_transpose` return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from fungrad import tree
from fungrad.core.aval import ShapedArray
from fungrad.core.evaluate import evaluate
from fungrad.core.ir import ClosedJaxpr, Jaxpr
from fungrad.core.leaves import path_of
from fungrad.core.memory import own
from fungrad.interpreters.linearize import Linearization
from fungrad.transforms.arguments import check_same_tree, check_tangents, with_float0


class Signature(NamedTuple):
    """The type of a linear map of pytrees: trees and leaf types of its argument and its result.

    ``variadic`` maps take one positional argument per entry of the argument's tuple. Integer and boolean leaves have
    only the float0 tangent: they are checked, and made, but do not take part in the computation.
    """

    transform: str
    variadic: bool
    in_tree: Any
    in_avals: tuple[ShapedArray, ...]
    out_tree: Any
    out_avals: tuple[ShapedArray, ...]

    def flatten_argument(self, args: tuple[Any, ...]) -> list[Any]:
        """Check an argument; return its floating-point leaves."""
        if not self.variadic and len(args) != 1:
            raise TypeError(
                f"the function that fungrad.{self.transform} returned takes one argument (a pytree like the result), "
                f"got {len(args)}"
            )
        argument = args if self.variadic else args[0]
        values, treedef = tree.flatten(argument)
        what = "the tangent" if self.variadic else "the cotangent"
        check_same_tree(self.transform, what, self.in_tree, treedef)
        return check_tangents(self.transform, what, self.in_avals, values, lambda k: path_of(argument, k))

    def unflatten_result(self, active: Sequence[Any]) -> Any:
        """The result's pytree from its floating-point leaves."""
        return self.out_tree.unflatten(with_float0(self.out_avals, active))

    def __repr__(self) -> str:
        return f"{self.in_tree.unflatten(self.in_avals)} -> {self.out_tree.unflatten(self.out_avals)}"


@tree.register_pytree_node_class
class LinearMap:
    """A linear function of pytrees, held as a jaxpr of its floating-point leaves.

    It is a pytree (its leaves are the constants of the program, that is the residuals) and can be pickled.

    Attributes
    ----------
    jaxpr : ClosedJaxpr
        The linear program; what depends on the point alone is among its constants.
    """

    __slots__ = ("_signature", "jaxpr")

    def __init__(self, signature: Signature, jaxpr: ClosedJaxpr) -> None:
        self._signature = signature
        self.jaxpr = jaxpr

    def __call__(self, *args: Any) -> Any:
        """Apply the map."""
        active = self._signature.flatten_argument(args)
        return self._signature.unflatten_result(own(evaluate(self.jaxpr, active), [*active, *self.jaxpr.consts]))

    def __repr__(self) -> str:
        return f"<linear map {self._signature!r}>"

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Signature, Jaxpr]]:
        """The constants, and everything else."""
        return self.jaxpr.consts, (self._signature, self.jaxpr.jaxpr)

    @classmethod
    def tree_unflatten(cls, data: tuple[Signature, Jaxpr], consts: Sequence[Any]) -> LinearMap:
        """The map with other constants."""
        return cls(data[0], ClosedJaxpr(data[1], consts))


@tree.register_pytree_node_class
class PullBack:
    """The function that `vjp` returns: it walks the recording backwards at each call.

    As a pytree it is the `LinearMap` that does the same.
    """

    __slots__ = ("_linear_map", "_linearization", "_signature")

    def __init__(self, signature: Signature, linearization: Linearization) -> None:
        self._signature = signature
        self._linearization = linearization
        self._linear_map: LinearMap | None = None

    def __call__(self, *args: Any) -> Any:
        """The cotangents of the primals, a tuple with one entry per primal."""
        return self._signature.unflatten_result(self._linearization.pull(self._signature.flatten_argument(args)))

    def __repr__(self) -> str:
        return f"<vjp function {self._signature!r}>"

    def linear_map(self) -> LinearMap:
        """The same function as a program."""
        if self._linear_map is None:
            self._linear_map = LinearMap(self._signature, self._linearization.transposed_jaxpr())
        return self._linear_map

    def __reduce__(self) -> Any:
        return LinearMap, (self._signature, self.linear_map().jaxpr)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Signature, Jaxpr]]:
        """The residuals, and everything else."""
        return self.linear_map().tree_flatten()

    @classmethod
    def tree_unflatten(cls, data: tuple[Signature, Jaxpr], consts: Sequence[Any]) -> LinearMap:
        """The map with other residuals."""
        return LinearMap.tree_unflatten(data, consts)

"""Policies of `checkpoint`: which of the values that a derivative reads are saved instead of computed again.

    policy : primitive, *types of its operands, **its parameters -> bool

A policy is asked for every operation of the checkpointed function (and of its derivative) whether its results may be
saved. What may be saved is saved if it is needed; everything else is computed again.

Examples
--------
>>> import numpy as np, fungrad as fg
>>> def layer(w, x):
...     return np.tanh(fg.checkpoint_name(x @ w, "sums"))
>>> policy = fg.checkpoint_policies.save_only_these_names("sums")
>>> w, x = np.ones((2, 3)), np.ones((4, 2))
>>> fg.print_saved_residuals(fg.checkpoint(layer, policy=policy), w, x)
f64[2,3] from the argument w
f64[4,2] from the argument x
f64[4,3] named 'sums' from <doctest fungrad.control.policies[1]>:2 (in layer)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fungrad.primitives.contraction import contract_p, parse_spec
from fungrad.primitives.naming import name_p

Policy = Callable[..., bool]


def everything_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Save everything, as without `checkpoint`."""
    return True


def nothing_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Save nothing but the arguments: the default."""
    return False


def dots_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Save the results of contractions (``@``, dot, einsum, tensordot ...): they cost more than they take."""
    return primitive is contract_p


def dots_with_no_batch_dims_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Save the results of contractions without an axis that both operands and the result have (batch dimensions)."""
    if primitive is not contract_p:
        return False
    a, b, result = parse_spec(params["spec"])
    return not any(n in b and n in result for n in a)


checkpoint_dots = dots_saveable
checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


@dataclass(frozen=True)
class OnlyNames:
    """Save what has one of these names."""

    names: frozenset[str]

    def __call__(self, primitive: Any, *avals: Any, **params: Any) -> bool:
        """Whether it is a name, and one of these."""
        return primitive is name_p and params["name"] in self.names


@dataclass(frozen=True)
class NamesBut:
    """Save what has a name, but none of these."""

    names: frozenset[str]

    def __call__(self, primitive: Any, *avals: Any, **params: Any) -> bool:
        """Whether it is a name, and none of these."""
        return primitive is name_p and params["name"] not in self.names


@dataclass(frozen=True)
class AnythingBut:
    """Save everything, named or not, that has none of these names."""

    names: frozenset[str]

    def __call__(self, primitive: Any, *avals: Any, **params: Any) -> bool:
        """Whether it is no name, or none of these."""
        return primitive is not name_p or params["name"] not in self.names


@dataclass(frozen=True)
class Either:
    """Save what one of two policies saves."""

    first: Policy
    second: Policy

    def __call__(self, primitive: Any, *avals: Any, **params: Any) -> bool:
        """Whether one of them says so."""
        return self.first(primitive, *avals, **params) or self.second(primitive, *avals, **params)


def save_only_these_names(*names: str) -> Policy:
    """Save the values that `checkpoint_name` gave one of these names."""
    return OnlyNames(frozenset(names))


def save_any_names_but_these(*names: str) -> Policy:
    """Save the values that `checkpoint_name` gave a name, except for these names."""
    return NamesBut(frozenset(names))


def save_anything_except_these_names(*names: str) -> Policy:
    """Save all values but those with one of these names."""
    return AnythingBut(frozenset(names))


def save_from_both_policies(first: Policy, second: Policy) -> Policy:
    """Save what one policy or the other saves."""
    return Either(first, second)


def refused_names(policy: Policy) -> frozenset[str]:
    """The names whose values must not be saved in another way either: as the operand of the name."""
    if isinstance(policy, AnythingBut):
        return policy.names
    if isinstance(policy, Either):
        return refused_names(policy.first) & refused_names(policy.second)
    return frozenset()

"""What a workload is: a function in NumPy, its data, what is asked of it, and the same written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Workload(NamedTuple):
    """One thing that every library computes.

    Attributes
    ----------
    name : str
        How the tables call it.
    fun : function
        Ordinary NumPy code, as fungrad takes it. Other libraries run the same code on their own array module, with
        their own ``softmax``, ``convolution``, ... where they have them (``libraries/rebind.py``).
    data : function
        ``() -> operands``: pytrees of float64 arrays, from a fixed seed. For ``"hvp"`` the last is the direction.
    task : str
        What is asked: ``"value_and_grad"``, ``"grad"``, ``"hvp"`` (gradient and Hessian-vector product),
        ``"derivative"`` (of order ``order``, of a function of a scalar), ``"jacobian"`` or ``"hessian"``.
    argnums : int or tuple of int
        The operands to differentiate with respect to.
    by_hand : function or None
        ``(*operands, **static) -> result``: the hand-written NumPy gradient.
    static : mapping
        Keyword arguments that are not arrays: sizes, numbers of steps.
    in_axes : tuple or None
        If given, the task is mapped over these axes of the operands with ``vmap``.
    order : int
        Of ``"derivative"``.
    operations : int
        Times are reported per operation; 1 for the time of the call.
    bar : float or None
        In the group of eager workloads: how many times faster than autograd fungrad must be without jit.
    """

    name: str
    fun: Callable[..., Any]
    data: Callable[[], tuple[Any, ...]]
    task: str = "value_and_grad"
    argnums: int | tuple[int, ...] = 0
    by_hand: Callable[..., Any] | None = None
    static: Mapping[str, Any] = MappingProxyType({})
    in_axes: tuple[int | None, ...] | None = None
    order: int = 1
    operations: int = 1
    bar: float | None = None

"""What fungrad and JAX have in common: transforms of functions, by the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workloads.workload import Workload


def transformed(api: Any, fun: Callable[..., Any], workload: Workload, task: str) -> Callable[..., Any]:
    """What is asked of ``fun``, as a function of the operands. ``"value"`` asks for no derivative."""
    out = _TASKS[task](api, fun, workload)
    return out if workload.in_axes is None else api.vmap(out, in_axes=workload.in_axes)


def _derivative(api: Any, fun: Callable[..., Any], workload: Workload) -> Callable[..., Any]:
    for _ in range(workload.order):
        fun = api.grad(fun)
    return fun


def _hvp(api: Any, fun: Callable[..., Any], workload: Workload) -> Callable[..., Any]:
    gradient = api.grad(fun)

    def gradient_and_product(x: Any, *rest: Any) -> Any:
        *constants, direction = rest
        return api.jvp(lambda x: gradient(x, *constants), (x,), (direction,))

    return gradient_and_product


_TASKS: dict[str, Callable[[Any, Callable[..., Any], Workload], Callable[..., Any]]] = {
    "value": lambda api, fun, workload: fun,
    "value_and_grad": lambda api, fun, workload: api.value_and_grad(fun, argnums=workload.argnums),
    "grad": lambda api, fun, workload: api.grad(fun, argnums=workload.argnums),
    "derivative": _derivative,
    "hvp": _hvp,
    # More columns than rows here: both libraries' users take the reverse mode.
    "jacobian": lambda api, fun, workload: api.jacrev(fun, argnums=workload.argnums),
    "hessian": lambda api, fun, workload: api.hessian(fun),
}

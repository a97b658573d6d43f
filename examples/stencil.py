"""The heat equation by explicit loops: index assignment into buffers, differentiated in both modes.

u_t = D u_xx between two walls, u = 0 at x = 0 and an insulated one (u_x = 0) at x = 1, by the explicit scheme

    new[i] = u[i] + r (u[i-1] - 2 u[i] + u[i+1]),        r = D dt / dx^2 <= 1/2

The solver is written as one writes it for NumPy: two buffers from ``np.empty_like``, element by element, boundary rows
by themselves. From temperatures measured at the end it finds the gradient of the misfit with respect to the initial
state and to the diffusivity.
"""

import time

import numpy as np
from _common import check

import fungrad as fg

CELLS, STEPS = 24, 40
DX, DT = 1.0 / (CELLS - 1), 4e-4


def solve(u, diffusivity):
    """The state after all steps, by loops and index assignment."""
    r = diffusivity * (DT / DX**2)
    old, new = u.copy(), np.empty_like(u)
    for _ in range(STEPS):
        new[0] = 0.0
        for i in range(1, CELLS - 1):
            new[i] = old[i] + r * (old[i - 1] - 2.0 * old[i] + old[i + 1])
        new[-1] = new[-2]
        old, new = new, old
    return old


def solve_vectorised(u, diffusivity):
    """The same without assignment: each state is a new array."""
    r = diffusivity * (DT / DX**2)
    for _ in range(STEPS):
        inner = u[1:-1] + r * (u[:-2] - 2.0 * u[1:-1] + u[2:])
        u = np.concatenate([np.zeros(1), inner, inner[-1:]])
    return u


def solve_by_rows(u, diffusivity):
    """The whole history as a matrix whose rows are filled one after the other, in place."""
    r = diffusivity * (DT / DX**2)
    history = np.zeros_like(u, shape=(STEPS + 1, CELLS))
    history[0] = u
    for k in range(STEPS):
        row = history[k + 1]
        row[:] = history[k]
        row[1:-1] += r * (history[k, :-2] - 2.0 * history[k, 1:-1] + history[k, 2:])
        row[0] = 0.0
        row[-1] = row[-2]
    return history[STEPS]


def misfit_of(solver):
    """Half the squared distance from the measurement, as a function of the initial state and the diffusivity."""
    return lambda u, diffusivity: 0.5 * np.sum((solver(u, diffusivity) - measured) ** 2)


def timed(fun, *args):
    """The result and the milliseconds that it took."""
    start = time.perf_counter()
    result = fun(*args)
    return result, 1e3 * (time.perf_counter() - start)


def differences(fun, x, h):
    """Central differences of a function of a vector, one entry after the other."""
    return np.array([(fun(x + h * e) - fun(x - h * e)) / (2 * h) for e in np.eye(x.size)])


x = np.linspace(0.0, 1.0, CELLS)
measured = solve(np.sin(0.5 * np.pi * x), 1.3)
start, diffusivity = x * (2.0 - x), 1.0
print("solver        misfit      d/dD        |d/du|      gradient [ms]")
gradients = {}
for name, solver in [("loops", solve), ("vectorised", solve_vectorised), ("rows", solve_by_rows)]:
    misfit = misfit_of(solver)
    gradients[name], ms = timed(fg.grad(misfit, (0, 1)), start, diffusivity)
    by_u, by_d = gradients[name]
    print(f"{name:12s}  {misfit(start, diffusivity):.6f}   {by_d:+.6f}   {np.linalg.norm(by_u):.6f}   {ms:8.1f}")
print()

misfit = misfit_of(solve)
by_u, by_d = gradients["loops"]
check(
    "the loops compute what the vectorised version does", np.allclose(solve(start, 1.0), solve_vectorised(start, 1.0))
)
for other in ("vectorised", "rows"):
    same = all(np.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in zip(gradients[other], (by_u, by_d), strict=True))
    check(f"and have the same gradient as the {other} version", same)
error = np.max(np.abs(by_u - differences(lambda u: misfit(u, diffusivity), start, 1e-5)))
check(f"the gradient by the initial state agrees with central differences: {error:.0e}", error < 1e-9)
error = abs(by_d - (misfit(start, 1.0 + 1e-5) - misfit(start, 1.0 - 1e-5)) / 2e-5)
check(f"that by the diffusivity too: {error:.0e}", error < 1e-9)

v = np.cos(3.0 * x)
_, forward = fg.jvp(misfit, (start, diffusivity), (v, 0.5))
check("forward mode gives the same directional derivative", np.isclose(forward, by_u @ v + 0.5 * by_d, rtol=1e-12))
by_state = fg.grad(misfit)
_, product = fg.jvp(lambda u: by_state(u, diffusivity), (start,), (v,))
# The scheme is linear in u: the Hessian of the misfit is A'A, with A the map from the first state to the last.
linear = solve_vectorised(v, diffusivity)
_, pull = fg.vjp(lambda u: solve_vectorised(u, diffusivity), start)
check(
    "a Hessian-vector product through the loops is A'A v", np.allclose(product, pull(linear)[0], rtol=1e-11, atol=1e-13)
)
_, mixed = fg.jvp(lambda d: by_state(start, d), (diffusivity,), (1.0,))
other = fg.grad(lambda u: fg.grad(misfit, 1)(u, diffusivity))(start)
check("the mixed second derivative is the same in either order", np.allclose(mixed, other, rtol=1e-10, atol=1e-13))

states = np.stack([start, x, np.sin(np.pi * x), 1.0 - np.cos(np.pi * x)])
batch, ms = timed(fg.vmap(by_state, in_axes=(0, None)), states, diffusivity)
each = np.stack([by_state(u, diffusivity) for u in states])
check(
    f"vmap over {len(states)} initial states ({ms:.0f} ms) is a loop over them",
    np.allclose(batch, each, rtol=1e-11, atol=1e-13),
)


def by_diffusivity(d):
    """The misfit's derivative by the diffusivity, from the right initial state.

    Differentiated by both arguments, so that ``np.empty_like(u)`` is a buffer that takes traced values.
    """
    return fg.grad(misfit, (0, 1))(np.sin(0.5 * np.pi * x), d)[1]


estimate = diffusivity  # by Newton's method in one variable
for _ in range(5):
    estimate = estimate - by_diffusivity(estimate) / fg.grad(by_diffusivity)(estimate)
check(f"five Newton steps find the diffusivity again: {estimate:.12f}", abs(estimate - 1.3) < 1e-9)

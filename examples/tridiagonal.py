"""The Thomas algorithm: a tridiagonal system solved by two sweeps that overwrite their arrays, and differentiated.

    a[i] y[i-1] + b[i] y[i] + c[i] y[i+1] = d[i]

    forwards    w = a[i] / b[i-1];  b[i] -= w c[i-1];  d[i] -= w d[i-1]
    backwards   y[n-1] = d[n-1] / b[n-1];  y[i] = (d[i] - c[i] y[i+1]) / b[i]

Without pivoting, so for matrices that are diagonally dominant. The gradient costs a small multiple of the solution,
O(n) as the solution itself; through `numpy.linalg.solve` and the dense matrix it would be O(n^3).
"""

import time

import numpy as np
from _common import check

import fungrad as fg


def thomas(a, b, c, d):
    """Solve the system; a[0] and c[-1] are not read. The arguments stay as they are."""
    n = len(d)
    b, y = b.copy(), d.copy()
    for i in range(1, n):
        w = a[i] / b[i - 1]
        b[i] -= w * c[i - 1]
        y[i] -= w * y[i - 1]
    y[-1] /= b[-1]
    for i in range(n - 2, -1, -1):
        y[i] = (y[i] - c[i] * y[i + 1]) / b[i]
    return y


def dense(a, b, c, d):
    """The same by the dense matrix."""
    return np.linalg.solve(np.diag(b) + np.diag(a[1:], -1) + np.diag(c[:-1], 1), d)


def energy(solver):
    """A number that depends on the whole solution."""
    return lambda *system: np.sum(np.sin(solver(*system)))


def random_system(n, seed=0):
    """Three diagonals, the middle one dominant, and a right-hand side."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, n), rng.uniform(2.5, 4, n), rng.uniform(-1, 1, n), rng.standard_normal(n)


def best_of(fun, *args, rounds=3):
    """The shortest of a few runs, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        fun(*args)
        times.append(time.perf_counter() - start)
    return min(times)


EVERY = (0, 1, 2, 3)
system = random_system(30)
sweeps, reference = fg.grad(energy(thomas), EVERY)(*system), fg.grad(energy(dense), EVERY)(*system)
print("derivative by    norm            relative difference from numpy.linalg.solve's")
for name, g, h in zip("abcd", sweeps, reference, strict=True):
    print(f"{name}                {np.linalg.norm(g):.6e}    {np.linalg.norm(g - h) / np.linalg.norm(h):.1e}")
print()

check("the sweeps solve the system", np.allclose(thomas(*system), dense(*system), rtol=1e-13))
check(
    "their gradient by all four arrays is that of numpy.linalg.solve",
    all(np.allclose(g, h, rtol=1e-11, atol=1e-14) for g, h in zip(sweeps, reference, strict=True)),
)
check("what is not read has derivative zero", sweeps[0][0] == 0.0 and sweeps[2][-1] == 0.0)

tangents = random_system(30, seed=1)
_, pushed = fg.jvp(thomas, system, tangents)
_, expected = fg.jvp(dense, system, tangents)
check("forward mode too", np.allclose(pushed, expected, rtol=1e-11, atol=1e-14))
matrix = np.diag(system[1]) + np.diag(system[0][1:], -1) + np.diag(system[2][:-1], 1)
jacobian = fg.jacrev(lambda d: thomas(*system[:3], d))(system[3])
check(
    "the Jacobian by the right-hand side is the inverse matrix", np.allclose(jacobian @ matrix, np.eye(30), atol=1e-13)
)


def curvature(solver):
    """A Hessian-vector product with respect to all four arrays: forward over reverse."""
    gradient = fg.grad(energy(solver), EVERY)
    return np.stack(fg.jvp(gradient, system, tangents)[1])


check("second derivatives agree", np.allclose(curvature(thomas), curvature(dense), rtol=1e-10, atol=1e-14))
batch = [np.stack([random_system(30, seed)[k] for seed in range(5)]) for k in range(4)]
mapped = fg.vmap(fg.grad(energy(thomas), EVERY))(*batch)
each = [fg.grad(energy(thomas), EVERY)(*[array[k] for array in batch]) for k in range(5)]
check(
    "a batch of five systems by vmap is a loop over them",
    all(np.allclose(m[k], g, rtol=1e-11, atol=1e-14) for k in range(5) for m, g in zip(mapped, each[k], strict=True)),
)

small, large = [best_of(fg.grad(energy(thomas), EVERY), *random_system(n)) for n in (1_000, 10_000)]
print(f"\n  the gradient takes {1e3 * small:.0f} ms for n = 1000, {1e3 * large:.0f} ms for n = 10000")
check(f"ten times the unknowns take {large / small:.0f} times as long", large < 30 * small)

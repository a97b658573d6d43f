"""jit: a training step compiled into a planned sequence of NumPy calls.

A network of two layers learns a function of ten variables by gradient descent. The step, with its gradient, is recorded
once and compiled; what it became can be looked at. Then the same step runs eagerly, and both are timed.
"""

import time

import numpy as np
from _common import check

import fungrad as fg

rng = np.random.default_rng(0)
X = rng.standard_normal((1000, 10))
Y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * X[:, 2] ** 2
recordings = []


def loss(params, x, y):
    recordings.append(x.shape)  # Python's side effects happen while a function is recorded, and only then
    hidden = np.tanh(x @ params["w"] + params["b"])
    return np.mean((hidden @ params["out"] - y) ** 2)


def step(params, x, y, rate):
    value, gradient = fg.value_and_grad(loss)(params, x, y)
    return value, fg.tree.map(lambda p, g: p - rate * g, params, gradient)


def start():
    return {"w": rng.standard_normal((10, 64)) / 3, "b": np.zeros(64), "out": rng.standard_normal(64) / 8}


print("Training with a compiled step")
compiled = fg.jit(step)
params = first = start()
losses = []
for k in range(500):
    value, params = compiled(
        params, X, Y, 0.2 * 0.998**k
    )  # the rate is an argument like others: nothing is recorded anew
    losses.append(float(value))
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; {compiled.cache_info()}")
check("the loss falls to less than half", losses[-1] < losses[0] / 2)
check("the function was recorded once", len(recordings) == 1)

print("\nWhat it compiled to")
lowered = compiled.lower(params, X, Y, 0.1)
print(
    f"{len(lowered.jaxpr.eqns)} equations as recorded, {len(lowered.optimized.eqns)} after the passes; the program:\n"
)
print("\n".join(lowered.source.splitlines()[:28]), "\n    ...\n")
print(str(lowered.cost()).splitlines()[-1].strip())
check(
    "a new shape is explained", "f64[500,10] instead of f64[1000,10]" in compiled.explain(params, X[:500], Y[:500], 0.1)
)

print("\nCompiled and eager, side by side")
pairs = zip(fg.tree.leaves(compiled(first, X, Y, 0.1)), fg.tree.leaves(step(first, X, Y, 0.1)), strict=True)
check("both give the same, to rounding", all(np.allclose(a, b, rtol=1e-10) for a, b in pairs))
times = {}
for name, fun in (("eager", step), ("compiled", compiled)):
    rounds = []
    for _ in range(30):
        begin = time.perf_counter()
        fun(first, X, Y, 0.1)
        rounds.append(time.perf_counter() - begin)
    times[name] = sorted(rounds)[len(rounds) // 2]
print(f"eager {times['eager'] * 1e3:.2f} ms, compiled {times['compiled'] * 1e3:.2f} ms a step")

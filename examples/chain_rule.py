"""The chain rule on paper and by fungrad: a quadratic of a line, and a neuron."""

import numpy as np
from _common import check

import fungrad as fg

print("1. y = 2 x^2 + 4 with x = 3 w, so dy/dw = dy/dx dx/dw = 4x * 3 = 36 w\n")


def x_of(w):
    return 3 * w


def y_of(x):
    return 2 * x**2 + 4


print("      w      dx/dw      dy/dx      product      dy/dw      36 w")
for w in (-1.0, 0.5, 2.0):
    dx_dw = fg.grad(x_of)(w)
    dy_dx = fg.grad(y_of)(x_of(w))
    dy_dw = fg.grad(lambda w: y_of(x_of(w)))(w)
    print(f"  {w:5.1f} {dx_dw:10.3f} {dy_dx:10.3f} {dy_dx * dx_dw:12.3f} {dy_dw:10.3f} {36 * w:9.3f}")
    check("grad of the composition is the product of the parts, 36 w", dy_dw == dy_dx * dx_dw == 36 * w)

print("\n2. A neuron: loss = (sigma(w x) - target)^2, step by step\n")


def sigma(z):
    return 1 / (1 + np.exp(-z))


def loss(w, x, target):
    return (sigma(w * x) - target) ** 2


w, x, target = 0.7, 2.0, 1.0
# Each step, with what its derivative is on paper at the value z that goes in.
steps = [
    ("z = w x", lambda w: w * x, "dz/dw = x", lambda w: x),
    ("s = sigma(z)", sigma, "ds/dz = s (1 - s)", lambda z: sigma(z) * (1 - sigma(z))),
    ("e = s - target", lambda s: s - target, "de/ds = 1", lambda s: 1.0),
    ("L = e^2", np.square, "dL/de = 2 e", lambda e: 2 * e),
]
value, chain = w, 1.0
for name, step, formula, on_paper in steps:
    after, partial = fg.value_and_grad(step)(value)
    check(
        f"{name:16} = {after:9.6f}    {formula:18} = {partial:9.6f}", np.isclose(partial, on_paper(value), rtol=1e-14)
    )
    value, chain = after, chain * partial

whole = fg.grad(loss)(w, x, target)
print(f"\n  product of the four partial derivatives: {chain:.15f}")
print(f"  fg.grad(loss)(w, x, target)            : {whole:.15f}\n")
check("the gradient is the product of the chain of partial derivatives", np.isclose(whole, chain, rtol=1e-14))
check(
    "with respect to x the chain begins with dz/dx = w instead of x",
    np.isclose(fg.grad(loss, 1)(w, x, target), whole * w / x, rtol=1e-14),
)

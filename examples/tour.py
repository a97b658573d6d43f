"""A tour of fungrad: what differentiation of ordinary NumPy code can do, each claim checked as it is made."""

import numpy as np
from _common import check, load_digits

import fungrad as fg


def chapter(title):
    """Start a new part of the tour."""
    print(f"\n== {title}")


# ---------------------------------------------------------------------------------------------------
chapter("1. The gradient of a formula, against finite differences and complex step")


def f(x1, x2):
    return x1 * np.sqrt(np.log(x1 / np.sin(x2**2)))


gradient = np.array(fg.grad(f, argnums=(0, 1))(3.0, 0.9))
h = 1e-6
differences = np.array([(f(3 + h, 0.9) - f(3 - h, 0.9)) / (2 * h), (f(3.0, 0.9 + h) - f(3.0, 0.9 - h)) / (2 * h)])
# f is analytic, so Im f(x + ih) / h is its derivative without cancellation.
complex_step = np.array([np.imag(f(3 + 1e-100j, 0.9)), np.imag(f(3.0, 0.9 + 1e-100j))]) / 1e-100
print("f(x1, x2) = x1 sqrt(log(x1 / sin(x2^2))) at (3.0, 0.9)")
for name, d in (("fg.grad", gradient), ("finite differences", differences), ("complex step", complex_step)):
    print(f"  {name:20} df/dx1 = {d[0]:.15f}   df/dx2 = {d[1]:.15f}")
check("grad agrees with finite differences to 8 digits", np.allclose(gradient, differences, rtol=1e-8))
check("grad agrees with complex step to rounding", np.allclose(gradient, complex_step, rtol=1e-14))

# ---------------------------------------------------------------------------------------------------
chapter("2. The program behind it: a jaxpr, and its traces")


def g(x1, x2):
    return np.log(x1) + x1 * x2 - np.sin(x2)


jaxpr = fg.make_jaxpr(g)(2.0, 5.0)
print(jaxpr)


def traces(jaxpr, inputs, tangents):
    """Run a jaxpr by hand: the values and tangents of all variables going down, then the adjoints going up."""
    value = dict(zip(jaxpr.invars, inputs, strict=True))
    tangent = dict(zip(jaxpr.invars, tangents, strict=True))
    adjoint = dict.fromkeys(jaxpr.invars, 0.0)
    pulls = []
    for eqn in jaxpr.eqns:
        point, direction = [value[v] for v in eqn.inputs], [tangent[v] for v in eqn.inputs]
        (out,) = eqn.outputs
        value[out], tangent[out] = fg.jvp(eqn.primitive.bind, point, direction)
        pulls.append(fg.vjp(eqn.primitive.bind, *point)[1])
        adjoint[out] = 0.0
    (result,) = jaxpr.outvars
    adjoint[result] = 1.0
    for eqn, pull in zip(reversed(jaxpr.eqns), reversed(pulls), strict=True):
        for v, contribution in zip(eqn.inputs, pull(adjoint[eqn.outputs[0]]), strict=True):
            adjoint[v] += contribution
    return value, tangent, adjoint


value, tangent, adjoint = traces(jaxpr.jaxpr, (2.0, 5.0), (1.0, 0.0))
names = {v: f"v{k - 1}" for k, v in enumerate(value)}
steps = {eqn.outputs[0]: f"{eqn.primitive} {' '.join(names[v] for v in eqn.inputs)}" for eqn in jaxpr.eqns}
print("  Wengert list               primal    tangent along x1      adjoint")
for k, v in enumerate(value):
    print(f"  {names[v]:>3} = {steps.get(v, f'x{k + 1}'):12} {value[v]:14.6f} {tangent[v]:14.6f} {adjoint[v]:16.6f}")
adjoints = [adjoint[v] for v in jaxpr.jaxpr.invars]
check("the last tangent is dg/dx1 = 1/x1 + x2 = 5.5", np.isclose(list(tangent.values())[-1], 5.5))
check(
    "the inputs' adjoints are both partial derivatives, 5.5 and 2 - cos 5", np.allclose(adjoints, [5.5, 2 - np.cos(5)])
)
check("fg.grad says the same", np.allclose(fg.grad(g, (0, 1))(2.0, 5.0), adjoints))
print("The gradient is a program too. That of f:")
print(fg.make_jaxpr(fg.grad(f))(3.0, 0.9))

# ---------------------------------------------------------------------------------------------------
chapter("3. Forward mode: dual numbers, a + b eps with eps^2 = 0")


class Dual:
    """A number with the derivative that it carries; NumPy calls its methods for objects."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __add__(self, other):
        return Dual(self.a + other.a, self.b + other.b)

    def __mul__(self, other):
        return Dual(self.a * other.a, self.a * other.b + self.b * other.a)

    def sin(self):
        return Dual(np.sin(self.a), np.cos(self.a) * self.b)


def polynomial_and_wave(x):
    return x * x * x + np.sin(x) * x


dual = polynomial_and_wave(Dual(1.5, 1.0))
value, slope = fg.jvp(polynomial_and_wave, (1.5,), (1.0,))
print(f"  dual numbers: {dual.a:.15f} + {dual.b:.15f} eps\n  fg.jvp:       {value:.15f}, {slope:.15f}")
check("jvp computes with dual numbers", np.allclose((value, slope), (dual.a, dual.b), rtol=1e-15))

# ---------------------------------------------------------------------------------------------------
chapter("4. Python loops and branches: the path taken is what is differentiated")


def winding(x):
    """Repeat a step that depends on x, as often as x decides."""
    y = x
    while y < 50:
        y = y * y if y > 3 else np.exp(y) * x
    return y


for x in (0.4, 1.1, 3.5):
    difference = (winding(x + h) - winding(x - h)) / (2 * h)
    check(f"at {x}: winding' = {fg.grad(winding)(x):.6f}", np.isclose(fg.grad(winding)(x), difference, rtol=1e-6))

# ---------------------------------------------------------------------------------------------------
chapter("5. Any order: grad(grad(grad(tanh)))")

third = fg.grad(fg.grad(fg.grad(np.tanh)))
t = np.tanh(0.5)
print(f"  tanh'''(0.5) = {third(0.5):.15f}")
check(
    "which is (1 - t^2)(6 t^2 - 2) with t = tanh(0.5)", np.isclose(third(0.5), (1 - t**2) * (6 * t**2 - 2), rtol=1e-13)
)

# ---------------------------------------------------------------------------------------------------
chapter("6. Jacobians: a forward pass per input, or a reverse pass per output")


def polar(p):
    """Three inputs, two outputs."""
    radius, angle, height = p
    return np.stack([radius * np.cos(angle) + height, radius * np.sin(angle) * height])


p = np.array([2.0, 0.6, 1.5])
columns = [fg.jvp(polar, (p,), (e,))[1] for e in np.eye(3)]
_, pull = fg.vjp(polar, p)
rows = [pull(e)[0] for e in np.eye(2)]
check(
    f"{len(columns)} forward passes and {len(rows)} reverse passes build the same matrix",
    np.allclose(np.stack(columns, 1), np.stack(rows)),
)
check("as do jacfwd and jacrev", np.allclose(fg.jacfwd(polar)(p), rows) and np.allclose(fg.jacrev(polar)(p), rows))
hessian = fg.hessian(lambda p: polar(p)[0])(p)
check("the Hessian of its first output is forward over reverse, and symmetric", np.allclose(hessian, hessian.T))

# ---------------------------------------------------------------------------------------------------
chapter("7. vmap: written for one example, run on all")

matrix, batch = np.array([[2.0, 1.0], [0.5, 3.0]]), np.arange(10.0).reshape(5, 2)


def energy(matrix, x):
    return np.sum(np.tanh(matrix @ x) ** 2)


per_example = fg.vmap(fg.grad(energy), in_axes=(None, 0))(matrix, batch)
one_by_one = np.stack([fg.grad(energy)(matrix, x) for x in batch])
check(
    f"vmap(grad(energy)) gives {per_example.shape[0]} gradients of shape {per_example.shape[1:]} at once",
    np.allclose(per_example, one_by_one),
)

# ---------------------------------------------------------------------------------------------------
chapter("8. Pytrees: parameters in dicts and lists, gradients in the same")

model = {"layers": [np.ones((2, 3)), np.full((3, 1), 0.5)], "bias": 0.1}


def output(model, x):
    for weights in model["layers"]:
        x = np.tanh(x @ weights)
    return np.sum(x) + model["bias"]


slopes = fg.grad(output)(model, np.array([[0.3, -0.2]]))
print("  ", fg.tree.map(np.shape, model), "->", fg.tree.map(np.shape, slopes))
check(
    "the gradient has the structure and the shapes of the model",
    fg.tree.map(np.shape, slopes) == fg.tree.map(np.shape, model),
)
check("with respect to the bias it is 1", slopes["bias"] == 1)

# ---------------------------------------------------------------------------------------------------
chapter("9. All together: 150 steps of gradient descent on handwritten digits")

(images, classes), (test_images, test_classes) = load_digits()
targets = np.eye(10)[classes]
rng = np.random.default_rng(0)
params = {
    "w1": rng.standard_normal((64, 32)) / 8,
    "b1": np.zeros(32),
    "w2": rng.standard_normal((32, 10)) / 6,
    "b2": np.zeros(10),
}


def scores(params, images):
    hidden = np.tanh(images @ params["w1"] + params["b1"])
    return hidden @ params["w2"] + params["b2"]


def loss(params):
    """The mean cross-entropy, by the logarithm of the softmax."""
    s = scores(params, images)
    s = s - np.max(s, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(s), axis=1)) - np.sum(s * targets, axis=1))


for step in range(151):
    value, slopes = fg.value_and_grad(loss)(params)
    if step % 50 == 0:
        right = np.mean(np.argmax(scores(params, test_images), axis=1) == test_classes)
        print(f"  step {step:3d}: loss {value:.4f}, {100 * right:.1f} % of the held-out digits read")
    params = fg.tree.map(lambda p, slope: p - 1.0 * slope, params, slopes)
check("more than 92 % of the digits that it has never seen (examples/digits.py goes on to 97 %)", right > 0.92)
print("\nEnd of the tour: every claim held.")

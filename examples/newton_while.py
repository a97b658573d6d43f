"""Reverse mode through a loop that runs until it is done: Kepler's equation by Newton's method, `lax.while_loop`.

    E - e sin(E) = M        mean anomaly M (the time), eccentricity e, eccentric anomaly E (the place on the orbit)

How many iterations a tolerance needs depends on M and e. The loop is recorded without a number of iterations and has
all derivatives, forwards and backwards, under `vmap` and `jit`; no bound on their number has to be chosen. What they
must be is known from the implicit function theorem: with q = 1 - e cos(E)

    dE/dM = 1 / q,    dE/de = sin(E) / q,    d2E/dM2 = -e sin(E) / q^3
"""

import numpy as np
from _common import check

import fungrad as fg

TOLERANCE = 1e-12


def guess(mean, e):
    """Where to begin (Danby 1987)."""
    return mean + 0.85 * e * np.sign(np.sin(mean))


def newton_step(anomaly, mean, e):
    return (mean - anomaly + e * np.sin(anomaly)) / (1.0 - e * np.cos(anomaly))


def solve(mean, e):
    """The eccentric anomaly, and the number of iterations that were needed."""

    def going_on(state):
        _, step, _ = state
        return abs(step) > TOLERANCE

    def iterate(state):
        anomaly, _, count = state
        step = newton_step(anomaly, mean, e)
        return anomaly + step, step, count + 1

    anomaly, _, count = fg.lax.while_loop(going_on, iterate, (guess(mean, e), 1.0, 0))
    return anomaly, count


def solve_in_python(mean, e):
    """The same with Python's while: it runs on values, so neither jit nor vmap can take it."""
    anomaly, step, count = guess(mean, e), 1.0, 0
    while abs(step) > TOLERANCE:
        step = newton_step(anomaly, mean, e)
        anomaly, count = anomaly + step, count + 1
    return anomaly, count


def anomaly_of(mean, e):
    return solve(mean, e)[0]


def after(iterations):
    """The anomaly when a number of iterations has been made."""
    return lambda mean, e: fg.lax.fori_loop(0, iterations, lambda _, a: a + newton_step(a, mean, e), guess(mean, e))


def theorem(anomaly, e):
    """dE/dM, dE/de and d2E/dM2 by the implicit function theorem."""
    q = 1.0 - e * np.cos(anomaly)
    return 1.0 / q, np.sin(anomaly) / q, -e * np.sin(anomaly) / q**3


def gap(a, b):
    """The largest difference, relative to the largest value."""
    return np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b))


print("1. Derivatives converge with the iterates: errors for M = 0.3, e = 0.9")
mean, e = 0.3, 0.9
exact, needed = solve(mean, e)
by_mean, by_e, second = theorem(exact, e)
print("   iterations        E        dE/dM    d2E/dM2")
for k in range(1, int(needed) + 1):
    f = after(k)
    errors = [f(mean, e) - exact, fg.grad(f)(mean, e) - by_mean, fg.grad(fg.grad(f))(mean, e) - second]
    print("   " + f"{k:6d}     " + "".join(f"{abs(x):11.0e}" for x in errors))
print(f"   the loop stops after {needed}, when a step is below {TOLERANCE:.0e}")
found = fg.grad(anomaly_of, (0, 1))(mean, e)
check("reverse mode through it gives what the implicit function theorem says", gap(found, (by_mean, by_e)) < 1e-12)
check("so does forward mode", np.isclose(fg.jvp(anomaly_of, (mean, e), (1.0, 0.0))[1], by_mean, rtol=1e-12))
check("and reverse over reverse, for the second derivative", gap(fg.grad(fg.grad(anomaly_of))(mean, e), second) < 1e-11)
plain = solve_in_python(mean, e)
same = plain[1] == needed and np.isclose(plain[0], exact, rtol=1e-14)
check("a while loop of Python takes as many iterations to the same value", same)
by_plain = fg.grad(lambda *args: solve_in_python(*args)[0], (0, 1))(mean, e)
check("and has the same gradient", gap(found, by_plain) < 1e-14)
for transform, arguments in ((fg.jit, (mean, e)), (fg.vmap, (np.array([mean, 1.0]), np.array([e, 0.1])))):
    try:
        transform(solve_in_python)(*arguments)
        refused = False
    except fg.errors.ConcretizationTypeError:
        refused = True
    check(f"but {transform.__name__}, for which the condition has no single value, refuses it", refused)

print("\n2. 2000 problems at once: vmap, under jit")
rng = np.random.default_rng(0)
means, es = rng.uniform(-np.pi, np.pi, 2000), rng.uniform(0.0, 0.98, 2000)
many = fg.jit(fg.vmap(solve))
anomalies, counts = many(means, es)
print("   iterations   " + " ".join(f"{k:5d}" for k in np.unique(counts)))
print("   problems     " + " ".join(f"{np.sum(counts == k):5d}" for k in np.unique(counts)))
residual = np.max(np.abs(anomalies - es * np.sin(anomalies) - means))
check(f"every one is solved: E - e sin(E) - M is at most {residual:.0e}", residual < 1e-14)
check("they need different numbers of iterations", len(np.unique(counts)) > 3)
alone = [solve_in_python(m, e) for m, e in zip(means, es, strict=True)]
check(
    "each takes as many as it takes alone, and has the same value",
    gap(anomalies, [a for a, _ in alone]) < 1e-14 and np.array_equal(counts, [c for _, c in alone]),
)
by_mean, by_e, second = theorem(anomalies, es)
gradients = fg.jit(fg.vmap(fg.grad(anomaly_of, (0, 1))))
found = gradients(means, es)
check(
    "the gradients agree with the implicit function theorem",
    gap(found[0], by_mean) < 1e-12 and gap(found[1], by_e) < 1e-12,
)
hessians = fg.jit(fg.vmap(fg.hessian(anomaly_of, (0, 1))))(means, es)
symmetric = gap(hessians[0][1], hessians[1][0])
check("the second derivatives too", gap(hessians[0][0], second) < 1e-11)
check(f"and the mixed ones are the same in either order: {symmetric:.0e}", symmetric < 1e-12)

print("\n3. An orbit from 60 radial velocities of a star: Gauss-Newton through Newton")


def velocity(orbit, t):
    """The star's velocity along the line of sight."""
    e, angle = orbit["eccentricity"], orbit["angle"]
    anomaly = anomaly_of(2.0 * np.pi * (t - orbit["periastron"]) / orbit["period"], e)
    x, y = np.cos(anomaly) - e, np.sqrt(1.0 - e**2) * np.sin(anomaly)
    return orbit["amplitude"] * ((x * np.cos(angle) - y * np.sin(angle)) / np.hypot(x, y) + e * np.cos(angle))


times = np.sort(rng.uniform(0.0, 30.0, 60))  # days
truth = {"amplitude": 55.0, "angle": 0.8, "eccentricity": 0.6, "periastron": 2.0, "period": 11.0}
velocities = np.array([velocity(truth, t) for t in times])


def misfit(orbit):
    return 0.5 * np.sum((fg.vmap(velocity, in_axes=(None, 0))(orbit, times) - velocities) ** 2)


@fg.jit
def improve(orbit):
    """A Gauss-Newton step."""
    x, back = fg.tree.ravel_pytree(orbit)
    residuals = lambda x: fg.vmap(velocity, in_axes=(None, 0))(back(x), times) - velocities
    jacobian = fg.jacobian(residuals)(x)
    return back(x - np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ residuals(x)))


orbit = {"amplitude": 50.0, "angle": 1.0, "eccentricity": 0.5, "periastron": 2.2, "period": 11.2}
value_and_gradient = fg.jit(fg.value_and_grad(misfit))
gradient = value_and_gradient(orbit)[1]
differences = {}
for name, x in orbit.items():
    up, down = [misfit({**orbit, name: x + h}) for h in (1e-5, -1e-5)]
    differences[name] = (up - down) / 2e-5
error = gap(list(gradient.values()), [differences[name] for name in gradient])
print("   misfit       |gradient|   eccentricity      period")
for _ in range(20):
    value, gradient = value_and_gradient(orbit)
    norm = np.sqrt(sum(g * g for g in gradient.values()))
    print(f"   {value:.2e}     {norm:.1e}     {orbit['eccentricity']:.10f}   {orbit['period']:13.10f}")
    if norm < 1e-9:
        break
    orbit = improve(orbit)
check(f"the gradient at the start agrees with central differences: {error:.0e}", error < 1e-7)
error = max(abs(orbit[name] - x) for name, x in truth.items())
check(f"the orbit is found: all five numbers to {error:.0e}", error < 1e-9)

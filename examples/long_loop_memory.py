"""The gradient of a long simulation in little memory: `lax.scan` with ``checkpoint="binomial"``.

Pendulums hang side by side from a wire that resists twisting, a ring of them (the sine-Gordon equation, discretised):

    angle_i'' = stiffness (angle_{i-1} - 2 angle_i + angle_{i+1}) - gravity_i sin(angle_i)

stepped by the leapfrog scheme. A twist of a full turn runs around the ring, one the other way round meets it. How does
the energy in one half, after all steps, depend on the gravity at each pendulum? Reverse mode finds all 1024 derivatives
in one run backwards, for which it needs the states in reverse order. It keeps what it needs of every step, unless told
to keep so many states, or about log2(steps) of them, and to compute the others again (Griewank and Walther 2000).
"""

import time
import tracemalloc
from pathlib import Path

import numpy as np
from _common import check

import fungrad as fg

PENDULUMS, DT, SPACING, SPEED = 1024, 0.05, 0.1, 0.5
STIFFNESS = 1.0 / SPACING**2
STATE = 2 * PENDULUMS * 8  # bytes of the angles and velocities
PICTURE = Path(__file__).parent / "pictures" / "long_loop_memory.png"
LENGTHS = (100, 1_000, 10_000)
KEPT = {"every step": None, "100 states": 100, "binomial": "binomial"}


def twists():
    """Angles and velocities of a turn and a turn back that approach each other (Perring and Skyrme 1962)."""
    x, width = SPACING * (np.arange(PENDULUMS) - PENDULUMS / 2), np.sqrt(1.0 - SPEED**2)
    angle, velocity = np.zeros(PENDULUMS), np.zeros(PENDULUMS)
    for sign, centre in ((1.0, -20.0), (-1.0, 20.0)):
        s = (x - centre) / width
        angle += 4.0 * np.arctan(np.exp(sign * s))
        velocity += -2.0 * SPEED / width / np.cosh(s)
    return angle - 2.0 * np.pi, velocity


def simulate(gravity, stiffness, steps, checkpoint):
    """The angles and velocities after all steps."""

    def step(state, _):
        angle, velocity = state
        twist = np.roll(angle, 1) - 2.0 * angle + np.roll(angle, -1)
        velocity = velocity + DT * (stiffness * twist - gravity * np.sin(angle))
        return (angle + DT * velocity, velocity), None

    return fg.lax.scan(step, twists(), length=steps, checkpoint=checkpoint)[0]


def energy(gravity, stiffness, steps, checkpoint):
    """That of the pendulums of the right half."""
    angle, velocity = simulate(gravity, stiffness, steps, checkpoint)
    each = 0.5 * velocity**2 + 0.5 * stiffness * (np.roll(angle, -1) - angle) ** 2 + gravity * (1.0 - np.cos(angle))
    return np.sum(each[PENDULUMS // 2 :]) * SPACING


def measured(steps, checkpoint):
    """The gradient by the gravity at each pendulum, the peak of the memory in states, and the seconds it takes."""
    gradient = fg.jit(fg.grad(lambda gravity: energy(gravity, STIFFNESS, steps, checkpoint)))
    program = gradient.lower(np.ones(PENDULUMS)).compile()
    tracemalloc.start()
    try:
        result = program(np.ones(PENDULUMS))  # the first call: later ones use its memory again
        peak = tracemalloc.get_traced_memory()[1] / STATE
    finally:
        tracemalloc.stop()
    start = time.perf_counter()
    program(np.ones(PENDULUMS))
    return result, peak, time.perf_counter() - start


def draw(peaks, seconds):
    """Memory and time against the number of steps, as a picture; False without Matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(f"Gradient of a simulation, for three choices of what is kept (a state: {STATE / 1024:.0f} KiB)")
    panels = zip(figure.subplots(1, 2), ("peak of the memory [states]", "time [s]"), (peaks, seconds), strict=True)
    for axis, title, lines in panels:
        for (name, line), marker in zip(lines.items(), "osD", strict=True):
            axis.loglog(LENGTHS, line, marker=marker, label=name)
        axis.set(title=title, xlabel="steps")
        axis.grid(alpha=0.3)
        axis.legend()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    return True


print("  steps   kept           peak of memory        time")
gradients, peaks, seconds = {}, {name: [] for name in KEPT}, {name: [] for name in KEPT}
for steps in LENGTHS:
    for name, checkpoint in KEPT.items():
        gradients[steps, name], peak, taken = measured(steps, checkpoint)
        peaks[name].append(peak)
        seconds[name].append(taken)
        print(f"{steps:7d}   {name:10s}   {peak:8.0f} states {peak * STATE / 1e6:5.1f} MB   {taken:6.3f} s")
print()

for steps in LENGTHS:
    every, *others = [gradients[steps, name] for name in KEPT]
    error = max(np.max(np.abs(g - every)) for g in others) / np.max(np.abs(every))
    check(f"{steps} steps: the gradients are the same to rounding: {error:.0e}", error < 1e-11)
check(f"binomial: never more than {max(peaks['binomial']):.0f} states at once, below 40", max(peaks["binomial"]) < 40)
growth = {name: line[-1] / line[0] for name, line in peaks.items()}
check(
    f"a hundred times the steps: {growth['binomial']:.1f} times the memory, {growth['every step']:.0f} if all is kept",
    growth["binomial"] < 2 and growth["every step"] > 20,
)

gravity = np.ones(PENDULUMS)
value = energy(gravity, STIFFNESS, 1_000, None)
theory = 8.0 / np.sqrt(1.0 - SPEED**2)
check(f"the energy is that of one twist, 8 / sqrt(1 - speed^2): {value:.3f}", abs(value / theory - 1.0) < 1e-3)
direction = np.random.default_rng(0).standard_normal(PENDULUMS)
up, down = [energy(gravity + h * direction, STIFFNESS, 1_000, None) for h in (1e-4, -1e-4)]
along = gradients[1_000, "binomial"] @ direction
error = abs(along - (up - down) / 2e-4)
check(f"along a random direction the gradient is {along:.6f}, by differences the same: {error:.0e}", error < 1e-7)

print("\nThe gravity, from the angles after 1000 steps: the zero of the misfit's derivative, by the secant method")
target = simulate(1.05 * gravity, STIFFNESS, 1_000, None)[0]


def misfit(g):
    """Half the mean squared distance of the angles from those that were measured."""
    return 0.5 * np.mean((simulate(g * gravity, STIFFNESS, 1_000, "binomial")[0] - target) ** 2)


slope = fg.jit(fg.grad(misfit))
old, estimate = 0.95, 1.0
before = slope(old)
for _ in range(20):
    print(f"  {estimate:.12f}")
    if abs(estimate - old) < 1e-9:
        break
    new = slope(estimate)
    old, estimate, before = estimate, estimate - new * (estimate - old) / (new - before), new
check(f"it is found: {estimate:.12f}", abs(estimate - 1.05) < 1e-9)

drawn = draw(peaks, seconds)
print(f"\nsaved examples/pictures/{PICTURE.name}" if drawn else "\nno picture: Matplotlib is not installed")

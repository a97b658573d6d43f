"""Random programs of large arrays: what the compiler runs in blocks of rows, groups and single steps.

Like `fungrad.testing.programs`, but with arrays of thousands of elements that share axes in many ways: rows (N,),
columns (N, 1), matrices (N, N) and (N, K), the other way round, and all of them in one program, so that groups of
equations are cut, joined and ordered in all ways.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

LARGEST = 200_000

_UNARY = (
    "np.sin({x})", "np.tanh({x})", "-{x}", "{x} * 0.5", "1.0 / (2.0 + {x} * {x})", "np.abs({x})", "np.exp(-{x} * {x})",
    "np.sqrt(1.0 + {x} ** 2)", "np.maximum({x}, 0.1)", "{x} - 0.25", "np.logaddexp({x}, 0.0)", "({x} > 0.1) * {x}",
)  # fmt: skip
_BINARY = (
    "{x} + {y}",
    "{x} - {y}",
    "np.tanh({x} * {y})",
    "np.maximum({x}, {y})",
    "np.arctan2({x}, 2.0 + {y} * {y})",
    "{x} / (2.0 + {y} ** 2)",
    "np.where({x} > {y}, {y}, 0.5)",
)
_REDUCTIONS = ("np.mean", "np.max", "np.min", "0.01 * np.sum", "np.log(1.0 + np.mean({x} ** 2, axis={axis}))")
_SHAPING = {
    "{x}[:, None]": lambda s: (s[0], 1, *s[1:]),
    "{x}[None]": lambda s: (1, *s),
    "{x}.reshape(-1)": lambda s: (math.prod(s),),
    "{x}[::-1]": lambda s: s,
    "{x}.T": lambda s: s[::-1],
    "np.cumsum({x}, axis=0) * 0.01": lambda s: s,
    "np.concatenate([{x}[1:], {x}[:1]])": lambda s: s,
    "{x}[..., :1]": lambda s: (*s[:-1], min(s[-1], 1)),
}


@dataclass
class LargeProgram:
    """A function of NumPy code, its text and a point."""

    source: str
    args: tuple

    def __post_init__(self):
        namespace = {"np": np}
        exec(compile(self.source, "<large program>", "exec"), namespace)
        self.function = namespace["program"]

    def __call__(self, *args):
        """Run it."""
        return self.function(*args)

    def __repr__(self):
        return f"{self.source}\nshapes = {[np.shape(x) for x in self.args]}"


def large_program(seed, dtype="d"):
    """A random program; it returns a tuple of arrays."""
    draw = random.Random(seed)
    n, k = draw.choice((97, 100, 128, 211)), draw.choice((3, 7, 25, 40))
    every = ((n,), (n, 1), (n, n), (1, n), (k,), (n, k), (1, k), (k, n), (n, k, 2), (n, 1, k), ())
    shapes = {f"x{i}": draw.choice(every) for i in range(draw.randint(1, 4))}
    inputs, lines = list(shapes), []
    for _ in range(draw.choice((4, 8, 15, 30, 60))):
        name = f"v{len(lines)}"
        expression, shape = _step(draw, shapes)
        lines.append(f"    {name} = {expression}")
        shapes[name] = shape
    computed = [v for v in shapes if v not in inputs]
    results = sorted({computed[-1], *draw.sample(computed, min(3, len(computed)))})
    source = f"def program({', '.join(inputs)}):\n" + "\n".join(lines) + f"\n    return {', '.join(results)},\n"
    rng = np.random.default_rng(seed)
    return LargeProgram(source, tuple([rng.uniform(-1, 1, shapes[x]).astype(dtype)[()] for x in inputs]))


def _step(draw, shapes):
    """An expression of the variables so far, and its shape."""
    names = list(shapes)
    while True:
        x = draw.choice(names[-5:] if draw.random() < 0.7 else names)
        found = draw.choice((_unary, _unary, _binary, _binary, _binary, _reduction, _reduction, _shaping, _product))(
            draw, shapes, x
        )
        if found is not None and math.prod(found[1]) <= LARGEST and len(found[1]) <= 3:
            return found


def _unary(draw, shapes, x):
    return draw.choice(_UNARY).format(x=x), shapes[x]


def _binary(draw, shapes, x):
    fits = [y for y in shapes if _broadcast(shapes[x], shapes[y]) is not None]
    y = draw.choice(fits)
    shape = _broadcast(shapes[x], shapes[y])
    if draw.random() < 0.5:
        x, y = y, x
    return draw.choice(_BINARY).format(x=x, y=y), shape


def _broadcast(a, b):
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return None
    return shape if math.prod(shape) <= LARGEST else None


def _reduction(draw, shapes, x):
    shape = shapes[x]
    if not shape:
        return None
    axes = tuple(sorted(draw.sample(range(len(shape)), draw.randint(1, len(shape)))))
    left = tuple([n for i, n in enumerate(shape) if i not in axes])
    function = draw.choice(_REDUCTIONS)
    if "{" in function:
        return function.format(x=x, axis=axes), left
    keep = draw.random() < 0.5
    kept = tuple([1 if i in axes else n for i, n in enumerate(shape)])
    return f"{function}({x}, axis={axes}, keepdims={keep})", kept if keep else left


def _shaping(draw, shapes, x):
    if not shapes[x]:
        return None
    text, shape = draw.choice(list(_SHAPING.items()))
    return text.format(x=x), shape(shapes[x])


def _product(draw, shapes, x):
    if len(shapes[x]) != 2:
        return None
    fits = [y for y, s in shapes.items() if len(s) in (1, 2) and s[0] == shapes[x][1]]
    if not fits:
        return None
    y = draw.choice(fits)
    return f"np.tanh(({x} @ {y}) * 0.1)", (shapes[x][0], *shapes[y][1:])

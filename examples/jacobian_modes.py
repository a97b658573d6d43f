"""Forward or reverse? The Jacobian of a function of n inputs and m outputs, both ways.

A forward pass (jvp) gives one column, so the whole matrix costs n of them; a reverse pass (vjp) gives one row, so it
costs m. `jacobian` counts both and takes forward mode when n <= m.
"""

import time

import numpy as np
from _common import check

import fungrad as fg

rng = np.random.default_rng(0)
HIDDEN = 200


def make_function(n, m):
    """A smooth function of n inputs and m outputs: a small network with fixed random weights."""
    w1, w2 = rng.standard_normal((HIDDEN, n)) / np.sqrt(n), rng.standard_normal((m, HIDDEN)) / np.sqrt(HIDDEN)
    return lambda x: np.sin(w2 @ np.tanh(w1 @ x))


def column_by_column(f, x):
    """The Jacobian by forward passes, one for each input; also how many there were."""
    passes = [fg.jvp(f, (x,), (e,))[1] for e in np.eye(x.size)]
    return np.stack(passes, axis=1), len(passes)


def row_by_row(f, x):
    """The Jacobian by reverse passes, one for each output; also how many there were."""
    y, pull = fg.vjp(f, x)
    passes = [pull(e)[0] for e in np.eye(y.size)]
    return np.stack(passes), len(passes)


def milliseconds(fun, *args, repeats=20):
    """The median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        fun(*args)
        times.append(time.perf_counter() - start)
    return 1e3 * np.median(times)


for shape, n, m in (("tall", 2, 400), ("square", 50, 50), ("wide", 400, 2)):
    f, x = make_function(n, m), rng.standard_normal(n)
    print(f"{shape}: {n} inputs, {m} outputs")
    (by_columns, forward_passes), (by_rows, reverse_passes) = column_by_column(f, x), row_by_row(f, x)
    check(
        f"{forward_passes} forward passes or {reverse_passes} reverse passes",
        (forward_passes, reverse_passes) == (n, m),
    )
    same = [
        np.allclose(J, by_columns, rtol=1e-12, atol=1e-14)
        for J in (by_rows, fg.jacfwd(f)(x), fg.jacrev(f)(x), fg.jacobian(f)(x))
    ]
    check("jvp by jvp, vjp by vjp, jacfwd, jacrev and jacobian give the same matrix", all(same))
    # Which mode `jacobian` took can be read off its program.
    forward, reverse, chosen = (str(fg.make_jaxpr(mode(f))(x)) for mode in (fg.jacfwd, fg.jacrev, fg.jacobian))
    expected = "jacfwd" if n <= m else "jacrev"
    check(f"jacobian runs the program of {expected}", chosen == (forward if n <= m else reverse) and forward != reverse)
    times = [milliseconds(mode(f), x) for mode in (fg.jacfwd, fg.jacrev, fg.jacobian)]
    print("  jacfwd {:.2f} ms, jacrev {:.2f} ms, jacobian {:.2f} ms (all passes in one batch)".format(*times))

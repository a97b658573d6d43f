"""Memory: what is freed, when, and that no reference cycle keeps arrays alive."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.record import record_values

SIZE = 100_000  # 0.8 MB as float64
ONE = SIZE * 8


@pytest.fixture(autouse=True)
def _no_gc():
    """Cycles are not collected during a test: what is freed is freed by reference counting."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _peak(run):
    """Peak of memory allocated during run(), beyond what is there before, in units of one array."""
    run()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        return (tracemalloc.get_traced_memory()[1] - before) / ONE
    finally:
        tracemalloc.stop()


def _left(run, times=5):
    """What remains allocated after run() a few times, in units of one array."""
    run()
    tracemalloc.start()
    try:
        run()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(times):
            run()
        return (tracemalloc.get_traced_memory()[0] - before) / ONE
    finally:
        tracemalloc.stop()


class Box:
    """Something that can be referred to weakly and closed over."""

    def __init__(self, value):
        self.value = value


def _f(x):
    y = np.sin(x) * x
    return (np.exp(-y) + y[::-1]).sum()


RUNS = {
    "grad": lambda f, x: fg.grad(f)(x),
    "value_and_grad": lambda f, x: fg.value_and_grad(f)(x),
    "jvp": lambda f, x: fg.jvp(f, (x,), (x,)),
    "vjp": lambda f, x: fg.vjp(f, x)[1](1.0),
    "vjp not called": lambda f, x: fg.vjp(f, x),
    "linearize": lambda f, x: fg.linearize(f, x)[1](x),
    "jacrev": lambda f, x: fg.jacrev(f)(x),
    "hvp": lambda f, x: fg.hvp(f, (x,), (x,)),
    "grad of grad": lambda f, x: fg.grad(lambda x: fg.grad(f)(x).sum())(x),
    "vmap": lambda f, x: fg.vmap(f)(x.reshape(10, -1)),
    "vmap of grad": lambda f, x: fg.vmap(fg.grad(f))(x.reshape(10, -1)),
    "grad of vmap": lambda f, x: fg.grad(lambda x: fg.vmap(f)(x).sum())(x.reshape(10, -1)),
    "vmap with a name": lambda f, x: fg.vmap(lambda r: f(r - fg.pmean(r, "i")), axis_name="i")(x.reshape(10, -1)),
    "make_jaxpr": lambda f, x: fg.make_jaxpr(f)(x),
    "eval_jaxpr": lambda f, x: fg.eval_jaxpr(fg.make_jaxpr(f)(x), (), x),
    "linear_transpose": lambda f, x: fg.linear_transpose(lambda x: x.sum() * 2.0, x)(1.0),
    "has_aux": lambda f, x: fg.grad(lambda x: (f(x), x * 2.0), has_aux=True)(x),
    "check": lambda f, x: fg.check_jaxpr(fg.make_jaxpr(fg.grad(f))(x)),
}


@pytest.fixture(params=list(RUNS))
def run(request):
    """A use of a transform on a function and an array."""
    return RUNS[request.param]


def test_nothing_is_left_without_the_collector(run):
    """After a call, arrays are gone by reference counting: no cycle goes through them."""
    x = np.linspace(0.0, 1.0, SIZE)
    assert _left(lambda: run(_f, x)) < 0.1


def test_what_the_function_closes_over_is_freed(run):
    """The function itself, and what it closes over, is not kept by a dead recording."""

    def once():
        box = Box(np.ones(10))
        run(lambda x: (x * box.value[0]).sum(), np.linspace(0.0, 1.0, 100))
        return weakref.ref(box)

    once()
    assert once()() is None


def test_arguments_are_freed(run):
    """No cache or recording keeps an argument."""

    class Array(np.ndarray):
        pass

    def once():
        x = np.linspace(0.0, 1.0, 100).view(Array)
        ref = weakref.ref(x)
        run(_f, x)
        return ref

    once()
    assert once()() is None


@pytest.mark.parametrize(
    "transform",
    [fg.grad, fg.vmap, fg.make_jaxpr, lambda f: lambda x: fg.jvp(f, (x,), (x,))],
    ids=["grad", "vmap", "make_jaxpr", "jvp"],
)
def test_a_function_that_raises_is_freed(transform):
    """After an exception (and its traceback) nothing is kept."""

    def once():
        box = Box(np.ones(10))

        def f(x):
            y = x * box.value[0]
            raise KeyError(y.shape)

        with pytest.raises(KeyError):
            transform(f)(np.ones(10))
        return weakref.ref(box)

    once()
    ref = once()
    if ref() is not None:
        gc.collect(0)  # the traceback of pytest.raises is a cycle of its own
    assert ref() is None


def test_a_leaked_tracer_keeps_its_value_only():
    """A tracer that outlives its recording does not keep the entries, that is the residuals."""
    leaks = []

    def f(x):
        y = x
        for _ in range(20):
            y = np.sin(y)
        leaks.append(x.sum())
        return y.sum()

    x = np.linspace(0.0, 1.0, SIZE)
    assert _left(lambda: (fg.grad(f)(x), leaks.clear()), 2) < 0.1
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fg.grad(f)(x)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert kept < 0.5 * ONE


# --- residuals ------------------------------------------------------------------------------------------------------


def _chain(step, n):
    def f(x):
        for k in range(n):
            x = step(x, k)
        return x.sum()

    return f


@pytest.mark.parametrize("step", [
    lambda x, k: x + 1.0,
    lambda x, k: x - 0.5,
    lambda x, k: 1.0 - x,
    lambda x, k: -x,
    lambda x, k: x * 1.01,
    lambda x, k: x / 3.0,
    lambda x, k: x[::-1],
    lambda x, k: x.reshape(-1, 10).T.reshape(-1),
    lambda x, k: x.astype(np.float64) + x,
    lambda x, k: np.floor(x) + x,
], ids=["add", "sub", "rsub", "neg", "mul", "div", "flip", "reshape", "double", "floor"])  # fmt: skip
def test_linear_chains_keep_no_arrays(step):
    """Where no rule needs a value, none is kept: the peak does not grow with the length."""
    x = np.linspace(0.0, 1.0, SIZE)
    f = _chain(step, 60)
    assert _peak(lambda: fg.grad(f)(x)) < 8
    assert _peak(lambda: fg.value_and_grad(f)(x)) < 8


@pytest.mark.parametrize(
    "step", [lambda x, k: x + 1.0, lambda x, k: -x, lambda x, k: x[::-1]], ids=["add", "neg", "flip"]
)
def test_forward_mode_needs_no_memory_for_the_past(step):
    """Tangents are dropped after their last use: the peak of jvp over a linear chain does not grow with the length."""
    x = np.linspace(0.0, 1.0, SIZE)
    assert _peak(lambda: fg.jvp(_chain(step, 60), (x,), (x,))) < 8


def test_a_nonlinear_chain_keeps_one_array_per_step():
    """sin keeps its operand and nothing else; the same memory serves the backward pass."""
    x = np.linspace(0.0, 1.0, SIZE)
    assert 28 < _peak(lambda: fg.grad(_chain(lambda x, k: np.sin(x), 30))(x)) < 36


def test_exp_keeps_its_result_only():
    """A rule that names `out` shares it with the next operation's operand."""
    x = np.linspace(0.0, 1.0, SIZE)
    assert _peak(lambda: fg.grad(_chain(lambda x, k: np.exp(-x), 30))(x)) < 36


def test_a_product_of_a_traced_and_a_plain_array_keeps_the_plain_one():
    """x * c keeps c, not x."""
    x = np.linspace(0.0, 1.0, SIZE)
    c = np.full(SIZE, 1.001)
    c.flags.writeable = False
    assert _peak(lambda: fg.grad(_chain(lambda x, k: x * c, 30))(x)) < 8


def test_values_that_the_derivative_does_not_need_are_freed_on_the_way():
    """Large intermediates off the differentiated path go as soon as the program drops them."""
    data = np.linspace(0.0, 1.0, SIZE)

    def f(s):
        total = 0.0
        for k in range(30):
            plain = np.sin(data + k)  # not traced
            total = total + s * plain.sum()
        return total

    assert _peak(lambda: fg.grad(f)(2.0)) < 5


def test_the_backward_pass_frees_while_it_walks():
    """Residuals go as they are used, so that the cotangents need no memory on top of them."""
    x = np.linspace(0.0, 1.0, SIZE)
    made = []

    class Watched(np.ndarray):
        pass

    def impl(x):
        out = np.sin(x).view(Watched)
        made.append(weakref.ref(out))
        return out

    def rule(t, out):
        counts.append(sum(ref() is not None for ref in made))
        return t * np.asarray(out)

    counts = []
    prim = fg.core.elementwise.Elementwise("test_watched", impl, rule)
    try:
        fg.grad(_chain(lambda x, k: prim.function(np.add(x, 1.0)), 10))(x)
    finally:
        del fg.core.primitive.PRIMITIVES["test_watched"]
    assert len(counts) == 10
    assert counts[-1] <= 2 < counts[0]
    assert counts == sorted(counts, reverse=True)


def test_vjp_keeps_residuals_until_it_is_dropped():
    """A pull-back may be called again, so it keeps them; dropping it frees all."""
    x = np.linspace(0.0, 1.0, SIZE)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    y, pull = fg.vjp(_chain(lambda x, k: np.sin(x), 10), x)
    held = (tracemalloc.get_traced_memory()[0] - before) / ONE
    pull(1.0)
    still = (tracemalloc.get_traced_memory()[0] - before) / ONE
    del pull
    after = (tracemalloc.get_traced_memory()[0] - before) / ONE
    tracemalloc.stop()
    assert 8 < held < 13
    assert abs(still - held) < 0.5
    assert after < 0.5


def test_entries_are_gone_after_grad():
    """The tape of a gradient is emptied by the walk."""
    _, tape = record_values("test", lambda x: [np.sin(x) * x], [np.ones(3)], len)
    lin = fg.interpreters.linearize.Linearization(tape, [fg.typeof(np.ones(3))], [fg.typeof(np.ones(3))], "test", len)
    lin.pull([np.ones(3)], consume=True)
    assert tape.entries == []


def test_reading_a_large_array_in_small_pieces():
    """x[i] in a loop accumulates into one array, not into one array per element."""
    x = np.linspace(0.0, 1.0, SIZE)

    def f(x):
        return sum(x[i] * x[i + 1] for i in range(200))

    assert _peak(lambda: fg.grad(f)(x)) < 5


def test_broadcast_tangents_are_not_materialised_in_bulk():
    """The gradient of a sum needs one array for the result."""
    x = np.linspace(0.0, 1.0, SIZE)
    assert _peak(lambda: fg.grad(lambda x: x.sum())(x)) < 3
    assert _peak(lambda: fg.grad(lambda x: x.mean() + x.sum() * 2.0)(x)) < 4


def test_constants_are_not_copied_for_each_use():
    """A data array that is used many times is held once by a jaxpr and by a recording, not once per use."""
    data = np.linspace(0.0, 1.0, SIZE)

    def f(s):
        total = 0.0
        for _ in range(20):
            total = total + (data * s).sum()
        return total

    assert _peak(lambda: fg.grad(f)(2.0)) < 8
    assert _peak(lambda: fg.make_jaxpr(f)(2.0)) < 8
    assert len(fg.make_jaxpr(f)(2.0).consts) == 1


def test_chunks_bound_memory():
    """jacfwd, jacrev and vmap with chunk_size need less memory than in one batch."""
    n = 300
    a = np.linspace(0.0, 1.0, 64 * n).reshape(64, n)

    def f(x):
        y = x
        for _ in range(5):
            y = np.sin(y) * 2.0 + np.tanh(a.sum(0) + y)
        return y

    x = np.ones(n)
    for jac in (fg.jacfwd, fg.jacrev):
        whole, pieces = _peak(lambda jac=jac: jac(f)(x)), _peak(lambda jac=jac: jac(f, chunk_size=10)(x))
        assert pieces < 0.75 * whole
    batch = np.ones((2000, n))
    whole = _peak(lambda: fg.vmap(lambda r: f(r).sum())(batch))
    assert _peak(lambda: fg.vmap(lambda r: f(r).sum(), chunk_size=50)(batch)) < 0.25 * whole


def test_evaluation_frees_intermediates():
    """Evaluating a jaxpr of many steps holds a few arrays at a time; so does a batch."""
    x = np.linspace(0.0, 1.0, SIZE)
    closed = fg.make_jaxpr(_chain(lambda x, k: np.sin(x) + 1.0, 40))(x)
    assert _peak(lambda: fg.eval_jaxpr(closed, (), x)) < 5
    rows = x.reshape(100, -1)
    assert _peak(lambda: fg.vmap(_chain(lambda x, k: np.sin(x) + 1.0, 40))(rows)) < 5

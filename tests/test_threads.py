"""Threads: nothing is shared but what the user shares; exceptions leave no state behind."""

import contextlib
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import AxisNameError, UnexpectedTracerError

WORKERS = 16


def _together(work, n=WORKERS):
    """Run work(0), ..., work(n - 1) in as many threads, started at the same moment; return the results in order."""
    barrier = threading.Barrier(n)

    def run(k):
        barrier.wait()
        return work(k)

    with ThreadPoolExecutor(n) as pool:
        return [f.result() for f in [pool.submit(run, k) for k in range(n)]]


def _program(scale):
    def f(x):
        for _ in range(40):
            x = np.sin(x) * scale + 0.1
            time.sleep(0)  # give the other threads a turn
        return x.sum()

    return f


def test_every_transform_at_once():
    """16 threads, each with another function, argument and transform; each gets what it gets alone."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(WORKERS, 3))

    def work(k):
        f, x = _program(0.5 + k / 100), points[k]
        kind = k % 8
        if kind == 0:
            return fg.grad(f)(x)
        if kind == 1:
            return fg.jvp(f, (x,), (np.ones(3),))[1]
        if kind == 2:
            return fg.hessian(f)(x)
        if kind == 3:
            return fg.vmap(fg.grad(lambda s: f(s[None])))(x)
        if kind == 4:
            return fg.linearize(f, x)[1](np.ones(3))
        if kind == 5:
            return fg.eval_jaxpr(fg.make_jaxpr(fg.grad(f))(x), (), x)[0]
        if kind == 6:
            return fg.grad(lambda y: fg.grad(f)(y) @ y)(x)
        return fg.vmap(lambda s: s / fg.psum(s, "i"), axis_name="i")(x)

    alone = [work(k) for k in range(WORKERS)]
    for _ in range(3):
        for got, want in zip(_together(work), alone, strict=True):
            np.testing.assert_array_equal(got, want)


def test_threads_that_close_over_an_outer_tracer():
    """Inside grad, 16 threads use the same traced array: all record into the one recording, none gets lost."""

    def f(x):
        def work(k):
            y = x * float(k)
            for _ in range(50):
                y = np.sin(y) + x[k % 3]
            time.sleep(0)
            return y.sum()

        return sum(_together(work))

    def serial(x):
        total = 0.0
        for k in range(WORKERS):
            y = x * float(k)
            for _ in range(50):
                y = np.sin(y) + x[k % 3]
            total = total + y.sum()
        return total

    x = np.array([0.1, 0.2, 0.3])
    want = fg.grad(serial)(x)
    for _ in range(3):
        np.testing.assert_allclose(fg.grad(f)(x), want, rtol=1e-12)
    np.testing.assert_allclose(fg.jvp(f, (x,), (np.ones(3),))[1], want.sum(), rtol=1e-12)


def test_threads_that_differentiate_over_an_outer_tracer():
    """Inner gradients in 16 threads, each perturbing its own variable and closing over the outer one."""

    def f(x):
        return sum(_together(lambda k: fg.grad(lambda y: y * y * x * (k + 1.0))(x)))  # 2 (k + 1) x^2

    assert fg.grad(f)(3.0) == pytest.approx(sum(4.0 * (k + 1) * 3.0 for k in range(WORKERS)))


def test_abstract_recordings_are_shared_too():
    """The same under vmap: equations of several threads land in one jaxpr, each after what it reads."""

    def f(x):
        return sum(_together(lambda k: np.sin(x * (k + 1.0)) * x))

    x = np.array([0.1, 0.2])
    np.testing.assert_allclose(fg.vmap(f)(x), sum(np.sin(x * (k + 1)) * x for k in range(WORKERS)))
    fg.check_jaxpr(fg.make_jaxpr(f)(0.1))


def test_axis_names_belong_to_a_thread():
    """A name that one thread binds is not seen by another, unless it copies the context."""
    inside, done = threading.Event(), threading.Event()
    seen = []

    def other():
        inside.wait(10)
        try:
            fg.axis_size("i")
        except AxisNameError as error:
            seen.append(str(error))
        done.set()

    def f(x):
        inside.set()
        done.wait(10)
        return fg.psum(x, "i")

    thread = threading.Thread(target=other)
    thread.start()
    np.testing.assert_array_equal(fg.vmap(f, axis_name="i")(np.ones(3)), [3.0, 3.0, 3.0])
    thread.join()
    assert len(seen) == 1
    assert "unbound axis name: 'i'" in seen[0]

    def copies(x):
        context = contextvars.copy_context()
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(context.run, fg.psum, x, "i").result()

    np.testing.assert_array_equal(fg.vmap(copies, axis_name="i")(np.ones(3)), [3.0, 3.0, 3.0])


def test_one_linear_map_in_many_threads():
    """Pull-backs and linear programs can be called at the same time."""
    x = np.linspace(0, 1, 5)
    _, pull = fg.vjp(lambda x: np.sin(x)[::-1] * x, x)
    _, push = fg.linearize(lambda x: np.sin(x)[::-1] * x, x)
    eye = np.eye(WORKERS, 5)
    want_pull, want_push = [pull(e)[0] for e in eye], [push(e) for e in eye]
    for got, want in zip(_together(lambda k: pull(eye[k])[0]), want_pull, strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(_together(lambda k: push(eye[k])), want_push, strict=True):
        np.testing.assert_array_equal(got, want)


# --- exceptions -----------------------------------------------------------------------------------------------------


class _Boom(Exception):
    pass


def _fails(x):
    y = np.sin(x) * 2.0
    raise _Boom(y.shape)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: fg.grad(f)(1.0),
        lambda f: fg.jvp(f, (1.0,), (1.0,)),
        lambda f: fg.vjp(f, 1.0),
        lambda f: fg.linearize(f, 1.0),
        lambda f: fg.linear_transpose(f, 1.0),
        lambda f: fg.jacfwd(f)(1.0),
        lambda f: fg.hessian(f)(1.0),
        lambda f: fg.vmap(f, axis_name="i")(np.ones(2)),
        lambda f: fg.make_jaxpr(f)(1.0),
        lambda f: fg.vmap(fg.grad(f), axis_name="i")(np.ones(2)),
        lambda f: fg.grad(lambda x: fg.vmap(f, axis_name="i")(x[None])[0])(1.0 * np.ones(())),
    ],
    ids=["grad", "jvp", "vjp", "linear", "transpose", "jac", "hess", "vmap", "jaxpr", "vmap grad", "grad vmap"],
)
def test_exceptions_leave_no_state(call):
    """After an exception inside a recording everything works as before, and no axis name is left bound."""
    want = fg.grad(fg.grad(np.tanh))(0.5)
    with pytest.raises(_Boom):
        call(_fails)
    assert fg.grad(fg.grad(np.tanh))(0.5) == want
    np.testing.assert_array_equal(fg.vmap(lambda x: x + fg.psum(x, "i"), axis_name="i")(np.ones(2)), [3.0, 3.0])
    with pytest.raises(AxisNameError):
        fg.axis_size("i")


def test_an_exception_caught_inside():
    """An inner transform that fails does not disturb the outer recording."""

    def f(x):
        with contextlib.suppress(_Boom):
            fg.grad(_fails)(x * 3.0)
        with contextlib.suppress(_Boom):
            fg.vmap(_fails, axis_name="i")(np.stack([x, x]))
        return x * x

    assert fg.grad(f)(3.0) == 6.0
    np.testing.assert_array_equal(fg.vmap(f)(np.array([1.0, 2.0])), [1.0, 4.0])


def test_the_tracers_of_a_failed_call_are_dead():
    """What leaked out of a function that raised is refused."""
    leaks = []

    def f(x):
        leaks.append(x)
        raise _Boom

    for call in (
        lambda: fg.grad(f)(1.0),
        lambda: fg.vmap(f)(np.ones(2)),
        lambda: fg.make_jaxpr(f)(1.0),
        lambda: fg.linear_transpose(f, 1.0),
    ):
        with pytest.raises(_Boom):
            call()
        with pytest.raises(UnexpectedTracerError):
            leaks[-1] + 1.0


def test_a_rule_that_fails_in_the_backward_pass():
    """An exception while pulling back leaves nothing behind either, and names the user's exception."""
    from_rule = fg.core.elementwise.Elementwise(
        "test_failing_rule", lambda x: x, lambda t: (_ for _ in ()).throw(_Boom())
    )
    try:
        with pytest.raises(_Boom):
            fg.grad(from_rule.function)(1.0)
        with pytest.raises(_Boom):
            fg.vmap(fg.grad(from_rule.function), axis_name="i")(np.ones(2))
    finally:
        del fg.core.primitive.PRIMITIVES["test_failing_rule"]
    assert fg.grad(np.sin)(0.0) == 1.0


def test_keyboard_interrupt():
    """BaseExceptions too."""

    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fg.vmap(fg.grad(f), axis_name="i")(np.ones(2))
    with pytest.raises(AxisNameError):
        fg.axis_size("i")
    assert fg.grad(np.sin)(0.0) == 1.0

"""Leaked tracers: a traced array that outlives its recording is refused, and the message says where it was made."""

import os

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors

X = np.array([1.0, 2.0, 3.0])
HERE = os.path.basename(__file__)


def _error(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def _where(fun, offset=0, name=None):
    """``test_leaks.py:12 (in f)``: a line of the function."""
    return f"{HERE}:{fun.__code__.co_firstlineno + offset} (in {name or fun.__name__})"


def _check_leak(call, maker, transform="grad"):
    text = _error(errors.UnexpectedTracerError, call)
    assert "after the recording that made it had ended" in text
    assert f"fungrad.{transform} ran" in text
    assert f"({HERE}:{maker.__code__.co_firstlineno})" in text
    assert "has_aux=True" in text
    return text


def test_leak_through_a_global():
    """Used later, in any operation: where it was used and where it was made."""
    leaks = []

    def leaky(x):
        leaks.append(x)
        return x.sum()

    fg.grad(leaky)(X)

    def use():
        return leaks[0] * 2.0

    text = _check_leak(use, leaky)
    assert _where(use, 1) in text
    for call in (
        lambda: 2.0 + leaks[0],
        lambda: np.sin(leaks[0]),
        lambda: leaks[0].sum(),
        lambda: leaks[0][0],
        lambda: np.ones(3) @ leaks[0],
        lambda: leaks[0].reshape(3, 1),
        lambda: fg.grad(lambda y: y * leaks[0].sum())(1.0),
        lambda: fg.vmap(lambda y: y * leaks[0])(X),
        lambda: fg.grad(lambda y: y.sum())(leaks[0]),
    ):
        _check_leak(call, leaky)


@pytest.mark.parametrize("again", [
    lambda f: fg.value_and_grad(f)(2.0),
    lambda f: fg.jvp(f, (2.0,), (1.0,)),
    lambda f: fg.vjp(f, 2.0),
    lambda f: fg.jacfwd(f)(2.0),
    lambda f: fg.vmap(f)(np.ones(2)),
    lambda f: fg.make_jaxpr(f)(2.0),
    lambda f: fg.grad(lambda x: (x, f(x)), has_aux=True)(2.0),
], ids=["value_and_grad", "jvp", "vjp", "jacfwd", "vmap", "make_jaxpr", "aux"])  # fmt: skip
def test_a_leaked_tracer_as_a_result(again):
    """Returning a dead tracer from another transform is an error too: no tracer comes out of a transform."""
    leaks = []
    fg.grad(lambda x: (leaks.append(x), x)[1])(1.0)
    with pytest.raises(errors.UnexpectedTracerError):
        again(lambda y: leaks[0])


def test_leak_out_of_vmap():
    """Abstract tracers too; asking for their truth value is an error in any case."""
    leaks = []

    def leaky(x):
        leaks.append(x)
        return x

    fg.vmap(leaky)(X)
    _check_leak(lambda: leaks[0] + 1.0, leaky, "vmap")
    with pytest.raises((errors.UnexpectedTracerError, errors.TracerBoolConversionError)):
        bool(leaks[0])


def test_leak_through_a_generator():
    """A generator that goes on after the function has returned."""

    def lazy(x):
        for k in range(3):
            yield x * k

    def f(x):
        return x, {"rows": lazy(x)}

    _, aux = fg.grad(f, has_aux=True)(1.0)
    text = _check_leak(lambda: list(aux["rows"]), f)
    assert _where(lazy, 2) in text


def test_leak_through_an_exception():
    """A tracer carried out by an exception."""

    class Mine(Exception):
        pass

    def f(x):
        raise Mine(x * 2.0)

    with pytest.raises(Mine) as caught:
        fg.grad(f)(1.0)
    _check_leak(lambda: caught.value.args[0] + 1.0, f)


def test_leak_through_a_closure():
    """A function that is returned as aux and uses its tracer later."""

    def f(x):
        return x, lambda: x * 2.0

    _, later = fg.grad(f, has_aux=True)(1.0)
    _check_leak(later, f)


def test_a_leak_inside_another_transform():
    """An inner tracer that is used by the outer function."""

    def outer(x):
        leaks = []
        fg.grad(lambda y: (leaks.append(y), y)[1])(x)
        return leaks[0] * x

    with pytest.raises(errors.UnexpectedTracerError, match="had ended"):
        fg.grad(outer)(1.0)


def test_a_leak_out_of_an_abstract_recording_names_the_operation_that_made_it():
    """Where lines are noted, the message has that of the operation, not just of the function."""
    leaks = []

    def leaky(x):
        y = np.exp(x)
        leaks.append(y)
        return x

    fg.vmap(leaky)(np.ones(2))
    line = leaky.__code__.co_firstlineno + 1
    with pytest.raises(errors.UnexpectedTracerError, match=rf"made by exp at .*test_leaks\.py:{line} \(in leaky\)"):
        leaks[0] + 1.0

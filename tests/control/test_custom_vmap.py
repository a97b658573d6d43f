"""Functions whose batched form is a rule."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nestings import LETTERS, agree, inner

import fungrad as fg
from fungrad.errors import TransformTypeError, TransformValueError, UnsupportedOperationError

CALLS = []


def inner_vmap(axis_size, in_batched, x, y):
    """The rule: what NumPy's broadcasting does."""
    x_batched, y_batched = in_batched
    CALLS.append((axis_size, x_batched, y_batched))
    if y_batched and (np.ndim(x) > 1 or not x_batched):
        y = y[:, None] if np.ndim(x) > (1 if x_batched else 0) else y
    return inner(x, y), True


BY_NAME = fg.custom_vmap(inner)
BY_NAME.def_vmap(inner_vmap)


def in_trees(x, y):
    """Arguments and results that are pytrees, some of which are not batched."""
    f = fg.custom_vmap(lambda a, n: {"r": inner(a["x"], a["y"]), "n": n + 1})

    @f.def_vmap
    def rule(axis_size, in_batched, a, n):
        assert in_batched[1] is False
        x_batched, y_batched = in_batched[0]["x"], in_batched[0]["y"]
        y = a["y"]
        if y_batched and np.ndim(a["x"]) > (1 if x_batched else 0):
            y = y[:, None]
        return {"r": inner(a["x"], y), "n": n + 1}, {"r": True, "n": False}

    return f({"x": x, "y": y}, 3)["r"]


FORMS = [BY_NAME, in_trees, fg.sequential_vmap(inner)]


@settings(max_examples=100)
@given(st.sampled_from(FORMS), st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=3))
def test_a_rule_that_states_the_batched_function(form, word):
    """It agrees with the plain function under every word over the transforms."""
    agree(form, inner, word)


@fg.custom_vmap
def marked(x, y):
    """A function whose rule gives something else, which shows where it is used."""
    return x * y


@marked.def_vmap
def marked_vmap(axis_size, in_batched, x, y):
    """Ten times that."""
    return 10.0 * x * y, True


X = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: marked(2.0, 3.0), 6.0),
        (lambda: fg.grad(marked)(2.0, 3.0), 3.0),
        (lambda: fg.jit(marked)(2.0, 3.0), 6.0),
        (lambda: fg.grad(fg.jit(marked))(2.0, 3.0), 3.0),
        (lambda: fg.vmap(marked, (0, None))(X, 3.0), 30.0 * X),
        (lambda: fg.jit(fg.vmap(marked, (0, None)))(X, 3.0), 30.0 * X),
        (lambda: fg.vmap(fg.jit(marked), (0, None))(X, 3.0), 30.0 * X),
        (lambda: fg.vmap(fg.grad(marked), (None, 0))(2.0, X), 10.0 * X),
        (lambda: fg.vmap(fg.jit(fg.grad(marked)), (None, 0))(2.0, X), 10.0 * X),
        (lambda: fg.vmap(fg.grad(fg.jit(marked)), (None, 0))(2.0, X), 10.0 * X),
        (lambda: fg.grad(lambda x: fg.vmap(marked, (0, None))(x, 3.0).sum())(X), [30.0, 30.0]),
        (lambda: fg.grad(lambda y: fg.vmap(marked, (0, None))(X, y).sum())(3.0), 30.0),
        (lambda: fg.grad(fg.jit(lambda y: fg.vmap(marked, (0, None))(X, y).sum()))(3.0), 30.0),
        (lambda: fg.vmap(lambda x: fg.jvp(lambda x: marked(x, 3.0), (x,), (1.0,))[1])(X), [30.0, 30.0]),
    ],
)
def test_where_the_rule_is_used(call, expected):
    """Where the call is mapped, in either order with derivatives and jit, and only there."""
    np.testing.assert_array_equal(call(), expected)


def test_what_the_rule_is_told():
    """The size of the axis, and which arguments carry it."""
    CALLS.clear()
    fg.vmap(BY_NAME, (None, 0))(2.0, np.arange(3.0))
    fg.vmap(fg.vmap(BY_NAME, (0, None)), (0, None))(np.ones((4, 3)), 2.0)
    assert CALLS == [(3, False, True), (3, True, False)]  # what the rule does is mapped as any code


def test_a_rule_on_values():
    """Outside of other recordings the rule runs on values, so that it may call what no tracer can go through."""
    f = fg.custom_vmap(lambda x: x + 1.0)
    f.def_vmap(lambda axis_size, in_batched, x: (np.array([float(v) + 1.0 for v in x]), True))
    np.testing.assert_array_equal(fg.vmap(f)(X), X + 1.0)


def test_one_after_the_other():
    """sequential_vmap calls the function for each example, of pytrees, also of none."""
    seen = []

    def f(a, b):
        seen.append(np.shape(a["x"]))
        return {"sum": a["x"] + b, "b": b}

    mapped = fg.vmap(fg.sequential_vmap(f), ({"x": 0}, None))
    out = mapped({"x": np.arange(6.0).reshape(3, 2)}, 1.0)
    np.testing.assert_array_equal(out["sum"], np.arange(6.0).reshape(3, 2) + 1.0)
    np.testing.assert_array_equal(out["b"], np.ones(3))
    assert seen == [(2,)] * 4  # once to record it
    assert mapped({"x": np.zeros((0, 2))}, 1.0)["sum"].shape == (0, 2)


def test_rules_that_do_not_fit():
    """The message names the rule and what was expected."""

    def call(returned):
        f = fg.custom_vmap(lambda x: {"a": x})
        f.def_vmap(lambda axis_size, in_batched, x: returned(x))
        return fg.vmap(f)(X)

    with pytest.raises(TransformTypeError, match=r"the vmap rule .* must return a pair \(result, out_batched\)"):
        call(lambda x: {"a": x})
    with pytest.raises(TransformValueError, match=r"result\['a'\] must have type f64\[\] as the .*, got f64\[2"):
        call(lambda x: ({"a": x}, False))
    with pytest.raises(TransformTypeError, match="tree structure of the function's"):
        call(lambda x: (x, True))
    with pytest.raises(TransformTypeError, match=r"out_batched\['a'\] must be True or False, got 0"):
        call(lambda x: ({"a": x}, 0))
    with pytest.raises(AttributeError, match="No vmap rule defined for custom_vmap function"):
        fg.custom_vmap(lambda x: x)(1.0)


def test_closures_over_mapped_values():
    """The rule cannot know of them, which an error says."""

    def f(x, y):
        g = fg.custom_vmap(lambda x: x * y)
        g.def_vmap(lambda axis_size, in_batched, x: (x, True))
        return g(x)

    with pytest.raises(UnsupportedOperationError, match="closes over an array that is mapped"):
        fg.vmap(f)(X, X)
    assert fg.grad(lambda y: fg.vmap(f, (0, None))(X, y).sum())(2.0) == 0.0  # the rule says so


def test_pickling():
    """A recorded call keeps its rule."""
    closed = pickle.loads(pickle.dumps(fg.make_jaxpr(marked)(1.0, 2.0)))
    mapped = fg.vmap(lambda x: fg.eval_jaxpr(closed, (), x, 3.0)[0])
    np.testing.assert_array_equal(mapped(X), 30.0 * X)

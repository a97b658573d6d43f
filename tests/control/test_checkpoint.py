"""checkpoint: the same derivatives with less kept, under every transform and nesting."""

from __future__ import annotations

import functools
import os
import pickle
import re
import tracemalloc

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors
from fungrad.control.call import call_p
from fungrad.core.ir import ClosedJaxpr

HERE = os.path.basename(__file__)
X = np.linspace(0.1, 0.9, 5)
W = np.linspace(-1.0, 1.0, 25).reshape(5, 5)
policies = fg.checkpoint_policies


def block(x, w=W):
    """Something with every kind of operation in it."""
    y = np.tanh(x @ w)
    z = np.exp(np.sin(y)) * x + np.maximum(y, 0.1)
    return z / (1.0 + np.sum(z**2))


def chain(f, n=3):
    """f, n times, then a number."""

    def run(x):
        for _ in range(n):
            x = f(x)
        return np.sum(x)

    return run


def equations(closed):
    """All equations, those of called programs included, as often as they are called."""
    for eqn in closed.eqns:
        if eqn.primitive is call_p:
            yield from equations(eqn.params["program"].closed)
        else:
            yield eqn


def count(closed, name):
    """How often a primitive is applied."""
    return sum([e.primitive.name == name for e in equations(closed)])


def kept(closed):
    """How many arrays the calls in a program are given, each counted once."""
    return len({a for e in closed.eqns if e.primitive is call_p for a in e.inputs})


# --- the same derivatives -------------------------------------------------------------------------------------------

NESTINGS = {
    "value": lambda f: f,
    "jit": fg.jit,
    "grad": fg.grad,
    "jit(grad)": lambda f: fg.jit(fg.grad(f)),
    "grad(jit)": lambda f: fg.grad(fg.jit(f)),
    "grad(jit(jit))": lambda f: fg.grad(fg.jit(lambda x: fg.jit(f)(x) * 1.0)),
    "jvp": lambda f: lambda x: fg.jvp(f, (x,), (np.cos(x),)),
    "linearize": lambda f: lambda x: fg.linearize(f, x)[1](np.cos(x)),
    "vjp twice": lambda f: lambda x: (lambda pull: (pull(2.0), pull(3.0)))(fg.vjp(f, x)[1]),
    "hessian": fg.hessian,
    "jit(hessian)": lambda f: fg.jit(fg.hessian(f)),
    "jacrev(jacrev)": lambda f: fg.jacrev(fg.jacrev(f)),
    "jacrev(jacfwd)": lambda f: fg.jacrev(fg.jacfwd(f)),
    "jit(jacrev(jacfwd))": lambda f: fg.jit(fg.jacrev(fg.jacfwd(f))),
    "jacfwd(grad(jit))": lambda f: fg.jacfwd(fg.grad(fg.jit(f))),
    "third order": lambda f: lambda x: fg.grad(lambda t: fg.hvp(f, (t * x,), (x,)).sum())(1.0),
    "vmap": lambda f: lambda x: fg.vmap(f)(np.stack([x, 2 * x])),
    "vmap(grad)": lambda f: lambda x: fg.vmap(fg.grad(f))(np.stack([x, 2 * x])),
    "jit(vmap(grad))": lambda f: lambda x: fg.jit(fg.vmap(fg.grad(f)))(np.stack([x, 2 * x])),
    "grad(vmap)": lambda f: lambda x: fg.grad(lambda x: fg.vmap(f)(np.stack([x, x**2])).sum())(x),
    "grad(jit(vmap))": lambda f: lambda x: fg.grad(lambda x: fg.jit(fg.vmap(f))(np.stack([x, x**2])).sum())(x),
    "vmap(hessian)": lambda f: lambda x: fg.vmap(fg.hessian(f))(np.stack([x, 2 * x])),
    "checkpoint": lambda f: fg.grad(fg.checkpoint(f)),
    "jit(checkpoint)": lambda f: fg.jit(fg.grad(fg.checkpoint(f))),
    "hessian(checkpoint)": lambda f: fg.hessian(fg.checkpoint(f)),
    "hessian(jit(checkpoint))": lambda f: fg.hessian(fg.jit(fg.checkpoint(f))),
    "scan": lambda f: fg.grad(
        lambda x: fg.lax.scan(lambda c, w: (c * w + f(c * w) * np.ones(5), f(c)), x, np.stack([X, X**2]))[1].sum()
    ),
}


@pytest.mark.parametrize("name", NESTINGS)
@pytest.mark.parametrize("how", ["blocks", "dots", "nested"])
def test_derivatives_are_those_without_it(name, how):
    """Values and derivatives of all orders, compiled and not, mapped, nested: as without checkpoint."""
    checkpointed = {
        "blocks": lambda: fg.checkpoint(block),
        "dots": lambda: fg.checkpoint(block, policy=policies.dots_saveable),
        "nested": lambda: fg.checkpoint(lambda x: fg.checkpoint(block)(np.sin(x))),
    }[how]()
    plain = block if how != "nested" else lambda x: block(np.sin(x))
    transform = NESTINGS[name]
    found, expected = transform(chain(checkpointed))(X), transform(chain(plain))(X)
    for a, b in zip(fg.tree.leaves(found), fg.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_scan_of_a_checkpointed_body():
    """The body of a loop: its derivative is that of the plain one, and less is stacked."""

    def body(c, x):
        y = np.sin(np.cos(np.sin(c) * x))
        return np.tanh(y * y + c), y

    def loss(f, x):
        return fg.lax.scan(f, x, np.linspace(0.0, 1.0, 7))[0].sum()

    for transform, x in (
        (fg.grad, X),
        (fg.hessian, X),
        (lambda f: fg.jit(fg.grad(f)), X),
        (lambda f: fg.vmap(fg.grad(f)), np.stack([X, X])),
    ):
        np.testing.assert_allclose(
            transform(lambda x: loss(fg.checkpoint(body), x))(x), transform(lambda x: loss(body, x))(x), rtol=1e-10
        )


def test_functions_with_rules_of_their_own():
    """custom_jvp and custom_vjp inside, and around: the rules are used."""

    @fg.custom_jvp
    def f(x):
        return np.sin(x)

    f.defjvp(lambda primals, tangents: (np.sin(primals[0]), 3.0 * np.cos(primals[0]) * tangents[0]))

    @fg.custom_vjp
    def g(x):
        return np.exp(x)

    g.defvjp(lambda x: (np.exp(x), np.exp(x)), lambda res, ct: (5.0 * res * ct,))

    def both(x):
        return np.sum(g(np.cos(f(x))) * x)

    for transform in (fg.grad, lambda f: fg.jit(fg.grad(f)), lambda f: fg.grad(fg.jit(f))):
        np.testing.assert_allclose(transform(fg.checkpoint(both))(X), transform(both)(X), rtol=1e-12)
    np.testing.assert_allclose(
        fg.vmap(fg.grad(fg.checkpoint(both)))(np.stack([X, X])), fg.vmap(fg.grad(both))(np.stack([X, X])), rtol=1e-12
    )


def test_trees_keywords_and_several_results():
    """Arguments and results are pytrees; what is no array comes back as it is."""

    @fg.checkpoint
    def f(p, *xs, scale=1.0, **more):
        return {"a": p["w"] * xs[0] * scale, "b": (np.sin(p["b"]), more["k"] * xs[1]), "c": None}

    def loss(f, p, x):
        out = f(p, x, x**2, scale=2.0, k=x)
        assert out["c"] is None
        return out["a"].sum() + out["b"][0].sum() + out["b"][1].sum()

    p = {"w": X, "b": X + 1.0}
    for k in (0, 1):
        found = fg.grad(lambda p, x: loss(f, p, x), argnums=k)(p, X)
        expected = fg.grad(lambda p, x: loss(f.__wrapped__, p, x), argnums=k)(p, X)
        assert fg.tree.all(fg.tree.map(np.allclose, found, expected))


def test_complex_numbers_and_other_dtypes():
    """float32 stays float32; complex derivatives follow the same convention."""
    x = X.astype(np.float32)
    f = fg.checkpoint(lambda x: np.sin(np.exp(x)))
    assert fg.grad(lambda x: f(x).sum())(x).dtype == np.float32
    z = X + 1j * X[::-1]
    g = fg.grad(lambda z: np.abs(f(z)).sum())(z)
    np.testing.assert_allclose(g, fg.grad(lambda z: np.abs(np.sin(np.exp(z))).sum())(z), rtol=1e-12)
    n = fg.checkpoint(lambda x: (x * 2, np.floor(x).astype(int)))
    value, pull = fg.vjp(lambda x: n(x)[0], X)
    assert n(X)[1].dtype == int
    np.testing.assert_array_equal(pull(X)[0], 2 * X)


# --- what is traced -------------------------------------------------------------------------------------------------


def test_without_tracing_it_is_the_function():
    """Nothing is recorded: Python control flow on values, any objects as arguments."""
    seen = []

    def f(x, word="a"):
        seen.append(type(x))
        return x * 2 if x.sum() > 0 else word

    g = fg.checkpoint(f)
    np.testing.assert_array_equal(g(X), 2 * X)
    assert g(-X, "b") == "b"
    assert seen == [np.ndarray] * 2


def test_closures_over_traced_arrays():
    """A traced array in the closure is an argument: its derivative is right, and what depends on it is not kept."""

    def loss(f, w):
        g = f(lambda x: np.sin(np.exp(np.sin(x * w))))
        return np.sum(g(g(X)) * w)

    for transform in (fg.grad, fg.hessian, lambda f: fg.jit(fg.grad(f)), lambda f: fg.grad(fg.jit(f))):
        found = transform(lambda w: loss(fg.checkpoint, w))(X)
        np.testing.assert_allclose(found, transform(lambda w: loss(lambda f: f, w))(X), rtol=1e-10)
    names = {r.origin.split(" from")[0] for r in fg.saved_residuals(lambda w: loss(fg.checkpoint, w), X)}
    assert not any("cos" in n or "exp" in n for n in names)


def test_a_closure_alone_is_traced():
    """No argument is traced, but an array that the function, or a partial of it, closes over."""

    def check(make):
        closed = fg.make_jaxpr(lambda w: make(w)(X))(X)
        assert count(ClosedJaxpr(closed.jaxpr, closed.consts), "sin") == 1
        assert any(e.primitive is call_p for e in closed.eqns)

    check(lambda w: fg.checkpoint(lambda x: np.sin(w * x)))
    check(lambda w: fg.checkpoint(functools.partial(lambda w, x: np.sin(w * x), w)))


def test_what_it_closes_over_is_as_it_is_then():
    """An array or a number in the closure may change between two calls: each call sees what is there."""
    data, factor = X.copy(), [1.0]
    f = fg.checkpoint(lambda x: np.sin(x * data) * factor[0])
    for k in range(3):
        data[:] = X + k
        factor[0] = 2.0 + k
        np.testing.assert_allclose(fg.grad(lambda x: f(x).sum())(X), np.cos(X * data) * data * factor[0])
    pull = fg.vjp(f, X)[1]
    expected = np.cos(X * data) * data * factor[0]
    data[:] = np.nan
    np.testing.assert_allclose(pull(np.ones(5))[0], expected)


def test_arguments_may_be_overwritten_before_the_pullback():
    """What is kept of an argument is what it was."""
    x, y = X.copy(), X.copy()
    for f in (fg.checkpoint(lambda x, y: np.sin(x * y)), fg.jit(lambda x, y: np.sin(x * y) * y)):
        _, pull = fg.vjp(lambda x, f=f: f(x, y), x)
        expected = pull(np.ones(5))[0]
        x[:], y[:] = 7.0, 8.0
        np.testing.assert_array_equal(pull(np.ones(5))[0], expected)
        x[:], y[:] = X, X


def test_known_arguments_are_known():
    """Integers, booleans, strings, None and functions that are not traced keep their values."""

    @fg.checkpoint
    def f(x, n, flag, name, g, index, nothing=None):
        assert nothing is None
        for _ in range(n):
            x = g(x) if flag and name == "a" else x
        return x[index] if index.sum() else x

    def loss(x):
        return f(x, 3, True, "a", np.sin, np.array([1, 2])).sum()

    np.testing.assert_allclose(fg.grad(loss)(X), fg.grad(lambda x: np.sin(np.sin(np.sin(x)))[1:3].sum())(X), rtol=1e-12)


def test_numbers_are_operands():
    """A float that changes does not make a new program."""
    f = fg.checkpoint(lambda x, t: np.sin(x * t))

    def program(t):
        closed = fg.make_jaxpr(lambda x: f(x, t))(X)
        return closed.eqns[0].params["program"]

    assert program(0.5) is program(0.7)
    assert fg.grad(lambda x: f(x, 0.5).sum())(X.astype(np.float32)).dtype == np.float32


def test_static_arguments():
    """Passed on as they are, by position (from either end) or name, hashable or not."""

    def f(x, a, b):
        return x * a[0] if b > 0.5 else np.sin(x)

    for options in (
        {"static_argnums": (1, 2)},
        {"static_argnums": (-1, -2)},
        {"static_argnums": 2},
        {"static_argnums": np.int64(2)},
    ):
        g = fg.checkpoint(f, **options)
        np.testing.assert_array_equal(fg.grad(lambda x, g=g: g(x, [3.0], 0.7).sum())(X), 3.0)
    g = fg.checkpoint(static_argnames=("b",))(f)
    np.testing.assert_array_equal(fg.grad(lambda x: g(x, a=[3.0], b=0.2).sum())(X), np.cos(X))
    g = fg.checkpoint(f, static_argnames="b")
    np.testing.assert_array_equal(fg.grad(lambda x: g(x, [3.0], b=0.8).sum())(X), 3.0)


def test_errors():
    """Control flow on traced values, static arguments that do not exist, and what is no function or policy."""
    with pytest.raises(errors.TracerBoolConversionError, match=r"fungrad.checkpoint of .*static_argnums"):
        fg.grad(fg.checkpoint(lambda x: x if x > 0 else -x))(1.0)
    with pytest.raises(errors.TransformValueError, match="static_argnums=2 is out of range"):
        fg.grad(fg.checkpoint(lambda x: x, static_argnums=2))(1.0)
    with pytest.raises(errors.TransformTypeError, match="expects a function"):
        fg.checkpoint(3.0)
    with pytest.raises(errors.TransformTypeError, match=r"policy must be a function.*checkpoint_policies"):
        fg.checkpoint(np.sin, policy="dots")
    with pytest.raises(TypeError, match="checkpoint"):
        fg.grad(fg.checkpoint(lambda x: "word"))(1.0)
    with pytest.raises(errors.TransformTypeError, match="must be a string"):
        fg.checkpoint_name(X, 3)


def test_control_flow_without_jit():
    """disable_jit runs the function as it is written."""
    f = fg.checkpoint(lambda x: x * 3.0 if x > 0 else -x)
    with fg.disable_jit():
        assert fg.grad(f)(2.0) == 3.0


def test_methods_and_names():
    """It decorates methods, and keeps names and docstrings apart."""

    class Model:
        """Some parameters."""

        w = 3.0

        @fg.checkpoint
        def __call__(self, x):
            """Apply."""
            return np.sin(self.w * x)

    np.testing.assert_allclose(fg.grad(Model())(0.3), 3.0 * np.cos(0.9))
    assert Model.__call__.__doc__ == "Apply."
    assert fg.remat is fg.checkpoint


def test_assignment_inside():
    """A function may assign to its own argument: the caller's array stays."""

    def f(x):
        x[0] = x[1] * 2
        return np.sin(x)

    def loss(f, x):
        y = x * x
        z = f(y)
        return np.sum(z * y)

    np.testing.assert_allclose(
        fg.grad(lambda x: loss(fg.checkpoint(f), x))(X), fg.grad(lambda x: loss(lambda y: f(y.copy()), x))(X)
    )


# --- what is computed again, and how often --------------------------------------------------------------------------


def gradient_program(f, x=X, transform=fg.grad):
    """The recorded gradient."""
    return fg.make_jaxpr(transform(f))(x)


def test_the_backward_pass_computes_once_more():
    """One exp in the forward pass and one in the backward pass, whatever the number of cotangents and readers."""
    f = fg.checkpoint(lambda x: (np.exp(x) * x, np.exp(x) ** 2, np.sin(np.exp(x))))
    closed = gradient_program(lambda x: sum([y.sum() for y in f(x)]))
    for program in [e.params["program"] for e in closed.eqns if e.primitive is call_p]:
        assert count(program.optimized(), "exp") == 1
    assert len([e for e in closed.eqns if e.primitive is call_p]) == 2


def test_the_compiler_does_not_undo_it():
    """In the compiled gradient the call stays: exp is computed twice but for the last block, which has no reader."""
    f = chain(fg.checkpoint(lambda x: np.sin(np.exp(x))))
    for transform, x in (
        (lambda f: fg.jit(fg.grad(f)), X),
        (lambda f: fg.jit(fg.grad(fg.jit(f))), X),
        (lambda f: fg.jit(fg.vmap(fg.grad(f))), np.stack([X, X])),
    ):
        optimized = transform(f).lower(x).optimized
        assert count(optimized, "exp") == 5
    plain = fg.jit(fg.grad(chain(lambda x: np.sin(np.exp(x))))).lower(X).optimized
    assert count(plain, "exp") == 3


def test_the_derivative_of_a_compiled_function_keeps_arguments():
    """grad(jit(f)): the forward program hands on the arguments of the blocks alone; so does a checkpoint within one."""
    for inner in (lambda f: f, fg.checkpoint):
        f = chain(fg.checkpoint(lambda x, inner=inner: inner(lambda x: np.sin(np.exp(x)))(np.tanh(x))))
        closed = fg.make_jaxpr(f)(X)
        found = fg.saved_residuals(f, X)
        assert [r.origin.split(" from ")[0] for r in found] == ["from the argument x", "output of sin", "output of sin"]
        assert count(closed, "sin") == 3


@pytest.mark.parametrize("transform", [fg.grad, lambda f: fg.jit(fg.grad(f)), lambda f: fg.grad(fg.jit(f))])
def test_second_derivatives_keep_little_too(transform):
    """The gradient of a gradient computes again what both passes read: exp more often than without checkpoint."""

    def second(f):
        return fg.make_jaxpr(transform(lambda x: transform(f)(x).sum()))(X)

    with_it, without = (second(chain(w(lambda x: np.sin(np.exp(x))), 2)) for w in (fg.checkpoint, lambda f: f))
    assert count(with_it, "exp") > count(without, "exp")


def test_batched_and_transposed_programs_stay_apart():
    """Programs of derivatives know that they are; those of the function itself may be taken apart."""
    f = fg.checkpoint(lambda x: np.sin(np.exp(x)))
    closed = fg.make_jaxpr(fg.vmap(fg.value_and_grad(lambda x: f(x).sum())))(np.stack([X, X]))
    flags = [e.params["program"].keeps_apart for e in closed.eqns if e.primitive is call_p]
    assert flags == [False, True]
    assert all(e.params["program"].keeps_rules for e in closed.eqns if e.primitive is call_p)


# --- memory ---------------------------------------------------------------------------------------------------------


def peak(f, x):
    """Bytes at most while f runs, in multiples of x; it has run before."""
    f(x)
    tracemalloc.start()
    try:
        f(x)
        return tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()


def steps(x):
    """Sixteen arrays that the derivative reads."""
    for _ in range(8):
        x = np.sin(x) * np.cos(x) + x
    return x


def test_memory_of_a_gradient():
    """A chain of 16 blocks keeps 16 arrays instead of all that the blocks compute."""
    x = np.linspace(0.0, 1.0, 200_000)
    without, with_it = peak(fg.grad(chain(steps, 16)), x), peak(fg.grad(chain(fg.checkpoint(steps), 16)), x)
    assert without > 16 * 8 * 2
    assert with_it < 16 + 8  # and the blocks that fit into the cache


def test_memory_of_blocks_that_differ():
    """Each has programs of its own, which keep nothing between calls."""

    def loss(f):
        def run(x):
            for k in range(8):
                x = f(lambda x, k=k: steps(x * float(k)))(x)
            return x.sum()

        return run

    x = np.linspace(0.0, 1.0, 200_000)
    tracemalloc.start()
    try:
        gradient = fg.grad(loss(fg.checkpoint))
        gradient(x)
        gradient(x)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * x.nbytes + 4e6
    assert most < 16 * x.nbytes + 4e6
    assert peak(fg.grad(loss(lambda f: f)), x) > 8 * 8 * 2


def mixing(x):
    """Steps that do not run block by block of rows: each reads all of the last."""
    for _ in range(8):
        x = np.tanh(x @ x * 0.01 + x)
    return x


def test_memory_of_a_compiled_gradient():
    """The same under jit, measured and as planned; two levels keep about the square root."""
    x = np.linspace(0.0, 1.0, 200 * 200).reshape(200, 200)
    inner = fg.checkpoint(mixing)
    two = fg.checkpoint(lambda x: inner(inner(inner(inner(x)))))
    plain, one, nested = (fg.jit(fg.grad(f)) for f in (chain(mixing, 16), chain(inner, 16), chain(two, 4)))
    for measured in (
        lambda f: peak_when_fresh(f, x),
        lambda f: f.lower(x).cost().peak_bytes / x.nbytes,
    ):
        assert measured(plain) > 2.5 * measured(one)
    np.testing.assert_allclose(plain(x), one(x), rtol=1e-8)
    np.testing.assert_allclose(plain(x), nested(x), rtol=1e-8)


def peak_when_fresh(f, x):
    """Bytes at most, that of compiled programs between calls included."""
    fg.clear_caches()
    tracemalloc.start()
    try:
        f(x)
        f(x)
        return tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()


def test_the_plan_counts_what_is_computed_again():
    """cost() of a program with calls is near what is measured."""
    x = np.linspace(0.0, 1.0, 200 * 200).reshape(200, 200)
    gradient = fg.jit(fg.grad(chain(fg.checkpoint(mixing), 8)))
    planned, measured = gradient.lower(x).cost().peak_bytes / x.nbytes, peak_when_fresh(gradient, x)
    assert 0.8 * measured < planned < 1.3 * measured


# --- policies and names ---------------------------------------------------------------------------------------------


def layers(x):
    """Two contractions, one with a batch axis, and two names."""
    y = fg.checkpoint_name(np.exp(x @ W), "first")
    z = np.matmul(y[:, None, None] * W[None, :2], np.stack([W * y] * 5))
    return np.sin(fg.checkpoint_name(np.exp(z), "second")) ** 2


def origins(policy):
    """What is saved, but the arguments."""
    found = [r.origin for r in fg.saved_residuals(fg.checkpoint(layers, policy=policy), X)]
    return [re.sub(r" from .*", "", o) for o in found if "argument" not in o and o != "a constant"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, []),
        (policies.nothing_saveable, []),
        (policies.dots_saveable, ["output of contract", "output of contract"]),
        (policies.checkpoint_dots, ["output of contract", "output of contract"]),
        (policies.dots_with_no_batch_dims_saveable, ["output of contract"]),
        (policies.checkpoint_dots_with_no_batch_dims, ["output of contract"]),
        (policies.save_only_these_names("first"), ["named 'first'"]),
        (policies.save_only_these_names("first", "second"), ["named 'first'", "named 'second'"]),
        (policies.save_any_names_but_these("first"), ["named 'second'"]),
        (
            policies.save_from_both_policies(
                policies.save_only_these_names("second"), policies.dots_with_no_batch_dims_saveable
            ),
            ["output of contract", "named 'second'"],
        ),
        (lambda prim, *avals, **params: prim.name == "exp" and avals[0].ndim == 1, ["named 'first'"]),
    ],
)
def test_policies(policy, expected):
    """Each saves what it says, and nothing else."""
    assert sorted(origins(policy)) == sorted(expected)
    f = fg.checkpoint(layers, policy=policy)
    np.testing.assert_allclose(fg.jacrev(f)(X), fg.jacrev(layers)(X), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fg.jit(fg.jacrev(f))(X), fg.jacrev(layers)(X), rtol=1e-10, atol=1e-12)


def test_policies_that_save_much():
    """everything_saveable saves what is saved without checkpoint; anything but a name all else."""
    plain = {str(r) for r in fg.saved_residuals(layers, X)}
    everything = {str(r) for r in fg.saved_residuals(fg.checkpoint(layers, policy=policies.everything_saveable), X)}
    assert {r.split(" from")[0] for r in plain} == {r.split(" from")[0] for r in everything}
    found = origins(policies.save_anything_except_these_names("second"))
    assert "named 'first'" in found
    assert "named 'second'" not in found
    shapes = [r.aval.shape for r in fg.saved_residuals(fg.checkpoint(layers, policy=_but_second()), X)]
    assert (5, 2, 5) in shapes  # what exp is computed from, but not its result
    exp = [
        r
        for r in fg.saved_residuals(fg.checkpoint(layers, policy=_but_second()), X)
        if "exp" in r.origin and r.aval.ndim == 3
    ]
    assert not exp
    both = policies.save_from_both_policies(_but_second(), policies.nothing_saveable)
    assert "named 'second'" in {*found, "named 'second'"} and origins(both)


def _but_second():
    return policies.save_anything_except_these_names("second")


def test_equal_policies_share_programs():
    """Policies of the same names are equal."""
    assert policies.save_only_these_names("a", "b") == policies.save_only_these_names("b", "a")
    assert policies.save_only_these_names("a") != policies.save_any_names_but_these("a")

    def program(policy):
        closed = fg.make_jaxpr(fg.checkpoint(block, policy=policy))(X)
        return closed.eqns[0].params["program"]

    make = policies.save_only_these_names
    assert program(make("a")) is program(make("a"))
    assert program(make("a")) is not program(make("b"))
    assert program(None) is not program(policies.dots_saveable)


def test_a_saved_name_is_read_by_rules_too():
    """exp's rule reads its result: with that saved under a name nothing is computed again."""
    f = fg.checkpoint(lambda x: fg.checkpoint_name(np.exp(x), "a") * 2.0, policy=policies.save_only_these_names("a"))
    closed = gradient_program(lambda x: f(x).sum(), transform=fg.value_and_grad)
    programs = [e.params["program"] for e in closed.eqns if e.primitive is call_p]
    assert [count(p.optimized(), "exp") for p in programs] == [1, 0]


def test_names_change_nothing():
    """checkpoint_name is the identity on pytrees, under all transforms, and compiles to nothing."""

    def f(x):
        y = fg.checkpoint_name({"a": np.sin(x), "b": [x]}, "y")
        return y["a"] * y["b"][0]

    def g(x):
        return np.sin(x) * x

    for transform in (
        lambda f: f,
        fg.jit,
        lambda f: fg.jacrev(f),
        lambda f: fg.jacfwd(fg.jit(f)),
        lambda f: lambda x: fg.vmap(f)(np.stack([x, x])),
        lambda f: fg.hessian(lambda x: f(x).sum()),
    ):
        np.testing.assert_allclose(transform(f)(X), transform(g)(X), rtol=1e-12)
    assert fg.jit(f).lower(X).source == fg.jit(g).lower(X).source
    assert count(fg.jit(f).lower(X).optimized, "name") == 0
    assert fg.checkpoint_name(2, "n") == 2
    (pulled,) = fg.linear_transpose(lambda x: fg.checkpoint_name(2.0 * x, "a"), X)(X)
    np.testing.assert_array_equal(pulled, 2 * X)


def test_a_named_array_is_the_callers_own():
    """Assignment to the result does not change what was named."""

    def f(x):
        y = x * 1.0
        z = fg.checkpoint_name(y, "a")
        z[0] = 7.0
        return y.sum() + 0.0 * z.sum()

    np.testing.assert_array_equal(fg.grad(f)(X), fg.grad(lambda x: x.sum() + 0.0)(X))


# --- looking at it --------------------------------------------------------------------------------------------------


def test_saved_residuals():
    """Type and origin: arguments by name and path, operations by the user's line, names."""

    def f(p, x, *, scale=1.0):
        y = np.sin(p["w"] * x)
        return np.exp(y) * fg.checkpoint_name(np.cos(y), "c") * scale

    line = f.__code__.co_firstlineno
    found = fg.saved_residuals(f, {"w": X}, X, scale=2.0)
    texts = [str(r) for r in found]
    assert "f64[5] from the argument p['w']" in texts
    assert "f64[5] from the argument x" in texts
    assert any(re.fullmatch(rf"f64\[5\] output of exp from .*{HERE}:{line + 2} \(in f\)", t) for t in texts)
    assert any(re.fullmatch(rf"f64\[5\] named 'c' from .*{HERE}:{line + 2} \(in f\)", t) for t in texts)
    assert all(isinstance(r.aval, fg.ShapedArray) for r in found)
    shapes = fg.saved_residuals(np.sin, fg.ShapeDtypeStruct((3,), float))
    assert [r.aval.shape for r in shapes] == [(3,)]


def test_saved_residuals_of_a_checkpoint(capsys):
    """What a checkpointed function keeps is told by its arguments' origin."""

    def f(x, w):
        y = np.tanh(x)
        return fg.checkpoint(lambda y, w: np.sin(np.exp(y * w)))(y, w) * 2.0

    fg.print_saved_residuals(f, X, w=X)
    lines = capsys.readouterr().out.splitlines()
    line = f.__code__.co_firstlineno + 1
    assert sorted(re.sub(r"from [^ ]*test_", "from test_", t) for t in lines) == sorted(
        [
            "f64[5] from the argument w",
            f"f64[5] output of sub from {HERE}:{line} (in f)",  # 1 - tanh(x)**2
            f"f64[5] output of tanh from {HERE}:{line} (in f)",
        ]
    )


# --- caches ---------------------------------------------------------------------------------------------------------


def test_programs_are_found_again():
    """Another call with the same operations compiles nothing; clear_caches forgets."""

    def program(f=None):
        return fg.make_jaxpr(fg.checkpoint(f or (lambda x: np.sin(x) * 2.0)))(X).eqns[0].params["program"]

    first = program()
    assert program() is first
    assert program(lambda x: np.sin(x) * 3.0) is not first
    assert program(lambda x: np.sin(x) * 2) is not first
    assert program(lambda x: np.cos(x) * 2.0) is not first
    fg.clear_caches()
    assert program() is not first


def test_pickling():
    """A recorded gradient with checkpoints can be pickled, and stays apart."""
    closed = fg.make_jaxpr(fg.grad(chain(fg.checkpoint(block, policy=policies.dots_saveable))))(X)
    again = pickle.loads(pickle.dumps(closed))
    np.testing.assert_allclose(fg.eval_jaxpr(again, (), X)[0], fg.grad(chain(block))(X), rtol=1e-10)
    flags = [[e.params["program"].keeps_apart for e in c.eqns if e.primitive is call_p] for c in (closed, again)]
    assert flags[0] == flags[1]


def test_recorded_programs_are_well_formed():
    """The checker accepts what checkpoint makes, calls included."""
    for transform in (fg.grad, fg.hessian):
        closed = fg.make_jaxpr(transform(chain(fg.checkpoint(block))))(X)
        todo = [closed]
        while todo:
            c = todo.pop()
            fg.check_jaxpr(c)
            todo += [e.params["program"].closed for e in c.eqns if e.primitive is call_p]

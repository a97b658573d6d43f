"""Functions whose derivative is a rule for cotangents."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nestings import LETTERS, agree, inner, inner_jvp, inner_vjp

import fungrad as fg
from fungrad.errors import NonLinearError, TransformTypeError, TransformValueError, UnexpectedTracerError

BY_NAME = fg.custom_vjp(inner)


def by_name_fwd(x, y):
    """The forward rule of a function of this module."""
    return BY_NAME(x, y), (x, y)


def by_name_bwd(residuals, ct):
    """Its backward rule."""
    return inner_vjp(*residuals, ct)


BY_NAME.defvjp(by_name_fwd, by_name_bwd)


def with_jvp(x, y):
    """The function with rules for both modes."""
    f = fg.custom_vjp(inner)
    f.defvjp(lambda x, y: (f(x, y), (x, y)), lambda res, ct: inner_vjp(*res, ct))
    f.defjvp(lambda primals, tangents: (f(*primals), inner_jvp(*primals, *tangents)))
    return f(x, y)


def with_code_in_fwd(x, y):
    """A forward rule that computes the result by itself, and residuals that are no arrays."""
    f = fg.custom_vjp(inner)

    def fwd(x, y):
        return np.sin(x) * y + x * y**2, {"args": (x, y), "name": "inner", "nothing": None}

    def bwd(residuals, ct):
        assert residuals["name"] == "inner"
        return inner_vjp(*residuals["args"], ct)

    f.defvjp(fwd, bwd)
    return f(x, y)


def with_symbolic_zeros(x, y):
    """Rules that leave out what is zero."""
    f = fg.custom_vjp(lambda x, y: (inner(x, y), x * 1.0))

    def fwd(x, y):
        return f(x.value, y.value), (x.value, y.value, x.perturbed, y.perturbed)

    def bwd(residuals, cts):
        x, y, x_wanted, y_wanted = residuals
        assert type(cts[1]) is fg.SymbolicZero
        x_bar, y_bar = inner_vjp(x, y, cts[0])
        return x_bar if x_wanted else None, y_bar if y_wanted else None

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    return f(x, y)[0]


def closing_over(x, y):
    """The function of one argument that closes over the other, as do its rules."""
    f = fg.custom_vjp(lambda x: inner(x, y))
    f.defvjp(lambda x: (f(x), np.cos(x)), lambda res, ct: ((res * y + y**2) * ct,))
    return f(x)


def bwd_closing_over_more(x, y):
    """The backward rule closes over something that the function does not."""
    z = y**2
    f = fg.custom_vjp(lambda x: inner(x, y))
    f.defvjp(lambda x: (f(x), (x, y)), lambda res, ct: ((np.cos(res[0]) * res[1] + z) * ct,))
    return f(x)


def of_functions(x, y):
    """A function-valued argument."""
    apply = fg.custom_vjp(lambda x, g, y: g(x, y), nondiff_argnums=(1,))
    apply.defvjp(lambda x, g, y: (apply(x, g, y), (x, y)), lambda g, res, ct: fg.vjp(g, *res)[1](ct))
    return apply(x, inner, y)


def of_trees(x, y):
    """Arguments and results that are pytrees, arguments by keyword."""
    f = fg.custom_vjp(lambda a, b: {"r": [inner(a["x"], b)], "s": a["x"] * 1.0})

    def bwd(residuals, cts):
        x_bar, y_bar = inner_vjp(*residuals, cts["r"][0])
        return {"x": x_bar + cts["s"]}, y_bar

    f.defvjp(lambda a, b: (f(a, b), (a["x"], b)), bwd)
    out = f(b=y, a={"x": x})
    return out["r"][0] + 0.0 * out["s"]


FORMS = [BY_NAME, with_jvp, with_code_in_fwd, closing_over, bwd_closing_over_more, of_functions, of_trees]
REVERSE = ["jit", "vmap", "vjp", "jacrev"]


@settings(max_examples=120)
@given(st.sampled_from(FORMS), st.lists(st.sampled_from(sorted(LETTERS)), min_size=1, max_size=3))
def test_rules_that_state_the_true_derivative(form, word):
    """They agree with the plain function under every word over the transforms, forward mode included."""
    agree(form, inner, word)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(REVERSE), min_size=1, max_size=2))
def test_symbolic_zeros(word):
    """Rules that are told what is zero agree with the plain function; the second result has no cotangent."""
    if word.count("vjp") + word.count("jacrev") > 1:
        word = word[:1]
    agree(with_symbolic_zeros, inner, word)


@pytest.mark.parametrize("form", FORMS, ids=lambda f: getattr(f, "__name__", "f"))
@pytest.mark.parametrize("word", ["jacrev jit jacrev jit", "jit jacrev vmap jit", "jit jacfwd jit", "vmap jit jvp vjp"])
def test_orders_of_compiled_functions(form, word):
    """Second derivatives through compiled and mapped functions, both ways."""
    agree(form, inner, word.split())


def clipped():
    """A function that is the identity and clips cotangents."""
    f = fg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, None), lambda _, ct: (np.clip(ct, -1.0, 1.0),))
    return f


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f: fg.grad(f)(3.0),
        lambda f: fg.jit(fg.grad(f))(3.0),
        lambda f: fg.grad(fg.jit(f))(3.0),
        lambda f: fg.vmap(fg.grad(f))(np.full(2, 3.0))[1],
        lambda f: fg.vmap(fg.jit(fg.grad(fg.jit(f))))(np.full(2, 3.0))[1],
        lambda f: fg.grad(lambda x: fg.vmap(f)(x).sum())(np.full(2, 3.0))[1],
        lambda f: fg.vjp(fg.jit(f), 3.0)[1](1.0)[0],
        lambda f: fg.jacrev(fg.jit(lambda x: fg.vmap(f)(x)))(np.full(2, 3.0))[1, 1],
    ],
)
def test_reverse_mode_takes_the_rule_as_it_is(derivative):
    """Gradient clipping is not linear; every route in reverse mode clips."""
    clip = clipped()
    assert derivative(lambda x: clip(x) ** 2) == 1.0


def test_tangents_that_a_batch_shares():
    """The transpose of the mapped tangent program is the rule, summed over the batch."""
    x = np.array([1.0, 2.0])
    f = fg.custom_vjp(lambda x: x**2)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (4.0 * x * ct,))
    for g in (f, fg.jit(f)):

        def h(t, g=g):
            return fg.vmap(lambda a: fg.jvp(g, (a,), (t,))[1])(x).sum()

        assert fg.grad(h)(1.0) == fg.grad(fg.jit(h))(1.0) == 12.0
        assert fg.linear_transpose(h, 1.0)(1.0) == (12.0,)


def test_straight_through():
    """A rule that is not the derivative: rounding that passes cotangents on."""

    @fg.custom_vjp
    def rounded(x):
        return np.round(x)

    rounded.defvjp(lambda x: (np.round(x), None), lambda _, ct: (ct,))
    np.testing.assert_array_equal(fg.jit(fg.grad(lambda x: np.sum(rounded(x) * x)))(np.array([0.6, 2.2])), [1.6, 4.2])
    # Forward mode transposes the rule, which is linear.
    assert fg.jvp(rounded, (0.6,), (2.0,)) == (1.0, 2.0)
    assert fg.jvp(fg.jit(rounded), (0.6,), (2.0,)) == (1.0, 2.0)


def test_forward_mode_of_a_rule_that_is_not_linear():
    """The error says so, and names the remedy, which helps."""
    clip = clipped()
    for call in (lambda: fg.jvp(clip, (3.0,), (5.0,)), lambda: fg.jvp(fg.jit(clip), (3.0,), (5.0,))):
        with pytest.raises(NonLinearError, match=r"not linear in the cotangent.*<lambda>\.defjvp\(rule\)"):
            call()
    clip.defjvp(lambda primals, tangents: (primals[0], 2.0 * tangents[0]))
    assert fg.jvp(clip, (3.0,), (5.0,)) == (3.0, 10.0)
    assert fg.jvp(fg.jit(lambda x: clip(x)), (3.0,), (5.0,)) == (3.0, 10.0)
    assert fg.grad(lambda x: clip(x) ** 2)(3.0) == 1.0


def test_forward_mode_of_control_flow_on_cotangents():
    """A rule that branches on the cotangent works in reverse mode; forward mode says why not."""
    f = fg.custom_vjp(lambda x: x)
    f.defvjp(lambda x: (x, x), lambda x, ct: (ct if ct < 2.0 else 2.0 * np.ones_like(ct),))
    assert fg.grad(lambda x: 5.0 * f(x))(3.0) == 2.0
    with pytest.raises(NonLinearError, match="transposes its backward rule"):
        fg.jvp(f, (3.0,), (1.0,))


def test_python_control_flow_on_values():
    """Outside of jit and vmap the forward rule runs on values; the function does not run."""
    f = fg.custom_vjp(lambda x: 1 / 0)
    f.defvjp(
        lambda x: (x, "up") if x > 0 else (-x, "down"),
        lambda res, ct: (ct if res == "up" else -ct,),
    )
    assert fg.grad(f)(3.0) == 1.0
    assert fg.jvp(f, (-3.0,), (2.0,)) == (3.0, -2.0)
    assert fg.hessian(lambda x: f(x) ** 2 * x)(-3.0) == -18.0


def test_without_tracers_the_function_runs():
    """It is called as it is."""
    f = fg.custom_vjp(float)
    f.defvjp(lambda x: 1 / 0, lambda res, ct: 1 / 0)
    assert f("2") == 2.0


def test_what_a_function_closes_over():
    """Its derivative is that of the code, never silently zero."""

    def f(x, y):
        g = fg.custom_vjp(lambda x: x * y**2)
        g.defvjp(lambda x: (g(x), None), lambda _, ct: (10.0 * ct * y,))
        return g(x)

    for derivative in (fg.grad(f, (0, 1)), fg.grad(fg.jit(f), (0, 1)), fg.jit(fg.grad(f, (0, 1)))):
        assert derivative(2.0, 3.0) == (30.0, 12.0)
    assert fg.grad(lambda y: f(2.0, y))(3.0) == 12.0
    assert fg.grad(fg.grad(f), 1)(2.0, 3.0) == 10.0
    np.testing.assert_array_equal(fg.vmap(fg.grad(f), (None, 0))(2.0, np.arange(3.0)), [0.0, 10.0, 20.0])


def test_a_backward_rule_that_closes_over_what_is_differentiated():
    """The result does not depend on it, so only a look into the rule's closure can tell."""

    def scaled(x, y):
        f = fg.custom_vjp(lambda x: x * 1.0)
        f.defvjp(lambda x: (x * 1.0, None), lambda _, ct: (ct * y,))
        return f(x) ** 2

    def by_custom_gradient(x, y):
        return fg.custom_gradient(lambda x: (x * 1.0, lambda ct: ct * y))(x) ** 2

    for f in (scaled, by_custom_gradient):
        for gradient in (fg.grad(f, (0, 1)), fg.jit(fg.grad(f, (0, 1))), fg.grad(fg.jit(f), (0, 1))):
            assert gradient(2.0, 3.0) == (12.0, 0.0)
        assert fg.grad(fg.grad(f), 1)(2.0, 3.0) == 4.0


def test_integers():
    """The rule is given float0 cotangents of integers, and what it returns for integer arguments is not read."""

    @fg.custom_vjp
    def f(x, n):
        return x * n, n + 1

    def bwd(residuals, cts):
        assert cts[1].dtype == fg.float0
        return cts[0] * residuals, None

    f.defvjp(lambda x, n: (f(x, n), n), bwd)
    for g in (f, fg.jit(f)):
        assert fg.grad(lambda x, n, g=g: g(x, n)[0])(2.0, 3) == 3.0
        _, (t, t_n) = fg.jvp(lambda x, g=g: g(x, 3), (2.0,), (1.0,))
        assert t == 3.0
        assert t_n.dtype == fg.float0


def test_none_stands_for_zero():
    """In the place of a cotangent, and of a part of one."""
    f = fg.custom_vjp(lambda a, b: a["x"] * a["y"] * b)
    f.defvjp(lambda a, b: (f(a, b), (a, b)), lambda r, ct: ({"x": ct * r[0]["y"] * r[1], "y": None}, None))
    for g in (f, fg.jit(f)):
        assert fg.grad(g, (0, 1))({"x": 2.0, "y": 3.0}, 5.0) == ({"x": 15.0, "y": 0.0}, 0.0)
        assert fg.jvp(g, ({"x": 2.0, "y": 3.0}, 5.0), ({"x": 1.0, "y": 1.0}, 1.0))[1] == 15.0


@pytest.mark.parametrize(
    ("returned", "error", "text"),
    [
        (
            lambda ct: ({"x": ct[None]}, ct),
            TransformValueError,
            r"argument 0\['x'\] must have shape \(\) .* \(1,\)",
        ),
        (lambda ct: ({"x": ct}, ct.astype(np.float32)), TransformTypeError, "argument 1 must have dtype float64"),
        (lambda ct: (ct, ct), TransformTypeError, "tree structure of the arguments"),
        (lambda ct: ({"x": ct, "y": ct}, ct), TransformTypeError, "tree structure of the arguments"),
        (lambda ct: ct, TransformTypeError, "must return a tuple of 2 cotangents, one for each .*, got float64|Tracer"),
        (lambda ct: (ct,), TransformTypeError, "must return a tuple of 2 cotangents.*length 1"),
        (lambda ct: ({"x": "a"}, ct), TypeError, "is not an array or a number but str"),
    ],
)
def test_cotangents_that_do_not_fit(returned, error, text):
    """The message names the rule, the argument by its key path, and both types."""
    f = fg.custom_vjp(lambda a, b: a["x"] * b)

    def my_rule(residuals, ct):
        return returned(ct)

    f.defvjp(lambda a, b: (f(a, b), None), my_rule)
    for g in (f, fg.jit(f)):
        with pytest.raises(error, match=text) as caught:
            fg.grad(g)({"x": 2.0}, 3.0)
        assert "my_rule" in str(caught.value)


def test_results_that_do_not_fit():
    """A forward rule must return a pair, and the result of the function."""

    def gradient(fwd, of=lambda f: f):
        f = fg.custom_vjp(lambda x: x**2)
        f.defvjp(fwd, lambda _, ct: (ct,))
        return fg.grad(of(f))(3.0)

    with pytest.raises(TransformTypeError, match=r"the forward rule .* must return a pair \(result, residuals\)"):
        gradient(lambda x: x)
    with pytest.raises(TransformValueError, match=r"result must have type f64\[\] as the function's, got f64\[1\]"):
        gradient(lambda x: (np.stack([x]), None), fg.jit)


def test_missing_rules():
    """A function without rules, wrong arguments."""
    f = fg.custom_vjp(lambda x: x)
    with pytest.raises(AttributeError, match="No VJP defined for custom_vjp function .* using defvjp"):
        f(1.0)


def test_traced_arguments_that_are_not_differentiated():
    """nondiff_argnums cuts the derivative; vmap and jit may trace such an argument all the same."""
    f = fg.custom_vjp(lambda n, x: n * x, nondiff_argnums=0)
    f.defvjp(lambda n, x: (n * x, None), lambda n, _, ct: (n * ct,))
    n = np.arange(2.0)
    assert fg.grad(f, 1)(2.0, 3.0) == fg.grad(fg.jit(f), 1)(2.0, 3.0) == 2.0
    assert fg.grad(f, 0)(2.0, 3.0) == fg.grad(fg.jit(f), 0)(2.0, 3.0) == 0.0
    np.testing.assert_array_equal(fg.vmap(fg.grad(f, 1), (0, None))(n, 3.0), n)
    assert fg.grad(lambda x: fg.vmap(f, (0, None))(n, x).sum())(3.0) == 1.0


def test_residuals_that_are_overwritten_afterwards():
    """Residuals are what they were when the rule returned them."""
    buffer = np.array([2.0, 3.0])
    f = fg.custom_vjp(lambda x: x * buffer)
    f.defvjp(lambda x: (x * buffer, buffer), lambda res, ct: (ct * res,))

    def g(x):
        out = np.sum(f(x))
        buffer[:] = 0.0
        return out

    np.testing.assert_array_equal(fg.grad(g)(np.ones(2)), [2.0, 3.0])


def test_batched_rules_in_axis_scope():
    """Rules may use the named axis of the vmap that the function is called in."""
    f = fg.custom_vjp(lambda x: x - fg.pmean(x, "i"))
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct - fg.pmean(ct, "i"),))
    x = np.array([1.0, 4.0, 5.0])

    def loss(x):
        return np.sum(fg.vmap(lambda v: f(v), axis_name="i")(x) ** 3)

    def plain(x):
        return np.sum((x - np.mean(x)) ** 3)

    np.testing.assert_allclose(fg.grad(loss)(x), fg.grad(plain)(x), rtol=1e-12)
    np.testing.assert_allclose(fg.grad(fg.jit(loss))(x), fg.grad(plain)(x), rtol=1e-12)


def test_pickling():
    """The program of a call is pickled with its rules, if these are functions of a module."""
    closed = fg.make_jaxpr(lambda x: BY_NAME(x, 2.0))(1.0)
    again = pickle.loads(pickle.dumps(closed))
    expected = inner_vjp(1.0, 2.0, 1.0)[0]
    assert fg.grad(lambda x: fg.eval_jaxpr(again, (), x)[0])(1.0) == expected


def test_leaked_tracers_in_the_backward_rule():
    """A backward rule that closes over what the forward rule computed is told to hand it on as a residual."""
    kept = {}
    f = fg.custom_vjp(lambda x: x**2)

    def fwd(x):
        kept["y"] = 2.0 * x
        return x**2, None

    f.defvjp(fwd, lambda _, ct: (ct * kept["y"],))
    with pytest.raises(UnexpectedTracerError):
        fg.grad(fg.jit(f))(3.0)

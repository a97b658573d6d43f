"""check_grads, check_jvp and check_vjp pass right derivatives, fail wrong ones, and say what is wrong with them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.elementwise import Elementwise
from fungrad.core.primitive import PRIMITIVES
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError
from fungrad.primitives.arithmetic import mul
from fungrad.primitives.trigonometric import cos, sin
from fungrad.testing import check_grads, check_jvp, check_vjp, numerical_jvp

X = np.array([0.3, -1.2, 0.8])


def model(params, x):
    """Pytrees in and out."""
    hidden = np.tanh(x @ params["w"] + params["b"])
    return {"loss": np.sum(hidden**2), "hidden": [hidden, np.exp(-x)]}


PARAMS = {"w": np.array([[0.5, -0.3], [0.1, 0.8], [-0.4, 0.2]]), "b": np.array([0.1, -0.2])}


@pytest.mark.parametrize("modes", ["fwd", "rev", ("fwd", "rev"), ["rev"]])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_right_derivatives_pass(modes, order):
    """A right derivative passes in each mode and to each order: pytrees, several results, Python numbers."""
    check_grads(model, (PARAMS, X), order, modes)
    check_grads(lambda x, y: (np.sin(x) * y, x / (2 + y)), (0.7, X), order, modes)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64, np.float32])
def test_other_dtypes(dtype):
    """Complex functions, holomorphic or not, and single precision pass with the default tolerances."""
    x = (X + 0.4j).astype(dtype) if np.dtype(dtype).kind == "c" else X.astype(dtype)
    for f in (
        lambda z: np.exp(z) * z,
        lambda z: (z * np.conj(z)).real,
        lambda z: [np.real(z), np.imag(z) ** 2],
        lambda z: z * np.abs(z),
    ):
        check_grads(f, (x,), order=2)


def test_integers_are_left_alone():
    """Integers and booleans among arguments and results have no derivative and are not looked at."""
    check_grads(
        lambda x, n, keep: (np.where(keep, x**n, x), n + 1),
        (X, np.array([1, 2, 3]), np.array([True, False, True])),
        order=2,
    )


def test_scale_of_the_arguments():
    """Large arguments are moved in proportion, so their derivatives are found too."""
    check_grads(lambda x: x**2, (np.array([1e6, 1e-6, 0.0]),), order=2)
    check_grads(np.log, (np.array([1e10, 2e5]),), order=2, atol=1e-12)


def test_zero_size_and_scalars():
    """Arrays without elements have nothing to compare; 0-d results compare as numbers."""
    check_grads(lambda x: x * 2.0, (np.zeros((0, 3)),), order=2)
    check_grads(np.sum, (X,), order=2)


def test_step_and_tolerances():
    """A large step shows in the differences; the tolerances decide whether that fails."""
    with pytest.raises(AssertionError, match="numeric"):
        check_grads(np.exp, (X,), eps=0.5, atol=1e-7, rtol=1e-7)
    check_grads(np.exp, (X,), eps=0.5, atol=1e-2, rtol=1e-2)


# Wrong derivatives


def wrong_jvp(args, tangents):
    """The derivative of sin with the wrong sign."""
    return np.sin(args[0]), -np.cos(args[0]) * tangents[0]


def wrong_vjp(x):
    """The same, backwards."""
    return np.sin(x), lambda w: (-np.cos(x) * w,)


def test_wrong_jvp_fails():
    """A wrong tangent fails, and the message names the argument, the element, both values and the tolerance."""
    with pytest.raises(AssertionError) as caught:
        check_jvp(np.sin, wrong_jvp, (X,))
    for part in (
        "forward mode: the jvp of sin is wrong",
        "argument [0] of type f64[3]",
        "index (0,) (3 of 3 elements",
        "exact",
        "numeric",
        "rtol=1e-06",
    ):
        assert part in str(caught.value)


def test_wrong_vjp_fails():
    """A wrong cotangent fails, and the message says so."""
    with pytest.raises(
        AssertionError, match=r"reverse mode: the vjp of sin is wrong\n.*argument \[0\] of type f64\[3\]\n.*pairing"
    ):
        check_vjp(np.sin, wrong_vjp, (X,))


def test_err_msg_replaces_the_title():
    """err_msg is what the message calls the derivative."""
    with pytest.raises(AssertionError, match="my rule is wrong"):
        check_jvp(np.sin, wrong_jvp, (X,), err_msg="my rule")
    with pytest.raises(AssertionError, match="my rule is wrong"):
        check_vjp(np.sin, wrong_vjp, (X,), err_msg="my rule")


def test_right_rules_by_hand_pass():
    """check_jvp and check_vjp accept what fungrad.jvp and fungrad.vjp return."""
    check_jvp(model, partial(fg.jvp, model), (PARAMS, X))
    check_vjp(model, partial(fg.vjp, model), (PARAMS, X))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x, v: (np.cos(x), np.cos(x) * v), "the value that comes with it"),
        (lambda x, v: (np.sin(x), np.sum(v)), r"has type f64\[\], it should be f64\[3\]"),
        (lambda x, v: (np.sin(x), (np.cos(x) * v).astype(np.float32)), r"has type f32\[3\], it should be f64\[3\]"),
        (lambda x, v: (np.sin(x), [np.cos(x) * v]), "has the tree"),
        (lambda x, v: (np.sin(x), np.cos(x) * v * np.array([1.0, 1.0, np.nan])), r"index \(2,\) \(1 of 3"),
        (lambda x, v: (np.sin(x), np.cos(x) * v + np.array([0.0, 1e-4, 0.0])), r"index \(1,\) \(1 of 3"),
    ],
    ids=["value", "shape", "dtype", "tree", "nan", "one element"],
)
def test_each_kind_of_fault_is_found(answer, message):
    """A wrong value, shape, dtype, tree, a nan, or one wrong element among right ones."""
    with pytest.raises(AssertionError, match=message):
        check_jvp(np.sin, lambda args, tangents: answer(args[0], tangents[0]), (X,))


def test_a_single_wrong_entry_of_a_cotangent_is_found():
    """An error in one element of a gradient shows in the pairing."""

    def pull(w):
        return (np.cos(X) * w + np.array([0.0, 0.0, 1e-4]),)

    with pytest.raises(AssertionError, match="the vjp of sin is wrong"):
        check_vjp(np.sin, lambda x: (np.sin(x), pull), (X,))


def test_the_argument_at_fault_is_named():
    """Of several arguments the message names the one whose derivative is wrong, by its path."""

    def jvp(args, tangents):
        (p,), (t,) = args, tangents
        return p["a"] * p["b"][0], p["a"] * t["b"][0] + 2 * p["b"][0] * t["a"]

    with pytest.raises(AssertionError, match=r"argument \[0\]\['a'\]"):
        check_jvp(lambda p: p["a"] * p["b"][0], jvp, ({"a": X, "b": [X + 1]},))


# A wrong primitive, planted


@pytest.fixture
def plant():
    """A function that makes a primitive, the sine with the rule given to it; it is forgotten when the test ends."""

    def make(rule):
        PRIMITIVES.pop("planted sin", None)
        return Elementwise("planted sin", np.sin, rule).function

    yield make
    PRIMITIVES.pop("planted sin", None)


@pytest.mark.parametrize("modes", ["fwd", "rev"])
def test_planted_wrong_rule_fails(plant, modes):
    """A rule with a wrong factor is found in both modes."""
    bad = plant(lambda t, x: mul(t, mul(cos(x), 1.001)))
    with pytest.raises(AssertionError, match="order 1"):
        check_grads(lambda x: np.sum(bad(x * x)), (X,), 2, modes)
    good = plant(lambda t, x: mul(t, cos(x)))
    check_grads(lambda x: np.sum(good(x * x)), (X,), 2, modes)


@pytest.mark.parametrize(("modes", "word"), [("fwd", "jvp of jvp"), ("rev", "vjp of vjp")])
def test_rule_that_is_wrong_at_second_order_only(plant, modes, word):
    """A rule that is right but for its own derivative passes order 1 and fails order 2, which names the word."""
    bad = plant(lambda t, x: mul(t, cos(fg.stop_gradient(x))))
    check_grads(lambda x: bad(x) * 2.0, (X,), 1, modes)
    with pytest.raises(AssertionError, match=f"order 2: the {word} of"):
        check_grads(lambda x: bad(x) * 2.0, (X,), 2, modes)


def test_planted_non_linear_rule_fails(plant):
    """A rule that is not linear in its tangent is found."""
    bad = plant(lambda t, x: mul(mul(t, t), sin(x)))
    with pytest.raises(AssertionError, match="is wrong"):
        check_grads(bad, (X,))


# Arguments


def test_bad_arguments():
    """order, modes and args are checked, and what cannot be checked is an error instead of a pass."""
    with pytest.raises(TransformValueError, match="modes must be of"):
        check_grads(np.sin, (X,), modes="forward")
    with pytest.raises(TransformValueError, match="modes must be of"):
        check_grads(np.sin, (X,), modes=())
    with pytest.raises(TransformValueError, match="order must be a positive integer, got 0"):
        check_grads(np.sin, (X,), order=0)
    with pytest.raises(TransformTypeError, match=r"write \(args,\)"):
        check_grads(np.sin, X)
    with pytest.raises(NonDifferentiableError, match="none of the arguments"):
        check_grads(np.sin, (1,))
    for modes in ("fwd", "rev"):
        with pytest.raises(NonDifferentiableError, match="no result is"):
            check_grads(lambda x: x > 0, (X,), modes=modes)


# Differences


def test_numerical_jvp_is_accurate():
    """Extrapolated differences have eleven digits in double precision, and four in single precision."""
    v = np.array([0.7, -0.6, 0.9])
    np.testing.assert_allclose(numerical_jvp(np.exp, (X,), (v,)), np.exp(X) * v, rtol=1e-11)
    single = numerical_jvp(np.exp, (X.astype("f"),), (v.astype("f"),))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, np.exp(X) * v, rtol=1e-4)


def test_numerical_jvp_of_trees():
    """Results keep their tree, dtypes and scalars; integers get float0."""
    out = numerical_jvp(lambda x, n: {"a": x.sum(), "n": n}, (X, np.arange(3)), (np.ones(3), np.zeros(3, fg.float0)))
    assert isinstance(out["a"], np.float64)
    assert np.isclose(out["a"], 3.0)
    assert out["n"].dtype == fg.float0

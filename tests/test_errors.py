"""Errors by their text: what was received, what was expected, where in the user's code, and what to write instead."""

import builtins
import inspect
import math
import os
import re

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors
from fungrad.core.primitive import PRIMITIVES, Primitive

X = np.array([1.0, 2.0, 3.0])
HERE = os.path.basename(__file__)


def _error(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def _where(fun, offset=0, name=None):
    """``test_errors.py:12 (in f)``: a line of the function."""
    return f"{HERE}:{fun.__code__.co_firstlineno + offset} (in {name or fun.__name__})"


def _function(fun):
    """``f (test_errors.py:12)``: how a message names the user's function."""
    return f"{fun.__name__} ({HERE}:{fun.__code__.co_firstlineno})"


# --- the classes ----------------------------------------------------------------------------------------------------

BUILTINS = {
    "FungradError": Exception,
    "AxisNameError": NameError,
    "ConcretizationTypeError": TypeError,
    "JaxprTypeError": TypeError,
    "MissingRuleError": NotImplementedError,
    "NonConcreteBooleanIndexError": IndexError,
    "NonDifferentiableError": TypeError,
    "NonLinearError": ValueError,
    "TracerArrayConversionError": TypeError,
    "TracerBoolConversionError": TypeError,
    "TracerIntegerConversionError": TypeError,
    "TransformTypeError": TypeError,
    "TransformValueError": ValueError,
    "UnexpectedTracerError": RuntimeError,
    "UnsupportedOperationError": TypeError,
}


def test_every_class_is_a_subclass_of_the_builtin_that_a_user_would_catch():
    """The table above is complete and true; all derive from FungradError and have a docstring."""
    classes = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__}
    assert set(classes) == set(BUILTINS) == set(errors.__all__)
    for name, cls in classes.items():
        assert issubclass(cls, errors.FungradError)
        assert issubclass(cls, BUILTINS[name])
        assert cls.__doc__
        assert not hasattr(builtins, name)


def test_names_are_those_of_jax_where_the_meaning_is():
    """except clauses of ported code keep their class names."""
    for name in (
        "ConcretizationTypeError",
        "TracerBoolConversionError",
        "TracerIntegerConversionError",
        "TracerArrayConversionError",
        "NonConcreteBooleanIndexError",
        "UnexpectedTracerError",
        "JaxprTypeError",
    ):
        assert hasattr(errors, name)
    assert issubclass(errors.TracerBoolConversionError, errors.ConcretizationTypeError)
    assert issubclass(errors.TracerIntegerConversionError, errors.ConcretizationTypeError)


# --- the output of grad ---------------------------------------------------------------------------------------------


def test_non_scalar_output():
    """Names the transform, the function, the shape; says sum or index or jacobian according to the shape."""

    def f(x):
        return x * x

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "fungrad.grad is only defined for scalar-output functions" in text
    assert "(3,)" in text
    assert ".sum()" in text and "fungrad.jacobian" in text and "elementwise_grad" in text
    assert _function(f) in text
    assert "fungrad.value_and_grad" in _error(TypeError, lambda: fg.value_and_grad(f)(X))


def test_output_of_one_element():
    """Shape (1,) is no scalar: index it or sum it."""

    def f(x):
        return x[:1]

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "(1,)" in text
    assert "[0]" in text and ".sum()" in text
    assert "jacobian" not in text
    assert _function(f) in text


@pytest.mark.parametrize(
    "output",
    [lambda x: (x[0], x[1]), lambda x: None, lambda x: [x[0]], lambda x: {"loss": x[0]}],
    ids=["pair", "None", "list", "dict"],
)
def test_output_that_is_a_tree(output):
    """A pair most likely wants has_aux; the tree is shown, the function named by its place, not by its address."""

    def f(x):
        return output(x)

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "returns one scalar" in text or "return one scalar" in text
    assert "has_aux=True" in text
    assert "TreeDef(" in text
    assert " at 0x" not in text
    assert _function(f) in text


def test_output_that_is_no_array():
    """Says what the result is, and that it may be returned as aux."""

    def f(x):
        return "text"

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "result is not an array or a number but str: 'text'" in text
    assert "has_aux" in text
    assert _function(f) in text


def test_complex_output():
    """holomorphic=True, or make it real."""

    def f(x):
        return x * 1j

    text = _error(TypeError, lambda: fg.grad(f)(1.0))
    assert "needs a real output, but" in text and "returned c128[]" in text
    assert "holomorphic=True" in text
    assert "abs(z)**2" in text and "z.real" in text
    assert _function(f) in text


def test_integer_output():
    """Integers and booleans have no derivative."""

    def f(x):
        return x > 0

    text = _error(TypeError, lambda: fg.grad(f)(1.0))
    assert "returned bool[]" in text
    assert "integers and booleans have no derivative" in text
    assert _function(f) in text


# --- the inputs -----------------------------------------------------------------------------------------------------


def test_integer_input():
    """A Python int: the message says which float to write."""

    def f(x):
        return x * 2.0

    text = _error(TypeError, lambda: fg.grad(f)(3))
    assert "fungrad.grad needs real or complex floating-point inputs" in text
    assert "i64[]" in text
    assert "pass 3.0 instead of 3" in text
    assert "allow_int=True" in text
    assert _function(f) in text
    assert "pass 1.0 instead of True" in _error(TypeError, lambda: fg.grad(f)(True))


def test_integer_array_input():
    """An integer array: .astype(float); which argument and which leaf."""

    def f(a, p):
        return p["w"].sum()

    text = _error(TypeError, lambda: fg.grad(f, argnums=1)(1.0, {"w": np.arange(3), "b": 1.0}))
    assert "['w']" in text
    assert "i64[3]" in text
    assert ".astype(float)" in text
    assert _function(f) in text


@pytest.mark.parametrize(
    "transform", [fg.grad, fg.value_and_grad, fg.elementwise_grad, fg.jacfwd, fg.jacrev, fg.jacobian, fg.hessian]
)
def test_integer_input_of_every_transform(transform):
    """All derivatives refuse integers, by their own name."""
    with pytest.raises(
        errors.NonDifferentiableError,
        match=rf"fungrad\.{transform.__name__} needs real or complex floating-point inputs",
    ):
        transform(lambda x: x * 2.0)(3)


@pytest.mark.parametrize(
    "leaf",
    ["text", {1.0}, object(), np.array(["a"]), np.array([1, None]), np.array(["2020-01-01"], "M8[D]"), b"bytes", len],
)
def test_leaves_that_are_no_arrays(leaf):
    """The message names the leaf and what it is, and where such things belong; it does not offer allow_int."""

    def f(p):
        return p["x"] * 2.0

    text = _error(TypeError, lambda: fg.grad(f)({"x": 1.0, "other": leaf}))
    assert "fungrad.grad" in text
    assert "['other']" in text
    assert "is not an array" in text
    assert "close over it" in text
    assert "allow_int" not in text


def test_a_bare_leaf_that_is_no_array():
    """Without a path the sentence still reads well."""
    text = _error(TypeError, lambda: fg.grad(lambda x: x)("text"))
    assert "str: 'text'" in text
    assert "  " not in text


def test_not_callable():
    """grad(f(x)) instead of grad(f)."""
    for transform in (
        "grad",
        "value_and_grad",
        "elementwise_grad",
        "jacfwd",
        "jacrev",
        "jacobian",
        "hessian",
        "vmap",
        "make_jaxpr",
    ):
        text = _error(TypeError, lambda transform=transform: getattr(fg, transform)(X))
        assert f"fungrad.{transform} expects a function, got ndarray" in text
        assert f"Write fungrad.{transform}(f), not fungrad.{transform}(f(x))" in text
    for transform in ("jvp", "hvp"):
        assert f"fungrad.{transform} expects a function" in _error(
            TypeError, lambda transform=transform: getattr(fg, transform)(3.0, (1.0,), (1.0,))
        )
    for transform in ("vjp", "linearize", "linear_transpose", "eval_shape"):
        assert f"fungrad.{transform} expects a function" in _error(
            TypeError, lambda transform=transform: getattr(fg, transform)(3.0, 1.0)
        )


def test_argnums_out_of_range():
    """How many arguments are needed and how many came; keyword arguments go by argnames."""

    def f(x, y):
        return x * y

    text = _error(ValueError, lambda: fg.grad(f, 1)(1.0, y=2.0))
    assert "argnums=1" in text
    assert "at least 2 positional arguments, but the call passed 1" in text
    assert "argnames" in text
    assert _function(f).replace("f (", "f (") in text


def test_a_list_of_numbers():
    """A list is a pytree of scalars: NumPy functions on it point to np.stack."""
    for f in (np.sum, lambda x: np.sin(x).sum(), lambda x: np.dot(x, [1.0, 2.0])):
        text = _error(errors.TracerArrayConversionError, lambda f=f: fg.grad(f)([1.0, 2.0]))
        assert "np.stack" in text
    assert fg.grad(lambda x: np.stack(x).sum())([1.0, 2.0]) == [1.0, 1.0]
    with pytest.raises(TypeError):
        fg.grad(lambda x: (x**2).sum())([1.0, 2.0])


# --- tangents, cotangents, maps -------------------------------------------------------------------------------------


def test_wrong_tangents():
    """Tree, shape, dtype: both sides are shown."""

    def f(p):
        return p["x"].sum()

    text = _error(TypeError, lambda: fg.jvp(f, ({"x": X},), ({"y": X},)))
    assert "TreeDef(({'x': *},))" in text and "TreeDef(({'y': *},))" in text
    text = _error(ValueError, lambda: fg.jvp(f, ({"x": X},), ({"x": X[:2]},)))
    assert "tangents[0]['x'] must have shape (3,)" in text and "got (2,)" in text
    text = _error(TypeError, lambda: fg.jvp(f, ({"x": X},), ({"x": X.astype(np.float32)},)))
    assert "tangents[0]['x'] must have dtype float64" in text and "got float32" in text and ".astype" in text
    text = _error(TypeError, lambda: fg.jvp(lambda n: n * 1.0, (np.arange(3),), (np.arange(3),)))
    assert "float0" in text and "i64[3]" in text


def test_wrong_cotangents():
    """As for tangents."""
    pull = fg.vjp(lambda x: {"y": x * 2}, X)[1]
    text = _error(TypeError, lambda: pull(X))
    assert "the cotangent must have the tree structure TreeDef({'y': *}), got TreeDef(*)" in text
    text = _error(ValueError, lambda: pull({"y": X[:2]}))
    assert "the cotangent['y'] must have shape (3,)" in text and "got (2,)" in text
    text = _error(TypeError, lambda: pull({"y": X * 1j}))
    assert "must have dtype float64" in text and "got complex128" in text
    with pytest.raises(TypeError, match="takes one argument"):
        pull(X, X)


def test_vmap_sizes():
    """A table of the mapped arguments."""

    def f(x, y, z):
        return x

    text = _error(ValueError, lambda: fg.vmap(f, in_axes=(0, None, 1))(X, 1.0, {"a": np.ones((3, 2))}))
    assert "inconsistent sizes" in text
    assert "argument 0: size 3 of axis 0" in text
    assert "argument 2['a']: size 2 of axis 1" in text
    assert "argument 1" not in text
    assert _function(f) in text


# --- plain numbers and arrays ---------------------------------------------------------------------------------------


def test_float_of_a_traced_array():
    """float(x) would drop the derivative: where, of what, and what to write."""

    def f(x):
        return float(x) * 2

    text = _error(TypeError, lambda: fg.grad(f)(1.0))
    assert f"float(x) at {_where(f, 1)}".replace(HERE, "") in text.replace(os.path.relpath(__file__), "")
    assert "f64[]" in text
    assert "fungrad.grad of" in text
    assert "drop its derivative" in text
    assert "fungrad.stop_gradient(x)" in text


@pytest.mark.parametrize("name", ["sin", "exp", "sqrt", "log", "tanh", "pow", "hypot", "atan2", "isnan", "floor"])
def test_math_functions(name):
    """math.sin(x): use np.sin. math.floor gives an integer and is allowed, as int() is."""

    def f(x):
        fun = getattr(math, name)
        return fun(x, 2.0) * x if name in ("pow", "hypot", "atan2") else fun(x) * x

    if name == "floor":
        assert fg.grad(f)(2.5) == 2.0
        return
    text = _error(TypeError, lambda: fg.grad(f)(1.0))
    assert "math.* functions call float(); use np.sin, np.exp" in text
    assert HERE in text


def test_assignment_into_a_plain_array():
    """z[0] = x: NumPy's ValueError is caused by the error that says what to write instead."""

    def f(x):
        z = np.zeros(3)
        z[0] = x
        return z.sum()

    with pytest.raises((TypeError, ValueError)) as caught:
        fg.grad(f)(1.0)
    chain, error = [], caught.value
    while error is not None:
        chain.append(str(error))
        error = error.__cause__ or error.__context__
    text = " ".join(chain)
    assert "z[i] = x into a plain NumPy array" in text
    assert "np.stack" in text and "np.where" in text
    assert _where(f, 2) in text


def test_assignment_of_a_vector_into_a_plain_array():
    """z[:] = x."""

    def f(x):
        z = np.zeros(3)
        z[:] = x
        return z.sum()

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "f64[3]" in text
    assert "z[0] = a" in text
    assert "np.stack" in text
    assert _where(f, 2) in text


def test_augmented_assignment_of_a_plain_array():
    """z += x: write z = z + x."""

    def f(x):
        z = np.zeros(3)
        z += x
        return z.sum()

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "augmented assignment" in text
    assert "Write a = a + x" in text
    assert _where(f, 2) in text


def test_assignment_into_a_traced_array():
    """x[0] = 1: build a new one."""

    def f(x):
        x[0] = 1.0
        return x.sum()

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "cannot be changed in place" in text
    assert "np.where" in text
    assert _where(f, 1) in text


@pytest.mark.parametrize(
    "what",
    [
        lambda x: np.array([x[0], x[1]]),
        lambda x: np.asarray(x),
        lambda x: np.array(x),
        lambda x: np.float64(x[0]),
        lambda x: np.full(3, x[0]),
        lambda x: np.ones(3).dot(x),
        lambda x: np.r_[x, 0.0],
        lambda x: np.random.default_rng(0).normal(x),
        lambda x: np.vectorize(lambda y: y)(x),
        lambda x: np.arange(x[0]),
        lambda x: np.testing.assert_allclose(x, x),
    ],
    ids=["list", "asarray", "array", "float64", "full", "plain.dot", "r_", "random", "vectorize", "arange", "testing"],
)
def test_numpy_asks_for_a_plain_array(what):
    """Each way in which NumPy would get at a plain array raises, with the place and what to write."""

    def f(x):
        return what(x)

    text = _error(errors.TracerArrayConversionError, lambda: fg.grad(f)(X))
    assert "its derivative would be lost" in text
    assert "np.stack([a, b])" in text
    assert "plain @ x" in text
    assert "fungrad.stop_gradient(x)" in text
    assert HERE in text


def test_what_the_conversion_error_recommends_works():
    """The replacements that the message names are right."""
    plain = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(fg.grad(lambda x: np.stack([x[0], x[1]]).sum())(X), [1.0, 1.0, 0.0])
    np.testing.assert_array_equal(fg.grad(lambda x: (plain @ x).sum())(X), plain.sum(0))
    np.testing.assert_array_equal(fg.grad(lambda x: np.concatenate([x, x]).sum())(X), [2.0, 2.0, 2.0])
    assert fg.grad(lambda x: x[0] * float(fg.stop_gradient(x[1])))(X)[0] == 2.0


def test_indexing_a_plain_array_with_a_traced_integer():
    """plain[i] with a mapped i: what the message recommends must work."""

    def f(i):
        return X[i]

    with pytest.raises(TypeError) as caught:
        fg.vmap(f)(np.array([2, 0]))
    text = str(caught.value)
    assert _where(f, 1) in text
    assert "instead of plain[x] write fungrad.numpy.take(plain, x)" in text
    np.testing.assert_array_equal(fg.vmap(lambda i: fg.numpy.take(X, i))(np.array([2, 0])), [3.0, 1.0])


@pytest.mark.parametrize(("what", "name"), [
    (lambda x: np.linalg.eigvals(np.outer(x, x)), "numpy.linalg.eigvals"),
    (lambda x: np.copyto(np.zeros(3), x), "numpy.copyto"),
    (lambda x: np.add.at(np.zeros(3), [0], x[0]), "numpy.add.at"),
    (lambda x: np.sin(x, out=np.zeros(3)), "numpy.sin"),
    (lambda x: np.put(np.zeros(3), [0], x[0]), "numpy.put"),
    (lambda x: np.nextafter.reduce(x), "numpy.nextafter.reduce"),
], ids=["eigvals", "copyto", "add.at", "out", "put", "reduce"])  # fmt: skip
def test_functions_that_are_not_supported(what, name):
    """A NumPy function without a rule is named, with the user's line; it never runs on plain values in silence."""

    def f(x):
        what(x)
        return x.sum()

    text = _error(errors.UnsupportedOperationError, lambda: fg.grad(f)(X))
    assert name in text
    assert HERE in text


def test_masked_arrays_are_refused():
    """A mask cannot be kept: computing with the data below it would be silently wrong."""
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    assert (X * masked).sum() == 10.0
    with pytest.raises(TypeError, match="mask"):
        fg.grad(lambda x: (x * masked).sum())(X)
    with pytest.raises(TypeError):  # here numpy.ma itself asks for a plain array
        fg.grad(lambda x: (masked * x).sum())(X)
    with pytest.raises(TypeError, match="mask"):
        fg.grad(lambda x: x.sum())(masked)


def test_operands_of_foreign_types():
    """An object with reflected operators of its own gets its turn, as with NumPy scalars."""

    class Scale:
        __array_ufunc__ = None

        def __rmul__(self, other):
            return other * 3.0

        def __radd__(self, other):
            return other + 1.0

    assert np.float64(2.0) * Scale() == 6.0
    assert fg.grad(lambda x: x * Scale() + Scale())(2.0) == 3.0


def test_errors_of_numpy_stay_numpys():
    """Shapes and indices that are wrong without tracing are wrong in the same words with it."""
    cases = [
        (ValueError, lambda x: x + np.ones(2)),
        (IndexError, lambda x: x[5]),
        (IndexError, lambda x: x[0, 0]),
        (ValueError, lambda x: x @ np.ones(2)),
        (ValueError, lambda x: x.reshape(2, 2)),
        (np.exceptions.AxisError, lambda x: x.sum(axis=1)),
        (TypeError, lambda x: x + "a"),
        (TypeError, lambda x: x + None),
        (TypeError, lambda x: list(x[0])),
        (AttributeError, lambda x: x.no_such_thing),
    ]
    for kind, f in cases:
        with pytest.raises(kind):
            f(X)
        with pytest.raises(kind):
            fg.grad(lambda x, f=f: (f(x), x.sum())[1])(X)
        if kind is not TypeError:
            with pytest.raises(kind):
                fg.vmap(f)(np.stack([X, X]))


def test_the_users_own_errors_pass_through():
    """Exceptions of the function are not wrapped, and their traceback shows the user's line."""

    def f(x):
        raise KeyError("mine")

    for call in (
        lambda: fg.grad(f)(1.0),
        lambda: fg.vmap(f)(X),
        lambda: fg.jacfwd(f)(X),
        lambda: fg.make_jaxpr(f)(1.0),
        lambda: fg.vjp(f, 1.0),
    ):
        with pytest.raises(KeyError, match="mine") as caught:
            call()
        assert caught.value.__cause__ is None
        assert caught.traceback[-1].frame.code.name == "f"


# --- missing rules --------------------------------------------------------------------------------------------------


def test_missing_rules():
    """The primitive and the rule that it lacks are named."""
    before = dict(PRIMITIVES)
    try:
        bare = Primitive("test_bare", lambda x: x)
        assert "'test_bare' has no abstract rule" in _error(NotImplementedError, lambda: fg.make_jaxpr(bare.bind)(1.0))
        typed = Primitive("test_typed", lambda x: x, abstract=lambda x: x)
        assert "'test_typed' has no batching rule" in _error(NotImplementedError, lambda: fg.vmap(typed.bind)(X))
        assert "'test_typed'" in _error(NotImplementedError, lambda: fg.grad(typed.bind)(1.0))
    finally:
        PRIMITIVES.clear()
        PRIMITIVES.update(before)


# --- leaked tracers -------------------------------------------------------------------------------------------------


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


# --- general properties ---------------------------------------------------------------------------------------------


def test_the_place_is_a_relative_path_from_the_working_directory():
    """So that editors and terminals can follow it."""

    def f(x):
        return float(x)

    text = _error(TypeError, lambda: fg.grad(f)(1.0))
    place = re.search(r"at (\S+):(\d+) \(in f\)", text)
    assert os.path.samefile(place[1], __file__)
    assert int(place[2]) == f.__code__.co_firstlineno + 1


def test_code_without_a_file_is_named_all_the_same():
    """Functions from exec or a console have no file."""
    scope = {}
    exec("def f(x):\n    return float(x)", scope)
    text = _error(TypeError, lambda: fg.grad(scope["f"])(1.0))
    assert "<string>:2 (in f)" in text
    assert "f (<string>:1)" in text


def test_partials_and_callables_are_named():
    """Functions without code of their own are named by what they are."""

    class Loss:
        def __call__(self, x):
            return float(x)

    text = _error(TypeError, lambda: fg.grad(Loss())(1.0))
    assert "fungrad.grad of Loss" in text

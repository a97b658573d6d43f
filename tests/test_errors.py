"""Errors by their text: what was received, what was expected, where in the user's code, and what to write instead."""

import builtins
import inspect
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


def _function(fun):
    """``f (test_errors.py:12)``: how a message names the user's function."""
    return f"{fun.__name__} ({HERE}:{fun.__code__.co_firstlineno})"


# --- the classes ----------------------------------------------------------------------------------------------------

BUILTINS = {
    "FungradError": Exception,
    "AxisNameError": NameError,
    "ConcretizationTypeError": TypeError,
    "JaxprTypeError": TypeError,
    "MissingCustomRuleError": AttributeError,
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
    """All derivatives refuse integers, by their own name, and name the user's function."""

    def f(x):
        return x * 2.0

    text = _error(errors.NonDifferentiableError, lambda: transform(f)(3))
    assert f"fungrad.{transform.__name__} needs real or complex floating-point inputs" in text
    assert _function(f) in text


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
    """A list is a pytree of scalars: NumPy's functions make an array of it, but those that ask for a dtype."""
    for f in (np.sum, lambda x: np.sin(x).sum(), lambda x: np.dot(x, [1.0, 2.0]), lambda x: np.stack(x).sum()):
        expected = fg.grad(lambda x, f=f: f(x))(np.array([1.0, 2.0]))
        np.testing.assert_allclose(fg.grad(f)([1.0, 2.0]), expected)
    text = _error(errors.TracerArrayConversionError, lambda: fg.grad(np.mean)([1.0, 2.0]))
    assert "fungrad.numpy.asarray" in text
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

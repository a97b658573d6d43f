"""Refusals: where plain Python or NumPy would drop a derivative in silence, an error says what to write instead."""

import math
import operator
import os

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors
from fungrad.testing import numerical_jvp

X = np.array([1.0, 2.0, 3.0])
PLAIN = np.zeros(3)
MATRIX = np.eye(3).view(np.matrix)
HERE = os.path.basename(__file__)


def _error(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def _where(fun, offset=0, name=None):
    """``test_refusals.py:12 (in f)``: a line of the function."""
    return f"{HERE}:{fun.__code__.co_firstlineno + offset} (in {name or fun.__name__})"


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


def test_assignment_of_a_vector_into_a_plain_array():
    """z[:] = x."""

    def f(x):
        z = np.zeros(3)
        z[:] = x
        return z.sum()

    text = _error(TypeError, lambda: fg.grad(f)(X))
    assert "f64[3]" in text
    assert "fungrad.numpy.asarray" in text
    assert _where(f, 2) in text


def test_augmented_assignment_of_a_plain_array():
    """z += x gives the name z to the traced sum, unless another name would keep the old array: write z = z + x."""

    def f(x):
        z = np.zeros(3)
        z += x
        z *= x
        return z.sum()

    np.testing.assert_array_equal(fg.grad(f)(X), 2 * X)

    def g(x):
        z = np.zeros(3)
        y = z
        z += x
        return y.sum()

    text = _error(TypeError, lambda: fg.grad(g)(X))
    assert "augmented assignment" in text
    assert "Write a = a + x" in text
    assert _where(g, 3) in text


@pytest.mark.parametrize(
    "what",
    [
        lambda x: np.asarray(x, float),
        lambda x: np.array([x[0], 1.0], dtype=np.float32),
        lambda x: np.float64(x[0]),
        lambda x: np.random.default_rng(0).normal(x),
        lambda x: np.random.normal(x[0]),
        lambda x: np.mean([x[0], x[1]]),
        lambda x: np.std([x[0], x[1]]),
        lambda x: np.zeros(3).take(x),
    ],
    ids=["asarray", "array", "float64", "random", "random scalar", "mean of a list", "std of a list", "take"],
)
def test_numpy_asks_for_a_plain_array(what):
    """Each way in which NumPy would get at plain numbers raises, with the place and what to write."""

    def f(x):
        return what(x)

    text = _error(errors.TracerArrayConversionError, lambda: fg.grad(f)(X))
    assert "its derivative would be lost" in text
    assert "fungrad.numpy.asarray" in text
    assert "fungrad.stop_gradient(x)" in text
    assert HERE in text


def test_numpy_asks_for_a_number():
    """np.arange wants Python numbers."""
    text = _error(errors.ConcretizationTypeError, lambda: fg.grad(lambda x: np.arange(x[0]).sum())(X))
    assert "drop its derivative" in text
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
    (lambda x: np.save("file.npy", x), "numpy.save"),
    (lambda x: np.copyto(np.zeros(3), x), "numpy.copyto"),
    (lambda x: np.add.at(np.zeros(3), [0], x[0]), "numpy.add.at"),
    (lambda x: np.sin(x, out=PLAIN), "numpy.sin"),
    (lambda x: np.put(np.zeros(3), [0], x[0]), "numpy.put"),
    (lambda x: np.frompyfunc(abs, 1, 1)(x), "made by numpy.frompyfunc"),
    (lambda x: np.add(x, x, out=PLAIN), "numpy.add"),
], ids=["save", "copyto", "add.at", "out", "put", "frompyfunc", "add out"])  # fmt: skip
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
    for call in (
        lambda x: x * masked,
        lambda x: np.add(masked, x),
        lambda x: x @ masked,
        lambda x: np.concatenate([x, masked]),
        lambda x: np.stack([masked, x]),
        lambda x: np.where(X > 0, masked, x),
        lambda x: x * MATRIX,
        lambda x: MATRIX @ x,
        lambda x: masked * x,  # a result
        lambda x: np.concatenate([masked * x, x]),
    ):
        with pytest.raises(TypeError, match="mask"):
            fg.jvp(call, (X,), (X,))
    with pytest.raises(TypeError, match="mask"):
        fg.grad(lambda x: x.sum())(masked)


def test_numpys_masked_arrays_of_traced_numbers():
    """What numpy.ma computes by itself respects the mask: NumPy does it element by element."""
    masked = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    np.testing.assert_array_equal(fg.grad(lambda x: (masked * x).sum())(X), [1.0, 0.0, 3.0])
    np.testing.assert_array_equal(fg.grad(lambda x: np.ma.array(x, mask=masked.mask).sum())(X), [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(fg.grad(lambda x: (masked * x).filled(0.0) @ X)(X), [1.0, 0.0, 9.0])


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


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
def test_augmented_assignment_of_arrays(name):
    """As in NumPy another name of the array sees the change."""
    augment = getattr(operator, f"i{name}")

    def f(x):
        y = x.copy()
        other = y
        assert augment(y, 1.3 * x[::-1]) is y
        return y * other

    tangent = np.array([0.3, -0.2, 0.5])
    value, pushed = fg.jvp(f, (X,), (tangent,))
    np.testing.assert_allclose(value, f(X))
    (numeric,) = fg.tree.leaves(numerical_jvp(f, (X,), (tangent,))) if name != "floordiv" else (np.zeros(3),)
    np.testing.assert_allclose(pushed, numeric, atol=1e-5)
    np.testing.assert_allclose(fg.vmap(f)(np.stack([X, 2 * X])), np.stack([f(X), f(2 * X)]))


def test_augmented_assignment_of_numbers_makes_a_new_number():
    """As in Python and for NumPy's scalars: another name keeps the old one."""

    def f(x):
        y = x
        y += 1.0
        y *= x
        return y + 10.0 * x

    assert fg.value_and_grad(f)(3.0) == (42.0, 17.0)
    assert fg.grad(f)(np.float64(3.0)) == 17.0
    np.testing.assert_array_equal(fg.vmap(f)(np.array([3.0])), [42.0])


def test_augmented_assignment_of_an_array_without_axes():
    """It is an array: its other names see the change."""

    def f(x):
        y = x.copy()
        z = y
        y += 1.0
        return y * z

    assert f(np.array(3.0)) == 16.0
    assert fg.value_and_grad(f)(np.array(3.0)) == (16.0, 8.0)

    def g(x):
        y = x[0, ...]
        y *= 2.0
        return x.sum()

    np.testing.assert_array_equal(fg.vjp(lambda x: g(x.copy()), X)[1](1.0)[0], [2.0, 1.0, 1.0])


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_an_element_of_a_plain_array(transform):
    """``z[0] = x``: not NumPy's "setting an array element with a sequence", but the line, the transform and the way."""

    def f(x):
        z = np.zeros(3)
        z[0] = x[1]
        return z.sum()

    run = {"grad": lambda: fg.grad(f)(X), "vmap": lambda: fg.vmap(f)(X[None])}[transform]
    text = _error(errors.ConcretizationTypeError, run)
    assert _where(f, 2).split(HERE)[1] in text
    assert f"fungrad.{transform} of" in text
    assert "make z with np.zeros_like(x) or fungrad.numpy.zeros" in text
    assert "np.stack" in text and "np.where" in text


def test_the_chain_of_errors_ends():
    """NumPy's error, which ours replaces, stands before it and not behind it too."""

    def f(x):
        z = np.zeros(3)
        z[0] = x
        return z.sum()

    with pytest.raises(errors.ConcretizationTypeError) as caught:
        fg.grad(f)(1.0)
    chain, error = [], caught.value
    while error is not None and len(chain) < 9:
        chain.append(error)
        error = error.__cause__ or error.__context__
    assert len(chain) == 2


def test_an_error_that_is_handled_outside_stays_there():
    """What the program did before, in an ``except`` around the transform, is no error of the transform."""
    plain = np.zeros(3)
    seen = []

    def f(x):
        try:
            plain[0] = x[0]
        except ValueError as error:
            seen.append(type(error.__cause__))
            return x[0] * fg.grad(lambda y: y * x[1])(2.0)

    np.testing.assert_array_equal(fg.grad(f)(X), [2, 1, 0])
    assert seen == [errors.ConcretizationTypeError]


def test_slices_of_a_plain_array_and_dtypes():
    """The transform is named too, and the array to write into, and random samples."""

    def fill(x):
        z = np.zeros(3)
        z[1:] = x[1:]
        return z.sum()

    def sample(x):
        return np.random.default_rng(0).normal(x, 1.0).sum()

    for f in (fill, sample):
        for run in (lambda f=f: fg.grad(f)(X), lambda f=f: fg.make_jaxpr(f)(X)):
            text = _error(errors.TracerArrayConversionError, run)
            assert f"(in {f.__name__})" in text
            assert "make the array with np.zeros_like(x) or fungrad.numpy.zeros" in text
            assert "x + s * rng.normal(size=x.shape)" in text
            assert "made by fungrad." in text


@pytest.mark.parametrize("permutation", [np.random.permutation, np.random.default_rng(0).permutation])
def test_a_random_permutation(permutation):
    """NumPy's error is kept, with a note."""

    def f(x):
        return permutation(x)[0]

    with pytest.raises(ValueError, match="read-only") as caught:
        fg.grad(f)(X)
    assert "write x[rng.permutation(len(x))]" in caught.value.__notes__[0]
    assert "fungrad.grad of" in caught.value.__notes__[0]

"""The methods and keyword arguments of ufuncs: values and dtypes for all of them, degenerate cases, refusals."""

import functools
import warnings

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors

UFUNCS = sorted(
    {u for u in vars(np).values() if isinstance(u, np.ufunc) and (u.nin, u.nout, u.signature) == (2, 1, None)},
    key=lambda u: u.__name__,
)
# NumPy's own reductions of one long axis by these are wrong on processors with AVX-512 (the accumulator is read late).
UNRELIABLE = {"arctan2", "power", "ldexp"}
MASKS = {
    shape: np.random.default_rng(7).uniform(size=shape) < 0.6 for shape in ((4,), (3, 2), (0,), (2, 0), (0, 2), ())
}

CALLS = {
    "reduce": lambda u, x: u.reduce(x),
    "keepdims": lambda u, x: u.reduce(x, axis=-1, keepdims=True),
    "all axes": lambda u, x: u.reduce(x, axis=None),
    "no axes": lambda u, x: u.reduce(x, axis=()),
    "initial": lambda u, x: u.reduce(x, initial=2),
    "no initial": lambda u, x: u.reduce(x, initial=None),
    "where": lambda u, x: u.reduce(x, where=MASKS[np.shape(x)]),
    "initial where": lambda u, x: u.reduce(x, where=MASKS[np.shape(x)], initial=2),
    "dtype": lambda u, x: u.reduce(x, dtype=np.float32),
    "accumulate": lambda u, x: u.accumulate(x),
    "accumulate dtype": lambda u, x: u.accumulate(x, axis=-1, dtype=np.float64),
    "reduceat": lambda u, x: u.reduceat(x, [0, 2, 1]),
    "reduceat axis": lambda u, x: u.reduceat(x, [0], axis=-1),
    "outer": lambda u, x: u.outer(x, x),
    "outer dtype": lambda u, x: u.outer(x, x, dtype="f4"),
    "call dtype": lambda u, x: u(x, 2, dtype="f4"),
    "call casting": lambda u, x: u(x, x, casting="safe", dtype="f8"),
}
TOLERANCE = {"e": 2e-2, "f": 1e-5, "F": 1e-5}


def outcome(call):
    """The result, or the kind of error."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.asarray(call())
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        return error


def operand(dtype, shape):
    """Numbers away from zero, of any dtype."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0.5, 3.0, shape)
    return np.asarray(x + 1j * rng.uniform(-1, 1, shape) if dtype in "FD" else x).astype(dtype)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", "?bHlefdD")
def test_all_ufuncs(name, dtype):
    """Recorded on types alone, every method of every ufunc has NumPy's value, shape and dtype, or its error."""
    call = CALLS[name]
    for ufunc in UFUNCS:
        for shape in MASKS:
            if shape == (4,) and ufunc.__name__ in UNRELIABLE:
                continue
            x = operand(dtype, shape)
            expected = outcome(lambda u=ufunc, x=x: call(u, x))
            actual = outcome(lambda u=ufunc, x=x: fg.eval_jaxpr(fg.make_jaxpr(lambda x: call(u, x))(x), (), x)[0])
            what = f"{ufunc.__name__} of {dtype}{shape}: {actual!r} instead of {expected!r}"
            if isinstance(expected, Exception):
                kind = next(k for k in (TypeError, ValueError, IndexError, OverflowError) if isinstance(expected, k))
                assert isinstance(actual, kind), what
                continue
            assert not isinstance(actual, Exception), what
            assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype), what
            np.testing.assert_allclose(actual, expected, TOLERANCE.get(expected.dtype.char, 1e-11), 1e-11, err_msg=what)


@pytest.mark.parametrize("ufunc", [np.arctan2, np.power, np.divide, np.subtract], ids=lambda u: u.__name__)
def test_the_order_of_a_reduction(ufunc):
    """By definition a fold from the left; also along one axis, where NumPy itself may be wrong."""
    x = np.array([1.9, 1.2, 0.7, 1.4])
    assert np.isclose(fg.jvp(ufunc.reduce, (x,), (x,))[0], functools.reduce(ufunc, x), rtol=1e-14)
    steps = [functools.reduce(ufunc, x[: k + 1]) for k in range(4)]
    np.testing.assert_allclose(fg.jvp(ufunc.accumulate, (x,), (x,))[0], steps, rtol=1e-14)
    parts = [functools.reduce(ufunc, x[:3]), x[3]]
    np.testing.assert_allclose(fg.jvp(lambda x: ufunc.reduceat(x, [0, 3]), (x,), (x,))[0], parts, rtol=1e-14)


def test_several_axes_of_an_operation_with_an_order():
    """NumPy's error, whether values are known or not."""
    x = np.ones((2, 3))
    for transform in (lambda f: fg.jvp(f, (x,), (x,)), lambda f: fg.make_jaxpr(f)(x)):
        with pytest.raises(ValueError, match="not reorderable"):
            transform(lambda x: np.subtract.reduce(x, axis=(0, 1)))
        with pytest.raises(ValueError, match="'divide' does not have an identity"):
            transform(lambda x: np.divide.reduce(x, where=x > 0))
        with pytest.raises(ValueError, match="accumulate does not allow multiple axes"):
            transform(lambda x: np.divide.accumulate(x, axis=None))
        with pytest.raises(np.exceptions.AxisError):
            transform(lambda x: np.hypot.reduce(x, axis=2))
        with pytest.raises(TypeError, match="cannot accumulate on a scalar"):
            transform(lambda x: np.hypot.accumulate(x[0, 0]))
        with pytest.raises(IndexError, match=r"index 3 out-of-bounds in add.reduceat \[0, 3\)"):
            transform(lambda x: np.add.reduceat(x, [0, 3], axis=1))


def test_extrema_that_skip_nan():
    """fmax.reduce: nan takes no part; equal elements share the derivative equally."""
    x = np.array([1.0, np.nan, 3.0, 3.0, np.nan, 3.0])
    value, gradient = fg.value_and_grad(np.fmax.reduce)(x)
    assert value == 3.0
    np.testing.assert_allclose(gradient, [0, 0, 1 / 3, 1 / 3, 0, 1 / 3])
    assert np.isnan(fg.value_and_grad(np.fmin.reduce)(np.full(2, np.nan))[0])


@pytest.mark.parametrize("ufunc", [np.logaddexp, np.logaddexp2], ids=lambda u: u.__name__)
def test_logaddexp_of_what_cannot_be_exponentiated(ufunc):
    """The gradient is a softmax without overflow; -inf takes no part, and nothing but -inf has the derivative 0."""
    x = np.array([1000.0, 1000.0, -np.inf, -1000.0])
    np.testing.assert_allclose(fg.grad(ufunc.reduce)(x), [0.5, 0.5, 0.0, 0.0], atol=1e-15)
    np.testing.assert_array_equal(fg.grad(ufunc.reduce)(np.full(3, -np.inf)), np.zeros(3))
    assert fg.value_and_grad(lambda x: ufunc.reduce(x * np.ones(0)))(1.0) == (-np.inf, 0.0)


def test_long_reductions_record_few_operations():
    """Pairs of pairs: the number of equations grows with the logarithm of the length."""
    closed = fg.make_jaxpr(np.hypot.reduce)(np.ones(1024))
    assert len(closed.eqns) < 60
    closed = fg.make_jaxpr(lambda x: np.add.reduceat(x, np.arange(0, 1000, 10)))(np.ones(1000))
    assert len(closed.eqns) < 10


def test_reduceat_needs_its_indices():
    """Under vmap over the indices: an error that says what to write; it works."""
    x = np.arange(6.0)
    with pytest.raises(errors.ConcretizationTypeError, match="one-hot"):
        fg.vmap(lambda i: np.add.reduceat(x * i[0], i))(np.array([[0, 2], [1, 3]]))
    segment = np.array([0, 0, 1, 1, 1, 2])
    np.testing.assert_array_equal((np.arange(3)[:, None] == segment) @ x, np.add.reduceat(x, [0, 2, 5]))


def test_derivatives_of_ldexp_and_bits_are_refused_as_in_numpy():
    """What NumPy does not reduce is its TypeError."""
    x = np.ones(3)
    for ufunc in (np.ldexp, np.less, np.gcd, np.bitwise_or):
        with pytest.raises(TypeError):
            ufunc.reduce(x)
        with pytest.raises(TypeError):
            fg.grad(ufunc.reduce)(x)


def _augmented(plain, other_name, x):
    plain += x
    return plain


REFUSED = {
    "sin out": (lambda x, plain: np.sin(x, out=plain), "numpy.sin.*out=.*np.zeros_like"),
    "augmented": (lambda x, plain: _augmented(plain, plain, x), "Write a = a \\+ x"),
    "reduce out": (lambda x, plain: np.hypot.reduce(x, out=np.array(0.0)), "hypot.reduce.*out"),
    "accumulate out": (lambda x, plain: np.add.accumulate(x, out=plain), "add.accumulate.*out"),
    "reduceat out": (lambda x, plain: np.add.reduceat(x, [0], out=plain[:1]), "add.reduceat.*out"),
    "where": (lambda x, plain: np.exp(x, where=plain > 0), r"np.where\(mask, numpy.exp\(...\), other\)"),
    "signature": (lambda x, plain: np.add(x, x, signature="dd->d"), "'signature'.*use dtype="),
    "sig": (lambda x, plain: np.add(x, x, sig="dd->d"), "use dtype="),
    "axes": (lambda x, plain: np.matmul(x, x, axes=[0, 0, ()]), "np.moveaxis"),
    "object": (lambda x, plain: np.less(x, x, dtype=object), "numbers and booleans"),
    "object reduce": (lambda x, plain: np.add.reduce(x, dtype=object), "numbers only"),
    "add.at": (lambda x, plain: np.add.at(plain, [0], x[0]), r"numpy\.add\.at.*np\.zeros_like"),
    "frompyfunc": (lambda x, plain: np.frompyfunc(lambda v: v * 2, 1, 1)(x), "frompyfunc.*fungrad.vmap"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    """Each says what it is, where, and what to write instead."""
    call, text = REFUSED[name]
    for run in (lambda f: fg.grad(f)(np.ones(3)), lambda f: fg.vmap(f)(np.ones((2, 3)))):

        def f(x):
            call(x, np.ones(3))
            return x.sum()

        with pytest.raises(errors.FungradError, match=text) as caught:
            run(f)
        assert "test_ufunc_methods.py" in str(caught.value)
        assert isinstance(caught.value, TypeError)


def test_a_traced_mask():
    """The mask alone may be traced."""
    with pytest.raises(errors.UnsupportedOperationError, match=r"numpy.exp\(..., where=\).*np.where\(mask"):
        fg.vmap(lambda x: np.exp(np.ones(3), where=x > 0, out=None))(np.ones((2, 3)))


def test_casting():
    """NumPy's errors for casts of operands that the rule does not allow, and for rules that there are not."""
    for run in (lambda f, x: f(x), lambda f, x: fg.jvp(f, (x,), (x,)), lambda f, x: fg.make_jaxpr(f)(x)):
        with pytest.raises(TypeError, match="Cannot cast ufunc 'add' input 0"):
            run(lambda x: np.add(x, 1, dtype=np.int64), np.ones(2))
        with pytest.raises(TypeError, match="Cannot cast ufunc 'add' input 0"):
            run(lambda x: np.add(x, np.ones(2), casting="no"), np.ones(2, np.float32))
        with pytest.raises(ValueError, match="casting"):
            run(lambda x: np.add(x, 1, dtype="d", casting="any"), np.ones(2))
    assert fg.jvp(lambda x: np.add(x, 1, dtype=int, casting="unsafe"), (1.7,), (1.0,))[0] == 2


def test_what_the_message_of_add_at_recommends():
    """Sums into repeated places, by a one-hot matrix and by bincount."""
    a, i, b = np.zeros(3), np.array([0, 2, 2]), np.array([1.0, 2.0, 5.0])
    expected = np.zeros(3)
    np.add.at(expected, i, b)
    np.testing.assert_array_equal(a + np.eye(len(a))[i].T @ b, expected)
    np.testing.assert_array_equal(a + np.bincount(i, b, len(a)), expected)
    np.testing.assert_array_equal(fg.grad(lambda b: (a + np.eye(len(a))[i].T @ b)[2])(b), [0.0, 1.0, 1.0])

"""`fungrad.numpy` as a namespace: its names are jax.numpy's, its values NumPy's, and its arrays take traced values.

The probes of ``support`` are run with ``fungrad.numpy`` in the place of NumPy: values on plain arrays, and tangents.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from typing import Any

import numpy
import pytest
import support
from hypothesis import given, settings
from hypothesis import strategies as st

import fungrad as fg
import fungrad.numpy as np
from fungrad import errors
from fungrad.numpy.arrays import Array, TracedBuffer

NAMES = """
ComplexWarning abs absolute acos acosh add all allclose amax amin angle any append apply_along_axis apply_over_axes
arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argpartition argsort argwhere around array
array_equal array_equiv array_repr array_split array_str asarray asin asinh astype atan atan2 atanh atleast_1d
atleast_2d atleast_3d average bartlett bincount bitwise_and bitwise_count bitwise_invert bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman block bool bool_ broadcast_arrays broadcast_shapes
broadcast_to c_ can_cast cbrt cdouble ceil character choose clip column_stack complex128 complex64 complex_
complexfloating compress concat concatenate conj conjugate convolve copy copysign corrcoef correlate cos cosh
count_nonzero cov cross csingle cumprod cumsum cumulative_prod cumulative_sum deg2rad degrees delete diag
diag_indices diag_indices_from diagflat diagonal diff digitize divide divmod dot double dsplit dstack dtype e
ediff1d einsum einsum_path empty empty_like equal euler_gamma exp exp2 expand_dims expm1 extract eye fabs
fill_diagonal finfo flatnonzero flexible flip fliplr flipud float16 float32 float64 float_ float_power floating
floor floor_divide fmax fmin fmod frexp from_dlpack frombuffer fromfile fromfunction fromiter frompyfunc fromstring
full full_like gcd generic geomspace get_printoptions gradient greater greater_equal hamming hanning heaviside
histogram histogram2d histogram_bin_edges histogramdd hsplit hstack hypot i0 identity iinfo imag index_exp indices
inexact inf inner insert int16 int32 int64 int8 int_ integer interp intersect1d invert isclose iscomplex
iscomplexobj isdtype isfinite isin isinf isnan isneginf isposinf isreal isrealobj isscalar issubdtype iterable ix_
kaiser kron lcm ldexp left_shift less less_equal lexsort linspace load log log10 log1p log2 logaddexp logaddexp2
logical_and logical_not logical_or logical_xor logspace mask_indices matmul matrix_transpose matvec max maximum mean
median meshgrid mgrid min minimum mod modf moveaxis multiply nan nan_to_num nanargmax nanargmin nancumprod nancumsum
nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar ndarray ndim negative newaxis
nextafter nonzero not_equal number object_ ogrid ones ones_like outer packbits pad partition percentile permute_dims
pi piecewise place poly polyadd polyder polydiv polyfit polyint polymul polysub polyval positive pow power
printoptions prod promote_types ptp put put_along_axis quantile r_ rad2deg radians ravel ravel_multi_index real
reciprocal remainder repeat reshape resize result_type right_shift rint roll rollaxis roots rot90 round s_ save
savez searchsorted select set_printoptions setdiff1d setxor1d shape sign signbit signedinteger sin sinc single sinh
size sort sort_complex spacing split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan
tanh tensordot tile trace transpose trapezoid tri tril tril_indices tril_indices_from trim_zeros triu triu_indices
triu_indices_from true_divide trunc ufunc uint uint16 uint32 uint64 uint8 union1d unique unique_all unique_counts
unique_inverse unique_values unpackbits unravel_index unsignedinteger unstack unwrap vander var vdot vecdot vecmat
vectorize vsplit vstack where zeros zeros_like
"""
LINALG = """
cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm matrix_power matrix_rank
matrix_transpose multi_dot norm outer pinv qr slogdet solve svd svdvals tensordot tensorinv tensorsolve trace vecdot
vector_norm
"""
FFT = """
fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftfreq rfftn
"""
NAMESPACES = {"numpy": np, "numpy.linalg": np.linalg, "numpy.fft": np.fft}


def in_namespace(fun: Any) -> Any:
    """The same code with `fungrad.numpy` under the name ``np``."""
    names = {**fun.__globals__, "np": np}
    return types.FunctionType(fun.__code__, names, fun.__name__, fun.__defaults__, fun.__closure__)


@pytest.mark.parametrize(("module", "names"), [(np, NAMES), (np.linalg, LINALG), (np.fft, FFT)], ids=lambda x: "")
def test_names_are_those_of_jax_numpy(module, names):
    """Every name exists and is public; __all__ holds nothing that is not there, nothing private, nothing twice."""
    assert [n for n in names.split() if not hasattr(module, n) or n not in module.__all__] == []
    assert [n for n in module.__all__ if not hasattr(module, n)] == []
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(not n.startswith("_") or n.startswith("__array_") for n in module.__all__)
    assert set(dir(module)) >= set(module.__all__)


def test_internal_names_are_not_public():
    """Helpers, typing and submodules that implement are in no __all__."""
    for name in ("dispatch", "operators", "indexing", "Any", "importlib", "annotations", "as_array", "Tracer", "np"):
        assert name not in np.__all__
    assert dir(np) == sorted(np.__all__)


def test_a_dtype_that_numpy_has_not_is_named():
    """An AttributeError that says which one comes next."""
    with pytest.raises(AttributeError, match="bfloat16: NumPy has no such dtype; the next one is float16"):
        np.bfloat16
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        np.nothing


OWN = [n for n in NAMES.split() if inspect.isfunction(getattr(np, n)) and "fungrad" in getattr(np, n).__module__]


@pytest.mark.parametrize("name", OWN)
def test_signatures_take_what_numpy_takes(name):
    """Where a function is not NumPy's own it takes NumPy's arguments by their names, but for a few of old."""
    ours = inspect.signature(getattr(np, name)).parameters
    theirs = getattr(numpy, name, None)
    try:
        expected = inspect.signature(theirs).parameters
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in ours.values()) or isinstance(theirs, numpy.ufunc):
        return
    left_out = {"like", "subok", "ndmax", "casting", "p_object", "start_or_stop", "args", "kwargs", "a", "v"}
    assert set(expected) - set(ours) <= left_out
    assert all(p.annotation is not p.empty for p in ours.values()), "not annotated"


PROBED = [
    pytest.param(module, name, k, id=f"{module}.{name}-{k}")
    for module in NAMESPACES
    for name, probes in support.PROBES[module].items()
    if support.exists(module, name) and hasattr(NAMESPACES[module], name)
    for k in range(len(probes))
]


def outcome(fun: Any, *args: Any) -> Any:
    """What a call gives, or the type of its error."""
    try:
        return fun(*args)
    except Exception as error:
        return type(error)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("module", "name", "k"), PROBED)
def test_functions_are_numpys(module, name, k):
    """On plain arrays the value is NumPy's, and so are the tangents of traced ones, wherever NumPy's name has them."""
    probe = support.PROBES[module][name][k]
    ours = in_namespace(probe.fun)
    expected = outcome(probe.fun, *probe.operands())
    if isinstance(expected, type):
        return
    found = ours(*probe.operands())
    if probe.exact:
        assert_same(found, expected)
    active = [x for i, x in enumerate(probe.operands()) if i not in (*probe.integers, *probe.booleans)]
    if len(active) != len(probe.operands()):
        return
    theirs = outcome(fg.jvp, probe.fun, active, active)
    if not isinstance(theirs, type):
        assert_same(fg.jvp(ours, probe.operands(), probe.operands())[1], theirs[1])


def assert_same(found: Any, expected: Any) -> None:
    """Equal, in nested sequences too."""
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for x, y in zip(found, expected, strict=True):
            assert_same(x, y)
    elif isinstance(expected, (numpy.ndarray, numpy.generic)) and expected.dtype.kind in "biufc":
        assert numpy.asarray(found).dtype == expected.dtype
        numpy.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# Constructors


CONSTRUCTED = {
    "array": lambda np: np.array([[1, 2.5], [3, 4]], dtype="f", ndmin=3),
    "array of arrays": lambda np: np.array([np.arange(3), [4, 5, 6]]),
    "asarray": lambda np: np.asarray([1, 2], dtype=float),
    "copy": lambda np: np.copy(numpy.eye(2)),
    "zeros": lambda np: np.zeros((2, 3), "f", "F"),
    "ones": lambda np: np.ones(3, int),
    "full": lambda np: np.full((2, 2), [1, 2]),
    "zeros_like": lambda np: np.zeros_like(numpy.eye(2, dtype="f")),
    "ones_like": lambda np: np.ones_like([1, 2], shape=(3,)),
    "full_like": lambda np: np.full_like(numpy.eye(2), 3),
    "arange": lambda np: np.arange(2, 11, 3),
    "arange to": lambda np: np.arange(4.0),
    "arange dtype": lambda np: np.arange(0, 1, step=0.25, dtype="f"),
    "eye": lambda np: np.eye(3, 4, k=-1),
    "identity": lambda np: np.identity(2),
    "tri": lambda np: np.tri(3, 4, 1),
    "indices": lambda np: np.indices((2, 3)),
    "fromfunction": lambda np: np.fromfunction(lambda i, j: i - 2 * j, (2, 3), dtype=int),
    "linspace": lambda np: np.linspace(0, 1, 5, endpoint=False),
    "logspace": lambda np: np.logspace(0, 1, 3, base=2.0),
    "geomspace": lambda np: np.geomspace(1, 8, 4),
    "frombuffer": lambda np: np.frombuffer(b"\x01\x02", dtype="u1"),
    "fromiter": lambda np: np.fromiter(range(3), float),
    "fromstring": lambda np: np.fromstring("1 2", sep=" "),
}


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_constructors_make_numpys_arrays(name):
    """Elements, dtype and memory order; an ndarray with ``at``, from which calculations are plain."""
    found, expected = CONSTRUCTED[name](np), CONSTRUCTED[name](numpy)
    assert type(found) is Array and isinstance(found, np.ndarray)
    assert found.dtype == expected.dtype and found.flags.f_contiguous == expected.flags.f_contiguous
    numpy.testing.assert_array_equal(found, expected)
    assert type(found + 1) is numpy.ndarray and type(np.sin(found)) is numpy.ndarray
    assert_same(found.at[..., 0].get(), expected[..., 0])


OF_TRACED = {
    "array": lambda x: np.array([[x[0] ** 2, 1.0], [x[1], x[2]]]),
    "array of rows": lambda x: np.array([x, [1, 2, 3], x[::-1]], ndmin=3),
    "asarray": lambda x: np.asarray(x, dtype="F"),
    "full": lambda x: np.full((2, 3), x),
    "full_like": lambda x: np.full_like(numpy.zeros((2, 3)), x[1]),
    "r_": lambda x: np.r_[x, 0, x[0]],
    "c_": lambda x: np.c_[x, x * x],
    "arange": lambda x: np.arange(x[0], 3, x[1]),
    "linspace": lambda x: np.linspace(x[0], x[1], 4),
    "fromiter": lambda x: np.fromiter((t * t for t in x), float),
    "fromfunction": lambda x: np.fromfunction(lambda i, j: x[0] * i + x[1] * j, (2, 2)),
    "vectorize": np.vectorize(lambda t: t * t if t > 1 else 0.0),
    "vectorize of two": np.vectorize(lambda t: (t, 2 * t)),
    "stack": lambda x: np.stack([np.zeros(3), x]),
    "copy": lambda x: np.copy(x),
}


@pytest.mark.parametrize("name", OF_TRACED)
def test_constructors_take_traced_values(name):
    """The derivative is that of the same program on numbers."""
    fun = OF_TRACED[name]
    x = numpy.array([0.7, 1.1, 2.3])
    fg.testing.check_grads(fun, (x,), order=1, modes=("fwd",)) if name != "asarray" else None
    assert_same(fg.jvp(fun, (x,), (x,))[0], numpy.asarray(fun(x)) if "two" not in name else fun(x))


def test_a_traced_array_in_an_integer_array_is_refused():
    """Nothing is cut to integers without a word."""
    with pytest.raises(errors.ConcretizationTypeError, match="converted to int64 has no derivative"):
        fg.grad(lambda x: np.array([x, 1.0], dtype=int)[0])(1.0)
    with pytest.raises(errors.ConcretizationTypeError, match="cannot be kept in an array of int64"):
        fg.grad(lambda x: put(np.zeros(2, int), 0, x)[0])(1.0)


# Filling


def put(y: Any, key: Any, value: Any) -> Any:
    """Assign, and return the array."""
    y[key] = value
    return y


def loop(x: Any) -> Any:
    """Fill entry by entry, under two names, with slices, masks, lists and in place."""
    y = np.zeros((3, 4))
    z = y
    for i in range(3):
        y[i, i] = x[i] ** 2
    z[0] = y[1] + x[0]
    y[2, 1:] += x
    y[:, 0] *= 2
    z += 1
    y[numpy.eye(3, 4) > 0] = [x[0], 1.0, x[1]]
    np.add.at(y, (0, [1, 1]), x[:2])
    row = y[1]
    row[2] = x[2]
    return z


def reference(x: Any) -> Any:
    """The same on plain NumPy arrays."""
    names = {**loop.__globals__, "np": numpy}
    return types.FunctionType(loop.__code__, names)(x)


X = numpy.array([0.3, 0.7, 1.1])


def test_filling_gives_numpys_values_and_derivatives():
    """Outside of transforms and inside of each of them, nested too."""
    numpy.testing.assert_array_equal(loop(X), reference(X))
    expected = fg.testing.numerical_jvp(reference, (X,), (numpy.ones(3),))
    numpy.testing.assert_allclose(fg.jvp(loop, (X,), (numpy.ones(3),))[1], expected, rtol=1e-6)
    fg.testing.check_grads(lambda x: np.sum(np.sin(loop(x))), (X,), order=2)
    many = numpy.stack([X, 2 * X])
    numpy.testing.assert_allclose(fg.vmap(loop)(many), [reference(x) for x in many])
    jacobian = fg.jacrev(loop)
    numpy.testing.assert_allclose(fg.vmap(jacobian)(many), [jacobian(x) for x in many])
    numpy.testing.assert_allclose(fg.jacfwd(lambda x: fg.vmap(loop)(x * many))(1.0).shape, (2, 3, 4))
    closed = fg.make_jaxpr(loop)(X)
    numpy.testing.assert_allclose(fg.eval_jaxpr(closed.jaxpr, closed.consts, X)[0], reference(X))


def test_a_buffer_behaves_as_the_traced_array():
    """It stays the same object under all names; attributes, methods, operators and functions are the tracer's."""

    kinds = set()

    def fun(x):
        y = np.zeros(3)
        names = [y]
        y[:] = x
        assert isinstance(y, numpy.ndarray) and names[0] is y
        kinds.add(type(y))
        assert y.shape == (3,) and y.dtype == float and len(y) == 3 and y.ndim == 1
        assert fg.typeof(y).shape == (3,)
        total = y.sum() + (y @ y) + (2 * y)[0] + (y + y)[1] + numpy.sin(y)[2] + numpy.sum(y) + numpy.ones(3) @ y
        total += numpy.concatenate([x, y])[4] + numpy.stack([y, y])[1, 2] + numpy.add(y, 1)[0] + (numpy.ones(3) * y)[0]
        total += np.array([y, y])[1, 2] + np.where(y > 0, y, 0)[0] + numpy.linalg.norm(y) + y.at[0].set(5.0).sum()
        assert bool(y[0] > 0) and len([float(fg.stop_gradient(t)) for t in y]) == 3
        y.fill(x[0])
        numpy.copyto(y, x * 2)
        numpy.add(y, 1.0, out=y)
        return total + (y[::-1] ** 2).sum(), y

    check = lambda x: fun(x)[0]
    fg.testing.check_grads(check, (X,), order=2)
    kinds.clear()
    numpy.testing.assert_allclose(fg.jacfwd(lambda x: fun(x)[1])(X), [[0, 0, 2], [0, 2, 0], [2, 0, 0]][::-1])
    assert kinds == {TracedBuffer}


@pytest.mark.parametrize(
    "write",
    [
        lambda y, x: numpy.copyto(y, x),
        lambda y, x: numpy.put(y, [0, 2], x[:2]),
        lambda y, x: numpy.putmask(y, y == 0, x),
        lambda y, x: numpy.place(y, y == 0, x),
        lambda y, x: numpy.put_along_axis(y, numpy.array([2, 0]), x[:2], 0),
        lambda y, x: numpy.add.at(y, [0, 0, 2], x),
        lambda y, x: numpy.multiply(y, x, out=y),
        lambda y, x: numpy.sum(x * numpy.eye(3), axis=0, out=y),
        lambda y, x: np.put(y, [0, 2], x[:2]),
        lambda y, x: np.put_along_axis(y, numpy.array([2, 0]), x[:2], 0),
    ],
)
def test_functions_write_into_what_the_namespace_made(write):
    """As into a plain array; every name sees it."""

    def fun(x):
        y = np.zeros(3)
        z = y
        write(y, x)
        return z

    plain = lambda x: (lambda y: (write(y, x), y)[1])(numpy.zeros(3))
    primal, tangent = fg.jvp(fun, (X,), (X,))
    numpy.testing.assert_allclose(primal, plain(X))
    numpy.testing.assert_allclose(tangent, fg.testing.numerical_jvp(plain, (X,), (X,)), rtol=1e-6)


def test_fill_diagonal_and_copies_instead_of_writing():
    """``inplace=False`` leaves the argument as it is."""
    y = numpy.zeros((3, 3))
    assert_same(fg.jvp(lambda x: np.fill_diagonal(y, x, inplace=False), (X,), (X,))[1], numpy.diag(X))
    assert_same(fg.jvp(lambda x: np.put(y, 1, x[0], inplace=False)[0, 1], (X,), (X,))[1], X[0])
    assert not y.any()


def _parts_slice(y, x):
    y[1:] += x


def _parts_column(y, x):
    y[:, [0, 2]] -= x[0]


def _parts_integers(y, x):
    y[[0, 0, 2]] *= x


def _parts_mask(y, x):
    y[np.array([True, False, True])] /= x


def _parts_row(y, x):
    y[1] += x
    y[1] **= 2


def _parts_all(y, x):
    y[...] += x


PARTS = [_parts_slice, _parts_column, _parts_integers, _parts_mask, _parts_row, _parts_all]


@pytest.mark.parametrize("write", PARTS, ids=lambda f: f.__name__)
def test_the_first_traced_value_may_come_by_augmented_assignment_to_a_part(write):
    """``y[1:] += x``: the part, a view of y or a copy, is given back to y before anybody sees it."""
    x = numpy.array([0.5, -1.0, 2.0])

    def fill(np_, x):
        y = np_.ones((3, 3))
        write(y, x)
        return y

    f = lambda x: fill(np, x)
    expected = fill(numpy, x)
    for _ in range(12):  # also when Python has specialised the code
        value, tangent = fg.jvp(f, (x,), (numpy.cos(x),))
    numpy.testing.assert_allclose(value, expected)
    difference = (fill(numpy, x + 1e-6 * numpy.cos(x)) - fill(numpy, x - 1e-6 * numpy.cos(x))) / 2e-6
    numpy.testing.assert_allclose(tangent, difference, atol=1e-7)
    numpy.testing.assert_allclose(fg.vmap(f)(x[None])[0], expected)
    numpy.testing.assert_allclose(fg.vmap(fg.jacrev(f))(x[None])[0], fg.jacfwd(f)(x))


def test_a_part_with_a_name_of_its_own_is_refused():
    """``row = y[1]; row += x`` would have to change y."""

    def f(x):
        y = np.zeros((3, 3))
        row = y[1]
        row += x
        return y

    def in_a_list(x):
        y = np.zeros(3)
        parts = [y[1:]]
        parts[0] += x[1:]
        return y

    for fun in (f, in_a_list):
        with pytest.raises(errors.UnsupportedOperationError, match=rf"in {fun.__name__}\).*a view, or is one"):
            fg.grad(lambda x, fun=fun: fun(x).sum())(numpy.ones(3))


def test_plain_views_of_a_filled_array_never_show_old_elements():
    """A counted view is an error that says what to write; another one reads nan; C code raises."""
    for wrong in (
        chained,
        viewed,
        lambda x: put(np.asarray(numpy.zeros(2)), 0, x),
        lambda x: put(np.asarray(kept := numpy.zeros(2))[:1], 0, x) + kept[:1],
    ):
        with pytest.raises(errors.UnsupportedOperationError, match=r"test_namespace.py:\d+.*fungrad.numpy.array\(x\)"):
            fg.jacfwd(wrong)(1.0)
    old = numpy.asarray(made := np.ones(2))
    fg.grad(lambda x: put(made, 0, x)[1])(1.0)
    assert numpy.isnan(old).all()
    for conversion in (lambda y: numpy.asarray(y) * 2, lambda y: numpy.asarray(y, dtype=float), lambda y: float(y[0])):
        with pytest.raises((TypeError, ValueError)):
            fg.grad(lambda x, convert=conversion: convert(put(np.zeros(2), 0, x))[0])(1.0)
    with pytest.raises(errors.UnexpectedTracerError):
        made + 1


def chained(x: Any) -> Any:
    """Through a view that has no name."""
    y = np.zeros((2, 2))
    y[0][1] = x
    return y


def viewed(x: Any) -> Any:
    """With a view that has one."""
    y = np.zeros((2, 2))
    t = y.T
    y[0, 1] = x
    return t


def test_reading_at_traced_positions():
    """An index array that is traced looks into what the namespace made."""
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    numpy.testing.assert_array_equal(fg.vmap(lambda i: table[i, 1])(numpy.array([2, 0])), [6.0, 2.0])
    with pytest.raises(IndexError):
        table[3]


def test_filling_at_traced_positions():
    """Under vmap each index writes elsewhere."""
    numpy.testing.assert_array_equal(fg.vmap(lambda i: put(np.zeros(3), i, 1.0))(numpy.arange(3)), numpy.eye(3))
    found = fg.vmap(lambda i: put(np.zeros(3, int), i, i))(numpy.arange(3))
    numpy.testing.assert_array_equal(found, numpy.diag(range(3)))


# .at


KEYS = [1, -1, (0, 2), slice(1, None), [0, 2, 2], (slice(None), [1, 1, 0]), ([0, 0], [1, 1]), numpy.eye(3, 4) > 0]
METHODS = {
    "add": numpy.add,
    "subtract": numpy.subtract,
    "multiply": numpy.multiply,
    "divide": numpy.divide,
    "power": numpy.power,
    "min": numpy.minimum,
    "max": numpy.maximum,
}
BASE = numpy.linspace(0.5, 1.6, 12).reshape(3, 4)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(METHODS)), st.sampled_from(range(len(KEYS))), st.booleans())
def test_updates_at(method, k, integers):
    """As the ufunc's own ``at``; pure; on plain and on traced arrays; duplicates are applied again."""
    key, base = KEYS[k], numpy.array(BASE)
    value = numpy.linspace(0.4, 1.3, numpy.size(base[key])).reshape(numpy.shape(base[key]))
    if integers:
        base, value = numpy.arange(12).reshape(3, 4) + 2, numpy.full(numpy.shape(value), 2)
    expected = numpy.array(base, float if method == "divide" else None)
    METHODS[method].at(expected, key, value)
    expected = expected.astype(base.dtype)
    x = np.array(base)
    found = getattr(x.at[key], method)(value)
    assert isinstance(found, np.ndarray)
    assert_same(found, expected)
    assert_same(x, base)
    if integers:
        return
    fun = lambda x, v: getattr(np.asarray(x).at[key], method)(v)
    numpy.testing.assert_allclose(fun(base, value), expected)
    fg.testing.check_grads(fun, (base, value), order=1)
    assert_same(fg.vmap(fun)(numpy.stack([base, base]), numpy.stack([value, value]))[1], expected)


@pytest.mark.parametrize("k", range(len(KEYS)))
def test_set_get_and_apply(k):
    """``set`` is assignment, ``get`` indexing, ``apply`` the ufunc, twice where an element is named twice."""
    key = KEYS[k]
    expected = numpy.array(BASE)
    expected[key] = 7.0
    assert_same(np.array(BASE).at[key].set(7.0), expected)
    assert type(np.array(BASE).at[key].set(7.0)) is Array
    assert_same(fg.jvp(lambda x: x.at[key].set(7.0), (BASE,), (BASE,))[0], expected)
    assert_same(np.array(BASE).at[key].get(), BASE[key])
    expected = numpy.array(BASE)
    numpy.sqrt.at(expected, key)
    assert_same(np.array(BASE).at[key].apply(np.sqrt), expected)
    assert_same(fg.jvp(lambda x: x.at[key].apply(np.sqrt), (BASE,), (BASE,))[0], expected)


def test_out_of_bounds():
    """IndexError by default, and what each mode says."""
    x = np.arange(3.0)
    for call in (lambda x: x.at[3].set(1.0), lambda x: x.at[[0, 5]].add(1.0), lambda x: x.at[-4].get()):
        for array in (x, numpy.arange(3.0)):
            with pytest.raises(IndexError):
                call(array) if array is x else fg.jvp(call, (array,), (array,))
    i = numpy.array([-4, -1, 1, 5])
    for at in (lambda f: f(x), lambda f: fg.jvp(f, (numpy.arange(3.0),), (numpy.zeros(3),))[0]):
        assert_same(at(lambda x: x.at[i].get(mode="clip")), numpy.array([0.0, 2, 1, 2]))
        assert_same(at(lambda x: x.at[i].get(mode="wrap")), numpy.array([2.0, 2, 1, 2]))
        assert_same(at(lambda x: x.at[i].get(mode="fill")), numpy.array([numpy.nan, 2, 1, numpy.nan]))
        assert_same(at(lambda x: x.at[i].get(mode="fill", fill_value=9)), numpy.array([9.0, 2, 1, 9]))
        assert_same(at(lambda x: x.at[i].add(1.0, mode="drop")), numpy.array([0.0, 2, 3]))
        assert_same(at(lambda x: x.at[i].set(9.0, mode="clip")), numpy.array([9.0, 9, 9]))
        assert_same(at(lambda x: x.at[-1].set(9.0, mode="drop", wrap_negative_indices=False)), numpy.arange(3.0))
    y = np.arange(6).reshape(2, 3)
    assert_same(y.at[[0, 2], 1:].set(7, mode="drop"), numpy.array([[0, 7, 7], [3, 4, 5]]))
    assert_same(y.at[2].get(mode="fill"), numpy.full(3, numpy.iinfo(int).min))
    found = fg.vmap(lambda i: x.at[i].set(9.0, mode="drop"))(numpy.array([1, 4]))
    assert_same(found, numpy.array([[0.0, 9, 2], [0, 1, 2]]))
    with pytest.raises(ValueError, match=r"mode is one of .*, got 'crash'"):
        x.at[0].set(1.0, mode="crash")
    with pytest.raises(TypeError, match="unexpected keyword argument 'made_up'"):
        x.at[0].add(1.0, made_up=True)


def test_updates_with_traced_values_of_plain_arrays():
    """Derivatives flow through values, at positions that are traced too."""
    base = np.zeros(3)
    assert_same(fg.jacfwd(lambda v: base.at[[0, 0, 2]].add(v))(X), numpy.array([[1.0, 1, 0], [0, 0, 0], [0, 0, 1]]))
    assert_same(fg.vmap(lambda i: base.at[i].max(2.0))(numpy.arange(3)), 2 * numpy.eye(3))
    assert not base.any() and type(base) is Array


# Arguments that are jax.numpy's


M = numpy.array([3.0, 0.0, 1.0, 0.0, 2.0])


def test_sizes():
    """Results are cut and filled up, without values too."""
    for run in (lambda f: f(M), lambda f: fg.vmap(f)(M[None])):
        squeeze = lambda out: [numpy.asarray(x).reshape(-1).tolist() for x in out]
        assert squeeze(run(lambda x: np.nonzero(x, size=4, fill_value=7))) == [[0, 2, 4, 7]]
        assert squeeze(run(lambda x: np.where(x, size=2))) == [[0, 2]]
        assert squeeze([run(lambda x: np.flatnonzero(x, size=4))]) == [[0, 2, 4, 0]]
        assert squeeze([run(lambda x: np.argwhere(x, size=2))]) == [[0, 2]]
        assert squeeze([run(lambda x: np.compress(x > 0, x, size=4))]) == [[3.0, 1.0, 2.0, 0.0]]
    assert np.unique(M, size=5).tolist() == [0, 1, 2, 3, 0]
    values, counts = np.unique_counts(M, size=3)
    assert values.tolist() == [0, 1, 2] and counts.tolist() == [2, 1, 1]
    assert np.union1d([1, 2], [2, 3], size=4, fill_value=9).tolist() == [1, 2, 3, 9]
    assert np.intersect1d([1, 2], [2, 3], size=2).tolist() == [2, 2]
    assert np.setdiff1d([1, 2], [2, 3], size=2).tolist() == [1, 0]
    assert np.bincount(numpy.array([0, 1, 1, 5]), length=3).tolist() == [1, 2, 0]
    assert np.repeat(M[:2], [1, 2], total_repeat_length=4).tolist() == [3, 0, 0, 0]


def test_arguments_of_jax():
    """Orders, dtypes and modes."""
    assert np.sort(M, descending=True).tolist() == [3, 2, 1, 0, 0]
    assert np.argsort(M, descending=True, stable=True).tolist() == [0, 4, 2, 1, 3]
    assert np.matmul(M, M, precision="high", preferred_element_type=np.float32).dtype == "f"
    assert np.einsum("i,i", M, M, precision=None) == 14
    assert np.take(M, [0, 7], mode="fill").tolist()[0] == 3 and np.isnan(np.take(M, [0, 7], mode="fill")[1])
    assert np.take_along_axis(M, numpy.array([9]), 0, mode="clip").tolist() == [2]
    assert np.sum(numpy.ones(3, "i1"), promote_integers=False).dtype == "i1"
    assert np.polymul([0, 1], [1, 1], trim_leading_zeros=False).tolist() == [0, 1, 1]
    assert np.linalg.matrix_rank(M=numpy.eye(3)) == 3
    assert np.linalg.svd(numpy.diag(M), subset_by_index=(0, 2))[1].tolist() == [3, 2]
    assert_same(np.linalg.cholesky(numpy.array([[4.0, 2], [0, 4]]), symmetrize_input=True)[1, 0], numpy.float64(0.5))
    with pytest.raises(errors.UnsupportedOperationError, match="strip_zeros=False"):
        np.roots(M, strip_zeros=False)


def test_linalg_and_fft_are_imported_late():
    """By their first use; and the names of late modules are there from the start."""
    code = (
        "import sys, fungrad.numpy as np\n"
        "assert 'fungrad.numpy.fft' not in sys.modules and 'fungrad.numpy.linalg' not in sys.modules\n"
        "np.median, np.polyval, np.histogram\n"
        "assert 'fungrad.numpy.quantiles' not in sys.modules\n"
        "np.fft.fft, np.linalg.norm\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

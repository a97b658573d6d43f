"""Questions about arrays, writing into them, applying functions to them, and the methods that do such things."""

import copy
import io
import pickle

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]])

# How a function is run: with values known, and on types alone.
RUNS = {
    "values": lambda f: fg.grad(lambda x: (f(x), x.sum())[1])(X),
    "types": lambda f: fg.make_jaxpr(lambda x: (f(x), x.sum())[1])(X),
}


def within(f):
    """What f returns of a traced array with known values."""
    results = []
    fg.grad(lambda x: (results.append(f(x)), x.sum())[1])(X)
    return results[0]


# Questions


@pytest.mark.parametrize(
    "question",
    [
        lambda x: np.array_equal(x, X),
        lambda x: np.array_equal(x, X.T),
        lambda x: np.array_equal(x, x + np.nan, equal_nan=True),
        lambda x: np.array_equiv(x[0], X[:1]),
        lambda x: np.array_equiv(x, X[:, :2]),
        lambda x: np.array2string(x, precision=2, separator=","),
        lambda x: np.array_repr(x, precision=1),
        lambda x: np.array_str(x),
        lambda x: np.result_type(x, np.complex64),
        lambda x: np.result_type(np.float32(1), x * 1, "i2"),
        lambda x: np.can_cast(x, np.float32),
        lambda x: np.can_cast(x, np.float32, "same_kind"),
        lambda x: np.min_scalar_type(x[0, 0]),
        lambda x: np.min_scalar_type(x),
        lambda x: np.common_type(x, np.ones(2, np.complex64)),
        lambda x: np.may_share_memory(x, np.ones(3)),
        lambda x: np.shares_memory(x, x),
        lambda x: np.einsum_path("ij,jk,kl->il", x, x.T, x)[0],
        lambda x: np.einsum_path("ij,jk,kl->il", x, x.T, x, optimize="optimal")[1],
        lambda x: [i.tolist() for i in np.tril_indices_from(x)],
        lambda x: [i.tolist() for i in np.triu_indices_from(x, k=1)],
        lambda x: [i.tolist() for i in np.diag_indices_from(x[:, :2])],
        lambda x: [i.tolist() for i in np.ix_(x[0] > 0, [1, 2])],
        lambda x: (x.base, x.flat[2] * 1, len(x.flat), x.device, x.to_device("cpu").shape),
        lambda x: x.flat[1:3].tolist() + list(x.flat) + [next(x.flat)],
        lambda x: x.argpartition(1).tolist(),
    ],
    ids=range(26),
)
def test_answers_are_numpys(question):
    """With known values the answer is NumPy's, of the same type."""

    def plain(y):
        return [plain(v) for v in y] if isinstance(y, list | tuple) else fg.stop_gradient(y)

    expected, actual = question(X), within(lambda x: plain(question(x)))
    assert actual == (plain(expected) if isinstance(expected, list | tuple) else expected)
    assert type(actual) is type(expected) or isinstance(expected, tuple)


def test_text_without_values():
    """The type stands for the values."""
    for show in (np.array_repr, np.array_str, np.array2string):
        texts = []
        fg.vmap(lambda x, show=show, texts=texts: (texts.append(show(x)), x)[1])(X)
        assert texts == ["f64[3]"]


def test_questions_without_values():
    """Equality is a traced boolean; the smallest type of a scalar cannot be known."""
    np.testing.assert_array_equal(fg.vmap(lambda x: np.array_equal(x, X[0]))(X), [True, False])
    np.testing.assert_array_equal(fg.vmap(lambda x: np.array_equiv(x, np.stack([X[1], X[1]])))(X), [False, True])
    with pytest.raises(errors.ConcretizationTypeError, match=r"x\.dtype"):
        fg.vmap(np.min_scalar_type)(X[0])
    with pytest.raises(errors.NonConcreteBooleanIndexError, match=r"numpy\.ix_"):
        fg.vmap(lambda x: x[np.ix_(x > 0)])(X)


def test_indices_out_of_range():
    """ValueErrors as NumPy's, at the latest when the values are there."""
    for f, i in ((lambda i: np.unravel_index(i, (2, 3)), 6), (lambda i: np.ravel_multi_index((i, 0), (2, 3)), -1)):
        closed = fg.make_jaxpr(f)(0)
        with pytest.raises(ValueError, match="invalid entry"):
            fg.eval_jaxpr(closed, (), i)
    for call in (
        lambda i: np.ravel_multi_index((i, i), (2, 3, 4)),
        lambda i: np.ravel_multi_index((i, i), (2, 3), mode="bend"),
        lambda i: np.unravel_index(i, (2, 3), order="K"),
        lambda i: np.packbits(i, bitorder="middle"),
        lambda i: np.unpackbits(i.astype(np.uint8), count=-9),
        lambda i: np.packbits(i, axis=1),
        lambda i: np.ix_(np.reshape(i, (1, 1))),
    ):
        for run in (call, fg.make_jaxpr(call)):
            with pytest.raises(ValueError):
                run(np.ones(1, int))
    for call in (lambda x: np.unravel_index(x, 3), lambda x: np.packbits(x), lambda x: np.unpackbits(x)):
        for run in (call, fg.make_jaxpr(call)):
            with pytest.raises(TypeError):
                run(np.ones(2))


# Refusals

REFUSED = {
    "copyto": lambda x: np.copyto(np.ones((2, 3)), x),
    "put": lambda x: np.put(np.ones((2, 3)), [0], x),
    "putmask": lambda x: np.putmask(np.ones((2, 3)), X > 0, x),
    "put_along_axis": lambda x: np.put_along_axis(np.ones((2, 3)), np.array([[0], [1]]), x[:, :1], 1),
    "place": lambda x: np.place(np.ones((2, 3)), X > 0, x),
    "save": lambda x: np.save(io.BytesIO(), x),
    "savez": lambda x: np.savez(io.BytesIO(), a=x),
    "savez_compressed": lambda x: np.savez_compressed(io.BytesIO(), x),
    "savetxt": lambda x: np.savetxt(io.StringIO(), x),
    "is_busday": lambda x: np.is_busday(x),
    "busday_count": lambda x: np.busday_count(x, x),
    "busday_offset": lambda x: np.busday_offset(x, 1),
    "datetime_as_string": lambda x: np.datetime_as_string(x),
    "x.tofile": lambda x: x.tofile("nowhere"),
    "x.tobytes": lambda x: x.tobytes(),
    "x.dump": lambda x: x.dump("nowhere"),
    "x.dumps": lambda x: x.dumps(),
    "x.resize": lambda x: x.resize((3, 2)),
    "x.setflags": lambda x: x.setflags(write=False),
    "x.view": lambda x: x.view(np.int64),
    "x.byteswap": lambda x: x.byteswap(),
    "x.getfield": lambda x: x.getfield(np.int32),
    "x.setfield": lambda x: x.setfield(1.0, np.float64),
    "x.strides": lambda x: x.strides,
    "x.flags": lambda x: x.flags.writeable,
    "x.data": lambda x: x.data,
    "x.ctypes": lambda x: x.ctypes,
    "x.__dlpack__": lambda x: x.__dlpack__(),
    "x.__dlpack_device__": lambda x: x.__dlpack_device__(),
    "x.clip(..., dtype=": lambda x: x.clip(0, 1, dtype=np.float32),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, run):
    """Each names the call and the place and is a TypeError."""
    with pytest.raises(errors.FungradError) as caught:
        RUNS[run](REFUSED[name])
    assert (name if " " in name or "x." in name else f"numpy.{name}") in str(caught.value)
    assert "test_queries.py" in str(caught.value)
    assert isinstance(caught.value, TypeError)


def test_attributes_of_memory_are_not_there():
    """`hasattr` says no, so that code which asks takes another way; NumPy's protocols find nothing."""

    def f(x):
        for name in ("strides", "flags", "data", "ctypes", "__array_interface__", "__array_struct__"):
            assert not hasattr(x, name)
            assert getattr(x, name, None) is None
        with pytest.raises(ValueError, match="cannot delete array elements"):
            del x[0]
        with pytest.raises(ValueError, match="Unsupported device"):
            x.to_device("gpu")
        with pytest.raises(TypeError):
            pickle.dumps(x)
        for again in (copy.deepcopy(x), copy.copy(x)):  # assignment to it does not change x
            assert again is not x and again.id == x.id
        return x.sum()

    fg.grad(f)(X)
    fg.vmap(f)(X)


def test_what_the_refusals_of_writing_recommend():
    """Each replacement gives what NumPy leaves in the array."""
    rng = np.random.default_rng(0)
    a, values, mask = rng.normal(size=(3, 3)), rng.normal(size=5), rng.uniform(size=(3, 3)) < 0.5

    def written(call):
        b = a.copy()
        call(b)
        return b

    same = np.testing.assert_array_equal
    same(np.where(mask, a.T, a), written(lambda b: np.copyto(b, a.T, where=mask)))
    same(np.where(mask, np.resize(values, a.shape), a), written(lambda b: np.putmask(b, mask, values)))
    places = np.cumsum(mask).reshape(mask.shape) - 1
    same(np.where(mask, np.take(values[:2], places, mode="wrap"), a), written(lambda b: np.place(b, mask, values[:2])))
    ind, v = np.array([4, 0]), values[:2]
    hit = np.arange(a.size) == np.reshape(ind, (-1, 1))
    same(np.where(hit.any(0), v @ hit, a.ravel()).reshape(a.shape), written(lambda b: np.put(b, ind, v)))
    column = np.array([[0], [2], [1]])
    same(
        np.where(np.arange(a.shape[-1]) == column, 7.0, a),
        written(lambda b: np.put_along_axis(b, column, 7.0, -1)),
    )
    order = np.argsort(a, 0)
    same(np.take_along_axis(a * 2, np.argsort(order, 0), 0), written(lambda b: np.put_along_axis(b, order, a * 2, 0)))
    same(np.where(np.eye(*a.shape, dtype=bool), 5.0, a), written(lambda b: np.fill_diagonal(b, 5.0)))
    same(
        np.where(np.eye(*a.shape, dtype=bool), np.expand_dims(values[:3], 1), a),
        written(lambda b: np.fill_diagonal(b, values[:3])),
    )


# Methods with all of NumPy's arguments

METHODS = {
    "sum": lambda x: x.sum(axis=0, dtype=np.float64, keepdims=True, initial=1.0, where=X > 0),
    "prod": lambda x: x.prod(0, None, None, keepdims=True, initial=2.0, where=X > 0),
    "max": lambda x: x.max(1, None, keepdims=True, initial=0.0, where=X > 0),
    "min": lambda x: x.min(axis=1, initial=0.0),
    "mean": lambda x: x.mean(1, np.float64, None, keepdims=True, where=X > 0),
    "std": lambda x: x.std(0, ddof=1, keepdims=True, where=np.ones((2, 3), bool), mean=x.mean(0, keepdims=True)),
    "var": lambda x: x.var(1, None, None, 1, keepdims=True),
    "any": lambda x: x.any(0, None, keepdims=True, where=X > 0),
    "all": lambda x: x.all(axis=0, where=X > 0),
    "argmax": lambda x: x.argmax(0, keepdims=True),
    "argsort": lambda x: x.argsort(0, kind="stable"),
    "argpartition": lambda x: x.argpartition(1, axis=0, kind="introselect"),
    "astype": lambda x: x.astype(np.float32, order="C", casting="same_kind", subok=False, copy=False),
    "clip": lambda x: x.clip(-0.5, max=1.0),
    "clip keywords": lambda x: x.clip(min=0.0, casting="same_kind"),
    "clip nothing": lambda x: x.clip(None, 0.3),
    "compress": lambda x: x.compress([True, False, True], axis=1),
    "cumsum": lambda x: x.cumsum(1, np.float64),
    "cumprod": lambda x: x.cumprod(axis=0),
    "diagonal": lambda x: x.diagonal(1, 1, 0),
    "dot": lambda x: x.dot(x.T),
    "repeat": lambda x: x.repeat([1, 2], axis=0),
    "reshape": lambda x: x.reshape((3, -1), order="F"),
    "round": lambda x: x.round(decimals=1),
    "searchsorted": lambda x: x.cumsum().searchsorted(X, side="right", sorter=np.arange(6)),
    "squeeze": lambda x: x[:1].squeeze(axis=0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "take": lambda x: x.take([0, 7], axis=1, mode="wrap"),
    "trace": lambda x: x.trace(offset=1, axis1=0, axis2=1, dtype=np.complex128),
    "transpose": lambda x: x.transpose(1, 0),
    "flatten": lambda x: x.flatten("F"),
    "ravel": lambda x: x.ravel(order="F"),
    "item": lambda x: x.item(1, 2),
    "nonzero": lambda x: x.nonzero(),
    "conj": lambda x: x.conj() + x.conjugate(),
    "to_device": lambda x: x.to_device("cpu", stream=None),
    "flat": lambda x: x.flat.copy() * x.flat[2],
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_numpys_arguments(name):
    """With known values and on types alone: NumPy's value, shape and dtype."""
    call = METHODS[name]
    expected = call(X)
    actual = [fg.jvp(call, (X,), (X,))[0]]
    if name not in ("nonzero",):
        closed = fg.make_jaxpr(call)(X)
        actual.append(fg.eval_jaxpr(closed, (), X)[0])
    for y in actual:
        for a, b in zip(
            y if isinstance(expected, tuple) else [y],
            expected if isinstance(expected, tuple) else [expected],
            strict=True,
        ):
            assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype)
            np.testing.assert_allclose(a, b, rtol=1e-14)


def test_choose_by_what_is_not_known():
    """An integer array without known values chooses; one with known values is a plain array."""
    mapped = fg.vmap(lambda x: (x > 0).choose([x, 2 * x], mode="clip"))(X)
    np.testing.assert_array_equal(mapped, np.where(X > 0, 2 * X, X))


def test_methods_refuse_out_and_unsafe_casts():
    """`out` is refused by each method that has it; astype follows the casting rule in NumPy's words."""
    for call in (
        lambda x: x.sum(out=np.array(0.0)),
        lambda x: x.clip(0, 1, out=np.ones((2, 3))),
        lambda x: x.compress([True], 0, np.ones((1, 3))),
        lambda x: x.trace(out=np.array(0.0)),
        lambda x: x.round(out=np.ones((2, 3))),
        lambda x: x.dot(x.T, out=np.ones((2, 2))),
        lambda x: x.take([0], out=np.ones(1)),
        lambda x: x.cumsum(out=np.ones(6)),
        lambda x: x.std(out=np.array(0.0)),
    ):
        for run in RUNS.values():
            with pytest.raises(errors.UnsupportedOperationError, match="out"):
                run(call)
    for run in RUNS.values():
        with pytest.raises(TypeError, match="according to the rule 'safe'"):
            run(lambda x: x.astype(np.float32, casting="safe"))


# Functions that apply functions


def test_pieces_see_their_elements_only():
    """With known values a function is called with the elements at which its condition holds, and not for none."""
    seen = []

    def logarithm(v):
        seen.append(fg.stop_gradient(v))
        return np.log(v)

    def f(x):
        return np.piecewise(x, [x > 0, x > 100], [logarithm, logarithm, 0.0]).sum()

    with np.errstate(all="raise"):
        gradient = fg.grad(f)(X)
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], X[X > 0])
    np.testing.assert_allclose(gradient, np.where(X > 0, 1 / np.where(X > 0, X, 1), 0))


def test_pieces_without_values_see_all_elements():
    """Under vmap each function is evaluated everywhere and selected from."""
    sizes = []

    def square(v):
        sizes.append(v.shape)
        return v**2

    mapped = fg.vmap(lambda x: np.piecewise(x, [x > 0], [square, -1.0]))(X)
    np.testing.assert_array_equal(mapped, np.where(X > 0, X**2, -1.0))
    assert sizes == [(3,)]


def test_pieces_of_integers():
    """The result has the dtype of x, as in NumPy; numbers are cast."""
    n = np.array([1, 2, 3])
    call = lambda n: np.piecewise(n, [n > 1], [lambda v: v * 2.7, 0.5])
    closed = fg.make_jaxpr(call)(n)
    np.testing.assert_array_equal(fg.eval_jaxpr(closed, (), n)[0], call(n))
    b = np.array([True, False])
    closed = fg.make_jaxpr(lambda x: np.piecewise(x > 0, [b], [lambda v: ~v]))(np.ones(2))
    np.testing.assert_array_equal(fg.eval_jaxpr(closed, (), np.ones(2))[0], [False, False])


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (ValueError, lambda x: np.piecewise(x, [x > 0, x < 0], [1.0])),
        (ValueError, lambda x: np.piecewise(x, [x > 0], [1.0, 2.0, 3.0])),
        (ValueError, lambda x: np.apply_along_axis(np.sum, 0, x[:, :0])),
        (np.exceptions.AxisError, lambda x: np.apply_along_axis(np.sum, 2, x)),
        (ValueError, lambda x: np.apply_over_axes(lambda y, k: y.sum(), x, [0])),
    ],
    ids=range(5),
)
def test_bad_arguments_of_functions_that_apply(kind, call):
    """NumPy's kind of error."""
    with pytest.raises(kind):
        call(X)
    for run in RUNS.values():
        with pytest.raises(kind):
            run(call)


def test_the_first_line_decides_the_dtype():
    """apply_along_axis: later results are cast to the type of the first one."""

    def first_is_an_integer(line):
        return 1 if line[0] > 0.9 and line.shape == (2,) else line.sum()

    x = np.array([[1.0, 0.5, 0.25], [2.0, 0.75, 0.5]])
    expected = np.apply_along_axis(first_is_an_integer, 0, x)
    value = fg.jvp(lambda x: np.apply_along_axis(first_is_an_integer, 0, x), (x,), (x,))[0]
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)

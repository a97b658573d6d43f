"""jit: what is recorded and when, arguments of every kind, static ones, results, errors, memory, threads."""

import contextlib
import copy
import dataclasses
import functools
import gc
import os
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fungrad as fg
from fungrad import errors
from fungrad.tree import Partial

X = np.array([1.0, 2.0, 3.0])
HERE = os.path.basename(__file__)


class Counted:
    """A function that counts how often its Python code runs."""

    def __init__(self, fun):
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.runs = 0

    def __call__(self, *args, **kwargs):
        self.runs += 1
        return self.fun(*args, **kwargs)


def _error(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def _line(fun, offset=0):
    return f"{HERE}:{fun.__code__.co_firstlineno + offset} (in {fun.__name__})"


def _same(actual, expected):
    """Equal in kind (array or scalar), shape, dtype and value."""
    assert isinstance(actual, np.ndarray) == isinstance(expected, np.ndarray)
    assert np.asarray(actual).dtype == np.asarray(expected).dtype
    assert np.shape(actual) == np.shape(expected)
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=0)


# --- what is recorded anew ------------------------------------------------------------------------------------------


def test_records_once_for_a_type():
    """A second call with other values of the same type runs no Python code of the function."""
    f = Counted(lambda x: np.sin(x) * 2.0)
    j = fg.jit(f)
    for scale in (1.0, 2.0, -3.0):
        np.testing.assert_allclose(j(scale * X), np.sin(scale * X) * 2.0)
    assert f.runs == 1


@pytest.mark.parametrize(("first", "second"), [
    (X, np.ones(4)),
    (X, np.ones((3, 1))),
    (X, X.astype(np.float32)),
    (X, X.astype(complex)),
    (X, np.arange(3)),
    (np.arange(3), np.arange(3, dtype=np.int32)),
    (X, 1.0),
    (1.0, 1),
    (1.0, np.float64(1.0)),
    (1.0, np.float32(1.0)),
    (1, np.int64(1)),
    (1.0, 1.0 + 0.0j),
    (True, 1),
    (X, (X,)),
    ((X,), [X]),
    ({"a": X}, {"b": X}),
    ([X, X], [X]),
], ids=str)  # fmt: skip
def test_another_type_records_anew(first, second):
    """Each shape, dtype, tree and kind of number has a program of its own, and both stay."""
    f = Counted(lambda x: fg.tree.map(lambda leaf: leaf * 2, x))
    j = fg.jit(f)
    for x in (first, second, first, second):
        for a, b in zip(fg.tree.leaves(j(x)), fg.tree.leaves(fg.tree.map(lambda leaf: leaf * 2, x)), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == np.asarray(b).dtype
    assert f.runs == 2
    assert j.cache_info() == (2, 2, 2)


@pytest.mark.parametrize("numbers", [
    [1.0, 2.5, -3.0, 0.0, -0.0, np.inf, 1e300],
    [1, 2, 0, -7, 10**9],
    [True, False],
    [1j, 2.0 + 1.0j, 0j],
], ids=["float", "int", "bool", "complex"])  # fmt: skip
def test_a_new_python_number_does_not_record_anew(numbers):
    """Python numbers are arguments like arrays: a value is not part of the type; promotion is NumPy's."""
    f = Counted(lambda x, s: x * s)
    j = fg.jit(f)
    for dtype in (np.float32, np.float64):
        x = X.astype(dtype)
        for s in numbers:
            with np.errstate(over="ignore"):
                expected = x * s
                got = j(x, s)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)
    assert f.runs == 2


def test_weak_numbers_by_keyword_and_in_trees():
    """The same where the quick way of plain positional arguments is not taken."""
    f = Counted(lambda p, *, s: p["x"] * s + p["b"][0])
    j = fg.jit(f)
    for s in (1.0, 2.0, 3.0):
        got = j({"x": X.astype(np.float32), "b": [s]}, s=s)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, X.astype(np.float32) * s + s)
    assert f.runs == 1


def test_jits_of_one_function_share_its_programs():
    """Wrapping a function again does not record it again; other options do."""
    f = Counted(lambda x, n=1: x * 2.0)
    fg.jit(f)(X)
    fg.jit(f)(X)
    assert f.runs == 1
    fg.jit(f, static_argnames="n")(X)
    assert f.runs == 2
    other = Counted(lambda x, n=1: x * 3.0)
    np.testing.assert_array_equal(fg.jit(other)(X), 3.0 * X)
    np.testing.assert_array_equal(fg.jit(f)(X), 2.0 * X)


def test_a_failed_recording_is_not_kept():
    """A function that raised while it was recorded is recorded again at the next call."""
    broken = [True]

    def f(x):
        if broken:
            raise RuntimeError("not yet")
        return x + 1.0

    j = fg.jit(f)
    with pytest.raises(RuntimeError, match="not yet"):
        j(1.0)
    assert j.cache_info().size == 0
    broken.clear()
    assert j(1.0) == 2.0


def test_keyword_order_and_defaults():
    """The order of keywords is no part of the type; a default is what it is in Python."""
    f = Counted(lambda x, y=2.0, *, z=3.0: x + 10 * y + 100 * z)
    j = fg.jit(f)
    assert j(1.0, y=1.0, z=1.0) == j(1.0, z=1.0, y=1.0) == 111.0
    assert f.runs == 1
    assert j(1.0) == 321.0
    assert j(x=1.0) == 321.0


def test_clear_cache_and_clear_caches():
    """Afterwards the next call records anew."""
    f, g = Counted(lambda x: x + 1.0), Counted(lambda x: x + 2.0)
    jf, jg = fg.jit(f), fg.jit(g)
    jf(X), jg(X), jf(X)
    jf.clear_cache()
    assert (jf.cache_info().size, jg.cache_info().size) == (0, 1)
    jf(X), jg(X)
    assert (f.runs, g.runs) == (2, 1)
    fg.clear_caches()
    assert (jf.cache_info().size, jg.cache_info().size) == (0, 0)
    np.testing.assert_array_equal(jf(X), X + 1.0)
    np.testing.assert_array_equal(jg(X), X + 2.0)
    assert (f.runs, g.runs) == (3, 2)


def test_cache_info_counts():
    """Hits are calls that found their program, misses those that recorded it, size the programs."""
    j = fg.jit(lambda x: x + 1)
    assert j.cache_info() == (0, 0, 0)
    j(1.0)
    j(2.0)
    j(X)
    j(2.0)
    info = j.cache_info()
    assert (info.hits, info.misses, info.size) == (2, 2, 2)


# --- explain --------------------------------------------------------------------------------------------------------


def test_explain():
    """In words whether a call finds its program, and in what it differs from the nearest one."""
    f = lambda p, n=1: p["w"] * n
    j = fg.jit(f, static_argnames="n")
    name = f"(test_jit.py:{f.__code__.co_firstlineno})"
    assert "records for the first time" in j.explain({"w": X})
    j({"w": X}, n=2)
    text = j.explain({"w": X}, n=2)
    assert name in text and "compiled for these arguments" in text
    text = j.explain({"w": np.ones(4)}, n=2)
    assert "records anew" in text and "['w']" in text and "f64[4] instead of f64[3]" in text
    assert "the static argument n: 3 instead of 2" in j.explain({"w": X}, n=3)
    text = j.explain({"v": X}, n=2)
    assert "tree" in text and "'v'" in text and "'w'" in text
    text = j.explain({"w": 1.0}, n=2)
    assert "a Python number" in text and "instead of f64[3]" in text


def test_explain_names_the_nearest():
    """Of several programs the one with the fewest differences is named; explain itself records nothing."""
    f = Counted(lambda x, y: x + y)
    j = fg.jit(f)
    j(X, X)
    j(np.ones(5), np.ones(5, np.float32))
    text = j.explain(X, 1.0)
    assert "none of 2 programs" in text
    assert "args[1]" in text and "args[0]" not in text
    assert f.runs == 2


# --- static arguments -----------------------------------------------------------------------------------------------


def test_static_arguments_are_handed_on_as_they_are():
    """A static argument is the object itself: Python control flow, ranges and shapes may use it."""
    seen = []

    def f(x, n, mode="sum"):
        seen.append((type(n), n, mode))
        for _ in range(n):
            x = x * 2.0
        return x.sum() if mode == "sum" else x

    j = fg.jit(f, static_argnums=1, static_argnames="mode")
    assert j(X, 2) == 24.0
    assert j(X, 2) == 24.0
    assert j(X, 3) == 48.0
    np.testing.assert_array_equal(j(X, 1, mode="none"), 2 * X)
    np.testing.assert_array_equal(j(X, 1, "none"), 2 * X)
    np.testing.assert_array_equal(j(X, n=1, mode="none"), 2 * X)
    assert seen[:3] == [(int, 2, "sum"), (int, 3, "sum"), (int, 1, "none")]


@pytest.mark.parametrize(("options", "call"), [
    ({"static_argnums": 1}, lambda j: j(X, 2)),
    ({"static_argnums": 1}, lambda j: j(X, n=2)),
    ({"static_argnums": (1,)}, lambda j: j(x=X, n=2)),
    ({"static_argnums": -1}, lambda j: j(X, 2)),
    ({"static_argnums": [1]}, lambda j: j(X, 2)),
    ({"static_argnums": np.int64(1)}, lambda j: j(X, 2)),
    ({"static_argnames": "n"}, lambda j: j(X, 2)),
    ({"static_argnames": "n"}, lambda j: j(X, n=2)),
    ({"static_argnames": ("n",)}, lambda j: j(n=2, x=X)),
    ({"static_argnums": 1, "static_argnames": "n"}, lambda j: j(X, 2)),
])  # fmt: skip
def test_position_and_name_complete_each_other(options, call):
    """Given by position or by name, an argument is static however it is passed."""
    j = fg.jit(lambda x, n: x[:n] if type(n) is int else 1 / 0, **options)
    np.testing.assert_array_equal(call(j), X[:2])


def test_static_values_of_equal_hash_and_other_type():
    """1, 1.0 and True are equal and hash alike; they are other static values all the same."""
    j = fg.jit(lambda x, n: x * n if type(n) is float else x + n, static_argnums=1)
    x = np.array([2, 3])
    for n in (1, 1.0, True, 1):
        _same(j(x, n), x * n if type(n) is float else x + n)
    assert j.cache_info().size == 3


def test_static_zero_has_its_sign():
    """0.0 and -0.0 are equal, but not the same static value."""
    j = fg.jit(lambda x, s: np.copysign(x, s), static_argnums=1)
    assert j(1.0, 0.0) == 1.0
    assert j(1.0, -0.0) == -1.0


def test_static_arguments_must_be_hashable():
    """The message names the argument, the function, the value and the remedy."""

    def f(x, sizes):
        return x

    for call in (
        lambda: fg.jit(f, static_argnums=1)(X, [1, 2]),
        lambda: fg.jit(f, static_argnames="sizes")(X, sizes=[1, 2]),
        lambda: fg.jit(f, static_argnums=1).lower(X, [1, 2]),
    ):
        text = _error(errors.TransformValueError, call)
        assert "must be hashable" in text
        assert "list: [1, 2]" in text
        assert f"(test_jit.py:{f.__code__.co_firstlineno})" in text
        assert "tuple" in text
    assert "ndarray" in _error(errors.TransformValueError, lambda: fg.jit(f, static_argnums=1)(X, X))


def test_wrong_static_positions_and_names():
    """Positions out of range, names that the function does not have, and things that are neither."""

    def f(x, n):
        return x

    for bad in (2, -3, (0, 5)):
        text = _error(errors.TransformValueError, lambda bad=bad: fg.jit(f, static_argnums=bad))
        assert "static_argnums" in text and "out of range" in text and "2 positional arguments" in text
    text = _error(errors.TransformValueError, lambda: fg.jit(f, static_argnames=("n", "m")))
    assert "static_argnames" in text and "'m'" in text and "'n'" not in text
    for bad in ("n", 1.0, True, (1, "n")):
        assert "static_argnums" in _error(errors.TransformTypeError, lambda bad=bad: fg.jit(f, static_argnums=bad))
    for bad in (1, ("n", 1)):
        assert "static_argnames" in _error(errors.TransformTypeError, lambda bad=bad: fg.jit(f, static_argnames=bad))
    assert "donate_argnums" in _error(errors.TransformTypeError, lambda: fg.jit(f, donate_argnums="x"))


def test_static_arguments_of_variadic_functions():
    """*args and **kwargs take static ones too."""
    j = fg.jit(lambda *xs, **kw: xs[0] * len(xs) * kw["k"], static_argnums=2, static_argnames="k")
    np.testing.assert_array_equal(j(X, 1.0, "text", k=2), 6 * X)
    np.testing.assert_array_equal(j(X, k=3), 3 * X)


def test_a_function_as_static_argument():
    """Functions hash: a different one records anew."""
    j = fg.jit(lambda f, x: f(x), static_argnums=0)
    np.testing.assert_allclose(j(np.sin, X), np.sin(X))
    np.testing.assert_allclose(j(np.cos, X), np.cos(X))


@pytest.mark.parametrize(
    "text",
    ["b * x", "b * 1.5 * x", "(b + c) * 0.5 * x", "b + c", "b / 2 * x", "b & c", "b - 0.5 * x", "(b < c) * 1.5 * x",
     "np.int8(3) * b", "np.where(b, x, 0)", "abs(b)", "b ** 2", "x + (x > 1) * b", "b", "np.array([1, 2]) * b",
     "np.stack([b, c])", "(x > 1) & b", "b * 1j * x"],
)  # fmt: skip
def test_python_bools_promote_as_in_eager_code(text):
    """True is a Python number: True * 1.5 does not make float32 float64, and True + True is 2."""
    f = eval(f"lambda b, c, x: {text}")
    for x in (np.float32(2), np.linspace(0.0, 2.0, 5, dtype=np.float32)):
        for c in (False, True):
            found, expected = fg.jit(f)(True, c, x), f(True, c, x)
            assert found.dtype == np.asarray(expected).dtype
            np.testing.assert_array_equal(found, expected)


# --- options --------------------------------------------------------------------------------------------------------


def test_donated_arguments():
    """donate_argnums and donate_argnames are accepted; the result is the same."""
    for options in ({"donate_argnums": 0}, {"donate_argnums": (0, 1)}, {"donate_argnames": "x"}):
        j = fg.jit(lambda x, y: x * 2.0 + y, **options)
        for _ in range(3):
            np.testing.assert_array_equal(j(X.copy(), X.copy()), X * 2.0 + X)


def test_keep_unused():
    """Unused arguments change nothing."""
    for keep in (False, True):
        j = fg.jit(lambda x, y: x * 2.0, keep_unused=keep)
        np.testing.assert_array_equal(j(X, np.ones((2, 2))), 2.0 * X)
        np.testing.assert_array_equal(fg.grad(lambda y, j=j: j(X, y).sum())(np.ones(2)), 0.0)


def test_inline():
    """With inline=True another recording holds the function's operations, not a call of it."""
    f = lambda x: np.sin(x) * x
    called = str(fg.make_jaxpr(lambda x: fg.jit(f)(x) + 1.0)(X))
    inlined = str(fg.make_jaxpr(lambda x: fg.jit(f, inline=True)(x) + 1.0)(X))
    assert "call" in called and "sin" in inlined and "call" not in inlined
    np.testing.assert_array_equal(fg.jit(f, inline=True)(X), fg.jit(f)(X))
    np.testing.assert_allclose(fg.grad(lambda x: fg.jit(f, inline=True)(x).sum())(X), np.cos(X) * X + np.sin(X))


def test_decorator_forms():
    """@jit, @jit(...) and functools.partial(jit, ...) are the same as a call, and keep name and docstring."""

    @fg.jit
    def plain(x):
        """Plain."""
        return x * 2.0

    @fg.jit(static_argnums=1)
    def with_options(x, n):
        """With options."""
        return x * n

    @functools.partial(fg.jit, static_argnames=("n",))
    def with_partial(x, n):
        """With partial."""
        return x * n

    assert plain(2.0) == with_options(2.0, 2) == with_partial(2.0, n=2) == 4.0
    assert (plain.__name__, plain.__doc__) == ("plain", "Plain.")
    assert (with_options.__name__, with_options.__doc__) == ("with_options", "With options.")
    assert plain.__wrapped__(2.0) == 4.0
    assert "plain" in repr(plain) and "jit" in repr(plain)
    assert "expects a function, got float" in _error(TypeError, lambda: fg.jit(3.0))


# --- kinds of functions ---------------------------------------------------------------------------------------------


def test_methods():
    """A decorated method takes its instance as a static or as a pytree argument; a bound method is a function."""

    class Model:
        def __init__(self, w):
            self.w = w

        @fg.jit(static_argnums=0)
        def static(self, x):
            return self.w * x

        @staticmethod
        @fg.jit
        def of_class(x):
            return 5.0 * x

        def plain(self, x):
            return self.w * x

    two, three = Model(2.0), Model(3.0)
    for _ in range(2):
        np.testing.assert_array_equal(two.static(X), 2.0 * X)
        np.testing.assert_array_equal(three.static(X), 3.0 * X)
    np.testing.assert_array_equal(Model.static(two, X), 2.0 * X)
    np.testing.assert_array_equal(two.of_class(X), 5.0 * X)
    bound = fg.jit(two.plain), fg.jit(three.plain)
    np.testing.assert_array_equal(bound[0](X), 2.0 * X)
    np.testing.assert_array_equal(bound[1](X), 3.0 * X)
    assert fg.grad(lambda x: two.static(x).sum())(X) == pytest.approx(2.0)


def test_a_pytree_as_self():
    """A method of a registered dataclass: the fields are arguments, a new value does not record anew."""
    runs = []

    @dataclasses.dataclass
    class Line:
        slope: float
        offset: float

        @fg.jit
        def __call__(self, x):
            runs.append(1)
            return self.slope * x + self.offset

    np.testing.assert_array_equal(Line(2.0, 1.0)(X), 2.0 * X + 1.0)
    np.testing.assert_array_equal(Line(3.0, -1.0)(X), 3.0 * X - 1.0)
    assert len(runs) == 1
    g = fg.grad(lambda line: line(X).sum())(Line(2.0, 1.0))
    assert (g.slope, g.offset) == (6.0, 3.0)


def test_callables_of_all_kinds():
    """functools.partial, callable objects, builtins, ufuncs, other transforms, jitted functions, Partial."""

    class Scale:
        def __call__(self, x):
            return 3.0 * x

    np.testing.assert_array_equal(fg.jit(functools.partial(lambda a, x: a * x, 2.0))(X), 2.0 * X)
    np.testing.assert_array_equal(fg.jit(Scale())(X), 3.0 * X)
    np.testing.assert_allclose(fg.jit(np.sin)(X), np.sin(X))
    np.testing.assert_allclose(fg.jit(np.linalg.norm)(X), np.linalg.norm(X))
    np.testing.assert_allclose(fg.jit(sum)([1.0, 2.0, X]), 3.0 + X)
    np.testing.assert_allclose(fg.jit(fg.grad(np.sin))(0.5), np.cos(0.5))
    np.testing.assert_allclose(fg.jit(fg.jit(np.sin))(X), np.sin(X))
    np.testing.assert_allclose(fg.jit(Partial(np.multiply, 2.0))(X), 2.0 * X)


def test_a_partial_as_argument():
    """A Partial is a pytree: the function is part of the type, its arguments are traced."""
    runs = []

    def apply(f, x):
        runs.append(1)
        return f(x)

    j = fg.jit(apply)
    for s in (1.0, 2.0):
        np.testing.assert_array_equal(j(Partial(np.multiply, s), X), s * X)
    assert len(runs) == 1


def test_no_arguments():
    """A function of nothing computes its constants once, and returns new arrays each time."""
    f = Counted(lambda: (np.arange(3.0) * 2.0, 1.5))
    j = fg.jit(f)
    a, s = j()
    b, _ = j()
    np.testing.assert_array_equal(a, [0.0, 2.0, 4.0])
    assert s == 1.5
    assert f.runs == 1
    assert not np.shares_memory(a, b)


# --- trees ----------------------------------------------------------------------------------------------------------


def test_trees_in_and_out():
    """Nested containers go in and come out; None has no leaves; the result's containers are new."""

    def f(p, *rest, **named):
        return {"sum": p["w"][0] + rest[0], "all": (p, [named["k"], None]), "n": None}

    j = fg.jit(f)
    p = {"w": (X, 2.0), "b": None}
    for _ in range(2):
        out = j(p, 1.0, k=[X])
        np.testing.assert_array_equal(out["sum"], X + 1.0)
        assert out["n"] is None and out["all"][1][1] is None
        assert isinstance(out["all"][1][0], list)
        assert fg.tree.structure(out) == fg.tree.structure(f(p, 1.0, k=[X]))
        assert not np.shares_memory(out["all"][0]["w"][0], X)
    assert fg.jit(lambda: None)() is None
    assert fg.jit(lambda x: ())(1.0) == ()
    assert fg.jit(lambda x: x)([]) == []


def test_registered_dataclasses():
    """Dataclasses with data and metadata: metadata is part of the type."""

    @dataclasses.dataclass
    class Layer:
        w: np.ndarray
        name: str = fg.tree.static(default="a")

    f = Counted(lambda layer: Layer(layer.w * 2.0, layer.name + "!"))
    j = fg.jit(f)
    out = j(Layer(X))
    assert type(out) is Layer and out.name == "a!"
    np.testing.assert_array_equal(out.w, 2.0 * X)
    j(Layer(X + 1.0))
    assert f.runs == 1
    assert j(Layer(X, "b")).name == "b!"
    assert f.runs == 2


# --- results --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", list("?bBhHiIlLqQefdgFDG"))
def test_results_of_every_dtype(dtype):
    """Arrays, 0-d arrays and scalars of each dtype come out with their dtype: as they are, and computed with."""
    x = np.array([[1, 0, 1], [1, 1, 0]]).astype(dtype)
    functions = [
        lambda x: x,
        lambda x: x[0],
        lambda x: x[0, 0],
        lambda x: x.T,
        lambda x: x + x,
        lambda x: x.sum(),
        lambda x: x.sum(axis=0),
        lambda x: x * 2,
        lambda x: np.where(x > 0, x, x) if x.dtype.kind != "c" else x.real,
        lambda x: x == x,
        lambda x: x.astype(np.complex64),
        lambda x: x.max() if x.dtype.kind != "c" else x.imag,
        lambda x: np.concatenate([x, x]),
        lambda x: np.argsort(x.reshape(-1)[:1]),
        lambda x: x.any(),
        lambda x: x.reshape(-1)[:1].reshape(()),
    ]
    for k, f in enumerate(functions):
        expected, got = f(x), fg.jit(f)(x)
        expected = np.asarray(expected)[()]
        assert got.dtype == expected.dtype, k
        _same(got, expected)


@pytest.mark.parametrize("make", [np.float64, np.float32, np.int64, np.int8, np.bool_, np.complex64, np.longdouble])
def test_scalars_in_and_out(make):
    """NumPy scalars and 0-d arrays go in; what comes out without axes is a NumPy scalar of the eager type."""
    for f in (lambda x: x, lambda x: x * x, lambda x: x + 1, lambda x: (x > 0) | (x == 0), lambda x: x * np.ones(2)):
        x = make(1)
        _same(fg.jit(f)(x), f(x))
        _same(fg.jit(f)(np.array(x)), np.asarray(f(np.array(x)))[()])


def test_python_numbers_come_out_as_numpy_scalars():
    """Results that were Python numbers are NumPy's scalars, whatever they were made of."""
    j = fg.jit(lambda x, n, b, z: (x, n, b, z, x + n, n * n, 3, 2.5, False, 1j))
    out = j(1.5, 2, True, 1.0 + 2.0j)
    types = [np.float64, np.int64, np.bool_, np.complex128, np.float64, np.int64, np.int64, np.float64, np.bool_]
    assert [type(y) for y in out] == [*types, np.complex128]
    assert list(out) == [1.5, 2, True, 1 + 2j, 3.5, 4, 3, 2.5, False, 1j]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays(shape):
    """Arrays of no elements, through elementwise functions, reductions, contractions and shapes."""
    x = np.ones(shape)
    for f in (
        lambda x: np.sin(x) * 2.0 + x,
        lambda x: x.sum(),
        lambda x: x.sum(axis=0),
        lambda x: x.sum(axis=-1, keepdims=True),
        lambda x: x.reshape(-1),
        lambda x: x.T @ x if x.ndim == 2 else x,
        lambda x: np.concatenate([x, x]),
        lambda x: x[:0],
        lambda x: np.prod(x),
        lambda x: np.broadcast_to(1.0, x.shape),
    ):
        _same(fg.jit(f)(x), f(x))
        np.testing.assert_array_equal(fg.jit(fg.grad(lambda x, f=f: np.sum(f(x))))(x), x)


def test_auxiliary_results():
    """Integers and booleans beside arrays of floats, and has_aux through a compiled function."""

    def f(x):
        return (x**2).sum(), {"largest": np.argmax(x), "positive": x > 0, "n": x.size, "flag": True}

    value, aux = fg.jit(f)(X)
    assert (value, aux["largest"], aux["n"], aux["flag"]) == (14.0, 2, 3, True)
    assert aux["positive"].dtype == bool and aux["positive"].all()
    for g in (fg.grad(fg.jit(f), has_aux=True), fg.jit(fg.grad(f, has_aux=True))):
        gradient, aux = g(X)
        np.testing.assert_array_equal(gradient, 2.0 * X)
        assert aux["largest"] == 2 and aux["n"] == 3


FORTRAN = np.asfortranarray(np.arange(12.0).reshape(3, 4))
LAYOUTS = {
    "c": FORTRAN.copy("C"),
    "fortran": FORTRAN,
    "steps": np.arange(24.0).reshape(3, 8)[:, ::2],
    "reversed": np.arange(12.0).reshape(3, 4)[::-1, ::-1],
    "transposed": np.arange(12.0).reshape(4, 3).T,
    "broadcast": np.broadcast_to(np.arange(4.0), (3, 4)),
    "unaligned": np.frombuffer(b"x" + np.arange(12.0).tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 4),
    "big-endian": np.arange(12.0).reshape(3, 4).astype(">f8"),
    "read-only": np.arange(12.0).reshape(3, 4),
}
LAYOUTS["read-only"].flags.writeable = False


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_layouts_of_arguments(layout):
    """However an argument lies in memory, the results are those of the function."""
    x = LAYOUTS[layout]
    for f in (
        lambda x: x,
        lambda x: np.sin(x) + x.sum(axis=0),
        lambda x: x.reshape(-1) * 2.0,
        lambda x: x.T @ x,
        lambda x: x.T.reshape(2, 6),
        lambda x: (x * x).sum(),
        lambda x: x[1:, ::-1].mean(axis=1),
    ):
        expected, got = f(x), fg.jit(f)(x)
        np.testing.assert_allclose(got, expected, rtol=1e-14)
        assert got.dtype.newbyteorder("=") == np.asarray(expected).dtype.newbyteorder("=")


# --- memory ---------------------------------------------------------------------------------------------------------

CONSTANT = np.arange(12.0).reshape(3, 4)
MEMORY = {
    "identity": lambda x: x,
    "reshape": lambda x: x.reshape(4, 3),
    "ravel": lambda x: np.ravel(x),
    "transpose": lambda x: x.T,
    "slice": lambda x: x[1:],
    "steps": lambda x: x[::2, ::-1],
    "row": lambda x: x[0],
    "new axis": lambda x: x[None],
    "constant": lambda x: CONSTANT,
    "view of a constant": lambda x: CONSTANT.T,
    "twice": lambda x: (x, x),
    "constant twice": lambda x: (CONSTANT, CONSTANT, CONSTANT[0]),
    "computed twice": lambda x: (lambda y: (y, y, y.T, y[0]))(np.sin(x)),
    "views of computed": lambda x: (lambda y: (y[::2], y.reshape(-1)))(np.sin(x)),
    "view of computed": lambda x: np.sin(x)[1:, ::-1],
    "transpose of computed": lambda x: np.exp(x).T,
    "broadcast": lambda x: np.broadcast_to(x, (2, 3, 4)),
    "broadcast of computed": lambda x: np.broadcast_to(np.sin(x)[0], (3, 4)),
    "broadcast number": lambda x: np.broadcast_to(2.0, (3, 4)),
    "zeros": lambda x: (np.zeros_like(x), np.ones((3, 4)), np.full((3, 4), x[0, 0])),
    "real": lambda x: (x.real, x.imag),
    "astype": lambda x: x.astype(float),
    "asarray": lambda x: np.asarray(x),
    "copy": lambda x: x.copy(),
    "where": lambda x: np.where(x > 0, x, x),
    "squeeze": lambda x: x[:, None].squeeze(),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "split": lambda x: tuple(np.split(x, 2, axis=1)),
    "atleast": lambda x: np.atleast_3d(x),
    "diagonal": lambda x: np.diagonal(x),
    "in a tree": lambda x: {"a": [x, x.T], "b": x.reshape(-1)},
    "add zero": lambda x: x - 0,
    "times one": lambda x: x * 1.0,
    "double negation": lambda x: np.negative(-x),
    "double transpose": lambda x: x.T.T,
    "real of complex": lambda x: (x + 1j * x).real,
    "parts": lambda x: (lambda z: (z.real, z.imag, z))(x + 1j * x),
    "concatenate one": lambda x: np.concatenate([x]),
    "sum over none": lambda x: np.sum(x, axis=()),
    "clip": lambda x: np.clip(x, None, 100.0),
    "eigh": lambda x: tuple(np.linalg.eigh(x @ x.T)),
    "qr": lambda x: tuple(np.linalg.qr(x.T)),
    "sort": lambda x: np.sort(x, axis=0),
    "fft": lambda x: (np.fft.fft(x), np.fft.fft(x).real),
    "set": lambda x: x.at[0].set(0.0) if isinstance(x, fg.Tracer) else np.concatenate([np.zeros((1, 4)), x[1:]]),
    "workspace": lambda x: (lambda y: np.tanh(y * 3.0) + y)(np.sin(x) + 2.0),
}


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", list(MEMORY))
def test_results_are_in_memory_of_their_own(name, size):
    """Results share memory with no argument, constant, other result or later call's result, and can be written into."""
    f = MEMORY[name]
    x = np.linspace(0.1, 1.0, 12).reshape(3, 4)
    before = x.copy()
    expected = [np.copy(y) for y in fg.tree.leaves(f(x))]
    if size == "large":
        f, x = _tiled(f), np.repeat(x[None], 1000, 0)
        before = x.copy()
        expected = [np.copy(y) for y in fg.tree.leaves(f(x))]
    j = fg.jit(f)
    calls = [fg.tree.leaves(j(x)) for _ in range(4)]
    arrays = [y for leaves in calls for y in leaves]
    for k, y in enumerate(arrays):
        assert type(y) is np.ndarray
        assert y.flags.writeable
        assert not np.shares_memory(y, x)
        assert not np.shares_memory(y, CONSTANT)
        assert not any(np.may_share_memory(y, z) and np.shares_memory(y, z) for z in arrays[:k])
    for leaves in calls:
        for y, want in zip(leaves, expected, strict=True):
            np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-15)
            y[...] = -777.0
            np.testing.assert_array_equal(x, before)
    for y, want in zip(fg.tree.leaves(j(x)), expected, strict=True):
        np.testing.assert_allclose(y, want, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(CONSTANT, np.arange(12.0).reshape(3, 4))


def _tiled(f):
    """The function of a (1000, 3, 4) array whose first rows it takes, after steps that run in blocks."""

    def tiled(x):
        y = np.cos(np.sin(x) * 0.0) * x  # x itself, computed
        return f(y[7]), y, f(x[3])

    return tiled


def test_large_results_that_are_views():
    """Views of large arrays that were computed in blocks: returned, transposed, reversed, twice."""
    x = np.random.default_rng(0).normal(size=(300, 50))

    def f(x):
        y = np.sin(x) * 2.0
        z = np.cos(y) + y
        return y, y.T, y[::-1], z.reshape(-1), z, z[5], y + z

    j = fg.jit(f)
    first, second = j(x), j(2.0 * x)
    for got, want in zip(first, f(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    for got, want in zip(second, f(2.0 * x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    arrays = [*first, *second, x]
    for k, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:k])


@pytest.mark.parametrize("n", [3, 50_000])
def test_arguments_are_never_written_to(n):
    """Not by index assignment within the function, by out= or by buffers reused in place; nor when read-only."""
    x = np.linspace(0.0, 1.0, n)
    before = x.copy()
    x.flags.writeable = False

    def assigns(x):
        x[0] = 5.0
        x += 1.0
        return x * 2.0

    def chain(x):
        y = x * 2.0
        for _ in range(6):
            y = np.sin(y) + x
        return y, x * y

    for f in (chain, fg.grad(lambda x: chain(x)[1].sum()), lambda x: x.reshape(1, -1) * 2.0, lambda x: -x[::-1]):
        fg.jit(f)(x)
        np.testing.assert_array_equal(x, before)
    writeable = before.copy()
    got = fg.jit(assigns)(writeable)
    np.testing.assert_array_equal(writeable, before)
    want = before.copy()
    np.testing.assert_array_equal(got, assigns(want))


def test_closed_over_arrays_are_baked():
    """An array that the function closes over counts as it was when the function was recorded."""
    w = np.array([1.0, 2.0, 3.0])
    j = fg.jit(lambda x: x * w + w[0])
    np.testing.assert_array_equal(j(X), X * w + 1.0)
    w[:] = 100.0
    np.testing.assert_array_equal(j(X), X * [1.0, 2.0, 3.0] + 1.0)
    np.testing.assert_array_equal(fg.grad(lambda x: j(x).sum())(X), [1.0, 2.0, 3.0])
    j.clear_cache()
    np.testing.assert_array_equal(j(X), X * 100.0 + 100.0)


def test_arguments_changed_between_calls():
    """Nothing of the arguments is kept: the second call sees what is in the array then, and so do residuals."""
    x = X.copy()
    j = fg.jit(lambda x: np.sin(x) * x)
    j(x)
    _, pull = fg.vjp(j, x)
    want = pull(np.ones(3))[0].copy()
    x[:] = 7.0
    np.testing.assert_allclose(j(x), np.sin(7.0) * 7.0)
    np.testing.assert_array_equal(pull(np.ones(3))[0], want)


# --- disable_jit ----------------------------------------------------------------------------------------------------


def test_disable_jit():
    """Within it a jitted function runs as it was written; afterwards, and after an exception, it is compiled again."""
    f = Counted(lambda x: x + 1.0 if np.all(x > 0) else x)
    j = fg.jit(f)
    with pytest.raises(errors.TracerBoolConversionError):
        j(1.0)
    with fg.disable_jit():
        assert j(1.0) == 2.0
        assert j(-1.0) == -1.0
        assert type(j(1.0)) is float
        with fg.disable_jit(False), pytest.raises(errors.TracerBoolConversionError):
            j(1.0)
        assert fg.grad(j)(2.0) == 1.0
    with contextlib.suppress(KeyError), fg.disable_jit():
        raise KeyError
    with pytest.raises(errors.TracerBoolConversionError):
        j(1.0)


def test_disable_jit_with_a_compiled_function():
    """A program that exists already is not used within it."""
    f = Counted(lambda x: x * 2.0)
    j = fg.jit(f)
    j(X)
    with fg.disable_jit():
        j(X)
        j(X)
    j(X)
    assert f.runs == 3


def test_disable_jit_is_for_this_thread():
    """Other threads go on compiling."""
    f = Counted(lambda x: x * 2.0)
    j = fg.jit(f)
    j(X)
    with fg.disable_jit(), ThreadPoolExecutor(1) as pool:
        pool.submit(j, X).result()
    assert f.runs == 1


# --- lower ----------------------------------------------------------------------------------------------------------


def test_lower():
    """The jaxpr as recorded and after the passes, the source, and all of it as a text."""
    j = fg.jit(lambda x: np.sin(x * 1.0).sum() + 0.0 * np.cos(X).sum())
    lowered = j.lower(X)
    assert "mul" in str(lowered.jaxpr) and "sin" in str(lowered.jaxpr)
    fg.check_jaxpr(lowered.jaxpr)
    fg.check_jaxpr(lowered.optimized)
    assert "cos" not in str(lowered.optimized)
    assert "def program(" in lowered.source and "sin" in lowered.source
    compile(lowered.source, "source", "exec")
    text = lowered.as_text()
    for part in (str(lowered.jaxpr), str(lowered.optimized), lowered.source):
        assert part in text
    (y,) = fg.eval_jaxpr(lowered.optimized, (), X)
    assert y == pytest.approx(np.sin(X).sum())


def test_lower_compile():
    """compile() gives the compiled function, of arguments of that tree."""
    j = fg.jit(lambda p, *, s: {"y": p["x"] * s})
    compiled = j.lower({"x": X}, s=2.0).compile()
    np.testing.assert_array_equal(compiled({"x": X + 1.0}, s=3.0)["y"], (X + 1.0) * 3.0)


def test_lower_of_types():
    """Types stand for arguments, as in eval_shape; the program serves later calls."""
    f = Counted(lambda x: x @ x)
    j = fg.jit(f)
    lowered = j.lower(fg.ShapeDtypeStruct((3,), np.float64))
    assert str(lowered.jaxpr.in_avals) == "(f64[3],)"
    assert j(X) == 14.0
    assert f.runs == 1


def test_lower_with_static_arguments():
    """Static ones are values there too."""
    j = fg.jit(lambda x, n: x[:n], static_argnums=1)
    assert str(j.lower(X, 2).jaxpr.out_avals) == "(f64[2],)"


def test_lower_inside_a_transform_is_of_types():
    """The text is deterministic: the same program has the same source."""
    j = lambda: fg.jit(lambda x: np.sin(x) * np.cos(x) + (x @ x))
    assert j().lower(X).as_text() == j().lower(X).as_text()


# --- errors ---------------------------------------------------------------------------------------------------------


def _branches(x):
    y = x * 2.0
    if y > 0:
        return y
    return x


def _loops(x):
    while x.sum() < 10:
        x = x * 2.0
    return x


def _int(x):
    return np.zeros(int(x))


def _range(x):
    return sum(range(x))


def _float(x):
    return float(x)


def _mask(x):
    return x[x > 0]


@pytest.mark.parametrize(("f", "offset", "kind", "arg"), [
    (_branches, 2, errors.TracerBoolConversionError, 1.0),
    (_loops, 1, errors.TracerBoolConversionError, X),
    (_int, 1, errors.ConcretizationTypeError, 2.0),
    (_range, 1, errors.TracerIntegerConversionError, 2),
    (_float, 1, errors.ConcretizationTypeError, 2.0),
    (_mask, 1, errors.NonConcreteBooleanIndexError, X),
])  # fmt: skip
def test_python_control_flow_on_traced_values(f, offset, kind, arg):
    """The message names jit, the user's line, and what to write instead."""
    for call in (lambda: fg.jit(f)(arg), lambda: fg.jit(lambda x: f(x))(arg), lambda: fg.jit(f).lower(arg)):
        text = _error(kind, call)
        assert "jit" in text
        assert _line(f, offset) in text
        assert any(remedy in text for remedy in ("where", "static", "cond", "nonzero"))


def test_control_flow_under_grad_of_jit():
    """Values are unknown inside a compiled function, also where grad knows them outside."""
    text = _error(errors.TracerBoolConversionError, lambda: fg.grad(fg.jit(_branches))(1.0))
    assert "jit" in text and _line(_branches, 2) in text


@pytest.mark.parametrize("bad", [
    "text", object(), np.array(["a"]), np.array([1, None]), np.array([1], "M8[s]"), {1, 2}, np.ma.ones(2),
    fg.ShapeDtypeStruct((2,), float), lambda x: x,
], ids=lambda bad: type(bad).__name__ + str(getattr(bad, "dtype", "")))  # fmt: skip
def test_arguments_that_are_no_arrays(bad):
    """The message names jit, the argument, the function, and static arguments as the remedy."""

    def f(x, p):
        return x

    for call in (lambda: fg.jit(f)(X, {"a": bad}), lambda: fg.jit(f)(X, bad), lambda: fg.jit(f)(X, p=[bad])):
        text = _error(TypeError, call)
        assert "jit" in text
        assert f"(test_jit.py:{f.__code__.co_firstlineno})" in text
        assert type(bad).__name__ in text or "is a type, f64[2]" in text
    assert "['a']" in _error(TypeError, lambda: fg.jit(f)(X, {"a": bad}))


def test_python_integers_that_fit_no_dtype():
    """An integer of more than 64 bits is refused by name."""
    text = _error((TypeError, OverflowError), lambda: fg.jit(lambda x: x)(2**70))
    assert "jit" in text


def test_results_that_are_no_arrays():
    """A function must return arrays: the message names the result, the function, and what it was."""

    def f(x):
        return {"a": x, "b": "text"}

    text = _error(TypeError, lambda: fg.jit(f)(X))
    assert "jit" in text and "str" in text and "'text'" in text and f"(test_jit.py:{f.__code__.co_firstlineno})" in text
    with pytest.raises(TypeError):
        fg.jit(lambda x: object())(X)


def test_shape_errors_are_the_users():
    """An error of NumPy while the function is recorded is raised as it is, from the user's line."""

    def f(x):
        return x + np.ones(7)

    with pytest.raises(ValueError, match="broadcast") as caught:
        fg.jit(f)(X)
    assert any(entry.frame.code.raw is f.__code__ for entry in caught.traceback)
    with pytest.raises(TypeError):
        fg.jit(lambda x: x)()
    with pytest.raises(TypeError):
        fg.jit(lambda x: x)(1.0, 2.0)


def _inverse(x):
    y = x * 1.5
    z = np.linalg.inv(y)
    return z + 1.0


def _cholesky(x):
    return np.sin(
        np.linalg.cholesky(x),
    )


def _gather(x):
    n = np.arange(3) + (x[0, 0] * 0).astype(int) + 5
    return np.take(x, n)


@pytest.mark.parametrize(("f", "offset", "kind"), [
    (_inverse, 2, np.linalg.LinAlgError),
    (_cholesky, 2, np.linalg.LinAlgError),
    (_gather, 2, IndexError),
], ids=["inv", "cholesky", "gather"])  # fmt: skip
def test_exceptions_in_compiled_code_name_the_users_line(f, offset, kind):
    """An exception that NumPy raises when a program runs carries a note with the line it comes from."""
    x = np.zeros((2, 2))
    j = fg.jit(f)
    for call in (
        lambda: j(x),
        lambda: j(x),
        lambda: fg.vjp(j, x),
        lambda: fg.jit(lambda x: j(x) * 2.0)(x),
    ):
        with pytest.raises(kind) as caught:
            call()
        notes = "\n".join(getattr(caught.value, "__notes__", []))
        assert _line(f, offset) in notes
        assert notes.count(HERE) == 1
    for call in (
        lambda: fg.jit(fg.jacfwd(f))(x),
        lambda: fg.grad(lambda x: np.sum(j(x)))(x),
        lambda: fg.vmap(j)(x[None]),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert HERE in "\n".join(getattr(caught.value, "__notes__", []))
    with pytest.raises(kind):
        f(x)


def test_exceptions_in_scalar_code():
    """The same in a program of numbers, which runs a second way where Python raises and NumPy does not."""

    def f(x, i):
        y = np.log(x) / x
        return y * fg.numpy.take(np.array([1.0, 2.0]), i)

    j = fg.jit(f)
    with np.errstate(all="ignore"):
        assert np.isnan(j(-1.0, 1))
        assert j(0.0, 1) == -np.inf
        with pytest.raises(IndexError) as caught:
            j(0.0, 7)
    assert _line(f, 2) in "\n".join(caught.value.__notes__)
    with pytest.raises(IndexError):
        j(1.0, 7)
    assert j(1.0, 0) == 0.0


@pytest.mark.parametrize("n", [2, 50_000])
def test_floating_point_errors_that_are_asked_for(n):
    """Under np.errstate(all="raise") a compiled function raises as NumPy does, and names the line; also in blocks."""

    def f(x):
        y = x - 1.0
        z = np.sin(y) * 2.0
        return np.sqrt(z) + 1.0

    j = fg.jit(f)
    x = np.zeros(n)
    with np.errstate(all="raise"):
        with pytest.raises(FloatingPointError):
            f(x)
        with pytest.raises(FloatingPointError) as caught:
            j(x)
    assert _line(f, 3) in "\n".join(caught.value.__notes__)
    with np.errstate(all="ignore"):
        assert np.isnan(j(x)).all()


def test_a_program_that_raised_works_again():
    """After an exception in compiled code the next call is right."""
    j = fg.jit(lambda x: np.linalg.inv(np.sin(x) * 2.0) @ (x * 3.0 + 1.0))
    x = np.array([[0.5, 0.1], [0.2, 0.7]])
    want = np.linalg.inv(np.sin(x) * 2.0) @ (x * 3.0 + 1.0)
    for _ in range(4):
        with pytest.raises(np.linalg.LinAlgError):
            j(np.zeros((2, 2)))
        np.testing.assert_allclose(j(x), want)


def test_warnings_are_numpys():
    """Overflow and division by zero in arrays warn as they do in NumPy."""
    j = fg.jit(lambda x: 1.0 / x)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert j(np.zeros(2))[0] == np.inf
    with np.errstate(divide="ignore"):
        assert j(np.zeros(2))[0] == np.inf


# --- closures over tracers, nesting ---------------------------------------------------------------------------------


def test_closures_over_outer_tracers():
    """A compiled closure may use traced values of the function around it, at any depth; derivatives flow through."""

    def f(w):
        inner = fg.jit(lambda x: np.sin(w * x).sum())
        return inner(X) + inner(2.0 * X) * w

    expected = lambda w: np.sin(w * X).sum() + np.sin(w * 2.0 * X).sum() * w
    for transform in (
        fg.grad,
        fg.value_and_grad,
        fg.jacfwd,
        fg.hessian,
        lambda f: fg.grad(fg.grad(f)),
        lambda f: fg.jit(fg.grad(f)),
        lambda f: fg.jit(fg.jit(f)),
        fg.jit,
        lambda f: fg.jit(fg.hessian(fg.jit(f))),
    ):
        np.testing.assert_allclose(transform(f)(0.7), transform(expected)(0.7), rtol=1e-12)
    ws = np.array([0.1, 0.7])
    np.testing.assert_allclose(fg.vmap(fg.grad(f))(ws), fg.vmap(fg.grad(expected))(ws), rtol=1e-12)
    np.testing.assert_allclose(fg.jit(fg.vmap(fg.grad(f)))(ws), fg.vmap(fg.grad(expected))(ws), rtol=1e-12)


def test_one_jitted_function_that_closes_over_changing_tracers():
    """The same jitted function within two recordings takes the tracers of each, never those of another."""
    box = []
    j = fg.jit(lambda x: x * box[-1])

    def f(w):
        box.append(w)
        try:
            return j(2.0)
        finally:
            box.pop()

    for w in (1.0, 5.0, -2.0):
        assert fg.value_and_grad(f)(w) == (2.0 * w, 2.0)
    np.testing.assert_array_equal(fg.vmap(f)(X), 2.0 * X)
    assert fg.jit(f)(3.0) == 6.0
    assert fg.jit(fg.grad(f))(3.0) == 2.0


def test_closure_with_inner_and_outer_derivatives():
    """No confusion of perturbations through a compiled closure."""

    def f(x):
        return x * fg.grad(fg.jit(lambda y: x * y))(2.0)

    assert fg.grad(f)(3.0) == 6.0
    assert fg.grad(lambda x: x * fg.jit(fg.grad(lambda y: x * y**2))(1.0))(3.0) == 12.0
    assert fg.jit(fg.grad(lambda x: x * fg.jit(fg.grad(fg.jit(lambda y: x + y)))(1.0)))(3.0) == 1.0


def test_jit_in_jit():
    """An inner call is part of the outer program: recorded once, and no call is left after the passes."""
    inner = Counted(lambda x: np.sin(x) * 2.0)
    j = fg.jit(inner)
    outer = fg.jit(lambda x: j(x) + j(x + 1.0) + j(j(x)))
    f = lambda x: np.sin(x) * 2.0
    np.testing.assert_allclose(outer(X), f(X) + f(X + 1.0) + f(f(X)))
    assert inner.runs == 1
    lowered = outer.lower(X)
    assert str(lowered.jaxpr).count("call") == 4
    assert "call" not in str(lowered.optimized)


def test_recursion():
    """A jitted function may call itself, with a static argument that ends it."""

    @fg.jit(static_argnums=1)
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    np.testing.assert_allclose(power(X, 5), X**5)
    np.testing.assert_allclose(fg.grad(lambda x: power(x, 5))(2.0), 80.0)
    np.testing.assert_allclose(fg.grad(fg.grad(lambda x: power(x, 5)))(2.0), 160.0)

    @fg.jit
    def tree_sum(t):
        return t if not isinstance(t, list) else sum(tree_sum(s) for s in t)

    assert tree_sum([1.0, [2.0, [3.0, 4.0]], 5.0]) == 15.0


def test_mutual_recursion():
    """Two functions that call each other."""

    @fg.jit(static_argnums=1)
    def even(x, n):
        return x if n == 0 else odd(x * 2.0, n - 1)

    @fg.jit(static_argnums=1)
    def odd(x, n):
        return -x if n == 0 else even(x + 1.0, n - 1)

    assert even(1.0, 4) == ((1.0 * 2 + 1) * 2) + 1
    assert odd(1.0, 3) == (1.0 + 1) * 2.0 + 1


def test_leaked_tracers():
    """A tracer that got out of a compiled function is refused, and the message says where it was made."""
    leaks = []

    def leaky(x):
        y = x * 2.0
        leaks.append(y)
        return y

    fg.jit(leaky)(X)
    text = _error(errors.UnexpectedTracerError, lambda: leaks[0] + 1.0)
    assert "jit" in text and _line(leaky, 1) in text
    with pytest.raises(errors.UnexpectedTracerError):
        fg.jit(lambda x: x + leaks[0])(X)
    with pytest.raises(errors.UnexpectedTracerError):
        fg.jit(lambda x: leaks[0])(X)


def test_jit_under_vmap_with_axis_names():
    """Collectives within a compiled function belong to the vmap around it: another size is another program."""
    j = fg.jit(lambda x: x / fg.psum(x, "i"))
    f = fg.vmap(j, axis_name="i")
    np.testing.assert_allclose(f(X), X / X.sum())
    np.testing.assert_allclose(f(np.ones(5)), 0.2)
    size = fg.jit(lambda x: x * fg.axis_size("i"))
    np.testing.assert_allclose(fg.vmap(size, axis_name="i")(X), 3.0 * X)
    np.testing.assert_allclose(fg.vmap(size, axis_name="i")(np.ones(5)), 5.0)
    assert fg.vmap(lambda x: size(2.0) + x, axis_name="i")(np.zeros(4))[0] == 8.0
    assert fg.vmap(lambda x: size(2.0) + x, axis_name="i")(np.zeros(6))[0] == 12.0
    with pytest.raises(errors.AxisNameError):
        size(2.0)


# --- threads --------------------------------------------------------------------------------------------------------

WORKERS = 12


def _together(work, n=WORKERS):
    """Run work(0), ..., work(n - 1) in as many threads, started at the same moment; return the results in order."""
    barrier = threading.Barrier(n)

    def run(k):
        barrier.wait()
        return work(k)

    with ThreadPoolExecutor(n) as pool:
        return [f.result(timeout=60) for f in [pool.submit(run, k) for k in range(n)]]


@pytest.mark.parametrize("size", [1, 3, 40_000])
@pytest.mark.parametrize("warm", [False, True], ids=["first calls", "later calls"])
def test_threads_that_call_one_jitted_function(size, warm):
    """Each gets the results of its own arguments, and they stay as they are while others call on."""

    def f(x):
        y = np.sin(x) * x + 1.0
        z = np.cos(y) * y
        return y, z, (y * z).sum(), (z - y).max()

    rng = np.random.default_rng(0)
    data = [rng.normal(size=size) for _ in range(WORKERS)]
    expected = [f(x) for x in data]
    j = fg.jit(f)
    if warm:
        j(data[0])

    def work(k):
        results = [j(data[k]) for _ in range(5)]
        return results[0], results[-1]

    for results, want in zip(_together(work), expected, strict=True):
        for got in results:
            for a, b in zip(got, want, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert j.cache_info().size == 1


def test_threads_and_derivatives():
    """First calls of derivatives of one jitted function race: all get the same."""
    j = fg.jit(lambda x: np.tanh(x @ x) * np.sin(x).sum())
    data = [X * (0.1 + 0.05 * k) for k in range(WORKERS)]

    def work(k, j=j):
        kind = k % 4
        if kind == 0:
            return fg.grad(j)(data[k])
        if kind == 1:
            return fg.jit(fg.grad(j))(data[k])
        if kind == 2:
            return fg.hessian(j)(data[k])
        return fg.vmap(fg.grad(j))(np.stack([data[k]] * 2))

    plain = lambda x: np.tanh(x @ x) * np.sin(x).sum()
    expected = [work(k, plain) for k in range(WORKERS)]
    for got, want in zip(_together(work), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_mutual_recursion_in_threads():
    """Two functions that call each other, first called in two threads at the same moment: no deadlock."""
    barrier = threading.Barrier(2)

    def meet(n):
        if n == 2:
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(timeout=1.0)

    @fg.jit(static_argnums=1)
    def left(x, n):
        meet(n)
        return x if n == 0 else right(x * 2.0, n - 1)

    @fg.jit(static_argnums=1)
    def right(x, n):
        meet(n)
        return x if n == 0 else left(x * 3.0, n - 1)

    results = {}
    threads = [
        threading.Thread(target=lambda: results.update(left=left(1.0, 2)), daemon=True),
        threading.Thread(target=lambda: results.update(right=right(1.0, 2)), daemon=True),
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=20.0)
    assert results == {"left": 6.0, "right": 6.0}


def test_an_exception_in_one_thread():
    """A call that raises does not disturb the others."""
    j = fg.jit(lambda x: np.linalg.inv(x * 2.0) @ x)
    good, bad = np.eye(2), np.zeros((2, 2))

    def work(k):
        if k % 3:
            return j(good * (k + 1.0))
        with pytest.raises(np.linalg.LinAlgError):
            j(bad)
        return None

    for got in _together(work):
        if got is not None:
            np.testing.assert_allclose(got, 0.5 * np.eye(2))


# --- pickling, copies, lifetime -------------------------------------------------------------------------------------


@fg.jit
def _decorated(x):
    return np.sin(x) * 2.0


@fg.jit(static_argnums=1)
def _decorated_static(x, n):
    return x * n


def _module_level(x, n=2):
    return x**n


def test_pickle():
    """Decorated functions pickle by name, others by their function and options; so do derivatives of them."""
    for f, args in (
        (_decorated, (X,)),
        (_decorated_static, (X, 3)),
        (fg.jit(_module_level), (X,)),
        (fg.jit(_module_level, static_argnames="n"), (X, 3)),
        (fg.jit(functools.partial(_module_level, n=3)), (X,)),
    ):
        expected = f(*args)
        for copied in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
            np.testing.assert_array_equal(copied(*args), expected)
            assert copied.__name__ == f.__name__ if hasattr(f, "__name__") else True
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(fg.jit(lambda x: x))


def test_pickled_jaxpr_with_calls():
    """A jaxpr that holds a call of a compiled function pickles."""
    closed = fg.make_jaxpr(lambda x: fg.jit(np.sin)(x) * 2.0)(X)
    copied = pickle.loads(pickle.dumps(closed))
    np.testing.assert_allclose(fg.eval_jaxpr(copied, (), X)[0], np.sin(X) * 2.0)


def _freed(make):
    """Whether what ``make`` returns weak references to is gone, without and with the cycle collector."""
    refs = make()
    gc.collect()
    return [r() is None for r in refs]


def test_programs_are_freed_with_their_function():
    """Neither the caches nor the programs keep a function, its constants or its programs alive."""

    def make():
        big = np.ones(1000)

        def f(x):
            return np.sin(x * big).sum()

        j = fg.jit(f)
        j(np.ones(1000))
        j(2.0)
        fg.grad(j)(np.ones(1000))
        fg.vmap(j)(np.ones((2, 1000)))
        fg.jit(fg.grad(j))(np.ones(1000))
        program = j.lower(2.0)._program
        return [weakref.ref(f), weakref.ref(j), weakref.ref(program), weakref.ref(big)]

    assert _freed(make) == [True] * 4


def test_failed_functions_are_freed():
    """Also after exceptions while recording and in compiled code."""

    def make():
        def raises(x):
            raise KeyError

        def inverse(x):
            return np.linalg.inv(x)

        for f in (raises, inverse):
            with contextlib.suppress(KeyError, np.linalg.LinAlgError):
                fg.jit(f)(np.zeros((2, 2)))
        return [weakref.ref(raises), weakref.ref(inverse)]

    assert _freed(make) == [True, True]


def test_arguments_and_results_are_freed():
    """A program keeps neither its arguments nor its results, large ones with derivatives included."""

    class Watched(np.ndarray):
        pass

    j = fg.jit(lambda x: (np.sin(x) * x, x.T, x))
    grad = fg.jit(fg.grad(lambda x: (np.sin(x) * x).sum()))

    def make():
        x = np.ones((200, 100))
        outs = j(x)
        g = grad(x)
        _, pull = fg.vjp(j, x)
        refs = [weakref.ref(a) for a in (x, *outs, g)]
        del pull
        return refs

    assert all(_freed(make))


def test_calls_make_no_cycles():
    """A call of a compiled function leaves nothing for the cycle collector."""
    j = fg.jit(lambda p: {"y": np.sin(p["x"]) * 2.0})
    j({"x": X})
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            j({"x": X})
        assert gc.collect() < 25
    finally:
        gc.enable()


def test_repeated_closures_do_not_pile_up():
    """A function that jits a new closure at each call leaves no caches behind."""

    def f(w):
        return fg.jit(lambda x: x * w)(2.0)

    for k in range(30):
        f(float(k))
    gc.collect()
    from fungrad.transforms import jit as module

    before = len(module._caches)
    for k in range(30):
        f(float(k))
    gc.collect()
    assert len(module._caches) <= before

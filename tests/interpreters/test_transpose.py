"""The reverse interpreter: cotangents, walked backwards and accumulated."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.record import record_values
from fungrad.errors import NonLinearError
from fungrad.interpreters.transpose import backward


def _pull(fun, values, cts, consume=False):
    outs, tape = record_values("test", lambda *xs: fun(*xs), values, fun)
    known = [None] * tape.size
    for i, ct in zip(tape.out_ids, cts, strict=True):
        if i is not None:
            known[i] = ct
    backward(tape.entries, known, consume)
    return [known[i] for i in tape.in_ids], tape, known


def test_cotangents_of_inputs_are_left_and_others_dropped():
    """After the walk only the inputs hold a cotangent."""
    cts, tape, known = _pull(lambda x, y: [np.sin(x) * y * x], [0.5, 2.0], [1.0])
    assert cts == [pytest.approx(2 * (np.cos(0.5) * 0.5 + np.sin(0.5))), pytest.approx(np.sin(0.5) * 0.5)]
    assert all(known[i] is None for i in range(tape.size) if i not in tape.in_ids)


def test_an_input_that_the_result_does_not_need_has_none():
    """Symbolic zeros: no work for what has no influence."""
    cts, _, _ = _pull(lambda x, y: [np.sin(x), np.exp(y)], [0.5, 2.0], [1.0, None])
    assert cts[1] is None


def test_consume_empties_the_entries():
    """With consume the residuals are freed on the way."""
    cts, tape, _ = _pull(lambda x: [np.sin(x) * x], [0.5], [1.0], consume=True)
    assert tape.entries == []
    assert cts[0] == pytest.approx(np.cos(0.5) * 0.5 + np.sin(0.5))


def test_the_callers_cotangent_is_never_written_to():
    """Sums are accumulated in place only into arrays made by the walk itself."""
    ct = np.ones(3)
    pull = fg.vjp(lambda x: x + x + x + x[::-1] + x, np.arange(3.0))[1]
    for _ in range(2):
        np.testing.assert_array_equal(pull(ct)[0], [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(ct, 1.0)


def test_results_that_are_an_input_do_not_alias_the_cotangent():
    """The identity twice: two primals share a cotangent's value; adding to one must not change the other."""
    ct = (np.ones(2), np.ones(2))
    pull = fg.vjp(lambda x, y: (x + y, x), np.zeros(2), np.zeros(2))[1]
    x_bar, y_bar = pull(ct)
    np.testing.assert_array_equal(x_bar, [2.0, 2.0])
    np.testing.assert_array_equal(y_bar, [1.0, 1.0])
    np.testing.assert_array_equal(ct, np.ones((2, 2)))


def test_accumulation_through_one_shared_cotangent():
    """One cotangent array reaches several operands (add hands it on as it is), each of which accumulates more."""

    def f(x, y):
        s = x + y  # both get the same cotangent object
        return s.sum() + (x * x).sum() + (y * 3.0).sum() + x[0] + y[1] * y[1]

    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    x_bar, y_bar = fg.grad(f, (0, 1))(x, y)
    np.testing.assert_array_equal(x_bar, [1 + 2 + 1, 1 + 4])
    np.testing.assert_array_equal(y_bar, [1 + 3, 1 + 3 + 8])


def test_residuals_are_not_written_to():
    """Adding cotangents in place must not change values that the function computed or was given."""
    x = np.array([1.0, 2.0, 3.0])
    c = np.array([4.0, 5.0, 6.0])
    y, pull = fg.vjp(lambda x: (x * c, c * x, x[0] * c), x)
    first = pull((c, c, c))[0].copy()
    second = pull((c, c, c))[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(c, [4.0, 5.0, 6.0])
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(y[0], c * x)


@pytest.mark.parametrize("order", ["index first", "index last", "index only"])
def test_indexing_accumulates_in_place_with_other_uses(order):
    """x[i] adds into the cotangent of x whatever came before: a borrowed array, an own one, or nothing."""
    x = np.arange(4.0)

    def f(x):
        if order == "index first":
            return x[1] * 10 + x[1:3].sum() + x.sum()
        if order == "index last":
            return x.sum() + (x * 2.0).sum() + x[1] * 10 + x[1:3].sum()
        return x[1] * 10 + x[1:3].sum()

    base = {"index first": 1, "index last": 3, "index only": 0}[order]
    np.testing.assert_array_equal(fg.grad(f)(x), base + np.array([0.0, 11.0, 1.0, 0.0]))
    ct = np.ones(4)
    pull = fg.vjp(lambda x: (x, f(x)), x)[1]
    np.testing.assert_array_equal(pull((ct, 1.0))[0], 1 + base + np.array([0.0, 11.0, 1.0, 0.0]))
    np.testing.assert_array_equal(ct, 1.0)


def test_accumulation_keeps_dtypes():
    """A float32 array read at several places gets a float32 gradient."""
    x = np.ones(3, np.float32)
    g = fg.grad(lambda x: x[0] * 2.0 + x[1:].sum() + x[0] * x[1])(x)
    assert g.dtype == np.float32
    np.testing.assert_array_equal(g, [3.0, 2.0, 1.0])


def test_broadcasting_is_summed_back():
    """The cotangent of a broadcast operand has the operand's shape."""
    shapes = [
        ((3,), (2, 3)),
        ((2, 1), (2, 3)),
        ((1,), (3,)),
        ((), (2, 3)),
        ((1, 1), (2, 3)),
        ((2, 1, 3), (4, 1)),
        ((0,), (1,)),
    ]
    for a, b in shapes:
        x, y = np.ones(a), np.full(b, 2.0)
        gx, gy = fg.grad(lambda x, y: (x * y).sum(), (0, 1))(x, y)
        out = np.broadcast_shapes(a, b)
        count = int(np.prod(out, dtype=int))
        assert (gx.shape, gy.shape) == (a, b)
        np.testing.assert_array_equal(gx, np.full(a, 2.0 * count / max(x.size, 1)))
        np.testing.assert_array_equal(gy, np.full(b, count / max(y.size, 1)))


@pytest.mark.parametrize("fun", [
    lambda x: np.sin(x),
    lambda x: x * x,
    lambda x: x**2,
    lambda x: x + 1.0,
    lambda x: 1.0 - x,
    lambda x: np.exp(x),
    lambda x: 1.0 / x,
    lambda x: np.abs(x),
    lambda x: np.maximum(x, 0.0),
    lambda x: np.where(x > 0, x, 0.0),
    lambda x: x.max(),
    lambda x: x.prod(),
    lambda x: np.sort(x),
    lambda x: x @ x,
    lambda x: np.concatenate([x, np.ones(1)]),
    lambda x: np.floor(x),
    lambda x: np.ones(3),
    lambda x: (x, np.ones(1)),
    lambda x: np.stack([x, np.arange(3.0)]),
], ids=["sin", "mul", "power", "add", "sub", "exp", "div", "abs", "maximum", "where", "max", "prod", "sort", "matmul",
        "concatenate", "floor", "constant", "constants", "stack"])  # fmt: skip
def test_what_is_not_linear_is_refused(fun):
    """linear_transpose of a non-linear, affine or constant function is a NonLinearError, which is a ValueError."""
    with pytest.raises(NonLinearError):
        fg.linear_transpose(fun, np.ones(3))(fun(np.ones(3)))
    assert issubclass(NonLinearError, ValueError)


def test_the_refusal_names_primitive_and_line():
    """The message says which operation, and where in the user's code."""

    def f(x):
        return np.sin(x) * 3.0

    with pytest.raises(
        NonLinearError,
        match=rf"primitive 'sin' recorded at .*test_transpose\.py:{f.__code__.co_firstlineno + 1} \(in f\)",
    ):
        fg.linear_transpose(f, 1.0)

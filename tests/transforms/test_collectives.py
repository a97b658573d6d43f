"""Collectives: combining the examples of a named axis. The facts are those of JAX."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import AxisNameError

X = np.array([0.0, 1.0, 2.0])


def _named(f, name="i", **kwargs):
    return fg.vmap(f, axis_name=name, **kwargs)


def test_psum_pmean_pmax_pmin():
    """The same value for every example."""
    out = _named(lambda x: (fg.psum(x, "i"), fg.pmean(x, "i"), fg.pmax(x, "i"), fg.pmin(x, "i")))(X)
    for got, want in zip(out, (3.0, 1.0, 2.0, 0.0), strict=True):
        np.testing.assert_array_equal(got, np.full(3, want))


def test_of_arrays():
    """Over the examples, not over the axes of an example."""
    x = np.arange(6.0).reshape(3, 2)
    out = _named(lambda x: (fg.psum(x, "i"), fg.pmax(x, "i")))(x)
    np.testing.assert_array_equal(out[0], np.tile(x.sum(0), (3, 1)))
    np.testing.assert_array_equal(out[1], np.tile(x.max(0), (3, 1)))


def test_axis_index_and_size():
    """The position is an integer, different for each example; the size is a Python int."""
    sizes = []

    def f(x):
        sizes.append(fg.axis_size("i"))
        return x * 10 + fg.axis_index("i")

    np.testing.assert_array_equal(_named(f)(X), [0.0, 11.0, 22.0])
    assert sizes == [3]
    assert _named(lambda x: fg.axis_index("i"))(X).dtype == np.int64
    np.testing.assert_array_equal(_named(lambda: fg.axis_index("i"), axis_size=4)(), np.arange(4))


def test_results_of_collectives_are_not_mapped():
    """out_axes=None takes them once."""
    assert _named(lambda x: fg.psum(x, "i"), out_axes=None)(X) == 3.0


def test_of_values_that_are_the_same_for_all():
    """psum of a constant is the constant times the size, pmean and pmax are the constant."""
    out = _named(lambda x: (fg.psum(2.0, "i"), fg.pmean(2.0, "i"), fg.pmax(2.0, "i"), fg.psum(1, "i")), out_axes=None)(
        X
    )
    assert out == (6.0, 2.0, 2.0, 3)


def test_grad_inside_sums_the_cotangents_of_all():
    """JAX's fact: grad(psum(a**2)) for a = [0, 1, 2] is [0, 6, 12]."""
    np.testing.assert_array_equal(_named(fg.grad(lambda a: fg.psum(a**2, "i")))(X), [0.0, 6.0, 12.0])


def test_grad_inside_of_python_numbers():
    """A Python float that is differentiated inside the map stands for one copy per example."""
    out = _named(lambda x: x * fg.grad(lambda a: fg.psum(a * a, "i"))(2.0))(X)
    np.testing.assert_array_equal(out, 12.0 * X)
    out = _named(lambda x: x * fg.grad(lambda a: fg.psum(a, "i") + fg.pmean(a, "i") + fg.pmax(a, "i"))(2.0))(X)
    np.testing.assert_allclose(out, 5.0 * X)


def test_grad_inside_of_pmean_and_pmax():
    """The mean's gradients add up to the derivative itself; the maximum's go to the largest."""
    np.testing.assert_allclose(_named(fg.grad(lambda a: fg.pmean(a**2, "i")))(X), [0.0, 2.0, 4.0])
    np.testing.assert_allclose(_named(fg.grad(lambda a: fg.pmax(a**2, "i")))(X), [0.0, 0.0, 12.0])
    np.testing.assert_allclose(_named(fg.grad(lambda a: fg.pmin(a + 1.0, "i")))(X), [3.0, 0.0, 0.0])


def test_jvp_inside():
    """The tangent of a sum is the sum of the tangents."""
    out = _named(lambda a, t: fg.jvp(lambda a: fg.psum(a**2, "i"), (a,), (t,)))(X, np.array([1.0, 1.0, 0.0]))
    np.testing.assert_array_equal(out[0], [5.0] * 3)
    np.testing.assert_array_equal(out[1], [2.0] * 3)


def test_grad_through():
    """Differentiating a function that maps with collectives inside: softmax over the named axis."""

    def f(x):
        return (_named(lambda a: np.exp(a) / fg.psum(np.exp(a), "i"))(x) * np.array([1.0, 2.0, 4.0])).sum()

    p = np.exp(X) / np.exp(X).sum()
    w = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(fg.grad(f)(X), p * (w - p @ w))
    np.testing.assert_allclose(fg.jacfwd(f)(X), p * (w - p @ w))
    h = fg.hessian(f)(X)
    np.testing.assert_allclose(h, h.T, atol=1e-15)
    np.testing.assert_allclose(fg.grad(lambda x: _named(lambda a: a - fg.pmax(a, "i"))(x)[0])(X), [1.0, 0.0, -1.0])


def test_ties_share():
    """Equal maxima share the derivative equally."""
    ties = np.array([1.0, 1.0, 0.0])
    np.testing.assert_allclose(fg.grad(lambda x: _named(lambda a: fg.pmax(a, "i"))(x)[0])(ties), [0.5, 0.5, 0.0])
    np.testing.assert_allclose(_named(fg.grad(lambda a: fg.pmax(a, "i")))(ties), [1.5, 1.5, 0.0])
    np.testing.assert_allclose(_named(fg.grad(lambda a: fg.pmin(-a, "i")))(ties), [-1.5, -1.5, 0.0])
    tangents = _named(lambda a, t: fg.jvp(lambda a: fg.pmax(a, "i"), (a,), (t,))[1])(ties, np.array([3.0, 5.0, 7.0]))
    np.testing.assert_allclose(tangents, [4.0, 4.0, 4.0])


def test_two_axes():
    """Nested maps with two names: over either or both, in any order."""
    x = np.arange(6.0).reshape(2, 3)

    def both(f):
        return _named(_named(f, "j"), "i")(x)

    np.testing.assert_array_equal(both(lambda a: fg.psum(a, "i")), np.tile(x.sum(0), (2, 1)))
    np.testing.assert_array_equal(both(lambda a: fg.psum(a, "j")), np.tile(x.sum(1)[:, None], (1, 3)))
    np.testing.assert_array_equal(both(lambda a: fg.psum(a, ("i", "j"))), np.full((2, 3), 15.0))
    np.testing.assert_array_equal(both(lambda a: fg.pmax(a, ("j", "i"))), np.full((2, 3), 5.0))
    np.testing.assert_array_equal(
        both(lambda a: fg.axis_index("i") * 10 + fg.axis_index("j")), [[0, 1, 2], [10, 11, 12]]
    )
    np.testing.assert_array_equal(both(lambda a: a * fg.axis_size("i") + fg.axis_size("j")), x * 2 + 3)


def test_an_unnamed_map_between():
    """A map without a name (or with another one) between the collective and its axis changes nothing."""
    x = np.arange(6.0).reshape(2, 3)
    out = _named(lambda r: fg.vmap(lambda a: a + fg.psum(a, "i"))(r))(x)
    np.testing.assert_array_equal(out, x + x.sum(0))
    out = _named(lambda r: _named(lambda a: fg.psum(a, "i"), "other")(r))(x)
    np.testing.assert_array_equal(out, np.tile(x.sum(0), (2, 1)))


def test_the_inner_of_two_equal_names_counts():
    """Names are scoped: a collective means the innermost axis of its name, also for values of the outer axis."""
    x = np.arange(3.0)
    out = _named(lambda a: _named(lambda b: fg.psum(b, "i"))(np.ones(2)) * a)(x)
    np.testing.assert_array_equal(out, np.outer(x, [2.0, 2.0]))
    out = _named(lambda a: _named(lambda b: fg.psum(a, "i") + 0 * b)(np.ones(2)))(x)
    np.testing.assert_array_equal(out, np.outer(x, [2.0, 2.0]))


def test_names_end_with_the_map():
    """Outside, or after an exception inside, the name is unbound."""

    def fails(x):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        _named(fails)(X)
    _named(lambda x: x)(X)
    for collective in (fg.psum, fg.pmean, fg.pmax, fg.pmin):
        with pytest.raises(AxisNameError, match=r"unbound axis name: 'i'"):
            collective(X, "i")
    with pytest.raises(NameError, match="unbound axis name: 'j'; the axes in scope are \\['i'\\]"):
        _named(lambda x: fg.psum(x, "j"))(X)
    for ask in (fg.axis_index, fg.axis_size):
        with pytest.raises(AxisNameError, match=r"vmap\(f, axis_name='i'\)"):
            ask("i")


def test_trees():
    """Collectives take pytrees, as JAX's do."""
    out = _named(lambda x: fg.psum({"a": x, "b": (x * 2,)}, "i"), out_axes=None)(X)
    assert out == {"a": 3.0, "b": (6.0,)}


def test_integers_and_dtypes():
    """Sums keep NumPy's dtypes: int64 for integers, float32 for float32."""
    assert _named(lambda x: fg.psum(x, "i"))(X.astype(np.float32)).dtype == np.float32
    assert _named(lambda x: fg.psum(x, "i"))(np.arange(3)).dtype == np.int64
    assert _named(lambda x: fg.pmean(x, "i"))(X.astype(np.float32)).dtype == np.float32


EXTREMES = [
    (np.int8, [-128, 3]),
    (np.uint8, [0, 255]),
    (np.bool_, [True, False]),
    (np.int64, [2, 5]),
    (np.float64, [np.inf, -np.inf]),
]


@pytest.mark.parametrize("x", [np.array(v, t) for t, v in EXTREMES], ids=lambda x: x.dtype.name)
def test_extremes_of_every_dtype(x):
    """pmax and pmin are exact for integers at the ends of their range, unsigned ones and booleans."""
    high, low = _named(lambda v: (fg.pmax(v, "i"), fg.pmin(v, "i")), out_axes=None)(x)
    assert (high, low) == (x.max(), x.min())
    assert high.dtype == low.dtype == x.dtype


def test_in_a_jaxpr():
    """The mapped program has no collective left, only a reduction; it is well formed and can be evaluated."""
    closed = fg.make_jaxpr(_named(lambda x: x / fg.psum(x, "i")))(X)
    fg.check_jaxpr(closed)
    assert "psum" not in str(closed)
    np.testing.assert_array_equal(fg.eval_jaxpr(closed, (), X)[0], X / 3.0)

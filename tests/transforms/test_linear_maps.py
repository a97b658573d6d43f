"""What vjp, linearize and linear_transpose return: linear maps that can be pickled, mapped, differentiated."""

import pickle

import numpy as np
import pytest

import fungrad as fg

X = np.array([0.3, 0.7, 1.1])


def _f(x):
    return np.sin(x) * x[::-1]


MAPS = {
    "vjp": lambda x: fg.vjp(_f, x)[1],
    "linearize": lambda x: fg.linearize(_f, x)[1],
    "linear_transpose": lambda x: fg.linear_transpose(fg.linearize(_f, x)[1], x),
}


@pytest.fixture(params=list(MAPS))
def make(request):
    """A point -> a linear map there."""
    return MAPS[request.param]


def _apply(linear, t):
    out = linear(t)
    return out[0] if isinstance(out, tuple) else out


def test_linearity(make):
    """L(a s + b t) = a L(s) + b L(t)."""
    linear = make(X)
    s, t = np.array([1.0, -1.0, 0.5]), np.array([0.2, 0.3, 2.0])
    np.testing.assert_allclose(_apply(linear, 2 * s - 3 * t), 2 * _apply(linear, s) - 3 * _apply(linear, t))


def test_matrix(make):
    """Applied to a basis it is the Jacobian or its transpose; vmap applies it to the whole basis at once."""
    linear = make(X)
    rows = fg.vmap(lambda e: _apply(linear, e))(np.eye(3))
    np.testing.assert_allclose(rows, np.stack([_apply(linear, e) for e in np.eye(3)]))
    j = fg.jacfwd(_f)(X)
    np.testing.assert_allclose(rows, j.T if make is MAPS["linearize"] else j)


def test_pickle(make):
    """A copy in another process computes the same."""
    linear = make(X)
    again = pickle.loads(pickle.dumps(linear))
    np.testing.assert_array_equal(_apply(again, np.ones(3)), _apply(linear, np.ones(3)))
    with pytest.raises(ValueError, match=r"must have shape \(3,\)"):
        again(np.ones(2))


def test_leaves_are_the_residuals(make):
    """As a pytree its leaves are arrays; put together again it computes the same; scaled residuals, scaled map."""
    linear = make(X)
    leaves, treedef = fg.tree.flatten(linear)
    assert leaves
    assert all(isinstance(x, np.ndarray) for x in leaves)
    again = treedef.unflatten(leaves)
    np.testing.assert_array_equal(_apply(again, np.ones(3)), _apply(linear, np.ones(3)))


def test_a_batch_of_maps(make):
    """vmap can return linear maps, and take them as arguments."""
    points = np.stack([X, 2 * X])
    batched = fg.vmap(make)(points)
    t = np.array([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
    out = fg.vmap(lambda linear, t: _apply(linear, t))(batched, t)
    np.testing.assert_allclose(out, np.stack([_apply(make(p), s) for p, s in zip(points, t, strict=True)]))


def test_differentiating_with_respect_to_the_point(make):
    """The map depends on the point: the derivative of its value is second order."""
    t = np.array([1.0, 2.0, 3.0])
    got = fg.jacfwd(lambda x: _apply(make(x), t))(X)
    eps = 1e-6
    want = np.stack(
        [(_apply(make(X + eps * e), t) - _apply(make(X - eps * e), t)) / (2 * eps) for e in np.eye(3)], axis=1
    )
    np.testing.assert_allclose(got, want, atol=1e-8)


def test_differentiating_with_respect_to_the_argument(make):
    """A linear map is its own derivative."""
    linear = make(X)
    t = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(fg.jvp(lambda s: _apply(linear, s), (X,), (t,))[1], _apply(linear, t))
    ct = np.array([0.5, 0.25, 2.0])
    (back,) = fg.vjp(lambda s: _apply(linear, s), X)[1](ct)
    assert back @ t == pytest.approx(ct @ _apply(linear, t))


def test_maps_that_leave_a_recording(make):
    """A linear map in aux is a plain one when the outer transform has ended."""
    _, linear = fg.grad(lambda x: (x.sum(), make(x)), has_aux=True)(X)
    np.testing.assert_allclose(_apply(linear, np.ones(3)), _apply(make(X), np.ones(3)))


def test_repr(make):
    """The types of argument and result are shown."""
    assert "f64[3]" in repr(make(X))

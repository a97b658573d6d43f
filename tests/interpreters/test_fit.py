"""Fitting tangents and cotangents to the type that they belong to."""

import numpy as np
import pytest

from fungrad.core.aval import ShapedArray
from fungrad.interpreters.fit import fit_cotangent, fit_tangent

SHAPES = [
    ((), (2, 3)),
    ((3,), (2, 3)),
    ((2, 1), (2, 3)),
    ((1, 1), (2, 3)),
    ((1,), (1,)),
    ((1,), (4, 1)),
    ((0,), (2, 0)),
    ((2, 1, 3), (5, 2, 4, 3)),
]


@pytest.mark.parametrize(("small", "large"), SHAPES)
def test_fitting_is_a_broadcast_and_its_transpose(small, large):
    """<fit_tangent(t), c> = <t, fit_cotangent(c)> for every broadcast."""
    rng = np.random.default_rng(0)
    t, c = rng.normal(size=small), rng.normal(size=large)
    forward = fit_tangent(t, ShapedArray(large, np.float64))
    back = fit_cotangent(c, ShapedArray(small, np.float64))
    assert forward.shape == large
    assert np.shape(back) == small
    np.testing.assert_array_equal(forward, np.broadcast_to(t, large))
    assert np.vdot(forward, c) == pytest.approx(np.vdot(t, back))


def test_nothing_to_do_returns_the_same_object():
    """A tangent of the right type is not copied."""
    t = np.ones((2, 3))
    assert fit_tangent(t, ShapedArray((2, 3), np.float64)) is t
    assert fit_cotangent(t, ShapedArray((2, 3), np.float64)) is t


def test_casts():
    """A cast goes back to the operand's dtype; from complex to real it is the real part."""
    assert fit_cotangent(np.ones(2), ShapedArray((2,), np.float32)).dtype == np.float32
    assert fit_tangent(np.float32(1), ShapedArray((2,), np.float64)).dtype == np.float64
    back = fit_cotangent(np.array([1 + 2j, 3 - 1j]), ShapedArray((2,), np.float64))
    np.testing.assert_array_equal(back, [1.0, 3.0])
    assert back.dtype == np.float64
    assert fit_tangent(np.ones(2), ShapedArray((2,), np.complex64)).dtype == np.complex64


def test_scalars_stay_numpy_scalars():
    """0-d results are NumPy scalars."""
    assert type(fit_cotangent(np.ones((2, 3)), ShapedArray((), np.float64))) is np.float64
    assert type(fit_cotangent(np.ones((2, 3)), ShapedArray((), np.float32))) is np.float32

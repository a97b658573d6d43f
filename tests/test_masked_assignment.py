"""Assignment where a mask of unknown value is true: under vmap and make_jaxpr, whose arrays are types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fungrad as fg
import fungrad.numpy as fnp
from fungrad.errors import NonConcreteBooleanIndexError, TracerIntegerConversionError

X = np.array([[0.5, -1.0, 2.0], [-0.3, 0.2, 0.9], [1.0, 2.0, -3.5]])


def scaled(x: Any) -> Any:
    """By a number."""
    y = 1.0 * x
    y[x > 0] *= 2
    return y


def moved(x: Any) -> Any:
    """By a traced value and by a number, in a buffer."""
    y = np.zeros_like(x)
    y[x > 0.1] += x[0]
    y[x < 0] -= 1
    return y * x


def roots(x: Any) -> Any:
    """The power is nan, and its derivative, where the mask is false."""
    y = x.copy()
    y[x > 0] **= 0.5
    return y


def divided(x: Any) -> Any:
    """The divisor is zero, and nothing is divided by it, where no element is selected."""
    y = x.copy()
    y[x > 100] /= 0.0 * x[0]
    y[x < 0] /= x.sum()
    y[x > 1] = x.sum()
    return y


def buffer(x: Any) -> Any:
    """Plain until the first traced mask."""
    y = fnp.ones(3)
    y[x > 0] *= 3
    y[x < 0] += x[1]
    return y * x


def rows(x: Any) -> Any:
    """One value for each row that is selected."""
    y = np.stack([x, 2 * x], -1)
    y[x > 0] *= np.array([2.0, 3.0])
    y[x < 0] = np.stack([x[0], x[1]])
    y[x > 0.4] += x[:2][None]
    y[x > 0.6] = [[0.1, 0.2]]
    return y


def views(x: Any) -> Any:
    """Through a view, and in the array that it is of."""
    y = x.copy()
    v = y[1:]
    v[x[1:] > 0] *= 2
    y[np.abs(x) > 1] //= 1
    return y + v.sum()


def flags(x: Any) -> Any:
    """Of booleans."""
    chosen = x > 0
    chosen[x > 0.7] ^= True
    chosen[x < -0.5] |= x[0] > 0
    return np.where(chosen, x, 3 * x)


def matrices(x: Any) -> Any:
    """Masks of two axes and of none."""
    y = np.outer(x, x)
    y[y > 0.3] -= x[1]
    n = x[0] * 1.0
    n[n > 0] += 2.0
    return y + n


PROGRAMS = [scaled, moved, roots, divided, buffer, rows, views, flags, matrices]


@pytest.mark.parametrize("program", PROGRAMS)
def test_values_are_numpys(program: Callable[[Any], Any]) -> None:
    """A batch is a loop of plain NumPy, and so is the jaxpr; also when Python has specialised the code."""
    if program is matrices:
        expected = np.stack([np.outer(x, x) for x in X])
        expected = np.stack([np.where(y > 0.3, y - x[1], y) for x, y in zip(X, expected, strict=True)])
        expected += np.where(X[:, 0] > 0, X[:, 0] + 2, X[:, 0])[:, None, None]
    else:
        expected = np.stack([program(x) for x in X])
    for _ in range(12):
        np.testing.assert_allclose(fg.vmap(program)(X), expected, rtol=1e-14)
    for x, y in zip(X, expected, strict=True):
        np.testing.assert_allclose(fg.eval_jaxpr(fg.make_jaxpr(program)(x), (), x)[0], y, rtol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives_are_those_with_known_masks(program: Callable[[Any], Any]) -> None:
    """In both modes, inside and outside of vmap; finite where what is not selected would have none."""
    if program is matrices:
        program = lambda x: moved(x) * scaled(x)
    expected = np.stack([fg.jacfwd(program)(x) for x in X])
    np.testing.assert_allclose(fg.vmap(fg.jacrev(program))(X), expected, rtol=1e-12)
    np.testing.assert_allclose(fg.vmap(fg.jacfwd(program))(X), expected, rtol=1e-12)
    whole = fg.jacrev(lambda x: fg.vmap(program)(x))(X)
    np.testing.assert_allclose(np.stack([whole[k, ..., k, :] for k in range(3)]), expected, rtol=1e-12)


def test_float32_stays() -> None:
    """Numbers do not widen the array."""
    assert fg.vmap(scaled)(X.astype(np.float32)).dtype == np.float32
    assert fg.vmap(roots)(X.astype(np.float32)).dtype == np.float32


def _assigns(change: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = x.copy()
        change(y, x)
        return y

    return f


def one_for_each(y: Any, x: Any) -> None:
    """As many values as elements."""
    y[x > 0] *= x


def one_plain_for_each(y: Any, x: Any) -> None:
    """As many plain values as are selected, perhaps."""
    y[x > 0] += np.arange(2.0)


def product(y: Any, x: Any) -> None:
    """Not element by element."""
    y[x > 0] @= np.eye(3)


def set_for_each(y: Any, x: Any) -> None:
    """As many values as elements, assigned."""
    y[x > 0] = x


def selected(y: Any, x: Any) -> None:
    """Elements that are read."""
    y[:] = x[x > 0].sum()


def of_another(y: Any, x: Any) -> None:
    """Elements that are read, calculated with and assigned."""
    y[x > 0] = x[x > 0] * 2


@pytest.mark.parametrize(
    "change", [one_for_each, one_plain_for_each, product, set_for_each, selected, of_another], ids=lambda f: f.__name__
)
def test_what_needs_the_number_of_elements_is_an_error(change: Callable[[Any, Any], None]) -> None:
    """It names the line, the transform and what to write."""
    with pytest.raises(NonConcreteBooleanIndexError, match=rf"(?s)in {change.__name__}\).*fungrad\.vmap.*np\.where"):
        fg.vmap(_assigns(change))(X)


def test_wrong_operands_are_errors() -> None:
    """Those of NumPy: no broadcasting of the array itself, no complex numbers into real ones, no text."""

    def too_wide(y: Any, x: Any) -> None:
        rows = np.stack([y, y], -1)
        rows[x > 0] += np.ones(3)

    def complex_number(y: Any, x: Any) -> None:
        y[x > 0] += 1j

    def text(y: Any, x: Any) -> None:
        y[x > 0] += "a"

    with pytest.raises(ValueError, match="broadcast"):
        fg.vmap(_assigns(too_wide))(X)
    with pytest.raises(TypeError, match=r"complex_number.*complex"):
        fg.vmap(_assigns(complex_number))(X)
    with pytest.raises(TypeError):
        fg.vmap(_assigns(text))(X)


def test_a_plain_array_is_named_in_the_error() -> None:
    """It cannot become traced; the message says which array to make, for masks and for integers."""

    def masked(x: Any) -> Any:
        z = np.zeros(3)
        z[x > 0] += 1
        return z

    def indexed(x: Any) -> Any:
        return np.arange(3.0)[np.argsort(x)]

    with pytest.raises(TracerIntegerConversionError, match=r"in masked\).*fungrad\.vmap.*np\.where.*np\.zeros_like"):
        fg.vmap(masked)(X)
    with pytest.raises(TracerIntegerConversionError, match=r"in indexed\).*fungrad\.numpy\.take"):
        fg.vmap(indexed)(X)

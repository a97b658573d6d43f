"""The forward interpreter: tangents through the entries of a recording."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.elementwise import NoTangent
from fungrad.core.primitive import PRIMITIVES, Primitive
from fungrad.core.record import record_values
from fungrad.core.trace import Application
from fungrad.errors import MissingRuleError
from fungrad.interpreters.jvp import forward, tangent_of


def _tape(fun, *values):
    _, tape = record_values("test", lambda *xs: [fun(*xs)], values, fun)
    return tape


def _known(tape, *tangents):
    known = [None] * tape.size
    for i, t in zip(tape.in_ids, tangents, strict=True):
        known[i] = t
    return known


def test_tangents_of_every_entry_are_filled():
    """After the walk each recorded result has its tangent."""
    tape = _tape(lambda x: np.sin(x) * x, 0.5)
    known = _known(tape, 2.0)
    forward(tape.entries, known)
    assert known[tape.out_ids[0]] == pytest.approx(2 * (np.cos(0.5) * 0.5 + np.sin(0.5)))
    assert sum(t is not None for t in known) == 3


def test_none_is_a_zero_that_costs_nothing():
    """What depends on no tangent stays None: no zeros are made and no rules run."""
    tape = _tape(lambda x, y: np.sin(x) * 2.0 + y, 0.5, 1.0)
    known = _known(tape, None, 3.0)
    forward(tape.entries, known)
    assert known[tape.out_ids[0]] == 3.0
    assert sum(t is not None for t in known) == 2


def test_structural_zeros_stay_zeros():
    """Linear, multilinear and general entries without a tangent have none in their result either."""
    tape = _tape(lambda x, y: (x.reshape(3, 1) @ np.ones((1, 2))).max() * y, np.arange(3.0), 2.0)
    known = _known(tape, None, 1.0)
    forward(tape.entries, known)
    assert known[tape.out_ids[0]] == 2.0
    assert sum(t is not None for t in known) == 2


def test_tangents_are_broadcast_and_cast_to_the_result():
    """A scalar tangent that is added to an array becomes an array of the result's dtype."""
    tape = _tape(lambda x, y: x + y, np.float32(1), np.ones((2, 3)))
    known = _known(tape, np.float32(5), None)
    forward(tape.entries, known)
    out = known[tape.out_ids[0]]
    assert (out.shape, out.dtype) == ((2, 3), np.float64)
    assert (out == 5).all()


def test_linear_in_several_operands_fills_zeros_beside_tangents():
    """concatenate of one active and one inactive operand: the inactive half of the tangent is zero."""
    y, t = fg.jvp(lambda x, c: np.concatenate([x, c, x]), (np.ones(2), np.ones(1)), (np.array([1.0, 2.0]), np.zeros(1)))
    np.testing.assert_array_equal(t, [1, 2, 0, 1, 2])
    y, t = fg.jvp(lambda x: np.concatenate([x, np.full(1, 9.0)]), (np.ones(2),), (np.array([1.0, 2.0]),))
    np.testing.assert_array_equal(y, [1, 1, 9])
    np.testing.assert_array_equal(t, [1, 2, 0])


def test_multilinear_is_the_product_rule():
    """Both operands of a product traced: two terms."""
    a, b, s, t = (np.random.default_rng(k).normal(size=(2, 2)) for k in range(4))
    np.testing.assert_allclose(fg.jvp(np.matmul, (a, b), (s, t))[1], s @ b + a @ t)


def test_walking_twice_gives_the_same():
    """Without consume the entries stay, and a second walk gives the same."""
    tape = _tape(lambda x: np.exp(x) * x, 0.3)
    results = []
    for _ in range(2):
        known = _known(tape, 1.0)
        forward(tape.entries, known)
        results.append(known[tape.out_ids[0]])
    assert results[0] == results[1]
    assert len(tape.entries) == 2


def test_consume_empties_the_entries_in_order():
    """With consume the list is empty afterwards and the result is the same."""
    tape = _tape(lambda x: np.exp(x) * x + np.sin(x), 0.3)
    known = _known(tape, 1.0)
    forward(tape.entries, known, consume=True)
    assert tape.entries == []
    assert known[tape.out_ids[0]] == pytest.approx(np.exp(0.3) * 1.3 + np.cos(0.3))


def test_a_kind_without_a_forward_rule_is_an_error():
    """An application of a kind that jvp does not know names the primitive."""
    before = dict(PRIMITIVES)
    try:
        for prim in (Primitive("test_unknown", len), NoTangent("test_unknown2", len)):
            with pytest.raises(MissingRuleError, match=f"primitive '{prim.name}' .* has no forward rule"):
                tangent_of(prim, Application((0,), (1.0,), {}, 1.0, None), [1.0])
    finally:
        PRIMITIVES.clear()
        PRIMITIVES.update(before)


def test_complex_to_real_takes_the_real_part():
    """The tangent of a real result of a complex operand is real: d|z|^2 = 2 Re(conj(z) dz)."""
    z, dz = 1 + 2j, 0.5 - 1j
    y, t = fg.jvp(lambda z: abs(z) ** 2, (z,), (dz,))
    assert y == pytest.approx(5.0)
    assert np.isrealobj(t)
    assert t == pytest.approx(2 * (np.conj(z) * dz).real)
    assert fg.jvp(np.imag, (z,), (dz,)) == (2.0, -1.0)
    assert fg.jvp(np.real, (z,), (dz,)) == (1.0, 0.5)

"""The batch interpreter: one walk for all examples."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.primitive import PRIMITIVES, Linear
from fungrad.interpreters.batch import BatchAxis, align, batch


def _batch(fun, args, batched, name=None):
    size = next(np.shape(a)[0] for a, b in zip(args, batched, strict=True) if b)
    closed = fg.make_jaxpr(fun)(*[a[0] if b else a for a, b in zip(args, batched, strict=True)])
    return batch(closed, BatchAxis(size, name), args, batched)


def test_flags_say_which_results_are_batched():
    """A result that depends on no batched argument is computed once and not batched."""
    x, y = np.arange(6.0).reshape(3, 2), np.ones(2)
    outs, flags = _batch(lambda x, y: (x * y, np.exp(y), 3.0), [x, y], [True, False])
    assert flags == [True, False, False]
    np.testing.assert_array_equal(outs[0], x * y)
    assert outs[1].shape == (2,)


def test_unbatched_equations_run_once():
    """Work on unbatched operands is not repeated for each example."""
    before = dict(PRIMITIVES)
    shapes = []
    try:
        prim = Linear(
            "test_spy",
            lambda x: (shapes.append(np.shape(x)), x)[1],
            abstract=lambda x: x,
            transpose=lambda ct, x: ct,
            batch=lambda axis, batched, x: prim.bind(x),
        )
        _batch(lambda x, y: prim.bind(x) + prim.bind(y), [np.ones((3, 2)), np.ones(2)], [True, False])
    finally:
        PRIMITIVES.clear()
        PRIMITIVES.update(before)
    assert sorted(shapes) == [(2,), (3, 2)]


def test_align_puts_new_axes_behind_the_batch_axis():
    """Ranks are aligned as NumPy aligns them within each example; unbatched operands are left alone."""
    a, b, c = np.ones((5,)), np.ones((5, 2, 3)), np.ones((3,))
    out = align([a, b, c], [True, True, False])
    assert [x.shape for x in out] == [(5, 1, 1), (5, 2, 3), (3,)]
    assert out[1] is b and out[2] is c
    assert [x.shape for x in align([a, c], [True, False])] == [(5, 1), (3,)]
    assert align([a, 2.0], [True, False])[0] is a


def test_an_unbatched_operand_of_higher_rank():
    """A batch of scalars times one matrix is a batch of matrices, even where sizes coincide."""
    s, m = np.arange(2.0), np.arange(4.0).reshape(2, 2)
    out, _ = _batch(lambda s, m: s * m, [s, m], [True, False])
    np.testing.assert_array_equal(out[0], np.stack([k * m for k in s]))


def test_parameters_are_handed_on():
    """The rule of a primitive gets axis, flags, operands and parameters as declared."""
    before = dict(PRIMITIVES)
    got = []

    def rule(axis, batched, x, *, n):
        got.append((axis, batched, x.shape, n))
        return x

    try:
        prim = Linear(
            "test_spy", lambda x, *, n: x, abstract=lambda x, *, n: x, transpose=lambda ct, x, *, n: ct, batch=rule
        )
        _batch(lambda x: prim.bind(x, n=7), [np.ones((3, 2))], [True], name="i")
    finally:
        PRIMITIVES.clear()
        PRIMITIVES.update(before)
    assert got == [(BatchAxis(3, "i"), [True], (3, 2), 7)]


def test_constants_of_the_jaxpr_are_unbatched():
    """What the function closes over is the same for all examples, also if its first axis has the batch's size."""
    c = np.arange(3.0)
    outs, flags = _batch(lambda x: (x + c, c), [np.zeros((3, 3))], [True])
    np.testing.assert_array_equal(outs[0], np.tile(c, (3, 1)))
    assert flags == [True, False]
    np.testing.assert_array_equal(outs[1], c)


def test_batch_inside_a_recording():
    """Batching a jaxpr on tracers records the batched program."""
    closed = fg.make_jaxpr(lambda x, y: np.dot(x, y))(np.ones(2), np.ones(2))

    def f(x, y):
        (out,), _ = batch(closed, BatchAxis(3, None), [x, y], [True, False])
        return out.sum()

    x, y = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])
    gx, gy = fg.grad(f, (0, 1))(x, y)
    np.testing.assert_array_equal(gx, np.tile(y, (3, 1)))
    np.testing.assert_array_equal(gy, x.sum(0))


@pytest.mark.parametrize("size", [0, 1, 4])
def test_any_size(size):
    """Batches of no and of one example."""
    outs, flags = (
        _batch(lambda x: (np.sin(x) @ np.ones(3), x.sum()), [np.ones((size, 3))], [True])
        if size
        else batch(
            fg.make_jaxpr(lambda x: (np.sin(x) @ np.ones(3), x.sum()))(np.ones(3)),
            BatchAxis(0, None),
            [np.ones((0, 3))],
            [True],
        )
    )
    assert [x.shape for x in outs] == [(size,), (size,)]
    assert flags == [True, True]

"""split_carries: short vectors that a loop takes apart and puts together are carried as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import shown

import fungrad as fg
from fungrad.passes.carries import split_carries
from fungrad.passes.scalars import LONGEST

V = np.array([0.3, -0.7, 1.1])
XS = np.arange(12.0).reshape(4, 3) / 7 + 0.1


def split(body, operands, n_consts=0, n_carry=1):
    """The body after the pass, well formed and computing the same, and the widths."""
    closed = fg.make_jaxpr(body)(*operands)
    after, widths = split_carries(closed, n_consts, n_carry)
    fg.check_jaxpr(after)
    assert len(widths) == n_carry
    args, outs = [], []
    for k, x in enumerate(operands):
        width = widths[k - n_consts] if n_consts <= k < n_consts + n_carry else None
        args += [x] if width is None else list(x)
    found = iter(fg.eval_jaxpr(after, (), *args))
    expected = fg.eval_jaxpr(closed, (), *operands)
    for k in range(len(expected)):
        width = widths[k] if k < n_carry else None
        outs.append(next(found) if width is None else np.array([next(found) for _ in range(width)]))
    assert next(found, None) is None
    for a, b in zip(outs, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.shape(a) == np.shape(b)
    return after, widths


def names(closed):
    """The primitives of the equations."""
    return [e.primitive.name for e in closed.eqns]


def test_golden():
    """The elements are arguments and results; nothing is sliced or stacked any more."""
    after, widths = split(lambda c, x: (np.stack([c[1], c[0] * x]), c[0] + 1.0), (V[:2], 2.0))
    assert widths == [2]
    assert shown(after) == ["d:f64[] = mul a c", "e:f64[] = add a 1.0:f64[]", "in (b, d, e)"]


def test_order_of_arguments():
    """Constants, the scalars of each carry in its place, rows; results likewise."""
    body = lambda w, a, b, c, x, y: (
        np.stack([a[1], a[0] + w]),
        np.sin(b),
        np.stack([c[2], c[0], c[1] * x]),
        y * c[0],
    )
    after, widths = split(body, (3.0, V[:2], np.ones(20), V, 2.0, 5.0), 1, 3)
    assert widths == [2, None, 3]
    shapes = [v.aval.shape for v in after.jaxpr.invars]
    assert shapes == [(), (), (), (20,), (), (), (), (), ()]
    assert [v.aval.shape for v in after.jaxpr.outvars] == [(), (), (20,), (), (), (), ()]


def test_one_element():
    """A vector of one number is made by reshape; it is read by its index."""
    after, widths = split(lambda c, x: (np.reshape(c[0] * x, (1,)),), (V[:1], 2.0))
    assert widths == [1]
    assert names(after) == ["mul"]


def test_an_element_that_nothing_reads():
    """Its scalar is an argument all the same, and what is not read makes no equation."""
    after, widths = split(lambda c, x: (np.stack([c[0] * x, x, x]),), (V, np.float64(2.0)))
    assert widths == [3]
    assert shown(after) == ["e:f64[] = mul a d", "in (e, d, d)"]


def test_an_element_read_twice():
    """Two equal slices are one scalar."""
    after, widths = split(lambda c, x: (np.stack([c[0] * x, np.sin(c[0]), np.cos(c[2])]),), (V, 2.0))
    assert widths == [3]
    assert names(after) == ["mul", "sin", "cos"]


def test_a_stack_that_is_also_stacked_up():
    """The new vector may be read otherwise as well: it is built then."""
    after, widths = split(lambda c, x: ((y := np.stack([c[1], c[0] * x])), y * 2.0), (V[:2], 2.0))
    assert widths == [2]
    assert names(after) == ["mul", "stack", "mul"]


LONG = np.linspace(0.1, 0.9, LONGEST + 1)

STAY = {
    "read as a whole": (lambda c, x: (np.stack([c[0], c.sum()]),), V[:2]),
    "returned as it was": (lambda c, x: (np.stack([c[1], c[0]]), c), V[:2]),
    "not put together": (lambda c, x: (np.sin(x) * V[:2] * c[0],), V[:2]),
    "unchanged": (lambda c, x: (c,), V),
    "not read": (lambda c, x: (np.stack([x, x]),), V[:2]),
    "a slice": (lambda c, x: (np.stack([c[0], c[:1].sum()]),), V[:2]),
    "long": (lambda c, x: (np.stack([*[c[k] * x for k in range(1, LONGEST + 1)], c[0]]),), LONG),
    "two axes": (lambda c, x: (np.stack([c[0], c[1]]),), np.ones((2, 2))),
    "integers": (lambda c, x: (np.stack([c[1], c[0]]),), np.arange(2)),
    "single precision": (lambda c, x: (np.stack([c[1], c[0]]),), V[:2].astype("f")),
    "complex": (lambda c, x: (np.stack([c[1], c[0]]),), V[:2] * 1j),
    "made of a longer one": (lambda c, x: (np.stack([c[0], c[1], x, x])[:2],), V[:2]),
    "one element of a matrix": (lambda c, x: (np.reshape(np.full((1, 1), c[0]) * x, (1,)),), V[:1]),
    "a view of another": (lambda c, x: (np.reshape(np.stack([c[0], c[1]]).reshape(1, 2), (2,)),), V[:2]),
}


@pytest.mark.parametrize("name", list(STAY))
def test_stays(name):
    """What is not only taken apart and put together is left as it is, the body as well."""
    body, carry = STAY[name]
    closed = fg.make_jaxpr(body)(carry, np.float64(2.0))
    after, widths = split_carries(closed, 0, 1)
    assert widths == [None]
    assert after is closed


def test_the_longest():
    """As long as compiled code takes vectors apart, and no longer."""
    body = lambda c, x: (np.stack([*[c[k] * x for k in range(1, LONGEST)], c[0]]),)
    assert split(body, (LONG[:-1], 2.0))[1] == [LONGEST]


def test_a_second_time():
    """Scalars are not split again."""
    after, _ = split(lambda c, x: (np.stack([c[1], c[0] * x]), c[0] + 1.0), (V[:2], 2.0))
    again, widths = split_carries(after, 0, 2)
    assert again is after
    assert widths == [None, None]


ELEMENTS = (
    "c[{i}] * x",
    "np.sin(c[{i}])",
    "c[{i}] - c[{j}]",
    "x",
    "c[{i}] * w[{j}]",
    "d.sum() * c[{i}]",
    "d[{i}] + 1.0",
)
OTHERS = ("np.stack([d[{j}], c[{i}], d[{i}]])", "d * c[{i}]", "np.stack([d[2], d[0], d[1]]) * 1.0", "d")


@settings(max_examples=30)
@given(st.data())
def test_random_loops(data):
    """Loops over random carries of three numbers: what a Python loop computes, with derivatives."""
    index = st.integers(0, 2)
    draw = lambda table: data.draw(st.sampled_from(table)).format(i=data.draw(index), j=data.draw(index))
    first = f"np.stack([{', '.join([draw(ELEMENTS) for _ in range(3)])}])"
    text = f"lambda w: lambda s, x: ((lambda c, d: (({first}, {draw(OTHERS)}), {draw(ELEMENTS)}))(*s))"
    make = eval(text, {"np": np})
    rows = XS[:, 0]
    split(lambda w, c, d, x: (lambda r: (*r[0], r[1]))(make(w)((c, d), x)), (V, V * 2.0, V + 0.1, 0.7), 1, 2)

    def looped(w):
        return fg.lax.scan(make(w), (w * 2.0, w + 0.1), rows)

    def plain(w):
        state, ys = (w * 2.0, w + 0.1), []
        for x in rows:
            state, y = make(w)(state, x)
            ys.append(y)
        return state, np.stack(ys)

    total = lambda f: lambda w: (lambda r: (r[0][0] * V).sum() + np.sin(r[0][1]).sum() + r[1] @ rows)(f(w))
    for a, b in zip(fg.tree.leaves(looped(V)), fg.tree.leaves(plain(V)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fg.grad(total(looped))(V), fg.grad(total(plain))(V), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0, 1e308])
def test_special_values(special):
    """Numbers behave as elements of arrays do: nan, infinities, the sign of zero, overflow."""
    rows = np.array([special, 1.0, -0.0, special])
    body = lambda c, x: (np.stack([c[1] * x, c[0] - x]), c[0] / c[1])
    with np.errstate(all="ignore"):
        last, ys = fg.lax.scan(body, np.array([0.0, special]), rows)
        state, expected = np.array([0.0, special]), []
        for x in rows:
            state, y = body(state, x)
            expected.append(y)
    np.testing.assert_array_equal(last, state)
    np.testing.assert_array_equal(ys, expected)
    np.testing.assert_array_equal(np.signbit(last), np.signbit(state))

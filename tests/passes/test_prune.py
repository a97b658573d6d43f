"""prune: loops without results that nothing reads, and without what only those need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import evaluated

import fungrad as fg
from fungrad.control.call import Program
from fungrad.control.fission import loop_p
from fungrad.core.aval import FLOAT, ShapedArray
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.passes.prune import needed, prune, read_by

V = np.array([0.3, -0.7, 1.1])
XS = np.arange(12.0).reshape(4, 3) / 7 + 0.1


def program(body, operands, used, n_consts=0, n_carry=0, before=()):
    """A jaxpr of one loop, which returns only its used results; operand k is computed of argument k if k in before."""
    closed = fg.make_jaxpr(body)(*[x[0] if k >= n_consts + n_carry else x for k, x in enumerate(operands)])
    avals = [fg.typeof(x) for x in operands]
    params = {
        "body": Program(closed, "body"),
        "n_consts": n_consts,
        "n_carry": n_carry,
        "length": len(operands[-1]),
        "reverse": False,
    }
    invars = [Var(a) for a in avals]
    eqns, inputs = [], list(invars)
    for k in before:
        made = Var(avals[k])
        eqns.append(fg.make_jaxpr(np.sin)(operands[k]).eqns[0])
        eqns[-1] = Equation(eqns[-1].primitive, [invars[k]], {}, [made])
        inputs[k] = made
    outs = [Var(a) for a in loop_p.abstract(*avals, **params)]
    eqns.append(Equation(loop_p, inputs, params, outs))
    return ClosedJaxpr(Jaxpr([], invars, eqns, [v for v, u in zip(outs, used, strict=True) if u]), [])


def pruned(body, operands, used, n_consts=0, n_carry=0, before=()):
    """That program after the pass, checked to be well formed and to compute the same; and its loop."""
    closed = program(body, operands, used, n_consts, n_carry, before)
    after = prune(closed)
    fg.check_jaxpr(after)
    assert after.in_avals == closed.in_avals
    assert after.out_avals == closed.out_avals
    for a, b in zip(evaluated(after, operands), evaluated(closed, operands), strict=True):
        np.testing.assert_array_equal(a, b)
    again = prune(after)
    assert str(again) == str(after)
    loops = [e for e in after.eqns if e.primitive is loop_p]
    return after, (loops[0] if loops else None)


def shape_of(loop):
    """How many constants, carries, rows and results a loop has, and the equations of its body."""
    n, m = loop.params["n_consts"], loop.params["n_carry"]
    body = loop.params["body"].closed
    return n, m, len(loop.inputs) - n - m, len(loop.outputs), [e.primitive.name for e in body.eqns]


BODY = lambda w, a, b, c, x, y: (a * w + x, np.sin(b), c + b, np.cos(a), np.exp(y), y * 2.0)
"""Three carries, of which the last reads the second, and three ys."""

OPERANDS = (V, V, V, V, XS, XS)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ([1, 1, 1, 1, 1, 1], (1, 3, 2, 6, ["mul", "add", "sin", "add", "cos", "exp", "mul"])),
        ([1, 0, 0, 0, 0, 0], (1, 1, 1, 1, ["mul", "add"])),
        ([0, 1, 0, 0, 0, 0], (0, 1, 0, 1, ["sin"])),
        ([0, 0, 1, 0, 0, 0], (0, 2, 0, 2, ["sin", "add"])),
        ([0, 0, 0, 1, 0, 0], (1, 1, 1, 2, ["mul", "add", "cos"])),
        ([0, 0, 0, 0, 1, 0], (0, 0, 1, 1, ["exp"])),
        ([0, 0, 0, 0, 1, 1], (0, 0, 1, 2, ["exp", "mul"])),
        ([0, 1, 0, 1, 0, 0], (1, 2, 1, 3, ["mul", "add", "sin", "cos"])),
    ],
)
def test_golden(used, expected):
    """What is left of the loop: the carries that used results need stay, though nothing reads their last values."""
    _, loop = pruned(BODY, OPERANDS, used, 1, 3)
    assert shape_of(loop) == expected


def test_nothing_is_used():
    """A loop of which nothing is read is gone, and what only it read."""
    after, loop = pruned(BODY, OPERANDS, [0] * 6, 1, 3, before=[0, 4])
    assert loop is None
    assert len(after.eqns) == 0
    assert len(after.jaxpr.invars) == 6


def test_operands_of_what_is_gone():
    """Equations that made operands which the smaller loop does not take are gone as well, the others stay."""
    after, _ = pruned(BODY, OPERANDS, [0, 1, 0, 0, 0, 0], 1, 3, before=[0, 1, 2, 4])
    assert [e.primitive.name for e in after.eqns] == ["sin", "loop"]
    assert after.eqns[0].inputs[0] is after.jaxpr.invars[2]


def test_carries_through_several_others():
    """A carry may be needed only by way of others, some iterations later."""
    rotate = lambda a, b, c, d, x: (b, c, c + x, d * 2.0, a)
    _, loop = pruned(rotate, (V, V + 1, V + 2, V + 3, XS), [0, 0, 0, 0, 1], 0, 4)
    assert shape_of(loop)[:4] == (0, 3, 1, 4)
    _, loop = pruned(rotate, (V, V + 1, V + 2, V + 3, XS), [0, 0, 1, 0, 0], 0, 4)
    assert shape_of(loop)[:4] == (0, 1, 1, 1)


def test_all_used_is_left_alone():
    """The equation of a loop whose results are all read is the very same."""
    closed = program(BODY, OPERANDS, [1] * 6, 1, 3)
    assert prune(closed).eqns[0] is closed.eqns[0]


def test_results_that_another_loop_reads():
    """Of two loops the second decides first what it needs of the first."""

    def f(xs):
        _, (a, b) = fg.lax.scan(lambda c, x: (c @ c * 0.1 + x, (c @ c, np.tanh(c))), V[0] * np.ones((8, 8)), xs)
        last, (p, q) = fg.lax.scan(lambda c, r: (np.sin(c @ r[0]), (c @ r[1], c)), xs[0], (a, b))
        return last

    xs = np.linspace(0, 1, 256).reshape(4, 8, 8)
    f(xs)
    closed = Program(fg.make_jaxpr(f)(xs), "f").optimized()
    first, second = [e for e in closed.eqns if e.primitive is loop_p]
    assert len(second.outputs) == 1
    assert len(first.outputs) == 2  # the carry, and what of it is read later


def test_other_primitives_stay():
    """Only primitives that say how are taken apart; those that nothing reads are gone."""
    closed = fg.make_jaxpr(lambda x: np.linalg.eigh(np.outer(x, x))[1])(V)
    assert str(prune(closed)) == str(closed)


# read_by and needed


def test_read_by():
    """The variables on the way to results, or to the wanted ones."""
    closed = fg.make_jaxpr(lambda x, y, z: (np.sin(x) * y, np.cos(z), x))(V, V, V)
    jaxpr = closed.jaxpr
    x, y, z = jaxpr.invars
    mine = lambda wanted=None: [v in read_by(jaxpr, wanted) for v in (x, y, z)]
    assert mine() == [True, True, True]
    assert mine([True, False, False]) == [True, True, False]
    assert mine([False, True, False]) == [False, False, True]
    assert mine([False, False, True]) == [True, False, False]
    assert mine([False, False, False]) == [False, False, False]
    assert len(read_by(jaxpr, [True, False, False])) == 4
    with pytest.raises(ValueError, match="zip"):
        read_by(jaxpr, [True])


def test_read_by_literals():
    """A literal is no variable."""
    x = Var(ShapedArray((), FLOAT))
    assert read_by(Jaxpr([], [x], [], [Literal(1.0), x])) == {x}
    assert read_by(Jaxpr([], [x], [], [Literal(1.0), x]), [True, False]) == set()


def test_needed_always():
    """Results behind the used ones may be needed in any case, as whether a loop goes on: with their carries."""
    body = lambda w, a, b, n: (a * w, b + 1.0, n + 1.0, n < w[0])
    closed = fg.make_jaxpr(body)(V, V, V, 0.0)
    smaller, kept_in, kept_out = needed(closed, 1, 3, [False, True, False], always=1)
    assert kept_in == [True, False, True, True]
    assert kept_out == [False, True, True]
    assert len(smaller.out_avals) == 3
    fg.check_jaxpr(smaller)
    smaller, kept_in, kept_out = needed(closed, 1, 3, [False, True, False, False])
    assert kept_in == [False, False, True, False]
    assert kept_out == [False, True, False, False]
    fg.check_jaxpr(smaller)


def test_needed_keeps_constants_and_values():
    """The constants of the body stay with it; a carry that is not read but returned is kept, too."""
    closed = fg.make_jaxpr(lambda a, b: (b * V, np.ones(3) * 2.0))(V, V)
    smaller, kept_in, kept_out = needed(closed, 0, 2, [True, False])
    assert (kept_in, kept_out) == ([True, True], [True, True])
    fg.check_jaxpr(smaller)
    (a, _) = fg.eval_jaxpr(smaller, (), V, V)
    np.testing.assert_array_equal(a, V * V)


FUNCTIONS = (np.sin, np.cos, np.tanh)


@settings(max_examples=40)
@given(st.data())
def test_random_loops(data):
    """Random bodies and random used results: the same values, bit by bit, and no result that nothing needs."""
    n_consts, n_carry, n_rows, n_ys = [data.draw(st.integers(k, 3)) for k in (0, 0, 1, 0)]
    n_in, n_out = n_consts + n_carry + n_rows, n_carry + n_ys
    if not n_out:
        return
    steps = data.draw(st.lists(st.tuples(*[st.integers(0, 99)] * 3), max_size=6))
    results = data.draw(st.lists(st.integers(0, 99), min_size=n_out, max_size=n_out))
    used = data.draw(st.lists(st.booleans(), min_size=n_out, max_size=n_out))

    def body(*args):
        values = list(args)
        for i, j, k in steps:
            values.append(FUNCTIONS[k % 3](values[i % len(values)]) * values[j % len(values)] + 0.25)
        return [values[r % len(values)] for r in results]

    operands = [XS + 0.1 * k if k >= n_consts + n_carry else V * (k + 1) for k in range(n_in)]
    after, loop = pruned(body, operands, used, n_consts, n_carry)
    if loop is None:
        assert not any(used)
        return
    if all(used):
        return
    # Minimal: each of its carries is read by a used result, or by the body for one.
    inner = loop.params["body"].jaxpr
    n, m = loop.params["n_consts"], loop.params["n_carry"]
    returned = set(after.jaxpr.outvars)
    flags = [v in returned for v in loop.outputs]
    while True:
        read = read_by(inner, flags)
        grown = [f or (k < m and inner.invars[n + k] in read) for k, f in enumerate(flags)]
        if grown == flags:
            break
        flags = grown
    assert all(flags)
    assert all(v in read for k, v in enumerate(inner.invars) if not n <= k < n + m)


def test_linear_time():
    """Each equation of a long program is looked at once."""
    counted = []

    class Counted(tuple):
        def __iter__(self):
            counted.append(1)
            return super().__iter__()

    def count(n):
        closed = fg.make_jaxpr(lambda x: [x := np.sin(x) for _ in range(n)][-1])(V)
        for e in closed.eqns:
            e.inputs = Counted(e.inputs)
        counted.clear()
        assert len(prune(closed).eqns) == n
        return len(counted)

    assert count(200) == 200
    assert count(400) == 400

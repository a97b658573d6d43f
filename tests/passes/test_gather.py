"""gather: known terms and factors are put together before what is unknown is read."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jaxprs import assert_same_meaning, evaluated, shown

import fungrad as fg
from fungrad.control.call import inline
from fungrad.passes.gather import gather
from fungrad.testing import random_program

X = np.array([1.0, -2.0, 3.0])
M = np.arange(6.0).reshape(2, 3)
K = np.arange(3)

ALWAYS = {
    "(x + a) + b": (lambda x, a, b: x + a + b, (X, X, X), ["d:f64[3] = add b c", "e:f64[3] = add a d", "in (e,)"]),
    "b + (a + x)": (lambda x, a, b: b + (a + x), (X, X, X), ["d:f64[3] = add b c", "e:f64[3] = add a d", "in (e,)"]),
    "(x + a) - b": (lambda x, a, b: x + a - b, (X, X, X), ["d:f64[3] = sub b c", "e:f64[3] = add a d", "in (e,)"]),
    "x + a + b + a": (
        lambda x, a, b: x + a + b + a,
        (X, X, X),
        ["d:f64[3] = add b c", "e:f64[3] = add d b", "f:f64[3] = add a e", "in (f,)"],
    ),
    "x + a + x stays": (
        lambda x, a, b: x + a + x,
        (X, X, X),
        ["d:f64[3] = add a b", "e:f64[3] = add d a", "in (e,)"],
    ),
    "x + a + 2.0": (
        lambda x, a, b: x + a + 2.0,
        (X, X, X),
        ["d:f64[3] = add b 2.0:f64[]", "e:f64[3] = add a d", "in (e,)"],
    ),
    "(x + a) + b, x + a used twice": (
        lambda x, a, b: (lambda y: (y + b, y))(x + a),
        (X, X, X),
        ["d:f64[3] = add a b", "e:f64[3] = add d c", "in (e, d)"],
    ),
    "(x - a) + b stays": (
        lambda x, a, b: x - a + b,
        (X, X, X),
        ["d:f64[3] = sub a b", "e:f64[3] = add d c", "in (e,)"],
    ),
    "b - (x + a) stays": (
        lambda x, a, b: b - (x + a),
        (X, X, X),
        ["d:f64[3] = add a b", "e:f64[3] = sub c d", "in (e,)"],
    ),
    "known alone stays": (
        lambda x, a, b: x + (a + b + 1.0),
        (X, X, X),
        ["d:f64[3] = add b c", "e:f64[3] = add d 1.0:f64[]", "f:f64[3] = add a e", "in (f,)"],
    ),
    "larger than both stays": (
        lambda x, a, b: x + a + b,
        (M, X, M[:, :1]),
        ["d:f64[2,3] = add a b", "e:f64[2,3] = add d c", "in (e,)"],
    ),
    "wider": (
        lambda x, a, b: x + a + b,
        (X, X, M),
        ["d:f64[2,3] = add b c", "e:f64[2,3] = add a d", "in (e,)"],
    ),
    "other types stay": (
        lambda x, a, b: x + a + b,
        (X, K.astype("i1"), K.astype("i1")),
        ["d:f64[3] = add a b", "e:f64[3] = add d c", "in (e,)"],
    ),
    "single precision stays": (
        lambda x, a, b: x + a + b,
        (X, X.astype("f"), X.astype("f")),
        ["d:f64[3] = add a b", "e:f64[3] = add d c", "in (e,)"],
    ),
    "smaller ints that wrap around stay": (
        lambda x, a, b: x + a + b,
        (K.astype("i1"), K.astype("i1"), K),
        ["d:i8[3] = add a b", "e:i64[3] = add d c", "in (e,)"],
    ),
    "truth values stay": (
        lambda x, a, b: x + a + b,
        (K > 0, K > 0, K),
        ["d:bool[3] = add a b", "e:i64[3] = add d c", "in (e,)"],
    ),
    "ints": (lambda x, a, b: x + a + b, (K, K, K), ["d:i64[3] = add b c", "e:i64[3] = add a d", "in (e,)"]),
    "Python's ints stay": (
        lambda x, a, b: x + 2**62 + 2**62,
        (K, K, K),
        ["d:i64[3] = add a 4611686018427387904:i64[]", "e:i64[3] = add d 4611686018427387904:i64[]", "in (e,)"],
    ),
}
"""Sums, with and without ``factors``."""

FACTORS = {
    "(x * a) * b": (lambda x, a, b: x * a * b, (X, X, X), ["d:f64[3] = mul b c", "e:f64[3] = mul a d", "in (e,)"]),
    "b * (a * x)": (lambda x, a, b: b * (a * x), (X, X, X), ["d:f64[3] = mul b c", "e:f64[3] = mul a d", "in (e,)"]),
    "-(x * a)": (lambda x, a, b: -(x * a), (X, X, X), ["d:f64[3] = neg b", "e:f64[3] = mul a d", "in (e,)"]),
    "(x * a) / b": (lambda x, a, b: x * a / b, (X, X, X), ["d:f64[3] = div b c", "e:f64[3] = mul a d", "in (e,)"]),
    "a chain": (
        lambda x, a, b: -(x * a * b) / a,
        (X, X, X),
        ["d:f64[3] = mul b c", "e:f64[3] = neg d", "f:f64[3] = div e b", "g:f64[3] = mul a f", "in (g,)"],
    ),
    "b / (x * a) stays": (
        lambda x, a, b: b / (x * a),
        (X, X, X),
        ["d:f64[3] = mul a b", "e:f64[3] = div c d", "in (e,)"],
    ),
    "-(x * y) stays": (
        lambda x, a, b: -(x * x),
        (X, X, X),
        ["d:f64[3] = mul a a", "e:f64[3] = neg d", "in (e,)"],
    ),
    "(x + a) * b stays": (
        lambda x, a, b: (x + a) * b,
        (X, X, X),
        ["d:f64[3] = add a b", "e:f64[3] = mul d c", "in (e,)"],
    ),
    "-(x * int) stays, for the sign of 0": (
        lambda x, a, b: -(x * a),
        (X, K, K),
        ["d:f64[3] = mul a b", "e:f64[3] = neg d", "in (e,)"],
    ),
    "int products that become float stay": (
        lambda x, a, b: x * a / b,
        (K, K, K),
        ["d:i64[3] = mul a b", "e:f64[3] = div d c", "in (e,)"],
    ),
}
"""Products: only with ``factors``."""


@pytest.mark.parametrize("name", [*ALWAYS, *FACTORS])
def test_golden(name):
    """The program becomes what is written beside it, of the same types and values, and stays so."""
    f, args, text = (ALWAYS | FACTORS)[name]
    closed = fg.make_jaxpr(f)(*args)
    with np.errstate(all="ignore"):
        after = gather(closed, [False, True, True], factors=True)
        assert shown(after) == text
        assert_same_meaning(after, closed, args, 1e-13)
    assert shown(gather(after, [False, True, True], factors=True)) == text


@pytest.mark.parametrize("name", [*ALWAYS, *FACTORS])
def test_factors_stay_in_order(name):
    """Without ``factors`` sums are gathered all the same, and products are those of the user."""
    f, args, text = (ALWAYS | FACTORS)[name]
    closed = fg.make_jaxpr(f)(*args)
    assert shown(gather(closed, [False, True, True])) == (shown(closed) if name in FACTORS else text)


def test_nothing_known_or_unknown():
    """Then there is nothing to gather: the equations are as they were."""
    f = lambda x, a: -((x + a + a) * a * a)
    closed = fg.make_jaxpr(f)(X, X)
    for flags in ([False, False], [True, True]):
        assert shown(gather(closed, flags, factors=True)) == shown(closed)


def test_constants_are_known():
    """Arrays that a program holds count as known, whatever its arguments are."""
    closed = fg.make_jaxpr(lambda x: x + X + M[0])(X)
    assert shown(closed) == ["d:f64[3] = add c a", "e:f64[3] = add d b", "in (e,)"]
    assert shown(gather(closed, [False])) == ["d:f64[3] = add a b", "e:f64[3] = add c d", "in (e,)"]


def test_nothing_dead_is_left():
    """What an equation was made of before is gone: that it reads an argument would look like a use of it."""
    after = gather(fg.make_jaxpr(lambda x, a, b: x + a + b)(X, X, X), [False, True, True])
    x = after.jaxpr.invars[0]
    assert sum([e.inputs.count(x) for e in after.eqns]) == 1


@pytest.mark.parametrize("factors", [False, True])
def test_meaning(factors):
    """On random programs, of which any argument may be known, and their derivatives; a second run changes nothing."""

    @settings(max_examples=25)
    @given(st.integers(0, 2**32), st.lists(st.booleans(), min_size=4, max_size=4))
    def check(seed, known):
        program = random_program(random.Random(seed).choice, 2)
        # the tangents of a function of known values, where chains are; and a chain of its own
        f = lambda x, y, s, t: (
            fg.jvp(program, (x, y), (s, t)),
            -((program(x, y) + x.sum() + y.sum()) * s.sum() * t.sum()) / (2.0 + np.cos(x.sum())),
        )
        args = (*program.args, *program.args)
        closed = inline(fg.make_jaxpr(f)(*args))
        after = gather(closed, known, factors)
        assert_same_meaning(after, closed, args)
        again = gather(after, known, factors)
        assert [e.primitive.name for e in again.eqns] == [e.primitive.name for e in after.eqns]

    check()


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0]


@pytest.mark.parametrize("name", [n for n in ALWAYS if ALWAYS[n][1][0] is X and ALWAYS[n][1][1] is X])
def test_special_values_in_sums(name):
    """nan, infinities and the sign of zero are where they were, unless a sum overflows."""
    f = ALWAYS[name][0]
    grid = np.array(np.meshgrid(SPECIAL, SPECIAL, SPECIAL)).reshape(3, -1)
    closed = fg.make_jaxpr(f)(*grid)
    after = gather(closed, [False, True, True])
    for a, b in zip(evaluated(after, grid), evaluated(closed, grid), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a[b == 0]), np.signbit(b[b == 0]))


@pytest.mark.parametrize("name", [n for n in FACTORS if FACTORS[n][1][1] is X])
def test_special_values_in_products(name):
    """So it is with factors, where no product of known ones is zero or infinite that was none."""
    f = FACTORS[name][0]
    unknown, known = np.array(SPECIAL), np.array([0.5, -0.5, 2.0, -1.0])
    grid = np.array(np.meshgrid(unknown, known, known)).reshape(3, -1)
    closed = fg.make_jaxpr(f)(*grid)
    after = gather(closed, [False, True, True], factors=True)
    for a, b in zip(evaluated(after, grid), evaluated(closed, grid), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(np.signbit(a[b == 0]), np.signbit(b[b == 0]))


def test_ints_wrap_as_before():
    """Sums of integers that are too large wrap around in any order."""
    big = np.array([2**62, 2**63 - 1, -(2**63)])
    closed = fg.make_jaxpr(lambda x, a, b: (x + a + b, x + a - b))(K, K, K)
    after = gather(closed, [False, True, True])
    args = (big, big[::-1].copy(), big)
    for a, b in zip(evaluated(after, args), evaluated(closed, args), strict=True):
        np.testing.assert_array_equal(a, b)


def visits(n):
    """How often the pass looks at the operands of a chain of n sums and products."""

    def f(x, a):
        for k in range(n):
            x = (x + a) if k % 7 else np.sin(x * a * a)
        return x

    closed = fg.make_jaxpr(f)(X, X)
    counted = 0

    class Counted(list):
        def __iter__(self):
            nonlocal counted
            counted += len(self)
            return super().__iter__()

    for e in closed.eqns:
        object.__setattr__(e, "inputs", Counted(e.inputs))
    gather(closed, [False, True], factors=True)
    return counted


def test_linear_time():
    """Twice as many equations are looked at twice as often."""
    small, large = visits(500), visits(1000)
    assert small > 500
    assert large < 2.1 * small


def test_sums_of_small_types_in_loops():
    """int8 wraps around, and truth values are no numbers, before they are added to larger ones."""
    v, xs, zero = np.full(9, 100, np.int8), np.full((2, 9), 100, np.int8), np.zeros((2, 9), int)
    f = lambda c, r: (c, (c + r[0] + r[1], (c > 0) + (r[0] > 0) + r[1]))
    _, found = fg.lax.scan(f, v, (xs, zero))
    _, expected = f(v, (xs, zero))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_loops_of_gathered_sums():
    """`c + x + sin(x)` in a loop is a sum of rows; so is a carry of integers with large literals."""
    rows = np.linspace(0, 1, 63).reshape(7, 9)
    total, _ = fg.lax.scan(lambda c, x: (c + x + np.sin(x), None), rows[0], rows)
    np.testing.assert_allclose(total, rows[0] + rows.sum(0) + np.sin(rows).sum(0), rtol=1e-13)
    ints = np.zeros((2, 9), int)
    total, _ = fg.lax.scan(lambda c, x: (c + 2**62 + 2**62 + x, None), ints[0], ints)
    np.testing.assert_array_equal(total, np.zeros(9))

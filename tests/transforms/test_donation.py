"""Donated arguments: their memory is used, and the results are never wrong."""

from __future__ import annotations

import pickle
import random
import tracemalloc

import numpy as np
import pytest
from support.large_programs import large_program

import fungrad as fg
from fungrad import errors
from fungrad.core.aval import ShapedArray
from fungrad.testing import random_program

N = 50_000


def arrays(n=2, size=N, dtype=float):
    """Different arrays of one type."""
    return [np.linspace(k + 1.0, k + 2.0, size).astype(dtype) for k in range(n)]


def descend(p, g):
    """A step of an optimiser."""
    return p - 0.1 * g


# --- memory is used -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 1000, N])
def test_a_result_takes_the_place_of_an_argument(size):
    """p - 0.1 g is written over p, in blocks too, and is that array."""
    p, g = arrays(size=size)
    expected = descend(p, g)
    j = fg.jit(descend, donate_argnums=0)
    for _ in range(3):
        given = p.copy()
        out = j(given, g)
        assert out is given
        np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(g, arrays(size=size)[1])


@pytest.mark.parametrize(
    "options", [{"donate_argnums": 0}, {"donate_argnums": (-2,)}, {"donate_argnames": "p"}, {"donate_argnames": ["p"]}]
)
def test_by_position_and_by_name(options):
    """Of numbers and names either gives the other."""
    j = fg.jit(descend, **options)
    for call in (lambda p, g: j(p, g), lambda p, g: j(p, g=g), lambda p, g: j(p=p, g=g)):
        p, g = arrays()
        expected = descend(p, g)
        assert call(p, g) is p
        np.testing.assert_array_equal(p, expected)


def test_trees_and_static_arguments():
    """All leaves of a donated argument, whatever stands before it."""
    j = fg.jit(
        lambda k, p, g: fg.tree.map(lambda p, g: p - 0.1 * k * g, p, g),
        static_argnums=0,
        donate_argnums=1,
    )
    (a, b), (c, d) = arrays(), arrays()
    out = j(2, {"a": a, "b": [b]}, {"a": c, "b": [d]})
    assert {id(out["a"]), id(out["b"][0])} == {id(a), id(b)}
    np.testing.assert_array_equal(out["a"], c - 0.2 * c)
    np.testing.assert_array_equal(out["b"][0], d - 0.2 * d)


def test_an_optimiser_takes_no_memory():
    """Adam on donated state: a step takes no array beyond the scratch of its blocks; cost() knows."""

    def adam(p, m, v, g):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        return p - 0.01 * m / (np.sqrt(v) + 1e-8), m, v

    size = 400_000
    p, m, v, g = arrays(4, size)
    expected = adam(p, m, v, g)
    donating, plain = fg.jit(adam, donate_argnums=(0, 1, 2)), fg.jit(adam)
    difference = plain.lower(p, m, v, g).cost().peak_bytes - donating.lower(p, m, v, g).cost().peak_bytes
    assert difference == 3 * p.nbytes
    out = donating(p, m, v, g)
    assert {id(x) for x in out} == {id(x) for x in (p, m, v)}
    for a, b in zip(out, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    tracemalloc.start()
    try:
        donating(*out, g)
        assert tracemalloc.get_traced_memory()[1] < p.nbytes / 10
    finally:
        tracemalloc.stop()


def test_intermediate_arrays_live_in_dead_arguments():
    """A chain that cannot run in blocks keeps its intermediate arrays where the argument was."""

    def f(x):
        y = x @ x
        return np.cumsum(np.tanh(y @ y).T, axis=0)[0]

    x = np.linspace(-0.1, 0.1, N).reshape(-1, 200)[:200].copy()
    donating, plain = fg.jit(f, donate_argnums=0), fg.jit(f)
    assert donating.lower(x).cost().peak_bytes < plain.lower(x).cost().peak_bytes
    expected = plain(x)
    np.testing.assert_array_equal(donating(x), expected)


def test_elements_are_changed_in_place():
    """x[i] = v on a donated argument copies nothing."""

    def f(x, v):
        return x.at[10:20].set(v).at[0].set(v + 1.0)

    (x,) = arrays(1)
    expected = x.copy()
    expected[10:20] = 7.0
    expected[0] = 8.0
    j = fg.jit(f, donate_argnums=0)
    assert j.lower(x, 7.0).cost().peak_bytes <= 80  # ten elements of 7.0
    out = j(x, 7.0)
    assert np.shares_memory(out, x)
    np.testing.assert_array_equal(out, expected)


def test_arguments_that_are_results():
    """An argument that is returned as it is, as a view, or twice: results share nothing with each other."""
    j = fg.jit(lambda x: (x, x.reshape(10, -1), x + 1.0), donate_argnums=0)
    (x,) = arrays(1)
    expected = x.copy()
    a, b, c = j(x)
    np.testing.assert_array_equal(a, expected)
    np.testing.assert_array_equal(b.reshape(-1), expected)
    np.testing.assert_array_equal(c, expected + 1.0)
    for p, q in ((a, b), (a, c), (b, c)):
        assert not np.shares_memory(p, q)


def test_an_argument_that_is_not_read():
    """Its memory is free from the start."""
    x, y = arrays()
    expected = np.cumsum(y)
    out = fg.jit(lambda x, y: np.sin(y) * y, donate_argnums=0)(x, y)
    assert out is x
    np.testing.assert_allclose(out, np.sin(y) * y)
    np.testing.assert_array_equal(np.cumsum(y), expected)


def test_a_result_of_another_type_takes_other_memory():
    """Neither the shape nor the dtype may differ."""
    (x,) = arrays(1)
    for f in (lambda x: (x * 2.0).astype(np.float32), lambda x: np.concatenate([x, x]), lambda x: x[:-1] * 2.0):
        given = x.copy()
        out = fg.jit(f, donate_argnums=0)(given)
        assert not np.shares_memory(out, given)
        np.testing.assert_array_equal(out, f(x))


# --- never wrong ----------------------------------------------------------------------------------------------------


def check_program(function, args, message):
    """Every choice of donated arguments gives what the function gives, called several times."""
    expected = [np.copy(y) for y in fg.tree.leaves(function(*args))]
    count = len(args)
    for donated in {tuple(range(count)), *[(k,) for k in range(count)]}:
        j = fg.jit(function, donate_argnums=donated)
        kept = []
        for _ in range(2):
            given = [np.copy(x, order="C") if isinstance(x, np.ndarray) else x for x in args]
            out = fg.tree.leaves(j(*given))
            for a, b in zip(out, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9, err_msg=message)
            for k, x in enumerate(given):
                if k not in donated:
                    np.testing.assert_array_equal(x, args[k])
            kept.append((out, [np.copy(y) for y in out]))
        large = [y for out, _ in kept for y in out if isinstance(y, np.ndarray) and y.ndim]
        for k, y in enumerate(large):
            assert not any(np.shares_memory(y, z) for z in large[:k]), message
        for out, then in kept:
            for a, b in zip(out, then, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(25))
def test_random_large_programs(seed):
    """Groups, blocks and steps of large arrays."""
    program = large_program(seed)
    check_program(program.function, program.args, repr(program))


@pytest.mark.parametrize("seed", range(40))
def test_random_small_programs(seed):
    """Programs with several results, and their gradients."""
    program = random_program(random.Random(seed).choice, inputs=3)
    check_program(lambda *xs: (program(*xs), xs[0] * 2.0, np.sin(xs[-1])), program.args, repr(program))
    check_program(lambda *xs: fg.grad(lambda *xs: program(*xs).sum(), argnums=(0, 1))(*xs), program.args, repr(program))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sin(x) + np.cos(x[::-1]),
        lambda x: (x * 2.0 + x, x[::-1] * 3.0),
        lambda x: x + np.sum(np.exp(x - 2.0)),
        lambda x: (x - x.mean()) / x.std(),
        lambda x: (lambda y: (y, np.sin(y) * x))(x * 2.0),
        lambda x: (lambda m: m + m.T)(np.sin(x.reshape(200, -1)[:200, :200])),
        lambda x: (lambda m: m.T * m)(x.reshape(200, 250)[:, :200]),
        lambda x: np.where(x > 1.5, x, -x) + x.reshape(-1, 1)[:, 0],
        lambda x: fg.numpy.asarray(x).at[1:].set(x[:-1]) + x if isinstance(x, np.ndarray) else x.at[1:].set(x[:-1]) + x,
        lambda x: x.reshape(250, 200) @ np.ones((200, 200)) + x.reshape(250, 200),
        lambda x: np.cumsum(x) * x,
        lambda x: np.sort(x) + x,
    ],
)
def test_arguments_that_are_read_late_or_turned_round(f):
    """Memory is not written while anything of it is still to be read."""
    (x,) = arrays(1)
    check_program(f, (x,), "")


def test_a_view_of_rows_is_read_after_a_result_is_written():
    """In one loop over blocks: the turned rows are those of the argument, which must still be there."""

    def f(x):
        turned = np.swapaxes(x, 1, 2)
        return np.sin(x), np.exp(turned).sum(axis=2)

    check_program(f, (np.linspace(0.0, 1.0, 100 * 30 * 40).reshape(100, 30, 40),), "")


def test_a_square_matrix_and_its_transpose():
    """A result that would stand where a transposed operand stands."""
    x = np.linspace(0.0, 1.0, 200 * 200).reshape(200, 200)
    check_program(lambda x: x.T + 1.0, (x,), "")
    check_program(lambda x: x.T + x, (x,), "")
    check_program(lambda x: np.tanh(x.T) @ x, (x,), "")


def test_arrays_that_cannot_be_used():
    """Read-only, in another order, overlapping with another argument: they stay as they are."""
    j = fg.jit(descend, donate_argnums=0)
    (base,) = arrays(1, 2 * N)
    p = base[:N].copy()
    p.flags.writeable = False
    cases = [
        (p, base[N:].copy()),
        (base[::2], base[N:].copy()[::1]),
        (base[:N], base[N // 2 : N // 2 + N]),
        (base[:N], base[:N]),
        (base[:N], base[: 2 * N : 2]),
        (np.broadcast_to(1.0, N), base[:N].copy()),
    ]
    for p, g in cases:
        before, expected = p.copy(), descend(p, g)
        out = j(p, g)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(p, before)
        assert not np.shares_memory(out, p)
    matrix = np.asfortranarray(base.reshape(200, -1))
    expected = descend(matrix, matrix * 2.0)
    np.testing.assert_array_equal(j(matrix, matrix * 2.0), expected)
    np.testing.assert_array_equal(matrix, base.reshape(200, -1))


def test_two_donated_arguments_that_overlap():
    """One array given twice is not written into."""
    j = fg.jit(lambda x, y: (x + y, x - y), donate_argnums=(0, 1))
    (x,) = arrays(1)
    a, b = j(x, x)
    np.testing.assert_array_equal(a, 2 * x)
    np.testing.assert_array_equal(b, 0.0)
    np.testing.assert_array_equal(x, arrays(1)[0])


def test_views_may_be_donated():
    """A view in C order of an array of the caller's: only what it shows is written."""
    (base,) = arrays(1, 3 * N)
    before = base.copy()
    j = fg.jit(descend, donate_argnums=0)
    out = j(base[N : 2 * N], base[:N])
    np.testing.assert_array_equal(out, descend(before[N : 2 * N], before[:N]))
    assert np.shares_memory(out, base)
    np.testing.assert_array_equal(base[:N], before[:N])
    np.testing.assert_array_equal(base[2 * N :], before[2 * N :])


def test_other_dtypes_in_later_calls():
    """Each type of arguments has a program of its own."""
    j = fg.jit(descend, donate_argnums=0)
    for dtype in (float, np.float32, complex, np.int64):
        p, g = arrays(size=100, dtype=dtype)
        expected = descend(p, g)
        out = j(p.copy(), g)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out, expected)
    assert j(3.0, 2.0) == descend(3.0, 2.0)


def test_numbers_at_which_python_raises():
    """1 / 0 after something was written: the program must not begin again with what it has written over."""

    def f(x, s):
        y = x * 2.0
        return y + 1.0 / (s - 1.0), y

    (x,) = arrays(1, 100)
    with np.errstate(divide="ignore"):
        out, y = fg.jit(f, donate_argnums=0)(x.copy(), 1.0)
    np.testing.assert_array_equal(out, np.inf)
    np.testing.assert_array_equal(y, 2.0 * x)


def test_other_transforms_do_not_donate():
    """Under grad, vmap, another jit, in a recorded jaxpr: arguments are not written into."""
    j = fg.jit(lambda x: np.sin(x) * 2.0, donate_argnums=0)
    (x,) = arrays(1, 100)
    before = x.copy()
    for f in (
        fg.grad(lambda x: j(x).sum()),
        fg.jit(lambda x: j(x) + x),
        fg.vmap(j),
        lambda x: fg.jvp(j, (x,), (x,)),
        lambda x: fg.eval_jaxpr(fg.make_jaxpr(lambda x: j(x) + x)(x), (), x),
        lambda x: fg.vjp(j, x)[1](x),
    ):
        f(x)
        np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(fg.jit(lambda x: j(x) + x)(x), 2 * np.sin(x) + x)
    (y,) = fg.eval_jaxpr(fg.make_jaxpr(lambda x: j(x) + x)(x), (), x)
    np.testing.assert_allclose(y, 2 * np.sin(x) + x)


def test_closed_over_traced_arrays():
    """A donating function that closes over a traced array is recorded in that array's recording."""
    (x,) = arrays(1, 10)

    def loss(w):
        return fg.jit(lambda x: x * w, donate_argnums=0)(x).sum()

    np.testing.assert_array_equal(fg.grad(loss)(3.0), x.sum())
    np.testing.assert_array_equal(x, arrays(1, 10)[0])


def test_a_constant_is_not_overwritten():
    """What the function closes over may be the donated array itself."""
    (x,) = arrays(1)
    expected = 3.0 * x
    j = fg.jit(lambda y: y * 2.0 + x, donate_argnums=0)
    np.testing.assert_array_equal(j(x), expected)
    x[:] = arrays(1)[0]
    np.testing.assert_array_equal(j(x), expected)


# --- the rest -------------------------------------------------------------------------------------------------------


def test_errors():
    """Arguments that do not exist, and those that are static as well."""
    with pytest.raises(errors.TransformValueError, match="donate_argnums=3 is out of range"):
        fg.jit(descend, donate_argnums=3)
    with pytest.raises(errors.TransformValueError, match=r"donate_argnames=\['q'\] are no arguments"):
        fg.jit(descend, donate_argnames="q")
    for options in (
        {"static_argnums": 0, "donate_argnums": 0},
        {"static_argnames": "p", "donate_argnums": (1, 0)},
    ):
        with pytest.raises(errors.TransformValueError, match="both static and donated"):
            fg.jit(descend, **options)


def test_programs_are_kept_by_what_is_donated():
    """The same function with and without donation has two programs; lower shows each, for types too."""

    def f(p, g):
        return descend(p, g)

    plain, donating = fg.jit(f), fg.jit(f, donate_argnums=0)
    x, y = arrays()
    assert plain(x, y) is not x
    assert donating.cache_info().size == 0
    assert donating(x, y) is x
    assert plain.lower(x, y).source != donating.lower(x, y).source
    aval = ShapedArray((N,), float)
    assert donating.lower(aval, aval).source == donating.lower(x, y).source
    assert donating.lower(x, y).compile()(x, y) is x


def test_pickling():
    """A jitted function that was pickled donates the same arguments."""
    j = pickle.loads(pickle.dumps(fg.jit(descend, donate_argnums=0)))
    x, y = arrays()
    assert j(x, y) is x


def test_without_jit():
    """disable_jit runs the function as it is."""
    x, y = arrays()
    with fg.disable_jit():
        assert fg.jit(descend, donate_argnums=0)(x, y) is not x
    np.testing.assert_array_equal(x, arrays()[0])

"""Python control flow: on values under derivatives, refused with a clear text where values are not known."""

import doctest
import itertools
import math
import pathlib

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import (
    ConcretizationTypeError,
    NonConcreteBooleanIndexError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
)


def _branch(x):
    """2x for positive sums, -3x else; slope and curvature differ on both sides."""
    if x.sum() > 0:
        return x * x
    return -3.0 * x


def _loop(x):
    """Double until the norm exceeds 100: x * 2^k, k by value."""
    while np.sqrt((x * x).sum()) < 100.0:
        x = x * 2.0
    return x * x


def _recursive(x, n=4):
    """x^(2^n)."""
    return x if n == 0 else _recursive(x * x, n - 1)


def _iterate(x):
    """A sum over the elements, each used as a scalar."""
    total = 0.0 * x[0]
    for i, element in enumerate(x):
        total = total + element ** (i + 2)
    return total * np.ones(3)


def _mask(x):
    """Boolean masks: a result whose size depends on values."""
    return np.ones(3) * (x[x > 0.6] ** 2).sum() + 0.0 * x


def _argmax(x):
    """A Python integer found by argmax is an index."""
    i = int(np.argmax(x))
    return np.ones(3) * x[i] * x[i - 1]


def _try(x):
    """An exception on the way is caught."""
    try:
        y = x[7]
    except IndexError:
        y = x[1]
    try:
        raise ValueError(x.shape)
    except ValueError as error:
        return x * y * error.args[0][0]


def _newton(x):
    """Newton's method for sqrt(x), stopped by value."""
    y = x
    while (abs(y * y - x) > 1e-14 * x).any():
        y = 0.5 * (y + x / y)
    return y


def _sorted_by_python(x):
    """sorted() compares the elements."""
    return np.ones(3) * sorted(x)[-1] * max(x) * min(x[0], x[1])


def _chained(x):
    """and, or, not, chained comparison, conditional expression."""
    if 0 < x[0] < 1 and not (x[1] < 0 or x[2] == 0):
        return x * x[0]
    return x * (2.0 if x[1] > 0 else 3.0)


X = np.array([0.5, 0.9, 0.7])

CASES = {
    "branch": (_branch, lambda x: x * x if x.sum() > 0 else -3.0 * x),
    "loop": (_loop, lambda x: x * x * 4.0 ** int(np.ceil(np.log2(100 / np.linalg.norm(X))))),
    "recursion": (_recursive, lambda x: x**16),
    "iteration": (_iterate, lambda x: (x[0] ** 2 + x[1] ** 3 + x[2] ** 4) * np.ones(3)),
    "mask": (_mask, lambda x: (x[1] ** 2 + x[2] ** 2) * np.ones(3)),
    "argmax": (_argmax, lambda x: x[1] * x[0] * np.ones(3)),
    "try": (_try, lambda x: x * x[1] * 3),
    "newton": (_newton, np.sqrt),
    "sorted": (_sorted_by_python, lambda x: x[1] ** 2 * x[0] * np.ones(3)),
    "chained": (_chained, lambda x: x * x[0]),
}


@pytest.fixture(params=list(CASES))
def case(request):
    """A function with control flow, and one without that is equal to it around X."""
    return CASES[request.param]


def _close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_value_and_jvp(case):
    """The path taken is what is differentiated, forwards."""
    f, g = case
    t = np.array([1.0, -2.0, 0.5])
    value, tangent = fg.jvp(f, (X,), (t,))
    want, want_tangent = fg.jvp(g, (X,), (t,))
    _close(value, want)
    _close(value, f(X))
    _close(tangent, want_tangent)


def test_vjp_and_grad(case):
    """Backwards."""
    f, g = case
    ct = np.array([1.0, -2.0, 0.5])
    _close(fg.vjp(f, X)[1](ct)[0], fg.vjp(g, X)[1](ct)[0])
    _close(fg.grad(lambda x: f(x).sum())(X), fg.grad(lambda x: g(x).sum())(X))


def test_linearize_and_jacobians(case):
    """As a linear program, and whole Jacobians."""
    f, g = case
    t = np.array([1.0, -2.0, 0.5])
    _close(fg.linearize(f, X)[1](t), fg.linearize(g, X)[1](t))
    want = fg.jacfwd(g)(X)
    for jac in (fg.jacfwd, fg.jacrev, fg.jacobian):
        _close(jac(f)(X), want)


def test_hessian_and_hvp(case):
    """Second derivatives take the same path."""
    f, g = case
    want = fg.hessian(lambda x: (g(x) ** 2).sum())(X)
    _close(fg.hessian(lambda x: (f(x) ** 2).sum())(X), want)
    v = np.array([1.0, -2.0, 0.5])
    _close(fg.hvp(lambda x: (f(x) ** 2).sum(), (X,), (v,)), want @ v)
    _close(fg.jacrev(fg.jacfwd(f))(X), fg.jacfwd(fg.jacfwd(g))(X))


def test_both_sides_of_a_branch():
    """The same function takes the other path at another point."""
    np.testing.assert_array_equal(fg.jacfwd(_branch)(-X), -3.0 * np.eye(3))
    np.testing.assert_array_equal(fg.jacrev(_branch)(X), np.diag(2 * X))


def test_number_of_steps_depends_on_the_value():
    """A loop that ends by value: the derivative is that of the steps taken."""

    def collatz_like(x, n):
        while n != 1:
            x, n = (x * 3.0, n // 2) if n % 2 == 0 else (x + 1.0, 3 * n + 1)
        return x

    assert fg.grad(collatz_like)(1.0, 8) == 27.0
    assert fg.grad(collatz_like)(1.0, 3) == 3.0**5

    def halve(x):
        steps = 0
        while x > 1.0:
            x, steps = x / 2.0, steps + 1
        return x, steps

    g, steps = fg.grad(halve, has_aux=True)(100.0)
    assert (g, steps) == (2.0**-7, 7)


def test_values_for_printing_and_lists():
    """print, assert, in, enumerate, zip, list, unpacking work on traced vectors."""

    def f(x):
        a, b, c = x
        assert x.shape == (3,)
        assert (x > 0).all()
        first, *rest = list(x)
        total = sum(p * q for p, q in zip(x, [1.0, 2.0, 3.0], strict=True))
        return total + a * b + c * len(rest) + (f"{first:.1f}" == "0.5") * first + (0.5 in x) * x[0]

    _close(fg.grad(f)(X), [1.0 + X[1] + 2.0, 2.0 + X[0], 3.0 + 2.0])


def test_integers_from_values():
    """int(), round(), len() and argsort give plain integers for ranges, shapes and list indices."""

    def f(x):
        n = int(x[0] * 4)  # 2
        table = [1.0, 10.0, 100.0]
        order = np.argsort(x)
        y = np.ones((n, round(x[1] * 2)))  # (2, 2)
        return table[n] * x[order[0]] + sum(x[1] for _ in range(n)) + y.sum() * x[int(order[-1])]

    _close(fg.grad(f)(X), [100.0, 2.0 + 4.0, 0.0])


def test_itertools_and_generators():
    """Generators that live within the function are fine."""

    def f(x):
        pairs = itertools.combinations(x, 2)
        return sum(a * b for a, b in pairs)

    _close(fg.grad(f)(X), X.sum() - X)


def test_values_inside_vmap_of_constants_are_known():
    """Under vmap, control flow on what is not mapped works: in_axes=None, closures, shapes, axis sizes."""

    def f(x, n, flag):
        for _ in range(n):
            x = x * 2.0
        return x if flag else -x

    np.testing.assert_array_equal(fg.vmap(f, in_axes=(0, None, None))(X, 3, True), 8 * X)
    scale = 2.0
    np.testing.assert_array_equal(fg.vmap(lambda x: x * scale if scale > 1 and x.ndim == 0 else x)(X), 2 * X)
    out = fg.vmap(lambda x: fg.grad(lambda y: y**2 if y > 0 else -y)(0.5) * x)(X)
    np.testing.assert_array_equal(out, X)


# --- without values -------------------------------------------------------------------------------------------------


def _text(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


ABSTRACT = {
    "vmap": lambda f: fg.vmap(f)(np.stack([X, X])),
    "make_jaxpr": lambda f: fg.make_jaxpr(f)(X),
    "eval_shape": lambda f: fg.eval_shape(f, X),
    "linear_transpose": lambda f: fg.linear_transpose(f, X),
}


@pytest.mark.parametrize("name", list(ABSTRACT))
def test_truth_values_of_unknown_arrays(name):
    """`if` on an unknown value names the transform, the function, the user's line, and the remedies."""

    def decide(x):
        if x[0] > 0:
            return x
        return -x

    text = _text(TracerBoolConversionError, lambda: ABSTRACT[name](decide))
    line = decide.__code__.co_firstlineno
    assert f"fungrad.{name} of " in text
    assert "decide" in text
    assert f"test_control_flow.py:{line + 1} (in decide)" in text
    assert "bool[]" in text
    assert "np.where(condition, a, b)" in text
    assert "in_axes=None" in text


@pytest.mark.parametrize("what", [
    lambda x: 1 if x[0] else 2,
    lambda x: [1 for _ in [0] if x[0] > x[1]],
    lambda x: x[0] and x[1],
    lambda x: x[0] > 0 or x[1],
    lambda x: not x[0],
    lambda x: max(x[0], x[1]),
    lambda x: sorted(x),
    lambda x: 0.5 in x,
    lambda x: 0 < x[0] < 1,
    lambda x: (x > 0).all() and 1.0,
    lambda x: np.any(x > 0) and 1.0,
], ids=["if", "comprehension", "and", "or", "not", "max", "sorted", "in", "chain", "all", "any"])  # fmt: skip
@pytest.mark.parametrize("name", ["vmap", "make_jaxpr"])
def test_every_way_to_ask_for_a_truth_value(name, what):
    """All of Python's constructs that need a truth value raise the same error."""
    with pytest.raises(
        TracerBoolConversionError,
        match="truth value of a traced array of type bool|truth value of a traced array of type f64",
    ):
        ABSTRACT[name](what)


def test_assert_and_while():
    """Statements too."""

    def asserts(x):
        assert x[0] > 0
        return x

    def loops(x):
        while x[0] < 3:
            x = x + 1
        return x

    for f in (asserts, loops):
        with pytest.raises(TracerBoolConversionError):
            fg.vmap(f)(np.stack([X, X]))


@pytest.mark.parametrize("what", [
    lambda i: range(i),
    lambda i: [1, 2, 3][i],
    lambda i: np.ones(3).reshape(i, -1),
    lambda i: bin(i),
], ids=["range", "list", "reshape", "bin"])  # fmt: skip
def test_python_integers_of_unknown_arrays(what):
    """A range, a list index, a shape need a number: the error says where and what to do."""
    text = _text(TracerIntegerConversionError, lambda: fg.vmap(what)(np.arange(3)))
    assert "fungrad.vmap of" in text
    assert "test_control_flow.py:" in text
    assert "fungrad.numpy.take(plain, i)" in text
    with pytest.raises(TypeError):  # NumPy replaces the error by its own
        fg.vmap(np.ones)(np.arange(3))


def test_int_and_float_of_unknown_arrays():
    """int(x), round(x), math.floor(x)."""
    for what in (int, round, math.floor, math.ceil, math.trunc, float, math.sqrt):
        text = _text(ConcretizationTypeError, lambda what=what: fg.vmap(lambda x: what(x))(X))
        assert "fungrad.vmap of" in text
        assert "test_control_flow.py:" in text


def test_boolean_masks_of_unknown_arrays():
    """A mask whose values are unknown: the result's shape would depend on them."""
    text = _text(NonConcreteBooleanIndexError, lambda: fg.vmap(lambda r: r[r > 0].sum())(np.stack([X, X])))
    assert "np.where" in text
    assert "test_control_flow.py:" in text
    assert issubclass(NonConcreteBooleanIndexError, IndexError)


def test_grad_inside_vmap_hides_values_too():
    """vmap(grad(f)): the inner values are abstract tracers of the map; the message names vmap."""
    text = _text(TracerBoolConversionError, lambda: fg.vmap(fg.grad(lambda x: x if x > 0 else -x))(X))
    assert "fungrad.vmap of" in text
    text = _text(TracerBoolConversionError, lambda: fg.make_jaxpr(fg.jacfwd(_branch))(X))
    assert "fungrad.make_jaxpr of" in text


def test_vmap_inside_grad_hides_mapped_values_only():
    """grad(vmap(f)): mapped values are hidden, closed-over ones are not."""

    def f(w, x):
        return fg.vmap(lambda r: r * w if w > 0 else -r)(x).sum()

    _close(fg.grad(f)(2.0, X), X.sum())
    with pytest.raises(TracerBoolConversionError):
        fg.grad(lambda x: fg.vmap(lambda r: r if r > 0 else -r)(x).sum())(X)


def test_where_is_the_remedy():
    """What the messages recommend works."""
    x = np.array([-1.0, 2.0, -3.0])
    np.testing.assert_array_equal(fg.vmap(lambda x: np.where(x > 0, x, -2 * x))(x), [2.0, 2.0, 6.0])
    np.testing.assert_array_equal(fg.vmap(fg.grad(lambda x: np.where(x > 0, x, -2 * x)))(x), [-2.0, 1.0, -2.0])
    np.testing.assert_array_equal(fg.vmap(lambda x, i: x[i])(np.stack([X, X]), np.array([2, 0])), [X[2], X[0]])


def test_the_guide_runs():
    """Every example in docs/control_flow.md gives what it says."""
    guide = pathlib.Path(fg.__file__).parent.parent / "docs" / "control_flow.md"
    if not guide.exists():
        pytest.skip("an installed package has no docs beside it")
    results = doctest.testfile(
        str(guide), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert results.failed == 0
    assert results.attempted > 30

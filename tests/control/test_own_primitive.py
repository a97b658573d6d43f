"""Primitives that a user declares with the public classes."""

import doctest
import pathlib

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.primitive import PRIMITIVES
from fungrad.testing import check_grads

DOCS = pathlib.Path(fg.__file__).parent.parent / "docs"


@pytest.fixture(autouse=True)
def _forget_primitives():
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


def bisect(p, *, f):
    """A root finder that knows nothing of tracers."""
    p = np.asarray(p, dtype=float)
    low, high = 0.0, 10.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if f(middle, p) < 0 else (low, middle)
    return np.float64(0.5 * (low + high))


def declare_root():
    """x(p) with f(x, p) = 0, by the implicit function theorem."""

    def jvp(primals, tangents, x, *, f):
        (p,), (p_dot,) = primals, tangents
        _, f_dot = fg.jvp(lambda p: f(x, p), (p,), (p_dot,))
        return -f_dot / fg.grad(f)(x, p)

    return fg.General("test_root", bisect, abstract=lambda p, *, f: fg.ShapedArray((), float), jvp=jvp)


def cubic(x, p):
    """Grows in x."""
    return x**3 + p[0] * x - p[1]


P = np.array([1.0, 5.0])


def exact(p):
    """The root by Cardano's formula."""
    r = np.sqrt((p[1] / 2.0) ** 2 + (p[0] / 3.0) ** 3)
    return np.cbrt(p[1] / 2.0 + r) + np.cbrt(p[1] / 2.0 - r)


def test_a_root_finder():
    """Value, both modes, second order, jit and vmap, against the formula."""
    root = declare_root()

    def solve(p):
        return root(p, f=cubic)

    np.testing.assert_allclose(solve(P), exact(P), rtol=1e-12)
    for derivative in (fg.grad, fg.jacfwd, fg.jacrev, fg.hessian):
        expected = derivative(exact)(P)
        np.testing.assert_allclose(derivative(solve)(P), expected, rtol=1e-8)
        np.testing.assert_allclose(fg.jit(derivative(solve))(P), expected, rtol=1e-8)
        np.testing.assert_allclose(derivative(fg.jit(solve))(P), expected, rtol=1e-8)
        np.testing.assert_allclose(fg.vmap(derivative(solve))(np.stack([P, P]))[1], expected, rtol=1e-8)
    check_grads(solve, (P,), order=2)


def test_a_linear_primitive():
    """Its transpose is all that is declared."""
    matrix = np.array([[2.0, 1.0], [0.0, 3.0]])
    solve = fg.Linear(
        "test_solve",
        lambda b, *, transposed: np.linalg.solve(matrix.T if transposed else matrix, b),
        abstract=lambda b, *, transposed: fg.ShapedArray(b.shape, np.float64),
        transpose=lambda ct, b, *, transposed: solve(ct, transposed=not transposed),
    )

    def f(b):
        return solve(b, transposed=False)

    b = np.array([1.0, 2.0])
    inverse = np.linalg.inv(matrix)
    np.testing.assert_allclose(f([1.0, 2.0]), inverse @ b, rtol=1e-12)
    np.testing.assert_allclose(fg.jacfwd(f)(b), inverse, rtol=1e-12)
    np.testing.assert_allclose(fg.jacrev(fg.jit(f))(b), inverse, rtol=1e-12)
    np.testing.assert_allclose(fg.vmap(f)(np.stack([b, b]))[1], inverse @ b, rtol=1e-12)


def test_an_elementwise_primitive():
    """Rules name what they read; broadcasting is taken care of."""
    cube = fg.Elementwise("test_cube", lambda x, y: x**3 * y, lambda t, x, y: t * 3 * x**2 * y, lambda t, x: t * x**3)
    x, y = np.array([1.0, 2.0]), 3.0
    np.testing.assert_array_equal(cube(x, y), [3.0, 24.0])
    assert fg.grad(lambda x, y: np.sum(cube(x, y)), 1)(x, y) == 9.0
    np.testing.assert_array_equal(fg.vmap(fg.grad(cube), (0, None))(x, y), [9.0, 36.0])


def test_several_results_without_a_batching_rule():
    """vmap applies the primitive to one example after the other, for each result."""
    calls = []

    def impl(x, y):
        calls.append(np.shape(x))
        return np.sort(x), x * y

    both = fg.General(
        "test_both",
        impl,
        abstract=lambda x, y: (x.strong(), x.strong()),
        jvp=lambda primals, tangents, outs: (tangents[0], tangents[0]),
        multiple=True,
    )
    x = np.array([[3.0, 1.0], [4.0, 5.0]])
    ordered, scaled = fg.vmap(both, (0, None))(x, 2.0)
    np.testing.assert_array_equal(ordered, np.sort(x, axis=1))
    np.testing.assert_array_equal(scaled, 2.0 * x)
    assert calls == [(2,), (2,)]
    assert [a.shape for a in fg.vmap(both, (0, None))(np.zeros((0, 2)), 2.0)] == [(0, 2), (0, 2)]


def test_a_primitive_without_a_derivative():
    """NoTangent is a constant to derivatives."""
    rank = fg.NoTangent("test_rank", np.linalg.matrix_rank, abstract=lambda x: fg.ShapedArray((), np.int64))
    assert fg.grad(lambda x: x[0, 0] * rank(x))(np.eye(2))[0, 0] == 2.0


def test_a_name_twice():
    """Names are unique; a cell of a notebook may be run again."""

    def declare():
        return fg.NoTangent("test_twice", np.sign, elementwise=True)

    declare()
    with pytest.raises(ValueError, match="a primitive named 'test_twice' exists already"):
        declare()
    code = "import fungrad as fg, numpy as np\nfor _ in range(2): fg.NoTangent('test_cell', np.sign, elementwise=True)"
    exec(code, {"__name__": "__main__"})


def test_a_primitive_without_a_type_rule():
    """jit says what is missing."""
    bare = fg.General("test_bare", np.sin, jvp=lambda primals, tangents, out: tangents[0])
    assert fg.grad(bare)(1.0) == 1.0
    with pytest.raises(NotImplementedError, match="'test_bare' has no abstract rule"):
        fg.jit(bare)(1.0)


def test_the_guide_runs():
    """Every example in docs/custom_rules.md gives what it says."""
    guide = DOCS / "custom_rules.md"
    if not guide.exists():
        pytest.skip("an installed package has no docs beside it")
    pytest.importorskip("scipy")
    results = doctest.testfile(
        str(guide), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    assert results.failed == 0
    assert results.attempted > 20

"""Declaring primitives: the five kinds, what they record, and what they say when a rule is missing."""

import pickle

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.elementwise import Elementwise, NoTangent, broadcast_shapes
from fungrad.core.primitive import PRIMITIVES, General, Linear, Multilinear, Primitive, as_operand
from fungrad.core.trace import Application, Recording
from fungrad.errors import MissingRuleError, NonLinearError
from fungrad.primitives.arithmetic import add, mul, neg, sub


@pytest.fixture(autouse=True)
def registry():
    """Forget the primitives that a test declares."""
    before = dict(PRIMITIVES)
    yield
    PRIMITIVES.clear()
    PRIMITIVES.update(before)


def _same(x):
    return x


def test_names_are_unique():
    """A second primitive of a name is refused."""
    Primitive("test_once", _same)
    with pytest.raises(ValueError, match="a primitive named 'test_once' exists already"):
        Primitive("test_once", _same)


def test_primitives_pickle_by_name():
    """Unpickling gives the object that is registered."""
    prim = PRIMITIVES["sin"]
    assert pickle.loads(pickle.dumps(prim)) is prim
    assert repr(prim) == "sin"


def test_bind_computes_plain_operands():
    """Without a tracer among the operands a primitive is its implementation."""
    prim = Primitive("test_twice", lambda x, *, n: x * n)
    assert prim.bind(3.0, n=2) == 6.0


def test_missing_abstract_rule_is_named():
    """make_jaxpr of a primitive without abstract rule says which one and what to declare."""
    prim = Primitive("test_bare", _same)
    with pytest.raises(MissingRuleError, match=r"primitive 'test_bare' has no abstract rule; give it `abstract=`"):
        fg.make_jaxpr(prim.bind)(1.0)


def test_missing_batching_rule_is_named():
    """vmap of a primitive without batching rule says which one and what to declare."""
    prim = Primitive("test_bare", _same, abstract=_same)
    with pytest.raises(
        MissingRuleError, match=r"primitive 'test_bare' has no batching rule, so vmap cannot pass it; give it `batch=`"
    ):
        fg.vmap(prim.bind)(np.ones(2))


def test_missing_derivative_is_named():
    """grad of a primitive that declares no derivative is an error, not a zero."""
    prim = Primitive("test_bare", _same, abstract=_same)
    with pytest.raises(MissingRuleError, match="'test_bare'"):
        fg.grad(prim.bind)(1.0)
    assert issubclass(MissingRuleError, NotImplementedError)


def test_an_elementwise_rule_takes_residuals_by_name():
    """A user-made elementwise primitive works under every transform from one rule."""
    cube = Elementwise("test_cube", lambda x: x**3, lambda t, x: mul(t, mul(3.0, mul(x, x)))).function
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(fg.elementwise_grad(cube)(x), 3 * x**2)
    np.testing.assert_array_equal(fg.jvp(cube, (x,), (np.ones(2),))[1], 3 * x**2)
    np.testing.assert_array_equal(fg.vmap(fg.grad(fg.grad(cube)))(x), 6 * x)
    np.testing.assert_array_equal(fg.hessian(lambda x: cube(x).sum())(x), np.diag(6 * x))
    fg.check_jaxpr(fg.make_jaxpr(fg.jacfwd(cube))(x))
    assert cube.__name__ == "test_cube"


def test_a_rule_that_names_an_unknown_residual_is_refused():
    """The TypeError lists what a rule of that arity can name."""
    with pytest.raises(TypeError, match=r"a rule of 1 operands names \['y'\]; it can name \('x', 'out'\)"):
        Elementwise("test_wrong", np.sin, lambda t, y: t)


def test_residuals_are_what_the_rules_name():
    """Only the named operands and results are kept in an entry."""
    prim = Elementwise(
        "test_three", lambda x, y, z: x + y * z, lambda t: t, lambda t, z: mul(t, z), lambda t, y, out: mul(t, y)
    )
    recording = Recording(False, "test", len)
    x, y, z = (recording.new_input(v) for v in (1.0, 2.0, 3.0))
    prim.function(x, y, z)
    (_, _, edges) = recording.entries[0]
    assert [e[0] for e in edges] == [x.id, y.id, z.id]
    assert [e[2] for e in edges] == [(), (3.0,), (2.0, 7.0)]
    recording.entries.clear()
    prim.function(1.0, y, 3.0)
    (_, _, edges) = recording.entries[0]
    assert [(e[0], e[2]) for e in edges] == [(y.id, (3.0,))]


def test_a_rule_of_none_carries_no_tangent():
    """An operand whose rule is None (a condition) leaves no edge, and no entry if it is the only traced one."""
    prim = Elementwise("test_cond", lambda x, y: y if x else -y, None, lambda t, x: t if x else -t)
    recording = Recording(False, "test", len)
    x, y = recording.new_input(1.0), recording.new_input(2.0)
    assert prim.function(x, 5.0) == 5.0
    assert recording.entries == []
    assert [e[0] for e in (prim.function(x, y), recording.entries[0])[1][2]] == [y.id]


def test_linear_keeps_types_not_values():
    """A linear primitive needs no residual: its operand is kept as a type."""
    prim = Linear(
        "test_double",
        lambda x: 2 * x,
        abstract=_same,
        transpose=lambda ct, x: prim.bind(ct),
        batch=lambda a, b, x: prim.bind(x),
    )
    recording = Recording(False, "test", len)
    prim.bind(recording.new_input(np.ones(3)))
    (_, _, app) = recording.entries[0]
    assert isinstance(app, Application)
    assert app.operands == (typeof(np.ones(3)),)
    assert fg.grad(lambda x: prim.bind(x) * x)(3.0) == 12.0
    np.testing.assert_array_equal(fg.vmap(prim.bind)(np.ones(2)), [2.0, 2.0])


def test_linear_in_some_operands_keeps_the_others():
    """The operands that are not linear (indices) are kept by value, and get no tangent."""
    prim = Linear(
        "test_pick",
        lambda x, i: x[i],
        abstract=lambda x, i: ShapedArray((), x.dtype),
        transpose=lambda ct, x, i: mul(ct, np.eye(x.shape[0])[i]),
        batch=lambda *a: pytest.fail("not used"),
        linear_in=(0,),
    )
    assert [prim.is_linear_in(k) for k in (0, 1)] == [True, False]
    np.testing.assert_array_equal(fg.grad(lambda x: prim.bind(x, 1) * 5.0)(np.ones(3)), [0.0, 5.0, 0.0])
    assert fg.jvp(lambda x: prim.bind(x, 1), (np.ones(3),), (np.arange(3.0),)) == (1.0, 1.0)


def test_multilinear_keeps_an_operand_only_if_another_is_traced():
    """A product with a constant keeps the constant; the traced operand itself is not needed."""
    prim = Multilinear(
        "test_product",
        lambda x, y: x * y,
        abstract=lambda x, y: x,
        transposes=(lambda ct, x, y: mul(ct, y), lambda ct, x, y: mul(x, ct)),
        batch=lambda axis, batched, x, y: prim.bind(x, y),
    )
    recording = Recording(False, "test", len)
    a, b = recording.new_input(2.0), recording.new_input(3.0)
    prim.bind(a, 5.0)
    prim.bind(a, b)
    kept = [entry[2].operands for entry in recording.entries]
    assert kept == [(typeof(2.0), 5.0), (2.0, 3.0)]
    assert fg.grad(lambda x: prim.bind(prim.bind(x, x), x))(2.0) == 12.0
    assert fg.jvp(lambda x: prim.bind(x, x), (3.0,), (1.0,)) == (9.0, 6.0)
    assert fg.grad(fg.grad(lambda x: prim.bind(x, x)))(3.0) == 2.0


def test_general_with_several_results():
    """A primitive with two results is differentiated through its jvp, both ways, with either result unused."""

    def _jvp(primals, tangents, outs):
        (x, y), (t, u) = primals, tangents
        terms = [v for v in (None if t is None else mul(t, y), None if u is None else mul(x, u)) if v is not None]
        total = terms[0] if len(terms) == 1 else add(*terms)
        sums = [v for v in (t, u) if v is not None]
        return total, sums[0] if len(sums) == 1 else add(*sums)

    prim = General(
        "test_product_and_sum",
        lambda x, y: (x * y, x + y),
        abstract=lambda x, y: (x, x),
        jvp=_jvp,
        batch=lambda axis, batched, x, y: prim.bind(x, y),
        multiple=True,
    )

    def f(x, y):
        p, s = prim.bind(x, y)
        return p * s  # x^2 y + x y^2

    assert fg.grad(f, (0, 1))(2.0, 3.0) == (2 * 2 * 3 + 9, 4 + 2 * 2 * 3)
    assert fg.grad(lambda x: prim.bind(x, 3.0)[1])(2.0) == 1.0
    assert fg.grad(lambda x: prim.bind(3.0, x)[0])(2.0) == 3.0
    assert fg.grad(lambda x: prim.bind(x, x)[0] * 0.0 + x)(2.0) == 1.0
    assert fg.jvp(f, (2.0, 3.0), (1.0, 0.0)) == (30.0, 21.0)
    assert fg.grad(fg.grad(f))(2.0, 3.0) == 6.0
    np.testing.assert_array_equal(fg.vmap(fg.grad(f))(np.array([2.0, 1.0]), np.array([3.0, 1.0])), [21.0, 3.0])
    fg.check_jaxpr(fg.make_jaxpr(prim.bind)(1.0, 2.0))


def test_general_may_ignore_a_tangent():
    """A jvp that returns None for a result says zero."""
    prim = General(
        "test_half",
        lambda x: (x * 2, x * 0),
        abstract=lambda x: (x, x),
        jvp=lambda primals, tangents, outs: (mul(tangents[0], 2.0), None),
        batch=lambda axis, batched, x: prim.bind(x),
        multiple=True,
    )
    assert fg.grad(lambda x: add(*prim.bind(x)))(1.0) == 2.0
    assert fg.jvp(prim.bind, (1.0,), (1.0,)) == ((2.0, 0.0), (2.0, 0.0))


def test_no_tangent_is_not_recorded_with_values():
    """A locally constant primitive gives plain results under grad, an equation in a jaxpr."""
    prim = NoTangent("test_half_up", lambda x: np.floor(x + 0.5), elementwise=True)
    recording = Recording(False, "test", len)
    assert prim.function(recording.new_input(1.7)) == 2.0
    assert prim.bind(recording.new_input(1.7)) == 2.0
    assert recording.entries == []
    assert fg.grad(lambda x: x * prim.function(x))(1.7) == 2.0
    assert "test_half_up a" in str(fg.make_jaxpr(prim.function)(np.ones(2)))
    np.testing.assert_array_equal(fg.vmap(prim.function)(np.array([0.2, 0.7])), [0.0, 1.0])


def test_as_operand():
    """Lists and buffers become arrays; numbers stay; tracers are stacked; what is not numeric is refused."""
    assert as_operand(2.0) == 2.0
    assert as_operand([1, 2]).dtype == np.int64
    assert type(as_operand(np.ones(2).view(type("Sub", (np.ndarray,), {})))) is np.ndarray
    for wrong in ("text", None, object(), [None], {"a": 1.0}):
        with pytest.raises(TypeError, match="expected a number or an array of numbers"):
            as_operand(wrong)
    for wrong in (np.array([1, None]), np.array([0, 0], object), np.array(["text"])):
        with pytest.raises(TypeError):
            fg.grad(lambda x, wrong=wrong: (x * wrong).sum())(np.ones(2))
    recording = Recording(False, "test", len)
    assert as_operand([recording.new_input(1.0), 2.0]).shape == (2,)
    floats = as_operand(np.array([1, 2.0], object))
    assert (floats.dtype, floats.tolist()) == (np.float64, [1.0, 2.0])


@pytest.mark.parametrize(
    ("shapes", "result"),
    [
        ([(3,), (3,)], (3,)),
        ([(3,), ()], (3,)),
        ([(2, 1), (3,)], (2, 3)),
        ([(1, 3), (2, 1), ()], (2, 3)),
        ([(0,), (1,)], (0,)),
        ([(1,), (1, 1)], (1, 1)),
        ([()], ()),
    ],
)
def test_broadcast_shapes_is_numpys(shapes, result):
    """The shape is that of np.broadcast_shapes."""
    assert broadcast_shapes("test", shapes) == result == np.broadcast_shapes(*shapes)


def test_broadcast_shapes_refuses_in_numpys_words():
    """The error shows all shapes and the primitive."""
    for shapes in ([(3,), (2,)], [(0,), (2,)], [(2, 3), (3, 2)]):
        with pytest.raises(ValueError, match=r"mul: operands could not be broadcast together with shapes \("):
            broadcast_shapes("mul", shapes)
        with pytest.raises(ValueError):
            np.broadcast_shapes(*shapes)


def test_abstract_types_are_numpys():
    """The abstract rule of an elementwise primitive gives NumPy's dtype for every pair of dtypes, weak ones too."""
    values = [2, 2.0, 2j, *[np.ones((2,), c) for c in "?bhilBHefdFD"], *[np.ones((), c)[()] for c in "?ifdFD"]]
    prim = PRIMITIVES["mul"]
    for x in values:
        for y in values:
            want = x * y
            got = prim.abstract(typeof(x), typeof(y))
            assert (got.shape, got.dtype) == (np.shape(want), np.result_type(want)), (x, y)
            assert got.weak is (type(x) in (int, float, complex) and type(y) in (int, float, complex))


def _scaled(a, b):
    return b / a


def _scaled_jvp(primals, tangents, out):
    (a, _), (a_dot, b_dot) = primals, tangents
    assert a_dot is not None, "without a tangent of a it is a linear map, and the rule is not asked"
    right = neg(mul(a_dot, out)) if b_dot is None else sub(b_dot, mul(a_dot, out))
    return PRIMITIVES["test_scaled"].bind(a, right)


@pytest.fixture
def scaled():
    """b / a: a quotient as a solve of a b-linear system declares it."""
    return General(
        "test_scaled",
        _scaled,
        abstract=lambda a, b: b,
        jvp=_scaled_jvp,
        batch=lambda axis, batched, a, b: prim_batch(a, b),
        transpose=lambda ct, a, b: PRIMITIVES["test_scaled"].bind(a, ct),
        linear_in=(1,),
    )


def prim_batch(a, b):
    """The batched application of test_scaled on scalars."""
    return PRIMITIVES["test_scaled"].bind(a, b)


def test_general_that_is_linear_in_an_operand(scaled):
    """Its transpose serves that operand, its jvp the others, and the jvp may bind the primitive itself."""
    f = scaled.bind
    assert [scaled.is_linear_in(k) for k in (0, 1)] == [False, True]
    assert fg.grad(f, (0, 1))(2.0, 6.0) == (-1.5, 0.5)
    assert fg.grad(lambda b: f(2.0, b))(6.0) == 0.5
    assert fg.jvp(f, (2.0, 6.0), (1.0, 1.0)) == (3.0, -1.0)
    assert fg.jvp(lambda b: f(2.0, b), (6.0,), (1.0,)) == (3.0, 0.5)
    assert fg.hessian(f, (0, 1))(2.0, 6.0) == ((1.5, -0.25), (-0.25, 0.0))
    assert fg.grad(fg.grad(fg.grad(f)))(2.0, 6.0) == -6 * 6.0 / 2.0**4
    assert fg.linear_transpose(lambda b: f(2.0, b), 1.0)(3.0) == (1.5,)
    with pytest.raises(NonLinearError, match="'test_scaled'"):
        fg.linear_transpose(lambda a: f(a, 2.0), 1.0)(3.0)
    np.testing.assert_array_equal(fg.vmap(fg.grad(f))(np.array([2.0, 1.0]), np.array([6.0, 3.0])), [-1.5, -3.0])


def test_a_linear_map_of_a_general_primitive_keeps_no_more_than_a_linear_one(scaled):
    """With only the linear operand traced the others are kept by value, it and the result are not."""
    recording = Recording(False, "test", len)
    scaled.bind(2.0, recording.new_input(6.0))
    scaled.bind(recording.new_input(2.0), 6.0)
    (_, _, linear), (_, _, other) = recording.entries
    assert (linear.operands, linear.outs) == ((2.0, typeof(6.0)), None)
    assert (other.operands, other.outs) == ((2.0, 6.0), 3.0)


def test_unpickling_imports_the_module_of_a_primitive():
    """A primitive of a module that is imported late is found by a process that has not met it yet."""
    prim = PRIMITIVES["sin"]
    assert prim.module.startswith("fungrad.primitives.")
    assert prim.__reduce__()[1] == (prim.name, prim.module)
    assert Primitive("test_here", _same).module == __name__

"""The IR: parts of a jaxpr, last uses, pickling."""

import pickle

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.ir import Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import PRIMITIVES
from fungrad.core.trace import Tracer

F64 = ShapedArray((), np.float64)


def _two_steps():
    """a b -> c = a * b; d = sin c; e = a + d; (e, c)."""
    a, b, c, d, e = (Var(F64) for _ in range(5))
    eqns = [
        Equation(PRIMITIVES["mul"], [a, b], {}, [c]),
        Equation(PRIMITIVES["sin"], [c], {}, [d]),
        Equation(PRIMITIVES["add"], [a, d], {}, [e]),
    ]
    return Jaxpr([], [a, b], eqns, [e, c]), (a, b, c, d, e)


def test_last_uses_lists_each_variable_where_nothing_reads_it_any_more():
    """A variable dies at its last reader; results never die."""
    jaxpr, (a, b, c, d, e) = _two_steps()
    uses = jaxpr.last_uses()
    assert [set(u) for u in uses] == [{b}, set(), {a, d}]
    assert c not in {v for u in uses for v in u}
    assert e not in {v for u in uses for v in u}


def test_last_uses_drops_an_unread_result_at_once():
    """An output that nobody reads dies at its own equation."""
    a, dead, out = Var(F64), Var(F64), Var(F64)
    eqns = [Equation(PRIMITIVES["sin"], [a], {}, [dead]), Equation(PRIMITIVES["neg"], [a], {}, [out])]
    assert [set(u) for u in Jaxpr([], [a], eqns, [out]).last_uses()] == [{dead}, {a}]


def test_last_uses_names_an_operand_that_is_read_twice_once():
    """x * x frees x once, and literals are no variables."""
    a, b = Var(F64), Var(F64)
    jaxpr = Jaxpr(
        [],
        [a],
        [Equation(PRIMITIVES["mul"], [a, a], {}, [b]), Equation(PRIMITIVES["mul"], [b, Literal(2.0)], {}, [Var(F64)])],
        [],
    )
    assert [len(u) for u in jaxpr.last_uses()] == [1, 2]


def test_last_uses_is_computed_once():
    """Interpreters that run a jaxpr many times share the list."""
    jaxpr, _ = _two_steps()
    assert jaxpr.last_uses() is jaxpr.last_uses()


def test_parts_are_tuples_and_closed_jaxpr_shows_types():
    """in_avals and out_avals are the types of arguments and results, literals included."""
    closed = fg.make_jaxpr(lambda x, n: (x.sum(), n, 3.0))(np.ones((2, 3), np.float32), 4)
    assert closed.in_avals == (ShapedArray((2, 3), np.float32), typeof(4))
    assert closed.out_avals == (ShapedArray((), np.float32), typeof(4), typeof(3.0))
    assert (
        type(closed.jaxpr.invars)
        is type(closed.jaxpr.eqns)
        is type(closed.jaxpr.outvars)
        is type(closed.consts)
        is tuple
    )
    assert closed.eqns is closed.jaxpr.eqns


def test_literals_know_their_type():
    """A Python number is weak, a NumPy scalar is not."""
    assert Literal(2.0).aval == typeof(2.0)
    assert repr(Literal(2.0)) == "2.0:f64[]"
    assert repr(Literal(np.float32(0.5))) == "0.5:f32[]"
    assert repr(Literal(True)) == "True:bool[]"


def test_a_jaxpr_pickles_and_computes_the_same():
    """Primitives come back as the same objects, sharing of variables is kept, source lines are dropped."""
    const = np.arange(3.0)
    closed = fg.make_jaxpr(lambda x: np.sum(np.sin(x) * const, axis=0) + 2.0)(np.ones(3))
    again = pickle.loads(pickle.dumps(closed))
    fg.check_jaxpr(again)
    assert repr(again) == repr(closed)
    assert [e.primitive for e in again.eqns] == [e.primitive for e in closed.eqns]
    assert all(e.source is None for e in again.eqns)
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_array_equal(fg.eval_jaxpr(again, (), x)[0], fg.eval_jaxpr(closed, (), x)[0])


@pytest.mark.parametrize("make", [
    lambda f: fg.grad(f),
    lambda f: fg.hessian(f),
    lambda f: lambda x: fg.jvp(f, (x,), (x,)),
    lambda f: lambda x: fg.vmap(f)(np.stack([x, x])),
    lambda f: lambda x: fg.vjp(f, x)[1](1.0),
], ids=["grad", "hessian", "jvp", "vmap", "vjp"])  # fmt: skip
def test_jaxprs_of_transforms_pickle(make):
    """What interpreters produce pickles too, and is well formed."""
    closed = fg.make_jaxpr(make(lambda x: np.sum(np.exp(x) * x[0])))(np.ones(3))
    fg.check_jaxpr(closed)
    again = pickle.loads(pickle.dumps(closed))
    fg.check_jaxpr(again)
    assert repr(again) == repr(closed)


def test_a_jaxpr_that_closes_over_a_tracer_does_not_pickle():
    """The refusal says what the object is and where it belongs."""

    def f(x):
        with pytest.raises(
            TypeError, match=r"a traced array f64\[\] cannot be pickled: it exists only while fungrad.grad of"
        ):
            pickle.dumps(fg.make_jaxpr(lambda y: x * y)(1.0))
        return x

    fg.grad(f)(1.0)


def test_equations_print_their_parts():
    """repr of an equation and a variable are for debugging, and do not fail."""
    jaxpr, (a, *_) = _two_steps()
    assert repr(a) == "Var:f64[]"
    assert repr(jaxpr.eqns[0]) == "(Var:f64[],) = mul (Var:f64[], Var:f64[])"


def test_there_is_one_kind_of_tracer():
    """Every transform hands the function the same class."""
    seen = []

    def f(x):
        seen.append(type(x))
        return x

    x = np.ones(2)
    fg.jvp(f, (x,), (x,))
    fg.vjp(f, x)
    fg.linearize(f, x)
    fg.vmap(f)(x)
    fg.make_jaxpr(f)(x)
    fg.jacfwd(f)(x)
    fg.grad(lambda x: f(x).sum())(x)
    assert seen == [Tracer] * 7

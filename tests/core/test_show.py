"""Golden text of printed jaxprs."""

import os
import textwrap

import numpy as np

import fungrad as fg
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import PRIMITIVES


def _text(text):
    return textwrap.dedent(text).strip()


def test_one_equation_stands_on_one_line():
    """A jaxpr of one equation is short enough for one line."""
    assert str(fg.make_jaxpr(np.sin)(np.ones(3))) == "{ lambda ; a:f64[3]. let b:f64[3] = sin a in (b,) }"


def test_several_equations_are_indented():
    """Variables are named in the order of their definition; literals carry their type; one result keeps its comma."""
    jaxpr = fg.make_jaxpr(lambda x, y: (np.sin(x) * y + 2.0).sum(axis=0))(np.ones((2, 3)), np.float32(1))
    assert str(jaxpr) == _text("""
        { lambda ; a:f64[2,3] b:f32[]. let
            c:f64[2,3] = sin a
            d:f64[2,3] = mul c b
            e:f64[2,3] = add d 2.0:f64[]
            f:f64[3] = sum[axes=(0,)] e
          in (f,) }
    """)


def test_constants_stand_before_the_semicolon():
    """Arrays that a function closes over are constvars; one array is one constant however often it is used."""
    const = np.arange(3.0)
    jaxpr = fg.make_jaxpr(lambda x: x * const + const)(np.ones(3))
    assert str(jaxpr) == _text("""
        { lambda a:f64[3] ; b:f64[3]. let
            c:f64[3] = mul b a
            d:f64[3] = add c a
          in (d,) }
    """)


def test_no_equations():
    """The identity and constant functions have nothing to print."""
    assert str(fg.make_jaxpr(lambda x: x)(1.0)) == "{ lambda ; a:f64[]. let in (a,) }"
    assert str(fg.make_jaxpr(lambda x: (x, 3, x))(1.0)) == "{ lambda ; a:f64[]. let in (a, 3:i64[], a) }"
    assert str(fg.make_jaxpr(lambda: ())()) == "{ lambda ;. let in () }"


def test_gradient_of_a_product():
    """The reverse pass is equations as any others."""
    jaxpr = fg.make_jaxpr(fg.grad(lambda x: x * 3.0 * x))(2.0)
    assert str(jaxpr) == _text("""
        { lambda ; a:f64[]. let
            b:f64[] = mul a 3.0:f64[]
            c:f64[] = mul b a
            d:f64[] = mul 1.0:f64[] a
            e:f64[] = mul 1.0:f64[] b
            f:f64[] = mul d 3.0:f64[]
            g:f64[] = add e f
          in (g,) }
    """)


def test_source_names_the_users_line():
    """With source=True each equation carries file, line and function."""

    def f(x):
        y = np.sin(x)
        return y * 2.0

    line = f.__code__.co_firstlineno
    file = os.path.relpath(__file__)
    assert fg.show_jaxpr(fg.make_jaxpr(f)(1.0), source=True) == _text(f"""
        {{ lambda ; a:f64[]. let
            b:f64[] = sin a  # {file}:{line + 1} (in f)
            c:f64[] = mul b 2.0:f64[]  # {file}:{line + 2} (in f)
          in (c,) }}
    """)


def test_source_of_a_single_equation_is_not_lost():
    """One equation with its source goes on a line of its own."""
    text = fg.show_jaxpr(fg.make_jaxpr(lambda x: -x)(1.0), source=True)
    assert "# " in text and os.path.basename(__file__) in text
    assert len(text.splitlines()) == 3


def test_more_than_26_variables():
    """After z comes ba, bb, ... as in a number system with 26 digits."""

    def f(x):
        for _ in range(30):
            x = -x
        return x

    text = str(fg.make_jaxpr(f)(1.0))
    assert "z:f64[] = neg y" in text
    assert "ba:f64[] = neg z" in text
    assert "be:f64[] = neg bd" in text
    assert text.endswith("in (be,) }")


def test_parameters_that_hold_a_jaxpr_are_indented():
    """Higher-order equations show their body."""
    inner = fg.make_jaxpr(np.sin)(1.0)
    aval = ShapedArray((), np.float64)
    a, b = Var(aval), Var(aval)
    jaxpr = Jaxpr([], [a], [Equation(PRIMITIVES["sin"], [a], {"body": inner, "fun": len}, [b])], [b])
    text = str(jaxpr)
    assert "\n      { lambda ; a:f64[]. let b:f64[] = sin a in (b,) }" in text
    assert "fun=len" in text


def test_undefined_variables_print_with_their_type():
    """A malformed jaxpr prints, so that the checker can show it."""
    aval = ShapedArray((2,), np.float32)
    out = Var(aval)
    jaxpr = ClosedJaxpr(Jaxpr([], [], [Equation(PRIMITIVES["neg"], [Var(aval)], {}, [out])], [out, Literal(1)]), [])
    assert str(jaxpr) == "{ lambda ;. let a:f32[2] = neg Var:f32[2] in (a, 1:i64[]) }"


def test_show_takes_closed_and_open_jaxprs():
    """show_jaxpr, str and repr agree."""
    closed = fg.make_jaxpr(np.cos)(1.0)
    assert fg.show_jaxpr(closed) == fg.show_jaxpr(closed.jaxpr) == str(closed) == repr(closed.jaxpr)

"""The checker refuses every kind of malformed jaxpr, and shows the equations around the fault."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray
from fungrad.core.ir import ClosedJaxpr, Equation, Jaxpr, Literal, Var
from fungrad.core.primitive import PRIMITIVES
from fungrad.errors import JaxprTypeError

F64 = ShapedArray((), np.float64)
VEC = ShapedArray((3,), np.float64)


def _eqn(name, inputs, outputs, **params):
    return Equation(PRIMITIVES[name], inputs, params, outputs)


def _reject(jaxpr, match):
    with pytest.raises(JaxprTypeError, match=match) as caught:
        fg.check_jaxpr(jaxpr)
    return str(caught.value)


@pytest.mark.parametrize("f", [
    lambda x: x,
    lambda x: 3.0,
    lambda x: np.sin(x).sum() * x,
    fg.grad(lambda x: np.sum(x[1:] * np.exp(x[0]))),
    fg.hessian(lambda x: np.sum(x**3)),
    fg.vmap(lambda r: r * r),
    lambda x: (x > 0, x.astype(np.float32), x.astype(int)),
], ids=["identity", "constant", "sum", "grad", "hessian", "vmap", "dtypes"])  # fmt: skip
def test_accepts_what_recording_makes(f):
    """Jaxprs of functions and of their transforms are well formed."""
    fg.check_jaxpr(fg.make_jaxpr(f)(np.ones(3)))


def test_accepts_open_and_closed():
    """Both a Jaxpr and a ClosedJaxpr can be checked."""
    closed = fg.make_jaxpr(lambda x: x * np.arange(3.0))(np.ones(3))
    fg.check_jaxpr(closed)
    fg.check_jaxpr(closed.jaxpr)


def test_rejects_use_before_definition():
    """The message names the equation and marks it among its neighbours."""
    a, b, c = Var(F64), Var(F64), Var(F64)
    text = _reject(
        Jaxpr([], [a], [_eqn("neg", [a], [b]), _eqn("add", [b, c], [c])], [b]),
        r"equation 1 \(add\): reads Var:f64\[\] before it is defined",
    )
    lines = text.splitlines()
    assert lines[1].strip() == "b:f64[] = neg a"
    assert lines[2].startswith("> ")
    assert "add b" in lines[2]


def test_shows_three_equations_on_either_side_of_the_fault():
    """Of a long jaxpr only the neighbourhood is shown."""
    variables = [Var(F64) for _ in range(21)]
    eqns = [_eqn("neg", [variables[k]], [variables[k + 1]]) for k in range(20)]
    eqns[10] = _eqn("neg", [Var(F64)], [variables[11]])
    text = _reject(Jaxpr([], [variables[0]], eqns, [variables[20]]), "equation 10")
    assert len(text.splitlines()) == 1 + 7
    assert text.splitlines()[4].startswith(">")


def test_rejects_a_variable_of_another_jaxpr():
    """Variables are identities: one of the same type from elsewhere is not defined here."""
    other = fg.make_jaxpr(np.sin)(1.0).jaxpr.invars[0]
    b = Var(F64)
    _reject(Jaxpr([], [Var(F64)], [_eqn("neg", [other], [b])], [b]), "before it is defined")


def test_rejects_a_second_definition():
    """Each variable is defined once: by one equation ..."""
    a, b = Var(F64), Var(F64)
    _reject(
        Jaxpr([], [a], [_eqn("neg", [a], [b]), _eqn("sin", [a], [b])], [b]),
        r"equation 1 \(sin\): defines Var:f64\[\] a second time",
    )


def test_rejects_redefinition_of_an_input():
    """... and not by an equation if it is an input already."""
    a = Var(F64)
    _reject(Jaxpr([], [a], [_eqn("neg", [a], [a])], [a]), "a second time")


def test_rejects_an_input_twice():
    """An input variable stands in one place."""
    a = Var(F64)
    _reject(Jaxpr([], [a, a], [], [a]), "is an input twice")
    _reject(Jaxpr([a], [a], [], [a]), "is an input twice")


def test_rejects_a_wrong_shape():
    """The type of a result must be what the abstract rule says; both are shown."""
    a, b = Var(VEC), Var(F64)
    text = _reject(Jaxpr([], [a], [_eqn("neg", [a], [b])], [b]), r"equation 0 \(neg\): gives")
    assert "f64[]" in text and "f64[3]" in text


def test_rejects_a_wrong_dtype():
    """float32 where the rule says float64 is an error."""
    a, b = Var(VEC), Var(ShapedArray((3,), np.float32))
    _reject(Jaxpr([], [a], [_eqn("sin", [a], [b])], [b]), "abstract rule says")


def test_rejects_a_wrong_number_of_results():
    """A primitive with one result defines one variable."""
    a, b, c = Var(F64), Var(F64), Var(F64)
    _reject(Jaxpr([], [a], [_eqn("neg", [a], [b, c])], [b]), "abstract rule says")
    _reject(Jaxpr([], [a], [_eqn("neg", [a], [])], [a]), "abstract rule says")


def test_rejects_an_operand_that_is_no_atom():
    """Operands are variables or literals, not bare values."""
    b = Var(F64)
    _reject(Jaxpr([], [], [_eqn("neg", [1.0], [b])], [b]), "1.0 is neither a variable nor a literal")


def test_rejects_an_undefined_result():
    """A result must be an input, a constant or defined by an equation."""
    _reject(Jaxpr([], [], [], [Var(VEC)]), r"the result Var:f64\[3\] is not defined")


def test_rejects_a_result_that_is_no_atom():
    """Results are variables or literals, not bare values."""
    _reject(Jaxpr([], [Var(F64)], [], [1.0]), "1.0 is neither a variable nor a literal")


def test_rejects_operands_that_do_not_broadcast():
    """Where the abstract rule refuses the operands, that is a fault of the jaxpr, shown like any other."""
    a, b, c = Var(VEC), Var(ShapedArray((2,), np.float64)), Var(VEC)
    text = _reject(Jaxpr([], [a, b], [_eqn("add", [a, b], [c])], [c]), r"equation 0 \(add\)")
    assert "could not be broadcast" in text


def test_rejects_a_wrong_number_of_operands():
    """sin of two operands, add of one."""
    a, b = Var(F64), Var(F64)
    _reject(Jaxpr([], [a], [_eqn("sin", [a, a], [b])], [b]), r"equation 0 \(sin\)")
    _reject(Jaxpr([], [a], [_eqn("add", [a], [b])], [b]), r"equation 0 \(add\)")


def test_rejects_missing_and_unknown_parameters():
    """Parameters must be those of the primitive."""
    a, b = Var(VEC), Var(F64)
    _reject(Jaxpr([], [a], [_eqn("sum", [a], [b])], [b]), r"equation 0 \(sum\)")
    _reject(Jaxpr([], [a], [_eqn("sum", [a], [b], axes=(0,), colour="red")], [b]), r"equation 0 \(sum\)")


def test_rejects_constants_that_do_not_fit():
    """A ClosedJaxpr has one constant of the right type for each constvar."""
    c = Var(VEC)
    _reject(ClosedJaxpr(Jaxpr([c], [], [], [c]), []), "1 constvars but 0 constants")
    _reject(
        ClosedJaxpr(Jaxpr([c], [], [], [c]), [np.ones(2)]),
        r"a constant of type f64\[2\] for a constvar of type f64\[3\]",
    )
    _reject(ClosedJaxpr(Jaxpr([c], [], [], [c]), [np.ones(3, np.float32)]), r"f32\[3\]")
    fg.check_jaxpr(ClosedJaxpr(Jaxpr([c], [], [], [c, Literal(1.0)]), [np.ones(3)]))


def test_the_fault_names_the_users_line():
    """Equations that were recorded show where they come from."""
    closed = fg.make_jaxpr(lambda x: np.sin(x) * 2.0)(1.0)
    first, second = closed.eqns
    broken = Jaxpr([], closed.jaxpr.invars, [second], closed.jaxpr.outvars)
    text = _reject(broken, r"equation 0 \(mul\)")
    assert "test_check.py:" in text
    assert first.source is not None

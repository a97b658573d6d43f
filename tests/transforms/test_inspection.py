"""make_jaxpr, eval_shape, eval_jaxpr: looking at a function instead of running it."""

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import NonDifferentiableError, TracerBoolConversionError, TransformTypeError, TransformValueError


class Spec:
    """Anything with shape and dtype."""

    shape = (2, 3)
    dtype = np.dtype(np.float32)


def test_make_jaxpr_of_several_arguments_and_trees():
    """Leaves of positional and keyword arguments are the inputs, in the tree's order."""
    jaxpr = fg.make_jaxpr(lambda p, *, k: p["a"] * p["b"][0] + k)({"b": [np.ones(2)], "a": 1.0}, k=np.float32(1))
    assert [repr(a) for a in jaxpr.in_avals] == ["f64[]", "f64[2]", "f32[]"]
    assert jaxpr.in_avals[0].weak
    fg.check_jaxpr(jaxpr)


def test_dead_code_is_shown():
    """make_jaxpr shows what the function does, also what no result needs."""

    def f(x):
        np.exp(x)
        return x * 2

    assert [e.primitive.name for e in fg.make_jaxpr(f)(1.0).eqns] == ["exp", "mul"]


@pytest.mark.parametrize(
    ("static", "args"),
    [
        (1, (2.0, "cube")),
        ((1,), (2.0, "cube")),
        (-1, (2.0, "cube")),
        ((0, 2), ("cube", 2.0, None)),
        ((-3, -1), ("cube", 2.0, None)),
    ],
)
def test_static_argnums(static, args):
    """Static arguments are passed on as they are, and are no inputs."""
    seen = []

    def f(*args):
        seen.append(args)
        (x,) = [a for a in args if isinstance(a, fg.Tracer)]
        return x**3 if "cube" in [a for a in args if isinstance(a, str)] else x

    jaxpr = fg.make_jaxpr(f, static_argnums=static)(*args)
    assert len(jaxpr.jaxpr.invars) == 1
    assert len(jaxpr.eqns) >= 1
    assert fg.eval_jaxpr(jaxpr, (), 2.0) == [8.0]
    assert [type(a) for a in seen[0] if not isinstance(a, fg.Tracer)] == [
        type(a) for a in args if not isinstance(a, float)
    ]


def test_static_argnums_out_of_range():
    """The message gives the number and the call's length."""
    with pytest.raises(
        TransformValueError, match="static_argnums=2 is out of range for a call with 1 positional arguments"
    ):
        fg.make_jaxpr(np.sin, static_argnums=2)(1.0)


def test_return_shape():
    """The tree of the result's types comes as well."""
    jaxpr, shape = fg.make_jaxpr(lambda x: {"s": x.sum(), "x": (x > 0, None)}, return_shape=True)(
        np.ones((2, 3), np.float32)
    )
    assert set(shape) == {"s", "x"}
    assert (shape["s"].shape, shape["s"].dtype) == ((), np.float32)
    assert (shape["x"][0].shape, shape["x"][0].dtype) == ((2, 3), np.bool_)
    assert shape["x"][1] is None
    assert jaxpr.out_avals == (shape["s"], shape["x"][0])


def test_arguments_by_type():
    """ShapeDtypeStruct, or anything with shape and dtype, stands for an array of that type."""
    for spec in (Spec(), fg.ShapeDtypeStruct((2, 3), np.float32)):
        jaxpr = fg.make_jaxpr(lambda x: x.T)(spec)
        assert repr(jaxpr.out_avals[0]) == "f32[3,2]"
        out = fg.eval_shape(lambda x: x.T, spec)
        assert (out.shape, out.dtype) == ((3, 2), np.float32)


def test_eval_shape():
    """A tree of types for a tree of arguments, keyword arguments included; no values are needed."""
    out = fg.eval_shape(
        lambda p, *, k: {"m": p["a"] @ p["b"], "k": k, "n": 3},
        {"a": np.ones((2, 3)), "b": fg.ShapeDtypeStruct((3, 4), "f4")},
        k=1.0,
    )
    assert (out["m"].shape, out["m"].dtype) == ((2, 4), np.float64)
    assert (out["k"].shape, out["k"].dtype) == ((), np.float64)
    assert out["n"].dtype == np.int64


def test_eval_shape_allocates_nothing():
    """Shapes far larger than memory are fine."""
    big = fg.ShapeDtypeStruct((10**6, 10**6), np.float64)
    out = fg.eval_shape(lambda x: np.sin(x).sum(axis=0) @ x + x[3, ::2].sum(), big)
    assert out.shape == (10**6,)
    assert fg.eval_shape(fg.grad(lambda x: (x * x).sum()), big).shape == big.shape


def test_eval_shape_gives_numpys_errors():
    """Shapes that do not fit raise as NumPy does."""
    with pytest.raises(ValueError, match="matmul"):
        fg.eval_shape(np.matmul, np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="could not be broadcast together"):
        fg.eval_shape(np.add, np.ones(2), np.ones(3))


def test_control_flow_on_values_is_an_error():
    """As the docstring says."""
    with pytest.raises(TracerBoolConversionError, match="fungrad.make_jaxpr of"):
        fg.make_jaxpr(lambda x: x if x > 0 else -x)(1.0)
    with pytest.raises(TracerBoolConversionError, match="fungrad.eval_shape of"):
        fg.eval_shape(lambda x: x if x > 0 else -x, 1.0)


def test_leaves_that_are_no_arrays():
    """The message names the leaf and what it is."""
    with pytest.raises(
        NonDifferentiableError, match=r"make_jaxpr: .*\['s'\].* is not an array or a number but str: 'text'"
    ):
        fg.make_jaxpr(lambda p: p["x"])({"x": 1.0, "s": "text"})
    with pytest.raises(
        NonDifferentiableError, match=r"make_jaxpr: result\[1\] is not an array or a number but str: 'text'"
    ):
        fg.make_jaxpr(lambda x: (x, "text"))(1.0)


def test_not_a_function():
    """The usual mistake is shown."""
    with pytest.raises(TransformTypeError, match=r"Write fungrad.make_jaxpr\(f\), not fungrad.make_jaxpr\(f\(x\)\)"):
        fg.make_jaxpr(3.0)
    with pytest.raises(TransformTypeError, match="fungrad.eval_shape expects a function, got float"):
        fg.eval_shape(3.0, 1.0)


def test_eval_jaxpr_round_trip():
    """What make_jaxpr shows is what the function computes, for a function and its transforms."""

    def f(x, y):
        return np.tanh(x @ y).sum(axis=0)

    x, y = np.arange(6.0).reshape(2, 3) / 6, np.ones((3, 2))
    functions = [
        f,
        fg.jacrev(f),
        lambda x, y: fg.vmap(f, in_axes=(None, 1))(x, y[:, None]),
        lambda x, y: fg.vjp(f, x, y)[1](np.ones(2)),
    ]
    for g in functions:
        jaxpr = fg.make_jaxpr(g)(x, y)
        fg.check_jaxpr(jaxpr)
        for got, want in zip(fg.eval_jaxpr(jaxpr, jaxpr.consts, x, y), fg.tree.leaves(g(x, y)), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_names():
    """Named after what was done."""
    assert fg.make_jaxpr(np.sin).__name__ == "make_jaxpr(sin)"

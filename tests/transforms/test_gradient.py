"""grad, value_and_grad, elementwise_grad: every argument."""

import inspect

import numpy as np
import pytest

import fungrad as fg
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError


def _f(x, y, z=1.0):
    return x**2 * y + z * y


# --- values ---------------------------------------------------------------------------------------------------------


def test_the_worked_example():
    """The partial derivatives of x1 sqrt(log(x1 / sin(x2^2))) at (3, 0.9), to the last digits."""

    def f(x1, x2):
        return x1 * np.sqrt(np.log(x1 / np.sin(x2**2)))

    root = np.sqrt(np.log(3.0 / np.sin(0.81)))
    d1, d2 = fg.grad(f, argnums=(0, 1))(3.0, 0.9)
    assert d1 == pytest.approx(root + 1 / (2 * root), rel=1e-14)
    assert d2 == pytest.approx(-3.0 * 0.9 / (root * np.tan(0.81)), rel=1e-14)


def test_grad_of_a_scalar_is_a_numpy_scalar():
    """Outside a recording results are plain: NumPy scalars and ndarrays."""
    assert type(fg.grad(np.sin)(0.5)) is np.float64
    assert type(fg.grad(lambda x: (x * x).sum())(np.ones(3))) is np.ndarray
    value, g = fg.value_and_grad(lambda x: np.exp(x).sum())(np.ones(2))
    assert type(value) is np.float64
    assert type(g) is np.ndarray


def test_gradient_has_the_arguments_shape_and_dtype():
    """For every shape and floating dtype."""
    for shape in ((), (3,), (2, 1), (0,), (2, 0, 3)):
        for dtype in (np.float64, np.float32, np.float16):
            x = np.ones(shape, dtype)
            g = fg.grad(lambda x: (x * 3.0).sum())(x)
            assert (g.shape, g.dtype) == (shape, dtype)
            np.testing.assert_array_equal(g, np.full(shape, 3.0))


def test_value_and_grad_runs_the_function_once():
    """The forward pass is not run twice, under grad neither."""
    calls = []

    def f(x):
        calls.append(1)
        return x * x

    assert fg.value_and_grad(f)(3.0) == (9.0, 6.0)
    assert fg.grad(f)(3.0) == 6.0
    assert len(calls) == 2


def test_third_derivative():
    """Derivatives nest."""
    t = np.tanh(0.5)
    assert fg.grad(fg.grad(fg.grad(np.tanh)))(0.5) == pytest.approx(-2 * (1 - t**2) * (1 - 3 * t**2), rel=1e-13)


def test_constant_and_identity():
    """A result that does not depend on the argument has gradient zero, the argument itself has one."""
    assert fg.grad(lambda x: 3.0)(2.0) == 0.0
    assert fg.grad(lambda x: x)(2.0) == 1.0
    np.testing.assert_array_equal(fg.grad(lambda x: np.float32(1))(np.ones(2)), [0.0, 0.0])
    assert fg.value_and_grad(lambda x: 3.0)(2.0) == (3.0, 0.0)


# --- argnums and argnames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("argnums", "want"), [
    (0, 12.0), (1, 5.0), (2, 3.0), (-1, 3.0), (-3, 12.0),
    ((0,), (12.0,)), ((1, 0), (5.0, 12.0)), ((-1, 0), (3.0, 12.0)), ([0, 2], (12.0, 3.0)), ((), ()),
])  # fmt: skip
def test_argnums(argnums, want):
    """An int gives the bare derivative, a sequence a tuple, even of length one; negative ones count from the end."""
    got = fg.grad(_f, argnums)(2.0, 3.0, 1.0)
    assert type(got) is (tuple if isinstance(want, tuple) else np.float64)
    assert got == want
    assert fg.value_and_grad(_f, argnums=argnums)(2.0, 3.0, 1.0) == (15.0, want)


def test_argnums_may_be_numpy_integers():
    """np.int64 is an int as any other."""
    assert fg.grad(_f, np.int64(1))(2.0, 3.0) == 5.0
    assert fg.grad(_f, (np.int64(0), np.int32(-1)))(2.0, 3.0) == (12.0, 5.0)


def test_negative_argnums_count_positional_arguments_of_the_call():
    """-1 is the last argument that was passed by position."""
    assert fg.grad(_f, -1)(2.0, 3.0) == 5.0
    assert fg.grad(_f, -1)(2.0, 3.0, 1.0) == 3.0


@pytest.mark.parametrize(
    "args",
    [
        ((2.0, 3.0), {"z": 1.0}),
        ((2.0,), {"y": 3.0, "z": 1.0}),
        ((2.0, 3.0, 1.0), {}),
        ((), {"x": 2.0, "y": 3.0, "z": 1.0}),
    ],
)
def test_argnames(args):
    """By name: a bare derivative for a string, a dict for a sequence, however the argument was passed."""
    positional, keyword = args
    assert fg.grad(_f, argnames="y")(*positional, **keyword) == 5.0
    assert fg.grad(_f, argnames=["z"])(*positional, **keyword) == {"z": 3.0}
    assert fg.grad(_f, argnames=("z", "x"))(*positional, **keyword) == {"z": 3.0, "x": 12.0}


def test_argnames_of_keyword_only_arguments():
    """Arguments that can only be passed by name are differentiated."""

    def f(x, *, scale, **rest):
        return x * scale**2 * rest["more"]

    assert fg.grad(f, argnames=("scale", "more"))(2.0, scale=3.0, more=5.0) == {"scale": 60.0, "more": 18.0}


def test_argnums_and_argnames_together():
    """With both the gradient is the pair (by position, by name)."""
    assert fg.grad(_f, 0, argnames="z")(2.0, 3.0, z=1.0) == (12.0, 3.0)
    assert fg.grad(_f, (0, 1), argnames=["z"])(2.0, 3.0, z=1.0) == ((12.0, 5.0), {"z": 3.0})
    assert fg.value_and_grad(_f, (), argnames="z")(2.0, 3.0, z=1.0) == (15.0, ((), 3.0))


def test_keyword_arguments_are_not_differentiated_by_default():
    """They may be anything, also strings."""

    def f(x, *, mode, n):
        return x**n if mode == "power" else x

    assert fg.grad(f)(2.0, mode="power", n=3) == 12.0


def test_other_arguments_may_be_anything():
    """Arguments that are not differentiated are passed on as they are."""
    seen = []

    def f(x, *others):
        seen.append(others)
        return x

    anything = ("text", None, object(), [1], np.arange(3))
    fg.grad(f)(1.0, *anything)
    assert all(a is b for a, b in zip(seen[0], anything, strict=True))


def test_defaults_of_the_function_are_used():
    """An argument that the call leaves out takes its default, undifferentiated."""
    assert fg.grad(_f)(2.0, 3.0) == 12.0


# --- has_aux --------------------------------------------------------------------------------------------------------


def test_has_aux():
    """aux comes out beside the gradient, as plain values, any pytree, any leaves."""

    def f(x):
        y = np.sin(x)
        return y.sum(), {"y": y, "name": "sine", "n": 3, "none": None, "mask": x > 0}

    x = np.array([0.5, -1.0])
    g, aux = fg.grad(f, has_aux=True)(x)
    np.testing.assert_allclose(g, np.cos(x))
    (value, aux2), g2 = fg.value_and_grad(f, has_aux=True)(x)
    assert value == np.sin(x).sum()
    np.testing.assert_array_equal(g, g2)
    for a in (aux, aux2):
        assert type(a["y"]) is np.ndarray
        np.testing.assert_array_equal(a["y"], np.sin(x))
        assert (a["name"], a["n"], a["none"]) == ("sine", 3, None)
        np.testing.assert_array_equal(a["mask"], [True, False])


def test_aux_is_differentiated_by_an_outer_transform():
    """aux of an inner grad is one level down: the outer grad sees it."""

    def f(x):
        g, aux = fg.grad(lambda y: (y**2, y**3), has_aux=True)(x)
        return g + aux

    assert fg.grad(f)(2.0) == 2.0 + 12.0


@pytest.mark.parametrize("result", [1.0, [1.0, 2.0], (1.0, 2.0, 3.0), None])
def test_has_aux_needs_a_pair(result):
    """Anything but a pair is a TypeError that says so."""
    for transform in (fg.grad, fg.value_and_grad, fg.elementwise_grad, fg.jacfwd, fg.jacrev):
        with pytest.raises(
            TransformTypeError, match=r"has_aux=True\) expects the function to return a pair \(result, aux\)"
        ):
            transform(lambda x: result, has_aux=True)(1.0)


# --- complex --------------------------------------------------------------------------------------------------------


def test_real_function_of_a_complex_argument():
    """JAX's convention: df/dx - i df/dy."""
    g = fg.grad(lambda z: abs(z) ** 2)(1 + 2j)
    assert g == pytest.approx(2 - 4j)
    assert type(g) is np.complex128
    z = np.array([1 + 2j, -1j], np.complex64)
    g = fg.grad(lambda z: (np.abs(z) ** 2).sum())(z)
    assert g.dtype == np.complex64
    np.testing.assert_allclose(g, 2 * z.conj(), rtol=1e-6)
    assert fg.grad(lambda z: (z * z).real)(1 + 2j) == 2 + 4j
    assert fg.grad(np.imag)(1 + 2j) == -1j
    assert fg.grad(lambda z: np.real(np.conj(z) * (3 + 1j)))(1 + 2j) == pytest.approx(3 - 1j)


def test_holomorphic():
    """The complex derivative."""
    z = 0.3 + 0.4j
    assert fg.grad(np.sin, holomorphic=True)(z) == pytest.approx(np.cos(z))
    value, g = fg.value_and_grad(lambda z: z**3, holomorphic=True)(z)
    assert value == pytest.approx(z**3)
    assert g == pytest.approx(3 * z**2)


def test_holomorphic_needs_complex_in_and_out():
    """Real inputs or outputs are refused."""
    with pytest.raises(NonDifferentiableError, match=r"holomorphic=True\) needs complex inputs"):
        fg.grad(np.sin, holomorphic=True)(1.0)
    with pytest.raises(
        NonDifferentiableError, match=r"holomorphic=True\) needs a complex output, but .* returned f64\[\]"
    ):
        fg.grad(lambda z: z.real, holomorphic=True)(1j)


# --- integers -------------------------------------------------------------------------------------------------------


def test_allow_int():
    """Integers and booleans get float0 zeros of their shape beside the gradients of the others."""

    def f(params):
        return (params["w"] * params["n"]).sum() * np.where(params["flag"], 2.0, 3.0)

    params = {"w": np.array([1.0, 2.0]), "n": np.array([3, 4]), "flag": True}
    g = fg.grad(f, allow_int=True)(params)
    np.testing.assert_array_equal(g["w"], [6.0, 8.0])
    assert (g["n"].dtype, g["n"].shape) == (fg.float0, (2,))
    assert (g["flag"].dtype, g["flag"].shape) == (fg.float0, ())
    assert fg.grad(lambda n: n * 2.0, allow_int=True)(3).dtype == fg.float0


def test_integers_that_pass_through_stay_integers():
    """Under allow_int the function gets its integers untouched, fit for indices and ranges."""

    def f(args):
        x, n = args
        for _ in range(n):
            x = x * x
        return x

    assert fg.grad(f, allow_int=True)((2.0, 2))[0] == 32.0


def test_integer_results_of_the_function_are_refused():
    """An integer loss has no derivative."""
    with pytest.raises(NonDifferentiableError, match=r"needs a real floating-point output, but .* returned i64\[\]"):
        fg.grad(lambda x: 3)(1.0)
    with pytest.raises(NonDifferentiableError, match=r"returned bool\[\]"):
        fg.grad(lambda x: x > 0)(1.0)


# --- form -----------------------------------------------------------------------------------------------------------


def test_names_and_docstrings():
    """The transformed function is named after what was done and keeps module and docstring."""

    def loss(x):
        """The loss."""
        return x

    g = fg.grad(loss)
    assert g.__name__ == "grad(loss)"
    assert g.__doc__ == "The loss."
    assert g.__module__ == __name__
    assert fg.value_and_grad(loss).__name__ == "value_and_grad(loss)"
    assert fg.elementwise_grad(fg.grad(loss)).__name__ == "elementwise_grad(grad(loss))"


def test_callables_of_all_kinds():
    """Functions, ufuncs, methods, partials, objects with __call__."""

    class Model:
        scale = 3.0

        def __call__(self, x):
            return x * self.scale

        def loss(self, x):
            return self(x) ** 2

    assert fg.grad(Model())(1.0) == 3.0
    assert fg.grad(Model().loss)(1.0) == 18.0
    assert fg.grad(np.square)(3.0) == 6.0
    assert fg.grad(fg.Partial(lambda a, x: a * x * x, 2.0))(3.0) == 12.0


def test_as_a_decorator():
    """grad can decorate a definition."""

    @fg.grad
    def slope(x):
        return x**3

    assert slope(2.0) == 12.0


def test_signatures():
    """Parameters as jax.grad has them, in its order."""
    for transform in (fg.grad, fg.value_and_grad):
        names = list(inspect.signature(transform).parameters)
        assert names[:5] == ["fun", "argnums", "has_aux", "holomorphic", "allow_int"]


# --- elementwise_grad -----------------------------------------------------------------------------------------------


def test_elementwise_grad():
    """One pass gives the derivative at each element."""
    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(fg.elementwise_grad(np.tanh)(x), 1 - np.tanh(x) ** 2)
    second = fg.elementwise_grad(fg.elementwise_grad(np.tanh))
    np.testing.assert_allclose(second(x), -2 * np.tanh(x) * (1 - np.tanh(x) ** 2), atol=1e-15)
    assert fg.elementwise_grad(np.sin)(0.0) == 1.0


def test_elementwise_grad_sums_over_outputs():
    """For a function that is not elementwise it is the derivative of the sum of all outputs."""
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(fg.elementwise_grad(lambda x: (x * x, x.sum() * np.ones(3)))(x), 2 * x + 3)


def test_elementwise_grad_arguments():
    """argnums, argnames and has_aux as for grad."""
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(fg.elementwise_grad(_f, 1)(x, 3.0 * x), x**2 + 1)
    both = fg.elementwise_grad(_f, (0, -1))(x, x)
    np.testing.assert_array_equal(both[0], 2 * x * x)
    np.testing.assert_array_equal(both[1], x**2 + 1)
    np.testing.assert_array_equal(fg.elementwise_grad(_f, argnames="z")(x, x, z=x), x)
    g, aux = fg.elementwise_grad(lambda x: (x**2, "aux"), has_aux=True)(x)
    np.testing.assert_array_equal(g, 2 * x)
    assert aux == "aux"


def test_elementwise_grad_refuses_other_outputs():
    """Complex and integer outputs have no real derivative."""
    for f in (lambda x: x * 1j, lambda x: x > 0):
        with pytest.raises(NonDifferentiableError, match="elementwise_grad needs real floating-point outputs"):
            fg.elementwise_grad(f)(np.ones(2))


# --- errors that belong to these transforms -------------------------------------------------------------------------


@pytest.mark.parametrize("argnums", [3, -4, (0, 3)])
def test_argnums_out_of_range(argnums):
    """The message says how many arguments are needed and how many there were."""
    with pytest.raises(TransformValueError, match=r"at least 4 positional arguments, but the call passed 3"):
        fg.grad(_f, argnums)(1.0, 2.0, 3.0)


@pytest.mark.parametrize("argnums", ["x", 1.5, (0, "x"), True, None.__class__])
def test_argnums_of_a_wrong_type(argnums):
    """Anything but integers is a TypeError that shows it."""
    with pytest.raises(TransformTypeError, match="argnums must be an integer or a sequence of integers"):
        fg.grad(_f, argnums)(1.0, 2.0, 3.0)


def test_argnums_twice():
    """An argument cannot be differentiated twice at once."""
    with pytest.raises(TransformValueError, match="names an argument twice"):
        fg.grad(_f, (0, -3))(1.0, 2.0, 3.0)


def test_an_argument_by_position_and_by_name():
    """The same argument chosen both ways would get one of two derivatives at random: refused."""
    with pytest.raises(TransformValueError, match="twice"):
        fg.grad(_f, 0, argnames="x")(1.0, 2.0, 3.0)
    with pytest.raises(TransformValueError, match="twice"):
        fg.grad(_f, argnames=("x", "x"))(1.0, 2.0, 3.0)


def test_argnames_that_were_not_passed():
    """The message names the argument and what the call passed."""
    with pytest.raises(
        TransformValueError,
        match=r"argnames='w', but the call of _f .* passed no such argument \(it passed 2 by position and \['z'\]",
    ):
        fg.grad(_f, argnames="w")(1.0, 2.0, z=3.0)
    with pytest.raises(TransformValueError, match="argnames='z'"):
        fg.grad(_f, argnames="z")(1.0, 2.0)
    with pytest.raises(TransformTypeError, match="argnames must be a string or a sequence of strings"):
        fg.grad(_f, argnames=[0])(1.0, 2.0)

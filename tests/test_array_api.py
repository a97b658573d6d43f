"""The Array API standard: `fungrad.numpy` as its namespace, for plain arrays, traced ones, and under SciPy."""

import inspect
import operator
import os
import subprocess
import sys
import textwrap
import warnings

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from array_api import standard
from array_api.programs import CONSTANT, PROGRAMS, SMOOTH
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.array_api import make_strategies_namespace

import fungrad as fg
import fungrad.numpy as fnp
from fungrad import tree
from fungrad.testing import check_grads

RNG = np.random.default_rng(0)
X = 0.1 + 0.8 * RNG.permutation(9).reshape(3, 3) / 9 + 0.01 * RNG.random((3, 3))


def on_its_namespace(program):
    """The function of x that asks x for its namespace; a plain x would name numpy."""
    return lambda x: program(x.__array_namespace__() if type(x) is fg.Tracer else fnp, x)


def function_of(name):
    """A function of the namespace or of its extensions."""
    return operator.attrgetter(name)(fnp)


def run_jaxpr(f, x):
    """The results, in a list, of the jaxpr of f."""
    return tree.leaves(fg.eval_jaxpr(fg.make_jaxpr(f)(x), (), x))


def same(expected, received):
    """Structure, dtypes, shapes and values are those expected."""
    assert tree.structure(received) == tree.structure(expected)
    for a, b in zip(tree.leaves(expected), tree.leaves(received), strict=True):
        assert (np.asarray(b).dtype, np.shape(b)) == (np.asarray(a).dtype, np.shape(a))
        np.testing.assert_array_equal(b, a)


class TestNames:
    @pytest.mark.parametrize("name", standard.SIGNATURES)
    def test_each_function_has_the_signature_of_the_standard(self, name):
        """Every function of the standard and its extensions is there, and takes its arguments where NumPy's does."""
        function = function_of(name)
        try:
            signature = inspect.signature(function)
        except ValueError:
            pytest.skip("a function without an inspectable signature")
        wanted = standard.SIGNATURES[name]
        try:
            of_numpy = standard.missing(inspect.signature(operator.attrgetter(name)(np)), wanted)
        except (AttributeError, ValueError):
            of_numpy = []
        assert set(standard.missing(signature, wanted)) <= set(of_numpy)

    def test_the_rule_for_signatures_sees_what_numpy_lacks(self):
        """The check above finds the faults that the standard's test-suite finds in NumPy."""
        faults = {
            name: standard.missing(inspect.signature(getattr(np, name)), standard.SIGNATURES[name])
            for name in ("sort", "clip", "sum")
        }
        assert faults["sort"] == ["no keyword descending"]
        assert len(faults["clip"]) == 2
        assert faults["sum"] == []

    def test_constants_and_dtypes(self):
        """Constants and dtypes are NumPy's own, so that arrays of both can be compared."""
        for name in standard.CONSTANTS:
            value = getattr(fnp, name)
            assert value is getattr(np, name) or value == getattr(np, name) or name == "nan"
        assert np.isnan(fnp.nan)
        for name in standard.DTYPES:
            assert np.dtype(getattr(fnp, name)) == np.dtype(name)
            assert fnp.zeros(2, dtype=getattr(fnp, name)).dtype == getattr(fnp, name)

    def test_a_traced_array_has_the_methods_and_attributes(self):
        """Operators in all three forms, conversions, attributes."""
        assert [name for name in standard.METHODS if not callable(getattr(fg.Tracer, name, None))] == []
        seen = []

        def f(x):
            seen.extend([x.dtype, x.device, x.mT.shape, x.ndim, x.shape, x.size, x.T.shape, x.to_device("cpu").shape])
            return x.sum()

        fg.grad(f)(X[:2])
        assert seen == [np.dtype(float), "cpu", (3, 2), 2, (2, 3), 6, (3, 2), (2, 3)]


class TestNamespace:
    def test_a_traced_array_names_it(self):
        """With values and on types alone, in nestings, and for each version of the standard."""
        seen = []

        def f(x):
            versions = (None, "2021.12", "2022.12", "2023.12", "2024.12")
            seen.extend([x.__array_namespace__(), *(x.__array_namespace__(api_version=v) for v in versions)])
            return x.sum()

        fg.grad(f)(X)
        fg.make_jaxpr(f)(X)
        fg.grad(lambda x: fg.vmap(f)(x).sum())(X)
        assert len(seen) == 18
        assert all(xp is fnp for xp in seen)

    @pytest.mark.parametrize("version", ["2020.01", "2024", 2024])
    def test_an_unknown_version_is_refused(self, version):
        """NumPy raises ValueError too; ours says which versions there are and where it was asked."""
        with pytest.raises(ValueError):
            X.__array_namespace__(api_version=version)
        with pytest.raises(ValueError, match=r"api_version=.* at .*test_array_api.*2024\.12"):
            fg.grad(lambda x: x.__array_namespace__(api_version=version).sum(x))(X)

    def test_an_array_of_the_namespace_names_it(self):
        """What `fungrad.numpy` makes, if not a plain ndarray (whose namespace is numpy), names `fungrad.numpy`."""
        made = fnp.zeros(3)
        assert made.__array_namespace__() is (np if type(made) is np.ndarray else fnp)

    def test_version(self):
        """The namespace says which version it follows."""
        assert fnp.__array_api_version__ == "2024.12"

    def test_info(self):
        """The inspection functions; NumPy's own answers are the same, where it has them."""
        info = fnp.__array_namespace_info__()
        assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
        assert info.default_device() in info.devices() == ["cpu"]
        assert info.default_dtypes(device="cpu")["real floating"] == fnp.zeros(1).dtype
        assert info.default_dtypes()["complex floating"] == fnp.asarray(1j).dtype
        assert info.default_dtypes()["integral"] == fnp.asarray(1).dtype
        assert info.default_dtypes()["indexing"] == fnp.argmax(X, axis=0).dtype
        assert list(info.dtypes()) == list(standard.DTYPES)
        kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating")
        for kind in (*kinds, "numeric", ("bool", "integral"), ()):
            wanted = {name for name in standard.DTYPES if kind and fnp.isdtype(np.dtype(name), kind)}
            assert set(info.dtypes(kind=kind, device="cpu")) == wanted
        assert all(isinstance(dtype, np.dtype) for dtype in info.dtypes().values())

    @pytest.mark.skipif(not hasattr(np, "__array_namespace_info__"), reason="NumPy 2.0 has no inspection")
    def test_info_is_that_of_numpy(self):
        """Arrays are NumPy's, so the answers are."""
        ours, numpys = fnp.__array_namespace_info__(), np.__array_namespace_info__()
        assert ours.capabilities() == numpys.capabilities()
        assert ours.default_dtypes() == numpys.default_dtypes()
        for kind in (None, "integral", ("real floating", "bool")):
            assert ours.dtypes(kind=kind) == numpys.dtypes(kind=kind)

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda info: info.dtypes(kind="float"), r"dtypes\(kind='float'\) at .*'real floating'"),
            (lambda info: info.dtypes(device="gpu"), r"device='gpu' at .*use 'cpu'"),
            (lambda info: info.default_dtypes(device=0), r"device=0 at .*use 'cpu'"),
        ],
    )
    def test_info_refuses(self, call, text):
        """Kinds and devices that do not exist: the message says which do."""
        with pytest.raises(ValueError, match=text):
            call(fnp.__array_namespace_info__())


def test_hypothesis_can_draw_its_arrays():
    """The standard's test-suite draws its arrays with hypothesis, through the namespace alone."""
    xps = make_strategies_namespace(fnp, api_version="2024.12")

    @settings(max_examples=60)
    @given(st.data())
    def test(data):
        dtype = data.draw(xps.scalar_dtypes())
        x = data.draw(xps.arrays(dtype, xps.array_shapes(min_dims=0, min_side=0)))
        assert isinstance(x, np.ndarray)
        assert x.dtype == dtype
        index = data.draw(xps.indices(x.shape, allow_newaxis=True))
        same(np.asarray(x)[index], x[index])

    test()


@pytest.mark.parametrize("name", PROGRAMS)
def test_plain_arrays_as_numpy(name):
    """On arrays of any of the standard's dtypes: NumPy's result, with its dtype and shape, or its error."""
    program = PROGRAMS[name]
    try:
        operator.attrgetter(name.split()[0])(np)
    except AttributeError:
        pytest.skip("this NumPy does not have the function")
    if name in ("clip", "clip max", "reshape") and np.lib.NumpyVersion(np.__version__) < "2.1.0":
        pytest.skip("this NumPy does not have the standard's arguments")

    def outcome(xp, x):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return program(xp, x.copy())
            except Exception as error:
                return type(error).__mro__[-4]  # TypeError, ValueError, ...: ours are subclasses of NumPy's

    sides = st.tuples(st.integers(1, 4), st.integers(1, 4))

    @settings(max_examples=20)
    @given(st.sampled_from(standard.DTYPES).flatmap(lambda d: hnp.arrays(d, sides, elements=_elements(d))))
    def test(x):
        expected, received = outcome(np, x), outcome(fnp, x)
        if isinstance(expected, type) or isinstance(received, type):
            assert received is expected
        else:
            same(expected, received)

    test()


def _elements(dtype):
    """Numbers of a dtype: small ones, and for floating-point dtypes the special values too."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return st.booleans()
    small = st.integers(0 if kind == "u" else -3, 5)
    if kind in "iu":
        return small
    real = small | st.sampled_from([0.5, -0.0, 0.3125, np.inf, -np.inf, np.nan])
    return real if kind == "f" else st.builds(complex, real, small)


@pytest.mark.parametrize("name", SMOOTH)
class TestSmooth:
    def test_value_of_a_traced_array(self, name):
        """The value under grad and jvp is that of plain arrays, and the result is traced."""
        expected = SMOOTH[name](fnp, X)
        for received in (
            fg.jvp(on_its_namespace(SMOOTH[name]), (X,), (np.ones_like(X),))[0],
            fg.vjp(on_its_namespace(SMOOTH[name]), X)[0],
        ):
            for a, b in zip(tree.leaves(expected), tree.leaves(received), strict=True):
                assert np.shape(a) == np.shape(b)
                np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)

    def test_derivative(self, name):
        """Both modes against finite differences."""
        check_grads(on_its_namespace(SMOOTH[name]), (X,), order=1)

    def test_vmap(self, name):
        """As a loop over the batch, and its derivative as that of the loop."""
        program = on_its_namespace(SMOOTH[name])
        batch = np.stack([X, X[::-1], X.T])
        singles = [SMOOTH[name](fnp, x) for x in batch]
        for k, mapped in enumerate(tree.leaves(fg.vmap(program)(batch))):
            looped = np.stack([tree.leaves(single)[k] for single in singles])
            np.testing.assert_allclose(mapped, looped, rtol=1e-9, atol=1e-12)
        tangents = tree.leaves(fg.jvp(fg.vmap(program), (batch,), (np.cos(batch),))[1])
        for k, tangent in enumerate(tangents):
            looped = [tree.leaves(fg.jvp(program, (x,), (np.cos(x),))[1])[k] for x in batch]
            np.testing.assert_allclose(tangent, np.stack(looped), rtol=1e-7, atol=1e-9)

    def test_make_jaxpr(self, name):
        """A jaxpr of the program computes what the program does."""
        expected = SMOOTH[name](fnp, X)
        received = run_jaxpr(on_its_namespace(SMOOTH[name]), X)
        for a, b in zip(tree.leaves(expected), tree.leaves(received), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CONSTANT)
def test_what_has_no_derivative(name):
    """Comparisons, indices, rounding: the value, and where it is a number a derivative of zero."""

    def f(x):
        out = CONSTANT[name](x.__array_namespace__(), x)
        seen.append(out)
        return x.sum() + sum(np.sum(np.asarray(fg.stop_gradient(leaf)) * 0.0) for leaf in tree.leaves(out))

    seen = []
    np.testing.assert_array_equal(fg.grad(f)(X), np.ones_like(X))
    expected = CONSTANT[name](fnp, X)
    jaxpr_value = run_jaxpr(on_its_namespace(CONSTANT[name]), X)
    for a, b in zip(tree.leaves(expected), tree.leaves(jaxpr_value), strict=True):
        np.testing.assert_array_equal(b, a)


class TestPrograms:
    def test_a_function_written_against_the_standard(self):
        """Creation on the argument's dtype and device, assignment, masks, extensions: as the same program in NumPy."""

        def filtered(x, xp=None):
            xp = xp or (x.__array_namespace__() if type(x) is fg.Tracer else fnp)
            n = x.shape[0]
            window = xp.zeros(n, dtype=x.dtype, device=x.device)
            window[: n // 2] = xp.exp(-xp.arange(n // 2, dtype=x.dtype))
            smooth = xp.real(xp.fft.ifft(xp.fft.fft(x) * xp.fft.fft(xp.astype(window, xp.float64))))
            gram = xp.linalg.outer(smooth, smooth) + xp.eye(n)
            out = xp.empty(3, dtype=x.dtype)
            out[0] = xp.linalg.vector_norm(smooth)
            out[1] = xp.linalg.slogdet(gram).logabsdet
            out[2] = xp.sum(xp.where(smooth > xp.mean(smooth), smooth, xp.asarray(0.0)))
            return xp.concat([out, xp.linalg.solve(gram, smooth)])

        x = np.array([0.3, -1.0, 2.0, 0.7, 1.4])
        np.testing.assert_allclose(fg.jvp(filtered, (x,), (x,))[0], filtered(x, np), rtol=1e-12)
        check_grads(filtered, (x,), order=2)
        batch = np.stack([x, x[::-1], x * x])
        np.testing.assert_allclose(fg.vmap(filtered)(batch), [filtered(row, np) for row in batch], rtol=1e-10)
        np.testing.assert_allclose(run_jaxpr(filtered, x)[0], filtered(x, np), rtol=1e-12)

    def test_docstring_of_the_module(self):
        """The example that ``array_api`` opens with: the derivative of logsumexp is softmax."""

        def logsumexp(x):
            xp = x.__array_namespace__()
            top = xp.max(x)
            return xp.log(xp.sum(xp.exp(x - top))) + top

        x = np.array([0.5, 2.0, -1.0])
        np.testing.assert_allclose(fg.grad(logsumexp)(x), np.exp(x) / np.exp(x).sum(), rtol=1e-12)
        np.testing.assert_allclose(fg.hessian(logsumexp)(x).sum(axis=0), 0, atol=1e-12)

    @pytest.mark.parametrize("name", ["nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"])
    def test_shapes_that_depend_on_data(self, name):
        """With values they are NumPy's; on types alone an error, not a wrong shape."""
        program = on_its_namespace(PROGRAMS[name])
        values = []
        fg.grad(lambda x: (values.append(fg.stop_gradient(program(x))), x.sum())[1])(X)
        for a, b in zip(tree.leaves(PROGRAMS[name](fnp, X)), tree.leaves(values[0]), strict=True):
            np.testing.assert_array_equal(b, a)
        with pytest.raises(fg.errors.FungradError, match=r"test_array_api|programs\.py"):
            fg.make_jaxpr(program)(X)

    def test_descending(self):
        """The standard's sort has an argument that NumPy's lacks; equal elements keep their order."""
        x = np.array([2.0, 1.0, 3.0, 2.0])
        np.testing.assert_array_equal(fnp.sort(x, descending=True), [3.0, 2.0, 2.0, 1.0])
        np.testing.assert_array_equal(fnp.argsort(x, descending=True), [2, 0, 3, 1])
        f = lambda x: x.__array_namespace__().sort(x, descending=True)[1:] @ np.array([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(fg.grad(f)(np.array([2.0, 1.0, 3.0, 2.5])), [2.0, 3.0, 0.0, 1.0])


# SciPy's functions that call nothing but the namespace of their argument; those with False need values.
SCIPY = {
    "special.softmax(x, axis=1)": True,
    "special.xlogy(x, x)": True,
    "special.logsumexp(x, axis=0)": False,
    "special.log_softmax(x, axis=1)": False,
    "stats.gmean(x, axis=0)": True,
    "stats.hmean(x, axis=0)": False,
    "stats.pmean(x, 3, axis=0)": False,
    "stats.moment(x, 3, axis=0)": True,
    "stats.skew(x, axis=0)": True,
    "stats.kurtosis(x, axis=0)": True,
    "stats.zscore(x, axis=0)": False,
    "stats.gstd(x, axis=0)": True,
    "stats.sem(x, axis=0)": True,
    "stats.kstat(x, 2, axis=0)": True,
    "stats.circmean(x, axis=0)": True,
    "integrate.trapezoid(x, axis=0)": True,
    "integrate.trapezoid(x[0], x=x[1])": True,
    "integrate.cumulative_trapezoid(x, axis=0)": True,
    "integrate.simpson(x, axis=0)": True,
    "optimize.rosen(x)": True,
    "optimize.rosen_der(x[0])": True,
    "fft.fft(x)": True,
    "fft.rfft(x)": True,
    "signal.fftconvolve(x, x)": True,
    "signal.hilbert(x[0])": True,
    "cluster.vq.whiten(x)": False,
    "spatial.transform.Rotation.from_rotvec(x[0]).as_matrix()": True,
}

SCIPY_SCRIPT = """
import sys, warnings
import numpy as np
import scipy.cluster, scipy.fft, scipy.integrate, scipy.optimize, scipy.signal
import scipy.spatial, scipy.special, scipy.stats
import fungrad as fg
from fungrad.testing import check_grads

x = np.array({x})
call = sys.argv[1]
f = eval("lambda x: scipy." + call)
plain = f(x)
received = fg.jvp(f, (x,), (x,))[0]
np.testing.assert_allclose(received, plain, rtol=1e-10, atol=1e-12)
check_grads(f, (x,), order=1)
if sys.argv[2] == "True":
    batch = np.stack([x, x[::-1]])
    np.testing.assert_allclose(fg.vmap(f)(batch), [f(x) for x in batch], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fg.eval_jaxpr(fg.make_jaxpr(f)(x), (), x)[0], plain, rtol=1e-10, atol=1e-12)
"""


@pytest.mark.slow
@pytest.mark.parametrize("call", SCIPY)
def test_scipy_on_our_namespace(call):
    """With SCIPY_ARRAY_API=1 SciPy computes with the namespace of its argument: value and derivative are right."""
    pytest.importorskip("scipy", minversion="1.16")
    script = textwrap.dedent(SCIPY_SCRIPT).format(x=X.tolist())
    run = subprocess.run(
        [sys.executable, "-c", script, call, str(SCIPY[call])],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]

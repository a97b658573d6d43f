"""Tracers: levels, what is known of them, which conversions work and which are refused."""

import copy
import operator
import pickle

import numpy as np
import pytest

import fungrad as fg
from fungrad.core.aval import ShapedArray, typeof
from fungrad.core.trace import Recording, Tracer, known_value, newest
from fungrad.errors import (
    ConcretizationTypeError,
    TracerBoolConversionError,
    TracerIntegerConversionError,
    UnexpectedTracerError,
)


def _under_grad(check, x=2.0):
    """Run ``check`` on a tracer with a value."""

    def f(t):
        check(t)
        return (t * 1.0).sum()

    fg.grad(f)(x)


def _abstractly(check, x=2.0):
    """Run ``check`` on a tracer without a value."""

    def f(t):
        check(t)
        return t

    fg.make_jaxpr(f)(x)


def test_levels_grow_inwards():
    """An enclosing recording is older than those inside it, and levels are never used twice."""
    levels = []

    def inner(y):
        levels.append(y.recording.level)
        return y

    def outer(x):
        levels.append(x.recording.level)
        return fg.grad(inner)(x)

    fg.grad(outer)(1.0)
    fg.grad(outer)(1.0)
    assert levels == sorted(levels)
    assert len(set(levels)) == 4


def test_newest_recording_wins():
    """newest() picks the highest level, and None where nothing is traced."""
    old, new = Recording(False, "grad", len), Recording(False, "grad", len)
    a, b = old.new_input(1.0), new.new_input(2.0)
    assert newest((a, b, 3.0)) is new
    assert newest((b, a)) is new
    assert newest((a, 3.0)) is old
    assert newest((1.0, np.ones(2))) is None


def test_known_value_goes_to_the_bottom():
    """Under nested recordings with values the plain array is at the bottom; abstract ones know the type."""
    x = np.ones(3)
    seen = []

    def inner(y):
        seen.append(known_value(y))
        return y.sum()

    fg.grad(lambda x: fg.grad(inner)(x).sum())(x)
    assert seen[0] is x
    fg.make_jaxpr(fg.grad(inner))(x)
    assert seen[1] == typeof(x)
    assert known_value(3) == 3


def test_type_attributes():
    """shape, dtype, ndim, size, len and aval as for the array that it stands for."""

    def check(t):
        assert (t.shape, t.dtype, t.ndim, t.size, len(t)) == ((2, 3), np.dtype("f4"), 2, 6, 2)
        assert t.aval == ShapedArray((2, 3), np.float32)

    _under_grad(check, np.ones((2, 3), np.float32))
    _abstractly(check, np.ones((2, 3), np.float32))


@pytest.mark.parametrize("x", [2.0, 2j, 3, np.float32(1), np.ones(())])
def test_scalars_have_no_axes(x):
    """Python numbers and 0-d arrays alike: shape (), and len() is the TypeError of NumPy's words."""

    def check(t):
        assert (t.shape, t.ndim, t.size) == ((), 0, 1)
        assert t.dtype == np.result_type(x)
        with pytest.raises(TypeError, match=r"len\(\) of unsized object"):
            len(t)
        with pytest.raises(TypeError, match="iteration over a 0-d array"):
            iter(t)

    _abstractly(check, x)
    if np.result_type(x).kind in "fc":
        fg.vjp(lambda t: (check(t), t)[1], x)


def test_repr_and_format_show_the_value_where_there_is_one():
    """f-strings format the number; an abstract tracer prints its type."""

    def known(t):
        assert repr(t).startswith("Tracer<f64[]>(level=")
        assert "2.0" in repr(t)
        assert f"{t:.3f}" == "2.000"
        assert f"{t}" == "2.0"

    def unknown(t):
        assert repr(t).endswith(", f64[])")
        assert "f64[]" in f"{t}"

    _under_grad(known)
    _abstractly(unknown)


def test_format_spec_on_an_unknown_value_does_not_crash_printing():
    """print(f"{loss:.3f}") inside vmap prints something instead of failing."""
    _abstractly(lambda t: f"{t:12.3f}")


def test_truth_value():
    """With values as NumPy: the number's truth, an error for several elements. Without: the error of its own."""

    def known(t):
        assert bool(t) is True
        assert not (t - 2.0)
        assert (t or 1) is t

    _under_grad(known)

    def several(t):
        with pytest.raises(ValueError, match="ambiguous"):
            bool(t)

    _under_grad(several, np.ones(2))

    def unknown(t):
        with pytest.raises(TracerBoolConversionError, match=r"np\.where\(condition, a, b\)"):
            bool(t)

    _abstractly(unknown)


def test_comparisons_of_known_values_are_plain():
    """x > 0 with values is NumPy's bool, not a tracer; so is argmax."""

    def check(t):
        assert type(t > 0) is np.bool_ or type(t > 0) is bool
        assert isinstance(t == 2.0, (bool, np.bool_))

    _under_grad(check)
    _under_grad(lambda t: isinstance(t.argmax(), np.integer) or pytest.fail("argmax is traced"), np.array([1.0, 3.0]))


def test_conversions_to_python_numbers():
    """int() cuts on purpose, float() and complex() are refused as they would drop the derivative."""

    def known(t):
        assert int(t) == 2
        assert round(t) == 2
        with pytest.raises(ConcretizationTypeError, match=r"float\(x\)"):
            float(t)
        with pytest.raises(ConcretizationTypeError, match=r"complex\(x\)"):
            complex(t)
        with pytest.raises(TypeError, match="only integers can be used as an index"):
            operator.index(t)

    _under_grad(known, 2.3)

    def unknown(t):
        for convert in (int, float, complex):
            with pytest.raises(ConcretizationTypeError):
                convert(t)
        with pytest.raises(TracerIntegerConversionError):
            range(t)

    _abstractly(unknown)


def test_tracers_cannot_be_hashed_or_pickled():
    """As NumPy arrays they are unhashable; unlike them they do not outlive the function."""

    def check(t):
        with pytest.raises(TypeError, match="unhashable"):
            hash(t)
        with pytest.raises(TypeError, match="unhashable"):
            {t: 1}
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(t)

    _under_grad(check)
    _abstractly(check)


def test_copies_keep_the_derivative():
    """copy.copy, copy.deepcopy and .copy() are the identity to derivatives."""
    for duplicate in (copy.copy, copy.deepcopy, lambda t: t.copy(), lambda t: copy.deepcopy({"a": [t]})["a"][0]):
        assert fg.grad(lambda x, d=duplicate: d(x) * x)(3.0) == 6.0


def test_an_ended_recording_refuses_entries():
    """After end() the tracers of a recording raise when they are used."""
    recording = Recording(False, "grad", test_an_ended_recording_refuses_entries)
    x = recording.new_input(1.0)
    y = x * 2.0
    assert type(y) is Tracer and y.value == 2.0
    entries = recording.end()
    assert len(entries) == 1
    with pytest.raises(UnexpectedTracerError, match="after the recording that made it had ended"):
        x * 2.0


def test_operations_on_constants_are_not_recorded():
    """Activity analysis: what touches no tracer of a recording leaves no entry there."""
    recording = Recording(False, "grad", len)
    x = recording.new_input(np.ones(3))
    other = Recording(False, "grad", len).new_input(2.0)
    _ = np.sin(np.ones(3)) * 2.0, other * 3.0, x > 0, np.argmax(x)
    assert recording.entries == []
    assert len(other.recording.entries) == 1
    _ = x * other  # the newer recording takes it; its value, one level down, is an operation on x
    assert len(recording.entries) == 1
    assert len(other.recording.entries) == 2


def test_python_numbers_stay_python_numbers():
    """A traced Python float times a Python number is still one, so that it does not promote float32 arrays."""
    seen = []

    def f(x):
        y = (x * 2.0 + 1.0) / 3.0 - x
        seen.append(type(known_value(y)))
        return y

    fg.grad(f)(1.0)
    assert seen == [float]

"""Rows for the elementwise primitives and NumPy's ufuncs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row import Row

_ONE = ((2, 3),)
_ONE_MORE = (((),), ((0, 3),), ((1,),))
_TWO = ((2, 3), (2, 3))
_TWO_MORE = (((2, 3), (3,)), ((3,), (2, 1)), ((), (3,)), ((), ()), ((0, 3), (3,)), ((1, 3), (2, 3)))


def _one(name: str, fun: Any, domain: Any = (-2.0, 2.0), dtypes: str = "dfDF", **more: Any) -> Row:
    """A row of one operand, whose name is its primitive unless given."""
    return Row(name, fun, _ONE, domain, dtypes, **{"more_shapes": _ONE_MORE, "primitives": (name,), **more})


def _two(name: str, fun: Any, domain: Any = (-2.0, 2.0), dtypes: str = "dfDF", **more: Any) -> Row:
    """A row of two operands, whose name is its primitive unless given."""
    return Row(name, fun, _TWO, domain, dtypes, **{"more_shapes": _TWO_MORE, "primitives": (name,), **more})


_POSITIVE = (0.3, 2.0)
_NONZERO = ((-2.0, 2.0), (0.5, 2.0))
_BETWEEN = (0.1, 0.9)  # where nothing rounds, whatever the direction, to another integer
_SPECIAL = np.array([0.0, np.inf, np.nan])
_SPECIAL_COMPLEX = np.array([0.0, complex(0.0, np.inf), complex(np.nan, 0.0)])
_MASK = np.arange(4200) % 7 % 2 == 0  # long enough for where's way with long arrays
_INTEGERS = {"integers": (0, 1), "domain": (1, 9), "differentiable": False}
_BOOLEANS = {"booleans": (0, 1), "differentiable": False}
_LOCALLY_CONSTANT = {"differentiable": False}
_NO_PRIMITIVE: dict[str, Any] = {"primitives": ()}

_ARITHMETIC = [
    _two("add", np.add),
    _two("sub", np.subtract),
    _two("mul", np.multiply),
    _two("div", np.divide, _NONZERO),
    _one("neg", np.negative),
    _one("positive", np.positive),
    _one("python numbers", lambda x: 2 - (3.5 * x + 1) / 2.0 - x / 4, **_NO_PRIMITIVE),
    _one("python number divided", lambda x: 1 / x + 2.5 / x, _POSITIVE, **_NO_PRIMITIVE),
    _one("python complex", lambda x: (x + 2j) * (1 - 1j), **_NO_PRIMITIVE),
    _one("array on the left", lambda x: np.ones(3) * x + np.float64(2) - x, **_NO_PRIMITIVE),
    _two("real and complex", lambda x, y: x * y.real * (1 + 2j) + x / (y.real + 3j), **_NO_PRIMITIVE),
    _two("same operand twice", lambda x, y: x * x - y * x / (y * y + 3), dtypes="df", **_NO_PRIMITIVE),
    _two("floor_divide", np.floor_divide, ((0.1, 0.4), (0.5, 2.0)), "df", **_LOCALLY_CONSTANT),
    _two("floor_divide of integers", np.floor_divide, **{**_INTEGERS, **_NO_PRIMITIVE}),
    _two("remainder", np.remainder, ((4.1, 4.4), (1.0, 1.3)), "df"),
    _two("remainder, signs differ", np.remainder, ((-4.4, -4.1), (1.0, 1.3)), "df", **_NO_PRIMITIVE),
    _two("remainder of integers", np.remainder, **{**_INTEGERS, **_NO_PRIMITIVE}),
    _two("fmod", np.fmod, ((-4.4, -4.1), (1.0, 1.3)), "df"),
    _two("divmod", np.divmod, ((4.1, 4.4), (1.0, 1.3)), "df", **_NO_PRIMITIVE),
]

_POWERS = [
    _two("power", np.power, (_POSITIVE, (-2.0, 2.0))),
    *[_one(f"power {n!r}", lambda x, n=n: x**n, **_NO_PRIMITIVE) for n in (0, 1, 2, 3, 0.0, 2.0)],
    *[_one(f"power {n!r}", lambda x, n=n: x**n, (-2.0, -0.3), **_NO_PRIMITIVE) for n in (-1, -2)],
    _one("power 0.5", lambda x: x**0.5, _POSITIVE, **_NO_PRIMITIVE),
    _one("power integer array", lambda x: np.power(x, np.array([0, 1, 3])), **_NO_PRIMITIVE),
    _two("power integer operand", np.power, ((0.5, 2.0), (0, 4)), integers=(1,), **_NO_PRIMITIVE),
    _two("power of integers", np.power, **{**_INTEGERS, **_NO_PRIMITIVE}),
    _one("power of 2", lambda x: 2**x + 2.5**x, **_NO_PRIMITIVE),
    _one("power of a negative number, complex", lambda x: np.power(-2.0, x + 0j), dtypes="DF", **_NO_PRIMITIVE),
    _two("float_power", np.float_power, (_POSITIVE, (-2.0, 2.0)), **_NO_PRIMITIVE),
    _one("float_power 3", lambda x: np.float_power(x, 3), **_NO_PRIMITIVE),
]

_EXPONENTIAL = [
    _one("exp", np.exp),
    _one("exp2", np.exp2),
    _one("expm1", np.expm1),
    _one("log", np.log, _POSITIVE),
    _one("log of a negative complex number", lambda x: np.log(x + 0j), (-2.0, -0.3), "DF", **_NO_PRIMITIVE),
    _one("log2", np.log2, _POSITIVE),
    _one("log10", np.log10, _POSITIVE),
    _one("log1p", np.log1p, (-0.6, 2.0)),
    _two("logaddexp", np.logaddexp, dtypes="df"),
    _two("logaddexp2", np.logaddexp2, dtypes="df"),
    _one("sqrt", np.sqrt, _POSITIVE),
    _one("cbrt", np.cbrt, _POSITIVE, "df"),
    _one("cbrt of a negative number", np.cbrt, (-2.0, -0.3), "df", **_NO_PRIMITIVE),
    _one("square", np.square),
    _one("reciprocal", np.reciprocal, _POSITIVE),
]

_TRIGONOMETRIC = [
    _one("sin", np.sin),
    _one("cos", np.cos),
    _one("tan", np.tan, (-1.2, 1.2)),
    _one("arcsin", np.arcsin, (-0.8, 0.8)),
    _one("arccos", np.arccos, (-0.8, 0.8)),
    _one("arctan", np.arctan, (0.3, 2.0)),
    _one("arctan2 of positives", lambda x: np.arctan2(x, 2.0) + np.arctan2(-1, x), dtypes="df", **_NO_PRIMITIVE),
    _two("arctan2", np.arctan2, ((0.3, 2.0), (-2.0, 2.0)), "df"),
    _one("sinh", np.sinh),
    _one("cosh", np.cosh),
    _one("tanh", np.tanh, (-1.2, 1.2)),
    _one("arcsinh", np.arcsinh, (0.3, 2.0)),
    _one("arccosh", np.arccosh, (1.3, 3.0)),
    _one("arccosh on the left half plane", lambda x: np.arccosh(x + 0j), (-3.0, -1.3), "DF", **_NO_PRIMITIVE),
    _one("arctanh", np.arctanh, (-0.8, 0.8)),
    _two("hypot", np.hypot, (0.3, 2.0), "df"),
    _one("deg2rad", np.deg2rad, (-90.0, 90.0), "df"),
    _one("radians", np.radians, (-90.0, 90.0), "df", **_NO_PRIMITIVE),
    _one("rad2deg", np.rad2deg, dtypes="df"),
    _one("degrees", np.degrees, dtypes="df", **_NO_PRIMITIVE),
    _one("sinc", np.sinc),
    _one("sinc far from 0", np.sinc, (3.0, 5.0), **_NO_PRIMITIVE),
]

_ROUNDING = [
    _one("floor", np.floor, _BETWEEN, "df", **_LOCALLY_CONSTANT),
    _one("ceil", np.ceil, _BETWEEN, "df", **_LOCALLY_CONSTANT),
    _one("trunc", np.trunc, _BETWEEN, "df", **_LOCALLY_CONSTANT),
    _one("rint", np.rint, (0.6, 1.4), **_LOCALLY_CONSTANT),
    _one("fix", np.fix, _BETWEEN, "df", **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("round", np.round, (0.6, 1.4), **_LOCALLY_CONSTANT),
    _one("round 1", lambda x: np.round(x, 1), (0.26, 0.34), "df", **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("around -1", lambda x: np.around(x * 10, decimals=-1), (0.6, 1.4), "df", **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("round of integers", lambda n: np.round(n, -1), (0, 60), integers=(0,), **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("spacing", np.spacing, (1.1, 1.9), "df", **_LOCALLY_CONSTANT),
    _one("sign", np.sign, _POSITIVE, "df", **_LOCALLY_CONSTANT),
    _one("sign of a complex number", np.sign, (0.5, 2.0), "DF", **_NO_PRIMITIVE),
    _one("abs", np.abs, (0.3, 2.0)),
    _one("abs of a negative number", abs, (-2.0, -0.3), **_NO_PRIMITIVE),
    _one("abs of an integer", np.abs, (-4, 4), integers=(0,), **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("fabs", np.fabs, (-2.0, -0.3), "df"),
    _two("copysign", np.copysign, ((-2.0, -0.3), (0.3, 2.0)), "df"),
    _two("heaviside", np.heaviside, ((0.3, 2.0), (-2.0, 2.0)), "df"),
    _one("heaviside at 0", lambda y: np.heaviside(np.array([-1.0, 0.0, 2.0]), y), dtypes="df", **_NO_PRIMITIVE),
    _two("nextafter", np.nextafter, ((0.3, 0.9), (1.0, 2.0)), "df"),
    _one("modf", np.modf, (1.1, 1.9), "df", primitives=("fraction", "integral")),
    _one("frexp", np.frexp, (1.1, 1.9), "df", primitives=("mantissa", "exponent")),
    _two("ldexp", np.ldexp, ((-2.0, 2.0), (-3, 4)), "df", integers=(1,)),
]

_COMPARISONS = [
    *[
        _two(fun.__name__, fun, **_LOCALLY_CONSTANT)
        for fun in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
    ],
    _two("equal of integers", np.equal, **{**_INTEGERS, **_NO_PRIMITIVE}),
    *[_two(fun.__name__, fun, **_LOCALLY_CONSTANT) for fun in (np.logical_and, np.logical_or, np.logical_xor)],
    _two("logical_and of booleans", np.logical_and, **_BOOLEANS, **_NO_PRIMITIVE),
    _one("logical_not", np.logical_not, **_LOCALLY_CONSTANT),
    *[
        _two(fun.__name__, fun, **_INTEGERS)
        for fun in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.left_shift, np.right_shift, np.gcd, np.lcm)
    ],
    _two("bitwise operators on booleans", lambda a, b: (a & ~b) | (a ^ True), **_BOOLEANS, **_NO_PRIMITIVE),
    _two("bitwise operators on integers", lambda a, b: ((a & 3) | (~b << 2)) >> 1, **{**_INTEGERS, **_NO_PRIMITIVE}),
    _one("invert", np.invert, (-4, 4), integers=(0,), **_LOCALLY_CONSTANT),
    _one("bitwise_count", np.bitwise_count, (-4, 9), integers=(0,), **_LOCALLY_CONSTANT),
    *[_one(fun.__name__, fun, **_LOCALLY_CONSTANT) for fun in (np.isfinite, np.isinf, np.isnan)],
    _one("signbit", np.signbit, dtypes="df", **_LOCALLY_CONSTANT),
    _one(
        "isposinf, isneginf",
        lambda x: (np.isposinf(x + _SPECIAL), np.isneginf(x + _SPECIAL)),
        dtypes="df",
        **_LOCALLY_CONSTANT,
        **_NO_PRIMITIVE,
    ),
    _one(
        "isreal, iscomplex",
        lambda x: (np.isreal(x), np.iscomplex(x), np.isreal(x.real)),
        **_LOCALLY_CONSTANT,
        **_NO_PRIMITIVE,
    ),
    _two("isclose", np.isclose, **_LOCALLY_CONSTANT),
    _two("allclose", lambda x, y: np.allclose(x, y, atol=10.0), **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _two(
        "isclose, all arguments",
        lambda x, y: np.isclose(x, y, 0.5, atol=0.1, equal_nan=True),
        **_LOCALLY_CONSTANT,
        **_NO_PRIMITIVE,
    ),
]

_SELECTION = [
    Row(
        "where",
        np.where,
        ((2, 3), (2, 3), (2, 3)),
        booleans=(0,),
        more_shapes=(((3,), (2, 1), ()), ((), (3,), (3,))),
        primitives=("where",),
    ),
    _two(
        "where, condition of the operands",
        lambda x, y: np.where(x > y, x * y, y),
        ((-2.0, -0.1), (0.1, 2.0)),
        "df",
        **_NO_PRIMITIVE,
    ),
    _one("where with numbers", lambda x: np.where(np.array([True, False, True]), x, 1.5), **_NO_PRIMITIVE),
    Row("where, long", lambda x: np.where(_MASK, x * x, 0) + np.where(_MASK, 0, x), ((_MASK.size,),), dtypes="df"),
    _one(
        "where, safe logarithm",
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0.0),
        (-2.0, -0.1),
        "df",
        **_NO_PRIMITIVE,
    ),
]

_EXTREMA = [
    *[_two(fun.__name__, fun, ((-2.0, 0.3), (0.4, 2.0)), "df") for fun in (np.maximum, np.minimum, np.fmax, np.fmin)],
    _one("relu", lambda x: np.maximum(x, 0) + np.minimum(0.0, x), (0.1, 2.0), "df", **_NO_PRIMITIVE),
    _two("maximum of integers", np.maximum, **{**_INTEGERS, **_NO_PRIMITIVE}),
    Row("clip", np.clip, ((2, 3), (3,), ()), ((-2.0, 2.0), (-2.5, -2.1), (2.1, 2.5)), "df"),
    _one("clip to numbers", lambda x: np.clip(x, 0.5, 1), (0.6, 0.9), "df", **_NO_PRIMITIVE),
    _one("clip from below", lambda x: np.clip(x, 0.5, None), (0.6, 2.0), "df", **_NO_PRIMITIVE),
    _one("clip from above", lambda x: np.clip(x, a_min=None, a_max=1.0), (1.1, 2.0), "df", **_NO_PRIMITIVE),
    _one("clip, method", lambda x: x.clip(max=1.0), (-2.0, 0.9), "df", **_NO_PRIMITIVE),
    _one("clip of integers", lambda n: np.clip(n, -3, 2), (-5, 5), integers=(0,), **_LOCALLY_CONSTANT, **_NO_PRIMITIVE),
    _one("nan_to_num", lambda x: np.nan_to_num(x + _SPECIAL), dtypes="df", **_NO_PRIMITIVE),
    _one(
        "nan_to_num, all arguments",
        lambda x: np.nan_to_num(x + _SPECIAL, nan=1.0, posinf=2.0, neginf=-2.0),
        dtypes="df",
        **_NO_PRIMITIVE,
    ),
    _one("nan_to_num of complex numbers", lambda x: np.nan_to_num(x + _SPECIAL_COMPLEX), dtypes="DF", **_NO_PRIMITIVE),
]

_COMPLEX = [
    _one("real", np.real, dtypes="DFdf"),
    _one("imag", np.imag, dtypes="DF"),
    _one("imag of a real number", lambda x: x * np.imag(x), dtypes="df", **_NO_PRIMITIVE),
    _one("conj", np.conj, dtypes="DFdf"),
    _one("angle", np.angle, (-2.0, -0.3), "DF"),
    _one("angle in degrees", lambda x: np.angle(x, deg=True), (0.3, 2.0), "DF", **_NO_PRIMITIVE),
    _one("angle of a real number", np.angle, (-2.0, -0.3), "df", **_NO_PRIMITIVE),
    _one("modulus squared", lambda x: (x * np.conj(x)).real, dtypes="DF", **_NO_PRIMITIVE),
    _one("complex of parts", lambda x: np.real(x) + 1j * np.imag(x) ** 2, dtypes="DF", **_NO_PRIMITIVE),
    _one("real_if_close, real", lambda x: np.real_if_close(x + 0j), dtypes="df", batched=False, **_NO_PRIMITIVE),
    _one("real_if_close, complex", lambda x: np.real_if_close(x + 3j), batched=False, **_NO_PRIMITIVE),
    _one("isrealobj", lambda x: x * (2.0 if np.isrealobj(x) else 3.0), dtypes="df", **_NO_PRIMITIVE),
    _one("iscomplexobj", lambda x: (x + 0j) * (2j if np.iscomplexobj(x) else 3.0), dtypes="DF", **_NO_PRIMITIVE),
]

ROWS: list[Row] = [
    *_ARITHMETIC,
    *_POWERS,
    *_EXPONENTIAL,
    *_TRIGONOMETRIC,
    *_ROUNDING,
    *_COMPARISONS,
    *_SELECTION,
    *_EXTREMA,
    *_COMPLEX,
]

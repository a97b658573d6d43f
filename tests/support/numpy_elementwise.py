"""Probes of NumPy's ufuncs and of its other functions that work element by element."""

from __future__ import annotations

import numpy as np

from .probe import Probe, p

_TWO = ((2, 3), (3,))
_N = {"integers": (0, 1), "domain": (1, 9)}
_BIG = (1.2, 2.9)


def _one(name: str, domain: tuple[float, float] = (0.2, 0.9), **more: object) -> Probe:
    return p(lambda x: getattr(np, name)(x), domain=domain, **more)


def _two(name: str, domain: object = (0.2, 0.9), **more: object) -> Probe:
    return p(lambda x, y: getattr(np, name)(x, y), *_TWO, domain=domain, **more)


_SMOOTH = """abs absolute acos arccos acosh arccosh arcsin asin arcsinh asinh arctan atan arctanh atanh cbrt cos cosh
deg2rad degrees exp exp2 expm1 fabs log log10 log1p log2 negative positive rad2deg radians reciprocal sin sinh sqrt
square tan tanh sinc i0 conj conjugate real angle imag nan_to_num"""
_SMOOTH_2 = """add arctan2 atan2 divide true_divide float_power hypot logaddexp logaddexp2 maximum minimum fmax fmin
multiply power pow subtract copysign"""
_FLAT = "ceil fix floor rint round around sign spacing trunc"
_TESTS = """isfinite isinf isnan isneginf isposinf signbit logical_not iscomplex isreal"""
_TESTS_2 = "equal greater greater_equal less less_equal not_equal logical_and logical_or logical_xor isclose"
_INTEGERS = """bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift right_shift gcd
lcm"""

PROBES: dict[str, Probe | tuple[Probe, ...]] = {
    **{n: _one(n) for n in _SMOOTH.split()},
    **{n: _one(n, _BIG) for n in ("acosh", "arccosh")},
    **{n: _one(n, dtype="D") for n in ("angle", "imag", "conj", "conjugate", "real", "abs", "absolute")},
    **{n: _two(n) for n in _SMOOTH_2.split()},
    **{n: _one(n, flat=True) for n in _FLAT.split()},
    "sign": (_one("sign", flat=True), _one("sign", dtype="D", what="complex x")),
    **{n: _one(n) for n in _TESTS.split()},
    **{n: _two(n) for n in _TESTS_2.split()},
    **{n: p(lambda i, j, n=n: getattr(np, n)(i, j), *_TWO, **_N) for n in _INTEGERS.split()},
    **{
        n: p(lambda i, n=n: getattr(np, n)(i), integers=(0,), domain=(1, 9))
        for n in ("invert", "bitwise_not", "bitwise_invert", "bitwise_count")
    },
    "allclose": p(lambda x, y: np.allclose(x, y), *_TWO),
    "clip": (p(lambda x: np.clip(x, 0.4, 0.7)),
             p(lambda x, y: np.clip(np.linspace(0, 1, 9), x, y), (), (), what="bounds",
               domain=((0.1, 0.2), (0.8, 0.9)))),
    "divmod": _two("divmod", ((4.1, 4.4), (1.0, 1.3))),
    "floor_divide": _two("floor_divide", ((4.1, 4.4), (1.0, 1.3)), flat=True),
    "fmod": _two("fmod", ((-4.4, -4.1), (1.0, 1.3))),
    "remainder": _two("remainder", ((4.1, 4.4), (1.0, 1.3))),
    "mod": _two("mod", ((-4.4, -4.1), (1.0, 1.3))),
    "frexp": _one("frexp", (1.1, 1.9)),
    "heaviside": (
        _two("heaviside", flat=True),
        p(lambda y: np.heaviside(np.array([-1.0, 0.0, 1.0]), y), what="x2"),
    ),
    "ldexp": p(lambda x: np.ldexp(x, np.array([2, -1, 3]))),
    "modf": _one("modf", (1.1, 1.9)),
    "nextafter": _two("nextafter", ((0.2, 0.5), (1.0, 2.0))),
    "real_if_close": p(lambda x: np.real_if_close(x + 0j)),
    "where": (
        p(lambda x, y: np.where(np.array([True, False, True]), x, y), *_TWO),
        p(lambda c: np.where(c, np.arange(3.0), 2.0), booleans=(0,), what="condition"),
        p(lambda x: np.where(x > 0.5), what="one argument"),
    ),
    "select": p(lambda x, y: np.select([x > 0.6, y > 0.5], [x * y, y], x), *_TWO),
    "piecewise": p(lambda x: np.piecewise(x, [x < 0.5, x >= 0.5], [lambda u: u * u, lambda u: 3 * u])),
    "choose": (
        p(lambda x, y: np.choose(np.array([0, 1, 0]), [x, y]), *_TWO),
        p(lambda i: np.choose(i, [np.arange(3), 5]), integers=(0,), domain=(0, 2), what="a"),
    ),
    "frompyfunc": p(
        lambda x: np.frompyfunc(lambda u: u * u, 1, 1)(x).astype(float),
        instead="fg.vmap(lambda u: u * u)(x)",
    ),
}  # fmt: skip

OTHERS: dict[str, Probe | tuple[Probe, ...]] = {
    "vectorize": p(lambda x: np.vectorize(lambda u: u * u)(x)),
    # Arguments that all ufuncs have
    "nditer": p(lambda x: [float(v) for v in np.nditer(x)], instead="list(x)", numpys="Iterator operand"),
    "ndenumerate": p(lambda x: [v for _, v in np.ndenumerate(x)], instead="list(x)"),
    "ndindex": p(lambda x: [x[i] for i in np.ndindex(x.shape)]),
    "broadcast": p(lambda x: np.broadcast(x, x).shape, instead="np.broadcast_shapes(x.shape, x.shape)"),
    "poly1d": p(lambda c: np.poly1d(c)(0.5), instead="np.polyval(x, 0.5)"),
    "matrix": p(lambda x: np.matrix(x).A),
    "float64": p(lambda x: np.float64(x), (), instead="x.astype(np.float64)"),
    "ufunc(..., out=)": p(lambda x: np.sin(x, out=np.zeros(3)), instead="np.sin(x)"),
    "ufunc(..., where=)": p(lambda x: np.sin(x, where=np.array([True, False, True]), out=np.ones(3)),
                            instead="np.where(np.array([True, False, True]), np.sin(x), 1.0)"),
    "ufunc(..., dtype=)": p(lambda x: np.add(x, 1, dtype="D")),
    "emath.sqrt": (p(lambda x: np.emath.sqrt(x)), p(lambda x: np.emath.sqrt(x - 0.5), what="of negative numbers")),
    "emath.log": p(lambda x: np.emath.log(x - 0.5)),
    "emath.log2": p(lambda x: np.emath.log2(x - 0.5)),
    "emath.log10": p(lambda x: np.emath.log10(x - 0.5)),
    "emath.logn": p(lambda n, x: np.emath.logn(n + 1.0, x - 0.5), (3,), (3,)),
    "emath.power": (p(lambda x, y: np.emath.power(x - 0.5, y), (3,), (3,)), p(lambda x: np.emath.power(x, -2))),
    "emath.arccos": p(lambda x: np.emath.arccos(x + 0.6)),
    "emath.arcsin": p(lambda x: np.emath.arcsin(x + 0.6)),
    "emath.arctanh": p(lambda x: np.emath.arctanh(x + 0.6)),
    "ufunc(..., casting=)": p(lambda x: np.add(x, 1, casting="same_kind")),
}  # fmt: skip

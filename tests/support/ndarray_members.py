"""Probes of the methods, attributes and operators of ``numpy.ndarray``."""

from __future__ import annotations

import io
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .probe import Probe, p

_M = (3, 4)
_SPLIT = np.array([True, False, True])


def _changed(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that writes into (a copy of) x and returns this."""

    def fun(x: Any) -> Any:
        own = x * 1.0
        write(own)
        return own

    return fun


def _augment(fun: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``x op= y``."""
    return lambda x, y: fun(x * 1.0, y)


def _assign(x: Any) -> None:
    x[1:] = 5.0


def _written(x: Any) -> Any:
    plain = np.ones(3)
    plain[0] = x
    return plain


def _assigned(x: Any, y: Any) -> Any:
    own = x * 1.0
    own[1:] = y
    own[[0, 0]] += y
    return own


def _accumulated(x: Any) -> Any:
    plain = np.ones(3)
    plain += x
    return plain


_WITH_AXIS = "all any argmax argmin argsort cumprod cumsum max mean min prod std sum var"
METHODS: dict[str, Probe | tuple[Probe, ...]] = {
    **{
        n: p(lambda x, n=n: getattr(x, n)(axis=1), _M)
        for n in _WITH_AXIS.split()
    },
    **{n: p(lambda x, n=n: getattr(x, n)(), _M) for n in ["copy", "flatten", "ravel", "tolist"]},
    **{n: p(lambda x, n=n: getattr(x, n)(), dtype="D") for n in ["conj", "conjugate"]},
    **{n: p(lambda x, n=n: getattr(x, n), (2, 3, 4)) for n in ["T", "mT"]},
    **{n: p(lambda x, n=n: getattr(x, n), dtype="D") for n in ["real", "imag"]},
    **{
        n: p(lambda x, n=n: getattr(x, n), _M)
        for n in ["dtype", "itemsize", "nbytes", "ndim", "shape", "size", "device", "strides"]
    },
    "base": p(lambda x: x.base),
    "flags": p(lambda x: x.flags.c_contiguous, _M),
    "flat": (p(lambda x: list(x.flat), (2, 2)), p(lambda x: x.flat[1], (2, 2), what="[i]")),
    "data": p(lambda x: bool(x.data), exact=False, instead="x"),
    "ctypes": p(lambda x: bool(x.ctypes), exact=False, instead="x"),
    "argpartition": p(lambda x: x.argpartition(1)[1], (4,)),
    "astype": p(lambda x: x.astype(complex)),
    "byteswap": p(lambda x: x.byteswap().byteswap(), instead="x"),
    "choose": p(lambda i: i.choose([np.arange(3), 5]), integers=(0,), domain=(0, 2)),
    "clip": p(lambda x: x.clip(0.4, 0.7)),
    "compress": p(lambda x: x.compress(_SPLIT)),
    "diagonal": p(lambda x: x.diagonal(), _M),
    "dot": (p(lambda x, y: x.dot(y), _M, (4,)), p(lambda y: np.ones(3).dot(y), what="of a plain array",
            instead="np.ones(3) @ x")),
    "dump": p(lambda x: x.dump(io.BytesIO())),
    "dumps": p(lambda x: len(x.dumps())),
    "fill": p(_changed(lambda x: x.fill(5.0)), flat=True),
    "getfield": p(lambda x: x.getfield("d"), instead="x"),
    "item": p(lambda x: x.item(1)),
    "nonzero": p(lambda x: x.nonzero()),
    "partition": p(_changed(lambda x: x.partition(1)), (2,)),
    "put": p(_changed(lambda x: x.put([0], 5.0))),
    "repeat": p(lambda x: x.repeat(2)),
    "reshape": p(lambda x: x.reshape(4, 3), _M),
    "resize": p(_changed(lambda x: x.resize((4, 3), refcheck=False)), _M, instead="np.resize(x, (4, 3))"),
    "round": p(lambda x: x.round(), flat=True),
    "searchsorted": (p(lambda x: np.searchsorted(x[:0], 0.5)), p(lambda x: np.arange(3.0).searchsorted(x),
                     what="of a plain array", instead="np.searchsorted(np.arange(3.0), x)")),
    "setfield": p(_changed(lambda x: x.setfield(5.0, "d")), instead="np.full_like(x, 5.0)"),
    "setflags": p(lambda x: x.setflags(write=True)),
    "sort": p(_changed(lambda x: x.sort())),
    "squeeze": p(lambda x: x.squeeze(), (3, 1)),
    "swapaxes": p(lambda x: x.swapaxes(0, 1), _M),
    "take": p(lambda x: x.take([0, 2])),
    "to_device": p(lambda x: x.to_device("cpu")),
    "tobytes": p(lambda x: x.tobytes()),
    "tofile": p(lambda x: x.tofile("/dev/null")),
    "trace": p(lambda x: x.trace(), _M),
    "transpose": p(lambda x: x.transpose(1, 0), _M),
    "view": p(lambda x: x.view(complex), (4,), instead="x[0::2] + 1j * x[1::2]"),
}  # fmt: skip

_BINARY = "add sub mul truediv floordiv mod pow"

OPERATORS: dict[str, Probe | tuple[Probe, ...]] = {
    **{
        f"x {s} y": p(lambda x, y, f=f: f(x, y), (3,), (3,), domain=((4.1, 4.4), (1.0, 1.3)), flat=s == "//")
        for s, f in {
            "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
            "%": operator.mod, "**": operator.pow, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
            "<=": operator.le, ">": operator.gt, ">=": operator.ge,
        }.items()
    },
    **{
        f"x {s} y": p(lambda x, y, f=f: f(x, y), (3,), (3,), integers=(0, 1), domain=(1, 9))
        for s, f in {"&": operator.and_, "\\|": operator.or_, "^": operator.xor, "<<": operator.lshift,
                     ">>": operator.rshift}.items()
    },
    "x @ y": p(lambda x, y: x @ y, (2, 3), (3,)),
    "-x": p(lambda x: -x),
    "+x": p(lambda x: +x),
    "~x": p(lambda x: ~x, integers=(0,), domain=(1, 9)),
    "abs(x)": p(lambda x: abs(x)),
    "divmod(x, y)": p(lambda x, y: divmod(x, y), (3,), (3,), domain=((4.1, 4.4), (1.0, 1.3))),
    "pow(x, y)": p(lambda x, y: pow(x, y), (3,), (3,)),
    "round(x, 1)": p(lambda x: round(x, 1), (), domain=(0.21, 0.24), flat=True),
    "x += y": p(_augment(operator.iadd), (3,), (3,)),
    "x *= y": p(_augment(operator.imul), (3,), (3,)),
    "plain += x": p(_accumulated),
    "x[i]": p(lambda x: (x[0], x[1:], x[..., None], x[[0, 2]], x[_SPLIT]), _M[:1]),
    "x[mask of x]": p(lambda x: x[x > 0.5]),
    "plain[i]": p(lambda i: np.arange(9)[i], integers=(0,), domain=(0, 9), instead="fg.numpy.take(np.arange(9), x)"),
    "x[i] = y": (p(_changed(_assign)), p(_assigned, (3,), (2,), what="y")),
    "plain[i] = x": p(_written, (), instead="np.stack([x, 1.0, 1.0])"),
    "for v in x": p(lambda x: [v * v for v in x]),
    "len(x)": p(lambda x: len(x)),
    "y in x": p(lambda x: 0.5 in x),
    "if x": p(lambda x: x * 2 if x > 0.5 else x * 3, ()),
    "int(x)": p(lambda x: int(x), ()),
    "float(x)": p(lambda x: float(x), (), instead="x"),
    "complex(x)": p(lambda x: complex(x), (), instead="x + 0j"),
    "math.sin(x)": p(lambda x: math.sin(x), (), instead="np.sin(x)"),
    'f"{x:.3f}"': p(lambda x: f"{x:.3f}", ()),
    "sum(x)": p(lambda x: sum(x)),
    "max(x)": p(lambda x: max(x)),
}  # fmt: skip

"""Compare derivatives with finite differences of the function itself.

    check_grads : f, args -> None, or an AssertionError that says which derivative is wrong
    check_jvp   : the same for a jvp that somebody wrote by hand
    check_vjp   : the same for a vjp

A derivative is checked along one dense direction with a fixed seed. Every entry of the Jacobian takes part in it, so
that an error in any of them shows, and the cost is a few evaluations whatever the size. Only when the comparison fails
is it repeated leaf by leaf of the arguments, to name the one at fault. Forward mode is compared element by element,

    jvp(f, x, v)  =  df/dh f(x + h v),

and reverse mode through the pairing

    <w, df/dh f(x + h v)>  =  <v, vjp(f, x)(w)>        with <a, b> = Re(sum(a * b)),

the transpose without conjugation. Higher orders check the derivative of the derivative, which was itself found right
one order below.

The difference quotient D(h) = (f(x + h v) - f(x - h v)) / 2h is taken at h and h / 2 and extrapolated (Richardson
1911): (4 D(h / 2) - D(h)) / 3 has an error of h**4, which with the rounding error eps / h is least near
h = eps**(1/5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fungrad import tree
from fungrad._util import describe_function
from fungrad.core.aval import FLOAT0, ShapedArray, is_inexact, typeof
from fungrad.errors import NonDifferentiableError, TransformTypeError, TransformValueError
from fungrad.transforms.products import jvp, vjp

_MODES = {"fwd": "forward", "rev": "reverse"}


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: str | Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of a function, in both modes and to any order, against finite differences.

    Parameters
    ----------
    f : callable
        A function of positional arguments; arguments and results are pytrees of arrays, real or complex. Integers and
        booleans among them are left alone.
    args : sequence
        The point. It should be further than the step from any kink, and from the edge of the domain.
    order : int
        The highest derivative to check. All words over ``modes`` of that length are checked: for order 2 with both
        modes forward over forward, forward over reverse, reverse over forward and reverse over reverse.
    modes : "fwd", "rev" or a sequence of these
        Forward mode (`jvp`) and reverse mode (`vjp`).
    atol, rtol : float, optional
        Absolute and relative tolerance; by default 1e-6 in double precision and 5e-3 in single precision.
    eps : float, optional
        The step, for elements of magnitude up to one (larger elements are moved in proportion). By default fitted to
        the dtype: 7e-4 in double precision, 0.04 in single precision.

    Raises
    ------
    AssertionError
        If a derivative is wrong: says which mode and order, the argument and the result concerned, the numeric and
        the exact value.
    TransformTypeError, TransformValueError, NonDifferentiableError
        If ``order`` or ``modes`` is not one of those above, or there is nothing to differentiate.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.testing import check_grads
    >>> check_grads(lambda x, y: np.sin(x) * y, (np.array([0.5, 1.0]), 2.0), order=2)
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or set(modes) - set(_MODES):
        raise TransformValueError(f'fungrad.testing.check_grads: modes must be of "fwd" and "rev", got {modes!r}')
    if not isinstance(order, int) or order < 1:
        raise TransformValueError(f"fungrad.testing.check_grads: order must be a positive integer, got {order!r}")
    _check_args("check_grads", args)
    _check_words(f, tuple(args), order, modes, _Tolerance(atol, rtol, eps), describe_function(f), 1)


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[[Any, Any], Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a jvp of a function against finite differences.

    Parameters
    ----------
    f : callable
        A function of positional arguments.
    f_jvp : callable
        ``f_jvp(args, tangents) -> (out, out_tangent)``, such as ``functools.partial(fungrad.jvp, f)``.
    args, atol, rtol, eps
        As for `check_grads`.
    err_msg : str
        What the message of a failure calls the derivative.

    Raises
    ------
    AssertionError
        If the value or the tangent is wrong, or has the wrong tree, shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.testing import check_jvp
    >>> check_jvp(np.sin, lambda x, v: (np.sin(x[0]), np.cos(x[0]) * v[0]), (0.3,))
    """
    _check_args("check_jvp", args)
    title = err_msg or f"forward mode: the jvp of {describe_function(f)}"
    _check_forward(f, f_jvp, tuple(args), _Tolerance(atol, rtol, eps), title, _rng(1))


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a vjp of a function against finite differences.

    Parameters
    ----------
    f : callable
        A function of positional arguments.
    f_vjp : callable
        ``f_vjp(*args) -> (out, pull)`` where ``pull(cotangent)`` is a tuple with one entry per argument, such as
        ``functools.partial(fungrad.vjp, f)``.
    args, atol, rtol, eps
        As for `check_grads`.
    err_msg : str
        What the message of a failure calls the derivative.

    Raises
    ------
    AssertionError
        If the value or a cotangent is wrong, or has the wrong tree, shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.testing import check_vjp
    >>> check_vjp(np.sin, lambda x: (np.sin(x), lambda w: (np.cos(x) * w,)), (0.3,))
    """
    _check_args("check_vjp", args)
    title = err_msg or f"reverse mode: the vjp of {describe_function(f)}"
    _check_reverse(f, f_vjp, tuple(args), _Tolerance(atol, rtol, eps), title, _rng(1))


def numerical_jvp(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any], eps: float | None = None) -> Any:
    """Approximate the tangent of the result of a function by extrapolated central differences.

    Parameters
    ----------
    f : callable
        A function of positional arguments, called on plain arrays five times.
    args, tangents : sequence
        The point and the direction, of the same tree and shapes. Tangents of integers and booleans are not looked at.
    eps : float, optional
        The step h; by default the fifth root of the precision of the coarsest dtype among arguments and results.

    Returns
    -------
    pytree
        The tree of the result; float0 zeros for its integers and booleans.

    Examples
    --------
    >>> import numpy as np
    >>> from fungrad.testing import numerical_jvp
    >>> float(abs(numerical_jvp(np.exp, (1.0,), (1.0,)) - np.e)) < 1e-10
    True
    """
    args, tangents = tuple(args), tuple(tangents)
    leaves, treedef = tree.flatten(f(*args))
    if eps is None:
        eps = _precision([args, leaves]) ** 0.2

    def quotient(h: float) -> list[Any]:
        ahead, behind = (tree.leaves(f(*tree.map(partial(_move, step), args, tangents))) for step in (h, -h))
        return [
            (np.asarray(a) - np.asarray(b)) / (2 * h) if is_inexact(typeof(a).dtype) else None
            for a, b in zip(ahead, behind, strict=True)
        ]

    fine, coarse = quotient(eps / 2), quotient(eps)
    return treedef.unflatten(
        [
            _float0(x) if a is None else ((4 * a - b) / 3).astype(typeof(x).dtype)[()]
            for x, a, b in zip(leaves, fine, coarse, strict=True)
        ]
    )


def _move(h: float, x: Any, v: Any) -> Any:
    """x + h v, of the type of x."""
    aval = typeof(x)
    if not is_inexact(aval.dtype):
        return x
    if aval.weak:
        return x + h * v
    return (np.asarray(x) + h * np.asarray(v)).astype(aval.dtype)[()]


class _Tolerance(NamedTuple):
    """The tolerances and the step as the caller gave them; None is to be fitted to the dtypes."""

    atol: float | None
    rtol: float | None
    eps: float | None

    def at(self, *trees: Any) -> tuple[float, float]:
        """Absolute and relative tolerance for arrays of these dtypes."""
        default = 1e-6 if _precision(trees) < 1e-12 else 5e-3
        return default if self.atol is None else self.atol, default if self.rtol is None else self.rtol


def _precision(trees: Any) -> float:
    """The unit roundoff of the coarsest dtype among the leaves."""
    dtypes = {typeof(x).dtype for x in tree.leaves(trees) if is_inexact(typeof(x).dtype) and not typeof(x).weak}
    return float(max([np.finfo(d).eps for d in dtypes], default=np.finfo(np.float64).eps))


def _rng(order: int) -> np.random.Generator:
    return np.random.default_rng(order)


def _check_args(name: str, args: Any) -> None:
    if not isinstance(args, (tuple, list)):
        raise TransformTypeError(
            f"fungrad.testing.{name}: args must be a tuple or list with one entry per argument, "
            f"got {type(args).__name__}; write (args,)"
        )
    if not any(is_inexact(typeof(x).dtype) for x in tree.leaves(args)):
        raise NonDifferentiableError(
            f"fungrad.testing.{name}: none of the arguments is real or complex floating point, "
            "there is nothing to check"
        )


def _check_words(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    depth: int,
    modes: tuple[str, ...],
    tolerance: _Tolerance,
    name: str,
    order: int,
) -> None:
    """Check both modes at this order, then the derivatives of the derivatives."""
    rng = _rng(order)
    for mode in modes:
        operation = "jvp" if mode == "fwd" else "vjp"
        label = f"{operation} of {name}"
        title = f"{_MODES[mode]} mode, order {order}: the {label}"
        if mode == "fwd":
            _check_forward(f, partial(jvp, f), args, tolerance, title, rng)
            derivative = _forward_derivative(f, _direction(args, rng))
        else:
            _check_reverse(f, partial(vjp, f), args, tolerance, title, rng)
            derivative = _reverse_derivative(f, _direction(f(*args), rng))
        if depth > 1:
            _check_words(derivative, args, depth - 1, modes, tolerance, label, order + 1)


def _forward_derivative(f: Callable[..., Any], tangents: Any) -> Callable[..., Any]:
    return lambda *args: _inexact(jvp(f, args, tangents)[1])


def _reverse_derivative(f: Callable[..., Any], cotangent: Any) -> Callable[..., Any]:
    return lambda *args: _inexact(vjp(f, *args)[1](cotangent))


def _inexact(outs: Any) -> list[Any]:
    """The leaves that have a derivative."""
    return [x for x in tree.leaves(outs) if is_inexact(typeof(x).dtype)]


def _direction(target: Any, rng: np.random.Generator, only: int | None = None) -> Any:
    """A tangent for each leaf, of magnitude 0.5 to 1, in units of the element where that exceeds one; never small.

    Integers get float0. With ``only`` all but that leaf are zero.
    """
    values, treedef = tree.flatten(target)
    return treedef.unflatten([_tangent(x, rng, only is None or only == k) for k, x in enumerate(values)])


def _tangent(x: Any, rng: np.random.Generator, wanted: bool) -> Any:
    aval = typeof(x)
    if not is_inexact(aval.dtype):
        return _float0(x)
    parts = [
        rng.uniform(0.5, 1.0, aval.shape) * rng.choice([-1.0, 1.0], aval.shape)
        for _ in "ri"[: 1 + (aval.dtype.kind == "c")]
    ]
    v = parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]
    v = v * np.maximum(1.0, np.abs(x)) if wanted else 0 * v
    return np.asarray(v).item() if aval.weak else np.asarray(v).astype(aval.dtype)[()]


def _float0(x: Any) -> Any:
    return np.zeros(typeof(x).shape, FLOAT0)


def _path(target: Any, index: int) -> str:
    return tree.keystr(tree.leaves_with_path(target)[index][0])


def _check_forward(
    f: Callable[..., Any],
    f_jvp: Callable[[Any, Any], Any],
    args: tuple[Any, ...],
    tolerance: _Tolerance,
    title: str,
    rng: np.random.Generator,
) -> None:
    fault = _forward_fault(f, f_jvp, args, _direction(args, rng), tolerance, title)
    if fault is None:
        return
    # Which argument is it? An error that only shows in a mixture is reported as such.
    for k, x in enumerate(tree.leaves(args)):
        if is_inexact(typeof(x).dtype):
            single = _forward_fault(f, f_jvp, args, _direction(args, rng, only=k), tolerance, title)
            if single is not None:
                raise AssertionError(
                    f"{title} is wrong\n  with respect to argument {_path(args, k)} of type {typeof(x)!r}\n{single}"
                )
    raise AssertionError(f"{title} is wrong\n  along a direction in all arguments\n{fault}")


def _forward_fault(
    f: Callable[..., Any],
    f_jvp: Callable[[Any, Any], Any],
    args: tuple[Any, ...],
    tangents: Any,
    tolerance: _Tolerance,
    title: str,
) -> str | None:
    """What is wrong with the tangent along this direction, if anything."""
    out = _result(f, args, title)
    value, exact = f_jvp(args, tangents)
    _check_value(title, out, value)
    _check_structure(title, "the tangent of the result", out, exact)
    numeric = numerical_jvp(f, args, tangents, tolerance.eps)
    atol, rtol = tolerance.at(args, out)
    for k, (x, a, b) in enumerate(zip(tree.leaves(out), tree.leaves(exact), tree.leaves(numeric), strict=True)):
        if not is_inexact(typeof(x).dtype):
            continue
        a, b = np.asarray(a), np.asarray(b)
        # Written so that a nan on either side is a fault.
        bad = np.argwhere(~(np.abs(a - b) <= atol + rtol * np.abs(b)))
        if len(bad):
            where = tuple(int(i) for i in bad[0])
            at = f" at index {where} ({len(bad)} of {a.size} elements are wrong)" if a.ndim else ""
            return (
                f"  for the result{_path(out, k)} of type {typeof(x)!r}{at}\n{_values(a[where], b[where], atol, rtol)}"
            )
    return None


def _check_reverse(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: tuple[Any, ...],
    tolerance: _Tolerance,
    title: str,
    rng: np.random.Generator,
) -> None:
    out = _result(f, args, title)
    value, pull = f_vjp(*args)
    _check_value(title, out, value)
    cotangent = _direction(out, rng)
    cotangents = pull(cotangent)
    _check_structure(title, "the cotangent of the arguments", args, cotangents)

    def fault(tangents: Any) -> str | None:
        numeric, scale = _pair(cotangent, numerical_jvp(f, args, tangents, tolerance.eps))
        exact, _ = _pair(tangents, cotangents)
        atol, rtol = tolerance.at(args, out)
        if abs(exact - numeric) <= atol + rtol * scale:
            return None
        return (
            f"  in the pairing <cotangent, J tangent> = <J^T cotangent, tangent>\n{_values(exact, numeric, atol, rtol)}"
        )

    mixed = fault(_direction(args, rng))
    if mixed is None:
        return
    for k, x in enumerate(tree.leaves(args)):
        if is_inexact(typeof(x).dtype):
            single = fault(_direction(args, rng, only=k))
            if single is not None:
                raise AssertionError(
                    f"{title} is wrong\n  with respect to argument {_path(args, k)} of type {typeof(x)!r}\n{single}"
                )
    raise AssertionError(f"{title} is wrong\n  along a direction in all arguments\n{mixed}")


def _result(f: Callable[..., Any], args: tuple[Any, ...], title: str) -> Any:
    """The function's value; it must have something to differentiate."""
    out = f(*args)
    if not _inexact(out):
        raise NonDifferentiableError(f"{title}: no result is real or complex floating point, there is nothing to check")
    return out


def _pair(a: Any, b: Any) -> tuple[float, float]:
    """<a, b> = Re(sum(a * b)) over all leaves, and the sum of the magnitudes of its terms."""
    total = scale = 0.0
    for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True):
        if is_inexact(typeof(x).dtype):
            wide = np.complex128 if typeof(x).dtype.kind == "c" or typeof(y).dtype.kind == "c" else np.float64
            terms = (np.asarray(x, wide) * np.asarray(y, wide)).real
            total += float(terms.sum())
            scale += float(np.abs(terms).sum())
    return total, scale


def _values(exact: Any, numeric: Any, atol: float, rtol: float) -> str:
    return (
        f"  exact (to be checked): {exact}\n"
        f"  numeric (differences): {numeric}\n"
        f"  tolerance: atol={atol:g}, rtol={rtol:g}"
    )


def _check_value(title: str, expected: Any, received: Any) -> None:
    """The value that comes with a derivative is that of the function."""
    _check_structure(title, "the value", expected, received, integers=True)
    for k, (x, y) in enumerate(zip(tree.leaves(expected), tree.leaves(received), strict=True)):
        tolerance = 100 * np.finfo(typeof(x).dtype).eps if is_inexact(typeof(x).dtype) else 0.0
        if not np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True):
            raise AssertionError(
                f"{title}: the value{_path(expected, k)} that comes with it is {y}, but the function returns {x}"
            )


def _check_structure(title: str, what: str, expected: Any, received: Any, integers: bool = False) -> None:
    """The same tree and, leaf by leaf, shape and dtype; of integers only if asked for (their tangents are float0)."""
    a, b = tree.structure(expected), tree.structure(received)
    if a != b:
        raise AssertionError(f"{title}: {what} has the tree {b}, it should be {a}")
    for k, (x, y) in enumerate(zip(tree.leaves(expected), tree.leaves(received), strict=True)):
        expected_type, received_type = typeof(x), typeof(y)
        if (is_inexact(expected_type.dtype) or integers) and not _same_type(expected_type, received_type):
            raise AssertionError(
                f"{title}: {what}{_path(expected, k)} has type {received_type!r}, it should be {expected_type!r}"
            )


def _same_type(a: ShapedArray, b: ShapedArray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype

"""Rewrite rules of Fourier transforms: spectra of real numbers are kept in halves.

The spectrum of real numbers is `mirror` of its first half, and so is what functions that commute with conjugation make
of such spectra: the mirror moves outwards, until a transform back makes real numbers of it (or it is needed as it is).
Where such a spectrum is multiplied by another array, a filter, the real part of the transform back is that of half of
both: `fold` moves inwards to the filter, which is often a constant.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

from fungrad.core.elementwise import Elementwise
from fungrad.core.ir import Atom, Equation
from fungrad.primitives.arithmetic import mul_p
from fungrad.primitives.complex_parts import conj_p, real_p
from fungrad.primitives.fft import SWAPPED, fft_p, fold_p, irfft_p, is_halved, mirror_p, rfft_p
from fungrad.primitives.structural import broadcast_to_p, convert_p

COMMUTING = frozenset({"add", "sub", "mul", "div", "neg", "conj", "abs", "real", "square", "exp", "where"})
"""The functions f of complex numbers with f(conj(z)) = conj(f(z)), for all of which that holds bit by bit."""

TERMS = 4
"""Sums within sums, and products within products, in which mirrored spectra are looked for."""


def _of_reals(b: Any, atom: Atom) -> Atom | None:
    """The real array that an operand is, or is converted from."""
    made = b.made_by(atom, "convert")
    real = made.inputs[0] if made else atom
    return real if real.aval.dtype.kind == "f" and (real is atom or real.aval.dtype.char in "fd") else None


def _transformed(b: Any, eqn: Equation) -> Atom | None:
    # fft(x) -> mirror(rfft(x)) for real x      ifft(x) -> mirror(conj(rfft(x)))
    axes, sizes, inverse, norm = [eqn.params[k] for k in ("axes", "sizes", "inverse", "norm")]
    x = _of_reals(b, eqn.inputs[0])
    if x is None or not is_halved(x.aval, sizes):
        return None
    norm = SWAPPED[norm] if inverse else norm
    half = b.apply(rfft_p, x, axis=axes[-1], size=sizes[-1], norm=norm)
    if half.aval.dtype != eqn.outputs[0].aval.dtype:
        return None
    if len(axes) > 1:
        half = b.apply(fft_p, half, axes=axes[:-1], sizes=sizes[:-1], inverse=False, norm=norm)
    if inverse:
        half = b.apply(conj_p, half)
    return b.apply(mirror_p, half, axes=axes, size=sizes[-1])  # type: ignore[no-any-return]


def _transformed_back(b: Any, eqn: Equation) -> Atom | None:
    # ifft(mirror(h)) -> irfft(h), as complex numbers      fft(mirror(h)) -> irfft(conj(h))
    (z,), (out,) = eqn.inputs, eqn.outputs
    axes, sizes, inverse, norm = [eqn.params[k] for k in ("axes", "sizes", "inverse", "norm")]
    mirrored = b.made_by(z, "mirror")
    if not mirrored or mirrored.params["axes"] != axes or z.aval.shape != out.aval.shape or z.aval.dtype.kind != "c":
        return None
    real = _back(b, mirrored.inputs[0], axes, sizes, inverse, norm)
    return b.apply(convert_p, real, dtype=out.aval.dtype)  # type: ignore[no-any-return]


def _back(b: Any, half: Atom, axes: Any, sizes: Any, inverse: bool, norm: Any) -> Atom:
    """The real numbers that the transform makes of a spectrum, given half of it."""
    if not inverse:
        half, norm = b.apply(conj_p, half), SWAPPED[norm]
    if len(axes) > 1:
        half = b.apply(fft_p, half, axes=axes[:-1], sizes=sizes[:-1], inverse=True, norm=norm)
    return b.apply(irfft_p, half, axis=axes[-1], size=sizes[-1], norm=norm)  # type: ignore[no-any-return]


def _real_of_transformed(b: Any, eqn: Equation) -> Atom | None:
    # real(ifft(mirror(h) * c)) -> irfft(h * fold(c))      and for sums of such      fft: of conjugates
    back = b.made_by(eqn.inputs[0], "fft")
    if not back or not b.is_used_once(eqn.inputs[0]):
        return None
    (z,), (out,) = back.inputs, eqn.outputs
    axes, sizes, inverse, norm = [back.params[k] for k in ("axes", "sizes", "inverse", "norm")]
    if z.aval.shape != out.aval.shape or z.aval.dtype.kind != "c" or not _has_mirror(b, z, axes, TERMS):
        return None
    real = _back(b, b.apply(fold_p, z, axes=axes), axes, sizes, inverse, norm)
    return real if real.aval.dtype == out.aval.dtype else None


def _has_mirror(b: Any, z: Atom, axes: Any, terms: int) -> bool:
    """Whether an array is a sum of mirrored spectra, some of them times something."""
    total = terms and (b.made_by(z, "add") or b.made_by(z, "sub"))
    if total:
        return all(a.aval.shape == z.aval.shape and _has_mirror(b, a, axes, terms - 1) for a in total.inputs)
    return _filtered(b, z, axes, terms) is not None


def _filtered(b: Any, z: Atom, axes: Any, factors: int) -> tuple[Atom, list[Atom]] | None:
    """Half of a spectrum, and the factors by which all of it is multiplied."""
    mirrored = b.made_by(z, "mirror")
    if mirrored:
        return (mirrored.inputs[0], []) if mirrored.params["axes"] == axes else None
    product = factors and b.made_by(z, "mul")
    if product:
        for x, y in (product.inputs, product.inputs[::-1]):
            found = _filtered(b, x, axes, factors - 1) if x.aval.shape == z.aval.shape else None
            if found is not None:
                return found[0], [*found[1], y]
    return None


def _half(b: Any, a: Atom, z: Atom, axes: Any) -> Atom:
    """The half that counts of an operand that broadcasts to a spectrum."""
    shape, ahead = a.aval.shape, z.aval.ndim - a.aval.ndim
    sizes = [shape[k - ahead] if k >= ahead else 1 for k in axes]
    if all(n == 1 for n in sizes):  # (c + conj(c)) / 2
        return b.apply(real_p, a) if a.aval.dtype.kind == "c" else a  # type: ignore[no-any-return]
    if sizes != [z.aval.shape[k] for k in axes]:
        a, ahead = b.apply(broadcast_to_p, a, shape=z.aval.shape), 0
    return b.apply(fold_p, a, axes=tuple([k - ahead for k in axes]))  # type: ignore[no-any-return]


def _folded(b: Any, eqn: Equation) -> Atom | None:
    # fold(mirror(h)) -> h      fold(mirror(h) * c * d) -> h * fold(c * d)      fold(x + y) -> fold(x) + fold(y)
    (z,), axes = eqn.inputs, eqn.params["axes"]
    filtered = _filtered(b, z, axes, TERMS)
    if filtered is not None:
        half, factors = filtered
        return b.apply(mul_p, half, _half(b, reduce(partial(b.apply, mul_p), factors), z, axes)) if factors else half  # type: ignore[no-any-return]
    total = b.made_by(z, "add") or b.made_by(z, "sub")
    if not total or not _has_mirror(b, z, axes, TERMS):
        return None
    x, y = [_half(b, a, z, axes) for a in total.inputs]
    return b.apply(total.primitive, x, y)  # type: ignore[no-any-return]


def _real_of_real(b: Any, eqn: Equation) -> Atom | None:
    # real(convert(x)) -> x for real x
    made = b.made_by(eqn.inputs[0], "convert")
    return made.inputs[0] if made and made.inputs[0].aval == eqn.outputs[0].aval else None


def _commutes(eqn: Equation) -> bool:
    if not isinstance(eqn.primitive, Elementwise) and not getattr(eqn.primitive, "elementwise", False):
        return False
    kinds = {a.aval.dtype.kind for a in (*eqn.inputs, *eqn.outputs)}
    return "c" not in kinds or eqn.primitive.name in COMMUTING


def _of_halves(b: Any, eqn: Equation) -> Atom | None:
    # f(mirror(g), mirror(h), 2.0) -> mirror(f(g, h, 2.0))
    if "mirror" not in b.applied:
        return None
    found = [b.made_by(a, "mirror") for a in eqn.inputs]
    first = next((m for m in found if m), None)
    if first is None or not _commutes(eqn):
        return None
    halves: list[Atom] = []
    for atom, m in zip(eqn.inputs, found, strict=True):
        if m and m.params == first.params and m.inputs[0].aval.shape == first.inputs[0].aval.shape:
            halves.append(m.inputs[0])
        elif not atom.aval.shape and atom.aval.dtype.kind != "c":
            halves.append(atom)
        else:
            return None
    return b.apply(mirror_p, b.apply(eqn.primitive, *halves, **eqn.params), **first.params)  # type: ignore[no-any-return]


def _converted_half(b: Any, eqn: Equation) -> Atom | None:
    # convert(mirror(h)) -> mirror(convert(h))
    mirrored = b.made_by(eqn.inputs[0], "mirror")
    if not mirrored:
        return None
    half = b.apply(convert_p, mirrored.inputs[0], **eqn.params)
    return b.apply(mirror_p, half, **mirrored.params)  # type: ignore[no-any-return]


RULES = {
    "fft": [_transformed, _transformed_back],
    "real": [_real_of_real, _real_of_transformed],
    "fold": [_folded],
    "convert": [_converted_half],
    "elementwise": [_of_halves],
}

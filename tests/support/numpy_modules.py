"""Probes of ``numpy.linalg`` and ``numpy.fft``, and of the functions that write arrays to files."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from .probe import Probe, p

_S = (3, 3)
_WIDE = (2, 4)
_D = np.diag([3.0, 4.0, 5.0])


def _sym(x: Any) -> Any:
    return x + np.swapaxes(x, -1, -2) + _D


def _hermitian(x: Any) -> Any:
    return x + np.conj(np.swapaxes(x, -1, -2)) + _D


LINALG: dict[str, Probe | tuple[Probe, ...]] = {
    "cholesky": (p(lambda x: np.linalg.cholesky(_sym(x)), _S), p(lambda x: np.linalg.cholesky(_hermitian(x)), _S,
                 dtype="D", what="complex a")),
    "cond": (p(lambda x: np.linalg.cond(x + _D), _S), p(lambda x: np.linalg.cond(x + _D, 1), _S, what="p=1")),
    "cross": p(lambda x, y: np.linalg.cross(x, y), (3,), (3,)),
    "det": (p(lambda x: np.linalg.det(x), _S), p(lambda x: np.linalg.det(x), (2, 3, 3), dtype="D",
            what="complex a")),
    "diagonal": p(lambda x: np.linalg.diagonal(x), _S),
    "eig": p(lambda x: np.abs(np.linalg.eig(_D + 0.3 * x)[0]), _S),
    "eigh": (p(lambda x: np.abs(np.linalg.eigh(_sym(x))[1]), _S), p(lambda x: np.linalg.eigh(_hermitian(x))[0], _S,
             dtype="D", what="complex a")),
    "eigvals": p(lambda x: np.sort(np.linalg.eigvals(_D + 0.3 * x).real), _S),
    "eigvalsh": p(lambda x: np.linalg.eigvalsh(_sym(x)), _S),
    "inv": p(lambda x: np.linalg.inv(x + _D), (2, 3, 3)),
    "lstsq": p(lambda a, b: np.linalg.lstsq(a, b)[0], (4, 2), (4,)),
    "matmul": p(lambda x, y: np.linalg.matmul(x, y), (2, 3), (3, 2)),
    "matrix_norm": (p(lambda x: np.linalg.matrix_norm(x), _S), *[
        p(lambda x, o=o: np.linalg.matrix_norm(x, ord=o), _S, what=f"ord={o!r}") for o in ("nuc", 1, -1, 2, -2, np.inf)
    ]),
    "matrix_power": (p(lambda x: np.linalg.matrix_power(x, 3), _S), p(lambda x: np.linalg.matrix_power(x + _D, -2), _S,
                     what="n < 0")),
    "matrix_rank": p(lambda x: np.linalg.matrix_rank(x), _S),
    "matrix_transpose": p(lambda x: np.linalg.matrix_transpose(x), (2, 3)),
    "multi_dot": p(lambda x, y: np.linalg.multi_dot([x, y, x]), (2, 3), (3, 2)),
    "norm": (p(lambda x: np.linalg.norm(x), _S), *[
        p(lambda x, o=o: np.linalg.norm(x, o), _S, what=f"ord={o!r}") for o in ("fro", "nuc", 2)
    ]),
    "outer": p(lambda x, y: np.linalg.outer(x, y), (3,), (2,)),
    "pinv": (p(lambda x: np.linalg.pinv(x), _WIDE), p(lambda x: np.linalg.pinv(x), (4, 2), dtype="D",
             what="complex a")),
    "qr": (p(lambda x: np.linalg.qr(x), (4, 3)), p(lambda x: np.linalg.qr(x), _WIDE, what="wide"),
           p(lambda x: np.linalg.qr(x, "r"), (4, 3), what='mode="r"'),
           p(lambda x: np.linalg.qr(x, "complete")[1], (4, 3), what='mode="complete"')),
    "slogdet": p(lambda x: np.linalg.slogdet(x), _S),
    "solve": (p(lambda a, b: np.linalg.solve(a + _D, b), _S, (3,)), p(lambda a, b: np.linalg.solve(a + _D, b), _S,
              (3, 2), dtype="D", what="complex")),
    "svd": (p(lambda x: np.linalg.svd(x, full_matrices=False)[1], (3, 4)),
            p(lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[2]), (3, 4), what="vectors"),
            p(lambda x: np.abs(np.linalg.svd(x)[0]), (3, 4), what="full_matrices")),
    "svdvals": p(lambda x: np.linalg.svdvals(x), (3, 4)),
    "tensordot": p(lambda x, y: np.linalg.tensordot(x, y, axes=1), (2, 3), (3, 2)),
    "tensorinv": p(lambda x: np.linalg.tensorinv(x + np.eye(4).reshape(4, 2, 2) * 3, ind=1), (4, 2, 2)),
    "tensorsolve": p(lambda a, b: np.linalg.tensorsolve(a + np.eye(4).reshape(4, 2, 2) * 3, b), (4, 2, 2), (4,)),
    "trace": p(lambda x: np.linalg.trace(x), _S),
    "vecdot": p(lambda x, y: np.linalg.vecdot(x, y), (2, 3), (3,)),
    "vector_norm": (p(lambda x: np.linalg.vector_norm(x), (3,)), *[
        p(lambda x, o=o: np.linalg.vector_norm(x, ord=o), (3,), what=f"ord={o!r}") for o in (1, 3, np.inf, -np.inf)
    ], p(lambda x: np.linalg.vector_norm(x, ord=0), (3,), what="ord=0", flat=True)),
}  # fmt: skip

_TO_COMPLEX = [
    "fft",
    "ifft",
    "fft2",
    "ifft2",
    "fftn",
    "ifftn",
    "fftshift",
    "ifftshift",
    "irfft",
    "irfft2",
    "irfftn",
    "hfft",
]

FFT: dict[str, Probe | tuple[Probe, ...]] = {
    **{
        n: (
            p(lambda x, n=n: getattr(np.fft, n)(x), (3, 4), dtype="D"),
            p(lambda x, n=n: getattr(np.fft, n)(x), (3, 4), what="real a"),
        )
        for n in _TO_COMPLEX
    },
    **{n: p(lambda x, n=n: getattr(np.fft, n)(x), (3, 5)) for n in ("rfft", "rfft2", "rfftn", "ihfft")},
    "fftfreq": p(lambda d: np.fft.fftfreq(4, d), (), what="d"),
    "rfftfreq": p(lambda d: np.fft.rfftfreq(4, d), (), what="d"),
}


def _written(write: Callable[[Any, Any], Any]) -> Callable[[Any], int]:
    """A function that writes x to a file and returns how much it wrote."""

    def fun(x: Any) -> int:
        file = io.BytesIO()
        write(file, x)
        return len(file.getvalue())

    return fun


FILES: dict[str, Probe | tuple[Probe, ...]] = {
    "save": p(_written(lambda f, x: np.save(f, x)), exact=False),
    "savez": p(_written(lambda f, x: np.savez(f, x)), exact=False),
    "savez_compressed": p(_written(lambda f, x: np.savez_compressed(f, x)), exact=False),
    "savetxt": p(_written(lambda f, x: np.savetxt(f, x)), exact=False),
}

"""numpy.linalg under its names: NumPy's own functions, which find the rules for traced arrays in this package.

A few take arguments that jax.numpy has and NumPy has not, see ``extras``.
"""

from numpy.linalg import (
    LinAlgError,
    cond,
    cross,
    det,
    diagonal,
    eig,
    eigvals,
    inv,
    matrix_norm,
    matrix_power,
    matrix_transpose,
    norm,
    outer,
    pinv,
    qr,
    solve,
    svdvals,
    tensorinv,
    tensorsolve,
    trace,
    vector_norm,
)

from fungrad.numpy.linalg import decompositions, norms, products, spectra, systems
from fungrad.numpy.linalg.extras import (
    cholesky,
    eigh,
    eigvalsh,
    lstsq,
    matmul,
    matrix_rank,
    multi_dot,
    slogdet,
    svd,
    tensordot,
    vecdot,
)

_REGISTERING = (decompositions, norms, products, spectra, systems)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]

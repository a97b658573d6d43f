"""NumPy's functions for traced arrays, under NumPy's names and arguments.

User code calls ``numpy`` itself; its two dispatch protocols (see ``dispatch``) find the functions here. Importing this
package fills the tables and gives tracers their operators and methods.
"""

from fungrad.numpy import (
    contraction,
    dispatch,
    elementwise,
    indexing,
    joining,
    operators,
    reductions,
    shaping,
    sorting,
    statistics,
)
from fungrad.numpy.indexing import take

__all__ = [
    "contraction",
    "dispatch",
    "elementwise",
    "indexing",
    "joining",
    "operators",
    "reductions",
    "shaping",
    "sorting",
    "statistics",
    "take",
]

"""The catalogue: a row for each primitive and each public array function. See `row.Row`."""

from .contraction import ROWS as CONTRACTION
from .elementwise import ROWS as ELEMENTWISE
from .fourier import ROWS as FOURIER
from .indexing import ROWS as INDEXING
from .lax import ROWS as LAX
from .linalg_spectra import ROWS as LINALG_SPECTRA
from .linalg_systems import ROWS as LINALG_SYSTEMS
from .polynomials import ROWS as POLYNOMIALS
from .reductions import ROWS as REDUCTIONS
from .row import Row
from .scipy_ufuncs import ROWS as SCIPY_UFUNCS
from .signal import ROWS as SIGNAL
from .special import ROWS as SPECIAL
from .statistics import ROWS as STATISTICS
from .structural import ROWS as STRUCTURAL
from .transforms import ROWS as TRANSFORMS
from .ufunc_methods import ROWS as UFUNC_METHODS

__all__ = ["ROWS", "Row"]

ROWS: list[Row] = [
    *ELEMENTWISE,
    *STRUCTURAL,
    *INDEXING,
    *REDUCTIONS,
    *CONTRACTION,
    *TRANSFORMS,
    *UFUNC_METHODS,
    *STATISTICS,
    *POLYNOMIALS,
    *SIGNAL,
    *FOURIER,
    *LINALG_SYSTEMS,
    *LINALG_SPECTRA,
    *SPECIAL,
    *SCIPY_UFUNCS,
    *LAX,
]

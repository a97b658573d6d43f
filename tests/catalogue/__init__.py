"""The catalogue: a row for each primitive and each public array function. See `row.Row`."""

from .contraction import ROWS as CONTRACTION
from .elementwise import ROWS as ELEMENTWISE
from .indexing import ROWS as INDEXING
from .reductions import ROWS as REDUCTIONS
from .row import Row
from .structural import ROWS as STRUCTURAL
from .transforms import ROWS as TRANSFORMS

__all__ = ["ROWS", "Row"]

ROWS: list[Row] = [*ELEMENTWISE, *STRUCTURAL, *INDEXING, *REDUCTIONS, *CONTRACTION, *TRANSFORMS]

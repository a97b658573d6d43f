"""fungrad.lax: structured control flow, with the names and semantics of ``jax.lax``."""

from fungrad.control.associative_scan import associative_scan
from fungrad.control.cond import cond, switch
from fungrad.control.fori_loop import fori_loop
from fungrad.control.map import map
from fungrad.control.scan import scan
from fungrad.control.while_loop import while_loop

__all__ = ["associative_scan", "cond", "fori_loop", "map", "scan", "switch", "while_loop"]

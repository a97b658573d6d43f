"""Programs that are found again by what they compute.

A body or a branch is recorded at each call of a loop or a cond that is not inside of a jitted function, because what it
closes over may have changed. Where the same equations come out, the program of the last time is used, with its compiled
form and its derivatives.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fungrad._util import describe_function, fun_name
from fungrad.control.call import Program
from fungrad.core.ir import ClosedJaxpr
from fungrad.passes.keys import jaxpr_key

KEPT = 64
"""Programs that are kept for the next call."""

_programs: OrderedDict[Any, Program] = OrderedDict()
_lock = threading.Lock()


def program_of(closed: ClosedJaxpr, fun: Callable[..., Any]) -> Program:
    """The program of a recorded function: the one that there is, if it was made of this function's same equations."""
    key = None if closed.consts else jaxpr_key(closed.jaxpr)
    if key is None:
        return Program(closed, fun_name(fun))
    key = key, describe_function(fun)
    with _lock:
        found = _programs.get(key)
        if found is None:
            found = _programs[key] = Program(closed, fun_name(fun))
            if len(_programs) > KEPT:
                _programs.popitem(last=False)
        else:
            _programs.move_to_end(key)
    return found


def forget_programs() -> None:
    """Let all of them go."""
    with _lock:
        _programs.clear()

"""Small helpers without a subject of their own: where in the user's code we are."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep

SourceInfo = tuple[CodeType, int]
"""A place in the user's code: the code object and the line number."""


def user_source(depth: int = 1) -> SourceInfo | None:
    """The innermost place on the stack that is not inside fungrad or NumPy's Python files."""
    frame = user_frame(depth + 1)
    return None if frame is None else (frame.f_code, frame.f_lineno)


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame on the stack that is not inside fungrad or NumPy's Python files."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE) and f"{os.sep}numpy{os.sep}" not in name:
            return frame
        frame = frame.f_back
    return None


def describe_source(source: SourceInfo | None) -> str:
    """``file.py:12 (in f)``; ``an unknown place`` when there is no source."""
    if source is None:
        return "an unknown place"
    code, line = source
    name = os.path.relpath(code.co_filename) if os.path.exists(code.co_filename) else code.co_filename
    return f"{name}:{line} (in {code.co_name})"


def here() -> str:
    """Where the user's code is now, for error messages."""
    return describe_source(user_source(2))


def fun_name(fun: Any) -> str:
    """The name of a function for messages: ``f``, ``Model.loss``, ``<lambda>``."""
    return getattr(fun, "__qualname__", None) or getattr(fun, "__name__", None) or type(fun).__name__


def describe_function(fun: Any) -> str:
    """``f (file.py:3)`` where the function has a definition in a file, else its name."""
    while hasattr(fun, "__wrapped__"):
        fun = fun.__wrapped__
    code = getattr(fun, "__code__", None)
    if code is None:
        return fun_name(fun)
    return f"{fun_name(fun)} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})"


def set_name(fun: Callable[..., Any], name: str, doc: str | None = None) -> Callable[..., Any]:
    """Name a function that a factory made, so that tracebacks and ``help`` tell what it is."""
    fun.__name__ = fun.__qualname__ = name
    if doc is not None:
        fun.__doc__ = doc
    return fun


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Keep the collector of reference cycles from running again and again while many objects are made that stay."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

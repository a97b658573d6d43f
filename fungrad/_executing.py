"""What a frame of the user's code executes just now, read off its bytecode.

NumPy and Python tell a function on what it is called, but not in which statement:

    plain[x]            wants an index of x, where np.asarray(x) wants the elements
    a += x              gives the name a to the result
    y[key] += x         reads y[key], adds x to that, and assigns the result to y[key]
"""

from __future__ import annotations

import opcode
import sys
from types import FrameType

_AT = opcode.opmap
_CACHE, _COPY, _SWAP, _BINARY_OP = _AT["CACHE"], _AT["COPY"], _AT["SWAP"], _AT["BINARY_OP"]
_SUBSCRIPTS = {
    _AT[name]
    for name in ("BINARY_SUBSCR", "STORE_SUBSCR", "BINARY_OP" if sys.version_info >= (3, 14) else "STORE_SUBSCR")
    if name in _AT
}

_TWICE = bytes([_COPY, 2, _COPY, 2])
"""Executed before ``y[key]`` is read for ``y[key] op= v``: y and key are needed again."""

_BACK = [bytes([_SWAP, 3, _SWAP, 2, _AT["STORE_SUBSCR"]])]
"""Executed after the operation."""

if "STORE_SLICE" in _AT:  # Python 3.12: of a simple slice start and stop are handed over one by one
    _BACK.append(bytes([_SWAP, 4, _SWAP, 3, _SWAP, 2, _AT["STORE_SLICE"]]))


def _instruction(frame: FrameType) -> tuple[bytes, int]:
    """The code, and where in it the instruction stands that is executed."""
    code, last = frame.f_code.co_code, frame.f_lasti
    while code[last] == _CACHE:  # Python 3.11 points behind an instruction that it has specialised
        last -= 2
    return code, last


def is_subscript(frame: FrameType) -> bool:
    """``plain[x]`` or ``plain[x] = ...``."""
    code, last = _instruction(frame)
    return code[last] in _SUBSCRIPTS


def is_augmented(frame: FrameType) -> bool:
    """``a op= b``."""
    code, last = _instruction(frame)
    return code[last] == _BINARY_OP


def reads_augmented(frame: FrameType) -> bool:
    """The reading of ``y[key]`` in ``y[key] op= v``."""
    code, last = _instruction(frame)
    return code[last] in _SUBSCRIPTS and code[last - len(_TWICE) : last] == _TWICE


def operates_augmented(frame: FrameType) -> bool:
    """The operation in ``y[key] op= v``."""
    code, last = _instruction(frame)
    if code[last] != _BINARY_OP:
        return False
    after = last + 2
    while code[after] == _CACHE:
        after += 2
    return any(code.startswith(back, after) for back in _BACK)

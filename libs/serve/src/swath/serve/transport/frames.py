"""Frames: a header, what it is about in marshal's form, and the payload's bytes.

Marshal, not pickle: reading it makes numbers, strings and tuples and never runs code, so that a host may read what
the code of users has written. Both ends run the same Python.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

HEADER = struct.Struct("<QIIBB")
"""Bytes of the payload, number of the call, bytes of what it is about, kind, 1 if sent by who opened the call."""

SCRATCH = 64 * 1024
"""Bytes that are read at once. A frame above that gets memory of its own, which its payload keeps."""

Buffer = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a frame does."""

    CALL = 1
    ITEM = 2
    FINISH = 3
    END = 4
    CANCEL = 5
    CREDIT = 6
    EVENT = 7


def encode(kind: Kind, call: int, opener: bool, about: Any, payload: Sequence[Buffer]) -> list[Buffer]:
    """Return the parts of a frame, to be written one after another."""
    said = b"" if about is None else marshal.dumps(about)
    size = 0
    for part in payload:
        size += len(part)
    head = HEADER.pack(size, call, len(said), kind, opener)
    return [head + said, *payload] if said else [head, *payload]

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

from swath.serve.transport.segments import LARGE, Buffer, Segments

__all__ = ["HEADER", "IN_FILE", "NAME", "SCRATCH", "Buffer", "Kind", "encode"]

HEADER = struct.Struct("<QIIBB")
"""Bytes of the payload, number of the call, bytes of what it is about, kind, 1 if sent by who opened the call."""

SCRATCH = 64 * 1024
"""Bytes that are read at once. A frame above that gets memory of its own, which its payload keeps."""


IN_FILE = 0x80
"""Bit of the kind: the payload is in a file, and `NAME` is in its place."""

NAME = struct.Struct("<Q56s")
"""Size of a payload, and the name of the file that has it."""


class Kind(IntEnum):
    """What a frame does."""

    CALL = 1
    ITEM = 2
    FINISH = 3
    END = 4
    CANCEL = 5
    CREDIT = 6
    EVENT = 7


def encode(
    kind: Kind, call: int, opener: bool, about: Any, payload: Sequence[Buffer], segments: Segments | None = None
) -> list[Buffer]:
    """Return the parts of a frame, to be written one after another.

    Args:
        kind, call, opener, about: What its header says.
        payload: Parts of the payload.
        segments: Take large payloads, where both ends are on one machine.
    """
    said = b"" if about is None else marshal.dumps(about)
    size = 0
    for part in payload:
        size += len(part)
    code = int(kind)
    if segments is not None and size >= LARGE and (name := segments.write(payload)) is not None:
        payload, code = (NAME.pack(size, name.encode()),), kind | IN_FILE
        size = NAME.size
    head = HEADER.pack(size, call, len(said), code, opener)
    return [head + said, *payload] if said else [head, *payload]

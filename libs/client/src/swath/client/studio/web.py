"""grpc-web in its text form: what a page sends and gets for calls.

A body is base64 of frames: a byte of flags, four bytes of length, and a message or, with the first bit of the flags,
the status as lines of text. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Iterator
from urllib.parse import quote

CONTENT_TYPE = "application/grpc-web-text+proto"

_HEAD = struct.Struct(">BI")
_STATUS = 0x80


def read_message(body: bytes) -> bytes:
    """Return the one message of a call.

    Args:
        body: Of the request.

    Raises:
        ValueError: It is not one frame with a message.
    """
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected base64: {error}") from None
    if len(data) < _HEAD.size:
        raise ValueError(f"expected a frame, got {len(data)} bytes")
    flags, length = _HEAD.unpack_from(data)
    if flags or length != len(data) - _HEAD.size:
        raise ValueError(f"expected one frame with a message of {len(data) - _HEAD.size} bytes, got one of {length}")
    return data[_HEAD.size :]


def message_frame(message: bytes) -> bytes:
    """Return a message as a frame."""
    return _HEAD.pack(0, len(message)) + message


def status_frame(code: int, text: str = "") -> bytes:
    """Return the end of a call as a frame."""
    lines = f"grpc-status: {code}\r\n"
    if text:
        lines += f"grpc-message: {quote(text, safe=' ')}\r\n"
    return _HEAD.pack(_STATUS, len(lines)) + lines.encode()


def in_text(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Return frames as base64, padded at the very end alone."""
    rest = b""
    for frame in frames:
        data = rest + frame
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        if whole:
            yield base64.b64encode(data[:whole])
    if rest:
        yield base64.b64encode(rest)

"""Messages with large payloads, read and written without the copies that protobuf makes of them.

A cube of 16 MB that comes as a message is copied by the parser and again by whoever asks for the field. `split` leaves
large payloads where they arrived: it cuts them out of the bytes and parses the little that is left, with a mark in the
place of each. `field` is for the way back: an answer is put together of fields whose payloads stay where they are
until all of them are joined, once.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

LARGE = 64 * 1024
"""Bytes from which on a payload is worth it."""

Buffer = bytes | memoryview

# Nobody outside of this process knows it, so no client can send what would pass for a mark.
_MARK = secrets.token_bytes(16)
# Fields of one message that are looked at; the parser reads the rest faster than a loop here.
_MAX_FIELDS = 64
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


class Payloads:
    """Payloads that were cut out of a message.

    Args:
        views: Each of them, in the order of their marks.
    """

    def __init__(self, views: Sequence[memoryview] = ()) -> None:
        self._views = views

    def of(self, value: bytes) -> Buffer:
        """Return what a bytes field of the message holds: the payload it is the mark of, or else the value itself."""
        if self._views and len(value) == len(_MARK) + 4 and value.startswith(_MARK):
            return self._views[int.from_bytes(value[len(_MARK) :], "little")]
        return value


def split(kind: type[Message], data: bytes) -> tuple[Any, Payloads]:
    """Parse a message, its large bytes fields left aside.

    Args:
        kind: Its class.
        data: It on the wire.

    Returns:
        The message, whose bytes fields are to be read through `Payloads.of`, and the payloads, which are views of
        `data`.

    Raises:
        google.protobuf.message.DecodeError: It is no such message.
    """
    views: list[memoryview] = []
    if len(data) >= LARGE:
        try:
            parts = _cut(memoryview(data), 0, len(data), kind.DESCRIPTOR, views)
        except _Irregular:
            return kind.FromString(data), Payloads()
        return kind.FromString(b"".join(parts)), Payloads(views)
    return kind.FromString(data), Payloads()


def field(number: int, *parts: Buffer) -> list[Buffer]:
    """Return a length-delimited field (bytes, text, message) on the wire, in parts that are still to be joined.

    Args:
        number: Of the field.
        parts: What the field holds.
    """
    return [_varint(number << 3 | _DELIMITED) + _varint(sum(map(len, parts))), *parts]


class _Irregular(Exception):
    """Bytes that only the parser can judge."""


def _cut(data: memoryview, start: int, end: int, descriptor: Any, views: list[memoryview]) -> list[Buffer]:
    """Return a message without its large payloads, in parts."""
    parts: list[Buffer] = []
    kept = position = start
    for _ in range(_MAX_FIELDS):
        if position == end:
            break
        begin = position
        tag, position = _read_varint(data, position, end)
        if tag & 7 == _DELIMITED:
            length, position = _read_varint(data, position, end)
            inner = _cut_field(data, position, position + length, descriptor.fields_by_number.get(tag >> 3), views)
            if inner is not None:
                parts += [data[kept:begin], *field(tag >> 3, *inner)]
                kept = position + length
            position += length
        elif tag & 7 == _VARINT:
            position = _read_varint(data, position, end, max_bytes=10)[1]
        elif tag & 7 in (_FIXED32, _FIXED64):
            position += 4 if tag & 7 == _FIXED32 else 8
        else:
            raise _Irregular
        if position > end:
            raise _Irregular
    return [*parts, data[kept:end]]


def _cut_field(
    data: memoryview, start: int, end: int, descriptor: FieldDescriptor | None, views: list[memoryview]
) -> list[Buffer] | None:
    """Return a field's content in parts, None where it stays as it is."""
    if end - start < LARGE or end > len(data) or descriptor is None:
        return None
    if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        return _cut(data, start, end, descriptor.message_type, views)
    if descriptor.type != FieldDescriptor.TYPE_BYTES:
        return None
    views.append(data[start:end])
    return [_MARK + (len(views) - 1).to_bytes(4, "little")]


def _read_varint(data: memoryview, position: int, end: int, max_bytes: int = 5) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * max_bytes, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Irregular


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)

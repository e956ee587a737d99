"""Messages with large payloads, read and written without the copies that protobuf makes of them.

A cube of 16 MB that comes as a message is copied by the parser and again by whoever asks for the field. `split` leaves
large payloads where they arrived: it cuts them out of the bytes and parses the little that is left, with a mark in the
place of each. `field` is for the way back: an answer is put together of fields whose payloads stay where they are
until all of them are joined, once.
"""

from __future__ import annotations

import secrets
import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

LARGE = 64 * 1024
"""Bytes from which on a payload is worth it."""

Buffer = bytes | memoryview

# Nobody outside of this process knows them, so no client can send what would pass for a mark.
_MARK = secrets.token_bytes(16)
# Marks of numbers are numbers of their type, each of which Python holds exactly.
_SECRETS = {
    "f": tuple(float(secrets.randbits(24)) for _ in range(5)),
    "d": tuple(float(secrets.randbits(53)) for _ in range(3)),
    "I": tuple(secrets.randbits(32) for _ in range(4)),
    "i": tuple(secrets.randbits(31) for _ in range(5)),
    "Q": tuple(secrets.randbits(64) for _ in range(2)),
    "q": tuple(secrets.randbits(63) for _ in range(2)),
}
_CODES = {
    FieldDescriptor.TYPE_FLOAT: "f",
    FieldDescriptor.TYPE_DOUBLE: "d",
    FieldDescriptor.TYPE_FIXED32: "I",
    FieldDescriptor.TYPE_SFIXED32: "i",
    FieldDescriptor.TYPE_FIXED64: "Q",
    FieldDescriptor.TYPE_SFIXED64: "q",
}
"""Types of numbers that a packed field holds as an array does, and their codes in `struct` and `array`."""
# Fields of one message that are looked at; the parser reads the rest faster than a loop here.
_MAX_FIELDS = 64
# Deeper ones the parser refuses, or reads by itself.
_MAX_DEPTH = 32
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


class Payloads:
    """Payloads that were cut out of a message.

    Args:
        views: Each of them, in the order of their marks.
    """

    __slots__ = ("_views",)

    def __init__(self, views: Sequence[memoryview] = ()) -> None:
        self._views = views

    def of(self, value: bytes) -> Buffer:
        """Return what a bytes field of the message holds: the payload it is the mark of, or else the value itself.

        Args:
            value: The field, or an entry of it where it is repeated.
        """
        if self._views and len(value) == len(_MARK) + 4 and value.startswith(_MARK):
            return self._views[int.from_bytes(value[len(_MARK) :], "little")]
        return value

    def numbers(self, values: Sequence[Any], code: str) -> Buffer:
        """Return what a repeated field of numbers of a fixed size holds, as an array in little-endian bytes.

        Args:
            values: The field.
            code: Its type as `struct` and `array` know it: `f` float, `d` double, `I` fixed32, `i` sfixed32,
                `Q` fixed64, `q` sfixed64.

        Returns:
            A view of what arrived where the numbers came packed and at once, else bytes.
        """
        mark = _SECRETS[code]
        size = len(mark) + 1
        if not self._views or mark[0] not in values:
            return _packed(values, code)
        parts: list[Buffer] = []
        kept = at = 0
        while at < len(values):
            if values[at] == mark[0] and tuple(values[at : at + size - 1]) == mark:
                parts += [_packed(values[kept:at], code), self._views[int(values[at + size - 1])]]
                kept = at = at + size
            else:
                at += 1
        parts = [part for part in (*parts, _packed(values[kept:], code)) if part]
        return parts[0] if len(parts) == 1 else b"".join(parts)


_NONE = Payloads()


def split(kind: type[Message], data: bytes, large: int = LARGE) -> tuple[Any, Payloads]:
    """Parse a message, its large payloads left aside: bytes, and packed numbers of a fixed size.

    Args:
        kind: Its class.
        data: It on the wire.
        large: Bytes from which on a payload is left aside.

    Returns:
        The message, whose bytes fields are to be read through `Payloads.of`, and whose repeated fields of numbers of a
        fixed size through `Payloads.numbers`; and the payloads, which are views of `data`.

    Raises:
        google.protobuf.message.DecodeError: It is no such message.
    """
    if len(data) < large:
        return kind.FromString(data), _NONE
    views: list[memoryview] = []
    try:
        parts = _cut(memoryview(data), 0, len(data), kind.DESCRIPTOR, views, large, _MAX_DEPTH)
    except _Irregular:
        return kind.FromString(data), _NONE
    # Without a payload that was cut out, the parser reads what arrived instead of a copy of it.
    return (kind.FromString(b"".join(parts)), Payloads(views)) if views else (kind.FromString(data), _NONE)


def field(number: int, *parts: Buffer) -> list[Buffer]:
    """Return a length-delimited field (bytes, text, message) on the wire, in parts that are still to be joined.

    Args:
        number: Of the field.
        parts: What the field holds.
    """
    return [_varint(number << 3 | _DELIMITED) + _varint(sum(map(len, parts))), *parts]


_ENTRY_TAGS = (1 << 3 | _DELIMITED, 2 << 3 | _DELIMITED)
"""What entries of maps hold that are looked into: a key that is text, and a value that is a message or bytes."""


class _Irregular(Exception):
    """Bytes that only the parser can judge."""


def _cut(
    data: memoryview, start: int, end: int, descriptor: Any, views: list[memoryview], large: int, depth: int
) -> list[Buffer]:
    """Return a message without its large payloads, in parts."""
    if not depth:
        raise _Irregular
    fields = descriptor.fields_by_number
    entry = descriptor.has_options and descriptor.GetOptions().map_entry
    parts: list[Buffer] = []
    kept = position = start
    for _ in range(_MAX_FIELDS):
        if position == end:
            break
        begin = position
        tag, position = _read_varint(data, position, end)
        if entry and tag not in _ENTRY_TAGS:
            # Protobuf keeps an entry with an unknown field as it came, unread.
            raise _Irregular
        if tag & 7 == _DELIMITED:
            length, position = _read_varint(data, position, end)
            if length >= large and position + length <= end and (known := fields.get(tag >> 3)) is not None:
                inner = _cut_field(data, position, position + length, known, views, large, depth)
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
    data: memoryview,
    start: int,
    end: int,
    descriptor: FieldDescriptor,
    views: list[memoryview],
    large: int,
    depth: int,
) -> list[Buffer] | None:
    """Return a field's content in parts, None where it stays as it is."""
    if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
        return _cut(data, start, end, descriptor.message_type, views, large, depth - 1)
    if descriptor.type == FieldDescriptor.TYPE_BYTES:
        views.append(data[start:end])
        return [_MARK + (len(views) - 1).to_bytes(4, "little")]
    code = _CODES.get(descriptor.type)
    if code is None or not descriptor.is_repeated or (end - start) % struct.calcsize(f"<{code}"):
        return None
    views.append(data[start:end])
    mark = _SECRETS[code]
    return [struct.pack(f"<{len(mark) + 1}{code}", *mark, len(views) - 1)]


def _packed(values: Sequence[Any], code: str) -> bytes:
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


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

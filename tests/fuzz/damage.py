"""Requests that are wrong somewhere, thousands per second: the same seed makes the same ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .messages import DEEPEST, WORDS, is_map

_F = FieldDescriptor
_INTEGERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 4, 8, 2**31 - 1, 2**32, 2**61, 2**63 - 1)
_FLOATS = (0.0, -1.0, 1.0, 50.0, 100.0, 1e308, float("inf"), float("-inf"), float("nan"))
_UNSIGNED = {_F.TYPE_UINT32, _F.TYPE_FIXED32, _F.TYPE_UINT64, _F.TYPE_FIXED64}
_WIDE = {_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64, _F.TYPE_UINT64, _F.TYPE_FIXED64}


class Damage:
    """Makes messages at random, changes fields of good ones, and damages bytes.

    Args:
        seed: Of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choose(self, what: Sequence[Any]) -> Any:
        """Return one of several."""
        return self._random.choice(what)

    def stream(self, good: Sequence[bytes], kind: type[Message]) -> list[bytes]:
        """Return a damaged stream: mostly its opening is good, so that what follows is looked at."""
        draw = self._random.random()
        opening = [good[0] if draw < 0.8 else self.request(good[0], kind)]
        rest = [self.request(self.choose(good), kind) for _ in range(self._random.randrange(6))]
        return [*opening, *rest] if draw < 0.97 else rest

    def request(self, good: bytes, kind: type[Message]) -> bytes:
        """Return a request that was a good one, or is nothing like it."""
        draw = self._random.random()
        if draw < 0.05:
            return self._bytes(64)
        if draw < 0.15:
            return self.made(kind).SerializePartialToString()
        if draw < 0.45:
            return self.damaged(good)
        message = kind.FromString(good)
        for _ in range(self._random.randint(1, 2)):
            self.change(message)
        data = message.SerializePartialToString()
        return data if draw < 0.9 else self.damaged(data)

    def damaged(self, data: bytes) -> bytes:
        """Return bytes with some of them changed, left out, repeated or added."""
        for _ in range(self._random.randint(1, 4)):
            at = self._random.randrange(len(data) + 1)
            match self._random.randrange(6):
                case 0:
                    data = data[:at] + self._bytes(8) + data[at:]
                case 1:
                    data = data[:at] + data[at + self._random.randint(1, 8) :]
                case 2:
                    data = data[:at]
                case 3:
                    data = data + data[at:]
                case 4:
                    # A length, or a number, that goes on and on.
                    data = data[:at] + b"\xff" * self._random.randint(1, 11) + data[at + 1 :]
                case _:
                    data = data[:at] + self._bytes(1) + data[at + 1 :]
        # What is doubled again and again would be the only thing that is measured.
        return data[:65536]

    def made(self, kind: type[Message], depth: int = 0) -> Message:
        """Return a message with any of its fields, of any value."""
        message = kind()
        for field in _fields(kind):
            if self._random.random() < 0.4 and (field.message_type is None or depth < DEEPEST):
                self._set(message, field, depth)
        return message

    def change(self, message: Any, depth: int = 0) -> None:
        """Change one field of a message, or of one within it."""
        fields = _fields(type(message))
        if not fields:
            return
        field: Any = self.choose(fields)
        inner = self._inner(message, field)
        if inner is not None and depth < DEEPEST and self._random.random() < 0.7:
            self.change(inner, depth + 1)
            return
        draw = self._random.random()
        if draw < 0.15:
            message.ClearField(field.name)
        elif field.is_repeated and not is_map(field) and len(values := getattr(message, field.name)) and draw < 0.5:
            self._shuffle(values)
        else:
            self._set(message, field, depth)

    def _inner(self, message: Any, field: Any) -> Any:
        """Return a message that a field holds, None if there is none."""
        if field.message_type is None:
            return None
        value = getattr(message, field.name)
        if is_map(field):
            keys = list(value)
            held = value[self.choose(keys)] if keys else None
            return held if isinstance(held, Message) else None
        if field.is_repeated:
            return self.choose(value) if value else None
        return value if message.HasField(field.name) else None

    def _shuffle(self, values: Any) -> None:
        """Leave an element of a list out, or repeat one."""
        at = self._random.randrange(len(values))
        if self._random.random() < 0.5:
            del values[at]
        else:
            values.append(values[at])

    def _set(self, message: Any, field: Any, depth: int) -> None:
        if is_map(field):
            key, value = (field.message_type.fields_by_name[each] for each in ("key", "value"))
            entries = getattr(message, field.name)
            if value.message_type is None:
                entries[self._one(key)] = self._one(value)
            else:
                entries[self._one(key)].CopyFrom(self._held(value, depth))
        elif field.is_repeated:
            values = getattr(message, field.name)
            held = field.message_type is not None
            values.extend(
                self._held(field, depth) if held else self._one(field) for _ in range(self._random.randrange(4))
            )
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(self._held(field, depth))
        else:
            setattr(message, field.name, self._one(field))

    def _held(self, field: Any, depth: int) -> Message:
        return self.made(message_factory.GetMessageClass(field.message_type), depth + 1)

    def _one(self, field: Any) -> Any:
        pick: Callable[[Sequence[Any]], Any] = self.choose
        match field.type:
            case _F.TYPE_STRING:
                return pick(WORDS) if self._random.random() < 0.7 else self._text()
            case _F.TYPE_BYTES:
                return self._bytes(64)
            case _F.TYPE_BOOL:
                return pick((False, True))
            case _F.TYPE_FLOAT | _F.TYPE_DOUBLE:
                value = pick(_FLOATS)
                return min(max(value, -3e38), 3e38) if field.type == _F.TYPE_FLOAT and abs(value) == 1e308 else value
            case _F.TYPE_ENUM:
                return pick([value.number for value in field.enum_type.values] + [-1, 999])
            case _:
                value = pick(_INTEGERS)
                bits = 64 if field.type in _WIDE else 32
                if field.type in _UNSIGNED:
                    return abs(value) % 2**bits
                return value if bits == 64 else min(max(value, -(2**31)), 2**31 - 1)

    def _text(self) -> str:
        return "".join(map(chr, self._random.choices((0, 9, 10, 47, 65, 122, 0xFC, 0x202E, 0xFFFD, 0x1F600), k=5)))

    def _bytes(self, most: int) -> bytes:
        return self._random.randbytes(self._random.randint(1, most))


_known: dict[Any, list[Any]] = {}


def _fields(kind: type[Message]) -> list[Any]:
    found = _known.get(kind)
    if found is None:
        described: Any = kind.DESCRIPTOR
        found = _known[kind] = list(described.fields)
    return found

"""Messages of any type, made from their descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

DEEPEST = 3
"""Messages within messages, at most."""
_F = FieldDescriptor

WORDS = (
    "trainrun",
    "pipeline",
    "trainrun/san_diego_rx",
    "pipeline/san_diego/rx",
    "data.batch_size=2",
    "pipeline.nodes.0.hparams.num_channels=inf",
    "../../etc/passwd",
    "/",
    ".",
    "rx.scores",
    "configs",
    "a" * 5000,
    "\x00",
    "ü\u202e",
    "${oc.env:HOME}",
    "{}",
    '{"nodes": []}',
    '{"nodes": [{"name": "rx", "class_name": "RXGlobal", "hparams": {"num_channels": 1e308}}]}',
    "dot",
    "strict",
    "1",
    "cube",
    "FP32",
    "BYTES",
    "spectral_signature",
    "mask.decisions",
    "classification",
    "priority",
    "shared_memory_region",
    "shared_memory_byte_size",
)
"""Words that mean something somewhere: they reach further than letters at random."""


def messages(kind: type[Message], session_ids: Sequence[str], depth: int = 0) -> st.SearchStrategy[Any]:
    """Return messages of a type; fields named session_id mostly hold one of the given ones."""
    described: Any = kind.DESCRIPTOR.fields
    fields = {field.name: _values(field, session_ids, depth) for field in described if _within(field, depth)}
    chosen = st.fixed_dictionaries({}, optional=fields)
    if "session_id" in fields and session_ids:
        known = st.sampled_from(session_ids)
        chosen = st.builds(lambda some, known: {**some, "session_id": known}, chosen, known)
    return chosen.map(lambda values: _made(kind, values))


def mutated(serialized: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes with some of them changed, left out or added."""

    def mutate(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
        for at, length, new in edits:
            at %= len(data) + 1
            data = data[:at] + new + data[at + length :]
        return data

    edits = st.lists(
        st.tuples(st.integers(0, 1 << 16), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=6
    )
    return st.builds(mutate, serialized, edits)


def _made(kind: type[Message], values: dict[str, Any]) -> Message:
    message = kind()
    for name, value in values.items():
        field: Any = kind.DESCRIPTOR.fields_by_name[name]
        if is_map(field):
            _fill_map(getattr(message, name), value)
        elif field.is_repeated:
            getattr(message, name).extend(value)
        elif field.message_type is not None:
            getattr(message, name).CopyFrom(value)
        else:
            setattr(message, name, value)
    return message


def _fill_map(target: Any, entries: dict[Any, Any]) -> None:
    for key, value in entries.items():
        if isinstance(value, Message):
            target[key].CopyFrom(value)
        else:
            target[key] = value


def _values(field: FieldDescriptor, session_ids: Sequence[str], depth: int) -> st.SearchStrategy[Any]:
    if is_map(field):
        entry: Any = field.message_type
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_one(key, session_ids, depth), _one(value, session_ids, depth), max_size=2)
    one = _one(field, session_ids, depth)
    return st.lists(one, max_size=3) if field.is_repeated else one


def _one(field: FieldDescriptor, session_ids: Sequence[str], depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return messages(message_factory.GetMessageClass(field.message_type), session_ids, depth + 1)
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values]) | st.integers(-5, 1000)
    match field.type:
        case _F.TYPE_STRING:
            return st.sampled_from(WORDS) | st.text(max_size=30)
        case _F.TYPE_BYTES:
            return st.sampled_from([word.encode() for word in WORDS]) | st.binary(max_size=64)
        case _F.TYPE_BOOL:
            return st.booleans()
        case _F.TYPE_FLOAT:
            return st.floats(width=32)
        case _F.TYPE_DOUBLE:
            return st.floats()
        case _F.TYPE_INT32 | _F.TYPE_SINT32 | _F.TYPE_SFIXED32:
            return st.integers(-4, 8) | st.integers(-(2**31), 2**31 - 1)
        case _F.TYPE_UINT32 | _F.TYPE_FIXED32:
            return st.integers(0, 8) | st.integers(0, 2**32 - 1)
        case _F.TYPE_UINT64 | _F.TYPE_FIXED64:
            return st.integers(0, 8) | st.integers(0, 2**64 - 1)
        case _:
            return st.integers(-4, 8) | st.integers(-(2**63), 2**63 - 1)


def _within(field: FieldDescriptor, depth: int) -> bool:
    return field.message_type is None or depth < DEEPEST


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry

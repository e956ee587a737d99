"""What is read around protobuf is what protobuf reads: any message, written in any way that the wire allows."""

from __future__ import annotations

import struct
from array import array
from typing import Any, cast

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swath.api.payloads import LARGE, Payloads, split
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

FIXED = {
    Field.TYPE_FLOAT: "f",
    Field.TYPE_DOUBLE: "d",
    Field.TYPE_FIXED32: "I",
    Field.TYPE_SFIXED32: "i",
    Field.TYPE_FIXED64: "Q",
    Field.TYPE_SFIXED64: "q",
}
# Small enough that messages of a few bytes have payloads that are cut out.
CUT = 8


def _inference_messages():
    """Messages in the form of the Open Inference Protocol, and numbers of every fixed size."""
    file = descriptor_pb2.FileDescriptorProto(name="test/infer.proto", package="test.infer", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, (label, kind) in enumerate(fields, 1):
            entry = made.field.add(name=f"field_{number}", number=number)
            entry.label = getattr(entry, f"LABEL_{label}")
            if kind.startswith("."):
                entry.type, entry.type_name = entry.TYPE_MESSAGE, kind
            else:
                entry.type = getattr(entry, f"TYPE_{kind}")
        return made

    kinds = ("BOOL", "INT32", "INT64", "UINT32", "UINT64", "FLOAT", "DOUBLE", "BYTES")
    message("Contents", *(("REPEATED", kind) for kind in kinds))
    message("Fixed", *(("REPEATED", kind) for kind in ("FIXED32", "SFIXED32", "FIXED64", "SFIXED64", "SINT64")))
    tensor = message(
        "Tensor",
        ("OPTIONAL", "STRING"),
        ("OPTIONAL", "STRING"),
        ("REPEATED", "INT64"),
        ("REPEATED", ".test.infer.Tensor.ParametersEntry"),
        ("OPTIONAL", ".test.infer.Contents"),
        ("OPTIONAL", ".test.infer.Fixed"),
    )
    entry = tensor.nested_type.add(name="ParametersEntry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1)
    key.label, key.type = key.LABEL_OPTIONAL, key.TYPE_STRING
    value = entry.field.add(name="value", number=2)
    value.label, value.type = value.LABEL_OPTIONAL, value.TYPE_BYTES
    message(
        "Request",
        ("OPTIONAL", "STRING"),
        ("OPTIONAL", "STRING"),
        ("OPTIONAL", "STRING"),
        ("OPTIONAL", ".test.infer.Request"),
        ("REPEATED", ".test.infer.Tensor"),
        ("REPEATED", ".test.infer.Tensor"),
        ("REPEATED", "BYTES"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.infer.Request"))


INFER = _inference_messages()
TENSOR: Any = message_factory.GetMessageClass(cast(Any, INFER.DESCRIPTOR.fields_by_name["field_5"].message_type))


# Writing: each rule here is one of the encoding of protocol buffers (https://protobuf.dev/programming-guides/encoding).


def _varint(value, spare=0):
    """A varint, with bytes to spare that the wire allows and nobody writes."""
    encoded = bytearray()
    value &= 2**64 - 1
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    for _ in range(spare):
        encoded[-1] |= 0x80
        encoded.append(0)
    return bytes(encoded)


def _delimited(number, content, spare=0):
    return _varint(number << 3 | 2, spare) + _varint(len(content), spare) + content


numbers = st.integers(-(2**63), 2**64 - 1) | st.integers(-2, 300)
contents = st.binary(max_size=40)


def _number(kind):
    """A number of a field's type: how it is on the wire, and its kind of entry."""
    if kind in FIXED:
        size = struct.calcsize("<" + FIXED[kind])
        values = st.binary(min_size=size, max_size=size)
        if kind in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
            values = st.floats(width=32 if size == 4 else 64).map(lambda value: struct.pack("<" + FIXED[kind], value))
        return values, 5 if size == 4 else 1
    return st.builds(_varint, numbers, st.integers(0, 1)), 0


def _field(described, depth):
    """One occurrence of a field."""
    number = described.number
    spare = st.sampled_from((0, 0, 0, 1))
    if described.type == Field.TYPE_MESSAGE:
        return st.builds(_delimited, st.just(number), wire(described.message_type, depth - 1), spare)
    if described.type == Field.TYPE_BYTES:
        return st.builds(_delimited, st.just(number), contents, spare)
    if described.type == Field.TYPE_STRING:
        text = st.text(max_size=12).map(str.encode)
        return st.builds(_delimited, st.just(number), text, spare)
    values, kind = _number(described.type)
    single = values.map(lambda value: _varint(number << 3 | kind) + value)
    if not described.is_repeated:
        return single
    packed = st.lists(values, max_size=8).map(lambda each: _delimited(number, b"".join(each)))
    return single | packed


def _unknown():
    """A field that no message here has, or a known number with another kind of entry."""
    number = st.sampled_from((3, 7, 15, 16, 2000))
    group = st.builds(
        lambda number, inner: _varint(number << 3 | 3) + inner + _varint(number << 3 | 4), number, st.just(b"\x08\x01")
    )
    return st.one_of(
        st.builds(_delimited, number, contents),
        st.builds(lambda number, value: _varint(number << 3) + _varint(value), number, numbers),
        st.builds(lambda number, value: _varint(number << 3 | 5) + value, number, st.binary(min_size=4, max_size=4)),
        st.builds(lambda number, value: _varint(number << 3 | 1) + value, number, st.binary(min_size=8, max_size=8)),
        group,
    )


def wire(described, depth):
    """Bytes of a message: fields in any order and number, so split, repeated and merged ones too."""
    fields = [_field(field, depth) for field in described.fields if depth > 0 or field.type is not Field.TYPE_MESSAGE]
    chosen = st.one_of(*fields, _unknown()) if fields else _unknown()
    return st.lists(chosen, max_size=5).map(b"".join)


def damaged(whole):
    """Bytes with some of them changed, or without their end."""

    def damage(data, places, end):
        changed = bytearray(data)
        for place, byte in places:
            if changed:
                changed[place % len(changed)] = byte
        return bytes(changed[: len(changed) - end % (len(changed) + 1)])

    places = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3)
    return st.builds(damage, whole, places, st.integers(0, 30) | st.just(0))


# Reading: a message as protobuf parses it, and one whose payloads are put back.


def _restore(message, payloads):
    """Put the payloads of a message back, and each number as Python holds it."""
    for described, value in message.ListFields():
        if described.type == Field.TYPE_MESSAGE:
            entry = described.message_type
            if entry.GetOptions().map_entry:
                for key in value:
                    if entry.fields_by_name["value"].type == Field.TYPE_MESSAGE:
                        _restore(value[key], payloads)
                    elif entry.fields_by_name["value"].type == Field.TYPE_BYTES:
                        value[key] = bytes(payloads.of(value[key]))
            else:
                for each in value if described.is_repeated else (value,):
                    _restore(each, payloads)
        elif described.type == Field.TYPE_BYTES:
            if described.is_repeated:
                value[:] = [bytes(payloads.of(each)) for each in value]
            else:
                setattr(message, described.name, bytes(payloads.of(value)))
        elif described.is_repeated and described.type in FIXED:
            code = FIXED[described.type]
            numbers = array(code, bytes(payloads.numbers(value, code)))
            del value[:]
            value.extend(numbers)
    return message


def _same(kind, data):
    """Whether the two ways of reading agree: the same message, or both refuse it. Returns what was cut out."""
    try:
        expected = kind.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            split(kind, data, CUT)
        return None
    message, payloads = split(kind, data, CUT)
    found = _restore(message, payloads).SerializeToString(deterministic=True)
    assert found == _restore(expected, Payloads()).SerializeToString(deterministic=True)
    return payloads


many = settings(max_examples=400, deadline=None, suppress_health_check=cast(list[HealthCheck], list(HealthCheck)))


@many
@given(wire(pb.InferenceRequest.DESCRIPTOR, 4))
def test_requests_of_sessions_are_read_as_protobuf_reads_them(data):
    _same(pb.InferenceRequest, data)


@many
@given(wire(INFER.DESCRIPTOR, 3))
def test_requests_of_models_are_read_as_protobuf_reads_them(data):
    _same(INFER, data)


@many
@given(damaged(wire(pb.InferenceRequest.DESCRIPTOR, 4)))
# A length of five bytes, and of more than there may be.
@example(b"\x12\x88\x80\x80\x80\x00" + bytes(8))
@example(b"\x12\x88\x80\x80\x80\x80\x00" + bytes(8))
def test_damaged_requests_of_sessions_are_refused_or_read_as_protobuf_does(data):
    _same(pb.InferenceRequest, data)


@many
@given(damaged(wire(INFER.DESCRIPTOR, 3)))
def test_damaged_requests_of_models_are_refused_or_read_as_protobuf_does(data):
    _same(INFER, data)


@pytest.mark.parametrize("depth", [10, 31, 32, 33, 95, 99, 100, 101, 2000])
def test_messages_in_messages_are_read_or_refused_at_the_depth_at_which_protobuf_does(depth):
    data = _delimited(7, b"x" * 20)
    for _ in range(depth):
        data = _delimited(4, data)
    _same(INFER, data)


def test_raw_contents_are_views_in_their_order():
    first, second = bytes(range(256)) * 300, b"\x01" * LARGE
    data = INFER(field_1="rx", field_7=[first, b"small", second]).SerializeToString()
    message, payloads = split(INFER, data)
    views = [payloads.of(each) for each in message.field_7]
    assert views == [first, b"small", second]
    assert [isinstance(view, memoryview) and view.obj is data for view in views] == [True, False, True]


@pytest.mark.parametrize(("field", "code"), [(6, "f"), (7, "d")])
def test_packed_numbers_are_views(field, code):
    values = array(code, range(LARGE))
    tensor = TENSOR()
    getattr(tensor.field_5, f"field_{field}").extend(values)
    data = tensor.SerializeToString()
    message, payloads = split(TENSOR, data)
    view = payloads.numbers(getattr(message.field_5, f"field_{field}"), code)
    assert isinstance(view, memoryview)
    assert view.obj is data
    assert view == values.tobytes()


def test_numbers_that_come_in_pieces_are_one_array():
    def piece(*values):
        return struct.pack(f"<{len(values)}f", *values)

    packed = _delimited(6, piece(1, 2, 3)) + _varint(6 << 3 | 5) + piece(4) + _delimited(6, piece(5, 6))
    data = _delimited(5, packed) + _delimited(5, _delimited(6, piece(7)))
    message, payloads = split(TENSOR, data, CUT)
    assert bytes(payloads.numbers(message.field_5.field_6, "f")) == piece(1, 2, 3, 4, 5, 6, 7)


def test_numbers_that_are_no_array_are_refused_as_the_parser_refuses_them():
    data = _delimited(5, _delimited(6, bytes(CUT + 1)))
    with pytest.raises(DecodeError):
        TENSOR.FromString(data)
    with pytest.raises(DecodeError):
        split(TENSOR, data, CUT)

"""Messages whose large payloads stay where they arrived."""

import random

import pytest
from google.protobuf.message import DecodeError

from swath.api.payloads import LARGE, Payloads, field, split
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

CUBE = random.Random(0).randbytes(3 * LARGE)
SMALL = b"small"


def _request(**inputs):
    return pb.InferenceRequest(session_id="s", inputs=pb.InputBatch(**inputs), output_specs=["scores"])


def _tensor(data):
    return pb.Tensor(shape=[-1], dtype=pb.D_TYPE_UINT8, raw_data=data)


def _restored(message, payloads):
    """Return a request with its payloads put back."""
    whole = pb.InferenceRequest()
    whole.CopyFrom(message)
    tensors = [getattr(whole.inputs, key) for key in ("cube", "mask") if whole.inputs.HasField(key)]
    for tensor in (*tensors, *whole.inputs.extra_inputs.values()):
        tensor.raw_data = bytes(payloads.of(tensor.raw_data))
    return whole


def test_large_payloads_are_views_of_what_arrived_and_all_else_is_parsed():
    extra = {"first": _tensor(CUBE[::-1]), "second": _tensor(SMALL)}
    request = _request(cube=_tensor(CUBE), mask=_tensor(SMALL), extra_inputs=extra)
    data = request.SerializeToString()

    message, payloads = split(pb.InferenceRequest, data)

    assert message.ByteSize() < 400
    view = payloads.of(message.inputs.cube.raw_data)
    assert isinstance(view, memoryview)
    assert view.obj is data
    assert message.inputs.mask.raw_data == SMALL
    assert _restored(message, payloads) == request


def test_a_small_message_is_parsed_as_it_is():
    request = _request(cube=_tensor(SMALL))
    message, payloads = split(pb.InferenceRequest, request.SerializeToString())
    assert message == request
    assert payloads.of(message.inputs.cube.raw_data) == SMALL


def test_of_a_field_that_comes_twice_the_last_one_counts():
    first, last = _request(cube=_tensor(CUBE)), _request(cube=_tensor(CUBE[::-1]))
    message, payloads = split(pb.InferenceRequest, first.SerializeToString() + last.SerializeToString())
    assert payloads.of(message.inputs.cube.raw_data) == CUBE[::-1]
    assert list(message.output_specs) == ["scores", "scores"]


def test_a_payload_behind_many_fields_is_left_to_the_parser():
    boxes = pb.BoundingBoxes(boxes=[pb.BoundingBox(element_id=index) for index in range(40_000)])
    request = _request(cube=_tensor(CUBE), bboxes=boxes)
    before = pb.InferenceRequest(output_specs=[""] * 100).SerializeToString()
    message, payloads = split(pb.InferenceRequest, before + request.SerializeToString())
    assert message.inputs.cube.raw_data == CUBE
    assert payloads.of(message.inputs.cube.raw_data) == CUBE
    assert len(message.inputs.bboxes.boxes) == 40_000


def test_nothing_that_a_client_sends_passes_for_a_mark():
    request = _request(cube=_tensor(CUBE), mask=_tensor(bytes(20)))
    message, payloads = split(pb.InferenceRequest, request.SerializeToString())
    mark = message.inputs.cube.raw_data
    assert len(mark) == 20
    assert payloads.of(bytes(20)) == bytes(20)
    assert Payloads().of(mark) == mark


def test_groups_are_left_to_the_parser():
    group = bytes([0xBB, 0x3E, 0xBC, 0x3E])  # begin and end of an unknown group, number 999
    request = _request(cube=_tensor(CUBE))
    message, payloads = split(pb.InferenceRequest, group + request.SerializeToString())
    assert message.inputs.cube.raw_data == CUBE
    assert payloads.of(message.inputs.cube.raw_data) == CUBE


@pytest.mark.parametrize("longer", [b"\x92\x80\x80\x80\x80\x00", b"\x92\x80\x80\x80\x80\x80\x80\x80\x80\x00"])
def test_a_tag_that_is_too_long_is_refused(longer):
    inputs = _request(cube=_tensor(CUBE)).inputs.SerializeToString()
    data = longer + b"".join(field(2, inputs))[1:]
    with pytest.raises(DecodeError):
        pb.InferenceRequest.FromString(data)
    with pytest.raises(DecodeError):
        split(pb.InferenceRequest, data)


def test_damaged_messages_are_refused_as_the_parser_refuses_them():
    whole = _request(cube=_tensor(CUBE), extra_inputs={"more": _tensor(CUBE)}).SerializeToString()
    second = len(whole) - len(CUBE)
    heads = [*range(64), *range(second - 64, second)]
    chance = random.Random(1)
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        for place in chance.sample(heads, chance.randint(1, 3)):
            data[place] = chance.randrange(256)
        damaged = bytes(data[: chance.choice([len(data), chance.randrange(LARGE, len(data))])])
        try:
            expected = pb.InferenceRequest.FromString(damaged)
        except DecodeError:
            refused += 1
            with pytest.raises(DecodeError):
                split(pb.InferenceRequest, damaged)
        else:
            assert _restored(*split(pb.InferenceRequest, damaged)) == expected
    assert 50 < refused < 600


def test_fields_that_are_put_together_are_what_protobuf_writes():
    tensor = pb.Tensor(shape=[2, 3], dtype=pb.D_TYPE_UINT8)
    entry = field(1, *field(1, b"node.port"), *field(2, tensor.SerializeToString(), *field(3, memoryview(CUBE))))
    answer = pb.InferenceResponse.FromString(b"".join(entry))
    tensor.raw_data = CUBE
    assert answer.outputs["node.port"] == tensor
    assert len(answer.outputs) == 1

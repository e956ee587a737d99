"""Tensors in the form in which they travel."""

import numpy as np
import pytest
import torch

from swath.engine.graph.codec import (
    CODES,
    DTYPES,
    OIP_DTYPES,
    bytes_of,
    decode,
    encode,
    join_strings,
    split_strings,
    view_bytes,
)
from swath.errors import InputInvalid


@pytest.mark.parametrize("code", DTYPES)
def test_every_type_survives_the_way(code):
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(DTYPES[code])
    shape, sent, data = encode(tensor)
    assert sent == code
    assert torch.equal(decode(shape, sent, data), tensor)


def test_decoding_copies_nothing():
    data = bytes(64)
    tensor = decode([16], 1, data)
    assert tensor.data_ptr() == np.frombuffer(data, dtype=np.uint8).__array_interface__["data"][0]


@pytest.mark.parametrize("offset", range(4))
def test_a_payload_may_begin_anywhere(offset):
    values = torch.arange(6, dtype=torch.float32)
    data = bytes(offset) + values.numpy().tobytes()
    tensor = decode([6], 1, memoryview(data)[offset:])
    assert torch.equal(tensor, values)
    assert tensor.data_ptr() % 4 == 0


def test_encoding_copies_nothing_that_lies_in_order():
    tensor = torch.arange(6)
    _, _, data = encode(tensor)
    assert np.frombuffer(data, dtype=np.uint8).__array_interface__["data"][0] == tensor.data_ptr()


def test_an_empty_shape_means_one_flat_dimension():
    assert decode([], 1, bytes(12)).shape == (3,)


def test_one_size_is_inferred():
    assert decode([2, -1], 5, bytes(6)).shape == (2, 3)


def test_an_empty_batch():
    assert decode([0, 4], 1, b"").shape == (0, 4)


def test_a_tensor_that_is_not_contiguous_is_sent_in_order():
    tensor = torch.arange(6, dtype=torch.int32).view(2, 3).T
    shape, code, data = encode(tensor)
    assert torch.equal(decode(shape, code, data), tensor)


@pytest.mark.parametrize(
    ("shape", "code", "data", "words"),
    [
        ([2], 0, bytes(8), "Unsupported dtype: 0"),
        ([3], 1, bytes(8), r"cannot reshape array of size 2 into shape \[3\]"),
        ([2], 1, bytes(7), "7 bytes are no whole number of float32"),
        ([-1, -1], 1, bytes(8), "cannot reshape"),
        ([-2], 1, bytes(8), "cannot reshape"),
        ([-1, 0], 1, b"", "cannot reshape"),
        ([2**40, 2**40], 1, bytes(8), "cannot reshape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(shape, code, data, words):
    with pytest.raises(InputInvalid, match=words) as caught:
        decode(shape, code, data, name="cube")
    assert caught.value.message.startswith("cube: ")


def test_a_type_without_a_code_is_refused():
    with pytest.raises(InputInvalid, match="bfloat16 cannot be sent"):
        encode(torch.zeros(2, dtype=torch.bfloat16), name="RX.scores")


def test_codes_and_types_are_each_others_inverse():
    assert {CODES[dtype]: dtype for dtype in CODES} == dict(DTYPES)


# Values and their bytes, from the formats' own definitions (IEEE 754, bfloat16 as its upper half).
BYTES = {
    "BOOL": ([True, False], "01 00"),
    "UINT8": ([1, 255], "01 ff"),
    "UINT16": ([1, 65535], "0100 ffff"),
    "UINT32": ([1, 2**32 - 1], "01000000 ffffffff"),
    "UINT64": ([1, 2**63], "0100000000000000 0000000000000080"),
    "INT8": ([1, -1], "01 ff"),
    "INT16": ([1, -2], "0100 feff"),
    "INT32": ([1, -2], "01000000 feffffff"),
    "INT64": ([1, -2], "0100000000000000 feffffffffffffff"),
    "FP16": ([1.0, -2.0], "003c 00c0"),
    "BF16": ([1.0, -2.0], "803f 00c0"),
    "FP32": ([1.0, -2.0], "0000803f 000000c0"),
    "FP64": ([1.0, -2.0], "000000000000f03f 00000000000000c0"),
}


@pytest.mark.parametrize("name", OIP_DTYPES)
@pytest.mark.parametrize("offset", [0, 1])
def test_every_type_of_the_open_inference_protocol_is_what_its_bytes_say(name, offset):
    values, hexadecimal = BYTES[name]
    data = bytes.fromhex(hexadecimal)
    tensor = view_bytes([2, 1], OIP_DTYPES[name], memoryview(bytes(offset) + data)[offset:])
    assert tensor.dtype is OIP_DTYPES[name]
    assert tensor.tolist() == [[values[0]], [values[1]]]
    assert bytes(bytes_of(tensor)) == data
    assert bytes(bytes_of(tensor.T)) == data


def test_a_true_of_any_byte_comes_back_as_one():
    tensor = decode([3], 6, b"\x00\x02\xff")
    assert tensor.tolist() == [False, True, True]
    assert bytes(encode(tensor)[2]) == b"\x00\x01\x01"


def test_a_tensor_may_have_more_dimensions_than_numpy_arrays():
    assert decode([1] * 70 + [2], 1, bytes(8)).shape == (*[1] * 70, 2)


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_a_tensor_without_elements_has_no_bytes(shape):
    assert bytes(bytes_of(torch.empty(shape, dtype=torch.bfloat16))) == b""


def test_a_tensor_with_a_gradient_is_sent_as_its_values():
    assert bytes(bytes_of(torch.ones(1, requires_grad=True))) == bytes.fromhex("0000803f")


def test_strings_are_lengths_and_bytes():
    data = bytes.fromhex("02000000 6100 00000000 03000000 c3bc62")
    values = [b"a\0", b"", "üb".encode()]
    assert split_strings(memoryview(data), 3) == values
    assert join_strings(values) == data
    assert split_strings(b"", 0) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("010000", "incomplete length of element 0: 3 bytes of 4"),
        ("0100000061 02000000 61", "element 1 has 1 bytes, expected 2"),
        ("0100000061", "expected 2 elements, got 1"),
        ("00000000 00000000 00000000", "expected 2 elements, got 3"),
    ],
)
def test_strings_that_do_not_fit_are_refused(data, words):
    with pytest.raises(InputInvalid, match=words):
        split_strings(bytes.fromhex(data), 2, name="names")

"""Tensors in the form in which they travel."""

import numpy as np
import pytest
import torch

from swath.engine.graph.codec import CODES, DTYPES, decode, encode
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

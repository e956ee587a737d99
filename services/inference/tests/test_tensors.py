"""Requests that are no batch."""

import os
import uuid
from pathlib import Path

import pytest
import torch

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import FileMissing, InputInvalid, Precondition
from swath_inference.protocols.cuvis.servicer import InferenceCall
from swath_inference.protocols.cuvis.tensors import read_batch, read_tensor, write_outputs
from swath_inference.shm.segments import read_segment

FLOAT = pb.D_TYPE_FLOAT32


def read_own(reference, name):
    """Read segments whose names begin with swath-."""
    return read_segment(reference.name, reference.byte_offset, reference.byte_size, name=name, prefix="swath-")


@pytest.mark.parametrize("shape", [[1, 0, 4, 3], [1, 4, 4, 0], [0, 0, 0, 0]])
def test_a_frame_without_elements_is_refused(shape):
    with pytest.raises(InputInvalid, match="no elements in a frame"):
        read_batch(pb.InputBatch(cube=pb.Tensor(shape=shape, dtype=FLOAT, raw_data=b"")))


def test_a_batch_without_frames_is_taken():
    cube = pb.Tensor(shape=[0, 4, 4, 3], dtype=FLOAT, raw_data=b"")
    assert read_batch(pb.InputBatch(cube=cube))["cube"].shape == (0, 4, 4, 3)


def test_a_shape_beyond_all_memory_is_refused():
    tensor = pb.Tensor(shape=[2**62, 2**62, 0], dtype=FLOAT, raw_data=b"")
    with pytest.raises(InputInvalid, match="too large"):
        read_tensor(tensor, name="cube")


@pytest.fixture
def segment():
    """Name of a shared memory segment that holds the floats 0 to 3."""
    name = f"swath-{uuid.uuid4()}"
    place = Path("/dev/shm", name)
    place.write_bytes(bytes.fromhex("00000000 0000803f 00000040 00004040"))
    yield name
    place.unlink()


def _shared(name, offset, size, shape=(2,)):
    return pb.Tensor(shape=shape, dtype=FLOAT, shm_ref=pb.ShmRef(name=name, byte_offset=offset, byte_size=size))


def test_shared_memory_is_read_at_its_offset_and_survives_the_segment(segment):
    tensor = read_tensor(_shared(f"/{segment}", 4, 8), name="cube", shared=read_own)
    os.truncate(f"/dev/shm/{segment}", 0)
    assert tensor.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "offset", "size", "error"),
    [
        ("", 0, 8, InputInvalid),
        ("swath-a/../b", 0, 8, InputInvalid),
        ("swath-\0", 0, 8, InputInvalid),
        ("swath-none", 0, 8, FileMissing),
        ("other", 0, 8, Precondition),
    ],
)
def test_names_that_are_no_segments_are_refused(name, offset, size, error):
    with pytest.raises(error):
        read_tensor(_shared(name, offset, size), name="cube", shared=read_own)


@pytest.mark.parametrize(("offset", "size"), [(2, 8), (0, 6), (12, 8), (2**63, 2**63)])
def test_places_outside_of_the_segment_are_refused(segment, offset, size):
    with pytest.raises(InputInvalid):
        read_tensor(_shared(segment, offset, size), name="cube", shared=read_own)


def test_shared_memory_is_for_clients_of_the_same_host(segment):
    with pytest.raises(Precondition, match="same host"):
        read_tensor(_shared(segment, 0, 8), name="cube")


def test_large_and_small_outputs_are_one_answer():
    large, turned = torch.rand(2, 128, 128, 3), torch.rand(300, 400).T
    outputs = {
        "a.large": large,
        "b.small": torch.tensor([True, False]),
        "c.turned": turned,
        "d.number": 0.5,
        "e": "text",
    }

    answer = pb.InferenceResponse.FromString(write_outputs(outputs, frozenset()))

    batch = read_batch(pb.InputBatch(extra_inputs=dict(answer.outputs)))
    assert set(batch) == {"a.large", "b.small", "c.turned"}
    assert all(torch.equal(batch[key], outputs[key]) for key in batch)
    assert dict(answer.metrics) == {"d.number": 0.5}


def test_a_batch_is_the_same_wherever_its_payload_lies():
    cube = torch.rand(1, 100, 100, 4)
    for padding in range(4):
        request = pb.InferenceRequest(
            session_id="s" * (1 + padding),
            inputs=pb.InputBatch(cube=pb.Tensor(shape=cube.shape, dtype=FLOAT, raw_data=cube.numpy().tobytes())),
        )
        call = InferenceCall.read(request.SerializeToString())
        batch = read_batch(call.request.inputs, payloads=call.payloads)
        assert torch.equal(batch["cube"], cube)
        assert call.session_id == request.session_id

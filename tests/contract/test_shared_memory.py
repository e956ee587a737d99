"""Tensors by reference: between processes of one machine a cube need not travel at all.

A suite's gateway is another process than its replicas, so only clients of a server in one process can do so.
"""

from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from swath.client import Client, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

NORM = {
    "name": "norm",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}
CUBE = np.random.default_rng(2).random((1, 32, 32, 8), dtype=np.float32)


@pytest.fixture
def normalizing(server):
    """A session at the server in one process, whose pipeline takes `data`."""
    with Client(server.target) as client, client.session() as session:
        session.load_pipeline({"nodes": [NORM], "connections": []})
        yield session.id


@pytest.fixture
def local_stub(server):
    """A stub of the server in one process."""
    with Client(server.target) as client:
        yield client.stub


def _request(session: str, tensor: pb.Tensor) -> pb.InferenceRequest:
    return pb.InferenceRequest(session_id=session, inputs=pb.InputBatch(extra_inputs={"data": tensor}))


def _reference(name: str) -> pb.Tensor:
    place = pb.ShmRef(name=f"/{name}", byte_offset=0, byte_size=CUBE.nbytes)
    return pb.Tensor(shape=CUBE.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=place)


def test_it_gives_the_same_answer(local_stub, normalizing):
    segment = SharedMemory(name=f"swath-{normalizing}-cube", create=True, size=CUBE.nbytes)
    try:
        np.ndarray(CUBE.shape, CUBE.dtype, buffer=segment.buf)[:] = CUBE
        by_reference = local_stub.Inference(_request(normalizing, _reference(segment.name)))
    finally:
        segment.close()
        segment.unlink()
    assert by_reference == local_stub.Inference(_request(normalizing, numpy_to_proto(CUBE)))


def test_segments_carry_the_sessions_name(local_stub, normalizing, refused):
    code, _, text = refused(local_stub.Inference, _request(normalizing, _reference("psm_other")))
    assert code.name == "FAILED_PRECONDITION"
    assert f"swath-{normalizing}" in text


def test_a_server_that_asks_nobody_who_calls_takes_segments_of_any_name(local_stub, normalizing):
    segment = SharedMemory(create=True, size=CUBE.nbytes)
    try:
        assert not segment.name.startswith("swath")
        np.ndarray(CUBE.shape, CUBE.dtype, buffer=segment.buf)[:] = CUBE
        by_reference = local_stub.Inference(_request(normalizing, _reference(segment.name)))
    finally:
        segment.close()
        segment.unlink()
    assert by_reference == local_stub.Inference(_request(normalizing, numpy_to_proto(CUBE)))


def test_a_segment_that_is_not_there(local_stub, normalizing, refused):
    code, _, text = refused(local_stub.Inference, _request(normalizing, _reference(f"swath-{normalizing}-none")))
    assert code.name == "NOT_FOUND"
    assert "[Errno 2]" in text

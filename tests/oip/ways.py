"""Ways to call a published model besides requests of the protocol that hold their tensors."""

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory

import grpc
import numpy as np

from swath.inference import open_inference_pb2 as pb
from swath.redhare import stream_pb2, stream_pb2_grpc
from swath.rpc.proxies import NO_PROXY

OPTIONS = [NO_PROXY, ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def by_redhare(target, model, batch):
    """Return what redhare.Inference answers: the outputs as JSON has them."""
    with grpc.insecure_channel(target, options=OPTIONS) as channel:
        stub = stream_pb2_grpc.InferenceStub(channel)
        attributes = {"model_name": model, "user_name": "anybody", "password": "anything"}
        told = stub.auth(stream_pb2.AuthRequest(attributes=attributes), timeout=60)
    inputs = {
        name: {"data": base64.b64encode(array.tobytes()).decode(), "shape": array.shape, "dtype": str(array.dtype)}
        for name, array in batch.items()
    }
    record = json.dumps({"key": "only", "inputs": inputs}).encode()
    requests = [stream_pb2.Request(token=told.token), stream_pb2.Request(data=record)]
    with grpc.insecure_channel(told.url, options=OPTIONS) as channel:
        [response] = stream_pb2_grpc.InferenceStub(channel).stream_infer(iter(requests), timeout=60)
    answer = json.loads(response.data)
    assert answer["key"] == "only"
    assert "error" not in answer, answer
    return answer["result"]


def by_shared_memory(stub, request, sizes):
    """Make a raw request with every tensor in shared memory, and return the outputs' bytes by name.

    Args:
        stub: Of the protocol; the server is on this machine.
        request: A raw request.
        sizes: Bytes of each output to ask for, by name.
    """
    given = pb.ModelInferRequest()
    given.CopyFrom(request)
    del given.raw_input_contents[:]
    with _region(stub, sum(map(len, request.raw_input_contents))) as (name, memory):
        offset = 0
        for each, data in zip(given.inputs, request.raw_input_contents, strict=True):
            memory[offset : offset + len(data)] = data
            _place(each.parameters, name, offset, len(data))
            offset += len(data)
        with _region(stub, sum(sizes.values())) as (taken, found):
            offset = 0
            for output, size in sizes.items():
                _place(given.outputs.add(name=output).parameters, taken, offset, size)
                offset += size
            answer = stub.ModelInfer(given, timeout=60)
            assert not any(answer.raw_output_contents), "outputs travelled"
            parts = np.split(np.frombuffer(bytes(found[:offset]), np.uint8), np.cumsum(list(sizes.values()))[:-1])
    return {output: part.tobytes() for output, part in zip(sizes, parts, strict=True)}


def _place(parameters, region, offset, size):
    parameters["shared_memory_region"].string_param = region
    parameters["shared_memory_offset"].int64_param = offset
    parameters["shared_memory_byte_size"].int64_param = size


@contextmanager
def _region(stub, size) -> Iterator[tuple[str, memoryview]]:
    name = f"swath-test-ways-{uuid.uuid4().hex[:12]}"
    memory = SharedMemory(name, create=True, size=size)
    try:
        stub.SystemSharedMemoryRegister(
            pb.SystemSharedMemoryRegisterRequest(name=name, key=f"/{name}", byte_size=size), timeout=20
        )
        assert memory.buf is not None
        yield name, memory.buf
        stub.SystemSharedMemoryUnregister(pb.SystemSharedMemoryUnregisterRequest(name=name), timeout=20)
    finally:
        memory.close()
        memory.unlink()

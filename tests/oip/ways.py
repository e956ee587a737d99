"""Ways to call a published model: one batch goes by each of them, and the same bits come back."""

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

DATATYPES = {
    "float32": ("FP32", "fp32_contents"),
    "int32": ("INT32", "int_contents"),
    "int64": ("INT64", "int64_contents"),
    "uint16": ("UINT16", "uint_contents"),
}
OPTIONS = [NO_PROXY, ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def request_of(name, batch, *, raw, request_id=""):
    """Return a request of the protocol, with raw or with typed tensors."""
    request = pb.ModelInferRequest(model_name=name, id=request_id)
    for key, array in batch.items():
        datatype, field = DATATYPES[str(array.dtype)]
        each = request.inputs.add(name=key, datatype=datatype, shape=array.shape)
        if raw:
            request.raw_input_contents.append(array.tobytes())
        else:
            getattr(each.contents, field).extend(array.ravel().tolist())
    return request


def bits(response):
    """Return the outputs of an answer: datatype, shape and bytes by name."""
    return {
        each.name: (each.datatype, tuple(each.shape), raw)
        for each, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def by_protocol(stub, name, batch, **how):
    """Return what the protocol answers to a raw and to a typed request, and on a stream to three, of each form.

    Args:
        stub: Of the protocol.
        name: Of the model.
        batch: Arrays by input.
        how: For each call, such as `metadata`.
    """
    raw, typed = (bits(stub.ModelInfer(request_of(name, batch, raw=each), timeout=60, **how)) for each in (True, False))
    requests = [request_of(name, batch, raw=each) for each in (True, False, True)]
    streamed = stub.ModelStreamInfer(iter(requests), timeout=60, **how)
    return raw, typed, [bits(answer.infer_response) for answer in streamed]


def by_stream(client, name, batch):
    """Return what StreamInfer answers to one frame, and the version that did."""
    with client.model(name).stream() as stream:
        stream.send(**batch)
        return stream.receive().value(), stream.version


def _plain(target):
    return grpc.insecure_channel(target, options=OPTIONS)


def by_redhare(target, model, batch, open_channel=_plain, user=("anybody", "anything")):
    """Return what redhare.Inference answers: the outputs as JSON has them.

    Args:
        target: The server's address.
        model: Name of the model.
        batch: Arrays by input.
        open_channel: Makes a channel to an address.
        user: Name and password.
    """
    with open_channel(target) as channel:
        stub = stream_pb2_grpc.InferenceStub(channel)
        attributes = dict(zip(("user_name", "password"), user, strict=True), model_name=model)
        told = stub.auth(stream_pb2.AuthRequest(attributes=attributes), timeout=60)
    inputs = {
        name: {"data": base64.b64encode(array.tobytes()).decode(), "shape": array.shape, "dtype": str(array.dtype)}
        for name, array in batch.items()
    }
    record = json.dumps({"key": "only", "inputs": inputs}).encode()
    requests = [stream_pb2.Request(token=told.token), stream_pb2.Request(data=record)]
    with open_channel(told.url) as channel:
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

"""Requests as batches and outputs as answers."""

from __future__ import annotations

import math
import os
import stat
from typing import Any

from swath.api.payloads import LARGE, Buffer, Payloads, field
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import FileMissing, InputInvalid, Precondition
from swath_inference.dataplane.sendable import sendable

_SHARED_MEMORY = "/dev/shm"
_POINT_TYPES = {
    pb.POINT_TYPE_POSITIVE: "positive",
    pb.POINT_TYPE_NEGATIVE: "negative",
    pb.POINT_TYPE_NEUTRAL: "neutral",
    pb.POINT_TYPE_UNSPECIFIED: "neutral",
}


_WHOLE = Payloads()
_OUTPUTS = pb.InferenceResponse.DESCRIPTOR.fields_by_name["outputs"]
_ENTRY: Any = _OUTPUTS.message_type
_RAW_DATA = pb.Tensor.DESCRIPTOR.fields_by_name["raw_data"]


def read_batch(inputs: pb.InputBatch, *, shared_prefix: str | None, payloads: Payloads = _WHOLE) -> dict[str, Any]:
    """Return the batch of a request.

    Args:
        inputs: What the client sent.
        payloads: What was cut out of it.
        shared_prefix: Prefix that names of shared memory segments must have; None refuses shared memory.

    Raises:
        InputInvalid: A tensor whose payload does not fit its shape and type.
        Precondition: Shared memory from a client that may not use it.
        FileMissing: No such segment.
    """
    batch: dict[str, Any] = {}
    for key in ("cube", "wavelengths", "mask", "rgb_image"):
        if inputs.HasField(key):
            tensor = read_tensor(getattr(inputs, key), name=key, shared_prefix=shared_prefix, payloads=payloads)
            # A batch may be empty; its frames may not.
            if 0 in tensor.shape[1:]:
                raise InputInvalid(f"{key}: shape {list(tensor.shape)} has no elements in a frame")
            batch[key] = tensor
    for key in ("frame_id", "mesu_index"):
        if inputs.HasField(key):
            tensor = read_tensor(getattr(inputs, key), name=key, shared_prefix=shared_prefix, payloads=payloads)
            if tensor.numel():
                batch[key] = tensor
    if inputs.HasField("bboxes"):
        batch["bboxes"] = [_box(box) for box in inputs.bboxes.boxes]
    if inputs.HasField("points"):
        batch["points"] = [
            {"element_id": each.element_id, "x": each.x, "y": each.y, "type": _POINT_TYPES.get(each.type, "neutral")}
            for each in inputs.points.points
        ]
    if inputs.text_prompt:
        batch["text_prompt"] = inputs.text_prompt
    for key, tensor in inputs.extra_inputs.items():
        batch[key] = read_tensor(tensor, name=key, shared_prefix=shared_prefix, payloads=payloads)
    return batch


def _box(box: pb.BoundingBox) -> dict[str, float | int]:
    fields: dict[str, float | int] = {
        "element_id": box.element_id,
        "x_min": box.x_min,
        "y_min": box.y_min,
        "x_max": box.x_max,
        "y_max": box.y_max,
    }
    if box.HasField("object_id"):
        fields["object_id"] = box.object_id
    return fields


def read_tensor(tensor: pb.Tensor, *, name: str, shared_prefix: str | None, payloads: Payloads = _WHOLE) -> Any:
    """Return a torch tensor over the payload of a message, without a copy of what came in the message itself."""
    from swath.engine.graph.codec import decode

    if math.prod(size for size in tensor.shape if size > 0) >= 2**60:
        raise InputInvalid(f"{name}: cannot reshape array into shape {list(tensor.shape)}: it is too large")
    shared = tensor.HasField("shm_ref")
    data = _shared(tensor, name=name, prefix=shared_prefix) if shared else payloads.of(tensor.raw_data)
    return decode(tensor.shape, tensor.dtype, data, name=name)


def _shared(tensor: pb.Tensor, *, name: str, prefix: str | None) -> memoryview:
    """Read from a segment of shared memory.

    It is copied, not mapped: a client that shrinks a mapped segment would end the whole server with SIGBUS.
    """
    reference = tensor.shm_ref
    segment = reference.name.removeprefix("/")
    if prefix is None:
        raise Precondition(f"{name}: shared memory is taken only from clients on the same host")
    if not segment or "/" in segment or ".." in segment or "\0" in segment:
        raise InputInvalid(f"{name}: {reference.name!r} is not the name of a shared memory segment")
    if not segment.startswith(prefix):
        raise Precondition(f"{name}: shared memory segments of this session have names that begin with {prefix!r}")
    item = _item_size(tensor, name)
    if reference.byte_offset % item or reference.byte_size % item:
        raise InputInvalid(f"{name}: offset and size of shared memory must be multiples of the item size {item}")
    try:
        handle = os.open(f"{_SHARED_MEMORY}/{segment}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise FileMissing(f"{name}: [Errno {error.errno}] {error.strerror}: {reference.name!r}") from error
    try:
        found = os.fstat(handle)
        end = reference.byte_offset + reference.byte_size
        if not stat.S_ISREG(found.st_mode) or found.st_size < end:
            raise InputInvalid(f"{name}: the segment {reference.name!r} has {found.st_size} bytes, expected {end}")
        data = memoryview(bytearray(reference.byte_size))
        arrived = 0
        while arrived < len(data):
            count = os.preadv(handle, [data[arrived:]], reference.byte_offset + arrived)
            if not count:
                raise InputInvalid(f"{name}: the segment {reference.name!r} shrank while it was read")
            arrived += count
    finally:
        os.close(handle)
    return data


def _item_size(tensor: pb.Tensor, name: str) -> int:
    from swath.engine.graph.codec import DTYPES

    if tensor.dtype not in DTYPES:
        raise InputInvalid(f"{name}: Unsupported dtype: {tensor.dtype}")
    return DTYPES[tensor.dtype].itemsize


def write_outputs(outputs: dict[str, Any], wanted: frozenset[str]) -> bytes:
    """Return the answer of outputs by `node.port`: an InferenceResponse on the wire.

    Numbers go to metrics. Lists of numbers become tensors; what has no form on the wire is left out, unless it was
    asked for by name.

    Raises:
        InputInvalid: An output that was asked for has an element type that cannot be sent.
    """
    from swath.engine.graph.codec import encode

    answer = pb.InferenceResponse()
    large: list[Buffer] = []
    for key, value in sendable(outputs, wanted):
        if isinstance(value, int | float):
            answer.metrics[key] = value
            continue
        shape, code, data = encode(value, name=key)
        message: Any = pb.Tensor(shape=shape)
        message.dtype = code
        if len(data) < LARGE:
            message.raw_data = bytes(data)
            answer.outputs[key].CopyFrom(message)
        else:
            large += _entry(key, message, data)
    return b"".join([answer.SerializeToString(), *large])


def _entry(key: str, header: pb.Tensor, data: memoryview) -> list[Buffer]:
    """Return an entry of `outputs` on the wire, in parts."""
    tensor = [header.SerializeToString(), *field(_RAW_DATA.number, data)]
    name = field(_ENTRY.fields_by_name["key"].number, key.encode())
    return field(_OUTPUTS.number, *name, *field(_ENTRY.fields_by_name["value"].number, *tensor))

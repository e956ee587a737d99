"""Requests as batches and outputs as answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from swath.api.payloads import LARGE, Buffer, Payloads, field
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import InputInvalid, Precondition
from swath_inference.dataplane.request import check_frames
from swath_inference.protocols.sendable import sendable
from swath_inference.shm.regions import OutputPlace

ReadShared = Callable[[pb.ShmRef, str], memoryview]
"""Returns the shared memory that a reference names, for a tensor of a name."""

_POINT_TYPES = {
    pb.POINT_TYPE_POSITIVE: "positive",
    pb.POINT_TYPE_NEGATIVE: "negative",
    pb.POINT_TYPE_NEUTRAL: "neutral",
    pb.POINT_TYPE_UNSPECIFIED: "neutral",
}
_FRAMES = frozenset(("cube", "wavelengths", "mask", "rgb_image"))
_NUMBERS = frozenset(("frame_id", "mesu_index"))

_WHOLE = Payloads()
_OUTPUTS = pb.InferenceResponse.DESCRIPTOR.fields_by_name["outputs"]
_ENTRY: Any = _OUTPUTS.message_type
_RAW_DATA = pb.Tensor.DESCRIPTOR.fields_by_name["raw_data"]


def refuse(reference: pb.ShmRef, name: str) -> memoryview:
    """Refuse shared memory.

    Raises:
        Precondition: Always.
    """
    raise Precondition(f"{name}: shared memory is taken only from clients on the same host")


@cache
def _codec() -> Any:
    """Return the engine's codec. Imports torch, which a process that starts does in the background."""
    from swath.engine.graph import codec

    return codec


def read_batch(inputs: pb.InputBatch, *, shared: ReadShared = refuse, payloads: Payloads = _WHOLE) -> dict[str, Any]:
    """Return the batch of a request.

    Args:
        inputs: What the client sent.
        shared: Reads what is in shared memory.
        payloads: What was cut out of it.

    Raises:
        InputInvalid: A tensor whose payload does not fit its shape and type.
        Precondition: Shared memory from a client that may not use it.
        FileMissing: No such segment.
    """
    batch: dict[str, Any] = {}
    extra: Any = None
    # Each field by itself would be asked whether it is there; most are not.
    for described, value in inputs.ListFields():
        key, content = described.name, value
        if key == "extra_inputs":
            extra = content
        elif key in _FRAMES:
            tensor = read_tensor(content, name=key, shared=shared, payloads=payloads)
            check_frames(key, tensor)
            batch[key] = tensor
        elif key in _NUMBERS:
            tensor = read_tensor(content, name=key, shared=shared, payloads=payloads)
            if tensor.numel():
                batch[key] = tensor
        elif key == "bboxes":
            batch[key] = [_box(box) for box in content.boxes]
        elif key == "points":
            batch[key] = [
                {
                    "element_id": each.element_id,
                    "x": each.x,
                    "y": each.y,
                    "type": _POINT_TYPES.get(each.type, "neutral"),
                }
                for each in content.points
            ]
        else:
            batch[key] = content
    if extra is not None:
        # Last: they take the place of the others.
        for key, tensor in extra.items():
            batch[key] = read_tensor(tensor, name=key, shared=shared, payloads=payloads)
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


def read_tensor(tensor: pb.Tensor, *, name: str, shared: ReadShared = refuse, payloads: Payloads = _WHOLE) -> Any:
    """Return a torch tensor over the payload of a message, without a copy of what came in the message itself."""
    data = payloads.of(tensor.raw_data)
    # Empty it may be one that is not there: the payload is the other one of the two, or none.
    if not data and tensor.HasField("shm_ref"):
        dtype = _codec().DTYPES.get(tensor.dtype)
        if dtype is None:
            raise InputInvalid(f"{name}: Unsupported dtype: {tensor.dtype}")
        item, reference = dtype.itemsize, tensor.shm_ref
        if reference.byte_offset % item or reference.byte_size % item:
            raise InputInvalid(f"{name}: offset and size of shared memory must be multiples of the item size {item}")
        data = shared(reference, name)
    return _codec().decode(tensor.shape, tensor.dtype, data, name=name)


def write_outputs(outputs: dict[str, Any], wanted: frozenset[str], place: OutputPlace | None = None) -> bytes:
    """Return the answer of outputs by `node.port`: an InferenceResponse on the wire.

    Numbers go to metrics. Lists of numbers become tensors; what has no form on the wire is left out, unless it was
    asked for by name.

    Args:
        outputs: Tensors, numbers and lists.
        wanted: Names that were asked for.
        place: Shared memory that tensors go to; what there is no room for goes into the message.

    Raises:
        InputInvalid: An output that was asked for has an element type that cannot be sent.
    """
    codec = _codec()
    answer = pb.InferenceResponse()
    large: list[Buffer] = []
    for key, value in sendable(outputs, wanted):
        if isinstance(value, int | float):
            answer.metrics[key] = value
            continue
        shape, code, data = codec.encode(value, name=key)
        offset = place.put(data) if place is not None else None
        alone = offset is None and len(data) >= LARGE
        message: Any = pb.Tensor() if alone else answer.outputs[key]
        message.shape.extend(shape)
        message.dtype = code
        if alone:
            large += _entry(key, message, data)
        elif place is None or offset is None:
            message.raw_data = bytes(data)
        else:
            message.shm_ref.name, message.shm_ref.byte_offset, message.shm_ref.byte_size = place.name, offset, len(data)
    return b"".join([answer.SerializeToString(), *large]) if large else answer.SerializeToString()


def _entry(key: str, header: pb.Tensor, data: memoryview) -> list[Buffer]:
    """Return an entry of `outputs` on the wire, in parts."""
    tensor = [header.SerializeToString(), *field(_RAW_DATA.number, data)]
    name = field(_ENTRY.fields_by_name["key"].number, key.encode())
    return field(_OUTPUTS.number, *name, *field(_ENTRY.fields_by_name["value"].number, *tensor))

"""Outputs as answers: raw, each joined once; as classes; or into shared memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swath.api.payloads import Buffer, field
from swath.errors import InputInvalid, SwathError
from swath.inference import open_inference_pb2 as pb
from swath.published.model import TensorSpec
from swath_inference.protocols.oip.messages import MemoryReference, classes_wanted, memory_reference
from swath_inference.protocols.oip.tensors.datatypes import BYTES, datatype_of, torch_types

WriteMemory = Callable[[memoryview], None]
"""Writes shared memory, and nothing beside the place that it is for."""
FindMemory = Callable[[MemoryReference, str], WriteMemory]
"""Returns what writes the shared memory that a tensor of a name is to lie in."""

_RAW = pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
_INFER_RESPONSE = pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that a request asks for by name.

    Attributes:
        classes: How many classes to answer in place of the values; 0 for the values.
        memory: Where they are to go; None for the answer.
    """

    classes: int = 0
    memory: tuple[MemoryReference, WriteMemory] | None = None


def wanted_outputs(
    request: pb.ModelInferRequest, specs: Sequence[TensorSpec], memory: FindMemory, model: str
) -> dict[str, Wanted]:
    """Return the outputs that a request asks for, in the model's order; empty for all.

    Raises:
        InputInvalid: The model has no such output, or its parameters contradict one another.
        NotFound, Precondition: What `memory` raises.
    """
    if not request.outputs:
        return {}
    asked = {each.name: each for each in request.outputs}
    names = [spec.name for spec in specs]
    if unknown := asked.keys() - set(names):
        raise InputInvalid(
            f"unexpected inference output {min(unknown)[:128]!a} for model {model!r}; its outputs are "
            f"{', '.join(names) or 'none'}"
        )
    return {name: _wanted(asked[name], memory, model) for name in names if name in asked}


def _wanted(each: pb.ModelInferRequest.InferRequestedOutputTensor, memory: FindMemory, model: str) -> Wanted:
    reference = memory_reference(each.parameters, each.name)
    classes = classes_wanted(each.parameters)
    if reference is None:
        return Wanted(classes)
    if classes:
        raise InputInvalid(
            f"shared memory can't be set on output with classification: {each.name!r} of model {model!r} has both"
        )
    return Wanted(0, (reference, memory(reference, each.name)))


def answer(
    outputs: Mapping[str, Any],
    wanted: Mapping[str, Wanted],
    *,
    name: str,
    version: int,
    request_id: str,
    batched: bool,
    on_stream: bool,
    declared: Sequence[TensorSpec] = (),
) -> bytes:
    """Return a ModelInferResponse on the wire, or on a stream the ModelStreamInferResponse that holds it.

    Args:
        outputs: By `node.port`, in the model's order.
        wanted: Those that were asked for by name; empty for all that have a form here.
        name: Of the model.
        version: That it ran in.
        request_id: Goes back as it came.
        batched: Whether the first axes are the batch's.
        on_stream: Whether it goes to a stream.
        declared: What the model has told of its outputs.

    Raises:
        InputInvalid: An output that was asked for has no form here, is not there, or is larger than its place.
        SwathError: The model gives a tensor that is not what it has told of.
    """
    specs = {spec.name: spec for spec in declared}
    response = pb.ModelInferResponse(model_name=name, model_version=str(version), id=request_id)
    if on_stream:
        response.parameters["triton_final_response"].bool_param = True
    raw: list[Buffer] = []
    for key in wanted or outputs:
        each = wanted.get(key)
        formed = _formed(key, outputs.get(key), batched, each.classes if each is not None else 0)
        if formed is None:
            if each is None:
                continue
            raise InputInvalid(
                f"output {key!r} of model {name!r} cannot be sent: this call made none, or none of a "
                "type that the protocol has"
            )
        datatype, shape, data = formed
        spec = specs.get(key)
        if spec is not None and hasattr(outputs[key], "dtype") and not (each and each.classes):
            _check_declared(spec, datatype, shape, name)
        described = response.outputs.add(name=key, datatype=datatype, shape=shape)
        if each is not None and each.memory is not None:
            _place(described, each.memory, data, name)
            data = b""
        raw += field(_RAW, data)
    parts = [response.SerializeToString(), *raw]
    return b"".join(field(_INFER_RESPONSE, *parts) if on_stream else parts)


def _check_declared(spec: TensorSpec, datatype: str, shape: Sequence[int], model: str) -> None:
    """Let nothing out that clients were told otherwise of: they lay out their memory by it."""
    if spec.dtype == "tensor":
        return
    told = datatype_of(spec.dtype).name
    fits = len(shape) == len(spec.shape) and all(
        want in (-1, have) for want, have in zip(spec.shape, shape, strict=True)
    )
    if datatype != told or not fits:
        raise SwathError(
            f"model {model!r} gave an output {spec.name!r} of {datatype} {list(shape)}, and has declared {told} "
            f"{list(spec.shape)}: a fault of its nodes"
        )


def _place(
    described: pb.ModelInferResponse.InferOutputTensor,
    memory: tuple[MemoryReference, WriteMemory],
    data: Buffer,
    model: str,
) -> None:
    """Write an output into shared memory, and tell where it lies."""
    reference, write = memory
    if reference.size < len(data):
        raise InputInvalid(
            f"shared memory size specified with the request for output {described.name!r} of model {model!r} "
            f"({reference.size} bytes) should be at least {len(data)} bytes to hold the results"
        )
    write(memoryview(data))
    described.parameters["shared_memory_region"].string_param = reference.region
    described.parameters["shared_memory_byte_size"].int64_param = len(data)
    if reference.offset:
        described.parameters["shared_memory_offset"].int64_param = reference.offset


def _formed(key: str, value: Any, batched: bool, classes: int) -> tuple[str, Sequence[int], Buffer] | None:
    """Return datatype, shape and raw bytes of an output; None where it has no form."""
    import torch

    from swath.engine.graph.codec import bytes_of, join_strings

    if isinstance(value, bool | int | float):
        value = torch.tensor([value], dtype=torch.float64 if isinstance(value, float) else None)
    elif isinstance(value, list | tuple):
        value = _listed(value)
    if isinstance(value, torch.Tensor):
        datatype = torch_types()[1].get(value.dtype)
        if datatype is None:
            return None
        if classes:
            shape, strings = _classes(value, classes, batched)
            return BYTES, shape, join_strings(strings)
        return datatype.name, tuple(value.shape), bytes_of(value)
    if classes and value is not None:
        raise InputInvalid(f"output {key!r} has no values to classify: its elements are BYTES, expected numbers")
    if isinstance(value, str):
        return BYTES, (1,), join_strings([value.encode()])
    if isinstance(value, list):
        return BYTES, (len(value),), join_strings([each.encode() for each in value])
    if isinstance(value, dict):
        try:
            return BYTES, (1,), join_strings([json.dumps(value, default=_plain).encode()])
        except (TypeError, ValueError, RecursionError):
            return None
    return None


def _listed(values: list[Any] | tuple[Any, ...]) -> Any:
    """Return a list of numbers as a tensor, one of texts as a list, None for anything else."""
    import torch

    if not values:
        return None
    if all(isinstance(each, str) for each in values):
        return list(values)
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        return None


def _plain(value: Any) -> Any:
    """Return what a tensor, or an array, is in JSON."""
    return value.tolist()


def _classes(tensor: Any, count: int, batched: bool) -> tuple[tuple[int, ...], list[bytes]]:
    """Return the largest values as "value:index", largest first: of each item of a batch, or of all."""
    import torch

    floating = tensor.is_floating_point()
    if floating:
        # As many digits as a double prints; numpy lacks bfloat16.
        tensor = tensor.to(torch.float64)
    values = tensor.numpy(force=True)
    items = values.shape[0] if batched and values.ndim else 1
    rows = values.reshape(items, -1) if values.size else values.reshape(items, 0)
    count = min(count, rows.shape[1])
    strings = [
        (f"{row[index]:.6f}:{index}" if floating else f"{int(row[index])}:{index}").encode()
        for row in rows
        for index in _largest(row, floating)[:count]
    ]
    return (items, count) if batched else (count,), strings


def _largest(row: np.ndarray, floating: bool) -> np.ndarray:
    """Return the indices of values in descending order; equal ones in that of their indices, what is no number last."""
    if floating:
        return np.argsort(-row, kind="stable")
    # Unsigned numbers have no negative.
    return len(row) - 1 - np.argsort(row[::-1], kind="stable")[::-1]

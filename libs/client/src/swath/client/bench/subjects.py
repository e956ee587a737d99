"""What is called: a session by its id, or a published model by its name; and the floor under it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swath.client import calls
from swath.client.errors import LocalError

if TYPE_CHECKING:
    from swath.client.aio import AsyncClient

_SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_INFERENCE = "/cuvis_ai.v1.CuvisAIService/Inference"
_MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
_MODEL_METADATA = "/inference.GRPCInferenceService/ModelMetadata"
_CHECK = "/grpc.health.v1.Health/Check"
_UNREAD_FIELD = 1000

_DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""Names of the Open Inference Protocol by numpy's."""


@dataclass(frozen=True)
class Spec:
    """An input.

    Attributes:
        name: Of the port.
        dtype: Numpy's name.
        shape: -1 is any length.
        required: Whether each call must have it; None where nobody says.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    required: bool | None = None


@dataclass(frozen=True)
class Request:
    """A call that is made over and over.

    Attributes:
        what: Names what is called, for people.
        path: Full path of the method.
        body: The request on the wire.
        model: The published model that it is for, if it is for one.
    """

    what: str
    path: str
    body: bytes
    model: str = ""


class Subject:
    """A session or a published model.

    Args:
        client: Reaches the server.
        name: A session's id, or NAME or NAME:VERSION of a model.
    """

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self._name = name
        self._is_session = _SESSION.fullmatch(name) is not None
        self.what = f"session {name}" if self._is_session else f"model {name}"

    async def specs(self) -> list[Spec]:
        """Return its inputs.

        Raises:
            NotFoundError: There is no such session or model.
            CallError: It cannot say.
        """
        return await (self._of_session() if self._is_session else self._of_model())

    def request(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> Request:
        """Return a call with these inputs.

        Args:
            inputs: By port name.
            outputs: Names of the outputs wanted; empty means all.
        """
        if self._is_session:
            body = calls.infer(self._name, inputs, outputs).request.SerializeToString()
            return Request(self.what, _INFERENCE, body)
        from swath.inference import open_inference_pb2 as pb

        model, _, version = self._name.partition(":")
        message = pb.ModelInferRequest(model_name=model, model_version=version)
        message.outputs.extend(pb.ModelInferRequest.InferRequestedOutputTensor(name=each) for each in outputs)
        for name, array in inputs.items():
            datatype = _DATATYPES.get(array.dtype.name)
            if datatype is None:
                raise LocalError(f"input {name}: {array.dtype} cannot be sent")
            tensor: Any = pb.ModelInferRequest.InferInputTensor(name=name, shape=array.shape)
            tensor.datatype = datatype
            message.inputs.append(tensor)
            message.raw_input_contents.append(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return Request(self.what, _MODEL_INFER, message.SerializeToString(), model)

    async def _of_session(self) -> list[Spec]:
        from swath.client.tensors import DTYPES

        found = await self._client.call(calls.inputs(self._name))
        return [
            Spec(name, DTYPES[each.dtype].name if each.dtype in DTYPES else "", tuple(each.shape), each.required)
            for name, each in sorted(found.items())
        ]

    async def _of_model(self) -> list[Spec]:
        from swath.inference import open_inference_pb2 as pb

        model, _, version = self._name.partition(":")
        request = pb.ModelMetadataRequest(name=model, version=version)
        answer = pb.ModelMetadataResponse.FromString(
            await self._client.send(_MODEL_METADATA, request.SerializeToString(), model)
        )
        dtypes = {datatype: name for name, datatype in _DATATYPES.items()}
        return [Spec(each.name, dtypes.get(each.datatype, ""), tuple(each.shape)) for each in answer.inputs]


def floor_of(request: Request) -> Request:
    """Return a call that carries the same bytes to the same address, and does nothing there.

    It is a Check of health with the bytes in a field that Check does not have: whoever reads the message passes over
    it.
    """
    from swath.api.payloads import field

    return Request("floor: a health check with the same bytes", _CHECK, b"".join(field(_UNREAD_FIELD, request.body)))

"""How a server is asked for a model's answer: requests as bytes, and arrays from replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.serving.messages import CUVIS, OIP, OWN, Messages
from benchmarks.serving.models import MODELS
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


class Dialect(Protocol):
    """One protocol."""

    method: str
    """As ``package.Service/Method``."""
    protoset: Path

    def request(self, model: str, x: np.ndarray) -> bytes:
        """Return the request for float32 [B, H, W, C]."""
        ...

    def shared_request(self, model: str, segment: Segment) -> bytes:
        """Return the request for an input in shared memory."""
        ...

    def registration(self, segment: Segment) -> tuple[str, bytes] | None:
        """Return the call that tells the server of a segment; None where requests name any."""
        ...

    def answer(self, model: str, reply: bytes) -> np.ndarray:
        """Return the array of a reply."""
        ...


@dataclass(frozen=True)
class Segment:
    """float32 in shared memory.

    Attributes:
        name: Of the segment, without a slash.
        shape: Of the array.
    """

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return int(np.prod(self.shape)) * 4


class NotOffered(Exception):
    """A server has nothing of this kind; the message says what."""


@dataclass
class Cuvis:
    """cuvis_ai.v1, where a session holds the pipeline.

    Attributes:
        sessions: Session ids by model.
    """

    folder: Path
    sessions: Mapping[str, str]
    method: str = "cuvis_ai.v1.CuvisAIService/Inference"
    protoset: Path = field(init=False)

    def __post_init__(self) -> None:
        self.protoset = Messages(CUVIS, self.folder).protoset

    def request(self, model: str, x: np.ndarray) -> bytes:
        return self._request(model, pb.Tensor(shape=x.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=x.tobytes()))

    def shared_request(self, model: str, segment: Segment) -> bytes:
        reference = pb.ShmRef(name=segment.name, byte_size=segment.size)
        return self._request(model, pb.Tensor(shape=segment.shape, dtype=pb.D_TYPE_FLOAT32, shm_ref=reference))

    def registration(self, segment: Segment) -> tuple[str, bytes] | None:
        return None

    def answer(self, model: str, reply: bytes) -> np.ndarray:
        outputs = pb.InferenceResponse.FromString(reply).outputs
        tensor = outputs[f"{model}.{MODELS[model].output}"]
        return np.frombuffer(tensor.raw_data, np.float32).reshape(tensor.shape)

    def reply(self, model: str, answer: np.ndarray) -> bytes:
        """Return the reply that holds an array."""
        tensor = pb.Tensor(shape=answer.shape, dtype=pb.D_TYPE_FLOAT32, raw_data=answer.tobytes())
        return pb.InferenceResponse(outputs={f"{model}.{MODELS[model].output}": tensor}).SerializeToString()

    def _request(self, model: str, tensor: pb.Tensor) -> bytes:
        port = MODELS[model].port
        inputs = pb.InputBatch(cube=tensor) if port == "cube" else pb.InputBatch(extra_inputs={port: tensor})
        request = pb.InferenceRequest(session_id=self.sessions[model], inputs=inputs)
        request.output_specs.append(f"{model}.{MODELS[model].output}")
        return request.SerializeToString()


class Oip:
    """The Open Inference Protocol v2, with raw contents.

    Args:
        folder: Where the protocol is compiled.
        names: Returns the names of the input and the output of a model.
    """

    method = "inference.GRPCInferenceService/ModelInfer"

    def __init__(self, folder: Path, names: Callable[[str], tuple[str, str]] = lambda model: ("x", "y")) -> None:
        self.messages = Messages(OIP, folder)
        self.protoset = self.messages.protoset
        self._names = names

    def request(self, model: str, x: np.ndarray) -> bytes:
        request = self._request(model, x.shape)
        request.raw_input_contents.append(x.tobytes())
        return request.SerializeToString()

    def shared_request(self, model: str, segment: Segment) -> bytes:
        request = self._request(model, segment.shape)
        request.inputs[0].parameters["shared_memory_region"].string_param = segment.name
        request.inputs[0].parameters["shared_memory_byte_size"].int64_param = segment.size
        return request.SerializeToString()

    def registration(self, segment: Segment) -> tuple[str, bytes] | None:
        request = self.messages["inference.SystemSharedMemoryRegisterRequest"](
            name=segment.name, key=f"/{segment.name}", byte_size=segment.size
        )
        return "inference.GRPCInferenceService/SystemSharedMemoryRegister", request.SerializeToString()

    def answer(self, model: str, reply: bytes) -> np.ndarray:
        parsed = self.messages["inference.ModelInferResponse"].FromString(reply)
        return np.frombuffer(parsed.raw_output_contents[0], np.float32).reshape(parsed.outputs[0].shape)

    def _request(self, model: str, shape: tuple[int, ...]) -> Any:
        request = self.messages["inference.ModelInferRequest"](model_name=model)
        taken, given = self._names(model)
        request.inputs.add(name=taken, datatype="FP32", shape=shape)
        request.outputs.add(name=given)
        return request


class Own:
    """The benchmark's own proto, for servers that take any."""

    method = "swath.bench.v1.Models/Infer"

    def __init__(self, folder: Path) -> None:
        messages = Messages(OWN, folder)
        self.protoset = messages.protoset
        self._tensor = messages["swath.bench.v1.Tensor"]

    def request(self, model: str, x: np.ndarray) -> bytes:
        return self._tensor(model=model, shape=x.shape, data=x.tobytes()).SerializeToString()

    def shared_request(self, model: str, segment: Segment) -> bytes:
        raise NotOffered("its protocol, which is the benchmark's own, has no shared memory")

    def registration(self, segment: Segment) -> tuple[str, bytes] | None:
        return None

    def answer(self, model: str, reply: bytes) -> np.ndarray:
        parsed = self._tensor.FromString(reply)
        return np.frombuffer(parsed.data, np.float32).reshape(parsed.shape)

"""Requests that are answered as they should be: what floods damage."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import message_factory

from swath.api import ROUTES
from swath.api.descriptors import find_service
from swath.client import Client, Session
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath.inference.v1 import inference_pb2
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath.redhare import stream_pb2, stream_pb2_grpc
from swath.rpc.proxies import NO_PROXY

from .flood import Good

SCALE = {
    "nodes": [
        {
            "name": "scale",
            "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
            "hparams": {"use_running_stats": False},
        }
    ],
    "connections": [],
}
LABELS = {"redhare.dtype": "uint8", "redhare.shape": "-1,2,3", "redhare.layout": "HWC"}
CUBE = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
SCALED = np.broadcast_to((np.arange(4, dtype=np.float32) / 3).reshape(1, 2, 2, 1), CUBE.shape)
"""What the model makes of `CUBE`: each channel grows by the same steps, from 0 to 1."""
_SERVICES = ("inference.GRPCInferenceService", "swath.models.v1.ModelService", "redhare.Inference")
_STREAMS = "/swath.inference.v1.InferenceService/"
_SEGMENT = 4096
_WAIT_S = 20.0


class Shop:
    """A published model that floods ask for, and the means to have it as it was.

    Args:
        session: Holds what is published.
        channel: To the server.

    Attributes:
        model: Name of the model.
        segment: Name of a segment of shared memory on this machine.
    """

    def __init__(self, session: Session, channel: grpc.Channel) -> None:
        self.model = f"fuzz-{uuid.uuid4().hex[:8]}"
        self._session = session
        self._digest = ""
        self._models = models_pb2_grpc.ModelServiceStub(channel)
        self._open: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._redhare: Any = stream_pb2_grpc.InferenceStub(channel)
        self.segment = f"swath-fuzz-{uuid.uuid4().hex[:8]}"

    def restore(self) -> None:
        """Publish the model again if it is gone, for everybody, and take back what floods have published."""
        for each in self._models.ListModels(models_pb2.ListModelsRequest(), timeout=_WAIT_S).models:
            if each.name != self.model and any(version.pipeline_digest == self._digest for version in each.versions):
                self._models.Unpublish(models_pb2.UnpublishRequest(name=each.name), timeout=_WAIT_S)
        everybody = models_pb2.Identities(names=["*"])
        self._models.Publish(
            models_pb2.PublishRequest(
                name=self.model,
                session_id=self._session.id,
                aliases=["stable"],
                labels=LABELS,
                callers=everybody,
                pinned=False,
            ),
            timeout=_WAIT_S,
        )
        settings = pb.LogSettingsRequest()
        settings.settings["log_verbose_level"].uint32_param = 0
        # Behind a gateway no client changes which lines there are.
        self._unless((grpc.StatusCode.PERMISSION_DENIED,), self._open.LogSettings, settings)
        self._load()
        self._register()

    def _load(self) -> None:
        request = pb.RepositoryModelLoadRequest(model_name=self.model)
        self._unless((grpc.StatusCode.NOT_FOUND,), self._open.RepositoryModelLoad, request)

    def _register(self) -> None:
        # Behind a gateway there is no shared memory.
        allowed = grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.UNIMPLEMENTED
        self._unless(allowed, self._open.SystemSharedMemoryRegister, self._region())

    def _unless(self, allowed: Sequence[grpc.StatusCode], method: Any, request: Any) -> None:
        """Call a method, which may be refused with some statuses."""
        try:
            method(request, timeout=_WAIT_S)
        except grpc.RpcError as error:
            if error.code() not in allowed:  # pyright: ignore[reportAttributeAccessIssue]
                raise

    def publish(self) -> None:
        """Publish the model for the first time, and wait until calls find it."""
        request = models_pb2.PublishRequest(name=self.model, session_id=self._session.id, labels=LABELS)
        [version] = self._models.Publish(request, timeout=_WAIT_S).model.versions
        self._digest = version.pipeline_digest
        self._register()

    def right(self, times: int = 20) -> None:
        """See that calls get the right answer, at every replica, soon."""
        deadline, answers = time.monotonic() + _WAIT_S, 0
        while answers < times:
            try:
                answer = self._open.ModelInfer(self.request(), timeout=_WAIT_S)
            except grpc.RpcError as error:
                # Within a second every replica knows what is published.
                assert time.monotonic() < deadline, f"the model does not answer any more: {error}"
                answers = 0
                # Behind a gateway a call goes to one of the replicas, which may not be the one that has unloaded it.
                self._load()
                time.sleep(0.1)
                continue
            found = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(answer.outputs[0].shape)
            np.testing.assert_allclose(found, SCALED, atol=1e-6)
            answers += 1

    def request(self, **more: Any) -> pb.ModelInferRequest:
        """Return a request of the Open Inference Protocol."""
        data = pb.ModelInferRequest.InferInputTensor(name="data", datatype="FP32", shape=CUBE.shape)
        return pb.ModelInferRequest(model_name=self.model, inputs=[data], raw_input_contents=[CUBE.tobytes()], **more)

    def good(self) -> Good:
        """Return good requests of each method."""
        infer = [each.SerializeToString() for each in self._infer()]
        found: dict[str, list[list[bytes]]] = {
            "ModelInfer": [[each] for each in infer],
            "ModelStreamInfer": [infer],
            "StreamInfer": [self._frames()],
            "InferCube": [self._cube()],
            "stream_infer": [self._records()],
            "auth": [[stream_pb2.AuthRequest(attributes=self._attributes).SerializeToString()]],
            "Publish": [[self._publication.SerializeToString()]],
            "SetAlias": [[self._alias.SerializeToString()]],
            "UpdateModel": [[self._update.SerializeToString()]],
            "SystemSharedMemoryRegister": [[self._region().SerializeToString()]],
        }
        paths = [path for path in ROUTES if path[1:].startswith(_SERVICES) or path.startswith(_STREAMS)]
        return {path: found.get(path.rpartition("/")[2], [[self._naming(path)]]) for path in paths}

    def _naming(self, path: str) -> bytes:
        """Return a request of a method that mostly needs no more than a model's name."""
        service, name = path[1:].split("/")
        request = message_factory.GetMessageClass(find_service(service).methods_by_name[name].input_type)()
        for field, value in (("name", self.model), ("model_name", self.model), ("alias", "stable"), ("version", "1")):
            described: Any = request.DESCRIPTOR.fields_by_name.get(field)
            if described is not None:
                setattr(request, field, value if described.type == described.TYPE_STRING else int(value))
        return request.SerializeToString()

    def _infer(self) -> Iterator[pb.ModelInferRequest]:
        yield self.request()
        wanted = pb.ModelInferRequest.InferRequestedOutputTensor(name="scale.normalized")
        wanted.parameters["classification"].int64_param = 2
        classes = self.request(id="7", outputs=[wanted])
        classes.parameters["priority"].uint64_param = 1
        classes.parameters["timeout"].int64_param = 10_000_000
        yield classes
        typed = self.request()
        del typed.raw_input_contents[:]
        typed.inputs[0].contents.fp32_contents.extend(CUBE.ravel().tolist())
        yield typed
        shared = self.request(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="scale.normalized")])
        del shared.raw_input_contents[:]
        for at, each in enumerate((shared.inputs[0], shared.outputs[0])):
            each.parameters["shared_memory_region"].string_param = "r"
            each.parameters["shared_memory_byte_size"].int64_param = CUBE.nbytes
            each.parameters["shared_memory_offset"].int64_param = at * CUBE.nbytes
        yield shared

    def _region(self) -> pb.SystemSharedMemoryRegisterRequest:
        return pb.SystemSharedMemoryRegisterRequest(name="r", key=self.segment, byte_size=_SEGMENT)

    def _frames(self) -> list[bytes]:
        tensor = inference_pb2.Tensor(shape=CUBE.shape, dtype=inference_pb2.D_TYPE_FLOAT32, data=CUBE.tobytes())
        opening = inference_pb2.StreamInferRequest(open=inference_pb2.Open(model=self.model))
        frame = inference_pb2.StreamInferRequest(frame=inference_pb2.Frame(id=1, inputs={"data": tensor}))
        return [opening.SerializeToString(), frame.SerializeToString()]

    def _cube(self) -> list[bytes]:
        header = inference_pb2.CubeHeader(
            model=self.model, input="data", shape=CUBE.shape, dtype=inference_pb2.D_TYPE_FLOAT32
        )
        first = inference_pb2.InferCubeRequest(header=header)
        chunk = inference_pb2.InferCubeRequest(chunk=CUBE.tobytes())
        return [first.SerializeToString(), chunk.SerializeToString()]

    def _records(self) -> list[bytes]:
        token = self._redhare.auth(stream_pb2.AuthRequest(attributes=self._attributes), timeout=_WAIT_S).token
        plain = {"key": "a", "data": base64.b64encode(bytes(range(12))).decode()}
        told = {"data": base64.b64encode(CUBE.tobytes()).decode(), "shape": CUBE.shape, "dtype": "float32"}
        records = (plain, {"key": 7, **told}, {"key": "c", "inputs": {"data": told}, "outputs": ["normalized"]})
        messages = (
            stream_pb2.Request(token=token),
            *(stream_pb2.Request(data=json.dumps(each).encode()) for each in records),
        )
        return [each.SerializeToString() for each in messages]

    @property
    def _attributes(self) -> dict[str, str]:
        return {"model_name": self.model, "user_name": "anybody", "password": "anything"}

    @property
    def _publication(self) -> models_pb2.PublishRequest:
        return models_pb2.PublishRequest(
            name=self.model, session_id=self._session.id, aliases=["stable"], description="text", labels=LABELS
        )

    @property
    def _alias(self) -> models_pb2.SetAliasRequest:
        targets = [models_pb2.Share(version=1, percent=100.0)]
        return models_pb2.SetAliasRequest(name=self.model, alias="stable", targets=targets, revision=1)

    @property
    def _update(self) -> models_pb2.UpdateModelRequest:
        request = models_pb2.UpdateModelRequest(model=models_pb2.Model(name=self.model, labels=LABELS))
        request.mask.paths.append("labels")
        return request


@contextmanager
def opened(target: str) -> Iterator[Shop]:
    """Open a shop at a server, with a segment of shared memory on this machine; what was published is taken back."""
    with (
        Client(target) as client,
        client.session() as session,
        grpc.insecure_channel(target, options=[NO_PROXY]) as channel,
    ):
        session.load_pipeline(SCALE)
        shop = Shop(session, channel)
        segment = Path("/dev/shm", shop.segment)
        segment.write_bytes(os.urandom(_SEGMENT))
        try:
            shop.publish()
            shop.right()
            yield shop
        finally:
            segment.unlink()

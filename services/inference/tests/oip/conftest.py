"""The protocol over a real server, real pipelines and published models; who publishes them is left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from swath.api import OPEN_INFERENCE
from swath.documents import canonical, parse
from swath.engine.graph.ports import Stage, dtype_name
from swath.engine.stored import open_pipeline
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath.published.model import Change, Model, ModelVersion, TensorSpec
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.storage import ArtifactStore
from swath_inference.protocols.oip.assembly import OpenInference, open_inference
from swath_inference.published.calls import ModelCalls
from swath_inference.published.loading import Loader
from swath_inference.published.models import PublishedModels

NODES = "cuvis_ai.node"
SCALE = {"class_name": f"{NODES}.normalization.MinMaxNormalizer", "hparams": {"use_running_stats": False}}
"""Scales `data` [B, H, W, C] to 0..1: each frame by itself."""


def specs_of(ports: dict[str, Any]) -> tuple[TensorSpec, ...]:
    """Return ports as they are published."""

    return tuple(
        TensorSpec(name, dtype_name(port.dtype), tuple(int(size) for size in port.shape), port.optional)
        for name, port in ports.items()
    )


@dataclass
class Shop:
    """What is published, and the versions of it."""

    artifacts: ArtifactStore
    models: PublishedModels = field(default_factory=PublishedModels)
    catalogue: dict[str, Model] = field(default_factory=dict)

    def publish(
        self, name: str, *nodes: dict[str, Any], edges: Any = (), weights: bytes | None = None, **more: Any
    ) -> None:
        """Publish a pipeline as the next version of a model."""
        document = canonical(parse("pipeline", {"nodes": nodes, "connections": list(edges)}))
        pipeline = open_pipeline(document, weights)
        before = self.catalogue.get(name, Model(name))
        version = ModelVersion(
            number=len(before.versions) + 1,
            pipeline_digest=self.artifacts.put_sync(document),
            weights_digest=self.artifacts.put_sync(weights) if weights else None,
            inputs=specs_of(pipeline.input_specs(Stage.INFERENCE)),
            outputs=specs_of(pipeline.stage_outputs()),
        )
        changed = {"versions": (*before.versions, version), **more}
        self.put(Model(**{**{key: getattr(before, key) for key in Model.__dataclass_fields__}, **changed}))

    def put(self, *models: Model) -> None:
        """Tell of models as they are now."""
        self.catalogue |= {model.name: model for model in models}
        self.models.apply(Change(models=models))

    def remove(self, name: str) -> None:
        """Take a model back."""
        del self.catalogue[name]
        self.models.apply(Change(removed=(name,)))


@pytest.fixture
def shop(artifacts: ArtifactStore) -> Shop:
    made = Shop(artifacts)
    made.models.apply(Change(complete=True))
    made.publish("scale", {"name": "node", **SCALE})
    return made


@dataclass
class Door:
    """The protocol at a real server."""

    target: str
    stub: Any
    channel: grpc.aio.Channel
    protocol: OpenInference
    server: Server
    calls: ModelCalls
    ready: bool = True

    async def infer(self, name: str = "scale", **more: Any) -> pb.ModelInferResponse:
        return await self.stub.ModelInfer(pb.ModelInferRequest(model_name=name, **more))


@pytest.fixture
async def opened(shop: Shop, service: Any) -> AsyncIterator[Callable[..., Any]]:
    """Opens doors."""
    made: list[Door] = []

    async def open_door(
        *, max_batch_size: int = 16, shared_memory: bool = True, free: bool = True, **settings: Any
    ) -> Door:
        calls = ModelCalls(shop.models, Loader(shop.models, service.runner), service.runner)
        door: Door
        protocol = open_inference(
            calls,
            ready=lambda: door.ready,
            max_batch_size=max_batch_size,
            shared_memory=shared_memory,
            free=free,
        )
        board = HealthBoard(("inference",))
        handlers = [slice_handler(OPEN_INFERENCE, "inference", protocol.servicer)]
        server = Server(ServerSettings(port=0, drain_grace_s=1, **settings), handlers, (OPEN_INFERENCE,), board)
        await server.start()
        await board.set_ready("inference")
        target = f"127.0.0.1:{server.port}"
        channel = grpc.aio.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        door = Door(target, stub, channel, protocol, server, calls)
        made.append(door)
        return door

    yield open_door
    for each in made:
        await each.channel.close()
        await each.server.drain()


@pytest.fixture
async def door(opened: Callable[..., Any]) -> Door:
    return await opened()


def raw_input(array: Any, name: str = "data") -> dict[str, Any]:
    """Return a request's fields with one raw input."""
    datatype = {"float32": "FP32", "float64": "FP64", "uint8": "UINT8", "int32": "INT32"}[str(array.dtype)]
    return {
        "inputs": [pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=array.shape)],
        "raw_input_contents": [array.tobytes()],
    }


async def refusal(call: Any) -> tuple[str, str]:
    """Return how a call was refused: its code and its text."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""

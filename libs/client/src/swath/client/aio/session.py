"""A session on a server, asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from swath.client import calls
from swath.client.calls import Outputs, Saved, SearchPaths
from swath.client.errors import (
    CallError,
    NotFoundError,
    call_error,
    trailers,
)
from swath.client.runs import Position, belonging
from swath.client.streaming.cubes import CubeCall, Place, Progress
from swath.client.streaming.frames import AsyncInferenceStream
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.inference.v1 import inference_pb2
from swath.pipeline.v1 import nodes_pb2

if TYPE_CHECKING:
    from swath.client.aio.client import AsyncClient


class AsyncSession:
    """As `swath.client.Session`."""

    def __init__(self, client: AsyncClient, session_id: str, run_config: dict[str, Any] | None = None) -> None:
        self._client = client
        self.id = session_id
        self.run_config = run_config or {}
        self.run_id = ""
        self._shared = client.shared_region(session_id)

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(self, kind: object, error: object, at: object) -> None:
        with suppress(*([CallError] if error else [NotFoundError])):
            await self.close()

    async def close(self) -> None:
        """As `Session.close`."""
        if self._shared is not None:
            self._shared.close()
        await self._client.call(calls.close_session(self.id))

    async def search(self, paths: Sequence[str] | None, *, append: bool = True) -> SearchPaths:
        """As `Session.search`."""
        return await self._client.call(calls.search_paths(self.id, paths, append))

    async def resolve(self, kind: str, path: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
        """As `Session.resolve`."""
        return await self._client.call(calls.resolve(self.id, kind, path, overrides))

    async def set_run_config(self, config: Mapping[str, Any] | bytes) -> bool:
        """As `Session.set_run_config`."""
        return await self._client.call(calls.set_run_config(self.id, config))

    async def load_pipeline(self, config: Mapping[str, Any] | bytes, data_module: str = "") -> pb.PipelineMetadata:
        """As `Session.load_pipeline`."""
        return await self._client.call(calls.load_pipeline(self.id, config, data_module))

    async def load_weights(self, weights: str | bytes, *, strict: bool = True) -> str:
        """As `Session.load_weights`."""
        return await self._client.call(calls.load_weights(self.id, weights, strict))

    async def train(
        self,
        phase: str = "statistical",
        *,
        data: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        experiment: str = "",
        name: str = "",
    ) -> AsyncIterator[pb.TrainResponse]:
        """As `Session.train`, for ``async for``."""
        config, request = self._client.config, calls.train(self.id, phase, data, training)
        position, labels = Position(config.retry), belonging(experiment, name)
        self.run_id = ""
        while True:
            stream = self._client.stub.Train(request, metadata=config.call_metadata() + labels + position.metadata())
            try:
                position.opened(await stream.initial_metadata() or ())
                self.run_id = position.run_id
                async for progress in stream:
                    position.received()
                    yield progress
                return
            except grpc.RpcError as error:
                failure = call_error(error, method="Train", target=config.target)
                pause = position.cut(failure, trailers(error))
            finally:
                stream.cancel()
            await asyncio.sleep(pause)

    async def stop(self) -> str:
        """As `Session.stop`."""
        return await self._client.call(calls.stop_train(self.id))

    async def status(self) -> pb.TrainResponse:
        """As `Session.status`."""
        return await self._client.call(calls.train_status(self.id))

    async def infer(self, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any) -> Outputs:
        """As `Session.infer`."""
        if self._shared is None:
            return await self._client.call(calls.infer(self.id, inputs, outputs, text_prompt))
        outputs = list(outputs)
        async with self._shared.aplace(inputs) as place:
            with suppress(*([NotFoundError] if place else [])):
                return await self._client.call(calls.infer(self.id, inputs, outputs, text_prompt, place))
        return await self._client.call(calls.infer(self.id, inputs, outputs, text_prompt))

    async def infer_cube(
        self,
        cube: Any,
        *,
        outputs: Iterable[str] = (),
        text_prompt: str = "",
        progress: Progress | None = None,
        place: Place | None = None,
        **inputs: Any,
    ) -> Outputs:
        """As `Session.infer_cube`."""
        return await self._client.infer_cube(CubeCall(self.id, cube, outputs, inputs, text_prompt, progress, place))

    async def plan_cube(
        self, cube: Any, *, outputs: Iterable[str] = (), text_prompt: str = "", **inputs: Any
    ) -> inference_pb2.Plan:
        """As `Session.plan_cube`."""
        return await self._client.plan_cube(CubeCall(self.id, cube, outputs, inputs, text_prompt))

    def stream(self, outputs: Iterable[str] = ()) -> AsyncInferenceStream:
        """As `Session.stream`, for ``async with``."""
        return self._client.stream(self, outputs)

    async def load_plugin(self, manifest: Mapping[str, Any] | bytes) -> str:
        """As `Session.load_plugin`."""
        return await self._client.call(calls.load_plugin(self.id, manifest))

    async def nodes(self) -> list[pb.NodeInfo]:
        """As `Session.nodes`."""
        return await self._client.call(calls.list_nodes(self.id))

    async def describe_nodes(self, *names: str) -> list[nodes_pb2.NodeDescription]:
        """As `Session.describe_nodes`."""
        return await self._client.call(calls.describe_nodes(self.id, names))

    async def draw(self, kind: str = "svg") -> bytes:
        """As `Session.draw`."""
        return await self._client.call(calls.visualization(self.id, kind, ""))

    async def inputs(self) -> dict[str, pb.TensorSpec]:
        """As `Session.inputs`."""
        return await self._client.call(calls.inputs(self.id))

    async def outputs(self) -> dict[str, pb.TensorSpec]:
        """As `Session.outputs`."""
        return await self._client.call(calls.outputs(self.id))

    async def save_pipeline(self, path: str, metadata: pb.PipelineMetadata | None = None) -> Saved:
        """As `Session.save_pipeline`."""
        return await self._client.call(calls.save_pipeline(self.id, path, metadata))

    async def save_trainrun(self, path: str, *, weights: bool = True) -> Saved:
        """As `Session.save_trainrun`."""
        return await self._client.call(calls.save_trainrun(self.id, path, weights))

"""The asyncio client: `swath.client.sync` with ``await``. What a method does is documented there.

async with AsyncClient("localhost:50051") as client, client.session() as session:
    await session.set_run_config(await session.resolve("trainrun", "rx_statistical"))
    async for progress in session.train("statistical"):
        print(format_progress(progress))
    scores = (await session.infer(cube=cube, wavelengths=wavelengths)).only("scores")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import grpc
import grpc.aio

from swath.client import calls, channel
from swath.client.calls import Call, Outputs, Saved, SearchPaths
from swath.client.config import ClientConfig
from swath.client.errors import (
    CallError,
    NotFoundError,
    UnavailableError,
    call_error,
    trailers,
    translated,
)
from swath.client.logs import LogLine
from swath.client.models import AsyncModels
from swath.client.published import AsyncPublishedModel
from swath.client.runs import Position
from swath.client.shared import SharedRegion
from swath.client.streaming.cubes import INFER_CUBE, CubeCall, Place, Progress, in_threads
from swath.client.streaming.frames import AsyncInferenceStream
from swath.client.streaming.wire import what_of
from swath.client.workspace import AsyncWorkspace
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.inference.v1 import inference_pb2
from swath.models.v1.models_pb2_grpc import ModelServiceStub
from swath.pipeline.v1 import nodes_pb2
from swath.pipeline.v1.nodes_pb2_grpc import NodeServiceStub
from swath.rpc.metadata import by_name
from swath.training.v1.runs_pb2_grpc import RunServiceStub
from swath.workspace.v1.workspace_pb2_grpc import WorkspaceServiceStub

R = TypeVar("R")


class AsyncClient:
    """As `swath.client.Client`. Make it where an event loop runs; use it as an async context manager, or await `close`.

    Attributes:
        config: As given.
        stub: The generated stub, for what has no method here; its calls are to be awaited.
        node_stub: The generated stub of NodeService, likewise.
        model_stub: That of ModelService.
        workspace: The server's files.
        models: The server's published models.
    """

    def __init__(self, config: ClientConfig | str | None = None) -> None:
        self.config = ClientConfig.of(config)
        self._channel = channel.open_aio_channel(self.config)
        # The generated classes serve both kinds of channel, and are typed for the blocking one.
        any_channel: Any = self._channel
        self.stub: Any = CuvisAIServiceStub(any_channel)
        self.workspace = AsyncWorkspace(self.config, WorkspaceServiceStub(any_channel))
        self.node_stub: Any = NodeServiceStub(any_channel)
        self.model_stub: Any = ModelServiceStub(any_channel)
        self.models = AsyncModels(self.call)
        self._runs: Any = RunServiceStub(any_channel)
        self._bare: dict[str, Any] = {}

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As `Client.close`."""
        await self._channel.close()

    async def ready(self, timeout_s: float = 30.0, connect_s: float = 5.0) -> None:
        """As `Client.ready`."""
        async with channel.open_aio_channel(self.config.with_(health_service=None)) as plain:
            await self._await(plain, connect_s, "no server answers at {}")
        await self._await(self._channel, timeout_s, "the server at {} does not serve yet")

    async def _await(self, waited_for: grpc.aio.Channel, timeout_s: float, complaint: str) -> None:
        try:
            await asyncio.wait_for(waited_for.channel_ready(), timeout_s)
        except TimeoutError:
            raise UnavailableError("UNAVAILABLE", complaint.format(self.config.target)) from None

    async def call(self, call: Call[R]) -> R:
        """As `Client.call`."""
        method = getattr(getattr(self, call.stub), call.method)
        with translated(call.method, self.config.target):
            metadata = [*self.config.call_metadata(), *call.metadata]
            answer = method(call.request, timeout=self.config.timeout_s, metadata=metadata)
            reply = await answer
            if call.check is None:
                return call.read(reply)
            trailers = by_name(await answer.trailing_metadata())
        found = call.read(reply)
        call.check(found, trailers)
        return found

    async def send(self, path: str, request: bytes) -> bytes:
        """Make a unary call of any method; messages are what is on the wire.

        Args:
            path: Full path, such as "/cuvis_ai.v1.CuvisAIService/Inference".
            request: The request, serialized.

        Raises:
            CallError: It failed.
        """
        method = self._bare.get(path)
        if method is None:
            method = self._bare[path] = self._channel.unary_unary(path)
        with translated(path.rpartition("/")[2], self.config.target):
            return await method(request, timeout=self.config.timeout_s, metadata=self.config.call_metadata())

    def shared_region(self, session_id: str) -> SharedRegion | None:
        """As `Client.shared_region`."""
        return SharedRegion(self._channel, self.config, session_id) if self.config.shared_memory else None

    async def open_session(self, search_paths: Sequence[str] | None = None) -> AsyncSession:
        """As `Client.open_session`."""
        session = AsyncSession(self, await self.call(calls.create_session()))
        await session.search(search_paths, append=False)
        return session

    @asynccontextmanager
    async def session(self, search_paths: Sequence[str] | None = None) -> AsyncIterator[AsyncSession]:
        """As `Client.session`."""
        async with await self.open_session(search_paths) as session:
            yield session

    def attach(self, session_id: str) -> AsyncSession:
        """As `Client.attach`."""
        return AsyncSession(self, session_id)

    async def restore(
        self, trainrun_path: str, weights_path: str | None = None, *, strict: bool = True, session_id: str = ""
    ) -> AsyncSession:
        """As `Client.restore`."""
        found, config = await self.call(calls.restore(trainrun_path, weights_path, strict, session_id))
        return AsyncSession(self, found, config)

    async def pipelines(self, tag: str = "") -> list[pb.PipelineInfo]:
        """As `Client.pipelines`."""
        return await self.call(calls.list_pipelines(tag))

    async def pipeline_info(self, path: str) -> pb.PipelineInfo:
        """As `Client.pipeline_info`."""
        return await self.call(calls.pipeline_info(path))

    async def draw(self, content: str, kind: str = "svg") -> bytes:
        """As `Client.draw`."""
        return await self.call(calls.visualization("", kind, content))

    def model(self, name: str, version: str | int = "") -> AsyncPublishedModel:
        """As `Client.model`; the methods of what it returns are to be awaited."""
        return AsyncPublishedModel(self, name, version)

    def stream(
        self,
        session: AsyncSession | str | None = None,
        outputs: Iterable[str] = (),
        *,
        model: str = "",
        version: str | int = "",
    ) -> AsyncInferenceStream:
        """As `Client.stream`, for ``async with``."""
        session_id = session if isinstance(session, str) or session is None else session.id
        return AsyncInferenceStream(self._channel, self.config, what_of(session_id, model, version), outputs)

    async def infer_cube(self, cube: CubeCall) -> Outputs:
        """As `Client.infer_cube`."""
        retry = self.config.retry
        return await retry.rule(UnavailableError, attempts=retry.attempts).call_async(lambda: self._infer_cube(cube))

    async def _infer_cube(self, cube: CubeCall) -> Outputs:
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            answers = call(
                in_threads(cube.requests(self.config.max_message_bytes)), metadata=self.config.call_metadata()
            )
            try:
                async for answer in answers:
                    cube.receive(answer)
            except (grpc.RpcError, asyncio.CancelledError):
                cube.raise_failure()
                raise
            finally:
                answers.cancel()
        return cube.finish()

    async def plan_cube(self, cube: CubeCall) -> inference_pb2.Plan:
        """As `Client.plan_cube`."""
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            answers = call(cube.question(), timeout=self.config.timeout_s, metadata=self.config.call_metadata())
            try:
                return cube.plan(await anext(aiter(answers)))
            finally:
                answers.cancel()

    async def logs(self, run_id: str, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """As `Client.logs`, for ``async for``."""
        position = Position(self.config.retry, run_id=run_id)
        while True:
            request = calls.read_logs(run_id, position.seq, follow)
            stream = self._runs.ReadLogs(request, metadata=self.config.call_metadata())
            try:
                async for reply in stream:
                    for line in map(LogLine.of, reply.lines):
                        position.received(line.number)
                        yield line
                return
            except grpc.RpcError as error:
                failure = call_error(error, method="ReadLogs", target=self.config.target)
                pause = position.cut(failure, {})
            finally:
                stream.cancel()
            await asyncio.sleep(pause)


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
    ) -> AsyncIterator[pb.TrainResponse]:
        """As `Session.train`, for ``async for``."""
        config, request = self._client.config, calls.train(self.id, phase, data, training)
        position = Position(config.retry)
        self.run_id = ""
        while True:
            stream = self._client.stub.Train(request, metadata=config.call_metadata() + position.metadata())
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

"""A connection to a server, asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
import grpc.aio

from swath.client import calls, channel
from swath.client.aio.session import AsyncSession
from swath.client.applications import AsyncApplications
from swath.client.calls import Call, Outputs
from swath.client.config import ClientConfig
from swath.client.errors import (
    UnavailableError,
    call_error,
    translated,
)
from swath.client.logs import LogLine
from swath.client.models import AsyncModels
from swath.client.published import AsyncPublishedModel
from swath.client.runs import Position
from swath.client.shared import SharedRegion
from swath.client.streaming.cubes import INFER_CUBE, CubeCall, in_threads
from swath.client.streaming.frames import AsyncInferenceStream
from swath.client.streaming.wire import what_of
from swath.client.workspace import AsyncWorkspace
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.inference.v1 import inference_pb2
from swath.models.v1.models_pb2_grpc import ModelServiceStub
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
        applications: The applications that are deployed there.
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
        self.applications = AsyncApplications(self._channel, self.config)
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
        with translated(call.method, self.config.target, self.config.longest_entry):
            metadata = [*self.config.call_metadata(), *call.metadata]
            answer = method(call.request, timeout=self.config.timeout_s, metadata=metadata)
            reply = await answer
            if call.check is None:
                return call.read(reply)
            trailers = by_name(await answer.trailing_metadata())
        found = call.read(reply)
        call.check(found, trailers)
        return found

    async def send(self, path: str, request: bytes, model: str = "") -> bytes:
        """As `Client.send`."""
        method = self._bare.get(path)
        if method is None:
            method = self._bare[path] = self._channel.unary_unary(path)
        with translated(path.rpartition("/")[2], self.config.target):
            return await method(request, timeout=self.config.timeout_s, metadata=self.config.call_metadata(model))

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
            metadata = self.config.call_metadata(cube.model)
            answers = call(in_threads(cube.requests(self.config.max_message_bytes)), metadata=metadata)
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
            metadata = self.config.call_metadata(cube.model)
            answers = call(cube.question(), timeout=self.config.timeout_s, metadata=metadata)
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

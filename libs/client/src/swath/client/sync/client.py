"""A connection to a server, blocking."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from swath.client import calls, channel
from swath.client.applications import Applications
from swath.client.calls import Call, Outputs
from swath.client.config import ClientConfig
from swath.client.errors import (
    UnavailableError,
    call_error,
    translated,
)
from swath.client.live.runs import Runs
from swath.client.logs import LogLine
from swath.client.models import Models
from swath.client.published import PublishedModel
from swath.client.runs import Position
from swath.client.shared import SharedRegion
from swath.client.streaming.cubes import INFER_CUBE, CubeCall
from swath.client.streaming.frames import InferenceStream
from swath.client.streaming.wire import what_of
from swath.client.sync.session import Session
from swath.client.workspace import Workspace
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.inference.v1 import inference_pb2
from swath.models.v1.models_pb2_grpc import ModelServiceStub
from swath.pipeline.v1.nodes_pb2_grpc import NodeServiceStub
from swath.training.v1.runs_pb2_grpc import RunServiceStub
from swath.workspace.v1.workspace_pb2_grpc import WorkspaceServiceStub

R = TypeVar("R")


class Client:
    """A connection to a Swath server (or a suite behind one address). Use it as a context manager, or call `close`.

    Args:
        config: Where and how; a string is a target.

    Attributes:
        config: As given.
        stub: The generated stub, for what has no method here.
        node_stub: The generated stub of NodeService, likewise.
        model_stub: That of ModelService.
        workspace: The server's files.
        run_stub: That of RunService.
        models: The server's published models.
        runs: The server's training runs.
        applications: The applications that are deployed there.
    """

    def __init__(self, config: ClientConfig | str | None = None) -> None:
        self.config = ClientConfig.of(config)
        self._channel = channel.open_channel(self.config)
        self.stub = CuvisAIServiceStub(self._channel)
        self.workspace = Workspace(self.config, WorkspaceServiceStub(self._channel))
        self.node_stub = NodeServiceStub(self._channel)
        self.model_stub = ModelServiceStub(self._channel)
        self.models = Models(self.call)
        self.applications = Applications(self._channel, self.config)
        self.run_stub = RunServiceStub(self._channel)
        self.runs = Runs(self)
        self._bare: dict[str, Any] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Sessions stay on the server until they are closed or expire."""
        self._channel.close()

    def ready(self, timeout_s: float = 30.0, connect_s: float = 5.0) -> None:
        """Wait until the server takes calls.

        Args:
            timeout_s: For a server that is there, but does not serve yet.
            connect_s: For one that cannot be reached at all.

        Raises:
            UnavailableError: It did not within the time; the message names which of the two it was.
        """
        # A channel that checks health looks the same whether nobody is there or somebody is not ready.
        with channel.open_channel(self.config.with_(health_service=None)) as plain:
            self._await(plain, connect_s, "no server answers at {}")
        self._await(self._channel, timeout_s, "the server at {} does not serve yet")

    def _await(self, waited_for: grpc.Channel, timeout_s: float, complaint: str) -> None:
        try:
            grpc.channel_ready_future(waited_for).result(timeout=timeout_s)
        except grpc.FutureTimeoutError:
            raise UnavailableError("UNAVAILABLE", complaint.format(self.config.target)) from None

    def call(self, call: Call[R]) -> R:
        """Make one call and read its answer.

        Raises:
            CallError: The server, or the way to it, refused.
            LocalError: The answer is not what was asked for.
        """
        method = getattr(getattr(self, call.stub), call.method)
        options = {"timeout": self.config.timeout_s, "metadata": [*self.config.call_metadata(), *call.metadata]}
        with translated(call.method, self.config.target, self.config.longest_entry):
            if call.check is None:
                return call.read(method(call.request, **options))
            reply, ended = method.with_call(call.request, **options)
        found = call.read(reply)
        call.check(found, dict(ended.trailing_metadata() or ()))
        return found

    def send(self, path: str, request: bytes, model: str = "") -> bytes:
        """Make a unary call of any method; messages are what is on the wire.

        Args:
            path: Full path, such as "/cuvis_ai.v1.CuvisAIService/Inference".
            request: The request, serialized.
            model: The published model that it is for, if it is for one: gateways may go by it.

        Raises:
            CallError: The server, or the way to it, refused.
        """
        method = self._bare.get(path)
        if method is None:
            method = self._bare[path] = self._channel.unary_unary(path)
        with translated(path.rpartition("/")[2], self.config.target):
            return method(request, timeout=self.config.timeout_s, metadata=tuple(self.config.call_metadata(model)))

    def shared_region(self, session_id: str) -> SharedRegion | None:
        """Shared memory for the calls of a session; None where the config does not ask for any."""
        return SharedRegion(self._channel, self.config, session_id) if self.config.shared_memory else None

    def open_session(self, search_paths: Sequence[str] | None = None) -> Session:
        """Make a session and leave closing it to the caller; see `session`."""
        session = Session(self, self.call(calls.create_session()))
        session.search(search_paths, append=False)
        return session

    @contextmanager
    def session(self, search_paths: Sequence[str] | None = None) -> Iterator[Session]:
        """A session for a ``with`` block, closed at its end.

        Args:
            search_paths: Where configs and weights are looked for; None takes all groups below the server's configs.
        """
        with _closing(self.open_session(search_paths)) as session:
            yield session

    def attach(self, session_id: str) -> Session:
        """A handle to a session that is open already; no call is made."""
        return Session(self, session_id)

    def restore(
        self, trainrun_path: str, weights_path: str | None = None, *, strict: bool = True, session_id: str = ""
    ) -> Session:
        """Open a saved trainrun in a new session, or in the one named; its config is in `Session.run_config`."""
        found, config = self.call(calls.restore(trainrun_path, weights_path, strict, session_id))
        return Session(self, found, config)

    def pipelines(self, tag: str = "") -> list[pb.PipelineInfo]:
        """Pipelines that the server has below ``configs/pipeline``, or those with a tag."""
        return self.call(calls.list_pipelines(tag))

    def pipeline_info(self, path: str) -> pb.PipelineInfo:
        """A pipeline below ``configs/pipeline`` with its text; `path` ends in .yaml."""
        return self.call(calls.pipeline_info(path))

    def draw(self, content: str, kind: str = "svg") -> bytes:
        """A picture of a pipeline document given as YAML: png, svg, dot or mermaid."""
        return self.call(calls.visualization("", kind, content))

    def model(self, name: str, version: str | int = "") -> PublishedModel:
        """A published model, to be called by its name.

        Args:
            name: Of the model; whether there is one is found out with the first call.
            version: A number or an alias; empty is the alias "stable", or the newest one without it.
        """
        return PublishedModel(self, name, version)

    def stream(
        self,
        session: Session | str | None = None,
        outputs: Iterable[str] = (),
        *,
        model: str = "",
        version: str | int = "",
    ) -> InferenceStream:
        """Open a stream of frames through a session's pipeline, or a published model; use it as a context manager.

        Args:
            session: A session, or its id.
            outputs: As of `Session.infer`.
            model: Name of a published model, in place of a session.
            version: Of the model: a number or an alias; empty is the alias "stable", or the newest one without it.

        Raises:
            NotFoundError: No such session, model or version.
            LocalError: Neither or both of a session and a model.
        """
        session_id = session if isinstance(session, str) or session is None else session.id
        return InferenceStream(self._channel, self.config, what_of(session_id, model, version), outputs)

    def infer_cube(self, cube: CubeCall) -> Outputs:
        """Send a cube in pieces; see `Session.infer_cube`."""
        retry = self.config.retry
        return retry.rule(UnavailableError, attempts=retry.attempts).call(lambda: self._infer_cube(cube))

    def _infer_cube(self, cube: CubeCall) -> Outputs:
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            metadata = self.config.call_metadata(cube.model)
            answers: Any = call(cube.requests(self.config.max_message_bytes), metadata=metadata)
            try:
                for answer in answers:
                    cube.receive(answer)
            except grpc.RpcError:
                cube.raise_failure()
                raise
            finally:
                answers.cancel()
        return cube.finish()

    def plan_cube(self, cube: CubeCall) -> inference_pb2.Plan:
        """Ask for the plan of a cube; see `Session.plan_cube`."""
        call: Any = self._channel.stream_stream(INFER_CUBE)
        with translated("InferCube", self.config.target):
            metadata = self.config.call_metadata(cube.model)
            answers: Any = call(cube.question(), timeout=self.config.timeout_s, metadata=metadata)
            try:
                return cube.plan(next(answers))
            finally:
                answers.cancel()

    def logs(self, run_id: str, *, follow: bool = False) -> Iterator[LogLine]:
        """What the workers of a run have logged, oldest line first; a connection that breaks is made again.

        Args:
            run_id: The run, as `Session.run_id` gives it.
            follow: Whether to wait for the lines that are still to come, until the run is over.

        Raises:
            NotFoundError: There is no such run, or it is another user's.
        """
        position = Position(self.config.retry, run_id=run_id)
        while True:
            request = calls.read_logs(run_id, position.seq, follow)
            stream = self.run_stub.ReadLogs(request, metadata=self.config.call_metadata())
            try:
                for reply in stream:
                    for line in map(LogLine.of, reply.lines):
                        position.received(line.number)
                        yield line
                return
            except grpc.RpcError as error:
                failure = call_error(error, method="ReadLogs", target=self.config.target)
                pause = position.cut(failure, {})
            finally:
                stream.cancel()
            time.sleep(pause)


@contextmanager
def _closing(session: Session) -> Iterator[Session]:
    with session:
        yield session
